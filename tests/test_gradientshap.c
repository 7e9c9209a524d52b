/* GradientSHAP against its definition, against integrated gradients, which it draws by
 * chance, and against what the spread of its samples says. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "baseline.h"
#include "saliscope/random.h"
#include "small_network.h"

/* The gradient of the score at a point. */
static struct sal_map gradient_at(const struct sal_model *model, const float *x)
{
    struct sal_map map;
    must(ask(model, x, "gradient", (struct asking){0}, &map, err));
    return map;
}

/* From the definition, one sample at a time, in planes. */
static void define(const struct sal_model *model, int samples, uint64_t seed, double sd,
                   bool noise, double *sum)
{
    struct sal_question question = {.model = model, .seed = seed};
    const float *image = an_image();
    memset(sum, 0, N * sizeof(*sum));
    for (int i = 0; i < samples; i++) {
        uint64_t key = sal_random_key(seed, (uint64_t)i);
        float alpha = (float)sal_random_uniform(key, UINT64_MAX), way[N], from[N], x[N];
        for (int k = 0; k < N; k++)
            from[k] = 0.25F;
        if (noise)
            sal_baseline_noise(&question, (uint64_t)i, from);
        for (int k = 0; k < N; k++) {
            double pair[2];
            sal_random_normals(key, (uint64_t)k / 2, pair);
            way[k] = image[k] + (float)(sd * pair[k % 2]) - from[k];
            x[k] = from[k] + alpha * way[k];
        }
        struct sal_map slope = gradient_at(model, x);
        for (int k = 0; k < N; k++)
            sum[k] += (double)way[k] * (double)slope.by_channel[k] / samples;
        sal_map_release(&slope);
    }
}

static double range_of_the_image(void)
{
    const float *image = an_image();
    float low = INFINITY, high = -INFINITY;
    for (int k = 0; k < N; k++) {
        low = fminf(low, image[k]);
        high = fmaxf(high, image[k]);
    }
    return (double)high - (double)low;
}

static void a_map_is_its_definition(void **state)
{
    (void)state;
    static const struct {
        const char *settings;
        double noise;
        bool drawn;
    } rows[] = {
        {"samples=7 baseline=value value=0.25", 0, false},
        {"samples=7 noise=0.1 baseline=value value=0.25", 0.1, false},
        {"samples=7 baseline=noise", 0, true},
        {"samples=7 baseline=noise noise=0.2", 0.2, true},
    };
    struct sal_model *model = make_network(SMOOTH, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        static double expected[N];
        struct sal_map map = map_of(
            model, "gradientshap", (struct asking){.settings = rows[i].settings, .seed = 9});
        define(model, 7, 9, rows[i].noise * range_of_the_image(), rows[i].drawn, expected);
        double sum = 0;
        for (int k = 0; k < N; k++) {
            assert_true(fabs((double)map.by_channel[k] - expected[k]) <= 1e-6);
            sum += expected[k];
        }
        assert_true(fabs(check_of(&map, "sum") - sum) <= 1e-5);
        assert_int_equal(map.n_checks, rows[i].drawn ? 2 : 5);
        assert_true(fabs(map.score - score_of(model, an_image())) <= 1e-6);
        sal_map_release(&map);
    }
    sal_model_close(model);
}

/* Every sample is already the whole answer. */
static void of_a_linear_network_the_map_is_exact(void **state)
{
    (void)state;
    struct sal_model *model = make_network(LINEAR, NULL);
    struct sal_map exact = map_of(model, "inputxgradient", (struct asking){0});
    struct sal_map map =
        map_of(model, "gradientshap", (struct asking){.settings = "samples=2"});
    assert_true(apart(map.by_channel, exact.by_channel, N) <= 1e-6);
    assert_true(fabs(check_of(&map, "completeness_error")) <= 1e-5);
    assert_true(check_of(&map, "sum_standard_error") <= 1e-6);
    assert_string_equal(map.note, "");
    sal_map_release(&exact);
    sal_map_release(&map);
    sal_model_close(model);
}

static void many_samples_come_to_integrated_gradients(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct sal_map exact = map_of(model, "ig", (struct asking){0});
    double errors[2];
    static const char *const settings[] = {"samples=20", "samples=2000"};
    for (int i = 0; i < 2; i++) {
        struct sal_map map = map_of(model, "gradientshap",
                                    (struct asking){.settings = settings[i], .seed = 1});
        errors[i] = apart(map.by_channel, exact.by_channel, N);
        assert_true(fabs(check_of(&map, "completeness_error")) <=
                    4 * check_of(&map, "sum_standard_error"));
        sal_map_release(&map);
    }
    print_message("from integrated gradients: %.1e by 20, %.1e by 2000 samples\n", errors[0],
                  errors[1]);
    assert_true(errors[1] <= errors[0] / 4);
    sal_map_release(&exact);
    sal_model_close(model);
}

/* The sums of other seeds lie as far apart as one map says. */
static void the_standard_error_is_that_of_other_seeds(void **state)
{
    (void)state;
    enum { SEEDS = 100 };
    struct sal_model *model = make_network(SMOOTH, NULL);
    double sum = 0, squares = 0, said = 0;
    for (int seed = 0; seed < SEEDS; seed++) {
        struct sal_map map = map_of(
            model, "gradientshap",
            (struct asking){.settings = "samples=20 baseline=noise", .seed = (uint64_t)seed});
        double value = check_of(&map, "sum");
        sum += value;
        squares += value * value;
        said += pow(check_of(&map, "sum_standard_error"), 2) / SEEDS;
        sal_map_release(&map);
    }
    double seen = sqrt((squares - sum * sum / SEEDS) / (SEEDS - 1));
    print_message("standard error %.4f, seeds differ by %.4f\n", sqrt(said), seen);
    assert_true(fabs(sqrt(said) / seen - 1) <= 0.2);
    sal_model_close(model);
}

static void a_map_that_does_not_add_up_says_so(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct sal_map map =
        map_of(model, "gradientshap", (struct asking){.settings = "samples=1"});
    assert_non_null(strstr(map.note, "adds up to"));
    sal_map_release(&map);
    sal_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_map_is_its_definition),
        cmocka_unit_test(of_a_linear_network_the_map_is_exact),
        cmocka_unit_test(many_samples_come_to_integrated_gradients),
        cmocka_unit_test(the_standard_error_is_that_of_other_seeds),
        cmocka_unit_test(a_map_that_does_not_add_up_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
