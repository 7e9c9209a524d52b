/*
 * Blocked activations as rows of channels, [n][h][w][c], and back: what a Transpose to
 * channels last and its inverse come to where convolutions stand beside linear layers.
 */
#ifndef SALISCOPE_ENGINE_INNER_ROWS_H
#define SALISCOPE_ENGINE_INNER_ROWS_H

#include "blocked.h"

/* A node's attr: struct sal_blocked. */
extern const struct sal_op sal_inner_to_rows;

/* in[1], where it is there, is blocked and added. */
extern const struct sal_op sal_inner_from_rows;

#endif
