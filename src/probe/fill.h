/*
 * What is put into a hole of a picture: as if nothing had ever been there.
 *
 * No filling knows what was in the hole: it is made of the rest of the picture, or of
 * nothing. So two pictures that differ inside of a hole alone are the same once it is filled.
 */
#ifndef SALISCOPE_PROBE_FILL_H
#define SALISCOPE_PROBE_FILL_H

#include "space.h"

/* mean: of the rest, plane by plane. black: 0. blur: what is around, through a Gaussian of
 * `sigma` pixels that reaches three times as far, the mean where that reaches nothing. noise:
 * each pixel uniform in the image's range. */
enum sal_fill_kind { SAL_FILL_MEAN, SAL_FILL_BLACK, SAL_FILL_BLUR, SAL_FILL_NOISE };
extern const char *const sal_fill_names[]; /* "mean" "black" "blur" "noise", NULL */

struct sal_fill {
    enum sal_fill_kind kind;
    double sigma; /* of blur, in pixels of the network's grid */
    uint64_t key; /* of noise (random.h) */
};

/* out [n] becomes the picture as given with every pixel of hole [pixels] filled. shown
 * [pixels]: which pixels the rest is made of, and may be filled; NULL: all. */
enum sal_status sal_fill_hole(const struct sal_space *space, const uint8_t *shown,
                              const uint8_t *hole, struct sal_fill fill, float *out,
                              struct sal_error *err);

#endif
