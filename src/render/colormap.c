#include "saliscope/colormap.h"

#include <string.h>
#include <strings.h>

#include "colormap_tables.h"

const struct sal_colormap sal_colormaps[] = {
    {.name = "viridis",
     .title = "magnitude; even steps, safe for colour blindness and grey print "
              "(matplotlib)",
     .rgb = sal_colormap_viridis},
    {.name = "inferno",
     .title = "magnitude on dark images; even steps from black (matplotlib)",
     .rgb = sal_colormap_inferno},
    {.name = "magma",
     .title = "magnitude on dark images; even steps, softer (matplotlib)",
     .rgb = sal_colormap_magma},
    {.name = "cividis",
     .title = "magnitude; looks the same with and without colour blindness "
              "(Nunez 2018)",
     .rgb = sal_colormap_cividis},
    {.name = "gray",
     .title = "magnitude without colour",
     .rgb = sal_colormap_gray},
    {.name = "turbo",
     .title = "rainbow without jet's false edges; not for grey print (Google 2019)",
     .rgb = sal_colormap_turbo},
    {.name = "jet",
     .title = "rainbow, only to compare with other tools: it invents edges "
              "(matplotlib)",
     .rgb = sal_colormap_jet},
    {.name = "RdBu_r",
     .title = "signed: blue against, white zero, red for (ColorBrewer)",
     .diverging = true,
     .rgb = sal_colormap_rdbu_r},
    {.name = "coolwarm",
     .title = "signed: blue against, light grey zero, red for (Moreland 2009)",
     .diverging = true,
     .rgb = sal_colormap_coolwarm},
    {.name = NULL},
};

const struct sal_colormap *sal_colormap_find(const char *name)
{
    for (const struct sal_colormap *map = sal_colormaps; name && map->name; map++)
        if (strcasecmp(map->name, name) == 0)
            return map;
    return NULL;
}

const struct sal_colormap *sal_colormap_default(bool is_signed)
{
    const struct sal_colormap *map = sal_colormaps;
    while (map->name && map->diverging != is_signed)
        map++;
    return map;
}

void sal_colormap_at(const struct sal_colormap *map, double t, uint8_t rgb[3])
{
    if (t != t) {
        memset(rgb, 128, 3);
        return;
    }
    int i = t <= 0 ? 0 : t >= 1 ? 255 : (int)(t * 256);
    memcpy(rgb, map->rgb[i], 3);
}
