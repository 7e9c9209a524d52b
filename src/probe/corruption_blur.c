/* Blur: motion within the focal spot, a lens that is not in focus. Beyond the edge the
 * picture is mirrored, the edge itself not repeated. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "corruption.h"

/* The element that i stands for in a mirrored row of n. */
static int mirrored(int i, int n)
{
    if (n == 1)
        return 0;
    int period = 2 * (n - 1);
    i %= period;
    i = i < 0 ? i + period : i;
    return i < n ? i : period - i;
}

/* ---- Gaussian -------------------------------------------------------------------- */

/* Half of a kernel of deviation sigma, cut at 4 sigma, of sum 1 with the other half; how far
 * it reaches. */
static int gaussian(double sigma, double *half)
{
    int reach = (int)(4 * sigma + 0.5);
    double sum = 0;
    for (int k = 0; k <= reach; k++) {
        half[k] = exp(-0.5 * k * k / (sigma * sigma));
        sum += k ? 2 * half[k] : half[k];
    }
    for (int k = 0; k <= reach; k++)
        half[k] /= sum;
    return reach;
}

/* A row or a column: n elements, `step` apart. row [n] has room for them. */
static void smooth(const double *half, int reach, float *plane, int n, int64_t step, double *row)
{
    for (int i = 0; i < n; i++)
        row[i] = (double)plane[i * step];
    for (int i = 0; i < n; i++) {
        double sum = half[0] * row[i];
        for (int k = 1; k <= reach; k++)
            sum += half[k] * (row[mirrored(i - k, n)] + row[mirrored(i + k, n)]);
        plane[i * step] = (float)sum;
    }
}

static enum sal_status alter_blur(const struct sal_canvas *canvas,
                                  const struct sal_alteration *how, const float *from, float *to,
                                  struct sal_error *err)
{
    const int h = canvas->height, w = canvas->width;
    memcpy(to, from, (size_t)canvas->planes * h * w * sizeof(*to));
    if (how->setting <= 0)
        return SAL_OK;
    double *half = calloc((size_t)(4 * how->setting + 2) + (size_t)(h > w ? h : w), sizeof(*half));
    if (!half)
        return sal_fail(err, SAL_LIMIT, "no memory to blur a picture");
    int reach = gaussian(how->setting, half);
    double *row = half + reach + 1;
    for (int k = 0; k < canvas->planes; k++) {
        float *plane = to + (int64_t)k * h * w;
        for (int y = 0; y < h; y++)
            smooth(half, reach, plane + (int64_t)y * w, w, 1, row);
        for (int x = 0; x < w; x++)
            smooth(half, reach, plane + x, h, w, row);
    }
    free(half);
    return SAL_OK;
}

static const struct sal_param blur_params[] =
    SAL_CORRUPTION_PARAMS(0, 0, 64, "pixels", "sigma; 0: by severity");

const struct sal_corruption sal_corruption_blur = {
    .probe = {.name = "blur",
              .title = "Gaussian blur",
              .formula = "p * Gaussian(setting), cut at 4 sigma",
              .paper = "MedMNIST-C (Di Salvo et al. 2024, arXiv:2406.17536), sigma of its kernels "
                       "of 3 to 11 pixels; ImageNet-C (Hendrycks, Dietterich, ICLR 2019, "
                       "arXiv:1903.12261)",
              .params = blur_params,
              .run = sal_corruption_run},
    .lengths = true,
    .ways = {{"", 0, {{.8, 1.1, 1.4, 1.7, 2}, {0}, {1, 2, 3, 4, 6}}}},
    .n_ways = 1,
    .alter = alter_blur,
};

/* ---- out of focus ---------------------------------------------------------------- */

/* Weights [2 reach + 1]^2 of a disc whose edge fades over one pixel. */
static double *disc(double radius, int reach)
{
    const int side = 2 * reach + 1;
    double *weight = calloc((size_t)side * (size_t)side, sizeof(*weight)), sum = 0;
    for (int i = 0; weight && i < side * side; i++) {
        double off = hypot(i % side - reach, i / side - reach);
        weight[i] = fmin(fmax(radius + 0.5 - off, 0), 1);
        sum += weight[i];
    }
    for (int i = 0; weight && i < side * side; i++)
        weight[i] /= sum;
    return weight;
}

/* One line of the result: what a row of weights makes of one row of the picture, added. */
static void add_row(const double *weight, int reach, const float *row, int w, double *line)
{
    for (int k = -reach; k <= reach; k++) {
        double v = weight[k + reach];
        for (int x = 0; v > 0 && x < w; x++)
            line[x] += v * (double)row[x + k >= 0 && x + k < w ? x + k : mirrored(x + k, w)];
    }
}

static enum sal_status alter_defocus(const struct sal_canvas *canvas,
                                     const struct sal_alteration *how, const float *from,
                                     float *to, struct sal_error *err)
{
    const int h = canvas->height, w = canvas->width, reach = (int)(how->setting + 0.5);
    double *weight = disc(how->setting, reach), *line = calloc((size_t)w, sizeof(*line));
    if (!weight || !line) {
        free(weight);
        free(line);
        return sal_fail(err, SAL_LIMIT, "no memory to blur a picture");
    }
    for (int64_t at = 0; at < (int64_t)canvas->planes * h; at++) {
        const float *plane = from + at / h * h * w;
        memset(line, 0, (size_t)w * sizeof(*line));
        for (int k = -reach; k <= reach; k++)
            add_row(weight + (int64_t)(k + reach) * (2 * reach + 1), reach,
                    plane + (int64_t)mirrored((int)(at % h) + k, h) * w, w, line);
        for (int x = 0; x < w; x++)
            to[at * w + x] = (float)line[x];
    }
    free(weight);
    free(line);
    return SAL_OK;
}

static const struct sal_param defocus_params[] =
    SAL_CORRUPTION_PARAMS(0, 0, 64, "pixels", "radius of the disc; 0: by severity");

const struct sal_corruption sal_corruption_defocus = {
    .probe = {.name = "defocus",
              .title = "Blur out of focus",
              .formula = "p * disc(setting)",
              .paper = "ImageNet-C (Hendrycks, Dietterich, ICLR 2019, arXiv:1903.12261); "
                       "milder severities are ours",
              .params = defocus_params,
              .run = sal_corruption_run},
    .lengths = true,
    .ways = {{"", 0, {{1, 1.5, 2, 2.5, 3}, {0}, {3, 4, 6, 8, 10}}}},
    .n_ways = 1,
    .alter = alter_defocus,
};
