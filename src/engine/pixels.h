/*
 * Add, Sub and Mul of a blocked activation (blocked.h) with one pixel for all of an
 * image or of a block: squeeze and excitation, scales of channels. A walk would go 16
 * elements at a time.
 */
#ifndef SALISCOPE_ENGINE_PIXELS_H
#define SALISCOPE_ENGINE_PIXELS_H

#include "walk.h"

enum sal_pixels_kind {
    SAL_PIXELS_NONE, /* an operator that has no such way */
    SAL_PIXELS_ADD,
    SAL_PIXELS_SUB,
    SAL_PIXELS_MUL,
};

/* Both passes of a binary operator over that walk (a, b, output); false: it is no such
 * pair, and nothing was done. */
bool sal_pixels_forward(const struct sal_walk *walk, enum sal_pixels_kind kind,
                        const struct sal_kernel *k);
bool sal_pixels_backward(const struct sal_walk *walk, enum sal_pixels_kind kind,
                         const struct sal_kernel *k);

#endif
