/* The control of every attack: noise of the same norm. Its flips count for the search like
 * any other; none among n says, at 95 %, that fewer than about 3 / n of such noise flip. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attacks.h"

/* ---- shares ------------------------------------------------------------------------------- */

/* The probability of k or fewer in n, each with probability p. */
static double binomial_below(int k, int n, double p)
{
    double sum = 0;
    for (int i = 0; i <= k; i++) {
        double log_ways = lgamma(n + 1.0) - lgamma(i + 1.0) - lgamma(n - i + 1.0);
        sum += exp(log_ways + i * log(p) + (n - i) * log1p(-p));
    }
    return sum;
}

double sal_binomial_upper(int k, int n, double alpha)
{
    double low = 0, high = 1;
    if (k >= n)
        return 1;
    for (int i = 0; i < 60; i++) {
        double middle = (low + high) / 2;
        *(binomial_below(k, n, middle) > alpha ? &low : &high) = middle;
    }
    return high;
}

/* ---- samples ---------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void sal_spread(double *values, int n, double *low, double *high)
{
    qsort(values, (size_t)n, sizeof(*values), ascending);
    *low = values[(int)(0.05 * (n - 1) + 0.5)];
    *high = values[(int)(0.95 * (n - 1) + 0.5)];
}

static void sum_up(struct sal_control *control, double *scores)
{
    int n = control->n;
    control->mean = control->low = control->high = (double)NAN;
    if (!n)
        return;
    sal_spread(scores, n, &control->low, &control->high);
    control->mean = 0;
    for (int i = 0; i < n; i++)
        control->mean += scores[i] / n;
    control->upper = sal_binomial_upper(control->flips, n, 0.05);
}

enum { TOGETHER = 8 };

struct samples {
    float *p;         /* [TOGETHER][n] */
    sal_real *logits; /* [TOGETHER][classes] */
    double *scores;   /* [samples] */
};

static enum sal_status look(struct sal_search *s, struct sal_ball ball, int samples,
                            enum sal_stream stream, const struct samples *room,
                            struct sal_control *control, struct sal_error *err)
{
    const int classes = s->decision.n;
    struct sal_look looks[TOGETHER];
    for (int done = 0; done < samples; done += TOGETHER) {
        int n = samples - done < TOGETHER ? samples - done : TOGETHER;
        for (int i = 0; i < n; i++) {
            float *p = room->p + i * s->space.n;
            sal_step_random(s, ball, false, sal_stream_key(s, stream, (uint64_t)(done + i)), p);
            looks[i] = (struct sal_look){.p = p, .logits = room->logits + i * classes};
        }
        enum sal_status status = sal_search_look(s, looks, n, err);
        if (status)
            return status;
        for (int i = 0; i < n; i++) {
            control->flips += looks[i].reached;
            room->scores[control->n++] = sal_search_score(s, looks[i].logits);
        }
    }
    return SAL_OK;
}

enum sal_status sal_noise(struct sal_search *s, struct sal_ball ball, int samples,
                          enum sal_stream stream, struct sal_control *control,
                          struct sal_error *err)
{
    struct samples room = {
        calloc((size_t)s->space.n * TOGETHER, sizeof(float)),
        calloc((size_t)s->decision.n * TOGETHER, sizeof(sal_real)),
        calloc((size_t)samples + 1, sizeof(double))};
    *control = (struct sal_control){.eps = ball.eps};
    enum sal_status status = SAL_OK;
    if (!room.p || !room.logits || !room.scores)
        status = sal_fail(err, SAL_LIMIT, "no memory for noise");
    if (!status)
        status = look(s, ball, samples, stream, &room, control, err);
    if (room.scores)
        sum_up(control, room.scores);
    free(room.p);
    free(room.logits);
    free(room.scores);
    return status;
}

static enum sal_status run(struct sal_search *s, struct sal_error *err)
{
    int samples = (int)sal_search_param(s, "samples");
    struct sal_ball ball = {(enum sal_norm)sal_search_param(s, "norm"),
                            sal_search_param(s, "eps")};
    sal_search_aim(s, ball);
    s->answer->eps = ball.eps;
    sal_search_expect(s, samples);
    return sal_noise(s, ball, samples, SAL_STREAM_NOISE, &s->answer->noise, err);
}

static const struct sal_param params[] = {
    SAL_PARAM_EPS, SAL_PARAM_COUNT("samples", 200, 1, 100000, "draws"), SAL_PARAM_NORM,
    SAL_PARAM_GOAL, {0}};

const struct sal_probe sal_probe_noise = {
    .name = "noise",
    .title = "Random noise",
    .formula = "linf: p0 +- eps by a coin for each pixel; l2: a random direction of length eps",
    .paper = "the control; Fawzi et al., NIPS 2016, arXiv:1608.08967",
    .needs = SAL_PROBE_ATTACK | SAL_PROBE_DRAWS,
    .params = params,
    .run = run,
};
