#include "encoder.h"

/* A glyph and how bright its cell looks, 0..255 with '@' as white: the share of ink
 * in common fixed fonts, gamma-encoded as brightness is. */
static const struct {
    char glyph;
    uint8_t brightness;
} ramp[] = {
    {' ', 0},   {'.', 90},  {',', 111}, {':', 124}, {'!', 152}, {'+', 169},
    {'x', 194}, {'o', 213}, {'X', 224}, {'#', 245}, {'@', 255},
};

enum { RAMP = sizeof(ramp) / sizeof(*ramp) };

static char glyph_for(int luma)
{
    int i = 0;
    while (i + 1 < RAMP && 2 * luma >= ramp[i].brightness + ramp[i + 1].brightness)
        i++;
    return ramp[i].glyph;
}

void sal_encode_ascii(const struct sal_picture *picture, enum sal_depth depth,
                      bool unicode, struct sal_cells *cells)
{
    (void)depth;
    (void)unicode;
    struct sal_cell *cell = cells->cell;
    for (int y = 0; y < cells->rows; y++)
        for (int x = 0; x < cells->columns; x++)
            *cell++ = (struct sal_cell){
                .glyph = (uint32_t)glyph_for(sal_luma(sal_picture_at(picture, x, y))),
                .fg = SAL_CELL_DEFAULT,
                .bg = SAL_CELL_DEFAULT,
            };
}
