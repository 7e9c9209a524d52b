/* Transposes between channels first, where they are blocked, and channels last. */
#include <string.h>

#include "inner_rows.h"
#include "kernel.h"
#include "lower.h"

static bool turns(const struct sal_node *node, const int64_t *wanted)
{
    const struct sal_int_list *perm = strcmp(node->op->name, "Transpose") == 0
                                          ? sal_transpose_axes(node) : NULL;
    return perm && perm->n == 4 && memcmp(perm->values, wanted, 4 * sizeof(*wanted)) == 0;
}

bool sal_lower_turns_first(const struct sal_node *node)
{
    return turns(node, (const int64_t[]){0, 3, 1, 2});
}

static bool turns_last(const struct sal_node *node)
{
    return turns(node, (const int64_t[]){0, 2, 3, 1});
}

struct sal_blocked *sal_lower_rows_attr(struct sal_lowering *l, int v)
{
    const int64_t *dim = sal_lower_tensor(l, v)->shape.dim;
    struct sal_blocked *attr = sal_new(&l->to->arena, struct sal_blocked, 1);
    if (attr)
        *attr = (struct sal_blocked){dim[0], dim[1], dim[2], dim[3]};
    return attr;
}

/* y, channels first, is blocked from here on: convolutions come behind it. */
static enum sal_status lower_first(struct sal_lowering *l, const struct sal_node *node)
{
    int y = node->out[0], x = node->in[0];
    struct sal_blocked *attr = sal_lower_rows_attr(l, y);
    enum sal_status status = attr ? sal_lower_plain(l, x) : sal_lower_no_memory(l);
    return status ? status
                  : sal_lower_emit_blocked(l, &sal_inner_from_rows, node->name, attr, &x, 1,
                                           y);
}

static enum sal_status lower_last(struct sal_lowering *l, const struct sal_node *node)
{
    struct sal_blocked *attr = sal_lower_rows_attr(l, node->in[0]);
    return attr ? sal_lower_emit_plain(l, &sal_inner_to_rows, node->name, attr,
                                       &l->blocked[node->in[0]], 1, node->out[0])
                : sal_lower_no_memory(l);
}

static enum sal_status lower_rows(struct sal_lowering *l, int head, int i, bool *taken)
{
    const struct sal_node *node = &l->from->nodes[i];
    (void)head;
    if (node->n_in != 1 || node->out[0] < 0 || !sal_lower_blockable(l, node->in[0]))
        return SAL_OK;
    if (turns_last(node) && sal_lower_is_blocked(l, node->in[0])) {
        *taken = true;
        return lower_last(l, node);
    }
    int user = l->uses[node->out[0]] ? l->user[node->out[0]] : -1;
    bool convolved = user >= 0 && strcmp(l->from->nodes[user].op->name, "Reshape") != 0;
    if (sal_lower_turns_first(node) && convolved) {
        *taken = true;
        return lower_first(l, node);
    }
    return SAL_OK;
}

const struct sal_rule sal_lower_rows = {lower_rows};
