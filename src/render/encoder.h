/*
 * What the encoders share; each lives in a file of its own.
 */
#ifndef SALISCOPE_RENDER_ENCODER_H
#define SALISCOPE_RENDER_ENCODER_H

#include "saliscope/cells.h"

/* One row of sal_encoders[] each. */
void sal_encode_half(const struct sal_picture *picture, enum sal_depth depth,
                     bool unicode, struct sal_cells *cells);
void sal_encode_space(const struct sal_picture *picture, enum sal_depth depth,
                      bool unicode, struct sal_cells *cells);
void sal_encode_ascii(const struct sal_picture *picture, enum sal_depth depth,
                      bool unicode, struct sal_cells *cells);

/* The pixel at x, y; beyond the right and lower edge the last one is repeated. */
const uint8_t *sal_picture_at(const struct sal_picture *picture, int x, int y);

/* The colour of the pixel at x, y as a cell holds it. With 16 colours an ordered
 * dither mixes the two nearest, so that greys and hues stay readable; it hangs on
 * the place, never on the neighbours, so that a redraw does not crawl. */
int sal_palette_pixel(enum sal_depth depth, const struct sal_picture *picture, int x,
                      int y);

/* The sRGB components of a palette index 0..255, as xterm has them. */
void sal_palette_rgb(int index, uint8_t rgb[3]);

/* Brightness 0..255 as ITU-R 601 weighs it. */
int sal_luma(const uint8_t rgb[3]);

#endif
