/* Conv: ONNX opsets 1, 11 and 22 (types aside they agree). */
#include "convolve.h"
#include "dense.h"
#include "kernel.h"
#include "lower.h"

struct conv {
    struct sal_window window; /* as the node says; fitted by infer */
    int64_t group;
};

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    struct conv *conv = sal_new(arena, struct conv, 1);
    if (!conv)
        return sal_fail(err, SAL_LIMIT, "no memory for a node");
    node->attr = conv;
    enum sal_status status = sal_window_parse(node, source, 0, &conv->window, err);
    if (status || (status = sal_attr_int(source, "group", 1, &conv->group, err)))
        return status;
    if (conv->group < 1)
        return sal_node_fail(node, err, SAL_BAD_INPUT, "group must be at least 1, not %lld",
                             (long long)conv->group);
    return SAL_OK;
}

static enum sal_status check_bias(const struct sal_infer *infer, struct sal_error *err)
{
    const struct sal_shape *w = &infer->in[1]->shape;
    const struct sal_tensor *bias = sal_infer_in(infer, 2);
    char dims[128], weight[128];
    if (bias && (bias->kind != SAL_REAL || bias->shape.rank != 1 ||
                 bias->shape.dim[0] != w->dim[0]))
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "its bias is %s, its weight %s needs %lld: some exporters mix "
                             "up weights like this, export again",
                             sal_shape_text(&bias->shape, dims, sizeof(dims)),
                             sal_shape_text(w, weight, sizeof(weight)),
                             (long long)w->dim[0]);
    return SAL_OK;
}

static enum sal_status infer_conv(const struct sal_infer *infer, struct sal_error *err)
{
    const struct conv *conv = infer->node->attr;
    enum sal_status status = sal_infer_kind(infer, 0, SAL_REAL, err);
    if (status || (status = sal_infer_kind(infer, 1, SAL_REAL, err)) ||
        (status = sal_convolve_check(infer, 0, 1, conv->group, err)) ||
        (status = check_bias(infer, err)))
        return status;
    const struct sal_shape *x = &infer->in[0]->shape, *w = &infer->in[1]->shape;
    struct sal_tensor *out = infer->out[0];
    struct sal_window fitted;
    out->kind = SAL_REAL;
    out->type = infer->in[0]->type;
    out->shape = (struct sal_shape){.rank = x->rank, .dim = {x->dim[0], w->dim[0]}};
    return sal_window_output(infer->node, &conv->window, x->rank - 2, w->dim + 2,
                             x->dim + 2, &fitted, out->shape.dim + 2, err);
}

extern const struct sal_op sal_op_Conv;

/* ---- kernels ------------------------------------------------------------------- */

static struct sal_convolution geometry_of(const struct sal_kernel *k)
{
    const struct conv *conv = k->node->attr;
    const struct sal_shape *x = &k->in[0]->shape, *w = &k->in[1]->shape;
    struct sal_window fitted;
    int64_t out[SAL_WINDOW_AXES];
    struct sal_convolution g;
    /* infer has accepted exactly this, so it cannot fail here. */
    sal_window_output(k->node, &conv->window, x->rank - 2, w->dim + 2, x->dim + 2, &fitted,
                      out, NULL);
    sal_convolution_init(&g, &fitted, x->dim + 2, out, x->dim[0], conv->group, w);
    return g;
}

static void forward(const struct sal_kernel *k)
{
    struct sal_convolution g = geometry_of(k);
    const struct sal_tensor *bias = sal_kernel_in(k, 2);
    sal_convolve(k, &g, k->in[0]->real, k->in[1]->real,
                 (struct sal_convolution_base){.bias = bias ? bias->real : NULL},
                 k->out[0]->real);
}

static void backward(const struct sal_kernel *k)
{
    struct sal_convolution g = geometry_of(k);
    if (k->dx[0] && k->dy[0])
        sal_convolve_back(k, &g, k->dy[0], k->in[1]->real, k->dx[0]);
}

static size_t scratch(const struct sal_kernel *k, bool back)
{
    struct sal_convolution g = geometry_of(k);
    return sal_convolve_scratch(&g, back);
}

static double macs(const struct sal_kernel *k)
{
    struct sal_convolution g = geometry_of(k);
    return sal_convolve_macs(&g);
}

bool sal_conv_geometry_of(const struct sal_node *node, const struct sal_shape *x,
                          const struct sal_shape *w, struct sal_conv_geometry *g)
{
    const struct conv *conv = node->attr;
    struct sal_window fitted;
    if (node->op != &sal_op_Conv || x->rank != 4)
        return false;
    *g = (struct sal_conv_geometry){
        .n = x->dim[0], .c = x->dim[1], .k = w->dim[0], .group = conv->group};
    sal_window_output(node, &conv->window, 2, w->dim + 2, x->dim + 2, &fitted, g->out, NULL);
    for (int i = 0; i < 2; i++) {
        g->in[i] = x->dim[2 + i];
        g->kernel[i] = fitted.kernel[i];
        g->stride[i] = fitted.stride[i];
        g->dilation[i] = fitted.dilation[i];
        g->pad[i] = fitted.pad_begin[i];
    }
    return true;
}

void sal_conv_window_of(const struct sal_node *node, const struct sal_conv_geometry *g,
                        struct sal_window *window)
{
    const struct conv *conv = node->attr;
    int64_t out[SAL_WINDOW_AXES];
    sal_window_output(node, &conv->window, 2, g->kernel, g->in, window, out, NULL);
}

const struct sal_op sal_op_Conv = {
    .name = "Conv",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .min_in = 2,
    .max_in = 3,
    .max_out = 1,
    .parse = parse,
    .infer = infer_conv,
    .forward = forward,
    .backward = backward,
    .frugal = true,
    .reads = {{.in = 1u << 1}},
    .carry = sal_convolve_carry,
    .scratch = scratch,
    .macs = macs,
    .no_gradient = 1u << 1 | 1u << 2,
    .mixes = true,
};
