#include "blocks.h"

#include <stdlib.h>

#include "random.h"

static struct sal_pool *pools[BLOCK_POOLS];

static void close_pools(void)
{
    for (int i = 0; i < BLOCK_POOLS; i++)
        sal_pool_close(pools[i]);
}

struct sal_pool *block_pool(int i)
{
    struct sal_error err;
    if (!pools[0])
        atexit(close_pools);
    for (int j = 0; j < BLOCK_POOLS; j++)
        if (!pools[j] && sal_pool_open(&pools[j], j + 1, &err))
            abort();
    return pools[i];
}

int64_t block_count(const struct sal_blocked *b)
{
    return sal_blocks(b->c) * b->n * b->h * b->w * SAL_BLOCK;
}

int64_t block_pick(uint64_t *state, int64_t least, int64_t most)
{
    return least + (int64_t)(test_random(state) * (double)(most - least + 1));
}

void block_fill(sal_real *x, int64_t n, uint64_t *state)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (sal_real)(2 * test_random(state) - 1);
}

/* Where element i of the plain layout lies. */
static int64_t place(const struct sal_blocked *b, int64_t i)
{
    int64_t w = i % b->w, rows = i / b->w, h = rows % b->h, planes = rows / b->h;
    return block_at(b, planes / b->c, planes % b->c, h, w);
}

void block_from_plain(const struct sal_blocked *b, const sal_real *plain, sal_real *x)
{
    for (int64_t i = 0; i < b->n * b->c * b->h * b->w; i++)
        x[place(b, i)] = plain[i];
}

void block_to_plain(const struct sal_blocked *b, const sal_real *x, sal_real *plain)
{
    for (int64_t i = 0; i < b->n * b->c * b->h * b->w; i++)
        plain[i] = x[place(b, i)];
}

void block_each_table(void (*check)(void *context), void *context)
{
    int n;
    const struct sal_lanes *const *all = sal_lanes_all(&n);
    for (int i = 0; i < n; i++)
        if (sal_lanes_supported(all[i])) {
            sal_lanes_use(all[i]);
            check(context);
        }
    sal_lanes_use(NULL);
}
