#include "winograd.h"

#include <assert.h>
#include <stdlib.h>

#include "kernel.h"
#include "real.h"

/* Reals of a chunk's patches and sums that stay in the second cache. */
static int64_t knob(const char *name, int64_t fallback)
{
    const char *s = getenv(name);
    return s ? atoll(s) : fallback;
}

enum { CACHE = 600 * 1024 / (int)sizeof(sal_real), SHARED = 2 * 1024 * 1024 };

/* How the work is cut. Patches and sums of a chunk of tiles lie as
 * [blocks][positions][step][16]. */
struct cut {
    int64_t positions;  /* of a patch */
    int64_t rows, columns; /* tiles of an image */
    int64_t tiles;         /* of all images */
    int64_t c_blocks, k_blocks;
    int64_t width, groups; /* output blocks of a product; products per position */
    bool shared;           /* all threads work on one chunk, else on one each */
    int64_t chunk;         /* tiles */
    int64_t step;          /* odd: positions fall on different lines of the cache */
};

static int64_t ratio_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* As few chunks as have at most `most` tiles each, but a multiple of `threads` where
 * there are enough tiles, evenly cut. */
static int64_t even_chunk(int64_t tiles, int64_t most, int threads)
{
    int64_t chunks = ratio_up(tiles, most);
    if (chunks < 4 * threads)
        chunks = ratio_up(chunks, threads) * threads;
    return ratio_up(tiles, chunks);
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
    const int64_t position = c.positions * SAL_BLOCK;
    int64_t own = knob("WCACHE", CACHE) / (position * (c.c_blocks + c.width));
    int64_t all = knob("WSHARED", SHARED) / (position * (c.c_blocks + c.k_blocks));
    c.shared = knob("WMODE", own < 2 * lanes->pixels);
    c.chunk = c.shared ? even_chunk(c.tiles, all < lanes->pixels ? lanes->pixels : all, 1)
                       : even_chunk(c.tiles, own < lanes->pixels ? lanes->pixels : own, threads);
    c.step = c.chunk | 1;
    return c;
}

/* ---- weights ------------------------------------------------------------------------- */

size_t sal_winograd_packed(const struct sal_winograd *g)
{
    const int64_t positions = (g->tile + 2) * (g->tile + 2);
    return (size_t)(positions * sal_blocks(g->in.c) * sal_blocks(g->k) * SAL_BLOCK *
                    SAL_BLOCK);
}

/* ---- a chunk ------------------------------------------------------------------------- */

struct convolution {
    const struct sal_winograd *g;
    const struct sal_source *from;
    const struct sal_target *to;
    const sal_real *packed;
    const struct sal_lanes *lanes;
    struct cut cut;
    sal_real *scratch;
    size_t scratch_stride;
    int64_t first; /* tile of the chunk that all work on */
    int64_t parts; /* jobs of its phase */
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
static void transform_in(const struct convolution *f, int64_t b, int64_t first, int64_t end,
                         sal_real *v)
{
    const struct sal_winograd *g = f->g;
    const int64_t plane = g->in.h * g->in.w * SAL_BLOCK;
    struct sal_winograd_in in = {.low = f->from->low,
                                 .high = f->from->high,
                                 .h = g->in.h,
                                 .w = g->in.w,
                                 .tile = g->tile,
                                 .position = f->cut.step * SAL_BLOCK};
    for (int64_t t = first; t < end; t += in.n) {
        const struct stretch s = stretch_at(&f->cut, t, end);
        const int64_t at = (b * g->in.n + s.image) * plane;
        in.x = f->from->x + at;
        in.mask = f->from->mask ? f->from->mask + at : NULL;
        in.top = s.row * g->tile - g->pad_top;
        in.left = s.column * g->tile - g->pad_left;
        in.n = (int)s.n;
        in.v = v + (t - first) * SAL_BLOCK;
        f->lanes->winograd_in(&in);
    }
}

/* Output block b of tiles first..end-1, from m. */
static void transform_out(const struct convolution *f, int64_t b, int64_t first,
                          int64_t end, const sal_real *m)
{
    const struct sal_winograd *g = f->g;
    const int64_t plane = g->out_h * g->out_w * SAL_BLOCK;
    struct sal_winograd_out out = {.tile = g->tile,
                                   .base = f->to->base ? f->to->base + b * SAL_BLOCK : NULL,
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
    }
}

/* One position's product for one group of output blocks: n tiles of v, patches of all
 * blocks, into m, the group's sums. soon: the weights that come next; NULL: none. */
static void multiply(const struct convolution *f, int64_t position, int64_t group,
                     const sal_real *v, sal_real *m, int64_t n, const sal_real *soon)
{
    static const ptrdiff_t no_taps[1] = {0};
    const struct cut *c = &f->cut;
    const int64_t line = c->step * SAL_BLOCK, panel = c->c_blocks * SAL_BLOCK * SAL_BLOCK;
    const int width = (int)sal_least(c->width, c->k_blocks - group * c->width);
    struct sal_tile t = {
        .in = v + position * line,
        .taps = no_taps,
        .n_taps = 1,
        .blocks = (int)c->c_blocks,
        .lanes = (int)(f->g->in.c - (c->c_blocks - 1) * SAL_BLOCK),
        .in_block = c->positions * line,
        .w = f->packed + (position * c->k_blocks + group * c->width) * panel,
        .out = m + position * SAL_BLOCK,
        .out_pixel = c->positions * SAL_BLOCK,
        .out_block = c->positions * line,
        .low = -SAL_INFINITY,
        .high = SAL_INFINITY,
    };
    const int64_t tiles = ratio_up(n, f->lanes->pixels);
    for (int64_t i = 0, from = 0; i < tiles; i++) {
        const int64_t to = n * (i + 1) / tiles;
        /* Each fetches one line of so many that a channel has. */
        t.soon = soon && i < width ? soon + i * SAL_BLOCK : NULL;
        f->lanes->tile(&t, 1, (int)(to - from), width);
        t.in += (to - from) * SAL_BLOCK;
        t.out += (to - from) * t.out_pixel;
        from = to;
    }
}

/* The panel of weights of a position and group; NULL past the last. */
static const sal_real *panel_at(const struct convolution *f, int64_t position, int64_t group)
{
    const struct cut *c = &f->cut;
    if (position == c->positions || group == c->groups)
        return NULL;
    return f->packed + (position * c->k_blocks + group * c->width) * c->c_blocks *
                           SAL_BLOCK * SAL_BLOCK;
}

static sal_real *aligned(sal_real *scratch)
{
    uintptr_t past = (uintptr_t)scratch % 64;
    return past ? scratch + (64 - past) / sizeof(*scratch) : scratch;
}

/* A chunk by one thread: all its patches, then group by group products and outputs. */
static void own_chunk(void *context, int tile, int worker)
{
    const struct convolution *f = context;
    const struct cut *c = &f->cut;
    const int64_t first = tile * c->chunk, end = sal_least(first + c->chunk, c->tiles);
    const int64_t block = c->positions * c->step * SAL_BLOCK;
    sal_real *v = aligned(f->scratch + (size_t)worker * f->scratch_stride);
    sal_real *m = v + c->c_blocks * block;
    for (int64_t b = 0; b < c->c_blocks; b++)
        transform_in(f, b, first, end, v + b * block);
    for (int64_t group = 0; group < c->groups; group++) {
        for (int64_t p = 0; p < c->positions; p++) {
            const bool last = p == c->positions - 1;
            multiply(f, p, group, v, m, end - first,
                     last ? panel_at(f, 0, group + 1) : panel_at(f, p + 1, group));
        }
        for (int64_t i = 0; i < c->width && group * c->width + i < c->k_blocks; i++)
            transform_out(f, group * c->width + i, first, end, m + i * block);
    }
}

/* ---- a chunk by all threads ------------------------------------------------------------ */

static int64_t chunk_end(const struct convolution *f)
{
    return sal_least(f->first + f->cut.chunk, f->cut.tiles);
}

/* Tiles of part i of a chunk. */
static int64_t part_at(const struct convolution *f, int64_t i)
{
    return f->first + (chunk_end(f) - f->first) * i / f->parts;
}

static void shared_in(void *context, int job, int worker)
{
    (void)worker;
    const struct convolution *f = context;
    const int64_t b = job / f->parts, first = part_at(f, job % f->parts);
    transform_in(f, b, first, part_at(f, job % f->parts + 1),
                 aligned(f->scratch) +
                     (b * f->cut.positions * f->cut.step + first - f->first) * SAL_BLOCK);
}

static void shared_out(void *context, int job, int worker)
{
    (void)worker;
    const struct convolution *f = context;
    const struct cut *c = &f->cut;
    const int64_t b = job / f->parts, first = part_at(f, job % f->parts);
    transform_out(f, b, first, part_at(f, job % f->parts + 1),
                  aligned(f->scratch) +
                      ((c->c_blocks + b) * c->step + first - f->first) * c->positions *
                          SAL_BLOCK);
}

static void shared_products(void *context, int job, int worker)
{
    (void)worker;
    const struct convolution *f = context;
    const struct cut *c = &f->cut;
    const int64_t all = c->positions * c->groups, to = all * (job + 1) / f->parts;
    const int64_t block = c->positions * c->step * SAL_BLOCK;
    sal_real *v = aligned(f->scratch), *m = v + c->c_blocks * block;
    for (int64_t i = all * job / f->parts; i < to; i++) {
        const int64_t next = i + 1, group = i % c->groups;
        multiply(f, i / c->groups, group, v, m + group * c->width * block,
                 chunk_end(f) - f->first, panel_at(f, next / c->groups, next % c->groups));
    }
}

static void run_shared(struct convolution *f, struct sal_pool *pool)
{
    const struct cut *c = &f->cut;
    const int64_t jobs = 4 * sal_pool_threads(pool);
    for (; f->first < c->tiles; f->first += c->chunk) {
        const int64_t n = chunk_end(f) - f->first;
        f->parts = sal_least(ratio_up(jobs, c->c_blocks), n);
        sal_pool_run(pool, (int)(f->parts * c->c_blocks), shared_in, f);
        f->parts = sal_least(jobs, c->positions * c->groups);
        sal_pool_run(pool, (int)f->parts, shared_products, f);
        f->parts = sal_least(ratio_up(jobs, c->k_blocks), n);
        sal_pool_run(pool, (int)(f->parts * c->k_blocks), shared_out, f);
    }
}

size_t sal_winograd_scratch(const struct sal_winograd *g, int threads)
{
    const struct cut c = cut_of(g, threads);
    const int64_t block = c.positions * c.step * SAL_BLOCK;
    if (!c.shared)
        return (size_t)(block * (c.c_blocks + c.width) + SAL_BLOCK);
    return (size_t)ratio_up(block * (c.c_blocks + c.k_blocks) + SAL_BLOCK, threads);
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
    if (f.cut.shared)
        run_shared(&f, pool);
    else
        sal_pool_run(pool, (int)ratio_up(f.cut.tiles, f.cut.chunk), own_chunk, &f);
}
