#include "saliscope/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sal_buffer_release(struct sal_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct sal_buffer){0};
}

/* Makes room for `more` bytes behind the used ones. */
static bool reserve(struct sal_buffer *buffer, size_t more)
{
    size_t need;
    if (buffer->failed || __builtin_add_overflow(buffer->size, more, &need) ||
        need > SIZE_MAX / 2)
        return !(buffer->failed = true);
    if (need <= buffer->capacity)
        return true;
    size_t capacity = buffer->capacity ? buffer->capacity : 256;
    while (capacity < need)
        capacity *= 2;
    uint8_t *data = realloc(buffer->data, capacity);
    if (!data)
        return !(buffer->failed = true);
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

void sal_buffer_append(struct sal_buffer *buffer, const void *data, size_t size)
{
    if (!size || !reserve(buffer, size))
        return;
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

void sal_buffer_format(struct sal_buffer *buffer, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size < 0)
        buffer->failed = true;
    else if (reserve(buffer, (size_t)size + 1)) {
        vsnprintf((char *)buffer->data + buffer->size, (size_t)size + 1, format, again);
        buffer->size += (size_t)size;
    }
    va_end(again);
}
