/* XGrad-CAM: a channel weighs what its gradient is where it is active. Meant for
 * activations behind a ReLU: where those of a channel have both signs and nearly cancel,
 * it weighs without bound. */
#include "cam.h"

#define EPSILON 1e-7 /* as pytorch-grad-cam */

static double gradient_by_activation(const double *a, const double *g, int64_t n)
{
    double sum = 0, product = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += a[i];
        product += g[i] * a[i];
    }
    return sum + EPSILON != 0 ? product / (sum + EPSILON) : 0;
}

static const struct sal_cam cam = {.params = sal_cam_params,
                                   .gradient = true,
                                   .draw = sal_cam_weigh,
                                   .of_channel = gradient_by_activation};

static enum sal_status xgradcam(const struct sal_question *question, struct sal_map *map,
                                struct sal_error *err)
{
    return sal_cam_explain(&cam, question, map, err);
}

const struct sal_method sal_method_xgradcam = {
    .name = "xgradcam",
    .title = "XGrad-CAM",
    .formula = "ReLU(sum_k sum_hw(d score / d A_k * A_k) / (sum_hw(A_k) + 1e-7) A_k), "
               "bilinear to the input",
    .paper = "Fu et al., BMVC 2020, arXiv:2008.02312",
    .semantics = "pytorch-grad-cam's, with 1e-7 added to the sum of activations as "
                 "there; values keep their unit",
    .needs = SAL_NEEDS_GRADIENT | SAL_NEEDS_LAYER,
    .params = sal_cam_params,
    .run = xgradcam,
};
