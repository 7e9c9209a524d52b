/*
 * Colour maps: a table of 256 sRGB colours each. One array, one row each.
 * No state, any thread.
 */
#ifndef SALISCOPE_COLORMAP_H
#define SALISCOPE_COLORMAP_H

#include <stdbool.h>
#include <stdint.h>

struct sal_colormap {
    const char *name;  /* "viridis"; NULL ends the table */
    const char *title; /* what it is good for, with its source */
    bool diverging;    /* the middle means zero */
    const uint8_t (*rgb)[3]; /* [256] */
};

/* The first sequential row is the default for unsigned maps, the first diverging
 * row for signed ones. */
extern const struct sal_colormap sal_colormaps[];

/* Upper and lower case are the same; NULL where there is none. */
const struct sal_colormap *sal_colormap_find(const char *name);
const struct sal_colormap *sal_colormap_default(bool is_signed);

/* t in 0..1 (clamped; NAN gives mid grey). */
void sal_colormap_at(const struct sal_colormap *map, double t, uint8_t rgb[3]);

#endif
