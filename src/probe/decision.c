#include "decision.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const sal_goal_names[] = {"auto", "hide", "create", NULL};
const char *const sal_loss_names[] = {"margin", "ce", "dlr", NULL};

/* ---- thresholds ----------------------------------------------------------------------------- */

struct threshold {
    const struct sal_model *model;
    int c;
    sal_real *logits;      /* [n], zeros but for c */
    double *probabilities; /* [n] */
};

static bool flagged_at(const struct threshold *t, double logit)
{
    t->logits[t->c] = (sal_real)logit;
    sal_model_probabilities(t->model, t->logits, t->probabilities);
    return sal_model_flagged(t->model, t->c, t->probabilities[t->c]);
}

/* The least number of sal_real's at which the class is flagged, so that comparing logits with
 * it is comparing probabilities with the threshold, to the last bit, whatever lies between:
 * temperature, or a scale of the model's own. */
static bool find_threshold(const struct threshold *t, double *threshold)
{
    sal_real low = -200, high = 200;
    if (flagged_at(t, (double)low) || !flagged_at(t, (double)high))
        return false;
    for (;;) {
        sal_real middle = low + (high - low) / 2;
        if (middle <= low || middle >= high)
            break;
        if (flagged_at(t, (double)middle))
            high = middle;
        else
            low = middle;
    }
    *threshold = (double)high;
    return true;
}

static enum sal_status set_threshold(struct sal_decision *d, struct sal_error *err)
{
    struct threshold t = {d->model, d->c, calloc((size_t)d->n, sizeof(sal_real)),
                          calloc((size_t)d->n, sizeof(double))};
    enum sal_status status = SAL_OK;
    if (!t.logits || !t.probabilities)
        status = sal_fail(err, SAL_LIMIT, "no memory for the logits of %d classes", d->n);
    else if (!find_threshold(&t, &d->threshold))
        status = sal_fail(err, SAL_UNSUPPORTED,
                          "the decision about '%s' cannot change: its threshold is reached by "
                          "any score or by none",
                          sal_model_class(d->model, d->c));
    free(t.logits);
    free(t.probabilities);
    return status;
}

enum sal_status sal_decision_init(struct sal_decision *d, const struct sal_model *model,
                                  int class_index, struct sal_error *err)
{
    const struct sal_model_output *output = sal_model_output(model);
    double t = sal_model_sidecar(model)->temperature;
    *d = (struct sal_decision){.model = model,
                               .n = output->n,
                               .c = class_index,
                               .labels = output->activation == SAL_SIGMOID || output->n == 1,
                               .temperature = t > 0 ? t : 1};
    if (class_index < 0 || class_index >= output->n)
        return sal_fail(err, SAL_USAGE, "class %d is not in 0..%d", class_index, output->n - 1);
    if (output->activation == SAL_SOFTMAX && output->n == 1)
        return sal_fail(err, SAL_UNSUPPORTED,
                        "a softmax over one class is always 1: there is no decision to change");
    return output->activation == SAL_SIGMOID ? set_threshold(d, err) : SAL_OK;
}

/* ---- the decision ---------------------------------------------------------------------------- */

/* The highest logit but that of the class itself; the first of several. */
static int rival_of(const struct sal_decision *d, const sal_real *logits)
{
    int best = d->c == 0 ? 1 : 0;
    for (int j = best + 1; j < d->n; j++)
        if (j != d->c && logits[j] > logits[best])
            best = j;
    return best;
}

double sal_decision_f(const struct sal_decision *d, const sal_real *logits)
{
    double z = (double)logits[d->c];
    return d->labels ? z - d->threshold : z - (double)logits[rival_of(d, logits)];
}

bool sal_decision_called(const struct sal_decision *d, const sal_real *logits)
{
    double f = sal_decision_f(d, logits);
    if (d->labels || f != 0)
        return f >= 0;
    return d->c < rival_of(d, logits); /* classify takes the first of equals */
}

bool sal_decision_reached(const struct sal_decision *d, const sal_real *logits)
{
    return sal_decision_called(d, logits) == d->create;
}

double sal_decision_margin(const struct sal_decision *d, const sal_real *logits)
{
    double f = sal_decision_f(d, logits);
    return d->create ? -f : f;
}

/* ---- losses ------------------------------------------------------------------------------------ */

/* The rivals' slopes, those nearly as high as the highest among them. */
static void put_blend(const struct sal_decision *d, const sal_real *logits, sal_real *slope)
{
    double top = (double)logits[rival_of(d, logits)], sum = 0;
    for (int i = 0; i < d->n; i++)
        sum += i == d->c ? 0 : exp(((double)logits[i] - top) / d->blend);
    for (int i = 0; i < d->n; i++)
        if (i != d->c)
            slope[i] += (sal_real)(exp(((double)logits[i] - top) / d->blend) / sum);
}

static double margin_loss(const struct sal_decision *d, const sal_real *logits, sal_real *slope)
{
    const sal_real sign = d->create ? -1 : 1;
    slope[d->c] += sign;
    if (!d->labels && d->create && d->blend > 0)
        put_blend(d, logits, slope);
    else if (!d->labels)
        slope[rival_of(d, logits)] -= sign;
    return sal_decision_margin(d, logits);
}

/* Towards hiding, log p of the label; towards creating it, log (1 - p). */
static double label_loss(const struct sal_decision *d, const sal_real *logits, sal_real *slope)
{
    double sign = d->create ? -1 : 1, z = sign * (double)logits[d->c] / d->temperature;
    double p = 1 / (1 + exp(-z)); /* of what is to be undone */
    slope[d->c] = (sal_real)(sign * (1 - p) / d->temperature);
    return z < 0 ? z - log1p(exp(z)) : -log1p(exp(-z));
}

static double ce_loss(const struct sal_decision *d, const sal_real *logits, sal_real *slope)
{
    if (d->labels)
        return label_loss(d, logits, slope);
    double top = -INFINITY, sum = 0, sign = d->create ? -1 : 1;
    for (int i = 0; i < d->n; i++)
        top = fmax(top, (double)logits[i]);
    for (int i = 0; i < d->n; i++)
        sum += exp(((double)logits[i] - top) / d->temperature);
    for (int i = 0; i < d->n; i++) {
        double p = exp(((double)logits[i] - top) / d->temperature) / sum;
        slope[i] = (sal_real)(sign * ((i == d->c) - p) / d->temperature);
    }
    return sign * (((double)logits[d->c] - top) / d->temperature - log(sum));
}

/* The places of the `many` highest logits, in order. */
static void highest(const struct sal_decision *d, const sal_real *logits, int *place, int many)
{
    for (int k = 0; k < many; k++) {
        place[k] = -1;
        for (int i = 0; i < d->n; i++) {
            bool taken = false;
            for (int j = 0; j < k; j++)
                taken |= place[j] == i;
            if (!taken && (place[k] < 0 || logits[i] > logits[place[k]]))
                place[k] = i;
        }
    }
}

static double dlr_loss(const struct sal_decision *d, const sal_real *logits, sal_real *slope)
{
    int top[4], many = d->create ? 4 : 3;
    if (d->labels || d->n < many)
        return margin_loss(d, logits, slope);
    highest(d, logits, top, many);
    double low = (double)logits[top[2]];
    if (d->create)
        low = (low + (double)logits[top[3]]) / 2;
    double below = (double)logits[top[0]] - low + 1e-12;
    double loss = margin_loss(d, logits, slope) / below, share = loss / below;
    for (int i = 0; i < d->n; i++)
        slope[i] = (sal_real)((double)slope[i] / below);
    slope[top[0]] -= (sal_real)share;
    slope[top[2]] += (sal_real)(d->create ? share / 2 : share);
    if (d->create)
        slope[top[3]] += (sal_real)(share / 2);
    return loss;
}

double sal_decision_loss(const struct sal_decision *d, enum sal_loss loss,
                         const sal_real *logits, sal_real *slope)
{
    memset(slope, 0, (size_t)d->n * sizeof(*slope));
    switch (loss) {
    case SAL_LOSS_CE:
        return ce_loss(d, logits, slope);
    case SAL_LOSS_DLR:
        return dlr_loss(d, logits, slope);
    case SAL_LOSS_MARGIN:
        break;
    }
    return margin_loss(d, logits, slope);
}

int sal_decision_rivals(const struct sal_decision *d, const sal_real *logits, int most,
                        int *rivals)
{
    int n = 0;
    if (d->labels)
        return 0;
    for (; n < most && n < d->n - 1; n++) {
        int best = -1;
        for (int i = 0; i < d->n; i++) {
            bool taken = i == d->c;
            for (int k = 0; k < n; k++)
                taken |= rivals[k] == i;
            if (!taken && (best < 0 || logits[i] > logits[best]))
                best = i;
        }
        rivals[n] = best;
    }
    return n;
}
