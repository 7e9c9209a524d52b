#include <math.h>
#include <stdio.h>

#include "app.h"
#include "saliscope/text.h"

enum { PROGRESS_COLUMNS = 44, PROGRESS_BAR = 12 };

static const char *const doing[] = {
    [SAL_IDLE] = "ready",
    [SAL_LOADING] = "loading",
    [SAL_CLASSIFYING] = "classifying",
    [SAL_EXPLAINING] = "explaining with ",
    [SAL_PROBING] = "probing: ",
};

/* The end of a text that is too long for its room: there one types. */
static const char *end_of(const char *text, int columns)
{
    while (*text && sal_text_columns(text) > columns) {
        text++;
        while ((*text & 0xC0) == 0x80)
            text++;
    }
    return text;
}

static void draw_prompt(const struct sal_canvas *canvas, const struct sal_prompt *prompt)
{
    int columns = canvas->columns;
    int x = sal_draw(canvas, 0, 0, columns, SAL_STYLE_TITLE, "%s: ", prompt->label);
    x += sal_draw(canvas, 0, x, columns - x, SAL_STYLE_TEXT, "%s",
                  end_of(prompt->text, columns - x - 1));
    x += sal_draw(canvas, 0, x, 1, SAL_STYLE_SELECTED, " ");
    if (prompt->confirm)
        sal_draw(canvas, 0, x, columns - x, SAL_STYLE_WARNING,
                 "  is there already: Enter replaces it, Esc leaves it");
    else
        sal_draw(canvas, 0, x, columns - x, SAL_STYLE_QUIET, "  %s", prompt->hint);
}

/* On the right while there is work: how far it is. Returns its first column. */
static int draw_progress(const struct sal_canvas *canvas, const struct sal_app *app)
{
    const struct sal_snapshot *snapshot = &app->snapshot;
    int wanted = canvas->columns / 2;
    int columns = wanted < PROGRESS_COLUMNS ? wanted : PROGRESS_COLUMNS;
    int start = canvas->columns - columns, x = start;
    if (columns > PROGRESS_COLUMNS - 4 && snapshot->progress >= 0) {
        sal_draw_bar(canvas, 0, x, PROGRESS_BAR, SAL_STYLE_TEXT, snapshot->progress,
                     (double)NAN);
        x += PROGRESS_BAR + 1;
    }
    if (snapshot->progress >= 0)
        x += sal_draw(canvas, 0, x, 7, SAL_STYLE_TEXT, "%3.0f %% ",
                      100 * snapshot->progress);
    if (isfinite(snapshot->eta))
        x += sal_draw(canvas, 0, x, 14, SAL_STYLE_TEXT, "%.0f s left ",
                      ceil(snapshot->eta));
    sal_draw(canvas, 0, x, canvas->columns - x, SAL_STYLE_QUIET, "Esc stops");
    return start;
}

/* The scores of a sweep that was stopped are kept; gradients are not. */
static bool goes_on(const struct sal_app *app)
{
    const struct sal_snapshot *snapshot = &app->snapshot;
    const struct sal_method *method = app->ask[app->task].method;
    return snapshot->map && snapshot->map->partial && method &&
           snapshot->ask.method == method && !(method->needs & SAL_NEEDS_GRADIENT);
}

static void draw_state(const struct sal_canvas *canvas, const struct sal_app *app,
                       int columns)
{
    const struct sal_snapshot *snapshot = &app->snapshot;
    if (snapshot->state == SAL_IDLE && snapshot->error.status == SAL_CANCELLED)
        sal_draw(canvas, 0, 0, columns, SAL_STYLE_TEXT, "stopped; r %s",
                 goes_on(app) ? "goes on" : "runs it again");
    else if (snapshot->state == SAL_IDLE && snapshot->error.status)
        sal_draw(canvas, 0, 0, columns, SAL_STYLE_ERROR, "error: %s",
                 snapshot->error.text);
    else if (snapshot->state >= SAL_EXPLAINING)
        sal_draw(canvas, 0, 0, columns, SAL_STYLE_TEXT, "%s%s", doing[snapshot->state],
                 sal_ask_title(&app->asked[app->under_way]));
    else
        sal_draw(canvas, 0, 0, columns, SAL_STYLE_TEXT, "%s", doing[snapshot->state]);
}

static void draw_status(const struct sal_canvas *canvas, struct sal_app *app)
{
    if (app->prompt.open) {
        draw_prompt(canvas, &app->prompt);
        return;
    }
    int columns = canvas->columns;
    if (app->snapshot.state != SAL_IDLE)
        columns = draw_progress(canvas, app) - 1;
    if (app->message_until > 0)
        sal_draw(canvas, 0, 0, columns,
                 app->message.status ? SAL_STYLE_ERROR : SAL_STYLE_TEXT, "%s%s",
                 app->message.status ? "error: " : "", app->message.text);
    else
        draw_state(canvas, app, columns);
}

static void draw_footer(const struct sal_canvas *canvas, struct sal_app *app)
{
    (void)app;
    int x = 0;
    for (int i = 0; i < SAL_REQUESTS; i++) {
        if (!sal_key_hints[i])
            continue;
        const char *cursor = sal_tui_keys[i].keys;
        size_t size;
        const char *key = sal_key_next(&cursor, &size);
        char text[64];
        int columns = snprintf(text, sizeof(text), "%.*s %s", (int)size, key,
                               sal_key_hints[i]);
        if (x + columns > canvas->columns)
            return;
        int taken = sal_draw(canvas, 0, x, columns, SAL_STYLE_TITLE, "%.*s ",
                             (int)size, key);
        sal_draw(canvas, 0, x + taken, columns, SAL_STYLE_QUIET, "%s", sal_key_hints[i]);
        x += columns + 2;
    }
}

const struct sal_pane sal_pane_status = {.name = "status", .draw = draw_status};
const struct sal_pane sal_pane_footer = {.name = "footer", .draw = draw_footer};
