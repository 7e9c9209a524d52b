#include <inttypes.h>

#include "norm.h"
#include "real.h"

/* ---- factors -------------------------------------------------------------------- */

static sal_real inverse_deviation(sal_real variance, sal_real epsilon, sal_real *slope)
{
    const sal_real factor = 1 / sal_sqrt(variance + epsilon);
    *slope = -factor * factor * factor / 2;
    return factor;
}

/* MeanVarianceNormalization is defined with the epsilon outside of the root. */
static sal_real outer_epsilon(sal_real variance, sal_real epsilon, sal_real *slope)
{
    const sal_real deviation = sal_sqrt(variance);
    const sal_real factor = 1 / (deviation + epsilon);
    *slope = deviation > 0 ? -factor * factor / (2 * deviation) : 0;
    return factor;
}

/* Of the sum of squares, and of absolute values: what is all zeros stays so. */
static sal_real inverse_root(sal_real sum, sal_real epsilon, sal_real *slope)
{
    (void)epsilon;
    const sal_real factor = sum > 0 ? 1 / sal_sqrt(sum) : 0;
    *slope = -factor * factor * factor / 2;
    return factor;
}

static sal_real inverse(sal_real sum, sal_real epsilon, sal_real *slope)
{
    (void)epsilon;
    const sal_real factor = sum > 0 ? 1 / sum : 0;
    *slope = -factor * factor;
    return factor;
}

/* ---- views ---------------------------------------------------------------------- */

static int axis_of(const struct sal_norm *norm, const struct sal_shape *x)
{
    return (int)(norm->axis < 0 ? norm->axis + x->rank : norm->axis);
}

/* A group is all from the axis on. */
static void view_from_axis(const struct sal_node *node, const struct sal_shape *x,
                           struct sal_norm_view *view)
{
    for (int i = axis_of(node->attr, x); i < x->rank; i++)
        view->kept.dim[i] = 1;
}

static void view_along_axis(const struct sal_node *node, const struct sal_shape *x,
                            struct sal_norm_view *view)
{
    view->kept.dim[axis_of(node->attr, x)] = 1;
}

static void view_axes(const struct sal_node *node, const struct sal_shape *x,
                      struct sal_norm_view *view)
{
    const struct sal_norm *norm = node->attr;
    for (int i = 0; i < norm->axes.n; i++) {
        int64_t axis = norm->axes.values[i];
        view->kept.dim[axis < 0 ? axis + x->rank : axis] = 1;
    }
}

static void view_channels(const struct sal_node *node, const struct sal_shape *x,
                          struct sal_norm_view *view)
{
    (void)node;
    int64_t channels = x->dim[1], plane = sal_shape_span(x, 2, x->rank);
    view->over = (struct sal_shape){3, {x->dim[0], channels, plane}};
    view->kept = (struct sal_shape){3, {x->dim[0], channels, 1}};
    view->scale = view->bias = (struct sal_shape){2, {channels, 1}};
}

/* Images, groups of channels, channels of a group, elements of a channel. Scale and
 * bias were per group before opset 21. */
static void view_groups(const struct sal_node *node, const struct sal_shape *x,
                        struct sal_norm_view *view)
{
    const struct sal_norm *norm = node->attr;
    int64_t groups = norm->groups, each = x->dim[1] / groups;
    int64_t plane = sal_shape_span(x, 2, x->rank);
    view->over = (struct sal_shape){4, {x->dim[0], groups, each, plane}};
    view->kept = (struct sal_shape){4, {x->dim[0], groups, 1, 1}};
    view->scale = (struct sal_shape){3, {groups, node->opset < 21 ? 1 : each, 1}};
    view->bias = view->scale;
}

/* ---- attributes ----------------------------------------------------------------- */

static enum sal_status parse_as(struct sal_node *node, struct sal_arena *arena,
                                const struct sal_norm_kind *kind, struct sal_norm **norm,
                                struct sal_error *err)
{
    *norm = sal_new(arena, struct sal_norm, 1);
    if (!*norm)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    **norm = (struct sal_norm){.kind = kind, .stash_type = SAL_ONNX_FLOAT};
    node->attr = *norm;
    return SAL_OK;
}

static enum sal_status parse_epsilon(struct sal_norm *norm,
                                     const struct sal_onnx_node *source,
                                     struct sal_error *err)
{
    double epsilon = 0;
    enum sal_status status = sal_attr_float(source, "epsilon", 1e-5, &epsilon, err);
    norm->epsilon = (sal_real)epsilon;
    return status;
}

/* Everything is computed in one precision; the type is that of mean and deviation. */
static enum sal_status parse_stash_type(const struct sal_node *node,
                                        struct sal_norm *norm,
                                        const struct sal_onnx_node *source,
                                        struct sal_error *err)
{
    enum sal_kind kind = SAL_INT;
    enum sal_status status =
        sal_attr_int(source, "stash_type", SAL_ONNX_FLOAT, &norm->stash_type, err);
    if (status)
        return status;
    bool known = norm->stash_type >= 0 && norm->stash_type <= INT32_MAX &&
                 sal_type_kind((int)norm->stash_type, &kind);
    if (!known || kind != SAL_REAL)
        return sal_node_fail(node, err, SAL_BAD_INPUT,
                             "stash_type is %" PRId64 ", must be a floating type",
                             norm->stash_type);
    return SAL_OK;
}

static enum sal_status parse_from_axis(struct sal_node *node,
                                       const struct sal_onnx_node *source,
                                       struct sal_arena *arena,
                                       const struct sal_norm_kind *kind,
                                       struct sal_error *err)
{
    struct sal_norm *norm;
    enum sal_status status = parse_as(node, arena, kind, &norm, err);
    if (status || (status = parse_epsilon(norm, source, err)) ||
        (status = parse_stash_type(node, norm, source, err)))
        return status;
    return sal_attr_int(source, "axis", -1, &norm->axis, err);
}

/* ---- shapes --------------------------------------------------------------------- */

/* X is there, and so is something in each of its groups. */
static enum sal_status infer_groups(const struct sal_infer *infer, struct sal_error *err)
{
    const struct sal_shape *x = &infer->in[SAL_NORM_X]->shape;
    const struct sal_norm_view view = sal_norm_view_of(infer->node, x, NULL, NULL);
    char text[96];
    if (!sal_norm_group(&view))
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "input is %s: there is nothing to normalise",
                             sal_shape_text(x, text, sizeof(text)));
    return SAL_OK;
}

static enum sal_status infer_axis(const struct sal_infer *infer, struct sal_error *err)
{
    const struct sal_norm *norm = infer->node->attr;
    int axis;
    enum sal_status status = sal_infer_kind(infer, SAL_NORM_X, SAL_REAL, err);
    if (status || (status = sal_infer_axis(infer, norm->axis,
                                           infer->in[SAL_NORM_X]->shape.rank, 0, &axis,
                                           err)))
        return status;
    return infer_groups(infer, err);
}

/* Scale and bias broadcast to X. */
static enum sal_status infer_affine(const struct sal_infer *infer, struct sal_error *err)
{
    static const char *const names[] = {"X", "scale", "bias"};
    const struct sal_shape *x = &infer->in[SAL_NORM_X]->shape;
    for (int i = SAL_NORM_SCALE; i <= SAL_NORM_BIAS; i++) {
        const struct sal_tensor *in = sal_infer_in(infer, i);
        if (!in)
            continue;
        struct sal_shape both;
        char text[2][96];
        enum sal_status status = sal_infer_kind(infer, i, SAL_REAL, err);
        if (status)
            return status;
        if (sal_infer_broadcast(infer, x, &in->shape, &both, NULL) ||
            !sal_shape_equal(x, &both))
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "%s is %s, which does not broadcast to the input's %s",
                                 names[i],
                                 sal_shape_text(&in->shape, text[0], sizeof(text[0])),
                                 sal_shape_text(x, text[1], sizeof(text[1])));
    }
    return SAL_OK;
}

/* One per channel, or per group of channels. */
static enum sal_status infer_vectors(const struct sal_infer *infer, int64_t n,
                                     const char *of, struct sal_error *err)
{
    static const char *const names[] = {"X", "scale", "bias"};
    for (int i = SAL_NORM_SCALE; i <= SAL_NORM_BIAS; i++) {
        char text[96];
        enum sal_status status = sal_infer_kind(infer, i, SAL_REAL, err);
        if (status)
            return status;
        const struct sal_shape *shape = &infer->in[i]->shape;
        if (shape->rank != 1 || shape->dim[0] != n)
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "%s is %s, expected %" PRId64 ": one per %s", names[i],
                                 sal_shape_text(shape, text, sizeof(text)), n, of);
    }
    return SAL_OK;
}

static enum sal_status infer_channels(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = sal_infer_kind(infer, SAL_NORM_X, SAL_REAL, err);
    if (!status && infer->in[SAL_NORM_X]->shape.rank < 2)
        status = sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                               "input has %d axes, must have 2 or more",
                               infer->in[SAL_NORM_X]->shape.rank);
    return status;
}

/* ---- LayerNormalization --------------------------------------------------------- */

static const struct sal_norm_kind layer = {
    .centred = true, .factor = inverse_deviation, .view = view_from_axis};

static enum sal_status layer_parse(struct sal_node *node,
                                   const struct sal_onnx_node *source,
                                   struct sal_arena *arena, struct sal_error *err)
{
    return parse_from_axis(node, source, arena, &layer, err);
}

static enum sal_status layer_infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct sal_norm *norm = infer->node->attr;
    enum sal_status status = infer_axis(infer, err);
    if (status || (status = infer_affine(infer, err)))
        return status;
    const struct sal_tensor *x = infer->in[SAL_NORM_X];
    const struct sal_norm_view view = sal_norm_view_of(infer->node, &x->shape, NULL, NULL);
    status = sal_infer_like(infer, SAL_NORM_Y, x, &x->shape, err);
    for (int i = SAL_NORM_MEAN; i <= SAL_NORM_FACTOR && !status; i++)
        status = sal_infer_set(infer, i, SAL_REAL, (int)norm->stash_type, &view.kept, err);
    return status;
}

/* ---- RMSNormalization ----------------------------------------------------------- */

static const struct sal_norm_kind root_mean_square = {.factor = inverse_deviation,
                                                      .view = view_from_axis};

static enum sal_status rms_parse(struct sal_node *node, const struct sal_onnx_node *source,
                                 struct sal_arena *arena, struct sal_error *err)
{
    return parse_from_axis(node, source, arena, &root_mean_square, err);
}

static enum sal_status rms_infer(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = infer_axis(infer, err);
    if (status || (status = infer_affine(infer, err)))
        return status;
    return sal_infer_like(infer, SAL_NORM_Y, infer->in[SAL_NORM_SCALE],
                          &infer->in[SAL_NORM_X]->shape, err);
}

/* ---- InstanceNormalization ------------------------------------------------------ */

static const struct sal_norm_kind instance = {
    .centred = true, .factor = inverse_deviation, .view = view_channels};

static enum sal_status instance_parse(struct sal_node *node,
                                      const struct sal_onnx_node *source,
                                      struct sal_arena *arena, struct sal_error *err)
{
    struct sal_norm *norm;
    enum sal_status status = parse_as(node, arena, &instance, &norm, err);
    return status ? status : parse_epsilon(norm, source, err);
}

static enum sal_status instance_infer(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = infer_channels(infer, err);
    if (status || (status = infer_groups(infer, err)) ||
        (status = infer_vectors(infer, infer->in[SAL_NORM_X]->shape.dim[1], "channel",
                                err)))
        return status;
    return sal_infer_same(infer, err);
}

/* ---- GroupNormalization --------------------------------------------------------- */

static const struct sal_norm_kind grouped = {
    .centred = true, .factor = inverse_deviation, .view = view_groups};

static enum sal_status group_parse(struct sal_node *node,
                                   const struct sal_onnx_node *source,
                                   struct sal_arena *arena, struct sal_error *err)
{
    struct sal_norm *norm;
    enum sal_status status = parse_as(node, arena, &grouped, &norm, err);
    if (status || (status = parse_epsilon(norm, source, err)) ||
        (status = parse_stash_type(node, norm, source, err)) ||
        (status = sal_attr_int(source, "num_groups", 0, &norm->groups, err)))
        return status;
    if (norm->groups < 1)
        return sal_node_fail(node, err, SAL_BAD_INPUT,
                             "num_groups is %" PRId64 ", must be 1 or more", norm->groups);
    return SAL_OK;
}

static enum sal_status group_infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct sal_norm *norm = infer->node->attr;
    enum sal_status status = infer_channels(infer, err);
    if (status)
        return status;
    int64_t channels = infer->in[SAL_NORM_X]->shape.dim[1];
    if (channels % norm->groups)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "num_groups is %" PRId64 ", must divide the %" PRId64
                             " channels",
                             norm->groups, channels);
    bool per_group = infer->node->opset < 21;
    if ((status = infer_groups(infer, err)) ||
        (status = infer_vectors(infer, per_group ? norm->groups : channels,
                                per_group ? "group (per channel from opset 21)" : "channel",
                                err)))
        return status;
    return sal_infer_same(infer, err);
}

/* ---- MeanVarianceNormalization -------------------------------------------------- */

static const struct sal_norm_kind mean_variance = {
    .centred = true, .factor = outer_epsilon, .view = view_axes};

static enum sal_status mvn_parse(struct sal_node *node, const struct sal_onnx_node *source,
                                 struct sal_arena *arena, struct sal_error *err)
{
    static const int64_t all_but_channels[] = {0, 2, 3};
    struct sal_norm *norm;
    enum sal_status status = parse_as(node, arena, &mean_variance, &norm, err);
    if (status || (status = sal_attr_ints(source, "axes", &norm->axes.values,
                                          &norm->axes.n, err)))
        return status;
    norm->epsilon = SAL_REAL_OF(1e-9);
    if (!norm->axes.n)
        norm->axes = (struct sal_int_list){all_but_channels, 3};
    return SAL_OK;
}

static enum sal_status mvn_infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct sal_norm *norm = infer->node->attr;
    bool chosen[SAL_RANK_MAX];
    enum sal_status status = sal_infer_kind(infer, SAL_NORM_X, SAL_REAL, err);
    if (status || (status = sal_infer_axes(infer, norm->axes.values, norm->axes.n,
                                           infer->in[SAL_NORM_X]->shape.rank, chosen,
                                           err)) ||
        (status = infer_groups(infer, err)))
        return status;
    return sal_infer_same(infer, err);
}

/* ---- LpNormalization ------------------------------------------------------------ */

static const struct sal_norm_kind euclidean = {
    .summed = true, .factor = inverse_root, .view = view_along_axis};
static const struct sal_norm_kind taxicab = {
    .summed = true, .absolute = true, .factor = inverse, .view = view_along_axis};

static enum sal_status lp_parse(struct sal_node *node, const struct sal_onnx_node *source,
                                struct sal_arena *arena, struct sal_error *err)
{
    struct sal_norm *norm;
    int64_t p = 2;
    enum sal_status status = sal_attr_int(source, "p", 2, &p, err);
    if (!status && p != 1 && p != 2)
        status = sal_node_fail(node, err, SAL_BAD_INPUT,
                               "p is %" PRId64 ", must be 1 or 2", p);
    if (!status)
        status = parse_as(node, arena, p == 1 ? &taxicab : &euclidean, &norm, err);
    return status ? status : sal_attr_int(source, "axis", -1, &norm->axis, err);
}

static enum sal_status lp_infer(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = infer_axis(infer, err);
    return status ? status : sal_infer_same(infer, err);
}

/* ---- rows ----------------------------------------------------------------------- */

#define ROW(op_name, op_since, inputs, most_inputs, outputs, family)             \
    const struct sal_op sal_op_##op_name = {                                     \
        .name = #op_name,                                                        \
        .since = op_since,                                                       \
        .until = SAL_OPSET_MAX,                                                  \
        .min_in = inputs,                                                        \
        .max_in = most_inputs,                                                   \
        .max_out = outputs,                                                      \
        .parse = family##_parse,                                                 \
        .infer = family##_infer,                                                 \
        .forward = sal_norm_forward,                                             \
        .backward = sal_norm_backward,                                           \
        .begins = true,                                                          \
        .in_place = 1u << SAL_NORM_X,                                            \
        .frugal = true,                                                          \
        .reads = SAL_READS(1u << SAL_NORM_X | 1u << SAL_NORM_SCALE, 0),          \
        .scratch = sal_norm_scratch,                                             \
    };

ROW(GroupNormalization, 18, 3, 3, 1, group)
ROW(InstanceNormalization, 1, 3, 3, 1, instance)
ROW(LayerNormalization, 17, 2, 3, 3, layer)
ROW(LpNormalization, 1, 1, 1, 1, lp)
ROW(MeanVarianceNormalization, 9, 1, 1, 1, mvn)
ROW(RMSNormalization, 23, 2, 2, 1, rms)
