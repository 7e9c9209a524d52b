/* ConvTranspose: ONNX opsets 1, 11 and 22 (types aside they agree). */
#include "convolve.h"
#include "kernel.h"

struct conv_transpose {
    struct sal_window window; /* as the node says; fitted by infer */
    int64_t group;
    struct sal_int_list padding, out; /* output_padding, output_shape */
};

/* ---- attributes and shapes --------------------------------------------------- */

static enum sal_status check_list(const struct sal_node *node, const char *name,
                                  const struct sal_int_list *list, int64_t least,
                                  struct sal_error *err)
{
    for (int i = 0; i < list->n; i++)
        if (list->values[i] < least || list->values[i] > SAL_ONNX_DIM_MAX)
            return sal_node_fail(node, err, SAL_BAD_INPUT,
                                 "%s[%d] is %lld, must be %lld or more", name, i,
                                 (long long)list->values[i], (long long)least);
    return SAL_OK;
}

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    struct conv_transpose *conv = sal_new(arena, struct conv_transpose, 1);
    if (!conv)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = conv;
    enum sal_status status = sal_window_parse(node, source, 0, &conv->window, err);
    (void)(status || (status = sal_attr_int(source, "group", 1, &conv->group, err)) ||
           (status = sal_attr_ints(source, "output_padding", &conv->padding.values,
                                   &conv->padding.n, err)) ||
           (status = sal_attr_ints(source, "output_shape", &conv->out.values,
                                   &conv->out.n, err)) ||
           (status = check_list(node, "output_padding", &conv->padding, 0, err)) ||
           (status = check_list(node, "output_shape", &conv->out, 1, err)));
    if (!status && conv->group < 1)
        status =
            sal_node_fail(node, err, SAL_BAD_INPUT,
                          "group must be at least 1, not %lld", (long long)conv->group);
    return status;
}

static enum sal_status check_channels(const struct sal_infer *infer, int64_t *channels,
                                      struct sal_error *err)
{
    const struct conv_transpose *conv = infer->node->attr;
    const struct sal_shape *x = &infer->in[0]->shape, *w = &infer->in[1]->shape;
    if (x->rank < 3 || x->rank > 5)
        return sal_node_fail(infer->node, err,
                             x->rank > 5 ? SAL_UNSUPPORTED : SAL_BAD_INPUT,
                             "input must have 3 to 5 axes, has %d", x->rank);
    if (w->rank != x->rank)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "weight must have %d axes like the input, has %d", x->rank,
                             w->rank);
    if (w->dim[0] != x->dim[1])
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "weight expects %lld channels, input has %lld",
                             (long long)w->dim[0], (long long)x->dim[1]);
    if (w->dim[0] < 1 || w->dim[0] % conv->group || w->dim[1] < 1 ||
        __builtin_mul_overflow(w->dim[1], conv->group, channels))
        return sal_node_fail(
            infer->node, err, SAL_BAD_INPUT,
            "%lld input channels do not divide into %lld groups of %lld "
            "output channels",
            (long long)w->dim[0], (long long)conv->group, (long long)w->dim[1]);
    const struct sal_tensor *bias = sal_infer_in(infer, 2);
    if (bias && (bias->kind != SAL_REAL || bias->shape.rank != 1 ||
                 bias->shape.dim[0] != *channels))
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "bias must have %lld elements, one per output channel",
                             (long long)*channels);
    return SAL_OK;
}

/* The entries for spatial axes; some exporters give output_shape all axes. */
static enum sal_status spatial(const struct sal_node *node, const char *name,
                               const struct sal_int_list *list, int rank,
                               const int64_t **values, struct sal_error *err)
{
    *values = NULL;
    if (!list->values)
        return SAL_OK;
    if (list->n != rank && list->n != rank + 2)
        return sal_node_fail(node, err, SAL_BAD_INPUT,
                             "%s has %d entries, expected %d for %d spatial axes", name,
                             list->n, rank, rank);
    *values = list->values + (list->n - rank);
    return SAL_OK;
}

static enum sal_status fit(const struct sal_node *node, const struct sal_shape *x,
                           const struct sal_shape *w, struct sal_window *fitted,
                           int64_t *out, struct sal_error *err)
{
    const struct conv_transpose *conv = node->attr;
    struct sal_window_target target;
    int rank = x->rank - 2;
    enum sal_status status =
        spatial(node, "output_padding", &conv->padding, rank, &target.padding, err);
    if (status ||
        (status = spatial(node, "output_shape", &conv->out, rank, &target.out, err)))
        return status;
    return sal_window_transpose(node, &conv->window, rank, w->dim + 2, x->dim + 2,
                                target, fitted, out, err);
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    int64_t channels = 0;
    enum sal_status status = sal_infer_kind(infer, 0, SAL_REAL, err);
    if (status || (status = sal_infer_kind(infer, 1, SAL_REAL, err)) ||
        (status = check_channels(infer, &channels, err)))
        return status;
    const struct sal_shape *x = &infer->in[0]->shape, *w = &infer->in[1]->shape;
    struct sal_window fitted;
    struct sal_shape shape = {.rank = x->rank, .dim = {x->dim[0], channels}};
    status = fit(infer->node, x, w, &fitted, shape.dim + 2, err);
    return status ? status : sal_infer_like(infer, 0, infer->in[0], &shape, err);
}

/* ---- kernels ----------------------------------------------------------------- */

/* The convolution that this transposes: from our output to our input. */
static struct sal_convolution geometry_of(const struct sal_kernel *k)
{
    const struct conv_transpose *conv = k->node->attr;
    const struct sal_shape *x = &k->in[0]->shape, *w = &k->in[1]->shape;
    struct sal_window fitted;
    int64_t out[SAL_WINDOW_AXES];
    struct sal_convolution g;
    fit(k->node, x, w, &fitted, out, NULL);
    sal_convolution_init(&g, &fitted, out, x->dim + 2, x->dim[0], conv->group, w);
    return g;
}

static void fill_planes(const struct sal_kernel *k, int64_t from, int64_t to,
                        int worker)
{
    (void)worker;
    const struct sal_shape *y = &k->out[0]->shape;
    const struct sal_tensor *bias = sal_kernel_in(k, 2);
    int64_t plane = sal_shape_span(y, 2, y->rank);
    for (int64_t p = from; p < to; p++) {
        sal_real value = bias ? bias->real[p % y->dim[1]] : 0;
        for (int64_t i = 0; i < plane; i++)
            k->out[0]->real[p * plane + i] = value;
    }
}

static void forward(const struct sal_kernel *k)
{
    struct sal_convolution g = geometry_of(k);
    sal_split(k->pool, g.n * g.group * g.c, sal_grain(g.columns.pixels_in), fill_planes,
              k);
    sal_convolve_back(k, &g, k->in[0]->real, k->in[1]->real, k->out[0]->real);
}

static void backward(const struct sal_kernel *k)
{
    struct sal_convolution g = geometry_of(k);
    if (k->dx[0] && k->dy[0])
        sal_convolve(k, &g, k->dy[0], k->in[1]->real,
                     (struct sal_convolution_base){.kept = true}, k->dx[0]);
}

static size_t scratch(const struct sal_kernel *k, bool back)
{
    struct sal_convolution g = geometry_of(k);
    return sal_convolve_scratch(&g, !back);
}

static double macs(const struct sal_kernel *k)
{
    struct sal_convolution g = geometry_of(k);
    return sal_convolve_macs(&g);
}

const struct sal_op sal_op_ConvTranspose = {
    .name = "ConvTranspose",
    .since = 1,
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
    .carry = sal_convolve_carry,
    .scratch = scratch,
    .macs = macs,
    .no_gradient = 1u << 1 | 1u << 2,
    .mixes = true,
};
