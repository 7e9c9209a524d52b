#include <math.h>
#include <stdio.h>
#include <string.h>

#include "app.h"

enum { SHRINK_WARNED = 8 };

/* What was chosen and has no answer yet. */
static void asked_facts(struct sal_facts *at)
{
    const struct sal_app *app = at->app;
    const struct sal_session_ask *now = &app->ask[app->task];
    const struct sal_session_ask *then = sal_app_task(app)->answered(&app->snapshot);
    int class_index = sal_app_class(app);
    if (class_index < 0)
        return;
    if (!then || now->method != then->method || now->probe != then->probe ||
        class_index != then->class_index)
        sal_facts_add(at, SAL_STYLE_TEXT, "asked", "%s of %s", sal_ask_title(now),
                          sal_model_class(app->model, class_index));
    if (now->layer >= 0 && !(then && then->layer == now->layer))
        sal_facts_layer(at, "at", now->layer);
}

/* ---- the image and the model ------------------------------------------------------------ */

static void image_facts(struct sal_facts *at)
{
    static const char *const kinds[] = {"", "grey", "grey and alpha", "RGB", "RGBA"};
    const struct sal_image *image = at->app->snapshot.image;
    const struct sal_model_input *input = sal_model_input(at->app->model);
    if (!image)
        return;
    sal_facts_add(at, SAL_STYLE_TEXT, "image", "%s, %d x %d, %d bit %s%s",
                  image->format ? image->format : "image", image->width, image->height,
                  image->bits, kinds[image->channels],
                  image->orientation > 1 ? ", turned upright by EXIF" : "");
    double across = (double)image->width / input->width;
    double down = (double)image->height / input->height;
    if (fmax(across, down) > SHRINK_WARNED)
        sal_facts_add(at, SAL_STYLE_WARNING, "", "! the model sees it %.3g times smaller",
                      fmax(across, down));
    const struct sal_preprocessing *spec = sal_model_preprocessing(at->app->model);
    if (spec->fit == SAL_STRETCH && fabs(across / down - 1) > 0.02)
        sal_facts_add(at, SAL_STYLE_WARNING, "", "! the model sees it squeezed, %.3g to 1",
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

static void preprocessing_facts(struct sal_facts *at)
{
    const struct sal_preprocessing *spec = sal_model_preprocessing(at->app->model);
    const struct sal_model_input *input = sal_model_input(at->app->model);
    int n = input->channels < 4 ? input->channels : 4;
    char mean[100], std[100];
    numbers(mean, sizeof(mean), spec->mean, n);
    numbers(std, sizeof(std), spec->std, n);
    const char *source = one_source(spec);
    sal_facts_add(at, SAL_STYLE_TEXT, "input", "%s %d x %d x %d, %s",
                  sal_layout_names[input->layout], input->channels, input->height, input->width,
                  sal_channels_names[spec->channels]);
    sal_facts_add(at, SAL_STYLE_TEXT, "resize", "%s%s, %s", sal_filter_names[spec->resize],
                  spec->antialias ? " antialiased" : "", sal_fit_names[spec->fit]);
    sal_facts_add(at, SAL_STYLE_TEXT, "pixels", "%.4g to %.4g, mean %s, std %s", spec->range[0],
                  spec->range[1], mean, std);
    if (source)
        sal_facts_add(at, SAL_STYLE_TEXT, "from", "%s", source);
    else
        sal_facts_add(at, SAL_STYLE_TEXT, "from",
                      "channels %s, resize %s, fit %s, range %s, mean %s, std %s",
                      spec->source.channels, spec->source.resize, spec->source.fit,
                      spec->source.range, spec->source.mean, spec->source.std);
}

static void model_facts(struct sal_facts *at)
{
    const struct sal_sidecar *sidecar = sal_model_sidecar(at->app->model);
    const struct sal_model_output *output = sal_model_output(at->app->model);
    const char *file = sal_app_basename(sal_model_path(at->app->model));
    sal_facts_add(at, SAL_STYLE_TEXT, "model", "%s%s%s", sidecar->name ? sidecar->name : file,
                  sidecar->version ? " " : "", sidecar->version ? sidecar->version : "");
    sal_facts_add(at, SAL_STYLE_TEXT, "file", "%s, sidecar: %s", file, sidecar->source);
    preprocessing_facts(at);
    sal_facts_add(at, SAL_STYLE_TEXT, "output", "%d class%s, %s (%s)%s%s", output->n,
                  output->n == 1 ? "" : "es",
                  sal_activation_names[output->activation], output->activation_source,
                  output->bypassed ? ", explained before " : "",
                  output->bypassed ? output->bypassed : "");
    if (sidecar->intended_use)
        sal_facts_add(at, SAL_STYLE_TEXT, "made for", "%s", sidecar->intended_use);
    for (int i = 0; i < sidecar->n_limitations; i++)
        sal_facts_add(at, SAL_STYLE_TEXT, i ? "" : "limits", "%s", sidecar->limitations[i]);
}

static void warning_facts(struct sal_facts *at)
{
    const struct sal_error *error = &at->app->snapshot.error;
    if (error->status && error->status != SAL_CANCELLED)
        sal_facts_add(at, SAL_STYLE_ERROR, "error", "%s", error->text);
    int n;
    const char *const *warnings = sal_model_warnings(at->app->model, &n);
    for (int i = 0; i < n; i++)
        sal_facts_add(at, SAL_STYLE_WARNING, i ? "" : "warning", "! %s", warnings[i]);
}

static void draw_all(struct sal_facts *at)
{
    at->y = 1 - at->app->facts_top;
    asked_facts(at);
    sal_app_task(at->app)->facts(at);
    warning_facts(at);
    image_facts(at);
    model_facts(at);
}

static void draw(const struct sal_canvas *canvas, struct sal_app *app)
{
    struct sal_facts at = {canvas, app, 0};
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
