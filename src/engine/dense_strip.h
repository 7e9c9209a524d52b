/*
 * Strips of a dense convolution: the tiles of a few output blocks, one after another. For
 * the files that cut it into pieces.
 */
#ifndef SALISCOPE_ENGINE_DENSE_STRIP_H
#define SALISCOPE_ENGINE_DENSE_STRIP_H

#include "dense.h"

/* What all tiles of a strip of a class share. */
struct sal_strip {
    struct sal_tile tile;
    int width, pixels; /* blocks and pixels of a tile, the latter at most */
    int unit;          /* of sal_dense */
    const sal_real *soon, *soon_end; /* weights that are fetched ahead, of the next strip */
    void (*run)(const struct sal_tile *tile, int rows, int pixels, int width);
};

/* Reads the image. */
static inline bool sal_dense_is_image(const struct sal_dense *d)
{
    return d->planar && !d->back;
}

/* Everything but taps, steps and the places of its pixels. */
struct sal_strip sal_strip_of(const struct sal_dense *d, const struct sal_dense_class *class,
                              int index, const sal_real *packed,
                              const struct sal_target *target);

/* `pixels` in a row, or two, in tiles of about the same size. */
void sal_strip_row(struct sal_strip *s, int64_t pixels, int rows);

/* The activation (NULL: none) of a row that has just been written, its pixels side by
 * side. */
void sal_strip_finish(const struct sal_strip *s, sal_map *after, sal_real *row,
                      int64_t pixels);

#endif
