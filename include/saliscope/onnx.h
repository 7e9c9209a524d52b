/*
 * ONNX description: a model file as plain structs, checked, not interpreted.
 * Calls of model-local functions are replaced by what the functions do.
 *
 * Our own bounded reader over a read-only mapping: protobuf nesting, counts,
 * ranks, sizes and varints are limited (see the enum), arithmetic is checked,
 * nothing sized by the file is allocated before it is checked. Weights are
 * spans into the mapping or into external data files beside the model. Known:
 * IR 3..SAL_ONNX_IR_MAX; a newer one is read as if it were that. Read-only after
 * loading; shared by threads. Source of the format: onnx.proto and IR.md of onnx 1.22.
 */
#ifndef SALISCOPE_ONNX_H
#define SALISCOPE_ONNX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "saliscope/arena.h"
#include "saliscope/file.h"
#include "saliscope/status.h"

enum {
    SAL_ONNX_IR_MAX = 13,           /* the newest that is known */
    SAL_ONNX_DEPTH_MAX = 32,        /* nested messages */
    SAL_ONNX_GRAPH_DEPTH_MAX = 8,   /* graphs inside attributes */
    SAL_ONNX_CALL_DEPTH_MAX = 32,   /* local functions that call one another */
    SAL_ONNX_NODES_MAX = 200000,    /* also once the functions are inlined */
    SAL_ONNX_RANK_MAX = 8,
    SAL_ONNX_STRING_MAX = 65536,    /* bytes */
};
#define SAL_ONNX_DIM_MAX INT64_C(2147483647)
#define SAL_ONNX_FILE_MAX ((size_t)2147483647)

/* TensorProto.DataType */
enum sal_onnx_type {
    SAL_ONNX_UNDEFINED = 0,
    SAL_ONNX_FLOAT = 1,
    SAL_ONNX_UINT8 = 2,
    SAL_ONNX_INT8 = 3,
    SAL_ONNX_UINT16 = 4,
    SAL_ONNX_INT16 = 5,
    SAL_ONNX_INT32 = 6,
    SAL_ONNX_INT64 = 7,
    SAL_ONNX_STRING = 8,
    SAL_ONNX_BOOL = 9,
    SAL_ONNX_FLOAT16 = 10,
    SAL_ONNX_DOUBLE = 11,
    SAL_ONNX_UINT32 = 12,
    SAL_ONNX_UINT64 = 13,
    SAL_ONNX_COMPLEX64 = 14,
    SAL_ONNX_COMPLEX128 = 15,
    SAL_ONNX_BFLOAT16 = 16,
    SAL_ONNX_FLOAT8E4M3FN = 17,
    SAL_ONNX_FLOAT8E4M3FNUZ = 18,
    SAL_ONNX_FLOAT8E5M2 = 19,
    SAL_ONNX_FLOAT8E5M2FNUZ = 20,
    SAL_ONNX_UINT4 = 21,
    SAL_ONNX_INT4 = 22,
    SAL_ONNX_FLOAT4E2M1 = 23,
    SAL_ONNX_FLOAT8E8M0 = 24,
    SAL_ONNX_UINT2 = 25,
    SAL_ONNX_INT2 = 26,
};

/* "float16"; "an unknown type" for one without a name here; static text. */
const char *sal_onnx_type_name(int type);
/* Bits of one element, 0 where it has no fixed size or is not known. Elements of less
 * than 8 bits are packed into bytes, the first in the lowest bits. */
unsigned sal_onnx_type_bits(int type);

struct sal_onnx_tensor {
    const char *name; /* "" where absent */
    int type;         /* enum sal_onnx_type */
    int rank;         /* 0..SAL_ONNX_RANK_MAX */
    int64_t dim[SAL_ONNX_RANK_MAX];
    size_t count;      /* product of dims, checked */
    struct sal_span raw; /* count little-endian elements, any alignment, packed where
                            they are below a byte; or typed fields, see below */
    bool typed; /* raw holds the payload of a *_data field instead: elements of
                   field_width bytes (4, 8), or varints when it is 0 */
    int field_width;
    bool external; /* raw lies in another file */
    bool mapped;   /* raw lies in a mapping of a file, which nobody can write to */
};

/* Reads all elements, converting: every float type to double or float, every
 * integer type and bool to int64. SAL_UNSUPPORTED names the type where there is
 * no such conversion. out holds tensor->count elements. */
enum sal_status sal_onnx_tensor_read_float(const struct sal_onnx_tensor *tensor,
                                           float *out, struct sal_error *err);
enum sal_status sal_onnx_tensor_read_double(const struct sal_onnx_tensor *tensor,
                                            double *out, struct sal_error *err);
enum sal_status sal_onnx_tensor_read_int(const struct sal_onnx_tensor *tensor,
                                         int64_t *out, struct sal_error *err);

/* AttributeProto.AttributeType */
enum sal_onnx_attr_type {
    SAL_ONNX_ATTR_FLOAT = 1,
    SAL_ONNX_ATTR_INT = 2,
    SAL_ONNX_ATTR_STRING = 3,
    SAL_ONNX_ATTR_TENSOR = 4,
    SAL_ONNX_ATTR_GRAPH = 5,
    SAL_ONNX_ATTR_FLOATS = 6,
    SAL_ONNX_ATTR_INTS = 7,
    SAL_ONNX_ATTR_STRINGS = 8,
};

struct sal_onnx_attr {
    const char *name;
    int type; /* enum sal_onnx_attr_type; others are kept without a value */
    float f;
    int64_t i;
    const char *s;       /* NUL-terminated; may hold binary, see s_size */
    size_t s_size;
    const struct sal_onnx_tensor *tensor;
    const struct sal_onnx_graph *graph;
    const char *ref; /* ref_attr_name inside a local function; NULL: none */
    const float *floats;
    const int64_t *ints;
    const char *const *strings;
    size_t n; /* of floats, ints or strings */
};

struct sal_onnx_node {
    const char *op, *domain, *name; /* domain "" is ai.onnx; name may be "" */
    const char *overload;           /* "" but in the name of a local function */
    int64_t opset; /* of its domain, where a local function says so; 0: the model's */
    const char *const *inputs;      /* "" is an absent optional input */
    const char *const *outputs;     /* "" is an unused output */
    int n_inputs, n_outputs;
    const struct sal_onnx_attr *attrs;
    int n_attrs;
};

/* A declared value: graph input, output, or value_info. */
struct sal_onnx_value {
    const char *name;
    int type; /* enum sal_onnx_type; SAL_ONNX_UNDEFINED where not a tensor */
    const char *other; /* what it is instead: "sequence", "optional"; NULL: a tensor */
    int rank; /* -1: not declared */
    int64_t dim[SAL_ONNX_RANK_MAX]; /* -1: not fixed */
};

struct sal_onnx_graph {
    const char *name;
    const struct sal_onnx_node *nodes; /* in topological order */
    int n_nodes;
    const struct sal_onnx_tensor *initialisers;
    int n_initialisers;
    const struct sal_onnx_value *inputs; /* without those that initialisers fill */
    int n_inputs;
    const struct sal_onnx_value *outputs;
    int n_outputs;
};

struct sal_onnx_opset {
    const char *domain;
    int64_t version;
};

struct sal_onnx_property {
    const char *key, *value;
};

struct sal_onnx {
    int64_t ir_version;
    const char *producer, *producer_version; /* "" where absent */
    const struct sal_onnx_opset *opsets;
    int n_opsets;
    int64_t opset; /* of the default domain */
    const struct sal_onnx_property *properties; /* metadata_props */
    int n_properties;
    int n_functions; /* model-local ones; none is left in the graph */
    struct sal_onnx_graph graph;
    struct sal_span bytes; /* of the .onnx file */
    size_t file_size;
    char sha256[65]; /* of the .onnx file; "" until sal_onnx_hash() */
    struct sal_file file;
    struct sal_file *external; /* mapped data files */
    int n_external;
    struct sal_arena arena;
};

/* Opens, reads and checks: unique names, every input made before it is used (nodes
 * out of order are put in order; a cycle is told as one), known domains' op names printable, payload sizes equal
 * to shape times element size. External data must be a regular file below the
 * model's own folder (a Hugging Face snapshot's symbolic link to its blob is
 * allowed). Errors: SAL_BAD_INPUT names what is wrong and where. */
enum sal_status sal_onnx_open(struct sal_onnx *onnx, const char *path,
                              struct sal_error *err);

/* The same from bytes that outlive the description. External data is refused. */
enum sal_status sal_onnx_parse(struct sal_onnx *onnx, struct sal_span bytes,
                               const char *name, struct sal_error *err);
void sal_onnx_close(struct sal_onnx *onnx);

/* Fills onnx->sha256; reading a large file for its hash is left to who needs it. */
void sal_onnx_hash(struct sal_onnx *onnx);

/* A serialized TensorProto (.pb test data). Owned by arena; spans into bytes. */
enum sal_status sal_onnx_parse_tensor(struct sal_onnx_tensor *tensor,
                                      struct sal_span bytes,
                                      struct sal_arena *arena,
                                      struct sal_error *err);

/* A node's name, or its first output's where it has none. */
const char *sal_onnx_node_label(const struct sal_onnx_node *node);

/* The version a node's operator is taken from; 0: its domain is not imported. */
int64_t sal_onnx_node_opset(const struct sal_onnx *onnx, const struct sal_onnx_node *node);

/* The attribute of that name, or NULL. */
const struct sal_onnx_attr *sal_onnx_node_attr(const struct sal_onnx_node *node,
                                               const char *name);

#endif
