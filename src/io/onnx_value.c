#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "onnx_read.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "raw data are copied as they are");

/* ---- element bits to numbers ---- */

static double real_of_float(uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float value;
    memcpy(&value, &low, sizeof value);
    return (double)value;
}

static double real_of_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double real_of_bfloat16(uint64_t bits)
{
    return real_of_float(bits << 16);
}

/* Exponent and mantissa moved to their place in a float32 are 2^112 too small,
 * subnormals included; infinities and NaN need their exponent back. */
static double real_of_float16(uint64_t bits)
{
    double value = real_of_float((bits & 0x7fff) << 13) * 0x1p112;
    if ((bits & 0x7c00) == 0x7c00)
        value = real_of_float((bits & 0x7fff) << 13 | 0x7f800000);
    return bits & 0x8000 ? -value : value;
}

static const struct type {
    const char *name;
    uint8_t bits;           /* of an element; below 8 they are packed, lowest bits first */
    bool integer, negative; /* negative: two's complement */
    double (*real)(uint64_t bits);
} types[] = {
    [SAL_ONNX_UNDEFINED] = {.name = "undefined"},
    [SAL_ONNX_FLOAT] = {"float32", 32, .real = real_of_float},
    [SAL_ONNX_UINT8] = {"uint8", 8, .integer = true},
    [SAL_ONNX_INT8] = {"int8", 8, .integer = true, .negative = true},
    [SAL_ONNX_UINT16] = {"uint16", 16, .integer = true},
    [SAL_ONNX_INT16] = {"int16", 16, .integer = true, .negative = true},
    [SAL_ONNX_INT32] = {"int32", 32, .integer = true, .negative = true},
    [SAL_ONNX_INT64] = {"int64", 64, .integer = true, .negative = true},
    [SAL_ONNX_STRING] = {"string", .bits = 0},
    [SAL_ONNX_BOOL] = {"bool", 8, .integer = true},
    [SAL_ONNX_FLOAT16] = {"float16", 16, .real = real_of_float16},
    [SAL_ONNX_DOUBLE] = {"float64", 64, .real = real_of_double},
    [SAL_ONNX_UINT32] = {"uint32", 32, .integer = true},
    [SAL_ONNX_UINT64] = {"uint64", 64, .integer = true},
    [SAL_ONNX_COMPLEX64] = {"complex64", .bits = 0},
    [SAL_ONNX_COMPLEX128] = {"complex128", .bits = 0},
    [SAL_ONNX_BFLOAT16] = {"bfloat16", 16, .real = real_of_bfloat16},
    [SAL_ONNX_FLOAT8E4M3FN] = {"float8e4m3fn", .bits = 8},
    [SAL_ONNX_FLOAT8E4M3FNUZ] = {"float8e4m3fnuz", .bits = 8},
    [SAL_ONNX_FLOAT8E5M2] = {"float8e5m2", .bits = 8},
    [SAL_ONNX_FLOAT8E5M2FNUZ] = {"float8e5m2fnuz", .bits = 8},
    [SAL_ONNX_UINT4] = {"uint4", 4, .integer = true},
    [SAL_ONNX_INT4] = {"int4", 4, .integer = true, .negative = true},
    [SAL_ONNX_FLOAT4E2M1] = {"float4e2m1", .bits = 4},
    [SAL_ONNX_FLOAT8E8M0] = {"float8e8m0", .bits = 8},
    [SAL_ONNX_UINT2] = {"uint2", 2, .integer = true},
    [SAL_ONNX_INT2] = {"int2", 2, .integer = true, .negative = true},
};

enum { N_TYPES = sizeof types / sizeof *types };

static const struct type *find_type(int type)
{
    return &types[type >= 0 && type < N_TYPES ? type : SAL_ONNX_UNDEFINED];
}

const char *sal_onnx_type_name(int type)
{
    return type >= 0 && type < N_TYPES ? types[type].name : "an unknown type";
}

unsigned sal_onnx_type_bits(int type)
{
    return find_type(type)->bits;
}

/* ---- elements, one after the other ---- */

struct cursor {
    const struct type *type;
    const uint8_t *at;
    struct sal_wire wire;
    bool varints;
    uint64_t packed; /* what is left of a byte that holds several elements */
    unsigned left;   /* its bits */
    struct sal_error *err;
};

static struct cursor begin(const struct sal_onnx_tensor *tensor, struct sal_error *err)
{
    return (struct cursor){
        .type = find_type(tensor->type),
        .at = tensor->raw.data,
        .wire = sal_wire_begin(tensor->raw),
        .varints = tensor->typed && tensor->field_width == 0,
        .err = err,
    };
}

/* A varint holds more than the element may; anything that does not fit was never
 * such an element. */
static enum sal_status narrow(const struct cursor *cursor, unsigned width, bool negative,
                              uint64_t *bits)
{
    if (width == 64)
        return SAL_OK;
    int64_t value = (int64_t)*bits, span = INT64_C(1) << width;
    int64_t low = negative ? -span / 2 : 0;
    if (value < low || value >= low + span)
        return sal_fail(cursor->err, SAL_BAD_INPUT, "%" PRId64 " is no %s", value,
                        cursor->type->name);
    *bits = (uint64_t)value & (uint64_t)(span - 1);
    return SAL_OK;
}

/* The next width bits as they are stored, width being 8 or more. */
static enum sal_status next_stored(struct cursor *cursor, unsigned width, bool negative,
                                   uint64_t *bits)
{
    if (cursor->varints) {
        struct sal_wire_field field;
        if (!sal_wire_value(&cursor->wire, SAL_WIRE_VARINT, &field))
            return sal_fail(cursor->err, SAL_BAD_INPUT, "%s",
                            cursor->wire.fault ? cursor->wire.fault : "too few values");
        *bits = field.value;
        return narrow(cursor, width, negative, bits);
    }
    *bits = 0;
    memcpy(bits, cursor->at, width / 8);
    cursor->at += width / 8;
    return SAL_OK;
}

static enum sal_status next(struct cursor *cursor, uint64_t *bits)
{
    const struct type *type = cursor->type;
    if (type->bits >= 8)
        return next_stored(cursor, type->bits, type->negative, bits);
    enum sal_status status = SAL_OK;
    if (!cursor->left) {
        status = next_stored(cursor, 8, false, &cursor->packed);
        cursor->left = 8;
    }
    *bits = cursor->packed & ((1u << type->bits) - 1);
    cursor->packed >>= type->bits;
    cursor->left -= type->bits;
    return status;
}

static enum sal_status no_conversion(const struct sal_onnx_tensor *tensor, const char *to,
                                     struct sal_error *err)
{
    return sal_fail(err, SAL_UNSUPPORTED, "tensor '" SAL_NAME "': %s cannot be read as %s",
                    tensor->name, sal_onnx_type_name(tensor->type), to);
}

static enum sal_status within(const struct sal_onnx_tensor *tensor, enum sal_status status,
                              struct sal_error *err)
{
    return status == SAL_OK ? SAL_OK
                            : sal_fail_within(err, status, "tensor '" SAL_NAME "'",
                                              tensor->name);
}

enum sal_status sal_onnx_tensor_read_float(const struct sal_onnx_tensor *tensor,
                                           float *out, struct sal_error *err)
{
    struct cursor cursor = begin(tensor, err);
    if (!cursor.type->real)
        return no_conversion(tensor, "real numbers", err);
    if (tensor->type == SAL_ONNX_FLOAT) {
        if (tensor->count)
            memcpy(out, tensor->raw.data, tensor->count * sizeof *out);
        return SAL_OK;
    }
    enum sal_status status = SAL_OK;
    uint64_t bits;
    for (size_t i = 0; i < tensor->count && status == SAL_OK; i++) {
        status = next(&cursor, &bits);
        if (status == SAL_OK)
            out[i] = (float)cursor.type->real(bits);
    }
    return within(tensor, status, err);
}

enum sal_status sal_onnx_tensor_read_double(const struct sal_onnx_tensor *tensor,
                                            double *out, struct sal_error *err)
{
    struct cursor cursor = begin(tensor, err);
    if (!cursor.type->real)
        return no_conversion(tensor, "real numbers", err);
    enum sal_status status = SAL_OK;
    uint64_t bits;
    for (size_t i = 0; i < tensor->count && status == SAL_OK; i++) {
        status = next(&cursor, &bits);
        if (status == SAL_OK)
            out[i] = cursor.type->real(bits);
    }
    return within(tensor, status, err);
}

static enum sal_status integer(const struct cursor *cursor, uint64_t bits, int64_t *out)
{
    unsigned above = 64u - cursor->type->bits;
    if (cursor->type->negative)
        *out = (int64_t)(bits << above) >> above;
    else if (bits > INT64_MAX)
        return sal_fail(cursor->err, SAL_UNSUPPORTED, "%" PRIu64 " does not fit int64", bits);
    else
        *out = (int64_t)bits;
    return SAL_OK;
}

enum sal_status sal_onnx_tensor_read_int(const struct sal_onnx_tensor *tensor,
                                         int64_t *out, struct sal_error *err)
{
    struct cursor cursor = begin(tensor, err);
    if (!cursor.type->integer)
        return no_conversion(tensor, "integers", err);
    enum sal_status status = SAL_OK;
    uint64_t bits;
    for (size_t i = 0; i < tensor->count && status == SAL_OK; i++) {
        status = next(&cursor, &bits);
        if (status == SAL_OK)
            status = integer(&cursor, bits, &out[i]);
        if (status == SAL_OK && tensor->type == SAL_ONNX_BOOL)
            out[i] = out[i] != 0;
    }
    return within(tensor, status, err);
}
