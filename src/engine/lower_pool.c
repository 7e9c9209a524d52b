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

static const struct sal_window *window_of(const struct sal_node *node)
{
    return &((const struct sal_pool_attr *)node->attr)->window;
}

/* Bytes that the greatest saves for its backward. */
static int64_t saved_bytes(const struct sal_lowering *l, int y)
{
    const int64_t *dim = sal_lower_tensor(l, y)->shape.dim;
    return sal_blocks(dim[1]) * SAL_BLOCK * dim[0] * dim[2] * dim[3];
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
    if (op == &sal_inner_max_pool && !sal_lower_passes_gradient(l, node->in[0]))
        op = &sal_inner_max_only;
    if (op == &sal_inner_max_pool) {
        const int64_t *kernel = window_of(node)->kernel;
        if (kernel[0] > SAL_INNER_MAX_TAPS / kernel[1])
            return SAL_OK;
        enum sal_status status = sal_lower_save(l, node->name, saved_bytes(l, node->out[0]));
        if (status)
            return status;
    }
    *taken = true;
    return sal_lower_emit_blocked(l, op, node->name, node->attr, &l->blocked[node->in[0]], 1,
                                  node->out[0]);
}

const struct sal_rule sal_lower_pool = {lower_pool};
