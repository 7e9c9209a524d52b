#include "encoder.h"

/* By the share of ink in common fixed fonts. Equal steps of brightness rather than
 * equal steps of ink: ink alone would leave three glyphs for the darker half. */
static const char ramp[] = " .,:!+xoX#@";

enum { LEVELS = sizeof(ramp) - 1 };

void sal_encode_ascii(const struct sal_picture *picture, enum sal_depth depth,
                      bool unicode, struct sal_cells *cells)
{
    (void)depth;
    (void)unicode;
    struct sal_cell *cell = cells->cell;
    for (int y = 0; y < cells->rows; y++)
        for (int x = 0; x < cells->columns; x++) {
            int luma = sal_luma(sal_picture_at(picture, x, y));
            *cell++ = (struct sal_cell){
                .glyph = (uint32_t)ramp[luma * LEVELS / 256],
                .fg = SAL_CELL_DEFAULT,
                .bg = SAL_CELL_DEFAULT,
            };
        }
}
