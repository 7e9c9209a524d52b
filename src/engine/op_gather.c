#include <inttypes.h>
#include <string.h>

#include "kernel.h"
#include "lower.h"

struct gather {
    int64_t axis;
};

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    struct gather *gather = sal_new(arena, struct gather, 1);
    if (!gather)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = gather;
    return sal_attr_int(source, "axis", 0, &gather->axis, err);
}

int sal_gather_axis(const struct sal_node *node, int rank)
{
    const struct gather *gather = node->attr;
    return (int)(gather->axis < 0 ? gather->axis + rank : gather->axis);
}

static enum sal_status check_indices(const struct sal_infer *infer, int64_t dim,
                                     struct sal_error *err)
{
    const struct sal_tensor *indices = infer->in[1];
    int64_t n = indices->data ? sal_shape_count(&indices->shape) : 0;
    for (int64_t i = 0; i < n; i++)
        if (indices->i64[i] < -dim || indices->i64[i] >= dim)
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "index %" PRId64 " is outside an axis of %" PRId64
                                 " elements",
                                 indices->i64[i], dim);
    return SAL_OK;
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct gather *gather = infer->node->attr;
    int axis = 0;
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status || (status = sal_infer_kind(infer, 1, SAL_INT, err)))
        return status;
    const struct sal_shape *x = &infer->in[0]->shape, *indices = &infer->in[1]->shape;
    if ((status = sal_infer_axis(infer, gather->axis, x->rank, 0, &axis, err)) ||
        (status = check_indices(infer, x->dim[axis], err)))
        return status;
    if (x->rank - 1 + indices->rank > SAL_RANK_MAX)
        return sal_node_fail(infer->node, err, SAL_UNSUPPORTED,
                             "output has more than %d axes", SAL_RANK_MAX);
    struct sal_shape shape = {0};
    for (int i = 0; i < axis; i++)
        shape.dim[shape.rank++] = x->dim[i];
    for (int i = 0; i < indices->rank; i++)
        shape.dim[shape.rank++] = indices->dim[i];
    for (int i = axis + 1; i < x->rank; i++)
        shape.dim[shape.rank++] = x->dim[i];
    return sal_infer_like(infer, 0, infer->in[0], &shape, err);
}

/* The input is outer x dim x inner, the output outer x n x inner. */
struct layout {
    int64_t outer, dim, n, inner;
};

static struct layout layout_of(const struct sal_kernel *k)
{
    const struct gather *gather = k->node->attr;
    const struct sal_shape *x = &k->in[0]->shape;
    int axis = (int)(gather->axis < 0 ? gather->axis + x->rank : gather->axis);
    return (struct layout){
        .outer = sal_shape_span(x, 0, axis),
        .dim = x->dim[axis],
        .n = sal_shape_count(&k->in[1]->shape),
        .inner = sal_shape_span(x, axis + 1, x->rank),
    };
}

/* Row of the input for index i; -1 where an index that was computed is outside. */
static int64_t row_of(const struct sal_kernel *k, const struct layout *l, int64_t i)
{
    int64_t index = k->in[1]->i64[i];
    if (index < -l->dim || index >= l->dim)
        return -1;
    return index < 0 ? index + l->dim : index;
}

static void blocks_forward(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const struct layout l = layout_of(k);
    const size_t size = sal_kind_size(k->in[0]->kind), bytes = (size_t)l.inner * size;
    for (int64_t o = from; o < to && bytes; o++)
        for (int64_t i = 0; i < l.n; i++) {
            char *y = (char *)k->out[0]->data + (size_t)(o * l.n + i) * bytes;
            int64_t row = row_of(k, &l, i);
            if (row < 0)
                memset(y, 0, bytes);
            else
                memcpy(y, (char *)k->in[0]->data + (size_t)(o * l.dim + row) * bytes,
                       bytes);
        }
}

/* An index may come twice, so a block is one thread's. */
static void blocks_backward(const struct sal_kernel *k, int64_t from, int64_t to,
                            int worker)
{
    (void)worker;
    const struct layout l = layout_of(k);
    for (int64_t o = from; o < to; o++)
        for (int64_t i = 0; i < l.n; i++) {
            int64_t row = row_of(k, &l, i);
            if (row >= 0)
                sal_add(k->dx[0] + (o * l.dim + row) * l.inner,
                        k->dy[0] + (o * l.n + i) * l.inner, l.inner);
        }
}

static void forward(const struct sal_kernel *k)
{
    struct layout l = layout_of(k);
    sal_split(k->pool, l.outer, sal_grain(l.n * l.inner), blocks_forward, k);
}

static void backward(const struct sal_kernel *k)
{
    struct layout l = layout_of(k);
    if (k->dx[0])
        sal_split(k->pool, l.outer, sal_grain(l.n * l.inner), blocks_backward, k);
}

/* Axes before and behind keep their place; the gathered one is a choice of rows. */
static void carry_axes(const struct sal_kernel *k, int input, int output,
                       struct sal_carry *carry)
{
    const struct gather *gather = k->node->attr;
    const struct sal_tensor *indices = k->in[1];
    const struct sal_shape *x = &k->in[0]->shape, *y = &k->out[output]->shape;
    int axis = (int)(gather->axis < 0 ? gather->axis + x->rank : gather->axis);
    if (input > 0)
        return;
    for (int i = 0; i < x->rank; i++)
        if (i != axis)
            carry->axis[i < axis ? i : i - 1 + indices->shape.rank] = i;
    int64_t n = indices->data ? sal_shape_count(&indices->shape) : 0;
    if (n < 1)
        return;
    struct layout l = layout_of(k);
    int64_t first = row_of(k, &l, 0), last = first;
    bool run = indices->shape.rank == 1;
    for (int64_t i = 1; i < n; i++) {
        int64_t row = row_of(k, &l, i);
        run &= row == first + i;
        last = row > last ? row : last;
    }
    carry->from[axis] = run || n == 1 ? first : 0;
    carry->to[axis] = last + 1;
    if (run && axis < y->rank) {
        carry->axis[axis] = axis;
        carry->skip[axis] = first;
    }
}

const struct sal_op sal_op_Gather = {
    .name = "Gather",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .min_in = 2,
    .max_in = 2,
    .max_out = 1,
    .parse = parse,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .frugal = true,
    .reads = {{.in = 1u << 1}},
    .carry = carry_axes,
    .takes_quantised = true,
};
