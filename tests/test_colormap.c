#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "saliscope/colormap.h"

static double linear(uint8_t v)
{
    double s = v / 255.0;
    return s <= 0.04045 ? s / 12.92 : pow((s + 0.055) / 1.055, 2.4);
}

/* CIE lightness, 0..100. */
static double lightness(const uint8_t rgb[3])
{
    double y = 0.2126 * linear(rgb[0]) + 0.7152 * linear(rgb[1]) +
               0.0722 * linear(rgb[2]);
    return y > 0.008856 ? 116 * cbrt(y) - 16 : 903.3 * y;
}

static void assert_rgb(const char *name, double t, int r, int g, int b)
{
    uint8_t rgb[3];
    sal_colormap_at(sal_colormap_find(name), t, rgb);
    assert_int_equal(rgb[0] << 16 | rgb[1] << 8 | rgb[2], r << 16 | g << 8 | b);
}

static void tables_end_in_the_published_colours(void **state)
{
    (void)state;
    assert_rgb("viridis", 0, 0x44, 0x01, 0x54);
    assert_rgb("viridis", 1, 0xfd, 0xe7, 0x25);
    assert_rgb("inferno", 0, 0x00, 0x00, 0x04);
    assert_rgb("inferno", 1, 0xfc, 0xff, 0xa4);
    assert_rgb("magma", 1, 0xfc, 0xfd, 0xbf);
    assert_rgb("cividis", 0, 0x00, 0x22, 0x4e);
    assert_rgb("cividis", 1, 0xfe, 0xe8, 0x38);
    assert_rgb("turbo", 0, 0x30, 0x12, 0x3b);
    assert_rgb("turbo", 1, 0x7a, 0x04, 0x03);
    assert_rgb("jet", 0, 0, 0, 0x80);
    assert_rgb("jet", 1, 0x80, 0, 0);
    assert_rgb("RdBu_r", 0, 0x05, 0x30, 0x61);
    assert_rgb("RdBu_r", 1, 0x67, 0x00, 0x1f);
    assert_rgb("coolwarm", 0, 0x3b, 0x4c, 0xc0);
    assert_rgb("coolwarm", 1, 0xb4, 0x04, 0x26);
}

static void gray_is_the_identity(void **state)
{
    (void)state;
    for (int i = 0; i < 256; i++)
        assert_rgb("gray", (i + 0.5) / 256, i, i, i);
}

/* Two colours four steps apart, because rounding to 8 bits may swap neighbours. */
static void perceptual_maps_only_get_lighter(void **state)
{
    (void)state;
    static const char *const names[] = {"viridis", "inferno", "magma", "cividis", "gray"};
    for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++) {
        const uint8_t(*rgb)[3] = sal_colormap_find(names[k])->rgb;
        for (int i = 0; i + 4 < 256; i++)
            assert_true(lightness(rgb[i + 4]) > lightness(rgb[i]));
    }
}

static void perceptual_maps_have_even_steps(void **state)
{
    (void)state;
    static const char *const names[] = {"viridis", "inferno", "magma", "cividis"};
    for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++) {
        const uint8_t(*rgb)[3] = sal_colormap_find(names[k])->rgb;
        double first = lightness(rgb[0]), whole = lightness(rgb[255]) - first;
        for (int i = 0; i < 256; i++)
            assert_true(fabs(lightness(rgb[i]) - first - whole * i / 255) < 6);
    }
}

static void diverging_maps_go_from_blue_through_pale_to_red(void **state)
{
    (void)state;
    for (const struct sal_colormap *map = sal_colormaps; map->name; map++) {
        if (!map->diverging)
            continue;
        const uint8_t(*rgb)[3] = map->rgb;
        assert_true(rgb[20][2] > rgb[20][0] + 60);
        assert_true(rgb[235][0] > rgb[235][2] + 60);
        assert_true(lightness(rgb[128]) > 85);
        for (int c = 0; c < 3; c++)
            assert_in_range(rgb[128][c], rgb[128][1] - 2, rgb[128][1] + 2);
        for (int i = 0; i + 4 < 128; i++)
            assert_true(lightness(rgb[i + 4]) > lightness(rgb[i]) &&
                        lightness(rgb[251 - i]) > lightness(rgb[255 - i]));
    }
}

static void defaults_are_the_first_of_their_kind(void **state)
{
    (void)state;
    assert_string_equal(sal_colormap_default(false)->name, "viridis");
    assert_ptr_equal(sal_colormap_default(false), &sal_colormaps[0]);
    assert_true(sal_colormap_default(true)->diverging);
    assert_string_equal(sal_colormap_default(true)->name, "RdBu_r");
}

static void find_knows_every_name_once_and_nothing_else(void **state)
{
    (void)state;
    for (const struct sal_colormap *map = sal_colormaps; map->name; map++) {
        assert_ptr_equal(sal_colormap_find(map->name), map);
        assert_non_null(map->title);
    }
    assert_ptr_equal(sal_colormap_find("rdbu_R"), sal_colormap_find("RdBu_r"));
    assert_null(sal_colormap_find("viridi"));
    assert_null(sal_colormap_find(""));
    assert_null(sal_colormap_find(NULL));
}

static void position_is_clamped_and_nan_is_grey(void **state)
{
    (void)state;
    assert_rgb("viridis", -7, 0x44, 0x01, 0x54);
    assert_rgb("viridis", -HUGE_VAL, 0x44, 0x01, 0x54);
    assert_rgb("viridis", HUGE_VAL, 0xfd, 0xe7, 0x25);
    assert_rgb("viridis", 1e300, 0xfd, 0xe7, 0x25);
    assert_rgb("viridis", (double)NAN, 128, 128, 128);
    assert_rgb("viridis", nextafter(1, 0), 0xfd, 0xe7, 0x25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_end_in_the_published_colours),
        cmocka_unit_test(gray_is_the_identity),
        cmocka_unit_test(perceptual_maps_only_get_lighter),
        cmocka_unit_test(perceptual_maps_have_even_steps),
        cmocka_unit_test(diverging_maps_go_from_blue_through_pale_to_red),
        cmocka_unit_test(defaults_are_the_first_of_their_kind),
        cmocka_unit_test(find_knows_every_name_once_and_nothing_else),
        cmocka_unit_test(position_is_clamped_and_nan_is_grey),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
