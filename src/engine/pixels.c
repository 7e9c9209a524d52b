#include "pixels.h"

#include "lanes.h"
#include "real.h"

/* The operands of a binary operator. */
struct pixels {
    enum sal_pixels_kind kind;
    int all, one; /* which has a value for every pixel, which one for a run of them */
    int64_t run, runs; /* pixels that share one, and how often */
};

/* The same all along a run of pixels, lane after lane. An axis before those two it
 * crosses from pixel to pixel: were it to repeat there too, it would be part of the
 * run. */
static bool repeats(const struct sal_walk *walk, int operand)
{
    const int64_t *stride = walk->stride[operand] + walk->rank - 2;
    return stride[0] == 0 && stride[1] == 1;
}

static bool is_whole(const struct sal_walk *walk, int operand)
{
    int64_t expected = 1;
    for (int i = walk->rank - 1; i >= 0; expected *= walk->dim[i--])
        if (walk->stride[operand][i] != expected)
            return false;
    return true;
}

static bool find(const struct sal_walk *walk, enum sal_pixels_kind kind,
                 const struct sal_kernel *k, struct pixels *p)
{
    if (kind == SAL_PIXELS_NONE || k->out[0]->kind != SAL_REAL || walk->rank < 2 ||
        walk->rank > 3 || walk->dim[walk->rank - 1] != SAL_BLOCK)
        return false;
    *p = (struct pixels){.kind = kind,
                         .one = repeats(walk, 0) ? 0 : 1,
                         .run = walk->dim[walk->rank - 2],
                         .runs = walk->rank == 3 ? walk->dim[0] : 1};
    p->all = 1 - p->one;
    return repeats(walk, p->one) && is_whole(walk, p->all) &&
           (kind != SAL_PIXELS_SUB || p->one == 1);
}

/* ---- passes over pixels ------------------------------------------------------------
 */

struct pass {
    struct pixels p;
    const struct sal_kernel *k;
};

enum { GRAIN = SAL_TILE / SAL_BLOCK };

static int tiles_of(const struct pixels *p)
{
    return (int)((p->run * p->runs + GRAIN - 1) / GRAIN);
}

static const sal_real ones[SAL_BLOCK] = {1, 1, 1, 1, 1, 1, 1, 1,
                                         1, 1, 1, 1, 1, 1, 1, 1};

/* What changes no sum is -0. */
static const sal_real nothing[SAL_BLOCK] = {-0., -0., -0., -0., -0., -0., -0., -0.,
                                            -0., -0., -0., -0., -0., -0., -0., -0.};

static sal_real shift_of(enum sal_pixels_kind kind, sal_real one)
{
    return kind == SAL_PIXELS_ADD   ? one
           : kind == SAL_PIXELS_SUB ? -one
                                    : -SAL_REAL_OF(0.0);
}

/* Calls visit for the parts of runs that lie in a tile: from is the first pixel, n how
 * many, run the run they are of. */
#define EACH_PART(p, tile, ...)                                                        \
    for (int64_t from = (int64_t)(tile)*GRAIN, n = 0,                                  \
                 past = sal_least((p)->run * (p)->runs, from + GRAIN);                 \
         from < past; from += n) {                                                     \
        const int64_t run = from / (p)->run;                                           \
        n = sal_least(past, (run + 1) * (p)->run) - from;                              \
        __VA_ARGS__;                                                                   \
    }

/* x * 1 + one, x * 1 - one, x * one - 0 */
static void forward_tile(void *context, int tile, int worker)
{
    (void)worker;
    const struct pass *pass = context;
    const struct pixels *p = &pass->p;
    const struct sal_kernel *k = pass->k;
    EACH_PART(p, tile, {
        const sal_real *one = k->in[p->one]->real + run * SAL_BLOCK;
        sal_real shift[SAL_BLOCK];
        for (int i = 0; i < SAL_BLOCK; i++)
            shift[i] = shift_of(p->kind, one[i]);
        const struct sal_affine affine = {
            .scale = p->kind == SAL_PIXELS_MUL ? one : ones,
            .shift = shift,
            .low = -SAL_INFINITY,
            .high = SAL_INFINITY,
        };
        sal_lanes()->affine(k->out[0]->real + from * SAL_BLOCK,
                            k->in[p->all]->real + from * SAL_BLOCK, &affine, (size_t)n);
    })
}

static void all_gradient(void *context, int tile, int worker)
{
    (void)worker;
    const struct pass *pass = context;
    const struct pixels *p = &pass->p;
    const struct sal_kernel *k = pass->k;
    const sal_real *one = k->in[p->one]->real;
    EACH_PART(p, tile, {
        sal_real *dx = k->dx[p->all] + from * SAL_BLOCK;
        const sal_real *dy = k->dy[0] + from * SAL_BLOCK;
        const struct sal_affine scaled = {
            .scale = p->kind == SAL_PIXELS_MUL ? one + run * SAL_BLOCK : ones,
            .shift = nothing,
            .low = -SAL_INFINITY,
            .high = SAL_INFINITY,
        };
        if (k->fresh >> p->all & 1)
            sal_lanes()->affine(dx, dy, &scaled, (size_t)n);
        else
            sal_lanes()->add_scaled(dx, dy, n, scaled.scale);
    })
}

static void one_gradient(void *context, int tile, int worker)
{
    (void)worker;
    const struct pass *pass = context;
    const struct pixels *p = &pass->p;
    const struct sal_kernel *k = pass->k;
    const int64_t at = tile * p->run * SAL_BLOCK;
    const bool times = p->kind == SAL_PIXELS_MUL;
    sal_real sum[SAL_BLOCK], *dx = k->dx[p->one] + (int64_t)tile * SAL_BLOCK;
    sal_lanes()->sum_pixels(k->dy[0] + at, times ? k->in[p->all]->real + at : NULL,
                            p->run, sum);
    for (int i = 0; i < SAL_BLOCK; i++) {
        const sal_real term = p->kind == SAL_PIXELS_SUB ? -sum[i] : sum[i];
        dx[i] = k->fresh >> p->one & 1 ? term : dx[i] + term;
    }
}

bool sal_pixels_forward(const struct sal_walk *walk, enum sal_pixels_kind kind,
                        const struct sal_kernel *k)
{
    struct pass pass = {.k = k};
    if (!find(walk, kind, k, &pass.p))
        return false;
    sal_pool_run(k->pool, tiles_of(&pass.p), forward_tile, &pass);
    return true;
}

bool sal_pixels_backward(const struct sal_walk *walk, enum sal_pixels_kind kind,
                         const struct sal_kernel *k)
{
    struct pass pass = {.k = k};
    if (!find(walk, kind, k, &pass.p))
        return false;
    if (k->dx[pass.p.all])
        sal_pool_run(k->pool, tiles_of(&pass.p), all_gradient, &pass);
    if (k->dx[pass.p.one])
        sal_pool_run(k->pool, (int)pass.p.runs, one_gradient, &pass);
    return true;
}
