/*
 * Growable byte buffer with a sticky failure.
 *
 * Appending never needs checking one by one: once memory runs out, `failed`
 * stays set, further appends do nothing, and the consumer checks once. A zeroed
 * struct is an empty buffer. One thread at a time.
 */
#ifndef SALISCOPE_BUFFER_H
#define SALISCOPE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sal_buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    bool failed;
};

void sal_buffer_release(struct sal_buffer *buffer);
void sal_buffer_append(struct sal_buffer *buffer, const void *data, size_t size);
void sal_buffer_format(struct sal_buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
