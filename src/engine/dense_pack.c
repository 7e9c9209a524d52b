/* Weights of a dense convolution in the order its tiles read them. */
#include <string.h>

#include "dense.h"
#include "kernel.h"
#include "saliscope/pool.h"
#include "turn.h"

struct packing {
    const struct sal_dense *d;
    const sal_loose *w;
    const sal_real *scale;
    sal_real *packed;
};

/* One strip of one class. */
struct part {
    const struct packing *p;
    const struct sal_dense_class *class;
    const struct sal_dense_strip *strip;
    sal_real *to;
    int64_t width; /* reals from lane to lane */
};

static sal_real scaled(const struct packing *p, int64_t forward_k, sal_real w)
{
    return p->scale ? w * p->scale[forward_k] : w;
}

/* Where the weight of input channel c and tap t goes. */
static ptrdiff_t place(const struct part *part, int64_t c, int64_t t)
{
    int64_t block = c / SAL_BLOCK - part->strip->from;
    int64_t at = (block * part->class->n_taps + t) * SAL_BLOCK + c % SAL_BLOCK;
    return at * part->width;
}

/* ---- forward ------------------------------------------------------------------- */

static void pack_channel(const struct part *part, int64_t k, int64_t column)
{
    const struct packing *p = part->p;
    const struct sal_conv_geometry *g = &p->d->g;
    int64_t cg = g->c / g->group, taps = part->class->n_taps;
    int64_t first = k / (g->k / g->group) * cg;
    const sal_loose *w = p->w + k * cg * taps;
    for (int64_t c = 0; c < cg; c++)
        for (int64_t t = 0; t < taps; t++, w++)
            part->to[place(part, first + c, t) + column] = scaled(p, k, *w);
}

static ptrdiff_t blocked_place(const void *context, int64_t j)
{
    const struct part *part = context;
    int64_t taps = part->class->n_taps, c = taps == 1 ? j : j / taps;
    return place(part, c, j - c * taps);
}

/* Of an image, channels are innermost: a grey picture's edge filters cancel among
 * them, before rounding adds up. */
static ptrdiff_t planar_place(const void *context, int64_t j)
{
    const struct part *part = context;
    int64_t taps = part->class->n_taps;
    return (j % taps * part->p->d->c + j / taps) * part->width;
}

/* All channels of a strip, where each reads all input channels. */
static void pack_channels(const struct part *part, int64_t k0, int64_t k1)
{
    const struct packing *p = part->p;
    const int64_t n = p->d->g.c * part->class->n_taps;
    for (int64_t k = k0; k < k1; k += SAL_BLOCK) {
        struct sal_turn turn = {
            .from = p->w + k * n,
            .step = n,
            .rows = (int)sal_least(k1 - k, SAL_BLOCK),
            .columns = n,
            .scale = p->scale ? p->scale + k : NULL,
        };
        sal_turn_run(&turn, part->to + (k - k0), p->d->planar ? planar_place : blocked_place,
                     part);
    }
}

/* ---- backward ------------------------------------------------------------------ */

static void copy_scaled(sal_real *to, const sal_loose *from, int64_t n, sal_real scale)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = from[i] * scale;
}

/* Source channel k of the gradient, for the strip's channels. */
static void pack_source(const struct part *part, int64_t k)
{
    const struct packing *p = part->p;
    const struct sal_conv_geometry *g = &p->d->g;
    int64_t cg = g->c / g->group, first = k / (g->k / g->group) * cg;
    int64_t c0 = part->strip->block * SAL_BLOCK, c1 = c0 + part->width;
    c1 = sal_least(c1, first + cg);
    int64_t from = c0 > first ? c0 : first, kernel = g->kernel[0] * g->kernel[1];
    for (int t = 0; t < part->class->n_taps; t++) {
        const sal_loose *w = p->w + k * cg * kernel + part->class->taps[t].at;
        sal_real *to = part->to + place(part, k, t);
        if (kernel == 1)
            copy_scaled(to + from - c0, w + from - first, c1 - from, p->scale ? p->scale[k] : 1);
        else
            for (int64_t c = from; c < c1; c++)
                to[c - c0] = scaled(p, k, w[(c - first) * kernel]);
    }
}

/* The weights of an image's gradient, which is summed along the lanes of the source. */
static void pack_dots(const struct part *part)
{
    const struct packing *p = part->p;
    const struct sal_conv_geometry *g = &p->d->g;
    const int64_t kernel = g->kernel[0] * g->kernel[1];
    for (int64_t k = 0; k < g->k; k++)
        for (int t = 0; t < part->class->n_taps; t++)
            for (int64_t c = 0; c < g->c; c++) {
                const sal_loose *w = p->w + (k * g->c + c) * kernel;
                const int64_t at = (k / SAL_BLOCK * part->class->n_taps + t) * g->c + c;
                part->to[at * SAL_BLOCK + k % SAL_BLOCK] =
                    scaled(p, k, w[part->class->taps[t].at]);
            }
}

/* ---- all of it ----------------------------------------------------------------- */

/* Every real of its parts is a weight, or a zero that turning leaves. */
static bool part_is_whole(const struct sal_dense *d)
{
    return !d->back && d->g.group == 1 && (d->planar || d->c % SAL_BLOCK == 0);
}

static void clear(const struct part *part)
{
    const struct sal_dense *d = part->p->d;
    int64_t blocks = part->strip->to - part->strip->from;
    int64_t each = (d->planar && !d->back ? d->c : SAL_BLOCK) * part->width;
    if (d->planar && d->back)
        each = d->k * SAL_BLOCK;
    memset(part->to, 0, sizeof(sal_real) * (size_t)(blocks * part->class->n_taps * each));
}

static void pack_sources(const struct part *part)
{
    const struct sal_dense_strip *strip = part->strip;
    int64_t end = sal_least(strip->to * SAL_BLOCK, part->p->d->c);
    for (int64_t k = strip->from * SAL_BLOCK; k < end; k++)
        pack_source(part, k);
}

static void pack_part(void *context, int tile, int worker)
{
    (void)worker;
    const struct packing *p = context;
    const struct sal_dense *d = p->d;
    const struct sal_dense_class *class = &d->classes[tile / d->n_strips];
    const struct sal_dense_strip *strip = &d->strips[tile % d->n_strips];
    size_t from = class->weights[tile % d->n_strips];
    struct part part = {p, class, strip, p->packed + from, strip->width * SAL_BLOCK};
    int64_t k0 = strip->block * SAL_BLOCK, k1 = sal_least(k0 + part.width, d->k);
    if (!part_is_whole(d))
        clear(&part);
    if (!d->back && d->g.group == 1)
        pack_channels(&part, k0, k1);
    else if (d->back && d->planar)
        pack_dots(&part);
    else if (d->back)
        pack_sources(&part);
    else
        for (int64_t k = k0; k < k1; k++)
            pack_channel(&part, k, k - k0);
}

void sal_dense_pack(const struct sal_dense *d, const sal_loose *w, const sal_real *scale,
                    sal_real *packed, struct sal_pool *pool)
{
    struct packing packing = {d, w, scale, packed};
    sal_pool_run(pool, d->n_classes * d->n_strips, pack_part, &packing);
}
