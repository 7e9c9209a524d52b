/* Gradients of every operator but Conv, Gemm, MatMul and quantisation: by the twins, by
 * the adjoint identity over random attributes, at kinks, and for any number of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gradient.h"
#include "op.h"
#include "sentence.h"
#include "twin.h"

#define FAMILY_ADDRESS(name) &family_##name,
static const struct family *const families[] = {FAMILIES(FAMILY_ADDRESS)};

/* ---- every operator ------------------------------------------------------------------ */

static void gradients_are_those_of_the_double_twin(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++)
        for (size_t i = 0; i < families[f]->n; i++) {
            char name[400];
            struct gradient_case c =
                sentence_case(&families[f]->sentences[i], name, sizeof(name));
            check_gradient(&c);
        }
}

static bool has_a_case(const char *op)
{
    for (size_t f = 0; f < COUNT(families); f++)
        for (size_t i = 0; i < families[f]->n; i++)
            if (strcmp(families[f]->sentences[i].op, op) == 0)
                return true;
    return false;
}

static void every_operator_with_a_gradient_has_a_case(void **state)
{
    (void)state;
    /* In test_gradient_linear.c and test_gradient_straight.c. */
    static const char *const elsewhere[] = {
        "Conv",           "DequantizeLinear", "DynamicQuantizeLinear", "Gemm", "MatMul",
        "QuantizeLinear",
    };
    for (int i = 0; sal_ops[i]; i++) {
        bool found = !sal_ops[i]->backward || has_a_case(sal_ops[i]->name);
        for (size_t j = 0; j < COUNT(elsewhere); j++)
            found |= strcmp(elsewhere[j], sal_ops[i]->name) == 0;
        if (!found)
            fail_msg("no gradient case for %s", sal_ops[i]->name);
    }
}

static void linear_operators_and_their_gradients_are_adjoint(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT(families); f++)
        for (size_t i = 0; i < 300 * families[f]->n_random; i++) {
            char name[400];
            struct random_sentence r = {.s.outputs = "y", .dice = i * 7919};
            families[f]->random[i % families[f]->n_random](&r);
            struct gradient_case c = sentence_case(&r.s, name, sizeof(name));
            check_adjoint(&c);
        }
}

/* ---- several outputs ------------------------------------------------------------------- */

static void all_outputs_of_a_normalisation(struct onnx_build *b)
{
    onnx_build_input(b, "x", SAL_ONNX_FLOAT, 3, (int64_t[]){2, 3, 4});
    onnx_build_input(b, "scale", SAL_ONNX_FLOAT, 1, (int64_t[]){4});
    onnx_build_node(b, "LayerNormalization", "x,scale", "normal,mean,inverse");
    onnx_build_node(b, "Mul", "normal,mean", "product");
    onnx_build_node(b, "Mul", "product,inverse", "y");
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, -1, NULL);
}

static void gradients_arrive_through_all_outputs(void **state)
{
    (void)state;
    check_gradient(&(struct gradient_case){"LayerNormalization by all its outputs",
                                           all_outputs_of_a_normalisation, 17, 0, 0});
}

/* ---- kinks ----------------------------------------------------------------------------- */

/* Runs a sentence of one input on x with a gradient of ones; dx must be as expected. */
static void check_kink(const struct sentence *s, const double *x, const double *dx, int n)
{
    static const double ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    struct onnx_build b;
    struct twin_result result;
    char name[160];
    struct gradient_case c = sentence_case(s, name, sizeof(name));
    onnx_build_init(&b, s->opset);
    c.build(&b);
    struct twin_case twin = {.model = onnx_build_finish(&b), .input = {x}, .dy = ones};
    if (!sal_twin_float(&twin, &result))
        fail_msg("%s: %s", name, result.message);
    for (int i = 0; i < n; i++)
        if (!(result.dx[0][i] == dx[i]))
            fail_msg("%s: d/dx[%d] is %g, expected %g", name, i, result.dx[0][i], dx[i]);
    twin_result_release(&result);
    onnx_build_release(&b);
}

#define REALS(...) (const double[]){__VA_ARGS__}

static void relu_has_slope_0_at_0(void **state)
{
    (void)state;
    check_kink(&(struct sentence)CASE("Relu", 13, NULL, "3"), REALS(-1, 0, 1), REALS(0, 0, 1),
               3);
}

static void clip_has_slope_1_on_its_bounds(void **state)
{
    (void)state;
    check_kink(&(struct sentence)CASE("Clip", 6, "min=0.0 max=6.0", "4"), REALS(-1, 0, 6, 7),
               REALS(0, 1, 1, 0), 4);
}

static void the_first_of_equal_maxima_gets_the_gradient(void **state)
{
    (void)state;
    check_kink(&(struct sentence)CASE("MaxPool", 12, "kernel_shape=4,", "1x1x4"),
               REALS(1, 3, 3, 2), REALS(0, 1, 0, 0), 4);
    check_kink(&(struct sentence)CASE("GlobalMaxPool", 12, NULL, "1x1x2x2"),
               REALS(1, 3, 3, 2), REALS(0, 1, 0, 0), 4);
    check_kink(&(struct sentence)CASE("ReduceMax", 13, NULL, "2x2"), REALS(1, 3, 3, 2),
               REALS(0, 1, 0, 0), 4);
}

static void a_product_has_a_gradient_where_factors_are_0(void **state)
{
    (void)state;
    check_kink(&(struct sentence)CASE("ReduceProd", 13, "axes=1,", "3x3"),
               REALS(2, 0, -3, 0, 0, 4, 1, 2, -5), REALS(0, -6, 0, 0, 0, 0, -10, -5, 2), 9);
}

static void prelu_has_its_left_slope_at_0(void **state)
{
    (void)state;
    check_kink(&(struct sentence)CASE("PRelu", 9, NULL, "3", "{0.25}"), REALS(-1, 0, 1),
               REALS(0.25, 0.25, 1), 3);
}

static void the_first_of_equals_is_chosen(void **state)
{
    (void)state;
    check_kink(&(struct sentence)CASE("TopK", 11, NULL, "5", "[2]"), REALS(1, 3, 2, 3, 3),
               REALS(0, 1, 0, 1, 0), 5);
    check_kink(&(struct sentence)CASE("Hardmax", 13, NULL, "3"), REALS(1, 3, 3),
               REALS(0, 0, 0), 3);
}

static void rows_of_zeros_keep_slope_0(void **state)
{
    (void)state;
    check_kink(&(struct sentence)CASE("LpNormalization", 1, "p=1", "3"), REALS(0, 0, 0),
               REALS(0, 0, 0), 3);
    check_kink(&(struct sentence)CASE("LpNormalization", 1, NULL, "3"), REALS(0, 0, 0),
               REALS(0, 0, 0), 3);
    check_kink(&(struct sentence)CASE("MeanVarianceNormalization", 13, "axes=1,", "1x3"),
               REALS(0, 0, 0), REALS(0, 0, 0), 3);
}

static void a_norm_of_nothing_but_zeros_has_slope_0(void **state)
{
    (void)state;
    check_kink(&(struct sentence)CASE("ReduceL2", 13, NULL, "3"), REALS(0, 0, 0),
               REALS(0, 0, 0), 3);
    check_kink(&(struct sentence)CASE("ReduceL1", 13, NULL, "3"), REALS(0, -1, 1),
               REALS(0, -1, 1), 3);
}

/* ---- threads --------------------------------------------------------------------------- */

static void run_with(int threads, struct sal_span model, const double *x,
                     const double *scale, const double *dy, struct twin_result *result)
{
    struct twin_case twin = {
        .model = model, .input = {x, scale}, .dy = dy, .threads = threads};
    if (!sal_twin_float(&twin, result))
        fail_msg("%s", result->message);
}

static double *random_values(int64_t n, uint64_t seed)
{
    double *values = malloc(sizeof(*values) * (size_t)n);
    for (int64_t i = 0; i < n; i++)
        values[i] = 2 * test_random(&seed) - 1;
    return values;
}

/* A model of inputs x and scale, of n and n_scale elements, and at most n outputs. */
static void check_threads(void (*build)(struct onnx_build *b), int64_t n, int64_t n_scale)
{
    struct onnx_build b;
    onnx_build_init(&b, 17);
    build(&b);
    onnx_build_output(&b, "y", SAL_ONNX_FLOAT, -1, NULL);
    struct sal_span model = onnx_build_finish(&b);
    double *x = random_values(n, 1), *scale = random_values(n_scale, 2);
    double *dy = random_values(n, 3);
    struct twin_result one, many;
    run_with(0, model, x, scale, dy, &one);
    assert_true(one.n_y <= n);
    for (int threads = 2; threads <= 5; threads += 3) {
        run_with(threads, model, x, scale, dy, &many);
        assert_memory_equal(one.y, many.y, sizeof(double) * (size_t)one.n_y);
        assert_memory_equal(one.dx[0], many.dx[0], sizeof(double) * (size_t)n);
        assert_memory_equal(one.dx[1], many.dx[1], sizeof(double) * (size_t)n_scale);
        twin_result_release(&many);
    }
    twin_result_release(&one);
    free(x);
    free(scale);
    free(dy);
    onnx_build_release(&b);
}

static void build_normalised(struct onnx_build *b)
{
    onnx_build_input(b, "x", SAL_ONNX_FLOAT, 4, (int64_t[]){1, 24, 61, 67});
    onnx_build_input(b, "scale", SAL_ONNX_FLOAT, 3, (int64_t[]){24, 1, 1});
    onnx_build_indices(b, "most", 1, (int64_t[]){1}, (int64_t[]){40});
    onnx_build_weights(b, "half", 1, (int64_t[]){1}, (float[]){0.5f});
    onnx_build_node(b, "Mul", "x,scale", "scaled");
    onnx_build_node(b, "Sigmoid", "scaled", "soft");
    onnx_build_node(b, "LRN", "soft", "normal");
    onnx_build_int(b, "size", 5);
    onnx_build_node(b, "MaxPool", "normal", "pooled");
    onnx_build_ints(b, "kernel_shape", 2, (int64_t[]){3, 3});
    onnx_build_node(b, "Softmax", "pooled", "shares");
    onnx_build_int(b, "axis", 1);
    onnx_build_node(b, "Transpose", "shares", "turned");
    onnx_build_node(b, "LayerNormalization", "turned,half", "layers");
    onnx_build_int(b, "axis", 2);
    onnx_build_node(b, "TopK", "layers,most", "top");
    onnx_build_int(b, "axis", 1);
    onnx_build_node(b, "ReduceMean", "top", "y");
    onnx_build_ints(b, "axes", 1, (int64_t[]){0});
}

static void build_resampled(struct onnx_build *b)
{
    static float weights[20 * 6 * 9];
    uint64_t state = 4;
    for (size_t i = 0; i < COUNT(weights); i++)
        weights[i] = (float)test_random(&state) - 0.5f;
    onnx_build_input(b, "x", SAL_ONNX_FLOAT, 4, (int64_t[]){1, 20, 61, 67});
    onnx_build_input(b, "scale", SAL_ONNX_FLOAT, 4, (int64_t[]){1, 40, 50, 2});
    onnx_build_indices(b, "sizes", 1, (int64_t[]){4}, (int64_t[]){1, 20, 45, 80});
    onnx_build_node(b, "Resize", "x,,,sizes", "resized");
    onnx_build_string(b, "mode", "cubic");
    onnx_build_weights(b, "weights", 4, (int64_t[]){20, 6, 3, 3}, weights);
    onnx_build_node(b, "ConvTranspose", "resized,weights", "spread");
    onnx_build_int(b, "group", 2);
    onnx_build_node(b, "GridSample", "spread,scale", "sampled");
    onnx_build_node(b, "LpPool", "sampled", "pooled");
    onnx_build_ints(b, "kernel_shape", 2, (int64_t[]){3, 3});
    onnx_build_node(b, "SpaceToDepth", "pooled", "y");
    onnx_build_int(b, "blocksize", 2);
}

static void results_are_the_same_bits_for_any_number_of_threads(void **state)
{
    (void)state;
    check_threads(build_normalised, 24 * 61 * 67, 24);
    check_threads(build_resampled, 20 * 61 * 67, 40 * 50 * 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_those_of_the_double_twin),
        cmocka_unit_test(every_operator_with_a_gradient_has_a_case),
        cmocka_unit_test(linear_operators_and_their_gradients_are_adjoint),
        cmocka_unit_test(gradients_arrive_through_all_outputs),
        cmocka_unit_test(relu_has_slope_0_at_0),
        cmocka_unit_test(clip_has_slope_1_on_its_bounds),
        cmocka_unit_test(the_first_of_equal_maxima_gets_the_gradient),
        cmocka_unit_test(a_product_has_a_gradient_where_factors_are_0),
        cmocka_unit_test(prelu_has_its_left_slope_at_0),
        cmocka_unit_test(the_first_of_equals_is_chosen),
        cmocka_unit_test(rows_of_zeros_keep_slope_0),
        cmocka_unit_test(a_norm_of_nothing_but_zeros_has_slope_0),
        cmocka_unit_test(results_are_the_same_bits_for_any_number_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
