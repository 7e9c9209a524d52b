#include "way.h"

#include <stdlib.h>

struct way {
    const struct sal_graph *graph;
    bool *depends; /* [n_values] on something in wrt, in whatever way */
    bool *wanted;  /* [n_values] the score depends on it, in whatever way */
    bool *pulled;  /* [n_values] the score's gradient gets here */
    bool *from;    /* [n_values] a gradient for wrt would come from here */
};

bool sal_carries_gradient(const struct sal_graph *graph, int value)
{
    const struct sal_tensor *tensor = &graph->values[value].tensor;
    return !tensor->data && (tensor->kind == SAL_REAL || tensor->quantised);
}

/* ---- marks ----------------------------------------------------------------------- */

static bool any_of(const bool *mark, const int *ids, int n)
{
    for (int i = 0; i < n; i++)
        if (ids[i] >= 0 && mark[ids[i]])
            return true;
    return false;
}

/* The same of the inputs; of those that a gradient may pass where it is about that. */
static bool reads_any(const bool *mark, const struct sal_node *node, bool carrying)
{
    for (int i = 0; i < node->n_in; i++)
        if (!(carrying && i < 32 && node->op->aside >> i & 1) && any_of(mark, node->in + i, 1))
            return true;
    return false;
}

/* Marks those of ids that exist, and where only is given, carry a gradient. */
static void mark_all(const struct sal_graph *only, bool *mark, const int *ids, int n)
{
    for (int i = 0; i < n; i++)
        if (ids[i] >= 0 && (!only || sal_carries_gradient(only, ids[i])))
            mark[ids[i]] = true;
}

static void spread_on(const struct sal_graph *graph, bool *mark, bool carrying)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct sal_node *node = &graph->nodes[i];
        if (reads_any(mark, node, carrying))
            mark_all(carrying ? graph : NULL, mark, node->out, node->n_out);
    }
}

static void spread_back(const struct sal_graph *graph, bool *mark, bool carrying)
{
    for (int i = graph->n_nodes - 1; i >= 0; i--) {
        const struct sal_node *node = &graph->nodes[i];
        if (!any_of(mark, node->out, node->n_out))
            continue;
        for (int j = 0; j < node->n_in; j++)
            if (!(carrying && j < 32 && node->op->aside >> j & 1))
                mark_all(carrying ? graph : NULL, mark, node->in + j, 1);
    }
}

/* ---- refusals -------------------------------------------------------------------- */

static enum sal_status check_node(const struct way *way, const struct sal_node *node,
                                  struct sal_error *err)
{
    bool between = any_of(way->depends, node->in, node->n_in) &&
                   any_of(way->wanted, node->out, node->n_out);
    if (between && node->op->opaque)
        return sal_node_fail(node, err, SAL_UNSUPPORTED, "%s", node->op->opaque);
    for (int i = 0; between && i < node->n_in; i++) {
        const struct sal_value *value =
            node->in[i] < 0 ? NULL : &way->graph->values[node->in[i]];
        if (value && value->tensor.quantised && way->depends[node->in[i]] &&
            node->op->backward && !node->op->takes_quantised)
            return sal_node_fail(node, err, SAL_UNSUPPORTED,
                                 "has no gradient for quantised integers (its input "
                                 "'%.120s' is %s)",
                                 value->name, sal_onnx_type_name(value->tensor.type));
    }
    return SAL_OK;
}

/* Names the first node on the way from `wrt` that hands nothing on. */
static enum sal_status refuse_end(const struct way *way, int wrt, struct sal_error *err)
{
    const struct sal_graph *graph = way->graph;
    const char *name = graph->values[wrt].name;
    for (int i = 0; i < graph->n_values; i++)
        way->from[i] = i == wrt;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct sal_node *node = &graph->nodes[i];
        if (!any_of(way->from, node->in, node->n_in))
            continue;
        for (int j = 0; j < node->n_out; j++) {
            int out = node->out[j];
            if (out < 0 || !way->wanted[out])
                continue;
            way->from[out] = sal_carries_gradient(graph, out);
            if (!way->from[out])
                return sal_node_fail(node, err, SAL_UNSUPPORTED,
                                     "ends the gradient: it makes %s, and the score "
                                     "depends on '%.120s' in no other way",
                                     sal_onnx_type_name(graph->values[out].tensor.type),
                                     name);
        }
    }
    return sal_fail(err, SAL_UNSUPPORTED, "no gradient reaches '%.120s'", name);
}

static enum sal_status find(const struct way *way, int score, const int *wrt, int n_wrt,
                            bool *on_way, struct sal_error *err)
{
    const struct sal_graph *graph = way->graph;
    mark_all(NULL, way->depends, wrt, n_wrt);
    spread_on(graph, way->depends, false);
    mark_all(NULL, on_way, wrt, n_wrt);
    spread_on(graph, on_way, true);
    way->wanted[score] = way->pulled[score] = true;
    spread_back(graph, way->wanted, false);
    spread_back(graph, way->pulled, true);
    enum sal_status status = SAL_OK;
    for (int i = 0; i < graph->n_nodes && !status; i++)
        status = check_node(way, &graph->nodes[i], err);
    for (int i = 0; i < n_wrt && !status; i++)
        if (way->wanted[wrt[i]] && !way->pulled[wrt[i]])
            status = refuse_end(way, wrt[i], err);
    for (int i = 0; i < graph->n_values; i++)
        on_way[i] &= way->pulled[i];
    return status;
}

enum sal_status sal_way_find(const struct sal_graph *graph, int score, const int *wrt,
                             int n_wrt, bool *on_way, struct sal_error *err)
{
    size_t n = (size_t)graph->n_values;
    bool *marks = calloc(4 * n, sizeof(*marks));
    if (!marks)
        return sal_fail(err, SAL_LIMIT, "no memory for the gradient's way");
    const struct way way = {graph, marks, marks + n, marks + 2 * n, marks + 3 * n};
    enum sal_status status = find(&way, score, wrt, n_wrt, on_way, err);
    free(marks);
    return status;
}
