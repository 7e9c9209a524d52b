#include "builder.h"

#include <stdlib.h>
#include <string.h>

#include "binding.h"
#include "missing.h"

enum sal_status sal_builder_no_memory(struct sal_builder *b)
{
    return sal_fail(b->err, SAL_LIMIT, "the model needs more than the memory limit");
}

/* ---- one node --------------------------------------------------------------- */

/* A newer opset than we know is taken as ours only where that is forced. */
enum sal_status sal_builder_operator(struct sal_builder *b, int place,
                                     const struct sal_op **op, int *opset)
{
    const struct sal_onnx_node *source = b->places[place].source;
    const char *label = sal_onnx_node_label(source);
    bool ours = !*source->domain;
    int64_t version = sal_onnx_node_opset(b->onnx, source);
    if (ours && version > SAL_OPSET_MAX && b->options->force_opset)
        version = SAL_OPSET_MAX;
    if (ours && version > SAL_OPSET_MAX)
        return sal_fail(
            b->err, SAL_UNSUPPORTED,
            "operator %s (node '%s') is of opset %lld, the newest known is %d; "
            "--force-opset takes it as that",
            source->op, *label ? label : source->op, (long long)version, SAL_OPSET_MAX);
    *op = sal_missing_or_op(source, version);
    *opset = (int)version;
    return *op ? SAL_OK : sal_missing_fail(b->onnx, source, b->err);
}

static enum sal_status check_arity(struct sal_builder *b, const struct sal_node *node)
{
    const struct sal_op *op = node->op;
    if (node->n_in < op->min_in || (op->max_in >= 0 && node->n_in > op->max_in))
        return sal_node_fail(node, b->err, SAL_BAD_INPUT,
                             "takes %d to %d inputs, has %d", op->min_in, op->max_in,
                             node->n_in);
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
static enum sal_status connect(struct sal_builder *b, int place, const int *in,
                               int n_in, struct sal_node *node)
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
    sal_binding_read(binding, b->options->pool);
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

enum sal_status sal_builder_make(struct sal_builder *b, int place,
                                 const struct sal_op *op, int opset, const int *in,
                                 int n_in)
{
    const struct sal_onnx_node *source = b->places[place].source;
    const char *label = sal_onnx_node_label(source);
    struct sal_node node = {
        .op = op,
        .opset = opset,
        .name = *label ? label : source->op,
        .pytorch = strcmp(b->onnx->producer, "pytorch") == 0,
    };
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
