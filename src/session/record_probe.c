#include <math.h>
#include <stdlib.h>

#include "record.h"

/* ---- scores --------------------------------------------------------------------------------- */

enum { ALL_MAX = 20, HIGHEST = 5 };

/* Whether class i is among the highest few of these logits. */
static bool is_high(const sal_real *logits, int n, int i)
{
    int above = 0;
    for (int j = 0; j < n; j++)
        above += logits[j] > logits[i] || (logits[j] == logits[i] && j < i);
    return above < HIGHEST;
}

/* All classes; of very many those that are high before or after, and the one asked about. */
static bool is_told(const struct sal_probed *probed, int i)
{
    const struct sal_probe_answer *a = &probed->answer;
    return a->n_logits <= ALL_MAX || i == probed->ask.class_index ||
           is_high(a->before, a->n_logits, i) || is_high(a->after, a->n_logits, i);
}

static void write_side(struct sal_json *json, const char *key, const struct sal_model *model,
                       const struct sal_probed *probed, const sal_real *logits, double f)
{
    const struct sal_probe_answer *a = &probed->answer;
    const int c = probed->ask.class_index;
    double *probabilities = calloc((size_t)a->n_logits, sizeof(*probabilities));
    if (!probabilities)
        return;
    sal_model_probabilities(model, logits, probabilities);
    sal_json_object(json, key);
    sal_json_real(json, "logit", (double)logits[c]);
    sal_json_real(json, "probability", probabilities[c]);
    sal_json_real(json, "f", f);
    sal_json_int(json, "top", sal_model_top_class(model, logits));
    sal_json_array(json, "scores");
    for (int i = 0; i < a->n_logits; i++)
        if (is_told(probed, i))
            sal_record_score(json, model, logits, probabilities, i);
    sal_json_end(json);
    sal_json_end(json);
    free(probabilities);
}

/* ---- sizes ------------------------------------------------------------------------------------ */

static void write_distance(struct sal_json *json, const struct sal_distance *distance,
                           unsigned white)
{
    sal_json_object(json, "distance");
    sal_json_real(json, "linf", distance->linf);
    sal_json_real(json, "l2", distance->l2);
    sal_json_real(json, "linf_levels", distance->linf * white);
    sal_json_real(json, "l2_levels", distance->l2 * white);
    sal_json_int(json, "white", white);
    sal_json_int(json, "changed_pixels", distance->changed);
    sal_json_end(json);
}

static void write_saved(struct sal_json *json, const char *key, const struct sal_saved *saved)
{
    if (!saved->white)
        return;
    sal_json_object(json, key);
    sal_json_int(json, "white", saved->white);
    sal_json_bool(json, "survives", saved->survives);
    sal_json_bool(json, "success", saved->flipped);
    sal_json_real(json, "scale", saved->scale);
    sal_json_real(json, "f", saved->f);
    write_distance(json, &saved->distance, saved->white);
    sal_json_end(json);
}

/* ---- series ------------------------------------------------------------------------------------- */

static void put_point(struct sal_json *json, const char *key, const struct sal_series *series,
                      int i)
{
    if (series)
        sal_json_real(json, key, series->y[i]);
}

static void write_curve(struct sal_json *json, const struct sal_probe_answer *a, unsigned white)
{
    const struct sal_series *attack = sal_probe_series(a, "attack");
    sal_json_array(json, "curve");
    for (int i = 0; attack && i < attack->n; i++) {
        sal_json_object(json, NULL);
        sal_json_real(json, "eps", attack->x[i]);
        sal_json_real(json, "levels", attack->x[i] * white);
        sal_json_real(json, "score", attack->y[i]);
        put_point(json, "f", sal_probe_series(a, "attack_f"), i);
        put_point(json, "noise", sal_probe_series(a, "noise"), i);
        put_point(json, "noise_low", sal_probe_series(a, "noise_low"), i);
        put_point(json, "noise_high", sal_probe_series(a, "noise_high"), i);
        sal_json_end(json);
    }
    sal_json_end(json);
    const struct sal_series *trail = sal_probe_series(a, "trajectory");
    sal_json_object(json, "trajectory");
    sal_json_text(json, "best", isnan(a->eps) ? "distance" : "margin");
    sal_json_reals(json, "passes", trail ? trail->x : NULL, trail ? trail->n : 0);
    sal_json_reals(json, "values", trail ? trail->y : NULL, trail ? trail->n : 0);
    sal_json_end(json);
}

static void write_noise(struct sal_json *json, const struct sal_control *noise)
{
    if (!noise->n)
        return;
    sal_json_object(json, "noise");
    sal_json_real(json, "eps", noise->eps);
    sal_json_int(json, "draws", noise->n);
    sal_json_int(json, "flips", noise->flips);
    sal_json_real(json, "flips_upper_95", noise->upper);
    sal_json_real(json, "mean", noise->mean);
    sal_json_real(json, "low", noise->low);
    sal_json_real(json, "high", noise->high);
    sal_json_end(json);
}

static void write_lights(struct sal_json *json, const struct sal_probe_answer *a)
{
    sal_json_array(json, "lights");
    for (int i = 0; i < a->n_lights; i++) {
        sal_json_object(json, NULL);
        sal_json_text(json, "name", a->lights[i].name);
        sal_json_bool(json, "alarm", a->lights[i].alarm);
        sal_json_real(json, "value", a->lights[i].value);
        sal_json_text(json, "text", a->lights[i].text);
        sal_json_end(json);
    }
    sal_json_end(json);
}

static void write_trials(struct sal_json *json, const struct sal_probe_answer *a,
                         unsigned white)
{
    if (!a->n_trials)
        return;
    sal_json_array(json, "trials");
    for (int i = 0; i < a->n_trials; i++) {
        const struct sal_trial *trial = &a->trials[i];
        sal_json_object(json, NULL);
        sal_json_text(json, "name", trial->name);
        sal_json_text(json, "title", trial->title);
        if (trial->way && *trial->way)
            sal_json_text(json, "way", trial->way);
        if (trial->severity)
            sal_json_int(json, "severity", trial->severity);
        sal_json_real(json, "setting", trial->setting);
        sal_json_text(json, "unit", trial->unit);
        sal_json_real(json, "score", trial->score);
        sal_json_real(json, "f", trial->f);
        sal_json_int(json, "draws", trial->draws);
        sal_json_int(json, "flips", trial->flips);
        write_distance(json, &trial->distance, white);
        sal_json_end(json);
    }
    sal_json_end(json);
}

static void write_facts(struct sal_json *json, const struct sal_probe_answer *a)
{
    if (!a->n_facts)
        return;
    sal_json_array(json, "facts");
    for (int i = 0; i < a->n_facts; i++) {
        sal_json_object(json, NULL);
        sal_json_text(json, "name", a->facts[i].name);
        sal_json_text(json, "title", a->facts[i].title);
        sal_json_real(json, "value", a->facts[i].value);
        sal_json_text(json, "unit", a->facts[i].unit);
        sal_json_end(json);
    }
    sal_json_end(json);
}

/* ---- all of it ------------------------------------------------------------------------------------ */

static void write_search(struct sal_json *json, const struct sal_probe_answer *a,
                         unsigned white)
{
    sal_json_text(json, "norm", sal_norm_names[a->norm]);
    sal_json_real(json, "eps", a->eps);
    sal_json_real(json, "eps_levels", a->eps * white);
    sal_json_reals(json, "bracket", a->bracket, 2);
    sal_json_real(json, "first_order", a->estimate);
    sal_json_bool(json, "first_order_reaches", isfinite(a->estimate));
    sal_json_real(json, "best_margin", a->best_margin);
    write_distance(json, &a->distance, white);
    sal_json_bool(json, "survives_quantisation", a->stored.survives);
    write_saved(json, "quantised", &a->stored);
    write_saved(json, "sixteen_bits", &a->deep);
}

/* area_share is of the image; on the network's grid it is among the facts. */
static void write_roi(struct sal_json *json, const struct sal_probed *probed, bool redact)
{
    const struct sal_session_ask *ask = &probed->ask;
    const struct sal_roi *roi = &probed->roi;
    if (!roi->inside)
        return;
    sal_json_object(json, "roi");
    sal_json_array(json, "source");
    for (int i = 0; i < ask->n_roi; i++)
        sal_json_text(json, NULL, redact && !sal_roi_is_rectangle(ask->roi[i]) ? "MASK"
                                                                              : ask->roi[i]);
    sal_json_end(json);
    sal_json_real(json, "area_share", (double)roi->area / roi->width / roi->height);
    sal_json_text(json, "sha256", roi->sha256);
    sal_json_text(json, "where", sal_where_names[ask->where]);
    sal_json_end(json);
}

void sal_record_probed(struct sal_json *json, const struct sal_session *session,
                       const struct sal_probed *probed, bool redact)
{
    const struct sal_probe_answer *a = &probed->answer;
    const struct sal_probe *probe = probed->ask.probe;
    const unsigned white = sal_session_case(session)->loaded->image.max;
    sal_json_text(json, "probe", probe->name);
    sal_json_text(json, "paper", probe->paper);
    sal_record_params(json, probe->params, &probed->ask.params);
    write_roi(json, probed, redact);
    sal_record_class(json, session->model, probed->ask.class_index);
    sal_json_text(json, "sought", sal_sought_names[a->sought]);
    sal_json_text(json, "goal", sal_goal_names[a->goal]);
    sal_json_bool(json, "success", a->sought == SAL_SEEK_FLIP ? a->flipped : a->found);
    sal_json_bool(json, "decision_held", a->called_before == a->called_after);
    sal_json_bool(json, "already", a->already);
    write_side(json, "before", session->model, probed, a->before, a->f_before);
    write_side(json, "after", session->model, probed, a->after, a->f_after);
    write_search(json, a, white);
    write_noise(json, &a->noise);
    write_curve(json, a, white);
    write_facts(json, a);
    sal_record_displaced(json, a);
    sal_record_stability(json, session, probed);
    write_trials(json, a, white);
    write_lights(json, a);
    sal_json_text(json, "note", *a->note ? a->note : NULL);
    sal_json_int(json, "queries", a->forwards + a->backwards);
    sal_json_int(json, "forward_passes", a->forwards);
    sal_json_int(json, "backward_passes", a->backwards);
    sal_json_bool(json, "partial", a->partial);
    sal_json_real(json, "seconds", probed->seconds);
}
