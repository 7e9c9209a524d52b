/*
 * What every drawing of a plot agrees on: where a value lies, which numbers stand beside it,
 * how each curve is told apart, and what the legend lists.
 */
#ifndef SALISCOPE_RENDER_PLOT_SCALE_H
#define SALISCOPE_RENDER_PLOT_SCALE_H

#include "figure_ticks.h"
#include "saliscope/plot.h"

struct sal_plot_scale {
    struct sal_range range; /* ends apart; on a log axis both above 0 */
    bool log2;
    struct sal_ticks ticks;
    char second[SAL_TICKS_MAX][24]; /* "" where there is no second unit */
};

/* SAL_USAGE where a plot has no point that an axis could show. */
enum sal_status sal_plot_scales(const struct sal_plot *plot, struct sal_plot_scale *x,
                                struct sal_plot_scale *y, struct sal_error *err);

/* 0 at the low end .. 1 at the high one, beyond them outside; NAN where there is none. */
double sal_plot_place(const struct sal_plot_scale *scale, double value);

/* How the curves look, in order; a band and the lines have styles of their own. */
struct sal_plot_style {
    uint8_t rgb[3];
    uint8_t dots;    /* which of eight steps along the line are drawn, from the lowest bit */
    char letter;     /* in ASCII */
    double dash[4];  /* points drawn and left out in turn; n_dash 0: solid */
    int n_dash;
    uint32_t glyph;  /* of lines in a terminal with unicode; 0: dots */
};

extern const struct sal_plot_style sal_plot_styles[SAL_PLOT_CURVES];
extern const struct sal_plot_style sal_plot_level_styles[SAL_PLOT_LEVELS];
extern const struct sal_plot_style sal_plot_band_style, sal_plot_mark_style;

/* What the legend lists, in order. */
enum sal_plot_part { SAL_PLOT_CURVE, SAL_PLOT_BAND, SAL_PLOT_LEVEL, SAL_PLOT_MARK };

struct sal_plot_entry {
    enum sal_plot_part part;
    const char *name;
    const struct sal_plot_style *style;
};

enum { SAL_PLOT_ENTRIES = SAL_PLOT_CURVES + 1 + SAL_PLOT_LEVELS + SAL_PLOT_MARKS };

int sal_plot_legend(const struct sal_plot *plot, struct sal_plot_entry entries[SAL_PLOT_ENTRIES]);

/* Labels that would stand from start to end: each how many-th can be shown so that none
 * touches the one before it. */
int sal_plot_step(const double *start, const double *end, int n);

/* The way from point i of a curve to the next, as places on both axes: how many corners it
 * has, 2, or 3 in steps; 0 where either end is missing. */
int sal_plot_way(const struct sal_plot_curve *curve, const struct sal_plot_scale *x,
                 const struct sal_plot_scale *y, int i, double px[3], double py[3]);

#endif
