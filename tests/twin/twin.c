#include "twin.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph.h"
#include "placement.h"
#include "poison.h"
#include "real.h"
#include "run_state.h"
#include "saliscope/onnx.h"
#include "saliscope/pool.h"

#ifdef SAL_DOUBLE
#define sal_twin sal_twin_double
#else
#define sal_twin sal_twin_float
#endif

static void release(struct twin_result *result)
{
    free(result->y);
    for (int i = 0; i < TWIN_INPUTS; i++)
        free(result->dx[i]);
    *result = (struct twin_result){0};
}

#ifndef SAL_DOUBLE
void twin_result_release(struct twin_result *result)
{
    release(result);
}
#endif

static double *as_double(const sal_real *values, int64_t n)
{
    double *copy = malloc(sizeof(*copy) * (size_t)(n ? n : 1));
    for (int64_t i = 0; copy && i < n; i++)
        copy[i] = (double)values[i];
    return copy;
}

static void fill(struct sal_tensor *tensor, const double *values)
{
    int64_t n = sal_shape_count(&tensor->shape);
    for (int64_t i = 0; i < n; i++)
        if (tensor->kind == SAL_REAL)
            tensor->real[i] = (sal_real)values[i];
        else
            tensor->i64[i] = (int64_t)values[i];
}

static void read_output(const struct sal_tensor *tensor, struct twin_result *result)
{
    result->n_y = sal_shape_count(&tensor->shape);
    if (tensor->kind == SAL_REAL) {
        result->y = as_double(tensor->real, result->n_y);
        return;
    }
    result->y = malloc(sizeof(double) * (size_t)(result->n_y ? result->n_y : 1));
    for (int64_t i = 0; i < result->n_y; i++)
        result->y[i] = (double)tensor->i64[i];
}

static enum sal_status pull_back(struct sal_run *run, const struct sal_graph *graph,
                                 const struct twin_case *c, struct twin_result *result,
                                 struct sal_error *err)
{
    int wrt[TWIN_INPUTS], n = 0;
    for (int i = 0; i < graph->n_inputs; i++)
        if (result->real[i])
            wrt[n++] = graph->inputs[i];
    sal_real *dy = calloc((size_t)result->n_y, sizeof(*dy));
    for (int64_t i = 0; i < result->n_y; i++)
        dy[i] = (sal_real)c->dy[i];
    enum sal_status status =
        sal_run_backward_from(run, graph->outputs[0], dy, wrt, n, NULL, err);
    for (int i = 0; !status && i < graph->n_inputs; i++)
        if (result->real[i])
            result->dx[i] =
                as_double(sal_run_gradient(run, graph->inputs[i]), result->n_input[i]);
    free(dy);
    return status;
}

static enum sal_status run_case(struct sal_run *run, const struct sal_graph *graph,
                                const struct twin_case *c, struct twin_result *result,
                                struct sal_error *err)
{
    result->n_inputs = graph->n_inputs;
    for (int i = 0; i < graph->n_inputs; i++) {
        struct sal_tensor *tensor = sal_run_tensor(run, graph->inputs[i]);
        result->n_input[i] = sal_shape_count(&tensor->shape);
        result->real[i] = tensor->kind == SAL_REAL && graph->values[graph->inputs[i]].live;
        if (graph->values[graph->inputs[i]].live)
            fill(tensor, c->input[i]);
    }
    enum sal_status status = sal_run_pass(run, NULL, err);
    if (!status)
        read_output(sal_run_tensor(run, graph->outputs[0]), result);
    if (!status && c->dy)
        status = pull_back(run, graph, c, result, err);
    return status;
}

/* ---- outputs in the place of inputs -------------------------------------------------- */

/* Node i again, with its output where input j lies. */
static enum sal_status check_place(struct sal_run *run, int i, int j, struct sal_error *err)
{
    const struct sal_node *node = &run->graph->nodes[i];
    struct sal_tensor *in = &run->tensors[node->in[j]], *out = &run->tensors[node->out[0]];
    const size_t size = sal_tensor_bytes(out);
    void *place = out->data, *saved = malloc(size + 1);
    if (in->data && in->kind == out->kind && sal_tensor_bytes(in) == size && size &&
        !run->graph->values[node->in[j]].tensor.data) {
        memcpy(saved, in->data, size);
        out->data = in->data;
        sal_run_node(run, i, false);
        out->data = place;
        if (memcmp(in->data, place, size) != 0)
            sal_fail(err, SAL_NO, "%s is another in the place of its input %d",
                     node->op->name, j);
        memcpy(in->data, saved, size);
    }
    free(saved);
    return *err->text ? SAL_NO : SAL_OK;
}

static enum sal_status check_places(struct sal_run *run, struct sal_error *err)
{
    enum sal_status status = sal_run_pass(run, NULL, err);
    for (int i = 0; !status && i < run->graph->n_nodes; i++) {
        const struct sal_node *node = &run->graph->nodes[i];
        for (int j = 0; !status && j < node->n_in; j++)
            if (node->in[j] >= 0 && node->out[0] >= 0 &&
                (sal_reads_bit(node->op->in_place, j) || (node->op->view && j == 0)))
                status = check_place(run, i, j, err);
    }
    return status;
}

/* Every value of a node has a place of its own here. */
static enum sal_status check_rows(const struct sal_graph *graph, const struct twin_case *c,
                                  struct sal_pool *pool, const struct twin_result *result,
                                  struct sal_error *err)
{
    sal_real *dy = calloc((size_t)result->n_y + 1, sizeof(*dy));
    for (int64_t i = 0; i < result->n_y; i++)
        dy[i] = (sal_real)c->dy[i];
    struct poisoning p;
    enum sal_status status = poisoning_init(&p, graph, pool, err);
    for (int i = 0; !status && i < graph->n_inputs; i++) {
        for (int j = 0; j < graph->n_inputs; j++)
            if (graph->values[graph->inputs[j]].live)
                fill(sal_run_tensor(p.run, graph->inputs[j]), c->input[j]);
        if (i == 0)
            status = check_places(p.run, err);
        if (!status && result->real[i])
            status = poisoning_try(&p, graph->outputs[0], graph->inputs[i], dy, err);
    }
    poisoning_release(&p);
    free(dy);
    return status;
}

/* ---- both ways ----------------------------------------------------------------------- */

/* What is run is what the model says, node by node. */
static bool is_plain(const struct sal_run *run, const struct sal_graph *graph)
{
    bool same = run->graph->n_nodes == graph->n_nodes;
    for (int i = 0; same && i < graph->n_nodes; i++)
        same = run->graph->nodes[i].op == graph->nodes[i].op;
    return same;
}

/* Lowered, or plain; what its rows say is checked where there is a gradient. *same: both
 * would be that. */
static enum sal_status run_way(const struct sal_graph *graph, const struct twin_case *c,
                               struct sal_pool *pool, bool plain, bool *same,
                               struct twin_result *result, struct sal_error *err)
{
    struct sal_run *run = NULL;
    enum sal_status status =
        sal_run_open_graph(&run, graph,
                           &(struct sal_run_options){.gradient = true,
                                                     .plain = plain,
                                                     .memory = (size_t)1 << 30,
                                                     .pool = pool},
                           err);
    if (status)
        return status;
    *same = is_plain(run, graph);
    status = run_case(run, graph, c, result, err);
    if (!status && c->dy)
        status = check_rows(run->graph, c, pool, result, err);
    sal_run_close(run);
    return status;
}

/* The same up to that share of the length. */
static enum sal_status expect_near(const char *what, int which, const double *lowered,
                                   const double *plain, int64_t n, double share,
                                   struct sal_error *err)
{
    double squares = 0, apart = 0;
    for (int64_t i = 0; i < n; i++) {
        squares += plain[i] * plain[i];
        apart += (lowered[i] - plain[i]) * (lowered[i] - plain[i]);
    }
    if (apart <= share * share * squares)
        return SAL_OK;
    return sal_fail(err, SAL_NO, "%s%d lowered is off by %g of what it is node by node", what,
                    which, sqrt(apart / squares));
}

/* The same up to rounding, of numbers about as large as 1 or as they are. */
static enum sal_status expect_same(const char *what, int which, const double *lowered,
                                   const double *plain, int64_t n, struct sal_error *err)
{
    double squares = 0;
    for (int64_t i = 0; i < n; i++)
        squares += plain[i] * plain[i];
    const double rms = n ? sqrt(squares / (double)n) : 0;
    for (int64_t i = 0; i < n; i++) {
        const double a = lowered[i], b = plain[i];
        if (a == b || (isnan(a) && isnan(b)) ||
            fabs(a - b) <= 300 * (double)SAL_EPSILON * (1 + fabs(b) + rms))
            continue;
        return sal_fail(err, SAL_NO, "%s%d[%lld] is %.17g lowered, %.17g node by node", what,
                        which, (long long)i, a, b);
    }
    return SAL_OK;
}

static enum sal_status compare_ways(const struct twin_case *c,
                                    const struct twin_result *lowered,
                                    const struct twin_result *plain, struct sal_error *err)
{
    const bool near = c->apart > 0 && sizeof(sal_real) == sizeof(float);
    enum sal_status status = expect_same("y", 0, lowered->y, plain->y, plain->n_y, err);
    for (int i = 0; !status && i < plain->n_inputs; i++) {
        const int64_t n = plain->n_input[i];
        if (!plain->dx[i])
            continue;
        status = near ? expect_near("d/dx", i, lowered->dx[i], plain->dx[i], n, c->apart, err)
                      : expect_same("d/dx", i, lowered->dx[i], plain->dx[i], n, err);
    }
    return status;
}

/* As runs do it; then, where there is a gradient, node by node, if that is something
 * else. */
static enum sal_status run_ways(const struct sal_graph *graph, const struct twin_case *c,
                                struct sal_pool *pool, struct twin_result *result,
                                struct sal_error *err)
{
    struct twin_result plain = {0};
    bool same = true;
    enum sal_status status = run_way(graph, c, pool, false, &same, result, err);
    if (status || !c->dy || same)
        return status;
    status = run_way(graph, c, pool, true, &same, &plain, err);
    if (!status)
        status = compare_ways(c, result, &plain, err);
    release(&plain);
    return status;
}

bool sal_twin(const struct twin_case *c, struct twin_result *result)
{
    *result = (struct twin_result){0};
    struct sal_error err = {0};
    struct sal_onnx onnx;
    struct sal_graph graph;
    struct sal_pool *pool = NULL;
    enum sal_status status = sal_onnx_parse(&onnx, c->model, "case", &err);
    if (!status && c->threads)
        status = sal_pool_open(&pool, c->threads, &err);
    if (!status) {
        status = sal_graph_build(&graph, &onnx,
                                 &(struct sal_graph_options){.pool = pool}, &err);
        if (!status) {
            status = run_ways(&graph, c, pool, result, &err);
            sal_graph_release(&graph);
        }
        sal_onnx_close(&onnx);
    }
    sal_pool_close(pool);
    memcpy(result->message, err.text, sizeof(result->message));
    return status == SAL_OK;
}
