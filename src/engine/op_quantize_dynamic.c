/*
 * DynamicQuantizeLinear: uint8 with the scale and zero point that fit x, both of which
 * are outputs. Its gradient is declared like QuantizeLinear's, with the scale held: what
 * arrives at the scale goes no further.
 */
#include "kernel.h"
#include "real.h"

enum { Y, SCALE, ZERO };

enum { MOST = UINT8_MAX };

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct sal_shape scalar = {0};
    enum sal_status status = sal_infer_kind(infer, 0, SAL_REAL, err);
    if (status ||
        (status = sal_infer_set(infer, Y, SAL_INT, SAL_ONNX_UINT8, &infer->in[0]->shape,
                                err)) ||
        (status = sal_infer_set(infer, SCALE, SAL_REAL, infer->in[0]->type, &scalar,
                                err)) ||
        (status = sal_infer_set(infer, ZERO, SAL_INT, SAL_ONNX_UINT8, &scalar, err)))
        return status;
    if (infer->out[Y])
        infer->out[Y]->quantised = true;
    return SAL_OK;
}

/* One scale and zero point in every worker's hands: the pieces read the first's. */
static size_t scratch(const struct sal_kernel *k, bool backward)
{
    (void)k, (void)backward;
    return 2;
}

static void fit(const struct sal_kernel *k)
{
    const struct sal_tensor *x = k->in[0];
    sal_real low = 0, high = 0;
    int64_t n = sal_shape_count(&x->shape);
    for (int64_t i = 0; i < n; i++) {
        low = x->real[i] < low ? x->real[i] : low;
        high = x->real[i] > high ? x->real[i] : high;
    }
    sal_real scale = high > low ? (high - low) / MOST : 1, zero = sal_rint(-low / scale);
    k->scratch[0] = scale;
    /* Not so for infinite x. */
    k->scratch[1] = zero >= 0 && zero <= MOST ? zero : 0;
}

static void pieces(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const sal_real scale = k->scratch[0], zero = k->scratch[1];
    for (int64_t i = from; i < to; i++)
        k->out[Y]->i64[i] =
            sal_int_clamp(sal_rint(k->in[0]->real[i] / scale) + zero, 0, MOST);
}

static void forward(const struct sal_kernel *k)
{
    const struct sal_tensor *scale = sal_kernel_out(k, SCALE);
    const struct sal_tensor *zero = sal_kernel_out(k, ZERO);
    fit(k);
    if (scale)
        scale->real[0] = k->scratch[0];
    if (zero)
        zero->i64[0] = (int64_t)k->scratch[1];
    if (k->out[Y])
        sal_split(k->pool, sal_shape_count(&k->in[0]->shape), SAL_TILE, pieces, k);
}

/* Everything is in range: that is what the scale was made for. */
static void gradient_piece(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const sal_real scale = k->scratch[0];
    for (int64_t i = from; i < to; i++)
        k->dx[0][i] += k->dy[Y][i] / scale;
}

static void backward(const struct sal_kernel *k)
{
    if (!k->dx[0] || !k->dy[Y])
        return;
    fit(k);
    sal_split(k->pool, sal_shape_count(&k->in[0]->shape), SAL_TILE, gradient_piece, k);
}

const struct sal_op sal_op_DynamicQuantizeLinear = {
    .name = "DynamicQuantizeLinear",
    .since = 11,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = 1,
    .max_out = 3,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .frugal = true,
    .reads = {{.in = 1u << 0}},
    .scratch = scratch,
    .straight = true,
};
