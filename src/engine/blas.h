/*
 * Matrix products: OpenBLAS, kept at one thread, called on our own tiles.
 */
#ifndef SALISCOPE_ENGINE_BLAS_H
#define SALISCOPE_ENGINE_BLAS_H

#include <stdbool.h>
#include <stdint.h>

#include "saliscope/tensor.h"

/* A matrix as it lies: row-major, `stride` elements from row to row; read as its
 * transpose when `transposed` is set. */
struct sal_matrix {
    const sal_real *data;
    int64_t stride;
    bool transposed;
};

/* c[m][n] = alpha * a * b + beta * c, a read as m x k, b as k x n. beta 0
 * overwrites c whatever it holds. */
void sal_gemm(int64_t m, int64_t n, int64_t k, sal_real alpha, struct sal_matrix a,
              struct sal_matrix b, sal_real beta, sal_real *c, int64_t c_stride);

/* c[m][n] += a * b in double, all three lying row after row. */
void sal_gemm_double(int64_t m, int64_t n, int64_t k, const double *a, const double *b,
                     double *c);

/* y[m] = alpha * a * x + beta * y, a read as m x n. */
void sal_gemv(int64_t m, int64_t n, sal_real alpha, struct sal_matrix a,
              const sal_real *x, sal_real beta, sal_real *y);

#endif
