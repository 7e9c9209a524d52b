#include "raster.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

enum { UNKNOWN = -2 }; /* a colour that no cell has */

void sal_raster_release(struct sal_raster *raster)
{
    free(raster->shown);
    sal_buffer_release(&raster->out);
    *raster = (struct sal_raster){0};
}

/* ---- escape sequences ------------------------------------------------------------- */

static void append_glyph(struct sal_buffer *out, uint32_t glyph)
{
    uint8_t bytes[4];
    size_t size = 1;
    if (glyph < 0x80) {
        bytes[0] = (uint8_t)glyph;
    } else if (glyph < 0x800) {
        bytes[0] = (uint8_t)(0xC0 | glyph >> 6);
        size = 2;
    } else if (glyph < 0x10000) {
        bytes[0] = (uint8_t)(0xE0 | glyph >> 12);
        size = 3;
    } else {
        bytes[0] = (uint8_t)(0xF0 | (glyph >> 18 & 7));
        size = 4;
    }
    for (size_t i = 1; i < size; i++)
        bytes[i] = (uint8_t)(0x80 | (glyph >> 6 * (size - 1 - i) & 0x3F));
    sal_buffer_append(out, bytes, size);
}

static void append_color(struct sal_buffer *out, int base, int rgb)
{
    if (rgb < 0)
        sal_buffer_format(out, "\033[%dm", base + 1);
    else
        sal_buffer_format(out, "\033[%d;2;%d;%d;%dm", base, rgb >> 16 & 255,
                          rgb >> 8 & 255, rgb & 255);
}

/* ---- what has changed ---------------------------------------------------------------- */

static bool inside(const struct sal_rect *rect, int y, int x)
{
    return rect && y >= rect->y && y < rect->y + rect->height && x >= rect->x &&
           x < rect->x + rect->width;
}

static bool same(struct sal_cell a, struct sal_cell b)
{
    return a.glyph == b.glyph && a.fg == b.fg && a.bg == b.bg;
}

static struct sal_cell *unknown_cells(int rows, int columns)
{
    size_t n = (size_t)rows * (size_t)columns;
    struct sal_cell *cells = calloc(n, sizeof(*cells));
    for (size_t i = 0; cells && i < n; i++)
        cells[i].fg = UNKNOWN;
    return cells;
}

/* One row of one sprite: cells that are as they were are stepped over, a colour is
 * said only where it changes. Notes in `now` what the screen shows afterwards. */
static void append_row(struct sal_raster *raster, struct sal_cell *now,
                       const struct sal_cell *cell, int columns, int y, int x,
                       const struct sal_rect *hole)
{
    struct sal_buffer *out = &raster->out;
    int fg = UNKNOWN, bg = UNKNOWN;
    bool placed = false;
    for (int i = 0; i < columns && x + i < raster->columns; i++) {
        size_t at = (size_t)y * (size_t)raster->columns + (size_t)(x + i);
        bool covered = inside(hole, y, x + i);
        if (!covered)
            now[at] = cell[i];
        if (covered || same(raster->shown[at], cell[i])) {
            placed = false;
            continue;
        }
        if (!placed)
            sal_buffer_format(out, "\033[%d;%dH", y + 1, x + i + 1);
        placed = true;
        if (cell[i].fg != fg)
            append_color(out, 38, fg = cell[i].fg);
        if (cell[i].bg != bg)
            append_color(out, 48, bg = cell[i].bg);
        append_glyph(out, cell[i].glyph);
    }
}

static bool fit(struct sal_raster *raster, int rows, int columns)
{
    if (raster->shown && raster->rows == rows && raster->columns == columns)
        return true;
    sal_raster_release(raster);
    raster->shown = unknown_cells(rows, columns);
    raster->rows = rows;
    raster->columns = columns;
    return raster->shown != NULL;
}

void sal_raster_write(struct sal_raster *raster, int fd, int rows, int columns,
                      const struct sal_sprite *sprites, int n,
                      const struct sal_rect *hole)
{
    struct sal_cell *now = unknown_cells(rows, columns);
    if (!now || !fit(raster, rows, columns)) {
        free(now);
        return;
    }
    struct sal_buffer *out = &raster->out;
    out->size = 0;
    sal_buffer_format(out, "\0337\033[0m");
    for (int i = 0; i < n; i++) {
        const struct sal_cells *cells = sprites[i].cells;
        for (int row = 0; row < cells->rows && sprites[i].y + row < rows; row++)
            append_row(raster, now, cells->cell + row * cells->columns, cells->columns,
                       sprites[i].y + row, sprites[i].x, hole);
    }
    sal_buffer_format(out, "\033[0m\0338");
    if (!out->failed)
        sal_write_all(fd, out->data, out->size);
    free(raster->shown);
    raster->shown = now;
}

void sal_write_all(int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        at += n;
        size -= (size_t)n;
    }
}
