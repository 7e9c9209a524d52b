/* From a flip to the boundary, and along it. Minimum-norm attacks end near a boundary, on
 * either side; what is nearest on it they leave to chance. Here the plane that touches the
 * boundary at the best flip gives the nearest point within the image's range in closed form
 * (the projection of FAB, Croce and Hein, ICML 2020; without a range it is the HL-RF step of
 * structural reliability), and that is repeated while it gets nearer. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "attacks.h"

enum { HALVINGS = 14 };

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

/* The longest length on the ray to the closest point that did not reach the goal. */
static enum sal_status halve(struct sal_search *s, float *end, float *spare,
                             struct sal_error *err)
{
    double low = 0, high = 1, whole = s->nearest;
    memcpy(end, s->closest, (size_t)s->space.n * sizeof(*end));
    for (int i = 0; i < HALVINGS; i++) {
        bool reached;
        double middle = (low + high) / 2;
        sal_space_ray(&s->space, end, middle, spare);
        enum sal_status status = look_once(s, spare, &reached, err);
        if (status)
            return status;
        *(reached ? &high : &low) = middle;
    }
    s->answer->bracket[0] = low * whole;
    s->answer->bracket[1] = s->nearest;
    return SAL_OK;
}

/* One step: the boundary near the best flip, its plane, the nearest point of that. */
static enum sal_status step(struct sal_search *s, float *at, float *g, float *spare,
                            struct sal_error *err)
{
    static const double ways[] = {1.0005, 1.003, 1.01, 1.03};
    enum { WAYS = sizeof(ways) / sizeof(*ways) };
    memcpy(at, s->closest, (size_t)s->space.n * sizeof(*at));
    struct sal_look here = {.p = at, .gradient = g};
    enum sal_status status = sal_search_look(s, &here, 1, err);
    if (status)
        return status;
    double way =
        sal_space_straight(&s->space, s->ball.norm, here.margin, g, at, at);
    if (!isfinite(way) || way == 0)
        return SAL_OK;
    int worth = 0; /* further than what is found is no use */
    while (worth < WAYS && way * ways[worth] < s->nearest)
        worth++;
    return extend(s, at, ways, worth, spare, err);
}

/* The closest point along its own ray, to about a hundredth. */
static enum sal_status pull(struct sal_search *s, float *at, float *spare,
                            struct sal_error *err)
{
    static const double ways[] = {0.8, 0.95, 0.99};
    bool reached = false;
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i += !reached) {
        memcpy(at, s->closest, (size_t)s->space.n * sizeof(*at));
        double before = s->nearest;
        sal_space_ray(&s->space, at, ways[i], spare);
        enum sal_status status = look_once(s, spare, &reached, err);
        if (status)
            return status;
        reached = reached && s->nearest < before;
    }
    return SAL_OK;
}

static enum sal_status go_nearer(struct sal_search *s, int rounds, float *at, float *g,
                                 float *spare, struct sal_error *err)
{
    int idle = 0;
    for (int i = 0; i < rounds && idle < 2; i++) {
        double before = s->nearest;
        enum sal_status status = pull(s, at, spare, err);
        if (!status)
            status = step(s, at, g, spare, err);
        if (status)
            return status;
        idle = s->nearest < before * (1 - 1e-4) ? 0 : idle + 1;
    }
    return halve(s, at, spare, err);
}

enum sal_status sal_polish(struct sal_search *s, const float *last, int rounds,
                           struct sal_error *err)
{
    static const double ways[] = {1.01, 1.03, 1.1, 1.3, 2, 4};
    enum { WAYS = sizeof(ways) / sizeof(*ways) };
    enum sal_status status = SAL_OK;
    float *at = sal_search_vector(s, &status, err), *g = sal_search_vector(s, &status, err);
    float *spare = sal_search_vector(s, &status, err);
    if (!status && last && !isfinite(s->nearest))
        status = extend(s, last, ways, WAYS, spare, err);
    if (!status && isfinite(s->nearest))
        status = go_nearer(s, rounds, at, g, spare, err);
    free(at);
    free(g);
    free(spare);
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
