#include <string.h>

#include "encoder.h"

static const uint8_t base16[16][3] = {
    {0, 0, 0},       {205, 0, 0},   {0, 205, 0},   {205, 205, 0},
    {0, 0, 238},     {205, 0, 205}, {0, 205, 205}, {229, 229, 229},
    {127, 127, 127}, {255, 0, 0},   {0, 255, 0},   {255, 255, 0},
    {92, 92, 255},   {255, 0, 255}, {0, 255, 255}, {255, 255, 255},
};

static const uint8_t cube[6] = {0, 95, 135, 175, 215, 255};

/* Of the weights tried, these came closest to distances in OKLab. */
static const int weight[3] = {2, 4, 1};

enum { WEIGHT_SUM = 7, CUBE = 16, GREYS = 232, GREY_LAST = 23 };

void sal_palette_rgb(int index, uint8_t rgb[3])
{
    if (index < CUBE) {
        memcpy(rgb, base16[index], 3);
    } else if (index < GREYS) {
        rgb[0] = cube[(index - CUBE) / 36];
        rgb[1] = cube[(index - CUBE) / 6 % 6];
        rgb[2] = cube[(index - CUBE) % 6];
    } else {
        memset(rgb, 8 + 10 * (index - GREYS), 3);
    }
}

static int square(int x)
{
    return x * x;
}

static int distance(const int a[3], const uint8_t b[3])
{
    return weight[0] * square(a[0] - b[0]) + weight[1] * square(a[1] - b[1]) +
           weight[2] * square(a[2] - b[2]);
}

static int nearest_level(int v)
{
    return v < 48 ? 0 : v < 115 ? 1 : (v - 35) / 40;
}

/* The distance is a sum over components, so the nearest of the cube is the nearest
 * level of each, and the nearest grey that of the weighted mean. */
static int nearest_256(const int rgb[3])
{
    int in_cube = CUBE + 36 * nearest_level(rgb[0]) + 6 * nearest_level(rgb[1]) +
                  nearest_level(rgb[2]);
    int mean = (weight[0] * rgb[0] + weight[1] * rgb[1] + weight[2] * rgb[2]) /
               WEIGHT_SUM;
    int step = (mean - 3) / 10;
    int grey = GREYS + (step > GREY_LAST ? GREY_LAST : step);
    uint8_t a[3], b[3];
    sal_palette_rgb(in_cube, a);
    sal_palette_rgb(grey, b);
    return distance(rgb, b) < distance(rgb, a) ? grey : in_cube;
}

static int nearest_16(const int rgb[3])
{
    int best = 0, least = distance(rgb, base16[0]);
    for (int i = 1; i < 16; i++) {
        int d = distance(rgb, base16[i]);
        if (d < least) {
            least = d;
            best = i;
        }
    }
    return best;
}

int sal_palette_nearest(enum sal_depth depth, const uint8_t rgb[3])
{
    int wide[3] = {rgb[0], rgb[1], rgb[2]};
    if (depth == SAL_TRUECOLOR)
        return rgb[0] << 16 | rgb[1] << 8 | rgb[2];
    return depth == SAL_256 ? nearest_256(wide) : nearest_16(wide);
}

/* How far rgb lies from colour a towards colour b, in 1/32. */
static int way_to(const uint8_t rgb[3], const uint8_t a[3], const uint8_t b[3])
{
    int along = 0, whole = 0;
    for (int c = 0; c < 3; c++) {
        along += weight[c] * (rgb[c] - a[c]) * (b[c] - a[c]);
        whole += weight[c] * square(b[c] - a[c]);
    }
    return whole ? 32 * along / whole : 0;
}

/* The colour on the other side of rgb from a, the closest one that is not a. */
static int opposite_16(const uint8_t rgb[3], int near)
{
    const uint8_t *a = base16[near];
    int far = near;
    for (int reach = 1; far == near && reach <= 8; reach *= 2) {
        int beyond[3];
        for (int c = 0; c < 3; c++)
            beyond[c] = rgb[c] + reach * (rgb[c] - a[c]);
        far = nearest_16(beyond);
    }
    return far;
}

static int dithered_16(const uint8_t rgb[3], int x, int y)
{
    static const uint8_t bayer[4][4] = {
        {0, 8, 2, 10}, {12, 4, 14, 6}, {3, 11, 1, 9}, {15, 7, 13, 5}};
    int wide[3] = {rgb[0], rgb[1], rgb[2]};
    int near = nearest_16(wide), far = opposite_16(rgb, near);
    int way = way_to(rgb, base16[near], base16[far]);
    return 2 * bayer[y & 3][x & 3] + 1 < way ? far : near;
}

int sal_palette_pixel(enum sal_depth depth, const struct sal_picture *picture, int x,
                      int y)
{
    const uint8_t *rgb = sal_picture_at(picture, x, y);
    return depth == SAL_16 ? dithered_16(rgb, x, y) : sal_palette_nearest(depth, rgb);
}

int sal_luma(const uint8_t rgb[3])
{
    return (299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000;
}
