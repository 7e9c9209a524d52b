#include "figure_plot.h"

#include <math.h>
#include <stdio.h>

#include "figure_text.h"

#define SAMPLE 14.0      /* of the legend */
#define ENTRY_GAP 9.0
#define CURVE_WIDTH 1.1
#define LINE_WIDTH 0.6
#define DOT_RADIUS 1.4
#define BAND_INK 0.3
#define FAR 100.0        /* times the area */
#define AREA_LEAST 12.0  /* a side of the area, however small the box is */

enum { DOTS_MAX = 32, TITLE_MAX = 256 }; /* a curve of more points is a line only */

/* ---- layout -------------------------------------------------------------------------------- */

static double line_of(cairo_t *cr)
{
    return sal_figure_line_height(cr) * 1.15;
}

/* Entries one behind the other, from the top left; returns the rows they take. */
static int flow_legend(struct sal_plot_layout *layout, const struct sal_plot *plot,
                       struct sal_box box, cairo_t *cr, struct sal_arena *arena)
{
    struct sal_plot_entry entries[SAL_PLOT_ENTRIES];
    int n = sal_plot_legend(plot, entries), rows = n > 0;
    double x = 0, line = line_of(cr);
    for (int i = 0; i < n; i++) {
        const char *name = sal_figure_clip(cr, arena, entries[i].name,
                                           box.width - SAMPLE - SAL_FIGURE_PAD);
        if (!name)
            return -1;
        double wide = SAMPLE + SAL_FIGURE_PAD + sal_figure_text_width(cr, name);
        if (x > 0 && x + wide > box.width) {
            x = 0;
            rows++;
        }
        layout->legend[i].entry = entries[i];
        layout->legend[i].name = name;
        layout->legend[i].x = box.x + x;
        layout->legend[i].y = (rows - 1) * line;
        x += wide + ENTRY_GAP;
    }
    layout->n_legend = n;
    return rows;
}

static double widest_label(const struct sal_plot_scale *scale, cairo_t *cr)
{
    double most = 0;
    for (int i = 0; i < scale->ticks.n; i++)
        most = fmax(most, sal_figure_text_width(cr, scale->ticks.label[i]));
    return most;
}

static double label_width(const struct sal_plot_scale *x, int i, cairo_t *cr)
{
    return fmax(sal_figure_text_width(cr, x->ticks.label[i]),
                sal_figure_text_width(cr, x->second[i]));
}

static int tick_step(const struct sal_plot_layout *layout, cairo_t *cr)
{
    double start[SAL_TICKS_MAX], end[SAL_TICKS_MAX];
    for (int i = 0; i < layout->x.ticks.n; i++) {
        double half = label_width(&layout->x, i, cr) / 2;
        double at = layout->area.x + layout->x.ticks.at[i] * layout->area.width;
        start[i] = at - half - SAL_FIGURE_PAD;
        end[i] = at + half;
    }
    return sal_plot_step(start, end, layout->x.ticks.n);
}

static const char *title_of(const struct sal_plot_scale *scale, const struct sal_plot_axis *axis,
                            double width, cairo_t *cr, struct sal_arena *arena)
{
    char both[TITLE_MAX], text[TITLE_MAX];
    bool second = axis->second > 0 && axis->second_title;
    snprintf(both, sizeof(both), "%s%s%s", axis->title ? axis->title : "",
             second ? " / " : "", second ? axis->second_title : "");
    sal_ticks_unit(&scale->ticks, both, text, sizeof(text));
    return sal_figure_clip(cr, arena, text, width);
}

static void place_area(struct sal_plot_layout *layout, const struct sal_plot *plot,
                       struct sal_box box, int legend_rows, cairo_t *cr)
{
    double line = line_of(cr), last = label_width(&layout->x, layout->x.ticks.n - 1, cr);
    double left = line + SAL_FIGURE_PAD + widest_label(&layout->y, cr) + SAL_FIGURE_TICK +
                  SAL_FIGURE_PAD;
    double below = SAL_FIGURE_TICK + line * (plot->x.second > 0 ? 3 : 2) + SAL_FIGURE_PAD +
                   line * legend_rows;
    layout->area = (struct sal_box){box.x + left, box.y + line / 2,
                                    fmax(box.width - left - last / 2, AREA_LEAST),
                                    fmax(box.height - line / 2 - below, AREA_LEAST)};
    for (int i = 0; i < layout->n_legend; i++)
        layout->legend[i].y += box.y + box.height - line * legend_rows;
}

enum sal_status sal_plot_layout_of(struct sal_plot_layout *layout, const struct sal_plot *plot,
                                   struct sal_box box, cairo_t *cr, struct sal_arena *arena,
                                   struct sal_error *err)
{
    enum sal_status status = sal_plot_scales(plot, &layout->x, &layout->y, err);
    if (status)
        return status;
    int rows = flow_legend(layout, plot, box, cr, arena);
    place_area(layout, plot, box, rows, cr);
    layout->step = tick_step(layout, cr);
    layout->x_title = title_of(&layout->x, &plot->x, layout->area.width, cr, arena);
    layout->y_title = title_of(&layout->y, &plot->y, layout->area.height, cr, arena);
    if (rows < 0 || !layout->x_title || !layout->y_title)
        return sal_fail(err, SAL_LIMIT, "no memory for the text of a plot");
    return SAL_OK;
}

/* ---- curves -------------------------------------------------------------------------------- */

struct canvas {
    cairo_t *cr;
    const struct sal_plot *plot;
    const struct sal_plot_layout *layout;
};

/* What is far outside is not that far: cairo would count the dashes of the way there. */
static double near(double place)
{
    return fmin(fmax(place, -FAR), FAR);
}

static double across(const struct canvas *c, double place)
{
    return c->layout->area.x + near(place) * c->layout->area.width;
}

static double down(const struct canvas *c, double place)
{
    return c->layout->area.y + (1 - near(place)) * c->layout->area.height;
}

/* An area is paler than a line; opaque, because not every reader of SVG knows better. */
static void set_style(const struct canvas *c, const struct sal_plot_style *style, double ink)
{
    double rgb[3];
    for (int i = 0; i < 3; i++)
        rgb[i] = 1 - ink * (1 - style->rgb[i] / 255.0);
    cairo_set_source_rgb(c->cr, rgb[0], rgb[1], rgb[2]);
    cairo_set_dash(c->cr, style->dash, style->n_dash, 0);
}

static void draw_dots(const struct canvas *c, const struct sal_plot_curve *curve)
{
    for (int i = 0; i < curve->n; i++) {
        double x = sal_plot_place(&c->layout->x, curve->x[i]);
        double y = sal_plot_place(&c->layout->y, curve->y[i]);
        if (!isfinite(x + y))
            continue;
        cairo_new_sub_path(c->cr);
        cairo_arc(c->cr, across(c, x), down(c, y), DOT_RADIUS, 0, 2 * acos(-1));
    }
    cairo_fill(c->cr);
}

static void draw_curve(const struct canvas *c, const struct sal_plot_curve *curve,
                       const struct sal_plot_style *style)
{
    bool joined = false;
    set_style(c, style, 1);
    cairo_set_line_width(c->cr, CURVE_WIDTH);
    for (int i = 0; i + 1 < curve->n; i++) {
        double x[3], y[3];
        int n = sal_plot_way(curve, &c->layout->x, &c->layout->y, i, x, y);
        if (n && !joined)
            cairo_move_to(c->cr, across(c, x[0]), down(c, y[0]));
        for (int k = 1; k < n; k++)
            cairo_line_to(c->cr, across(c, x[k]), down(c, y[k]));
        joined = n > 0;
    }
    cairo_stroke(c->cr);
    if (curve->n <= DOTS_MAX && !curve->steps)
        draw_dots(c, curve);
}

/* Piece by piece, so that a gap is one; where pieces meet there is no seam, as all are one
 * path. */
static void draw_band(const struct canvas *c, const struct sal_plot_band *band)
{
    set_style(c, &sal_plot_band_style, BAND_INK);
    for (int i = 0; i + 1 < band->n; i++) {
        double x[2], low[2], high[2];
        for (int k = 0; k < 2; k++) {
            x[k] = sal_plot_place(&c->layout->x, band->x[i + k]);
            low[k] = sal_plot_place(&c->layout->y, band->low[i + k]);
            high[k] = sal_plot_place(&c->layout->y, band->high[i + k]);
        }
        if (!isfinite(x[0] + x[1] + low[0] + low[1] + high[0] + high[1]))
            continue;
        cairo_move_to(c->cr, across(c, x[0]), down(c, low[0]));
        cairo_line_to(c->cr, across(c, x[0]), down(c, high[0]));
        cairo_line_to(c->cr, across(c, x[1]), down(c, high[1]));
        cairo_line_to(c->cr, across(c, x[1]), down(c, low[1]));
        cairo_close_path(c->cr);
    }
    cairo_fill(c->cr);
}

/* From a corner of the area, along or up. */
static void draw_line(const struct canvas *c, const struct sal_plot_style *style, double x,
                      double y, double width, double height)
{
    set_style(c, style, 1);
    cairo_set_line_width(c->cr, LINE_WIDTH);
    cairo_move_to(c->cr, x, y);
    cairo_rel_line_to(c->cr, width, height);
    cairo_stroke(c->cr);
}

static void draw_lines(const struct canvas *c)
{
    struct sal_box area = c->layout->area;
    for (int i = 0; i < SAL_PLOT_LEVELS; i++) {
        double at = sal_plot_place(&c->layout->y, c->plot->level[i].at);
        if (c->plot->level[i].name && isfinite(at))
            draw_line(c, &sal_plot_level_styles[i], area.x, down(c, at), area.width, 0);
    }
    for (int i = 0; i < SAL_PLOT_MARKS; i++) {
        double at = sal_plot_place(&c->layout->x, c->plot->mark[i].at);
        if (c->plot->mark[i].name && isfinite(at))
            draw_line(c, &sal_plot_mark_style, across(c, at), area.y, 0, area.height);
    }
}

static void draw_area(const struct canvas *c)
{
    struct sal_box area = c->layout->area;
    cairo_rectangle(c->cr, area.x, area.y - DOT_RADIUS, area.width + DOT_RADIUS,
                    area.height + 2 * DOT_RADIUS);
    cairo_clip(c->cr);
    draw_band(c, &c->plot->band);
    draw_lines(c);
    for (int i = SAL_PLOT_CURVES - 1; i >= 0; i--) /* the first on top */
        draw_curve(c, &c->plot->curve[i], &sal_plot_styles[i]);
}

/* ---- axes and legend ------------------------------------------------------------------------- */

static void text_centred(cairo_t *cr, double x, double y, const char *text)
{
    sal_figure_text(cr, x - sal_figure_text_width(cr, text) / 2, y, text);
}

static void draw_x_axis(const struct canvas *c, double line)
{
    const struct sal_plot_scale *x = &c->layout->x;
    double bottom = c->layout->area.y + c->layout->area.height, y = bottom + SAL_FIGURE_TICK;
    bool second = c->plot->x.second > 0;
    for (int i = 0; i < x->ticks.n; i += c->layout->step) {
        double at = across(c, x->ticks.at[i]);
        cairo_move_to(c->cr, at, bottom);
        cairo_rel_line_to(c->cr, 0, SAL_FIGURE_TICK);
        cairo_stroke(c->cr);
        text_centred(c->cr, at, y, x->ticks.label[i]);
        if (second)
            text_centred(c->cr, at, y + line, x->second[i]);
    }
    text_centred(c->cr, across(c, 0.5), y + line * (second ? 2 : 1), c->layout->x_title);
}

static void draw_y_axis(const struct canvas *c, double line)
{
    const struct sal_plot_scale *y = &c->layout->y;
    double left = c->layout->area.x, widest = widest_label(y, c->cr);
    for (int i = 0; i < y->ticks.n; i++) {
        double at = down(c, y->ticks.at[i]);
        cairo_move_to(c->cr, left, at);
        cairo_rel_line_to(c->cr, -SAL_FIGURE_TICK, 0);
        cairo_stroke(c->cr);
        double width = sal_figure_text_width(c->cr, y->ticks.label[i]);
        sal_figure_text(c->cr, left - SAL_FIGURE_TICK - SAL_FIGURE_PAD - width,
                        at - sal_figure_line_height(c->cr) / 2, y->ticks.label[i]);
    }
    double width = sal_figure_text_width(c->cr, c->layout->y_title);
    cairo_save(c->cr);
    cairo_translate(c->cr,
                    left - SAL_FIGURE_TICK - 2 * SAL_FIGURE_PAD - widest - line,
                    down(c, 0.5) + width / 2);
    cairo_rotate(c->cr, -acos(-1) / 2);
    sal_figure_text(c->cr, 0, 0, c->layout->y_title);
    cairo_restore(c->cr);
}

static void draw_sample(const struct canvas *c, const struct sal_plot_entry *entry, double x,
                        double y)
{
    cairo_t *cr = c->cr;
    double height = sal_figure_line_height(cr), middle = y + height / 2;
    cairo_save(cr);
    set_style(c, entry->style, entry->part == SAL_PLOT_BAND ? BAND_INK : 1);
    cairo_set_line_width(cr, entry->part == SAL_PLOT_CURVE ? CURVE_WIDTH : LINE_WIDTH);
    if (entry->part == SAL_PLOT_BAND) {
        cairo_rectangle(cr, x, y + height * 0.2, SAMPLE, height * 0.6);
        cairo_fill(cr);
    } else if (entry->part == SAL_PLOT_MARK) {
        cairo_move_to(cr, x + SAMPLE / 2, y);
        cairo_rel_line_to(cr, 0, height);
    } else {
        cairo_move_to(cr, x, middle);
        cairo_rel_line_to(cr, SAMPLE, 0);
    }
    cairo_stroke(cr);
    cairo_restore(cr);
}

void sal_plot_draw(cairo_t *cr, const struct sal_plot *plot,
                   const struct sal_plot_layout *layout)
{
    struct canvas c = {cr, plot, layout};
    struct sal_box area = layout->area;
    double line = line_of(cr);
    cairo_set_line_width(cr, 0.5);
    cairo_move_to(cr, area.x, area.y);
    cairo_rel_line_to(cr, 0, area.height);
    cairo_rel_line_to(cr, area.width, 0);
    cairo_stroke(cr);
    cairo_save(cr);
    draw_area(&c);
    cairo_restore(cr);
    draw_x_axis(&c, line);
    draw_y_axis(&c, line);
    for (int i = 0; i < layout->n_legend; i++) {
        draw_sample(&c, &layout->legend[i].entry, layout->legend[i].x, layout->legend[i].y);
        sal_figure_text(cr, layout->legend[i].x + SAMPLE + SAL_FIGURE_PAD,
                        layout->legend[i].y, layout->legend[i].name);
    }
}
