/* Gradients along a way: integrated gradients with steps that are doubled and from several
 * baselines, over blurs, and guided. */
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "baseline.h"
#include "methods.h"
#include "quadrature.h"
#include "saliscope/explain.h"
#include "small_network.h"

/* Where the gradient of a ReLU network without biases changes on the way. */
#define OFF "baseline=value value=0.7"

/* ---- doubled steps ------------------------------------------------------------------- */

/* Points that rule and refinement share are not visited again, and the map is the same. */
static void doubled_steps_give_the_map_of_as_many(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        int last, visited; /* from 5 steps, doubled three times */
    } rows[] = {{"riemann_left", 40, 40},   {"riemann_right", 40, 40},
                {"riemann_middle", 40, 75}, {"gausslegendre", 40, 75},
                {"trapezoid", 33, 33},      {"riemann_trapezoid", 33, 33}};
    struct sal_model *model = make_network(RELU, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char doubled[120], direct[80];
        snprintf(doubled, sizeof(doubled), "rule=%s steps=5 tolerance=1e-9 steps_max=40 " OFF, rows[i].rule);
        snprintf(direct, sizeof(direct), "rule=%s steps=%d " OFF, rows[i].rule,
                 rows[i].last);
        struct sal_map a = map_of(model, "ig", (struct asking){.settings = doubled});
        struct sal_map b = map_of(model, "ig", (struct asking){.settings = direct});
        assert_true(apart(a.by_channel, b.by_channel, N) <= 1e-6);
        assert_true(check_of(&a, "steps") == rows[i].last);
        assert_int_equal(a.backwards, rows[i].visited + 2);
        assert_int_equal(b.backwards, rows[i].last + 2);
        assert_non_null(strstr(a.note, "not within 1e-09 %"));
        assert_false(a.partial);
        sal_map_release(&a);
        sal_map_release(&b);
    }
    sal_model_close(model);
}

static void doubling_ends_where_the_map_adds_up(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct asking how = {.settings = "rule=trapezoid steps=2 tolerance=1"};
    struct sal_map map = map_of(model, "ig", how);
    int steps = (int)check_of(&map, "steps");
    assert_true(steps > 2 && steps <= 129);
    assert_true(fabs(check_of(&map, "completeness_error_percent")) <= 1);
    assert_string_equal(map.note, "");
    sal_map_release(&map);
    char before[80];
    snprintf(before, sizeof(before), "rule=trapezoid steps=%d", (steps + 1) / 2);
    map = map_of(model, "ig", (struct asking){.settings = before});
    assert_true(fabs(check_of(&map, "completeness_error_percent")) > 1);
    sal_map_release(&map);
    sal_model_close(model);
}

/* A coarse rule may add up by chance: it is told which came closest. */
static void a_closer_map_with_fewer_steps_is_told(void **state)
{
    (void)state;
    struct sal_model *model = make_network(RELU, NULL);
    bool found = false;
    for (int steps = 2; steps < 40 && !found; steps++) {
        char settings[120], direct[80];
        snprintf(settings, sizeof(settings),
                 "rule=riemann_middle steps=%d steps_max=%d tolerance=1e-9 " OFF, steps,
                 2 * steps);
        struct sal_map map = map_of(model, "ig", (struct asking){.settings = settings});
        snprintf(direct, sizeof(direct), "rule=riemann_middle steps=%d " OFF, steps);
        struct sal_map few = map_of(model, "ig", (struct asking){.settings = direct});
        found = fabs(check_of(&few, "completeness_error")) <
                0.9 * fabs(check_of(&map, "completeness_error"));
        assert_true(found == (strstr(map.note, "with fewer it was") != NULL));
        sal_map_release(&map);
        sal_map_release(&few);
    }
    assert_true(found);
    sal_model_close(model);
}

static void a_stopped_refinement_leaves_the_one_before(void **state)
{
    (void)state;
    struct sal_model *model = make_network(RELU, NULL);
    struct sal_map map =
        stopped_map(model, "ig", "steps=1 tolerance=1e-9 steps_max=10000 " OFF);
    assert_true(map.partial);
    int done = 0, wanted = 0;
    assert_int_equal(sscanf(map.note, "stopped after %d of %d steps", &done, &wanted), 2);
    assert_int_equal(wanted, 2 * done);
    char direct[60];
    snprintf(direct, sizeof(direct), "steps=%d " OFF, done);
    struct sal_map same = map_of(model, "ig", (struct asking){.settings = direct});
    assert_true(apart(map.by_channel, same.by_channel, N) <= 1e-6);
    sal_map_release(&map);
    sal_map_release(&same);
    sal_model_close(model);
}

/* ---- several baselines ------------------------------------------------------------------ */

static void of_several_baselines_the_map_is_the_mean(void **state)
{
    (void)state;
    static const char *const single[] = {"baseline=black", "baseline=white",
                                         "baseline=blur sigma=2"};
    struct sal_model *model = make_network(SMOOTH, "imagenet");
    struct sal_map all = map_of(
        model, "ig", (struct asking){.settings = "baseline=blur+black+white sigma=2"});
    static double sum[N];
    double base = 0, worst = 0;
    memset(sum, 0, sizeof(sum));
    for (int i = 0; i < 3; i++) {
        struct sal_map one = map_of(model, "ig", (struct asking){.settings = single[i]});
        for (int k = 0; k < N; k++)
            sum[k] += (double)one.by_channel[k] / 3;
        base += check_of(&one, "baseline_score") / 3;
        worst = fmax(worst, fabs(check_of(&one, "completeness_error_percent")));
        sal_map_release(&one);
    }
    for (int k = 0; k < N; k++)
        assert_true(fabs((double)all.by_channel[k] - sum[k]) <= 1e-6);
    assert_true(fabs(check_of(&all, "baseline_score") - base) <= 1e-6);
    assert_true(fabs(check_of(&all, "worst_baseline_error_percent") - worst) <= 1e-6);
    assert_int_equal(all.backwards, 3 * 52);
    sal_map_release(&all);
    sal_model_close(model);
}

/* Cancels once steps are counted from the beginning again. */
static void *stop_in_the_second_sweep(void *argument)
{
    struct sal_job *job = argument;
    while (atomic_load(&job->done) < 50)
        sched_yield();
    while (atomic_load(&job->done) >= 50)
        sched_yield();
    sal_job_cancel(job);
    return NULL;
}

static void a_stopped_baseline_leaves_those_before(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct sal_job job = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop_in_the_second_sweep, &job), 0);
    struct sal_map map = map_of(model, "ig",
                                (struct asking){.settings = "steps=2000 baseline=black+zero",
                                                .batch = 1,
                                                .job = &job});
    pthread_join(thread, NULL);
    struct sal_map zero = map_of(model, "ig", (struct asking){.settings = "steps=2000"});
    assert_true(map.partial);
    assert_string_equal(map.note, "stopped after 1 of 2 baselines");
    assert_memory_equal(map.values, zero.values, PIXELS * sizeof(float));
    sal_map_release(&map);
    sal_map_release(&zero);
    sal_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubled_steps_give_the_map_of_as_many),
        cmocka_unit_test(doubling_ends_where_the_map_adds_up),
        cmocka_unit_test(a_closer_map_with_fewer_steps_is_told),
        cmocka_unit_test(a_stopped_refinement_leaves_the_one_before),
        cmocka_unit_test(of_several_baselines_the_map_is_the_mean),
        cmocka_unit_test(a_stopped_baseline_leaves_those_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
