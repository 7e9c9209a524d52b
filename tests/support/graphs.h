/*
 * Random graphs for what a run makes of them: convolutional and transforming networks
 * in small, of what lowering looks for and of what is near it.
 *
 * One input "x", N x C x H x W with N free; every value's first axis is N, and what
 * becomes of an image does not depend on the others. Values are named v0 (the input),
 * v1, ...; no element is infinite for inputs between -2 and 2.
 */
#ifndef TESTS_GRAPHS_H
#define TESTS_GRAPHS_H

#include "onnx_build.h"

enum { GRAPHS_VALUES = 160, GRAPHS_WEIGHTS = 320 };

struct graphs_value {
    int rank;
    int64_t dim[4]; /* dim[0] is N: -1 */
};

struct graphs_weights {
    int rank;
    int64_t dim[4];
    double low, high; /* what values were drawn between */
};

struct graphs {
    struct onnx_build b;
    uint64_t state;
    struct graphs_value value[GRAPHS_VALUES];
    struct graphs_weights weights[GRAPHS_WEIGHTS];
    int n, n_weights;
};

/* The graph of that number, its outputs declared; release it. */
void graphs_make(struct graphs *g, uint64_t number);
void graphs_release(struct graphs *g);

/* 0..n-1, of the graph's own sequence. */
int graphs_roll(struct graphs *g, int n);

#endif
