#include "lanes.h"
#include "lower.h"
#include "real.h"
#include "rows.h"

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

bool sal_softmax_is_last(const struct sal_node *node, int rank)
{
    const struct softmax *softmax = node->attr;
    return softmax->axis == -1 || softmax->axis == rank - 1;
}

/* Before opset 13 a row is all from the axis on. */
static struct sal_rows rows_of(const struct sal_kernel *k)
{
    const struct softmax *softmax = k->node->attr;
    const struct sal_shape *x = &k->in[0]->shape;
    int axis = (int)(softmax->axis < 0 ? softmax->axis + x->rank : softmax->axis);
    if (axis < 0)
        axis = 0;
    if (k->node->opset >= 13 && x->rank)
        return sal_rows_along(x, axis);
    return (struct sal_rows){
        .n = sal_shape_span(x, axis, x->rank),
        .stride = 1,
        .count = sal_shape_span(x, 0, axis),
    };
}

static sal_real most_of(const sal_real *x, const struct sal_rows *rows)
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
    const struct sal_rows rows = rows_of(k);
    for (int64_t row = from; row < to; row++) {
        const sal_real *x = k->in[0]->real + sal_row_at(&rows, row);
        sal_real *y = k->out[0]->real + sal_row_at(&rows, row);
        const sal_real most = most_of(x, &rows);
        sal_real sum = 0;
        for (int64_t i = 0; i < rows.n; i++)
            sum += y[i * rows.stride] = sal_exp(x[i * rows.stride] - most);
        for (int64_t i = 0; i < rows.n; i++)
            y[i * rows.stride] /= sum;
    }
}

/* Rows that lie in one piece. */
static void soft_whole_rows(const struct sal_kernel *k, int64_t from, int64_t to,
                            int worker)
{
    (void)worker;
    const int64_t n = rows_of(k).n;
    for (int64_t row = from; row < to; row++)
        sal_lanes()->softmax(k->out[0]->real + row * n, k->in[0]->real + row * n, n, 1);
}

static void log_rows(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const struct sal_rows rows = rows_of(k);
    for (int64_t row = from; row < to; row++) {
        const sal_real *x = k->in[0]->real + sal_row_at(&rows, row);
        sal_real *y = k->out[0]->real + sal_row_at(&rows, row);
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
    const struct sal_rows rows = rows_of(k);
    for (int64_t row = from; row < to; row++) {
        const int64_t at = sal_row_at(&rows, row);
        const sal_real *y = k->out[0]->real + at, *dy = k->dy[0] + at;
        sal_real *dx = k->dx[0] + at, dot = 0;
        for (int64_t i = 0; i < rows.n; i++)
            dot += dy[i * rows.stride] * y[i * rows.stride];
        for (int64_t i = 0; i < rows.n; i++)
            dx[i * rows.stride] += y[i * rows.stride] * (dy[i * rows.stride] - dot);
    }
}

static void soft_whole_gradient(const struct sal_kernel *k, int64_t from, int64_t to,
                                int worker)
{
    (void)worker;
    const int64_t n = rows_of(k).n;
    for (int64_t row = from; row < to; row++)
        sal_lanes()->softmax_gradient(k->dx[0] + row * n, k->out[0]->real + row * n,
                                      k->dy[0] + row * n, n);
}

/* dx = dy - exp(y) sum dy */
static void log_gradient(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const struct sal_rows rows = rows_of(k);
    for (int64_t row = from; row < to; row++) {
        const int64_t at = sal_row_at(&rows, row);
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
    struct sal_rows rows = rows_of(k);
    if (rows.n)
        sal_split(k->pool, rows.count, sal_grain(rows.n * 8), work, k);
}

static void soft_forward(const struct sal_kernel *k)
{
    split(k, rows_of(k).stride == 1 ? soft_whole_rows : soft_rows);
}

static void soft_backward(const struct sal_kernel *k)
{
    if (k->dx[0])
        split(k, rows_of(k).stride == 1 ? soft_whole_gradient : soft_gradient);
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

/* ---- Hardmax: 1 for the first maximum ------------------------------------------ */

static void hard_rows(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const struct sal_rows rows = rows_of(k);
    for (int64_t row = from; row < to; row++) {
        const sal_real *x = k->in[0]->real + sal_row_at(&rows, row);
        sal_real *y = k->out[0]->real + sal_row_at(&rows, row);
        const sal_real most = most_of(x, &rows);
        bool found = false;
        for (int64_t i = 0; i < rows.n; i++) {
            bool here = !found && x[i * rows.stride] == most;
            y[i * rows.stride] = here;
            found |= here;
        }
    }
}

static void hard_forward(const struct sal_kernel *k)
{
    split(k, hard_rows);
}

/* Constant, but where it jumps: the gradient is 0. */
static void hard_backward(const struct sal_kernel *k)
{
    (void)k;
}

/* ---- rows of the table --------------------------------------------------------- */

#define ROW(op_name, op_forward, op_backward, op_reads_out)                      \
    const struct sal_op sal_op_##op_name = {                                     \
        .name = #op_name,                                                        \
        .since = 1,                                                              \
        .until = SAL_OPSET_MAX,                                                  \
        .min_in = 1,                                                             \
        .max_in = 1,                                                             \
        .max_out = 1,                                                            \
        .parse = parse,                                                          \
        .infer = infer,                                                          \
        .forward = op_forward,                                                   \
        .backward = op_backward,                                                 \
        .in_place = 1u << 0,                                                     \
        .frugal = true,                                                          \
        .reads = {{.out = op_reads_out}},                                        \
    };

ROW(Hardmax, hard_forward, hard_backward, 0)
ROW(LogSoftmax, log_forward, log_backward, 1)
ROW(Softmax, soft_forward, soft_backward, 1)
