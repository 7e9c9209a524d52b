#include "propagation.h"

#include <stdlib.h>
#include <string.h>

#include "lower.h"
#include "real.h"
#include "stored.h"

struct making {
    const struct sal_graph *from;
    struct sal_graph *to;
    const struct sal_propagation *propagation;
    const struct sal_lrp *lrp;
    const bool *kept;
    struct sal_error *err;
    int *uses;    /* [n_values] */
    int *user;    /* [n_values] a node that uses it */
    bool *moved;  /* [n_values] the image, its elements only moved */
    bool *scaled; /* [n_values] the same, perhaps normalised with constants */
    bool *gone;   /* [n_nodes] merged into an earlier one */
};

/* A row of its own for one node. */
struct ruled_node {
    struct sal_op op;
    struct sal_ruled ruled;
    const struct sal_propagation_row *row;
    struct sal_node whole; /* of one that is apart: as it would be without that */
};

static enum sal_status no_memory(const struct making *m)
{
    return sal_fail(m->err, SAL_LIMIT, "no memory for the run's graph");
}

/* ---- what rules ask ------------------------------------------------------------------ */

bool sal_is_computed(const struct sal_graph *graph, const struct sal_node *node, int i)
{
    const struct sal_tensor *tensor =
        i < node->n_in && node->in[i] >= 0 ? &graph->values[node->in[i]].tensor : NULL;
    return tensor && !tensor->data && tensor->kind == SAL_REAL;
}

int sal_count_computed(const struct sal_graph *graph, const struct sal_node *node)
{
    int n = 0;
    for (int i = 0; i < node->n_in; i++)
        n += sal_is_computed(graph, node, i);
    return n;
}

bool sal_is_map_of_one(const struct sal_graph *graph, const struct sal_node *node)
{
    if (sal_count_computed(graph, node) != 1 || node->out[0] < 0)
        return false;
    int i = 0;
    while (!sal_is_computed(graph, node, i))
        i++;
    return sal_shape_equal(&graph->values[node->in[i]].tensor.shape,
                           &graph->values[node->out[0]].tensor.shape);
}

int sal_wanted(const struct sal_kernel *k)
{
    for (int i = 0; i < k->node->n_in; i++)
        if (k->dx[i])
            return i;
    return -1;
}

/* ---- kernels --------------------------------------------------------------------------- */

static size_t own_scratch(const struct sal_kernel *k, bool backward)
{
    const struct sal_op *own = k->node->ruled->own;
    return own->scratch ? own->scratch(k, backward) : 0;
}

/* Both ways: rules also go forward. */
static size_t own_stride(const struct sal_kernel *k)
{
    size_t there = own_scratch(k, false), back = own_scratch(k, true);
    return there > back ? there : back;
}

static const struct ruled_node *ruled_of(const struct sal_kernel *k)
{
    return (const struct ruled_node *)(const void *)k->node->op;
}

/* The call of a node that is apart, without what comes from the operator's own. */
static struct sal_kernel whole_call(const struct sal_kernel *k)
{
    struct sal_kernel whole = *k;
    whole.node = &ruled_of(k)->whole;
    whole.in = k->in + 1;
    whole.dx = k->dx + 1;
    return whole;
}

static size_t ruled_scratch(const struct sal_kernel *k, bool backward)
{
    const struct ruled_node *node = ruled_of(k);
    if (!backward)
        return own_scratch(k, false);
    size_t threads = (size_t)sal_pool_threads(k->pool);
    size_t room = node->row->room ? node->row->room(k) : 0;
    return own_stride(k) + (room + threads - 1) / threads;
}

static size_t apart_scratch(const struct sal_kernel *k, bool backward)
{
    struct sal_kernel whole = whole_call(k);
    return backward ? ruled_scratch(&whole, true) : 0;
}

static void apart_backward(const struct sal_kernel *k)
{
    struct sal_kernel whole = whole_call(k);
    ruled_of(k)->row->backward(&whole);
}

sal_real *sal_ruled_room(const struct sal_kernel *k)
{
    return k->scratch + own_stride(k) * (size_t)sal_pool_threads(k->pool);
}

void sal_own_forward(const struct sal_kernel *k)
{
    struct sal_kernel own = *k;
    own.scratch_stride = own_stride(k);
    k->node->ruled->own->forward(&own);
}

void sal_own_backward(const struct sal_kernel *k)
{
    struct sal_kernel own = *k;
    own.scratch_stride = own_stride(k);
    own.fresh = 0;
    k->node->ruled->own->backward(&own);
}

/* ---- layers ---------------------------------------------------------------------------- */

static bool is_one_of(const struct sal_node *node, const char *const *names)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(node->op->name, names[i]) == 0)
            return true;
    return false;
}

static bool moves(const struct sal_node *node)
{
    static const char *const names[] = {"Cast",    "CastLike",  "Dropout", "Flatten",
                                        "Identity", "Reshape",  "Squeeze", "Transpose",
                                        "Unsqueeze", NULL};
    return is_one_of(node, names);
}

static bool normalises(const struct sal_graph *graph, const struct sal_node *node)
{
    static const char *const names[] = {"Add", "Sub", "Mul", "Div", "BatchNormalization", NULL};
    return is_one_of(node, names) && sal_is_map_of_one(graph, node);
}

static bool is_convolution(const struct sal_node *node)
{
    static const char *const names[] = {"Conv", "ConvTranspose", NULL};
    return is_one_of(node, names);
}

static bool has_weights(const struct sal_node *node)
{
    static const char *const names[] = {"Gemm", "MatMul", NULL};
    return is_convolution(node) || is_one_of(node, names);
}

static bool reads(const struct sal_node *node, const bool *marks)
{
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i] >= 0 && marks[node->in[i]])
            return true;
    return false;
}

static void mark_image(struct making *m)
{
    const struct sal_graph *graph = m->from;
    for (int i = 0; i < graph->n_inputs; i++)
        m->moved[graph->inputs[i]] = m->scaled[graph->inputs[i]] = true;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct sal_node *node = &graph->nodes[i];
        bool same = moves(node);
        if (node->out[0] < 0)
            continue;
        m->moved[node->out[0]] = same && reads(node, m->moved);
        m->scaled[node->out[0]] =
            (same || normalises(graph, node)) && reads(node, m->scaled);
    }
}

static enum sal_lrp_rule layer_rule(const struct making *m, const struct sal_node *node)
{
    if (reads(node, m->scaled))
        return m->lrp->first;
    return is_convolution(node) ? m->lrp->conv : m->lrp->dense;
}

/* Bounds are the image's: they have to be those of what the layer reads. */
static bool fits_box(const struct making *m, const struct sal_node *node)
{
    const struct sal_lrp *lrp = m->lrp;
    const struct sal_shape *x = &m->from->values[node->in[0]].tensor.shape;
    bool alike = true;
    for (int c = 1; c < SAL_LRP_CHANNELS; c++)
        alike &= lrp->low[c] == lrp->low[0] && lrp->high[c] == lrp->high[0];
    return has_weights(node) && reads(node, m->moved) &&
           (alike || (is_convolution(node) && x->dim[1] <= SAL_LRP_CHANNELS));
}

/* With ZBOX relevance arrives at the image, whose other readers would send multipliers. */
static const char *refuse_box(const struct making *m, const struct sal_node *node)
{
    if (!m->propagation->layers || m->lrp->first != SAL_LRP_ZBOX || !reads(node, m->scaled) ||
        (moves(node) && reads(node, m->moved)) || fits_box(m, node))
        return NULL;
    return "reads the image and is no Conv or linear layer whose inputs are the image's own "
           "pixels, which LRP's zbox needs: another rule for the first layer would do";
}

/* ---- nodes --------------------------------------------------------------------------- */

static const struct sal_propagation_row *row_of(const struct making *m,
                                                const struct sal_node *node)
{
    const struct sal_propagation_row *row = m->propagation->rows;
    for (; row->op; row++)
        if (strcmp(row->op, node->op->name) == 0 && (!row->when || row->when(m->from, node)))
            return row;
    return NULL;
}

/* Its own row, unless the operator's gradient is the rule. source: the node as it was
 * before anything was merged into it. */
static enum sal_status put_rule(struct making *m, const struct sal_node *source,
                                struct sal_node *node)
{
    const struct sal_propagation_row *row = row_of(m, source);
    const char *refusal = row ? row->refusal : m->propagation->refusal;
    const char *box = refuse_box(m, source);
    refusal = box ? box : refusal;
    if (!refusal && (!row || !row->backward))
        return SAL_OK;
    struct ruled_node *ruled = sal_new(&m->to->arena, struct ruled_node, 1);
    if (!ruled)
        return no_memory(m);
    ruled->op = *node->op;
    ruled->ruled = (struct sal_ruled){.own = node->op, .lrp = m->lrp};
    if (m->propagation->layers)
        ruled->ruled.layer = layer_rule(m, source);
    ruled->row = row;
    ruled->op.begins = ruled->op.frugal = false;
    if (refusal) {
        if (node->op->backward) /* else it has a refusal of its own, or needs none */
            ruled->op.opaque = refusal;
    } else {
        ruled->op.backward = row->backward;
        ruled->op.scratch = ruled_scratch;
    }
    node->op = &ruled->op;
    node->ruled = &ruled->ruled;
    return SAL_OK;
}

/* ---- merging ------------------------------------------------------------------------- */

static int new_constant(struct making *m, const char *name, const struct sal_shape *shape)
{
    struct sal_graph *to = m->to;
    sal_real *data = sal_new(&to->arena, sal_real, sal_shape_count(shape));
    if (!data)
        return -1;
    to->values[to->n_values] = (struct sal_value){
        .name = name,
        .tensor = {.kind = SAL_REAL, .type = SAL_ONNX_FLOAT, .shape = *shape, .real = data},
        .producer = -1,
        .made_by = "",
        .node_name = "",
        .live = true,
    };
    return to->n_values++;
}

static int *add_ids(struct making *m, int first, const int *ids, int n)
{
    int *all = sal_new(&m->to->arena, int, n + 1);
    if (!all)
        return NULL;
    all[0] = first;
    for (int i = 0; i < n; i++)
        all[i + 1] = ids[i];
    return all;
}

static const sal_real *values_of(const struct making *m, int v)
{
    const struct sal_tensor *tensor = &m->from->values[v].tensor;
    sal_stored_read(tensor, NULL);
    return tensor->real;
}

/* The normalisation that alone reads what the Conv makes, with constants; -1. */
static int norm_behind(const struct making *m, const struct sal_node *conv)
{
    int out = conv->out[0];
    if (!m->propagation->merges || strcmp(conv->op->name, "Conv") != 0 || out < 0 ||
        m->uses[out] != 1 || m->kept[out] || sal_count_computed(m->from, conv) != 1)
        return -1;
    int i = m->user[out];
    const struct sal_node *norm = &m->from->nodes[i];
    bool merges = strcmp(norm->op->name, "BatchNormalization") == 0 && norm->in[0] == out &&
                  sal_count_computed(m->from, norm) == 1;
    return merges ? i : -1;
}

/* w scale, b scale + shift: two new constants. */
static bool fold(struct making *m, const struct sal_node *conv, const sal_real *scale,
                 const sal_real *shift, int ids[2])
{
    const struct sal_shape *w = &m->from->values[conv->in[1]].tensor.shape;
    int64_t k = w->dim[0], each = k ? sal_shape_count(w) / k : 0;
    const sal_real *weights = values_of(m, conv->in[1]);
    const sal_real *bias =
        conv->n_in > 2 && conv->in[2] >= 0 ? values_of(m, conv->in[2]) : NULL;
    ids[0] = new_constant(m, conv->name, w);
    ids[1] = ids[0] < 0 ? -1 : new_constant(m, conv->name, &(struct sal_shape){1, {k}});
    if (ids[1] < 0)
        return false;
    for (int64_t i = 0; i < k; i++) {
        for (int64_t j = 0; j < each; j++)
            m->to->values[ids[0]].tensor.real[i * each + j] = weights[i * each + j] * scale[i];
        m->to->values[ids[1]].tensor.real[i] = (bias ? bias[i] * scale[i] : 0) + shift[i];
    }
    return true;
}

/* Makes *node, a Conv, the Conv and what follows. */
static enum sal_status merge(struct making *m, struct sal_node *node)
{
    int i = norm_behind(m, node);
    if (i < 0)
        return SAL_OK;
    const struct sal_node *norm = &m->from->nodes[i];
    const struct sal_tensor *in[5];
    for (int j = 0; j < 5; j++) {
        in[j] = &m->from->values[norm->in[j]].tensor;
        if (j)
            values_of(m, norm->in[j]);
    }
    int64_t n = in[1]->shape.dim[0];
    sal_real *scale = sal_new(&m->to->arena, sal_real, 2 * n + 1);
    int *ids = sal_new(&m->to->arena, int, 4);
    if (!scale || !ids)
        return no_memory(m);
    if (!sal_batch_norm_affine(norm, in, scale, scale + n))
        return SAL_OK;
    if (!fold(m, node, scale, scale + n, ids + 1))
        return no_memory(m);
    ids[0] = node->in[0];
    ids[3] = norm->out[0];
    node->in = ids;
    node->out = ids + 3;
    node->n_in = 3;
    m->gone[i] = true;
    return SAL_OK;
}

/* ---- all of it ------------------------------------------------------------------------- */

static void emit(struct making *m, const struct sal_node *node)
{
    struct sal_graph *to = m->to;
    for (int j = 0; j < node->n_out; j++)
        if (node->out[j] >= 0) {
            to->values[node->out[j]].producer = to->n_nodes;
            to->values[node->out[j]].live = true;
        }
    to->nodes[to->n_nodes++] = *node;
}

/* The operator as it is makes another value, which *node takes over. */
static enum sal_status set_apart(struct making *m, struct sal_node *node)
{
    struct ruled_node *ruled = (struct ruled_node *)(uintptr_t)node->op;
    struct sal_node own = *node;
    struct sal_graph *to = m->to;
    int made = to->n_values++;
    to->values[made] = to->values[node->out[0]];
    int *out = add_ids(m, made, NULL, 0), *in = add_ids(m, made, node->in, node->n_in);
    if (!out || !in)
        return no_memory(m);
    own.op = ruled->ruled.own;
    own.ruled = NULL;
    own.out = out;
    emit(m, &own);
    ruled->whole = *node;
    ruled->op.forward = sal_pass_forward;
    ruled->op.view = true;
    ruled->op.in_place = 1;
    ruled->op.backward = apart_backward;
    ruled->op.scratch = apart_scratch;
    ruled->op.aside = 1;
    ruled->op.no_gradient = 0;
    ruled->op.joins = NULL;
    ruled->op.macs = NULL;
    node->in = in;
    node->n_in++;
    return SAL_OK;
}

static enum sal_status take_node(struct making *m, int i)
{
    const struct sal_node *source = &m->from->nodes[i];
    struct sal_node node = *source;
    if (m->gone[i])
        return SAL_OK;
    enum sal_status status = merge(m, &node);
    if (status || (status = put_rule(m, source, &node)))
        return status;
    const struct ruled_node *ruled =
        node.ruled ? (const struct ruled_node *)(const void *)node.op : NULL;
    if (ruled && !ruled->op.opaque && ruled->row->apart)
        status = set_apart(m, &node);
    if (!status)
        emit(m, &node);
    return status;
}

static void count_uses(struct making *m)
{
    const struct sal_graph *from = m->from;
    for (int i = 0; i < from->n_nodes; i++)
        for (int j = 0; j < from->nodes[i].n_in; j++) {
            int v = from->nodes[i].in[j];
            if (v >= 0) {
                m->uses[v]++;
                m->user[v] = i;
            }
        }
}

static enum sal_status begin(struct making *m, const struct sal_lrp *lrp)
{
    const struct sal_graph *from = m->from;
    struct sal_graph *to = m->to;
    size_t n = (size_t)from->n_values, nodes = (size_t)from->n_nodes;
    struct sal_lrp *own = sal_new(&to->arena, struct sal_lrp, 1);
    to->values = sal_new(&to->arena, struct sal_value, n + 3 * nodes);
    to->nodes = sal_new(&to->arena, struct sal_node, 2 * nodes + 1);
    m->uses = calloc(2 * n + 1, sizeof(int));
    m->moved = calloc(2 * n + nodes + 1, sizeof(bool));
    if (!own || !to->values || !to->nodes || !m->uses || !m->moved)
        return no_memory(m);
    m->user = m->uses + n;
    m->scaled = m->moved + n;
    m->gone = m->scaled + n;
    if (lrp)
        *own = *lrp;
    m->lrp = own;
    memcpy(to->values, from->values, sizeof(*from->values) * n);
    to->n_values = from->n_values;
    for (size_t v = 0; v < n; v++) {
        struct sal_value *value = &to->values[v];
        value->live = value->live && (value->tensor.data || value->producer < 0);
        value->producer = -1;
    }
    count_uses(m);
    mark_image(m);
    return SAL_OK;
}

enum sal_status sal_propagate(struct sal_graph *to, const struct sal_graph *from,
                              const struct sal_propagation *propagation,
                              const struct sal_lrp *lrp, const bool *kept,
                              struct sal_error *err)
{
    *to = (struct sal_graph){.inputs = from->inputs,
                             .n_inputs = from->n_inputs,
                             .outputs = from->outputs,
                             .n_outputs = from->n_outputs,
                             .parameters = from->parameters};
    struct making m = {
        .from = from, .to = to, .propagation = propagation, .kept = kept, .err = err};
    enum sal_status status = begin(&m, lrp);
    for (int i = 0; i < from->n_nodes && !status; i++)
        status = take_node(&m, i);
    free(m.uses);
    free(m.moved);
    if (status)
        sal_graph_release(to);
    return status;
}
