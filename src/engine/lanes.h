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
 * nobody looks at: weights are zero there. In gradients it may be anything.
 */
#ifndef SALISCOPE_ENGINE_LANES_H
#define SALISCOPE_ENGINE_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "saliscope/tensor.h"

enum {
    SAL_BLOCK = 16,       /* channels of a block */
    SAL_PAIRS = 8,        /* pairs of channels of a block */
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
    int lanes;              /* lanes of the last block that count, 1..16; of pairs 1..8 */
    ptrdiff_t in_block;     /* from block to block */
    ptrdiff_t in_row;       /* from row to row */
    const sal_real *w;      /* [blocks][n_taps][16][width * 16] */
    const sal_real *base;   /* width * 16; NULL: zeros */
    const sal_real *add;    /* laid out like out, may be out itself; NULL: nothing */
    sal_real *out;
    ptrdiff_t out_pixel, out_row, out_block;
    sal_real low, high;     /* the clamp; infinite where there is none */
    const sal_real *soon;   /* weights read soon: 16 reals are fetched ahead for each
                               channel and tap; NULL: none */
};

/* Products for a target of up to 4 channels, the source's lanes summed: for pixel p and
 * channel c
 *
 *   out[p][c] += sum over blocks b, taps t, lanes q of
 *                in[b][pixel p + taps[t]][q] * w[b][t][c][q]
 *
 * in an order that depends on none of the others. Strides are in elements. */
struct sal_dots {
    const sal_real *in;    /* first pixel, before taps are added; pixels lie 16 apart */
    const ptrdiff_t *taps; /* n_taps offsets */
    int n_taps, blocks, channels;
    ptrdiff_t in_block;
    const sal_real *w; /* [blocks][n_taps][channels][16] */
    sal_real *out;
    ptrdiff_t out_pixel, out_channel;
};

/* What a kernel reads: x, in the lanes whose bits are set, elsewhere 0; or x times the
 * slope. Both NULL: x. A gradient on its way back through a clamp or another activation,
 * whose forward left them. */
struct sal_source {
    const sal_real *x;
    const uint16_t *bits;  /* one number for a pixel, its lane 0 the lowest bit */
    const sal_real *slope; /* laid out like x */
};

/* The same from element `at` on, where a pixel begins. */
static inline struct sal_source sal_source_at(const struct sal_source *from, ptrdiff_t at)
{
    return (struct sal_source){from->x + at, from->bits ? from->bits + at / SAL_BLOCK : NULL,
                               from->slope ? from->slope + at : NULL};
}

/* clamp(x * scale[c] + shift[c]), scale and shift in whole blocks of channels: a
 * normalisation and its activation. */
struct sal_affine {
    const sal_real *scale, *shift;
    sal_real low, high;
};

/* A row's normalisation: y = (x - mean) * factor * scale + bias. */
struct sal_row_norm {
    sal_real mean, factor;
    sal_real slope; /* of the factor, along the sum of squares it is made of */
    bool centred;   /* the mean is the row's; else it is 0 and stays so */
    const sal_real *scale, *bias; /* [n]; NULL: 1, 0 */
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

/* y[i] = f(x[i]), y may be x; the same bits wherever an array is cut. */
typedef void sal_map(sal_real *y, const sal_real *x, int64_t n);

/* The same for n elements of whole pixels, and slope[i] = the derivative of f at x[i]. */
typedef void sal_map_slope(sal_real *y, sal_real *slope, const sal_real *x, int64_t n);

/* Lanes at..at+n-1 of a pixel: n values for each pixel, `step` elements apart. */
struct sal_segment {
    const sal_real *from;
    ptrdiff_t step; /* 16, or 0 where all pixels get the same */
    int at, n;
};

struct sal_planes;

/* Winograd's transforms take a row of n patches of one block of channels of one image,
 * `tile` pixels apart. A patch is tile + 2 pixels high and wide, transformed it has as
 * many positions, and gives tile x tile pixels. tile is 2 or 4. */

/* Outside of the image all is 0. */
struct sal_winograd_in {
    struct sal_source from; /* [h][w][16] */
    int64_t h, w;
    int64_t top, left; /* of the first patch */
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
    int64_t top, left; /* of the first tile in y; may be negative: it begins before y */
    sal_real *y;       /* [h][w][16] */
};

struct sal_lanes {
    const char *name;
    int pixels; /* of a tile, at most */
    int width;  /* output blocks of a tile, at most */

    /* rows 1 or 2, width 1..width, rows * pixels <= pixels. Pixels of a row lie 16
     * elements apart and have 16 lanes each. */
    void (*tile)(const struct sal_tile *tile, int rows, int pixels, int width);

    /* The same in bf16: where there is room for one real lie two neighbouring channels,
     * the even one in the lower half. Pixels lie 8 elements apart and have 8 pairs, w is
     * [blocks][n_taps][8][width * 16] pairs of weights. All else is reals, sums too; below
     * the least normal number they are 0. NULL: there is no kernel for it; sal_lanes_bf16
     * tells whether the processor can run the one there is. */
    void (*tile_bf16)(const struct sal_tile *tile, int rows, int pixels, int width);

    /* n times 16 reals, x_step elements apart, to 8 pairs each, to_step elements apart:
     * rounded to nearest, ties to even. */
    void (*to_bf16)(sal_real *to, ptrdiff_t to_step, const sal_real *x, ptrdiff_t x_step,
                    int64_t n);

    /* The same as tile for planar input: pixels lie 1 element apart and have one lane;
     * channels are taps. */
    void (*planar)(const struct sal_tile *tile, int rows, int pixels, int width);

    /* n pixels in a row */
    void (*dots)(const struct sal_dots *dots, int64_t n);

    /* to = what passes, of n pixels; to += that; and what a clamp lets pass back: a bit
     * is set where y lies strictly between low and high. */
    void (*pass)(sal_real *to, const struct sal_source *from, int64_t n);
    void (*add_passed)(sal_real *to, const struct sal_source *from, int64_t n);
    void (*mark)(uint16_t *bits, const sal_real *y, int64_t n, sal_real low,
                 sal_real high);

    /* n pixels of a block: to = affine of x, its first 16 channels. */
    void (*affine)(sal_real *to, const sal_real *x, const struct sal_affine *affine,
                   size_t n);

    /* dx += its gradient: dy * scale where the affine of x is not clamped. */
    void (*affine_back)(sal_real *dx, const sal_real *dy, const sal_real *x,
                        const struct sal_affine *affine, size_t n);

    /* y = x kept within low..high, NaN too, and its pull-back: dx += dy where x lies
     * within them; bounds included, but for the lower one where it is open. Any n. */
    void (*clamp)(const sal_real *x, int64_t n, sal_real low, sal_real high,
                  sal_real *y);
    void (*clamp_back)(const sal_real *x, const sal_real *dy, int64_t n, sal_real low,
                       sal_real high, bool open, sal_real *dx);

    /* gelu by the normal distribution, not by tanh; swish with an alpha of 1. Accuracy:
     * lanes_functions.h. */
    sal_map *exp, *erf, *tanh, *sigmoid, *gelu, *gelu_slope, *swish, *hard_swish;
    sal_map_slope *sigmoid_and_slope, *swish_and_slope, *hard_swish_and_slope;

    /* Of one row, n > 0: y = softmax(scale * x), scale > 0, y may be x; dx += its
     * pull-back of dy for a scale of 1, or d, which is dy, becomes that. */
    void (*softmax)(sal_real *y, const sal_real *x, int64_t n, sal_real scale);
    void (*softmax_gradient)(sal_real *dx, const sal_real *y, const sal_real *dy,
                             int64_t n);
    void (*softmax_pull)(sal_real *d, const sal_real *y, int64_t n);

    /* Of one row, n > 0: its mean (0 unless centred) and the sum of squares around it;
     * its normalisation; dx += the pull-back, through mean and factor too. */
    void (*moments)(const sal_real *x, int64_t n, bool centred, sal_real *mean,
                    sal_real *squares);
    void (*normalise)(sal_real *y, const sal_real *x, int64_t n,
                      const struct sal_row_norm *norm);
    void (*normalise_gradient)(sal_real *dx, const sal_real *x, const sal_real *dy,
                               int64_t n, const struct sal_row_norm *norm);

    /* Rows from..to-1 of the output plane y of a whole input plane x, each element
     * base and then its taps in their order. */
    void (*depthwise)(const struct sal_depthwise *d, const sal_real *x, sal_real *y,
                      int64_t from, int64_t to);

    /* The pull-back, of neither base nor clamp: writes, or adds to, rows from..to-1 of
     * the input plane dx. dy begins with row `first` of its plane and has all that reach
     * them. */
    void (*depthwise_back)(const struct sal_depthwise *d, const sal_real *dy,
                           int64_t first, bool adds, sal_real *dx, int64_t from,
                           int64_t to);

    /* Rows from..to-1 of a pooled plane: the greatest under each window (NaN where
     * there is one, -infinity where there is nothing), and the average. taps, laid out
     * like y: which of the up to 256 taps that lie in the plane it is, the first of equal
     * ones, the last NaN; NULL: not wanted. */
    void (*max_pool)(const struct sal_planes *g, const sal_real *x, sal_real *y,
                     uint8_t *taps, int64_t from, int64_t to);
    void (*average_pool)(const struct sal_planes *g, bool include_pad,
                         const sal_real *x, sal_real *y, int64_t from, int64_t to);

    /* The pull-backs, added to rows from..to-1 of dx: to those taps, and to all alike.
     * Other planes are whole. */
    void (*max_pool_back)(const struct sal_planes *g, const uint8_t *taps,
                          const sal_real *dy, sal_real *dx, int64_t from, int64_t to);
    void (*average_pool_back)(const struct sal_planes *g, bool include_pad,
                              const sal_real *dy, sal_real *dx, int64_t from,
                              int64_t to);

    /* With 16 values y for all of n pixels: y = the sum of x * times (NULL: of x);
     * x += y; x += times * y. */
    void (*sum_pixels)(const sal_real *x, const sal_real *times, int64_t n,
                       sal_real *y);
    void (*add_pixel)(sal_real *x, int64_t n, const sal_real *y);
    void (*add_scaled)(sal_real *x, const sal_real *times, int64_t n, const sal_real *y);

    /* to[at[j] + i] = from[i * step + j] * scale[i] (NULL: 1) for i, j < 16: a square of
     * weights turned. */
    void (*turn)(const sal_loose *from, ptrdiff_t step, const sal_real *scale,
                 sal_real *to, const ptrdiff_t *at);

    /* Winograd's transform of 3 x 3 weights [3][3][16], 16 pairs of channels at once:
     * the one at position (i, j) of side x side is scale times the sum of rows[i][a]
     * rows[j][b] taps[a][b], `position` elements from the one before. */
    void (*winograd_weights)(const sal_real *taps, const sal_real *scale,
                             const double *rows, int side, sal_real *to,
                             ptrdiff_t position);

    void (*winograd_in)(const struct sal_winograd_in *patches);
    void (*winograd_out)(const struct sal_winograd_out *tiles);

    /* n pixels y made of segments, in the order of their lanes, that fill all 16. Past
     * a segment's values but the last pixel's there are more, which are not used. */
    void (*join)(const struct sal_segment *segments, int n_segments, int64_t n,
                 sal_real *y);

    /* Adds segments to n pixels dx, whose other lanes stay. Beside a segment's values
     * but the first and the last pixel's there are others, which are not used. */
    void (*join_back)(const struct sal_segment *segments, int n_segments, int64_t n,
                      sal_real *dx);
};

/* The table in use. */
const struct sal_lanes *sal_lanes(void);

/* All tables that this build has, the best last; n of them. */
const struct sal_lanes *const *sal_lanes_all(int *n);

/* Whether this processor can run a table. */
bool sal_lanes_supported(const struct sal_lanes *lanes);

/* Whether this processor can run a table's kernels for bf16, if it has some. */
bool sal_lanes_bf16(const struct sal_lanes *lanes);

/* Uses another table from now on (NULL: the best again). For tests and benchmarks:
 * nothing that was packed for another table may be in use. */
void sal_lanes_use(const struct sal_lanes *lanes);

#endif
