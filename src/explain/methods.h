/*
 * For the files that implement methods.
 */
#ifndef SALISCOPE_EXPLAIN_METHODS_H
#define SALISCOPE_EXPLAIN_METHODS_H

#include "saliscope/explain.h"

/* One row per method: the first is the default. */
#define SAL_METHODS(X) \
    X(gradcam)         \
    X(gradcam_plusplus) \
    X(hirescam)        \
    X(layercam)        \
    X(xgradcam)        \
    X(eigencam)        \
    X(eigengradcam)    \
    X(scorecam)        \
    X(ablationcam)     \
    X(reciprocam)      \
    X(rollout)         \
    X(gradient)        \
    X(inputxgradient)  \
    X(ig)              \
    X(blurig)          \
    X(guidedig)        \
    X(guidedbackprop)  \
    X(deconvnet)       \
    X(guidedgradcam)   \
    X(deeplift)        \
    X(lrp)             \
    X(smoothgrad)      \
    X(vargrad)         \
    X(gradientshap)    \
    X(occlusion)       \
    X(rise)            \
    X(kernelshap)      \
    X(lime)

#define X(name) extern const struct sal_method sal_method_##name;
SAL_METHODS(X)
#undef X

/* Gives a map its arrays (of zeros) and sizes; everything else is kept. */
enum sal_status sal_map_init(struct sal_map *map, int width, int height,
                             int grid_width, int grid_height, struct sal_error *err);

/* The map whose values are by_channel summed over channels, its own grid the input's.
 * values: elements of one input, in the input's layout, times scale. */
enum sal_status sal_map_from_input(struct sal_map *map, const struct sal_model *model,
                                   const double *values, double scale,
                                   struct sal_error *err);

/* Adds a check; texts are static. */
void sal_map_check(struct sal_map *map, const char *name, const char *title, double value,
                   const char *unit);

/* The run in which all layers of the question's image can be read, and their gradients if
 * these are wanted; passes that it took are counted in map. *run is NULL where there is none:
 * no taps, or no memory or no gradient for all layers at once. */
enum sal_status sal_taps_pass(const struct sal_question *question, bool gradient,
                              struct sal_map *map, struct sal_run **run,
                              struct sal_error *err);

/* "logit per unit input" and the like for what is explained. */
enum sal_unit { SAL_UNIT_SCORE, SAL_UNIT_SLOPE, SAL_UNIT_SLOPE_SQUARED };
const char *sal_unit_name(const struct sal_model *model, enum sal_unit unit);

#endif
