/* Attacks that make the norm small: DDN, on a sphere that shrinks and grows, and FMN, in a
 * ball that does. As published, but that lengths are in units of the first-order distance
 * at the picture, where the authors take 1 for pictures of 32 x 32 x 3: so they work alike at
 * any size of picture. FMN walks to the boundary from inside and may never cross it; the
 * polish at the end does. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attacks.h"
#include "saliscope/random.h"

/* The first-order distance, or some length where there is none. */
static double first_radius(const struct sal_search *s)
{
    double estimate = s->answer->estimate;
    if (isfinite(estimate) && estimate > 0)
        return estimate;
    return s->ball.norm == SAL_LINF ? 0.1 : 0.1 * sqrt((double)s->space.n);
}

/* ---- DDN ------------------------------------------------------------------------------------ */

/* A gradient of zeros says nothing: any direction then. */
static void fill_direction(const struct sal_search *s, int step, float *g)
{
    uint64_t key = sal_stream_key(s, SAL_STREAM_DDN, (uint64_t)step);
    double pair[2] = {0};
    for (int64_t i = 0; i < s->space.n; i++) {
        if (i % 2 == 0)
            sal_random_normals(key, (uint64_t)i / 2, pair);
        g[i] = (float)pair[i % 2];
    }
}

static void onto_sphere(const struct sal_search *s, double eps, float *p)
{
    double length = sal_space_norm(&s->space, SAL_L2, p);
    for (int64_t i = 0; length > 0 && i < s->space.n; i++) {
        double p0 = (double)s->space.p0[i];
        p[i] = (float)(p0 + ((double)p[i] - p0) * eps / length);
    }
    sal_space_project(&s->space, (struct sal_ball){SAL_LINF, INFINITY}, p);
}

static enum sal_status walk_sphere(struct sal_search *s, int steps, double gamma, float *p,
                                   float *g, struct sal_error *err)
{
    double first = 1.5 * first_radius(s), eps = 5 * first_radius(s);
    memcpy(p, s->space.p0, (size_t)s->space.n * sizeof(*p));
    for (int k = 0; k < steps; k++) {
        struct sal_look here = {.p = p, .gradient = g};
        enum sal_status status = sal_search_look(s, &here, 1, err);
        if (status)
            return status;
        if (!(sal_vector_norm(SAL_L2, g, s->space.n) > 0))
            fill_direction(s, k, g);
        sal_step_down(SAL_L2, g, first * sal_step_cosine(1, 0.01, k, steps), p, s->space.n);
        eps *= here.reached ? 1 - gamma : k ? 1 + gamma : 1;
        onto_sphere(s, eps, p);
    }
    return sal_search_look(s, &(struct sal_look){.p = p}, 1, err);
}

enum sal_status sal_ddn(struct sal_search *s, int steps, double gamma, float *last,
                        struct sal_error *err)
{
    enum sal_status status = SAL_OK;
    float *g = sal_search_vector(s, &status, err);
    float *p = last ? last : sal_search_vector(s, &status, err);
    if (!status)
        status = walk_sphere(s, steps, gamma, p, g, err);
    if (p != last)
        free(p);
    free(g);
    return status;
}

/* ---- FMN -------------------------------------------------------------------------------------- */

/* The radius: smaller after a flip, larger without one; until there was one, to where first order
 * has the boundary. */
static double next_radius(const struct sal_search *s, const struct sal_look *here, double share,
                          double eps, double *best)
{
    double size = sal_space_norm(&s->space, s->ball.norm, here->p);
    double slope = sal_vector_dual(s->ball.norm, here->gradient, s->space.n);
    if (here->reached && size < *best)
        *best = size;
    if (here->reached)
        return fmin(eps, *best) * (1 - share);
    if (isfinite(*best))
        return eps * (1 + share);
    return slope > 0 ? size + fabs(here->margin) / slope : (double)INFINITY;
}

static enum sal_status walk_ball(struct sal_search *s, const struct sal_fmn *how, float *p,
                                 float *g, struct sal_error *err)
{
    const struct sal_space *space = &s->space;
    const enum sal_norm norm = s->ball.norm;
    double best = how->on ? s->nearest : (double)INFINITY, eps = best;
    double unit = first_radius(s) * (norm == SAL_LINF ? 8 * sqrt((double)space->n) : 0.3);
    memcpy(p, how->on ? s->closest : space->p0, (size_t)space->n * sizeof(*p));
    for (int k = 0; k < how->steps; k++) {
        struct sal_look here = {.p = p, .gradient = g};
        enum sal_status status = sal_search_look(s, &here, 1, err);
        if (status)
            return status;
        eps = next_radius(s, &here, sal_step_cosine(how->gamma, how->gamma / 50, k, how->steps),
                          eps, &best);
        double size = sal_step_cosine(how->alpha, how->alpha / 100, k, how->steps);
        if (how->sign && norm == SAL_LINF && isfinite(eps))
            sal_step_down(SAL_LINF, g, size * eps, p, space->n);
        else
            sal_step_down(SAL_L2, g, size * unit, p, space->n);
        sal_space_project(space, (struct sal_ball){norm, eps}, p);
    }
    return sal_search_look(s, &(struct sal_look){.p = p}, 1, err);
}

enum sal_status sal_fmn(struct sal_search *s, const struct sal_fmn *how, float *last,
                        struct sal_error *err)
{
    enum sal_status status = SAL_OK;
    float *g = sal_search_vector(s, &status, err);
    float *p = last ? last : sal_search_vector(s, &status, err);
    if (!status)
        status = walk_ball(s, how, p, g, err);
    if (p != last)
        free(p);
    free(g);
    return status;
}

/* ---- rows -------------------------------------------------------------------------------------- */

enum { ROUNDS = 10 }; /* of the polish */

static enum sal_status run_either(struct sal_search *s, bool ddn, struct sal_error *err)
{
    enum sal_status status = SAL_OK;
    int steps = (int)sal_search_param(s, "steps");
    enum sal_norm norm = ddn ? SAL_L2 : (enum sal_norm)sal_search_param(s, "norm");
    double gamma = sal_search_param(s, "gamma");
    struct sal_fmn fmn = {.steps = steps, .gamma = gamma};
    if (!ddn)
        fmn.alpha = sal_search_param(s, "alpha");
    float *last = sal_search_vector(s, &status, err);
    sal_search_aim(s, (struct sal_ball){norm, INFINITY});
    sal_search_expect(s, 2L * steps + 60);
    if (!status)
        status = sal_estimate(s, NULL, err);
    if (!status)
        status = ddn ? sal_ddn(s, steps, gamma, last, err)
                     : sal_fmn(s, &fmn, last, err);
    if (!status && sal_search_param(s, "polish") != 0)
        status = sal_polish(s, last, ROUNDS, true, err);
    free(last);
    return status;
}

static enum sal_status run_ddn(struct sal_search *s, struct sal_error *err)
{
    return run_either(s, true, err);
}

static enum sal_status run_fmn(struct sal_search *s, struct sal_error *err)
{
    return run_either(s, false, err);
}

#define SAL_PARAM_GAMMA                                                                 \
    {.name = "gamma",                                                                   \
     .type = SAL_PARAM_REAL,                                                            \
     .fallback = 0.05,                                                                  \
     .min = 0,                                                                          \
     .max = 0.9,                                                                        \
     .unit = "",                                                                        \
     .help = "by what share the radius shrinks after a flip and grows without one"}

static const struct sal_param ddn_params[] = {
    SAL_PARAM_COUNT("steps", 100, 1, 100000, "steps"), SAL_PARAM_GAMMA, SAL_PARAM_GOAL,
    SAL_PARAM_POLISH, SAL_PARAM_CONTROL, {0}};

static const struct sal_param fmn_params[] = {
    SAL_PARAM_NORM,
    SAL_PARAM_COUNT("steps", 100, 1, 100000, "steps"),
    {.name = "alpha",
     .type = SAL_PARAM_REAL,
     .fallback = 1,
     .min = 0,
     .max = 1e4,
     .unit = "",
     .help = "first step, the last is a hundredth of it; 1: 0.3 first-order distances in l2, "
             "in linf 8 for each pixel"},
    SAL_PARAM_GAMMA,
    SAL_PARAM_GOAL,
    SAL_PARAM_POLISH,
    SAL_PARAM_CONTROL,
    {0}};

const struct sal_probe sal_probe_ddn = {
    .name = "ddn",
    .title = "Decoupled direction and norm",
    .formula = "steps down the gradient, put onto a sphere of radius r (1 -+ gamma)",
    .paper = "Rony et al., CVPR 2019, arXiv:1811.09600",
    .needs = SAL_PROBE_GRADIENT | SAL_PROBE_ATTACK | SAL_PROBE_DRAWS,
    .params = ddn_params,
    .run = run_ddn,
};

const struct sal_probe sal_probe_fmn = {
    .name = "fmn",
    .title = "Fast minimum-norm attack",
    .formula = "steps down the gradient, put into a ball of radius r (1 -+ gamma)",
    .paper = "Pintor et al., NeurIPS 2021, arXiv:2102.12827",
    .needs = SAL_PROBE_GRADIENT | SAL_PROBE_ATTACK,
    .params = fmn_params,
    .run = run_fmn,
};
