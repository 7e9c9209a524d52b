#include "kernel.h"

#include <string.h>

enum { TILES_MAX = 1 << 24 };

struct pieces {
    int64_t n, grain;
    void (*work)(const struct sal_kernel *k, int64_t from, int64_t to, int worker);
    const struct sal_kernel *k;
};

static void do_piece(void *context, int tile, int worker)
{
    const struct pieces *pieces = context;
    int64_t from = tile * pieces->grain, to = from + pieces->grain;
    pieces->work(pieces->k, from, to < pieces->n ? to : pieces->n, worker);
}

void sal_split(struct sal_pool *pool, int64_t n, int64_t grain,
               void (*work)(const struct sal_kernel *k, int64_t from, int64_t to,
                            int worker),
               const struct sal_kernel *k)
{
    if (n < 1)
        return;
    while (n / grain >= TILES_MAX)
        grain *= 2;
    struct pieces pieces = {.n = n, .grain = grain, .work = work, .k = k};
    sal_pool_run(pool, (int)((n + grain - 1) / grain), do_piece, &pieces);
}

struct zeros {
    sal_real *x;
    int64_t n, each;
};

static void zero_tile(void *context, int tile, int worker)
{
    (void)worker;
    const struct zeros *z = context;
    const int64_t from = tile * z->each;
    memset(z->x + from, 0, sizeof(*z->x) * (size_t)sal_least(z->each, z->n - from));
}

void sal_zero(sal_real *x, int64_t n, struct sal_pool *pool)
{
    enum { TILES = 64 };
    const int64_t each = n / TILES > SAL_TILE ? n / TILES : SAL_TILE;
    struct zeros zeros = {x, n, each};
    if (n > 0)
        sal_pool_run(pool, (int)((n + each - 1) / each), zero_tile, &zeros);
}

void sal_add(sal_real *to, const sal_real *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        to[i] += from[i];
}

enum { LANES = 8, PARTIAL = 1024 };

/* Lanes let the compiler add several at once without changing the order. */
static sal_real sum_part(const sal_real *x, int64_t n)
{
    sal_real lane[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++)
            lane[j] += x[i + j];
    for (int j = 0; j < LANES; j++)
        sum += lane[j];
    for (; i < n; i++)
        sum += x[i];
    return sum;
}

sal_real sal_sum(const sal_real *x, int64_t n)
{
    sal_real sum = 0;
    for (int64_t i = 0; i < n; i += PARTIAL)
        sum += sum_part(x + i, n - i < PARTIAL ? n - i : PARTIAL);
    return sum;
}

void sal_pass_forward(const struct sal_kernel *k)
{
    const struct sal_tensor *x = k->in[0], *y = k->out[0];
    size_t bytes = (size_t)sal_shape_count(&y->shape) * sal_kind_size(y->kind);
    if (bytes && y->data != x->data)
        memcpy(y->data, x->data, bytes);
}

static void add_piece(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    sal_add(k->dx[0] + from, k->dy[0] + from, to - from);
}

void sal_pass_backward(const struct sal_kernel *k)
{
    if (k->dx[0] && k->dy[0])
        sal_split(k->pool, sal_shape_count(&k->out[0]->shape), SAL_TILE, add_piece, k);
}

static void add_to_added(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    if (k->fresh & 1u << 1)
        memcpy(k->dx[1] + from, k->dy[0] + from, sizeof(sal_real) * (size_t)(to - from));
    else
        sal_add(k->dx[1] + from, k->dy[0] + from, to - from);
}

void sal_added_backward(const struct sal_kernel *k)
{
    if (sal_kernel_dx(k, 1) && k->dy[0])
        sal_split(k->pool, sal_shape_count(&k->out[0]->shape), SAL_TILE, add_to_added, k);
}

void sal_carry_in_order(const struct sal_kernel *k, int input, int output,
                        struct sal_carry *carry)
{
    const struct sal_shape *x = &k->in[input]->shape, *y = &k->out[output]->shape;
    for (int i = 0; i < y->rank && i < x->rank; i++) {
        carry->axis[i] = i;
        carry->exact[i] = y->dim[i] == x->dim[i];
    }
}
