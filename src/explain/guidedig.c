/* Guided integrated gradients, as in PAIR's saliency: a way from the baseline x0 to x that
 * moves, at each step, the `fraction` of the elements whose gradient is smallest, as far as
 * the step's share of the L1 distance asks; none may be farther than `distance` (as a share
 * of its own way) from where the straight way would have it. What an element moves, times
 * its gradient, is its part. 0 allows no detour: integrated gradients by the left rule. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baseline.h"
#include "completeness.h"
#include "methods.h"

enum { STEPS_MAX = 10000 };

static const struct sal_param params[] = {
    {.name = "steps",
     .type = SAL_PARAM_INT,
     .fallback = 200,
     .min = 1,
     .max = STEPS_MAX,
     .unit = "",
     .help = "gradients on the way from the baseline to the image"},
    {.name = "fraction",
     .type = SAL_PARAM_REAL,
     .fallback = 0.25,
     .min = 0.001,
     .max = 1,
     .unit = "",
     .help = "of the elements, those of smallest gradient, that are moved at once"},
    {.name = "distance",
     .type = SAL_PARAM_REAL,
     .fallback = 0.02,
     .min = 0,
     .max = 1,
     .unit = "",
     .help = "that an element may be from the straight way, as a share of its own"},
    SAL_BASELINE_PARAMS,
    {0},
};

static const double epsilon = 1e-9; /* of a distance that counts as reached */

struct trail {
    const struct sal_question *question;
    int64_t n; /* elements */
    int steps, done;
    double fraction, distance;
    sal_real *from, *input;  /* the baseline; what the network is given */
    double *room;            /* of the arrays below, [n] each */
    double *at, *before;     /* where the way is; where it was */
    double *slope, *size;    /* the gradient; its magnitude, infinite where not to be moved */
    double *ordered;         /* room for choosing */
    double *sum;             /* parts so far */
    double whole;            /* the L1 distance from the baseline to x */
    double score, base;
};

/* ---- a step -------------------------------------------------------------------------- */

static double along(const struct trail *t, int64_t k, double alpha)
{
    double from = (double)t->from[k];
    return from + ((double)t->question->x[k] - from) * alpha;
}

/* What fell behind is brought to where it must be at least; returns the L1 distance left. */
static double catch_up(struct trail *t, double least, double most)
{
    double left = 0;
    for (int64_t k = 0; k < t->n; k++) {
        double from = (double)t->from[k], way = (double)t->question->x[k] - from;
        double alpha = way != 0 ? (t->at[k] - from) / way : most;
        if (alpha < least)
            t->at[k] = along(t, k, least);
        left += fabs(t->at[k] - (double)t->question->x[k]);
    }
    return left;
}

/* The value that would stand at `place` were a[n] in order (Hoare's quickselect). */
static double nth(double *a, int64_t n, int64_t place)
{
    int64_t low = 0, high = n - 1;
    while (low < high) {
        double pivot = a[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (a[i] < pivot)
                i++;
            while (a[j] > pivot)
                j--;
            if (i <= j) {
                double other = a[i];
                a[i++] = a[j];
                a[j--] = other;
            }
        }
        if (place <= j)
            high = j;
        else if (place >= i)
            low = i;
        else
            break;
    }
    return a[place];
}

/* Leaves out what is at its end, and gives the size up to which the rest is moved. */
static double choose(struct trail *t, double most)
{
    for (int64_t k = 0; k < t->n; k++)
        if (t->at[k] == along(t, k, most))
            t->size[k] = HUGE_VAL;
    memcpy(t->ordered, t->size, (size_t)t->n * sizeof(*t->ordered));
    return nth(t->ordered, t->n, (int64_t)floor(t->fraction * (double)(t->n - 1)));
}

static bool is_chosen(const struct trail *t, int64_t k, double limit)
{
    return t->size[k] <= limit && t->size[k] != HUGE_VAL;
}

/* Moves what is chosen, all the same share of the way to its end; false: there is none. */
static bool move(struct trail *t, double most, double excess, double *share)
{
    double limit = choose(t, most), room = 0;
    for (int64_t k = 0; k < t->n; k++)
        if (is_chosen(t, k, limit))
            room += fabs(t->at[k] - along(t, k, most));
    *share = room > 0 ? excess / room : HUGE_VAL;
    for (int64_t k = 0; k < t->n; k++)
        if (is_chosen(t, k, limit)) {
            double end = along(t, k, most);
            t->at[k] = *share > 1 ? end : t->at[k] + (end - t->at[k]) * *share;
        }
    return room > 0;
}

static void add_parts(struct trail *t)
{
    for (int64_t k = 0; k < t->n; k++)
        t->sum[k] += (t->at[k] - t->before[k]) * t->slope[k];
}

static bool is_near(double a, double b)
{
    return fabs(a - b) <= fmax(epsilon * fmax(fabs(a), fabs(b)), epsilon);
}

/* From where the gradient is known to where the step ends. */
static void go(struct trail *t, int step)
{
    double alpha = (step + 1.0) / t->steps, share = HUGE_VAL;
    double least = fmax(alpha - t->distance, 0), most = fmin(alpha + t->distance, 1);
    double target = t->whole * (1 - alpha);
    bool moves = true;
    while (moves && share > 1) {
        memcpy(t->before, t->at, (size_t)t->n * sizeof(*t->before));
        double left = catch_up(t, least, most);
        moves = left > target && !is_near(left, target) &&
                move(t, most, left - target, &share);
        add_parts(t);
    }
}

/* ---- the way ------------------------------------------------------------------------- */

static double score_of(const struct trail *t, const struct sal_run *run)
{
    int score = sal_model_output(t->question->model)->value;
    return (double)sal_run_value(run, score, NULL)[t->question->class_index];
}

static enum sal_status look(struct trail *t, struct sal_run *run, bool gradient,
                            struct sal_error *err)
{
    const struct sal_question *question = t->question;
    int input = sal_model_input(question->model)->value;
    for (int64_t k = 0; k < t->n; k++)
        t->input[k] = (sal_real)t->at[k];
    enum sal_status status = sal_run_forward(run, t->input, question->job, err);
    if (!status && gradient)
        status = sal_run_backward(run, sal_model_output(question->model)->value,
                                  question->class_index, &input, 1, question->job, err);
    if (status || !gradient)
        return status;
    const sal_real *slope = sal_run_gradient(run, input);
    for (int64_t k = 0; k < t->n; k++) {
        t->slope[k] = (double)slope[k];
        t->size[k] = fabs(t->slope[k]);
    }
    return SAL_OK;
}

/* Both ends first, for their scores. */
static enum sal_status walk(struct trail *t, struct sal_run *run, struct sal_error *err)
{
    sal_job_begin(t->question->job, (unsigned)t->steps + 1);
    for (int64_t k = 0; k < t->n; k++) {
        t->at[k] = (double)t->question->x[k];
        t->whole += fabs(t->at[k] - (double)t->from[k]);
    }
    enum sal_status status = look(t, run, false, err);
    if (status)
        return status;
    t->score = score_of(t, run);
    for (int64_t k = 0; k < t->n; k++)
        t->at[k] = (double)t->from[k];
    for (int step = 0; step < t->steps; step++, t->done++) {
        sal_job_step(t->question->job, 1);
        if ((status = look(t, run, true, err)))
            return status;
        t->base = step ? t->base : score_of(t, run);
        go(t, step);
    }
    return SAL_OK;
}

static enum sal_status finish(const struct trail *t, struct sal_map *map,
                              struct sal_error *err)
{
    struct sal_completeness sum = {t->score, t->base, 0};
    for (int64_t k = 0; k < t->n; k++)
        sum.total += t->sum[k];
    map->score = t->score;
    map->partial = t->done < t->steps;
    sal_completeness_tell(&sum, "baseline's score", map);
    if (map->partial)
        snprintf(map->note, sizeof(map->note),
                 "%d of %d steps so far: parts of the way up to there", t->done,
                 t->steps);
    else
        sal_completeness_note(&sum, "more steps may come closer", map);
    return sal_map_from_input(map, t->question->model, t->sum, 1, err);
}

static enum sal_status run_trail(struct trail *t, struct sal_map *map, struct sal_error *err)
{
    const struct sal_question *question = t->question;
    struct sal_run *run = NULL;
    enum sal_status status = sal_run_open(
        &run, question->model,
        &(struct sal_run_options){
            .gradient = true, .exact = question->exact, .pool = question->pool},
        err);
    if (!status)
        status = walk(t, run, err);
    if (status == SAL_CANCELLED && t->done > 0)
        status = SAL_OK;
    if (!status) {
        map->forwards = sal_run_forwards(run);
        map->backwards = sal_run_backwards(run);
        status = finish(t, map, err);
    }
    sal_run_close(run);
    return status;
}

static enum sal_status allocate(struct trail *t, struct sal_error *err)
{
    size_t n = (size_t)t->n;
    t->room = calloc(6 * n, sizeof(*t->room));
    t->input = calloc(n, sizeof(*t->input));
    if (!t->room || !t->input)
        return sal_fail(err, SAL_LIMIT, "no memory for a map");
    t->at = t->room;
    t->before = t->at + n;
    t->slope = t->before + n;
    t->size = t->slope + n;
    t->ordered = t->size + n;
    t->sum = t->ordered + n;
    return sal_baseline_make(t->question, params, &t->from, err);
}

static enum sal_status guidedig(const struct sal_question *question, struct sal_map *map,
                                struct sal_error *err)
{
    struct trail t = {.question = question,
                      .n = sal_input_elements(question->model),
                      .steps = (int)sal_params_get(question->params, params, "steps"),
                      .fraction = sal_params_get(question->params, params, "fraction"),
                      .distance = sal_params_get(question->params, params, "distance")};
    map->is_signed = true;
    map->unit = sal_unit_name(question->model, SAL_UNIT_SCORE);
    enum sal_status status = allocate(&t, err);
    if (!status)
        status = run_trail(&t, map, err);
    free(t.room);
    free(t.input);
    free(t.from);
    return status;
}

const struct sal_method sal_method_guidedig = {
    .name = "guidedig",
    .title = "Guided integrated gradients",
    .formula = "sum_i (x_{i+1} - x_i) d score / d x at x_i, on a way that moves elements of "
               "small gradient first, summed over channels",
    .paper = "Kapishnikov et al., CVPR 2021, arXiv:2106.09788",
    .semantics = "PAIR's: 200 steps, a quarter of the elements at once, 0.02 from the "
                 "straight way, from 0 in the model's input: the authors' own settings",
    .needs = SAL_NEEDS_GRADIENT | SAL_HAS_CHANNELS | SAL_PIXELWISE,
    .params = params,
    .run = guidedig,
};
