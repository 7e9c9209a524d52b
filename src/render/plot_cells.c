/* A plot in terminal cells. Curves are dots, each cell keeps those of the most important part
 * that passes through it, so that lines stay readable over a band. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plot_scale.h"
#include "saliscope/text.h"

enum {
    AREA_ROWS_MIN = 4,
    SAMPLE = 4,  /* cells of a legend's sample */
    BRAILLE = 0x2800,
    STIPPLE = 0x05, /* stippled(), in a cell */
};

/* In the order in which they are drawn, each over the one before. */
enum part { NOTHING, BAND, LINE, CURVE };
enum { LEVEL = 1, MARK = 2 }; /* bits of a LINE */

struct spot {
    enum part part;
    uint8_t bits;
    const struct sal_plot_style *style;
};

struct drawing {
    const struct sal_plot *plot;
    struct sal_plot_scale x, y;
    struct sal_cells *cells;
    enum sal_depth depth;
    bool unicode;
    int left, top, columns, rows; /* of the area within the axes, in cells */
    int across, up;               /* the same in dots */
    int cell_across, cell_up;     /* dots in a cell */
    struct spot *spot;            /* [rows][columns] */
};

/* ---- cells --------------------------------------------------------------------------------- */

static int colour_of(const struct drawing *d, const struct sal_plot_style *style)
{
    bool plain = d->depth == SAL_MONO || !style;
    return plain ? SAL_CELL_DEFAULT : sal_palette_nearest(d->depth, style->rgb);
}

static void put(const struct drawing *d, int row, int column, uint32_t glyph,
                const struct sal_plot_style *style)
{
    if (row < 0 || row >= d->cells->rows || column < 0 || column >= d->cells->columns)
        return;
    d->cells->cell[row * d->cells->columns + column] =
        (struct sal_cell){glyph, colour_of(d, style), SAL_CELL_DEFAULT};
}

/* One of two characters, as the terminal has them. */
static void put_either(const struct drawing *d, int row, int column, uint32_t glyph, char ascii)
{
    put(d, row, column, d->unicode ? glyph : (uint32_t)ascii, NULL);
}

/* The character at clean text, and its bytes; one that takes no column or two is not for
 * cells. */
static uint32_t next_glyph(const char *text, int *size)
{
    const uint8_t *p = (const uint8_t *)text;
    char one[5] = "";
    *size = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    uint32_t code = *size == 1 ? p[0] : p[0] & (0x7fu >> *size);
    for (int i = 1; i < *size; i++)
        code = code << 6 | (p[i] & 0x3fu);
    memcpy(one, text, (size_t)*size);
    return sal_text_columns(one) == 1 ? code : '?';
}

/* The minus of figures is not of ASCII. */
static uint32_t ascii_of(uint32_t code)
{
    return code < 0x80 ? code : code == 0x2212 ? '-' : '?';
}

/* Writes text into at most `columns` cells; returns how many it took. */
static int put_text(const struct drawing *d, int row, int column, int columns, const char *text)
{
    char clean[512];
    int size, used = 0;
    sal_text_clean(clean, sizeof(clean), text);
    sal_text_clip(clean, columns, !d->unicode);
    for (const char *p = clean; *p && used < columns; p += size, used++) {
        uint32_t code = next_glyph(p, &size);
        put(d, row, column + used, d->unicode ? code : ascii_of(code), NULL);
    }
    return used;
}

static int width_of_text(const char *text)
{
    char clean[512];
    return sal_text_columns(sal_text_clean(clean, sizeof(clean), text));
}

/* ---- dots ---------------------------------------------------------------------------------- */

/* Where a dash leaves a dot out the cell is taken all the same. */
static void dot(const struct drawing *d, int x, int y, enum part part, bool drawn,
                const struct sal_plot_style *style)
{
    static const uint8_t bit[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    if (x < 0 || x >= d->across || y < 0 || y >= d->up)
        return;
    struct spot *spot =
        &d->spot[y / d->cell_up * d->columns + x / d->cell_across];
    if (part != spot->part || !spot->bits)
        *spot = (struct spot){part, 0, style};
    if (drawn)
        spot->bits |= bit[y % d->cell_up][x % d->cell_across];
}

/* The dot of a place; outside the area it is just outside, however far away. */
static int dot_of(double place, int dots)
{
    return (int)lround(fmin(fmax(place, -1), 2) * (dots - 1));
}

static int row_of(const struct drawing *d, double place)
{
    return dot_of(1 - place, d->up);
}

/* How far along from one place to another a column of dots is, 0..1; end: where both are one. */
static double part_at(const struct drawing *d, int x, const double px[2], double end)
{
    if (!(px[1] > px[0]))
        return end;
    return fmin(fmax(((double)x / (d->across - 1) - px[0]) / (px[1] - px[0]), 0), 1);
}

/* The part of a way between two corners, drawn column by column, dashes by its length. */
static void draw_stretch(const struct drawing *d, const double px[2], const double py[2],
                         const struct sal_plot_style *style, int *phase)
{
    int from = dot_of(px[0], d->across), to = dot_of(px[1], d->across);
    int last = row_of(d, py[0]);
    for (int x = from; x <= to; x++) {
        double part = x == to ? 1 : part_at(d, x, px, 1);
        int y = row_of(d, py[0] + part * (py[1] - py[0])), step = y < last ? -1 : 1;
        for (int at = y == last || x == from ? last : last + step;; at += step) {
            bool drawn = d->cell_up == 1 || style->dots >> (*phase)++ % 8 & 1;
            dot(d, x, at, CURVE, drawn, style);
            if (at == y)
                break;
        }
        last = y;
    }
}

static void draw_curve(const struct drawing *d, const struct sal_plot_curve *curve,
                       const struct sal_plot_style *style)
{
    int phase = 0;
    for (int i = 0; i < curve->n; i++) {
        double px[3], py[3];
        if (i + 1 < curve->n) {
            int n = sal_plot_way(curve, &d->x, &d->y, i, px, py);
            for (int k = 0; k + 1 < n; k++)
                draw_stretch(d, px + k, py + k, style, &phase);
        }
        px[0] = sal_plot_place(&d->x, curve->x[i]);
        py[0] = sal_plot_place(&d->y, curve->y[i]);
        if (isfinite(px[0] + py[0])) /* alone between gaps it is a dot */
            dot(d, dot_of(px[0], d->across), row_of(d, py[0]), CURVE, true, style);
    }
}

static bool stippled(const struct drawing *d, int x, int y)
{
    return d->cell_up == 1 || (x + 2 * y) % 4 == 0;
}

static void draw_band(const struct drawing *d, const struct sal_plot_band *band)
{
    for (int i = 0; i + 1 < band->n; i++) {
        double x[2], low[2], high[2];
        for (int k = 0; k < 2; k++) {
            x[k] = sal_plot_place(&d->x, band->x[i + k]);
            low[k] = sal_plot_place(&d->y, band->low[i + k]);
            high[k] = sal_plot_place(&d->y, band->high[i + k]);
        }
        if (!isfinite(x[0] + x[1] + low[0] + low[1] + high[0] + high[1]))
            continue;
        int from = dot_of(x[0], d->across), to = dot_of(x[1], d->across);
        for (int c = from; c <= to; c++) {
            double part = part_at(d, c, x, 0);
            int top = row_of(d, high[0] + part * (high[1] - high[0]));
            int bottom = row_of(d, low[0] + part * (low[1] - low[0]));
            for (int r = top; r <= bottom; r++)
                if (stippled(d, c, r))
                    dot(d, c, r, BAND, true, &sal_plot_band_style);
        }
    }
}

/* ---- lines --------------------------------------------------------------------------------- */

static void line_spot(const struct drawing *d, int row, int column,
                      const struct sal_plot_style *style, int bit)
{
    struct spot *spot = &d->spot[row * d->columns + column];
    if (spot->part != LINE)
        *spot = (struct spot){LINE, 0, style};
    spot->bits |= (uint8_t)bit;
}

static void draw_lines(const struct drawing *d)
{
    for (int i = 0; i < SAL_PLOT_LEVELS; i++) {
        double at = sal_plot_place(&d->y, d->plot->level[i].at);
        if (d->plot->level[i].name && at >= 0 && at <= 1)
            for (int c = 0; c < d->columns; c++)
                line_spot(d, row_of(d, at) / d->cell_up, c, &sal_plot_level_styles[i], LEVEL);
    }
    for (int i = 0; i < SAL_PLOT_MARKS; i++) {
        double at = sal_plot_place(&d->x, d->plot->mark[i].at);
        if (d->plot->mark[i].name && at >= 0 && at <= 1)
            for (int r = 0; r < d->rows; r++)
                line_spot(d, r, dot_of(at, d->across) / d->cell_across, &sal_plot_mark_style,
                          MARK);
    }
}

static uint32_t line_glyph(const struct drawing *d, const struct sal_plot_style *style)
{
    return d->unicode ? style->glyph : (uint32_t)style->letter;
}

static uint32_t spot_glyph(const struct drawing *d, const struct spot *spot)
{
    if (spot->part != LINE)
        return d->unicode ? (uint32_t)BRAILLE + spot->bits : (uint32_t)spot->style->letter;
    if (spot->bits == (LEVEL | MARK))
        return d->unicode ? 0x253c : '+'; /* ┼ */
    return line_glyph(d, spot->style);
}

static void put_area(const struct drawing *d)
{
    for (int r = 0; r < d->rows; r++)
        for (int c = 0; c < d->columns; c++) {
            const struct spot *spot = &d->spot[r * d->columns + c];
            if (!spot->bits)
                continue;
            put(d, d->top + r, d->left + c, spot_glyph(d, spot), spot->style);
        }
}

/* ---- axes ---------------------------------------------------------------------------------- */

static void put_y_axis(const struct drawing *d)
{
    const struct sal_ticks *ticks = &d->y.ticks;
    int shown = -2;
    for (int r = 0; r < d->rows; r++)
        put_either(d, d->top + r, d->left - 1, 0x2502, '|');
    for (int i = ticks->n - 1; i >= 0; i--) { /* from the top */
        int row = row_of(d, ticks->at[i]) / d->cell_up;
        int width = width_of_text(ticks->label[i]);
        bool end = i == 0, crowded = row - shown < 2 || (!end && d->rows - 1 - row < 2);
        if (d->rows < 2 * ticks->n - 1 && i % 2) /* too low for all of them */
            continue;
        if (crowded && !end)
            continue;
        put_either(d, d->top + row, d->left - 1, 0x2524, '+');
        put_text(d, d->top + row, d->left - 1 - width, width, ticks->label[i]);
        shown = row;
    }
}

static int label_width(const struct sal_plot_scale *x, int i, bool second)
{
    int first = width_of_text(x->ticks.label[i]);
    int other = second ? width_of_text(x->second[i]) : 0;
    return first > other ? first : other;
}

/* Where a label goes whose tick is at that column: under it, but within the cells. */
static int label_column(const struct drawing *d, int column, int width)
{
    int start = column - width / 2, most = d->cells->columns - width;
    return start > most ? most : start < 0 ? 0 : start;
}

static int tick_column(const struct drawing *d, int i)
{
    return d->left + dot_of(d->x.ticks.at[i], d->across) / d->cell_across;
}

static int tick_step(const struct drawing *d, bool second)
{
    double start[SAL_TICKS_MAX], end[SAL_TICKS_MAX];
    for (int i = 0; i < d->x.ticks.n; i++) {
        int width = label_width(&d->x, i, second);
        start[i] = label_column(d, tick_column(d, i), width);
        end[i] = start[i] + width;
    }
    return sal_plot_step(start, end, d->x.ticks.n);
}

static void put_x_axis(const struct drawing *d, int row, bool second)
{
    const struct sal_ticks *ticks = &d->x.ticks;
    put_either(d, row, d->left - 1, 0x2514, '+');
    for (int c = 0; c < d->columns; c++)
        put_either(d, row, d->left + c, 0x2500, '-');
    int step = tick_step(d, second);
    for (int i = 0; i < ticks->n; i += step) {
        int column = tick_column(d, i);
        put_either(d, row, column, 0x252c, '+');
        int width = width_of_text(ticks->label[i]), other = width_of_text(d->x.second[i]);
        put_text(d, row + 1, label_column(d, column, width), width, ticks->label[i]);
        if (second)
            put_text(d, row + 2, label_column(d, column, other), other, d->x.second[i]);
    }
}

/* ---- legend -------------------------------------------------------------------------------- */

static int sample_width(const struct drawing *d, const struct sal_plot_entry *entry)
{
    if (entry->part == SAL_PLOT_MARK)
        return 1;
    return entry->part == SAL_PLOT_CURVE && d->unicode ? SAMPLE : 2;
}

static void put_sample(const struct drawing *d, int row, int column,
                       const struct sal_plot_entry *entry)
{
    for (int c = 0; c < sample_width(d, entry); c++) {
        const struct sal_plot_style *style = entry->style;
        int two = style->dots >> 2 * (c % 4) & 3; /* dots of the dash in this cell */
        uint32_t bits = (uint32_t)((two & 1 ? 0x02 : 0) | (two & 2 ? 0x10 : 0));
        if (entry->part == SAL_PLOT_BAND)
            bits = STIPPLE;
        uint32_t glyph = d->unicode ? BRAILLE + bits : (uint32_t)style->letter;
        if (style->glyph)
            glyph = line_glyph(d, style);
        put(d, row, column + c, glyph, style);
    }
}

/* Lists the entries from that row on, in at most rows; with rows 0 it only counts. Returns
 * the rows it takes. */
static int put_legend(const struct drawing *d, int row, int rows)
{
    struct sal_plot_entry entries[SAL_PLOT_ENTRIES];
    int n = sal_plot_legend(d->plot, entries), column = 0, used = n > 0;
    for (int i = 0; i < n; i++) {
        int sample = sample_width(d, &entries[i]), name = width_of_text(entries[i].name);
        int wide = sample + 1 + name, room = d->cells->columns;
        if (column && column + wide > room) {
            column = 0;
            used++;
        }
        if (used <= rows) {
            put_sample(d, row + used - 1, column, &entries[i]);
            put_text(d, row + used - 1, column + sample + 1, room - column - sample - 1,
                     entries[i].name);
        }
        column += wide + 2;
    }
    return used;
}

/* ---- all of it ----------------------------------------------------------------------------- */

/* What is shown beside the curves, in rows. */
struct plan {
    int title, y_title, second, x_title, legend;
};

static int take(int wanted, int *room)
{
    int given = wanted <= *room ? wanted : *room;
    *room -= given;
    return given;
}

/* The most useful first; two rows are axis and numbers. */
static struct plan plan_rows(const struct drawing *d)
{
    const struct sal_plot *plot = d->plot;
    struct plan plan = {0};
    int room = d->cells->rows - 2 - AREA_ROWS_MIN;
    plan.legend = take(put_legend(d, 0, 0), &room);
    plan.x_title = take(plot->x.title != NULL, &room);
    plan.y_title = take(plot->y.title != NULL || d->y.ticks.exponent, &room);
    plan.second = take(plot->x.second > 0, &room);
    plan.title = take(plot->title != NULL, &room);
    return plan;
}

/* What numbers are to be taken times, then the title. */
static void axis_title(const struct drawing *d, const struct sal_plot_scale *scale,
                       const char *title, char *text, size_t size)
{
    if (d->unicode)
        sal_ticks_unit(&scale->ticks, title, text, size);
    else if (scale->ticks.exponent)
        snprintf(text, size, "x10^%d %s", scale->ticks.exponent, title ? title : "");
    else
        snprintf(text, size, "%s", title ? title : "");
}

static void put_titles(const struct drawing *d, const struct plan *plan)
{
    const struct sal_plot *plot = d->plot;
    const int columns = d->cells->columns;
    char text[256], title[128];
    if (plan->title)
        put_text(d, 0, 0, columns, plot->title);
    if (plan->y_title) {
        axis_title(d, &d->y, plot->y.title, text, sizeof(text));
        put_text(d, plan->title, 0, columns, text);
    }
    if (!plan->x_title)
        return;
    bool second = plan->second && plot->x.second_title;
    snprintf(title, sizeof(title), "%s%s%s", plot->x.title, second ? " / " : "",
             second ? plot->x.second_title : "");
    axis_title(d, &d->x, title, text, sizeof(text));
    int width = width_of_text(text), start = d->left + (d->columns - width) / 2;
    start = start > columns - width ? columns - width : start;
    put_text(d, d->top + d->rows + 2 + plan->second, start < 0 ? 0 : start, columns, text);
}

static enum sal_status draw(struct drawing *d, struct sal_error *err)
{
    struct plan plan = plan_rows(d);
    for (int i = 0; i < d->y.ticks.n; i++) {
        int width = width_of_text(d->y.ticks.label[i]) + 1;
        d->left = width > d->left ? width : d->left;
    }
    d->top = plan.title + plan.y_title;
    d->rows = d->cells->rows - d->top - 2 - plan.second - plan.x_title - plan.legend;
    d->columns = d->cells->columns - d->left;
    d->cell_across = d->unicode ? 2 : 1;
    d->cell_up = d->unicode ? 4 : 1;
    d->across = d->columns * d->cell_across;
    d->up = d->rows * d->cell_up;
    d->spot = calloc((size_t)d->rows * (size_t)d->columns, sizeof(*d->spot));
    if (!d->spot)
        return sal_fail(err, SAL_LIMIT, "no memory for a plot");
    draw_band(d, &d->plot->band);
    draw_lines(d);
    for (int i = 0; i < SAL_PLOT_CURVES; i++)
        draw_curve(d, &d->plot->curve[i], &sal_plot_styles[i]);
    put_area(d);
    put_y_axis(d);
    put_x_axis(d, d->top + d->rows, plan.second);
    put_titles(d, &plan);
    put_legend(d, d->cells->rows - plan.legend, plan.legend);
    free(d->spot);
    return SAL_OK;
}

enum sal_status sal_plot_cells(const struct sal_plot *plot, int columns, int rows,
                               enum sal_depth depth, bool unicode, struct sal_cells *cells,
                               struct sal_error *err)
{
    struct drawing d = {.plot = plot, .cells = cells, .depth = depth, .unicode = unicode};
    if (columns < SAL_PLOT_COLUMNS_MIN || rows < SAL_PLOT_ROWS_MIN)
        return sal_fail(err, SAL_USAGE, "plot of %d x %d cells: expects at least %d x %d",
                        columns, rows, SAL_PLOT_COLUMNS_MIN, SAL_PLOT_ROWS_MIN);
    enum sal_status status = sal_plot_scales(plot, &d.x, &d.y, err);
    if (status)
        return status;
    struct sal_cell *cell = calloc((size_t)columns * (size_t)rows, sizeof(*cell));
    if (!cell)
        return sal_fail(err, SAL_LIMIT, "no memory for %d x %d terminal cells", columns, rows);
    *cells = (struct sal_cells){columns, rows, cell};
    for (int i = 0; i < columns * rows; i++)
        cell[i] = (struct sal_cell){' ', SAL_CELL_DEFAULT, SAL_CELL_DEFAULT};
    status = draw(&d, err);
    if (status)
        sal_cells_release(cells);
    return status;
}
