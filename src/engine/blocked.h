/*
 * Activations in blocks of 16 channels: n images of c channels, h x w, lie as
 * [blocks][n][h][w][16] and are handled as tensors of that shape, so that whatever
 * works element by element works on them unchanged. Lanes past c are finite and
 * count for nothing.
 *
 * Inner operators compute on them: rows like any operator's, that ONNX does not
 * know and only the lowering (lower.h) puts into a graph.
 */
#ifndef SALISCOPE_ENGINE_BLOCKED_H
#define SALISCOPE_ENGINE_BLOCKED_H

#include "lanes.h"
#include "op.h"

struct sal_blocked {
    int64_t n, c, h, w;
};

static inline struct sal_shape sal_blocked_shape(const struct sal_blocked *b)
{
    return (struct sal_shape){.rank = 5, .dim = {sal_blocks(b->c), b->n, b->h, b->w, SAL_BLOCK}};
}

#endif
