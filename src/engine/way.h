/*
 * The way of a gradient: which values of a graph lie between a score and the tensors
 * it is taken for, and what stands in between.
 */
#ifndef SALISCOPE_ENGINE_WAY_H
#define SALISCOPE_ENGINE_WAY_H

#include "graph.h"

/* on_way[v]: a change of something in wrt reaches the score through v, over values
 * that carry a gradient (computed, and real or quantised). All false on entry.
 *
 * A gradient that would silently be zero, whole or in part, is SAL_UNSUPPORTED and
 * names the node: one that is opaque, one that cannot take quantised integers, or the
 * one behind which only integers go on. A tensor that the score does not depend on at
 * all is no error. */
enum sal_status sal_way_find(const struct sal_graph *graph, int score, const int *wrt,
                             int n_wrt, bool *on_way, struct sal_error *err);

/* A value that a gradient can pass: computed, and real or quantised. */
bool sal_carries_gradient(const struct sal_graph *graph, int value);

#endif
