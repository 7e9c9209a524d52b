#include "graph.h"

#include <stdlib.h>
#include <string.h>

#include "binding.h"
#include "saliscope/names.h"

/* Everything that is only needed while building. */
struct builder {
    const struct sal_onnx *onnx;
    const struct sal_graph_options *options;
    struct sal_graph *graph;
    struct sal_names names;
    bool *node_live;
    struct sal_arena scratch;
    struct sal_error *err;
};

static enum sal_status no_memory(struct builder *b)
{
    return sal_fail(b->err, SAL_LIMIT, "the model needs more than the memory limit");
}

/* The id of a value by name; -1. */
static int id_of(const struct builder *b, const char *name)
{
    const struct sal_name *found = sal_names_find(&b->names, name);
    return found ? found->value : -1;
}

/* ---- values ------------------------------------------------------------- */

static int count_values(const struct sal_onnx_graph *source)
{
    int n = source->n_inputs + source->n_initialisers;
    for (int i = 0; i < source->n_nodes; i++)
        n += source->nodes[i].n_outputs;
    return n;
}

static void add_value(struct builder *b, const char *name, const char *made_by,
                      const char *node_name)
{
    int id = b->graph->n_values++;
    b->graph->values[id] = (struct sal_value){
        .name = name, .made_by = made_by, .node_name = node_name, .producer = -1};
    if (*name)
        sal_names_add(&b->names, name, id);
}

static enum sal_status name_values(struct builder *b)
{
    const struct sal_onnx_graph *source = &b->onnx->graph;
    int n = count_values(source);
    b->graph->values = sal_new(&b->graph->arena, struct sal_value, n);
    if (!b->graph->values || !sal_names_init(&b->names, &b->scratch, (size_t)n))
        return no_memory(b);
    for (int i = 0; i < source->n_inputs; i++)
        add_value(b, source->inputs[i].name, "", "");
    for (int i = 0; i < source->n_initialisers; i++)
        add_value(b, source->initialisers[i].name, "", "");
    for (int i = 0; i < source->n_nodes; i++) {
        const struct sal_onnx_node *node = &source->nodes[i];
        for (int j = 0; j < node->n_outputs; j++)
            add_value(b, node->outputs[j], node->op, node->name);
    }
    return SAL_OK;
}

/* Marks what the outputs need, so that nothing else is read, checked or run. */
static enum sal_status mark_live(struct builder *b)
{
    const struct sal_onnx_graph *source = &b->onnx->graph;
    struct sal_graph *graph = b->graph;
    b->node_live = sal_new(&b->scratch, bool, source->n_nodes);
    graph->outputs = sal_new(&graph->arena, int, source->n_outputs);
    if (!b->node_live || !graph->outputs)
        return no_memory(b);
    for (int i = 0; i < source->n_outputs; i++) {
        int id = id_of(b, source->outputs[i].name);
        if (id < 0)
            return sal_fail(b->err, SAL_BAD_INPUT, "output '%s' is never made",
                            source->outputs[i].name);
        graph->outputs[graph->n_outputs++] = id;
        graph->values[id].live = true;
    }
    for (int i = source->n_nodes - 1; i >= 0; i--) {
        const struct sal_onnx_node *node = &source->nodes[i];
        for (int j = 0; j < node->n_outputs; j++) {
            int id = id_of(b, node->outputs[j]);
            b->node_live[i] |= id >= 0 && graph->values[id].live;
        }
        for (int j = 0; b->node_live[i] && j < node->n_inputs; j++)
            if (*node->inputs[j])
                graph->values[id_of(b, node->inputs[j])].live = true;
    }
    return SAL_OK;
}

/* ---- inputs and initialisers ----------------------------------------------- */

static enum sal_status add_input(struct builder *b, int i)
{
    const struct sal_onnx_value *declared = &b->onnx->graph.inputs[i];
    struct sal_tensor *tensor = &b->graph->values[i].tensor;
    if (!sal_type_kind(declared->type, &tensor->kind))
        return sal_fail(b->err, SAL_UNSUPPORTED, "input '%s' is not a numeric tensor",
                        declared->name);
    tensor->type = declared->type;
    b->graph->inputs[b->graph->n_inputs++] = i;
    if (b->options->shapes) {
        tensor->shape = b->options->shapes[i];
        return SAL_OK;
    }
    if (declared->rank < 0)
        return sal_fail(b->err, SAL_UNSUPPORTED, "input '%s' has no declared shape",
                        declared->name);
    tensor->shape.rank = declared->rank;
    for (int d = 0; d < declared->rank; d++)
        tensor->shape.dim[d] = declared->dim[d] < 0 ? 1 : declared->dim[d];
    return SAL_OK;
}

static enum sal_status add_constants(struct builder *b)
{
    const struct sal_onnx_graph *source = &b->onnx->graph;
    for (int i = 0; i < source->n_initialisers; i++) {
        struct sal_value *value = &b->graph->values[source->n_inputs + i];
        if (!value->live)
            continue;
        enum sal_status status = sal_tensor_from_onnx(
            &value->tensor, &source->initialisers[i], &b->graph->arena, b->err);
        if (status)
            return status;
    }
    return SAL_OK;
}

/* ---- nodes ----------------------------------------------------------------- */

static enum sal_status resolve_op(struct builder *b, const struct sal_onnx_node *source,
                                  struct sal_node *node)
{
    bool ours = !*source->domain || strcmp(source->domain, "ai.onnx") == 0;
    node->opset = (int)b->onnx->opset;
    node->op = ours ? sal_op_find(source->op) : NULL;
    node->name = *source->name ? source->name
                 : source->n_outputs ? source->outputs[0] : source->op;
    if (!node->op)
        return sal_fail(b->err, SAL_UNSUPPORTED,
                        "operator %s%s%s (node '%s', opset %d) is not supported",
                        source->domain, *source->domain ? "." : "", source->op,
                        node->name, node->opset);
    if (node->opset < node->op->since || node->opset > node->op->until)
        return sal_fail(b->err, SAL_UNSUPPORTED,
                        "operator %s (node '%s') is supported from opset %d to %d, "
                        "the model has opset %d",
                        source->op, node->name, node->op->since, node->op->until,
                        node->opset);
    return SAL_OK;
}

static enum sal_status check_arity(struct builder *b, const struct sal_node *node)
{
    const struct sal_op *op = node->op;
    if (node->n_in < op->min_in || (op->max_in >= 0 && node->n_in > op->max_in))
        return sal_node_fail(node, b->err, SAL_BAD_INPUT, "takes %d to %d inputs, has %d",
                             op->min_in, op->max_in, node->n_in);
    if (node->n_out < 1 || (op->max_out >= 0 && node->n_out > op->max_out))
        return sal_node_fail(node, b->err, SAL_BAD_INPUT, "has %d outputs, at most %d",
                             node->n_out, op->max_out);
    for (int i = 0; i < op->min_in; i++)
        if (node->in[i] < 0)
            return sal_node_fail(node, b->err, SAL_BAD_INPUT, "input %d is missing", i);
    return SAL_OK;
}

static enum sal_status connect(struct builder *b, const struct sal_onnx_node *source,
                               struct sal_node *node)
{
    int *in = sal_new(&b->graph->arena, int, source->n_inputs);
    int *out = sal_new(&b->graph->arena, int, source->n_outputs);
    if (!in || !out)
        return no_memory(b);
    for (int i = 0; i < source->n_inputs; i++)
        in[i] = *source->inputs[i] ? id_of(b, source->inputs[i]) : -1;
    for (int i = 0; i < source->n_outputs; i++)
        out[i] = *source->outputs[i] ? id_of(b, source->outputs[i]) : -1;
    node->in = in;
    node->out = out;
    node->n_in = source->n_inputs;
    node->n_out = source->n_outputs;
    return check_arity(b, node);
}

static enum sal_status check_shape(struct builder *b, const struct sal_node *node,
                                   const struct sal_tensor *tensor)
{
    int64_t count = 1;
    bool over = tensor->shape.rank < 0 || tensor->shape.rank > SAL_RANK_MAX;
    for (int d = 0; !over && d < tensor->shape.rank; d++)
        over = tensor->shape.dim[d] < 0 ||
               __builtin_mul_overflow(count, tensor->shape.dim[d], &count) ||
               count >= INT64_C(1) << 40;
    if (over)
        return sal_node_fail(node, b->err, SAL_LIMIT, "its output is too large");
    return SAL_OK;
}

/* Runs a node whose inputs are all known, into the graph's arena. */
static enum sal_status fold(struct builder *b, const struct sal_node *node,
                            struct sal_binding *binding)
{
    for (int i = 0; i < node->n_out; i++) {
        if (node->out[i] < 0)
            continue;
        struct sal_tensor *out = &b->graph->values[node->out[i]].tensor;
        out->data = sal_arena_alloc(&b->graph->arena, sal_shape_count(&out->shape),
                                    sal_kind_size(out->kind));
        if (!out->data)
            return sal_node_fail(node, b->err, SAL_LIMIT,
                                 "its output is over the memory limit");
    }
    struct sal_kernel kernel = sal_binding_kernel(binding, b->options->pool);
    size_t stride = node->op->scratch ? node->op->scratch(&kernel, false) : 0;
    size_t threads = (size_t)sal_pool_threads(b->options->pool);
    kernel.scratch_stride = stride;
    kernel.scratch = stride ? calloc(stride * threads, sizeof(sal_real)) : NULL;
    if (stride && !kernel.scratch)
        return no_memory(b);
    node->op->forward(&kernel);
    free(kernel.scratch);
    return SAL_OK;
}

static bool foldable(const struct sal_binding *binding)
{
    if (binding->node->op->shape_only)
        return true;
    for (int i = 0; i < binding->node->n_in; i++)
        if (binding->in[i] && !binding->in[i]->data)
            return false;
    return true;
}

static enum sal_status add_node(struct builder *b, const struct sal_onnx_node *source)
{
    struct sal_graph *graph = b->graph;
    struct sal_node *node = &graph->nodes[graph->n_nodes];
    *node = (struct sal_node){0};
    enum sal_status status = resolve_op(b, source, node);
    if (status || (status = connect(b, source, node)))
        return status;
    if (node->op->parse && (status = node->op->parse(node, source, &graph->arena, b->err)))
        return status;
    struct sal_binding binding;
    if (!sal_binding_init(&binding, node, &b->scratch))
        return no_memory(b);
    for (int i = 0; i < node->n_in; i++)
        binding.in[i] = node->in[i] < 0 ? NULL : &graph->values[node->in[i]].tensor;
    for (int i = 0; i < node->n_out; i++)
        binding.out[i] = node->out[i] < 0 ? NULL : &graph->values[node->out[i]].tensor;
    const struct sal_infer infer = {.node = node,
                                    .in = binding.in,
                                    .out = binding.out,
                                    .arena = &graph->arena,
                                    .plan = &node->plan};
    if ((status = node->op->infer(&infer, b->err)))
        return status;
    for (int i = 0; i < node->n_out; i++)
        if (binding.out[i] && (status = check_shape(b, node, binding.out[i])))
            return status;
    if (foldable(&binding))
        return fold(b, node, &binding);
    for (int i = 0; i < node->n_out; i++)
        if (node->out[i] >= 0)
            graph->values[node->out[i]].producer = graph->n_nodes;
    graph->n_nodes++;
    return SAL_OK;
}

/* After folding only what live nodes still read, and the outputs, are live. */
static void settle(struct sal_graph *graph)
{
    for (int i = 0; i < graph->n_values; i++)
        graph->values[i].live = false;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct sal_node *node = &graph->nodes[i];
        for (int j = 0; j < node->n_in; j++) {
            if (node->in[j] < 0)
                continue;
            struct sal_value *value = &graph->values[node->in[j]];
            if (!value->live && value->tensor.data && value->tensor.kind == SAL_REAL)
                graph->parameters += sal_shape_count(&value->tensor.shape);
            value->live = true;
        }
        for (int j = 0; j < node->n_out; j++)
            if (node->out[j] >= 0)
                graph->values[node->out[j]].live = true;
    }
}

static enum sal_status build(struct builder *b)
{
    const struct sal_onnx_graph *source = &b->onnx->graph;
    struct sal_graph *graph = b->graph;
    if (b->onnx->opset < 1 || b->onnx->opset > SAL_OPSET_MAX)
        return sal_fail(b->err, SAL_UNSUPPORTED, "opset %lld is not supported (1 to %d)",
                        (long long)b->onnx->opset, SAL_OPSET_MAX);
    graph->nodes = sal_new(&graph->arena, struct sal_node, source->n_nodes);
    graph->inputs = sal_new(&graph->arena, int, source->n_inputs);
    if (!graph->nodes || !graph->inputs)
        return no_memory(b);
    enum sal_status status = name_values(b);
    if (status || (status = mark_live(b)))
        return status;
    for (int i = 0; i < source->n_inputs && !status; i++)
        status = add_input(b, i);
    if (!status)
        status = add_constants(b);
    for (int i = 0; i < source->n_nodes && !status; i++)
        if (b->node_live[i])
            status = add_node(b, &source->nodes[i]);
    if (!status)
        settle(graph);
    return status;
}

enum sal_status sal_graph_build(struct sal_graph *graph, const struct sal_onnx *onnx,
                                const struct sal_graph_options *options,
                                struct sal_error *err)
{
    *graph = (struct sal_graph){.arena.limit = options->memory};
    struct builder b = {
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

int sal_graph_find(const struct sal_graph *graph, const char *name)
{
    for (int i = 0; i < graph->n_values; i++)
        if (strcmp(graph->values[i].name, name) == 0)
            return i;
    return -1;
}
