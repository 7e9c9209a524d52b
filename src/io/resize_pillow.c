#include <math.h>

#include "resize.h"

/* Pillow's resampling (its Resample.c): the support grows when shrinking; with
 * whole levels each pass is rounded, at 8 bits in fixed point. Rows are resized
 * first, as in every Pillow before 13, which begins with what shrinks most and so
 * differs in some pixels, mostly by one level. */

static const double pi = 3.14159265358979323846;
static const double fixed_unit = 1 << 22;

static double triangle(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static double cubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static double rectangle(double x)
{
    return x > -0.5 && x <= 0.5 ? 1 : 0;
}

static double sinc(double x)
{
    return x == 0 ? 1 : sin(x * pi) / (x * pi);
}

static double lanczos(double x)
{
    return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

static const struct {
    double (*weight)(double x);
    double support;
} kernels[] = {
    [SAL_BILINEAR] = {triangle, 1},
    [SAL_BICUBIC] = {cubic, 2},
    [SAL_AREA] = {rectangle, 0.5},
    [SAL_LANCZOS] = {lanczos, 3},
};

static void fill_output(struct sal_axis *axis, int i, int in, double centre, double grow,
                        enum sal_filter filter)
{
    double support = kernels[filter].support * grow, sum = 0;
    int first = (int)fmax(centre - support + 0.5, 0);
    int end = (int)fmin(centre + support + 0.5, in);
    int *index = axis->index + (size_t)i * axis->taps;
    double *weight = axis->weight + (size_t)i * axis->taps;
    int n = end - first < axis->taps ? end - first : axis->taps;
    for (int t = 0; t < axis->taps; t++)
        index[t] = first < in ? first : in - 1;
    for (int t = 0; t < n; t++) {
        index[t] = first + t;
        weight[t] = kernels[filter].weight((first + t - centre + 0.5) * (1 / grow));
        sum += weight[t];
    }
    for (int t = 0; sum != 0 && t < n; t++)
        weight[t] /= sum;
}

/* The position is summed up, as in Pillow: where it should be whole the rounding
 * error decides. */
static void fill_nearest(struct sal_axis *axis, int in, double at, double scale)
{
    double position = at + scale * 0.5;
    for (int i = 0; i < axis->size; i++, position += scale) {
        axis->index[i] = (int)fmin(fmax(floor(position), 0), in - 1);
        axis->weight[i] = 1;
    }
}

static enum sal_status fill_axis(struct sal_axis *axis, enum sal_filter filter, int in,
                                 double at, double extent, int out, struct sal_error *err)
{
    double scale = extent / out, grow = fmax(scale, 1);
    double taps = filter == SAL_NEAREST ? 1 : ceil(kernels[filter].support * grow) * 2 + 1;
    enum sal_status status = sal_axis_init(axis, out, taps, err);
    if (!status && filter == SAL_NEAREST)
        fill_nearest(axis, in, at, scale);
    for (int i = 0; !status && filter != SAL_NEAREST && i < out; i++)
        fill_output(axis, i, in, at + (i + 0.5) * scale, grow, filter);
    return status;
}

static double from_fixed(double sum, double levels)
{
    double value = floor((sum + fixed_unit / 2) / fixed_unit);
    return value < 0 ? 0 : value > levels ? levels : value;
}

/* Deeper samples: no fixed point, ties away from zero. */
static double round_up(double sum, double levels)
{
    return sal_to_level(floor(sum + 0.5), levels);
}

enum sal_status sal_resizer_pillow(const struct sal_resize *resize, struct sal_axis *x,
                                   struct sal_axis *y, struct sal_arithmetic *arithmetic,
                                   struct sal_error *err)
{
    enum sal_status status =
        fill_axis(x, resize->filter, resize->image->width, resize->src_x.at,
                  resize->src_x.extent, resize->dst_width, err);
    if (!status)
        status = fill_axis(y, resize->filter, resize->image->height, resize->src_y.at,
                           resize->src_y.extent, resize->dst_height, err);
    if (status || !resize->round || resize->filter == SAL_NEAREST)
        return status;
    if (resize->levels == 255) {
        sal_axis_scale(x, fixed_unit);
        sal_axis_scale(y, fixed_unit);
        arithmetic->between = arithmetic->finish = from_fixed;
    } else {
        arithmetic->between = arithmetic->finish = round_up;
    }
    return SAL_OK;
}
