/*
 * Text in a figure: one sans face, measured in points, so that nothing runs out of
 * the page whatever the text is. Works with any cairo context whose unit is the
 * point.
 */
#ifndef SALISCOPE_RENDER_FIGURE_TEXT_H
#define SALISCOPE_RENDER_FIGURE_TEXT_H

#include <cairo.h>
#include <stdbool.h>

#include "saliscope/arena.h"

/* Selects the face. Where fontconfig has no configuration it would print to
 * standard error, so cairo's built-in face is taken there. */
void sal_figure_font(cairo_t *cr, double points, bool bold);

double sal_figure_text_width(cairo_t *cr, const char *text);
double sal_figure_line_height(cairo_t *cr);

/* Draws with the top left of the line at x, y. */
void sal_figure_text(cairo_t *cr, double x, double y, const char *text);

/* text made clean, and cut with an ellipsis where it is wider than width. NULL: no
 * memory. */
const char *sal_figure_clip(cairo_t *cr, struct sal_arena *arena, const char *text,
                            double width);

/* text made clean, broken at blanks (within a word wider than a line, anywhere)
 * into at most max lines; the last ends in an ellipsis where more was to come.
 * Returns how many lines there are, -1 without memory. */
int sal_figure_wrap(cairo_t *cr, struct sal_arena *arena, const char *text,
                    double width, int max, const char *lines[]);

#endif
