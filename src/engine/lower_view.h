/*
 * Views: what Reshape, Transpose and their like make of a value, as strides through the
 * value itself, so that an operator can read it where it lies. Plain data.
 */
#ifndef SALISCOPE_ENGINE_LOWER_VIEW_H
#define SALISCOPE_ENGINE_LOWER_VIEW_H

#include "lower.h"

struct sal_view {
    int value; /* that it lies in, made by something else or read by somebody */
    struct sal_shape shape;
    int64_t stride[SAL_RANK_MAX]; /* in elements; 0 where an axis has one element */
    int64_t offset;
    double factor; /* elements count times this */
};

/* How value v lies, followed back as far as it can be. scaled: through products with a
 * constant number too. */
struct sal_view sal_lower_view(const struct sal_lowering *l, int v, bool scaled);

#endif
