#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "raster.h"

enum { ROWS = 4, COLUMNS = 6 };

static struct sal_cell pixels[ROWS * COLUMNS];
static const struct sal_cells picture = {COLUMNS, ROWS, pixels};
static const struct sal_sprite sprite = {&picture, 2, 3};

/* What a write sends. */
static const char *sent(struct sal_raster *raster, const struct sal_rect *hole)
{
    static char text[8192];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    sal_raster_write(raster, ends[1], 24, 80, &sprite, 1, hole);
    close(ends[1]);
    ssize_t size = read(ends[0], text, sizeof(text) - 1);
    close(ends[0]);
    assert_true(size > 0);
    text[size] = '\0';
    return text;
}

static int count(const char *text, const char *what)
{
    int n = 0;
    for (; (text = strstr(text, what)); text += strlen(what))
        n++;
    return n;
}

static int make_pixels(void **state)
{
    (void)state;
    for (int i = 0; i < ROWS * COLUMNS; i++)
        pixels[i] = (struct sal_cell){0x2580, 0x102030 + i, 0x405060};
    return 0;
}

static void a_first_write_sends_every_cell_at_its_place(void **state)
{
    (void)state;
    struct sal_raster raster = {0};
    const char *text = sent(&raster, NULL);
    assert_int_equal(count(text, "\xe2\x96\x80"), ROWS * COLUMNS);
    assert_int_equal(count(text, "\033[3;4H\033[38;2;16;32;48m\033[48;2;64;80;96m"), 1);
    assert_int_equal(count(text, "\033[6;4H"), 1);
    assert_int_equal(count(text, "48;2"), ROWS);
    assert_int_equal(strncmp(text, "\0337", 2), 0);
    assert_string_equal(text + strlen(text) - 2, "\0338");
    sal_raster_release(&raster);
}

static void only_what_changed_is_sent_again(void **state)
{
    (void)state;
    struct sal_raster raster = {0};
    sent(&raster, NULL);
    assert_int_equal(count(sent(&raster, NULL), "\xe2\x96\x80"), 0);
    pixels[COLUMNS + 2].bg = 0;
    const char *text = sent(&raster, NULL);
    assert_int_equal(count(text, "\xe2\x96\x80"), 1);
    assert_int_equal(count(text, "\033[4;6H"), 1);
    sal_raster_release(&raster);
}

static void what_lay_under_a_hole_is_sent_when_it_closes(void **state)
{
    (void)state;
    struct sal_raster raster = {0};
    const struct sal_rect hole = {3, 4, 2, 3};
    sent(&raster, NULL);
    assert_int_equal(count(sent(&raster, &hole), "\xe2\x96\x80"), 0);
    assert_int_equal(count(sent(&raster, NULL), "\xe2\x96\x80"), 6);
    sal_raster_release(&raster);
}

static void after_forgetting_everything_is_sent(void **state)
{
    (void)state;
    struct sal_raster raster = {0};
    sent(&raster, NULL);
    sal_raster_release(&raster);
    assert_int_equal(count(sent(&raster, NULL), "\xe2\x96\x80"), ROWS * COLUMNS);
    sal_raster_release(&raster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_first_write_sends_every_cell_at_its_place, make_pixels),
        cmocka_unit_test_setup(only_what_changed_is_sent_again, make_pixels),
        cmocka_unit_test_setup(what_lay_under_a_hole_is_sent_when_it_closes, make_pixels),
        cmocka_unit_test_setup(after_forgetting_everything_is_sent, make_pixels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
