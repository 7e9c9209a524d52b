/* Gradients that are declared, not derived: quantisation and rounding pass them straight
 * through, finite differences say nothing; and what is refused rather than zero. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gradient.h"
#include "twin.h"

#define DIMS(...) (const int64_t[]){__VA_ARGS__}
#define REALS(...) (const double[]){__VA_ARGS__}

enum { VALUES_MAX = 64 };

static void finish(struct onnx_build *b, const double *x, struct twin_result *result)
{
    double dy[VALUES_MAX];
    for (int i = 0; i < VALUES_MAX; i++)
        dy[i] = 1 + 0.25 * (i % 5);
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, -1, NULL);
    struct twin_case twin = {.model = onnx_build_finish(b), .input = {x}, .dy = dy};
    if (!sal_twin_float(&twin, result))
        fail_msg("%s", result->message);
}

static void assert_values(const char *what, const double *got, const double *expected, int n)
{
    for (int i = 0; i < n; i++)
        if (!(got[i] == expected[i]))
            fail_msg("%s[%d] is %.9g, expected %.9g", what, i, got[i], expected[i]);
}

/* dx is expected per dy. */
static void check(struct onnx_build *b, int n, const double *x, const double *y,
                  const double *slope)
{
    struct twin_result result;
    double dx[VALUES_MAX];
    finish(b, x, &result);
    for (int i = 0; i < n; i++)
        dx[i] = slope[i] * (1 + 0.25 * (i % 5));
    assert_int_equal(result.n_y, n);
    assert_values("y", result.y, y, n);
    assert_values("dx", result.dx[0], dx, n);
    twin_result_release(&result);
    onnx_build_release(b);
}

static void begin(struct onnx_build *b, int64_t opset, int rank, const int64_t *dims)
{
    onnx_build_init(b, opset);
    onnx_build_input(b, "x", SAL_ONNX_FLOAT, rank, dims);
}

static void scale_and_zero(struct onnx_build *b, float scale, uint8_t zero)
{
    onnx_build_weights(b, "s", 0, NULL, &scale);
    onnx_build_raw(b, "z", SAL_ONNX_UINT8, 0, NULL, &zero, 1);
}

/* ---- pairs -------------------------------------------------------------------------- */

static void a_pair_has_slope_1_where_a_value_fits_and_0_where_it_saturates(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b, 13, 1, DIMS(8));
    scale_and_zero(&b, 0.5f, 3);
    onnx_build_node(&b, "QuantizeLinear", "x,s,z", "q");
    onnx_build_node(&b, "DequantizeLinear", "q,s,z", "y");
    check(&b, 8, REALS(-10, -1.76, -1.75, -1.5, 0.3, 126.24, 126.26, 200),
          REALS(-1.5, -1.5, -1.5, -1.5, 0.5, 126, 126, 126), REALS(0, 0, 0, 1, 1, 1, 0, 0));
}

static void scales_of_an_axis_and_of_blocks_pass_as_much(void **state)
{
    (void)state;
    static const float scales[] = {0.5f, 2, 8, 0.25f};
    struct onnx_build b;
    begin(&b, 13, 2, DIMS(2, 4));
    onnx_build_weights(&b, "s", 1, DIMS(4), scales);
    onnx_build_node(&b, "QuantizeLinear", "x,s", "q");
    onnx_build_node(&b, "DequantizeLinear", "q,s", "y");
    check(&b, 8, REALS(1, 1, 12, 1, -1, 3, 2, 100), REALS(1, 0, 16, 1, 0, 4, 0, 63.75),
          REALS(1, 1, 1, 1, 0, 1, 1, 0));
    begin(&b, 21, 2, DIMS(2, 3));
    onnx_build_weights(&b, "s", 2, DIMS(2, 2), scales);
    onnx_build_node(&b, "QuantizeLinear", "x,s", "q");
    onnx_build_int(&b, "block_size", 2);
    onnx_build_int(&b, "output_dtype", SAL_ONNX_INT4);
    onnx_build_node(&b, "DequantizeLinear", "q,s", "y");
    onnx_build_int(&b, "block_size", 2);
    check(&b, 6, REALS(1, 4, 4, -100, 8, 1), REALS(1, 3.5, 4, -64, 8, 1),
          REALS(1, 0, 1, 0, 1, 1));
}

static void two_scales_make_the_slope_their_ratio(void **state)
{
    (void)state;
    static const float half = 0.5f, two = 2;
    struct onnx_build b;
    begin(&b, 13, 1, DIMS(3));
    onnx_build_weights(&b, "s", 0, NULL, &half);
    onnx_build_weights(&b, "t", 0, NULL, &two);
    onnx_build_node(&b, "QuantizeLinear", "x,s", "q");
    onnx_build_node(&b, "DequantizeLinear", "q,t", "y");
    check(&b, 3, REALS(1, 3, -1), REALS(4, 12, 0), REALS(4, 4, 0));
}

static void a_scale_made_for_the_input_is_held(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b, 13, 1, DIMS(4));
    onnx_build_node(&b, "DynamicQuantizeLinear", "x", "q,s,z");
    onnx_build_node(&b, "DequantizeLinear", "q,s,z", "y");
    check(&b, 4, REALS(0, 255, 3.25, 10), REALS(0, 255, 3, 10), REALS(1, 1, 1, 1));
}

static void rounding_to_half_precision_has_slope_1(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b, 13, 1, DIMS(3));
    onnx_build_node(&b, "Cast", "x", "h");
    onnx_build_int(&b, "to", SAL_ONNX_FLOAT16);
    onnx_build_node(&b, "Cast", "h", "y");
    onnx_build_int(&b, "to", SAL_ONNX_FLOAT);
    check(&b, 3, REALS(1.0001, 2049, 1e-9), REALS(1, 2048, 0), REALS(1, 1, 1));
    begin(&b, 15, 1, DIMS(2));
    onnx_build_raw(&b, "like", SAL_ONNX_BFLOAT16, 0, NULL, (uint16_t[]){0}, 2);
    onnx_build_node(&b, "CastLike", "x,like", "y");
    check(&b, 2, REALS(1.001, 257), REALS(1, 256), REALS(1, 1));
}

/* ---- between the two of a pair ------------------------------------------------------- */

/* Everything that takes quantised integers, from `in` to 18 elements in `out`. */
static void body(struct onnx_build *b, const char *in, const char *out)
{
    onnx_build_node(b, "Relu", in, "relu");
    onnx_build_node(b, "MaxPool", "relu", "pooled");
    onnx_build_ints(b, "kernel_shape", 2, DIMS(2, 2));
    onnx_build_ints(b, "pads", 4, DIMS(1, 0, 0, 1));
    onnx_build_node(b, "Transpose", "pooled", "turned");
    onnx_build_ints(b, "perm", 4, DIMS(0, 2, 3, 1));
    onnx_build_indices(b, "starts", 1, DIMS(1), DIMS(1));
    onnx_build_indices(b, "ends", 1, DIMS(1), DIMS(4));
    onnx_build_indices(b, "axes", 1, DIMS(1), DIMS(1));
    onnx_build_node(b, "Slice", "turned,starts,ends,axes", "cut");
    onnx_build_indices(b, "shape", 1, DIMS(2), DIMS(6, 4));
    onnx_build_node(b, "Reshape", "cut,shape", "flat");
    onnx_build_indices(b, "rows", 1, DIMS(3), DIMS(5, 0, 0));
    onnx_build_node(b, "Gather", "flat,rows", "some");
    onnx_build_node(b, "Split", "some", "left,right");
    onnx_build_int(b, "axis", 1);
    onnx_build_node(b, "Concat", "right,left,right", "joined");
    onnx_build_int(b, "axis", 1);
    onnx_build_node(b, "Neg", "joined", "negative");
    onnx_build_node(b, "Identity", "negative", out);
}

static void integers_between_a_pair_pass_what_reals_would(void **state)
{
    (void)state;
    double x[32];
    for (int i = 0; i < 32; i++)
        x[i] = 0.5 * (i * 13 % 32 - 10);
    struct onnx_build plain, quantised;
    struct twin_result expected, got;
    static const float half = 0.5f;
    begin(&plain, 14, 4, DIMS(1, 2, 4, 4));
    body(&plain, "x", "y");
    finish(&plain, x, &expected);
    begin(&quantised, 14, 4, DIMS(1, 2, 4, 4));
    onnx_build_weights(&quantised, "s", 0, NULL, &half);
    onnx_build_raw(&quantised, "z", SAL_ONNX_INT8, 0, NULL, "", 1);
    onnx_build_node(&quantised, "QuantizeLinear", "x,s,z", "q");
    body(&quantised, "q", "p");
    onnx_build_node(&quantised, "DequantizeLinear", "p,s,z", "y");
    finish(&quantised, x, &got);
    assert_int_equal(expected.n_y, 18);
    assert_values("y", got.y, expected.y, 18);
    assert_values("dx", got.dx[0], expected.dx[0], 32);
    twin_result_release(&expected);
    twin_result_release(&got);
    onnx_build_release(&plain);
    onnx_build_release(&quantised);
}

/* ---- the scale of DequantizeLinear is a factor like others ----------------------------- */

static const int8_t levels[] = {3, -7, 0, 120, -128, 5, 9, 1, -2, 77, 4, -6};

static void one_scale(struct onnx_build *b)
{
    onnx_build_input(b, "s", SAL_ONNX_FLOAT, 0, NULL);
    onnx_build_raw(b, "q", SAL_ONNX_INT8, 3, DIMS(2, 3, 2), levels, sizeof(levels));
    onnx_build_raw(b, "z", SAL_ONNX_INT8, 0, NULL, (int8_t[]){-5}, 1);
    onnx_build_node(b, "DequantizeLinear", "q,s,z", "y");
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, -1, NULL);
}

static void scale_per_axis(struct onnx_build *b)
{
    onnx_build_input(b, "s", SAL_ONNX_FLOAT, 1, DIMS(3));
    onnx_build_raw(b, "q", SAL_ONNX_INT8, 3, DIMS(2, 3, 2), levels, sizeof(levels));
    onnx_build_raw(b, "z", SAL_ONNX_INT8, 1, DIMS(3), levels, 3);
    onnx_build_node(b, "DequantizeLinear", "q,s,z", "y");
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, -1, NULL);
}

static void scale_per_block(struct onnx_build *b)
{
    onnx_build_input(b, "s", SAL_ONNX_FLOAT, 3, DIMS(2, 2, 2));
    onnx_build_raw(b, "q", SAL_ONNX_INT8, 3, DIMS(2, 3, 2), levels, sizeof(levels));
    onnx_build_node(b, "DequantizeLinear", "q,s", "y");
    onnx_build_int(b, "block_size", 2);
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, -1, NULL);
}

static void scales_have_a_gradient(void **state)
{
    (void)state;
    static const struct gradient_case cases[] = {
        {"one scale", one_scale, 13, 0, 0},
        {"scale per axis", scale_per_axis, 13, 0, 0},
        {"scale per block", scale_per_block, 21, 0, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        check_gradient(&cases[i]);
        check_adjoint(&cases[i]);
    }
}

/* ---- refusals ------------------------------------------------------------------------- */

static void check_refused(struct onnx_build *b, const char *text)
{
    static const double x[4] = {1, 2, 3, 4}, dy[4] = {1, 1, 1, 1};
    struct twin_result result;
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, -1, NULL);
    struct twin_case twin = {.model = onnx_build_finish(b), .input = {x, x}};
    if (!sal_twin_float(&twin, &result))
        fail_msg("%s", result.message);
    twin_result_release(&result);
    twin.dy = dy;
    assert_false(sal_twin_float(&twin, &result));
    if (!strstr(result.message, text))
        fail_msg("'%s' is not in '%s'", text, result.message);
    twin_result_release(&result);
    onnx_build_release(b);
}

static void arithmetic_of_integers_is_refused_by_name(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b, 13, 2, DIMS(2, 2));
    scale_and_zero(&b, 0.5f, 3);
    onnx_build_raw(&b, "w", SAL_ONNX_UINT8, 2, DIMS(2, 2), "abcd", 4);
    onnx_build_node(&b, "QuantizeLinear", "x,s,z", "q");
    onnx_build_node(&b, "QLinearMatMul", "q,s,z,w,s,z,s,z", "p");
    onnx_build_name(&b, "product");
    onnx_build_node(&b, "DequantizeLinear", "p,s,z", "y");
    check_refused(&b, "QLinearMatMul 'product': multiplies integers and has no gradient");
    /* A way around it would make the rest a partial gradient, which nobody would see. */
    begin(&b, 13, 2, DIMS(2, 2));
    onnx_build_raw(&b, "w", SAL_ONNX_UINT8, 2, DIMS(2, 2), "abcd", 4);
    onnx_build_node(&b, "DynamicQuantizeLinear", "x", "q,qs,qz");
    onnx_build_node(&b, "MatMulInteger", "q,w,qz", "p");
    onnx_build_name(&b, "product");
    onnx_build_node(&b, "Cast", "p", "r");
    onnx_build_int(&b, "to", SAL_ONNX_FLOAT);
    onnx_build_node(&b, "Mul", "r,qs", "t");
    onnx_build_node(&b, "Add", "t,x", "y");
    check_refused(&b, "MatMulInteger 'product': multiplies integers and has no gradient");
}

static void operators_that_do_not_take_quantised_integers_are_refused(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b, 14, 1, DIMS(4));
    scale_and_zero(&b, 0.5f, 0);
    onnx_build_node(&b, "QuantizeLinear", "x,s,z", "q");
    onnx_build_node(&b, "Add", "q,q", "p");
    onnx_build_name(&b, "twice");
    onnx_build_node(&b, "DequantizeLinear", "p,s,z", "y");
    check_refused(&b, "Add 'twice': has no gradient for quantised integers (its input 'q' "
                      "is uint8)");
}

static void a_gradient_that_only_integers_would_carry_is_refused(void **state)
{
    (void)state;
    static const float two = 2;
    struct onnx_build b;
    begin(&b, 13, 1, DIMS(4));
    onnx_build_weights(&b, "two", 0, NULL, &two);
    onnx_build_node(&b, "Sin", "x", "wave");
    onnx_build_node(&b, "Greater", "wave,two", "above");
    onnx_build_name(&b, "gate");
    onnx_build_node(&b, "Cast", "above", "y");
    onnx_build_int(&b, "to", SAL_ONNX_FLOAT);
    check_refused(&b, "Greater 'gate': ends the gradient: it makes bool, and the score "
                      "depends on 'x' in no other way");
}

/* The branch's own gradient is never begun, and must not be read. */
static void a_branch_that_ends_in_integers_adds_nothing(void **state)
{
    (void)state;
    static const float two = 2;
    struct onnx_build b;
    begin(&b, 13, 1, DIMS(4));
    onnx_build_weights(&b, "two", 0, NULL, &two);
    onnx_build_node(&b, "Neg", "x", "n");
    onnx_build_node(&b, "Mul", "x,two", "m");
    onnx_build_node(&b, "Greater", "m,two", "above");
    onnx_build_node(&b, "Where", "above,x,n", "y");
    check(&b, 4, REALS(0, 1, 2, 3), REALS(0, -1, 2, 3), REALS(-1, -1, 1, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pair_has_slope_1_where_a_value_fits_and_0_where_it_saturates),
        cmocka_unit_test(scales_of_an_axis_and_of_blocks_pass_as_much),
        cmocka_unit_test(two_scales_make_the_slope_their_ratio),
        cmocka_unit_test(a_scale_made_for_the_input_is_held),
        cmocka_unit_test(rounding_to_half_precision_has_slope_1),
        cmocka_unit_test(integers_between_a_pair_pass_what_reals_would),
        cmocka_unit_test(scales_have_a_gradient),
        cmocka_unit_test(arithmetic_of_integers_is_refused_by_name),
        cmocka_unit_test(operators_that_do_not_take_quantised_integers_are_refused),
        cmocka_unit_test(a_gradient_that_only_integers_would_carry_is_refused),
        cmocka_unit_test(a_branch_that_ends_in_integers_adds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
