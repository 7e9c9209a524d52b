#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "saliscope/bench.h"
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

static double best_of(struct sal_session *session, int batch, bool gradient)
{
    struct sal_bench *bench;
    struct sal_error err = {0};
    double best = HUGE_VAL, ms;
    assert_int_equal(sal_bench_open(&bench, session, batch, gradient, &err), SAL_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sal_bench_pass(bench, &ms, &err), SAL_OK);
        best = ms < best ? ms : best;
    }
    sal_bench_close(bench);
    return best;
}

static void a_pass_takes_longer_with_a_gradient_and_with_more_images(void **state)
{
    double plain = best_of(*state, 1, false);
    assert_true(plain > 0);
    assert_true(best_of(*state, 1, true) > plain * 1.1);
    assert_true(best_of(*state, 4, false) > plain * 1.5);
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
        cmocka_unit_test(a_pass_takes_longer_with_a_gradient_and_with_more_images),
        cmocka_unit_test(a_batch_over_the_memory_limit_is_refused),
        cmocka_unit_test(peak_memory_grows_by_what_is_touched),
        cmocka_unit_test(the_peak_is_one_that_processors_reach),
    };
    return cmocka_run_group_tests(tests, open_session, close_session);
}
