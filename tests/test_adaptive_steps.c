/* Integrated gradients with steps that are put where they are needed. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "onnx_build.h"
#include "saliscope/explain.h"
#include "small_network.h"

/* Where the gradient of a ReLU network without biases changes on the way. */
#define OFF " baseline=value value=0.7"

static struct sal_map ig(const struct sal_model *model, const char *rule, int steps)
{
    char settings[120];
    snprintf(settings, sizeof(settings), "rule=%s steps=%d" OFF, rule, steps);
    return map_of(model, "ig", (struct asking){.settings = settings});
}

static struct sal_map within(const struct sal_model *model, const char *rule, double tolerance)
{
    char settings[120];
    snprintf(settings, sizeof(settings), "rule=%s steps=9 tolerance=%g steps_max=4000" OFF,
             rule, tolerance);
    return map_of(model, "ig", (struct asking){.settings = settings});
}

static double distance(const float *a, const float *b)
{
    double sum = 0;
    for (int k = 0; k < N; k++)
        sum += pow((double)a[k] - (double)b[k], 2);
    return sqrt(sum);
}

/* ---- a network whose map is known --------------------------------------------------------- */

#define THRESHOLD 0.8F

/* Each class is its channel's mean of what is above THRESHOLD; nothing of late_image() is
 * until the way is nearly over. */
static struct sal_model *make_late_network(void)
{
    struct onnx_build b;
    char path[ONNX_BUILD_PATH];
    struct sal_model *model = NULL;
    static const float threshold = THRESHOLD;
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 4, (const int64_t[]){-1, C, H, W});
    onnx_build_weights(&b, "t", 0, NULL, &threshold);
    onnx_build_node(&b, "Sub", "x,t", "above");
    onnx_build_node(&b, "Relu", "above", "y");
    onnx_build_node(&b, "ReduceMean", "y", "logits");
    onnx_build_ints(&b, "axes", 2, (const int64_t[]){2, 3});
    onnx_build_int(&b, "keepdims", 0);
    onnx_build_output(&b, "logits", SAL_ONNX_FLOAT, -1, NULL);
    assert_true(onnx_build_save(&b, path));
    must(sal_model_open(&model, path, &(struct sal_model_options){0}, err));
    unlink(path);
    return model;
}

static const float *late_image(void)
{
    static float x[N];
    for (int i = 0; i < N; i++)
        x[i] = 0.9F + 0.1F * (float)fabs(sin(1.7 * i));
    return x;
}

/* From 0 the gradient of an element is 1 from where it is above the threshold: x - t. */
static const float *late_map(void)
{
    static float map[N];
    for (int i = PIXELS; i < 2 * PIXELS; i++)
        map[i] = (late_image()[i] - THRESHOLD) / PIXELS;
    return map;
}

static struct sal_map of_late(const struct sal_model *model, const char *rule, int steps)
{
    char settings[120];
    struct sal_map map;
    snprintf(settings, sizeof(settings), "rule=%s steps=%d", rule, steps);
    must(ask(model, late_image(), "ig", (struct asking){.settings = settings}, &map, err));
    return map;
}

/* ---- where the points are ---------------------------------------------------------------- */

/* So 2, 3 and 5 of them are the trapezoid rule's. */
static void the_first_five_are_spread_evenly(void **state)
{
    (void)state;
    static const int counts[] = {2, 3, 5};
    struct sal_model *model = make_network(RELU, NULL);
    for (int i = 0; i < 3; i++) {
        struct sal_map a = ig(model, "adaptive", counts[i]);
        struct sal_map b = ig(model, "trapezoid", counts[i]);
        assert_true(apart(a.by_channel, b.by_channel, N) <= 1e-6);
        assert_int_equal(a.backwards, counts[i]);
        assert_true(a.score == b.score); /* of the image itself */
        sal_map_release(&a);
        sal_map_release(&b);
    }
    sal_model_close(model);
}

/* As many steps of the even rules leave the map further from the one that is known. */
static void the_map_is_nearer_than_with_even_steps(void **state)
{
    (void)state;
    static const char *const even[] = {"trapezoid", "riemann_middle", "gausslegendre"};
    struct sal_model *model = make_late_network();
    for (int steps = 20; steps <= 80; steps *= 2) {
        struct sal_map adaptive = of_late(model, "adaptive", steps);
        double own = distance(adaptive.by_channel, late_map());
        for (int i = 0; i < 3; i++) {
            struct sal_map other = of_late(model, even[i], steps);
            double others = distance(other.by_channel, late_map());
            assert_true(own < 0.3 * others);
            sal_map_release(&other);
        }
        sal_map_release(&adaptive);
    }
    sal_model_close(model);
}

/* ---- when it ends -------------------------------------------------------------------------- */

static void it_ends_where_the_map_adds_up_and_not_by_luck(void **state)
{
    (void)state;
    struct sal_model *model = make_network(RELU, NULL);
    for (double tolerance = 3; tolerance > 0.25; tolerance *= 0.7) {
        struct sal_map map = within(model, "adaptive", tolerance);
        double error = fabs(check_of(&map, "completeness_error_percent"));
        double parts = check_of(&map, "parts_error_percent");
        assert_true(error <= tolerance * (1 + 1e-6));
        assert_true(parts <= 10 * tolerance && parts >= error * (1 - 1e-6));
        assert_true(map.backwards == check_of(&map, "steps"));
        assert_string_equal(map.note, "");
        sal_map_release(&map);
    }
    sal_model_close(model);
}

static void it_takes_fewer_steps_than_doubling(void **state)
{
    (void)state;
    struct sal_model *model = make_network(RELU, NULL);
    for (double tolerance = 0.4; tolerance > 0.15; tolerance /= 2) {
        struct sal_map map = within(model, "adaptive", tolerance);
        struct sal_map doubled = within(model, "trapezoid", tolerance);
        assert_true(3 * map.backwards < 2 * doubled.backwards);
        sal_map_release(&map);
        sal_map_release(&doubled);
    }
    sal_model_close(model);
}

/* So few that nothing was refined. */
static void five_steps_are_told_as_what_they_are(void **state)
{
    (void)state;
    struct sal_model *model = make_network(RELU, NULL);
    struct sal_map map = map_of(
        model, "ig",
        (struct asking){.settings = "rule=adaptive tolerance=1e-9 steps_max=5" OFF});
    assert_int_equal(map.backwards, 5);
    assert_non_null(strstr(map.note, "with 5 steps"));
    assert_null(strstr(map.note, "with fewer"));
    sal_map_release(&map);
    sal_model_close(model);
}

static void what_is_not_reached_is_told(void **state)
{
    (void)state;
    struct sal_model *model = make_network(RELU, NULL);
    struct sal_map map = map_of(
        model, "ig",
        (struct asking){.settings = "rule=adaptive tolerance=1e-9 steps_max=14" OFF});
    assert_int_equal(map.backwards, 14);
    assert_non_null(strstr(map.note, "not within 1e-09 %: with 14 steps"));
    assert_false(map.partial);
    struct sal_map same = ig(model, "adaptive", 14);
    assert_memory_equal(map.by_channel, same.by_channel, N * sizeof(float));
    sal_map_release(&map);
    sal_map_release(&same);
    sal_model_close(model);
}

/* ---- who computes it ------------------------------------------------------------------------ */

static void batch_and_threads_change_no_bit(void **state)
{
    (void)state;
    struct sal_model *model = make_network(RELU, NULL);
    struct asking one = {.settings = "rule=adaptive steps=30" OFF, .batch = 1, .threads = 1};
    struct asking many = {.settings = one.settings, .batch = 8, .threads = 3};
    struct sal_map a = map_of(model, "ig", one), b = map_of(model, "ig", many);
    assert_memory_equal(a.by_channel, b.by_channel, N * sizeof(float));
    assert_int_equal(a.backwards, 30);
    assert_int_equal(b.backwards, 30);
    sal_map_release(&a);
    sal_map_release(&b);
    sal_model_close(model);
}

/* The points that are there are a map of their own. */
static void what_is_stopped_leaves_the_steps_it_had(void **state)
{
    (void)state;
    struct sal_model *model = make_network(RELU, NULL);
    struct sal_map map = stopped_map(model, "ig", "rule=adaptive steps=5000" OFF);
    int done = 0, wanted = 0;
    assert_true(map.partial);
    assert_int_equal(sscanf(map.note, "%d of %d steps so far", &done, &wanted), 2);
    assert_int_equal(wanted, 5000);
    struct sal_map same = ig(model, "adaptive", done);
    assert_memory_equal(map.by_channel, same.by_channel, N * sizeof(float));
    sal_map_release(&map);
    sal_map_release(&same);
    sal_model_close(model);
}

static void each_baseline_has_its_own_steps(void **state)
{
    (void)state;
    static const char *const single[] = {"black", "white"};
    struct sal_model *model = make_network(SMOOTH, "imagenet");
    static const char settings[] = "rule=adaptive tolerance=0.2 baseline=";
    char text[80];
    snprintf(text, sizeof(text), "%sblack+white", settings);
    struct sal_map all = map_of(model, "ig", (struct asking){.settings = text});
    double steps = 0;
    for (int i = 0; i < 2; i++) {
        snprintf(text, sizeof(text), "%s%s", settings, single[i]);
        struct sal_map one = map_of(model, "ig", (struct asking){.settings = text});
        steps += check_of(&one, "steps");
        sal_map_release(&one);
    }
    assert_true(all.backwards == steps);
    sal_map_release(&all);
    sal_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_five_are_spread_evenly),
        cmocka_unit_test(the_map_is_nearer_than_with_even_steps),
        cmocka_unit_test(it_ends_where_the_map_adds_up_and_not_by_luck),
        cmocka_unit_test(it_takes_fewer_steps_than_doubling),
        cmocka_unit_test(five_steps_are_told_as_what_they_are),
        cmocka_unit_test(what_is_not_reached_is_told),
        cmocka_unit_test(batch_and_threads_change_no_bit),
        cmocka_unit_test(what_is_stopped_leaves_the_steps_it_had),
        cmocka_unit_test(each_baseline_has_its_own_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
