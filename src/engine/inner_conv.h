/*
 * The dense convolution of a lowered graph: blocked activations, packed weights, and
 * folded in what is around it: per-channel scale and shift, a sum, an activation.
 */
#ifndef SALISCOPE_ENGINE_INNER_CONV_H
#define SALISCOPE_ENGINE_INNER_CONV_H

#include "dense.h"
#include "packs.h"
#include "winograd.h"

/* One direction of it, computed plainly or by Winograd. */
struct sal_conv_way {
    int tile; /* 2 or 4: Winograd's; 0: plainly */
    double error; /* that was measured of Winograd's (winograd_error.h); 0: none was */
    struct sal_dense dense;
    struct sal_winograd winograd;
    struct sal_pack *pack;
};

/* y = after(clamp(conv(before(in[0])) * scale + base + in[1])); in[1] is there where
 * something is added. A node's attr. */
struct sal_inner_conv {
    struct sal_conv_way forward, backward;
    const struct sal_tensor *w; /* [k][c / group][kernel], packed where it is stored */
    const sal_real *scale;      /* per output channel; NULL: 1 */
    const sal_real *base;       /* whole blocks */
    sal_real low, high;
    const struct sal_affine *before; /* NULL: nothing */
    sal_map *after; /* an activation of it all; NULL: none */
    sal_map_slope *after_slope; /* the same */
    bool saves; /* output 1 is what the backward reads of clamp or activation (target.h) */
};

/* What is laid out depends on. */
struct sal_inner_conv_plan {
    const struct sal_conv_geometry *g;
    bool planar;   /* the input is plain, else blocked */
    bool through;  /* something is before it */
    bool gradient; /* else the way back is not reserved */
    bool exact;    /* plainly, whatever it costs */
    bool bf16;     /* the forward in bf16 where that is faster */
    struct sal_packs *packs;
    int weight, scale; /* values that are packed; scale -1: none */
    int made;          /* what the convolution alone would make: tells it from others */
};

/* The attr of a node that is one of these; NULL: it is none. */
const struct sal_inner_conv *sal_inner_conv_of(const struct sal_node *node);

/* The operator for an attr that is complete: its backward reads the input where something
 * is before the convolution, and what was saved. Without that it has none of a clamp or
 * an activation. */
const struct sal_op *sal_inner_conv_op(const struct sal_inner_conv *conv);

/* Lays out both ways of a conv whose weights and scale are there. Winograd's is taken where
 * it is fastest and, with these weights, does not round too much: measured once for all
 * runs that share packs. */
enum sal_status sal_inner_conv_init(struct sal_inner_conv *conv,
                                    const struct sal_inner_conv_plan *plan,
                                    struct sal_arena *arena, struct sal_error *err);

#endif
