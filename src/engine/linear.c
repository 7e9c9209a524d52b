#include "linear.h"

#include <string.h>

#include "kernel.h"
#include "real.h"
#include "turn.h"

/* Reals of a chunk of rows: beside a strip of weights, it fits the second cache. */
enum { LINE = 64 / sizeof(sal_real) };
enum { CHUNK = 1 << 16, STRIPS_LEAST = 3, TASKS_PER_THREAD = 4 };

/* ---- packing --------------------------------------------------------------------- */

struct sal_linear_weights sal_linear_turned(const struct sal_linear_weights *weights)
{
    return (struct sal_linear_weights){
        .c = weights->k,
        .k = weights->c,
        .w = weights->w,
        .c_step = weights->k_step,
        .k_step = weights->c_step,
        .c_scale = weights->k_scale,
        .k_scale = weights->c_scale,
    };
}

/* Blocks of outputs that are computed together, the last ones perhaps fewer. */
struct strip {
    int64_t block;
    int width;
};

static struct strip strip_at(int64_t k, int64_t i)
{
    int64_t width = sal_lanes()->width, block = i * width;
    return (struct strip){block, (int)sal_least(width, sal_blocks(k) - block)};
}

static int64_t strips_of(int64_t k)
{
    int64_t width = sal_lanes()->width;
    return (sal_blocks(k) + width - 1) / width;
}

/* Steps of a tile for a block of features, and elements of a row that hold it. */
static int64_t steps_of(const struct sal_linear *l)
{
    return l->bf16 ? SAL_PAIRS : SAL_BLOCK;
}

/* All strips before one take as many reals as their blocks. */
static size_t block_size(int64_t c)
{
    return (size_t)(sal_blocks(c) * SAL_BLOCK * SAL_BLOCK);
}

size_t sal_linear_packed(int64_t c, int64_t k)
{
    return block_size(c) * (size_t)sal_blocks(k);
}

static const sal_real *weights_at(const struct sal_linear *l, int64_t block)
{
    return l->packed + block_size(l->c) / (l->bf16 ? 2 : 1) * (size_t)block;
}

struct packing {
    const struct sal_linear_weights *weights;
    sal_real *packed;
};

static ptrdiff_t row_place(const void *context, int64_t c)
{
    return (ptrdiff_t)c * *(const ptrdiff_t *)context;
}

/* Rows of inputs from rows of outputs. */
static void turn_rows(const struct sal_linear_weights *w, int64_t from, ptrdiff_t row,
                      sal_real *to)
{
    for (int64_t k = from; k < from + row; k += SAL_BLOCK) {
        const struct sal_turn turn = {
            .from = w->w + k * w->k_step,
            .step = w->k_step,
            .rows = (int)sal_least(SAL_BLOCK, w->k - k),
            .columns = w->c,
            .scale = w->k_scale ? w->k_scale + k : NULL,
        };
        sal_turn_run(&turn, to + (k - from), row_place, &row);
    }
}

/* They lie in rows of inputs already. */
static void copy_inputs(const struct sal_linear_weights *w, int64_t from, ptrdiff_t row,
                        sal_real *to)
{
    const int64_t n = sal_least(row, w->k - from);
    for (int64_t c = 0; c < w->c; c++, to += row) {
        memcpy(to, w->w + c * w->c_step + from, sizeof(*to) * (size_t)n);
        for (int64_t k = 0; w->k_scale && k < n; k++)
            to[k] *= w->k_scale[from + k];
        memset(to + n, 0, sizeof(*to) * (size_t)(row - n));
    }
}

static void pack_strip(void *context, int i, int worker)
{
    (void)worker;
    const struct packing *packing = context;
    const struct sal_linear_weights *w = packing->weights;
    const struct strip strip = strip_at(w->k, i);
    const int64_t from = strip.block * SAL_BLOCK, row = strip.width * SAL_BLOCK;
    sal_real *to = packing->packed + block_size(w->c) * (size_t)strip.block;
    (w->k_step == 1 ? copy_inputs : turn_rows)(w, from, row, to);
    for (int64_t c = 0; w->c_scale && c < w->c; c++)
        for (int64_t k = 0; k < row; k++)
            to[c * row + k] *= w->c_scale[c];
    const int64_t rest = sal_blocks(w->c) * SAL_BLOCK - w->c;
    memset(to + w->c * row, 0, sizeof(*to) * (size_t)(rest * row));
}

void sal_linear_pack(const struct sal_linear_weights *weights, sal_real *packed,
                     struct sal_pool *pool)
{
    struct packing packing = {weights, packed};
    sal_pool_run(pool, (int)strips_of(weights->k), pack_strip, &packing);
}

/* ---- running --------------------------------------------------------------------- */

/* Tiles of rows go in chunks, strips of outputs in spans: a task is one of both. */
struct cut {
    const struct sal_linear *l;
    int64_t tiles, chunks, strips, spans;
    sal_real *scratch;
    size_t stride;
};

static int64_t tiles_of(int64_t rows)
{
    return (rows + sal_lanes()->pixels - 1) / sal_lanes()->pixels;
}

static int64_t chunks_of(int64_t rows, int64_t c)
{
    int64_t row = sal_blocks(c) * SAL_BLOCK, most = CHUNK / (row * sal_lanes()->pixels);
    int64_t tiles = tiles_of(rows);
    return most < 1 ? tiles : (tiles + most - 1) / most;
}

/* Where part i of n parts of a whole begins: they differ by one at most. */
static int64_t part(int64_t whole, int64_t n, int64_t i)
{
    return whole * i / n;
}

size_t sal_linear_scratch(int64_t rows, int64_t c)
{
    int64_t chunks = rows ? chunks_of(rows, c) : 1;
    int64_t most = (tiles_of(rows) + chunks - 1) / chunks * sal_lanes()->pixels;
    return (size_t)(most * sal_blocks(c) * SAL_BLOCK);
}

/* Rows of a tile as [blocks][rows][8 pairs], zeros behind the features. */
static void pair_rows(const struct sal_linear *l, int64_t from, int64_t rows, sal_real *to)
{
    const int64_t blocks = l->c / SAL_BLOCK, rest = l->c % SAL_BLOCK;
    const ptrdiff_t step = (ptrdiff_t)(rows * SAL_PAIRS);
    for (int64_t r = 0; r < rows; r++, to += SAL_PAIRS) {
        const sal_real *x = l->x + (from + r) * l->c;
        sal_real last[SAL_BLOCK] = {0};
        memcpy(last, x + blocks * SAL_BLOCK, sizeof(*last) * (size_t)rest);
        sal_lanes()->to_bf16(to, step, x, SAL_BLOCK, blocks);
        if (rest)
            sal_lanes()->to_bf16(to + blocks * step, step, last, SAL_BLOCK, 1);
    }
}

/* Rows of a tile as [blocks][rows][16], zeros behind the features. */
static void copy_rows(const struct sal_linear *l, int64_t from, int64_t rows, sal_real *to)
{
    const int64_t whole = l->c / SAL_BLOCK * SAL_BLOCK, rest = l->c - whole;
    for (int64_t r = 0; r < rows; r++) {
        const sal_real *x = l->x + (from + r) * l->c;
        sal_real *at = to + r * SAL_BLOCK;
        for (int64_t c = 0; c < whole; c += SAL_BLOCK, at += rows * SAL_BLOCK)
            memcpy(at, x + c, sizeof(*at) * SAL_BLOCK);
        for (int64_t i = 0; rest && i < SAL_BLOCK; i++)
            at[i] = i < rest ? x[whole + i] : 0;
    }
}

/* A tile whose last block sticks out of the rows of y. */
static void finish_edge(const struct sal_linear *l, const sal_real *room, int64_t row,
                        int64_t rows, const struct strip *strip)
{
    const int64_t from = strip->block * SAL_BLOCK, n = l->k - from;
    for (int64_t r = 0; r < rows; r++) {
        const int64_t at = (row + r) * l->k + from;
        for (int64_t i = 0; i < n; i++) {
            const sal_real sum = room[r * strip->width * SAL_BLOCK + i];
            l->y[at + i] = l->add ? sum + l->add[at + i] : sum;
        }
    }
}

static void run_tile(const struct sal_linear *l, const sal_real *x, int64_t row, int64_t rows,
                     const struct strip *strip, const sal_real *soon)
{
    static const ptrdiff_t here = 0;
    const int64_t from = strip->block * SAL_BLOCK, n = strip->width * SAL_BLOCK;
    const int64_t rest = l->c - (sal_blocks(l->c) - 1) * SAL_BLOCK;
    const bool edge = from + n > l->k;
    sal_real room[SAL_TILE_PIXELS * SAL_TILE_BLOCKS * SAL_BLOCK];
    const ptrdiff_t at = row * l->k + from;
    const struct sal_tile tile = {
        .in = x,
        .taps = &here,
        .n_taps = 1,
        .blocks = (int)sal_blocks(l->c),
        .lanes = (int)(l->bf16 ? (rest + 1) / 2 : rest),
        .in_block = rows * steps_of(l),
        .w = weights_at(l, strip->block),
        .base = l->base ? l->base + from : NULL,
        .add = l->add && !edge ? l->add + at : NULL,
        .out = edge ? room : l->y + at,
        .out_pixel = edge ? n : l->k,
        .out_block = SAL_BLOCK,
        .low = -SAL_INFINITY,
        .high = SAL_INFINITY,
        .soon = soon,
    };
    for (int64_t r = 0; !edge && r < rows; r++)
        for (int64_t i = 0; i < n; i += LINE)
            __builtin_prefetch(l->y + at + r * l->k + i, 1);
    const struct sal_lanes *lanes = sal_lanes();
    (l->bf16 ? lanes->tile_bf16 : lanes->tile)(&tile, 1, (int)rows, strip->width);
    if (edge)
        finish_edge(l, room, row, rows, strip);
    for (int64_t r = 0; l->gelu && r < rows; r++) {
        sal_real *y = l->y + at + r * l->k;
        sal_lanes()->gelu(y, y, sal_least(n, l->k - from));
    }
}

/* The first tiles of a strip fetch the next one's weights, a line per feature each. */
static const sal_real *soon_of(const struct cut *cut, int64_t strip, int64_t tile)
{
    if (strip + 1 >= cut->strips)
        return NULL;
    const struct strip next = strip_at(cut->l->k, strip + 1);
    if (tile >= next.width)
        return NULL;
    return weights_at(cut->l, next.block + tile);
}

/* Tile t of a chunk whose first is `first`, by strip s. */
static void run_at(const struct cut *cut, int64_t s, int64_t t, int64_t first,
                   const sal_real *room)
{
    const struct sal_linear *l = cut->l;
    const struct strip strip = strip_at(l->k, s);
    const int64_t at = part(l->rows, cut->tiles, t);
    const int64_t skip = at - part(l->rows, cut->tiles, first);
    run_tile(l, room + skip * sal_blocks(l->c) * steps_of(l), at,
             part(l->rows, cut->tiles, t + 1) - at, &strip, soon_of(cut, s, t - first));
}

static void run_task(void *context, int task, int worker)
{
    const struct cut *cut = context;
    const struct sal_linear *l = cut->l;
    const int64_t chunk = task % cut->chunks, span = task / cut->chunks;
    const int64_t first = part(cut->tiles, cut->chunks, chunk);
    const int64_t last = part(cut->tiles, cut->chunks, chunk + 1);
    const int64_t row = sal_blocks(l->c) * steps_of(l);
    const int64_t begin = part(l->rows, cut->tiles, first);
    sal_real *room = cut->scratch + (size_t)worker * cut->stride;
    for (int64_t t = first; t < last; t++) {
        const int64_t at = part(l->rows, cut->tiles, t);
        (l->bf16 ? pair_rows : copy_rows)(l, at, part(l->rows, cut->tiles, t + 1) - at,
                                          room + (at - begin) * row);
    }
    const int64_t strip = part(cut->strips, cut->spans, span);
    const int64_t end = part(cut->strips, cut->spans, span + 1);
    for (int64_t s = strip; s < end; s++)
        for (int64_t t = first; t < last; t++)
            run_at(cut, s, t, first, room);
}

void sal_linear_run(const struct sal_linear *linear, struct sal_pool *pool,
                    sal_real *scratch, size_t scratch_stride)
{
    if (!linear->rows || !linear->k)
        return;
    struct cut cut = {.l = linear,
                      .tiles = tiles_of(linear->rows),
                      .chunks = chunks_of(linear->rows, linear->c),
                      .strips = strips_of(linear->k),
                      .scratch = scratch,
                      .stride = scratch_stride};
    int64_t wanted = (int64_t)sal_pool_threads(pool) * TASKS_PER_THREAD;
    int64_t most = (cut.strips + STRIPS_LEAST - 1) / STRIPS_LEAST;
    cut.spans = sal_least((wanted + cut.chunks - 1) / cut.chunks, most);
    sal_pool_run(pool, (int)(cut.chunks * cut.spans), run_task, &cut);
}
