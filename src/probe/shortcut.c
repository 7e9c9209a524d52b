/* Whether the decision hangs on what is outside of a region: the smallest changes that flip it
 * inside alone, outside alone, and anywhere. If very little outside of the anatomy is enough,
 * the model uses what is no anatomy (Zech et al. 2018; DeGrave et al. 2021). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attacks.h"

/* The smallest flip on that side alone; NAN: none was found. */
static enum sal_status search_side(struct sal_search *s, enum sal_where where, int effort,
                                   float *p, double *eps, struct sal_error *err)
{
    bool reached = false;
    sal_search_confine(s, where);
    enum sal_status status = sal_estimate(s, NULL, err);
    if (!status)
        status = sal_nearest(s, effort, err);
    if (!status && isfinite(s->nearest))
        status = sal_search_settle(s, p, &reached, err);
    *eps = reached ? sal_space_norm(&s->space, s->ball.norm, p) : (double)NAN;
    return status;
}

/* Flips of one side are flips anywhere. */
static void keep_sides(struct sal_search *s, float *const sides[2], const double eps[2])
{
    for (int i = 0; i < 2; i++) {
        if (isnan(eps[i]) || eps[i] >= s->nearest)
            continue;
        s->nearest = eps[i];
        memcpy(s->closest, sides[i], (size_t)s->space.n * sizeof(float));
    }
}

/* Where a side's flip is nearer than what the search finds by itself, that is polished. */
static enum sal_status search_all(struct sal_search *s, int effort, float *const sides[2],
                                  const double eps[2], struct sal_error *err)
{
    enum { ROUNDS = 3 };
    sal_search_confine(s, SAL_EVERYWHERE);
    enum sal_status status = sal_estimate(s, NULL, err);
    if (!status)
        status = sal_nearest(s, effort, err);
    double before = s->nearest;
    keep_sides(s, sides, eps);
    if (!status && s->nearest < before)
        status = sal_polish(s, NULL, ROUNDS, true, err);
    return status;
}

/* What outside over inside would be if the gradient were the same size everywhere. */
static double even_ratio(const struct sal_search *s)
{
    int64_t inside = 0, outside = 0;
    for (int64_t i = 0; i < s->space.pixels; i++) {
        inside += sal_space_is(s->question, SAL_INSIDE, i);
        outside += sal_space_is(s->question, SAL_OUTSIDE, i);
    }
    double ratio = (double)inside / (double)outside;
    return s->ball.norm == SAL_LINF ? ratio : sqrt(ratio);
}

/* "0.6 grey levels", of l2 as the root of the mean square over the picture's pixels */
static const char *levels_text(const struct sal_search *s, double eps, char text[64])
{
    const unsigned white = s->question->white ? s->question->white : 255;
    bool linf = s->ball.norm == SAL_LINF;
    snprintf(text, 64, "%.3g of %u grey levels%s",
             eps * white / (linf ? 1 : sqrt((double)s->space.n)), white, linf ? "" : " rms");
    return text;
}

static void tell(struct sal_search *s, const double eps[2])
{
    struct sal_probe_answer *a = s->answer;
    char in[64] = "", out[64] = "";
    sal_search_fact(s, "eps_inside", "flips inside alone at", eps[0], "");
    sal_search_fact(s, "eps_outside", "flips outside alone at", eps[1], "");
    sal_search_fact(s, "eps_everywhere", "flips anywhere at",
                    isfinite(s->nearest) ? s->nearest : (double)NAN, "");
    sal_search_fact(s, "ratio", "outside over inside (S)", eps[1] / eps[0], "");
    sal_search_fact(s, "ratio_even", "S if the gradient were even", even_ratio(s), "");
    for (int i = 0; i < 2; i++)
        if (!isnan(eps[i]))
            levels_text(s, eps[i], i ? out : in);
    if (isnan(eps[0]) && isnan(eps[1]))
        snprintf(a->note, sizeof(a->note), "no change was found that flips the decision on one "
                 "side of the region; that does not show that there is none");
    else if (isnan(eps[0]))
        snprintf(a->note, sizeof(a->note), "a change of %s outside the region flips the decision; "
                 "none was found inside alone, which does not show that there is none", out);
    else if (isnan(eps[1]))
        snprintf(a->note, sizeof(a->note), "a change of %s inside the region flips the decision; "
                 "none was found outside alone, which does not show that there is none", in);
    else
        snprintf(a->note, sizeof(a->note), "a change of %s outside the region flips the decision, "
                 "and one of %s inside", out, in);
}

static enum sal_status run(struct sal_search *s, struct sal_error *err)
{
    static const int passes[] = {150, 500, 4000};
    const int effort = (int)sal_search_param(s, "effort");
    double eps[2] = {(double)NAN, (double)NAN};
    enum sal_status status = SAL_OK;
    if (!s->question->roi)
        return sal_fail(err, SAL_USAGE, "the probe shortcut needs a region: --roi");
    float *sides[2];
    int done = 0;
    for (int i = 0; i < 2; i++)
        sides[i] = sal_search_vector(s, &status, err);
    sal_search_aim(s, (struct sal_ball){(enum sal_norm)sal_search_param(s, "norm"), INFINITY});
    sal_search_expect(s, 3L * passes[effort]);
    for (; done < 2 && !status; done += !status)
        status = search_side(s, done ? SAL_OUTSIDE : SAL_INSIDE, effort, sides[done],
                             &eps[done], err);
    if (status) {
        sal_space_allow(&s->space, s->question, SAL_EVERYWHERE);
        keep_sides(s, sides, eps);
        s->answer->estimate = (double)NAN; /* of a side, as are these */
        s->answer->bracket[0] = s->answer->bracket[1] = (double)NAN;
    }
    if (!status)
        status = search_all(s, effort, sides, eps, err);
    if (done == 2)
        tell(s, eps);
    free(sides[0]);
    free(sides[1]);
    return status;
}

static const struct sal_param params[] = {
    SAL_PARAM_NORM,
    SAL_PARAM_EFFORT("of each of the three searches, as in mineps"),
    SAL_PARAM_GOAL,
    SAL_PARAM_CONTROL,
    {0}};

const struct sal_probe sal_probe_shortcut = {
    .name = "shortcut",
    .title = "Smallest changes inside and outside a region",
    .formula = "S = min |p - p0| outside / min |p - p0| inside",
    .paper = "the question of Zech et al., PLoS Medicine 2018, and DeGrave et al., Nature "
             "Machine Intelligence 2021",
    .needs = SAL_PROBE_GRADIENT | SAL_PROBE_ATTACK | SAL_PROBE_DRAWS | SAL_PROBE_REGION,
    .params = params,
    .run = run,
};
