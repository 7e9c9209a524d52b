/*
 * The graph: a description made executable for one batch size.
 *
 * Building starts at the outputs and goes back over what they need: it resolves every
 * such node to its operator row, infers kinds and shapes, runs whatever is constant,
 * and takes the branch of an If whose condition is. What no output needs is not looked
 * at. Read-only afterwards. Ids are given in the order of the description (inputs,
 * initialisers, outputs of nodes; then the same for each branch of each If), so they
 * are the same for every shape it is built for. Owns
 * its arena; names, attributes' lists and float32 weights are the sal_onnx's,
 * which must outlive it.
 */
#ifndef SALISCOPE_ENGINE_GRAPH_H
#define SALISCOPE_ENGINE_GRAPH_H

#include <stdbool.h>

#include "op.h"
#include "saliscope/arena.h"
#include "saliscope/onnx.h"

struct sal_value {
    const char *name;
    struct sal_tensor tensor; /* data set: constant */
    int producer;             /* node index; -1: input, initialiser, folded or dead */
    const char *made_by;      /* operator name in the file; "" for an input */
    const char *node_name;    /* "" for an input */
    bool live;                /* an output depends on it, and it is not folded away */
};

struct sal_graph {
    struct sal_value *values;
    int n_values;
    struct sal_node *nodes; /* live ones, in order */
    int n_nodes;
    int *inputs; /* value ids */
    int n_inputs;
    int *outputs;
    int n_outputs;
    int64_t parameters; /* elements of constants that live nodes read */
    struct sal_arena arena;
};

struct sal_graph_options {
    const struct sal_shape *shapes; /* of the inputs, in order; NULL: as declared,
                                       free axes 1 */
    size_t memory; /* most bytes for constants; 0: no limit */
    const char *output; /* a tensor to build instead of the model's outputs; NULL: none */
    bool force_opset;   /* take operators of a newer opset as those of the newest known */
    const struct sal_graph *like; /* of the same description and options but for shapes: its
                                     initialisers are shared, it must outlive this; NULL */
    struct sal_pool *pool;
};

enum sal_status sal_graph_build(struct sal_graph *graph, const struct sal_onnx *onnx,
                                const struct sal_graph_options *options,
                                struct sal_error *err);
void sal_graph_release(struct sal_graph *graph);

/* Value id by tensor name; -1. */
int sal_graph_find(const struct sal_graph *graph, const char *name);

#endif
