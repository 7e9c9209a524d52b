#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "saliscope/bench.h"
#include "saliscope/clock.h"
#include "saliscope/run.h"

static const char model[] = "samples/models/phantom.onnx";

static int open_session(void **state)
{
    struct sal_session *session = NULL;
    struct sal_session_options options = {.threads = 2};
    if (sal_session_open(&session, model, &options, NULL))
        return -1;
    *state = session;
    return 0;
}

static int close_session(void **state)
{
    sal_session_close(*state);
    return 0;
}

/* ---- what is asked for ------------------------------------------------------------------ */

static bool fits(size_t memory, int batch, bool gradient)
{
    struct sal_session *session;
    struct sal_bench *bench = NULL;
    struct sal_session_options options = {.threads = 1, .memory = memory};
    struct sal_error err = {0};
    if (sal_session_open(&session, model, &options, &err))
        return false;
    enum sal_status status = sal_bench_open(&bench, session, batch, gradient, &err);
    assert_true(status == SAL_OK || status == SAL_LIMIT);
    sal_bench_close(bench);
    sal_session_close(session);
    return status == SAL_OK;
}

/* The least limit it fits in, to 1 KiB. */
static size_t needed(int batch, bool gradient)
{
    size_t low = 0, high = (size_t)1 << 30;
    assert_true(fits(high, batch, gradient));
    while (high - low > 1024) {
        size_t middle = low + (high - low) / 2;
        if (fits(middle, batch, gradient))
            high = middle;
        else
            low = middle;
    }
    return high;
}

/* Time would say it too, but not on a busy machine. */
static void a_gradient_and_more_images_need_more(void **state)
{
    (void)state;
    size_t plain = needed(1, false);
    assert_true(needed(1, true) > plain + 1024);
    assert_true(needed(4, false) > plain + 1024);
}

static void a_pass_takes_part_of_the_time_around_it(void **state)
{
    struct sal_bench *bench;
    struct sal_error err = {0};
    double ms = -1;
    assert_int_equal(sal_bench_open(&bench, *state, 1, true, &err), SAL_OK);
    double begin = sal_seconds();
    assert_int_equal(sal_bench_pass(bench, &ms, &err), SAL_OK);
    double around = (sal_seconds() - begin) * 1e3;
    assert_true(ms > 0 && ms <= around);
    sal_bench_close(bench);
}

static void a_batch_over_the_memory_limit_is_refused(void **state)
{
    (void)state;
    struct sal_session *session;
    struct sal_session_options options = {.threads = 1, .memory = 64 << 20};
    struct sal_error err = {0};
    assert_int_equal(sal_session_open(&session, model, &options, &err), SAL_OK);
    struct sal_bench *bench;
    assert_int_equal(sal_bench_open(&bench, session, 4000, false, &err), SAL_LIMIT);
    sal_session_close(session);
}

static void peak_memory_grows_by_what_is_touched(void **state)
{
    enum { MIB = 64 };
    double before = sal_bench_machine(*state).peak_mib;
    char *block = malloc(MIB << 20);
    assert_non_null(block);
    for (size_t i = 0; i < MIB << 20; i += 4096)
        ((volatile char *)block)[i] = 1;
    double after = sal_bench_machine(*state).peak_mib;
    free(block);
    assert_true(before > 1);
    assert_true(after > before && after < before + 2 * MIB);
    assert_true(sal_bench_machine(*state).peak_mib >= after - 1);
}

/* Wide bounds: under valgrind a thread does a thousandth of a real one. A loop that the
 * compiler saw through would be beyond the upper one. */
static void the_peak_is_one_that_processors_reach(void **state)
{
    double peak = sal_peak_flops(NULL);
    assert_true(peak > 1e7 && peak < 1e12);
    struct sal_bench_machine machine = sal_bench_machine(*state);
    assert_int_equal(machine.threads, 2);
    assert_true(machine.peak_flops > 0.3 * peak && machine.peak_flops < 2.5 * peak);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gradient_and_more_images_need_more),
        cmocka_unit_test(a_pass_takes_part_of_the_time_around_it),
        cmocka_unit_test(a_batch_over_the_memory_limit_is_refused),
        cmocka_unit_test(peak_memory_grows_by_what_is_touched),
        cmocka_unit_test(the_peak_is_one_that_processors_reach),
    };
    return cmocka_run_group_tests(tests, open_session, close_session);
}
