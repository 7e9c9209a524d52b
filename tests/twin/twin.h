/*
 * The twins: the engine once in float, once in double, in one process.
 *
 * Both run the same bytes of a model on the same inputs, forward and back, and
 * hand everything over in double. A test compares them with each other and the
 * double one with finite differences. Either also checks that no backward reads values
 * that its operator's row says it does not; and where there is a gradient, it runs what
 * lowering (lower.h) changes both ways, as runs do and node by node, and compares. The
 * result is that of the former.
 */
#ifndef TESTS_TWIN_H
#define TESTS_TWIN_H

#include <stdbool.h>
#include <stdint.h>

#include "saliscope/file.h"

enum { TWIN_INPUTS = 8 };

struct twin_case {
    struct sal_span model;             /* ONNX bytes */
    const double *input[TWIN_INPUTS];  /* one per graph input, in order */
    const double *dy; /* gradient arriving at output 0; NULL: forward only */
    int threads;      /* 0: no pool */
    double apart;     /* of whole networks, whose kinks rounding may cross: how far the two
                         ways may be apart in float, as a share of the length of all elements;
                         0: each element by itself */
};

struct twin_result {
    double *y; /* output 0 */
    int64_t n_y;
    int n_inputs;
    int64_t n_input[TWIN_INPUTS];
    bool real[TWIN_INPUTS];
    double *dx[TWIN_INPUTS]; /* by dy; NULL for integers */
    char message[512];       /* why it failed */
};

/* False: message says why. Release the result either way. */
bool sal_twin_float(const struct twin_case *c, struct twin_result *result);
bool sal_twin_double(const struct twin_case *c, struct twin_result *result);
void twin_result_release(struct twin_result *result);

#endif
