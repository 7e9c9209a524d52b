/*
 * Superpixels: an input cut into parts that methods put in and take out as a whole.
 *
 * Declared once for all methods that do: SAL_SUPERPIXEL_PARAMS goes into their lists.
 */
#ifndef SALISCOPE_EXPLAIN_SUPERPIXELS_H
#define SALISCOPE_EXPLAIN_SUPERPIXELS_H

#include "saliscope/explain.h"

enum { SAL_SUPERPIXEL_CELLS_MAX = 24, SAL_SUPERPIXELS_MAX = 2400 };

/* slic: pixels of like colour that lie together (Achanta et al., TPAMI 2012; clustered in
 * the image's own channels, not in CIELAB); grid: rectangles. */
extern const char *const sal_superpixel_names[];

#define SAL_SUPERPIXEL_PARAMS                                                            \
    {.name = "segments",                                                                 \
     .type = SAL_PARAM_CHOICE,                                                           \
     .fallback = 0,                                                                      \
     .unit = "",                                                                         \
     .choices = sal_superpixel_names,                                                    \
     .help = "what is put in and taken out: pixels of like colour that lie together, or "  \
             "rectangles"},                                                              \
        {.name = "cells",                                                                \
         .type = SAL_PARAM_INT,                                                          \
         .fallback = 7,                                                                  \
         .min = 2,                                                                       \
         .max = SAL_SUPERPIXEL_CELLS_MAX,                                                \
         .unit = "",                                                                     \
         .help = "superpixels along a side; of slic about as many as cells x cells"},    \
    {                                                                                    \
        .name = "compactness", .type = SAL_PARAM_REAL, .fallback = 10, .min = 0.1,       \
        .max = 1000, .unit = "",                                                         \
        .help = "of segments=slic: what distance counts beside colour (black to white is " \
                "100)"                                                                   \
    }

struct sal_superpixels {
    int n;   /* 1..SAL_SUPERPIXELS_MAX */
    int *of; /* [height][width]: 0..n-1, each at least once; free() it */
};

/* list: the method's. SAL_USAGE when there are more cells than pixels along a side. */
enum sal_status sal_superpixels_make(const struct sal_question *question,
                                     const struct sal_param *list,
                                     struct sal_superpixels *superpixels,
                                     struct sal_error *err);

#endif
