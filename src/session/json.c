#include "saliscope/json.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void put(struct sal_json *json, const char *text)
{
    sal_buffer_append(json->out, text, strlen(text));
}

static void new_line(struct sal_json *json)
{
    put(json, "\n");
    for (int i = 0; i < json->depth; i++)
        put(json, "  ");
}

/* The code point at text and its length; -1 and 1 where it is malformed. */
static long decode(const unsigned char *text, int *length)
{
    static const long least[] = {0, 0, 0x80, 0x800, 0x10000};
    *length = 1;
    int n = text[0] < 0x80 ? 1 : text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    if (n == 1)
        return text[0];
    if (text[0] < 0xc2 || text[0] > 0xf4)
        return -1;
    long point = text[0] & (0xff >> (n + 1));
    for (int i = 1; i < n; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return -1;
        point = point << 6 | (text[i] & 0x3f);
    }
    if (point < least[n] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return -1;
    *length = n;
    return point;
}

/* Controls, and what hides or reorders text; all below U+10000 but the tags. */
static bool hidden(long point)
{
    static const struct {
        long first, last;
    } ranges[] = {{0x00, 0x1f},     {0x7f, 0x9f},     {0x061c, 0x061c},
                  {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f},
                  {0xfeff, 0xfeff}, {0xfff9, 0xfffb}};
    for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++)
        if (point >= ranges[i].first && point <= ranges[i].last)
            return true;
    return false;
}

static void put_string(struct sal_json *json, const char *text)
{
    put(json, "\"");
    for (const char *at = text; *at;) {
        int length;
        long point = decode((const unsigned char *)at, &length);
        if (point < 0)
            put(json, "\xef\xbf\xbd");
        else if (point == '"' || point == '\\')
            sal_buffer_format(json->out, "\\%c", (char)point);
        else if (hidden(point))
            sal_buffer_format(json->out, "\\u%04lx", point);
        else
            sal_buffer_append(json->out, at, (size_t)length);
        at += length;
    }
    put(json, "\"");
}

/* The comma, the line and the key before a value. */
static void lead_in(struct sal_json *json, const char *key)
{
    if (json->depth == 0)
        return;
    int level = json->depth - 1;
    assert((json->open[level] == '{') == (key != NULL));
    if (json->begun[level])
        put(json, ",");
    json->begun[level] = true;
    new_line(json);
    if (key) {
        put_string(json, key);
        put(json, ": ");
    }
}

static void begin(struct sal_json *json, const char *key, char open)
{
    lead_in(json, key);
    assert(json->depth < SAL_JSON_DEPTH_MAX);
    json->open[json->depth] = open;
    json->begun[json->depth] = false;
    json->depth++;
    sal_buffer_append(json->out, &open, 1);
}

void sal_json_object(struct sal_json *json, const char *key)
{
    begin(json, key, '{');
}

void sal_json_array(struct sal_json *json, const char *key)
{
    begin(json, key, '[');
}

void sal_json_end(struct sal_json *json)
{
    assert(json->depth > 0);
    json->depth--;
    if (json->begun[json->depth])
        new_line(json);
    put(json, json->open[json->depth] == '{' ? "}" : "]");
    if (json->depth == 0)
        put(json, "\n");
}

void sal_json_text(struct sal_json *json, const char *key, const char *text)
{
    lead_in(json, key);
    if (text)
        put_string(json, text);
    else
        put(json, "null");
}

static void put_real(struct sal_json *json, double value)
{
    if (!isfinite(value)) {
        put(json, "null");
        return;
    }
    char text[40], plain[40];
    snprintf(text, sizeof(text), "%.9g", value);
    size_t n = 0;
    for (const char *at = text; *at;) { /* the locale's decimal sign, any bytes */
        size_t same = strspn(at, "+-0123456789e.");
        memcpy(plain + n, at, same);
        n += same;
        at += same;
        if (*at) {
            plain[n++] = '.';
            at += strcspn(at, "+-0123456789e");
        }
    }
    sal_buffer_append(json->out, plain, n);
}

void sal_json_real(struct sal_json *json, const char *key, double value)
{
    lead_in(json, key);
    put_real(json, value);
}

void sal_json_int(struct sal_json *json, const char *key, int64_t value)
{
    lead_in(json, key);
    sal_buffer_format(json->out, "%" PRId64, value);
}

void sal_json_bool(struct sal_json *json, const char *key, bool value)
{
    lead_in(json, key);
    put(json, value ? "true" : "false");
}

void sal_json_reals(struct sal_json *json, const char *key, const double *values, int n)
{
    lead_in(json, key);
    put(json, "[");
    for (int i = 0; i < n; i++) {
        put(json, i ? ", " : "");
        put_real(json, values[i]);
    }
    put(json, "]");
}

void sal_json_ints(struct sal_json *json, const char *key, const int64_t *values, int n)
{
    lead_in(json, key);
    put(json, "[");
    for (int i = 0; i < n; i++)
        sal_buffer_format(json->out, "%s%" PRId64, i ? ", " : "", values[i]);
    put(json, "]");
}
