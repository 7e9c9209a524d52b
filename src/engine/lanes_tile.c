/* The tile of every convolution and product. */
#include "lanes_tile.h"

/* One channel of one tap: its weights times every pixel's value. */
SAL_INLINE void multiply(struct sums *sums, const sal_real *const from[2],
                         const sal_real *w, const int rows, const int pixels,
                         const int vectors, const int step)
{
    sal_vec weight[VECTORS];
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++)
        weight[v] = sal_vec_load(w + v * SAL_LANES);
#pragma GCC unroll 32
    for (int p = 0; p < rows * pixels; p++) {
        sal_vec x = sal_vec_of(from[p / pixels][p % pixels * step]);
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            sums->at[p][v] += x * weight[v];
    }
}

#define KERNEL(rows, pixels, width)                                                    \
    static __attribute__((noinline)) void tile_##rows##_##pixels##_##width(            \
        const struct sal_tile *t)                                                      \
    {                                                                                  \
        tile(t, rows, pixels, width, SAL_BLOCK);                                       \
    }                                                                                  \
    static __attribute__((noinline)) void planar_##rows##_##pixels##_##width(          \
        const struct sal_tile *t)                                                      \
    {                                                                                  \
        tile(t, rows, pixels, width, 1);                                               \
    }

EVERY(KERNEL)

#define ROW(rows, pixels, width) \
    [width - 1][rows - 1][pixels] = {tile_##rows##_##pixels##_##width, \
                                     planar_##rows##_##pixels##_##width},

static const tile_function tiles[SAL_WIDTH][2][SAL_PIXELS + 1][2] = {EVERY(ROW)};

void SAL_NAMED(sal_tile)(const struct sal_tile *t, int rows, int pixels, int width)
{
    tiles[width - 1][rows - 1][pixels][0](t);
}

void SAL_NAMED(sal_tile_planar)(const struct sal_tile *t, int rows, int pixels, int width)
{
    tiles[width - 1][rows - 1][pixels][1](t);
}
