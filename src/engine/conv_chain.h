/*
 * A convolution and what can be computed along with it: a normalisation with or without
 * a clamp before it; behind it a normalisation, a sum, and a clamp or another activation.
 */
#ifndef SALISCOPE_ENGINE_CONV_CHAIN_H
#define SALISCOPE_ENGINE_CONV_CHAIN_H

#include "dense.h"
#include "lower.h"

enum { SAL_CONV_CHAIN_MAX = 8 };

struct sal_conv_chain {
    struct sal_conv_geometry g;
    int nodes[SAL_CONV_CHAIN_MAX], n; /* all of it, in order */
    int conv;
    int before;      /* node of the normalisation before it; -1 */
    int norm;        /* and behind it; -1 */
    int added;       /* value that is added; -1 */
    struct sal_affine range; /* low, high: the clamp before; of it all otherwise */
    sal_real low, high;      /* the clamp behind; infinite where there is none */
    sal_map *after;          /* another activation; NULL: none */
    sal_map_slope *after_slope; /* the same with its slope */
};

/* The chain that begins with node head; false where none does. */
bool sal_conv_chain_find(const struct sal_lowering *l, int head, struct sal_conv_chain *chain);

/* One channel each. */
static inline bool sal_conv_is_depthwise(const struct sal_conv_geometry *g)
{
    return g->group > 1 && g->group == g->c && g->group == g->k;
}

/* An image, read where it lies. */
static inline bool sal_conv_is_planar(const struct sal_conv_geometry *g)
{
    return g->group == 1 && g->c <= 4;
}

/* What bias and normalisation come to, in whole blocks of channels; *scale NULL: 1. */
enum sal_status sal_conv_chain_fold(struct sal_lowering *l, const struct sal_conv_chain *chain,
                                    const sal_real **scale, const sal_real **base);

/* What is before it; NULL: nothing. */
enum sal_status sal_conv_chain_before(struct sal_lowering *l,
                                      const struct sal_conv_chain *chain,
                                      const struct sal_affine **before);

/* The value it all makes. */
static inline int sal_conv_chain_out(const struct sal_lowering *l,
                                     const struct sal_conv_chain *chain)
{
    return l->from->nodes[chain->nodes[chain->n - 1]].out[0];
}

/* The value it reads. */
static inline int sal_conv_chain_in(const struct sal_lowering *l,
                                    const struct sal_conv_chain *chain)
{
    return l->from->nodes[chain->nodes[0]].in[0];
}

/* Whether a backward may come that reads what clamp or activation leave for it. */
bool sal_conv_chain_saves(const struct sal_lowering *l, const struct sal_conv_chain *chain);

/* Has the node that is emitted next save that, where it is so. */
enum sal_status sal_conv_chain_save(struct sal_lowering *l, const struct sal_conv_chain *chain);

#endif
