#include "saliscope/probe.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attacks.h"
#include "corruption.h"

const char *const sal_sought_names[] = {"flip", "explanation", NULL};

#define X(name) &sal_probe_##name,
#define Y(name) &sal_corruption_##name.probe,
const struct sal_probe *const sal_probe_list[] = {SAL_PROBES(X) SAL_CORRUPTIONS(Y) NULL};
#undef X
#undef Y

const struct sal_probe *sal_probe_find(const char *name)
{
    for (int i = 0; sal_probe_list[i]; i++)
        if (strcmp(sal_probe_list[i]->name, name) == 0)
            return sal_probe_list[i];
    return NULL;
}

void sal_probe_answer_release(struct sal_probe_answer *a)
{
    free(a->x);
    free(a->picture);
    free(a->change);
    free(a->before);
    free(a->after);
    free(a->trials);
    for (int i = 0; i < a->n_series; i++) {
        free(a->series[i].x);
        free(a->series[i].y);
    }
    *a = (struct sal_probe_answer){0};
}

const struct sal_series *sal_probe_series(const struct sal_probe_answer *a, const char *name)
{
    for (int i = 0; i < a->n_series; i++)
        if (strcmp(a->series[i].name, name) == 0)
            return &a->series[i];
    return NULL;
}

/* ---- before ------------------------------------------------------------------------------- */

static enum sal_status make_room(struct sal_probe_answer *a, const struct sal_search *s,
                                 struct sal_error *err)
{
    size_t elements = (size_t)sal_input_elements(s->question->model);
    size_t n = (size_t)s->space.n, classes = (size_t)s->decision.n;
    a->planes = s->space.planes;
    a->height = s->space.input->height;
    a->width = s->space.input->width;
    a->n_logits = s->decision.n;
    a->x = calloc(elements, sizeof(*a->x));
    a->picture = calloc(n, sizeof(float));
    a->change = calloc(n, sizeof(float));
    a->before = calloc(classes, sizeof(*a->before));
    a->after = calloc(classes, sizeof(*a->after));
    if (a->x && a->picture && a->change && a->before && a->after)
        return SAL_OK;
    return sal_fail(err, SAL_LIMIT, "no memory for the answer of a probe");
}

/* The picture as given: its decision, and so the goal. */
static enum sal_status look_before(struct sal_search *s, struct sal_error *err)
{
    struct sal_probe_answer *a = s->answer;
    struct sal_decision *d = &s->decision;
    enum sal_status status =
        sal_search_classify(s, s->question->x, a->before, s->question->job, err);
    if (status)
        return status;
    bool called = sal_decision_called(d, a->before);
    enum sal_goal goal = (enum sal_goal)sal_search_param_or(s, "goal", SAL_GOAL_AUTO);
    d->create = goal == SAL_GOAL_AUTO ? !called : goal == SAL_GOAL_CREATE;
    a->goal = d->create ? SAL_GOAL_CREATE : SAL_GOAL_HIDE;
    a->already = called == d->create;
    a->f_before = sal_decision_f(d, a->before);
    a->called_before = a->called_after = called;
    a->score_before = a->score_after = sal_search_score(s, a->before);
    a->sought = s->probe->needs & SAL_PROBE_HOLDS ? SAL_SEEK_EXPLANATION : SAL_SEEK_FLIP;
    d->blend = d->create ? 0.1 * fabs(a->f_before) : 0;
    s->margin0 = s->best = a->best_margin = sal_decision_margin(d, a->before);
    status = sal_search_series(s, "trajectory", "best so far over the passes", 0, NULL, NULL,
                               err);
    s->trail = a->sought == SAL_SEEK_FLIP ? &a->series[0] : NULL;
    return status;
}

/* ---- after ---------------------------------------------------------------------------------- */

/* What was kept, if it holds the decision by itself too. */
static enum sal_status settle_held(struct sal_search *s, float *p, struct sal_error *err)
{
    struct sal_probe_answer *a = s->answer;
    memcpy(p, s->kept, (size_t)s->space.n * sizeof(*p));
    sal_space_input(&s->space, p, a->x);
    enum sal_status status = sal_search_classify(s, a->x, a->after, NULL, err);
    a->found = !status && sal_search_holds(s, a->after, s->drift);
    if (status || a->found)
        return status;
    a->displaced.overlap = a->displaced.stored = (double)NAN;
    snprintf(a->note, sizeof(a->note),
             "what was found does not hold the decision in a forward by itself");
    return SAL_OK;
}

static enum sal_status nothing_found(struct sal_search *s, float *p)
{
    struct sal_probe_answer *a = s->answer;
    memcpy(p, s->space.p0, (size_t)s->space.n * sizeof(*p));
    memcpy(a->x, s->question->x,
           (size_t)sal_input_elements(s->question->model) * sizeof(*a->x));
    memcpy(a->after, a->before, (size_t)a->n_logits * sizeof(*a->after));
    a->flipped = a->already;
    return SAL_OK;
}

static void describe(struct sal_search *s, const float *p)
{
    struct sal_probe_answer *a = s->answer;
    a->f_after = sal_decision_f(&s->decision, a->after);
    a->called_after = sal_decision_called(&s->decision, a->after);
    a->score_after = sal_search_score(s, a->after);
    a->distance = sal_space_distance(&s->space, p);
    a->norm = s->ball.norm;
    a->best_margin = s->best;
    sal_space_picture(&s->space, p, a->picture, a->change);
    if (a->flipped && !isnan(a->bracket[1]))
        a->bracket[1] = a->norm == SAL_LINF ? a->distance.linf : a->distance.l2;
    if (a->bracket[0] >= a->bracket[1]) /* what was noise flipped, and was smaller */
        a->bracket[0] = (double)NAN;
    if (!a->flipped && s->probe->needs & SAL_PROBE_ATTACK && !*a->note)
        snprintf(a->note, sizeof(a->note),
                 "the attack found no change that flips the decision; that does not show that "
                 "there is none");
}

/* Where of the region the change lies, beside how large that is. */
static void tell_region(struct sal_search *s)
{
    const struct sal_probe_question *q = s->question;
    const struct sal_probe_answer *a = s->answer;
    double inside = 0, all = 0;
    int64_t area = 0, shown = 0;
    for (int64_t i = 0; q->roi && i < s->space.n; i++) {
        double change = (double)a->change[i];
        bool in = sal_space_is(q, SAL_INSIDE, i % s->space.pixels);
        inside += in ? change * change : 0;
        all += change * change;
        area += in;
        shown += sal_space_is(q, SAL_EVERYWHERE, i % s->space.pixels);
    }
    if (!q->roi)
        return;
    sal_search_fact(s, "area_share", "share of the area inside", (double)area / (double)shown,
                    "");
    if (all > 0)
        sal_search_fact(s, "energy_share", "share of the change's energy inside", inside / all,
                        "");
}

/* Noise of the norm that was found or allowed, where the probe has made none itself. */
static enum sal_status compare_noise(struct sal_search *s, struct sal_error *err)
{
    int samples = (int)sal_search_param_or(s, "control", 0);
    struct sal_ball ball = s->ball;
    if (!isfinite(ball.eps))
        ball.eps = s->nearest;
    if (s->answer->noise.n || !samples || !isfinite(ball.eps))
        return SAL_OK;
    return sal_noise(s, ball, samples, SAL_STREAM_NOISE, &s->answer->noise, err);
}

static enum sal_status finish(struct sal_search *s, struct sal_error *err)
{
    struct sal_probe_answer *a = s->answer;
    const bool seeks_flip = a->sought == SAL_SEEK_FLIP;
    enum sal_status status = SAL_OK;
    float *p = sal_search_vector(s, &status, err);
    if (!status && !a->already && seeks_flip && sal_search_found(s))
        status = sal_search_settle(s, p, &a->flipped, err);
    if (!status && s->kept)
        status = settle_held(s, p, err);
    a->found |= a->flipped && !a->already;
    if (!status && !a->found)
        status = nothing_found(s, p);
    if (!status) {
        describe(s, p);
        tell_region(s);
    }
    free(p);
    if (!status && a->flipped && !a->already)
        status = sal_save_answer(s, err);
    return status;
}

static enum sal_status check(const struct sal_probe *probe,
                             const struct sal_probe_question *q, struct sal_error *err)
{
    const struct sal_model_input *input = sal_model_input(q->model);
    int64_t sides[2] = {0};
    for (int64_t i = 0; q->roi && i < (int64_t)input->height * input->width; i++)
        for (int side = 0; side < 2; side++)
            sides[side] += sal_space_is(q, side ? SAL_OUTSIDE : SAL_INSIDE, i);
    if (q->roi && !(sides[0] && sides[1]))
        return sal_fail(err, SAL_USAGE, "a region of %s that the network sees of the image",
                        sides[0] ? "all" : "nothing");
    if (q->where == SAL_EVERYWHERE)
        return SAL_OK;
    if (!q->roi)
        return sal_fail(err, SAL_USAGE, "to alter a picture %s there must be a region",
                        sal_where_names[q->where]);
    if (probe->needs & SAL_PROBE_REGION)
        return sal_fail(err, SAL_USAGE, "the probe %s goes inside and outside of the region by "
                        "itself: leave '%s' out", probe->name, sal_where_names[q->where]);
    return SAL_OK;
}

/* ---- running -------------------------------------------------------------------------------------- */

static enum sal_status run(struct sal_search *s, struct sal_error *err)
{
    struct sal_probe_answer *a = s->answer;
    enum sal_status status = make_room(a, s, err);
    if (!status)
        status = look_before(s, err);
    if (status)
        return status;
    sal_search_aim(s, s->ball);
    if (!a->already) {
        status = s->probe->run(s, err);
        if (!status)
            status = compare_noise(s, err);
    }
    a->partial = status == SAL_CANCELLED;
    if (status && !a->partial)
        return status;
    if (a->partial)
        snprintf(a->note, sizeof(a->note), "stopped after %ld passes: the best so far",
                 a->forwards + a->backwards);
    return finish(s, err);
}

enum sal_status sal_probe_run(const struct sal_probe *probe,
                              const struct sal_probe_question *question,
                              struct sal_probe_answer *answer, struct sal_error *err)
{
    struct sal_probe_question resolved = *question;
    struct sal_params fallback;
    struct sal_search search;
    double nothing = (double)NAN;
    *answer = (struct sal_probe_answer){.eps = nothing,
                                        .bracket = {nothing, nothing},
                                        .estimate = nothing,
                                        .displaced = {.overlap = nothing, .stored = nothing},
                                        .score_before = nothing,
                                        .score_after = nothing,
                                        .f_before = nothing,
                                        .f_after = nothing,
                                        .stored = {.f = nothing},
                                        .deep = {.f = nothing}};
    if (!resolved.params) {
        sal_params_init(&fallback, probe->params);
        resolved.params = &fallback;
    }
    answer->params = *resolved.params;
    enum sal_status status = check(probe, question, err);
    if (status)
        return status;
    status = sal_search_init(&search, probe, &resolved, answer, err);
    if (!status)
        status = run(&search, err);
    sal_search_release(&search);
    if (status)
        sal_probe_answer_release(answer);
    return status;
}
