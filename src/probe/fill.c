#include "fill.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "saliscope/random.h"

const char *const sal_fill_names[] = {"mean", "black", "blur", "noise", NULL};

/* One plane with its hole; keep [pixels]: what the filling is made of. */
struct plane {
    int width, height;
    const uint8_t *hole;
    const uint8_t *keep;
    const float *from;
    float *to;
};

static int64_t pixels_of(const struct plane *plane)
{
    return (int64_t)plane->width * plane->height;
}

static double mean_of(const struct plane *plane)
{
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < pixels_of(plane); i++)
        if (plane->keep[i]) {
            sum += (double)plane->from[i];
            n++;
        }
    return n ? sum / (double)n : 0;
}

static void fill_even(const struct plane *plane, double value)
{
    for (int64_t i = 0; i < pixels_of(plane); i++)
        plane->to[i] = plane->hole[i] ? (float)value : plane->from[i];
}

static void fill_noise(const struct plane *plane, uint64_t key)
{
    for (int64_t i = 0; i < pixels_of(plane); i++)
        plane->to[i] = plane->hole[i] ? (float)sal_random_uniform(key, (uint64_t)i)
                                      : plane->from[i];
}

/* ---- blur ------------------------------------------------------------------------------- */

/* Rows and columns that hold all of the hole; empty: bottom is top. */
struct extent {
    int top, left, bottom, right;
};

static struct extent extent_of(const struct plane *plane)
{
    struct extent e = {plane->height, plane->width, 0, 0};
    for (int y = 0; y < plane->height; y++)
        for (int x = 0; x < plane->width; x++) {
            if (!plane->hole[(int64_t)y * plane->width + x])
                continue;
            e.top = y < e.top ? y : e.top;
            e.left = x < e.left ? x : e.left;
            e.bottom = y + 1;
            e.right = x + 1 > e.right ? x + 1 : e.right;
        }
    return e;
}

struct gauss {
    double *weights; /* [radius + 1], from the middle outwards */
    int radius;
    double *sum, *share; /* [pixels], along rows: of what is kept, and how much that is */
};

static void blur_row(const struct plane *plane, const struct gauss *g, int y, int left,
                     int right)
{
    for (int x = left; x < right; x++) {
        double sum = 0, share = 0;
        int first = x - g->radius > 0 ? x - g->radius : 0;
        int last = x + g->radius < plane->width - 1 ? x + g->radius : plane->width - 1;
        for (int u = first; u <= last; u++) {
            int64_t at = (int64_t)y * plane->width + u;
            double weight = plane->keep[at] ? g->weights[abs(u - x)] : 0;
            sum += weight * (double)plane->from[at];
            share += weight;
        }
        g->sum[(int64_t)y * plane->width + x] = sum;
        g->share[(int64_t)y * plane->width + x] = share;
    }
}

/* The mean of what is kept around the pixel, `mean` where that is nothing. */
static double blur_column(const struct plane *plane, const struct gauss *g, int y, int x,
                          double mean)
{
    double sum = 0, share = 0;
    int first = y - g->radius > 0 ? y - g->radius : 0;
    int last = y + g->radius < plane->height - 1 ? y + g->radius : plane->height - 1;
    for (int v = first; v <= last; v++) {
        int64_t at = (int64_t)v * plane->width + x;
        sum += g->weights[abs(v - y)] * g->sum[at];
        share += g->weights[abs(v - y)] * g->share[at];
    }
    return share > 0 ? sum / share : mean;
}

static void fill_blurred(const struct plane *plane, const struct gauss *g)
{
    struct extent e = extent_of(plane);
    double mean = mean_of(plane);
    int top = e.top - g->radius > 0 ? e.top - g->radius : 0;
    int bottom = e.bottom + g->radius < plane->height ? e.bottom + g->radius : plane->height;
    for (int y = top; y < bottom; y++)
        blur_row(plane, g, y, e.left, e.right);
    memcpy(plane->to, plane->from, (size_t)pixels_of(plane) * sizeof(*plane->to));
    for (int y = e.top; y < e.bottom; y++)
        for (int x = e.left; x < e.right; x++) {
            int64_t at = (int64_t)y * plane->width + x;
            if (plane->hole[at])
                plane->to[at] = (float)blur_column(plane, g, y, x, mean);
        }
}

static enum sal_status fill_blur(const struct plane *plane, double sigma, struct sal_error *err)
{
    int most = plane->width > plane->height ? plane->width : plane->height;
    int radius = (int)fmin(ceil(3 * sigma), most);
    size_t n = (size_t)pixels_of(plane);
    double *room = calloc(2 * n + (size_t)radius + 1, sizeof(*room));
    if (!room)
        return sal_fail(err, SAL_LIMIT, "no memory for a picture of %d x %d", plane->width,
                        plane->height);
    struct gauss g = {room + 2 * n, radius, room, room + n};
    for (int k = 0; k <= radius; k++)
        g.weights[k] = exp(-0.5 * k * k / (sigma * sigma));
    fill_blurred(plane, &g);
    free(room);
    return SAL_OK;
}

/* ---- by name -------------------------------------------------------------------------------- */

static enum sal_status fill_plane(const struct plane *plane, struct sal_fill fill, int number,
                                  struct sal_error *err)
{
    switch (fill.kind) {
    case SAL_FILL_BLUR:
        return fill_blur(plane, fill.sigma, err);
    case SAL_FILL_NOISE:
        fill_noise(plane, sal_random_key(fill.key, (uint64_t)number));
        break;
    case SAL_FILL_MEAN:
        fill_even(plane, mean_of(plane));
        break;
    case SAL_FILL_BLACK:
        fill_even(plane, 0);
        break;
    }
    return SAL_OK;
}

enum sal_status sal_fill_hole(const struct sal_space *space, const uint8_t *shown,
                              const uint8_t *hole, struct sal_fill fill, float *out,
                              struct sal_error *err)
{
    size_t n = (size_t)space->pixels;
    uint8_t *masks = calloc(2 * n, 1), *holes = masks;
    enum sal_status status = SAL_OK;
    if (!masks)
        return sal_fail(err, SAL_LIMIT, "no memory for a picture");
    uint8_t *keep = masks + n;
    for (size_t i = 0; i < n; i++) {
        bool is = !shown || shown[i];
        holes[i] = is && hole[i];
        keep[i] = is && !hole[i];
    }
    for (int k = 0; k < space->planes && !status; k++) {
        struct plane plane = {space->input->width, space->input->height, holes, keep,
                              space->p0 + k * space->pixels, out + k * space->pixels};
        status = fill_plane(&plane, fill, k, err);
    }
    free(masks);
    return status;
}
