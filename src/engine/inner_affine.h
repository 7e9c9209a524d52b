/*
 * Channels of blocked activations scaled and shifted, an inner operator (blocked.h):
 * what a BatchNormalization is that follows no convolution, with the clamp behind it.
 *
 *   y = clamp(x * scale[c] + shift[c])
 *
 * Inputs: x [CB][N][H][W][16]; scale and shift, one per channel in whole blocks. A
 * gradient goes to x alone, where y lies strictly inside the clamp.
 */
#ifndef SALISCOPE_ENGINE_INNER_AFFINE_H
#define SALISCOPE_ENGINE_INNER_AFFINE_H

#include "op.h"

/* Lies in node->attr. */
struct sal_inner_affine_attr {
    sal_real low, high; /* infinite where nothing is clamped */
};

extern const struct sal_op sal_inner_affine;

#endif
