/* Methods that change a layer and run what is behind it, Ablation-CAM and ReciproCAM: maps
 * that can be worked out by hand, any batch, work that is stopped. Against other software:
 * test_cams.c. */
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "onnx_build.h"
#include "saliscope/explain.h"

#define DIMS(...) (const int64_t[]){__VA_ARGS__}

#define BIAS 0.25f

enum { H = 8, W = 10, MANY_H = 32, MANY_W = 40, CLASSES = 3 };

/* A pointwise convolution, its mean, a head whose weights are those of class: -1, 0, 1.
 * around: the mean is multiplied by that of the input, which then comes around. */
static struct sal_model *open_network(int channels, int h, int w, bool around)
{
    struct onnx_build b;
    struct sal_model *model;
    struct sal_error err;
    char path[ONNX_BUILD_PATH];
    float *head = calloc((size_t)channels * CLASSES, sizeof(*head));
    for (int i = 0; i < channels * CLASSES; i++)
        head[i] = (float)(i % CLASSES - 1);
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "image", SAL_ONNX_FLOAT, 4, DIMS(-1, 3, h, w));
    onnx_build_waves(&b, "w", 4, DIMS(channels, 3, 1, 1), 0.5f);
    onnx_build_weights(&b, "head", 2, DIMS(channels, CLASSES), head);
    onnx_build_node(&b, "Conv", "image,w", "before");
    onnx_build_node(&b, "Relu", "before", "features");
    onnx_build_node(&b, "GlobalAveragePool", "features", "pooled");
    onnx_build_node(&b, "ReduceMean", "image", "mean");
    onnx_build_ints(&b, "axes", 3, DIMS(1, 2, 3));
    onnx_build_node(&b, "Mul", "pooled,mean", "product");
    onnx_build_node(&b, "Flatten", around ? "product" : "pooled", "flat");
    onnx_build_weights(&b, "bias", 1, DIMS(CLASSES), (float[]){-BIAS, 0, BIAS});
    onnx_build_node(&b, "Gemm", "flat,head,bias", "scores");
    onnx_build_output(&b, "scores", SAL_ONNX_FLOAT, -1, NULL);
    assert_true(onnx_build_save(&b, path));
    if (sal_model_open(&model, path, &(struct sal_model_options){0}, &err))
        fail_msg("%s", err.text);
    unlink(path);
    free(head);
    return model;
}

static sal_real *picture(int h, int w)
{
    sal_real *x = calloc((size_t)(3 * h * w), sizeof(*x));
    for (int i = 0; i < 3 * h * w; i++)
        x[i] = (sal_real)(0.2 + cos(0.37 * (i + 1)));
    return x;
}

static struct sal_map map_of(const struct sal_model *model, const char *name,
                             const char *settings, struct sal_question question)
{
    const struct sal_method *method = sal_method_find(name);
    struct sal_params params;
    struct sal_map map;
    struct sal_error err;
    char text[128];
    sal_params_init(&params, method->params);
    snprintf(text, sizeof(text), "%s", settings);
    for (char *one = strtok(text, " "); one; one = strtok(NULL, " "))
        assert_int_equal(sal_params_set(&params, method->params, one, name, NULL), SAL_OK);
    question.model = model;
    question.params = &params;
    question.layer = sal_model_find(model, "features");
    if (sal_explain(method, &question, &map, &err))
        fail_msg("%s: %s", name, err.text);
    return map;
}

/* ---- by hand ------------------------------------------------------------------------------ */

enum { C = 6 };

/* Activations of the layer, their means, the mean of the image. */
static double features(const struct sal_model *model, const sal_real *x, double *a,
                       double *mean)
{
    struct sal_run *run;
    int layer = sal_model_find(model, "features");
    struct sal_run_options options = {.keep = &layer, .n_keep = 1};
    assert_int_equal(sal_run_open(&run, model, &options, NULL), SAL_OK);
    assert_int_equal(sal_run_forward(run, x, NULL, NULL), SAL_OK);
    const sal_real *values = sal_run_value(run, layer, NULL);
    double all = 0;
    for (int i = 0; i < C * H * W; i++) {
        a[i] = (double)values[i];
        mean[i / (H * W)] += a[i] / (H * W);
    }
    for (int i = 0; i < 3 * H * W; i++)
        all += (double)x[i] / (3 * H * W);
    sal_run_close(run);
    return all;
}

static void assert_close(const struct sal_map *map, const double *expected, const char *what)
{
    double most = 0;
    for (int i = 0; i < H * W; i++)
        most = fmax(most, fabs(expected[i]));
    assert_true(most > 0);
    for (int i = 0; i < H * W; i++)
        if (!(fabs((double)map->grid[i] - expected[i]) <= 1e-5 * most))
            fail_msg("%s: %g, not %g, at %d", what, (double)map->grid[i], expected[i], i);
}

/* With a linear head the drop of a channel is its mean times its weight. */
static void a_channel_weighs_its_drop(void **state)
{
    (void)state;
    for (int around = 0; around < 2; around++) {
        struct sal_model *model = open_network(C, H, W, around);
        sal_real *x = picture(H, W);
        double a[C * H * W], mean[C] = {0}, expected[2][H * W] = {{0}};
        double score = (double)BIAS;
        double all = features(model, x, a, mean), factor = around ? all : 1;
        for (int k = 0; k < C; k++)
            score += factor * mean[k];
        for (int i = 0; i < C * H * W; i++) {
            double share = factor * mean[i / (H * W)] / fabs(score) * a[i];
            expected[0][i % (H * W)] -= share; /* class 0: all weights are -1 */
            expected[1][i % (H * W)] += share;
        }
        struct sal_question to[] = {{.x = x, .class_index = 0}, {.x = x, .class_index = 2}};
        struct sal_map map = map_of(model, "ablationcam", "evidence=both", to[0]);
        assert_close(&map, expected[0], "against the class");
        sal_map_release(&map);
        map = map_of(model, "ablationcam", "evidence=both divisor=score", to[0]);
        assert_close(&map, expected[1], "divided by a negative score");
        sal_map_release(&map);
        map = map_of(model, "ablationcam", "", to[1]);
        assert_close(&map, expected[1], "for the class");
        assert_int_equal(map.backwards, 0);
        sal_map_release(&map);
        free(x);
        sal_model_close(model);
    }
}

/* And a position brings its own part of the mean. */
static void a_position_brings_its_part(void **state)
{
    (void)state;
    static const double by[] = {0.25, 0.125, 0.0625};
    for (int around = 0; around < 2; around++) {
        struct sal_model *model = open_network(C, H, W, around);
        sal_real *x = picture(H, W);
        double a[C * H * W], mean[C] = {0}, part[H * W] = {0}, wide[H * W] = {0};
        double all = features(model, x, a, mean), factor = around ? all : 1;
        for (int i = 0; i < C * H * W; i++)
            part[i % (H * W)] += factor * a[i] / (H * W);
        for (int i = 0; i < H * W; i++)
            for (int j = 0; j < H * W; j++) {
                int down = abs(i / W - j / W), right = abs(i % W - j % W);
                wide[i] += down < 2 && right < 2 ? by[down + right] * part[j] : 0;
            }
        struct sal_question question = {.x = x, .class_index = 2};
        struct sal_map map = map_of(model, "reciprocam", "", question);
        assert_close(&map, part, "one position");
        sal_map_release(&map);
        map = map_of(model, "reciprocam", "mask=gaussian", question);
        assert_close(&map, wide, "nine positions");
        sal_map_release(&map);
        struct sal_map other = map_of(model, "gradcam", "", question);
        assert_close(&other, part, "Grad-CAM"); /* is the same here */
        sal_map_release(&other);
        free(x);
        sal_model_close(model);
    }
}

/* ---- passes ------------------------------------------------------------------------------- */

static void channels_that_are_zero_need_no_pass(void **state)
{
    (void)state;
    struct sal_model *model = open_network(C, H, W, false);
    sal_real *x = picture(H, W);
    double a[C * H * W], mean[C] = {0};
    features(model, x, a, mean);
    int active = 0;
    for (int k = 0; k < C; k++)
        active += mean[k] > 0;
    struct sal_map map =
        map_of(model, "ablationcam", "", (struct sal_question){.x = x, .class_index = 2});
    assert_int_equal(map.forwards, 1 + 1 + active); /* the base, the layer as it is */
    assert_int_equal((int)map.checks[1].value, C - active);
    sal_map_release(&map);
    free(x);
    sal_model_close(model);
}

static void a_batch_does_not_matter(void **state)
{
    (void)state;
    static const char *const names[] = {"ablationcam", "reciprocam"};
    struct sal_model *model = open_network(C, H, W, true);
    sal_real *x = picture(H, W);
    for (int m = 0; m < 2; m++) {
        struct sal_question question = {.x = x, .class_index = 2, .batch = 1};
        struct sal_map first = map_of(model, names[m], "", question);
        for (question.batch = 2; question.batch < 9; question.batch += 3) {
            struct sal_map map = map_of(model, names[m], "", question);
            assert_memory_equal(first.grid, map.grid, sizeof(float) * H * W);
            sal_map_release(&map);
        }
        sal_map_release(&first);
    }
    free(x);
    sal_model_close(model);
}

static void *stop_soon(void *argument)
{
    struct sal_job *job = argument;
    while (atomic_load(&job->done) < 3)
        sched_yield();
    sal_job_cancel(job);
    return NULL;
}

/* So many passes that the other thread has its turn before they are over. */
static void what_is_stopped_leaves_a_part(void **state)
{
    (void)state;
    static const char *const names[] = {"ablationcam", "reciprocam"};
    struct sal_model *model = open_network(1500, MANY_H, MANY_W, false);
    sal_real *x = picture(MANY_H, MANY_W);
    for (int m = 0; m < 2; m++) {
        struct sal_job job = {0};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, stop_soon, &job), 0);
        struct sal_map map = map_of(
            model, names[m], "",
            (struct sal_question){.x = x, .class_index = 2, .batch = 1, .job = &job});
        pthread_join(thread, NULL);
        assert_true(map.partial);
        assert_non_null(strstr(map.note, "so far"));
        float most = 0;
        for (int k = 0; k < MANY_H * MANY_W; k++)
            most = fmaxf(most, map.values[k]);
        assert_true(most > 0);
        sal_map_release(&map);
    }
    free(x);
    sal_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_channel_weighs_its_drop),
        cmocka_unit_test(a_position_brings_its_part),
        cmocka_unit_test(channels_that_are_zero_need_no_pass),
        cmocka_unit_test(a_batch_does_not_matter),
        cmocka_unit_test(what_is_stopped_leaves_a_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
