/*
 * Protobuf's wire format, read within bounds.
 *
 * A wire walks the fields of one message. Whatever is malformed - a varint over
 * ten bytes or 64 bits, field number 0, a group, a length beyond what remains -
 * ends the walk with `fault` set, which the caller looks at once, after the loop.
 * Spans point into the bytes given; nothing is copied. No state, any thread.
 */
#ifndef SALISCOPE_IO_WIRE_H
#define SALISCOPE_IO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "saliscope/file.h"

enum sal_wire_type { SAL_WIRE_VARINT = 0, SAL_WIRE_64 = 1, SAL_WIRE_BYTES = 2, SAL_WIRE_32 = 5 };

struct sal_wire {
    const uint8_t *at, *end;
    const char *fault; /* NULL, or what is wrong at `at`; static text */
};

struct sal_wire_field {
    uint32_t number;
    enum sal_wire_type type;
    uint64_t value;        /* of a varint, or of 32 or 64 fixed bits */
    struct sal_span bytes; /* the value as it stands in the file, tag and length
                              left out */
};

struct sal_wire sal_wire_begin(struct sal_span bytes);

/* The next field; false at the end and at a fault. */
bool sal_wire_next(struct sal_wire *wire, struct sal_wire_field *field);

/* The next bare value of a packed list; false likewise. */
bool sal_wire_value(struct sal_wire *wire, enum sal_wire_type type,
                    struct sal_wire_field *field);

/* Values in a packed list, without decoding them. A length that is no multiple
 * of the value's, or a varint cut short, shows when they are decoded. */
size_t sal_wire_count(struct sal_span packed, enum sal_wire_type type);

#endif
