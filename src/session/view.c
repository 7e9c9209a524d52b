/* How a map is drawn. */
#include <math.h>
#include <stdio.h>

#include "saliscope/session.h"

/* With what was left to us decided. */
static struct sal_view settled(const struct sal_view *view, const struct sal_map *map)
{
    struct sal_view own = *view;
    if (own.range_mode == SAL_RANGE_AUTO) {
        own.range_mode = map->pixelwise ? SAL_RANGE_PERCENTILE : SAL_RANGE_MAP;
        own.range.high = SAL_VIEW_PERCENTILE;
    }
    return own;
}

struct sal_range sal_view_range(const struct sal_view *view, const struct sal_map *map)
{
    struct sal_view own = settled(view, map);
    return sal_range_of(map->values, (long)map->width * map->height, map->is_signed,
                        own.range_mode, own.range);
}

double sal_view_opacity(const struct sal_view *view)
{
    if (view->alpha < 0)
        return 0;
    return view->alpha > 0 ? view->alpha : 0.5;
}

struct sal_range sal_view_range_of_both(const struct sal_view *view, const struct sal_map *a,
                                        const struct sal_map *b)
{
    struct sal_range one = sal_view_range(view, a), other = sal_view_range(view, b);
    return (struct sal_range){fmin(one.low, other.low), fmax(one.high, other.high)};
}

void sal_view_range_text(const struct sal_view *view, const struct sal_map *map, char *text,
                         size_t size)
{
    struct sal_view own = settled(view, map);
    if (own.range_mode == SAL_RANGE_PERCENTILE)
        snprintf(text, size, "%.4g %% of this image", own.range.high);
    else
        snprintf(text, size, "%s", own.range_mode == SAL_RANGE_FIXED ? "as given"
                                                                     : "scaled to this image");
}
