/*
 * Vector kernels, one set per instruction set.
 *
 * Every lanes_*.c is compiled once per instruction set that the processor family
 * may have (SAL_ISA names it) and fills its part of a table; which table is used
 * is settled once, by what the processor can do. All tables compute the same
 * thing; bits may differ between them (fused multiply-adds), never between two
 * runs with the same one.
 *
 * Blocked layout: an activation of n images, c channels, h x w pixels lies as
 * [blocks of 16 channels][n][h][w][16]. Lanes past c hold something finite that
 * nobody looks at: weights are zero there.
 */
#ifndef SALISCOPE_ENGINE_LANES_H
#define SALISCOPE_ENGINE_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "saliscope/tensor.h"

enum {
    SAL_BLOCK = 16,       /* channels of a block */
    SAL_TILE_PIXELS = 14, /* most pixels of a tile in any table */
    SAL_TILE_BLOCKS = 2,  /* most output blocks of a tile in any table */
};

static inline int64_t sal_blocks(int64_t channels)
{
    return (channels + SAL_BLOCK - 1) / SAL_BLOCK;
}

/* One tile of a product: for every output pixel p and output channel k
 *
 *   out[p][k] = clamp(base[k] + add[p][k] + sum over blocks b, taps t, lanes q of
 *                     in[b][pixel p + taps[t]][q] * w[b][t][q][k])
 *
 * always summed in that order, whatever the tile's size: results do not depend on
 * how the pixels are cut. Strides are in elements. Output channels are `width`
 * blocks of 16; pixels lie in `rows` rows of `pixels` each. */
struct sal_tile {
    const sal_real *in;     /* first pixel of the first row, before taps are added */
    const ptrdiff_t *taps;  /* n_taps offsets */
    int n_taps;
    int blocks;             /* input blocks */
    int lanes;              /* lanes of the last block that count, 1..16 */
    ptrdiff_t in_block;     /* from block to block */
    ptrdiff_t in_row;       /* from row to row */
    const sal_real *w;      /* [blocks][n_taps][16][width * 16] */
    const sal_real *base;   /* width * 16; NULL: zeros */
    const sal_real *add;    /* laid out like out, may be out itself; NULL: nothing */
    sal_real *out;
    ptrdiff_t out_pixel, out_row, out_block;
    sal_real low, high;     /* the clamp; infinite where there is none */
    const sal_real *soon;   /* weights that the next tile reads; NULL: unknown */
};

/* A depthwise convolution of the planes of one block: height first, then width. Taps
 * outside of the plane that is read are left out. */
struct sal_depthwise {
    int64_t in[2], out[2];
    int64_t kernel[2], stride[2], dilation[2];
    int64_t pad[2];       /* at the beginning */
    const sal_real *w;    /* [kernel height][kernel width][16] */
    const sal_real *base; /* 16; NULL: zeros */
    sal_real low, high;   /* the clamp; infinite where there is none */
};

struct sal_planes;

struct sal_lanes {
    const char *name;
    int pixels; /* of a tile, at most */
    int width;  /* output blocks of a tile, at most */

    /* rows 1 or 2, width 1..width, rows * pixels <= pixels. Pixels of a row lie 16
     * elements apart and have 16 lanes each. */
    void (*tile)(const struct sal_tile *tile, int rows, int pixels, int width);

    /* The same for planar input: pixels lie 1 element apart, a "block" is a
     * single channel with one lane. */
    void (*planar)(const struct sal_tile *tile, int rows, int pixels, int width);

    /* Rows from..to-1 of the output plane y of a whole input plane x, each element
     * base and then its taps in their order. */
    void (*depthwise)(const struct sal_depthwise *d, const sal_real *x, sal_real *y,
                      int64_t from, int64_t to);

    /* The pull-back, of neither base nor clamp: adds to rows from..to-1 of the input
     * plane dx. dy begins with row `first` of its plane and has all that reach them. */
    void (*depthwise_back)(const struct sal_depthwise *d, const sal_real *dy,
                           int64_t first, sal_real *dx, int64_t from, int64_t to);

    /* y[i] = x[i] where mask[i] lies strictly between low and high, elsewhere 0. n is
     * a multiple of 16. */
    void (*mask)(const sal_real *x, const sal_real *mask, sal_real low, sal_real high,
                 sal_real *y, int64_t n);

    /* Rows from..to-1 of a pooled plane: the greatest under each window (NaN where
     * there is one, -infinity where there is nothing), and the average. */
    void (*max_pool)(const struct sal_planes *g, const sal_real *x, sal_real *y,
                     int64_t from, int64_t to);
    void (*average_pool)(const struct sal_planes *g, bool include_pad,
                         const sal_real *x, sal_real *y, int64_t from, int64_t to);

    /* The pull-backs, to rows from..to-1 of dx: to the first of equal maxima, and to
     * all alike. Other planes are whole. */
    void (*max_pool_back)(const struct sal_planes *g, const sal_real *x,
                          const sal_real *y, const sal_real *dy, sal_real *dx,
                          int64_t from, int64_t to);
    void (*average_pool_back)(const struct sal_planes *g, bool include_pad,
                              const sal_real *dy, sal_real *dx, int64_t from,
                              int64_t to);

    /* y[16] = the mean over n pixels x; x of n pixels += 16 values y. */
    void (*mean)(const sal_real *x, int64_t n, sal_real *y);
    void (*add_pixel)(sal_real *x, int64_t n, const sal_real *y);
};

/* The table in use. */
const struct sal_lanes *sal_lanes(void);

/* All tables that this build has, the best last; n of them. */
const struct sal_lanes *const *sal_lanes_all(int *n);

/* Whether this processor can run a table. */
bool sal_lanes_supported(const struct sal_lanes *lanes);

/* Uses another table from now on (NULL: the best again). For tests and benchmarks:
 * nothing that was packed for another table may be in use. */
void sal_lanes_use(const struct sal_lanes *lanes);

#endif
