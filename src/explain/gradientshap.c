/* GradientSHAP, also known as expected gradients: the mean over samples of (x' - b) times
 * the gradient at b + a (x' - b), where x' is the input with Gaussian noise, b a baseline
 * and a uniform from 0 to 1. With one baseline and no noise this is integrated gradients
 * with points drawn by chance; baseline=noise draws another one for each sample. As in
 * Captum, whose defaults are 5 samples and no noise, and whose stdevs are in input units.
 * Meant for baselines drawn from data, which a single case does not have. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baseline.h"
#include "methods.h"
#include "noise.h"
#include "saliscope/random.h"
#include "sweep.h"

enum { SAMPLES_MAX = 10000 };

static const struct sal_param params[] = {
    {.name = "samples",
     .type = SAL_PARAM_INT,
     .fallback = 50,
     .min = 1,
     .max = SAMPLES_MAX,
     .unit = "",
     .help = "gradients at points drawn between baseline and image"},
    SAL_NOISE_PARAMS(0, "standard deviation of what is added to the image"),
    SAL_BASELINE_PARAMS,
    {0},
};

static const double notable_error = 0.05; /* of the difference in score */

struct draws {
    const struct sal_question *question;
    const struct sal_model_input *input;
    int64_t elements;
    int samples, ends; /* ends: inputs before the samples, of which only scores count */
    double sd;
    bool drawn;      /* the baseline, for each sample */
    sal_real *from;  /* the baseline; where it is drawn, room for one */
    double *sum;     /* [elements]: products so far */
    double total, squares; /* of the samples' sums, and of those squared */
    double score, base;    /* of x and of the baseline */
};

/* ---- samples ---------------------------------------------------------------------------- */

/* Element k of the image with noise, which lies at `at`; pair: kept from one k to the
 * next. */
static sal_real noisy(const struct draws *d, uint64_t key, int64_t k, int64_t at,
                      double pair[2])
{
    if (d->sd == 0)
        return d->question->x[at];
    if (k % 2 == 0)
        sal_random_normals(key, (uint64_t)k / 2, pair);
    return d->question->x[at] + (sal_real)(d->sd * pair[k % 2]);
}

static int64_t place(const struct draws *d, int64_t k)
{
    int64_t pixels = (int64_t)d->input->height * d->input->width;
    return sal_input_place(d->input, (int)(k / pixels), k % pixels);
}

static uint64_t key_of(const struct draws *d, int64_t i)
{
    return sal_random_key(d->question->seed, (uint64_t)(i - d->ends));
}

/* Input 0 is the image; input 1 the baseline, where there is but one. */
static void make(const void *context, int64_t i, sal_real *x)
{
    const struct draws *d = context;
    size_t size = (size_t)d->elements * sizeof(*x);
    if (i < d->ends) {
        memcpy(x, i ? d->from : d->question->x, size);
        return;
    }
    uint64_t key = key_of(d, i);
    sal_real alpha = (sal_real)sal_random_uniform(key, UINT64_MAX);
    double pair[2];
    if (d->drawn)
        sal_baseline_noise(d->question, (uint64_t)(i - d->ends), x);
    else
        memcpy(x, d->from, size);
    for (int64_t k = 0; k < d->elements; k++) {
        int64_t at = place(d, k);
        x[at] += alpha * (noisy(d, key, k, at, pair) - x[at]);
    }
}

static void take(void *context, int64_t i, double score, const sal_real *gradient)
{
    struct draws *d = context;
    if (i < d->ends) {
        *(i ? &d->base : &d->score) = score;
        return;
    }
    uint64_t key = key_of(d, i);
    double pair[2], total = 0;
    if (d->drawn)
        sal_baseline_noise(d->question, (uint64_t)(i - d->ends), d->from);
    for (int64_t k = 0; k < d->elements; k++) {
        int64_t at = place(d, k);
        double way = (double)noisy(d, key, k, at, pair) - (double)d->from[at];
        double product = way * (double)gradient[at];
        d->sum[at] += product;
        total += product;
    }
    d->total += total;
    d->squares += total * total;
}

/* ---- the map ------------------------------------------------------------------------------ */

/* Each sample's sum is an estimate of the difference in score, so their spread says how far
 * off chance has led; with one baseline the difference itself is known too. */
static void check_sum(const struct draws *d, double n, struct sal_map *map)
{
    double total = d->total / n, variance = (d->squares - d->total * total) / (n - 1);
    sal_map_check(map, "sum", "sum of the map", total, map->unit);
    if (n > 1)
        sal_map_check(map, "sum_standard_error", "its standard error",
                      sqrt(fmax(0, variance) / n), map->unit);
    if (d->drawn)
        return;
    double difference = d->score - d->base, error = total - difference;
    sal_map_check(map, "baseline_score", "baseline's score", d->base, map->unit);
    sal_map_check(map, "completeness_error", "completeness error", error, map->unit);
    if (fabs(difference) > 0)
        sal_map_check(map, "completeness_error_percent", "of the score's change",
                      100 * error / difference, "%");
    if (!*map->note && !(fabs(error) <= notable_error * fabs(difference)))
        snprintf(map->note, sizeof(map->note),
                 "the map adds up to %.4g where the score changed by %.4g: more samples come "
                 "closer, ig comes closer with fewer",
                 total, difference);
}

/* Of the samples that were taken. */
static enum sal_status finish(void *context, const struct sal_sweep *sweep,
                              struct sal_map *map, struct sal_error *err)
{
    const struct draws *d = context;
    int done = (int)sweep->done - d->ends;
    if (done < 1)
        return sal_fail(err, SAL_CANCELLED, "cancelled");
    map->partial = done < d->samples;
    if (map->partial)
        snprintf(map->note, sizeof(map->note), "%d of %d samples so far", done, d->samples);
    map->score = d->score;
    check_sum(d, done, map);
    return sal_map_from_input(map, d->question->model, d->sum, 1.0 / done, err);
}

static enum sal_status sample(struct draws *d, struct sal_map *map, struct sal_error *err)
{
    struct sal_sweep sweep = {.n = d->samples + d->ends,
                              .gradient = true,
                              .context = d,
                              .make = make,
                              .take = take,
                              .preview = finish};
    enum sal_status status = sal_sweep_run(&sweep, d->question, map, err);
    if (status && status != SAL_CANCELLED)
        return status;
    return finish(d, &sweep, map, err);
}

static enum sal_status gradientshap(const struct sal_question *question,
                                    struct sal_map *map, struct sal_error *err)
{
    struct draws d = {.question = question,
                      .input = sal_model_input(question->model),
                      .elements = sal_input_elements(question->model),
                      .samples = (int)sal_params_get(question->params, params, "samples"),
                      .drawn = sal_baseline_is_noise(question, params)};
    d.ends = d.drawn ? 1 : 2;
    d.sd = sal_noise_sd(question, params);
    d.sum = calloc((size_t)d.elements, sizeof(*d.sum));
    enum sal_status status = d.sum ? sal_baseline_make(question, params, &d.from, err)
                                   : sal_fail(err, SAL_LIMIT, "no memory for a map");
    map->is_signed = true;
    map->unit = sal_unit_name(question->model, SAL_UNIT_SCORE);
    if (!status)
        status = sample(&d, map, err);
    free(d.sum);
    free(d.from);
    return status;
}

const struct sal_method sal_method_gradientshap = {
    .name = "gradientshap",
    .title = "GradientSHAP",
    .formula = "mean over noise e, baselines b and a in 0..1 of (x + e - b) d score / d x at "
               "b + a (x + e - b), summed over channels",
    .paper = "Lundberg and Lee, NeurIPS 2017, arXiv:1705.07874; as expected gradients, Erion "
             "et al., 2021, arXiv:1906.10670",
    .semantics = "Captum's without noise, 50 samples rather than 5, from one baseline, "
                 "since a single case has no data to draw others from",
    .needs = SAL_NEEDS_GRADIENT | SAL_HAS_CHANNELS | SAL_PIXELWISE,
    .params = params,
    .run = gradientshap,
};
