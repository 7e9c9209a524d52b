#include "graph.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "binding.h"
#include "builder.h"
#include "kernel.h"

enum sal_status sal_builder_no_memory(struct sal_builder *b)
{
    return sal_fail(b->err, SAL_LIMIT, "the model needs more than the memory limit");
}

/* ---- inputs and initialisers ----------------------------------------------- */

static enum sal_status read_input(const struct sal_builder *b, int i,
                                  struct sal_tensor *tensor, struct sal_error *err)
{
    const struct sal_onnx_value *declared = &b->onnx->graph.inputs[i];
    if (!sal_type_kind(declared->type, &tensor->kind))
        return sal_fail(err, SAL_UNSUPPORTED, "input '%s' is not a numeric tensor",
                        declared->name);
    tensor->type = declared->type;
    if (b->options->shapes) {
        tensor->shape = b->options->shapes[i];
        return SAL_OK;
    }
    if (declared->rank < 0)
        return sal_fail(err, SAL_UNSUPPORTED, "input '%s' has no declared shape",
                        declared->name);
    tensor->shape.rank = declared->rank;
    for (int d = 0; d < declared->rank; d++)
        tensor->shape.dim[d] = declared->dim[d] < 0 ? 1 : declared->dim[d];
    return SAL_OK;
}

/* Whether an input can be read matters only where something needs it. */
static void add_inputs(struct sal_builder *b)
{
    for (int i = 0; i < b->onnx->graph.n_inputs; i++) {
        read_input(b, i, &b->graph->values[i].tensor, NULL);
        b->graph->inputs[b->graph->n_inputs++] = i;
    }
}

static enum sal_status need_given(struct sal_builder *b, int id)
{
    struct sal_tensor *tensor = &b->graph->values[id].tensor;
    if (b->makers[id].stored)
        return sal_tensor_from_onnx(tensor, b->makers[id].stored, &b->graph->arena, b->err);
    return id < b->onnx->graph.n_inputs ? read_input(b, id, tensor, b->err) : SAL_OK;
}

/* ---- nodes ----------------------------------------------------------------- */

/* A newer opset than we know is taken as ours only where that is forced. */
enum sal_status sal_builder_operator(struct sal_builder *b, int place,
                                     const struct sal_op **op, int *opset)
{
    const struct sal_onnx_node *source = b->places[place].source;
    const char *name = *sal_onnx_node_label(source) ? sal_onnx_node_label(source)
                                                    : source->op;
    bool ours = !*source->domain;
    int64_t version = sal_onnx_node_opset(b->onnx, source);
    *op = ours ? sal_op_find(source->op) : NULL;
    if (ours && version > SAL_OPSET_MAX && b->options->force_opset)
        version = SAL_OPSET_MAX;
    if (ours && version > SAL_OPSET_MAX)
        return sal_fail(b->err, SAL_UNSUPPORTED,
                        "operator %s (node '%s') is of opset %lld, the newest known is %d; "
                        "--force-opset takes it as that",
                        source->op, name, (long long)version, SAL_OPSET_MAX);
    if (!*op)
        return sal_fail(b->err, SAL_UNSUPPORTED,
                        "operator %s%s%s (node '%s', opset %lld) is not supported",
                        source->domain, *source->domain ? "." : "", source->op, name,
                        (long long)version);
    if (version < (*op)->since || version > (*op)->until)
        return sal_fail(b->err, SAL_UNSUPPORTED,
                        "operator %s (node '%s') is supported from opset %d to %d, "
                        "the model has opset %lld",
                        source->op, name, (*op)->since, (*op)->until, (long long)version);
    *opset = (int)version;
    return SAL_OK;
}

static enum sal_status check_arity(struct sal_builder *b, const struct sal_node *node)
{
    const struct sal_op *op = node->op;
    if (node->n_in < op->min_in || (op->max_in >= 0 && node->n_in > op->max_in))
        return sal_node_fail(node, b->err, SAL_BAD_INPUT, "takes %d to %d inputs, has %d",
                             op->min_in, op->max_in, node->n_in);
    if (node->n_out < 1 || (op->max_out >= 0 && node->n_out > op->max_out))
        return sal_node_fail(node, b->err, SAL_BAD_INPUT, "has %d outputs, at most %d",
                             node->n_out, op->max_out);
    if (node->out[0] < 0)
        return sal_node_fail(node, b->err, SAL_UNSUPPORTED,
                             "leaves out its first output, which must have a name");
    for (int i = 0; i < op->min_in; i++)
        if (node->in[i] < 0)
            return sal_node_fail(node, b->err, SAL_BAD_INPUT, "input %d is missing", i);
    return SAL_OK;
}

/* The outputs of the place's node, or the one that an If makes there. */
static enum sal_status connect(struct sal_builder *b, int place, const int *in, int n_in,
                               struct sal_node *node)
{
    const struct sal_place *at = &b->places[place];
    const struct sal_onnx_node *source = at->source;
    int *ins = sal_new(&b->graph->arena, int, n_in);
    int *outs = sal_new(&b->graph->arena, int, source->n_outputs);
    if (!ins || !outs)
        return sal_builder_no_memory(b);
    for (int i = 0; i < n_in; i++)
        ins[i] = in[i];
    for (int i = 0; i < source->n_outputs; i++)
        outs[i] = *source->outputs[i] ? at->first + i : -1;
    node->in = ins;
    node->out = sal_is_if(source) ? outs + at->only : outs;
    node->n_in = n_in;
    node->n_out = sal_is_if(source) ? 1 : source->n_outputs;
    return check_arity(b, node);
}

static enum sal_status check_shape(struct sal_builder *b, const struct sal_node *node,
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
static enum sal_status fold(struct sal_builder *b, const struct sal_node *node,
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
        return sal_builder_no_memory(b);
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

static enum sal_status bind(struct sal_builder *b, const struct sal_node *node,
                            struct sal_binding *binding)
{
    struct sal_value *values = b->graph->values;
    if (!sal_binding_init(binding, node, &b->scratch))
        return sal_builder_no_memory(b);
    for (int i = 0; i < node->n_in; i++)
        binding->in[i] = node->in[i] < 0 ? NULL : &values[node->in[i]].tensor;
    for (int i = 0; i < node->n_out; i++)
        binding->out[i] = node->out[i] < 0 ? NULL : &values[node->out[i]].tensor;
    return SAL_OK;
}

/* Quantised integers that are only moved stay what they are. */
static void mark_quantised(const struct sal_binding *binding)
{
    const struct sal_node *node = binding->node;
    for (int i = 0; node->op->takes_quantised && i < node->n_in; i++)
        for (int j = 0; j < node->n_out; j++)
            if (binding->in[i] && binding->in[i]->quantised && binding->out[j] &&
                binding->out[j]->type == binding->in[i]->type)
                binding->out[j]->quantised = true;
}

enum sal_status sal_builder_make(struct sal_builder *b, int place, const struct sal_op *op,
                                 int opset, const int *in, int n_in)
{
    const struct sal_onnx_node *source = b->places[place].source;
    const char *label = sal_onnx_node_label(source);
    struct sal_node node = {.op = op, .opset = opset, .name = *label ? label : source->op};
    struct sal_binding binding;
    enum sal_status status = connect(b, place, in, n_in, &node);
    if (status ||
        (op->parse && (status = op->parse(&node, source, &b->graph->arena, b->err))) ||
        (status = bind(b, &node, &binding)))
        return status;
    const struct sal_infer infer = {.node = &node,
                                    .in = binding.in,
                                    .out = binding.out,
                                    .arena = &b->graph->arena,
                                    .plan = &node.plan};
    if ((status = op->infer(&infer, b->err)))
        return status;
    for (int i = 0; i < node.n_out; i++)
        if (binding.out[i] && (status = check_shape(b, &node, binding.out[i])))
            return status;
    mark_quantised(&binding);
    if (foldable(&binding))
        return fold(b, &node, &binding);
    b->nodes[place] = node;
    return SAL_OK;
}

/* Makes a node whose inputs are all known. */
static enum sal_status make_node(struct sal_builder *b, int place)
{
    const struct sal_place *at = &b->places[place];
    int n = at->source->n_inputs;
    int *in = sal_new(&b->scratch, int, n);
    if (!in)
        return sal_builder_no_memory(b);
    for (int i = 0; i < n; i++)
        in[i] = *at->source->inputs[i]
                    ? sal_scope_find(b, at->scope, place, at->source->inputs[i]) : -1;
    bool done = false;
    enum sal_status status = sal_lower_mask(b, place, in, n, &done);
    if (status || done)
        return status;
    const struct sal_op *op;
    int opset;
    status = sal_builder_operator(b, place, &op, &opset);
    return status ? status : sal_builder_make(b, place, op, opset, in, n);
}

/* ---- If -------------------------------------------------------------------------- */

/* What the output of the branch that the condition takes is called inside, as an id. */
static enum sal_status choose_branch(struct sal_builder *b, int value, int *chosen)
{
    const struct sal_maker *maker = &b->makers[value];
    const struct sal_place *at = &b->places[maker->place];
    const char *name = sal_onnx_node_label(at->source);
    long long opset = (long long)sal_onnx_node_opset(b->onnx, at->source);
    int id = sal_scope_find(b, at->scope, maker->place, at->source->inputs[0]);
    const struct sal_tensor *condition = &b->graph->values[id].tensor;
    if (!condition->data)
        return sal_fail(b->err, SAL_UNSUPPORTED,
                        "operator If (node '%s', opset %lld): its condition '%s' depends on "
                        "the input; only a constant one is supported",
                        name, opset, at->source->inputs[0]);
    if (condition->kind != SAL_INT || sal_shape_count(&condition->shape) != 1)
        return sal_fail(b->err, SAL_BAD_INPUT,
                        "If '%s': its condition must be one boolean", name);
    const struct sal_scope *branch = condition->i64[0] ? at->then : at->otherwise;
    if (!branch)
        return sal_fail(b->err, SAL_BAD_INPUT,
                        "If '%s': its %s must be a graph without inputs and with %d outputs",
                        name, condition->i64[0] ? "then_branch" : "else_branch",
                        at->source->n_outputs);
    *chosen = sal_scope_find(b, branch, maker->place,
                             branch->graph->outputs[maker->output].name);
    return SAL_OK;
}

/* ---- what is needed -------------------------------------------------------------- */

/* A value being made: its place's inputs are walked first. */
struct need {
    int value;
    int next;  /* input to look at next */
    int taken; /* of an If: the branch's value; -1: not yet chosen */
};

struct needs {
    struct need *stack;
    int depth;
};

static void push(struct sal_builder *b, struct needs *needs, int value)
{
    if (value >= 0 && !b->ready[value])
        needs->stack[needs->depth++] = (struct need){value, 0, -1};
}

static enum sal_status next_of_if(struct sal_builder *b, struct needs *needs)
{
    struct need *top = &needs->stack[needs->depth - 1];
    const struct sal_maker *maker = &b->makers[top->value];
    const struct sal_place *at = &b->places[maker->place];
    if (at->source->n_inputs != 1 || !*at->source->inputs[0])
        return sal_fail(b->err, SAL_BAD_INPUT, "If '%s' takes one input, has %d",
                        sal_onnx_node_label(at->source), at->source->n_inputs);
    if (top->next++ == 0) {
        push(b, needs, sal_scope_find(b, at->scope, maker->place, at->source->inputs[0]));
        return SAL_OK;
    }
    if (top->taken < 0) {
        enum sal_status status = choose_branch(b, top->value, &top->taken);
        if (!status)
            push(b, needs, top->taken);
        return status;
    }
    b->ready[top->value] = true;
    needs->depth--;
    return sal_builder_make(b, maker->place + maker->output, sal_op_find("Identity"),
                            SAL_OPSET_MAX, &top->taken, 1);
}

static enum sal_status next_of_node(struct sal_builder *b, struct needs *needs)
{
    struct need *top = &needs->stack[needs->depth - 1];
    int place = b->makers[top->value].place;
    const struct sal_place *at = &b->places[place];
    if (top->next < at->source->n_inputs) {
        const char *name = at->source->inputs[top->next++];
        push(b, needs, *name ? sal_scope_find(b, at->scope, place, name) : -1);
        return SAL_OK;
    }
    for (int i = 0; i < at->source->n_outputs; i++)
        b->ready[at->first + i] = true;
    needs->depth--;
    return make_node(b, place);
}

/* Makes a value and all it depends on, depth first without recursion. The check of the
 * description has made sure that nothing depends on itself. */
static enum sal_status need(struct sal_builder *b, struct needs *needs, int value)
{
    enum sal_status status = SAL_OK;
    push(b, needs, value);
    while (needs->depth && !status) {
        assert(needs->depth <= b->graph->n_values);
        int id = needs->stack[needs->depth - 1].value;
        int place = b->makers[id].place;
        if (b->ready[id]) {
            needs->depth--;
        } else if (place < 0) {
            b->ready[id] = true;
            needs->depth--;
            status = need_given(b, id);
        } else if (sal_is_if(b->places[place].source)) {
            status = next_of_if(b, needs);
        } else {
            status = next_of_node(b, needs);
        }
    }
    return status;
}

/* ---- the graph ------------------------------------------------------------------- */

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
    struct needs needs = {.stack = sal_new(&b->scratch, struct need, graph->n_values + 1)};
    if (!needs.stack)
        return sal_builder_no_memory(b);
    enum sal_status status = SAL_OK;
    for (int i = 0; i < graph->n_outputs && !status; i++) {
        int id = graph->outputs[i];
        status = need(b, &needs, id);
        if (!status && b->selections[id].kind)
            status = sal_fail(b->err, SAL_UNSUPPORTED,
                              "output '%s' has a size that depends on the input",
                              graph->values[id].name);
    }
    return status;
}

static enum sal_status build(struct sal_builder *b)
{
    struct sal_graph *graph = b->graph;
    if (b->onnx->opset > SAL_OPSET_MAX && !b->options->force_opset)
        return sal_fail(b->err, SAL_UNSUPPORTED,
                        "opset %lld is newer than %d, the newest known; --force-opset takes "
                        "it as that",
                        (long long)b->onnx->opset, SAL_OPSET_MAX);
    graph->inputs = sal_new(&graph->arena, int, b->onnx->graph.n_inputs);
    enum sal_status status = graph->inputs ? sal_builder_name(b) : sal_builder_no_memory(b);
    if (status)
        return status;
    add_inputs(b);
    if ((status = find_outputs(b)) || (status = make_outputs(b)) || (status = settle(b)))
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

int sal_graph_find(const struct sal_graph *graph, const char *name)
{
    for (int i = 0; i < graph->n_values; i++)
        if (strcmp(graph->values[i].name, name) == 0)
            return i;
    return -1;
}
