#include <inttypes.h>

#include "kernel.h"
#include "real.h"

/* AffineGrid 20: positions of an evenly spaced grid under an affine map, for
 * GridSample. */
enum { AXES = 3 };

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    int64_t *aligned = sal_new(arena, int64_t, 1);
    if (!aligned)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = aligned;
    return sal_attr_int(source, "align_corners", 0, aligned, err);
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    const int64_t *size;
    int64_t n;
    enum sal_status status = sal_infer_kind(infer, 0, SAL_REAL, err);
    if (status || (status = sal_infer_ints(infer, 1, "size", &size, &n, err)))
        return status;
    const struct sal_shape *theta = &infer->in[0]->shape;
    if (n != 4 && n != 5)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "size has %" PRId64 " entries, must have 4 or 5", n);
    if (theta->rank != 3 || theta->dim[0] != size[0] || theta->dim[1] != n - 2 ||
        theta->dim[2] != n - 1)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "theta must be %" PRId64 "x%" PRId64 "x%" PRId64, size[0],
                             n - 2, n - 1);
    struct sal_shape shape = {.rank = (int)n, .dim = {size[0]}};
    for (int i = 2; i < n; i++)
        shape.dim[i - 1] = size[i];
    shape.dim[n - 1] = n - 2;
    return sal_infer_like(infer, 0, infer->in[0], &shape, err);
}

/* Position i of an axis of n, -1..1. */
static sal_real position(int64_t i, int64_t n, bool aligned)
{
    if (aligned)
        return n > 1 ? SAL_REAL_OF(2 * i - (n - 1)) / SAL_REAL_OF(n - 1) : 0;
    return SAL_REAL_OF(2 * i + 1 - n) / SAL_REAL_OF(n);
}

/* Point `index` of one image, x first, then the 1 that carries the translation. */
static void place_point(const struct sal_kernel *k, int64_t index,
                        sal_real at[AXES + 1])
{
    const struct sal_shape *y = &k->out[0]->shape;
    const int64_t *aligned = k->node->attr;
    int axes = y->rank - 2;
    for (int i = 0; i < axes; i++) {
        int64_t n = y->dim[axes - i];
        at[i] = position(index % n, n, *aligned != 0);
        index /= n;
    }
    at[axes] = 1;
}

static void affine_points(const struct sal_kernel *k, int64_t from, int64_t to,
                          int worker)
{
    (void)worker;
    const struct sal_shape *y = &k->out[0]->shape;
    int axes = y->rank - 2;
    int64_t points = sal_shape_span(y, 1, y->rank - 1);
    for (int64_t index = from; index < to; index++) {
        const sal_real *theta = k->in[0]->real + index / points * axes * (axes + 1);
        sal_real at[AXES + 1];
        place_point(k, index % points, at);
        for (int row = 0; row < axes; row++) {
            sal_real sum = 0;
            for (int i = 0; i <= axes; i++)
                sum += theta[row * (axes + 1) + i] * at[i];
            k->out[0]->real[index * axes + row] = sum;
        }
    }
}

static void affine_gradient(const struct sal_kernel *k, int64_t from, int64_t to,
                            int worker)
{
    (void)worker;
    const struct sal_shape *y = &k->out[0]->shape;
    int axes = y->rank - 2;
    int64_t points = sal_shape_span(y, 1, y->rank - 1);
    for (int64_t index = from * points; index < to * points; index++) {
        sal_real *dx = k->dx[0] + index / points * axes * (axes + 1);
        sal_real at[AXES + 1];
        place_point(k, index % points, at);
        for (int row = 0; row < axes; row++)
            for (int i = 0; i <= axes; i++)
                dx[row * (axes + 1) + i] += k->dy[0][index * axes + row] * at[i];
    }
}

static void forward(const struct sal_kernel *k)
{
    const struct sal_shape *y = &k->out[0]->shape;
    if (sal_shape_count(y))
        sal_split(k->pool, sal_shape_span(y, 0, y->rank - 1), sal_grain(16),
                  affine_points, k);
}

static void backward(const struct sal_kernel *k)
{
    const struct sal_shape *y = &k->out[0]->shape;
    if (k->dx[0] && k->dy[0] && sal_shape_count(y))
        sal_split(k->pool, y->dim[0], 1, affine_gradient, k);
}

static void carry(const struct sal_kernel *k, int input, int output,
                  struct sal_carry *carry)
{
    (void)k;
    (void)output;
    if (!input)
        carry->axis[0] = 0;
}

const struct sal_op sal_op_AffineGrid = {
    .name = "AffineGrid",
    .since = 20,
    .until = SAL_OPSET_MAX,
    .min_in = 2,
    .max_in = 2,
    .max_out = 1,
    .parse = parse,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .frugal = true,
    .carry = carry,
};
