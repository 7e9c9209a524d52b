#include "onnx_inline.h"

#include <string.h>

/* ---- names ---- */

/* A new name for one that the function makes. */
static const char *rename_made(struct sal_inliner *in, struct sal_inline_scope *scope,
                               const char *name)
{
    struct sal_arena *arena = &in->onnx->arena;
    if (!*name || !scope->call->function)
        return name;
    int at = sal_naming_find(&scope->names, name);
    if (at >= 0)
        return scope->names.text[at];
    const char *base = sal_arena_format(arena, "%s/%s", scope->call->prefix, name);
    const char *text =
        base ? sal_naming_unique(&in->taken, arena, &in->scratch, base) : NULL;
    if (!text || sal_naming_add(&scope->names, &in->scratch, name, text) < 0)
        return NULL;
    return text;
}

/* What a name that is read means. One that nothing has made yet gets its new name
 * all the same: the check of the whole graph will say what is wrong with it. */
static const char *rename_read(struct sal_inliner *in, struct sal_inline_scope *scope,
                               const char *name)
{
    if (!*name || !scope->call->function)
        return name;
    struct sal_inline_scope *body = scope;
    for (struct sal_inline_scope *s = scope; s; s = s->outer) {
        int at = sal_naming_find(&s->names, name);
        if (at >= 0)
            return s->names.text[at];
        body = s;
    }
    return rename_made(in, body, name);
}

typedef const char *rename_name(struct sal_inliner *in, struct sal_inline_scope *scope,
                                const char *name);

static enum sal_status rename_all(struct sal_inliner *in,
                                  struct sal_inline_scope *scope,
                                  const char *const **names, int n, rename_name *rename)
{
    const char **renamed = sal_new(&in->onnx->arena, const char *, n);
    if (!renamed)
        return sal_inline_no_memory(in);
    for (int i = 0; i < n; i++) {
        renamed[i] = rename(in, scope, (*names)[i]);
        if (!renamed[i])
            return sal_inline_no_memory(in);
    }
    *names = renamed;
    return SAL_OK;
}

/* ---- attributes ---- */

static enum sal_status expand_graph(struct sal_inliner *in,
                                    struct sal_inline_scope *outer,
                                    const struct sal_onnx_graph *graph,
                                    const struct sal_onnx_graph **out);

static const struct sal_onnx_attr *
find_default(const struct sal_onnx_function *function, const char *name)
{
    for (int i = 0; i < function->n_defaults; i++) {
        if (strcmp(function->defaults[i].name, name) == 0)
            return &function->defaults[i];
    }
    return NULL;
}

static bool declares(const struct sal_onnx_function *function, const char *name)
{
    for (int i = 0; i < function->n_attr_names; i++) {
        if (strcmp(function->attr_names[i], name) == 0)
            return true;
    }
    return false;
}

/* The value of an attribute that refers to one of the function's: the call's, or the
 * default; *given is false where it has neither, which leaves the attribute out. */
static enum sal_status refer(struct sal_inliner *in, struct sal_inline_scope *scope,
                             struct sal_onnx_attr *attr, bool *given)
{
    const struct sal_inline_call *call = scope->call;
    const struct sal_onnx_attr *value = sal_onnx_node_attr(call->node, attr->ref);
    const struct sal_onnx_attr *fallback = find_default(call->function, attr->ref);
    const bool declared = fallback || declares(call->function, attr->ref);
    if (!declared)
        return sal_fail(in->err, SAL_BAD_INPUT,
                        "attribute '" SAL_NAME "' refers to '" SAL_NAME
                        "', which is none of "
                        "the function's",
                        attr->name, attr->ref);
    bool own = !value;
    value = value ? value : fallback;
    *given = value != NULL;
    if (!value)
        return SAL_OK;
    if (value->ref)
        return sal_fail(in->err, SAL_BAD_INPUT,
                        "attribute '" SAL_NAME "' refers to a reference", attr->name);
    if (attr->type && attr->type != value->type)
        return sal_fail(in->err, SAL_BAD_INPUT,
                        "attribute '" SAL_NAME "' has type %d, '" SAL_NAME
                        "' is given as type "
                        "%d",
                        attr->name, attr->type, attr->ref, value->type);
    const char *name = attr->name;
    *attr = *value;
    attr->name = name;
    return own && attr->graph ? expand_graph(in, scope, attr->graph, &attr->graph)
                              : SAL_OK;
}

static bool refers(const struct sal_onnx_node *node)
{
    for (int i = 0; i < node->n_attrs; i++) {
        if (node->attrs[i].ref || node->attrs[i].graph)
            return true;
    }
    return false;
}

/* Attributes as they are outside the function, in node->attrs. */
static enum sal_status expand_attrs(struct sal_inliner *in,
                                    struct sal_inline_scope *scope,
                                    struct sal_onnx_node *node)
{
    const struct sal_onnx_attr *from = node->attrs;
    if (!refers(node))
        return SAL_OK;
    struct sal_onnx_attr *to =
        sal_new(&in->onnx->arena, struct sal_onnx_attr, node->n_attrs);
    if (!to)
        return sal_inline_no_memory(in);
    int n = 0;
    for (int i = 0; i < node->n_attrs; i++) {
        bool given = true;
        enum sal_status status = SAL_OK;
        to[n] = from[i];
        if (from[i].ref && scope->call->function)
            status = refer(in, scope, &to[n], &given);
        else if (from[i].graph)
            status = expand_graph(in, scope, from[i].graph, &to[n].graph);
        if (status != SAL_OK)
            return status;
        n += given;
    }
    node->attrs = to;
    node->n_attrs = n;
    return SAL_OK;
}

/* ---- subgraphs ---- */

/* Inputs, initialisers and outputs under their new names. */
static enum sal_status rename_values(struct sal_inliner *in,
                                     struct sal_inline_scope *scope,
                                     struct sal_onnx_graph *graph)
{
    struct sal_arena *arena = &in->onnx->arena;
    struct sal_onnx_value *inputs =
        sal_new(arena, struct sal_onnx_value, graph->n_inputs);
    struct sal_onnx_tensor *initialisers =
        sal_new(arena, struct sal_onnx_tensor, graph->n_initialisers);
    if (!inputs || !initialisers)
        return sal_inline_no_memory(in);
    for (int i = 0; i < graph->n_inputs; i++) {
        inputs[i] = graph->inputs[i];
        inputs[i].name = rename_made(in, scope, inputs[i].name);
        if (!inputs[i].name)
            return sal_inline_no_memory(in);
    }
    for (int i = 0; i < graph->n_initialisers; i++) {
        initialisers[i] = graph->initialisers[i];
        initialisers[i].name = rename_made(in, scope, initialisers[i].name);
        if (!initialisers[i].name)
            return sal_inline_no_memory(in);
    }
    graph->inputs = inputs;
    graph->initialisers = initialisers;
    return SAL_OK;
}

static enum sal_status rename_outputs(struct sal_inliner *in,
                                      struct sal_inline_scope *scope,
                                      struct sal_onnx_graph *graph)
{
    struct sal_onnx_value *outputs =
        sal_new(&in->onnx->arena, struct sal_onnx_value, graph->n_outputs);
    if (!outputs)
        return sal_inline_no_memory(in);
    for (int i = 0; i < graph->n_outputs; i++) {
        outputs[i] = graph->outputs[i];
        outputs[i].name = rename_read(in, scope, outputs[i].name);
        if (!outputs[i].name)
            return sal_inline_no_memory(in);
    }
    graph->outputs = outputs;
    return SAL_OK;
}

static enum sal_status expand_graph(struct sal_inliner *in,
                                    struct sal_inline_scope *outer,
                                    const struct sal_onnx_graph *graph,
                                    const struct sal_onnx_graph **out)
{
    struct sal_inline_scope scope = {.outer = outer, .call = outer->call};
    struct sal_onnx_graph *copy = sal_new(&in->onnx->arena, struct sal_onnx_graph, 1);
    if (!copy)
        return sal_inline_no_memory(in);
    *copy = *graph;
    *out = copy;
    if (in->graph_depth + 1 >= SAL_ONNX_GRAPH_DEPTH_MAX)
        return sal_fail(in->err, SAL_BAD_INPUT, "graphs are nested over %d deep",
                        SAL_ONNX_GRAPH_DEPTH_MAX);
    in->graph_depth++;
    enum sal_status status = rename_values(in, &scope, copy);
    if (status == SAL_OK)
        status = sal_inline_nodes(in, &scope, copy);
    if (status == SAL_OK)
        status = rename_outputs(in, &scope, copy);
    in->graph_depth--;
    return status;
}

/* ---- nodes ---- */

enum sal_status sal_inline_lift(struct sal_inliner *in, struct sal_inline_scope *scope,
                                struct sal_onnx_node *node)
{
    const struct sal_onnx_function *function = scope->call->function;
    enum sal_status status = expand_attrs(in, scope, node);
    if (status != SAL_OK || !function)
        return status;
    node->opset =
        sal_onnx_opset_find(function->opsets, function->n_opsets, node->domain);
    if (*node->name)
        node->name = sal_arena_format(&in->onnx->arena, "%s/%s", scope->call->prefix,
                                      node->name);
    if (!node->name)
        return sal_inline_no_memory(in);
    status = rename_all(in, scope, &node->inputs, node->n_inputs, rename_read);
    if (status == SAL_OK)
        status = rename_all(in, scope, &node->outputs, node->n_outputs, rename_made);
    return status;
}
