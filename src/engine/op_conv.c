/* Conv: ONNX opsets 1, 11 and 22 (types aside they agree). Three ways, chosen by
 * shape alone: channel by channel where groups have one input channel, a plain
 * matrix product for 1x1 windows, and im2col with a matrix product for the rest. */
#include <string.h>

#include "blas.h"
#include "kernel.h"
#include "window.h"

struct conv {
    struct sal_window window; /* as the node says; fitted by infer */
    int64_t group;
};

/* One call's geometry, spatial axes lifted to three. */
struct geometry {
    struct sal_window window;
    int64_t n, group;
    int64_t c, k;       /* input and output channels of one group */
    int64_t in[3], out[3];
    int64_t pixels_in, pixels_out;
    int64_t taps;       /* window elements */
    int64_t rows;       /* c * taps */
    bool colours;       /* few channels: sum over them first, tap by tap */
};

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    struct conv *conv = sal_new(arena, struct conv, 1);
    if (!conv)
        return sal_fail(err, SAL_LIMIT, "no memory for a node");
    node->attr = conv;
    enum sal_status status = sal_window_parse(node, source, 0, &conv->window, err);
    if (status || (status = sal_attr_int(source, "group", 1, &conv->group, err)))
        return status;
    if (conv->group < 1)
        return sal_node_fail(node, err, SAL_BAD_INPUT, "group must be at least 1, not %lld",
                             (long long)conv->group);
    return SAL_OK;
}

static enum sal_status check_channels(const struct sal_infer *infer,
                                      const struct conv *conv, struct sal_error *err)
{
    const struct sal_shape *x = &infer->in[0]->shape, *w = &infer->in[1]->shape;
    if (x->rank < 3 || x->rank > 5)
        return sal_node_fail(infer->node, err,
                             x->rank > 5 ? SAL_UNSUPPORTED : SAL_BAD_INPUT,
                             "input must have 3 to 5 axes, has %d", x->rank);
    if (w->rank != x->rank)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "weight must have %d axes like the input, has %d", x->rank,
                             w->rank);
    if (w->dim[1] < 1)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "weight has no input channels, must have 1 or more");
    int64_t channels;
    if (__builtin_mul_overflow(w->dim[1], conv->group, &channels) ||
        channels != x->dim[1])
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "weight expects %lld x %lld channels, input has %lld",
                             (long long)conv->group, (long long)w->dim[1],
                             (long long)x->dim[1]);
    if (w->dim[0] < 1 || w->dim[0] % conv->group)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "%lld output channels do not divide into %lld groups",
                             (long long)w->dim[0], (long long)conv->group);
    if (infer->node->n_in > 2 && infer->in[2] &&
        (infer->in[2]->kind != SAL_REAL || infer->in[2]->shape.rank != 1 ||
         infer->in[2]->shape.dim[0] != w->dim[0]))
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "bias must have %lld elements, one per output channel",
                             (long long)w->dim[0]);
    return SAL_OK;
}

static enum sal_status infer_conv(const struct sal_infer *infer, struct sal_error *err)
{
    const struct conv *conv = infer->node->attr;
    enum sal_status status = sal_infer_kind(infer, 0, SAL_REAL, err);
    if (status || (status = sal_infer_kind(infer, 1, SAL_REAL, err)) ||
        (status = check_channels(infer, conv, err)))
        return status;
    const struct sal_shape *x = &infer->in[0]->shape, *w = &infer->in[1]->shape;
    struct sal_tensor *out = infer->out[0];
    struct sal_window fitted;
    out->kind = SAL_REAL;
    out->type = infer->in[0]->type;
    out->shape = (struct sal_shape){.rank = x->rank, .dim = {x->dim[0], w->dim[0]}};
    return sal_window_output(infer->node, &conv->window, x->rank - 2, w->dim + 2,
                             x->dim + 2, &fitted, out->shape.dim + 2, err);
}

static struct geometry geometry_of(const struct sal_kernel *kernel)
{
    const struct conv *conv = kernel->node->attr;
    const struct sal_shape *x = &kernel->in[0]->shape, *w = &kernel->in[1]->shape;
    int rank = x->rank - 2;
    struct geometry g = {
        .n = x->dim[0],
        .group = conv->group,
        .c = w->dim[1],
        .k = w->dim[0] / conv->group,
    };
    memcpy(g.in, x->dim + 2, sizeof(int64_t) * (size_t)rank);
    /* infer has accepted exactly this, so it cannot fail here. */
    sal_window_output(kernel->node, &conv->window, rank, w->dim + 2, x->dim + 2,
                      &g.window, g.out, NULL);
    sal_window_lift(&g.window, g.in, g.out);
    g.pixels_in = g.in[0] * g.in[1] * g.in[2];
    g.pixels_out = g.out[0] * g.out[1] * g.out[2];
    g.taps = g.window.kernel[0] * g.window.kernel[1] * g.window.kernel[2];
    g.rows = g.c * g.taps;
    /* Grey copied to three channels, or nearly grey colours, cancel in a first
     * layer's edge filters; summed together they do so before rounding adds up. */
    g.colours = g.c > 1 && g.c <= 4 && g.taps > 1;
    return g;
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* True where the product can read the input as it lies. */
static bool is_pointwise(const struct geometry *g)
{
    for (int d = 0; d < 3; d++)
        if (g->window.kernel[d] != 1 || g->window.stride[d] != 1 ||
            g->window.pad_begin[d] || g->in[d] != g->out[d])
            return false;
    return true;
}

static bool is_depthwise(const struct geometry *g)
{
    return g->c == 1 && g->group > 1;
}

/* ---- taps ------------------------------------------------------------------- */

/* Output positions lo..hi-1 along one axis for which a tap at `offset` (dilated)
 * reads inside the input. */
static void valid_range(const struct geometry *g, int axis, int64_t offset, int64_t *lo,
                        int64_t *hi)
{
    int64_t shift = g->window.pad_begin[axis] - offset, stride = g->window.stride[axis];
    *lo = shift > 0 ? ceil_div(shift, stride) : 0;
    int64_t last = g->in[axis] - 1 + shift; /* out * stride <= last */
    *hi = last < 0 ? 0 : sal_least(last / stride + 1, g->out[axis]);
    if (*lo > *hi)
        *lo = *hi;
}

struct tap {
    int64_t at[3];         /* offset into the input on each axis, dilated */
    int64_t lo[3], hi[3];  /* output positions that read inside */
};

static struct tap tap_of(const struct geometry *g, int64_t index)
{
    struct tap tap;
    for (int d = 2; d >= 0; d--) {
        tap.at[d] = index % g->window.kernel[d] * g->window.dilation[d];
        index /= g->window.kernel[d];
        valid_range(g, d, tap.at[d], &tap.lo[d], &tap.hi[d]);
    }
    return tap;
}

/* Index of the input element that output row (z, y) reads at x = 0. It may lie
 * outside: only positions in lo..hi are used. */
static int64_t tap_row(const struct geometry *g, const struct tap *tap, int64_t z,
                       int64_t y)
{
    const struct sal_window *w = &g->window;
    int64_t iz = z * w->stride[0] - w->pad_begin[0] + tap->at[0];
    int64_t iy = y * w->stride[1] - w->pad_begin[1] + tap->at[1];
    return (iz * g->in[1] + iy) * g->in[2] - w->pad_begin[2] + tap->at[2];
}

/* ---- im2col ------------------------------------------------------------------ */

/* Pixels of one tile: the columns of a tile stay in the second-level cache. */
static int64_t tile_pixels(const struct geometry *g)
{
    int64_t pixels = (int64_t)65536 / g->rows / 16 * 16;
    pixels = pixels < 64 ? 64 : pixels > 1024 ? 1024 : pixels;
    return sal_least(pixels, g->pixels_out);
}

/* Part of output row (z, y) from x0 to x1, read by one tap into line[0..]. */
static void gather_row(const struct geometry *g, const struct tap *tap,
                       const sal_real *plane, int64_t z, int64_t y, int64_t x0,
                       int64_t x1, sal_real *line)
{
    bool outside = z < tap->lo[0] || z >= tap->hi[0] || y < tap->lo[1] ||
                   y >= tap->hi[1];
    int64_t lo = tap->lo[2] < x0 ? x0 : sal_least(tap->lo[2], x1);
    int64_t hi = tap->hi[2] > x1 ? x1 : tap->hi[2];
    if (outside || hi <= lo) {
        memset(line, 0, sizeof(*line) * (size_t)(x1 - x0));
        return;
    }
    const sal_real *from = plane + tap_row(g, tap, z, y) + lo * g->window.stride[2];
    int64_t stride = g->window.stride[2];
    memset(line, 0, sizeof(*line) * (size_t)(lo - x0));
    if (stride == 1)
        memcpy(line + (lo - x0), from, sizeof(*line) * (size_t)(hi - lo));
    else
        for (int64_t x = 0; x < hi - lo; x++)
            line[lo - x0 + x] = from[x * stride];
    memset(line + (hi - x0), 0, sizeof(*line) * (size_t)(x1 - hi));
}

/* Adds line[0..] back to where gather_row read it. */
static void scatter_row(const struct geometry *g, const struct tap *tap, sal_real *plane,
                        int64_t z, int64_t y, int64_t x0, int64_t x1,
                        const sal_real *line)
{
    int64_t lo = tap->lo[2] < x0 ? x0 : sal_least(tap->lo[2], x1);
    int64_t hi = tap->hi[2] > x1 ? x1 : tap->hi[2];
    if (z < tap->lo[0] || z >= tap->hi[0] || y < tap->lo[1] || y >= tap->hi[1] ||
        hi <= lo)
        return;
    sal_real *to = plane + tap_row(g, tap, z, y) + lo * g->window.stride[2];
    int64_t stride = g->window.stride[2];
    for (int64_t x = 0; x < hi - lo; x++)
        to[x * stride] += line[lo - x0 + x];
}

/* Walks output pixels p0..p1 row by row for every tap of channels c0..c1, and
 * gathers into columns or scatters from them. They are [(c1 - c0) * taps][p1 - p0],
 * channel by channel when scattering; when gathering colours, tap by tap. */
static void walk_columns(const struct geometry *g, sal_real *planes, int64_t c0,
                         int64_t c1, int64_t p0, int64_t p1, sal_real *columns,
                         bool gather)
{
    int64_t width = p1 - p0;
    for (int64_t c = c0; c < c1; c++)
        for (int64_t t = 0; t < g->taps; t++) {
            struct tap tap = tap_of(g, t);
            sal_real *plane = planes + c * g->pixels_in;
            int64_t row = gather && g->colours ? t * g->c + c : (c - c0) * g->taps + t;
            sal_real *line = columns + row * width;
            for (int64_t p = p0; p < p1;) {
                int64_t x0 = p % g->out[2], y = p / g->out[2] % g->out[1];
                int64_t z = p / g->out[2] / g->out[1];
                int64_t x1 = sal_least(g->out[2], x0 + p1 - p);
                if (gather)
                    gather_row(g, &tap, plane, z, y, x0, x1, line);
                else
                    scatter_row(g, &tap, plane, z, y, x0, x1, line);
                line += x1 - x0;
                p += x1 - x0;
            }
        }
}

/* ---- forward ------------------------------------------------------------------- */

struct forward {
    const struct sal_kernel *kernel;
    struct geometry g;
    int64_t pixels, k_block;            /* of one tile */
    int64_t pixel_tiles, channel_tiles; /* of one image and group */
};

/* Small maps have few pixel tiles: their output channels are cut too, so that all
 * threads have work. Neither depends on batch or threads. */
static struct forward forward_of(const struct sal_kernel *kernel)
{
    struct forward f = {.kernel = kernel, .g = geometry_of(kernel)};
    f.pixels = tile_pixels(&f.g);
    f.pixel_tiles = ceil_div(f.g.pixels_out, f.pixels);
    int64_t parts = f.pixel_tiles >= 8 ? 1 : ceil_div(8, f.pixel_tiles);
    f.k_block = ceil_div(f.g.k, parts);
    if (f.k_block < 32)
        f.k_block = sal_least(32, f.g.k);
    f.channel_tiles = ceil_div(f.g.k, f.k_block);
    return f;
}

static const sal_real *bias_of(const struct sal_kernel *kernel)
{
    return kernel->node->n_in > 2 && kernel->in[2] ? kernel->in[2]->real : NULL;
}

static void fill_bias(const struct sal_kernel *kernel, int64_t channel, sal_real *y,
                      int64_t n)
{
    const sal_real *bias = bias_of(kernel);
    sal_real value = bias ? bias[channel] : 0;
    for (int64_t i = 0; i < n; i++)
        y[i] = value;
}

/* Weights [k][c][taps] to [k][taps][c], as the columns of colours lie. */
static struct sal_matrix turn_weights(const struct geometry *g, const sal_real *w,
                                      int64_t k, sal_real *turned)
{
    for (int64_t i = 0; i < k; i++)
        for (int64_t c = 0; c < g->c; c++)
            for (int64_t t = 0; t < g->taps; t++)
                turned[i * g->rows + t * g->c + c] = w[i * g->rows + c * g->taps + t];
    return (struct sal_matrix){turned, g->rows, false};
}

static void forward_tile(void *context, int tile, int worker)
{
    const struct forward *f = context;
    const struct geometry *g = &f->g;
    const struct sal_kernel *kernel = f->kernel;
    int64_t p0 = tile % f->pixel_tiles * f->pixels;
    int64_t rest = tile / f->pixel_tiles;
    int64_t k0 = rest % f->channel_tiles * f->k_block;
    int64_t image = rest / f->channel_tiles; /* of n * group */
    int64_t p1 = sal_least(p0 + f->pixels, g->pixels_out);
    int64_t k1 = sal_least(k0 + f->k_block, g->k), width = p1 - p0;
    int64_t channel = image % g->group * g->k + k0; /* of the output */
    sal_real *x = kernel->in[0]->real + image * g->c * g->pixels_in;
    sal_real *y = kernel->out[0]->real + (image * g->k + k0) * g->pixels_out + p0;
    struct sal_matrix w = {kernel->in[1]->real + channel * g->rows, g->rows, false};
    struct sal_matrix columns = {x + p0, g->pixels_in, false};
    if (!is_pointwise(g)) {
        sal_real *scratch = kernel->scratch + worker * kernel->scratch_stride;
        walk_columns(g, x, 0, g->c, p0, p1, scratch, true);
        columns = (struct sal_matrix){scratch, width, false};
        if (g->colours)
            w = turn_weights(g, w.data, k1 - k0, scratch + g->rows * f->pixels);
    }
    for (int64_t k = 0; k < k1 - k0; k++)
        fill_bias(kernel, channel + k, y + k * g->pixels_out, width);
    sal_gemm(k1 - k0, width, g->rows, 1, w, columns, 1, y, g->pixels_out);
}

/* One output channel of a depthwise convolution: a weighted sum of shifted rows. */
static void depthwise_plane(void *context, int tile, int worker)
{
    (void)worker;
    const struct forward *f = context;
    const struct geometry *g = &f->g;
    int64_t channel = tile % (g->group * g->k);
    const sal_real *x = f->kernel->in[0]->real + tile / g->k * g->pixels_in;
    const sal_real *w = f->kernel->in[1]->real + channel * g->taps;
    sal_real *plane = f->kernel->out[0]->real + tile * g->pixels_out;
    int64_t stride = g->window.stride[2];
    fill_bias(f->kernel, channel, plane, g->pixels_out);
    for (int64_t t = 0; t < g->taps; t++) {
        struct tap tap = tap_of(g, t);
        for (int64_t z = tap.lo[0]; z < tap.hi[0]; z++)
            for (int64_t y = tap.lo[1]; y < tap.hi[1]; y++) {
                const sal_real *from = x + tap_row(g, &tap, z, y);
                sal_real *to = plane + (z * g->out[1] + y) * g->out[2];
                if (stride == 1)
                    for (int64_t i = tap.lo[2]; i < tap.hi[2]; i++)
                        to[i] += w[t] * from[i];
                else
                    for (int64_t i = tap.lo[2]; i < tap.hi[2]; i++)
                        to[i] += w[t] * from[i * stride];
            }
    }
}

static void forward(const struct sal_kernel *kernel)
{
    struct forward f = forward_of(kernel);
    const struct geometry *g = &f.g;
    if (is_depthwise(g))
        sal_pool_run(kernel->pool, (int)(g->n * g->group * g->k), depthwise_plane, &f);
    else
        sal_pool_run(kernel->pool,
                     (int)(g->n * g->group * f.channel_tiles * f.pixel_tiles),
                     forward_tile, &f);
}

/* ---- backward ------------------------------------------------------------------- */

struct backward {
    const struct sal_kernel *kernel;
    struct geometry g;
    int64_t c_block, pixels; /* of one tile, of one product */
    int64_t channel_tiles;   /* of one image and group */
};

static struct backward backward_of(const struct sal_kernel *kernel)
{
    struct backward b = {.kernel = kernel, .g = geometry_of(kernel)};
    b.c_block = ceil_div(b.g.c, 8);
    if (b.c_block < 8)
        b.c_block = sal_least(8, b.g.c);
    b.channel_tiles = ceil_div(b.g.c, b.c_block);
    int64_t pixels = (int64_t)65536 / (b.c_block * b.g.taps) / 16 * 16;
    b.pixels = sal_least(pixels < 64 ? 64 : pixels, b.g.pixels_out);
    return b;
}

/* The input channels of one tile: weights transposed times the arriving gradient,
 * chunk by chunk of pixels, added where the taps read. */
static void backward_tile(void *context, int tile, int worker)
{
    const struct backward *b = context;
    const struct geometry *g = &b->g;
    const struct sal_kernel *kernel = b->kernel;
    int64_t image = tile / b->channel_tiles; /* of n * group */
    int64_t c0 = tile % b->channel_tiles * b->c_block;
    int64_t c1 = sal_least(c0 + b->c_block, g->c);
    const sal_real *dy = kernel->dy[0] + image * g->k * g->pixels_out;
    sal_real *dx = kernel->dx[0] + image * g->c * g->pixels_in;
    const sal_real *weights = kernel->in[1]->real + image % g->group * g->k * g->rows;
    struct sal_matrix w = {weights + c0 * g->taps, g->rows, true};
    int64_t rows = (c1 - c0) * g->taps;
    for (int64_t p0 = 0; p0 < g->pixels_out; p0 += b->pixels) {
        int64_t p1 = sal_least(p0 + b->pixels, g->pixels_out), width = p1 - p0;
        struct sal_matrix gradient = {dy + p0, g->pixels_out, false};
        if (is_pointwise(g)) {
            sal_gemm(rows, width, g->k, 1, w, gradient, 1, dx + c0 * g->pixels_in + p0,
                     g->pixels_in);
            continue;
        }
        sal_real *columns = kernel->scratch + worker * kernel->scratch_stride;
        sal_gemm(rows, width, g->k, 1, w, gradient, 0, columns, width);
        walk_columns(g, dx, c0, c1, p0, p1, columns, false);
    }
}

/* One input channel of a depthwise convolution. */
static void depthwise_back(void *context, int tile, int worker)
{
    (void)worker;
    const struct backward *b = context;
    const struct geometry *g = &b->g;
    sal_real *dx = b->kernel->dx[0] + tile * g->pixels_in;
    int64_t stride = g->window.stride[2];
    for (int64_t k = 0; k < g->k; k++) {
        const sal_real *w = b->kernel->in[1]->real + (tile % g->group * g->k + k) * g->taps;
        const sal_real *dy = b->kernel->dy[0] + (tile * g->k + k) * g->pixels_out;
        for (int64_t t = 0; t < g->taps; t++) {
            struct tap tap = tap_of(g, t);
            for (int64_t z = tap.lo[0]; z < tap.hi[0]; z++)
                for (int64_t y = tap.lo[1]; y < tap.hi[1]; y++) {
                    const sal_real *from = dy + (z * g->out[1] + y) * g->out[2];
                    sal_real *to = dx + tap_row(g, &tap, z, y);
                    for (int64_t i = tap.lo[2]; i < tap.hi[2]; i++)
                        to[i * stride] += w[t] * from[i];
                }
        }
    }
}

static void backward(const struct sal_kernel *kernel)
{
    if (!kernel->dx[0] || !kernel->dy[0])
        return;
    struct backward b = backward_of(kernel);
    const struct geometry *g = &b.g;
    if (is_depthwise(g))
        sal_pool_run(kernel->pool, (int)(g->n * g->group), depthwise_back, &b);
    else
        sal_pool_run(kernel->pool, (int)(g->n * g->group * b.channel_tiles),
                     backward_tile, &b);
}

static size_t scratch(const struct sal_kernel *kernel, bool is_backward)
{
    struct geometry g = geometry_of(kernel);
    if (is_depthwise(&g) || is_pointwise(&g))
        return 0;
    if (!is_backward) {
        struct forward f = forward_of(kernel);
        return (size_t)(g.rows * (f.pixels + (g.colours ? f.k_block : 0)));
    }
    struct backward b = backward_of(kernel);
    return (size_t)(b.c_block * g.taps * b.pixels);
}

static double macs(const struct sal_kernel *kernel)
{
    struct geometry g = geometry_of(kernel);
    return (double)g.n * (double)(g.group * g.k) * (double)g.pixels_out * (double)g.rows;
}

/* Space is kept, channels are new. */
static void carry_space(const struct sal_kernel *k, int input, int output,
                        struct sal_carry *carry)
{
    if (input > 0)
        return;
    sal_carry_in_order(k, input, output, carry);
    carry->axis[1] = -1;
}

const struct sal_op sal_op_conv = {
    .name = "Conv",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .min_in = 2,
    .max_in = 3,
    .max_out = 1,
    .parse = parse,
    .infer = infer_conv,
    .forward = forward,
    .backward = backward,
    .carry = carry_space,
    .scratch = scratch,
    .macs = macs,
    .no_gradient = 1u << 1 | 1u << 2,
    .mixes = true,
};
