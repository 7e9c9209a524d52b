/* Products summed over the channels of a source, for targets of few channels. */
#include "lanes_vector.h"

/* Pixels of a tile: their sums for three channels stay in registers. */
#if defined(__AVX512F__) && !defined(SAL_DOUBLE)
enum { PIXELS = 8 };
#else
enum { PIXELS = 4 };
#endif

#define LANES_4(X, m, k) X(0, m) + k, X(1, m) + k, X(2, m) + k, X(3, m) + k
#define LANES_8(X, m, k)                                                               \
    LANES_4(X, m, k), X(4, m) + k, X(5, m) + k, X(6, m) + k, X(7, m) + k
#define LANES_16(X, m, k)                                                              \
    LANES_8(X, m, k), X(8, m) + k, X(9, m) + k, X(10, m) + k, X(11, m) + k,            \
        X(12, m) + k, X(13, m) + k, X(14, m) + k, X(15, m) + k

#if defined(__AVX512F__) && !defined(SAL_DOUBLE)
#define EACH_LANE LANES_16
#elif defined(__AVX2__) && !defined(SAL_DOUBLE)
#define EACH_LANE LANES_8
#else
#define EACH_LANE LANES_4
#endif

/* Of two vectors' lanes, those that begin runs of 2 m: where lane i comes from. */
#define FROM(i, m)                                                                     \
    ((i) / (SAL_LANES / 2) * SAL_LANES + (i) % (SAL_LANES / 2) / (m) * 2 * (m) +       \
     (i) % (SAL_LANES / 2) % (m))
#define HALVES(m)                                                                       \
    (SAL_PICK(a, b, EACH_LANE(FROM, m, 0)) + SAL_PICK(a, b, EACH_LANE(FROM, m, m)))

/* Halves of runs of 2 m lanes added up, those of a first. */
SAL_INLINE sal_vec fold(sal_vec a, sal_vec b, const int m)
{
    switch (m) {
#if defined(__AVX512F__) && !defined(SAL_DOUBLE)
    case 8: return HALVES(8);
#endif
#if defined(__AVX2__) && !defined(SAL_DOUBLE)
    case 4: return HALVES(4);
#endif
    case 2: return HALVES(2);
    default: return HALVES(1);
    }
}

/* Lane i is the sum of all lanes of v[i]. */
SAL_INLINE sal_vec sum_each(sal_vec v[PIXELS])
{
    int n = PIXELS;
#pragma GCC unroll 4
    for (int m = SAL_LANES / 2; m > 0; m /= 2) {
        const bool pairs = n > 1;
        n = pairs ? n / 2 : 1;
#pragma GCC unroll 4
        for (int i = 0; i < n; i++)
            v[i] = pairs ? fold(v[2 * i], v[2 * i + 1], m) : fold(v[i], v[i], m);
    }
    return v[0];
}

/* Lanes of a block beyond a vector's go to the same sums. */
SAL_INLINE void dots(const struct sal_dots *d, const int pixels, const int channels)
{
    sal_vec sum[4][PIXELS] = {{{0}}};
    const sal_real *w = d->w;
    for (int b = 0; b < d->blocks; b++)
        for (int t = 0; t < d->n_taps; t++, w += channels * SAL_BLOCK)
            for (int part = 0; part < SAL_BLOCK; part += SAL_LANES) {
                const sal_real *x = d->in + b * d->in_block + d->taps[t] + part;
                sal_vec weight[4] = {{0}};
#pragma GCC unroll 4
                for (int c = 0; c < channels; c++)
                    weight[c] = sal_vec_load(w + c * SAL_BLOCK + part);
#pragma GCC unroll 8
                for (int p = 0; p < pixels; p++) {
                    const sal_vec v = sal_vec_held(sal_vec_load(x + p * SAL_BLOCK));
#pragma GCC unroll 4
                    for (int c = 0; c < channels; c++)
                        sum[c][p] += v * weight[c];
                }
            }
#pragma GCC unroll 4
    for (int c = 0; c < channels; c++) {
        const sal_vec all = sum_each(sum[c]);
        sal_real *out = d->out + c * d->out_channel;
#pragma GCC unroll 8
        for (int p = 0; p < pixels; p++)
            out[p * d->out_pixel] += all[p];
    }
}

typedef void (*dots_function)(const struct sal_dots *d);

#define KERNEL(pixels, channels)                                                       \
    static __attribute__((noinline)) void dots_##pixels##_##channels(                  \
        const struct sal_dots *d)                                                      \
    {                                                                                  \
        dots(d, pixels, channels);                                                     \
    }

#define EACH_CHANNELS(X, pixels) X(pixels, 1) X(pixels, 2) X(pixels, 3) X(pixels, 4)
#define TO_4(X)                                                                        \
    EACH_CHANNELS(X, 1) EACH_CHANNELS(X, 2) EACH_CHANNELS(X, 3) EACH_CHANNELS(X, 4)
#if defined(__AVX512F__) && !defined(SAL_DOUBLE)
#define EVERY(X)                                                                       \
    TO_4(X) EACH_CHANNELS(X, 5) EACH_CHANNELS(X, 6) EACH_CHANNELS(X, 7)                \
    EACH_CHANNELS(X, 8)
#else
#define EVERY(X) TO_4(X)
#endif

EVERY(KERNEL)

#define ROW(pixels, channels) [pixels][channels - 1] = dots_##pixels##_##channels,

static const dots_function tiles[PIXELS + 1][4] = {EVERY(ROW)};

void SAL_NAMED(sal_dots)(const struct sal_dots *d, int64_t n)
{
    const int most = d->channels < 4 ? PIXELS : PIXELS / 2;
    struct sal_dots tile = *d;
    while (n > 0) {
        const int pixels = (int)(n < most ? n : most);
        tiles[pixels][d->channels - 1](&tile);
        tile.in += pixels * SAL_BLOCK;
        tile.out += pixels * tile.out_pixel;
        n -= pixels;
    }
}
