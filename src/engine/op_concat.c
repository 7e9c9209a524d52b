#include <inttypes.h>
#include <string.h>

#include "boxes.h"
#include "kernel.h"
#include "lower.h"

/*
 * Concat and Split: one big tensor and its parts along an axis. A part is a block
 * of `width` elements in each of the big one's rows.
 */
struct part {
    int64_t rows, row, at, width;
};

static struct part part_of(const struct sal_shape *whole, const struct sal_shape *part,
                           int axis, int64_t at)
{
    int64_t inner = sal_shape_span(whole, axis + 1, whole->rank);
    return (struct part){
        .rows = sal_shape_span(whole, 0, axis),
        .row = whole->dim[axis] * inner,
        .at = at * inner,
        .width = part->dim[axis] * inner,
    };
}

/* Moves between part and whole, either way. */
static void copy_part(const struct part *p, char *whole, char *part, size_t size, bool out)
{
    size_t bytes = (size_t)p->width * size;
    for (int64_t r = 0; r < p->rows && bytes; r++) {
        char *in_whole = whole + (size_t)(r * p->row + p->at) * size;
        char *in_part = part + (size_t)r * bytes;
        memcpy(out ? in_part : in_whole, out ? in_whole : in_part, bytes);
    }
}

struct concat {
    int64_t axis;
};

static int axis_of(const struct sal_node *node, int rank)
{
    const struct concat *concat = node->attr;
    return (int)(concat->axis < 0 ? concat->axis + rank : concat->axis);
}

/* ---- Concat -------------------------------------------------------------------- */

static enum sal_status concat_parse(struct sal_node *node,
                                    const struct sal_onnx_node *source,
                                    struct sal_arena *arena, struct sal_error *err)
{
    struct concat *concat = sal_new(arena, struct concat, 1);
    if (!concat)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = concat;
    if (node->opset >= 4 && !sal_onnx_node_attr(source, "axis"))
        return sal_node_fail(node, err, SAL_BAD_INPUT, "attribute 'axis' is missing");
    return sal_attr_int(source, "axis", 1, &concat->axis, err);
}

static enum sal_status concat_infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct concat *concat = infer->node->attr;
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status)
        return status;
    struct sal_shape shape = infer->in[0]->shape;
    int axis = 0;
    if ((status = sal_infer_axis(infer, concat->axis, shape.rank, 0, &axis, err)))
        return status;
    for (int i = 1; i < infer->node->n_in; i++) {
        if ((status = sal_infer_kind(infer, i, infer->in[0]->kind, err)))
            return status;
        struct sal_shape other = infer->in[i]->shape;
        int64_t dim = axis < other.rank ? other.dim[axis] : 0;
        other.dim[axis] = shape.dim[axis];
        if (!sal_shape_equal(&shape, &other)) {
            char text[2][96];
            return sal_node_fail(
                infer->node, err, SAL_BAD_INPUT,
                "input %d is %s, which does not fit input 0, %s, along axis %d", i,
                sal_shape_text(&infer->in[i]->shape, text[0], sizeof(text[0])),
                sal_shape_text(&infer->in[0]->shape, text[1], sizeof(text[1])), axis);
        }
        shape.dim[axis] += dim;
    }
    return sal_infer_like(infer, 0, infer->in[0], &shape, err);
}

static struct part input_part(const struct sal_kernel *k, int i)
{
    const struct sal_shape *whole = &k->out[0]->shape;
    int axis = axis_of(k->node, whole->rank);
    int64_t at = 0;
    for (int j = 0; j < i; j++)
        at += k->in[j]->shape.dim[axis];
    return part_of(whole, &k->in[i]->shape, axis, at);
}

static void concat_inputs(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    for (int i = (int)from; i < to; i++) {
        struct part p = input_part(k, i);
        const size_t size = sal_kind_size(k->out[0]->kind);
        const char *place = (char *)k->out[0]->data + (size_t)p.at * size;
        if (p.rows != 1 || k->in[i]->data != place)
            copy_part(&p, k->out[0]->data, k->in[i]->data, size, false);
    }
}

static void concat_gradient(const struct sal_kernel *k, int i)
{
    struct part p = input_part(k, i);
    const bool fresh = i < 32 && (k->fresh >> i & 1);
    for (int64_t r = 0; r < p.rows; r++) {
        sal_real *to = k->dx[i] + r * p.width;
        const sal_real *from = k->dy[0] + r * p.row + p.at;
        if (fresh)
            memcpy(to, from, sizeof(*to) * (size_t)p.width);
        else
            sal_add(to, from, p.width);
    }
}

/* A tensor that is there several times is its first place's to add to. */
static void concat_gradients(const struct sal_kernel *k, int64_t from, int64_t to,
                             int worker)
{
    (void)worker;
    for (int i = (int)from; i < to; i++) {
        bool first = k->dx[i];
        for (int j = 0; j < i; j++)
            first &= k->dx[j] != k->dx[i];
        for (int j = i; j < k->node->n_in && first; j++)
            if (k->dx[j] == k->dx[i])
                concat_gradient(k, j);
    }
}

static void concat_forward(const struct sal_kernel *k)
{
    sal_split(k->pool, k->node->n_in, 1, concat_inputs, k);
}

static void concat_backward(const struct sal_kernel *k)
{
    sal_split(k->pool, k->node->n_in, 1, concat_gradients, k);
}

static bool concat_joins(const struct sal_node *node, const struct sal_tensor *out)
{
    return sal_shape_span(&out->shape, 0, axis_of(node, out->shape.rank)) == 1;
}

static void concat_carry(const struct sal_kernel *k, int input, int output,
                         struct sal_carry *carry)
{
    int axis = axis_of(k->node, k->out[output]->shape.rank);
    sal_carry_in_order(k, input, output, carry);
    carry->exact[axis] = true;
    for (int j = 0; j < input; j++)
        carry->skip[axis] -= k->in[j]->shape.dim[axis];
}

int sal_concat_axis(const struct sal_node *node, int rank)
{
    return strcmp(node->op->name, "Concat") == 0 ? axis_of(node, rank) : -1;
}

const void *sal_concat_attr(struct sal_arena *arena, int axis)
{
    struct concat *concat = sal_new(arena, struct concat, 1);
    if (concat)
        concat->axis = axis;
    return concat;
}

static bool joins_planes(const struct sal_node *node, const struct sal_tensor *const *in,
                         int input, struct sal_reach *reach)
{
    int rank = in[input]->shape.rank;
    *reach = sal_reach_same();
    return (rank == 5 && sal_concat_axis(node, rank) == 0) ||
           (rank == 4 && sal_concat_axis(node, rank) == 1);
}

static const struct sal_region_op region = {.joins = true, .reach = joins_planes};

const struct sal_op sal_op_Concat = {
    .name = "Concat",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = -1,
    .max_out = 1,
    .parse = concat_parse,
    .infer = concat_infer,
    .forward = concat_forward,
    .backward = concat_backward,
    .begins = true,
    .joins = concat_joins,
    .region = &region,
    .frugal = true,
    .carry = concat_carry,
    .takes_quantised = true,
};

/* ---- Split --------------------------------------------------------------------- */

struct split {
    struct concat axis; /* first: axis_of reads it */
    struct sal_int_list sizes; /* the attribute, before opset 13 */
    int64_t num_outputs;
};

static enum sal_status split_parse(struct sal_node *node,
                                   const struct sal_onnx_node *source,
                                   struct sal_arena *arena, struct sal_error *err)
{
    struct split *split = sal_new(arena, struct split, 1);
    if (!split)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = split;
    enum sal_status status = sal_attr_int(source, "axis", 0, &split->axis.axis, err);
    (void)(status ||
           (status = sal_attr_int(source, "num_outputs", 0, &split->num_outputs, err)) ||
           (status = sal_attr_ints(source, "split", &split->sizes.values, &split->sizes.n,
                                   err)));
    if (!status && split->num_outputs && split->num_outputs != node->n_out)
        status = sal_node_fail(node, err, SAL_BAD_INPUT,
                               "num_outputs is %" PRId64 ", the node has %d",
                               split->num_outputs, node->n_out);
    return status;
}

/* Elements of output i where no sizes are given: as even as can be, the last one
 * less where opset 18 allows it; -1 where that is none. */
static int64_t even_share(const struct split *split, int64_t dim, int i, int n)
{
    int64_t share = (dim + n - 1) / n, rest = dim - share * (n - 1);
    if (split->num_outputs && rest >= 0)
        return i < n - 1 ? share : rest;
    return dim % n ? -1 : dim / n;
}

static enum sal_status split_infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct split *split = infer->node->attr;
    const int64_t *sizes;
    int64_t n, total = 0;
    int axis = 0, outputs = infer->node->n_out;
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status || (status = sal_infer_list(infer, 13, 1, "split", &split->sizes, &sizes,
                                           &n, err)))
        return status;
    struct sal_shape shape = infer->in[0]->shape;
    if ((status = sal_infer_axis(infer, split->axis.axis, shape.rank, 0, &axis, err)))
        return status;
    const int64_t dim = shape.dim[axis];
    if (sizes && n != outputs)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "split has %" PRId64 " entries, the node has %d outputs", n,
                             outputs);
    for (int i = 0; i < outputs; i++) {
        int64_t size = sizes ? sizes[i] : even_share(split, dim, i, outputs);
        if (size < 0 || __builtin_add_overflow(total, size, &total) || total > dim)
            break;
        shape.dim[axis] = size;
        if ((status = sal_infer_like(infer, i, infer->in[0], &shape, err)))
            return status;
        if (i == outputs - 1 && total == dim)
            return SAL_OK;
    }
    return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                         "%" PRId64 " elements along axis %d do not split into these %d "
                         "outputs",
                         dim, axis, outputs);
}

/* Where output i begins along the axis, and its length there: from the sizes, not from
 * the outputs, for some may be left out. */
static int64_t output_start(const struct sal_kernel *k, int i, int64_t *size)
{
    const struct split *split = k->node->attr;
    const struct sal_infer infer = {.node = k->node, .in = k->in};
    const struct sal_shape *whole = &k->in[0]->shape;
    int axis = axis_of(k->node, whole->rank), outputs = k->node->n_out;
    const int64_t *sizes;
    int64_t n, at = 0;
    sal_infer_list(&infer, 13, 1, "split", &split->sizes, &sizes, &n, NULL);
    for (int j = 0; j <= i; j++) {
        at += j ? *size : 0;
        *size = sizes ? sizes[j] : even_share(split, whole->dim[axis], j, outputs);
    }
    return at;
}

static struct part output_part(const struct sal_kernel *k, int i)
{
    const struct sal_shape *whole = &k->in[0]->shape;
    struct sal_shape part = *whole;
    int axis = axis_of(k->node, whole->rank);
    int64_t at = output_start(k, i, &part.dim[axis]);
    return part_of(whole, &part, axis, at);
}

static void split_carry(const struct sal_kernel *k, int input, int output,
                        struct sal_carry *carry)
{
    int axis = axis_of(k->node, k->in[input]->shape.rank);
    int64_t size, at = output_start(k, output, &size);
    sal_carry_in_order(k, input, output, carry);
    carry->exact[axis] = true;
    carry->skip[axis] = carry->from[axis] = at;
    carry->to[axis] = at + size;
}

static void split_outputs(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    for (int i = (int)from; i < to; i++) {
        struct part p = output_part(k, i);
        if (k->out[i])
            copy_part(&p, k->in[0]->data, k->out[i]->data, sal_kind_size(k->in[0]->kind),
                      true);
    }
}

static void split_gradients(const struct sal_kernel *k, int64_t from, int64_t to,
                            int worker)
{
    (void)worker;
    for (int i = (int)from; i < to; i++) {
        struct part p = output_part(k, i);
        for (int64_t r = 0; r < p.rows && k->dy[i]; r++)
            sal_add(k->dx[0] + r * p.row + p.at, k->dy[i] + r * p.width, p.width);
    }
}

static void split_forward(const struct sal_kernel *k)
{
    sal_split(k->pool, k->node->n_out, 1, split_outputs, k);
}

static void split_backward(const struct sal_kernel *k)
{
    if (k->dx[0])
        sal_split(k->pool, k->node->n_out, 1, split_gradients, k);
}

const struct sal_op sal_op_Split = {
    .name = "Split",
    .since = 2,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = 2,
    .max_out = -1,
    .parse = split_parse,
    .infer = split_infer,
    .forward = split_forward,
    .backward = split_backward,
    .frugal = true,
    .carry = split_carry,
    .takes_quantised = true,
};
