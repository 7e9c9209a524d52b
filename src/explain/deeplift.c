/* DeepLIFT: how the difference in score from a baseline is shared out, in one backward.
 * The rescale rule, as Captum's; products, quotients, softmax and layer normalisation,
 * which Captum leaves their gradient, are split by their exact parts, and where the
 * windows of a max pool overlap, shares are added up, where Captum keeps one of them. So the
 * map adds up to the difference in score but for rounding. */
#include <stdlib.h>

#include "baseline.h"
#include "completeness.h"
#include "propagated.h"

static const struct sal_param params[] = {SAL_BASELINE_PARAMS, {0}};

static enum sal_status lift(const struct sal_question *question, sal_real *baseline,
                            struct sal_map *map, struct sal_error *err)
{
    struct sal_propagated p = {.propagation = &sal_propagation_deeplift, .reference = baseline};
    enum sal_status status = sal_propagated_run(&p, question, map, err);
    if (!status) {
        struct sal_completeness sum = {p.score, p.reference_score, 0};
        for (int64_t i = 0; i < sal_input_elements(question->model); i++)
            sum.total += p.values[i] *= (double)question->x[i] - (double)baseline[i];
        sal_completeness_tell(&sum, "baseline's score", map);
        sal_completeness_note(&sum, "rounding of small differences", map);
        status = sal_map_from_input(map, question->model, p.values, 1, err);
    }
    free(p.values);
    return status;
}

static enum sal_status deeplift(const struct sal_question *question, struct sal_map *map,
                                struct sal_error *err)
{
    sal_real *baseline = NULL;
    map->is_signed = true;
    map->unit = sal_unit_name(question->model, SAL_UNIT_SCORE);
    enum sal_status status = sal_baseline_make(question, params, &baseline, err);
    if (!status)
        status = lift(question, baseline, map, err);
    free(baseline);
    return status;
}

const struct sal_method sal_method_deeplift = {
    .name = "deeplift",
    .title = "DeepLIFT",
    .formula = "(x - x0) m, m by the chain rule of dy / dx = (y - y0) / (x - x0) at each "
               "function, summed over channels",
    .paper = "Shrikumar et al., ICML 2017, arXiv:1704.02685",
    .semantics = "Captum's: the rescale rule from 0 in the model's input, and the "
                 "gradient where inputs differ by less than 1e-10; but products, softmax, "
                 "layer normalisation and max pools are split exactly, so that the map "
                 "adds up",
    .needs = SAL_NEEDS_GRADIENT | SAL_HAS_CHANNELS,
    .params = params,
    .run = deeplift,
};
