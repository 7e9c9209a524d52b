#include <inttypes.h>
#include <string.h>

#include "kernel.h"

/* What selects by value: OneHot, Compress, NonZero. Where the output's shape depends
 * on values, these must be constant. */

/* ---- OneHot -------------------------------------------------------------------- */

enum { ONEHOT_INDICES, ONEHOT_DEPTH, ONEHOT_VALUES };
enum { OFF, ON };

struct axis {
    int64_t axis;
    bool given;
};

static enum sal_status axis_parse(struct sal_node *node,
                                  const struct sal_onnx_node *source,
                                  struct sal_arena *arena, struct sal_error *err)
{
    struct axis *axis = sal_new(arena, struct axis, 1);
    if (!axis)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = axis;
    axis->given = sal_onnx_node_attr(source, "axis");
    return sal_attr_int(source, "axis", -1, &axis->axis, err);
}

static enum sal_status onehot_infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct axis *attr = infer->node->attr;
    int64_t depth;
    int axis = 0;
    enum sal_status status = sal_infer_present(infer, ONEHOT_INDICES, err);
    if (status || (status = sal_infer_number(infer, ONEHOT_DEPTH, "depth", &depth, err)) ||
        (status = sal_infer_present(infer, ONEHOT_VALUES, err)))
        return status;
    const struct sal_shape *indices = &infer->in[ONEHOT_INDICES]->shape;
    if (sal_shape_count(&infer->in[ONEHOT_VALUES]->shape) != 2)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "values must be two numbers, off and on");
    if (depth < 1)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "depth is %" PRId64 ", must be 1 or more", depth);
    if (indices->rank == SAL_RANK_MAX)
        return sal_node_fail(infer->node, err, SAL_UNSUPPORTED,
                             "output has more than %d axes", SAL_RANK_MAX);
    struct sal_shape shape = {.rank = indices->rank + 1};
    if ((status = sal_infer_axis(infer, attr->axis, shape.rank, 0, &axis, err)))
        return status;
    for (int i = 0, from = 0; i < shape.rank; i++)
        shape.dim[i] = i == axis ? depth : indices->dim[from++];
    return sal_infer_like(infer, 0, infer->in[ONEHOT_VALUES], &shape, err);
}

/* Blocks of depth x inner: an index says which row of its block's column is on. */
struct onehot {
    int64_t outer, depth, inner;
};

static struct onehot onehot_of(const struct sal_kernel *k)
{
    const struct axis *attr = k->node->attr;
    const struct sal_shape *y = &k->out[0]->shape;
    int axis = (int)(attr->axis < 0 ? attr->axis + y->rank : attr->axis);
    return (struct onehot){
        .outer = sal_shape_span(y, 0, axis),
        .depth = y->dim[axis],
        .inner = sal_shape_span(y, axis + 1, y->rank),
    };
}

/* Where index i switches on; -1: nowhere. Opset 9 has no negative indices. */
static int64_t hot_at(const struct sal_kernel *k, const struct onehot *o, int64_t i)
{
    int64_t index = sal_tensor_int(k->in[ONEHOT_INDICES], i);
    if (index < 0 && index >= -o->depth && k->node->opset >= 11)
        index += o->depth;
    if (index < 0 || index >= o->depth)
        return -1;
    return (i / o->inner * o->depth + index) * o->inner + i % o->inner;
}

static void onehot_fill(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const struct sal_tensor *y = k->out[0], *values = k->in[ONEHOT_VALUES];
    for (int64_t i = from; i < to; i++) {
        if (y->kind == SAL_REAL)
            y->real[i] = values->real[OFF];
        else
            y->i64[i] = values->i64[OFF];
    }
}

static void onehot_forward(const struct sal_kernel *k)
{
    const struct onehot o = onehot_of(k);
    const struct sal_tensor *y = k->out[0], *values = k->in[ONEHOT_VALUES];
    sal_split(k->pool, sal_shape_count(&y->shape), SAL_TILE, onehot_fill, k);
    for (int64_t i = 0; i < o.outer * o.inner; i++) {
        int64_t at = hot_at(k, &o, i);
        if (at < 0)
            continue;
        if (y->kind == SAL_REAL)
            y->real[at] = values->real[ON];
        else
            y->i64[at] = values->i64[ON];
    }
}

/* Only the two values have a gradient. Each block adds up for itself, so that long
 * sums stay accurate. */
static void onehot_backward(const struct sal_kernel *k)
{
    const struct onehot o = onehot_of(k);
    sal_real *dvalues = sal_kernel_dx(k, ONEHOT_VALUES), on = 0, off = 0;
    if (!dvalues)
        return;
    for (int64_t b = 0; b < o.outer; b++) {
        sal_real here = 0;
        for (int64_t i = b * o.inner; i < (b + 1) * o.inner; i++) {
            int64_t at = hot_at(k, &o, i);
            here += at < 0 ? 0 : k->dy[0][at];
        }
        int64_t block = o.depth * o.inner;
        on += here;
        off += sal_sum(k->dy[0] + b * block, block) - here;
    }
    dvalues[OFF] += off;
    dvalues[ON] += on;
}

static void onehot_carry(const struct sal_kernel *k, int input, int output,
                         struct sal_carry *carry)
{
    const struct axis *attr = k->node->attr;
    const struct sal_shape *y = &k->out[output]->shape;
    int axis = (int)(attr->axis < 0 ? attr->axis + y->rank : attr->axis);
    if (input != ONEHOT_INDICES)
        return;
    for (int i = 0; i < y->rank; i++)
        carry->axis[i] = i < axis ? i : i == axis ? -1 : i - 1;
}

const struct sal_op sal_op_OneHot = {
    .name = "OneHot",
    .since = 9,
    .until = SAL_OPSET_MAX,
    .min_in = 3,
    .max_in = 3,
    .max_out = 1,
    .parse = axis_parse,
    .infer = onehot_infer,
    .forward = onehot_forward,
    .backward = onehot_backward,
    .frugal = true,
    .reads = SAL_READS(1u << ONEHOT_INDICES, 0),
    .carry = onehot_carry,
};

/* ---- Compress ------------------------------------------------------------------ */

/* The input as outer x dim x inner; without an axis it is one line. */
struct lines {
    int64_t outer, dim, inner;
};

static struct lines lines_of(const struct sal_node *node, const struct sal_shape *x)
{
    const struct axis *attr = node->attr;
    if (!attr->given)
        return (struct lines){1, sal_shape_count(x), 1};
    int axis = (int)(attr->axis < 0 ? attr->axis + x->rank : attr->axis);
    return (struct lines){sal_shape_span(x, 0, axis), x->dim[axis],
                          sal_shape_span(x, axis + 1, x->rank)};
}

static enum sal_status compress_infer(const struct sal_infer *infer,
                                      struct sal_error *err)
{
    const struct axis *attr = infer->node->attr;
    const int64_t *condition;
    int64_t n, kept = 0;
    int axis = 0;
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status || (status = sal_infer_ints(infer, 1, "condition", &condition, &n, err)))
        return status;
    struct sal_shape shape = infer->in[0]->shape;
    if (attr->given &&
        (status = sal_infer_axis(infer, attr->axis, shape.rank, 0, &axis, err)))
        return status;
    struct lines lines = lines_of(infer->node, &shape);
    for (int64_t i = 0; i < n; i++) {
        if (condition[i] && i >= lines.dim)
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "condition selects element %" PRId64 " of %" PRId64, i,
                                 lines.dim);
        kept += condition[i] != 0;
    }
    if (!attr->given)
        shape = (struct sal_shape){.rank = 1};
    shape.dim[axis] = kept;
    return sal_infer_like(infer, 0, infer->in[0], &shape, err);
}

static void compress_outer(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const struct lines lines = lines_of(k->node, &k->in[0]->shape);
    const int64_t n = sal_shape_count(&k->in[1]->shape);
    const int64_t kept = sal_shape_count(&k->out[0]->shape) / lines.outer;
    const size_t size = sal_kind_size(k->in[0]->kind);
    for (int64_t o = from; o < to; o++) {
        char *y = (char *)k->out[0]->data + (size_t)(o * kept) * size;
        for (int64_t i = 0; i < n; i++) {
            if (!k->in[1]->i64[i])
                continue;
            const char *x = (char *)k->in[0]->data +
                            (size_t)((o * lines.dim + i) * lines.inner) * size;
            memcpy(y, x, (size_t)lines.inner * size);
            y += (size_t)lines.inner * size;
        }
    }
}

static void compress_gradients(const struct sal_kernel *k, int64_t from, int64_t to,
                               int worker)
{
    (void)worker;
    const struct lines lines = lines_of(k->node, &k->in[0]->shape);
    const int64_t n = sal_shape_count(&k->in[1]->shape);
    const int64_t kept = sal_shape_count(&k->out[0]->shape) / lines.outer;
    for (int64_t o = from; o < to; o++) {
        const sal_real *dy = k->dy[0] + o * kept;
        for (int64_t i = 0; i < n; i++) {
            if (!k->in[1]->i64[i])
                continue;
            sal_add(k->dx[0] + (o * lines.dim + i) * lines.inner, dy, lines.inner);
            dy += lines.inner;
        }
    }
}

static void compress_split(const struct sal_kernel *k,
                           void (*work)(const struct sal_kernel *k, int64_t from,
                                        int64_t to, int worker))
{
    struct lines lines = lines_of(k->node, &k->in[0]->shape);
    if (sal_shape_count(&k->out[0]->shape))
        sal_split(k->pool, lines.outer, sal_grain(lines.dim * lines.inner), work, k);
}

static void compress_forward(const struct sal_kernel *k)
{
    compress_split(k, compress_outer);
}

static void compress_backward(const struct sal_kernel *k)
{
    if (k->dx[0])
        compress_split(k, compress_gradients);
}

/* Like Gather: axes keep their place, the chosen elements theirs where they are one
 * run of them. */
static void compress_carry(const struct sal_kernel *k, int input, int output,
                           struct sal_carry *carry)
{
    const struct axis *attr = k->node->attr;
    const struct sal_shape *x = &k->in[0]->shape;
    const int64_t n = sal_shape_count(&k->in[1]->shape), *chosen = k->in[1]->i64;
    int64_t first = 0, last = n, kept = 0;
    if (input > 0 || !attr->given)
        return;
    int axis = (int)(attr->axis < 0 ? attr->axis + x->rank : attr->axis);
    while (first < n && !chosen[first])
        first++;
    while (last > first && !chosen[last - 1])
        last--;
    for (int64_t i = first; i < last; i++)
        kept += chosen[i] != 0;
    sal_carry_in_order(k, input, output, carry);
    carry->from[axis] = carry->skip[axis] = first;
    carry->to[axis] = last;
    carry->exact[axis] = true;
    if (kept != last - first)
        carry->axis[axis] = -1;
}

const struct sal_op sal_op_Compress = {
    .name = "Compress",
    .since = 9,
    .until = SAL_OPSET_MAX,
    .min_in = 2,
    .max_in = 2,
    .max_out = 1,
    .parse = axis_parse,
    .infer = compress_infer,
    .forward = compress_forward,
    .backward = compress_backward,
    .frugal = true,
    .reads = {{.in = 1u << 1}},
    .takes_quantised = true,
    .carry = compress_carry,
};

/* ---- NonZero ------------------------------------------------------------------- */

static bool nonzero_at(const struct sal_tensor *x, int64_t i)
{
    return x->kind == SAL_REAL ? x->real[i] != 0 : x->i64[i] != 0;
}

static enum sal_status nonzero_infer(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status)
        return status;
    const struct sal_tensor *x = infer->in[0];
    int64_t n = sal_shape_count(&x->shape), found = 0;
    if (n && (status = sal_infer_constant(infer, 0, err)))
        return status;
    for (int64_t i = 0; i < n; i++)
        found += nonzero_at(x, i);
    struct sal_shape shape = {.rank = 2, .dim = {x->shape.rank, found}};
    return sal_infer_set(infer, 0, SAL_INT, SAL_ONNX_INT64, &shape, err);
}

/* A column per element that is not zero: its coordinates. */
static void nonzero_forward(const struct sal_kernel *k)
{
    const struct sal_tensor *x = k->in[0];
    const int64_t n = sal_shape_count(&x->shape), found = k->out[0]->shape.dim[1];
    int64_t column = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!nonzero_at(x, i))
            continue;
        int64_t rest = i;
        for (int axis = x->shape.rank - 1; axis >= 0; axis--) {
            k->out[0]->i64[axis * found + column] = rest % x->shape.dim[axis];
            rest /= x->shape.dim[axis];
        }
        column++;
    }
}

const struct sal_op sal_op_NonZero = {
    .name = "NonZero",
    .since = 9,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = 1,
    .max_out = 1,
    .infer = nonzero_infer,
    .forward = nonzero_forward,
};
