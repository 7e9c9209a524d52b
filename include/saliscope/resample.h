/*
 * From an image to the network's pixel grid.
 *
 * The filter alone can flip a diagnosis, so every filter here is the named
 * library's: without antialias OpenCV's nearest, linear, cubic (a = -0.75), area
 * and Lanczos-4; with antialias Pillow's, whose support grows when shrinking
 * (cubic a = -0.5, Lanczos-3). Rounded 8-bit results are theirs level for level,
 * but for OpenCV's cubic, which may differ by one, and for Pillow from 13 on, which
 * may begin with the columns. No state, any thread.
 */
#ifndef SALISCOPE_RESAMPLE_H
#define SALISCOPE_RESAMPLE_H

#include "saliscope/image.h"
#include "saliscope/sidecar.h"

/* Where the network's grid lies in the image: the box (in image pixels) that is
 * stretched onto the box (in network pixels). Fit crop cuts the source, fit pad
 * leaves part of the target empty. */
struct sal_placement {
    double src_x, src_y, src_width, src_height;
    int dst_x, dst_y, dst_width, dst_height;
};

struct sal_placement sal_placement_of(int image_width, int image_height,
                                      int width, int height, enum sal_fit fit);

/* Resamples onto planes[channel][height][width] in levels 0..*white (whole numbers
 * where spec->round is set, so that nothing is lost before normalisation; overshoot
 * of cubic and Lanczos is cut off), channels in the order of spec->channels; alpha is composed over black. colour becomes
 * grey by ITU-R 601 (0.299 R + 0.587 G + 0.114 B), grey becomes colour by
 * copying. spec->width and height must be set. planes: 1 or 3 * height * width
 * floats. */
enum sal_status sal_image_resample(const struct sal_image *image,
                                   const struct sal_preprocessing *spec,
                                   float *planes, unsigned *white,
                                   struct sal_error *err);

/* Bilinear, half-pixel centres, clamped edge (align_corners=False): one plane
 * [h][w] onto [height][width]. For maps. */
void sal_plane_upsample(const float *plane, int h, int w, float *out, int height,
                        int width);

/* A plane on the network's grid, laid over the image it came from: out
 * [image_height][image_width]; outside the placement 0. */
void sal_plane_to_image(const float *plane, int height, int width,
                        const struct sal_placement *placement, float *out,
                        int image_height, int image_width);

#endif
