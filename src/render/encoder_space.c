#include "encoder.h"

void sal_encode_space(const struct sal_picture *picture, enum sal_depth depth,
                      bool unicode, struct sal_cells *cells)
{
    (void)unicode;
    struct sal_cell *cell = cells->cell;
    for (int y = 0; y < cells->rows; y++)
        for (int x = 0; x < cells->columns; x++)
            *cell++ = (struct sal_cell){
                .glyph = ' ',
                .fg = SAL_CELL_DEFAULT,
                .bg = sal_palette_pixel(depth, picture, x, y),
            };
}
