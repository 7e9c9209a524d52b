#include "encoder.h"

enum { UPPER_HALF_BLOCK = 0x2580 };

void sal_encode_half(const struct sal_picture *picture, enum sal_depth depth,
                     bool unicode, struct sal_cells *cells)
{
    (void)unicode;
    struct sal_cell *cell = cells->cell;
    for (int y = 0; y < cells->rows; y++)
        for (int x = 0; x < cells->columns; x++)
            *cell++ = (struct sal_cell){
                .glyph = UPPER_HALF_BLOCK,
                .fg = sal_palette_pixel(depth, picture, x, 2 * y),
                .bg = sal_palette_pixel(depth, picture, x, 2 * y + 1),
            };
}
