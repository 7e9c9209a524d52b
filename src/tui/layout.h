/*
 * Where each pane lies: a pure function of the screen's size and what is shown.
 * Side by side where the screen is wide, stacked where it is narrow. No state.
 */
#ifndef SALISCOPE_TUI_LAYOUT_H
#define SALISCOPE_TUI_LAYOUT_H

#include <stdbool.h>

/* One rectangle of character cells; height 0: not shown. */
struct sal_rect {
    int y, x, height, width;
};

/* The panes, in the order they are drawn; the help lies over the others. */
enum sal_pane_id {
    SAL_PANE_IMAGE,
    SAL_PANE_CHART, /* below the image, where there is one and room for it */
    SAL_PANE_SCORES,
    SAL_PANE_FACTS,
    SAL_PANE_STATUS,
    SAL_PANE_FOOTER,
    SAL_PANE_HELP,
    SAL_PANES,
};

enum {
    SAL_LAYOUT_ROWS_MIN = 10, /* below: nothing but a sentence that says so */
    SAL_LAYOUT_COLUMNS_MIN = 30,
    SAL_BAR_COLUMNS = 12, /* the colour bar beside the picture, with its numbers */
    SAL_PICTURE_ROWS = 2, /* rows of the image pane that are not picture */
};

struct sal_screen {
    bool too_small;
    bool stacked;
    int divider; /* column of the line between the halves; -1: none */
    struct sal_rect pane[SAL_PANES];
};

/* aspect: height / width of the image, 1 while there is none. classes: how many
 * scores there are. chart: there is one. help: rows of the help's text. */
struct sal_screen sal_layout_make(int rows, int columns, double aspect, int classes,
                                  bool chart, int help);

#endif
