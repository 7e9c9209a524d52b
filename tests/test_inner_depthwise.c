/* The depthwise convolution of blocked activations against loops in double over the
 * plain layout, forward and back, for windows of all kinds and every vector table. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "blocks.h"
#include "inner_depthwise.h"
#include "lone.h"
#include "random.h"
#include "real.h"

enum { CASES = 1500 };

struct depthwise {
    struct sal_blocked in, out;
    struct sal_inner_depthwise_attr attr;
    sal_real *w, *bias; /* plain */
    bool has_base;
    struct lone lone;
    double *want, *size; /* of output or gradient, blocked: its value, |terms| */
};

/* ---- cases ---------------------------------------------------------------------- */

static void pick_axis(struct sal_window *window, int i, int64_t dim, uint64_t *state)
{
    static const int64_t usual[] = {3, 3, 5, 7};
    bool plain = test_random(state) < 0.6;
    window->kernel[i] =
        plain ? usual[block_pick(state, 0, 3)] : block_pick(state, 1, 9);
    window->stride[i] = plain ? block_pick(state, 1, 2) : block_pick(state, 1, 3);
    window->dilation[i] = plain ? 1 : block_pick(state, 1, 3);
    int64_t reach = (window->kernel[i] - 1) * window->dilation[i] + 1;
    window->pad_begin[i] = plain ? reach / 2 : block_pick(state, 0, reach + 1);
    window->pad_end[i] = plain ? reach / 2 : block_pick(state, 0, reach + 1);
    while (dim + window->pad_begin[i] + window->pad_end[i] < reach)
        window->pad_end[i]++;
}

/* An activation whose slopes differ from element to element and are exact: half of what
 * is negative. */
static void halved(sal_real *y, const sal_real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] < 0 ? x[i] / 2 : x[i];
}

static void halved_and_slope(sal_real *y, sal_real *slope, const sal_real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        slope[i] = x[i] < 0 ? SAL_REAL_OF(0.5) : 1;
        y[i] = x[i] * slope[i];
    }
}

static void pick_clamp(struct sal_inner_depthwise_attr *attr, uint64_t *state)
{
    double kind = test_random(state);
    attr->low = kind < 0.4 ? -SAL_INFINITY : 0;
    attr->high = kind < 0.7 ? SAL_INFINITY : SAL_REAL_OF(0.6);
    attr->saves = kind >= 0.4;
    if (kind < 0.2) { /* slopes of an activation instead of a clamp's bits */
        attr->saves = true;
        attr->after = halved;
        attr->after_slope = halved_and_slope;
    }
}

static void make(struct depthwise *d, uint64_t *state)
{
    *d = (struct depthwise){.attr.window.rank = 2};
    d->in = (struct sal_blocked){block_pick(state, 1, 2), block_pick(state, 1, 40),
                                 block_pick(state, 1, 20), block_pick(state, 1, 34)};
    pick_axis(&d->attr.window, 0, d->in.h, state);
    pick_axis(&d->attr.window, 1, d->in.w, state);
    pick_clamp(&d->attr, state);
    d->has_base = test_random(state) < 0.7;
    const int64_t *kernel = d->attr.window.kernel, taps = kernel[0] * kernel[1];
    const int64_t blocks = sal_blocks(d->in.c);
    d->w = malloc(sizeof(*d->w) * (size_t)(d->in.c * taps));
    d->bias = calloc((size_t)d->in.c, sizeof(*d->bias));
    block_fill(d->w, d->in.c * taps, state);
    lone_init(&d->lone, sal_inner_depthwise_op(&d->attr), &d->attr);
    block_fill(lone_input(&d->lone, 5, sal_blocked_shape(&d->in).dim),
               block_count(&d->in), state);
    sal_real *w =
        lone_input(&d->lone, 4, (int64_t[]){blocks, kernel[0], kernel[1], SAL_BLOCK});
    sal_inner_depthwise_pack(d->w, NULL, d->in.c, taps, w);
    if (d->has_base) {
        block_fill(d->bias, d->in.c, state);
        sal_real *base = lone_input(&d->lone, 1, (int64_t[]){blocks * SAL_BLOCK});
        memcpy(base, d->bias, sizeof(*base) * (size_t)d->in.c);
    }
    lone_infer(&d->lone, true);
    d->out = d->in;
    d->out.h = d->lone.out.shape.dim[2];
    d->out.w = d->lone.out.shape.dim[3];
    block_fill(d->lone.dy, block_count(&d->out), state);
    int64_t most = block_count(&d->in) + block_count(&d->out);
    d->want = malloc(sizeof(*d->want) * (size_t)most);
    d->size = malloc(sizeof(*d->size) * (size_t)most);
}

static void unmake(struct depthwise *d)
{
    lone_release(&d->lone);
    free(d->w);
    free(d->bias);
    free(d->want);
    free(d->size);
}

/* ---- the same in plain words ---------------------------------------------------- */

/* Calls visit for all pairs of elements that a tap joins: o of y, i of x. */
#define EACH_TAP(d, visit)                                                             \
    for (int64_t n = 0; n < (d)->in.n; n++)                                            \
        for (int64_t c = 0; c < (d)->in.c; c++)                                        \
            for (int64_t y = 0; y < (d)->out.h; y++)                                   \
                for (int64_t x = 0; x < (d)->out.w; x++)                               \
                    for (int64_t r = 0; r < (d)->attr.window.kernel[0]; r++)           \
                        for (int64_t s = 0; s < (d)->attr.window.kernel[1]; s++) {     \
                            int64_t iy = tap(&(d)->attr.window, 0, y, r);              \
                            int64_t ix = tap(&(d)->attr.window, 1, x, s);              \
                            if (iy < 0 || iy >= (d)->in.h || ix < 0 ||                 \
                                ix >= (d)->in.w)                                       \
                                continue;                                              \
                            const int64_t o = block_at(&(d)->out, n, c, y, x);         \
                            const int64_t i = block_at(&(d)->in, n, c, iy, ix);        \
                            const double w = (double)weight_of(d, c, r, s);            \
                            visit;                                                     \
                        }

static int64_t tap(const struct sal_window *window, int axis, int64_t o, int64_t t)
{
    return o * window->stride[axis] + t * window->dilation[axis] -
           window->pad_begin[axis];
}

static sal_real weight_of(const struct depthwise *d, int64_t c, int64_t r, int64_t s)
{
    const int64_t *kernel = d->attr.window.kernel;
    return d->w[(c * kernel[0] + r) * kernel[1] + s];
}

static void want_forward(struct depthwise *d)
{
    const sal_real *x_values = d->lone.in[0].real;
    for (int64_t i = 0; i < block_count(&d->out); i++)
        d->want[i] = d->size[i] = 0;
    for (int64_t c = 0; c < d->in.c; c++)
        for (int64_t i = 0; i < d->out.n * d->out.h * d->out.w; i++) {
            int64_t o = block_at(&d->out, 0, c, 0, 0) + i * SAL_BLOCK;
            d->want[o] = (double)d->bias[c];
            d->size[o] = fabs((double)d->bias[c]);
        }
    EACH_TAP(d, {
        d->want[o] += (double)x_values[i] * w;
        d->size[o] += fabs((double)x_values[i] * w);
    })
    for (int64_t i = 0; i < block_count(&d->out); i++)
        d->want[i] = d->attr.after
                         ? d->want[i] * (d->want[i] < 0 ? 0.5 : 1)
                         : fmin(fmax(d->want[i], (double)d->attr.low), (double)d->attr.high);
}

/* By the signs and bounds of the operator's own output. */
static void want_backward(struct depthwise *d)
{
    const sal_real *y_values = d->lone.out.real, *dy = d->lone.dy;
    for (int64_t i = 0; i < block_count(&d->in); i++)
        d->want[i] = d->size[i] = 0;
    EACH_TAP(d, {
        bool passes = y_values[o] > d->attr.low && y_values[o] < d->attr.high;
        double slope = d->attr.after ? (y_values[o] < 0 ? 0.5 : 1) : passes;
        d->want[i] += slope * (double)dy[o] * w;
        d->size[i] += fabs(slope * (double)dy[o] * w);
    })
}

static void expect(const struct depthwise *d, const struct sal_blocked *b,
                   const sal_real *got)
{
    for (int64_t n = 0; n < b->n; n++)
        for (int64_t c = 0; c < sal_blocks(b->c) * SAL_BLOCK; c++)
            for (int64_t i = 0; i < b->h * b->w; i++) {
                int64_t at = block_at(b, n, c, 0, 0) + i * SAL_BLOCK;
                assert_true(isfinite(got[at]));
                double error = fabs((double)got[at] - d->want[at]);
                if (c < b->c && !(error <= 16 * (double)SAL_EPSILON * d->size[at]))
                    fail_msg("%s: image %d channel %d pixel %d of %dx%d: %g, not %g",
                             sal_lanes()->name, (int)n, (int)c, (int)i, (int)b->h,
                             (int)b->w, (double)got[at], d->want[at]);
            }
}

/* ---- tests ---------------------------------------------------------------------- */

static void each_case(void (*check)(void *d))
{
    uint64_t state = 7;
    for (int i = 0; i < test_some(CASES); i++) {
        struct depthwise d;
        make(&d, &state);
        block_each_table(check, &d);
        unmake(&d);
    }
}

static void check_forward(void *context)
{
    struct depthwise *d = context;
    lone_forward(&d->lone, NULL);
    want_forward(d);
    expect(d, &d->out, d->lone.out.real);
}

static void outputs_are_the_weighted_sums(void **state)
{
    (void)state;
    each_case(check_forward);
}

static void check_backward(void *context)
{
    struct depthwise *d = context;
    sal_real *dx = d->lone.dx[0];
    int64_t n = block_count(&d->in);
    lone_forward(&d->lone, NULL);
    want_backward(d);
    for (int64_t i = 0; i < n; i++)
        dx[i] = (sal_real)NAN;
    d->lone.fresh = 1; /* writes */
    lone_backward(&d->lone, NULL, 1);
    expect(d, &d->in, dx);
    d->lone.fresh = 0; /* adds */
    lone_backward(&d->lone, NULL, 1);
    for (int64_t i = 0; i < n; i++) {
        d->want[i] *= 2;
        d->size[i] *= 2;
    }
    expect(d, &d->in, dx);
}

static void gradients_pass_where_the_clamp_lets_them(void **state)
{
    (void)state;
    each_case(check_backward);
}

static void check_threads(void *context)
{
    struct depthwise *d = context;
    const int64_t n_y = block_count(&d->out), n_x = block_count(&d->in);
    sal_real *first = malloc(sizeof(*first) * (size_t)(n_y + n_x)), *dx = d->lone.dx[0];
    for (int i = 0; i < BLOCK_POOLS; i++) {
        memset(dx, 0, sizeof(*dx) * (size_t)n_x);
        lone_forward(&d->lone, block_pool(i));
        lone_backward(&d->lone, block_pool(i), 1);
        if (i == 0) {
            memcpy(first, d->lone.out.real, sizeof(*first) * (size_t)n_y);
            memcpy(first + n_y, dx, sizeof(*first) * (size_t)n_x);
        }
        assert_memory_equal(first, d->lone.out.real, sizeof(*first) * (size_t)n_y);
        assert_memory_equal(first + n_y, dx, sizeof(*first) * (size_t)n_x);
    }
    free(first);
}

static void results_do_not_depend_on_threads(void **state)
{
    (void)state;
    each_case(check_threads);
}

/* The first image of a batch gets the bits it gets alone. */
static void results_do_not_depend_on_the_batch(void **state)
{
    (void)state;
    uint64_t random = 3;
    for (int i = 0; i < test_some(CASES / 10); i++) {
        struct depthwise d;
        make(&d, &random);
        const struct sal_blocked one = {1, d.in.c, d.in.h, d.in.w};
        const int64_t plane = d.in.h * d.in.w * SAL_BLOCK;
        struct lone lone;
        lone_init(&lone, sal_inner_depthwise_op(&d.attr), &d.attr);
        sal_real *x = lone_input(&lone, 5, sal_blocked_shape(&one).dim);
        for (int64_t b = 0; b < sal_blocks(one.c); b++)
            memcpy(x + b * plane, d.lone.in[0].real + b * d.in.n * plane,
                   sizeof(*x) * (size_t)plane);
        for (int j = 1; j < d.lone.node.n_in; j++) {
            const struct sal_shape *shape = &d.lone.in[j].shape;
            memcpy(lone_input(&lone, shape->rank, shape->dim), d.lone.in[j].real,
                   sizeof(*x) * (size_t)sal_shape_count(shape));
        }
        lone_infer(&lone, false);
        lone_forward(&lone, NULL);
        lone_forward(&d.lone, NULL);
        const int64_t out = d.out.h * d.out.w * SAL_BLOCK;
        for (int64_t b = 0; b < sal_blocks(one.c); b++)
            assert_memory_equal(lone.out.real + b * out,
                                d.lone.out.real + b * d.in.n * out,
                                sizeof(*x) * (size_t)out);
        lone_release(&lone);
        unmake(&d);
    }
}

static void packed_weights_are_scaled_by_channel(void **state)
{
    (void)state;
    const sal_real w[] = {1, 2, 3, 4, 5, 6}, scale[] = {2, 3, 4};
    sal_real packed[2 * SAL_BLOCK];
    sal_inner_depthwise_pack(w, scale, 3, 2, packed);
    for (int t = 0; t < 2; t++)
        for (int c = 0; c < SAL_BLOCK; c++)
            assert_true(packed[t * SAL_BLOCK + c] ==
                        (c < 3 ? w[c * 2 + t] * scale[c] : 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_are_the_weighted_sums),
        cmocka_unit_test(gradients_pass_where_the_clamp_lets_them),
        cmocka_unit_test(results_do_not_depend_on_threads),
        cmocka_unit_test(results_do_not_depend_on_the_batch),
        cmocka_unit_test(packed_weights_are_scaled_by_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
