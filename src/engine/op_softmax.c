#include "kernel.h"
#include "real.h"

struct softmax {
    int64_t axis;
};

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    struct softmax *softmax = sal_new(arena, struct softmax, 1);
    if (!softmax)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = softmax;
    return sal_attr_int(source, "axis", node->opset < 13 ? 1 : -1, &softmax->axis, err);
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct softmax *softmax = infer->node->attr;
    enum sal_status status = sal_infer_kind(infer, 0, SAL_REAL, err);
    if (status)
        return status;
    int axis, rank = infer->in[0]->shape.rank;
    /* Flattening may put everything before the axis. */
    int past = infer->node->opset < 13;
    if (softmax->axis >= 0 || rank > 0)
        status = sal_infer_axis(infer, softmax->axis, rank, past && softmax->axis >= 0,
                                &axis, err);
    return status ? status : sal_infer_same(infer, err);
}

/* Rows of n values, `stride` apart. Before opset 13 a row is all from the axis on. */
struct rows {
    int64_t n, stride, count;
};

static struct rows rows_of(const struct sal_kernel *k)
{
    const struct softmax *softmax = k->node->attr;
    const struct sal_shape *x = &k->in[0]->shape;
    int axis = (int)(softmax->axis < 0 ? softmax->axis + x->rank : softmax->axis);
    if (axis < 0)
        axis = 0;
    struct rows rows = {.stride = 1};
    if (k->node->opset < 13) {
        rows.n = sal_shape_span(x, axis, x->rank);
        rows.count = sal_shape_span(x, 0, axis);
    } else {
        rows.n = x->rank ? x->dim[axis] : 1;
        rows.stride = sal_shape_span(x, axis + 1, x->rank);
        rows.count = sal_shape_span(x, 0, axis) * rows.stride;
    }
    return rows;
}

static int64_t row_at(const struct rows *rows, int64_t row)
{
    return row / rows->stride * rows->stride * rows->n + row % rows->stride;
}

static sal_real most_of(const sal_real *x, const struct rows *rows)
{
    sal_real most = x[0];
    for (int64_t i = 1; i < rows->n; i++)
        if (x[i * rows->stride] > most)
            most = x[i * rows->stride];
    return most;
}

static void soft_rows(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const struct rows rows = rows_of(k);
    for (int64_t row = from; row < to; row++) {
        const sal_real *x = k->in[0]->real + row_at(&rows, row);
        sal_real *y = k->out[0]->real + row_at(&rows, row);
        const sal_real most = most_of(x, &rows);
        sal_real sum = 0;
        for (int64_t i = 0; i < rows.n; i++)
            sum += y[i * rows.stride] = sal_exp(x[i * rows.stride] - most);
        for (int64_t i = 0; i < rows.n; i++)
            y[i * rows.stride] /= sum;
    }
}

static void log_rows(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const struct rows rows = rows_of(k);
    for (int64_t row = from; row < to; row++) {
        const sal_real *x = k->in[0]->real + row_at(&rows, row);
        sal_real *y = k->out[0]->real + row_at(&rows, row);
        const sal_real most = most_of(x, &rows);
        sal_real sum = 0;
        for (int64_t i = 0; i < rows.n; i++)
            sum += sal_exp(x[i * rows.stride] - most);
        const sal_real total = sal_log(sum);
        for (int64_t i = 0; i < rows.n; i++)
            y[i * rows.stride] = x[i * rows.stride] - most - total;
    }
}

/* dx = y (dy - <dy, y>) */
static void soft_gradient(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const struct rows rows = rows_of(k);
    for (int64_t row = from; row < to; row++) {
        const int64_t at = row_at(&rows, row);
        const sal_real *y = k->out[0]->real + at, *dy = k->dy[0] + at;
        sal_real *dx = k->dx[0] + at, dot = 0;
        for (int64_t i = 0; i < rows.n; i++)
            dot += dy[i * rows.stride] * y[i * rows.stride];
        for (int64_t i = 0; i < rows.n; i++)
            dx[i * rows.stride] += y[i * rows.stride] * (dy[i * rows.stride] - dot);
    }
}

/* dx = dy - exp(y) sum dy */
static void log_gradient(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const struct rows rows = rows_of(k);
    for (int64_t row = from; row < to; row++) {
        const int64_t at = row_at(&rows, row);
        const sal_real *y = k->out[0]->real + at, *dy = k->dy[0] + at;
        sal_real *dx = k->dx[0] + at, sum = 0;
        for (int64_t i = 0; i < rows.n; i++)
            sum += dy[i * rows.stride];
        for (int64_t i = 0; i < rows.n; i++)
            dx[i * rows.stride] += dy[i * rows.stride] - sal_exp(y[i * rows.stride]) * sum;
    }
}

static void split(const struct sal_kernel *k,
                  void (*work)(const struct sal_kernel *k, int64_t from, int64_t to,
                               int worker))
{
    struct rows rows = rows_of(k);
    if (rows.n)
        sal_split(k->pool, rows.count, sal_grain(rows.n * 8), work, k);
}

static void soft_forward(const struct sal_kernel *k)
{
    split(k, soft_rows);
}

static void soft_backward(const struct sal_kernel *k)
{
    if (k->dx[0])
        split(k, soft_gradient);
}

static void log_forward(const struct sal_kernel *k)
{
    split(k, log_rows);
}

static void log_backward(const struct sal_kernel *k)
{
    if (k->dx[0])
        split(k, log_gradient);
}

const struct sal_op sal_op_Softmax = {
    .name = "Softmax",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = 1,
    .max_out = 1,
    .parse = parse,
    .infer = infer,
    .forward = soft_forward,
    .backward = soft_backward,
};

const struct sal_op sal_op_LogSoftmax = {
    .name = "LogSoftmax",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = 1,
    .max_out = 1,
    .parse = parse,
    .infer = infer,
    .forward = log_forward,
    .backward = log_backward,
};
