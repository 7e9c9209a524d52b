/* softmax(q k') v as exporters write it, and how its parts are made of what linear layers
 * make: one operator that reads and writes heads where they lie. */
#include <string.h>

#include "inner_attention.h"
#include "kernel.h"
#include "lower.h"
#include "lower_view.h"

enum { SCORES_MOST = 1 << 16 }; /* of a row: what a thread keeps room for */

struct parts {
    int q, k, v;    /* values of [..][rows][features], k turned */
    int product, y; /* the last MatMul, what is made in the end */
    double factor;
};

static const struct sal_node *made_by(const struct sal_lowering *l, int v, const char *name)
{
    int producer = v < 0 ? -1 : l->from->values[v].producer;
    const struct sal_node *node = producer < 0 ? NULL : &l->from->nodes[producer];
    return sal_lower_is(l, producer, name) ? node : NULL;
}

/* Read by one node, and by nobody else. */
static bool is_between(const struct sal_lowering *l, int v)
{
    return v >= 0 && l->uses[v] == 1 && !l->options->kept[v];
}

static bool is_computed(const struct sal_lowering *l, int v)
{
    const struct sal_tensor *t = sal_lower_tensor(l, v);
    return !t->data && t->kind == SAL_REAL && (t->shape.rank == 3 || t->shape.rank == 4);
}

/* Scores, perhaps times a constant. */
static const struct sal_node *scores_of(const struct sal_lowering *l, int v, double *factor)
{
    for (;;) {
        const struct sal_node *node = made_by(l, v, "Mul");
        int constant = node && sal_lower_constant(l, node->in[0]) ? 0 : 1;
        if (!node)
            node = made_by(l, v, "Div");
        if (!node || !is_between(l, v))
            break;
        const struct sal_tensor *t = sal_lower_constant(l, node->in[constant]);
        if (!t || sal_shape_count(&t->shape) != 1 || !(t->real[0] > 0))
            return NULL;
        bool divides = strcmp(node->op->name, "Div") == 0;
        *factor *= divides ? 1 / (double)t->real[0] : (double)t->real[0];
        v = node->in[!constant];
    }
    return is_between(l, v) ? made_by(l, v, "MatMul") : NULL;
}

/* Node i is the MatMul of softened scores and values. */
static bool find_parts(const struct sal_lowering *l, int i, struct parts *parts)
{
    const struct sal_node *product = &l->from->nodes[i];
    if (!sal_lower_is(l, i, "MatMul") || product->out[0] < 0)
        return false;
    const struct sal_node *soft = made_by(l, product->in[0], "Softmax");
    if (!soft || !is_between(l, product->in[0]) ||
        !sal_softmax_is_last(soft, sal_lower_tensor(l, soft->in[0])->shape.rank))
        return false;
    *parts = (struct parts){
        .v = product->in[1], .product = i, .y = product->out[0], .factor = 1};
    const struct sal_node *scores = scores_of(l, soft->in[0], &parts->factor);
    if (!scores)
        return false;
    parts->q = scores->in[0];
    parts->k = scores->in[1];
    return is_computed(l, parts->q) && is_computed(l, parts->k) && is_computed(l, parts->v);
}

/* The turning behind the product that keeps features last, if there is nothing else. */
static int turned_by(const struct sal_lowering *l, int y)
{
    const struct sal_node *turn = is_between(l, y) ? &l->from->nodes[l->user[y]] : NULL;
    if (!turn || strcmp(turn->op->name, "Transpose") != 0)
        return -1;
    const struct sal_int_list *perm = sal_transpose_axes(turn);
    int rank = sal_lower_tensor(l, y)->shape.rank;
    return perm && perm->values[rank - 1] == rank - 1 && turn->out[0] >= 0 ? l->user[y] : -1;
}

/* ---- where heads lie ------------------------------------------------------------------ */

/* View of [heads] or [images][heads], and then rows and features, whichever axis is which. */
static bool lay(const struct sal_view *view, int row, int feature, struct sal_head_rows *lies)
{
    int rank = view->shape.rank;
    int64_t features = view->shape.dim[feature];
    *lies = (struct sal_head_rows){.offset = view->offset,
                                   .image = rank == 4 ? view->stride[0] : 0,
                                   .head = view->stride[rank - 3],
                                   .row = view->stride[row]};
    if (view->shape.dim[row] == 1)
        lies->row = features;
    return (features == 1 || view->stride[feature] == 1) && lies->row >= features &&
           lies->row <= INT32_MAX;
}

static bool same_heads(const struct sal_shape *a, const struct sal_shape *b)
{
    return a->rank == b->rank && a->dim[0] == b->dim[0] &&
           (a->rank == 3 || a->dim[1] == b->dim[1]);
}

/* Where y's rows lie once it is turned. */
static bool lay_result(const struct sal_lowering *l, const struct parts *parts, int turn,
                       struct sal_head_rows *lies)
{
    struct sal_view view = {.shape = sal_lower_tensor(l, parts->y)->shape};
    const struct sal_int_list *perm =
        turn < 0 ? NULL : sal_transpose_axes(&l->from->nodes[turn]);
    int64_t step = 1;
    for (int i = view.shape.rank - 1; i >= 0; i--) {
        int64_t axis = perm ? perm->values[i] : i;
        axis += axis < 0 ? view.shape.rank : 0;
        view.stride[axis] = step;
        step *= view.shape.dim[axis];
    }
    return lay(&view, view.shape.rank - 2, view.shape.rank - 1, lies);
}

static bool lay_all(const struct sal_lowering *l, const struct parts *parts, int turn,
                    struct sal_inner_attention *a, int in[3])
{
    const struct sal_view q = sal_lower_view(l, parts->q, true);
    const struct sal_view k = sal_lower_view(l, parts->k, true);
    const struct sal_view v = sal_lower_view(l, parts->v, false);
    const int rank = q.shape.rank;
    if (!same_heads(&q.shape, &k.shape) || !same_heads(&q.shape, &v.shape))
        return false;
    *a = (struct sal_inner_attention){
        .images = rank == 4 ? q.shape.dim[0] : 1,
        .heads = q.shape.dim[rank - 3],
        .queries = q.shape.dim[rank - 2],
        .keys = k.shape.dim[rank - 1],
        .size = q.shape.dim[rank - 1],
        .v_size = v.shape.dim[rank - 1],
        .scale = (sal_real)(parts->factor * q.factor * k.factor),
    };
    in[0] = q.value, in[1] = k.value, in[2] = v.value;
    return a->keys > 0 && a->keys <= SCORES_MOST && a->size > 0 && a->v_size > 0 &&
           lay(&q, rank - 2, rank - 1, &a->q) && lay(&k, rank - 1, rank - 2, &a->k) &&
           lay(&v, rank - 2, rank - 1, &a->v) && lay_result(l, parts, turn, &a->y);
}

/* ---- the rule -------------------------------------------------------------------------- */

static bool is_made(const struct sal_lowering *l, int v)
{
    return l->plain[v] || l->blocked[v] >= 0;
}

static enum sal_status emit(struct sal_lowering *l, const struct parts *parts, int turn,
                            bool *taken)
{
    struct sal_inner_attention *a = sal_new(&l->to->arena, struct sal_inner_attention, 1);
    int in[3];
    if (!a)
        return sal_lower_no_memory(l);
    if (!lay_all(l, parts, turn, a, in) || !is_made(l, in[0]) || !is_made(l, in[1]) ||
        !is_made(l, in[2]))
        return SAL_OK;
    *taken = true;
    enum sal_status status = SAL_OK;
    for (int i = 0; i < 3 && !status; i++)
        status = sal_lower_plain(l, in[i]);
    int y = turn < 0 ? parts->y : l->from->nodes[turn].out[0];
    return status ? status
                  : sal_lower_emit_plain(l, &sal_inner_attention,
                                         l->from->nodes[parts->product].name, a, in, 3, y);
}

/* Where the result is turned, all is made there; what has been emitted for it meanwhile
 * nobody reads, and it is swept away. */
static enum sal_status lower_attention(struct sal_lowering *l, int head, int i, bool *taken)
{
    const struct sal_node *node = &l->from->nodes[i];
    struct parts parts;
    (void)head;
    if (node->n_in < 1 || node->n_out != 1 || node->in[0] < 0)
        return SAL_OK;
    if (find_parts(l, i, &parts))
        return turned_by(l, parts.y) < 0 ? emit(l, &parts, -1, taken) : SAL_OK;
    int producer = l->from->values[node->in[0]].producer;
    if (producer < 0 || strcmp(node->op->name, "Transpose") != 0 ||
        !find_parts(l, producer, &parts) || turned_by(l, parts.y) != i)
        return SAL_OK;
    return emit(l, &parts, i, taken);
}

const struct sal_rule sal_lower_attention = {lower_attention};
