#include "poison.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "way.h"

enum sal_status poisoning_init(struct poisoning *p, const struct sal_graph *graph,
                               struct sal_pool *pool, struct sal_error *err)
{
    const size_t n = (size_t)graph->n_values;
    size_t inputs = 1;
    for (int i = 0; i < graph->n_nodes; i++)
        if ((size_t)graph->nodes[i].n_in > inputs)
            inputs = (size_t)graph->nodes[i].n_in;
    *p = (struct poisoning){graph, NULL, calloc(n, 1), calloc(n, 1), calloc(inputs, 1)};
    int *all = calloc(n, sizeof(*all));
    if (!p->on_way || !p->read || !p->wanted || !all) {
        free(all);
        return sal_fail(err, SAL_LIMIT, "no memory");
    }
    for (size_t i = 0; i < n; i++)
        all[i] = (int)i;
    enum sal_status status = sal_run_open_graph(
        &p->run, graph,
        &(struct sal_run_options){.gradient = true, .plain = true, .keep = all,
                                  .n_keep = graph->n_values, .memory = (size_t)1 << 30,
                                  .pool = pool},
        err);
    free(all);
    return status;
}

void poisoning_release(struct poisoning *p)
{
    sal_run_close(p->run);
    free(p->on_way);
    free(p->read);
    free(p->wanted);
}

/* Marks what the nodes of the gradient's way say that they read. */
static void mark_read(const struct poisoning *p)
{
    for (int i = 0; i < p->graph->n_nodes; i++) {
        const struct sal_node *node = &p->graph->nodes[i];
        bool any = false, arrives = false;
        for (int j = 0; j < node->n_in; j++)
            any |= p->wanted[j] = node->in[j] >= 0 && p->on_way[node->in[j]];
        for (int j = 0; j < node->n_out; j++)
            arrives |= node->out[j] >= 0 && p->on_way[node->out[j]];
        if (!any || !arrives)
            continue;
        struct sal_reads reads = sal_node_reads(node, p->wanted);
        for (int j = 0; j < node->n_in; j++)
            if (node->in[j] >= 0)
                p->read[node->in[j]] |= sal_reads_bit(reads.in, j);
        for (int j = 0; j < node->n_out; j++)
            if (node->out[j] >= 0)
                p->read[node->out[j]] |= sal_reads_bit(reads.out, j);
    }
}

static void poison(const struct poisoning *p)
{
    for (int i = 0; i < p->graph->n_values; i++) {
        const struct sal_value *value = &p->graph->values[i];
        if (!value->live || value->tensor.data || p->read[i])
            continue;
        struct sal_tensor *tensor = sal_run_tensor(p->run, i);
        for (int64_t j = 0; j < sal_shape_count(&tensor->shape); j++)
            if (tensor->kind == SAL_REAL)
                tensor->real[j] = (sal_real)NAN;
            else
                tensor->i64[j] = 0;
    }
}

enum sal_status poisoning_try(const struct poisoning *p, int y, int wrt, const sal_real *dy,
                              struct sal_error *err)
{
    const struct sal_graph *graph = p->graph;
    size_t size = (size_t)sal_shape_count(&graph->values[wrt].tensor.shape) * sizeof(*dy);
    sal_real *clean = malloc(size + 1);
    memset(p->on_way, 0, (size_t)graph->n_values);
    memset(p->read, 0, (size_t)graph->n_values);
    enum sal_status status = sal_run_pass(p->run, NULL, err);
    if (!status)
        status = sal_run_backward_from(p->run, y, dy, &wrt, 1, NULL, err);
    if (!status && size)
        memcpy(clean, sal_run_gradient(p->run, wrt), size);
    if (!status)
        status = sal_run_pass(p->run, NULL, err);
    if (!status && !(status = sal_way_find(graph, y, &wrt, 1, p->on_way, err))) {
        mark_read(p);
        poison(p);
        status = sal_run_backward_from(p->run, y, dy, &wrt, 1, NULL, err);
    }
    if (!status && size && memcmp(clean, sal_run_gradient(p->run, wrt), size) != 0)
        status = sal_fail(err, SAL_NO,
                          "the gradient for '%s' reads what it says it does not",
                          graph->values[wrt].name);
    free(clean);
    return status;
}
