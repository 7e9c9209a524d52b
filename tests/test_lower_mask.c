/* y[mask] = f(x[mask]) in the form exporters give it, and what else one could do with a
 * mask's coordinates, which is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "eval.h"
#include "op_norm.h"
#include "saliscope/model.h"

static void op_norm_gives_what_it_must(void **state)
{
    (void)state;
    enum { ROWS = 3, N = ROWS * OP_NORM_CLASSES };
    float p[N], y[N];
    for (int i = 0; i < N; i++) {
        p[i] = (float)((i * 7) % N) / (float)N;
        y[i] = op_norm(p[i], op_norm_thresholds[i % OP_NORM_CLASSES]);
    }
    for (int script = 0; script < 2; script++) {
        struct onnx_build b;
        onnx_build_init(&b, 17);
        onnx_build_input(&b, "p", SAL_ONNX_FLOAT, 2,
                         (int64_t[]){ROWS, OP_NORM_CLASSES});
        build_op_norm(&b, "p", ROWS, script);
        onnx_build_output(&b, "y", SAL_ONNX_FLOAT, -1, NULL);
        eval_expect(&b, p, y, N);
    }
}

/* x[4], its mask m = x > 0, the coordinates c of it, and the selected elements s. */
static void begin(struct onnx_build *b)
{
    onnx_build_init(b, 17);
    onnx_build_input(b, "x", SAL_ONNX_FLOAT, 1, (int64_t[]){4});
    onnx_build_weights(b, "zero", 0, NULL, (float[]){0});
    onnx_build_weights(b, "three", 1, (int64_t[]){1}, (float[]){3});
    onnx_build_weights(b, "w", 1, (int64_t[]){4}, (float[]){1, 2, 3, 4});
    onnx_build_weights(b, "square", 2, (int64_t[]){2, 2}, (float[]){1, 2, 3, 4});
    onnx_build_indices(b, "l0", 1, (int64_t[]){1}, (int64_t[]){0});
    onnx_build_indices(b, "l1", 1, (int64_t[]){1}, (int64_t[]){1});
    onnx_build_indices(b, "flat", 1, (int64_t[]){1}, (int64_t[]){-1});
    onnx_build_indices(b, "column", 1, (int64_t[]){2}, (int64_t[]){-1, 1});
    onnx_build_node(b, "Greater", "x,zero", "m");
    onnx_build_node(b, "NonZero", "m", "n");
    onnx_build_node(b, "Transpose", "n", "c");
    onnx_build_node(b, "GatherND", "x,c", "s");
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, -1, NULL);
}

static const float x4[] = {-1, 2, 0, 5};

static void elementwise_functions_of_a_selection_are_computed(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b);
    onnx_build_node(&b, "Mul", "s,three", "t");
    onnx_build_node(&b, "GatherND", "w,c", "u");
    onnx_build_node(&b, "Sub", "t,u", "v");
    onnx_build_node(&b, "Clip", "v,,zero", "k"); /* at most 0 */
    onnx_build_node(&b, "Sum", "v,k,u", "r");
    onnx_build_node(&b, "ScatterND", "x,c,r", "y");
    eval_expect(&b, x4, (float[]){-1, 6, 0, 15}, 4);
}

static void a_mask_that_is_never_or_always_true_is_fine(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b);
    onnx_build_node(&b, "Neg", "s", "r");
    onnx_build_node(&b, "ScatterND", "w,c,r", "y");
    struct eval e = {.x = (float[]){-1, -2, -3, -4}};
    eval_run(&e, &b);
    assert_int_equal(e.status, SAL_OK);
    assert_true(e.y[0] == 1 && e.y[3] == 4);
    eval_expect(&b, (float[]){4, 3, 2, 1}, (float[]){-4, -3, -2, -1}, 4);
}

static void a_number_may_be_written(void **state)
{
    (void)state;
    for (int scripted = 0; scripted < 2; scripted++) {
        struct onnx_build b;
        begin(&b);
        if (scripted) {
            onnx_build_indices(&b, "i0", 0, NULL, (int64_t[]){0});
            onnx_build_node(&b, "Shape", "c", "sc");
            onnx_build_node(&b, "Gather", "sc,i0", "g");
            onnx_build_node(&b, "Unsqueeze", "g,l0", "count");
        } else {
            onnx_build_node(&b, "Reshape", "m,flat", "f");
            onnx_build_node(&b, "Cast", "f", "i");
            onnx_build_int(&b, "to", SAL_ONNX_INT64);
            onnx_build_node(&b, "ReduceSum", "i", "count");
        }
        onnx_build_node(&b, "Expand", "three,count", "v");
        onnx_build_node(&b, "ScatterND", "x,c,v", "y");
        eval_expect(&b, x4, (float[]){-1, 3, 0, 3}, 4);
    }
}

/* ---- what is refused ---- */

static void another_use_of_a_selection_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *op, *inputs, *text;
    } cases[] = {
        {"Relu", "s", "output 'y' has a size that depends on the input"},
        {"ReduceSum", "s",
         "operator ReduceSum (node 'y', opset 17) on elements that a mask "
         "selects: only y[mask] = f(x[mask])"},
        {"Softmax", "s", "operator Softmax"},
        {"Concat", "s,s", "operator Concat"},
        {"MatMul", "s,s", "operator MatMul"},
        {"Relu", "c", "operator Relu (node 'y', opset 17)"},
        {"Transpose", "c", "only a list of coordinates is transposed"},
        {"Add", "s,w",
         "all inputs must be selected by one mask, or be constant numbers"},
        {"Add", "s,x", "all inputs must be selected by one mask"},
        {"Add", "s,s2", "all inputs must be selected by one mask"},
        {"Reshape", "s,column", "it can only be reshaped to a list"},
        {"Slice", "s,l0,l1", "only a slice of all of them is supported"},
        {"GatherND", "square,c",
         "the mask must have the shape of the real tensor it selects"},
        {"GatherND", "x,n", "the mask must have the shape of the real tensor"},
        {"GatherND", "s,c", "the mask must have the shape of the real tensor"},
        {"ScatterND", "square,c,s",
         "the mask must have the shape of the real tensor it writes"},
        {"ScatterND", "x,c2,s", "what is written must be selected by the same mask"},
        {"ScatterND", "x,c,w", "what is written must be selected by the same mask"},
        {"ScatterND", "s,c,s",
         "the mask must have the shape of the real tensor it writes"},
        {"Gather", "c,l0", "only how many there are can be asked"},
        {"Expand", "s,column", "it can only be expanded to its own size"},
        {"NonZero", "s", "operator NonZero"},
        {"NoSuchThing", "s", "operator NoSuchThing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct onnx_build b;
        begin(&b);
        onnx_build_node(&b, "Less", "x,zero", "m2");
        onnx_build_node(&b, "NonZero", "m2", "n2");
        onnx_build_node(&b, "Transpose", "n2", "c2");
        onnx_build_node(&b, "GatherND", "x,c2", "s2");
        onnx_build_node(&b, cases[i].op, cases[i].inputs, "y");
        eval_refuse(&b, SAL_UNSUPPORTED, cases[i].text);
    }
}

static void another_way_of_writing_back_is_refused(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b);
    onnx_build_node(&b, "ScatterND", "x,c,s", "y");
    onnx_build_string(&b, "reduction", "add");
    eval_refuse(&b, SAL_UNSUPPORTED, "operator ScatterND (node 'y', opset 17)");
    begin(&b);
    onnx_build_node(&b, "GatherND", "x,c", "s1");
    onnx_build_int(&b, "batch_dims", 1);
    onnx_build_node(&b, "ScatterND", "x,c,s1", "y");
    eval_refuse(&b, SAL_UNSUPPORTED, "operator GatherND (node 's1', opset 17)");
    begin(&b);
    onnx_build_node(&b, "Relu", "s", "y");
    onnx_build_domain(&b, "com.microsoft");
    eval_refuse(&b, SAL_UNSUPPORTED, "operator Relu (node 'y'");
    begin(&b);
    onnx_build_node(&b, "Dropout", "s", "y,mask");
    eval_refuse(&b, SAL_UNSUPPORTED, "operator Dropout");
}

/* ---- the scores of such a model ---- */

static void write_model(const char *path, struct onnx_build *b)
{
    struct sal_span bytes = onnx_build_finish(b);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes.data, 1, bytes.size, file), bytes.size);
    fclose(file);
}

static void logits_are_before_the_sigmoid_and_probabilities_after_op_norm(void **state)
{
    (void)state;
    static const char path[] = "/tmp/saliscope-test-op-norm.onnx";
    struct onnx_build b;
    struct sal_model *model;
    struct sal_error err;
    onnx_build_init(&b, 17);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 4, (int64_t[]){-1, 1, 2, 3});
    onnx_build_node(&b, "Flatten", "x", "logits");
    onnx_build_node(&b, "Sigmoid", "logits", "p");
    build_op_norm(&b, "p", 1, true);
    onnx_build_output(&b, "y", SAL_ONNX_FLOAT, -1, NULL);
    write_model(path, &b);
    if (sal_model_open(&model, path, &(struct sal_model_options){0}, &err))
        fail_msg("%s", err.text);
    const struct sal_model_output *output = sal_model_output(model);
    assert_string_equal(sal_model_value(model, output->value).name, "logits");
    assert_int_equal(output->activation, SAL_SIGMOID);
    static const sal_real logits[] = {-3, 2, 1, -2, 0.5f, -0.25f};
    double probabilities[OP_NORM_CLASSES];
    sal_model_probabilities(model, logits, probabilities);
    for (int i = 0; i < OP_NORM_CLASSES; i++) {
        float p = 1 / (1 + expf(-logits[i]));
        assert_true(fabs(probabilities[i] - (double)op_norm(p, op_norm_thresholds[i])) <
                    1e-6);
    }
    int n, told = 0;
    const char *const *warnings = sal_model_warnings(model, &n);
    for (int i = 0; i < n; i++)
        told +=
            strstr(warnings[i], "rescales each probability after its Sigmoid") != NULL;
    assert_int_equal(told, 1);
    sal_model_close(model);
    if (sal_model_open(&model, path, &(struct sal_model_options){.score = "y[4]"},
                       &err))
        fail_msg("%s", err.text);
    output = sal_model_output(model);
    assert_string_equal(sal_model_value(model, output->value).name, "y");
    assert_string_equal(output->unit, "score");
    assert_int_equal(sal_model_top_class(model, logits), 4);
    sal_model_close(model);
    assert_int_equal(sal_model_open(&model, path,
                                    &(struct sal_model_options){.score = "y[6]"}, &err),
                     SAL_USAGE);
    assert_non_null(strstr(err.text, "that tensor has 6 elements"));
    remove(path);
    onnx_build_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(op_norm_gives_what_it_must),
        cmocka_unit_test(elementwise_functions_of_a_selection_are_computed),
        cmocka_unit_test(a_mask_that_is_never_or_always_true_is_fine),
        cmocka_unit_test(a_number_may_be_written),
        cmocka_unit_test(another_use_of_a_selection_is_refused_by_name),
        cmocka_unit_test(another_way_of_writing_back_is_refused),
        cmocka_unit_test(logits_are_before_the_sigmoid_and_probabilities_after_op_norm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
