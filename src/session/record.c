#include <math.h>
#include <stdio.h>
#include <string.h>

#include "record.h"
#include "saliscope/sha256.h"

/* The model's file name without its extension stands in the text. */
static bool names_file(const struct sal_session *session, const char *text)
{
    const char *path = sal_model_path(session->model);
    const char *slash = strrchr(path, '/');
    char stem[256];
    snprintf(stem, sizeof(stem), "%s", slash ? slash + 1 : path);
    char *dot = strrchr(stem, '.');
    if (dot)
        *dot = '\0';
    return *stem && strstr(text, stem);
}

static void write_head(struct sal_session *session, struct sal_json *json, bool redact)
{
    sal_json_text(json, "saliscope", SAL_VERSION);
    sal_record_command(json, session, redact);
    sal_record_model(json, session, redact);
    sal_json_int(json, "seed", (int64_t)session->options.seed);
    sal_json_int(json, "threads", sal_pool_threads(session->pool));
    sal_json_bool(json, "exact", session->options.exact);
    int n;
    const char *const *warnings = sal_model_warnings(session->model, &n);
    sal_json_array(json, "warnings");
    for (int i = 0; i < n; i++)
        sal_json_text(json, NULL, redact && names_file(session, warnings[i])
                                      ? "a warning that names a file"
                                      : warnings[i]);
    sal_json_end(json);
}

/* ---- image and scores -------------------------------------------------------------------- */

static void write_image(struct sal_json *json, const struct sal_loaded *loaded,
                        bool redact)
{
    const struct sal_image *image = &loaded->image;
    sal_json_object(json, "image");
    if (!redact)
        sal_json_text(json, "path", loaded->path);
    sal_json_text(json, "sha256", image->sha256);
    sal_json_text(json, "format", image->format);
    sal_json_int(json, "width", image->width);
    sal_json_int(json, "height", image->height);
    sal_json_int(json, "channels", image->channels);
    sal_json_int(json, "bits", image->bits);
    sal_json_int(json, "orientation", image->orientation);
    sal_json_end(json);
}

char *sal_probability_text(double probability, char *dst, size_t capacity)
{
    double percent = probability * 100;
    if (isnan(percent))
        snprintf(dst, capacity, "%s", "");
    else if (percent > 99.99 && percent < 100)
        snprintf(dst, capacity, "> 99.99 %%");
    else if (percent > 0 && percent < 0.01)
        snprintf(dst, capacity, "< 0.01 %%");
    else
        snprintf(dst, capacity, "%.2f %%", percent);
    return dst;
}

void sal_record_score(struct sal_json *json, const struct sal_model *model,
                      const sal_real *logits, const double *probabilities, int i)
{
    const struct sal_sidecar *sidecar = sal_model_sidecar(model);
    bool sigmoid = sal_model_output(model)->activation == SAL_SIGMOID;
    double threshold = i < sidecar->n_classes ? sidecar->classes[i].threshold
                                              : (double)NAN;
    if (isnan(threshold) && sigmoid)
        threshold = 0.5;
    sal_json_object(json, NULL);
    sal_json_int(json, "index", i);
    sal_json_text(json, "name", sal_model_class(model, i));
    sal_json_real(json, "logit", (double)logits[i]);
    sal_json_real(json, "probability", probabilities[i]);
    if (!isnan(threshold)) {
        sal_json_real(json, "threshold", threshold);
        sal_json_bool(json, "flagged",
                      sal_model_flagged(model, i, probabilities[i]));
    }
    sal_json_end(json);
}

static void write_scores(struct sal_json *json, const struct sal_model *model,
                         const struct sal_scores *scores)
{
    const struct sal_model_output *output = sal_model_output(model);
    sal_json_array(json, "scores");
    for (int i = 0; i < scores->n; i++)
        sal_record_score(json, model, scores->logits, scores->probabilities, i);
    sal_json_end(json);
    sal_json_int(json, "top", scores->top);
    sal_json_text(json, "activation", sal_activation_names[output->activation]);
    sal_json_text(json, "activation_source", output->activation_source);
    sal_json_real(json, "seconds", scores->seconds);
}

void sal_record_class(struct sal_json *json, const struct sal_model *model, int index)
{
    sal_json_object(json, "class");
    sal_json_int(json, "index", index);
    sal_json_text(json, "name", sal_model_class(model, index));
    sal_json_end(json);
}

/* ---- the map ------------------------------------------------------------------------------- */

void sal_record_params(struct sal_json *json, const struct sal_param *list,
                       const struct sal_params *params)
{
    sal_json_object(json, "parameters");
    for (int i = 0; list && list[i].name; i++) {
        double value = params->value[i];
        char text[256];
        if (list[i].type == SAL_PARAM_CHOICE)
            sal_json_text(json, list[i].name, list[i].choices[(int)value]);
        else if (list[i].type == SAL_PARAM_SET)
            sal_json_text(json, list[i].name,
                          sal_param_text(&list[i], value, text, sizeof(text)));
        else if (list[i].type == SAL_PARAM_BOOL)
            sal_json_bool(json, list[i].name, value != 0);
        else
            sal_json_real(json, list[i].name, value);
    }
    sal_json_end(json);
}

char *sal_record_params_text(const struct sal_session_ask *ask, char *dst,
                             size_t capacity)
{
    const struct sal_param *list = ask->probe ? ask->probe->params : ask->method->params;
    size_t used = 0;
    dst[0] = '\0';
    for (int i = 0; list && list[i].name && used < capacity; i++) {
        char value[128];
        if (!sal_param_counts(&ask->params, list, i))
            continue;
        sal_param_text(&list[i], ask->params.value[i], value, sizeof(value));
        used += (size_t)snprintf(dst + used, capacity - used, "%s%s=%s%s%s", used ? ", " : "",
                                 list[i].name, value, *list[i].unit ? " " : "",
                                 list[i].unit);
    }
    return dst;
}

static void write_map(struct sal_json *json, const struct sal_map *map)
{
    size_t n = (size_t)map->width * (size_t)map->height;
    float low = map->values[0], high = map->values[0];
    for (size_t i = 1; i < n; i++) {
        low = fminf(low, map->values[i]);
        high = fmaxf(high, map->values[i]);
    }
    char sha256[65];
    sal_sha256_hex(map->values, n * sizeof(float), sha256);
    sal_json_object(json, "map");
    sal_json_int(json, "width", map->width);
    sal_json_int(json, "height", map->height);
    sal_json_int(json, "grid_width", map->grid_width);
    sal_json_int(json, "grid_height", map->grid_height);
    sal_json_real(json, "min", (double)low);
    sal_json_real(json, "max", (double)high);
    sal_json_bool(json, "signed", map->is_signed);
    sal_json_text(json, "unit", map->unit);
    sal_json_text(json, "sha256", sha256);
    sal_json_end(json);
}

static void write_layer(struct sal_json *json, const struct sal_model *model, int layer)
{
    if (layer < 0) {
        sal_json_text(json, "layer", NULL);
        return;
    }
    struct sal_model_value value = sal_model_value(model, layer);
    sal_json_object(json, "layer");
    sal_json_text(json, "name", value.name);
    sal_json_text(json, "node", value.node);
    sal_json_text(json, "operator", value.op);
    sal_record_shape(json, "shape", &value.shape);
    sal_json_end(json);
}

static void write_outputs(struct sal_json *json, const char *const *outputs, bool redact)
{
    sal_json_array(json, "outputs");
    for (int i = 0; outputs && outputs[i]; i++) {
        const char *dot = strrchr(outputs[i], '.');
        sal_json_text(json, NULL, redact ? (dot ? dot : "") : outputs[i]);
    }
    sal_json_end(json);
}

/* Whose conventions were asked for; null: ours. */
static void write_like(struct sal_json *json, const struct sal_session *session,
                       const struct sal_session_ask *ask)
{
    const struct sal_like *like = ask->like;
    int channels = sal_model_input(session->model)->channels;
    const struct sal_like_row *row =
        like ? sal_like_row_find(like, ask->method, channels, NULL) : NULL;
    if (!row) {
        sal_json_text(json, "like", NULL);
        return;
    }
    sal_json_object(json, "like");
    sal_json_text(json, "name", like->name);
    sal_json_text(json, "library", like->title);
    sal_json_text(json, "call", row->call);
    sal_json_text(json, "finish", sal_finish_names[row->finish]);
    sal_json_end(json);
}

static void write_explained(struct sal_json *json, const struct sal_session *session,
                            const struct sal_explained *explained)
{
    const struct sal_model *model = session->model;
    const struct sal_map *map = &explained->map;
    const struct sal_method *method = explained->ask.method;
    int index = explained->ask.class_index;
    char name[256];
    snprintf(name, sizeof(name), "%s[%d]",
             sal_model_value(model, sal_model_output(model)->value).name, index);
    sal_json_text(json, "method", method->name);
    sal_json_text(json, "paper", method->paper);
    write_like(json, session, &explained->ask);
    sal_record_params(json, method->params, &explained->ask.params);
    sal_record_class(json, model, index);
    write_layer(json, model, map->layer);
    sal_json_object(json, "score");
    sal_json_text(json, "name", name);
    sal_json_real(json, "value", map->score);
    sal_json_end(json);
    write_map(json, map);
    sal_json_object(json, "checks");
    for (int i = 0; i < map->n_checks; i++)
        sal_json_real(json, map->checks[i].name, map->checks[i].value);
    sal_json_text(json, "note", *map->note ? map->note : NULL);
    sal_json_end(json);
    sal_json_int(json, "forward_passes", map->forwards);
    sal_json_int(json, "backward_passes", map->backwards);
    sal_json_bool(json, "partial", map->partial);
    sal_json_text(json, "precision", sal_precision_names[map->precision]);
    sal_json_real(json, "seconds", explained->seconds);
}

static void write_case(struct sal_session *session, struct sal_json *json,
                       const char *const *outputs, bool redact)
{
    const struct sal_case *held = sal_session_case(session);
    if (held->loaded)
        write_image(json, held->loaded, redact);
    if (!sal_session_serial(session) && held->scored)
        write_scores(json, session->model, &held->scored->scores);
    if (!sal_session_serial(session))
        return;
    if (sal_session_shows_probe(session))
        sal_record_probed(json, session, held->probed, redact);
    else
        write_explained(json, session, held->explained);
    write_outputs(json, outputs ? outputs : sal_session_outputs(session), redact);
}

/* ---- whole records ---------------------------------------------------------------------------- */

void sal_session_record_head(struct sal_session *session, struct sal_json *json)
{
    write_head(session, json, session->options.redact_paths);
}

void sal_session_record_case(struct sal_session *session, struct sal_json *json,
                             const char *const *outputs)
{
    write_case(session, json, outputs, session->options.redact_paths);
}

void sal_record_encode(struct sal_session *session, const char *const *outputs,
                       bool redact, struct sal_buffer *buffer)
{
    struct sal_json json = {.out = buffer};
    sal_json_object(&json, NULL);
    write_head(session, &json, redact);
    write_case(session, &json, outputs, redact);
    sal_json_end(&json);
}

char *sal_session_record(struct sal_session *session, const char *const *outputs)
{
    struct sal_buffer buffer = {0};
    sal_record_encode(session, outputs, session->options.redact_paths, &buffer);
    sal_buffer_append(&buffer, "", 1);
    if (!buffer.failed)
        return (char *)buffer.data;
    sal_buffer_release(&buffer);
    return NULL;
}
