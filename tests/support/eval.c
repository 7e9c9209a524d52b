#include "eval.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "run_parts.h"

static enum sal_status run(struct eval *e, const struct sal_graph *graph)
{
    struct sal_run *run = NULL;
    enum sal_status status = sal_run_open_graph(
        &run, graph, &(struct sal_run_options){.memory = (size_t)1 << 26}, &e->err);
    if (status)
        return status;
    const struct sal_tensor *x =
        graph->n_inputs ? sal_run_tensor(run, graph->inputs[0]) : NULL;
    if (x && x->data && x->kind == SAL_REAL)
        for (int64_t i = 0; i < sal_shape_count(&x->shape); i++)
            x->real[i] = (sal_real)(e->x ? e->x[i] : 0);
    status = sal_run_pass(run, NULL, &e->err);
    const struct sal_tensor *y = sal_run_tensor(run, graph->outputs[0]);
    e->shape = y->shape;
    e->n = (int)sal_shape_count(&y->shape);
    for (int i = 0; !status && i < e->n && i < 64; i++)
        e->y[i] = y->kind == SAL_REAL ? (float)y->real[i] : (float)y->i64[i];
    sal_run_close(run);
    return status;
}

void eval_run(struct eval *e, struct onnx_build *b)
{
    struct sal_onnx onnx;
    struct sal_graph graph;
    e->status = sal_onnx_parse(&onnx, onnx_build_finish(b), "t.onnx", &e->err);
    if (e->status)
        return;
    e->status = sal_graph_build(&graph, &onnx, &e->options, &e->err);
    if (!e->status) {
        e->nodes = graph.n_nodes;
        e->status = run(e, &graph);
        sal_graph_release(&graph);
    }
    sal_onnx_close(&onnx);
}

void eval_expect(struct onnx_build *b, const float *x, const float *y, int n)
{
    struct eval e = {.x = x};
    eval_run(&e, b);
    if (e.status)
        fail_msg("%s", e.err.text);
    assert_int_equal(e.n, n);
    for (int i = 0; i < n; i++)
        if (!(fabsf(e.y[i] - y[i]) <= 1e-5f * (1 + fabsf(y[i]))))
            fail_msg("element %d is %g, must be %g", i, (double)e.y[i], (double)y[i]);
    onnx_build_release(b);
}

void eval_refuse(struct onnx_build *b, enum sal_status status, const char *text)
{
    struct eval e = {.n = 0};
    eval_run(&e, b);
    if (e.status != status || !strstr(e.err.text, text))
        fail_msg("status %d, '%s'; it must be %d, '%s'", e.status,
                 e.status ? e.err.text : "", status, text);
    onnx_build_release(b);
}
