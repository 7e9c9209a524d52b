#include "cam.h"

#include <stdio.h>
#include <stdlib.h>

#include "saliscope/resample.h"
#include "sweep.h"

const char *const sal_cam_evidence[] = {"positive", "both", NULL};

const struct sal_param sal_cam_params[] = {
    SAL_CAM_EVIDENCE("positive keeps evidence for the class (ReLU, as in the paper); both "
                     "keeps evidence against it too, as negative values"),
    {0},
};

void sal_cam_channel(const struct sal_cam_view *view, const sal_real *values, int64_t k,
                     double *plane)
{
    const struct sal_layer *l = view->layer;
    const sal_real *from = values + l->at + k * l->step_channel;
    for (int64_t y = 0; y < l->height; y++)
        for (int64_t x = 0; x < l->width; x++)
            *plane++ = (double)from[y * l->step_row + x * l->step_column];
}

/* ---- weights ------------------------------------------------------------------------ */

/* What was seen among gradients and weights, for the note of a blank map. */
struct seen {
    bool activation, gradient, positive;
};

static void add_channel(const struct sal_cam *cam, const double *a, const double *g,
                        int64_t n, double *grid, struct seen *seen)
{
    double weight = cam->of_channel ? cam->of_channel(a, g, n) : 0;
    for (int64_t i = 0; i < n; i++) {
        if (!cam->of_channel)
            weight = cam->of_position(g[i]);
        grid[i] += weight * a[i];
        seen->activation |= a[i] != 0;
        seen->gradient |= g[i] != 0;
        seen->positive |= weight > 0;
    }
}

static void explain_weights(const struct sal_cam *cam, const struct seen *seen,
                            struct sal_map *map)
{
    if (!seen->gradient)
        snprintf(map->note, sizeof(map->note),
                 "this layer does not change the score: its gradient is zero everywhere");
    else if (!seen->activation)
        snprintf(map->note, sizeof(map->note), "this layer is zero everywhere");
    else if (!seen->positive && !map->is_signed)
        snprintf(map->note, sizeof(map->note),
                 "no positive evidence at this layer: all %s are zero or negative",
                 cam->of_channel ? "channel weights" : "weights");
}

enum sal_status sal_cam_weigh(const struct sal_cam_view *view, double *grid,
                              struct sal_map *map, struct sal_error *err)
{
    struct seen seen = {0};
    double *a = calloc((size_t)view->pixels * 2, sizeof(*a)), *g = a + view->pixels;
    if (!a)
        return sal_fail(err, SAL_LIMIT, "no memory for the map");
    for (int64_t k = 0; k < view->layer->channels; k++) {
        sal_cam_channel(view, view->activation, k, a);
        sal_cam_channel(view, view->gradient, k, g);
        add_channel(view->cam, a, g, view->pixels, grid, &seen);
    }
    free(a);
    explain_weights(view->cam, &seen, map);
    return SAL_OK;
}

/* ---- the map -------------------------------------------------------------------------- */

static bool blank(const double *grid, int64_t n, bool is_signed)
{
    for (int64_t i = 0; i < n; i++)
        if (is_signed ? grid[i] != 0 : grid[i] > 0)
            return false;
    return true;
}

static void explain_blank(const struct sal_cam *cam, struct sal_map *map)
{
    snprintf(map->note, sizeof(map->note), "%s",
             cam->blank ? cam->blank
                        : "no positive evidence at this layer: what speaks against the "
                          "class outweighs what speaks for it everywhere");
}

static void finish(const struct sal_cam_view *view, const double *grid,
                   struct sal_map *map)
{
    if (!*map->note && blank(grid, view->pixels, map->is_signed))
        explain_blank(view->cam, map);
    for (int64_t i = 0; i < view->pixels; i++)
        map->grid[i] = (float)(map->is_signed || !(grid[i] <= 0) ? grid[i] : 0);
    sal_plane_upsample(map->grid, map->grid_height, map->grid_width, map->values,
                       map->height, map->width);
}

enum sal_status sal_cam_preview(const struct sal_cam_view *view, const double *grid,
                                struct sal_map *map, struct sal_error *err)
{
    const struct sal_model_input *input = sal_model_input(view->question->model);
    enum sal_status status = sal_map_init(map, input->width, input->height,
                                          view->layer->width, view->layer->height, err);
    if (!status)
        finish(view, grid, map);
    return status;
}

enum sal_status sal_cam_sweep(const struct sal_cam_view *view, struct sal_sweep *sweep,
                              struct sal_map *map, struct sal_error *err)
{
    sweep->from = view->question->layer;
    enum sal_status status = sal_sweep_run(sweep, view->question, map, err);
    return status == SAL_CANCELLED && sweep->done > 1 ? SAL_OK : status;
}

static enum sal_status draw(const struct sal_cam_view *view, struct sal_map *map,
                            struct sal_error *err)
{
    const struct sal_model_input *input = sal_model_input(view->question->model);
    double *grid = calloc((size_t)view->pixels, sizeof(*grid));
    enum sal_status status =
        grid ? sal_map_init(map, input->width, input->height, view->layer->width,
                            view->layer->height, err)
             : sal_fail(err, SAL_LIMIT, "no memory for the map");
    if (!status)
        status = view->cam->draw(view, grid, map, err);
    if (!status)
        finish(view, grid, map);
    free(grid);
    return status;
}

/* ---- the passes ------------------------------------------------------------------------ */

static enum sal_status pass(const struct sal_cam *cam, const struct sal_question *question,
                            struct sal_run *run, struct sal_error *err)
{
    int score = sal_model_output(question->model)->value;
    sal_job_begin(question->job, cam->gradient ? 2 : 1);
    enum sal_status status = sal_run_forward(run, question->x, question->job, err);
    if (status)
        return status;
    sal_job_step(question->job, 1);
    if (!cam->gradient)
        return SAL_OK;
    status = sal_run_backward(run, score, question->class_index, &question->layer, 1,
                              question->job, err);
    if (!status)
        sal_job_step(question->job, 1);
    return status;
}

static enum sal_status look(const struct sal_cam *cam, const struct sal_question *question,
                            struct sal_run *run, struct sal_map *map, struct sal_error *err)
{
    const struct sal_model_output *output = sal_model_output(question->model);
    struct sal_cam_view view = {
        .cam = cam,
        .question = question,
        .layer = sal_model_layer(question->model, question->layer),
        .activation = sal_run_value(run, question->layer, NULL),
        .gradient = cam->gradient ? sal_run_gradient(run, question->layer) : NULL};
    view.pixels = (int64_t)view.layer->height * view.layer->width;
    map->score = (double)sal_run_value(run, output->value, NULL)[question->class_index];
    map->layer = question->layer;
    map->is_signed = sal_params_get(question->params, cam->params, "evidence") != 0;
    map->unit = cam->unit ? cam->unit : output->unit;
    return draw(&view, map, err);
}

static enum sal_status look_apart(const struct sal_cam *cam,
                                  const struct sal_question *question, struct sal_map *map,
                                  struct sal_error *err)
{
    struct sal_run *run = NULL;
    enum sal_status status = sal_run_open(&run, question->model,
                                          &(struct sal_run_options){.gradient = cam->gradient,
                                                                    .keep = &question->layer,
                                                                    .n_keep = 1,
                                                                    .wrt = &question->layer,
                                                                    .n_wrt = 1,
                                                                    .exact = question->exact,
                                                                    .pool = question->pool},
                                          err);
    if (!status)
        status = pass(cam, question, run, err);
    if (!status) {
        map->forwards = sal_run_forwards(run);
        map->backwards = sal_run_backwards(run);
        status = look(cam, question, run, map, err);
    }
    sal_run_close(run);
    return status;
}

enum sal_status sal_cam_explain(const struct sal_cam *cam,
                                const struct sal_question *question, struct sal_map *map,
                                struct sal_error *err)
{
    struct sal_run *kept;
    enum sal_status status = sal_taps_pass(question, cam->gradient, map, &kept, err);
    if (status)
        return status;
    return kept ? look(cam, question, kept, map, err) : look_apart(cam, question, map, err);
}
