#include "straight.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "methods.h"
#include "sweep.h"

enum { ENDS = 2 };

/* One rule with a number of steps. */
struct level {
    struct sal_straight *way;
    int64_t elements;
    int steps, ends;         /* ends: inputs before the points, of which scores count */
    double *nodes, *weights; /* of the rule, [steps] */
    int *fresh, n_fresh;     /* the points that are not there yet */
    double *sum;             /* [elements]: weighted gradients so far */
    double weight;           /* of those */
};

void sal_straight_point(const struct sal_straight *way, double alpha, sal_real *x)
{
    const sal_real *to = way->question->x, *from = way->from;
    const int64_t elements = sal_input_elements(way->question->model);
    for (int64_t k = 0; k < elements; k++)
        x[k] = from[k] + (sal_real)alpha * (to[k] - from[k]);
}

/* ---- a level ------------------------------------------------------------------------- */

/* Scattered, so that a part of them stands for all. */
static int point_of(const struct level *level, int64_t i)
{
    return level->fresh[sal_sweep_scatter(i - level->ends, level->n_fresh)];
}

static void make(const void *context, int64_t i, sal_real *x)
{
    const struct level *level = context;
    const sal_real *to = level->way->question->x, *from = level->way->from;
    if (i < level->ends) {
        memcpy(x, i ? from : to, (size_t)level->elements * sizeof(*x));
        return;
    }
    sal_straight_point(level->way, level->nodes[point_of(level, i)], x);
}

static void take(void *context, int64_t i, double score, const sal_real *gradient)
{
    struct level *level = context;
    if (i < level->ends) {
        *(i ? &level->way->reached.base : &level->way->reached.score) = score;
        return;
    }
    double weight = level->weights[point_of(level, i)];
    level->weight += weight;
    for (int64_t k = 0; k < level->elements; k++)
        level->sum[k] += weight * (double)gradient[k];
}

/* How much a point of `coarse` weighs in `level`, relative to before, where all of them
 * are points of both and weigh alike; else 0. Fresh are those that are not. */
static double share_points(struct level *level, const struct level *coarse)
{
    double ratio = 0;
    int shared = 0;
    bool alike = true;
    level->n_fresh = 0;
    for (int i = 0; i < level->steps; i++) {
        if (shared == coarse->steps || level->nodes[i] != coarse->nodes[shared]) {
            level->fresh[level->n_fresh++] = i;
            continue;
        }
        double own = level->weights[i] / coarse->weights[shared];
        alike &= !shared || fabs(own - ratio) <= 1e-12;
        ratio = shared++ ? ratio : own;
    }
    if (shared == coarse->steps && alike)
        return ratio;
    for (level->n_fresh = 0; level->n_fresh < level->steps; level->n_fresh++)
        level->fresh[level->n_fresh] = level->n_fresh;
    return 0;
}

static enum sal_status open_level(struct level *level, const struct level *coarse,
                                  struct sal_error *err)
{
    size_t n = (size_t)level->steps;
    level->nodes = calloc(2 * n, sizeof(*level->nodes));
    level->fresh = calloc(n, sizeof(*level->fresh));
    level->sum = calloc((size_t)level->elements, sizeof(*level->sum));
    if (!level->nodes || !level->fresh || !level->sum)
        return sal_fail(err, SAL_LIMIT, "no memory for a map");
    level->weights = level->nodes + n;
    sal_quadrature(level->way->rule, level->steps, level->nodes, level->weights);
    double ratio = share_points(level, coarse);
    level->weight = ratio * coarse->weight;
    for (int64_t k = 0; k < level->elements && ratio > 0; k++)
        level->sum[k] = ratio * coarse->sum[k];
    return SAL_OK;
}

static void close_level(struct level *level)
{
    free(level->nodes);
    free(level->fresh);
    free(level->sum);
    *level = (struct level){0};
}

/* Its points; the ends with the first level. */
static enum sal_status visit(struct level *level, struct sal_map *map, int64_t *done,
                             struct sal_error *err)
{
    struct sal_sweep sweep = {.n = level->ends + level->n_fresh,
                              .gradient = true,
                              .context = level,
                              .make = make,
                              .take = take};
    enum sal_status status = sal_sweep_run(&sweep, level->way->question, map, err);
    *done = sweep.done - level->ends;
    return status;
}

/* ---- refining ------------------------------------------------------------------------- */

/* Puts the level's map into way->sum; of a part of its points, their mean. */
static void settle(struct sal_straight *way, const struct level *level, int64_t done)
{
    bool part = done < level->n_fresh;
    double scale = part ? 1 / level->weight : 1;
    way->reached.total = 0;
    for (int64_t k = 0; k < level->elements; k++) {
        double step = (double)way->question->x[k] - (double)way->from[k];
        way->sum[k] = level->sum[k] * step * scale;
        way->reached.total += way->sum[k];
    }
    way->used = level->steps;
    way->done = part ? (int)done : level->steps;
    double error = sal_completeness_error(&way->reached);
    if (!way->least_steps || error < way->least) {
        way->least = error;
        way->least_steps = level->steps;
    }
}

/* Intervals are halved: n points become 2n, or with both ends among them 2n - 1. */
static int finer(const struct sal_straight *way)
{
    return way->rule >= SAL_TRAPEZOID ? 2 * way->used - 1 : 2 * way->used;
}

static enum sal_status refine(struct level *level, const struct level *coarse,
                              struct sal_map *map, struct sal_error *err)
{
    int64_t done = 0;
    struct sal_straight *way = level->way;
    level->elements = sal_input_elements(way->question->model);
    level->steps = coarse->steps ? finer(way) : way->steps;
    level->ends = coarse->steps ? 0 : ENDS;
    way->wanted = level->steps;
    enum sal_status status = open_level(level, coarse, err);
    if (!status)
        status = visit(level, map, &done, err);
    bool part = status == SAL_CANCELLED && !coarse->steps && level->weight > 0;
    if (!status || part)
        settle(way, level, done);
    return part ? SAL_OK : status;
}

static bool is_enough(const struct sal_straight *way)
{
    return way->done < way->used || way->tolerance <= 0 ||
           sal_completeness_error(&way->reached) <= way->tolerance || finer(way) > way->steps_max;
}

enum sal_status sal_straight_walk(struct sal_straight *way, struct sal_map *map,
                                  struct sal_error *err)
{
    struct level coarse = {0}, level = {.way = way};
    way->least_steps = way->used = way->done = 0;
    way->sum = calloc((size_t)sal_input_elements(way->question->model), sizeof(*way->sum));
    enum sal_status status =
        way->sum ? SAL_OK : sal_fail(err, SAL_LIMIT, "no memory for a map");
    while (!status && (!way->used || !is_enough(way))) {
        status = refine(&level, &coarse, map, err);
        close_level(&coarse);
        coarse = level;
        level = (struct level){.way = way};
    }
    close_level(&coarse);
    return status == SAL_CANCELLED && way->used ? SAL_OK : status;
}
