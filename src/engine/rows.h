/*
 * Rows: a tensor seen as `count` rows of n values that lie `stride` apart, for what
 * works along one axis.
 */
#ifndef SALISCOPE_ENGINE_ROWS_H
#define SALISCOPE_ENGINE_ROWS_H

#include "kernel.h"

struct sal_rows {
    int64_t n, stride, count;
};

static inline struct sal_rows sal_rows_along(const struct sal_shape *shape, int axis)
{
    int64_t stride = sal_shape_span(shape, axis + 1, shape->rank);
    return (struct sal_rows){
        .n = shape->dim[axis],
        .stride = stride,
        .count = sal_shape_span(shape, 0, axis) * stride,
    };
}

/* The first element of a row. */
static inline int64_t sal_row_at(const struct sal_rows *rows, int64_t row)
{
    return row / rows->stride * rows->stride * rows->n + row % rows->stride;
}

#endif
