/*
 * Contractions: a target is the sum of products of sources, over labelled axes.
 *
 * Each operand steps along the labels by strides, 0 along those that it does not have;
 * so an axis that repeats, a diagonal and a sum are all the same. Labels along which
 * the target steps are kept, the others summed over. Two sources that can be read as
 * matrices are multiplied as such; the rest goes term by term.
 */
#ifndef SALISCOPE_ENGINE_CONTRACTION_H
#define SALISCOPE_ENGINE_CONTRACTION_H

#include "equation.h"

enum { SAL_SOURCES = 16 };

struct sal_operand {
    const sal_real *data; /* of a source */
    int64_t stride[SAL_LABELS];
};

struct sal_contraction {
    int64_t dim[SAL_LABELS]; /* 1 for labels that nobody has */
    int n;                   /* sources */
    struct sal_operand target, source[SAL_SOURCES];
    sal_real *to; /* the target's elements */
    bool add;     /* to them, instead of writing them */
    /* The label that crosses images, or -1: each image is a product of its own, so that
     * its result does not depend on the others. */
    int image;
};

/* The targets of different kept indices are different elements. */
void sal_contraction_run(const struct sal_contraction *contraction,
                         struct sal_pool *pool);

#endif
