/*
 * Axes: which of a tensor's axes are rows and columns of the picture.
 *
 * A feature map may lie as N x C x H x W, as N x H x W x C, or as a transformer's
 * tokens N x T x C, with class tokens in front. Nothing in a file says which; it
 * follows from the input, whose axes are known, by tracing through every node how its
 * outputs follow its inputs (struct sal_carry). Axes of one element mean nothing.
 * Private to the engine; plain data.
 */
#ifndef SALISCOPE_ENGINE_AXES_H
#define SALISCOPE_ENGINE_AXES_H

#include "graph.h"
#include "saliscope/image.h"
#include "saliscope/model.h"
#include "saliscope/sidecar.h"

enum sal_axis {
    SAL_AXIS_OTHER, /* positions out of order, several meanings in one, a batch */
    SAL_AXIS_CHANNEL,
    SAL_AXIS_ROW,
    SAL_AXIS_COLUMN,
    SAL_AXIS_TOKEN, /* rows of columns as one axis, perhaps with more tokens around */
};

struct sal_axes {
    unsigned char role[SAL_RANK_MAX]; /* enum sal_axis */
    int64_t rows, columns;            /* of a token axis */
    int64_t skipped;                  /* tokens before them */
};

/* Fills axes[value] for every value of a graph built for one image, and in
 * matters[value] bit i: the picture's positions along axis i can change `score` (an
 * axis that is no row, column or token counts where the value does). In the last block
 * of a transformer that reads its class token only, no other token matters. layout: of
 * the graph's first input. False: no memory. */
bool sal_axes_trace(const struct sal_graph *graph, enum sal_layout layout, int score,
                    struct sal_axes *axes, unsigned char *matters);

/* How a value lies as channels x rows x columns; false where it does not: no rows and
 * columns that matter, or more than one further axis that is not of one element. */
bool sal_axes_layer(const struct sal_graph *graph, const struct sal_axes *axes,
                    const unsigned char *matters, int value, struct sal_layer *layer);

#endif
