#include <inttypes.h>
#include <string.h>

#include "kernel.h"
#include "window.h"

/* MaxUnpool 9, 11 and 22: values go where MaxPool's indices say they came from. */

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    struct sal_window *window = sal_new(arena, struct sal_window, 1);
    if (!window)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = window;
    return sal_window_parse(node, source, -1, window, err);
}

/* The shape that the window gives. Indices count in it, even where another is asked
 * for: the values then lie in the corner of that. */
static enum sal_status unpooled(const struct sal_node *node, const struct sal_shape *x,
                                struct sal_shape *shape, struct sal_error *err)
{
    struct sal_window fitted;
    *shape = *x;
    return sal_window_transpose(node, node->attr, x->rank - 2, NULL, x->dim + 2,
                                (struct sal_window_target){0}, &fitted, shape->dim + 2,
                                err);
}

static enum sal_status take_shape(const struct sal_infer *infer,
                                  struct sal_shape *shape, struct sal_error *err)
{
    const int64_t *dims;
    int64_t n;
    if (!sal_infer_in(infer, 2))
        return SAL_OK;
    enum sal_status status = sal_infer_ints(infer, 2, "output_shape", &dims, &n, err);
    if (status)
        return status;
    if (n != shape->rank)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "output_shape has %" PRId64 " entries, expected %d", n,
                             shape->rank);
    for (int i = 0; i < shape->rank; i++) {
        if (dims[i] < shape->dim[i])
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "output_shape[%d] is %" PRId64
                                 ", the windows cover %" PRId64,
                                 i, dims[i], shape->dim[i]);
        shape->dim[i] = dims[i];
    }
    return SAL_OK;
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = sal_infer_kind(infer, 0, SAL_REAL, err);
    if (status || (status = sal_infer_kind(infer, 1, SAL_INT, err)))
        return status;
    const struct sal_shape *x = &infer->in[0]->shape;
    struct sal_shape shape;
    if (x->rank < 3)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "input has %d axes, must have 3 or more", x->rank);
    if (!sal_shape_equal(x, &infer->in[1]->shape))
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "indices have another shape than the input");
    if ((status = unpooled(infer->node, x, &shape, err)) ||
        (status = take_shape(infer, &shape, err)))
        return status;
    return sal_infer_like(infer, 0, infer->in[0], &shape, err);
}

/* ---- kernels ----------------------------------------------------------------- */

/* The output element for index `i` into the unpooled shape; -1 where it is outside. */
static int64_t place_of(const struct sal_shape *unpooled, const struct sal_shape *y,
                        int64_t i)
{
    int64_t at = 0, step = 1;
    if (i < 0)
        return -1;
    for (int axis = y->rank - 1; axis >= 0; axis--) {
        at += i % unpooled->dim[axis] * step;
        i /= unpooled->dim[axis];
        step *= y->dim[axis];
    }
    return i ? -1 : at;
}

/* An index may name any plane and come twice, so one thread does it, in order: the
 * last of several values stays. */
static void forward(const struct sal_kernel *k)
{
    const struct sal_shape *x = &k->in[0]->shape, *y = &k->out[0]->shape;
    int64_t n = sal_shape_count(x), n_y = sal_shape_count(y);
    struct sal_shape shape;
    unpooled(k->node, x, &shape, NULL);
    if (n_y)
        memset(k->out[0]->real, 0, sizeof(sal_real) * (size_t)n_y);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = place_of(&shape, y, k->in[1]->i64[i]);
        if (at >= 0)
            k->out[0]->real[at] = k->in[0]->real[i];
    }
}

/* From the last value to the first, so that only what stayed gets its gradient. */
static void backward(const struct sal_kernel *k)
{
    const struct sal_shape *x = &k->in[0]->shape, *y = &k->out[0]->shape;
    sal_real *taken = k->scratch; /* of all threads together */
    struct sal_shape shape;
    if (!k->dx[0] || !k->dy[0] || !sal_shape_count(y))
        return;
    unpooled(k->node, x, &shape, NULL);
    memset(taken, 0, sizeof(*taken) * (size_t)sal_shape_count(y));
    for (int64_t i = sal_shape_count(x) - 1; i >= 0; i--) {
        int64_t at = place_of(&shape, y, k->in[1]->i64[i]);
        if (at >= 0 && taken[at] == 0) {
            taken[at] = 1;
            k->dx[0][i] += k->dy[0][at];
        }
    }
}

static size_t scratch(const struct sal_kernel *k, bool back)
{
    size_t threads = (size_t)sal_pool_threads(k->pool);
    size_t n = (size_t)sal_shape_count(&k->out[0]->shape);
    return back ? (n + threads - 1) / threads : 0;
}

static void carry(const struct sal_kernel *k, int input, int output,
                  struct sal_carry *carry)
{
    if (!input)
        sal_carry_in_order(k, input, output, carry);
}

const struct sal_op sal_op_MaxUnpool = {
    .name = "MaxUnpool",
    .since = 9,
    .until = SAL_OPSET_MAX,
    .min_in = 2,
    .max_in = 3,
    .max_out = 1,
    .parse = parse,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .frugal = true,
    .reads = {{.in = 1u << 1}},
    .carry = carry,
    .scratch = scratch,
};
