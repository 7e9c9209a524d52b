/*
 * The dense convolution of a lowered graph: blocked activations, packed weights, and
 * folded in what follows it: per-channel scale and shift, a sum, a clamp.
 */
#ifndef SALISCOPE_ENGINE_INNER_CONV_H
#define SALISCOPE_ENGINE_INNER_CONV_H

#include "dense.h"
#include "packs.h"

/* y = clamp(conv(before(in[0])) * scale + base + in[1]); in[1] is there where something
 * is added. A node's attr. */
struct sal_inner_conv {
    struct sal_dense forward, backward;
    struct sal_pack *packed[2]; /* of forward, backward */
    const sal_real *w;          /* [k][c / group][kernel] */
    const sal_real *scale;      /* per output channel; NULL: 1 */
    const sal_real *base;       /* whole blocks */
    sal_real low, high;
    const struct sal_affine *before; /* NULL: nothing */
    sal_map *after; /* an activation of it all, without a gradient; NULL: none */
};

/* The operator for an attr that is complete: its backward reads the input where something
 * is before the convolution, and the output where something is clamped. */
const struct sal_op *sal_inner_conv_op(const struct sal_inner_conv *conv);

/* Lays out both ways. planar: the input is plain, else blocked. weight and scale name the values that are packed. Without gradient,
 * the way back is not reserved. */
enum sal_status sal_inner_conv_init(struct sal_inner_conv *conv,
                                    const struct sal_conv_geometry *g, bool planar,
                                    bool gradient, struct sal_packs *packs, int weight,
                                    int scale, struct sal_arena *arena,
                                    struct sal_error *err);

#endif
