/*
 * Separable resizing of one channel, to the letter of OpenCV or Pillow.
 *
 * Each library is a function that fills two axes and an arithmetic; sal_resize
 * does the sums. Values are levels 0..levels, whole numbers before resizing. All
 * sums are in double, in which the fixed-point sums of both libraries are exact.
 */
#ifndef IO_RESIZE_H
#define IO_RESIZE_H

#include <stdbool.h>
#include <stddef.h>

#include "saliscope/image.h"
#include "saliscope/sidecar.h"

enum { SAL_LUMA = -1 }; /* instead of a channel: grey of all three */

struct sal_resize {
    const struct sal_image *image;
    int channel;       /* 0..2, or SAL_LUMA */
    unsigned levels;   /* the level of white */
    enum sal_filter filter;
    bool round;        /* the result is rounded to levels */
    struct { double at, extent; } src_x, src_y; /* in image pixels */
    int dst_width, dst_height;
    ptrdiff_t dst_stride; /* floats from row to row */
    float *dst;
};

/* Output i of an axis is the sum over its taps t of weight[i * taps + t] times
 * input index[i * taps + t]. Indices stay inside the input; the non-zero ones of
 * one output lie within `taps` of each other. */
struct sal_axis {
    int size, taps;
    int *index;
    double *weight;
};

enum sal_status sal_axis_init(struct sal_axis *axis, int size, double taps,
                              struct sal_error *err);
void sal_axis_release(struct sal_axis *axis);

/* Rounds weights to multiples of 1/unit and scales them by it. */
void sal_axis_scale(struct sal_axis *axis, double unit);

struct sal_arithmetic {
    double (*between)(double sum, double levels); /* after the rows; NULL: as is */
    double (*times)(double weight, double value); /* down the columns; NULL: product */
    double (*finish)(double sum, double levels);  /* at the end; NULL: as is */
};

/* What a library's filters come down to. */
typedef enum sal_status sal_resizer(const struct sal_resize *resize, struct sal_axis *x,
                                    struct sal_axis *y, struct sal_arithmetic *arithmetic,
                                    struct sal_error *err);
sal_resizer sal_resizer_opencv; /* without antialias */
sal_resizer sal_resizer_pillow; /* with it */

enum sal_status sal_resize(const struct sal_resize *resize, sal_resizer *resizer,
                           struct sal_error *err);

/* To the nearest level, ties to even, within 0..levels. */
double sal_to_level(double value, double levels);

#endif
