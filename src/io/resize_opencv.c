#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "resize.h"

/* OpenCV's cv::resize: the kernel keeps its size when shrinking (area excepted);
 * with 8-bit levels linear, cubic and Lanczos are sums of 11-bit weights. */

static const double pi = 3.14159265358979323846;
static const double fixed_unit = 1 << 11;

/* ---- kernels: the weights of the taps around a position ---------------------- */

static void linear(double f, double *weight)
{
    weight[0] = 1 - f;
    weight[1] = f;
}

static void cubic(double f, double *weight)
{
    const double a = -0.75;
    double g = 1 - f;
    weight[0] = ((a * (f + 1) - 5 * a) * (f + 1) + 8 * a) * (f + 1) - 4 * a;
    weight[1] = ((a + 2) * f - (a + 3)) * f * f + 1;
    weight[2] = ((a + 2) * g - (a + 3)) * g * g + 1;
    weight[3] = 1 - weight[0] - weight[1] - weight[2];
}

static void lanczos(double f, double *weight)
{
    double sum = 0;
    for (int t = 0; t < 8; t++) {
        double x = (f + 3 - t) * pi;
        weight[t] = fabs(x) < 1e-6 ? 1 : 4 * sin(x) * sin(x / 4) / (x * x);
        sum += weight[t];
    }
    for (int t = 0; t < 8; t++)
        weight[t] /= sum;
}

static const struct {
    int taps;
    void (*weigh)(double f, double *weight);
} kernels[] = {
    [SAL_BILINEAR] = {2, linear},
    [SAL_BICUBIC] = {4, cubic},
    [SAL_AREA] = {2, linear},
    [SAL_LANCZOS] = {8, lanczos},
};

struct span {
    int in, out;
    double at, extent;
    bool columns; /* the axis along a row */
};

/* As OpenCV computes it, through the inverse. */
static double scale_of(const struct span *span)
{
    return 1 / (span->out / span->extent);
}

static int hold(int i, int n)
{
    return i < 0 ? 0 : i < n ? i : n - 1;
}

/* Where output i falls: before input *left, by a fraction in single precision. */
static double position(const struct span *span, enum sal_filter filter, int i, int *left)
{
    double scale = scale_of(span), inverse = 1 / scale;
    if (filter == SAL_AREA) { /* enlarging: edges between pixels stay sharp */
        double at = floor(span->at + i * scale);
        *left = (int)at;
        float f = (float)((i + 1) - (at - span->at + 1) * inverse);
        return f <= 0 ? 0 : (double)(f - floorf(f));
    }
    float f = (float)(span->at + (i + 0.5) * scale - 0.5);
    *left = (int)floorf(f);
    return (double)(f - floorf(f));
}

static enum sal_status fill_kernel(struct sal_axis *axis, enum sal_filter filter,
                                   const struct span *span, struct sal_error *err)
{
    int taps = kernels[filter].taps;
    enum sal_status status = sal_axis_init(axis, span->out, taps, err);
    for (int i = 0; !status && i < span->out; i++) {
        int left;
        double f = position(span, filter, i, &left);
        if (span->columns && taps == 2 && (left < 0 || left >= span->in - 1))
            f = 0;
        kernels[filter].weigh(f, axis->weight + (size_t)i * taps);
        for (int t = 0; t < taps; t++)
            axis->index[i * taps + t] = hold(left - taps / 2 + 1 + t, span->in);
    }
    return status;
}

static enum sal_status fill_nearest(struct sal_axis *axis, const struct span *span,
                                    struct sal_error *err)
{
    enum sal_status status = sal_axis_init(axis, span->out, 1, err);
    for (int i = 0; !status && i < span->out; i++) {
        axis->index[i] = hold((int)floor(span->at + i * scale_of(span)), span->in);
        axis->weight[i] = 1;
    }
    return status;
}

/* ---- area ------------------------------------------------------------------- */

/* Each input weighs by how much of it lies in the cell; slivers are left out, as
 * OpenCV does. */
static enum sal_status fill_area(struct sal_axis *axis, const struct span *span,
                                 struct sal_error *err)
{
    double scale = scale_of(span);
    enum sal_status status = sal_axis_init(axis, span->out, ceil(scale) + 2, err);
    for (int i = 0; !status && i < span->out; i++) {
        double from = span->at + i * scale, to = fmin(from + scale, span->at + span->extent);
        int first = (int)floor(from), taps = axis->taps;
        for (int t = 0; t < taps; t++) {
            double part = fmin(to, first + t + 1) - fmax(from, first + t);
            axis->index[i * taps + t] = hold(first + t, span->in);
            axis->weight[i * taps + t] =
                part > 1e-3 ? (double)(float)(fmin(part, 1) / (to - from)) : 0;
        }
    }
    return status;
}

static bool whole(const struct span *span, double *scale)
{
    *scale = rint(scale_of(span));
    return fabs(scale_of(span) - *scale) < DBL_EPSILON && span->at == floor(span->at);
}

/* ---- arithmetic --------------------------------------------------------------- */

static double from_fixed(double sum, double levels)
{
    double value = floor((sum + fixed_unit * fixed_unit / 2) / (fixed_unit * fixed_unit));
    return value < 0 ? 0 : value > levels ? levels : value;
}

/* Linear drops bits on the way so that 16-bit products suffice. */
static double linear_between(double sum, double levels)
{
    (void)levels;
    return floor(sum / 16);
}

static double linear_times(double weight, double value)
{
    return floor(weight * value / 65536);
}

static double linear_finish(double sum, double levels)
{
    return sal_to_level(floor((sum + 2) / 4), levels);
}

/* Averages of 2 x 2 are rounded half up. */
static double half_up(double sum, double levels)
{
    return sal_to_level(floor(sum + 0.5), levels);
}

static void choose_arithmetic(const struct sal_resize *resize, struct sal_axis *x,
                              struct sal_axis *y, struct sal_arithmetic *arithmetic)
{
    arithmetic->finish = sal_to_level;
    if (resize->levels != 255)
        return;
    sal_axis_scale(x, fixed_unit);
    sal_axis_scale(y, fixed_unit);
    arithmetic->finish = from_fixed;
    if (kernels[resize->filter].taps == 2) {
        arithmetic->between = linear_between;
        arithmetic->times = linear_times;
        arithmetic->finish = linear_finish;
    }
}

enum sal_status sal_resizer_opencv(const struct sal_resize *resize, struct sal_axis *x,
                                   struct sal_axis *y, struct sal_arithmetic *arithmetic,
                                   struct sal_error *err)
{
    struct span across = {resize->image->width, resize->dst_width, resize->src_x.at,
                          resize->src_x.extent, true};
    struct span down = {resize->image->height, resize->dst_height, resize->src_y.at,
                        resize->src_y.extent, false};
    if (resize->filter == SAL_NEAREST)
        return fill_nearest(x, &across, err) || fill_nearest(y, &down, err) ? SAL_LIMIT
                                                                            : SAL_OK;
    double scale_x, scale_y;
    bool halves = whole(&across, &scale_x) && whole(&down, &scale_y) && scale_x == 2 &&
                  scale_y == 2;
    bool shrinks = scale_of(&across) >= 1 && scale_of(&down) >= 1;
    bool area = resize->filter == SAL_AREA && shrinks;
    if (area || (resize->filter == SAL_BILINEAR && halves)) {
        if (resize->round)
            arithmetic->finish = halves ? half_up : sal_to_level;
        return fill_area(x, &across, err) || fill_area(y, &down, err) ? SAL_LIMIT : SAL_OK;
    }
    if (fill_kernel(x, resize->filter, &across, err) ||
        fill_kernel(y, resize->filter, &down, err))
        return SAL_LIMIT;
    if (resize->round)
        choose_arithmetic(resize, x, y, arithmetic);
    return SAL_OK;
}
