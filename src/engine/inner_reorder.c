#include "inner_reorder.h"

#include "boxes.h"
#include "kernel.h"

enum { PIXELS = 256 }; /* of a piece: both sides of it lie in the first cache */

/* Moves pixels p0..p1-1 of one image and block. */
struct move {
    const struct sal_blocked *b;
    int64_t lanes; /* that count */
    sal_real *blocked, *plain;
    int64_t plane; /* from channel to channel */
    int64_t pixels;
};

static struct move move_of(const struct sal_kernel *k, int64_t piece, sal_real *blocked,
                           sal_real *plain)
{
    const struct sal_blocked *b = k->node->attr;
    int64_t plane = b->h * b->w, pieces = (plane + PIXELS - 1) / PIXELS;
    int64_t p0 = piece % pieces * PIXELS, image = piece / pieces % b->n;
    int64_t block = piece / pieces / b->n;
    return (struct move){
        .b = b,
        .lanes = sal_least(SAL_BLOCK, b->c - block * SAL_BLOCK),
        .blocked = blocked + ((block * b->n + image) * plane + p0) * SAL_BLOCK,
        .plain = plain + (image * b->c + block * SAL_BLOCK) * plane + p0,
        .plane = plane,
        .pixels = sal_least(PIXELS, plane - p0),
    };
}

static int64_t pieces_of(const struct sal_blocked *b)
{
    return sal_blocks(b->c) * b->n * ((b->h * b->w + PIXELS - 1) / PIXELS);
}

/* ---- forward ------------------------------------------------------------------------ */

static void block_pieces(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    for (int64_t i = from; i < to; i++) {
        struct move m = move_of(k, i, k->out[0]->real, k->in[0]->real);
        for (int64_t p = 0; p < m.pixels; p++)
            for (int64_t c = 0; c < SAL_BLOCK; c++)
                m.blocked[p * SAL_BLOCK + c] = c < m.lanes ? m.plain[c * m.plane + p] : 0;
    }
}

static void unblock_pieces(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    for (int64_t i = from; i < to; i++) {
        struct move m = move_of(k, i, k->in[0]->real, k->out[0]->real);
        for (int64_t c = 0; c < m.lanes; c++)
            for (int64_t p = 0; p < m.pixels; p++)
                m.plain[c * m.plane + p] = m.blocked[p * SAL_BLOCK + c];
    }
}

static void block(const struct sal_kernel *k)
{
    sal_split(k->pool, pieces_of(k->node->attr), 4, block_pieces, k);
}

static void unblock(const struct sal_kernel *k)
{
    sal_split(k->pool, pieces_of(k->node->attr), 4, unblock_pieces, k);
}

/* ---- backward ----------------------------------------------------------------------- */

static void block_gradient(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    for (int64_t i = from; i < to; i++) {
        struct move m = move_of(k, i, (sal_real *)(void *)(uintptr_t)k->dy[0], k->dx[0]);
        for (int64_t c = 0; c < m.lanes; c++)
            for (int64_t p = 0; p < m.pixels; p++)
                m.plain[c * m.plane + p] += m.blocked[p * SAL_BLOCK + c];
    }
}

static void unblock_gradient(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    for (int64_t i = from; i < to; i++) {
        struct move m = move_of(k, i, k->dx[0], (sal_real *)(void *)(uintptr_t)k->dy[0]);
        for (int64_t p = 0; p < m.pixels; p++)
            for (int64_t c = 0; c < m.lanes; c++)
                m.blocked[p * SAL_BLOCK + c] += m.plain[c * m.plane + p];
    }
}

static void block_back(const struct sal_kernel *k)
{
    if (k->dx[0] && k->dy[0])
        sal_split(k->pool, pieces_of(k->node->attr), 4, block_gradient, k);
}

static void unblock_back(const struct sal_kernel *k)
{
    if (k->dx[0] && k->dy[0])
        sal_split(k->pool, pieces_of(k->node->attr), 4, unblock_gradient, k);
}

/* ---- boxes -------------------------------------------------------------------------- */

/* Of one row that has all pixels. */
static bool region_forward(const struct sal_region_kernel *k)
{
    struct sal_blocked row = *(const struct sal_blocked *)k->node->attr;
    struct sal_node node = *k->node;
    row.n = row.h = 1;
    row.w = sal_field_pixels(k->to);
    node.attr = &row;
    return sal_region_pixels_run(k, &node);
}

static bool region_reach(const struct sal_node *node, const struct sal_tensor *const *in,
                         int input, struct sal_reach *reach)
{
    (void)in, (void)input;
    *reach = sal_reach_same();
    return ((const struct sal_blocked *)node->attr)->n == 1;
}

static const struct sal_region_op region = {.reach = region_reach, .forward = region_forward};

const struct sal_op sal_inner_block = {
    .name = "Block",
    .min_in = 1,
    .max_in = 1,
    .max_out = 1,
    .forward = block,
    .backward = block_back,
    .region = &region,
    .frugal = true,
};

const struct sal_op sal_inner_unblock = {
    .name = "Unblock",
    .min_in = 1,
    .max_in = 1,
    .max_out = 1,
    .forward = unblock,
    .backward = unblock_back,
    .region = &region,
    .frugal = true,
};
