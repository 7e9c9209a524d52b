/*
 * Where everything in a figure lies, in points from the top left of the page.
 */
#ifndef SALISCOPE_RENDER_FIGURE_LAYOUT_H
#define SALISCOPE_RENDER_FIGURE_LAYOUT_H

#include <cairo.h>

#include "figure_plot.h"
#include "figure_ticks.h"
#include "saliscope/arena.h"
#include "saliscope/figure.h"

enum { SAL_FIGURE_WRAP_MAX = 4 }; /* printed lines of one caption line */

struct sal_panel_layout {
    struct sal_box box;
    const char *label;   /* clean, with its letter; NULL: none */
    struct sal_box bar;  /* width 0: none */
    struct sal_ticks ticks;
    double ticks_width;  /* of the widest number */
    const char *unit;    /* clean and cut to size */
    struct sal_plot_layout plot;
};

struct sal_layout {
    double width, height;
    double margin, line; /* line: height of one of text */
    struct sal_panel_layout panel[SAL_FIGURE_PANELS_MAX];
    const char *title;   /* clean and cut to size; this and all texts are in the arena */
    double caption_y;
    const char *caption[SAL_FIGURE_LINES_MAX * SAL_FIGURE_WRAP_MAX];
    int n_captions;
};

/* Font sizes in points, and the room between things. */
#define SAL_FIGURE_POINTS 7.0
#define SAL_FIGURE_TITLE_POINTS 8.0

/* cr measures; its unit is the point. Texts live in the arena. */
enum sal_status sal_layout_of(struct sal_layout *layout, const struct sal_figure *figure,
                              cairo_t *cr, struct sal_arena *arena,
                              struct sal_error *err);

/* Draws all of it; raster: onto pixels, not into a vector file. */
void sal_figure_draw(cairo_t *cr, const struct sal_figure *figure,
                     const struct sal_layout *layout, bool raster);

#endif
