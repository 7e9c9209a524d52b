#include <inttypes.h>

#include "lower.h"
#include "walk.h"

/*
 * Outputs that are the input seen through other strides: Transpose, Slice, Expand, Tile.
 * One loop moves the values, one pulls gradients back; each operator says how the
 * output's axes step through the input.
 */
struct view {
    struct sal_shape shape;
    struct sal_shape split; /* the same with some axes made two; no axes: as it is */
    int64_t stride[SAL_RANK_MAX]; /* in elements of the input, of those axes */
    int64_t offset;
};

typedef enum sal_status view_maker(const struct sal_infer *infer, struct view *view,
                                   struct sal_error *err);

static void contiguous(const struct sal_shape *shape, int64_t stride[SAL_RANK_MAX])
{
    int64_t step = 1;
    for (int i = shape->rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= shape->dim[i];
    }
}

static enum sal_status infer_view(const struct sal_infer *infer, view_maker *make,
                                  struct sal_error *err)
{
    struct view view = {0};
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status || (status = make(infer, &view, err)))
        return status;
    return sal_infer_like(infer, 0, infer->in[0], &view.shape, err);
}

/* ---- loops --------------------------------------------------------------------- */

enum { X, Y };

#define MOVE(function, type, field)                                              \
    static void function(const struct sal_stretch *s)                            \
    {                                                                            \
        const type *x = s->k->in[0]->field + s->at[X] + s->base;                 \
        type *y = s->k->out[0]->field + s->at[Y];                                \
        for (int64_t i = 0; i < s->count; i++)                                   \
            y[i] = x[i * s->step[X]];                                            \
    }

MOVE(move_reals, sal_real, real)
MOVE(move_integers, int64_t, i64)

static void pull_back(const struct sal_stretch *s)
{
    const sal_real *dy = s->k->dy[0] + s->at[Y];
    sal_real *dx = s->k->dx[0] + s->at[X] + s->base;
    for (int64_t i = 0; i < s->count; i++)
        dx[i * s->step[X]] += dy[i * s->step[Y]];
}

static void lay(struct sal_walk *walk, const struct sal_kernel *k, view_maker *make)
{
    const struct sal_infer infer = {.node = k->node, .in = k->in};
    struct view view = {0};
    make(&infer, &view, NULL);
    const struct sal_shape *over = view.split.rank ? &view.split : &view.shape;
    int64_t stride[2][SAL_RANK_MAX];
    for (int i = 0; i < SAL_RANK_MAX; i++)
        stride[X][i] = view.stride[i];
    contiguous(over, stride[Y]);
    sal_walk_lay(walk, over, stride, 2);
    walk->base = view.offset;
}

static void forward(const struct sal_kernel *k, view_maker *make)
{
    struct sal_walk walk;
    lay(&walk, k, make);
    sal_walk_each(&walk, k, k->out[0]->kind == SAL_REAL ? move_reals : move_integers);
}

static void backward(const struct sal_kernel *k, view_maker *make)
{
    struct sal_walk walk;
    lay(&walk, k, make);
    if (k->dx[0] && k->dy[0])
        sal_walk_reduce(&walk, X, k, pull_back);
}

/* ---- Transpose ----------------------------------------------------------------- */

static enum sal_status transpose_parse(struct sal_node *node,
                                       const struct sal_onnx_node *source,
                                       struct sal_arena *arena, struct sal_error *err)
{
    struct sal_int_list *perm = sal_new(arena, struct sal_int_list, 1);
    if (!perm)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = perm;
    return sal_attr_ints(source, "perm", &perm->values, &perm->n, err);
}

static enum sal_status transpose_view(const struct sal_infer *infer, struct view *view,
                                      struct sal_error *err)
{
    const struct sal_int_list *perm = infer->node->attr;
    const struct sal_shape *x = &infer->in[0]->shape;
    int64_t stride[SAL_RANK_MAX];
    bool used[SAL_RANK_MAX];
    if (perm->values && perm->n != x->rank)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "perm has %d entries, input has %d axes", perm->n, x->rank);
    enum sal_status status =
        sal_infer_axes(infer, perm->values, perm->n, x->rank, used, err);
    if (status)
        return status;
    contiguous(x, stride);
    view->shape.rank = x->rank;
    for (int i = 0; i < x->rank; i++) {
        int64_t from = perm->values ? perm->values[i] : x->rank - 1 - i;
        from += from < 0 ? x->rank : 0;
        view->shape.dim[i] = x->dim[from];
        view->stride[i] = stride[from];
    }
    return SAL_OK;
}

const struct sal_int_list *sal_transpose_axes(const struct sal_node *node)
{
    const struct sal_int_list *perm = node->attr;
    return perm && perm->values ? perm : NULL;
}

static void transpose_carry(const struct sal_kernel *k, int input, int output,
                            struct sal_carry *carry)
{
    (void)output;
    const struct sal_int_list *perm = k->node->attr;
    int rank = k->in[input]->shape.rank;
    for (int i = 0; i < rank; i++) {
        int64_t from = perm->values ? perm->values[i] : rank - 1 - i;
        carry->axis[i] = (int)(from < 0 ? from + rank : from);
    }
}

/* ---- Slice --------------------------------------------------------------------- */

enum { STARTS, ENDS, AXES, STEPS, LISTS };

struct slice {
    struct sal_int_list list[LISTS]; /* attributes, before opset 10 */
};

static const char *const slice_names[LISTS] = {"starts", "ends", "axes", "steps"};

static enum sal_status slice_parse(struct sal_node *node,
                                   const struct sal_onnx_node *source,
                                   struct sal_arena *arena, struct sal_error *err)
{
    struct slice *slice = sal_new(arena, struct slice, 1);
    if (!slice)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = slice;
    enum sal_status status = SAL_OK;
    for (int i = 0; i < STEPS && !status; i++)
        status = sal_attr_ints(source, slice_names[i], &slice->list[i].values,
                               &slice->list[i].n, err);
    return status;
}

static enum sal_status slice_lists(const struct sal_infer *infer,
                                   const int64_t *values[LISTS], int64_t n[LISTS],
                                   struct sal_error *err)
{
    const struct slice *slice = infer->node->attr;
    enum sal_status status = SAL_OK;
    if (infer->node->opset >= 10)
        (void)((status = sal_infer_present(infer, 1, err)) ||
               (status = sal_infer_present(infer, 2, err)));
    for (int i = 0; i < LISTS && !status; i++) {
        status = sal_infer_list(infer, 10, 1 + i, slice_names[i], &slice->list[i],
                                &values[i], &n[i], err);
        bool optional = i == AXES || i == STEPS;
        if (!status && n[i] != n[STARTS] && !(optional && !values[i]))
            status = sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                   "%s has %" PRId64 " entries, starts has %" PRId64,
                                   slice_names[i], n[i], n[STARTS]);
    }
    if (!status && n[STARTS] > infer->in[0]->shape.rank)
        status = sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                               "%" PRId64 " axes to cut, input has %d", n[STARTS],
                               infer->in[0]->shape.rank);
    return status;
}

/* `at` counted from the end where negative, kept within low..high. */
static int64_t position(int64_t at, int64_t dim, int64_t low, int64_t high)
{
    if (at < 0)
        at += dim;
    return at < low ? low : at > high ? high : at;
}

static void cut(struct view *view, int axis, int64_t start, int64_t end, int64_t step)
{
    int64_t dim = view->shape.dim[axis], back = step < 0;
    start = position(start, dim, 0, dim - back);
    end = position(end, dim, -back, dim - back);
    /* Longer steps than any axis change nothing but overflow. */
    if (step > SAL_COUNT_MAX || step < -SAL_COUNT_MAX)
        step = back ? -SAL_COUNT_MAX : SAL_COUNT_MAX;
    int64_t reach = back ? start - end : end - start, stride = back ? -step : step;
    int64_t n = dim && reach > 0 ? (reach + stride - 1) / stride : 0;
    view->shape.dim[axis] = n;
    if (n > 0)
        view->offset += start * view->stride[axis];
    /* A stride that is never taken may be long enough to overflow as well. */
    view->stride[axis] = n > 1 ? step * view->stride[axis] : 1;
}

static enum sal_status slice_view(const struct sal_infer *infer, struct view *view,
                                  struct sal_error *err)
{
    const int64_t *values[LISTS] = {0};
    int64_t n[LISTS] = {0};
    bool used[SAL_RANK_MAX];
    enum sal_status status = slice_lists(infer, values, n, err);
    if (status)
        return status;
    view->shape = infer->in[0]->shape;
    contiguous(&view->shape, view->stride);
    if (values[AXES] && (status = sal_infer_axes(infer, values[AXES], n[AXES],
                                                 view->shape.rank, used, err)))
        return status;
    for (int i = 0; i < n[STARTS]; i++) {
        int64_t axis = values[AXES] ? values[AXES][i] : i;
        int64_t step = values[STEPS] ? values[STEPS][i] : 1;
        if (!step)
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "steps[%d] is 0, must not be", i);
        axis += axis < 0 ? view->shape.rank : 0;
        cut(view, (int)axis, values[STARTS][i], values[ENDS][i], step);
    }
    return SAL_OK;
}

static void slice_carry(const struct sal_kernel *k, int input, int output,
                        struct sal_carry *carry)
{
    const struct sal_infer infer = {.node = k->node, .in = k->in};
    const struct sal_shape *x = &k->in[input]->shape, *y = &k->out[output]->shape;
    const int64_t *values[LISTS] = {0};
    int64_t n[LISTS] = {0};
    slice_lists(&infer, values, n, NULL);
    for (int i = 0; i < x->rank; i++)
        carry->axis[i] = i;
    for (int i = 0; i < n[STARTS]; i++) {
        int64_t at = values[AXES] ? values[AXES][i] : i;
        int axis = (int)(at < 0 ? at + x->rank : at);
        int64_t step = values[STEPS] ? values[STEPS][i] : 1;
        int64_t start = position(values[STARTS][i], x->dim[axis], 0, x->dim[axis]);
        if (step < 0) { /* backwards: in no order */
            carry->axis[axis] = -1;
            continue;
        }
        carry->exact[axis] = step == 1;
        carry->skip[axis] = carry->from[axis] = start;
        carry->to[axis] = step == 1 ? start + y->dim[axis] : x->dim[axis];
    }
}

/* ---- Expand -------------------------------------------------------------------- */

static enum sal_status expand_view(const struct sal_infer *infer, struct view *view,
                                   struct sal_error *err)
{
    const int64_t *dims;
    int64_t n;
    enum sal_status status = sal_infer_ints(infer, 1, "shape", &dims, &n, err);
    if (status)
        return status;
    if (n > SAL_RANK_MAX)
        return sal_node_fail(infer->node, err, SAL_UNSUPPORTED,
                             "output has more than %d axes", SAL_RANK_MAX);
    struct sal_shape asked = {.rank = (int)n};
    for (int i = 0; i < asked.rank; i++)
        asked.dim[i] = dims[i];
    status = sal_infer_broadcast(infer, &infer->in[0]->shape, &asked, &view->shape, err);
    if (!status)
        sal_broadcast_strides(&infer->in[0]->shape, &view->shape, view->stride);
    return status;
}

/* ---- Tile ---------------------------------------------------------------------- */

/* Before opset 6: so many times along one axis. */
static enum sal_status tile_one_axis(const struct sal_infer *infer,
                                     int64_t repeats[SAL_RANK_MAX], struct sal_error *err)
{
    int64_t times, at;
    int axis = 0, rank = infer->in[0]->shape.rank;
    enum sal_status status = sal_infer_number(infer, 1, "tiles", &times, err);
    if (status || (status = sal_infer_number(infer, 2, "axis", &at, err)) ||
        (status = sal_infer_axis(infer, at, rank, 0, &axis, err)))
        return status;
    for (int i = 0; i < rank; i++)
        repeats[i] = i == axis ? times : 1;
    return SAL_OK;
}

static enum sal_status tile_repeats(const struct sal_infer *infer,
                                    int64_t repeats[SAL_RANK_MAX], struct sal_error *err)
{
    const int64_t *values;
    int64_t n;
    if (infer->node->opset < 6)
        return tile_one_axis(infer, repeats, err);
    enum sal_status status = sal_infer_ints(infer, 1, "repeats", &values, &n, err);
    if (status)
        return status;
    if (n != infer->in[0]->shape.rank)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "repeats has %" PRId64 " entries, input has %d axes", n,
                             infer->in[0]->shape.rank);
    for (int i = 0; i < n; i++)
        repeats[i] = values[i];
    return SAL_OK;
}

/* An axis of the output is the repeats and, inside them, the input's axis. */
static enum sal_status tile_axis(const struct sal_infer *infer, struct view *view,
                                 int axis, int64_t repeats, int64_t step,
                                 struct sal_error *err)
{
    struct sal_shape *split = &view->split;
    int64_t dim = view->shape.dim[axis];
    if (repeats < 0)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "repeats[%d] is %" PRId64 ", must not be negative", axis,
                             repeats);
    if (__builtin_mul_overflow(dim, repeats, &view->shape.dim[axis]))
        return sal_node_fail(infer->node, err, SAL_LIMIT,
                             "output would have 2^40 elements or more");
    bool two = repeats != 1 && dim != 1;
    if (split->rank + 1 + two > SAL_RANK_MAX)
        return sal_node_fail(infer->node, err, SAL_UNSUPPORTED,
                             "repeats too many of its axes");
    if (two) {
        view->stride[split->rank] = 0;
        split->dim[split->rank++] = repeats;
    }
    view->stride[split->rank] = dim == 1 ? 0 : step;
    split->dim[split->rank++] = dim == 1 ? repeats : dim;
    return SAL_OK;
}

static enum sal_status tile_view(const struct sal_infer *infer, struct view *view,
                                 struct sal_error *err)
{
    int64_t repeats[SAL_RANK_MAX], step[SAL_RANK_MAX];
    view->shape = infer->in[0]->shape;
    enum sal_status status = tile_repeats(infer, repeats, err);
    contiguous(&view->shape, step);
    for (int i = 0; i < view->shape.rank && !status; i++)
        status = tile_axis(infer, view, i, repeats[i], step[i], err);
    return status;
}

/* ---- rows ---------------------------------------------------------------------- */

#define VIEW(op_name, op_since, op_min_in, op_max_in, op_parse, op_view, op_carry) \
    static enum sal_status op_name##_infer(const struct sal_infer *infer,        \
                                           struct sal_error *err)                \
    {                                                                            \
        return infer_view(infer, op_view, err);                                  \
    }                                                                            \
    static void op_name##_forward(const struct sal_kernel *k)                    \
    {                                                                            \
        forward(k, op_view);                                                     \
    }                                                                            \
    static void op_name##_backward(const struct sal_kernel *k)                   \
    {                                                                            \
        backward(k, op_view);                                                    \
    }                                                                            \
    const struct sal_op sal_op_##op_name = {                                     \
        .name = #op_name,                                                        \
        .since = op_since,                                                       \
        .until = SAL_OPSET_MAX,                                                  \
        .min_in = op_min_in,                                                     \
        .max_in = op_max_in,                                                     \
        .max_out = 1,                                                            \
        .parse = op_parse,                                                       \
        .infer = op_name##_infer,                                                \
        .forward = op_name##_forward,                                            \
        .backward = op_name##_backward,                                          \
        .frugal = true,                                                          \
        .carry = op_carry,                                                       \
        .takes_quantised = true,                                                 \
    };

VIEW(Expand, 8, 2, 2, NULL, expand_view, NULL)
VIEW(Slice, 1, 1, 5, slice_parse, slice_view, slice_carry)
VIEW(Tile, 1, 2, 3, NULL, tile_view, NULL)
VIEW(Transpose, 1, 1, 1, transpose_parse, transpose_view, transpose_carry)
