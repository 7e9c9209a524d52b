/*
 * A picture as terminal cells: what a text pane can show of it.
 *
 * An encoder turns an RGB picture into a grid of glyphs with foreground and
 * background, for one colour depth. It knows no curses: the grid is plain data
 * that panes paint and tests compare. A terminal that lacks what an encoder
 * needs gets the next row. No state, any thread.
 *
 * Without colour only brightness is left, and glyphs are chosen as light ink on a
 * dark ground. An overlay stays visible there because it changes brightness: with a
 * sequential map of even steps (viridis, inferno, magma, cividis, gray) high values
 * are bright and low ones dim the image. A diverging map shows both signs dark and
 * a rainbow shows nothing reliable: callers draw the contour line with those.
 */
#ifndef SALISCOPE_CELLS_H
#define SALISCOPE_CELLS_H

#include <stdbool.h>
#include <stdint.h>

#include "saliscope/overlay.h"
#include "saliscope/status.h"

enum sal_depth { SAL_MONO = 0, SAL_16 = 16, SAL_256 = 256, SAL_TRUECOLOR = 1 << 24 };

enum { SAL_CELL_DEFAULT = -1 }; /* the terminal's own colour */

struct sal_cell {
    uint32_t glyph; /* Unicode code point */
    int fg, bg;     /* 0xRRGGBB at SAL_TRUECOLOR, else a palette index 0..255 or
                       0..15; SAL_CELL_DEFAULT */
};

struct sal_cells {
    int columns, rows;
    struct sal_cell *cell; /* [rows][columns], owned */
};

void sal_cells_release(struct sal_cells *cells);

struct sal_encoder {
    const char *name; /* "half", "ascii"; NULL ends the table */
    const char *title;
    int cell_width, cell_height; /* pixels of the picture that one cell shows */
    enum sal_depth depth_min;    /* needs at least this many colours */
    bool unicode;                /* needs UTF-8 */
    void (*encode)(const struct sal_picture *picture, enum sal_depth depth,
                   bool unicode, struct sal_cells *cells);
};

/* Best first. The last row needs nothing. */
extern const struct sal_encoder sal_encoders[];

/* The best encoder a terminal can show. */
const struct sal_encoder *sal_encoder_best(enum sal_depth depth, bool unicode);

/* Size in pixels of the picture to make for a pane of columns x rows so that an
 * image of that aspect is whole and undistorted, cells being twice as high as
 * wide. */
void sal_encoder_fit(const struct sal_encoder *encoder, int columns, int rows,
                     int image_width, int image_height, int *width, int *height);

/* Encodes; the picture's size should be a multiple of the cell's (what is missing
 * repeats the edge). Fails when the encoder needs more than the terminal has. */
enum sal_status sal_encoder_run(const struct sal_encoder *encoder,
                                const struct sal_picture *picture,
                                enum sal_depth depth, bool unicode,
                                struct sal_cells *cells, struct sal_error *err);

/* Nearest xterm colour: 16..255 for SAL_256 (cube and grey ramp), 0..15 for
 * SAL_16, by squared distance of the sRGB components weighted 2:4:1; 0xRRGGBB for
 * SAL_TRUECOLOR. Encoders also dither where there are only 16. */
int sal_palette_nearest(enum sal_depth depth, const uint8_t rgb[3]);

#endif
