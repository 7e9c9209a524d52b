/* Pools of what is blocked already. */
#include <string.h>

#include "inner_pool.h"
#include "lower.h"

static const struct {
    const char *name;
    const struct sal_op *op;
} pools[] = {
    {"AveragePool", &sal_inner_average_pool},
    {"GlobalAveragePool", &sal_inner_mean},
    {"MaxPool", &sal_inner_max_pool},
};

static const struct sal_op *inner_of(const struct sal_node *node)
{
    for (size_t i = 0; i < sizeof(pools) / sizeof(*pools); i++)
        if (strcmp(node->op->name, pools[i].name) == 0)
            return pools[i].op;
    return NULL;
}

static enum sal_status lower_pool(struct sal_lowering *l, int head, int i, bool *taken)
{
    (void)head;
    const struct sal_node *node = &l->from->nodes[i];
    const struct sal_op *op = inner_of(node);
    bool one = node->n_out == 1 || (node->n_out == 2 && node->out[1] < 0);
    if (!op || !one || node->out[0] < 0 || !sal_lower_blockable(l, node->in[0]) ||
        !sal_lower_is_blocked(l, node->in[0]))
        return SAL_OK;
    *taken = true;
    return sal_lower_emit_blocked(l, op, node->name, node->attr, &l->blocked[node->in[0]], 1,
                                  node->out[0]);
}

const struct sal_rule sal_lower_pool = {lower_pool};
