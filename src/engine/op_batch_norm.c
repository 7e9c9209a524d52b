#include "kernel.h"
#include "real.h"

/*
 * y = (x - mean) / sqrt(variance + epsilon) * scale + shift, per channel: what
 * BatchNormalization is outside training, in every opset.
 */
enum { X, SCALE, SHIFT, MEAN, VARIANCE };

struct batch_norm {
    sal_real epsilon;
};

static enum sal_status refuse_training(const struct sal_node *node,
                                       const struct sal_onnx_node *source,
                                       struct sal_error *err)
{
    int64_t training = 0, is_test = 1, spatial = 1;
    enum sal_status status = sal_attr_int(source, "training_mode", 0, &training, err);
    if (!status && node->opset < 7)
        status = sal_attr_int(source, "is_test", 0, &is_test, err);
    if (!status && node->opset < 9)
        status = sal_attr_int(source, "spatial", 1, &spatial, err);
    if (status)
        return status;
    if (training || !is_test)
        return sal_node_fail(node, err, SAL_UNSUPPORTED,
                             "the model was exported for training");
    if (!spatial)
        return sal_node_fail(node, err, SAL_UNSUPPORTED,
                             "spatial is 0: only per-channel statistics are supported");
    return SAL_OK;
}

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    struct batch_norm *norm = sal_new(arena, struct batch_norm, 1);
    if (!norm)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = norm;
    double epsilon = 0;
    enum sal_status status = refuse_training(node, source, err);
    if (status || (status = sal_attr_float(source, "epsilon", 1e-5, &epsilon, err)))
        return status;
    norm->epsilon = (sal_real)epsilon;
    for (int i = 1; i < node->n_out; i++)
        if (node->out[i] >= 0)
            return sal_node_fail(node, err, SAL_UNSUPPORTED,
                                 "output %d exists in training only", i);
    return SAL_OK;
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    static const char *const names[] = {"input", "scale", "B", "mean", "var"};
    enum sal_status status = SAL_OK;
    for (int i = X; i <= VARIANCE; i++)
        if ((status = sal_infer_kind(infer, i, SAL_REAL, err)))
            return status;
    const struct sal_shape *x = &infer->in[X]->shape;
    if (x->rank < 2)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "input has %d axes, must have 2 or more", x->rank);
    for (int i = SCALE; i <= VARIANCE; i++) {
        const struct sal_shape *shape = &infer->in[i]->shape;
        char text[2][96];
        if (shape->rank != 1 || shape->dim[0] != x->dim[1])
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "%s is %s, input is %s: expected one per channel",
                                 names[i], sal_shape_text(shape, text[0], sizeof(text[0])),
                                 sal_shape_text(x, text[1], sizeof(text[1])));
    }
    return sal_infer_same(infer, err);
}

static sal_real inverse_deviation(const struct sal_kernel *k, int64_t c)
{
    const struct batch_norm *norm = k->node->attr;
    return 1 / sal_sqrt(k->in[VARIANCE]->real[c] + norm->epsilon);
}

static int64_t plane_of(const struct sal_kernel *k)
{
    return sal_shape_span(&k->in[X]->shape, 2, k->in[X]->shape.rank);
}

static void forward_planes(const struct sal_kernel *k, int64_t from, int64_t to,
                           int worker)
{
    (void)worker;
    int64_t n = plane_of(k), channels = k->in[X]->shape.dim[1];
    for (int64_t p = from; p < to; p++) {
        int64_t c = p % channels;
        const sal_real factor = k->in[SCALE]->real[c] * inverse_deviation(k, c);
        const sal_real mean = k->in[MEAN]->real[c], shift = k->in[SHIFT]->real[c];
        const sal_real *x = k->in[X]->real + p * n;
        sal_real *y = k->out[0]->real + p * n;
        for (int64_t i = 0; i < n; i++)
            y[i] = (x[i] - mean) * factor + shift;
    }
}

static void x_gradient(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    int64_t n = plane_of(k), channels = k->in[X]->shape.dim[1];
    for (int64_t p = from; p < to; p++) {
        int64_t c = p % channels;
        const sal_real factor = k->in[SCALE]->real[c] * inverse_deviation(k, c);
        const sal_real *dy = k->dy[0] + p * n;
        sal_real *dx = k->dx[X] + p * n;
        for (int64_t i = 0; i < n; i++)
            dx[i] += dy[i] * factor;
    }
}

/* The four vectors are weights as a rule, and then nobody asks. */
static void vector_gradients(const struct sal_kernel *k, int64_t from, int64_t to,
                             int worker)
{
    (void)worker;
    const struct sal_shape *shape = &k->in[X]->shape;
    int64_t n = plane_of(k), channels = shape->dim[1];
    for (int64_t c = from; c < to; c++) {
        sal_real inverse = inverse_deviation(k, c), scale = k->in[SCALE]->real[c];
        sal_real mean = k->in[MEAN]->real[c], sum = 0, moment = 0;
        for (int64_t b = 0; b < shape->dim[0]; b++) {
            const int64_t at = (b * channels + c) * n;
            for (int64_t i = at; i < at + n; i++) {
                sum += k->dy[0][i];
                moment += k->dy[0][i] * (k->in[X]->real[i] - mean);
            }
        }
        if (k->dx[SCALE])
            k->dx[SCALE][c] += moment * inverse;
        if (k->dx[SHIFT])
            k->dx[SHIFT][c] += sum;
        if (k->dx[MEAN])
            k->dx[MEAN][c] -= sum * scale * inverse;
        if (k->dx[VARIANCE])
            k->dx[VARIANCE][c] -= moment * scale * inverse * inverse * inverse / 2;
    }
}

static void forward(const struct sal_kernel *k)
{
    sal_split(k->pool, sal_shape_span(&k->in[X]->shape, 0, 2), sal_grain(plane_of(k)),
              forward_planes, k);
}

static void backward(const struct sal_kernel *k)
{
    if (k->dx[X])
        sal_split(k->pool, sal_shape_span(&k->in[X]->shape, 0, 2),
                  sal_grain(plane_of(k)), x_gradient, k);
    if (k->dx[SCALE] || k->dx[SHIFT] || k->dx[MEAN] || k->dx[VARIANCE])
        sal_split(k->pool, k->in[X]->shape.dim[1], 1, vector_gradients, k);
}

const struct sal_op sal_op_BatchNormalization = {
    .name = "BatchNormalization",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .min_in = 5,
    .max_in = 5,
    .max_out = 5,
    .parse = parse,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
