/* Resize 10, 11, 13, 18 and 19, and Upsample 7 and 9, which it grew from. */
#include <math.h>

#include "resize_pass.h"
#include "resize_request.h"

static const char *const policy_names[SAL_RESIZE_POLICIES] = {
    [SAL_RESIZE_STRETCH] = "stretch",
    [SAL_RESIZE_NOT_LARGER] = "not_larger",
    [SAL_RESIZE_NOT_SMALLER] = "not_smaller",
};

/* What infer makes: both directions of every axis that is resized. */
struct plan {
    int last; /* the last one; -1: none, the output is the input */
    struct sal_resize_table forward[SAL_RANK_MAX],
        back[SAL_RANK_MAX]; /* run NULL: not */
};

/* ---- attributes -------------------------------------------------------------- */

static enum sal_status new_resize(struct sal_node *node, struct sal_arena *arena,
                                  struct sal_resize **resize, struct sal_error *err)
{
    *resize = sal_new(arena, struct sal_resize, 1);
    if (!*resize)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = *resize;
    return SAL_OK;
}

/* Before opset 11 there was one way only: the corner of a pixel is its place. */
static void be_old(struct sal_resize *resize)
{
    resize->rule.place = SAL_RESIZE_ASYMMETRIC;
    resize->rule.rounding = SAL_RESIZE_FLOOR;
}

static enum sal_status parse_rule(const struct sal_node *node,
                                  const struct sal_onnx_node *source,
                                  struct sal_resize *resize, struct sal_error *err)
{
    struct sal_resize_rule *rule = &resize->rule;
    int64_t antialias = 0, exclude = 0;
    double value = 0;
    enum sal_status status =
        sal_attr_word(node, source, "coordinate_transformation_mode", sal_resize_places,
                      SAL_RESIZE_PLACES, SAL_RESIZE_HALF_PIXEL, &rule->place, err);
    (void)(status ||
           (status = sal_attr_word(node, source, "nearest_mode", sal_resize_roundings,
                                   SAL_RESIZE_ROUNDINGS, SAL_RESIZE_PREFER_FLOOR,
                                   &rule->rounding, err)) ||
           (status = sal_attr_word(node, source, "keep_aspect_ratio_policy",
                                   policy_names, SAL_RESIZE_POLICIES,
                                   SAL_RESIZE_STRETCH, &resize->policy, err)) ||
           (status =
                sal_attr_float(source, "cubic_coeff_a", -0.75, &rule->cubic, err)) ||
           (status = sal_attr_int(source, "antialias", 0, &antialias, err)) ||
           (status = sal_attr_int(source, "exclude_outside", 0, &exclude, err)) ||
           (status = sal_attr_float(source, "extrapolation_value", 0, &value, err)) ||
           (status = sal_attr_ints(source, "axes", &resize->axes.values,
                                   &resize->axes.n, err)));
    if (status)
        return status;
    if (!isfinite(rule->cubic))
        return sal_node_fail(node, err, SAL_BAD_INPUT, "cubic_coeff_a is not finite");
    rule->antialias = antialias != 0;
    rule->exclude_outside = exclude != 0;
    resize->extrapolation = (sal_real)value;
    return SAL_OK;
}

static enum sal_status resize_parse(struct sal_node *node,
                                    const struct sal_onnx_node *source,
                                    struct sal_arena *arena, struct sal_error *err)
{
    struct sal_resize *resize;
    enum sal_status status = new_resize(node, arena, &resize, err);
    if (status || (status = sal_attr_word(node, source, "mode", sal_resize_modes,
                                          SAL_RESIZE_MODES, SAL_RESIZE_NEAREST,
                                          &resize->rule.mode, err)))
        return status;
    if (node->opset >= 11)
        return parse_rule(node, source, resize, err);
    be_old(resize);
    return SAL_OK;
}

static enum sal_status upsample_parse(struct sal_node *node,
                                      const struct sal_onnx_node *source,
                                      struct sal_arena *arena, struct sal_error *err)
{
    struct sal_resize *resize;
    enum sal_status status = new_resize(node, arena, &resize, err);
    if (status || (status = sal_attr_word(node, source, "mode", sal_resize_modes,
                                          SAL_RESIZE_CUBIC, SAL_RESIZE_NEAREST,
                                          &resize->rule.mode, err)))
        return status;
    be_old(resize);
    resize->grows = true;
    const struct sal_onnx_attr *scales = sal_onnx_node_attr(source, "scales");
    if (node->opset >= 9)
        return SAL_OK;
    if (!scales || scales->type != SAL_ONNX_ATTR_FLOATS || scales->n > SAL_RANK_MAX)
        return sal_node_fail(node, err, SAL_BAD_INPUT,
                             "scales must be a list of floats, one for each axis");
    resize->scales = scales->floats;
    resize->n_scales = (int)scales->n;
    return SAL_OK;
}

/* ---- infer ------------------------------------------------------------------- */

static bool unchanged(const struct sal_resize *resize,
                      const struct sal_resize_axis *axis)
{
    bool crops = resize->rule.place == SAL_RESIZE_TF_CROP;
    bool whole = !crops || (axis->start == 0 && axis->end == 1);
    return whole && axis->in == axis->out &&
           fabs(axis->length - (double)axis->in) <= 1e-9 * (double)axis->in;
}

/* Opset 10 rounds up where it shrinks, as its implementations did. */
static struct sal_resize_rule rule_for(const struct sal_node *node,
                                       const struct sal_resize_axis *axis)
{
    struct sal_resize_rule rule = ((const struct sal_resize *)node->attr)->rule;
    if (node->opset < 11 && axis->length < (double)axis->in)
        rule.rounding = SAL_RESIZE_CEIL;
    return rule;
}

static enum sal_status build_plan(const struct sal_infer *infer,
                                  const struct sal_resize_request *request,
                                  struct plan *plan, struct sal_error *err)
{
    enum sal_status status = SAL_OK;
    plan->last = -1;
    for (int i = 0; i < infer->in[0]->shape.rank && !status; i++) {
        const struct sal_resize_axis *axis = &request->axis[i];
        if (unchanged(infer->node->attr, axis) || !axis->out)
            continue;
        if (!axis->in)
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "axis %d is empty, there is nothing to resize", i);
        struct sal_resize_rule rule = rule_for(infer->node, axis);
        status = sal_resize_table_build(&plan->forward[i], infer->node, &rule, axis,
                                        infer->arena, err);
        if (!status)
            status = sal_resize_table_transpose(&plan->back[i], infer->node,
                                                &plan->forward[i], infer->arena, err);
        plan->last = i;
    }
    return status;
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    struct sal_resize_request request = {0};
    enum sal_status status = sal_infer_kind(infer, 0, SAL_REAL, err);
    if (status || (status = sal_resize_request_read(infer, &request, err)))
        return status;
    struct sal_shape shape = infer->in[0]->shape;
    for (int i = 0; i < shape.rank; i++)
        shape.dim[i] = request.axis[i].out;
    if ((status = sal_infer_like(infer, 0, infer->in[0], &shape, err)))
        return status;
    struct plan *plan = sal_new(infer->arena, struct plan, 1);
    if (!plan)
        return sal_node_fail(infer->node, err, SAL_LIMIT, "no memory");
    *infer->plan = plan;
    return build_plan(infer, &request, plan, err);
}

/* ---- kernels ----------------------------------------------------------------- */

static struct sal_resize_pass pass_of(const struct sal_kernel *k, bool back)
{
    const struct plan *plan = k->node->plan;
    const struct sal_shape *x = &k->in[0]->shape, *y = &k->out[0]->shape;
    return back ? sal_resize_pass_init(plan->back, plan->last, y, x)
                : sal_resize_pass_init(plan->forward, plan->last, x, y);
}

static void forward_rows(const struct sal_kernel *k, int64_t from, int64_t to,
                         int worker)
{
    const struct sal_resize *resize = k->node->attr;
    const struct sal_resize_pass pass = pass_of(k, false);
    sal_resize_pass_run(&pass, k->in[0]->real, resize->extrapolation, false,
                        k->out[0]->real, from, to,
                        k->scratch + worker * k->scratch_stride);
}

static void backward_rows(const struct sal_kernel *k, int64_t from, int64_t to,
                          int worker)
{
    const struct sal_resize_pass pass = pass_of(k, true);
    sal_resize_pass_run(&pass, k->dy[0], 0, true, k->dx[0], from, to,
                        k->scratch + worker * k->scratch_stride);
}

static void split(const struct sal_kernel *k, bool back)
{
    const struct sal_resize_pass pass = pass_of(k, back);
    sal_split(k->pool, sal_resize_pass_rows(&pass),
              sal_grain(sal_resize_pass_cost(&pass)),
              back ? backward_rows : forward_rows, k);
}

static void forward(const struct sal_kernel *k)
{
    const struct plan *plan = k->node->plan;
    if (plan->last < 0)
        sal_pass_forward(k);
    else if (sal_shape_count(&k->out[0]->shape))
        split(k, false);
}

static void backward(const struct sal_kernel *k)
{
    const struct plan *plan = k->node->plan;
    if (!k->dx[0] || !k->dy[0])
        return;
    if (plan->last < 0)
        sal_pass_backward(k);
    else if (sal_shape_count(&k->out[0]->shape))
        split(k, true);
}

static size_t scratch(const struct sal_kernel *k, bool back)
{
    const struct plan *plan = k->node->plan;
    if (plan->last < 0)
        return 0;
    const struct sal_resize_pass pass = pass_of(k, back);
    return (size_t)sal_resize_pass_line(&pass);
}

static void carry(const struct sal_kernel *k, int input, int output,
                  struct sal_carry *carry)
{
    if (!input)
        sal_carry_in_order(k, input, output, carry);
}

const struct sal_op sal_op_Resize = {
    .name = "Resize",
    .since = 10,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = 4,
    .max_out = 1,
    .parse = resize_parse,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .frugal = true,
    .carry = carry,
    .scratch = scratch,
};

const struct sal_op sal_op_Upsample = {
    .name = "Upsample",
    .since = 7,
    .until = 9,
    .min_in = 1,
    .max_in = 2,
    .max_out = 1,
    .parse = upsample_parse,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .frugal = true,
    .carry = carry,
    .scratch = scratch,
};
