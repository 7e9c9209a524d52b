/*
 * What all tiles have in common: sums that stay in registers from the first product to
 * the last. Included by the lanes_*.c that define multiply(), and by nothing else.
 */
#ifndef SALISCOPE_ENGINE_LANES_TILE_H
#define SALISCOPE_ENGINE_LANES_TILE_H

#include "lanes_vector.h"

enum { VECTORS = SAL_WIDTH * SAL_PARTS };

/* Weights of the next tile come into the second cache while this one computes. GCC's
 * builtin would make it keep the accumulators in memory. */
SAL_INLINE void prefetch(const sal_real *at)
{
#if defined(__x86_64__)
    __asm__ volatile("prefetcht1 (%0)" ::"r"(at));
#else
    (void)at;
#endif
}

struct sums {
    sal_vec at[SAL_PIXELS][VECTORS];
};

/* One step of one tap: its weights times every pixel's value, which lie `step` elements
 * apart. */
SAL_INLINE void multiply(struct sums *sums, const sal_real *const from[2],
                         const sal_real *w, const int rows, const int pixels,
                         const int vectors, const int step);

SAL_INLINE void begin(struct sums *sums, const struct sal_tile *t, const int n,
                      const int vectors)
{
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++) {
        sal_vec base = t->base ? sal_vec_load(t->base + v * SAL_LANES) : (sal_vec){0};
#pragma GCC unroll 32
        for (int p = 0; p < n; p++)
            sums->at[p][v] = base;
    }
}

/* Where vector v of pixel p lies. */
SAL_INLINE ptrdiff_t place(const struct sal_tile *t, int p, int v, const int pixels)
{
    return p / pixels * t->out_row + p % pixels * t->out_pixel +
           v / SAL_PARTS * t->out_block + v % SAL_PARTS * SAL_LANES;
}

SAL_INLINE void finish(struct sums *sums, const struct sal_tile *t, const int rows,
                       const int pixels, const int vectors)
{
    const sal_vec low = sal_vec_of(t->low), high = sal_vec_of(t->high);
#pragma GCC unroll 32
    for (int p = 0; p < rows * pixels; p++)
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++) {
            ptrdiff_t at = place(t, p, v, pixels);
            sal_vec sum = sums->at[p][v];
            if (t->add)
                sum += sal_vec_load(t->add + at);
            sal_vec_store(t->out + at, sal_vec_min(sal_vec_max(sum, low), high));
        }
}

/* lanes: steps of a full block, each of which reads an element of a pixel: 16; 8 of pairs;
 * 1 where input is planar. */
SAL_INLINE void tile(const struct sal_tile *t, const int rows, const int pixels,
                     const int width, const int lanes)
{
    const int vectors = width * SAL_PARTS;
    struct sums sums = {0};
    const sal_real *w = t->w, *soon = t->soon ? t->soon : w;
    const ptrdiff_t ahead = t->soon ? SAL_BLOCK : 0;
    begin(&sums, t, rows * pixels, vectors);
    for (int b = 0; b < t->blocks; b++) {
        const sal_real *block = t->in + b * t->in_block;
        const int n = lanes == 1 || b < t->blocks - 1 ? lanes : t->lanes;
        for (int i = 0; i < t->n_taps; i++) {
            const sal_real *from[2] = {block + t->taps[i]};
            from[1] = from[0] + t->in_row;
#pragma GCC unroll 1
            for (int q = 0; q < n; q++, w += width * SAL_BLOCK) {
                prefetch(soon);
                soon += ahead;
                multiply(&sums, from, w, rows, pixels, vectors, lanes);
                from[0]++, from[1]++;
            }
            w += (lanes - n) * width * SAL_BLOCK;
        }
    }
    finish(&sums, t, rows, pixels, vectors);
}

typedef void (*tile_function)(const struct sal_tile *t);

/* Every tile there is: X(rows, pixels, width). */
#define TO_3(X, w) X(1, 1, w) X(1, 2, w) X(1, 3, w) X(2, 1, w)
#define TO_6(X, w) TO_3(X, w) X(1, 4, w) X(1, 5, w) X(1, 6, w) X(2, 2, w) X(2, 3, w)
#define TO_14(X, w)                                                                    \
    TO_6(X, w) X(1, 7, w) X(1, 8, w) X(1, 9, w) X(1, 10, w) X(1, 11, w) X(1, 12, w)    \
    X(1, 13, w) X(1, 14, w) X(2, 4, w) X(2, 5, w) X(2, 6, w) X(2, 7, w)

#ifdef SAL_DOUBLE
#define EVERY(X) TO_3(X, 1)
#elif defined(__AVX512F__)
#define EVERY(X) TO_14(X, 1) TO_14(X, 2)
#elif defined(__AVX2__) || defined(__ARM_NEON)
#define EVERY(X) TO_6(X, 1)
#else
#define EVERY(X) TO_3(X, 1)
#endif

#endif
