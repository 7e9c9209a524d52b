#include <inttypes.h>
#include <string.h>

#include "columns.h"
#include "kernel.h"

/* Columns back to images: N x (C * taps) x positions to N x C x image. */

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    struct sal_window *window = sal_new(arena, struct sal_window, 1);
    if (!window)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = window;
    return sal_window_parse(node, source, 0, window, err);
}

static bool product(const int64_t *dims, int64_t n, int64_t *result)
{
    *result = 1;
    for (int64_t i = 0; i < n; i++)
        if (__builtin_mul_overflow(*result, dims[i], result) ||
            *result >= SAL_COUNT_MAX)
            return false;
    return true;
}

/* The columns that an image of that shape has under blocks of that shape. */
static enum sal_status fit(const struct sal_infer *infer, struct sal_columns *columns,
                           struct sal_shape *image, struct sal_error *err)
{
    const int64_t *dims, *block;
    int64_t n, n_block, out[SAL_WINDOW_AXES];
    struct sal_window fitted;
    enum sal_status status = sal_infer_ints(infer, 1, "image_shape", &dims, &n, err);
    if (status ||
        (status = sal_infer_ints(infer, 2, "block_shape", &block, &n_block, err)))
        return status;
    if (n != n_block)
        return sal_node_fail(
            infer->node, err, SAL_BAD_INPUT,
            "image_shape has %" PRId64 " entries, block_shape %" PRId64, n, n_block);
    if (n > SAL_WINDOW_AXES)
        return sal_node_fail(infer->node, err, SAL_UNSUPPORTED,
                             "%" PRId64 " spatial axes, at most %d are supported", n,
                             SAL_WINDOW_AXES);
    if ((status = sal_window_output(infer->node, infer->node->attr, (int)n, block, dims,
                                    &fitted, out, err)))
        return status;
    int64_t pixels, taps, positions;
    if (!product(dims, n, &pixels) || !product(block, n, &taps) ||
        !product(out, n, &positions))
        return sal_node_fail(infer->node, err, SAL_LIMIT,
                             "image, blocks or positions have 2^40 elements or more");
    sal_columns_init(columns, &fitted, dims, out);
    image->rank = (int)n;
    memcpy(image->dim, dims, sizeof(*dims) * (size_t)n);
    return SAL_OK;
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    struct sal_columns *columns = sal_new(infer->arena, struct sal_columns, 1);
    struct sal_shape image = {0};
    if (!columns)
        return sal_node_fail(infer->node, err, SAL_LIMIT, "no memory");
    *infer->plan = columns;
    enum sal_status status = sal_infer_kind(infer, 0, SAL_REAL, err);
    if (status || (status = fit(infer, columns, &image, err)))
        return status;
    const struct sal_shape *x = &infer->in[0]->shape;
    if (x->rank != 3)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "input has %d axes, must have 3", x->rank);
    if (x->dim[1] % columns->taps || x->dim[2] != columns->pixels_out)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "input has %" PRId64 " x %" PRId64
                             " columns, blocks have %" PRId64 " elements and %" PRId64
                             " positions",
                             x->dim[1], x->dim[2], columns->taps, columns->pixels_out);
    struct sal_shape shape = {.rank = image.rank + 2,
                              .dim = {x->dim[0], x->dim[1] / columns->taps}};
    memcpy(shape.dim + 2, image.dim, sizeof(*image.dim) * (size_t)image.rank);
    return sal_infer_like(infer, 0, infer->in[0], &shape, err);
}

/* ---- kernels ----------------------------------------------------------------- */

static void scatter_planes(const struct sal_kernel *k, int64_t from, int64_t to,
                           int worker)
{
    (void)worker;
    const struct sal_columns *c = k->node->plan;
    for (int64_t p = from; p < to; p++) {
        sal_real *plane = k->out[0]->real + p * c->pixels_in;
        const sal_real *rows = k->in[0]->real + p * c->taps * c->pixels_out;
        memset(plane, 0, sizeof(*plane) * (size_t)c->pixels_in);
        for (int64_t t = 0; t < c->taps; t++)
            sal_columns_scatter(c, t, plane, 0, c->pixels_out,
                                rows + t * c->pixels_out);
    }
}

static void gather_planes(const struct sal_kernel *k, int64_t from, int64_t to,
                          int worker)
{
    const struct sal_columns *c = k->node->plan;
    sal_real *line = k->scratch + worker * k->scratch_stride;
    for (int64_t p = from; p < to; p++)
        for (int64_t t = 0; t < c->taps; t++) {
            sal_columns_gather(c, t, k->dy[0] + p * c->pixels_in, 0, c->pixels_out,
                               line);
            sal_add(k->dx[0] + (p * c->taps + t) * c->pixels_out, line, c->pixels_out);
        }
}

static void split(const struct sal_kernel *k,
                  void (*work)(const struct sal_kernel *k, int64_t from, int64_t to,
                               int worker))
{
    const struct sal_columns *c = k->node->plan;
    sal_split(k->pool, sal_shape_span(&k->out[0]->shape, 0, 2),
              sal_grain(c->taps * c->pixels_out), work, k);
}

static void forward(const struct sal_kernel *k)
{
    split(k, scatter_planes);
}

static void backward(const struct sal_kernel *k)
{
    if (k->dx[0] && k->dy[0])
        split(k, gather_planes);
}

static void carry(const struct sal_kernel *k, int input, int output,
                  struct sal_carry *carry)
{
    (void)k;
    (void)output;
    if (!input)
        carry->axis[0] = 0;
}

static size_t scratch(const struct sal_kernel *k, bool back)
{
    const struct sal_columns *c = k->node->plan;
    return back ? (size_t)c->pixels_out : 0;
}

const struct sal_op sal_op_Col2Im = {
    .name = "Col2Im",
    .since = 18,
    .until = SAL_OPSET_MAX,
    .min_in = 3,
    .max_in = 3,
    .max_out = 1,
    .parse = parse,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .frugal = true,
    .carry = carry,
    .scratch = scratch,
};
