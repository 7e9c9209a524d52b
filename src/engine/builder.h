/*
 * What the files that build a graph share: graph.c (the whole), scope.c (names, ids,
 * places), demand.c (what is needed, in which order), builder.c (one node),
 * lower_mask.c (selections by a mask). Everything here lives only while a graph is
 * built.
 *
 * A place is a spot in the order of the finished graph, one for every node of the
 * description and of the branches of its If nodes, which stand before the If. Nodes
 * are made when something needs their outputs, in any order, and put in their place.
 */
#ifndef SALISCOPE_ENGINE_BUILDER_H
#define SALISCOPE_ENGINE_BUILDER_H

#include "graph.h"
#include "saliscope/names.h"

/* A graph of the description: the model's, or a branch in one. */
struct sal_scope {
    const struct sal_onnx_graph *graph;
    const struct sal_scope *outer; /* NULL: the model's */
    struct sal_names names;        /* to value ids */
};

struct sal_place {
    const struct sal_onnx_node *source;
    const struct sal_scope *scope;
    const struct sal_scope *then, *otherwise; /* of an If; NULL: no such branch */
    int first; /* the value id of output 0 */
    int only;  /* of an If: the output it makes here */
};

/* Where a value comes from: output `output` of the node at `place`; place -1: an
 * input, or an initialiser that is read when it is needed. */
struct sal_maker {
    int place, output;
    const struct sal_onnx_tensor *stored;
};

enum sal_selection_kind {
    SAL_NOT_SELECTED,
    SAL_COORDINATES,            /* NonZero's result, [rank, count] */
    SAL_COORDINATES_TRANSPOSED, /* the same as [count, rank] */
    SAL_COORDINATES_SHAPE,      /* [count, rank] as two numbers */
    SAL_SELECTED_COUNT,         /* count, as a scalar or a list of one */
    SAL_SELECTED,               /* elements, [count] */
};

/* A value whose shape depends on how many elements of a mask are true. It has no
 * tensor; see lower_mask.c. */
struct sal_selection {
    enum sal_selection_kind kind;
    int mask;  /* value id */
    int dense; /* SAL_SELECTED: the value that holds the elements in the mask's shape */
};

struct sal_builder {
    const struct sal_onnx *onnx;
    const struct sal_graph_options *options;
    struct sal_graph *graph;
    const struct sal_scope *scope; /* of the model */
    struct sal_place *places;
    struct sal_node *nodes; /* at their places; op NULL: none there */
    int n_places;
    struct sal_maker *makers;         /* by value */
    struct sal_selection *selections; /* by value */
    bool *ready;                      /* by value: its tensor or selection is known */
    int filling; /* a constant without a name, for lower_mask.c */
    struct sal_arena scratch;
    struct sal_error *err;
};

/* ---- scope.c ---- */

/* Gives ids to all values and places to all nodes. */
enum sal_status sal_builder_name(struct sal_builder *b);

/* The id of what a node at `place` in `scope` means by a name: the nearest that is
 * made before it. -1: nothing. */
int sal_scope_find(const struct sal_builder *b, const struct sal_scope *scope, int place,
                   const char *name);

bool sal_is_if(const struct sal_onnx_node *node);

/* ---- demand.c ---- */

/* Makes values and all that they depend on. */
enum sal_status sal_builder_need(struct sal_builder *b, const int *values, int n);

/* Kind, type and shape of the model's input i. */
enum sal_status sal_builder_input(const struct sal_builder *b, int i,
                                  struct sal_tensor *tensor, struct sal_error *err);

/* ---- builder.c ---- */

/* Makes a node at a place, with the outputs and attributes of the node that stands
 * there, but of any operator and inputs: infers it, and runs it where everything it
 * needs is constant. */
enum sal_status sal_builder_make(struct sal_builder *b, int place, const struct sal_op *op,
                                 int opset, const int *in, int n_in);

enum sal_status sal_builder_no_memory(struct sal_builder *b);

/* The operator of the node at a place; SAL_UNSUPPORTED names it. */
enum sal_status sal_builder_operator(struct sal_builder *b, int place,
                                     const struct sal_op **op, int *opset);

/* ---- lower_mask.c ---- */

/* *done: the node at `place` takes part in a selection and has been dealt with. */
enum sal_status sal_lower_mask(struct sal_builder *b, int place, const int *in, int n_in,
                               bool *done);

#endif
