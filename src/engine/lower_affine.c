/* BatchNormalization that follows and precedes no convolution, and its clamp. */
#include <string.h>

#include "inner_affine.h"
#include "kernel.h"
#include "lower.h"
#include "real.h"

static bool takes(const struct sal_lowering *l, const struct sal_node *node)
{
    if (strcmp(node->op->name, "BatchNormalization") != 0 || node->out[0] < 0 ||
        !sal_lower_blockable(l, node->in[0]) || !sal_lower_is_blocked(l, node->in[0]))
        return false;
    for (int i = 1; i < node->n_in; i++)
        if (!sal_lower_constant(l, node->in[i]))
            return false;
    return true;
}

/* Both vectors as constants of the lowered graph. */
static enum sal_status vectors(struct sal_lowering *l, const struct sal_node *node, int id[2])
{
    const struct sal_tensor *in[5];
    for (int i = 0; i < 5; i++)
        in[i] = sal_lower_tensor(l, node->in[i]);
    int64_t n = sal_blocks(in[1]->shape.dim[0]) * SAL_BLOCK;
    struct sal_shape shape = {.rank = 1, .dim = {n}};
    sal_real *data = sal_new(&l->to->arena, sal_real, 2 * n);
    if (!data)
        return sal_lower_no_memory(l);
    sal_batch_norm_affine(node, in, data, data + n);
    enum sal_status status = sal_lower_data(l, node->name, &shape, data, &id[0]);
    return status ? status : sal_lower_data(l, node->name, &shape, data + n, &id[1]);
}

static enum sal_status lower_affine(struct sal_lowering *l, int head, int i, bool *taken)
{
    const struct sal_node *node = &l->from->nodes[head];
    if (!takes(l, node))
        return SAL_OK;
    *taken = true;
    int nodes[2] = {head, sal_lower_next(l, head)};
    struct sal_inner_affine_attr clamp = {-SAL_INFINITY, SAL_INFINITY};
    bool clamps = nodes[1] >= 0 && sal_clamp_of(l->from, &l->from->nodes[nodes[1]], &clamp.low,
                                                &clamp.high);
    if (clamps && i == head) {
        sal_lower_fold(l, nodes, 2);
        return SAL_OK;
    }
    struct sal_inner_affine_attr *attr =
        sal_new(&l->to->arena, struct sal_inner_affine_attr, 1);
    int in[3];
    enum sal_status status = attr ? vectors(l, node, in + 1) : sal_lower_no_memory(l);
    if (status || (status = sal_lower_blocked(l, node->in[0], &in[0])))
        return status;
    *attr = clamps ? clamp : (struct sal_inner_affine_attr){-SAL_INFINITY, SAL_INFINITY};
    return sal_lower_emit_blocked(l, &sal_inner_affine, node->name, attr, in, 3,
                                  l->from->nodes[clamps ? nodes[1] : head].out[0]);
}

const struct sal_rule sal_lower_affine = {lower_affine};
