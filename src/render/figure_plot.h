/*
 * A plot as a panel of a figure: axes, curves and a legend within a box, in points.
 */
#ifndef SALISCOPE_RENDER_FIGURE_PLOT_H
#define SALISCOPE_RENDER_FIGURE_PLOT_H

#include <cairo.h>

#include "plot_scale.h"
#include "saliscope/arena.h"

struct sal_box {
    double x, y, width, height;
};

/* Room between things in all of a figure. */
#define SAL_FIGURE_TICK 2.5
#define SAL_FIGURE_PAD 3.0

struct sal_plot_layout {
    struct sal_plot_scale x, y;
    struct sal_box area;      /* within the axes */
    int step;                 /* each how many-th number of x is shown */
    const char *x_title, *y_title; /* clean and cut to size; in the arena */
    struct {
        struct sal_plot_entry entry;
        const char *name;
        double x, y;          /* top left of its sample */
    } legend[SAL_PLOT_ENTRIES];
    int n_legend;
};

/* Lays it out in the box with the font that is set; texts live in the arena. */
enum sal_status sal_plot_layout_of(struct sal_plot_layout *layout, const struct sal_plot *plot,
                                   struct sal_box box, cairo_t *cr, struct sal_arena *arena,
                                   struct sal_error *err);

/* Draws it, and leaves the source colour as it was. */
void sal_plot_draw(cairo_t *cr, const struct sal_plot *plot,
                   const struct sal_plot_layout *layout);

#endif
