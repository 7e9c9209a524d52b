#include "conv_chain.h"

#include "kernel.h"
#include "real.h"
#include "target.h"

/* ---- looking -------------------------------------------------------------------------- */

static const struct sal_node *node_at(const struct sal_lowering *l, int i)
{
    return &l->from->nodes[i];
}

static bool all_constant(const struct sal_lowering *l, const struct sal_node *node)
{
    for (int i = 1; i < node->n_in; i++)
        if (node->in[i] >= 0 && !sal_lower_constant(l, node->in[i]))
            return false;
    return true;
}

static bool is_norm(const struct sal_lowering *l, int i)
{
    return sal_lower_is(l, i, "BatchNormalization") && all_constant(l, node_at(l, i)) &&
           sal_lower_blockable(l, node_at(l, i)->in[0]);
}

static int last_of(const struct sal_conv_chain *chain)
{
    return chain->nodes[chain->n - 1];
}

static int made_by(const struct sal_lowering *l, const struct sal_conv_chain *chain)
{
    return node_at(l, last_of(chain))->out[0];
}

static void take(struct sal_conv_chain *chain, int i)
{
    chain->nodes[chain->n++] = i;
}

/* ---- behind ----------------------------------------------------------------------------- */

static void take_norm(const struct sal_lowering *l, struct sal_conv_chain *chain)
{
    int next = sal_lower_next(l, last_of(chain));
    if (!is_norm(l, next))
        return;
    chain->norm = next;
    take(chain, next);
}

/* The sum of what the chain makes so far and another computed value of its shape. */
static void take_sum(const struct sal_lowering *l, struct sal_conv_chain *chain)
{
    int next = sal_lower_next(l, last_of(chain)), made = made_by(l, chain);
    if (!sal_lower_is(l, next, "Add") || sal_conv_is_depthwise(&chain->g))
        return;
    const struct sal_node *node = node_at(l, next);
    const struct sal_shape *out = &sal_lower_tensor(l, node->out[0])->shape;
    int other = node->in[0] == made ? node->in[1] : node->in[0];
    if (other == made || !sal_lower_blockable(l, other) ||
        !sal_shape_equal(&sal_lower_tensor(l, other)->shape, out) ||
        !sal_shape_equal(&sal_lower_tensor(l, made)->shape, out))
        return;
    chain->added = other;
    take(chain, next);
}

static bool take_clamp(const struct sal_lowering *l, struct sal_conv_chain *chain)
{
    int next = sal_lower_next(l, last_of(chain));
    if (next < 0 || !sal_clamp_of(l->from, node_at(l, next), &chain->low, &chain->high)) {
        chain->low = -SAL_INFINITY;
        chain->high = SAL_INFINITY;
        return false;
    }
    take(chain, next);
    return true;
}

static void take_swish(const struct sal_lowering *l, struct sal_conv_chain *chain)
{
    int sigmoid, product;
    if (!sal_lower_swish_of(l, made_by(l, chain), chain->nodes[0], &sigmoid, &product))
        return;
    take(chain, sigmoid);
    take(chain, product);
    chain->after = sal_lanes()->swish;
    chain->after_slope = sal_lanes()->swish_and_slope;
}

/* Activations of one node that are no clamps. */
static void take_map(const struct sal_lowering *l, struct sal_conv_chain *chain)
{
    const struct {
        const char *name;
        sal_map *map;
        sal_map_slope *slope;
    } maps[] = {
        {"Sigmoid", sal_lanes()->sigmoid, sal_lanes()->sigmoid_and_slope},
        {"HardSwish", sal_lanes()->hard_swish, sal_lanes()->hard_swish_and_slope},
    };
    int next = sal_lower_next(l, last_of(chain));
    for (size_t i = 0; i < sizeof(maps) / sizeof(*maps) && !chain->after; i++)
        if (sal_lower_is(l, next, maps[i].name)) {
            chain->after = maps[i].map;
            chain->after_slope = maps[i].slope;
            take(chain, next);
        }
}

static void take_activation(const struct sal_lowering *l, struct sal_conv_chain *chain)
{
    if (take_clamp(l, chain))
        return;
    take_swish(l, chain);
    take_map(l, chain);
}

/* ---- before ----------------------------------------------------------------------------- */

/* The normalisation at head, its clamp, and the convolution, unless that reads an image or
 * single channels. */
static int take_before(const struct sal_lowering *l, int head, struct sal_conv_chain *chain)
{
    if (!is_norm(l, head))
        return head;
    chain->before = head;
    take(chain, head);
    int next = sal_lower_next(l, head);
    struct sal_affine *range = &chain->range;
    if (next < 0 || !sal_clamp_of(l->from, node_at(l, next), &range->low, &range->high)) {
        range->low = -SAL_INFINITY;
        range->high = SAL_INFINITY;
        return next;
    }
    take(chain, next);
    return sal_lower_next(l, next);
}

bool sal_conv_chain_find(const struct sal_lowering *l, int head, struct sal_conv_chain *chain)
{
    *chain = (struct sal_conv_chain){.before = -1, .norm = -1, .added = -1};
    chain->conv = take_before(l, head, chain);
    if (!sal_lower_is(l, chain->conv, "Conv"))
        return false;
    const struct sal_node *conv = node_at(l, chain->conv);
    if (!sal_lower_blockable(l, conv->in[0]) || !all_constant(l, conv) ||
        !sal_conv_geometry_of(conv, &sal_lower_tensor(l, conv->in[0])->shape,
                              &sal_lower_tensor(l, conv->in[1])->shape, &chain->g))
        return false;
    if (chain->before >= 0 &&
        (sal_conv_is_depthwise(&chain->g) || sal_conv_is_planar(&chain->g)))
        return false;
    take(chain, chain->conv);
    take_norm(l, chain);
    take_sum(l, chain);
    take_activation(l, chain);
    return true;
}

/* ---- saving --------------------------------------------------------------------------- */

bool sal_conv_chain_saves(const struct sal_lowering *l, const struct sal_conv_chain *chain)
{
    const bool clamps = chain->low > -SAL_INFINITY || chain->high < SAL_INFINITY;
    return (clamps || chain->after) &&
           (sal_lower_passes_gradient(l, sal_conv_chain_in(l, chain)) ||
            sal_lower_passes_gradient(l, chain->added));
}

enum sal_status sal_conv_chain_save(struct sal_lowering *l, const struct sal_conv_chain *chain)
{
    if (!sal_conv_chain_saves(l, chain))
        return SAL_OK;
    const int y = sal_conv_chain_out(l, chain);
    const int64_t *dim = sal_lower_tensor(l, y)->shape.dim;
    const int64_t count = sal_blocks(dim[1]) * SAL_BLOCK * dim[0] * dim[2] * dim[3];
    return sal_lower_save(l, l->from->values[y].name, sal_saved_bytes(count, chain->after));
}

/* ---- folding ---------------------------------------------------------------------------- */

/* Scale and shift of a normalisation, in whole blocks of channels; NULL: no memory. */
static sal_real *affine_of(struct sal_lowering *l, int i, sal_real **shift)
{
    const struct sal_node *norm = node_at(l, i);
    const struct sal_tensor *in[5];
    in[0] = sal_lower_tensor(l, norm->in[0]);
    for (int j = 1; j < 5; j++) {
        sal_lower_reals(l, norm->in[j]);
        in[j] = sal_lower_tensor(l, norm->in[j]);
    }
    int64_t n = sal_blocks(in[1]->shape.dim[0]) * SAL_BLOCK;
    sal_real *scale = sal_new(&l->to->arena, sal_real, 2 * n);
    if (scale)
        sal_batch_norm_affine(norm, in, scale, *shift = scale + n);
    return scale;
}

enum sal_status sal_conv_chain_fold(struct sal_lowering *l, const struct sal_conv_chain *chain,
                                    const sal_real **scale, const sal_real **base)
{
    const struct sal_node *conv = node_at(l, chain->conv);
    const sal_real *bias =
        conv->n_in > 2 && conv->in[2] >= 0 ? sal_lower_reals(l, conv->in[2]) : NULL;
    sal_real *sum = sal_new(&l->to->arena, sal_real, sal_blocks(chain->g.k) * SAL_BLOCK);
    sal_real *shift = NULL;
    *base = sum;
    *scale = NULL;
    if (!sum)
        return sal_lower_no_memory(l);
    for (int64_t i = 0; bias && i < chain->g.k; i++)
        sum[i] = bias[i];
    if (chain->norm < 0)
        return SAL_OK;
    *scale = affine_of(l, chain->norm, &shift);
    if (!*scale)
        return sal_lower_no_memory(l);
    for (int64_t i = 0; i < chain->g.k; i++)
        sum[i] = sum[i] * (*scale)[i] + shift[i];
    return SAL_OK;
}

enum sal_status sal_conv_chain_before(struct sal_lowering *l,
                                      const struct sal_conv_chain *chain,
                                      const struct sal_affine **before)
{
    *before = NULL;
    if (chain->before < 0)
        return SAL_OK;
    struct sal_affine *affine = sal_new(&l->to->arena, struct sal_affine, 1);
    sal_real *shift = NULL, *scale = affine_of(l, chain->before, &shift);
    if (!affine || !scale)
        return sal_lower_no_memory(l);
    *affine = (struct sal_affine){scale, shift, chain->range.low, chain->range.high};
    *before = affine;
    return SAL_OK;
}
