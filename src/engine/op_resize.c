/* Resize 10, 11, 13, 18 and 19, and Upsample 7 and 9, which it grew from. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "kernel.h"
#include "resize_table.h"

enum policy { STRETCH, NOT_LARGER, NOT_SMALLER, POLICIES };

static const char *const policy_names[POLICIES] = {
    [STRETCH] = "stretch",
    [NOT_LARGER] = "not_larger",
    [NOT_SMALLER] = "not_smaller",
};

struct resize {
    struct sal_resize_rule rule;
    struct sal_int_list axes;
    int policy;
    sal_real extrapolation;
    const float *scales; /* Upsample 7's attribute */
    int n_scales;
};

/* What infer makes: both directions of every axis that is resized. */
struct plan {
    int last; /* the last one; -1: none, the output is the input */
    struct sal_resize_table forward[SAL_RANK_MAX], back[SAL_RANK_MAX]; /* run NULL: not */
};

/* ---- attributes ---------------------------------------------------------------- */

static enum sal_status new_resize(struct sal_node *node, struct sal_arena *arena,
                                  struct resize **resize, struct sal_error *err)
{
    *resize = sal_new(arena, struct resize, 1);
    if (!*resize)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = *resize;
    return SAL_OK;
}

/* Before opset 11 there was one way only: the corner of a pixel is its place. */
static void be_old(struct resize *resize)
{
    resize->rule.place = SAL_RESIZE_ASYMMETRIC;
    resize->rule.rounding = SAL_RESIZE_FLOOR;
}

static enum sal_status parse_rule(const struct sal_node *node,
                                  const struct sal_onnx_node *source,
                                  struct resize *resize, struct sal_error *err)
{
    struct sal_resize_rule *rule = &resize->rule;
    int64_t antialias = 0, exclude = 0;
    double value = 0;
    enum sal_status status = sal_attr_word(
        node, source, "coordinate_transformation_mode", sal_resize_places,
        SAL_RESIZE_PLACES, SAL_RESIZE_HALF_PIXEL, &rule->place, err);
    (void)(status ||
           (status = sal_attr_word(node, source, "nearest_mode", sal_resize_roundings,
                                   SAL_RESIZE_ROUNDINGS, SAL_RESIZE_PREFER_FLOOR,
                                   &rule->rounding, err)) ||
           (status = sal_attr_word(node, source, "keep_aspect_ratio_policy",
                                   policy_names, POLICIES, STRETCH, &resize->policy,
                                   err)) ||
           (status = sal_attr_float(source, "cubic_coeff_a", -0.75, &rule->cubic, err)) ||
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
    struct resize *resize;
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
    struct resize *resize;
    enum sal_status status = new_resize(node, arena, &resize, err);
    if (status || (status = sal_attr_word(node, source, "mode", sal_resize_modes,
                                          SAL_RESIZE_CUBIC, SAL_RESIZE_NEAREST,
                                          &resize->rule.mode, err)))
        return status;
    be_old(resize);
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

/* ---- sizes ----------------------------------------------------------------------- */

/* What is asked of each axis of the input, in its order. */
struct request {
    struct sal_resize_axis axis[SAL_RANK_MAX];
    int n; /* axes that the lists are about */
    int at[SAL_RANK_MAX];
};

static enum sal_status choose_axes(const struct sal_infer *infer,
                                   struct request *request, struct sal_error *err)
{
    const struct resize *resize = infer->node->attr;
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
static enum sal_status read_reals(const struct sal_infer *infer, int i, const char *what,
                                  int64_t n, const sal_real **values,
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
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT, "%s is not finite", what);
    *values = tensor->real;
    return SAL_OK;
}

static bool crops(const struct resize *resize)
{
    return resize->rule.place == SAL_RESIZE_TF_CROP;
}

static enum sal_status take_region(const struct sal_infer *infer, struct request *request,
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

static enum sal_status set_out(const struct sal_infer *infer, struct sal_resize_axis *axis,
                               double out, struct sal_error *err)
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
                                   struct request *request, struct sal_error *err)
{
    enum sal_status status = SAL_OK;
    for (int i = 0; i < request->n && !status; i++) {
        struct sal_resize_axis *axis = &request->axis[request->at[i]];
        float least = strcmp(infer->node->op->name, "Upsample") ? 0 : 1;
        if (!(scales[i] > 0 && scales[i] >= least) || !isfinite(scales[i]))
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT, "scales[%d] is %g", i,
                                 (double)scales[i]);
        axis->length = (double)scales[i] * (double)axis->in;
        status = set_out(infer, axis, floor((double)((float)axis->in * scales[i])), err);
    }
    return status;
}

static enum sal_status take_sizes(const struct sal_infer *infer, const int64_t *sizes,
                                  struct request *request, struct sal_error *err)
{
    const struct resize *resize = infer->node->attr;
    double scale = 0;
    for (int i = 0; i < request->n; i++) {
        struct sal_resize_axis *axis = &request->axis[request->at[i]];
        if (sizes[i] < 0 || sizes[i] >= SAL_COUNT_MAX)
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "sizes[%d] is %" PRId64 ", must be 0 to 2^40", i, sizes[i]);
        axis->out = sizes[i];
        axis->length = (double)sizes[i];
        if (!axis->in && resize->policy != STRETCH)
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "an empty axis has no aspect ratio");
        double own = axis->length / (double)axis->in;
        bool takes = !i || (resize->policy == NOT_LARGER ? own < scale : own > scale);
        scale = takes ? own : scale;
    }
    enum sal_status status = SAL_OK;
    for (int i = 0; i < request->n && !status && resize->policy != STRETCH; i++) {
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
    const struct resize *resize = infer->node->attr;
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

static enum sal_status read_request(const struct sal_infer *infer,
                                    struct request *request, struct sal_error *err)
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

/* ---- infer ------------------------------------------------------------------------ */

static bool unchanged(const struct resize *resize, const struct sal_resize_axis *axis)
{
    bool whole = !crops(resize) || (axis->start == 0 && axis->end == 1);
    return whole && axis->in == axis->out &&
           fabs(axis->length - (double)axis->in) <= 1e-9 * (double)axis->in;
}

/* Opset 10 rounds up where it shrinks, as its implementations did. */
static struct sal_resize_rule rule_for(const struct sal_node *node,
                                       const struct sal_resize_axis *axis)
{
    struct sal_resize_rule rule = ((const struct resize *)node->attr)->rule;
    if (node->opset < 11 && axis->length < (double)axis->in)
        rule.rounding = SAL_RESIZE_CEIL;
    return rule;
}

static enum sal_status build_plan(const struct sal_infer *infer,
                                  const struct request *request, struct plan *plan,
                                  struct sal_error *err)
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
    struct request request = {0};
    enum sal_status status = sal_infer_kind(infer, 0, SAL_REAL, err);
    if (status || (status = read_request(infer, &request, err)))
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

/* ---- kernels ---------------------------------------------------------------------- */

/* One direction: rows of `to` along the last resized axis, from rows of `from`. */
struct pass {
    const struct sal_resize_table *table; /* per axis */
    const struct sal_shape *from, *to;
    int last;
    int64_t inner; /* elements that each position of the last axis has */
};

static struct pass pass_of(const struct sal_kernel *k, bool back)
{
    const struct plan *plan = k->node->plan;
    const struct sal_shape *x = &k->in[0]->shape, *y = &k->out[0]->shape;
    return (struct pass){
        .table = back ? plan->back : plan->forward,
        .from = back ? y : x,
        .to = back ? x : y,
        .last = plan->last,
        .inner = sal_shape_span(x, plan->last + 1, x->rank),
    };
}

static int64_t line_of(const struct pass *p)
{
    return p->from->dim[p->last] * p->inner;
}

/* What one row of the result reads along the axes before the last. */
struct reading {
    int n;           /* axes that are resized */
    int64_t at;      /* the first element read */
    int64_t rows;    /* rows read, product of the runs */
    int64_t run[SAL_RANK_MAX], stride[SAL_RANK_MAX];
    const sal_real *weight[SAL_RANK_MAX];
};

static struct reading reading_of(const struct pass *p, int64_t row)
{
    struct reading r = {.rows = 1};
    int64_t stride = line_of(p);
    for (int i = p->last - 1; i >= 0; i--) {
        int64_t at = row % p->to->dim[i];
        row /= p->to->dim[i];
        if (p->table[i].run) {
            const struct sal_resize_run *run = &p->table[i].run[at];
            r.run[r.n] = run->n;
            r.stride[r.n] = stride;
            r.weight[r.n++] = p->table[i].weight + run->weight;
            r.rows *= run->n;
            at = run->first;
        }
        r.at += at * stride;
        stride *= p->from->dim[i];
    }
    return r;
}

/* The weighted sum of the rows that are read, in line or, where it is one row as it
 * is, where that lies. */
static const sal_real *mix_rows(const struct reading *r, const sal_real *from,
                                int64_t width, sal_real *line)
{
    bool copied = r->rows == 1;
    for (int i = 0; i < r->n; i++)
        copied &= r->weight[i][0] == 1;
    if (copied)
        return from + r->at;
    memset(line, 0, sizeof(*line) * (size_t)width);
    for (int64_t row = 0; row < r->rows; row++) {
        int64_t rest = row, at = r->at;
        sal_real weight = 1;
        for (int i = 0; i < r->n; i++) {
            at += rest % r->run[i] * r->stride[i];
            weight *= r->weight[i][rest % r->run[i]];
            rest /= r->run[i];
        }
        for (int64_t i = 0; i < width && weight != 0; i++)
            line[i] += weight * from[at + i];
    }
    return line;
}

/* Along the last axis, one element to each position. Outside is what stands where
 * nothing is read. */
static void mix_elements(const struct sal_resize_table *table, const sal_real *line,
                         sal_real outside, bool add, sal_real *to)
{
    for (int64_t o = 0; o < table->out; o++) {
        const struct sal_resize_run run = table->run[o];
        const sal_real *weight = table->weight + run.weight, *from = line + run.first;
        sal_real sum = run.n ? weight[0] * from[0] : outside;
        for (int64_t t = 1; t < run.n; t++)
            sum += weight[t] * from[t];
        to[o] = add ? to[o] + sum : sum;
    }
}

/* The same with `inner` elements to each position. */
static void mix_vectors(const struct sal_resize_table *table, int64_t inner,
                        const sal_real *line, sal_real outside, bool add, sal_real *to)
{
    for (int64_t o = 0; o < table->out; o++, to += inner) {
        const struct sal_resize_run run = table->run[o];
        const sal_real *from = line + run.first * inner;
        for (int64_t i = 0; i < inner && !add; i++)
            to[i] = run.n ? 0 : outside;
        for (int64_t t = 0; t < run.n; t++, from += inner) {
            sal_real weight = table->weight[run.weight + t];
            for (int64_t i = 0; i < inner; i++)
                to[i] += weight * from[i];
        }
    }
}

static void mix(const struct sal_kernel *k, const struct pass *p, const sal_real *from,
                sal_real outside, bool add, sal_real *to, int64_t row, int64_t end,
                int worker)
{
    sal_real *line = k->scratch + worker * k->scratch_stride;
    int64_t width = p->to->dim[p->last] * p->inner;
    for (; row < end; row++) {
        struct reading r = reading_of(p, row);
        sal_real *y = to + row * width;
        for (int64_t i = 0; i < width && !r.rows && !add; i++)
            y[i] = outside;
        const sal_real *mixed = r.rows ? mix_rows(&r, from, line_of(p), line) : NULL;
        if (mixed && p->inner == 1)
            mix_elements(&p->table[p->last], mixed, outside, add, y);
        else if (mixed)
            mix_vectors(&p->table[p->last], p->inner, mixed, outside, add, y);
    }
}

static void forward_rows(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    const struct resize *resize = k->node->attr;
    struct pass p = pass_of(k, false);
    mix(k, &p, k->in[0]->real, resize->extrapolation, false, k->out[0]->real, from, to,
        worker);
}

static void backward_rows(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    struct pass p = pass_of(k, true);
    mix(k, &p, k->dy[0], 0, true, k->dx[0], from, to, worker);
}

/* Elements that one row of the result takes to compute, roughly. */
static int64_t cost_of(const struct pass *p)
{
    int64_t cost = line_of(p) + p->to->dim[p->last] * p->inner;
    for (int i = 0; i < p->last && cost < SAL_TILE; i++)
        if (p->table[i].run)
            cost *= 1 + p->from->dim[i] / p->to->dim[i];
    return cost;
}

static void forward(const struct sal_kernel *k)
{
    const struct plan *plan = k->node->plan;
    if (!sal_shape_count(&k->out[0]->shape))
        return;
    if (plan->last < 0) {
        sal_pass_forward(k);
        return;
    }
    struct pass p = pass_of(k, false);
    sal_split(k->pool, sal_shape_span(p.to, 0, p.last), sal_grain(cost_of(&p)),
              forward_rows, k);
}

static void backward(const struct sal_kernel *k)
{
    const struct plan *plan = k->node->plan;
    if (!k->dx[0] || !k->dy[0] || !sal_shape_count(&k->out[0]->shape))
        return;
    if (plan->last < 0) {
        sal_pass_backward(k);
        return;
    }
    struct pass p = pass_of(k, true);
    sal_split(k->pool, sal_shape_span(p.to, 0, p.last), sal_grain(cost_of(&p)),
              backward_rows, k);
}

static size_t scratch(const struct sal_kernel *k, bool back)
{
    const struct plan *plan = k->node->plan;
    if (plan->last < 0)
        return 0;
    struct pass p = pass_of(k, back);
    return (size_t)line_of(&p);
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
    .carry = carry,
    .scratch = scratch,
};
