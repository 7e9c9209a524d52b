/* The gradient that passes a clamp. */
#include "lanes_vector.h"

void SAL_NAMED(sal_mask)(sal_real *to, const struct sal_source *from, size_t n)
{
    const sal_vec low = sal_vec_of(from->low), high = sal_vec_of(from->high);
    size_t i = 0;
    for (; i + SAL_LANES <= n; i += SAL_LANES) {
        sal_vec mask = sal_vec_load(from->mask + i);
        sal_ivec x = (sal_ivec)sal_vec_load(from->x + i);
        sal_vec_store(to + i, (sal_vec)(x & (mask > low) & (mask < high)));
    }
    for (; i < n; i++)
        to[i] = from->mask[i] > from->low && from->mask[i] < from->high ? from->x[i] : 0;
}
