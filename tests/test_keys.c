#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <ncurses.h>

#include "keys.h"

static void every_request_has_a_row_with_keys_and_help(void **state)
{
    (void)state;
    for (int i = 0; i < SAL_REQUESTS; i++) {
        const char *help = sal_tui_keys[i].help;
        assert_non_null(sal_tui_keys[i].keys);
        assert_true(*sal_tui_keys[i].keys);
        assert_non_null(help);
        assert_true(strlen(help) > 3 && help[strlen(help) - 1] != '.');
    }
    assert_null(sal_tui_keys[SAL_REQUESTS].keys);
}

static void every_key_asks_for_its_own_row(void **state)
{
    (void)state;
    for (int i = 0; i < SAL_REQUESTS; i++) {
        const char *cursor = sal_tui_keys[i].keys, *name;
        size_t size;
        int n = 0;
        while ((name = sal_key_next(&cursor, &size))) {
            int code = sal_key_code(name, size);
            assert_true(code > 0);
            /* A key named twice would find the earlier row. */
            assert_int_equal(sal_key_request(code), i);
            n++;
        }
        assert_true(n >= 1);
    }
}

static void no_key_is_named_twice(void **state)
{
    (void)state;
    int seen[256], n = 0;
    for (int i = 0; i < SAL_REQUESTS; i++) {
        const char *cursor = sal_tui_keys[i].keys, *name;
        size_t size;
        while ((name = sal_key_next(&cursor, &size))) {
            int code = sal_key_code(name, size);
            for (int k = 0; k < n; k++)
                assert_int_not_equal(seen[k], code);
            assert_true(n < 256);
            seen[n++] = code;
        }
    }
}

static void arrows_and_letters_mean_the_same(void **state)
{
    (void)state;
    static const int same[][2] = {{KEY_DOWN, 'j'}, {KEY_UP, 'k'}, {KEY_LEFT, 'h'},
                                  {KEY_RIGHT, 'l'}, {'?', KEY_F(1)}, {'o', ' '},
                                  {'n', '\t'}, {'\n', '\r'}, {'\n', KEY_ENTER}};
    for (size_t i = 0; i < sizeof(same) / sizeof(*same); i++) {
        assert_int_equal(sal_key_request(same[i][0]), sal_key_request(same[i][1]));
        assert_int_not_equal(sal_key_request(same[i][0]), SAL_REQUESTS);
    }
    assert_int_not_equal(sal_key_request('m'), sal_key_request('M'));
}

static void an_unknown_key_asks_for_nothing(void **state)
{
    (void)state;
    assert_int_equal(sal_key_request('~'), SAL_REQUESTS);
    assert_int_equal(sal_key_request(-1), SAL_REQUESTS);
    assert_int_equal(sal_key_request(KEY_RESIZE), SAL_REQUESTS);
    assert_int_equal(sal_key_code("Nowhere", 7), -1);
}

static void the_footer_tells_how_to_quit_and_get_help(void **state)
{
    (void)state;
    assert_string_equal(sal_key_hints[SAL_REQUEST_QUIT], "quit");
    assert_string_equal(sal_key_hints[SAL_REQUEST_HELP], "help");
}

/* Eighty columns are enough for all that leads on: two blanks between, one in each. */
static void the_footer_has_room_for_what_leads_on(void **state)
{
    (void)state;
    int columns = -2;
    for (int i = 0; i <= SAL_REQUEST_CANCEL; i++) {
        const char *cursor = sal_tui_keys[i].keys;
        size_t size;
        if (sal_key_hints[i] && sal_key_next(&cursor, &size))
            columns += 2 + (int)size + 1 + (int)strlen(sal_key_hints[i]);
    }
    assert_true(columns <= 80);
    assert_non_null(sal_key_hints[SAL_REQUEST_PROBE]);
    assert_non_null(sal_key_hints[SAL_REQUEST_CANCEL]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_has_a_row_with_keys_and_help),
        cmocka_unit_test(every_key_asks_for_its_own_row),
        cmocka_unit_test(no_key_is_named_twice),
        cmocka_unit_test(arrows_and_letters_mean_the_same),
        cmocka_unit_test(an_unknown_key_asks_for_nothing),
        cmocka_unit_test(the_footer_tells_how_to_quit_and_get_help),
        cmocka_unit_test(the_footer_has_room_for_what_leads_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
