/* Score-CAM: the input is shown through each channel, enlarged and scaled to 0..1, and the
 * channel weighs the softmax over all of them of the score that is left. Of the input what
 * the mask takes away becomes 0 after normalisation, which is the mean colour for most
 * models. No gradient; as many passes as there are channels. */
#include "cam.h"

#include <math.h>
#include <stdlib.h>

#include "probes.h"
#include "saliscope/resample.h"

enum { BATCH = 8, CENTRES = 0, CORNERS = 1 };

#define EPSILON 1e-8 /* as pytorch-grad-cam */

static const char *const masks[] = {"centres", "corners", NULL};

static const struct sal_param params[] = {
    SAL_CAM_EVIDENCE("positive keeps positive sums (ReLU, as in the paper); both keeps "
                     "negative ones too, which only a layer with negative activations has"),
    {.name = "masks",
     .type = SAL_PARAM_CHOICE,
     .fallback = CENTRES,
     .unit = "",
     .choices = masks,
     .help = "how channels are enlarged: by half-pixel centres, as the authors' code does and "
             "this map is, or corner to corner, as pytorch-grad-cam does"},
    {0},
};

/* ---- masks ------------------------------------------------------------------------------ */

/* Where position `at` of `to` lies among `from` when the ends meet. */
static int between(int at, int to, int from, double *share)
{
    double place = to > 1 ? (double)at * (from - 1) / (to - 1) : 0;
    int low = (int)place < from - 1 ? (int)place : from > 1 ? from - 2 : 0;
    *share = from > 1 ? place - low : 0;
    return low;
}

static void enlarge_by_corners(const float *plane, int h, int w, float *out, int height,
                               int width)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            double down, right;
            const float *at = plane + between(y, height, h, &down) * w;
            const float *below = h > 1 ? at + w : at;
            int left = between(x, width, w, &right), next = w > 1 ? left + 1 : left;
            double upper = (1 - right) * (double)at[left] + right * (double)at[next];
            double lower = (1 - right) * (double)below[left] + right * (double)below[next];
            *out++ = (float)((1 - down) * upper + down * lower);
        }
}

static void scale_to_one(float *mask, int64_t n)
{
    double low = HUGE_VAL, high = -HUGE_VAL;
    for (int64_t i = 0; i < n; i++) {
        low = fmin(low, (double)mask[i]);
        high = fmax(high, (double)mask[i]);
    }
    for (int64_t i = 0; i < n; i++)
        mask[i] = (float)(((double)mask[i] - low) / (high - low + EPSILON));
}

static void show_through(const struct sal_model_input *input, const sal_real *x,
                         const float *mask, sal_real *out)
{
    int64_t pixels = (int64_t)input->height * input->width;
    bool last = input->layout == SAL_LAYOUT_NHWC;
    for (int64_t i = 0; i < pixels * input->channels; i++)
        out[i] = x[i] * (sal_real)mask[last ? i / input->channels : i % pixels];
}

/* ---- scores ------------------------------------------------------------------------------ */

/* What the sweep over channels works with. */
struct sweep {
    const struct sal_cam_view *view;
    struct sal_run *run;
    int batch;
    double *plane;  /* one channel */
    float *small, *mask; /* the same, then enlarged */
    sal_real *x;    /* the masked inputs of a batch */
    int64_t n;         /* channels that it shows: */
    const int64_t *at; /* which; NULL: all */
    double *weight; /* of each: the score, later its softmax */
};

static void mask_input(const struct sweep *sweep, int64_t k, sal_real *out)
{
    const struct sal_cam_view *view = sweep->view;
    const struct sal_layer *l = view->layer;
    const struct sal_model_input *input = sal_model_input(view->question->model);
    sal_cam_channel(view, view->activation, k, sweep->plane);
    for (int64_t i = 0; i < view->pixels; i++)
        sweep->small[i] = (float)sweep->plane[i];
    bool corners = sal_params_get(view->question->params, params, "masks") == CORNERS;
    (corners ? enlarge_by_corners : sal_plane_upsample)(sweep->small, l->height, l->width,
                                                        sweep->mask, input->height,
                                                        input->width);
    scale_to_one(sweep->mask, (int64_t)input->height * input->width);
    show_through(input, view->question->x, sweep->mask, out);
}

/* Scores number first..first+batch-1; behind the last one the last again. */
static enum sal_status score_batch(const struct sweep *sweep, int64_t first,
                                   struct sal_error *err)
{
    const struct sal_question *question = sweep->view->question;
    const struct sal_model_input *input = sal_model_input(question->model);
    const struct sal_model_output *output = sal_model_output(question->model);
    int64_t size = (int64_t)input->channels * input->height * input->width;
    int64_t left = sweep->n - first;
    int n = left < sweep->batch ? (int)left : sweep->batch;
    for (int i = 0; i < sweep->batch; i++) {
        int64_t k = first + (i < n ? i : n - 1);
        mask_input(sweep, sweep->at ? sweep->at[k] : k, sweep->x + i * size);
    }
    enum sal_status status = sal_run_forward(sweep->run, sweep->x, question->job, err);
    const sal_real *scores = status ? NULL : sal_run_value(sweep->run, output->value, NULL);
    for (int i = 0; i < n && scores; i++)
        sweep->weight[first + i] = (double)scores[i * output->n + question->class_index];
    sal_job_step(question->job, (unsigned)n);
    return status;
}

static void softmax(double *x, int64_t n)
{
    double most = -HUGE_VAL, sum = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, x[i]);
    for (int64_t i = 0; i < n; i++)
        sum += x[i] = exp(x[i] - most);
    for (int64_t i = 0; i < n; i++)
        x[i] /= sum;
}

static enum sal_status score_all(const struct sweep *sweep, struct sal_error *err)
{
    sal_job_begin(sweep->view->question->job, (unsigned)sweep->n);
    for (int64_t k = 0; k < sweep->n; k += sweep->batch) {
        enum sal_status status = score_batch(sweep, k, err);
        if (status)
            return status;
    }
    return SAL_OK;
}

static void weigh_channels(const struct sweep *sweep, double *grid)
{
    const struct sal_cam_view *view = sweep->view;
    softmax(sweep->weight, sweep->n);
    for (int64_t k = 0; k < sweep->n; k++) {
        sal_cam_channel(view, view->activation, k, sweep->plane);
        for (int64_t i = 0; i < view->pixels; i++)
            grid[i] += sweep->weight[k] * sweep->plane[i];
    }
}

/* ---- the method --------------------------------------------------------------------------- */

static void release(struct sweep *sweep)
{
    free(sweep->plane);
    free(sweep->small);
    free(sweep->mask);
    free(sweep->x);
    free(sweep->weight);
    sal_run_close(sweep->run);
}

/* A run of BATCH images, or of one where the model was made for one (its reshapes may mix
 * images) or memory has no room for more. */
static enum sal_status open_run(struct sweep *sweep, enum sal_precision precision,
                                struct sal_error *err)
{
    const struct sal_question *question = sweep->view->question;
    struct sal_run_options options = {
        .batch = BATCH,
        .exact = question->exact,
        .precision = precision,
        .pool = question->pool};
    sweep->batch = BATCH;
    if (sal_model_input(question->model)->batch_free &&
        !sal_run_open(&sweep->run, question->model, &options, NULL))
        return SAL_OK;
    options.batch = sweep->batch = 1;
    return sal_run_open(&sweep->run, question->model, &options, err);
}

static enum sal_status make_room(struct sweep *sweep, struct sal_error *err)
{
    const struct sal_model_input *input = sal_model_input(sweep->view->question->model);
    size_t pixels = (size_t)input->height * (size_t)input->width;
    size_t small = (size_t)sweep->view->pixels;
    sweep->plane = calloc(small, sizeof(*sweep->plane));
    sweep->small = calloc(small, sizeof(*sweep->small));
    sweep->mask = calloc(pixels, sizeof(*sweep->mask));
    sweep->x = calloc(pixels * (size_t)input->channels, (size_t)sweep->batch * sizeof(*sweep->x));
    sweep->weight = calloc((size_t)sweep->n, sizeof(*sweep->weight));
    if (sweep->plane && sweep->small && sweep->mask && sweep->x && sweep->weight)
        return SAL_OK;
    return sal_fail(err, SAL_LIMIT, "no memory for %d masked inputs", sweep->batch);
}

/* All scores of a sweep that is given what it shows. */
static enum sal_status run(struct sweep *sweep, enum sal_precision precision,
                           struct sal_map *map, struct sal_error *err)
{
    enum sal_status status = open_run(sweep, precision, err);
    if (!status)
        status = make_room(sweep, err);
    if (!status)
        status = score_all(sweep, err);
    if (!status)
        map->forwards += sal_run_forwards(sweep->run);
    return status;
}

/* ---- what bf16 changes ---------------------------------------------------------------------- */

/* The scores with those of the greatest, which weigh most, put right, and the others by as
 * much as these on average. */
static enum sal_status correct(const struct sweep *sweep, struct sal_probes *probes,
                               double *scores, struct sal_map *map, struct sal_error *err)
{
    sal_probes_choose(probes, SAL_PROBES_GREATEST, sweep->weight, sweep->n);
    struct sweep again = {.view = sweep->view, .n = probes->n, .at = probes->at};
    enum sal_status status = run(&again, SAL_F32, map, err);
    for (int i = 0; i < probes->n && !status; i++)
        probes->f32[i] = again.weight[i];
    release(&again);
    for (int64_t k = 0; k < sweep->n && !status; k++)
        scores[k] = sweep->weight[k] - sal_probes_mean(probes);
    for (int i = 0; i < probes->n && !status; i++)
        scores[probes->at[i]] = probes->f32[i];
    return status;
}

/* The largest difference, as a share of the range of a. */
static double share_changed(const double *a, const double *b, int64_t n)
{
    double low = a[0], high = a[0], most = 0;
    for (int64_t i = 0; i < n; i++) {
        low = fmin(low, a[i]);
        high = fmax(high, a[i]);
        most = fmax(most, fabs(a[i] - b[i]));
    }
    return most > 0 ? most / (high - low) : 0;
}

/* The same as weigh_channels, and what it would be in f32 as far as a few channels tell. */
static enum sal_status weigh_and_tell(struct sweep *sweep, double *grid, struct sal_map *map,
                                      struct sal_error *err)
{
    int64_t pixels = sweep->view->pixels;
    double *right = calloc((size_t)(pixels + sweep->n), sizeof(*right));
    double *scores = right + pixels, *own = sweep->weight;
    struct sal_probes probes;
    enum sal_status status = right ? correct(sweep, &probes, scores, map, err)
                                   : sal_fail(err, SAL_LIMIT, "no memory for a second map");
    if (!status) {
        weigh_channels(sweep, grid);
        sweep->weight = scores;
        weigh_channels(sweep, right);
        sweep->weight = own;
        sal_probes_tell(&probes, sweep->view->question->model,
                        share_changed(grid, right, pixels), map);
    }
    free(right);
    return status;
}

/* ---- the map ------------------------------------------------------------------------------ */

static enum sal_status draw(const struct sal_cam_view *view, double *grid,
                            struct sal_map *map, struct sal_error *err)
{
    enum sal_precision precision = view->question->precision;
    struct sweep sweep = {.view = view, .n = view->layer->channels};
    enum sal_status status = run(&sweep, precision, map, err);
    if (!status && precision == SAL_F32)
        weigh_channels(&sweep, grid);
    else if (!status)
        status = weigh_and_tell(&sweep, grid, map, err);
    release(&sweep);
    return status;
}

static const struct sal_cam cam = {.params = params,
                                   .unit = "activation",
                                   .blank = "no positive activation is left at this layer when "
                                            "its channels are weighed",
                                   .draw = draw};

static enum sal_status scorecam(const struct sal_question *question, struct sal_map *map,
                                struct sal_error *err)
{
    return sal_cam_explain(&cam, question, map, err);
}

const struct sal_method sal_method_scorecam = {
    .name = "scorecam",
    .title = "Score-CAM",
    .formula = "ReLU(sum_k softmax_k(score(x * M_k)) A_k), M_k = A_k enlarged and scaled to "
               "0..1, bilinear to the input",
    .paper = "Wang et al., CVPR Workshops 2020, arXiv:1910.01279",
    .semantics = "the paper's formula on the logit, with half-pixel enlarging as "
                 "everywhere here; pytorch-grad-cam's corners are masks=corners, and "
                 "like it no baseline score is subtracted, which softmax takes off "
                 "anyway",
    .needs = SAL_NEEDS_LAYER | SAL_SWEEPS,
    .params = params,
    .run = scorecam,
};
