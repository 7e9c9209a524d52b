/* RISE: what the score is on average where a pixel is shown. The input is seen through
 * random masks (mask.h), and the map is their sum, weighed by the scores. The authors divide
 * by the number of masks times the share that is kept (normalise=paper) and explain the
 * probability. Of logits that sum is mostly their mean, and mostly noise: of how often
 * chance has shown a pixel. So here the mean is taken off the scores first (centred), which
 * moves the expected map by a constant; or each pixel's sum is divided by its own masks'
 * (coverage). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baseline.h"
#include "mask.h"
#include "methods.h"
#include "sweep.h"

enum { MASKS_MAX = 1000000 };
enum normalise { CENTRED, PAPER, COVERAGE };

static const char *const normalise_names[] = {"centred", "paper", "coverage", NULL};

static const struct sal_param params[] = {
    {.name = "masks",
     .type = SAL_PARAM_INT,
     .fallback = 2000,
     .min = 2,
     .max = MASKS_MAX,
     .unit = "",
     .help = "random masks; the standard error falls with the square root of their number"},
    {.name = "cells",
     .type = SAL_PARAM_INT,
     .fallback = 8,
     .min = 2,
     .max = SAL_MASK_CELLS_MAX,
     .unit = "",
     .help = "cells along a side of a mask, before it is enlarged"},
    {.name = "keep",
     .type = SAL_PARAM_REAL,
     .fallback = 0.5,
     .min = 0.01,
     .max = 0.99,
     .unit = "",
     .help = "probability that a cell shows the image"},
    {.name = "normalise",
     .type = SAL_PARAM_CHOICE,
     .fallback = CENTRED,
     .unit = "",
     .choices = normalise_names,
     .help = "centred: less the mean score of all masks; paper: the authors' weighted sum; "
             "coverage: the mean, weighed by the pixel's own masks"},
    SAL_BASELINE_PARAMS,
    {0},
};

/* Sums over the masks, of a pixel: m its share shown, f the score. */
struct sums {
    double m, fm, mm, fmm, ffm, ffmm;
};

struct curtain {
    const struct sal_question *question;
    const struct sal_model_input *input;
    struct sal_mask_table table;
    sal_real *baseline;
    double keep;
    struct sums *sums;      /* [height][width] */
    double score;           /* with nothing hidden */
    double *kept;           /* of bf16: the score of each mask; NULL */
    double scores, squares; /* of the masks: the sum of their scores, and of those squared */
};

/* ---- passes ------------------------------------------------------------------------------ */

/* Input 0 has nothing hidden. */
static void make(const void *context, int64_t i, sal_real *x)
{
    const struct curtain *c = context;
    const sal_real *from = c->question->x;
    double row[SAL_MASK_CELLS_MAX];
    struct sal_mask mask;
    if (i == 0) {
        memcpy(x, from, (size_t)sal_input_elements(c->question->model) * sizeof(*x));
        return;
    }
    sal_mask_draw(&mask, &c->table, c->keep, c->question->seed, (uint64_t)i);
    for (int64_t k = 0, y = 0; y < c->input->height; y++) {
        sal_mask_row(&mask, (int)y, row);
        for (int column = 0; column < c->input->width; column++, k++) {
            sal_real shown = (sal_real)sal_mask_at(&mask, row, column);
            for (int channel = 0; channel < c->input->channels; channel++) {
                int64_t at = sal_input_place(c->input, channel, k);
                x[at] = c->baseline[at] + shown * (from[at] - c->baseline[at]);
            }
        }
    }
}

static void take(void *context, int64_t i, double score, const sal_real *gradient)
{
    (void)gradient;
    struct curtain *c = context;
    struct sums *sums = c->sums;
    double row[SAL_MASK_CELLS_MAX];
    struct sal_mask mask;
    if (i == 0) {
        c->score = score;
        return;
    }
    if (c->kept)
        c->kept[i] = score;
    c->scores += score;
    c->squares += score * score;
    sal_mask_draw(&mask, &c->table, c->keep, c->question->seed, (uint64_t)i);
    for (int y = 0; y < c->input->height; y++) {
        sal_mask_row(&mask, y, row);
        for (int x = 0; x < c->input->width; x++, sums++) {
            double m = sal_mask_at(&mask, row, x), fm = score * m;
            sums->m += m;
            sums->fm += fm;
            sums->mm += m * m;
            sums->fmm += fm * m;
            sums->ffm += fm * score;
            sums->ffmm += fm * fm;
        }
    }
}

/* ---- the map ------------------------------------------------------------------------------- */

/* The sum over the masks of ((f - f0) (m - m0))^2. */
static double square_sum(const struct curtain *c, const struct sums *s, double f0, double m0,
                         double n)
{
    double ff = s->ffmm - 2 * m0 * s->ffm + m0 * m0 * c->squares;
    double f = s->fmm - 2 * m0 * s->fm + m0 * m0 * c->scores;
    double one = s->mm - 2 * m0 * s->m + m0 * m0 * n;
    double sum = ff - 2 * f0 * f + f0 * f0 * one;
    return sum > 0 ? sum : 0;
}

/* The value of a pixel from n masks, and the square of its standard error. Taking off the
 * mean score is as good as taking off the mean mask too, which is how far chance goes. */
static double value_of(const struct curtain *c, const struct sums *s, enum normalise how,
                       double n, double *variance)
{
    double mean = c->scores / n, by = how == COVERAGE ? s->m : n * c->keep;
    double sum = how == CENTRED ? s->fm - mean * s->m : s->fm;
    double value = by > 0 ? sum / by : 0, squares;
    if (how == CENTRED)
        squares = square_sum(c, s, mean, s->m / n, n);
    else if (how == COVERAGE)
        squares = square_sum(c, s, value, 0, n);
    else
        squares = fmax(0, s->ffmm - sum * sum / n);
    *variance = by > 0 ? squares / (by * by) * n / (n - 1) : 0;
    return value;
}

static void fill(const struct curtain *c, enum normalise how, double n, struct sal_map *map)
{
    double error = 0, low = INFINITY, high = -INFINITY;
    int64_t pixels = (int64_t)c->input->height * c->input->width;
    for (int64_t i = 0; i < pixels; i++) {
        double variance;
        double value = value_of(c, &c->sums[i], how, n, &variance);
        map->values[i] = map->grid[i] = (float)value;
        error += variance / (double)pixels;
        low = fmin(low, value);
        high = fmax(high, value);
    }
    sal_map_check(map, "mean_score", "mean score of the masks", c->scores / n,
                  map->unit);
    sal_map_check(map, "standard_error", "standard error", sqrt(error), map->unit);
    if (high > low)
        sal_map_check(map, "standard_error_percent", "of the map's range",
                      100 * sqrt(error) / (high - low), "%");
}

/* Of the masks that were taken. */
static enum sal_status finish(void *context, const struct sal_sweep *sweep,
                              struct sal_map *map, struct sal_error *err)
{
    const struct curtain *c = context;
    enum normalise how =
        (enum normalise)sal_params_get(c->question->params, params, "normalise");
    int64_t done = sweep->done - 1, masks = sweep->n - 1;
    int width = c->input->width, height = c->input->height;
    if (done < 2 && done < masks)
        return sal_fail(err, SAL_CANCELLED, "cancelled");
    enum sal_status status = sal_map_init(map, width, height, width, height, err);
    if (status)
        return status;
    map->score = c->score;
    map->is_signed = how == CENTRED;
    map->partial = done < masks;
    if (map->partial)
        snprintf(map->note, sizeof(map->note), "%d of %d masks so far", (int)done,
                 (int)masks);
    fill(c, how, (double)done, map);
    return SAL_OK;
}

/* The map once more, of scores with errors like those that were measured. */
static enum sal_status make_again(struct curtain *c, const struct sal_sweep *sweep,
                                  struct sal_map *again, struct sal_error *err)
{
    double *kept = c->kept;
    c->kept = NULL;
    c->scores = c->squares = 0;
    memset(c->sums, 0, (size_t)c->input->height * (size_t)c->input->width * sizeof(*c->sums));
    for (int64_t i = 1; i < sweep->done; i++)
        take(c, i, kept[i] + sal_probes_draw(&sweep->probes, c->question->seed, i, kept[i]),
             NULL);
    c->kept = kept;
    return finish(c, sweep, again, err);
}

static enum sal_status tell_error(struct curtain *c, const struct sal_sweep *sweep,
                                  struct sal_map *map, struct sal_error *err)
{
    if (!sweep->probes.n)
        return SAL_OK;
    struct sal_map again = {.unit = map->unit};
    enum sal_status status = make_again(c, sweep, &again, err);
    if (!status) {
        map->score = sweep->probes.f32[0];
        sal_probes_tell(&sweep->probes, c->question->model, sal_probes_share(map, &again),
                        map);
    }
    sal_map_release(&again);
    return status;
}

static enum sal_status look_through(struct curtain *c, struct sal_map *map,
                                    struct sal_error *err)
{
    int masks = (int)sal_params_get(c->question->params, params, "masks");
    struct sal_sweep sweep = {.n = masks + 1,
                              .context = c,
                              .make = make,
                              .take = take,
                              .sums = true,
                              .preview = finish};
    if (c->question->precision != SAL_F32 &&
        !(c->kept = calloc((size_t)masks + 1, sizeof(*c->kept))))
        return sal_fail(err, SAL_LIMIT, "no memory for %d scores", masks);
    enum sal_status status = sal_sweep_run(&sweep, c->question, map, err);
    if (status && status != SAL_CANCELLED)
        return status;
    status = finish(c, &sweep, map, err);
    return status ? status : tell_error(c, &sweep, map, err);
}

static enum sal_status rise(const struct sal_question *question, struct sal_map *map,
                            struct sal_error *err)
{
    struct curtain c = {.question = question,
                        .input = sal_model_input(question->model),
                        .keep = sal_params_get(question->params, params, "keep")};
    map->unit = sal_unit_name(question->model, SAL_UNIT_SCORE);
    c.sums = calloc((size_t)c.input->height * (size_t)c.input->width, sizeof(*c.sums));
    enum sal_status status =
        c.sums ? sal_mask_table_init(&c.table, c.input->height, c.input->width,
                                     (int)sal_params_get(question->params, params, "cells"),
                                     err)
               : sal_fail(err, SAL_LIMIT, "no memory for a map");
    if (!status)
        status = sal_baseline_make(question, params, &c.baseline, err);
    if (!status)
        status = look_through(&c, map, err);
    sal_mask_table_release(&c.table);
    free(c.baseline);
    free(c.kept);
    free(c.sums);
    return status;
}

const struct sal_method sal_method_rise = {
    .name = "rise",
    .title = "RISE",
    .formula = "sum over masks m of (score(x seen through m) - mean score) m / (masks keep)",
    .paper = "Petsiuk et al., BMVC 2018, arXiv:1806.07421",
    .semantics = "the authors' masks; scores less their mean, which has the same map but "
                 "for a constant and the least noise; of the logit, where the authors "
                 "take the probability (--score prob)",
    .needs = SAL_SWEEPS,
    .params = params,
    .run = rise,
};
