/* Saliency methods on small networks whose answers are known, and each of them on every
 * model there is. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "baseline.h"
#include "data.h"
#include "methods.h"
#include "quadrature.h"
#include "saliscope/explain.h"
#include "small_network.h"
#include "sweep.h"

/* ---- gradients ---------------------------------------------------------------------- */

static void a_gradient_is_what_differences_say(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct sal_map map = map_of(model, "gradient", (struct asking){0});
    assert_int_equal(map.channels, C);
    assert_string_equal(map.unit, "logit per unit input");
    assert_true(map.is_signed && map.forwards == 1 && map.backwards == 1);
    assert_true(fabs(map.score - score_of(model, an_image())) <= 1e-6);
    for (int at = 0; at < N; at += 97) {
        float x[N];
        memcpy(x, an_image(), sizeof(x));
        x[at] += 0.02F;
        double above = score_of(model, x);
        x[at] -= 0.04F;
        double slope = (above - score_of(model, x)) / 0.04;
        assert_true(fabs((double)map.by_channel[at] - slope) <= 1e-4);
    }
    for (int i = 0; i < PIXELS; i++) {
        double sum = 0;
        for (int c = 0; c < C; c++)
            sum += (double)map.by_channel[c * PIXELS + i];
        assert_true(fabs((double)map.values[i] - sum) <= 1e-6);
    }
    sal_map_release(&map);
    sal_model_close(model);
}

static void magnitudes_are_taken_before_channels_are_summed(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct sal_map plain = map_of(model, "gradient", (struct asking){0});
    struct sal_map size =
        map_of(model, "gradient", (struct asking){.settings = "magnitude=yes"});
    assert_false(size.is_signed);
    for (int i = 0; i < N; i++)
        assert_true(size.by_channel[i] == fabsf(plain.by_channel[i]));
    bool larger = false;
    for (int i = 0; i < PIXELS; i++)
        larger |= size.values[i] > fabsf(plain.values[i]) * 1.01F;
    assert_true(larger);
    sal_map_release(&plain);
    sal_map_release(&size);
    sal_model_close(model);
}

/* Of a linear network without biases both are the parts the score is made of. */
static void of_a_linear_network_the_products_add_up_to_the_score(void **state)
{
    (void)state;
    struct sal_model *model = make_network(LINEAR, NULL);
    struct sal_map product = map_of(model, "inputxgradient", (struct asking){0});
    struct sal_map ig = map_of(model, "ig", (struct asking){.settings = "steps=3"});
    double sum = 0;
    for (int i = 0; i < PIXELS; i++)
        sum += (double)product.values[i];
    assert_true(fabs(product.score) > 0.01);
    assert_true(fabs(sum - product.score) <= 1e-5);
    assert_string_equal(product.unit, "logit");
    assert_true(apart(product.by_channel, ig.by_channel, N) <= 1e-6);
    assert_true(fabs(check_of(&ig, "completeness_error")) <= 1e-5);
    sal_map_release(&product);
    sal_map_release(&ig);
    sal_model_close(model);
}

static void a_blank_gradient_says_why(void **state)
{
    (void)state;
    struct sal_model *model = make_network(RELU, NULL);
    float x[N] = {0};
    struct sal_map map;
    must(ask(model, x, "gradient", (struct asking){0}, &map, err));
    assert_non_null(strstr(map.note, "every gradient is zero"));
    sal_map_release(&map);
    sal_model_close(model);
}

/* ---- quadrature --------------------------------------------------------------------- */

static void gauss_legendre_is_exact_to_its_degree(void **state)
{
    (void)state;
    static const int counts[] = {1, 2, 3, 7, 50, 333};
    double nodes[333], weights[333];
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
        int n = counts[i];
        sal_quadrature(SAL_GAUSS_LEGENDRE, n, nodes, weights);
        for (int degree = 0; degree <= 2 * n - 1; degree++) {
            double sum = 0;
            for (int k = 0; k < n; k++)
                sum += weights[k] * pow(nodes[k], degree);
            assert_true(fabs(sum - 1.0 / (degree + 1)) <= 1e-14);
        }
        for (int k = 1; k < n; k++)
            assert_true(nodes[k] > nodes[k - 1]);
    }
    /* (1 -+ 0.6^(1/2)) / 2 and 5/18, 8/18, 5/18 */
    sal_quadrature(SAL_GAUSS_LEGENDRE, 3, nodes, weights);
    assert_true(fabs(nodes[0] - 0.11270166537925831) <= 1e-16);
    assert_true(nodes[1] == 0.5);
    assert_true(fabs(weights[1] - 4.0 / 9) <= 1e-16);
}

static void other_rules_are_those_of_captum(void **state)
{
    (void)state;
    static const struct {
        enum sal_rule rule;
        double nodes[4], weights[4];
    } rows[] = {
        {SAL_RIEMANN_LEFT, {0, 0.25, 0.5, 0.75}, {0.25, 0.25, 0.25, 0.25}},
        {SAL_RIEMANN_RIGHT, {0.25, 0.5, 0.75, 1}, {0.25, 0.25, 0.25, 0.25}},
        {SAL_RIEMANN_MIDDLE, {0.125, 0.375, 0.625, 0.875}, {0.25, 0.25, 0.25, 0.25}},
        {SAL_RIEMANN_TRAPEZOID, {0, 1.0 / 3, 2.0 / 3, 1}, {0.125, 0.25, 0.25, 0.125}},
        {SAL_TRAPEZOID, {0, 1.0 / 3, 2.0 / 3, 1}, {1.0 / 6, 1.0 / 3, 1.0 / 3, 1.0 / 6}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        double nodes[4], weights[4];
        sal_quadrature(rows[i].rule, 4, nodes, weights);
        for (int k = 0; k < 4; k++) {
            assert_true(fabs(nodes[k] - rows[i].nodes[k]) <= 1e-15);
            assert_true(fabs(weights[k] - rows[i].weights[k]) <= 1e-15);
        }
    }
}

static void completeness_improves_with_steps(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    for (int rule = 0; sal_rule_names[rule]; rule++) {
        double before = HUGE_VAL;
        for (int steps = 2; steps <= 32; steps *= 4) {
            char settings[80];
            snprintf(settings, sizeof(settings), "steps=%d rule=%s", steps,
                     sal_rule_names[rule]);
            struct sal_map map =
                map_of(model, "ig", (struct asking){.settings = settings});
            double error = fabs(check_of(&map, "completeness_error"));
            assert_true(error < before || error <= 1e-6);
            assert_int_equal(map.backwards, steps + (rule == SAL_ADAPTIVE ? 0 : 2));
            before = error;
            sal_map_release(&map);
        }
        print_message("%-18s 32 steps miss completeness by %.1e\n", sal_rule_names[rule],
                      before);
        assert_true(before <= (rule == SAL_GAUSS_LEGENDRE ? 1e-6 : 0.05));
    }
    sal_model_close(model);
}

static void a_map_that_does_not_add_up_says_so(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct sal_map map =
        map_of(model, "ig", (struct asking){.settings = "steps=2 rule=riemann_trapezoid"});
    assert_non_null(strstr(map.note, "adds up to"));
    sal_map_release(&map);
    map = map_of(model, "ig", (struct asking){0});
    assert_string_equal(map.note, "");
    sal_map_release(&map);
    sal_model_close(model);
}

/* ---- baselines --------------------------------------------------------------------- */

static void baselines_are_what_their_names_say(void **state)
{
    (void)state;
    static const double mean[] = {0.485, 0.456, 0.406}, sd[] = {0.229, 0.224, 0.225};
    static const struct sal_param list[] = {SAL_BASELINE_PARAMS, {0}};
    struct sal_model *model = make_network(SMOOTH, "imagenet");
    const float *x = an_image();
    struct sal_params params;
    struct sal_question question = {.model = model, .x = x, .params = &params};
    for (int kind = 0; sal_baseline_names[kind]; kind++) {
        sal_real *made;
        sal_params_init(&params, list);
        params.value[0] = kind;
        params.value[1] = 0.75;
        params.value[2] = 1;
        must(sal_baseline_make(&question, list, &made, err));
        for (int c = 0; c < C; c++) {
            double average = 0, had = 0, black = -mean[c] / sd[c], white = (1 - mean[c]) / sd[c];
            for (int i = 0; i < PIXELS; i++) {
                average += (double)made[c * PIXELS + i] / PIXELS;
                had += (double)x[c * PIXELS + i] / PIXELS;
                assert_true((double)made[c * PIXELS + i] >= fmin(black, -1.2) - 1e-6);
                assert_true((double)made[c * PIXELS + i] <= fmax(white, 1.8) + 1e-6);
            }
            const double expected[] = {0, black, white, had, had, (black + white) / 2, 0.75};
            double tolerance = kind == 4 ? 0.1 : kind == 5 ? 0.3 : 1e-6;
            if (!(fabs(average - expected[kind]) <= tolerance))
                fail_msg("%s: channel %d has mean %g, expected %g",
                         sal_baseline_names[kind], c, average, expected[kind]);
        }
        free(made);
    }
    sal_model_close(model);
}

static void a_point_blurs_to_a_gaussian(void **state)
{
    (void)state;
    static const struct sal_param list[] = {SAL_BASELINE_PARAMS, {0}};
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct sal_params params = {.value = {4, 0, 2}};
    float x[N] = {0};
    struct sal_question question = {.model = model, .x = x, .params = &params};
    sal_real *made;
    const int at = PIXELS + 10 * W + 9; /* of channel 1 */
    x[at] = 1;
    must(sal_baseline_make(&question, list, &made, err));
    for (int dy = -3; dy <= 3; dy++)
        for (int dx = -3; dx <= 3; dx++) {
            double share = (double)made[at + dy * W + dx] / (double)made[at];
            assert_true(fabs(share - exp(-(dx * dx + dy * dy) / 8.0)) <= 1e-5);
        }
    assert_true(fabs((double)made[at] - 1 / (2 * acos(-1) * 4)) <= 1e-3);
    assert_true(made[at - PIXELS] == 0 && made[at + PIXELS] == 0);
    free(made);
    sal_model_close(model);
}

/* A blur of almost nothing changes nothing. */
static void a_blur_has_its_width(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct sal_map none =
        map_of(model, "occlusion", (struct asking){.settings = "baseline=blur sigma=0.1"});
    assert_true(none.n_checks == 2 && check_of(&none, "windows_skipped") ==
                                          check_of(&none, "windows"));
    assert_non_null(strstr(none.note, "the image itself"));
    struct sal_map much =
        map_of(model, "occlusion", (struct asking){.settings = "baseline=blur sigma=3"});
    assert_true(check_of(&much, "windows_skipped") == 0);
    sal_map_release(&none);
    sal_map_release(&much);
    sal_model_close(model);
}

/* ---- occlusion --------------------------------------------------------------------- */

/* From the definition: every window, one at a time, from left to right. */
static void occlude(const struct sal_model *model, int window, int stride, double value,
                    float *map)
{
    static double sum[PIXELS];
    static int count[PIXELS];
    double score = score_of(model, an_image());
    memset(sum, 0, sizeof(sum));
    memset(count, 0, sizeof(count));
    int rows = (int)ceil((H - window) / (double)stride) + 1;
    int columns = (int)ceil((W - window) / (double)stride) + 1;
    for (int k = 0; k < rows * columns; k++) {
        float x[N];
        memcpy(x, an_image(), sizeof(x));
        int top = k / columns * stride, left = k % columns * stride;
        for (int c = 0; c < C; c++)
            for (int i = 0; i < PIXELS; i++)
                if (i / W >= top && i / W < top + window && i % W >= left &&
                    i % W < left + window)
                    x[c * PIXELS + i] = (float)value;
        double difference = score - score_of(model, x);
        for (int i = 0; i < PIXELS; i++)
            if (i / W >= top && i / W < top + window && i % W >= left &&
                i % W < left + window) {
                sum[i] += difference;
                count[i]++;
            }
    }
    for (int i = 0; i < PIXELS; i++)
        map[i] = (float)(sum[i] / count[i]);
}

static void occlusion_is_its_definition(void **state)
{
    (void)state;
    static const int sizes[][2] = {{5, 5}, {6, 4}, {7, 2}, {20, 20}, {3, 1}};
    struct sal_model *model = make_network(SMOOTH, NULL);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        char settings[80];
        float expected[PIXELS];
        snprintf(settings, sizeof(settings), "window=%d stride=%d baseline=value value=0.5",
                 sizes[i][0], sizes[i][1]);
        struct sal_map map =
            map_of(model, "occlusion", (struct asking){.settings = settings});
        occlude(model, sizes[i][0], sizes[i][1], 0.5, expected);
        assert_true(apart(map.values, expected, PIXELS) <= 1e-6);
        assert_true(map.backwards == 0);
        sal_map_release(&map);
    }
    sal_model_close(model);
}

/* What the baseline already is needs no pass, and its difference is exactly zero. */
static void windows_that_change_nothing_are_not_run(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    float x[N];
    memcpy(x, an_image(), sizeof(x));
    for (int i = 0; i < N; i++)
        if (i % PIXELS / W < 8)
            x[i] = 0;
    struct sal_map map;
    must(ask(model, x, "occlusion", (struct asking){.settings = "window=4 stride=4"}, &map,
             err));
    assert_true(check_of(&map, "windows") == 30);
    assert_true(check_of(&map, "windows_skipped") == 10);
    assert_int_equal(map.forwards, 21);
    for (int i = 0; i < 8 * W; i++)
        assert_true(map.values[i] == 0);
    assert_false(map.partial);
    sal_map_release(&map);
    sal_model_close(model);
}

static void automatic_windows_are_told(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    const struct sal_param *list = sal_method_find("occlusion")->params;
    struct sal_map map = map_of(model, "occlusion", (struct asking){0});
    assert_true(sal_params_get(&map.params, list, "window") == 2);
    assert_true(sal_params_get(&map.params, list, "stride") == 1);
    sal_map_release(&map);
    sal_model_close(model);
}

/* ---- noise --------------------------------------------------------------------------- */

static void noise_of_nothing_leaves_the_gradient(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct asking still = {.settings = "noise=0 samples=4"};
    struct sal_map plain = map_of(model, "gradient", (struct asking){0});
    struct sal_map mean = map_of(model, "smoothgrad", still);
    struct sal_map variance = map_of(model, "vargrad", still);
    assert_true(apart(plain.values, mean.values, PIXELS) <= 1e-7);
    for (int i = 0; i < PIXELS; i++)
        assert_true(variance.values[i] >= 0 && variance.values[i] <= 1e-12F);
    sal_map_release(&plain);
    sal_map_release(&mean);
    sal_map_release(&variance);
    sal_model_close(model);
}

/* E[g^2] = E[g]^2 + Var[g], channel by channel. */
static void mean_square_and_variance_agree(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct sal_map mean = map_of(model, "smoothgrad", (struct asking){0});
    struct sal_map square =
        map_of(model, "smoothgrad", (struct asking){.settings = "squared=yes"});
    struct sal_map variance = map_of(model, "vargrad", (struct asking){0});
    assert_false(square.is_signed || variance.is_signed);
    assert_string_equal(variance.unit, "(logit per unit input)^2");
    double most = 0;
    for (int i = 0; i < N; i++) {
        double m = (double)mean.by_channel[i], v = (double)variance.by_channel[i];
        most = fmax(most, v);
        assert_true(fabs((double)square.by_channel[i] - m * m - v) <= 1e-7);
    }
    assert_true(most > 1e-4);
    assert_true(fabs(check_of(&mean, "noise_sd") - 0.15 * 3) <= 1e-3);
    sal_map_release(&mean);
    sal_map_release(&square);
    sal_map_release(&variance);
    sal_model_close(model);
}

static void the_seed_alone_decides_the_noise(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct sal_map a = map_of(model, "smoothgrad", (struct asking){.seed = 1});
    struct sal_map b = map_of(model, "smoothgrad", (struct asking){.seed = 1});
    struct sal_map c = map_of(model, "smoothgrad", (struct asking){.seed = 2});
    assert_memory_equal(a.values, b.values, PIXELS * sizeof(float));
    assert_true(apart(a.values, c.values, PIXELS) > 1e-4);
    sal_map_release(&a);
    sal_map_release(&b);
    sal_map_release(&c);
    sal_model_close(model);
}

/* ---- all methods --------------------------------------------------------------------- */

static void neither_batch_nor_threads_change_a_bit(void **state)
{
    (void)state;
    static const struct asking ways[] = {{.batch = 1}, {.batch = 3}, {.batch = 8},
                                         {.threads = 1}, {.threads = 3},
                                         {.batch = 8, .threads = 3}};
    struct sal_model *model = make_network(SMOOTH, NULL);
    for (int m = 0; sal_methods[m]; m++) {
        if (sal_methods[m]->needs & SAL_NEEDS_ATTENTION)
            continue;
        struct sal_map first = map_of(model, sal_methods[m]->name, (struct asking){0});
        for (size_t w = 0; w < sizeof(ways) / sizeof(*ways); w++) {
            struct sal_map map = map_of(model, sal_methods[m]->name, ways[w]);
            assert_memory_equal(first.values, map.values, PIXELS * sizeof(float));
            assert_true(first.score == map.score);
            assert_int_equal(first.n_checks, map.n_checks);
            for (int i = 0; i < first.n_checks; i++)
                assert_true(first.checks[i].value == map.checks[i].value);
            assert_int_equal(first.forwards, map.forwards);
            sal_map_release(&map);
        }
        sal_map_release(&first);
    }
    sal_model_close(model);
}

static void a_layout_does_not_matter(void **state)
{
    (void)state;
    struct sal_model *planes = make_network(SMOOTH, NULL);
    struct sal_model *pixels = make_network(SMOOTH_NHWC, NULL);
    assert_int_equal(sal_model_input(pixels)->layout, SAL_LAYOUT_NHWC);
    float x[N];
    for (int i = 0; i < N; i++)
        x[i % PIXELS * C + i / PIXELS] = an_image()[i];
    for (int m = 0; sal_methods[m]; m++) {
        const char *name = sal_methods[m]->name;
        if (sal_methods[m]->needs & SAL_NEEDS_ATTENTION)
            continue;
        struct sal_map a = map_of(planes, name, (struct asking){0}), b;
        must(ask(pixels, x, name, (struct asking){0}, &b, err));
        assert_true(apart(a.values, b.values, PIXELS) <= 1e-5);
        assert_int_equal(a.channels, b.channels);
        if (a.by_channel)
            assert_true(apart(a.by_channel, b.by_channel, N) <= 1e-5);
        sal_map_release(&a);
        sal_map_release(&b);
    }
    sal_model_close(planes);
    sal_model_close(pixels);
}

static void what_is_out_of_range_is_refused(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"ig", "steps=0", "steps"},
        {"ig", "steps=2.5", "steps"},
        {"ig", "rule=simpson", "gausslegendre"},
        {"ig", "steps=1 rule=trapezoid", "2 steps"},
        {"ig", "steps=1 rule=riemann_trapezoid", "2 steps"},
        {"ig", "steps=1 rule=adaptive", "2 steps"},
        {"ig", "steps_max=1 rule=adaptive tolerance=1", "steps_max=2"},
        {"ig", "baseline=grey", "zero"},
        {"ig", "baseline=zero+grey", "joined by +"},
        {"ig", "tolerance=1 steps_max=40", "less than steps=50"},
        {"ig", "sigma=0", "sigma"},
        {"smoothgrad", "samples=0", "samples"},
        {"smoothgrad", "noise=-1", "noise"},
        {"vargrad", "samples=1", "samples"},
        {"gradientshap", "samples=0", "samples"},
        {"gradientshap", "noise=-1", "noise"},
        {"occlusion", "window=21", "larger than the model's input, 20 x 22"},
        {"occlusion", "window=4 stride=5", "at most 4"},
        {"occlusion", "window=-1", "window"},
        {"rise", "masks=1", "masks"},
        {"rise", "cells=1", "cells"},
        {"rise", "keep=1", "keep"},
        {"kernelshap", "samples=0", "samples"},
        {"kernelshap", "segments=quickshift", "slic"},
        {"kernelshap", "cells=21", "20 x 22"},
        {"kernelshap", "compactness=0", "compactness"},
        {"lime", "width=0", "width"},
        {"lime", "alpha=-1", "alpha"},
        {"lime", "samples=1", "samples"},
        {"blurig", "sigma=0", "sigma"},
        {"blurig", "difference=0", "difference"},
        {"guidedig", "fraction=0", "fraction"},
        {"guidedig", "distance=1.5", "distance"},
        {"guidedig", "baseline=zero+black", "baseline"},
        {"inputxgradient", "steps=5", "no parameters"},
    };
    struct sal_model *model = make_network(SMOOTH, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct sal_error err;
        struct sal_map map;
        assert_int_equal(ask(model, an_image(), rows[i][0],
                             (struct asking){.settings = rows[i][1]}, &map, &err),
                         SAL_USAGE);
        if (!strstr(err.text, rows[i][2]))
            fail_msg("%s %s: %s", rows[i][0], rows[i][1], err.text);
    }
    sal_model_close(model);
}

static void an_order_is_scattered_and_complete(void **state)
{
    (void)state;
    for (int n = 1; n <= 300; n++) {
        bool seen[300] = {0};
        for (int i = 0; i < n; i++) {
            int64_t k = sal_sweep_scatter(i, n);
            assert_true(k >= 0 && k < n && !seen[k]);
            seen[k] = true;
        }
    }
    int halves[2] = {0};
    for (int i = 0; i < 20; i++)
        halves[sal_sweep_scatter(i, 196) >= 98]++;
    assert_true(halves[0] >= 8 && halves[1] >= 8);
}

/* ---- stopping --------------------------------------------------------------------------- */

static void what_is_stopped_leaves_a_part(void **state)
{
    (void)state;
    enum { FEW = 16 };
    static const char *const rows[][2] = {{"ig", "steps=2000"},
                                          {"smoothgrad", "samples=2000"},
                                          {"vargrad", "samples=2000"},
                                          {"gradientshap", "samples=2000"},
                                          {"occlusion", "window=3 stride=1 whole=yes"},
                                          {"rise", "masks=2000"},
                                          {"kernelshap", "samples=2000"},
                                          {"lime", "samples=2000 alpha=1e-5"}};
    struct sal_model *model = make_network(SMOOTH, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct sal_map map = stopped_map(model, rows[i][0], rows[i][1]);
        assert_true(map.partial);
        assert_non_null(strstr(map.note, "so far"));
        float most = 0;
        for (int k = 0; k < PIXELS; k++)
            most = fmaxf(most, fabsf(map.values[k]));
        int done = atoi(map.note);
        bool lasso = strcmp(rows[i][0], "lime") == 0; /* a few samples' is 0 */
        if (!(most > 0) && !(lasso && done < FEW))
            fail_msg("%s leaves nothing: %s", rows[i][0], map.note);
        sal_map_release(&map);
    }
    sal_model_close(model);
}

static void what_never_began_leaves_nothing(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    for (int m = 0; sal_methods[m]; m++) {
        if (sal_methods[m]->needs & SAL_NEEDS_ATTENTION)
            continue;
        struct sal_job job = {.cancel = true};
        struct sal_map map;
        struct sal_error err;
        assert_int_equal(ask(model, an_image(), sal_methods[m]->name,
                             (struct asking){.job = &job}, &map, &err),
                         SAL_CANCELLED);
        assert_null(map.values);
    }
    sal_model_close(model);
}

/* ---- every model there is --------------------------------------------------------------- */

/* Few steps: whether it works, not what comes out. */
static const char *short_settings(const char *name)
{
    static const char *const rows[][2] = {{"ig", "steps=3"},
                                          {"blurig", "steps=3"},
                                          {"guidedig", "steps=3"},
                                          {"smoothgrad", "samples=2"},
                                          {"vargrad", "samples=2"},
                                          {"gradientshap", "samples=2"},
                                          {"rise", "masks=3"},
                                          {"kernelshap", "samples=3"},
                                          {"lime", "samples=3"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (strcmp(rows[i][0], name) == 0)
            return rows[i][1];
    return NULL;
}

static void walk_methods(const char *path)
{
    struct sal_model *model = NULL;
    must(sal_model_open(&model, path, &(struct sal_model_options){0}, err));
    const struct sal_model_input *input = sal_model_input(model);
    int64_t n = (int64_t)input->channels * input->height * input->width;
    float *x = calloc((size_t)n, sizeof(*x));
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(0.5 + 0.5 * cos(0.05 * (double)i));
    for (int m = 0; sal_methods[m]; m++) {
        const char *name = sal_methods[m]->name;
        struct sal_map map;
        struct sal_error err = {0};
        if (strcmp(name, "scorecam") == 0 && input->height > 160)
            continue; /* a pass for every channel; on small models it is run */
        struct asking how = {.settings = short_settings(name), .threads = 2};
        bool large = input->height > 64 && strcmp(name, "occlusion") == 0;
        if (large)
            how.settings = input->height < input->width ? NULL : "window=64 stride=64";
        enum sal_status status = ask(model, x, name, how, &map, &err);
        if (status == SAL_UNSUPPORTED)
            continue; /* it says so */
        if (status)
            fail_msg("%s on %s: %s", name, path, err.text);
        assert_int_equal(map.width, input->width);
        assert_int_equal(map.height, input->height);
        assert_true(*map.unit && map.forwards > 0);
        assert_true((map.by_channel != NULL) ==
                    ((sal_methods[m]->needs & SAL_HAS_CHANNELS) != 0));
        sal_map_release(&map);
    }
    free(x);
    sal_model_close(model);
}

static void every_method_works_on_every_model(void **state)
{
    (void)state;
    each_model(walk_methods);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gradient_is_what_differences_say),
        cmocka_unit_test(magnitudes_are_taken_before_channels_are_summed),
        cmocka_unit_test(of_a_linear_network_the_products_add_up_to_the_score),
        cmocka_unit_test(a_blank_gradient_says_why),
        cmocka_unit_test(gauss_legendre_is_exact_to_its_degree),
        cmocka_unit_test(other_rules_are_those_of_captum),
        cmocka_unit_test(completeness_improves_with_steps),
        cmocka_unit_test(a_map_that_does_not_add_up_says_so),
        cmocka_unit_test(baselines_are_what_their_names_say),
        cmocka_unit_test(a_point_blurs_to_a_gaussian),
        cmocka_unit_test(a_blur_has_its_width),
        cmocka_unit_test(occlusion_is_its_definition),
        cmocka_unit_test(windows_that_change_nothing_are_not_run),
        cmocka_unit_test(automatic_windows_are_told),
        cmocka_unit_test(noise_of_nothing_leaves_the_gradient),
        cmocka_unit_test(mean_square_and_variance_agree),
        cmocka_unit_test(the_seed_alone_decides_the_noise),
        cmocka_unit_test(neither_batch_nor_threads_change_a_bit),
        cmocka_unit_test(a_layout_does_not_matter),
        cmocka_unit_test(what_is_out_of_range_is_refused),
        cmocka_unit_test(an_order_is_scattered_and_complete),
        cmocka_unit_test(what_is_stopped_leaves_a_part),
        cmocka_unit_test(what_never_began_leaves_nothing),
        cmocka_unit_test(every_method_works_on_every_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
