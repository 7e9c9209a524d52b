/* Resampling: level for level what OpenCV and Pillow make of the same pixels. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "data.h"
#include "saliscope/npy.h"
#include "saliscope/resample.h"

static const struct {
    enum sal_filter filter;
    bool antialias;
    int width, height;
    uint8_t levels[80];
} golden[] = { /* of a 7 x 5 image whose pixel i is 37 i mod 256; OpenCV 4, Pillow */
#include "golden_resample.h"
};

static struct sal_image ramp(void)
{
    struct sal_image image;
    assert_int_equal(sal_image_init(&image, 7, 5, 1, 8, NULL), SAL_OK);
    for (int i = 0; i < 35; i++)
        image.samples[i] = (uint16_t)(37 * i % 256);
    return image;
}

static void every_filter_is_its_librarys(void **state)
{
    (void)state;
    struct sal_image image = ramp();
    for (size_t i = 0; i < sizeof(golden) / sizeof(*golden); i++) {
        struct sal_preprocessing spec = {.channels = SAL_GRAY,
                                         .width = golden[i].width,
                                         .height = golden[i].height,
                                         .resize = golden[i].filter,
                                         .antialias = golden[i].antialias,
                                         .round = true};
        float plane[80];
        unsigned white;
        assert_int_equal(sal_image_resample(&image, &spec, plane, &white, NULL), SAL_OK);
        assert_int_equal(white, 255);
        for (int k = 0; k < spec.width * spec.height; k++)
            if (!(plane[k] == golden[i].levels[k]))
                fail_msg("%s%s to %d x %d: pixel %d is %g, not %d",
                         sal_filter_names[golden[i].filter],
                         golden[i].antialias ? " antialiased" : "", spec.width, spec.height,
                         k, (double)plane[k], golden[i].levels[k]);
    }
    sal_image_release(&image);
}

static void channels_come_in_the_order_asked(void **state)
{
    (void)state;
    struct sal_image image;
    assert_int_equal(sal_image_init(&image, 1, 1, 3, 16, NULL), SAL_OK);
    memcpy(image.samples, (uint16_t[]){60000, 500, 7}, 6);
    struct sal_preprocessing spec = {.width = 1, .height = 1};
    float p[3];
    unsigned white;
    spec.channels = SAL_RGB;
    assert_int_equal(sal_image_resample(&image, &spec, p, &white, NULL), SAL_OK);
    assert_true(p[0] == 60000 && p[1] == 500 && p[2] == 7 && white == 65535);
    spec.channels = SAL_BGR;
    assert_int_equal(sal_image_resample(&image, &spec, p, &white, NULL), SAL_OK);
    assert_true(p[0] == 7 && p[1] == 500 && p[2] == 60000);
    spec.channels = SAL_GRAY3;
    assert_int_equal(sal_image_resample(&image, &spec, p, &white, NULL), SAL_OK);
    assert_true(fabs((double)p[0] - (0.299 * 60000 + 0.587 * 500 + 0.114 * 7)) <= 1);
    assert_true(p[1] == p[0] && p[2] == p[0]);
    sal_image_release(&image);
}

static void crop_cuts_and_pad_leaves_black(void **state)
{
    (void)state;
    struct sal_placement crop = sal_placement_of(200, 100, 50, 50, SAL_CROP);
    assert_true(crop.src_x == 50 && crop.src_width == 100 && crop.src_height == 100);
    assert_true(crop.dst_width == 50 && crop.dst_height == 50);
    struct sal_placement pad = sal_placement_of(200, 100, 50, 50, SAL_PAD);
    assert_true(pad.src_width == 200 && pad.dst_height == 25 && pad.dst_y > 10);
    struct sal_image image = ramp();
    struct sal_preprocessing spec = {
        .channels = SAL_GRAY, .width = 14, .height = 20, .fit = SAL_PAD};
    float plane[14 * 20];
    unsigned white;
    assert_int_equal(sal_image_resample(&image, &spec, plane, &white, NULL), SAL_OK);
    assert_true(plane[0] == 0 && plane[14 * 20 - 1] == 0 && plane[14 * 10 + 5] > 0);
    sal_image_release(&image);
}

/* Every filter is an average: a flat image stays flat, at any size and fit. */
static void a_flat_image_stays_flat(void **state)
{
    (void)state;
    static const int sizes[][2] = {{1, 1}, {1, 40}, {29, 3}, {7, 5}, {14, 10}, {64, 48}};
    struct sal_image image = ramp();
    for (int i = 0; i < 35; i++)
        image.samples[i] = 100;
    float plane[64 * 48];
    unsigned white;
    for (int kind = 0; kind < 20; kind++)
        for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
            struct sal_preprocessing spec = {
                .channels = SAL_GRAY, .width = sizes[s][0], .height = sizes[s][1],
                .resize = (enum sal_filter)(kind % 5), .antialias = kind / 5 % 2,
                .round = kind / 10, .fit = s % 2 ? SAL_CROP : SAL_STRETCH};
            assert_int_equal(sal_image_resample(&image, &spec, plane, &white, NULL), SAL_OK);
            for (int i = 0; i < spec.width * spec.height; i++)
                if (!(fabsf(plane[i] - 100) <= (spec.round ? 0 : 1e-4f)))
                    fail_msg("%s, antialias %d, round %d, to %d x %d: %g",
                             sal_filter_names[spec.resize], spec.antialias, spec.round,
                             spec.width, spec.height, (double)plane[i]);
        }
    sal_image_release(&image);
}

/* At the image's own size every filter gives the image, to the last stored bit. */
static void sixteen_bits_pass_through(void **state)
{
    (void)state;
    struct sal_image image;
    assert_int_equal(sal_image_init(&image, 13, 11, 1, 16, NULL), SAL_OK);
    for (int i = 0; i < 13 * 11; i++)
        image.samples[i] = (uint16_t)(i * 457);
    float plane[13 * 11];
    unsigned white;
    for (int kind = 0; kind < 20; kind++) {
        struct sal_preprocessing spec = {
            .channels = SAL_GRAY, .width = 13, .height = 11,
            .resize = (enum sal_filter)(kind % 5), .antialias = kind / 5 % 2,
            .round = kind / 10};
        assert_int_equal(sal_image_resample(&image, &spec, plane, &white, NULL), SAL_OK);
        assert_int_equal(white, 65535);
        for (int i = 0; i < 13 * 11; i++)
            assert_true(fabsf(plane[i] - image.samples[i]) <= (spec.round ? 0 : 0.01f));
    }
    sal_image_release(&image);
}

static void halving_rounds_half_up_as_opencv_does(void **state)
{
    (void)state;
    struct sal_image image;
    assert_int_equal(sal_image_init(&image, 4, 2, 1, 8, NULL), SAL_OK);
    memcpy(image.samples, (uint16_t[]){0, 1, 3, 3, 1, 0, 2, 2}, 16);
    struct sal_preprocessing spec = {.channels = SAL_GRAY, .width = 2, .height = 1,
                                     .resize = SAL_BILINEAR, .round = true};
    float plane[2];
    unsigned white;
    assert_int_equal(sal_image_resample(&image, &spec, plane, &white, NULL), SAL_OK);
    assert_true(plane[0] == 1 && plane[1] == 3); /* of 0.5 and 2.5 */
    sal_image_release(&image);
}

static void alpha_is_composed_over_black(void **state)
{
    (void)state;
    struct sal_image image;
    assert_int_equal(sal_image_init(&image, 1, 1, 2, 8, NULL), SAL_OK);
    memcpy(image.samples, (uint16_t[]){200, 51}, 4);
    struct sal_preprocessing spec = {.channels = SAL_RGB, .width = 1, .height = 1};
    float p[3];
    unsigned white;
    assert_int_equal(sal_image_resample(&image, &spec, p, &white, NULL), SAL_OK);
    assert_true(p[0] == 40 && p[1] == 40 && p[2] == 40);
    sal_image_release(&image);
}

/* One bit a sample is black and white, with 254 greys between once it is blurred. */
static void few_bits_are_spread_before_rounding(void **state)
{
    (void)state;
    struct sal_image image;
    assert_int_equal(sal_image_init(&image, 2, 1, 1, 1, NULL), SAL_OK);
    image.samples[1] = 1;
    struct sal_preprocessing spec = {.channels = SAL_GRAY, .width = 3, .height = 1,
                                     .resize = SAL_BILINEAR, .antialias = true,
                                     .round = true};
    float plane[3];
    unsigned white;
    assert_int_equal(sal_image_resample(&image, &spec, plane, &white, NULL), SAL_OK);
    assert_true(white == 255 && plane[0] == 0 && plane[1] == 128 && plane[2] == 255);
    sal_image_release(&image);
}

static void an_impossible_size_is_refused(void **state)
{
    (void)state;
    struct sal_image image = ramp();
    struct sal_error err;
    struct sal_preprocessing spec = {.width = 0, .height = 4};
    unsigned white;
    assert_int_equal(sal_image_resample(&image, &spec, NULL, &white, &err), SAL_USAGE);
    assert_non_null(strstr(err.text, "0 x 4"));
    sal_image_release(&image);
}

static void maps_grow_as_align_corners_false(void **state)
{
    (void)state;
    float out[4];
    sal_plane_upsample((const float[]){0, 1}, 1, 2, out, 1, 4);
    static const float expected[] = {0, 0.25f, 0.75f, 1};
    for (int i = 0; i < 4; i++)
        assert_true(fabsf(out[i] - expected[i]) < 1e-6f);
    struct sal_placement half = {.src_x = 2, .src_width = 4, .src_height = 4,
                                 .dst_width = 2, .dst_height = 2};
    float image[8 * 4];
    sal_plane_to_image((const float[]){5, 5, 5, 5}, 2, 2, &half, image, 4, 8);
    assert_true(image[0] == 0 && image[3] == 5 && image[7] == 0);
}

static void a_map_and_its_image_agree_on_where_things_are(void **state)
{
    (void)state;
    /* A 4 x 4 map, of which the middle two rows carry an image twice as wide. */
    float map[16], out[32], up[32];
    for (int i = 0; i < 16; i++)
        map[i] = (float)(i % 4) + (i < 4 || i >= 12 ? 1000 : 0);
    struct sal_placement place = sal_placement_of(8, 4, 4, 4, SAL_PAD);
    sal_plane_to_image(map, 4, 4, &place, out, 4, 8);
    for (int y = 0; y < 4; y++) { /* the padding does not bleed in */
        assert_true(out[y * 8] == 0 && out[y * 8 + 7] == 3);
        assert_true(fabsf(out[y * 8 + 3] - 1.25f) < 1e-6f);
    }
    place = sal_placement_of(8, 4, 4, 4, SAL_CROP); /* what was cut off has no value */
    sal_plane_to_image(map, 4, 4, &place, out, 4, 8);
    assert_true(out[1] == 0 && out[6] == 0 && out[2] == 1000 && out[5] == 1003);
    place = sal_placement_of(8, 4, 4, 4, SAL_STRETCH);
    sal_plane_to_image(map, 4, 4, &place, out, 4, 8);
    sal_plane_upsample(map, 4, 4, up, 4, 8);
    for (int i = 0; i < 32; i++)
        assert_true(fabsf(out[i] - up[i]) < 1e-4f);
}

/* ---- recorded inputs ----------------------------------------------------------------- */

static void compare_case(const json_t *record)
{
    char path[512], relative[512];
    struct sal_image image, input;
    const char *how = json_string_value(json_object_get(record, "resize"));
    snprintf(relative, sizeof(relative), "refs/%s",
             json_string_value(json_object_get(record, "input_png")));
    assert_true(shared_data(relative, path, sizeof(path)));
    assert_int_equal(sal_image_load(&input, path, SAL_SANDBOX_BEST, NULL), SAL_OK);
    if (!shared_data(json_string_value(json_object_get(record, "image")), path, sizeof(path)))
        return;
    assert_int_equal(sal_image_load(&image, path, SAL_SANDBOX_BEST, NULL), SAL_OK);
    struct sal_preprocessing spec = {
        .channels = strstr(how, "PIL L") ? SAL_GRAY : SAL_RGB,
        .width = input.width,
        .height = input.height,
        .resize = SAL_BILINEAR,
        .antialias = strncmp(how, "PIL", 3) == 0,
        .round = true,
    };
    long n = (long)input.width * input.height, exact = 0;
    float *planes = calloc(3 * (size_t)n, sizeof(*planes));
    unsigned white;
    assert_int_equal(sal_image_resample(&image, &spec, planes, &white, NULL), SAL_OK);
    double most = 0;
    for (long i = 0; i < n; i++)
        for (int c = 0; c < input.channels; c++) {
            float ours = planes[(spec.channels == SAL_GRAY ? 0 : c) * n + i];
            double d = fabs((double)ours - input.samples[i * input.channels + c]);
            most = fmax(most, d);
            exact += d == 0;
        }
    print_message("%-55s %.4f exact, at most %g\n",
                  json_string_value(json_object_get(record, "case")),
                  (double)exact / (double)(n * input.channels), most);
    assert_true(most <= 1); /* JPEG decoders may differ by a level before it is resized */
    free(planes);
    sal_image_release(&image);
    sal_image_release(&input);
}

static bool load_array(struct sal_npy *array, const json_t *record, const char *name)
{
    char relative[512], path[512];
    struct sal_file file;
    snprintf(relative, sizeof(relative), "refs/%s/%s.npy",
             json_string_value(json_object_get(record, "case")), name);
    if (!shared_data(relative, path, sizeof(path)))
        return false;
    assert_int_equal(sal_file_read(&file, path, 1 << 24, NULL), SAL_OK);
    assert_int_equal(sal_npy_decode(array, file.bytes, path, NULL), SAL_OK);
    sal_file_close(&file);
    return true;
}

static void compare_map(const json_t *record)
{
    struct sal_npy small, large;
    if (!load_array(&small, record, "gradcam"))
        return;
    assert_true(load_array(&large, record, "gradcam_upsampled"));
    float *out = calloc((size_t)large.count, sizeof(*out)), most = 0;
    sal_plane_upsample(small.data, (int)small.shape[0], (int)small.shape[1], out,
                       (int)large.shape[0], (int)large.shape[1]);
    for (int64_t i = 0; i < large.count; i++)
        most = fmaxf(most, fabsf(large.data[i]));
    for (int64_t i = 0; i < large.count; i++)
        assert_true(fabsf(out[i] - large.data[i]) <= 1e-5f * most);
    free(out);
    sal_npy_release(&small);
    sal_npy_release(&large);
}

static void recorded_maps_are_upsampled_again(void **state)
{
    (void)state;
    char path[512];
    if (!shared_data("refs/manifest.json", path, sizeof(path)))
        skip();
    json_t *manifest = json_load_file(path, 0, NULL), *record;
    size_t i;
    json_array_foreach(manifest, i, record)
        compare_map(record);
    json_decref(manifest);
}

static void recorded_inputs_are_made_again(void **state)
{
    (void)state;
    char path[512];
    if (!shared_data("refs/manifest.json", path, sizeof(path)))
        skip();
    json_t *manifest = json_load_file(path, 0, NULL), *record;
    size_t i;
    json_array_foreach(manifest, i, record)
        compare_case(record);
    json_decref(manifest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_filter_is_its_librarys),
        cmocka_unit_test(channels_come_in_the_order_asked),
        cmocka_unit_test(crop_cuts_and_pad_leaves_black),
        cmocka_unit_test(a_flat_image_stays_flat),
        cmocka_unit_test(sixteen_bits_pass_through),
        cmocka_unit_test(halving_rounds_half_up_as_opencv_does),
        cmocka_unit_test(alpha_is_composed_over_black),
        cmocka_unit_test(few_bits_are_spread_before_rounding),
        cmocka_unit_test(an_impossible_size_is_refused),
        cmocka_unit_test(maps_grow_as_align_corners_false),
        cmocka_unit_test(a_map_and_its_image_agree_on_where_things_are),
        cmocka_unit_test(recorded_inputs_are_made_again),
        cmocka_unit_test(recorded_maps_are_upsampled_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
