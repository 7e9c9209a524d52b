/*
 * What the overlay, its contour and the colour bar of a figure agree on.
 */
#ifndef SALISCOPE_RENDER_OVERLAY_DRAW_H
#define SALISCOPE_RENDER_OVERLAY_DRAW_H

#include "saliscope/overlay.h"

/* Where in the colour map a value lies, 0..1. A diverging map keeps zero in its
 * middle and one scale on both sides, whatever the range. In a blank range every
 * value is the lowest, or zero. NAN stays NAN. */
double sal_overlay_position(const struct sal_colormap *map, struct sal_range range,
                            double value);

/* The value at and above which the top `percent` of n values lie; at least one
 * does. Where so many are tied at the minimum that it would be among them, the
 * next float above. NAN counts nowhere; NAN when nothing counts. */
float sal_contour_threshold(const float *values, long n, double percent);

/* A line around the top percent: one white pixel inside it, one black outside, so
 * that it shows on any ground. */
void sal_contour_draw(struct sal_picture *picture, const float *values,
                      double percent);

#endif
