/*
 * Pools of boxes (boxes.h), blocked and plain.
 */
#ifndef SALISCOPE_ENGINE_REGION_POOL_H
#define SALISCOPE_ENGINE_REGION_POOL_H

#include "boxes.h"
#include "planes.h"

/* One plane, all of it. */
typedef void sal_pool_plane(const struct sal_planes *g, bool include_pad, const sal_real *x,
                            sal_real *y);

/* Every plane of every box, as a plane of what it reads; whole: the geometry of whole maps,
 * of two axes. */
bool sal_region_pool(const struct sal_region_kernel *k, const struct sal_planes *whole,
                     sal_pool_plane *plane);

bool sal_region_pool_reach(const struct sal_node *node, const struct sal_tensor *const *in,
                           int input, struct sal_reach *reach);
size_t sal_region_pool_scratch(const struct sal_region_kernel *k);

/* The row of a node whose attr is a sal_pool_attr. */
#define SAL_REGION_POOL(the_forward)                                                   \
    {                                                                                  \
        .reach = sal_region_pool_reach, .scratch = sal_region_pool_scratch,            \
        .forward = the_forward                                                         \
    }

#endif
