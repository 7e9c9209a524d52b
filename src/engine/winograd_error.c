#include "winograd_error.h"

#include <string.h>

#include "kernel.h"
#include "saliscope/random.h"

enum { INPUTS = 16, PATCHES = 2, CORNERS = 2, TAPS = 9, PARTS = 32 };

/* All that is looked at: a few channels with weights of their own, two images that are a
 * patch each. */
struct probe {
    struct sal_winograd g;
    const sal_loose *w;
    const sal_real *scale;
    bool flipped;
    int64_t inputs[INPUTS], outputs[SAL_BLOCK]; /* the channels */
    sal_real *x, *y;
    double sum[PATCHES][CORNERS][SAL_BLOCK], square[PATCHES][CORNERS][SAL_BLOCK];
    struct sal_arena arena;
};

/* ---- which channels ------------------------------------------------------------------- */

static sal_real greatest(const sal_loose *taps)
{
    sal_real most = 0;
    for (int i = 0; i < TAPS; i++) {
        const sal_real size = sal_abs(taps[i]);
        most = most > size ? most : size;
    }
    return most;
}

/* The greatest weights of rows and columns of w, [rows][columns][3][3], as far as one pair
 * in PARTS shows them: another part of each row, so that every column is met. */
static void find_peaks(const sal_loose *w, const sal_real *scale, int64_t n_rows,
                       int64_t n_columns, sal_real *rows, sal_real *columns)
{
    const int64_t parts = sal_least(n_rows, PARTS), part = (n_columns + parts - 1) / parts;
    for (int64_t r = 0; r < n_rows; r++)
        for (int64_t i = 0, c = r * part % n_columns; i < part; i++) {
            const sal_real peak = greatest(w + (r * n_columns + c) * TAPS) *
                                  (scale ? sal_abs(scale[r]) : 1);
            rows[r] = rows[r] > peak ? rows[r] : peak;
            columns[c] = columns[c] > peak ? columns[c] : peak;
            c = c + 1 < n_columns ? c + 1 : 0;
        }
}

/* m of n: half of them the greatest, the others spread over the rest. */
static void pick(sal_real *peaks, int64_t n, int64_t *picked, int64_t m)
{
    for (int64_t i = 0; i < m; i++) {
        int64_t best = i < m / 2 ? 0 : (2 * i - m) * n / m;
        while (peaks[best] < 0)
            best = best + 1 < n ? best + 1 : 0;
        for (int64_t j = best + 1; i < m / 2 && j < n; j++)
            best = peaks[j] > peaks[best] ? j : best;
        picked[i] = best;
        peaks[best] = -1;
    }
}

/* What scales all weights of an output alike is of no account in either. */
static bool choose(struct probe *p, int64_t c, int64_t k)
{
    sal_real *inputs = sal_new(&p->arena, sal_real, c), *outputs = sal_new(&p->arena, sal_real, k);
    if (!inputs || !outputs)
        return false;
    if (p->flipped)
        find_peaks(p->w, p->scale, c, k, inputs, outputs);
    else
        find_peaks(p->w, NULL, k, c, outputs, inputs);
    pick(inputs, c, p->inputs, p->g.in.c);
    pick(outputs, k, p->outputs, p->g.k);
    return true;
}

/* Their weights, laid out like the model's, in which there are k output channels of c. */
static bool take(struct probe *p, int64_t c, int64_t k)
{
    const int64_t n = p->g.in.c, m = p->g.k;
    const int64_t *scaled = p->flipped ? p->inputs : p->outputs;
    sal_real *w = sal_new(&p->arena, sal_real, n * m * TAPS);
    sal_real *scale = sal_new(&p->arena, sal_real, n + m);
    if (!w || !scale)
        return false;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            const int64_t in = p->inputs[j], out = p->outputs[i];
            memcpy(w + (p->flipped ? j * m + i : i * n + j) * TAPS,
                   p->w + (p->flipped ? in * k + out : out * c + in) * TAPS, sizeof(*w) * TAPS);
        }
    for (int64_t i = 0; i < (p->flipped ? n : m); i++)
        scale[i] = p->scale ? p->scale[scaled[i]] : 1;
    p->w = w;
    p->scale = scale;
    return true;
}

/* ---- what they look at ------------------------------------------------------------------ */

/* Pixel of the border that is number i from the top left; clockwise. */
static int64_t border(int64_t i, int64_t side)
{
    const int64_t last = side - 1, at = i % last;
    switch (i / last % 4) {
    case 0:
        return at;
    case 1:
        return at * side + last;
    case 2:
        return last * side + last - at;
    default:
        return (last - at) * side;
    }
}

/* Channel c of a patch: everywhere, or in one place. */
static void light(sal_real *x, int64_t c, int patch, int64_t side)
{
    const uint64_t key = sal_random_key((uint64_t)c, (uint64_t)patch);
    const bool everywhere = (c + patch) % 2 == 0;
    const int64_t n = everywhere ? side * side : 1;
    for (int64_t i = 0; i < n; i++) {
        const uint64_t bits = sal_random_bits(key, (uint64_t)i);
        const int64_t at = everywhere ? i : border((int64_t)(bits % 60), side);
        x[at * SAL_BLOCK] = (sal_real)(bits >> 40) * SAL_REAL_OF(0x1p-24);
    }
}

static bool fill(struct probe *p)
{
    const int64_t side = p->g.in.h, patch = side * side * SAL_BLOCK;
    p->x = sal_new(&p->arena, sal_real, sal_blocks(p->g.in.c) * PATCHES * patch);
    p->y = sal_new(&p->arena, sal_real, PATCHES * p->g.tile * p->g.tile * SAL_BLOCK);
    for (int64_t c = 0; p->x && c < p->g.in.c; c++)
        for (int i = 0; i < PATCHES; i++)
            light(p->x + (c / SAL_BLOCK * PATCHES + i) * patch + c % SAL_BLOCK, c, i, side);
    return p->x && p->y;
}

static bool by_winograd(struct probe *p)
{
    const size_t stride = sal_winograd_scratch(&p->g, 1);
    sal_real *packed = sal_new(&p->arena, sal_real, sal_winograd_packed(&p->g));
    sal_real *scratch = sal_new(&p->arena, sal_real, stride);
    if (!packed || !scratch)
        return false;
    sal_winograd_pack(&p->g, p->w, p->scale, p->flipped, packed, NULL);
    sal_winograd_run(&p->g, &(struct sal_source){.x = p->x}, packed,
                     &(struct sal_target){.low = -SAL_INFINITY, .high = SAL_INFINITY, .y = p->y},
                     NULL, scratch, stride);
    return true;
}

/* What its outputs are made of: weights of input channel c as a plain sum takes them. */
static void taps_of(const struct probe *p, int64_t c, double taps[TAPS][SAL_BLOCK])
{
    const int64_t n = p->g.in.c, m = p->g.k;
    for (int64_t k = 0; k < m; k++) {
        const sal_loose *w = p->w + (p->flipped ? c * m + k : k * n + c) * TAPS;
        const double scale = (double)p->scale[p->flipped ? c : k];
        for (int t = 0; t < TAPS; t++)
            taps[t][k] = scale * (double)w[p->flipped ? TAPS - 1 - t : t];
    }
}

/* Adds what one input channel gives to the corner at pixel (at, at). */
static void add_channel(const sal_real *x, int64_t side, int64_t at,
                        double taps[TAPS][SAL_BLOCK], double *sum, double *square)
{
    for (int t = 0; t < TAPS; t++) {
        const double value = (double)x[((at + t / 3) * side + at + t % 3) * SAL_BLOCK];
        if (value == 0)
            continue;
        for (int lane = 0; lane < SAL_BLOCK; lane++) {
            const double product = value * taps[t][lane];
            sum[lane] += product;
            square[lane] += product * product;
        }
    }
}

static void exactly(struct probe *p)
{
    const int64_t side = p->g.in.h, patch = side * side * SAL_BLOCK;
    double taps[TAPS][SAL_BLOCK] = {0};
    for (int64_t c = 0; c < p->g.in.c; c++) {
        taps_of(p, c, taps);
        for (int i = 0; i < PATCHES; i++)
            for (int j = 0; j < CORNERS; j++)
                add_channel(p->x + (c / SAL_BLOCK * PATCHES + i) * patch + c % SAL_BLOCK, side,
                            j * (p->g.tile - 1), taps, p->sum[i][j], p->square[i][j]);
    }
}

/* NAN stays. Where all products are 0 there is nothing to lose. */
static double worst(const struct probe *p)
{
    const int64_t tile = p->g.tile;
    double most = 0;
    for (int i = 0; i < PATCHES; i++)
        for (int j = 0; j < CORNERS; j++)
            for (int lane = 0; lane < p->g.k; lane++) {
                const int64_t pixel = i * tile * tile + j * (tile * tile - 1);
                const double off = fabs((double)p->y[pixel * SAL_BLOCK + lane] -
                                        p->sum[i][j][lane]);
                const double size = sqrt(p->square[i][j][lane]);
                if (size != 0 && !isnan(most) && !(off <= most * size))
                    most = off / size;
            }
    return most;
}

enum sal_status sal_winograd_error(const struct sal_winograd *g, const sal_loose *w,
                                   const sal_real *scale, bool flipped, double *error,
                                   struct sal_error *err)
{
    const int64_t side = g->tile + 2;
    struct probe p = {.g = {.in = {PATCHES, sal_least(g->in.c, INPUTS), side, side},
                            .k = sal_least(g->k, SAL_BLOCK),
                            .out_h = g->tile,
                            .out_w = g->tile,
                            .tile = g->tile},
                      .w = w,
                      .scale = scale,
                      .flipped = flipped};
    const bool done = choose(&p, g->in.c, g->k) && take(&p, g->in.c, g->k) && fill(&p) &&
                      by_winograd(&p);
    if (done) {
        exactly(&p);
        *error = worst(&p);
    }
    sal_arena_release(&p.arena);
    return done ? SAL_OK : sal_fail(err, SAL_LIMIT, "no memory to measure a convolution");
}
