/*
 * What a Resize or Upsample asks of each axis: attributes, scales, sizes and regions,
 * wherever an opset keeps them, made one description.
 */
#ifndef SALISCOPE_ENGINE_RESIZE_REQUEST_H
#define SALISCOPE_ENGINE_RESIZE_REQUEST_H

#include "kernel.h"
#include "resize_table.h"

enum sal_resize_policy {
    SAL_RESIZE_STRETCH,
    SAL_RESIZE_NOT_LARGER,
    SAL_RESIZE_NOT_SMALLER,
    SAL_RESIZE_POLICIES,
};

/* The attributes: a node's attr. */
struct sal_resize {
    struct sal_resize_rule rule;
    struct sal_int_list axes;
    int policy; /* enum sal_resize_policy */
    sal_real extrapolation;
    const float *scales; /* Upsample 7's attribute */
    int n_scales;
    bool grows; /* Upsample: scales are 1 or more */
};

struct sal_resize_request {
    struct sal_resize_axis axis[SAL_RANK_MAX]; /* of the input, in its order */
    int n;                                     /* axes that the lists are about */
    int at[SAL_RANK_MAX];
};

/* Reads and checks everything for input 0, a real tensor. Axes that nothing is asked of
 * stay as they are. */
enum sal_status sal_resize_request_read(const struct sal_infer *infer,
                                        struct sal_resize_request *request,
                                        struct sal_error *err);

#endif
