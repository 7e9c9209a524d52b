/* A normalisation and its activation on the fly. */
#include "lanes_vector.h"

/* What it does to the channels of one block. */
struct vectors {
    sal_vec scale[SAL_PARTS], shift[SAL_PARTS];
    sal_vec low, high;
};

SAL_INLINE struct vectors vectors_of(const struct sal_affine *affine)
{
    struct vectors v = {.low = sal_vec_of(affine->low), .high = sal_vec_of(affine->high)};
    for (int p = 0; p < SAL_PARTS; p++) {
        v.scale[p] = sal_vec_load(affine->scale + p * SAL_LANES);
        v.shift[p] = sal_vec_load(affine->shift + p * SAL_LANES);
    }
    return v;
}

void SAL_NAMED(sal_affine)(sal_real *to, const sal_real *x,
                           const struct sal_affine *affine, size_t n)
{
    const struct vectors v = vectors_of(affine);
    for (size_t i = 0; i < n; i++)
        for (int p = 0; p < SAL_PARTS; p++) {
            size_t at = i * SAL_BLOCK + (size_t)(p * SAL_LANES);
            sal_vec y = sal_vec_load(x + at) * v.scale[p] + v.shift[p];
            sal_vec_store(to + at, sal_vec_min(sal_vec_max(y, v.low), v.high));
        }
}

void SAL_NAMED(sal_affine_back)(sal_real *dx, const sal_real *dy, const sal_real *x,
                                const struct sal_affine *affine, size_t n)
{
    const struct vectors v = vectors_of(affine);
    for (size_t i = 0; i < n; i++)
        for (int p = 0; p < SAL_PARTS; p++) {
            size_t at = i * SAL_BLOCK + (size_t)(p * SAL_LANES);
            sal_vec y = sal_vec_load(x + at) * v.scale[p] + v.shift[p];
            sal_ivec d = (sal_ivec)(sal_vec_load(dy + at) * v.scale[p]) & (y > v.low) &
                         (y < v.high);
            sal_vec_store(dx + at, sal_vec_load(dx + at) + (sal_vec)d);
        }
}
