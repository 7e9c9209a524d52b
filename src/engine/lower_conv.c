/* Conv, and what goes with it, as one inner convolution. */
#include "conv_chain.h"
#include "inner_conv.h"
#include "inner_depthwise.h"
#include "kernel.h"
#include "stored.h"

static enum sal_status emit_dense(struct sal_lowering *l, const struct sal_conv_chain *chain)
{
    const struct sal_node *node = &l->from->nodes[chain->conv];
    struct sal_inner_conv *conv = sal_new(&l->to->arena, struct sal_inner_conv, 1);
    bool planar = sal_conv_is_planar(&chain->g);
    if (!conv)
        return sal_lower_no_memory(l);
    struct sal_inner_conv_plan plan = {
        .g = &chain->g,
        .planar = planar,
        .through = chain->before >= 0,
        .gradient = sal_lower_passes_gradient(l, sal_conv_chain_out(l, chain)),
        .exact = l->options->exact,
        .bf16 = l->options->bf16,
        .packs = l->options->packs,
        .weight = node->in[1],
        .made = node->out[0],
        .scale = chain->norm < 0 ? -1 : l->from->nodes[chain->norm].in[1],
    };
    conv->w = sal_lower_tensor(l, node->in[1]);
    enum sal_status status = sal_conv_chain_fold(l, chain, &conv->scale, &conv->base);
    if (status || (status = sal_inner_conv_init(conv, &plan, &l->to->arena, l->err)) ||
        (status = sal_conv_chain_before(l, chain, &conv->before)))
        return status;
    conv->low = chain->low;
    conv->high = chain->high;
    conv->after = chain->after;
    conv->after_slope = chain->after_slope;
    conv->saves = sal_conv_chain_saves(l, chain);
    int in[2] = {sal_conv_chain_in(l, chain)};
    status = planar ? sal_lower_plain(l, in[0]) : sal_lower_blocked(l, in[0], &in[0]);
    if (!status && chain->added >= 0)
        status = sal_lower_blocked(l, chain->added, &in[1]);
    if (!status)
        status = sal_conv_chain_save(l, chain);
    return status ? status
                  : sal_lower_emit_blocked(l, sal_inner_conv_op(conv), node->name, conv, in,
                                           chain->added >= 0 ? 2 : 1,
                                           sal_conv_chain_out(l, chain));
}

/* ---- depthwise ------------------------------------------------------------------------ */

static enum sal_status depthwise_weights(struct sal_lowering *l,
                                         const struct sal_conv_chain *chain, int *weights,
                                         int *base)
{
    const struct sal_node *node = &l->from->nodes[chain->conv];
    const struct sal_conv_geometry *g = &chain->g;
    int64_t blocks = sal_blocks(g->c), taps = g->kernel[0] * g->kernel[1];
    sal_real *packed = sal_new(&l->to->arena, sal_real, blocks * taps * SAL_BLOCK);
    const sal_real *scale, *sum;
    enum sal_status status = sal_conv_chain_fold(l, chain, &scale, &sum);
    if (status || !packed)
        return status ? status : sal_lower_no_memory(l);
    const struct sal_tensor *source = sal_lower_tensor(l, node->in[1]);
    sal_inner_depthwise_pack(sal_stored_reals(source), scale, g->c, taps, packed);
    sal_stored_let_go(source);
    struct sal_shape w = {.rank = 4, .dim = {blocks, g->kernel[0], g->kernel[1], SAL_BLOCK}};
    struct sal_shape b = {.rank = 1, .dim = {blocks * SAL_BLOCK}};
    status = sal_lower_data(l, node->name, &w, packed, weights);
    return status ? status : sal_lower_data(l, node->name, &b, sum, base);
}

static enum sal_status emit_depthwise(struct sal_lowering *l,
                                      const struct sal_conv_chain *chain)
{
    const struct sal_node *node = &l->from->nodes[chain->conv];
    struct sal_inner_depthwise_attr *attr =
        sal_new(&l->to->arena, struct sal_inner_depthwise_attr, 1);
    int in[3];
    enum sal_status status = attr ? depthwise_weights(l, chain, &in[1], &in[2])
                                  : sal_lower_no_memory(l);
    if (status || (status = sal_lower_blocked(l, sal_conv_chain_in(l, chain), &in[0])))
        return status;
    sal_conv_window_of(node, &chain->g, &attr->window);
    attr->low = chain->low;
    attr->high = chain->high;
    attr->after = chain->after;
    attr->after_slope = chain->after_slope;
    attr->saves = sal_conv_chain_saves(l, chain);
    if ((status = sal_conv_chain_save(l, chain)))
        return status;
    return sal_lower_emit_blocked(l, sal_inner_depthwise_op(attr), node->name, attr, in, 3,
                                  sal_conv_chain_out(l, chain));
}

/* ---- the rule ------------------------------------------------------------------------- */

static enum sal_status lower_conv(struct sal_lowering *l, int head, int i, bool *taken)
{
    struct sal_conv_chain chain;
    if (!sal_conv_chain_find(l, head, &chain))
        return SAL_OK;
    *taken = true;
    if (chain.nodes[chain.n - 1] != i)
        sal_lower_fold(l, chain.nodes, chain.n);
    else if (sal_conv_is_depthwise(&chain.g))
        return emit_depthwise(l, &chain);
    else
        return emit_dense(l, &chain);
    return SAL_OK;
}

const struct sal_rule sal_lower_conv = {lower_conv};
