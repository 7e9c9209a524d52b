/*
 * Dense convolutions of boxes (boxes.h): the sums of dense.h, element by element in the
 * same order, for what may have changed of each image of a batch. Windows are gathered
 * from box and base; those of several small boxes lie together, so that a strip of weights
 * serves them all.
 */
#ifndef SALISCOPE_ENGINE_DENSE_BOXES_H
#define SALISCOPE_ENGINE_DENSE_BOXES_H

#include "boxes.h"
#include "dense.h"

/* Reals of scratch per thread, of a forward's d. */
size_t sal_dense_boxes_scratch(const struct sal_dense *d);

/* out->data gets what d makes of `in`, whose boxes may be any; target says what is added
 * and done behind (add NULL or laid out like out; y is not looked at), before what the
 * input goes through (NULL: nothing). False: no memory. */
bool sal_dense_boxes_run(const struct sal_dense *d, const struct sal_field *in,
                         const struct sal_affine *before, const sal_real *packed,
                         const struct sal_target *target, const struct sal_region_kernel *k);

#endif
