/* Element-wise operators on blocked values: the same operator on the blocked shape. */
#include <string.h>

#include "kernel.h"
#include "lower.h"

static bool is_pointwise(const struct sal_lowering *l, const struct sal_node *node)
{
    const struct sal_op *op = node->op;
    const struct sal_tensor *out = sal_lower_tensor(l, node->out[0]);
    return op->pointwise && node->n_out == 1 && out->kind == SAL_REAL &&
           out->shape.rank == 4 && !node->plan;
}

/* An input that keeps its form: one number. */
static bool is_scalar(const struct sal_lowering *l, int v)
{
    const struct sal_tensor *tensor = sal_lower_tensor(l, v);
    return tensor->data && sal_shape_count(&tensor->shape) == 1;
}

/* One number per channel. */
static bool is_per_channel(const struct sal_lowering *l, int v, int64_t channels)
{
    const struct sal_tensor *t = sal_lower_constant(l, v);
    int rank = t ? t->shape.rank : 0;
    return rank >= 3 && rank <= 4 && t->shape.dim[rank - 3] == channels &&
           sal_shape_count(&t->shape) == channels;
}

/* Blocked beside an output of that shape: all of it, or one pixel of each image. */
static bool fits(const struct sal_lowering *l, int v, const struct sal_shape *out)
{
    const int64_t *dim = sal_lower_tensor(l, v)->shape.dim;
    bool whole = dim[2] == out->dim[2] && dim[3] == out->dim[3];
    return sal_lower_blockable(l, v) && dim[0] == out->dim[0] && dim[1] == out->dim[1] &&
           (whole || (dim[2] == 1 && dim[3] == 1));
}

static bool takes(const struct sal_lowering *l, const struct sal_node *node)
{
    const struct sal_shape *out = &sal_lower_tensor(l, node->out[0])->shape;
    bool any = false;
    for (int i = 0; i < node->n_in; i++) {
        int v = node->in[i];
        if (v < 0 || is_scalar(l, v) || is_per_channel(l, v, out->dim[1]))
            continue;
        if (!fits(l, v, out))
            return false;
        any |= sal_lower_is_blocked(l, v);
    }
    return any;
}

static enum sal_status per_channel(struct sal_lowering *l, int v, int64_t channels, int *id)
{
    struct sal_blocked one = {1, channels, 1, 1};
    struct sal_shape shape = sal_blocked_shape(&one);
    sal_real *data = sal_new(&l->to->arena, sal_real, sal_shape_count(&shape));
    if (!data)
        return sal_lower_no_memory(l);
    memcpy(data, sal_lower_reals(l, v), sizeof(*data) * (size_t)channels);
    return sal_lower_data(l, l->from->values[v].name, &shape, data, id);
}

static enum sal_status take_input(struct sal_lowering *l, int v, int64_t channels, int *id)
{
    *id = v;
    if (v < 0 || is_scalar(l, v))
        return SAL_OK;
    return is_per_channel(l, v, channels) ? per_channel(l, v, channels, id)
                                          : sal_lower_blocked(l, v, id);
}

static enum sal_status lower_pointwise(struct sal_lowering *l, int head, int i, bool *taken)
{
    (void)head;
    const struct sal_node *node = &l->from->nodes[i];
    if (node->n_in < 1 || node->out[0] < 0 || !is_pointwise(l, node) || !takes(l, node))
        return SAL_OK;
    int64_t channels = sal_lower_tensor(l, node->out[0])->shape.dim[1];
    int *in = sal_new(&l->scratch, int, node->n_in);
    enum sal_status status = in ? SAL_OK : sal_lower_no_memory(l);
    for (int j = 0; j < node->n_in && !status; j++)
        status = take_input(l, node->in[j], channels, &in[j]);
    *taken = true;
    return status ? status
                  : sal_lower_emit_blocked(l, node->op, node->name, node->attr, in,
                                           node->n_in, node->out[0]);
}

const struct sal_rule sal_lower_pointwise = {lower_pointwise};
