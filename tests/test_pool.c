/* The pool, jobs and declared parameters. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "saliscope/job.h"
#include "saliscope/param.h"
#include "saliscope/pool.h"

enum { TILES = 1000 };

struct tally {
    atomic_int seen[TILES];
    atomic_int wrong; /* workers outside the pool */
    int threads;
};

static void mark(void *context, int tile, int worker)
{
    struct tally *tally = context;
    atomic_fetch_add(&tally->seen[tile], 1);
    if (worker < 0 || worker >= tally->threads)
        atomic_fetch_add(&tally->wrong, 1);
}

static void run_rounds(struct sal_pool *pool, int rounds)
{
    for (int round = 0; round < rounds; round++) {
        struct tally tally = {.threads = sal_pool_threads(pool)};
        sal_pool_run(pool, TILES, mark, &tally);
        for (int i = 0; i < TILES; i++)
            assert_int_equal(atomic_load(&tally.seen[i]), 1);
        assert_int_equal(atomic_load(&tally.wrong), 0);
    }
}

static void every_tile_runs_once(void **state)
{
    (void)state;
    run_rounds(NULL, 1);
    static const int threads[] = {1, 2, 3, 8};
    for (size_t i = 0; i < sizeof(threads) / sizeof(*threads); i++) {
        struct sal_pool *pool;
        assert_int_equal(sal_pool_open(&pool, threads[i], NULL), SAL_OK);
        assert_int_equal(sal_pool_threads(pool), threads[i]);
        run_rounds(pool, 50);
        sal_pool_run(pool, 0, mark, NULL);
        sal_pool_close(pool);
    }
}

static void dawdle(void *context, int tile, int worker)
{
    (void)tile;
    usleep(worker ? 2000 : 100);
    atomic_fetch_add((atomic_int *)context, 1);
}

static void run_waits_for_the_slowest(void **state)
{
    (void)state;
    struct sal_pool *pool;
    assert_int_equal(sal_pool_open(&pool, 3, NULL), SAL_OK);
    for (int i = 0; i < 50; i++) {
        atomic_int done = 0;
        sal_pool_run(pool, 20, dawdle, &done);
        assert_int_equal(atomic_load(&done), 20);
    }
    sal_pool_close(pool);
}

static void wait_for_each_other(void *context, int tile, int worker)
{
    (void)tile;
    (void)worker;
    pthread_barrier_wait(context);
}

static void as_many_tiles_as_threads_run_at_once(void **state)
{
    (void)state;
    for (int threads = 2; threads <= 8; threads += 3) {
        struct sal_pool *pool;
        pthread_barrier_t barrier;
        assert_int_equal(sal_pool_open(&pool, threads, NULL), SAL_OK);
        pthread_barrier_init(&barrier, NULL, (unsigned)threads);
        for (int i = 0; i < 20; i++) {
            usleep(i % 4 ? 0 : 1000); /* from sleep, too */
            sal_pool_run(pool, threads, wait_for_each_other, &barrier);
        }
        pthread_barrier_destroy(&barrier);
        sal_pool_close(pool);
    }
}

static double processor_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void an_idle_pool_costs_nothing(void **state)
{
    (void)state;
    for (int threads = 2; threads <= 8; threads += 6) {
        struct sal_pool *pool;
        assert_int_equal(sal_pool_open(&pool, threads, NULL), SAL_OK);
        run_rounds(pool, 1);
        double before = processor_seconds();
        usleep(300000);
        double used = processor_seconds() - before;
        assert_true(used < 0.03);
        sal_pool_close(pool);
    }
}

static void *second_caller(void *pool)
{
    run_rounds(pool, 50);
    return NULL;
}

static void two_callers_take_turns(void **state)
{
    (void)state;
    struct sal_pool *pool;
    pthread_t other;
    assert_int_equal(sal_pool_open(&pool, 3, NULL), SAL_OK);
    assert_int_equal(pthread_create(&other, NULL, second_caller, pool), 0);
    run_rounds(pool, 50);
    pthread_join(other, NULL);
    sal_pool_close(pool);
}

static void a_silly_number_of_threads_is_refused(void **state)
{
    (void)state;
    struct sal_pool *pool;
    struct sal_error err;
    assert_int_equal(sal_pool_open(&pool, -1, &err), SAL_USAGE);
    assert_non_null(strstr(err.text, "-1"));
    assert_int_equal(sal_pool_open(&pool, 257, &err), SAL_USAGE);
}

static void a_job_tells_how_far_it_is(void **state)
{
    (void)state;
    struct sal_job job = {0};
    assert_true(sal_job_progress(&job) < 0);
    sal_job_begin(&job, 4);
    sal_job_step(&job, 1);
    assert_true(sal_job_progress(&job) == 0.25);
    sal_job_step(&job, 9);
    assert_true(sal_job_progress(&job) == 1);
    assert_false(sal_job_cancelled(&job));
    sal_job_cancel(&job);
    assert_true(sal_job_cancelled(&job));
    sal_job_begin(NULL, 1);
    sal_job_cancel(NULL);
    assert_false(sal_job_cancelled(NULL));
}

static const char *const rules[] = {"gauss", "trapezoid", NULL};
static const struct sal_param list[] = {
    {"steps", SAL_PARAM_INT, 50, 1, 1000, "", NULL, "steps", NULL, NULL},
    {"eps", SAL_PARAM_REAL, 0.5, 0, 1, "intensity", NULL, "size", "exact", NULL},
    {"exact", SAL_PARAM_BOOL, 0, 0, 1, "", NULL, "exact", "rule", "trapezoid"},
    {"rule", SAL_PARAM_CHOICE, 0, 0, 1, "", rules, "rule", NULL, NULL},
    {"rules", SAL_PARAM_SET, 1, 0, 1, "", rules, "rules", NULL, NULL},
    {"order", SAL_PARAM_INT, 2, 1, 9, "", NULL, "of gauss", "rules", "gauss"},
    {0},
};

static void parameters_are_set_by_text(void **state)
{
    (void)state;
    struct sal_params p;
    sal_params_init(&p, list);
    assert_true(sal_params_get(&p, list, "steps") == 50);
    assert_int_equal(sal_params_set(&p, list, "steps=7", "ig", NULL), SAL_OK);
    assert_int_equal(sal_params_set(&p, list, "eps=2/255", "ig", NULL), SAL_OK);
    assert_int_equal(sal_params_set(&p, list, "exact=yes", "ig", NULL), SAL_OK);
    assert_int_equal(sal_params_set(&p, list, "rule=trapezoid", "ig", NULL), SAL_OK);
    assert_true(sal_params_get(&p, list, "steps") == 7);
    assert_true(sal_params_get(&p, list, "eps") == 2.0 / 255);
    char text[32];
    assert_string_equal(sal_param_text(&list[3], p.value[3], text, sizeof(text)), "trapezoid");
    assert_string_equal(sal_param_text(&list[2], p.value[2], text, sizeof(text)), "yes");
}

static void a_set_has_its_names_in_the_order_of_the_list(void **state)
{
    (void)state;
    struct sal_params p;
    char text[32];
    sal_params_init(&p, list);
    assert_int_equal(sal_params_set(&p, list, "rules=trapezoid+gauss", "ig", NULL), SAL_OK);
    assert_true(sal_params_get(&p, list, "rules") == 3);
    assert_string_equal(sal_param_text(&list[4], 3, text, sizeof(text)), "gauss+trapezoid");
    assert_string_equal(sal_param_text(&list[4], 2, text, sizeof(text)), "trapezoid");
    assert_string_equal(sal_param_text(&list[4], 3, text, 8), "gauss+t");
}

static void what_another_leaves_unused_does_not_count(void **state)
{
    (void)state;
    enum { STEPS, EPS, EXACT, RULE, RULES, ORDER };
    struct sal_params p;
    sal_params_init(&p, list);
    assert_true(sal_param_counts(&p, list, STEPS) && sal_param_counts(&p, list, ORDER));
    assert_false(sal_param_counts(&p, list, EPS) || sal_param_counts(&p, list, EXACT));
    p.value[EXACT] = p.value[RULE] = 1;
    p.value[RULES] = 2;
    assert_true(sal_param_counts(&p, list, EPS) && sal_param_counts(&p, list, EXACT));
    assert_false(sal_param_counts(&p, list, ORDER));
    p.value[RULES] = 3;
    assert_true(sal_param_counts(&p, list, ORDER));
}

static void a_value_reads_back_as_itself(void **state)
{
    (void)state;
    static const struct sal_param any[] = {
        {"v", SAL_PARAM_REAL, 0, -1e300, 1e300, "", NULL, "any", NULL, NULL}, {0}};
    static const double values[] = {0,       0.1,     2.0 / 255, 254.0 / 255, 1.0 / 3,
                                    -0.25,   1e-300,  1e300,     4294967295., 1000000,
                                    2.2e-16, 1e17 / 3, -1.0 / 255};
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        char text[40] = "v=";
        struct sal_params p;
        sal_param_text(any, values[i], text + 2, sizeof(text) - 2);
        assert_int_equal(sal_params_set(&p, any, text, "any", NULL), SAL_OK);
        assert_memory_equal(&p.value[0], &values[i], sizeof(double));
    }
    char text[32];
    assert_string_equal(sal_param_text(any, 2.0 / 255, text, sizeof(text)), "2/255");
    assert_string_equal(sal_param_text(any, 1000000, text, sizeof(text)), "1000000");
}

static void an_unknown_key_is_named_without_its_value(void **state)
{
    (void)state;
    struct sal_params p;
    struct sal_error err;
    assert_int_equal(sal_params_set(&p, list, "step=1", "ig", &err), SAL_USAGE);
    assert_string_equal(err.text,
                        "ig has no parameter 'step'; it has steps, eps, exact, rule, "
                        "rules, order");
}

static void what_is_out_of_range_is_told(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "steps=0",  "steps=1001", "steps=1.5", "steps=", "steps", "steps=7x", "eps=nan",
        "eps=1/0",  "eps=-0.1",   "eps=2",     "exact=perhaps", "rule=simpson",
        "rules=",   "rules=gauss+", "rules=gaus", "rules=+gauss", "rules=gauss+simpson",
        "nothing=1", "=1",        "",          "step=1"};
    struct sal_params p;
    sal_params_init(&p, list);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct sal_error err = {0};
        assert_int_equal(sal_params_set(&p, list, bad[i], "ig", &err), SAL_USAGE);
        assert_non_null(strstr(err.text, "ig"));
    }
    struct sal_error err;
    sal_params_set(&p, list, "rule=simpson", "ig", &err);
    assert_string_equal(err.text, "ig: rule must be one of gauss, trapezoid, not 'simpson'");
    sal_params_set(&p, list, "rules=gauss,trapezoid", "ig", &err);
    assert_string_equal(err.text, "ig: rules must be one or more, joined by +, of gauss, "
                                  "trapezoid, not 'gauss,trapezoid'");
    assert_int_equal(sal_params_set(&p, NULL, "a=1", "gradcam", &err), SAL_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tile_runs_once),
        cmocka_unit_test(run_waits_for_the_slowest),
        cmocka_unit_test(as_many_tiles_as_threads_run_at_once),
        cmocka_unit_test(an_idle_pool_costs_nothing),
        cmocka_unit_test(two_callers_take_turns),
        cmocka_unit_test(a_silly_number_of_threads_is_refused),
        cmocka_unit_test(a_job_tells_how_far_it_is),
        cmocka_unit_test(parameters_are_set_by_text),
        cmocka_unit_test(a_set_has_its_names_in_the_order_of_the_list),
        cmocka_unit_test(what_another_leaves_unused_does_not_count),
        cmocka_unit_test(a_value_reads_back_as_itself),
        cmocka_unit_test(an_unknown_key_is_named_without_its_value),
        cmocka_unit_test(what_is_out_of_range_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
