/* One pixel against all of one block. */
#include "lanes_vector.h"

/* Sums of up to so many pixels each are added up: long sums stay accurate. */
enum { PARTIAL = 256, AT_ONCE = 4 };

SAL_INLINE sal_vec term(const sal_real *x, const sal_real *times, int64_t pixel)
{
    const sal_vec v = sal_vec_load(x + pixel * SAL_BLOCK);
    return times ? v * sal_vec_load(times + pixel * SAL_BLOCK) : v;
}

static sal_vec sum_part(const sal_real *x, const sal_real *times, int64_t n)
{
    sal_vec sum[AT_ONCE] = {{0}};
    int64_t i = 0;
    for (; i + AT_ONCE <= n; i += AT_ONCE)
        for (int j = 0; j < AT_ONCE; j++)
            sum[j] += term(x, times, i + j);
    for (; i < n; i++)
        sum[0] += term(x, times, i);
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

void SAL_NAMED(sal_sum_pixels)(const sal_real *x, const sal_real *times, int64_t n,
                               sal_real *y)
{
    for (int part = 0; part < SAL_BLOCK; part += SAL_LANES) {
        sal_vec sum = {0};
        for (int64_t i = 0; i < n; i += PARTIAL) {
            const int64_t at = i * SAL_BLOCK + part;
            sum += sum_part(x + at, times ? times + at : NULL,
                            n - i < PARTIAL ? n - i : PARTIAL);
        }
        sal_vec_store(y + part, sum);
    }
}

/* The vectors of one pixel. */
struct pixel {
    sal_vec part[SAL_PARTS];
};

SAL_INLINE struct pixel pixel_at(const sal_real *x)
{
    struct pixel p = {{{0}}};
    for (int i = 0; i < SAL_PARTS; i++)
        p.part[i] = sal_vec_load(x + i * SAL_LANES);
    return p;
}

void SAL_NAMED(sal_add_pixel)(sal_real *x, int64_t n, const sal_real *y)
{
    const struct pixel plus = pixel_at(y);
    for (int64_t i = 0; i < n; i++, x += SAL_BLOCK)
        for (int j = 0; j < SAL_PARTS; j++) {
            sal_real *at = x + j * SAL_LANES;
            sal_vec_store(at, sal_vec_load(at) + plus.part[j]);
        }
}

void SAL_NAMED(sal_add_scaled)(sal_real *x, const sal_real *times, int64_t n,
                               const sal_real *y)
{
    const struct pixel scale = pixel_at(y);
    for (int64_t i = 0; i < n; i++, x += SAL_BLOCK, times += SAL_BLOCK)
        for (int j = 0; j < SAL_PARTS; j++) {
            sal_real *at = x + j * SAL_LANES;
            sal_vec_store(at, sal_vec_load(at) +
                                  sal_vec_load(times + j * SAL_LANES) * scale.part[j]);
        }
}
