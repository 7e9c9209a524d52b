/* What the session is asked, and when. */
#include <string.h>

#include "action.h"

static const double settle_seconds = 0.2; /* before a changed question is asked */
static const double busy_seconds = 2;     /* work this old is not thrown away unasked */

const char *sal_ask_title(const struct sal_session_ask *ask)
{
    return ask->method ? ask->method->title : ask->probe ? ask->probe->title : "this";
}

const char *sal_ask_name(const struct sal_session_ask *ask)
{
    return ask->method ? ask->method->name : ask->probe ? ask->probe->name : "";
}

const struct sal_param *sal_ask_params(const struct sal_session_ask *ask)
{
    return ask->method ? ask->method->params : ask->probe ? ask->probe->params : NULL;
}

struct sal_session_ask *sal_app_ask(struct sal_app *app)
{
    return &app->ask[app->task];
}

struct sal_view *sal_app_view(struct sal_app *app)
{
    return &app->view[app->task];
}

double sal_app_opacity(const struct sal_app *app)
{
    return sal_view_opacity(&app->view[app->task]);
}

/* ---- when ---------------------------------------------------------------------------- */

void sal_app_ask_now(struct sal_app *app, const char *image)
{
    struct sal_session_ask ask = *sal_app_ask(app);
    ask.class_index = app->class_index;
    app->ask_at = 0;
    if (app->snapshot.state == SAL_IDLE && !sal_app_image_current(app))
        image = app->options->images[app->image];
    app->asked[app->task] = ask;
    app->under_way = app->task;
    sal_session_request(app->session, image, &ask);
}

void sal_app_ask_soon(struct sal_app *app)
{
    app->ask_at = sal_seconds() + settle_seconds;
}

void sal_app_ask_when_due(struct sal_app *app)
{
    if (app->ask_at <= 0 || sal_seconds() < app->ask_at)
        return;
    app->ask_at = 0;
    if (app->since > 0 && sal_seconds() - app->since > busy_seconds)
        sal_app_say(app, SAL_OK, "Enter asks this instead of the work under way");
    else
        sal_app_ask_now(app, NULL);
}

void sal_act_ask(struct sal_app *app, int unused)
{
    (void)unused;
    sal_app_ask_now(app, NULL);
}

void sal_act_again(struct sal_app *app, int unused)
{
    (void)unused;
    sal_app_ask_now(app, app->options->images[app->image]);
}

void sal_act_cancel(struct sal_app *app, int unused)
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

/* ---- of what -------------------------------------------------------------------------- */

void sal_act_move_class(struct sal_app *app, int by)
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
    app->class_index = app->order[at];
    sal_app_ask_soon(app);
}

void sal_act_top_class(struct sal_app *app, int unused)
{
    (void)unused;
    app->class_index = -1;
    sal_app_ask_soon(app);
}

static bool looks_at_layers(struct sal_app *app)
{
    const struct sal_session_ask *ask = sal_app_ask(app);
    if (ask->method && (ask->method->needs & SAL_NEEDS_LAYER))
        return true;
    sal_app_say(app, SAL_OK, "%s looks at no layer", sal_ask_title(ask));
    return false;
}

void sal_act_move_layer(struct sal_app *app, int by)
{
    struct sal_session_ask *ask = sal_app_ask(app);
    int n, automatic;
    const struct sal_layer *layers = sal_model_layers(app->model, &n, &automatic);
    if (!looks_at_layers(app) || n < 1)
        return;
    int at = automatic;
    for (int i = 0; i < n; i++)
        if (layers[i].value == ask->layer)
            at = i;
    at += by;
    if (at < 0 || at >= n) {
        sal_app_say(app, SAL_OK, "that is the %s of %d layers",
                    by < 0 ? "first" : "last", n);
        return;
    }
    ask->layer = layers[at].value;
    sal_app_ask_soon(app);
}

void sal_act_automatic_layer(struct sal_app *app, int unused)
{
    (void)unused;
    if (!looks_at_layers(app))
        return;
    sal_app_ask(app)->layer = -1;
    sal_app_ask_soon(app);
}

/* ---- tasks ------------------------------------------------------------------------- */

static bool same_params(const struct sal_param *list, const struct sal_params *a,
                        const struct sal_params *b)
{
    for (int i = 0; list && list[i].name; i++)
        if (a->value[i] < b->value[i] || a->value[i] > b->value[i])
            return false;
    return true;
}

/* What is not asked any more may be there. */
static bool same_beside(const struct sal_session_ask *now, const struct sal_session_ask *asked)
{
    return !now->beside || (now->beside == asked->beside && now->layer == asked->layer &&
                            same_params(now->beside->params, &now->beside_params,
                                        &asked->beside_params));
}

/* The question as it stands was asked, and has an answer, or is being answered. */
static bool is_answered(const struct sal_app *app)
{
    const struct sal_session_ask *now = &app->ask[app->task];
    const struct sal_session_ask *asked = &app->asked[app->task];
    bool at_it = app->snapshot.state != SAL_IDLE && app->under_way == app->task;
    bool there = sal_app_image_current(app) && sal_app_task(app)->answered(&app->snapshot);
    return (at_it || there) &&
           now->method == asked->method && now->probe == asked->probe &&
           (now->probe || now->layer == asked->layer) &&
           app->class_index == asked->class_index && same_beside(now, asked) &&
           same_params(sal_ask_params(now), &now->params, &asked->params);
}

/* Beside a probe whose maps are looked at is the method that maps are made by. */
static void take_beside(struct sal_app *app)
{
    struct sal_session_ask *ask = &app->ask[SAL_TASK_PROBE];
    const struct sal_session_ask *maps = &app->ask[SAL_TASK_EXPLAIN];
    ask->beside = app->laid == SAL_LAID_CHANGE ? NULL : maps->method;
    ask->beside_params = maps->params;
    ask->layer = maps->layer;
    sal_params_init(&ask->stability_params, sal_stability_params);
}

void sal_act_compare(struct sal_app *app, int unused)
{
    (void)unused;
    if (!sal_app_ask(app)->probe) {
        sal_app_say(app, SAL_OK, "maps are compared before and after a probe: x probes");
        return;
    }
    app->laid = (app->laid + 1) % SAL_LAIDS;
    take_beside(app);
    if (!is_answered(app))
        sal_app_ask_soon(app);
}

void sal_app_switch(struct sal_app *app, enum sal_task_id task)
{
    app->task = task;
    app->facts_top = 0;
    app->ask_at = 0;
    sal_session_choose(app->session, sal_app_task(app)->result);
    if (task == SAL_TASK_PROBE)
        take_beside(app);
    if (!is_answered(app))
        sal_app_ask_now(app, NULL);
}

/* ---- how ---------------------------------------------------------------------------- */

void sal_act_step(struct sal_app *app, int by)
{
    sal_app_task(app)->step(app, by);
}

void sal_act_move_image(struct sal_app *app, int by)
{
    int n = app->options->n_images;
    if (n < 2) {
        sal_app_say(app, SAL_OK, "there is one image only");
        return;
    }
    app->image = (app->image + by + n) % n;
    app->facts_top = 0;
    sal_app_ask_now(app, app->options->images[app->image]);
}
