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

/* Winograd's transforms take a row of n patches of one block of channels of one image,
 * `tile` pixels apart. A patch is tile + 2 pixels high and wide, transformed it has as
 * many positions, and gives tile x tile pixels. tile is 2 or 4. */

/* Reads x where mask (laid out like x; NULL: everywhere) lies strictly between low and
 * high, else 0, as outside of the image. */
struct sal_winograd_in {
    const sal_real *x, *mask; /* [h][w][16] */
    sal_real low, high;
    int64_t h, w;
    int64_t top, left; /* of the first patch in x */
    int tile, n;
    sal_real *v;        /* patches 16 elements apart */
    ptrdiff_t position; /* from position to position */
};

/* Writes clamp(base + add + result), as far as it lies in the image. */
struct sal_winograd_out {
    const sal_real *v; /* [n][positions][16] */
    int tile, n;
    const sal_real *base; /* 16; NULL: zeros */
    const sal_real *add;  /* [h][w][16], may be y; NULL: nothing */
    sal_real low, high;
    int64_t h, w;
    int64_t top, left; /* of the first tile in y */
    sal_real *y;       /* [h][w][16] */
};

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

    void (*winograd_in)(const struct sal_winograd_in *patches);
    void (*winograd_out)(const struct sal_winograd_out *tiles);
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
