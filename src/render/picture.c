#include <stdlib.h>
#include <string.h>

#include "saliscope/overlay.h"

void sal_picture_release(struct sal_picture *picture)
{
    free(picture->rgb);
    *picture = (struct sal_picture){0};
}

enum sal_status sal_picture_init(struct sal_picture *picture, int width, int height,
                                 struct sal_error *err)
{
    if (width < 1 || height < 1 || width > SAL_IMAGE_SIDE_MAX ||
        height > SAL_IMAGE_SIDE_MAX ||
        (int64_t)width * height > SAL_IMAGE_PIXELS_MAX)
        return sal_fail(err, SAL_LIMIT,
                        "picture of %d x %d pixels: expects 1 to %d a side and at most "
                        "%d in all",
                        width, height, SAL_IMAGE_SIDE_MAX, SAL_IMAGE_PIXELS_MAX);
    uint8_t *rgb = calloc((size_t)width * (size_t)height, 3);
    if (!rgb)
        return sal_fail(err, SAL_LIMIT, "no memory for a picture of %d x %d pixels",
                        width, height);
    *picture = (struct sal_picture){width, height, rgb};
    return SAL_OK;
}

/* The source samples one target sample is made of. Weights are whole numbers, so
 * that sums are exact: the first is head, the last of several is tail, those
 * between are full. */
struct span {
    int first, count;
    double head, full, tail;
};

static struct span area_span(int i, int source, int target)
{
    int64_t start = (int64_t)i * source, end = start + source;
    int first = (int)(start / target), last = (int)((end - 1) / target);
    if (first == last)
        return (struct span){first, 1, source, 0, 0};
    return (struct span){first, last - first + 1,
                         (double)((int64_t)(first + 1) * target - start), target,
                         (double)(end - (int64_t)last * target)};
}

static struct span linear_span(int i, int source, int target)
{
    int64_t whole = 2 * (int64_t)target;
    int64_t centre = (2 * (int64_t)i + 1) * source - target;
    if (centre <= 0)
        return (struct span){0, 1, (double)whole, 0, 0};
    int first = (int)(centre / whole);
    int64_t part = centre % whole;
    if (first >= source - 1)
        return (struct span){source - 1, 1, (double)whole, 0, 0};
    return (struct span){first, 2, (double)(whole - part), 0, (double)part};
}

static struct span span_of(int i, int source, int target)
{
    return target < source ? area_span(i, source, target)
                           : linear_span(i, source, target);
}

static double span_total(struct span span)
{
    return span.head + span.tail + span.full * (span.count > 2 ? span.count - 2 : 0);
}

static double span_weight(struct span span, int k)
{
    return k == 0 ? span.head : k == span.count - 1 ? span.tail : span.full;
}

/* acc[width * colours] += weight * row, with alpha multiplied in. */
static void add_row(double *acc, const uint16_t *row, int width, int channels,
                    double weight)
{
    bool alpha = channels == 2 || channels == 4;
    int colours = channels - alpha;
    if (!alpha) {
        for (int i = 0; i < width * colours; i++)
            acc[i] += weight * row[i];
        return;
    }
    for (int x = 0; x < width; x++, row += channels) {
        double a = weight * row[colours];
        for (int c = 0; c < colours; c++)
            acc[x * colours + c] += a * row[c];
    }
}

/* One line of the picture out of the weighted sum of image rows; unit is the
 * weight of one sample in acc times the stored white. */
static void write_line(uint8_t *out, const double *acc, const struct span *across,
                       int width, int colours, double unit)
{
    for (int x = 0; x < width; x++, out += 3) {
        struct span span = across[x];
        double sum[3] = {0};
        for (int k = 0; k < span.count; k++)
            for (int c = 0; c < colours; c++)
                sum[c] += span_weight(span, k) * acc[(span.first + k) * colours + c];
        double white = unit * span_total(span);
        for (int c = 0; c < 3; c++) {
            double v = sum[c < colours ? c : 0] * 255 / white + 0.5;
            out[c] = v > 255 ? 255 : (uint8_t)v;
        }
    }
}

static void resize(struct sal_picture *picture, const struct sal_image *image,
                   double *acc, struct span *across)
{
    int channels = image->channels, colours = channels < 3 ? 1 : 3;
    double white = image->max ? image->max : 1;
    if (channels != colours)
        white *= white;
    for (int x = 0; x < picture->width; x++)
        across[x] = span_of(x, image->width, picture->width);
    size_t stride = (size_t)image->width * (size_t)channels;
    for (int y = 0; y < picture->height; y++) {
        struct span down = span_of(y, image->height, picture->height);
        memset(acc, 0, (size_t)image->width * (size_t)colours * sizeof(*acc));
        for (int k = 0; k < down.count; k++)
            add_row(acc, image->samples + (size_t)(down.first + k) * stride,
                    image->width, channels, span_weight(down, k));
        write_line(picture->rgb + (size_t)y * (size_t)picture->width * 3, acc, across,
                   picture->width, colours, white * span_total(down));
    }
}

enum sal_status sal_picture_from_image(struct sal_picture *picture,
                                       const struct sal_image *image, int width,
                                       int height, struct sal_error *err)
{
    enum sal_status status = sal_picture_init(picture, width, height, err);
    if (status)
        return status;
    double *acc = calloc((size_t)image->width * 3, sizeof(*acc));
    struct span *across = calloc((size_t)width, sizeof(*across));
    if (acc && across)
        resize(picture, image, acc, across);
    else
        status = sal_fail(err, SAL_LIMIT, "no memory to resize an image %d pixels wide",
                          image->width);
    free(acc);
    free(across);
    if (status)
        sal_picture_release(picture);
    return status;
}
