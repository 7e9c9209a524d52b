#include "dense_boxes.h"

#include <string.h>

#include "dense_strip.h"
#include "saliscope/pool.h"

enum {
    WINDOW = 48 * 1024, /* reals of an item's windows, at most where rows allow */
    FLAT = 64 * 1024,   /* reals of a pointwise piece of the source */
};

/* Rows i0..i1-1 of an image's box, and their window. */
struct segment {
    int image;
    int64_t i0, i1, columns;
    int64_t parity;       /* as in sal_dense, for so many columns */
    ptrdiff_t row, plane; /* likewise */
    size_t at;            /* where it begins in the item's windows */
    ptrdiff_t *offsets;   /* of taps */
};

struct job {
    const struct sal_dense *d;
    const struct sal_field *in, *out;
    const struct sal_affine *before;
    const struct sal_target *target;
    const struct sal_lanes *lanes;
    const sal_real *packed;
    sal_real *scratch;
    size_t scratch_stride;
    struct segment *segments;
    int *items;         /* [n_items + 1] the first segment of each */
    int n_items;
    int64_t piece;      /* pointwise: pixels of one */
    int strips;         /* of an item, at most; the others are other items' */
    int strip_parts;
};

/* ---- pixels ------------------------------------------------------------------------ */

static int64_t planes_of(const struct sal_dense *d)
{
    return sal_dense_is_image(d) ? d->c : sal_blocks(d->c);
}

/* Through what is before the convolution, in place. */
static void pass_before(const struct job *job, int64_t plane, sal_real *x, int64_t n)
{
    if (!job->before)
        return;
    struct sal_affine affine = *job->before;
    affine.scale += plane * SAL_BLOCK;
    affine.shift += plane * SAL_BLOCK;
    job->lanes->affine(x, x, &affine, (size_t)n);
}

/* n pixels beside each other, as the window has them; line has room for as many reals. */
static void fetch(const struct job *job, int64_t plane, int image, int64_t y, int64_t x,
                  int64_t n, sal_real *line, sal_real *to)
{
    sal_real *at = job->d->bf16 ? line : to;
    sal_field_row(job->in, plane, image, y, x, n, at);
    pass_before(job, plane, at, n);
    if (job->d->bf16)
        job->lanes->to_bf16(to, SAL_PAIRS, line, SAL_BLOCK, n);
}

/* ---- windows ----------------------------------------------------------------------- */

/* Every step-th of n pixels. */
static void spread(const struct sal_dense *d, const struct sal_lanes *lanes,
                   const sal_real *from, int64_t n, sal_real *to)
{
    int64_t step = d->step[1];
    if (d->bf16)
        lanes->to_bf16(to, SAL_PAIRS, from, (ptrdiff_t)step * SAL_BLOCK, n);
    else if (d->unit == 1)
        for (int64_t i = 0; i < n; i++)
            to[i] = from[i * step];
    else
        for (int64_t i = 0; i < n; i++)
            memcpy(to + i * SAL_BLOCK, from + i * step * SAL_BLOCK, sizeof(*to) * SAL_BLOCK);
}

static void clear(sal_real *to, int64_t n)
{
    memset(to, 0, sizeof(*to) * (size_t)n);
}

/* Row y of a plane, which lies in the map: columns that do not are zero, those of one
 * residue lie behind the other. */
static void gather_row(const struct job *job, const struct segment *s, int64_t plane,
                       int64_t y, sal_real *line, sal_real *to)
{
    const struct sal_dense *d = job->d;
    int64_t unit = d->unit, pixel = job->in->unit, step = d->step[1];
    int64_t first = job->out->box[s->image].at[1] * step + d->low[1];
    int64_t end = first + s->parity * step, from = sal_least(first < 0 ? 0 : first, end);
    int64_t past = end < d->w ? end : d->w;
    past = past < from ? from : past;
    if (step == 1) {
        clear(to, (from - first) * unit);
        fetch(job, plane, s->image, y, from, past - from, line, to + (from - first) * unit);
        clear(to + (past - first) * unit, (end - past) * unit);
        return;
    }
    sal_field_row(job->in, plane, s->image, y, from, past - from, line);
    pass_before(job, plane, line, past - from);
    for (int64_t r = 0; r < step; r++, to += s->parity * unit) {
        int64_t at = first + r, lo = at < from ? (from - at + step - 1) / step : 0;
        int64_t hi = past > at ? (past - at + step - 1) / step : 0;
        hi = sal_least(hi, s->parity);
        lo = sal_least(lo, s->parity);
        hi = hi < lo ? lo : hi;
        clear(to, lo * unit);
        if (hi > lo)
            spread(d, job->lanes, line + (at + lo * step - from) * pixel, hi - lo,
                   to + lo * unit);
        clear(to + hi * unit, (s->parity - hi) * unit);
    }
}

static void gather(const struct job *job, const struct segment *s, sal_real *line,
                   sal_real *window)
{
    const struct sal_dense *d = job->d;
    int64_t first = (job->out->box[s->image].at[0] + s->i0) * d->step[0] + d->low[0];
    int64_t reach = d->high[0] - d->low[0];
    int64_t rows = (s->i1 - s->i0 - 1) * d->step[0] + reach + 1;
    for (int64_t p = 0; p < planes_of(d); p++)
        for (int64_t i = 0; i < rows; i++) {
            sal_real *to = window + p * s->plane + i * s->row;
            int64_t y = first + i;
            if (i % d->step[0] > reach) /* between those that taps read */
                continue;
            if (y < 0 || y >= d->h)
                clear(to, s->row);
            else
                gather_row(job, s, p, y, line, to);
        }
}

static void run_segment(const struct job *job, const struct segment *s, int index,
                        struct sal_strip strip, const sal_real *window)
{
    const struct sal_dense *d = job->d;
    const struct sal_dense_strip *at = &d->strips[index];
    int64_t pixels = sal_field_pixels(job->out), columns = s->columns;
    strip.tile.taps = s->offsets;
    strip.tile.in_block = s->plane;
    strip.tile.in_row = (ptrdiff_t)(d->step[0] * s->row);
    strip.tile.out_pixel = SAL_BLOCK;
    strip.tile.out_row = (ptrdiff_t)(columns * SAL_BLOCK);
    strip.tile.out_block = (ptrdiff_t)(pixels * SAL_BLOCK);
    const sal_real *in =
        window + s->at + (sal_dense_is_image(d) ? 0 : at->from * s->plane);
    for (int64_t i = s->i0, rows; i < s->i1; i += rows) {
        rows = columns <= strip.pixels / 2 && i + 1 < s->i1 ? 2 : 1;
        int64_t pixel = at->block * pixels + job->out->first[s->image] + i * columns;
        sal_real *y = job->out->data + pixel * SAL_BLOCK;
        strip.tile.in = in + (i - s->i0) * d->step[0] * s->row;
        strip.tile.out = y;
        strip.tile.add = job->target->add ? job->target->add + pixel * SAL_BLOCK : NULL;
        sal_strip_row(&strip, columns, (int)rows);
        sal_strip_finish(&strip, job->target->after, y, rows * columns);
    }
}

static void window_item(void *context, int tile, int worker)
{
    const struct job *job = context;
    const struct sal_dense *d = job->d;
    int item = tile % job->n_items, strip0 = tile / job->n_items * job->strips;
    int strip1 = (int)sal_least(strip0 + job->strips, d->n_strips);
    const struct segment *from = job->segments + job->items[item];
    const struct segment *past = job->segments + job->items[item + 1];
    sal_real *line = job->scratch + (size_t)worker * job->scratch_stride;
    sal_real *window = line + d->w * SAL_BLOCK;
    for (const struct segment *s = from; s < past; s++)
        gather(job, s, line, window + s->at);
    for (int i = strip0; i < strip1; i++) {
        struct sal_strip strip = sal_strip_of(d, d->classes, i, job->packed, job->target);
        for (const struct segment *s = from; s < past; s++) {
            run_segment(job, s, i, strip, window);
            strip.soon = strip.soon_end = NULL;
        }
    }
}

/* ---- cutting ----------------------------------------------------------------------- */

static int64_t parity_of(const struct sal_dense *d, int64_t columns)
{
    return columns + (d->high[1] - d->low[1]) / d->step[1];
}

static int64_t window_rows(const struct sal_dense *d, int64_t rows)
{
    return (rows - 1) * d->step[0] + d->high[0] - d->low[0] + 1;
}

/* Rows of a segment: as many as a window holds, evenly; two at least. */
static int64_t rows_of(const struct sal_dense *d, int64_t rows, int64_t columns)
{
    int64_t line = planes_of(d) * parity_of(d, columns) * d->step[1] * d->unit;
    int64_t fit = (WINDOW / line - (d->high[0] - d->low[0] + 1)) / d->step[0] + 1;
    fit = fit < 2 ? 2 : fit;
    int64_t pieces = (rows + fit - 1) / fit;
    return (rows + pieces - 1) / pieces;
}

static bool place_taps(const struct sal_dense *d, struct segment *s, struct sal_arena *arena)
{
    const struct sal_dense_class *class = d->classes;
    int64_t copies = sal_dense_is_image(d) ? d->c : 1, step = d->step[1];
    s->offsets = sal_new(arena, ptrdiff_t, class->n_taps * copies);
    for (int j = 0; s->offsets && j < class->n_taps; j++) {
        int64_t y = class->taps[j].y - d->low[0], x = class->taps[j].x - d->low[1];
        ptrdiff_t at = y * s->row + (x % step * s->parity + x / step) * d->unit;
        for (int64_t c = 0; c < copies; c++)
            s->offsets[j * copies + c] = at + c * s->plane;
    }
    return s->offsets;
}

static bool add_segments(struct job *job, int image, int *n, struct sal_arena *arena)
{
    const struct sal_dense *d = job->d;
    const struct sal_box *box = &job->out->box[image];
    int64_t rows = sal_box_rows(box), columns = sal_box_columns(box);
    int64_t each = rows ? rows_of(d, rows, columns) : 1;
    for (int64_t i = 0; i < rows; i += each) {
        struct segment *s = &job->segments[(*n)++];
        *s = (struct segment){.image = image,
                              .i0 = i,
                              .i1 = sal_least(i + each, rows),
                              .columns = columns,
                              .parity = parity_of(d, columns)};
        s->row = (ptrdiff_t)(s->parity * d->step[1] * d->unit);
        s->plane = (ptrdiff_t)window_rows(d, s->i1 - s->i0) * s->row;
        if (!place_taps(d, s, arena))
            return false;
    }
    return true;
}

/* Segments that lie in one window, and no more pixels of them than leave something for
 * all threads. */
static bool make_items(struct job *job, int n, int threads, struct sal_arena *arena)
{
    int64_t most = sal_field_pixels(job->out) / (4 * threads) + 1, pixels = 0, used = 0;
    job->items = sal_new(arena, int, n + 1);
    for (int i = 0; job->items && i < n; i++) {
        struct segment *s = &job->segments[i];
        int64_t reals = planes_of(job->d) * s->plane;
        if (i == 0 || used + reals > WINDOW || pixels >= most) {
            job->items[job->n_items++] = i;
            pixels = used = 0;
        }
        s->at = (size_t)used;
        used += reals;
        pixels += (s->i1 - s->i0) * s->columns;
    }
    if (job->items)
        job->items[job->n_items] = n;
    return job->items;
}

/* Where there are fewer pieces than threads want, strips are shared out too. */
static void cut_strips(struct job *job, int64_t pieces, int threads)
{
    int parts = 1;
    while (parts < job->d->n_strips && threads > 1 && pieces * parts < 2 * threads)
        parts++;
    job->strips = (job->d->n_strips + parts - 1) / parts;
    job->strip_parts = (job->d->n_strips + job->strips - 1) / job->strips;
}

static bool run_windows(struct job *job, const struct sal_region_kernel *k)
{
    int64_t rows = 0;
    int n = 0, threads = sal_pool_threads(k->pool);
    for (int i = 0; i < job->out->n; i++)
        rows += sal_box_rows(&job->out->box[i]);
    job->segments = sal_new(k->arena, struct segment, rows);
    for (int i = 0; i < job->out->n; i++)
        if (!job->segments || !add_segments(job, i, &n, k->arena))
            return false;
    if (!make_items(job, n, threads, k->arena))
        return false;
    cut_strips(job, job->n_items, threads);
    sal_pool_run(k->pool, job->n_items * job->strip_parts, window_item, job);
    return true;
}

/* ---- pointwise --------------------------------------------------------------------- */

static bool lies_there(const struct job *job)
{
    return !job->d->bf16 && !job->before && sal_field_like(job->in, job->out);
}

/* A stretch of one plane, as the window has it. */
static void pass_stretch(const struct job *job, int64_t plane, const struct sal_stretch *s,
                         const sal_real *from, sal_real *line, sal_real *to)
{
    const struct sal_lanes *lanes = job->lanes;
    size_t n = (size_t)s->pixels;
    struct sal_affine affine = {0};
    sal_real *passed = job->d->bf16 ? line : to;
    if (job->before) {
        affine = *job->before;
        affine.scale += plane * SAL_BLOCK;
        affine.shift += plane * SAL_BLOCK;
        lanes->affine(passed, from, &affine, n);
        from = passed;
    } else if (!job->d->bf16) {
        memcpy(to, from, sizeof(*to) * SAL_BLOCK * n);
    }
    if (job->d->bf16)
        lanes->to_bf16(to, SAL_PAIRS, from, SAL_BLOCK, s->pixels);
}

/* Pixels p0..p1-1 of all boxes, `plane` reals from block to block. */
static void gather_pixels(const struct job *job, int64_t p0, int64_t p1, int64_t plane,
                          sal_real *line, sal_real *window)
{
    int unit = job->d->unit;
    for (int64_t p = p0, n; p < p1; p += n) {
        struct sal_field_place at = sal_field_find(job->out, p);
        int64_t block = 0;
        n = sal_least(at.left, p1 - p);
        for (int i = 0; i < sal_field_parts(job->in); i++) {
            const struct sal_field *part = sal_field_part(job->in, i);
            struct sal_stretches s = sal_part_row(part, at.image, at.y, at.x, n);
            for (int64_t b = 0; b < part->planes; b++, block++) {
                sal_real *to = window + block * plane + (p - p0) * unit;
                for (int j = 0; j < s.n; to += s.stretch[j++].pixels * unit)
                    pass_stretch(job, block, &s.stretch[j],
                                 s.stretch[j].from + b * s.stretch[j].step, line, to);
            }
        }
    }
}

static void flat_item(void *context, int tile, int worker)
{
    const struct job *job = context;
    const struct sal_dense *d = job->d;
    int64_t pixels = sal_field_pixels(job->out);
    int64_t p0 = tile % job->n_items * job->piece, p1 = sal_least(p0 + job->piece, pixels);
    int strip0 = tile / job->n_items * job->strips;
    int strip1 = (int)sal_least(strip0 + job->strips, d->n_strips);
    sal_real *line = job->scratch + (size_t)worker * job->scratch_stride;
    sal_real *window = line + d->w * SAL_BLOCK;
    const sal_real *from = window;
    int64_t plane = job->piece * d->unit;
    if (lies_there(job)) {
        from = job->in->data + p0 * SAL_BLOCK;
        plane = pixels * SAL_BLOCK;
    } else {
        gather_pixels(job, p0, p1, plane, line, window);
    }
    for (int i = strip0; i < strip1; i++) {
        struct sal_strip s = sal_strip_of(d, d->classes, i, job->packed, job->target);
        int64_t at = (d->strips[i].block * pixels + p0) * SAL_BLOCK;
        s.tile.taps = d->classes->offsets;
        s.tile.in_block = (ptrdiff_t)plane;
        s.tile.in = from + d->strips[i].from * plane;
        s.tile.out_pixel = SAL_BLOCK;
        s.tile.out_block = (ptrdiff_t)(pixels * SAL_BLOCK);
        s.tile.out = job->out->data + at;
        s.tile.add = job->target->add ? job->target->add + at : NULL;
        sal_strip_row(&s, p1 - p0, 1);
        sal_strip_finish(&s, job->target->after, job->out->data + at, p1 - p0);
    }
}

/* Pixels of a piece: whole tiles, as many as stay in the cache. */
static int64_t fitting_pixels(const struct sal_dense *d)
{
    int64_t fit = FLAT / (sal_blocks(d->c) * d->unit), tile = sal_lanes()->pixels;
    return fit < tile ? tile : fit / tile * tile;
}

static void run_flat(struct job *job, const struct sal_region_kernel *k)
{
    int threads = sal_pool_threads(k->pool);
    int64_t pixels = sal_field_pixels(job->out), tile = job->lanes->pixels;
    int64_t pieces = pixels / fitting_pixels(job->d) + 1;
    pieces = (pieces + threads - 1) / threads * threads;
    job->piece = (pixels + pieces - 1) / pieces;
    job->piece = sal_least((job->piece + tile - 1) / tile * tile, fitting_pixels(job->d));
    job->n_items = (int)((pixels + job->piece - 1) / job->piece);
    cut_strips(job, job->n_items, threads);
    sal_pool_run(k->pool, job->n_items * job->strip_parts, flat_item, job);
}

/* ---- both -------------------------------------------------------------------------- */

size_t sal_dense_boxes_scratch(const struct sal_dense *d)
{
    int64_t line = d->w * SAL_BLOCK;
    if (d->flat)
        return (size_t)(line + fitting_pixels(d) * sal_blocks(d->c) * d->unit);
    int64_t row = parity_of(d, d->out_w) * d->step[1] * d->unit;
    int64_t least = planes_of(d) * row * window_rows(d, 2); /* rows_of gives that at least */
    return (size_t)(line + (least > WINDOW ? least : WINDOW));
}

bool sal_dense_boxes_run(const struct sal_dense *d, const struct sal_field *in,
                         const struct sal_affine *before, const sal_real *packed,
                         const struct sal_target *target, const struct sal_region_kernel *k)
{
    struct job job = {.d = d,
                      .in = in,
                      .out = k->to,
                      .before = before,
                      .target = target,
                      .lanes = sal_lanes(),
                      .packed = packed,
                      .scratch = k->scratch,
                      .scratch_stride = k->scratch_stride};
    if (sal_field_pixels(k->to) == 0)
        return true;
    if (!d->flat)
        return run_windows(&job, k);
    run_flat(&job, k);
    return true;
}
