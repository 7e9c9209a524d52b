/* What became of maps under a probe. */
#include <math.h>
#include <stdio.h>

#include "record.h"

static void write_agreement(struct sal_json *json, const char *key,
                            const struct sal_map_agreement *agreement)
{
    sal_json_object(json, key);
    sal_json_int(json, "top_pixels", agreement->top);
    for (const struct sal_measure *m = sal_measures; m->name; m++)
        sal_json_real(json, m->name, sal_measure_of(agreement, m));
    sal_json_end(json);
}

static void write_noise(struct sal_json *json, const struct sal_noise_agreement *noise)
{
    if (!noise->n)
        return;
    sal_json_object(json, "noise");
    sal_json_text(json, "norm", sal_norm_names[noise->norm]);
    sal_json_real(json, "eps", noise->eps);
    sal_json_int(json, "draws", noise->n);
    write_agreement(json, "mean", &noise->mean);
    sal_json_real(json, "top_overlap_low", noise->overlap_low);
    sal_json_real(json, "top_overlap_high", noise->overlap_high);
    sal_json_end(json);
}

static void write_comparison(struct sal_json *json, const struct sal_stability *maps)
{
    sal_json_bool(json, "altered", maps->altered);
    sal_json_bool(json, "decision_held", maps->decision_held);
    sal_json_real(json, "score_change", maps->score_change);
    if (maps->after.values)
        write_agreement(json, "agreement", &maps->agreement);
    write_noise(json, &maps->noise);
    if (maps->sensitivity_draws) {
        sal_json_real(json, "sensitivity_max", maps->sensitivity_max);
        sal_json_int(json, "sensitivity_draws", maps->sensitivity_draws);
    }
}

void sal_record_stability(struct sal_json *json, const struct sal_session *session,
                          const struct sal_probed *probed)
{
    const struct sal_stability *maps = probed->stability;
    const struct sal_session_ask *ask = &probed->ask;
    if (!maps)
        return;
    const char *layer =
        ask->layer < 0 ? NULL : sal_model_value(session->model, ask->layer).name;
    sal_json_object(json, "explanation");
    sal_json_text(json, "method", ask->beside->name);
    sal_record_params(json, ask->beside->params, &ask->beside_params);
    sal_json_text(json, "layer", layer);
    sal_json_object(json, "comparison");
    sal_record_params(json, sal_stability_params, &ask->stability_params);
    sal_json_end(json);
    write_comparison(json, maps);
    sal_json_int(json, "forward_passes", maps->forwards);
    sal_json_int(json, "backward_passes", maps->backwards);
    sal_json_bool(json, "partial", maps->partial);
    sal_json_end(json);
}

/* "top overlap 0.31 (noise of equal size 0.88), Spearman 0.62 (0.95)" */
const char *sal_stability_text(const struct sal_stability *maps, char *dst, size_t capacity)
{
    const struct sal_map_agreement *one = &maps->agreement, *noise = &maps->noise.mean;
    char beside[2][48] = {"", ""};
    if (maps->noise.n && !isnan(noise->overlap)) {
        snprintf(beside[0], sizeof(beside[0]), " (noise of equal size %.3g)", noise->overlap);
        snprintf(beside[1], sizeof(beside[1]), " (%.3g)", noise->spearman);
    }
    if (!maps->after.values)
        snprintf(dst, capacity, "not compared, nothing was altered");
    else if (isnan(one->overlap))
        snprintf(dst, capacity, "one of the maps is the same everywhere: nothing to compare");
    else
        snprintf(dst, capacity, "top overlap %.3g%s, Spearman %.3g%s", one->overlap, beside[0],
                 one->spearman, beside[1]);
    return dst;
}

void sal_record_displaced(struct sal_json *json, const struct sal_probe_answer *a)
{
    const struct sal_displaced *d = &a->displaced;
    const struct sal_series *overlap = sal_probe_series(a, "overlap");
    const struct sal_series *held = sal_probe_series(a, "overlap_held");
    const struct sal_series *score = sal_probe_series(a, "score");
    if (!d->top)
        return;
    sal_json_object(json, "displaced");
    sal_json_int(json, "top_pixels", d->top);
    sal_json_real(json, "top_overlap", d->overlap);
    sal_json_real(json, "top_overlap_quantised", d->stored);
    sal_json_bool(json, "held_quantised", d->stored_holds);
    sal_json_int(json, "draws", d->draws);
    sal_json_int(json, "held", d->held);
    sal_json_real(json, "noise", d->draws ? d->noise : (double)NAN);
    sal_json_real(json, "noise_low", d->draws ? d->noise_low : (double)NAN);
    sal_json_real(json, "noise_high", d->draws ? d->noise_high : (double)NAN);
    sal_json_reals(json, "overlap_by_step", overlap ? overlap->y : NULL,
                   overlap ? overlap->n : 0);
    sal_json_reals(json, "held_by_step", held ? held->y : NULL, held ? held->n : 0);
    sal_json_reals(json, "score_by_step", score ? score->y : NULL, score ? score->n : 0);
    sal_json_end(json);
}
