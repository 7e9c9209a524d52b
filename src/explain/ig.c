/* Integrated gradients: (x - x0) times the mean gradient on the straight way from the
 * baseline x0 to x, the mean by a quadrature rule; of several baselines the mean of their
 * maps. Were it exact, the map would add up to score(x) - score(x0) (completeness); by how
 * much it does not is told with every map. With networks of ReLUs the gradient jumps on the
 * way, so more steps help only slowly, and not always. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baseline.h"
#include "completeness.h"
#include "methods.h"
#include "straight.h"

enum { STEPS_MAX = 10000 };

static const struct sal_param params[] = {
    {.name = "steps",
     .type = SAL_PARAM_INT,
     .fallback = 50,
     .min = 1,
     .max = STEPS_MAX,
     .unit = "",
     .help = "gradients on the way from the baseline to the image"},
    {.name = "rule",
     .type = SAL_PARAM_CHOICE,
     .fallback = SAL_GAUSS_LEGENDRE,
     .unit = "",
     .choices = sal_rule_names,
     .help = "where on the way, and with what weight; riemann_trapezoid is Captum's, "
             "whose weights miss 1/steps; adaptive puts more steps where the score changes "
             "otherwise than the gradient says"},
    {.name = "tolerance",
     .type = SAL_PARAM_REAL,
     .fallback = 0,
     .min = 0,
     .max = 100,
     .unit = "%",
     .help = "steps are doubled, or added by rule=adaptive, until the completeness error is "
             "at most that much of the score's change; 0: they are not"},
    {.name = "steps_max",
     .type = SAL_PARAM_INT,
     .fallback = 800,
     .min = 1,
     .max = STEPS_MAX,
     .unit = "",
     .help = "what is not gone beyond for the tolerance",
     .of = "tolerance"},
    SAL_BASELINES_PARAMS,
    {0},
};

/* The mean over the baselines so far. */
struct mean {
    const struct sal_question *question;
    struct sal_map *map; /* counts passes */
    int64_t elements;
    int n, wanted;     /* baselines: that are in it, that were asked for */
    double *sum;       /* [elements], of their maps */
    double total;      /* of sum */
    double score, base; /* of x; the sum of the baselines' */
    double worst;      /* relative error of one baseline alone */
    int steps;         /* the most of one */
    struct sal_straight last; /* what the last way found out; its sum is gone */
};

/* ---- baselines ------------------------------------------------------------------------- */

static void add_way(struct mean *mean, const struct sal_straight *way)
{
    for (int64_t k = 0; k < mean->elements; k++)
        mean->sum[k] += way->sum[k];
    mean->total += way->reached.total;
    mean->score = way->reached.score;
    mean->base += way->reached.base;
    double error = sal_completeness_error(&way->reached);
    if (!mean->n++ || error > mean->worst) {
        mean->worst = error;
        mean->last = *way;
    }
    mean->steps = way->used > mean->steps ? way->used : mean->steps;
}

/* A part is SAL_CANCELLED; of another baseline than the first it does not count. */
static enum sal_status walk_from(void *context, const sal_real *from, struct sal_error *err)
{
    struct mean *mean = context;
    const struct sal_question *question = mean->question;
    struct sal_straight way = {
        .question = question,
        .from = from,
        .rule = (enum sal_rule)sal_params_get(question->params, params, "rule"),
        .steps = (int)sal_params_get(question->params, params, "steps"),
        .tolerance = sal_params_get(question->params, params, "tolerance") / 100,
        .steps_max = (int)sal_params_get(question->params, params, "steps_max")};
    enum sal_status status = way.rule == SAL_ADAPTIVE
                                 ? sal_straight_adapt(&way, mean->map, err)
                                 : sal_straight_walk(&way, mean->map, err);
    bool part = way.done < way.used;
    if (!status && !(part && mean->n))
        add_way(mean, &way);
    if (!status && (part || way.wanted > way.used))
        status = sal_fail(err, SAL_CANCELLED, "cancelled");
    free(way.sum);
    return status;
}

/* From each baseline that is asked for; what is stopped leaves a part, or those before. */
static enum sal_status walk_all(struct mean *mean, struct sal_error *err)
{
    enum sal_status status = sal_baseline_each(mean->question, params, walk_from, mean,
                                               &mean->wanted, err);
    mean->map->partial = status == SAL_CANCELLED && mean->n;
    return mean->map->partial ? SAL_OK : status;
}

/* ---- the map ---------------------------------------------------------------------------- */

static struct sal_completeness completeness(const struct mean *mean)
{
    return (struct sal_completeness){
        mean->score, mean->base / mean->n, mean->total / mean->n};
}

static void tell(const struct mean *mean, struct sal_map *map)
{
    struct sal_completeness sum = completeness(mean);
    sal_completeness_tell(&sum, mean->n > 1 ? "baselines' mean score" : "baseline's score",
                          map);
    sal_map_check(map, "steps", "steps", mean->steps, "");
    if (mean->last.rule == SAL_ADAPTIVE && isfinite(mean->last.apart))
        sal_map_check(map, "parts_error_percent", "without cancelling", 100 * mean->last.apart,
                      "%");
    if (mean->n > 1 && isfinite(mean->worst))
        sal_map_check(map, "worst_baseline_error_percent", "of one baseline alone",
                      100 * mean->worst, "%");
}

static void explain_stop(const struct mean *mean, struct sal_map *map)
{
    const struct sal_straight *way = &mean->last;
    if (mean->n < mean->wanted && way->done == way->used)
        snprintf(map->note, sizeof(map->note), "%d of %d baselines so far", mean->n,
                 mean->wanted);
    else
        snprintf(map->note, sizeof(map->note), "%d of %d steps%s so far", way->done,
                 way->wanted, mean->wanted > 1 ? " from the first baseline" : "");
}

/* What was asked for and not reached, or what nobody asked for and is large. */
static void explain_error(const struct mean *mean, struct sal_map *map)
{
    const struct sal_straight *way = &mean->last;
    struct sal_completeness sum = completeness(mean);
    if (way->tolerance > 0 && mean->worst > way->tolerance && way->least < 0.9 * mean->worst)
        snprintf(map->note, sizeof(map->note),
                 "not within %.3g %%: with %d steps the completeness error is %.3g %%, with "
                 "fewer it was %.3g %% (%d); steps_max=%d allows no more",
                 100 * way->tolerance, way->used, 100 * mean->worst, 100 * way->least,
                 way->least_steps, way->steps_max);
    else if (way->tolerance > 0 && mean->worst > way->tolerance)
        snprintf(map->note, sizeof(map->note),
                 "not within %.3g %%: with %d steps the completeness error is %.3g %%; "
                 "steps_max=%d allows no more",
                 100 * way->tolerance, way->used, 100 * mean->worst, way->steps_max);
    else
        sal_completeness_note(&sum, "more steps or another rule may come closer", map);
}

static enum sal_status finish(const struct sal_question *question, const struct mean *mean,
                              struct sal_map *map, struct sal_error *err)
{
    map->score = mean->score;
    tell(mean, map);
    if (map->partial)
        explain_stop(mean, map);
    else
        explain_error(mean, map);
    return sal_map_from_input(map, question->model, mean->sum, 1.0 / mean->n, err);
}

static enum sal_status check_steps(const struct sal_question *question, struct sal_error *err)
{
    const bool within = sal_params_get(question->params, params, "tolerance") > 0;
    int steps = (int)sal_params_get(question->params, params, "steps");
    int most = (int)sal_params_get(question->params, params, "steps_max");
    enum sal_rule rule = (enum sal_rule)sal_params_get(question->params, params, "rule");
    bool adaptive = rule == SAL_ADAPTIVE;
    if (rule >= SAL_TRAPEZOID && steps < 2)
        return sal_fail(err, SAL_USAGE, "ig: rule=%s needs 2 steps or more",
                        sal_rule_names[rule]);
    if (within && adaptive && most < 2)
        return sal_fail(err, SAL_USAGE, "ig: rule=adaptive needs steps_max=2 or more");
    if (within && !adaptive && most < steps)
        return sal_fail(err, SAL_USAGE, "ig: steps_max=%d is less than steps=%d", most,
                        steps);
    return SAL_OK;
}

static enum sal_status ig(const struct sal_question *question, struct sal_map *map,
                          struct sal_error *err)
{
    struct mean mean = {.question = question,
                        .map = map,
                        .elements = sal_input_elements(question->model)};
    enum sal_status status = check_steps(question, err);
    if (status)
        return status;
    mean.sum = calloc((size_t)mean.elements, sizeof(*mean.sum));
    if (!mean.sum)
        return sal_fail(err, SAL_LIMIT, "no memory for a map");
    map->is_signed = true;
    map->unit = sal_unit_name(question->model, SAL_UNIT_SCORE);
    status = walk_all(&mean, err);
    if (!status)
        status = finish(question, &mean, map, err);
    free(mean.sum);
    return status;
}

const struct sal_method sal_method_ig = {
    .name = "ig",
    .title = "Integrated gradients",
    .formula = "(x - x0) sum_i w_i d score / d x at x0 + a_i (x - x0), summed over channels",
    .paper = "Sundararajan et al., ICML 2017, arXiv:1703.01365",
    .semantics = "Captum's: 50 steps of Gauss-Legendre, which is exact for polynomials "
                 "of degree 99, from 0 in the model's input; the completeness error is "
                 "told with every map",
    .needs = SAL_NEEDS_GRADIENT | SAL_HAS_CHANNELS | SAL_PIXELWISE,
    .params = params,
    .run = ig,
};
