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

/* What a kernel writes: after(clamp(base[channel] + add + result)) */
struct sal_target {
    const sal_real *base; /* per channel, whole blocks; NULL: zeros */
    const sal_real *add;  /* laid out like y, may be y; NULL: nothing */
    sal_real low, high;   /* infinite where nothing is clamped */
    sal_real *y;
    sal_map *after;       /* what is done to y at last; NULL: nothing */
};

#endif
