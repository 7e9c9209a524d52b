/*
 * Figures for papers and for the record: panels with pictures or plots, colour bars with
 * numbers, caption; drawn once, written as PNG, PDF or SVG.
 *
 * Lives through cairo; fonts are embedded in PDF and SVG. A figure is a plain
 * description filled by the caller; nothing in it is kept. Any thread.
 */
#ifndef SALISCOPE_FIGURE_H
#define SALISCOPE_FIGURE_H

#include <stdbool.h>

#include "saliscope/buffer.h"
#include "saliscope/overlay.h"
#include "saliscope/plot.h"
#include "saliscope/status.h"

enum { SAL_FIGURE_LINES_MAX = 24, SAL_FIGURE_PANELS_MAX = 6 };

/* A picture or a plot; the other is NULL. Panels lie side by side; pictures in a row have
 * the same size in pixels, and plots beside them their height. */
struct sal_figure_panel {
    const struct sal_picture *picture;
    const struct sal_plot *plot;
    const char *label; /* above it, behind its letter ("a  image"); NULL: neither */
    const struct sal_colormap *colormap; /* of the bar right of it; NULL: none */
    struct sal_range range;              /* of the bar */
    bool more_above, more_below;         /* values lie beyond its ends, which say so */
    const char *unit;                    /* beside the bar */
    bool new_row;                        /* begins one, below those before */
};

struct sal_figure {
    struct sal_figure_panel panel[SAL_FIGURE_PANELS_MAX]; /* in reading order */
    int n_panels;
    const char *title;                 /* one line above; NULL: none */
    const char *caption[SAL_FIGURE_LINES_MAX]; /* lines below; NULL ends */
    double width_mm;                   /* whole figure; 0: 178 */
    double dpi;                        /* of PNG; 0: 300 */
};

/* Text goes through sal_text_clean() here. */
enum sal_status sal_figure_png(const struct sal_figure *figure,
                               struct sal_image *image, struct sal_error *err);
enum sal_status sal_figure_pdf(const struct sal_figure *figure,
                               struct sal_buffer *buffer, struct sal_error *err);
enum sal_status sal_figure_svg(const struct sal_figure *figure,
                               struct sal_buffer *buffer, struct sal_error *err);

#endif
