#include "saliscope/npy.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "arrays are little endian");

enum {
    RANK_MAX = 8,
    PREFIX = 10, /* magic, version, header length of format 1.0 */
    ALIGNMENT = 64,
};

static const uint8_t magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

/* False when a dimension is negative or the product does not fit. */
static bool count_of(const int64_t *shape, int rank, int64_t *count)
{
    *count = 1;
    for (int i = 0; i < rank; i++)
        if (shape[i] < 0 || __builtin_mul_overflow(*count, shape[i], count))
            return false;
    return true;
}

/* ---- writing -------------------------------------------------------------------- */

static void encode_header(struct sal_buffer *buffer, const int64_t *shape, int rank)
{
    struct sal_buffer text = {0};
    sal_buffer_format(&text, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < rank; i++)
        sal_buffer_format(&text, "%lld%s", (long long)shape[i],
                          rank == 1 ? "," : i + 1 < rank ? ", " : "");
    sal_buffer_format(&text, "), }");
    size_t unpadded = PREFIX + text.size + 1;
    size_t padding = (ALIGNMENT - unpadded % ALIGNMENT) % ALIGNMENT;
    sal_buffer_format(&text, "%*s\n", (int)padding, "");
    uint8_t prefix[PREFIX] = {[6] = 1, [7] = 0, [8] = (uint8_t)text.size,
                              [9] = (uint8_t)(text.size >> 8)};
    memcpy(prefix, magic, sizeof(magic));
    sal_buffer_append(buffer, prefix, sizeof(prefix));
    sal_buffer_append(buffer, text.data, text.size);
    buffer->failed |= text.failed;
    sal_buffer_release(&text);
}

void sal_npy_encode(struct sal_buffer *buffer, const float *data, const int64_t *shape,
                    int rank)
{
    int64_t count, size;
    if (rank < 0 || rank > RANK_MAX || !count_of(shape, rank, &count) ||
        __builtin_mul_overflow(count, (int64_t)sizeof(*data), &size)) {
        buffer->failed = true;
        return;
    }
    encode_header(buffer, shape, rank);
    sal_buffer_append(buffer, data, (size_t)size);
}

static void append_le(struct sal_buffer *buffer, uint32_t value, size_t size)
{
    sal_buffer_append(buffer, &value, size);
}

/* What local and central headers share: from "version needed" to the name's
 * length. The date is the format's first day, so that files are reproducible. */
static void append_entry(struct sal_buffer *buffer, uint32_t crc, uint32_t size,
                         size_t name_size)
{
    append_le(buffer, 20, 2);
    append_le(buffer, 0, 2);  /* flags */
    append_le(buffer, 0, 2);  /* stored */
    append_le(buffer, 0, 2);  /* time */
    append_le(buffer, 33, 2); /* 1980-01-01 */
    append_le(buffer, crc, 4);
    append_le(buffer, size, 4);
    append_le(buffer, size, 4);
    append_le(buffer, (uint32_t)name_size, 2);
}

struct zipped {
    uint32_t crc, size, offset;
};

static enum sal_status append_array(struct sal_buffer *zip, const struct sal_npz_entry *entry,
                                    size_t start, struct zipped *zipped, struct sal_error *err)
{
    struct sal_buffer array = {0};
    sal_npy_encode(&array, entry->data, entry->shape, entry->rank);
    size_t name_size = strlen(entry->name) + strlen(".npy");
    bool fits = !array.failed && zip->size - start < UINT32_MAX && array.size < UINT32_MAX &&
                name_size <= UINT16_MAX;
    if (fits) {
        zipped->crc = (uint32_t)crc32_z(0, array.data, array.size);
        zipped->size = (uint32_t)array.size;
        zipped->offset = (uint32_t)(zip->size - start);
        append_le(zip, 0x04034B50, 4);
        append_entry(zip, zipped->crc, zipped->size, name_size);
        append_le(zip, 0, 2);
        sal_buffer_format(zip, "%s.npy", entry->name);
        sal_buffer_append(zip, array.data, array.size);
    }
    sal_buffer_release(&array);
    return fits ? SAL_OK
                : sal_fail(err, SAL_LIMIT, "array '%s' does not fit into a zip", entry->name);
}

static void append_directory(struct sal_buffer *zip, size_t start,
                             const struct sal_npz_entry *entries, const struct zipped *zipped,
                             int n)
{
    size_t directory = zip->size;
    for (int i = 0; i < n; i++) {
        append_le(zip, 0x02014B50, 4);
        append_le(zip, 20, 2);
        append_entry(zip, zipped[i].crc, zipped[i].size, strlen(entries[i].name) + 4);
        append_le(zip, 0, 4); /* no extra field, no comment */
        append_le(zip, 0, 4); /* first disk, binary */
        append_le(zip, 0, 4); /* external attributes */
        append_le(zip, zipped[i].offset, 4);
        sal_buffer_format(zip, "%s.npy", entries[i].name);
    }
    size_t size = zip->size - directory;
    append_le(zip, 0x06054B50, 4);
    append_le(zip, 0, 4);
    append_le(zip, (uint32_t)n, 2);
    append_le(zip, (uint32_t)n, 2);
    append_le(zip, (uint32_t)size, 4);
    append_le(zip, (uint32_t)(directory - start), 4);
    append_le(zip, 0, 2);
}

enum sal_status sal_npz_encode(struct sal_buffer *buffer, const struct sal_npz_entry *entries,
                               int n, struct sal_error *err)
{
    if (n < 0 || n > UINT16_MAX)
        return sal_fail(err, SAL_LIMIT, "%d arrays do not fit into a zip", n);
    struct zipped *zipped = calloc((size_t)n + 1, sizeof(*zipped));
    if (!zipped)
        return sal_fail(err, SAL_LIMIT, "no memory for %d arrays", n);
    size_t start = buffer->size;
    enum sal_status status = SAL_OK;
    for (int i = 0; !status && i < n; i++)
        status = append_array(buffer, &entries[i], start, &zipped[i], err);
    if (!status && buffer->size - start >= UINT32_MAX)
        status = sal_fail(err, SAL_LIMIT, "the arrays do not fit into a zip of 4 GiB");
    if (!status)
        append_directory(buffer, start, entries, zipped, n);
    free(zipped);
    if (!status && buffer->failed)
        status = sal_fail(err, SAL_LIMIT, "no memory for the arrays");
    return status;
}

/* ---- reading -------------------------------------------------------------------- */

/* The header is the text of a Python dictionary. */
struct header {
    const char *at, *end;
    char descr[16];
    int fortran; /* -1: not given */
    int64_t shape[RANK_MAX];
    int rank; /* -1: not given */
};

static void skip_space(struct header *header)
{
    while (header->at < header->end && strchr(" \t\r\n", *header->at) && *header->at)
        header->at++;
}

static bool take(struct header *header, char wanted)
{
    skip_space(header);
    if (header->at == header->end || *header->at != wanted)
        return false;
    header->at++;
    return true;
}

static bool take_word(struct header *header, const char *word)
{
    skip_space(header);
    size_t size = strlen(word);
    if ((size_t)(header->end - header->at) < size || memcmp(header->at, word, size) != 0)
        return false;
    header->at += size;
    return true;
}

static bool take_string(struct header *header, char *text, size_t capacity)
{
    skip_space(header);
    char quote = header->at < header->end ? *header->at : 0;
    if (quote != '\'' && quote != '"')
        return false;
    header->at++;
    for (size_t n = 0; header->at < header->end && n < capacity; n++) {
        text[n] = *header->at++;
        if (text[n] == quote) {
            text[n] = '\0';
            return true;
        }
    }
    return false;
}

static bool take_number(struct header *header, int64_t *value)
{
    skip_space(header);
    const char *from = header->at;
    *value = 0;
    for (; header->at < header->end && *header->at >= '0' && *header->at <= '9'; header->at++)
        if (__builtin_mul_overflow(*value, 10, value) ||
            __builtin_add_overflow(*value, *header->at - '0', value))
            return false;
    return header->at > from;
}

static bool take_shape(struct header *header)
{
    if (!take(header, '('))
        return false;
    header->rank = 0;
    while (!take(header, ')')) {
        if (header->rank == RANK_MAX || !take_number(header, &header->shape[header->rank++]))
            return false;
        if (!take(header, ','))
            return take(header, ')');
    }
    return true;
}

static bool take_value(struct header *header, const char *key)
{
    if (strcmp(key, "descr") == 0)
        return take_string(header, header->descr, sizeof(header->descr));
    if (strcmp(key, "shape") == 0)
        return take_shape(header);
    if (strcmp(key, "fortran_order") != 0)
        return false;
    header->fortran = take_word(header, "True");
    return header->fortran || take_word(header, "False");
}

static bool parse_entries(struct header *header)
{
    char key[16];
    while (!take(header, '}')) {
        if (!take_string(header, key, sizeof(key)) || !take(header, ':') ||
            !take_value(header, key))
            return false;
        if (!take(header, ','))
            return take(header, '}');
    }
    return true;
}

static bool parse_header(struct header *header)
{
    return take(header, '{') && parse_entries(header) && header->descr[0] &&
           header->fortran >= 0 && header->rank >= 0;
}

/* Finds the header's text and what follows it. */
static bool split(struct sal_span bytes, struct header *header, struct sal_span *data)
{
    if (bytes.size < PREFIX || memcmp(bytes.data, magic, sizeof(magic)) != 0)
        return false;
    size_t prefix = bytes.data[6] == 1 ? PREFIX : PREFIX + 2, size = 0;
    if (bytes.data[6] < 1 || bytes.data[6] > 3 || bytes.size < prefix)
        return false;
    for (size_t i = prefix; i-- > 8;)
        size = size << 8 | bytes.data[i];
    if (size > bytes.size - prefix)
        return false;
    header->at = (const char *)bytes.data + prefix;
    header->end = header->at + size;
    *data = (struct sal_span){bytes.data + prefix + size, bytes.size - prefix - size};
    return true;
}

static enum sal_status check_kind(const struct header *header, const char *name, size_t *width,
                                  struct sal_error *err)
{
    *width = strcmp(header->descr, "<f4") == 0 ? 4 : strcmp(header->descr, "<f8") == 0 ? 8 : 0;
    if (!*width)
        return sal_fail(err, SAL_UNSUPPORTED, "%s: elements are '%s'; '<f4' and '<f8' are read",
                        name, header->descr);
    if (header->fortran && header->rank > 1)
        return sal_fail(err, SAL_UNSUPPORTED, "%s: in Fortran order; C order is read", name);
    return SAL_OK;
}

static void copy_elements(float *to, const uint8_t *from, int64_t count, size_t width)
{
    for (int64_t i = 0; i < count; i++, from += width) {
        double wide;
        if (width == sizeof(float)) {
            memcpy(&to[i], from, sizeof(float));
        } else {
            memcpy(&wide, from, sizeof(wide));
            to[i] = (float)wide;
        }
    }
}

enum sal_status sal_npy_decode(struct sal_npy *array, struct sal_span bytes, const char *name,
                               struct sal_error *err)
{
    *array = (struct sal_npy){0};
    struct header header = {.fortran = -1, .rank = -1};
    struct sal_span data;
    if (!split(bytes, &header, &data))
        return sal_fail(err, SAL_BAD_INPUT, "%s: not a NumPy array (.npy) or truncated", name);
    if (!parse_header(&header))
        return sal_fail(err, SAL_BAD_INPUT, "%s: malformed NumPy header", name);
    size_t width;
    enum sal_status status = check_kind(&header, name, &width, err);
    if (status)
        return status;
    int64_t count, size;
    if (!count_of(header.shape, header.rank, &count) ||
        __builtin_mul_overflow(count, (int64_t)width, &size) || (uint64_t)size != data.size)
        return sal_fail(err, SAL_BAD_INPUT, "%s: %zu bytes of data do not fit its shape", name,
                        data.size);
    array->data = malloc(count ? (size_t)count * sizeof(float) : 1);
    if (!array->data)
        return sal_fail(err, SAL_LIMIT, "%s: no memory for %lld elements", name,
                        (long long)count);
    copy_elements(array->data, data.data, count, width);
    memcpy(array->shape, header.shape, sizeof(header.shape));
    array->rank = header.rank;
    array->count = count;
    return SAL_OK;
}

void sal_npy_release(struct sal_npy *array)
{
    free(array->data);
    *array = (struct sal_npy){0};
}
