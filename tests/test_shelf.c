/* Runs that rest with their model: the next that asks the same gets one, which computes the
 * same bits as a new one and shows nothing of before; nobody else does; few and small ones
 * are kept; any thread may ask. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lanes.h"
#include "model_parts.h"
#include "onnx_build.h"
#include "run_state.h"

#define DIMS(...) (const int64_t[]){__VA_ARGS__}

enum { C = 3, H = 20, W = 24, CLASSES = 4, ELEMENTS = C * H * W, THREADS = 4, BATCH = 8 };

static struct sal_model *open_network(size_t memory)
{
    struct onnx_build b;
    struct sal_model *model;
    struct sal_error err;
    char path[ONNX_BUILD_PATH];
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "image", SAL_ONNX_FLOAT, 4, DIMS(-1, C, H, W));
    onnx_build_waves(&b, "w1", 4, DIMS(16, C, 3, 3), 0.25f);
    onnx_build_waves(&b, "w2", 4, DIMS(16, 16, 3, 3), 0.2f);
    onnx_build_waves(&b, "w3", 2, DIMS(16, CLASSES), 0.5f);
    onnx_build_node(&b, "Conv", "image,w1", "c1");
    onnx_build_ints(&b, "pads", 4, DIMS(1, 1, 1, 1));
    onnx_build_node(&b, "Relu", "c1", "r1");
    onnx_build_node(&b, "Conv", "r1,w2", "c2");
    onnx_build_ints(&b, "pads", 4, DIMS(1, 1, 1, 1));
    onnx_build_node(&b, "Add", "c2,r1", "s2");
    onnx_build_node(&b, "Relu", "s2", "r2");
    onnx_build_node(&b, "GlobalAveragePool", "r2", "p2");
    onnx_build_node(&b, "Flatten", "p2", "flat");
    onnx_build_node(&b, "MatMul", "flat,w3", "scores");
    onnx_build_output(&b, "scores", SAL_ONNX_FLOAT, -1, NULL);
    assert_true(onnx_build_save(&b, path));
    if (sal_model_open(&model, path, &(struct sal_model_options){.memory = memory}, &err))
        fail_msg("%s", err.text);
    unlink(path);
    return model;
}

static void picture(sal_real *x, int n, int salt)
{
    for (int i = 0; i < n * ELEMENTS; i++)
        x[i] = (sal_real)cos(0.37 * (i + 1) * (salt + 1));
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

static void forward(struct sal_run *run, int n, int salt)
{
    static _Thread_local sal_real x[BATCH * ELEMENTS];
    struct sal_error err;
    picture(x, n, salt);
    if (sal_run_forward(run, x, NULL, &err))
        fail_msg("%s", err.text);
}

/* A gradient for r2, whose maps it takes to `to`. */
static void look(const struct sal_model *model, struct sal_run *run, int salt, int class_index,
                 sal_real *to)
{
    struct sal_error err;
    int layer = sal_model_find(model, "r2");
    struct sal_shape shape;
    forward(run, 1, salt);
    const sal_real *value = sal_run_value(run, layer, &shape);
    int64_t n = sal_shape_count(&shape);
    memcpy(to, value, sizeof(*to) * (size_t)n);
    if (sal_run_backward(run, sal_model_output(model)->value, class_index, &layer, 1, NULL,
                         &err))
        fail_msg("%s", err.text);
    memcpy(to + n, sal_run_gradient(run, layer), sizeof(*to) * (size_t)n);
}

static struct sal_run_options of_layer(const int *layer, struct sal_pool *pool)
{
    return (struct sal_run_options){.gradient = true, .keep = layer, .n_keep = 1,
                                    .wrt = layer, .n_wrt = 1, .pool = pool};
}

enum { MAPS = 2 * 16 * H * W };

static void the_next_that_asks_the_same_gets_the_same_bits(void **state)
{
    (void)state;
    static sal_real fresh[MAPS], again[MAPS];
    struct sal_pool *pools[2];
    struct sal_model *model = open_network(0), *other = open_network(0);
    int layer = sal_model_find(model, "r2");
    assert_int_equal(sal_pool_open(&pools[0], 1, NULL), SAL_OK);
    assert_int_equal(sal_pool_open(&pools[1], THREADS, NULL), SAL_OK);
    struct sal_run *first = NULL;
    for (int i = 0; i < 6; i++) {
        struct sal_run_options options = of_layer(&layer, pools[i % 2]);
        struct sal_run *run = open_run(model, &options), *new_one = open_run(other, &options);
        new_one->shelf = NULL; /* is never found again */
        first = first ? first : run;
        assert_ptr_equal(run, first);
        assert_ptr_equal(run->pool, options.pool);
        assert_int_equal(sal_run_forwards(run) + sal_run_backwards(run), 0);
        assert_null(sal_run_gradient(run, layer));
        assert_int_equal(sal_run_backward(run, sal_model_output(model)->value, 0, &layer, 1,
                                          NULL, NULL), SAL_USAGE);
        look(model, run, i, i % CLASSES, again);
        look(other, new_one, i, i % CLASSES, fresh);
        assert_memory_equal(again, fresh, sizeof(fresh));
        sal_run_close(run);
        sal_run_close(new_one);
        assert_int_equal(sal_shelf_count(sal_model_shelf(model)), 1);
    }
    sal_model_close(model);
    sal_model_close(other);
    sal_pool_close(pools[0]);
    sal_pool_close(pools[1]);
}

static void whoever_asks_otherwise_does_not_get_it(void **state)
{
    (void)state;
    struct sal_model *model = open_network(0);
    int layers[] = {sal_model_find(model, "r2"), sal_model_find(model, "r1")};
    const struct sal_run_options asked = of_layer(layers, NULL);
    struct sal_run_options others[10];
    for (int i = 0; i < 10; i++)
        others[i] = asked;
    others[0].batch = 2;
    others[1].gradient = false;
    others[1].n_wrt = 0;
    others[2].keep = layers + 1;
    others[2].wrt = layers + 1;
    others[3].n_keep = 2;
    others[4].n_wrt = 0;
    others[5].from = layers[1];
    others[6].memory = (size_t)64 << 20;
    others[7].exact = true;
    others[8].plain = true;
    others[9].propagation = &sal_propagation_guided;
    struct sal_run *kept = open_run(model, &asked);
    forward(kept, 1, 0);
    sal_run_close(kept);
    for (int i = 0; i < 10; i++) {
        struct sal_run *run = open_run(model, &others[i]);
        assert_ptr_not_equal(run, kept);
        sal_run_close(run);
    }
    int n;
    sal_lanes_use(sal_lanes_all(&n)[0]);
    struct sal_run *run = open_run(model, &asked);
    bool only_table = n == 1 || sal_lanes_all(&n)[0] == kept->lanes;
    assert_true((run == kept) == only_table);
    sal_run_close(run);
    sal_lanes_use(NULL);
    run = open_run(model, &asked);
    assert_true(run == kept || only_table);
    sal_run_close(run);
    sal_model_close(model);
}

static void what_has_not_ended_well_is_not_kept(void **state)
{
    (void)state;
    struct sal_model *model = open_network(0);
    struct sal_shelf *shelf = sal_model_shelf(model);
    struct sal_run *run = open_run(model, &(struct sal_run_options){0});
    sal_run_close(run);
    assert_int_equal(sal_shelf_count(shelf), 0);
    static sal_real x[ELEMENTS];
    picture(x, 1, 0);
    x[7] = (sal_real)NAN;
    run = open_run(model, &(struct sal_run_options){0});
    assert_int_equal(sal_run_forward(run, x, NULL, NULL), SAL_BAD_INPUT);
    sal_run_close(run);
    assert_int_equal(sal_shelf_count(shelf), 0);
    run = open_run(model, &(struct sal_run_options){0});
    forward(run, 1, 0);
    struct sal_job job = {0};
    sal_job_cancel(&job);
    assert_int_equal(sal_run_forward(run, x, &job, NULL), SAL_CANCELLED);
    sal_run_close(run);
    assert_int_equal(sal_shelf_count(shelf), 0);
    sal_model_close(model);
}

static void a_few_small_ones_are_kept_the_last_longest(void **state)
{
    (void)state;
    struct sal_model *model = open_network(0);
    struct sal_shelf *shelf = sal_model_shelf(model);
    struct sal_run *runs[SAL_SHELF_RUNS + 1];
    for (int i = 0; i <= SAL_SHELF_RUNS; i++) {
        runs[i] = open_run(model, &(struct sal_run_options){.memory = (size_t)(i + 1) << 26});
        forward(runs[i], 1, i);
    }
    for (int i = 0; i <= SAL_SHELF_RUNS; i++)
        sal_run_close(runs[i]);
    assert_int_equal(sal_shelf_count(shelf), SAL_SHELF_RUNS);
    assert_true(sal_shelf_memory(shelf) > 0);
    for (int i = SAL_SHELF_RUNS; i >= 1; i--) {
        struct sal_run_options options = {.memory = (size_t)(i + 1) << 26};
        assert_ptr_equal(sal_shelf_take(shelf, &options), runs[i]);
        sal_run_free(runs[i]);
    }
    assert_int_equal(sal_shelf_count(shelf), 0);
    sal_model_close(model);

    model = open_network((size_t)1 << 20); /* a quarter of that is less than two runs */
    shelf = sal_model_shelf(model);
    for (int i = 0; i < 3; i++) {
        struct sal_run *run =
            open_run(model, &(struct sal_run_options){.memory = (size_t)(i + 1) << 26});
        forward(run, 1, i);
        sal_run_close(run);
        assert_true(sal_shelf_memory(shelf) <= (size_t)1 << 18);
    }
    assert_int_equal(sal_shelf_count(shelf), 1);
    struct sal_run *large = open_run(
        model, &(struct sal_run_options){.batch = BATCH, .gradient = true});
    forward(large, BATCH, 0);
    assert_true(large->memory.size > (size_t)1 << 18);
    sal_run_close(large);
    assert_true(sal_shelf_memory(shelf) <= (size_t)1 << 18);
    sal_model_close(model);
}

/* ---- threads -------------------------------------------------------------------------- */

struct asker {
    const struct sal_model *model;
    int number;
    sal_real scores[CLASSES];
    bool same;
};

static void *ask(void *data)
{
    struct asker *asker = data;
    asker->same = true;
    for (int i = 0; i < 200; i++) {
        struct sal_run_options options = {.exact = (i + asker->number) % 3 == 0};
        struct sal_run *run = open_run(asker->model, &options);
        forward(run, 1, asker->number);
        const sal_real *scores =
            sal_run_value(run, sal_model_output(asker->model)->value, NULL);
        if (i == 0)
            memcpy(asker->scores, scores, sizeof(asker->scores));
        for (int k = 0; k < CLASSES; k++)
            asker->same &= fabs((double)(scores[k] - asker->scores[k])) < 1e-4;
        sal_run_close(run);
    }
    return NULL;
}

static void threads_never_share_one(void **state)
{
    (void)state;
    struct sal_model *model = open_network(0);
    struct asker askers[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        askers[i] = (struct asker){.model = model, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &askers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(askers[i].same);
    }
    assert_in_range(sal_shelf_count(sal_model_shelf(model)), 1, SAL_SHELF_RUNS);
    sal_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_that_asks_the_same_gets_the_same_bits),
        cmocka_unit_test(whoever_asks_otherwise_does_not_get_it),
        cmocka_unit_test(what_has_not_ended_well_is_not_kept),
        cmocka_unit_test(a_few_small_ones_are_kept_the_last_longest),
        cmocka_unit_test(threads_never_share_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
