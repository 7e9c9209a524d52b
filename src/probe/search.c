#include "search.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_MAX = 8 };

/* ---- opening ---------------------------------------------------------------------------- */

enum sal_status sal_search_init(struct sal_search *s, const struct sal_probe *probe,
                                const struct sal_probe_question *question,
                                struct sal_probe_answer *answer, struct sal_error *err)
{
    *s = (struct sal_search){.question = question,
                             .probe = probe,
                             .params = question->params,
                             .answer = answer,
                             .ball = {SAL_LINF, INFINITY},
                             .nearest = INFINITY,
                             .depth = INFINITY,
                             .best = INFINITY,
                             .seen0 = (double)NAN};
    enum sal_status status =
        sal_decision_init(&s->decision, question->model, question->class_index, err);
    if (!status)
        status = sal_space_init(&s->space, question, err);
    if (status)
        return status;
    s->closest = sal_search_vector(s, &status, err);
    s->deepest = sal_search_vector(s, &status, err);
    s->gradient0 = sal_search_vector(s, &status, err);
    s->probabilities = calloc((size_t)s->decision.n, sizeof(double));
    s->logits = calloc((size_t)s->decision.n, sizeof(sal_real));
    if (!status && (!s->probabilities || !s->logits))
        status = sal_fail(err, SAL_LIMIT, "no memory for scores");
    return status;
}

void sal_search_release(struct sal_search *s)
{
    for (int g = 0; g < 2; g++)
        for (int several = 0; several < 2; several++)
            sal_run_close(s->runs[g][several]);
    free(s->x);
    free(s->slopes);
    free(s->closest);
    free(s->deepest);
    free(s->kept);
    free(s->gradient0);
    free(s->probabilities);
    free(s->logits);
    sal_space_release(&s->space);
}

void sal_search_aim(struct sal_search *s, struct sal_ball ball)
{
    size_t bytes = (size_t)s->space.n * sizeof(float);
    if (ball.norm != s->ball.norm)
        s->nearest = INFINITY;
    s->ball = ball;
    s->depth = s->margin0;
    memcpy(s->deepest, s->space.p0, bytes);
}

void sal_search_confine(struct sal_search *s, enum sal_where where)
{
    sal_space_allow(&s->space, s->question, where);
    s->nearest = INFINITY;
    sal_search_aim(s, s->ball);
}

void sal_search_expect(struct sal_search *s, long passes)
{
    sal_job_begin(s->question->job, (unsigned)(passes > 0 ? passes : 0));
}

/* ---- runs -------------------------------------------------------------------------------- */

static enum sal_status open_run(struct sal_search *s, bool gradient, int batch,
                                struct sal_run **run, struct sal_error *err)
{
    const struct sal_probe_question *q = s->question;
    const int input = sal_model_input(q->model)->value;
    struct sal_run_options options = {.batch = batch,
                                      .gradient = gradient,
                                      .wrt = gradient ? &input : NULL,
                                      .n_wrt = gradient ? 1 : 0,
                                      .exact = q->exact,
                                      .pool = q->pool};
    return sal_run_open(run, q->model, &options, err);
}

static int limit_of(const struct sal_search *s)
{
    if (sal_model_shares_scales(s->question->model))
        return 1;
    return s->question->batch > 0 ? s->question->batch : BATCH_MAX;
}

/* Memory for one pass of that many. */
static enum sal_status make_room(struct sal_search *s, int batch, struct sal_error *err)
{
    size_t elements = (size_t)sal_input_elements(s->question->model);
    if (batch <= s->room)
        return SAL_OK;
    s->room = batch;
    free(s->x);
    free(s->slopes);
    s->x = calloc((size_t)batch * elements, sizeof(*s->x));
    s->slopes = calloc((size_t)batch * (size_t)s->decision.n, sizeof(*s->slopes));
    return s->x && s->slopes ? SAL_OK
                             : sal_fail(err, SAL_LIMIT, "no memory for %d inputs", batch);
}

/* A run for up to want points at once, as many as there is memory for and the model takes. */
static enum sal_status find_run(struct sal_search *s, bool gradient, int want,
                                struct sal_run **run, int *batch, struct sal_error *err)
{
    int *wide = &s->wide[gradient], limit = limit_of(s);
    want = want > limit ? limit : want;
    if (want > 1 && *wide >= 0 && want > *wide) {
        sal_run_close(s->runs[gradient][1]);
        s->runs[gradient][1] = NULL;
        for (*wide = want; *wide > 1; *wide /= 2) {
            enum sal_status status = open_run(s, gradient, *wide, &s->runs[gradient][1], NULL);
            if (status == SAL_OK)
                break;
            s->runs[gradient][1] = NULL;
        }
        *wide = *wide > 1 ? *wide : -1; /* never tried again */
    }
    bool several = want > 1 && *wide > 1;
    *batch = several ? *wide : 1;
    *run = s->runs[gradient][several];
    if (*run)
        return SAL_OK;
    enum sal_status status = open_run(s, gradient, 1, run, err);
    s->runs[gradient][0] = status ? NULL : *run;
    return status;
}

/* ---- what was seen ------------------------------------------------------------------------- */

/* The best so far over the passes; that it is short of memory is no failure. */
static void put_trail(struct sal_search *s)
{
    struct sal_series *t = s->trail;
    double best = isnan(s->answer->eps) ? s->nearest : s->depth;
    if (!t || !isfinite(best) || (t->n && t->y[t->n - 1] <= best))
        return;
    if (t->n == s->trail_room) {
        int room = s->trail_room ? 2 * s->trail_room : 64;
        double *x = realloc(t->x, (size_t)room * sizeof(*x));
        t->x = x ? x : t->x;
        double *y = realloc(t->y, (size_t)room * sizeof(*y));
        t->y = y ? y : t->y;
        if (!x || !y)
            return;
        s->trail_room = room;
    }
    t->x[t->n] = (double)(s->answer->forwards + s->answer->backwards);
    t->y[t->n++] = best;
}

double sal_search_score(struct sal_search *s, const sal_real *logits)
{
    sal_model_probabilities(s->question->model, logits, s->probabilities);
    double p = s->probabilities[s->decision.c];
    return isnan(p) ? (double)logits[s->decision.c] : p;
}

static void put_curve(struct sal_search *s, double distance, double margin,
                      const sal_real *logits)
{
    double score = s->n_curve ? sal_search_score(s, logits) : 0;
    for (int k = 0; k < s->n_curve; k++) {
        if (distance > s->eps[k])
            continue;
        bool worse = s->decision.create ? score > s->score[k] : score < s->score[k];
        s->score[k] = worse ? score : s->score[k];
        s->margin[k] = margin < s->margin[k] ? margin : s->margin[k];
    }
}

static void note(struct sal_search *s, struct sal_look *look, const sal_real *logits)
{
    size_t bytes = (size_t)s->space.n * sizeof(float);
    look->margin = sal_decision_margin(&s->decision, logits);
    look->reached = sal_decision_reached(&s->decision, logits);
    if (look->logits)
        memcpy(look->logits, logits, (size_t)s->decision.n * sizeof(*logits));
    if (look->aside)
        return;
    double distance = sal_space_norm(&s->space, s->ball.norm, look->p);
    s->best = look->margin < s->best ? look->margin : s->best;
    if (look->reached && distance < s->nearest) {
        s->nearest = distance;
        s->lowness = look->margin;
        memcpy(s->closest, look->p, bytes);
    }
    if (distance <= s->ball.eps && look->margin < s->depth) {
        s->depth = look->margin;
        memcpy(s->deepest, look->p, bytes);
    }
    put_curve(s, distance, look->margin, logits);
    put_trail(s);
}

void sal_search_watch(struct sal_search *s, const double *eps, int n)
{
    assert(n <= SAL_CURVE_MAX);
    s->n_curve = 0;
    double score = sal_search_score(s, s->answer->before);
    for (int k = 0; k < n; k++) {
        s->eps[k] = eps[k];
        s->score[k] = score;
        s->margin[k] = s->margin0;
    }
    s->n_curve = n;
}

/* ---- looking --------------------------------------------------------------------------------- */

struct making {
    struct sal_search *search;
    const struct sal_look *looks;
    int64_t elements;
};

static void make_one(void *context, int tile, int worker)
{
    (void)worker;
    const struct making *m = context;
    sal_space_input(&m->search->space, m->looks[tile].p,
                    m->search->x + tile * m->elements);
}

static const sal_real *logits_of(const struct sal_search *s, const struct sal_run *run, int i)
{
    const struct sal_model_output *output = sal_model_output(s->question->model);
    return sal_run_value(run, output->value, NULL) + (int64_t)i * output->n;
}

/* Fills what a backward starts from; d slopes / d p goes to where each look wants it. */
static enum sal_status go_back(struct sal_search *s, struct sal_run *run, int batch,
                               struct sal_look *looks, int n, struct sal_error *err)
{
    const struct sal_model *model = s->question->model;
    const int value = sal_model_input(model)->value, classes = s->decision.n;
    memset(s->slopes, 0, (size_t)batch * (size_t)classes * sizeof(*s->slopes));
    for (int i = 0; i < n; i++) {
        sal_real *slope = s->slopes + (int64_t)i * classes;
        looks[i].value =
            sal_decision_loss(&s->decision, looks[i].loss, logits_of(s, run, i), slope);
        if (looks[i].slope)
            memcpy(slope, looks[i].slope, (size_t)classes * sizeof(*slope));
    }
    enum sal_status status = sal_run_backward_from(run, sal_model_output(model)->value,
                                                   s->slopes, &value, 1, s->question->job, err);
    if (status)
        return status;
    const sal_real *dx = sal_run_gradient(run, value);
    for (int i = 0; i < n; i++)
        sal_space_slope(&s->space, dx + i * sal_input_elements(model), looks[i].whole,
                        looks[i].gradient);
    return SAL_OK;
}

static enum sal_status look_at(struct sal_search *s, struct sal_run *run, int batch,
                               struct sal_look *looks, int n, struct sal_error *err)
{
    struct making making = {s, looks, sal_input_elements(s->question->model)};
    sal_pool_run(s->question->pool, n, make_one, &making);
    for (int i = n; i < batch; i++) /* places left over */
        memcpy(s->x + i * making.elements, s->x, (size_t)making.elements * sizeof(*s->x));
    enum sal_status status = sal_run_forward(run, s->x, s->question->job, err);
    if (status)
        return status;
    for (int i = 0; i < n; i++) { /* counted one by one, so that no batch shows in the trail */
        s->answer->forwards++;
        note(s, &looks[i], logits_of(s, run, i));
        looks[i].value = looks[i].margin;
        s->answer->backwards += looks[i].gradient != NULL;
    }
    if (looks[0].gradient)
        status = go_back(s, run, batch, looks, n, err);
    sal_job_step(s->question->job, (unsigned)(looks[0].gradient ? 2 * n : n));
    return status;
}

/* The slope of the margin at the picture as given: asked for by every attack, and passed once. */
static bool is_first(const struct sal_search *s, const struct sal_look *look, int n)
{
    return n == 1 && look->gradient && look->loss == SAL_LOSS_MARGIN && !look->slope &&
           !look->logits &&
           memcmp(look->p, s->space.p0, (size_t)s->space.n * sizeof(float)) == 0;
}

static void recall(const struct sal_search *s, struct sal_look *look)
{
    look->margin = look->value = s->seen0;
    look->reached = false;
    memcpy(look->gradient, s->gradient0, (size_t)s->space.n * sizeof(float));
}

enum sal_status sal_search_look(struct sal_search *s, struct sal_look *looks, int n,
                                struct sal_error *err)
{
    enum sal_status status = SAL_OK;
    const bool first = is_first(s, looks, n);
    if (first && !isnan(s->seen0)) {
        recall(s, looks);
        return SAL_OK;
    }
    for (int done = 0; done < n && !status;) {
        struct sal_run *run;
        int batch, left = n - done;
        status = find_run(s, looks[0].gradient != NULL, left, &run, &batch, err);
        if (!status)
            status = make_room(s, batch, err);
        int now = left < batch ? left : batch;
        if (!status)
            status = look_at(s, run, batch, looks + done, now, err);
        done += now;
    }
    if (first && !status && !looks->reached) {
        s->seen0 = looks->margin;
        memcpy(s->gradient0, looks->gradient, (size_t)s->space.n * sizeof(float));
    }
    if (!status)
        sal_search_show(s);
    return status;
}

enum sal_status sal_search_classify(struct sal_search *s, const sal_real *x,
                                    sal_real *logits, struct sal_job *job,
                                    struct sal_error *err)
{
    struct sal_run *run;
    int batch;
    enum sal_status status = find_run(s, false, 1, &run, &batch, err);
    if (!status)
        status = sal_run_forward(run, x, job, err);
    if (status)
        return status;
    memcpy(logits, logits_of(s, run, 0), (size_t)s->decision.n * sizeof(*logits));
    s->answer->forwards++;
    return SAL_OK;
}

/* Looks at the point by itself. */
static enum sal_status confirm(struct sal_search *s, const float *p, bool *reached,
                               struct sal_error *err)
{
    struct sal_probe_answer *a = s->answer;
    sal_space_input(&s->space, p, a->x);
    enum sal_status status = sal_search_classify(s, a->x, a->after, NULL, err);
    *reached = !status && sal_decision_reached(&s->decision, a->after);
    return status;
}

/* What was found with a gradient may be off by rounding: a hair further, then. */
enum sal_status sal_search_settle(struct sal_search *s, float *p, bool *reached,
                                  struct sal_error *err)
{
    static const double ways[] = {1, 1 + 1e-6, 1 + 1e-5, 1 + 1e-4, 1 + 1e-3};
    bool bounded = isfinite(s->ball.eps);
    const float *found = bounded ? s->deepest : s->closest;
    enum sal_status status = SAL_OK;
    *reached = false;
    for (size_t i = 0; i < (bounded ? 1 : sizeof(ways) / sizeof(*ways)); i++) {
        sal_space_ray(&s->space, found, ways[i], p);
        if ((status = confirm(s, p, reached, err)) || *reached)
            break;
    }
    return status;
}

bool sal_search_holds(struct sal_search *s, const sal_real *logits, double drift)
{
    const struct sal_probe_answer *a = s->answer;
    double moved = fabs(sal_search_score(s, logits) - a->score_before);
    if (isnan(s->probabilities[s->decision.c])) {
        moved = fabs(sal_decision_f(&s->decision, logits) - a->f_before);
        drift *= fabs(a->f_before);
    }
    return moved <= drift && sal_decision_called(&s->decision, logits) == a->called_before;
}

bool sal_search_found(const struct sal_search *s)
{
    return isfinite(s->ball.eps) ? s->depth < 0 : isfinite(s->nearest);
}

/* ---- for attacks -------------------------------------------------------------------------------- */

double sal_search_param(const struct sal_search *s, const char *name)
{
    return sal_params_get(s->params, s->probe->params, name);
}

double sal_search_param_or(const struct sal_search *s, const char *name, double fallback)
{
    const struct sal_param *list = s->probe->params;
    for (int i = 0; list && list[i].name; i++)
        if (strcmp(list[i].name, name) == 0)
            return s->params->value[i];
    return fallback;
}

float *sal_search_vector(const struct sal_search *s, enum sal_status *status,
                         struct sal_error *err)
{
    if (*status)
        return NULL;
    float *v = calloc((size_t)s->space.n, sizeof(*v));
    if (!v)
        *status = sal_fail(err, SAL_LIMIT, "no memory for a picture");
    return v;
}

enum sal_status sal_search_series(struct sal_search *s, const char *name, const char *title,
                                  int n, const double *x, const double *values,
                                  struct sal_error *err)
{
    struct sal_probe_answer *a = s->answer;
    assert(a->n_series < SAL_SERIES_MAX);
    struct sal_series *series = &a->series[a->n_series];
    *series = (struct sal_series){.name = name, .title = title, .n = n};
    series->x = calloc((size_t)n + 1, sizeof(double));
    series->y = calloc((size_t)n + 1, sizeof(double));
    a->n_series++;
    if (!series->x || !series->y)
        return sal_fail(err, SAL_LIMIT, "no memory for a curve");
    if (n)
        memcpy(series->x, x, (size_t)n * sizeof(double));
    if (n && values)
        memcpy(series->y, values, (size_t)n * sizeof(double));
    return SAL_OK;
}

enum sal_status sal_search_trial(struct sal_search *s, const struct sal_trial *trial,
                                 struct sal_error *err)
{
    struct sal_probe_answer *a = s->answer;
    struct sal_trial *trials =
        realloc(a->trials, ((size_t)a->n_trials + 1) * sizeof(*trials));
    if (!trials)
        return sal_fail(err, SAL_LIMIT, "no memory for what was tried");
    trials[a->n_trials++] = *trial;
    a->trials = trials;
    return SAL_OK;
}

void sal_search_fact(struct sal_search *s, const char *name, const char *title, double value,
                     const char *unit)
{
    struct sal_probe_answer *a = s->answer;
    assert(a->n_facts < SAL_FACTS_MAX);
    a->facts[a->n_facts++] = (struct sal_fact){name, title, value, unit};
}

void sal_search_light(struct sal_search *s, const char *name, const char *title, bool alarm,
                      double value, const char *format, ...)
{
    struct sal_probe_answer *a = s->answer;
    int at = 0;
    while (at < a->n_lights && strcmp(a->lights[at].name, name) != 0)
        at++;
    assert(at < SAL_LIGHTS_MAX);
    a->n_lights = at < a->n_lights ? a->n_lights : at + 1;
    struct sal_light *light = &a->lights[at];
    *light = (struct sal_light){.name = name, .title = title, .alarm = alarm, .value = value};
    va_list args;
    va_start(args, format);
    vsnprintf(light->text, sizeof(light->text), format, args);
    va_end(args);
}
