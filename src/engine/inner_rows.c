#include "inner_rows.h"

#include <string.h>

#include "kernel.h"

enum { PIXELS = 32 }; /* of a piece */

/* Pixels first..last-1, counted through all images, of one block. */
struct piece {
    int64_t first, last, blocks, plane, c;
};

static struct piece piece_of(const struct sal_kernel *k, int64_t i)
{
    const struct sal_blocked *b = k->node->attr;
    int64_t plane = b->h * b->w, all = b->n * plane;
    return (struct piece){i * PIXELS, sal_least((i + 1) * PIXELS, all), sal_blocks(b->c),
                          all, b->c};
}

static void split(const struct sal_kernel *k,
                  void (*work)(const struct sal_kernel *k, int64_t from, int64_t to,
                               int worker))
{
    const struct sal_blocked *b = k->node->attr;
    int64_t pieces = (b->n * b->h * b->w + PIXELS - 1) / PIXELS;
    sal_split(k->pool, pieces, sal_grain(PIXELS * sal_blocks(b->c) * SAL_BLOCK), work, k);
}

/* Calls visit for every pixel of every block: `at` is its place among blocks, `row` among
 * rows, n its channels. */
#define EACH_PIXEL(k, from, to, visit)                                                 \
    for (int64_t piece = from; piece < (to); piece++) {                                \
        const struct piece own = piece_of(k, piece);                                   \
        for (int64_t b = 0; b < own.blocks; b++) {                                     \
            const int64_t n = sal_least(SAL_BLOCK, own.c - b * SAL_BLOCK);             \
            for (int64_t p = own.first; p < own.last; p++) {                           \
                const int64_t at = (b * own.plane + p) * SAL_BLOCK;                    \
                const int64_t row = p * own.c + b * SAL_BLOCK;                         \
                visit;                                                                 \
            }                                                                          \
        }                                                                              \
    }

static inline void copy(sal_real *to, const sal_real *from, int64_t n)
{
    if (n == SAL_BLOCK)
        memcpy(to, from, sizeof(*to) * SAL_BLOCK);
    else
        memcpy(to, from, sizeof(*to) * (size_t)n);
}

static inline void add(sal_real *to, const sal_real *from, int64_t n)
{
    if (n == SAL_BLOCK)
        for (int i = 0; i < SAL_BLOCK; i++)
            to[i] += from[i];
    else
        sal_add(to, from, n);
}

static inline void clear_rest(sal_real *to, int64_t n)
{
    for (int64_t i = n; i < SAL_BLOCK; i++)
        to[i] = 0;
}

/* ---- pieces ---------------------------------------------------------------------- */

static void copy_to_rows(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const sal_real *x = k->in[0]->real;
    sal_real *y = k->out[0]->real;
    EACH_PIXEL(k, from, to, copy(y + row, x + at, n))
}

static void copy_from_rows(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const sal_real *x = k->in[0]->real;
    const struct sal_tensor *added = sal_kernel_in(k, 1);
    sal_real *y = k->out[0]->real;
    if (!added)
        EACH_PIXEL(k, from, to, copy(y + at, x + row, n); clear_rest(y + at, n))
    else
        EACH_PIXEL(k, from, to, copy(y + at, added->real + at, SAL_BLOCK);
                   add(y + at, x + row, n))
}

static void add_to_rows(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const sal_real *dy = k->dy[0];
    sal_real *dx = k->dx[0];
    if (k->fresh & 1)
        EACH_PIXEL(k, from, to, copy(dx + row, dy + at, n))
    else
        EACH_PIXEL(k, from, to, add(dx + row, dy + at, n))
}

static void add_from_rows(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const sal_real *dy = k->dy[0];
    sal_real *dx = k->dx[0];
    if (k->fresh & 1)
        EACH_PIXEL(k, from, to, copy(dx + at, dy + row, n); clear_rest(dx + at, n))
    else
        EACH_PIXEL(k, from, to, add(dx + at, dy + row, n))
}

/* ---- operators ------------------------------------------------------------------- */

static void to_rows(const struct sal_kernel *k)
{
    split(k, copy_to_rows);
}

static void from_rows(const struct sal_kernel *k)
{
    split(k, copy_from_rows);
}

static void to_rows_back(const struct sal_kernel *k)
{
    if (k->dx[0] && k->dy[0])
        split(k, add_from_rows);
}

static void from_rows_back(const struct sal_kernel *k)
{
    if (k->dy[0] && k->dx[0])
        split(k, add_to_rows);
    sal_added_backward(k);
}

const struct sal_op sal_inner_to_rows = {
    .name = "ToRows",
    .min_in = 1,
    .max_in = 1,
    .max_out = 1,
    .forward = to_rows,
    .backward = to_rows_back,
    .frugal = true,
    .begins = true,
};

const struct sal_op sal_inner_from_rows = {
    .name = "FromRows",
    .min_in = 1,
    .max_in = 2,
    .max_out = 1,
    .forward = from_rows,
    .backward = from_rows_back,
    .frugal = true,
    .begins = true,
};
