#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "app.h"

enum { LABEL_COLUMNS = 9, SHRINK_WARNED = 8 };

/* Where the next fact goes. */
struct cursor {
    const struct sal_canvas *canvas;
    const struct sal_app *app;
    int y;
};

static void fact(struct cursor *at, enum sal_style style, const char *label,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

static void fact(struct cursor *at, enum sal_style style, const char *label,
                 const char *format, ...)
{
    char text[900];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    sal_draw(at->canvas, at->y, 0, LABEL_COLUMNS - 1, SAL_STYLE_QUIET, "%s", label);
    at->y = sal_draw_wrapped(at->canvas, at->y, LABEL_COLUMNS, LABEL_COLUMNS, style, text);
}

/* ---- the explanation -------------------------------------------------------------- */

static void layer_fact(struct cursor *at, const char *label, int value)
{
    int n, automatic;
    const struct sal_layer *layers = sal_model_layers(at->app->model, &n, &automatic);
    for (int i = 0; i < n; i++) {
        if (layers[i].value != value)
            continue;
        struct sal_model_value about = sal_model_value(at->app->model, value);
        fact(at, SAL_STYLE_TEXT, label, "%s (%s, %d x %d), %d of %d%s",
             *about.node ? about.node : about.name, about.op, layers[i].width,
             layers[i].height, i + 1, n, i == automatic ? ", automatic" : "");
        return;
    }
}

static void score_fact(struct cursor *at, const struct sal_map *map, int class_index)
{
    const struct sal_scores *scores = &at->app->snapshot.scores;
    const char *name = sal_model_class(at->app->model, class_index);
    double probability = scores->n ? scores->probabilities[class_index] : (double)NAN;
    if (isnan(probability)) {
        fact(at, SAL_STYLE_TEXT, "class", "%s, score %.4g", name, map->score);
        return;
    }
    double threshold = sal_app_threshold(at->app, class_index);
    fact(at, SAL_STYLE_TEXT, "class", "%s, score %.4g, probability %.4g", name,
         map->score, probability);
    if (!isnan(threshold))
        fact(at, SAL_STYLE_TEXT, "", "flagged from %.4g", threshold);
    if (!isnan(threshold) && !sal_model_flagged(at->app->model, class_index, probability))
        fact(at, SAL_STYLE_WARNING, "", "! score below threshold: map of a negative");
}

static void parameter_facts(struct cursor *at, const struct sal_session_ask *ask)
{
    const struct sal_param *list = ask->method->params;
    char text[600] = "";
    for (int i = 0; list && list[i].name; i++) {
        char value[128];
        if (!sal_param_counts(&ask->params, list, i))
            continue;
        sal_param_text(&list[i], ask->params.value[i], value, sizeof(value));
        size_t used = strlen(text);
        snprintf(text + used, sizeof(text) - used, "%s%s %s%s%s", used ? ", " : "",
                 list[i].name, value, *list[i].unit ? " " : "", list[i].unit);
    }
    if (*text)
        fact(at, SAL_STYLE_TEXT, "with", "%s", text);
}

static void range_fact(struct cursor *at, const struct sal_map *map)
{
    struct sal_range range = at->app->frame.range;
    fact(at, SAL_STYLE_TEXT, "range", "%.4g to %.4g %s, %s", range.low, range.high,
         map->unit,
         at->app->view.range_mode == SAL_RANGE_FIXED ? "as given"
                                                     : "scaled to this image");
}

static void grid_fact(struct cursor *at, const struct sal_map *map)
{
    if (map->grid_width == map->width && map->grid_height == map->height)
        return;
    fact(at, SAL_STYLE_TEXT, "grid", "%d x %d, %s to %d x %d", map->grid_width,
         map->grid_height, at->app->grid ? "shown as it is; else interpolated"
                                         : "interpolated",
         map->width, map->height);
}

static void map_facts(struct cursor *at)
{
    const struct sal_map *map = at->app->snapshot.map;
    const struct sal_session_ask *ask = &at->app->snapshot.ask;
    if (!map)
        return;
    fact(at, SAL_STYLE_TEXT, "method", "%s", ask->method->title);
    if (ask->like)
        fact(at, SAL_STYLE_TEXT, "like", "%s", ask->like->title);
    if (map->partial)
        fact(at, SAL_STYLE_WARNING, "", "! partial: %s",
             at->app->snapshot.preview ? "so far" : "stopped before it was finished");
    score_fact(at, map, ask->class_index);
    if (map->layer >= 0)
        layer_fact(at, "layer", map->layer);
    grid_fact(at, map);
    range_fact(at, map);
    parameter_facts(at, ask);
    for (int i = 0; i < map->n_checks; i++)
        fact(at, SAL_STYLE_TEXT, i ? "" : "checks", "%s %.4g %s", map->checks[i].title,
             map->checks[i].value, map->checks[i].unit);
    if (*map->note)
        fact(at, SAL_STYLE_WARNING, "note", "! %s", map->note);
    fact(at, SAL_STYLE_TEXT, "passes", "%ld forward, %ld backward%s%s", map->forwards,
         map->backwards, map->precision == SAL_F32 ? "" : ", in ",
         map->precision == SAL_F32 ? "" : sal_precision_names[map->precision]);
}

/* What was chosen and has no map yet. */
static void asked_facts(struct cursor *at)
{
    const struct sal_app *app = at->app;
    const struct sal_session_ask *now = &app->ask, *shown = &app->snapshot.ask;
    bool map = app->snapshot.map != NULL;
    int class_index = sal_app_class(app);
    if (!now->method || class_index < 0)
        return;
    bool same = map && now->method == shown->method && class_index == shown->class_index;
    bool layer = now->layer >= 0 && !(map && app->snapshot.map->layer == now->layer);
    if (!same)
        fact(at, SAL_STYLE_TEXT, "asked", "%s of %s", now->method->title,
             sal_model_class(app->model, class_index));
    if (layer)
        layer_fact(at, "at", now->layer);
}

/* ---- the image and the model ------------------------------------------------------------ */

static void image_facts(struct cursor *at)
{
    static const char *const kinds[] = {"", "grey", "grey and alpha", "RGB", "RGBA"};
    const struct sal_image *image = at->app->snapshot.image;
    const struct sal_model_input *input = sal_model_input(at->app->model);
    if (!image)
        return;
    fact(at, SAL_STYLE_TEXT, "image", "%s, %d x %d, %d bit %s%s",
         image->format ? image->format : "image", image->width, image->height,
         image->bits, kinds[image->channels],
         image->orientation > 1 ? ", turned upright by EXIF" : "");
    double across = (double)image->width / input->width;
    double down = (double)image->height / input->height;
    if (fmax(across, down) > SHRINK_WARNED)
        fact(at, SAL_STYLE_WARNING, "", "! the model sees it %.3g times smaller",
             fmax(across, down));
    const struct sal_preprocessing *spec = sal_model_preprocessing(at->app->model);
    if (spec->fit == SAL_STRETCH && fabs(across / down - 1) > 0.02)
        fact(at, SAL_STYLE_WARNING, "", "! the model sees it squeezed, %.3g to 1",
             fmax(across / down, down / across));
}

static void numbers(char *dst, size_t capacity, const double *value, int n)
{
    *dst = '\0';
    for (int i = 0; i < n; i++) {
        size_t used = strlen(dst);
        snprintf(dst + used, capacity - used, "%s%.4g", i ? " " : "", value[i]);
    }
}

/* Where all of the preprocessing comes from; NULL: from several places. */
static const char *one_source(const struct sal_preprocessing *spec)
{
    const char *first = spec->source.channels;
    const char *const others[] = {spec->source.resize, spec->source.fit,
                                  spec->source.range, spec->source.mean,
                                  spec->source.std};
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        if (strcmp(first, others[i]))
            return NULL;
    return first;
}

static void preprocessing_facts(struct cursor *at)
{
    const struct sal_preprocessing *spec = sal_model_preprocessing(at->app->model);
    const struct sal_model_input *input = sal_model_input(at->app->model);
    int n = input->channels < 4 ? input->channels : 4;
    char mean[100], std[100];
    numbers(mean, sizeof(mean), spec->mean, n);
    numbers(std, sizeof(std), spec->std, n);
    const char *source = one_source(spec);
    fact(at, SAL_STYLE_TEXT, "input", "%s %d x %d x %d, %s",
         sal_layout_names[input->layout], input->channels, input->height, input->width,
         sal_channels_names[spec->channels]);
    fact(at, SAL_STYLE_TEXT, "resize", "%s%s, %s", sal_filter_names[spec->resize],
         spec->antialias ? " antialiased" : "", sal_fit_names[spec->fit]);
    fact(at, SAL_STYLE_TEXT, "pixels", "%.4g to %.4g, mean %s, std %s", spec->range[0],
         spec->range[1], mean, std);
    if (source)
        fact(at, SAL_STYLE_TEXT, "from", "%s", source);
    else
        fact(at, SAL_STYLE_TEXT, "from",
             "channels %s, resize %s, fit %s, range %s, mean %s, std %s",
             spec->source.channels, spec->source.resize, spec->source.fit,
             spec->source.range, spec->source.mean, spec->source.std);
}

static void model_facts(struct cursor *at)
{
    const struct sal_sidecar *sidecar = sal_model_sidecar(at->app->model);
    const struct sal_model_output *output = sal_model_output(at->app->model);
    const char *file = sal_app_basename(sal_model_path(at->app->model));
    fact(at, SAL_STYLE_TEXT, "model", "%s%s%s", sidecar->name ? sidecar->name : file,
         sidecar->version ? " " : "", sidecar->version ? sidecar->version : "");
    fact(at, SAL_STYLE_TEXT, "file", "%s, sidecar: %s", file, sidecar->source);
    preprocessing_facts(at);
    fact(at, SAL_STYLE_TEXT, "output", "%d class%s, %s (%s)%s%s", output->n,
         output->n == 1 ? "" : "es",
         sal_activation_names[output->activation], output->activation_source,
         output->bypassed ? ", explained before " : "",
         output->bypassed ? output->bypassed : "");
    if (sidecar->intended_use)
        fact(at, SAL_STYLE_TEXT, "made for", "%s", sidecar->intended_use);
    for (int i = 0; i < sidecar->n_limitations; i++)
        fact(at, SAL_STYLE_TEXT, i ? "" : "limits", "%s", sidecar->limitations[i]);
}

static void warning_facts(struct cursor *at)
{
    const struct sal_error *error = &at->app->snapshot.error;
    if (error->status && error->status != SAL_CANCELLED)
        fact(at, SAL_STYLE_ERROR, "error", "%s", error->text);
    int n;
    const char *const *warnings = sal_model_warnings(at->app->model, &n);
    for (int i = 0; i < n; i++)
        fact(at, SAL_STYLE_WARNING, i ? "" : "warning", "! %s", warnings[i]);
}

static void draw_all(struct cursor *at)
{
    at->y = 1 - at->app->facts_top;
    asked_facts(at);
    map_facts(at);
    warning_facts(at);
    image_facts(at);
    model_facts(at);
}

static void draw(const struct sal_canvas *canvas, struct sal_app *app)
{
    struct cursor at = {canvas, app, 0};
    draw_all(&at);
    int rows = at.y + app->facts_top - 1, most = rows - (canvas->rows - 1);
    int top = app->facts_top > most ? most : app->facts_top;
    top = top < 0 ? 0 : top;
    if (top != app->facts_top) {
        app->facts_top = top;
        werase(canvas->window);
        draw_all(&at);
    }
    char text[64];
    snprintf(text, sizeof(text), most > 0 ? "Facts (PgUp PgDn: %d of %d)" : "Facts",
             top + canvas->rows - 1, rows);
    sal_draw_heading(canvas, text);
}

const struct sal_pane sal_pane_facts = {.name = "facts", .draw = draw};
