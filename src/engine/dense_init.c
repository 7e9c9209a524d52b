/* What a dense convolution reads and writes where, worked out once. */
#include "dense.h"
#include "kernel.h"

enum {
    WINDOW = 64 * 1024,  /* reals of a window, at most where rows allow: 256 KiB */
    FLAT = 96 * 1024,    /* reals of a pointwise piece of the source */
};

/* ---- taps ---------------------------------------------------------------------- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b && (a < 0) != (b < 0));
}

static bool add_class(struct sal_dense *d, int64_t y, int64_t x, int64_t taps,
                      struct sal_arena *arena)
{
    struct sal_dense_class *class = &d->classes[d->n_classes++];
    *class = (struct sal_dense_class){
        .y = y,
        .x = x,
        .rows = (d->out_h - y + d->spread[0] - 1) / d->spread[0],
        .columns = (d->out_w - x + d->spread[1] - 1) / d->spread[1],
        .taps = sal_new(arena, struct sal_dense_tap, taps),
    };
    return class->taps;
}

static bool forward_class(struct sal_dense *d, struct sal_arena *arena)
{
    const struct sal_conv_geometry *g = &d->g;
    if (!add_class(d, 0, 0, g->kernel[0] * g->kernel[1], arena))
        return false;
    struct sal_dense_class *class = d->classes;
    for (int64_t y = 0; y < g->kernel[0]; y++)
        for (int64_t x = 0; x < g->kernel[1]; x++)
            class->taps[class->n_taps++] = (struct sal_dense_tap){
                y * g->dilation[0] - g->pad[0], x * g->dilation[1] - g->pad[1],
                (int)(y * g->kernel[1] + x)};
    return true;
}

/* The position that reads with tap `at`, if there is one: of the class with residue r,
 * this far from its own index. */
static bool reader(const struct sal_conv_geometry *g, int axis, int64_t r, int64_t at,
                   int64_t *offset)
{
    int64_t distance = r + g->pad[axis] - at * g->dilation[axis];
    *offset = floor_div(distance, g->stride[axis]);
    return *offset * g->stride[axis] == distance;
}

static bool residue_class(struct sal_dense *d, int64_t y, int64_t x,
                          struct sal_arena *arena)
{
    const struct sal_conv_geometry *g = &d->g;
    if (!add_class(d, y, x, g->kernel[0] * g->kernel[1], arena))
        return false;
    struct sal_dense_class *class = &d->classes[d->n_classes - 1];
    for (int64_t i = 0; i < g->kernel[0]; i++)
        for (int64_t j = 0; j < g->kernel[1]; j++) {
            struct sal_dense_tap tap = {.at = (int)(i * g->kernel[1] + j)};
            if (reader(g, 0, y, i, &tap.y) && reader(g, 1, x, j, &tap.x))
                class->taps[class->n_taps++] = tap;
        }
    return true;
}

static bool make_classes(struct sal_dense *d, struct sal_arena *arena)
{
    const int64_t *stride = d->g.stride;
    d->classes = sal_new(arena, struct sal_dense_class, d->back ? stride[0] * stride[1] : 1);
    if (!d->classes)
        return false;
    if (!d->back)
        return forward_class(d, arena);
    bool done = true;
    for (int64_t y = 0; done && y < sal_least(stride[0], d->out_h); y++)
        for (int64_t x = 0; done && x < sal_least(stride[1], d->out_w); x++)
            done = residue_class(d, y, x, arena);
    return done;
}

/* ---- sides --------------------------------------------------------------------- */

static void set_sides(struct sal_dense *d)
{
    const struct sal_conv_geometry *g = &d->g;
    d->n = g->n;
    d->c = d->back ? g->k : g->c;
    d->k = d->back ? g->c : g->k;
    for (int i = 0; i < 2; i++) {
        d->step[i] = d->back ? 1 : g->stride[i];
        d->spread[i] = d->back ? g->stride[i] : 1;
    }
    d->h = d->back ? g->out[0] : g->in[0];
    d->w = d->back ? g->out[1] : g->in[1];
    d->out_h = d->back ? g->in[0] : g->out[0];
    d->out_w = d->back ? g->in[1] : g->out[1];
    d->flat = !d->planar && g->kernel[0] * g->kernel[1] == 1 && g->stride[0] == 1 &&
              g->stride[1] == 1 && !g->pad[0] && !g->pad[1] && g->in[0] == g->out[0] &&
              g->in[1] == g->out[1];
}

/* ---- strips -------------------------------------------------------------------- */

/* The input blocks that output channels k0..k1-1 read. */
static void read_range(const struct sal_dense *d, struct sal_dense_strip *strip)
{
    int64_t group = d->g.group, all = sal_blocks(d->c);
    int64_t k0 = strip->block * SAL_BLOCK;
    int64_t k1 = sal_least(k0 + strip->width * SAL_BLOCK, d->k);
    strip->from = 0;
    strip->to = d->planar && !d->back ? 1 : all;
    if (group == 1)
        return;
    int64_t per_k = d->k / group, per_c = d->c / group;
    strip->from = k0 / per_k * per_c / SAL_BLOCK;
    strip->to = sal_blocks(((k1 - 1) / per_k + 1) * per_c);
}

static bool make_strips(struct sal_dense *d, struct sal_arena *arena)
{
    int64_t blocks = sal_blocks(d->k);
    int width = sal_lanes()->width;
    d->strips = sal_new(arena, struct sal_dense_strip, blocks);
    if (!d->strips)
        return false;
    for (int64_t b = 0; b < blocks; b += d->strips[d->n_strips - 1].width) {
        struct sal_dense_strip *strip = &d->strips[d->n_strips++];
        strip->block = b;
        strip->width = (int)sal_least(width, blocks - b);
        read_range(d, strip);
    }
    return true;
}

static bool place_weights(struct sal_dense *d, struct sal_arena *arena)
{
    const bool image = d->planar && !d->back, dots = d->planar && d->back;
    const int64_t lanes = image ? d->c : dots ? d->k : d->unit;
    for (int i = 0; i < d->n_classes; i++) {
        struct sal_dense_class *class = &d->classes[i];
        class->weights = sal_new(arena, size_t, d->n_strips);
        if (!class->weights)
            return false;
        for (int j = 0; j < d->n_strips; j++) {
            const struct sal_dense_strip *strip = &d->strips[j];
            class->weights[j] = d->packed;
            d->packed += (size_t)((strip->to - strip->from) * class->n_taps * lanes *
                                  (dots ? 1 : strip->width) * SAL_BLOCK);
        }
    }
    return true;
}

/* ---- the window ---------------------------------------------------------------- */

static void find_reach(struct sal_dense *d)
{
    bool first = true;
    for (int i = 0; i < d->n_classes; i++)
        for (int j = 0; j < d->classes[i].n_taps; j++) {
            const struct sal_dense_tap *tap = &d->classes[i].taps[j];
            d->low[0] = first ? tap->y : sal_least(d->low[0], tap->y);
            d->low[1] = first ? tap->x : sal_least(d->low[1], tap->x);
            d->high[0] = first || tap->y > d->high[0] ? tap->y : d->high[0];
            d->high[1] = first || tap->x > d->high[1] ? tap->x : d->high[1];
            first = false;
        }
}

static int64_t window_rows(const struct sal_dense *d, int64_t rows)
{
    return (rows - 1) * d->step[0] + d->high[0] - d->low[0] + 1;
}

/* Rows of a piece: as many as the window holds, evenly. */
static void size_window(struct sal_dense *d)
{
    int64_t planes = d->planar && !d->back ? d->c : sal_blocks(d->c);
    int64_t rows = 0, columns = 0;
    for (int i = 0; i < d->n_classes; i++) {
        rows = d->classes[i].rows > rows ? d->classes[i].rows : rows;
        columns = d->classes[i].columns > columns ? d->classes[i].columns : columns;
    }
    d->parity = columns - 1 + (d->high[1] - d->low[1]) / d->step[1] + 1;
    d->row = (ptrdiff_t)(d->parity * d->step[1] * d->unit);
    int64_t fit = (WINDOW / (planes * d->row) - (d->high[0] - d->low[0] + 1)) / d->step[0] + 1;
    fit = fit < 2 ? 2 : fit;
    int64_t pieces = rows ? (rows + fit - 1) / fit : 1;
    d->rows = rows ? (rows + pieces - 1) / pieces : 1;
    d->plane = (ptrdiff_t)(window_rows(d, d->rows) * d->row);
}

static bool place_taps(struct sal_dense *d, struct sal_arena *arena)
{
    int64_t copies = d->planar && !d->back ? d->c : 1;
    for (int i = 0; i < d->n_classes; i++) {
        struct sal_dense_class *class = &d->classes[i];
        class->offsets = sal_new(arena, ptrdiff_t, class->n_taps * copies);
        if (!class->offsets)
            return false;
        for (int j = 0; j < class->n_taps; j++) {
            int64_t y = class->taps[j].y - d->low[0], x = class->taps[j].x - d->low[1];
            ptrdiff_t at = y * d->row + (x % d->step[1] * d->parity + x / d->step[1]) * d->unit;
            for (int64_t c = 0; c < copies; c++)
                class->offsets[j * copies + c] = d->flat ? 0 : at + c * d->plane;
        }
    }
    return true;
}

/* Pixels of a pointwise piece: whole tiles, evenly. */
static void size_flat(struct sal_dense *d)
{
    int64_t pixels = d->n * d->h * d->w, tile = sal_lanes()->pixels;
    int64_t fit = FLAT / (sal_blocks(d->c) * d->unit);
    fit = fit < tile ? tile : fit;
    int64_t pieces = (pixels + fit - 1) / fit;
    int64_t each = (pixels + pieces - 1) / pieces;
    d->rows = pieces == 1 ? pixels : (each + tile - 1) / tile * tile;
    d->plane = (ptrdiff_t)(d->rows * d->unit);
}

/* What is said already: its g, planar, back, bf16 and unit. */
static enum sal_status lay_out(struct sal_dense *d, struct sal_arena *arena,
                               struct sal_error *err)
{
    set_sides(d);
    if (!make_classes(d, arena) || !make_strips(d, arena) || !place_weights(d, arena))
        return sal_fail(err, SAL_LIMIT, "no memory for a convolution");
    find_reach(d);
    if (d->flat)
        size_flat(d);
    else
        size_window(d);
    return place_taps(d, arena) ? SAL_OK
                                : sal_fail(err, SAL_LIMIT, "no memory for a convolution");
}

enum sal_status sal_dense_init(struct sal_dense *d, const struct sal_conv_geometry *g,
                               bool planar, bool back, struct sal_arena *arena,
                               struct sal_error *err)
{
    *d = (struct sal_dense){.g = *g, .planar = planar, .back = back};
    d->unit = planar && !back ? 1 : SAL_BLOCK;
    return lay_out(d, arena, err);
}

enum sal_status sal_dense_init_bf16(struct sal_dense *d, const struct sal_conv_geometry *g,
                                    struct sal_arena *arena, struct sal_error *err)
{
    *d = (struct sal_dense){.g = *g, .bf16 = true, .unit = SAL_PAIRS};
    return lay_out(d, arena, err);
}
