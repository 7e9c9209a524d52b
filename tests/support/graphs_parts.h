/*
 * What random graphs are put together from: single nodes that fit, and weights.
 *
 * Everything takes ids of values and gives the id of what it makes; where a node does
 * not fit its input, the input.
 */
#ifndef TESTS_GRAPHS_PARTS_H
#define TESTS_GRAPHS_PARTS_H

#include "graphs.h"

#define DIMS(...) (const int64_t[]){__VA_ARGS__}

/* Emits op(inputs), inputs as in onnx_build_node, "v%d" for values; its value. */
int graphs_put(struct graphs *g, const char *op, const char *inputs, int rank,
               const int64_t *dim);
/* op(x, more), of x's shape. */
int graphs_like(struct graphs *g, const char *op, int x, const char *more);

double graphs_real(struct graphs *g, double low, double high);
/* True once in n times. */
bool graphs_chance(struct graphs *g, int n);

/* The number of weights "w%d" drawn between low and high; perhaps some that are there
 * already. */
int graphs_weights(struct graphs *g, int rank, const int64_t *dim, double low, double high);

/* ---- nodes ---- */

struct graphs_conv {
    int64_t channels; /* of the output */
    int kernel[2], stride[2], dilation[2], groups;
    bool same; /* padded to keep the size (divided by the stride); else anyhow */
    bool bias;
};

int graphs_conv(struct graphs *g, int x, const struct graphs_conv *conv);
int graphs_square(struct graphs *g, int x, int64_t channels, int kernel); /* of size k x k */
int graphs_depthwise(struct graphs *g, int x, int kernel, int stride);
int graphs_norm(struct graphs *g, int x);       /* BatchNormalization */
int graphs_activation(struct graphs *g, int x); /* any, or none */
int graphs_relu(struct graphs *g, int x);       /* what folds into a convolution */
int graphs_add(struct graphs *g, const char *op, int a, int b);
int graphs_gelu(struct graphs *g, int x, bool half_first);
int graphs_mean(struct graphs *g, int x); /* GlobalAveragePool */
int graphs_pool(struct graphs *g, int x);
int graphs_concat(struct graphs *g, const int *x, int n);
int graphs_linear(struct graphs *g, int x, int64_t features); /* Gemm, MatMul, Add */
int graphs_reshape(struct graphs *g, int x, int rank, const int64_t *dim);
int graphs_turn(struct graphs *g, int x, const int64_t *perm);
int graphs_pick(struct graphs *g, int x, int axis, int64_t index); /* Gather */
int graphs_layer_norm(struct graphs *g, int x);

#endif
