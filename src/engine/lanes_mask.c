/* The gradient that passes an activation, and what a clamp remembers for it. */
#include "lanes_vector.h"

void SAL_NAMED(sal_pass)(sal_real *to, const struct sal_source *from, int64_t n)
{
    for (int64_t i = 0; i < n * SAL_BLOCK; i += SAL_LANES)
        sal_vec_store(to + i, sal_vec_passing(from, i));
}

void SAL_NAMED(sal_add_passed)(sal_real *to, const struct sal_source *from, int64_t n)
{
    for (int64_t i = 0; i < n * SAL_BLOCK; i += SAL_LANES)
        sal_vec_store(to + i, sal_vec_load(to + i) + sal_vec_passing(from, i));
}

void SAL_NAMED(sal_mark)(uint16_t *bits, const sal_real *y, int64_t n, sal_real low,
                         sal_real high)
{
    const sal_vec least = sal_vec_of(low), most = sal_vec_of(high);
    for (int64_t i = 0; i < n; i++, y += SAL_BLOCK) {
        unsigned word = 0;
        for (int part = 0; part < SAL_BLOCK; part += SAL_LANES) {
            const sal_vec v = sal_vec_load(y + part);
            word |= sal_lanes_word(sal_vec_less(least, v) & sal_vec_less(v, most)) << part;
        }
        bits[i] = (uint16_t)word;
    }
}
