/*
 * What the kernels of blocked activations (blocked.h) write: sums with a base, a clamp
 * and an activation, and what the way back of these will read instead of the results.
 */
#ifndef SALISCOPE_ENGINE_TARGET_H
#define SALISCOPE_ENGINE_TARGET_H

#include "blocked.h"

/* What a forward leaves for its backward, as sal_source has it: of a clamp bits, of
 * another activation slopes. Both NULL: nothing. */
struct sal_saved {
    uint16_t *bits;
    sal_real *slope;
};

/* A node's output 1, where it has one. */
static inline struct sal_saved sal_saved_of(const struct sal_kernel *k, bool slopes)
{
    const struct sal_tensor *out = k->node->n_out > 1 ? k->out[1] : NULL;
    void *data = out ? out->data : NULL;
    return slopes ? (struct sal_saved){.slope = data} : (struct sal_saved){.bits = data};
}

/* Its bytes, for so many elements of whole pixels. */
static inline int64_t sal_saved_bytes(int64_t count, bool slopes)
{
    return slopes ? count * (int64_t)sizeof(sal_real) : count / 8;
}

/* after(clamp(base[channel] + add + result)) */
struct sal_target {
    const sal_real *base; /* per channel, whole blocks; NULL: zeros */
    const sal_real *add;  /* laid out like y, may be y; NULL: nothing */
    sal_real low, high;   /* infinite where nothing is clamped */
    sal_real *y;
    sal_map *after;       /* what is done to y at last; NULL: nothing */

    sal_map_slope *after_slope; /* in its stead where slopes are wanted */
    struct sal_saved saved;
};

/* What is left to do to n pixels from element `at` on, which were clamped when they were
 * written. */
void sal_target_finish(const struct sal_target *target, ptrdiff_t at, int64_t n);

#endif
