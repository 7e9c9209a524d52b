#include "saliscope/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "width.h"

enum { REPLACEMENT = 0xfffd };

/* Characters that hide, reorder or command instead of being seen. */
static const struct {
    uint32_t first, last;
} unseen[] = {
    {0x0, 0x1f},         {0x7f, 0x9f},         /* C0, DEL, C1 */
    {0xad, 0xad},        {0x34f, 0x34f},       /* soft hyphen, grapheme joiner */
    {0x61c, 0x61c},                            /* Arabic letter mark */
    {0x115f, 0x1160},    {0x17b4, 0x17b5},     /* fillers */
    {0x180b, 0x180f},    {0x200b, 0x200f},     /* Mongolian; zero width, marks */
    {0x2028, 0x202e},    {0x2060, 0x206f},     /* separators, bidi; invisible */
    {0x3164, 0x3164},    {0xe000, 0xf8ff},     /* filler; private use */
    {0xfdd0, 0xfdef},    {0xfe00, 0xfe0f},     /* no characters; variation selectors */
    {0xfeff, 0xfeff},                          /* byte order mark */
    {0xffa0, 0xffa0},    {0xfff0, 0xfffb},     /* filler; annotations */
    {0xfffe, 0xffff},    {0x1bca0, 0x1bca3},   /* no characters; shorthand */
    {0x1d173, 0x1d17a},  {0xe0000, 0x10ffff},  /* musical; tags, private use */
};

static bool is_unseen(uint32_t code)
{
    for (size_t i = 0; i < sizeof(unseen) / sizeof(*unseen); i++)
        if (code >= unseen[i].first && code <= unseen[i].last)
            return true;
    return false;
}

/* Decodes the character at text into *code and returns its bytes; a malformed
 * one gives its first byte as the replacement character. */
static size_t decode(const char *text, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t lead = (uint8_t)*text;
    size_t size = lead < 0x80 ? 1 : lead < 0xc0 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3
                : lead < 0xf8 ? 4 : 0;
    uint32_t value = size == 1 ? lead : lead & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        uint8_t next = (uint8_t)text[i];
        if ((next & 0xc0) != 0x80) /* the terminator too */
            size = 0;
        value = value << 6 | (next & 0x3f);
    }
    if (!size || value < least[size] || value > 0x10ffff ||
        (value >= 0xd800 && value <= 0xdfff)) {
        *code = REPLACEMENT;
        return 1;
    }
    *code = value;
    return size;
}

char *sal_text_clean(char *dst, size_t capacity, const char *text)
{
    static const char replacement[] = "\xef\xbf\xbd";
    if (!capacity)
        return dst;
    size_t used = 0;
    while (*text) {
        uint32_t code;
        size_t size = decode(text, &code);
        bool keep = code != REPLACEMENT && !is_unseen(code);
        size_t bytes = keep ? size : sizeof(replacement) - 1;
        if (bytes > capacity - 1 - used)
            break;
        memcpy(dst + used, keep ? text : replacement, bytes);
        used += bytes;
        text += size;
    }
    dst[used] = '\0';
    return dst;
}

int sal_text_columns(const char *text)
{
    int columns = 0;
    while (*text) {
        uint32_t code;
        text += decode(text, &code);
        columns += width_of(code);
    }
    return columns;
}

/* Bytes of the longest start of text that takes at most `columns` columns and
 * `most` bytes. */
static size_t fitting(const char *text, int columns, size_t most)
{
    size_t used = 0;
    while (text[used]) {
        uint32_t code;
        size_t size = decode(text + used, &code);
        int width = width_of(code);
        if (width > columns || size > most - used)
            break;
        columns -= width;
        used += size;
    }
    return used;
}

void sal_text_clip(char *text, int columns, int ascii)
{
    size_t size = strlen(text);
    if (columns <= 0)
        *text = '\0';
    if (columns <= 0 || fitting(text, columns, size) == size)
        return;
    /* In place: the mark may not take more bytes than what it replaces. */
    const char *mark = ascii || size < 3 ? "~" : "\xe2\x80\xa6";
    size_t bytes = strlen(mark);
    size_t kept = fitting(text, columns - 1, size - bytes);
    memcpy(text + kept, mark, bytes + 1);
}
