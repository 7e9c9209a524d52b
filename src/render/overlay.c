#include "saliscope/overlay.h"

#include <math.h>
#include <stdlib.h>

#include "overlay_draw.h"

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

/* The magnitude that so many percent of the finite values do not exceed; 0: none. */
static double percentile(const float *values, long n, double percent)
{
    float *size = malloc(sizeof(*size) * (size_t)(n > 0 ? n : 1));
    long m = 0;
    for (long i = 0; size && i < n; i++)
        if (isfinite(values[i]))
            size[m++] = fabsf(values[i]);
    if (m)
        qsort(size, (size_t)m, sizeof(*size), by_size);
    long at = (long)ceil(percent / 100 * (double)m) - 1;
    double found = m ? (double)size[at < 0 ? 0 : at >= m ? m - 1 : at] : 0;
    free(size);
    return found;
}

struct sal_range sal_range_of(const float *values, long n, bool is_signed,
                              enum sal_range_mode mode, struct sal_range given)
{
    if (mode == SAL_RANGE_FIXED)
        return given;
    double low = 0, high = 0;
    for (long i = 0; i < n; i++) {
        if (!isfinite(values[i]))
            continue;
        low = fmin(low, (double)values[i]);
        high = fmax(high, (double)values[i]);
    }
    double most = fmax(-low, high);
    double limit = mode == SAL_RANGE_PERCENTILE ? percentile(values, n, given.high) : 0;
    if (mode == SAL_RANGE_PERCENTILE && limit > 0) {
        low = fmax(low, -limit);
        high = fmin(high, limit);
    }
    if (mode != SAL_RANGE_SYMMETRIC)
        return (struct sal_range){is_signed ? low : 0, high};
    return (struct sal_range){-most, most};
}

double sal_range_above(const float *values, long n, struct sal_range range)
{
    long out = 0;
    for (long i = 0; i < n; i++)
        out += (double)values[i] > range.high;
    return n > 0 ? (double)out / (double)n : 0;
}

double sal_range_below(const float *values, long n, struct sal_range range)
{
    long out = 0;
    for (long i = 0; i < n; i++)
        out += (double)values[i] < range.low;
    return n > 0 ? (double)out / (double)n : 0;
}

/* The value that is drawn in full colour. */
static double largest(struct sal_range range)
{
    return fmax(fabs(range.low), fabs(range.high));
}

double sal_overlay_position(const struct sal_colormap *map, struct sal_range range,
                            double value)
{
    double size = map->diverging ? 2 * largest(range) : range.high - range.low;
    double zero = map->diverging ? 0.5 : 0;
    if (isnan(value))
        return value;
    if (!(fabs(size) > 0) || range.low == range.high)
        return zero;
    double t = map->diverging ? value / size + 0.5 : (value - range.low) / size;
    return fmin(fmax(t, 0), 1);
}

static double opacity(const struct sal_overlay *overlay, double most, double value)
{
    if (!overlay->alpha_by_value)
        return overlay->alpha;
    return most > 0 ? overlay->alpha * fmin(fabs(value) / most, 1) : 0;
}

static void blend(uint8_t under[3], const uint8_t over[3], double alpha)
{
    for (int c = 0; c < 3; c++)
        under[c] = (uint8_t)(under[c] + alpha * (over[c] - under[c]) + 0.5);
}

void sal_overlay_draw(const struct sal_overlay *overlay, struct sal_picture *picture,
                      const float *values)
{
    long n = (long)picture->width * picture->height;
    double most = largest(overlay->range);
    for (long i = 0; i < n; i++) {
        double value = (double)values[i];
        if (isnan(value))
            continue;
        uint8_t rgb[3];
        sal_colormap_at(overlay->colormap,
                        sal_overlay_position(overlay->colormap, overlay->range, value),
                        rgb);
        blend(picture->rgb + 3 * i, rgb, opacity(overlay, most, value));
    }
    if (overlay->contour > 0)
        sal_contour_draw(picture, values, overlay->contour);
}
