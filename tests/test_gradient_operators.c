/* Every operator with a backward, except Conv, Gemm and MatMul (test_gradient_linear):
 * the float backward against the double one, the double one against differences. The
 * last test walks the operator table, so that none can be left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gradient.h"
#include "op.h"
#include "twin.h"

#define DIMS(...) (const int64_t[]){__VA_ARGS__}
#define LIST(...) \
    (int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), \
        (const int64_t[]){__VA_ARGS__}

static void input(struct onnx_build *b, const char *name, int rank, const int64_t *dims)
{
    onnx_build_input(b, name, SAL_ONNX_FLOAT, rank, dims);
}

static void output(struct onnx_build *b, const char *name)
{
    onnx_build_output(b, name, SAL_ONNX_FLOAT, -1, NULL);
}

static void indices(struct onnx_build *b, const char *name, int n, const int64_t *values)
{
    onnx_build_indices(b, name, 1, DIMS(n), values);
}

static void scalar(struct onnx_build *b, const char *name, float value)
{
    onnx_build_weights(b, name, 0, NULL, &value);
}

/* ---- one input, one output --------------------------------------------------------- */

/* 48 values: kinks at whole numbers and halves lie between them. */
static const struct {
    const char *op;
    int64_t opset;
    double low, high;
} unary[] = {
    {"Abs", 13, -2, 2},          {"Ceil", 13, -2, 2},        {"Cos", 7, -2, 2},
    {"Dropout", 10, -2, 2},      {"Elu", 6, -2, 2},          {"Erf", 13, -2, 2},
    {"Exp", 13, -2, 2},          {"Flatten", 13, -2, 2},     {"Floor", 13, -2, 2},
    {"GlobalAveragePool", 1, -2, 2}, {"GlobalMaxPool", 1, -2, 2},
    {"HardSigmoid", 6, -4, 4},   {"HardSwish", 14, -4, 4},   {"Identity", 13, -2, 2},
    {"LeakyRelu", 6, -2, 2},     {"Log", 13, 0.5, 3},        {"LogSoftmax", 13, -2, 2},
    {"LogSoftmax", 11, -2, 2},   {"Mish", 18, -2, 2},        {"Neg", 13, -2, 2},
    {"Reciprocal", 13, 0.5, 3},  {"Relu", 13, -2, 2},        {"Round", 11, -2, 2},
    {"Selu", 6, -2, 2},          {"Sigmoid", 13, -4, 4},     {"Sign", 13, -2, 2},
    {"Sin", 7, -2, 2},           {"Softmax", 13, -2, 2},     {"Softmax", 11, -2, 2},
    {"Softplus", 1, -4, 4},      {"Softsign", 1, -2, 2},     {"Sqrt", 13, 0.5, 3},
    {"Tanh", 13, -2, 2},         {"ThresholdedRelu", 10, -2, 2},
    {"Transpose", 13, -2, 2},    {"ReduceMax", 13, -2, 2},   {"ReduceMean", 13, -2, 2},
    {"ReduceMin", 13, -2, 2},    {"ReduceSum", 13, -2, 2},   {"Squeeze", 13, -2, 2},
};

static const char *unary_op;

static void unary_node(struct onnx_build *b)
{
    input(b, "x", 4, DIMS(2, 3, 4, 2));
    onnx_build_node(b, unary_op, "x", "y");
    output(b, "y");
}

static void gradients_of_plain_operators(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(unary) / sizeof(*unary); i++) {
        unary_op = unary[i].op;
        check_gradient(&(struct gradient_case){unary[i].op, unary_node, unary[i].opset,
                                               unary[i].low, unary[i].high});
    }
}

/* ---- two inputs, broadcast ------------------------------------------------------------ */

static const char *binary_op;
static int binary_shape;

static const struct {
    int rank_a, rank_b;
    int64_t a[4], b[4];
} pairs[] = {
    {4, 4, {2, 3, 2, 2}, {2, 3, 2, 2}}, {4, 0, {2, 3, 2, 2}, {0}},
    {4, 4, {2, 3, 2, 2}, {1, 3, 1, 1}}, {4, 1, {2, 3, 2, 2}, {2}},
    {3, 4, {3, 1, 2}, {2, 1, 4, 1}},
};

static void binary_node(struct onnx_build *b)
{
    input(b, "a", pairs[binary_shape].rank_a, pairs[binary_shape].a);
    input(b, "b", pairs[binary_shape].rank_b, pairs[binary_shape].b);
    onnx_build_node(b, binary_op, "a,b", "y");
    output(b, "y");
}

static void gradients_of_broadcast_arithmetic(void **state)
{
    (void)state;
    static const char *const ops[] = {"Add", "Sub", "Mul", "Div", "Max",
                                      "Min", "Pow", "Sum"};
    for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++)
        for (size_t j = 0; j < sizeof(pairs) / sizeof(*pairs); j++) {
            char name[64];
            binary_op = ops[i];
            binary_shape = (int)j;
            snprintf(name, sizeof(name), "%s, shapes %zu", ops[i], j);
            check_gradient(&(struct gradient_case){name, binary_node, 13, 0.5, 3});
        }
}

static void add_with_old_axis(struct onnx_build *b)
{
    input(b, "a", 4, DIMS(2, 3, 2, 2));
    input(b, "b", 1, DIMS(3));
    onnx_build_node(b, "Add", "a,b", "y");
    onnx_build_int(b, "broadcast", 1);
    onnx_build_int(b, "axis", 1);
    output(b, "y");
}

static void product_with_itself(struct onnx_build *b)
{
    input(b, "x", 2, DIMS(3, 4));
    onnx_build_node(b, "Mul", "x,x", "y");
    output(b, "y");
}

/* ---- activations with attributes --------------------------------------------------------- */

static void clip_by_inputs(struct onnx_build *b)
{
    input(b, "x", 2, DIMS(6, 8));
    scalar(b, "low", -1);
    scalar(b, "high", 0.5f);
    onnx_build_node(b, "Clip", "x,low,high", "y");
    output(b, "y");
}

static void clip_bounds(struct onnx_build *b)
{
    input(b, "x", 2, DIMS(6, 8));
    input(b, "low", 0, NULL);
    input(b, "span", 0, NULL);
    onnx_build_node(b, "Neg", "span", "under");
    onnx_build_node(b, "Min", "low,under", "least");
    onnx_build_node(b, "Exp", "low", "high");
    onnx_build_node(b, "Clip", "x,least,high", "y");
    output(b, "y");
}

static void clip_by_attributes(struct onnx_build *b)
{
    input(b, "x", 2, DIMS(6, 8));
    onnx_build_node(b, "Clip", "x", "y");
    onnx_build_float(b, "min", 0);
    onnx_build_float(b, "max", 1.5f);
    output(b, "y");
}

static void leaky_relu(struct onnx_build *b)
{
    input(b, "x", 2, DIMS(6, 8));
    onnx_build_node(b, "LeakyRelu", "x", "y");
    onnx_build_float(b, "alpha", 0.2f);
    output(b, "y");
}

static void hard_sigmoid(struct onnx_build *b)
{
    input(b, "x", 2, DIMS(6, 8));
    onnx_build_node(b, "HardSigmoid", "x", "y");
    onnx_build_float(b, "alpha", 0.25f);
    onnx_build_float(b, "beta", 0.5f);
    output(b, "y");
}

static void cast_to_double(struct onnx_build *b)
{
    input(b, "x", 2, DIMS(3, 4));
    onnx_build_node(b, "Cast", "x", "y");
    onnx_build_int(b, "to", SAL_ONNX_DOUBLE);
    onnx_build_output(b, "y", SAL_ONNX_DOUBLE, -1, NULL);
}

static void cast_like(struct onnx_build *b)
{
    input(b, "x", 2, DIMS(3, 4));
    scalar(b, "like", 1);
    onnx_build_node(b, "CastLike", "x,like", "y");
    output(b, "y");
}

static void where(struct onnx_build *b)
{
    input(b, "a", 2, DIMS(3, 4));
    input(b, "b", 1, DIMS(4));
    onnx_build_node(b, "Greater", "a,zero", "mask");
    onnx_build_node(b, "Where", "mask,a,b", "y");
    scalar(b, "zero", 0);
    output(b, "y");
}

/* ---- pools --------------------------------------------------------------------------------- */

static void pool(struct onnx_build *b, const char *op, int64_t ceil, int64_t include)
{
    input(b, "x", 4, DIMS(2, 2, 6, 5));
    onnx_build_node(b, op, "x", "y");
    onnx_build_ints(b, "kernel_shape", LIST(3, 2));
    onnx_build_ints(b, "strides", LIST(2, 2));
    onnx_build_ints(b, "pads", LIST(1, 0, 1, 1));
    onnx_build_int(b, "ceil_mode", ceil);
    if (include)
        onnx_build_int(b, "count_include_pad", 1);
    output(b, "y");
}

static void max_pool(struct onnx_build *b) { pool(b, "MaxPool", 0, 0); }
static void max_pool_ceil(struct onnx_build *b) { pool(b, "MaxPool", 1, 0); }
static void average_pool(struct onnx_build *b) { pool(b, "AveragePool", 0, 0); }
static void average_pool_ceil(struct onnx_build *b) { pool(b, "AveragePool", 1, 0); }
static void average_pool_pads(struct onnx_build *b) { pool(b, "AveragePool", 1, 1); }

static void max_pool_dilated(struct onnx_build *b)
{
    input(b, "x", 4, DIMS(1, 2, 7, 7));
    onnx_build_node(b, "MaxPool", "x", "y");
    onnx_build_ints(b, "kernel_shape", LIST(2, 3));
    onnx_build_ints(b, "dilations", LIST(3, 2));
    output(b, "y");
}

static void max_pool_one_axis(struct onnx_build *b)
{
    input(b, "x", 3, DIMS(2, 2, 9));
    onnx_build_node(b, "MaxPool", "x", "y");
    onnx_build_ints(b, "kernel_shape", LIST(3));
    onnx_build_string(b, "auto_pad", "SAME_UPPER");
    output(b, "y");
}

static void average_pool_three_axes(struct onnx_build *b)
{
    input(b, "x", 5, DIMS(1, 2, 3, 4, 3));
    onnx_build_node(b, "AveragePool", "x", "y");
    onnx_build_ints(b, "kernel_shape", LIST(2, 2, 2));
    output(b, "y");
}

/* ---- normalisation ---------------------------------------------------------------------------- */

static void batch_norm(struct onnx_build *b)
{
    static const float scale[] = {0.5f, -1, 2}, shift[] = {0.1f, 0, -1};
    static const float mean[] = {0.2f, -0.3f, 1}, variance[] = {0.5f, 1, 3};
    input(b, "x", 4, DIMS(2, 3, 2, 3));
    onnx_build_weights(b, "scale", 1, DIMS(3), scale);
    onnx_build_weights(b, "shift", 1, DIMS(3), shift);
    onnx_build_weights(b, "mean", 1, DIMS(3), mean);
    onnx_build_weights(b, "variance", 1, DIMS(3), variance);
    onnx_build_node(b, "BatchNormalization", "x,scale,shift,mean,variance", "y");
    onnx_build_float(b, "epsilon", 0.01f);
    output(b, "y");
}

static void batch_norm_by_inputs(struct onnx_build *b)
{
    input(b, "x", 3, DIMS(2, 3, 2));
    input(b, "scale", 1, DIMS(3));
    input(b, "shift", 1, DIMS(3));
    input(b, "mean", 1, DIMS(3));
    input(b, "variance", 1, DIMS(3));
    onnx_build_node(b, "BatchNormalization", "x,scale,shift,mean,variance", "y");
    output(b, "y");
}

static void lrn(struct onnx_build *b)
{
    input(b, "x", 4, DIMS(2, 6, 2, 2));
    onnx_build_node(b, "LRN", "x", "y");
    onnx_build_int(b, "size", 4);
    onnx_build_float(b, "alpha", 0.5f);
    onnx_build_float(b, "beta", 0.75f);
    onnx_build_float(b, "bias", 2);
    output(b, "y");
}

static void softmax_inner_axis(struct onnx_build *b)
{
    input(b, "x", 4, DIMS(2, 4, 2, 3));
    onnx_build_node(b, "Softmax", "x", "y");
    onnx_build_int(b, "axis", 1);
    output(b, "y");
}

static void log_softmax_inner_axis(struct onnx_build *b)
{
    input(b, "x", 4, DIMS(2, 4, 2, 3));
    onnx_build_node(b, "LogSoftmax", "x", "y");
    onnx_build_int(b, "axis", 1);
    output(b, "y");
}

static void reduce(struct onnx_build *b, const char *op)
{
    input(b, "x", 4, DIMS(2, 3, 2, 4));
    onnx_build_node(b, op, "x", "y");
    onnx_build_ints(b, "axes", LIST(1, -1));
    onnx_build_int(b, "keepdims", 0);
    output(b, "y");
}

static void reduce_mean(struct onnx_build *b) { reduce(b, "ReduceMean"); }
static void reduce_max(struct onnx_build *b) { reduce(b, "ReduceMax"); }
static void reduce_min(struct onnx_build *b) { reduce(b, "ReduceMin"); }

static void reduce_sum_by_input(struct onnx_build *b)
{
    input(b, "x", 4, DIMS(2, 3, 2, 4));
    indices(b, "axes", LIST(2, 3));
    onnx_build_node(b, "ReduceSum", "x,axes", "y");
    output(b, "y");
}

/* ---- moving data -------------------------------------------------------------------------------- */

static void reshape(struct onnx_build *b)
{
    input(b, "x", 4, DIMS(2, 3, 2, 2));
    indices(b, "to", LIST(0, -1, 4));
    onnx_build_node(b, "Reshape", "x,to", "y");
    output(b, "y");
}

static void transpose(struct onnx_build *b)
{
    input(b, "x", 4, DIMS(2, 3, 4, 2));
    onnx_build_node(b, "Transpose", "x", "y");
    onnx_build_ints(b, "perm", LIST(0, 2, 3, 1));
    output(b, "y");
}

static void squeeze(struct onnx_build *b)
{
    input(b, "x", 4, DIMS(2, 1, 4, 1));
    indices(b, "axes", LIST(-1));
    onnx_build_node(b, "Squeeze", "x,axes", "y");
    output(b, "y");
}

static void unsqueeze(struct onnx_build *b)
{
    input(b, "x", 2, DIMS(3, 4));
    onnx_build_node(b, "Unsqueeze", "x", "y");
    onnx_build_ints(b, "axes", LIST(0, 3));
    output(b, "y");
}

static void concat(struct onnx_build *b)
{
    input(b, "a", 3, DIMS(2, 1, 3));
    input(b, "b", 3, DIMS(2, 4, 3));
    onnx_build_node(b, "Concat", "a,b,a", "y");
    onnx_build_int(b, "axis", 1);
    output(b, "y");
}

static void slice(struct onnx_build *b)
{
    input(b, "x", 3, DIMS(3, 7, 5));
    indices(b, "starts", LIST(6, 1));
    indices(b, "ends", LIST(-8, INT64_MAX));
    indices(b, "axes", LIST(1, 2));
    indices(b, "steps", LIST(-2, 2));
    onnx_build_node(b, "Slice", "x,starts,ends,axes,steps", "y");
    output(b, "y");
}

static void slice_by_attributes(struct onnx_build *b)
{
    input(b, "x", 2, DIMS(4, 6));
    onnx_build_node(b, "Slice", "x", "y");
    onnx_build_ints(b, "starts", LIST(1, -3));
    onnx_build_ints(b, "ends", LIST(3, 1000));
    output(b, "y");
}

static void split(struct onnx_build *b)
{
    input(b, "x", 2, DIMS(3, 6));
    indices(b, "sizes", LIST(1, 3, 2));
    onnx_build_node(b, "Split", "x,sizes", "a,c,d");
    onnx_build_int(b, "axis", 1);
    onnx_build_node(b, "Concat", "d,a", "y");
    onnx_build_int(b, "axis", 1);
    output(b, "y");
}

static void pad(struct onnx_build *b, const char *mode)
{
    input(b, "x", 3, DIMS(2, 4, 5));
    indices(b, "pads", LIST(0, 2, 1, 0, 1, 3));
    onnx_build_node(b, "Pad", "x,pads", "y");
    onnx_build_string(b, "mode", mode);
    output(b, "y");
}

static void pad_constant(struct onnx_build *b) { pad(b, "constant"); }
static void pad_reflect(struct onnx_build *b) { pad(b, "reflect"); }
static void pad_edge(struct onnx_build *b) { pad(b, "edge"); }

static void pad_negative(struct onnx_build *b)
{
    input(b, "x", 2, DIMS(4, 5));
    indices(b, "pads", LIST(-1, 2, 1, -2));
    onnx_build_node(b, "Pad", "x,pads", "y");
    output(b, "y");
}

static void pad_value(struct onnx_build *b)
{
    input(b, "x", 2, DIMS(4, 5));
    input(b, "value", 0, NULL);
    indices(b, "pads", LIST(1, 0, 0, 2));
    onnx_build_node(b, "Pad", "x,pads,value", "y");
    output(b, "y");
}

static void gather(struct onnx_build *b)
{
    input(b, "x", 3, DIMS(2, 5, 3));
    indices(b, "which", LIST(4, 0, -1, 2));
    onnx_build_node(b, "Gather", "x,which", "y");
    onnx_build_int(b, "axis", 1);
    output(b, "y");
}

static void expand(struct onnx_build *b)
{
    input(b, "x", 3, DIMS(1, 3, 1));
    indices(b, "to", LIST(2, 1, 4));
    onnx_build_node(b, "Expand", "x,to", "y");
    output(b, "y");
}

static void shape_arithmetic_folds_away(struct onnx_build *b)
{
    input(b, "x", 4, DIMS(2, 3, 2, 2));
    onnx_build_node(b, "Shape", "x", "s");
    indices(b, "first", LIST(0));
    indices(b, "rest", LIST(-1));
    onnx_build_node(b, "Gather", "s,first", "n");
    onnx_build_node(b, "Concat", "n,rest", "to");
    onnx_build_int(b, "axis", 0);
    onnx_build_node(b, "Reshape", "x,to", "y");
    output(b, "y");
}

static const struct gradient_case cases[] = {
    {"Add with the old axis attribute", add_with_old_axis, 6, 0, 0},
    {"Mul of a tensor with itself", product_with_itself, 13, 0, 0},
    {"Clip by inputs", clip_by_inputs, 11, 0, 0},
    {"Clip with bounds that vary", clip_bounds, 13, 0, 0},
    {"Clip by attributes", clip_by_attributes, 6, 0, 0},
    {"LeakyRelu", leaky_relu, 6, 0, 0},
    {"HardSigmoid", hard_sigmoid, 6, -4, 4},
    {"Cast", cast_to_double, 13, 0, 0},
    {"CastLike", cast_like, 15, 0, 0},
    {"Where", where, 13, 0, 0},
    {"MaxPool", max_pool, 12, 0, 0},
    {"MaxPool rounded up", max_pool_ceil, 12, 0, 0},
    {"MaxPool with dilations", max_pool_dilated, 12, 0, 0},
    {"MaxPool along one axis", max_pool_one_axis, 12, 0, 0},
    {"AveragePool", average_pool, 11, 0, 0},
    {"AveragePool rounded up", average_pool_ceil, 19, 0, 0},
    {"AveragePool counting padding", average_pool_pads, 19, 0, 0},
    {"AveragePool along three axes", average_pool_three_axes, 11, 0, 0},
    {"BatchNormalization", batch_norm, 15, 0, 0},
    {"BatchNormalization with parameters that vary", batch_norm_by_inputs, 15, 0.5, 3},
    {"LRN", lrn, 13, 0, 0},
    {"Softmax along an inner axis", softmax_inner_axis, 13, 0, 0},
    {"Softmax over flattened axes", softmax_inner_axis, 11, 0, 0},
    {"LogSoftmax along an inner axis", log_softmax_inner_axis, 13, 0, 0},
    {"LogSoftmax over flattened axes", log_softmax_inner_axis, 11, 0, 0},
    {"ReduceMean", reduce_mean, 13, 0, 0},
    {"ReduceMax", reduce_max, 13, 0, 0},
    {"ReduceMin", reduce_min, 13, 0, 0},
    {"ReduceSum with axes as input", reduce_sum_by_input, 13, 0, 0},
    {"Reshape", reshape, 13, 0, 0},
    {"Transpose", transpose, 13, 0, 0},
    {"Squeeze", squeeze, 13, 0, 0},
    {"Unsqueeze", unsqueeze, 11, 0, 0},
    {"Concat", concat, 13, 0, 0},
    {"Slice", slice, 13, 0, 0},
    {"Slice by attributes", slice_by_attributes, 9, 0, 0},
    {"Split", split, 13, 0, 0},
    {"Pad with a constant", pad_constant, 13, 0, 0},
    {"Pad by reflection", pad_reflect, 13, 0, 0},
    {"Pad with the edge", pad_edge, 13, 0, 0},
    {"Pad that cuts", pad_negative, 13, 0, 0},
    {"Pad with a value that varies", pad_value, 13, 0, 0},
    {"Gather", gather, 13, 0, 0},
    {"Expand", expand, 13, 0, 0},
    {"Reshape to a folded shape", shape_arithmetic_folds_away, 13, 0, 0},
};

static void gradients_of_operators_with_attributes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        check_gradient(&cases[i]);
}

/* ---- nothing left out ------------------------------------------------------------------------------ */

/* The operators of a case are those its model names. */
static bool names_op(const struct gradient_case *c, const char *op)
{
    struct onnx_build b;
    struct sal_onnx onnx;
    bool found = false;
    onnx_build_init(&b, c->opset);
    c->build(&b);
    assert_int_equal(sal_onnx_parse(&onnx, onnx_build_finish(&b), c->name, NULL), SAL_OK);
    for (int i = 0; i < onnx.graph.n_nodes; i++)
        found |= strcmp(onnx.graph.nodes[i].op, op) == 0;
    sal_onnx_close(&onnx);
    onnx_build_release(&b);
    return found;
}

static bool is_checked(const char *op)
{
    static const char *const others[] = {"Conv", "Gemm", "MatMul", "Add", "Sub", "Mul",
                                         "Div",  "Max",  "Min",    "Pow", "Sum"};
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        if (strcmp(others[i], op) == 0)
            return true;
    for (size_t i = 0; i < sizeof(unary) / sizeof(*unary); i++)
        if (strcmp(unary[i].op, op) == 0)
            return true;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        if (names_op(&cases[i], op))
            return true;
    return false;
}

static void every_operator_with_a_gradient_is_checked(void **state)
{
    (void)state;
    for (int i = 0; sal_ops[i]; i++)
        if (sal_ops[i]->backward && !is_checked(sal_ops[i]->name))
            fail_msg("%s has a gradient and no case", sal_ops[i]->name);
}

/* ReLU passes nothing at 0, Clip passes at its bounds, MaxPool gives all to the first
 * of equals: as PyTorch. */
static void relu_node(struct onnx_build *b)
{
    input(b, "x", 1, DIMS(3));
    onnx_build_node(b, "Relu", "x", "y");
    output(b, "y");
}

static void clip_node(struct onnx_build *b)
{
    input(b, "x", 1, DIMS(3));
    onnx_build_node(b, "Clip", "x", "y");
    onnx_build_float(b, "min", -1);
    onnx_build_float(b, "max", 1);
    output(b, "y");
}

static void pool_node(struct onnx_build *b)
{
    input(b, "x", 3, DIMS(1, 1, 3));
    onnx_build_node(b, "MaxPool", "x", "y");
    onnx_build_ints(b, "kernel_shape", LIST(3));
    output(b, "y");
}

static void check_kink(void (*build)(struct onnx_build *), const double *x,
                       const double *expected, int n_y)
{
    struct onnx_build b;
    onnx_build_init(&b, 10);
    build(&b);
    struct twin_case c = {
        .model = onnx_build_finish(&b), .input = {x}, .dy = (const double[]){1, 1, 1}};
    struct twin_result result;
    assert_true(sal_twin_float(&c, &result));
    assert_int_equal(result.n_y, n_y);
    for (int i = 0; i < 3; i++)
        assert_true(result.dx[0][i] == expected[i]);
    twin_result_release(&result);
    onnx_build_release(&b);
}

static void kinks_follow_pytorch(void **state)
{
    (void)state;
    check_kink(relu_node, (const double[]){-1, 0, 1}, (const double[]){0, 0, 1}, 3);
    check_kink(clip_node, (const double[]){-1, 1, 2}, (const double[]){1, 1, 0}, 3);
    check_kink(pool_node, (const double[]){0, 5, 5}, (const double[]){0, 1, 0}, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_plain_operators),
        cmocka_unit_test(gradients_of_broadcast_arithmetic),
        cmocka_unit_test(gradients_of_operators_with_attributes),
        cmocka_unit_test(every_operator_with_a_gradient_is_checked),
        cmocka_unit_test(kinks_follow_pytorch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
