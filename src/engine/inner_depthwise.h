/*
 * Depthwise convolution of blocked activations, an inner operator (blocked.h): as many
 * channels come out as go in, each from one. Base and clamp are what was fused into it.
 *
 *   y = clamp(base[c] + sum over taps of x * w)
 *
 * Inputs: x [CB][N][H][W][16]; w [CB][R][S][16]; base, one per channel in whole blocks,
 * may be left out. A gradient goes to x alone, where y lies strictly inside the clamp, or
 * by the activation's slope.
 */
#ifndef SALISCOPE_ENGINE_INNER_DEPTHWISE_H
#define SALISCOPE_ENGINE_INNER_DEPTHWISE_H

#include "lanes.h"
#include "window.h"

/* Lies in node->attr. */
struct sal_inner_depthwise_attr {
    struct sal_window window; /* of two axes, its kernel given */
    sal_real low, high;       /* infinite where nothing is clamped */
    sal_map *after; /* an activation of it all; NULL: none */
    sal_map_slope *after_slope; /* the same */
    bool saves; /* output 1 is what the backward reads of clamp or activation (target.h) */
};

/* The operator for a complete attr: its backward reads what was saved. Without that it has
 * none of a clamp or an activation. */
const struct sal_op *sal_inner_depthwise_op(const struct sal_inner_depthwise_attr *attr);

/* Weights C x 1 x R x S, each channel times its scale (NULL: 1), as the operator reads
 * them; zeros past C. packed: whole blocks of channels times R * S. */
void sal_inner_depthwise_pack(const sal_loose *w, const sal_real *scale,
                              int64_t channels, int64_t taps, sal_real *packed);

#endif
