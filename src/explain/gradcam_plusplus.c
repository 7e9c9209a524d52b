/* Grad-CAM++, as pytorch-grad-cam has it: the second and third derivatives of exp(score)
 * are taken for powers of G (equation 19), and the sum over A is taken before it meets
 * G^3. EPSILON keeps small gradients from a division by next to nothing, so that the map
 * of a score a thousand times smaller is another one. */
#include "cam.h"

#define EPSILON 1e-6
#define MONAI_EPSILON 1e-7

static const char *const thirds[] = {"sums", "products", NULL};

static const struct sal_param params[] = {
    SAL_CAM_EVIDENCE("positive keeps evidence for the class (ReLU, as in the paper); both "
                     "keeps evidence against it too, as negative values"),
    {.name = "third",
     .type = SAL_PARAM_CHOICE,
     .fallback = 0,
     .unit = "",
     .choices = thirds,
     .help = "what stands beside 2 G^2 in a: sum(A) G^3, as in the paper, or sum(A G^3), as in "
             "MONAI"},
    {0},
};

static double alpha(double g, double sum)
{
    double below = 2 * g * g + sum * g * g * g + EPSILON;
    return below != 0 ? g * g / below : 0;
}

static double positive_gradients(const double *a, const double *g, int64_t n)
{
    double sum = 0, weight = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i];
    for (int64_t i = 0; i < n; i++)
        if (g[i] > 0)
            weight += g[i] * alpha(g[i], sum);
    return weight;
}

/* MONAI multiplies by exp(score), which all channels have in common. */
static double with_products(const double *a, const double *g, int64_t n)
{
    double sum = 0, weight = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * g[i] * g[i] * g[i];
    for (int64_t i = 0; i < n; i++) {
        double below = 2 * g[i] * g[i] + sum;
        if (g[i] > 0)
            weight += g[i] * g[i] * g[i] / ((below != 0 ? below : 1) + MONAI_EPSILON);
    }
    return weight;
}

static const struct sal_cam cam = {.params = params,
                                   .gradient = true,
                                   .draw = sal_cam_weigh,
                                   .of_channel = positive_gradients};

static const struct sal_cam products = {.params = params,
                                        .gradient = true,
                                        .draw = sal_cam_weigh,
                                        .of_channel = with_products};

static enum sal_status gradcam_plusplus(const struct sal_question *question,
                                        struct sal_map *map, struct sal_error *err)
{
    bool together = sal_params_get(question->params, params, "third") != 0;
    return sal_cam_explain(together ? &products : &cam, question, map, err);
}

const struct sal_method sal_method_gradcam_plusplus = {
    .name = "gradcam++",
    .title = "Grad-CAM++",
    .formula = "ReLU(sum_k sum_hw(a ReLU(G_k)) A_k), a = G^2 / (2 G^2 + sum_hw(A_k) G^3 + "
               "1e-6), G = d score / d A, bilinear to the input",
    .paper = "Chattopadhay et al., WACV 2018, arXiv:1710.11063",
    .semantics = "pytorch-grad-cam's: the plain sum of A "
                 "times G^3 position by position, and no exponential of the score, which "
                 "overflows for logits beyond 88, as MONAI's does",
    .needs = SAL_NEEDS_GRADIENT | SAL_NEEDS_LAYER,
    .params = params,
    .run = gradcam_plusplus,
};
