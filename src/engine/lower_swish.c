/* x * sigmoid(x), in two nodes as exporters write it, as one Swish. */
#include "lower.h"

bool sal_lower_swish_of(const struct sal_lowering *l, int x, int chain, int *sigmoid,
                        int *product)
{
    if (x < 0 || l->uses[x] != 2 || l->options->kept[x])
        return false;
    *product = l->user[x]; /* the later of both */
    if (!sal_lower_is(l, *product, "Mul") || !sal_lower_is_free(l, *product, chain))
        return false;
    const int *in = l->from->nodes[*product].in;
    int gate = in[0] == x ? in[1] : in[0];
    *sigmoid = gate < 0 ? -1 : l->from->values[gate].producer;
    return gate != x && sal_lower_is(l, *sigmoid, "Sigmoid") && sal_lower_is_free(l, *sigmoid, chain) &&
           l->from->nodes[*sigmoid].in[0] == x && l->uses[gate] == 1 &&
           !l->options->kept[gate];
}

static enum sal_status lower_swish(struct sal_lowering *l, int head, int i, bool *taken)
{
    int nodes[2];
    if (!sal_lower_is(l, head, "Sigmoid") ||
        !sal_lower_swish_of(l, l->from->nodes[head].in[0], head, &nodes[0], &nodes[1]) ||
        nodes[0] != head)
        return SAL_OK;
    *taken = true;
    if (i != nodes[1]) {
        sal_lower_fold(l, nodes, 2);
        return SAL_OK;
    }
    const struct sal_node *node = &l->from->nodes[i];
    int x = l->from->nodes[head].in[0], y = node->out[0];
    if (sal_lower_is_blocked(l, x))
        return sal_lower_emit_blocked(l, &sal_op_Swish, node->name, sal_swish_plain(),
                                      &l->blocked[x], 1, y);
    enum sal_status status = sal_lower_plain(l, x);
    return status ? status
                  : sal_lower_emit_plain(l, &sal_op_Swish, node->name, sal_swish_plain(), &x,
                                         1, y);
}

const struct sal_rule sal_lower_swish = {lower_swish};
