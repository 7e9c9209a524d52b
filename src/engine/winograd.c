#include "winograd.h"

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

static struct cut cut_of(const struct sal_winograd *g, int threads)
{
    const struct sal_lanes *lanes = sal_lanes();
    struct cut c = {.positions = (g->tile + 2) * (g->tile + 2),
                    .rows = ratio_up(g->out_h, g->tile),
                    .columns = ratio_up(g->out_w, g->tile),
                    .c_blocks = sal_blocks(g->in.c),
                    .k_blocks = sal_blocks(g->k),
                    .width = lanes->width};
    c.tiles = g->in.n * c.rows * c.columns;
    c.groups = ratio_up(c.k_blocks, c.width);
    cut_jobs(&c, threads, lanes->pixels);
    c.step = c.chunk | 1;
    return c;
}

/* ---- a chunk ------------------------------------------------------------------ */

struct convolution {
    const struct sal_winograd *g;
    const struct sal_source *from;
    const struct sal_target *to;
    const sal_real *packed;
    const struct sal_lanes *lanes;
    struct cut cut;
    sal_real *scratch;
    size_t scratch_stride;
};

/* Part of a row of tiles. */
struct stretch {
    int64_t image, row, column, n;
};

/* The longest from tile t on that ends before `end`. */
static struct stretch stretch_at(const struct cut *c, int64_t t, int64_t end)
{
    struct stretch s = {.image = t / (c->rows * c->columns),
                        .row = t / c->columns % c->rows,
                        .column = t % c->columns};
    s.n = sal_least(c->columns - s.column, end - t);
    return s;
}

/* Block b of tiles first..end-1, into v. */
static void transform_in(const struct convolution *f, int64_t b, int64_t first,
                         int64_t end, sal_real *v)
{
    const struct sal_winograd *g = f->g;
    const int64_t plane = g->in.h * g->in.w * SAL_BLOCK;
    struct sal_winograd_in in = {.h = g->in.h,
                                 .w = g->in.w,
                                 .tile = g->tile,
                                 .position = f->cut.step * SAL_BLOCK};
    for (int64_t t = first; t < end; t += in.n) {
        const struct stretch s = stretch_at(&f->cut, t, end);
        in.from = sal_source_at(f->from, (b * g->in.n + s.image) * plane);
        in.top = s.row * g->tile - g->pad_top;
        in.left = s.column * g->tile - g->pad_left;
        in.n = (int)s.n;
        in.v = v + (t - first) * SAL_BLOCK;
        f->lanes->winograd_in(&in);
    }
}

/* What is left to do to a row of tiles of a plane that begins at element `at`. */
static void finish(const struct convolution *f, const struct sal_winograd_out *out,
                   int64_t at)
{
    const int64_t n = sal_least((int64_t)out->n * out->tile, out->w - out->left);
    const int64_t past = sal_least(out->top + out->tile, out->h);
    for (int64_t y = out->top; y < past; y++)
        sal_target_finish(f->to, at + (y * out->w + out->left) * SAL_BLOCK, n);
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
        const struct stretch s = stretch_at(&f->cut, t, end);
        const int64_t at = (b * g->in.n + s.image) * plane;
        out.v = m + (t - first) * f->cut.positions * SAL_BLOCK;
        out.add = f->to->add ? f->to->add + at : NULL;
        out.y = f->to->y + at;
        out.top = s.row * g->tile;
        out.left = s.column * g->tile;
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
    sal_real *m = v + c->c_blocks * patches;
    for (int64_t b = 0; b < c->c_blocks; b++)
        transform_in(f, b, first, end, v + b * patches);
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

size_t sal_winograd_scratch(const struct sal_winograd *g, int threads)
{
    const struct cut c = cut_of(g, threads);
    return (size_t)(c.positions * SAL_BLOCK *
                        (c.c_blocks * c.step + c.width * c.chunk) +
                    SAL_BLOCK);
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
                            .cut = cut_of(g, sal_pool_threads(pool)),
                            .scratch = scratch,
                            .scratch_stride = scratch_stride};
    sal_pool_run(pool, (int)(f.cut.chunks * f.cut.parts), do_job, &f);
}
