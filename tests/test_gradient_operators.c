/* Gradients of every operator but Conv, Gemm and MatMul: by the twins, by the adjoint
 * identity over random attributes, at kinks, and for any number of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gradient.h"
#include "op.h"
#include "twin.h"

enum { INPUTS_MAX = 6 };

/* One node, in words. An input is "2x3" (random reals), "[1,-1]" (constant
 * integers), "scalar" or "" (left out). An attribute is name=1 (integer), name=1, or
 * name=1,2 (integers), name=0.5 (float) or name=word (string). */
struct sentence {
    const char *op;
    int64_t opset;
    const char *input[INPUTS_MAX]; /* up to the first NULL */
    const char *attributes;
    double low, high;
    const char *outputs;
};

/* ---- from words to a model ---------------------------------------------------------- */

static const struct sentence *said; /* what build reads: cases carry no context */

static int numbers(const char *text, char separator, int64_t values[16])
{
    int n = 0;
    for (char *end; n < 16 && (values[n] = strtoll(text, &end, 10), end != text); n++)
        text = *end == separator ? end + 1 : end;
    return n;
}

static void put_input(struct onnx_build *b, const char *name, const char *words)
{
    int64_t values[16];
    int n = numbers(words + (*words == '['), *words == '[' ? ',' : 'x', values);
    int64_t count = n;
    if (*words == '[')
        onnx_build_indices(b, name, 1, &count, values);
    else
        onnx_build_input(b, name, SAL_ONNX_FLOAT, n, values);
}

static void put_attribute(struct onnx_build *b, const char *name, const char *value)
{
    int64_t values[16];
    int n = numbers(value, ',', values);
    if (!n)
        onnx_build_string(b, name, value);
    else if (strchr(value, ','))
        onnx_build_ints(b, name, n, values);
    else if (strchr(value, '.'))
        onnx_build_float(b, name, strtof(value, NULL));
    else
        onnx_build_int(b, name, values[0]);
}

static void build(struct onnx_build *b)
{
    char inputs[64] = "", attributes[256], *rest = attributes;
    for (int i = 0; i < INPUTS_MAX && said->input[i]; i++) {
        char name[] = {(char)('a' + i), '\0'};
        if (*said->input[i])
            put_input(b, name, said->input[i]);
        snprintf(inputs + strlen(inputs), sizeof(inputs) - strlen(inputs), "%s%s",
                 i ? "," : "", *said->input[i] ? name : "");
    }
    onnx_build_node(b, said->op, inputs, said->outputs);
    snprintf(attributes, sizeof(attributes), "%s", said->attributes ? said->attributes : "");
    for (char *token; (token = strtok_r(rest, " ", &rest));) {
        char *value = strchr(token, '=');
        *value = '\0';
        put_attribute(b, token, value + 1);
    }
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, -1, NULL);
}

static struct gradient_case case_of(const struct sentence *sentence, char *name, size_t size)
{
    snprintf(name, size, "%s-%d %s", sentence->op, (int)sentence->opset,
             sentence->attributes ? sentence->attributes : "");
    said = sentence;
    return (struct gradient_case){
        .name = name,
        .build = build,
        .opset = sentence->opset,
        .low = sentence->low,
        .high = sentence->high,
    };
}

/* ---- every operator ------------------------------------------------------------------ */

#define CASE(op, opset, attributes, ...) {op, opset, {__VA_ARGS__}, attributes, 0, 0, "y"}
#define RANGE(low, high, op, opset, attributes, ...) \
    {op, opset, {__VA_ARGS__}, attributes, low, high, "y"}
#define OUTPUTS(outputs, op, opset, attributes, ...) \
    {op, opset, {__VA_ARGS__}, attributes, 0, 0, outputs}

static const struct sentence sentences[] = {
    CASE("Abs", 13, NULL, "3x8"),
    CASE("Ceil", 13, NULL, "3x8"),
    CASE("Cos", 13, NULL, "3x8"),
    CASE("Elu", 13, "alpha=0.7", "3x8"),
    CASE("Erf", 13, NULL, "3x8"),
    CASE("Exp", 13, NULL, "3x8"),
    CASE("Floor", 13, NULL, "3x8"),
    CASE("HardSigmoid", 13, "alpha=0.5 beta=0.4", "3x8"),
    RANGE(-4, 4, "HardSwish", 14, NULL, "3x9"),
    CASE("LeakyRelu", 13, "alpha=0.3", "3x8"),
    RANGE(0.2, 3, "Log", 13, NULL, "3x8"),
    CASE("Mish", 18, NULL, "3x8"),
    CASE("Neg", 13, NULL, "3x8"),
    RANGE(0.5, 3, "Reciprocal", 13, NULL, "3x8"),
    CASE("Relu", 13, NULL, "3x8"),
    CASE("Round", 13, NULL, "3x8"),
    CASE("Selu", 13, NULL, "3x8"),
    CASE("Sigmoid", 13, NULL, "3x8"),
    CASE("Sign", 13, NULL, "3x8"),
    CASE("Sin", 13, NULL, "3x8"),
    CASE("Softplus", 13, NULL, "3x8"),
    CASE("Softsign", 13, NULL, "3x8"),
    RANGE(0.2, 3, "Sqrt", 13, NULL, "3x8"),
    CASE("Tanh", 13, NULL, "3x8"),
    CASE("ThresholdedRelu", 13, "alpha=0.5", "3x8"),

    CASE("Identity", 13, NULL, "2x3"),
    CASE("Dropout", 6, "is_test=1", "2x3"),
    CASE("Dropout", 9, "ratio=0.4", "2x3"),
    OUTPUTS("y,mask", "Dropout", 13, NULL, "2x3"),
    CASE("Cast", 13, "to=11", "2x3"),
    CASE("CastLike", 15, NULL, "2x3", "4"),
    CASE("Clip", 6, "min=-0.9 max=0.8", "3x8"),
    CASE("Clip", 13, NULL, "3x8"),
    CASE("Clip", 13, NULL, "3x8", "scalar", "scalar"),
    CASE("Clip", 13, NULL, "3x8", "", "scalar"),

    CASE("Add", 13, NULL, "2x3x4", "2x3x4"),
    CASE("Add", 13, NULL, "2x3x4x5", "3x1x1"),
    CASE("Add", 13, NULL, "4", "2x3x1"),
    CASE("Add", 6, "broadcast=1 axis=1", "2x3x4", "3"),
    CASE("Add", 6, "broadcast=1", "2x3x4", "3x4"),
    CASE("Sub", 13, NULL, "2x3x4", "3x1"),
    CASE("Sub", 13, NULL, "1x4", "3x1"),
    CASE("Mul", 13, NULL, "2x3x4x5", "2x3x1x1"),
    CASE("Mul", 13, NULL, "scalar", "2x3"),
    CASE("Mul", 13, NULL, "2x3x4", "2x1x4"),
    RANGE(0.5, 2, "Div", 13, NULL, "2x3x4", "3x1"),
    RANGE(0.5, 2, "Div", 13, NULL, "3", "2x2x3"),
    CASE("Sum", 13, NULL, "2x3", "3", "2x1", "scalar"),
    CASE("Sum", 13, NULL, "2x3"),
    CASE("Max", 13, NULL, "2x3x4", "3x1", "4"),
    CASE("Max", 13, NULL, "2x5", "2x5"),
    CASE("Min", 13, NULL, "2x3x4", "3x1", "scalar"),
    RANGE(0.3, 2, "Pow", 13, NULL, "2x3x4", "3x1"),
    CASE("Pow", 13, NULL, "2x3", "[2]"),
    CASE("Pow", 13, NULL, "2x3", "[1,0,3]"),

    CASE("MaxPool", 12, "kernel_shape=3,2 strides=2,1 pads=1,0,1,1", "2x3x7x6"),
    CASE("MaxPool", 12, "kernel_shape=2,2 dilations=2,3 ceil_mode=1 strides=2,2",
          "1x2x7x6"),
    CASE("MaxPool", 12, "kernel_shape=3, strides=2, auto_pad=SAME_LOWER", "2x2x9"),
    OUTPUTS("y,indices", "MaxPool", 12, "kernel_shape=2,3,2 strides=2,1,2", "1x2x4x5x4"),
    CASE("AveragePool", 11, "kernel_shape=3,2 strides=2,1 pads=1,0,1,1", "2x3x7x6"),
    CASE("AveragePool", 11, "kernel_shape=3,3 strides=2,2 pads=1,1,1,1 count_include_pad=1 "
         "ceil_mode=1",
          "1x2x6x6"),
    CASE("AveragePool", 19, "kernel_shape=3, dilations=2, auto_pad=SAME_UPPER", "1x2x9"),
    CASE("AveragePool", 19, "kernel_shape=2,3,2", "1x2x4x5x4"),
    CASE("GlobalAveragePool", 13, NULL, "2x3x4x5"),
    CASE("GlobalMaxPool", 13, NULL, "2x3x4x5"),

    RANGE(0.3, 2, "BatchNormalization", 15, "epsilon=0.01", "2x3x4x2", "3", "3", "3", "3"),
    RANGE(0.3, 2, "BatchNormalization", 9, NULL, "4x3", "3", "3", "3", "3"),
    CASE("LRN", 13, "size=3 alpha=0.4 beta=0.6 bias=1.5", "2x7x3x7"),
    CASE("LRN", 13, "size=4 alpha=0.4", "1x6x20"),
    CASE("LRN", 13, "size=9 alpha=0.9", "1x3x5"),
    CASE("Softmax", 11, NULL, "2x3x4"),
    CASE("Softmax", 11, "axis=2", "2x3x4"),
    CASE("Softmax", 13, "axis=1", "2x3x4"),
    CASE("Softmax", 13, NULL, "2x3x4"),
    CASE("LogSoftmax", 11, "axis=0", "2x3x4"),
    CASE("LogSoftmax", 13, "axis=1", "2x3x4"),

    CASE("ReduceMean", 13, "axes=2,3", "2x3x4x5"),
    CASE("ReduceMean", 13, "axes=1, keepdims=0", "2x3x4x5"),
    CASE("ReduceMean", 18, NULL, "2x3x4", "[-1,0]"),
    CASE("ReduceMean", 18, NULL, "2x3x4"),
    CASE("ReduceMean", 18, "noop_with_empty_axes=1", "2x3"),
    CASE("ReduceSum", 11, "axes=0,2 keepdims=0", "2x3x4"),
    CASE("ReduceSum", 13, NULL, "2x3x4", "[1]"),
    CASE("ReduceMax", 13, "axes=1,", "2x3x4"),
    CASE("ReduceMax", 18, "keepdims=0", "2x3x4", "[0,2]"),
    CASE("ReduceMin", 13, NULL, "2x3x4"),

    CASE("Reshape", 13, NULL, "2x3x4", "[0,-1,2]"),
    CASE("Reshape", 4, "shape=4,6", "2x3x4"),
    CASE("Flatten", 13, "axis=2", "2x3x4"),
    CASE("Squeeze", 11, "axes=0,", "1x3x1"),
    CASE("Squeeze", 13, NULL, "1x3x1"),
    CASE("Unsqueeze", 11, "axes=0,3", "3x2"),
    CASE("Unsqueeze", 13, NULL, "3x2", "[-1]"),
    CASE("Transpose", 13, NULL, "2x3x4"),
    CASE("Transpose", 13, "perm=0,2,3,1", "2x3x4x5"),
    CASE("Expand", 13, NULL, "3x1", "[2,1,4]"),
    CASE("Slice", 9, "starts=1,-3 ends=3,100 axes=0,1", "4x5"),
    CASE("Slice", 13, NULL, "4x5", "[3,-1]", "[0,-6]", "[0,1]", "[-2,-1]"),
    CASE("Slice", 13, NULL, "4x5", "[1]", "[9223372036854775807]", "[-1]", "[2]"),
    CASE("Concat", 13, "axis=1", "2x1x3", "2x4x3", "2x2x3"),
    CASE("Concat", 13, "axis=-1", "2x3", "2x1"),
    OUTPUTS("u,y,v", "Split", 11, "axis=1 split=1,3,2", "2x6"),
    OUTPUTS("u,y", "Split", 13, NULL, "6x2", "[4,2]"),
    OUTPUTS("u,v,y", "Split", 18, "axis=-1 num_outputs=3", "2x7"),
    CASE("Pad", 10, "pads=0,1,2,0 value=0.5", "2x3"),
    CASE("Pad", 13, NULL, "2x3x4", "[0,1,2,1,0,-1]", "scalar"),
    CASE("Pad", 13, "mode=reflect", "2x3x4", "[0,1,2,1,2,3]"),
    CASE("Pad", 13, "mode=edge", "2x3x4", "[1,0,2,0,2,1]"),
    CASE("Pad", 19, "mode=wrap", "2x3x4", "[1,2,1,1]", "", "[1,2]"),
    CASE("Pad", 18, NULL, "2x3x4", "[1,2,-1,1]", "", "[2,-2]"),
    CASE("Gather", 13, "axis=1", "3x4x2", "[2,0,2,-1]"),
    CASE("Gather", 13, NULL, "5", "[1]"),
    CASE("Where", 13, NULL, "[1,0,1]", "2x3", "2x1"),
};

static void gradients_are_those_of_the_double_twin(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(sentences) / sizeof(*sentences); i++) {
        char name[160];
        struct gradient_case c = case_of(&sentences[i], name, sizeof(name));
        check_gradient(&c);
    }
}

static void every_operator_with_a_gradient_has_a_case(void **state)
{
    (void)state;
    static const char *const elsewhere[] = {"Conv", "Gemm", "MatMul"};
    for (int i = 0; sal_ops[i]; i++) {
        bool found = !sal_ops[i]->backward;
        for (size_t j = 0; j < sizeof(elsewhere) / sizeof(*elsewhere); j++)
            found |= strcmp(elsewhere[j], sal_ops[i]->name) == 0;
        for (size_t j = 0; j < sizeof(sentences) / sizeof(*sentences); j++)
            found |= strcmp(sentences[j].op, sal_ops[i]->name) == 0;
        if (!found)
            fail_msg("no gradient case for %s", sal_ops[i]->name);
    }
}

/* ---- random attributes of linear operators ---------------------------------------------- */

static uint64_t dice;

static int roll(int low, int high)
{
    return low + (int)(test_random(&dice) * (double)(high - low + 1));
}

static void average_pool(struct sentence *s, char input[64], char attributes[256])
{
    int kernel[2] = {roll(1, 4), roll(1, 3)}, dilation[2] = {roll(1, 2), roll(1, 3)};
    int reach[2], size[2], pad[4];
    for (int i = 0; i < 2; i++) {
        reach[i] = (kernel[i] - 1) * dilation[i] + 1;
        size[i] = reach[i] + roll(0, 5);
        pad[i] = roll(0, reach[i] - 1);
        pad[i + 2] = roll(0, reach[i] - 1);
    }
    s->op = "AveragePool";
    s->opset = 19;
    snprintf(input, 64, "%dx2x%dx%d", roll(1, 2), size[0], size[1]);
    snprintf(attributes, 256,
             "kernel_shape=%d,%d dilations=%d,%d strides=%d,%d pads=%d,%d,%d,%d "
             "ceil_mode=%d count_include_pad=%d",
             kernel[0], kernel[1], dilation[0], dilation[1], roll(1, 4), roll(1, 3), pad[0],
             pad[1], pad[2], pad[3], roll(0, 1), roll(0, 1));
}

static void pad(struct sentence *s, char input[64], char attributes[256])
{
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap"};
    s->op = "Pad";
    s->opset = 10;
    snprintf(input, 64, "%dx%dx%d", roll(1, 3), roll(2, 4), roll(3, 5));
    snprintf(attributes, 256, "mode=%s pads=%d,%d,%d,%d,%d,%d", modes[roll(0, 3)],
             roll(0, 2), roll(-1, 3), roll(-1, 6), roll(0, 2), roll(0, 3), roll(-1, 6));
}

static void slice(struct sentence *s, char input[64], char attributes[256])
{
    int size[2] = {roll(1, 5), roll(1, 5)}, start[2], end[2];
    for (int i = 0; i < 2; i++) {
        start[i] = roll(0, size[i] - 1);
        end[i] = start[i] + roll(1, 4);
        start[i] -= roll(0, 1) * size[i];
    }
    s->op = "Slice";
    s->opset = 9;
    snprintf(input, 64, "%dx%dx%d", size[0], roll(1, 5), size[1]);
    snprintf(attributes, 256, "starts=%d,%d ends=%d,%d axes=-1,0", start[1], start[0],
             end[1], end[0]);
}

static void transpose(struct sentence *s, char input[64], char attributes[256])
{
    int perm[4] = {0, 1, 2, 3};
    for (int i = 3; i > 0; i--) {
        int j = roll(0, i), swap = perm[i];
        perm[i] = perm[j];
        perm[j] = swap;
    }
    s->op = "Transpose";
    s->opset = 13;
    snprintf(input, 64, "%dx%dx%dx%d", roll(1, 4), roll(1, 4), roll(1, 4), roll(1, 4));
    snprintf(attributes, 256, "perm=%d,%d,%d,%d", perm[0], perm[1], perm[2], perm[3]);
}

static void reduce_mean(struct sentence *s, char input[64], char attributes[256])
{
    s->op = "ReduceMean";
    s->opset = 13;
    snprintf(input, 64, "%dx%dx%dx%d", roll(1, 4), roll(1, 4), roll(1, 4), roll(1, 4));
    int axis = roll(0, 3);
    snprintf(attributes, 256, "axes=%d,%d keepdims=%d", axis, (axis + roll(1, 3)) % 4 - 4,
             roll(0, 1));
}

static void linear_operators_and_their_gradients_are_adjoint(void **state)
{
    (void)state;
    static void (*const kinds[])(struct sentence *, char *, char *) = {
        average_pool, pad, slice, transpose, reduce_mean};
    for (int i = 0; i < 1500; i++) {
        char input[64], attributes[256], name[400];
        struct sentence s = {.input = {input}, .attributes = attributes,
                             .outputs = "y"};
        dice = (uint64_t)i * 7919;
        kinds[i % 5](&s, input, attributes);
        struct gradient_case c = case_of(&s, name, sizeof(name));
        check_adjoint(&c);
    }
}

/* ---- kinks ----------------------------------------------------------------------------- */

/* Runs a sentence of one input on x with a gradient of ones; dx must be as expected. */
static void check_kink(const struct sentence *s, const double *x, const double *dx, int n)
{
    static const double ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    struct onnx_build b;
    struct twin_result result;
    char name[160];
    struct gradient_case c = case_of(s, name, sizeof(name));
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

static void results_are_the_same_bits_for_any_number_of_threads(void **state)
{
    (void)state;
    struct onnx_build b;
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 4, (int64_t[]){1, 24, 61, 67});
    onnx_build_input(&b, "scale", SAL_ONNX_FLOAT, 3, (int64_t[]){24, 1, 1});
    onnx_build_node(&b, "Mul", "x,scale", "scaled");
    onnx_build_node(&b, "Sigmoid", "scaled", "soft");
    onnx_build_node(&b, "LRN", "soft", "normal");
    onnx_build_int(&b, "size", 5);
    onnx_build_node(&b, "MaxPool", "normal", "pooled");
    onnx_build_ints(&b, "kernel_shape", 2, (int64_t[]){3, 3});
    onnx_build_node(&b, "Softmax", "pooled", "shares");
    onnx_build_int(&b, "axis", 1);
    onnx_build_node(&b, "Transpose", "shares", "turned");
    onnx_build_node(&b, "ReduceMean", "turned", "y");
    onnx_build_ints(&b, "axes", 1, (int64_t[]){0});
    onnx_build_output(&b, "y", SAL_ONNX_FLOAT, -1, NULL);
    struct sal_span model = onnx_build_finish(&b);
    const int64_t n = 24 * 61 * 67;
    double *x = random_values(n, 1), *scale = random_values(24, 2);
    double *dy = random_values(n, 3);
    struct twin_result one, many;
    run_with(0, model, x, scale, dy, &one);
    for (int threads = 2; threads <= 5; threads += 3) {
        run_with(threads, model, x, scale, dy, &many);
        assert_memory_equal(one.y, many.y, sizeof(double) * (size_t)one.n_y);
        assert_memory_equal(one.dx[0], many.dx[0], sizeof(double) * (size_t)n);
        assert_memory_equal(one.dx[1], many.dx[1], sizeof(double) * 24);
        twin_result_release(&many);
    }
    twin_result_release(&one);
    free(x);
    free(scale);
    free(dy);
    onnx_build_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_those_of_the_double_twin),
        cmocka_unit_test(every_operator_with_a_gradient_has_a_case),
        cmocka_unit_test(linear_operators_and_their_gradients_are_adjoint),
        cmocka_unit_test(relu_has_slope_0_at_0),
        cmocka_unit_test(clip_has_slope_1_on_its_bounds),
        cmocka_unit_test(the_first_of_equal_maxima_gets_the_gradient),
        cmocka_unit_test(results_are_the_same_bits_for_any_number_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
