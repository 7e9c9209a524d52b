#include "layout.h"

#include <math.h>

enum {
    SIDE_COLUMNS_MIN = 64, /* narrower screens are stacked */
    RIGHT_MIN = 28,
    RIGHT_MAX = 76,
    HELP_COLUMNS = 74,
    GAP = 3, /* between the halves: the line, and two blanks */
    CHART_MIN = 9, /* rows, with its heading */
    CHART_MAX = 18,
    CHART_COLUMNS_MIN = 24,
    ABOVE_MIN = 13, /* rows that a chart leaves to what else is in its column */
    ABOVE_STACKED_MIN = 24,
};

static int at_least(int a, int b)
{
    return a > b ? a : b;
}

static int at_most(int a, int b)
{
    return a < b ? a : b;
}

/* Rows of a chart in a part of the screen of that size. */
static int chart_rows(bool chart, int rows, int columns, int above_min)
{
    int most = at_most(rows - above_min, CHART_MAX), wanted = at_least(rows * 2 / 5, CHART_MIN);
    return chart && columns >= CHART_COLUMNS_MIN && most >= CHART_MIN ? at_most(wanted, most) : 0;
}

static void side_by_side(struct sal_screen *layout, int body, int columns,
                         double aspect, int classes, bool chart)
{
    /* A cell is twice as high as wide. */
    int ideal = (int)ceil((body - SAL_PICTURE_ROWS) * 2 / aspect) + SAL_BAR_COLUMNS;
    int right_min = at_most(at_least(columns * 2 / 5, RIGHT_MIN), 40);
    int left = at_most(at_least(ideal, columns - GAP - RIGHT_MAX), columns - GAP - right_min);
    int right = columns - GAP - left;
    int scores = at_least(at_most(classes + 2, body / 2), 4);
    layout->divider = left;
    int below = chart_rows(chart, body, left, ABOVE_MIN);
    layout->pane[SAL_PANE_IMAGE] = (struct sal_rect){0, 0, body - below, left};
    layout->pane[SAL_PANE_CHART] = (struct sal_rect){body - below, 0, below, left};
    layout->pane[SAL_PANE_SCORES] = (struct sal_rect){0, left + GAP, scores, right};
    layout->pane[SAL_PANE_FACTS] =
        (struct sal_rect){scores, left + GAP, body - scores, right};
}

static void stacked(struct sal_screen *layout, int body, int columns, double aspect,
                    int classes, bool chart)
{
    int below = chart_rows(chart, body, columns, ABOVE_STACKED_MIN);
    body -= below;
    int picture = (int)ceil((columns - SAL_BAR_COLUMNS) * aspect / 2);
    int image = at_most(picture + SAL_PICTURE_ROWS, body * 6 / 10);
    int rest = body - image;
    int scores = rest < 5 ? rest : at_least(at_most(classes + 2, rest / 2), 3);
    layout->stacked = true;
    layout->pane[SAL_PANE_IMAGE] = (struct sal_rect){0, 0, image, columns};
    layout->pane[SAL_PANE_CHART] = (struct sal_rect){image, 0, below, columns};
    layout->pane[SAL_PANE_SCORES] = (struct sal_rect){image + below, 0, scores, columns};
    layout->pane[SAL_PANE_FACTS] =
        (struct sal_rect){image + below + scores, 0, rest - scores, columns};
}

struct sal_screen sal_layout_make(int rows, int columns, double aspect, int classes,
                                  bool chart, int help)
{
    struct sal_screen layout = {.divider = -1};
    if (rows < SAL_LAYOUT_ROWS_MIN || columns < SAL_LAYOUT_COLUMNS_MIN) {
        layout.too_small = true;
        return layout;
    }
    if (!(aspect > 1.0 / 16))
        aspect = 1.0 / 16;
    if (aspect > 16)
        aspect = 16;
    int body = rows - 2;
    if (columns >= SIDE_COLUMNS_MIN)
        side_by_side(&layout, body, columns, aspect, classes, chart);
    else
        stacked(&layout, body, columns, aspect, classes, chart);
    layout.pane[SAL_PANE_STATUS] = (struct sal_rect){body, 0, 1, columns};
    layout.pane[SAL_PANE_FOOTER] = (struct sal_rect){body + 1, 0, 1, columns};
    int height = at_most(help + 2, body), width = at_most(HELP_COLUMNS, columns);
    layout.pane[SAL_PANE_HELP] = (struct sal_rect){
        (body - height) / 2, (columns - width) / 2, height, width};
    return layout;
}
