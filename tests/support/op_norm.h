/*
 * torchxrayvision's op_norm as PyTorch's exporters write it: the probabilities p are
 * moved so that each class's threshold t comes to 1/2; where t is NaN they become 1/2.
 *
 *     y = 1/2; y[p < t] = p / (2 t); y[!(p < t)] = 1 - (1 - p) / (2 (1 - t))
 */
#ifndef TESTS_OP_NORM_H
#define TESTS_OP_NORM_H

#include "onnx_build.h"

enum { OP_NORM_CLASSES = 6 };
extern const float op_norm_thresholds[OP_NORM_CLASSES]; /* one is NaN */

/* Reads a tensor p[rows, 6] of the graph, makes "y". script: as the TorchScript-based
 * exporter does it, else as the one based on torch.export. */
void build_op_norm(struct onnx_build *b, const char *p, int64_t rows, bool script);

/* What it gives. */
float op_norm(float p, float threshold);

#endif
