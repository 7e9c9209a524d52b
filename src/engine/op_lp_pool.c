#include "planes.h"
#include "real.h"

/* y = (sum of |x|^p)^(1/p) over a window, or over all of a plane. */
struct lp_pool {
    struct sal_window window;
    sal_real p;
};

static enum sal_status read_power(struct sal_node *node,
                                  const struct sal_onnx_node *source,
                                  struct lp_pool *pool, struct sal_error *err)
{
    double real = 0;
    int64_t integer = 0;
    enum sal_status status;
    if (node->opset < 2) {
        status = sal_attr_float(source, "p", 2, &real, err);
    } else {
        status = sal_attr_int(source, "p", 2, &integer, err);
        real = (double)integer;
    }
    if (!status && !(real >= 1 && real <= 1e6))
        status =
            sal_node_fail(node, err, SAL_BAD_INPUT, "p is %g, must be 1 or more", real);
    pool->p = (sal_real)real;
    return status;
}

static enum sal_status new_pool(struct sal_node *node,
                                const struct sal_onnx_node *source,
                                struct sal_arena *arena, struct lp_pool **pool,
                                struct sal_error *err)
{
    *pool = sal_new(arena, struct lp_pool, 1);
    if (!*pool)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = *pool;
    return read_power(node, source, *pool, err);
}

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    struct lp_pool *pool;
    enum sal_status status = new_pool(node, source, arena, &pool, err);
    return status ? status : sal_window_parse(node, source, -1, &pool->window, err);
}

static enum sal_status global_parse(struct sal_node *node,
                                    const struct sal_onnx_node *source,
                                    struct sal_arena *arena, struct sal_error *err)
{
    struct lp_pool *pool;
    return new_pool(node, source, arena, &pool, err);
}

/* ---- powers ------------------------------------------------------------------ */

static sal_real power(sal_real x, sal_real p)
{
    return p == 1 ? sal_abs(x) : p == 2 ? x * x : sal_pow(sal_abs(x), p);
}

static sal_real root(sal_real sum, sal_real p)
{
    return p == 1 ? sum : p == 2 ? sal_sqrt(sum) : sal_pow(sum, 1 / p);
}

/* dy/dx of one of the x that made y; 0 where all of them are 0. */
static sal_real slope(sal_real x, sal_real y, sal_real p)
{
    if (!(y > 0) || x == 0)
        return 0;
    sal_real share = p == 1   ? 1
                     : p == 2 ? sal_abs(x) / y
                              : sal_pow(sal_abs(x) / y, p - 1);
    return x < 0 ? -share : share;
}

/* ---- LpPool ------------------------------------------------------------------ */

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct lp_pool *pool = infer->node->attr;
    enum sal_status status = sal_infer_kind(infer, 0, SAL_REAL, err);
    return status ? status : sal_planes_infer(infer, &pool->window, err);
}

static struct sal_planes planes_of(const struct sal_kernel *k)
{
    const struct lp_pool *pool = k->node->attr;
    return sal_planes_of(k, &pool->window);
}

static void window_planes(const struct sal_kernel *k, int64_t from, int64_t to,
                          int worker)
{
    (void)worker;
    const sal_real p = ((const struct lp_pool *)k->node->attr)->p;
    const struct sal_planes planes = planes_of(k), *g = &planes;
    for (int64_t plane = from; plane < to; plane++) {
        const sal_real *x = k->in[0]->real + plane * g->in_plane;
        sal_real *y = k->out[0]->real + plane * g->out_plane;
        SAL_EACH_WINDOW(g, {
            sal_real sum = 0;
            SAL_EACH_TAP(g, d, h, w, sum += power(x[i], p))
            y[o] = root(sum, p);
        })
    }
}

static void window_gradient(const struct sal_kernel *k, int64_t from, int64_t to,
                            int worker)
{
    (void)worker;
    const sal_real p = ((const struct lp_pool *)k->node->attr)->p;
    const struct sal_planes planes = planes_of(k), *g = &planes;
    for (int64_t plane = from; plane < to; plane++) {
        const sal_real *x = k->in[0]->real + plane * g->in_plane;
        const sal_real *y = k->out[0]->real + plane * g->out_plane;
        const sal_real *dy = k->dy[0] + plane * g->out_plane;
        sal_real *dx = k->dx[0] + plane * g->in_plane;
        SAL_EACH_WINDOW(
            g, {SAL_EACH_TAP(g, d, h, w, dx[i] += dy[o] * slope(x[i], y[o], p))})
    }
}

static void forward(const struct sal_kernel *k)
{
    const struct sal_planes planes = planes_of(k);
    sal_planes_split(k, &planes, window_planes);
}

static void backward(const struct sal_kernel *k)
{
    const struct sal_planes planes = planes_of(k);
    if (k->dx[0] && k->dy[0])
        sal_planes_split(k, &planes, window_gradient);
}

const struct sal_op sal_op_LpPool = {
    .name = "LpPool",
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
    .carry = sal_carry_in_order,
};

/* ---- GlobalLpPool ------------------------------------------------------------ */

static enum sal_status global_infer(const struct sal_infer *infer,
                                    struct sal_error *err)
{
    enum sal_status status = sal_infer_kind(infer, 0, SAL_REAL, err);
    if (status)
        return status;
    struct sal_shape shape = infer->in[0]->shape;
    if (shape.rank < 2)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "input has %d axes, must have 2 or more", shape.rank);
    for (int i = 2; i < shape.rank; i++)
        shape.dim[i] = 1;
    return sal_infer_like(infer, 0, infer->in[0], &shape, err);
}

static int64_t plane_of(const struct sal_kernel *k)
{
    return sal_shape_span(&k->in[0]->shape, 2, k->in[0]->shape.rank);
}

enum { PARTIAL = 1024 }; /* long sums of floats by partial sums, as sal_sum */

static sal_real sum_powers(const sal_real *x, int64_t n, sal_real p)
{
    sal_real sum = 0;
    for (int64_t from = 0; from < n; from += PARTIAL) {
        sal_real part = 0;
        for (int64_t i = from; i < sal_least(from + PARTIAL, n); i++)
            part += power(x[i], p);
        sum += part;
    }
    return sum;
}

static void whole_planes(const struct sal_kernel *k, int64_t from, int64_t to,
                         int worker)
{
    (void)worker;
    const sal_real p = ((const struct lp_pool *)k->node->attr)->p;
    int64_t n = plane_of(k);
    for (int64_t plane = from; plane < to; plane++)
        k->out[0]->real[plane] = root(sum_powers(k->in[0]->real + plane * n, n, p), p);
}

static void whole_gradient(const struct sal_kernel *k, int64_t from, int64_t to,
                           int worker)
{
    (void)worker;
    const sal_real p = ((const struct lp_pool *)k->node->attr)->p;
    int64_t n = plane_of(k);
    for (int64_t plane = from; plane < to; plane++) {
        const sal_real y = k->out[0]->real[plane], dy = k->dy[0][plane];
        for (int64_t i = plane * n; i < (plane + 1) * n; i++)
            k->dx[0][i] += dy * slope(k->in[0]->real[i], y, p);
    }
}

static void global_forward(const struct sal_kernel *k)
{
    sal_split(k->pool, sal_shape_count(&k->out[0]->shape), sal_grain(plane_of(k)),
              whole_planes, k);
}

static void global_backward(const struct sal_kernel *k)
{
    if (k->dx[0] && k->dy[0])
        sal_split(k->pool, sal_shape_count(&k->out[0]->shape), sal_grain(plane_of(k)),
                  whole_gradient, k);
}

const struct sal_op sal_op_GlobalLpPool = {
    .name = "GlobalLpPool",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = 1,
    .max_out = 1,
    .parse = global_parse,
    .infer = global_infer,
    .forward = global_forward,
    .backward = global_backward,
    .frugal = true,
    .reads = {{.in = 1u << 0, .out = 1u << 0}},
};
