/*
 * Convolutions of batches: what Conv and ConvTranspose share.
 *
 * A convolution makes images of group * k channels out of images of group * c. Its
 * pull-back is ConvTranspose, whose own gradient is the convolution again. Three ways,
 * chosen by shape alone: channel by channel where groups have one input channel, a
 * plain matrix product for windows of one, and im2col with a matrix product for the
 * rest. Tiles depend on neither batch nor threads.
 */
#ifndef SALISCOPE_ENGINE_CONVOLVE_H
#define SALISCOPE_ENGINE_CONVOLVE_H

#include "columns.h"

struct sal_convolution {
    struct sal_columns columns; /* input and output of one channel */
    int64_t n, group;
    int64_t c, k; /* input and output channels of one group */
    int64_t rows; /* c * taps */
    bool colours; /* few channels: sum over them first, tap by tap */
};

/* weight: K x C/group x taps, K = group * k. fitted, in and out as for columns. */
void sal_convolution_init(struct sal_convolution *g, const struct sal_window *fitted,
                          const int64_t *in, const int64_t *out, int64_t n,
                          int64_t group, const struct sal_shape *weight);

/* What there is in y before x is convolved into it. */
struct sal_convolution_base {
    bool kept;            /* what y holds */
    const sal_real *bias; /* or this, one for each output channel; NULL: zeros */
};

/* Input `w` fits input `x`: 3 to 5 axes each, channels as `group` asks. */
enum sal_status sal_convolve_check(const struct sal_infer *infer, int x, int w,
                                   int64_t group, struct sal_error *err);

/* y = base + w * x. k has pool and scratch, as for sal_convolve_scratch. */
void sal_convolve(const struct sal_kernel *k, const struct sal_convolution *g,
                  const sal_real *x, const sal_real *w,
                  struct sal_convolution_base base, sal_real *y);

/* x += w transposed * y */
void sal_convolve_back(const struct sal_kernel *k, const struct sal_convolution *g,
                       const sal_real *y, const sal_real *w, sal_real *x);

/* Reals that each thread needs. */
size_t sal_convolve_scratch(const struct sal_convolution *g, bool back);

/* Multiply-adds of either. */
double sal_convolve_macs(const struct sal_convolution *g);

/* The carry of both: space is kept, channels are new. */
void sal_convolve_carry(const struct sal_kernel *k, int input, int output,
                        struct sal_carry *carry);

#endif
