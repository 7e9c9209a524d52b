/* Rows that are looked at as a whole: softmax and normalisation. */
#include "lanes_functions.h"

/* Elements of a partial sum, which keeps long sums accurate: a lane adds up no more of them
 * where there are few lanes. */
enum { PART = 128 * SAL_LANES };

/* Calls visit for every vector v of a row, i its first element and n how many count;
 * lanes past the row are `fill`. */
#define EACH(i, v, n, from, fill, visit)                                               \
    for (int64_t i = 0; i < (n); i += SAL_LANES) {                                     \
        const sal_vec v = load_some((from) + i, (n)-i, fill);                          \
        visit;                                                                         \
    }

/* The first n elements, or all that a vector has. */
SAL_INLINE sal_vec load_some(const sal_real *from, int64_t n, sal_real fill)
{
    if (n >= SAL_LANES)
        return sal_vec_load(from);
#if defined(__AVX512F__) && !defined(SAL_DOUBLE)
    return (sal_vec)_mm512_mask_loadu_ps((__m512)sal_vec_of(fill),
                                         (__mmask16)((1u << n) - 1), from);
#else
    sal_real some[SAL_LANES];
    for (int i = 0; i < SAL_LANES; i++)
        some[i] = i < n ? from[i] : fill;
    return sal_vec_load(some);
#endif
}

SAL_INLINE void store_some(sal_real *to, sal_vec v, int64_t n)
{
    if (n >= SAL_LANES) {
        sal_vec_store(to, v);
        return;
    }
#if defined(__AVX512F__) && !defined(SAL_DOUBLE)
    _mm512_mask_storeu_ps(to, (__mmask16)((1u << n) - 1), (__m512)v);
#else
    sal_real some[SAL_LANES];
    sal_vec_store(some, v);
    memcpy(to, some, sizeof(*to) * (size_t)n);
#endif
}

/* By halves, which are added side by side. */
SAL_INLINE sal_real sum_of(sal_vec v)
{
    sal_real lane[SAL_LANES];
    sal_vec_store(lane, v);
#pragma GCC unroll 4
    for (int half = SAL_LANES / 2; half; half /= 2)
#pragma GCC unroll 8
        for (int i = 0; i < half; i++)
            lane[i] += lane[i + half];
    return lane[0];
}

SAL_INLINE sal_real greatest_of(sal_vec v)
{
    sal_real lane[SAL_LANES];
    sal_vec_store(lane, v);
#pragma GCC unroll 4
    for (int half = SAL_LANES / 2; half; half /= 2)
#pragma GCC unroll 8
        for (int i = 0; i < half; i++)
            lane[i] = lane[i] < lane[i + half] ? lane[i + half] : lane[i];
    return lane[0];
}

/* The sum of an expression in i, the first element of a vector, over a row: lane by
 * lane within parts. */
#define SUM(total, i, n, term)                                                         \
    for (int64_t i##_from = 0; i##_from < (n); i##_from += PART) {                     \
        const int64_t i##_to = (n)-i##_from < PART ? (n) : i##_from + PART;            \
        sal_vec i##_sum = {0};                                                         \
        for (int64_t i = i##_from; i < i##_to; i += SAL_LANES)                         \
            i##_sum += (term);                                                         \
        (total) += sum_of(i##_sum);                                                    \
    }

/* ---- softmax --------------------------------------------------------------------- */

void SAL_NAMED(sal_row_softmax)(sal_real *y, const sal_real *x, int64_t n, sal_real scale)
{
    sal_vec most = sal_vec_of(-SAL_INFINITY);
    EACH(i, v, n, x, x[0], most = sal_vec_max(v * scale, most))
    const sal_real top = greatest_of(most);
    sal_real sum = 0;
    for (int64_t from = 0; from < n; from += PART) {
        const int64_t to = n - from < PART ? n : from + PART;
        sal_vec part = {0};
        for (int64_t i = from; i < to; i += SAL_LANES) {
            sal_vec e = sal_vec_exp(load_some(x + i, n - i, -SAL_INFINITY) * scale - top);
            store_some(y + i, e, n - i);
            part += e;
        }
        sum += sum_of(part);
    }
    const sal_real share = 1 / sum;
    EACH(i, v, n, y, 0, store_some(y + i, v * share, n - i))
}

void SAL_NAMED(sal_row_softmax_gradient)(sal_real *dx, const sal_real *y, const sal_real *dy,
                                     int64_t n)
{
    sal_real dot = 0;
    SUM(dot, i, n, load_some(y + i, n - i, 0) * load_some(dy + i, n - i, 0))
    EACH(i, v, n, y, 0,
         store_some(dx + i,
                    load_some(dx + i, n - i, 0) + v * (load_some(dy + i, n - i, 0) - dot),
                    n - i))
}

void SAL_NAMED(sal_row_softmax_pull)(sal_real *d, const sal_real *y, int64_t n)
{
    sal_real dot = 0;
    SUM(dot, i, n, load_some(y + i, n - i, 0) * load_some(d + i, n - i, 0))
    EACH(i, v, n, y, 0,
         store_some(d + i, v * (load_some(d + i, n - i, 0) - dot), n - i))
}

/* ---- normalisation ---------------------------------------------------------------- */

void SAL_NAMED(sal_row_moments)(const sal_real *x, int64_t n, bool centred, sal_real *mean,
                            sal_real *squares)
{
    sal_real sum = 0, total = 0;
    if (centred)
        SUM(sum, i, n, load_some(x + i, n - i, 0))
    *mean = sum / (sal_real)n;
    const sal_real middle = *mean;
    for (int64_t from = 0; from < n; from += PART) {
        const int64_t to = n - from < PART ? n : from + PART;
        sal_vec part = {0};
        for (int64_t i = from; i < to; i += SAL_LANES) {
            const sal_vec d = load_some(x + i, n - i, middle) - middle;
            part += d * d;
        }
        total += sum_of(part);
    }
    *squares = total;
}

SAL_INLINE sal_vec scale_at(const struct sal_row_norm *norm, int64_t i, int64_t n)
{
    return norm->scale ? load_some(norm->scale + i, n - i, 0) : sal_vec_of(1);
}

SAL_INLINE sal_vec bias_at(const struct sal_row_norm *norm, int64_t i, int64_t n)
{
    return norm->bias ? load_some(norm->bias + i, n - i, 0) : (sal_vec){0};
}

void SAL_NAMED(sal_row_normalise)(sal_real *y, const sal_real *x, int64_t n,
                              const struct sal_row_norm *norm)
{
    const sal_real mean = norm->mean, factor = norm->factor;
    EACH(i, v, n, x, 0,
         store_some(y + i,
                    (v - mean) * factor * scale_at(norm, i, n) + bias_at(norm, i, n),
                    n - i))
}

void SAL_NAMED(sal_row_normalise_gradient)(sal_real *dx, const sal_real *x, const sal_real *dy,
                                       int64_t n, const struct sal_row_norm *norm)
{
    const sal_real mean = norm->mean, factor = norm->factor;
    sal_real sum_g = 0, sum_gd = 0;
    SUM(sum_g, i, n, load_some(dy + i, n - i, 0) * scale_at(norm, i, n))
    SUM(sum_gd, i, n,
        load_some(dy + i, n - i, 0) * scale_at(norm, i, n) *
            (load_some(x + i, n - i, mean) - mean))
    const sal_real by_mean = norm->centred ? -factor * sum_g / (sal_real)n : 0;
    const sal_real by_factor = 2 * norm->slope * sum_gd;
    EACH(i, v, n, x, 0,
         store_some(dx + i,
                    load_some(dx + i, n - i, 0) +
                        factor * (load_some(dy + i, n - i, 0) * scale_at(norm, i, n)) +
                        by_mean + by_factor * (v - mean),
                    n - i))
}
