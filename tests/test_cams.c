/* What methods declare, what they refuse, that their maps are finite at every
 * layer and say why they are blank; class activation maps against those of
 * pytorch-grad-cam (tests/recorded/cams.py). */
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

#include "onnx_build.h"
#include "saliscope/explain.h"

#define DIMS(...) (const int64_t[]){__VA_ARGS__}
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

enum { GRID = 16 };

struct recorded {
    const char *method, *picture;
    int class_index;
    const char *layer;
    double map[GRID * GRID];
};

#include "recorded/cams_data.h"

static struct sal_pool *pool;
static struct sal_model *sample;

static int open_sample(void **state)
{
    (void)state;
    struct sal_error err;
    if (sal_pool_open(&pool, 2, &err) ||
        sal_model_open(&sample, "samples/models/phantom.onnx",
                       &(struct sal_model_options){.pool = pool}, &err)) {
        print_error("%s\n", err.text);
        return -1;
    }
    return 0;
}

static int close_sample(void **state)
{
    (void)state;
    sal_model_close(sample);
    sal_pool_close(pool);
    return 0;
}

static sal_real *prepare(const struct sal_model *model, const char *picture)
{
    char path[256];
    struct sal_image image;
    struct sal_error err;
    const struct sal_model_input *input = sal_model_input(model);
    sal_real *x = calloc((size_t)input->width * (size_t)input->height,
                         sizeof(*x) * (size_t)input->channels);
    snprintf(path, sizeof(path), "samples/images/%s", picture);
    if (sal_image_load(&image, path, SAL_SANDBOX_BEST, &err) ||
        sal_model_prepare(model, &image, x, &err))
        fail_msg("%s", err.text);
    sal_image_release(&image);
    return x;
}

static bool has_param(const struct sal_method *method, const char *name)
{
    for (int i = 0; method->params && method->params[i].name; i++)
        if (strcmp(method->params[i].name, name) == 0)
            return true;
    return false;
}

static void set(struct sal_params *params, const struct sal_method *method,
                const char *text)
{
    struct sal_error err;
    if (sal_params_set(params, method->params, text, method->name, &err))
        fail_msg("%s", err.text);
}

static void explain(const struct sal_method *method, const struct sal_question *question,
                    struct sal_map *map)
{
    struct sal_error err;
    if (sal_explain(method, question, map, &err))
        fail_msg("%s: %s", method->name, err.text);
}

/* ---- what methods declare ------------------------------------------------------------------ */

static void assert_line(const struct sal_method *method, const char *text)
{
    assert_non_null(text);
    assert_true(*text != '\0');
    for (const char *c = text; *c; c++)
        if (*c < ' ' || *c > '~')
            fail_msg("%s: '%s' is not one line of ASCII", method->name, text);
}

static void every_method_says_what_it_is(void **state)
{
    (void)state;
    for (int i = 0; sal_methods[i]; i++) {
        const struct sal_method *method = sal_methods[i];
        assert_line(method, method->name);
        assert_line(method, method->title);
        assert_line(method, method->formula);
        assert_line(method, method->paper);
        assert_line(method, method->semantics);
        if (sal_method_find(method->name) != method)
            fail_msg("two methods are called %s", method->name);
    }
}

static void assert_refused(const struct sal_method *method, const struct sal_param *param,
                           const char *value)
{
    char text[128];
    struct sal_params params;
    struct sal_error err;
    sal_params_init(&params, method->params);
    snprintf(text, sizeof(text), "%s=%s", param->name, value);
    if (sal_params_set(&params, method->params, text, method->name, &err) != SAL_USAGE)
        fail_msg("%s takes %s", method->name, text);
    assert_non_null(strstr(err.text, param->name));
}

static void parameters_out_of_range_are_refused(void **state)
{
    (void)state;
    for (int i = 0; sal_methods[i]; i++)
        for (const struct sal_param *p = sal_methods[i]->params; p && p->name; p++) {
            assert_line(sal_methods[i], p->help);
            assert_refused(sal_methods[i], p, "nonsense");
            assert_refused(sal_methods[i], p, "nan");
            assert_refused(sal_methods[i], p, "");
            if (p->type != SAL_PARAM_INT && p->type != SAL_PARAM_REAL)
                continue;
            char text[64];
            snprintf(text, sizeof(text), "%.17g", p->max + fmax(1, fabs(p->max)));
            assert_refused(sal_methods[i], p, text);
            snprintf(text, sizeof(text), "%.17g", p->min - fmax(1, fabs(p->min)));
            assert_refused(sal_methods[i], p, text);
        }
}

static void questions_about_what_is_not_there_are_refused(void **state)
{
    (void)state;
    sal_real *x = prepare(sample, "nodule-clear.png");
    for (int i = 0; sal_methods[i]; i++) {
        const struct sal_method *method = sal_methods[i];
        struct sal_question question = {.model = sample, .x = x, .class_index = 2, .layer = -1};
        struct sal_map map;
        assert_int_equal(sal_explain(method, &question, &map, NULL), SAL_USAGE);
        question.class_index = 0;
        question.layer = sal_model_output(sample)->value;
        if (method->needs & SAL_NEEDS_LAYER)
            assert_int_equal(sal_explain(method, &question, &map, NULL), SAL_USAGE);
    }
    free(x);
}

/* ---- maps of the sample model ---------------------------------------------------------------- */

static void check_map(const struct sal_method *method, const struct sal_map *map)
{
    assert_true(isfinite(map->score));
    assert_true(*map->unit != '\0');
    assert_true(map->forwards > 0);
    assert_int_equal(map->backwards > 0, (method->needs & SAL_NEEDS_GRADIENT) != 0);
    float most = 0;
    for (int i = 0; i < map->width * map->height; i++) {
        assert_true(isfinite(map->values[i]));
        assert_true(map->is_signed || map->values[i] >= 0);
        most = fmaxf(most, fabsf(map->values[i]));
    }
    for (int i = 0; i < map->grid_width * map->grid_height; i++)
        assert_true(isfinite(map->grid[i]));
    if (!(most > 0 || *map->note))
        fail_msg("%s: a blank map says nothing", method->name);
}

/* Enough for a map that is finite. */
static const struct {
    const char *name, *param;
} fewer[] = {
    {"guidedig", "steps=10"},     {"blurig", "steps=10"},    {"ig", "steps=10"},
    {"smoothgrad", "samples=5"},  {"vargrad", "samples=5"},  {"gradientshap", "samples=5"},
    {"rise", "masks=100"},        {"kernelshap", "samples=100"}, {"lime", "samples=100"},
};

static void explain_as(const struct sal_method *method, struct sal_question *question,
                       const char *param)
{
    struct sal_params params;
    struct sal_map map;
    struct sal_attentions found;
    if (method->needs & SAL_NEEDS_ATTENTION) {
        if (sal_model_attentions(question->model, &found, NULL))
            return;
        sal_attentions_release(&found);
    }
    sal_params_init(&params, method->params);
    question->params = &params;
    for (size_t i = 0; i < COUNT(fewer); i++)
        if (strcmp(method->name, fewer[i].name) == 0)
            set(&params, method, fewer[i].param);
    if (param)
        set(&params, method, param);
    explain(method, question, &map);
    check_map(method, &map);
    sal_map_release(&map);
}

/* A pass for each of thousands of positions takes its time. */
static bool takes_long(const struct sal_method *method, const struct sal_layer *layer)
{
    return strcmp(method->name, "reciprocam") == 0 && layer->height * layer->width > 256;
}

static void every_method_gives_a_finite_map_at_every_layer(void **state)
{
    (void)state;
    int n, automatic;
    const struct sal_layer *layers = sal_model_layers(sample, &n, &automatic);
    sal_real *x = prepare(sample, "nodule-missed.png");
    for (int i = 0; sal_methods[i]; i++)
        for (int k = 0; k < (sal_methods[i]->needs & SAL_NEEDS_LAYER ? n : 1); k++) {
            struct sal_question question = {
                .model = sample, .x = x, .layer = layers[k].value, .pool = pool};
            if (!takes_long(sal_methods[i], &layers[k]))
                explain_as(sal_methods[i], &question, NULL);
        }
    free(x);
}

static void every_method_gives_a_finite_map_of_what_is_no_picture(void **state)
{
    (void)state;
    sal_real *x = prepare(sample, "test-object.png");
    for (int empty = 0; empty < 2; empty++) {
        for (int i = 0; sal_methods[i]; i++) {
            struct sal_question question = {
                .model = sample, .x = x, .class_index = 1, .layer = -1, .pool = pool};
            explain_as(sal_methods[i], &question, NULL);
            if (has_param(sal_methods[i], "evidence"))
                explain_as(sal_methods[i], &question, "evidence=both");
        }
        const struct sal_model_input *input = sal_model_input(sample);
        memset(x, 0, sizeof(*x) * (size_t)input->width * (size_t)input->height);
    }
    free(x);
}

static void explain_with_all(const char *path)
{
    struct sal_model *model;
    struct sal_error err;
    if (sal_model_open(&model, path, &(struct sal_model_options){.pool = pool}, &err))
        fail_msg("%s", err.text);
    sal_real *x = prepare(model, "two-findings.png");
    for (int i = 0; sal_methods[i]; i++) {
        struct sal_question question = {.model = model, .x = x, .layer = -1, .pool = pool};
        explain_as(sal_methods[i], &question, NULL);
    }
    free(x);
    sal_model_close(model);
}

static void every_method_explains_every_sample_model(void **state)
{
    (void)state;
    int n = 0;
    DIR *folder = opendir("samples/models");
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        char path[512];
        size_t size = strlen(entry->d_name);
        if (size < 5 || strcmp(entry->d_name + size - 5, ".onnx") != 0)
            continue;
        snprintf(path, sizeof(path), "samples/models/%s", entry->d_name);
        explain_with_all(path);
        n++;
    }
    closedir(folder);
    assert_true(n > 0);
}

/* ---- against pytorch-grad-cam ------------------------------------------------------------- */

static void compare(const struct recorded *r)
{
    char name[32];
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(r->method, " "), r->method);
    const struct sal_method *method = sal_method_find(name);
    assert_non_null(method);
    sal_real *x = prepare(sample, r->picture);
    struct sal_params params;
    sal_params_init(&params, method->params);
    set(&params, method, "evidence=both");
    if (has_param(method, "masks"))
        set(&params, method, "masks=corners");
    if (has_param(method, "divisor"))
        set(&params, method, "divisor=score");
    if (strstr(r->method, "gaussian"))
        set(&params, method, "mask=gaussian");
    struct sal_question question = {.model = sample,
                                    .x = x,
                                    .class_index = r->class_index,
                                    .layer = sal_model_find(sample, r->layer),
                                    .params = &params,
                                    .pool = pool};
    struct sal_map map;
    explain(method, &question, &map);
    assert_int_equal(map.grid_width * map.grid_height, GRID * GRID);
    double low = HUGE_VAL, high = -HUGE_VAL, worst = 0;
    for (int i = 0; i < GRID * GRID; i++) {
        low = fmin(low, r->map[i]);
        high = fmax(high, r->map[i]);
        worst = fmax(worst, fabs((double)map.grid[i] - r->map[i]));
    }
    double d = worst / (high - low);
    print_message("%-19s %-16s %-14s differs by %.1e of the range\n", r->method, r->picture,
                  r->layer, d);
    assert_true(d <= 1e-4);
    sal_map_release(&map);
    free(x);
}

static void activation_maps_are_those_of_pytorch_grad_cam(void **state)
{
    (void)state;
    if (strcmp(sal_model_sha256(sample), recorded_model) != 0)
        fail_msg("the sample model is another one: run tests/recorded/cams.py again");
    for (size_t i = 0; i < COUNT(recorded); i++)
        compare(&recorded[i]);
}

/* ---- maps that say nothing ---------------------------------------------------------------- */

enum { C = 6, H = 8, W = 10, CLASSES = 3 };

static void begin(struct onnx_build *b, bool last)
{
    onnx_build_init(b, 13);
    onnx_build_input(b, "image", SAL_ONNX_FLOAT, 4, last ? DIMS(-1, H, W, 3) : DIMS(-1, 3, H, W));
    onnx_build_node(b, last ? "Transpose" : "Identity", "image", "x");
    if (last)
        onnx_build_ints(b, "perm", 4, DIMS(0, 3, 1, 2));
}

/* Features behind a ReLU, their mean, and a head: of class 0 all weights are -1, of class
 * 1 all are 0, of class 2 they are 1. weight scales the features' own; last: the input has
 * its channels last. */
static struct sal_model *open_network(bool last, float weight, float bias)
{
    struct onnx_build b;
    struct sal_model *model;
    struct sal_error err;
    char path[ONNX_BUILD_PATH];
    float head[C * CLASSES], w[C * 3 * 9], at[C];
    for (int i = 0; i < C * CLASSES; i++)
        head[i] = (float)(i % CLASSES - 1);
    for (int i = 0; i < C * 3 * 9; i++)
        w[i] = weight * (float)cos(i);
    for (int i = 0; i < C; i++)
        at[i] = bias;
    begin(&b, last);
    onnx_build_weights(&b, "w", 4, DIMS(C, 3, 3, 3), w);
    onnx_build_weights(&b, "b", 1, DIMS(C), at);
    onnx_build_weights(&b, "w_head", 2, DIMS(C, CLASSES), head);
    onnx_build_node(&b, "Conv", "x,w,b", "before");
    onnx_build_node(&b, "Relu", "before", "features");
    onnx_build_node(&b, "GlobalAveragePool", "features", "pooled");
    onnx_build_node(&b, "Flatten", "pooled", "flat");
    onnx_build_node(&b, "MatMul", "flat,w_head", "scores");
    onnx_build_output(&b, "scores", SAL_ONNX_FLOAT, -1, NULL);
    assert_true(onnx_build_save(&b, path));
    if (sal_model_open(&model, path, &(struct sal_model_options){0}, &err))
        fail_msg("%s", err.text);
    unlink(path);
    return model;
}

static void assert_notes(const struct sal_model *model, int class_index,
                         const char *const (*expected)[2], size_t n)
{
    static float x[3 * H * W];
    for (int i = 0; i < 3 * H * W; i++)
        x[i] = (float)cos(0.37 * (double)(i + 1));
    for (size_t i = 0; i < n; i++) {
        struct sal_map map;
        struct sal_question question = {
            .model = model, .x = x, .class_index = class_index, .layer = -1};
        explain(sal_method_find(expected[i][0]), &question, &map);
        if (!strstr(map.note, expected[i][1]))
            fail_msg("%s of class %d says '%s', not '%s'", expected[i][0], class_index,
                     map.note, expected[i][1]);
        for (int k = 0; k < map.width * map.height && *map.note; k++)
            assert_true(map.values[k] == 0);
        sal_map_release(&map);
    }
}

static void blank_maps_say_why(void **state)
{
    (void)state;
    static const char *const negative[][2] = {
        {"gradcam", "all channel weights are zero or negative"},
        {"gradcam++", "all channel weights are zero or negative"},
        {"hirescam", "all weights are zero or negative"},
        {"layercam", "all weights are zero or negative"},
        {"xgradcam", "all channel weights are zero or negative"},
        {"eigencam", ""},
        {"scorecam", ""},
        {"ablationcam", "the score falls with no channel"},
        {"reciprocam", "no position of this layer raises the score"}};
    static const char *const gone[][2] = {{"gradcam", "gradient is zero everywhere"},
                                          {"gradcam++", "gradient is zero everywhere"},
                                          {"hirescam", "gradient is zero everywhere"},
                                          {"layercam", "gradient is zero everywhere"},
                                          {"xgradcam", "gradient is zero everywhere"},
                                          {"eigengradcam", "no first direction"},
                                          {"ablationcam", "no channel of this layer changes"},
                                          {"reciprocam", "no position of this layer raises"}};
    struct sal_model *model = open_network(false, 1, 0);
    assert_notes(model, 0, negative, COUNT(negative));
    assert_notes(model, 1, gone, COUNT(gone));
    sal_model_close(model);
}

static void layers_without_a_pattern_say_so(void **state)
{
    (void)state;
    static const char *const dead[][2] = {{"gradcam", "zero everywhere"},
                                          {"gradcam++", "zero everywhere"},
                                          {"xgradcam", "zero everywhere"},
                                          {"eigencam", "no first direction"},
                                          {"scorecam", "no positive activation"},
                                          {"ablationcam", "no channel of this layer changes"},
                                          {"reciprocam", "no position of this layer raises"}};
    static const char *const flat[][2] = {{"eigencam", "no first direction"},
                                          {"eigengradcam", "no first direction"}};
    struct sal_model *model = open_network(false, 0, -1);
    assert_notes(model, 2, dead, COUNT(dead));
    sal_model_close(model);
    model = open_network(false, 1e-8f, 1); /* the same but for float's rounding */
    assert_notes(model, 2, flat, COUNT(flat));
    sal_model_close(model);
}

/* The same picture in both layouts. */
static void fill_both(sal_real *first, sal_real *last)
{
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < H * W; i++)
            first[c * H * W + i] = last[i * 3 + c] = (sal_real)cos(0.37 * (c * H * W + i + 1));
}

static void maps_do_not_depend_on_the_layout_of_the_input(void **state)
{
    (void)state;
    static sal_real x[2][3 * H * W];
    struct sal_model *model[2] = {open_network(false, 1, 0), open_network(true, 1, 0)};
    fill_both(x[0], x[1]);
    for (int i = 0; sal_methods[i]; i++) {
        struct sal_map map[2];
        if (!(sal_methods[i]->needs & SAL_NEEDS_LAYER))
            continue;
        for (int k = 0; k < 2; k++) {
            struct sal_question question = {
                .model = model[k], .x = x[k], .class_index = 2, .layer = -1};
            explain(sal_methods[i], &question, &map[k]);
        }
        float most = 0;
        for (int p = 0; p < H * W; p++)
            most = fmaxf(most, fabsf(map[0].values[p]));
        for (int p = 0; p < H * W; p++)
            if (!(fabsf(map[0].values[p] - map[1].values[p]) <= 1e-5f * most))
                fail_msg("%s differs at %d", sal_methods[i]->name, p);
        sal_map_release(&map[0]);
        sal_map_release(&map[1]);
    }
    sal_model_close(model[0]);
    sal_model_close(model[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_says_what_it_is),
        cmocka_unit_test(parameters_out_of_range_are_refused),
        cmocka_unit_test(questions_about_what_is_not_there_are_refused),
        cmocka_unit_test(every_method_gives_a_finite_map_at_every_layer),
        cmocka_unit_test(every_method_explains_every_sample_model),
        cmocka_unit_test(every_method_gives_a_finite_map_of_what_is_no_picture),
        cmocka_unit_test(activation_maps_are_those_of_pytorch_grad_cam),
        cmocka_unit_test(blank_maps_say_why),
        cmocka_unit_test(layers_without_a_pattern_say_so),
        cmocka_unit_test(maps_do_not_depend_on_the_layout_of_the_input),
    };
    return cmocka_run_group_tests(tests, open_sample, close_sample);
}
