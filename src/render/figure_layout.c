#include "figure_layout.h"

#include <math.h>

#include "figure_text.h"

#define MARGIN 6.0
#define GAP 10.0       /* between panels, and before the bar */
#define BAR_WIDTH 8.0
#define BAR_LEAST 64.0 /* height that keeps five numbers apart */
#define TALLEST 0.75   /* panel height over page width */
#define PLOT_SHAPE 0.36 /* of a plot that no picture stands beside */
#define POINTS_PER_MM (72 / 25.4)

enum { UNIT_MAX = 256 };

static double fmost(double a, double b)
{
    return a > b ? a : b;
}

/* ---- panels ------------------------------------------------------------------------ */

/* A row of panels: from the first on, n of them. */
struct row {
    int first, n;
};

static struct row next_row(const struct sal_figure *figure, int first)
{
    struct row row = {first, 1};
    while (first + row.n < figure->n_panels && !figure->panel[first + row.n].new_row)
        row.n++;
    return row;
}

/* Room right of a panel. */
static double bar_room(struct sal_panel_layout *layout, const struct sal_figure_panel *panel,
                       double line, cairo_t *cr)
{
    if (!panel->colormap)
        return 0;
    layout->ticks = sal_ticks_of(panel->range);
    sal_ticks_mark(&layout->ticks, panel->more_below, panel->more_above);
    for (int i = 0; i < layout->ticks.n; i++)
        layout->ticks_width =
            fmost(layout->ticks_width, sal_figure_text_width(cr, layout->ticks.label[i]));
    bool named = layout->ticks.exponent || (panel->unit && *panel->unit);
    return GAP + BAR_WIDTH + SAL_FIGURE_TICK + SAL_FIGURE_PAD + layout->ticks_width +
           (named ? SAL_FIGURE_PAD + line : 0);
}

/* Height over width, of pictures if there are any. */
static double shape_of(const struct sal_figure *figure, struct row row)
{
    for (int i = row.first; i < row.first + row.n; i++)
        if (figure->panel[i].picture)
            return (double)figure->panel[i].picture->height / figure->panel[i].picture->width;
    return PLOT_SHAPE;
}

static bool is_barred(const struct sal_figure *figure, struct row row)
{
    for (int i = row.first; i < row.first + row.n; i++)
        if (figure->panel[i].colormap)
            return true;
    return false;
}

static bool is_labelled(const struct sal_figure *figure, struct row row)
{
    for (int i = row.first; i < row.first + row.n; i++)
        if (figure->panel[i].label)
            return true;
    return false;
}

/* Panels side by side and as wide as they can be, each with its bar right of it, all
 * centred on the page and below top. Returns the height they take. */
static double place_row(struct sal_layout *layout, const struct sal_figure *figure,
                        struct row row, cairo_t *cr, double top)
{
    double shape = shape_of(figure, row), rooms = 0, room[SAL_FIGURE_PANELS_MAX];
    struct sal_panel_layout *panel = layout->panel + row.first;
    const struct sal_figure_panel *given = figure->panel + row.first;
    for (int i = 0; i < row.n; i++)
        rooms += room[i] = bar_room(&panel[i], &given[i], layout->line, cr);
    double wide = (layout->width - 2 * MARGIN - rooms - (row.n - 1) * GAP) / row.n;
    wide = fmin(wide, TALLEST * layout->width / shape);
    double high = wide * shape, used = row.n * wide + (row.n - 1) * GAP + rooms;
    double x = (layout->width - used) / 2;
    double area = is_barred(figure, row) ? fmost(high, BAR_LEAST) : high;
    for (int i = 0; i < row.n; i++) {
        panel[i].box = (struct sal_box){x, top + (area - high) / 2, wide, high};
        x += wide + GAP;
        if (!given[i].colormap)
            continue;
        panel[i].bar = (struct sal_box){x, top, BAR_WIDTH, area};
        x += room[i];
    }
    return area;
}

static double place_panels(struct sal_layout *layout, const struct sal_figure *figure,
                           cairo_t *cr, double y)
{
    for (int first = 0; first < figure->n_panels;) {
        struct row row = next_row(figure, first);
        if (is_labelled(figure, row))
            y += layout->line;
        y += place_row(layout, figure, row, cr, y);
        first += row.n;
        if (first < figure->n_panels)
            y += GAP;
    }
    return y;
}

/* ---- texts ------------------------------------------------------------------------- */

static enum sal_status place_caption(struct sal_layout *layout,
                                     const struct sal_figure *figure, cairo_t *cr,
                                     struct sal_arena *arena)
{
    double width = layout->width - 2 * MARGIN;
    for (int i = 0; i < SAL_FIGURE_LINES_MAX && figure->caption[i]; i++) {
        int n = sal_figure_wrap(cr, arena, figure->caption[i], width,
                                SAL_FIGURE_WRAP_MAX, layout->caption + layout->n_captions);
        if (n < 0)
            return SAL_LIMIT;
        layout->n_captions += n;
    }
    return SAL_OK;
}

static bool prepare_title(struct sal_layout *layout, const struct sal_figure *figure,
                          cairo_t *cr, struct sal_arena *arena)
{
    if (!figure->title || !*figure->title)
        return true;
    sal_figure_font(cr, SAL_FIGURE_TITLE_POINTS, true);
    layout->title = sal_figure_clip(cr, arena, figure->title, layout->width - 2 * MARGIN);
    sal_figure_font(cr, SAL_FIGURE_POINTS, false);
    return layout->title != NULL;
}

/* letter: of those that have a label. */
static bool prepare_panel(struct sal_panel_layout *layout, const struct sal_figure_panel *panel,
                          char letter, cairo_t *cr, struct sal_arena *arena)
{
    if (panel->label) {
        const char *label = sal_arena_format(arena, "%c  %s", letter, panel->label);
        double width = layout->box.width + (layout->bar.width > 0 ? GAP + BAR_WIDTH : 0);
        layout->label = label ? sal_figure_clip(cr, arena, label, width) : NULL;
        if (!layout->label)
            return false;
    }
    if (layout->bar.width > 0) {
        char unit[UNIT_MAX];
        sal_ticks_unit(&layout->ticks, panel->unit, unit, sizeof(unit));
        layout->unit = sal_figure_clip(cr, arena, unit, layout->bar.height);
        return layout->unit != NULL;
    }
    return true;
}

static enum sal_status prepare_texts(struct sal_layout *layout, const struct sal_figure *figure,
                                     cairo_t *cr, struct sal_arena *arena,
                                     struct sal_error *err)
{
    char letter = 'a';
    bool made = prepare_title(layout, figure, cr, arena);
    for (int i = 0; i < figure->n_panels && made; i++) {
        made = prepare_panel(&layout->panel[i], &figure->panel[i], letter, cr, arena);
        letter = (char)(letter + (figure->panel[i].label != NULL));
    }
    if (made && !place_caption(layout, figure, cr, arena))
        return SAL_OK;
    return sal_fail(err, SAL_LIMIT, "no memory for the text of a figure");
}

static enum sal_status place_plots(struct sal_layout *layout, const struct sal_figure *figure,
                                   cairo_t *cr, struct sal_arena *arena,
                                   struct sal_error *err)
{
    enum sal_status status = SAL_OK;
    for (int i = 0; i < figure->n_panels && !status; i++)
        if (figure->panel[i].plot)
            status = sal_plot_layout_of(&layout->panel[i].plot, figure->panel[i].plot,
                                        layout->panel[i].box, cr, arena, err);
    return status;
}

enum sal_status sal_layout_of(struct sal_layout *layout, const struct sal_figure *figure,
                              cairo_t *cr, struct sal_arena *arena,
                              struct sal_error *err)
{
    *layout = (struct sal_layout){.margin = MARGIN};
    layout->width = (figure->width_mm > 0 ? figure->width_mm : 178) * POINTS_PER_MM;
    sal_figure_font(cr, SAL_FIGURE_POINTS, false);
    layout->line = sal_figure_line_height(cr) * 1.15;
    double y = MARGIN;
    if (figure->title && *figure->title)
        y += layout->line * SAL_FIGURE_TITLE_POINTS / SAL_FIGURE_POINTS + SAL_FIGURE_PAD;
    y = place_panels(layout, figure, cr, y) + 2 * SAL_FIGURE_PAD;
    layout->caption_y = y;
    enum sal_status status = prepare_texts(layout, figure, cr, arena, err);
    if (!status)
        status = place_plots(layout, figure, cr, arena, err);
    layout->height = y + layout->n_captions * layout->line + MARGIN;
    return status;
}
