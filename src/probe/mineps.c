/* The smallest change that flips the decision, as far as attacks find it. auto: several, each
 * polished where it ended, because each ends in a valley of its own; then FMN from the best of
 * them, PGD in balls that are a little smaller than that, until it fails; and what tells whether
 * to believe them. Else one attack at
 * a fixed eps, and eps by bisection. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attacks.h"

enum attack { AUTO, FGSM, PGD, APGD, SQUARE };
static const char *const attack_names[] = {"auto", "fgsm", "pgd", "apgd", "square", NULL};
const char *const sal_effort_names[] = {"quick", "standard", "thorough", NULL};

/* What an effort allows; passes: forward and backward, all together, about. */
struct effort {
    long passes;
    int deepfool, rivals;   /* steps, classes */
    int fmn, small;         /* steps of FMN, as published and in small steps */
    int ddn, sign;          /* of DDN (l2), and of FMN down the sign (linf) */
    int on;                 /* of FMN from the best of all these */
    int polish;             /* rounds, after each */
    int descents;           /* smaller balls tried */
    int steps, starts;      /* of PGD in them */
    int square, noise;      /* forwards */
    int points, curve, draw; /* radii of the curve, steps and draws in each; 0: none */
    int bisections;         /* of one attack */
};

/* A quick search has two valleys to choose from. */
static const struct effort quick[] = {
    [SAL_LINF] = {.passes = 190, .small = 10, .sign = 16, .on = 43, .polish = 1, .steps = 10,
                  .starts = 1, .noise = 8, .bisections = 6},
    [SAL_L2] = {.passes = 190, .fmn = 19, .ddn = 25, .on = 25, .polish = 1, .steps = 10,
                .starts = 1, .noise = 8, .bisections = 6},
};
static const struct effort standard = {
    .passes = 1000, .deepfool = 10, .rivals = 6, .fmn = 40, .small = 40, .ddn = 40, .sign = 40,
    .on = 30, .polish = 4, .descents = 3, .steps = 30, .starts = 1, .square = 150, .noise = 60,
    .points = 7, .curve = 10, .draw = 5, .bisections = 10};
static const struct effort thorough = {
    .passes = 6000, .deepfool = 50, .rivals = 10, .fmn = 250, .small = 250, .ddn = 200,
    .sign = 250, .on = 200, .polish = 12, .descents = 10, .steps = 100, .starts = 2,
    .square = 1500, .noise = 400, .points = 9, .curve = 40, .draw = 20, .bisections = 16};

/* effort: of sal_effort_names. */
static const struct effort *effort_of(enum sal_norm norm, int effort)
{
    const struct effort *of[] = {&quick[norm], &standard, &thorough};
    return of[effort];
}

/* A ball that holds half the range of every pixel. */
static double half_range(const struct sal_search *s)
{
    return s->ball.norm == SAL_LINF ? 0.5 : 0.5 * sqrt((double)s->space.n);
}

/* ---- several attacks --------------------------------------------------------------------------- */

/* The closest of all members so far, while another is on its way. */
struct best {
    float *p;
    double distance, lowness;
};

static void set_aside(struct sal_search *s, struct best *best)
{
    if (s->nearest < best->distance) {
        best->distance = s->nearest;
        best->lowness = s->lowness;
        memcpy(best->p, s->closest, (size_t)s->space.n * sizeof(*best->p));
    }
    s->nearest = INFINITY;
}

static void bring_back(struct sal_search *s, const struct best *best)
{
    if (!(best->distance < s->nearest))
        return;
    s->nearest = best->distance;
    s->lowness = best->lowness;
    memcpy(s->closest, best->p, (size_t)s->space.n * sizeof(*best->p));
}

enum member { DEEPFOOL, DDN, SIGN, PUBLISHED, SMALL, MEMBERS };

static int steps_of(const struct effort *e, enum sal_norm norm, enum member member)
{
    const int steps[MEMBERS] = {e->deepfool, norm == SAL_L2 ? e->ddn : 0,
                                norm == SAL_LINF ? e->sign : 0, e->fmn, e->small};
    return steps[member];
}

static enum sal_status attack_as(struct sal_search *s, const struct effort *e,
                                 enum member member, float *last, struct sal_error *err)
{
    const enum sal_norm norm = s->ball.norm;
    struct sal_fmn fmn = {.steps = steps_of(e, norm, member), .alpha = 1, .gamma = 0.05};
    fmn.sign = member == SIGN;
    if (member == SMALL)
        fmn.alpha = norm == SAL_LINF ? 0.12 : 10; /* large ones in l2 */
    enum sal_status status =
        member == DEEPFOOL ? sal_deepfool(s, fmn.steps, e->rivals, 0.02, last, err)
        : member == DDN    ? sal_ddn(s, fmn.steps, 0.07, last, err)
                           : sal_fmn(s, &fmn, last, err);
    return status ? status : sal_polish(s, last, e->polish, false, err);
}

static enum sal_status attack_all(struct sal_search *s, const struct effort *e, float *last,
                                  struct sal_error *err)
{
    enum sal_status status = SAL_OK;
    struct best best = {sal_search_vector(s, &status, err), INFINITY, 0};
    for (int i = 0; i < MEMBERS && !status; i++) {
        if (!steps_of(e, s->ball.norm, (enum member)i))
            continue;
        set_aside(s, &best);
        status = attack_as(s, e, (enum member)i, last, err);
    }
    if (best.p)
        bring_back(s, &best);
    free(best.p);
    if (status || !isfinite(s->nearest))
        return status;
    struct sal_fmn on = {.steps = e->on, .alpha = s->ball.norm == SAL_LINF ? 0.1 : 1,
                         .gamma = 0.05, .on = true};
    status = sal_fmn(s, &on, last, err);
    return status ? status : sal_polish(s, last, e->polish, false, err);
}

/* Where every attack found nothing: PGD in balls of several sizes, then from random points of
 * half the range and all of it, as where a gradient of zero leads nowhere. */
static enum sal_status start_elsewhere(struct sal_search *s, const struct effort *e,
                                       struct sal_error *err)
{
    const enum sal_norm norm = s->ball.norm;
    double eps[3] = {half_range(s) / 64, half_range(s) / 16, half_range(s) / 4};
    struct sal_pgd how = {.steps = 10, .starts = 3, .eps = eps, .stop = true};
    enum sal_status status = SAL_OK;
    if (s->decision.create && !s->decision.labels)
        how.loss = SAL_LOSS_CE; /* all others are pushed down at once */
    const double balls[] = {eps[2], half_range(s), 2 * half_range(s)};
    for (int i = 0; i < 3 && !isfinite(s->nearest) && !status; i++) {
        sal_search_aim(s, (struct sal_ball){norm, balls[i]});
        status = sal_pgd(s, &how, err);
        sal_search_aim(s, (struct sal_ball){norm, INFINITY});
        how.eps = NULL;
        how.starts = 5;
        if (!status && isfinite(s->nearest))
            status = sal_polish(s, NULL, e->polish, false, err);
    }
    return status;
}

/* PGD, from the best flip, in a ball that does not hold it. */
static enum sal_status descend(struct sal_search *s, const struct effort *e, float *from,
                               struct sal_error *err)
{
    const enum sal_norm norm = s->ball.norm;
    double share = 0.95;
    for (int i = 0; i < e->descents && isfinite(s->nearest); i++) {
        double before = s->nearest;
        struct sal_pgd how = {.steps = e->steps, .starts = e->starts, .from = from, .stop = true};
        memcpy(from, s->closest, (size_t)s->space.n * sizeof(*from));
        sal_search_aim(s, (struct sal_ball){norm, before * share});
        how.step = 0.5 * s->ball.eps / sqrt(how.steps);
        enum sal_status status = sal_pgd(s, &how, err);
        sal_search_aim(s, (struct sal_ball){norm, INFINITY});
        if (!status && s->nearest < before)
            status = sal_polish(s, NULL, 3, false, err);
        if (status)
            return status;
        if (s->nearest >= before * 0.999) {
            if (share > 0.985)
                break;
            share = 0.99;
        }
    }
    return SAL_OK;
}

/* ---- whether to believe them ----------------------------------------------------------------------- */

/* A search without gradients in the same ball should not do better. */
static enum sal_status compare_square(struct sal_search *s, const struct effort *e,
                                      struct sal_error *err)
{
    const enum sal_norm norm = s->ball.norm;
    struct sal_pgd how = {.steps = e->steps, .starts = 1};
    double eps = isfinite(s->nearest) ? 0.95 * s->nearest : half_range(s) / 16;
    if (!e->square)
        return SAL_OK;
    sal_search_aim(s, (struct sal_ball){norm, eps});
    enum sal_status status = sal_pgd(s, &how, err);
    double by_gradient = s->depth;
    sal_search_aim(s, s->ball);
    if (!status)
        status = sal_square(s, e->square, 0.8, true, err);
    double without = s->depth, slack = 0.01 * fabs(s->margin0);
    sal_search_aim(s, (struct sal_ball){norm, INFINITY});
    if (!status)
        sal_search_light(s, "square_beats_pgd", "better without gradients",
                         without < by_gradient - slack, by_gradient - without,
                         "within eps %.4g Square reaches margin %.4g, PGD %.4g", eps, without,
                         by_gradient);
    return status;
}

/* With half the range to go, everything flips, or the attack is broken. */
static enum sal_status check_half_range(struct sal_search *s, const struct effort *e,
                                        struct sal_error *err)
{
    const enum sal_norm norm = s->ball.norm;
    const double half = half_range(s);
    struct sal_pgd how = {.steps = 10, .starts = 1, .stop = true};
    if (!e->square)
        return SAL_OK;
    sal_search_aim(s, (struct sal_ball){norm, half});
    enum sal_status status = sal_pgd(s, &how, err);
    bool found = sal_search_found(s);
    sal_search_aim(s, (struct sal_ball){norm, INFINITY});
    if (!status)
        sal_search_light(s, "half_range", "no flip with half the range", !found, half,
                         found ? "PGD flips the decision within eps %.3g, as it should"
                               : "PGD does not even flip the decision within eps %.3g",
                         half);
    return status;
}

static enum sal_status draw_curve(struct sal_search *s, const struct effort *e,
                                  struct sal_error *err)
{
    const enum sal_norm norm = s->ball.norm;
    double eps[SAL_CURVE_MAX], most = 16.0 / 255;
    if (!e->points)
        return SAL_OK;
    if (norm == SAL_L2)
        most = isfinite(s->nearest) ? 4 * s->nearest : 0.1 * sqrt((double)s->space.n);
    for (int k = 0; k < e->points; k++)
        eps[k] = ldexp(most, k - e->points + 1);
    enum sal_status status = sal_curve(s, norm, eps, e->points, e->curve, e->draw, err);
    sal_search_aim(s, (struct sal_ball){norm, INFINITY});
    return status;
}

static enum sal_status find_nearest(struct sal_search *s, const struct effort *e, float *last,
                                    struct sal_error *err)
{
    enum sal_status status = attack_all(s, e, last, err);
    if (!status)
        status = start_elsewhere(s, e, err);
    if (!status)
        status = descend(s, e, last, err);
    if (!status)
        status = sal_polish(s, NULL, e->descents ? e->polish : 1, true, err);
    return status;
}

enum sal_status sal_nearest(struct sal_search *s, int effort, struct sal_error *err)
{
    enum sal_status status = SAL_OK;
    float *last = sal_search_vector(s, &status, err);
    if (!status)
        status = find_nearest(s, effort_of(s->ball.norm, effort), last, err);
    free(last);
    return status;
}

static enum sal_status search_all(struct sal_search *s, const struct effort *e, float *last,
                                  struct sal_error *err)
{
    enum sal_status status = find_nearest(s, e, last, err);
    if (!status)
        status = compare_square(s, e, err);
    if (!status)
        status = check_half_range(s, e, err);
    if (!status)
        status = draw_curve(s, e, err);
    if (!status && e->noise)
        status = sal_noise(s, (struct sal_ball){s->ball.norm, isfinite(s->nearest) ? s->nearest
                                                                                   : 8.0 / 255},
                           e->noise, SAL_STREAM_NOISE, &s->answer->noise, err);
    return status;
}

/* ---- one attack ---------------------------------------------------------------------------------------- */

static enum sal_status attack_once(struct sal_search *s, enum attack attack,
                                   const struct effort *e, struct sal_error *err)
{
    struct sal_pgd pgd = {.steps = e->steps, .starts = e->starts, .stop = true};
    struct sal_apgd apgd = {.steps = e->steps, .starts = e->starts, .stop = true};
    switch (attack) {
    case FGSM:
        return sal_fgsm(s, SAL_LOSS_MARGIN, err);
    case APGD:
        return sal_apgd(s, &apgd, err);
    case SQUARE:
        return sal_square(s, e->square ? e->square : 20, 0.8, true, err);
    case AUTO:
    case PGD:
        break;
    }
    return sal_pgd(s, &pgd, err);
}

enum { TRIED_MAX = 64 }; /* radii: bisections, and the last of the doublings */

/* Radii in which nothing was found. */
struct failed {
    double eps[TRIED_MAX];
    int n;
};

/* The largest that is less than `flip`; 0: none. A search that draws may find in a larger ball
 * what it missed in a smaller one. */
static double failed_below(const struct failed *failed, double flip)
{
    double most = 0;
    for (int i = 0; i < failed->n && i < TRIED_MAX; i++)
        if (failed->eps[i] < flip)
            most = fmax(most, failed->eps[i]);
    return most;
}

/* The attack in a ball of that radius; what it finds stays. */
static enum sal_status try_radius(struct sal_search *s, enum attack attack,
                                  const struct effort *e, double eps, struct failed *failed,
                                  struct sal_error *err)
{
    const enum sal_norm norm = s->ball.norm;
    sal_search_aim(s, (struct sal_ball){norm, eps});
    enum sal_status status = attack_once(s, attack, e, err);
    sal_search_aim(s, (struct sal_ball){norm, INFINITY});
    if (!status && !(s->nearest <= eps))
        failed->eps[failed->n++ % TRIED_MAX] = eps; /* the oldest, smallest, give way */
    return status;
}

static enum sal_status bisect(struct sal_search *s, enum attack attack, const struct effort *e,
                              struct sal_error *err)
{
    double most = s->ball.norm == SAL_LINF ? 1 : sqrt((double)s->space.n);
    double eps = s->answer->estimate; /* 0 where it is less than a rounding */
    eps = fmin(isfinite(eps) && eps > 0 ? eps : most / 64, most);
    enum sal_status status = SAL_OK;
    struct failed failed = {.n = 0};
    while (!status && !isfinite(s->nearest) && failed_below(&failed, INFINITY) < most) {
        status = try_radius(s, attack, e, eps, &failed, err);
        eps = fmin(2 * eps, most);
    }
    for (int i = 0; i < e->bisections && !status && isfinite(s->nearest); i++) {
        double middle = (failed_below(&failed, s->nearest) + s->nearest) / 2;
        status = try_radius(s, attack, e, middle, &failed, err);
    }
    s->answer->bracket[0] = failed_below(&failed, s->nearest);
    s->answer->bracket[1] = s->nearest;
    return status;
}

/* ---- the probe -------------------------------------------------------------------------------------------- */

static enum sal_status run(struct sal_search *s, struct sal_error *err)
{
    enum sal_status status = SAL_OK;
    enum attack attack = (enum attack)sal_search_param(s, "attack");
    enum sal_norm norm = (enum sal_norm)sal_search_param(s, "norm");
    const struct effort *e = effort_of(norm, (int)sal_search_param(s, "effort"));
    float *last = sal_search_vector(s, &status, err);
    sal_search_aim(s, (struct sal_ball){norm, INFINITY});
    sal_search_expect(s, e->passes);
    if (!status)
        status = sal_estimate(s, NULL, err);
    if (!status)
        status = attack == AUTO ? search_all(s, e, last, err) : bisect(s, attack, e, err);
    free(last);
    return status;
}

static const struct sal_param params[] = {
    {.name = "attack",
     .type = SAL_PARAM_CHOICE,
     .fallback = AUTO,
     .unit = "",
     .choices = attack_names,
     .help = "auto: FMN and DDN (l2), with more effort DeepFool, PGD; else bisection over one"},
    SAL_PARAM_NORM,
    SAL_PARAM_EFFORT("about 190 passes, FMN and DDN; or 1000 or 5000, all attacks, curve, all "
                     "lights"),
    SAL_PARAM_GOAL,
    SAL_PARAM_CONTROL,
    {0}};

const struct sal_probe sal_probe_mineps = {
    .name = "mineps",
    .title = "Smallest change that flips the decision",
    .formula = "min |p - p0| over all points found where the decision is another",
    .paper = "several attacks and their minimum; see each",
    .needs = SAL_PROBE_GRADIENT | SAL_PROBE_ATTACK | SAL_PROBE_DRAWS,
    .params = params,
    .run = run,
};
