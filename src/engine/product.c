#include "product.h"

#include <string.h>

enum { COLUMNS = 256, TILES_MAX = 1 << 24 };

/* What tiles see; one call of the pool counts to TILES_MAX. */
struct tiles {
    const struct sal_product *p;
    int64_t first, columns; /* tiles along n */
};

int64_t sal_product_offset(const struct sal_shape *batch, const int64_t *step, int64_t i)
{
    int64_t offset = 0;
    for (int d = batch->rank - 1; d >= 0; d--) {
        offset += i % batch->dim[d] * step[d];
        i /= batch->dim[d];
    }
    return offset;
}

static int64_t c_stride(const struct sal_product *p)
{
    return p->c_stride ? p->c_stride : p->n;
}

/* Some columns of one product, or of one row of it. */
static void product_tile(void *context, int tile, int worker)
{
    (void)worker;
    const struct tiles *tiles = context;
    const struct sal_product *p = tiles->p;
    int64_t at = tiles->first + tile;
    int64_t parts = p->by_row ? p->m : 1, m = p->by_row ? 1 : p->m;
    int64_t j0 = at % tiles->columns * COLUMNS, j1 = sal_least(j0 + COLUMNS, p->n);
    int64_t row = at / tiles->columns % parts, i = at / tiles->columns / parts;
    struct sal_matrix a = p->a, b = p->b;
    a.data += sal_product_offset(&p->batch, p->a_step, i) + row * a.stride;
    b.data += sal_product_offset(&p->batch, p->b_step, i) +
              (b.transposed ? j0 * b.stride : j0);
    sal_real *c = p->c + sal_product_offset(&p->batch, p->c_step, i) +
                  row * c_stride(p) + j0;
    sal_real beta = p->add ? 1 : 0;
    bool as_vector = m == 1 && (!a.transposed || a.stride == 1);
    if (!as_vector) {
        sal_gemm(m, j1 - j0, p->k, p->alpha, a, b, beta, c, c_stride(p));
        return;
    }
    b.transposed = !b.transposed;
    sal_gemv(j1 - j0, p->k, p->alpha, b, a.data, beta, c);
}

static void clear(const struct sal_product *p, int64_t count)
{
    for (int64_t i = 0; i < count && p->n; i++)
        for (int64_t row = 0; row < p->m; row++)
            memset(p->c + sal_product_offset(&p->batch, p->c_step, i) + row * c_stride(p),
                   0, sizeof(sal_real) * (size_t)p->n);
}

void sal_product_run(const struct sal_product *p, struct sal_pool *pool)
{
    struct tiles tiles = {.p = p, .columns = (p->n + COLUMNS - 1) / COLUMNS};
    int64_t count = sal_shape_count(&p->batch);
    if (p->k == 0 && !p->add)
        clear(p, count);
    if (p->m == 0 || p->k == 0)
        return;
    int64_t n = count * (p->by_row ? p->m : 1) * tiles.columns;
    for (; tiles.first < n; tiles.first += TILES_MAX)
        sal_pool_run(pool, (int)sal_least(n - tiles.first, TILES_MAX), product_tile,
                     &tiles);
}
