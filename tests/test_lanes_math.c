/* Vector functions against libm in double, over floats of every size, in every table. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lanes.h"

enum { LOT = 4096, STRIDE = 4099 }; /* floats at once; every so many of them are tried */

struct function {
    const char *name;
    double (*right)(double x);
    double relative; /* most error, as a share of the result */
};

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double normal_below(double x)
{
    return erfc(-x * M_SQRT1_2) / 2;
}

static double gelu(double x)
{
    return x * normal_below(x);
}

static double gelu_slope(double x)
{
    return normal_below(x) + x * exp(-x * x / 2) / sqrt(2 * M_PI);
}

typedef void kernel(float *y, const float *x, int64_t n);

static kernel *kernel_of(const struct sal_lanes *lanes, int i)
{
    kernel *const all[] = {lanes->exp,  lanes->erf,       lanes->tanh, lanes->sigmoid,
                           lanes->gelu, lanes->gelu_slope};
    return all[i];
}

/* The error of gelu is measured against x; gelu_slope crosses 0 near -0.75, around there
 * it is measured against 1/2. */
static const struct function functions[] = {
    {"exp", exp, 1.3e-7},         {"erf", erf, 2e-7},   {"tanh", tanh, 2.5e-7},
    {"sigmoid", sigmoid, 2.5e-7}, {"gelu", gelu, 2e-7}, {"gelu_slope", gelu_slope, 4e-7},
};
enum { FUNCTIONS = sizeof(functions) / sizeof(*functions), SLOPE = FUNCTIONS - 1,
       GELU = FUNCTIONS - 2 };

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

/* Products with tiny factors leave what float can hold. */
static void check(const struct sal_lanes *lanes, int i, float x, float y)
{
    const struct function *f = &functions[i];
    double right = f->right((double)x), size = fabs(right);
    if (i == GELU)
        size = fabs((double)x);
    if (i == SLOPE && size < 0.5)
        size = 0.5;
    if (isnan(right)) {
        assert_true(isnan(y));
        return;
    }
    if (isinf(y) || fabs(right) > (double)__FLT_MAX__) {
        if (!(fabs(right) > 3.402e38) || !isinf(y))
            fail_msg("%s: %s(%.9g) is %.9g, not %.9g", lanes->name, f->name, (double)x,
                     (double)y, right);
        return;
    }
    if (!(fabs((double)y - right) <= f->relative * size + 2.4e-38))
        fail_msg("%s: %s(%.9g) is %.9g, not %.9g: off by %.3g of it", lanes->name, f->name,
                 (double)x, (double)y, right, fabs((double)y - right) / size);
}

static void each_table(void (*test)(const struct sal_lanes *lanes))
{
    int n;
    const struct sal_lanes *const *all = sal_lanes_all(&n);
    for (int i = 0; i < n; i++)
        if (sal_lanes_supported(all[i]))
            test(all[i]);
}

static void try_all_sizes(const struct sal_lanes *lanes)
{
    static float x[LOT], y[LOT];
    for (int i = 0; i < FUNCTIONS; i++)
        for (uint64_t bits = 0; bits < UINT64_C(1) << 32;) {
            int n = 0;
            for (; n < LOT && bits < UINT64_C(1) << 32; bits += STRIDE)
                x[n++] = float_of((uint32_t)bits);
            kernel_of(lanes, i)(y, x, n);
            for (int j = 0; j < n; j++)
                check(lanes, i, x[j], y[j]);
        }
}

/* Where formulas meet, and where networks live. */
static void try_near_numbers(const struct sal_lanes *lanes)
{
    static float x[LOT], y[LOT];
    for (int i = 0; i < FUNCTIONS; i++)
        for (int from = -120 * 64; from < 120 * 64; from += LOT) {
            for (int j = 0; j < LOT; j++)
                x[j] = (float)(from + j) / 64 + (float)j * 1e-7f;
            kernel_of(lanes, i)(y, x, LOT);
            for (int j = 0; j < LOT; j++)
                check(lanes, i, x[j], y[j]);
        }
}

static void try_cuts(const struct sal_lanes *lanes)
{
    float x[67], whole[67], cut[68];
    for (int i = 0; i < 67; i++)
        x[i] = (float)i / 7 - 4;
    for (int i = 0; i < FUNCTIONS; i++) {
        kernel_of(lanes, i)(whole, x, 67);
        for (int from = 0; from < 67; from++)
            for (int to = from; to <= 67; to++) {
                cut[to - from] = -5;
                kernel_of(lanes, i)(cut, x + from, to - from);
                assert_memory_equal(cut, whole + from, sizeof(*cut) * (size_t)(to - from));
                assert_true(cut[to - from] == -5);
            }
        memcpy(cut, x, sizeof(x));
        kernel_of(lanes, i)(cut, cut, 67);
        assert_memory_equal(cut, whole, sizeof(whole));
    }
}

static void try_ends(const struct sal_lanes *lanes)
{
    const float x[] = {INFINITY, -INFINITY, NAN, 0.0f, -0.0f};
    float y[5];
    lanes->exp(y, x, 5);
    assert_true(isinf(y[0]) && y[1] == 0 && isnan(y[2]) && y[3] == 1 && y[4] == 1);
    lanes->sigmoid(y, x, 5);
    assert_true(y[0] == 1 && y[1] == 0 && isnan(y[2]) && y[3] == 0.5f);
    lanes->tanh(y, x, 5);
    assert_true(y[0] == 1 && y[1] == -1 && isnan(y[2]) && y[3] == 0 && signbit(y[4]));
    lanes->erf(y, x, 5);
    assert_true(y[0] == 1 && y[1] == -1 && isnan(y[2]) && y[3] == 0 && signbit(y[4]));
    lanes->gelu(y, x, 5);
    assert_true(isinf(y[0]) && isnan(y[2]) && y[3] == 0);
}

/* Values have the bits they have without slopes. What a slope rounds is a share of x. */
static void try_slopes(const struct sal_lanes *lanes)
{
    sal_map *const values[] = {lanes->sigmoid, lanes->swish, lanes->hard_swish};
    sal_map_slope *const both[] = {lanes->sigmoid_and_slope, lanes->swish_and_slope,
                                   lanes->hard_swish_and_slope};
    static float x[LOT], y[LOT], alone[LOT], slope[LOT];
    for (int j = 0; j < LOT; j++)
        x[j] = (float)(j - LOT / 2) / 128;
    for (int i = 0; i < 3; i++) {
        values[i](alone, x, LOT);
        both[i](y, slope, x, LOT);
        assert_memory_equal(y, alone, sizeof(y));
        for (int j = 0; j < LOT; j++) {
            const double z = (double)x[j], s = sigmoid(z);
            const double hard = z <= -3 ? 0 : z >= 3 ? 1 : (2 * z + 3) / 6;
            const double right = i == 0 ? s * (1 - s) : i == 1 ? s + z * s * (1 - s) : hard;
            assert_true(fabs((double)slope[j] - right) <= 1.2e-7 * (2 + fabs(z)));
        }
    }
}

/* ---- tests ------------------------------------------------------------------------ */

static void functions_are_right_for_floats_of_any_size(void **state)
{
    (void)state;
    each_table(try_all_sizes);
}

static void functions_are_right_where_networks_live(void **state)
{
    (void)state;
    each_table(try_near_numbers);
}

static void an_array_may_be_cut_anywhere(void **state)
{
    (void)state;
    each_table(try_cuts);
}

static void infinities_zeros_and_nan_are_kept_in_mind(void **state)
{
    (void)state;
    each_table(try_ends);
}

static void slopes_come_with_the_same_values(void **state)
{
    (void)state;
    each_table(try_slopes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_are_right_for_floats_of_any_size),
        cmocka_unit_test(functions_are_right_where_networks_live),
        cmocka_unit_test(slopes_come_with_the_same_values),
        cmocka_unit_test(an_array_may_be_cut_anywhere),
        cmocka_unit_test(infinities_zeros_and_nan_are_kept_in_mind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
