/* The memory plan: what lives together never overlaps, and little is wasted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "plan.h"

static uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static int overlap(const struct sal_interval *a, const struct sal_interval *b)
{
    int in_time = a->first <= b->last && b->first <= a->last;
    int in_space = a->offset < b->offset + b->size && b->offset < a->offset + a->size;
    return in_time && in_space;
}

static void tensors_alive_together_do_not_overlap(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int round = 0; round < 50; round++) {
        struct sal_interval at[60];
        for (int i = 0; i < 60; i++) {
            int first = (int)(next(&seed) % 40);
            at[i] = (struct sal_interval){.size = next(&seed) % 5000,
                                          .first = first,
                                          .last = first + (int)(next(&seed) % 20)};
        }
        size_t total = sal_plan_place(at, 60);
        for (int i = 0; i < 60; i++) {
            assert_int_equal(at[i].offset % SAL_PLAN_ALIGN, 0);
            assert_true(at[i].offset + at[i].size <= total);
            for (int j = 0; j < i; j++)
                assert_false(overlap(&at[i], &at[j]));
        }
    }
}

static void a_chain_needs_two_places(void **state)
{
    (void)state;
    struct sal_interval at[100];
    for (int i = 0; i < 100; i++)
        at[i] = (struct sal_interval){.size = 640, .first = i, .last = i + 1};
    assert_int_equal(sal_plan_place(at, 100), 2 * 640);
}

static void nothing_takes_no_place(void **state)
{
    (void)state;
    struct sal_interval at[2] = {{.size = 0, .last = 9}, {.size = 64, .last = 9}};
    assert_int_equal(sal_plan_place(at, 2), 64);
    assert_int_equal(sal_plan_place(NULL, 0), 0);
}

static void a_size_beyond_memory_is_refused(void **state)
{
    (void)state;
    struct sal_interval at[1] = {{.size = SIZE_MAX - 3}};
    assert_int_equal(sal_plan_place(at, 1), SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_alive_together_do_not_overlap),
        cmocka_unit_test(a_chain_needs_two_places),
        cmocka_unit_test(nothing_takes_no_place),
        cmocka_unit_test(a_size_beyond_memory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
