/* Layer-wise relevance propagation. The score is handed back layer by layer, each by its
 * rule; the default is what zennit calls EpsilonGammaBox. What biases and epsilons take is
 * told with every map: the rest is the map's sum. With conv=dense=first=epsilon and a
 * small epsilon it is Captum's default, and on a network of ReLUs input x gradient. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "baseline.h"
#include "propagated.h"

static const char *const rules[] = {"epsilon", "gamma", "gamma_weights", "alphabeta", NULL};

/* The first layer's: auto is zbox where that can be, else that of convolutions. */
enum first { AUTO, SAME, EPSILON, GAMMA, GAMMA_WEIGHTS, ALPHA_BETA, ZBOX };

static const char *const firsts[] = {"auto",          "same",      "epsilon", "gamma",
                                     "gamma_weights", "alphabeta", "zbox",    NULL};

static const char *const biases[] = {"absorbs", "ignored", NULL};

static const struct sal_param params[] = {
    {.name = "conv",
     .type = SAL_PARAM_CHOICE,
     .fallback = SAL_LRP_GAMMA,
     .unit = "",
     .choices = rules,
     .help = "rule of convolutions; gamma_weights is Captum's GammaRule"},
    {.name = "dense",
     .type = SAL_PARAM_CHOICE,
     .fallback = SAL_LRP_EPSILON,
     .unit = "",
     .choices = rules,
     .help = "rule of linear layers"},
    {.name = "first",
     .type = SAL_PARAM_CHOICE,
     .fallback = AUTO,
     .unit = "",
     .choices = firsts,
     .help = "rule of the layer that reads the image; auto: zbox, or where something "
             "comes before it, same, that of convolutions"},
    {.name = "epsilon",
     .type = SAL_PARAM_REAL,
     .fallback = 1e-6,
     .min = 0,
     .max = 1e6,
     .unit = "",
     .help = "added to denominators, away from zero"},
    {.name = "gamma",
     .type = SAL_PARAM_REAL,
     .fallback = 0.25,
     .min = 0,
     .max = 1e6,
     .unit = "",
     .help = "how much more contributions of the output's sign weigh"},
    {.name = "alpha",
     .type = SAL_PARAM_REAL,
     .fallback = 1,
     .min = 1,
     .max = 100,
     .unit = "",
     .help = "share of positive contributions, by alphabeta; of negative ones 1 - alpha"},
    {.name = "bias",
     .type = SAL_PARAM_CHOICE,
     .fallback = 0,
     .unit = "",
     .choices = biases,
     .help = "whether a bias takes its share of the relevance by gamma and alphabeta, or is "
             "left out of denominators (Captum's set_bias_to_zero)"},
    {0},
};

/* What a pixel can be, as the model is given it; and what it is, where that is more. */
static void find_bounds(const struct sal_question *question, struct sal_lrp *lrp)
{
    const struct sal_model_input *input = sal_model_input(question->model);
    const struct sal_preprocessing *spec = sal_model_preprocessing(question->model);
    int64_t pixels = (int64_t)input->height * input->width;
    for (int c = 0; c < SAL_LRP_CHANNELS; c++) {
        int own = c < input->channels ? c : 0;
        double black = sal_baseline_shade(spec, own, 0);
        double white = sal_baseline_shade(spec, own, 1);
        lrp->low[c] = fmin(black, white);
        lrp->high[c] = fmax(black, white);
        for (int64_t i = 0; i < pixels; i++) {
            double x = (double)question->x[sal_input_place(input, own, i)];
            lrp->low[c] = fmin(lrp->low[c], x);
            lrp->high[c] = fmax(lrp->high[c], x);
        }
    }
}

static enum sal_lrp_rule first_rule(enum first first, enum sal_lrp_rule conv)
{
    if (first == SAME)
        return conv;
    return first == AUTO || first == ZBOX ? SAL_LRP_ZBOX
                                          : SAL_LRP_EPSILON + (int)first - EPSILON;
}

static struct sal_lrp rules_of(const struct sal_question *question)
{
    const struct sal_params *given = question->params;
    struct sal_lrp lrp = {
        .conv = (enum sal_lrp_rule)sal_params_get(given, params, "conv"),
        .dense = (enum sal_lrp_rule)sal_params_get(given, params, "dense"),
        .no_bias = sal_params_get(given, params, "bias") != 0,
        .epsilon = sal_params_get(given, params, "epsilon"),
        .gamma = sal_params_get(given, params, "gamma"),
        .alpha = sal_params_get(given, params, "alpha"),
    };
    lrp.first = first_rule((enum first)sal_params_get(given, params, "first"), lrp.conv);
    find_bounds(question, &lrp);
    return lrp;
}

/* ---- the map ---------------------------------------------------------------------------- */

static void check_sum(const struct sal_propagated *p, double total, struct sal_map *map)
{
    sal_map_check(map, "sum", "sum of the map", total, map->unit);
    sal_map_check(map, "absorbed", "taken by biases and epsilon", p->score - total, map->unit);
    if (fabs(p->score) > 0)
        sal_map_check(map, "absorbed_percent", "of the score", 100 * (1 - total / p->score),
                      "%");
}

/* With zbox relevance arrives at the input, else a multiplier of it. */
static enum sal_status hand_back(const struct sal_question *question,
                                 const struct sal_lrp *lrp, struct sal_map *map,
                                 struct sal_error *err)
{
    struct sal_propagated p = {.propagation = &sal_propagation_lrp, .lrp = lrp};
    enum sal_status status = sal_propagated_run(&p, question, map, err);
    if (!status) {
        double total = 0;
        for (int64_t i = 0; i < sal_input_elements(question->model); i++)
            total += p.values[i] *= lrp->first == SAL_LRP_ZBOX ? 1 : (double)question->x[i];
        check_sum(&p, total, map);
        status = sal_map_from_input(map, question->model, p.values, 1, err);
    }
    free(p.values);
    return status;
}

static enum sal_status lrp(const struct sal_question *question, struct sal_map *map,
                           struct sal_error *err)
{
    struct sal_lrp how = rules_of(question);
    map->is_signed = true;
    map->unit = sal_unit_name(question->model, SAL_UNIT_SCORE);
    enum sal_status status = hand_back(question, &how, map, err);
    if (status != SAL_UNSUPPORTED || sal_params_get(question->params, params, "first") != AUTO)
        return status;
    how.first = how.conv;
    status = hand_back(question, &how, map, err);
    if (!status)
        snprintf(map->note, sizeof(map->note),
                 "zbox needs a first layer that reads the image's pixels as they are, which "
                 "this model has not: it has the rule of convolutions");
    return status;
}

const struct sal_method sal_method_lrp = {
    .name = "lrp",
    .title = "LRP",
    .formula = "R_i = sum_j x_i w_ij / (sum_i x_i w_ij) R_j and its variants, layer by "
               "layer, summed over channels",
    .paper = "Bach et al., PLOS ONE 2015, doi:10.1371/journal.pone.0130140",
    .semantics = "zennit's composite EpsilonGammaBox with its 1e-6 and 0.25, the box "
                 "from black to white; epsilon everywhere, Captum's default, is in a "
                 "network of ReLUs no more than inputxgradient",
    .needs = SAL_NEEDS_GRADIENT | SAL_HAS_CHANNELS | SAL_PIXELWISE,
    .params = params,
    .run = lrp,
};
