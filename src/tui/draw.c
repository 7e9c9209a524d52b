#include "draw.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "saliscope/text.h"

enum { TEXT_MAX = 1024 };

struct sal_canvas sal_canvas_of(const struct sal_terminal *terminal, WINDOW *window)
{
    struct sal_canvas canvas = {terminal, window, 0, 0};
    getmaxyx(window, canvas.rows, canvas.columns);
    return canvas;
}

/* Characters the terminal lacks become one question mark each. */
static void to_ascii(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        unsigned char byte = (unsigned char)*from;
        if (byte < 0x80)
            *to++ = *from;
        else if (byte >= 0xC0)
            *to++ = '?';
    }
    *to = '\0';
}

static void clean(const struct sal_canvas *canvas, char dst[TEXT_MAX], const char *text)
{
    sal_text_clean(dst, TEXT_MAX, text);
    if (!canvas->terminal->unicode)
        to_ascii(dst);
}

static void put(const struct sal_canvas *canvas, int y, int x, enum sal_style style,
                const char *text)
{
    wattrset(canvas->window, (int)canvas->terminal->style[style]);
    mvwaddstr(canvas->window, y, x, text);
    wattrset(canvas->window, A_NORMAL);
}

int sal_draw(const struct sal_canvas *canvas, int y, int x, int columns,
             enum sal_style style, const char *format, ...)
{
    if (columns > canvas->columns - x)
        columns = canvas->columns - x;
    if (y < 0 || y >= canvas->rows || x < 0 || columns < 1)
        return 0;
    char raw_text[TEXT_MAX], text[TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(raw_text, sizeof(raw_text), format, args);
    va_end(args);
    clean(canvas, text, raw_text);
    sal_text_clip(text, columns, !canvas->terminal->unicode);
    put(canvas, y, x, style, text);
    return sal_text_columns(text);
}

/* How many bytes of text fit into `columns`, ending at a blank if there is one. */
static size_t fitting(const char *text, int columns)
{
    size_t size = 0, blank = 0;
    char head[TEXT_MAX];
    while (text[size]) {
        size_t next = size + 1;
        while ((text[next] & 0xC0) == 0x80)
            next++;
        memcpy(head, text, next);
        head[next] = '\0';
        if (sal_text_columns(head) > columns)
            return blank ? blank : size ? size : next;
        size = next;
        if (text[size] == ' ')
            blank = size;
    }
    return size;
}

int sal_draw_wrapped(const struct sal_canvas *canvas, int y, int x, int indent,
                     enum sal_style style, const char *text)
{
    char cleaned[TEXT_MAX];
    clean(canvas, cleaned, text);
    const char *rest = cleaned;
    do {
        int columns = canvas->columns - x;
        size_t size = fitting(rest, columns > 1 ? columns : 1);
        sal_draw(canvas, y++, x, columns, style, "%.*s", (int)size, rest);
        rest += size;
        rest += strspn(rest, " ");
        x = indent;
    } while (*rest);
    return y;
}

static void put_glyph(const struct sal_canvas *canvas, int y, int x,
                      enum sal_style style, wchar_t glyph, char ascii)
{
    wchar_t text[2] = {canvas->terminal->unicode ? glyph : (wchar_t)ascii, 0};
    attr_t attributes = canvas->terminal->style[style];
    int pair = PAIR_NUMBER(attributes);
    cchar_t character;
    if (setcchar(&character, text, attributes & ~A_COLOR, 0, &pair) == OK)
        mvwadd_wch(canvas->window, y, x, &character);
}

void sal_draw_heading(const struct sal_canvas *canvas, const char *text)
{
    int x = sal_draw(canvas, 0, 0, canvas->columns, SAL_STYLE_TITLE, "%s ", text);
    for (; x < canvas->columns; x++)
        put_glyph(canvas, 0, x, SAL_STYLE_QUIET, 0x2500, '-');
}

void sal_draw_upright(const struct sal_canvas *canvas, int y, int x, int length)
{
    for (int i = 0; i < length; i++)
        put_glyph(canvas, y + i, x, SAL_STYLE_QUIET, 0x2502, '|');
}

void sal_draw_bar(const struct sal_canvas *canvas, int y, int x, int columns,
                  enum sal_style style, double part, double mark)
{
    if (!(part >= 0))
        part = 0;
    int eighths = (int)lround(fmin(part, 1) * columns * 8);
    int tick = mark >= 0 && mark <= 1 ? (int)(mark * columns) : -1;
    if (tick >= columns)
        tick = columns - 1;
    for (int i = 0; i < columns; i++, eighths -= 8) {
        if (i == tick)
            put_glyph(canvas, y, x + i, SAL_STYLE_QUIET, 0x2502, '|');
        else if (eighths >= 8)
            put_glyph(canvas, y, x + i, style, 0x2588, '#');
        else if (eighths > 0)
            put_glyph(canvas, y, x + i, style, (wchar_t)(0x2590 - eighths),
                      eighths >= 4 ? '#' : ' ');
        else
            put_glyph(canvas, y, x + i, SAL_STYLE_QUIET, 0xB7, '.');
    }
}
