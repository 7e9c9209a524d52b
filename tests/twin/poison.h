/*
 * What a backward says that it does not read, taken at its word: everything unread is
 * poisoned, and the gradient must come out in the same bits. In either precision.
 */
#ifndef TESTS_POISON_H
#define TESTS_POISON_H

#include "graph.h"
#include "run_parts.h"

struct poisoning {
    const struct sal_graph *graph;
    struct sal_run *run; /* keeps all: no two values share memory */
    bool *on_way, *read, *wanted;
};

/* Opens a run of the graph as it is. Release it whatever comes. */
enum sal_status poisoning_init(struct poisoning *p, const struct sal_graph *graph,
                               struct sal_pool *pool, struct sal_error *err);
void poisoning_release(struct poisoning *p);

/* The gradient of y for one of the run's values, dy arriving at y, with the run's inputs
 * filled: SAL_NO where what is said not to be read matters. */
enum sal_status poisoning_try(const struct poisoning *p, int y, int wrt, const sal_real *dy,
                              struct sal_error *err);

#endif
