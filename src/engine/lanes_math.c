/* Exponentials and their kin over arrays. */
#include "lanes_functions.h"

SAL_INLINE sal_vec sal_vec_swish(sal_vec x)
{
    return x * sal_vec_sigmoid(x);
}

SAL_INLINE sal_vec sal_vec_hard_swish(sal_vec x)
{
    const sal_vec gate = sal_vec_min(sal_vec_max(x + 3, sal_vec_of(0)), sal_vec_of(6));
    return x * gate / 6;
}

/* What is left over takes the same way as whole vectors: where an array is cut must
 * not change what comes of an element. */
#define MAP(name)                                                                      \
    static __attribute__((noinline)) void name##_whole(sal_real *y, const sal_real *x, \
                                                       int64_t n)                      \
    {                                                                                  \
        for (int64_t i = 0; i < n; i += SAL_LANES)                                     \
            sal_vec_store(y + i, sal_vec_##name(sal_vec_load(x + i)));                 \
    }                                                                                  \
    void SAL_NAMED(sal_map_##name)(sal_real * y, const sal_real *x, int64_t n)             \
    {                                                                                  \
        const int64_t whole = n - n % SAL_LANES;                                       \
        sal_real rest[SAL_LANES] = {0};                                                \
        name##_whole(y, x, whole);                                                     \
        if (whole == n)                                                                \
            return;                                                                    \
        memcpy(rest, x + whole, sizeof(*x) * (size_t)(n - whole));                     \
        name##_whole(rest, rest, SAL_LANES);                                           \
        memcpy(y + whole, rest, sizeof(*y) * (size_t)(n - whole));                     \
    }

MAP(exp)
MAP(erf)
MAP(tanh)
MAP(sigmoid)
MAP(gelu)
MAP(gelu_slope)
MAP(swish)
MAP(hard_swish)

/* ---- with slopes: of whole pixels -------------------------------------------------- */

SAL_INLINE sal_vec sigmoid_and_slope(sal_vec x, sal_vec *slope)
{
    const sal_vec gate = sal_vec_sigmoid(x);
    *slope = gate * (1 - gate);
    return gate;
}

SAL_INLINE sal_vec swish_and_slope(sal_vec x, sal_vec *slope)
{
    const sal_vec gate = sal_vec_sigmoid(x), y = x * gate;
    *slope = gate + y * (1 - gate);
    return y;
}

SAL_INLINE sal_vec hard_swish_and_slope(sal_vec x, sal_vec *slope)
{
    const sal_vec least = sal_vec_of(-3), most = sal_vec_of(3);
    const sal_vec rises = (x + x + 3) / 6;
    *slope = sal_vec_where(sal_vec_less(least, x),
                           sal_vec_pick(sal_vec_less(x, most), rises, sal_vec_of(1)));
    return sal_vec_hard_swish(x);
}

#define AND_SLOPE(name)                                                                     \
    void SAL_NAMED(sal_##name)(sal_real * y, sal_real * slope, const sal_real *x,      \
                               int64_t n)                                              \
    {                                                                                  \
        for (int64_t i = 0; i < n; i += SAL_LANES) {                                   \
            sal_vec bend;                                                              \
            sal_vec_store(y + i, name(sal_vec_load(x + i), &bend));                    \
            sal_vec_store(slope + i, bend);                                            \
        }                                                                              \
    }

AND_SLOPE(sigmoid_and_slope)
AND_SLOPE(swish_and_slope)
AND_SLOPE(hard_swish_and_slope)
