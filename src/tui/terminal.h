/*
 * The terminal: taken over by ncurses, given back as it was.
 *
 * Finds out how many colours and which characters it has. Text goes through
 * ncurses. Where the terminal knows 24-bit colours but its terminfo entry does
 * not say so (nearly always), pictures are written raw over their place in the
 * ncurses screen, after the text, in one write; ncurses believes that there are
 * no-break spaces and leaves them alone. Meanwhile what libraries print on
 * standard error is kept, and shown when the terminal is given back. Main thread
 * only, one at a time.
 */
#ifndef SALISCOPE_TUI_TERMINAL_H
#define SALISCOPE_TUI_TERMINAL_H

#include <ncurses.h>
#include <stdbool.h>
#include <termios.h>

#include "layout.h"
#include "raster.h"
#include "saliscope/cells.h"
#include "saliscope/status.h"

/* What text is for; how it looks depends on the colours there are. */
enum sal_style {
    SAL_STYLE_TEXT,
    SAL_STYLE_TITLE,
    SAL_STYLE_QUIET,    /* lines, labels, hints */
    SAL_STYLE_SELECTED,
    SAL_STYLE_FLAG,     /* a score at or above its threshold */
    SAL_STYLE_WARNING,
    SAL_STYLE_ERROR,
    SAL_STYLES,
};

struct sal_terminal {
    SCREEN *screen;
    WINDOW *keys; /* a pad: reading from it draws nothing */
    enum sal_depth depth;
    bool unicode;
    bool raw; /* pictures bypass ncurses */
    attr_t style[SAL_STYLES];
    struct termios mode; /* before */
    int messages, standard_error; /* what was printed meanwhile; the real one */
    struct sal_raster raster;
};

/* Reads the locale (call before other threads start) and says whether standard
 * input and output are a terminal that can show anything; SAL_USAGE. */
enum sal_status sal_terminal_check(struct sal_error *err);

/* colors -1: find out. */
enum sal_status sal_terminal_open(struct sal_terminal *terminal, int colors,
                                  bool ascii, struct sal_error *err);
void sal_terminal_close(struct sal_terminal *terminal);

/* Appends what puts an open terminal back: for when ncurses cannot be asked. */
void sal_terminal_reset(struct sal_buffer *out);

/* Gives the terminal back for a while, and takes it again. */
void sal_terminal_suspend(struct sal_terminal *terminal);
void sal_terminal_resume(struct sal_terminal *terminal);

/* Takes the terminal's new size from the kernel. */
void sal_terminal_resize(struct sal_terminal *terminal);

/* The screen may hold anything: the next sal_terminal_present writes all of it. */
void sal_terminal_forget(struct sal_terminal *terminal);

/* Puts cells into a window: in colour, or as the blank that a later
 * sal_terminal_present writes over. */
void sal_terminal_cells(const struct sal_terminal *terminal, WINDOW *window, int y,
                        int x, const struct sal_cells *cells);

/* Puts cells of lines and text into a window, always through ncurses, in colours of that
 * depth. */
enum sal_depth sal_terminal_text_depth(const struct sal_terminal *terminal);
void sal_terminal_glyphs(const struct sal_terminal *terminal, WINDOW *window, int y, int x,
                         const struct sal_cells *cells);

/* Where pictures bypass ncurses: keeps it from scrolling rows of the terminal (a way
 * it saves output), which would take the pictures along. Puts two blanks that are
 * unlike those of all other rows into the first rows of a window as wide as the
 * screen, from column x. */
void sal_terminal_hold_rows(const struct sal_terminal *terminal, WINDOW *window, int x,
                            int rows);

/* Shows what the windows hold; writes the sprites where they bypass ncurses (n 0:
 * they are as they were), leaving out the rectangle hole. */
void sal_terminal_present(struct sal_terminal *terminal,
                          const struct sal_sprite *sprites, int n,
                          const struct sal_rect *hole);

#endif
