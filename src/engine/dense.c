#include "dense_strip.h"

#include <string.h>

#include "kernel.h"
#include "real.h"
#include "saliscope/pool.h"

struct job {
    const struct sal_dense *d;
    const struct sal_source *source;
    const struct sal_dense_before *before;
    const struct sal_target *target;
    const struct sal_lanes *lanes;
    const sal_real *packed;
    sal_real *scratch;
    size_t scratch_stride;
    int64_t rows;      /* of a piece; flat: pixels */
    int64_t pieces;    /* of one image; flat: of all */
    int strip_parts;   /* strips are cut into so many, */
    int strips;        /* of so many each */
};

/* One piece of the target: rows i0..i1-1 of an image, and some strips. */
struct piece {
    const struct job *job;
    int64_t image, i0, i1;
    int strip0, strip1;
    const sal_real *window;
    ptrdiff_t plane; /* from block to block in the window */
    sal_real *row;   /* behind the window: results on their way through `before` */
};

/* Not all of x as it is. */
static bool passes_some(const struct sal_source *source)
{
    return source->bits || source->slope;
}

/* ---- the window ---------------------------------------------------------------- */

/* n pixels of channel block b, `step` elements apart, as pairs. */
static void pair_pixels(const struct job *job, int64_t b, const sal_real *from,
                        ptrdiff_t step, size_t n, sal_real *to)
{
    const struct sal_lanes *lanes = job->lanes;
    if (!job->before) {
        lanes->to_bf16(to, SAL_PAIRS, from, step, (int64_t)n);
        return;
    }
    struct sal_affine affine = job->before->affine;
    affine.scale += b * SAL_BLOCK;
    affine.shift += b * SAL_BLOCK;
    enum { ROOM = 16 }; /* pixels that are on their way, where they lie together */
    size_t most = step == SAL_BLOCK ? ROOM : 1;
    for (size_t i = 0; i < n; i += most) {
        sal_real pixels[ROOM * SAL_BLOCK];
        size_t some = n - i < most ? n - i : most;
        lanes->affine(pixels, from + (ptrdiff_t)i * step, &affine, some);
        lanes->to_bf16(to + i * SAL_PAIRS, SAL_PAIRS, pixels, SAL_BLOCK, (int64_t)some);
    }
}

/* n pixels of channel block b. */
static void copy_pixels(const struct job *job, int64_t b, const struct sal_source *from,
                        size_t n, sal_real *to)
{
    if (job->d->bf16) {
        pair_pixels(job, b, from->x, SAL_BLOCK, n, to);
    } else if (passes_some(from)) {
        job->lanes->pass(to, from, (int64_t)n);
    } else if (job->before && !job->d->back) {
        struct sal_affine affine = job->before->affine;
        affine.scale += b * SAL_BLOCK;
        affine.shift += b * SAL_BLOCK;
        job->lanes->affine(to, from->x, &affine, n);
    } else {
        memcpy(to, from->x, sizeof(*to) * SAL_BLOCK * n);
    }
}

/* A row of plane p of the source, columns that lie outside being zero, those of one
 * residue behind the other. */
static void gather_row(const struct job *job, int64_t p, const struct sal_source *row,
                       sal_real *to)
{
    const struct sal_dense *d = job->d;
    size_t unit = (size_t)d->unit;
    int64_t step = d->step[1], pixel = sal_dense_is_image(d) ? 1 : SAL_BLOCK;
    for (int64_t r = 0; r < step; r++, to += d->parity * (int64_t)unit) {
        int64_t first = d->low[1] + r; /* columns first + i * step */
        int64_t lo = first < 0 ? sal_least((-first + step - 1) / step, d->parity) : 0;
        int64_t hi = d->w > first ? sal_least((d->w - first + step - 1) / step, d->parity) : 0;
        hi = hi < lo ? lo : hi;
        memset(to, 0, sizeof(*to) * unit * (size_t)lo);
        memset(to + hi * (int64_t)unit, 0, sizeof(*to) * unit * (size_t)(d->parity - hi));
        ptrdiff_t at = (ptrdiff_t)((first + lo * step) * pixel);
        sal_real *inside = to + lo * (int64_t)unit;
        size_t n = (size_t)(hi - lo);
        struct sal_source from = sal_source_at(row, at);
        if (unit == 1)
            for (size_t i = 0; i < n; i++)
                inside[i] = from.x[i * (size_t)step];
        else if (step == 1)
            copy_pixels(job, p, &from, n, inside);
        else if (d->bf16)
            pair_pixels(job, p, from.x, (ptrdiff_t)(step * SAL_BLOCK), n, inside);
        else
            for (size_t i = 0; i < n; i++, from.x += step * SAL_BLOCK)
                copy_pixels(job, p, &from, 1, inside + i * SAL_BLOCK);
    }
}

/* Rows between those that taps of a strided pointwise convolution read. */
static bool row_is_read(const struct sal_dense *d, int64_t row)
{
    return row % d->step[0] <= d->high[0] - d->low[0];
}

static void gather(const struct piece *piece, sal_real *window)
{
    const struct sal_dense *d = piece->job->d;
    const struct sal_source *source = piece->job->source;
    int64_t pixel = sal_dense_is_image(d) ? 1 : SAL_BLOCK;
    int64_t planes = sal_dense_is_image(d) ? d->c : sal_blocks(d->c);
    int64_t first = piece->i0 * d->step[0] + d->low[0];
    int64_t rows = (piece->i1 - piece->i0 - 1) * d->step[0] + d->high[0] - d->low[0] + 1;
    for (int64_t p = 0; p < planes; p++)
        for (int64_t i = 0; i < rows; i++) {
            if (!row_is_read(d, i))
                continue;
            sal_real *to = window + p * d->plane + i * d->row;
            int64_t y = first + i;
            if (y < 0 || y >= d->h) {
                memset(to, 0, sizeof(*to) * (size_t)d->row);
                continue;
            }
            int64_t plane = sal_dense_is_image(d) ? piece->image * d->c + p
                                                  : p * d->n + piece->image;
            ptrdiff_t at = (ptrdiff_t)((plane * d->h + y) * d->w * pixel);
            const struct sal_source row = sal_source_at(source, at);
            gather_row(piece->job, p, &row, to);
        }
}

/* ---- strips -------------------------------------------------------------------- */

/* What is left to do to a row that has just been written, its pixels side by side. */
static void finish_row(const struct job *job, const struct sal_strip *s,
                       const sal_real *row, int64_t pixels)
{
    for (int b = 0; b < s->width && !job->d->back; b++)
        sal_target_finish(job->target, row - job->target->y + b * s->tile.out_block, pixels);
}

/* Everything but the places of its pixels. */
static struct sal_strip strip_of(const struct piece *piece, const struct sal_dense_class *class,
                                 int index)
{
    const struct job *job = piece->job;
    struct sal_strip s = sal_strip_of(job->d, class, index, job->packed, job->target);
    s.tile.taps = class->offsets;
    s.tile.in_block = piece->plane;
    if (index + 1 >= piece->strip1)
        s.soon = s.soon_end = NULL;
    return s;
}

/* ---- rows of windows ------------------------------------------------------------- */

static void aim(struct sal_strip *s, const struct piece *piece,
                const struct sal_dense_class *class, int index, int64_t i)
{
    const struct sal_dense *d = piece->job->d;
    const struct sal_target *target = piece->job->target;
    const struct sal_dense_strip *strip = &d->strips[index];
    s->tile.in = piece->window + (i - piece->i0) * d->step[0] * d->row +
                 (sal_dense_is_image(d) ? 0 : strip->from * piece->plane);
    int64_t y = class->y + i * d->spread[0];
    int64_t row = (strip->block * d->n + piece->image) * d->out_h + y;
    ptrdiff_t at = (ptrdiff_t)(row * d->out_w + class->x) * SAL_BLOCK;
    s->tile.out = target->y + at;
    s->tile.add = target->add ? target->add + at : NULL;
}

/* A row of results, pulled back through what is before the convolution. */
static void pull_back(const struct job *job, const struct sal_dense_strip *strip,
                      const sal_real *row, ptrdiff_t row_block, ptrdiff_t at,
                      ptrdiff_t out_block, ptrdiff_t out_pixel, int64_t n)
{
    for (int b = 0; b < strip->width; b++) {
        struct sal_affine affine = job->before->affine;
        affine.scale += (strip->block + b) * SAL_BLOCK;
        affine.shift += (strip->block + b) * SAL_BLOCK;
        const sal_real *dy = row + b * row_block;
        ptrdiff_t to = at + b * out_block;
        int64_t each = out_pixel == SAL_BLOCK ? n : 1; /* pixels that lie together */
        for (int64_t i = 0; i < n; i += each, dy += SAL_BLOCK, to += out_pixel)
            job->lanes->affine_back(job->target->y + to, dy, job->before->x + to, &affine,
                                    (size_t)each);
    }
}

/* One row of a strip with something before it, through a row of scratch. */
static void run_row_through(const struct piece *piece, struct sal_strip *s, int index,
                            int64_t columns)
{
    const struct job *job = piece->job;
    ptrdiff_t at = s->tile.out - job->target->y, out_pixel = s->tile.out_pixel;
    ptrdiff_t out_block = s->tile.out_block;
    s->tile.out = piece->row;
    s->tile.out_pixel = SAL_BLOCK;
    s->tile.out_block = (ptrdiff_t)(columns * SAL_BLOCK);
    sal_strip_row(s, columns, 1);
    pull_back(job, &job->d->strips[index], piece->row, s->tile.out_block, at, out_block,
              out_pixel, columns);
    s->tile.out_pixel = out_pixel;
    s->tile.out_block = out_block;
}

static bool goes_through(const struct job *job)
{
    return job->before && job->d->back;
}

static void run_strip(const struct piece *piece, const struct sal_dense_class *class,
                      int index)
{
    const struct sal_dense *d = piece->job->d;
    struct sal_strip s = strip_of(piece, class, index);
    s.tile.in_row = d->step[0] * d->row;
    s.tile.out_pixel = (ptrdiff_t)(d->spread[1] * SAL_BLOCK);
    s.tile.out_row = (ptrdiff_t)(d->spread[0] * d->out_w * SAL_BLOCK);
    s.tile.out_block = (ptrdiff_t)(d->n * d->out_h * d->out_w * SAL_BLOCK);
    int64_t i1 = sal_least(piece->i1, class->rows);
    bool pairs = class->columns <= s.pixels / 2 && !goes_through(piece->job);
    for (int64_t i = piece->i0; i < i1;) {
        int rows = pairs && i + 1 < i1 ? 2 : 1;
        aim(&s, piece, class, index, i);
        const sal_real *target_row = s.tile.out;
        if (goes_through(piece->job))
            run_row_through(piece, &s, index, class->columns);
        else
            sal_strip_row(&s, class->columns, rows);
        finish_row(piece->job, &s, target_row, rows * class->columns);
        i += rows;
    }
}

/* A class without taps leaves what it would add to as it is. */
static void run_classes(const struct piece *piece)
{
    const struct sal_dense *d = piece->job->d;
    bool adds = piece->job->target->add || goes_through(piece->job);
    for (int c = 0; c < d->n_classes; c++)
        for (int i = piece->strip0; i < piece->strip1; i++)
            if (d->classes[c].n_taps || !adds)
                run_strip(piece, &d->classes[c], i);
}

/* ---- images --------------------------------------------------------------------- */

/* Adds a piece of the gradient of an image. */
static void run_dots(const struct piece *piece, const struct sal_dense_class *class)
{
    const struct sal_dense *d = piece->job->d;
    const int64_t i1 = sal_least(piece->i1, class->rows);
    struct sal_dots dots = {
        .taps = class->offsets,
        .n_taps = class->n_taps,
        .blocks = (int)sal_blocks(d->c),
        .channels = (int)d->k,
        .in_block = d->plane,
        .w = piece->job->packed + class->weights[0],
        .out_pixel = (ptrdiff_t)d->spread[1],
        .out_channel = (ptrdiff_t)(d->out_h * d->out_w),
    };
    for (int64_t i = piece->i0; i < i1; i++) {
        const int64_t y = class->y + i * d->spread[0];
        dots.in = piece->window + (i - piece->i0) * d->row;
        dots.out = piece->job->target->y +
                   (piece->image * d->k * d->out_h + y) * d->out_w + class->x;
        piece->job->lanes->dots(&dots, class->columns);
    }
}

/* Sums along lanes take in those past the last channel, where a gradient may be NaN. */
static void clear_rest(const struct sal_dense *d, sal_real *window)
{
    const int64_t rest = d->c % SAL_BLOCK;
    sal_real *last = window + (sal_blocks(d->c) - 1) * d->plane;
    for (int64_t i = 0; rest && i < d->plane; i += SAL_BLOCK)
        memset(last + i + rest, 0, sizeof(*last) * (size_t)(SAL_BLOCK - rest));
}

static void run_image(const struct piece *piece, sal_real *window)
{
    const struct sal_dense *d = piece->job->d;
    clear_rest(d, window);
    for (int c = 0; c < d->n_classes; c++)
        if (d->classes[c].n_taps)
            run_dots(piece, &d->classes[c]);
}

/* ---- pieces ---------------------------------------------------------------------- */

static void window_item(void *context, int item, int worker)
{
    const struct job *job = context;
    const struct sal_dense *d = job->d;
    int64_t at = item % (d->n * job->pieces), part = item / (d->n * job->pieces);
    struct piece piece = {.job = job,
                          .image = at / job->pieces,
                          .i0 = at % job->pieces * job->rows,
                          .strip0 = (int)part * job->strips,
                          .plane = d->plane};
    int64_t rows = d->classes[0].rows; /* no class has more */
    piece.i1 = sal_least(piece.i0 + job->rows, rows);
    piece.strip1 = (int)sal_least(piece.strip0 + job->strips, d->n_strips);
    sal_real *window = job->scratch + (size_t)worker * job->scratch_stride;
    gather(&piece, window);
    piece.window = window;
    piece.row = window + sal_blocks(d->c) * d->plane;
    if (d->planar && d->back)
        run_image(&piece, window);
    else
        run_classes(&piece);
}

/* The pixels of a piece, block by block, where they are not read as they lie. */
static void gather_pixels(const struct job *job, int64_t p0, int64_t p1, sal_real *window)
{
    const struct sal_dense *d = job->d;
    int64_t pixels = d->n * d->h * d->w;
    for (int64_t b = 0; b < sal_blocks(d->c); b++) {
        const struct sal_source from =
            sal_source_at(job->source, (b * pixels + p0) * SAL_BLOCK);
        copy_pixels(job, b, &from, (size_t)(p1 - p0), window + b * d->plane);
    }
}

static bool gathers_pixels(const struct job *job)
{
    return job->d->bf16 || passes_some(job->source) || (job->before && !job->d->back);
}

static void flat_item(void *context, int item, int worker)
{
    const struct job *job = context;
    const struct sal_dense *d = job->d;
    const struct sal_target *target = job->target;
    int64_t pixels = d->n * d->h * d->w, p0 = item % job->pieces * job->rows;
    int64_t p1 = sal_least(p0 + job->rows, pixels);
    struct piece piece = {.job = job,
                          .strip0 = (int)(item / job->pieces) * job->strips,
                          .window = job->source->x + p0 * SAL_BLOCK,
                          .plane = (ptrdiff_t)(pixels * SAL_BLOCK)};
    piece.strip1 = (int)sal_least(piece.strip0 + job->strips, d->n_strips);
    sal_real *window = job->scratch + (size_t)worker * job->scratch_stride;
    piece.row = window + sal_blocks(d->c) * d->plane;
    if (gathers_pixels(job)) {
        gather_pixels(job, p0, p1, window);
        piece.window = window;
        piece.plane = d->plane;
    }
    for (int i = piece.strip0; i < piece.strip1; i++) {
        struct sal_strip s = strip_of(&piece, d->classes, i);
        ptrdiff_t at = (ptrdiff_t)((d->strips[i].block * pixels + p0) * SAL_BLOCK);
        s.tile.in = piece.window + d->strips[i].from * piece.plane;
        s.tile.out_pixel = SAL_BLOCK;
        s.tile.out_block = (ptrdiff_t)(pixels * SAL_BLOCK);
        s.tile.out = target->y + at;
        s.tile.add = target->add ? target->add + at : NULL;
        if (goes_through(job))
            run_row_through(&piece, &s, i, p1 - p0);
        else
            sal_strip_row(&s, p1 - p0, 1);
        finish_row(job, &s, target->y + at, p1 - p0);
    }
}

/* Pixels that are gathered are cut finer: whoever shares them by strips gathers them
 * too. */
static int64_t piece_rows(const struct job *job, int64_t all, int threads)
{
    const struct sal_dense *d = job->d;
    if (!d->flat || threads == 1 || !gathers_pixels(job))
        return d->rows;
    int64_t tile = job->lanes->pixels, each = all / (2 * threads) + 1;
    each = (each + tile - 1) / tile * tile;
    return sal_least(each < 2 * tile ? 2 * tile : each, d->rows);
}

/* Enough items for every thread, and as many for each, if strips allow. */
static void cut_strips(struct job *job, int64_t pieces, int threads)
{
    const struct sal_dense *d = job->d;
    int most = d->n_strips, parts = 1;
    int enough = d->flat && gathers_pixels(job) ? threads : 4 * threads;
    while (parts < most && threads > 1 &&
           (pieces * parts < enough || (pieces * parts < 4 * threads && pieces * parts % threads)))
        parts++;
    job->strips = (d->n_strips + parts - 1) / parts;
    job->strip_parts = (d->n_strips + job->strips - 1) / job->strips;
}

void sal_dense_run(const struct sal_dense *d, const struct sal_source *source,
                   const struct sal_dense_before *before, const sal_real *packed,
                   const struct sal_target *target, struct sal_pool *pool,
                   sal_real *scratch, size_t scratch_stride)
{
    struct job job = {.d = d,
                      .source = source,
                      .before = before,
                      .target = target,
                      .lanes = sal_lanes(),
                      .packed = packed,
                      .scratch = scratch,
                      .scratch_stride = scratch_stride};
    struct sal_target open = *target;
    if (d->back && (d->planar || before)) {
        open = (struct sal_target){.low = -SAL_INFINITY, .high = SAL_INFINITY, .y = target->y};
        job.target = &open;
    }
    int64_t rows = d->flat ? d->n * d->h * d->w : d->classes[0].rows;
    job.rows = piece_rows(&job, rows, sal_pool_threads(pool));
    job.pieces = (rows + job.rows - 1) / job.rows;
    int64_t pieces = d->flat ? job.pieces : d->n * job.pieces;
    if (pieces == 0)
        return;
    cut_strips(&job, pieces, sal_pool_threads(pool));
    sal_pool_run(pool, (int)pieces * job.strip_parts, d->flat ? flat_item : window_item, &job);
}

size_t sal_dense_scratch(const struct sal_dense *d, bool before)
{
    size_t planes = (size_t)(sal_dense_is_image(d) ? d->c : sal_blocks(d->c));
    size_t window = planes * (size_t)d->plane, row = 0;
    if (d->flat && !d->back && !before && !d->bf16)
        return 0;
    if (d->back && before)
        row = (size_t)((d->flat ? d->rows : d->out_w) * SAL_TILE_BLOCKS * SAL_BLOCK);
    return window + row;
}
