/*
 * Winograd's transforms of patches and of sums, F(2,3) and F(4,3), in both directions
 * of a tile. winograd.h has the matrices.
 *
 * A transform goes along columns first, two rows of the result at a time, so that what
 * waits for the way along rows stays in 16 registers.
 */
#include "lanes_vector.h"
#include "winograd_points.h"

enum { SIDE_MAX = 6 }; /* of a patch */

#define UNROLL _Pragma("GCC unroll 8")

/* ---- into positions -------------------------------------------------------------- */

/* What points p and -p make of x[1..4]; square is the other pair's. */
struct two {
    sal_vec plus, minus;
};

SAL_INLINE struct two in_pair(sal_vec x1, sal_vec x2, sal_vec x3, sal_vec x4,
                              sal_real p, sal_real square)
{
    const sal_vec even = x4 - square * x2, odd = x3 - square * x1;
    return (struct two){even + p * odd, even - p * odd};
}

/* What 0 makes of x[0], x[2], x[4], and infinity of x[1], x[3], x[5]. */
SAL_INLINE sal_vec in_end(sal_vec low, sal_vec middle, sal_vec high)
{
    return high + A2 * B2 * low - (A2 + B2) * middle;
}

/* Two rows of the six along columns: `which` 0: of 0 and infinity, 1: of +-a, 2: +-b.
 */
SAL_INLINE struct two in_column(const sal_real *x, ptrdiff_t row, const int which)
{
    const sal_vec x1 = sal_vec_load(x + row), x2 = sal_vec_load(x + 2 * row),
                  x3 = sal_vec_load(x + 3 * row), x4 = sal_vec_load(x + 4 * row);
    if (which == 0)
        return (struct two){in_end(sal_vec_load(x), x2, x4),
                            in_end(x1, x3, sal_vec_load(x + 5 * row))};
    return which == 1 ? in_pair(x1, x2, x3, x4, A, B2) : in_pair(x1, x2, x3, x4, B, A2);
}

SAL_INLINE void in_row(const sal_vec x[6], sal_real *v, ptrdiff_t position)
{
    const struct two a = in_pair(x[1], x[2], x[3], x[4], A, B2);
    const struct two b = in_pair(x[1], x[2], x[3], x[4], B, A2);
    sal_vec_store(v, in_end(x[0], x[2], x[4]));
    sal_vec_store(v + position, a.plus);
    sal_vec_store(v + 2 * position, a.minus);
    sal_vec_store(v + 3 * position, b.plus);
    sal_vec_store(v + 4 * position, b.minus);
    sal_vec_store(v + 5 * position, in_end(x[1], x[3], x[5]));
}

SAL_INLINE void in_4_rows(const sal_real *x, ptrdiff_t row, sal_real *v,
                          ptrdiff_t position, const int which)
{
    const ptrdiff_t first = which == 0 ? 0 : 2 * which - 1;
    const ptrdiff_t second = which == 0 ? 5 : 2 * which;
    sal_vec plus[6], minus[6];
    UNROLL
    for (int j = 0; j < 6; j++) {
        const struct two t = in_column(x + j * SAL_BLOCK, row, which);
        plus[j] = t.plus;
        minus[j] = t.minus;
    }
    in_row(plus, v + first * 6 * position, position);
    in_row(minus, v + second * 6 * position, position);
}

static __attribute__((noinline)) void in_4(const sal_real *x, ptrdiff_t row,
                                           sal_real *v, ptrdiff_t position)
{
    for (int part = 0; part < SAL_PARTS; part++, x += SAL_LANES, v += SAL_LANES) {
        in_4_rows(x, row, v, position, 0);
        in_4_rows(x, row, v, position, 1);
        in_4_rows(x, row, v, position, 2);
    }
}

/* Row i of the four along columns, then along it. */
SAL_INLINE void in_2_row(const sal_real *x, ptrdiff_t row, sal_real *v,
                         ptrdiff_t position, const int i)
{
    static const int first[4] = {0, 1, 2, 1}, second[4] = {2, 2, 1, 3};
    sal_vec t[4];
    UNROLL
    for (int j = 0; j < 4; j++) {
        const sal_vec one = sal_vec_load(x + first[i] * row + j * SAL_BLOCK);
        const sal_vec other = sal_vec_load(x + second[i] * row + j * SAL_BLOCK);
        t[j] = i == 1 ? one + other : one - other;
    }
    v += i * 4 * position;
    sal_vec_store(v, t[0] - t[2]);
    sal_vec_store(v + position, t[1] + t[2]);
    sal_vec_store(v + 2 * position, t[2] - t[1]);
    sal_vec_store(v + 3 * position, t[1] - t[3]);
}

static __attribute__((noinline)) void in_2(const sal_real *x, ptrdiff_t row,
                                           sal_real *v, ptrdiff_t position)
{
    for (int part = 0; part < SAL_PARTS; part++, x += SAL_LANES, v += SAL_LANES) {
        in_2_row(x, row, v, position, 0);
        in_2_row(x, row, v, position, 1);
        in_2_row(x, row, v, position, 2);
        in_2_row(x, row, v, position, 3);
    }
}

/* A patch as the transform shall see it: zeros outside of the image. */
static void gather(const struct sal_winograd_in *p, int64_t left, sal_real *patch)
{
    const int side = p->tile + 2;
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++, patch += SAL_BLOCK) {
            const int64_t y = p->top + i, z = left + j;
            if (y < 0 || y >= p->h || z < 0 || z >= p->w) {
                memset(patch, 0, SAL_BLOCK * sizeof(*patch));
                continue;
            }
            const ptrdiff_t at = (y * p->w + z) * SAL_BLOCK;
            for (int q = 0; q < SAL_BLOCK; q += SAL_LANES)
                sal_vec_store(patch + q, sal_vec_passing(&p->from, at + q));
        }
}

/* What the patch after next has beside the next one, into the first cache: the steps
 * between rows are too wide for the processor to guess. */
SAL_INLINE void fetch(const sal_real *x, ptrdiff_t row, int rows, int pixels)
{
#if defined(__x86_64__)
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < pixels; j++)
            __asm__ volatile("prefetcht0 (%0)" ::"r"(x + i * row + j * SAL_BLOCK));
#else
    (void)x, (void)row, (void)rows, (void)pixels;
#endif
}

void SAL_NAMED(sal_winograd_in)(const struct sal_winograd_in *p)
{
    const int side = p->tile + 2;
    const bool whole = !p->from.bits && !p->from.slope;
    const bool rows = whole && p->top >= 0 && p->top + side <= p->h;
    sal_real patch[SIDE_MAX * SIDE_MAX * SAL_BLOCK] __attribute__((aligned(64)));
    for (int i = 0; i < p->n; i++) {
        const int64_t left = p->left + (int64_t)i * p->tile;
        const sal_real *x = patch;
        ptrdiff_t row = side * SAL_BLOCK;
        if (rows && left >= 0 && left + side <= p->w) {
            row = p->w * SAL_BLOCK;
            x = p->from.x + p->top * row + left * SAL_BLOCK;
            fetch(x + (2 * p->tile + 2) * SAL_BLOCK, row, side, p->tile);
        } else {
            gather(p, left, patch);
        }
        if (p->tile == 4)
            in_4(x, row, p->v + i * SAL_BLOCK, p->position);
        else
            in_2(x, row, p->v + i * SAL_BLOCK, p->position);
    }
}

/* ---- out of positions --------------------------------------------------------- */

/* Where a tile's pixels go: those before these rows and columns of it lie in the image,
 * from the first ones on. */
struct outlet {
    const sal_real *base, *add;
    sal_real *y;
    ptrdiff_t row;
    int64_t first_row, first_column, rows, columns;
    sal_real low, high;
};

SAL_INLINE void put(const struct outlet *o, sal_vec sum, const int row,
                    const int column)
{
    if (row >= o->rows || column >= o->columns || row < o->first_row ||
        column < o->first_column)
        return;
    const ptrdiff_t at = row * o->row + column * SAL_BLOCK;
    if (o->base)
        sum += sal_vec_load(o->base);
    if (o->add)
        sum += sal_vec_load(o->add + at);
    sum = sal_vec_max(sum, sal_vec_of(o->low));
    sal_vec_store(o->y + at, sal_vec_min(sum, sal_vec_of(o->high)));
}

SAL_INLINE void out_row(const sal_vec v[6], const struct outlet *o, const int row)
{
    const sal_vec a = v[1] + v[2], da = v[1] - v[2], b = v[3] + v[4], db = v[3] - v[4];
    put(o, v[0] + a + b, row, 0);
    put(o, A * da + B * db, row, 1);
    put(o, A2 * a + B2 * b, row, 2);
    put(o, v[5] + A * A2 * da + B * B2 * db, row, 3);
}

/* Rows 0 and 2, which are even in the points, or 1 and 3, which are odd. */
SAL_INLINE void out_4_rows(const sal_real *v, const struct outlet *o, const int odd)
{
    sal_vec first[6], second[6];
    UNROLL
    for (int j = 0; j < 6; j++) {
        const sal_real *at = v + j * SAL_BLOCK;
        const ptrdiff_t row = 6 * SAL_BLOCK;
        const sal_vec v1 = sal_vec_load(at + row), v2 = sal_vec_load(at + 2 * row);
        const sal_vec v3 = sal_vec_load(at + 3 * row), v4 = sal_vec_load(at + 4 * row);
        const sal_vec a = odd ? v1 - v2 : v1 + v2, b = odd ? v3 - v4 : v3 + v4;
        const sal_vec end = sal_vec_load(odd ? at + 5 * row : at);
        first[j] = odd ? A * a + B * b : end + a + b;
        second[j] = odd ? end + A * A2 * a + B * B2 * b : A2 * a + B2 * b;
    }
    out_row(first, o, odd);
    out_row(second, o, odd + 2);
}

static __attribute__((noinline)) void out_4(const sal_real *v, const struct outlet *o)
{
    out_4_rows(v, o, 0);
    if (o->rows > 1)
        out_4_rows(v, o, 1);
}

static __attribute__((noinline)) void out_2(const sal_real *v, const struct outlet *o)
{
    const ptrdiff_t row = 4 * SAL_BLOCK;
    sal_vec t[2][4];
    UNROLL
    for (int j = 0; j < 4; j++) {
        const sal_real *at = v + j * SAL_BLOCK;
        const sal_vec v1 = sal_vec_load(at + row), v2 = sal_vec_load(at + 2 * row);
        t[0][j] = sal_vec_load(at) + v1 + v2;
        t[1][j] = v1 - v2 - sal_vec_load(at + 3 * row);
    }
    UNROLL
    for (int i = 0; i < 2; i++) {
        put(o, t[i][0] + t[i][1] + t[i][2], i, 0);
        put(o, t[i][1] - t[i][2] - t[i][3], i, 1);
    }
}

void SAL_NAMED(sal_winograd_out)(const struct sal_winograd_out *t)
{
    struct outlet o = {
        .row = t->w * SAL_BLOCK, .first_row = -t->top, .rows = t->h - t->top, .low = t->low,
        .high = t->high};
    const int positions = (t->tile + 2) * (t->tile + 2);
    for (int i = 0; i < t->n; i++) {
        const int64_t left = t->left + (int64_t)i * t->tile;
        const ptrdiff_t at = (t->top * t->w + left) * SAL_BLOCK;
        o.first_column = -left;
        o.columns = t->w - left;
        for (int q = 0; q < SAL_BLOCK; q += SAL_LANES) {
            const sal_real *v = t->v + i * positions * SAL_BLOCK + q;
            o.base = t->base ? t->base + q : NULL;
            o.add = t->add ? t->add + at + q : NULL;
            o.y = t->y + at + q;
            if (t->tile == 4)
                out_4(v, &o);
            else
                out_2(v, &o);
        }
    }
}
