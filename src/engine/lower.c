#include "lower.h"

#include <string.h>

#include "inner_reorder.h"
#include "kernel.h"
#include "stored.h"

/* The first that takes a node has it. */
static const struct sal_rule *const rules[] = {
    &sal_lower_conv,
    &sal_lower_affine,
    &sal_lower_concat,
    &sal_lower_pool,
    &sal_lower_linear,
    &sal_lower_gelu,
    &sal_lower_swish,
    &sal_lower_rows,
    &sal_lower_attention,
    &sal_lower_pointwise,
};

enum sal_status sal_lower_no_memory(struct sal_lowering *l)
{
    return sal_fail(l->err, SAL_LIMIT, "no memory for the run's graph");
}

/* ---- looking ----------------------------------------------------------------------- */

bool sal_lower_is(const struct sal_lowering *l, int i, const char *name)
{
    return i >= 0 && !l->from->nodes[i].ruled && strcmp(l->from->nodes[i].op->name, name) == 0;
}

int sal_lower_next(const struct sal_lowering *l, int i)
{
    const struct sal_node *node = &l->from->nodes[i];
    int out = node->out[0];
    if (out < 0 || l->uses[out] != 1 || l->options->kept[out])
        return -1;
    int next = l->user[out], chain = l->owner[i] < 0 ? i : l->owner[i];
    return !l->from->nodes[next].ruled && sal_lower_is_free(l, next, chain) ? next : -1;
}

const struct sal_tensor *sal_lower_constant(const struct sal_lowering *l, int v)
{
    const struct sal_tensor *tensor = v < 0 ? NULL : sal_lower_tensor(l, v);
    return tensor && tensor->data && tensor->kind == SAL_REAL ? tensor : NULL;
}

const sal_real *sal_lower_reals(const struct sal_lowering *l, int v)
{
    const struct sal_tensor *tensor = sal_lower_tensor(l, v);
    sal_stored_read(tensor, NULL);
    return tensor->real;
}

bool sal_lower_blockable(const struct sal_lowering *l, int v)
{
    const struct sal_tensor *tensor = v < 0 ? NULL : sal_lower_tensor(l, v);
    return tensor && !tensor->data && tensor->kind == SAL_REAL && tensor->shape.rank == 4;
}

/* ---- emitting ------------------------------------------------------------------------ */

int sal_lower_value(struct sal_lowering *l, const char *name, const struct sal_shape *shape)
{
    struct sal_graph *to = l->to;
    if (to->n_values == l->values_room) {
        int room = l->values_room * 2;
        struct sal_value *values = sal_new(&to->arena, struct sal_value, room);
        if (!values)
            return -1;
        memcpy(values, to->values, sizeof(*values) * (size_t)to->n_values);
        to->values = values;
        l->values_room = room;
    }
    to->values[to->n_values] = (struct sal_value){
        .name = name,
        .tensor = {.kind = SAL_REAL, .type = SAL_ONNX_FLOAT, .shape = *shape},
        .producer = -1,
        .made_by = "",
        .node_name = "",
        .live = true,
    };
    return to->n_values++;
}

enum sal_status sal_lower_data(struct sal_lowering *l, const char *name,
                               const struct sal_shape *shape, const sal_real *data, int *id)
{
    *id = sal_lower_value(l, name, shape);
    if (*id < 0)
        return sal_lower_no_memory(l);
    l->to->values[*id].tensor.real = (sal_real *)(uintptr_t)data;
    return SAL_OK;
}

enum sal_status sal_lower_save(struct sal_lowering *l, const char *name, int64_t bytes)
{
    struct sal_shape shape = sal_saved_shape(bytes);
    l->saved = sal_lower_value(l, name, &shape);
    if (l->saved < 0)
        return sal_lower_no_memory(l);
    l->to->values[l->saved].tensor.kind = SAL_INT;
    l->to->values[l->saved].tensor.type = SAL_ONNX_INT64;
    return SAL_OK;
}

static struct sal_node *new_node(struct sal_lowering *l)
{
    struct sal_graph *to = l->to;
    if (to->n_nodes == l->nodes_room) {
        int room = l->nodes_room * 2;
        struct sal_node *nodes = sal_new(&to->arena, struct sal_node, room);
        if (!nodes)
            return NULL;
        memcpy(nodes, to->nodes, sizeof(*nodes) * (size_t)to->n_nodes);
        to->nodes = nodes;
        l->nodes_room = room;
    }
    return &to->nodes[to->n_nodes++];
}

enum sal_status sal_lower_emit(struct sal_lowering *l, const struct sal_op *op,
                               const char *name, const void *attr, const int *in, int n_in,
                               int out)
{
    int *ids = sal_new(&l->to->arena, int, n_in + 2);
    struct sal_node *node = ids ? new_node(l) : NULL;
    if (!node)
        return sal_lower_no_memory(l);
    memcpy(ids, in, sizeof(*ids) * (size_t)n_in);
    ids[n_in] = out;
    ids[n_in + 1] = l->saved;
    *node = (struct sal_node){.op = op,
                              .name = name,
                              .opset = SAL_OPSET_MAX,
                              .n_in = n_in,
                              .n_out = l->saved < 0 ? 1 : 2,
                              .in = ids,
                              .out = ids + n_in,
                              .attr = attr};
    for (int j = 0; j < node->n_out; j++) {
        l->to->values[node->out[j]].producer = l->to->n_nodes - 1;
        l->to->values[node->out[j]].live = true;
    }
    l->saved = -1;
    return SAL_OK;
}

static struct sal_blocked blocked_of(const struct sal_lowering *l, int v)
{
    const int64_t *dim = sal_lower_tensor(l, v)->shape.dim;
    return (struct sal_blocked){dim[0], dim[1], dim[2], dim[3]};
}

static int new_twin(struct sal_lowering *l, int v)
{
    struct sal_blocked blocked = blocked_of(l, v);
    struct sal_shape shape = sal_blocked_shape(&blocked);
    return l->blocked[v] = sal_lower_value(l, l->from->values[v].name, &shape);
}

static enum sal_status reorder(struct sal_lowering *l, const struct sal_op *op, int v, int in,
                               int out)
{
    struct sal_blocked *attr = sal_new(&l->to->arena, struct sal_blocked, 1);
    if (!attr)
        return sal_lower_no_memory(l);
    *attr = blocked_of(l, v);
    return sal_lower_emit(l, op, l->from->values[v].name, attr, &in, 1, out);
}

enum sal_status sal_lower_plain(struct sal_lowering *l, int v)
{
    if (v < 0 || l->plain[v])
        return SAL_OK;
    l->plain[v] = true;
    return reorder(l, &sal_inner_unblock, v, l->blocked[v], v);
}

enum sal_status sal_lower_blocked(struct sal_lowering *l, int v, int *twin)
{
    enum sal_status status = SAL_OK;
    if (l->blocked[v] < 0)
        status = new_twin(l, v) < 0 ? sal_lower_no_memory(l)
                                    : reorder(l, &sal_inner_block, v, v, l->blocked[v]);
    *twin = l->blocked[v];
    return status;
}

enum sal_status sal_lower_emit_plain(struct sal_lowering *l, const struct sal_op *op,
                                     const char *name, const void *attr, const int *in,
                                     int n_in, int v)
{
    l->plain[v] = true;
    return sal_lower_emit(l, op, name, attr, in, n_in, v);
}

enum sal_status sal_lower_emit_blocked(struct sal_lowering *l, const struct sal_op *op,
                                       const char *name, const void *attr, const int *in,
                                       int n_in, int v)
{
    int twin = new_twin(l, v);
    if (twin < 0)
        return sal_lower_no_memory(l);
    enum sal_status status = sal_lower_emit(l, op, name, attr, in, n_in, twin);
    if (status || !l->options->kept[v])
        return status;
    status = sal_lower_plain(l, v);
    l->blocked[v] = -1;
    return status;
}

void sal_lower_fold(struct sal_lowering *l, const int *nodes, int n)
{
    for (int i = 0; i < n; i++) {
        l->folded[nodes[i]] = i < n - 1;
        l->owner[nodes[i]] = nodes[0];
    }
    l->ends[nodes[n - 1]] = nodes[0];
}

/* ---- all nodes ----------------------------------------------------------------------- */

/* As it is, on plain values. */
static enum sal_status copy_node(struct sal_lowering *l, int i)
{
    const struct sal_node *source = &l->from->nodes[i];
    enum sal_status status = SAL_OK;
    for (int j = 0; j < source->n_in && !status; j++)
        status = sal_lower_plain(l, source->in[j]);
    struct sal_node *node = status ? NULL : new_node(l);
    if (!node)
        return status ? status : sal_lower_no_memory(l);
    *node = *source;
    for (int j = 0; j < source->n_out; j++)
        if (source->out[j] >= 0) {
            l->plain[source->out[j]] = true;
            l->to->values[source->out[j]].producer = l->to->n_nodes - 1;
            l->to->values[source->out[j]].live = true;
        }
    return SAL_OK;
}

static enum sal_status lower_node(struct sal_lowering *l, int i)
{
    int head = l->ends[i] < 0 ? i : l->ends[i];
    if (l->folded[i])
        return SAL_OK;
    bool taken = false;
    for (size_t r = 0; r < sizeof(rules) / sizeof(*rules) && !l->from->nodes[i].ruled; r++) {
        enum sal_status status = rules[r]->lower(l, head, i, &taken);
        if (status || taken)
            return status;
    }
    return copy_node(l, i);
}

static void count_uses(struct sal_lowering *l)
{
    const struct sal_graph *from = l->from;
    for (int i = 0; i < from->n_nodes; i++)
        for (int j = 0; j < from->nodes[i].n_in; j++) {
            int v = from->nodes[i].in[j];
            if (v >= 0) {
                l->uses[v]++;
                l->user[v] = i;
            }
        }
}

static void mark_followers(struct sal_lowering *l)
{
    const struct sal_graph *from = l->from;
    const bool *wrt = l->options->wrt;
    for (int v = 0; wrt && v < from->n_values; v++)
        l->follows[v] = wrt[v];
    for (int i = 0; wrt && i < from->n_nodes; i++) {
        const struct sal_node *node = &from->nodes[i];
        bool follows = false;
        for (int j = 0; j < node->n_in; j++)
            follows |= node->in[j] >= 0 && l->follows[node->in[j]];
        for (int j = 0; j < node->n_out; j++)
            if (node->out[j] >= 0)
                l->follows[node->out[j]] |= follows;
    }
}

static enum sal_status begin(struct sal_lowering *l)
{
    const struct sal_graph *from = l->from;
    int n = from->n_values, nodes = from->n_nodes;
    struct sal_arena *a = &l->scratch;
    l->saved = -1;
    l->values_room = 2 * n + 1;
    l->nodes_room = 2 * nodes + 1;
    l->to->values = sal_new(&l->to->arena, struct sal_value, l->values_room);
    l->to->nodes = sal_new(&l->to->arena, struct sal_node, l->nodes_room);
    l->blocked = sal_new(a, int, n);
    l->plain = sal_new(a, bool, n);
    l->follows = sal_new(a, bool, n);
    l->uses = sal_new(a, int, n);
    l->user = sal_new(a, int, n);
    l->ends = sal_new(a, int, nodes);
    l->owner = sal_new(a, int, nodes);
    l->folded = sal_new(a, bool, nodes);
    if (!l->to->values || !l->to->nodes || !l->blocked || !l->plain || !l->follows || !l->uses || !l->user ||
        !l->ends || !l->owner || !l->folded)
        return sal_lower_no_memory(l);
    memcpy(l->to->values, from->values, sizeof(*from->values) * (size_t)n);
    l->to->n_values = n;
    for (int v = 0; v < n; v++) {
        struct sal_value *value = &l->to->values[v];
        l->blocked[v] = -1;
        l->plain[v] = value->tensor.data || value->producer < 0;
        value->live = value->live && l->plain[v];
        value->producer = -1;
    }
    for (int i = 0; i < nodes; i++)
        l->ends[i] = l->owner[i] = -1;
    count_uses(l);
    mark_followers(l);
    return SAL_OK;
}

/* Drops nodes that nobody reads: rules may have gone past them. */
static enum sal_status sweep(struct sal_lowering *l)
{
    struct sal_graph *to = l->to;
    bool *needed = sal_new(&l->scratch, bool, to->n_values);
    bool *stays = sal_new(&l->scratch, bool, to->n_nodes);
    if (!needed || !stays)
        return sal_lower_no_memory(l);
    memcpy(needed, l->options->kept, sizeof(*needed) * (size_t)l->from->n_values);
    for (int i = to->n_nodes - 1; i >= 0; i--) {
        const struct sal_node *node = &to->nodes[i];
        for (int j = 0; j < node->n_out; j++)
            stays[i] |= node->out[j] >= 0 && needed[node->out[j]];
        for (int j = 0; j < node->n_in && stays[i]; j++)
            if (node->in[j] >= 0)
                needed[node->in[j]] = true;
    }
    int n = 0;
    for (int i = 0; i < to->n_nodes; i++) {
        const struct sal_node node = to->nodes[i];
        for (int j = 0; j < node.n_out; j++)
            if (node.out[j] >= 0) {
                to->values[node.out[j]].producer = stays[i] ? n : -1;
                to->values[node.out[j]].live = stays[i];
            }
        if (stays[i])
            to->nodes[n++] = node;
    }
    to->n_nodes = n;
    return SAL_OK;
}

static enum sal_status lower_all(struct sal_lowering *l)
{
    const struct sal_graph *from = l->from;
    enum sal_status status = begin(l);
    for (int i = 0; i < from->n_nodes && !status; i++)
        status = lower_node(l, i);
    for (int v = 0; v < from->n_values && !status; v++)
        if (l->options->kept[v] && l->blocked[v] >= 0)
            status = sal_lower_plain(l, v);
    return status ? status : sweep(l);
}

enum sal_status sal_lower(struct sal_graph *to, const struct sal_graph *from,
                          const struct sal_lower_options *options, struct sal_error *err)
{
    *to = (struct sal_graph){.inputs = from->inputs,
                             .n_inputs = from->n_inputs,
                             .outputs = from->outputs,
                             .n_outputs = from->n_outputs,
                             .parameters = from->parameters};
    struct sal_lowering l = {.from = from, .to = to, .options = options, .err = err};
    enum sal_status status = lower_all(&l);
    sal_arena_release(&l.scratch);
    if (status)
        sal_graph_release(to);
    return status;
}
