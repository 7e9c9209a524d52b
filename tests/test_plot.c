#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plot_scale.h"
#include "saliscope/plot.h"

/* A falling curve, noise above it with a band around, a threshold and a mark. */
static const double eps[] = {0.25, 0.5, 1, 2, 4}, attack[] = {0.9, 0.8, 0.5, 0.2, 0.1},
                    noise[] = {0.92, 0.92, 0.9, 0.88, 0.85}, low[] = {0.9, 0.85, 0.8, 0.7, 0.6},
                    high[] = {0.95, 0.96, 0.97, 0.98, 1};

static struct sal_plot sample(void)
{
    return (struct sal_plot){
        .x = {.title = "levels", .log2 = true, .second = 1 / 255.0, .second_title = "unit"},
        .y = {.title = "p", .range = {0, 1}},
        .curve = {{"attack", 5, eps, attack, false}, {"noise", 5, eps, noise, false}},
        .band = {"5-95 %", 5, eps, low, high},
        .level = {{"threshold", 0.5}},
        .mark = {{"flip", 1.1}},
    };
}

static void add_glyph(char *text, size_t *used, uint32_t code)
{
    if (code < 0x80) {
        text[(*used)++] = (char)code;
    } else if (code < 0x800) {
        text[(*used)++] = (char)(0xc0 | code >> 6);
        text[(*used)++] = (char)(0x80 | (code & 63));
    } else {
        text[(*used)++] = (char)(0xe0 | code >> 12);
        text[(*used)++] = (char)(0x80 | (code >> 6 & 63));
        text[(*used)++] = (char)(0x80 | (code & 63));
    }
    text[*used] = '\0';
}

/* The cells as lines of text, without blanks at their ends. */
static const char *text_of(const struct sal_cells *cells)
{
    static char text[20000];
    size_t used = 0;
    for (int r = 0; r < cells->rows; r++) {
        for (int c = 0; c < cells->columns; c++)
            add_glyph(text, &used, cells->cell[r * cells->columns + c].glyph);
        while (used && text[used - 1] == ' ')
            used--;
        add_glyph(text, &used, '\n');
    }
    return text;
}

static struct sal_cells drawn(const struct sal_plot *plot, int columns, int rows,
                              enum sal_depth depth, bool unicode)
{
    struct sal_cells cells = {0};
    struct sal_error err = {0};
    if (sal_plot_cells(plot, columns, rows, depth, unicode, &cells, &err))
        fail_msg("%s", err.text);
    assert_int_equal(cells.columns, columns);
    assert_int_equal(cells.rows, rows);
    return cells;
}

static void assert_drawn(const struct sal_plot *plot, int columns, int rows, bool unicode,
                         const char *expected)
{
    struct sal_cells cells = drawn(plot, columns, rows, SAL_MONO, unicode);
    for (int i = 0; i < columns * rows; i++)
        assert_true(cells.cell[i].fg == SAL_CELL_DEFAULT && cells.cell[i].bg == SAL_CELL_DEFAULT);
    assert_string_equal(text_of(&cells), expected);
    sal_cells_release(&cells);
}

static void a_plot_in_ascii(void **state)
{
    (void)state;
    struct sal_plot plot = sample();
    assert_drawn(&plot, 40, 16, false,
                 "p\n"
                 "1.00+..................|................\n"
                 "    |********ooooooooooooooooooooooooooo\n"
                 "0.75+        ****   ...|................\n"
                 "    |            ****  |        ........\n"
                 "0.50+----------------***----------------\n"
                 "    |                  |****\n"
                 "0.25+                  |    ****\n"
                 "    |                  |        ********\n"
                 "0.00+                  |\n"
                 "    ++----------------+----------------+\n"
                 "   0.25               1                4\n"
                 "  0.00098          0.00392        0.0157\n"
                 "                levels / unit\n"
                 "** attack  oo noise  .. 5-95 %\n"
                 "-- threshold  | flip\n");
}

static void a_plot_in_braille(void **state)
{
    (void)state;
    struct sal_plot plot = sample();
    assert_drawn(&plot, 40, 16, true,
                 "p\n"
                 "1.00┤⣀⣀⡀ ⣀⣀⡀ ⣀⣀ ⢀⣀⣀ ⢀⣀⣀╎⡂⠄⡂⠄⡂⠄⡂⠄⡂⠄⡂⠅⡂⠅⡂⠅\n"
                 "    │⠈⠉⠑⠒⠒⠤⠤⢄⣀⡀⠅⠂⠅⠂⠅⡂⠅ ⠈⠉⠉ ⠈⠉⠉ ⠉⠉⠁ ⠒⠒⠂ ⠒\n"
                 "0.75┤         ⠈⠒⠤⡀     ╎ ⠁⠂⠁⠂⠅⠂⠅⡂⠅⡂⠅⡂⠅⡂⠅\n"
                 "    │            ⠈⠑⠤⣀  ╎           ⠁⠂⠁⠂⠅\n"
                 "0.50┤╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌⠑⠢⢄╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌\n"
                 "    │                  ╎⠉⠒⢄⡀\n"
                 "0.25┤                  ╎   ⠈⠒⠤⡀\n"
                 "    │                  ╎      ⠈⠉⠑⠒⠒⠤⠤⢄⣀⡀\n"
                 "0.00┤                  ╎               ⠈\n"
                 "    └┬────────────────┬────────────────┬\n"
                 "   0.25               1                4\n"
                 "  0.00098          0.00392        0.0157\n"
                 "                levels / unit\n"
                 "⠒⠒⠒⠒ attack  ⠒⠒⠂⠀ noise  ⠅⠅ 5-95 %\n"
                 "╌╌ threshold  ╎ flip\n");
}

static void levels_differ_without_colour(void **state)
{
    (void)state;
    static const char *const unicode[] = {"╌╌ first", "┈┈ second", "┄┄ third"};
    static const char *const ascii[] = {"-- first", "~~ second", "== third"};
    struct sal_plot plot = sample();
    struct sal_cells cells;
    plot.level[0] = (struct sal_plot_line){"first", 0.2};
    plot.level[1] = (struct sal_plot_line){"second", 0.5};
    plot.level[2] = (struct sal_plot_line){"third", 0.7};
    for (int k = 0; k < 2; k++) {
        assert_int_equal(sal_plot_cells(&plot, 60, 20, SAL_MONO, k == 0, &cells, NULL), SAL_OK);
        for (int i = 0; i < 3; i++) {
            const char *legend = (k ? ascii : unicode)[i];
            char run[16] = "";
            for (int n = 0; n < 2; n++) /* four of them in a row: the line itself */
                strncat(run, legend, strcspn(legend, " "));
            assert_non_null(strstr(text_of(&cells), legend));
            assert_non_null(strstr(text_of(&cells), run));
        }
        sal_cells_release(&cells);
    }
}

/* Without the second curve's dashes and the first's letter nothing would tell them apart. */
static void curves_differ_without_colour(void **state)
{
    (void)state;
    double flat[] = {0.5, 0.5, 0.5, 0.5, 0.5};
    char seen[SAL_PLOT_CURVES][2][20000];
    for (int i = 0; i < SAL_PLOT_CURVES; i++)
        for (int unicode = 0; unicode < 2; unicode++) {
            struct sal_plot plot = {.y.range = {0, 1}};
            plot.curve[i] = (struct sal_plot_curve){"c", 5, eps, flat, false};
            struct sal_cells cells = drawn(&plot, 60, 12, SAL_MONO, unicode);
            strcpy(seen[i][unicode], text_of(&cells));
            sal_cells_release(&cells);
            for (int k = 0; k < i; k++)
                assert_string_not_equal(seen[k][unicode], seen[i][unicode]);
        }
}

/* The colours of two flat curves, of a band and of a level, from above. */
static void every_depth_has_colours_of_its_own_for_each_part(void **state)
{
    (void)state;
    static const enum sal_depth depths[] = {SAL_16, SAL_256, SAL_TRUECOLOR};
    double top[] = {0.9, 0.9, 0.9, 0.9, 0.9}, bottom[] = {0.1, 0.1, 0.1, 0.1, 0.1};
    for (int i = 0; i < 3; i++) {
        struct sal_plot plot = {.y.range = {0, 1},
                                .curve = {{"a", 5, eps, top, false}, {"b", 5, eps, bottom, false}}};
        struct sal_cells cells = drawn(&plot, 40, 14, depths[i], true);
        int first = SAL_CELL_DEFAULT, second = SAL_CELL_DEFAULT;
        for (int r = 0; r < 11; r++) {
            const struct sal_cell *cell = &cells.cell[r * 40 + 20];
            int *colour = r < 5 ? &first : &second;
            assert_int_equal(cell->bg, SAL_CELL_DEFAULT);
            *colour = cell->fg != SAL_CELL_DEFAULT ? cell->fg : *colour;
        }
        assert_int_equal(first, sal_palette_nearest(depths[i], sal_plot_styles[0].rgb));
        assert_int_equal(second, sal_palette_nearest(depths[i], sal_plot_styles[1].rgb));
        assert_int_not_equal(first, second);
        sal_cells_release(&cells);
    }
}

static void steps_go_along_and_then_up(void **state)
{
    (void)state;
    double x[] = {0, 10, 20, 40}, y[] = {1e-5, 3e-5, 2e-5, 2e-5};
    struct sal_plot plot = {.x = {.title = "passes"},
                            .y = {.title = "size"},
                            .curve = {{"best", 4, x, y, true}}};
    assert_drawn(&plot, 30, 12, false,
                 "x10^-5 size\n"
                 "3.0+      ********\n"
                 "   |      *      *\n"
                 "   |      *      *\n"
                 "2.0+      *      *************\n"
                 "   |      *\n"
                 "   |      *\n"
                 "1.0+*******\n"
                 "   ++-----+------+-----+-----+\n"
                 "    0    10     20    30    40\n"
                 "              passes\n"
                 "** best\n");
}

static void what_is_missing_is_a_gap(void **state)
{
    (void)state;
    double x[] = {-1, 0.25, 0.5, 1, 2, 4, 8}, y[] = {0, 0.2, 0.2, (double)NAN, 0.8, 0.8, HUGE_VAL};
    struct sal_plot plot = {.x = {.log2 = true},
                            .y = {.range = {0, 1}},
                            .curve = {{"c", 7, x, y, false}}};
    assert_drawn(&plot, 30, 10, false,
                 "1.00+\n"
                 "    |                  *******\n"
                 "    |\n"
                 "0.50+\n"
                 "    |\n"
                 "    |*******\n"
                 "0.00+\n"
                 "    ++-----+-----+-----+-----+\n"
                 "   0.25   0.5    1     2     4\n"
                 "** c\n");
}

/* What lies outside a range that was given is cut, not drawn at its edge. */
static void a_curve_leaves_the_area_and_comes_back(void **state)
{
    (void)state;
    double x[] = {0, 1, 2, 3, 4}, y[] = {0.5, 1e12, 0.5, -40, 0.5};
    struct sal_plot plot = {.y = {.range = {0, 1}}, .curve = {{"c", 5, x, y, false}}};
    assert_drawn(&plot, 31, 9, false,
                 "1.00+ *           *\n"
                 "    | *           *\n"
                 "    | *           *\n"
                 "0.50+*            *           *\n"
                 "    |             *           *\n"
                 "0.00+             *           *\n"
                 "    ++-----+------+-----+-----+\n"
                 "     0     1      2     3     4\n"
                 "** c\n");
}

static void a_small_pane_keeps_the_curve_and_its_numbers(void **state)
{
    (void)state;
    struct sal_plot plot = sample();
    plot.title = "left out";
    assert_drawn(&plot, SAL_PLOT_COLUMNS_MIN, SAL_PLOT_ROWS_MIN, false,
                 "1.00+****ooooooooooooooo\n"
                 "    |    *****.|........\n"
                 "    |---------******----\n"
                 "0.00+          |    ****\n"
                 "    ++----+---+----+---+\n"
                 "   0.25  0.5  1    2   4\n"
                 "** attack  oo noise\n"
                 ".. 5-95 %  -- threshold\n");
}

static void text_is_cleaned_and_fits(void **state)
{
    (void)state;
    struct sal_plot plot = sample();
    plot.title = "\x1b[31mred \xe8\x82\xba\xff";
    plot.curve[0].name = "a name that is much longer than any of the rows there are here";
    plot.y.title = "\xce\xb5 \xc2\xb5";
    for (int unicode = 0; unicode < 2; unicode++) {
        struct sal_cells cells = drawn(&plot, 30, 20, SAL_MONO, unicode);
        for (int i = 0; i < 30 * 20; i++) {
            uint32_t glyph = cells.cell[i].glyph;
            assert_true(glyph >= 0x20 && glyph != 0x7f);
            assert_true(unicode || glyph < 0x80);
        }
        sal_cells_release(&cells);
    }
}

/* Numbers beside the axes are whole and none touches another. */
static void every_size_has_its_place_for_numbers(void **state)
{
    (void)state;
    struct sal_plot plot = sample();
    double steep[] = {1e-30, 1e-3, 5, 1e3, 1e29};
    for (int columns = SAL_PLOT_COLUMNS_MIN; columns < 130; columns += 3)
        for (int rows = SAL_PLOT_ROWS_MIN; rows < 40; rows += 3)
            for (int kind = 0; kind < 4; kind++) {
                plot.x.log2 = kind & 1;
                plot.curve[0].x = kind & 2 ? steep : eps;
                struct sal_cells cells = drawn(&plot, columns, rows, SAL_16, kind & 1);
                const char *text = text_of(&cells);
                assert_non_null(strstr(text, "1.00"));
                assert_non_null(strstr(text, "0.00"));
                sal_cells_release(&cells);
            }
}

static void axes_end_at_round_numbers(void **state)
{
    (void)state;
    static const struct {
        double low, high;
        const char *expected; /* first and last number */
    } cases[] = {{0.1, 0.93, "0.00 1.00"}, {-3.2, 7.9, "−4 8"}, {1, 162, "0 175"},
                 {2, 2, "1.0 3.0"},      {0, 0, "−0.50 0.50"},      {103, 104, "103.00 104.00"},
                 {2, 103, "0 120"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        double x[] = {cases[i].low, cases[i].high};
        struct sal_plot plot = {.curve = {{"c", 2, x, x, false}}};
        struct sal_plot_scale across, up;
        char text[128];
        assert_int_equal(sal_plot_scales(&plot, &across, &up, NULL), SAL_OK);
        snprintf(text, sizeof(text), "%s %s", across.ticks.label[0],
                 across.ticks.label[across.ticks.n - 1]);
        assert_string_equal(text, cases[i].expected);
        assert_true(sal_plot_place(&across, cases[i].low) >= -1e-9);
        assert_true(sal_plot_place(&across, cases[i].high) <= 1 + 1e-9);
    }
}

static void log_axes_have_numbers_at_powers_of_two(void **state)
{
    (void)state;
    static const struct {
        double low, high;
        const char *expected;
    } cases[] = {{0.25, 16, "0.25 0.5 1 2 4 8 16"},
                 {1e-6, 1, "3.81e-6 1.53e-5 6.1e-5 0.000244 0.000977 0.00391 0.0156 0.0625 0.25 1"},
                 {0.6, 0.9, "0.6 0.9"},
                 {3000, 5000, "3000 5000"},
                 {64, 4112, "64 128 256 512 1024 2048 4096"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct sal_ticks ticks =
            sal_ticks_log2((struct sal_range){cases[i].low, cases[i].high});
        char text[256] = "";
        for (int k = 0; k < ticks.n; k++) {
            strcat(text, k ? " " : "");
            strcat(text, ticks.label[k]);
        }
        assert_string_equal(text, cases[i].expected);
    }
}

static void what_cannot_be_drawn_is_refused(void **state)
{
    (void)state;
    struct sal_plot plot = sample();
    struct sal_cells cells = {0};
    struct sal_error err = {0};
    double nothing[] = {(double)NAN, (double)NAN};
    assert_int_equal(sal_plot_cells(&plot, 23, 20, SAL_MONO, true, &cells, &err), SAL_USAGE);
    assert_non_null(strstr(err.text, "at least 24 x 8"));
    assert_int_equal(sal_plot_cells(&plot, 80, 7, SAL_MONO, true, &cells, &err), SAL_USAGE);
    plot = (struct sal_plot){.curve = {{"c", 2, eps, nothing, false}}};
    assert_int_equal(sal_plot_cells(&plot, 80, 20, SAL_MONO, true, &cells, &err), SAL_USAGE);
    assert_non_null(strstr(err.text, "no point"));
    assert_null(cells.cell);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plot_in_ascii),
        cmocka_unit_test(a_plot_in_braille),
        cmocka_unit_test(levels_differ_without_colour),
        cmocka_unit_test(curves_differ_without_colour),
        cmocka_unit_test(every_depth_has_colours_of_its_own_for_each_part),
        cmocka_unit_test(steps_go_along_and_then_up),
        cmocka_unit_test(what_is_missing_is_a_gap),
        cmocka_unit_test(a_curve_leaves_the_area_and_comes_back),
        cmocka_unit_test(a_small_pane_keeps_the_curve_and_its_numbers),
        cmocka_unit_test(text_is_cleaned_and_fits),
        cmocka_unit_test(every_size_has_its_place_for_numbers),
        cmocka_unit_test(axes_end_at_round_numbers),
        cmocka_unit_test(log_axes_have_numbers_at_powers_of_two),
        cmocka_unit_test(what_cannot_be_drawn_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
