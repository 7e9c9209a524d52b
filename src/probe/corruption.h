/*
 * Corruptions: what happens to pictures without anybody meaning it, in five severities.
 *
 * A corruption is a probe that knows how to spoil a picture by one number, its setting. The
 * five severities are settings from published tables; each way along the setting (darker,
 * brighter) has its own. All severities are looked at one after the other, because a model
 * that holds at 4 may have given way at 2; between the last that held and the first that
 * did not, the setting is bisected. What a draw of noise is made of does not depend on the
 * severity, so that a setting is a path and not a new draw at each of its points.
 */
#ifndef SALISCOPE_PROBE_CORRUPTION_H
#define SALISCOPE_PROBE_CORRUPTION_H

#include "attacks.h"

/* One row per corruption, in the order in which they are listed and tried. */
#define SAL_CORRUPTIONS(X) \
    X(gaussian_noise)      \
    X(speckle_noise)       \
    X(shot_noise)          \
    X(impulse_noise)       \
    X(blur)                \
    X(defocus)             \
    X(contrast)            \
    X(brightness)          \
    X(gamma)               \
    X(window)              \
    X(level)               \
    X(jpeg)                \
    X(downsample)          \
    X(rotate)              \
    X(shift)               \
    X(scale)               \
    X(black_corner)        \
    X(marker)

/* Whose severities. Where MedMNIST-C or ImageNet-C have no numbers they are ours. */
enum sal_severity_table { SAL_TABLE_CHEST, SAL_TABLE_PNEUMONIA, SAL_TABLE_IMAGENET, SAL_TABLES };

enum { SAL_WAYS_MAX = 4 };

/* A picture's form; weight[k]: of plane k in its brightness, summing to 1. */
struct sal_canvas {
    int planes, height, width;
    bool reversed; /* three planes are blue, green, red */
    double weight[SAL_SPACE_CHANNELS_MAX];
};

/* What is done to it. */
struct sal_alteration {
    double setting;
    int axis;     /* of those that have several: of struct sal_corruption_way */
    uint64_t key; /* of random numbers (random.h) */
};

/* One way along the setting. */
struct sal_corruption_way {
    const char *name; /* "darker"; "" where there is one way only */
    int axis;
    /* of severities 1..5; zeros: as in the first table */
    double settings[SAL_TABLES][SAL_SEVERITIES];
};

struct sal_corruption {
    struct sal_probe probe; /* stays first: probe->run finds its corruption by it */
    double neutral; /* the setting that leaves every sample as it is, the default */
    double gentle;  /* where a search for the least setting begins: neutral, but where that is
                       not at the end of the scale */
    bool whole;     /* settings are whole numbers */
    bool lengths;   /* tables are in pixels of a picture whose shorter side has 224: severities
                       grow with the picture */
    struct sal_corruption_way ways[SAL_WAYS_MAX];
    int n_ways;
    /* Writes to [planes][height][width], from unit intensity; what leaves 0..1 is put back by
     * the caller, as is what a mask keeps. Any thread; the same bits each time. */
    enum sal_status (*alter)(const struct sal_canvas *canvas, const struct sal_alteration *how,
                             const float *from, float *to, struct sal_error *err);
};

#define X(name) extern const struct sal_corruption sal_corruption_##name;
SAL_CORRUPTIONS(X)
#undef X

/* All of them; ends with NULL. */
extern const struct sal_corruption *const sal_corruption_list[];

/* The settings of severities 1..5. */
const double *sal_corruption_settings(const struct sal_corruption_way *way, int table);

/* ---- parameters ------------------------------------------------------------------ */

#define SAL_PARAM_TABLE                                                                  \
    {.name = "table",                                                                    \
     .type = SAL_PARAM_CHOICE,                                                           \
     .fallback = SAL_TABLE_CHEST,                                                        \
     .unit = "",                                                                         \
     .choices = sal_severity_table_names,                                                \
     .help = "of severities: MedMNIST-C's for chestmnist or pneumoniamnist, ImageNet-C's; " \
             "ours where they have none"}

#define SAL_PARAM_DRAWS                                                                  \
    SAL_PARAM_COUNT("draws", 0, 0, 10000,                                                \
                    "of random numbers at each severity; 0: by effort, 2, 40 or 280")

#define SAL_PARAM_SEVERITY                                                               \
    SAL_PARAM_COUNT("severity", 0, 0, SAL_SEVERITIES, "1 to 5; 0: one after the other")

#define SAL_PARAM_DRAWN \
    SAL_PARAM_EFFORT("how often random numbers are drawn and the least setting is bisected")

#define SAL_PARAM_SETTING(none, least, most, of, text)                                   \
    {.name = "setting",                                                                  \
     .type = SAL_PARAM_REAL,                                                             \
     .fallback = none,                                                                   \
     .min = least,                                                                       \
     .max = most,                                                                        \
     .unit = of,                                                                         \
     .help = text}

/* Of a corruption that draws nothing, and of one that does. Arguments: of
 * SAL_PARAM_SETTING. */
#define SAL_CORRUPTION_PARAMS(...) \
    {SAL_PARAM_SETTING(__VA_ARGS__), SAL_PARAM_SEVERITY, SAL_PARAM_TABLE, SAL_PARAM_DRAWN, {0}}
#define SAL_CORRUPTION_PARAMS_DRAWS(...)                                                     \
    {SAL_PARAM_SETTING(__VA_ARGS__), SAL_PARAM_SEVERITY, SAL_PARAM_TABLE, SAL_PARAM_DRAWN,  \
     SAL_PARAM_DRAWS, {0}}

/* ---- trying ---------------------------------------------------------------------- */

/* A picture to be made, and what was decided there. */
struct sal_attempt {
    const struct sal_corruption *kind;
    struct sal_alteration how;
    double *probabilities; /* [classes], where they go; NULL: not wanted */
    double score, f;       /* as in struct sal_trial */
    bool seen, reached;
    struct sal_distance distance;
};

/* Makes the pictures and looks at them, several at a time; *done of them were seen, all but
 * where it fails or is cancelled. */
enum sal_status sal_attempts_look(struct sal_search *search, struct sal_attempt *attempts, int n,
                                  int *done, struct sal_error *err);

/* Run of every corruption by itself. */
enum sal_status sal_corruption_run(struct sal_search *search, struct sal_error *err);

/* ---- what several have ----------------------------------------------------------- */

/* A picture turned about its middle by degrees (counter-clockwise as it is seen), enlarged by
 * zoom, then moved by that share of its width and height. Bilinear; beyond the edge is
 * what lies at the edge (MONAI's "border"). */
struct sal_place {
    double degrees, zoom, right, down;
};
void sal_canvas_place(const struct sal_canvas *canvas, struct sal_place place,
                      const float *from, float *to);

/* to = gain from + offset. */
void sal_canvas_linear(const struct sal_canvas *canvas, double gain, double offset,
                       const float *from, float *to);

/* to = from^exponent; what is below 0 stays. */
void sal_canvas_power(const struct sal_canvas *canvas, double exponent, const float *from,
                      float *to);

#endif
