#include "saliscope/explain.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "methods.h"
#include "tally.h"

#define X(name) &sal_method_##name,
const struct sal_method *const sal_methods[] = {SAL_METHODS(X) NULL};
#undef X

const struct sal_method *sal_method_find(const char *name)
{
    for (int i = 0; sal_methods[i]; i++)
        if (strcmp(sal_methods[i]->name, name) == 0)
            return sal_methods[i];
    return NULL;
}

enum sal_status sal_map_init(struct sal_map *map, int width, int height, int grid_width,
                             int grid_height, struct sal_error *err)
{
    map->width = width;
    map->height = height;
    map->grid_width = grid_width;
    map->grid_height = grid_height;
    map->values = calloc((size_t)width * (size_t)height, sizeof(float));
    map->grid = calloc((size_t)grid_width * (size_t)grid_height, sizeof(float));
    if (map->values && map->grid)
        return SAL_OK;
    sal_map_release(map);
    return sal_fail(err, SAL_LIMIT, "no memory for a %d x %d map", width, height);
}

void sal_map_release(struct sal_map *map)
{
    free(map->values);
    free(map->grid);
    free(map->by_channel);
    *map = (struct sal_map){.layer = -1};
}

/* ---- for methods whose map lies on the input -------------------------------------- */

enum sal_status sal_map_from_input(struct sal_map *map, const struct sal_model *model,
                                   const double *values, double scale,
                                   struct sal_error *err)
{
    const struct sal_model_input *input = sal_model_input(model);
    int64_t pixels = (int64_t)input->height * input->width;
    enum sal_status status = sal_map_init(map, input->width, input->height, input->width,
                                          input->height, err);
    if (status)
        return status;
    map->by_channel = calloc((size_t)sal_input_elements(model), sizeof(float));
    if (!map->by_channel)
        return sal_fail(err, SAL_LIMIT, "no memory for a map of %d channels",
                        input->channels);
    map->channels = input->channels;
    for (int64_t i = 0; i < pixels; i++) {
        double sum = 0;
        for (int c = 0; c < input->channels; c++) {
            double value = values[sal_input_place(input, c, i)] * scale;
            map->by_channel[c * pixels + i] = (float)value;
            sum += value;
        }
        map->values[i] = map->grid[i] = (float)sum;
    }
    return SAL_OK;
}

void sal_map_check(struct sal_map *map, const char *name, const char *title, double value,
                   const char *unit)
{
    assert(map->n_checks < SAL_CHECKS_MAX);
    map->checks[map->n_checks++] = (struct sal_check){name, title, value, unit};
}

const char *sal_unit_name(const struct sal_model *model, enum sal_unit unit)
{
    static const char *const names[][2] = {
        [SAL_UNIT_SCORE] = {"logit", "score"},
        [SAL_UNIT_SLOPE] = {"logit per unit input", "score per unit input"},
        [SAL_UNIT_SLOPE_SQUARED] = {"(logit per unit input)^2", "(score per unit input)^2"},
    };
    return names[unit][strcmp(sal_model_output(model)->unit, "logit") != 0];
}

/* ---- explaining -------------------------------------------------------------------- */

static enum sal_status check_precision(const struct sal_method *method,
                                       const struct sal_question *question,
                                       struct sal_error *err)
{
    if (question->precision == SAL_F32)
        return SAL_OK;
    if (method->needs & SAL_SWEEPS)
        return sal_precision_check(question->precision, err);
    char names[128] = "";
    for (int i = 0, used = 0; sal_methods[i] && used < (int)sizeof(names); i++)
        if (sal_methods[i]->needs & SAL_SWEEPS)
            used += snprintf(names + used, sizeof(names) - (size_t)used, "%s%s",
                             used ? ", " : "", sal_methods[i]->name);
    return sal_fail(err, SAL_USAGE,
                    "%s is computed in f32; %s is for methods of many forwards and no "
                    "gradient: %s",
                    method->title, sal_precision_names[question->precision], names);
}

static enum sal_status check(const struct sal_method *method,
                             struct sal_question *question, struct sal_error *err)
{
    const struct sal_model *model = question->model;
    const struct sal_model_output *output = sal_model_output(model);
    if (question->class_index < 0 || question->class_index >= output->n)
        return sal_fail(err, SAL_USAGE, "class %d is not in 0..%d", question->class_index,
                        output->n - 1);
    enum sal_status status = check_precision(method, question, err);
    if (status)
        return status;
    if (!(method->needs & SAL_NEEDS_LAYER))
        return SAL_OK;
    int n, automatic;
    const struct sal_layer *layers = sal_model_layers(model, &n, &automatic);
    if (question->layer < 0 && automatic < 0)
        return sal_fail(err, SAL_UNSUPPORTED,
                        "%s needs a spatial feature map and this model has none",
                        method->title);
    if (question->layer < 0)
        question->layer = layers[automatic].value;
    if (!sal_model_layer(model, question->layer))
        return sal_fail(err, SAL_USAGE,
                        "'%s' is not a feature map %s can look at; inspect lists those "
                        "that are",
                        sal_model_value(model, question->layer).name, method->title);
    return SAL_OK;
}

static const double saturated = 1e-4; /* p (1 - p), by which every gradient of p is scaled */

/* Of a probability at its end: says more than that its gradient is small, or zero. */
static void explain_saturation(const struct sal_method *method,
                               const struct sal_question *question, bool blank,
                               struct sal_map *map)
{
    double p = map->score, slope = p * (1 - p);
    bool logit = strcmp(sal_model_output(question->model)->unit, "logit") == 0;
    if (logit || !(method->needs & SAL_NEEDS_GRADIENT) || !(p >= 0 && p <= 1) ||
        !(slope < saturated) || (*map->note && !blank))
        return;
    snprintf(map->note, sizeof(map->note),
             "the score is saturated (%.7g): if it is a probability, its gradients are scaled "
             "by %.1e; the logit, without --score, has them whole",
             p, slope);
}

/* Two numbers that a map has everywhere or that say it is none. */
static void explain_oddity(const struct sal_method *method, float low, float high,
                           struct sal_map *map)
{
    if (*map->note)
        return;
    if (low == 0 && high == 0)
        snprintf(map->note, sizeof(map->note),
                 "zero everywhere: nothing that %s changes or weighs here moves the score",
                 method->title);
    else if (high - low <= 1e-6F * fmaxf(fabsf(low), fabsf(high)))
        snprintf(map->note, sizeof(map->note),
                 "the same everywhere, %.4g: %s tells no place from another here",
                 (double)high, method->title);
    for (int i = 0; i < map->n_checks && !*map->note; i++)
        if (strcmp(map->checks[i].name, "r_squared") == 0 && map->checks[i].value < 0)
            snprintf(map->note, sizeof(map->note),
                     "R^2 is below 0: a constant would describe the score better than these "
                     "values; superpixels act together, not one by one");
}

/* No map is handed on that is not finite, nor an odd one without a word. */
static enum sal_status look_over(const struct sal_method *method,
                                 const struct sal_question *question, struct sal_map *map,
                                 struct sal_error *err)
{
    float low = map->values[0], high = low;
    for (long i = 0; i < (long)map->width * map->height; i++) {
        if (!isfinite(map->values[i]))
            return sal_fail(err, SAL_BAD_INPUT,
                            "%s made a value that is not finite at %ld,%ld", method->title,
                            i % map->width, i / map->width);
        low = fminf(low, map->values[i]);
        high = fmaxf(high, map->values[i]);
    }
    explain_saturation(method, question, low == 0 && high == 0, map);
    explain_oddity(method, low, high, map);
    return SAL_OK;
}

enum sal_status sal_explain(const struct sal_method *method,
                            const struct sal_question *question, struct sal_map *map,
                            struct sal_error *err)
{
    struct sal_question resolved = *question;
    struct sal_params fallback;
    *map = (struct sal_map){.layer = -1, .unit = ""};
    if (!resolved.params) {
        sal_params_init(&fallback, method->params);
        resolved.params = &fallback;
    }
    map->params = *resolved.params;
    map->pixelwise = method->needs & SAL_PIXELWISE;
    enum sal_status status = check(method, &resolved, err);
    if (method->needs & SAL_NEEDS_GRADIENT)
        resolved.tally = NULL;
    if (!status && resolved.tally)
        sal_tally_begin(resolved.tally, method, &resolved);
    if (!status)
        status = method->run(&resolved, map, err);
    if (!status)
        status = look_over(method, &resolved, map, err);
    if (status)
        sal_map_release(map);
    return status;
}
