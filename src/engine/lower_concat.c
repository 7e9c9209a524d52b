/* Concat along channels: blocks one behind the other where they come out even, else put
 * together anew. */
#include "inner_concat.h"
#include "kernel.h"
#include "lower.h"

static bool takes(const struct sal_lowering *l, const struct sal_node *node)
{
    bool any = false;
    if (node->n_in < 1 || !sal_lower_blockable(l, node->out[0]) ||
        sal_concat_axis(node, 4) != 1)
        return false;
    for (int i = 0; i < node->n_in; i++) {
        int v = node->in[i];
        if (!sal_lower_blockable(l, v))
            return false;
        any |= sal_lower_is_blocked(l, v);
    }
    return any;
}

/* All but the last end with a block. */
static bool is_even(const struct sal_lowering *l, const struct sal_node *node)
{
    for (int i = 0; i < node->n_in - 1; i++)
        if (sal_lower_tensor(l, node->in[i])->shape.dim[1] % SAL_BLOCK)
            return false;
    return true;
}

static const void *uneven_attr(struct sal_lowering *l, const struct sal_node *node)
{
    struct sal_inner_concat_attr *attr =
        sal_new(&l->to->arena, struct sal_inner_concat_attr, 1);
    int64_t *channels = sal_new(&l->to->arena, int64_t, node->n_in);
    for (int i = 0; channels && i < node->n_in; i++)
        channels[i] = sal_lower_tensor(l, node->in[i])->shape.dim[1];
    if (attr)
        attr->channels = channels;
    return channels ? attr : NULL;
}

static enum sal_status lower_concat(struct sal_lowering *l, int head, int i, bool *taken)
{
    (void)head;
    const struct sal_node *node = &l->from->nodes[i];
    if (!takes(l, node))
        return SAL_OK;
    *taken = true;
    int *in = sal_new(&l->scratch, int, node->n_in);
    bool even = is_even(l, node);
    const void *attr = even ? sal_concat_attr(&l->to->arena, 0) : uneven_attr(l, node);
    enum sal_status status = in && attr ? SAL_OK : sal_lower_no_memory(l);
    for (int j = 0; j < node->n_in && !status; j++)
        status = sal_lower_blocked(l, node->in[j], &in[j]);
    return status ? status
                  : sal_lower_emit_blocked(l, even ? node->op : &sal_inner_concat, node->name,
                                           attr, in, node->n_in, node->out[0]);
}

const struct sal_rule sal_lower_concat = {lower_concat};
