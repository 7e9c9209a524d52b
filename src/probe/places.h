/*
 * Where else in a picture a shape fits: what a region's effect is compared with.
 */
#ifndef SALISCOPE_PROBE_PLACES_H
#define SALISCOPE_PROBE_PLACES_H

#include "space.h"

struct sal_places {
    int n;
    int (*shift)[2]; /* [n]: rows down, columns to the right; no two alike, none (0, 0) */
    bool all;        /* there are no others */
    bool beside;     /* none of them touches the shape itself; else by half of it at most */
};

/* Up to `want` places for the shape [height][width], drawn without replacement of all whole
 * shifts that keep it on what is shown (NULL: everywhere) and off itself; where fewer than 19,
 * which no chance of 5 % can be told with, or than are wanted fit beside it, of those that
 * overlap it by half at most. The same places for the same key. */
enum sal_status sal_places_draw(struct sal_places *places, const uint8_t *shape,
                                const uint8_t *shown, int width, int height, int want,
                                uint64_t key, struct sal_error *err);
void sal_places_release(struct sal_places *places);

#endif
