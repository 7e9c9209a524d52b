#include "places.h"

#include <stdlib.h>

#include "saliscope/random.h"

enum { FEW = 19 };

/* The shape's pixels, how it may be shifted, and what is known of that so far. */
struct plot {
    const uint8_t *shape, *shown;
    int width, height;
    int64_t *pixels, n;      /* where the shape lies */
    int up, left, down, right; /* room on each side */
    int *order;              /* [shifts]: of all shifts, as they are drawn */
    int shifts;
};

static void measure(struct plot *plot)
{
    int top = plot->height, left = plot->width, bottom = 0, right = 0;
    for (int y = 0; y < plot->height; y++)
        for (int x = 0; x < plot->width; x++) {
            int64_t at = (int64_t)y * plot->width + x;
            if (!plot->shape[at])
                continue;
            plot->pixels[plot->n++] = at;
            top = y < top ? y : top;
            left = x < left ? x : left;
            bottom = y + 1;
            right = x + 1 > right ? x + 1 : right;
        }
    plot->up = top;
    plot->left = left;
    plot->down = plot->height - bottom;
    plot->right = plot->width - right;
    plot->shifts = (plot->up + plot->down + 1) * (plot->left + plot->right + 1);
}

/* A random order of all shifts (Fisher and Yates). */
static void shuffle(struct plot *plot, uint64_t key)
{
    for (int i = 0; i < plot->shifts; i++)
        plot->order[i] = i;
    for (int i = 0; i + 1 < plot->shifts; i++) {
        int left = plot->shifts - i;
        int j = i + (int)(sal_random_uniform(key, (uint64_t)i) * left);
        int other = plot->order[j];
        plot->order[j] = plot->order[i];
        plot->order[i] = other;
    }
}

static void shift_of(const struct plot *plot, int number, int shift[2])
{
    int columns = plot->left + plot->right + 1;
    shift[0] = number / columns - plot->up;
    shift[1] = number % columns - plot->left;
}

/* All of it is shown there, and no more of it than that lies on the shape itself. */
static bool fits(const struct plot *plot, const int shift[2], int64_t overlap)
{
    int64_t step = (int64_t)shift[0] * plot->width + shift[1], over = 0;
    for (int64_t i = 0; i < plot->n; i++) {
        int64_t at = plot->pixels[i] + step;
        over += plot->shape[at];
        if (over > overlap || (plot->shown && !plot->shown[at]))
            return false;
    }
    return true;
}

static void take(const struct plot *plot, struct sal_places *places, int want, int64_t overlap)
{
    int i = 0;
    places->n = 0;
    for (; i < plot->shifts && places->n < want; i++) {
        shift_of(plot, plot->order[i], places->shift[places->n]);
        places->n += fits(plot, places->shift[places->n], overlap);
    }
    places->beside = overlap == 0;
    places->all = i == plot->shifts;
}

enum sal_status sal_places_draw(struct sal_places *places, const uint8_t *shape,
                                const uint8_t *shown, int width, int height, int want,
                                uint64_t key, struct sal_error *err)
{
    struct plot plot = {.shape = shape, .shown = shown, .width = width, .height = height};
    *places = (struct sal_places){.shift = calloc((size_t)want + 1, sizeof(*places->shift))};
    plot.pixels = calloc((size_t)width * (size_t)height, sizeof(*plot.pixels));
    if (plot.pixels)
        measure(&plot);
    plot.order = calloc((size_t)plot.shifts + 1, sizeof(*plot.order));
    bool good = places->shift && plot.pixels && plot.order;
    if (good) {
        shuffle(&plot, key);
        take(&plot, places, want, 0);
        if (places->n < (want < FEW ? want : FEW))
            take(&plot, places, want, plot.n / 2);
    }
    free(plot.pixels);
    free(plot.order);
    if (good)
        return SAL_OK;
    sal_places_release(places);
    return sal_fail(err, SAL_LIMIT, "no memory for places of a region");
}

void sal_places_release(struct sal_places *places)
{
    free(places->shift);
    *places = (struct sal_places){0};
}
