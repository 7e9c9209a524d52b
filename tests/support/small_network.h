/*
 * Small networks whose answers are known, and how saliency methods are asked about them.
 */
#ifndef TESTS_SMALL_NETWORK_H
#define TESTS_SMALL_NETWORK_H

#include <stdint.h>

#include "saliscope/explain.h"

/* Of the network's input: C x H x W. */
enum { C = 3, H = 22, W = 20, PIXELS = H * W, N = C * PIXELS, CLASSES = 3 };

/* The call, which names `err`, or the test fails with what it says. */
#define must(call)                                                                     \
    do {                                                                               \
        struct sal_error must_error = {0}, *err = &must_error;                         \
        if (call)                                                                      \
            fail_msg("%s", must_error.text);                                           \
    } while (0)

/* A convolution, an activation (LINEAR: none), a convolution, the mean over space: a score
 * for each class, without biases. preset: of the preprocessing; may be NULL. */
enum network { SMOOTH, LINEAR, RELU, SMOOTH_NHWC };
struct sal_model *make_network(enum network kind, const char *preset);

const float *an_image(void); /* [N] */

/* The network's score of class 1. */
double score_of(const struct sal_model *model, const float *x);

/* A question with settings ("steps=5 rule=trapezoid"), and who computes it. */
struct asking {
    const char *settings;
    int batch, threads;
    uint64_t seed;
    struct sal_job *job;
    struct sal_tally *tally;
};

/* Of class 1, or of the only one. */
enum sal_status ask(const struct sal_model *model, const float *x, const char *name,
                    struct asking how, struct sal_map *map, struct sal_error *err);

/* The same of an_image(), without failing. */
struct sal_map map_of(const struct sal_model *model, const char *name, struct asking how);

/* The value of a check that is there. */
double check_of(const struct sal_map *map, const char *name);

/* The largest difference; NaN counts as one. */
double apart(const float *a, const float *b, int64_t n);

/* Asks with job, on one thread and a batch of 1, and cancels after three passes. */
struct sal_map stopped_map(const struct sal_model *model, const char *name,
                           const char *settings);
struct sal_map stopped_map_with(const struct sal_model *model, const char *name,
                                const char *settings, struct sal_tally *tally);

#endif
