/* Spoilt pictures, several at a time: made side by side, passed together. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "corruption.h"

#define X(name) &sal_corruption_##name,
const struct sal_corruption *const sal_corruption_list[] = {SAL_CORRUPTIONS(X) NULL};
#undef X

const char *const sal_severity_table_names[] = {"chest", "pneumonia", "imagenet", NULL};

const double *sal_corruption_settings(const struct sal_corruption_way *way, int table)
{
    const double *settings = way->settings[table];
    return settings[SAL_SEVERITIES - 1] == 0 ? way->settings[0] : settings;
}

bool sal_probe_severities(const struct sal_probe *probe, int table, int way, const char **name,
                          double settings[SAL_SEVERITIES])
{
    const struct sal_corruption *const *kind = sal_corruption_list;
    while (*kind && &(*kind)->probe != probe)
        kind++;
    if (!*kind || way >= (*kind)->n_ways || table >= SAL_TABLES)
        return false;
    *name = (*kind)->ways[way].name;
    memcpy(settings, sal_corruption_settings(&(*kind)->ways[way], table),
           SAL_SEVERITIES * sizeof(*settings));
    return true;
}

enum { TOGETHER = 8 };

/* One handful of pictures. */
struct handful {
    struct sal_search *search;
    struct sal_canvas canvas;
    struct sal_attempt *attempts;
    int n;
    float *p;         /* [TOGETHER][n of the space] */
    sal_real *logits; /* [TOGETHER][classes] */
    enum sal_status status[TOGETHER];
    struct sal_error errors[TOGETHER];
};

static struct sal_canvas canvas_of(const struct sal_search *s)
{
    static const double luma[] = {0.299, 0.587, 0.114};
    const struct sal_space *space = &s->space;
    struct sal_canvas canvas = {
        .planes = space->planes,
        .height = space->input->height,
        .width = space->input->width,
        .reversed = sal_model_preprocessing(s->question->model)->channels == SAL_BGR};
    for (int k = 0; k < canvas.planes; k++)
        canvas.weight[k] = canvas.planes != 3 ? 1.0 / canvas.planes
                                              : luma[canvas.reversed ? 2 - k : k];
    return canvas;
}

static void make_one(void *context, int tile, int worker)
{
    (void)worker;
    struct handful *handful = context;
    const struct sal_space *space = &handful->search->space;
    const struct sal_attempt *attempt = &handful->attempts[tile];
    float *p = handful->p + tile * space->n;
    handful->status[tile] = attempt->kind->alter(&handful->canvas, &attempt->how, space->p0, p,
                                                 &handful->errors[tile]);
    sal_space_project(space, (struct sal_ball){SAL_LINF, INFINITY}, p);
}

static enum sal_status make(struct handful *handful, struct sal_error *err)
{
    sal_pool_run(handful->search->question->pool, handful->n, make_one, handful);
    for (int i = 0; i < handful->n; i++)
        if (handful->status[i])
            return sal_fail(err, handful->status[i], "%s", handful->errors[i].text);
    return SAL_OK;
}

static void take(struct sal_search *s, const struct sal_look *look, struct sal_attempt *attempt)
{
    attempt->seen = true;
    attempt->reached = look->reached;
    attempt->f = s->decision.create ? -look->margin : look->margin;
    attempt->score = sal_search_score(s, look->logits);
    attempt->distance = sal_space_distance(&s->space, look->p);
    if (attempt->probabilities)
        sal_model_probabilities(s->question->model, look->logits, attempt->probabilities);
}

static enum sal_status look(struct handful *handful, struct sal_error *err)
{
    struct sal_search *s = handful->search;
    struct sal_look looks[TOGETHER];
    for (int i = 0; i < handful->n; i++)
        looks[i] = (struct sal_look){.p = handful->p + i * s->space.n,
                                     .logits = handful->logits + i * s->decision.n};
    enum sal_status status = sal_search_look(s, looks, handful->n, err);
    for (int i = 0; i < handful->n && !status; i++)
        take(s, &looks[i], &handful->attempts[i]);
    return status;
}

enum sal_status sal_attempts_look(struct sal_search *s, struct sal_attempt *attempts, int n,
                                  int *done, struct sal_error *err)
{
    struct handful *handful = calloc(1, sizeof(*handful));
    enum sal_status status = SAL_OK;
    *done = 0;
    if (!handful)
        return sal_fail(err, SAL_LIMIT, "no memory for pictures");
    handful->search = s;
    handful->canvas = canvas_of(s);
    handful->p = calloc((size_t)s->space.n * TOGETHER, sizeof(float));
    handful->logits = calloc((size_t)s->decision.n * TOGETHER, sizeof(sal_real));
    if (!handful->p || !handful->logits)
        status = sal_fail(err, SAL_LIMIT, "no memory for pictures");
    while (*done < n && !status) {
        handful->attempts = attempts + *done;
        handful->n = n - *done < TOGETHER ? n - *done : TOGETHER;
        status = make(handful, err);
        if (!status)
            status = look(handful, err);
        if (!status)
            *done += handful->n;
    }
    free(handful->p);
    free(handful->logits);
    free(handful);
    return status;
}
