/* MatMul or Gemm with constant weights, and behind it a bias, and a sum or a gelu, as one
 * inner linear layer. Where it is turned to channels first, a scale per channel goes into
 * the weights, and the sum is left to the turning. */
#include "inner_linear.h"
#include "inner_rows.h"
#include "kernel.h"
#include "lower.h"
#include "stored.h"

enum { FORM = 16 }; /* of packs, beside those of convolutions */

struct chain {
    int product, bias, turn, scaling, sum; /* nodes; -1: not there */
    struct sal_gelu_nodes gelu;
    int last;
    int base, scale; /* values of the bias and the scale; -1 */
    int added; /* value that the sum adds; -1 */
    bool turned;
    int64_t c, k;
};

/* One number per output. */
static bool is_bias(const struct sal_lowering *l, int v, int64_t k)
{
    const struct sal_tensor *t = sal_lower_constant(l, v);
    return t && t->shape.rank > 0 && sal_shape_count(&t->shape) == k &&
           t->shape.dim[t->shape.rank - 1] == k;
}

/* What one image adds does not depend on how many there are: a single row each is left
 * to a product of a matrix and a vector, which reads the weights where they lie. */
static bool has_rows(const struct sal_lowering *l, const struct sal_shape *x)
{
    int64_t rows = sal_shape_span(x, 0, x->rank - 1), images = 1;
    if (l->from->n_inputs) {
        const struct sal_shape *in = &sal_lower_tensor(l, l->from->inputs[0])->shape;
        images = in->rank ? in->dim[0] : 1;
    }
    return rows > images && rows % images == 0;
}

static bool take_product(const struct sal_lowering *l, int i, struct chain *chain)
{
    const struct sal_node *node = &l->from->nodes[i];
    bool gemm = sal_lower_is(l, i, "Gemm");
    if ((!gemm && !sal_lower_is(l, i, "MatMul")) || node->out[0] < 0)
        return false;
    if (gemm && !sal_gemm_is_plain(node, &chain->turned))
        return false;
    const struct sal_tensor *x = sal_lower_tensor(l, node->in[0]);
    const struct sal_tensor *w = sal_lower_constant(l, node->in[1]);
    if (!w || w->shape.rank != 2 || x->data || x->kind != SAL_REAL || x->shape.rank < 2 ||
        !has_rows(l, &x->shape))
        return false;
    chain->c = w->shape.dim[chain->turned];
    chain->k = w->shape.dim[!chain->turned];
    if (gemm && node->n_in > 2 && node->in[2] >= 0) {
        if (!is_bias(l, node->in[2], chain->k))
            return false;
        chain->base = node->in[2];
    }
    return chain->c > 0 && chain->k > 0;
}

static int other_input(const struct sal_lowering *l, int node, int v)
{
    const int *in = l->from->nodes[node].in;
    return in[0] == v ? in[1] : in[0];
}

static bool same_shape(const struct sal_lowering *l, int a, int b)
{
    return sal_shape_equal(&sal_lower_tensor(l, a)->shape, &sal_lower_tensor(l, b)->shape);
}

static void take_bias(const struct sal_lowering *l, struct chain *chain)
{
    int next = sal_lower_next(l, chain->last), made = l->from->nodes[chain->last].out[0];
    if (chain->base >= 0 || !sal_lower_is(l, next, "Add"))
        return;
    int other = other_input(l, next, made);
    if (!is_bias(l, other, chain->k) || !same_shape(l, made, l->from->nodes[next].out[0]))
        return;
    chain->base = other;
    chain->bias = chain->last = next;
}

static void take_sum(const struct sal_lowering *l, struct chain *chain)
{
    int next = sal_lower_next(l, chain->last), made = l->from->nodes[chain->last].out[0];
    if (!sal_lower_is(l, next, "Add"))
        return;
    int other = other_input(l, next, made), out = l->from->nodes[next].out[0];
    const struct sal_tensor *t = sal_lower_tensor(l, other);
    if (other == made || t->data || t->kind != SAL_REAL || !same_shape(l, other, out) ||
        !same_shape(l, made, out))
        return;
    chain->sum = chain->last = next;
    chain->added = other;
}

/* One number per channel, which are first. */
static bool is_scale(const struct sal_lowering *l, int v, int64_t k)
{
    const struct sal_tensor *t = sal_lower_constant(l, v);
    int rank = t ? t->shape.rank : 0;
    return (rank == 3 || rank == 4) && sal_shape_count(&t->shape) == k &&
           t->shape.dim[rank - 3] == k;
}

static void take_turn(const struct sal_lowering *l, struct chain *chain)
{
    int next = sal_lower_next(l, chain->last);
    if (next < 0 || !sal_lower_turns_first(&l->from->nodes[next]))
        return;
    chain->turn = chain->last = next;
    int made = l->from->nodes[next].out[0];
    next = sal_lower_next(l, next);
    if (!sal_lower_is(l, next, "Mul") || !is_scale(l, other_input(l, next, made), chain->k) ||
        !same_shape(l, made, l->from->nodes[next].out[0]))
        return;
    chain->scale = other_input(l, next, made);
    chain->scaling = chain->last = next;
}

/* Nobody but the gelu reads what goes in. */
static bool take_gelu(const struct sal_lowering *l, struct chain *chain, int head)
{
    int made = l->from->nodes[chain->last].out[0];
    if (sal_lower_passes_gradient(l, made) || l->uses[made] != 2 || l->options->kept[made])
        return false;
    for (int i = chain->last + 1; i < l->from->n_nodes; i++) {
        const struct sal_node *node = &l->from->nodes[i];
        if (node->n_in != 2 || (node->in[0] != made && node->in[1] != made))
            continue;
        if (!sal_lower_gelu_at(l, i, head, &chain->gelu) || chain->gelu.x != made)
            break;
        chain->last = chain->gelu.node[chain->gelu.n - 1];
        return true;
    }
    chain->gelu.n = 0;
    return false;
}

static bool chain_of(const struct sal_lowering *l, int head, struct chain *chain)
{
    *chain = (struct chain){
        .product = head, .bias = -1, .turn = -1, .scaling = -1, .sum = -1,
        .last = head, .base = -1, .scale = -1, .added = -1};
    if (!take_product(l, head, chain))
        return false;
    take_bias(l, chain);
    if (take_gelu(l, chain, head))
        return true;
    take_turn(l, chain);
    take_sum(l, chain);
    return true;
}

static void fold(struct sal_lowering *l, const struct chain *chain)
{
    const int own[] = {chain->product, chain->bias, chain->turn, chain->scaling, chain->sum};
    int nodes[10], n = 0;
    for (int i = 0; i < 5; i++)
        if (own[i] >= 0)
            nodes[n++] = own[i];
    for (int i = 0; i < chain->gelu.n; i++)
        nodes[n++] = chain->gelu.node[i];
    sal_lower_fold(l, nodes, n);
}

/* Bias and scale as the layer takes them. */
static bool take_vectors(struct sal_lowering *l, const struct chain *chain,
                         struct sal_inner_linear *linear)
{
    sal_real *base = sal_new(&l->to->arena, sal_real, sal_blocks(chain->k) * SAL_BLOCK);
    const sal_real *scale = chain->scale >= 0 ? sal_lower_reals(l, chain->scale) : NULL;
    const sal_real *bias = chain->base >= 0 ? sal_lower_reals(l, chain->base) : NULL;
    if (!base)
        return false;
    for (int64_t i = 0; i < chain->k && bias; i++)
        base[i] = bias[i] * (scale ? scale[i] : 1);
    linear->base = base;
    linear->weights.k_scale = scale;
    return true;
}

static struct sal_inner_linear *layer_of(struct sal_lowering *l, const struct chain *chain)
{
    const struct sal_node *node = &l->from->nodes[chain->product];
    struct sal_inner_linear *linear = sal_new(&l->to->arena, struct sal_inner_linear, 1);
    if (!linear)
        return NULL;
    const struct sal_tensor *w = sal_lower_tensor(l, node->in[1]);
    *linear = (struct sal_inner_linear){
        .source = w,
        .weights = {.c = chain->c,
                    .k = chain->k,
                    .w = sal_stored_reals(w),
                    .c_step = chain->turned ? 1 : chain->k,
                    .k_step = chain->turned ? chain->c : 1},
        .gelu = chain->gelu.n > 0,
        .bf16 = l->options->bf16,
    };
    struct sal_pack_key key = {node->in[1], chain->scale, -1, FORM + 4 * chain->turned,
                               NULL};
    bool done = take_vectors(l, chain, linear) &&
                !sal_inner_linear_init(linear, l->options->wrt != NULL, l->options->packs, key,
                                       l->err);
    return done ? linear : NULL;
}

/* Rows, then blocks, to which the sum is added. */
static enum sal_status emit_turned(struct sal_lowering *l, const struct chain *chain,
                                   const struct sal_inner_linear *linear)
{
    const struct sal_node *node = &l->from->nodes[chain->product];
    const struct sal_node *turn = &l->from->nodes[chain->turn];
    int out = l->from->nodes[chain->last].out[0];
    struct sal_blocked *attr = sal_lower_rows_attr(l, out);
    int rows = sal_lower_value(l, node->name, &sal_lower_tensor(l, turn->in[0])->shape);
    if (!attr || rows < 0)
        return sal_lower_no_memory(l);
    enum sal_status status =
        sal_lower_emit(l, &sal_inner_linear, node->name, linear, node->in, 1, rows);
    int in[2] = {rows, -1};
    if (!status && chain->added >= 0)
        status = sal_lower_blocked(l, chain->added, &in[1]);
    return status ? status
                  : sal_lower_emit_blocked(l, &sal_inner_from_rows, turn->name, attr, in,
                                           chain->added >= 0 ? 2 : 1, out);
}

static enum sal_status emit(struct sal_lowering *l, const struct chain *chain)
{
    const struct sal_node *node = &l->from->nodes[chain->product];
    const struct sal_inner_linear *linear = layer_of(l, chain);
    const int in[2] = {node->in[0], chain->added};
    enum sal_status status = linear ? sal_lower_plain(l, in[0]) : sal_lower_no_memory(l);
    if (!status && chain->turn >= 0)
        return emit_turned(l, chain, linear);
    if (!status)
        status = sal_lower_plain(l, in[1]);
    return status ? status
                  : sal_lower_emit_plain(l, &sal_inner_linear, node->name, linear, in,
                                         chain->added >= 0 ? 2 : 1,
                                         l->from->nodes[chain->last].out[0]);
}

static enum sal_status lower_linear(struct sal_lowering *l, int head, int i, bool *taken)
{
    struct chain chain;
    if (!chain_of(l, head, &chain))
        return SAL_OK;
    *taken = true;
    if (chain.last == i)
        return emit(l, &chain);
    fold(l, &chain);
    return SAL_OK;
}

const struct sal_rule sal_lower_linear = {lower_linear};
