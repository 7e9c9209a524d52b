/* Conv, Gemm and MatMul: gradients by the twins and by the adjoint identity, over
 * named cases and over many random attribute combinations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gradient.h"

#define DIMS(...) (const int64_t[]){__VA_ARGS__}

/* Weights that differ everywhere, in -1..1. */
static void weights(struct onnx_build *b, const char *name, int rank, const int64_t *dims)
{
    uint64_t state = 99;
    int64_t n = 1;
    for (int d = 0; d < rank; d++)
        n *= dims[d];
    float *values = malloc(sizeof(*values) * (size_t)n);
    for (int64_t i = 0; i < n; i++)
        values[i] = (float)(2 * test_random(&state) - 1);
    onnx_build_weights(b, name, rank, dims, values);
    free(values);
}

static void input(struct onnx_build *b, const char *name, int rank, const int64_t *dims)
{
    onnx_build_input(b, name, SAL_ONNX_FLOAT, rank, dims);
}

static void output(struct onnx_build *b, const char *name)
{
    onnx_build_output(b, name, SAL_ONNX_FLOAT, -1, NULL);
}

/* ---- Conv ------------------------------------------------------------------------ */

static void conv_plain(struct onnx_build *b)
{
    input(b, "x", 4, DIMS(2, 3, 7, 6));
    weights(b, "w", 4, DIMS(4, 3, 3, 3));
    weights(b, "bias", 1, DIMS(4));
    onnx_build_node(b, "Conv", "x,w,bias", "y");
    onnx_build_ints(b, "pads", 4, DIMS(1, 1, 1, 1));
    output(b, "y");
}

static void conv_strided_asymmetric(struct onnx_build *b)
{
    input(b, "x", 4, DIMS(1, 2, 9, 8));
    weights(b, "w", 4, DIMS(5, 2, 3, 2));
    onnx_build_node(b, "Conv", "x,w", "y");
    onnx_build_ints(b, "pads", 4, DIMS(0, 1, 2, 0));
    onnx_build_ints(b, "strides", 2, DIMS(2, 3));
    output(b, "y");
}

static void conv_dilated_grouped(struct onnx_build *b)
{
    input(b, "x", 4, DIMS(2, 6, 8, 9));
    weights(b, "w", 4, DIMS(4, 3, 3, 3));
    weights(b, "bias", 1, DIMS(4));
    onnx_build_node(b, "Conv", "x,w,bias", "y");
    onnx_build_int(b, "group", 2);
    onnx_build_ints(b, "dilations", 2, DIMS(2, 1));
    output(b, "y");
}

static void conv_depthwise(struct onnx_build *b)
{
    input(b, "x", 4, DIMS(2, 4, 6, 7));
    weights(b, "w", 4, DIMS(8, 1, 3, 3));
    weights(b, "bias", 1, DIMS(8));
    onnx_build_node(b, "Conv", "x,w,bias", "y");
    onnx_build_int(b, "group", 4);
    onnx_build_ints(b, "strides", 2, DIMS(2, 1));
    onnx_build_ints(b, "pads", 4, DIMS(1, 1, 1, 1));
    output(b, "y");
}

static void conv_pointwise(struct onnx_build *b)
{
    input(b, "x", 4, DIMS(2, 5, 4, 4));
    weights(b, "w", 4, DIMS(7, 5, 1, 1));
    weights(b, "bias", 1, DIMS(7));
    onnx_build_node(b, "Conv", "x,w,bias", "y");
    output(b, "y");
}

static void conv_same_upper(struct onnx_build *b)
{
    input(b, "x", 4, DIMS(1, 2, 7, 8));
    weights(b, "w", 4, DIMS(3, 2, 4, 3));
    onnx_build_node(b, "Conv", "x,w", "y");
    onnx_build_string(b, "auto_pad", "SAME_UPPER");
    onnx_build_ints(b, "strides", 2, DIMS(2, 2));
    output(b, "y");
}

static void conv_same_lower(struct onnx_build *b)
{
    input(b, "x", 4, DIMS(1, 2, 7, 8));
    weights(b, "w", 4, DIMS(3, 2, 4, 3));
    onnx_build_node(b, "Conv", "x,w", "y");
    onnx_build_string(b, "auto_pad", "SAME_LOWER");
    output(b, "y");
}

static void conv_one_axis(struct onnx_build *b)
{
    input(b, "x", 3, DIMS(2, 3, 11));
    weights(b, "w", 3, DIMS(4, 3, 3));
    onnx_build_node(b, "Conv", "x,w", "y");
    onnx_build_ints(b, "strides", 1, DIMS(2));
    output(b, "y");
}

static void conv_three_axes(struct onnx_build *b)
{
    input(b, "x", 5, DIMS(1, 2, 4, 5, 4));
    weights(b, "w", 5, DIMS(3, 2, 2, 3, 2));
    onnx_build_node(b, "Conv", "x,w", "y");
    onnx_build_ints(b, "pads", 6, DIMS(1, 0, 1, 0, 1, 1));
    output(b, "y");
}

/* ---- Gemm and MatMul ------------------------------------------------------------- */

static void gemm(struct onnx_build *b, int64_t a_turned, int64_t b_turned,
                 const char *inputs)
{
    input(b, "a", 2, a_turned ? DIMS(5, 3) : DIMS(3, 5));
    input(b, "b", 2, b_turned ? DIMS(4, 5) : DIMS(5, 4));
    input(b, "c", 1, DIMS(4));
    onnx_build_node(b, "Gemm", inputs, "y");
    onnx_build_float(b, "alpha", 0.5f);
    onnx_build_float(b, "beta", 1.5f);
    onnx_build_int(b, "transA", a_turned);
    onnx_build_int(b, "transB", b_turned);
    output(b, "y");
}

static void gemm_nn(struct onnx_build *b) { gemm(b, 0, 0, "a,b,c"); }
static void gemm_nt(struct onnx_build *b) { gemm(b, 0, 1, "a,b,c"); }
static void gemm_tn(struct onnx_build *b) { gemm(b, 1, 0, "a,b,c"); }
static void gemm_tt(struct onnx_build *b) { gemm(b, 1, 1, "a,b,c"); }

static void gemm_column_bias(struct onnx_build *b)
{
    input(b, "a", 2, DIMS(3, 300));
    weights(b, "b", 2, DIMS(300, 2));
    input(b, "c", 2, DIMS(3, 1));
    onnx_build_node(b, "Gemm", "a,b,c", "y");
    output(b, "y");
}

static void matmul_plain(struct onnx_build *b)
{
    input(b, "a", 2, DIMS(3, 5));
    input(b, "b", 2, DIMS(5, 4));
    onnx_build_node(b, "MatMul", "a,b", "y");
    output(b, "y");
}

static void matmul_broadcast(struct onnx_build *b)
{
    input(b, "a", 4, DIMS(2, 1, 3, 4));
    input(b, "b", 3, DIMS(3, 4, 5));
    onnx_build_node(b, "MatMul", "a,b", "y");
    output(b, "y");
}

static void matmul_vector(struct onnx_build *b)
{
    input(b, "a", 3, DIMS(2, 3, 4));
    input(b, "b", 1, DIMS(4));
    onnx_build_node(b, "MatMul", "a,b", "y");
    output(b, "y");
}

static void matmul_vectors(struct onnx_build *b)
{
    input(b, "a", 1, DIMS(6));
    input(b, "b", 1, DIMS(6));
    onnx_build_node(b, "MatMul", "a,b", "y");
    output(b, "y");
}

static const struct gradient_case cases[] = {
    {"Conv with padding and bias", conv_plain, 11, 0, 0},
    {"Conv with strides and uneven padding", conv_strided_asymmetric, 11, 0, 0},
    {"Conv with dilations and groups", conv_dilated_grouped, 11, 0, 0},
    {"Conv channel by channel", conv_depthwise, 11, 0, 0},
    {"Conv with a window of one", conv_pointwise, 11, 0, 0},
    {"Conv padded SAME_UPPER", conv_same_upper, 11, 0, 0},
    {"Conv padded SAME_LOWER", conv_same_lower, 11, 0, 0},
    {"Conv along one axis", conv_one_axis, 11, 0, 0},
    {"Conv along three axes", conv_three_axes, 11, 0, 0},
    {"Gemm", gemm_nn, 13, 0, 0},
    {"Gemm with B transposed", gemm_nt, 13, 0, 0},
    {"Gemm with A transposed", gemm_tn, 13, 0, 0},
    {"Gemm with both transposed", gemm_tt, 13, 0, 0},
    {"Gemm with a bias per row", gemm_column_bias, 13, 0, 0},
    {"MatMul of matrices", matmul_plain, 13, 0, 0},
    {"MatMul over broadcast batches", matmul_broadcast, 13, 0, 0},
    {"MatMul with a vector", matmul_vector, 13, 0, 0},
    {"MatMul of vectors", matmul_vectors, 13, 0, 0},
};

static void gradients_are_those_of_the_double_twin(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        check_gradient(&cases[i]);
}

/* ---- random attributes ------------------------------------------------------------- */

static uint64_t dice;

static int64_t roll(int64_t low, int64_t high)
{
    return low + (int64_t)(test_random(&dice) * (double)(high - low + 1));
}

static void conv_random(struct onnx_build *b)
{
    uint64_t again = dice; /* built once for each precision */
    int64_t group = roll(1, 3), c = roll(1, 3), k = roll(1, 3);
    int64_t kernel[2] = {roll(1, 4), roll(1, 4)};
    int64_t dilation[2] = {roll(1, 2), roll(1, 3)};
    int64_t extent[2], size[2];
    for (int d = 0; d < 2; d++) {
        extent[d] = (kernel[d] - 1) * dilation[d] + 1;
        size[d] = extent[d] + roll(0, 5);
    }
    input(b, "x", 4, DIMS(roll(1, 2), group * c, size[0], size[1]));
    weights(b, "w", 4, DIMS(group * k, c, kernel[0], kernel[1]));
    onnx_build_node(b, "Conv", "x,w", "y");
    onnx_build_int(b, "group", group);
    onnx_build_ints(b, "dilations", 2, dilation);
    onnx_build_ints(b, "strides", 2, DIMS(roll(1, 4), roll(1, 3)));
    onnx_build_ints(b, "pads", 4, DIMS(roll(0, 3), roll(0, 3), roll(0, 3), roll(0, 3)));
    output(b, "y");
    dice = again;
}

static void convolution_and_its_gradient_are_adjoint(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        char name[64];
        snprintf(name, sizeof(name), "random Conv %d", i);
        dice = (uint64_t)i * 7919;
        check_adjoint(&(struct gradient_case){.name = name, .build = conv_random, .opset = 11});
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_those_of_the_double_twin),
        cmocka_unit_test(convolution_and_its_gradient_are_adjoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
