/*
 * Propagation, from inside: what a set of rules is, and the graph that one makes.
 *
 * The graph of a run with rules is the model's, with other operator rows: a row of its own
 * for each node that a rule stands in, which has the operator's forward and the rule's
 * backward. Plan, memory and backward know nothing of it.
 */
#ifndef SALISCOPE_ENGINE_PROPAGATION_H
#define SALISCOPE_ENGINE_PROPAGATION_H

#include "graph.h"
#include "kernel.h"
#include "saliscope/propagation.h"

/* What a rule is told of its node. */
struct sal_ruled {
    const struct sal_op *own;  /* the operator, as it is without the rule */
    const struct sal_lrp *lrp; /* NULL: not given */
    enum sal_lrp_rule layer;   /* LRP's rule for this layer with weights */
};

struct sal_propagation_row {
    const char *op;
    /* Whether it is for this node; NULL: always. The first row that is has it. */
    bool (*when)(const struct sal_graph *graph, const struct sal_node *node);
    /* Adds to dx, as an operator's. NULL: the operator's own gradient. */
    void (*backward)(const struct sal_kernel *k);
    /* Reals that backward takes by sal_ruled_room, for all threads together; NULL: none. */
    size_t (*room)(const struct sal_kernel *k);
    const char *refusal; /* NULL; else there is no rule, and why */
    /* What it computes is made by the operator as it is, which may be lowered, before a node
     * that only goes back: rounding is then that of other runs. */
    bool apart;
};

struct sal_propagation {
    const struct sal_propagation_row *rows; /* ends with a NULL op */
    const char *refusal; /* of operators that no row is for; NULL: they keep their own
                            gradient */
    bool merges;         /* BatchNormalization is merged into the Conv before it */
    bool layers;         /* rules are chosen by layer: struct sal_lrp */
    bool compares;       /* rules need a reference */
};

/* Fills *to, which borrows from `from`: release it first. kept[n_values]: values that must
 * stay. */
enum sal_status sal_propagate(struct sal_graph *to, const struct sal_graph *from,
                              const struct sal_propagation *propagation,
                              const struct sal_lrp *lrp, const bool *kept,
                              struct sal_error *err);

/* ---- for rules --------------------------------------------------------------------- */

/* The rule's room, behind the scratch of the operator's own kernels. */
sal_real *sal_ruled_room(const struct sal_kernel *k);

/* The operator's own kernels, with whatever in, out, dx and dy the call has. */
void sal_own_forward(const struct sal_kernel *k);
void sal_own_backward(const struct sal_kernel *k);

/* Input i is computed: not constant, of real numbers. */
bool sal_is_computed(const struct sal_graph *graph, const struct sal_node *node, int i);

/* How many inputs are. */
int sal_count_computed(const struct sal_graph *graph, const struct sal_node *node);

/* Node makes something of one input, element by element: the others are constant and the
 * shape is that input's. */
bool sal_is_map_of_one(const struct sal_graph *graph, const struct sal_node *node);

/* The first input that dx is wanted for; -1. */
int sal_wanted(const struct sal_kernel *k);

static inline int64_t sal_tensor_count(const struct sal_tensor *tensor)
{
    return sal_shape_count(&tensor->shape);
}

#endif
