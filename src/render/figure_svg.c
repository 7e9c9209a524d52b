#include "figure_svg.h"

#include <string.h>

enum { IDS_MAX = 64 };

struct id {
    const uint8_t *text;
    size_t size, letters;
};

static bool between(uint8_t c, uint8_t low, uint8_t high)
{
    return c >= low && c <= high;
}

/* The id at p; size 0 where there is none. */
static struct id read_id(const uint8_t *p, const uint8_t *end)
{
    struct id id = {.text = p};
    while (p < end && between(*p, 'a', 'z'))
        p++;
    id.letters = (size_t)(p - id.text);
    while (p < end && between(*p, '0', '9'))
        p++;
    size_t size = (size_t)(p - id.text);
    bool closed = p < end && (*p == '"' || *p == ')');
    if (closed && id.letters && size > id.letters)
        id.size = size;
    return id;
}

static bool introduces(const uint8_t *start, const uint8_t *p)
{
    return p > start && (p[-1] == '#' || (p - start >= 4 && !memcmp(p - 4, "id=\"", 4)));
}

/* Which of the ids seen this is, from 1; 0 when there are too many. */
static int number_of(struct id *seen, int *n, struct id id)
{
    for (int i = 0; i < *n; i++)
        if (seen[i].size == id.size && !memcmp(seen[i].text, id.text, id.size))
            return i + 1;
    if (*n == IDS_MAX)
        return 0;
    seen[*n] = id;
    return ++*n;
}

void sal_svg_renumber(const struct sal_buffer *svg, struct sal_buffer *out)
{
    struct id seen[IDS_MAX];
    int n = 0;
    const uint8_t *start = svg->data, *end = start + svg->size, *copied = start;
    for (const uint8_t *p = start; p < end; p++) {
        if (!introduces(start, p))
            continue;
        struct id id = read_id(p, end);
        int number = id.size ? number_of(seen, &n, id) : 0;
        if (!number)
            continue;
        sal_buffer_append(out, copied, (size_t)(p - copied) + id.letters);
        sal_buffer_format(out, "%d", number);
        copied = p + id.size;
    }
    sal_buffer_append(out, copied, (size_t)(end - copied));
}
