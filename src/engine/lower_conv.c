/* Conv, behind it BatchNormalization, a sum and a clamp, before it BatchNormalization
 * with or without a clamp, as one inner convolution. */
#include <string.h>

#include "inner_conv.h"
#include "kernel.h"
#include "lower.h"
#include "real.h"

/* Nodes of a chain; -1: not there. */
struct chain {
    int before, before_clamp; /* a normalisation and its clamp */
    int conv, norm, sum, clamp;
    int last;
    int added; /* value that the sum adds; -1 */
};

static bool is(const struct sal_lowering *l, int node, const char *name)
{
    return node >= 0 && strcmp(l->from->nodes[node].op->name, name) == 0;
}

static bool all_constant(const struct sal_lowering *l, const struct sal_node *node, int from)
{
    for (int i = from; i < node->n_in; i++)
        if (node->in[i] >= 0 && !sal_lower_constant(l, node->in[i]))
            return false;
    return true;
}

static bool is_norm(const struct sal_lowering *l, int node)
{
    return is(l, node, "BatchNormalization") && all_constant(l, &l->from->nodes[node], 1);
}

static bool clamps(const struct sal_lowering *l, int node)
{
    sal_real low, high;
    return node >= 0 && sal_clamp_of(l->from, &l->from->nodes[node], &low, &high);
}

static void take_norm(const struct sal_lowering *l, struct chain *chain)
{
    int next = sal_lower_next(l, chain->last);
    if (is_norm(l, next))
        chain->norm = chain->last = next;
}

/* The sum of what the chain makes so far and another computed value of its shape. */
static void take_sum(const struct sal_lowering *l, struct chain *chain)
{
    int next = sal_lower_next(l, chain->last);
    if (!is(l, next, "Add"))
        return;
    const struct sal_node *node = &l->from->nodes[next];
    int made = l->from->nodes[chain->last].out[0];
    int other = node->in[0] == made ? node->in[1] : node->in[0];
    if (other == made || !sal_lower_blockable(l, other) ||
        !sal_shape_equal(&sal_lower_tensor(l, other)->shape,
                         &sal_lower_tensor(l, node->out[0])->shape) ||
        !sal_shape_equal(&sal_lower_tensor(l, made)->shape,
                         &sal_lower_tensor(l, node->out[0])->shape))
        return;
    chain->sum = chain->last = next;
    chain->added = other;
}

static void take_clamp(const struct sal_lowering *l, struct chain *chain)
{
    int next = sal_lower_next(l, chain->last);
    if (clamps(l, next))
        chain->clamp = chain->last = next;
}

/* The convolution that begins at head, conv -1 where none does. */
static struct chain chain_of(const struct sal_lowering *l, int head)
{
    struct chain chain = {-1, -1, head, -1, -1, -1, head, -1};
    if (is_norm(l, head)) {
        chain.before = head;
        chain.conv = sal_lower_next(l, head);
        if (clamps(l, chain.conv)) {
            chain.before_clamp = chain.conv;
            chain.conv = sal_lower_next(l, chain.conv);
        }
    }
    if (!is(l, chain.conv, "Conv")) {
        chain.conv = -1;
        return chain;
    }
    chain.last = chain.conv;
    take_norm(l, &chain);
    take_sum(l, &chain);
    take_clamp(l, &chain);
    return chain;
}

/* ---- folding -------------------------------------------------------------------------- */

/* Scale and shift of a normalisation, in whole blocks of channels; NULL: no memory. */
static sal_real *affine_of(struct sal_lowering *l, int node, int64_t channels,
                           sal_real **shift)
{
    const struct sal_node *norm = &l->from->nodes[node];
    const struct sal_tensor *in[5];
    int64_t n = sal_blocks(channels) * SAL_BLOCK;
    for (int i = 0; i < 5; i++)
        in[i] = sal_lower_tensor(l, norm->in[i]);
    sal_real *scale = sal_new(&l->to->arena, sal_real, 2 * n);
    if (scale)
        sal_batch_norm_affine(norm, in, scale, *shift = scale + n);
    return scale;
}

/* Bias and normalisation come to a scale and a shift. */
static enum sal_status fold(struct sal_lowering *l, const struct chain *chain,
                            struct sal_inner_conv *conv, int64_t k)
{
    const struct sal_node *node = &l->from->nodes[chain->conv];
    const struct sal_tensor *bias = node->n_in > 2 ? sal_lower_constant(l, node->in[2]) : NULL;
    sal_real *base = sal_new(&l->to->arena, sal_real, sal_blocks(k) * SAL_BLOCK), *shift;
    if (!base)
        return sal_lower_no_memory(l);
    for (int64_t i = 0; bias && i < k; i++)
        base[i] = bias->real[i];
    conv->base = base;
    if (chain->norm < 0)
        return SAL_OK;
    conv->scale = affine_of(l, chain->norm, k, &shift);
    if (!conv->scale)
        return sal_lower_no_memory(l);
    for (int64_t i = 0; i < k; i++)
        base[i] = base[i] * conv->scale[i] + shift[i];
    return SAL_OK;
}

static enum sal_status put_before(struct sal_lowering *l, const struct chain *chain,
                                  struct sal_inner_conv *conv, int64_t c)
{
    struct sal_affine *affine = sal_new(&l->to->arena, struct sal_affine, 1);
    sal_real *shift = NULL, *scale = affine_of(l, chain->before, c, &shift);
    if (!affine || !scale)
        return sal_lower_no_memory(l);
    *affine = (struct sal_affine){scale, shift, -SAL_INFINITY, SAL_INFINITY};
    if (chain->before_clamp >= 0)
        sal_clamp_of(l->from, &l->from->nodes[chain->before_clamp], &affine->low,
                     &affine->high);
    conv->before = affine;
    return SAL_OK;
}

static enum sal_status emit(struct sal_lowering *l, const struct chain *chain,
                            const struct sal_conv_geometry *g, bool planar)
{
    const struct sal_node *node = &l->from->nodes[chain->conv];
    struct sal_inner_conv *conv = sal_new(&l->to->arena, struct sal_inner_conv, 1);
    if (!conv)
        return sal_lower_no_memory(l);
    enum sal_status status = sal_inner_conv_init(
        conv, g, planar, l->options->gradient, l->options->packs, node->in[1],
        chain->norm < 0 ? -1 : l->from->nodes[chain->norm].in[1], &l->to->arena, l->err);
    if (status || (status = fold(l, chain, conv, g->k)) ||
        (chain->before >= 0 && (status = put_before(l, chain, conv, g->c))))
        return status;
    conv->w = sal_lower_tensor(l, node->in[1])->real;
    conv->low = -SAL_INFINITY;
    conv->high = SAL_INFINITY;
    if (chain->clamp >= 0)
        sal_clamp_of(l->from, &l->from->nodes[chain->clamp], &conv->low, &conv->high);
    int in[2] = {chain->before < 0 ? node->in[0] : l->from->nodes[chain->before].in[0]};
    status = planar ? sal_lower_plain(l, in[0]) : sal_lower_blocked(l, in[0], &in[0]);
    if (!status && chain->added >= 0)
        status = sal_lower_blocked(l, chain->added, &in[1]);
    return status ? status
                  : sal_lower_emit_blocked(
                        l, chain->before < 0 ? &sal_inner_conv : &sal_inner_conv_after,
                        node->name, conv, in, chain->added >= 0 ? 2 : 1,
                                           l->from->nodes[chain->last].out[0]);
}

static bool takes(const struct sal_lowering *l, const struct chain *chain,
                  struct sal_conv_geometry *g, bool *planar)
{
    if (chain->conv < 0)
        return false;
    const struct sal_node *node = &l->from->nodes[chain->conv];
    return sal_lower_blockable(l, node->in[0]) && all_constant(l, node, 1) &&
           sal_conv_geometry_of(node, &sal_lower_tensor(l, node->in[0])->shape,
                                &sal_lower_tensor(l, node->in[1])->shape, g) &&
           sal_inner_conv_takes(g, planar) && !(*planar && chain->before >= 0);
}

static enum sal_status lower_conv(struct sal_lowering *l, int head, int i, bool *taken)
{
    struct chain chain = chain_of(l, head);
    struct sal_conv_geometry g;
    bool planar;
    if (!takes(l, &chain, &g, &planar))
        return SAL_OK;
    *taken = true;
    if (chain.last == i)
        return emit(l, &chain, &g, planar);
    sal_lower_fold(l, head, chain.last);
    return SAL_OK;
}

const struct sal_rule sal_lower_conv = {lower_conv};
