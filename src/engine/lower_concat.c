/* Concat along channels: blocks one behind the other, where they come out even. */
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
        bool even = i == node->n_in - 1 || sal_lower_tensor(l, v)->shape.dim[1] % SAL_BLOCK == 0;
        if (!sal_lower_blockable(l, v) || !even)
            return false;
        any |= sal_lower_is_blocked(l, v);
    }
    return any;
}

static enum sal_status lower_concat(struct sal_lowering *l, int head, int i, bool *taken)
{
    (void)head;
    const struct sal_node *node = &l->from->nodes[i];
    if (!takes(l, node))
        return SAL_OK;
    *taken = true;
    int *in = sal_new(&l->scratch, int, node->n_in);
    const void *attr = sal_concat_attr(&l->to->arena, 0);
    enum sal_status status = in && attr ? SAL_OK : sal_lower_no_memory(l);
    for (int j = 0; j < node->n_in && !status; j++)
        status = sal_lower_blocked(l, node->in[j], &in[j]);
    return status ? status
                  : sal_lower_emit_blocked(l, node->op, node->name, attr, in, node->n_in,
                                           node->out[0]);
}

const struct sal_rule sal_lower_concat = {lower_concat};
