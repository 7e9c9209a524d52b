/*
 * Names to numbers: a hash table on an arena, so that looking up a tensor among
 * hundreds of thousands takes constant time. Keys are borrowed and must outlive
 * the table. One thread while it is filled, any number afterwards.
 */
#ifndef SALISCOPE_NAMES_H
#define SALISCOPE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "saliscope/arena.h"

struct sal_names {
    struct sal_name *slot;
    size_t mask;
};

/* Room for `count` names. False: no memory. */
bool sal_names_init(struct sal_names *names, size_t count, struct sal_arena *arena);

/* Adds name with its number unless it is there; returns the number it has. */
int sal_names_add(struct sal_names *names, const char *name, int number);

/* The number of a name, or -1. */
int sal_names_find(const struct sal_names *names, const char *name);

#endif
