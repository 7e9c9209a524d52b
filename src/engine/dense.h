/*
 * Dense convolutions on blocked activations, and the gradients of their inputs.
 *
 * Both are one thing: every target position (i, j) of a class adds up source
 * positions (i * step + tap), weighed. A forward has one class of all positions. The
 * gradient of a strided convolution has a class per residue of the position, each
 * with the taps that reach it; its positions lie `spread` apart. Groups read only the
 * blocks they touch. Where the image is the source, it is planar; where it is the
 * target, sums run along the lanes of the source instead: few channels do not fill
 * vectors of their own.
 *
 * Sources are gathered piece by piece into a window that stays in the second-level
 * cache, padded, with the columns of each residue side by side; pointwise ones are
 * read where they lie. Each element is summed in one order however the work is cut.
 */
#ifndef SALISCOPE_ENGINE_DENSE_H
#define SALISCOPE_ENGINE_DENSE_H

#include "saliscope/arena.h"
#include "target.h"
#include "window.h"

/* A two-dimensional convolution as a node says it, pads made explicit. */
struct sal_conv_geometry {
    int64_t n, c, k, group;
    int64_t in[2], out[2];
    int64_t kernel[2], stride[2], dilation[2], pad[2]; /* pad: top, left */
};

struct sal_dense_tap {
    int64_t y, x; /* beside the position's own place in the source */
    int at;       /* index into the kernel */
};

/* Target positions y + i * spread[0], x + j * spread[1]. */
struct sal_dense_class {
    int64_t y, x, rows, columns;
    int n_taps;
    struct sal_dense_tap *taps;
    ptrdiff_t *offsets; /* of taps in the window */
    size_t *weights;    /* per strip: where its packed weights begin */
};

/* Output blocks computed together, and the input blocks they read. */
struct sal_dense_strip {
    int64_t block, from, to;
    int width;
};

struct sal_dense {
    struct sal_conv_geometry g;
    bool back;         /* the gradient of the input */
    bool planar;       /* source or, backwards, target is plain and has few channels */
    bool bf16;         /* window and weights are pairs in bf16; forwards only, not planar */
    int unit;          /* elements of a pixel in the window, and steps of a block */
    int64_t n, c, h, w; /* source */
    int64_t k, out_h, out_w; /* target */
    int64_t step[2], spread[2];
    int64_t low[2], high[2]; /* least and greatest tap */
    bool flat;         /* pointwise: no rows, no window unless masked */
    struct sal_dense_class *classes;
    int n_classes;
    struct sal_dense_strip *strips;
    int n_strips;
    size_t packed;     /* reals of packed weights */
    int64_t parity;    /* pixels of one residue in a row of the window */
    ptrdiff_t row, plane; /* strides of the window, in elements */
    int64_t rows;      /* target rows (flat: pixels) of a piece */
};

/* Fills d for the table of lanes in use; arrays lie in arena. SAL_LIMIT: no memory. */
enum sal_status sal_dense_init(struct sal_dense *d, const struct sal_conv_geometry *g,
                               bool planar, bool back, struct sal_arena *arena,
                               struct sal_error *err);

/* The same for a forward in bf16, of blocked activations, where sal_lanes_bf16. Source
 * and target are reals all the same. */
enum sal_status sal_dense_init_bf16(struct sal_dense *d, const struct sal_conv_geometry *g,
                                    struct sal_arena *arena, struct sal_error *err);

/* w: [k][c / group][kernel], scale: per forward output channel or NULL. */
void sal_dense_pack(const struct sal_dense *d, const sal_loose *w, const sal_real *scale,
                    sal_real *packed, struct sal_pool *pool);

/* Reals of scratch per thread; `before`: whether something is. */
size_t sal_dense_scratch(const struct sal_dense *d, bool before);

/* What a forward reads goes through `before` first, and what a backward makes is pulled
 * back through it, to what x it was computed from; NULL: nothing is before. */
struct sal_dense_before {
    struct sal_affine affine;
    const sal_real *x; /* backwards only, laid out like the target */
};

/* target->add is laid out like its y. A planar target adds to y, base and clamp are
 * not looked at; nor are they, nor add, where a backward has something before it: that
 * adds to y too. */
void sal_dense_run(const struct sal_dense *d, const struct sal_source *source,
                   const struct sal_dense_before *before, const sal_real *packed,
                   const struct sal_target *target, struct sal_pool *pool,
                   sal_real *scratch, size_t scratch_stride);

#endif
