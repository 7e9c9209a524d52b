#include "product.h"

#include <string.h>

/* Rows that are computed for themselves share a tile, whose part of b (KEPT reals at most,
 * where columns allow) then stays in the second cache from one to the next. */
enum { COLUMNS = 256, COLUMNS_LEAST = 8, ROWS = 16, KEPT = 160 * 1024, TILES_MAX = 1 << 24 };

/* What tiles see; one call of the pool counts to TILES_MAX. */
struct tiles {
    const struct sal_product *p;
    int64_t first;
    int64_t width;          /* columns of a tile: of the shape of b alone */
    int64_t columns, parts; /* tiles along n and m */
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

/* Columns j0..j1-1 of row `row`, or of all rows where they are computed together. */
static void product_part(const struct sal_product *p, int64_t i, int64_t row, int64_t j0,
                         int64_t j1)
{
    int64_t m = p->by_row ? 1 : p->m;
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

/* Some columns of one product, or of some rows of it, one by one. */
static void product_tile(void *context, int tile, int worker)
{
    (void)worker;
    const struct tiles *tiles = context;
    const struct sal_product *p = tiles->p;
    int64_t at = tiles->first + tile;
    int64_t j0 = at % tiles->columns * tiles->width, j1 = sal_least(j0 + tiles->width, p->n);
    int64_t part = at / tiles->columns % tiles->parts, i = at / tiles->columns / tiles->parts;
    int64_t end = p->by_row ? sal_least((part + 1) * ROWS, p->m) : 1;
    for (int64_t row = part * ROWS; row < end; row++)
        product_part(p, i, row, j0, j1);
}

static struct tiles tiles_of(const struct sal_product *p)
{
    struct tiles tiles = {.p = p, .width = COLUMNS, .parts = 1};
    if (p->by_row) {
        int64_t fit = p->k ? KEPT / p->k / COLUMNS_LEAST * COLUMNS_LEAST : COLUMNS;
        tiles.width = sal_least(fit < COLUMNS_LEAST ? COLUMNS_LEAST : fit, COLUMNS);
        tiles.parts = (p->m + ROWS - 1) / ROWS;
    }
    tiles.columns = (p->n + tiles.width - 1) / tiles.width;
    return tiles;
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
    struct tiles tiles = tiles_of(p);
    int64_t count = sal_shape_count(&p->batch);
    if (p->k == 0 && !p->add)
        clear(p, count);
    if (p->m == 0 || p->k == 0)
        return;
    int64_t n = count * tiles.parts * tiles.columns;
    for (; tiles.first < n; tiles.first += TILES_MAX)
        sal_pool_run(pool, (int)sal_least(n - tiles.first, TILES_MAX), product_tile,
                     &tiles);
}
