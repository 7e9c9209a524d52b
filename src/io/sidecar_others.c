/* What other tools leave beside a model, or in it. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar_read.h"

/* ---- ONNX metadata_props ------------------------------------------------------------ */

/* Python's {0: 'cat', 1: "dog"}: the quoted texts in order; false when the keys do not
 * count up from 0. */
static json_t *python_dict(const char *text)
{
    json_t *names = json_array();
    long expected = 0;
    for (const char *p = strchr(text, '{'); p && *p && *p != '}';) {
        char *end;
        p += 1 + strspn(p + 1, " ,\n\t");
        if (*p == '}')
            break;
        long key = strtol(p, &end, 10);
        const char *open = end + strspn(end, " :");
        const char *close = *open == '\'' || *open == '"' ? strchr(open + 1, *open) : NULL;
        if (end == p || key != expected++ || !close) {
            json_decref(names);
            return NULL;
        }
        json_array_append_new(names, json_stringn(open + 1, (size_t)(close - open - 1)));
        p = close + 1;
        if (*p != ',')
            break;
    }
    return names;
}

enum sal_status sidecar_from_metadata(struct sal_sidecar *sidecar,
                                      const struct sal_sidecar_request *request,
                                      bool *found, struct sal_error *err)
{
    static const char *const keys[] = {"names", "class_names", "classes", "labels"};
    struct sidecar_place at = {"metadata_props", "", sidecar, err};
    for (int i = 0; i < request->n_metadata; i++)
        for (size_t k = 0; k < sizeof(keys) / sizeof(*keys); k++) {
            const char *value = request->metadata[i].value;
            if (strcmp(request->metadata[i].key, keys[k]) != 0 || sidecar->n_classes)
                continue;
            json_t *names = json_loads(value, 0, NULL);
            if (!names)
                names = python_dict(value);
            enum sal_status status = SAL_OK;
            if (names && json_array_size(names) + json_object_size(names) > 0)
                status = sidecar_class_names(&at, names);
            json_decref(names);
            if (status)
                return status;
        }
    /* Names alone say nothing about pixels, so the search goes on. */
    (void)found;
    return SAL_OK;
}

/* ---- Hugging Face --------------------------------------------------------------------- */

/* PIL's numbers for filters. */
static enum sal_filter pil_filter(double number)
{
    static const enum sal_filter filters[] = {SAL_NEAREST, SAL_LANCZOS, SAL_BILINEAR,
                                              SAL_BICUBIC, SAL_AREA};
    int i = (int)number;
    return i >= 0 && i < 5 ? filters[i] : SAL_BILINEAR;
}

static enum sal_status hf_size(const struct sidecar_place *at, const json_t *root,
                               struct sal_preprocessing *p)
{
    const json_t *size = json_object_get(root, "size");
    const json_t *crop = json_object_get(root, "crop_size");
    bool cropped = json_is_true(json_object_get(root, "do_center_crop")) ||
                   json_object_get(size, "shortest_edge");
    const json_t *final = cropped && crop ? crop : size;
    double height = json_number_value(final), width = height, edge = height;
    enum sal_status status = SAL_OK;
    if (json_is_object(final)) {
        if ((status = sidecar_number(at, final, "shortest_edge", 1, 32768, &edge)))
            return status;
        height = width = edge;
        if ((status = sidecar_number(at, final, "height", 1, 32768, &height)) ||
            (status = sidecar_number(at, final, "width", 1, 32768, &width)))
            return status;
    }
    p->height = (int)height;
    p->width = (int)width;
    p->source.size = at->file;
    p->fit = cropped ? SAL_CROP : SAL_STRETCH;
    p->source.fit = at->file;
    edge = 0;
    status = sidecar_number(at, size, "shortest_edge", 1, 32768, &edge);
    if (!status && cropped && edge > height)
        p->source.fit = "preprocessor_config.json, whose larger resize before the crop "
                        "is left out";
    return status;
}

static enum sal_status hf_pixels(const struct sidecar_place *at, const json_t *root,
                                 struct sal_preprocessing *p)
{
    double resample = 2, factor = 1.0 / 255;
    enum sal_status status = sidecar_number(at, root, "resample", 0, 5, &resample);
    if (status || (status = sidecar_number(at, root, "rescale_factor", 0, 1e6, &factor)) ||
        (status = sidecar_numbers(at, root, "image_mean", 3, p->mean)) ||
        (status = sidecar_numbers(at, root, "image_std", 3, p->std)))
        return status;
    bool rescaled = !json_is_false(json_object_get(root, "do_rescale"));
    p->channels = SAL_RGB;
    p->resize = pil_filter(resample);
    p->antialias = true;
    p->range[0] = 0;
    p->range[1] = rescaled ? 255 * factor : 255;
    p->source.channels = p->source.resize = p->source.range = at->file;
    p->source.mean = p->source.std = at->file;
    return hf_size(at, root, p);
}

static enum sal_status hf_labels(struct sal_sidecar *sidecar, const char *model_path,
                                 struct sal_error *err)
{
    json_t *root;
    enum sal_status status = sidecar_open_json(model_path, "config.json", &root, err);
    if (status || !root)
        return status;
    struct sidecar_place at = {"config.json", "id2label.", sidecar, err};
    const json_t *names = json_object_get(root, "id2label");
    const char *problem = json_string_value(json_object_get(root, "problem_type"));
    if (names && json_is_object(names) && !sidecar->n_classes)
        status = sidecar_class_names(&at, names);
    if (problem) {
        sidecar->activation = strcmp(problem, "multi_label_classification") == 0
                                  ? SAL_SIGMOID : SAL_SOFTMAX;
        sidecar->activation_source = "config.json";
    }
    json_decref(root);
    return status;
}

enum sal_status sidecar_from_huggingface(struct sal_sidecar *sidecar,
                                         const struct sal_sidecar_request *request,
                                         bool *found, struct sal_error *err)
{
    json_t *root;
    enum sal_status status = sidecar_open_json(request->model_path,
                                               "preprocessor_config.json", &root, err);
    if (status || !root)
        return status;
    struct sidecar_place at = {"preprocessor_config.json", "", sidecar, err};
    status = hf_pixels(&at, root, &sidecar->input);
    json_decref(root);
    sidecar->source = at.file;
    *found = true;
    return status ? status : hf_labels(sidecar, request->model_path, err);
}

/* ---- MONAI bundles ---------------------------------------------------------------------- */

static enum sal_status monai_input(const struct sidecar_place *at, const json_t *image,
                                   struct sal_preprocessing *p)
{
    double channels = 3, shape[2] = {0, 0};
    enum sal_status status = sidecar_number(at, image, "num_channels", 1, 4, &channels);
    if (status || (status = sidecar_numbers(at, image, "value_range", 2, p->range)))
        return status;
    const json_t *declared = json_object_get(image, "spatial_shape");
    bool fixed = json_array_size(declared) == 2 &&
                 json_is_integer(json_array_get(declared, 0)) &&
                 json_is_integer(json_array_get(declared, 1));
    if (fixed && (status = sidecar_numbers(at, image, "spatial_shape", 2, shape)))
        return status;
    if (fixed && shape[0] >= 1 && shape[1] >= 1 && shape[0] <= 32768 && shape[1] <= 32768) {
        p->height = (int)shape[0];
        p->width = (int)shape[1];
        p->source.size = at->file;
    }
    p->channels = channels > 1 ? SAL_RGB : SAL_GRAY;
    p->source.channels = p->source.range = at->file;
    return SAL_OK;
}

enum sal_status sidecar_from_monai(struct sal_sidecar *sidecar,
                                   const struct sal_sidecar_request *request, bool *found,
                                   struct sal_error *err)
{
    json_t *root;
    enum sal_status status =
        sidecar_open_json(request->model_path, "metadata.json", &root, err);
    if (status || !root)
        return status;
    struct sidecar_place at = {"metadata.json", "network_data_format.", sidecar, err};
    const json_t *format = json_object_get(root, "network_data_format");
    const json_t *image = json_object_get(json_object_get(format, "inputs"), "image");
    const json_t *pred = json_object_get(json_object_get(format, "outputs"), "pred");
    const json_t *names = json_object_get(pred, "channel_def");
    if (json_is_object(image)) {
        status = monai_input(&at, image, &sidecar->input);
        sidecar->source = at.file;
        *found = true;
    }
    if (!status && json_is_object(names) && !sidecar->n_classes)
        status = sidecar_class_names(&at, names);
    json_decref(root);
    return status;
}
