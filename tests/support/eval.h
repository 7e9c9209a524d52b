/*
 * A model of onnx_build.h built and run once, for tests of what a graph means.
 */
#ifndef TESTS_EVAL_H
#define TESTS_EVAL_H

#include "graph.h"
#include "onnx_build.h"

struct eval {
    struct sal_graph_options options; /* of the graph; all zero will do */
    const float *x;                   /* the first input's values; NULL: zeros */
    float y[64];                      /* of output 0: filled, integers too */
    int n;                            /* how many */
    struct sal_shape shape;
    int nodes; /* of the graph */
    enum sal_status status;
    struct sal_error err;
};

/* Parses, builds, runs; err says what failed. b may be built on. */
void eval_run(struct eval *e, struct onnx_build *b);

/* As above, and the test fails unless the values are these. Releases b. */
void eval_expect(struct onnx_build *b, const float *x, const float *y, int n);

/* The test fails unless parsing or building is refused with that status and a message
 * that holds text. Releases b. */
void eval_refuse(struct onnx_build *b, enum sal_status status, const char *text);

#endif
