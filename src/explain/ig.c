/* Integrated gradients: (x - x0) times the mean gradient on the straight way from the
 * baseline x0 to x, the mean by a quadrature rule. Were it exact, the map would add up to
 * score(x) - score(x0) (completeness); by how much it does not is told with every map.
 * With networks of ReLUs the gradient jumps on the way, so more steps help only slowly. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baseline.h"
#include "methods.h"
#include "quadrature.h"
#include "sweep.h"

enum { STEPS_MAX = 2000, ENDS = 2 };

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
             "whose weights miss 1/steps"},
    SAL_BASELINE_PARAMS,
    {0},
};

static const double notable_error = 0.05; /* of the difference in score */

struct path {
    const struct sal_question *question;
    int64_t elements;
    int steps;
    sal_real *from;          /* the baseline */
    double *nodes, *weights; /* of the rule, [steps] */
    double *sum;             /* [elements]: weighted gradients so far */
    double weight;           /* of those */
    double ends[ENDS];       /* the scores of x and of the baseline */
};

/* ---- the way ------------------------------------------------------------------------- */

/* Inputs 0 and 1 are the ends, for their scores; then the steps, scattered, so that a
 * part of them stands for all. */
static int step_of(const struct path *path, int64_t i)
{
    return (int)sal_sweep_scatter(i - ENDS, path->steps);
}

static void make(const void *context, int64_t i, sal_real *x)
{
    const struct path *path = context;
    const sal_real *to = path->question->x, *from = path->from;
    if (i < ENDS) {
        memcpy(x, i ? from : to, (size_t)path->elements * sizeof(*x));
        return;
    }
    sal_real alpha = (sal_real)path->nodes[step_of(path, i)];
    for (int64_t k = 0; k < path->elements; k++)
        x[k] = from[k] + alpha * (to[k] - from[k]);
}

static void take(void *context, int64_t i, double score, const sal_real *gradient)
{
    struct path *path = context;
    if (i < ENDS) {
        path->ends[i] = score;
        return;
    }
    double weight = path->weights[step_of(path, i)];
    path->weight += weight;
    for (int64_t k = 0; k < path->elements; k++)
        path->sum[k] += weight * (double)gradient[k];
}

/* ---- the map ---------------------------------------------------------------------------- */

/* True when the map comes close to adding up. */
static bool completeness(const struct path *path, struct sal_map *map, double total)
{
    double difference = path->ends[0] - path->ends[1], error = total - difference;
    const char *unit = map->unit;
    sal_map_check(map, "baseline_score", "baseline's score", path->ends[1], unit);
    sal_map_check(map, "sum", "sum of the map", total, unit);
    sal_map_check(map, "completeness_error", "completeness error", error, unit);
    if (fabs(difference) > 0)
        sal_map_check(map, "completeness_error_percent", "of the score's change",
                      100 * error / difference, "%");
    return fabs(error) <= notable_error * fabs(difference);
}

static enum sal_status finish(struct path *path, int64_t done, struct sal_map *map,
                              struct sal_error *err)
{
    /* of a part, the mean over what was done */
    double scale = done < path->steps ? 1 / path->weight : 1, total = 0;
    for (int64_t k = 0; k < path->elements; k++) {
        path->sum[k] *= (double)path->question->x[k] - (double)path->from[k];
        total += path->sum[k] * scale;
    }
    map->score = path->ends[0];
    bool complete = completeness(path, map, total);
    if (done < path->steps)
        snprintf(map->note, sizeof(map->note), "stopped after %d of %d steps", (int)done,
                 path->steps);
    else if (!complete)
        snprintf(map->note, sizeof(map->note),
                 "the map adds up to %.4g where the score changed by %.4g: more steps or "
                 "another rule may come closer",
                 total, path->ends[0] - path->ends[1]);
    map->partial = done < path->steps;
    return sal_map_from_input(map, path->question->model, path->sum, scale, err);
}

static enum sal_status walk(struct path *path, struct sal_map *map, struct sal_error *err)
{
    struct sal_sweep sweep = {.n = path->steps + ENDS,
                              .gradient = true,
                              .context = path,
                              .make = make,
                              .take = take};
    enum sal_status status = sal_sweep_run(&sweep, path->question, map, err);
    if (status == SAL_CANCELLED && path->weight > 0)
        status = SAL_OK;
    return status ? status : finish(path, sweep.done - ENDS, map, err);
}

static enum sal_status ig(const struct sal_question *question, struct sal_map *map,
                          struct sal_error *err)
{
    int steps = (int)sal_params_get(question->params, params, "steps");
    enum sal_rule rule = (enum sal_rule)sal_params_get(question->params, params, "rule");
    if (rule >= SAL_TRAPEZOID && steps < 2)
        return sal_fail(err, SAL_USAGE, "ig: rule=%s needs 2 steps or more",
                        sal_rule_names[rule]);
    struct path path = {.question = question,
                        .elements = sal_input_elements(question->model),
                        .steps = steps};
    path.nodes = calloc((size_t)steps * 2, sizeof(*path.nodes));
    path.sum = calloc((size_t)path.elements, sizeof(*path.sum));
    enum sal_status status = path.nodes && path.sum
                                 ? sal_baseline_make(question, params, &path.from, err)
                                 : sal_fail(err, SAL_LIMIT, "no memory for a map");
    if (!status) {
        path.weights = path.nodes + steps;
        sal_quadrature(rule, steps, path.nodes, path.weights);
        map->is_signed = true;
        map->unit = sal_unit_name(question->model, SAL_UNIT_SCORE);
        status = walk(&path, map, err);
    }
    free(path.nodes);
    free(path.sum);
    free(path.from);
    return status;
}

const struct sal_method sal_method_ig = {
    .name = "ig",
    .title = "Integrated gradients",
    .formula = "(x - x0) sum_i w_i d score / d x at x0 + a_i (x - x0), summed over channels",
    .paper = "Sundararajan et al., ICML 2017, arXiv:1703.01365",
    .needs = SAL_NEEDS_GRADIENT | SAL_HAS_CHANNELS,
    .params = params,
    .run = ig,
};
