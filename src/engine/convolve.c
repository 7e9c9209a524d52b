#include "convolve.h"

#include "blas.h"
#include "kernel.h"

void sal_convolution_init(struct sal_convolution *g, const struct sal_window *fitted,
                          const int64_t *in, const int64_t *out, int64_t n,
                          int64_t group, const struct sal_shape *weight)
{
    *g = (struct sal_convolution){
        .n = n, .group = group, .c = weight->dim[1], .k = weight->dim[0] / group};
    sal_columns_init(&g->columns, fitted, in, out);
    g->rows = g->c * g->columns.taps;
    /* Grey copied to three channels, or nearly grey colours, cancel in a first
     * layer's edge filters; summed together they do so before rounding adds up. */
    g->colours = g->c > 1 && g->c <= 4 && g->columns.taps > 1;
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* True where the product can read the input as it lies. */
static bool is_pointwise(const struct sal_convolution *g)
{
    const struct sal_columns *columns = &g->columns;
    for (int d = 0; d < SAL_WINDOW_AXES; d++)
        if (columns->window.kernel[d] != 1 || columns->window.stride[d] != 1 ||
            columns->window.pad_begin[d] || columns->in[d] != columns->out[d])
            return false;
    return true;
}

static bool is_depthwise(const struct sal_convolution *g)
{
    return g->c == 1 && g->group > 1;
}

/* ---- forward ----------------------------------------------------------------- */

struct forward {
    const struct sal_kernel *kernel;
    const struct sal_convolution *g;
    const sal_real *x, *w;
    struct sal_convolution_base base;
    sal_real *y;
    int64_t pixels, k_block;            /* of one tile */
    int64_t pixel_tiles, channel_tiles; /* of one image and group */
};

/* Pixels of one tile: the columns of a tile stay in the second-level cache. */
static int64_t tile_pixels(const struct sal_convolution *g)
{
    int64_t pixels = (int64_t)65536 / g->rows / 16 * 16;
    pixels = pixels < 64 ? 64 : pixels > 1024 ? 1024 : pixels;
    return sal_least(pixels, g->columns.pixels_out);
}

/* Small maps have few pixel tiles: their output channels are cut too, so that all
 * threads have work. Neither depends on batch or threads. */
static void cut_forward(struct forward *f, const struct sal_convolution *g)
{
    f->g = g;
    f->pixels = tile_pixels(g);
    f->pixel_tiles = ceil_div(g->columns.pixels_out, f->pixels);
    int64_t parts = f->pixel_tiles >= 8 ? 1 : ceil_div(8, f->pixel_tiles);
    f->k_block = ceil_div(g->k, parts);
    if (f->k_block < 32)
        f->k_block = sal_least(32, g->k);
    f->channel_tiles = ceil_div(g->k, f->k_block);
}

static void fill_base(const struct forward *f, int64_t channel, sal_real *y, int64_t n)
{
    sal_real value = f->base.bias ? f->base.bias[channel] : 0;
    for (int64_t i = 0; i < n && !f->base.kept; i++)
        y[i] = value;
}

/* Columns of pixels p0..p1-1 of all channels; colours tap by tap. */
static void gather_columns(const struct sal_convolution *g, const sal_real *x,
                           int64_t p0, int64_t p1, sal_real *columns)
{
    int64_t taps = g->columns.taps;
    for (int64_t c = 0; c < g->c; c++)
        for (int64_t t = 0; t < taps; t++) {
            int64_t row = g->colours ? t * g->c + c : c * taps + t;
            sal_columns_gather(&g->columns, t, x + c * g->columns.pixels_in, p0, p1,
                               columns + row * (p1 - p0));
        }
}

/* Weights [k][c][taps] to [k][taps][c], as the columns of colours lie. */
static struct sal_matrix turn_weights(const struct sal_convolution *g,
                                      const sal_real *w, int64_t k, sal_real *turned)
{
    int64_t taps = g->columns.taps;
    for (int64_t i = 0; i < k; i++)
        for (int64_t c = 0; c < g->c; c++)
            for (int64_t t = 0; t < taps; t++)
                turned[i * g->rows + t * g->c + c] = w[i * g->rows + c * taps + t];
    return (struct sal_matrix){turned, g->rows, false};
}

static void forward_tile(void *context, int tile, int worker)
{
    const struct forward *f = context;
    const struct sal_convolution *g = f->g;
    int64_t pixels_in = g->columns.pixels_in, pixels_out = g->columns.pixels_out;
    int64_t p0 = tile % f->pixel_tiles * f->pixels;
    int64_t rest = tile / f->pixel_tiles;
    int64_t k0 = rest % f->channel_tiles * f->k_block;
    int64_t image = rest / f->channel_tiles; /* of n * group */
    int64_t p1 = sal_least(p0 + f->pixels, pixels_out);
    int64_t k1 = sal_least(k0 + f->k_block, g->k), width = p1 - p0;
    int64_t channel = image % g->group * g->k + k0; /* of the output */
    const sal_real *x = f->x + image * g->c * pixels_in;
    sal_real *y = f->y + (image * g->k + k0) * pixels_out + p0;
    struct sal_matrix w = {f->w + channel * g->rows, g->rows, false};
    struct sal_matrix columns = {x + p0, pixels_in, false};
    if (!is_pointwise(g)) {
        sal_real *scratch = f->kernel->scratch + worker * f->kernel->scratch_stride;
        gather_columns(g, x, p0, p1, scratch);
        columns = (struct sal_matrix){scratch, width, false};
        if (g->colours)
            w = turn_weights(g, w.data, k1 - k0, scratch + g->rows * f->pixels);
    }
    for (int64_t k = 0; k < k1 - k0; k++)
        fill_base(f, channel + k, y + k * pixels_out, width);
    sal_gemm(k1 - k0, width, g->rows, 1, w, columns, 1, y, pixels_out);
}

/* One output channel of a depthwise convolution: a weighted sum of shifted rows. */
static void depthwise_plane(void *context, int tile, int worker)
{
    (void)worker;
    const struct forward *f = context;
    const struct sal_columns *columns = &f->g->columns;
    int64_t channel = tile % (f->g->group * f->g->k);
    const sal_real *x = f->x + tile / f->g->k * columns->pixels_in;
    const sal_real *w = f->w + channel * columns->taps;
    sal_real *plane = f->y + tile * columns->pixels_out;
    int64_t stride = columns->window.stride[2];
    fill_base(f, channel, plane, columns->pixels_out);
    for (int64_t t = 0; t < columns->taps; t++) {
        struct sal_tap tap = sal_columns_tap(columns, t);
        for (int64_t z = tap.lo[0]; z < tap.hi[0]; z++)
            for (int64_t y = tap.lo[1]; y < tap.hi[1]; y++) {
                const sal_real *from = x + sal_columns_row(columns, &tap, z, y);
                sal_real *to = plane + (z * columns->out[1] + y) * columns->out[2];
                if (stride == 1)
                    for (int64_t i = tap.lo[2]; i < tap.hi[2]; i++)
                        to[i] += w[t] * from[i];
                else
                    for (int64_t i = tap.lo[2]; i < tap.hi[2]; i++)
                        to[i] += w[t] * from[i * stride];
            }
    }
}

void sal_convolve(const struct sal_kernel *kernel, const struct sal_convolution *g,
                  const sal_real *x, const sal_real *w,
                  struct sal_convolution_base base, sal_real *y)
{
    struct forward f = {.kernel = kernel, .x = x, .w = w, .base = base, .y = y};
    cut_forward(&f, g);
    if (is_depthwise(g))
        sal_pool_run(kernel->pool, (int)(g->n * g->group * g->k), depthwise_plane, &f);
    else
        sal_pool_run(kernel->pool,
                     (int)(g->n * g->group * f.channel_tiles * f.pixel_tiles),
                     forward_tile, &f);
}

/* ---- backward ---------------------------------------------------------------- */

struct backward {
    const struct sal_kernel *kernel;
    const struct sal_convolution *g;
    const sal_real *y, *w;
    sal_real *x;
    int64_t c_block, pixels; /* of one tile, of one product */
    int64_t channel_tiles;   /* of one image and group */
};

static void cut_backward(struct backward *b, const struct sal_convolution *g)
{
    b->g = g;
    b->c_block = ceil_div(g->c, 8);
    if (b->c_block < 8)
        b->c_block = sal_least(8, g->c);
    b->channel_tiles = ceil_div(g->c, b->c_block);
    int64_t pixels = (int64_t)65536 / (b->c_block * g->columns.taps) / 16 * 16;
    b->pixels = sal_least(pixels < 64 ? 64 : pixels, g->columns.pixels_out);
}

/* Channels c0..c1-1 get what their columns of pixels p0..p1-1 hold. */
static void scatter_columns(const struct sal_convolution *g, sal_real *x, int64_t c0,
                            int64_t c1, int64_t p0, int64_t p1, const sal_real *columns)
{
    for (int64_t c = c0; c < c1; c++)
        for (int64_t t = 0; t < g->columns.taps; t++, columns += p1 - p0)
            sal_columns_scatter(&g->columns, t, x + c * g->columns.pixels_in, p0, p1,
                                columns);
}

/* The input channels of one tile: weights transposed times the arriving gradient,
 * chunk by chunk of pixels, added where the taps read. */
static void backward_tile(void *context, int tile, int worker)
{
    const struct backward *b = context;
    const struct sal_convolution *g = b->g;
    int64_t pixels_in = g->columns.pixels_in, pixels_out = g->columns.pixels_out;
    int64_t image = tile / b->channel_tiles; /* of n * group */
    int64_t c0 = tile % b->channel_tiles * b->c_block;
    int64_t c1 = sal_least(c0 + b->c_block, g->c);
    const sal_real *y = b->y + image * g->k * pixels_out;
    sal_real *x = b->x + image * g->c * pixels_in;
    const sal_real *weights = b->w + image % g->group * g->k * g->rows;
    struct sal_matrix w = {weights + c0 * g->columns.taps, g->rows, true};
    int64_t rows = (c1 - c0) * g->columns.taps;
    for (int64_t p0 = 0; p0 < pixels_out; p0 += b->pixels) {
        int64_t p1 = sal_least(p0 + b->pixels, pixels_out), width = p1 - p0;
        struct sal_matrix gradient = {y + p0, pixels_out, false};
        if (is_pointwise(g)) {
            sal_gemm(rows, width, g->k, 1, w, gradient, 1, x + c0 * pixels_in + p0,
                     pixels_in);
            continue;
        }
        sal_real *columns = b->kernel->scratch + worker * b->kernel->scratch_stride;
        sal_gemm(rows, width, g->k, 1, w, gradient, 0, columns, width);
        scatter_columns(g, x, c0, c1, p0, p1, columns);
    }
}

/* One input channel of a depthwise convolution. */
static void depthwise_back(void *context, int tile, int worker)
{
    (void)worker;
    const struct backward *b = context;
    const struct sal_convolution *g = b->g;
    const struct sal_columns *columns = &g->columns;
    sal_real *plane = b->x + tile * columns->pixels_in;
    int64_t stride = columns->window.stride[2];
    for (int64_t k = 0; k < g->k; k++) {
        const sal_real *w = b->w + (tile % g->group * g->k + k) * columns->taps;
        const sal_real *gradient = b->y + (tile * g->k + k) * columns->pixels_out;
        for (int64_t t = 0; t < columns->taps; t++) {
            struct sal_tap tap = sal_columns_tap(columns, t);
            for (int64_t z = tap.lo[0]; z < tap.hi[0]; z++)
                for (int64_t y = tap.lo[1]; y < tap.hi[1]; y++) {
                    const sal_real *from =
                        gradient + (z * columns->out[1] + y) * columns->out[2];
                    sal_real *to = plane + sal_columns_row(columns, &tap, z, y);
                    for (int64_t i = tap.lo[2]; i < tap.hi[2]; i++)
                        to[i * stride] += w[t] * from[i];
                }
        }
    }
}

void sal_convolve_back(const struct sal_kernel *kernel, const struct sal_convolution *g,
                       const sal_real *y, const sal_real *w, sal_real *x)
{
    struct backward b = {.kernel = kernel, .y = y, .w = w, .x = x};
    cut_backward(&b, g);
    if (is_depthwise(g))
        sal_pool_run(kernel->pool, (int)(g->n * g->group), depthwise_back, &b);
    else
        sal_pool_run(kernel->pool, (int)(g->n * g->group * b.channel_tiles),
                     backward_tile, &b);
}

size_t sal_convolve_scratch(const struct sal_convolution *g, bool back)
{
    struct forward f = {0};
    struct backward b = {0};
    if (is_depthwise(g) || is_pointwise(g))
        return 0;
    cut_forward(&f, g);
    cut_backward(&b, g);
    return (size_t)(back ? b.c_block * g->columns.taps * b.pixels
                         : g->rows * (f.pixels + (g->colours ? f.k_block : 0)));
}

enum sal_status sal_convolve_check(const struct sal_infer *infer, int x_input, int w_input,
                                   int64_t group, struct sal_error *err)
{
    const struct sal_shape *x = &infer->in[x_input]->shape;
    const struct sal_shape *w = &infer->in[w_input]->shape;
    int64_t channels;
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
    if (__builtin_mul_overflow(w->dim[1], group, &channels) || channels != x->dim[1])
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "weight expects %lld x %lld channels, input has %lld",
                             (long long)group, (long long)w->dim[1],
                             (long long)x->dim[1]);
    if (w->dim[0] < 1 || w->dim[0] % group)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "%lld output channels do not divide into %lld groups",
                             (long long)w->dim[0], (long long)group);
    return SAL_OK;
}

double sal_convolve_macs(const struct sal_convolution *g)
{
    return (double)g->n * (double)(g->group * g->k) * (double)g->columns.pixels_out *
           (double)g->rows;
}

void sal_convolve_carry(const struct sal_kernel *k, int input, int output,
                        struct sal_carry *carry)
{
    if (input > 0)
        return;
    sal_carry_in_order(k, input, output, carry);
    carry->axis[1] = -1;
}
