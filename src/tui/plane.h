/*
 * A map's values on the pixels of a small picture of the image. No state, any thread.
 */
#ifndef SALISCOPE_TUI_PLANE_H
#define SALISCOPE_TUI_PLANE_H

#include "saliscope/explain.h"
#include "saliscope/image.h"
#include "saliscope/sidecar.h"

/* The method's own grid blown up to the map's size, each cell one flat square; free() it.
 * NULL: no memory. */
float *sal_plane_flat(const struct sal_map *map);

/* values [map height][map width] laid over the image as the preprocessing cut it out, at
 * the size of a picture of the whole image: [height][width], averages where that is the
 * coarser one; free() it. NULL: no memory. */
float *sal_plane_over(const struct sal_map *map, const float *values,
                      const struct sal_image *image,
                      const struct sal_preprocessing *preprocessing, int width,
                      int height);

#endif
