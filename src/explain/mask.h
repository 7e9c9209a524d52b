/*
 * The random masks of RISE: a few cells, each open or shut, enlarged to smooth shapes.
 *
 * As in the authors' code: cells x cells values of 0 or 1 are enlarged, bilinear, to
 * (cells + 1) times the size that a cell has on the input, and a window of the input's size
 * is cut out, begun somewhere in the first cell. Beyond the outermost centres the enlarging
 * mirrors. No state but the tables, any thread.
 */
#ifndef SALISCOPE_EXPLAIN_MASK_H
#define SALISCOPE_EXPLAIN_MASK_H

#include <stdint.h>

#include "saliscope/status.h"

enum { SAL_MASK_CELLS_MAX = 32 };

/* One line of the enlarged grid: so much of cell `high`, the rest of cell `low`. */
struct sal_mask_tap {
    int low, high;
    double share;
};

/* What all masks of one size have in common. */
struct sal_mask_table {
    int height, width, cells;
    int cell_height, cell_width;         /* of a cell, in pixels; rounded up */
    struct sal_mask_tap *rows, *columns; /* [(cells + 1) cell_height], and of width */
};

struct sal_mask {
    const struct sal_mask_table *table;
    unsigned char cell[SAL_MASK_CELLS_MAX][SAL_MASK_CELLS_MAX]; /* 1: open */
    int top, left; /* where the window begins */
};

/* height, width > 0; cells from 2. The table is to be released, also after a failure. */
enum sal_status sal_mask_table_init(struct sal_mask_table *table, int height, int width,
                                    int cells, struct sal_error *err);
void sal_mask_table_release(struct sal_mask_table *table);

/* Mask number `stream` under a seed: a cell is open with probability keep. */
void sal_mask_draw(struct sal_mask *mask, const struct sal_mask_table *table, double keep,
                   uint64_t seed, uint64_t stream);

/* Row y between the cells, [cells]; sal_mask_at makes pixels of it. */
void sal_mask_row(const struct sal_mask *mask, int y, double *row);

/* Pixel x, 0 (hidden) to 1 (shown). */
static inline double sal_mask_at(const struct sal_mask *mask, const double *row, int x)
{
    const struct sal_mask_tap *tap = &mask->table->columns[mask->left + x];
    return (1 - tap->share) * row[tap->low] + tap->share * row[tap->high];
}

#endif
