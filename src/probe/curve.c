/* Scores over the size of the change. All radii go through the model together, each PGD in
 * a ball of its own; whatever was seen within a radius counts for it, so the curve cannot
 * turn back. Where PGD by itself does worse with more room, it is PGD that is weak there. */
#include <math.h>

#include "attacks.h"

/* A larger ball holds all of a smaller one. */
static void tell_rise(struct sal_search *s, const double *eps, const double *lowest, int n)
{
    double worst = 0, at = (double)NAN, slack = 0.01 * fabs(s->margin0);
    for (int k = 1; k < n; k++) {
        double best = lowest[0];
        for (int j = 1; j < k; j++)
            best = fmin(best, lowest[j]);
        if (lowest[k] - best > fmax(worst, slack)) {
            worst = lowest[k] - best;
            at = eps[k];
        }
    }
    if (worst > 0)
        sal_search_light(s, "not_rising", "more room, less success", true, worst,
                         "PGD does worse by %.3g with eps %.4g than with less: it is weak there",
                         worst, at);
    else
        sal_search_light(s, "not_rising", "more room, less success", false, 0,
                         "PGD never does worse with a larger eps");
}

static enum sal_status put_series(struct sal_search *s, const double *eps, int n,
                                  const struct sal_control *noise, struct sal_error *err)
{
    double f[SAL_CURVE_MAX], mean[SAL_CURVE_MAX], low[SAL_CURVE_MAX], high[SAL_CURVE_MAX];
    for (int k = 0; k < n; k++) {
        f[k] = s->decision.create ? -s->margin[k] : s->margin[k];
        mean[k] = noise[k].mean;
        low[k] = noise[k].low;
        high[k] = noise[k].high;
    }
    enum sal_status status = sal_search_series(s, "attack", "score, attack", n, eps, s->score, err);
    if (!status)
        status = sal_search_series(s, "attack_f", "decision function, attack", n, eps, f, err);
    if (status || !noise[0].n)
        return status;
    status = sal_search_series(s, "noise", "score, noise (mean)", n, eps, mean, err);
    if (!status)
        status = sal_search_series(s, "noise_low", "score, noise (5 %)", n, eps, low, err);
    if (!status)
        status = sal_search_series(s, "noise_high", "score, noise (95 %)", n, eps, high, err);
    return status;
}

enum sal_status sal_curve(struct sal_search *s, enum sal_norm norm, const double *eps, int n,
                          int steps, int samples, struct sal_error *err)
{
    double lowest[SAL_CURVE_MAX];
    struct sal_control noise[SAL_CURVE_MAX] = {{0}};
    struct sal_pgd how = {.steps = steps, .starts = n, .eps = eps, .lowest = lowest};
    sal_search_aim(s, (struct sal_ball){norm, eps[n - 1]});
    sal_search_watch(s, eps, n);
    enum sal_status status = sal_pgd(s, &how, err);
    for (int k = 0; k < n && samples && !status; k++)
        status = sal_noise(s, (struct sal_ball){norm, eps[k]}, samples,
                           (enum sal_stream)(SAL_STREAM_CURVE + k), &noise[k], err);
    if (status)
        return status;
    tell_rise(s, eps, lowest, n);
    return put_series(s, eps, n, noise, err);
}

static enum sal_status run(struct sal_search *s, struct sal_error *err)
{
    enum sal_norm norm = (enum sal_norm)sal_search_param(s, "norm");
    int n = (int)sal_search_param(s, "points"), steps = (int)sal_search_param(s, "steps");
    int samples = (int)sal_search_param(s, "samples");
    double eps[SAL_CURVE_MAX], most = sal_search_param(s, "max");
    sal_search_aim(s, (struct sal_ball){norm, INFINITY});
    enum sal_status status = sal_estimate(s, NULL, err);
    if (status)
        return status;
    if (most <= 0 && norm == SAL_L2)
        most = isfinite(s->answer->estimate) ? 4 * s->answer->estimate : sqrt((double)s->space.n);
    for (int k = 0; k < n; k++)
        eps[k] = ldexp(most > 0 ? most : 16.0 / 255, k - n + 1);
    sal_search_expect(s, (long)n * (2L * steps + 2 + samples));
    status = sal_curve(s, norm, eps, n, steps, samples, err);
    s->answer->eps = s->ball.eps;
    return status;
}

static const struct sal_param params[] = {
    {.name = "max",
     .type = SAL_PARAM_REAL,
     .fallback = 0,
     .min = 0,
     .max = 1e4,
     .unit = "",
     .help = "largest eps; each other is half the next; 0: 16/255, or 4 first-order "
             "distances in l2"},
    SAL_PARAM_COUNT("points", 7, 2, SAL_CURVE_MAX, "radii"),
    SAL_PARAM_COUNT("steps", 20, 1, 10000, "of PGD in each"),
    SAL_PARAM_COUNT("samples", 20, 0, 10000, "draws of noise at each"),
    SAL_PARAM_NORM,
    SAL_PARAM_GOAL,
    {0}};

const struct sal_probe sal_probe_curve = {
    .name = "curve",
    .title = "Score against eps",
    .formula = "for each eps the worst score found within it, by PGD, beside noise of that norm",
    .paper = "Carlini et al., 2019, arXiv:1902.06705",
    .needs = SAL_PROBE_GRADIENT | SAL_PROBE_DRAWS,
    .params = params,
    .run = run,
};
