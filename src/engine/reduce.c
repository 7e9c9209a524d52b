#include "reduce.h"

struct reduce {
    struct sal_int_list axes; /* the attribute, where they are not an input */
    int axes_input_since;
    int64_t keepdims, noop_with_empty_axes;
};

static enum sal_status parse_since(struct sal_node *node,
                                   const struct sal_onnx_node *source,
                                   struct sal_arena *arena, int axes_input_since,
                                   struct sal_error *err)
{
    struct reduce *reduce = sal_new(arena, struct reduce, 1);
    if (!reduce)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = reduce;
    reduce->axes_input_since = axes_input_since;
    enum sal_status status =
        sal_attr_ints(source, "axes", &reduce->axes.values, &reduce->axes.n, err);
    if (!status)
        status = sal_attr_int(source, "keepdims", 1, &reduce->keepdims, err);
    if (!status)
        status = sal_attr_int(source, "noop_with_empty_axes", 0,
                              &reduce->noop_with_empty_axes, err);
    return status;
}

enum sal_status sal_reduce_parse(struct sal_node *node, const struct sal_onnx_node *source,
                                 struct sal_arena *arena, struct sal_error *err)
{
    return parse_since(node, source, arena, 18, err);
}

enum sal_status sal_reduce_parse_sum(struct sal_node *node,
                                     const struct sal_onnx_node *source,
                                     struct sal_arena *arena, struct sal_error *err)
{
    return parse_since(node, source, arena, 13, err);
}

/* No axes are all axes, or none. */
static enum sal_status choose(const struct sal_infer *infer, bool chosen[SAL_RANK_MAX],
                              struct sal_error *err)
{
    const struct reduce *reduce = infer->node->attr;
    const int64_t *axes;
    int64_t n;
    int rank = infer->in[0]->shape.rank;
    enum sal_status status = sal_infer_list(infer, reduce->axes_input_since, 1, "axes",
                                            &reduce->axes, &axes, &n, err);
    if (status || (status = sal_infer_axes(infer, axes, n, rank, chosen, err)))
        return status;
    if (!n && !reduce->noop_with_empty_axes)
        for (int i = 0; i < rank; i++)
            chosen[i] = true;
    return SAL_OK;
}

enum sal_status sal_reduce_infer(const struct sal_infer *infer, struct sal_error *err)
{
    bool chosen[SAL_RANK_MAX];
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status || (status = choose(infer, chosen, err)))
        return status;
    const struct reduce *reduce = infer->node->attr;
    const struct sal_shape *x = &infer->in[0]->shape;
    struct sal_shape shape = {0};
    for (int i = 0; i < x->rank; i++) {
        if (!chosen[i])
            shape.dim[shape.rank++] = x->dim[i];
        else if (reduce->keepdims)
            shape.dim[shape.rank++] = 1;
    }
    return sal_infer_like(infer, 0, infer->in[0], &shape, err);
}

void sal_reduce_carry(const struct sal_kernel *k, int input, int output,
                      struct sal_carry *carry)
{
    const struct sal_infer infer = {.node = k->node, .in = k->in};
    const struct reduce *reduce = k->node->attr;
    bool chosen[SAL_RANK_MAX];
    (void)output;
    if (input > 0)
        return;
    choose(&infer, chosen, NULL);
    for (int i = 0, at = 0; i < k->in[0]->shape.rank; i++) {
        if (!chosen[i])
            carry->axis[at] = i;
        at += !chosen[i] || reduce->keepdims;
    }
}

void sal_reduce_walk(struct sal_walk *walk, const struct sal_kernel *k)
{
    const struct sal_infer infer = {.node = k->node, .in = k->in};
    const struct sal_shape *x = &k->in[0]->shape;
    struct sal_shape kept = *x;
    bool chosen[SAL_RANK_MAX];
    choose(&infer, chosen, NULL);
    for (int i = 0; i < x->rank; i++)
        if (chosen[i])
            kept.dim[i] = 1;
    sal_walk_init(walk, x, (const struct sal_shape *const[]){&kept, x}, 2);
}

int64_t sal_reduce_terms(const struct sal_kernel *k)
{
    int64_t y = sal_shape_count(&k->out[0]->shape);
    return y ? sal_shape_count(&k->in[0]->shape) / y : 0;
}

void sal_reduce_start(const struct sal_tensor *y, sal_real real, int64_t integer)
{
    int64_t n = sal_shape_count(&y->shape);
    for (int64_t i = 0; i < n; i++) {
        if (y->kind == SAL_REAL)
            y->real[i] = real;
        else
            y->i64[i] = integer;
    }
}

void sal_reduce_forward(const struct sal_kernel *k, sal_real real, int64_t integer,
                        void (*reals)(const struct sal_stretch *),
                        void (*integers)(const struct sal_stretch *))
{
    struct sal_walk walk;
    sal_reduce_start(k->out[0], real, integer);
    sal_reduce_walk(&walk, k);
    sal_walk_reduce(&walk, SAL_REDUCE_Y, k,
                    k->out[0]->kind == SAL_REAL ? reals : integers);
}

void sal_reduce_backward(const struct sal_kernel *k,
                         void (*gradient)(const struct sal_stretch *))
{
    struct sal_walk walk;
    sal_reduce_walk(&walk, k);
    if (k->dx[0])
        sal_walk_reduce(&walk, SAL_REDUCE_Y, k, gradient);
}
