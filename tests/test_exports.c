/* What exporters put into files beside the graph itself: passed over where nothing
 * needs it, refused with a clear word where something does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "eval.h"

static const int64_t two[] = {2};
static const float x2[] = {-1, 3}, negated[] = {1, -3};

/* x[2] -> Neg -> y, the node still open. */
static void begin(struct onnx_build *b)
{
    onnx_build_init(b, 17);
    onnx_build_input(b, "x", SAL_ONNX_FLOAT, 1, two);
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, -1, NULL);
    onnx_build_node(b, "Neg", "x", "y");
}

/* ---- passed over ---- */

static void put_pair(struct sal_buffer *out, unsigned field)
{
    struct sal_buffer pair = {0};
    onnx_put_text(&pair, 1, "key");
    onnx_put_text(&pair, 2, "value");
    onnx_put_message(out, field, &pair);
}

static void annotations_are_passed_over(void **state)
{
    (void)state;
    enum { NODE_DOC = 6, NODE_METADATA = 9, NODE_DEVICES = 10 };
    enum {
        GRAPH_DOC = 10,
        GRAPH_VALUE_INFO = 13,
        GRAPH_QUANTIZATION = 14,
        GRAPH_METADATA = 16
    };
    enum { MODEL_TRAINING = 20, MODEL_CONFIGURATION = 26, UNKNOWN = 999 };
    struct onnx_build b;
    begin(&b);
    b.ir_version = 13;
    onnx_put_text(&b.node, NODE_DOC, "negates");
    put_pair(&b.node, NODE_METADATA);
    put_pair(&b.node, NODE_METADATA);
    put_pair(&b.node, NODE_DEVICES);
    onnx_put_int(&b.node, UNKNOWN, 7);
    onnx_put_text(&b.graph, GRAPH_DOC, "a graph");
    put_pair(&b.graph, GRAPH_VALUE_INFO); /* wrong, but nobody's business */
    put_pair(&b.graph, GRAPH_QUANTIZATION);
    put_pair(&b.graph, GRAPH_METADATA);
    put_pair(&b.model, MODEL_TRAINING);
    put_pair(&b.model, MODEL_CONFIGURATION);
    onnx_put_fixed32(&b.model, UNKNOWN, 7);
    eval_expect(&b, x2, negated, 2);
}

static void strings_are_passed_over_until_they_are_needed(void **state)
{
    (void)state;
    struct sal_buffer tensor = {0};
    for (int needed = 0; needed < 2; needed++) {
        struct onnx_build b;
        begin(&b);
        onnx_put_tensor(&tensor, "label", SAL_ONNX_STRING, 1, (int64_t[]){1});
        onnx_put_text(&tensor, 6, "cat");
        onnx_put_message(&b.graph, 5, &tensor);
        onnx_build_node(&b, "Constant", "", "c");
        onnx_build_string(&b, "value_string", "dog");
        onnx_build_node(&b, "Identity", "label", "z");
        if (!needed) {
            eval_expect(&b, x2, negated, 2);
            continue;
        }
        struct eval e = {.options.output = "z"};
        eval_run(&e, &b);
        assert_int_equal(e.status, SAL_UNSUPPORTED);
        assert_non_null(strstr(e.err.text, "'label'"));
        e.options.output = "c";
        eval_run(&e, &b);
        assert_int_equal(e.status, SAL_UNSUPPORTED);
        assert_non_null(strstr(e.err.text, "'c'"));
        onnx_build_release(&b);
    }
}

/* A declared value whose TypeProto holds that field: 4 a sequence, 9 an optional. */
static void put_value(struct sal_buffer *out, unsigned field, const char *name,
                      unsigned type)
{
    struct sal_buffer inner = {0}, kind = {0}, value = {0};
    onnx_put_bytes(&inner, 1, "", 0);
    onnx_put_message(&kind, type, &inner);
    onnx_put_text(&value, 1, name);
    onnx_put_message(&value, 2, &kind);
    onnx_put_message(out, field, &value);
}

static void sequences_and_optionals_are_refused_where_they_are_needed(void **state)
{
    (void)state;
    enum { GRAPH_INPUT = 11, SEQUENCE = 4, OPTIONAL = 9 };
    static const unsigned types[] = {SEQUENCE, OPTIONAL};
    for (int i = 0; i < 2; i++)
        for (int needed = 0; needed < 2; needed++) {
            struct onnx_build b;
            begin(&b);
            put_value(&b.graph, GRAPH_INPUT, "many", types[i]);
            onnx_build_node(&b, "Identity", "many", "z");
            onnx_build_node(&b, "SequenceConstruct", "x,x", "s");
            onnx_build_name(&b, "seq");
            if (needed)
                onnx_build_output(&b, "z", SAL_ONNX_FLOAT, -1, NULL);
            if (needed)
                eval_refuse(&b, SAL_UNSUPPORTED,
                            "input 'many' is not a numeric tensor");
            else
                eval_expect(&b, x2, negated, 2);
        }
    struct onnx_build b;
    begin(&b);
    onnx_build_node(&b, "SequenceConstruct", "x,x", "s");
    onnx_build_name(&b, "seq");
    onnx_build_output(&b, "s", SAL_ONNX_FLOAT, -1, NULL);
    eval_refuse(&b, SAL_UNSUPPORTED,
                "operator SequenceConstruct (node 'seq', opset 17) is not supported");
}

static void sparse_values_are_refused(void **state)
{
    (void)state;
    enum { GRAPH_SPARSE = 15, ATTR_SPARSE = 22, TYPE_SPARSE = 11 };
    struct onnx_build b;
    begin(&b);
    put_pair(&b.graph, GRAPH_SPARSE);
    eval_refuse(&b, SAL_UNSUPPORTED, "sparse initialisers are not read");
    begin(&b);
    onnx_build_node(&b, "Constant", "", "c");
    struct sal_buffer attr = {0};
    onnx_put_text(&attr, 1, "sparse_value");
    onnx_put_int(&attr, 20, TYPE_SPARSE);
    put_pair(&attr, ATTR_SPARSE);
    onnx_put_message(&b.node, 5, &attr);
    onnx_build_output(&b, "c", SAL_ONNX_FLOAT, -1, NULL);
    eval_refuse(&b, SAL_UNSUPPORTED, "Constant 'c'");
}

static void zero_size_tensors_are_read(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b);
    onnx_build_weights(&b, "none", 1, (int64_t[]){0}, NULL);
    onnx_build_node(&b, "Concat", "y,none", "z");
    onnx_build_int(&b, "axis", 0);
    struct eval e = {.x = x2, .options.output = "z"};
    eval_run(&e, &b);
    assert_int_equal(e.status, SAL_OK);
    assert_int_equal(e.n, 2);
    assert_true(e.y[0] == 1);
    onnx_build_release(&b);
}

static void named_axes_and_initialisers_that_are_inputs_are_read(void **state)
{
    (void)state;
    struct onnx_build b;
    onnx_build_init(&b, 17);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 2, (int64_t[]){-1, 2}); /* "N" is free */
    onnx_build_input(&b, "w", SAL_ONNX_FLOAT, 1, two);
    onnx_build_weights(&b, "w", 1, two, (float[]){10, 20});
    onnx_build_node(&b, "Add", "x,w", "y");
    onnx_build_output(&b, "y", SAL_ONNX_FLOAT, 2, (int64_t[]){-1, 2});
    eval_expect(&b, x2, (float[]){9, 23}, 2);
}

/* ---- known-bad exports ---- */

static void two_initialisers_of_one_name_are_refused_with_a_hint(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b);
    onnx_build_weights(&b, "w", 1, two, x2);
    onnx_build_weights(&b, "w", 1, two, x2);
    eval_refuse(&b, SAL_BAD_INPUT,
                "two initialisers are named 'w': some exporters (PyTorch "
                "2.9) mix up weights like this, export again");
}

static void a_bias_that_does_not_fit_is_refused_with_both_shapes(void **state)
{
    (void)state;
    static const float zeros[64] = {0};
    struct onnx_build b;
    onnx_build_init(&b, 17);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 4, (int64_t[]){1, 3, 4, 4});
    onnx_build_weights(&b, "w", 4, (int64_t[]){5, 3, 1, 1}, zeros);
    onnx_build_weights(&b, "b", 1, (int64_t[]){4}, zeros);
    onnx_build_node(&b, "Conv", "x,w,b", "y");
    onnx_build_name(&b, "stem");
    onnx_build_output(&b, "y", SAL_ONNX_FLOAT, -1, NULL);
    eval_refuse(&b, SAL_BAD_INPUT,
                "Conv 'stem': its bias is 4, its weight 5x3x1x1 needs 5");
    static const int64_t wrong[][2] = {{4, 0}, {2, 5}, {3, 1}};
    for (int i = 0; i < 3; i++) {
        onnx_build_init(&b, 17);
        onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 2, (int64_t[]){1, 3});
        onnx_build_weights(&b, "w", 2, (int64_t[]){3, 5}, zeros);
        onnx_build_weights(&b, "b", i ? 2 : 1, wrong[i], zeros);
        onnx_build_node(&b, "Gemm", "x,w,b", "y");
        onnx_build_name(&b, "head");
        onnx_build_output(&b, "y", SAL_ONNX_FLOAT, -1, NULL);
        eval_refuse(&b, SAL_BAD_INPUT, "its weight 3x5 makes 1x5");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(annotations_are_passed_over),
        cmocka_unit_test(strings_are_passed_over_until_they_are_needed),
        cmocka_unit_test(sequences_and_optionals_are_refused_where_they_are_needed),
        cmocka_unit_test(sparse_values_are_refused),
        cmocka_unit_test(zero_size_tensors_are_read),
        cmocka_unit_test(named_axes_and_initialisers_that_are_inputs_are_read),
        cmocka_unit_test(two_initialisers_of_one_name_are_refused_with_a_hint),
        cmocka_unit_test(a_bias_that_does_not_fit_is_refused_with_both_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
