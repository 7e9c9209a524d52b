/* Guided Grad-CAM: guided backpropagation where Grad-CAM finds evidence. */
#include <stdio.h>
#include <stdlib.h>

#include "propagated.h"

enum enlarging { BILINEAR, NEAREST };

static const char *const enlargings[] = {"bilinear", "nearest", NULL};

static const struct sal_param params[] = {
    {.name = "enlarge",
     .type = SAL_PARAM_CHOICE,
     .fallback = BILINEAR,
     .unit = "",
     .choices = enlargings,
     .help = "of Grad-CAM's grid to the input: bilinear as in the paper, nearest as in "
             "Captum"},
    {0},
};

/* Grad-CAM's map, as large as the input: pixel i of it. */
static double weight_at(const struct sal_map *cam, enum enlarging how, int64_t i)
{
    int64_t row = i / cam->width, column = i % cam->width;
    if (how == BILINEAR)
        return (double)cam->values[i];
    return (double)cam->grid[row * cam->grid_height / cam->height * cam->grid_width +
                             column * cam->grid_width / cam->width];
}

static void weigh(const struct sal_question *question, const struct sal_map *cam,
                  double *values)
{
    const struct sal_model_input *input = sal_model_input(question->model);
    enum enlarging how =
        (enum enlarging)sal_params_get(question->params, params, "enlarge");
    int64_t pixels = (int64_t)input->height * input->width;
    for (int64_t i = 0; i < pixels; i++)
        for (int c = 0; c < input->channels; c++)
            values[sal_input_place(input, c, i)] *= weight_at(cam, how, i);
}

static enum sal_status gradcam(const struct sal_question *question, struct sal_map *cam,
                               struct sal_error *err)
{
    struct sal_params fallback;
    struct sal_question inner = *question;
    sal_params_init(&fallback, sal_method_gradcam.params);
    inner.params = &fallback;
    *cam = (struct sal_map){.layer = -1, .unit = ""};
    return sal_method_gradcam.run(&inner, cam, err);
}

static enum sal_status guidedgradcam(const struct sal_question *question, struct sal_map *map,
                                     struct sal_error *err)
{
    struct sal_propagated p = {.propagation = &sal_propagation_guided};
    struct sal_map cam;
    enum sal_status status = gradcam(question, &cam, err);
    if (!status)
        status = sal_propagated_run(&p, question, map, err);
    if (!status) {
        weigh(question, &cam, p.values);
        map->is_signed = true;
        map->layer = question->layer;
        map->unit = sal_unit_name(question->model, SAL_UNIT_SLOPE_SQUARED);
        map->forwards += cam.forwards;
        map->backwards += cam.backwards;
        status = sal_map_from_input(map, question->model, p.values, 1, err);
    }
    if (!status && *cam.note)
        snprintf(map->note, sizeof(map->note), "blank where Grad-CAM is: %.200s", cam.note);
    else if (!status && p.ruled == 0)
        snprintf(map->note, sizeof(map->note),
                 "this model has no ReLU to change the gradient at: Grad-CAM times its plain "
                 "gradient");
    sal_map_release(&cam);
    free(p.values);
    return status;
}

const struct sal_method sal_method_guidedgradcam = {
    .name = "guidedgradcam",
    .title = "Guided Grad-CAM",
    .formula = "guided backpropagation times Grad-CAM enlarged, summed over channels",
    .paper = "Selvaraju et al., ICCV 2017, arXiv:1610.02391",
    .semantics = "the paper's, with Grad-CAM enlarged bilinearly, so that its grid does "
                 "not show; else Captum's, which repeats its values (enlarge=nearest): "
                 "Grad-CAM without its negative part, not normalised",
    .needs = SAL_NEEDS_GRADIENT | SAL_NEEDS_LAYER | SAL_HAS_CHANNELS | SAL_PIXELWISE,
    .params = params,
    .run = guidedgradcam,
};
