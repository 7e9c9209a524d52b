#include <inttypes.h>

#include "kernel.h"

/* What gives the same values another shape, and the shape itself. */

static enum sal_status too_many_axes(const struct sal_infer *infer, int64_t n,
                                     struct sal_error *err)
{
    return sal_node_fail(infer->node, err, SAL_UNSUPPORTED,
                         "output has %" PRId64 " axes, at most %d are supported", n,
                         SAL_RANK_MAX);
}

/* ---- Reshape ------------------------------------------------------------------- */

struct reshape {
    struct sal_int_list shape; /* the attribute, before opset 5 */
    int64_t allowzero;
};

static enum sal_status reshape_parse(struct sal_node *node,
                                     const struct sal_onnx_node *source,
                                     struct sal_arena *arena, struct sal_error *err)
{
    struct reshape *reshape = sal_new(arena, struct reshape, 1);
    if (!reshape)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = reshape;
    enum sal_status status =
        sal_attr_ints(source, "shape", &reshape->shape.values, &reshape->shape.n, err);
    return status ? status
                  : sal_attr_int(source, "allowzero", 0, &reshape->allowzero, err);
}

static enum sal_status does_not_fit(const struct sal_infer *infer, struct sal_error *err)
{
    char text[96];
    const struct sal_shape *x = &infer->in[0]->shape;
    return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                         "the %s input does not fit the shape asked for",
                         sal_shape_text(x, text, sizeof(text)));
}

/* Fills shape from what was asked for; -1 takes what is left. */
static enum sal_status resolve(const struct sal_infer *infer, const int64_t *asked,
                               int64_t n, bool allowzero, struct sal_shape *shape,
                               struct sal_error *err)
{
    const struct sal_shape *x = &infer->in[0]->shape;
    int64_t total = sal_shape_count(x), known = 1;
    int rest = -1;
    for (int i = 0; i < n; i++) {
        int64_t dim = asked[i];
        if (dim == 0 && !allowzero) {
            if (i >= x->rank)
                return does_not_fit(infer, err);
            dim = x->dim[i];
        }
        if (dim < -1 || (dim == -1 && rest >= 0))
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "shape[%d] is %" PRId64 ", must be 0 or more, or -1 once",
                                 i, dim);
        if (dim == -1)
            rest = i;
        else if (__builtin_mul_overflow(known, dim, &known))
            return does_not_fit(infer, err);
        shape->dim[i] = dim;
    }
    shape->rank = (int)n;
    if (rest >= 0 && known > 0)
        shape->dim[rest] = total / known;
    if (rest >= 0 ? known <= 0 || total % known : known != total)
        return does_not_fit(infer, err);
    return SAL_OK;
}

static enum sal_status reshape_infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct reshape *reshape = infer->node->attr;
    const int64_t *asked;
    int64_t n;
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (!status && infer->node->opset >= 5)
        status = sal_infer_present(infer, 1, err);
    if (!status)
        status =
            sal_infer_list(infer, 5, 1, "shape", &reshape->shape, &asked, &n, err);
    if (status)
        return status;
    if (n > SAL_RANK_MAX)
        return too_many_axes(infer, n, err);
    struct sal_shape shape = {0};
    status = resolve(infer, asked, n, reshape->allowzero != 0, &shape, err);
    return status ? status : sal_infer_like(infer, 0, infer->in[0], &shape, err);
}

/* ---- Flatten ------------------------------------------------------------------- */

struct flatten {
    int64_t axis;
};

static enum sal_status flatten_parse(struct sal_node *node,
                                     const struct sal_onnx_node *source,
                                     struct sal_arena *arena, struct sal_error *err)
{
    struct flatten *flatten = sal_new(arena, struct flatten, 1);
    if (!flatten)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = flatten;
    return sal_attr_int(source, "axis", 1, &flatten->axis, err);
}

static enum sal_status flatten_infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct flatten *flatten = infer->node->attr;
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status)
        return status;
    const struct sal_shape *x = &infer->in[0]->shape;
    int axis = 0;
    if ((status = sal_infer_axis(infer, flatten->axis, x->rank, 1, &axis, err)))
        return status;
    struct sal_shape shape = {.rank = 2};
    shape.dim[0] = sal_shape_span(x, 0, axis);
    shape.dim[1] = sal_shape_span(x, axis, x->rank);
    return sal_infer_like(infer, 0, infer->in[0], &shape, err);
}

/* ---- Squeeze, Unsqueeze ---------------------------------------------------------- */

static enum sal_status axes_parse(struct sal_node *node, const struct sal_onnx_node *source,
                                  struct sal_arena *arena, struct sal_error *err)
{
    struct sal_int_list *axes = sal_new(arena, struct sal_int_list, 1);
    if (!axes)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = axes;
    return sal_attr_ints(source, "axes", &axes->values, &axes->n, err);
}

static enum sal_status squeeze_infer(const struct sal_infer *infer, struct sal_error *err)
{
    const int64_t *axes;
    int64_t n;
    bool chosen[SAL_RANK_MAX];
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status || (status = sal_infer_list(infer, 13, 1, "axes", infer->node->attr, &axes,
                                           &n, err)))
        return status;
    const struct sal_shape *x = &infer->in[0]->shape;
    if ((status = sal_infer_axes(infer, axes, n, x->rank, chosen, err)))
        return status;
    struct sal_shape shape = {0};
    for (int i = 0; i < x->rank; i++) {
        if (chosen[i] && x->dim[i] != 1)
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "axis %d has %" PRId64 " elements, must have 1", i,
                                 x->dim[i]);
        if (n ? !chosen[i] : x->dim[i] != 1)
            shape.dim[shape.rank++] = x->dim[i];
    }
    return sal_infer_like(infer, 0, infer->in[0], &shape, err);
}

static enum sal_status unsqueeze_infer(const struct sal_infer *infer, struct sal_error *err)
{
    const int64_t *axes;
    int64_t n;
    bool chosen[SAL_RANK_MAX];
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status || (status = sal_infer_list(infer, 13, 1, "axes", infer->node->attr, &axes,
                                           &n, err)))
        return status;
    const struct sal_shape *x = &infer->in[0]->shape;
    if (n > SAL_RANK_MAX - x->rank)
        return too_many_axes(infer, n + x->rank, err);
    struct sal_shape shape = {.rank = x->rank + (int)n};
    if ((status = sal_infer_axes(infer, axes, n, shape.rank, chosen, err)))
        return status;
    for (int i = 0, from = 0; i < shape.rank; i++)
        shape.dim[i] = chosen[i] ? 1 : x->dim[from++];
    return sal_infer_like(infer, 0, infer->in[0], &shape, err);
}

/* ---- Shape --------------------------------------------------------------------- */

struct range {
    int64_t start, end;
};

static enum sal_status shape_parse(struct sal_node *node, const struct sal_onnx_node *source,
                                   struct sal_arena *arena, struct sal_error *err)
{
    struct range *range = sal_new(arena, struct range, 1);
    if (!range)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = range;
    enum sal_status status = sal_attr_int(source, "start", 0, &range->start, err);
    return status ? status : sal_attr_int(source, "end", INT64_MAX, &range->end, err);
}

static int clamped(int64_t axis, int rank)
{
    if (axis < 0)
        axis += rank;
    return axis < 0 ? 0 : axis > rank ? rank : (int)axis;
}

static enum sal_status shape_infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct range *range = infer->node->attr;
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status)
        return status;
    int rank = infer->in[0]->shape.rank;
    int n = clamped(range->end, rank) - clamped(range->start, rank);
    struct sal_shape shape = {.rank = 1, .dim = {n < 0 ? 0 : n}};
    return sal_infer_set(infer, 0, SAL_INT, SAL_ONNX_INT64, &shape, err);
}

static void shape_forward(const struct sal_kernel *k)
{
    const struct range *range = k->node->attr;
    const struct sal_shape *x = &k->in[0]->shape;
    int start = clamped(range->start, x->rank);
    for (int i = 0; i < k->out[0]->shape.dim[0]; i++)
        k->out[0]->i64[i] = x->dim[start + i];
}

static enum sal_status size_infer(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = sal_infer_present(infer, 0, err);
    struct sal_shape scalar = {0};
    return status ? status
                  : sal_infer_set(infer, 0, SAL_INT, SAL_ONNX_INT64, &scalar, err);
}

static void size_forward(const struct sal_kernel *k)
{
    k->out[0]->i64[0] = sal_shape_count(&k->in[0]->shape);
}

/* ---- rows ---------------------------------------------------------------------- */

#define VIEW(op_name, op_max_in, op_parse, op_infer)                             \
    const struct sal_op sal_op_##op_name = {                                     \
        .name = #op_name,                                                        \
        .since = 1,                                                              \
        .until = SAL_OPSET_MAX,                                                  \
        .min_in = 1,                                                             \
        .max_in = op_max_in,                                                     \
        .max_out = 1,                                                            \
        .parse = op_parse,                                                       \
        .infer = op_infer,                                                       \
        .forward = sal_pass_forward,                                             \
        .backward = sal_pass_backward,                                           \
        .view = true,                                                            \
        .frugal = true,                                                          \
        .takes_quantised = true,                                                 \
        .passes = true,                                                          \
    };

VIEW(Flatten, 1, flatten_parse, flatten_infer)
VIEW(Reshape, 2, reshape_parse, reshape_infer)
VIEW(Squeeze, 2, axes_parse, squeeze_infer)
VIEW(Unsqueeze, 2, axes_parse, unsqueeze_infer)

const struct sal_op sal_op_Shape = {
    .name = "Shape",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = 1,
    .max_out = 1,
    .parse = shape_parse,
    .infer = shape_infer,
    .forward = shape_forward,
    .shape_only = true,
};

const struct sal_op sal_op_Size = {
    .name = "Size",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = 1,
    .max_out = 1,
    .infer = size_infer,
    .forward = size_forward,
    .shape_only = true,
};
