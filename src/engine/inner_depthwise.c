#include "inner_depthwise.h"

#include <assert.h>

#include "blocked.h"
#include "boxes.h"
#include "kernel.h"
#include "real.h"
#include "target.h"

enum { X, W, BASE };

void sal_inner_depthwise_pack(const sal_loose *w, const sal_real *scale,
                              int64_t channels, int64_t taps, sal_real *packed)
{
    for (int64_t c = 0; c < sal_blocks(channels) * SAL_BLOCK; c++)
        for (int64_t t = 0; t < taps; t++) {
            sal_real value = c < channels ? w[c * taps + t] : 0;
            if (scale && c < channels)
                value *= scale[c];
            packed[(c / SAL_BLOCK * taps + t) * SAL_BLOCK + c % SAL_BLOCK] = value;
        }
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct sal_inner_depthwise_attr *attr = infer->node->attr;
    const struct sal_shape *w = &infer->in[W]->shape;
    struct sal_shape shape = infer->in[X]->shape;
    struct sal_window fitted;
    assert(shape.rank == 5 && shape.dim[4] == SAL_BLOCK && w->rank == 4);
    assert(w->dim[0] == shape.dim[0] && w->dim[1] == attr->window.kernel[0] &&
           w->dim[2] == attr->window.kernel[1]);
    enum sal_status status =
        sal_window_output(infer->node, &attr->window, 2, NULL, shape.dim + 2, &fitted,
                          shape.dim + 2, err);
    if (status || (status = sal_infer_like(infer, 0, infer->in[X], &shape, err)))
        return status;
    return attr->saves ? sal_infer_saved(
                             infer, sal_saved_bytes(sal_shape_count(&shape), attr->after), err)
                       : SAL_OK;
}

/* ---- geometry ------------------------------------------------------------------- */

/* Of all planes; weights and base are the first block's. */
static struct sal_depthwise depthwise_of(const struct sal_kernel *k)
{
    const struct sal_inner_depthwise_attr *attr = k->node->attr;
    const struct sal_tensor *base = sal_kernel_in(k, BASE);
    struct sal_window fitted;
    struct sal_depthwise d = {.w = k->in[W]->real, .base = base ? base->real : NULL};
    for (int i = 0; i < 2; i++)
        d.in[i] = k->in[X]->shape.dim[i + 2];
    sal_window_output(k->node, &attr->window, 2, NULL, d.in, &fitted, d.out, NULL);
    for (int i = 0; i < 2; i++) {
        d.kernel[i] = fitted.kernel[i];
        d.stride[i] = fitted.stride[i];
        d.dilation[i] = fitted.dilation[i];
        d.pad[i] = fitted.pad_begin[i];
    }
    d.low = attr->low;
    d.high = attr->high;
    return d;
}

static int64_t taps_of(const struct sal_depthwise *d)
{
    return d->kernel[0] * d->kernel[1];
}

/* The same for plane p of blocks and images. */
static struct sal_depthwise of_plane(const struct sal_kernel *k,
                                     const struct sal_depthwise *all, int64_t p)
{
    const int64_t block = p / k->in[X]->shape.dim[1];
    struct sal_depthwise d = *all;
    d.w += block * taps_of(all) * SAL_BLOCK;
    if (d.base)
        d.base += block * SAL_BLOCK;
    return d;
}

static int64_t planes_of(const struct sal_kernel *k)
{
    return k->in[X]->shape.dim[0] * k->in[X]->shape.dim[1];
}

/* Rows of `width` pixels that make up a tile of work. */
static int64_t rows_of(const struct sal_depthwise *d, int64_t width)
{
    const int64_t macs = INT64_C(1) << 18, row = width * taps_of(d) * SAL_BLOCK;
    return row < macs / 4 ? macs / row : 4;
}

/* ---- forward -------------------------------------------------------------------- */

static struct sal_target target_of(const struct sal_kernel *k)
{
    const struct sal_inner_depthwise_attr *attr = k->node->attr;
    return (struct sal_target){.low = attr->low,
                               .high = attr->high,
                               .y = k->out[0]->real,
                               .after = attr->after,
                               .after_slope = attr->after_slope,
                               .saved = sal_saved_of(k, attr->after)};
}

static void forward_rows(const struct sal_kernel *k, int64_t from, int64_t to,
                         int worker)
{
    (void)worker;
    const struct sal_depthwise all = depthwise_of(k);
    const int64_t height = all.out[0];
    const struct sal_target target = target_of(k);
    while (from < to) {
        const int64_t plane = from / height, row = from % height;
        const int64_t past = sal_least(height, row + to - from);
        const struct sal_depthwise d = of_plane(k, &all, plane);
        sal_real *y = k->out[0]->real + plane * height * d.out[1] * SAL_BLOCK;
        sal_lanes()->depthwise(
            &d, k->in[X]->real + plane * d.in[0] * d.in[1] * SAL_BLOCK, y, row, past);
        sal_target_finish(&target, (y - target.y) + row * d.out[1] * SAL_BLOCK,
                          (past - row) * d.out[1]);
        from += past - row;
    }
}

static void forward(const struct sal_kernel *k)
{
    const struct sal_depthwise d = depthwise_of(k);
    sal_split(k->pool, planes_of(k) * d.out[0], rows_of(&d, d.out[1]), forward_rows, k);
}

/* ---- backward ------------------------------------------------------------------- */

struct rows {
    int64_t from, to;
};

/* Rows of the output that read any of the input's rows. */
static struct rows readers(const struct sal_depthwise *d, int64_t from, int64_t to)
{
    const int64_t reach = (d->kernel[0] - 1) * d->dilation[0], stride = d->stride[0];
    const int64_t first = from + d->pad[0] - reach, last = to - 1 + d->pad[0];
    struct rows rows = {first > 0 ? (first + stride - 1) / stride : 0,
                        last / stride + 1};
    rows.to = sal_least(rows.to, d->out[0]);
    rows.from = sal_least(rows.from, rows.to);
    return rows;
}

static void pull_rows(const struct sal_kernel *k, const struct sal_depthwise *all,
                      int64_t plane, struct rows rows, int worker)
{
    const struct sal_inner_depthwise_attr *attr = k->node->attr;
    const struct sal_depthwise d = of_plane(k, all, plane);
    const struct sal_saved saved = sal_saved_of(k, attr->after);
    const struct rows read = readers(&d, rows.from, rows.to);
    const int64_t pixels = d.out[1] * SAL_BLOCK;
    const int64_t at = (plane * d.out[0] + read.from) * pixels;
    const struct sal_source whole = {k->dy[0], saved.bits, saved.slope};
    const struct sal_source part = sal_source_at(&whole, at);
    const sal_real *dy = part.x;
    sal_real *dx = k->dx[X] + plane * d.in[0] * d.in[1] * SAL_BLOCK;
    if (attr->saves) {
        sal_real *scratch = k->scratch + worker * k->scratch_stride;
        sal_lanes()->pass(scratch, &part, (read.to - read.from) * d.out[1]);
        dy = scratch;
    }
    const bool adds = !(k->fresh >> X & 1);
    sal_lanes()->depthwise_back(&d, dy, read.from, adds, dx, rows.from, rows.to);
}

static void backward_rows(const struct sal_kernel *k, int64_t from, int64_t to,
                          int worker)
{
    const struct sal_depthwise all = depthwise_of(k);
    const int64_t height = all.in[0], most = rows_of(&all, all.in[1]);
    while (from < to) {
        const int64_t plane = from / height, row = from % height;
        const int64_t past = sal_least(height, row + sal_least(to - from, most));
        pull_rows(k, &all, plane, (struct rows){row, past}, worker);
        from += past - row;
    }
}

static void backward(const struct sal_kernel *k)
{
    const struct sal_depthwise d = depthwise_of(k);
    if (k->dx[X] && k->dy[0])
        sal_split(k->pool, planes_of(k) * d.in[0], rows_of(&d, d.in[1]), backward_rows,
                  k);
}

/* The masked gradient of what one tile of rows reads. */
static size_t scratch(const struct sal_kernel *k, bool back)
{
    const struct sal_depthwise d = depthwise_of(k);
    if (!back || k->node->n_out < 2)
        return 0;
    const int64_t reach = (d.kernel[0] - 1) * d.dilation[0];
    const int64_t rows = (rows_of(&d, d.in[1]) + reach) / d.stride[0] + 2;
    return (size_t)(sal_least(rows, d.out[0]) * d.out[1] * SAL_BLOCK);
}

static double macs(const struct sal_kernel *k)
{
    const struct sal_depthwise d = depthwise_of(k);
    return (double)sal_shape_count(&k->out[0]->shape) * (double)taps_of(&d);
}

/* ---- boxes ---------------------------------------------------------------------- */

static bool region_reach(const struct sal_node *node, const struct sal_tensor *const *in,
                         int input, struct sal_reach *reach)
{
    (void)input;
    const struct sal_inner_depthwise_attr *attr = node->attr;
    return sal_reach_of_window(node, &attr->window, in[X]->shape.dim + 2, reach);
}

static size_t region_scratch(const struct sal_region_kernel *k)
{
    return (size_t)sal_region_slab(k);
}

struct region_work {
    const struct sal_region_kernel *k;
    struct sal_kernel kernel; /* for one image: weights and geometry */
};

/* One plane of one image's box, from a slab that has what lies in the map. */
static void region_box(void *context, int tile, int worker)
{
    const struct region_work *work = context;
    const struct sal_region_kernel *k = work->k;
    const struct sal_inner_depthwise_attr *attr = k->node->attr;
    const int image = tile % k->to->n;
    const int64_t plane = tile / k->to->n;
    struct sal_depthwise d = depthwise_of(&work->kernel);
    const struct sal_window_box box = sal_region_window_box(k, image);
    for (int i = 0; i < 2; i++) {
        d.in[i] = box.in[i];
        d.out[i] = box.out[i];
        d.pad[i] = box.pad[i];
    }
    if (!d.out[0])
        return;
    d.w += plane * taps_of(&d) * SAL_BLOCK;
    if (d.base)
        d.base += plane * SAL_BLOCK;
    sal_real *slab = k->scratch + (size_t)worker * k->scratch_stride;
    sal_real *y = k->to->data +
                  (plane * sal_field_pixels(k->to) + k->to->first[image]) * SAL_BLOCK;
    sal_field_box(k->fields[X], plane, image, &box.read, slab);
    sal_lanes()->depthwise(&d, slab, y, 0, d.out[0]);
    if (attr->after)
        attr->after(y, y, d.out[0] * d.out[1] * SAL_BLOCK);
}

static bool region_forward(const struct sal_region_kernel *k)
{
    struct region_work work = {k, {.node = k->node, .in = k->in}};
    sal_pool_run(k->pool, (int)k->to->planes * k->to->n, region_box, &work);
    return true;
}

static const struct sal_region_op region = {
    .reach = region_reach, .scratch = region_scratch, .forward = region_forward};

#define ROW(saves)                                                                     \
    {                                                                                  \
        .name = "Conv",                                                                \
        .min_in = 2,                                                                   \
        .max_in = 3,                                                                   \
        .max_out = 1 + saves,                                                          \
        .infer = infer,                                                                \
        .forward = forward,                                                            \
        .backward = backward,                                                          \
        .begins = true,                                                                \
        .carry = sal_carry_in_order,                                                   \
        .region = &region,                                                             \
        .scratch = scratch,                                                            \
        .macs = macs,                                                                  \
        .frugal = true,                                                                \
        .reads = {{.out = saves << 1}},                                                \
        .no_gradient = 1U << W | 1U << BASE,                                           \
        .mixes = true,                                                                 \
    }

static const struct sal_op ops[2] = {ROW(0), ROW(1)};

const struct sal_op *sal_inner_depthwise_op(const struct sal_inner_depthwise_attr *attr)
{
    return &ops[attr->saves];
}
