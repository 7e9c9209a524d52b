/* HiResCAM: each position weighs what its own gradient is. Where only linear operators
 * follow the layer, the map sums to the score but for the biases. */
#include "cam.h"

static double own_gradient(double g)
{
    return g;
}

static const struct sal_cam cam = {.params = sal_cam_params,
                                   .gradient = true,
                                   .draw = sal_cam_weigh,
                                   .of_position = own_gradient};

static enum sal_status hirescam(const struct sal_question *question, struct sal_map *map,
                                struct sal_error *err)
{
    return sal_cam_explain(&cam, question, map, err);
}

const struct sal_method sal_method_hirescam = {
    .name = "hirescam",
    .title = "HiResCAM",
    .formula = "ReLU(sum_k d score / d A_k * A_k), bilinear to the input",
    .paper = "Draelos and Carin, 2020, arXiv:2011.08891",
    .semantics = "the paper's, as in pytorch-grad-cam: no averaging, so that behind a "
                 "linear head the map is exactly what the score is made of; values keep "
                 "their unit",
    .needs = SAL_NEEDS_GRADIENT | SAL_NEEDS_LAYER,
    .params = sal_cam_params,
    .run = hirescam,
};
