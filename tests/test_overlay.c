#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "overlay_draw.h"
#include "saliscope/overlay.h"

enum { SIDE = 24, PIXELS = SIDE * SIDE };

static struct sal_image image_of(uint16_t *samples, int width, int height, int channels,
                                 unsigned max)
{
    return (struct sal_image){.width = width, .height = height, .channels = channels,
                              .bits = 16, .max = max, .samples = samples};
}

static struct sal_picture resized(const struct sal_image *image, int width, int height)
{
    struct sal_picture picture = {0};
    assert_int_equal(sal_picture_from_image(&picture, image, width, height, NULL), SAL_OK);
    return picture;
}

static uint16_t noise(unsigned *seed, unsigned max)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (uint16_t)((*seed >> 8) % (max + 1));
}

static void same_size_keeps_eight_bit_samples(void **state)
{
    (void)state;
    uint16_t samples[16 * 16 * 3];
    for (int i = 0; i < 16 * 16 * 3; i++)
        samples[i] = (uint16_t)(i * 7 % 256);
    struct sal_image image = image_of(samples, 16, 16, 3, 255);
    struct sal_picture picture = resized(&image, 16, 16);
    for (int i = 0; i < 16 * 16 * 3; i++)
        assert_int_equal(picture.rgb[i], samples[i]);
    sal_picture_release(&picture);
    assert_null(picture.rgb);
}

static void twelve_bit_grey_is_scaled_and_copied_to_three(void **state)
{
    (void)state;
    uint16_t samples[4] = {0, 1, 2048, 4095};
    struct sal_image image = image_of(samples, 2, 2, 1, 4095);
    struct sal_picture picture = resized(&image, 2, 2);
    static const uint8_t expected[4] = {0, 0, 128, 255};
    for (int i = 0; i < 12; i++)
        assert_int_equal(picture.rgb[i], expected[i / 3]);
    sal_picture_release(&picture);
}

static void alpha_lies_over_black(void **state)
{
    (void)state;
    uint16_t rgba[8] = {200, 100, 50, 255, 200, 100, 50, 51};
    struct sal_image image = image_of(rgba, 2, 1, 4, 255);
    struct sal_picture picture = resized(&image, 2, 1);
    static const uint8_t expected[6] = {200, 100, 50, 40, 20, 10};
    assert_memory_equal(picture.rgb, expected, 6);
    sal_picture_release(&picture);
    uint16_t grey[4] = {65535, 65535, 65535, 0};
    image = image_of(grey, 2, 1, 2, 65535);
    picture = resized(&image, 1, 1);
    assert_int_equal(picture.rgb[0], 128);
    sal_picture_release(&picture);
}

/* Exact in whole numbers: the mean of n x m samples, rounded half up. */
static void assert_block_means(const struct sal_image *image, int n, int m)
{
    int width = image->width / n, height = image->height / m;
    struct sal_picture picture = resized(image, width, height);
    for (int i = 0; i < width * height; i++) {
        uint64_t sum = 0;
        for (int k = 0; k < n * m; k++)
            sum += image->samples[(i / width * m + k / n) * image->width +
                                  i % width * n + k % n];
        uint64_t whole = (uint64_t)image->max * (unsigned)(n * m);
        assert_int_equal(picture.rgb[3 * i], (2 * 255 * sum + whole) / (2 * whole));
    }
    sal_picture_release(&picture);
}

static void whole_ratios_give_exact_means(void **state)
{
    (void)state;
    static const int ratio[][2] = {{1, 1}, {2, 2}, {3, 3}, {4, 1}, {1, 4}, {7, 5}, {8, 8}};
    static const unsigned white[] = {255, 4095, 65535};
    static uint16_t samples[840 * 840];
    unsigned seed = 1;
    for (int w = 0; w < 3; w++) {
        for (int i = 0; i < 840 * 840; i++)
            samples[i] = noise(&seed, white[w]);
        struct sal_image image = image_of(samples, 840, 840, 1, white[w]);
        for (size_t k = 0; k < sizeof(ratio) / sizeof(*ratio); k++)
            assert_block_means(&image, ratio[k][0], ratio[k][1]);
    }
}

/* Naive: every sample weighs as much as its square overlaps the target's. */
static double overlap(int i, int target, int k, int source)
{
    double scale = (double)source / target;
    return fmax(0, fmin((i + 1) * scale, k + 1) - fmax(i * scale, k)) / scale;
}

static void uneven_ratios_agree_with_naive_area_average(void **state)
{
    (void)state;
    uint16_t samples[31 * 29];
    unsigned seed = 2;
    for (int i = 0; i < 31 * 29; i++)
        samples[i] = noise(&seed, 255);
    struct sal_image image = image_of(samples, 31, 29, 1, 255);
    struct sal_picture picture = resized(&image, 13, 8);
    for (int i = 0; i < 13 * 8; i++) {
        double sum = 0;
        for (int k = 0; k < 31 * 29; k++)
            sum += overlap(i % 13, 13, k % 31, 31) * overlap(i / 13, 8, k / 31, 29) *
                   samples[k];
        assert_true(fabs(picture.rgb[3 * i] - sum) <= 0.5 + 1e-9);
    }
    sal_picture_release(&picture);
}

static double linear_at(const uint16_t *row, int n, double x)
{
    x = fmin(fmax(x, 0), n - 1);
    int k = (int)x < n - 1 ? (int)x : n - 2;
    return row[k] + (x - k) * (row[k + 1] - row[k]);
}

static void enlarging_is_bilinear_about_pixel_centres(void **state)
{
    (void)state;
    uint16_t samples[6] = {0, 200, 40, 255, 90, 10};
    struct sal_image image = image_of(samples, 6, 1, 1, 255);
    struct sal_picture picture = resized(&image, 25, 3);
    for (int i = 0; i < 75; i++) {
        double expected = linear_at(samples, 6, (i % 25 + 0.5) * 6 / 25 - 0.5);
        assert_true(fabs(picture.rgb[3 * i] - expected) <= 0.5 + 1e-9);
    }
    sal_picture_release(&picture);
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    struct sal_picture picture = {0};
    struct sal_error err = {0};
    assert_int_equal(sal_picture_init(&picture, 0, 5, &err), SAL_LIMIT);
    assert_int_equal(sal_picture_init(&picture, 5, -1, NULL), SAL_LIMIT);
    assert_int_equal(sal_picture_init(&picture, 32768, 32768, &err), SAL_LIMIT);
    assert_non_null(strstr(err.text, "32768 x 32768"));
    assert_null(picture.rgb);
}

static void assert_range(struct sal_range range, double low, double high)
{
    assert_true(range.low == low && range.high == high);
}

static void ranges_follow_their_mode(void **state)
{
    (void)state;
    static const float values[5] = {-1, 3, NAN, INFINITY, 2};
    struct sal_range given = {-9, 4};
    assert_range(sal_range_of(values, 5, false, SAL_RANGE_MAP, given), 0, 3);
    assert_range(sal_range_of(values, 5, true, SAL_RANGE_MAP, given), -1, 3);
    assert_range(sal_range_of(values, 5, true, SAL_RANGE_SYMMETRIC, given), -3, 3);
    assert_range(sal_range_of(values, 1, true, SAL_RANGE_SYMMETRIC, given), -1, 1);
    assert_range(sal_range_of(values, 5, true, SAL_RANGE_FIXED, given), -9, 4);
    assert_range(sal_range_of(values, 1, false, SAL_RANGE_MAP, given), 0, 0);
    assert_range(sal_range_of(values + 2, 1, true, SAL_RANGE_SYMMETRIC, given), 0, 0);
    assert_range(sal_range_of(values, 0, false, SAL_RANGE_MAP, given), 0, 0);
}

/* 100 values from -0.1 to 9.8 and a stray one on either side. */
static void a_percentile_leaves_out_what_is_far_from_zero(void **state)
{
    (void)state;
    float values[103];
    struct sal_range given = {.high = 98};
    for (int i = 0; i < 100; i++)
        values[i] = (float)(i - 1) / 10;
    values[100] = -70;
    values[101] = 80;
    values[102] = NAN;
    struct sal_range range = sal_range_of(values, 103, true, SAL_RANGE_PERCENTILE, given);
    assert_range(range, -(double)values[99], (double)values[99]);
    assert_true(fabs(sal_range_above(values, 103, range) - 1.0 / 103) < 1e-12);
    assert_true(fabs(sal_range_below(values, 103, range) - 1.0 / 103) < 1e-12);
    range = sal_range_of(values, 100, true, SAL_RANGE_PERCENTILE, given);
    assert_range(range, (double)values[0], (double)values[97]);
    range = sal_range_of(values, 103, false, SAL_RANGE_PERCENTILE, given);
    assert_range(range, 0, (double)values[99]);
    given.high = 100;
    assert_range(sal_range_of(values, 103, true, SAL_RANGE_PERCENTILE, given), -70, 80);
    static const float sparse[200] = {[7] = 5, [9] = -1};
    given.high = 98;
    assert_range(sal_range_of(sparse, 200, true, SAL_RANGE_PERCENTILE, given), -1, 5);
    assert_range(sal_range_of(sparse, 0, true, SAL_RANGE_PERCENTILE, given), 0, 0);
}

static void diverging_maps_keep_zero_in_the_middle(void **state)
{
    (void)state;
    const struct sal_colormap *map = sal_colormap_default(true);
    struct sal_range range = {-1, 4};
    assert_true(sal_overlay_position(map, range, 0) == 0.5);
    assert_true(sal_overlay_position(map, range, 4) == 1);
    assert_true(sal_overlay_position(map, range, -1) == 0.375);
    assert_true(sal_overlay_position(map, range, -9) == 0);
    map = sal_colormap_default(false);
    assert_true(sal_overlay_position(map, range, -1) == 0);
    assert_true(sal_overlay_position(map, range, 1.5) == 0.5);
    assert_true(isnan(sal_overlay_position(map, range, (double)NAN)));
}

/* A grey square and a map to lay over it. */
struct fixture {
    struct sal_picture picture;
    float values[PIXELS];
    struct sal_overlay overlay;
};

static int open_fixture(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (!f || sal_picture_init(&f->picture, SIDE, SIDE, NULL))
        return -1;
    memset(f->picture.rgb, 100, 3 * PIXELS);
    for (int i = 0; i < PIXELS; i++)
        f->values[i] = (float)i / (PIXELS - 1);
    f->overlay = (struct sal_overlay){sal_colormap_default(false), {0, 1}, 1, false, 0};
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    sal_picture_release(&f->picture);
    free(f);
    return 0;
}

static void opaque_overlay_shows_the_colours_of_the_map(void **state)
{
    struct fixture *f = *state;
    sal_overlay_draw(&f->overlay, &f->picture, f->values);
    for (int i = 0; i < PIXELS; i++) {
        uint8_t rgb[3];
        sal_colormap_at(f->overlay.colormap, (double)f->values[i], rgb);
        assert_memory_equal(f->picture.rgb + 3 * i, rgb, 3);
    }
}

static void alpha_mixes_map_and_image(void **state)
{
    struct fixture *f = *state;
    f->overlay.alpha = 0.25;
    sal_overlay_draw(&f->overlay, &f->picture, f->values);
    for (int i = 0; i < PIXELS; i++) {
        uint8_t rgb[3];
        sal_colormap_at(f->overlay.colormap, (double)f->values[i], rgb);
        for (int c = 0; c < 3; c++)
            assert_true(fabs(f->picture.rgb[3 * i + c] - (75 + 0.25 * rgb[c])) <= 0.5);
    }
}

static void alpha_by_value_leaves_zero_and_tints_both_signs(void **state)
{
    struct fixture *f = *state;
    f->overlay = (struct sal_overlay){sal_colormap_default(true), {-2, 2}, 1, true, 0};
    f->values[0] = 0;
    f->values[1] = -2;
    f->values[2] = 1;
    sal_overlay_draw(&f->overlay, &f->picture, f->values);
    uint8_t rgb[3];
    assert_memory_equal(f->picture.rgb, "ddd", 3);
    assert_memory_equal(f->picture.rgb + 3, sal_colormap_default(true)->rgb[0], 3);
    sal_colormap_at(f->overlay.colormap, 0.75, rgb);
    for (int c = 0; c < 3; c++)
        assert_true(fabs(f->picture.rgb[6 + c] - (100 + rgb[c]) / 2.0) <= 0.5);
}

static void values_that_are_not_numbers_leave_the_image(void **state)
{
    struct fixture *f = *state;
    f->overlay.contour = 10;
    for (int i = 0; i < PIXELS; i++)
        f->values[i] = NAN;
    f->values[7] = INFINITY;
    f->values[8] = -INFINITY;
    f->overlay.alpha_by_value = true;
    sal_overlay_draw(&f->overlay, &f->picture, f->values);
    assert_memory_equal(f->picture.rgb, "ddd", 3);
    assert_memory_equal(f->picture.rgb + 3 * (PIXELS - 1), "ddd", 3);
}

static void blank_map_is_the_lowest_colour_without_contour(void **state)
{
    struct fixture *f = *state;
    memset(f->values, 0, sizeof(f->values));
    f->overlay.range = (struct sal_range){0, 0};
    f->overlay.contour = 20;
    sal_overlay_draw(&f->overlay, &f->picture, f->values);
    for (int i = 0; i < PIXELS; i++)
        assert_memory_equal(f->picture.rgb + 3 * i, f->overlay.colormap->rgb[0], 3);
    f->overlay.colormap = sal_colormap_default(true);
    sal_overlay_draw(&f->overlay, &f->picture, f->values);
    for (int i = 0; i < PIXELS; i++)
        assert_memory_equal(f->picture.rgb + 3 * i, f->overlay.colormap->rgb[128], 3);
}

static int descending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

static void threshold_agrees_with_sorting(void **state)
{
    (void)state;
    float values[500], sorted[500];
    unsigned seed = 3;
    for (int i = 0; i < 500; i++)
        sorted[i] = values[i] = ((float)noise(&seed, 65535) - 20000.0F) / 777.0F;
    qsort(sorted, 500, sizeof(*sorted), descending);
    for (int percent = 1; percent < 100; percent++)
        assert_true(sal_contour_threshold(values, 500, percent) ==
                    sorted[5 * percent - 1]);
}

static void threshold_passes_over_nan_and_ties_at_the_minimum(void **state)
{
    (void)state;
    static const float nans[4] = {NAN, 2, NAN, 1};
    assert_true(sal_contour_threshold(nans, 4, 50) == 2);
    assert_true(isnan(sal_contour_threshold(nans, 1, 50)));
    static const float relu[6] = {0, 0, 3, -0.0F, 0, 0.5F};
    float threshold = sal_contour_threshold(relu, 6, 90);
    assert_true(threshold > 0 && threshold <= 0.5F);
}

/* The inside of a square of high values is ringed by white, that ring by black, and
 * nothing else changes. */
static void contour_is_a_white_line_inside_and_a_black_one_outside(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < PIXELS; i++) {
        int x = i % SIDE, y = i / SIDE;
        f->values[i] = x >= 8 && x < 14 && y >= 8 && y < 14 ? 1 : 0;
    }
    f->overlay.alpha = 0;
    f->overlay.contour = 100.0 * 36 / PIXELS;
    sal_overlay_draw(&f->overlay, &f->picture, f->values);
    for (int i = 0; i < PIXELS; i++) {
        int x = abs(2 * (i % SIDE) - 21), y = abs(2 * (i / SIDE) - 21);
        int far = x > y ? x : y, near = x > y ? y : x;
        int expected = far == 5 ? 255 : far == 7 && near < 7 ? 0 : 100;
        assert_int_equal(f->picture.rgb[3 * i], expected);
    }
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_size_keeps_eight_bit_samples),
        cmocka_unit_test(twelve_bit_grey_is_scaled_and_copied_to_three),
        cmocka_unit_test(alpha_lies_over_black),
        cmocka_unit_test(whole_ratios_give_exact_means),
        cmocka_unit_test(uneven_ratios_agree_with_naive_area_average),
        cmocka_unit_test(enlarging_is_bilinear_about_pixel_centres),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(ranges_follow_their_mode),
        cmocka_unit_test(a_percentile_leaves_out_what_is_far_from_zero),
        cmocka_unit_test(diverging_maps_keep_zero_in_the_middle),
        WITH_FIXTURE(opaque_overlay_shows_the_colours_of_the_map),
        WITH_FIXTURE(alpha_mixes_map_and_image),
        WITH_FIXTURE(alpha_by_value_leaves_zero_and_tints_both_signs),
        WITH_FIXTURE(values_that_are_not_numbers_leave_the_image),
        WITH_FIXTURE(blank_map_is_the_lowest_colour_without_contour),
        cmocka_unit_test(threshold_agrees_with_sorting),
        cmocka_unit_test(threshold_passes_over_nan_and_ties_at_the_minimum),
        WITH_FIXTURE(contour_is_a_white_line_inside_and_a_black_one_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
