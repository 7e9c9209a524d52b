/*
 * Pools of blocked activations, inner operators (blocked.h) that mean what MaxPool,
 * AveragePool and GlobalAveragePool do: x [CB][N][H][W][16], windows of two axes. The
 * attr of the first two is the plain operator's (planes.h), the third has none.
 */
#ifndef SALISCOPE_ENGINE_INNER_POOL_H
#define SALISCOPE_ENGINE_INNER_POOL_H

#include "planes.h"

/* The greatest has an output 1, which its backward reads: a byte for each element, which
 * of the taps it is. max_only has none, and no backward. */
extern const struct sal_op sal_inner_max_pool, sal_inner_max_only, sal_inner_average_pool;

enum { SAL_INNER_MAX_TAPS = 256 }; /* most that a window may have with a gradient */

/* To [CB][N][1][1][16]. */
extern const struct sal_op sal_inner_mean;

#endif
