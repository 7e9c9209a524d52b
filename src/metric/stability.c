#include "saliscope/stability.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHEAP = 20, CHEAP_DRAWS = 8, CHEAP_SENSITIVITY = 10, DEAR_DRAWS = 2 };

const struct sal_param sal_stability_params[] = {
    {.name = "top",
     .type = SAL_PARAM_REAL,
     .fallback = 0.05,
     .min = 1e-6,
     .max = 1,
     .unit = "",
     .help = "share of the pixels that are the top of a map"},
    {.name = "draws",
     .type = SAL_PARAM_INT,
     .fallback = -1,
     .min = -1,
     .max = 10000,
     .unit = "",
     .help = "maps under noise of the same norm; -1: 8, or 2 where a map takes over 20 passes"},
    {.name = "sensitivity",
     .type = SAL_PARAM_INT,
     .fallback = -1,
     .min = -1,
     .max = 10000,
     .unit = "",
     .help = "draws of sensitivity_max; -1: 10, or 0 where a map takes over 20 passes"},
    {.name = "radius",
     .type = SAL_PARAM_REAL,
     .fallback = 0.02,
     .min = 0,
     .max = 1,
     .unit = "",
     .help = "of these, in unit intensity"},
    {0}};

static double param(const struct sal_stability *s, const char *name)
{
    return sal_params_get(&s->params, sal_stability_params, name);
}

static void set_param(struct sal_stability *s, const char *name, double value)
{
    for (int i = 0; sal_stability_params[i].name; i++)
        if (strcmp(sal_stability_params[i].name, name) == 0)
            s->params.value[i] = value;
}

/* ---- a map ------------------------------------------------------------------------------------ */

/* A map of part of the work is none to compare with: SAL_CANCELLED. */
static enum sal_status make_map(const struct sal_stability_question *q, const sal_real *x,
                                struct sal_stability *s, struct sal_map *map,
                                struct sal_error *err)
{
    const struct sal_probe_question *probed = q->probed;
    struct sal_question question = {.model = probed->model,
                                    .x = x,
                                    .class_index = probed->class_index,
                                    .layer = q->layer,
                                    .params = q->method_params,
                                    .batch = probed->batch,
                                    .seed = probed->seed,
                                    .exact = probed->exact,
                                    .precision = q->precision,
                                    .pool = probed->pool,
                                    .job = probed->job};
    enum sal_status status = sal_explain(q->method, &question, map, err);
    if (status)
        return status;
    s->forwards += map->forwards;
    s->backwards += map->backwards;
    if (!map->partial)
        return SAL_OK;
    sal_map_release(map);
    return sal_fail(err, SAL_CANCELLED, "cancelled");
}

static enum sal_status compare(struct sal_stability *s, const struct sal_map *map,
                               struct sal_map_agreement *agreement, struct sal_error *err)
{
    return sal_map_agreement_of(s->before.values, map->values, map->height, map->width,
                            param(s, "top"), agreement, err);
}

/* ---- noise ---------------------------------------------------------------------------------------- */

static void add(struct sal_map_agreement *sum, const struct sal_map_agreement *one, double weight)
{
    for (const struct sal_measure *m = sal_measures; m->name; m++)
        *sal_measure_in(sum, m) += weight * sal_measure_of(one, m);
}

/* The map under draw i of noise. */
static enum sal_status noised_map(const struct sal_stability_question *q, enum sal_norm norm,
                                  double eps, bool uniform, int i, struct sal_stability *s,
                                  struct sal_map *map, struct sal_error *err)
{
    sal_real *x = calloc((size_t)sal_input_elements(q->probed->model), sizeof(*x));
    if (!x)
        return sal_fail(err, SAL_LIMIT, "no memory for an input");
    enum sal_status status = sal_probe_noised(q->probed, norm, eps, uniform, (uint64_t)i, x, err);
    if (!status)
        status = make_map(q, x, s, map, err);
    free(x);
    return status;
}

static enum sal_status compare_noise(const struct sal_stability_question *q,
                                     struct sal_stability *s, struct sal_error *err)
{
    struct sal_noise_agreement *noise = &s->noise;
    struct sal_map_agreement sum = {0};
    const int draws = (int)param(s, "draws");
    enum sal_status status = SAL_OK;
    for (int i = 0; i < draws && !status; i++) {
        struct sal_map map;
        struct sal_map_agreement one;
        status = noised_map(q, noise->norm, noise->eps, false, i, s, &map, err);
        if (status)
            break;
        status = compare(s, &map, &one, err);
        sal_map_release(&map);
        if (status)
            break;
        add(&sum, &one, 1);
        sum.top = one.top;
        noise->overlap_low = i ? fmin(noise->overlap_low, one.overlap) : one.overlap;
        noise->overlap_high = i ? fmax(noise->overlap_high, one.overlap) : one.overlap;
        noise->n++;
    }
    if (noise->n) {
        noise->mean = (struct sal_map_agreement){.top = sum.top};
        add(&noise->mean, &sum, 1.0 / noise->n);
    }
    return status;
}

/* ---- sensitivity -------------------------------------------------------------------------------------- */

/* |b - a| / |a| */
static double change_of(const float *a, const float *b, int64_t n)
{
    double change = 0, length = 0;
    for (int64_t i = 0; i < n; i++) {
        change += pow((double)b[i] - (double)a[i], 2);
        length += pow((double)a[i], 2);
    }
    return length > 0 ? sqrt(change / length) : (double)NAN;
}

static enum sal_status measure_sensitivity(const struct sal_stability_question *q,
                                           struct sal_stability *s, struct sal_error *err)
{
    const int draws = (int)param(s, "sensitivity");
    enum sal_status status = SAL_OK;
    for (int i = 0; i < draws && !status; i++) {
        struct sal_map map;
        status = noised_map(q, SAL_LINF, param(s, "radius"), true, i, s, &map, err);
        if (status)
            break;
        double one = change_of(s->before.values, map.values, (int64_t)map.width * map.height);
        s->sensitivity_max = i ? fmax(s->sensitivity_max, one) : one;
        s->sensitivity_draws++;
        sal_map_release(&map);
    }
    return status;
}

/* ---- before and after ----------------------------------------------------------------------------------- */

void sal_stability_release(struct sal_stability *s)
{
    sal_map_release(&s->before);
    sal_map_release(&s->after);
    *s = (struct sal_stability){0};
}

/* What is left automatic depends on what the first map took. */
static void settle_params(struct sal_stability *s)
{
    bool cheap = s->before.forwards + s->before.backwards <= CHEAP;
    if (param(s, "draws") < 0)
        set_param(s, "draws", cheap ? CHEAP_DRAWS : DEAR_DRAWS);
    if (param(s, "sensitivity") < 0)
        set_param(s, "sensitivity", cheap ? CHEAP_SENSITIVITY : 0);
}

enum sal_status sal_stability_begin(const struct sal_stability_question *q,
                                    struct sal_stability *s, struct sal_error *err)
{
    const double nothing = (double)NAN;
    *s = (struct sal_stability){.after = {.layer = -1},
                                .agreement = sal_map_agreement_none(),
                                .score_change = nothing,
                                .noise = {.mean = sal_map_agreement_none(),
                                          .overlap_low = nothing,
                                          .overlap_high = nothing},
                                .sensitivity_max = nothing};
    if (q->params)
        s->params = *q->params;
    else
        sal_params_init(&s->params, sal_stability_params);
    enum sal_status status = make_map(q, q->probed->x, s, &s->before, err);
    if (!status)
        settle_params(s);
    return status;
}

/* The size of the probe's change, in the norm that it keeps small if it keeps one. */
static void size_noise(const struct sal_probe *probe, const struct sal_probe_answer *a,
                       struct sal_noise_agreement *noise)
{
    bool small = probe->needs & (SAL_PROBE_ATTACK | SAL_PROBE_HOLDS);
    noise->norm = small ? a->norm : SAL_L2;
    noise->eps = noise->norm == SAL_LINF ? a->distance.linf : a->distance.l2;
}

static enum sal_status finish(const struct sal_stability_question *q,
                              const struct sal_probe *probe,
                              const struct sal_probe_answer *a, struct sal_stability *s,
                              struct sal_error *err)
{
    enum sal_status status = SAL_OK;
    s->altered = a->distance.changed > 0;
    s->decision_held = a->called_before == a->called_after;
    s->score_change = fabs(a->score_after - a->score_before);
    if (s->altered)
        status = make_map(q, a->x, s, &s->after, err);
    if (!status && s->altered)
        status = compare(s, &s->after, &s->agreement, err);
    if (!status && s->altered) {
        size_noise(probe, a, &s->noise);
        status = compare_noise(q, s, err);
    }
    return status ? status : measure_sensitivity(q, s, err);
}

enum sal_status sal_stability_finish(const struct sal_stability_question *q,
                                     const struct sal_probe *probe,
                                     const struct sal_probe_answer *a,
                                     struct sal_stability *s, struct sal_error *err)
{
    enum sal_status status = finish(q, probe, a, s, err);
    s->partial = status == SAL_CANCELLED;
    return s->partial ? SAL_OK : status;
}
