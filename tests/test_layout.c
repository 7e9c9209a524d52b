#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "layout.h"

enum { HELP = 30 };

static bool shown(const struct sal_rect *rect)
{
    return rect->height > 0 && rect->width > 0;
}

static bool on_screen(const struct sal_rect *rect, int rows, int columns)
{
    return rect->y >= 0 && rect->x >= 0 && rect->height >= 0 && rect->width >= 0 &&
           rect->y + rect->height <= rows && rect->x + rect->width <= columns;
}

static bool overlaps(const struct sal_rect *a, const struct sal_rect *b)
{
    return shown(a) && shown(b) && a->y < b->y + b->height && b->y < a->y + a->height &&
           a->x < b->x + b->width && b->x < a->x + a->width;
}

/* What holds on every screen; the help is meant to lie over the others. */
static void check(int rows, int columns, double aspect, int classes, bool chart)
{
    struct sal_screen made = sal_layout_make(rows, columns, aspect, classes, chart, HELP);
    if (made.too_small)
        return;
    for (int i = 0; i < SAL_PANES; i++) {
        assert_true(on_screen(&made.pane[i], rows, columns));
        for (int k = i + 1; k < SAL_PANE_HELP; k++)
            assert_false(overlaps(&made.pane[i], &made.pane[k]));
    }
    assert_true(shown(&made.pane[SAL_PANE_STATUS]));
    assert_true(shown(&made.pane[SAL_PANE_FOOTER]));
    assert_true(shown(&made.pane[SAL_PANE_HELP]));
    assert_true(made.pane[SAL_PANE_SCORES].height >= 2);
    assert_true(made.pane[SAL_PANE_IMAGE].height > SAL_PICTURE_ROWS);
    if (!chart)
        assert_false(shown(&made.pane[SAL_PANE_CHART]));
    /* A heading, and as much as a plot needs. */
    if (shown(&made.pane[SAL_PANE_CHART])) {
        assert_true(made.pane[SAL_PANE_CHART].height >= 9);
        assert_true(made.pane[SAL_PANE_CHART].width >= 24);
    }
    assert_true(made.pane[SAL_PANE_IMAGE].width > SAL_BAR_COLUMNS);
}

static void panes_never_overlap_nor_leave_the_screen(void **state)
{
    (void)state;
    static const double aspects[] = {0, 0.001, 0.5, 1, 1.25, 3, 1000, -1};
    static const int classes[] = {1, 2, 14, 1000};
    for (int rows = 1; rows < 70; rows++)
        for (int columns = 1; columns < 260; columns += 3)
            for (int a = 0; a < 8; a++)
                for (int c = 0; c < 4; c++)
                    for (int chart = 0; chart < 2; chart++)
                    check(rows, columns, aspects[a], classes[c], chart);
}

static void a_wide_screen_has_everything_side_by_side(void **state)
{
    (void)state;
    struct sal_screen made = sal_layout_make(50, 200, 1, 14, false, HELP);
    assert_false(made.too_small);
    assert_false(made.stacked);
    const struct sal_rect *image = &made.pane[SAL_PANE_IMAGE];
    const struct sal_rect *scores = &made.pane[SAL_PANE_SCORES];
    assert_true(made.divider >= image->x + image->width && made.divider < scores->x);
    assert_true(scores->height >= 15);
    /* A square picture fills the height. */
    assert_true(image->width - SAL_BAR_COLUMNS >= 2 * (image->height - SAL_PICTURE_ROWS));
}

static void eighty_by_twenty_four_shows_all_panes(void **state)
{
    (void)state;
    struct sal_screen made = sal_layout_make(24, 80, 1, 14, true, HELP);
    assert_false(made.too_small);
    for (int i = 0; i < SAL_PANES; i++)
        assert_true(shown(&made.pane[i]));
    assert_true(made.pane[SAL_PANE_IMAGE].width - SAL_BAR_COLUMNS >= 30);
    assert_int_equal(made.pane[SAL_PANE_CHART].y, made.pane[SAL_PANE_IMAGE].height);
    assert_true(made.pane[SAL_PANE_SCORES].width >= 28);
}

static void a_narrow_screen_is_stacked(void **state)
{
    (void)state;
    struct sal_screen made = sal_layout_make(15, 40, 1, 14, false, HELP);
    assert_false(made.too_small);
    assert_true(made.stacked);
    assert_true(made.divider < 0);
    assert_int_equal(made.pane[SAL_PANE_IMAGE].width, 40);
    assert_int_equal(made.pane[SAL_PANE_SCORES].y, made.pane[SAL_PANE_IMAGE].height);
}

static void a_chart_leaves_out_what_is_too_small_for_it(void **state)
{
    (void)state;
    struct sal_screen small = sal_layout_make(15, 40, 1, 14, true, HELP);
    assert_false(shown(&small.pane[SAL_PANE_CHART]));
    struct sal_screen tall = sal_layout_make(40, 50, 1, 14, true, HELP);
    assert_true(tall.stacked && shown(&tall.pane[SAL_PANE_CHART]));
    assert_true(shown(&tall.pane[SAL_PANE_FACTS]));
    struct sal_screen without = sal_layout_make(40, 50, 1, 14, false, HELP);
    assert_true(without.pane[SAL_PANE_IMAGE].height >= tall.pane[SAL_PANE_IMAGE].height);
}

static void a_tiny_screen_is_too_small(void **state)
{
    (void)state;
    assert_true(sal_layout_make(5, 20, 1, 14, false, HELP).too_small);
    assert_true(sal_layout_make(SAL_LAYOUT_ROWS_MIN - 1, 200, 1, 14, false, HELP).too_small);
    assert_true(sal_layout_make(50, SAL_LAYOUT_COLUMNS_MIN - 1, 1, 14, false, HELP).too_small);
    assert_false(sal_layout_make(SAL_LAYOUT_ROWS_MIN, SAL_LAYOUT_COLUMNS_MIN, 1, 14, false, HELP)
                     .too_small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(panes_never_overlap_nor_leave_the_screen),
        cmocka_unit_test(a_wide_screen_has_everything_side_by_side),
        cmocka_unit_test(eighty_by_twenty_four_shows_all_panes),
        cmocka_unit_test(a_narrow_screen_is_stacked),
        cmocka_unit_test(a_chart_leaves_out_what_is_too_small_for_it),
        cmocka_unit_test(a_tiny_screen_is_too_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
