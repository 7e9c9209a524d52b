/* Ablation-CAM: a channel weighs by what share the score falls when the channel is set to
 * zero, everywhere, class tokens included. Only what is behind the layer is computed again,
 * and not for channels that are zero anyway; channels that are active most come first, so
 * that a map which was stopped has them.
 *
 * The paper divides by the score, which turns the map over where that is negative; here it
 * is the score's size unless divisor=score. pytorch-grad-cam divides by the score; where a
 * layer has negative values it sets a channel not to zero but to their minimum less 1e7, and
 * does so one batch entry after the other, each from the minimum that the last one left. */
#include "cam.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweep.h"

enum { SIZE = 0, SCORE = 1 };

static const char *const divisors[] = {"size", "score", NULL};

static const struct sal_param params[] = {
    SAL_CAM_EVIDENCE("positive keeps evidence for the class (ReLU, as in the paper); both "
                     "keeps evidence against it too, as negative values"),
    {.name = "divisor",
     .type = SAL_PARAM_CHOICE,
     .fallback = SIZE,
     .unit = "",
     .choices = divisors,
     .help = "what drops are divided by: the score's size, or the score itself, as in the "
             "paper, which turns the map over where that is negative"},
    {0},
};

/* A channel that a pass is due for. */
struct due {
    int channel;
    double activity; /* sum of |A| */
};

struct ablation {
    const struct sal_cam_view *view;
    int64_t elements; /* of the layer's value */
    int64_t together; /* elements of a channel that lie side by side */
    struct due *due;  /* [n_due], the most active first */
    int n_due;
    double *plane;  /* one channel */
    double *weight; /* [channels], the drop of the score */
    double score;   /* with nothing ablated */
};

/* ---- passes ----------------------------------------------------------------------------- */

/* Input 0 is the layer as it is. */
static void make(const void *context, int64_t i, sal_real *x)
{
    const struct ablation *a = context;
    memcpy(x, a->view->activation, (size_t)a->elements * sizeof(*x));
    if (i == 0)
        return;
    int64_t step = a->view->layer->channels * a->together;
    for (int64_t at = a->due[i - 1].channel * a->together; at < a->elements; at += step)
        memset(x + at, 0, (size_t)a->together * sizeof(*x));
}

static void take(void *context, int64_t i, double score, const sal_real *gradient)
{
    (void)gradient;
    struct ablation *a = context;
    if (i == 0)
        a->score = score;
    else
        a->weight[a->due[i - 1].channel] = a->score - score;
}

/* ---- channels ----------------------------------------------------------------------------- */

static int more_active_first(const void *left, const void *right)
{
    const struct due *a = left, *b = right;
    if (a->activity != b->activity)
        return a->activity < b->activity ? 1 : -1;
    return a->channel - b->channel;
}

static double activity_of(const struct ablation *a, int channel)
{
    int64_t step = a->view->layer->channels * a->together;
    double sum = 0;
    for (int64_t at = channel * a->together; at < a->elements; at += step)
        for (int64_t i = 0; i < a->together; i++)
            sum += fabs((double)a->view->activation[at + i]);
    return sum;
}

static void line_up(struct ablation *a)
{
    for (int k = 0; k < a->view->layer->channels; k++) {
        double activity = activity_of(a, k);
        if (activity > 0)
            a->due[a->n_due++] = (struct due){k, activity};
    }
    qsort(a->due, (size_t)a->n_due, sizeof(*a->due), more_active_first);
}

/* ---- the map ------------------------------------------------------------------------------ */

static double divisor_of(const struct ablation *a, struct sal_map *map)
{
    const struct sal_question *question = a->view->question;
    if (!(fabs(a->score) > 1e-30)) {
        snprintf(map->note, sizeof(map->note),
                 "the score is 0: drops are not divided by it");
        return 1;
    }
    return sal_params_get(question->params, params, "divisor") == SCORE ? a->score
                                                                       : fabs(a->score);
}

static void explain(const struct ablation *a, int64_t done, double divisor,
                    struct sal_map *map)
{
    bool moved = false, fell = false;
    for (int k = 0; k < a->view->layer->channels; k++) {
        moved |= a->weight[k] != 0;
        fell |= a->weight[k] / divisor > 0;
    }
    map->partial = done < a->n_due;
    if (map->partial)
        snprintf(map->note, sizeof(map->note),
                 "%lld of %d channels so far, the most active ones; the others weigh 0",
                 (long long)done, a->n_due);
    else if (!moved)
        snprintf(map->note, sizeof(map->note),
                 "no channel of this layer changes the score when it is ablated");
    else if (!fell && !map->is_signed)
        snprintf(map->note, sizeof(map->note),
                 "no positive evidence at this layer: the score falls with no channel");
}

static void add_up(const struct ablation *a, int64_t done, double *grid, struct sal_map *map)
{
    const struct sal_cam_view *view = a->view;
    double divisor = divisor_of(a, map);
    for (int k = 0; k < view->layer->channels; k++) {
        double weight = a->weight[k] / divisor;
        sal_cam_channel(view, view->activation, k, a->plane);
        for (int64_t i = 0; i < view->pixels; i++)
            grid[i] += weight * a->plane[i];
    }
    explain(a, done, divisor, map);
    sal_map_check(map, "channels", "channels", view->layer->channels, "");
    sal_map_check(map, "channels_skipped", "that are zero",
                  (double)(view->layer->channels - a->n_due), "");
}

static enum sal_status preview(void *context, const struct sal_sweep *sweep,
                               struct sal_map *map, struct sal_error *err)
{
    const struct ablation *a = context;
    double *grid = calloc((size_t)a->view->pixels, sizeof(*grid));
    if (!grid)
        return sal_fail(err, SAL_LIMIT, "no memory for the map");
    add_up(a, sweep->done - 1, grid, map);
    enum sal_status status = sal_cam_preview(a->view, grid, map, err);
    free(grid);
    return status;
}

static enum sal_status ablate(struct ablation *a, double *grid, struct sal_map *map,
                              struct sal_error *err)
{
    line_up(a);
    struct sal_sweep sweep = {.n = a->n_due + 1,
                              .context = a,
                              .make = make,
                              .take = take,
                              .preview = preview};
    enum sal_status status = sal_cam_sweep(a->view, &sweep, map, err);
    if (!status)
        add_up(a, sweep.done - 1, grid, map);
    return status;
}

static enum sal_status draw(const struct sal_cam_view *view, double *grid,
                            struct sal_map *map, struct sal_error *err)
{
    const struct sal_question *question = view->question;
    struct sal_shape shape = sal_model_value(question->model, question->layer).shape;
    size_t channels = (size_t)view->layer->channels;
    struct ablation a = {.view = view,
                         .elements = sal_shape_count(&shape),
                         .together = view->layer->step_channel,
                         .due = calloc(channels, sizeof(struct due)),
                         .plane = calloc((size_t)view->pixels, sizeof(double)),
                         .weight = calloc(channels, sizeof(double))};
    if (view->layer->channels == 1) /* it has no step then */
        a.together = a.elements;
    enum sal_status status = a.due && a.plane && a.weight
                                 ? ablate(&a, grid, map, err)
                                 : sal_fail(err, SAL_LIMIT, "no memory for the map");
    free(a.due);
    free(a.plane);
    free(a.weight);
    return status;
}

static const struct sal_cam cam = {.params = params, .unit = "activation", .draw = draw};

static enum sal_status ablationcam(const struct sal_question *question, struct sal_map *map,
                                   struct sal_error *err)
{
    return sal_cam_explain(&cam, question, map, err);
}

const struct sal_method sal_method_ablationcam = {
    .name = "ablationcam",
    .title = "Ablation-CAM",
    .formula = "ReLU(sum_k (score - score with A_k = 0) / |score| A_k), bilinear to the input",
    .paper = "Desai and Ramaswamy, WACV 2020, doi:10.1109/WACV45572.2020.9093360",
    .semantics = "the paper's, divided by |s| rather than s, so that a negative score "
                 "does not turn the map over; channels become 0 as in the paper, where "
                 "pytorch-grad-cam sets layers with negative values far below their "
                 "minimum",
    .needs = SAL_NEEDS_LAYER,
    .params = params,
    .run = ablationcam,
};
