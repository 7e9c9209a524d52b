/* Grad-CAM: a channel weighs what its gradient is on average. */
#include "cam.h"

static double mean_gradient(const double *a, const double *g, int64_t n)
{
    (void)a;
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += g[i];
    return sum / (double)n;
}

static const struct sal_cam cam = {.params = sal_cam_params,
                                   .gradient = true,
                                   .draw = sal_cam_weigh,
                                   .of_channel = mean_gradient};

static enum sal_status gradcam(const struct sal_question *question, struct sal_map *map,
                               struct sal_error *err)
{
    return sal_cam_explain(&cam, question, map, err);
}

const struct sal_method sal_method_gradcam = {
    .name = "gradcam",
    .title = "Grad-CAM",
    .formula = "ReLU(sum_k mean_hw(d score / d A_k) A_k), bilinear to the input",
    .paper = "Selvaraju et al., ICCV 2017, arXiv:1610.02391",
    .semantics = "the paper's on the logit, not on a probability, whose gradient "
                 "vanishes where it is near 1; not normalised, so that values keep the "
                 "score's unit, as in Captum; negative values become 0 as in the paper, "
                 "which Captum leaves to the caller",
    .needs = SAL_NEEDS_GRADIENT | SAL_NEEDS_LAYER,
    .params = sal_cam_params,
    .run = gradcam,
};
