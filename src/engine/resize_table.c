#include "resize_table.h"

#include <inttypes.h>
#include <math.h>

enum { WEIGHTS_MOST = 1 << 26 }; /* of one axis */

const char *const sal_resize_modes[SAL_RESIZE_MODES] = {
    [SAL_RESIZE_NEAREST] = "nearest",
    [SAL_RESIZE_LINEAR] = "linear",
    [SAL_RESIZE_CUBIC] = "cubic",
};

const char *const sal_resize_places[SAL_RESIZE_PLACES] = {
    [SAL_RESIZE_HALF_PIXEL] = "half_pixel",
    [SAL_RESIZE_HALF_PIXEL_SYMMETRIC] = "half_pixel_symmetric",
    [SAL_RESIZE_PYTORCH_HALF_PIXEL] = "pytorch_half_pixel",
    [SAL_RESIZE_ALIGN_CORNERS] = "align_corners",
    [SAL_RESIZE_ASYMMETRIC] = "asymmetric",
    [SAL_RESIZE_TF_HALF_PIXEL] = "tf_half_pixel_for_nn",
    [SAL_RESIZE_TF_CROP] = "tf_crop_and_resize",
};

const char *const sal_resize_roundings[SAL_RESIZE_ROUNDINGS] = {
    [SAL_RESIZE_PREFER_FLOOR] = "round_prefer_floor",
    [SAL_RESIZE_PREFER_CEIL] = "round_prefer_ceil",
    [SAL_RESIZE_FLOOR] = "floor",
    [SAL_RESIZE_CEIL] = "ceil",
};

/* ---- coordinates ------------------------------------------------------------- */

/* Multiplied before it is divided: sizes that are multiples give whole numbers. */
static double scaled(const struct sal_resize_axis *axis, double x)
{
    return x * (double)axis->in / axis->length;
}

static double half_pixel(const struct sal_resize_axis *axis, double x)
{
    return scaled(axis, x + 0.5) - 0.5;
}

static double half_pixel_symmetric(const struct sal_resize_axis *axis, double x)
{
    double adjustment = (double)axis->out / axis->length;
    return (double)axis->in / 2 * (1 - adjustment) + half_pixel(axis, x);
}

static double pytorch_half_pixel(const struct sal_resize_axis *axis, double x)
{
    return axis->out > 1 ? half_pixel(axis, x) : 0;
}

static double align_corners(const struct sal_resize_axis *axis, double x)
{
    double last = axis->length - 1;
    return last == 0 || axis->out == 1 ? 0 : x * (double)(axis->in - 1) / last;
}

static double tf_half_pixel(const struct sal_resize_axis *axis, double x)
{
    return scaled(axis, x + 0.5);
}

static double tf_crop(const struct sal_resize_axis *axis, double x)
{
    double last = (double)(axis->in - 1);
    if (axis->out == 1)
        return (axis->start + axis->end) * last / 2;
    return axis->start * last +
           x * (axis->end - axis->start) * last / (double)(axis->out - 1);
}

static double (*const places[SAL_RESIZE_PLACES])(const struct sal_resize_axis *axis,
                                                 double x) = {
    [SAL_RESIZE_HALF_PIXEL] = half_pixel,
    [SAL_RESIZE_HALF_PIXEL_SYMMETRIC] = half_pixel_symmetric,
    [SAL_RESIZE_PYTORCH_HALF_PIXEL] = pytorch_half_pixel,
    [SAL_RESIZE_ALIGN_CORNERS] = align_corners,
    [SAL_RESIZE_ASYMMETRIC] = scaled,
    [SAL_RESIZE_TF_HALF_PIXEL] = tf_half_pixel,
    [SAL_RESIZE_TF_CROP] = tf_crop,
};

/* False where TF_CROP reads outside. *at is bounded, so that it fits an integer. */
static bool place_of(const struct sal_resize_rule *rule,
                     const struct sal_resize_axis *axis, int64_t o, double *at)
{
    double x = places[rule->place](axis, (double)o);
    if (rule->place == SAL_RESIZE_TF_CROP && !(x >= 0 && x <= (double)(axis->in - 1)))
        return false;
    *at = fmin(fmax(x, -0x1p40), 0x1p40);
    return true;
}

/* ---- filters ----------------------------------------------------------------- */

static double triangle(double x, double a)
{
    (void)a;
    return fmax(0, 1 - fabs(x));
}

/* Keys, Cubic convolution interpolation, 1981, equation 4. */
static double cubic(double x, double a)
{
    x = fabs(x);
    if (x <= 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

struct filter {
    double (*weight)(double x, double a);
    double radius;
};

static const struct filter filters[SAL_RESIZE_MODES] = {
    [SAL_RESIZE_LINEAR] = {triangle, 1},
    [SAL_RESIZE_CUBIC] = {cubic, 2},
};

/* What the filter's argument is multiplied by: less than 1 widens it. */
static double stretch_of(const struct sal_resize_rule *rule,
                         const struct sal_resize_axis *axis)
{
    return rule->antialias ? fmin(1, axis->length / (double)axis->in) : 1;
}

static int64_t clamp(int64_t i, int64_t n)
{
    return i < 0 ? 0 : i < n ? i : n - 1;
}

/* What lies outside the axis counts for its edge, unless it is excluded. */
static void weigh(const struct sal_resize_rule *rule,
                  const struct sal_resize_axis *axis, double at, int64_t half,
                  const struct sal_resize_run *run, sal_real *weight)
{
    const struct filter *filter = &filters[rule->mode];
    double stretch = stretch_of(rule, axis), total = 0;
    int64_t base = (int64_t)ceil(at) - 1, last = run->first + run->n - 1;
    double edge[2] = {0}; /* summed before they are rounded */
    for (int pass = 0; pass < 2; pass++) {
        double divisor =
            total != 0 && (rule->antialias || rule->exclude_outside) ? total : 1;
        for (int64_t i = base - half + 1; i <= base + half; i++) {
            bool inside = i >= 0 && i < axis->in;
            double w = inside || !rule->exclude_outside
                           ? filter->weight(((double)i - at) * stretch, rule->cubic)
                           : 0;
            int64_t to = clamp(i, axis->in);
            if (!pass)
                total += w;
            else if (to == run->first)
                weight[0] = (sal_real)((edge[0] += w) / divisor);
            else if (to == last)
                weight[run->n - 1] = (sal_real)((edge[1] += w) / divisor);
            else
                weight[to - run->first] = (sal_real)(w / divisor);
        }
    }
}

/* ---- nearest ----------------------------------------------------------------- */

/* A scale is a float: what lies on a tie to a float's precision is meant to lie on it.
 */
static int64_t nearest(const struct sal_resize_rule *rule, double at)
{
    double x = (double)(float)(at + 0.5) - 0.5;
    switch (rule->rounding) {
    case SAL_RESIZE_PREFER_FLOOR:
        return (int64_t)ceil(x - 0.5);
    case SAL_RESIZE_PREFER_CEIL:
        return (int64_t)floor(x + 0.5);
    case SAL_RESIZE_FLOOR:
        return (int64_t)floor(x);
    default:
        return (int64_t)ceil(x);
    }
}

/* ---- tables ------------------------------------------------------------------ */

static enum sal_status too_large(const struct sal_node *node,
                                 const struct sal_resize_axis *axis,
                                 struct sal_error *err)
{
    return sal_node_fail(node, err, SAL_LIMIT,
                         "an axis of %" PRId64
                         " elements is too long to be made %" PRId64,
                         axis->in, axis->out);
}

/* Runs without their weights; *total of them are needed. */
static void lay_runs(const struct sal_resize_rule *rule,
                     const struct sal_resize_axis *axis, int64_t half,
                     struct sal_resize_run *runs, int64_t *total)
{
    *total = 0;
    for (int64_t o = 0; o < axis->out; o++) {
        double at = 0;
        runs[o] = (struct sal_resize_run){.weight = *total};
        if (!place_of(rule, axis, o, &at))
            continue;
        int64_t first, last;
        if (rule->mode == SAL_RESIZE_NEAREST) {
            first = last = nearest(rule, at);
        } else {
            first = (int64_t)ceil(at) - half;
            last = first + 2 * half - 1;
        }
        runs[o].first = clamp(first, axis->in);
        runs[o].n = clamp(last, axis->in) - runs[o].first + 1;
        *total += runs[o].n;
    }
}

enum sal_status sal_resize_table_build(struct sal_resize_table *table,
                                       const struct sal_node *node,
                                       const struct sal_resize_rule *rule,
                                       const struct sal_resize_axis *axis,
                                       struct sal_arena *arena, struct sal_error *err)
{
    double reach = 1;
    if (rule->mode != SAL_RESIZE_NEAREST)
        reach = ceil(filters[rule->mode].radius / stretch_of(rule, axis));
    if (axis->in > WEIGHTS_MOST || !(2 * reach * (double)axis->out <= WEIGHTS_MOST))
        return too_large(node, axis, err);
    int64_t half = (int64_t)reach, total;
    struct sal_resize_run *runs = sal_new(arena, struct sal_resize_run, axis->out);
    if (!runs)
        return too_large(node, axis, err);
    lay_runs(rule, axis, half, runs, &total);
    sal_real *weight = sal_new(arena, sal_real, total);
    if (!weight)
        return too_large(node, axis, err);
    for (int64_t o = 0; o < axis->out; o++) {
        double at = 0;
        if (!runs[o].n)
            continue;
        place_of(rule, axis, o, &at);
        if (rule->mode == SAL_RESIZE_NEAREST)
            weight[runs[o].weight] = 1;
        else
            weigh(rule, axis, at, half, &runs[o], weight + runs[o].weight);
    }
    *table = (struct sal_resize_table){axis->in, axis->out, runs, weight};
    return SAL_OK;
}

/* ---- transposing ------------------------------------------------------------- */

/* Positions move one way along an axis, so what reads one input is a run as well; a
 * gap in it would only be filled with zeros. */
static int64_t transpose_runs(const struct sal_resize_table *from,
                              struct sal_resize_run *runs)
{
    for (int64_t o = 0; o < from->out; o++)
        for (int64_t i = from->run[o].first; i < from->run[o].first + from->run[o].n;
             i++) {
            if (!runs[i].n)
                runs[i].first = o;
            runs[i].n = o - runs[i].first + 1;
        }
    int64_t total = 0;
    for (int64_t i = 0; i < from->in; i++) {
        runs[i].weight = total;
        total += runs[i].n;
    }
    return total;
}

enum sal_status sal_resize_table_transpose(struct sal_resize_table *to,
                                           const struct sal_node *node,
                                           const struct sal_resize_table *from,
                                           struct sal_arena *arena,
                                           struct sal_error *err)
{
    const struct sal_resize_axis axis = {.in = from->in, .out = from->out};
    struct sal_resize_run *runs = sal_new(arena, struct sal_resize_run, from->in);
    if (!runs)
        return too_large(node, &axis, err);
    sal_real *weight = sal_new(arena, sal_real, transpose_runs(from, runs));
    if (!weight)
        return too_large(node, &axis, err);
    for (int64_t o = 0; o < from->out; o++) {
        const struct sal_resize_run *run = &from->run[o];
        for (int64_t t = 0; t < run->n; t++) {
            const struct sal_resize_run *back = &runs[run->first + t];
            weight[back->weight + o - back->first] = from->weight[run->weight + t];
        }
    }
    *to = (struct sal_resize_table){from->out, from->in, runs, weight};
    return SAL_OK;
}
