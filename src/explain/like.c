#include "saliscope/like.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>


#define EPSILON 1e-7 /* of scale_cam_image */

const char *const sal_finish_names[] = {"none", "nearest", "unit", "flipped", NULL};
const char *const sal_finish_titles[] = {"as it is", "enlarged by repeating values",
                                         "scaled to 0..1", "turned over to 1..0", NULL};

/* ---- the table --------------------------------------------------------------------------- */

#define PARAMS(...) .params = {__VA_ARGS__}
#define UNIT_CAM(name, class, ...)                                                        \
    {.method = name, .call = class, .finish = SAL_FINISH_UNIT,                            \
     PARAMS("evidence=positive", __VA_ARGS__)}

/* Defaults of Captum's attribute(). The window of an occlusion and superpixels have none
 * there. KernelShap's 25 samples are with those of all and none. */
static const struct sal_like_row captum[] = {
    {.method = "gradcam", .call = "LayerGradCam and LayerAttribution.interpolate",
     .finish = SAL_FINISH_NEAREST, PARAMS("evidence=both")},
    {.method = "gradient", .call = "Saliency", PARAMS("magnitude=yes")},
    {.method = "inputxgradient", .call = "InputXGradient"},
    {.method = "ig", .call = "IntegratedGradients",
     PARAMS("steps=50", "rule=gausslegendre", "baseline=zero")},
    {.method = "smoothgrad", .call = "NoiseTunnel of Saliency, smoothgrad",
     PARAMS("samples=5", "noise=1", "units=input", "magnitude=yes")},
    {.method = "vargrad", .call = "NoiseTunnel of Saliency, vargrad",
     PARAMS("samples=5", "noise=1", "units=input", "magnitude=yes")},
    {.method = "gradientshap", .call = "GradientShap",
     PARAMS("samples=5", "noise=0", "units=input")},
    {.method = "guidedbackprop", .call = "GuidedBackprop"},
    {.method = "deconvnet", .call = "Deconvolution"},
    {.method = "guidedgradcam", .call = "GuidedGradCam", PARAMS("enlarge=nearest")},
    {.method = "deeplift", .call = "DeepLift", PARAMS("baseline=zero")},
    {.method = "lrp", .call = "LRP",
     PARAMS("conv=epsilon", "dense=epsilon", "first=epsilon", "epsilon=1e-9")},
    {.method = "occlusion", .call = "Occlusion", PARAMS("stride=1", "baseline=zero")},
    {.method = "kernelshap", .call = "KernelShap", PARAMS("samples=23", "baseline=zero")},
    {.method = "lime", .call = "Lime",
     PARAMS("samples=25", "distance=image", "width=1", "penalty=lasso", "alpha=0.01",
            "baseline=zero")},
    {0},
};

static const struct sal_like_row pytorch_grad_cam[] = {
    UNIT_CAM("gradcam", "GradCAM", NULL),
    UNIT_CAM("gradcam++", "GradCAMPlusPlus", NULL),
    UNIT_CAM("hirescam", "HiResCAM", NULL),
    UNIT_CAM("layercam", "LayerCAM", NULL),
    UNIT_CAM("xgradcam", "XGradCAM", NULL),
    UNIT_CAM("eigencam", "EigenCAM", NULL),
    UNIT_CAM("eigengradcam", "EigenGradCAM", NULL),
    UNIT_CAM("scorecam", "ScoreCAM", "masks=corners"),
    UNIT_CAM("ablationcam", "AblationCAM", "divisor=score"),
    {0},
};

/* An overlap of 0.6 is a stride of int(16 x 0.4). Of inputs with one channel MONAI takes the
 * sigmoid, of others the softmax, whatever the model's classes are. */
static const struct sal_like_row monai[] = {
    {.method = "gradcam", .call = "GradCAM", .finish = SAL_FINISH_FLIPPED,
     PARAMS("evidence=positive")},
    {.method = "gradcam++", .call = "GradCAMpp", .finish = SAL_FINISH_FLIPPED,
     PARAMS("evidence=positive", "third=products")},
    {.method = "gradient", .call = "VanillaGrad", PARAMS("magnitude=no")},
    {.method = "guidedbackprop", .call = "GuidedBackpropGrad"},
    {.method = "smoothgrad", .call = "SmoothGrad",
     PARAMS("samples=25", "noise=0.15", "units=range", "squared=yes", "root=yes")},
    {.method = "occlusion", .call = "OcclusionSensitivity", .one_channel = true,
     PARAMS("window=16", "stride=6", "edge=inside", "fade=yes", "tell=sigmoid",
            "baseline=zero")},
    {.method = "occlusion", .call = "OcclusionSensitivity", .score = "prob",
     PARAMS("window=16", "stride=6", "edge=inside", "fade=yes", "tell=score",
            "baseline=zero")},
    {0},
};

/* Saliency.ipynb, the example in the authors' repository. */
static const struct sal_like_row rise[] = {
    {.method = "rise", .call = "RISE", .score = "prob",
     PARAMS("masks=6000", "cells=8", "keep=0.1", "normalise=paper", "baseline=zero")},
    {0},
};

const struct sal_like sal_likes[] = {
    {"captum", "Captum 0.9.0", captum},
    {"pytorch-grad-cam", "pytorch-grad-cam 1.5.7", pytorch_grad_cam},
    {"monai", "MONAI 1.6.1", monai},
    {"rise", "the authors' RISE (github.com/eclique/RISE)", rise},
    {NULL, NULL, NULL},
};

/* ---- by name -------------------------------------------------------------------------------- */

const struct sal_like *sal_like_find(const char *name)
{
    for (const struct sal_like *like = sal_likes; like->name; like++)
        if (strcmp(like->name, name) == 0)
            return like;
    return NULL;
}

const struct sal_like_row *sal_like_row_find(const struct sal_like *like,
                                             const struct sal_method *method, int channels,
                                             struct sal_error *err)
{
    char names[200] = "";
    size_t used = 0;
    for (const struct sal_like_row *row = like->rows; row->method; row++) {
        if (strcmp(row->method, method->name) == 0 && (!row->one_channel || channels == 1))
            return row;
        if (!row->one_channel && used < sizeof(names))
            used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
                                     used ? ", " : "", row->method);
    }
    sal_fail(err, SAL_USAGE, "%s has no method like %s; it has %s", like->title, method->name,
             names);
    return NULL;
}

void sal_like_params(const struct sal_like_row *row, const struct sal_method *method,
                     struct sal_params *params)
{
    struct sal_error err = {0};
    for (int i = 0; i < SAL_LIKE_PARAMS_MAX && row->params[i]; i++) {
        enum sal_status status =
            sal_params_set(params, method->params, row->params[i], method->name, &err);
        assert(!status);
        (void)status;
    }
}

/* ---- finishing --------------------------------------------------------------------------------- */

struct extremes {
    float low, high;
};

static struct extremes extremes_of(const float *v, long n)
{
    struct extremes e = {v[0], v[0]};
    for (long i = 1; i < n; i++) {
        e.low = fminf(e.low, v[i]);
        e.high = fmaxf(e.high, v[i]);
    }
    return e;
}

static void scale(float *v, long n, struct extremes e)
{
    double range = (double)e.high - (double)e.low + EPSILON;
    for (long i = 0; i < n; i++)
        v[i] = (float)(((double)v[i] - (double)e.low) / range);
}

/* Enlarging is linear, so what is already enlarged may be scaled by the grid's extremes. */
static void to_unit(struct sal_map *map)
{
    long cells = (long)map->grid_width * map->grid_height;
    long pixels = (long)map->width * map->height;
    struct extremes of_grid = extremes_of(map->grid, cells);
    scale(map->grid, cells, of_grid);
    scale(map->values, pixels, of_grid);
    scale(map->values, pixels, extremes_of(map->values, pixels));
}

static void turn_over(float *v, long n, struct extremes e)
{
    double range = (double)e.high - (double)e.low;
    for (long i = 0; i < n && range > 0; i++)
        v[i] = (float)(((double)e.high - (double)v[i]) / range);
}

static void flip(struct sal_map *map)
{
    long pixels = (long)map->width * map->height;
    struct extremes e = extremes_of(map->values, pixels);
    turn_over(map->grid, (long)map->grid_width * map->grid_height, e);
    turn_over(map->values, pixels, e);
    if (!*map->note)
        snprintf(map->note, sizeof(map->note),
                 "turned over as MONAI does it: what counts most is 0");
}

static void repeat_cells(struct sal_map *map)
{
    for (int y = 0; y < map->height; y++)
        for (int x = 0; x < map->width; x++) {
            int row = (int)((long)y * map->grid_height / map->height);
            int column = (int)((long)x * map->grid_width / map->width);
            map->values[(long)y * map->width + x] =
                map->grid[(long)row * map->grid_width + column];
        }
}

void sal_like_finish(enum sal_finish finish, struct sal_map *map)
{
    if (finish == SAL_FINISH_NEAREST)
        repeat_cells(map);
    if (finish == SAL_FINISH_UNIT)
        to_unit(map);
    if (finish == SAL_FINISH_FLIPPED)
        flip(map);
    if (finish == SAL_FINISH_UNIT || finish == SAL_FINISH_FLIPPED) {
        map->unit = "scaled to 0..1";
        map->is_signed = false;
    }
}
