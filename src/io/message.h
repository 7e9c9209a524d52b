/*
 * Protobuf messages into structs, by table.
 *
 * A message is a table of the fields we know; every other field is skipped. It is
 * walked twice: the first pass counts and refuses (too many, a singular field
 * twice, a wrong wire type), then arrays of exactly those sizes are taken from
 * the arena, the second pass fills them. Private to the ONNX reader.
 */
#ifndef SALISCOPE_IO_MESSAGE_H
#define SALISCOPE_IO_MESSAGE_H

#include "saliscope/arena.h"
#include "saliscope/status.h"
#include "wire.h"

struct sal_external;

struct sal_reader {
    struct sal_arena *arena;
    struct sal_error *err;
    const uint8_t *origin;         /* byte 0 of the file, for messages */
    struct sal_external *external; /* NULL: external data is refused */
    int depth, graph_depth;
    int nodes; /* of all graphs so far */
    char *text; /* small strings are cut from here */
    size_t text_left;
};

/* Reads one value into the element at `at`. */
typedef enum sal_status sal_field_read(struct sal_reader *reader, void *at,
                                       const struct sal_wire_field *field);

enum sal_field_kind {
    SAL_FIELD_ONE,    /* into the struct itself; a second one is refused */
    SAL_FIELD_MANY,   /* a pointer to an array from the arena */
    SAL_FIELD_INLINE, /* an array inside the struct */
    SAL_FIELD_GATHER, /* struct sal_span: the values' bytes, joined if need be */
    SAL_FIELD_COUNT,  /* only counted */
};

struct sal_field {
    const char *name;
    uint32_t number;
    enum sal_wire_type wire;
    enum sal_field_kind kind;
    sal_field_read *read;
    size_t offset; /* of the value, array, array pointer or span */
    size_t size;   /* of one element */
    int most;      /* elements allowed; 0: any number (bytes are there for them) */
    ptrdiff_t counter; /* offset of the int that is told how many; -1: none */
};

struct sal_message {
    const char *name;
    const struct sal_field *fields; /* ends with number 0 */
};

enum { SAL_FIELDS_MAX = 24 };

enum sal_status sal_message_read(struct sal_reader *reader,
                                 const struct sal_message *message,
                                 struct sal_span bytes, void *into);

/* Readers of plain values: const char * (no NUL inside, at most
 * SAL_ONNX_STRING_MAX bytes), the same up to 16 MiB, struct sal_span, int64_t, int,
 * float. */
sal_field_read sal_read_text, sal_read_long_text, sal_read_span, sal_read_int64,
    sal_read_int, sal_read_float;

/* A NUL-terminated copy; NULL: over the arena's limit. */
const char *sal_reader_text(struct sal_reader *reader, struct sal_span text);

/* sal_fail with SAL_LIMIT: the description takes too much memory. */
enum sal_status sal_reader_no_memory(struct sal_reader *reader);

#endif
