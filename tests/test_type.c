/* What types can hold: half precisions against their definition, integers' ranges. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernel.h"
#include "real.h"

/* ---- half precisions --------------------------------------------------------------- */

struct format {
    int type, mantissa, exponent; /* bits */
};

static const struct format formats[] = {
    {SAL_ONNX_FLOAT16, 10, 5},
    {SAL_ONNX_BFLOAT16, 7, 8},
};

/* The value of a positive number of that format by its bits. */
static double value_of(const struct format *f, int bits)
{
    int exponent = bits >> f->mantissa, mantissa = bits & ((1 << f->mantissa) - 1);
    int bias = (1 << (f->exponent - 1)) - 1;
    if (!exponent)
        return ldexp(mantissa, 1 - bias - f->mantissa);
    return ldexp((1 << f->mantissa) + mantissa, exponent - bias - f->mantissa);
}

static void assert_rounds(int type, double x, double expected)
{
    for (int sign = -1; sign <= 1; sign += 2) {
        double got = (double)sal_real_as(type, (sal_real)(sign * x));
        if (!(got == sign * expected) || !signbit(got) != (sign > 0))
            fail_msg("%.17g as %s is %.17g, expected %.17g", sign * x,
                     sal_onnx_type_name(type), got, sign * expected);
    }
}

/* Every number is kept; what lies between two neighbours goes to the nearer, the middle
 * to the one with even bits. sal_real has digits enough to hold all of these. */
static void every_number_is_kept_and_what_lies_between_rounds_to_even(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
        const struct format *f = &formats[i];
        int finite = ((1 << f->exponent) - 1) << f->mantissa;
        for (int bits = 0; bits < finite; bits++) {
            double x = value_of(f, bits), above = value_of(f, bits + 1);
            double gap = above - x;
            double after = bits + 1 == finite ? (double)INFINITY : above;
            if (f->type == SAL_ONNX_BFLOAT16 && gap < 0x1p-120)
                continue; /* quarters of these have no room in a float */
            assert_rounds(f->type, x, x);
            assert_rounds(f->type, x + gap / 4, x);
            assert_rounds(f->type, x + gap / 2, bits % 2 ? after : x);
            if (bits + 1 < finite)
                assert_rounds(f->type, x + 3 * gap / 4, above);
        }
    }
}

static void the_ends_of_the_half_precisions_are_theirs(void **state)
{
    (void)state;
    assert_rounds(SAL_ONNX_FLOAT16, 65519, 65504);
    assert_rounds(SAL_ONNX_FLOAT16, 65520, (double)INFINITY);
    assert_rounds(SAL_ONNX_FLOAT16, 1e30, (double)INFINITY);
    assert_rounds(SAL_ONNX_FLOAT16, (double)INFINITY, (double)INFINITY);
    assert_rounds(SAL_ONNX_FLOAT16, 0x1p-24, 0x1p-24);
    assert_rounds(SAL_ONNX_FLOAT16, 0x1p-25, 0);
    assert_rounds(SAL_ONNX_FLOAT16, 0x1.8p-25, 0x1p-24);
    assert_rounds(SAL_ONNX_BFLOAT16, 0x1p-133, 0x1p-133);
    assert_rounds(SAL_ONNX_BFLOAT16, 0x1p-134, 0);
    assert_rounds(SAL_ONNX_BFLOAT16, 0x1.fep127, 0x1.fep127);
    assert_rounds(SAL_ONNX_BFLOAT16, 0x1.ffp127, (double)INFINITY);
    assert_true(isnan(sal_real_as(SAL_ONNX_FLOAT16, (sal_real)NAN)));
    assert_true(isnan(sal_real_as(SAL_ONNX_BFLOAT16, (sal_real)NAN)));
}

static void wider_types_keep_what_we_compute_with(void **state)
{
    (void)state;
    assert_rounds(SAL_ONNX_FLOAT, (double)0.1f, (double)0.1f);
    assert_rounds(SAL_ONNX_DOUBLE, (double)0.1f, (double)0.1f);
}

/* ---- integers ---------------------------------------------------------------------- */

static void integers_have_the_range_of_their_type(void **state)
{
    (void)state;
    static const struct {
        int type;
        int64_t least, most;
    } ranges[] = {
        {SAL_ONNX_BOOL, 0, 1},
        {SAL_ONNX_UINT2, 0, 3},
        {SAL_ONNX_INT2, -2, 1},
        {SAL_ONNX_UINT4, 0, 15},
        {SAL_ONNX_INT4, -8, 7},
        {SAL_ONNX_UINT8, 0, 255},
        {SAL_ONNX_INT8, -128, 127},
        {SAL_ONNX_UINT16, 0, 65535},
        {SAL_ONNX_INT16, -32768, 32767},
        {SAL_ONNX_INT32, INT32_MIN, INT32_MAX},
        {SAL_ONNX_UINT32, 0, UINT32_MAX},
        {SAL_ONNX_INT64, INT64_MIN, INT64_MAX},
        {SAL_ONNX_UINT64, 0, INT64_MAX},
    };
    for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
        int64_t least = sal_int_lowest(ranges[i].type);
        int64_t most = sal_int_highest(ranges[i].type);
        assert_true(least == ranges[i].least && most == ranges[i].most);
        assert_true(sal_int_wrap(ranges[i].type, least) == least);
        assert_true(sal_int_wrap(ranges[i].type, most) == most);
        if (ranges[i].type != SAL_ONNX_BOOL && most < INT64_MAX)
            assert_true(sal_int_wrap(ranges[i].type, most + 1) == least);
    }
}

static void reals_are_clamped_to_a_range(void **state)
{
    (void)state;
    assert_int_equal(sal_int_clamp(3, 0, 255), 3);
    assert_int_equal(sal_int_clamp(-1, 0, 255), 0);
    assert_int_equal(sal_int_clamp(256, 0, 255), 255);
    assert_int_equal(sal_int_clamp((sal_real)INFINITY, -128, 127), 127);
    assert_int_equal(sal_int_clamp(-(sal_real)INFINITY, -128, 127), -128);
    assert_int_equal(sal_int_clamp((sal_real)NAN, -128, 127), -128);
}

static void rounding_near_is_rint_where_it_counts(void **state)
{
    (void)state;
    static const double values[] = {0,    0.5,    1.5,  2.5,     -0.5,        -1.5,
                                    -2.5, 0.4999, 3.75, 65535.5, -1048575.25, 1048574.5};
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
        assert_true(sal_round_near((sal_real)values[i]) == (sal_real)rint(values[i]));
    assert_true(sal_round_near((sal_real)1e30) == 1 << 20);
    assert_true(sal_round_near(-(sal_real)INFINITY) == -(1 << 20));
    assert_true(isnan(sal_round_near((sal_real)NAN)));
}

static void the_small_floats_have_no_kind(void **state)
{
    (void)state;
    enum sal_kind kind;
    for (int type = SAL_ONNX_FLOAT8E4M3FN; type <= SAL_ONNX_FLOAT8E5M2FNUZ; type++)
        assert_false(sal_type_kind(type, &kind));
    assert_false(sal_type_kind(-1, &kind));
    assert_false(sal_type_kind(1 << 30, &kind));
    assert_true(sal_type_kind(SAL_ONNX_INT4, &kind));
    assert_int_equal(kind, SAL_INT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_is_kept_and_what_lies_between_rounds_to_even),
        cmocka_unit_test(the_ends_of_the_half_precisions_are_theirs),
        cmocka_unit_test(wider_types_keep_what_we_compute_with),
        cmocka_unit_test(integers_have_the_range_of_their_type),
        cmocka_unit_test(reals_are_clamped_to_a_range),
        cmocka_unit_test(rounding_near_is_rint_where_it_counts),
        cmocka_unit_test(the_small_floats_have_no_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
