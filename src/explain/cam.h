/*
 * What class activation maps have in common.
 *
 * With A the layer's activations (C x h x w; of a transformer its grid of tokens,
 * without class tokens) and G = d score / d A, a method gives each position of the
 * layer a value. The grid of these is enlarged to the input, bilinear with half-pixel
 * centres. Nothing is normalised: values keep their unit.
 */
#ifndef SALISCOPE_EXPLAIN_CAM_H
#define SALISCOPE_EXPLAIN_CAM_H

#include "methods.h"

struct sal_cam;
struct sal_sweep;

/* A layer after the passes. */
struct sal_cam_view {
    const struct sal_cam *cam;
    const struct sal_question *question;
    const struct sal_layer *layer;
    int64_t pixels;            /* height * width of the layer */
    const sal_real *activation; /* as the layer lies */
    const sal_real *gradient;   /* NULL where the method needs none */
};

/* One row per method. */
struct sal_cam {
    const struct sal_param *params; /* `evidence` is among them */
    bool gradient;                  /* wants G */
    const char *unit;               /* NULL: the score's */
    const char *blank; /* the note of a map without a positive value; may be NULL */

    /* Fills grid[pixels], which holds zeros. A note it leaves stays. */
    enum sal_status (*draw)(const struct sal_cam_view *view, double *grid,
                            struct sal_map *map, struct sal_error *err);

    /* For sal_cam_weigh: the weight of a channel from its n activations and gradients,
     * or, where that is NULL, the weight of a position from its gradient. */
    double (*of_channel)(const double *a, const double *g, int64_t n);
    double (*of_position)(double g);
};

/* What most have for params: `evidence` alone. */
extern const struct sal_param sal_cam_params[];

/* The run of a method: passes, draw, ReLU unless evidence=both, enlarging. */
enum sal_status sal_cam_explain(const struct sal_cam *cam,
                                const struct sal_question *question,
                                struct sal_map *map, struct sal_error *err);

/* The map of a grid that is not all there, for the preview of a sweep in a draw: map's note and
 * checks are set. */
enum sal_status sal_cam_preview(const struct sal_cam_view *view, const double *grid,
                                struct sal_map *map, struct sal_error *err);

/* For a draw that changes the layer: runs the sweep, whose input 0 is what the others are
 * compared with, from the view's layer on. Stopped with more than that it is SAL_OK; then
 * sweep->done - 1 of the others are there. */
enum sal_status sal_cam_sweep(const struct sal_cam_view *view, struct sal_sweep *sweep,
                              struct sal_map *map, struct sal_error *err);

/* A draw: the sum over channels of weight times activation. */
enum sal_status sal_cam_weigh(const struct sal_cam_view *view, double *grid,
                              struct sal_map *map, struct sal_error *err);

/* Channel k of values that lie as the layer does, row by row into plane[pixels]. */
void sal_cam_channel(const struct sal_cam_view *view, const sal_real *values, int64_t k,
                     double *plane);

/* Whether a map has negative values too: the parameter of every CAM, in its words. */
extern const char *const sal_cam_evidence[];
#define SAL_CAM_EVIDENCE(text)                                                         \
    {.name = "evidence",                                                               \
     .type = SAL_PARAM_CHOICE,                                                         \
     .fallback = 0,                                                                    \
     .unit = "",                                                                       \
     .choices = sal_cam_evidence,                                                      \
     .help = text}

#endif
