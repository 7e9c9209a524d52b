/* To probe the decision: what changes it, beside the image. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app.h"

static const struct sal_probe_answer *answer_of(const struct sal_app *app)
{
    return app->snapshot.answer;
}

/* ---- the question ------------------------------------------------------------------ */

/* What was set by hand stays set where the other list has it too. */
static void carry(const struct sal_param *from, const struct sal_params *old,
                  const struct sal_param *to, struct sal_params *params)
{
    for (int i = 0; from && from[i].name; i++) {
        char value[128], pair[224];
        bool same = !(old->value[i] < from[i].fallback || old->value[i] > from[i].fallback);
        for (int k = 0; !same && to && to[k].name; k++) {
            if (strcmp(to[k].name, from[i].name) || to[k].type != from[i].type)
                continue;
            sal_param_text(&from[i], old->value[i], value, sizeof(value));
            snprintf(pair, sizeof(pair), "%s=%s", from[i].name, value);
            sal_params_set(params, to, pair, "", NULL);
        }
    }
}

static void step(struct sal_app *app, int by)
{
    struct sal_session_ask *ask = sal_app_ask(app);
    int n = 0, at = 0;
    for (; sal_probe_list[n]; n++)
        if (sal_probe_list[n] == ask->probe)
            at = n;
    const struct sal_probe *next = sal_probe_list[(at + by + n) % n];
    struct sal_params params;
    sal_params_init(&params, next->params);
    carry(ask->probe->params, &ask->params, next->params, &params);
    ask->probe = next;
    ask->params = params;
    sal_app_ask_soon(app);
}

static const struct sal_session_ask *answered(const struct sal_snapshot *snapshot)
{
    return snapshot->answer ? &snapshot->probe_ask : NULL;
}

/* ---- the picture ------------------------------------------------------------------- */

/* The map that is to be laid over the image; NULL: the change is, or there is none. */
static const struct sal_map *laid_map(const struct sal_app *app)
{
    const struct sal_stability *maps = app->snapshot.stability;
    if (!maps || app->laid == SAL_LAID_CHANGE)
        return NULL;
    const struct sal_map *map =
        app->laid == SAL_LAID_BEFORE ? &maps->before : &maps->after;
    return map->values ? map : NULL;
}

/* Both maps in the same colours. */
static void lay_map(const struct sal_app *app, const struct sal_map *map,
                    struct sal_frame_ask *ask)
{
    const struct sal_stability *maps = app->snapshot.stability;
    const struct sal_map *other = maps->after.values ? &maps->after : map;
    ask->map = map;
    ask->grid = app->grid;
    ask->view.range = sal_view_range_of_both(&ask->view, &maps->before, other);
    ask->view.range_mode = SAL_RANGE_FIXED;
    if (ask->show == SAL_SHOW_ADDED)
        ask->show = SAL_SHOW_OVERLAY;
}

static void picture(struct sal_app *app, struct sal_frame_ask *ask)
{
    const unsigned white = app->snapshot.image ? app->snapshot.image->max : 255;
    struct sal_error err = {0};
    if (sal_change_update(&app->change, app->snapshot.serial, answer_of(app), app->model,
                          white, &err))
        sal_app_say(app, err.status, "%s", err.text);
    if (laid_map(app)) {
        lay_map(app, laid_map(app), ask);
        return;
    }
    ask->map = app->change.map.width ? &app->change.map : NULL;
    ask->grid = app->grid;
    ask->added = sal_app_magnified(app) / white;
}

static void title_of_map(const struct sal_app *app, char *dst, size_t capacity)
{
    static const char *const ways[] = {[SAL_SHOW_OVERLAY] = "over it",
                                       [SAL_SHOW_IMAGE] = "not shown",
                                       [SAL_SHOW_MAP] = "alone",
                                       [SAL_SHOW_BESIDE] = "beside it",
                                       [SAL_SHOW_ADDED] = "over it"};
    snprintf(dst, capacity, "%s %s, %s", app->snapshot.probe_ask.beside->title,
             app->laid == SAL_LAID_BEFORE ? "before" : "after", ways[app->frame.shown]);
}

static void title(const struct sal_app *app, char *dst, size_t capacity)
{
    *dst = '\0';
    if (laid_map(app)) {
        title_of_map(app, dst, capacity);
        return;
    }
    if (!app->change.map.width)
        return;
    switch (app->frame.shown) {
    case SAL_SHOW_BESIDE:
        snprintf(dst, capacity, "beside what was changed");
        break;
    case SAL_SHOW_OVERLAY:
        snprintf(dst, capacity, "change over it, %.0f %%",
                 100 * sal_app_opacity(app));
        break;
    case SAL_SHOW_MAP:
        snprintf(dst, capacity, "change alone");
        break;
    case SAL_SHOW_ADDED:
        snprintf(dst, capacity, "altered, change x %g", sal_app_magnified(app));
        break;
    case SAL_SHOW_IMAGE:
        snprintf(dst, capacity, "image alone");
        break;
    }
}

/* Half of the colours stand for as much as half of the grey levels elsewhere. */
static double magnification(const struct sal_app *app)
{
    const struct sal_range range = app->frame.range;
    return app->snapshot.image->max / 2.0 / fmax(fabs(range.low), fabs(range.high));
}

static void tell_change(const struct sal_canvas *canvas, const struct sal_app *app, int y,
                        int x)
{
    const struct sal_frame *frame = &app->frame;
    const char *channel = app->change.map.channels == 3 ? ", of the channel it is most" : "";
    int room = canvas->columns - x;
    if (frame->shown == SAL_SHOW_ADDED && sal_app_magnified(app) > 1)
        sal_draw(canvas, y, x, room, SAL_STYLE_WARNING,
                 "! change %g times as large, to be seen; undone it is what was found",
                 sal_app_magnified(app));
    else if (frame->shown == SAL_SHOW_ADDED)
        sal_draw(canvas, y, x, room, SAL_STYLE_TEXT, "altered as found; + makes it seen");
    else if (frame->shown == SAL_SHOW_OVERLAY && app->terminal.depth == SAL_MONO)
        sal_draw(canvas, y, x, room, SAL_STYLE_TEXT,
                 "change, reversed: strongest %.0f %%, over %.3g levels",
                 frame->marked_percent, (double)frame->marked_from);
    else
        sal_draw(canvas, y, x, room, SAL_STYLE_TEXT,
                 "change %.3g to %.3g levels, x %.3g%s", frame->range.low, frame->range.high,
                 magnification(app), channel);
}

static void tell_map(const struct sal_canvas *canvas, const struct sal_app *app, int y, int x)
{
    const struct sal_map *map = laid_map(app);
    sal_draw(canvas, y, x, canvas->columns - x, SAL_STYLE_TEXT,
             "%s %s the change, %.3g to %.3g %s%s, both in the same colours",
             app->snapshot.probe_ask.beside->title,
             app->laid == SAL_LAID_BEFORE ? "before" : "after", app->frame.range.low,
             app->frame.range.high, map->unit, app->frame.beyond > 0 ? ", some beyond" : "");
}

static void caption(const struct sal_canvas *canvas, const struct sal_app *app, int y)
{
    const struct sal_probe_answer *answer = answer_of(app);
    int x = 0;
    if (!answer || (app->change.map.width && app->frame.shown == SAL_SHOW_IMAGE))
        return;
    if (answer->partial)
        x = sal_draw(canvas, y, 0, canvas->columns, SAL_STYLE_WARNING, "PARTIAL ");
    if (laid_map(app))
        tell_map(canvas, app, y, x);
    else if (app->change.map.width)
        tell_change(canvas, app, y, x);
    else
        sal_draw(canvas, y, x, canvas->columns - x, SAL_STYLE_TEXT, "as given: %s",
                 answer->already ? "decided so already" : "no change was found");
}

/* ---- scores and facts ---------------------------------------------------------------- */

static const sal_real *after(const struct sal_app *app)
{
    const struct sal_probe_answer *answer = answer_of(app);
    bool known = answer && answer->distance.linf > 0 && !isnan(answer->f_after);
    return known ? answer->after : NULL;
}

static void hear(void *self, enum sal_weight weight, const char *label, const char *text)
{
    static const enum sal_style styles[] = {[SAL_WEIGHT_PLAIN] = SAL_STYLE_TEXT,
                                            [SAL_WEIGHT_VERDICT] = SAL_STYLE_TITLE,
                                            [SAL_WEIGHT_ALARM] = SAL_STYLE_WARNING};
    sal_facts_add(self, styles[weight], label, "%s%s", weight == SAL_WEIGHT_ALARM ? "! " : "",
                  text);
}

static void facts(struct sal_facts *at)
{
    const struct sal_snapshot *snapshot = &at->app->snapshot;
    const struct sal_session_ask *ask = &snapshot->probe_ask;
    const struct sal_listener listener = {at, hear};
    if (!snapshot->answer)
        return;
    sal_probe_tell(snapshot, at->app->model, &listener);
    sal_facts_add(at, SAL_STYLE_TEXT, "probe", "%s, to %s %s", ask->probe->title,
                  snapshot->answer->sought == SAL_SEEK_FLIP
                      ? sal_goal_names[snapshot->answer->goal]
                      : "hold",
                  sal_model_class(at->app->model, ask->class_index));
    sal_facts_params(at, "with", ask);
}

static const enum sal_show views[] = {SAL_SHOW_BESIDE, SAL_SHOW_OVERLAY, SAL_SHOW_MAP,
                                      SAL_SHOW_ADDED, SAL_SHOW_IMAGE};

const struct sal_task sal_task_probe = {
    .result = SAL_RESULT_ANSWER,
    .charts = true,
    .views = views,
    .n_views = sizeof(views) / sizeof(*views),
    .step = step,
    .answered = answered,
    .picture = picture,
    .title = title,
    .caption = caption,
    .facts = facts,
    .after = after,
};
