/* G w G^T of every pair of channels, laid out for the table's tile:
 * [positions][groups][input channels][width][16], the last group as wide as is left. */
#include "winograd.h"
#include "winograd_points.h"

enum { SIDE_MAX = 6 };

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

/* w of output channels k..k+15 and input channel c, [3][3][16]; zeros past the last. */
static void gather(const struct packing *p, int64_t k, int64_t c,
                   double taps[9][SAL_BLOCK])
{
    const struct sal_winograd *g = p->g;
    for (int lane = 0; lane < SAL_BLOCK; lane++, k++) {
        const bool there = k < g->k && c < g->in.c;
        const sal_loose *w = p->w + (!there       ? 0
                                    : p->flipped ? c * g->k + k
                                                 : k * g->in.c + c) *
                                       9;
        const double scale = !there     ? 0
                             : p->scale ? (double)p->scale[p->flipped ? c : k]
                                        : 1;
        for (int i = 0; i < 9; i++)
            taps[i][lane] = there ? scale * (double)w[p->flipped ? 8 - i : i] : 0;
    }
}

/* Sums three sets of lanes. */
static void weigh(const double row[3], const double *x, ptrdiff_t step, double *y)
{
    for (int lane = 0; lane < SAL_BLOCK; lane++)
        y[lane] =
            row[0] * x[lane] + row[1] * x[lane + step] + row[2] * x[lane + 2 * step];
}

/* One output block, all input channels. */
static void pack_block(void *context, int block, int worker)
{
    (void)worker;
    const struct packing *p = context;
    const int side = p->g->tile + 2;
    const int64_t width = sal_lanes()->width, group = block / width;
    const int64_t blocks = sal_blocks(p->g->k),
                  channels = sal_blocks(p->g->in.c) * SAL_BLOCK;
    const int64_t mine =
        blocks - group * width < width ? blocks - group * width : width;
    sal_real *to = p->packed + (group * width * channels + block % width) * SAL_BLOCK;
    double rows[SIDE_MAX][3], taps[9][SAL_BLOCK], half[3][SAL_BLOCK], whole[SAL_BLOCK];
    rows_of(p->g->tile, rows);
    for (int64_t c = 0; c < channels; c++, to += mine * SAL_BLOCK) {
        gather(p, block * SAL_BLOCK, c, taps);
        for (int i = 0; i < side; i++) {
            for (int j = 0; j < 3; j++)
                weigh(rows[i], taps[j], 3 * SAL_BLOCK, half[j]);
            for (int j = 0; j < side; j++) {
                sal_real *at = to + (i * side + j) * blocks * channels * SAL_BLOCK;
                weigh(rows[j], half[0], SAL_BLOCK, whole);
                for (int lane = 0; lane < SAL_BLOCK; lane++)
                    at[lane] = (sal_real)whole[lane];
            }
        }
    }
}

void sal_winograd_pack(const struct sal_winograd *g, const sal_loose *w,
                       const sal_real *scale, bool flipped, sal_real *packed,
                       struct sal_pool *pool)
{
    struct packing p = {g, w, scale, flipped, packed};
    sal_pool_run(pool, (int)sal_blocks(g->k), pack_block, &p);
}
