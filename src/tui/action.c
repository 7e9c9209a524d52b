#include <ctype.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app.h"

static const double settle_seconds = 0.2; /* before a changed question is asked */
static const double busy_seconds = 2;     /* work this old is not thrown away unasked */
static const double say_seconds = 5;
static const double opacity_step = 0.1;

void sal_app_say(struct sal_app *app, enum sal_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(app->message.text, sizeof(app->message.text), format, args);
    va_end(args);
    app->message.status = status;
    app->message_until = sal_app_now() + say_seconds;
}

/* ---- asking ---------------------------------------------------------------------- */

/* image NULL: the one that was asked for last. */
static void ask_now(struct sal_app *app, const char *image)
{
    app->ask_at = 0;
    if (app->snapshot.state == SAL_IDLE && !sal_app_image_current(app))
        image = app->options->images[app->image];
    sal_session_request(app->session, image, &app->ask);
}

void sal_app_ask_when_due(struct sal_app *app)
{
    if (app->ask_at <= 0 || sal_app_now() < app->ask_at)
        return;
    app->ask_at = 0;
    if (app->since > 0 && sal_app_now() - app->since > busy_seconds)
        sal_app_say(app, SAL_OK, "Enter asks this instead of the work under way");
    else
        ask_now(app, NULL);
}

static void ask_soon(struct sal_app *app)
{
    app->ask_at = sal_app_now() + settle_seconds;
}

static void explain(struct sal_app *app, int unused)
{
    (void)unused;
    ask_now(app, NULL);
}

static void again(struct sal_app *app, int unused)
{
    (void)unused;
    ask_now(app, app->options->images[app->image]);
}

static void cancel(struct sal_app *app, int unused)
{
    (void)unused;
    if (app->help)
        app->help = false;
    else if (app->snapshot.state == SAL_IDLE && app->ask_at <= 0)
        app->message_until = 0;
    else
        sal_session_cancel(app->session);
    app->ask_at = 0;
}

/* ---- what is explained ------------------------------------------------------------ */

static void move_class(struct sal_app *app, int by)
{
    if (app->help) {
        app->help_top += by;
        return;
    }
    int now = sal_app_class(app), at = 0;
    if (now < 0)
        return;
    while (at < app->n_order && app->order[at] != now)
        at++;
    at += by;
    if (at < 0 || at >= app->n_order)
        return;
    app->ask.class_index = app->order[at];
    ask_soon(app);
}

static void top_class(struct sal_app *app, int unused)
{
    (void)unused;
    app->ask.class_index = -1;
    ask_soon(app);
}

static bool looks_at_layers(struct sal_app *app)
{
    if (app->ask.method && (app->ask.method->needs & SAL_NEEDS_LAYER))
        return true;
    sal_app_say(app, SAL_OK, "%s looks at no layer",
                app->ask.method ? app->ask.method->title : "this");
    return false;
}

static void move_layer(struct sal_app *app, int by)
{
    int n, automatic;
    const struct sal_layer *layers = sal_model_layers(app->model, &n, &automatic);
    if (!looks_at_layers(app) || n < 1)
        return;
    int at = automatic;
    for (int i = 0; i < n; i++)
        if (layers[i].value == app->ask.layer)
            at = i;
    at += by;
    if (at < 0 || at >= n) {
        sal_app_say(app, SAL_OK, "that is the %s of %d layers",
                    by < 0 ? "first" : "last", n);
        return;
    }
    app->ask.layer = layers[at].value;
    ask_soon(app);
}

static void automatic_layer(struct sal_app *app, int unused)
{
    (void)unused;
    if (!looks_at_layers(app))
        return;
    app->ask.layer = -1;
    ask_soon(app);
}

static void move_method(struct sal_app *app, int by)
{
    int n = 0, at = 0;
    for (; sal_methods[n]; n++)
        if (sal_methods[n] == app->ask.method)
            at = n;
    if (n < 2) {
        sal_app_say(app, SAL_OK, "there is one method only");
        return;
    }
    const struct sal_method *method = sal_methods[(at + by + n) % n];
    const struct sal_like *like = app->options->ask.like;
    if (sal_session_ask_method(app->session, &app->ask, method, like, NULL))
        sal_app_say(app, SAL_OK, "%s has no %s: our own", like->title, method->title);
    if (!(app->ask.method->needs & SAL_NEEDS_LAYER))
        app->ask.layer = -1;
    ask_soon(app);
}

static void move_image(struct sal_app *app, int by)
{
    int n = app->options->n_images;
    if (n < 2) {
        sal_app_say(app, SAL_OK, "there is one image only");
        return;
    }
    app->image = (app->image + by + n) % n;
    app->facts_top = 0;
    ask_now(app, app->options->images[app->image]);
}

/* ---- how it is shown ----------------------------------------------------------------- */

static void toggle_overlay(struct sal_app *app, int unused)
{
    (void)unused;
    app->show = app->show == SAL_SHOW_IMAGE ? SAL_SHOW_OVERLAY : SAL_SHOW_IMAGE;
}

static void next_view(struct sal_app *app, int unused)
{
    (void)unused;
    app->show = (enum sal_show)((app->show + 1) % SAL_SHOWS);
}

static void change_opacity(struct sal_app *app, int by)
{
    double alpha = round(sal_view_opacity(&app->view) * 10) / 10 + by * opacity_step;
    alpha = fmin(alpha, 1);
    app->view.alpha = alpha < opacity_step / 2 ? -1 : alpha;
    sal_app_say(app, SAL_OK, "opacity %.0f %%", 100 * sal_view_opacity(&app->view));
}

static void move_colormap(struct sal_app *app, int by)
{
    int n = 0, at = 0;
    const struct sal_colormap *now = app->frame.colormap;
    for (; sal_colormaps[n].name; n++)
        if (&sal_colormaps[n] == now)
            at = n;
    app->view.colormap = &sal_colormaps[(at + by + n) % n];
    sal_app_say(app, SAL_OK, "%s: %s", app->view.colormap->name,
                app->view.colormap->title);
}

static void next_contour(struct sal_app *app, int unused)
{
    static const double percents[] = {0, 5, 10, 20};
    enum { N = sizeof(percents) / sizeof(*percents) };
    (void)unused;
    int at = 0;
    while (at < N - 1 && percents[at] < app->view.contour)
        at++;
    app->view.contour = percents[(at + 1) % N];
    if (app->view.contour > 0)
        sal_app_say(app, SAL_OK, "line around the strongest %.0f %%", app->view.contour);
    else
        sal_app_say(app, SAL_OK, "no line");
}

static void toggle_grid(struct sal_app *app, int unused)
{
    (void)unused;
    app->grid = !app->grid;
    sal_app_say(app, SAL_OK, "%s", app->grid ? "the method's own grid" : "interpolated");
}

static void scroll_facts(struct sal_app *app, int by)
{
    if (app->help)
        app->help_top += by * (app->layout.pane[SAL_PANE_HELP].height - 3);
    else
        app->facts_top += by * (app->layout.pane[SAL_PANE_FACTS].height - 2);
}

/* ---- figures ---------------------------------------------------------------------------- */

/* Appends text to a file name, anything unusual in it as one dash. */
static void append_plain(char *dst, size_t capacity, const char *text)
{
    size_t used = strlen(dst);
    for (; *text && used + 1 < capacity; text++) {
        bool plain = isalnum((unsigned char)*text) || strchr("+_.", *text);
        if (plain || (used && dst[used - 1] != '-'))
            dst[used++] = plain ? *text : '-';
    }
    while (used && dst[used - 1] == '-')
        used--;
    dst[used] = '\0';
}

/* IMAGE-METHOD-CLASS.png, numbered when that is there already. */
static void default_name(const struct sal_app *app, char *dst, size_t capacity)
{
    const struct sal_session_ask *ask = &app->snapshot.ask;
    char stem[200] = "";
    const char *image = sal_app_basename(app->snapshot.image_path);
    append_plain(stem, sizeof(stem) / 2, image);
    char *dot = strrchr(stem, '.');
    if (dot && dot != stem)
        *dot = '\0';
    if (app->snapshot.map) {
        strcat(stem, "-");
        append_plain(stem, sizeof(stem) - 40, ask->method->name);
        strcat(stem, "-");
        append_plain(stem, sizeof(stem), sal_model_class(app->model, ask->class_index));
    }
    snprintf(dst, capacity, "%s.png", stem);
    for (int i = 2; i < 1000 && !access(dst, F_OK); i++)
        snprintf(dst, capacity, "%s-%d.png", stem, i);
}

static void open_save(struct sal_app *app, int unused)
{
    (void)unused;
    if (!app->snapshot.image || app->snapshot.scores.n == 0) {
        sal_app_say(app, SAL_OK, "there is nothing to save yet");
        return;
    }
    char name[256];
    default_name(app, name, sizeof(name));
    sal_prompt_open(&app->prompt, "save as", name);
}

void sal_app_save(struct sal_app *app)
{
    struct sal_prompt *prompt = &app->prompt;
    if (!*prompt->text) {
        prompt->open = false;
        return;
    }
    if (!prompt->confirm && !access(prompt->text, F_OK)) {
        prompt->confirm = true;
        return;
    }
    prompt->open = false;
    struct sal_error err = {0};
    if (!strcmp(prompt->text, "-"))
        sal_app_say(app, SAL_USAGE, "standard output is this screen; name a file");
    else if (sal_session_write(app->session, prompt->text, &app->view, SAL_AT_INPUT,
                               &err))
        sal_app_say(app, err.status, "%s", err.text);
    else
        sal_app_say(app, SAL_OK, "wrote %s", prompt->text);
}

/* ---- the table --------------------------------------------------------------------------- */

static void quit(struct sal_app *app, int unused)
{
    (void)unused;
    app->quit = true;
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
    [SAL_REQUEST_CLASS_DOWN] = {move_class, 1},
    [SAL_REQUEST_CLASS_UP] = {move_class, -1},
    [SAL_REQUEST_EXPLAIN] = {explain, 0},
    [SAL_REQUEST_TOP_CLASS] = {top_class, 0},
    [SAL_REQUEST_LAYER_NEXT] = {move_layer, 1},
    [SAL_REQUEST_LAYER_BACK] = {move_layer, -1},
    [SAL_REQUEST_LAYER_AUTO] = {automatic_layer, 0},
    [SAL_REQUEST_METHOD_NEXT] = {move_method, 1},
    [SAL_REQUEST_METHOD_BACK] = {move_method, -1},
    [SAL_REQUEST_SAVE] = {open_save, 0},
    [SAL_REQUEST_CANCEL] = {cancel, 0},
    [SAL_REQUEST_COLORMAP_NEXT] = {move_colormap, 1},
    [SAL_REQUEST_COLORMAP_BACK] = {move_colormap, -1},
    [SAL_REQUEST_OPACITY_MORE] = {change_opacity, 1},
    [SAL_REQUEST_OPACITY_LESS] = {change_opacity, -1},
    [SAL_REQUEST_VIEW] = {next_view, 0},
    [SAL_REQUEST_CONTOUR] = {next_contour, 0},
    [SAL_REQUEST_GRID] = {toggle_grid, 0},
    [SAL_REQUEST_IMAGE_NEXT] = {move_image, 1},
    [SAL_REQUEST_IMAGE_BACK] = {move_image, -1},
    [SAL_REQUEST_SCROLL_DOWN] = {scroll_facts, 1},
    [SAL_REQUEST_SCROLL_UP] = {scroll_facts, -1},
    [SAL_REQUEST_AGAIN] = {again, 0},
    [SAL_REQUEST_REDRAW] = {redraw, 0},
};

void sal_app_act(struct sal_app *app, enum sal_request request)
{
    if (request < SAL_REQUESTS)
        actions[request].act(app, actions[request].argument);
}
