/*
 * Figures for papers and for the record: image, overlay, colour bar with
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
#include "saliscope/status.h"

enum { SAL_FIGURE_LINES_MAX = 12 };

struct sal_figure {
    const struct sal_picture *image;   /* left panel */
    const struct sal_picture *overlay; /* right panel; NULL: none */
    const struct sal_colormap *colormap;
    struct sal_range range;
    const char *unit;                  /* beside the colour bar */
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
