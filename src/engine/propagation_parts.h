/*
 * Rules that have a file of their own.
 */
#ifndef SALISCOPE_ENGINE_PROPAGATION_PARTS_H
#define SALISCOPE_ENGINE_PROPAGATION_PARTS_H

#include "propagation.h"

/* Most inputs of a node that a rule computes for. */
enum { SAL_RULED_INPUTS = 8 };

/* DeepLIFT of y = exp(x) / sum exp(x): exp by the rescale rule, the quotient by its exact
 * parts, so that the multipliers of a row add up to what it changes. */
void sal_deeplift_softmax(const struct sal_kernel *k);

/* A Softmax along the last axis. */
bool sal_is_plain_softmax(const struct sal_graph *graph, const struct sal_node *node);

/* A LayerNormalization over the last axis, constants aside of one input. */
bool sal_is_plain_norm(const struct sal_graph *graph, const struct sal_node *node);

/* DeepLIFT of it: centring is linear, the square, the root and the quotient are split as
 * functions and products are. */
void sal_deeplift_norm(const struct sal_kernel *k);

/* LRP of a layer with weights, by its rule. */
void sal_lrp_layer(const struct sal_kernel *k);
size_t sal_lrp_layer_room(const struct sal_kernel *k);

/* LRP of a LayerNormalization as a linear layer: the deviation counts as a constant. Ali et
 * al., ICML 2022, arXiv:2202.07304. */
void sal_lrp_norm(const struct sal_kernel *k);

#endif
