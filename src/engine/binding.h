/*
 * Binding a node to tensors: the small arrays a kernel call needs, made once.
 */
#ifndef SALISCOPE_ENGINE_BINDING_H
#define SALISCOPE_ENGINE_BINDING_H

#include <stdbool.h>

#include "op.h"

struct sal_binding {
    const struct sal_node *node;
    const struct sal_tensor **in; /* [n_in] */
    struct sal_tensor **out;      /* [n_out] */
    sal_real **dx;                /* [n_in], NULLs */
    const sal_real **dy;          /* [n_out], NULLs */
    unsigned fresh;               /* see struct sal_kernel */
};

/* Arrays of NULLs in arena; false: no memory. */
bool sal_binding_init(struct sal_binding *binding, const struct sal_node *node,
                      struct sal_arena *arena);

/* Makes sure that the values of constant inputs are there for a kernel (stored.h). */
void sal_binding_read(const struct sal_binding *binding, struct sal_pool *pool);

/* The kernel call it stands for, without scratch. */
struct sal_kernel sal_binding_kernel(const struct sal_binding *binding,
                                     struct sal_pool *pool);

#endif
