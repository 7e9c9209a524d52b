#include "blas.h"

#include <cblas.h>
#include <pthread.h>
#include <stdio.h>

#include "saliscope/run.h"

#ifdef SAL_DOUBLE
#define GEMM cblas_dgemm
#define GEMV cblas_dgemv
#else
#define GEMM cblas_sgemm
#define GEMV cblas_sgemv
#endif

/* Two pools would fight for the same processors, and ours cuts the work so that
 * results do not depend on how many there are. */
static void keep_to_one_thread(void)
{
    openblas_set_num_threads(1);
}

static void start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, keep_to_one_thread);
}

static CBLAS_TRANSPOSE form(struct sal_matrix matrix)
{
    return matrix.transposed ? CblasTrans : CblasNoTrans;
}

void sal_gemm(int64_t m, int64_t n, int64_t k, sal_real alpha, struct sal_matrix a,
              struct sal_matrix b, sal_real beta, sal_real *c, int64_t c_stride)
{
    start();
    GEMM(CblasRowMajor, form(a), form(b), (blasint)m, (blasint)n, (blasint)k, alpha,
         a.data, (blasint)a.stride, b.data, (blasint)b.stride, beta, c,
         (blasint)c_stride);
}

void sal_gemm_double(int64_t m, int64_t n, int64_t k, const double *a, const double *b,
                     double *c)
{
    start();
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)m, (blasint)n,
                (blasint)k, 1, a, (blasint)k, b, (blasint)n, 1, c, (blasint)n);
}

void sal_gemv(int64_t m, int64_t n, sal_real alpha, struct sal_matrix a,
              const sal_real *x, sal_real beta, sal_real *y)
{
    start();
    int64_t rows = a.transposed ? n : m, columns = a.transposed ? m : n;
    GEMV(CblasRowMajor, form(a), (blasint)rows, (blasint)columns, alpha, a.data,
         (blasint)a.stride, x, 1, beta, y, 1);
}

const char *sal_blas_describe(void)
{
    start();
    return openblas_get_config();
}
