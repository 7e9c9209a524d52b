/* KernelSHAP against Shapley's own definition and LIME against the conditions of its fit,
 * both against a linear network, whose parts are known. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "onnx_build.h"
#include "saliscope/random.h"
#include "small_network.h"

enum { CELLS = 3, PARTS = CELLS * CELLS, SUBSETS = 1 << PARTS };

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})

static int part_of(int pixel, int cells)
{
    return pixel / W * cells / H * cells + pixel % W * cells / W;
}

/* A pixel in the middle of a rectangle. */
static int middle_of(int part, int cells)
{
    return (2 * (part / cells) + 1) * H / (2 * cells) * W +
           (2 * (part % cells) + 1) * W / (2 * cells);
}

/* The image with the parts of a set, and 0.25 elsewhere. */
static void keep_parts(const float *image, int set, int cells, float *x)
{
    for (int i = 0; i < N; i++)
        x[i] = set >> part_of(i % PIXELS, cells) & 1 ? image[i] : 0.25F;
}

/* For many scores of one model: opening a run takes longer than a pass. */
static struct sal_run *open_run(const struct sal_model *model)
{
    struct sal_run *run = NULL;
    must(sal_run_open(&run, model, &(struct sal_run_options){0}, err));
    return run;
}

static double score_by(struct sal_run *run, const struct sal_model *model, const float *x)
{
    must(sal_run_forward(run, x, NULL, err));
    return (double)sal_run_value(run, sal_model_output(model)->value, NULL)[1];
}

/* Shapley's: the mean over all orders of what a part adds when it comes. */
static void shapley(const struct sal_model *model, const float *image, int cells,
                    double *value)
{
    static double score[SUBSETS];
    int n = cells * cells;
    struct sal_run *run = open_run(model);
    for (int set = 0; set < 1 << n; set++) {
        float x[N];
        keep_parts(image, set, cells, x);
        score[set] = score_by(run, model, x);
    }
    sal_run_close(run);
    for (int part = 0; part < n; part++) {
        value[part] = 0;
        for (int set = 0; set < 1 << n; set++) {
            int k = __builtin_popcount((unsigned)set);
            if (set >> part & 1)
                continue;
            double orders = tgamma(k + 1) * tgamma(n - k) / tgamma(n + 1);
            value[part] += orders * (score[set | 1 << part] - score[set]);
        }
    }
}

static double worst_part(const struct sal_map *map, const double *value, int cells)
{
    double worst = 0;
    for (int part = 0; part < cells * cells; part++)
        worst = fmax(worst, fabs((double)map->values[middle_of(part, cells)] - value[part]));
    return worst;
}

#define QUARTER "segments=grid baseline=value value=0.25 "

/* tanh of the mean of all, twice, with weights of 1 and -2. */
static struct sal_model *symmetric_network(void)
{
    struct onnx_build b;
    char path[ONNX_BUILD_PATH];
    struct sal_model *model = NULL;
    static const float weights[C * 2] = {1, -2, 1, -2, 1, -2};
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 4, DIMS(-1, C, H, W));
    onnx_build_node(&b, "ReduceMean", "x", "mean");
    onnx_build_ints(&b, "axes", 2, DIMS(2, 3));
    onnx_build_int(&b, "keepdims", 0);
    onnx_build_node(&b, "Tanh", "mean", "bent");
    onnx_build_weights(&b, "w", 2, DIMS(C, 2), weights);
    onnx_build_node(&b, "MatMul", "bent,w", "logits");
    onnx_build_output(&b, "logits", SAL_ONNX_FLOAT, -1, NULL);
    assert_true(onnx_build_save(&b, path));
    must(sal_model_open(&model, path, &(struct sal_model_options){0}, err));
    unlink(path);
    return model;
}

/* ---- KernelSHAP -------------------------------------------------------------------------- */

static void where_all_samples_fit_values_are_those_of_shapley(void **state)
{
    (void)state;
    static const char *const settings[] = {QUARTER "cells=2 samples=14",
                                           QUARTER "cells=3 samples=510"};
    struct sal_model *model = make_network(SMOOTH, NULL);
    for (int i = 0; i < 2; i++) {
        double value[PARTS];
        struct sal_map map =
            map_of(model, "kernelshap", (struct asking){.settings = settings[i]});
        shapley(model, an_image(), i + 2, value);
        double worst = worst_part(&map, value, i + 2);
        print_message("%d parts: off by %.1e\n", (i + 2) * (i + 2), worst);
        assert_true(worst <= 2e-7);
        assert_int_equal(map.forwards, (i ? 510 : 14) + 2);
        assert_true(check_of(&map, "standard_error") == 0);
        sal_map_release(&map);
    }
    sal_model_close(model);
}

/* Whatever the samples, even where they determine nothing. */
static void values_add_up_to_the_score(void **state)
{
    (void)state;
    static const char *const settings[] = {"", "samples=3", "samples=40 cells=12",
                                           "baseline=noise samples=99 segments=grid"};
    struct sal_model *model = make_network(SMOOTH, NULL);
    for (int i = 0; i < 4; i++) {
        struct sal_map map =
            map_of(model, "kernelshap", (struct asking){.settings = settings[i]});
        assert_true(fabs(check_of(&map, "baseline_score") + check_of(&map, "sum") -
                         map.score) <= 1e-12);
        assert_true(fabs(map.score - score_of(model, an_image())) <= 1e-6);
        assert_true((strstr(map.note, "do not determine") != NULL) == (i == 1 || i == 2));
        sal_map_release(&map);
    }
    sal_model_close(model);
}

/* The spread about the exact values is the standard error, and there is nothing else: the
 * second network bends so much that how many parts samples have counts. */
static void stray(const struct sal_model *model, const float *x)
{
    enum { SEEDS = 60 };
    double value[PARTS], seen = 0, said = 0, mean[PARTS] = {0}, bias = 0;
    shapley(model, x, CELLS, value);
    for (int seed = 0; seed < SEEDS; seed++) {
        struct sal_map map;
        struct asking how = {.settings = QUARTER "cells=3 samples=120", .seed = seed};
        must(ask(model, x, "kernelshap", how, &map, err));
        for (int part = 0; part < PARTS; part++) {
            double off = (double)map.values[middle_of(part, CELLS)] - value[part];
            seen += off * off / PARTS / SEEDS;
            mean[part] += off / SEEDS;
        }
        said += pow(check_of(&map, "standard_error"), 2) / SEEDS;
        sal_map_release(&map);
    }
    for (int part = 0; part < PARTS; part++)
        bias = fmax(bias, fabs(mean[part]));
    print_message("standard error %.2e, off by %.2e, on the mean by %.1e\n", sqrt(said),
                  sqrt(seen), bias);
    assert_true(fabs(sqrt(said / seen) - 1) <= 0.2);
    assert_true(bias <= 4 * sqrt(seen / SEEDS));
}

static void samples_stray_as_far_as_they_say(void **state)
{
    (void)state;
    struct sal_model *smooth = make_network(SMOOTH, NULL), *bent = symmetric_network();
    float x[N];
    for (int i = 0; i < N; i++)
        x[i] = (float)(0.7 * part_of(i % PIXELS, CELLS));
    stray(smooth, an_image());
    stray(bent, x);
    sal_model_close(smooth);
    sal_model_close(bent);
}

/* The parts a linear network's score is made of, summed over rectangles. */
static void parts_of(const struct sal_model *model, int cells, double *value)
{
    struct sal_map parts = map_of(model, "inputxgradient", (struct asking){0});
    memset(value, 0, (size_t)(cells * cells) * sizeof(*value));
    for (int i = 0; i < PIXELS; i++)
        value[part_of(i, cells)] += (double)parts.values[i];
    sal_map_release(&parts);
}

static void of_a_linear_network_both_give_its_parts(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"kernelshap", "segments=grid cells=4 samples=60"},
        {"lime", "segments=grid cells=4 samples=60 alpha=0"},
        {"lime", "segments=grid cells=4 samples=60 penalty=ridge alpha=1e-7 width=0.3"},
        {"lime", "segments=grid cells=4 samples=60 alpha=1e-9 distance=presence"}};
    struct sal_model *model = make_network(LINEAR, NULL);
    double value[16];
    parts_of(model, 4, value);
    for (int i = 0; i < 4; i++) {
        struct sal_map map =
            map_of(model, rows[i][0], (struct asking){.settings = rows[i][1]});
        assert_true(worst_part(&map, value, 4) <= 1e-6);
        assert_true(fabs(check_of(&map, "r_squared") - 1) <= 1e-6);
        if (i)
            assert_true(fabs(check_of(&map, "local_error")) <= 1e-6);
        else
            assert_true(check_of(&map, "standard_error") <= 1e-6);
        sal_map_release(&map);
    }
    sal_model_close(model);
}

static void like_parts_get_like_values_and_idle_ones_none(void **state)
{
    (void)state;
    struct sal_model *model = symmetric_network();
    float x[N];
    for (int i = 0; i < N; i++)
        x[i] = part_of(i % PIXELS, 2) == 2 ? 0 : 1.5F;
    struct sal_map map;
    must(ask(model, x, "kernelshap", (struct asking){.settings = "segments=grid cells=2"},
             &map, err));
    double third = (map.score - check_of(&map, "baseline_score")) / 3;
    assert_true(third < -1);
    for (int part = 0; part < 4; part++)
        assert_true(fabs((double)map.values[middle_of(part, 2)] - (part == 2 ? 0 : third)) <=
                    1e-6);
    sal_map_release(&map);
    sal_model_close(model);
}

/* ---- LIME -------------------------------------------------------------------------------- */

enum { SAMPLES = 80 };

/* From the definition: the cosine distance of sample to image. */
static double weight_of(const float *x, int set, bool of_images, double width)
{
    double xx = 0, xy = 0, yy = 0;
    const float *image = an_image();
    for (int i = 0; i < N; i++) {
        double a = (double)image[i], b = (double)x[i];
        xx += a * a;
        xy += a * b;
        yy += b * b;
    }
    double d = of_images ? 1 - xy / sqrt(xx * yy)
                         : 1 - sqrt(__builtin_popcount((unsigned)set) / (double)PARTS);
    return exp(-d * d / (2 * width * width));
}

/* The slopes of the penalised squares must vanish (for the lasso: stay within alpha). */
static void check_fit(const struct sal_model *model, const struct sal_map *map, uint64_t seed,
                      bool of_images, double width, bool lasso, double alpha)
{
    double slope[PARTS] = {0}, level = 0, total = 0, value[PARTS];
    struct sal_run *run = open_run(model);
    for (int part = 0; part < PARTS; part++)
        value[part] = (double)map->values[middle_of(part, CELLS)];
    for (int i = 0; i < SAMPLES; i++) {
        uint64_t key = sal_random_key(seed, (uint64_t)i);
        int set = 0;
        float x[N];
        for (int part = 0; part < PARTS; part++)
            set |= (sal_random_uniform(key, (uint64_t)part) < 0.5) << part;
        keep_parts(an_image(), set, CELLS, x);
        double left = score_by(run, model, x) - check_of(map, "intercept");
        double weight = weight_of(x, set, of_images, width);
        for (int part = 0; part < PARTS; part++)
            left -= set >> part & 1 ? value[part] : 0;
        for (int part = 0; part < PARTS; part++)
            slope[part] += set >> part & 1 ? weight * left : 0;
        level += weight * left;
        total += weight;
    }
    sal_run_close(run);
    assert_true(fabs(level) <= 1e-5 * total);
    for (int part = 0; part < PARTS; part++) {
        double pull = slope[part] / total, most = alpha + 1e-5;
        if (!lasso)
            assert_true(fabs(slope[part] - alpha * value[part]) <= 1e-4);
        else if (value[part] == 0)
            assert_true(fabs(pull) <= most);
        else
            assert_true(fabs(pull - copysign(alpha, value[part])) <= 1e-5);
    }
}

static void a_fit_meets_its_conditions(void **state)
{
    (void)state;
    static const struct {
        const char *settings;
        bool of_images;
        double width;
        bool lasso;
        double alpha;
    } rows[] = {
        {"alpha=0.003", true, 1, true, 0.003},
        {"alpha=0.001 distance=presence width=0.25", false, 0.25, true, 0.001},
        {"penalty=ridge alpha=1 width=0.5", true, 0.5, false, 1},
        {"penalty=ridge alpha=0 distance=presence", false, 1, false, 0},
    };
    struct sal_model *model = make_network(SMOOTH, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char settings[160];
        snprintf(settings, sizeof(settings), QUARTER "cells=%d samples=%d %s", CELLS, SAMPLES,
                 rows[i].settings);
        struct sal_map map =
            map_of(model, "lime", (struct asking){.settings = settings, .seed = i});
        check_fit(model, &map, i, rows[i].of_images, rows[i].width, rows[i].lasso,
                  rows[i].alpha);
        assert_true(check_of(&map, "superpixels") == PARTS);
        double sum = check_of(&map, "intercept");
        for (int part = 0; part < PARTS; part++)
            sum += (double)map.values[middle_of(part, CELLS)];
        assert_true(fabs(sum - map.score - check_of(&map, "local_error")) <= 1e-6);
        assert_true(check_of(&map, "r_squared") > 0 && check_of(&map, "r_squared") <= 1);
        sal_map_release(&map);
    }
    sal_model_close(model);
}

static void a_penalty_that_leaves_nothing_says_so(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct sal_map map =
        map_of(model, "lime", (struct asking){.settings = "alpha=100 samples=200"});
    assert_non_null(strstr(map.note, "every coefficient 0"));
    assert_true(check_of(&map, "superpixels_used") == 0);
    sal_map_release(&map);
    map = map_of(model, "lime", (struct asking){.settings = "alpha=1e-4 samples=9"});
    assert_non_null(strstr(map.note, "9 samples do not determine"));
    sal_map_release(&map);
    sal_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_all_samples_fit_values_are_those_of_shapley),
        cmocka_unit_test(values_add_up_to_the_score),
        cmocka_unit_test(samples_stray_as_far_as_they_say),
        cmocka_unit_test(of_a_linear_network_both_give_its_parts),
        cmocka_unit_test(like_parts_get_like_values_and_idle_ones_none),
        cmocka_unit_test(a_fit_meets_its_conditions),
        cmocka_unit_test(a_penalty_that_leaves_nothing_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
