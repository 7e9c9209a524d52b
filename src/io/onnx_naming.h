/*
 * Names given while local functions are inlined: which are taken in the whole model,
 * and what a name inside a function stands for outside. Private to onnx_inline.c.
 */
#ifndef SALISCOPE_IO_ONNX_NAMING_H
#define SALISCOPE_IO_ONNX_NAMING_H

#include "saliscope/arena.h"
#include "saliscope/names.h"

/* Names to numbers and texts; grows as names come. A zeroed one is empty. */
struct sal_naming {
    struct sal_names names; /* to the index in text */
    const char **text;
    int *number;
    int n, room;
};

/* The index of a name; -1. */
int sal_naming_find(const struct sal_naming *naming, const char *name);

/* Adds a name that is not there, with what it stands for; -1: no memory. Neither is
 * copied. */
int sal_naming_add(struct sal_naming *naming, struct sal_arena *scratch, const char *name,
                   const char *text);

/* base, or "base_2", "base_3", ... where that is taken, and takes it. NULL: no
 * memory. Lives in arena. */
const char *sal_naming_unique(struct sal_naming *taken, struct sal_arena *arena,
                              struct sal_arena *scratch, const char *base);

#endif
