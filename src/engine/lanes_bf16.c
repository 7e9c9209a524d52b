/* The tile of pairs: two channels in bf16 where there is room for one real, multiplied
 * and summed in float by one instruction. Only AVX-512 has a kernel for it. */
#include "lanes_vector.h"

#if defined(__AVX512BF16__) && !defined(SAL_DOUBLE)

#include "lanes_tile.h"

SAL_INLINE __m512bh held_pairs(const sal_real *from)
{
    return (__m512bh)(__m512i)sal_vec_held(sal_vec_load(from));
}

SAL_INLINE __m512bh same_pair(const sal_real *from)
{
    int pair;
    memcpy(&pair, from, sizeof(pair));
    return (__m512bh)_mm512_set1_epi32(pair);
}

/* The pairs of two channels. */
SAL_INLINE void multiply(struct sums *sums, const sal_real *const from[2],
                         const sal_real *w, const int rows, const int pixels,
                         const int vectors, const int step)
{
    __m512bh weight[VECTORS];
#pragma GCC unroll 8
    for (int v = 0; v < vectors; v++)
        weight[v] = held_pairs(w + v * SAL_LANES);
#pragma GCC unroll 32
    for (int p = 0; p < rows * pixels; p++) {
        __m512bh x = same_pair(from[p / pixels] + p % pixels * step);
#pragma GCC unroll 8
        for (int v = 0; v < vectors; v++)
            sums->at[p][v] =
                (sal_vec)_mm512_dpbf16_ps((__m512)sums->at[p][v], x, weight[v]);
    }
}

#define KERNEL(rows, pixels, width)                                                    \
    static __attribute__((noinline)) void tile_##rows##_##pixels##_##width(            \
        const struct sal_tile *t)                                                      \
    {                                                                                  \
        tile(t, rows, pixels, width, SAL_PAIRS);                                       \
    }

EVERY(KERNEL)

#define ROW(rows, pixels, width)                                                       \
    [width - 1][rows - 1][pixels] = tile_##rows##_##pixels##_##width,

static const tile_function tiles[SAL_WIDTH][2][SAL_PIXELS + 1] = {EVERY(ROW)};

void SAL_NAMED(sal_tile_bf16)(const struct sal_tile *t, int rows, int pixels, int width)
{
    tiles[width - 1][rows - 1][pixels](t);
}

void SAL_NAMED(sal_to_bf16)(sal_real *to, ptrdiff_t to_step, const sal_real *x,
                            ptrdiff_t x_step, int64_t n)
{
    for (int64_t i = 0; i < n; i++, to += to_step, x += x_step) {
        __m256bh pairs = _mm512_cvtneps_pbh((__m512)sal_vec_load(x));
        memcpy(to, &pairs, sizeof(pairs));
    }
}

#endif
