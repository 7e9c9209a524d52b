/* DeepFool: to the nearest boundary as if the network were straight, again and again from
 * where that leads. As published and in Foolbox: the classes to choose from are the highest
 * of the picture, and what is looked at is the picture plus 1 + overshoot times all steps
 * together, within the image's range. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attacks.h"

enum { CLASSES_MAX = 64 };

struct fool {
    struct sal_search *s;
    bool apart; /* there are several boundaries */
    int n_rivals;
    int rivals[CLASSES_MAX]; /* those whose boundary with the class may be the nearest */
    sal_real *slopes;        /* [n_rivals][classes]; NULL: the margin alone */
    sal_real *logits;        /* [classes] */
    float *g;                /* [n_rivals][n] */
    double *total;           /* [n], all steps */
    struct sal_look *looks;
};

/* Hiding a class among several: each of the others has a boundary of its own. */
static void choose_rivals(struct fool *f, int classes)
{
    int most = classes - 1 < CLASSES_MAX ? classes - 1 : CLASSES_MAX;
    f->n_rivals = sal_decision_rivals(&f->s->decision, f->s->answer->before, most, f->rivals);
    f->apart = f->n_rivals > 0 && !f->s->decision.create;
    f->n_rivals = f->apart ? f->n_rivals : 1;
}

static enum sal_status make_room(struct fool *f, struct sal_error *err)
{
    const struct sal_decision *d = &f->s->decision;
    size_t n = (size_t)f->s->space.n, k = (size_t)f->n_rivals, classes = (size_t)d->n;
    f->g = calloc(k * n, sizeof(float));
    f->total = calloc(n, sizeof(double));
    f->looks = calloc(k, sizeof(*f->looks));
    f->logits = calloc(classes, sizeof(sal_real));
    f->slopes = calloc(k * classes, sizeof(sal_real));
    if (!f->g || !f->total || !f->looks || !f->logits || !f->slopes)
        return sal_fail(err, SAL_LIMIT, "no memory for the gradients of %d classes",
                        f->n_rivals);
    for (int i = 0; f->apart && i < f->n_rivals; i++) {
        f->slopes[(size_t)i * classes + (size_t)d->c] = 1;
        f->slopes[(size_t)i * classes + (size_t)f->rivals[i]] = -1;
    }
    return SAL_OK;
}

/* Gradients of all boundaries at p. */
static enum sal_status look(struct fool *f, const float *p, struct sal_error *err)
{
    const struct sal_decision *d = &f->s->decision;
    for (int i = 0; i < f->n_rivals; i++)
        f->looks[i] = (struct sal_look){
            .p = p,
            .gradient = f->g + i * f->s->space.n,
            .slope = f->apart ? f->slopes + (int64_t)i * d->n : NULL,
            .logits = i ? NULL : f->logits,
        };
    return sal_search_look(f->s, f->looks, f->n_rivals, err);
}

/* The distance to boundary i, to first order. */
static double distance_to(const struct fool *f, int i)
{
    const struct sal_decision *d = &f->s->decision;
    double margin = f->looks[i].margin;
    if (f->apart)
        margin = (double)f->logits[d->c] - (double)f->logits[f->rivals[i]];
    double slope = sal_vector_dual(f->s->ball.norm, f->g + i * f->s->space.n, f->s->space.n);
    return slope > 0 ? fabs(margin) / slope : (double)INFINITY;
}

/* Adds the step to the nearest boundary, and a little more; false: no gradient leads on. */
static bool step(struct fool *f)
{
    const struct sal_space *space = &f->s->space;
    const enum sal_norm norm = f->s->ball.norm;
    int best = 0;
    for (int i = 1; i < f->n_rivals; i++)
        if (distance_to(f, i) < distance_to(f, best))
            best = i;
    const float *g = f->g + best * space->n;
    double size = distance_to(f, best) + 1e-4;
    double length = norm == SAL_L2 ? sal_vector_norm(SAL_L2, g, space->n) : 1;
    if (!isfinite(size))
        return false;
    for (int64_t i = 0; i < space->n; i++) {
        double slope = (double)g[i];
        f->total[i] -=
            size * (norm == SAL_L2 ? slope / length : (slope > 0) - (slope < 0));
    }
    return true;
}

static enum sal_status walk(struct fool *f, int steps, double overshoot, float *p,
                            struct sal_error *err)
{
    const struct sal_space *space = &f->s->space;
    const struct sal_ball box = {f->s->ball.norm, INFINITY};
    memcpy(p, space->p0, (size_t)space->n * sizeof(*p));
    for (int k = 0; k < steps; k++) {
        enum sal_status status = look(f, p, err);
        if (status || f->looks[0].reached || !step(f))
            return status;
        for (int64_t i = 0; i < space->n; i++)
            p[i] = (float)((double)space->p0[i] + (1 + overshoot) * f->total[i]);
        sal_space_project(space, box, p);
    }
    return sal_search_look(f->s, &(struct sal_look){.p = p}, 1, err);
}

enum sal_status sal_deepfool(struct sal_search *s, int steps, int classes, double overshoot,
                             float *last, struct sal_error *err)
{
    struct fool f = {.s = s};
    choose_rivals(&f, classes);
    enum sal_status status = make_room(&f, err);
    float *p = last ? last : sal_search_vector(s, &status, err);
    if (!status)
        status = walk(&f, steps, overshoot, p, err);
    if (p != last)
        free(p);
    free(f.g);
    free(f.total);
    free(f.looks);
    free(f.logits);
    free(f.slopes);
    return status;
}

static enum sal_status run(struct sal_search *s, struct sal_error *err)
{
    enum sal_status status = SAL_OK;
    int steps = (int)sal_search_param(s, "steps"), classes = (int)sal_search_param(s, "classes");
    float *last = sal_search_vector(s, &status, err);
    sal_search_aim(s, (struct sal_ball){(enum sal_norm)sal_search_param(s, "norm"), INFINITY});
    if (!status)
        status = sal_deepfool(s, steps, classes, sal_search_param(s, "overshoot"), last, err);
    if (!status && sal_search_param(s, "polish") != 0)
        status = sal_polish(s, last, 10, true, err);
    free(last);
    return status;
}

static const struct sal_param params[] = {
    SAL_PARAM_NORM,
    SAL_PARAM_COUNT("steps", 50, 1, 100000, "steps at most"),
    SAL_PARAM_COUNT("classes", 10, 2, CLASSES_MAX,
                    "of many classes, how many of the highest to consider"),
    {.name = "overshoot",
     .type = SAL_PARAM_REAL,
     .fallback = 0.02,
     .min = 0,
     .max = 10,
     .unit = "",
     .help = "how much further than all steps together, as a share"},
    SAL_PARAM_GOAL,
    SAL_PARAM_POLISH,
    SAL_PARAM_CONTROL,
    {0}};

const struct sal_probe sal_probe_deepfool = {
    .name = "deepfool",
    .title = "DeepFool",
    .formula = "p <- p0 + (1 + overshoot) sum of (f / |g| + 1e-4) g / |g|, nearest boundary first",
    .paper = "Moosavi-Dezfooli et al., CVPR 2016, arXiv:1511.04599",
    .needs = SAL_PROBE_GRADIENT | SAL_PROBE_ATTACK,
    .params = params,
    .run = run,
};
