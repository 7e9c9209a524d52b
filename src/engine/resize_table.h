/*
 * Resize tables: how one axis is resampled, worked out once.
 *
 * Resampling is separable: every output position along an axis is a weighted sum of a
 * run of input positions. A table holds the run of each position; its transpose, which
 * pulls a gradient back, is a table again. Coordinates and filters are those of ONNX's
 * Resize 10 to 19, worked out in double and used in sal_real. Plain data in the
 * caller's arena, read-only once built.
 */
#ifndef SALISCOPE_ENGINE_RESIZE_TABLE_H
#define SALISCOPE_ENGINE_RESIZE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "op.h"

enum sal_resize_mode {
    SAL_RESIZE_NEAREST,
    SAL_RESIZE_LINEAR,
    SAL_RESIZE_CUBIC,
    SAL_RESIZE_MODES,
};

/* Where an output position lies in the input. */
enum sal_resize_place {
    SAL_RESIZE_HALF_PIXEL,
    SAL_RESIZE_HALF_PIXEL_SYMMETRIC,
    SAL_RESIZE_PYTORCH_HALF_PIXEL,
    SAL_RESIZE_ALIGN_CORNERS,
    SAL_RESIZE_ASYMMETRIC,
    SAL_RESIZE_TF_HALF_PIXEL,
    SAL_RESIZE_TF_CROP,
    SAL_RESIZE_PLACES,
};

enum sal_resize_rounding {
    SAL_RESIZE_PREFER_FLOOR, /* halves go down */
    SAL_RESIZE_PREFER_CEIL,  /* halves go up */
    SAL_RESIZE_FLOOR,
    SAL_RESIZE_CEIL,
    SAL_RESIZE_ROUNDINGS,
};

/* The words that ONNX has for them, in this order. */
extern const char *const sal_resize_modes[SAL_RESIZE_MODES];
extern const char *const sal_resize_places[SAL_RESIZE_PLACES];
extern const char *const sal_resize_roundings[SAL_RESIZE_ROUNDINGS];

struct sal_resize_rule {
    int mode, place, rounding;
    double cubic;         /* cubic_coeff_a */
    bool antialias;       /* widen the filter where the axis shrinks */
    bool exclude_outside; /* weights outside the axis are left out, the rest scaled */
};

struct sal_resize_axis {
    int64_t in, out;   /* elements, each at least 1 */
    double length;     /* scale * in, of which out is the whole part; or out */
    double start, end; /* of the region that TF_CROP reads, 0..1: the axis */
};

struct sal_resize_run {
    int64_t first, n; /* input positions; n 0: outside of what TF_CROP can read */
    int64_t weight;   /* index of the first weight */
};

struct sal_resize_table {
    int64_t in, out;
    const struct sal_resize_run *run; /* one for each output position */
    const sal_real *weight;
};

/* SAL_LIMIT, naming the node: over 2^26 weights, or no memory. */
enum sal_status sal_resize_table_build(struct sal_resize_table *table,
                                       const struct sal_node *node,
                                       const struct sal_resize_rule *rule,
                                       const struct sal_resize_axis *axis,
                                       struct sal_arena *arena, struct sal_error *err);

/* The table of the transposed matrix. The same errors. */
enum sal_status sal_resize_table_transpose(struct sal_resize_table *to,
                                           const struct sal_node *node,
                                           const struct sal_resize_table *from,
                                           struct sal_arena *arena,
                                           struct sal_error *err);

#endif
