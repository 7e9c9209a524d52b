#include "planes.h"

#include <inttypes.h>

static enum sal_status pads_inside(const struct sal_node *node,
                                   const struct sal_window *window,
                                   struct sal_error *err)
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

enum sal_status sal_planes_infer(const struct sal_infer *infer,
                                 const struct sal_window *window, struct sal_error *err)
{
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status)
        return status;
    struct sal_shape shape = infer->in[0]->shape;
    struct sal_window fitted;
    int64_t *spatial = shape.dim + 2;
    if (shape.rank < 3)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "input has %d axes, must have 3 or more", shape.rank);
    status = sal_window_output(infer->node, window, shape.rank - 2, NULL, spatial,
                               &fitted, spatial, err);
    if (status || (status = pads_inside(infer->node, &fitted, err)) ||
        (status = sal_infer_like(infer, 0, infer->in[0], &shape, err)))
        return status;
    return sal_infer_set(infer, 1, SAL_INT, SAL_ONNX_INT64, &shape, err);
}

struct sal_planes sal_planes_of(const struct sal_kernel *k,
                                const struct sal_window *window)
{
    const struct sal_shape *x = &k->in[0]->shape;
    struct sal_planes g = {0};
    for (int i = 2; i < x->rank; i++)
        g.in[i - 2] = x->dim[i];
    sal_window_output(k->node, window, x->rank - 2, NULL, g.in, &g.window, g.out, NULL);
    sal_window_lift(&g.window, g.in, g.out);
    g.in_plane = sal_shape_span(x, 2, x->rank);
    g.out_plane = g.out[SAL_D] * g.out[SAL_H] * g.out[SAL_W];
    g.planes = sal_shape_span(x, 0, 2);
    return g;
}

void sal_planes_split(const struct sal_kernel *k, const struct sal_planes *planes,
                      void (*work)(const struct sal_kernel *k, int64_t from, int64_t to,
                                   int worker))
{
    const int64_t *kernel = planes->window.kernel;
    double taps = (double)planes->out_plane * (double)kernel[SAL_D] *
                  (double)kernel[SAL_H] * (double)kernel[SAL_W];
    int64_t cost = taps < (double)SAL_TILE ? (int64_t)taps : SAL_TILE;
    sal_split(k->pool, planes->planes, sal_grain(cost), work, k);
}
