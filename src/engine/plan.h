/*
 * The memory plan: where in one block each tensor lies while it lives.
 */
#ifndef SALISCOPE_ENGINE_PLAN_H
#define SALISCOPE_ENGINE_PLAN_H

#include <stddef.h>

enum { SAL_PLAN_ALIGN = 64 };

/* A tensor that is needed from step `first` to step `last`, both included. */
struct sal_interval {
    size_t size; /* bytes; 0 takes no place */
    int first, last;
    size_t offset; /* found by sal_plan_place, a multiple of SAL_PLAN_ALIGN */
};

/* Gives every interval but the first `fixed`, which have theirs, an offset so that no
 * two that live at the same step overlap; returns the size of the block, or (size_t)-1 on overflow or without
 * memory. Largest first, each at the lowest free place (best-known simple
 * heuristic, within a few per cent of the lower bound on CNNs). About n log n where
 * few live at the same time; where tens of thousands do, the smaller ones are placed
 * less tightly. */
size_t sal_plan_place(struct sal_interval *intervals, int fixed, int n);

#endif
