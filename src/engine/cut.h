/*
 * A cut: the part of a graph that leads from one value to others.
 */
#ifndef SALISCOPE_ENGINE_CUT_H
#define SALISCOPE_ENGINE_CUT_H

#include "graph.h"

/* Fills *part with the nodes of `whole` that depend on value `at` and that one of to[n_to]
 * needs; ids stay what they are. Its inputs are `at` and then, in the order of ids, what
 * these nodes read beside it and what neither depends on it nor is constant: what comes
 * around the cut. at -1: all nodes that lead there, with the inputs of `whole`. Its outputs
 * are to[n_to]. It borrows from `whole`: release it first. */
enum sal_status sal_graph_cut(struct sal_graph *part, const struct sal_graph *whole, int at,
                              const int *to, int n_to, struct sal_error *err);

/* Fills *part with the nodes of `whole` that are flagged in stays[n_nodes]; its inputs are,
 * in the order of ids, what these read that neither they make nor is constant; its outputs
 * are to[n_to]. Otherwise as above. */
enum sal_status sal_graph_part(struct sal_graph *part, const struct sal_graph *whole,
                               const bool *stays, const int *to, int n_to,
                               struct sal_error *err);

/* Whether value `of` depends on value `at`, or is it. *depends is left alone on failure:
 * no memory. */
enum sal_status sal_graph_depends(const struct sal_graph *graph, int of, int at,
                                  bool *depends, struct sal_error *err);

#endif
