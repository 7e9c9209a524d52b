/* GridSample 16, 20 and 22. */
#include <inttypes.h>

#include "kernel.h"
#include "real.h"

enum { AXES = 3, REACH = 4, TAPS = REACH * REACH * REACH };
enum mode { NEAREST, LINEAR, CUBIC, MODES };
enum padding { ZEROS, BORDER, REFLECTION, PADDINGS };

/* Opset 16 has them in two dimensions only, and says so. */
static const char *const old_mode_names[MODES] = {
    [NEAREST] = "nearest",
    [LINEAR] = "bilinear",
    [CUBIC] = "bicubic",
};

static const char *const mode_names[MODES] = {
    [NEAREST] = "nearest",
    [LINEAR] = "linear",
    [CUBIC] = "cubic",
};

static const char *const padding_names[PADDINGS] = {
    [ZEROS] = "zeros",
    [BORDER] = "border",
    [REFLECTION] = "reflection",
};

struct grid_sample {
    int mode, padding;
    int64_t aligned; /* -1 and 1 are the centres of the outermost pixels, not edges */
};

/* ---- attributes and shapes --------------------------------------------------- */

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    struct grid_sample *sample = sal_new(arena, struct grid_sample, 1);
    if (!sample)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = sample;
    const char *const *modes = node->opset < 20 ? old_mode_names : mode_names;
    enum sal_status status =
        sal_attr_word(node, source, "mode", modes, MODES, LINEAR, &sample->mode, err);
    (void)(status ||
           (status = sal_attr_word(node, source, "padding_mode", padding_names,
                                   PADDINGS, ZEROS, &sample->padding, err)) ||
           (status = sal_attr_int(source, "align_corners", 0, &sample->aligned, err)));
    return status;
}

static enum sal_status check_grid(const struct sal_infer *infer, struct sal_error *err)
{
    const struct sal_shape *x = &infer->in[0]->shape, *grid = &infer->in[1]->shape;
    if (x->rank < 3 || x->rank > AXES + 2)
        return sal_node_fail(
            infer->node, err, x->rank < 3 ? SAL_BAD_INPUT : SAL_UNSUPPORTED,
            "input has %d axes, 3 to %d are supported", x->rank, AXES + 2);
    if (grid->rank != x->rank || grid->dim[0] != x->dim[0] ||
        grid->dim[grid->rank - 1] != x->rank - 2)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "grid must have %d axes, %" PRId64
                             " images and %d coordinates",
                             x->rank, x->dim[0], x->rank - 2);
    for (int i = 2; i < x->rank; i++)
        if (x->dim[i] < 1 || x->dim[i] > SAL_ONNX_DIM_MAX)
            return sal_node_fail(
                infer->node, err, SAL_BAD_INPUT,
                "axis %d has %" PRId64 " elements, must have 1 or more", i, x->dim[i]);
    return SAL_OK;
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = sal_infer_kind(infer, 0, SAL_REAL, err);
    if (status || (status = sal_infer_kind(infer, 1, SAL_REAL, err)) ||
        (status = check_grid(infer, err)))
        return status;
    struct sal_shape shape = infer->in[0]->shape;
    for (int i = 2; i < shape.rank; i++)
        shape.dim[i] = infer->in[1]->shape.dim[i - 1];
    return sal_infer_like(infer, 0, infer->in[0], &shape, err);
}

/* ---- one axis ---------------------------------------------------------------- */

/* What a coordinate reads along one axis. */
struct reading {
    int n;
    int64_t at[REACH]; /* -1: outside, a zero */
    sal_real weight[REACH];
    sal_real slope[REACH]; /* of the weight, by the coordinate as the grid has it */
};

/* x, reflected at low and high until it lies between them; *turns its slope. */
static sal_real reflect(sal_real x, sal_real low, sal_real high, sal_real *slope)
{
    sal_real range = high - low;
    if (range <= 0) {
        *slope = 0;
        return low;
    }
    sal_real far = sal_fmod(sal_abs(x - low), 2 * range);
    *slope = (x < low) != (far > range) ? -1 : 1;
    return low + (far > range ? 2 * range - far : far);
}

/* Where a grid's coordinate lies on an axis of n elements, before padding. */
static sal_real place_of(const struct grid_sample *sample, sal_real grid, int64_t n,
                         sal_real *slope)
{
    const sal_real half = SAL_REAL_OF(0.5), size = (sal_real)n;
    *slope = half * (sample->aligned ? size - 1 : size);
    sal_real x = sample->aligned ? (grid + 1) * half * (size - 1)
                                 : ((grid + 1) * size - 1) * half;
    return sample->mode == NEAREST ? sal_rint(x) : x;
}

/* Only what lies outside of the border is moved. The standard's reference moves cubic
 * coordinates to the border too; PyTorch, where they come from, and onnxruntime move
 * each of the four taps, so here they are moved only so far that all of them are out. */
static sal_real pad(const struct grid_sample *sample, sal_real x, int64_t n,
                    sal_real *slope)
{
    const sal_real half = SAL_REAL_OF(0.5), last = (sal_real)(n - 1);
    sal_real low = sample->aligned ? 0 : -half, turn = 1;
    sal_real high = sample->aligned ? last : last + half;
    if (x >= low && x <= high)
        return x;
    if (sample->padding == BORDER) {
        sal_real far = sample->mode == CUBIC ? 3 : 0;
        turn = x < -far || x > last + far ? 0 : 1;
        x = x < -far ? -far : x > last + far ? last + far : x;
    } else if (sample->padding == REFLECTION) {
        x = reflect(x, low, high, &turn);
    }
    *slope *= turn;
    return x;
}

/* The element that stands at position i, which may lie outside; -1: a zero. */
static int64_t element(const struct grid_sample *sample, int64_t i, int64_t n)
{
    if (i >= 0 && i < n)
        return i;
    if (sample->padding == ZEROS)
        return -1;
    if (sample->padding == BORDER)
        return i < 0 ? 0 : n - 1;
    int64_t period = sample->aligned ? 2 * (n - 1) : 2 * n;
    if (!period)
        return 0;
    i = i % period + (i < 0 ? period : 0);
    i = i == period ? 0 : i;
    return i < n ? i : period - i - (sample->aligned ? 0 : 1);
}

/* Keys, Cubic convolution interpolation, 1981, with a = -0.75: the weight at distance
 * d, and its slope, for d in 0..1 and in 1..2. */
static sal_real near_cubic(sal_real d, sal_real *slope)
{
    const sal_real a = SAL_REAL_OF(-0.75);
    *slope = (3 * (a + 2) * d - 2 * (a + 3)) * d;
    return ((a + 2) * d - (a + 3)) * d * d + 1;
}

static sal_real far_cubic(sal_real d, sal_real *slope)
{
    const sal_real a = SAL_REAL_OF(-0.75);
    *slope = (3 * a * d - 10 * a) * d + 8 * a;
    return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
}

static void weigh(int mode, sal_real t, struct reading *r)
{
    sal_real *w = r->weight, *s = r->slope;
    switch (mode) {
    case NEAREST:
        w[0] = 1;
        s[0] = 0;
        break;
    case LINEAR:
        w[0] = 1 - t;
        w[1] = t;
        s[0] = -1;
        s[1] = 1;
        break;
    default:
        w[0] = far_cubic(t + 1, &s[0]);
        w[1] = near_cubic(t, &s[1]);
        w[2] = near_cubic(1 - t, &s[2]);
        w[3] = far_cubic(2 - t, &s[3]);
        s[2] = -s[2]; /* these two distances shrink as t grows */
        s[3] = -s[3];
    }
}

static const int reaches[MODES] = {[NEAREST] = 1, [LINEAR] = 2, [CUBIC] = 4};

/* Coordinates too far out for an integer, or none at all, read nothing. */
static struct reading read_axis(const struct grid_sample *sample, sal_real grid,
                                int64_t n)
{
    struct reading r = {.n = 0};
    sal_real slope, x = place_of(sample, grid, n, &slope);
    x = pad(sample, x, n, &slope);
    if (!(sal_abs(x) <= SAL_REAL_OF(0x1p40)))
        return r;
    r.n = reaches[sample->mode];
    int64_t first = (int64_t)sal_floor(x);
    weigh(sample->mode, x - sal_floor(x), &r);
    first -= sample->mode == CUBIC;
    for (int i = 0; i < r.n; i++) {
        r.at[i] = element(sample, first + i, n);
        r.slope[i] *= slope;
    }
    return r;
}

/* ---- points ------------------------------------------------------------------ */

struct geometry {
    const struct grid_sample *sample;
    int axes;
    int64_t size[AXES]; /* of the input, its last axis first, as grids have it */
    int64_t images, channels, plane, points;
};

static struct geometry geometry_of(const struct sal_kernel *k)
{
    const struct sal_shape *x = &k->in[0]->shape, *y = &k->out[0]->shape;
    struct geometry g = {
        .sample = k->node->attr,
        .axes = x->rank - 2,
        .images = x->dim[0],
        .channels = x->dim[1],
        .plane = sal_shape_span(x, 2, x->rank),
        .points = sal_shape_span(y, 2, y->rank),
    };
    for (int i = 0; i < AXES; i++)
        g.size[i] = i < g.axes ? x->dim[x->rank - 1 - i] : 1;
    return g;
}

/* Everything that one point of the grid reads of a plane. */
struct point {
    int n;
    int64_t at[TAPS];
    sal_real weight[TAPS];
    sal_real slope[AXES][TAPS]; /* of the weight, by each coordinate */
};

static void read_point(const struct geometry *g, const sal_real *grid,
                       struct point *point)
{
    struct reading r[AXES];
    for (int i = 0; i < AXES; i++)
        r[i] = i < g->axes ? read_axis(g->sample, grid[i], g->size[i])
                           : (struct reading){.n = 1, .weight = {1}};
    point->n = 0;
    for (int c = 0; c < r[2].n; c++)
        for (int b = 0; b < r[1].n; b++)
            for (int a = 0; a < r[0].n; a++) {
                if (r[0].at[a] < 0 || r[1].at[b] < 0 || r[2].at[c] < 0)
                    continue;
                sal_real wa = r[0].weight[a], wb = r[1].weight[b], wc = r[2].weight[c];
                int i = point->n++;
                point->at[i] =
                    (r[2].at[c] * g->size[1] + r[1].at[b]) * g->size[0] + r[0].at[a];
                point->weight[i] = wa * wb * wc;
                point->slope[0][i] = r[0].slope[a] * wb * wc;
                point->slope[1][i] = wa * r[1].slope[b] * wc;
                point->slope[2][i] = wa * wb * r[2].slope[c];
            }
}

static const sal_real *grid_at(const struct sal_kernel *k, const struct geometry *g,
                               int64_t index)
{
    return k->in[1]->real + index * g->axes;
}

static void sample_points(const struct sal_kernel *k, int64_t from, int64_t to,
                          int worker)
{
    (void)worker;
    const struct geometry geometry = geometry_of(k), *g = &geometry;
    struct point point;
    for (int64_t index = from; index < to; index++) {
        int64_t first = index / g->points * g->channels; /* plane of the image */
        read_point(g, grid_at(k, g, index), &point);
        for (int64_t c = first; c < first + g->channels; c++) {
            const sal_real *x = k->in[0]->real + c * g->plane;
            sal_real sum = 0;
            for (int i = 0; i < point.n; i++)
                sum += point.weight[i] * x[point.at[i]];
            k->out[0]->real[c * g->points + index % g->points] = sum;
        }
    }
}

static void grid_gradient(const struct sal_kernel *k, int64_t from, int64_t to,
                          int worker)
{
    (void)worker;
    const struct geometry geometry = geometry_of(k), *g = &geometry;
    struct point point;
    for (int64_t index = from; index < to; index++) {
        int64_t first = index / g->points * g->channels;
        sal_real sum[AXES] = {0};
        read_point(g, grid_at(k, g, index), &point);
        for (int64_t c = first; c < first + g->channels; c++) {
            const sal_real *x = k->in[0]->real + c * g->plane;
            sal_real dy = k->dy[0][c * g->points + index % g->points];
            for (int axis = 0; axis < g->axes; axis++)
                for (int i = 0; i < point.n; i++)
                    sum[axis] += dy * point.slope[axis][i] * x[point.at[i]];
        }
        for (int axis = 0; axis < g->axes; axis++)
            k->dx[1][index * g->axes + axis] += sum[axis];
    }
}

/* Points may read the same pixels, so planes are one thread's; several together, so
 * that points are worked out seldom. */
enum { BLOCK = 8 };

static int64_t blocks_of(const struct geometry *g)
{
    return (g->channels + BLOCK - 1) / BLOCK;
}

static void image_gradient(const struct sal_kernel *k, int64_t from, int64_t to,
                           int worker)
{
    (void)worker;
    const struct geometry geometry = geometry_of(k), *g = &geometry;
    struct point point;
    for (int64_t block = from; block < to; block++) {
        int64_t image = block / blocks_of(g), c0 = block % blocks_of(g) * BLOCK;
        int64_t first = image * g->channels + c0;
        int64_t last = first + sal_least(BLOCK, g->channels - c0);
        for (int64_t p = 0; p < g->points; p++) {
            read_point(g, grid_at(k, g, image * g->points + p), &point);
            for (int64_t c = first; c < last; c++) {
                sal_real dy = k->dy[0][c * g->points + p];
                sal_real *dx = k->dx[0] + c * g->plane;
                for (int i = 0; i < point.n; i++)
                    dx[point.at[i]] += point.weight[i] * dy;
            }
        }
    }
}

static void forward(const struct sal_kernel *k)
{
    const struct geometry g = geometry_of(k);
    int64_t taps = (int64_t)1 << 2 * g.axes; /* at most */
    if (sal_shape_count(&k->out[0]->shape))
        sal_split(k->pool, g.images * g.points, sal_grain(taps * (g.channels + 1)),
                  sample_points, k);
}

static void backward(const struct sal_kernel *k)
{
    const struct geometry g = geometry_of(k);
    if (!k->dy[0] || !sal_shape_count(&k->out[0]->shape))
        return;
    if (k->dx[0])
        sal_split(k->pool, g.images * blocks_of(&g), 1, image_gradient, k);
    if (k->dx[1])
        sal_split(k->pool, g.images * g.points, sal_grain(16 * (g.channels + 1)),
                  grid_gradient, k);
}

/* Images and channels stay; space goes where the grid says. */
static void carry(const struct sal_kernel *k, int input, int output,
                  struct sal_carry *carry)
{
    (void)k;
    (void)output;
    carry->axis[0] = 0;
    if (!input)
        carry->axis[1] = 1;
}

const struct sal_op sal_op_GridSample = {
    .name = "GridSample",
    .since = 16,
    .until = SAL_OPSET_MAX,
    .min_in = 2,
    .max_in = 2,
    .max_out = 1,
    .parse = parse,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .frugal = true,
    .reads = {{.in = 1u << 1}, {.in = 1u << 0 | 1u << 1}},
    .carry = carry,
};
