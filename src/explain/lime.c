/* LIME: a linear model of which superpixels are there, fitted to the score of samples that
 * keep each with probability 1/2, weighed by exp(-d^2 / (2 width^2)). The defaults are
 * Captum's but for the number of samples, which is 25 there: d the cosine distance of the
 * images, width 1, a lasso of 0.01 in the unit of the score. The authors' package takes the
 * cosine distance of what is there, width 0.25, and ridge regression with alpha 1. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baseline.h"
#include "least_squares.h"
#include "methods.h"
#include "saliscope/random.h"
#include "surrogate.h"

enum { SAMPLES_MAX = 1000000 };
enum { LASSO, RIDGE };

#define EPSILON 1e-8 /* of a length, as in PyTorch */

static const char *const distances[] = {"image", "presence", NULL};
static const char *const penalties[] = {"lasso", "ridge", NULL};

static const struct sal_param params[] = {
    {.name = "samples",
     .type = SAL_PARAM_INT,
     .fallback = 1000,
     .min = 2,
     .max = SAMPLES_MAX,
     .unit = "",
     .help = "images with superpixels taken out"},
    {.name = "distance",
     .type = SAL_PARAM_CHOICE,
     .fallback = 0,
     .unit = "",
     .choices = distances,
     .help = "cosine distance from a sample to the image, of what the model sees or of which "
             "superpixels are there"},
    {.name = "width",
     .type = SAL_PARAM_REAL,
     .fallback = 1,
     .min = 0.05,
     .max = 1000,
     .unit = "",
     .help = "of the kernel that weighs samples, in that distance"},
    {.name = "penalty",
     .type = SAL_PARAM_CHOICE,
     .fallback = LASSO,
     .unit = "",
     .choices = penalties,
     .help = "on coefficients: their size, which makes small ones 0, or their square"},
    {.name = "alpha",
     .type = SAL_PARAM_REAL,
     .fallback = 0.01,
     .min = 0,
     .max = 1e6,
     .unit = "",
     .help = "how much the penalty counts; 0: plain least squares"},
    SAL_SUPERPIXEL_PARAMS,
    SAL_BASELINE_PARAMS,
    {0},
};

struct lime {
    struct sal_surrogate s;
    bool of_images;         /* distances */
    double width;
    double *xx, *xb, *bb;   /* [n], of each superpixel: products of image and baseline */
    double *coefficient;    /* [n] */
    double intercept;       /* above the score with no superpixel */
    double *centred, *side; /* normal equations without the intercept, [n][n] and [n] */
};

/* ---- samples ----------------------------------------------------------------------------- */

static double distance_of(const struct lime *l, const unsigned char *present)
{
    double all = 0, product = 0, size = 0;
    int n = l->s.superpixels.n, k = 0;
    for (int j = 0; j < n; j++) {
        all += l->xx[j];
        product += present[j] ? l->xx[j] : l->xb[j];
        size += present[j] ? l->xx[j] : l->bb[j];
        k += present[j];
    }
    if (!l->of_images)
        return 1 - sqrt((double)k / n);
    return 1 - product / (fmax(sqrt(all), EPSILON) * fmax(sqrt(size), EPSILON));
}

static double choose(const struct sal_surrogate *s, int64_t i, unsigned char *present)
{
    const struct lime *l = s->context;
    uint64_t key = sal_random_key(s->question->seed, (uint64_t)i);
    for (int j = 0; j < s->superpixels.n; j++)
        present[j] = sal_random_uniform(key, (uint64_t)j) < 0.5;
    double distance = distance_of(l, present) / l->width;
    return exp(-distance * distance / 2);
}

static void measure(const struct lime *l)
{
    const struct sal_surrogate *s = &l->s;
    const struct sal_model_input *input = sal_model_input(s->question->model);
    for (int c = 0; c < input->channels; c++)
        for (int64_t i = 0; i < (int64_t)input->height * input->width; i++) {
            int64_t at = sal_input_place(input, c, i);
            double x = (double)s->question->x[at], b = (double)s->baseline[at];
            int k = s->superpixels.of[i];
            l->xx[k] += x * x;
            l->xb[k] += x * b;
            l->bb[k] += b * b;
        }
}

/* ---- the fit ------------------------------------------------------------------------------ */

static void solve(struct lime *l)
{
    const struct sal_surrogate *s = &l->s;
    int n = s->superpixels.n;
    double w = s->weight, alpha = sal_params_get(s->question->params, params, "alpha");
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++)
            l->centred[(int64_t)i * n + j] = s->gram[(int64_t)i * n + j] / w -
                                             s->presence[i] / w * (s->presence[j] / w);
        l->side[i] = s->moment[i] / w - s->presence[i] / w * (s->mean / w);
    }
    if (sal_params_get(s->question->params, params, "penalty") == LASSO && alpha > 0) {
        sal_lasso(l->centred, l->side, n, alpha, l->coefficient);
    } else {
        for (int i = 0; i < n; i++)
            l->centred[(int64_t)i * n + i] += alpha / w;
        sal_cholesky(l->centred, n);
        memcpy(l->coefficient, l->side, (size_t)n * sizeof(*l->side));
        sal_cholesky_solve(l->centred, n, l->coefficient);
    }
    l->intercept = s->mean / w;
    for (int i = 0; i < n; i++)
        l->intercept -= s->presence[i] / w * l->coefficient[i];
}

/* ---- the map ------------------------------------------------------------------------------ */

static void tell(const struct lime *l, struct sal_map *map)
{
    const struct sal_surrogate *s = &l->s;
    int n = s->superpixels.n, used = 0;
    double r2 = sal_surrogate_r2(s, l->coefficient, l->intercept), sum = 0;
    for (int i = 0; i < n; i++) {
        sum += l->coefficient[i];
        used += l->coefficient[i] != 0;
    }
    double fitted = s->empty + l->intercept + sum;
    sal_map_check(map, "superpixels", "superpixels", n, "");
    sal_map_check(map, "superpixels_used", "that count", used, "");
    if (isfinite(r2))
        sal_map_check(map, "r_squared", "R^2 of the fit", r2, "");
    sal_map_check(map, "intercept", "intercept", s->empty + l->intercept, map->unit);
    sal_map_check(map, "local_error", "fit less score of the image", fitted - s->full,
                  map->unit);
    if (!*map->note && s->done <= n)
        snprintf(map->note, sizeof(map->note),
                 "%lld samples do not determine the coefficients of %d superpixels",
                 (long long)s->done, n);
    else if (!*map->note && !used)
        snprintf(map->note, sizeof(map->note),
                 "the penalty has made every coefficient 0: alpha is in the unit of the "
                 "score");
}

static enum sal_status fit(struct sal_surrogate *s, struct sal_map *map,
                           struct sal_error *err)
{
    struct lime *l = s->context;
    solve(l);
    tell(l, map);
    return sal_surrogate_draw(s, l->coefficient, map, err);
}

static enum sal_status make_room(struct lime *l, struct sal_error *err)
{
    size_t n = (size_t)l->s.superpixels.n;
    l->centred = calloc(n * n + 5 * n, sizeof(*l->centred));
    if (!l->centred)
        return sal_fail(err, SAL_LIMIT, "no memory for %zu superpixels", n);
    l->side = l->centred + n * n;
    l->coefficient = l->side + n;
    l->xx = l->coefficient + n;
    l->xb = l->xx + n;
    l->bb = l->xb + n;
    return SAL_OK;
}

static enum sal_status lime(const struct sal_question *question, struct sal_map *map,
                            struct sal_error *err)
{
    struct lime l = {.of_images = !sal_params_get(question->params, params, "distance"),
                     .width = sal_params_get(question->params, params, "width")};
    enum sal_status status = sal_surrogate_init(&l.s, question, params, err);
    if (!status)
        status = make_room(&l, err);
    if (!status) {
        measure(&l);
        l.s.choose = choose;
        l.s.fit = fit;
        l.s.context = &l;
        l.s.samples = (int64_t)sal_params_get(question->params, params, "samples");
        status = sal_surrogate_explain(&l.s, map, err);
    }
    free(l.centred);
    sal_surrogate_release(&l.s);
    return status;
}

const struct sal_method sal_method_lime = {
    .name = "lime",
    .title = "LIME",
    .formula = "coefficients of superpixels: penalised least squares of the score on which "
               "are there, weighed by exp(-d^2 / (2 width^2))",
    .paper = "Ribeiro et al., KDD 2016, arXiv:1602.04938",
    .semantics = "Captum's kernel and penalty, with more samples than its 25; the "
                 "authors' package has other defaults, named in the man page",
    .needs = SAL_SWEEPS,
    .params = params,
    .run = lime,
};
