#include "action.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

static const double say_seconds = 5;
static const double opacity_step = 0.1;

void sal_app_say(struct sal_app *app, enum sal_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(app->message.text, sizeof(app->message.text), format, args);
    va_end(args);
    app->message.status = status;
    app->message_until = sal_seconds() + say_seconds;
}

/* ---- how it is shown ----------------------------------------------------------------- */

static void toggle_overlay(struct sal_app *app, int unused)
{
    (void)unused;
    enum sal_show *show = &app->show[app->task];
    *show = *show == SAL_SHOW_IMAGE ? sal_app_task(app)->views[0] : SAL_SHOW_IMAGE;
}

static void next_view(struct sal_app *app, int unused)
{
    (void)unused;
    const struct sal_task *task = sal_app_task(app);
    enum sal_show *show = &app->show[app->task];
    int at = 0;
    while (at < task->n_views - 1 && task->views[at] != *show)
        at++;
    *show = task->views[(at + 1) % task->n_views];
}

static void change_opacity(struct sal_app *app, int by)
{
    struct sal_view *view = sal_app_view(app);
    double alpha = round(sal_view_opacity(view) * 10) / 10 + by * opacity_step;
    alpha = fmin(alpha, 1);
    view->alpha = alpha < opacity_step / 2 ? -1 : alpha;
    sal_app_say(app, SAL_OK, "opacity %.0f %%", 100 * sal_view_opacity(view));
}

static const double sizes[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000};

double sal_app_magnified(const struct sal_app *app)
{
    return sizes[app->magnified];
}

static void magnify(struct sal_app *app, int by)
{
    const int last = sizeof(sizes) / sizeof(*sizes) - 1;
    int to = app->magnified + by;
    app->magnified = to < 0 ? 0 : to > last ? last : to;
}

/* More, or less, of the map that is shown. */
static void change_strength(struct sal_app *app, int by)
{
    if (app->show[app->task] == SAL_SHOW_ADDED)
        magnify(app, by);
    else
        change_opacity(app, by);
}

static void move_colormap(struct sal_app *app, int by)
{
    int n = 0, at = 0;
    const struct sal_colormap *now = app->frame.colormap;
    for (; sal_colormaps[n].name; n++)
        if (&sal_colormaps[n] == now)
            at = n;
    now = &sal_colormaps[(at + by + n) % n];
    sal_app_view(app)->colormap = now;
    sal_app_say(app, SAL_OK, "%s: %s", now->name, now->title);
}

static void next_contour(struct sal_app *app, int unused)
{
    static const double percents[] = {0, 5, 10, 20};
    enum { N = sizeof(percents) / sizeof(*percents) };
    (void)unused;
    struct sal_view *view = sal_app_view(app);
    int at = 0;
    while (at < N - 1 && percents[at] < view->contour)
        at++;
    view->contour = percents[(at + 1) % N];
    if (view->contour > 0)
        sal_app_say(app, SAL_OK, "line around the strongest %.0f %%", view->contour);
    else
        sal_app_say(app, SAL_OK, "no line");
}

static void toggle_grid(struct sal_app *app, int unused)
{
    (void)unused;
    app->grid = !app->grid;
    sal_app_say(app, SAL_OK, "%s", app->grid ? "its own grid" : "interpolated");
}

static void scroll_facts(struct sal_app *app, int by)
{
    if (app->help)
        app->help_top += by * (app->layout.pane[SAL_PANE_HELP].height - 3);
    else
        app->facts_top += by * (app->layout.pane[SAL_PANE_FACTS].height - 2);
}

/* ---- the table --------------------------------------------------------------------------- */

static void quit(struct sal_app *app, int unused)
{
    (void)unused;
    app->quit = true;
}

/* There, or back to where one comes from. */
static void switch_task(struct sal_app *app, int task)
{
    sal_app_switch(app, app->task == (enum sal_task_id)task ? SAL_TASK_EXPLAIN
                                                            : (enum sal_task_id)task);
}

static void toggle_help(struct sal_app *app, int unused)
{
    (void)unused;
    app->help = !app->help;
    app->help_top = 0;
}

static void redraw(struct sal_app *app, int unused)
{
    (void)unused;
    sal_terminal_forget(&app->terminal);
    app->repaint = true;
}

static const struct {
    void (*act)(struct sal_app *app, int argument);
    int argument;
} actions[SAL_REQUESTS] = {
    [SAL_REQUEST_QUIT] = {quit, 0},
    [SAL_REQUEST_HELP] = {toggle_help, 0},
    [SAL_REQUEST_OVERLAY] = {toggle_overlay, 0},
    [SAL_REQUEST_CLASS_DOWN] = {sal_act_move_class, 1},
    [SAL_REQUEST_CLASS_UP] = {sal_act_move_class, -1},
    [SAL_REQUEST_EXPLAIN] = {sal_act_ask, 0},
    [SAL_REQUEST_TOP_CLASS] = {sal_act_top_class, 0},
    [SAL_REQUEST_LAYER_NEXT] = {sal_act_move_layer, 1},
    [SAL_REQUEST_LAYER_BACK] = {sal_act_move_layer, -1},
    [SAL_REQUEST_LAYER_AUTO] = {sal_act_automatic_layer, 0},
    [SAL_REQUEST_METHOD_NEXT] = {sal_act_step, 1},
    [SAL_REQUEST_METHOD_BACK] = {sal_act_step, -1},
    [SAL_REQUEST_PROBE] = {switch_task, SAL_TASK_PROBE},
    [SAL_REQUEST_GOAL] = {sal_act_goal, 0},
    [SAL_REQUEST_COMPARE] = {sal_act_compare, 0},
    [SAL_REQUEST_PARAMS] = {sal_act_params, 0},
    [SAL_REQUEST_SAVE] = {sal_act_save, 0},
    [SAL_REQUEST_CANCEL] = {sal_act_cancel, 0},
    [SAL_REQUEST_COLORMAP_NEXT] = {move_colormap, 1},
    [SAL_REQUEST_COLORMAP_BACK] = {move_colormap, -1},
    [SAL_REQUEST_OPACITY_MORE] = {change_strength, 1},
    [SAL_REQUEST_OPACITY_LESS] = {change_strength, -1},
    [SAL_REQUEST_VIEW] = {next_view, 0},
    [SAL_REQUEST_CONTOUR] = {next_contour, 0},
    [SAL_REQUEST_GRID] = {toggle_grid, 0},
    [SAL_REQUEST_IMAGE_NEXT] = {sal_act_move_image, 1},
    [SAL_REQUEST_IMAGE_BACK] = {sal_act_move_image, -1},
    [SAL_REQUEST_SCROLL_DOWN] = {scroll_facts, 1},
    [SAL_REQUEST_SCROLL_UP] = {scroll_facts, -1},
    [SAL_REQUEST_AGAIN] = {sal_act_again, 0},
    [SAL_REQUEST_REDRAW] = {redraw, 0},
};

void sal_app_act(struct sal_app *app, enum sal_request request)
{
    if (request < SAL_REQUESTS)
        actions[request].act(app, actions[request].argument);
}
