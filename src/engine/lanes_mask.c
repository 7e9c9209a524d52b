/* The gradient that passes a clamp. */
#include "lanes_vector.h"

SAL_INLINE sal_vec passing(const struct sal_source *from, size_t i)
{
    return sal_vec_between(sal_vec_load(from->x + i), sal_vec_load(from->mask + i),
                           sal_vec_of(from->low), sal_vec_of(from->high));
}

static sal_real passing_one(const struct sal_source *from, size_t i)
{
    return from->mask[i] > from->low && from->mask[i] < from->high ? from->x[i] : 0;
}

void SAL_NAMED(sal_mask)(sal_real *to, const struct sal_source *from, size_t n)
{
    size_t i = 0;
    for (; i + SAL_LANES <= n; i += SAL_LANES)
        sal_vec_store(to + i, passing(from, i));
    for (; i < n; i++)
        to[i] = passing_one(from, i);
}

static void add(sal_real *to, const sal_real *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] += x[i];
}

void SAL_NAMED(sal_add_masked)(sal_real *to, const struct sal_source *from, size_t n)
{
    size_t i = 0;
    if (!from->mask) {
        add(to, from->x, n);
        return;
    }
    for (; i + SAL_LANES <= n; i += SAL_LANES)
        sal_vec_store(to + i, sal_vec_load(to + i) + passing(from, i));
    for (; i < n; i++)
        to[i] += passing_one(from, i);
}
