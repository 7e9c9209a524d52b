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
