/*
 * Blocked activations put together along channels where one but the last ends within a
 * block, an inner operator (blocked.h). Where all others end with one, Concat along
 * axis 0 does it.
 */
#ifndef SALISCOPE_ENGINE_INNER_CONCAT_H
#define SALISCOPE_ENGINE_INNER_CONCAT_H

#include "op.h"

/* Lies in node->attr. */
struct sal_inner_concat_attr {
    const int64_t *channels; /* of each input */
};

extern const struct sal_op sal_inner_concat;

#endif
