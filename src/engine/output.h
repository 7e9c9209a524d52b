/*
 * Reading a classifier's graph: where the logits are, which feature maps are worth
 * looking at. Private to model.c.
 */
#ifndef SALISCOPE_ENGINE_OUTPUT_H
#define SALISCOPE_ENGINE_OUTPUT_H

#include "graph.h"
#include "saliscope/model.h"
#include "saliscope/sidecar.h"

/* The one tensor that is to be built: of --score TENSOR, or the sidecar's output; NULL:
 * the model's outputs. Lives in arena, or where it came from. */
enum sal_status sal_output_wanted(const struct sal_sidecar *sidecar, const char *score,
                                  struct sal_arena *arena, const char **name,
                                  struct sal_error *err);

/* Finds the scores: of the sidecar's output, or the graph's first, walking back
 * through reshapes and one trailing Softmax, LogSoftmax or Sigmoid; or the tensor
 * that --score names. A Softmax or Sigmoid that only reads the output tells the
 * activation too. */
enum sal_status sal_output_find(const struct sal_graph *graph,
                                const struct sal_onnx *onnx,
                                const struct sal_sidecar *sidecar, const char *score,
                                struct sal_model_output *output, struct sal_error *err);

/* Does nothing unless score is "prob". Where the graph's output is logits and it is known how they become
 * probabilities, appends that (with the sidecar's temperature) to the description and sets
 * *wanted to its name: the graph is to be built again. */
enum sal_status sal_output_probability(struct sal_onnx *onnx, const struct sal_graph *graph,
                                       const struct sal_sidecar *sidecar, const char *score,
                                       struct sal_arena *arena, const char **wanted,
                                       struct sal_error *err);

/* Lists feature maps between input and logits, in graph order, in arena. */
enum sal_status sal_output_layers(const struct sal_graph *graph, enum sal_layout layout,
                                  const struct sal_sidecar *sidecar,
                                  const struct sal_model_output *output,
                                  struct sal_layer **layers, int *n, int *automatic,
                                  struct sal_arena *arena, struct sal_error *err);

#endif
