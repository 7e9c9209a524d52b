/*
 * How much Winograd's convolution rounds with certain weights.
 *
 * F(4,3)'s outputs are sums over the whole patch of a tile, in which what their own windows
 * do not see cancels, up to rounding. That is as good as the plain sum unless the patch
 * has something much larger than what the window has: an input channel whose weights are
 * hundreds of times the others', and that is not active everywhere. Outputs beside an
 * active place are then made of its rounding. F(2,3)'s outputs read their windows alone.
 *
 * It is measured where it would show: on two patches, in each every other input channel
 * active everywhere and the others in one place at the border, as after a Relu; at two
 * opposite corners of the tile; of 16 input and 16 output channels, half of them those
 * with the greatest weights, as far as one pair of channels in 32 shows them, the others
 * evenly spread over the rest. The same weights and table of kernels always give the same
 * error. It takes some 15 microseconds, 40 where there are 512 x 512 channels: less than
 * a hundredth of packing them and of a first forward.
 */
#ifndef SALISCOPE_ENGINE_WINOGRAD_ERROR_H
#define SALISCOPE_ENGINE_WINOGRAD_ERROR_H

#include "real.h"
#include "winograd.h"

/* Where it is more, the plain sum is worth its time: 2e-5 in float, eight times what that
 * itself rounds over 64 channels. Random and trained weights come to 2e-7 (F(2,3)) and
 * 2e-6 (F(4,3)); an input channel of 300 times the others' weights reaches it. See
 * docs/performance.md. */
#define SAL_WINOGRAD_ERROR_MAX (168 * (double)SAL_EPSILON)

/* The largest error of any output looked at, over the root of the sum of the squares of
 * the products that it is the sum of: the size that it has by chance. NAN or infinite where
 * there is no result. Of g only the tile and the numbers of channels count; arguments
 * are those of sal_winograd_pack. SAL_LIMIT: no memory. */
enum sal_status sal_winograd_error(const struct sal_winograd *g, const sal_loose *w,
                                   const sal_real *scale, bool flipped, double *error,
                                   struct sal_error *err);

#endif
