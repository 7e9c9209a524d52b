#include "figure_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "saliscope/text.h"

enum { TEXT_MAX = 2048, PATH_SIZE = 512 };

static const char ellipsis[] = "\xE2\x80\xA6";

static bool readable(const char *folder, int size, const char *file)
{
    char path[PATH_SIZE];
    int used = snprintf(path, sizeof(path), "%.*s/%s", size, folder, file);
    return used > 0 && used < PATH_SIZE && access(path, R_OK) == 0;
}

/* Looks where fontconfig looks. */
static bool has_fontconfig(void)
{
    const char *file = getenv("FONTCONFIG_FILE");
    if (!file || !*file)
        file = "fonts.conf";
    if (*file == '/')
        return access(file, R_OK) == 0;
    const char *path = getenv("FONTCONFIG_PATH");
    while (path && *path) {
        int size = (int)strcspn(path, ":");
        if (readable(path, size, file))
            return true;
        path += size + (path[size] == ':');
    }
    return readable("/etc/fonts", 10, file);
}

void sal_figure_font(cairo_t *cr, double points, bool bold)
{
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_set_font_options(cr, options);
    cairo_font_options_destroy(options);
    cairo_select_font_face(cr, has_fontconfig() ? "DejaVu Sans" : "@cairo:",
                           CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, points);
}

double sal_figure_text_width(cairo_t *cr, const char *text)
{
    cairo_text_extents_t extents;
    cairo_text_extents(cr, text, &extents);
    return extents.x_advance;
}

double sal_figure_line_height(cairo_t *cr)
{
    cairo_font_extents_t extents;
    cairo_font_extents(cr, &extents);
    return extents.ascent + extents.descent;
}

void sal_figure_text(cairo_t *cr, double x, double y, const char *text)
{
    cairo_font_extents_t extents;
    cairo_font_extents(cr, &extents);
    cairo_move_to(cr, x, y + extents.ascent);
    cairo_show_text(cr, text);
}

static bool continues(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

static double prefix_width(cairo_t *cr, const char *text, size_t size)
{
    char part[TEXT_MAX];
    memcpy(part, text, size);
    part[size] = '\0';
    return sal_figure_text_width(cr, part);
}

/* Bytes of text, whole characters, that are at most width wide. */
static size_t prefix_that_fits(cairo_t *cr, const char *text, double width)
{
    size_t low = 0, high = strlen(text);
    if (prefix_width(cr, text, high) <= width)
        return high;
    while (low + 1 < high) {
        size_t middle = (low + high) / 2, cut = middle;
        while (cut > low && continues(text[cut]))
            cut--;
        if (cut > low && prefix_width(cr, text, cut) <= width)
            low = cut;
        else if (cut > low)
            high = cut;
        else
            high = middle;
    }
    return low;
}

static const char *clip_clean(cairo_t *cr, struct sal_arena *arena, const char *text,
                              double width)
{
    size_t size = prefix_that_fits(cr, text, width);
    if (!text[size])
        return sal_arena_copy(arena, text, size);
    size = prefix_that_fits(cr, text, width - sal_figure_text_width(cr, ellipsis));
    while (size > 0 && text[size - 1] == ' ')
        size--;
    return sal_arena_format(arena, "%.*s%s", (int)size, text, ellipsis);
}

const char *sal_figure_clip(cairo_t *cr, struct sal_arena *arena, const char *text,
                            double width)
{
    char clean[TEXT_MAX];
    return clip_clean(cr, arena, sal_text_clean(clean, sizeof(clean), text), width);
}

/* Where the first line of text ends. */
static size_t line_end(cairo_t *cr, const char *text, double width)
{
    size_t fit = prefix_that_fits(cr, text, width), end = fit;
    if (!text[fit])
        return fit;
    while (end > 0 && text[end] != ' ')
        end--;
    if (end > 0)
        return end;
    for (end = fit ? fit : 1; continues(text[end]);)
        end++;
    return end;
}

int sal_figure_wrap(cairo_t *cr, struct sal_arena *arena, const char *text,
                    double width, int max, const char *lines[])
{
    char clean[TEXT_MAX];
    const char *rest = sal_text_clean(clean, sizeof(clean), text);
    int n = 0;
    do {
        size_t end = line_end(cr, rest, width);
        bool last = n + 1 == max;
        lines[n] = last ? clip_clean(cr, arena, rest, width)
                        : sal_arena_copy(arena, rest, end);
        if (!lines[n++])
            return -1;
        rest += last ? strlen(rest) : end;
        rest += strspn(rest, " ");
    } while (*rest);
    return n;
}
