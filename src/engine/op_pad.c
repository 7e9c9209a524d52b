#include <inttypes.h>
#include <string.h>

#include "boxes.h"
#include "kernel.h"

enum mode { CONSTANT, REFLECT, EDGE, WRAP, MODES };

static const char *const mode_names[MODES] = {
    [CONSTANT] = "constant",
    [REFLECT] = "reflect",
    [EDGE] = "edge",
    [WRAP] = "wrap",
};

struct pad {
    struct sal_int_list pads; /* the attribute, before opset 11 */
    double value;             /* likewise */
    int mode;
};

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    struct pad *pad = sal_new(arena, struct pad, 1);
    if (!pad)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = pad;
    enum sal_status status = sal_attr_word(node, source, "mode", mode_names, MODES,
                                           CONSTANT, &pad->mode, err);
    (void)(status || (status = sal_attr_float(source, "value", 0, &pad->value, err)) ||
           (status = sal_attr_ints(source, "pads", &pad->pads.values, &pad->pads.n, err)));
    return status;
}

/* ---- shapes -------------------------------------------------------------------- */

struct frame {
    int64_t begin[SAL_RANK_MAX], end[SAL_RANK_MAX];
};

static enum sal_status read_frame(const struct sal_infer *infer, struct frame *frame,
                                  struct sal_error *err)
{
    const struct pad *pad = infer->node->attr;
    const struct sal_int_list no_axes = {0};
    const int64_t *pads, *axes;
    int64_t n, n_axes;
    bool used[SAL_RANK_MAX];
    int rank = infer->in[0]->shape.rank;
    enum sal_status status =
        sal_infer_list(infer, 11, 1, "pads", &pad->pads, &pads, &n, err);
    if (status || (status = sal_infer_list(infer, 18, 3, "axes", &no_axes, &axes, &n_axes,
                                           err)))
        return status;
    int64_t padded = axes ? n_axes : rank;
    if (n != 2 * padded || padded > rank)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "pads has %" PRId64 " entries, expected two for each of %" PRId64
                             " axes",
                             n, padded);
    if (axes && (status = sal_infer_axes(infer, axes, n_axes, rank, used, err)))
        return status;
    *frame = (struct frame){0};
    for (int64_t i = 0; i < padded; i++) {
        int64_t axis = axes ? axes[i] : i;
        axis += axis < 0 ? rank : 0;
        frame->begin[axis] = pads[i];
        frame->end[axis] = pads[padded + i];
    }
    return SAL_OK;
}

static enum sal_status pad_axis(const struct sal_infer *infer, const struct frame *frame,
                                int axis, int64_t *dim, struct sal_error *err)
{
    const struct pad *pad = infer->node->attr;
    int64_t begin = frame->begin[axis], end = frame->end[axis];
    if (begin < -SAL_COUNT_MAX || begin > SAL_COUNT_MAX || end < -SAL_COUNT_MAX ||
        end > SAL_COUNT_MAX)
        return sal_node_fail(infer->node, err, SAL_LIMIT, "pads of 2^40 or more");
    if (!*dim && pad->mode != CONSTANT && (begin > 0 || end > 0))
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "axis %d is empty, there is nothing to pad with", axis);
    *dim += begin + end;
    return SAL_OK;
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    struct frame frame;
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (!status && infer->node->opset >= 11)
        status = sal_infer_present(infer, 1, err);
    if (status || (status = read_frame(infer, &frame, err)))
        return status;
    const struct sal_tensor *value =
        infer->node->opset >= 11 ? sal_infer_in(infer, 2) : NULL;
    if (value && (status = sal_infer_kind(infer, 2, infer->in[0]->kind, err)))
        return status;
    if (value && sal_shape_count(&value->shape) != 1)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "constant_value must be a scalar");
    struct sal_shape shape = infer->in[0]->shape;
    for (int i = 0; i < shape.rank && !status; i++)
        status = pad_axis(infer, &frame, i, &shape.dim[i], err);
    return status ? status : sal_infer_like(infer, 0, infer->in[0], &shape, err);
}

/* ---- loops --------------------------------------------------------------------- */

/* Where position `at` of an axis of n comes from; -1: from the constant. */
static int64_t source(int mode, int64_t at, int64_t n)
{
    if (at >= 0 && at < n)
        return at;
    int64_t period = mode == REFLECT ? 2 * (n - 1) : n;
    switch (mode) {
    case EDGE:
        return at < 0 ? 0 : n - 1;
    case CONSTANT:
        return -1;
    default:
        at = period ? at % period : 0;
        at += at < 0 ? period : 0;
        return at < n ? at : period - at;
    }
}

/* A row of the output: its input row, or -1 where it is constant throughout. */
static int64_t source_row(const struct sal_kernel *k, const struct frame *frame,
                          int64_t row)
{
    const struct pad *pad = k->node->attr;
    const struct sal_shape *x = &k->in[0]->shape, *y = &k->out[0]->shape;
    int64_t from = 0, step = 1;
    for (int i = x->rank - 2; i >= 0; i--) {
        int64_t at = source(pad->mode, row % y->dim[i] - frame->begin[i], x->dim[i]);
        if (at < 0)
            return -1;
        row /= y->dim[i];
        from += at * step;
        step *= x->dim[i];
    }
    return from;
}

/* Elements of a row: the last axis, or one where there is none. */
static int64_t width_of(const struct sal_shape *shape)
{
    return shape->rank ? shape->dim[shape->rank - 1] : 1;
}

static void read_kernel_frame(const struct sal_kernel *k, struct frame *frame)
{
    const struct sal_infer infer = {.node = k->node, .in = k->in};
    read_frame(&infer, frame, NULL);
}

#define FILL(field, constant)                                                    \
    for (int64_t i = 0; i < width; i++) {                                        \
        int64_t at = row < 0 ? -1 : source(pad->mode, i - begin, x_width);       \
        k->out[0]->field[r * width + i] =                                        \
            at < 0 ? (constant) : k->in[0]->field[row * x_width + at];           \
    }

static void rows_forward(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const struct pad *pad = k->node->attr;
    const struct sal_tensor *x = k->in[0];
    const struct sal_tensor *value = k->node->opset >= 11 ? sal_kernel_in(k, 2) : NULL;
    struct frame frame;
    read_kernel_frame(k, &frame);
    const int64_t width = width_of(&k->out[0]->shape), x_width = width_of(&x->shape);
    const int64_t begin = x->shape.rank ? frame.begin[x->shape.rank - 1] : 0;
    const sal_real real =
        value && value->kind == SAL_REAL ? value->real[0] : (sal_real)pad->value;
    const int64_t integer = value && value->kind == SAL_INT ? value->i64[0] : 0;
    for (int64_t r = from; r < to; r++) {
        const int64_t row = source_row(k, &frame, r);
        if (x->kind == SAL_REAL)
            FILL(real, real)
        else
            FILL(i64, integer)
    }
}

/* Rows of one block may share input elements, blocks never do: block is the leading
 * axes that are not padded. */
static int64_t blocks_of(const struct sal_kernel *k, const struct frame *frame)
{
    int64_t blocks = 1;
    for (int i = 0; i < k->in[0]->shape.rank - 1; i++) {
        if (frame->begin[i] || frame->end[i])
            break;
        blocks *= k->in[0]->shape.dim[i];
    }
    return blocks;
}

static int64_t rows_of(const struct sal_kernel *k)
{
    const struct sal_shape *y = &k->out[0]->shape;
    return sal_shape_span(y, 0, y->rank - 1);
}

static void blocks_backward(const struct sal_kernel *k, int64_t from, int64_t to,
                            int worker)
{
    (void)worker;
    const struct pad *pad = k->node->attr;
    const struct sal_shape *x = &k->in[0]->shape;
    struct frame frame;
    read_kernel_frame(k, &frame);
    const int64_t width = width_of(&k->out[0]->shape), x_width = width_of(x);
    const int64_t begin = x->rank ? frame.begin[x->rank - 1] : 0;
    const int64_t rows = rows_of(k) / blocks_of(k, &frame);
    for (int64_t r = from * rows; r < to * rows; r++) {
        const int64_t row = source_row(k, &frame, r);
        for (int64_t i = 0; i < width && row >= 0; i++) {
            int64_t at = source(pad->mode, i - begin, x_width);
            if (at >= 0)
                k->dx[0][row * x_width + at] += k->dy[0][r * width + i];
        }
    }
}

/* What the constant became everywhere but where an input element went. */
static void value_backward(const struct sal_kernel *k)
{
    const struct pad *pad = k->node->attr;
    struct frame frame;
    read_kernel_frame(k, &frame);
    const struct sal_shape *x = &k->in[0]->shape;
    const int64_t width = width_of(&k->out[0]->shape), rows = rows_of(k);
    const int64_t begin = x->rank ? frame.begin[x->rank - 1] : 0;
    sal_real sum = 0;
    for (int64_t r = 0; r < rows; r++) {
        const int64_t row = source_row(k, &frame, r);
        for (int64_t i = 0; i < width; i++)
            if (row < 0 || source(pad->mode, i - begin, width_of(x)) < 0)
                sum += k->dy[0][r * width + i];
    }
    k->dx[2][0] += sum;
}

static void forward(const struct sal_kernel *k)
{
    if (sal_shape_count(&k->out[0]->shape))
        sal_split(k->pool, rows_of(k), sal_grain(width_of(&k->out[0]->shape)),
                  rows_forward, k);
}

static void backward(const struct sal_kernel *k)
{
    struct frame frame;
    read_kernel_frame(k, &frame);
    if (k->dx[0] && sal_shape_count(&k->out[0]->shape))
        sal_split(k->pool, blocks_of(k, &frame), 1, blocks_backward, k);
    if (sal_kernel_dx(k, 2))
        value_backward(k);
}

/* ---- boxes --------------------------------------------------------------------- */

/* Of a map whose rows and columns alone are padded, with a constant: what is there may not
 * change. */
static bool region_reach(const struct sal_node *node, const struct sal_tensor *const *in,
                         int input, struct sal_reach *reach)
{
    const struct sal_kernel kernel = {.node = node, .in = in};
    struct frame frame;
    for (int i = 1; i < node->n_in; i++)
        if (node->in[i] >= 0 && !in[i]->data)
            return false;
    if (input != 0 || ((const struct pad *)node->attr)->mode != CONSTANT ||
        in[0]->shape.rank != 4)
        return false;
    read_kernel_frame(&kernel, &frame);
    *reach = sal_reach_same();
    for (int i = 0; i < 4; i++)
        if (i < 2 ? frame.begin[i] || frame.end[i] : false)
            return false;
    for (int i = 0; i < 2; i++)
        reach->low[i] = reach->high[i] = -frame.begin[i + 2];
    return true;
}

static void region_box(void *context, int tile, int worker)
{
    (void)worker;
    const struct sal_region_kernel *k = context;
    const struct sal_field *to = k->to;
    int image = tile % to->n;
    int64_t plane = tile / to->n;
    struct sal_reach reach;
    region_reach(k->node, k->in, 0, &reach);
    struct sal_box read = sal_box_read(&to->box[image], &reach);
    int64_t at = plane * sal_field_pixels(to) + to->first[image];
    sal_field_box(k->fields[0], plane, image, &read, to->data + at * to->unit);
}

static bool region_forward(const struct sal_region_kernel *k)
{
    sal_pool_run(k->pool, (int)k->to->planes * k->to->n, region_box, (void *)(uintptr_t)k);
    return true;
}

static const struct sal_region_op region = {.reach = region_reach, .forward = region_forward};

const struct sal_op sal_op_Pad = {
    .name = "Pad",
    .since = 2,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = 4,
    .max_out = 1,
    .parse = parse,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .region = &region,
    .frugal = true,
    .carry = sal_carry_in_order,
    .takes_quantised = true,
};
