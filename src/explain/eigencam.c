/* Eigen-CAM and Eigen-Grad-CAM: positions as points in the space of channels, centred, and
 * how far each lies along the direction in which they spread most, the first right
 * singular vector. That direction has no sign of its own: the end that reaches farther is
 * made positive, as Seg-Eigen-CAM does. */
#include "cam.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 500 };

/* The residual, relative to the eigenvalue, at which a direction is found; and how far
 * points must spread, relative to their size, for more than float's rounding. */
#define CLOSE_ENOUGH 1e-9
#define ROUNDING 1e-7

/* ---- the first direction ---------------------------------------------------------------- */

/* The points, by channel: [channels][pixels], each channel's mean taken away. */
struct cloud {
    double *at;
    int64_t channels, pixels;
};

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* y += s x */
static void add(double s, const double *x, double *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += s * x[i];
}

/* (x, y) turned by the angle of cosine c and sine s. */
static void turn(double c, double s, double *x, double *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double old = x[i];
        x[i] = c * old + s * y[i];
        y[i] = c * y[i] - s * old;
    }
}

/* To length 1; false where it has none. */
static bool normalise(double *x, int64_t n)
{
    double length = sqrt(dot(x, x, n));
    for (int64_t i = 0; i < n && length > 0; i++)
        x[i] /= length;
    return length > 0;
}

/* y = M M^T x, for M the points in rows. */
static void square(const struct cloud *cloud, const double *x, double *y)
{
    int64_t n = cloud->pixels;
    for (int64_t i = 0; i < n; i++)
        y[i] = 0;
    for (int64_t k = 0; k < cloud->channels; k++)
        add(dot(cloud->at + k * n, x, n), cloud->at + k * n, y, n);
}

/* The search: the vector so far, where to go from it, both squared, and what is left. */
struct search {
    double *x, *step, *square_x, *square_step, *rest;
};

/* The next direction to search in: conjugate to the last, at right angles to x. */
static bool aim(struct search *s, int64_t n, double value, double before, double *now)
{
    double last = 0, within;
    for (int64_t i = 0; i < n; i++) {
        double rest = s->square_x[i] - value * s->x[i];
        last += rest * s->rest[i];
        s->rest[i] = rest;
    }
    *now = dot(s->rest, s->rest, n);
    double keep = before > 0 ? fmax(0, (*now - last) / before) : 0;
    for (int64_t i = 0; i < n; i++)
        s->step[i] = s->rest[i] + keep * s->step[i];
    within = dot(s->x, s->step, n);
    add(-within, s->x, s->step, n);
    return normalise(s->step, n);
}

/* Makes s->x the eigenvector of M M^T with the largest eigenvalue, which is returned, by
 * conjugate gradients on the Rayleigh quotient: in each round the best vector in the plane
 * of x and step. *found: it is that vector to within CLOSE_ENOUGH. */
static double climb(const struct cloud *cloud, struct search *s, struct sal_job *job,
                    bool *found)
{
    int64_t n = cloud->pixels;
    double before = 0, now, value = 0;
    square(cloud, s->x, s->square_x);
    for (int round = 0; round < ROUNDS && !sal_job_cancelled(job); round++) {
        value = dot(s->x, s->square_x, n);
        bool more = aim(s, n, value, before, &now);
        *found = !(sqrt(now) > CLOSE_ENOUGH * value);
        if (*found || !more)
            break;
        square(cloud, s->step, s->square_step);
        double angle = 0.5 * atan2(2 * dot(s->x, s->square_step, n),
                                   value - dot(s->step, s->square_step, n));
        turn(cos(angle), sin(angle), s->x, s->step, n);
        turn(cos(angle), sin(angle), s->square_x, s->square_step, n);
        before = now;
    }
    return value;
}

/* ---- the map ----------------------------------------------------------------------------- */

/* Returns the sum of squares before centring. */
static double fill(const struct sal_cam_view *view, const struct cloud *cloud,
                   double *gradient)
{
    int64_t n = cloud->pixels;
    double size = 0;
    for (int64_t k = 0; k < cloud->channels; k++) {
        double *at = cloud->at + k * n, sum = 0;
        sal_cam_channel(view, view->activation, k, at);
        if (view->gradient)
            sal_cam_channel(view, view->gradient, k, gradient);
        for (int64_t i = 0; i < n; i++) {
            at[i] *= view->gradient ? gradient[i] : 1;
            sum += at[i];
        }
        size += dot(at, at, n);
        for (int64_t i = 0; i < n; i++)
            at[i] -= sum / (double)n;
    }
    return size;
}

/* Anything but at right angles to what is looked for. */
static void start(double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = 1 + cos(0.7 * (double)i * (double)i);
    normalise(x, n);
}

static double farther_end(const double *x, int64_t n)
{
    double low = 0, high = 0;
    for (int64_t i = 0; i < n; i++) {
        low = fmin(low, x[i]);
        high = fmax(high, x[i]);
    }
    return -low > high ? -1 : 1;
}

static enum sal_status project(const struct sal_cam_view *view, const struct cloud *cloud,
                               double *work, double *grid, struct sal_map *map,
                               struct sal_error *err)
{
    int64_t n = cloud->pixels;
    struct search search = {work, work + n, work + 2 * n, work + 3 * n, work + 4 * n};
    bool found = false;
    double size = fill(view, cloud, work);
    for (int64_t i = 0; i < n; i++)
        search.step[i] = search.rest[i] = 0;
    start(search.x, n);
    double value = climb(cloud, &search, view->question->job, &found);
    if (sal_job_cancelled(view->question->job))
        return sal_fail(err, SAL_CANCELLED, "cancelled");
    if (!(value > ROUNDING * ROUNDING * size))
        return SAL_OK;
    add(farther_end(search.x, n) * sqrt(value), search.x, grid, n);
    if (!found)
        snprintf(map->note, sizeof(map->note),
                 "several directions are about as strong as the first at this layer: which "
                 "of them is shown is chance");
    return SAL_OK;
}

static enum sal_status draw(const struct sal_cam_view *view, double *grid,
                            struct sal_map *map, struct sal_error *err)
{
    struct cloud cloud = {.channels = view->layer->channels, .pixels = view->pixels};
    cloud.at = calloc((size_t)(cloud.channels + 5), (size_t)cloud.pixels * sizeof(double));
    if (!cloud.at)
        return sal_fail(err, SAL_LIMIT, "no memory for %d channels of %d x %d",
                        view->layer->channels, view->layer->width, view->layer->height);
    enum sal_status status = project(view, &cloud, cloud.at + cloud.channels * cloud.pixels,
                                     grid, map, err);
    free(cloud.at);
    return status;
}

/* ---- the methods -------------------------------------------------------------------------- */

static const struct sal_param params[] = {
    SAL_CAM_EVIDENCE("positive keeps the end of the direction that reaches farther; both "
                     "keeps the other end too, as negative values"),
    {0},
};

static const struct sal_cam eigen = {.params = params,
                                     .unit = "activation",
                                     .blank = "this layer is the same at every position: it "
                                              "has no first direction",
                                     .draw = draw};

static enum sal_status eigencam(const struct sal_question *question, struct sal_map *map,
                                struct sal_error *err)
{
    return sal_cam_explain(&eigen, question, map, err);
}

const struct sal_method sal_method_eigencam = {
    .name = "eigencam",
    .title = "Eigen-CAM",
    .formula = "ReLU((A - mean_hw(A)) v), v the first right singular vector of A - mean_hw(A) "
               "(positions x channels), bilinear to the input; the same for every class",
    .paper = "Muhammad and Yeasin, IJCNN 2020, arXiv:2008.00299",
    .semantics = "pytorch-grad-cam's centred projection, but for the sign, which a "
                 "singular vector leaves open: the end that reaches farther is positive, "
                 "so that a map is not upside down by chance",
    .needs = SAL_NEEDS_LAYER,
    .params = params,
    .run = eigencam,
};

static const struct sal_cam eigengrad = {
    .params = params,
    .gradient = true,
    .blank = "gradient times activation is the same at every position of this layer: it has "
             "no first direction",
    .draw = draw};

static enum sal_status eigengradcam(const struct sal_question *question, struct sal_map *map,
                                    struct sal_error *err)
{
    return sal_cam_explain(&eigengrad, question, map, err);
}

const struct sal_method sal_method_eigengradcam = {
    .name = "eigengradcam",
    .title = "Eigen-Grad-CAM",
    .formula = "ReLU((E - mean_hw(E)) v), E = d score / d A * A, v the first right singular "
               "vector of E - mean_hw(E) (positions x channels), bilinear to the input",
    .paper = "Muhammad and Yeasin, IJCNN 2020, arXiv:2008.00299, with the gradient as in "
             "pytorch-grad-cam",
    .semantics = "pytorch-grad-cam's, of G A without ReLU; the sign is chosen as in "
                 "eigencam",
    .needs = SAL_NEEDS_GRADIENT | SAL_NEEDS_LAYER,
    .params = params,
    .run = eigengradcam,
};
