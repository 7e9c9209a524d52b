#include "target.h"

void sal_target_finish(const struct sal_target *t, ptrdiff_t at, int64_t n)
{
    sal_real *y = t->y + at;
    if (t->saved.bits)
        sal_lanes()->mark(t->saved.bits + at / SAL_BLOCK, y, n, t->low, t->high);
    if (t->saved.slope)
        t->after_slope(y, t->saved.slope + at, y, n * SAL_BLOCK);
    else if (t->after)
        t->after(y, y, n * SAL_BLOCK);
}
