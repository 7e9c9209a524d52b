/* Resize tables: against a dense evaluation of the formulas, in integers where rounding
 * decides, and against weights worked out by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "resize_table.h"

static const struct sal_op op = {.name = "Resize"};
static const struct sal_node node = {.op = &op, .name = "n"};

static struct sal_resize_axis axis_of(int64_t in, int64_t out)
{
    return (struct sal_resize_axis){
        .in = in, .out = out, .length = (double)out, .end = 1};
}

static struct sal_resize_axis scaled_axis(int64_t in, float scale)
{
    struct sal_resize_axis axis = axis_of(in, (int64_t)floorf((float)in * scale));
    axis.length = (double)scale * (double)in;
    return axis;
}

static struct sal_resize_table table_of(const struct sal_resize_rule *rule,
                                        const struct sal_resize_axis *axis,
                                        struct sal_arena *arena)
{
    struct sal_resize_table table;
    struct sal_error err = {0};
    if (sal_resize_table_build(&table, &node, rule, axis, arena, &err))
        fail_msg("%s", err.text);
    return table;
}

/* What output o takes of input i. */
static double weight_at(const struct sal_resize_table *table, int64_t o, int64_t i)
{
    const struct sal_resize_run *run = &table->run[o];
    bool inside = i >= run->first && i < run->first + run->n;
    return inside ? (double)table->weight[run->weight + i - run->first] : 0;
}

/* ---- by hand ----------------------------------------------------------------- */

#define ROW(table, o, ...)                                                             \
    check_row(table, o, (const double[]){__VA_ARGS__},                                 \
              (int)(sizeof((const double[]){__VA_ARGS__}) / sizeof(double)))

static void check_row(const struct sal_resize_table *table, int64_t o,
                      const double *row, int n)
{
    assert_int_equal(table->in, n);
    for (int i = 0; i < n; i++)
        if (!(fabs(weight_at(table, o, i) - row[i]) <= 1e-6))
            fail_msg("output %d takes %g of input %d, expected %g", (int)o,
                     weight_at(table, o, i), i, row[i]);
}

static void doubling_takes_quarters(void **state)
{
    (void)state;
    struct sal_arena arena = {0};
    const struct sal_resize_rule rule = {.mode = SAL_RESIZE_LINEAR};
    const struct sal_resize_axis axis = axis_of(2, 4);
    struct sal_resize_table table = table_of(&rule, &axis, &arena);
    ROW(&table, 0, 1, 0);
    ROW(&table, 1, 0.75, 0.25);
    ROW(&table, 2, 0.25, 0.75);
    ROW(&table, 3, 0, 1);
    sal_arena_release(&arena);
}

static void antialiasing_widens_the_filter_and_keeps_its_sum(void **state)
{
    (void)state;
    struct sal_arena arena = {0};
    const struct sal_resize_rule rule = {
        .mode = SAL_RESIZE_LINEAR, .antialias = true, .exclude_outside = true};
    const struct sal_resize_axis axis = axis_of(8, 4);
    struct sal_resize_table table = table_of(&rule, &axis, &arena);
    ROW(&table, 0, 3 / 7., 3 / 7., 1 / 7., 0, 0, 0, 0, 0);
    ROW(&table, 1, 0, 1 / 8., 3 / 8., 3 / 8., 1 / 8., 0, 0, 0);
    sal_arena_release(&arena);
}

static void cubic_weights_are_those_of_keys(void **state)
{
    (void)state;
    struct sal_arena arena = {0};
    const struct sal_resize_rule rule = {
        .mode = SAL_RESIZE_CUBIC, .place = SAL_RESIZE_ASYMMETRIC, .cubic = -0.5};
    const struct sal_resize_axis axis = axis_of(5, 10);
    struct sal_resize_table table = table_of(&rule, &axis, &arena);
    ROW(&table, 4, 0, 0, 1, 0, 0);
    ROW(&table, 5, 0, -1 / 16., 9 / 16., 9 / 16., -1 / 16.);
    ROW(&table, 9, 0, 0, 0, -1 / 16.,
        17 / 16.); /* the edge stands for what is outside */
    sal_arena_release(&arena);
}

static void a_crop_reads_nothing_outside(void **state)
{
    (void)state;
    struct sal_arena arena = {0};
    const struct sal_resize_rule rule = {.mode = SAL_RESIZE_LINEAR,
                                         .place = SAL_RESIZE_TF_CROP};
    struct sal_resize_axis axis = axis_of(5, 5);
    axis.start = -0.25;
    axis.end = 0.75;
    struct sal_resize_table table = table_of(&rule, &axis, &arena);
    assert_int_equal(table.run[0].n, 0);
    ROW(&table, 1, 1, 0, 0, 0, 0);
    ROW(&table, 4, 0, 0, 0, 1, 0);
    axis.start = 1; /* backwards */
    axis.end = 0;
    table = table_of(&rule, &axis, &arena);
    ROW(&table, 1, 0, 0, 0, 1, 0);
    sal_arena_release(&arena);
}

static void a_ragged_scale_reaches_its_own_corners(void **state)
{
    (void)state;
    struct sal_arena arena = {0};
    const struct sal_resize_rule rule = {.mode = SAL_RESIZE_LINEAR,
                                         .place = SAL_RESIZE_ALIGN_CORNERS};
    const struct sal_resize_axis axis = scaled_axis(4, 0.6f); /* 2.4 long, 2 kept */
    struct sal_resize_table table = table_of(&rule, &axis, &arena);
    ROW(&table, 0, 1, 0, 0, 0);
    ROW(&table, 1, 0, 0, 1 - 1 / 7., 1 / 7.);
    sal_arena_release(&arena);
}

static void a_quotient_that_is_whole_in_float_is_whole(void **state)
{
    (void)state;
    struct sal_arena arena = {0};
    const struct sal_resize_rule rule = {.mode = SAL_RESIZE_NEAREST,
                                         .place = SAL_RESIZE_ASYMMETRIC,
                                         .rounding = SAL_RESIZE_FLOOR};
    const struct sal_resize_axis axis = scaled_axis(10, 0.6f); /* 3 / 0.6f < 5 */
    struct sal_resize_table table = table_of(&rule, &axis, &arena);
    assert_int_equal(table.run[3].first, 5);
    sal_arena_release(&arena);
}

/* ---- nearest, in integers ---------------------------------------------------- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* a / b rounded; b > 0. */
static int64_t rounded(int64_t a, int64_t b, int rounding)
{
    switch (rounding) {
    case SAL_RESIZE_FLOOR:
        return floor_div(a, b);
    case SAL_RESIZE_CEIL:
        return -floor_div(-a, b);
    case SAL_RESIZE_PREFER_CEIL:
        return floor_div(2 * a + b, 2 * b);
    default:
        return -floor_div(-(2 * a - b), 2 * b);
    }
}

static void check_nearest(int place, int rounding, int64_t in, int64_t out)
{
    struct sal_arena arena = {0};
    const struct sal_resize_rule rule = {
        .mode = SAL_RESIZE_NEAREST, .place = place, .rounding = rounding};
    const struct sal_resize_axis axis = axis_of(in, out);
    struct sal_resize_table table = table_of(&rule, &axis, &arena);
    for (int64_t o = 0; o < out; o++) {
        bool half = place == SAL_RESIZE_HALF_PIXEL;
        int64_t i = half ? rounded((2 * o + 1) * in - out, 2 * out, rounding)
                         : rounded(o * in, out, rounding);
        i = i < 0 ? 0 : i >= in ? in - 1 : i;
        if (table.run[o].n != 1 || table.run[o].first != i)
            fail_msg("%s %s %d to %d: output %d takes %d, expected %d",
                     sal_resize_places[place], sal_resize_roundings[rounding], (int)in,
                     (int)out, (int)o, (int)table.run[o].first, (int)i);
    }
    sal_arena_release(&arena);
}

static void nearest_is_exact_for_every_pair_of_sizes(void **state)
{
    (void)state;
    for (int64_t in = 1; in <= 24; in++)
        for (int64_t out = 1; out <= 24; out++)
            for (int rounding = 0; rounding < SAL_RESIZE_ROUNDINGS; rounding++) {
                check_nearest(SAL_RESIZE_HALF_PIXEL, rounding, in, out);
                check_nearest(SAL_RESIZE_ASYMMETRIC, rounding, in, out);
            }
}

/* ---- filters, densely -------------------------------------------------------- */

static double place_of(int place, const struct sal_resize_axis *a, double x)
{
    double scale = a->length / (double)a->in, last = (double)(a->in - 1);
    switch (place) {
    case SAL_RESIZE_HALF_PIXEL:
        return (x + 0.5) / scale - 0.5;
    case SAL_RESIZE_HALF_PIXEL_SYMMETRIC:
        return (double)a->in / 2 * (1 - (double)a->out / a->length) +
               (x + 0.5) / scale - 0.5;
    case SAL_RESIZE_PYTORCH_HALF_PIXEL:
        return a->out > 1 ? (x + 0.5) / scale - 0.5 : 0;
    case SAL_RESIZE_ALIGN_CORNERS:
        return a->out > 1 ? x * last / (a->length - 1) : 0;
    case SAL_RESIZE_ASYMMETRIC:
        return x / scale;
    default:
        return (x + 0.5) / scale;
    }
}

static double filter(int mode, double x, double a)
{
    x = fabs(x);
    if (mode == SAL_RESIZE_LINEAR)
        return x < 1 ? 1 - x : 0;
    if (x <= 1)
        return (a + 2) * x * x * x - (a + 3) * x * x + 1;
    return x < 2 ? a * x * x * x - 5 * a * x * x + 8 * a * x - 4 * a : 0;
}

/* Every input, and as many outside of it, asked in turn. */
static void dense_row(const struct sal_resize_rule *rule,
                      const struct sal_resize_axis *a, int64_t o, double *row)
{
    double x = place_of(rule->place, a, (double)o), sum = 0;
    double scale = a->length / (double)a->in;
    double stretch = rule->antialias && scale < 1 ? scale : 1;
    memset(row, 0, sizeof(*row) * (size_t)a->in);
    for (int64_t i = -4 * a->in - 8; i < 5 * a->in + 8; i++) {
        double w = filter(rule->mode, ((double)i - x) * stretch, rule->cubic);
        int64_t to = i < 0 ? 0 : i >= a->in ? a->in - 1 : i;
        if (rule->exclude_outside && to != i)
            continue;
        row[to] += w;
        sum += w;
    }
    bool scaled = (rule->antialias || rule->exclude_outside) && sum != 0;
    for (int64_t i = 0; i < a->in && scaled; i++)
        row[i] /= sum;
}

static void check_dense(const struct sal_resize_rule *rule,
                        const struct sal_resize_axis *axis)
{
    struct sal_arena arena = {0};
    struct sal_resize_table table = table_of(rule, axis, &arena), back;
    assert_int_equal(sal_resize_table_transpose(&back, &node, &table, &arena, NULL),
                     SAL_OK);
    double row[64];
    for (int64_t o = 0; o < axis->out; o++) {
        dense_row(rule, axis, o, row);
        for (int64_t i = 0; i < axis->in; i++) {
            if (!(fabs(weight_at(&table, o, i) - row[i]) <= 2e-6))
                fail_msg("%s %s %d to %d (%g)%s%s: output %d takes %.9g of input %d, "
                         "expected %.9g",
                         sal_resize_modes[rule->mode], sal_resize_places[rule->place],
                         (int)axis->in, (int)axis->out, axis->length,
                         rule->antialias ? " antialiased" : "",
                         rule->exclude_outside ? " excluding" : "", (int)o,
                         weight_at(&table, o, i), (int)i, row[i]);
            assert_true(weight_at(&back, i, o) == weight_at(&table, o, i));
        }
    }
    sal_arena_release(&arena);
}

static void filters_are_their_formulas_for_every_rule(void **state)
{
    (void)state;
    static const float scales[] = {0.15f, 0.3f, 0.5f, 0.77f, 1.f, 1.3f, 2.f, 3.7f};
    for (int mode = SAL_RESIZE_LINEAR; mode <= SAL_RESIZE_CUBIC; mode++)
        for (int place = 0; place < SAL_RESIZE_TF_CROP; place++)
            for (int flags = 0; flags < 4; flags++)
                for (int i = 0; i < (int)(sizeof(scales) / sizeof(*scales)); i++)
                    for (int64_t in = 1; in <= 12; in++) {
                        const struct sal_resize_rule rule = {
                            .mode = mode,
                            .place = place,
                            .cubic = -0.75,
                            .antialias = flags & 1,
                            .exclude_outside = flags & 2,
                        };
                        struct sal_resize_axis axis = scaled_axis(in, scales[i]);
                        if (axis.out)
                            check_dense(&rule, &axis);
                        axis = axis_of(in, axis.out + 1);
                        check_dense(&rule, &axis);
                    }
}

/* ---- limits ------------------------------------------------------------------ */

static void what_is_too_long_is_refused(void **state)
{
    (void)state;
    struct sal_arena arena = {.limit = 1 << 20};
    struct sal_resize_table table;
    struct sal_error err = {0};
    struct sal_resize_rule rule = {.mode = SAL_RESIZE_CUBIC, .antialias = true};
    const struct sal_resize_axis axes[] = {
        axis_of(1, INT64_C(1) << 40),
        axis_of(INT64_C(1) << 40, 1),
        axis_of(1 << 20, 1 << 20),
        {.in = 9, .out = 9, .length = 1e-300, .end = 1}};
    for (size_t i = 0; i < sizeof(axes) / sizeof(*axes); i++) {
        assert_int_equal(
            sal_resize_table_build(&table, &node, &rule, &axes[i], &arena, &err),
            SAL_LIMIT);
        assert_non_null(strstr(err.text, "Resize 'n': an axis of"));
    }
    sal_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubling_takes_quarters),
        cmocka_unit_test(antialiasing_widens_the_filter_and_keeps_its_sum),
        cmocka_unit_test(cubic_weights_are_those_of_keys),
        cmocka_unit_test(a_crop_reads_nothing_outside),
        cmocka_unit_test(a_ragged_scale_reaches_its_own_corners),
        cmocka_unit_test(a_quotient_that_is_whole_in_float_is_whole),
        cmocka_unit_test(nearest_is_exact_for_every_pair_of_sizes),
        cmocka_unit_test(filters_are_their_formulas_for_every_rule),
        cmocka_unit_test(what_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
