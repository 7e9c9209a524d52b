#include "app.h"

enum { KEYS_COLUMNS = 15 };

static const char *const words[] = {
    "",
    "Bars are scores; the upright tick is the class's threshold, ! marks a",
    "score that reaches it. The numbers beside the picture say what its",
    "colours mean. A map shows what moved the score; it is no finding.",
    "What a probe finds is an upper bound; that it finds nothing is no proof.",
};
enum { WORDS = sizeof(words) / sizeof(*words) };

int sal_help_rows(void)
{
    return SAL_REQUESTS + WORDS;
}

static void frame(const struct sal_canvas *canvas)
{
    if (canvas->terminal->unicode)
        wborder_set(canvas->window, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
    else
        wborder(canvas->window, '|', '|', '-', '-', '+', '+', '+', '+');
}

static void draw(const struct sal_canvas *canvas, struct sal_app *app)
{
    int rows = canvas->rows - 2, most = sal_help_rows() - rows;
    if (app->help_top > most)
        app->help_top = most;
    if (app->help_top < 0)
        app->help_top = 0;
    frame(canvas);
    sal_draw(canvas, 0, 2, canvas->columns - 4, SAL_STYLE_TITLE,
             most > 0 ? " Keys (Up, Down: more) " : " Keys ");
    for (int i = 0; i < rows; i++) {
        int row = app->help_top + i, room = canvas->columns - 4;
        if (row >= SAL_REQUESTS) {
            sal_draw(canvas, 1 + i, 2, room, SAL_STYLE_TEXT, "%s",
                     words[row - SAL_REQUESTS]);
            continue;
        }
        sal_draw(canvas, 1 + i, 2, KEYS_COLUMNS - 1, SAL_STYLE_TITLE, "%s",
                 sal_tui_keys[row].keys);
        sal_draw(canvas, 1 + i, 2 + KEYS_COLUMNS, room - KEYS_COLUMNS, SAL_STYLE_TEXT,
                 "%s", sal_tui_keys[row].help);
    }
}

const struct sal_pane sal_pane_help = {.name = "help", .draw = draw};
