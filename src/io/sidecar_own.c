/* saliscope's own sidecar: MODEL.json. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sidecar_read.h"

static enum sal_status read_size(const struct sidecar_place *at, const json_t *input,
                                 struct sal_preprocessing *p)
{
    double size[2] = {0, 0};
    enum sal_status status = sidecar_numbers(at, input, "size", 2, size);
    if (status || !json_object_get(input, "size"))
        return status;
    for (int i = 0; i < 2; i++)
        if (!(size[i] >= 1 && size[i] <= 32768) || size[i] != floor(size[i]))
            return sal_fail(at->err, SAL_BAD_INPUT,
                            "%s: input.size must be [height, width] in pixels", at->file);
    p->height = (int)size[0];
    p->width = (int)size[1];
    p->source.size = "sidecar";
    return SAL_OK;
}

/* Marks as the sidecar's what it has said something about. */
static void claim(const json_t *input, const char *key, const char **source)
{
    if (json_object_get(input, key))
        *source = "sidecar";
}

static enum sal_status read_input(const struct sidecar_place *at, const json_t *input,
                                  struct sal_preprocessing *p)
{
    int layout = (int)p->layout, channels = (int)p->channels;
    int resize = (int)p->resize, fit = (int)p->fit;
    enum sal_status status = sidecar_choice(at, input, "layout", sal_layout_names, &layout);
    if (status ||
        (status = sidecar_choice(at, input, "channels", sal_channels_names, &channels)) ||
        (status = sidecar_choice(at, input, "resize", sal_filter_names, &resize)) ||
        (status = sidecar_choice(at, input, "fit", sal_fit_names, &fit)) ||
        (status = sidecar_bool(at, input, "antialias", &p->antialias)) ||
        (status = sidecar_bool(at, input, "round", &p->round)) ||
        (status = sidecar_numbers(at, input, "range", 2, p->range)) ||
        (status = sidecar_check_range(at, p)) || (status = read_size(at, input, p)))
        return status;
    p->layout = (enum sal_layout)layout;
    p->channels = (enum sal_channels)channels;
    p->resize = (enum sal_filter)resize;
    p->fit = (enum sal_fit)fit;
    int n = p->channels == SAL_GRAY ? 1 : 3;
    if ((status = sidecar_numbers(at, input, "mean", n, p->mean)) ||
        (status = sidecar_numbers(at, input, "std", n, p->std)))
        return status;
    for (int i = 0; i < n; i++)
        if (!(p->std[i] > 0))
            return sal_fail(at->err, SAL_BAD_INPUT, "%s: input.std must be above 0",
                            at->file);
    claim(input, "layout", &p->source.layout);
    claim(input, "channels", &p->source.channels);
    claim(input, "resize", &p->source.resize);
    claim(input, "fit", &p->source.fit);
    claim(input, "range", &p->source.range);
    claim(input, "mean", &p->source.mean);
    claim(input, "std", &p->source.std);
    return SAL_OK;
}

static enum sal_status read_class(const struct sidecar_place *at, const json_t *entry,
                                  struct sal_class *class)
{
    if (json_is_string(entry)) {
        class->name = sidecar_keep(at->sidecar, json_string_value(entry));
        return SAL_OK;
    }
    if (!json_is_object(entry))
        return sal_fail(at->err, SAL_BAD_INPUT,
                        "%s: classes must be names or objects with a name", at->file);
    enum sal_status status = sidecar_text(at, entry, "name", &class->name);
    if (status || (status = sidecar_number(at, entry, "threshold", 0, 1,
                                           &class->threshold)) ||
        (status = sidecar_number(at, entry, "cost_fp", 0, 1e12, &class->cost_fp)))
        return status;
    return sidecar_number(at, entry, "cost_fn", 0, 1e12, &class->cost_fn);
}

static enum sal_status read_classes(const struct sidecar_place *at, const json_t *root)
{
    const json_t *list = json_object_get(root, "classes");
    const json_t *prevalence = json_object_get(root, "prevalence");
    if (list && !json_is_array(list))
        return sal_fail(at->err, SAL_BAD_INPUT, "%s: classes must be an array", at->file);
    size_t n = json_array_size(list);
    struct sidecar_place within = *at;
    within.within = "classes[].";
    enum sal_status status = n ? sidecar_classes(at->sidecar, (int)n, at->err) : SAL_OK;
    for (size_t i = 0; !status && i < n; i++)
        status = read_class(&within, json_array_get(list, i), &at->sidecar->classes[i]);
    if (status || !prevalence)
        return status;
    if (!json_is_array(prevalence) || json_array_size(prevalence) != n)
        return sal_fail(at->err, SAL_BAD_INPUT,
                        "%s: prevalence must have one number per class", at->file);
    for (size_t i = 0; i < n; i++) {
        double share = json_number_value(json_array_get(prevalence, i));
        if (!json_is_number(json_array_get(prevalence, i)) || !(share >= 0 && share <= 1))
            return sal_fail(at->err, SAL_BAD_INPUT,
                            "%s: prevalence must be numbers from 0 to 1", at->file);
        at->sidecar->classes[i].prevalence = share;
    }
    return SAL_OK;
}

static enum sal_status read_limitations(const struct sidecar_place *at, const json_t *root)
{
    const json_t *list = json_object_get(root, "limitations");
    if (!list)
        return SAL_OK;
    size_t n = json_array_size(list);
    const char **texts = sal_new(&at->sidecar->arena, const char *, n);
    if (!json_is_array(list) || !texts)
        return sal_fail(at->err, SAL_BAD_INPUT, "%s: limitations must be an array of text",
                        at->file);
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (!text)
            return sal_fail(at->err, SAL_BAD_INPUT,
                            "%s: limitations must be an array of text", at->file);
        texts[i] = sidecar_keep(at->sidecar, text);
    }
    at->sidecar->limitations = texts;
    at->sidecar->n_limitations = (int)n;
    return SAL_OK;
}

static enum sal_status read_root(const struct sidecar_place *at, const json_t *root)
{
    struct sal_sidecar *s = at->sidecar;
    const json_t *input = json_object_get(root, "input");
    struct sidecar_place within = *at;
    within.within = "input.";
    int activation = (int)s->activation;
    enum sal_status status;
    if ((status = sidecar_text(at, root, "name", &s->name)) ||
        (status = sidecar_text(at, root, "version", &s->version)) ||
        (status = sidecar_text(at, root, "sha256", &s->sha256)) ||
        (status = sidecar_text(at, root, "intended_use", &s->intended_use)) ||
        (status = sidecar_text(at, root, "output", &s->output)) ||
        (status = sidecar_text(at, root, "cam_layer", &s->cam_layer)) ||
        (status = sidecar_choice(at, root, "activation", sal_activation_names,
                                 &activation)))
        return status;
    if (json_object_get(root, "activation")) {
        s->activation = (enum sal_activation)activation;
        s->activation_source = "sidecar";
    }
    if (input && !json_is_object(input))
        return sal_fail(at->err, SAL_BAD_INPUT, "%s: input must be an object", at->file);
    const json_t *calibration = json_object_get(root, "calibration");
    if (calibration && !json_is_object(calibration))
        return sal_fail(at->err, SAL_BAD_INPUT, "%s: calibration must be an object",
                        at->file);
    within.within = "calibration.";
    if (calibration && (status = sidecar_number(&within, calibration, "temperature", 1e-6,
                                                1e6, &s->temperature)))
        return status;
    within.within = "input.";
    if ((input && (status = read_input(&within, input, &s->input))) ||
        (status = read_limitations(at, root)))
        return status;
    return read_classes(at, root);
}

/* MODEL.json for MODEL.onnx, else MODEL.onnx.json; NULL when there is neither. */
static char *beside(const char *model)
{
    size_t size = strlen(model);
    size_t stem = size > 5 && strcmp(model + size - 5, ".onnx") == 0 ? size - 5 : size;
    char *path = malloc(size + 6);
    for (int i = 0; path && i < 2; i++) {
        size_t used = i ? size : stem;
        memcpy(path, model, used);
        strcpy(path + used, ".json");
        if (access(path, F_OK) == 0)
            return path;
    }
    free(path);
    return NULL;
}

enum sal_status sidecar_from_own_file(struct sal_sidecar *sidecar,
                                      const struct sal_sidecar_request *request,
                                      bool *found, struct sal_error *err)
{
    char *path = request->path ? strdup(request->path) : beside(request->model_path);
    if (!path)
        return SAL_OK;
    json_t *root = NULL;
    enum sal_status status = sidecar_parse_json(path, &root, err);
    const char *slash = strrchr(path, '/');
    const char *file = sidecar_keep(sidecar, slash ? slash + 1 : path);
    free(path);
    if (status)
        return status;
    struct sidecar_place at = {file, "", sidecar, err};
    status = read_root(&at, root);
    json_decref(root);
    sidecar->source = file;
    *found = true;
    return status;
}
