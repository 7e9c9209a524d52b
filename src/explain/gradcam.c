/* Grad-CAM. With A the layer's activations (C x h x w; of a transformer its grid of
 * tokens, without class tokens) and G = d score / d A:
 * weight_k = mean over h, w of G_k; map = ReLU(sum_k weight_k A_k), then bilinear
 * to the input's size (half-pixel centres). Not normalised: values keep the
 * logit's unit. */
#include <stdio.h>
#include <stdlib.h>

#include "methods.h"
#include "saliscope/resample.h"

static const char *const relu_choices[] = {"positive", "both", NULL};

static const struct sal_param params[] = {
    {.name = "evidence",
     .type = SAL_PARAM_CHOICE,
     .fallback = 0,
     .unit = "",
     .choices = relu_choices,
     .help = "positive keeps evidence for the class (ReLU, as in the paper); both keeps "
             "evidence against it too, as negative values"},
    {0},
};

struct cam {
    const struct sal_layer *layer;
    const sal_real *activation, *gradient; /* as the layer lies */
};

static int64_t pixels_of(const struct sal_layer *layer)
{
    return (int64_t)layer->height * layer->width;
}

static int64_t place(const struct sal_layer *l, int64_t k, int64_t i)
{
    return l->at + k * l->step_channel + i / l->width * l->step_row +
           i % l->width * l->step_column;
}

/* Returns how many channels have a positive weight. */
static int64_t weigh(const struct cam *cam, double *grid)
{
    int64_t positive = 0, pixels = pixels_of(cam->layer);
    for (int64_t k = 0; k < cam->layer->channels; k++) {
        double weight = 0;
        for (int64_t i = 0; i < pixels; i++)
            weight += (double)cam->gradient[place(cam->layer, k, i)];
        weight /= (double)pixels;
        positive += weight > 0;
        for (int64_t i = 0; i < pixels; i++)
            grid[i] += weight * (double)cam->activation[place(cam->layer, k, i)];
    }
    return positive;
}

static void explain_blank(const double *grid, int64_t n, int64_t positive,
                          struct sal_map *map)
{
    for (int64_t i = 0; i < n; i++)
        if (grid[i] > 0)
            return;
    snprintf(map->note, sizeof(map->note), "%s",
             positive ? "no positive evidence at this layer: what speaks against the class "
                        "outweighs what speaks for it everywhere"
                      : "no positive evidence at this layer: all channel weights are zero "
                        "or negative");
}

static enum sal_status fill_map(const struct sal_question *question,
                                const struct cam *cam, bool keep_negative,
                                struct sal_map *map, struct sal_error *err)
{
    const struct sal_model_input *input = sal_model_input(question->model);
    int64_t pixels = pixels_of(cam->layer);
    double *sum = calloc((size_t)pixels, sizeof(*sum));
    enum sal_status status = sal_map_init(map, input->width, input->height,
                                          map->grid_width, map->grid_height, err);
    if (!sum || status) {
        free(sum);
        return status ? status : sal_fail(err, SAL_LIMIT, "no memory for the map");
    }
    int64_t positive = weigh(cam, sum);
    if (!keep_negative)
        explain_blank(sum, pixels, positive, map);
    for (int64_t i = 0; i < pixels; i++)
        map->grid[i] = (float)(keep_negative || sum[i] > 0 ? sum[i] : 0);
    sal_plane_upsample(map->grid, map->grid_height, map->grid_width, map->values,
                       map->height, map->width);
    free(sum);
    return SAL_OK;
}

static enum sal_status look(const struct sal_question *question, struct sal_run *run,
                            int layer, struct sal_map *map, struct sal_error *err)
{
    const struct sal_model_output *output = sal_model_output(question->model);
    sal_job_begin(question->job, 2);
    enum sal_status status = sal_run_forward(run, question->x, question->job, err);
    if (status)
        return status;
    sal_job_step(question->job, 1);
    status = sal_run_backward(run, output->value, question->class_index, &layer, 1,
                              question->job, err);
    if (status)
        return status;
    sal_job_step(question->job, 1);
    struct cam cam = {.layer = sal_model_layer(question->model, layer),
                      .activation = sal_run_value(run, layer, NULL),
                      .gradient = sal_run_gradient(run, layer)};
    map->grid_height = cam.layer->height;
    map->grid_width = cam.layer->width;
    map->score = (double)sal_run_value(run, output->value, NULL)[question->class_index];
    map->layer = layer;
    map->forwards = sal_run_forwards(run);
    map->backwards = sal_run_backwards(run);
    map->is_signed = sal_params_get(question->params, params, "evidence") != 0;
    map->unit = output->unit;
    return fill_map(question, &cam, map->is_signed, map, err);
}

static enum sal_status gradcam(const struct sal_question *question, struct sal_map *map,
                               struct sal_error *err)
{
    int layer = question->layer;
    struct sal_run *run = NULL;
    enum sal_status status = sal_run_open(
        &run, question->model,
        &(struct sal_run_options){
            .gradient = true, .keep = &layer, .n_keep = 1, .pool = question->pool},
        err);
    if (!status)
        status = look(question, run, layer, map, err);
    sal_run_close(run);
    return status;
}

const struct sal_method sal_method_gradcam = {
    .name = "gradcam",
    .title = "Grad-CAM",
    .formula = "ReLU(sum_k mean_hw(d score / d A_k) A_k), bilinear to the input",
    .paper = "Selvaraju et al., ICCV 2017, arXiv:1610.02391",
    .needs = SAL_NEEDS_GRADIENT | SAL_NEEDS_LAYER,
    .params = params,
    .run = gradcam,
};
