#include "winograd.h"

#include <string.h>

#include "boxes.h"
#include "kernel.h"
#include "real.h"

/* Tiles of a chunk, about: a panel of weights that comes from the third cache or from
 * memory serves so many, whose patches stay in the second cache up to 256 channels.
 * Half of that where patches took more reals than PATCHES. */
enum { CHUNK = 28, PATCHES = 1 << 20 };

/* How the work is cut: a job is a chunk of tiles, all images' in a row, and a part of
 * the output channels. It has patches of its own, as [blocks][positions][step][16], and
 * sums of one group of output blocks, as [width][chunk][positions][16]. */
struct cut {
    int64_t positions;     /* of a patch */
    int64_t rows, columns; /* tiles of an image */
    int64_t tiles;         /* of all images */
    int64_t c_blocks, k_blocks;
    int64_t width, groups; /* output blocks of a product; products per position */
    int64_t chunk, chunks; /* tiles of one, the last may have less */
    int64_t parts;         /* of the groups */
    int64_t step;          /* odd: positions fall on different lines of the cache */
};

static int64_t ratio_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* Chunks fill the table's tile where there are many, and are even where threads have
 * few each. Where products would become small, threads share a chunk and each
 * transforms its patches anew: cheaper than to fetch what another one wrote. */
static void cut_jobs(struct cut *c, int threads, int pixels)
{
    const int64_t patch = c->positions * c->c_blocks * SAL_BLOCK;
    const int64_t most = CHUNK / (CHUNK * patch > PATCHES ? 2 : 1) / pixels * pixels;
    c->parts = 1;
    c->chunk = most;
    c->chunks = ratio_up(c->tiles, most);
    if (c->chunks >= 4 * threads)
        return;
    if (c->tiles < (int64_t)threads * CHUNK / 2)
        c->parts = sal_least(c->groups, threads);
    const int64_t sharing = ratio_up(threads, c->parts);
    c->chunk = ratio_up(c->tiles, ratio_up(c->chunks, sharing) * sharing);
    c->chunks = ratio_up(c->tiles, c->chunk);
}

size_t sal_winograd_packed(const struct sal_winograd *g)
{
    const int64_t positions = (g->tile + 2) * (g->tile + 2);
    return (size_t)(positions * sal_blocks(g->in.c) * sal_blocks(g->k) * SAL_BLOCK *
                    SAL_BLOCK);
}

static int64_t tiles_of(const struct sal_winograd *g)
{
    return g->in.n * ratio_up(g->out_h, g->tile) * ratio_up(g->out_w, g->tile);
}

static struct cut cut_of(const struct sal_winograd *g, int64_t tiles, int threads)
{
    const struct sal_lanes *lanes = sal_lanes();
    struct cut c = {.positions = (g->tile + 2) * (g->tile + 2),
                    .rows = ratio_up(g->out_h, g->tile),
                    .columns = ratio_up(g->out_w, g->tile),
                    .c_blocks = sal_blocks(g->in.c),
                    .k_blocks = sal_blocks(g->k),
                    .width = lanes->width};
    c.tiles = tiles;
    c.groups = ratio_up(c.k_blocks, c.width);
    cut_jobs(&c, threads, lanes->pixels);
    c.step = c.chunk | 1;
    return c;
}

/* ---- a chunk ------------------------------------------------------------------ */

/* The tiles of an image that reach into its box: those of the whole map's grid, so that
 * what they compute is what the whole map's do. */
struct patch {
    int64_t row, column, columns; /* the first one, and how many beside each other */
    int64_t first;                /* tiles of the images before */
};

/* What a convolution of boxes (boxes.h) reads and writes. */
struct regions {
    const struct sal_field *in, *out;
    const struct patch *patches; /* [out->n] */
};

struct convolution {
    const struct sal_winograd *g;
    const struct sal_source *from;
    const struct sal_target *to;
    const sal_real *packed;
    const struct sal_lanes *lanes;
    struct cut cut;
    const struct regions *regions; /* NULL: whole maps */
    sal_real *scratch;
    size_t scratch_stride;
};

/* Part of a row of tiles. */
struct stretch {
    int64_t image, row, column, n;
};

/* The last image with tiles that begin no later than t. */
static int64_t image_of(const struct regions *r, int64_t t)
{
    int64_t low = 0, high = r->out->n - 1;
    while (low < high) {
        int64_t middle = (low + high + 1) / 2;
        if (r->patches[middle].first <= t)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

/* The longest from tile t on that ends before `end`. */
static struct stretch stretch_at(const struct convolution *f, int64_t t, int64_t end)
{
    const struct cut *c = &f->cut;
    if (f->regions) {
        int64_t image = image_of(f->regions, t);
        const struct patch *p = &f->regions->patches[image];
        int64_t at = t - p->first, column = at % p->columns;
        return (struct stretch){image, p->row + at / p->columns, p->column + column,
                                sal_least(p->columns - column, end - t)};
    }
    struct stretch s = {.image = t / (c->rows * c->columns),
                        .row = t / c->columns % c->rows,
                        .column = t % c->columns};
    s.n = sal_least(c->columns - s.column, end - t);
    return s;
}

/* The pixels that a stretch's patches of block b read, side by side; zeros outside of the
 * map. */
static void gather_patches(const struct convolution *f, int64_t b, const struct stretch *s,
                           struct sal_winograd_in *in, sal_real *to)
{
    const struct sal_winograd *g = f->g;
    int64_t top = s->row * g->tile - g->pad_top, left = s->column * g->tile - g->pad_left;
    in->from = (struct sal_source){.x = to};
    in->h = g->tile + 2;
    in->w = s->n * g->tile + 2;
    in->top = in->left = 0;
    int64_t lo = sal_least(left < 0 ? -left : 0, in->w);
    int64_t hi = sal_least(g->in.w - left, in->w);
    hi = hi < lo ? lo : hi;
    for (int64_t y = top; y < top + in->h; y++, to += in->w * SAL_BLOCK) {
        if (y < 0 || y >= g->in.h) {
            memset(to, 0, sizeof(*to) * (size_t)(in->w * SAL_BLOCK));
            continue;
        }
        memset(to, 0, sizeof(*to) * (size_t)(lo * SAL_BLOCK));
        sal_field_row(f->regions->in, b, (int)s->image, y, left + lo, hi - lo,
                      to + lo * SAL_BLOCK);
        memset(to + hi * SAL_BLOCK, 0, sizeof(*to) * (size_t)((in->w - hi) * SAL_BLOCK));
    }
}

/* Block b of tiles first..end-1, into v; `line` has room for a stretch of boxes. */
static void transform_in(const struct convolution *f, int64_t b, int64_t first,
                         int64_t end, sal_real *v, sal_real *line)
{
    const struct sal_winograd *g = f->g;
    const int64_t plane = g->in.h * g->in.w * SAL_BLOCK;
    struct sal_winograd_in in = {.h = g->in.h,
                                 .w = g->in.w,
                                 .tile = g->tile,
                                 .position = f->cut.step * SAL_BLOCK};
    for (int64_t t = first; t < end; t += in.n) {
        const struct stretch s = stretch_at(f, t, end);
        if (f->regions) {
            gather_patches(f, b, &s, &in, line);
        } else {
            in.from = sal_source_at(f->from, (b * g->in.n + s.image) * plane);
            in.top = s.row * g->tile - g->pad_top;
            in.left = s.column * g->tile - g->pad_left;
        }
        in.n = (int)s.n;
        in.v = v + (t - first) * SAL_BLOCK;
        f->lanes->winograd_in(&in);
    }
}

/* Takes an image's box for its map; where in the data it begins. */
static int64_t aim_at_box(const struct sal_field *field, int64_t b, int image,
                          struct sal_winograd_out *out)
{
    const struct sal_box *box = &field->box[image];
    out->h = sal_box_rows(box);
    out->w = sal_box_columns(box);
    out->top -= box->at[0];
    out->left -= box->at[1];
    return (b * sal_field_pixels(field) + field->first[image]) * SAL_BLOCK;
}

/* What is left to do to a row of tiles of a plane, or of a box, that begins at element
 * `at`. */
static void finish(const struct convolution *f, const struct sal_winograd_out *out,
                   int64_t at)
{
    const int64_t left = out->left < 0 ? 0 : out->left;
    const int64_t n = sal_least(out->left + (int64_t)out->n * out->tile, out->w) - left;
    const int64_t past = sal_least(out->top + out->tile, out->h);
    for (int64_t y = out->top < 0 ? 0 : out->top; y < past; y++)
        sal_target_finish(f->to, at + (y * out->w + left) * SAL_BLOCK, n);
}

/* Output block b of tiles first..end-1, from m. */
static void transform_out(const struct convolution *f, int64_t b, int64_t first,
                          int64_t end, const sal_real *m)
{
    const struct sal_winograd *g = f->g;
    const int64_t plane = g->out_h * g->out_w * SAL_BLOCK;
    struct sal_winograd_out out = {.tile = g->tile,
                                   .base =
                                       f->to->base ? f->to->base + b * SAL_BLOCK : NULL,
                                   .low = f->to->low,
                                   .high = f->to->high,
                                   .h = g->out_h,
                                   .w = g->out_w};
    for (int64_t t = first; t < end; t += out.n) {
        const struct stretch s = stretch_at(f, t, end);
        int64_t at = (b * g->in.n + s.image) * plane;
        out.top = s.row * g->tile;
        out.left = s.column * g->tile;
        if (f->regions)
            at = aim_at_box(f->regions->out, b, (int)s.image, &out);
        out.v = m + (t - first) * f->cut.positions * SAL_BLOCK;
        out.add = f->to->add ? f->to->add + at : NULL;
        out.y = f->to->y + at;
        out.n = (int)s.n;
        f->lanes->winograd_out(&out);
        finish(f, &out, at);
    }
}

/* The panel of weights of a position and group. */
static const sal_real *panel_at(const struct convolution *f, int64_t position,
                                int64_t group)
{
    const struct cut *c = &f->cut;
    return f->packed + (position * c->k_blocks + group * c->width) * c->c_blocks *
                           SAL_BLOCK * SAL_BLOCK;
}

/* One position's product for one group of output blocks: n tiles of v, patches of all
 * blocks, into m, the group's sums. soon: the weights that come next; NULL: none. */
static void multiply(const struct convolution *f, int64_t position, int64_t group,
                     const sal_real *v, sal_real *m, int64_t n, const sal_real *soon)
{
    static const ptrdiff_t no_taps[1] = {0};
    const struct cut *c = &f->cut;
    const int64_t line = c->step * SAL_BLOCK;
    const int width = (int)sal_least(c->width, c->k_blocks - group * c->width);
    struct sal_tile t = {
        .in = v + position * line,
        .taps = no_taps,
        .n_taps = 1,
        .blocks = (int)c->c_blocks,
        .lanes = (int)(f->g->in.c - (c->c_blocks - 1) * SAL_BLOCK),
        .in_block = c->positions * line,
        .w = panel_at(f, position, group),
        .out = m + position * SAL_BLOCK,
        .out_pixel = c->positions * SAL_BLOCK,
        .out_block = c->positions * c->chunk * SAL_BLOCK,
        .low = -SAL_INFINITY,
        .high = SAL_INFINITY,
    };
    const int64_t tiles = ratio_up(n, f->lanes->pixels);
    for (int64_t i = 0, from = 0; i < tiles; i++) {
        const int64_t to = n * (i + 1) / tiles;
        /* A product fetches one block's share of the panel. */
        t.soon =
            soon && i < width ? soon + i * c->c_blocks * SAL_BLOCK * SAL_BLOCK : NULL;
        f->lanes->tile(&t, 1, (int)(to - from), width);
        t.in += (to - from) * SAL_BLOCK;
        t.out += (to - from) * t.out_pixel;
        from = to;
    }
}

static sal_real *aligned(sal_real *scratch)
{
    uintptr_t past = (uintptr_t)scratch % 64;
    return past ? scratch + (64 - past) / sizeof(*scratch) : scratch;
}

static void do_job(void *context, int job, int worker)
{
    const struct convolution *f = context;
    const struct cut *c = &f->cut;
    const int64_t first = job / c->parts * c->chunk, part = job % c->parts;
    const int64_t end = sal_least(first + c->chunk, c->tiles);
    const int64_t stop = c->groups * (part + 1) / c->parts;
    const int64_t patches = c->positions * c->step * SAL_BLOCK;
    const int64_t sums = c->positions * c->chunk * SAL_BLOCK;
    sal_real *v = aligned(f->scratch + (size_t)worker * f->scratch_stride);
    sal_real *m = v + c->c_blocks * patches, *line = m + c->width * sums;
    for (int64_t b = 0; b < c->c_blocks; b++)
        transform_in(f, b, first, end, v + b * patches, line);
    for (int64_t group = c->groups * part / c->parts; group < stop; group++) {
        for (int64_t p = 0; p < c->positions; p++) {
            const sal_real *soon = p + 1 < c->positions ? panel_at(f, p + 1, group)
                                   : group + 1 < stop   ? panel_at(f, 0, group + 1)
                                                        : NULL;
            multiply(f, p, group, v, m, end - first, soon);
        }
        for (int64_t i = 0; i < c->width && group * c->width + i < c->k_blocks; i++)
            transform_out(f, group * c->width + i, first, end, m + i * sums);
    }
}

static size_t scratch_of(const struct cut *c)
{
    return (size_t)(c->positions * SAL_BLOCK * (c->c_blocks * c->step + c->width * c->chunk) +
                    SAL_BLOCK);
}

size_t sal_winograd_scratch(const struct sal_winograd *g, int threads)
{
    const struct cut c = cut_of(g, tiles_of(g), threads);
    return scratch_of(&c);
}

void sal_winograd_run(const struct sal_winograd *g, const struct sal_source *from,
                      const sal_real *packed, const struct sal_target *to,
                      struct sal_pool *pool, sal_real *scratch, size_t scratch_stride)
{
    struct convolution f = {.g = g,
                            .from = from,
                            .to = to,
                            .packed = packed,
                            .lanes = sal_lanes(),
                            .cut = cut_of(g, tiles_of(g), sal_pool_threads(pool)),
                            .scratch = scratch,
                            .scratch_stride = scratch_stride};
    sal_pool_run(pool, (int)(f.cut.chunks * f.cut.parts), do_job, &f);
}

/* ---- boxes ---------------------------------------------------------------------- */

/* Whatever the tiles are: a chunk has no more than CHUNK of them, about. */
size_t sal_winograd_boxes_scratch(const struct sal_winograd *g)
{
    struct cut c = cut_of(g, 1 << 20, 1);
    c.chunk = c.chunk > CHUNK ? c.chunk : CHUNK;
    c.step = c.chunk | 1;
    const int64_t line = (ratio_up(g->out_w, g->tile) * g->tile + 2) * (g->tile + 2);
    return scratch_of(&c) + (size_t)(line * SAL_BLOCK);
}

static int64_t find_patches(const struct sal_winograd *g, const struct sal_field *out,
                            struct patch *patches)
{
    int64_t tiles = 0;
    for (int i = 0; i < out->n; i++) {
        const struct sal_box *box = &out->box[i];
        struct patch *p = &patches[i];
        *p = (struct patch){box->at[0] / g->tile, box->at[1] / g->tile, 0, tiles};
        if (sal_box_empty(box))
            continue;
        p->columns = ratio_up(box->end[1], g->tile) - p->column;
        tiles += p->columns * (ratio_up(box->end[0], g->tile) - p->row);
    }
    return tiles;
}

bool sal_winograd_boxes_run(const struct sal_winograd *g, const struct sal_field *in,
                            const sal_real *packed, const struct sal_target *to,
                            const struct sal_region_kernel *k)
{
    struct patch *patches = sal_new(k->arena, struct patch, k->to->n);
    int64_t tiles = patches ? find_patches(g, k->to, patches) : 0;
    const struct regions regions = {in, k->to, patches};
    struct sal_target target = *to;
    target.y = k->to->data;
    const struct sal_source nothing = {0};
    struct convolution f = {.g = g,
                            .from = &nothing,
                            .to = &target,
                            .packed = packed,
                            .lanes = sal_lanes(),
                            .regions = &regions,
                            .scratch = k->scratch,
                            .scratch_stride = k->scratch_stride};
    if (tiles) {
        f.cut = cut_of(g, tiles, sal_pool_threads(k->pool));
        sal_pool_run(k->pool, (int)(f.cut.chunks * f.cut.parts), do_job, &f);
    }
    return patches;
}
