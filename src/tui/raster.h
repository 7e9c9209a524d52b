/*
 * Pictures written past ncurses, in 24-bit colours: only the cells that have
 * changed since the last time, in one write. Knows what it has put on the screen,
 * so whoever overwrites that says so. Owns its memory. One thread.
 */
#ifndef SALISCOPE_TUI_RASTER_H
#define SALISCOPE_TUI_RASTER_H

#include "layout.h"
#include "saliscope/buffer.h"
#include "saliscope/cells.h"

/* A picture on the screen: cells, and where their top left lies. */
struct sal_sprite {
    const struct sal_cells *cells;
    int y, x;
};

/* A zeroed struct knows nothing of the screen. */
struct sal_raster {
    struct sal_cell *shown; /* [rows][columns]; where it is not known: no colour */
    int rows, columns;
    struct sal_buffer out;
};

/* Forgets what is on the screen: the next write is a whole one. */
void sal_raster_release(struct sal_raster *raster);

/* Brings the screen of rows x columns behind fd up to date. What lies under hole
 * (may be NULL) or outside the sprites is someone else's, and unknown from then
 * on. Cursor and attributes are left as they were. */
void sal_raster_write(struct sal_raster *raster, int fd, int rows, int columns,
                      const struct sal_sprite *sprites, int n,
                      const struct sal_rect *hole);

/* write() until all is out, or the other side is gone. */
void sal_write_all(int fd, const void *data, size_t size);

#endif
