#include "saliscope/roi.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "saliscope/image.h"
#include "saliscope/resample.h"
#include "saliscope/sha256.h"

/* ---- reading --------------------------------------------------------------------------- */

bool sal_roi_is_rectangle(const char *part)
{
    return strchr(part, ',') && part[strspn(part, "+-0123456789., \t")] == '\0';
}

/* Four whole numbers between commas and nothing else. */
static bool parse_rectangle(const char *text, long v[4])
{
    for (int i = 0; i < 4; i++) {
        char *end;
        v[i] = strtol(text, &end, 10);
        if (end == text || *end != (i < 3 ? ',' : '\0'))
            return false;
        text = end + 1;
    }
    return true;
}

static enum sal_status add_rectangle(struct sal_roi *roi, const char *text,
                                     struct sal_error *err)
{
    long v[4];
    if (!parse_rectangle(text, v))
        return sal_fail(err, SAL_USAGE,
                        "a region is a mask's file or X,Y,W,H in whole pixels, not '%s'", text);
    if (v[2] < 1 || v[3] < 1)
        return sal_fail(err, SAL_USAGE, "the region %s is empty: W and H are 1 or more", text);
    if (v[0] < 0 || v[1] < 0 || v[0] >= roi->width || v[1] >= roi->height ||
        v[2] > roi->width - v[0] || v[3] > roi->height - v[1])
        return sal_fail(err, SAL_USAGE,
                        "the region %s reaches beyond the image, which is %d x %d", text,
                        roi->width, roi->height);
    for (long y = v[1]; y < v[1] + v[3]; y++)
        memset(roi->inside + y * roi->width + v[0], 1, (size_t)v[2]);
    return SAL_OK;
}

static bool is_marked(const struct sal_image *mask, size_t i)
{
    const uint16_t *pixel = mask->samples + i * (size_t)mask->channels;
    int colours = mask->channels <= 2 ? 1 : 3;
    bool lit = false;
    for (int c = 0; c < colours; c++)
        lit = lit || pixel[c] > 0;
    return lit && (colours == mask->channels || pixel[colours] > 0);
}

static enum sal_status add_mask(struct sal_roi *roi, const char *path,
                                enum sal_sandbox_mode sandbox, struct sal_error *err)
{
    struct sal_image mask;
    enum sal_status status = sal_image_load(&mask, path, sandbox, err);
    if (status)
        return status;
    size_t n = (size_t)roi->width * (size_t)roi->height, marked = 0;
    if (mask.width != roi->width || mask.height != roi->height) {
        status = sal_fail(err, SAL_BAD_INPUT,
                          "%s: this mask is %d x %d and the image %d x %d; they must be equal",
                          path, mask.width, mask.height, roi->width, roi->height);
    } else {
        for (size_t i = 0; i < n; i++)
            if (is_marked(&mask, i)) {
                roi->inside[i] = 1;
                marked++;
            }
        if (!marked)
            status = sal_fail(err, SAL_BAD_INPUT,
                              "%s: this mask marks nothing: all of its pixels are 0", path);
    }
    sal_image_release(&mask);
    return status;
}

enum sal_status sal_roi_read(struct sal_roi *roi, const char *const *parts, int n, int width,
                             int height, enum sal_sandbox_mode sandbox, struct sal_error *err)
{
    size_t pixels = (size_t)width * (size_t)height;
    *roi = (struct sal_roi){.width = width, .height = height, .inside = calloc(pixels, 1)};
    enum sal_status status = SAL_OK;
    if (!roi->inside)
        status = sal_fail(err, SAL_LIMIT, "no memory for a region of %d x %d", width, height);
    for (int i = 0; i < n && !status; i++)
        status = sal_roi_is_rectangle(parts[i]) ? add_rectangle(roi, parts[i], err)
                                                : add_mask(roi, parts[i], sandbox, err);
    for (size_t i = 0; i < pixels && !status; i++)
        roi->area += roi->inside[i];
    if (!status && roi->area == (int64_t)pixels)
        status = sal_fail(err, SAL_USAGE,
                          "the region covers all of the image: nothing is outside of it");
    if (status)
        sal_roi_release(roi);
    else
        sal_sha256_hex(roi->inside, pixels, roi->sha256);
    return status;
}

void sal_roi_release(struct sal_roi *roi)
{
    free(roi->inside);
    *roi = (struct sal_roi){0};
}

/* ---- on the network's grid -------------------------------------------------------------- */

/* sums[x] becomes how much of column x the region covers between two heights. */
static void sum_rows(const struct sal_roi *roi, double from, double to, double *sums)
{
    memset(sums, 0, (size_t)roi->width * sizeof(*sums));
    for (int y = (int)from; y < roi->height && y < to; y++) {
        double share = fmin(to, y + 1.0) - fmax(from, y);
        const uint8_t *row = roi->inside + (size_t)y * (size_t)roi->width;
        for (int x = 0; x < roi->width; x++)
            sums[x] += row[x] ? share : 0;
    }
}

/* The sum of a row from its left end to that place, from the sums up to each pixel. */
static double sum_to(const double *sums, const double *before, int n, double at)
{
    int x = (int)at < n ? (int)at : n - 1;
    return before[x] + (at - x) * sums[x];
}

struct tally {
    int64_t inside, shown; /* pixels of the grid */
    double seen;           /* area of the region that the network sees, in image pixels */
};

static void place_row(const struct sal_roi *roi, const struct sal_placement *place,
                      const double *sums, const double *before, uint8_t *out,
                      double height, struct tally *tally)
{
    const double width = place->src_width / place->dst_width, cell = width * height;
    for (int i = 0; i < place->dst_width; i++) {
        double from = place->src_x + i * width;
        double area = sum_to(sums, before, roi->width, from + width) -
                      sum_to(sums, before, roi->width, from);
        out[i] = 2 * area >= cell * (1 - 1e-9);
        tally->inside += out[i];
        tally->seen += area;
    }
    tally->shown += place->dst_width;
}

/* room: two rows of the image */
static struct tally place_rows(const struct sal_roi *roi, const struct sal_placement *place,
                               int stride, double *room, uint8_t *mask)
{
    struct tally tally = {0};
    const double height = place->src_height / place->dst_height;
    double *sums = room, *before = room + roi->width;
    for (int j = 0; j < place->dst_height; j++) {
        double from = place->src_y + j * height;
        sum_rows(roi, from, from + height, sums);
        before[0] = 0;
        for (int x = 1; x < roi->width; x++)
            before[x] = before[x - 1] + sums[x - 1];
        place_row(roi, place, sums, before,
                  mask + (size_t)(place->dst_y + j) * (size_t)stride + place->dst_x, height,
                  &tally);
    }
    return tally;
}

enum sal_status sal_roi_place(const struct sal_roi *roi, const struct sal_preprocessing *spec,
                              uint8_t *mask, struct sal_error *err)
{
    struct sal_placement place = sal_placement_of(roi->width, roi->height, spec->width,
                                                  spec->height, spec->fit);
    double *room = calloc(2 * (size_t)roi->width, sizeof(*room));
    if (!room)
        return sal_fail(err, SAL_LIMIT, "no memory for a region of %d x %d", roi->width,
                        roi->height);
    memset(mask, 0, (size_t)spec->width * (size_t)spec->height);
    struct tally tally = place_rows(roi, &place, spec->width, room, mask);
    free(room);
    if (!(tally.seen > 1e-6))
        return sal_fail(err, SAL_USAGE,
                        "the region lies where preprocessing crops: the network sees none of it");
    if (!tally.inside)
        return sal_fail(err, SAL_USAGE,
                        "the region is too small: on the network's grid of %d x %d it covers "
                        "half of no pixel",
                        spec->width, spec->height);
    if (tally.inside == tally.shown)
        return sal_fail(err, SAL_USAGE,
                        "the region covers all that the network sees of the image: nothing is "
                        "outside of it");
    return SAL_OK;
}
