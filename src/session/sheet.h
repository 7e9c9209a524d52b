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
    char line[SAL_FIGURE_LINES_MAX][256];
    int n_lines;
};

/* The next line of the caption. */
void sal_sheet_say(struct sal_sheet *sheet, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Which model, and which image as it was prepared. */
void sal_sheet_say_origin(struct sal_sheet *sheet, const struct sal_writing *writing);

/* A zeroed sheet of the probe's answer that is shown. */
enum sal_status sal_sheet_fill_probe(struct sal_sheet *sheet, const struct sal_writing *writing,
                                     struct sal_error *err);

#endif
