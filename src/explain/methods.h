/*
 * For the files that implement methods.
 */
#ifndef SALISCOPE_EXPLAIN_METHODS_H
#define SALISCOPE_EXPLAIN_METHODS_H

#include "saliscope/explain.h"

/* One row per method: the first is the default. */
#define SAL_METHODS(X) \
    X(gradcam) X(gradcam_plusplus) X(hirescam) X(layercam) X(xgradcam) \
    X(eigencam) X(eigengradcam) X(scorecam)

#define X(name) extern const struct sal_method sal_method_##name;
SAL_METHODS(X)
#undef X

/* Gives a map its arrays (of zeros) and sizes; everything else is kept. */
enum sal_status sal_map_init(struct sal_map *map, int width, int height,
                             int grid_width, int grid_height, struct sal_error *err);

#endif
