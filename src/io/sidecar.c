#include "saliscope/sidecar.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "saliscope/file.h"
#include "sidecar_read.h"

enum { FILE_MAX = 1 << 20, CLASSES_MAX = 1 << 20 };

const char *const sal_layout_names[] = {"NCHW", "NHWC", NULL};
const char *const sal_channels_names[] = {"RGB", "BGR", "gray", "gray3", NULL};
const char *const sal_filter_names[] = {"nearest", "bilinear", "bicubic",
                                        "area",    "lanczos",  NULL};
const char *const sal_fit_names[] = {"stretch", "crop", "pad", NULL};
const char *const sal_activation_names[] = {"none", "sigmoid", "softmax", NULL};

/* ---- values of a JSON object ----------------------------------------------------- */

static enum sal_status wrong(const struct sidecar_place *at, const char *key,
                             const char *rule)
{
    return sal_fail(at->err, SAL_BAD_INPUT, "%s: %s%s must be %s", at->file, at->within,
                    key, rule);
}

const char *sidecar_keep(struct sal_sidecar *sidecar, const char *text)
{
    const char *copy = sal_arena_copy(&sidecar->arena, text, strlen(text));
    return copy ? copy : "";
}

enum sal_status sidecar_text(const struct sidecar_place *at, const json_t *object,
                             const char *key, const char **value)
{
    const json_t *found = json_object_get(object, key);
    if (!found || json_is_null(found))
        return SAL_OK;
    if (!json_is_string(found))
        return wrong(at, key, "text");
    *value = sidecar_keep(at->sidecar, json_string_value(found));
    return SAL_OK;
}

enum sal_status sidecar_number(const struct sidecar_place *at, const json_t *object,
                               const char *key, double low, double high, double *value)
{
    const json_t *found = json_object_get(object, key);
    if (!found || json_is_null(found))
        return SAL_OK;
    double number = json_number_value(found);
    if (json_is_number(found) && number >= low && number <= high) {
        *value = number;
        return SAL_OK;
    }
    char rule[80];
    snprintf(rule, sizeof(rule), "a number from %g to %g", low, high);
    return wrong(at, key, rule);
}

enum sal_status sidecar_bool(const struct sidecar_place *at, const json_t *object,
                             const char *key, bool *value)
{
    const json_t *found = json_object_get(object, key);
    if (found && !json_is_boolean(found))
        return wrong(at, key, "true or false");
    if (found)
        *value = json_is_true(found);
    return SAL_OK;
}

enum sal_status sidecar_choice(const struct sidecar_place *at, const json_t *object,
                               const char *key, const char *const *names, int *value)
{
    const json_t *found = json_object_get(object, key);
    if (!found)
        return SAL_OK;
    char rule[160] = "one of";
    for (int i = 0; names[i]; i++) {
        if (json_is_string(found) && strcmp(json_string_value(found), names[i]) == 0) {
            *value = i;
            return SAL_OK;
        }
        size_t used = strlen(rule);
        snprintf(rule + used, sizeof(rule) - used, "%s %s", i ? "," : "", names[i]);
    }
    if (json_is_string(found)) {
        size_t used = strlen(rule);
        snprintf(rule + used, sizeof(rule) - used, ", not '%.40s'",
                 json_string_value(found));
    }
    return wrong(at, key, rule);
}

enum sal_status sidecar_numbers(const struct sidecar_place *at, const json_t *object,
                                const char *key, int n, double *values)
{
    const json_t *found = json_object_get(object, key);
    if (!found)
        return SAL_OK;
    size_t size = json_array_size(found);
    bool fits = json_is_array(found) && (size == (size_t)n || size == 1);
    for (size_t i = 0; fits && i < size; i++)
        fits = json_is_number(json_array_get(found, i));
    if (!fits) {
        char rule[80];
        snprintf(rule, sizeof(rule), "an array of %d number%s", n, n == 1 ? "" : "s");
        return wrong(at, key, rule);
    }
    for (int i = 0; i < n; i++)
        values[i] = json_number_value(json_array_get(found, size == 1 ? 0 : (size_t)i));
    return SAL_OK;
}

/* ---- classes ---------------------------------------------------------------------- */

enum sal_status sidecar_classes(struct sal_sidecar *sidecar, int n, struct sal_error *err)
{
    sidecar->classes = sal_new(&sidecar->arena, struct sal_class, n);
    if (n > CLASSES_MAX || !sidecar->classes)
        return sal_fail(err, SAL_LIMIT, "%d classes are too many", n);
    for (int i = 0; i < n; i++)
        sidecar->classes[i] = (struct sal_class){
            .name = sal_arena_format(&sidecar->arena, "class %d", i),
            .threshold = (double)NAN,
            .cost_fp = (double)NAN,
            .cost_fn = (double)NAN,
            .prevalence = (double)NAN,
        };
    sidecar->n_classes = n;
    return SAL_OK;
}

static const json_t *class_name(const json_t *names, size_t i, char key[static 24])
{
    snprintf(key, 24, "%zu", i);
    return json_is_array(names) ? json_array_get(names, i) : json_object_get(names, key);
}

static size_t count_names(const json_t *names)
{
    return json_is_array(names) ? json_array_size(names) : json_object_size(names);
}

bool sidecar_are_class_names(const json_t *names)
{
    char key[24];
    size_t n = count_names(names);
    for (size_t i = 0; i < n; i++)
        if (!json_is_string(class_name(names, i, key)))
            return false;
    return n > 0;
}

enum sal_status sidecar_class_names(const struct sidecar_place *at, const json_t *names)
{
    size_t n = count_names(names);
    enum sal_status status = sidecar_classes(at->sidecar, (int)n, at->err);
    for (size_t i = 0; !status && i < n; i++) {
        char key[24];
        const json_t *name = class_name(names, i, key);
        if (!json_is_string(name))
            return wrong(at, key, "the name of a class");
        at->sidecar->classes[i].name = sidecar_keep(at->sidecar, json_string_value(name));
    }
    return status;
}

enum sal_status sidecar_check_range(const struct sidecar_place *at,
                                    const struct sal_preprocessing *p)
{
    return p->range[0] != p->range[1] ? SAL_OK
                                      : wrong(at, "range", "two different numbers");
}

/* ---- files --------------------------------------------------------------------------- */

enum sal_status sidecar_parse_json(const char *path, json_t **root, struct sal_error *err)
{
    struct sal_file file;
    json_error_t wrong_at;
    enum sal_status status = sal_file_read(&file, path, FILE_MAX, err);
    if (status)
        return status;
    *root = json_loadb((const char *)file.bytes.data, file.bytes.size,
                       JSON_REJECT_DUPLICATES, &wrong_at);
    sal_file_close(&file);
    if (!*root)
        return sal_fail(err, SAL_BAD_INPUT, "%s:%d:%d: %s", path, wrong_at.line,
                        wrong_at.column, wrong_at.text);
    if (json_is_object(*root))
        return SAL_OK;
    json_decref(*root);
    *root = NULL;
    return sal_fail(err, SAL_BAD_INPUT, "%s: must hold a JSON object", path);
}

enum sal_status sidecar_open_json(const char *model_path, const char *name, json_t **root,
                                  struct sal_error *err)
{
    const char *slash = strrchr(model_path, '/');
    int folder = slash ? (int)(slash - model_path + 1) : 0;
    char *path = NULL;
    *root = NULL;
    if (asprintf(&path, "%.*s%s", folder, model_path, name) < 0)
        return sal_fail(err, SAL_LIMIT, "no memory for a path");
    enum sal_status status =
        access(path, F_OK) == 0 ? sidecar_parse_json(path, root, err) : SAL_OK;
    free(path);
    return status;
}

/* ---- loading -------------------------------------------------------------------------- */

static void set_defaults(struct sal_sidecar *sidecar)
{
    *sidecar = (struct sal_sidecar){
        .source = "none",
        .temperature = 1,
        .input = {.resize = SAL_BILINEAR,
                  .round = true,
                  .range = {0, 1},
                  .std = {1, 1, 1, 1},
                  .source = {"default", "default", "default", "default", "default",
                             "default", "default", "default"}},
    };
}

static enum sal_status use_preset(struct sal_sidecar *sidecar, const char *name,
                                  struct sal_error *err)
{
    char known[160] = "";
    for (int i = 0; sal_presets[i].name; i++) {
        if (strcmp(sal_presets[i].name, name) == 0) {
            sidecar->input = sal_presets[i].input;
            sidecar->source = sal_arena_format(&sidecar->arena, "preset %s", name);
            if (!sidecar->source)
                return sal_fail(err, SAL_LIMIT, "no memory for the sidecar");
            const char *from = sidecar->source;
            sidecar->input.source.channels = sidecar->input.source.range = from;
            sidecar->input.source.mean = sidecar->input.source.std = from;
            sidecar->input.source.resize = sidecar->input.source.fit = from;
            return SAL_OK;
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "",
                 sal_presets[i].name);
    }
    return sal_fail(err, SAL_USAGE, "there is no preset '%s'; there are %s", name, known);
}

static bool from_preset(const char *source)
{
    return strncmp(source, "preset ", 7) == 0;
}

/* Whether mean and std of the preset mean the same for these pixels. */
static bool preset_fits(const struct sal_preprocessing *p,
                        const struct sal_preprocessing *preset)
{
    bool even = preset->mean[0] == preset->mean[1] && preset->mean[1] == preset->mean[2];
    bool channels = even || p->channels == preset->channels || p->channels == SAL_GRAY3;
    return channels && p->range[0] == preset->range[0] && p->range[1] == preset->range[1];
}

/* A preset's mean and std go with its own range and channels: completing a file that
 * states others would be wrong without looking so. */
static enum sal_status check_preset(const struct sal_sidecar *sidecar,
                                    const struct sal_sidecar_request *request,
                                    struct sal_error *err)
{
    const struct sal_preprocessing *p = &sidecar->input;
    if (!request->preset || !(from_preset(p->source.mean) || from_preset(p->source.std)))
        return SAL_OK;
    for (int i = 0; sal_presets[i].name; i++)
        if (strcmp(sal_presets[i].name, request->preset) == 0 &&
            !preset_fits(p, &sal_presets[i].input))
            return sal_fail(err, SAL_USAGE,
                            "preset %s is for %s in %g..%g, %s says %s in %g..%g: give mean "
                            "and std there", request->preset,
                            sal_channels_names[sal_presets[i].input.channels],
                            sal_presets[i].input.range[0], sal_presets[i].input.range[1],
                            sidecar->source, sal_channels_names[p->channels], p->range[0],
                            p->range[1]);
    return SAL_OK;
}

enum sal_status sal_sidecar_load(struct sal_sidecar *sidecar,
                                 const struct sal_sidecar_request *request,
                                 struct sal_error *err)
{
    static sidecar_source *const sources[] = {
        sidecar_from_own_file, sidecar_from_metadata, sidecar_from_huggingface,
        sidecar_from_monai};
    bool found = false;
    set_defaults(sidecar);
    enum sal_status status =
        request->preset ? use_preset(sidecar, request->preset, err) : SAL_OK;
    for (size_t i = 0; !status && !found && i < sizeof(sources) / sizeof(*sources); i++)
        status = sources[i](sidecar, request, &found, err);
    if (!status)
        status = check_preset(sidecar, request, err);
    if (status)
        sal_sidecar_release(sidecar);
    return status;
}

void sal_sidecar_release(struct sal_sidecar *sidecar)
{
    struct sal_arena arena = sidecar->arena;
    sal_arena_release(&arena);
    *sidecar = (struct sal_sidecar){0};
}
