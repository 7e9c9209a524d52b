/* The gradient of the score at the input, as it is or times the input. In the input's
 * own units (after preprocessing): d score / d x, and x d score / d x, which for a
 * network of ReLUs without biases adds up to the score. Captum's Saliency is
 * magnitude=yes; its InputXGradient is this one. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "methods.h"
#include "sweep.h"

static const struct sal_param params[] = {
    {.name = "magnitude",
     .type = SAL_PARAM_BOOL,
     .fallback = 0,
     .max = 1,
     .unit = "",
     .help = "absolute values, taken before channels are summed"},
    {0},
};

struct slope {
    const struct sal_question *question;
    double *gradient;
    double score;
};

static void make(const void *context, int64_t i, sal_real *x)
{
    (void)i;
    const struct sal_question *question = ((const struct slope *)context)->question;
    memcpy(x, question->x, (size_t)sal_input_elements(question->model) * sizeof(*x));
}

static void take(void *context, int64_t i, double score, const sal_real *gradient)
{
    (void)i;
    struct slope *slope = context;
    int64_t n = sal_input_elements(slope->question->model);
    slope->score = score;
    for (int64_t k = 0; k < n; k++)
        slope->gradient[k] = (double)gradient[k];
}

static void explain_blank(struct sal_map *map)
{
    for (int64_t i = 0; i < (int64_t)map->width * map->height; i++)
        if (map->values[i] != 0)
            return;
    snprintf(map->note, sizeof(map->note),
             "the score does not move with the input here: every gradient is zero");
}

/* change: what becomes of the gradient of the input's n elements. */
static enum sal_status look(const struct sal_question *question,
                            void (*change)(double *gradient, const sal_real *x, int64_t n),
                            struct sal_map *map, struct sal_error *err)
{
    int64_t n = sal_input_elements(question->model);
    struct slope slope = {question, calloc((size_t)n, sizeof(double)), 0};
    struct sal_sweep sweep = {
        .n = 1, .gradient = true, .context = &slope, .make = make, .take = take};
    enum sal_status status = slope.gradient ? sal_sweep_run(&sweep, question, map, err)
                                            : sal_fail(err, SAL_LIMIT, "no memory for a map");
    if (!status) {
        if (change)
            change(slope.gradient, question->x, n);
        map->score = slope.score;
        status = sal_map_from_input(map, question->model, slope.gradient, 1, err);
    }
    free(slope.gradient);
    if (!status)
        explain_blank(map);
    return status;
}

static void take_magnitude(double *gradient, const sal_real *x, int64_t n)
{
    (void)x;
    for (int64_t i = 0; i < n; i++)
        gradient[i] = fabs(gradient[i]);
}

static void times_input(double *gradient, const sal_real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        gradient[i] *= (double)x[i];
}

static enum sal_status gradient_map(const struct sal_question *question,
                                    struct sal_map *map, struct sal_error *err)
{
    bool magnitude = sal_params_get(question->params, params, "magnitude") != 0;
    map->is_signed = !magnitude;
    map->unit = sal_unit_name(question->model, SAL_UNIT_SLOPE);
    return look(question, magnitude ? take_magnitude : NULL, map, err);
}

static enum sal_status product_map(const struct sal_question *question,
                                   struct sal_map *map, struct sal_error *err)
{
    map->is_signed = true;
    map->unit = sal_unit_name(question->model, SAL_UNIT_SCORE);
    return look(question, times_input, map, err);
}

const struct sal_method sal_method_gradient = {
    .name = "gradient",
    .title = "Gradient",
    .formula = "d score / d x, summed over channels",
    .paper = "Simonyan et al., ICLR workshop 2014, arXiv:1312.6034",
    .semantics = "signed, as Captum's Saliency(abs=False): the sign is information, and "
                 "magnitudes are one parameter away",
    .needs = SAL_NEEDS_GRADIENT | SAL_HAS_CHANNELS | SAL_PIXELWISE,
    .params = params,
    .run = gradient_map,
};

const struct sal_method sal_method_inputxgradient = {
    .name = "inputxgradient",
    .title = "Input x gradient",
    .formula = "x d score / d x, summed over channels",
    .paper = "Shrikumar et al., 2016, arXiv:1605.01713",
    .semantics = "Captum's InputXGradient, in the model's input after preprocessing",
    .needs = SAL_NEEDS_GRADIENT | SAL_HAS_CHANNELS | SAL_PIXELWISE,
    .run = product_map,
};
