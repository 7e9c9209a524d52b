/* What plain operators have loops of their own for: one pixel against all of a blocked
 * activation, and Relu and Clip of any length. Against the words of the standard. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "blocks.h"
#include "lone.h"
#include "random.h"
#include "real.h"

enum { CASES = 400 };

/* ---- one pixel against all ------------------------------------------------------ */

struct pair {
    char sign; /* + - * */
    int one;   /* the operand that repeats */
    struct lone lone;
    int64_t at[2][5]; /* strides, 0 where it repeats */
};

static void add_operand(struct pair *p, int i, const int64_t *dims, uint64_t *state)
{
    const struct sal_shape shape = {
        .rank = 5, .dim = {dims[0], dims[1], dims[2], dims[3], dims[4]}};
    block_fill(lone_input(&p->lone, 5, dims), sal_shape_count(&shape), state);
    sal_broadcast_strides(&shape, &shape, p->at[i]);
    for (int d = 0; d < 5; d++)
        p->at[i][d] = dims[d] == 1 ? 0 : p->at[i][d];
}

static void make(struct pair *p, uint64_t *state)
{
    static const char *const names[] = {"Add", "Sub", "Mul"};
    const int which = (int)block_pick(state, 0, 2);
    int64_t all[5], one[5];
    *p = (struct pair){.sign = "+-*"[which], .one = (int)block_pick(state, 0, 1)};
    for (int d = 0; d < 5; d++) {
        all[d] = d == 4 ? SAL_BLOCK : block_pick(state, 1, d < 2 ? 3 : 40);
        one[d] = d == 2 || d == 3 ? 1 : all[d];
    }
    if (test_random(state) < 0.4)
        one[1] = 1;
    if (test_random(state) < 0.1)
        one[0] = 1;
    if (test_random(state) < 0.1)
        one[block_pick(state, 0, 3)] = all[3];
    for (int d = 0; d < 4; d++)
        one[d] = one[d] == all[d] ? all[d] : 1;
    lone_init(&p->lone, sal_op_find(names[which]), NULL);
    add_operand(p, 0, p->one ? all : one, state);
    add_operand(p, 1, p->one ? one : all, state);
    lone_infer(&p->lone, true);
    block_fill(p->lone.dy, sal_shape_count(&p->lone.out.shape), state);
}

/* The element of operand i that output element o is made of. */
static int64_t element(const struct pair *p, int i, int64_t o)
{
    const struct sal_shape *shape = &p->lone.out.shape;
    int64_t at = 0;
    for (int d = 4; d >= 0; o /= shape->dim[d--])
        at += o % shape->dim[d] * p->at[i][d];
    return at;
}

static void near(const struct pair *p, const char *what, double got, double want,
                 double size)
{
    if (!(fabs(got - want) <= 64 * (double)SAL_EPSILON * size))
        fail_msg("%s: %s of a %c b, operand %d repeats: %g, not %g", sal_lanes()->name,
                 what, p->sign, p->one, got, want);
}

static void check_forward(const struct pair *p)
{
    const struct lone *l = &p->lone;
    for (int64_t o = 0; o < sal_shape_count(&l->out.shape); o++) {
        double a = (double)l->in[0].real[element(p, 0, o)];
        double b = (double)l->in[1].real[element(p, 1, o)];
        double want = p->sign == '+' ? a + b : p->sign == '-' ? a - b : a * b;
        near(p, "value", (double)l->out.real[o], want, fabs(a) + fabs(b));
    }
}

static void check_gradient(const struct pair *p, int i)
{
    const struct lone *l = &p->lone;
    const size_t n = (size_t)sal_shape_count(&l->in[i].shape);
    double *want = calloc(n, sizeof(*want)), *size = calloc(n, sizeof(*size));
    for (int64_t o = 0; o < sal_shape_count(&l->out.shape); o++) {
        double other = (double)l->in[1 - i].real[element(p, 1 - i, o)];
        double slope = p->sign == '*' ? other : p->sign == '-' && i == 1 ? -1 : 1;
        want[element(p, i, o)] += (double)l->dy[o] * slope;
        size[element(p, i, o)] += fabs((double)l->dy[o] * slope);
    }
    for (size_t j = 0; j < n; j++)
        near(p, "gradient", (double)l->dx[i][j], want[j], size[j]);
    free(want);
    free(size);
}

static void check_pair(void *context)
{
    struct pair *p = context;
    struct lone *l = &p->lone;
    sal_real first[3 * SAL_BLOCK];
    for (int pool = 0; pool < BLOCK_POOLS; pool++) {
        for (int i = 0; i < 2; i++)
            memset(l->dx[i], 0,
                   sizeof(sal_real) * (size_t)sal_shape_count(&l->in[i].shape));
        lone_forward(l, block_pool(pool));
        lone_backward(l, block_pool(pool), 3);
        for (int i = 0; i < SAL_BLOCK && pool == 0; i++) {
            first[i] = l->out.real[i];
            first[SAL_BLOCK + i] = l->dx[0][i];
            first[2 * SAL_BLOCK + i] = l->dx[1][i];
        }
        assert_memory_equal(first, l->out.real, sizeof(first) / 3);
        assert_memory_equal(first + SAL_BLOCK, l->dx[0], sizeof(first) / 3);
        assert_memory_equal(first + 2 * SAL_BLOCK, l->dx[1], sizeof(first) / 3);
    }
    check_forward(p);
    check_gradient(p, 0);
    check_gradient(p, 1);
}

static void one_pixel_meets_all(void **state)
{
    (void)state;
    uint64_t random = 23;
    for (int i = 0; i < test_some(CASES); i++) {
        struct pair p;
        make(&p, &random);
        block_each_table(check_pair, &p);
        lone_release(&p.lone);
    }
}

/* ---- bounds --------------------------------------------------------------------- */

struct bounds {
    struct lone lone;
    sal_real low, high;
    bool open; /* the lower one passes no gradient */
};

static bool same(sal_real a, sal_real b)
{
    return a == b || (a != a && b != b);
}

static void check_bounds(void *context)
{
    struct bounds *b = context;
    struct lone *l = &b->lone;
    const int64_t n = l->out.shape.dim[0];
    memset(l->dx[0], 0, sizeof(sal_real) * (size_t)n);
    lone_forward(l, NULL);
    lone_backward(l, NULL, 1);
    for (int64_t i = 0; i < n; i++) {
        const sal_real x = l->in[0].real[i];
        sal_real want = x < b->low ? b->low : x;
        want = want > b->high ? b->high : want;
        bool passes = (b->open ? x > b->low : x >= b->low) && x <= b->high;
        assert_true(same(l->out.real[i], want));
        assert_true(l->dx[0][i] == (passes ? l->dy[i] : 0));
    }
}

/* Half of the values are whole, to lie on the bounds; some are none or infinite. */
static void fill_edges(sal_real *x, int64_t n, uint64_t *state)
{
    static const sal_real odd[] = {(sal_real)NAN, SAL_INFINITY, -SAL_INFINITY};
    block_fill(x, n, state);
    for (int64_t i = 0; i < n; i++)
        if (test_random(state) < 0.5)
            x[i] = test_random(state) < 0.1 ? odd[block_pick(state, 0, 2)]
                                            : (sal_real)block_pick(state, -2, 2);
}

static void bounds_hold_for_any_length(void **state)
{
    (void)state;
    static const sal_real none[2]; /* Relu's two numbers, Clip's bounds: not used */
    uint64_t random = 29;
    for (int64_t n = 1; n < 100; n++)
        for (int relu = 0; relu < 2; relu++) {
            struct bounds b = {
                .low = relu ? 0 : -1, .high = relu ? SAL_INFINITY : 1, .open = relu};
            lone_init(&b.lone, sal_op_find(relu ? "Relu" : "Clip"), none);
            fill_edges(lone_input(&b.lone, 1, &n), n, &random);
            if (!relu) {
                *lone_input(&b.lone, 0, NULL) = b.low;
                *lone_input(&b.lone, 0, NULL) = b.high;
            }
            lone_infer(&b.lone, true);
            block_fill(b.lone.dy, n, &random);
            block_each_table(check_bounds, &b);
            lone_release(&b.lone);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_pixel_meets_all),
        cmocka_unit_test(bounds_hold_for_any_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
