/* Guided backpropagation and deconvnet: a gradient whose negative part ReLUs keep back.
 * Both sharpen edges and show little of the class (Adebayo et al., NeurIPS 2018,
 * arXiv:1810.03292): to be read beside a method that does. As Captum's, which sees only
 * modules; here every Relu of the graph, and every Clip from 0, has the rule. */
#include <stdio.h>
#include <stdlib.h>

#include "propagated.h"

static bool is_zero(const struct sal_map *map)
{
    for (int64_t i = 0; i < (int64_t)map->width * map->height; i++)
        if (map->values[i] != 0)
            return false;
    return true;
}

static enum sal_status look(const struct sal_question *question,
                            const struct sal_propagation *propagation, struct sal_map *map,
                            struct sal_error *err)
{
    struct sal_propagated p = {.propagation = propagation};
    map->is_signed = true;
    map->unit = sal_unit_name(question->model, SAL_UNIT_SLOPE);
    enum sal_status status = sal_propagated_run(&p, question, map, err);
    if (!status)
        status = sal_map_from_input(map, question->model, p.values, 1, err);
    if (!status && is_zero(map))
        snprintf(map->note, sizeof(map->note),
                 "zero everywhere: no positive gradient is left behind some ReLU");
    else if (!status && p.ruled == 0)
        snprintf(map->note, sizeof(map->note),
                 "this model has no ReLU to change the gradient at: the map is its plain "
                 "gradient");
    free(p.values);
    return status;
}

static enum sal_status guided(const struct sal_question *question, struct sal_map *map,
                              struct sal_error *err)
{
    return look(question, &sal_propagation_guided, map, err);
}

static enum sal_status deconvnet(const struct sal_question *question, struct sal_map *map,
                                 struct sal_error *err)
{
    return look(question, &sal_propagation_deconvnet, map, err);
}

const struct sal_method sal_method_guidedbackprop = {
    .name = "guidedbackprop",
    .title = "Guided backpropagation",
    .formula = "d score / d x with [y > 0] max(dy, 0) at each ReLU, summed over channels",
    .paper = "Springenberg et al., ICLR workshop 2015, arXiv:1412.6806",
    .semantics = "Captum's GuidedBackprop, signed; a ReLU counts whether or not it was a "
                 "module of its own, and so does a Clip from 0, such as ReLU6, which Captum "
                 "leaves its gradient",
    .needs = SAL_NEEDS_GRADIENT | SAL_HAS_CHANNELS | SAL_PIXELWISE,
    .run = guided,
};

const struct sal_method sal_method_deconvnet = {
    .name = "deconvnet",
    .title = "Deconvnet",
    .formula = "d score / d x with max(dy, 0) at each ReLU, summed over channels",
    .paper = "Zeiler and Fergus, ECCV 2014, arXiv:1311.2901",
    .semantics = "Captum's Deconvolution, signed, at the same functions as "
                 "guidedbackprop; max pools remember the place of the maximum, as the "
                 "paper's switches do",
    .needs = SAL_NEEDS_GRADIENT | SAL_HAS_CHANNELS | SAL_PIXELWISE,
    .run = deconvnet,
};
