#include "dense_strip.h"

static void run_tile(struct sal_strip *s, int rows, int pixels)
{
    s->tile.soon = s->soon < s->soon_end ? s->soon : NULL;
    s->soon += s->tile.blocks * s->tile.n_taps * SAL_BLOCK * s->unit;
    s->run(&s->tile, rows, pixels, s->width);
}

void sal_strip_row(struct sal_strip *s, int64_t pixels, int rows)
{
    int64_t most = s->pixels / rows, tiles = (pixels + most - 1) / most;
    for (int64_t i = 0; i < tiles; i++) {
        int64_t n = pixels / tiles + (i < pixels % tiles);
        run_tile(s, rows, (int)n);
        s->tile.in += n * s->unit;
        s->tile.out += n * s->tile.out_pixel;
        if (s->tile.add)
            s->tile.add += n * s->tile.out_pixel;
    }
}

void sal_strip_finish(const struct sal_strip *s, sal_map *after, sal_real *row, int64_t pixels)
{
    for (int b = 0; b < s->width && after; b++)
        after(row + b * s->tile.out_block, row + b * s->tile.out_block, pixels * SAL_BLOCK);
}

struct sal_strip sal_strip_of(const struct sal_dense *d, const struct sal_dense_class *class,
                              int index, const sal_real *packed,
                              const struct sal_target *target)
{
    const struct sal_dense_strip *strip = &d->strips[index];
    const struct sal_lanes *lanes = sal_lanes();
    bool image = sal_dense_is_image(d);
    struct sal_strip s = {.width = strip->width, .pixels = lanes->pixels, .unit = d->unit};
    s.run = image ? lanes->planar : d->bf16 ? lanes->tile_bf16 : lanes->tile;
    s.tile = (struct sal_tile){
        .n_taps = class->n_taps * (int)(image ? d->c : 1),
        .blocks = (int)(strip->to - strip->from),
        .lanes = d->unit,
        .w = packed + class->weights[index],
        .base = target->base ? target->base + strip->block * SAL_BLOCK : NULL,
        .low = target->low,
        .high = target->high,
    };
    if (!image && strip->to == sal_blocks(d->c)) {
        int rest = (int)(d->c - (strip->to - 1) * SAL_BLOCK);
        s.tile.lanes = d->bf16 ? (rest + 1) / 2 : rest;
    }
    if (index + 1 < d->n_strips) {
        s.soon = packed + class->weights[index + 1];
        s.soon_end = s.soon + (class->weights[index + 1] - class->weights[index]);
    }
    return s;
}
