#include "change.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void sal_change_release(struct sal_change *change)
{
    free(change->map.values);
    free(change->map.by_channel);
    *change = (struct sal_change){0};
}

/* The planes in levels, and of each pixel the one that changes most. */
static void fill(struct sal_map *map, const struct sal_probe_answer *answer, bool reversed,
                 unsigned white)
{
    const size_t pixels = (size_t)map->width * (size_t)map->height;
    for (int c = 0; c < map->channels; c++) {
        const float *plane =
            answer->change + (size_t)(reversed ? map->channels - 1 - c : c) * pixels;
        float *levels = map->by_channel + (size_t)c * pixels;
        for (size_t i = 0; i < pixels; i++) {
            levels[i] = plane[i] * (float)white;
            if (c == 0 || fabsf(levels[i]) > fabsf(map->values[i]))
                map->values[i] = levels[i];
        }
    }
}

enum sal_status sal_change_update(struct sal_change *change, unsigned serial,
                                  const struct sal_probe_answer *answer,
                                  const struct sal_model *model, unsigned white,
                                  struct sal_error *err)
{
    if (change->serial == serial)
        return SAL_OK;
    sal_change_release(change);
    change->serial = serial;
    if (!answer || !(answer->distance.linf > 0))
        return SAL_OK;
    struct sal_map *map = &change->map;
    const int channels = answer->planes >= 3 ? 3 : 1;
    const size_t pixels = (size_t)answer->width * (size_t)answer->height;
    map->values = malloc(pixels * sizeof(float));
    map->by_channel = malloc((size_t)channels * pixels * sizeof(float));
    if (!map->values || !map->by_channel) {
        sal_change_release(change);
        return sal_fail(err, SAL_LIMIT, "no memory for the change");
    }
    map->width = map->grid_width = answer->width;
    map->height = map->grid_height = answer->height;
    map->grid = map->values;
    map->channels = channels;
    map->is_signed = true;
    map->unit = "levels";
    map->layer = -1;
    fill(map, answer, sal_model_preprocessing(model)->channels == SAL_BGR && channels == 3,
         white);
    return SAL_OK;
}
