#include "kernel.h"
#include "lower.h"
#include "real.h"

/*
 * y = (x - mean) / sqrt(variance + epsilon) * scale + shift, per channel: what
 * BatchNormalization is outside training, in every opset.
 *
 * In training_mode mean and variance are the input's own. Over a constant that is
 * how exports standardise weights (PyTorch's of BiT and NFNet); over activations it
 * is a model in training, whose answer depends on the batch, and is refused.
 */
enum { X, SCALE, SHIFT, MEAN, VARIANCE };
enum { Y, RUNNING_MEAN, RUNNING_VARIANCE };

struct batch_norm {
    sal_real epsilon;
    sal_real momentum;
    int64_t training;
};

static enum sal_status fail_training(const struct sal_node *node, struct sal_error *err)
{
    return sal_node_fail(node, err, SAL_UNSUPPORTED, "the model was exported for training");
}

static enum sal_status parse_mode(const struct sal_node *node,
                                  const struct sal_onnx_node *source,
                                  struct batch_norm *norm, struct sal_error *err)
{
    int64_t is_test = 1, spatial = 1;
    enum sal_status status =
        sal_attr_int(source, "training_mode", 0, &norm->training, err);
    if (!status && node->opset < 7)
        status = sal_attr_int(source, "is_test", 0, &is_test, err);
    if (!status && node->opset < 9)
        status = sal_attr_int(source, "spatial", 1, &spatial, err);
    if (status)
        return status;
    if (!is_test)
        return fail_training(node, err);
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
    double epsilon = 0, momentum = 0;
    enum sal_status status = parse_mode(node, source, norm, err);
    if (status || (status = sal_attr_float(source, "epsilon", 1e-5, &epsilon, err)) ||
        (status = sal_attr_float(source, "momentum", 0.9, &momentum, err)))
        return status;
    norm->epsilon = (sal_real)epsilon;
    norm->momentum = (sal_real)momentum;
    for (int i = norm->training ? RUNNING_VARIANCE + 1 : 1; i < node->n_out; i++)
        if (node->out[i] >= 0)
            return sal_node_fail(node, err, SAL_UNSUPPORTED,
                                 "output %d exists in training only", i);
    return SAL_OK;
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    static const char *const names[] = {"input", "scale", "B", "mean", "var"};
    const struct batch_norm *norm = infer->node->attr;
    enum sal_status status = SAL_OK;
    for (int i = X; i <= VARIANCE; i++)
        if ((status = sal_infer_kind(infer, i, SAL_REAL, err)))
            return status;
    if (norm->training && !infer->in[X]->data)
        return fail_training(infer->node, err);
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
    for (int i = RUNNING_MEAN; !status && i < infer->node->n_out; i++)
        status = sal_infer_like(infer, i, infer->in[SCALE], &infer->in[SCALE]->shape, err);
    return status ? status : sal_infer_same(infer, err);
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

/* ---- training_mode ------------------------------------------------------------------ */

struct moments {
    sal_real mean, variance;
};

static struct moments moments_of(const struct sal_kernel *k, int64_t c)
{
    const struct sal_shape *shape = &k->in[X]->shape;
    int64_t n = plane_of(k), stride = shape->dim[1] * n;
    const sal_real count = (sal_real)(shape->dim[0] * n);
    const sal_real *x = k->in[X]->real + c * n;
    sal_real sum = 0, squares = 0;
    for (int64_t b = 0; b < shape->dim[0]; b++)
        sum += sal_sum(x + b * stride, n);
    const sal_real mean = sum / count;
    for (int64_t b = 0; b < shape->dim[0]; b++) {
        const sal_real *plane = x + b * stride;
        SAL_SUM(squares, i, n, (plane[i] - mean) * (plane[i] - mean))
    }
    return (struct moments){mean, squares / count};
}

static void keep_running(const struct sal_kernel *k, int output, int input, int64_t c,
                         sal_real value)
{
    const struct batch_norm *norm = k->node->attr;
    const struct sal_tensor *running = sal_kernel_out(k, output);
    if (running)
        running->real[c] =
            k->in[input]->real[c] * norm->momentum + value * (1 - norm->momentum);
}

static void forward_training(const struct sal_kernel *k, int64_t from, int64_t to,
                             int worker)
{
    (void)worker;
    const struct batch_norm *norm = k->node->attr;
    const struct sal_shape *shape = &k->in[X]->shape;
    int64_t n = plane_of(k), stride = shape->dim[1] * n;
    for (int64_t c = from; c < to; c++) {
        const struct moments own = moments_of(k, c);
        const sal_real factor =
            k->in[SCALE]->real[c] / sal_sqrt(own.variance + norm->epsilon);
        for (int64_t b = 0; b < shape->dim[0]; b++) {
            const sal_real *x = k->in[X]->real + b * stride + c * n;
            sal_real *y = k->out[Y]->real + b * stride + c * n;
            for (int64_t i = 0; i < n; i++)
                y[i] = (x[i] - own.mean) * factor + k->in[SHIFT]->real[c];
        }
        keep_running(k, RUNNING_MEAN, MEAN, c, own.mean);
        keep_running(k, RUNNING_VARIANCE, VARIANCE, c, own.variance);
    }
}

/* ---- gradients ---------------------------------------------------------------------- */

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
    const struct batch_norm *norm = k->node->attr;
    if (norm->training)
        sal_split(k->pool, k->in[X]->shape.dim[1], 1, forward_training, k);
    else
        sal_split(k->pool, sal_shape_span(&k->in[X]->shape, 0, 2),
                  sal_grain(plane_of(k)), forward_planes, k);
}

static void backward(const struct sal_kernel *k)
{
    if (k->dx[X])
        sal_split(k->pool, sal_shape_span(&k->in[X]->shape, 0, 2),
                  sal_grain(plane_of(k)), x_gradient, k);
    if (k->dx[SCALE] || k->dx[SHIFT] || k->dx[MEAN] || k->dx[VARIANCE])
        sal_split(k->pool, k->in[X]->shape.dim[1], 1, vector_gradients, k);
}

bool sal_batch_norm_affine(const struct sal_node *node, const struct sal_tensor *const *in,
                           sal_real *scale, sal_real *shift)
{
    const struct batch_norm *norm = node->attr;
    for (int64_t c = 0; c < in[SCALE]->shape.dim[0] && !norm->training; c++) {
        scale[c] = in[SCALE]->real[c] / sal_sqrt(in[VARIANCE]->real[c] + norm->epsilon);
        shift[c] = in[SHIFT]->real[c] - in[MEAN]->real[c] * scale[c];
    }
    return !norm->training;
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
    .in_place = 1u << X,
    .frugal = true,
    .reads = {{.in = 1u << SCALE | 1u << VARIANCE}, {.in = SAL_READS_ALL}, {.in = SAL_READS_ALL}},
};
