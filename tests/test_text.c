/* Text that reaches a person: nothing in it may steer a terminal. */
#include <limits.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include <cmocka.h>

#include "saliscope/sha256.h"
#include "saliscope/status.h"
#include "saliscope/text.h"

static const char *const hostile[] = {
    "plain", "", "\x1b[2J\x1b[H", "\x1b]0;title\x07", "\x1bP+q544e\x1b\\", "a\rb\nc\td",
    "\x7f", "\x01\x02\x03\x04\x05\x06\x07\x08", "\xc2\x9b" "31m", "\xc2\x90q\xc2\x9c",
    "\x9b" "31m", "\xe2\x80\xae" "gnp.exe", "\xe2\x80\x8f\xe2\x80\x8e", "\xd8\x9c",
    "\xe2\x81\xa6\xe2\x81\xa9", "\xe2\x80\x8b\xe2\x80\x8c\xe2\x80\x8d\xef\xbb\xbf",
    "\xee\x80\x80", "\xf3\xa0\x81\x81", "\xc3\xa9t\xc3\xa9", "\xe6\x97\xa5\xe6\x9c\xac",
    "\xf0\x9f\xab\x81", "\xc0\x80", "\xc1\xbf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf",
    "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff\xfe", "\xe2\x82", "\xf0\x9f\xab",
    "ok\xe2\x82", "\x80\x80\x80", "e\xcc\x81", "\xf5\x80\x80\x80", "x\xcd\xb8y",
    "\xf3\xbf\xbf\xbd", "\xef\xbf\xbe", "\x1b", "a\x1b", "\x1b\x1b\x1b[31;1mred",
};

enum { CORPUS = sizeof(hostile) / sizeof(*hostile) };

/* Decodes one character of valid UTF-8; 0 at the end, -1 where it is malformed. */
static int32_t decode(const char **text)
{
    const unsigned char *p = (const unsigned char *)*text;
    int more = *p < 0x80 ? 0 : *p >> 5 == 6 ? 1 : *p >> 4 == 14 ? 2 : *p >> 3 == 30 ? 3 : -1;
    static const unsigned char mask[] = {0x7f, 0x1f, 0x0f, 0x07};
    static const int32_t least[] = {0, 0x80, 0x800, 0x10000};
    if (more < 0)
        return -1;
    int32_t c = *p & mask[more];
    for (int i = 1; i <= more; i++) {
        if (p[i] >> 6 != 2)
            return -1;
        c = c << 6 | (p[i] & 0x3f);
    }
    *text += more + 1;
    return c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? -1 : c;
}

static void assert_harmless(const char *text)
{
    int32_t c;
    while ((c = decode(&text)) != 0) {
        assert_true(c >= 0x20);
        assert_false(c >= 0x7f && c < 0xa0);
        assert_false(c >= 0x200b && c <= 0x200f);
        assert_false(c >= 0x202a && c <= 0x202e);
        assert_false(c >= 0x2066 && c <= 0x2069);
        assert_false(c == 0x61c || c == 0xfeff);
        assert_false(c >= 0xe000 && c <= 0xf8ff);
        assert_false(c >= 0xe0000);
    }
}

static void hostile_text_becomes_harmless(void **state)
{
    (void)state;
    for (int i = 0; i < CORPUS; i++) {
        char once[256], twice[256];
        sal_text_clean(once, sizeof(once), hostile[i]);
        assert_harmless(once);
        sal_text_clean(twice, sizeof(twice), once);
        assert_string_equal(once, twice);
    }
}

static void good_text_is_kept(void **state)
{
    (void)state;
    char out[64];
    static const char *const good[] = {"plain", "\xc3\xa9t\xc3\xa9",
                                       "\xe6\x97\xa5\xe6\x9c\xac", "caf\x65\xcc\x81"};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_string_equal(sal_text_clean(out, sizeof(out), good[i]), good[i]);
    assert_string_equal(sal_text_clean(out, sizeof(out), "a\x1b[1m"), "a\xef\xbf\xbd[1m");
}

static void cutting_never_splits_a_character(void **state)
{
    (void)state;
    for (int i = 0; i < CORPUS; i++)
        for (size_t capacity = 1; capacity < 24; capacity++) {
            char out[32];
            memset(out, 'Z', sizeof(out));
            sal_text_clean(out, capacity, hostile[i]);
            assert_true(strlen(out) < capacity);
            assert_int_equal(out[capacity], 'Z');
            assert_harmless(out);
        }
}

static void columns_count_wide_and_combining(void **state)
{
    (void)state;
    assert_int_equal(sal_text_columns(""), 0);
    assert_int_equal(sal_text_columns("abc"), 3);
    assert_int_equal(sal_text_columns("\xe6\x97\xa5\xe6\x9c\xac"), 4);
    assert_int_equal(sal_text_columns("e\xcc\x81"), 1);
}

static void clipping_fits_the_columns(void **state)
{
    (void)state;
    for (int columns = 1; columns < 8; columns++) {
        char text[64] = "ab\xe6\x97\xa5\xe6\x9c\xac" "cdef";
        sal_text_clip(text, columns, columns % 2);
        assert_true(sal_text_columns(text) <= columns);
        assert_harmless(text);
    }
    char plain[16] = "abcdef";
    sal_text_clip(plain, 4, 1);
    assert_string_equal(plain, "abc~");
    sal_text_clip(plain, 4, 1);
    assert_string_equal(plain, "abc~");
}

static void clipping_never_needs_more_room(void **state)
{
    (void)state;
    for (int i = 0; i < CORPUS; i++)
        for (int columns = -1; columns < 12; columns++) {
            char clean[256], twice[256];
            sal_text_clean(clean, sizeof(clean), hostile[i]);
            size_t room = strlen(clean) + 1;
            int before = sal_text_columns(clean);
            char *text = malloc(room); /* a byte too many is seen by sanitizers */
            memcpy(text, clean, room);
            sal_text_clip(text, columns, 0);
            assert_true(sal_text_columns(text) <= (columns > 0 ? columns : 0));
            if (before <= columns)
                assert_string_equal(text, clean);
            assert_harmless(text);
            strcpy(twice, text);
            sal_text_clip(twice, columns, 0);
            assert_string_equal(text, twice);
            free(text);
        }
    char exact[] = "abcdef", two[] = "ab", wide[] = "\xe6\x97\xa5\xe6\x9c\xac";
    sal_text_clip(exact, 4, 0);
    assert_string_equal(exact, "abc\xe2\x80\xa6");
    sal_text_clip(two, 1, 0);
    assert_string_equal(two, "~");
    sal_text_clip(wide, 3, 0);
    assert_string_equal(wide, "\xe6\x97\xa5\xe2\x80\xa6");
}

/* Characters the C library does not know may be as wide as they like. */
static void columns_are_those_of_the_c_library(void **state)
{
    (void)state;
    if (!setlocale(LC_CTYPE, "C.UTF-8")) {
        print_message("skip: no UTF-8 locale\n");
        skip();
    }
    int wrong = 0, compared = 0;
    for (long c = 0x20; c < 0x30000; c++) {
        char text[MB_LEN_MAX + 1] = "", clean[MB_LEN_MAX + 8];
        int size = c >= 0xd800 && c < 0xe000 ? -1 : wctomb(text, (wchar_t)c);
        int width = wcwidth((wchar_t)c);
        if (size < 1 || width < 0 ||
            strcmp(sal_text_clean(clean, sizeof(clean), text), text) != 0)
            continue;
        compared++;
        wrong += sal_text_columns(text) != width;
    }
    setlocale(LC_CTYPE, "C");
    assert_true(compared > 100000);
    assert_in_range(wrong, 0, compared / 1000); /* another Unicode version */
}

static void a_message_may_quote_itself(void **state)
{
    (void)state;
    struct sal_error err = {0};
    sal_fail(&err, SAL_LIMIT, "needs %d", 3);
    sal_fail(&err, SAL_NO, "%s, has %s", err.text, "2");
    assert_string_equal(err.text, "needs 3, has 2");
}

static void messages_nest_and_are_cut(void **state)
{
    (void)state;
    struct sal_error err = {0};
    assert_int_equal(sal_fail(&err, SAL_LIMIT, "needs %d", 3), SAL_LIMIT);
    sal_fail_within(&err, SAL_BAD_INPUT, "file '%s'", "x.png");
    assert_string_equal(err.text, "file 'x.png': needs 3");
    assert_int_equal(err.status, SAL_BAD_INPUT);
    for (int i = 0; i < 100; i++)
        sal_fail_within(&err, SAL_NO, "%0100d", i);
    assert_true(strlen(err.text) < sizeof(err.text));
    assert_int_equal(sal_fail(NULL, SAL_NO, "nobody listens"), SAL_NO);
    assert_int_equal(sal_status_exit_code(SAL_CANCELLED), 130);
}

static void hashes_are_those_of_the_standard(void **state)
{
    (void)state;
    char hex[65];
    sal_sha256_hex("abc", 3, hex);
    assert_string_equal(
        hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sal_sha256_hex("", 0, hex);
    assert_string_equal(
        hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    static uint8_t million[1000000];
    memset(million, 'a', sizeof(million));
    sal_sha256_hex(million, sizeof(million), hex);
    assert_string_equal(
        hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    for (size_t piece = 1; piece < 200; piece += 13) {
        struct sal_sha256 hash;
        uint8_t a[32], b[32];
        sal_sha256_init(&hash);
        sal_sha256_update(&hash, million, 1000);
        sal_sha256_final(&hash, a);
        sal_sha256_init(&hash);
        for (size_t i = 0; i < 1000; i += piece)
            sal_sha256_update(&hash, million + i, 1000 - i < piece ? 1000 - i : piece);
        sal_sha256_final(&hash, b);
        assert_memory_equal(a, b, 32);
    }
}

/* Long inputs take the processor's instructions, short ones the plain way. */
static void both_ways_of_hashing_agree(void **state)
{
    (void)state;
    enum { SIZE = 100000 };
    static uint8_t data[SIZE];
    uint32_t x = 1;
    for (int i = 0; i < SIZE; i++)
        data[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
    for (size_t size = SIZE - 130; size <= SIZE; size += 13) {
        struct sal_sha256 whole, pieces;
        uint8_t a[32], b[32];
        sal_sha256_init(&whole);
        sal_sha256_update(&whole, data, size);
        sal_sha256_final(&whole, a);
        sal_sha256_init(&pieces);
        for (size_t i = 0; i < size; i += 1000)
            sal_sha256_update(&pieces, data + i, size - i < 1000 ? size - i : 1000);
        sal_sha256_final(&pieces, b);
        assert_memory_equal(a, b, 32);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_text_becomes_harmless),
        cmocka_unit_test(good_text_is_kept),
        cmocka_unit_test(cutting_never_splits_a_character),
        cmocka_unit_test(columns_count_wide_and_combining),
        cmocka_unit_test(clipping_fits_the_columns),
        cmocka_unit_test(clipping_never_needs_more_room),
        cmocka_unit_test(columns_are_those_of_the_c_library),
        cmocka_unit_test(a_message_may_quote_itself),
        cmocka_unit_test(messages_nest_and_are_cut),
        cmocka_unit_test(hashes_are_those_of_the_standard),
        cmocka_unit_test(both_ways_of_hashing_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
