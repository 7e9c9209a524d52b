#include <string.h>

#include "onnx_read.h"
#include "saliscope/names.h"

enum { GIVEN = -1 }; /* made by no node: an input or an initialiser */

struct check {
    struct sal_arena *scratch;
    struct sal_error *err;
};

/* What a graph's nodes can see; values of the graph around it included. */
struct scope {
    const struct sal_onnx_graph *graph;
    const struct scope *outer;
    struct sal_names names; /* to the node that makes it, or GIVEN */
    int at;                 /* the node being looked at */
};

static const char *label(const struct sal_onnx_node *node)
{
    return sal_onnx_node_label(node);
}

static enum sal_status no_memory(struct sal_error *err)
{
    return sal_fail(err, SAL_LIMIT, "no memory to check the graph");
}

/* ---- inputs and initialisers ---- */

static enum sal_status settle(struct sal_onnx_graph *graph, struct sal_names *names,
                              struct sal_error *err)
{
    for (int i = 0; i < graph->n_initialisers; i++) {
        const char *name = graph->initialisers[i].name;
        if (!*name)
            return sal_fail(err, SAL_BAD_INPUT, "an initialiser has no name");
        if (sal_names_add(names, name, GIVEN))
            return sal_fail(err, SAL_BAD_INPUT,
                            "two initialisers are named '" SAL_NAME "': some exporters "
                            "(PyTorch 2.9) mix up weights like this, export again", name);
    }
    struct sal_onnx_value *kept = NULL;
    memcpy(&kept, &graph->inputs, sizeof kept);
    int n = 0;
    for (int i = 0; i < graph->n_inputs; i++) {
        const struct sal_onnx_value *input = &graph->inputs[i];
        if (!*input->name)
            return sal_fail(err, SAL_BAD_INPUT, "a graph input has no name");
        struct sal_name *known = sal_names_add(names, input->name, n);
        if (known && known->value != GIVEN)
            return sal_fail(err, SAL_BAD_INPUT, "two graph inputs are named '" SAL_NAME "'",
                            input->name);
        if (!known)
            kept[n++] = *input;
    }
    graph->n_inputs = n;
    return SAL_OK;
}

enum sal_status sal_onnx_settle_inputs(struct sal_onnx_graph *graph, struct sal_error *err)
{
    struct sal_arena scratch = {0};
    struct sal_names names;
    size_t most = (size_t)graph->n_initialisers + (size_t)graph->n_inputs;
    enum sal_status status = sal_names_init(&names, &scratch, most)
                                 ? settle(graph, &names, err)
                                 : no_memory(err);
    sal_arena_release(&scratch);
    return status;
}

/* ---- names ---- */

static enum sal_status add_output(struct scope *scope, int i, const char *name,
                                  struct sal_error *err)
{
    const struct sal_onnx_node *nodes = scope->graph->nodes;
    const struct sal_name *known = *name ? sal_names_add(&scope->names, name, i) : NULL;
    if (!known)
        return SAL_OK;
    if (known->value == GIVEN)
        return sal_fail(err, SAL_BAD_INPUT,
                        "node '" SAL_NAME "' makes '" SAL_NAME "', which is an input or an "
                        "initialiser: every value is made once", label(&nodes[i]), name);
    return sal_fail(err, SAL_BAD_INPUT,
                    "nodes '" SAL_NAME "' and '" SAL_NAME "' both make '" SAL_NAME "': every "
                    "value is made once", label(&nodes[known->value]), label(&nodes[i]), name);
}

static enum sal_status name_everything(struct check *check, struct scope *scope)
{
    const struct sal_onnx_graph *graph = scope->graph;
    size_t most = (size_t)graph->n_initialisers + (size_t)graph->n_inputs;
    for (int i = 0; i < graph->n_nodes; i++)
        most += (size_t)graph->nodes[i].n_outputs;
    if (!sal_names_init(&scope->names, check->scratch, most))
        return no_memory(check->err);
    for (int i = 0; i < graph->n_initialisers; i++)
        sal_names_add(&scope->names, graph->initialisers[i].name, GIVEN);
    for (int i = 0; i < graph->n_inputs; i++)
        sal_names_add(&scope->names, graph->inputs[i].name, GIVEN);
    enum sal_status status = SAL_OK;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct sal_onnx_node *node = &graph->nodes[i];
        for (int k = 0; k < node->n_outputs && status == SAL_OK; k++)
            status = add_output(scope, i, node->outputs[k], check->err);
    }
    return status;
}

/* ---- order ---- */

struct step {
    int node, input; /* input: the next one to follow */
};

/* A walk from nodes back to what they need. */
struct order {
    const struct scope *scope;
    struct step *stack;
    uint8_t *state;
    int *after; /* nodes, each behind all that it needs */
    int n;
};

enum { UNSEEN, OPEN, DONE };

/* Follows inputs back to their makers, depth first without recursion. False: a maker
 * that is still open needs what it makes; *found is where. */
static bool follow(struct order *order, int start, struct step *found)
{
    const struct scope *scope = order->scope;
    int depth = 0;
    order->stack[depth++] = (struct step){start, 0};
    order->state[start] = OPEN;
    while (depth) {
        struct step *top = &order->stack[depth - 1];
        const struct sal_onnx_node *node = &scope->graph->nodes[top->node];
        if (top->input == node->n_inputs) {
            order->state[top->node] = DONE;
            order->after[order->n++] = top->node;
            depth--;
            continue;
        }
        const struct sal_name *name = sal_names_find(&scope->names, node->inputs[top->input++]);
        if (!name || name->value == GIVEN || order->state[name->value] == DONE)
            continue;
        if (order->state[name->value] == OPEN) {
            *found = (struct step){top->node, top->input - 1};
            return false;
        }
        order->state[name->value] = OPEN;
        order->stack[depth++] = (struct step){name->value, 0};
    }
    return true;
}

static bool init_order(struct order *order, const struct scope *scope,
                       struct sal_arena *arena)
{
    size_t n = (size_t)scope->graph->n_nodes;
    *order = (struct order){
        .scope = scope,
        .stack = sal_new(arena, struct step, n),
        .state = sal_new(arena, uint8_t, n),
        .after = sal_new(arena, int, n),
    };
    return order->stack && order->state && order->after;
}

/* Every node, in its own place as far as that can be. */
static enum sal_status find_order(struct check *check, struct order *order)
{
    const struct sal_onnx_graph *graph = order->scope->graph;
    struct step found;
    for (int i = 0; i < graph->n_nodes; i++) {
        if (order->state[i] != UNSEEN || follow(order, i, &found))
            continue;
        const struct sal_onnx_node *node = &graph->nodes[found.node];
        return sal_fail(check->err, SAL_BAD_INPUT,
                        "node '" SAL_NAME "' needs '" SAL_NAME "', which depends on it: the "
                        "graph has a cycle", label(node), node->inputs[found.input]);
    }
    return SAL_OK;
}

static bool is_ordered(const struct scope *scope)
{
    const struct sal_onnx_graph *graph = scope->graph;
    for (int i = 0; i < graph->n_nodes; i++)
        for (int k = 0; k < graph->nodes[i].n_inputs; k++) {
            const struct sal_name *name =
                sal_names_find(&scope->names, graph->nodes[i].inputs[k]);
            if (name && name->value >= i)
                return false;
        }
    return true;
}

static bool has_subgraphs(const struct sal_onnx_graph *graph)
{
    for (int i = 0; i < graph->n_nodes; i++)
        for (int k = 0; k < graph->nodes[i].n_attrs; k++)
            if (graph->nodes[i].attrs[k].graph)
                return true;
    return false;
}

/* ONNX wants nodes in topological order, yet converters in use append what belongs
 * further up (float16 casts), and others read that. Where nodes hold graphs, which need
 * values too and may hide names, all is left as it is. */
static enum sal_status put_in_order(struct check *check, struct scope *scope)
{
    const struct sal_onnx_graph *graph = scope->graph;
    struct order order;
    size_t n = (size_t)graph->n_nodes;
    struct sal_onnx_node *sorted = sal_new(check->scratch, struct sal_onnx_node, n);
    if (!sorted || !init_order(&order, scope, check->scratch))
        return no_memory(check->err);
    enum sal_status status = find_order(check, &order);
    if (status || has_subgraphs(graph))
        return status;
    for (size_t i = 0; i < n; i++)
        sorted[i] = graph->nodes[order.after[i]];
    struct sal_onnx_node *nodes = NULL; /* the description's own, not yet handed out */
    memcpy(&nodes, &graph->nodes, sizeof nodes);
    memcpy(nodes, sorted, n * sizeof *nodes);
    return name_everything(check, scope);
}

/* ---- nodes ---- */

/* A mistake that is known by the name of what is missing. */
static const char *lost_by(const char *input)
{
    return strstr(input, "_bias") ? ": PyTorch's exporter is known to lose a bias when it "
                                    "fuses BatchNormalization (2.9), export again"
                                  : "";
}

static enum sal_status check_input(struct check *check, const struct scope *scope,
                                   const char *input)
{
    const struct sal_onnx_node *node = &scope->graph->nodes[scope->at];
    bool later = false;
    for (const struct scope *s = scope; s; s = s->outer) {
        const struct sal_name *name = sal_names_find(&s->names, input);
        if (name && name->value < s->at)
            return SAL_OK;
        later |= name && s == scope;
    }
    if (later)
        return sal_fail(check->err, SAL_BAD_INPUT,
                        "node '" SAL_NAME "' uses '" SAL_NAME "' before it is made: nodes "
                        "must stand in topological order", label(node), input);
    return sal_fail(check->err, SAL_BAD_INPUT,
                    "node '" SAL_NAME "' needs '" SAL_NAME "', which nothing makes%s",
                    label(node), input, lost_by(input));
}

static bool printable(const char *name, const char *also)
{
    for (; *name; name++) {
        char c = *name;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     (c >= '0' && c <= '9') || c == '_';
        if (!plain && !strchr(also, c))
            return false;
    }
    return true;
}

static enum sal_status check_graph(struct check *check, const struct sal_onnx_graph *graph,
                                   const struct scope *outer);

static enum sal_status check_attrs(struct check *check, const struct scope *scope,
                                   const struct sal_onnx_node *node)
{
    for (int i = 0; i < node->n_attrs; i++) {
        const struct sal_onnx_attr *attr = &node->attrs[i];
        if (sal_onnx_node_attr(node, attr->name) != attr)
            return sal_fail(check->err, SAL_BAD_INPUT,
                            "node '" SAL_NAME "' has attribute '" SAL_NAME "' twice",
                            label(node), attr->name);
        if (attr->ref)
            return sal_fail(check->err, SAL_BAD_INPUT,
                            "node '" SAL_NAME "': attribute '" SAL_NAME "' refers to a "
                            "function's, outside a function", label(node), attr->name);
        if (!attr->graph)
            continue;
        enum sal_status status = check_graph(check, attr->graph, scope);
        if (status != SAL_OK)
            return sal_fail_within(check->err, status, "in '" SAL_NAME "' of node '" SAL_NAME
                                   "'", attr->name, label(node));
    }
    return SAL_OK;
}

static enum sal_status check_node(struct check *check, const struct scope *scope)
{
    const struct sal_onnx_node *node = &scope->graph->nodes[scope->at];
    if (!*node->op || !printable(node->op, "-.") || !printable(node->domain, "-.:/"))
        return sal_fail(check->err, SAL_BAD_INPUT,
                        "node '" SAL_NAME "': operator name or domain is not a plain name",
                        label(node));
    enum sal_status status = SAL_OK;
    for (int i = 0; i < node->n_inputs && status == SAL_OK; i++) {
        if (*node->inputs[i])
            status = check_input(check, scope, node->inputs[i]);
    }
    return status == SAL_OK ? check_attrs(check, scope, node) : status;
}

static enum sal_status check_outputs(struct check *check, struct scope *scope)
{
    const struct sal_onnx_graph *graph = scope->graph;
    struct sal_names seen;
    if (!sal_names_init(&seen, check->scratch, (size_t)graph->n_outputs))
        return no_memory(check->err);
    for (int i = 0; i < graph->n_outputs; i++) {
        const char *name = graph->outputs[i].name;
        bool made = false;
        for (const struct scope *s = scope; s && !made; s = s->outer) {
            const struct sal_name *known = sal_names_find(&s->names, name);
            made = known && known->value < s->at;
        }
        if (!made)
            return sal_fail(check->err, SAL_BAD_INPUT,
                            "graph output '" SAL_NAME "' is made by no node", name);
        if (sal_names_add(&seen, name, i))
            return sal_fail(check->err, SAL_BAD_INPUT,
                            "two graph outputs are named '" SAL_NAME "'", name);
    }
    return SAL_OK;
}

static enum sal_status check_graph(struct check *check, const struct sal_onnx_graph *graph,
                                   const struct scope *outer)
{
    struct scope scope = {.graph = graph, .outer = outer};
    enum sal_status status = name_everything(check, &scope);
    if (status == SAL_OK && !outer && !is_ordered(&scope))
        status = put_in_order(check, &scope);
    for (; scope.at < graph->n_nodes && status == SAL_OK; scope.at++)
        status = check_node(check, &scope);
    return status == SAL_OK ? check_outputs(check, &scope) : status;
}

/* ---- the model ---- */

/* ONNX's training operators come without the default set. */
static bool uses_default(const struct sal_onnx_graph *graph)
{
    for (int i = 0; i < graph->n_nodes; i++) {
        if (!*graph->nodes[i].domain)
            return true;
    }
    return graph->n_nodes == 0;
}

static enum sal_status check_opsets(struct sal_onnx *onnx, struct sal_error *err)
{
    for (int i = 0; i < onnx->n_opsets; i++) {
        const struct sal_onnx_opset *opset = &onnx->opsets[i];
        if (*opset->domain)
            continue;
        if (onnx->opset)
            return sal_fail(err, SAL_BAD_INPUT, "the default operator set is imported twice");
        if (opset->version < 1)
            return sal_fail(err, SAL_BAD_INPUT, "operator set %lld does not exist",
                            (long long)opset->version);
        onnx->opset = opset->version;
    }
    for (int i = 0; i < onnx->graph.n_nodes && !onnx->opset; i++) {
        if (!*onnx->graph.nodes[i].domain) /* out of a function, which has its own */
            onnx->opset = onnx->graph.nodes[i].opset;
    }
    if (!onnx->opset && uses_default(&onnx->graph))
        return sal_fail(err, SAL_BAD_INPUT, "no version of the default operator set is given");
    return SAL_OK;
}

enum sal_status sal_onnx_check(struct sal_onnx *onnx, struct sal_error *err)
{
    if (onnx->ir_version < 3)
        return sal_fail(err, SAL_UNSUPPORTED, "IR version %lld; 3 to %d are read",
                        (long long)onnx->ir_version, SAL_ONNX_IR_MAX);
    enum sal_status status = check_opsets(onnx, err);
    if (status != SAL_OK)
        return status;
    if (onnx->graph.n_nodes == 0)
        return sal_fail(err, SAL_BAD_INPUT, "the graph has no nodes");
    if (onnx->graph.n_outputs == 0)
        return sal_fail(err, SAL_BAD_INPUT, "the graph has no outputs");
    struct sal_arena scratch = {0};
    struct check check = {&scratch, err};
    status = check_graph(&check, &onnx->graph, NULL);
    sal_arena_release(&scratch);
    return status;
}
