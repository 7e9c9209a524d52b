/* G w G^T of every pair of channels, laid out for the table's tile:
 * [positions][groups][input channels][width][16], the last group as wide as is left. */
#include "winograd.h"

#include <string.h>

#include "kernel.h"
#include "turn.h"
#include "winograd_points.h"

enum { SIDE_MAX = 6, TAPS = 9 * SAL_BLOCK };

struct packing {
    const struct sal_winograd *g;
    const sal_loose *w;
    const sal_real *scale;
    bool flipped;
    sal_real *packed;
};

static void rows_of(int tile, double rows[SIDE_MAX][3])
{
    const double a = (double)A, b = (double)B;
    const double all[2][SIDE_MAX][2] = {
        /* each finite point, and what its row is divided by */
        {{0, 1}, {1, 2}, {-1, 2}},
        {{0, a * a * b * b},
         {a, 2 * a * a * (a * a - b * b)},
         {-a, 2 * a * a * (a * a - b * b)},
         {b, 2 * b * b * (b * b - a * a)},
         {-b, 2 * b * b * (b * b - a * a)}},
    };
    for (int i = 0; i < tile + 1; i++) {
        const double *point = all[tile / 4][i];
        rows[i][0] = 1 / point[1];
        rows[i][1] = point[0] / point[1];
        rows[i][2] = point[0] * point[0] / point[1];
    }
    rows[tile + 1][0] = rows[tile + 1][1] = 0;
    rows[tile + 1][2] = 1;
}

static ptrdiff_t in_order(const void *context, int64_t j)
{
    (void)context;
    return (ptrdiff_t)j * SAL_BLOCK;
}

static ptrdiff_t from_behind(const void *context, int64_t j)
{
    (void)context;
    return (ptrdiff_t)(8 - j) * SAL_BLOCK;
}

/* Of output channels k..k+15 and n input channels from c on, [n][3][3][16]; zeros past
 * the last output. */
static void gather(const struct packing *p, int64_t k, int64_t c, int64_t n, sal_real *taps)
{
    const struct sal_winograd *g = p->g;
    struct sal_turn turn = {.rows = (int)sal_least(SAL_BLOCK, g->k - k)};
    if (!p->flipped) {
        turn.from = p->w + (k * g->in.c + c) * 9;
        turn.step = (ptrdiff_t)g->in.c * 9;
        turn.columns = n * 9;
        sal_turn_run(&turn, taps, in_order, NULL);
        return;
    }
    turn.step = turn.columns = 9;
    for (int64_t i = 0; i < n; i++) {
        turn.from = p->w + ((c + i) * g->k + k) * 9;
        sal_turn_run(&turn, taps + i * TAPS, from_behind, NULL);
    }
}

/* What output channels k..k+15 count times. */
static void scale_of(const struct packing *p, int64_t k, sal_real scale[SAL_BLOCK])
{
    for (int lane = 0; lane < SAL_BLOCK; lane++)
        scale[lane] = p->scale && k + lane < p->g->k ? p->scale[k + lane] : 1;
}

/* One output block, all input channels. */
static void pack_block(void *context, int block, int worker)
{
    (void)worker;
    const struct packing *p = context;
    const int side = p->g->tile + 2;
    const int64_t width = sal_lanes()->width, group = block / width;
    const int64_t blocks = sal_blocks(p->g->k), channels = sal_blocks(p->g->in.c) * SAL_BLOCK;
    const int64_t mine = sal_least(blocks - group * width, width);
    const ptrdiff_t position = (ptrdiff_t)(blocks * channels * SAL_BLOCK);
    sal_real *to = p->packed + (group * width * channels + block % width) * SAL_BLOCK;
    double rows[SIDE_MAX][3];
    sal_real taps[SAL_BLOCK * TAPS], scale[SAL_BLOCK];
    rows_of(p->g->tile, rows);
    for (int64_t c = 0; c < channels; c++, to += mine * SAL_BLOCK) {
        const int64_t i = c % SAL_BLOCK, n = sal_least(SAL_BLOCK, p->g->in.c - c);
        if (i == 0 && n < SAL_BLOCK)
            memset(taps, 0, sizeof(taps));
        if (i == 0)
            gather(p, (int64_t)block * SAL_BLOCK, c, n, taps);
        if (!p->flipped)
            scale_of(p, (int64_t)block * SAL_BLOCK, scale);
        for (int lane = 0; p->flipped && lane < SAL_BLOCK; lane++)
            scale[lane] = p->scale && c < p->g->in.c ? p->scale[c] : 1;
        sal_lanes()->winograd_weights(taps + i * TAPS, scale, rows[0], side, to, position);
    }
}

void sal_winograd_pack(const struct sal_winograd *g, const sal_loose *w,
                       const sal_real *scale, bool flipped, sal_real *packed,
                       struct sal_pool *pool)
{
    struct packing p = {g, w, scale, flipped, packed};
    sal_pool_run(pool, (int)sal_blocks(g->k), pack_block, &p);
}
