/*
 * Winograd's convolution: 3x3 windows, stride 1, dilation 1, one group, in blocked
 * layout, by F(2,3) or F(4,3).
 *
 * 2 x 2 or 4 x 4 outputs at once are y = A^T ((G w G^T) * (B^T x B)) A: 16 products
 * where plainly there are 36, or 36 for 144. Rows of B^T and G and columns of A^T belong
 * to the points at which polynomials are evaluated: 0, +-1 and infinity for F(2,3), those
 * of winograd_points.h for F(4,3). G w G^T is packed once, summed in double; the sum over
 * channels is the table's tile (lanes.h), one product of matrices per position.
 *
 * An element's arithmetic depends on nothing but the shape of the image: results are
 * the same bits for any batch and any number of threads. An input that is not finite
 * spoils the outputs of its whole tile.
 */
#ifndef SALISCOPE_ENGINE_WINOGRAD_H
#define SALISCOPE_ENGINE_WINOGRAD_H

#include "target.h"

struct sal_winograd {
    struct sal_blocked in;
    int64_t k;                 /* output channels */
    int64_t pad_top, pad_left; /* zeros; bottom and right follow from the output */
    int64_t out_h, out_w;
    int tile; /* outputs per side of a tile, 2 or 4 */
};

/* Reals of packed weights, 16/9 (F(2,3)) or 4 times what lies in the model. They serve
 * any batch and size of image, and the table in use (sal_lanes) alone. */
size_t sal_winograd_packed(const struct sal_winograd *g);

/* Packs w, [K][C][3][3]. `scale` is one factor per forward output channel, NULL: none.
 * flipped: for the gradient of the input of a convolution with these weights: g->in.c
 * is that one's K, g->k its C, and w and scale are laid out as they are there. */
void sal_winograd_pack(const struct sal_winograd *g, const sal_loose *w,
                       const sal_real *scale, bool flipped, sal_real *packed,
                       struct sal_pool *pool);

/* Reals of scratch per thread: about 28 patches of all channels, 4 MiB at most unless
 * there are very many. */
size_t sal_winograd_scratch(const struct sal_winograd *g, int threads);

/* scratch: as many times that as the pool has threads, one behind the other. */
void sal_winograd_run(const struct sal_winograd *g, const struct sal_source *from,
                      const sal_real *packed, const struct sal_target *to,
                      struct sal_pool *pool, sal_real *scratch, size_t scratch_stride);

/* The same for boxes (boxes.h): what may have changed of each image of a batch, by the
 * tiles of the whole map's grid that reach into it, hence the same bits. g is for a whole
 * map, its in.n is not looked at; to->add is NULL or laid out like k->to, its y is not looked
 * at. False: no memory. */
struct sal_field;
struct sal_region_kernel;
size_t sal_winograd_boxes_scratch(const struct sal_winograd *g);
bool sal_winograd_boxes_run(const struct sal_winograd *g, const struct sal_field *in,
                            const sal_real *packed, const struct sal_target *to,
                            const struct sal_region_kernel *k);

#endif
