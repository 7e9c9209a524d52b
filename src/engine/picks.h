/*
 * Picks: elements of a whole tensor that an index tensor names, one for each element
 * of a part (the output of a Gather, the updates of a Scatter).
 *
 * The whole is a bundle of lines of `rows` elements, and every pick of a line stays in
 * that line. So lines are independent of each other: they are what is cut into pieces
 * for the pool, and an index that comes twice is met twice by one thread, in order.
 */
#ifndef SALISCOPE_ENGINE_PICKS_H
#define SALISCOPE_ENGINE_PICKS_H

#include "kernel.h"

struct sal_picks {
    int64_t lines;
    int64_t width; /* this many lines lie side by side and share their picks */
    int64_t rows, step;      /* of a line; elements from one row to the next */
    int64_t n, part_step;    /* picks of a line; from one to the next in the part */
    int64_t index_step;      /* from one to the next in the indices */
    const int64_t *index;    /* NULL while only the layout is asked for */
    int depth;               /* indices of one pick */
    int64_t dim[SAL_RANK_MAX]; /* what each of them counts */

    /* GatherElements, ScatterElements: what places a line */
    bool by_element;
    int axis;
    struct sal_shape whole, part;
};

struct sal_line {
    int64_t whole, part, index; /* where its first element, pick and index lie */
    int64_t n;                  /* its picks: 0 where the part does not reach it */
};

/* How a node picks: an index for each element along axis (GatherElements,
 * ScatterElements), or a tuple of them for each block of elements, after so many axes
 * that whole and indices share (GatherND, ScatterND). */
struct sal_pick {
    bool by_tuple;
    int64_t axis, batch_axes;
};

/* The whole is input 0 or shaped like it, the indices are input 1. */
void sal_picks_lay(struct sal_picks *picks, const struct sal_pick *pick,
                   const struct sal_kernel *k);

/* Kinds and shapes and, where they are constant, the values of the indices fit the
 * whole. Gives the part's shape. */
enum sal_status sal_picks_infer(const struct sal_infer *infer,
                                const struct sal_pick *pick, struct sal_shape *part,
                                struct sal_error *err);

/* Carries: axes of the part that follow the whole, and the other way round. */
void sal_picks_carry_whole(const struct sal_pick *pick, const struct sal_kernel *k,
                           struct sal_carry *carry);
void sal_picks_carry_part(const struct sal_pick *pick, const struct sal_kernel *k,
                          struct sal_carry *carry);

struct sal_line sal_picks_line(const struct sal_picks *picks, int64_t line);

/* Row of the line's pick i; -1 where an index that was computed is outside. */
int64_t sal_picks_row(const struct sal_picks *picks, const struct sal_line *line,
                      int64_t i);

/* Lines from here on that share this one's picks and end before `to`. */
static inline int64_t sal_picks_span(const struct sal_picks *picks, int64_t line,
                                     int64_t to)
{
    return sal_least(picks->width - line % picks->width, to - line);
}

#endif
