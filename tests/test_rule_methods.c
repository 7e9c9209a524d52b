/* Methods whose backward follows rules: what their maps say of themselves. The rules
 * are held to their formulas in test_propagation.c and test_lrp.c. */
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

static double sum_of(const struct sal_map *map)
{
    double sum = 0;
    for (int i = 0; i < PIXELS; i++)
        sum += (double)map->values[i];
    return sum;
}

/* A layer of half the size behind a ReLU, whose channels speak for and against class 1;
 * or all against it. */
static struct sal_model *make_halved(bool against)
{
    static const float with[2 * 4] = {1, 0, 1, 0, 0.5F, -0.2F, 0.7F, 0.1F};
    static const float without[2 * 4] = {1, 0, 1, 0, -0.5F, -0.2F, -0.7F, -0.1F};
    struct onnx_build b;
    char path[ONNX_BUILD_PATH];
    struct sal_model *model = NULL;
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 4, (int64_t[]){-1, C, H, W});
    onnx_build_waves(&b, "w", 4, (int64_t[]){4, C, 2, 2}, 0.7F);
    onnx_build_weights(&b, "v", 4, (int64_t[]){2, 4, 1, 1}, against ? without : with);
    onnx_build_node(&b, "Conv", "x,w", "y");
    onnx_build_ints(&b, "strides", 2, (int64_t[]){2, 2});
    onnx_build_node(&b, "Relu", "y", "a");
    onnx_build_node(&b, "Conv", "a,v", "z");
    onnx_build_node(&b, "GlobalAveragePool", "z", "p");
    onnx_build_node(&b, "Flatten", "p", "logits");
    onnx_build_output(&b, "logits", SAL_ONNX_FLOAT, -1, NULL);
    assert_true(onnx_build_save(&b, path));
    must(sal_model_open(&model, path, &(struct sal_model_options){0}, err));
    unlink(path);
    return model;
}

static void a_blank_map_says_where_the_gradient_ends(void **state)
{
    (void)state;
    struct sal_model *model = make_halved(true);
    struct sal_map maps[] = {map_of(model, "guidedbackprop", (struct asking){0}),
                             map_of(model, "deconvnet", (struct asking){0})};
    for (int i = 0; i < 2; i++)
        assert_non_null(strstr(maps[i].note, "no positive gradient is left"));
    for (int i = 0; i < 2; i++)
        sal_map_release(&maps[i]);
    sal_model_close(model);
}

static void close_all(struct sal_model *model, struct sal_map *maps, int n)
{
    for (int i = 0; i < n; i++)
        sal_map_release(&maps[i]);
    sal_model_close(model);
}

static void without_relus_guided_maps_are_gradients_and_say_so(void **state)
{
    (void)state;
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct sal_map maps[] = {map_of(model, "gradient", (struct asking){0}),
                             map_of(model, "guidedbackprop", (struct asking){0}),
                             map_of(model, "deconvnet", (struct asking){0})};
    for (int i = 1; i < 3; i++) {
        assert_true(apart(maps[i].by_channel, maps[0].by_channel, N) <= 1e-7);
        assert_non_null(strstr(maps[i].note, "no ReLU"));
    }
    close_all(model, maps, 3);
}

static void with_relus_they_are_not(void **state)
{
    (void)state;
    struct sal_model *model = make_network(RELU, NULL);
    struct sal_map maps[] = {map_of(model, "gradient", (struct asking){0}),
                             map_of(model, "guidedbackprop", (struct asking){0}),
                             map_of(model, "deconvnet", (struct asking){0})};
    for (int i = 1; i < 3; i++) {
        assert_true(apart(maps[i].by_channel, maps[0].by_channel, N) > 1e-3);
        assert_string_equal(maps[i].note, "");
        assert_string_equal(maps[i].unit, "logit per unit input");
        assert_true(maps[i].is_signed && maps[i].forwards == 1 &&
                    maps[i].backwards == 1);
    }
    assert_true(apart(maps[1].by_channel, maps[2].by_channel, N) > 1e-3);
    close_all(model, maps, 3);
}

static void guided_gradcam_is_the_product_of_both(void **state)
{
    (void)state;
    struct sal_model *model = make_halved(false);
    struct sal_map maps[] = {
        map_of(model, "guidedbackprop", (struct asking){0}),
        map_of(model, "gradcam", (struct asking){0}),
        map_of(model, "guidedgradcam", (struct asking){0}),
        map_of(model, "guidedgradcam", (struct asking){.settings = "enlarge=nearest"})};
    const struct sal_map *cam = &maps[1];
    double most = 0;
    for (int c = 0; c < C; c++)
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++) {
                int at = c * PIXELS + y * W + x;
                int cell = y * cam->grid_height / H * cam->grid_width +
                           x * cam->grid_width / W;
                double guided = (double)maps[0].by_channel[at];
                double smooth = guided * (double)cam->values[y * W + x];
                double stepped = guided * (double)cam->grid[cell];
                assert_true(fabs((double)maps[2].by_channel[at] - smooth) <= 1e-10);
                assert_true(fabs((double)maps[3].by_channel[at] - stepped) <= 1e-10);
                most = fmax(most, fabs(smooth));
            }
    assert_true(most > 1e-6 && maps[2].layer == cam->layer && cam->grid_width < W);
    assert_true(apart(maps[2].by_channel, maps[3].by_channel, N) > 1e-6);
    close_all(model, maps, 4);
}

static void deeplift_adds_up_whatever_the_baseline(void **state)
{
    (void)state;
    static const char *const settings[] = {"baseline=zero", "baseline=mean",
                                           "baseline=noise", "baseline=value value=-1"};
    for (int kind = SMOOTH; kind <= SMOOTH_NHWC; kind++) {
        struct sal_model *model = make_network((enum network)kind, NULL);
        for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
            struct sal_map map =
                map_of(model, "deeplift", (struct asking){.settings = settings[i]});
            double change = map.score - check_of(&map, "baseline_score");
            const double miss = 1e-4 * fabs(change) + 2e-6;
            assert_true(i > 0 || fabs(change) > 0.05);
            assert_true(fabs(sum_of(&map) - change) <= miss);
            assert_true(fabs(check_of(&map, "completeness_error")) <= miss);
            assert_int_equal(map.forwards, 2);
            assert_string_equal(map.note, "");
            sal_map_release(&map);
        }
        sal_model_close(model);
    }
}

static void deeplift_from_several_baselines_is_the_mean_of_their_maps(void **state)
{
    (void)state;
    static const char *const settings[] = {"baseline=black", "baseline=white", "baseline=mean",
                                           "baseline=black+white+mean"};
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct sal_map maps[4];
    double base = 0;
    for (int i = 0; i < 4; i++) {
        maps[i] = map_of(model, "deeplift", (struct asking){.settings = settings[i]});
        base += i < 3 ? check_of(&maps[i], "baseline_score") / 3 : 0;
    }
    for (int i = 0; i < W * H; i++) {
        double mean = ((double)maps[0].values[i] + (double)maps[1].values[i] +
                       (double)maps[2].values[i]) / 3;
        assert_true(fabs(mean - (double)maps[3].values[i]) <= 1e-6);
    }
    assert_true(fabs(base - check_of(&maps[3], "baseline_score")) <= 1e-6);
    assert_true(apart(maps[0].values, maps[3].values, W * H) > 1e-4);
    assert_true(check_of(&maps[3], "worst_baseline_error_percent") < 1);
    assert_int_equal(maps[3].forwards, 6);
    close_all(model, maps, 4);
}

/* Without biases epsilon's map is input x gradient, and all of the score. */
static void lrp_says_what_is_lost(void **state)
{
    (void)state;
    struct sal_model *model = make_network(RELU, NULL);
    const char *epsilon = "conv=epsilon first=epsilon epsilon=1e-9";
    const char *large = "conv=epsilon first=epsilon epsilon=1";
    struct sal_map maps[] = {map_of(model, "inputxgradient", (struct asking){0}),
                             map_of(model, "lrp", (struct asking){.settings = epsilon}),
                             map_of(model, "lrp", (struct asking){.settings = large}),
                             map_of(model, "lrp", (struct asking){0})};
    assert_true(apart(maps[0].by_channel, maps[1].by_channel, N) <= 1e-6);
    assert_true(fabs(check_of(&maps[1], "absorbed")) <= 1e-5 * fabs(maps[1].score));
    assert_true(fabs(check_of(&maps[2], "absorbed_percent")) > 10);
    for (int i = 1; i < 4; i++) {
        double lost = maps[i].score - sum_of(&maps[i]);
        assert_true(fabs(lost - check_of(&maps[i], "absorbed")) <= 1e-5);
    }
    assert_string_equal(maps[3].note, ""); /* zbox */
    assert_true(fabs(check_of(&maps[3], "absorbed")) <= 1e-4 * fabs(maps[3].score));
    close_all(model, maps, 4);
}

static void bits_are_the_same_for_any_number_of_threads(void **state)
{
    (void)state;
    static const char *const names[] = {"guidedbackprop", "deconvnet", "guidedgradcam",
                                        "deeplift", "lrp"};
    struct sal_model *model = make_network(RELU, NULL);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        struct sal_map one = map_of(model, names[i], (struct asking){.threads = 1});
        struct sal_map three = map_of(model, names[i], (struct asking){.threads = 3});
        assert_memory_equal(one.by_channel, three.by_channel, N * sizeof(float));
        sal_map_release(&one);
        sal_map_release(&three);
    }
    sal_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_relus_guided_maps_are_gradients_and_say_so),
        cmocka_unit_test(with_relus_they_are_not),
        cmocka_unit_test(a_blank_map_says_where_the_gradient_ends),
        cmocka_unit_test(guided_gradcam_is_the_product_of_both),
        cmocka_unit_test(deeplift_adds_up_whatever_the_baseline),
        cmocka_unit_test(deeplift_from_several_baselines_is_the_mean_of_their_maps),
        cmocka_unit_test(lrp_says_what_is_lost),
        cmocka_unit_test(bits_are_the_same_for_any_number_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
