/* Regions of interest: how they are given, and where they lie on the network's grid. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "image_build.h"
#include "random.h"
#include "saliscope/resample.h"
#include "saliscope/roi.h"
#include "saliscope/sha256.h"

/* A mask in a file; unlink() path. */
static void save_mask(char path[64], const uint16_t *samples, int width, int height,
                      int channels, int bits)
{
    struct sal_buffer file = {0};
    build_png(&file, samples, width, height, channels, bits);
    snprintf(path, 64, "/tmp/saliscope-roi-XXXXXX.png");
    int fd = mkstemps(path, 4);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, file.data, file.size), (ssize_t)file.size);
    close(fd);
    sal_buffer_release(&file);
}

static struct sal_roi region(int width, int height, const char *a, const char *b)
{
    const char *parts[] = {a, b};
    struct sal_roi roi;
    struct sal_error err = {0};
    if (sal_roi_read(&roi, parts, b ? 2 : 1, width, height, SAL_SANDBOX_OFF, &err))
        fail_msg("%s", err.text);
    return roi;
}

/* ---- reading ------------------------------------------------------------------------------- */

static void several_parts_are_a_union(void **state)
{
    (void)state;
    struct sal_roi roi = region(9, 7, "1,2,3,4", "3,0,6,3");
    int64_t area = 0;
    for (int y = 0; y < 7; y++)
        for (int x = 0; x < 9; x++) {
            bool first = x >= 1 && x < 4 && y >= 2 && y < 6, second = x >= 3 && y < 3;
            assert_int_equal(roi.inside[y * 9 + x], first || second);
            area += first || second;
        }
    assert_int_equal(roi.area, area);
    sal_roi_release(&roi);
}

/* Whatever the mask's kind, and by rectangle or by mask. */
static void the_same_region_has_the_same_sum(void **state)
{
    (void)state;
    struct sal_roi want = region(9, 7, "2,1,4,3", NULL);
    char sum[65];
    sal_sha256_hex(want.inside, 63, sum);
    assert_string_equal(sum, want.sha256);
    static const struct {
        int channels, bits;
    } kinds[] = {{1, 8}, {1, 1}, {1, 16}, {3, 8}, {2, 8}, {4, 8}};
    for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
        const int channels = kinds[k].channels;
        uint16_t samples[63 * 4] = {0};
        char path[64];
        for (int i = 0; i < 63; i++) {
            int x = i % 9, y = i / 9;
            bool in = x >= 2 && x < 6 && y >= 1 && y < 4;
            samples[i * channels + (channels > 2 ? i % 3 : 0)] =
                in;                  /* the least there is */
            if (channels % 2 == 0) { /* what cannot be seen is not inside */
                samples[i * channels + channels - 1] =
                    (uint16_t)(in ? 255 : i % 2 * 255);
                samples[i * channels] |= !in && i % 2 == 0;
            }
        }
        save_mask(path, samples, 9, 7, channels, kinds[k].bits);
        struct sal_roi got = region(9, 7, path, NULL);
        assert_string_equal(got.sha256, want.sha256);
        assert_int_equal(got.area, 12);
        sal_roi_release(&got);
        unlink(path);
    }
    sal_roi_release(&want);
}

static void what_is_no_region_is_refused_in_a_line(void **state)
{
    (void)state;
    static const uint16_t dark[6] = {0}, lit[6] = {1, 0, 0, 0, 0, 0};
    char small[64], black[64];
    save_mask(small, lit, 3, 2, 1, 8);
    save_mask(black, dark, 2, 3, 1, 8);
    const struct {
        const char *part;
        int width, height;
        enum sal_status status;
        const char *words;
    } cases[] = {
        {"1,2,3", 9, 7, SAL_USAGE, "X,Y,W,H in whole pixels, not '1,2,3'"},
        {"1,2,3,4,5", 9, 7, SAL_USAGE, "not '1,2,3,4,5'"},
        {"1.5,2,3,4", 9, 7, SAL_USAGE, "not '1.5,2,3,4'"},
        {"1,2,0,4", 9, 7, SAL_USAGE, "1,2,0,4 is empty"},
        {"1,2,3,-1", 9, 7, SAL_USAGE, "1,2,3,-1 is empty"},
        {"-1,2,3,1", 9, 7, SAL_USAGE, "beyond the image, which is 9 x 7"},
        {"7,2,3,1", 9, 7, SAL_USAGE, "beyond the image"},
        {"1,6,3,2", 9, 7, SAL_USAGE, "beyond the image"},
        {"9,0,1,1", 9, 7, SAL_USAGE, "beyond the image"},
        {"0,0,99999999999,1", 9, 7, SAL_USAGE, "beyond the image"},
        {"0,0,9,7", 9, 7, SAL_USAGE, "nothing is outside"},
        {"nowhere.png", 9, 7, SAL_BAD_INPUT, "nowhere.png"},
        {small, 9, 7, SAL_BAD_INPUT, "this mask is 3 x 2 and the image 9 x 7"},
        {black, 2, 3, SAL_BAD_INPUT, "marks nothing"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct sal_roi roi;
        struct sal_error err = {0};
        assert_int_equal(sal_roi_read(&roi, &cases[i].part, 1, cases[i].width,
                                      cases[i].height, SAL_SANDBOX_OFF, &err),
                         cases[i].status);
        if (!strstr(err.text, cases[i].words) || strchr(err.text, '\n'))
            fail_msg("%s: '%s' is not in '%s'", cases[i].part, cases[i].words,
                     err.text);
    }
    unlink(small);
    unlink(black);
}

/* ---- on the grid --------------------------------------------------------------------------- */

static double overlap(double a, double b, double c, double d)
{
    double from = a > c ? a : c, to = b < d ? b : d;
    return to > from ? to - from : 0;
}

/* The share of grid pixel (i, j) that the region covers, pixel by pixel of the image.
 */
static double share_of(const struct sal_roi *roi, const struct sal_placement *place,
                       int i, int j)
{
    double w = place->src_width / place->dst_width,
           h = place->src_height / place->dst_height;
    double left = place->src_x + i * w, top = place->src_y + j * h, area = 0;
    for (int y = 0; y < roi->height; y++)
        for (int x = 0; x < roi->width; x++)
            if (roi->inside[y * roi->width + x])
                area +=
                    overlap(left, left + w, x, x + 1) * overlap(top, top + h, y, y + 1);
    return area / (w * h);
}

static struct sal_roi random_region(int width, int height, uint64_t *state)
{
    char a[64], b[64];
    char *texts[] = {a, b};
    for (int k = 0; k < 2; k++) {
        int w = 1 + (int)(test_random(state) * (width - 1)),
            h = 1 + (int)(test_random(state) * (height - 1));
        snprintf(texts[k], 64, "%d,%d,%d,%d",
                 (int)(test_random(state) * (width - w + 1)),
                 (int)(test_random(state) * (height - h + 1)), w, h);
    }
    return region(width, height, a, b);
}

/* Stretched, cropped, padded; enlarged and shrunk, of images of any shape. */
static void a_pixel_is_inside_where_half_of_it_is(void **state)
{
    (void)state;
    uint64_t draws = 3;
    int placed = 0;
    for (int round = 0; round < 240; round++) {
        int width = 2 + (int)(test_random(&draws) * 30),
            height = 2 + (int)(test_random(&draws) * 30);
        struct sal_preprocessing spec = {.width = 2 + (int)(test_random(&draws) * 20),
                                         .height = 2 + (int)(test_random(&draws) * 20),
                                         .fit = (enum sal_fit)(round % 3)};
        struct sal_roi roi = random_region(width, height, &draws);
        struct sal_placement place =
            sal_placement_of(width, height, spec.width, spec.height, spec.fit);
        uint8_t mask[22 * 22];
        if (!sal_roi_place(&roi, &spec, mask, NULL)) {
            placed++;
            for (int y = 0; y < spec.height; y++)
                for (int x = 0; x < spec.width; x++) {
                    int i = x - place.dst_x, j = y - place.dst_y;
                    bool shown =
                        i >= 0 && i < place.dst_width && j >= 0 && j < place.dst_height;
                    double share = shown ? share_of(&roi, &place, i, j) : 0;
                    if (fabs(share - 0.5) > 1e-9 || !shown)
                        assert_int_equal(mask[y * spec.width + x], share > 0.5);
                }
        }
        sal_roi_release(&roi);
    }
    assert_true(placed > 120);
}

/* The region as an image goes where preprocessing puts it, by the filter that weighs
 * areas. */
static void a_region_lies_where_preprocessing_puts_it(void **state)
{
    (void)state;
    static const int sizes[][4] = {{40, 40, 10, 10}, {60, 30, 12, 10}, {31, 57, 11, 9}};
    uint64_t draws = 9;
    for (int round = 0; round < 60; round++) {
        const int *s = sizes[round % 3];
        struct sal_preprocessing spec = {.width = s[2],
                                         .height = s[3],
                                         .channels = SAL_GRAY,
                                         .resize = SAL_AREA,
                                         .fit = (enum sal_fit)(round / 3 % 3)};
        struct sal_roi roi = random_region(s[0], s[1], &draws);
        struct sal_image image;
        assert_int_equal(sal_image_init(&image, s[0], s[1], 1, 8, NULL), SAL_OK);
        for (int i = 0; i < s[0] * s[1]; i++)
            image.samples[i] = roi.inside[i] ? 255 : 0;
        float plane[120];
        uint8_t mask[120];
        unsigned white;
        assert_int_equal(sal_image_resample(&image, &spec, plane, &white, NULL),
                         SAL_OK);
        int all = 0;
        for (int i = 0; i < s[2] * s[3]; i++)
            all += fabs((double)plane[i] / 255 - 0.5) > 0.01;
        if (!sal_roi_place(&roi, &spec, mask, NULL)) {
            for (int i = 0; i < s[2] * s[3]; i++)
                if (fabs((double)plane[i] / 255 - 0.5) > 0.01)
                    assert_int_equal(mask[i], plane[i] > 127);
            assert_true(all > s[2] * s[3] / 2);
        }
        sal_image_release(&image);
        sal_roi_release(&roi);
    }
}

static void what_the_network_does_not_see_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *part;
        enum sal_fit fit;
        const char *words; /* NULL: it is there */
    } cases[] = {
        {"0,0,20,100", SAL_STRETCH, NULL},
        {"0,0,20,100", SAL_PAD, NULL},
        {"0,0,50,100", SAL_CROP, "preprocessing crops"},
        {"0,0,52,100", SAL_CROP, "too small"},
        {"0,0,55,100", SAL_CROP, NULL},
        {"50,0,100,100", SAL_CROP, "covers all that the network sees"},
        {"50,0,100,100", SAL_PAD, NULL},
        {"60,50,1,1", SAL_STRETCH, "too small: on the network's grid of 10 x 10"},
        {"60,50,10,5", SAL_STRETCH, "too small"},
        {"60,50,20,5", SAL_STRETCH, NULL}, /* exactly half of one */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct sal_roi roi = region(200, 100, cases[i].part, NULL);
        struct sal_preprocessing spec = {
            .width = 10, .height = 10, .fit = cases[i].fit};
        uint8_t mask[100];
        struct sal_error err = {0};
        enum sal_status status = sal_roi_place(&roi, &spec, mask, &err);
        assert_int_equal(status, cases[i].words ? SAL_USAGE : SAL_OK);
        if (cases[i].words && !strstr(err.text, cases[i].words))
            fail_msg("%s: '%s' is not in '%s'", cases[i].part, cases[i].words,
                     err.text);
        sal_roi_release(&roi);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_parts_are_a_union),
        cmocka_unit_test(the_same_region_has_the_same_sum),
        cmocka_unit_test(what_is_no_region_is_refused_in_a_line),
        cmocka_unit_test(a_pixel_is_inside_where_half_of_it_is),
        cmocka_unit_test(a_region_lies_where_preprocessing_puts_it),
        cmocka_unit_test(what_the_network_does_not_see_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
