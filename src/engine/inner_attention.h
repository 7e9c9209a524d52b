/*
 * Attention of a lowered graph: softmax(scale q k') v, head by head, read and written
 * where it lies. Nothing of the size queries x keys is kept; the backward computes the
 * shares again.
 */
#ifndef SALISCOPE_ENGINE_INNER_ATTENTION_H
#define SALISCOPE_ENGINE_INNER_ATTENTION_H

#include "op.h"

/* Where the rows of heads lie in a tensor: at offset + image * .. + head * .. + row * ..;
 * the features of a row lie side by side. */
struct sal_head_rows {
    int64_t offset, image, head, row;
};

/* A node's attr. Inputs are the tensors that q, k and v lie in, perhaps all the same. */
struct sal_inner_attention {
    int64_t images, heads, queries, keys;
    int64_t size, v_size; /* features of q and k, of v and y */
    struct sal_head_rows q, k, v, y;
    sal_real scale; /* > 0 */
};

extern const struct sal_op sal_inner_attention;

#endif
