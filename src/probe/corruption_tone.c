/* Corruptions that map each level to another: exposure, display, processing. */
#include <math.h>

#include "corruption.h"

static int64_t elements(const struct sal_canvas *canvas)
{
    return (int64_t)canvas->planes * canvas->height * canvas->width;
}

void sal_canvas_linear(const struct sal_canvas *canvas, double gain, double offset,
                       const float *from, float *to)
{
    for (int64_t i = 0; i < elements(canvas); i++)
        to[i] = (float)(gain * (double)from[i] + offset);
}

void sal_canvas_power(const struct sal_canvas *canvas, double exponent, const float *from,
                      float *to)
{
    for (int64_t i = 0; i < elements(canvas); i++)
        to[i] = from[i] > 0 ? (float)pow((double)from[i], exponent) : from[i];
}

/* Of the picture's brightness. */
static double mean_of(const struct sal_canvas *canvas, const float *from)
{
    const int64_t pixels = (int64_t)canvas->height * canvas->width;
    double mean = 0;
    for (int k = 0; k < canvas->planes; k++) {
        double sum = 0;
        for (int64_t i = 0; i < pixels; i++)
            sum += (double)from[k * pixels + i];
        mean += canvas->weight[k] * sum / (double)pixels;
    }
    return mean;
}

/* ---- contrast -------------------------------------------------------------------- */

static enum sal_status alter_contrast(const struct sal_canvas *canvas,
                                      const struct sal_alteration *how, const float *from,
                                      float *to, struct sal_error *err)
{
    (void)err;
    double mean = mean_of(canvas, from);
    for (int64_t i = 0; i < elements(canvas); i++)
        to[i] = (float)(mean + how->setting * ((double)from[i] - mean));
    return SAL_OK;
}

static const struct sal_param contrast_params[] = SAL_CORRUPTION_PARAMS(
    1, 0, 10, "", "factor of the distance from the mean level; 1: by severity");

const struct sal_corruption sal_corruption_contrast = {
    .probe = {.name = "contrast",
              .title = "Contrast about the mean",
              .formula = "m + setting (p - m), m the picture's mean level",
              .paper = "MedMNIST-C (Di Salvo et al. 2024, arXiv:2406.17536); ImageNet-C lowers it "
                       "only",
              .params = contrast_params,
              .run = sal_corruption_run},
    .neutral = 1,
    .gentle = 1,
    .ways = {{"lower", 0, {{.9, .8, .7, .6, .4}, {0}, {.4, .3, .2, .1, .05}}},
             {"higher", 0, {{1.1, 1.2, 1.3, 1.4, 1.6}}}},
    .n_ways = 2,
    .alter = alter_contrast,
};

/* ---- brightness ------------------------------------------------------------------ */

static enum sal_status alter_brightness(const struct sal_canvas *canvas,
                                        const struct sal_alteration *how, const float *from,
                                        float *to, struct sal_error *err)
{
    (void)err;
    sal_canvas_linear(canvas, how->setting, 0, from, to);
    return SAL_OK;
}

static const struct sal_param brightness_params[] =
    SAL_CORRUPTION_PARAMS(1, 0, 10, "", "factor of all levels; 1: by severity");

const struct sal_corruption sal_corruption_brightness = {
    .probe = {.name = "brightness",
              .title = "Brightness by a factor",
              .formula = "setting p",
              .paper = "MedMNIST-C (Di Salvo et al. 2024, arXiv:2406.17536)",
              .params = brightness_params,
              .run = sal_corruption_run},
    .neutral = 1,
    .gentle = 1,
    .ways = {{"darker", 0, {{.9, .8, .7, .6, .5}}}, {"brighter", 0, {{1.1, 1.2, 1.3, 1.4, 1.5}}}},
    .n_ways = 2,
    .alter = alter_brightness,
};

/* ---- gamma ----------------------------------------------------------------------- */

static enum sal_status alter_gamma(const struct sal_canvas *canvas,
                                   const struct sal_alteration *how, const float *from, float *to,
                                   struct sal_error *err)
{
    (void)err;
    sal_canvas_power(canvas, how->setting, from, to);
    return SAL_OK;
}

static const struct sal_param gamma_params[] =
    SAL_CORRUPTION_PARAMS(1, 0.05, 20, "", "exponent of unit intensity; 1: by severity");

const struct sal_corruption sal_corruption_gamma = {
    .probe = {.name = "gamma",
              .title = "Gamma",
              .formula = "p^setting",
              .paper = "MedMNIST-C (Di Salvo et al. 2024, arXiv:2406.17536)",
              .params = gamma_params,
              .run = sal_corruption_run},
    .neutral = 1,
    .gentle = 1,
    .ways = {{"brighter", 0, {{.9, .8, .7, .6, .4}}}, {"darker", 0, {{1.1, 1.2, 1.3, 1.4, 1.6}}}},
    .n_ways = 2,
    .alter = alter_gamma,
};

/* ---- window and level ------------------------------------------------------------ */

static enum sal_status alter_window(const struct sal_canvas *canvas,
                                    const struct sal_alteration *how, const float *from,
                                    float *to, struct sal_error *err)
{
    (void)err;
    for (int64_t i = 0; i < elements(canvas); i++)
        to[i] = (float)(((double)from[i] - 0.5) / how->setting + 0.5);
    return SAL_OK;
}

static const struct sal_param window_params[] = SAL_CORRUPTION_PARAMS(
    1, 0.01, 10, "of the range", "width of the window, which becomes the whole range; 1: by "
                                 "severity");

const struct sal_corruption sal_corruption_window = {
    .probe = {.name = "window",
              .title = "Window width",
              .formula = "(p - 1/2) / setting + 1/2",
              .paper = "severities are ours",
              .params = window_params,
              .run = sal_corruption_run},
    .neutral = 1,
    .gentle = 1,
    .ways = {{"narrower", 0, {{.9, .8, .7, .6, .5}}}, {"wider", 0, {{1.1, 1.2, 1.3, 1.4, 1.6}}}},
    .n_ways = 2,
    .alter = alter_window,
};

static enum sal_status alter_level(const struct sal_canvas *canvas,
                                   const struct sal_alteration *how, const float *from, float *to,
                                   struct sal_error *err)
{
    (void)err;
    sal_canvas_linear(canvas, 1, -how->setting, from, to);
    return SAL_OK;
}

static const struct sal_param level_params[] = SAL_CORRUPTION_PARAMS(
    0, -1, 1, "of the range", "how far the window's middle goes up; 0: by severity");

const struct sal_corruption sal_corruption_level = {
    .probe = {.name = "level",
              .title = "Window level",
              .formula = "p - setting",
              .paper = "brighter of ImageNet-C (Hendrycks, Dietterich, ICLR 2019, "
                       "arXiv:1903.12261); other severities are ours",
              .params = level_params,
              .run = sal_corruption_run},
    .ways = {{"darker", 0, {{.05, .1, .15, .2, .25}, {0}, {.1, .2, .3, .4, .5}}},
             {"brighter", 0, {{-.05, -.1, -.15, -.2, -.25}, {0}, {-.1, -.2, -.3, -.4, -.5}}}},
    .n_ways = 2,
    .alter = alter_level,
};
