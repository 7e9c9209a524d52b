/*
 * A map laid over an image.
 *
 * Everything is plain arrays: 8-bit RGB pictures and float maps of the same
 * size. The range drawn is explicit, so that two maps can be compared and a
 * colour bar can carry its numbers. No state, any thread.
 */
#ifndef SALISCOPE_OVERLAY_H
#define SALISCOPE_OVERLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "saliscope/colormap.h"
#include "saliscope/image.h"
#include "saliscope/status.h"

struct sal_picture {
    int width, height;
    uint8_t *rgb; /* [height][width][3], owned */
};

void sal_picture_release(struct sal_picture *picture);
enum sal_status sal_picture_init(struct sal_picture *picture, int width, int height,
                                 struct sal_error *err);

/* The image as a person sees it: stored 0..max onto 0..255, grey to RGB, alpha
 * over black; area-averaged down or bilinearly up onto width x height. */
enum sal_status sal_picture_from_image(struct sal_picture *picture,
                                       const struct sal_image *image, int width,
                                       int height, struct sal_error *err);

enum sal_range_mode {
    SAL_RANGE_AUTO,      /* MAP; who knows how a map was made may choose for it */
    SAL_RANGE_MAP,       /* 0 (or the minimum, if negative and signed) .. maximum */
    SAL_RANGE_SYMMETRIC, /* -m..m with m the largest magnitude */
    SAL_RANGE_PERCENTILE, /* as MAP, but no farther from 0 than given.high percent of the
                             values are; where that is 0, as MAP */
    SAL_RANGE_FIXED,
};

struct sal_range {
    double low, high;
};

/* The range a map of n values is drawn in, by mode; best for unsigned maps is MAP,
 * for signed ones SYMMETRIC. Zero is always inside, except that FIXED returns
 * given. Values that are not finite are passed over. Equal ends mean a blank
 * map. */
struct sal_range sal_range_of(const float *values, long n, bool is_signed,
                              enum sal_range_mode mode, struct sal_range given);

/* The share of n values above the range, 0..1, and below it; NAN is neither. */
double sal_range_above(const float *values, long n, struct sal_range range);
double sal_range_below(const float *values, long n, struct sal_range range);

struct sal_overlay {
    const struct sal_colormap *colormap;
    struct sal_range range;
    double alpha;      /* 0..1: opacity of the map */
    bool alpha_by_value; /* opacity grows with |value|: low values show the image */
    double contour;    /* > 0: draw a line around the top `contour` percent */
};

/* Draws values [picture->height][picture->width] over the picture, in place. A
 * diverging colour map keeps zero in its middle and one scale on both sides,
 * whatever the range. A blank map has the lowest colour (diverging: the middle).
 * NAN leaves the image as it is. The contour goes by value, not magnitude: a white
 * pixel inside, a black one outside, none around a map without highest values. */
void sal_overlay_draw(const struct sal_overlay *overlay, struct sal_picture *picture,
                      const float *values);

#endif
