/* Weights on their way into packs. */
#include <assert.h>

#include "lanes_vector.h"

enum { ROUNDS = SAL_LANES == 16 ? 4 : SAL_LANES == 8 ? 3 : 2 };

static_assert(1 << ROUNDS == SAL_LANES, "as many rounds as bits");

/* Elements of a and b in turn: of their first halves, and of their second. */
#if defined(SAL_DOUBLE) || !defined(__AVX2__)
#define FIRST 0, 4, 1, 5
#define SECOND 2, 6, 3, 7
#elif !defined(__AVX512F__)
#define FIRST 0, 8, 1, 9, 2, 10, 3, 11
#define SECOND 4, 12, 5, 13, 6, 14, 7, 15
#else
#define FIRST 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define SECOND 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#endif

/* A square of vectors: each round deals rows and the columns' halves once more. */
SAL_INLINE void turn_square(sal_vec v[SAL_LANES])
{
#pragma GCC unroll 4
    for (int round = 0; round < ROUNDS; round++) {
        sal_vec next[SAL_LANES];
#pragma GCC unroll 16
        for (int i = 0; i < SAL_LANES / 2; i++) {
            next[2 * i] = SAL_PICK(v[i], v[i + SAL_LANES / 2], FIRST);
            next[2 * i + 1] = SAL_PICK(v[i], v[i + SAL_LANES / 2], SECOND);
        }
#pragma GCC unroll 16
        for (int i = 0; i < SAL_LANES; i++)
            v[i] = next[i];
    }
}

void SAL_NAMED(sal_turn)(const sal_loose *from, ptrdiff_t step, const sal_real *scale,
                         sal_real *to, const ptrdiff_t *at)
{
    for (int row = 0; row < SAL_BLOCK; row += SAL_LANES) {
        const sal_vec times = scale ? sal_vec_load(scale + row) : sal_vec_of(1);
        for (int column = 0; column < SAL_BLOCK; column += SAL_LANES) {
            sal_vec v[SAL_LANES];
#pragma GCC unroll 16
            for (int i = 0; i < SAL_LANES; i++)
                memcpy(&v[i], from + (row + i) * step + column, sizeof(v[i]));
            turn_square(v);
#pragma GCC unroll 16
            for (int i = 0; i < SAL_LANES; i++)
                sal_vec_store(to + at[column + i] + row, v[i] * times);
        }
    }
}

/* Sums three sets of lanes. */
SAL_INLINE void weigh(const double *row, const double *x, ptrdiff_t step, double *y)
{
    for (int lane = 0; lane < SAL_BLOCK; lane++)
        y[lane] =
            row[0] * x[lane] + row[1] * x[lane + step] + row[2] * x[lane + 2 * step];
}

void SAL_NAMED(sal_winograd_weights)(const sal_real *taps, const sal_real *scale,
                                     const double *rows, int side, sal_real *to,
                                     ptrdiff_t position)
{
    double wide[9 * SAL_BLOCK], half[3 * SAL_BLOCK], whole[SAL_BLOCK];
    for (int i = 0; i < 9; i++)
        for (int lane = 0; lane < SAL_BLOCK; lane++)
            wide[i * SAL_BLOCK + lane] =
                (double)taps[i * SAL_BLOCK + lane] * (double)scale[lane];
    for (int i = 0; i < side; i++) {
        for (int j = 0; j < 3; j++)
            weigh(rows + 3 * i, wide + j * SAL_BLOCK, 3 * SAL_BLOCK, half + j * SAL_BLOCK);
        for (int j = 0; j < side; j++, to += position) {
            weigh(rows + 3 * j, half, SAL_BLOCK, whole);
            for (int lane = 0; lane < SAL_BLOCK; lane++)
                to[lane] = (sal_real)whole[lane];
        }
    }
}
