#include <string.h>

#include "kernel.h"
#include "lanes.h"
#include "lower.h"
#include "real.h"

/* Bounds before opset 11; later ones are inputs 1 and 2. */
struct clip {
    sal_real low, high;
};

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    struct clip *clip = sal_new(arena, struct clip, 1);
    if (!clip)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = clip;
    double low = -HUGE_VAL, high = HUGE_VAL;
    enum sal_status status = SAL_OK;
    if (node->opset < 11)
        (void)((status = sal_attr_float(source, "min", low, &low, err)) ||
               (status = sal_attr_float(source, "max", high, &high, err)));
    clip->low = (sal_real)low;
    clip->high = (sal_real)high;
    return status;
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status)
        return status;
    for (int i = 1; i <= 2; i++) {
        if (!sal_infer_in(infer, i))
            continue;
        if ((status = sal_infer_kind(infer, i, infer->in[0]->kind, err)))
            return status;
        if (sal_shape_count(&infer->in[i]->shape) != 1)
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT, "%s must be a scalar",
                                 i == 1 ? "min" : "max");
    }
    return sal_infer_same(infer, err);
}

static struct clip bounds(const struct sal_kernel *k)
{
    struct clip clip = *(const struct clip *)k->node->attr;
    const struct sal_tensor *low = sal_kernel_in(k, 1), *high = sal_kernel_in(k, 2);
    if (low)
        clip.low = low->real[0];
    if (high)
        clip.high = high->real[0];
    return clip;
}

static void real_piece(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const struct clip clip = bounds(k);
    sal_lanes()->clamp(k->in[0]->real + from, to - from, clip.low, clip.high,
                       k->out[0]->real + from);
}

static void int_piece(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const struct sal_tensor *low = sal_kernel_in(k, 1), *high = sal_kernel_in(k, 2);
    int64_t least = low ? low->i64[0] : INT64_MIN, most = high ? high->i64[0] : INT64_MAX;
    for (int64_t i = from; i < to; i++) {
        int64_t x = k->in[0]->i64[i] < least ? least : k->in[0]->i64[i];
        k->out[0]->i64[i] = x > most ? most : x;
    }
}

static void forward(const struct sal_kernel *k)
{
    sal_split(k->pool, sal_shape_count(&k->out[0]->shape), SAL_TILE,
              k->out[0]->kind == SAL_REAL ? real_piece : int_piece, k);
}

/* 1 on the bounds themselves. */
static void gradient_piece(const struct sal_kernel *k, int64_t from, int64_t to,
                           int worker)
{
    (void)worker;
    const struct clip clip = bounds(k);
    sal_lanes()->clamp_back(k->in[0]->real + from, k->dy[0] + from, to - from, clip.low,
                            clip.high, false, k->dx[0] + from);
}

/* A bound that is computed gets what it let through: below min, or above max (which
 * wins where they cross). */
static void bound_gradient(const struct sal_kernel *k, int which)
{
    const struct clip clip = bounds(k);
    const sal_real *x = k->in[0]->real, *dy = k->dy[0];
    int64_t n = sal_shape_count(&k->out[0]->shape);
    sal_real sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sal_real raised = x[i] < clip.low ? clip.low : x[i];
        int source = raised > clip.high ? 2 : x[i] < clip.low ? 1 : 0;
        sum += source == which ? dy[i] : 0;
    }
    k->dx[which][0] += sum;
}

static void backward(const struct sal_kernel *k)
{
    if (k->dx[0])
        sal_split(k->pool, sal_shape_count(&k->out[0]->shape), SAL_TILE, gradient_piece, k);
    for (int i = 1; i <= 2; i++)
        if (sal_kernel_dx(k, i))
            bound_gradient(k, i);
}

bool sal_clamp_of(const struct sal_graph *graph, const struct sal_node *node, sal_real *low,
                  sal_real *high)
{
    *low = 0;
    *high = SAL_INFINITY;
    if (strcmp(node->op->name, "Relu") == 0)
        return true;
    if (strcmp(node->op->name, "Clip") != 0 || graph->values[node->out[0]].tensor.kind != SAL_REAL)
        return false;
    const struct clip *clip = node->attr;
    sal_real *bound[2] = {low, high};
    *low = clip->low;
    *high = clip->high;
    for (int i = 1; i < node->n_in; i++) {
        const struct sal_tensor *given =
            node->in[i] < 0 ? NULL : &graph->values[node->in[i]].tensor;
        if (given && !given->data)
            return false;
        if (given)
            *bound[i - 1] = given->real[0];
    }
    return *low < *high;
}

const struct sal_op sal_op_Clip = {
    .name = "Clip",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .pointwise = true,
    .min_in = 1,
    .max_in = 3,
    .max_out = 1,
    .parse = parse,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .in_place = 1u << 0,
    .frugal = true,
    .reads = SAL_READS(SAL_READS_ALL, 0),
};
