/* Runs that start behind the input: the same scores as from the image, for a start at every
 * tensor there is, whatever comes around it; batches; gradients; refusals. Node by node the
 * bits are the same. As runs are lowered, a value that comes around may be added by another
 * node's kernel than in the whole model, in another order: there rounding may differ. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "model_parts.h"
#include "onnx_build.h"
#include "run_state.h"

#define DIMS(...) (const int64_t[]){__VA_ARGS__}

enum { C = 3, H = 12, W = 16, CLASSES = 4 };

static void fill(sal_real *x, int64_t n, int salt)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (sal_real)cos(0.37 * (double)(i + 1) * (salt + 1));
}

/* Two blocks with a way around them, the second through a convolution; what is first
 * pooled comes around all of it, the input itself too. */
static struct sal_model *open_residual(int64_t batch)
{
    struct onnx_build b;
    struct sal_model *model;
    struct sal_error err;
    char path[ONNX_BUILD_PATH];
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "image", SAL_ONNX_FLOAT, 4, DIMS(batch, C, H, W));
    onnx_build_waves(&b, "w1", 4, DIMS(16, C, 3, 3), 0.25f);
    onnx_build_waves(&b, "w2", 4, DIMS(16, 16, 3, 3), 0.2f);
    onnx_build_waves(&b, "w3", 4, DIMS(24, 16, 1, 1), 0.25f);
    onnx_build_waves(&b, "w4", 4, DIMS(24, 16, 3, 3), 0.2f);
    onnx_build_waves(&b, "w5", 2, DIMS(24 + 16 + C, CLASSES), 0.5f);
    onnx_build_node(&b, "Conv", "image,w1", "c1");
    onnx_build_ints(&b, "pads", 4, DIMS(1, 1, 1, 1));
    onnx_build_node(&b, "Relu", "c1", "r1");
    onnx_build_node(&b, "Conv", "r1,w2", "c2");
    onnx_build_ints(&b, "pads", 4, DIMS(1, 1, 1, 1));
    onnx_build_node(&b, "Add", "c2,r1", "s2");
    onnx_build_node(&b, "Relu", "s2", "r2");
    onnx_build_node(&b, "Conv", "r2,w3", "c3");
    onnx_build_node(&b, "Conv", "r2,w4", "c4");
    onnx_build_ints(&b, "pads", 4, DIMS(1, 1, 1, 1));
    onnx_build_node(&b, "Add", "c3,c4", "s4");
    onnx_build_node(&b, "Relu", "s4", "r4");
    onnx_build_node(&b, "GlobalAveragePool", "r4", "p4");
    onnx_build_node(&b, "GlobalMaxPool", "r1", "p1");
    onnx_build_node(&b, "GlobalAveragePool", "image", "p0");
    onnx_build_node(&b, "Concat", "p4,p1,p0", "all");
    onnx_build_int(&b, "axis", 1);
    onnx_build_node(&b, "Flatten", "all", "flat");
    onnx_build_node(&b, "MatMul", "flat,w5", "scores");
    onnx_build_node(&b, "Softmax", "scores", "probabilities");
    onnx_build_output(&b, "probabilities", SAL_ONNX_FLOAT, -1, NULL);
    assert_true(onnx_build_save(&b, path));
    if (sal_model_open(&model, path, &(struct sal_model_options){0}, &err))
        fail_msg("%s", err.text);
    unlink(path);
    return model;
}

static sal_real *picture(const struct sal_model *model, int salt)
{
    const struct sal_model_input *input = sal_model_input(model);
    int64_t n = (int64_t)input->channels * input->height * input->width;
    sal_real *x = calloc((size_t)n, sizeof(*x));
    fill(x, n, salt);
    return x;
}

static struct sal_run *open_run(const struct sal_model *model,
                                const struct sal_run_options *options)
{
    struct sal_run *run;
    struct sal_error err;
    if (sal_run_open(&run, model, options, &err))
        fail_msg("%s", err.text);
    return run;
}

static void forward(struct sal_run *run, const sal_real *image, const sal_real *x)
{
    struct sal_error err;
    if (sal_run_around(run, image, NULL, &err) || sal_run_forward(run, x, NULL, &err))
        fail_msg("%s", err.text);
}

static const sal_real *scores_of(const struct sal_model *model, const struct sal_run *run)
{
    return sal_run_value(run, sal_model_output(model)->value, NULL);
}

/* ---- every tensor ---------------------------------------------------------------------- */

static bool can_start(const struct sal_model *model, int v)
{
    const struct sal_value *value = &sal_model_graph(model)->values[v];
    struct sal_run *run;
    if (!value->live || value->tensor.data || value->tensor.kind != SAL_REAL ||
        sal_run_open(&run, model, &(struct sal_run_options){.from = v}, NULL))
        return false;
    sal_run_close(run);
    return true;
}

/* The largest difference of scores, as a share of their size. */
static double difference(const struct sal_model *model, const sal_real *x, int v, bool plain)
{
    struct sal_run *whole = open_run(
        model, &(struct sal_run_options){.keep = &v, .n_keep = 1, .plain = plain});
    struct sal_run *part =
        open_run(model, &(struct sal_run_options){.from = v, .plain = plain});
    forward(whole, x, x);
    forward(part, x, sal_run_value(whole, v, NULL));
    const sal_real *a = scores_of(model, whole), *b = scores_of(model, part);
    double worst = 0, most = 0;
    for (int i = 0; i < sal_model_output(model)->n; i++) {
        worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
        most = fmax(most, fabs((double)a[i]));
    }
    sal_run_close(whole);
    sal_run_close(part);
    return worst / most;
}

static void start_everywhere(const struct sal_model *model, const char *name)
{
    sal_real *x = picture(model, 2);
    double worst = 0;
    int n = 0;
    for (int v = 0; v < sal_model_n_values(model); v++) {
        if (!can_start(model, v))
            continue;
        n++;
        if (difference(model, x, v, true) != 0)
            fail_msg("%s from '%s': other bits", name, sal_model_value(model, v).name);
        worst = fmax(worst, difference(model, x, v, false));
    }
    print_message("%-24s %3d starts, lowered within %.1e of the scores\n", name, n, worst);
    assert_true(n > 5);
    assert_true(worst <= 1e-6);
    free(x);
}

static void scores_are_those_of_the_whole_model(void **state)
{
    (void)state;
    struct sal_model *model = open_residual(-1);
    start_everywhere(model, "residual");
    sal_model_close(model);
}

static void sample_models_can_be_started_everywhere(void **state)
{
    (void)state;
    static const char *const names[] = {"phantom", "phantom-gap", "phantom-vit"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        char path[256];
        struct sal_model *model;
        struct sal_error err;
        snprintf(path, sizeof(path), "samples/models/%s.onnx", names[i]);
        if (sal_model_open(&model, path, &(struct sal_model_options){0}, &err))
            fail_msg("%s", err.text);
        start_everywhere(model, names[i]);
        sal_model_close(model);
    }
}

/* ---- batches and gradients ---------------------------------------------------------------- */

enum { BATCH = 3 };

/* Different values at the start, one image: each has the bits it has alone. */
static void check_batch(const struct sal_model *model, const char *name)
{
    int v = sal_model_find(model, name);
    int64_t n = sal_shape_count(&sal_model_graph(model)->values[v].tensor.shape);
    sal_real *image = picture(model, 4), *x = calloc((size_t)n * BATCH, sizeof(*x));
    fill(x, n * BATCH, 1);
    struct sal_run *all =
        open_run(model, &(struct sal_run_options){.from = v, .batch = BATCH, .gradient = true});
    struct sal_run *one = open_run(model, &(struct sal_run_options){.from = v, .gradient = true});
    int score = sal_model_output(model)->value, classes = sal_model_output(model)->n;
    forward(all, image, x);
    sal_real *scores = calloc((size_t)classes * BATCH, sizeof(*scores));
    memcpy(scores, scores_of(model, all), sizeof(*scores) * (size_t)(classes * BATCH));
    assert_int_equal(sal_run_backward(all, score, 1, &v, 1, NULL, NULL), SAL_OK);
    for (int i = 0; i < BATCH; i++) {
        forward(one, image, x + i * n);
        if (memcmp(scores + i * classes, scores_of(model, one),
                   sizeof(*scores) * (size_t)classes) != 0)
            fail_msg("from '%s': image %d has other bits in a batch", name, i);
        assert_int_equal(sal_run_backward(one, score, 1, &v, 1, NULL, NULL), SAL_OK);
        if (sal_model_graph(model)->values[v].tensor.shape.dim[0] == 1)
            assert_memory_equal(sal_run_gradient(all, v) + i * n, sal_run_gradient(one, v),
                                sizeof(*x) * (size_t)n);
    }
    sal_run_close(all);
    sal_run_close(one);
    free(image);
    free(scores);
    free(x);
}

static void images_of_a_batch_have_the_bits_they_have_alone(void **state)
{
    (void)state;
    static const char *const starts[] = {"r1", "c2", "r2", "c3", "c4", "s4", "p4", "flat"};
    struct sal_model *model = open_residual(-1);
    for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++)
        check_batch(model, starts[i]);
    sal_model_close(model);
}

/* Rows first, then images; as sequences lie in some transformers. */
static struct sal_model *open_rows_first(void)
{
    struct onnx_build b;
    struct sal_model *model;
    struct sal_error err;
    char path[ONNX_BUILD_PATH];
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "image", SAL_ONNX_FLOAT, 4, DIMS(-1, C, H, W));
    onnx_build_node(&b, "Transpose", "image", "rows");
    onnx_build_ints(&b, "perm", 4, DIMS(2, 0, 1, 3));
    onnx_build_node(&b, "Relu", "rows", "positive");
    onnx_build_node(&b, "Mul", "positive,rows", "product");
    onnx_build_node(&b, "ReduceMean", "product", "scores");
    onnx_build_ints(&b, "axes", 2, DIMS(0, 3));
    onnx_build_int(&b, "keepdims", 0);
    onnx_build_output(&b, "scores", SAL_ONNX_FLOAT, -1, NULL);
    assert_true(onnx_build_save(&b, path));
    if (sal_model_open(&model, path, &(struct sal_model_options){0}, &err))
        fail_msg("%s", err.text);
    unlink(path);
    return model;
}

static void images_need_not_come_first(void **state)
{
    (void)state;
    struct sal_model *model = open_rows_first();
    check_batch(model, "rows");
    check_batch(model, "positive"); /* the rows come around */
    sal_model_close(model);
}

static void gradients_are_those_of_the_whole_model(void **state)
{
    (void)state;
    struct sal_model *model = open_residual(-1);
    int v = sal_model_find(model, "c2"), score = sal_model_output(model)->value;
    sal_real *x = picture(model, 4);
    struct sal_run_options options = {.keep = &v, .n_keep = 1, .gradient = true};
    struct sal_run *whole = open_run(model, &options);
    options.from = v;
    struct sal_run *part = open_run(model, &options);
    forward(whole, x, x);
    forward(part, x, sal_run_value(whole, v, NULL));
    assert_int_equal(sal_run_backward(whole, score, 2, &v, 1, NULL, NULL), SAL_OK);
    assert_int_equal(sal_run_backward(part, score, 2, &v, 1, NULL, NULL), SAL_OK);
    for (int i = 0; i < 16 * H * W; i++)
        assert_true(fabs((double)sal_run_gradient(whole, v)[i] -
                         (double)sal_run_gradient(part, v)[i]) < 1e-7);
    sal_run_close(whole);
    sal_run_close(part);
    free(x);
    sal_model_close(model);
}

/* ---- what comes around ---------------------------------------------------------------------- */

static void another_image_comes_around_when_it_is_told(void **state)
{
    (void)state;
    struct sal_model *model = open_residual(-1);
    int v = sal_model_find(model, "c2");
    sal_real *a = picture(model, 1), *b = picture(model, 6);
    struct sal_run *whole =
        open_run(model, &(struct sal_run_options){.keep = &v, .n_keep = 1, .plain = true});
    struct sal_run *part = open_run(model, &(struct sal_run_options){.from = v, .plain = true});
    struct sal_error err;
    forward(whole, a, a);
    assert_int_equal(sal_run_forward(part, sal_run_value(whole, v, NULL), NULL, &err), SAL_USAGE);
    assert_non_null(strstr(err.text, "around 'c2'"));
    forward(part, b, sal_run_value(whole, v, NULL));
    assert_memory_not_equal(scores_of(model, part), scores_of(model, whole),
                            CLASSES * sizeof(sal_real));
    forward(part, a, sal_run_value(whole, v, NULL));
    assert_memory_equal(scores_of(model, part), scores_of(model, whole),
                        CLASSES * sizeof(sal_real));
    struct sal_job job = {0};
    sal_job_cancel(&job);
    assert_int_equal(sal_run_around(part, a, &job, NULL), SAL_CANCELLED);
    assert_int_equal(sal_run_forward(part, sal_run_value(whole, v, NULL), NULL, NULL), SAL_USAGE);
    sal_run_close(whole);
    sal_run_close(part);
    free(a);
    free(b);
    sal_model_close(model);
}

static void a_start_nobody_leads_from_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {{"w5", "constant"},
                                           {"probabilities", "does not depend"}};
    struct sal_model *model = open_residual(-1);
    struct sal_run *run = NULL;
    struct sal_error err;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        int v = sal_model_find(model, wrong[i][0]);
        assert_int_equal(sal_run_open(&run, model, &(struct sal_run_options){.from = v}, &err),
                         SAL_USAGE);
        assert_non_null(strstr(err.text, wrong[i][1]));
    }
    assert_int_equal(sal_run_open(&run, model, &(struct sal_run_options){.from = 9999}, &err),
                     SAL_USAGE);
    assert_int_equal(sal_run_open(&run, model, &(struct sal_run_options){.from = -1}, &err),
                     SAL_USAGE);
    assert_null(run);
    sal_model_close(model);
}

static void only_what_is_behind_the_start_is_computed(void **state)
{
    (void)state;
    struct sal_model *model = open_residual(-1);
    int v = sal_model_find(model, "r4"), before = sal_model_find(model, "r2");
    int keep[] = {before, sal_model_find(model, "p4")};
    struct sal_run *run =
        open_run(model, &(struct sal_run_options){
                            .from = v, .keep = keep, .n_keep = 2, .plain = true});
    assert_int_equal(run->graph->n_nodes, 4);
    sal_real *x = picture(model, 1), start[24 * H * W];
    fill(start, 24 * H * W, 3);
    forward(run, x, start);
    assert_null(sal_run_value(run, before, NULL));
    assert_non_null(sal_run_value(run, keep[1], NULL));
    sal_run_close(run);
    free(x);
    sal_model_close(model);
}

/* A reshape of a fixed batch, which would mix images. */
static void images_that_cannot_be_told_apart_are_refused(void **state)
{
    (void)state;
    struct onnx_build b;
    struct sal_model *model;
    struct sal_run *run = NULL;
    struct sal_error err;
    char path[ONNX_BUILD_PATH];
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "image", SAL_ONNX_FLOAT, 4, DIMS(1, C, H, W));
    onnx_build_node(&b, "Relu", "image", "r");
    onnx_build_indices(&b, "shape", 1, DIMS(3), DIMS(1, C, -1));
    onnx_build_node(&b, "Reshape", "r,shape", "mixed");
    onnx_build_node(&b, "ReduceMean", "mixed", "scores");
    onnx_build_ints(&b, "axes", 1, DIMS(2));
    onnx_build_int(&b, "keepdims", 0);
    onnx_build_output(&b, "scores", SAL_ONNX_FLOAT, -1, NULL);
    assert_true(onnx_build_save(&b, path));
    if (sal_model_open(&model, path, &(struct sal_model_options){0}, &err))
        fail_msg("%s", err.text);
    unlink(path);
    int v = sal_model_find(model, "r");
    assert_int_equal(
        sal_run_open(&run, model, &(struct sal_run_options){.from = v, .batch = 2}, &err),
        SAL_UNSUPPORTED);
    assert_non_null(strstr(err.text, "cannot be told apart in 'scores'"));
    sal_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_those_of_the_whole_model),
        cmocka_unit_test(sample_models_can_be_started_everywhere),
        cmocka_unit_test(images_of_a_batch_have_the_bits_they_have_alone),
        cmocka_unit_test(images_need_not_come_first),
        cmocka_unit_test(gradients_are_those_of_the_whole_model),
        cmocka_unit_test(another_image_comes_around_when_it_is_told),
        cmocka_unit_test(a_start_nobody_leads_from_is_refused),
        cmocka_unit_test(only_what_is_behind_the_start_is_computed),
        cmocka_unit_test(images_that_cannot_be_told_apart_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
