#include "inner_pool.h"

#include <assert.h>
#include <string.h>

#include "blocked.h"
#include "region_pool.h"

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct sal_pool_attr *attr = infer->node->attr;
    struct sal_shape shape = infer->in[0]->shape;
    struct sal_window fitted;
    assert(shape.rank == 5 && shape.dim[4] == SAL_BLOCK);
    enum sal_status status =
        sal_window_output(infer->node, &attr->window, 2, NULL, shape.dim + 2, &fitted,
                          shape.dim + 2, err);
    if (status || (status = sal_infer_like(infer, 0, infer->in[0], &shape, err)))
        return status;
    return infer->node->n_out > 1 ? sal_infer_saved(infer, sal_shape_count(&shape), err)
                                  : SAL_OK;
}

/* ---- rows of all planes --------------------------------------------------------- */

/* A plane is one of a block and an image; its pixels have 16 elements. */
static struct sal_planes planes_of(const struct sal_kernel *k)
{
    const struct sal_pool_attr *attr = k->node->attr;
    const struct sal_shape *x = &k->in[0]->shape;
    struct sal_planes g = {.in = {x->dim[2], x->dim[3]}};
    sal_window_output(k->node, &attr->window, 2, NULL, g.in, &g.window, g.out, NULL);
    sal_window_lift(&g.window, g.in, g.out);
    g.in_plane = g.in[SAL_H] * g.in[SAL_W] * SAL_BLOCK;
    g.out_plane = g.out[SAL_H] * g.out[SAL_W] * SAL_BLOCK;
    g.planes = x->dim[0] * x->dim[1];
    return g;
}

static bool counts_pad(const struct sal_kernel *k)
{
    return ((const struct sal_pool_attr *)k->node->attr)->include_pad;
}

/* Rows of the taller of input and output that make up a tile of work. */
static int64_t rows_of(const struct sal_planes *g, int64_t height)
{
    const int64_t *kernel = g->window.kernel;
    double taps = (double)g->out_plane * (double)kernel[SAL_H] * (double)kernel[SAL_W];
    double rows = 2 * (double)SAL_TILE * (double)height / (taps + (double)g->in_plane);
    return rows < 8 ? 8 : (int64_t)rows;
}

typedef void (*plane_work)(const struct sal_kernel *k, const struct sal_planes *g,
                           int64_t plane, int64_t from, int64_t to);

/* Hands rows from..to-1 of all planes, `height` in each, to work plane by plane. */
static void each_plane(const struct sal_kernel *k, int64_t height, int64_t from,
                       int64_t to, plane_work work)
{
    const struct sal_planes g = planes_of(k);
    while (from < to) {
        const int64_t row = from % height, past = sal_least(height, row + to - from);
        work(k, &g, from / height, row, past);
        from += past - row;
    }
}

/* ---- forward and back ----------------------------------------------------------- */

#define PASS(name, axis_dims)                                                          \
    static void name##_rows(const struct sal_kernel *k, int64_t from, int64_t to,      \
                            int worker)                                                \
    {                                                                                  \
        (void)worker;                                                                  \
        each_plane(k, (axis_dims)->shape.dim[2], from, to, name##_plane);              \
    }                                                                                  \
    static void name(const struct sal_kernel *k)                                       \
    {                                                                                  \
        const struct sal_planes g = planes_of(k);                                      \
        const int64_t height = (axis_dims)->shape.dim[2];                              \
        sal_split(k->pool, g.planes *height, rows_of(&g, height), name##_rows, k);     \
    }

/* Those of a plane that output 1 has; NULL: it is not there. */
static uint8_t *taps_of(const struct sal_kernel *k, const struct sal_planes *g,
                        int64_t plane)
{
    return k->node->n_out > 1 ? (uint8_t *)k->out[1]->data + plane * g->out_plane : NULL;
}

/* Rows of a gradient that begins here; the rest is added to them while they are in the
 * cache. */
static sal_real *begin_plane(const struct sal_kernel *k, const struct sal_planes *g,
                             int64_t plane, int64_t from, int64_t to)
{
    sal_real *dx = k->dx[0] + plane * g->in_plane;
    const int64_t row = g->in[SAL_W] * SAL_BLOCK;
    if (k->fresh & 1)
        memset(dx + from * row, 0, sizeof(*dx) * (size_t)((to - from) * row));
    return dx;
}

static void max_forward_plane(const struct sal_kernel *k, const struct sal_planes *g,
                              int64_t plane, int64_t from, int64_t to)
{
    sal_lanes()->max_pool(g, k->in[0]->real + plane * g->in_plane,
                          k->out[0]->real + plane * g->out_plane, taps_of(k, g, plane),
                          from, to);
}

PASS(max_forward, k->out[0])

static void max_backward_plane(const struct sal_kernel *k, const struct sal_planes *g,
                               int64_t plane, int64_t from, int64_t to)
{
    sal_lanes()->max_pool_back(g, taps_of(k, g, plane), k->dy[0] + plane * g->out_plane,
                               begin_plane(k, g, plane, from, to), from, to);
}

PASS(max_backward, k->in[0])

static void average_forward_plane(const struct sal_kernel *k,
                                  const struct sal_planes *g, int64_t plane,
                                  int64_t from, int64_t to)
{
    sal_lanes()->average_pool(g, counts_pad(k), k->in[0]->real + plane * g->in_plane,
                              k->out[0]->real + plane * g->out_plane, from, to);
}

PASS(average_forward, k->out[0])

static void average_backward_plane(const struct sal_kernel *k,
                                   const struct sal_planes *g, int64_t plane,
                                   int64_t from, int64_t to)
{
    sal_lanes()->average_pool_back(g, counts_pad(k), k->dy[0] + plane * g->out_plane,
                                   begin_plane(k, g, plane, from, to), from, to);
}

PASS(average_backward, k->in[0])

/* ---- boxes ---------------------------------------------------------------------- */

static void max_box(const struct sal_planes *g, bool include_pad, const sal_real *x,
                    sal_real *y)
{
    (void)include_pad;
    sal_lanes()->max_pool(g, x, y, NULL, 0, g->out[SAL_H]);
}

static void average_box(const struct sal_planes *g, bool include_pad, const sal_real *x,
                        sal_real *y)
{
    sal_lanes()->average_pool(g, include_pad, x, y, 0, g->out[SAL_H]);
}

static bool region_max(const struct sal_region_kernel *k)
{
    const struct sal_kernel kernel = {.node = k->node, .in = k->in};
    const struct sal_planes whole = planes_of(&kernel);
    return sal_region_pool(k, &whole, max_box);
}

static bool region_average(const struct sal_region_kernel *k)
{
    const struct sal_kernel kernel = {.node = k->node, .in = k->in};
    const struct sal_planes whole = planes_of(&kernel);
    return sal_region_pool(k, &whole, average_box);
}

static const struct sal_region_op max_region = SAL_REGION_POOL(region_max);
static const struct sal_region_op average_region = SAL_REGION_POOL(region_average);

#define ROW(variable, label, outputs, the_forward, the_backward, the_region)            \
    const struct sal_op variable = {                                                   \
        .name = label,                                                                 \
        .since = 1,                                                                    \
        .until = SAL_OPSET_MAX,                                                        \
        .min_in = 1,                                                                   \
        .max_in = 1,                                                                   \
        .max_out = outputs,                                                            \
        .infer = infer,                                                                \
        .forward = the_forward,                                                        \
        .backward = the_backward,                                                      \
        .begins = true,                                                                \
        .carry = sal_carry_in_order,                                                   \
        .region = &the_region,                                                         \
        .frugal = true,                                                                \
        .reads = {{.out = (outputs) > 1 ? 1U << 1 : 0}},                               \
    };

static void max_back(const struct sal_kernel *k)
{
    if (k->dx[0] && k->dy[0])
        max_backward(k);
}

static void average_back(const struct sal_kernel *k)
{
    if (k->dx[0] && k->dy[0])
        average_backward(k);
}

ROW(sal_inner_max_pool, "inner max pool", 2, max_forward, max_back, max_region)
ROW(sal_inner_max_only, "inner max pool", 1, max_forward, NULL, max_region)
ROW(sal_inner_average_pool, "inner average pool", 1, average_forward, average_back,
    average_region)

/* ---- the whole plane ------------------------------------------------------------ */

static enum sal_status mean_infer(const struct sal_infer *infer, struct sal_error *err)
{
    struct sal_shape shape = infer->in[0]->shape;
    assert(shape.rank == 5 && shape.dim[4] == SAL_BLOCK);
    shape.dim[2] = shape.dim[3] = 1;
    return sal_infer_like(infer, 0, infer->in[0], &shape, err);
}

static int64_t pixels_of(const struct sal_kernel *k)
{
    return sal_shape_span(&k->in[0]->shape, 2, 4);
}

static void mean_planes(const struct sal_kernel *k, int64_t from, int64_t to,
                        int worker)
{
    (void)worker;
    const int64_t n = pixels_of(k);
    for (int64_t p = from; p < to; p++) {
        sal_real *y = k->out[0]->real + p * SAL_BLOCK;
        sal_lanes()->sum_pixels(k->in[0]->real + p * n * SAL_BLOCK, NULL, n, y);
        for (int lane = 0; lane < SAL_BLOCK; lane++)
            y[lane] /= (sal_real)n;
    }
}

static void mean_gradient(const struct sal_kernel *k, int64_t from, int64_t to,
                          int worker)
{
    (void)worker;
    const int64_t n = pixels_of(k);
    for (int64_t p = from; p < to; p++) {
        sal_real share[SAL_BLOCK];
        for (int lane = 0; lane < SAL_BLOCK; lane++)
            share[lane] = k->dy[0][p * SAL_BLOCK + lane] / (sal_real)n;
        sal_real *dx = k->dx[0] + p * n * SAL_BLOCK;
        for (int64_t i = 0; i < n && (k->fresh & 1); i++)
            memcpy(dx + i * SAL_BLOCK, share, sizeof(share));
        if (!(k->fresh & 1))
            sal_lanes()->add_pixel(dx, n, share);
    }
}

static void split(const struct sal_kernel *k,
                  void (*work)(const struct sal_kernel *k, int64_t from, int64_t to,
                               int worker))
{
    sal_split(k->pool, sal_shape_span(&k->in[0]->shape, 0, 2),
              sal_grain(pixels_of(k) * SAL_BLOCK), work, k);
}

static void mean_forward(const struct sal_kernel *k)
{
    split(k, mean_planes);
}

static void mean_backward(const struct sal_kernel *k)
{
    if (k->dx[0] && k->dy[0])
        split(k, mean_gradient);
}

const struct sal_op sal_inner_mean = {
    .name = "inner mean",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = 1,
    .max_out = 1,
    .infer = mean_infer,
    .forward = mean_forward,
    .backward = mean_backward,
    .begins = true,
    .carry = sal_carry_in_order,
    .frugal = true,
};
