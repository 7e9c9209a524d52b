/*
 * A small ONNX writer, so that tests state their models in a few lines:
 *
 *     struct onnx_build b;
 *     onnx_build_init(&b, 13);
 *     onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 4, (int64_t[]){1, 3, 8, 8});
 *     onnx_build_weights(&b, "w", 4, (int64_t[]){5, 3, 3, 3}, values);
 *     onnx_build_node(&b, "Conv", "x,w,", "y");
 *     onnx_build_ints(&b, "strides", 2, (int64_t[]){2, 2});
 *     onnx_build_output(&b, "y", SAL_ONNX_FLOAT, -1, NULL);
 *     struct sal_span bytes = onnx_build_finish(&b);
 *     ...
 *     onnx_build_release(&b);
 *
 * It checks nothing: a wrong model is as easily written as a right one. Memory
 * running out shows as an empty span.
 */
#ifndef TESTS_ONNX_BUILD_H
#define TESTS_ONNX_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "saliscope/buffer.h"
#include "saliscope/file.h"
#include "saliscope/onnx.h"

struct onnx_build {
    int64_t ir_version; /* 8 after init; change it freely */
    int64_t opset;      /* of the default domain; 0 leaves it out */
    const char *producer; /* "test" after init */
    struct sal_buffer model; /* ModelProto fields beside the graph */
    struct sal_buffer graph; /* GraphProto fields so far */
    struct sal_buffer node;  /* the last node, still open for attributes */
    struct sal_buffer bytes; /* what finish returns */
    unsigned node_field;     /* of a node in its graph or function */
};

void onnx_build_init(struct onnx_build *b, int64_t opset);
void onnx_build_release(struct onnx_build *b);

/* The serialised model; valid until the next finish or release. May be called
 * more than once, building on in between. */
struct sal_span onnx_build_finish(struct onnx_build *b);

/* Finishes into a new file, whose path is written, and releases. */
enum { ONNX_BUILD_PATH = 64 };
bool onnx_build_save(struct onnx_build *b, char path[ONNX_BUILD_PATH]);

/* The graph alone, for onnx_build_graph(). */
struct sal_span onnx_build_finish_graph(struct onnx_build *b);

/* ---- model ---- */

void onnx_build_opset(struct onnx_build *b, const char *domain, int64_t version);
void onnx_build_property(struct onnx_build *b, const char *key, const char *value);

/* ---- graph ---- */

/* rank -1: no shape; a dim of -1 is written as a name ("N"). */
void onnx_build_input(struct onnx_build *b, const char *name, int type, int rank,
                      const int64_t *dims);
void onnx_build_output(struct onnx_build *b, const char *name, int type, int rank,
                       const int64_t *dims);

/* Initialisers: float32, int64, or raw little-endian bytes of any type. */
void onnx_build_weights(struct onnx_build *b, const char *name, int rank,
                        const int64_t *dims, const float *values);
/* Any weights: waves between -size and size, others for a name of another length. */
void onnx_build_waves(struct onnx_build *b, const char *name, int rank,
                      const int64_t *dims, float size);
void onnx_build_indices(struct onnx_build *b, const char *name, int rank,
                        const int64_t *dims, const int64_t *values);
void onnx_build_raw(struct onnx_build *b, const char *name, int type, int rank,
                    const int64_t *dims, const void *data, size_t size);
/* Kept in another file; offset and length are left out when NULL. */
void onnx_build_external(struct onnx_build *b, const char *name, int type, int rank,
                         const int64_t *dims, const char *location,
                         const char *offset, const char *length);

/* Names are separated by commas: "x,,b" leaves the second out. Attribute calls
 * apply to the node begun last. */
void onnx_build_node(struct onnx_build *b, const char *op, const char *inputs,
                     const char *outputs);

/* ---- of the last node ---- */

void onnx_build_name(struct onnx_build *b, const char *name);
void onnx_build_domain(struct onnx_build *b, const char *domain);
void onnx_build_int(struct onnx_build *b, const char *name, int64_t value);
void onnx_build_float(struct onnx_build *b, const char *name, float value);
void onnx_build_string(struct onnx_build *b, const char *name, const char *value);
void onnx_build_ints(struct onnx_build *b, const char *name, int n,
                     const int64_t *values);
void onnx_build_floats(struct onnx_build *b, const char *name, int n,
                       const float *values);
void onnx_build_strings(struct onnx_build *b, const char *name, int n,
                        const char *const *values);
void onnx_build_tensor(struct onnx_build *b, const char *name, int type, int rank,
                       const int64_t *dims, const void *data, size_t size);
void onnx_build_graph(struct onnx_build *b, const char *name, struct sal_span graph);

void onnx_build_overload(struct onnx_build *b, const char *name);
/* An attribute that refers to one of the function's. */
void onnx_build_ref(struct onnx_build *b, const char *name, int type, const char *ref);

/* ---- local functions ----
 *
 *     struct onnx_build f;
 *     onnx_build_function(&f, "my", "Scale", "x", "y");
 *     onnx_build_function_opset(&f, "", 13);
 *     onnx_build_node(&f, "Mul", "x,x", "y");
 *     onnx_build_add_function(&b, &f);
 */
void onnx_build_function(struct onnx_build *f, const char *domain, const char *name,
                         const char *inputs, const char *outputs);
void onnx_build_function_overload(struct onnx_build *f, const char *overload);
void onnx_build_function_opset(struct onnx_build *f, const char *domain, int64_t version);
/* An attribute that calls give; with a default, that they may give. */
void onnx_build_function_attr(struct onnx_build *f, const char *name);
void onnx_build_function_float(struct onnx_build *f, const char *name, float value);
/* Into the model; releases f. */
void onnx_build_add_function(struct onnx_build *b, struct onnx_build *f);

/* ---- the wire itself, for what the calls above cannot say ---- */

void onnx_put_varint(struct sal_buffer *out, uint64_t value);
void onnx_put_int(struct sal_buffer *out, unsigned field, int64_t value);
void onnx_put_fixed32(struct sal_buffer *out, unsigned field, uint32_t value);
void onnx_put_bytes(struct sal_buffer *out, unsigned field, const void *data,
                    size_t size);
void onnx_put_text(struct sal_buffer *out, unsigned field, const char *text);
/* The content of `message` as a length-delimited field; empties message. */
void onnx_put_message(struct sal_buffer *out, unsigned field,
                      struct sal_buffer *message);
/* Fields of a TensorProto without a payload. */
void onnx_put_tensor(struct sal_buffer *out, const char *name, int type, int rank,
                     const int64_t *dims);

#endif
