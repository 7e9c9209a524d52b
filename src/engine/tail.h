/*
 * The tail: what a model still does to each probability after its Sigmoid.
 *
 * torchxrayvision, for one, rescales every class around its operating point ("op_norm"),
 * so that the output is neither logit nor Sigmoid. Logits are taken before the Sigmoid
 * as ever; the tail makes the model's own probabilities of them. Read-only once found.
 */
#ifndef SALISCOPE_ENGINE_TAIL_H
#define SALISCOPE_ENGINE_TAIL_H

#include "graph.h"

struct sal_tail {
    int from, to;     /* value ids: the Sigmoid's output, the model's */
    const int *nodes; /* of the graph, in order */
    int n_nodes;
};

/* The tail that ends in `to`: element-wise operators with a choice (Where) among them,
 * which read nothing but one Sigmoid's output, constants, and each other. *tail stays
 * NULL where there is none. Lives in arena. */
enum sal_status sal_tail_find(const struct sal_graph *graph, int to,
                              const struct sal_tail **tail, struct sal_arena *arena,
                              struct sal_error *err);

/* Probabilities after the Sigmoid to those at the tail's end, in place; as many as the
 * graph has scores at batch 1. false: no memory. */
bool sal_tail_apply(const struct sal_graph *graph, const struct sal_tail *tail,
                    double *probabilities, int n);

#endif
