/*
 * Products of many matrices: one shape of product for every index of a batch, cut into
 * tiles whose size depends on nothing but the shapes.
 */
#ifndef SALISCOPE_ENGINE_PRODUCT_H
#define SALISCOPE_ENGINE_PRODUCT_H

#include "blas.h"
#include "kernel.h"

/* c[i] (+)= alpha * a[i] * b[i] for every index i of a batch shape; the steps say
 * where matrix i lies. m x k times k x n. A zeroed batch is one product. No two of c
 * overlap. by_row computes each row of a (which is not transposed then) for itself. */
struct sal_product {
    struct sal_shape batch;
    int64_t a_step[SAL_RANK_MAX], b_step[SAL_RANK_MAX], c_step[SAL_RANK_MAX];
    int64_t m, n, k;
    sal_real alpha;
    struct sal_matrix a, b;
    sal_real *c;
    int64_t c_stride; /* from row to row; 0: n */
    bool add, by_row;
};

void sal_product_run(const struct sal_product *product, struct sal_pool *pool);

/* Elements from the first matrix to that of index i. */
int64_t sal_product_offset(const struct sal_shape *batch, const int64_t *step, int64_t i);

#endif
