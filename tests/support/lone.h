/*
 * One operator alone, without a graph: for tests and timings of inner operators, which
 * no model can name. In either precision.
 */
#ifndef TESTS_LONE_H
#define TESTS_LONE_H

#include "op.h"

enum { LONE_INPUTS = 8 };

struct lone {
    struct sal_node node;
    struct sal_tensor in[LONE_INPUTS], out;
    struct sal_tensor saved; /* output 1, of an operator that may have two */
    sal_real *dx[LONE_INPUTS], *dy; /* as large as inputs and output; dx begin at 0 */
    unsigned fresh; /* as struct sal_kernel has it; 0 at first */
    struct sal_arena arena;
};

/* attr must outlive it. */
void lone_init(struct lone *lone, const struct sal_op *op, const void *attr);

/* The next input, real and 0; its values. */
sal_real *lone_input(struct lone *lone, int rank, const int64_t *dims);

/* Makes the output and, where wanted, the gradients. */
void lone_infer(struct lone *lone, bool backward);

/* Scratch is filled with NaN. wanted: bit i lets backward add to dx[i]. */
void lone_forward(struct lone *lone, struct sal_pool *pool);
void lone_backward(struct lone *lone, struct sal_pool *pool, unsigned wanted);

void lone_release(struct lone *lone);

#endif
