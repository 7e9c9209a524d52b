/*
 * Walks: element-wise work over tensors that broadcast against each other.
 *
 * A walk lays up to five operands over one shape, merges axes that all operands
 * cross alike, and hands out stretches: runs along the innermost axis with an
 * offset and a step (0 where it repeats) per operand. Tiles depend on the shapes
 * alone, so results do not depend on the number of threads.
 */
#ifndef SALISCOPE_ENGINE_WALK_H
#define SALISCOPE_ENGINE_WALK_H

#include "kernel.h"

enum { SAL_WALK_OPERANDS = 5 };

struct sal_walk {
    int rank; /* at least 1 */
    int n;    /* operands */
    /* 0, or what the caller writes here for its stretches to see */
    int tag;
    int64_t base;
    int64_t dim[SAL_RANK_MAX];
    int64_t stride[SAL_WALK_OPERANDS][SAL_RANK_MAX];
};

/* What a reduction remembers of one target element: zero before its first stretch. */
struct sal_memory {
    int64_t count;
    sal_real real[6];
};

struct sal_stretch {
    const struct sal_kernel *k;
    int64_t count;
    int64_t at[SAL_WALK_OPERANDS]; /* element offsets */
    int64_t step[SAL_WALK_OPERANDS];
    int tag; /* the walk's */
    int64_t base;
    bool first, last; /* of a pass of a reduction over this target element */
    struct sal_memory *memory;
};

/* Every operand's shape broadcasts to `over`. */
void sal_walk_init(struct sal_walk *walk, const struct sal_shape *over,
                   const struct sal_shape *const *shapes, int n);

/* Of a node's inputs, all of them there, and behind them its output 0, over that. */
void sal_walk_inputs(struct sal_walk *walk, const struct sal_kernel *k);

/* The same for operands whose strides along `over` are given; they may be negative,
 * and are 0 only where the operand repeats. */
void sal_walk_lay(struct sal_walk *walk, const struct sal_shape *over,
                  int64_t stride[][SAL_RANK_MAX], int n);

/* Every element of `over` once. Stretches run in any order and at once, so work
 * may write only to operands that repeat nowhere. */
void sal_walk_each(const struct sal_walk *walk, const struct sal_kernel *k,
                   void (*work)(const struct sal_stretch *stretch));

/* The same for work that writes to operand `target`, however often it repeats. All
 * stretches of one target element follow each other in order, with step[target]
 * 0; where target repeats nowhere this is sal_walk_each. */
void sal_walk_reduce(const struct sal_walk *walk, int target, const struct sal_kernel *k,
                     void (*work)(const struct sal_stretch *stretch));

/* For each element of operand `target`: all its stretches through passes[0], then all
 * of them through passes[1], and so on, with one memory. step[target] is always 0, so
 * a target that repeats nowhere is walked element by element. */
void sal_walk_passes(const struct sal_walk *walk, int target, const struct sal_kernel *k,
                     void (*const *passes)(const struct sal_stretch *stretch),
                     int n_passes);

#endif
