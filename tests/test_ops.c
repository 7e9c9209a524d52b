/* The operator table, and what operators refuse while a graph is built. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "graph.h"
#include "kernel.h"
#include "onnx_build.h"

/* ---- the table -------------------------------------------------------------------- */

static void the_table_is_sorted_and_each_name_is_found(void **state)
{
    (void)state;
    for (int i = 0; sal_ops[i]; i++) {
        if (i)
            assert_true(strcmp(sal_ops[i - 1]->name, sal_ops[i]->name) < 0);
        assert_ptr_equal(sal_op_find(sal_ops[i]->name), sal_ops[i]);
    }
    assert_null(sal_op_find("Convolve"));
    assert_null(sal_op_find(""));
}

static void every_row_is_complete(void **state)
{
    (void)state;
    for (int i = 0; sal_ops[i]; i++) {
        const struct sal_op *op = sal_ops[i];
        bool sane = op->since >= 1 && op->since <= op->until && op->until <= SAL_OPSET_MAX &&
                    op->min_in >= 0 && (op->max_in < 0 || op->max_in >= op->min_in) &&
                    op->max_out != 0 && op->infer && op->forward;
        if (!sane)
            fail_msg("%s: its row is wrong", op->name);
        if (op->passes && !op->backward)
            fail_msg("%s passes values but no gradient", op->name);
    }
}

static void integers_wrap_as_their_type_does(void **state)
{
    (void)state;
    assert_int_equal(sal_int_wrap(SAL_ONNX_UINT8, 257), 1);
    assert_int_equal(sal_int_wrap(SAL_ONNX_UINT8, -1), 255);
    assert_int_equal(sal_int_wrap(SAL_ONNX_INT8, 128), -128);
    assert_int_equal(sal_int_wrap(SAL_ONNX_INT32, INT64_C(1) << 31), INT32_MIN);
    assert_int_equal(sal_int_wrap(SAL_ONNX_BOOL, 2), 1);
    assert_int_equal(sal_int_wrap(SAL_ONNX_INT64, INT64_MIN), INT64_MIN);
}

/* ---- refusals --------------------------------------------------------------------- */

/* Builds a graph of one node named "n" over float input x and checks why it fails. */
struct refusal {
    const char *op;
    int64_t opset;
    int rank;
    int64_t dims[4];
    void (*attributes)(struct onnx_build *b); /* NULL: none */
    const char *inputs, *outputs;
    enum sal_status status;
    const char *text; /* a part of the message */
};

static void axis_7(struct onnx_build *b) { onnx_build_int(b, "axis", 7); }
static void axis_text(struct onnx_build *b) { onnx_build_string(b, "axis", "1"); }
static void training(struct onnx_build *b) { onnx_build_int(b, "training_mode", 1); }
static void to_text(struct onnx_build *b) { onnx_build_int(b, "to", SAL_ONNX_STRING); }
static void to_float8(struct onnx_build *b)
{
    onnx_build_int(b, "to", SAL_ONNX_FLOAT8E4M3FN);
}
static void output_float8(struct onnx_build *b)
{
    onnx_build_int(b, "axis", 0);
    onnx_build_int(b, "output_dtype", SAL_ONNX_FLOAT8E4M3FN);
}
static void blocks_of_2(struct onnx_build *b) { onnx_build_int(b, "block_size", 2); }
static void blocks_of_less(struct onnx_build *b) { onnx_build_int(b, "block_size", -1); }
static void reduce_max(struct onnx_build *b) { onnx_build_string(b, "reduction", "max"); }
static void perm_twice(struct onnx_build *b)
{
    onnx_build_ints(b, "perm", 2, (int64_t[]){1, 1});
}
static void kernel_9(struct onnx_build *b)
{
    onnx_build_ints(b, "kernel_shape", 2, (int64_t[]){9, 9});
}
static void kernel_1(struct onnx_build *b)
{
    onnx_build_ints(b, "kernel_shape", 2, (int64_t[]){1, 1});
}
static void axis_0(struct onnx_build *b) { onnx_build_int(b, "axis", 0); }
static void deep_pads(struct onnx_build *b)
{
    onnx_build_ints(b, "kernel_shape", 2, (int64_t[]){2, 2});
    onnx_build_ints(b, "pads", 4, (int64_t[]){2, 0, 0, 0});
}
static void huge_pads(struct onnx_build *b)
{
    onnx_build_ints(b, "pads", 4, (int64_t[]){INT64_MAX, 0, INT64_MAX, 0});
}
static void wide_pads(struct onnx_build *b)
{
    onnx_build_ints(b, "pads", 4, (int64_t[]){1 << 21, 1 << 21, 0, 0});
}
static void size_0(struct onnx_build *b) { onnx_build_int(b, "size", 0); }
static void three_parts(struct onnx_build *b)
{
    onnx_build_ints(b, "split", 2, (int64_t[]){INT64_MAX, 3});
}
static void two_rests(struct onnx_build *b)
{
    onnx_build_ints(b, "shape", 2, (int64_t[]){-1, -1});
}
static void axes_twice(struct onnx_build *b)
{
    onnx_build_ints(b, "axes", 2, (int64_t[]){0, -2});
}

static void stash_int(struct onnx_build *b) { onnx_build_int(b, "stash_type", 7); }
static void groups_3(struct onnx_build *b) { onnx_build_int(b, "num_groups", 3); }
static void p_3(struct onnx_build *b) { onnx_build_int(b, "p", 3); }
static void axis_1(struct onnx_build *b) { onnx_build_int(b, "axis", 1); }
static void alpha_0(struct onnx_build *b) { onnx_build_float(b, "alpha", 0); }
static void by_guess(struct onnx_build *b)
{
    onnx_build_string(b, "approximate", "guess");
}

static const struct refusal refusals[] = {
    {"Add", 13, 2, {2, 3}, NULL, "x,w", "y", SAL_BAD_INPUT, "2x3 and 5 do not broadcast"},
    {"Add", 6, 1, {1}, NULL, "x,w", "y", SAL_BAD_INPUT, "only the second input"},
    {"Add", 13, 2, {2, 3}, NULL, "x,i", "y", SAL_UNSUPPORTED, "input 1 is int64"},
    {"Softmax", 13, 2, {2, 3}, axis_7, "x", "y", SAL_BAD_INPUT, "axis is 7, must be -2 to 1"},
    {"Softmax", 13, 2, {2, 3}, axis_text, "x", "y", SAL_BAD_INPUT,
     "attribute 'axis' must be an integer"},
    {"Concat", 13, 2, {2, 3}, NULL, "x,x", "y", SAL_BAD_INPUT, "'axis' is missing"},
    {"Reshape", 13, 2, {2, 3}, NULL, "x,i", "y", SAL_BAD_INPUT, "2x3 input does not fit"},
    {"Reshape", 4, 2, {2, 3}, two_rests, "x", "y", SAL_BAD_INPUT, "shape[1] is -1"},
    {"Transpose", 13, 2, {2, 3}, perm_twice, "x", "y", SAL_BAD_INPUT, "axis 1 is named twice"},
    {"MaxPool", 12, 4, {1, 2, 5, 5}, kernel_9, "x", "y", SAL_BAD_INPUT, "window reaches"},
    {"MaxPool", 12, 4, {1, 2, 5, 5}, deep_pads, "x", "y", SAL_BAD_INPUT, "pads must be"},
    {"MaxPool", 12, 2, {5, 5}, kernel_9, "x", "y", SAL_BAD_INPUT, "3 or more"},
    {"GlobalAveragePool", 12, 4, {1, 2, 0, 5}, NULL, "x", "y", SAL_BAD_INPUT, "empty"},
    {"BatchNormalization", 15, 2, {2, 3}, training, "x,w,w,w,w", "y", SAL_UNSUPPORTED,
     "for training"},
    {"BatchNormalization", 13, 2, {2, 3}, NULL, "x,w,w,w,w", "y", SAL_BAD_INPUT,
     "scale is 5, input is 2x3"},
    {"LRN", 13, 3, {1, 2, 3}, size_0, "x", "y", SAL_BAD_INPUT, "size is 0"},
    {"MaxPool", 12, 4, {1, 2, 5, 5}, kernel_1, "x", ",y", SAL_UNSUPPORTED,
     "leaves out its first output"},
    {"Pow", 6, 2, {5, 3}, axis_0, "x,w", "y", SAL_UNSUPPORTED, "axis is set"},
    {"Cast", 13, 1, {3}, to_text, "x", "y", SAL_UNSUPPORTED, "cannot cast to string"},
    {"Cast", 19, 1, {3}, to_float8, "x", "y", SAL_UNSUPPORTED, "cannot cast to float8e4m3fn"},
    {"QuantizeLinear", 13, 2, {2, 3}, NULL, "x,w", "y", SAL_BAD_INPUT,
     "a scale of 5 does not fit an input of 2x3"},
    {"QuantizeLinear", 10, 1, {5}, NULL, "x,w", "y", SAL_BAD_INPUT, "axis is 1"},
    {"QuantizeLinear", 13, 2, {2, 3}, NULL, "x,i", "y", SAL_UNSUPPORTED, "input 1 is int64"},
    {"QuantizeLinear", 21, 2, {2, 5}, blocks_of_2, "x,w", "y", SAL_BAD_INPUT,
     "does not fit"},
    {"QuantizeLinear", 21, 2, {2, 5}, blocks_of_less, "x,w", "y", SAL_BAD_INPUT,
     "block_size must be"},
    {"QuantizeLinear", 21, 1, {5}, output_float8, "x,w", "y", SAL_UNSUPPORTED,
     "quantises to float8e4m3fn"},
    {"QuantizeLinear", 13, 2, {3, 5}, NULL, "x,w,i", "y", SAL_BAD_INPUT, "one shape"},
    {"DequantizeLinear", 13, 1, {5}, NULL, "x,w", "y", SAL_UNSUPPORTED, "input 0 is float32"},
    {"DequantizeLinear", 13, 1, {5}, NULL, "h,x", "y", SAL_BAD_INPUT, "axis is 1"},
    {"DynamicQuantizeLinear", 13, 1, {5}, NULL, "d", "y", SAL_UNSUPPORTED, "input 0 is int64"},
    {"ConvInteger", 13, 3, {1, 2, 5}, NULL, "x,w", "y", SAL_UNSUPPORTED, "input 0 is float32"},
    {"MatMulInteger", 13, 1, {5}, NULL, "d,d", "y", SAL_UNSUPPORTED,
     "input 0 is int64, int8 and uint8 are supported"},
    {"QLinearMatMul", 13, 1, {5}, NULL, "x,w,w,w,w,w,w,w", "y", SAL_UNSUPPORTED,
     "input 0 is float32"},
    {"QLinearConv", 13, 1, {5}, NULL, "x,w,w,w,w,w,w,w", "y", SAL_UNSUPPORTED,
     "input 7 is float32"},
    {"NegativeLogLikelihoodLoss", 13, 2, {2, 3}, NULL, "x,d", "y", SAL_BAD_INPUT,
     "target is 1, must be 2"},
    {"NegativeLogLikelihoodLoss", 13, 2, {1, 0}, NULL, "x,d", "y", SAL_BAD_INPUT,
     "no classes"},
    {"NegativeLogLikelihoodLoss", 13, 2, {1, 3}, NULL, "x,d,w", "y", SAL_BAD_INPUT,
     "weight must be a list of 3"},
    {"SoftmaxCrossEntropyLoss", 13, 1, {3}, NULL, "x,d", "y", SAL_BAD_INPUT,
     "scores have 1 axes"},
    {"SoftmaxCrossEntropyLoss", 13, 2, {1, 3}, reduce_max, "x,d", "y", SAL_BAD_INPUT,
     "reduction is 'max'"},
    {"Pad", 10, 2, {2, 3}, huge_pads, "x", "y", SAL_LIMIT, "pads"},
    {"Pad", 10, 2, {2, 3}, wide_pads, "x", "y", SAL_LIMIT, "2^40"},
    {"Split", 11, 1, {3}, three_parts, "x", "y,z", SAL_BAD_INPUT, "do not split"},
    {"Gather", 13, 2, {2, 3}, NULL, "x,i", "y", SAL_BAD_INPUT, "index 9 is outside"},
    {"Squeeze", 11, 2, {2, 3}, axes_twice, "x", "y", SAL_BAD_INPUT, "named twice"},
    {"ReduceMean", 18, 2, {2, 3}, NULL, "x,d", "y", SAL_UNSUPPORTED,
     "axes depends on the data, must be constant"},
    {"Expand", 13, 1, {3}, NULL, "x,d", "y", SAL_UNSUPPORTED, "shape depends on the data"},
    {"ConstantOfShape", 9, 1, {3}, NULL, "x", "y", SAL_UNSUPPORTED, "input 0 is float"},
    {"ConstantOfShape", 9, 1, {3}, NULL, "h", "y", SAL_LIMIT, "2^40"},
    {"Constant", 13, 1, {3}, NULL, "", "y", SAL_UNSUPPORTED, "has neither value"},
    {"LayerNormalization", 17, 2, {2, 3}, NULL, "x,w", "y", SAL_BAD_INPUT,
     "scale is 5, which does not broadcast to the input's 2x3"},
    {"LayerNormalization", 17, 2, {2, 0}, NULL, "x,w", "y", SAL_BAD_INPUT,
     "2x0: there is nothing to normalise"},
    {"LayerNormalization", 17, 1, {5}, axis_7, "x,w", "y", SAL_BAD_INPUT, "axis is 7"},
    {"LayerNormalization", 17, 1, {5}, stash_int, "x,w", "y", SAL_BAD_INPUT,
     "stash_type is 7, must be a floating type"},
    {"LayerNormalization", 17, 1, {5}, NULL, "x,i", "y", SAL_UNSUPPORTED,
     "input 1 is int64"},
    {"RMSNormalization", 23, 2, {2, 3}, NULL, "x,w", "y", SAL_BAD_INPUT, "scale is 5"},
    {"InstanceNormalization", 6, 3, {1, 4, 2}, NULL, "x,w,w", "y", SAL_BAD_INPUT,
     "scale is 5, expected 4: one per channel"},
    {"InstanceNormalization", 6, 1, {5}, NULL, "x,w,w", "y", SAL_BAD_INPUT, "2 or more"},
    {"InstanceNormalization", 6, 3, {1, 5, 0}, NULL, "x,w,w", "y", SAL_BAD_INPUT,
     "nothing to normalise"},
    {"GroupNormalization", 21, 2, {1, 5}, groups_3, "x,w,w", "y", SAL_BAD_INPUT,
     "num_groups is 3, must divide the 5 channels"},
    {"GroupNormalization", 21, 2, {1, 5}, NULL, "x,w,w", "y", SAL_BAD_INPUT,
     "num_groups is 0"},
    {"GroupNormalization", 18, 3, {1, 6, 2}, groups_3, "x,w,w", "y", SAL_BAD_INPUT,
     "expected 3: one per group (per channel from opset 21)"},
    {"LpNormalization", 1, 1, {5}, p_3, "x", "y", SAL_BAD_INPUT, "p is 3, must be 1 or 2"},
    {"MeanVarianceNormalization", 13, 3, {1, 2, 3}, NULL, "x", "y", SAL_BAD_INPUT,
     "axis is 3"},
    {"Gelu", 20, 1, {3}, by_guess, "x", "y", SAL_UNSUPPORTED,
     "approximate is 'guess', must be none or tanh"},
    {"Celu", 12, 1, {3}, alpha_0, "x", "y", SAL_BAD_INPUT, "alpha is 0"},
    {"PRelu", 9, 1, {1}, NULL, "x,w", "y", SAL_BAD_INPUT, "only the second input"},
    {"PRelu", 6, 3, {1, 4, 5}, NULL, "x,w", "y", SAL_BAD_INPUT, "do not broadcast"},
    {"TopK", 11, 2, {2, 3}, NULL, "x,i", "y,z", SAL_BAD_INPUT, "k is 9, must be 0 to 3"},
    {"TopK", 11, 2, {2, 3}, NULL, "x,h", "y,z", SAL_BAD_INPUT, "k has 2 values"},
    {"TopK", 11, 2, {2, 3}, NULL, "x,d", "y,z", SAL_UNSUPPORTED, "k depends on the data"},
    {"TopK", 11, 2, {2, 3}, NULL, "x", "y,z", SAL_BAD_INPUT, "input 1 is missing"},
    {"TopK", 1, 2, {2, 3}, NULL, "x", "y,z", SAL_BAD_INPUT, "k is -1"},
    {"ArgMax", 13, 2, {2, 0}, axis_1, "x", "y", SAL_BAD_INPUT, "no elements to choose"},
    {"Mean", 13, 1, {3}, NULL, "x,i", "y", SAL_UNSUPPORTED, "input 1 is int64"},
    {"HardSwish", 13, 1, {3}, NULL, "x", "y", SAL_UNSUPPORTED, "from opset 14"},
};

static void check_refusal(const struct refusal *r)
{
    static const float w[5] = {1, 2, 3, 4, 5};
    struct onnx_build b;
    onnx_build_init(&b, r->opset);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, r->rank, r->dims);
    onnx_build_input(&b, "d", SAL_ONNX_INT64, 1, (int64_t[]){1});
    onnx_build_weights(&b, "w", 1, (int64_t[]){5}, w);
    onnx_build_indices(&b, "i", 1, (int64_t[]){1}, (int64_t[]){9});
    onnx_build_indices(&b, "h", 1, (int64_t[]){2}, (int64_t[]){1 << 20, 1 << 20});
    onnx_build_node(&b, r->op, r->inputs, r->outputs);
    onnx_build_name(&b, "n");
    if (r->attributes)
        r->attributes(&b);
    onnx_build_output(&b, "y", SAL_ONNX_FLOAT, -1, NULL);
    struct sal_onnx onnx;
    struct sal_graph graph;
    struct sal_error err = {0};
    assert_int_equal(sal_onnx_parse(&onnx, onnx_build_finish(&b), "case", NULL), SAL_OK);
    enum sal_status status =
        sal_graph_build(&graph, &onnx, &(struct sal_graph_options){0}, &err);
    if (!status)
        sal_graph_release(&graph);
    if (status != r->status || !strstr(err.text, r->text) || !strstr(err.text, "'n'") ||
        !strstr(err.text, r->op))
        fail_msg("%s: status %d, '%s'; expected %d, '%s'", r->op, (int)status, err.text,
                 (int)r->status, r->text);
    sal_onnx_close(&onnx);
    onnx_build_release(&b);
}

static void what_cannot_be_is_refused_and_names_the_node(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++)
        check_refusal(&refusals[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_sorted_and_each_name_is_found),
        cmocka_unit_test(every_row_is_complete),
        cmocka_unit_test(integers_wrap_as_their_type_does),
        cmocka_unit_test(what_cannot_be_is_refused_and_names_the_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
