/*
 * Depthwise convolution of one block: each lane is a channel of its own, so that the
 * sums of neighbouring pixels are all there is to keep in registers. A value that was
 * read serves every pixel whose window holds it.
 */
#include "lanes_vector.h"

/* Pixels of a tile: their sums, a row of at most 7 weights and one value fit. */
#if defined(__AVX512F__) && !defined(SAL_DOUBLE)
enum { PIXELS = 14 };
#else
enum { PIXELS = 7 };
#endif

enum { WEIGHTS = 7 };

struct tile {
    const sal_real *in; /* of the first row of taps, where pixel 0's window begins */
    ptrdiff_t in_step;  /* to the next row of taps */
    const sal_real *w;  /* of the first row of taps */
    ptrdiff_t w_step, w_tap;
    int64_t rows;         /* of taps */
    uint64_t columns;     /* bit j: column j from where the window begins exists */
    const sal_real *base; /* 16; NULL: zeros */
    sal_real *out;
    bool adds; /* to what out holds */
    sal_real low, high;
    /* For windows of any kind: taps of a row, the column where pixel 0's window begins,
     * how many columns there are. */
    int64_t taps, column, width, stride, dilation;
};

SAL_INLINE void begin(sal_vec *sum, const struct tile *t, int part, const int pixels)
{
    sal_vec base = t->base ? sal_vec_load(t->base + part) : (sal_vec){0};
#pragma GCC unroll 16
    for (int p = 0; p < pixels; p++)
        sum[p] = base;
}

SAL_INLINE void finish(const sal_vec *sum, const struct tile *t, int part,
                       const int pixels)
{
    const sal_vec low = sal_vec_of(t->low), high = sal_vec_of(t->high);
    sal_real *out = t->out + part;
#pragma GCC unroll 16
    for (int p = 0; p < pixels; p++, out += SAL_BLOCK) {
        if (t->adds)
            sal_vec_store(out, sum[p] + sal_vec_load(out));
        else
            sal_vec_store(out, sal_vec_min(sal_vec_max(sum[p], low), high));
    }
}

/* How pixels of a tile and columns of what is read meet. */
struct meeting {
    int pixels, taps, stride;
    /* Gathered, pixel p reads column p * stride + s under tap s. Spread, column j adds
     * to pixel (j - before) * stride + s - phase: the pull-back of the former. */
    bool spreads;
    int phase; /* 0..stride-1 */
};

SAL_INLINE int before(const struct meeting m)
{
    return (m.taps - 1 - m.phase) / m.stride;
}

SAL_INLINE int columns_of(const struct meeting m)
{
    return m.spreads ? before(m) + (m.pixels - 1 + m.phase) / m.stride + 1
                     : (m.pixels - 1) * m.stride + m.taps;
}

/* The pixel that column j counts for under tap s; -1: none. */
SAL_INLINE int pixel_of(const struct meeting m, const int j, const int s)
{
    if (!m.spreads && (j < s || (j - s) % m.stride))
        return -1;
    int p = m.spreads ? (j - before(m)) * m.stride + s - m.phase : (j - s) / m.stride;
    return p < m.pixels ? p : -1;
}

/* Which columns exist is asked where it matters: known beforehand for all rows of taps,
 * the answers would take up the registers. */
SAL_INLINE void sums(const struct tile *t, const struct meeting m)
{
    for (int part = 0; part < SAL_BLOCK; part += SAL_LANES) {
        const sal_real *in = t->in + part, *w = t->w + part;
        sal_vec sum[PIXELS] = {{0}}, weight[WEIGHTS] = {{0}};
        uint64_t columns = t->columns;
        begin(sum, t, part, m.pixels);
        for (int64_t r = 0; r < t->rows; r++, in += t->in_step, w += t->w_step) {
            __asm__("" : "+r"(columns));
#pragma GCC unroll 8
            for (int s = 0; s < m.taps; s++)
                weight[s] = sal_vec_load(w + s * t->w_tap);
#pragma GCC unroll 64
            for (int j = 0; j < columns_of(m); j++) {
                if (!(columns >> j & 1))
                    continue;
                const sal_vec x = sal_vec_held(sal_vec_load(in + j * SAL_BLOCK));
#pragma GCC unroll 8
                for (int s = 0; s < m.taps; s++)
                    if (pixel_of(m, j, s) >= 0)
                        sum[pixel_of(m, j, s)] += x * weight[s];
            }
        }
        finish(sum, t, part, m.pixels);
    }
}

/* Gathered, whatever taps, stride and dilation are. */
SAL_INLINE void any_row(const struct tile *t, sal_vec *sum, const sal_real *in,
                        const sal_real *w, const int pixels)
{
    const uint64_t width = (uint64_t)t->width;
    const ptrdiff_t step = t->stride * SAL_BLOCK;
    int64_t column = t->column;
    for (int64_t s = 0; s < t->taps; s++) {
        const sal_vec weight = sal_vec_load(w);
        const bool all = column >= 0 && column + (pixels - 1) * t->stride < t->width;
#pragma GCC unroll 16
        for (int p = 0; p < pixels; p++)
            if (all || (uint64_t)(column + p * t->stride) < width)
                sum[p] += sal_vec_load(in + p * step) * weight;
        in += t->dilation * SAL_BLOCK;
        w += t->w_tap;
        column += t->dilation;
    }
}

SAL_INLINE void any_sums(const struct tile *t, const int pixels)
{
    for (int part = 0; part < SAL_BLOCK; part += SAL_LANES) {
        sal_vec sum[PIXELS] = {{0}};
        begin(sum, t, part, pixels);
        for (int64_t r = 0; r < t->rows; r++)
            any_row(t, sum, t->in + part + r * t->in_step, t->w + part + r * t->w_step,
                    pixels);
        finish(sum, t, part, pixels);
    }
}

/* ---- every tile there is --------------------------------------------------------- */

typedef void (*tile_function)(const struct tile *t);

/* The tables below: what meets how. */
enum { ANY, THREE, THREE_TWO, FIVE, FIVE_TWO, SEVEN, SPREAD_THREE, SPREAD_FIVE = 8 };

#define KERNEL(name, pixels, ...)                                                      \
    static __attribute__((noinline)) void name##_##pixels(const struct tile *t)        \
    {                                                                                  \
        sums(t, (struct meeting){pixels, __VA_ARGS__});                                \
    }

#define KERNELS(p)                                                                     \
    static __attribute__((noinline)) void any_##p(const struct tile *t)                \
    {                                                                                  \
        any_sums(t, p);                                                                \
    }                                                                                  \
    KERNEL(three, p, 3, 1, false, 0)                                                   \
    KERNEL(three_two, p, 3, 2, false, 0)                                               \
    KERNEL(five, p, 5, 1, false, 0)                                                    \
    KERNEL(five_two, p, 5, 2, false, 0)                                                \
    KERNEL(seven, p, 7, 1, false, 0)                                                   \
    KERNEL(spread_three_0, p, 3, 2, true, 0)                                           \
    KERNEL(spread_three_1, p, 3, 2, true, 1)                                           \
    KERNEL(spread_five_0, p, 5, 2, true, 0)                                            \
    KERNEL(spread_five_1, p, 5, 2, true, 1)

#define ROW(p)                                                                         \
    [p] = {                                                                            \
        any_##p,           three_##p,        three_two_##p,      five_##p,             \
        five_two_##p,      seven_##p,        spread_three_0_##p, spread_three_1_##p,   \
        spread_five_0_##p, spread_five_1_##p},

#if defined(__AVX512F__) && !defined(SAL_DOUBLE)
#define EACH_8_TO_14(X) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#else
#define EACH_8_TO_14(X)
#endif
#define EACH(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) EACH_8_TO_14(X)

EACH(KERNELS)

static const tile_function tiles[PIXELS + 1][10] = {EACH(ROW)};

/* ---- rows ----------------------------------------------------------------------- */

/* Bits from..to-1 of those that columns of a tile have. */
static uint64_t bits(int64_t from, int64_t to)
{
    from = from < 0 ? 0 : from;
    to = to > 63 ? 63 : to;
    return from < to ? (((uint64_t)1 << (to - from)) - 1) << from : 0;
}

/* A division takes as long as a row of small maps: mostly there is none. */
static int64_t ceil_div(int64_t a, int64_t b)
{
    return a <= 0 ? 0 : b == 1 ? a : (a + b - 1) / b;
}

/* Tiles of a row of `width` pixels: as few as can be, and as even. */
struct cut {
    int64_t n, least, longer; /* so many are a pixel longer than the least */
};

static struct cut cut_row(int64_t width)
{
    int64_t n = ceil_div(width, PIXELS);
    return (struct cut){n, width / n, width % n};
}

/* What rows are made from, each pixel gathering its taps. */
struct gathering {
    const struct sal_depthwise *d; /* its kernel, in[], out[], stride, dilation, pad */
    const sal_real *w;             /* of the first tap */
    ptrdiff_t w_row, w_tap;
    int kind;
    struct cut cut; /* of its rows */
};

static int kind_of(const struct sal_depthwise *d)
{
    const int64_t taps = d->kernel[1], stride = d->stride[1];
    if (d->dilation[1] != 1 || stride > 2)
        return ANY;
    return taps == 3                  ? (stride == 1 ? THREE : THREE_TWO)
           : taps == 5                ? (stride == 1 ? FIVE : FIVE_TWO)
           : taps == 7 && stride == 1 ? SEVEN
                                      : ANY;
}

/* The tile is filled in where it lies: copied whole, right after its parts were written,
 * it took as long as a third of a row of 14 pixels. */
static void gather_row(const struct gathering *g, struct tile *t, const sal_real *x,
                       sal_real *out, int64_t y)
{
    const struct sal_depthwise *d = g->d;
    const int64_t row = d->in[1] * SAL_BLOCK, dilation = d->dilation[0];
    const int64_t top = y * d->stride[0] - d->pad[0];
    const int64_t first = ceil_div(-top, dilation);
    const int64_t past = ceil_div(d->in[0] - top, dilation);
    t->rows = (past < d->kernel[0] ? past : d->kernel[0]) - first;
    t->w = g->w + first * g->w_row;
    for (int64_t i = 0, at = 0; i < g->cut.n; i++) {
        const int64_t pixels = g->cut.least + (i < g->cut.longer);
        t->column = at * d->stride[1] - d->pad[1];
        t->columns = bits(-t->column, d->in[1] - t->column);
        t->in = x + (top + first * dilation) * row + t->column * SAL_BLOCK;
        t->out = out + at * SAL_BLOCK;
        tiles[pixels][g->kind](t);
        at += pixels;
    }
}

static void gather_rows(const struct gathering *g, struct tile t, const sal_real *x,
                        sal_real *out, int64_t from, int64_t to)
{
    const struct sal_depthwise *d = g->d;
    t.in_step = d->dilation[0] * d->in[1] * SAL_BLOCK;
    t.w_step = g->w_row;
    t.w_tap = g->w_tap;
    t.taps = d->kernel[1];
    t.width = d->in[1];
    t.stride = d->stride[1];
    t.dilation = d->dilation[1];
    for (int64_t y = from; y < to; y++)
        gather_row(g, &t, x, out + y * d->out[1] * SAL_BLOCK, y);
}

void SAL_NAMED(sal_depthwise)(const struct sal_depthwise *d, const sal_real *x,
                              sal_real *y, int64_t from, int64_t to)
{
    const struct gathering g = {
        .d = d,
        .w = d->w,
        .w_row = d->kernel[1] * SAL_BLOCK,
        .w_tap = SAL_BLOCK,
        .kind = kind_of(d),
        .cut = cut_row(d->out[1]),
    };
    const struct tile t = {.base = d->base, .low = d->low, .high = d->high};
    gather_rows(&g, t, x, y, from, to);
}

/* ---- back ----------------------------------------------------------------------- */

/* Sums that nothing clamps, added or written. */
static struct tile tile_of_back(bool adds)
{
    return (struct tile){.adds = adds, .low = -SAL_INFINITY, .high = SAL_INFINITY};
}

/* Without strides: the kernel turned round, gathered. dy is where its row 0 would be.
 */
static void back_gathered(const struct sal_depthwise *d, const sal_real *dy,
                          bool adds, sal_real *dx, int64_t from, int64_t to)
{
    struct sal_depthwise turned = *d;
    const int64_t taps = d->kernel[0] * d->kernel[1];
    for (int i = 0; i < 2; i++) {
        turned.in[i] = d->out[i];
        turned.out[i] = d->in[i];
        turned.pad[i] = (d->kernel[i] - 1) * d->dilation[i] - d->pad[i];
    }
    const struct gathering g = {
        .d = &turned,
        .w = d->w + (taps - 1) * SAL_BLOCK,
        .w_row = -d->kernel[1] * SAL_BLOCK,
        .w_tap = -SAL_BLOCK,
        .kind = kind_of(d),
        .cut = cut_row(turned.out[1]),
    };
    gather_rows(&g, tile_of_back(adds), dy, dx, from, to);
}

/* Rows of dy that reach row y of dx, by taps of every stride'th row. */
static void spread_row(const struct sal_depthwise *d, const struct cut *cut, int kind,
                       const sal_real *dy, bool adds, sal_real *dx, int64_t y)
{
    const int64_t row = d->out[1] * SAL_BLOCK, stride = d->stride[0];
    const int64_t bottom = y + d->pad[0], least = bottom - (d->out[0] - 1) * stride;
    const int64_t last = bottom < d->kernel[0] ? bottom : d->kernel[0] - 1;
    int64_t first = bottom % stride;
    if (first < least)
        first += ceil_div(least - first, stride) * stride;
    struct tile t = tile_of_back(adds);
    t.in_step = -row;
    t.w_tap = SAL_BLOCK;
    t.rows = first <= last ? (last - first) / stride + 1 : 0;
    t.w = d->w + first * d->kernel[1] * SAL_BLOCK;
    t.w_step = stride * d->kernel[1] * SAL_BLOCK;
    for (int64_t i = 0, at = 0; i < cut->n; i++) {
        const int64_t pixels = cut->least + (i < cut->longer), place = at + d->pad[1];
        const int phase = (int)(place % 2);
        const int64_t column = place / 2 - (d->kernel[1] - 1 - phase) / 2;
        t.columns = bits(-column, d->out[1] - column);
        t.in = dy + (bottom - first) / stride * row + column * SAL_BLOCK;
        t.out = dx + at * SAL_BLOCK;
        tiles[pixels][kind + phase](&t);
        at += pixels;
    }
}

/* Any window at all: one tap after the other added where it was read. */
static void add_tap(const struct sal_depthwise *d, const sal_real *w,
                    const sal_real *dy, sal_real *dx, int64_t column)
{
    const int64_t stride = d->stride[1];
    int64_t x = ceil_div(-column, stride), past = ceil_div(d->in[1] - column, stride);
    past = past < d->out[1] ? past : d->out[1];
    for (; x < past; x++)
        for (int part = 0; part < SAL_BLOCK; part += SAL_LANES) {
            sal_real *to = dx + (column + x * stride) * SAL_BLOCK + part;
            const sal_vec term =
                sal_vec_load(dy + x * SAL_BLOCK + part) * sal_vec_load(w + part);
            sal_vec_store(to, sal_vec_load(to) + term);
        }
}

static void add_row(const struct sal_depthwise *d, const sal_real *dy, sal_real *dx,
                    int64_t y)
{
    for (int64_t r = 0; r < d->kernel[0]; r++) {
        const int64_t place = y + d->pad[0] - r * d->dilation[0];
        const int64_t from = place / d->stride[0];
        if (place < 0 || place % d->stride[0] || from >= d->out[0])
            continue;
        for (int64_t s = 0; s < d->kernel[1]; s++)
            add_tap(d, d->w + (r * d->kernel[1] + s) * SAL_BLOCK,
                    dy + from * d->out[1] * SAL_BLOCK, dx,
                    s * d->dilation[1] - d->pad[1]);
    }
}

void SAL_NAMED(sal_depthwise_back)(const struct sal_depthwise *d, const sal_real *dy,
                                   int64_t first, bool adds, sal_real *dx, int64_t from,
                                   int64_t to)
{
    const bool spreads = d->stride[1] == 2 && d->dilation[0] == 1 &&
                         d->dilation[1] == 1 &&
                         (d->kernel[1] == 3 || d->kernel[1] == 5);
    dy -= first * d->out[1] * SAL_BLOCK;
    if (d->stride[0] == 1 && d->stride[1] == 1) {
        back_gathered(d, dy, adds, dx, from, to);
        return;
    }
    const struct cut cut = cut_row(d->in[1]);
    for (int64_t y = from; y < to; y++) {
        sal_real *row = dx + y * d->in[1] * SAL_BLOCK;
        if (spreads) {
            spread_row(d, &cut, d->kernel[1] == 3 ? SPREAD_THREE : SPREAD_FIVE, dy, adds,
                       row, y);
            continue;
        }
        if (!adds)
            memset(row, 0, sizeof(*row) * (size_t)(d->in[1] * SAL_BLOCK));
        add_row(d, dy, row, y);
    }
}
