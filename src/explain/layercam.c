/* LayerCAM: each position weighs what its own gradient is, where that is positive. Sharp
 * enough for early layers too. */
#include "cam.h"

static double positive_gradient(double g)
{
    return g > 0 ? g : 0;
}

static const struct sal_cam cam = {.params = sal_cam_params,
                                   .gradient = true,
                                   .draw = sal_cam_weigh,
                                   .of_position = positive_gradient};

static enum sal_status layercam(const struct sal_question *question, struct sal_map *map,
                                struct sal_error *err)
{
    return sal_cam_explain(&cam, question, map, err);
}

const struct sal_method sal_method_layercam = {
    .name = "layercam",
    .title = "LayerCAM",
    .formula = "ReLU(sum_k ReLU(d score / d A_k) A_k), bilinear to the input",
    .paper = "Jiang et al., IEEE TIP 2021, doi:10.1109/TIP.2021.3089943",
    .semantics = "the paper's, as in pytorch-grad-cam: only positive gradients count; "
                 "values keep their unit",
    .needs = SAL_NEEDS_GRADIENT | SAL_NEEDS_LAYER,
    .params = sal_cam_params,
    .run = layercam,
};
