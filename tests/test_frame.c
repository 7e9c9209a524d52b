#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "frame.h"

enum { SIDE = 64, GRID = 8 };

/* A grey ramp, and a map that is 1 in one grid cell. */
struct scene {
    struct sal_image image;
    struct sal_map map;
    float values[SIDE * SIDE], grid[GRID * GRID];
    struct sal_preprocessing preprocessing;
    struct sal_frame_ask ask;
    struct sal_frame frame;
};

static void make_scene(struct scene *scene, enum sal_depth depth)
{
    *scene = (struct scene){.preprocessing = {.fit = SAL_STRETCH}};
    assert_int_equal(sal_image_init(&scene->image, 200, 200, 1, 8, NULL), SAL_OK);
    for (int i = 0; i < 200 * 200; i++)
        scene->image.samples[i] = (uint16_t)(i % 200);
    scene->grid[2 * GRID + 5] = 1;
    for (int i = 0; i < SIDE * SIDE; i++)
        scene->values[i] =
            scene->grid[i / SIDE * GRID / SIDE * GRID + i % SIDE * GRID / SIDE];
    scene->map = (struct sal_map){.width = SIDE,
                                  .height = SIDE,
                                  .values = scene->values,
                                  .grid_width = GRID,
                                  .grid_height = GRID,
                                  .grid = scene->grid,
                                  .unit = "logit"};
    bool unicode = depth != SAL_MONO;
    scene->ask = (struct sal_frame_ask){
        .image = &scene->image,
        .map = &scene->map,
        .serial = 1,
        .preprocessing = &scene->preprocessing,
        .encoder = sal_encoder_best(depth, unicode),
        .depth = depth,
        .unicode = unicode,
        .columns = 32,
        .rows = 16,
    };
}

static void release_scene(struct scene *scene)
{
    sal_frame_release(&scene->frame);
    sal_image_release(&scene->image);
}

static unsigned update(struct scene *scene)
{
    assert_int_equal(sal_frame_update(&scene->frame, &scene->ask, NULL), SAL_OK);
    return scene->frame.generation;
}

static void nothing_changed_encodes_nothing(void **state)
{
    (void)state;
    struct scene scene;
    make_scene(&scene, SAL_TRUECOLOR);
    unsigned first = update(&scene);
    assert_int_equal(update(&scene), first);
    scene.ask.view.alpha = 0.7;
    assert_int_equal(update(&scene), first + 1);
    scene.ask.serial++;
    assert_int_equal(update(&scene), first + 2);
    scene.ask.rows = 10;
    assert_int_equal(update(&scene), first + 3);
    scene.ask.grid = true;
    assert_int_equal(update(&scene), first + 4);
    scene.ask.show = SAL_SHOW_IMAGE;
    assert_int_equal(update(&scene), first + 5);
    assert_int_equal(update(&scene), first + 5);
    release_scene(&scene);
}

static void a_square_image_takes_twice_as_many_columns_as_rows(void **state)
{
    (void)state;
    struct scene scene;
    make_scene(&scene, SAL_TRUECOLOR);
    update(&scene);
    assert_int_equal(scene.frame.picture.columns, 32);
    assert_int_equal(scene.frame.picture.rows, 16);
    release_scene(&scene);
}

static void the_map_lies_where_its_cell_is(void **state)
{
    (void)state;
    struct scene scene;
    make_scene(&scene, SAL_TRUECOLOR);
    scene.ask.grid = true;
    update(&scene);
    for (int y = 0; y < 32; y++)
        for (int x = 0; x < 32; x++) {
            /* Away from the cell's edges: bilinear sampling softens those. */
            double value = (double)scene.frame.plane[y * 32 + x];
            if (y / 4 == 2 && x / 4 == 5 && y % 4 % 3 && x % 4 % 3)
                assert_true(value > 0.9);
            if (y / 4 < 1 || y / 4 > 3 || x / 4 < 4 || x / 4 > 6)
                assert_true(value < 0.1 && value > -0.1);
        }
    release_scene(&scene);
}

static void a_map_has_a_bar_with_its_own_range_beside_it(void **state)
{
    (void)state;
    struct scene scene;
    make_scene(&scene, SAL_TRUECOLOR);
    scene.grid[0] = scene.values[0] = -3;
    scene.map.is_signed = true;
    update(&scene);
    assert_int_equal(scene.frame.bar.rows, scene.frame.picture.rows);
    assert_true(scene.frame.colormap->diverging);
    assert_true(scene.frame.bar_range.low == -3 && scene.frame.bar_range.high == 3);
    scene.ask.show = SAL_SHOW_IMAGE;
    update(&scene);
    assert_int_equal(scene.frame.bar.columns, 0);
    release_scene(&scene);
}

static void a_blank_map_leaves_the_image_alone(void **state)
{
    (void)state;
    struct scene with, without;
    make_scene(&with, SAL_TRUECOLOR);
    make_scene(&without, SAL_TRUECOLOR);
    memset(with.values, 0, sizeof(with.values));
    without.ask.map = NULL;
    update(&with);
    update(&without);
    assert_int_equal(with.frame.bar.columns, 0);
    const struct sal_cells *a = &with.frame.picture, *b = &without.frame.picture;
    assert_int_equal(a->columns * a->rows, b->columns * b->rows);
    for (int i = 0; i < a->columns * a->rows; i++)
        assert_true(a->cell[i].fg == b->cell[i].fg && a->cell[i].bg == b->cell[i].bg);
    release_scene(&with);
    release_scene(&without);
}

static void without_colours_the_strongest_cells_are_marked(void **state)
{
    (void)state;
    struct scene scene;
    make_scene(&scene, SAL_MONO);
    scene.ask.view.contour = 5;
    update(&scene);
    int marked = 0;
    const struct sal_cells *picture = &scene.frame.picture;
    for (int y = 0; y < picture->rows; y++)
        for (int x = 0; x < picture->columns; x++)
            if (picture->cell[y * picture->columns + x].bg >= 0) {
                assert_int_equal(y * GRID / picture->rows, 2);
                assert_int_equal(x * GRID / picture->columns, 5);
                marked++;
            }
    assert_true(marked > 0);
    release_scene(&scene);
}

static void without_an_image_there_are_no_cells(void **state)
{
    (void)state;
    struct scene scene;
    make_scene(&scene, SAL_256);
    unsigned first = update(&scene);
    scene.ask.image = NULL;
    scene.ask.map = NULL;
    assert_int_not_equal(update(&scene), first);
    assert_int_equal(scene.frame.picture.columns, 0);
    release_scene(&scene);
}

/* Both pictures are as they are alone. */
static void image_and_map_stand_side_by_side(void **state)
{
    (void)state;
    struct scene both, alone;
    make_scene(&both, SAL_TRUECOLOR);
    make_scene(&alone, SAL_TRUECOLOR);
    both.ask.columns = 2 * alone.ask.columns + 2;
    both.ask.show = SAL_SHOW_BESIDE;
    update(&both);
    const struct sal_cells *a = &both.frame.picture, *b = &alone.frame.picture;
    static const enum sal_show halves[] = {SAL_SHOW_IMAGE, SAL_SHOW_MAP};
    for (int half = 0; half < 2; half++) {
        alone.ask.show = halves[half];
        update(&alone);
        assert_int_equal(a->columns, 2 * b->columns + 2);
        assert_int_equal(a->rows, b->rows);
        for (int y = 0; y < b->rows; y++)
            assert_memory_equal(a->cell + y * a->columns + half * (b->columns + 2),
                                b->cell + y * b->columns,
                                (size_t)b->columns * sizeof(*b->cell));
    }
    assert_int_equal(both.frame.bar.rows, a->rows);
    release_scene(&both);
    release_scene(&alone);
}

static void without_room_or_colours_the_map_lies_over_the_image(void **state)
{
    (void)state;
    struct scene scene;
    make_scene(&scene, SAL_TRUECOLOR);
    scene.ask.show = SAL_SHOW_BESIDE;
    update(&scene);
    assert_int_equal(scene.frame.shown, SAL_SHOW_OVERLAY);
    assert_int_equal(scene.frame.picture.columns, 32);
    release_scene(&scene);
    make_scene(&scene, SAL_MONO);
    scene.ask.columns = 100;
    scene.ask.show = SAL_SHOW_BESIDE;
    update(&scene);
    assert_int_equal(scene.frame.shown, SAL_SHOW_OVERLAY);
    release_scene(&scene);
}

static int channel(int rgb, int c)
{
    return rgb >> (16 - 8 * c) & 255;
}

static int clamped(int level)
{
    return level < 0 ? 0 : level > 255 ? 255 : level;
}

/* Cells of the image with a map of even channels added, `times` as much. */
static void check_added(int channels, const float levels[3], int times)
{
    struct scene with, without;
    make_scene(&with, SAL_TRUECOLOR);
    make_scene(&without, SAL_TRUECOLOR);
    static float planes[3 * SIDE * SIDE];
    for (int i = 0; i < 3 * SIDE * SIDE; i++)
        planes[i] = levels[channels == 3 ? i / (SIDE * SIDE) : 0];
    with.map.by_channel = planes;
    with.map.values = planes;
    with.map.channels = channels;
    with.map.is_signed = true;
    with.ask.show = SAL_SHOW_ADDED;
    with.ask.added = times / 255.0;
    without.ask.show = SAL_SHOW_IMAGE;
    update(&with);
    update(&without);
    const struct sal_cells *a = &with.frame.picture, *b = &without.frame.picture;
    assert_int_equal(with.frame.bar.columns, 0);
    assert_int_equal(a->columns, b->columns);
    for (int i = 0; i < a->columns * a->rows; i++)
        for (int c = 0; c < 3; c++) {
            int more = times * (int)levels[channels == 3 ? c : 0];
            assert_int_equal(channel(a->cell[i].bg, c),
                             clamped(channel(b->cell[i].bg, c) + more));
        }
    release_scene(&with);
    release_scene(&without);
}

static void a_change_is_added_to_what_is_shown(void **state)
{
    (void)state;
    check_added(1, (float[3]){10}, 1);
    check_added(1, (float[3]){10}, 5);
    check_added(1, (float[3]){1}, 200);
    check_added(1, (float[3]){-10}, 20);
    check_added(3, (float[3]){10, 0, -10}, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_changed_encodes_nothing),
        cmocka_unit_test(a_square_image_takes_twice_as_many_columns_as_rows),
        cmocka_unit_test(the_map_lies_where_its_cell_is),
        cmocka_unit_test(a_map_has_a_bar_with_its_own_range_beside_it),
        cmocka_unit_test(a_blank_map_leaves_the_image_alone),
        cmocka_unit_test(without_colours_the_strongest_cells_are_marked),
        cmocka_unit_test(without_an_image_there_are_no_cells),
        cmocka_unit_test(image_and_map_stand_side_by_side),
        cmocka_unit_test(without_room_or_colours_the_map_lies_over_the_image),
        cmocka_unit_test(a_change_is_added_to_what_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
