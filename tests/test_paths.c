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
    assert_int_equal(sscanf(map.note, "%d of %d steps so far", &done, &wanted), 2);
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

/* Cancels in the first half of the second sweep, unless it is missed. */
struct watch {
    struct sal_job job;
    atomic_bool over;
};

static void *stop_in_the_second_sweep(void *argument)
{
    struct watch *watch = argument;
    bool first = true;
    while (!atomic_load(&watch->over)) {
        unsigned done = atomic_load(&watch->job.done);
        first &= done < 1000;
        if (!first && done < 1000)
            sal_job_cancel(&watch->job);
        sched_yield();
    }
    return NULL;
}

static struct sal_map of_the_first_baseline(const struct sal_model *model)
{
    struct watch watch = {.over = false};
    struct asking how = {
        .settings = "steps=2000 baseline=black+zero", .batch = 1, .job = &watch.job};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop_in_the_second_sweep, &watch), 0);
    struct sal_map map = map_of(model, "ig", how);
    atomic_store(&watch.over, true);
    pthread_join(thread, NULL);
    return map;
}

static void a_stopped_baseline_leaves_those_before(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct sal_map map = of_the_first_baseline(model);
    for (int tries = 0; !map.partial && tries < 20; tries++) {
        sal_map_release(&map);
        map = of_the_first_baseline(model);
    }
    struct sal_map zero = map_of(model, "ig", (struct asking){.settings = "steps=2000"});
    assert_string_equal(map.note, "1 of 2 baselines so far");
    assert_memory_equal(map.values, zero.values, PIXELS * sizeof(float));
    sal_map_release(&map);
    sal_map_release(&zero);
    sal_model_close(model);
}

/* ---- blurs ------------------------------------------------------------------------------- */

/* As scipy's gaussian_filter with zeros beyond the edges. */
static void blur(const float *x, double sigma, double *out)
{
    int radius = (int)(4 * sigma + 0.5);
    double all = 0;
    for (int k = -radius; k <= radius; k++)
        all += k ? exp(-0.5 * k * k / (sigma * sigma)) : 1;
    for (int i = 0; i < N; i++) {
        int c = i / PIXELS, y = i % PIXELS / W, column = i % W;
        out[i] = 0;
        for (int v = y - radius; v <= y + radius; v++)
            for (int u = column - radius; u <= column + radius; u++) {
                int d = (v - y) * (v - y) + (u - column) * (u - column);
                double weight = d ? exp(-0.5 * d / (sigma * sigma)) : 1;
                if (v >= 0 && v < H && u >= 0 && u < W)
                    out[i] += weight * (double)x[c * PIXELS + v * W + u] / (all * all);
            }
    }
}

static void slope_at(const struct sal_model *model, const double *at, double *slope)
{
    float x[N];
    struct sal_map map;
    for (int i = 0; i < N; i++)
        x[i] = (float)at[i];
    must(ask(model, x, "gradient", (struct asking){0}, &map, err));
    for (int i = 0; i < N; i++)
        slope[i] = (double)map.by_channel[i];
    sal_map_release(&map);
}

static void blur_ig_is_its_definition(void **state)
{
    (void)state;
    static double low[N], high[N], slope[N], sum[N];
    struct sal_model *model = make_network(SMOOTH, NULL);
    for (int roots = 0; roots < 2; roots++) {
        char settings[80];
        enum { STEPS = 5 };
        snprintf(settings, sizeof(settings), "steps=%d sigma=4 difference=0.05 sqrt=%s", STEPS,
                 roots ? "yes" : "no");
        struct sal_map map = map_of(model, "blurig", (struct asking){.settings = settings});
        memset(sum, 0, sizeof(sum));
        double sigma[STEPS + 1];
        for (int i = 0; i <= STEPS; i++)
            sigma[i] = roots ? sqrt(i * 4.0 / STEPS) : i * 4.0 / STEPS;
        for (int i = 0; i < STEPS; i++) {
            blur(an_image(), sigma[i], low);
            blur(an_image(), sigma[i] + 0.05, high);
            slope_at(model, low, slope);
            for (int k = 0; k < N; k++)
                sum[k] -= (sigma[i + 1] - sigma[i]) * (high[k] - low[k]) / 0.05 * slope[k];
        }
        double most = 0;
        for (int k = 0; k < N; k++) {
            most = fmax(most, fabs(sum[k]));
            assert_true(fabs((double)map.by_channel[k] - sum[k]) <= 1e-6);
        }
        assert_true(most > 1e-3);
        assert_int_equal(map.backwards, STEPS + 1);
        sal_map_release(&map);
    }
    sal_model_close(model);
}

/* But for the first step, in which a blur of less than 1/8 pixel changes nothing. */
static void blur_ig_comes_to_add_up(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    double before = HUGE_VAL;
    for (int steps = 10; steps <= 640; steps *= 4) {
        char settings[40];
        snprintf(settings, sizeof(settings), "steps=%d sigma=5", steps);
        struct sal_map map = map_of(model, "blurig", (struct asking){.settings = settings});
        double error = fabs(check_of(&map, "completeness_error_percent"));
        print_message("blurig: %d steps miss by %.3g %%\n", steps, error);
        assert_true(error < before);
        assert_true((error > 5) == (strstr(map.note, "adds up to") != NULL));
        before = error;
        sal_map_release(&map);
    }
    assert_true(before <= 2);
    sal_model_close(model);
}

/* ---- guided ------------------------------------------------------------------------------- */

/* No detour, or all elements at once: the straight way. */
static void guided_without_choice_is_the_left_rule(void **state)
{
    (void)state;
    static const char *const settings[] = {"steps=16 distance=0 " OFF,
                                           "steps=16 fraction=1 distance=1 " OFF};
    struct sal_model *model = make_network(RELU, NULL);
    struct sal_map left = map_of(
        model, "ig", (struct asking){.settings = "steps=16 rule=riemann_left " OFF});
    for (int i = 0; i < 2; i++) {
        struct sal_map map =
            map_of(model, "guidedig", (struct asking){.settings = settings[i]});
        assert_true(apart(map.by_channel, left.by_channel, N) <= 2e-6);
        assert_int_equal(map.backwards, 16);
        assert_int_equal(map.forwards, 17);
        sal_map_release(&map);
    }
    sal_map_release(&left);
    sal_model_close(model);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* From zero, unbounded: one after another, those of smallest gradient go all the way. */
static void guided_by_hand(const struct sal_model *model, int steps, double fraction,
                           double *sum)
{
    static double at[N], slope[N], size[N], sorted[N];
    double whole = 0;
    memset(sum, 0, N * sizeof(*sum));
    memset(at, 0, sizeof(at));
    for (int i = 0; i < N; i++)
        whole += fabs((double)an_image()[i]);
    for (int step = 0; step < steps; step++) {
        double target = whole * (1 - (step + 1.0) / steps), left = 0;
        slope_at(model, at, slope);
        for (int i = 0; i < N; i++) {
            left += fabs((double)an_image()[i] - at[i]);
            size[i] = fabs(slope[i]);
        }
        while (left - target > 1e-9 * whole) {
            double room = 0;
            for (int i = 0; i < N; i++)
                sorted[i] = size[i] =
                    at[i] == (double)an_image()[i] ? HUGE_VAL : size[i];
            qsort(sorted, N, sizeof(*sorted), by_size);
            double limit = sorted[(int)floor(fraction * (N - 1))];
            for (int i = 0; i < N; i++)
                if (size[i] <= limit && size[i] < HUGE_VAL)
                    room += fabs((double)an_image()[i] - at[i]);
            double share = fmin(1, (left - target) / room);
            for (int i = 0; i < N; i++)
                if (size[i] <= limit && size[i] < HUGE_VAL) {
                    double x = (double)an_image()[i];
                    double to = share < 1 ? at[i] + (x - at[i]) * share : x;
                    sum[i] += (to - at[i]) * slope[i];
                    at[i] = to;
                }
            left -= share * room;
        }
    }
}

static void guided_ig_is_its_definition(void **state)
{
    (void)state;
    static double sum[N];
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct asking how = {.settings = "steps=6 fraction=0.1 distance=1"};
    struct sal_map map = map_of(model, "guidedig", how);
    struct sal_map straight = map_of(
        model, "ig", (struct asking){.settings = "steps=6 rule=riemann_left"});
    guided_by_hand(model, 6, 0.1, sum);
    for (int k = 0; k < N; k++)
        assert_true(fabs((double)map.by_channel[k] - sum[k]) <= 2e-6);
    assert_true(apart(map.by_channel, straight.by_channel, N) > 1e-3);
    sal_map_release(&map);
    sal_map_release(&straight);
    sal_model_close(model);
}

static void guided_ig_of_the_baseline_is_blank(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    float x[N] = {0};
    struct sal_map map;
    must(ask(model, x, "guidedig", (struct asking){.settings = "steps=3"}, &map, err));
    for (int i = 0; i < PIXELS; i++)
        assert_true(map.values[i] == 0);
    assert_true(*map.note);
    sal_map_release(&map);
    sal_model_close(model);
}

static void what_is_stopped_on_the_way_leaves_a_part(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    static const char *const names[] = {"blurig", "guidedig"};
    for (int i = 0; i < 2; i++) {
        struct sal_map map = stopped_map(model, names[i], "steps=2000");
        assert_true(map.partial);
        assert_non_null(strstr(map.note, "so far"));
        float most = 0;
        for (int k = 0; k < PIXELS; k++)
            most = fmaxf(most, fabsf(map.values[k]));
        assert_true(most > 0);
        sal_map_release(&map);
    }
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
        cmocka_unit_test(blur_ig_is_its_definition),
        cmocka_unit_test(blur_ig_comes_to_add_up),
        cmocka_unit_test(guided_without_choice_is_the_left_rule),
        cmocka_unit_test(guided_ig_is_its_definition),
        cmocka_unit_test(guided_ig_of_the_baseline_is_blank),
        cmocka_unit_test(what_is_stopped_on_the_way_leaves_a_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
