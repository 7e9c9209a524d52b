/* A run's backward: which part of the graph a gradient passes, where it lies. */
#include <stdlib.h>
#include <string.h>

#include "kernel.h"
#include "run_state.h"
#include "way.h"

/* Lays out lifetimes (placement.h has the clock) and says which nodes take part. */
static enum sal_status trace_way(struct sal_run *run, int score, const bool *on_way,
                                 struct sal_error *err)
{
    const struct sal_graph *graph = run->graph;
    struct sal_interval *at = run->lives + graph->n_values;
    const int begin = graph->n_nodes, end = 2 * graph->n_nodes;
    for (int i = 0; i < graph->n_values; i++) {
        at[i] = (struct sal_interval){.first = end, .last = -1};
        run->back.first[i] = -1;
    }
    at[score].first = at[score].last = begin;
    for (int i = graph->n_nodes - 1; i >= 0; i--) {
        const struct sal_node *node = &graph->nodes[i];
        int now = end - 1 - i;
        bool from = false, to = false;
        for (int j = 0; j < node->n_out; j++)
            from |= node->out[j] >= 0 && on_way[node->out[j]];
        for (int j = 0; j < node->n_in; j++)
            to |= node->in[j] >= 0 && on_way[node->in[j]];
        run->back.takes_part[i] = from && to;
        if (!run->back.takes_part[i])
            continue;
        if (!node->op->backward)
            return sal_node_fail(node, err, SAL_UNSUPPORTED, "has no gradient");
        for (int j = 0; j < node->n_out; j++)
            if (node->out[j] >= 0 && on_way[node->out[j]])
                at[node->out[j]].last = now;
        for (int j = 0; j < node->n_in; j++) {
            int id = node->in[j];
            if (id < 0 || !on_way[id])
                continue;
            if (j < 32 && node->op->no_gradient >> j & 1)
                return sal_node_fail(node, err, SAL_UNSUPPORTED,
                                     "has no gradient for its input %d", j);
            if (at[id].first == end) {
                at[id].first = now;
                run->back.first[id] = i;
            }
            if (at[id].last < now)
                at[id].last = now;
        }
    }
    return SAL_OK;
}

/* Gradients are real, whatever the kind of the tensor. */
static size_t gradient_bytes(const struct sal_tensor *tensor)
{
    return (size_t)sal_shape_count(&tensor->shape) * sizeof(sal_real);
}

static enum sal_status place_gradients(struct sal_run *run, const bool *on_way,
                                       struct sal_error *err)
{
    const struct sal_graph *graph = run->graph;
    const int n = graph->n_values;
    struct sal_interval *at = run->lives + n;
    for (int i = 0; i < n; i++)
        at[i].size = on_way[i] || i == run->back.score
                         ? gradient_bytes(&run->tensors[i]) : 0;
    for (int i = 0; i < run->back.n_wrt; i++) {
        struct sal_interval *kept = &at[run->back.wrt[i]];
        kept->size = gradient_bytes(&run->tensors[run->back.wrt[i]]);
        kept->last = 2 * graph->n_nodes;
        if (!on_way[run->back.wrt[i]])
            kept->first = graph->n_nodes; /* zeros that nobody may write over */
    }
    /* After a forward the values stay where they are. */
    size_t size = sal_plan_place(run->lives, run->forward_done ? n : 0, 2 * n);
    enum sal_status status = sal_run_block(run, &run->memory, size, "the gradients", err);
    if (status)
        return status;
    sal_run_rest(run);
    for (int i = 0; i < n; i++)
        run->back.grad[i] =
            at[i].size ? (sal_real *)(void *)(run->memory.data + at[i].offset) : NULL;
    return status;
}

static void bind_gradients(struct sal_run *run, const bool *on_way)
{
    for (int i = 0; i < run->graph->n_nodes; i++) {
        const struct sal_node *node = &run->graph->nodes[i];
        for (int j = 0; j < node->n_in; j++)
            run->bindings[i].dx[j] = node->in[j] >= 0 && on_way[node->in[j]]
                                         ? run->back.grad[node->in[j]] : NULL;
        for (int j = 0; j < node->n_out; j++)
            run->bindings[i].dy[j] = node->out[j] >= 0 && on_way[node->out[j]]
                                         ? run->back.grad[node->out[j]] : NULL;
    }
}

static enum sal_status plan_backward(struct sal_run *run, int score, const int *wrt,
                                     int n_wrt, struct sal_error *err)
{
    bool same = run->back.score == score && run->back.n_wrt == n_wrt &&
                memcmp(run->back.wrt, wrt, sizeof(int) * (size_t)n_wrt) == 0;
    if (same)
        return SAL_OK;
    size_t n = (size_t)run->graph->n_values;
    run->back.score = -1;
    bool *on_way = calloc(n, sizeof(*on_way));
    if (!on_way)
        return sal_fail(err, SAL_LIMIT, "no memory for the gradient's plan");
    enum sal_status status = sal_way_find(run->graph, score, wrt, n_wrt, on_way, err);
    if (!status)
        status = trace_way(run, score, on_way, err);
    if (!status) {
        run->back.score = score;
        run->back.n_wrt = n_wrt;
        memcpy(run->back.wrt, wrt, sizeof(int) * (size_t)n_wrt);
        status = place_gradients(run, on_way, err);
    }
    if (!status) {
        bind_gradients(run, on_way);
        status = sal_run_scratch(run, true, err);
    }
    free(on_way);
    if (status)
        run->back.score = -1;
    return status;
}

/* A tensor of numbers that the model computes. */
static bool has_gradient(const struct sal_graph *graph, int id)
{
    return id >= 0 && id < graph->n_values && graph->values[id].live &&
           graph->values[id].tensor.kind == SAL_REAL && !graph->values[id].tensor.data;
}

enum sal_status sal_run_expect(struct sal_run *run, const int *keep, int n_keep,
                               struct sal_error *err)
{
    const struct sal_graph *graph = run->graph;
    int score = run->watched >= 0 ? run->watched : graph->outputs[0], n = 0;
    int *wrt = sal_new(&run->arena, int, (n_keep ? n_keep : 1));
    if (!wrt)
        return sal_fail(err, SAL_LIMIT, "no memory for the run");
    for (int i = 0; i < n_keep; i++)
        if (has_gradient(graph, keep[i]) && keep[i] != score && n < graph->n_values)
            wrt[n++] = keep[i];
    if (n == 0 && graph->n_inputs && has_gradient(graph, graph->inputs[0]))
        wrt[n++] = graph->inputs[0];
    /* What is refused here is refused again when it is asked for. */
    if (n && has_gradient(graph, score) && plan_backward(run, score, wrt, n, NULL))
        return sal_run_place(run, err);
    return SAL_OK;
}

/* What is not kept may have been overwritten, or fused away. */
static enum sal_status check_value(const struct sal_run *run, int id, struct sal_error *err)
{
    const struct sal_graph *graph = run->graph;
    if (id < 0 || id >= graph->n_values)
        return sal_fail(err, SAL_USAGE, "tensor %d does not exist", id);
    if (!run->kept[id])
        return sal_fail(err, SAL_USAGE, "the run does not keep '%.120s', as a gradient needs",
                        graph->values[id].name);
    if (!has_gradient(graph, id))
        return sal_fail(err, SAL_USAGE,
                        "there is no gradient for '%.120s': it is constant, integer or not "
                        "computed", graph->values[id].name);
    return SAL_OK;
}

static enum sal_status check_wrt(const struct sal_run *run, int id, struct sal_error *err)
{
    enum sal_status status = check_value(run, id, err);
    if (!status && run->may && !run->may[id])
        return sal_fail(err, SAL_USAGE, "the run was not opened for a gradient for '%.120s'",
                        run->graph->values[id].name);
    return status;
}

static enum sal_status check_backward(const struct sal_run *run, int score,
                                      const int *wrt, int n_wrt, struct sal_error *err)
{
    const struct sal_graph *graph = run->graph;
    if (!run->gradient || !run->forward_done)
        return sal_fail(err, SAL_USAGE, "a backward needs a forward that keeps gradients");
    if (n_wrt < 1 || n_wrt > graph->n_values)
        return sal_fail(err, SAL_USAGE, "a gradient needs a tensor to be taken for");
    enum sal_status status = sal_run_check_reference(run, err);
    if (!status)
        status = check_value(run, score, err);
    for (int i = 0; i < n_wrt && !status; i++)
        status = check_wrt(run, wrt[i], err);
    return status;
}

static void zero_gradient(struct sal_run *run, int id)
{
    sal_zero(run->back.grad[id], sal_shape_count(&run->tensors[id].shape), run->pool);
}

/* Gradients whose first visitor is node i begin there, at zero or with what it writes,
 * and not earlier: the place may have held another one. */
static void begin_gradients(struct sal_run *run, int i)
{
    const struct sal_node *node = &run->graph->nodes[i];
    struct sal_binding *binding = &run->bindings[i];
    binding->fresh = 0;
    for (int j = 0; j < node->n_in; j++) {
        int id = node->in[j];
        bool again = false;
        for (int k = 0; k < j; k++)
            again |= node->in[k] == id;
        if (id < 0 || again || !binding->dx[j] || run->back.first[id] != i ||
            id == run->back.score)
            continue;
        if (node->op->begins && j < 32)
            binding->fresh |= 1u << j;
        else
            zero_gradient(run, id);
    }
}

static bool finite_gradients(const struct sal_run *run, int i)
{
    const struct sal_node *node = &run->graph->nodes[i];
    for (int j = 0; j < node->n_in; j++)
        if (run->bindings[i].dx[j] &&
            !sal_finite(run->bindings[i].dx[j],
                        sal_shape_count(&run->tensors[node->in[j]].shape)))
            return false;
    return true;
}

/* Of the one value that was asked for; of many a caller looks at what it reads. */
static bool ends_finite(const struct sal_run *run)
{
    int value = run->back.wrt[0];
    return run->checks_gradients || run->back.n_wrt != 1 ||
           sal_finite(run->back.grad[value], sal_shape_count(&run->tensors[value].shape));
}

static enum sal_status pull_back(struct sal_run *run, struct sal_job *job,
                                 struct sal_error *err)
{
    run->spent = true;
    for (int i = 0; i < run->back.n_wrt; i++)
        if (run->back.first[run->back.wrt[i]] < 0 && run->back.wrt[i] != run->back.score)
            zero_gradient(run, run->back.wrt[i]);
    for (int i = run->graph->n_nodes - 1; i >= 0; i--) {
        if (!run->back.takes_part[i])
            continue;
        if (sal_job_cancelled(job))
            return sal_fail(err, SAL_CANCELLED, "cancelled");
        begin_gradients(run, i);
        sal_run_node(run, i, true);
        if (run->checks_gradients && !finite_gradients(run, i))
            return sal_node_fail(&run->graph->nodes[i], err, SAL_BAD_INPUT,
                                 "makes the first gradient that is not finite");
    }
    run->backwards++;
    run->back.done = true;
    return SAL_OK;
}

/* A backward writes over values that it is done with, so another one needs them anew. */
static enum sal_status prepare(struct sal_run *run, int score, const int *wrt, int n_wrt,
                               struct sal_job *job, struct sal_error *err)
{
    run->back.done = false;
    enum sal_status status = plan_backward(run, score, wrt, n_wrt, err);
    if (!status && run->spent)
        status = sal_run_pass(run, job, err);
    return status;
}

/* Of element `index` of each image's `each` scores. */
static enum sal_status accuse(struct sal_run *run, int64_t index, int64_t each,
                              struct sal_error *err)
{
    int64_t count = sal_shape_count(&run->tensors[run->back.score].shape);
    sal_real *dscore = calloc((size_t)count, sizeof(*dscore));
    if (!dscore)
        return sal_fail(err, SAL_BAD_INPUT, "the gradient for '%s' is not finite",
                        run->graph->values[run->back.wrt[0]].name);
    for (int64_t i = index; i < count; i += each)
        dscore[i] = 1;
    enum sal_status status = sal_run_blame_backward(run, dscore, run->back.wrt[0], err);
    free(dscore);
    return status;
}

enum sal_status sal_run_backward(struct sal_run *run, int score, int64_t index,
                                 const int *wrt, int n_wrt, struct sal_job *job,
                                 struct sal_error *err)
{
    enum sal_status status = check_backward(run, score, wrt, n_wrt, err);
    if (status)
        return status;
    int64_t count = sal_shape_count(&run->tensors[score].shape);
    int64_t batch = run->part.model ? run->part.batch
                                    : run->tensors[run->graph->inputs[0]].shape.dim[0];
    int64_t each = batch ? count / batch : 0;
    if (index < 0 || index >= each)
        return sal_fail(err, SAL_USAGE, "score index %lld is not in 0..%lld",
                        (long long)index, (long long)each - 1);
    if ((status = prepare(run, score, wrt, n_wrt, job, err)))
        return status;
    zero_gradient(run, score);
    for (int64_t b = 0; b < batch; b++)
        run->back.grad[score][b * each + index] = 1;
    status = pull_back(run, job, err);
    return status || ends_finite(run) ? status : accuse(run, index, each, err);
}

enum sal_status sal_run_backward_from(struct sal_run *run, int score,
                                      const sal_real *dscore, const int *wrt, int n_wrt,
                                      struct sal_job *job, struct sal_error *err)
{
    enum sal_status status = check_backward(run, score, wrt, n_wrt, err);
    if (status || (status = prepare(run, score, wrt, n_wrt, job, err)))
        return status;
    size_t size = gradient_bytes(&run->tensors[score]);
    if (size)
        memcpy(run->back.grad[score], dscore, size);
    status = pull_back(run, job, err);
    return status || ends_finite(run)
               ? status
               : sal_run_blame_backward(run, dscore, run->back.wrt[0], err);
}

const sal_real *sal_run_gradient(const struct sal_run *run, int value)
{
    for (int i = 0; i < run->back.n_wrt; i++)
        if (run->back.wrt[i] == value && run->back.done)
            return run->back.grad[value];
    return NULL;
}
