#include "surrogate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baseline.h"
#include "methods.h"
#include "sweep.h"

enum { ENDS = 2, PREVIEW_MAX = 600 }; /* superpixels whose fit takes no time to speak of */

enum sal_status sal_surrogate_init(struct sal_surrogate *s,
                                   const struct sal_question *question,
                                   const struct sal_param *list, struct sal_error *err)
{
    *s = (struct sal_surrogate){.question = question};
    enum sal_status status = sal_superpixels_make(question, list, &s->superpixels, err);
    if (!status)
        status = sal_baseline_make(question, list, &s->baseline, err);
    if (status)
        return status;
    size_t n = (size_t)s->superpixels.n;
    s->gram = calloc(n * n + 2 * n, sizeof(*s->gram));
    if (!s->gram)
        return sal_fail(err, SAL_LIMIT, "no memory for %zu superpixels", n);
    s->presence = s->gram + n * n;
    s->moment = s->presence + n;
    return SAL_OK;
}

void sal_surrogate_release(struct sal_surrogate *s)
{
    free(s->superpixels.of);
    free(s->baseline);
    free(s->gram);
    free(s->score);
}

/* ---- passes ------------------------------------------------------------------------------ */

/* Inputs 0 and 1 have all superpixels and none. */
static void make(const void *context, int64_t i, sal_real *x)
{
    const struct sal_surrogate *s = context;
    const struct sal_model_input *input = sal_model_input(s->question->model);
    int64_t pixels = (int64_t)input->height * input->width;
    const sal_real *from[] = {s->baseline, s->question->x};
    unsigned char present[SAL_SUPERPIXELS_MAX];
    if (i < ENDS)
        memset(present, i == 0, sizeof(present));
    else
        s->choose(s, i - ENDS, present);
    for (int c = 0; c < input->channels; c++)
        for (int64_t k = 0; k < pixels; k++) {
            int64_t at = sal_input_place(input, c, k);
            x[at] = from[present[s->superpixels.of[k]]][at];
        }
}

/* Only the lower triangle of the matrix, until all samples are there. */
static void add_sample(struct sal_surrogate *s, const unsigned char *present, double weight,
                       double y)
{
    int n = s->superpixels.n;
    s->weight += weight;
    s->mean += weight * y;
    s->square += weight * y * y;
    for (int i = 0; i < n; i++) {
        if (!present[i])
            continue;
        s->presence[i] += weight;
        s->moment[i] += weight * y;
        for (int j = 0; j <= i; j++)
            s->gram[(int64_t)i * n + j] += present[j] ? weight : 0;
    }
}

static void take(void *context, int64_t i, double score, const sal_real *gradient)
{
    (void)gradient;
    struct sal_surrogate *s = context;
    unsigned char present[SAL_SUPERPIXELS_MAX];
    if (i < ENDS) {
        *(i ? &s->empty : &s->full) = score;
        return;
    }
    double weight = s->choose(s, i - ENDS, present);
    s->score[s->done] = score - s->empty;
    add_sample(s, present, weight, s->score[s->done++]);
}

static void mirror(struct sal_surrogate *s)
{
    int64_t n = s->superpixels.n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++)
            s->gram[j * n + i] = s->gram[i * n + j];
}

/* ---- the map ------------------------------------------------------------------------------ */

double sal_surrogate_r2(const struct sal_surrogate *s, const double *coefficient,
                        double intercept)
{
    int64_t n = s->superpixels.n;
    double spread = s->square - s->mean * s->mean / s->weight;
    double left = s->square - 2 * intercept * s->mean + intercept * intercept * s->weight;
    for (int64_t i = 0; i < n; i++) {
        double row = 2 * intercept * s->presence[i] - 2 * s->moment[i];
        for (int64_t j = 0; j < n; j++)
            row += s->gram[i * n + j] * coefficient[j];
        left += coefficient[i] * row;
    }
    return spread > 0 ? 1 - left / spread : (double)NAN;
}

enum sal_status sal_surrogate_draw(const struct sal_surrogate *s, const double *coefficient,
                                   struct sal_map *map, struct sal_error *err)
{
    const struct sal_model_input *input = sal_model_input(s->question->model);
    enum sal_status status = sal_map_init(map, input->width, input->height, input->width,
                                          input->height, err);
    if (status)
        return status;
    for (int64_t i = 0; i < (int64_t)input->height * input->width; i++)
        map->values[i] = map->grid[i] = (float)coefficient[s->superpixels.of[i]];
    return SAL_OK;
}

/* Of the samples that were taken. */
static enum sal_status finish(void *context, const struct sal_sweep *sweep,
                              struct sal_map *map, struct sal_error *err)
{
    (void)sweep;
    struct sal_surrogate *s = context;
    if (!s->done)
        return sal_fail(err, SAL_CANCELLED, "cancelled");
    mirror(s);
    map->score = s->full;
    map->is_signed = true;
    map->unit = sal_unit_name(s->question->model, SAL_UNIT_SCORE);
    map->partial = s->done < s->samples;
    if (map->partial)
        snprintf(map->note, sizeof(map->note), "%lld of %lld samples so far",
                 (long long)s->done, (long long)s->samples);
    return s->fit(s, map, err);
}

/* The sums of scores once more, with errors like those that were measured added to them.
 * Inputs 0 and 1 are those with all superpixels and with none. */
static void add_errors(struct sal_surrogate *s, const struct sal_probes *probes)
{
    const int n = s->superpixels.n;
    const uint64_t seed = s->question->seed;
    unsigned char present[SAL_SUPERPIXELS_MAX];
    double empty = sal_probes_draw(probes, seed, 1, s->empty);
    memset(s->moment, 0, (size_t)n * sizeof(*s->moment));
    s->mean = s->square = 0;
    for (int64_t i = 0; i < s->done; i++) {
        double weight = s->choose(s, i, present);
        double y = s->score[i] - empty +
                   sal_probes_draw(probes, seed, i + ENDS, s->score[i] + s->empty);
        s->mean += weight * y;
        s->square += weight * y * y;
        for (int k = 0; k < n; k++)
            s->moment[k] += present[k] ? weight * y : 0;
        s->score[i] = y;
    }
    s->full += sal_probes_draw(probes, seed, 0, s->full);
    s->empty += empty;
}

static enum sal_status tell_error(struct sal_surrogate *s, const struct sal_sweep *sweep,
                                  struct sal_map *map, struct sal_error *err)
{
    if (!sweep->probes.n)
        return SAL_OK;
    struct sal_map again = {.params = map->params};
    add_errors(s, &sweep->probes);
    enum sal_status status = finish(s, sweep, &again, err);
    if (!status) {
        map->score = sweep->probes.f32[0];
        sal_probes_tell(&sweep->probes, s->question->model, sal_probes_share(map, &again),
                        map);
    }
    sal_map_release(&again);
    return status;
}

enum sal_status sal_surrogate_explain(struct sal_surrogate *s, struct sal_map *map,
                                      struct sal_error *err)
{
    struct sal_sweep sweep = {.n = s->samples + ENDS,
                              .context = s,
                              .make = make,
                              .take = take,
                              .sums = true,
                              .preview = s->superpixels.n <= PREVIEW_MAX ? finish : NULL};
    s->score = calloc((size_t)s->samples + 1, sizeof(*s->score));
    if (!s->score)
        return sal_fail(err, SAL_LIMIT, "no memory for %lld scores", (long long)s->samples);
    enum sal_status status = sal_sweep_run(&sweep, s->question, map, err);
    if (status && status != SAL_CANCELLED)
        return status;
    status = finish(s, &sweep, map, err);
    return status ? status : tell_error(s, &sweep, map, err);
}
