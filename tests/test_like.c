/* The conventions of other libraries: what the table says exists, and what becomes of maps. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "methods.h"
#include "saliscope/like.h"
#include "small_network.h"

/* ---- the table ---------------------------------------------------------------------------- */

static void every_row_is_of_a_method_and_its_parameters(void **state)
{
    (void)state;
    int rows = 0;
    for (const struct sal_like *like = sal_likes; like->name; like++)
        for (const struct sal_like_row *row = like->rows; row->method; row++, rows++) {
            const struct sal_method *method = sal_method_find(row->method);
            struct sal_params params;
            assert_non_null(method);
            assert_non_null(row->call);
            sal_params_init(&params, method->params);
            for (int i = 0; i < SAL_LIKE_PARAMS_MAX && row->params[i]; i++)
                must(sal_params_set(&params, method->params, row->params[i], like->name, err));
            assert_true(row->finish < SAL_FINISH_NEAREST || (method->needs & SAL_NEEDS_LAYER));
        }
    assert_true(rows >= 32);
}

static void what_a_library_lacks_is_refused_by_name(void **state)
{
    (void)state;
    struct sal_error err;
    const struct sal_like *rise = sal_like_find("rise");
    assert_non_null(rise);
    assert_null(sal_like_find("nothing"));
    assert_null(sal_like_row_find(rise, sal_method_find("gradcam"), 3, &err));
    assert_int_equal(err.status, SAL_USAGE);
    assert_non_null(strstr(err.text, "gradcam"));
    assert_non_null(strstr(err.text, "it has rise"));
}

static void a_row_sets_what_it_names_and_nothing_else(void **state)
{
    (void)state;
    const struct sal_method *rise = sal_method_find("rise");
    const struct sal_like_row *row = sal_like_row_find(sal_like_find("rise"), rise, 0, NULL);
    struct sal_params params;
    assert_string_equal(row->score, "prob");
    sal_params_init(&params, rise->params);
    must(sal_params_set(&params, rise->params, "sigma=7", "rise", err));
    sal_like_params(row, rise, &params);
    assert_true(sal_params_get(&params, rise->params, "masks") == 6000);
    assert_true(sal_params_get(&params, rise->params, "normalise") == 1);
    assert_true(sal_params_get(&params, rise->params, "sigma") == 7);
}

/* ---- finishing ------------------------------------------------------------------------------ */

enum { SIDE = 6, GRID = 3 };

/* A map whose grid is 3 x 3, enlarged by a factor of 2 in some way that is not looked at. */
static struct sal_map small_map(const float grid[GRID * GRID])
{
    struct sal_map map = {.unit = "logit", .is_signed = true};
    must(sal_map_init(&map, SIDE, SIDE, GRID, GRID, err));
    memcpy(map.grid, grid, GRID * GRID * sizeof(*grid));
    for (int i = 0; i < SIDE * SIDE; i++)
        map.values[i] = 0.5F * (grid[i / SIDE / 2 * GRID + i % SIDE / 2] + grid[4]);
    return map;
}

static const float some_grid[GRID * GRID] = {0, 2, 4, 6, 8, 10, 12, 14, 16};

static void cells_are_repeated(void **state)
{
    (void)state;
    struct sal_map map = small_map(some_grid);
    sal_like_finish(SAL_FINISH_NEAREST, &map);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            assert_true(map.values[y * SIDE + x] == some_grid[y / 2 * GRID + x / 2]);
    assert_string_equal(map.unit, "logit");
    assert_true(map.is_signed);
    sal_map_release(&map);
}

static void a_map_is_scaled_before_and_after_it_is_enlarged(void **state)
{
    (void)state;
    struct sal_map map = small_map(some_grid);
    sal_like_finish(SAL_FINISH_UNIT, &map);
    for (int i = 0; i < GRID * GRID; i++)
        assert_true(fabs((double)map.grid[i] - (double)some_grid[i] / 16) <= 1e-6);
    /* values were from 4 to 12 */
    assert_true(fabs((double)map.values[0]) <= 1e-6);
    assert_true(fabs((double)map.values[SIDE * SIDE - 1] - 1) <= 1e-5);
    assert_string_equal(map.unit, "scaled to 0..1");
    assert_false(map.is_signed);
    sal_map_release(&map);
}

static void a_map_is_turned_over(void **state)
{
    (void)state;
    struct sal_map map = small_map(some_grid);
    sal_like_finish(SAL_FINISH_FLIPPED, &map);
    assert_true(map.values[0] == 1 && map.values[SIDE * SIDE - 1] == 0);
    assert_true(fabs((double)map.values[SIDE / 2 * SIDE + SIDE / 2] - 0.5) <= 1e-6);
    assert_non_null(strstr(map.note, "what counts most is 0"));
    sal_map_release(&map);
}

static void a_flat_map_stays_finite(void **state)
{
    (void)state;
    static const float flat[GRID * GRID] = {0};
    for (int finish = SAL_FINISH_NONE; finish <= SAL_FINISH_FLIPPED; finish++) {
        struct sal_map map = small_map(flat);
        sal_like_finish((enum sal_finish)finish, &map);
        for (int i = 0; i < SIDE * SIDE; i++)
            assert_true(map.values[i] == 0);
        sal_map_release(&map);
    }
}

/* ---- parameters that presets need ------------------------------------------------------------ */

static void noise_is_in_proportion_or_as_it_is(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    char as_it_is[64];
    double range = sal_input_range(an_image(), N);
    snprintf(as_it_is, sizeof(as_it_is), "samples=3 units=input noise=%.17g", 0.1 * range);
    struct sal_map a =
        map_of(model, "smoothgrad", (struct asking){.settings = "samples=3 noise=0.1"});
    struct sal_map b = map_of(model, "smoothgrad", (struct asking){.settings = as_it_is});
    assert_true(apart(a.by_channel, b.by_channel, N) <= 1e-6);
    assert_true(fabs(check_of(&a, "noise_sd") - 0.1 * range) <= 1e-9);
    sal_map_release(&a);
    sal_map_release(&b);
    sal_model_close(model);
}

static void magnitudes_and_roots_are_of_each_sample(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct sal_map one =
        map_of(model, "smoothgrad", (struct asking){.settings = "samples=1 magnitude=no"});
    struct sal_map size =
        map_of(model, "smoothgrad", (struct asking){.settings = "samples=1 magnitude=yes"});
    struct sal_map root = map_of(
        model, "smoothgrad", (struct asking){.settings = "samples=4 squared=yes root=yes"});
    struct sal_map square =
        map_of(model, "smoothgrad", (struct asking){.settings = "samples=4 squared=yes"});
    for (int i = 0; i < N; i++) {
        assert_true(size.by_channel[i] == fabsf(one.by_channel[i]));
        double expected = sqrt((double)square.by_channel[i] / 4);
        assert_true(fabs((double)root.by_channel[i] - expected) <= 1e-6);
    }
    assert_false(size.is_signed);
    assert_string_equal(root.unit, "logit per unit input");
    sal_map_release(&one);
    sal_map_release(&size);
    sal_map_release(&root);
    sal_map_release(&square);
    sal_model_close(model);
}

/* MONAI's occlusion, written down once more: windows of 5 every 3, the last ones moved back,
 * hidden by a Gaussian of sd 5/4 about pixel 2, blended by one of 5/8 about the middle. */
enum { SQUARE = 5, STEP = 3 };

static double hidden_share(int d)
{
    double t = 1 / (sqrt(2) * SQUARE / 4);
    return 0.5 * (erf(t * (d + 0.5)) - erf(t * (d - 0.5)));
}

static void add_square(const struct sal_model *model, int top, int left, double *sum,
                       double *count)
{
    float x[N];
    double most = hidden_share(0) * hidden_share(0), least = hidden_share(2) * hidden_share(2);
    memcpy(x, an_image(), sizeof(x));
    for (int c = 0; c < C; c++)
        for (int i = 0; i < SQUARE * SQUARE; i++) {
            double g = hidden_share(i / SQUARE - 2) * hidden_share(i % SQUARE - 2);
            x[c * PIXELS + (top + i / SQUARE) * W + left + i % SQUARE] *=
                (float)((most - g) / (most - least));
        }
    double score = score_of(model, x);
    for (int i = 0; i < SQUARE * SQUARE; i++) {
        int dy = i / SQUARE - 2, dx = i % SQUARE - 2, at = (top + dy + 2) * W + left + dx + 2;
        double weight = fmax(exp(-(dy * dy + dx * dx) / (2 * 0.625 * 0.625)), 1e-3);
        sum[at] += weight * score;
        count[at] += weight;
    }
}

static void occlusion_like_monai_is_what_its_formula_says(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    double sum[PIXELS] = {0}, count[PIXELS] = {0};
    for (int y = 0; y < H - SQUARE + STEP; y += STEP)
        for (int x = 0; x < W - SQUARE + STEP; x += STEP)
            add_square(model, y < H - SQUARE ? y : H - SQUARE, x < W - SQUARE ? x : W - SQUARE,
                       sum, count);
    struct asking how = {.settings = "window=5 stride=3 edge=inside fade=yes tell=score"};
    struct sal_map map = map_of(model, "occlusion", how);
    assert_false(map.is_signed);
    for (int i = 0; i < PIXELS; i++)
        assert_true(fabs((double)map.values[i] - sum[i] / count[i]) <= 2e-6);
    how.settings = "window=5 stride=3 edge=inside fade=yes tell=difference";
    struct sal_map fall = map_of(model, "occlusion", how);
    for (int i = 0; i < PIXELS; i++)
        assert_true(fabs((double)(map.values[i] + fall.values[i]) - map.score) <= 2e-6);
    sal_map_release(&map);
    sal_map_release(&fall);
    sal_model_close(model);
}

static void the_sigmoid_of_a_score_can_be_told(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct sal_map score = map_of(
        model, "occlusion", (struct asking){.settings = "window=4 stride=4 tell=score"});
    struct sal_map sigmoid = map_of(
        model, "occlusion", (struct asking){.settings = "window=4 stride=4 tell=sigmoid"});
    assert_true(score.score == sigmoid.score);
    for (int i = 0; i < PIXELS; i++) /* windows do not overlap */
        assert_true(fabs((double)sigmoid.values[i] - 1 / (1 + exp(-(double)score.values[i]))) <=
                    1e-6);
    sal_map_release(&score);
    sal_map_release(&sigmoid);
    sal_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_of_a_method_and_its_parameters),
        cmocka_unit_test(what_a_library_lacks_is_refused_by_name),
        cmocka_unit_test(a_row_sets_what_it_names_and_nothing_else),
        cmocka_unit_test(cells_are_repeated),
        cmocka_unit_test(a_map_is_scaled_before_and_after_it_is_enlarged),
        cmocka_unit_test(a_map_is_turned_over),
        cmocka_unit_test(a_flat_map_stays_finite),
        cmocka_unit_test(noise_is_in_proportion_or_as_it_is),
        cmocka_unit_test(magnitudes_and_roots_are_of_each_sample),
        cmocka_unit_test(occlusion_like_monai_is_what_its_formula_says),
        cmocka_unit_test(the_sigmoid_of_a_score_can_be_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
