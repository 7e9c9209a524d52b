#include "noise.h"

#include "methods.h"

const char *const sal_noise_units[] = {"range", "input", NULL};

double sal_noise_sd(const struct sal_question *question, const struct sal_param *list)
{
    double noise = sal_params_get(question->params, list, "noise");
    if (sal_params_get(question->params, list, "units") != 0)
        return noise;
    return noise * sal_input_range(question->x, sal_input_elements(question->model));
}
