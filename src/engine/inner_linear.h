/*
 * The linear layer of a lowered graph: packed weights, and folded in what stands around
 * it: a bias, a scale per output, a sum, a gelu.
 */
#ifndef SALISCOPE_ENGINE_INNER_LINEAR_H
#define SALISCOPE_ENGINE_INNER_LINEAR_H

#include "linear.h"
#include "op.h"
#include "packs.h"

/* y = gelu(in[0] * weights + base + in[1]) over the last axis of in[0], whose product of
 * others is the number of rows; in[1] is there where something is added. A node's attr. */
struct sal_inner_linear {
    const struct sal_tensor *source; /* what the weights are of */
    struct sal_linear_weights weights;
    struct sal_pack *packed[2]; /* forward, and the other way round */
    const sal_real *base;       /* whole blocks; NULL: zeros */
    bool gelu;                  /* forward only: a gradient would need what went in */
    bool bf16;                  /* the forward: packed[0] is of pairs */
};

extern const struct sal_op sal_inner_linear;

/* Reserves packs; key tells the weights, of its forms the even one given and the next are
 * used, and with bf16 the second after it. Without gradient, the way back is not. */
enum sal_status sal_inner_linear_init(struct sal_inner_linear *linear, bool gradient,
                                      struct sal_packs *packs, struct sal_pack_key key,
                                      struct sal_error *err);

#endif
