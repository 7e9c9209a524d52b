#include <math.h>
#include <stdlib.h>

#include "model_parts.h"

static double temperature_of(const struct sal_model *model)
{
    double t = sal_model_sidecar(model)->temperature;
    return t > 0 ? t : 1;
}

/* The model's own probabilities of its Sigmoid's. */
static void finish(const struct sal_model *model, double *probabilities)
{
    const struct sal_tail *tail = sal_model_tail(model);
    int n = sal_model_output(model)->n;
    if (tail && !sal_tail_apply(sal_model_graph(model), tail, probabilities, n))
        for (int i = 0; i < n; i++)
            probabilities[i] = (double)NAN;
}

void sal_model_probabilities(const struct sal_model *model, const sal_real *logits,
                             double *probabilities)
{
    const struct sal_model_output *output = sal_model_output(model);
    double t = temperature_of(model), top = -HUGE_VAL, sum = 0;
    for (int i = 0; i < output->n; i++) {
        probabilities[i] = (double)NAN;
        top = fmax(top, (double)logits[i] / t);
    }
    if (output->activation == SAL_SIGMOID) {
        for (int i = 0; i < output->n; i++)
            probabilities[i] = 1 / (1 + exp(-(double)logits[i] / t));
        finish(model, probabilities);
    }
    if (output->activation != SAL_SOFTMAX)
        return;
    for (int i = 0; i < output->n; i++)
        sum += probabilities[i] = exp((double)logits[i] / t - top);
    for (int i = 0; i < output->n; i++)
        probabilities[i] /= sum;
}

static double threshold_of(const struct sal_model *model, int index)
{
    const struct sal_sidecar *sidecar = sal_model_sidecar(model);
    double given =
        index < sidecar->n_classes ? sidecar->classes[index].threshold : (double)NAN;
    return isnan(given) && sal_model_output(model)->activation == SAL_SIGMOID ? 0.5
                                                                              : given;
}

bool sal_model_flagged(const struct sal_model *model, int index, double probability)
{
    return probability >= threshold_of(model, index);
}

/* Multi-label: the finding furthest above its threshold counts by its probability;
 * where none is above, the highest probability. */
int sal_model_top_class(const struct sal_model *model, const sal_real *logits)
{
    const struct sal_model_output *output = sal_model_output(model);
    double *probabilities = calloc((size_t)output->n, sizeof(*probabilities));
    if (probabilities)
        sal_model_probabilities(model, logits, probabilities);
    int best = 0;
    bool best_flagged = false;
    for (int i = 0; i < output->n; i++) {
        bool flagged = probabilities && output->activation == SAL_SIGMOID &&
                       sal_model_flagged(model, i, probabilities[i]);
        bool better = flagged != best_flagged ? flagged : logits[i] > logits[best];
        if (i == 0 || better) {
            best = i;
            best_flagged = flagged;
        }
    }
    free(probabilities);
    return output->chosen >= 0 ? output->chosen : best;
}
