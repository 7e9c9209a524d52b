/*
 * The sidecar: what an ONNX file does not say about itself.
 *
 * How pixels become the input tensor, what the outputs are called, at which
 * score a finding is flagged. Read from MODEL.json, or from what other tools
 * leave beside a model, or from a named preset; never guessed silently: every
 * value remembers where it came from. A sidecar owns its memory through its
 * arena and is read-only once loaded.
 */
#ifndef SALISCOPE_SIDECAR_H
#define SALISCOPE_SIDECAR_H

#include <stdbool.h>

#include "saliscope/arena.h"
#include "saliscope/status.h"

enum sal_layout { SAL_LAYOUT_NCHW, SAL_LAYOUT_NHWC };
enum sal_channels { SAL_RGB, SAL_BGR, SAL_GRAY, SAL_GRAY3 };
enum sal_filter { SAL_NEAREST, SAL_BILINEAR, SAL_BICUBIC, SAL_AREA, SAL_LANCZOS };
enum sal_fit { SAL_STRETCH, SAL_CROP, SAL_PAD };
enum sal_activation { SAL_ACTIVATION_NONE, SAL_SIGMOID, SAL_SOFTMAX };

/* Their names in the file format, indexed by value; each ends with NULL. */
extern const char *const sal_layout_names[];     /* "NCHW" "NHWC" */
extern const char *const sal_channels_names[];   /* "RGB" "BGR" "gray" "gray3" */
extern const char *const sal_filter_names[];     /* "nearest" ... "lanczos" */
extern const char *const sal_fit_names[];        /* "stretch" "crop" "pad" */
extern const char *const sal_activation_names[]; /* "none" "sigmoid" "softmax" */

/*
 * A pixel is mapped linearly from its stored range 0..max onto range[0..1], then
 * (v - mean[c]) / std[c], channels in the order of `channels` (gray3: grey
 * copied to three).
 */
struct sal_preprocessing {
    enum sal_layout layout;
    enum sal_channels channels;
    int width, height;       /* of the network's input; 0: the model's own */
    enum sal_filter resize;
    bool antialias;          /* Pillow's filters; without: OpenCV's */
    bool round;              /* resampled pixels are rounded to stored levels, as
                                OpenCV and Pillow do; torch and TF do not */
    enum sal_fit fit;        /* crop: cover, centre; pad: contain, centre, zeros */
    double range[2];
    double mean[4], std[4];  /* by input channel */
    /* Where each value came from: "sidecar", "preset imagenet", "model",
     * "default", ...; static or arena text, never NULL. */
    struct {
        const char *layout, *channels, *size, *resize, *fit, *range, *mean, *std;
    } source;
};

struct sal_class {
    const char *name;
    double threshold; /* probability; NAN: none given */
    double cost_fp, cost_fn; /* NAN: none given */
    double prevalence;       /* NAN: none given */
};

struct sal_sidecar {
    const char *source; /* "phantom.json", "preset imagenet", "none"... */
    const char *name, *version, *sha256, *intended_use; /* NULL: not given */
    const char *const *limitations;
    int n_limitations;
    struct sal_preprocessing input;
    enum sal_activation activation;
    const char *activation_source; /* NULL: not given */
    const char *output;    /* tensor name; NULL: the model's first output */
    const char *cam_layer; /* node or tensor name; NULL: automatic */
    struct sal_class *classes;
    int n_classes; /* 0: names are not known */
    double temperature;
    struct sal_arena arena;
};

/* Key-value text stored in the model itself (ONNX metadata_props). */
struct sal_metadata {
    const char *key, *value;
};

struct sal_sidecar_request {
    const char *model_path; /* siblings are looked for beside it */
    const char *path;       /* --sidecar; NULL: look for one */
    const char *preset;     /* --preset; NULL: none */
    const struct sal_metadata *metadata;
    int n_metadata;
};

/* In this order: the named file; MODEL.json; metadata_props;
 * preprocessor_config.json + config.json (Hugging Face); metadata.json (MONAI);
 * the preset, which may also complete what a file leaves open. When nothing is
 * found, source is "none", values are the defaults (unit range, mean 0, std 1)
 * and the caller says so. Errors give file, line and column. */
enum sal_status sal_sidecar_load(struct sal_sidecar *sidecar,
                                 const struct sal_sidecar_request *request,
                                 struct sal_error *err);
void sal_sidecar_release(struct sal_sidecar *sidecar);

struct sal_preset {
    const char *name, *title;
    struct sal_preprocessing input;
};

/* Ends with a row whose name is NULL. */
extern const struct sal_preset sal_presets[];

#endif
