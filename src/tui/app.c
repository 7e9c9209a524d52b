#include "app.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "signals.h"

enum { TICK_MS = 200 };

static const struct sal_pane *const panes[SAL_PANES] = {
    [SAL_PANE_IMAGE] = &sal_pane_image,   [SAL_PANE_CHART] = &sal_pane_chart,
    [SAL_PANE_SCORES] = &sal_pane_scores, [SAL_PANE_FACTS] = &sal_pane_facts,
    [SAL_PANE_STATUS] = &sal_pane_status, [SAL_PANE_FOOTER] = &sal_pane_footer,
    [SAL_PANE_HELP] = &sal_pane_help,
};

static const struct sal_task *const tasks[SAL_TASKS] = {
    [SAL_TASK_EXPLAIN] = &sal_task_explain,
    [SAL_TASK_PROBE] = &sal_task_probe,
};

const struct sal_task *sal_app_task(const struct sal_app *app)
{
    return tasks[app->task];
}

const char *sal_app_basename(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path ? path : "";
}

int sal_app_class(const struct sal_app *app)
{
    if (!app->snapshot.scores.n)
        return -1;
    return app->class_index >= 0 ? app->class_index : app->snapshot.scores.top;
}

double sal_app_threshold(const struct sal_app *app, int class_index)
{
    const struct sal_sidecar *sidecar = sal_model_sidecar(app->model);
    if (class_index < sidecar->n_classes &&
        !isnan(sidecar->classes[class_index].threshold))
        return sidecar->classes[class_index].threshold;
    bool sigmoid = sal_model_output(app->model)->activation == SAL_SIGMOID;
    return sigmoid ? 0.5 : (double)NAN;
}

bool sal_app_image_current(const struct sal_app *app)
{
    const char *shown = app->snapshot.image_path;
    return app->snapshot.image && shown &&
           !strcmp(shown, app->options->images[app->image]);
}

/* ---- the classes in order ------------------------------------------------------- */

static int by_logit(const void *a, const void *b, void *context)
{
    const sal_real *logits = context;
    int i = *(const int *)a, k = *(const int *)b;
    if (logits[i] > logits[k] || logits[i] < logits[k])
        return logits[i] > logits[k] ? -1 : 1;
    return i - k;
}

void sal_app_order(struct sal_app *app)
{
    const struct sal_scores *scores = &app->snapshot.scores;
    if (app->n_order == scores->n && app->order_serial == app->snapshot.serial)
        return;
    if (app->n_order != scores->n) {
        free(app->order);
        app->order = calloc((size_t)scores->n, sizeof(*app->order));
    }
    app->n_order = app->order ? scores->n : 0;
    app->order_serial = app->snapshot.serial;
    for (int i = 0; i < app->n_order; i++)
        app->order[i] = i;
    if (app->n_order)
        qsort_r(app->order, (size_t)app->n_order, sizeof(*app->order), by_logit,
                (void *)(uintptr_t)scores->logits);
}

/* ---- drawing ------------------------------------------------------------------------ */

static double aspect_of(const struct sal_app *app)
{
    const struct sal_image *image = app->snapshot.image;
    return image ? (double)image->height / image->width : 1;
}

static bool same_layout(const struct sal_screen *a, const struct sal_screen *b)
{
    return a->too_small == b->too_small && !memcmp(a->pane, b->pane, sizeof(a->pane));
}

static void lay_out(struct sal_app *app)
{
    struct sal_screen layout =
        sal_layout_make(LINES, COLS, aspect_of(app), sal_model_output(app->model)->n,
                        sal_app_chart(app) != SAL_PROBE_PLOTS, sal_help_rows());
    if (same_layout(&layout, &app->layout))
        return;
    app->layout = layout;
    app->repaint = true;
    werase(stdscr);
    for (int i = 0; i < SAL_PANES; i++) {
        const struct sal_rect *rect = &layout.pane[i];
        if (app->window[i])
            delwin(app->window[i]);
        app->window[i] = rect->height && rect->width
                             ? newwin(rect->height, rect->width, rect->y, rect->x)
                             : NULL;
    }
}

static void update_frame(struct sal_app *app)
{
    const struct sal_rect *pane = &app->layout.pane[SAL_PANE_IMAGE];
    const struct sal_snapshot *snapshot = &app->snapshot;
    struct sal_frame_ask ask = {
        .image = snapshot->image,
        .serial = snapshot->serial,
        .preprocessing = sal_model_preprocessing(app->model),
        .view = app->view[app->task],
        .show = app->show[app->task],
        .encoder = app->encoder,
        .depth = app->terminal.depth,
        .unicode = app->terminal.unicode,
        .columns = pane->width - SAL_BAR_COLUMNS,
        .rows = pane->height - SAL_PICTURE_ROWS,
    };
    sal_app_task(app)->picture(app, &ask);
    struct sal_error err = {0};
    unsigned before = app->frame.generation;
    if (sal_frame_update(&app->frame, &ask, &err))
        sal_app_say(app, err.status, "%s", err.text);
    if (app->frame.generation != before)
        app->repaint = true;
}

static void draw_too_small(struct sal_app *app)
{
    werase(stdscr);
    struct sal_canvas canvas = sal_canvas_of(&app->terminal, stdscr);
    char text[128];
    snprintf(text, sizeof(text), "saliscope needs %d x %d cells, this is %d x %d.",
             SAL_LAYOUT_COLUMNS_MIN, SAL_LAYOUT_ROWS_MIN, COLS, LINES);
    int y = sal_draw_wrapped(&canvas, 0, 0, 0, SAL_STYLE_TEXT, text);
    sal_draw(&canvas, y, 0, COLS, SAL_STYLE_TEXT, "q quits");
    wnoutrefresh(stdscr);
    doupdate();
}

static void draw_pane(struct sal_app *app, int i)
{
    if (!app->window[i])
        return;
    werase(app->window[i]);
    struct sal_canvas canvas = sal_canvas_of(&app->terminal, app->window[i]);
    panes[i]->draw(&canvas, app);
    touchwin(app->window[i]);
    wnoutrefresh(app->window[i]);
}

static void present(struct sal_app *app)
{
    struct sal_sprite sprites[2];
    int n = 0;
    if (app->repaint && app->frame.picture.columns)
        sprites[n++] = (struct sal_sprite){&app->frame.picture, app->picture.y,
                                           app->picture.x};
    if (n && app->frame.bar.columns)
        sprites[n++] = (struct sal_sprite){&app->frame.bar, app->bar.y, app->bar.x};
    if (!app->frame.picture.columns)
        sal_raster_release(&app->terminal.raster);
    sal_terminal_present(&app->terminal, sprites, n,
                         app->help ? &app->layout.pane[SAL_PANE_HELP] : NULL);
    app->repaint = false;
}

static void draw(struct sal_app *app)
{
    lay_out(app);
    if (app->layout.too_small) {
        draw_too_small(app);
        return;
    }
    sal_app_order(app);
    update_frame(app);
    struct sal_canvas canvas = sal_canvas_of(&app->terminal, stdscr);
    int body = app->layout.pane[SAL_PANE_STATUS].y;
    if (app->layout.divider >= 0) {
        sal_draw_upright(&canvas, 0, app->layout.divider, body);
        sal_terminal_hold_rows(&app->terminal, stdscr, app->layout.divider + 1, body);
    }
    touchwin(stdscr);
    wnoutrefresh(stdscr);
    for (int i = 0; i < SAL_PANES; i++)
        if (i != SAL_PANE_HELP || app->help)
            draw_pane(app, i);
    present(app);
}

/* ---- what happens ------------------------------------------------------------------- */

static void type(struct sal_app *app, wint_t character)
{
    enum sal_prompt_end end = sal_prompt_type(&app->prompt, (wchar_t)character);
    if (end == SAL_PROMPT_ENTERED)
        app->entered(app);
    else if (end == SAL_PROMPT_GOES_ON && app->typed)
        app->typed(app);
}

static void take_keys(struct sal_app *app)
{
    wint_t code;
    int kind;
    while (!app->quit && (kind = wget_wch(app->terminal.keys, &code)) != ERR) {
        bool special = kind == KEY_CODE_YES;
        if (special && (code == KEY_BACKSPACE || code == KEY_ENTER)) {
            code = code == KEY_ENTER ? '\n' : '\b';
            special = false;
        }
        bool help = app->help;
        if (app->prompt.open && !special)
            type(app, code);
        else if (!app->prompt.open && (special || code < 0x80))
            sal_app_act(app, sal_key_request((int)code));
        app->repaint |= help != app->help;
    }
}

static void pause_here(struct sal_app *app)
{
    sal_terminal_suspend(&app->terminal);
    sal_signals_stop();
    sal_terminal_resume(&app->terminal);
    app->repaint = true;
}

static void take_signals(struct sal_app *app)
{
    for (int number; (number = sal_signals_take());) {
        if (number == SIGTSTP) {
            pause_here(app);
        } else if (number == SIGCONT) {
            sal_terminal_resume(&app->terminal);
            app->repaint = true;
        } else if (number == SIGWINCH) {
            sal_terminal_resize(&app->terminal);
            app->repaint = true;
        } else {
            app->quit = true;
            app->quit_signal = number;
        }
    }
}

static void drain(int fd)
{
    char bytes[256];
    if (read(fd, bytes, sizeof(bytes)) < 0) {
        /* Only the wake-up counts. */
    }
}

/* The session keeps the last image that could be read; beside an error about
 * another one it would mislead. */
static void look(struct sal_app *app)
{
    sal_session_snapshot(app->session, &app->snapshot);
    if (app->snapshot.error.status && !sal_app_image_current(app)) {
        app->snapshot.image = NULL;
        app->snapshot.map = NULL;
        app->snapshot.answer = NULL;
        app->snapshot.scores = (struct sal_scores){0};
    }
    if (app->snapshot.state == SAL_IDLE)
        app->since = 0;
    else if (app->since <= 0)
        app->since = sal_seconds();
    if (app->message_until > 0 && sal_seconds() >= app->message_until)
        app->message_until = 0;
}

/* How long nothing will change by itself, in ms; -1: until something happens. */
static int patience(const struct sal_app *app)
{
    const double for_ever = 1e9;
    double wait = app->snapshot.state == SAL_IDLE ? for_ever : TICK_MS;
    double now = sal_seconds();
    if (app->ask_at > 0)
        wait = fmin(wait, ceil(1000 * (app->ask_at - now)));
    if (app->message_until > 0)
        wait = fmin(wait, ceil(1000 * (app->message_until - now)));
    return wait < for_ever ? (int)fmax(wait, 0) : -1;
}

static void loop(struct sal_app *app, int wake, int signals)
{
    while (!app->quit) {
        look(app);
        draw(app);
        struct pollfd fds[] = {
            {STDIN_FILENO, POLLIN, 0}, {signals, POLLIN, 0}, {wake, POLLIN, 0}};
        int n = poll(fds, 3, patience(app));
        if (n < 0 && errno != EINTR)
            return;
        if (n > 0 && fds[1].revents)
            take_signals(app);
        if (n > 0 && fds[2].revents)
            drain(wake);
        if (n > 0 && (fds[0].revents & POLLIN))
            take_keys(app);
        if (n > 0 && (fds[0].revents & (POLLHUP | POLLERR | POLLNVAL))) {
            app->quit = true;
            app->quit_signal = SIGHUP;
        }
        sal_app_ask_when_due(app);
    }
}

/* ---- from start to end ----------------------------------------------------------------- */

static void release(struct sal_app *app)
{
    for (int i = 0; i < SAL_PANES; i++)
        if (app->window[i])
            delwin(app->window[i]);
    sal_frame_release(&app->frame);
    sal_change_release(&app->change);
    free(app->order);
}

static enum sal_status show(struct sal_app *app, int wake, struct sal_error *err)
{
    int signals;
    enum sal_status status = sal_signals_open(&signals, err);
    if (status)
        return status;
    status = sal_terminal_open(&app->terminal, app->options->colors,
                               app->options->ascii, err);
    if (!status) {
        app->encoder = sal_encoder_best(app->terminal.depth, app->terminal.unicode);
        loop(app, wake, signals);
        sal_session_cancel(app->session);
        release(app);
        sal_terminal_close(&app->terminal);
        if (app->quit_signal)
            sal_signals_die(app->quit_signal);
    }
    sal_signals_close();
    return status;
}

enum sal_status sal_tui_run(struct sal_session *session,
                            const struct sal_tui_options *options,
                            struct sal_error *err)
{
    struct sal_app app = {
        .session = session,
        .model = sal_session_model(session),
        .options = options,
        .class_index = options->ask.class_index,
        .task = options->probe.probe ? SAL_TASK_PROBE : SAL_TASK_EXPLAIN,
        .ask = {[SAL_TASK_EXPLAIN] = options->ask, [SAL_TASK_PROBE] = options->probe},
        .view = {[SAL_TASK_EXPLAIN] = options->view},
    };
    if (!options->probe.probe) {
        app.ask[SAL_TASK_PROBE] =
            (struct sal_session_ask){.probe = sal_probe_list[0], .layer = -1};
        sal_params_init(&app.ask[SAL_TASK_PROBE].params, sal_probe_list[0]->params);
    }
    for (int i = 0; i < SAL_TASKS; i++)
        app.show[i] = tasks[i]->views[0];
    int wake;
    enum sal_status status = sal_terminal_check(err);
    if (!status)
        status = sal_session_start(session, &wake, err);
    if (status)
        return status;
    sal_session_choose(session, tasks[app.task]->result);
    sal_app_ask_now(&app, options->images[0]);
    return show(&app, wake, err);
}
