/* From a flip to the boundary, and along it. Minimum-norm attacks end near a boundary, on
 * either side; what is nearest on it they leave to chance. Here the plane that touches the
 * boundary at the best flip gives the nearest point within the image's range in closed form
 * (the projection of FAB, Croce and Hein, ICML 2020; without a range it is the HL-RF step of
 * structural reliability), and that is repeated while it gets nearer. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attacks.h"

static enum sal_status look_once(struct sal_search *s, const float *p, bool *reached,
                                 struct sal_error *err)
{
    struct sal_look look = {.p = p};
    enum sal_status status = sal_search_look(s, &look, 1, err);
    *reached = look.reached;
    return status;
}

/* ---- further ---------------------------------------------------------------------------------- */

/* p0 + t (p - p0) for growing t, in the box, until the goal is reached. */
static enum sal_status extend(struct sal_search *s, const float *p, const double *ways, int n,
                              float *spare, struct sal_error *err)
{
    bool reached = false;
    for (int i = 0; i < n && !reached; i++) {
        sal_space_ray(&s->space, p, ways[i], spare);
        enum sal_status status = look_once(s, spare, &reached, err);
        if (status)
            return status;
    }
    return SAL_OK;
}

/* ---- nearer ----------------------------------------------------------------------------------- */

/* The longest length on the ray to the closest point that did not reach the goal. The polish
 * ends near it, so that is looked at first, and half of the way only where that reaches it. */
static enum sal_status halve(struct sal_search *s, float *end, float *spare,
                             struct sal_error *err)
{
    const double width = ldexp(1, -13), whole = s->nearest;
    double low = 0, high = 1, drop = ldexp(1, -7);
    memcpy(end, s->closest, (size_t)s->space.n * sizeof(*end));
    while (high - low > width * high) {
        bool reached;
        double at = low > 0 || drop > 0.5 ? (low + high) / 2 : 1 - drop;
        drop *= 8;
        sal_space_ray(&s->space, end, at, spare);
        enum sal_status status = look_once(s, spare, &reached, err);
        if (status)
            return status;
        *(reached ? &high : &low) = at;
    }
    s->answer->bracket[0] = low * whole;
    s->answer->bracket[1] = s->nearest;
    return SAL_OK;
}

enum { RIVALS_MAX = 5 };

/* Planes that touch boundaries near a point: that of a label, or one for each rival. To hide
 * a class one of them is to be crossed, to create it all. */
struct planes {
    int n;
    bool rivals, all;
    int rival[RIVALS_MAX];
    struct sal_look looks[RIVALS_MAX];
    sal_real *slopes, *logits; /* [n][classes], [classes] */
    float *g;                  /* [n][size] */
    double margin[RIVALS_MAX]; /* of each, at the point */
    float *mixed, *sum;        /* [size] */
};

static enum sal_status look_at_planes(struct sal_search *s, struct planes *planes,
                                      const float *at, struct sal_error *err)
{
    const struct sal_decision *d = &s->decision;
    const double sign = d->create ? -1 : 1;
    for (int k = 0; k < planes->n; k++)
        planes->looks[k] = (struct sal_look){
            .p = at,
            .gradient = planes->g + k * s->space.n,
            .slope = planes->rivals ? planes->slopes + (int64_t)k * d->n : NULL,
            .logits = k ? NULL : planes->logits};
    enum sal_status status = sal_search_look(s, planes->looks, planes->n, err);
    for (int k = 0; k < planes->n && !status; k++)
        planes->margin[k] =
            planes->rivals ? sign * ((double)planes->logits[d->c] -
                                     (double)planes->logits[planes->rival[k]])
                           : planes->looks[k].margin;
    return status;
}

/* The nearest point beyond all planes. It is nearest beyond some mixture of them, and that
 * mixture has the furthest: planes that are not crossed yet get more weight until none is. In
 * Linf, where there may be many nearest points of a mixture, their mean is taken. Returns
 * its distance, INFINITY where it is not found. */
static double cross_all(const struct sal_search *s, struct planes *planes, const float *at,
                        float *to)
{
    enum { ROUNDS = 48, HALF = ROUNDS / 2 };
    const struct sal_space *space = &s->space;
    double weight[RIVALS_MAX], scale = 0;
    for (int k = 0; k < planes->n; k++) {
        double given = planes->margin[k]; /* of the plane, at the picture as given */
        for (int64_t i = 0; i < space->n; i++)
            given += (double)planes->g[k * space->n + i] *
                     ((double)space->p0[i] - (double)at[i]);
        weight[k] = 1.0 / planes->n;
        scale = fmax(scale, fabs(given));
    }
    memset(planes->sum, 0, (size_t)space->n * sizeof(float));
    for (int round = 0; round < ROUNDS; round++) {
        double f = 0, total = 0;
        memset(planes->mixed, 0, (size_t)space->n * sizeof(float));
        for (int k = 0; k < planes->n; k++) {
            f += weight[k] * planes->margin[k];
            for (int64_t i = 0; i < space->n; i++)
                planes->mixed[i] += (float)weight[k] * planes->g[k * space->n + i];
        }
        if (!isfinite(sal_space_straight(space, s->ball.norm, f, planes->mixed, at, to)))
            return (double)INFINITY;
        for (int k = 0; k < planes->n; k++) {
            double left = planes->margin[k];
            for (int64_t i = 0; i < space->n; i++)
                left += (double)planes->g[k * space->n + i] * ((double)to[i] - (double)at[i]);
            weight[k] *= exp(fmax(-3, fmin(3, left / scale / (1 + 0.2 * round))));
            total += weight[k];
        }
        for (int k = 0; k < planes->n; k++)
            weight[k] /= total;
        for (int64_t i = 0; round >= HALF && i < space->n; i++)
            planes->sum[i] += to[i] / (float)HALF;
    }
    memcpy(to, planes->sum, (size_t)space->n * sizeof(float));
    sal_space_project(space, (struct sal_ball){SAL_LINF, INFINITY}, to);
    return sal_space_norm(space, s->ball.norm, to);
}

/* Looks just beyond a point, unless that is further than what is found; where the boundary
 * bends away from it, beyond points on the way there. */
static enum sal_status look_beyond(struct sal_search *s, const float *at, float *to, double way,
                                   float *spare, struct sal_error *err)
{
    static const double ways[] = {1.0005, 1.003, 1.01, 1.03, 1.1};
    enum { WAYS = sizeof(ways) / sizeof(*ways), HALVES = 3 };
    const double before = s->nearest;
    enum sal_status status = SAL_OK;
    for (int half = 0; half < HALVES && way > 0 && !status; half++) {
        int worth = 0;
        while (worth < WAYS && way * ways[worth] < before)
            worth++;
        int first = half && worth > 2 ? 2 : 0; /* a bend wants more than a hair */
        status = extend(s, to, ways + first, worth - first, spare, err);
        if (s->nearest < before || !isfinite(way))
            break;
        for (int64_t i = 0; i < s->space.n; i++)
            to[i] = (to[i] + at[i]) / 2;
        way = sal_space_norm(&s->space, s->ball.norm, to);
    }
    return status;
}

/* One step: the boundaries near the best flip, their planes, the nearest points of those. */
static enum sal_status step(struct sal_search *s, struct planes *planes, float *at, float *to,
                            float *spare, struct sal_error *err)
{
    memcpy(at, s->closest, (size_t)s->space.n * sizeof(*at));
    enum sal_status status = look_at_planes(s, planes, at, err);
    if (!status && planes->all)
        return look_beyond(s, at, to, cross_all(s, planes, at, to), spare, err);
    for (int k = 0; k < planes->n && !status; k++) {
        double way = sal_space_straight(&s->space, s->ball.norm, planes->margin[k],
                                        planes->g + k * s->space.n, at, to);
        if (way < s->nearest)
            status = look_beyond(s, at, to, way, spare, err);
    }
    return status;
}

/* The closest point along its own ray: to where the margins of both ends say that it is crossed,
 * or half as far. */
static enum sal_status pull(struct sal_search *s, float *at, float *spare,
                            struct sal_error *err)
{
    enum { TRIES = 3 };
    const double hair = 1e-4;
    for (int i = 0, misses = 0; i < TRIES && misses < 2; i++) {
        double drop = s->lowness / (s->lowness - s->margin0), before = s->nearest; /* 0..1 */
        double way = 1 - ldexp(drop, -misses) + hair;
        if (!(way < 1 - hair && way > 0))
            break;
        bool reached;
        memcpy(at, s->closest, (size_t)s->space.n * sizeof(*at));
        sal_space_ray(&s->space, at, way, spare);
        enum sal_status status = look_once(s, spare, &reached, err);
        if (status)
            return status;
        misses += !(reached && s->nearest < before);
    }
    return SAL_OK;
}

static enum sal_status go_nearer(struct sal_search *s, int rounds, bool bisect,
                                 struct planes *planes, float *at, float *to, float *spare,
                                 struct sal_error *err)
{
    int idle = 0;
    for (int i = 0; i < rounds && idle < 2; i++) {
        double before = s->nearest;
        enum sal_status status = pull(s, at, spare, err);
        if (!status)
            status = step(s, planes, at, to, spare, err);
        if (status)
            return status;
        idle = s->nearest < before * (1 - 1e-4) ? 0 : idle + 1;
    }
    return bisect ? halve(s, at, spare, err) : SAL_OK;
}

static enum sal_status make_planes(struct sal_search *s, struct planes *planes,
                                   struct sal_error *err)
{
    const struct sal_decision *d = &s->decision;
    const sal_real sign = d->create ? -1 : 1;
    const size_t size = (size_t)s->space.n;
    int n = sal_decision_rivals(d, s->answer->before, RIVALS_MAX, planes->rival);
    planes->rivals = n > 0;
    planes->n = planes->rivals ? n : 1;
    planes->all = d->create && n > 1;
    planes->slopes = calloc((size_t)planes->n * (size_t)d->n, sizeof(sal_real));
    planes->logits = calloc((size_t)d->n, sizeof(sal_real));
    planes->g = calloc((size_t)planes->n * size, sizeof(float));
    planes->mixed = calloc(2 * size, sizeof(float));
    if (!planes->slopes || !planes->logits || !planes->g || !planes->mixed)
        return sal_fail(err, SAL_LIMIT, "no memory for %d gradients", planes->n);
    planes->sum = planes->mixed + size;
    for (int k = 0; k < n; k++) {
        planes->slopes[k * d->n + d->c] = sign;
        planes->slopes[k * d->n + planes->rival[k]] = -sign;
    }
    return SAL_OK;
}

static void release_planes(struct planes *planes)
{
    free(planes->slopes);
    free(planes->logits);
    free(planes->g);
    free(planes->mixed);
}

enum sal_status sal_polish(struct sal_search *s, const float *last, int rounds, bool bisect,
                           struct sal_error *err)
{
    static const double ways[] = {1.01, 1.03, 1.1, 1.3, 2, 4};
    enum { WAYS = sizeof(ways) / sizeof(*ways) };
    struct planes planes = {0};
    enum sal_status status = make_planes(s, &planes, err);
    float *at = sal_search_vector(s, &status, err), *to = sal_search_vector(s, &status, err);
    float *spare = sal_search_vector(s, &status, err);
    if (!status && last && !isfinite(s->nearest))
        status = extend(s, last, ways, WAYS, spare, err);
    if (!status && isfinite(s->nearest))
        status = go_nearer(s, rounds, bisect, &planes, at, to, spare, err);
    free(at);
    free(to);
    free(spare);
    release_planes(&planes);
    return status;
}

/* ---- to first order ------------------------------------------------------------------------------ */

static void tell_gradient(struct sal_search *s, const float *g)
{
    int64_t zeros = 0, all = 0;
    for (int64_t i = 0; i < s->space.n; i++) {
        bool may = s->space.low[i] < s->space.high[i];
        all += may;
        zeros += may && g[i] == 0;
    }
    double share = all ? (double)zeros / (double)all : 1;
    sal_search_light(s, "zero_gradient", "zero gradients", share > 0.5, share,
                     "%.3g %% of the gradient at the image is exactly zero", 100 * share);
}

enum sal_status sal_estimate(struct sal_search *s, float *out, struct sal_error *err)
{
    enum sal_status status = SAL_OK;
    float *g = sal_search_vector(s, &status, err), *p = sal_search_vector(s, &status, err);
    struct sal_look here = {.p = s->space.p0, .gradient = g};
    if (!status)
        status = sal_search_look(s, &here, 1, err);
    if (!status) {
        s->answer->estimate = sal_space_straight(&s->space, s->ball.norm, here.margin, g,
                                                 s->space.p0, p);
        tell_gradient(s, g);
        if (out)
            memcpy(out, p, (size_t)s->space.n * sizeof(*out));
    }
    free(g);
    free(p);
    return status;
}
