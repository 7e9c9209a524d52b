/*
 * Baselines: inputs that stand for "nothing is there".
 *
 * Declared once for all methods that start from one or put one in: a method puts
 * SAL_BASELINE_PARAMS into its list and asks for the baseline by it.
 */
#ifndef SALISCOPE_EXPLAIN_BASELINE_H
#define SALISCOPE_EXPLAIN_BASELINE_H

#include "saliscope/explain.h"

/* zero: 0 in the model's input, after preprocessing (Captum's default). value: the
 * parameter `value` in every element of it. Of pixels: black and white as the image can
 * store them, mean: of the image, channel by channel; blur: the image through a Gaussian of
 * `sigma` pixels, its edges continued; noise: each pixel uniform from black to white,
 * from the seed. */
extern const char *const sal_baseline_names[];

/* Where what is replaced is a hole with surroundings: those, and inpaint, which lets the
 * surroundings go on (inpaint.h). */
extern const char *const sal_baseline_hole_names[];

#define SAL_BASELINE_HOLE_PARAMS                                                         \
    {.name = "baseline",                                                                 \
     .type = SAL_PARAM_CHOICE,                                                           \
     .fallback = 0,                                                                      \
     .unit = "",                                                                         \
     .choices = sal_baseline_hole_names,                                                 \
     .help = "what stands for nothing: 0 or a value in the model's input, pixels, or what "\
             "surrounds a square"},                                                      \
        SAL_BASELINE_DETAILS

#define SAL_BASELINE_PARAMS                                                              \
    {.name = "baseline",                                                                 \
     .type = SAL_PARAM_CHOICE,                                                           \
     .fallback = 0,                                                                      \
     .unit = "",                                                                         \
     .choices = sal_baseline_names,                                                      \
     .help = "what stands for nothing: 0 or a value in the model's input, or pixels"},   \
        SAL_BASELINE_DETAILS

/* For methods that take the mean over several. */
#define SAL_BASELINES_PARAMS                                                             \
    {.name = "baseline",                                                                 \
     .type = SAL_PARAM_SET,                                                              \
     .fallback = 1,                                                                      \
     .unit = "",                                                                         \
     .choices = sal_baseline_names,                                                      \
     .help = "what stands for nothing: 0 or a value in the model's input, or pixels; of " \
             "several, as black+white, the maps' mean"},                                 \
        SAL_BASELINE_DETAILS

#define SAL_BASELINE_DETAILS                                                             \
    {.name = "value",                                                                    \
     .type = SAL_PARAM_REAL,                                                             \
     .fallback = 0,                                                                      \
     .min = -1e6,                                                                        \
     .max = 1e6,                                                                         \
     .unit = "",                                                                         \
     .help = "of baseline=value, in the model's input",                                  \
     .of = "baseline",                                                                   \
     .when = "value"},                                                                   \
    {                                                                                    \
        .name = "sigma", .type = SAL_PARAM_REAL, .fallback = 10, .min = 0.1, .max = 100, \
        .unit = "px", .help = "of baseline=blur, in pixels of the model's input",        \
        .of = "baseline", .when = "blur"                                                 \
    }

/* The baseline that the question's parameters ask for, in the layout of x, free() it;
 * list: the method's. */
enum sal_status sal_baseline_make(const struct sal_question *question,
                                  const struct sal_param *list, sal_real **baseline,
                                  struct sal_error *err);

/* A pixel of that share of white, 0..1, in channel c of the model's input. */
double sal_baseline_shade(const struct sal_preprocessing *spec, int c, double share);

/* For methods that take the mean over several: visits each that is asked for, in the order of
 * the names, until a visit fails, whose status is returned; *n: how many there are. A baseline
 * lasts as long as its visit. */
enum sal_status sal_baseline_each(const struct sal_question *question,
                                  const struct sal_param *list,
                                  enum sal_status (*visit)(void *context,
                                                           const sal_real *baseline,
                                                           struct sal_error *err),
                                  void *context, int *n, struct sal_error *err);

/* Whether holes are to be in-painted, from what sal_baseline_make gives. */
bool sal_baseline_inpaints(const struct sal_question *question,
                           const struct sal_param *list);

/* For methods that draw a baseline anew for each of their samples: whether
 * baseline=noise is asked for, and noise number 0 (which sal_baseline_make gives), 1 ... */
bool sal_baseline_is_noise(const struct sal_question *question,
                           const struct sal_param *list);
void sal_baseline_noise(const struct sal_question *question, uint64_t number,
                        sal_real *out);

#endif
