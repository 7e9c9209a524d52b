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
    assert_true(most <= 2); /* JPEG decoders differ by a level before it is resized */
    free(planes);
    sal_image_release(&image);
    sal_image_release(&input);
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

/* ---- arrays ----------------------------------------------------------------------------- */

static void arrays_are_read_as_written(void **state)
{
    (void)state;
    static const float values[] = {1, -2.5f, 3e-30f, 4, 5, 6};
    struct sal_buffer file = {0};
    struct sal_npy array;
    sal_npy_encode(&file, values, (const int64_t[]){3, 2}, 2);
    assert_int_equal((file.size - sizeof(values)) % 64, 0);
    assert_int_equal(
        sal_npy_decode(&array, (struct sal_span){file.data, file.size}, "a", NULL), SAL_OK);
    assert_int_equal(array.rank, 2);
    assert_int_equal(array.shape[0], 3);
    assert_memory_equal(array.data, values, sizeof(values));
    sal_npy_release(&array);
    for (size_t size = 0; size < file.size; size++) {
        uint8_t *copy = malloc(size + 1);
        memcpy(copy, file.data, size);
        if (!sal_npy_decode(&array, (struct sal_span){copy, size}, "a", NULL))
            fail_msg("%zu of %zu bytes were enough", size, file.size);
        free(copy);
    }
    for (size_t i = 0; i < 128; i++) {
        uint8_t kept = file.data[i];
        file.data[i] ^= 0x11;
        if (!sal_npy_decode(&array, (struct sal_span){file.data, file.size}, "a", NULL))
            sal_npy_release(&array);
        file.data[i] = kept;
    }
    sal_buffer_release(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_filter_is_its_librarys),
        cmocka_unit_test(channels_come_in_the_order_asked),
        cmocka_unit_test(crop_cuts_and_pad_leaves_black),
        cmocka_unit_test(maps_grow_as_align_corners_false),
        cmocka_unit_test(recorded_inputs_are_made_again),
        cmocka_unit_test(arrays_are_read_as_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
