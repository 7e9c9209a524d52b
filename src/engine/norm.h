/*
 * Normalisations: y = (x - mean) * factor * scale + bias.
 *
 * Elements come in groups (a row, a channel, some channels); mean and factor are those
 * of the group, and the factor follows from a moment of its centred elements. What an
 * operator of this family is, its kind says; forward and backward are the same for
 * all: a walk that passes several times over each group, groups side by side.
 */
#ifndef SALISCOPE_ENGINE_NORM_H
#define SALISCOPE_ENGINE_NORM_H

#include "walk.h"

/* X is the first input of all of them; scale and bias may be missing. */
enum { SAL_NORM_X, SAL_NORM_SCALE, SAL_NORM_BIAS };
enum { SAL_NORM_Y, SAL_NORM_MEAN, SAL_NORM_FACTOR }; /* outputs; the last two may be */

/* X seen as `over`; every element of `kept`, which broadcasts to it, is a group. */
struct sal_norm_view {
    struct sal_shape over, kept, scale, bias;
};

struct sal_norm_kind {
    bool centred;  /* else the mean is left alone, and counts as 0 */
    bool absolute; /* the moment is made of |x|, else of squares */
    bool summed;   /* it is their sum, else their mean */

    /* The factor that belongs to a moment, and its slope there. */
    sal_real (*factor)(sal_real moment, sal_real epsilon, sal_real *slope);

    /* Fills over and kept, and scale and bias where they are not seen as they are. */
    void (*view)(const struct sal_node *node, const struct sal_shape *x,
                 struct sal_norm_view *view);
};

/* What parse makes of each of them. */
struct sal_norm {
    const struct sal_norm_kind *kind;
    sal_real epsilon;
    int64_t axis, groups, stash_type;
    struct sal_int_list axes;
};

/* How a node sees shapes (NULL: input missing). */
struct sal_norm_view sal_norm_view_of(const struct sal_node *node,
                                      const struct sal_shape *x,
                                      const struct sal_shape *scale,
                                      const struct sal_shape *bias);

/* Elements of a group. */
int64_t sal_norm_group(const struct sal_norm_view *view);

void sal_norm_forward(const struct sal_kernel *k);
void sal_norm_backward(const struct sal_kernel *k);
size_t sal_norm_scratch(const struct sal_kernel *k, bool backward);

#endif
