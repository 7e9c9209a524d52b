/* Superpixels: parts that cover the input, hang together, and keep to its edges. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "small_network.h"
#include "superpixels.h"

static const struct sal_param list[] = {SAL_SUPERPIXEL_PARAMS, {0}};

enum { SLIC, GRID };

static struct sal_superpixels cut(const float *x, int how, int cells)
{
    struct sal_model *model = make_network(SMOOTH, "imagenet");
    struct sal_params params = {.value = {how, cells, 10}};
    struct sal_question question = {.model = model, .x = x, .params = &params};
    struct sal_superpixels made;
    must(sal_superpixels_make(&question, list, &made, err));
    sal_model_close(model);
    return made;
}

static void a_grid_is_of_equal_rectangles(void **state)
{
    (void)state;
    struct sal_superpixels made = cut(an_image(), GRID, 4);
    int count[16] = {0};
    assert_int_equal(made.n, 16);
    for (int i = 0; i < PIXELS; i++) {
        assert_int_equal(made.of[i], i / W * 4 / H * 4 + i % W * 4 / W);
        count[made.of[i]]++;
    }
    for (int k = 0; k < 16; k++)
        assert_true(count[k] == 5 * 5 || count[k] == 6 * 5);
    free(made.of);
}

/* Pixels of a part that can be reached from one of them, inside the part. */
static int reached(const struct sal_superpixels *made, int part)
{
    static int seen[PIXELS];
    int n = 0, first = 0;
    while (made->of[first] != part)
        first++;
    memset(seen, 0, sizeof(seen));
    seen[first] = 1;
    for (int before = -1; before != n;) {
        before = n;
        n = 0;
        for (int i = 0; i < PIXELS; i++) {
            bool beside = (i % W > 0 && seen[i - 1]) || (i % W < W - 1 && seen[i + 1]) ||
                          (i >= W && seen[i - W]) || (i < PIXELS - W && seen[i + W]);
            seen[i] |= made->of[i] == part && beside;
            n += seen[i];
        }
    }
    return n;
}

static void parts_cover_the_input_and_hang_together(void **state)
{
    (void)state;
    static float noise[N];
    for (int i = 0; i < N; i++)
        noise[i] = (float)sin(12.9898 * i * i);
    const float *const images[] = {an_image(), noise};
    for (int image = 0; image < 2; image++)
        for (int cells = 2; cells <= 8; cells += 3) {
            struct sal_superpixels made = cut(images[image], SLIC, cells);
            int whole = 0;
            assert_true(made.n >= 1 && made.n <= 4 * cells * cells);
            for (int part = 0; part < made.n; part++) {
                int size = 0, least = PIXELS / (4 * cells * cells);
                for (int i = 0; i < PIXELS; i++)
                    size += made.of[i] == part;
                assert_int_equal(reached(&made, part), size);
                assert_true(size >= least || part == 0);
                whole += size;
            }
            assert_int_equal(whole, PIXELS);
            free(made.of);
        }
}

/* A bright shape on dark ground: no part has both. */
static void parts_keep_to_edges(void **state)
{
    (void)state;
    static float x[N];
    for (int i = 0; i < N; i++)
        x[i] = hypot(i % PIXELS / W - 10.5, i % W - 8.5) < 6 ? 1.5F : -1.5F;
    struct sal_superpixels made = cut(x, SLIC, 4);
    float of_part[SAL_SUPERPIXELS_MAX] = {0};
    assert_true(made.n >= 8);
    for (int i = 0; i < PIXELS; i++) {
        float *value = &of_part[made.of[i]];
        assert_true(*value == 0 || *value == x[i]);
        *value = x[i];
    }
    free(made.of);
}

static void of_one_colour_the_parts_are_a_grid(void **state)
{
    (void)state;
    static float x[N];
    struct sal_superpixels made = cut(x, SLIC, 2), grid = cut(x, GRID, 2);
    assert_int_equal(made.n, 4);
    assert_memory_equal(made.of, grid.of, PIXELS * sizeof(*made.of));
    free(made.of);
    free(grid.of);
}

static void more_cells_than_pixels_are_refused(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct sal_params params = {.value = {GRID, 21, 10}};
    struct sal_question question = {.model = model, .x = an_image(), .params = &params};
    struct sal_superpixels made;
    struct sal_error err;
    assert_int_equal(sal_superpixels_make(&question, list, &made, &err), SAL_USAGE);
    assert_string_equal(err.text,
                        "cells=21 is more than the model's input, 20 x 22, has pixels");
    sal_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_grid_is_of_equal_rectangles),
        cmocka_unit_test(parts_cover_the_input_and_hang_together),
        cmocka_unit_test(parts_keep_to_edges),
        cmocka_unit_test(of_one_colour_the_parts_are_a_grid),
        cmocka_unit_test(more_cells_than_pixels_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
