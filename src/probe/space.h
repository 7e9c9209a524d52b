/*
 * Where a picture may be altered: p, in unit intensity on the network's grid, [planes]
 * [height][width] floats, within a box that is the image's range (and the point itself
 * where the mask forbids), and within a ball around the picture as it was given.
 *
 * An input is x0 + (p - p0) scale, so that a picture that was not altered is the question's
 * input bit for bit. Norms and products are summed in double, always in the same order.
 */
#ifndef SALISCOPE_PROBE_SPACE_H
#define SALISCOPE_PROBE_SPACE_H

#include "saliscope/probe.h"

enum { SAL_SPACE_CHANNELS_MAX = 4 };

struct sal_space {
    const struct sal_model_input *input;
    const sal_real *x0;
    int64_t pixels;
    int planes; /* 1: all channels are tied */
    int64_t n;  /* planes * pixels */
    double scale[SAL_SPACE_CHANNELS_MAX]; /* d x / d p, by channel */
    float *p0, *low, *high; /* [n]: the picture as given, and the box, p0 in it */
};

enum sal_status sal_space_init(struct sal_space *space,
                               const struct sal_probe_question *question,
                               struct sal_error *err);
void sal_space_release(struct sal_space *space);

/* Sets the box anew: what may be altered, of the question's mask and region. */
void sal_space_allow(struct sal_space *space, const struct sal_probe_question *question,
                     enum sal_where where);

/* Whether pixel i shows something of the image, and is inside the region that is asked
 * about, or outside; SAL_EVERYWHERE: the first alone. */
bool sal_space_is(const struct sal_probe_question *question, enum sal_where where, int64_t i);

/* The input of a picture, in the model's layout. */
void sal_space_input(const struct sal_space *space, const float *p, sal_real *x);

/* The gradient with respect to p of what has gradient dx with respect to x; 0 where nothing
 * may be altered. */
void sal_space_gradient(const struct sal_space *space, const sal_real *dx, float *g);
/* The same; whole: of every element, altered or not. */
void sal_space_slope(const struct sal_space *space, const sal_real *dx, bool whole, float *g);

/* Points of norm <= eps around p0, exactly, in double; eps INFINITY: only the box. */
struct sal_ball {
    enum sal_norm norm;
    double eps;
};

/* The nearest point (in L2) in box and ball; p itself where it is there. */
void sal_space_project(const struct sal_space *space, struct sal_ball ball, float *p);

/* What a ball of linf leaves of the box, [n] each: to clamp to it is to project. */
void sal_space_bounds(const struct sal_space *space, double eps, float *low, float *high);

/* What an answer says of p: its planes, and what is changed of them. */
void sal_space_picture(const struct sal_space *space, const float *p, float *picture,
                       float *change);

/* ||p - p0||. */
double sal_space_norm(const struct sal_space *space, enum sal_norm norm, const float *p);
struct sal_distance sal_space_distance(const struct sal_space *space, const float *p);

/* Of n elements of any vector. */
double sal_vector_norm(enum sal_norm norm, const float *v, int64_t n);
double sal_vector_dot(const float *a, const float *b, int64_t n);
/* The norm that ||.|| is dual to: 1-norm for linf, 2-norm for l2. */
double sal_vector_dual(enum sal_norm norm, const float *v, int64_t n);

/* p0 + t (p - p0), in the box for t <= 1; p and out may be the same. */
void sal_space_ray(const struct sal_space *space, const float *p, double t, float *out);

/* The point of the box nearest to p0 in that norm where f + g (out - at) is not above 0:
 * the least change that changes the sign of f, were f straight. Returns its distance;
 * INFINITY, and the corner that goes furthest, where no point of the box does it. In L2
 * out - p0 is clip(-t g), in Linf t steps against the sign of g, up to the box. */
double sal_space_straight(const struct sal_space *space, enum sal_norm norm, double f,
                          const float *g, const float *at, float *out);

#endif
