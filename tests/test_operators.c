/* The operators against the ONNX project's own backend test data, as Debian's
 * libonnx-testdata installs it: a model, inputs and the outputs that are right. Every
 * model whose nodes are all in our table takes part. Shapes, axes and pads that these
 * models take as inputs are weights in models of the wild: where the graph wants them
 * constant, they are given as such. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "graph.h"
#include "onnx_build.h"
#include "run_parts.h"

#define ROOT "/usr/share/libonnx-testdata/data"

enum { PASSED_EXACTLY = 526, INPUTS_MAX = 64 };

enum outcome {
    PASSED,
    PASSED_CONSTANT,
    WRONG,
    REFUSED,
    NO_OPERATOR,
    NO_OPSET,
    NO_TENSOR,
    NOT_OPENED,
    NOT_CONSTANT,
    UNSUPPORTED,
    OUTCOMES
};

static const char *const outcome_names[OUTCOMES] = {
    [PASSED] = "passed",
    [PASSED_CONSTANT] = "passed with inputs made constant",
    [WRONG] = "wrong",
    [REFUSED] = "refused though valid",
    [NO_OPERATOR] = "skipped (operator)",
    [NO_OPSET] = "skipped (opset)",
    [NO_TENSOR] = "skipped (strings, sequences, optionals)",
    [NOT_OPENED] = "skipped (no default operator set)",
    [NOT_CONSTANT] = "skipped (constant)",
    [UNSUPPORTED] = "skipped (unsupported use)",
};

/* A folder of the data, opened. Inputs and outputs in the model's order. */
struct example {
    char folder[300];
    struct sal_onnx onnx;
    struct sal_onnx_tensor input[INPUTS_MAX];
    struct sal_file file[INPUTS_MAX];
    int n_files;
    struct sal_arena arena;
};

/* ---- reading ------------------------------------------------------------------- */

static enum sal_status read_tensor(struct example *e, const char *what, int i,
                                   const struct sal_onnx_value *declared,
                                   struct sal_onnx_tensor *tensor, struct sal_error *err)
{
    char path[400];
    snprintf(path, sizeof(path), "%s/test_data_set_0/%s_%d.pb", e->folder, what, i);
    assert_true(e->n_files < INPUTS_MAX);
    struct sal_file *file = &e->file[e->n_files];
    enum sal_status status = sal_file_read(file, path, (size_t)1 << 30, err);
    if (status)
        return status;
    e->n_files++;
    status = sal_onnx_parse_tensor(tensor, file->bytes, &e->arena, err);
    /* numpy has no bfloat16, so the files hold the bits as uint16. */
    if (!status && declared->type == SAL_ONNX_BFLOAT16 && tensor->type == SAL_ONNX_UINT16)
        tensor->type = SAL_ONNX_BFLOAT16;
    return status;
}

static enum outcome find_operators(const struct sal_onnx *onnx)
{
    for (int i = 0; i < onnx->graph.n_nodes; i++) {
        const struct sal_onnx_node *node = &onnx->graph.nodes[i];
        const struct sal_op *op = *node->domain ? NULL : sal_op_find(node->op);
        if (!op)
            return NO_OPERATOR;
        if (onnx->opset < op->since || onnx->opset > op->until)
            return NO_OPSET;
    }
    return PASSED;
}

static enum outcome read_inputs(struct example *e, struct sal_error *err)
{
    for (int i = 0; i < e->onnx.graph.n_inputs; i++) {
        const struct sal_onnx_value *declared = &e->onnx.graph.inputs[i];
        if (!sal_onnx_type_size(declared->type) ||
            read_tensor(e, "input", i, declared, &e->input[i], err))
            return NO_TENSOR;
    }
    return PASSED;
}

/* ---- running ------------------------------------------------------------------- */

static struct sal_shape shape_of(const struct sal_onnx_tensor *tensor)
{
    struct sal_shape shape = {.rank = tensor->rank};
    memcpy(shape.dim, tensor->dim, sizeof(*shape.dim) * (size_t)tensor->rank);
    return shape;
}

static enum sal_status read_values(const struct sal_onnx_tensor *recorded,
                                   struct sal_tensor *tensor, struct sal_error *err)
{
    if (!recorded->count)
        return SAL_OK;
    return tensor->kind == SAL_REAL
               ? sal_onnx_tensor_read_float(recorded, tensor->real, err)
               : sal_onnx_tensor_read_int(recorded, tensor->i64, err);
}

static double value_of(const struct sal_tensor *tensor, size_t i)
{
    return tensor->kind == SAL_REAL ? (double)tensor->real[i] : (double)tensor->i64[i];
}

/* A tensor of the engine against the recorded one, closer than the ONNX project asks. */
static bool alike(const struct sal_tensor *ours, const struct sal_onnx_tensor *recorded,
                  struct sal_error *err)
{
    struct sal_shape shape = shape_of(recorded);
    char a[80] = "", b[80] = "";
    if (!sal_shape_equal(&ours->shape, &shape)) {
        sal_fail(err, SAL_BAD_INPUT, "shape %s, must be %s",
                 sal_shape_text(&ours->shape, a, sizeof(a)),
                 sal_shape_text(&shape, b, sizeof(b)));
        return false;
    }
    if (ours->type != recorded->type) {
        sal_fail(err, SAL_BAD_INPUT, "type %s, must be %s", sal_onnx_type_name(ours->type),
                 sal_onnx_type_name(recorded->type));
        return false;
    }
    /* Ours keeps float32 where the recorded values were rounded to less. */
    double rtol = recorded->type == SAL_ONNX_BFLOAT16  ? 0x1p-7
                  : recorded->type == SAL_ONNX_FLOAT16 ? 0x1p-11
                                                       : 1e-5;
    struct sal_tensor right = {.shape = shape, .kind = ours->kind};
    right.data = malloc(sal_kind_size(ours->kind) * (recorded->count + 1));
    bool same = !read_values(recorded, &right, err);
    for (size_t i = 0; same && i < recorded->count; i++) {
        double x = value_of(ours, i), r = value_of(&right, i);
        same = x == r || (isnan(x) && isnan(r)) || fabs(x - r) <= 1e-7 + rtol * fabs(r);
        if (!same)
            sal_fail(err, SAL_BAD_INPUT, "element %zu is %g, must be %g", i, x, r);
    }
    free(right.data);
    return same;
}

static enum outcome compare_outputs(struct example *e, const struct sal_graph *graph,
                                    struct sal_run *run, struct sal_error *err)
{
    for (int i = 0; i < graph->n_outputs; i++) {
        struct sal_onnx_tensor recorded;
        if (read_tensor(e, "output", i, &e->onnx.graph.outputs[i], &recorded, err))
            return NO_TENSOR;
        if (!alike(sal_run_tensor(run, graph->outputs[i]), &recorded, err))
            return WRONG;
    }
    return PASSED;
}

static enum outcome run_graph(struct example *e, const struct sal_graph *graph,
                              struct sal_error *err)
{
    struct sal_run *run = NULL;
    if (sal_run_open_graph(&run, graph,
                           &(struct sal_run_options){.memory = (size_t)1 << 30}, err))
        return REFUSED;
    enum sal_status status = SAL_OK;
    for (int i = 0; i < graph->n_inputs && !status; i++) {
        int id = graph->inputs[i];
        if (graph->values[id].live)
            status = read_values(&e->input[i], sal_run_tensor(run, id), err);
    }
    if (!status)
        status = sal_run_pass(run, NULL, err);
    enum outcome outcome = status ? REFUSED : compare_outputs(e, graph, run, err);
    sal_run_close(run);
    return outcome;
}

static enum outcome build_and_run(struct example *e, struct sal_error *err)
{
    struct sal_shape shapes[INPUTS_MAX];
    struct sal_graph graph;
    for (int i = 0; i < e->onnx.graph.n_inputs; i++)
        shapes[i] = shape_of(&e->input[i]);
    enum sal_status status = sal_graph_build(
        &graph, &e->onnx, &(struct sal_graph_options){.shapes = shapes}, err);
    if (status == SAL_UNSUPPORTED)
        return strstr(err->text, "must be constant") ? NOT_CONSTANT : UNSUPPORTED;
    if (status)
        return REFUSED;
    enum outcome outcome = run_graph(e, &graph, err);
    sal_graph_release(&graph);
    return outcome;
}

/* Makes initialisers of the inputs after the first, or of the only one. */
static void make_constant(struct example *e)
{
    struct sal_onnx_graph *graph = &e->onnx.graph;
    int n = graph->n_initialisers, from = graph->n_inputs > 1 ? 1 : 0;
    struct sal_onnx_tensor *all =
        sal_new(&e->arena, struct sal_onnx_tensor, n + graph->n_inputs);
    assert_non_null(all);
    for (int i = 0; i < n; i++)
        all[i] = graph->initialisers[i];
    for (int i = from; i < graph->n_inputs; i++) {
        all[n] = e->input[i];
        all[n++].name = graph->inputs[i].name;
    }
    graph->initialisers = all;
    graph->n_initialisers = n;
    graph->n_inputs = from;
}

static enum outcome run_example(struct example *e, struct sal_error *err)
{
    enum outcome outcome = find_operators(&e->onnx);
    if (outcome == PASSED)
        outcome = read_inputs(e, err);
    if (outcome == PASSED)
        outcome = build_and_run(e, err);
    if (outcome != NOT_CONSTANT)
        return outcome;
    make_constant(e);
    outcome = build_and_run(e, err);
    return outcome == PASSED ? PASSED_CONSTANT : outcome;
}

/* ---- all of them ---------------------------------------------------------------- */

static enum outcome try_folder(const char *group, const char *name)
{
    struct example *e = calloc(1, sizeof(*e));
    struct sal_error err = {0};
    char path[400];
    assert_non_null(e);
    snprintf(e->folder, sizeof(e->folder), ROOT "/%s/%s", group, name);
    snprintf(path, sizeof(path), "%s/model.onnx", e->folder);
    enum outcome outcome = NOT_OPENED;
    if (!sal_onnx_open(&e->onnx, path, &err)) {
        outcome = run_example(e, &err);
        sal_onnx_close(&e->onnx);
    }
    if (outcome != PASSED && outcome != PASSED_CONSTANT && outcome != NO_OPERATOR)
        print_message("%s: %s: %s\n", outcome_names[outcome], name, err.text);
    for (int i = 0; i < e->n_files; i++)
        sal_file_close(&e->file[i]);
    sal_arena_release(&e->arena);
    free(e);
    return outcome;
}

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void outputs_are_those_of_the_onnx_project(void **state)
{
    (void)state;
    static const char *const groups[] = {"node", "simple", "pytorch-converted",
                                         "pytorch-operator"};
    int count[OUTCOMES] = {0};
    if (access(ROOT, R_OK)) {
        printf("skip: " ROOT " is not there\n");
        skip();
    }
    for (size_t g = 0; g < sizeof(groups) / sizeof(*groups); g++) {
        char path[200];
        struct dirent **entries;
        snprintf(path, sizeof(path), ROOT "/%s", groups[g]);
        int n = scandir(path, &entries, not_hidden, alphasort);
        assert_true(n > 0);
        for (int i = 0; i < n; i++) {
            count[try_folder(groups[g], entries[i]->d_name)]++;
            free(entries[i]);
        }
        free(entries);
    }
    for (int i = 0; i < OUTCOMES; i++)
        print_message("%4d %s\n", count[i], outcome_names[i]);
    assert_int_equal(count[WRONG], 0);
    assert_int_equal(count[REFUSED], 0);
    assert_int_equal(count[PASSED] + count[PASSED_CONSTANT], PASSED_EXACTLY);
}

/* ---- shapes nobody exports ------------------------------------------------------- */

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
        cmocka_unit_test(outputs_are_those_of_the_onnx_project),
        cmocka_unit_test(hostile_shapes_are_computed_or_refused),
        cmocka_unit_test(convolution_without_channels_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
