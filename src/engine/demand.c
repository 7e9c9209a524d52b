#include <assert.h>

#include "builder.h"
#include "stored.h"

/* ---- inputs and initialisers ----------------------------------------------- */

enum sal_status sal_builder_input(const struct sal_builder *b, int i,
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

static enum sal_status need_given(struct sal_builder *b, int id)
{
    struct sal_tensor *tensor = &b->graph->values[id].tensor;
    const struct sal_graph *like = b->options->like;
    if (b->makers[id].stored && like && like->values[id].tensor.data) {
        *tensor = like->values[id].tensor;
        return SAL_OK;
    }
    if (b->makers[id].stored)
        return sal_stored_tensor(tensor, b->makers[id].stored, &b->graph->arena, b->err);
    return id < b->onnx->graph.n_inputs ? sal_builder_input(b, id, tensor, b->err)
                                        : SAL_OK;
}

/* ---- nodes ----------------------------------------------------------------- */

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
                    ? sal_scope_find(b, at->scope, place, at->source->inputs[i])
                    : -1;
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
        return sal_fail(
            b->err, SAL_UNSUPPORTED,
            "operator If (node '%s', opset %lld): its condition '%s' depends on "
            "the input; only a constant one is supported",
            name, opset, at->source->inputs[0]);
    if (condition->kind != SAL_INT || sal_shape_count(&condition->shape) != 1)
        return sal_fail(b->err, SAL_BAD_INPUT,
                        "If '%s': its condition must be one boolean", name);
    const struct sal_scope *branch = condition->i64[0] ? at->then : at->otherwise;
    if (!branch)
        return sal_fail(
            b->err, SAL_BAD_INPUT,
            "If '%s': its %s must be a graph without inputs and with %d outputs", name,
            condition->i64[0] ? "then_branch" : "else_branch", at->source->n_outputs);
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
    struct need *stack; /* no deeper than there are values */
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
        push(b, needs,
             sal_scope_find(b, at->scope, maker->place, at->source->inputs[0]));
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

/* Depth first without recursion. The check of the description has made sure that
 * nothing depends on itself. */
static enum sal_status make_all(struct sal_builder *b, struct needs *needs)
{
    enum sal_status status = SAL_OK;
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

enum sal_status sal_builder_need(struct sal_builder *b, const int *values, int n)
{
    struct needs needs = {
        .stack = sal_new(&b->scratch, struct need, b->graph->n_values + 1)};
    if (!needs.stack)
        return sal_builder_no_memory(b);
    enum sal_status status = SAL_OK;
    for (int i = 0; i < n && !status; i++) {
        push(b, &needs, values[i]);
        status = make_all(b, &needs);
    }
    return status;
}
