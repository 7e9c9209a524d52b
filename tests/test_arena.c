/* Arena, buffer and names: what hangs together is zeroed, bounded, and found again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "saliscope/arena.h"
#include "saliscope/buffer.h"
#include "saliscope/names.h"

static void memory_is_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    struct sal_arena arena = {0};
    char *last = NULL;
    for (size_t i = 1; i < 3000; i += 7) {
        char *p = sal_arena_alloc(&arena, i, 100);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        for (size_t k = 0; k < i * 100; k++)
            if (p[k])
                fail_msg("byte %zu of %zu is not zero", k, i * 100);
        memset(p, 0xff, i * 100);
        assert_true(p != last);
        last = p;
    }
    sal_arena_release(&arena);
    assert_int_equal(arena.used, 0);
}

static void an_arena_keeps_its_limit(void **state)
{
    (void)state;
    struct sal_arena arena = {.limit = 1000};
    assert_non_null(sal_arena_alloc(&arena, 1, 900));
    assert_null(sal_arena_alloc(&arena, 1, 900));
    sal_arena_release(&arena);
    assert_non_null(sal_arena_alloc(&arena, 1, 900));
    sal_arena_release(&arena);
}

static void sizes_that_overflow_are_refused(void **state)
{
    (void)state;
    struct sal_arena arena = {0};
    assert_null(sal_arena_alloc(&arena, SIZE_MAX / 2, 3));
    assert_null(sal_arena_alloc(&arena, SIZE_MAX, 1));
    assert_null(sal_arena_copy(&arena, "", SIZE_MAX));
    assert_non_null(sal_arena_alloc(&arena, 0, 8));
    sal_arena_release(&arena);
}

static void text_is_copied_and_formatted(void **state)
{
    (void)state;
    struct sal_arena arena = {0};
    assert_string_equal(sal_arena_copy(&arena, "abcdef", 3), "abc");
    assert_string_equal(sal_arena_format(&arena, "%d of %s", 3, "nine"), "3 of nine");
    sal_arena_release(&arena);
}

static void a_buffer_grows_and_stays_failed(void **state)
{
    (void)state;
    struct sal_buffer buffer = {0};
    for (int i = 0; i < 1000; i++)
        sal_buffer_format(&buffer, "%d,", i);
    sal_buffer_append(&buffer, "end", 3);
    assert_false(buffer.failed);
    assert_int_equal(buffer.size, 2890 + 1000 + 3);
    assert_memory_equal(buffer.data, "0,1,2,", 6);
    assert_memory_equal(buffer.data + buffer.size - 3, "end", 3);
    sal_buffer_append(&buffer, "x", SIZE_MAX);
    assert_true(buffer.failed);
    size_t size = buffer.size;
    sal_buffer_append(&buffer, "more", 4);
    assert_int_equal(buffer.size, size);
    sal_buffer_release(&buffer);
    assert_null(buffer.data);
}

static void names_are_found_again(void **state)
{
    (void)state;
    enum { N = 5000 };
    static char text[N][16];
    struct sal_arena arena = {0};
    struct sal_names names;
    assert_true(sal_names_init(&names, &arena, N));
    for (int i = 0; i < N; i++) {
        snprintf(text[i], sizeof(text[i]), "name%d", i);
        assert_null(sal_names_add(&names, text[i], i));
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(sal_names_find(&names, text[i])->value, i);
        assert_int_equal(sal_names_add(&names, text[i], -1)->value, i);
    }
    assert_null(sal_names_find(&names, "name5000"));
    assert_null(sal_names_find(&names, ""));
    sal_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_aligned_and_apart),
        cmocka_unit_test(an_arena_keeps_its_limit),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(text_is_copied_and_formatted),
        cmocka_unit_test(a_buffer_grows_and_stays_failed),
        cmocka_unit_test(names_are_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
