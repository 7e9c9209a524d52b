/*
 * How strong noise is: declared once for all methods that add some to the input.
 */
#ifndef SALISCOPE_EXPLAIN_NOISE_H
#define SALISCOPE_EXPLAIN_NOISE_H

#include "saliscope/explain.h"

/* range: a share of the input's range (max - min), the scale of SmoothGrad's paper. input: as
 * it is, in the units of the input after preprocessing, as Captum's stdevs. */
extern const char *const sal_noise_units[];

#define SAL_NOISE_PARAMS(level, text)                                                   \
    {.name = "noise",                                                                   \
     .type = SAL_PARAM_REAL,                                                            \
     .fallback = level,                                                                 \
     .min = 0,                                                                          \
     .max = 10,                                                                         \
     .unit = "",                                                                        \
     .help = text},                                                                     \
    {                                                                                   \
        .name = "units", .type = SAL_PARAM_CHOICE, .fallback = 0, .unit = "",           \
        .choices = sal_noise_units,                                                     \
        .help = "of noise: a share of the input's range (max - min), or the input's own" \
    }

/* The standard deviation that a question asks for; list: the method's. */
double sal_noise_sd(const struct sal_question *question, const struct sal_param *list);

#endif
