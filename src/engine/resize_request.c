#include "resize_request.h"

#include <inttypes.h>
#include <math.h>

static enum sal_status choose_axes(const struct sal_infer *infer,
                                   struct sal_resize_request *request,
                                   struct sal_error *err)
{
    const struct sal_resize *resize = infer->node->attr;
    const struct sal_shape *x = &infer->in[0]->shape;
    bool chosen[SAL_RANK_MAX];
    enum sal_status status = sal_infer_axes(infer, resize->axes.values, resize->axes.n,
                                            x->rank, chosen, err);
    if (status)
        return status;
    request->n = resize->axes.values ? resize->axes.n : x->rank;
    for (int i = 0; i < request->n; i++) {
        int64_t axis = resize->axes.values ? resize->axes.values[i] : i;
        request->at[i] = (int)(axis < 0 ? axis + x->rank : axis);
    }
    for (int i = 0; i < x->rank; i++)
        request->axis[i] = (struct sal_resize_axis){
            .in = x->dim[i], .out = x->dim[i], .length = (double)x->dim[i], .end = 1};
    return SAL_OK;
}

/* Input i as a constant list of n reals; *values is NULL where it is left out or, as
 * opset 11 says for that, empty. */
static enum sal_status read_reals(const struct sal_infer *infer, int i,
                                  const char *what, int64_t n, const sal_real **values,
                                  struct sal_error *err)
{
    *values = NULL;
    const struct sal_tensor *tensor = sal_infer_in(infer, i);
    if (!tensor || !sal_shape_count(&tensor->shape))
        return SAL_OK;
    enum sal_status status = sal_infer_kind(infer, i, SAL_REAL, err);
    if (status || (status = sal_infer_constant(infer, i, err)))
        return status;
    if (sal_shape_count(&tensor->shape) != n)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "%s has %" PRId64 " entries, expected %" PRId64, what,
                             sal_shape_count(&tensor->shape), n);
    for (int64_t j = 0; j < n; j++)
        if (!isfinite(tensor->real[j]))
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT, "%s is not finite",
                                 what);
    *values = tensor->real;
    return SAL_OK;
}

static bool crops(const struct sal_resize *resize)
{
    return resize->rule.place == SAL_RESIZE_TF_CROP;
}

static enum sal_status take_region(const struct sal_infer *infer,
                                   struct sal_resize_request *request,
                                   struct sal_error *err)
{
    const sal_real *region;
    if (!crops(infer->node->attr))
        return SAL_OK;
    enum sal_status status = read_reals(infer, 1, "roi", 2 * request->n, &region, err);
    if (!status && !region)
        status = sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                               "roi is missing, tf_crop_and_resize needs it");
    for (int i = 0; i < request->n && !status; i++) {
        request->axis[request->at[i]].start = (double)region[i];
        request->axis[request->at[i]].end = (double)region[request->n + i];
    }
    return status;
}

static enum sal_status set_out(const struct sal_infer *infer,
                               struct sal_resize_axis *axis, double out,
                               struct sal_error *err)
{
    if (!(out >= 0))
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "an axis would have %.0f elements", out);
    if (!(out < (double)SAL_COUNT_MAX))
        return sal_node_fail(infer->node, err, SAL_LIMIT,
                             "an axis would have 2^40 elements or more");
    axis->out = (int64_t)out;
    return SAL_OK;
}

/* Sizes are products in float, as shape inference and exporters have them: ten times
 * 0.7 are seven. The region does not change them, whatever the standard's text says:
 * neither its reference nor its shape inference let it. */
static enum sal_status take_scales(const struct sal_infer *infer, const float *scales,
                                   struct sal_resize_request *request,
                                   struct sal_error *err)
{
    const struct sal_resize *resize = infer->node->attr;
    enum sal_status status = SAL_OK;
    for (int i = 0; i < request->n && !status; i++) {
        struct sal_resize_axis *axis = &request->axis[request->at[i]];
        if (!(scales[i] > 0 && (scales[i] >= 1 || !resize->grows)) ||
            !isfinite(scales[i]))
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "scales[%d] is %g, must be %s", i, (double)scales[i],
                                 resize->grows ? "1 or more" : "more than 0");
        axis->length = (double)scales[i] * (double)axis->in;
        status =
            set_out(infer, axis, floor((double)((float)axis->in * scales[i])), err);
        /* ONNX's reference reaches for corners between pixels. PyTorch, whose exporters
         * write its scale all the same, and onnxruntime mean those of the output. */
        if (infer->node->pytorch && resize->rule.place == SAL_RESIZE_ALIGN_CORNERS)
            axis->length = (double)axis->out;
    }
    return status;
}

static enum sal_status take_sizes(const struct sal_infer *infer, const int64_t *sizes,
                                  struct sal_resize_request *request,
                                  struct sal_error *err)
{
    const struct sal_resize *resize = infer->node->attr;
    double scale = 0;
    for (int i = 0; i < request->n; i++) {
        struct sal_resize_axis *axis = &request->axis[request->at[i]];
        if (sizes[i] < 0 || sizes[i] >= SAL_COUNT_MAX)
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "sizes[%d] is %" PRId64 ", must be 0 to 2^40", i,
                                 sizes[i]);
        axis->out = sizes[i];
        axis->length = (double)sizes[i];
        if (!axis->in && resize->policy != SAL_RESIZE_STRETCH)
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "an empty axis has no aspect ratio");
        double own = axis->length / (double)axis->in;
        bool takes =
            !i || (resize->policy == SAL_RESIZE_NOT_LARGER ? own < scale : own > scale);
        scale = takes ? own : scale;
    }
    enum sal_status status = SAL_OK;
    for (int i = 0; i < request->n && !status && resize->policy != SAL_RESIZE_STRETCH;
         i++) {
        struct sal_resize_axis *axis = &request->axis[request->at[i]];
        axis->length = scale * (double)axis->in;
        status = set_out(infer, axis, floor(axis->length + 0.5), err);
    }
    return status;
}

/* The scales of a Resize or Upsample, wherever its opset keeps them. */
static enum sal_status read_scales(const struct sal_infer *infer, int n,
                                   float scales[SAL_RANK_MAX], bool *given,
                                   struct sal_error *err)
{
    const struct sal_resize *resize = infer->node->attr;
    const sal_real *values;
    *given = resize->scales != NULL;
    if (*given && resize->n_scales != n)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "scales has %d entries, expected %d", resize->n_scales, n);
    for (int i = 0; i < n && *given; i++)
        scales[i] = resize->scales[i];
    if (*given)
        return SAL_OK;
    enum sal_status status =
        read_reals(infer, infer->node->opset < 11 ? 1 : 2, "scales", n, &values, err);
    *given = !status && values;
    for (int i = 0; i < n && *given; i++)
        scales[i] = (float)values[i];
    return status;
}

enum sal_status sal_resize_request_read(const struct sal_infer *infer,
                                        struct sal_resize_request *request,
                                        struct sal_error *err)
{
    float scales[SAL_RANK_MAX];
    const int64_t *sizes = NULL;
    int64_t n_sizes = 0;
    bool scaled = false;
    enum sal_status status = choose_axes(infer, request, err);
    if (status || (status = take_region(infer, request, err)) ||
        (status = read_scales(infer, request->n, scales, &scaled, err)))
        return status;
    bool sized = infer->node->opset >= 11 && sal_infer_in(infer, 3);
    if (sized && (status = sal_infer_ints(infer, 3, "sizes", &sizes, &n_sizes, err)))
        return status;
    sized = n_sizes > 0;
    if (scaled == sized && request->n)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT, "%s given, expected one",
                             scaled ? "both scales and sizes are"
                                    : "neither scales nor sizes are");
    if (sized && n_sizes != request->n)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "sizes has %" PRId64 " entries, expected %d", n_sizes,
                             request->n);
    return scaled ? take_scales(infer, scales, request, err)
                  : take_sizes(infer, sizes, request, err);
}
