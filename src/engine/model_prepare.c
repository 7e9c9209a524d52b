/* An image becomes a network's input. */
#include <stdlib.h>

#include "saliscope/model.h"

enum sal_status sal_model_prepare(const struct sal_model *model,
                                  const struct sal_image *image, sal_real *x,
                                  struct sal_error *err)
{
    const struct sal_preprocessing *p = sal_model_preprocessing(model);
    const struct sal_model_input *input = sal_model_input(model);
    int64_t c = input->channels, pixels = (int64_t)p->height * p->width;
    float *planes = malloc(sizeof(*planes) * (size_t)(c * pixels));
    if (!planes)
        return sal_fail(err, SAL_LIMIT, "no memory for the input");
    unsigned white = 1;
    enum sal_status status = sal_image_resample(image, p, planes, &white, err);
    double gain = (p->range[1] - p->range[0]) / white;
    bool last = input->layout == SAL_LAYOUT_NHWC;
    for (int64_t k = 0; !status && k < c; k++)
        for (int64_t i = 0; i < pixels; i++) {
            double v = p->range[0] + (double)planes[k * pixels + i] * gain;
            x[last ? i * c + k : k * pixels + i] =
                (sal_real)((v - p->mean[k]) / p->std[k]);
        }
    free(planes);
    return status;
}
