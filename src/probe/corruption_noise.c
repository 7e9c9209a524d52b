/* Noise of detectors and transmission. Random number i of a draw belongs to element i and is
 * the same for every setting. */
#include <math.h>
#include <string.h>

#include "corruption.h"
#include "saliscope/random.h"

static int64_t elements(const struct sal_canvas *canvas)
{
    return (int64_t)canvas->planes * canvas->height * canvas->width;
}

/* to = from + a normal number of deviation sd, times the level itself where it speckles. */
static void add_normal(const struct sal_canvas *canvas, const struct sal_alteration *how,
                       bool speckle, const float *from, float *to)
{
    double pair[2] = {0};
    for (int64_t i = 0; i < elements(canvas); i++) {
        double p = (double)from[i];
        if (i % 2 == 0)
            sal_random_normals(how->key, (uint64_t)i / 2, pair);
        to[i] = (float)(p + (speckle ? p : 1) * how->setting * pair[i % 2]);
    }
}

/* ---- Gaussian and speckle -------------------------------------------------------- */

static enum sal_status alter_gaussian(const struct sal_canvas *canvas,
                                      const struct sal_alteration *how, const float *from,
                                      float *to, struct sal_error *err)
{
    (void)err;
    add_normal(canvas, how, false, from, to);
    return SAL_OK;
}

static const struct sal_param gaussian_params[] = SAL_CORRUPTION_PARAMS_DRAWS(
    0, 0, 2, "of the range", "standard deviation; 0: by severity");

const struct sal_corruption sal_corruption_gaussian_noise = {
    .probe = {.name = "gaussian-noise",
              .title = "Gaussian noise",
              .formula = "p + setting n, n normal, for each pixel",
              .paper = "MedMNIST-C (Di Salvo et al. 2024, arXiv:2406.17536); ImageNet-C "
                       "(Hendrycks, Dietterich, ICLR 2019, arXiv:1903.12261)",
              .needs = SAL_PROBE_DRAWS,
              .params = gaussian_params,
              .run = sal_corruption_run},
    .ways = {{"", 0, {{.04, .08, .12, .18, .26}, {.04, .05, .06, .07, .08},
                      {.08, .12, .18, .26, .38}}}},
    .n_ways = 1,
    .alter = alter_gaussian,
};

static enum sal_status alter_speckle(const struct sal_canvas *canvas,
                                     const struct sal_alteration *how, const float *from,
                                     float *to, struct sal_error *err)
{
    (void)err;
    add_normal(canvas, how, true, from, to);
    return SAL_OK;
}

static const struct sal_param speckle_params[] = SAL_CORRUPTION_PARAMS_DRAWS(
    0, 0, 4, "of the level", "standard deviation; 0: by severity");

const struct sal_corruption sal_corruption_speckle_noise = {
    .probe = {.name = "speckle-noise",
              .title = "Speckle noise",
              .formula = "p + p setting n, n normal, for each pixel",
              .paper = "MedMNIST-C (Di Salvo et al. 2024, arXiv:2406.17536); ImageNet-C "
                       "(Hendrycks, Dietterich, ICLR 2019, arXiv:1903.12261)",
              .needs = SAL_PROBE_DRAWS,
              .params = speckle_params,
              .run = sal_corruption_run},
    .ways = {{"", 0, {{.05, .15, .2, .35, .45}, {.05, .07, .1, .15, .2},
                      {.15, .2, .35, .45, .6}}}},
    .n_ways = 1,
    .alter = alter_speckle,
};

/* ---- shot noise ------------------------------------------------------------------ */

enum { PHOTONS_MAX = 500 };

/* The least k that a Poisson number of that mean exceeds with probability 1 - u or less. */
static double poisson(double mean, double u)
{
    double share = exp(-mean), sum = share;
    int k = 0;
    while (u >= sum && k < 4 * PHOTONS_MAX)
        sum += share *= mean / ++k;
    return k;
}

static enum sal_status alter_shot(const struct sal_canvas *canvas,
                                  const struct sal_alteration *how, const float *from, float *to,
                                  struct sal_error *err)
{
    (void)err;
    if (how->setting <= 0) {
        memcpy(to, from, (size_t)elements(canvas) * sizeof(*to));
        return SAL_OK;
    }
    for (int64_t i = 0; i < elements(canvas); i++) {
        double p = (double)from[i], mean = how->setting * fmin(fmax(p, 0), 1);
        to[i] = (float)(poisson(mean, sal_random_uniform(how->key, (uint64_t)i)) / how->setting);
    }
    return SAL_OK;
}

static const struct sal_param shot_params[] = SAL_CORRUPTION_PARAMS_DRAWS(
    0, 0, PHOTONS_MAX, "photons", "mean count where the picture is white; 0: by severity");

const struct sal_corruption sal_corruption_shot_noise = {
    .probe = {.name = "shot-noise",
              .title = "Shot noise",
              .formula = "Poisson(p setting) / setting for each pixel: fewer photons, more noise",
              .paper = "MedMNIST-C (Di Salvo et al. 2024, arXiv:2406.17536); ImageNet-C "
                       "(Hendrycks, Dietterich, ICLR 2019, arXiv:1903.12261)",
              .needs = SAL_PROBE_DRAWS,
              .params = shot_params,
              .run = sal_corruption_run},
    .gentle = PHOTONS_MAX,
    .ways = {{"", 0, {{60, 25, 18, 10, 5}, {300, 200, 150, 100, 80}, {60, 25, 12, 5, 3}}}},
    .n_ways = 1,
    .alter = alter_shot,
};

/* ---- impulse noise --------------------------------------------------------------- */

/* Which elements are hit grows with the setting: those hit by less stay hit. */
static enum sal_status alter_impulse(const struct sal_canvas *canvas,
                                     const struct sal_alteration *how, const float *from,
                                     float *to, struct sal_error *err)
{
    (void)err;
    for (int64_t i = 0; i < elements(canvas); i++) {
        double u = sal_random_uniform(how->key, (uint64_t)i), half = how->setting / 2;
        to[i] = u < half ? 0 : u >= 1 - half ? 1 : from[i];
    }
    return SAL_OK;
}

static const struct sal_param impulse_params[] = SAL_CORRUPTION_PARAMS_DRAWS(
    0, 0, 1, "of the pixels", "how many are hit; 0: by severity");

const struct sal_corruption sal_corruption_impulse_noise = {
    .probe = {.name = "impulse-noise",
              .title = "Salt and pepper",
              .formula = "white or black, each with probability setting / 2, for each pixel",
              .paper = "MedMNIST-C (Di Salvo et al. 2024, arXiv:2406.17536); ImageNet-C "
                       "(Hendrycks, Dietterich, ICLR 2019, arXiv:1903.12261)",
              .needs = SAL_PROBE_DRAWS,
              .params = impulse_params,
              .run = sal_corruption_run},
    .ways = {{"", 0, {{.01, .03, .06, .09, .17}, {.005, .01, .013, .017, .02},
                      {.03, .06, .09, .17, .27}}}},
    .n_ways = 1,
    .alter = alter_impulse,
};
