/*
 * Placement: how long a run needs what it computes.
 *
 * One clock runs through a forward and the backward after it: of n nodes, node i works
 * at i, goes back at 2 n - 1 - i, and all is over at 2 n.
 */
#ifndef SALISCOPE_ENGINE_PLACEMENT_H
#define SALISCOPE_ENGINE_PLACEMENT_H

#include "graph.h"
#include "plan.h"

/* Where a value lies: so far into the interval of `home`, which is itself as a rule. */
struct sal_place {
    int home;
    size_t offset; /* bytes */
};

/* The values that node's backward may read where gradients of the inputs flagged in
 * wanted[n_in] are asked for. Bits as in sal_reads. */
struct sal_reads sal_node_reads(const struct sal_node *node, const bool *wanted);

/* Whether bit i is set; bit 31 is for all from there on. */
static inline bool sal_reads_bit(unsigned bits, int i)
{
    return bits >> (i < 31 ? i : 31) & 1;
}

/* What may share memory beside what is only seen otherwise. */
struct sal_sharing {
    bool joins;      /* parts with the row that they are joined to */
    bool overwrites; /* what dies with what is made of it */
};

/* Moves values into one another where operators allow it and nothing is lost: at[n_values]
 * has their lives, which are joined; the size of one that has moved becomes 0. False: no
 * memory. */
bool sal_share_values(const struct sal_graph *graph, const bool *kept,
                      struct sal_sharing sharing, struct sal_interval *at,
                      struct sal_place *place);

#endif
