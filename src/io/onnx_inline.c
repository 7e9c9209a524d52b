#include <string.h>

#include "onnx_naming.h"
#include "onnx_read.h"
#include "saliscope/buffer.h"

#define SCRATCH_MAX ((size_t)512 << 20)

struct inliner {
    struct sal_onnx *onnx;
    const struct sal_onnx_function *functions;
    struct sal_naming keys;  /* domain, name and overload to the function */
    struct sal_naming taken; /* every name of a value */
    struct sal_naming prefixes;
    struct sal_buffer key;
    int nodes, graph_depth; /* nodes looked at so far, calls included */
    bool told;              /* the innermost function has been named in err */
    struct sal_arena scratch;
    struct sal_error *err;
};

/* A function being put in the place of a call; the model itself at the bottom. */
struct call {
    const struct call *caller;
    int depth;
    const struct sal_onnx_function *function; /* NULL: the model */
    const struct sal_onnx_node *node; /* the call, as it is outside */
    const char *prefix;
};

/* What names mean: one for a function's body, one for each subgraph in it. Names of
 * the model itself stay as they are. */
struct scope {
    struct scope *outer; /* NULL: the body */
    const struct call *call;
    struct sal_naming names;
};

static enum sal_status no_memory(struct inliner *in)
{
    return sal_fail(in->err, SAL_LIMIT, "no memory to inline the model's functions");
}

/* ---- names ---- */

/* A new name for one that the function makes. */
static const char *rename_made(struct inliner *in, struct scope *scope, const char *name)
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
static const char *rename_read(struct inliner *in, struct scope *scope, const char *name)
{
    if (!*name || !scope->call->function)
        return name;
    struct scope *body = scope;
    for (struct scope *s = scope; s; s = s->outer) {
        int at = sal_naming_find(&s->names, name);
        if (at >= 0)
            return s->names.text[at];
        body = s;
    }
    return rename_made(in, body, name);
}

typedef const char *rename_name(struct inliner *in, struct scope *scope, const char *name);

static enum sal_status rename_all(struct inliner *in, struct scope *scope,
                                  const char *const **names, int n, rename_name *rename)
{
    const char **renamed = sal_new(&in->onnx->arena, const char *, n);
    if (!renamed)
        return no_memory(in);
    for (int i = 0; i < n; i++) {
        renamed[i] = rename(in, scope, (*names)[i]);
        if (!renamed[i])
            return no_memory(in);
    }
    *names = renamed;
    return SAL_OK;
}

/* ---- functions by name ---- */

static const char *key_of(struct inliner *in, const char *domain, const char *name,
                          const char *overload)
{
    in->key.size = 0;
    sal_buffer_format(&in->key, "%s\n%s\n%s", domain, name, overload);
    return in->key.failed ? NULL : (const char *)in->key.data;
}

static enum sal_status list_functions(struct inliner *in, int n)
{
    for (int i = 0; i < n; i++) {
        const struct sal_onnx_function *f = &in->functions[i];
        const char *key = key_of(in, f->domain, f->name, f->overload);
        if (!key)
            return no_memory(in);
        if (sal_naming_find(&in->keys, key) >= 0)
            return sal_fail(in->err, SAL_BAD_INPUT,
                            "two functions are named '" SAL_NAME "' in domain '" SAL_NAME "'",
                            f->name, f->domain);
        key = sal_arena_copy(&in->scratch, key, strlen(key));
        if (!key || sal_naming_add(&in->keys, &in->scratch, key, f->name) < 0)
            return no_memory(in);
    }
    return SAL_OK;
}

/* The function that a node calls, in *function; NULL: it is an operator. */
static enum sal_status find_function(struct inliner *in, const struct sal_onnx_node *node,
                                     const struct sal_onnx_function **function)
{
    const char *key = key_of(in, node->domain, node->op, node->overload);
    int at = key ? sal_naming_find(&in->keys, key) : -1;
    *function = at >= 0 ? &in->functions[at] : NULL;
    return key ? SAL_OK : no_memory(in);
}

/* ---- attributes ---- */

static enum sal_status expand_graph(struct inliner *in, struct scope *outer,
                                    const struct sal_onnx_graph *graph,
                                    const struct sal_onnx_graph **out);

static const struct sal_onnx_attr *find_default(const struct sal_onnx_function *function,
                                                const char *name)
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
static enum sal_status refer(struct inliner *in, struct scope *scope,
                             struct sal_onnx_attr *attr, bool *given)
{
    const struct call *call = scope->call;
    const struct sal_onnx_attr *value = sal_onnx_node_attr(call->node, attr->ref);
    const struct sal_onnx_attr *fallback = find_default(call->function, attr->ref);
    const bool declared = fallback || declares(call->function, attr->ref);
    if (!declared)
        return sal_fail(in->err, SAL_BAD_INPUT,
                        "attribute '" SAL_NAME "' refers to '" SAL_NAME "', which is none of "
                        "the function's", attr->name, attr->ref);
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
                        "attribute '" SAL_NAME "' has type %d, '" SAL_NAME "' is given as type "
                        "%d", attr->name, attr->type, attr->ref, value->type);
    const char *name = attr->name;
    *attr = *value;
    attr->name = name;
    return own && attr->graph ? expand_graph(in, scope, attr->graph, &attr->graph) : SAL_OK;
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
static enum sal_status expand_attrs(struct inliner *in, struct scope *scope,
                                    struct sal_onnx_node *node)
{
    const struct sal_onnx_attr *from = node->attrs;
    if (!refers(node))
        return SAL_OK;
    struct sal_onnx_attr *to = sal_new(&in->onnx->arena, struct sal_onnx_attr, node->n_attrs);
    if (!to)
        return no_memory(in);
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

/* ---- nodes ---- */

static enum sal_status expand_nodes(struct inliner *in, struct scope *scope,
                                    const struct sal_onnx_node *nodes, int n,
                                    struct sal_buffer *out);

static enum sal_status check_call(struct inliner *in, const struct call *caller,
                                  const struct sal_onnx_node *node,
                                  const struct sal_onnx_function *function)
{
    for (const struct call *c = caller; c; c = c->caller) {
        if (c->function == function)
            return sal_fail(in->err, SAL_BAD_INPUT,
                            "function '" SAL_NAME "' calls itself", function->name);
    }
    if (caller->depth >= SAL_ONNX_CALL_DEPTH_MAX)
        return sal_fail(in->err, SAL_BAD_INPUT, "functions call each other over %d deep",
                        SAL_ONNX_CALL_DEPTH_MAX);
    if (node->n_inputs > function->n_inputs || node->n_outputs > function->n_outputs)
        return sal_fail(in->err, SAL_BAD_INPUT,
                        "function '" SAL_NAME "' has %d inputs and %d outputs, the call %d "
                        "and %d", function->name, function->n_inputs, function->n_outputs,
                        node->n_inputs, node->n_outputs);
    return SAL_OK;
}

static enum sal_status bind_inputs(struct inliner *in, struct scope *body)
{
    const struct sal_onnx_function *function = body->call->function;
    const struct sal_onnx_node *node = body->call->node;
    for (int i = 0; i < function->n_inputs; i++) {
        const char *formal = function->inputs[i];
        if (!*formal || sal_naming_find(&body->names, formal) >= 0)
            return sal_fail(in->err, SAL_BAD_INPUT, "input %d of function '" SAL_NAME
                            "' has no name of its own", i, function->name);
        const char *actual = i < node->n_inputs ? node->inputs[i] : "";
        if (sal_naming_add(&body->names, &in->scratch, formal, actual) < 0)
            return no_memory(in);
    }
    return SAL_OK;
}

/* A value under a second name. */
static enum sal_status pass_on(struct inliner *in, const struct call *call,
                               const char *from, const char *to, struct sal_buffer *out)
{
    const char **names = sal_new(&in->onnx->arena, const char *, 2);
    if (!names)
        return no_memory(in);
    names[0] = from;
    names[1] = to;
    struct sal_onnx_node identity = {
        .op = "Identity", .domain = "", .name = call->prefix, .overload = "",
        .inputs = names, .outputs = names + 1, .n_inputs = 1, .n_outputs = 1,
    };
    sal_buffer_append(out, &identity, sizeof identity);
    return SAL_OK;
}

/* The body makes the call's outputs under the call's names. An output that is also
 * an input, or the same value a second time, is passed on. */
static enum sal_status bind_outputs(struct inliner *in, struct scope *body,
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
            status = pass_on(in, body->call, body->names.text[at], node->outputs[i], passed);
        else if (sal_naming_add(&body->names, &in->scratch, formal, node->outputs[i]) < 0)
            return no_memory(in);
    }
    return status;
}

/* The name of the call, or "output/Operator" where it has none. A call that is inside
 * a function has a name that starts with that call's prefix. */
static const char *prefix_of(struct inliner *in, const struct sal_onnx_node *node)
{
    const char *base = sal_onnx_node_label(node);
    if (!*node->name)
        base = sal_arena_format(&in->onnx->arena, "%s%s%s", base, *base ? "/" : "", node->op);
    return base ? sal_naming_unique(&in->prefixes, &in->onnx->arena, &in->scratch, base)
                : NULL;
}

static enum sal_status expand_call(struct inliner *in, const struct call *caller,
                                   const struct sal_onnx_node *node,
                                   const struct sal_onnx_function *function,
                                   struct sal_buffer *out)
{
    enum sal_status status = check_call(in, caller, node, function);
    if (status != SAL_OK)
        return status;
    struct call call = {caller, caller->depth + 1, function, node, prefix_of(in, node)};
    struct scope body = {.call = &call};
    struct sal_buffer passed = {0};
    if (!call.prefix)
        return no_memory(in);
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

/* A node as it is outside its function. */
static enum sal_status lift(struct inliner *in, struct scope *scope,
                            struct sal_onnx_node *node)
{
    const struct sal_onnx_function *function = scope->call->function;
    enum sal_status status = expand_attrs(in, scope, node);
    if (status != SAL_OK || !function)
        return status;
    node->opset = sal_onnx_opset_find(function->opsets, function->n_opsets, node->domain);
    if (*node->name)
        node->name = sal_arena_format(&in->onnx->arena, "%s/%s", scope->call->prefix,
                                      node->name);
    if (!node->name)
        return no_memory(in);
    status = rename_all(in, scope, &node->inputs, node->n_inputs, rename_read);
    if (status == SAL_OK)
        status = rename_all(in, scope, &node->outputs, node->n_outputs, rename_made);
    return status;
}

static enum sal_status expand_node(struct inliner *in, struct scope *scope,
                                   const struct sal_onnx_node *from, struct sal_buffer *out)
{
    struct sal_onnx_node node = *from;
    const struct sal_onnx_function *called;
    if (++in->nodes > SAL_ONNX_NODES_MAX)
        return sal_fail(in->err, SAL_BAD_INPUT,
                        "more than %d nodes when its functions are inlined",
                        SAL_ONNX_NODES_MAX);
    enum sal_status status = lift(in, scope, &node);
    if (status == SAL_OK)
        status = find_function(in, &node, &called);
    if (status == SAL_OK && called)
        return expand_call(in, scope->call, &node, called, out);
    sal_buffer_append(out, &node, sizeof node);
    return status;
}

static enum sal_status expand_nodes(struct inliner *in, struct scope *scope,
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
    return sal_fail_within(in->err, status, "function '" SAL_NAME "', node '" SAL_NAME "'",
                           function->name, sal_onnx_node_label(&nodes[i - 1]));
}

/* ---- graphs ---- */

/* Inputs, initialisers and outputs under their new names. */
static enum sal_status rename_values(struct inliner *in, struct scope *scope,
                                     struct sal_onnx_graph *graph)
{
    struct sal_arena *arena = &in->onnx->arena;
    struct sal_onnx_value *inputs = sal_new(arena, struct sal_onnx_value, graph->n_inputs);
    struct sal_onnx_tensor *initialisers =
        sal_new(arena, struct sal_onnx_tensor, graph->n_initialisers);
    if (!inputs || !initialisers)
        return no_memory(in);
    for (int i = 0; i < graph->n_inputs; i++) {
        inputs[i] = graph->inputs[i];
        inputs[i].name = rename_made(in, scope, inputs[i].name);
        if (!inputs[i].name)
            return no_memory(in);
    }
    for (int i = 0; i < graph->n_initialisers; i++) {
        initialisers[i] = graph->initialisers[i];
        initialisers[i].name = rename_made(in, scope, initialisers[i].name);
        if (!initialisers[i].name)
            return no_memory(in);
    }
    graph->inputs = inputs;
    graph->initialisers = initialisers;
    return SAL_OK;
}

static enum sal_status rename_outputs(struct inliner *in, struct scope *scope,
                                      struct sal_onnx_graph *graph)
{
    struct sal_onnx_value *outputs =
        sal_new(&in->onnx->arena, struct sal_onnx_value, graph->n_outputs);
    if (!outputs)
        return no_memory(in);
    for (int i = 0; i < graph->n_outputs; i++) {
        outputs[i] = graph->outputs[i];
        outputs[i].name = rename_read(in, scope, outputs[i].name);
        if (!outputs[i].name)
            return no_memory(in);
    }
    graph->outputs = outputs;
    return SAL_OK;
}

static enum sal_status replace_nodes(struct inliner *in, struct scope *scope,
                                     struct sal_onnx_graph *graph)
{
    struct sal_buffer out = {0};
    enum sal_status status = expand_nodes(in, scope, graph->nodes, graph->n_nodes, &out);
    size_t n = out.size / sizeof(struct sal_onnx_node);
    struct sal_onnx_node *nodes = sal_new(&in->onnx->arena, struct sal_onnx_node, n);
    if (status == SAL_OK && (out.failed || !nodes))
        status = no_memory(in);
    if (status == SAL_OK && n)
        memcpy(nodes, out.data, out.size);
    sal_buffer_release(&out);
    graph->nodes = nodes;
    graph->n_nodes = (int)n;
    return status;
}

static enum sal_status expand_graph(struct inliner *in, struct scope *outer,
                                    const struct sal_onnx_graph *graph,
                                    const struct sal_onnx_graph **out)
{
    struct scope scope = {.outer = outer, .call = outer->call};
    struct sal_onnx_graph *copy = sal_new(&in->onnx->arena, struct sal_onnx_graph, 1);
    if (!copy)
        return no_memory(in);
    *copy = *graph;
    *out = copy;
    if (in->graph_depth + 1 >= SAL_ONNX_GRAPH_DEPTH_MAX)
        return sal_fail(in->err, SAL_BAD_INPUT, "graphs are nested over %d deep",
                        SAL_ONNX_GRAPH_DEPTH_MAX);
    in->graph_depth++;
    enum sal_status status = rename_values(in, &scope, copy);
    if (status == SAL_OK)
        status = replace_nodes(in, &scope, copy);
    if (status == SAL_OK)
        status = rename_outputs(in, &scope, copy);
    in->graph_depth--;
    return status;
}

/* ---- the model ---- */

static bool take(struct inliner *in, const char *name)
{
    return !*name || sal_naming_find(&in->taken, name) >= 0 ||
           sal_naming_add(&in->taken, &in->scratch, name, name) >= 0;
}

/* Every name that a value of the model has, so that no new one is like it. */
static bool take_names(struct inliner *in, const struct sal_onnx_graph *graph)
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
    struct inliner in = {.onnx = onnx, .functions = functions, .err = err,
                         .scratch.limit = SCRATCH_MAX};
    struct call model = {0};
    struct scope scope = {.call = &model};
    enum sal_status status = take_names(&in, &onnx->graph) ? SAL_OK : no_memory(&in);
    if (status == SAL_OK)
        status = list_functions(&in, n_functions);
    if (status == SAL_OK)
        status = replace_nodes(&in, &scope, &onnx->graph);
    sal_buffer_release(&in.key);
    sal_arena_release(&in.scratch);
    return status;
}
