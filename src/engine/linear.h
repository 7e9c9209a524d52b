/*
 * Linear layers: rows of features times a matrix of weights that is packed once.
 *
 *     y[row][k] = base[k] + sum over c of x[row][c] * w[c][k] (+ add[row][k])
 *
 * then, where asked for, its gelu. Rows are cut into tiles of lanes.h; a chunk of them is
 * copied side by side into scratch, and weights stream by. Every element is summed in
 * the order of c, however rows, features and threads are cut. The gradient of x is the
 * same thing with the weights read the other way.
 */
#ifndef SALISCOPE_ENGINE_LINEAR_H
#define SALISCOPE_ENGINE_LINEAR_H

#include "lanes.h"
#include "saliscope/pool.h"

/* Weight (c, k) lies at w[c * c_step + k * k_step]; one of the steps is 1. */
struct sal_linear_weights {
    int64_t c, k; /* features in and out */
    const sal_loose *w;
    int64_t c_step, k_step;
    const sal_real *c_scale, *k_scale; /* it counts times these; NULL: 1 */
};

/* The same matrix the other way round. */
struct sal_linear_weights sal_linear_turned(const struct sal_linear_weights *weights);

struct sal_linear {
    int64_t rows, c, k;
    const sal_real *x, *packed;
    const sal_real *base; /* [whole blocks of k]; NULL: zeros */
    const sal_real *add;  /* laid out like y, may be y; NULL: nothing */
    sal_real *y;
    bool gelu;
    bool bf16; /* packed is of sal_linear_pack_bf16 (bf16.h), x is rounded to be like it */
};

/* Reals of packed weights, for the table of lanes in use. */
size_t sal_linear_packed(int64_t c, int64_t k);
void sal_linear_pack(const struct sal_linear_weights *weights, sal_real *packed,
                     struct sal_pool *pool);

/* Reals of scratch per thread. */
size_t sal_linear_scratch(int64_t rows, int64_t c);

void sal_linear_run(const struct sal_linear *linear, struct sal_pool *pool,
                    sal_real *scratch, size_t scratch_stride);

#endif
