/* DeepLIFT: how the difference in score from a baseline is shared out, in one backward.
 * The rescale rule, as Captum's; products, quotients, softmax and layer normalisation,
 * which Captum leaves their gradient, are split by their exact parts, and where the
 * windows of a max pool overlap, shares are added up, where Captum keeps one of them. So the
 * map adds up to the difference in score but for rounding. Of several baselines it is the
 * mean of their maps, as DeepSHAP takes it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "baseline.h"
#include "completeness.h"
#include "propagated.h"

static const struct sal_param params[] = {SAL_BASELINES_PARAMS, {0}};

/* Of the baselines so far. */
struct mean {
    const struct sal_question *question;
    struct sal_map *map; /* counts passes */
    int64_t elements;
    double *sum;                  /* [elements]: of the maps */
    struct sal_completeness sums; /* of score, baselines' scores and maps' totals */
    double worst;                 /* relative error of one baseline alone */
    int n, wanted;
};

/* ---- baselines ------------------------------------------------------------------------ */

static void add(struct mean *mean, const struct sal_propagated *p)
{
    const sal_real *x = mean->question->x;
    struct sal_completeness one = {p->score, p->reference_score, 0};
    for (int64_t i = 0; i < mean->elements; i++) {
        double share = p->values[i] * ((double)x[i] - (double)p->reference[i]);
        one.total += share;
        mean->sum[i] += share;
    }
    mean->sums.score = one.score;
    mean->sums.base += one.base;
    mean->sums.total += one.total;
    mean->worst = fmax(mean->worst, sal_completeness_error(&one));
    mean->n++;
}

static enum sal_status lift_from(void *context, const sal_real *baseline,
                                 struct sal_error *err)
{
    struct mean *mean = context;
    struct sal_propagated p = {.propagation = &sal_propagation_deeplift,
                               .reference = baseline};
    enum sal_status status = sal_propagated_run(&p, mean->question, mean->map, err);
    if (!status)
        add(mean, &p);
    free(p.values);
    return status;
}

/* From each baseline that is asked for; what is stopped leaves those before. */
static enum sal_status lift_all(struct mean *mean, struct sal_error *err)
{
    enum sal_status status = sal_baseline_each(mean->question, params, lift_from, mean,
                                               &mean->wanted, err);
    mean->map->partial = status == SAL_CANCELLED && mean->n;
    return mean->map->partial ? SAL_OK : status;
}

/* ---- the map -------------------------------------------------------------------------- */

static enum sal_status finish(const struct sal_question *question, const struct mean *mean,
                              struct sal_map *map, struct sal_error *err)
{
    struct sal_completeness sum = {mean->sums.score, mean->sums.base / mean->n,
                                   mean->sums.total / mean->n};
    map->score = sum.score;
    sal_completeness_tell(&sum, mean->n > 1 ? "baselines' mean score" : "baseline's score",
                          map);
    if (mean->n > 1 && isfinite(mean->worst))
        sal_map_check(map, "worst_baseline_error_percent", "of one baseline alone",
                      100 * mean->worst, "%");
    if (map->partial)
        snprintf(map->note, sizeof(map->note), "%d of %d baselines so far", mean->n,
                 mean->wanted);
    else
        sal_completeness_note(&sum, "rounding of small differences", map);
    return sal_map_from_input(map, question->model, mean->sum, 1.0 / mean->n, err);
}

static enum sal_status deeplift(const struct sal_question *question, struct sal_map *map,
                                struct sal_error *err)
{
    struct mean mean = {.question = question,
                        .map = map,
                        .elements = sal_input_elements(question->model)};
    mean.sum = calloc((size_t)mean.elements, sizeof(*mean.sum));
    if (!mean.sum)
        return sal_fail(err, SAL_LIMIT, "no memory for a map");
    map->is_signed = true;
    map->unit = sal_unit_name(question->model, SAL_UNIT_SCORE);
    enum sal_status status = lift_all(&mean, err);
    if (!status)
        status = finish(question, &mean, map, err);
    free(mean.sum);
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
    .needs = SAL_NEEDS_GRADIENT | SAL_HAS_CHANNELS | SAL_PIXELWISE,
    .params = params,
    .run = deeplift,
};
