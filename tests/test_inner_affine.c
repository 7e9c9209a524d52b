/* Scaled and shifted channels of blocked activations against loops in double. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "blocks.h"
#include "inner_affine.h"
#include "lone.h"
#include "random.h"
#include "real.h"

enum { CASES = 300 };

struct affine {
    struct sal_blocked b;
    struct sal_inner_affine_attr attr;
    struct lone lone;
};

static void make(struct affine *a, uint64_t *state)
{
    a->b = (struct sal_blocked){block_pick(state, 1, 3), block_pick(state, 1, 50),
                                block_pick(state, 1, 40), block_pick(state, 1, 40)};
    double kind = test_random(state);
    a->attr.low = kind < 0.4 ? -SAL_INFINITY : 0;
    a->attr.high = kind < 0.7 ? SAL_INFINITY : SAL_REAL_OF(0.4);
    const int64_t channels = sal_blocks(a->b.c) * SAL_BLOCK;
    lone_init(&a->lone, &sal_inner_affine, &a->attr);
    block_fill(lone_input(&a->lone, 5, sal_blocked_shape(&a->b).dim),
               block_count(&a->b), state);
    block_fill(lone_input(&a->lone, 1, &channels), channels, state);
    block_fill(lone_input(&a->lone, 1, &channels), channels, state);
    lone_infer(&a->lone, true);
    block_fill(a->lone.dy, block_count(&a->b), state);
}

static void near(const struct affine *a, const char *what, int64_t i, sal_real got,
                 double want)
{
    if (!(fabs((double)got - want) <= 8 * (double)SAL_EPSILON))
        fail_msg("%s, %s: element %d of %d is %g, not %g", sal_lanes()->name, what,
                 (int)i, (int)block_count(&a->b), (double)got, want);
}

/* Two passes back: it adds. */
static void check(void *context)
{
    struct affine *a = context;
    struct lone *l = &a->lone;
    const int64_t n = block_count(&a->b), block = n / sal_blocks(a->b.c);
    for (int pool = 0; pool < BLOCK_POOLS; pool++) {
        memset(l->dx[0], 0, sizeof(sal_real) * (size_t)n);
        lone_forward(l, block_pool(pool));
        lone_backward(l, block_pool(pool), 1);
        lone_backward(l, block_pool(pool), 1);
        for (int64_t i = 0; i < n; i++) {
            const int64_t c = i / block * SAL_BLOCK + i % SAL_BLOCK;
            const double scale = (double)l->in[1].real[c], y = (double)l->out.real[i];
            double want = (double)l->in[0].real[i] * scale + (double)l->in[2].real[c];
            want = fmin(fmax(want, (double)a->attr.low), (double)a->attr.high);
            near(a, "forward", i, l->out.real[i], want);
            bool passes = y > (double)a->attr.low && y < (double)a->attr.high;
            near(a, "backward", i, l->dx[0][i],
                 passes ? 2 * (double)l->dy[i] * scale : 0);
        }
    }
}

static void channels_are_scaled_shifted_and_clamped(void **state)
{
    (void)state;
    uint64_t random = 11;
    for (int i = 0; i < test_some(CASES); i++) {
        struct affine a;
        make(&a, &random);
        block_each_table(check, &a);
        lone_release(&a.lone);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(channels_are_scaled_shifted_and_clamped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
