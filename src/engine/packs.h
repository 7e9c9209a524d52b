/*
 * Packed weights: made once for a model, shared by all its runs.
 *
 * A pack is found by what it was made from; its place is reserved when a run is laid
 * out and filled when a kernel first asks for it, so that what a run never computes
 * costs nothing. Any thread may ask. Owned by the model (or by a run of a bare graph),
 * released with it.
 */
#ifndef SALISCOPE_ENGINE_PACKS_H
#define SALISCOPE_ENGINE_PACKS_H

#include <stddef.h>

#include "saliscope/status.h"
#include "saliscope/tensor.h"

struct sal_packs;
struct sal_pack;

/* Ids of values are those of the model's graph, the same for every batch. */
struct sal_pack_key {
    int weight, scale; /* values; scale -1: none */
    int user;          /* the value made with it, where something else than weight, scale
                          and form counts too; -1: whoever asks gets the same */
    int form;          /* which of the ways to pack them */
    const void *lanes; /* for which table */
};

/* NULL: no memory. */
struct sal_packs *sal_packs_open(void);
void sal_packs_close(struct sal_packs *packs);

/* The pack of that key, reserved with `reals` elements if it is new; NULL: no memory. */
struct sal_pack *sal_packs_find(struct sal_packs *packs, struct sal_pack_key key,
                                size_t reals);

/* Its elements, aligned to 64 bytes. fill(context, to) is called if nobody has yet. */
const sal_real *sal_pack_data(struct sal_pack *pack,
                              void (*fill)(const void *context, sal_real *to),
                              const void *context);

#endif
