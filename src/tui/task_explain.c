/* To explain the decision: a map over the image. */
#include <math.h>
#include <stdio.h>

#include "app.h"

static void step(struct sal_app *app, int by)
{
    struct sal_session_ask *ask = sal_app_ask(app);
    int n = 0, at = 0;
    for (; sal_methods[n]; n++)
        if (sal_methods[n] == ask->method)
            at = n;
    if (n < 2) {
        sal_app_say(app, SAL_OK, "there is one method only");
        return;
    }
    const struct sal_method *method = sal_methods[(at + by + n) % n];
    const struct sal_like *like = app->options->ask.like;
    if (sal_session_ask_method(app->session, ask, method, like, NULL))
        sal_app_say(app, SAL_OK, "%s has no %s: our own", like->title, method->title);
    if (!(ask->method->needs & SAL_NEEDS_LAYER))
        ask->layer = -1;
    sal_app_ask_soon(app);
}

static const struct sal_session_ask *answered(const struct sal_snapshot *snapshot)
{
    return snapshot->map ? &snapshot->ask : NULL;
}

/* ---- the picture ------------------------------------------------------------------- */

static void picture(struct sal_app *app, struct sal_frame_ask *ask)
{
    ask->map = app->snapshot.map;
    ask->grid = app->grid;
}

static void title(const struct sal_app *app, char *dst, size_t capacity)
{
    enum sal_show show = app->show[app->task];
    const char *grid = app->grid && show != SAL_SHOW_IMAGE ? ", grid" : "";
    if (!app->snapshot.map)
        *dst = '\0';
    else if (show == SAL_SHOW_OVERLAY)
        snprintf(dst, capacity, "overlay %.0f %%, %s%s", 100 * sal_app_opacity(app),
                 app->frame.colormap->name, grid);
    else
        snprintf(dst, capacity, "%s%s",
                 show == SAL_SHOW_MAP ? "map alone" : "image alone", grid);
}

/* What the picture shows, in one line: a map never stands without its method,
 * class and unit. */
static void caption(const struct sal_canvas *canvas, const struct sal_app *app,
                    int y)
{
    const struct sal_map *map = app->snapshot.map;
    const struct sal_session_ask *ask = &app->snapshot.ask;
    if (!map || app->show[app->task] == SAL_SHOW_IMAGE)
        return;
    const char *class_name = sal_model_class(app->model, ask->class_index);
    if (*map->note) {
        char text[700];
        snprintf(text, sizeof(text), "%s of %.250s: ! %s", ask->method->title, class_name,
                 map->note);
        sal_draw_wrapped(canvas, y, 0, 0, SAL_STYLE_WARNING, text);
        return;
    }
    int x = 0;
    bool marks = app->terminal.depth == SAL_MONO && app->show[app->task] == SAL_SHOW_OVERLAY;
    if (map->partial)
        x = sal_draw(canvas, y, 0, canvas->columns, SAL_STYLE_WARNING, "PARTIAL ");
    int room = canvas->columns - x;
    if (marks)
        sal_draw(canvas, y, x, room, SAL_STYLE_TEXT,
                 "%s of %s, reversed: strongest %.0f %%, over %.3g %s",
                 ask->method->title, class_name, app->frame.marked_percent,
                 (double)app->frame.marked_from, map->unit);
    else
        sal_draw(canvas, y, x, room, SAL_STYLE_TEXT, "%s of %s, %.3g to %.3g %s%s",
                 ask->method->title, class_name, app->frame.range.low,
                 app->frame.range.high, map->unit,
                 app->frame.beyond > 0 ? ", some beyond" : "");
}

/* ---- facts --------------------------------------------------------------------------- */

static void score_fact(struct sal_facts *at, const struct sal_map *map, int class_index)
{
    const struct sal_scores *scores = &at->app->snapshot.scores;
    const char *name = sal_model_class(at->app->model, class_index);
    double probability = scores->n ? scores->probabilities[class_index] : (double)NAN;
    if (isnan(probability)) {
        sal_facts_add(at, SAL_STYLE_TEXT, "class", "%s, score %.4g", name, map->score);
        return;
    }
    double threshold = sal_app_threshold(at->app, class_index);
    sal_facts_add(at, SAL_STYLE_TEXT, "class", "%s, score %.4g, probability %.4g", name,
                  map->score, probability);
    if (!isnan(threshold))
        sal_facts_add(at, SAL_STYLE_TEXT, "", "flagged from %.4g", threshold);
    if (!isnan(threshold) && !sal_model_flagged(at->app->model, class_index, probability))
        sal_facts_add(at, SAL_STYLE_WARNING, "", "! score below threshold: map of a negative");
}

static void range_fact(struct sal_facts *at, const struct sal_map *map)
{
    struct sal_range range = at->app->frame.range;
    char text[64];
    sal_view_range_text(&at->app->view[at->app->task], map, text, sizeof(text));
    sal_facts_add(at, SAL_STYLE_TEXT, "range", "%.4g to %.4g %s, %s", range.low, range.high,
                  map->unit, text);
    if (at->app->frame.beyond > 0)
        sal_facts_add(at, SAL_STYLE_TEXT, "", "%.2g %% of the values lie beyond",
                      100 * at->app->frame.beyond);
}

static void grid_fact(struct sal_facts *at, const struct sal_map *map)
{
    if (map->grid_width == map->width && map->grid_height == map->height)
        return;
    sal_facts_add(at, SAL_STYLE_TEXT, "grid", "%d x %d, %s to %d x %d", map->grid_width,
                  map->grid_height, at->app->grid ? "shown as it is; else interpolated"
                                                  : "interpolated",
                  map->width, map->height);
}

static void facts(struct sal_facts *at)
{
    const struct sal_map *map = at->app->snapshot.map;
    const struct sal_session_ask *ask = &at->app->snapshot.ask;
    if (!map)
        return;
    sal_facts_add(at, SAL_STYLE_TEXT, "method", "%s", ask->method->title);
    if (ask->like)
        sal_facts_add(at, SAL_STYLE_TEXT, "like", "%s", ask->like->title);
    if (map->partial)
        sal_facts_add(at, SAL_STYLE_WARNING, "", "! partial: %s",
                      at->app->snapshot.preview ? "so far" : "stopped before it was finished");
    score_fact(at, map, ask->class_index);
    if (map->layer >= 0)
        sal_facts_layer(at, "layer", map->layer);
    grid_fact(at, map);
    range_fact(at, map);
    sal_facts_params(at, "with", ask);
    for (int i = 0; i < map->n_checks; i++)
        sal_facts_add(at, SAL_STYLE_TEXT, i ? "" : "checks", "%s %.4g %s", map->checks[i].title,
                      map->checks[i].value, map->checks[i].unit);
    if (*map->note)
        sal_facts_add(at, SAL_STYLE_WARNING, "note", "! %s", map->note);
    sal_facts_add(at, SAL_STYLE_TEXT, "passes", "%ld forward, %ld backward%s%s", map->forwards,
                  map->backwards, map->precision == SAL_F32 ? "" : ", in ",
                  map->precision == SAL_F32 ? "" : sal_precision_names[map->precision]);
}

static const enum sal_show views[] = {SAL_SHOW_OVERLAY, SAL_SHOW_IMAGE, SAL_SHOW_MAP};

const struct sal_task sal_task_explain = {
    .result = SAL_RESULT_MAP,
    .views = views,
    .n_views = sizeof(views) / sizeof(*views),
    .step = step,
    .answered = answered,
    .picture = picture,
    .title = title,
    .caption = caption,
    .facts = facts,
};
