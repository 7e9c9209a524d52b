/* Score-CAM: the input is shown through each channel, enlarged and scaled to 0..1, and the
 * channel weighs the softmax over all of them of the score that is left. Of the input what
 * the mask takes away becomes 0 after normalisation, which is the mean colour for most
 * models. No gradient; as many passes as there are channels. */
#include "cam.h"

#include <math.h>
#include <stdlib.h>

#include "saliscope/resample.h"

enum { BATCH = 8, CENTRES = 0, CORNERS = 1 };

#define EPSILON 1e-8 /* as pytorch-grad-cam */

static const char *const evidence[] = {"positive", "both", NULL};
static const char *const masks[] = {"centres", "corners", NULL};

static const struct sal_param params[] = {
    {.name = "evidence",
     .type = SAL_PARAM_CHOICE,
     .fallback = 0,
     .unit = "",
     .choices = evidence,
     .help = "positive keeps positive sums (ReLU, as in the paper); both keeps negative ones "
             "too, which only a layer with negative activations has"},
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
    double *weight; /* per channel: the score, later its softmax */
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

/* Scores of channels first..first+batch-1; behind the last one the last again. */
static enum sal_status score_batch(const struct sweep *sweep, int64_t first,
                                   struct sal_error *err)
{
    const struct sal_question *question = sweep->view->question;
    const struct sal_model_input *input = sal_model_input(question->model);
    const struct sal_model_output *output = sal_model_output(question->model);
    int64_t size = (int64_t)input->channels * input->height * input->width;
    int64_t left = sweep->view->layer->channels - first;
    int n = left < sweep->batch ? (int)left : sweep->batch;
    for (int i = 0; i < sweep->batch; i++)
        mask_input(sweep, first + (i < n ? i : n - 1), sweep->x + i * size);
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

static enum sal_status score_channels(const struct sweep *sweep, double *grid,
                                      struct sal_error *err)
{
    const struct sal_cam_view *view = sweep->view;
    int64_t channels = view->layer->channels;
    sal_job_begin(view->question->job, (unsigned)channels);
    for (int64_t k = 0; k < channels; k += sweep->batch) {
        enum sal_status status = score_batch(sweep, k, err);
        if (status)
            return status;
    }
    softmax(sweep->weight, channels);
    for (int64_t k = 0; k < channels; k++) {
        sal_cam_channel(view, view->activation, k, sweep->plane);
        for (int64_t i = 0; i < view->pixels; i++)
            grid[i] += sweep->weight[k] * sweep->plane[i];
    }
    return SAL_OK;
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
static enum sal_status open_run(struct sweep *sweep, struct sal_error *err)
{
    const struct sal_question *question = sweep->view->question;
    struct sal_run_options options = {
        .batch = BATCH, .exact = question->exact, .pool = question->pool};
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
    sweep->weight = calloc((size_t)sweep->view->layer->channels, sizeof(*sweep->weight));
    if (sweep->plane && sweep->small && sweep->mask && sweep->x && sweep->weight)
        return SAL_OK;
    return sal_fail(err, SAL_LIMIT, "no memory for %d masked inputs", sweep->batch);
}

static enum sal_status draw(const struct sal_cam_view *view, double *grid,
                            struct sal_map *map, struct sal_error *err)
{
    struct sweep sweep = {.view = view};
    enum sal_status status = open_run(&sweep, err);
    if (!status)
        status = make_room(&sweep, err);
    if (!status)
        status = score_channels(&sweep, grid, err);
    if (!status)
        map->forwards += sal_run_forwards(sweep.run);
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
    .needs = SAL_NEEDS_LAYER,
    .params = params,
    .run = scorecam,
};
