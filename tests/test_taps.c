/* Maps of many layers from one forward and one backward: the same but for rounding, and no
 * pass more; another class, image or method asks for what is missing only. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "saliscope/explain.h"

static struct sal_pool *pool;

static int open_pool(void **state)
{
    (void)state;
    return sal_pool_open(&pool, 2, NULL);
}

static int close_pool(void **state)
{
    (void)state;
    sal_pool_close(pool);
    return 0;
}

static struct sal_model *open_sample(const char *name, size_t memory)
{
    char path[256];
    struct sal_model *model;
    struct sal_error err;
    snprintf(path, sizeof(path), "samples/models/%s.onnx", name);
    if (sal_model_open(&model, path,
                       &(struct sal_model_options){.pool = pool, .memory = memory}, &err))
        fail_msg("%s", err.text);
    return model;
}

static sal_real *picture(const struct sal_model *model, int salt)
{
    const struct sal_model_input *input = sal_model_input(model);
    int64_t n = (int64_t)input->channels * input->height * input->width;
    sal_real *x = calloc((size_t)n, sizeof(*x));
    for (int64_t i = 0; i < n; i++)
        x[i] = (sal_real)cos(0.037 * (double)(i + 1) * (salt + 1));
    return x;
}

static struct sal_map explain(const char *name, const struct sal_question *question)
{
    const struct sal_method *method = sal_method_find(name);
    struct sal_params params;
    struct sal_map map;
    struct sal_error err;
    struct sal_question asked = *question;
    sal_params_init(&params, method->params);
    assert_int_equal(sal_params_set(&params, method->params, "evidence=both", name, NULL),
                     SAL_OK);
    asked.params = &params;
    if (sal_explain(method, &asked, &map, &err))
        fail_msg("%s: %s", name, err.text);
    return map;
}

static void assert_same(const struct sal_map *a, const struct sal_map *b)
{
    double worst = 0, most = 0;
    assert_int_equal(a->grid_width * a->grid_height, b->grid_width * b->grid_height);
    assert_int_equal(a->layer, b->layer);
    for (int i = 0; i < a->grid_width * a->grid_height; i++) {
        worst = fmax(worst, fabs((double)a->grid[i] - (double)b->grid[i]));
        most = fmax(most, fabs((double)a->grid[i]));
    }
    if (!(worst <= 1e-4 * most))
        fail_msg("layer %d differs by %.1e", a->layer, worst / most);
}

static void all_layers_come_from_one_pass_each_way(void **state)
{
    (void)state;
    static const char *const names[] = {"phantom", "phantom-vit"};
    for (size_t m = 0; m < sizeof(names) / sizeof(*names); m++) {
        struct sal_model *model = open_sample(names[m], 0);
        struct sal_taps *taps = sal_taps_open(0);
        sal_real *x = picture(model, 0);
        int n, automatic;
        const struct sal_layer *layers = sal_model_layers(model, &n, &automatic);
        for (int i = n - 1; i >= 0; i--) {
            struct sal_question question = {.model = model, .x = x, .layer = layers[i].value,
                                            .pool = pool};
            struct sal_map apart = explain("gradcam", &question);
            question.taps = taps;
            struct sal_map map = explain("gradcam", &question);
            assert_same(&apart, &map);
            assert_int_equal(map.forwards, i == n - 1);
            assert_int_equal(map.backwards, i == n - 1);
            sal_map_release(&map);
            sal_map_release(&apart);
        }
        sal_taps_close(taps);
        free(x);
        sal_model_close(model);
    }
}

static void only_what_is_missing_is_computed(void **state)
{
    (void)state;
    struct sal_model *model = open_sample("phantom", 0);
    struct sal_taps *taps = sal_taps_open(0);
    sal_real *x[] = {picture(model, 0), picture(model, 3)};
    const struct {
        const char *method;
        int image, class_index, forwards, backwards;
    } rows[] = {
        {"eigencam", 0, 0, 1, 0}, {"gradcam", 0, 0, 0, 1},  {"hirescam", 0, 0, 0, 0},
        {"gradcam", 0, 1, 1, 1}, /* a backward uses up what it goes through */
        {"eigencam", 0, 0, 0, 0}, {"gradcam", 1, 1, 1, 1},  {"xgradcam", 1, 1, 0, 0},
        {"gradcam", 0, 1, 1, 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct sal_question question = {.model = model, .x = x[rows[i].image],
                                        .class_index = rows[i].class_index, .layer = -1,
                                        .pool = pool};
        struct sal_map apart = explain(rows[i].method, &question);
        question.taps = taps;
        struct sal_map map = explain(rows[i].method, &question);
        assert_same(&apart, &map);
        assert_int_equal(map.forwards, rows[i].forwards);
        assert_int_equal(map.backwards, rows[i].backwards);
        sal_map_release(&map);
        sal_map_release(&apart);
    }
    sal_taps_close(taps);
    free(x[0]);
    free(x[1]);
    sal_model_close(model);
}

static void what_was_stopped_is_asked_again(void **state)
{
    (void)state;
    struct sal_model *model = open_sample("phantom", 0);
    struct sal_taps *taps = sal_taps_open(0);
    sal_real *x = picture(model, 0);
    struct sal_job job = {.cancel = true};
    struct sal_question question = {
        .model = model, .x = x, .layer = -1, .pool = pool, .job = &job, .taps = taps};
    struct sal_map map;
    assert_int_equal(sal_explain(sal_method_find("gradcam"), &question, &map, NULL),
                     SAL_CANCELLED);
    atomic_store(&job.cancel, false);
    map = explain("gradcam", &question);
    assert_int_equal(map.forwards, 1);
    sal_map_release(&map);
    sal_taps_close(taps);
    free(x);
    sal_model_close(model);
}

/* The least memory in which a map is made. */
static size_t memory_for(bool kept)
{
    for (size_t memory = 1 << 20;; memory += memory / 16) {
        struct sal_model *model = open_sample("phantom", memory);
        struct sal_taps *taps = sal_taps_open(0);
        sal_real *x = picture(model, 0);
        struct sal_question question = {
            .model = model, .x = x, .layer = -1, .pool = pool, .taps = kept ? taps : NULL};
        struct sal_map map[2];
        int made = 0;
        while (made < 2 && !sal_explain(sal_methods[0], &question, &map[made], NULL))
            made++;
        bool done = made == 2 && map[1].forwards == !kept;
        for (int i = 0; i < made; i++)
            sal_map_release(&map[i]);
        free(x);
        sal_taps_close(taps);
        sal_model_close(model);
        if (done)
            return memory;
    }
}

/* memory: of the model; most: of taps. */
static long passes_of_two(size_t memory, size_t most)
{
    struct sal_model *model = open_sample("phantom", memory);
    struct sal_taps *taps = sal_taps_open(most);
    sal_real *x = picture(model, 0);
    struct sal_question question = {
        .model = model, .x = x, .layer = -1, .pool = pool, .taps = taps};
    long passes = 0;
    for (int i = 0; i < 2; i++) {
        struct sal_map map = explain("gradcam", &question);
        passes += map.forwards + map.backwards;
        sal_map_release(&map);
    }
    sal_taps_close(taps);
    free(x);
    sal_model_close(model);
    return passes;
}

static void where_memory_is_short_each_layer_has_its_own_passes(void **state)
{
    (void)state;
    size_t apart = memory_for(false), all = memory_for(true);
    print_message("one layer in %zu KiB, all in %zu\n", apart >> 10, all >> 10);
    assert_true(apart < all && all < SAL_TAPS_MEMORY);
    assert_int_equal(passes_of_two(apart, 0), 4);
    assert_int_equal(passes_of_two(0, apart), 4);
    assert_int_equal(passes_of_two(0, all), 2);
    assert_int_equal(passes_of_two(0, 0), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_layers_come_from_one_pass_each_way),
        cmocka_unit_test(only_what_is_missing_is_computed),
        cmocka_unit_test(what_was_stopped_is_asked_again),
        cmocka_unit_test(where_memory_is_short_each_layer_has_its_own_passes),
    };
    return cmocka_run_group_tests(tests, open_pool, close_pool);
}
