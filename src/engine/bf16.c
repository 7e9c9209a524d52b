#include "bf16.h"

#include <math.h>
#include <string.h>

#include "kernel.h"
#include "saliscope/pool.h"

uint16_t sal_bf16_of(sal_real x)
{
    float narrow = (float)x;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof(bits));
    if (isnan(narrow))
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Half `half` of the pair at `to`. */
static void put(sal_real *to, int64_t half, sal_real x)
{
    uint16_t value = sal_bf16_of(x);
    memcpy((char *)to + half * (int64_t)sizeof(value), &value, sizeof(value));
}

/* ---- convolutions -------------------------------------------------------------- */

struct dense_packing {
    const struct sal_dense *d;
    const sal_loose *w;
    const sal_real *scale;
    sal_real *packed;
};

/* All of output channel k, in a strip whose pairs are `row` elements apart. */
static void pack_channel(const struct dense_packing *p,
                         const struct sal_dense_strip *strip, int64_t k, int64_t row,
                         sal_real *to)
{
    const struct sal_conv_geometry *g = &p->d->g;
    int64_t cg = g->c / g->group, taps = p->d->classes->n_taps;
    int64_t first = k / (g->k / g->group) * cg;
    const sal_loose *w = p->w + k * cg * taps;
    for (int64_t c = first; c < first + cg; c++)
        for (int64_t t = 0; t < taps; t++) {
            int64_t block = c / SAL_BLOCK - strip->from;
            int64_t pair = (block * taps + t) * SAL_PAIRS + c % SAL_BLOCK / 2;
            put(to + pair * row, c % 2, *w++ * (p->scale ? p->scale[k] : 1));
        }
}

static void pack_dense_strip(void *context, int i, int worker)
{
    (void)worker;
    const struct dense_packing *p = context;
    const struct sal_dense *d = p->d;
    const struct sal_dense_strip *strip = &d->strips[i];
    int64_t row = strip->width * SAL_BLOCK, k0 = strip->block * SAL_BLOCK;
    int64_t pairs = (strip->to - strip->from) * d->classes->n_taps * SAL_PAIRS;
    sal_real *to = p->packed + d->classes->weights[i];
    memset(to, 0, sizeof(*to) * (size_t)(pairs * row));
    for (int64_t k = k0; k < sal_least(k0 + row, d->k); k++)
        pack_channel(p, strip, k, row, to + (k - k0));
}

void sal_dense_pack_bf16(const struct sal_dense *d, const sal_loose *w,
                         const sal_real *scale, sal_real *packed, struct sal_pool *pool)
{
    struct dense_packing packing = {d, w, scale, packed};
    sal_pool_run(pool, d->n_strips, pack_dense_strip, &packing);
}

/* ---- linear layers ------------------------------------------------------------- */

struct linear_packing {
    const struct sal_linear_weights *weights;
    sal_real *packed;
    int64_t width; /* blocks of a strip, the last perhaps fewer */
};

static sal_real weight_at(const struct sal_linear_weights *w, int64_t c, int64_t k)
{
    if (c >= w->c || k >= w->k)
        return 0;
    sal_real value = w->w[c * w->c_step + k * w->k_step];
    value *= w->c_scale ? w->c_scale[c] : 1;
    return value * (w->k_scale ? w->k_scale[k] : 1);
}

static void pack_linear_strip(void *context, int i, int worker)
{
    (void)worker;
    const struct linear_packing *packing = context;
    const struct sal_linear_weights *w = packing->weights;
    int64_t block = i * packing->width, from = block * SAL_BLOCK;
    int64_t row = sal_least(packing->width, sal_blocks(w->k) - block) * SAL_BLOCK;
    sal_real *to = packing->packed + sal_linear_packed_bf16(w->c, from);
    for (int64_t c = 0; c < sal_blocks(w->c) * SAL_BLOCK; c += 2)
        for (int64_t k = from; k < from + row; k++, to++) {
            put(to, 0, weight_at(w, c, k));
            put(to, 1, weight_at(w, c + 1, k));
        }
}

void sal_linear_pack_bf16(const struct sal_linear_weights *weights, sal_real *packed,
                          struct sal_pool *pool)
{
    int64_t width = sal_lanes()->width;
    struct linear_packing packing = {weights, packed, width};
    sal_pool_run(pool, (int)((sal_blocks(weights->k) + width - 1) / width),
                 pack_linear_strip, &packing);
}

size_t sal_linear_packed_bf16(int64_t c, int64_t k)
{
    return sal_linear_packed(c, k) / 2;
}
