/* The memory plan: what lives together never overlaps, and little is wasted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

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
        size_t total = sal_plan_place(at, 0, 60);
        for (int i = 0; i < 60; i++) {
            assert_int_equal(at[i].offset % SAL_PLAN_ALIGN, 0);
            assert_true(at[i].offset + at[i].size <= total);
            for (int j = 0; j < i; j++)
                assert_false(overlap(&at[i], &at[j]));
        }
    }
}

/* The most that lives at any step. */
static size_t least_total(const struct sal_interval *at, int n, int steps)
{
    size_t most = 0, live = 0;
    size_t *begun = calloc((size_t)steps + 2, 2 * sizeof(*begun));
    size_t *ended = begun + steps + 2;
    for (int i = 0; i < n; i++) {
        begun[at[i].first] += at[i].size;
        ended[at[i].last + 1] += at[i].size;
    }
    for (int t = 0; t <= steps; t++) {
        live += begun[t] - ended[t];
        most = live > most ? live : most;
    }
    free(begun);
    return most;
}

static void check_many(struct sal_interval *at, int n, int steps, double slack)
{
    size_t total = sal_plan_place(at, 0, n);
    assert_true((double)total <= slack * (double)least_total(at, n, steps));
    for (int i = 0; i < n; i++) {
        assert_true(at[i].offset + at[i].size <= total);
        for (int j = 0; j < i; j++)
            if (overlap(&at[i], &at[j]))
                fail_msg("%d and %d overlap", i, j);
    }
}

/* More than are held against one another. */
static void many_tensors_are_placed_as_well(void **state)
{
    (void)state;
    enum { N = 12000 };
    uint64_t seed = 2;
    struct sal_interval *at = calloc(N, sizeof(*at));
    for (int i = 0; i < N; i++)
        at[i] = (struct sal_interval){.size = 1 + next(&seed) % 5000,
                                      .first = 3 * i,
                                      .last = 3 * i + (int)(next(&seed) % 9)};
    check_many(at, N, 3 * N + 9, 1.25);
    for (int i = 0; i < N; i++)
        at[i] = (struct sal_interval){
            .size = 1 + next(&seed) % 5000,
            .first = i,
            .last = i < N / 2 ? N - i : i + 1};
    check_many(at, N, N + 1, 1.02);
    for (int i = 0; i < N; i++) {
        int first = (int)(next(&seed) % N);
        at[i] = (struct sal_interval){.size = 1 + next(&seed) % 5000,
                                      .first = first,
                                      .last = first + (int)(next(&seed) % (N / 2))};
    }
    check_many(at, N, 2 * N, 1.5);
    free(at);
}

static void a_chain_needs_two_places(void **state)
{
    (void)state;
    struct sal_interval at[100];
    for (int i = 0; i < 100; i++)
        at[i] = (struct sal_interval){.size = 640, .first = i, .last = i + 1};
    assert_int_equal(sal_plan_place(at, 0, 100), 2 * 640);
}

static void what_has_a_place_keeps_it(void **state)
{
    (void)state;
    struct sal_interval at[4] = {{.size = 640, .first = 0, .last = 4, .offset = 640},
                                 {.size = 640, .first = 6, .last = 9, .offset = 64},
                                 {.size = 640, .first = 1, .last = 3},
                                 {.size = 640, .first = 3, .last = 7}};
    assert_int_equal(sal_plan_place(at, 2, 4), 3 * 640);
    assert_int_equal(at[0].offset, 640);
    assert_int_equal(at[1].offset, 64);
    assert_int_equal(at[2].offset, 0);
    assert_int_equal(at[3].offset, 2 * 640);
}

static void nothing_takes_no_place(void **state)
{
    (void)state;
    struct sal_interval at[2] = {{.size = 0, .last = 9}, {.size = 64, .last = 9}};
    assert_int_equal(sal_plan_place(at, 0, 2), 64);
    assert_int_equal(sal_plan_place(NULL, 0, 0), 0);
}

static void a_size_beyond_memory_is_refused(void **state)
{
    (void)state;
    struct sal_interval at[1] = {{.size = SIZE_MAX - 3}};
    assert_int_equal(sal_plan_place(at, 0, 1), SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_alive_together_do_not_overlap),
        cmocka_unit_test(many_tensors_are_placed_as_well),
        cmocka_unit_test(a_chain_needs_two_places),
        cmocka_unit_test(what_has_a_place_keeps_it),
        cmocka_unit_test(nothing_takes_no_place),
        cmocka_unit_test(a_size_beyond_memory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
