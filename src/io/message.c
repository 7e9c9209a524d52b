#include "message.h"

#include <limits.h>
#include <string.h>

#include "saliscope/onnx.h"

enum { TEXT_CHUNK = 16 * 1024, LONG_TEXT_MAX = 16 * 1024 * 1024 };

/* What the first pass learns of a field. */
struct tally {
    size_t values, chunks, bytes; /* chunks: occurrences on the wire */
    size_t filled;                /* second pass: values or bytes in place */
    char *memory;
};

enum sal_status sal_reader_no_memory(struct sal_reader *reader)
{
    return sal_fail(reader->err, SAL_LIMIT,
                    "describing the model takes more than %zu MiB",
                    reader->arena->limit >> 20);
}

static enum sal_status fail_at(struct sal_reader *reader, const uint8_t *at,
                               const char *message, const char *text)
{
    return sal_fail(reader->err, SAL_BAD_INPUT, "byte %zu, in a %s: %s",
                    (size_t)(at - reader->origin), message, text);
}

static int find(const struct sal_message *message, uint32_t number)
{
    for (int i = 0; message->fields[i].number; i++) {
        if (message->fields[i].number == number)
            return i;
    }
    return -1;
}

static bool packed(const struct sal_field *row, const struct sal_wire_field *field)
{
    return field->type == SAL_WIRE_BYTES && row->wire != SAL_WIRE_BYTES;
}

static bool may_be_packed(const struct sal_field *row)
{
    return row->kind != SAL_FIELD_ONE && row->wire != SAL_WIRE_BYTES;
}

static enum sal_status count_field(struct sal_reader *reader,
                                   const struct sal_message *message,
                                   const struct sal_field *row,
                                   const struct sal_wire_field *field,
                                   struct tally *tally)
{
    if (field->type != row->wire && !(packed(row, field) && may_be_packed(row)))
        return sal_fail(reader->err, SAL_BAD_INPUT,
                        "byte %zu: %s.%s has wire type %d instead of %d",
                        (size_t)(field->bytes.data - reader->origin), message->name,
                        row->name, (int)field->type, (int)row->wire);
    tally->chunks++;
    tally->bytes += field->bytes.size;
    tally->values += packed(row, field) ? sal_wire_count(field->bytes, row->wire) : 1;
    if (row->kind == SAL_FIELD_ONE && tally->chunks > 1)
        return sal_fail(reader->err, SAL_BAD_INPUT, "byte %zu: a second %s.%s",
                        (size_t)(field->bytes.data - reader->origin), message->name,
                        row->name);
    size_t most = row->most ? (size_t)row->most : INT_MAX;
    if (tally->values > most)
        return sal_fail(reader->err, SAL_BAD_INPUT, "a %s has more than %zu %s fields",
                        message->name, most, row->name);
    return SAL_OK;
}

static enum sal_status count(struct sal_reader *reader, const struct sal_message *message,
                             struct sal_span bytes, struct tally *tallies)
{
    struct sal_wire wire = sal_wire_begin(bytes);
    struct sal_wire_field field;
    enum sal_status status = SAL_OK;
    while (status == SAL_OK && sal_wire_next(&wire, &field)) {
        int i = find(message, field.number);
        if (i >= 0)
            status = count_field(reader, message, &message->fields[i], &field, &tallies[i]);
    }
    if (status == SAL_OK && wire.fault)
        return fail_at(reader, wire.at, message->name, wire.fault);
    return status;
}

/* Where the second pass puts the values of a field. */
static enum sal_status reserve(struct sal_reader *reader, const struct sal_field *row,
                               struct tally *tally, char *into)
{
    if (row->counter >= 0) {
        int n = (int)tally->values;
        memcpy(into + row->counter, &n, sizeof n);
    }
    tally->memory = into + row->offset;
    bool joined = row->kind == SAL_FIELD_GATHER && tally->chunks > 1;
    if (row->kind == SAL_FIELD_MANY && tally->values)
        tally->memory = sal_arena_alloc(reader->arena, tally->values, row->size);
    else if (joined)
        tally->memory = sal_arena_alloc(reader->arena, tally->bytes, 1);
    if (!tally->memory)
        return sal_reader_no_memory(reader);
    if (row->kind == SAL_FIELD_MANY && tally->values)
        memcpy(into + row->offset, &tally->memory, sizeof tally->memory);
    if (joined) {
        struct sal_span span = {(const uint8_t *)tally->memory, tally->bytes};
        memcpy(into + row->offset, &span, sizeof span);
    }
    return SAL_OK;
}

static void gather(struct tally *tally, const struct sal_wire_field *field)
{
    if (tally->chunks == 1) {
        memcpy(tally->memory, &field->bytes, sizeof field->bytes);
    } else if (field->bytes.size) {
        memcpy(tally->memory + tally->filled, field->bytes.data, field->bytes.size);
        tally->filled += field->bytes.size;
    }
}

static enum sal_status fill_packed(struct sal_reader *reader,
                                   const struct sal_message *message,
                                   const struct sal_field *row,
                                   const struct sal_wire_field *field,
                                   struct tally *tally)
{
    struct sal_wire wire = sal_wire_begin(field->bytes);
    struct sal_wire_field value;
    enum sal_status status = SAL_OK;
    while (status == SAL_OK && tally->filled < tally->values &&
           sal_wire_value(&wire, row->wire, &value))
        status = row->read(reader, tally->memory + row->size * tally->filled++, &value);
    if (status == SAL_OK && wire.fault)
        return fail_at(reader, wire.at, message->name, wire.fault);
    if (status == SAL_OK && wire.at != wire.end)
        return fail_at(reader, wire.at, message->name, "a packed list is cut short");
    return status;
}

static enum sal_status fill_field(struct sal_reader *reader,
                                  const struct sal_message *message,
                                  const struct sal_field *row,
                                  const struct sal_wire_field *field,
                                  struct tally *tally)
{
    if (row->kind == SAL_FIELD_COUNT)
        return SAL_OK;
    if (row->kind == SAL_FIELD_GATHER) {
        gather(tally, field);
        return SAL_OK;
    }
    if (packed(row, field))
        return fill_packed(reader, message, row, field, tally);
    return row->read(reader, tally->memory + row->size * tally->filled++, field);
}

static enum sal_status fill(struct sal_reader *reader, const struct sal_message *message,
                            struct sal_span bytes, struct tally *tallies)
{
    struct sal_wire wire = sal_wire_begin(bytes);
    struct sal_wire_field field;
    enum sal_status status = SAL_OK;
    while (status == SAL_OK && sal_wire_next(&wire, &field)) {
        int i = find(message, field.number);
        if (i >= 0)
            status = fill_field(reader, message, &message->fields[i], &field, &tallies[i]);
    }
    return status;
}

enum sal_status sal_message_read(struct sal_reader *reader,
                                 const struct sal_message *message,
                                 struct sal_span bytes, void *into)
{
    struct tally tallies[SAL_FIELDS_MAX] = {{0}};
    if (reader->depth >= SAL_ONNX_DEPTH_MAX)
        return sal_fail(reader->err, SAL_BAD_INPUT, "messages are nested over %d deep",
                        SAL_ONNX_DEPTH_MAX);
    reader->depth++;
    enum sal_status status = count(reader, message, bytes, tallies);
    for (int i = 0; status == SAL_OK && message->fields[i].number; i++)
        status = reserve(reader, &message->fields[i], &tallies[i], into);
    if (status == SAL_OK)
        status = fill(reader, message, bytes, tallies);
    reader->depth--;
    return status;
}

/* ---- plain values ---- */

const char *sal_reader_text(struct sal_reader *reader, struct sal_span text)
{
    if (text.size == 0)
        return "";
    if (text.size >= TEXT_CHUNK / 4)
        return sal_arena_copy(reader->arena, (const char *)text.data, text.size);
    if (reader->text_left <= text.size) {
        reader->text = sal_arena_alloc(reader->arena, TEXT_CHUNK, 1);
        reader->text_left = reader->text ? TEXT_CHUNK : 0;
        if (!reader->text)
            return NULL;
    }
    char *copy = reader->text;
    memcpy(copy, text.data, text.size);
    reader->text += text.size + 1;
    reader->text_left -= text.size + 1;
    return copy;
}

static enum sal_status read_text(struct sal_reader *reader, const char **at,
                                 struct sal_span text, size_t most)
{
    size_t offset = (size_t)(text.data - reader->origin);
    if (text.size > most)
        return sal_fail(reader->err, SAL_BAD_INPUT, "byte %zu: a string of %zu bytes, at "
                        "most %zu are read", offset, text.size, most);
    if (text.size && memchr(text.data, 0, text.size))
        return sal_fail(reader->err, SAL_BAD_INPUT, "byte %zu: a string holds a NUL byte",
                        offset);
    const char *copy = sal_reader_text(reader, text);
    if (!copy)
        return sal_reader_no_memory(reader); /* *at stays what messages can quote */
    *at = copy;
    return SAL_OK;
}

enum sal_status sal_read_text(struct sal_reader *reader, void *at,
                              const struct sal_wire_field *field)
{
    return read_text(reader, at, field->bytes, SAL_ONNX_STRING_MAX);
}

enum sal_status sal_read_long_text(struct sal_reader *reader, void *at,
                                   const struct sal_wire_field *field)
{
    return read_text(reader, at, field->bytes, LONG_TEXT_MAX);
}

enum sal_status sal_read_span(struct sal_reader *reader, void *at,
                              const struct sal_wire_field *field)
{
    (void)reader;
    memcpy(at, &field->bytes, sizeof field->bytes);
    return SAL_OK;
}

enum sal_status sal_read_int64(struct sal_reader *reader, void *at,
                               const struct sal_wire_field *field)
{
    (void)reader;
    memcpy(at, &field->value, sizeof field->value);
    return SAL_OK;
}

enum sal_status sal_read_int(struct sal_reader *reader, void *at,
                             const struct sal_wire_field *field)
{
    int64_t value = (int64_t)field->value;
    if (value < INT_MIN || value > INT_MAX)
        return sal_fail(reader->err, SAL_BAD_INPUT, "byte %zu: a number is out of range",
                        (size_t)(field->bytes.data - reader->origin));
    *(int *)at = (int)value;
    return SAL_OK;
}

enum sal_status sal_read_float(struct sal_reader *reader, void *at,
                               const struct sal_wire_field *field)
{
    (void)reader;
    uint32_t bits = (uint32_t)field->value;
    memcpy(at, &bits, sizeof bits);
    return SAL_OK;
}
