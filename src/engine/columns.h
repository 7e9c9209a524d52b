/*
 * Columns: the windows of a plane laid out for a matrix product (im2col, col2im).
 *
 * A plane's columns are a matrix of one row per tap of the window and one column per
 * window position. It is gathered and scattered in parts of a row, so that callers lay
 * the rows where they want them. Geometry alone, by value.
 */
#ifndef SALISCOPE_ENGINE_COLUMNS_H
#define SALISCOPE_ENGINE_COLUMNS_H

#include "window.h"

struct sal_columns {
    struct sal_window window; /* fitted; spatial axes lifted to three */
    int64_t in[SAL_WINDOW_AXES], out[SAL_WINDOW_AXES];
    int64_t pixels_in, pixels_out;
    int64_t taps; /* of one window */
};

/* A window fitted to `in` that has `out` positions, one entry for each of its axes. */
void sal_columns_init(struct sal_columns *columns, const struct sal_window *fitted,
                      const int64_t *in, const int64_t *out);

struct sal_tap {
    int64_t at[SAL_WINDOW_AXES]; /* offset into the input on each axis, dilated */
    int64_t lo[SAL_WINDOW_AXES], hi[SAL_WINDOW_AXES]; /* positions that read inside */
};

struct sal_tap sal_columns_tap(const struct sal_columns *columns, int64_t index);

/* Index of the element that position (z, y, 0) reads. It may lie outside: only
 * positions in lo..hi are used. */
int64_t sal_columns_row(const struct sal_columns *columns, const struct sal_tap *tap,
                        int64_t z, int64_t y);

/* line[0..p1-p0) is what tap reads at positions p0..p1-1, zeros outside. */
void sal_columns_gather(const struct sal_columns *columns, int64_t tap,
                        const sal_real *plane, int64_t p0, int64_t p1, sal_real *line);

/* Adds line back to where sal_columns_gather reads it. */
void sal_columns_scatter(const struct sal_columns *columns, int64_t tap,
                         sal_real *plane, int64_t p0, int64_t p1, const sal_real *line);

#endif
