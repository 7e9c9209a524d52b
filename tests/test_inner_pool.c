/* Pools of blocked activations against the plain operators: the same bits, forward and
 * back, for windows of all kinds, values that are equal and values that are none. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "blocks.h"
#include "inner_pool.h"
#include "lone.h"
#include "random.h"
#include "real.h"

enum { CASES = 2000 };

/* A plain operator and what it becomes. */
static const struct pair {
    const char *plain;
    const struct sal_op *inner;
} pairs[] = {
    {"MaxPool", &sal_inner_max_pool},
    {"AveragePool", &sal_inner_average_pool},
    {"GlobalAveragePool", &sal_inner_mean},
};

struct pool {
    struct sal_blocked in, out;
    struct sal_pool_attr attr;
    struct lone plain, inner;
    sal_real *got; /* plain layout */
};

/* ---- cases ---------------------------------------------------------------------- */

static void pick_axis(struct sal_window *window, int i, int64_t dim, uint64_t *state)
{
    window->kernel[i] = block_pick(state, 1, 4);
    window->stride[i] = block_pick(state, 1, 3);
    window->dilation[i] = test_random(state) < 0.7 ? 1 : block_pick(state, 2, 3);
    int64_t reach = (window->kernel[i] - 1) * window->dilation[i] + 1;
    window->pad_begin[i] = block_pick(state, 0, reach - 1);
    window->pad_end[i] = block_pick(state, 0, reach - 1);
    if (dim + window->pad_begin[i] + window->pad_end[i] < reach)
        window->kernel[i] = 1, window->pad_begin[i] = window->pad_end[i] = 0;
}

/* Few values, so that some are equal; now and then none or infinite. */
static sal_real pick_value(uint64_t *state)
{
    double kind = test_random(state);
    return kind < 0.01   ? (sal_real)NAN
           : kind < 0.03 ? -SAL_INFINITY
           : kind < 0.6  ? (sal_real)block_pick(state, -3, 3)
                         : (sal_real)(2 * test_random(state) - 1);
}

static void make(struct pool *p, const struct pair *pair, uint64_t *state)
{
    *p = (struct pool){.attr.window.rank = 2};
    p->in = (struct sal_blocked){block_pick(state, 1, 2), block_pick(state, 1, 36),
                                 block_pick(state, 1, 20), block_pick(state, 1, 20)};
    pick_axis(&p->attr.window, 0, p->in.h, state);
    pick_axis(&p->attr.window, 1, p->in.w, state);
    p->attr.window.ceil = test_random(state) < 0.4;
    p->attr.include_pad = test_random(state) < 0.5;
    lone_init(&p->plain, sal_op_find(pair->plain), &p->attr);
    lone_init(&p->inner, pair->inner, &p->attr);
    const struct sal_blocked *b = &p->in;
    sal_real *x = lone_input(&p->plain, 4, (int64_t[]){b->n, b->c, b->h, b->w});
    sal_real *blocked = lone_input(&p->inner, 5, sal_blocked_shape(b).dim);
    for (int64_t i = 0; i < b->n * b->c * b->h * b->w; i++)
        x[i] = pick_value(state);
    block_fill(blocked, block_count(b), state);
    block_from_plain(b, x, blocked);
    lone_infer(&p->plain, true);
    lone_infer(&p->inner, true);
    const struct sal_shape *y = &p->plain.out.shape;
    p->out = (struct sal_blocked){b->n, b->c, y->dim[2], y->dim[3]};
    struct sal_shape want = sal_blocked_shape(&p->out);
    assert_true(sal_shape_equal(&want, &p->inner.out.shape));
    block_fill(p->plain.dy, sal_shape_count(y), state);
    block_fill(p->inner.dy, block_count(&p->out), state);
    block_from_plain(&p->out, p->plain.dy, p->inner.dy);
    lone_forward(&p->plain, NULL);
    lone_backward(&p->plain, NULL, 1);
    p->got = malloc(sizeof(*p->got) * (size_t)(block_count(b) + block_count(&p->out)));
}

static void unmake(struct pool *p)
{
    lone_release(&p->plain);
    lone_release(&p->inner);
    free(p->got);
}

/* ---- what is expected ----------------------------------------------------------- */

static bool alike(const struct pool *p, sal_real a, sal_real b)
{
    if (p->inner.node.op != &sal_inner_mean || !(fabs((double)b) <= 3))
        return a == b || (a != a && b != b);
    return fabs((double)(a - b)) <= 20 * (double)SAL_EPSILON;
}

static void expect(struct pool *p, const char *what, const struct sal_blocked *b,
                   const sal_real *got, const sal_real *want)
{
    block_to_plain(b, got, p->got);
    for (int64_t i = 0; i < b->n * b->c * b->h * b->w; i++)
        if (!alike(p, p->got[i], want[i]))
            fail_msg("%s, %s: element %d of %dx%dx%dx%d is %g, not %g",
                     p->inner.node.op->name, what, (int)i, (int)b->n, (int)b->c,
                     (int)b->h, (int)b->w, (double)p->got[i], (double)want[i]);
}

static void check(void *context)
{
    struct pool *p = context;
    const int64_t n = block_count(&p->in);
    sal_real *dx = p->inner.dx[0];
    for (int i = 0; i < BLOCK_POOLS; i++) {
        for (int64_t j = 0; j < n; j++)
            dx[j] = i % 2 ? (sal_real)NAN : 0;
        p->inner.fresh = i % 2;
        lone_forward(&p->inner, block_pool(i));
        lone_backward(&p->inner, block_pool(i), 1);
        expect(p, "forward", &p->out, p->inner.out.real, p->plain.out.real);
        expect(p, "backward", &p->in, dx, p->plain.dx[0]);
    }
}

static void each_case(const struct pair *pair)
{
    uint64_t state = 5;
    for (int i = 0; i < test_some(CASES); i++) {
        struct pool p;
        make(&p, pair, &state);
        block_each_table(check, &p);
        unmake(&p);
    }
}

static void the_greatest_is_the_plain_operators(void **state)
{
    (void)state;
    each_case(&pairs[0]);
}

static void the_average_is_the_plain_operators(void **state)
{
    (void)state;
    each_case(&pairs[1]);
}

static void the_mean_is_the_plain_operators(void **state)
{
    (void)state;
    each_case(&pairs[2]);
}

/* Without a gradient the greatest is what it is with one. */
static void the_greatest_alone_has_the_same_bits(void **state)
{
    uint64_t random = 9;
    (void)state;
    for (int i = 0; i < test_some(CASES / 10); i++) {
        struct pool p;
        make(&p, &pairs[0], &random);
        struct lone only;
        lone_init(&only, &sal_inner_max_only, &p.attr);
        const size_t size = sizeof(sal_real) * (size_t)block_count(&p.in);
        memcpy(lone_input(&only, 5, sal_blocked_shape(&p.in).dim), p.inner.in[0].real, size);
        lone_infer(&only, false);
        lone_forward(&only, NULL);
        expect(&p, "alone", &p.out, only.out.real, p.plain.out.real);
        lone_release(&only);
        unmake(&p);
    }
}

/* A long sum of ones and halves stays exact. */
static void the_mean_of_a_large_plane_is_accurate(void **state)
{
    (void)state;
    const struct sal_blocked b = {1, 16, 1024, 1024};
    struct lone lone;
    lone_init(&lone, &sal_inner_mean, NULL);
    sal_real *x = lone_input(&lone, 5, sal_blocked_shape(&b).dim);
    for (int64_t i = 0; i < block_count(&b); i++)
        x[i] = SAL_REAL_OF(1) / 3;
    lone_infer(&lone, false);
    lone_forward(&lone, NULL);
    for (int i = 0; i < SAL_BLOCK; i++)
        assert_true(fabs((double)lone.out.real[i] - 1.0 / 3) <=
                    40 * (double)SAL_EPSILON);
    lone_release(&lone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_greatest_is_the_plain_operators),
        cmocka_unit_test(the_greatest_alone_has_the_same_bits),
        cmocka_unit_test(the_average_is_the_plain_operators),
        cmocka_unit_test(the_mean_is_the_plain_operators),
        cmocka_unit_test(the_mean_of_a_large_plane_is_accurate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
