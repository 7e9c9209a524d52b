#include <inttypes.h>
#include <string.h>

#include "kernel.h"

/* What runs along a sequence: CumSum, ReverseSequence. */

/* ---- CumSum -------------------------------------------------------------------- */

struct cumsum {
    int64_t exclusive, reverse;
};

static enum sal_status cumsum_parse(struct sal_node *node,
                                    const struct sal_onnx_node *source,
                                    struct sal_arena *arena, struct sal_error *err)
{
    struct cumsum *cumsum = sal_new(arena, struct cumsum, 1);
    if (!cumsum)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = cumsum;
    enum sal_status status =
        sal_attr_int(source, "exclusive", 0, &cumsum->exclusive, err);
    return status ? status : sal_attr_int(source, "reverse", 0, &cumsum->reverse, err);
}

static enum sal_status cumsum_infer(const struct sal_infer *infer, struct sal_error *err)
{
    int64_t given;
    int axis;
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status || (status = sal_infer_number(infer, 1, "axis", &given, err)) ||
        (status = sal_infer_axis(infer, given, infer->in[0]->shape.rank, 0, &axis, err)))
        return status;
    return sal_infer_same(infer, err);
}

/* Lines of n elements, `step` apart; the first is at the end where sums run back. */
struct course {
    int64_t lines, n, step;
    bool back, exclusive;
};

static struct course course_of(const struct sal_kernel *k)
{
    const struct cumsum *cumsum = k->node->attr;
    const struct sal_shape *x = &k->in[0]->shape;
    int64_t given = sal_tensor_int(k->in[1], 0);
    int axis = (int)(given < 0 ? given + x->rank : given);
    int64_t step = sal_shape_span(x, axis + 1, x->rank);
    return (struct course){
        .lines = sal_shape_span(x, 0, axis) * step,
        .n = x->dim[axis],
        .step = step,
        .back = cumsum->reverse,
        .exclusive = cumsum->exclusive,
    };
}

/* Where a line starts; makes the course step the way it is walked. */
static int64_t enter(struct course *course, int64_t line, bool back)
{
    int64_t step = course->step < 0 ? -course->step : course->step;
    int64_t at = line / step * step * course->n + line % step;
    course->step = back ? -step : step;
    return back ? at + (course->n - 1) * step : at;
}

static void sum_reals(const struct course *c, const sal_real *from, sal_real *to)
{
    sal_real sum = 0;
    for (int64_t i = 0; i < c->n; i++) {
        sal_real before = sum;
        sum += from[i * c->step];
        to[i * c->step] += c->exclusive ? before : sum;
    }
}

static void sum_integers(const struct course *c, int type, const int64_t *from,
                         int64_t *to)
{
    uint64_t sum = 0;
    for (int64_t i = 0; i < c->n; i++) {
        uint64_t before = sum;
        sum += (uint64_t)from[i * c->step];
        to[i * c->step] = sal_int_wrap(type, (int64_t)(c->exclusive ? before : sum));
    }
}

static void cumsum_lines(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    struct course course = course_of(k);
    const struct sal_tensor *x = k->in[0], *y = k->out[0];
    for (int64_t line = from; line < to && course.n; line++) {
        int64_t at = enter(&course, line, course.back);
        if (x->kind == SAL_REAL)
            sum_reals(&course, x->real + at, y->real + at);
        else
            sum_integers(&course, y->type, x->i64 + at, y->i64 + at);
    }
}

/* What a sum has run over runs back. */
static void cumsum_gradients(const struct sal_kernel *k, int64_t from, int64_t to,
                             int worker)
{
    (void)worker;
    struct course course = course_of(k);
    for (int64_t line = from; line < to && course.n; line++) {
        int64_t at = enter(&course, line, !course.back);
        sum_reals(&course, k->dy[0] + at, k->dx[0] + at);
    }
}

static void cumsum_forward(const struct sal_kernel *k)
{
    struct course course = course_of(k);
    size_t n = (size_t)sal_shape_count(&k->out[0]->shape);
    if (n) /* the loop adds */
        memset(k->out[0]->data, 0, n * sal_kind_size(k->out[0]->kind));
    sal_split(k->pool, course.lines, sal_grain(course.n), cumsum_lines, k);
}

static void cumsum_backward(const struct sal_kernel *k)
{
    struct course course = course_of(k);
    if (k->dx[0])
        sal_split(k->pool, course.lines, sal_grain(course.n), cumsum_gradients, k);
}

static void cumsum_carry(const struct sal_kernel *k, int input, int output,
                         struct sal_carry *carry)
{
    if (input == 0)
        sal_carry_in_order(k, input, output, carry);
}

const struct sal_op sal_op_CumSum = {
    .name = "CumSum",
    .since = 11,
    .until = SAL_OPSET_MAX,
    .min_in = 2,
    .max_in = 2,
    .max_out = 1,
    .parse = cumsum_parse,
    .infer = cumsum_infer,
    .forward = cumsum_forward,
    .backward = cumsum_backward,
    .frugal = true,
    .carry = cumsum_carry,
};

/* ---- ReverseSequence ----------------------------------------------------------- */

struct reverse {
    int64_t batch_axis, time_axis;
};

static enum sal_status reverse_parse(struct sal_node *node,
                                     const struct sal_onnx_node *source,
                                     struct sal_arena *arena, struct sal_error *err)
{
    struct reverse *reverse = sal_new(arena, struct reverse, 1);
    if (!reverse)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = reverse;
    enum sal_status status =
        sal_attr_int(source, "batch_axis", 1, &reverse->batch_axis, err);
    if (status || (status = sal_attr_int(source, "time_axis", 0, &reverse->time_axis, err)))
        return status;
    if (reverse->batch_axis + reverse->time_axis != 1 ||
        (reverse->batch_axis != 0 && reverse->batch_axis != 1))
        return sal_node_fail(node, err, SAL_BAD_INPUT,
                             "batch_axis and time_axis must be 0 and 1, or 1 and 0");
    return SAL_OK;
}

static enum sal_status reverse_infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct reverse *reverse = infer->node->attr;
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status || (status = sal_infer_kind(infer, 1, SAL_INT, err)))
        return status;
    const struct sal_shape *x = &infer->in[0]->shape;
    const struct sal_tensor *lengths = infer->in[1];
    if (x->rank < 2)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "input has %d axes, must have 2 or more", x->rank);
    if (lengths->shape.rank != 1 || lengths->shape.dim[0] != x->dim[reverse->batch_axis])
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "sequence_lens must be a list of %" PRId64,
                             x->dim[reverse->batch_axis]);
    for (int64_t i = 0; lengths->data && i < lengths->shape.dim[0]; i++)
        if (lengths->i64[i] < 0 || lengths->i64[i] > x->dim[reverse->time_axis])
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "sequence_lens[%" PRId64 "] is %" PRId64
                                 ", must be 0 to %" PRId64,
                                 i, lengths->i64[i], x->dim[reverse->time_axis]);
    return sal_infer_same(infer, err);
}

/* Row of the input that row i of the output is: rows are the first two axes. A length
 * that was computed and is too long is that of the axis. */
static int64_t source_row(const struct sal_kernel *k, int64_t i)
{
    const struct reverse *reverse = k->node->attr;
    const int64_t *dim = k->in[0]->shape.dim;
    int64_t at[2] = {i / dim[1], i % dim[1]};
    int64_t length =
        sal_least(k->in[1]->i64[at[reverse->batch_axis]], dim[reverse->time_axis]);
    int64_t *time = &at[reverse->time_axis];
    if (*time < length)
        *time = length - 1 - *time;
    return at[0] * dim[1] + at[1];
}

static int64_t row_length(const struct sal_kernel *k)
{
    return sal_shape_span(&k->in[0]->shape, 2, k->in[0]->shape.rank);
}

static void reverse_rows(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    size_t bytes = (size_t)row_length(k) * sal_kind_size(k->in[0]->kind);
    for (int64_t i = from; i < to && bytes; i++)
        memcpy((char *)k->out[0]->data + (size_t)i * bytes,
               (char *)k->in[0]->data + (size_t)source_row(k, i) * bytes, bytes);
}

static void reverse_gradients(const struct sal_kernel *k, int64_t from, int64_t to,
                              int worker)
{
    (void)worker;
    int64_t n = row_length(k);
    for (int64_t i = from; i < to; i++)
        sal_add(k->dx[0] + source_row(k, i) * n, k->dy[0] + i * n, n);
}

static void reverse_forward(const struct sal_kernel *k)
{
    sal_split(k->pool, sal_shape_span(&k->in[0]->shape, 0, 2), sal_grain(row_length(k)),
              reverse_rows, k);
}

static void reverse_backward(const struct sal_kernel *k)
{
    if (k->dx[0])
        sal_split(k->pool, sal_shape_span(&k->in[0]->shape, 0, 2),
                  sal_grain(row_length(k)), reverse_gradients, k);
}

/* Time runs backwards for some: in no order. */
static void reverse_carry(const struct sal_kernel *k, int input, int output,
                          struct sal_carry *carry)
{
    const struct reverse *reverse = k->node->attr;
    if (input > 0)
        return;
    sal_carry_in_order(k, input, output, carry);
    carry->axis[reverse->time_axis] = -1;
}

const struct sal_op sal_op_ReverseSequence = {
    .name = "ReverseSequence",
    .since = 10,
    .until = SAL_OPSET_MAX,
    .min_in = 2,
    .max_in = 2,
    .max_out = 1,
    .parse = reverse_parse,
    .infer = reverse_infer,
    .forward = reverse_forward,
    .backward = reverse_backward,
    .frugal = true,
    .reads = {{.in = 1u << 1}},
    .takes_quantised = true,
    .carry = reverse_carry,
};
