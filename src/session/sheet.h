/*
 * A figure and all that it points to, on its way into a file.
 */
#ifndef SALISCOPE_SESSION_SHEET_H
#define SALISCOPE_SESSION_SHEET_H

#include "saliscope/figure.h"
#include "writing.h"

struct sal_sheet {
    struct sal_picture picture[SAL_FIGURE_PANELS_MAX];
    struct sal_probe_plot plot;
    struct sal_figure figure;
    char title[256];
    char label[96], unit[96];
    char map_label[2][128]; /* of a map before and after a probe */
    char line[SAL_FIGURE_LINES_MAX][256];
    int n_lines;
};

/* The next line of the caption. */
void sal_sheet_say(struct sal_sheet *sheet, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Which model, and which image as it was prepared. */
void sal_sheet_say_origin(struct sal_sheet *sheet, const struct sal_writing *writing);

/* Marks the ends of the panel's bar that values of the map lie beyond; their share of all. */
double sal_sheet_clip(struct sal_figure_panel *panel, const struct sal_map *map);

/* How the panel's map is laid over its picture. */
struct sal_overlay sal_sheet_overlay(const struct sal_view *view,
                                     const struct sal_figure_panel *panel);

/* Two more panels, in a row of their own: the map of the method that was asked beside a probe,
 * over the image and over the altered picture, in the same colours; none where no method was
 * asked or nothing was altered. */
enum sal_status sal_sheet_add_maps(struct sal_sheet *sheet, const struct sal_writing *writing,
                                   const struct sal_picture *image,
                                   const struct sal_picture *altered, struct sal_error *err);

/* A zeroed sheet of the probe's answer that is shown. */
enum sal_status sal_sheet_fill_probe(struct sal_sheet *sheet, const struct sal_writing *writing,
                                     struct sal_error *err);

#endif
