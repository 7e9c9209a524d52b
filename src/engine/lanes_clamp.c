/* Element by element: values kept within bounds, and what passes them back. */
#include "lanes_vector.h"

void SAL_NAMED(sal_clamp)(const sal_real *x, int64_t n, sal_real low, sal_real high,
                          sal_real *y)
{
    const sal_vec least = sal_vec_of(low), most = sal_vec_of(high);
    int64_t i = 0;
    for (; i + SAL_LANES <= n; i += SAL_LANES)
        sal_vec_store(y + i,
                      sal_vec_min(sal_vec_max(sal_vec_load(x + i), least), most));
    for (; i < n; i++) {
        const sal_real raised = x[i] < low ? low : x[i];
        y[i] = raised > high ? high : raised;
    }
}

SAL_INLINE void back(const sal_real *x, const sal_real *dy, int64_t n, sal_real low,
                     sal_real high, const bool open, sal_real *dx)
{
    const sal_vec least = sal_vec_of(low), most = sal_vec_of(high);
    int64_t i = 0;
    for (; i + SAL_LANES <= n; i += SAL_LANES) {
        const sal_vec v = sal_vec_load(x + i), term = sal_vec_load(dy + i);
        const sal_lane_mask above =
            open ? sal_vec_less(least, v) : sal_vec_no_more(least, v);
        sal_vec_store(dx + i,
                      sal_vec_load(dx + i) +
                          sal_vec_where(above & sal_vec_no_more(v, most), term));
    }
    for (; i < n; i++)
        dx[i] += (x[i] > low || (!open && x[i] == low)) && x[i] <= high ? dy[i] : 0;
}

void SAL_NAMED(sal_clamp_back)(const sal_real *x, const sal_real *dy, int64_t n,
                               sal_real low, sal_real high, bool open, sal_real *dx)
{
    if (open)
        back(x, dy, n, low, high, true, dx);
    else
        back(x, dy, n, low, high, false, dx);
}
