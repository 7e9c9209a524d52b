#include "graph.h"

#include <string.h>

#include "builder.h"
#include "kernel.h"

/* Whether an input can be read matters only where something needs it. */
static void add_inputs(struct sal_builder *b)
{
    for (int i = 0; i < b->onnx->graph.n_inputs; i++) {
        sal_builder_input(b, i, &b->graph->values[i].tensor, NULL);
        b->graph->inputs[b->graph->n_inputs++] = i;
    }
}

/* Drops nodes that only served to find out what is constant, and puts the others in
 * their order. */
static enum sal_status settle(struct sal_builder *b)
{
    struct sal_graph *graph = b->graph;
    bool *wanted = sal_new(&b->scratch, bool, graph->n_values);
    bool *kept = sal_new(&b->scratch, bool, b->n_places);
    if (!wanted || !kept)
        return sal_builder_no_memory(b);
    for (int i = 0; i < graph->n_outputs; i++)
        wanted[graph->outputs[i]] = true;
    int n = 0;
    for (int i = b->n_places - 1; i >= 0; i--) {
        const struct sal_node *node = &b->nodes[i];
        for (int j = 0; node->op && j < node->n_out; j++)
            kept[i] |= node->out[j] >= 0 && wanted[node->out[j]];
        for (int j = 0; kept[i] && j < node->n_in; j++)
            if (node->in[j] >= 0)
                wanted[node->in[j]] = true;
        n += kept[i];
    }
    graph->nodes = sal_new(&graph->arena, struct sal_node, n);
    if (!graph->nodes)
        return sal_builder_no_memory(b);
    for (int i = 0; i < b->n_places; i++)
        if (kept[i])
            graph->nodes[graph->n_nodes++] = b->nodes[i];
    return SAL_OK;
}

/* Numbers, or integers that a quantised operator takes for numbers. */
static bool are_parameters(const struct sal_tensor *tensor)
{
    return tensor->kind == SAL_REAL || (tensor->type != SAL_ONNX_BOOL &&
                                        sal_int_highest(tensor->type) <= UINT8_MAX);
}

/* What the nodes read and write is live. */
static void mark_live(struct sal_graph *graph)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct sal_node *node = &graph->nodes[i];
        for (int j = 0; j < node->n_in; j++) {
            if (node->in[j] < 0)
                continue;
            struct sal_value *value = &graph->values[node->in[j]];
            if (!value->live && value->tensor.data && are_parameters(&value->tensor))
                graph->parameters += sal_shape_count(&value->tensor.shape);
            value->live = true;
        }
        for (int j = 0; j < node->n_out; j++)
            if (node->out[j] >= 0) {
                graph->values[node->out[j]].live = true;
                graph->values[node->out[j]].producer = i;
            }
    }
}

static enum sal_status find_outputs(struct sal_builder *b)
{
    const struct sal_onnx_graph *source = &b->onnx->graph;
    struct sal_graph *graph = b->graph;
    const char *chosen = b->options->output;
    int n = chosen ? 1 : source->n_outputs;
    graph->outputs = sal_new(&graph->arena, int, n);
    if (!graph->outputs)
        return sal_builder_no_memory(b);
    for (int i = 0; i < n; i++) {
        const char *name = chosen ? chosen : source->outputs[i].name;
        int id = sal_graph_find(graph, name);
        if (id < 0)
            return sal_fail(b->err, chosen ? SAL_USAGE : SAL_BAD_INPUT,
                            chosen ? "'%s' is not a tensor of this model"
                                   : "output '%s' is never made",
                            name);
        graph->outputs[graph->n_outputs++] = id;
    }
    return SAL_OK;
}

static enum sal_status make_outputs(struct sal_builder *b)
{
    struct sal_graph *graph = b->graph;
    enum sal_status status = sal_builder_need(b, graph->outputs, graph->n_outputs);
    for (int i = 0; i < graph->n_outputs && !status; i++)
        if (b->selections[graph->outputs[i]].kind)
            status = sal_fail(b->err, SAL_UNSUPPORTED,
                              "output '%s' has a size that depends on the input",
                              graph->values[graph->outputs[i]].name);
    return status;
}

static enum sal_status build(struct sal_builder *b)
{
    struct sal_graph *graph = b->graph;
    if (b->onnx->opset > SAL_OPSET_MAX && !b->options->force_opset)
        return sal_fail(
            b->err, SAL_UNSUPPORTED,
            "opset %lld is newer than %d, the newest known; --force-opset takes "
            "it as that",
            (long long)b->onnx->opset, SAL_OPSET_MAX);
    graph->inputs = sal_new(&graph->arena, int, b->onnx->graph.n_inputs);
    enum sal_status status =
        graph->inputs ? sal_builder_name(b) : sal_builder_no_memory(b);
    if (status)
        return status;
    add_inputs(b);
    if ((status = find_outputs(b)) || (status = make_outputs(b)) ||
        (status = settle(b)))
        return status;
    mark_live(graph);
    return SAL_OK;
}

enum sal_status sal_graph_build(struct sal_graph *graph, const struct sal_onnx *onnx,
                                const struct sal_graph_options *options,
                                struct sal_error *err)
{
    *graph = (struct sal_graph){.arena.limit = options->memory};
    struct sal_builder b = {
        .onnx = onnx, .options = options, .graph = graph, .err = err};
    enum sal_status status = build(&b);
    sal_arena_release(&b.scratch);
    if (status)
        sal_graph_release(graph);
    return status;
}

void sal_graph_release(struct sal_graph *graph)
{
    sal_arena_release(&graph->arena);
    *graph = (struct sal_graph){0};
}

/* Both branches of an If may use a name: the live one is meant. */
int sal_graph_find(const struct sal_graph *graph, const char *name)
{
    int first = -1;
    for (int i = 0; i < graph->n_values; i++) {
        if (strcmp(graph->values[i].name, name) != 0)
            continue;
        if (graph->values[i].live)
            return i;
        first = first < 0 ? i : first;
    }
    return first;
}
