/*
 * Weights in bf16, packed for the tile of pairs (lanes.h): neighbouring input channels
 * share an element. Half the room of those that are reals.
 */
#ifndef SALISCOPE_ENGINE_BF16_H
#define SALISCOPE_ENGINE_BF16_H

#include "dense.h"
#include "linear.h"

/* The upper half of the float nearest to x, ties to even. */
uint16_t sal_bf16_of(sal_real x);

/* As sal_dense_pack and sal_linear_pack; d is one of sal_dense_init_bf16. */
void sal_dense_pack_bf16(const struct sal_dense *d, const sal_loose *w,
                         const sal_real *scale, sal_real *packed,
                         struct sal_pool *pool);
void sal_linear_pack_bf16(const struct sal_linear_weights *weights, sal_real *packed,
                          struct sal_pool *pool);

/* Elements of the latter. */
size_t sal_linear_packed_bf16(int64_t c, int64_t k);

#endif
