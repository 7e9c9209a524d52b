#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "encoder.h"
#include "saliscope/cells.h"

static const struct sal_encoder *find(const char *name)
{
    const struct sal_encoder *e = sal_encoders;
    while (e->name && strcmp(e->name, name) != 0)
        e++;
    assert_non_null(e->name);
    return e;
}

/* A row of greys from black to white, height times. */
static struct sal_picture gradient(int width, int height)
{
    struct sal_picture picture = {0};
    assert_int_equal(sal_picture_init(&picture, width, height, NULL), SAL_OK);
    for (int i = 0; i < width * height; i++)
        memset(picture.rgb + 3 * i, 255 * (i % width) / (width - 1), 3);
    return picture;
}

static struct sal_cells encoded(const char *name, const struct sal_picture *picture,
                                enum sal_depth depth)
{
    struct sal_cells cells = {0};
    const struct sal_encoder *e = find(name);
    assert_int_equal(sal_encoder_run(e, picture, depth, e->unicode, &cells, NULL), SAL_OK);
    return cells;
}

/* The grid as text: a cell is its glyph, its colours in hexadecimal between. */
static void assert_grid(const struct sal_cells *cells, const char *expected)
{
    char text[4096] = "";
    size_t used = 0;
    for (int i = 0; i < cells->columns * cells->rows; i++) {
        const struct sal_cell *c = &cells->cell[i];
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%x:%x/%x%s", c->glyph,
                                 (unsigned)c->fg, (unsigned)c->bg,
                                 (i + 1) % cells->columns ? " " : "\n");
    }
    assert_string_equal(text, expected);
}

static void half_blocks_carry_exact_colours(void **state)
{
    (void)state;
    uint8_t rgb[4][3] = {{1, 2, 3}, {250, 0, 128}, {0, 0, 0}, {255, 254, 253}};
    struct sal_picture picture = {2, 2, rgb[0]};
    struct sal_cells cells = encoded("half", &picture, SAL_TRUECOLOR);
    assert_int_equal(cells.columns, 2);
    assert_int_equal(cells.rows, 1);
    assert_grid(&cells, "2580:10203/0 2580:fa0080/fffefd\n");
    sal_cells_release(&cells);
}

static void half_gradient_with_256_colours(void **state)
{
    (void)state;
    struct sal_picture picture = gradient(6, 2);
    struct sal_cells cells = encoded("half", &picture, SAL_256);
    assert_grid(&cells, "2580:10/10 2580:ec/ec 2580:f1/f1 2580:f7/f7 2580:fc/fc "
                        "2580:e7/e7\n");
    sal_cells_release(&cells);
    sal_picture_release(&picture);
}

static void space_gradient_with_16_colours_dithers_greys(void **state)
{
    (void)state;
    struct sal_picture picture = gradient(5, 4);
    struct sal_cells cells = encoded("space", &picture, SAL_16);
    assert_grid(&cells, "20:ffffffff/0 20:ffffffff/0 20:ffffffff/8 "
                        "20:ffffffff/7 20:ffffffff/f\n"
                        "20:ffffffff/0 20:ffffffff/8 20:ffffffff/8 "
                        "20:ffffffff/7 20:ffffffff/f\n"
                        "20:ffffffff/0 20:ffffffff/0 20:ffffffff/8 "
                        "20:ffffffff/7 20:ffffffff/f\n"
                        "20:ffffffff/0 20:ffffffff/0 20:ffffffff/8 "
                        "20:ffffffff/7 20:ffffffff/f\n");
    sal_cells_release(&cells);
    sal_picture_release(&picture);
}

static void ascii_gradient_gets_denser(void **state)
{
    (void)state;
    struct sal_picture picture = gradient(32, 1);
    struct sal_cells cells = encoded("ascii", &picture, SAL_MONO);
    char text[33] = "";
    for (int i = 0; i < 32; i++) {
        text[i] = (char)cells.cell[i].glyph;
        assert_int_equal(cells.cell[i].fg, SAL_CELL_DEFAULT);
        assert_int_equal(cells.cell[i].bg, SAL_CELL_DEFAULT);
    }
    assert_string_equal(text, "   ...,,,:::!!!+++xxoooXXX###@@@");
    sal_cells_release(&cells);
    sal_picture_release(&picture);
}

static void a_hot_spot_is_brighter_without_colour(void **state)
{
    (void)state;
    float values[2] = {0, 1};
    for (const struct sal_colormap *map = sal_colormaps; map->name; map++) {
        if (map->diverging || !strcmp(map->name, "turbo") || !strcmp(map->name, "jet"))
            continue;
        uint8_t rgb[6] = {110, 110, 110, 110, 110, 110};
        struct sal_picture picture = {2, 1, rgb};
        struct sal_overlay overlay = {map, {0, 1}, 0.5, false, 0};
        sal_overlay_draw(&overlay, &picture, values);
        struct sal_cells cells = encoded("ascii", &picture, SAL_MONO);
        assert_int_not_equal(cells.cell[0].glyph, cells.cell[1].glyph);
        assert_true(sal_luma(rgb) < 110 && sal_luma(rgb + 3) > 110);
        sal_cells_release(&cells);
    }
}

static int weighted(const uint8_t a[3], const uint8_t b[3])
{
    int r = a[0] - b[0], g = a[1] - b[1], l = a[2] - b[2];
    return 2 * r * r + 4 * g * g + l * l;
}

static void assert_nearest(enum sal_depth depth, int first, int last, const uint8_t rgb[3])
{
    uint8_t candidate[3];
    int least = 1 << 30;
    for (int i = first; i <= last; i++) {
        sal_palette_rgb(i, candidate);
        int d = weighted(rgb, candidate);
        least = d < least ? d : least;
    }
    int found = sal_palette_nearest(depth, rgb);
    assert_in_range(found, first, last);
    sal_palette_rgb(found, candidate);
    assert_int_equal(weighted(rgb, candidate), least);
}

static void nearest_colour_agrees_with_brute_force(void **state)
{
    (void)state;
    for (int i = 0; i < 32 * 32 * 32; i++) {
        uint8_t rgb[3] = {(uint8_t)(i % 32 * 255 / 31), (uint8_t)(i / 32 % 32 * 255 / 31),
                          (uint8_t)(i / 1024 * 255 / 31)};
        assert_nearest(SAL_256, 16, 255, rgb);
        assert_nearest(SAL_16, 0, 15, rgb);
    }
    for (int v = 0; v < 256; v++) {
        uint8_t rgb[3] = {(uint8_t)v, (uint8_t)v, (uint8_t)v};
        assert_nearest(SAL_256, 16, 255, rgb);
    }
}

static void palette_is_xterms(void **state)
{
    (void)state;
    static const struct {
        int index;
        uint8_t rgb[3];
    } known[] = {{1, {205, 0, 0}},    {16, {0, 0, 0}},        {21, {0, 0, 255}},
                 {67, {95, 135, 175}}, {231, {255, 255, 255}}, {232, {8, 8, 8}},
                 {255, {238, 238, 238}}};
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        uint8_t rgb[3];
        sal_palette_rgb(known[i].index, rgb);
        assert_memory_equal(rgb, known[i].rgb, 3);
    }
}

/* Mean brightness of a flat grey after dithering to 16 colours. */
static double dithered_mean(int grey)
{
    uint8_t pixels[16 * 3];
    memset(pixels, grey, sizeof(pixels));
    struct sal_picture picture = {4, 4, pixels};
    struct sal_cells cells = encoded("space", &picture, SAL_16);
    int sum = 0;
    for (int i = 0; i < 16; i++) {
        uint8_t rgb[3];
        sal_palette_rgb(cells.cell[i].bg, rgb);
        assert_true(rgb[0] == rgb[1] && rgb[1] == rgb[2]);
        sum += rgb[0];
    }
    sal_cells_release(&cells);
    return sum / 16.0;
}

static void greys_stay_grey_and_right_on_average_with_16_colours(void **state)
{
    (void)state;
    for (int grey = 0; grey < 256; grey++) {
        double mean = dithered_mean(grey);
        assert_true(mean > grey - 8 && mean < grey + 8);
    }
}

static void best_encoder_is_the_first_a_terminal_can_show(void **state)
{
    (void)state;
    assert_string_equal(sal_encoder_best(SAL_TRUECOLOR, true)->name, "half");
    assert_string_equal(sal_encoder_best(SAL_16, true)->name, "half");
    assert_string_equal(sal_encoder_best(SAL_256, false)->name, "space");
    assert_string_equal(sal_encoder_best(SAL_MONO, true)->name, "ascii");
    assert_string_equal(sal_encoder_best(SAL_MONO, false)->name, "ascii");
}

static void encoder_refuses_a_terminal_that_lacks_what_it_needs(void **state)
{
    (void)state;
    struct sal_picture picture = gradient(2, 2);
    struct sal_cells cells = {0};
    struct sal_error err = {0};
    assert_int_equal(sal_encoder_run(find("half"), &picture, SAL_MONO, true, &cells, &err),
                     SAL_USAGE);
    assert_non_null(strstr(err.text, "half"));
    assert_int_equal(sal_encoder_run(find("half"), &picture, SAL_256, false, &cells, &err),
                     SAL_USAGE);
    assert_null(cells.cell);
    sal_picture_release(&picture);
}

static void odd_pictures_repeat_their_last_row(void **state)
{
    (void)state;
    uint8_t rgb[9] = {1, 1, 1, 2, 2, 2, 3, 3, 3};
    struct sal_picture picture = {1, 3, rgb};
    struct sal_cells cells = encoded("half", &picture, SAL_TRUECOLOR);
    assert_grid(&cells, "2580:10101/20202\n2580:30303/30303\n");
    sal_cells_release(&cells);
}

static void assert_fit(const char *name, int columns, int rows, int w, int h, int width,
                       int height)
{
    int got[2];
    sal_encoder_fit(find(name), columns, rows, w, h, &got[0], &got[1]);
    assert_int_equal(got[0], width);
    assert_int_equal(got[1], height);
}

static void fit_keeps_the_shape_inside_the_pane(void **state)
{
    (void)state;
    assert_fit("half", 80, 24, 512, 512, 48, 48);
    assert_fit("half", 30, 24, 512, 512, 30, 30);
    assert_fit("half", 80, 24, 1024, 512, 80, 40);
    assert_fit("ascii", 80, 24, 512, 512, 48, 24);
    assert_fit("space", 80, 24, 512, 1024, 24, 24);
    assert_fit("half", 80, 24, 32000, 1, 80, 2);
    assert_fit("half", 80, 24, 1, 32000, 1, 48);
    assert_fit("half", 0, -3, 100, 100, 1, 2);
    assert_fit("half", 80, 24, 0, 0, 48, 48);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_blocks_carry_exact_colours),
        cmocka_unit_test(half_gradient_with_256_colours),
        cmocka_unit_test(space_gradient_with_16_colours_dithers_greys),
        cmocka_unit_test(ascii_gradient_gets_denser),
        cmocka_unit_test(a_hot_spot_is_brighter_without_colour),
        cmocka_unit_test(nearest_colour_agrees_with_brute_force),
        cmocka_unit_test(palette_is_xterms),
        cmocka_unit_test(greys_stay_grey_and_right_on_average_with_16_colours),
        cmocka_unit_test(best_encoder_is_the_first_a_terminal_can_show),
        cmocka_unit_test(encoder_refuses_a_terminal_that_lacks_what_it_needs),
        cmocka_unit_test(odd_pictures_repeat_their_last_row),
        cmocka_unit_test(fit_keeps_the_shape_inside_the_pane),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
