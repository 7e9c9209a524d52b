/* What other tools leave beside a model. */
#include <string.h>

#include "sidecar_read.h"

/* ---- Hugging Face --------------------------------------------------------------------- */

/* PIL's numbers for filters; the sixth, Hamming, is not among ours. */
static const enum sal_filter pil_filters[] = {SAL_NEAREST, SAL_LANCZOS, SAL_BILINEAR,
                                              SAL_BICUBIC, SAL_AREA};

static bool says_no(const json_t *root, const char *key)
{
    return json_is_false(json_object_get(root, key));
}

/* 224, {"height", "width"} or {"shortest_edge"}. */
static enum sal_status hf_extent(const struct sidecar_place *at, const json_t *root,
                                 const char *key, double extent[2])
{
    const json_t *size = json_object_get(root, key);
    if (!json_is_object(size)) {
        enum sal_status status = sidecar_number(at, root, key, 1, 32768, &extent[0]);
        extent[1] = extent[0];
        return status;
    }
    struct sidecar_place within = *at;
    within.within = strcmp(key, "size") == 0 ? "size." : "crop_size.";
    enum sal_status status =
        sidecar_number(&within, size, "shortest_edge", 1, 32768, &extent[0]);
    extent[1] = extent[0];
    if (status || (status = sidecar_number(&within, size, "height", 1, 32768, &extent[0])))
        return status;
    return sidecar_number(&within, size, "width", 1, 32768, &extent[1]);
}

static enum sal_status hf_size(const struct sidecar_place *at, const json_t *root,
                               struct sal_preprocessing *p)
{
    double size[2] = {0, 0}, crop[2] = {0, 0}, crop_pct = 1;
    enum sal_status status = hf_extent(at, root, "size", size);
    if (status || (status = hf_extent(at, root, "crop_size", crop)) ||
        (status = sidecar_number(at, root, "crop_pct", 0.01, 1, &crop_pct)))
        return status;
    const json_t *shape = json_object_get(root, "size");
    bool centred = json_is_true(json_object_get(root, "do_center_crop")) ||
                   json_object_get(root, "crop_pct") || json_object_get(shape, "shortest_edge");
    bool cropped = centred && crop[0] >= 1 && !says_no(root, "do_center_crop");
    const double *final = cropped ? crop : size;
    p->height = (int)final[0];
    p->width = (int)final[1];
    p->fit = centred ? SAL_CROP : SAL_STRETCH;
    p->source.fit = at->file;
    if (final[0] >= 1)
        p->source.size = at->file;
    if ((cropped && size[0] > crop[0]) || crop_pct < 1)
        p->source.fit = "preprocessor_config.json, whose larger resize before the crop "
                        "is left out";
    return SAL_OK;
}

static enum sal_status hf_normalise(const struct sidecar_place *at, const json_t *root,
                                    struct sal_preprocessing *p)
{
    bool normalised = !says_no(root, "do_normalize");
    for (int i = 0; i < 3; i++) {
        p->mean[i] = 0;
        p->std[i] = 1;
    }
    p->source.mean = p->source.std = at->file;
    enum sal_status status = SAL_OK;
    if (normalised && !(status = sidecar_numbers(at, root, "image_mean", 3, p->mean)))
        status = sidecar_numbers(at, root, "image_std", 3, p->std);
    if (!status && !(p->std[0] > 0 && p->std[1] > 0 && p->std[2] > 0))
        return sal_fail(at->err, SAL_BAD_INPUT, "%s: image_std must be above 0", at->file);
    return status;
}

static enum sal_status hf_pixels(const struct sidecar_place *at, const json_t *root,
                                 struct sal_preprocessing *p)
{
    double resample = 2, factor = 1.0 / 255;
    bool centred_on_zero = false; /* EfficientNet's */
    enum sal_status status = sidecar_number(at, root, "resample", 0, 4, &resample);
    if (status ||
        (status = sidecar_number(at, root, "rescale_factor", 1e-9, 1e6, &factor)) ||
        (status = sidecar_bool(at, root, "rescale_offset", &centred_on_zero)) ||
        (status = hf_normalise(at, root, p)))
        return status;
    if (says_no(root, "do_rescale")) {
        factor = 1;
        centred_on_zero = false;
    }
    p->channels = SAL_RGB;
    p->resize = pil_filters[(int)resample];
    p->antialias = p->round = true;
    p->range[0] = centred_on_zero ? -1 : 0;
    p->range[1] = p->range[0] + 255 * factor;
    p->source.channels = p->source.resize = p->source.range = at->file;
    return hf_size(at, root, p);
}

static const struct {
    const char *problem;
    enum sal_activation activation;
} hf_problems[] = {{"single_label_classification", SAL_SOFTMAX},
                   {"multi_label_classification", SAL_SIGMOID},
                   {"regression", SAL_ACTIVATION_NONE}};

static enum sal_status hf_config(struct sal_sidecar *sidecar, const char *folder,
                                 const char *model_path, struct sal_error *err)
{
    char name[32] = "";
    strcat(strcat(name, folder), "config.json");
    json_t *root;
    enum sal_status status = sidecar_open_json(model_path, name, &root, err);
    if (status || !root)
        return status;
    struct sidecar_place at = {"config.json", "", sidecar, err}, labels = at;
    labels.within = "id2label.";
    const json_t *names = json_object_get(root, "id2label");
    const char *problem = NULL;
    double channels = 3;
    status = sidecar_text(&at, root, "problem_type", &problem);
    if (!status)
        status = sidecar_number(&at, root, "num_channels", 1, 4096, &channels);
    if (!status && json_is_object(names) && !sidecar->n_classes)
        status = sidecar_class_names(&labels, names);
    if (channels < 2) {
        sidecar->input.channels = SAL_GRAY;
        sidecar->input.source.channels = at.file;
    }
    for (size_t i = 0; problem && i < sizeof(hf_problems) / sizeof(*hf_problems); i++)
        if (strcmp(problem, hf_problems[i].problem) == 0) {
            sidecar->activation = hf_problems[i].activation;
            sidecar->activation_source = at.file;
        }
    json_decref(root);
    return status;
}

/* Beside the model, or above it where exporters put the model into onnx/. */
static const char *hf_folder(const char *model_path)
{
    const char *slash = strrchr(model_path, '/');
    size_t size = slash ? (size_t)(slash - model_path) : 0;
    bool below = size >= 4 && memcmp(slash - 4, "onnx", 4) == 0 &&
                 (size == 4 || slash[-5] == '/');
    return below ? "../" : "";
}

enum sal_status sidecar_from_huggingface(struct sal_sidecar *sidecar,
                                         const struct sal_sidecar_request *request,
                                         bool *found, struct sal_error *err)
{
    const char *folder = "";
    json_t *root;
    enum sal_status status = sidecar_open_json(request->model_path,
                                               "preprocessor_config.json", &root, err);
    if (!status && !root && *(folder = hf_folder(request->model_path)))
        status = sidecar_open_json(request->model_path, "../preprocessor_config.json",
                                   &root, err);
    if (status || !root)
        return status;
    struct sidecar_place at = {"preprocessor_config.json", "", sidecar, err};
    status = hf_pixels(&at, root, &sidecar->input);
    json_decref(root);
    sidecar->source = at.file;
    *found = true;
    return status ? status : hf_config(sidecar, folder, request->model_path, err);
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
    p->source.channels = at->file;
    if (json_object_get(image, "value_range"))
        p->source.range = at->file;
    return sidecar_check_range(at, p);
}

enum sal_status sidecar_from_monai(struct sal_sidecar *sidecar,
                                   const struct sal_sidecar_request *request, bool *found,
                                   struct sal_error *err)
{
    json_t *root;
    enum sal_status status =
        sidecar_open_json(request->model_path, "metadata.json", &root, err);
    if (!status && !root)
        status = sidecar_open_json(request->model_path, "../configs/metadata.json", &root,
                                   err);
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
    if (!status && sidecar_are_class_names(names) && !sidecar->n_classes)
        status = sidecar_class_names(&at, names);
    json_decref(root);
    return status;
}
