/* monai.visualize.OcclusionSensitivity, mode "gaussian": a point at side / 2 through
 * GaussianSmooth, whose kernel integrates over each pixel ("erf"); and
 * monai.data.utils.compute_importance_map. */
#include "fade.h"

#include <math.h>
#include <stdlib.h>

#define SMOOTH_SD 0.25
#define BLEND_SD 0.125
#define WEIGHT_LEAST 1e-3

/* Of a Gaussian, the part over the pixel at x. */
static double pixel_share(double x, double sd)
{
    double t = 1 / (sqrt(2) * sd);
    return 0.5 * (erf(t * (x + 0.5)) - erf(t * (x - 0.5)));
}

static double bell(double x, double sd)
{
    return exp(-x * x / (2 * sd * sd));
}

static void fill_shown(double *shown, int side)
{
    int middle = side / 2;
    double sd = SMOOTH_SD * side, most = pixel_share(0, sd), least = pixel_share(middle, sd);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            double g = pixel_share(y - middle, sd) * pixel_share(x - middle, sd);
            shown[y * side + x] =
                side > 1 ? (most * most - g) / (most * most - least * least) : 0;
        }
}

static void fill_weight(double *weight, int side)
{
    double middle = (side - 1) / 2.0, sd = BLEND_SD * side;
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++)
            weight[y * side + x] = fmax(bell(y - middle, sd) * bell(x - middle, sd), WEIGHT_LEAST);
}

enum sal_status sal_fade_init(struct sal_fade *fade, int side, struct sal_error *err)
{
    size_t n = (size_t)side * (size_t)side;
    fade->shown = calloc(2 * n, sizeof(*fade->shown));
    if (!fade->shown)
        return sal_fail(err, SAL_LIMIT, "no memory for windows of %d pixels", side);
    fade->weight = fade->shown + n;
    fill_shown(fade->shown, side);
    fill_weight(fade->weight, side);
    return SAL_OK;
}

void sal_fade_release(struct sal_fade *fade)
{
    free(fade->shown);
    *fade = (struct sal_fade){0};
}
