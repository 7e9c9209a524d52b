/*
 * Turning weights: what lies in rows of outputs is wanted in columns of 16.
 */
#ifndef SALISCOPE_ENGINE_TURN_H
#define SALISCOPE_ENGINE_TURN_H

#include "lanes.h"

/* A matrix with a row of `columns` weights, at any address, for each of up to 16 outputs;
 * rows lie `step` elements apart and count times their scale. */
struct sal_turn {
    const sal_loose *from;
    ptrdiff_t step;
    int rows;
    int64_t columns;
    const sal_real *scale; /* NULL: 1 */
};

/* Writes column j as 16 reals, zeros past the rows, to to + at(context, j). */
void sal_turn_run(const struct sal_turn *turn, sal_real *to,
                  ptrdiff_t (*at)(const void *context, int64_t j), const void *context);

#endif
