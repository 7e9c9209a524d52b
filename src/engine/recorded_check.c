#include "saliscope/recorded.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "graph.h"
#include "known_bad.h"
#include "model_parts.h"
#include "run_parts.h"
#include "stored.h"

const struct sal_tolerance sal_tolerance_onnx = {
    .relative = 1e-3, .absolute = 1e-7, .float16 = 1e-3, .bfloat16 = 0x1p-7};
const struct sal_tolerance sal_tolerance_scores = {.relative = 1e-3,
                                                   .absolute = 1e-7,
                                                   .of_largest = 1e-5,
                                                   .float16 = 0x1p-7,
                                                   .bfloat16 = 0x1p-5};

/* Everything one check needs. */
struct check {
    const struct sal_onnx *onnx;
    struct sal_recording *recording;
    const struct sal_recorded_options *options;
    struct sal_agreement *agreements;
    struct sal_onnx
        given; /* the description with its constants among the initialisers */
    struct sal_shape shapes[SAL_RECORDED_MAX];
    int input[SAL_RECORDED_MAX]; /* of given's inputs: which recorded one it is */
    struct sal_arena arena;
    struct sal_error *err;
};

static enum sal_status no_memory(struct check *c)
{
    return sal_fail(c->err, SAL_LIMIT, "no memory for the recorded values");
}

static struct sal_shape shape_of(const struct sal_onnx_tensor *tensor)
{
    struct sal_shape shape = {.rank = tensor->rank};
    memcpy(shape.dim, tensor->dim, sizeof(tensor->dim));
    return shape;
}

/* ---- what the graph declares ------------------------------------------------ */

static void retype(struct sal_recorded_list *list,
                   const struct sal_onnx_value *declared, int n)
{
    for (int i = 0; i < list->n && i < n; i++)
        if (declared[i].type == SAL_ONNX_BFLOAT16 &&
            list->at[i].tensor.type == SAL_ONNX_UINT16)
            list->at[i].tensor.type = SAL_ONNX_BFLOAT16;
}

static enum sal_status check_counts(struct check *c)
{
    const struct sal_onnx_graph *graph = &c->onnx->graph;
    const struct sal_recording *r = c->recording;
    if (r->inputs.n == graph->n_inputs && r->outputs.n > 0 &&
        r->outputs.n <= graph->n_outputs)
        return SAL_OK;
    return sal_fail(
        c->err, SAL_USAGE,
        "the model has %d input%s and %d output%s; %d recorded input%s and %d "
        "output%s are given",
        graph->n_inputs, graph->n_inputs == 1 ? "" : "s", graph->n_outputs,
        graph->n_outputs == 1 ? "" : "s", r->inputs.n, r->inputs.n == 1 ? "" : "s",
        r->outputs.n, r->outputs.n == 1 ? "" : "s");
}

static bool fits(const struct sal_onnx_value *declared, const struct sal_shape *shape)
{
    if (declared->rank < 0)
        return true;
    for (int d = 0; d < declared->rank && declared->rank == shape->rank; d++)
        if (declared->dim[d] >= 0 && declared->dim[d] != shape->dim[d])
            return false;
    return declared->rank == shape->rank;
}

static struct sal_shape declared_shape(const struct sal_onnx_value *declared)
{
    struct sal_shape shape = {.rank = declared->rank};
    memcpy(shape.dim, declared->dim, sizeof(declared->dim));
    return shape;
}

static enum sal_status check_input(struct check *c, int i)
{
    const struct sal_onnx_value *declared = &c->onnx->graph.inputs[i];
    const struct sal_recorded *recorded = &c->recording->inputs.at[i];
    struct sal_shape shape = shape_of(&recorded->tensor);
    enum sal_kind wanted, kind;
    char text[2][96];
    if (!sal_type_kind(declared->type, &wanted))
        return sal_fail(c->err, SAL_UNSUPPORTED,
                        "input '%.100s' is %s: only numeric tensors are computed",
                        declared->name, sal_onnx_type_name(declared->type));
    if (!sal_type_kind(recorded->tensor.type, &kind) || kind != wanted)
        return sal_fail(c->err, SAL_BAD_INPUT, "%.200s holds %s, input '%.100s' is %s",
                        recorded->path, sal_onnx_type_name(recorded->tensor.type),
                        declared->name, sal_onnx_type_name(declared->type));
    if (c->options->any_shape || fits(declared, &shape))
        return SAL_OK;
    struct sal_shape expected = declared_shape(declared);
    return sal_fail(c->err, SAL_BAD_INPUT,
                    "%.200s is %s, input '%.100s' is %s (-1: free)", recorded->path,
                    sal_shape_text(&shape, text[0], sizeof(text[0])), declared->name,
                    sal_shape_text(&expected, text[1], sizeof(text[1])));
}

/* ---- what the engine is given ----------------------------------------------- */

static bool is_constant(const struct check *c, int i)
{
    return c->options->constant && c->options->constant[i];
}

static enum sal_status give(struct check *c)
{
    const struct sal_onnx_graph *from = &c->onnx->graph;
    int most = from->n_initialisers + from->n_inputs;
    struct sal_onnx_value *inputs =
        sal_new(&c->arena, struct sal_onnx_value, from->n_inputs);
    struct sal_onnx_tensor *initialisers =
        sal_new(&c->arena, struct sal_onnx_tensor, most);
    if (!inputs || !initialisers)
        return no_memory(c);
    struct sal_onnx_graph *to = &c->given.graph;
    c->given = *c->onnx;
    to->n_inputs = 0;
    for (int i = 0; i < from->n_initialisers; i++)
        initialisers[i] = from->initialisers[i];
    for (int i = 0; i < from->n_inputs; i++) {
        const struct sal_onnx_tensor *recorded = &c->recording->inputs.at[i].tensor;
        if (is_constant(c, i)) {
            initialisers[to->n_initialisers] = *recorded;
            initialisers[to->n_initialisers++].name = from->inputs[i].name;
        } else {
            c->shapes[to->n_inputs] = shape_of(recorded);
            c->input[to->n_inputs] = i;
            inputs[to->n_inputs++] = from->inputs[i];
        }
    }
    to->inputs = inputs;
    to->initialisers = initialisers;
    return SAL_OK;
}

static enum sal_status fill(struct check *c, struct sal_tensor *to, int input)
{
    struct sal_tensor values;
    const struct sal_onnx_tensor *from = &c->recording->inputs.at[input].tensor;
    enum sal_status status = sal_tensor_from_onnx(&values, from, &c->arena, c->err);
    size_t bytes = status ? 0 : from->count * sal_kind_size(values.kind);
    if (bytes)
        memcpy(to->data, values.data, bytes);
    return status;
}

/* ---- comparing -------------------------------------------------------------- */

static struct sal_tolerance tolerance_for(const struct check *c, int type)
{
    struct sal_tolerance t = c->options->tolerance;
    double coarse = type == SAL_ONNX_FLOAT16    ? t.float16
                    : type == SAL_ONNX_BFLOAT16 ? t.bfloat16
                                                : 0;
    t.relative = fmax(t.relative, coarse);
    return t;
}

static double element(const struct sal_tensor *tensor, int64_t i)
{
    return tensor->kind == SAL_REAL ? (double)tensor->real[i] : (double)tensor->i64[i];
}

static double largest(const struct sal_tensor *tensor)
{
    double most = 0;
    int64_t n = sal_shape_count(&tensor->shape);
    for (int64_t i = 0; i < n; i++)
        if (isfinite(element(tensor, i)))
            most = fmax(most, fabs(element(tensor, i)));
    return most;
}

/* What an element may differ by; 0 for what must be equal. */
static bool close_enough(double got, double wanted, double margin)
{
    if (!isfinite(wanted))
        return isnan(wanted) ? isnan(got) : got == wanted;
    return fabs(got - wanted) <= margin;
}

static void compare_values(const struct sal_tensor *got,
                           const struct sal_tensor *wanted, struct sal_agreement *a)
{
    const struct sal_tolerance *t = &a->tolerance;
    int64_t n = sal_shape_count(&wanted->shape), worst = -1;
    double top = largest(wanted), most = -1;
    a->max_abs = 0;
    for (int64_t i = 0; i < n; i++) {
        double x = element(got, i), y = element(wanted, i);
        bool same = got->kind == SAL_INT && got->i64[i] == wanted->i64[i];
        double margin = got->kind == SAL_INT
                            ? -1
                            : t->relative * fabs(y) + t->absolute + t->of_largest * top;
        double off = isfinite(y) ? fabs(x - y) : 0;
        a->max_abs = off <= a->max_abs ? a->max_abs : off; /* NaN stays */
        if (same || close_enough(x, y, margin))
            continue;
        a->beyond++;
        if (worst < 0 || !(off - margin <= most)) {
            worst = i;
            most = off - margin;
        }
    }
    a->max_rel = top > 0 ? a->max_abs / top : a->max_abs;
    a->agrees = worst < 0;
    if (worst >= 0)
        snprintf(a->text, sizeof(a->text),
                 "%lld of %lld elements differ; [%lld] is %.9g, recorded is %.9g",
                 (long long)a->beyond, (long long)n, (long long)worst,
                 element(got, worst), element(wanted, worst));
}

static enum sal_status compare(struct check *c, const struct sal_tensor *got,
                               int output)
{
    const struct sal_recorded *recorded = &c->recording->outputs.at[output];
    struct sal_agreement *a = &c->agreements[output];
    struct sal_tensor wanted;
    char text[2][96];
    enum sal_status status =
        sal_tensor_from_onnx(&wanted, &recorded->tensor, &c->arena, c->err);
    if (status)
        return sal_fail_within(c->err, status, "%.200s", recorded->path);
    *a = (struct sal_agreement){.name = c->onnx->graph.outputs[output].name,
                                .type = got->type,
                                .shape = got->shape,
                                .max_abs = (double)NAN,
                                .max_rel = (double)NAN,
                                .tolerance = tolerance_for(c, got->type)};
    bool same_type = recorded->any_float || got->type == wanted.type;
    if (!same_type || got->kind != wanted.kind)
        snprintf(a->text, sizeof(a->text), "it is %s, recorded is %s",
                 sal_onnx_type_name(got->type), sal_onnx_type_name(wanted.type));
    else if (!sal_shape_equal(&got->shape, &wanted.shape))
        snprintf(a->text, sizeof(a->text), "it is %s, recorded is %s",
                 sal_shape_text(&got->shape, text[0], sizeof(text[0])),
                 sal_shape_text(&wanted.shape, text[1], sizeof(text[1])));
    else
        compare_values(got, &wanted, a);
    return SAL_OK;
}

static enum sal_status verdict(struct check *c)
{
    for (int i = 0; i < c->recording->outputs.n; i++) {
        const struct sal_agreement *a = &c->agreements[i];
        if (!a->agrees)
            return sal_fail(c->err, SAL_NO, "output '%.100s': %s", a->name, a->text);
    }
    return SAL_OK;
}

/* ---- running ---------------------------------------------------------------- */

static enum sal_status compare_all(struct check *c, const struct sal_graph *graph,
                                   struct sal_run *run)
{
    enum sal_status status = SAL_OK;
    for (int i = 0; i < c->recording->outputs.n && !status; i++) {
        int id = graph->outputs[i];
        const struct sal_tensor *folded = &graph->values[id].tensor;
        sal_stored_read(folded, NULL);
        status = compare(c, folded->data ? folded : sal_run_tensor(run, id), i);
    }
    return status ? status : verdict(c);
}

static enum sal_status run_graph(struct check *c, const struct sal_graph *graph)
{
    struct sal_run *run = NULL;
    const struct sal_run_options options = {
        .memory = c->options->memory ? c->options->memory : sal_default_memory(),
        .exact = c->options->exact,
        .plain = c->options->plain,
        .pool = c->options->pool,
    };
    enum sal_status status = sal_run_open_graph(&run, graph, &options, c->err);
    if (status)
        return status;
    for (int i = 0; i < graph->n_inputs && !status; i++)
        if (graph->values[graph->inputs[i]].live)
            status = fill(c, sal_run_tensor(run, graph->inputs[i]), c->input[i]);
    if (!status)
        status = sal_run_pass(run, c->options->job, c->err);
    if (!status)
        status = compare_all(c, graph, run);
    sal_run_close(run);
    return status;
}

static enum sal_status check(struct check *c)
{
    enum sal_status status = check_counts(c);
    retype(&c->recording->inputs, c->onnx->graph.inputs, c->onnx->graph.n_inputs);
    retype(&c->recording->outputs, c->onnx->graph.outputs, c->onnx->graph.n_outputs);
    for (int i = 0; i < c->recording->inputs.n && !status; i++)
        status = check_input(c, i);
    if (status || (status = give(c)))
        return status;
    struct sal_graph graph;
    const struct sal_graph_options options = {
        .shapes = c->shapes,
        .force_opset = c->options->force_opset,
        .memory = c->options->memory ? c->options->memory : sal_default_memory(),
        .pool = c->options->pool,
    };
    status = sal_graph_build(&graph, &c->given, &options, c->err);
    if (status)
        return sal_known_bad_explain(c->onnx, status, c->err);
    status = run_graph(c, &graph);
    sal_graph_release(&graph);
    return status;
}

enum sal_status sal_recorded_check(const struct sal_onnx *onnx,
                                   struct sal_recording *recording,
                                   const struct sal_recorded_options *options,
                                   struct sal_agreement *agreements,
                                   struct sal_error *err)
{
    struct check c = {.onnx = onnx,
                      .recording = recording,
                      .options = options,
                      .agreements = agreements,
                      .err = err};
    enum sal_status status = check(&c);
    sal_arena_release(&c.arena);
    return status;
}
