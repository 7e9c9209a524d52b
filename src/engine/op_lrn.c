#include <inttypes.h>

#include "boxes.h"
#include "kernel.h"
#include "real.h"

/* y = x / d^beta, d = bias + alpha / size * (sum of x^2 over size channels around) */
struct lrn {
    sal_real alpha, beta, bias;
    int64_t size;
};

enum { STRIP = 16 }; /* positions worked on side by side */

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    struct lrn *lrn = sal_new(arena, struct lrn, 1);
    if (!lrn)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = lrn;
    double alpha = 0, beta = 0, bias = 0;
    enum sal_status status = sal_attr_float(source, "alpha", 1e-4, &alpha, err);
    (void)(status || (status = sal_attr_float(source, "beta", 0.75, &beta, err)) ||
           (status = sal_attr_float(source, "bias", 1, &bias, err)) ||
           (status = sal_attr_int(source, "size", 0, &lrn->size, err)));
    if (status)
        return status;
    if (lrn->size < 1 || lrn->size > INT32_MAX)
        return sal_node_fail(node, err, SAL_BAD_INPUT,
                             "size is %" PRId64 ", must be 1 or more", lrn->size);
    lrn->alpha = (sal_real)alpha;
    lrn->beta = (sal_real)beta;
    lrn->bias = (sal_real)bias;
    return SAL_OK;
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = sal_infer_kind(infer, 0, SAL_REAL, err);
    if (!status && infer->in[0]->shape.rank < 2)
        status = sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                               "input has %d axes, must have 2 or more",
                               infer->in[0]->shape.rank);
    return status ? status : sal_infer_same(infer, err);
}

/* A strip of up to STRIP positions of one image, through all channels. */
struct strip {
    int64_t at, width; /* first element in channel 0 */
    int64_t channels, plane;
};

static int64_t strips_of(const struct sal_kernel *k)
{
    const struct sal_shape *x = &k->in[0]->shape;
    return (sal_shape_span(x, 2, x->rank) + STRIP - 1) / STRIP;
}

static struct strip strip_of(const struct sal_kernel *k, int64_t index)
{
    const struct sal_shape *x = &k->in[0]->shape;
    int64_t plane = sal_shape_span(x, 2, x->rank), strips = strips_of(k);
    int64_t image = index / strips, begin = index % strips * STRIP;
    return (struct strip){
        .at = image * x->dim[1] * plane + begin,
        .width = plane - begin < STRIP ? plane - begin : STRIP,
        .channels = x->dim[1],
        .plane = plane,
    };
}

/* Channels whose squares enter channel c: low..high. `swap` gives those that c
 * enters; the two differ where size is even. */
static void neighbours(const struct lrn *lrn, int64_t c, int64_t channels, bool swap,
                       int64_t *low, int64_t *high)
{
    int64_t before = (lrn->size - 1) / 2, after = lrn->size - 1 - before;
    *low = c - (swap ? after : before);
    *high = c + (swap ? before : after);
    *low = *low < 0 ? 0 : *low;
    *high = *high >= channels ? channels - 1 : *high;
}

static void denominators(const struct sal_kernel *k, const struct strip *s, int64_t c,
                         sal_real d[STRIP])
{
    const struct lrn *lrn = k->node->attr;
    const sal_real share = lrn->alpha / (sal_real)lrn->size;
    int64_t low, high;
    neighbours(lrn, c, s->channels, false, &low, &high);
    for (int64_t i = 0; i < s->width; i++)
        d[i] = 0;
    for (int64_t j = low; j <= high; j++) {
        const sal_real *x = k->in[0]->real + s->at + j * s->plane;
        for (int64_t i = 0; i < s->width; i++)
            d[i] += x[i] * x[i];
    }
    for (int64_t i = 0; i < s->width; i++)
        d[i] = lrn->bias + share * d[i];
}

static void forward_strips(const struct sal_kernel *k, int64_t from, int64_t to,
                           int worker)
{
    (void)worker;
    const struct lrn *lrn = k->node->attr;
    for (int64_t index = from; index < to; index++) {
        struct strip s = strip_of(k, index);
        for (int64_t c = 0; c < s.channels; c++) {
            sal_real d[STRIP];
            denominators(k, &s, c, d);
            const sal_real *x = k->in[0]->real + s.at + c * s.plane;
            sal_real *y = k->out[0]->real + s.at + c * s.plane;
            for (int64_t i = 0; i < s.width; i++)
                y[i] = x[i] * sal_pow(d[i], -lrn->beta);
        }
    }
}

/* dx_c = dy_c d_c^-b - 2 a b / size * x_c * sum of dy_j y_j / d_j over the channels
 * that c enters. Scratch keeps the last quotients of all channels. */
static void backward_strips(const struct sal_kernel *k, int64_t from, int64_t to,
                            int worker)
{
    const struct lrn *lrn = k->node->attr;
    const sal_real factor = 2 * lrn->alpha * lrn->beta / (sal_real)lrn->size;
    sal_real *quotient = k->scratch + (size_t)worker * k->scratch_stride;
    for (int64_t index = from; index < to; index++) {
        struct strip s = strip_of(k, index);
        for (int64_t c = 0; c < s.channels; c++) {
            sal_real d[STRIP];
            denominators(k, &s, c, d);
            const int64_t at = s.at + c * s.plane;
            for (int64_t i = 0; i < s.width; i++) {
                sal_real dy = k->dy[0][at + i];
                quotient[c * STRIP + i] = dy * k->out[0]->real[at + i] / d[i];
                k->dx[0][at + i] += dy * sal_pow(d[i], -lrn->beta);
            }
        }
        for (int64_t c = 0; c < s.channels; c++) {
            const int64_t at = s.at + c * s.plane;
            int64_t low, high;
            neighbours(lrn, c, s.channels, true, &low, &high);
            for (int64_t i = 0; i < s.width; i++) {
                sal_real sum = 0;
                for (int64_t j = low; j <= high; j++)
                    sum += quotient[j * STRIP + i];
                k->dx[0][at + i] -= factor * k->in[0]->real[at + i] * sum;
            }
        }
    }
}

static void forward(const struct sal_kernel *k)
{
    const struct sal_shape *x = &k->in[0]->shape;
    sal_split(k->pool, x->dim[0] * strips_of(k), 4, forward_strips, k);
}

static void backward(const struct sal_kernel *k)
{
    const struct sal_shape *x = &k->in[0]->shape;
    if (k->dx[0])
        sal_split(k->pool, x->dim[0] * strips_of(k), 4, backward_strips, k);
}

static size_t scratch(const struct sal_kernel *k, bool for_backward)
{
    return for_backward ? (size_t)k->in[0]->shape.dim[1] * STRIP : 0;
}

const struct sal_op sal_op_LRN = {
    .name = "LRN",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = 1,
    .max_out = 1,
    .parse = parse,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .frugal = true,
    .reads = {{.in = 1u << 0, .out = 1u << 0}},
    .scratch = scratch,
    .region = &sal_region_pixels, /* over channels */
};
