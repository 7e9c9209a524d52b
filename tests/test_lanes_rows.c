/* Softmax and normalisation of rows against plain sums in double, in every table. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lanes.h"
#include "random.h"

enum { ROW_MAX = 5000 };

static float x[ROW_MAX], y[ROW_MAX + 1], dy[ROW_MAX], dx[ROW_MAX + 1], start[ROW_MAX];
static float scale[ROW_MAX], bias[ROW_MAX];
static double right[ROW_MAX];
static uint64_t state_of_random = 7;

static void fill(float *values, int64_t n, double size, double middle)
{
    for (int64_t i = 0; i < n; i++)
        values[i] = (float)(middle + size * (test_random(&state_of_random) * 2 - 1));
}

/* As near as a share of the largest value, or of what it is a sum of. Nothing is written past
 * the row. */
static void expect(const struct sal_lanes *lanes, const char *what, const float *got,
                   int64_t n, double summand, double tolerance)
{
    double most = summand;
    for (int64_t i = 0; i < n; i++)
        most = fabs(right[i]) > most ? fabs(right[i]) : most;
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - right[i]) <= tolerance * most))
            fail_msg("%s: %s of %d, element %d is %.9g, not %.9g", lanes->name, what,
                     (int)n, (int)i, (double)got[i], right[i]);
    assert_true(got[n] == -77);
}

static void softmax_of(int64_t n, double by)
{
    double most = -HUGE_VAL, sum = 0;
    for (int64_t i = 0; i < n; i++)
        most = by * (double)x[i] > most ? by * (double)x[i] : most;
    for (int64_t i = 0; i < n; i++)
        sum += right[i] = exp(by * (double)x[i] - most);
    for (int64_t i = 0; i < n; i++)
        right[i] /= sum;
}

static void try_softmax(const struct sal_lanes *lanes, int64_t n, float by)
{
    fill(x, n, 6, 3);
    y[n] = dx[n] = -77;
    lanes->softmax(y, x, n, by);
    softmax_of(n, (double)by);
    expect(lanes, "softmax", y, n, 0, 3e-6);
    fill(dy, n, 1, 0.5);
    fill(start, n, 1, 0);
    memcpy(dx, start, sizeof(*dx) * (size_t)n);
    lanes->softmax_gradient(dx, y, dy, n);
    double dot = 0;
    for (int64_t i = 0; i < n; i++)
        dot += (double)y[i] * (double)dy[i];
    for (int64_t i = 0; i < n; i++)
        right[i] = (double)start[i] + (double)y[i] * ((double)dy[i] - dot);
    expect(lanes, "softmax gradient", dx, n, 0, 1e-6);
}

static double scale_at(const struct sal_row_norm *norm, int64_t i)
{
    return norm->scale ? (double)norm->scale[i] : 1;
}

static void try_gradient(const struct sal_lanes *lanes, int64_t n,
                         const struct sal_row_norm *norm)
{
    double g = 0, gd = 0, mean = (double)norm->mean, factor = (double)norm->factor;
    fill(dy, n, 1, 0.2);
    fill(start, n, 1, 0);
    memcpy(dx, start, sizeof(*dx) * (size_t)n);
    dx[n] = -77;
    lanes->normalise_gradient(dx, x, dy, n, norm);
    for (int64_t i = 0; i < n; i++) {
        g += (double)dy[i] * scale_at(norm, i);
        gd += (double)dy[i] * scale_at(norm, i) * ((double)x[i] - mean);
    }
    for (int64_t i = 0; i < n; i++)
        right[i] = (double)start[i] + factor * (double)dy[i] * scale_at(norm, i) -
                   (norm->centred ? factor * g / (double)n : 0) +
                   2 * (double)norm->slope * gd * ((double)x[i] - mean);
    expect(lanes, "normalisation's gradient", dx, n, 0, 1e-6 * (4 + factor));
}

static void try_norm(const struct sal_lanes *lanes, int64_t n, int form)
{
    struct sal_row_norm norm = {.centred = form & 1,
                                .scale = form & 2 ? scale : NULL,
                                .bias = form & 4 ? bias : NULL};
    double sum = 0, total = 0, mean = 0;
    float squares;
    fill(x, n, 2, 5);
    fill(scale, n, 1, 1);
    fill(bias, n, 1, 0);
    lanes->moments(x, n, norm.centred, &norm.mean, &squares);
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i];
    mean = norm.centred ? sum / (double)n : 0;
    for (int64_t i = 0; i < n; i++)
        total += ((double)x[i] - mean) * ((double)x[i] - mean);
    assert_true(fabs((double)norm.mean - mean) <= 2e-6);
    assert_true(fabs((double)squares - total) <= 3e-6 * total + 1e-9);
    norm.factor = (float)(1 / sqrt(total / (double)n + 1e-5));
    norm.slope = -norm.factor * norm.factor * norm.factor / 2 / (float)n;
    y[n] = -77;
    lanes->normalise(y, x, n, &norm);
    for (int64_t i = 0; i < n; i++)
        right[i] = ((double)x[i] - (double)norm.mean) * (double)norm.factor *
                       scale_at(&norm, i) + (norm.bias ? (double)bias[i] : 0);
    expect(lanes, "normalisation", y, n, norm.bias ? 1 : 0, 1e-6);
    try_gradient(lanes, n, &norm);
}

static void each_table(void (*test)(const struct sal_lanes *lanes))
{
    int n;
    const struct sal_lanes *const *all = sal_lanes_all(&n);
    for (int i = 0; i < n; i++)
        if (sal_lanes_supported(all[i]))
            test(all[i]);
}

static void try_softmax_sizes(const struct sal_lanes *lanes)
{
    for (int64_t n = 1; n < 300; n++)
        try_softmax(lanes, n, n % 3 ? 1 : 0.125f);
    for (int64_t n = 2000; n < ROW_MAX; n += 317)
        try_softmax(lanes, n, 0.5f);
}

static void try_norm_sizes(const struct sal_lanes *lanes)
{
    for (int form = 0; form < 8; form++) {
        for (int64_t n = 1; n < 100; n++)
            try_norm(lanes, n, form);
        for (int64_t n = 2000; n < ROW_MAX; n += 317)
            try_norm(lanes, n, form);
    }
}

static void try_bad_rows(const struct sal_lanes *lanes)
{
    float row[19];
    for (int at = 0; at < 19; at++) {
        fill(row, 19, 1, 0);
        row[at] = NAN;
        lanes->softmax(row, row, 19, 1);
        for (int i = 0; i < 19; i++)
            assert_true(isnan(row[i]));
        fill(row, 19, 1, 0);
        row[at] = -INFINITY;
        lanes->softmax(row, row, 19, 1);
        for (int i = 0; i < 19; i++)
            assert_true(i == at ? row[i] == 0 : row[i] > 0 && row[i] < 1);
    }
}

static void softmax_is_that_of_plain_sums(void **state)
{
    (void)state;
    each_table(try_softmax_sizes);
}

static void normalisation_is_that_of_plain_sums(void **state)
{
    (void)state;
    each_table(try_norm_sizes);
}

static void nan_spoils_a_row_and_minus_infinity_counts_for_nothing(void **state)
{
    (void)state;
    each_table(try_bad_rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softmax_is_that_of_plain_sums),
        cmocka_unit_test(normalisation_is_that_of_plain_sums),
        cmocka_unit_test(nan_spoils_a_row_and_minus_infinity_counts_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
