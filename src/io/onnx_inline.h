/*
 * What the files that inline local functions share: onnx_inline.c (functions and their
 * calls), onnx_lift.c (what names, attributes and subgraphs of a function are outside).
 */
#ifndef SALISCOPE_IO_ONNX_INLINE_H
#define SALISCOPE_IO_ONNX_INLINE_H

#include "onnx_naming.h"
#include "onnx_read.h"
#include "saliscope/buffer.h"

struct sal_inliner {
    struct sal_onnx *onnx;
    const struct sal_onnx_function *functions;
    struct sal_naming keys;  /* domain, name and overload to the function */
    struct sal_naming taken; /* every name of a value */
    struct sal_naming prefixes;
    struct sal_buffer key;
    int nodes, graph_depth; /* nodes looked at so far, calls included */
    bool told;              /* the innermost function has been named in err */
    struct sal_arena scratch;
    struct sal_error *err;
};

/* A function being put in the place of a call; the model itself at the bottom. */
struct sal_inline_call {
    const struct sal_inline_call *caller;
    int depth;
    const struct sal_onnx_function *function; /* NULL: the model */
    const struct sal_onnx_node *node;         /* the call, as it is outside */
    const char *prefix;
};

/* What names mean: one for a function's body, one for each subgraph in it. Names of
 * the model itself stay as they are. */
struct sal_inline_scope {
    struct sal_inline_scope *outer; /* NULL: the body */
    const struct sal_inline_call *call;
    struct sal_naming names;
};

enum sal_status sal_inline_no_memory(struct sal_inliner *in);

/* Puts a graph's nodes, with all calls replaced, in the place of its nodes. */
enum sal_status sal_inline_nodes(struct sal_inliner *in, struct sal_inline_scope *scope,
                                 struct sal_onnx_graph *graph);

/* Makes a node of a scope what it is outside: names, opset, attributes, subgraphs. */
enum sal_status sal_inline_lift(struct sal_inliner *in, struct sal_inline_scope *scope,
                                struct sal_onnx_node *node);

#endif
