#include "twin.h"

#include <stdlib.h>
#include <string.h>

#include "graph.h"
#include "run_parts.h"
#include "saliscope/onnx.h"
#include "saliscope/pool.h"

#ifdef SAL_DOUBLE
#define sal_twin sal_twin_double
#else
#define sal_twin sal_twin_float

void twin_result_release(struct twin_result *result)
{
    free(result->y);
    for (int i = 0; i < TWIN_INPUTS; i++)
        free(result->dx[i]);
    *result = (struct twin_result){0};
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

static enum sal_status run_case(const struct sal_graph *graph, const struct twin_case *c,
                                struct sal_pool *pool, struct twin_result *result,
                                struct sal_error *err)
{
    struct sal_run *run = NULL;
    enum sal_status status = sal_run_open_graph(
        &run, graph,
        &(struct sal_run_options){.gradient = true, .memory = (size_t)1 << 30, .pool = pool},
        err);
    if (status)
        return status;
    result->n_inputs = graph->n_inputs;
    for (int i = 0; i < graph->n_inputs; i++) {
        struct sal_tensor *tensor = sal_run_tensor(run, graph->inputs[i]);
        result->n_input[i] = sal_shape_count(&tensor->shape);
        result->real[i] = tensor->kind == SAL_REAL && graph->values[graph->inputs[i]].live;
        if (graph->values[graph->inputs[i]].live)
            fill(tensor, c->input[i]);
    }
    status = sal_run_pass(run, NULL, err);
    if (!status)
        read_output(sal_run_tensor(run, graph->outputs[0]), result);
    if (!status && c->dy)
        status = pull_back(run, graph, c, result, err);
    sal_run_close(run);
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
            status = run_case(&graph, c, pool, result, &err);
            sal_graph_release(&graph);
        }
        sal_onnx_close(&onnx);
    }
    sal_pool_close(pool);
    memcpy(result->message, err.text, sizeof(result->message));
    return status == SAL_OK;
}
