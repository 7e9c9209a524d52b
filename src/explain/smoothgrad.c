/* SmoothGrad and VarGrad: mean and variance of the gradient over copies of the input with
 * Gaussian noise of sd = noise (max x - min x), the scale of the paper. What other
 * libraries do: Captum takes the sd in input units (units=input), 1.0 by default, and 5
 * samples, usually of its Saliency, which is absolute (magnitude=yes); PAIR and MONAI
 * square the gradients by default (squared=yes), and MONAI then takes the root of their sum
 * (root=yes). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "methods.h"
#include "noise.h"
#include "saliscope/random.h"
#include "sweep.h"

enum { SAMPLES_MAX = 2000 };

#define SAMPLES(least, many)                                                            \
    {.name = "samples",                                                                 \
     .type = SAL_PARAM_INT,                                                             \
     .fallback = many,                                                                  \
     .min = least,                                                                      \
     .max = SAMPLES_MAX,                                                                \
     .unit = "",                                                                        \
     .help = "noisy copies of the image"}

#define NOISE SAL_NOISE_PARAMS(0.15, "standard deviation of the noise")

#define MAGNITUDE                                                                       \
    {.name = "magnitude",                                                               \
     .type = SAL_PARAM_BOOL,                                                            \
     .fallback = 0,                                                                     \
     .max = 1,                                                                          \
     .unit = "",                                                                        \
     .help = "of absolute values of the gradients"}

static const struct sal_param smooth_params[] = {
    SAMPLES(1, 25),
    NOISE,
    {.name = "squared",
     .type = SAL_PARAM_BOOL,
     .fallback = 0,
     .max = 1,
     .unit = "",
     .help = "the mean of squared gradients (SmoothGrad squared)"},
    MAGNITUDE,
    {.name = "root",
     .type = SAL_PARAM_BOOL,
     .fallback = 0,
     .max = 1,
     .unit = "",
     .help = "of squared=yes: the root of the sum of squares over the number of samples, as in "
             "MONAI"},
    {0},
};

static const struct sal_param variance_params[] = {SAMPLES(2, 25), NOISE, MAGNITUDE, {0}};

struct cloud {
    const struct sal_question *question;
    const struct sal_model_input *input;
    int64_t elements;
    int samples;
    double sd;
    bool magnitude;        /* of the gradients, before they are summed */
    double *sum, *squares; /* [elements], over the samples so far */
    double *shown;         /* [elements], what the map shows of them */
    void (*show)(struct cloud *cloud, double n);
    double score;          /* without noise */
};

/* ---- samples ---------------------------------------------------------------------------- */

/* Element k of the noise belongs to channel k / pixels, in whatever layout. */
static void add_noise(const struct cloud *cloud, uint64_t key, sal_real *x)
{
    int64_t pixels = (int64_t)cloud->input->height * cloud->input->width;
    double pair[2];
    for (int64_t k = 0; k < cloud->elements; k++) {
        if (k % 2 == 0)
            sal_random_normals(key, (uint64_t)k / 2, pair);
        x[sal_input_place(cloud->input, (int)(k / pixels), k % pixels)] +=
            (sal_real)(cloud->sd * pair[k % 2]);
    }
}

/* Input 0 is the image itself, for its score. */
static void make(const void *context, int64_t i, sal_real *x)
{
    const struct cloud *cloud = context;
    memcpy(x, cloud->question->x, (size_t)cloud->elements * sizeof(*x));
    if (i > 0)
        add_noise(cloud, sal_random_key(cloud->question->seed, (uint64_t)i), x);
}

static void take(void *context, int64_t i, double score, const sal_real *gradient)
{
    struct cloud *cloud = context;
    if (i == 0) {
        cloud->score = score;
        return;
    }
    for (int64_t k = 0; k < cloud->elements; k++) {
        double g = cloud->magnitude ? fabs((double)gradient[k]) : (double)gradient[k];
        cloud->sum[k] += g;
        cloud->squares[k] += g * g;
    }
}

/* ---- maps --------------------------------------------------------------------------------- */

/* From the sums over n samples to what the map shows. */
static void mean(struct cloud *cloud, double n)
{
    for (int64_t k = 0; k < cloud->elements; k++)
        cloud->shown[k] = cloud->sum[k] / n;
}

static void mean_square(struct cloud *cloud, double n)
{
    for (int64_t k = 0; k < cloud->elements; k++)
        cloud->shown[k] = cloud->squares[k] / n;
}

static void root_square(struct cloud *cloud, double n)
{
    for (int64_t k = 0; k < cloud->elements; k++)
        cloud->shown[k] = sqrt(cloud->squares[k]) / n;
}

static void variance(struct cloud *cloud, double n)
{
    for (int64_t k = 0; k < cloud->elements; k++) {
        double average = cloud->sum[k] / n;
        double value = cloud->squares[k] / n - average * average;
        cloud->shown[k] = value > 0 ? value : 0;
    }
}

/* Of the samples that were taken. */
static enum sal_status finish(void *context, const struct sal_sweep *sweep,
                              struct sal_map *map, struct sal_error *err)
{
    struct cloud *cloud = context;
    int done = (int)sweep->done - 1;
    map->partial = done < cloud->samples;
    if (map->partial && done < 2)
        return sal_fail(err, SAL_CANCELLED, "cancelled");
    if (map->partial)
        snprintf(map->note, sizeof(map->note), "%d of %d samples so far", done,
                 cloud->samples);
    cloud->show(cloud, done);
    map->score = cloud->score;
    sal_map_check(map, "noise_sd", "noise (sd)", cloud->sd, "input units");
    return sal_map_from_input(map, cloud->question->model, cloud->shown, 1, err);
}

static enum sal_status sample(struct cloud *cloud, struct sal_map *map,
                              struct sal_error *err)
{
    struct sal_sweep sweep = {.n = cloud->samples + 1,
                              .gradient = true,
                              .context = cloud,
                              .make = make,
                              .take = take,
                              .preview = finish};
    enum sal_status status = sal_sweep_run(&sweep, cloud->question, map, err);
    if (status && status != SAL_CANCELLED)
        return status;
    return finish(cloud, &sweep, map, err);
}

static enum sal_status look(const struct sal_question *question,
                            const struct sal_param *list,
                            void (*show)(struct cloud *, double n), struct sal_map *map,
                            struct sal_error *err)
{
    struct cloud cloud = {.question = question,
                          .input = sal_model_input(question->model),
                          .elements = sal_input_elements(question->model),
                          .samples = (int)sal_params_get(question->params, list, "samples"),
                          .show = show};
    cloud.sum = calloc((size_t)cloud.elements * 3, sizeof(*cloud.sum));
    if (!cloud.sum)
        return sal_fail(err, SAL_LIMIT, "no memory for a map");
    cloud.squares = cloud.sum + cloud.elements;
    cloud.shown = cloud.squares + cloud.elements;
    cloud.magnitude = sal_params_get(question->params, list, "magnitude") != 0;
    cloud.sd = sal_noise_sd(question, list);
    enum sal_status status = sample(&cloud, map, err);
    free(cloud.sum);
    return status;
}

static enum sal_status smoothgrad(const struct sal_question *question, struct sal_map *map,
                                  struct sal_error *err)
{
    bool squared = sal_params_get(question->params, smooth_params, "squared") != 0;
    bool magnitude = sal_params_get(question->params, smooth_params, "magnitude") != 0;
    map->is_signed = !squared && !magnitude;
    bool root = sal_params_get(question->params, smooth_params, "root") != 0;
    map->unit = sal_unit_name(question->model,
                              squared && !root ? SAL_UNIT_SLOPE_SQUARED : SAL_UNIT_SLOPE);
    return look(question, smooth_params,
                !squared ? mean
                : root   ? root_square
                         : mean_square,
                map, err);
}

static enum sal_status vargrad(const struct sal_question *question, struct sal_map *map,
                               struct sal_error *err)
{
    map->unit = sal_unit_name(question->model, SAL_UNIT_SLOPE_SQUARED);
    return look(question, variance_params, variance, map, err);
}

const struct sal_method sal_method_smoothgrad = {
    .name = "smoothgrad",
    .title = "SmoothGrad",
    .formula = "mean over noise e of d score / d x at x + e, summed over channels",
    .paper = "Smilkov et al., 2017, arXiv:1706.03825",
    .semantics = "the paper's: noise as a share of the input's range, which Captum takes "
                 "in input units, 1.0 by default; signed means, which PAIR and MONAI "
                 "square",
    .needs = SAL_NEEDS_GRADIENT | SAL_HAS_CHANNELS | SAL_PIXELWISE,
    .params = smooth_params,
    .run = smoothgrad,
};

const struct sal_method sal_method_vargrad = {
    .name = "vargrad",
    .title = "VarGrad",
    .formula = "variance over noise e of d score / d x at x + e, summed over channels",
    .paper = "Adebayo et al., ICLR workshop 2018, arXiv:1810.03307",
    .semantics = "the paper's variance, with SmoothGrad's noise and samples",
    .needs = SAL_NEEDS_GRADIENT | SAL_HAS_CHANNELS | SAL_PIXELWISE,
    .params = variance_params,
    .run = vargrad,
};
