#include "wire.h"

#include <string.h>

enum { NUMBER_MAX = (1 << 29) - 1, VARINT_MAX = 10 };

struct sal_wire sal_wire_begin(struct sal_span bytes)
{
    return (struct sal_wire){
        .at = bytes.data,
        .end = bytes.data ? bytes.data + bytes.size : NULL,
    };
}

static bool fault(struct sal_wire *wire, const char *text)
{
    wire->fault = text;
    return false;
}

static size_t left(const struct sal_wire *wire)
{
    return (size_t)(wire->end - wire->at);
}

static bool varint(struct sal_wire *wire, uint64_t *value)
{
    uint64_t v = 0;
    size_t most = left(wire) < VARINT_MAX ? left(wire) : VARINT_MAX;
    for (size_t i = 0; i < most; i++) {
        uint8_t byte = wire->at[i];
        if (i == VARINT_MAX - 1 && byte > 1)
            return fault(wire, "a varint has more than 64 bits");
        v |= (uint64_t)(byte & 127) << (7 * i);
        if (byte < 128) {
            wire->at += i + 1;
            *value = v;
            return true;
        }
    }
    return fault(wire, "a varint is cut short");
}

static bool fixed(struct sal_wire *wire, struct sal_wire_field *field, size_t size)
{
    if (left(wire) < size)
        return fault(wire, "a number is cut short");
    field->value = 0;
    for (size_t i = 0; i < size; i++)
        field->value |= (uint64_t)wire->at[i] << (8 * i);
    wire->at += size;
    return true;
}

static bool delimited(struct sal_wire *wire, struct sal_wire_field *field)
{
    uint64_t size;
    if (!varint(wire, &size))
        return false;
    if (size > left(wire))
        return fault(wire, "a length runs past the end");
    field->value = 0;
    field->bytes = (struct sal_span){wire->at, (size_t)size};
    wire->at += size;
    return true;
}

bool sal_wire_value(struct sal_wire *wire, enum sal_wire_type type,
                    struct sal_wire_field *field)
{
    const uint8_t *start = wire->at;
    if (wire->fault || start == wire->end)
        return false;
    field->type = type;
    bool good = false;
    switch (type) {
    case SAL_WIRE_VARINT:
        good = varint(wire, &field->value);
        break;
    case SAL_WIRE_64:
        good = fixed(wire, field, 8);
        break;
    case SAL_WIRE_32:
        good = fixed(wire, field, 4);
        break;
    case SAL_WIRE_BYTES:
        return delimited(wire, field);
    }
    field->bytes = (struct sal_span){start, (size_t)(wire->at - start)};
    return good;
}

bool sal_wire_next(struct sal_wire *wire, struct sal_wire_field *field)
{
    if (wire->fault || wire->at == wire->end)
        return false;
    struct sal_wire ahead = *wire;
    uint64_t key;
    if (!varint(&ahead, &key))
        return fault(wire, ahead.fault);
    unsigned type = key & 7;
    if (key >> 3 == 0 || key >> 3 > NUMBER_MAX)
        return fault(wire, "a field number is out of range");
    if (type == 3 || type == 4)
        return fault(wire, "groups are not used in ONNX");
    if (type > SAL_WIRE_32)
        return fault(wire, "a field has an unknown wire type");
    *wire = ahead;
    field->number = (uint32_t)(key >> 3);
    if (wire->at == wire->end)
        return fault(wire, "a field has no value");
    return sal_wire_value(wire, (enum sal_wire_type)type, field);
}

size_t sal_wire_count(struct sal_span packed, enum sal_wire_type type)
{
    if (type != SAL_WIRE_VARINT)
        return packed.size / (type == SAL_WIRE_64 ? 8 : 4);
    size_t count = 0;
    for (size_t i = 0; i < packed.size; i++)
        count += packed.data[i] < 128;
    return count;
}
