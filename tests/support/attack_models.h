/*
 * Models whose smallest adversarial changes are known, and how probes are asked about them.
 */
#ifndef TESTS_ATTACK_MODELS_H
#define TESTS_ATTACK_MODELS_H

#include <stdint.h>

#include "saliscope/probe.h"

enum { SIDE_MAX = 64 };

/* logits = w p + b of a picture of channels x height x width in unit intensity, then the
 * activation ("Sigmoid", "Softmax", "Identity"). w [outputs][channels*height*width].
 * sidecar: JSON text that goes beside the model, NULL: none. */
struct sal_model *linear_model(int channels, int height, int width, int outputs,
                               const float *w, const float *b, const char *activation,
                               const char *sidecar);

/* relu(u p + v) of `hidden` units, then w h + b: the same otherwise. */
struct sal_model *mlp_model(int inputs, int hidden, const float *u, const float *v, int outputs,
                            const float *w, const float *b, const char *activation);

/* The same of a picture of height x width, with another unit than "Relu": "Softplus", "Sigmoid"
 * or "Square". */
struct sal_model *hidden_model(int height, int width, int hidden, const char *unit,
                               const float *u, const float *v, int outputs, const float *w,
                               const float *b, const char *activation);

/* A question; settings "eps=0.1 norm=l2". */
struct probing {
    const char *settings;
    int c; /* class */
    int batch, threads;
    uint64_t seed;
    const uint8_t *mask, *roi;
    enum sal_where where;
    bool grey;
    unsigned white;
    struct sal_job *job;
};

enum sal_status probe_ask(const struct sal_model *model, const float *x, const char *name,
                          struct probing how, struct sal_probe_answer *answer,
                          struct sal_error *err);

/* The same without failing. */
struct sal_probe_answer probe_of(const struct sal_model *model, const float *x,
                                 const char *name, struct probing how);

/* Whether the class is decided as in the question's answer, from the buffer itself. */
void assert_answer_is_honest(const struct sal_model *model, const float *x, int c,
                             const struct sal_probe_answer *answer);

#endif
