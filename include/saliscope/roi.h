/*
 * A region of interest: which pixels of an image somebody marked.
 *
 * Given as rectangles and as masks, images of the same size in which what is not black is
 * inside; several are a union. A mask is decoded in the sandbox like any image. Plain data
 * that owns `inside`; any thread.
 */
#ifndef SALISCOPE_ROI_H
#define SALISCOPE_ROI_H

#include <stdbool.h>
#include <stdint.h>

#include "saliscope/sandbox.h"
#include "saliscope/sidecar.h"
#include "saliscope/status.h"

struct sal_roi {
    int width, height; /* of the image */
    int64_t area;      /* pixels inside: at least one, and not all */
    uint8_t *inside;   /* [height][width], 1 inside, 0 outside */
    char sha256[65];   /* of `inside`, byte for byte: the same however it was given */
};

/* The union of n >= 1 parts, for an image of width x height. A part is "X,Y,W,H", a rectangle
 * in the image's own pixels, (0,0) its top left; else the path of a mask: a pixel is inside
 * where any of its colours is above 0 (and it is not wholly transparent). SAL_USAGE: a
 * rectangle that is none, or reaches beyond the image. SAL_BAD_INPUT: a mask of another size,
 * or one that marks nothing. SAL_USAGE too where all of the image is inside. */
enum sal_status sal_roi_read(struct sal_roi *roi, const char *const *parts, int n, int width,
                             int height, enum sal_sandbox_mode sandbox,
                             struct sal_error *err);
void sal_roi_release(struct sal_roi *roi);

/* Whether a part is, or was meant as, a rectangle: numbers and commas; else it is a path. */
bool sal_roi_is_rectangle(const char *part);

/* The region on the network's grid: mask [spec->height][spec->width], which must be set, 1
 * inside, 0 outside. Geometry is that of preprocessing (stretch, crop, pad), the filter is
 * not: a pixel of the grid is inside where the region covers at least half of the image's
 * area that it stands for. SAL_USAGE where that leaves nothing inside (cropped away, or
 * smaller than a pixel), or nothing outside of what the network sees of the image. */
enum sal_status sal_roi_place(const struct sal_roi *roi, const struct sal_preprocessing *spec,
                              uint8_t *mask, struct sal_error *err);

#endif
