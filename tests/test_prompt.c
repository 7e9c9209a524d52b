#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "prompt.h"

static void type_all(struct sal_prompt *prompt, const wchar_t *text)
{
    for (; *text; text++)
        assert_int_equal(sal_prompt_type(prompt, *text), SAL_PROMPT_GOES_ON);
}

static void what_is_typed_is_appended(void **state)
{
    (void)state;
    struct sal_prompt prompt;
    sal_prompt_open(&prompt, "save as", "a.p");
    type_all(&prompt, L"ng");
    assert_string_equal(prompt.text, "a.png");
    assert_int_equal(sal_prompt_type(&prompt, L'\r'), SAL_PROMPT_ENTERED);
}

static void backspace_takes_a_whole_character(void **state)
{
    (void)state;
    struct sal_prompt prompt;
    sal_prompt_open(&prompt, "save as", "gr\xc3\xb6");
    type_all(&prompt, L"\x7f");
    assert_string_equal(prompt.text, "gr");
    type_all(&prompt, L"\b\b\b");
    assert_string_equal(prompt.text, "");
}

static void control_characters_never_get_in(void **state)
{
    (void)state;
    struct sal_prompt prompt;
    sal_prompt_open(&prompt, "save as", "");
    type_all(&prompt, L"a\x01\x1f" L"b\x85");
    assert_string_equal(prompt.text, "ab");
}

static void escape_leaves_it(void **state)
{
    (void)state;
    struct sal_prompt prompt;
    sal_prompt_open(&prompt, "save as", "a");
    assert_int_equal(sal_prompt_type(&prompt, 27), SAL_PROMPT_LEFT);
    assert_false(prompt.open);
}

static void more_than_it_holds_is_dropped(void **state)
{
    (void)state;
    struct sal_prompt prompt;
    sal_prompt_open(&prompt, "save as", "");
    for (int i = 0; i < 2000; i++)
        type_all(&prompt, L"x");
    assert_int_equal(strlen(prompt.text), sizeof(prompt.text) - 1);
}

static void whole_words_and_lines_can_be_taken_away(void **state)
{
    (void)state;
    struct sal_prompt prompt;
    sal_prompt_open(&prompt, "save as", "case-gradcam-nodule.png");
    type_all(&prompt, L"\x17");
    assert_string_equal(prompt.text, "case-gradcam-nodule.");
    type_all(&prompt, L"\x17");
    assert_string_equal(prompt.text, "case-gradcam-");
    type_all(&prompt, L"\x15");
    assert_string_equal(prompt.text, "");
}

int main(void)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_typed_is_appended),
        cmocka_unit_test(backspace_takes_a_whole_character),
        cmocka_unit_test(control_characters_never_get_in),
        cmocka_unit_test(escape_leaves_it),
        cmocka_unit_test(more_than_it_holds_is_dropped),
        cmocka_unit_test(whole_words_and_lines_can_be_taken_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
