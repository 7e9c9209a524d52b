/* RoiAlign 10, 16 and 22. The gradient goes to the image, not to the regions. */
#include <inttypes.h>

#include "kernel.h"
#include "real.h"

enum mode { AVERAGE, MAXIMUM, MODES };
enum place { HALF_PIXEL, OUTPUT_HALF_PIXEL, PLACES };
enum { Y, X, SIDES, CORNERS = 4 };
enum { SAMPLES_MOST = 4096 }; /* along one axis of a bin */

static const char *const mode_names[MODES] = {[AVERAGE] = "avg", [MAXIMUM] = "max"};

static const char *const place_names[PLACES] = {
    [HALF_PIXEL] = "half_pixel",
    [OUTPUT_HALF_PIXEL] = "output_half_pixel",
};

struct roi_align {
    int mode, place;
    int64_t out[SIDES];
    int64_t samples; /* along each axis of a bin; 0: as many as it has pixels */
    sal_real scale;
};

/* ---- attributes and shapes --------------------------------------------------- */

static enum sal_status check(const struct sal_node *node, const struct roi_align *roi,
                             struct sal_error *err)
{
    if (roi->out[Y] < 1 || roi->out[X] < 1 || roi->out[Y] > SAL_ONNX_DIM_MAX ||
        roi->out[X] > SAL_ONNX_DIM_MAX)
        return sal_node_fail(node, err, SAL_BAD_INPUT,
                             "output is %" PRId64 " x %" PRId64
                             ", must be 1 x 1 or more",
                             roi->out[Y], roi->out[X]);
    if (roi->samples < 0 || roi->samples > SAMPLES_MOST)
        return sal_node_fail(node, err, SAL_BAD_INPUT,
                             "sampling_ratio is %" PRId64 ", must be 0 to %d",
                             roi->samples, SAMPLES_MOST);
    return SAL_OK;
}

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    struct roi_align *roi = sal_new(arena, struct roi_align, 1);
    double scale = 1;
    if (!roi)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = roi;
    int place = node->opset < 16 ? OUTPUT_HALF_PIXEL : HALF_PIXEL;
    enum sal_status status = sal_attr_word(node, source, "mode", mode_names, MODES,
                                           AVERAGE, &roi->mode, err);
    (void)(status ||
           (status = sal_attr_word(node, source, "coordinate_transformation_mode",
                                   place_names, PLACES, place, &roi->place, err)) ||
           (status = sal_attr_int(source, "output_height", 1, &roi->out[Y], err)) ||
           (status = sal_attr_int(source, "output_width", 1, &roi->out[X], err)) ||
           (status = sal_attr_int(source, "sampling_ratio", 0, &roi->samples, err)) ||
           (status = sal_attr_float(source, "spatial_scale", 1, &scale, err)));
    roi->scale = (sal_real)scale;
    return status ? status : check(node, roi, err);
}

static enum sal_status check_images(const struct sal_infer *infer, int64_t images,
                                    struct sal_error *err)
{
    const struct sal_tensor *index = infer->in[2];
    int64_t n = index->data ? sal_shape_count(&index->shape) : 0;
    for (int64_t i = 0; i < n; i++)
        if (index->i64[i] < 0 || index->i64[i] >= images)
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "batch index %" PRId64 " is outside of %" PRId64
                                 " images",
                                 index->i64[i], images);
    return SAL_OK;
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct roi_align *roi = infer->node->attr;
    enum sal_status status = sal_infer_kind(infer, 0, SAL_REAL, err);
    if (status || (status = sal_infer_kind(infer, 1, SAL_REAL, err)) ||
        (status = sal_infer_kind(infer, 2, SAL_INT, err)))
        return status;
    const struct sal_shape *x = &infer->in[0]->shape, *rois = &infer->in[1]->shape;
    const struct sal_shape *index = &infer->in[2]->shape;
    if (x->rank != 4)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "input has %d axes, must have 4", x->rank);
    if (rois->rank != 2 || rois->dim[1] != 4 || index->rank != 1 ||
        index->dim[0] != rois->dim[0])
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "rois must be n x 4 and batch_indices n");
    if (x->dim[2] < 1 || x->dim[3] < 1)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT, "input has empty planes");
    struct sal_shape shape = {
        .rank = 4, .dim = {rois->dim[0], x->dim[1], roi->out[Y], roi->out[X]}};
    status = check_images(infer, x->dim[0], err);
    return status ? status : sal_infer_like(infer, 0, infer->in[0], &shape, err);
}

/* ---- regions ----------------------------------------------------------------- */

struct region {
    int64_t image; /* -1: there is none of that index */
    sal_real start[SIDES], bin[SIDES];
    int64_t samples[SIDES]; /* of a bin */
};

static struct region region_of(const struct sal_kernel *k, int64_t index)
{
    const struct roi_align *roi = k->node->attr;
    const sal_real *box = k->in[1]->real + 4 * index; /* x1, y1, x2, y2 */
    const sal_real shift = roi->place == HALF_PIXEL ? SAL_REAL_OF(0.5) : 0;
    struct region r = {.image = k->in[2]->i64[index]};
    if (r.image < 0 || r.image >= k->in[0]->shape.dim[0])
        r.image = -1;
    for (int side = 0; side < SIDES; side++) {
        sal_real end = box[3 - side] * roi->scale - shift;
        r.start[side] = box[1 - side] * roi->scale - shift;
        sal_real size = end - r.start[side];
        if (roi->place != HALF_PIXEL && !(size >= 1))
            size = 1;
        r.bin[side] = size / (sal_real)roi->out[side];
        sal_real pixels = sal_ceil(r.bin[side]);
        r.samples[side] = roi->samples            ? roi->samples
                          : !(pixels > 0)         ? 0
                          : pixels > SAMPLES_MOST ? SAMPLES_MOST
                                                  : (int64_t)pixels;
    }
    return r;
}

/* The four pixels around a sample; n 0: it lies outside. */
struct corners {
    int n;
    int64_t at[CORNERS];
    sal_real weight[CORNERS];
};

/* One axis: the pixel before `at` and how far behind it that lies, the next pixel. */
static bool split_axis(sal_real at, int64_t n, int64_t pixel[2], sal_real weight[2])
{
    if (!(at >= -1 && at <= (sal_real)n))
        return false;
    at = at < 0 ? 0 : at;
    pixel[0] = sal_least((int64_t)at, n - 1);
    pixel[1] = sal_least(pixel[0] + 1, n - 1);
    weight[1] = pixel[0] == n - 1 ? 0 : at - (sal_real)pixel[0];
    weight[0] = 1 - weight[1];
    return true;
}

/* Sample `index` of a bin. */
static struct corners corners_of(const struct sal_kernel *k, const struct region *r,
                                 const int64_t bin[SIDES], int64_t index)
{
    const struct sal_shape *x = &k->in[0]->shape;
    const int64_t sample[SIDES] = {index / r->samples[X], index % r->samples[X]};
    int64_t pixel[SIDES][2];
    sal_real weight[SIDES][2];
    struct corners corners = {.n = 0};
    for (int side = 0; side < SIDES; side++) {
        sal_real within = ((sal_real)sample[side] + SAL_REAL_OF(0.5)) * r->bin[side] /
                          (sal_real)r->samples[side];
        sal_real at = r->start[side] + (sal_real)bin[side] * r->bin[side] + within;
        if (!split_axis(at, x->dim[2 + side], pixel[side], weight[side]))
            return corners;
    }
    for (int i = 0; i < CORNERS; i++) {
        corners.at[i] = pixel[Y][i / 2] * x->dim[3] + pixel[X][i % 2];
        corners.weight[i] = weight[Y][i / 2] * weight[X][i % 2];
    }
    corners.n = CORNERS;
    return corners;
}

/* ---- bins -------------------------------------------------------------------- */

/* Channels that are worked on together, so that corners are worked out seldom. */
enum { BLOCK = 8 };

struct bin {
    const struct sal_kernel *k;
    const struct region *region;
    int64_t at[SIDES];
    int64_t samples; /* all of them */
    const sal_real *x[BLOCK];
    int n; /* channels */
};

static void average(const struct bin *bin, sal_real y[BLOCK])
{
    for (int c = 0; c < bin->n; c++)
        y[c] = 0;
    for (int64_t s = 0; s < bin->samples; s++) {
        struct corners corners = corners_of(bin->k, bin->region, bin->at, s);
        for (int c = 0; c < bin->n; c++)
            for (int i = 0; i < corners.n; i++)
                y[c] += corners.weight[i] * bin->x[c][corners.at[i]];
    }
    for (int c = 0; c < bin->n && bin->samples; c++)
        y[c] /= (sal_real)bin->samples;
}

/* A maximum over weighted corners, as the standard has it, not over samples. What is
 * outside counts as 0. The pixel that it came from and its weight; -1: from none. */
struct best {
    sal_real value, weight;
    int64_t at;
};

static void maximum(const struct bin *bin, struct best best[BLOCK])
{
    for (int c = 0; c < bin->n; c++)
        best[c] = (struct best){.at = -1, .value = bin->samples ? -SAL_INFINITY : 0};
    for (int64_t s = 0; s < bin->samples; s++) {
        struct corners corners = corners_of(bin->k, bin->region, bin->at, s);
        for (int c = 0; c < bin->n; c++) {
            if (!corners.n && best[c].value < 0)
                best[c] = (struct best){.at = -1};
            for (int i = 0; i < corners.n; i++) {
                sal_real value = corners.weight[i] * bin->x[c][corners.at[i]];
                if (value > best[c].value || value != value)
                    best[c] = (struct best){value, corners.weight[i], corners.at[i]};
            }
        }
    }
}

static struct bin bin_of(const struct sal_kernel *k, const struct region *region,
                         int64_t channel, int64_t index)
{
    const struct roi_align *roi = k->node->attr;
    const struct sal_shape *x = &k->in[0]->shape;
    struct bin bin = {
        .k = k,
        .region = region,
        .at = {index / roi->out[X], index % roi->out[X]},
        .samples = region->samples[Y] * region->samples[X],
        .n = (int)sal_least(BLOCK, x->dim[1] - channel),
    };
    for (int c = 0; c < bin.n; c++)
        bin.x[c] = k->in[0]->real +
                   (region->image * x->dim[1] + channel + c) * x->dim[2] * x->dim[3];
    return bin;
}

/* ---- kernels ----------------------------------------------------------------- */

static int64_t blocks_of(const struct sal_kernel *k)
{
    return (k->in[0]->shape.dim[1] + BLOCK - 1) / BLOCK;
}

static int64_t bins_of(const struct sal_kernel *k)
{
    return sal_shape_span(&k->out[0]->shape, 2, 4);
}

/* Where bins of that region and channel are in the output. */
static int64_t bins_at(const struct sal_kernel *k, int64_t region, int64_t channel)
{
    return (region * k->out[0]->shape.dim[1] + channel) * bins_of(k);
}

static void pool_block(const struct sal_kernel *k, int64_t index, int64_t channel,
                       const struct region *region)
{
    const struct roi_align *roi = k->node->attr;
    int64_t n = bins_of(k);
    for (int64_t b = 0; b < n; b++) {
        struct bin bin = bin_of(k, region, channel, b);
        struct best best[BLOCK];
        sal_real value[BLOCK];
        if (roi->mode == AVERAGE)
            average(&bin, value);
        else
            maximum(&bin, best);
        for (int c = 0; c < bin.n; c++)
            k->out[0]->real[bins_at(k, index, channel + c) + b] =
                roi->mode == AVERAGE ? value[c] : best[c].value;
    }
}

static void pool_blocks(const struct sal_kernel *k, int64_t from, int64_t to,
                        int worker)
{
    (void)worker;
    const int64_t channels = k->in[0]->shape.dim[1];
    for (int64_t item = from; item < to; item++) {
        int64_t index = item / blocks_of(k), channel = item % blocks_of(k) * BLOCK;
        struct region region = region_of(k, index);
        if (region.image >= 0) {
            pool_block(k, index, channel, &region);
            continue;
        }
        sal_real *y = k->out[0]->real + bins_at(k, index, channel);
        int64_t n = sal_least(BLOCK, channels - channel) * bins_of(k);
        for (int64_t i = 0; i < n; i++)
            y[i] = 0;
    }
}

static void average_back(const struct bin *bin, const sal_real dy[BLOCK], sal_real *dx,
                         int64_t plane)
{
    for (int64_t s = 0; s < bin->samples; s++) {
        struct corners corners = corners_of(bin->k, bin->region, bin->at, s);
        for (int c = 0; c < bin->n; c++)
            for (int i = 0; i < corners.n; i++)
                dx[c * plane + corners.at[i]] +=
                    corners.weight[i] * dy[c] / (sal_real)bin->samples;
    }
}

static void maximum_back(const struct bin *bin, const sal_real dy[BLOCK], sal_real *dx,
                         int64_t plane)
{
    struct best best[BLOCK];
    maximum(bin, best);
    for (int c = 0; c < bin->n; c++)
        if (best[c].at >= 0)
            dx[c * plane + best[c].at] += best[c].weight * dy[c];
}

static void pull_block(const struct sal_kernel *k, int64_t index, int64_t channel,
                       const struct region *region)
{
    const struct roi_align *roi = k->node->attr;
    const struct sal_shape *x = &k->in[0]->shape;
    int64_t plane = x->dim[2] * x->dim[3], n = bins_of(k);
    sal_real *dx = k->dx[0] + (region->image * x->dim[1] + channel) * plane;
    for (int64_t b = 0; b < n; b++) {
        struct bin bin = bin_of(k, region, channel, b);
        sal_real dy[BLOCK];
        for (int c = 0; c < bin.n; c++)
            dy[c] = k->dy[0][bins_at(k, index, channel + c) + b];
        if (roi->mode == AVERAGE)
            average_back(&bin, dy, dx, plane);
        else
            maximum_back(&bin, dy, dx, plane);
    }
}

/* Regions overlap, so channels are one thread's for all of them. */
static void pull_blocks(const struct sal_kernel *k, int64_t from, int64_t to,
                        int worker)
{
    (void)worker;
    for (int64_t block = from; block < to; block++)
        for (int64_t index = 0; index < k->out[0]->shape.dim[0]; index++) {
            struct region region = region_of(k, index);
            if (region.image >= 0)
                pull_block(k, index, block * BLOCK, &region);
        }
}

static void forward(const struct sal_kernel *k)
{
    sal_split(k->pool, k->out[0]->shape.dim[0] * blocks_of(k), 1, pool_blocks, k);
}

static void backward(const struct sal_kernel *k)
{
    if (k->dx[0] && k->dy[0])
        sal_split(k->pool, blocks_of(k), 1, pull_blocks, k);
}

/* Channels stay; regions are new images. */
static void carry(const struct sal_kernel *k, int input, int output,
                  struct sal_carry *carry)
{
    (void)k;
    (void)output;
    if (!input)
        carry->axis[1] = 1;
}

const struct sal_op sal_op_RoiAlign = {
    .name = "RoiAlign",
    .since = 10,
    .until = SAL_OPSET_MAX,
    .min_in = 3,
    .max_in = 3,
    .max_out = 1,
    .parse = parse,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .frugal = true,
    .reads = SAL_READS(SAL_READS_ALL, 0),
    .carry = carry,
    .no_gradient = 1u << 1,
};
