/*
 * Resize passes: tables applied to a tensor, every resized axis at once.
 *
 * A row of the result is mixed from the rows that its position reads along the leading
 * axes, then along the last resized axis: one row of scratch, whatever the layout.
 * Rows are independent, so that passes are cut by rows. Forward and gradient are
 * passes alike, with tables or with their transposes.
 */
#ifndef SALISCOPE_ENGINE_RESIZE_PASS_H
#define SALISCOPE_ENGINE_RESIZE_PASS_H

#include "kernel.h"
#include "resize_table.h"

struct sal_resize_pass {
    const struct sal_resize_table *table; /* per axis; run NULL: not resized */
    struct sal_shape from, to;
    int last;      /* the last resized axis */
    int64_t inner; /* elements that each position along it has */
};

struct sal_resize_pass sal_resize_pass_init(const struct sal_resize_table *table,
                                            int last, const struct sal_shape *from,
                                            const struct sal_shape *to);

/* Rows of the result: elements before and along the last resized axis, and how many. */
int64_t sal_resize_pass_rows(const struct sal_resize_pass *pass);

/* What one costs, roughly, in elements. */
int64_t sal_resize_pass_cost(const struct sal_resize_pass *pass);

/* Reals of scratch. */
int64_t sal_resize_pass_line(const struct sal_resize_pass *pass);

/* Rows row..end-1 of the result. `outside` is what stands where nothing is read; with
 * `add` the result is added to what `to` holds. line: the scratch. */
void sal_resize_pass_run(const struct sal_resize_pass *pass, const sal_real *from,
                         sal_real outside, bool add, sal_real *to, int64_t row,
                         int64_t end, sal_real *line);

#endif
