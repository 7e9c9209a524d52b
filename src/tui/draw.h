/*
 * Text into panes: the one way any text gets onto the screen, cleaned, cut to its
 * room and in the terminal's own characters. No state.
 */
#ifndef SALISCOPE_TUI_DRAW_H
#define SALISCOPE_TUI_DRAW_H

#include "terminal.h"

struct sal_canvas {
    const struct sal_terminal *terminal;
    WINDOW *window;
    int rows, columns;
};

struct sal_canvas sal_canvas_of(const struct sal_terminal *terminal, WINDOW *window);

/* Writes formatted text into at most `columns` columns (and never past the edge);
 * returns the columns it took. */
int sal_draw(const struct sal_canvas *canvas, int y, int x, int columns,
             enum sal_style style, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* Writes text over as many rows as it needs, broken at blanks, first row at x,
 * the others at indent; returns the row after it. Rows outside the pane are
 * counted and not drawn. */
int sal_draw_wrapped(const struct sal_canvas *canvas, int y, int x, int indent,
                     enum sal_style style, const char *text);

/* A pane's heading: its name, a line to the edge. */
void sal_draw_heading(const struct sal_canvas *canvas, const char *text);

/* part (0..1) of `columns` as a bar; mark (0..1) is a tick in it, NAN: none. */
void sal_draw_bar(const struct sal_canvas *canvas, int y, int x, int columns,
                  enum sal_style style, double part, double mark);

/* A line of `length` cells down from y, x. */
void sal_draw_upright(const struct sal_canvas *canvas, int y, int x, int length);

#endif
