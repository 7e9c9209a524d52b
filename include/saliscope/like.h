/*
 * How other libraries do it: presets for --like.
 *
 * A library is a table of methods that it has too: with what parameters they are its own,
 * which number it explains, and what it does to the map afterwards. What the user sets
 * stands over the preset. Constant data, any thread.
 */
#ifndef SALISCOPE_LIKE_H
#define SALISCOPE_LIKE_H

#include "saliscope/explain.h"

/* What becomes of a finished map.
 *
 * SAL_FINISH_NEAREST: a layer's grid is enlarged by repeating its values.
 * SAL_FINISH_UNIT: the grid is scaled, (v - min) / (max - min + 1e-7), enlarged, and scaled
 *     once more, as pytorch-grad-cam's scale_cam_image does it.
 * SAL_FINISH_FLIPPED: min becomes 1 and max becomes 0, as MONAI's default_normalizer
 *     does it: the smallest value is shown highest. A map of one value stays as it is. */
enum sal_finish { SAL_FINISH_NONE, SAL_FINISH_NEAREST, SAL_FINISH_UNIT, SAL_FINISH_FLIPPED };

/* In the order of the enum: "none", "nearest", "unit", "flipped"; and for people. */
extern const char *const sal_finish_names[], *const sal_finish_titles[];

enum { SAL_LIKE_PARAMS_MAX = 6 };

struct sal_like_row {
    const char *method; /* of struct sal_method; NULL ends a library's rows */
    const char *call;   /* what it is called there */
    const char *params[SAL_LIKE_PARAMS_MAX]; /* "key=value"; NULL ends */
    const char *score;  /* as of sal_model_options; NULL: the logit */
    enum sal_finish finish;
    bool one_channel;   /* only for inputs of one channel; before the row for all others */
};

struct sal_like {
    const char *name;  /* "monai" */
    const char *title; /* "MONAI 1.6.1": the version that was read and compared with */
    const struct sal_like_row *rows;
};

/* Ends with a NULL name. */
extern const struct sal_like sal_likes[];
const struct sal_like *sal_like_find(const char *name);

/* The library's row for a method. channels: of the model's input; 0: not known yet.
 * NULL: SAL_USAGE, the message names the methods that it has. */
const struct sal_like_row *sal_like_row_find(const struct sal_like *like,
                                             const struct sal_method *method, int channels,
                                             struct sal_error *err);

/* Sets what the row says. */
void sal_like_params(const struct sal_like_row *row, const struct sal_method *method,
                     struct sal_params *params);

/* What becomes of the map; its unit too. */
void sal_like_finish(enum sal_finish finish, struct sal_map *map);

#endif
