#include <string.h>

#include "kernel.h"
#include "real.h"

/* Values that come from no data: Range, EyeLike. */

/* ---- Range --------------------------------------------------------------------- */

enum { START, LIMIT, DELTA };

/* Elements of start, start + delta, ... before limit. Differences are taken without a
 * sign, where they cannot overflow. */
static int64_t count_integers(int64_t start, int64_t limit, int64_t delta)
{
    bool back = delta < 0;
    if (back ? start <= limit : start >= limit)
        return 0;
    uint64_t reach = back ? (uint64_t)start - (uint64_t)limit
                          : (uint64_t)limit - (uint64_t)start;
    uint64_t step = back ? 0 - (uint64_t)delta : (uint64_t)delta;
    uint64_t n = (reach - 1) / step + 1;
    return n > (uint64_t)SAL_COUNT_MAX ? SAL_COUNT_MAX : (int64_t)n;
}

/* -1 where one of them is no number. */
static int64_t count_reals(sal_real start, sal_real limit, sal_real delta)
{
    double n = ceil(((double)limit - (double)start) / (double)delta);
    if (isnan(n))
        return -1;
    return n > (double)SAL_COUNT_MAX ? SAL_COUNT_MAX : n > 0 ? (int64_t)n : 0;
}

static enum sal_status range_infer(const struct sal_infer *infer, struct sal_error *err)
{
    static const char *const names[] = {"start", "limit", "delta"};
    const struct sal_tensor *const *in = infer->in;
    int64_t ignored, n;
    enum sal_status status = SAL_OK;
    for (int i = START; i <= DELTA && !status; i++) {
        status = sal_infer_number(infer, i, names[i], &ignored, err);
        if (!status)
            status = sal_infer_kind(infer, i, in[START]->kind, err);
    }
    if (status)
        return status;
    bool real = in[START]->kind == SAL_REAL;
    if (real ? !(in[DELTA]->real[0] != 0) : in[DELTA]->i64[0] == 0)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT, "delta is 0");
    n = real ? count_reals(in[START]->real[0], in[LIMIT]->real[0], in[DELTA]->real[0])
             : count_integers(in[START]->i64[0], in[LIMIT]->i64[0], in[DELTA]->i64[0]);
    if (n < 0)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "start, limit and delta span no number of elements");
    struct sal_shape shape = {.rank = 1, .dim = {n}};
    return sal_infer_like(infer, 0, in[START], &shape, err);
}

static void range_forward(const struct sal_kernel *k)
{
    const struct sal_tensor *y = k->out[0];
    const struct sal_tensor *start = k->in[START], *delta = k->in[DELTA];
    for (int64_t i = 0; i < y->shape.dim[0]; i++) {
        if (y->kind == SAL_REAL)
            y->real[i] = start->real[0] + (sal_real)i * delta->real[0];
        else
            y->i64[i] = start->i64[0] + i * delta->i64[0];
    }
}

const struct sal_op sal_op_Range = {
    .name = "Range",
    .since = 11,
    .until = SAL_OPSET_MAX,
    .min_in = 3,
    .max_in = 3,
    .max_out = 1,
    .infer = range_infer,
    .forward = range_forward,
};

/* ---- EyeLike ------------------------------------------------------------------- */

struct eye {
    int64_t dtype, diagonal;
};

static enum sal_status eye_parse(struct sal_node *node, const struct sal_onnx_node *source,
                                 struct sal_arena *arena, struct sal_error *err)
{
    struct eye *eye = sal_new(arena, struct eye, 1);
    if (!eye)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = eye;
    enum sal_status status =
        sal_attr_int(source, "dtype", SAL_ONNX_UNDEFINED, &eye->dtype, err);
    return status ? status : sal_attr_int(source, "k", 0, &eye->diagonal, err);
}

static enum sal_status eye_infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct eye *eye = infer->node->attr;
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status)
        return status;
    const struct sal_tensor *x = infer->in[0];
    enum sal_kind kind = x->kind;
    if (x->shape.rank != 2)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "input has %d axes, must have 2", x->shape.rank);
    if (eye->dtype == SAL_ONNX_UNDEFINED)
        return sal_infer_same(infer, err);
    if (eye->dtype < 0 || eye->dtype > INT32_MAX ||
        !sal_type_kind((int)eye->dtype, &kind))
        return sal_node_fail(infer->node, err, SAL_UNSUPPORTED, "makes no %s",
                             sal_onnx_type_name((int)eye->dtype));
    return sal_infer_set(infer, 0, kind, (int)eye->dtype, &x->shape, err);
}

static void eye_forward(const struct sal_kernel *k)
{
    const struct eye *eye = k->node->attr;
    const struct sal_tensor *y = k->out[0];
    const int64_t rows = y->shape.dim[0], columns = y->shape.dim[1];
    if (rows && columns)
        memset(y->data, 0, (size_t)(rows * columns) * sal_kind_size(y->kind));
    for (int64_t row = 0; row < rows; row++) {
        int64_t column;
        if (__builtin_add_overflow(row, eye->diagonal, &column) || column < 0 ||
            column >= columns)
            continue;
        if (y->kind == SAL_REAL)
            y->real[row * columns + column] = 1;
        else
            y->i64[row * columns + column] = 1;
    }
}

const struct sal_op sal_op_EyeLike = {
    .name = "EyeLike",
    .since = 9,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = 1,
    .max_out = 1,
    .parse = eye_parse,
    .infer = eye_infer,
    .forward = eye_forward,
    .shape_only = true,
};
