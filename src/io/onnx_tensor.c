#include <stdio.h>
#include <string.h>

#include "onnx_read.h"

enum { LOCATION_EXTERNAL = 1 };

/* TensorProto as it stands on the wire. */
struct tensor {
    struct sal_onnx_tensor out;
    struct sal_span raw, floats, int32s, int64s, doubles, uint64s;
    int has_raw, n_floats, n_int32s, n_strings, n_int64s, n_doubles, n_uint64s;
    int has_segment;
    const struct sal_onnx_property *keys;
    int n_keys;
    int location;
};

#define AT(member) offsetof(struct tensor, member)

static const struct sal_message tensor_message = {
    "TensorProto",
    (const struct sal_field[]){
        {"dims", 1, SAL_WIRE_VARINT, SAL_FIELD_INLINE, sal_read_int64, AT(out.dim), 8,
         SAL_ONNX_RANK_MAX, AT(out.rank)},
        {"data_type", 2, SAL_WIRE_VARINT, SAL_FIELD_ONE, sal_read_int, AT(out.type), 0, 1, -1},
        {"segment", 3, SAL_WIRE_BYTES, SAL_FIELD_COUNT, NULL, 0, 0, 0, AT(has_segment)},
        {"float_data", 4, SAL_WIRE_32, SAL_FIELD_GATHER, NULL, AT(floats), 0, 0, AT(n_floats)},
        {"int32_data", 5, SAL_WIRE_VARINT, SAL_FIELD_GATHER, NULL, AT(int32s), 0, 0,
         AT(n_int32s)},
        {"string_data", 6, SAL_WIRE_BYTES, SAL_FIELD_COUNT, NULL, 0, 0, 0, AT(n_strings)},
        {"int64_data", 7, SAL_WIRE_VARINT, SAL_FIELD_GATHER, NULL, AT(int64s), 0, 0,
         AT(n_int64s)},
        {"name", 8, SAL_WIRE_BYTES, SAL_FIELD_ONE, sal_read_text, AT(out.name), 0, 1, -1},
        {"raw_data", 9, SAL_WIRE_BYTES, SAL_FIELD_ONE, sal_read_span, AT(raw), 0, 1,
         AT(has_raw)},
        {"double_data", 10, SAL_WIRE_64, SAL_FIELD_GATHER, NULL, AT(doubles), 0, 0,
         AT(n_doubles)},
        {"uint64_data", 11, SAL_WIRE_VARINT, SAL_FIELD_GATHER, NULL, AT(uint64s), 0, 0,
         AT(n_uint64s)},
        {"external_data", 13, SAL_WIRE_BYTES, SAL_FIELD_MANY, sal_read_property, AT(keys),
         sizeof(struct sal_onnx_property), 16, AT(n_keys)},
        {"data_location", 14, SAL_WIRE_VARINT, SAL_FIELD_ONE, sal_read_int, AT(location), 0,
         1, -1},
        {0},
    },
};

/* The typed payload fields: which element types each may hold. */
#define TYPE(type) (1u << SAL_ONNX_##type)
static const struct payload {
    const char *name;
    size_t span, count;
    int width;
    unsigned types;
} payloads[] = {
    {"float_data", AT(floats), AT(n_floats), 4, TYPE(FLOAT)},
    {"int32_data", AT(int32s), AT(n_int32s), 0,
     TYPE(INT32) | TYPE(INT16) | TYPE(INT8) | TYPE(UINT16) | TYPE(UINT8) | TYPE(BOOL) |
         TYPE(FLOAT16) | TYPE(BFLOAT16) | TYPE(FLOAT8E4M3FN) | TYPE(FLOAT8E4M3FNUZ) |
         TYPE(FLOAT8E5M2) | TYPE(FLOAT8E5M2FNUZ) | TYPE(UINT4) | TYPE(INT4) |
         TYPE(FLOAT4E2M1) | TYPE(FLOAT8E8M0) | TYPE(UINT2) | TYPE(INT2)},
    {"int64_data", AT(int64s), AT(n_int64s), 0, TYPE(INT64)},
    {"double_data", AT(doubles), AT(n_doubles), 8, TYPE(DOUBLE)},
    {"uint64_data", AT(uint64s), AT(n_uint64s), 0, TYPE(UINT64) | TYPE(UINT32)},
};
enum { N_PAYLOADS = sizeof payloads / sizeof *payloads };

static struct sal_span payload_span(const struct tensor *t, const struct payload *payload)
{
    struct sal_span span;
    memcpy(&span, (const char *)t + payload->span, sizeof span);
    return span;
}

static int payload_count(const struct tensor *t, const struct payload *payload)
{
    int count;
    memcpy(&count, (const char *)t + payload->count, sizeof count);
    return count;
}

/* "64x3x7x7 float32". */
static const char *describe(const struct sal_onnx_tensor *tensor, char text[static 256])
{
    size_t used = 0;
    for (int i = 0; i < tensor->rank; i++)
        used += (size_t)snprintf(text + used, 256 - used, "%s%lld", i ? "x" : "",
                                 (long long)tensor->dim[i]);
    snprintf(text + used, 256 - used, "%s%s", tensor->rank ? " " : "scalar ",
             sal_onnx_type_name(tensor->type));
    return text;
}

/* Elements that are smaller share bytes; the last one may have bits to spare. */
static bool bytes_of(size_t count, unsigned bits, size_t *bytes)
{
    if (bits >= 8 || !bits)
        return !__builtin_mul_overflow(count, bits / 8, bytes);
    size_t each = 8 / bits;
    *bytes = count / each + (count % each != 0);
    return true;
}

/* Sets count, and *bytes where the type has a size (0 otherwise). */
static enum sal_status measure(struct sal_onnx_tensor *tensor, size_t *bytes,
                               struct sal_error *err)
{
    tensor->count = 1;
    bool over = false;
    for (int i = 0; i < tensor->rank; i++) {
        int64_t dim = tensor->dim[i];
        if (dim < 0)
            return sal_fail(err, SAL_BAD_INPUT, "dimension %d is %lld", i, (long long)dim);
        if (dim > SAL_ONNX_DIM_MAX)
            return sal_fail(err, SAL_BAD_INPUT, "dimension %d is %lld, at most %lld is read", i,
                            (long long)dim, (long long)SAL_ONNX_DIM_MAX);
        over |= __builtin_mul_overflow(tensor->count, (size_t)dim, &tensor->count);
    }
    over |= !bytes_of(tensor->count, sal_onnx_type_bits(tensor->type), bytes);
    char text[256];
    if (over)
        return sal_fail(err, SAL_BAD_INPUT, "%s is more than memory can address",
                        describe(tensor, text));
    return SAL_OK;
}

static enum sal_status too_short(const struct sal_onnx_tensor *tensor, size_t need,
                                 size_t have, struct sal_error *err)
{
    char text[256];
    return sal_fail(err, SAL_BAD_INPUT, "%s needs %zu bytes, the file has %zu",
                    describe(tensor, text), need, have);
}

/* Packed elements come a byte at a time, each byte in an int32. */
static enum sal_status take_typed(struct tensor *t, const struct payload *payload,
                                  size_t bytes, struct sal_error *err)
{
    struct sal_onnx_tensor *tensor = &t->out;
    char text[256];
    int have = payload_count(t, payload);
    unsigned bits = sal_onnx_type_bits(tensor->type);
    size_t need = bits < 8 ? bytes : tensor->count;
    if (bits && !(payload->types >> tensor->type & 1))
        return sal_fail(err, SAL_BAD_INPUT, "%s does not belong in %s",
                        sal_onnx_type_name(tensor->type), payload->name);
    tensor->raw = payload_span(t, payload);
    tensor->typed = true;
    tensor->field_width = payload->width;
    if (!bits)
        return SAL_OK;
    if ((size_t)have != need)
        return sal_fail(err, SAL_BAD_INPUT, "%s needs %zu values, %s has %d",
                        describe(tensor, text), need, payload->name, have);
    if (payload->width && tensor->raw.size != tensor->count * (size_t)payload->width)
        return sal_fail(err, SAL_BAD_INPUT, "%s is cut short", payload->name);
    return SAL_OK;
}

static enum sal_status take_raw(struct tensor *t, size_t need, struct sal_error *err)
{
    t->out.raw = t->raw;
    if (sal_onnx_type_bits(t->out.type) && t->raw.size != need)
        return too_short(&t->out, need, t->raw.size, err);
    return SAL_OK;
}

static int payload_fields(const struct tensor *t)
{
    int n = t->has_raw + (t->n_strings > 0);
    for (int i = 0; i < N_PAYLOADS; i++)
        n += payload_span(t, &payloads[i]).size > 0;
    return n;
}

static enum sal_status take_strings(struct tensor *t, struct sal_error *err)
{
    char text[256];
    if (t->out.type != SAL_ONNX_STRING || (size_t)t->n_strings != t->out.count)
        return sal_fail(err, SAL_BAD_INPUT, "%s cannot hold %d strings",
                        describe(&t->out, text), t->n_strings);
    return SAL_OK;
}

static enum sal_status take_payload(struct tensor *t, size_t need, struct sal_error *err)
{
    int n = payload_fields(t);
    if (n > 1 || (n && t->location == LOCATION_EXTERNAL))
        return sal_fail(err, SAL_BAD_INPUT, "values are given more than once");
    if (t->n_strings)
        return take_strings(t, err);
    if (n == 0 && t->out.count > 0)
        return too_short(&t->out, need, 0, err);
    for (int i = 0; i < N_PAYLOADS; i++) {
        if (payload_count(t, &payloads[i]))
            return take_typed(t, &payloads[i], need, err);
    }
    return take_raw(t, need, err);
}

static enum sal_status finish(struct sal_reader *reader, struct tensor *t)
{
    struct sal_error *err = reader->err;
    size_t need = 0;
    if (t->out.type == SAL_ONNX_UNDEFINED)
        return sal_fail(err, SAL_BAD_INPUT, "no element type");
    if (t->has_segment)
        return sal_fail(err, SAL_UNSUPPORTED, "tensors in segments are not read");
    enum sal_status status = measure(&t->out, &need, err);
    if (status != SAL_OK)
        return status;
    t->out.mapped = reader->external != NULL;
    if (t->location != LOCATION_EXTERNAL)
        return take_payload(t, need, err);
    if (payload_fields(t))
        return sal_fail(err, SAL_BAD_INPUT, "values both in the model and beside it");
    t->out.external = true;
    if (!sal_onnx_type_bits(t->out.type))
        need = SAL_EXTERNAL_ANY;
    return sal_external_find(reader->external, t->keys, t->n_keys, need, &t->out.raw, err);
}

enum sal_status sal_read_tensor(struct sal_reader *reader, void *at,
                                const struct sal_wire_field *field)
{
    struct tensor t = {.out.name = ""};
    enum sal_status status = sal_message_read(reader, &tensor_message, field->bytes, &t);
    if (status == SAL_OK)
        status = finish(reader, &t);
    if (status != SAL_OK)
        return sal_fail_within(reader->err, status, "tensor '" SAL_NAME "'", t.out.name);
    *(struct sal_onnx_tensor *)at = t.out;
    return SAL_OK;
}

enum sal_status sal_onnx_parse_tensor(struct sal_onnx_tensor *tensor,
                                      struct sal_span bytes, struct sal_arena *arena,
                                      struct sal_error *err)
{
    struct sal_reader reader = {.arena = arena, .err = err, .origin = bytes.data};
    struct sal_wire_field field = {.type = SAL_WIRE_BYTES, .bytes = bytes};
    return sal_read_tensor(&reader, tensor, &field);
}
