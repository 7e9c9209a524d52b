/*
 * Names to numbers, in constant time: a hash table in an arena.
 *
 * The hash is keyed with bytes the kernel gives each process, so that a file
 * cannot bring names that all collide. Names are not copied. One thread at a
 * time.
 */
#ifndef SALISCOPE_NAMES_H
#define SALISCOPE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "saliscope/arena.h"

struct sal_name {
    const char *text; /* NULL: free slot */
    uint64_t hash;
    int value;
};

struct sal_names {
    struct sal_name *slots;
    size_t mask;
    uint64_t key;
};

/* Room for `most` names and not one more; false: no memory. */
bool sal_names_init(struct sal_names *names, struct sal_arena *arena, size_t most);

/* NULL where it is not there. */
struct sal_name *sal_names_find(const struct sal_names *names, const char *text);

/* Adds it and returns NULL; or returns the one that is there, unchanged. */
struct sal_name *sal_names_add(struct sal_names *names, const char *text, int value);

#endif
