/*
 * What the files of the ONNX reader share: messages into structs (onnx.c,
 * onnx_tensor.c, onnx_function.c), data beside the model (onnx_external.c), local
 * functions put in the place of their calls (onnx_inline.c), and what must hold for a
 * graph as a whole (onnx_check.c).
 */
#ifndef SALISCOPE_IO_ONNX_READ_H
#define SALISCOPE_IO_ONNX_READ_H

#include "message.h"
#include "saliscope/onnx.h"

/* "%.*s"-like cut for names in messages: they may be 64 KiB long. */
#define SAL_NAME "%.80s"

/* A TensorProto field into a struct sal_onnx_tensor: checks type, shape, and that
 * the one payload it has is as large as they say. */
sal_field_read sal_read_tensor;

/* The same for a NodeProto, an AttributeProto, an OperatorSetIdProto. */
sal_field_read sal_read_node, sal_read_attr, sal_read_opset;

/* A StringStringEntryProto field into a struct sal_onnx_property. */
sal_field_read sal_read_property;

/* ---- local functions ---- */

/* A FunctionProto: nodes under formal names. */
struct sal_onnx_function {
    const char *name, *domain, *overload;
    const char *const *inputs, *const *outputs;
    int n_inputs, n_outputs;
    const char *const *attr_names; /* those a call must or may give */
    int n_attr_names;
    const struct sal_onnx_attr *defaults; /* those with a value of their own */
    int n_defaults;
    const struct sal_onnx_node *nodes;
    int n_nodes;
    const struct sal_onnx_opset *opsets;
    int n_opsets;
};
enum { SAL_ONNX_FUNCTIONS_MAX = 65536 };
sal_field_read sal_read_function;

/* Puts the functions' nodes in the place of every call in onnx->graph, subgraphs
 * included; nothing is done where there are none. What is inside gets names that
 * start with the call's ("layer1/relu"), unique in the model. */
enum sal_status sal_onnx_inline(struct sal_onnx *onnx,
                                const struct sal_onnx_function *functions,
                                int n_functions, struct sal_error *err);

/* The version of a domain in a list of imports; 0: it is not there. */
int64_t sal_onnx_opset_find(const struct sal_onnx_opset *opsets, int n_opsets,
                            const char *domain);

/* "" for "ai.onnx", which is the same. */
const char *sal_onnx_plain_domain(const char *domain);

/* ---- the graph as a whole ---- */

/* Unique names of one graph's inputs and initialisers; drops the inputs that
 * initialisers fill. */
enum sal_status sal_onnx_settle_inputs(struct sal_onnx_graph *graph, struct sal_error *err);

/* Versions we read; values made once and before they are used, outputs that exist.
 * Descends into attribute graphs. */
enum sal_status sal_onnx_check(struct sal_onnx *onnx, struct sal_error *err);

/* ---- external data ---- */

struct sal_external; /* the model's folder and the data files mapped so far */

/* onnx->external grows as files are mapped. path is the model's. */
enum sal_status sal_external_begin(struct sal_external **external, struct sal_onnx *onnx,
                                   const char *path, struct sal_error *err);
void sal_external_end(struct sal_external *external);

/* The `need` bytes that an external_data list points at, or as many as it says. NULL
 * external: refused. */
#define SAL_EXTERNAL_ANY SIZE_MAX
enum sal_status sal_external_find(struct sal_external *external,
                                  const struct sal_onnx_property *keys, int n_keys,
                                  size_t need, struct sal_span *bytes,
                                  struct sal_error *err);

/* A descriptor of a file below the folder `dir`, reached without symbolic links;
 * -1 with errno. The second does without openat2, which old kernels and some
 * sandboxes do not have. */
int sal_open_beneath(int dir, const char *location);
int sal_open_beneath_walking(int dir, const char *location);

#endif
