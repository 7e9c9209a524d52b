/*
 * Blocked activations in tests: where a channel lies, random fillings, every table of
 * vector kernels and numbers of threads.
 */
#ifndef TESTS_BLOCKS_H
#define TESTS_BLOCKS_H

#include "blocked.h"

/* 1, 2 and 3 threads; opened once, closed at exit. */
enum { BLOCK_POOLS = 3 };
struct sal_pool *block_pool(int i);

/* Where element n, c, h, w of the activation lies. */
static inline int64_t block_at(const struct sal_blocked *b, int64_t n, int64_t c,
                               int64_t h, int64_t w)
{
    int64_t pixel = ((c / SAL_BLOCK * b->n + n) * b->h + h) * b->w + w;
    return pixel * SAL_BLOCK + c % SAL_BLOCK;
}

/* Elements with all lanes. */
int64_t block_count(const struct sal_blocked *b);

/* In least..most. */
int64_t block_pick(uint64_t *state, int64_t least, int64_t most);

/* In -1..1, lanes that count for nothing too. */
void block_fill(sal_real *x, int64_t n, uint64_t *state);

/* Between plain N x C x H x W and blocks, whose other lanes are left as they are. */
void block_from_plain(const struct sal_blocked *b, const sal_real *plain, sal_real *x);
void block_to_plain(const struct sal_blocked *b, const sal_real *x, sal_real *plain);

/* Calls check with every vector table in use that the processor can run. */
void block_each_table(void (*check)(void *context), void *context);

#endif
