/*
 * Reductions: what the operators that put some axes of a tensor together share.
 *
 * Axes are an attribute, and an input from opset 18 on (13 for ReduceSum). A kernel is
 * a walk over two operands, the output and the input.
 */
#ifndef SALISCOPE_ENGINE_REDUCE_H
#define SALISCOPE_ENGINE_REDUCE_H

#include "walk.h"

enum { SAL_REDUCE_Y, SAL_REDUCE_X }; /* a walk's operands */

enum sal_status sal_reduce_parse(struct sal_node *node, const struct sal_onnx_node *source,
                                 struct sal_arena *arena, struct sal_error *err);
enum sal_status sal_reduce_parse_sum(struct sal_node *node,
                                     const struct sal_onnx_node *source,
                                     struct sal_arena *arena, struct sal_error *err);
enum sal_status sal_reduce_infer(const struct sal_infer *infer, struct sal_error *err);

/* What is not reduced stays as it is. */
void sal_reduce_carry(const struct sal_kernel *k, int input, int output,
                      struct sal_carry *carry);

/* Lays the walk, for kernels that need more than the two functions below. */
void sal_reduce_walk(struct sal_walk *walk, const struct sal_kernel *k);

/* Elements of the input that make one of the output. */
int64_t sal_reduce_terms(const struct sal_kernel *k);

/* Sets every output element to `real` or `integer`, whichever it is. */
void sal_reduce_start(const struct sal_tensor *y, sal_real real, int64_t integer);

/* The same, then takes in the input. */
void sal_reduce_forward(const struct sal_kernel *k, sal_real real, int64_t integer,
                        void (*reals)(const struct sal_stretch *),
                        void (*integers)(const struct sal_stretch *));

/* Walks where a gradient is wanted. */
void sal_reduce_backward(const struct sal_kernel *k,
                         void (*gradient)(const struct sal_stretch *));

#define SAL_REDUCE_ROW(op_name, op_parse, op_forward, op_backward, of_x, of_y)   \
    const struct sal_op sal_op_##op_name = {                                     \
        .name = #op_name,                                                        \
        .since = 1,                                                              \
        .until = SAL_OPSET_MAX,                                                  \
        .min_in = 1,                                                             \
        .max_in = 2,                                                             \
        .max_out = 1,                                                            \
        .parse = op_parse,                                                       \
        .infer = sal_reduce_infer,                                               \
        .forward = op_forward,                                                   \
        .backward = op_backward,                                                 \
        .frugal = true,                                                          \
        .reads = {{.in = of_x, .out = of_y}},                                    \
        .carry = sal_reduce_carry,                                               \
    };

#endif
