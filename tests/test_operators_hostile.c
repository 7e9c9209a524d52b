/* Shapes nobody exports, one operator at a time: computed or refused, never a crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "graph.h"
#include "onnx_build.h"
#include "run_parts.h"

/* One operator on one input; `list` is what its second input or attribute holds. */
struct hostile {
    const char *op;
    const char *attribute; /* NULL: none, the input "list" instead */
    struct sal_shape shape, out; /* out.rank -1: must be refused */
    int64_t list[4];
    int n;
};

static void build_hostile(struct onnx_build *b, const struct hostile *h)
{
    bool slice = strcmp(h->op, "Slice") == 0;
    onnx_build_init(b, 17);
    onnx_build_input(b, "x", SAL_ONNX_FLOAT, h->shape.rank, h->shape.dim);
    if (slice) {
        static const char *const names[] = {"start", "end", "axis", "step"};
        for (int i = 0; i < 4; i++)
            onnx_build_indices(b, names[i], 1, (int64_t[]){1}, &h->list[i]);
    } else if (!h->attribute) {
        onnx_build_indices(b, "list", 1, (int64_t[]){h->n}, h->list);
    }
    onnx_build_node(b, h->op, slice ? "x,start,end,axis,step" : h->attribute ? "x" : "x,list",
                    "y");
    if (h->attribute)
        onnx_build_ints(b, h->attribute, h->n, h->list);
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, -1, NULL);
}

static void check_hostile(const struct hostile *h)
{
    struct onnx_build b;
    struct sal_onnx onnx;
    struct sal_graph graph;
    struct sal_run *run = NULL;
    struct sal_error err = {0};
    build_hostile(&b, h);
    assert_int_equal(sal_onnx_parse(&onnx, onnx_build_finish(&b), "case", &err), SAL_OK);
    enum sal_status status =
        sal_graph_build(&graph, &onnx, &(struct sal_graph_options){0}, &err);
    if (!status) {
        status = sal_run_open_graph(
            &run, &graph, &(struct sal_run_options){.memory = (size_t)1 << 24}, &err);
        if (!status && !sal_run_pass(run, NULL, &err) &&
            !sal_shape_equal(&sal_run_tensor(run, graph.outputs[0])->shape, &h->out))
            fail_msg("%s gives another shape than it must", h->op);
        sal_run_close(run);
        sal_graph_release(&graph);
    }
    if ((status != SAL_OK) != (h->out.rank < 0))
        fail_msg("%s: %s", h->op, status ? err.text : "was not refused");
    sal_onnx_close(&onnx);
    onnx_build_release(&b);
}

static void hostile_shapes_are_computed_or_refused(void **state)
{
    (void)state;
    enum { BIG = INT32_MAX };
    static const struct sal_shape refused = {.rank = -1};
    const struct hostile cases[] = {
        {"Slice", NULL, {1, {0}}, {1, {0}}, {-1, INT64_MIN, 0, -1}, 4},
        {"Slice", NULL, {2, {2, 0}}, {2, {2, 0}}, {INT64_MAX, INT64_MIN, 1, INT64_MIN}, 4},
        {"Slice", NULL, {1, {3}}, {1, {1}}, {INT64_MIN, INT64_MAX, 0, INT64_MAX}, 4},
        {"Slice", NULL, {0, {0}}, refused, {0, 1, 0, 1}, 4},
        {"Reshape", NULL, {2, {0, 3}}, refused, {0, -1}, 2},
        {"Reshape", NULL, {0, {0}}, {2, {1, 1}}, {1, -1}, 2},
        {"Reshape", NULL, {1, {1}}, refused, {INT64_MAX, 4}, 2},
        {"Expand", NULL, {1, {1}}, refused, {BIG, BIG, BIG}, 3},
        {"Expand", NULL, {1, {1}}, {2, {2, 0}}, {2, 0}, 2},
        {"Pad", NULL, {1, {2}}, {1, {0}}, {-1, -1}, 2},
        {"Pad", NULL, {1, {2}}, refused, {INT64_MIN, INT64_MIN}, 2},
        {"Pad", NULL, {1, {2}}, refused, {INT64_MAX, INT64_MAX}, 2},
        {"Transpose", "perm", {2, {0, 3}}, {2, {3, 0}}, {1, 0}, 2},
        {"Transpose", "perm", {2, {2, 3}}, refused, {0, BIG}, 2},
        {"MaxPool", "kernel_shape", {4, {1, 1, 3, 3}}, refused, {BIG, BIG}, 2},
        {"AveragePool", "kernel_shape", {4, {1, 1, 3, 0}}, refused, {1, 1}, 2},
        {"ReduceProd", "axes", {2, {2, 0}}, {2, {2, 1}}, {1}, 1},
        {"ReduceLogSumExp", "axes", {2, {2, 0}}, {2, {2, 1}}, {1}, 1},
        {"ReduceL2", "axes", {2, {0, 3}}, {2, {0, 1}}, {1}, 1},
        {"ReduceMax", "axes", {2, {0, 3}}, {2, {1, 3}}, {0}, 1},
        {"ReduceSumSquare", "axes", {2, {2, 3}}, refused, {INT64_MIN}, 1},
        {"MeanVarianceNormalization", "axes", {2, {0, 3}}, {2, {0, 3}}, {1}, 1},
        {"MeanVarianceNormalization", "axes", {2, {2, 0}}, refused, {1}, 1},
        {"MeanVarianceNormalization", "axes", {0, {0}}, refused, {0}, 1},
        {"TopK", NULL, {2, {2, 0}}, {2, {2, 0}}, {0}, 1},
        {"TopK", NULL, {2, {0, 2}}, {2, {0, 1}}, {1}, 1},
        {"TopK", NULL, {1, {3}}, refused, {INT64_MAX}, 1},
        {"TopK", NULL, {0, {0}}, refused, {1}, 1},
        {"MaxPool", "kernel_shape", {4, {0, 1, 3, 3}}, {4, {0, 1, 1, 2}}, {3, 2}, 2},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        check_hostile(&cases[i]);
}

static void convolution_without_channels_is_refused(void **state)
{
    (void)state;
    struct onnx_build b;
    struct sal_onnx onnx;
    struct sal_graph graph;
    struct sal_error err = {0};
    onnx_build_init(&b, 17);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 4, (int64_t[]){1, 0, 3, 3});
    onnx_build_input(&b, "w", SAL_ONNX_FLOAT, 4, (int64_t[]){2, 0, 1, 1});
    onnx_build_node(&b, "Conv", "x,w", "y");
    onnx_build_output(&b, "y", SAL_ONNX_FLOAT, -1, NULL);
    assert_int_equal(sal_onnx_parse(&onnx, onnx_build_finish(&b), "case", &err), SAL_OK);
    assert_int_equal(
        sal_graph_build(&graph, &onnx, &(struct sal_graph_options){0}, &err),
        SAL_BAD_INPUT);
    assert_non_null(strstr(err.text, "no input channels"));
    sal_onnx_close(&onnx);
    onnx_build_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_shapes_are_computed_or_refused),
        cmocka_unit_test(convolution_without_channels_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
