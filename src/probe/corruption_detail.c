/* Corruptions that lose detail: compression and a coarser grid. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "corruption.h"

/* ---- JPEG ------------------------------------------------------------------------ */

/* Where sample c of a pixel is taken from. */
static int plane_of(const struct sal_canvas *canvas, int channels, int c)
{
    return canvas->reversed && channels == 3 ? channels - 1 - c : c;
}

/* `channels` planes from the first of these on, as one file. */
static enum sal_status compress(const struct sal_canvas *canvas, int channels, int quality,
                                const float *from, float *to, uint8_t *samples,
                                struct sal_error *err)
{
    const int64_t pixels = (int64_t)canvas->height * canvas->width;
    for (int c = 0; c < channels; c++)
        for (int64_t i = 0; i < pixels; i++) {
            double level = round(255 * (double)from[plane_of(canvas, channels, c) * pixels + i]);
            samples[i * channels + c] = (uint8_t)fmin(fmax(level, 0), 255);
        }
    enum sal_status status =
        sal_image_through_jpeg(samples, canvas->width, canvas->height, channels, quality, err);
    for (int c = 0; c < channels && !status; c++)
        for (int64_t i = 0; i < pixels; i++)
            to[plane_of(canvas, channels, c) * pixels + i] =
                (float)(samples[i * channels + c] / 255.0);
    return status;
}

static enum sal_status alter_jpeg(const struct sal_canvas *canvas,
                                  const struct sal_alteration *how, const float *from, float *to,
                                  struct sal_error *err)
{
    const int64_t pixels = (int64_t)canvas->height * canvas->width;
    const int channels = canvas->planes == 3 ? 3 : 1, quality = (int)how->setting;
    if (quality < 1) {
        memcpy(to, from, (size_t)(canvas->planes * pixels) * sizeof(*to));
        return SAL_OK;
    }
    uint8_t *samples = calloc((size_t)pixels, (size_t)channels);
    if (!samples)
        return sal_fail(err, SAL_LIMIT, "no memory for a JPEG");
    enum sal_status status = SAL_OK;
    for (int k = 0; k < canvas->planes && !status; k += channels)
        status = compress(canvas, channels, quality, from + k * pixels, to + k * pixels, samples,
                          err);
    free(samples);
    return status;
}

static const struct sal_param jpeg_params[] =
    SAL_CORRUPTION_PARAMS(0, 0, 100, "", "quality, a whole number; 0: by severity");

const struct sal_corruption sal_corruption_jpeg = {
    .probe = {.name = "jpeg",
              .title = "JPEG compression",
              .formula = "written with that quality and read back, in 8 bits a sample (libjpeg)",
              .paper = "MedMNIST-C (Di Salvo et al. 2024, arXiv:2406.17536); ImageNet-C "
                       "(Hendrycks, Dietterich, ICLR 2019, arXiv:1903.12261)",
              .params = jpeg_params,
              .run = sal_corruption_run},
    .gentle = 100,
    .whole = true,
    .ways = {{"", 0, {{50, 30, 15, 10, 7}, {0}, {25, 18, 15, 10, 7}}}},
    .n_ways = 1,
    .alter = alter_jpeg,
};

/* ---- a coarser grid -------------------------------------------------------------- */

/* Which of n elements those of a row of `few` are the mean of: from first[i] up to and without
 * first[i] + count[i], whose middles lie in it (Pillow's BOX). */
static void boxes_of(int n, int few, int *first, int *count)
{
    const double size = (double)n / few;
    for (int i = 0; i < few; i++) {
        double middle = (i + 0.5) * size;
        first[i] = (int)fmax(middle - size / 2 + 0.5, 0);
        count[i] = (int)fmin(middle + size / 2 + 0.5, n) - first[i];
    }
}

struct grid {
    int rows, columns;
    int *first_row, *rows_in, *first_column, *columns_in;
    double *mean; /* [rows][columns] */
};

static void make_coarse(const struct grid *g, const float *plane, int w)
{
    for (int r = 0; r < g->rows; r++)
        for (int c = 0; c < g->columns; c++) {
            double sum = 0;
            for (int y = 0; y < g->rows_in[r]; y++)
                for (int x = 0; x < g->columns_in[c]; x++)
                    sum += (double)plane[(int64_t)(g->first_row[r] + y) * w +
                                         g->first_column[c] + x];
            g->mean[r * g->columns + c] = sum / ((double)g->rows_in[r] * g->columns_in[c]);
        }
}

static void put_back(const struct grid *g, int h, int w, float *plane)
{
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            int r = (int)((y + 0.5) * ((double)g->rows / h));
            int c = (int)((x + 0.5) * ((double)g->columns / w));
            plane[(int64_t)y * w + x] = (float)g->mean[r * g->columns + c];
        }
}

static int at_least_one(double size)
{
    return size < 1 ? 1 : (int)size;
}

static enum sal_status alter_downsample(const struct sal_canvas *canvas,
                                        const struct sal_alteration *how, const float *from,
                                        float *to, struct sal_error *err)
{
    const int h = canvas->height, w = canvas->width;
    struct grid g = {.rows = at_least_one(h * how->setting),
                     .columns = at_least_one(w * how->setting)};
    size_t lines = (size_t)g.rows + (size_t)g.columns;
    g.first_row = calloc(2 * lines, sizeof(int));
    g.mean = calloc((size_t)g.rows * (size_t)g.columns, sizeof(*g.mean));
    enum sal_status status = g.first_row && g.mean
                                 ? SAL_OK
                                 : sal_fail(err, SAL_LIMIT, "no memory for a coarser picture");
    if (!status) {
        g.rows_in = g.first_row + g.rows;
        g.first_column = g.rows_in + g.rows;
        g.columns_in = g.first_column + g.columns;
        boxes_of(h, g.rows, g.first_row, g.rows_in);
        boxes_of(w, g.columns, g.first_column, g.columns_in);
    }
    for (int64_t k = 0; k < canvas->planes && !status; k++) {
        make_coarse(&g, from + k * h * w, w);
        put_back(&g, h, w, to + k * h * w);
    }
    free(g.first_row);
    free(g.mean);
    return status;
}

static const struct sal_param downsample_params[] =
    SAL_CORRUPTION_PARAMS(1, 0.01, 1, "of the size", "rows and columns that are left; 1: by "
                                                     "severity");

const struct sal_corruption sal_corruption_downsample = {
    .probe = {.name = "downsample",
              .title = "Lower resolution",
              .formula = "means over boxes, then each as large as its box (pixelate)",
              .paper = "MedMNIST-C (Di Salvo et al. 2024, arXiv:2406.17536); ImageNet-C "
                       "(Hendrycks, Dietterich, ICLR 2019, arXiv:1903.12261)",
              .params = downsample_params,
              .run = sal_corruption_run},
    .neutral = 1,
    .gentle = 1,
    .ways = {{"", 0, {{.3, .25, .2, .15, .1}, {.8, .7, .6, .5, .4}, {.6, .5, .4, .3, .25}}}},
    .n_ways = 1,
    .alter = alter_downsample,
};
