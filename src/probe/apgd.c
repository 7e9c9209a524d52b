/* APGD: projected gradient descent with momentum that halves its own step when it stops
 * getting ahead. As published, but that losses are made small rather than large, and that
 * the first checkpoint compares the first step with the start, where the authors' code reads
 * a row that is not filled yet. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attacks.h"

void sal_checkpoints_init(struct sal_checkpoints *c, int steps)
{
    int first = (int)(0.22 * steps), least = (int)(0.06 * steps), fewer = (int)(0.03 * steps);
    *c = (struct sal_checkpoints){.length = first > 1 ? first : 1,
                                  .least = least > 1 ? least : 1,
                                  .fewer = fewer > 1 ? fewer : 1};
    c->next = c->length;
}

bool sal_checkpoints_pass(struct sal_checkpoints *c, int done, int *length)
{
    if (done != c->next)
        return false;
    *length = c->length;
    c->length = c->length - c->fewer > c->least ? c->length - c->fewer : c->least;
    c->next += c->length;
    return true;
}

/* One start. */
struct runner {
    float *p, *before, *g; /* where it is, where it was, the gradient there; [n] */
    float *best, *best_g;  /* where its loss was lowest */
    double loss, best_loss, size;
    double best_then; /* at the last checkpoint */
    int better;       /* steps since then that made the loss smaller */
    bool halved;
};

static bool make_runner(struct runner *r, int64_t n)
{
    r->p = calloc((size_t)n * 5, sizeof(float));
    if (!r->p)
        return false;
    r->before = r->p + n;
    r->g = r->before + n;
    r->best = r->g + n;
    r->best_g = r->best + n;
    return true;
}

/* What was seen at p. */
static void take(struct runner *r, double loss, int64_t n, bool first)
{
    r->better += !first && loss < r->loss;
    r->loss = loss;
    if (!first && !(loss < r->best_loss))
        return;
    r->best_loss = loss;
    memcpy(r->best, r->p, (size_t)n * sizeof(float));
    memcpy(r->best_g, r->g, (size_t)n * sizeof(float));
}

/* p + a (u - p) + (1 - a) (p - before), where u is a step of plain descent. */
static void step(struct sal_search *s, struct runner *r, float *u, bool first)
{
    const int64_t n = s->space.n;
    const double a = first ? 1 : 0.75;
    memcpy(u, r->p, (size_t)n * sizeof(*u));
    sal_step_down(s->ball.norm, r->g, r->size, u, n);
    sal_space_project(&s->space, s->ball, u);
    for (int64_t i = 0; i < n; i++) {
        double p = (double)r->p[i], was = (double)r->before[i];
        u[i] = (float)(p + a * ((double)u[i] - p) + (1 - a) * (p - was));
    }
    sal_space_project(&s->space, s->ball, u);
    memcpy(r->before, r->p, (size_t)n * sizeof(*u));
    memcpy(r->p, u, (size_t)n * sizeof(*u));
}

static void check(struct runner *r, int length, int64_t n)
{
    bool few = r->better <= 0.75 * length;
    bool stuck = !r->halved && !(r->best_loss < r->best_then);
    r->halved = few || stuck;
    r->best_then = r->best_loss;
    r->better = 0;
    if (!r->halved)
        return;
    r->size /= 2;
    memcpy(r->p, r->best, (size_t)n * sizeof(float));
    memcpy(r->g, r->best_g, (size_t)n * sizeof(float));
}

/* Looks at all runners. */
static enum sal_status look(struct sal_search *s, const struct sal_apgd *how,
                            struct runner *runners, struct sal_look *looks, bool first,
                            struct sal_error *err)
{
    for (int r = 0; r < how->starts; r++)
        looks[r] = (struct sal_look){
            .p = runners[r].p, .gradient = runners[r].g, .loss = how->loss};
    enum sal_status status = sal_search_look(s, looks, how->starts, err);
    for (int r = 0; !status && r < how->starts; r++)
        take(&runners[r], looks[r].value, s->space.n, first);
    return status;
}

static enum sal_status descend(struct sal_search *s, const struct sal_apgd *how,
                               struct runner *runners, struct sal_look *looks, float *u,
                               struct sal_error *err)
{
    struct sal_checkpoints checkpoints;
    sal_checkpoints_init(&checkpoints, how->steps);
    enum sal_status status = look(s, how, runners, looks, true, err);
    for (int r = 0; r < how->starts; r++) {
        runners[r].best_then = runners[r].best_loss;
        runners[r].halved = true;
    }
    for (int i = 0; i < how->steps && !status; i++) {
        int length;
        if (how->stop && sal_search_found(s))
            return SAL_OK;
        for (int r = 0; r < how->starts; r++)
            step(s, &runners[r], u, i == 0);
        status = look(s, how, runners, looks, false, err);
        if (!status && sal_checkpoints_pass(&checkpoints, i + 1, &length))
            for (int r = 0; r < how->starts; r++)
                check(&runners[r], length, s->space.n);
    }
    return status;
}

static void begin(struct sal_search *s, struct runner *runners, int starts)
{
    const int64_t n = s->space.n;
    for (int r = 0; r < starts; r++) {
        uint64_t key = sal_stream_key(s, SAL_STREAM_APGD, (uint64_t)r);
        sal_step_random(s, s->ball, true, key, runners[r].p);
        memcpy(runners[r].before, runners[r].p, (size_t)n * sizeof(float));
        runners[r].size = 2 * s->ball.eps;
    }
}

enum sal_status sal_apgd(struct sal_search *s, const struct sal_apgd *how,
                         struct sal_error *err)
{
    enum sal_status status = SAL_OK;
    float *u = sal_search_vector(s, &status, err);
    struct sal_look *looks = calloc((size_t)how->starts, sizeof(*looks));
    struct runner *runners = calloc((size_t)how->starts, sizeof(*runners));
    bool room = looks && runners;
    for (int r = 0; room && r < how->starts; r++)
        room = make_runner(&runners[r], s->space.n);
    if (!status && !room)
        status = sal_fail(err, SAL_LIMIT, "no memory for %d starts", how->starts);
    if (!status) {
        begin(s, runners, how->starts);
        status = descend(s, how, runners, looks, u, err);
    }
    for (int r = 0; runners && r < how->starts; r++)
        free(runners[r].p);
    free(runners);
    free(looks);
    free(u);
    return status;
}

static enum sal_status run_apgd(struct sal_search *s, struct sal_error *err)
{
    struct sal_apgd how = {.steps = (int)sal_search_param(s, "steps"),
                           .starts = (int)sal_search_param(s, "restarts"),
                           .loss = (enum sal_loss)sal_search_param(s, "loss")};
    sal_search_aim(s, (struct sal_ball){(enum sal_norm)sal_search_param(s, "norm"),
                                        sal_search_param(s, "eps")});
    s->answer->eps = s->ball.eps;
    sal_search_expect(s, 2L * (how.steps + 1) * how.starts);
    return sal_apgd(s, &how, err);
}

static const struct sal_param params[] = {
    SAL_PARAM_EPS,
    SAL_PARAM_COUNT("steps", 100, 1, 100000, "steps of each start"),
    SAL_PARAM_NORM,
    SAL_PARAM_COUNT("restarts", 1, 1, 256, "random starts"),
    SAL_PARAM_GOAL,
    SAL_PARAM_LOSS,
    SAL_PARAM_CONTROL,
    {0}};

const struct sal_probe sal_probe_apgd = {
    .name = "apgd",
    .title = "Auto-PGD",
    .formula = "PGD with momentum 0.25 from step 2 eps, halved at checkpoints without progress",
    .paper = "Croce and Hein, ICML 2020, arXiv:2003.01690",
    .needs = SAL_PROBE_GRADIENT | SAL_PROBE_ATTACK | SAL_PROBE_DRAWS,
    .params = params,
    .run = run_apgd,
};
