#include <inttypes.h>

#include "kernel.h"
#include "real.h"
#include "window.h"

struct pool {
    struct sal_window window;
    int64_t include_pad;  /* AveragePool: count_include_pad */
    int64_t column_major; /* MaxPool: storage_order, of the indices */
};

/* ---- attributes and shapes --------------------------------------------------- */

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    struct pool *pool = sal_new(arena, struct pool, 1);
    if (!pool)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = pool;
    enum sal_status status = sal_window_parse(node, source, -1, &pool->window, err);
    if (!status)
        status = sal_attr_int(source, "count_include_pad", 0, &pool->include_pad, err);
    if (!status)
        status = sal_attr_int(source, "storage_order", 0, &pool->column_major, err);
    return status;
}

static enum sal_status pads_inside(const struct sal_node *node,
                                   const struct sal_window *window, struct sal_error *err)
{
    for (int i = 0; i < window->rank; i++) {
        int64_t reach = (window->kernel[i] - 1) * window->dilation[i] + 1;
        if (window->pad_begin[i] >= reach || window->pad_end[i] >= reach)
            return sal_node_fail(node, err, SAL_BAD_INPUT,
                                 "pads must be smaller than the kernel, %" PRId64
                                 " along spatial axis %d",
                                 reach, i);
    }
    return SAL_OK;
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = sal_infer_kind(infer, 0, SAL_REAL, err);
    if (status)
        return status;
    const struct pool *pool = infer->node->attr;
    struct sal_shape shape = infer->in[0]->shape;
    struct sal_window fitted;
    int64_t *spatial = shape.dim + 2;
    if (shape.rank < 3)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "input has %d axes, must have 3 or more", shape.rank);
    status = sal_window_output(infer->node, &pool->window, shape.rank - 2, NULL, spatial,
                               &fitted, spatial, err);
    if (status || (status = pads_inside(infer->node, &fitted, err)) ||
        (status = sal_infer_like(infer, 0, infer->in[0], &shape, err)))
        return status;
    return sal_infer_set(infer, 1, SAL_INT, SAL_ONNX_INT64, &shape, err);
}

/* ---- windows of a plane -------------------------------------------------------- */

enum { D, H, W };

/* Every rank as depth, height and width. */
struct geometry {
    struct sal_window window;
    int64_t in[SAL_WINDOW_AXES], out[SAL_WINDOW_AXES];
    int64_t in_plane, out_plane, planes;
};

static struct geometry geometry_of(const struct sal_kernel *k)
{
    const struct pool *pool = k->node->attr;
    const struct sal_shape *x = &k->in[0]->shape;
    struct geometry g = {0};
    for (int i = 2; i < x->rank; i++)
        g.in[i - 2] = x->dim[i];
    sal_window_output(k->node, &pool->window, x->rank - 2, NULL, g.in, &g.window, g.out,
                      NULL);
    sal_window_lift(&g.window, g.in, g.out);
    g.in_plane = sal_shape_span(x, 2, x->rank);
    g.out_plane = g.out[D] * g.out[H] * g.out[W];
    g.planes = sal_shape_span(x, 0, 2);
    return g;
}

/* What one window covers along one axis: input positions at, at + step, ... */
struct taps {
    int64_t at, n, step;
    int64_t padded; /* taps on padding counted in */
};

/* Taps before `end`, of those that begin at start. */
static int64_t taps_before(int64_t start, int64_t kernel, int64_t step, int64_t end)
{
    if (start + (kernel - 1) * step < end)
        return kernel;
    return end > start ? (end - start + step - 1) / step : 0;
}

static struct taps taps_of(const struct geometry *g, int axis, int64_t o)
{
    const struct sal_window *window = &g->window;
    int64_t kernel = window->kernel[axis], step = window->dilation[axis];
    int64_t start = o * window->stride[axis] - window->pad_begin[axis];
    int64_t first = start < 0 ? (-start + step - 1) / step : 0;
    int64_t past = taps_before(start, kernel, step, g->in[axis]);
    return (struct taps){
        .at = start + first * step,
        .n = past > first ? past - first : 0,
        .step = step,
        .padded =
            taps_before(start, kernel, step, g->in[axis] + window->pad_end[axis]),
    };
}

/* Calls visit for every window of a plane, in order. */
#define EACH_WINDOW(g, visit)                                                    \
    for (int64_t od = 0, o = 0; od < (g)->out[D]; od++) {                        \
        const struct taps d = taps_of(g, D, od);                                 \
        for (int64_t oh = 0; oh < (g)->out[H]; oh++) {                           \
            const struct taps h = taps_of(g, H, oh);                             \
            for (int64_t ow = 0; ow < (g)->out[W]; ow++, o++) {                  \
                const struct taps w = taps_of(g, W, ow);                         \
                visit;                                                           \
            }                                                                    \
        }                                                                        \
    }

/* Calls visit for every input position i of a window, in order. */
#define EACH_TAP(g, d, h, w, visit)                                              \
    for (int64_t td = 0; td < (d).n; td++)                                       \
        for (int64_t th = 0; th < (h).n; th++) {                                 \
            int64_t row = ((d).at + td * (d).step) * (g)->in[H];                 \
            int64_t i = (row + (h).at + th * (h).step) * (g)->in[W] + (w).at;    \
            for (int64_t tw = 0; tw < (w).n; tw++, i += (w).step)                \
                visit;                                                           \
        }

/* ---- MaxPool ------------------------------------------------------------------- */

/* The first of equal maxima, or NaN; -1 where a window covers padding only. */
static int64_t max_at(const struct geometry *g, const sal_real *x, struct taps d,
                      struct taps h, struct taps w)
{
    int64_t best = -1;
    sal_real most = 0;
    EACH_TAP(g, d, h, w, {
        if (best < 0 || x[i] > most || x[i] != x[i]) {
            best = i;
            most = x[i];
        }
    })
    return best;
}

static int64_t index_of(const struct geometry *g, int64_t i, int64_t column_major)
{
    if (!column_major)
        return i;
    int64_t w = i % g->in[W], h = i / g->in[W] % g->in[H], d = i / g->in[W] / g->in[H];
    /* The first spatial axis runs fastest; leading axes of lower ranks are 1. */
    return (w * g->in[H] + h) * g->in[D] + d;
}

static void max_planes(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const struct pool *pool = k->node->attr;
    const struct geometry geometry = geometry_of(k), *g = &geometry;
    const struct sal_tensor *indices = sal_kernel_out(k, 1);
    for (int64_t plane = from; plane < to; plane++) {
        const sal_real *x = k->in[0]->real + plane * g->in_plane;
        sal_real *y = k->out[0]->real + plane * g->out_plane;
        EACH_WINDOW(g, {
            int64_t best = max_at(g, x, d, h, w);
            y[o] = best < 0 ? -SAL_INFINITY : x[best];
            if (indices)
                indices->i64[plane * g->out_plane + o] =
                    plane * g->in_plane + index_of(g, best, pool->column_major);
        })
    }
}

static void max_gradient(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const struct geometry geometry = geometry_of(k), *g = &geometry;
    for (int64_t plane = from; plane < to; plane++) {
        const sal_real *x = k->in[0]->real + plane * g->in_plane;
        const sal_real *dy = k->dy[0] + plane * g->out_plane;
        sal_real *dx = k->dx[0] + plane * g->in_plane;
        EACH_WINDOW(g, {
            int64_t best = max_at(g, x, d, h, w);
            if (best >= 0)
                dx[best] += dy[o];
        })
    }
}

/* ---- AveragePool --------------------------------------------------------------- */

static sal_real divisor(const struct pool *pool, struct taps d, struct taps h,
                        struct taps w)
{
    int64_t n = pool->include_pad ? d.padded * h.padded * w.padded : d.n * h.n * w.n;
    return (sal_real)(n ? n : 1);
}

static void average_planes(const struct sal_kernel *k, int64_t from, int64_t to,
                           int worker)
{
    (void)worker;
    const struct pool *pool = k->node->attr;
    const struct geometry geometry = geometry_of(k), *g = &geometry;
    for (int64_t plane = from; plane < to; plane++) {
        const sal_real *x = k->in[0]->real + plane * g->in_plane;
        sal_real *y = k->out[0]->real + plane * g->out_plane;
        EACH_WINDOW(g, {
            sal_real sum = 0;
            EACH_TAP(g, d, h, w, sum += x[i])
            y[o] = sum / divisor(pool, d, h, w);
        })
    }
}

static void average_gradient(const struct sal_kernel *k, int64_t from, int64_t to,
                             int worker)
{
    (void)worker;
    const struct pool *pool = k->node->attr;
    const struct geometry geometry = geometry_of(k), *g = &geometry;
    for (int64_t plane = from; plane < to; plane++) {
        const sal_real *dy = k->dy[0] + plane * g->out_plane;
        sal_real *dx = k->dx[0] + plane * g->in_plane;
        EACH_WINDOW(g, {
            sal_real share = dy[o] / divisor(pool, d, h, w);
            EACH_TAP(g, d, h, w, dx[i] += share)
        })
    }
}

/* ---- rows ---------------------------------------------------------------------- */

static void split(const struct sal_kernel *k,
                  void (*work)(const struct sal_kernel *k, int64_t from, int64_t to,
                               int worker))
{
    struct geometry g = geometry_of(k);
    const int64_t *kernel = g.window.kernel;
    double taps = (double)g.out_plane * (double)kernel[D] * (double)kernel[H] *
                  (double)kernel[W];
    int64_t cost = taps < (double)SAL_TILE ? (int64_t)taps : SAL_TILE;
    sal_split(k->pool, g.planes, sal_grain(cost), work, k);
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

static void average_forward(const struct sal_kernel *k)
{
    split(k, average_planes);
}

static void average_backward(const struct sal_kernel *k)
{
    if (k->dx[0] && k->dy[0])
        split(k, average_gradient);
}

const struct sal_op sal_op_MaxPool = {
    .name = "MaxPool",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = 1,
    .max_out = 2,
    .parse = parse,
    .infer = infer,
    .forward = max_forward,
    .backward = max_backward,
    .carry = sal_carry_in_order,
};

const struct sal_op sal_op_AveragePool = {
    .name = "AveragePool",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = 1,
    .max_out = 1,
    .parse = parse,
    .infer = infer,
    .forward = average_forward,
    .backward = average_backward,
    .carry = sal_carry_in_order,
};
