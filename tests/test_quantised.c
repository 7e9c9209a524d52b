/* Quantised classifiers as models: which tensors count, what is said of gradients, and
 * that they explain as the float model does. */
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
#include "saliscope/model.h"
#include "saliscope/run.h"

#define DIMS(...) (const int64_t[]){__VA_ARGS__}

enum { SIDE = 8, MAPS = 4, CLASSES = 3 };

/* Quantises `in` and takes it back to `out`, or only renames it. */
static void step(struct onnx_build *b, bool quantised, const char *in, const char *q,
                 const char *out, const char *scale)
{
    char inputs[64];
    if (!quantised) {
        onnx_build_node(b, "Identity", in, out);
        return;
    }
    snprintf(inputs, sizeof(inputs), "%s,%s,zero", in, scale);
    onnx_build_node(b, "QuantizeLinear", inputs, q);
    snprintf(inputs, sizeof(inputs), "%s,%s,zero", q, scale);
    onnx_build_node(b, "DequantizeLinear", inputs, out);
}

/* Conv, MaxPool, mean and Gemm, with a step after each; the scores saturate at 0.5.
 * Left without an output. */
static void network(struct onnx_build *b, bool quantised)
{
    onnx_build_init(b, 13);
    onnx_build_input(b, "image", SAL_ONNX_FLOAT, 4, DIMS(1, 1, SIDE, SIDE));
    onnx_build_raw(b, "zero", SAL_ONNX_INT8, 0, NULL, "", 1);
    onnx_build_weights(b, "fine", 0, NULL, (float[]){1.f / 64});
    onnx_build_weights(b, "coarse", 0, NULL, (float[]){1.f / 16});
    onnx_build_weights(b, "clipping", 0, NULL, (float[]){1.f / 256});
    onnx_build_waves(b, "w1", 4, DIMS(MAPS, 1, 3, 3), 0.5f);
    onnx_build_waves(b, "w2", 2, DIMS(CLASSES, MAPS), 0.5f);
    onnx_build_weights(b, "b2", 1, DIMS(CLASSES), (float[]){3, 2, 1});
    step(b, quantised, "image", "q0", "d0", "fine");
    onnx_build_node(b, "Conv", "d0,w1", "c1");
    onnx_build_ints(b, "pads", 4, DIMS(1, 1, 1, 1));
    onnx_build_node(b, "Relu", "c1", "r1");
    step(b, quantised, "r1", "q1", "d1", "coarse");
    onnx_build_node(b, "MaxPool", "d1", "p1");
    onnx_build_ints(b, "kernel_shape", 2, DIMS(2, 2));
    onnx_build_ints(b, "strides", 2, DIMS(2, 2));
    step(b, quantised, "p1", "q2", "d2", "coarse");
    onnx_build_node(b, "GlobalAveragePool", "d2", "mean");
    onnx_build_node(b, "Flatten", "mean", "flat");
    onnx_build_node(b, "Gemm", "flat,w2,b2", "scores");
    onnx_build_int(b, "transB", 1);
    step(b, quantised, "scores", "q3", "d3", "clipping");
}

static struct sal_model *open_built(struct onnx_build *b, const char *output)
{
    struct sal_model *model;
    onnx_build_output(b, output, SAL_ONNX_FLOAT, -1, NULL);
    struct sal_error err;
    char path[ONNX_BUILD_PATH];
    assert_true(onnx_build_save(b, path));
    enum sal_status status =
        sal_model_open(&model, path, &(struct sal_model_options){0}, &err);
    unlink(path);
    if (status)
        fail_msg("%s", err.text);
    return model;
}

static bool warns(const struct sal_model *model, const char *text)
{
    int n;
    const char *const *warnings = sal_model_warnings(model, &n);
    for (int i = 0; i < n; i++)
        if (strstr(warnings[i], text))
            return true;
    return false;
}

static const char *automatic_layer(const struct sal_model *model)
{
    int n, automatic;
    const struct sal_layer *layers = sal_model_layers(model, &n, &automatic);
    return automatic < 0 ? "" : sal_model_value(model, layers[automatic].value).name;
}

/* Gradient of the first score for a tensor; false: refused, err says why. */
static bool gradient(const struct sal_model *model, const char *of, float *dx, size_t n,
                     struct sal_error *err)
{
    float image[SIDE * SIDE];
    struct sal_run *run;
    for (int i = 0; i < SIDE * SIDE; i++)
        image[i] = (float)cos(0.37 * i);
    int wrt = sal_model_find(model, of), score = sal_model_output(model)->value;
    assert_int_equal(sal_run_open(&run, model,
                                  &(struct sal_run_options){.gradient = true,
                                                            .keep = &wrt,
                                                            .n_keep = 1},
                                  err),
                     SAL_OK);
    assert_int_equal(sal_run_forward(run, image, NULL, err), SAL_OK);
    bool done = !sal_run_backward(run, score, 0, &wrt, 1, NULL, err);
    if (done)
        memcpy(dx, sal_run_gradient(run, wrt), n * sizeof(*dx));
    sal_run_close(run);
    return done;
}

static void scores_are_read_before_they_saturate(void **state)
{
    (void)state;
    for (int soft = 0; soft <= 1; soft++) {
        struct onnx_build b;
        network(&b, true);
        onnx_build_node(&b, "Softmax", "d3", "soft");
        struct sal_model *model = open_built(&b, soft ? "soft" : "d3");
        const struct sal_model_output *output = sal_model_output(model);
        assert_string_equal(sal_model_value(model, output->value).name, "scores");
        assert_true(output->unquantised);
        assert_int_equal(output->activation, SAL_SOFTMAX);
        assert_true(warns(model, "straight through 4 quantisation steps"));
        assert_true(warns(model, "logits are read before the model quantises them"));
        sal_model_close(model);
    }
}

static void a_softmax_is_found_behind_its_quantisation(void **state)
{
    (void)state;
    struct onnx_build b;
    network(&b, false);
    onnx_build_node(&b, "Softmax", "scores", "soft");
    step(&b, true, "soft", "q4", "d4", "clipping");
    struct sal_model *model = open_built(&b, "d4");
    const struct sal_model_output *output = sal_model_output(model);
    assert_string_equal(sal_model_value(model, output->value).name, "scores");
    assert_int_equal(output->activation, SAL_SOFTMAX);
    assert_false(output->unquantised);
    sal_model_close(model);
}

static void the_automatic_layer_is_the_float_models(void **state)
{
    (void)state;
    struct onnx_build b;
    network(&b, true);
    struct sal_model *model = open_built(&b, "d3");
    /* Not d2, which a pool made; not d0, which is the image. */
    assert_string_equal(automatic_layer(model), "d1");
    int n, automatic;
    const struct sal_layer *layers = sal_model_layers(model, &n, &automatic);
    for (int i = 0; i < n; i++)
        assert_string_not_equal(sal_model_value(model, layers[i].value).name, "d0");
    sal_model_close(model);
}

/* What Grad-CAM weighs a map with. Rounding may let another of two near maxima win, but
 * what goes through a map stays the same. */
static void maps_weigh_what_they_do_in_the_float_model(void **state)
{
    (void)state;
    enum { PIXELS = SIDE * SIDE, N = MAPS * PIXELS };
    static float dx[2][N];
    struct sal_error err;
    for (int quantised = 0; quantised <= 1; quantised++) {
        struct onnx_build b;
        network(&b, quantised);
        struct sal_model *model = open_built(&b, "d3");
        if (!gradient(model, "r1", dx[quantised], N, &err))
            fail_msg("%s", err.text);
        sal_model_close(model);
    }
    for (int map = 0; map < MAPS; map++) {
        float weight[2] = {0};
        for (int i = map * PIXELS; i < (map + 1) * PIXELS; i++) {
            weight[0] += dx[0][i];
            weight[1] += dx[1][i];
        }
        assert_true(weight[0] != 0);
        assert_true(fabsf(weight[0] - weight[1]) <= 1e-5f * fabsf(weight[0]));
    }
}

static void integer_models_run_and_refuse_gradients(void **state)
{
    (void)state;
    struct onnx_build b;
    struct sal_error err;
    float dx[SIDE * SIDE];
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "image", SAL_ONNX_FLOAT, 4, DIMS(1, 1, SIDE, SIDE));
    onnx_build_raw(&b, "zero", SAL_ONNX_INT8, 0, NULL, "", 1);
    onnx_build_weights(&b, "scale", 0, NULL, (float[]){1.f / 64});
    onnx_build_raw(&b, "w", SAL_ONNX_INT8, 4, DIMS(CLASSES, 1, SIDE, SIDE), (int8_t[192]){1},
                   192);
    onnx_build_node(&b, "QuantizeLinear", "image,scale,zero", "q");
    onnx_build_node(&b, "QLinearConv", "q,scale,zero,w,scale,zero,scale,zero", "p");
    onnx_build_name(&b, "conv");
    onnx_build_node(&b, "DequantizeLinear", "p,scale,zero", "scores");
    struct sal_model *model = open_built(&b, "scores");
    assert_true(warns(model, "no gradient passes 1 integer operator, the first being "
                             "QLinearConv 'conv'"));
    assert_string_equal(sal_model_value(model, sal_model_output(model)->value).name,
                        "scores");
    assert_false(gradient(model, "image", dx, SIDE * SIDE, &err));
    assert_int_equal(err.status, SAL_UNSUPPORTED);
    assert_non_null(strstr(err.text, "QLinearConv 'conv': convolves integers"));
    /* Its weights count. */
    assert_int_equal(sal_model_figures(model).parameters, 192 + 2);
    sal_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_read_before_they_saturate),
        cmocka_unit_test(a_softmax_is_found_behind_its_quantisation),
        cmocka_unit_test(the_automatic_layer_is_the_float_models),
        cmocka_unit_test(maps_weigh_what_they_do_in_the_float_model),
        cmocka_unit_test(integer_models_run_and_refuse_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
