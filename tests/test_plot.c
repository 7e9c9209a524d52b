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
                 "1.00┤⣀⣀⡀⡀⣀⣀⡀⡂⣀⣀⠄⢀⣀⣀⠄⢀⣀⣀╎⡂⠄⡂⠄⡂⠄⡂⠄⡂⠄⡂⠅⡂⠅⡂⠅\n"
                 "    │⠈⠉⠑⠒⠒⠤⠤⢄⣀⠂⠅⠂⠅⠂⠅⡂⠅⡂╎⠉⠉⠁⠅⠉⠉⠁⠉⠉⠑⡂⠐⠒⠒⡂⠐\n"
                 "0.75┤         ⠉⠒⠤⡀     ╎ ⠁ ⠁⠂⠅⠂⠅⡂⠅⡂⠅⡂⠅⡂⠅\n"
                 "    │            ⠈⠑⠢⣀  ╎           ⠁⠂⠁⠂⠅\n"
                 "0.50┤╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌⠉⠢⢄⡀╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌\n"
                 "    │                  ╎⠈⠒⠤⡀\n"
                 "0.25┤                  ╎   ⠈⠑⠤⣀\n"
                 "    │                  ╎       ⠉⠑⠒⠒⠤⠤⢄⣀⡀\n"
                 "0.00┤                  ╎               ⠈\n"
                 "    └┬────────────────┬────────────────┬\n"
                 "   0.25               1                4\n"
                 "  0.00098          0.00392        0.0157\n"
                 "                levels / unit\n"
                 "⠒⠒⠒⠒ attack  ⠒⠒⠂⠀ noise  ⠅⠅ 5-95 %\n"
                 "╌╌ threshold  ╎ flip\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plot_in_ascii),
        cmocka_unit_test(a_plot_in_braille),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
