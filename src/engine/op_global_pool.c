#include "kernel.h"

/* Spatial axes to ones. */
static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = sal_infer_kind(infer, 0, SAL_REAL, err);
    if (status)
        return status;
    struct sal_shape shape = infer->in[0]->shape;
    if (shape.rank < 2)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "input has %d axes, must have 2 or more", shape.rank);
    if (!sal_shape_span(&shape, 2, shape.rank))
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT, "input has empty planes");
    for (int i = 2; i < shape.rank; i++)
        shape.dim[i] = 1;
    return sal_infer_like(infer, 0, infer->in[0], &shape, err);
}

static int64_t plane_of(const struct sal_kernel *k)
{
    return sal_shape_span(&k->in[0]->shape, 2, k->in[0]->shape.rank);
}

static void split(const struct sal_kernel *k,
                  void (*work)(const struct sal_kernel *k, int64_t from, int64_t to,
                               int worker))
{
    sal_split(k->pool, sal_shape_count(&k->out[0]->shape), sal_grain(plane_of(k)), work,
              k);
}

/* ---- average ------------------------------------------------------------------- */

static void average_planes(const struct sal_kernel *k, int64_t from, int64_t to,
                           int worker)
{
    (void)worker;
    int64_t n = plane_of(k);
    for (int64_t p = from; p < to; p++)
        k->out[0]->real[p] = sal_sum(k->in[0]->real + p * n, n) / (sal_real)n;
}

static void average_gradient(const struct sal_kernel *k, int64_t from, int64_t to,
                             int worker)
{
    (void)worker;
    int64_t n = plane_of(k);
    for (int64_t p = from; p < to; p++) {
        sal_real share = k->dy[0][p] / (sal_real)n, *dx = k->dx[0] + p * n;
        for (int64_t i = 0; i < n; i++)
            dx[i] += share;
    }
}

static void average_forward(const struct sal_kernel *k)
{
    split(k, average_planes);
}

static void average_backward(const struct sal_kernel *k)
{
    if (k->dx[0] && k->dy[0])
        split(k, average_gradient);
}

const struct sal_op sal_op_GlobalAveragePool = {
    .name = "GlobalAveragePool",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = 1,
    .max_out = 1,
    .infer = infer,
    .forward = average_forward,
    .backward = average_backward,
    .frugal = true,
};

/* ---- maximum ------------------------------------------------------------------- */

/* The first of equal maxima, or NaN. */
static int64_t max_at(const sal_real *x, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best] || x[i] != x[i])
            best = i;
    return best;
}

static void max_planes(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    int64_t n = plane_of(k);
    for (int64_t p = from; p < to; p++) {
        const sal_real *x = k->in[0]->real + p * n;
        k->out[0]->real[p] = x[max_at(x, n)];
    }
}

static void max_gradient(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    int64_t n = plane_of(k);
    for (int64_t p = from; p < to; p++)
        k->dx[0][p * n + max_at(k->in[0]->real + p * n, n)] += k->dy[0][p];
}

static void max_forward(const struct sal_kernel *k)
{
    split(k, max_planes);
}

static void max_backward(const struct sal_kernel *k)
{
    if (k->dx[0] && k->dy[0])
        split(k, max_gradient);
}

const struct sal_op sal_op_GlobalMaxPool = {
    .name = "GlobalMaxPool",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = 1,
    .max_out = 1,
    .infer = infer,
    .forward = max_forward,
    .backward = max_backward,
    .frugal = true,
    .reads = {{.in = 1u << 0}},
};
