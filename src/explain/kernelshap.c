/* KernelSHAP: Shapley values of superpixels, as the weighted least squares of the score on
 * which of them are there. The two samples whose weight is infinite, all and none, are the
 * constraint that values add up to the difference of their scores, exactly; Captum gives
 * them a weight of 1e6. The others are drawn as often as the kernel says, as in Captum, and
 * each with its complement, which is as likely (Covert and Lee, AISTATS 2021). Where all
 * there are fit into the samples, they are taken once, with the kernel as weight, and the
 * values are exact. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baseline.h"
#include "least_squares.h"
#include "methods.h"
#include "saliscope/random.h"
#include "surrogate.h"
#include "sweep.h"

enum { SAMPLES_MAX = 1000000, EXACT_MAX = 16, ERROR_MAX = 600 };

#define PARTIAL_WORK 1e8 /* most operations for the standard error of a part */

static const struct sal_param params[] = {
    {.name = "samples",
     .type = SAL_PARAM_INT,
     .fallback = 1000,
     .min = 1,
     .max = SAMPLES_MAX,
     .unit = "",
     .help = "images with superpixels taken out; all there are, once, where they are fewer"},
    SAL_SUPERPIXEL_PARAMS,
    SAL_BASELINE_PARAMS,
    {0},
};

struct shapley {
    struct sal_surrogate s;
    bool all;           /* every sample there is, once */
    double *cumulative; /* [n]: the probability of at most k + 1 superpixels */
    double *value;      /* [n] */
    double *factor, *ones, *step; /* [n][n] of the gram matrix, [n] its solution for ones */
    double error;       /* root mean square over the superpixels */
};

/* ---- samples ----------------------------------------------------------------------------- */

static double choose_all(const struct sal_surrogate *s, int64_t i, unsigned char *present)
{
    int64_t pattern = 1 + sal_sweep_scatter(i, s->samples);
    int n = s->superpixels.n, k = 0;
    double subsets = 1; /* n choose k */
    for (int j = 0; j < n; j++)
        k += present[j] = pattern >> j & 1;
    for (int j = 0; j < k; j++)
        subsets = subsets * (n - j) / (j + 1);
    return (n - 1) / (subsets * k * (n - k));
}

static double choose_some(const struct sal_surrogate *s, int64_t i, unsigned char *present)
{
    const double *cumulative = ((const struct shapley *)s->context)->cumulative;
    uint64_t key = sal_random_key(s->question->seed, (uint64_t)(i / 2));
    double at = sal_random_uniform(key, 0);
    int order[SAL_SUPERPIXELS_MAX], n = s->superpixels.n, k = 1;
    unsigned char first = i % 2 == 0;
    while (k < n - 1 && at >= cumulative[k - 1])
        k++;
    for (int j = 0; j < n; j++) {
        order[j] = j;
        present[j] = !first;
    }
    for (int j = 0; j < k; j++) {
        int pick = j + (int)(sal_random_uniform(key, (uint64_t)j + 1) * (n - j));
        present[order[pick]] = first;
        order[pick] = order[j];
    }
    return 1;
}

/* ---- values ------------------------------------------------------------------------------ */

static double sum_of(const double *x, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

/* b becomes the solution whose sum is total, by a multiplier. */
static void solve(const struct shapley *h, double total, double *b)
{
    int n = h->s.superpixels.n;
    sal_cholesky_solve(h->factor, n, b);
    double surplus = (sum_of(b, n) - total) / sum_of(h->ones, n);
    for (int i = 0; i < n; i++)
        b[i] -= surplus * h->ones[i];
}

static void find_values(struct shapley *h)
{
    const struct sal_surrogate *s = &h->s;
    int n = s->superpixels.n;
    memcpy(h->factor, s->gram, (size_t)n * (size_t)n * sizeof(*s->gram));
    memcpy(h->value, s->moment, (size_t)n * sizeof(*s->moment));
    sal_cholesky(h->factor, n);
    for (int i = 0; i < n; i++)
        h->ones[i] = 1;
    sal_cholesky_solve(h->factor, n, h->ones);
    solve(h, s->full - s->empty, h->value);
}

/* What sample i adds to the right side beyond what the values say. */
static void add_residual(const struct shapley *h, int64_t i, double *step)
{
    unsigned char present[SAL_SUPERPIXELS_MAX];
    int n = h->s.superpixels.n;
    double left = h->s.score[i];
    double weight = h->s.choose(&h->s, i, present);
    for (int k = 0; k < n; k++)
        left -= present[k] ? h->value[k] : 0;
    for (int k = 0; k < n; k++)
        step[k] += present[k] ? weight * left : 0;
}

/* The sandwich estimate, with pairs as what was drawn independently. */
static void estimate_error(struct shapley *h)
{
    int n = h->s.superpixels.n;
    double squares = 0, pairs = ceil((double)h->s.done / 2);
    for (int64_t i = 0; i < h->s.done; i += 2) {
        memset(h->step, 0, (size_t)n * sizeof(*h->step));
        add_residual(h, i, h->step);
        if (i + 1 < h->s.done)
            add_residual(h, i + 1, h->step);
        solve(h, 0, h->step);
        for (int k = 0; k < n; k++)
            squares += h->step[k] * h->step[k] / n;
    }
    double spare = (double)h->s.done - (n - 1);
    h->error = sqrt(squares * pairs / (pairs - 1) * (double)h->s.done / spare);
}

/* ---- the map ------------------------------------------------------------------------------ */

static void tell(struct shapley *h, struct sal_map *map)
{
    const struct sal_surrogate *s = &h->s;
    int n = s->superpixels.n;
    double r2 = sal_surrogate_r2(s, h->value, 0), work = (double)s->done * n * n;
    bool enough = n <= ERROR_MAX && s->done > n && s->done > 2;
    sal_map_check(map, "superpixels", "superpixels", n, "");
    sal_map_check(map, "baseline_score", "baseline's score", s->empty, map->unit);
    sal_map_check(map, "sum", "sum over superpixels", sum_of(h->value, n), map->unit);
    if (isfinite(r2))
        sal_map_check(map, "r_squared", "R^2 of the sum", r2, "");
    if (h->all && !map->partial) {
        sal_map_check(map, "standard_error", "standard error", 0, map->unit);
    } else if (!h->all && enough && !(map->partial && work > PARTIAL_WORK)) {
        estimate_error(h);
        sal_map_check(map, "standard_error", "standard error", h->error, map->unit);
    }
    if (!*map->note && !h->all && s->done < n)
        snprintf(map->note, sizeof(map->note),
                 "%lld samples do not determine the values of %d superpixels",
                 (long long)s->done, n);
}

static enum sal_status fit(struct sal_surrogate *s, struct sal_map *map,
                           struct sal_error *err)
{
    struct shapley *h = s->context;
    find_values(h);
    tell(h, map);
    return sal_surrogate_draw(s, h->value, map, err);
}

static enum sal_status make_room(struct shapley *h, struct sal_error *err)
{
    size_t n = (size_t)h->s.superpixels.n;
    h->factor = calloc(n * n + 4 * n, sizeof(*h->factor));
    if (!h->factor)
        return sal_fail(err, SAL_LIMIT, "no memory for %zu superpixels", n);
    h->ones = h->factor + n * n;
    h->step = h->ones + n;
    h->value = h->step + n;
    h->cumulative = h->value + n;
    return SAL_OK;
}

static void choose_samples(struct shapley *h)
{
    struct sal_surrogate *s = &h->s;
    int n = s->superpixels.n;
    double sum = 0;
    s->samples = (int64_t)sal_params_get(s->question->params, params, "samples");
    h->all = n <= EXACT_MAX && ((int64_t)1 << n) - 2 <= s->samples;
    if (h->all)
        s->samples = ((int64_t)1 << n) - 2;
    for (int k = 1; k < n; k++)
        h->cumulative[k - 1] = sum += 1.0 / ((double)k * (n - k));
    for (int k = 1; k < n; k++)
        h->cumulative[k - 1] /= sum;
    s->choose = h->all ? choose_all : choose_some;
    s->fit = fit;
    s->context = h;
}

static enum sal_status kernelshap(const struct sal_question *question, struct sal_map *map,
                                  struct sal_error *err)
{
    struct shapley h = {0};
    enum sal_status status = sal_surrogate_init(&h.s, question, params, err);
    if (!status)
        status = make_room(&h, err);
    if (!status) {
        choose_samples(&h);
        status = sal_surrogate_explain(&h.s, map, err);
    }
    free(h.factor);
    sal_surrogate_release(&h.s);
    return status;
}

const struct sal_method sal_method_kernelshap = {
    .name = "kernelshap",
    .title = "KernelSHAP",
    .formula = "Shapley values p of superpixels: least squares of score(z) - score(none) on "
               "p z over samples z, sum p = score(all) - score(none)",
    .paper = "Lundberg and Lee, NeurIPS 2017, arXiv:1705.07874",
    .semantics = "the paper's weights with the sum held to the difference of scores, by "
                 "paired samples; Captum draws 25 samples by default, too few for more "
                 "than a few superpixels",
    .needs = SAL_SWEEPS,
    .params = params,
    .run = kernelshap,
};
