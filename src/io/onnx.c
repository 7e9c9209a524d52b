#include "saliscope/onnx.h"

#include <string.h>

#include "onnx_read.h"
#include "saliscope/sha256.h"

enum { ATTRS_MAX = 64, INPUTS_MAX = 65536, OPSETS_MAX = 256, PROPERTIES_MAX = 4096 };
enum { LIST_MAX = 1 << 24, HASHED = 4 << 20 };
#define DESCRIPTION_MAX ((size_t)256 << 20)

#define ONE(number, wire, name, read, offset) \
    {name, number, wire, SAL_FIELD_ONE, read, offset, 0, 1, -1}
#define ONE_SEEN(number, wire, name, read, offset, counter) \
    {name, number, wire, SAL_FIELD_ONE, read, offset, 0, 1, counter}
#define MANY(number, wire, name, read, offset, type, most, counter) \
    {name, number, wire, SAL_FIELD_MANY, read, offset, sizeof(type), most, counter}
#define COUNT(number, wire, name, counter) \
    {name, number, wire, SAL_FIELD_COUNT, NULL, 0, 0, 0, counter}

/* ---- declared values ---- */

struct dimension {
    int64_t value;
    int has_value;
};

#define AT(member) offsetof(struct dimension, member)
static const struct sal_message dimension_message = {
    "Dimension",
    (const struct sal_field[]){
        ONE_SEEN(1, SAL_WIRE_VARINT, "dim_value", sal_read_int64, AT(value), AT(has_value)),
        {0},
    },
};
#undef AT

static enum sal_status read_dimension(struct sal_reader *reader, void *at,
                                      const struct sal_wire_field *field)
{
    struct dimension dim = {0};
    enum sal_status status = sal_message_read(reader, &dimension_message, field->bytes, &dim);
    if (status == SAL_OK && dim.value > SAL_ONNX_DIM_MAX)
        return sal_fail(reader->err, SAL_BAD_INPUT, "a dimension is %lld, at most %lld is read",
                        (long long)dim.value, (long long)SAL_ONNX_DIM_MAX);
    *(int64_t *)at = dim.has_value && dim.value >= 0 ? dim.value : -1;
    return status;
}

#define AT(member) offsetof(struct sal_onnx_value, member)
static const struct sal_message shape_message = {
    "TensorShapeProto",
    (const struct sal_field[]){
        {"dim", 1, SAL_WIRE_BYTES, SAL_FIELD_INLINE, read_dimension, AT(dim), 8,
         SAL_ONNX_RANK_MAX, AT(rank)},
        {0},
    },
};

static enum sal_status read_shape(struct sal_reader *reader, void *at,
                                  const struct sal_wire_field *field)
{
    return sal_message_read(reader, &shape_message, field->bytes, at);
}

static const struct sal_message tensor_type_message = {
    "TypeProto.Tensor",
    (const struct sal_field[]){
        ONE(1, SAL_WIRE_VARINT, "elem_type", sal_read_int, AT(type)),
        ONE(2, SAL_WIRE_BYTES, "shape", read_shape, 0),
        {0},
    },
};

static enum sal_status read_tensor_type(struct sal_reader *reader, void *at,
                                        const struct sal_wire_field *field)
{
    return sal_message_read(reader, &tensor_type_message, field->bytes, at);
}

/* What is not a tensor is named by its field, not looked into. */
static enum sal_status read_other_type(struct sal_reader *reader, void *at,
                                       const struct sal_wire_field *field)
{
    static const char *const names[] = {
        [4] = "sequence", [5] = "map", [8] = "sparse tensor", [9] = "optional"};
    (void)reader;
    *(const char **)at = names[field->number];
    return SAL_OK;
}

static const struct sal_message type_message = {
    "TypeProto",
    (const struct sal_field[]){
        ONE(1, SAL_WIRE_BYTES, "tensor_type", read_tensor_type, 0),
        ONE(4, SAL_WIRE_BYTES, "sequence_type", read_other_type, AT(other)),
        ONE(5, SAL_WIRE_BYTES, "map_type", read_other_type, AT(other)),
        ONE(8, SAL_WIRE_BYTES, "sparse_tensor_type", read_other_type, AT(other)),
        ONE(9, SAL_WIRE_BYTES, "optional_type", read_other_type, AT(other)),
        {0},
    },
};

static enum sal_status read_type(struct sal_reader *reader, void *at,
                                 const struct sal_wire_field *field)
{
    return sal_message_read(reader, &type_message, field->bytes, at);
}

static const struct sal_message value_message = {
    "ValueInfoProto",
    (const struct sal_field[]){
        ONE(1, SAL_WIRE_BYTES, "name", sal_read_text, AT(name)),
        ONE(2, SAL_WIRE_BYTES, "type", read_type, 0),
        {0},
    },
};
#undef AT

static enum sal_status read_value(struct sal_reader *reader, void *at,
                                  const struct sal_wire_field *field)
{
    struct sal_onnx_value *value = at;
    *value = (struct sal_onnx_value){.name = "", .rank = -1};
    return sal_message_read(reader, &value_message, field->bytes, value);
}

/* ---- attributes ---- */

struct attr {
    struct sal_onnx_attr out;
    struct sal_span s;
    int has_f, has_i, has_s, has_t, has_g, n_floats, n_ints, n_strings;
};

static sal_field_read read_graph;

static enum sal_status read_new_tensor(struct sal_reader *reader, void *at,
                                       const struct sal_wire_field *field)
{
    struct sal_onnx_tensor *tensor = sal_new(reader->arena, struct sal_onnx_tensor, 1);
    if (!tensor)
        return sal_reader_no_memory(reader);
    *(const struct sal_onnx_tensor **)at = tensor;
    return sal_read_tensor(reader, tensor, field);
}

static enum sal_status read_new_graph(struct sal_reader *reader, void *at,
                                      const struct sal_wire_field *field)
{
    struct sal_onnx_graph *graph = sal_new(reader->arena, struct sal_onnx_graph, 1);
    if (!graph)
        return sal_reader_no_memory(reader);
    *(const struct sal_onnx_graph **)at = graph;
    return read_graph(reader, graph, field);
}

#define AT(member) offsetof(struct attr, member)
static const struct sal_message attr_message = {
    "AttributeProto",
    (const struct sal_field[]){
        ONE(1, SAL_WIRE_BYTES, "name", sal_read_text, AT(out.name)),
        ONE_SEEN(2, SAL_WIRE_32, "f", sal_read_float, AT(out.f), AT(has_f)),
        ONE_SEEN(3, SAL_WIRE_VARINT, "i", sal_read_int64, AT(out.i), AT(has_i)),
        ONE_SEEN(4, SAL_WIRE_BYTES, "s", sal_read_span, AT(s), AT(has_s)),
        ONE_SEEN(5, SAL_WIRE_BYTES, "t", read_new_tensor, AT(out.tensor), AT(has_t)),
        ONE_SEEN(6, SAL_WIRE_BYTES, "g", read_new_graph, AT(out.graph), AT(has_g)),
        MANY(7, SAL_WIRE_32, "floats", sal_read_float, AT(out.floats), float, LIST_MAX,
             AT(n_floats)),
        MANY(8, SAL_WIRE_VARINT, "ints", sal_read_int64, AT(out.ints), int64_t, LIST_MAX,
             AT(n_ints)),
        MANY(9, SAL_WIRE_BYTES, "strings", sal_read_text, AT(out.strings), const char *,
             LIST_MAX, AT(n_strings)),
        ONE(20, SAL_WIRE_VARINT, "type", sal_read_int, AT(out.type)),
        ONE(21, SAL_WIRE_BYTES, "ref_attr_name", sal_read_text, AT(out.ref)),
        {0},
    },
};

/* Which field holds the value of which type. */
static const struct {
    int type;
    const char *name;
    size_t seen;
    bool may_be_absent; /* an empty list and a zero need not be written */
} attr_values[] = {
    {SAL_ONNX_ATTR_FLOAT, "a float", AT(has_f), true},
    {SAL_ONNX_ATTR_INT, "an int", AT(has_i), true},
    {SAL_ONNX_ATTR_STRING, "a string", AT(has_s), true},
    {SAL_ONNX_ATTR_TENSOR, "a tensor", AT(has_t), false},
    {SAL_ONNX_ATTR_GRAPH, "a graph", AT(has_g), false},
    {SAL_ONNX_ATTR_FLOATS, "floats", AT(n_floats), true},
    {SAL_ONNX_ATTR_INTS, "ints", AT(n_ints), true},
    {SAL_ONNX_ATTR_STRINGS, "strings", AT(n_strings), true},
};
enum { N_ATTR_VALUES = sizeof attr_values / sizeof *attr_values };
#undef AT

static int attr_seen(const struct attr *attr, int k)
{
    int n;
    memcpy(&n, (const char *)attr + attr_values[k].seen, sizeof n);
    return n;
}

/* The first writers of ONNX left the type out. */
static void infer_attr_type(struct attr *attr)
{
    for (int k = 0; k < N_ATTR_VALUES && !attr->out.type; k++) {
        if (attr_seen(attr, k))
            attr->out.type = attr_values[k].type;
    }
}

static enum sal_status check_attr(const struct attr *attr, struct sal_error *err)
{
    const struct sal_onnx_attr *out = &attr->out;
    if (!*out->name)
        return sal_fail(err, SAL_BAD_INPUT, "it has no name");
    if (!out->type && !out->ref)
        return sal_fail(err, SAL_BAD_INPUT, "it has neither type nor value");
    for (int k = 0; k < N_ATTR_VALUES; k++) {
        bool seen = attr_seen(attr, k) > 0;
        if (seen && attr_values[k].type != out->type)
            return sal_fail(err, SAL_BAD_INPUT, "it holds %s, which is not its type",
                            attr_values[k].name);
        if (!seen && attr_values[k].type == out->type && !attr_values[k].may_be_absent &&
            !out->ref)
            return sal_fail(err, SAL_BAD_INPUT, "%s is missing", attr_values[k].name);
    }
    return SAL_OK;
}

static enum sal_status finish_attr(struct sal_reader *reader, struct attr *attr)
{
    infer_attr_type(attr);
    enum sal_status status = check_attr(attr, reader->err);
    if (status != SAL_OK)
        return status;
    attr->out.n = (size_t)attr->n_floats + (size_t)attr->n_ints + (size_t)attr->n_strings;
    if (attr->s.size > SAL_ONNX_STRING_MAX)
        return sal_fail(reader->err, SAL_BAD_INPUT, "a string of %zu bytes, at most %d are read",
                        attr->s.size, SAL_ONNX_STRING_MAX);
    attr->out.s = sal_reader_text(reader, attr->s);
    attr->out.s_size = attr->s.size;
    return attr->out.s ? SAL_OK : sal_reader_no_memory(reader);
}

enum sal_status sal_read_attr(struct sal_reader *reader, void *at,
                              const struct sal_wire_field *field)
{
    struct attr attr = {.out.name = ""};
    enum sal_status status = sal_message_read(reader, &attr_message, field->bytes, &attr);
    if (status == SAL_OK)
        status = finish_attr(reader, &attr);
    if (status != SAL_OK && *attr.out.name)
        return sal_fail_within(reader->err, status, "attribute '" SAL_NAME "'", attr.out.name);
    if (status != SAL_OK)
        return status;
    *(struct sal_onnx_attr *)at = attr.out;
    return SAL_OK;
}

/* ---- nodes and graphs ---- */

#define AT(member) offsetof(struct sal_onnx_node, member)
static const struct sal_message node_message = {
    "NodeProto",
    (const struct sal_field[]){
        MANY(1, SAL_WIRE_BYTES, "input", sal_read_text, AT(inputs), const char *, INPUTS_MAX,
             AT(n_inputs)),
        MANY(2, SAL_WIRE_BYTES, "output", sal_read_text, AT(outputs), const char *,
             INPUTS_MAX, AT(n_outputs)),
        ONE(3, SAL_WIRE_BYTES, "name", sal_read_text, AT(name)),
        ONE(4, SAL_WIRE_BYTES, "op_type", sal_read_text, AT(op)),
        MANY(5, SAL_WIRE_BYTES, "attribute", sal_read_attr, AT(attrs), struct sal_onnx_attr,
             ATTRS_MAX, AT(n_attrs)),
        ONE(7, SAL_WIRE_BYTES, "domain", sal_read_text, AT(domain)),
        ONE(8, SAL_WIRE_BYTES, "overload", sal_read_text, AT(overload)),
        {0},
    },
};
#undef AT

enum sal_status sal_read_node(struct sal_reader *reader, void *at,
                              const struct sal_wire_field *field)
{
    struct sal_onnx_node *node = at;
    *node = (struct sal_onnx_node){.op = "", .domain = "", .name = "", .overload = ""};
    if (++reader->nodes > SAL_ONNX_NODES_MAX)
        return sal_fail(reader->err, SAL_BAD_INPUT, "more than %d nodes", SAL_ONNX_NODES_MAX);
    enum sal_status status = sal_message_read(reader, &node_message, field->bytes, node);
    node->domain = sal_onnx_plain_domain(node->domain);
    if (status != SAL_OK && *node->name)
        sal_fail_within(reader->err, status, "node '" SAL_NAME "'", node->name);
    return status;
}

struct graph {
    struct sal_onnx_graph out;
    int n_sparse;
};

#define AT(member) offsetof(struct graph, member)
static const struct sal_message graph_message = {
    "GraphProto",
    (const struct sal_field[]){
        MANY(1, SAL_WIRE_BYTES, "node", sal_read_node, AT(out.nodes), struct sal_onnx_node,
             SAL_ONNX_NODES_MAX, AT(out.n_nodes)),
        ONE(2, SAL_WIRE_BYTES, "name", sal_read_text, AT(out.name)),
        MANY(5, SAL_WIRE_BYTES, "initializer", sal_read_tensor, AT(out.initialisers),
             struct sal_onnx_tensor, SAL_ONNX_NODES_MAX, AT(out.n_initialisers)),
        MANY(11, SAL_WIRE_BYTES, "input", read_value, AT(out.inputs), struct sal_onnx_value,
             SAL_ONNX_NODES_MAX, AT(out.n_inputs)),
        MANY(12, SAL_WIRE_BYTES, "output", read_value, AT(out.outputs), struct sal_onnx_value,
             SAL_ONNX_NODES_MAX, AT(out.n_outputs)),
        COUNT(15, SAL_WIRE_BYTES, "sparse_initializer", AT(n_sparse)),
        {0},
    },
};
#undef AT

static enum sal_status read_graph(struct sal_reader *reader, void *at,
                                  const struct sal_wire_field *field)
{
    struct graph graph = {.out.name = ""};
    if (reader->graph_depth >= SAL_ONNX_GRAPH_DEPTH_MAX)
        return sal_fail(reader->err, SAL_BAD_INPUT, "graphs are nested over %d deep",
                        SAL_ONNX_GRAPH_DEPTH_MAX);
    reader->graph_depth++;
    enum sal_status status = sal_message_read(reader, &graph_message, field->bytes, &graph);
    reader->graph_depth--;
    if (status == SAL_OK && graph.n_sparse)
        return sal_fail(reader->err, SAL_UNSUPPORTED, "sparse initialisers are not read");
    if (status == SAL_OK)
        status = sal_onnx_settle_inputs(&graph.out, reader->err);
    *(struct sal_onnx_graph *)at = graph.out;
    return status;
}

/* ---- the model ---- */

#define AT(member) offsetof(struct sal_onnx_property, member)
static const struct sal_message property_message = {
    "StringStringEntryProto",
    (const struct sal_field[]){
        ONE(1, SAL_WIRE_BYTES, "key", sal_read_text, AT(key)),
        ONE(2, SAL_WIRE_BYTES, "value", sal_read_long_text, AT(value)),
        {0},
    },
};
#undef AT

enum sal_status sal_read_property(struct sal_reader *reader, void *at,
                                  const struct sal_wire_field *field)
{
    *(struct sal_onnx_property *)at = (struct sal_onnx_property){"", ""};
    return sal_message_read(reader, &property_message, field->bytes, at);
}

#define AT(member) offsetof(struct sal_onnx_opset, member)
static const struct sal_message opset_message = {
    "OperatorSetIdProto",
    (const struct sal_field[]){
        ONE(1, SAL_WIRE_BYTES, "domain", sal_read_text, AT(domain)),
        ONE(2, SAL_WIRE_VARINT, "version", sal_read_int64, AT(version)),
        {0},
    },
};
#undef AT

enum sal_status sal_read_opset(struct sal_reader *reader, void *at,
                               const struct sal_wire_field *field)
{
    struct sal_onnx_opset *opset = at;
    opset->domain = "";
    enum sal_status status = sal_message_read(reader, &opset_message, field->bytes, opset);
    opset->domain = sal_onnx_plain_domain(opset->domain);
    return status;
}

struct model {
    int64_t ir_version;
    const char *producer, *producer_version;
    struct sal_onnx_graph graph;
    const struct sal_onnx_opset *opsets;
    const struct sal_onnx_property *properties;
    const struct sal_onnx_function *functions;
    int has_graph, n_opsets, n_properties, n_functions;
};

#define AT(member) offsetof(struct model, member)
static const struct sal_message model_message = {
    "ModelProto",
    (const struct sal_field[]){
        ONE(1, SAL_WIRE_VARINT, "ir_version", sal_read_int64, AT(ir_version)),
        ONE(2, SAL_WIRE_BYTES, "producer_name", sal_read_text, AT(producer)),
        ONE(3, SAL_WIRE_BYTES, "producer_version", sal_read_text, AT(producer_version)),
        ONE_SEEN(7, SAL_WIRE_BYTES, "graph", read_graph, AT(graph), AT(has_graph)),
        MANY(8, SAL_WIRE_BYTES, "opset_import", sal_read_opset, AT(opsets), struct sal_onnx_opset,
             OPSETS_MAX, AT(n_opsets)),
        MANY(14, SAL_WIRE_BYTES, "metadata_props", sal_read_property, AT(properties),
             struct sal_onnx_property, PROPERTIES_MAX, AT(n_properties)),
        MANY(25, SAL_WIRE_BYTES, "functions", sal_read_function, AT(functions),
             struct sal_onnx_function, SAL_ONNX_FUNCTIONS_MAX, AT(n_functions)),
        {0},
    },
};
#undef AT

static void keep(struct sal_onnx *onnx, const struct model *model)
{
    onnx->ir_version = model->ir_version;
    onnx->producer = model->producer;
    onnx->producer_version = model->producer_version;
    onnx->opsets = model->opsets;
    onnx->n_opsets = model->n_opsets;
    onnx->properties = model->properties;
    onnx->n_properties = model->n_properties;
    onnx->n_functions = model->n_functions;
    onnx->graph = model->graph;
}

static enum sal_status parse(struct sal_onnx *onnx, struct sal_span bytes,
                             struct sal_external *external, struct sal_error *err)
{
    static const char pointer[] = "version https://git-lfs";
    if (bytes.size > sizeof pointer && memcmp(bytes.data, pointer, sizeof pointer - 1) == 0)
        return sal_fail(err, SAL_BAD_INPUT, "a Git LFS pointer, not the model itself: fetch "
                        "it with 'git lfs pull'");
    if (bytes.size > SAL_ONNX_FILE_MAX)
        return sal_fail(err, SAL_BAD_INPUT, "%zu bytes; an ONNX file has at most %zu",
                        bytes.size, SAL_ONNX_FILE_MAX);
    struct sal_reader reader = {
        .arena = &onnx->arena, .err = err, .origin = bytes.data, .external = external};
    struct model model = {.producer = "", .producer_version = ""};
    enum sal_status status = sal_message_read(&reader, &model_message, bytes, &model);
    if (status == SAL_OK && !model.has_graph)
        return sal_fail(err, SAL_BAD_INPUT, "not an ONNX model: it has no graph");
    if (status != SAL_OK)
        return status;
    onnx->bytes = bytes;
    onnx->file_size = bytes.size;
    keep(onnx, &model);
    status = sal_onnx_inline(onnx, model.functions, model.n_functions, err);
    return status == SAL_OK ? sal_onnx_check(onnx, err) : status;
}

static enum sal_status fail_closed(struct sal_onnx *onnx, enum sal_status status,
                                   const char *name, struct sal_error *err)
{
    sal_onnx_close(onnx);
    return sal_fail_within(err, status, "%.120s", name);
}

enum sal_status sal_onnx_parse(struct sal_onnx *onnx, struct sal_span bytes,
                               const char *name, struct sal_error *err)
{
    *onnx = (struct sal_onnx){.arena.limit = DESCRIPTION_MAX};
    enum sal_status status = parse(onnx, bytes, NULL, err);
    return status == SAL_OK ? SAL_OK : fail_closed(onnx, status, name, err);
}

enum sal_status sal_onnx_open(struct sal_onnx *onnx, const char *path,
                              struct sal_error *err)
{
    *onnx = (struct sal_onnx){.arena.limit = DESCRIPTION_MAX};
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    enum sal_status status = sal_file_map(&onnx->file, path, SAL_ONNX_FILE_MAX, err);
    if (status != SAL_OK)
        return status;
    struct sal_external *external = NULL;
    status = sal_external_begin(&external, onnx, path, err);
    if (status == SAL_OK)
        status = parse(onnx, onnx->file.bytes, external, err);
    sal_external_end(external);
    return status == SAL_OK ? SAL_OK : fail_closed(onnx, status, name, err);
}

void sal_onnx_close(struct sal_onnx *onnx)
{
    for (int i = 0; i < onnx->n_external; i++)
        sal_file_close(&onnx->external[i]);
    sal_file_close(&onnx->file);
    sal_arena_release(&onnx->arena);
    *onnx = (struct sal_onnx){0};
}

/* In pieces, which are let go: the file need not be in memory as a whole. */
void sal_onnx_hash(struct sal_onnx *onnx)
{
    struct sal_sha256 hash;
    sal_sha256_init(&hash);
    for (size_t at = 0; at < onnx->bytes.size; at += HASHED) {
        const size_t left = onnx->bytes.size - at, size = left < HASHED ? left : HASHED;
        sal_sha256_update(&hash, onnx->bytes.data + at, size);
        if (onnx->file.mapped)
            sal_file_let_go(onnx->bytes.data + at, size);
    }
    sal_sha256_final_hex(&hash, onnx->sha256);
}

const struct sal_onnx_attr *sal_onnx_node_attr(const struct sal_onnx_node *node,
                                               const char *name)
{
    for (int i = 0; i < node->n_attrs; i++) {
        if (strcmp(node->attrs[i].name, name) == 0)
            return &node->attrs[i];
    }
    return NULL;
}

const char *sal_onnx_plain_domain(const char *domain)
{
    return strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

const char *sal_onnx_node_label(const struct sal_onnx_node *node)
{
    return *node->name || !node->n_outputs ? node->name : node->outputs[0];
}

int64_t sal_onnx_opset_find(const struct sal_onnx_opset *opsets, int n_opsets,
                            const char *domain)
{
    for (int i = 0; i < n_opsets; i++) {
        if (strcmp(opsets[i].domain, domain) == 0)
            return opsets[i].version;
    }
    return 0;
}

int64_t sal_onnx_node_opset(const struct sal_onnx *onnx, const struct sal_onnx_node *node)
{
    return node->opset ? node->opset
                       : sal_onnx_opset_find(onnx->opsets, onnx->n_opsets, node->domain);
}
