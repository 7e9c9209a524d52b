/*
 * Small networks for rules of propagation, and what comes back to their input.
 */
#ifndef TESTS_RULE_NETWORK_H
#define TESTS_RULE_NETWORK_H

#include "onnx_build.h"
#include "saliscope/model.h"
#include "saliscope/run.h"

#define DIMS(...) (const int64_t[]){__VA_ARGS__}

/* Of the input, the channels of a layer, and the elements of the input. */
enum { C = 3, H = 6, W = 5, K = 4, CLASSES = 2, N = C * H * W };

/* The call, which names `err`, or the test fails with what it says. */
#define must(call)                                                                     \
    do {                                                                               \
        struct sal_error must_error = {0}, *err = &must_error;                         \
        if (call)                                                                      \
            fail_msg("%s", must_error.text);                                           \
    } while (0)

/* A model whose input is x; what is built on it, opened. */
void rule_begin(struct onnx_build *b);
struct sal_model *rule_finish(struct onnx_build *b, const char *output);

/* Weights that tests know too: 1024 at most. */
float rule_weight(int i, int salt);
void rule_weights(struct onnx_build *b, const char *name, int rank, const int64_t *dims,
                  int salt);

/* A 1 x 1 convolution (weights of salt 1, biases of 5), an activation, the mean, a linear
 * layer (2). */
struct sal_model *rule_network(const char *activation);

/* An image from 0 to 1; of even and of odd salts one each lasts. */
const float *rule_picture(int salt);

struct rule_asking {
    const struct sal_propagation *propagation;
    const struct sal_lrp *lrp;
    const float *reference;
    bool plain;
    int threads;
};

static inline struct rule_asking by(const struct sal_propagation *propagation)
{
    return (struct rule_asking){.propagation = propagation};
}

static inline struct rule_asking by_lrp(const struct sal_lrp *lrp)
{
    return (struct rule_asking){.propagation = &sal_propagation_lrp, .lrp = lrp};
}

static inline struct rule_asking by_deeplift(const float *reference)
{
    return (struct rule_asking){.propagation = &sal_propagation_deeplift,
                                .reference = reference};
}

/* What comes back to the input from class 1, and the scores of x and of the reference. The
 * backward may be refused, nothing else. */
enum sal_status rule_ask(const struct sal_model *model, const float *x,
                         struct rule_asking how, float *back, double scores[2],
                         struct sal_error *refusal);

/* The largest difference, NaN being one; the largest size. */
double rule_apart(const float *a, const float *b);
double rule_size(const float *a);

/* The sum of back (x - x0). */
double rule_sum(const float *back, const float *x, const float *x0);

#endif
