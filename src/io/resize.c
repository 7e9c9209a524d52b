#include "resize.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum sal_status sal_axis_init(struct sal_axis *axis, int size, double taps,
                              struct sal_error *err)
{
    *axis = (struct sal_axis){.size = size, .taps = (int)taps};
    double count = taps * size;
    if (count < 1e9) {
        axis->index = calloc((size_t)count, sizeof(*axis->index));
        axis->weight = calloc((size_t)count, sizeof(*axis->weight));
    }
    if (!axis->index || !axis->weight)
        return sal_fail(err, SAL_LIMIT, "no memory to resize to %d pixels", size);
    return SAL_OK;
}

void sal_axis_release(struct sal_axis *axis)
{
    free(axis->index);
    free(axis->weight);
    *axis = (struct sal_axis){0};
}

void sal_axis_scale(struct sal_axis *axis, double unit)
{
    size_t count = (size_t)axis->size * axis->taps;
    for (size_t i = 0; i < count; i++)
        axis->weight[i] = rint(axis->weight[i] * unit);
}

double sal_to_level(double value, double levels)
{
    value = rint(value);
    return value < 0 ? 0 : value > levels ? levels : value;
}

/* ---- levels of the image -------------------------------------------------- */

/* One stored sample, over black, on the scale of levels. */
static unsigned level(const struct sal_resize *resize, unsigned sample, unsigned alpha)
{
    uint64_t max = resize->image->max, half = max / 2;
    if (alpha != max)
        sample = (unsigned)(((uint64_t)sample * alpha + half) / max);
    if (resize->levels != max)
        sample = (unsigned)(((uint64_t)sample * resize->levels + half) / max);
    return sample;
}

/* ITU-R 601 as Pillow computes it. */
static unsigned luma(unsigned red, unsigned green, unsigned blue)
{
    return (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16;
}

static void level_row(const struct sal_resize *resize, int y, float *row)
{
    const struct sal_image *image = resize->image;
    int n = image->channels, colours = n < 3 ? 1 : 3;
    const uint16_t *from = image->samples + (size_t)y * image->width * n;
    for (int x = 0; x < image->width; x++, from += n) {
        unsigned alpha = n > colours ? from[colours] : image->max;
        if (colours == 1)
            row[x] = (float)level(resize, from[0], alpha);
        else if (resize->channel != SAL_LUMA)
            row[x] = (float)level(resize, from[resize->channel], alpha);
        else
            row[x] = (float)luma(level(resize, from[0], alpha), level(resize, from[1], alpha),
                                 level(resize, from[2], alpha));
    }
}

/* ---- the sums --------------------------------------------------------------- */

struct sums {
    const struct sal_resize *resize;
    struct sal_axis x, y;
    struct sal_arithmetic arithmetic;
    float *levels;  /* one row of the image */
    float *ring;    /* y.taps rows, resized along x; row i lies at i % taps */
    int *held;      /* which row that is; -1: none */
    double *sum;    /* one row of the result */
};

static const float *resized_row(struct sums *sums, int row)
{
    int slot = row % sums->y.taps, width = sums->x.size, taps = sums->x.taps;
    float *out = sums->ring + (size_t)slot * width;
    if (sums->held[slot] == row)
        return out;
    level_row(sums->resize, row, sums->levels);
    const int *index = sums->x.index;
    const double *weight = sums->x.weight;
    for (int i = 0; i < width; i++, index += taps, weight += taps) {
        double sum = 0;
        for (int t = 0; t < taps; t++)
            sum += weight[t] * (double)sums->levels[index[t]];
        if (sums->arithmetic.between)
            sum = sums->arithmetic.between(sum, sums->resize->levels);
        out[i] = (float)sum;
    }
    sums->held[slot] = row;
    return out;
}

static void add_row(struct sums *sums, const float *row, double weight)
{
    double (*times)(double, double) = sums->arithmetic.times;
    for (int i = 0; i < sums->x.size; i++)
        sums->sum[i] += times ? times(weight, (double)row[i]) : weight * (double)row[i];
}

static void result_row(struct sums *sums, int y, float *out)
{
    memset(sums->sum, 0, (size_t)sums->x.size * sizeof(*sums->sum));
    for (int t = 0; t < sums->y.taps; t++) {
        size_t at = (size_t)y * sums->y.taps + t;
        if (sums->y.weight[at] != 0)
            add_row(sums, resized_row(sums, sums->y.index[at]), sums->y.weight[at]);
    }
    for (int i = 0; i < sums->x.size; i++) {
        double value = sums->sum[i];
        if (sums->arithmetic.finish)
            value = sums->arithmetic.finish(value, sums->resize->levels);
        out[i] = (float)value;
    }
}

static enum sal_status sums_init(struct sums *sums, struct sal_error *err)
{
    const struct sal_resize *resize = sums->resize;
    size_t width = (size_t)sums->x.size, taps = (size_t)sums->y.taps, room;
    if (!__builtin_mul_overflow(width * taps, sizeof(float), &room))
        sums->ring = malloc(room);
    sums->levels = malloc((size_t)resize->image->width * sizeof(float));
    sums->held = malloc(taps * sizeof(int));
    sums->sum = malloc(width * sizeof(double));
    if (!sums->ring || !sums->levels || !sums->held || !sums->sum)
        return sal_fail(err, SAL_LIMIT, "no memory to resize to %d x %d pixels",
                        resize->dst_width, resize->dst_height);
    for (size_t i = 0; i < taps; i++)
        sums->held[i] = -1;
    return SAL_OK;
}

enum sal_status sal_resize(const struct sal_resize *resize, sal_resizer *resizer,
                           struct sal_error *err)
{
    struct sums sums = {.resize = resize};
    enum sal_status status = resizer(resize, &sums.x, &sums.y, &sums.arithmetic, err);
    if (!status)
        status = sums_init(&sums, err);
    for (int y = 0; !status && y < resize->dst_height; y++)
        result_row(&sums, y, resize->dst + y * resize->dst_stride);
    free(sums.ring);
    free(sums.levels);
    free(sums.held);
    free(sums.sum);
    sal_axis_release(&sums.x);
    sal_axis_release(&sums.y);
    return status;
}
