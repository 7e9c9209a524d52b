#include "saliscope/resample.h"

#include <math.h>
#include <string.h>

#include "resize.h"

/* ---- placement ---------------------------------------------------------------- */

/* As Pillow's ImageOps.fit: the largest centred box of the right shape. */
static void place_crop(struct sal_placement *place, double image_ratio, double ratio)
{
    double width = place->src_width, height = place->src_height;
    if (image_ratio >= ratio)
        place->src_width = ratio * height;
    else
        place->src_height = width / ratio;
    place->src_x = (width - place->src_width) * 0.5;
    place->src_y = (height - place->src_height) * 0.5;
}

/* As Pillow's ImageOps.pad: the largest centred target of the image's shape. */
static void place_pad(struct sal_placement *place, double image_ratio, double ratio)
{
    int width = place->dst_width, height = place->dst_height;
    if (image_ratio > ratio)
        place->dst_height = (int)fmax(rint(width / image_ratio), 1);
    else if (image_ratio < ratio)
        place->dst_width = (int)fmax(rint(image_ratio * height), 1);
    place->dst_x = (int)rint((width - place->dst_width) * 0.5);
    place->dst_y = (int)rint((height - place->dst_height) * 0.5);
}

struct sal_placement sal_placement_of(int image_width, int image_height, int width,
                                      int height, enum sal_fit fit)
{
    struct sal_placement place = {
        .src_width = image_width, .src_height = image_height,
        .dst_width = width, .dst_height = height,
    };
    double image_ratio = (double)image_width / image_height;
    double ratio = (double)width / height;
    if (fit == SAL_CROP && image_ratio != ratio)
        place_crop(&place, image_ratio, ratio);
    if (fit == SAL_PAD)
        place_pad(&place, image_ratio, ratio);
    return place;
}

/* ---- image to planes ------------------------------------------------------------ */

/* Which channel of an RGB image each plane shows. */
static const struct {
    int planes, channel[3];
} orders[] = {
    [SAL_RGB] = {3, {0, 1, 2}},
    [SAL_BGR] = {3, {2, 1, 0}},
    [SAL_GRAY] = {1, {SAL_LUMA}},
    [SAL_GRAY3] = {3, {SAL_LUMA, SAL_LUMA, SAL_LUMA}},
};

static enum sal_status check_request(const struct sal_image *image,
                                     const struct sal_preprocessing *spec,
                                     struct sal_error *err)
{
    if (spec->width < 1 || spec->height < 1 || spec->width > SAL_IMAGE_SIDE_MAX ||
        spec->height > SAL_IMAGE_SIDE_MAX)
        return sal_fail(err, SAL_USAGE, "resampling to %d x %d pixels; sides are 1 to %d",
                        spec->width, spec->height, SAL_IMAGE_SIDE_MAX);
    if (!image->samples || image->max < 1)
        return sal_fail(err, SAL_USAGE, "resampling an image without samples");
    return SAL_OK;
}

static struct sal_resize resize_of(const struct sal_image *image,
                                   const struct sal_preprocessing *spec)
{
    struct sal_placement place = sal_placement_of(image->width, image->height, spec->width,
                                                  spec->height, spec->fit);
    /* Libraries spread what is stored in fewer than 8 bits over 8 before they
     * resize, which matters once the result is rounded. */
    return (struct sal_resize){
        .image = image,
        .levels = spec->round && image->max < 255 ? 255 : image->max,
        .filter = spec->resize,
        .round = spec->round,
        .src_x = {place.src_x, place.src_width},
        .src_y = {place.src_y, place.src_height},
        .dst_width = place.dst_width,
        .dst_height = place.dst_height,
        .dst_stride = spec->width,
    };
}

/* Cubic and Lanczos overshoot where they do not round. */
static void clamp(float *plane, size_t count, unsigned levels)
{
    float white = (float)levels;
    for (size_t i = 0; i < count; i++)
        plane[i] = plane[i] < 0 ? 0 : plane[i] > white ? white : plane[i];
}

enum sal_status sal_image_resample(const struct sal_image *image,
                                   const struct sal_preprocessing *spec, float *planes,
                                   unsigned *white, struct sal_error *err)
{
    enum sal_status status = check_request(image, spec, err);
    if (status)
        return status;
    struct sal_resize resize = resize_of(image, spec);
    *white = resize.levels;
    struct sal_placement place = sal_placement_of(image->width, image->height, spec->width,
                                                  spec->height, spec->fit);
    size_t area = (size_t)spec->width * spec->height;
    bool grey = image->channels < 3 || orders[spec->channels].channel[0] == SAL_LUMA;
    for (int p = 0; p < orders[spec->channels].planes; p++) {
        float *plane = planes + p * area;
        if (p > 0 && grey) {
            memcpy(plane, planes, area * sizeof(*plane));
            continue;
        }
        memset(plane, 0, area * sizeof(*plane));
        resize.channel = orders[spec->channels].channel[p];
        resize.dst = plane + (size_t)place.dst_y * spec->width + place.dst_x;
        status = sal_resize(&resize, spec->antialias ? sal_resizer_pillow : sal_resizer_opencv,
                            err);
        if (status)
            return status;
        clamp(plane, area, resize.levels);
    }
    return SAL_OK;
}

/* ---- planes of maps --------------------------------------------------------------- */

struct between {
    int low, high;
    float part; /* of high */
};

/* Between which of n pixels a position (in pixels, centres whole) falls. */
static struct between between_of(double position, int n)
{
    float held = (float)(position < 0 ? 0 : position > n - 1 ? n - 1 : position);
    int low = (int)held;
    return (struct between){low, low < n - 1 ? low + 1 : low, held - (float)low};
}

static float bilinear(const float *plane, int width, struct between x, struct between y)
{
    const float *upper = plane + (size_t)y.low * width;
    const float *lower = plane + (size_t)y.high * width;
    float above = (1 - x.part) * upper[x.low] + x.part * upper[x.high];
    float below = (1 - x.part) * lower[x.low] + x.part * lower[x.high];
    return (1 - y.part) * above + y.part * below;
}

void sal_plane_upsample(const float *plane, int h, int w, float *out, int height, int width)
{
    double scale_x = (double)w / width, scale_y = (double)h / height;
    for (int y = 0; y < height; y++) {
        struct between row = between_of((y + 0.5) * scale_y - 0.5, h);
        for (int x = 0; x < width; x++)
            *out++ = bilinear(plane, w, between_of((x + 0.5) * scale_x - 0.5, w), row);
    }
}

/* The place in the network's grid of an image pixel, and whether it has one. */
static bool project(int pixel, double src, double src_extent, int dst, int dst_extent,
                    struct between *found)
{
    double at = (pixel + 0.5 - src) / src_extent;
    *found = between_of(at * dst_extent - 0.5, dst_extent);
    found->low += dst;
    found->high += dst;
    return at >= 0 && at <= 1;
}

void sal_plane_to_image(const float *plane, int height, int width,
                        const struct sal_placement *place, float *out, int image_height,
                        int image_width)
{
    (void)height;
    for (int y = 0; y < image_height; y++) {
        struct between row, column;
        bool inside = project(y, place->src_y, place->src_height, place->dst_y,
                              place->dst_height, &row);
        for (int x = 0; x < image_width; x++) {
            bool both = project(x, place->src_x, place->src_width, place->dst_x,
                                place->dst_width, &column) && inside;
            *out++ = both ? bilinear(plane, width, column, row) : 0;
        }
    }
}
