/* RISE: its masks against those of the authors' software, its map against the definition
 * on a linear network, and its standard error against what other seeds give. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mask.h"
#include "recorded/masks_data.h"
#include "small_network.h"

/* ---- masks ------------------------------------------------------------------------------ */

static void a_grid_is_enlarged_as_by_the_authors(void **state)
{
    (void)state;
    struct sal_mask_table table;
    must(sal_mask_table_init(&table, MASK_HEIGHT, MASK_WIDTH, MASK_CELLS, err));
    assert_int_equal(MASK_ROWS, (MASK_CELLS + 1) * table.cell_height);
    assert_int_equal(MASK_COLUMNS, (MASK_CELLS + 1) * table.cell_width);
    struct sal_mask mask = {.table = &table};
    for (int y = 0; y < MASK_CELLS; y++)
        memcpy(mask.cell[y], mask_cells[y], MASK_CELLS);
    for (int y = 0; y < MASK_ROWS; y++) {
        double row[MASK_CELLS];
        sal_mask_row(&mask, y, row);
        for (int x = 0; x < MASK_COLUMNS; x++)
            assert_true(fabs(sal_mask_at(&mask, row, x) - (double)mask_enlarged[y][x]) <=
                        2e-6);
    }
    sal_mask_table_release(&table);
}

static void masks_begin_anywhere_in_the_first_cell(void **state)
{
    (void)state;
    enum { MASKS = 4000, HEIGHT = 40, WIDTH = 21, CELLS = 6 };
    struct sal_mask_table table;
    must(sal_mask_table_init(&table, HEIGHT, WIDTH, CELLS, err));
    int open = 0, tops[7] = {0}, lefts[4] = {0};
    assert_true(table.cell_height == 7 && table.cell_width == 4);
    for (int i = 0; i < MASKS; i++) {
        struct sal_mask mask;
        sal_mask_draw(&mask, &table, 0.3, 5, (uint64_t)i);
        assert_true(mask.top >= 0 && mask.top < 7 && mask.left >= 0 && mask.left < 4);
        tops[mask.top]++;
        lefts[mask.left]++;
        for (int k = 0; k < CELLS * CELLS; k++)
            open += mask.cell[k / CELLS][k % CELLS];
    }
    assert_true(fabs(open / (MASKS * 36.0) - 0.3) <= 0.005);
    for (int i = 0; i < 7; i++)
        assert_true(abs(tops[i] - MASKS / 7) <= 100);
    for (int i = 0; i < 4; i++)
        assert_true(abs(lefts[i] - MASKS / 4) <= 120);
    sal_mask_table_release(&table);
}

/* ---- the map ------------------------------------------------------------------------------ */

enum { MASKS = 60, CELLS = 5 };

static double masks[MASKS][PIXELS], scores[MASKS];

/* The masks of a seed, and what a linear network makes of them: the parts that its score is
 * made of, each as far as it is shown. */
static void draw_masks(const struct sal_map *parts, double keep, uint64_t seed)
{
    struct sal_mask_table table;
    must(sal_mask_table_init(&table, H, W, CELLS, err));
    for (int i = 0; i < MASKS; i++) {
        struct sal_mask mask;
        double row[CELLS];
        sal_mask_draw(&mask, &table, keep, seed, (uint64_t)i + 1);
        scores[i] = 0;
        for (int k = 0; k < PIXELS; k++) {
            sal_mask_row(&mask, k / W, row);
            masks[i][k] = sal_mask_at(&mask, row, k % W);
            scores[i] += masks[i][k] * (double)parts->values[k];
        }
    }
    sal_mask_table_release(&table);
}

/* From the definition, with the mean square of the values' standard errors. */
static double define(const char *normalise, double keep, int k, double *variance)
{
    double mean = 0, shown = 0, sum = 0, squares = 0;
    bool ratio = strcmp(normalise, "coverage") == 0;
    bool centred = strcmp(normalise, "centred") == 0;
    for (int i = 0; i < MASKS; i++) {
        mean += centred ? scores[i] / MASKS : 0;
        shown += masks[i][k];
    }
    for (int i = 0; i < MASKS; i++)
        sum += (scores[i] - mean) * masks[i][k] / (ratio ? shown : MASKS * keep);
    for (int i = 0; i < MASKS; i++) {
        double apart =
            ratio ? (scores[i] - sum) * masks[i][k] / (shown / MASKS)
            : centred ? (scores[i] - mean) * (masks[i][k] - shown / MASKS) / keep
                      : scores[i] * masks[i][k] / keep - sum;
        squares += apart * apart;
    }
    *variance = squares / (MASKS - 1) / MASKS;
    return sum;
}

static void a_map_is_its_definition(void **state)
{
    (void)state;
    static const char *const names[] = {"centred", "paper", "coverage"};
    struct sal_model *model = make_network(LINEAR, NULL);
    struct sal_map parts = map_of(model, "inputxgradient", (struct asking){0});
    draw_masks(&parts, 0.4, 3);
    for (int way = 0; way < 3; way++) {
        char settings[100];
        double error = 0;
        snprintf(settings, sizeof(settings), "masks=%d cells=%d keep=0.4 normalise=%s", MASKS,
                 CELLS, names[way]);
        struct sal_map map =
            map_of(model, "rise", (struct asking){.settings = settings, .seed = 3});
        for (int k = 0; k < PIXELS; k++) {
            double variance, value = define(names[way], 0.4, k, &variance);
            assert_true(fabs((double)map.values[k] - value) <= 1e-5);
            error += variance / PIXELS;
        }
        assert_true(fabs(check_of(&map, "standard_error") - sqrt(error)) <= 1e-5);
        assert_int_equal(map.forwards, MASKS + 1);
        assert_true(map.is_signed == (way == 0));
        assert_true(fabs(map.score - parts.score) <= 1e-5);
        sal_map_release(&map);
    }
    sal_map_release(&parts);
    sal_model_close(model);
}

/* What is hidden becomes the baseline: of the image itself nothing is hidden. */
static void what_is_hidden_is_the_baseline(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct sal_map map = map_of(
        model, "rise", (struct asking){.settings = "masks=9 baseline=blur sigma=0.1"});
    assert_true(fabs(check_of(&map, "mean_score") - map.score) <= 1e-6);
    assert_true(check_of(&map, "standard_error") <= 1e-6);
    sal_map_release(&map);
    sal_model_close(model);
}

/* Maps of other seeds lie as far apart as the standard error says. */
static void the_standard_error_is_that_of_other_seeds(void **state)
{
    (void)state;
    enum { SEEDS = 60 };
    static const char *const settings[] = {"masks=80 cells=4",
                                           "masks=80 cells=4 normalise=paper",
                                           "masks=80 cells=4 normalise=coverage"};
    struct sal_model *model = make_network(SMOOTH, NULL);
    double seen[3], said[3];
    for (int way = 0; way < 3; way++) {
        static double sum[PIXELS], squares[PIXELS];
        memset(sum, 0, sizeof(sum));
        memset(squares, 0, sizeof(squares));
        said[way] = seen[way] = 0;
        for (int seed = 0; seed < SEEDS; seed++) {
            struct sal_map map = map_of(
                model, "rise", (struct asking){.settings = settings[way], .seed = seed});
            for (int k = 0; k < PIXELS; k++) {
                sum[k] += (double)map.values[k];
                squares[k] += (double)map.values[k] * (double)map.values[k];
            }
            said[way] += pow(check_of(&map, "standard_error"), 2) / SEEDS;
            sal_map_release(&map);
        }
        for (int k = 0; k < PIXELS; k++)
            seen[way] += (squares[k] - sum[k] * sum[k] / SEEDS) / (SEEDS - 1) / PIXELS;
        print_message("%-40s standard error %.4f, seeds differ by %.4f\n", settings[way],
                      sqrt(said[way]), sqrt(seen[way]));
        assert_true(fabs(sqrt(said[way] / seen[way]) - 1) <= 0.1);
    }
    assert_true(seen[0] < seen[1]); /* why it is the default */
    sal_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_grid_is_enlarged_as_by_the_authors),
        cmocka_unit_test(masks_begin_anywhere_in_the_first_cell),
        cmocka_unit_test(a_map_is_its_definition),
        cmocka_unit_test(what_is_hidden_is_the_baseline),
        cmocka_unit_test(the_standard_error_is_that_of_other_seeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
