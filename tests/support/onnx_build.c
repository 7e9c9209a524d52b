#include "onnx_build.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Field numbers of onnx.proto. */
enum { VARINT = 0, BYTES = 2, FIXED32 = 5 };
enum { MODEL_IR = 1, MODEL_PRODUCER = 2, MODEL_GRAPH = 7, MODEL_OPSET = 8 };
enum { MODEL_PROPERTY = 14, MODEL_FUNCTION = 25 };
enum { GRAPH_NODE = 1, GRAPH_NAME = 2, GRAPH_INITIALISER = 5 };
enum { GRAPH_INPUT = 11, GRAPH_OUTPUT = 12 };
enum { NODE_INPUT = 1, NODE_OUTPUT, NODE_NAME, NODE_OP, NODE_ATTR, NODE_DOMAIN = 7 };
enum { NODE_OVERLOAD = 8 };
enum { FUNCTION_NAME = 1, FUNCTION_INPUT = 4, FUNCTION_OUTPUT, FUNCTION_ATTR };
enum { FUNCTION_NODE = 7, FUNCTION_OPSET = 9, FUNCTION_DOMAIN, FUNCTION_DEFAULT };
enum { FUNCTION_OVERLOAD = 13 };
enum { TENSOR_DIMS = 1, TENSOR_TYPE = 2, TENSOR_NAME = 8, TENSOR_RAW = 9 };
enum { TENSOR_EXTERNAL = 13, TENSOR_LOCATION = 14 };

/* ---- the wire ---- */

void onnx_put_varint(struct sal_buffer *out, uint64_t value)
{
    uint8_t bytes[10];
    size_t n = 0;
    do {
        bytes[n] = (uint8_t)((value & 127) | (value > 127 ? 128 : 0));
        value >>= 7;
        n++;
    } while (value);
    sal_buffer_append(out, bytes, n);
}

void onnx_put_int(struct sal_buffer *out, unsigned field, int64_t value)
{
    onnx_put_varint(out, field << 3 | VARINT);
    onnx_put_varint(out, (uint64_t)value);
}

void onnx_put_fixed32(struct sal_buffer *out, unsigned field, uint32_t value)
{
    onnx_put_varint(out, field << 3 | FIXED32);
    sal_buffer_append(out, &value, sizeof value);
}

void onnx_put_bytes(struct sal_buffer *out, unsigned field, const void *data, size_t size)
{
    onnx_put_varint(out, field << 3 | BYTES);
    onnx_put_varint(out, size);
    sal_buffer_append(out, data, size);
}

void onnx_put_text(struct sal_buffer *out, unsigned field, const char *text)
{
    onnx_put_bytes(out, field, text, strlen(text));
}

void onnx_put_message(struct sal_buffer *out, unsigned field, struct sal_buffer *message)
{
    onnx_put_bytes(out, field, message->data, message->size);
    out->failed |= message->failed;
    sal_buffer_release(message);
    *message = (struct sal_buffer){0};
}

void onnx_put_tensor(struct sal_buffer *out, const char *name, int type, int rank,
                     const int64_t *dims)
{
    for (int i = 0; i < rank; i++)
        onnx_put_int(out, TENSOR_DIMS, dims[i]);
    onnx_put_int(out, TENSOR_TYPE, type);
    onnx_put_text(out, TENSOR_NAME, name);
}

static void put_pair(struct sal_buffer *out, unsigned field, const char *key,
                     const char *value)
{
    struct sal_buffer pair = {0};
    onnx_put_text(&pair, 1, key);
    onnx_put_text(&pair, 2, value);
    onnx_put_message(out, field, &pair);
}

static void put_opset(struct sal_buffer *out, unsigned field, const char *domain,
                      int64_t version)
{
    struct sal_buffer opset = {0};
    onnx_put_text(&opset, 1, domain);
    onnx_put_int(&opset, 2, version);
    onnx_put_message(out, field, &opset);
}

static size_t element_count(int rank, const int64_t *dims)
{
    size_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    return count;
}

/* ---- model ---- */

void onnx_build_init(struct onnx_build *b, int64_t opset)
{
    *b = (struct onnx_build){.ir_version = 8,
                             .opset = opset,
                             .producer = "test",
                             .node_field = GRAPH_NODE};
    onnx_put_text(&b->graph, GRAPH_NAME, "test");
}

void onnx_build_release(struct onnx_build *b)
{
    sal_buffer_release(&b->model);
    sal_buffer_release(&b->graph);
    sal_buffer_release(&b->node);
    sal_buffer_release(&b->bytes);
}

static void close_node(struct onnx_build *b)
{
    if (b->node.size)
        onnx_put_message(&b->graph, b->node_field, &b->node);
}

static struct sal_span finished(struct onnx_build *b)
{
    return b->bytes.failed || b->graph.failed
               ? (struct sal_span){0}
               : (struct sal_span){b->bytes.data, b->bytes.size};
}

static void restart(struct onnx_build *b)
{
    close_node(b);
    sal_buffer_release(&b->bytes);
    b->bytes = (struct sal_buffer){0};
}

struct sal_span onnx_build_finish(struct onnx_build *b)
{
    restart(b);
    onnx_put_int(&b->bytes, MODEL_IR, b->ir_version);
    onnx_put_text(&b->bytes, MODEL_PRODUCER, b->producer);
    onnx_put_bytes(&b->bytes, MODEL_GRAPH, b->graph.data, b->graph.size);
    if (b->opset)
        put_opset(&b->bytes, MODEL_OPSET, "", b->opset);
    sal_buffer_append(&b->bytes, b->model.data, b->model.size);
    return finished(b);
}

bool onnx_build_save(struct onnx_build *b, char path[ONNX_BUILD_PATH])
{
    struct sal_span bytes = onnx_build_finish(b);
    strcpy(path, "/tmp/saliscope-test-XXXXXX.onnx");
    int fd = mkstemps(path, 5);
    bool written = fd >= 0 && sal_file_write(path, bytes.data, bytes.size, NULL) == SAL_OK;
    if (fd >= 0)
        close(fd);
    onnx_build_release(b);
    return written;
}

struct sal_span onnx_build_finish_graph(struct onnx_build *b)
{
    restart(b);
    sal_buffer_append(&b->bytes, b->graph.data, b->graph.size);
    return finished(b);
}

void onnx_build_opset(struct onnx_build *b, const char *domain, int64_t version)
{
    put_opset(&b->model, MODEL_OPSET, domain, version);
}

void onnx_build_property(struct onnx_build *b, const char *key, const char *value)
{
    put_pair(&b->model, MODEL_PROPERTY, key, value);
}

/* ---- graph ---- */

static void put_value(struct sal_buffer *out, unsigned field, const char *name, int type,
                      int rank, const int64_t *dims)
{
    struct sal_buffer shape = {0}, tensor = {0}, kind = {0}, value = {0};
    for (int i = 0; i < rank; i++) {
        struct sal_buffer dim = {0};
        if (dims[i] >= 0)
            onnx_put_int(&dim, 1, dims[i]);
        else
            onnx_put_text(&dim, 2, "N");
        onnx_put_message(&shape, 1, &dim);
    }
    onnx_put_int(&tensor, 1, type);
    if (rank >= 0)
        onnx_put_message(&tensor, 2, &shape);
    onnx_put_message(&kind, 1, &tensor);
    onnx_put_text(&value, 1, name);
    onnx_put_message(&value, 2, &kind);
    onnx_put_message(out, field, &value);
}

void onnx_build_input(struct onnx_build *b, const char *name, int type, int rank,
                      const int64_t *dims)
{
    put_value(&b->graph, GRAPH_INPUT, name, type, rank, dims);
}

void onnx_build_output(struct onnx_build *b, const char *name, int type, int rank,
                       const int64_t *dims)
{
    put_value(&b->graph, GRAPH_OUTPUT, name, type, rank, dims);
}

void onnx_build_raw(struct onnx_build *b, const char *name, int type, int rank,
                    const int64_t *dims, const void *data, size_t size)
{
    struct sal_buffer tensor = {0};
    onnx_put_tensor(&tensor, name, type, rank, dims);
    onnx_put_bytes(&tensor, TENSOR_RAW, data, size);
    onnx_put_message(&b->graph, GRAPH_INITIALISER, &tensor);
}

void onnx_build_weights(struct onnx_build *b, const char *name, int rank,
                        const int64_t *dims, const float *values)
{
    onnx_build_raw(b, name, SAL_ONNX_FLOAT, rank, dims, values,
                   element_count(rank, dims) * sizeof *values);
}

void onnx_build_waves(struct onnx_build *b, const char *name, int rank,
                      const int64_t *dims, float size)
{
    int64_t n = 1;
    for (int d = 0; d < rank; d++)
        n *= dims[d];
    float *values = malloc(sizeof(*values) * (size_t)n);
    for (int64_t i = 0; values && i < n; i++)
        values[i] = (float)sin(1.7 * (double)i + (double)strlen(name)) * size;
    if (values)
        onnx_build_weights(b, name, rank, dims, values);
    free(values);
}

void onnx_build_indices(struct onnx_build *b, const char *name, int rank,
                        const int64_t *dims, const int64_t *values)
{
    onnx_build_raw(b, name, SAL_ONNX_INT64, rank, dims, values,
                   element_count(rank, dims) * sizeof *values);
}

void onnx_build_external(struct onnx_build *b, const char *name, int type, int rank,
                         const int64_t *dims, const char *location, const char *offset,
                         const char *length)
{
    struct sal_buffer tensor = {0};
    onnx_put_tensor(&tensor, name, type, rank, dims);
    put_pair(&tensor, TENSOR_EXTERNAL, "location", location);
    if (offset)
        put_pair(&tensor, TENSOR_EXTERNAL, "offset", offset);
    if (length)
        put_pair(&tensor, TENSOR_EXTERNAL, "length", length);
    onnx_put_int(&tensor, TENSOR_LOCATION, 1);
    onnx_put_message(&b->graph, GRAPH_INITIALISER, &tensor);
}

static void put_names(struct sal_buffer *out, unsigned field, const char *names)
{
    while (names && *names) {
        size_t n = strcspn(names, ",");
        onnx_put_bytes(out, field, names, n);
        names += n;
        if (*names == ',' && *++names == '\0')
            onnx_put_bytes(out, field, "", 0);
    }
}

void onnx_build_node(struct onnx_build *b, const char *op, const char *inputs,
                     const char *outputs)
{
    close_node(b);
    put_names(&b->node, NODE_INPUT, inputs);
    put_names(&b->node, NODE_OUTPUT, outputs);
    onnx_put_text(&b->node, NODE_OP, op);
}

/* ---- of the last node ---- */

void onnx_build_name(struct onnx_build *b, const char *name)
{
    onnx_put_text(&b->node, NODE_NAME, name);
}

void onnx_build_domain(struct onnx_build *b, const char *domain)
{
    onnx_put_text(&b->node, NODE_DOMAIN, domain);
}

static struct sal_buffer begin_attr(const char *name, int type)
{
    struct sal_buffer attr = {0};
    onnx_put_text(&attr, 1, name);
    onnx_put_int(&attr, 20, type);
    return attr;
}

static void end_attr(struct onnx_build *b, struct sal_buffer *attr)
{
    onnx_put_message(&b->node, NODE_ATTR, attr);
}

static uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

void onnx_build_int(struct onnx_build *b, const char *name, int64_t value)
{
    struct sal_buffer attr = begin_attr(name, SAL_ONNX_ATTR_INT);
    onnx_put_int(&attr, 3, value);
    end_attr(b, &attr);
}

void onnx_build_float(struct onnx_build *b, const char *name, float value)
{
    struct sal_buffer attr = begin_attr(name, SAL_ONNX_ATTR_FLOAT);
    onnx_put_fixed32(&attr, 2, float_bits(value));
    end_attr(b, &attr);
}

void onnx_build_string(struct onnx_build *b, const char *name, const char *value)
{
    struct sal_buffer attr = begin_attr(name, SAL_ONNX_ATTR_STRING);
    onnx_put_text(&attr, 4, value);
    end_attr(b, &attr);
}

void onnx_build_ints(struct onnx_build *b, const char *name, int n, const int64_t *values)
{
    struct sal_buffer attr = begin_attr(name, SAL_ONNX_ATTR_INTS);
    for (int i = 0; i < n; i++)
        onnx_put_int(&attr, 8, values[i]);
    end_attr(b, &attr);
}

void onnx_build_floats(struct onnx_build *b, const char *name, int n, const float *values)
{
    struct sal_buffer attr = begin_attr(name, SAL_ONNX_ATTR_FLOATS);
    for (int i = 0; i < n; i++)
        onnx_put_fixed32(&attr, 7, float_bits(values[i]));
    end_attr(b, &attr);
}

void onnx_build_strings(struct onnx_build *b, const char *name, int n,
                        const char *const *values)
{
    struct sal_buffer attr = begin_attr(name, SAL_ONNX_ATTR_STRINGS);
    for (int i = 0; i < n; i++)
        onnx_put_text(&attr, 9, values[i]);
    end_attr(b, &attr);
}

void onnx_build_tensor(struct onnx_build *b, const char *name, int type, int rank,
                       const int64_t *dims, const void *data, size_t size)
{
    struct sal_buffer attr = begin_attr(name, SAL_ONNX_ATTR_TENSOR), tensor = {0};
    onnx_put_tensor(&tensor, "", type, rank, dims);
    onnx_put_bytes(&tensor, TENSOR_RAW, data, size);
    onnx_put_message(&attr, 5, &tensor);
    end_attr(b, &attr);
}

void onnx_build_graph(struct onnx_build *b, const char *name, struct sal_span graph)
{
    struct sal_buffer attr = begin_attr(name, SAL_ONNX_ATTR_GRAPH);
    onnx_put_bytes(&attr, 6, graph.data, graph.size);
    end_attr(b, &attr);
}

void onnx_build_overload(struct onnx_build *b, const char *name)
{
    onnx_put_text(&b->node, NODE_OVERLOAD, name);
}

void onnx_build_ref(struct onnx_build *b, const char *name, int type, const char *ref)
{
    struct sal_buffer attr = begin_attr(name, type);
    onnx_put_text(&attr, 21, ref);
    end_attr(b, &attr);
}

/* ---- local functions ---- */

void onnx_build_function(struct onnx_build *f, const char *domain, const char *name,
                         const char *inputs, const char *outputs)
{
    *f = (struct onnx_build){.node_field = FUNCTION_NODE};
    onnx_put_text(&f->graph, FUNCTION_NAME, name);
    onnx_put_text(&f->graph, FUNCTION_DOMAIN, domain);
    put_names(&f->graph, FUNCTION_INPUT, inputs);
    put_names(&f->graph, FUNCTION_OUTPUT, outputs);
}

void onnx_build_function_overload(struct onnx_build *f, const char *overload)
{
    onnx_put_text(&f->graph, FUNCTION_OVERLOAD, overload);
}

void onnx_build_function_opset(struct onnx_build *f, const char *domain, int64_t version)
{
    put_opset(&f->graph, FUNCTION_OPSET, domain, version);
}

void onnx_build_function_attr(struct onnx_build *f, const char *name)
{
    onnx_put_text(&f->graph, FUNCTION_ATTR, name);
}

void onnx_build_function_float(struct onnx_build *f, const char *name, float value)
{
    struct sal_buffer attr = begin_attr(name, SAL_ONNX_ATTR_FLOAT);
    onnx_put_fixed32(&attr, 2, float_bits(value));
    onnx_put_message(&f->graph, FUNCTION_DEFAULT, &attr);
}

void onnx_build_add_function(struct onnx_build *b, struct onnx_build *f)
{
    close_node(f);
    onnx_put_message(&b->model, MODEL_FUNCTION, &f->graph);
    onnx_build_release(f);
}
