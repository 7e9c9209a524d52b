#include "figure_layout.h"

#include <math.h>

#include "figure_text.h"

#define MARGIN 6.0
#define GAP 10.0       /* between panels, and before the bar */
#define BAR_WIDTH 8.0
#define BAR_LEAST 64.0 /* height that keeps five numbers apart */
#define TALLEST 0.75   /* panel height over page width */
#define POINTS_PER_MM (72 / 25.4)

enum { UNIT_MAX = 256 };

static double fmost(double a, double b)
{
    return a > b ? a : b;
}

/* Room right of the panels. */
static double bar_room(struct sal_layout *layout, const struct sal_figure *figure,
                       cairo_t *cr)
{
    if (!figure->colormap)
        return 0;
    layout->ticks = sal_ticks_of(figure->range);
    for (int i = 0; i < layout->ticks.n; i++)
        layout->ticks_width =
            fmost(layout->ticks_width, sal_figure_text_width(cr, layout->ticks.label[i]));
    bool named = layout->ticks.exponent || (figure->unit && *figure->unit);
    return GAP + BAR_WIDTH + SAL_FIGURE_TICK + SAL_FIGURE_PAD + layout->ticks_width +
           (named ? SAL_FIGURE_PAD + layout->line : 0);
}

/* Panels side by side and as wide as they can be, the bar right of them, all
 * centred on the page and below top. Returns the height they take. */
static double place_panels(struct sal_layout *layout, const struct sal_figure *figure,
                           cairo_t *cr, double top)
{
    int n = figure->overlay ? 2 : 1;
    double shape = (double)figure->image->height / figure->image->width;
    double room = bar_room(layout, figure, cr);
    double wide = (layout->width - 2 * MARGIN - room - (n - 1) * GAP) / n;
    wide = fmin(wide, TALLEST * layout->width / shape);
    double high = wide * shape, used = n * wide + (n - 1) * GAP + room;
    double x = (layout->width - used) / 2;
    double area = figure->colormap ? fmost(high, BAR_LEAST) : high;
    for (int i = 0; i < n; i++, x += wide + GAP)
        layout->panel[i] = (struct sal_box){x, top + (area - high) / 2, wide, high};
    if (figure->colormap)
        layout->bar = (struct sal_box){x, top, BAR_WIDTH, area};
    return area;
}

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

static bool prepare_texts(struct sal_layout *layout, const struct sal_figure *figure,
                          cairo_t *cr, struct sal_arena *arena)
{
    if (figure->title && *figure->title) {
        sal_figure_font(cr, SAL_FIGURE_TITLE_POINTS, true);
        layout->title =
            sal_figure_clip(cr, arena, figure->title, layout->width - 2 * MARGIN);
        sal_figure_font(cr, SAL_FIGURE_POINTS, false);
        if (!layout->title)
            return false;
    }
    if (layout->bar.width > 0) {
        char unit[UNIT_MAX];
        sal_ticks_unit(&layout->ticks, figure->unit, unit, sizeof(unit));
        layout->unit = sal_figure_clip(cr, arena, unit, layout->bar.height);
        return layout->unit != NULL;
    }
    return true;
}

enum sal_status sal_layout_of(struct sal_layout *layout, const struct sal_figure *figure,
                              cairo_t *cr, struct sal_arena *arena,
                              struct sal_error *err)
{
    *layout = (struct sal_layout){.margin = MARGIN};
    layout->width = (figure->width_mm > 0 ? figure->width_mm : 178) * POINTS_PER_MM;
    sal_figure_font(cr, SAL_FIGURE_POINTS, false);
    layout->line = sal_figure_line_height(cr) * 1.15;
    layout->label[0] = figure->overlay ? "a  image" : NULL;
    layout->label[1] = figure->overlay ? "b  explanation" : NULL;
    double y = MARGIN;
    if (figure->title && *figure->title)
        y += layout->line * SAL_FIGURE_TITLE_POINTS / SAL_FIGURE_POINTS + SAL_FIGURE_PAD;
    if (figure->overlay)
        y += layout->line;
    y += place_panels(layout, figure, cr, y) + 2 * SAL_FIGURE_PAD;
    layout->caption_y = y;
    if (!prepare_texts(layout, figure, cr, arena) ||
        place_caption(layout, figure, cr, arena))
        return sal_fail(err, SAL_LIMIT, "no memory for the text of a figure");
    layout->height = y + layout->n_captions * layout->line + MARGIN;
    return SAL_OK;
}
