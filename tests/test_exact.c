/* Winograd's rounding: measured with the weights of each layer, refused where it is too
 * much, switched off on request. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "blocks.h"
#include "onnx_build.h"
#include "random.h"
#include "saliscope/run.h"
#include "winograd_error.h"

#define DIMS(...) (const int64_t[]){__VA_ARGS__}

/* ---- one layer's weights ---------------------------------------------------------------- */

/* Evenly in -1..1; input channel `in` and output channel `out` scaled. */
static sal_real *weights(int64_t k, int64_t c, int64_t in, sal_real in_scale, int64_t out,
                         sal_real out_scale)
{
    uint64_t dice = 3;
    sal_real *w = malloc(sizeof(*w) * (size_t)(k * c * 9));
    for (int64_t i = 0; i < k * c * 9; i++)
        w[i] = (sal_real)(2 * test_random(&dice) - 1) * (i / 9 % c == in ? in_scale : 1) *
               (i / 9 / c == out ? out_scale : 1);
    return w;
}

/* w are [k][c][3][3] of a forward; flipped: the error of its gradient. */
static double error_of(const sal_real *w, int64_t k, int64_t c, bool flipped, int tile)
{
    struct sal_winograd g = {.in = {.n = 1, .c = flipped ? k : c}, .k = flipped ? c : k,
                             .tile = tile};
    struct sal_error err = {0};
    double error[2];
    for (int i = 0; i < 2; i++)
        if (sal_winograd_error(&g, w, NULL, flipped, &error[i], &err))
            fail_msg("%s", err.text);
    assert_memory_equal(&error[0], &error[1], sizeof(double));
    return error[0];
}

static const int64_t sizes[][2] = {{16, 16}, {24, 48}, {37, 16}, {130, 33}, {256, 256}};

static void ordinary(void *unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        for (int way = 0; way < 4; way++) {
            const int64_t k = sizes[i][0], c = sizes[i][1];
            sal_real *w = weights(k, c, -1, 1, -1, 1);
            double error = error_of(w, k, c, way % 2, way / 2 ? 4 : 2);
            if (!(error > (double)SAL_EPSILON && error < SAL_WINOGRAD_ERROR_MAX / 4))
                fail_msg("%lld of %lld: %g", (long long)k, (long long)c, error);
            free(w);
        }
}

static void ordinary_weights_are_far_from_the_limit(void **state)
{
    (void)state;
    block_each_table(ordinary, NULL);
}

static void uneven(void *unused)
{
    (void)unused;
    const sal_real much = 1000000;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        for (int64_t odd = 0; odd < 16; odd += 5) {
            const int64_t k = sizes[i][0], c = sizes[i][1];
            sal_real *in = weights(k, c, odd, much, -1, 1);
            sal_real *out = weights(k, c, -1, 1, odd, much);
            /* What one direction reads the other writes; what is written is only larger. */
            assert_true(error_of(in, k, c, false, 4) > SAL_WINOGRAD_ERROR_MAX);
            assert_true(error_of(in, k, c, true, 4) < SAL_WINOGRAD_ERROR_MAX);
            assert_true(error_of(out, k, c, false, 4) < SAL_WINOGRAD_ERROR_MAX);
            assert_true(error_of(out, k, c, true, 4) > SAL_WINOGRAD_ERROR_MAX);
            assert_true(error_of(in, k, c, false, 2) < SAL_WINOGRAD_ERROR_MAX);
            free(in);
            free(out);
        }
}

static void an_input_channel_a_million_times_the_others_is_too_much(void **state)
{
    (void)state;
    block_each_table(uneven, NULL);
}

static void weights_without_a_result_are_refused(void **state)
{
    (void)state;
    sal_real *w = weights(16, 16, -1, 1, 3, (sal_real)NAN);
    assert_false(error_of(w, 16, 16, false, 4) <= SAL_WINOGRAD_ERROR_MAX);
    free(w);
    w = weights(16, 16, -1, 1, 3, (sal_real)3.4e38);
    assert_false(error_of(w, 16, 16, false, 4) <= SAL_WINOGRAD_ERROR_MAX);
    free(w);
    w = calloc(16 * 16 * 9, sizeof(*w));
    assert_true(error_of(w, 16, 16, false, 4) == 0);
    free(w);
}

/* ---- a model ------------------------------------------------------------------------------ */

enum { C = 3, SIDE = 28, WIDE = 32, CLASSES = 7, LAYERS = 3 };

static void conv(struct onnx_build *b, const char *in, const char *name, int64_t c,
                 float channel_0)
{
    char w[16], y[16], inputs[40];
    uint64_t dice = (uint64_t)name[1];
    float *values = malloc(sizeof(*values) * (size_t)(WIDE * c * 9));
    for (int64_t i = 0; i < WIDE * c * 9; i++)
        values[i] = (float)((2 * test_random(&dice) - 1) / sqrt((double)c)) *
                    (i / 9 % c == 0 ? channel_0 : 1);
    snprintf(w, sizeof(w), "%s.w", name);
    snprintf(y, sizeof(y), "%s.y", name);
    snprintf(inputs, sizeof(inputs), "%s,%s", in, w);
    onnx_build_weights(b, w, 4, DIMS(WIDE, c, 3, 3), values);
    onnx_build_node(b, "Conv", inputs, y);
    onnx_build_ints(b, "pads", 4, DIMS(1, 1, 1, 1));
    onnx_build_name(b, name);
    onnx_build_node(b, "Relu", y, name);
    free(values);
}

/* A first layer, then LAYERS that Winograd's would take; the first input channel of the
 * second one's weights is so much larger. */
static struct sal_model *open_model(float channel_0)
{
    struct onnx_build b;
    char path[ONNX_BUILD_PATH];
    struct sal_model *model;
    struct sal_error err;
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 4, DIMS(-1, C, SIDE, SIDE));
    conv(&b, "x", "c0", C, 1);
    conv(&b, "c0", "c1", WIDE, 1);
    conv(&b, "c1", "c2", WIDE, channel_0);
    conv(&b, "c2", "c3", WIDE, 1);
    onnx_build_waves(&b, "w", 2, DIMS(CLASSES, WIDE), 0.25f);
    onnx_build_node(&b, "GlobalAveragePool", "c3", "pooled");
    onnx_build_node(&b, "Flatten", "pooled", "flat");
    onnx_build_node(&b, "Gemm", "flat,w", "scores");
    onnx_build_int(&b, "transB", 1);
    onnx_build_output(&b, "scores", SAL_ONNX_FLOAT, -1, NULL);
    assert_true(onnx_build_save(&b, path));
    if (sal_model_open(&model, path, &(struct sal_model_options){0}, &err))
        fail_msg("%s", err.text);
    unlink(path);
    return model;
}

struct answer {
    float scores[CLASSES], gradient[C * SIDE * SIDE];
    struct sal_winograd_use use[2];
};

/* Of the last image of the batch, which is the same for any. */
static void ask(const struct sal_model *model, struct sal_run_options options,
                struct answer *answer)
{
    enum { N = C * SIDE * SIDE };
    struct sal_run *run;
    struct sal_error err;
    const int last = options.batch ? options.batch - 1 : 0;
    const int input = sal_model_input(model)->value, scores = sal_model_output(model)->value;
    float *x = malloc(sizeof(*x) * N * (size_t)(last + 1));
    for (int i = 0; i < N * (last + 1); i++)
        x[i] = cosf(0.37f * (float)(i - last * N));
    options.gradient = true;
    if (sal_run_open(&run, model, &options, &err) || sal_run_forward(run, x, NULL, &err) ||
        sal_run_backward(run, scores, 2, &input, 1, NULL, &err))
        fail_msg("%s", err.text);
    memcpy(answer->scores, sal_run_value(run, scores, NULL) + last * CLASSES,
           sizeof(answer->scores));
    memcpy(answer->gradient, sal_run_gradient(run, input) + last * N,
           sizeof(answer->gradient));
    for (int back = 0; back < 2; back++)
        answer->use[back] = sal_run_winograd(run, back);
    sal_run_close(run);
    free(x);
}

static double off(const float *got, const float *want, int n)
{
    double worst = 0, most = 0;
    for (int i = 0; i < n; i++) {
        worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
        most = fmax(most, fabs((double)want[i]));
    }
    return worst / most;
}

static void exact_is_another_sum_and_as_close_as_was_measured(void **state)
{
    (void)state;
    struct sal_model *model = open_model(1);
    struct answer fast, exact;
    ask(model, (struct sal_run_options){0}, &fast);
    ask(model, (struct sal_run_options){.exact = true}, &exact);
    for (int back = 0; back < 2; back++) {
        assert_int_equal(fast.use[back].layers, LAYERS);
        assert_int_equal(fast.use[back].refused, 0);
        assert_true(fast.use[back].error > 0);
        assert_true(fast.use[back].error < fast.use[back].limit);
        assert_int_equal(*fast.use[back].worst, 'c');
        assert_int_equal(exact.use[back].layers, 0);
        assert_int_equal(exact.use[back].refused, 0);
        assert_true(exact.use[back].error == 0);
        assert_string_equal(exact.use[back].worst, "");
    }
    assert_memory_not_equal(fast.scores, exact.scores, sizeof(fast.scores));
    assert_memory_not_equal(fast.gradient, exact.gradient, sizeof(fast.gradient));
    /* Errors of layers add up, and beside them the plain sum's of the last. */
    const double most = LAYERS * fast.use[0].error;
    assert_true(off(fast.scores, exact.scores, CLASSES) <= most);
    assert_true(off(fast.gradient, exact.gradient, C * SIDE * SIDE) <=
                most + LAYERS * fast.use[1].error);
    sal_model_close(model);
}

static void what_rounds_too_much_is_summed_plainly(void **state)
{
    (void)state;
    struct sal_model *model = open_model(1e6f);
    struct answer one, later, three;
    ask(model, (struct sal_run_options){0}, &one);
    ask(model, (struct sal_run_options){.batch = 3}, &three);
    ask(model, (struct sal_run_options){0}, &later);
    assert_int_equal(one.use[0].layers, LAYERS - 1);
    assert_int_equal(one.use[0].refused, 1);
    assert_string_not_equal(one.use[0].worst, "c2");
    assert_int_equal(one.use[1].layers, LAYERS);
    assert_int_equal(one.use[1].refused, 0);
    assert_memory_equal(one.scores, three.scores, sizeof(one.scores));
    assert_memory_equal(one.gradient, three.gradient, sizeof(one.gradient));
    assert_memory_equal(one.scores, later.scores, sizeof(one.scores));
    assert_int_equal(three.use[0].refused, 1);
    assert_true(later.use[0].error == one.use[0].error);
    sal_model_close(model);
}

static void a_plain_run_has_none(void **state)
{
    (void)state;
    struct sal_model *model = open_model(1);
    struct answer plain;
    ask(model, (struct sal_run_options){.plain = true}, &plain);
    assert_int_equal(plain.use[0].layers + plain.use[0].refused, 0);
    assert_true(plain.use[0].error == 0);
    sal_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_weights_are_far_from_the_limit),
        cmocka_unit_test(an_input_channel_a_million_times_the_others_is_too_much),
        cmocka_unit_test(weights_without_a_result_are_refused),
        cmocka_unit_test(exact_is_another_sum_and_as_close_as_was_measured),
        cmocka_unit_test(what_rounds_too_much_is_summed_plainly),
        cmocka_unit_test(a_plain_run_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
