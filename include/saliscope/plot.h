/*
 * Curves over an axis, as plain data: of a probe's scores by the size of the change, of what
 * a search had found after so many passes.
 *
 * The same plot is drawn in terminal cells here and as a panel of a figure (figure.h). What
 * is what is told without colour too: curves differ in dashes (in ASCII in letters), a band
 * is stippled, levels and marks are broken lines. A plot borrows all that it points to and
 * owns nothing. No state, any thread.
 */
#ifndef SALISCOPE_PLOT_H
#define SALISCOPE_PLOT_H

#include <stdbool.h>

#include "saliscope/cells.h"
#include "saliscope/overlay.h"
#include "saliscope/status.h"

enum {
    SAL_PLOT_CURVES = 6, /* as many styles there are */
    SAL_PLOT_LEVELS = 3,
    SAL_PLOT_MARKS = 3,
};

/* Points in the order of x, joined by straight lines. A point that is not finite, or on a
 * log axis not above 0, is a gap. n 0: no curve. */
struct sal_plot_curve {
    const char *name;
    int n;
    const double *x, *y; /* [n] */
    bool steps; /* y stays what it was until the next x */
};

/* What lies between two curves; n 0: nothing. */
struct sal_plot_band {
    const char *name;
    int n;
    const double *x, *low, *high; /* [n] */
};

/* A line across: a threshold; or upright: where something was found. The name has its value
 * and unit; NULL: no line. */
struct sal_plot_line {
    const char *name;
    double at;
};

struct sal_plot_axis {
    const char *title;      /* with its unit */
    struct sal_range range; /* equal ends: around what is there, ending at round numbers */
    bool log2;              /* equal steps for each doubling, numbers at powers of two */
    double second;          /* the same in another unit is this times as much, in a second row of
                               numbers; 0: none; only x */
    const char *second_title;
};

struct sal_plot {
    const char *title; /* NULL: none */
    struct sal_plot_axis x, y;
    struct sal_plot_curve curve[SAL_PLOT_CURVES];
    struct sal_plot_band band;
    struct sal_plot_line level[SAL_PLOT_LEVELS]; /* y */
    struct sal_plot_line mark[SAL_PLOT_MARKS];   /* x */
};

enum { SAL_PLOT_COLUMNS_MIN = 24, SAL_PLOT_ROWS_MIN = 8 };

/* The plot with axes, numbers and a legend, in exactly columns x rows cells: in dots of
 * Braille (2 x 4 a cell) where there is unicode, else with letters. Colours are those of the
 * depth, on the terminal's own ground, and only glyphs with SAL_MONO. Where room is short the
 * second numbers, then titles, then the legend are left out. SAL_USAGE below the least size,
 * or where there is no point to draw. sal_cells_release() the cells. */
enum sal_status sal_plot_cells(const struct sal_plot *plot, int columns, int rows,
                               enum sal_depth depth, bool unicode, struct sal_cells *cells,
                               struct sal_error *err);

#endif
