#include "real.h"
#include "region_pool.h"

/* ---- attributes and shapes --------------------------------------------------- */

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    struct sal_pool_attr *pool = sal_new(arena, struct sal_pool_attr, 1);
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

static enum sal_status max_infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct sal_pool_attr *pool = infer->node->attr;
    return sal_planes_infer(infer, &pool->window, err);
}

static enum sal_status average_infer(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = sal_infer_kind(infer, 0, SAL_REAL, err);
    return status ? status : max_infer(infer, err);
}

static struct sal_planes planes_of(const struct sal_kernel *k)
{
    const struct sal_pool_attr *pool = k->node->attr;
    return sal_planes_of(k, &pool->window);
}

/* ---- MaxPool ------------------------------------------------------------------- */

/* The first of equal maxima, or NaN; -1 where a window covers padding only. */
#define MAX_AT(function, type)                                                   \
    static int64_t function(const struct sal_planes *g, const type *x,           \
                            struct sal_cover d, struct sal_cover h,              \
                            struct sal_cover w)                                  \
    {                                                                            \
        int64_t best = -1;                                                       \
        type most = 0;                                                           \
        SAL_EACH_TAP(g, d, h, w, {                                               \
            if (best < 0 || x[i] > most || x[i] != x[i]) {                       \
                best = i;                                                        \
                most = x[i];                                                     \
            }                                                                    \
        })                                                                       \
        return best;                                                             \
    }

MAX_AT(real_max_at, sal_real)
MAX_AT(int_max_at, int64_t)

/* The same in a plane of a tensor of either kind. */
static int64_t max_at(const struct sal_planes *g, const struct sal_tensor *x, int64_t plane,
                      struct sal_cover d, struct sal_cover h, struct sal_cover w)
{
    int64_t from = plane * g->in_plane;
    return x->kind == SAL_REAL ? real_max_at(g, x->real + from, d, h, w)
                               : int_max_at(g, x->i64 + from, d, h, w);
}

static int64_t index_of(const struct sal_planes *g, int64_t i, int64_t column_major)
{
    if (!column_major)
        return i;
    int64_t w = i % g->in[SAL_W], rows = i / g->in[SAL_W];
    int64_t h = rows % g->in[SAL_H], d = rows / g->in[SAL_H];
    /* The first spatial axis runs fastest; leading axes of lower ranks are 1. */
    return (w * g->in[SAL_H] + h) * g->in[SAL_D] + d;
}

static void max_planes(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const struct sal_pool_attr *pool = k->node->attr;
    const struct sal_planes planes = planes_of(k), *g = &planes;
    const struct sal_tensor *x = k->in[0], *y = k->out[0];
    const struct sal_tensor *indices = sal_kernel_out(k, 1);
    const int64_t least = sal_int_lowest(y->type);
    for (int64_t plane = from; plane < to; plane++) {
        const int64_t x0 = plane * g->in_plane, y0 = plane * g->out_plane;
        SAL_EACH_WINDOW(g, {
            int64_t best = max_at(g, x, plane, d, h, w);
            if (y->kind == SAL_REAL)
                y->real[y0 + o] = best < 0 ? -SAL_INFINITY : x->real[x0 + best];
            else
                y->i64[y0 + o] = best < 0 ? least : x->i64[x0 + best];
            if (indices)
                indices->i64[y0 + o] = x0 + index_of(g, best, pool->column_major);
        })
    }
}

static void max_gradient(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const struct sal_planes planes = planes_of(k), *g = &planes;
    for (int64_t plane = from; plane < to; plane++) {
        const sal_real *dy = k->dy[0] + plane * g->out_plane;
        sal_real *dx = k->dx[0] + plane * g->in_plane;
        SAL_EACH_WINDOW(g, {
            int64_t best = max_at(g, k->in[0], plane, d, h, w);
            if (best >= 0)
                dx[best] += dy[o];
        })
    }
}

/* ---- AveragePool --------------------------------------------------------------- */

static void average_plane(const struct sal_planes *g, bool include_pad, const sal_real *x,
                          sal_real *y)
{
    SAL_EACH_WINDOW(g, {
        sal_real sum = 0;
        SAL_EACH_TAP(g, d, h, w, sum += x[i])
        y[o] = sum / sal_planes_divisor(include_pad, d, h, w);
    })
}

static void average_planes(const struct sal_kernel *k, int64_t from, int64_t to,
                           int worker)
{
    (void)worker;
    const struct sal_pool_attr *pool = k->node->attr;
    const struct sal_planes planes = planes_of(k), *g = &planes;
    for (int64_t plane = from; plane < to; plane++)
        average_plane(g, pool->include_pad, k->in[0]->real + plane * g->in_plane,
                      k->out[0]->real + plane * g->out_plane);
}

static void average_gradient(const struct sal_kernel *k, int64_t from, int64_t to,
                             int worker)
{
    (void)worker;
    const struct sal_pool_attr *pool = k->node->attr;
    const struct sal_planes planes = planes_of(k), *g = &planes;
    for (int64_t plane = from; plane < to; plane++) {
        const sal_real *dy = k->dy[0] + plane * g->out_plane;
        sal_real *dx = k->dx[0] + plane * g->in_plane;
        SAL_EACH_WINDOW(g, {
            sal_real share = dy[o] / sal_planes_divisor(pool->include_pad, d, h, w);
            SAL_EACH_TAP(g, d, h, w, dx[i] += share)
        })
    }
}

/* ---- boxes --------------------------------------------------------------------- */

static void max_plane(const struct sal_planes *g, bool include_pad, const sal_real *x,
                      sal_real *y)
{
    (void)include_pad;
    SAL_EACH_WINDOW(g, {
        int64_t best = real_max_at(g, x, d, h, w);
        y[o] = best < 0 ? -SAL_INFINITY : x[best];
    })
}

static bool region_pool(const struct sal_region_kernel *k, sal_pool_plane *plane)
{
    const struct sal_tensor *const out[1] = {k->out};
    const struct sal_kernel kernel = {.node = k->node, .in = k->in, .out = out};
    const struct sal_planes whole = planes_of(&kernel);
    return sal_region_pool(k, &whole, plane);
}

static bool region_max(const struct sal_region_kernel *k)
{
    return region_pool(k, max_plane);
}

static bool region_average(const struct sal_region_kernel *k)
{
    return region_pool(k, average_plane);
}

static const struct sal_region_op max_region = SAL_REGION_POOL(region_max);
static const struct sal_region_op average_region = SAL_REGION_POOL(region_average);

/* ---- rows ---------------------------------------------------------------------- */

static void split(const struct sal_kernel *k,
                  void (*work)(const struct sal_kernel *k, int64_t from, int64_t to,
                               int worker))
{
    const struct sal_planes planes = planes_of(k);
    sal_planes_split(k, &planes, work);
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
    .infer = max_infer,
    .forward = max_forward,
    .backward = max_backward,
    .region = &max_region,
    .frugal = true,
    .reads = {{.in = 1u << 0}},
    .carry = sal_carry_in_order,
    .takes_quantised = true,
};

const struct sal_op sal_op_AveragePool = {
    .name = "AveragePool",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = 1,
    .max_out = 1,
    .parse = parse,
    .infer = average_infer,
    .forward = average_forward,
    .backward = average_backward,
    .region = &average_region,
    .frugal = true,
    .carry = sal_carry_in_order,
};
