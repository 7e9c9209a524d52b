/*
 * One exported model, run forward and backward by the engine: in float as it is
 * shipped, and by its twin in double, in one process (compare tests/twin/twin.h).
 */
#ifndef TESTS_PEERS_MEASURE_H
#define TESTS_PEERS_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

struct measure_case {
    const char *path;
    const float *x; /* [n_x], one image */
    int64_t n_x;
    int64_t score; /* index of the logit to go back from */
};

struct measured {
    int batch;        /* images run: 2, both x, where the batch axis is free, else 1 */
    int64_t n_logits; /* of one image */
    double *logits;   /* [batch * n_logits] */
    double *gradient; /* [batch * n_x] */
    long opset;
    double ms;            /* of the forward and the backward */
    char operators[1024]; /* left after folding, each once, in order */
    char message[512];    /* why it failed */
};

/* False: message says why. Release the result either way. */
bool measure_float(const struct measure_case *c, struct measured *result);
bool measure_double(const struct measure_case *c, struct measured *result);
void measured_release(struct measured *result);

#endif
