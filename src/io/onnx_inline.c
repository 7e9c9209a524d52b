#include "onnx_inline.h"

#include <string.h>

#define SCRATCH_MAX ((size_t)512 << 20)

enum sal_status sal_inline_no_memory(struct sal_inliner *in)
{
    return sal_fail(in->err, SAL_LIMIT, "no memory to inline the model's functions");
}

/* ---- functions by name ---- */

static const char *key_of(struct sal_inliner *in, const char *domain, const char *name,
                          const char *overload)
{
    in->key.size = 0;
    sal_buffer_format(&in->key, "%s\n%s\n%s", domain, name, overload);
    return in->key.failed ? NULL : (const char *)in->key.data;
}

static enum sal_status list_functions(struct sal_inliner *in, int n)
{
    for (int i = 0; i < n; i++) {
        const struct sal_onnx_function *f = &in->functions[i];
        const char *key = key_of(in, f->domain, f->name, f->overload);
        if (!key)
            return sal_inline_no_memory(in);
        if (sal_naming_find(&in->keys, key) >= 0)
            return sal_fail(in->err, SAL_BAD_INPUT,
                            "two functions are named '" SAL_NAME
                            "' in domain '" SAL_NAME "'",
                            f->name, f->domain);
        key = sal_arena_copy(&in->scratch, key, strlen(key));
        if (!key || sal_naming_add(&in->keys, &in->scratch, key, f->name) < 0)
            return sal_inline_no_memory(in);
    }
    return SAL_OK;
}

/* The function that a node calls, in *function; NULL: it is an operator. */
static enum sal_status find_function(struct sal_inliner *in,
                                     const struct sal_onnx_node *node,
                                     const struct sal_onnx_function **function)
{
    const char *key = key_of(in, node->domain, node->op, node->overload);
    int at = key ? sal_naming_find(&in->keys, key) : -1;
    *function = at >= 0 ? &in->functions[at] : NULL;
    return key ? SAL_OK : sal_inline_no_memory(in);
}

/* ---- nodes ---- */

static enum sal_status expand_nodes(struct sal_inliner *in,
                                    struct sal_inline_scope *scope,
                                    const struct sal_onnx_node *nodes, int n,
                                    struct sal_buffer *out);

static enum sal_status check_call(struct sal_inliner *in,
                                  const struct sal_inline_call *caller,
                                  const struct sal_onnx_node *node,
                                  const struct sal_onnx_function *function)
{
    for (const struct sal_inline_call *c = caller; c; c = c->caller) {
        if (c->function == function)
            return sal_fail(in->err, SAL_BAD_INPUT,
                            "function '" SAL_NAME "' calls itself", function->name);
    }
    if (caller->depth >= SAL_ONNX_CALL_DEPTH_MAX)
        return sal_fail(in->err, SAL_BAD_INPUT,
                        "functions call each other over %d deep",
                        SAL_ONNX_CALL_DEPTH_MAX);
    if (node->n_inputs > function->n_inputs || node->n_outputs > function->n_outputs)
        return sal_fail(in->err, SAL_BAD_INPUT,
                        "function '" SAL_NAME
                        "' has %d inputs and %d outputs, the call %d "
                        "and %d",
                        function->name, function->n_inputs, function->n_outputs,
                        node->n_inputs, node->n_outputs);
    return SAL_OK;
}

static enum sal_status bind_inputs(struct sal_inliner *in,
                                   struct sal_inline_scope *body)
{
    const struct sal_onnx_function *function = body->call->function;
    const struct sal_onnx_node *node = body->call->node;
    for (int i = 0; i < function->n_inputs; i++) {
        const char *formal = function->inputs[i];
        if (!*formal || sal_naming_find(&body->names, formal) >= 0)
            return sal_fail(in->err, SAL_BAD_INPUT,
                            "input %d of function '" SAL_NAME
                            "' has no name of its own",
                            i, function->name);
        const char *actual = i < node->n_inputs ? node->inputs[i] : "";
        if (sal_naming_add(&body->names, &in->scratch, formal, actual) < 0)
            return sal_inline_no_memory(in);
    }
    return SAL_OK;
}

/* A value under a second name. */
static enum sal_status pass_on(struct sal_inliner *in,
                               const struct sal_inline_call *call, const char *from,
                               const char *to, struct sal_buffer *out)
{
    const char **names = sal_new(&in->onnx->arena, const char *, 2);
    if (!names)
        return sal_inline_no_memory(in);
    names[0] = from;
    names[1] = to;
    struct sal_onnx_node identity = {
        .op = "Identity",
        .domain = "",
        .name = call->prefix,
        .overload = "",
        .inputs = names,
        .outputs = names + 1,
        .n_inputs = 1,
        .n_outputs = 1,
    };
    sal_buffer_append(out, &identity, sizeof identity);
    return SAL_OK;
}

/* The body makes the call's outputs under the call's names. An output that is also
 * an input, or the same value a second time, is passed on. */
static enum sal_status bind_outputs(struct sal_inliner *in,
                                    struct sal_inline_scope *body,
                                    struct sal_buffer *passed)
{
    const struct sal_onnx_function *function = body->call->function;
    const struct sal_onnx_node *node = body->call->node;
    enum sal_status status = SAL_OK;
    for (int i = 0; i < node->n_outputs && status == SAL_OK; i++) {
        const char *formal = function->outputs[i];
        if (!*node->outputs[i])
            continue;
        int at = sal_naming_find(&body->names, formal);
        if (at >= 0)
            status =
                pass_on(in, body->call, body->names.text[at], node->outputs[i], passed);
        else if (sal_naming_add(&body->names, &in->scratch, formal, node->outputs[i]) <
                 0)
            return sal_inline_no_memory(in);
    }
    return status;
}

/* The name of the call, or "output/Operator" where it has none. A call that is inside
 * a function has a name that starts with that call's prefix. */
static const char *prefix_of(struct sal_inliner *in, const struct sal_onnx_node *node)
{
    const char *base = sal_onnx_node_label(node);
    if (!*node->name)
        base = sal_arena_format(&in->onnx->arena, "%s%s%s", base, *base ? "/" : "",
                                node->op);
    return base ? sal_naming_unique(&in->prefixes, &in->onnx->arena, &in->scratch, base)
                : NULL;
}

static enum sal_status expand_call(struct sal_inliner *in,
                                   const struct sal_inline_call *caller,
                                   const struct sal_onnx_node *node,
                                   const struct sal_onnx_function *function,
                                   struct sal_buffer *out)
{
    enum sal_status status = check_call(in, caller, node, function);
    if (status != SAL_OK)
        return status;
    struct sal_inline_call call = {caller, caller->depth + 1, function, node,
                                   prefix_of(in, node)};
    struct sal_inline_scope body = {.call = &call};
    struct sal_buffer passed = {0};
    if (!call.prefix)
        return sal_inline_no_memory(in);
    status = bind_inputs(in, &body);
    if (status == SAL_OK)
        status = bind_outputs(in, &body, &passed);
    if (status == SAL_OK)
        status = expand_nodes(in, &body, function->nodes, function->n_nodes, out);
    sal_buffer_append(out, passed.data, passed.size);
    out->failed |= passed.failed;
    sal_buffer_release(&passed);
    return status;
}

static enum sal_status expand_node(struct sal_inliner *in,
                                   struct sal_inline_scope *scope,
                                   const struct sal_onnx_node *from,
                                   struct sal_buffer *out)
{
    struct sal_onnx_node node = *from;
    const struct sal_onnx_function *called;
    if (++in->nodes > SAL_ONNX_NODES_MAX)
        return sal_fail(in->err, SAL_BAD_INPUT,
                        "more than %d nodes when its functions are inlined",
                        SAL_ONNX_NODES_MAX);
    enum sal_status status = sal_inline_lift(in, scope, &node);
    if (status == SAL_OK)
        status = find_function(in, &node, &called);
    if (status == SAL_OK && called)
        return expand_call(in, scope->call, &node, called, out);
    sal_buffer_append(out, &node, sizeof node);
    return status;
}

static enum sal_status expand_nodes(struct sal_inliner *in,
                                    struct sal_inline_scope *scope,
                                    const struct sal_onnx_node *nodes, int n,
                                    struct sal_buffer *out)
{
    enum sal_status status = SAL_OK;
    int i = 0;
    while (i < n && status == SAL_OK)
        status = expand_node(in, scope, &nodes[i++], out);
    const struct sal_onnx_function *function = scope->call->function;
    if (status == SAL_OK || !function || scope->outer || in->told)
        return status;
    in->told = true;
    return sal_fail_within(in->err, status,
                           "function '" SAL_NAME "', node '" SAL_NAME "'",
                           function->name, sal_onnx_node_label(&nodes[i - 1]));
}

enum sal_status sal_inline_nodes(struct sal_inliner *in, struct sal_inline_scope *scope,
                                 struct sal_onnx_graph *graph)
{
    struct sal_buffer out = {0};
    enum sal_status status =
        expand_nodes(in, scope, graph->nodes, graph->n_nodes, &out);
    size_t n = out.size / sizeof(struct sal_onnx_node);
    struct sal_onnx_node *nodes = sal_new(&in->onnx->arena, struct sal_onnx_node, n);
    if (status == SAL_OK && (out.failed || !nodes))
        status = sal_inline_no_memory(in);
    if (status == SAL_OK && n)
        memcpy(nodes, out.data, out.size);
    sal_buffer_release(&out);
    graph->nodes = nodes;
    graph->n_nodes = (int)n;
    return status;
}

/* ---- the model ---- */

static bool take(struct sal_inliner *in, const char *name)
{
    return !*name || sal_naming_find(&in->taken, name) >= 0 ||
           sal_naming_add(&in->taken, &in->scratch, name, name) >= 0;
}

/* Every name that a value of the model has, so that no new one is like it. */
static bool take_names(struct sal_inliner *in, const struct sal_onnx_graph *graph)
{
    bool done = true;
    for (int i = 0; i < graph->n_inputs; i++)
        done = done && take(in, graph->inputs[i].name);
    for (int i = 0; i < graph->n_initialisers; i++)
        done = done && take(in, graph->initialisers[i].name);
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct sal_onnx_node *node = &graph->nodes[i];
        for (int k = 0; k < node->n_outputs; k++)
            done = done && take(in, node->outputs[k]);
        for (int k = 0; k < node->n_attrs && done; k++)
            done = !node->attrs[k].graph || take_names(in, node->attrs[k].graph);
    }
    return done;
}

enum sal_status sal_onnx_inline(struct sal_onnx *onnx,
                                const struct sal_onnx_function *functions,
                                int n_functions, struct sal_error *err)
{
    if (n_functions == 0)
        return SAL_OK;
    struct sal_inliner in = {
        .onnx = onnx, .functions = functions, .err = err, .scratch.limit = SCRATCH_MAX};
    struct sal_inline_call model = {0};
    struct sal_inline_scope scope = {.call = &model};
    enum sal_status status =
        take_names(&in, &onnx->graph) ? SAL_OK : sal_inline_no_memory(&in);
    if (status == SAL_OK)
        status = list_functions(&in, n_functions);
    if (status == SAL_OK)
        status = sal_inline_nodes(&in, &scope, &onnx->graph);
    sal_buffer_release(&in.key);
    sal_arena_release(&in.scratch);
    return status;
}
