#include "plane.h"

#include <stdlib.h>

#include "saliscope/resample.h"

/* The method's own grid blown up to the map's size, each cell one flat square. */
float *sal_plane_flat(const struct sal_map *map)
{
    size_t n = (size_t)map->width * (size_t)map->height;
    float *out = malloc(n * sizeof(*out));
    for (int y = 0; out && y < map->height; y++)
        for (int x = 0; x < map->width; x++)
            out[(size_t)y * map->width + x] =
                map->grid[(size_t)(y * map->grid_height / map->height) *
                              map->grid_width +
                          x * map->grid_width / map->width];
    return out;
}

/* How many samples per picture pixel and axis keep a map finer than the picture
 * from being skipped over. */
static int oversampling(const struct sal_map *map, const struct sal_placement *at,
                        int width, int height)
{
    double x = map->width * at->src_width / at->dst_width / width;
    double y = map->height * at->src_height / at->dst_height / height;
    double most = x > y ? x : y;
    int n = 1;
    while (n < most && n < 8)
        n++;
    return n;
}

static void average(const float *fine, int n, float *out, int width, int height)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            double sum = 0;
            for (int i = 0; i < n * n; i++)
                sum += (double)fine[((size_t)y * n + i / n) * ((size_t)width * n) +
                                    (size_t)x * n + i % n];
            out[(size_t)y * width + x] = (float)(sum / (n * n));
        }
}

float *sal_plane_over(const struct sal_map *map, const float *values,
                      const struct sal_image *image,
                      const struct sal_preprocessing *preprocessing, int width,
                      int height)
{
    struct sal_placement at = sal_placement_of(image->width, image->height, map->width,
                                               map->height, preprocessing->fit);
    struct sal_placement unit = at;
    unit.src_width /= image->width;
    unit.src_height /= image->height;
    int n = oversampling(map, &unit, width, height);
    double sx = (double)width * n / image->width;
    double sy = (double)height * n / image->height;
    at.src_x *= sx, at.src_width *= sx, at.src_y *= sy, at.src_height *= sy;
    size_t pixels = (size_t)width * height;
    float *fine = malloc(pixels * n * n * sizeof(float));
    float *out = malloc(pixels * sizeof(float));
    if (fine && out) {
        sal_plane_to_image(values, map->height, map->width, &at, fine, height * n,
                           width * n);
        average(fine, n, out, width, height);
    } else {
        free(out);
        out = NULL;
    }
    free(fine);
    return out;
}
