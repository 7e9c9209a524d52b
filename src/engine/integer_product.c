#include "integer_product.h"

#include <string.h>

#include "blas.h"

/* Of one tile: the three blocks stay in the second-level cache. */
enum { ROWS = 64, COLUMNS = 128, DEPTH = 256 };
enum { BLOCKS = ROWS * DEPTH + DEPTH * COLUMNS + ROWS * COLUMNS };

enum sal_status sal_infer_bytes(const struct sal_infer *infer, int i, int zero,
                                struct sal_error *err)
{
    enum sal_status status = sal_infer_kind(infer, i, SAL_INT, err);
    if (status)
        return status;
    int type = infer->in[i]->type;
    if (type != SAL_ONNX_INT8 && type != SAL_ONNX_UINT8)
        return sal_node_fail(infer->node, err, SAL_UNSUPPORTED,
                             "input %d is %s, int8 and uint8 are supported", i,
                             sal_onnx_type_name(type));
    const struct sal_tensor *point = zero < 0 ? NULL : sal_infer_in(infer, zero);
    if (point && point->type != type)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "input %d is %s, its zero point %s", i,
                             sal_onnx_type_name(type), sal_onnx_type_name(point->type));
    return SAL_OK;
}

size_t sal_integer_product_scratch(void)
{
    /* One more, so that doubles can be aligned. */
    return (BLOCKS + 1) * sizeof(double) / sizeof(sal_real);
}

static int64_t parts_of(int64_t n, int64_t part)
{
    return (n + part - 1) / part;
}

static double *aligned(sal_real *scratch)
{
    uintptr_t address = (uintptr_t)(void *)scratch, step = sizeof(double);
    return (double *)((address + step - 1) / step * step);
}

struct job {
    const struct sal_integer_product *p;
    int64_t tiles, grain; /* tiles of one piece of the pool's work */
};

static void do_tile(const struct sal_integer_product *p, int64_t tile, int worker)
{
    double *a = aligned(p->k->scratch + (size_t)worker * p->k->scratch_stride);
    double *b = a + ROWS * DEPTH, *sums = b + DEPTH * COLUMNS;
    int64_t across = parts_of(p->n, COLUMNS), down = parts_of(p->m, ROWS);
    int64_t i = tile / (across * down);
    int64_t row = tile / across % down * ROWS, column = tile % across * COLUMNS;
    int64_t rows = sal_least(ROWS, p->m - row);
    int64_t columns = sal_least(COLUMNS, p->n - column);
    memset(sums, 0, sizeof(*sums) * (size_t)(rows * columns));
    for (int64_t at = 0; at < p->depth; at += DEPTH) {
        int64_t depth = sal_least(DEPTH, p->depth - at);
        p->a(p, i, (struct sal_area){row, rows, at, depth}, a);
        p->b(p, i, (struct sal_area){at, depth, column, columns}, b);
        sal_gemm_double(rows, columns, depth, a, b, sums);
    }
    p->take(p, i, (struct sal_area){row, rows, column, columns}, sums);
}

static void do_piece(void *context, int piece, int worker)
{
    const struct job *job = context;
    int64_t from = piece * job->grain, to = sal_least(from + job->grain, job->tiles);
    for (int64_t tile = from; tile < to; tile++)
        do_tile(job->p, tile, worker);
}

void sal_integer_product(const struct sal_integer_product *p)
{
    struct job job = {.p = p, .grain = 1};
    job.tiles = p->count * parts_of(p->m, ROWS) * parts_of(p->n, COLUMNS);
    while (job.tiles / job.grain >= 1 << 24)
        job.grain *= 2;
    sal_pool_run(p->k->pool, (int)parts_of(job.tiles, job.grain), do_piece, &job);
}
