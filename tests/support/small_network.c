#include "small_network.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "onnx_build.h"

enum { KERNELS = 4 };

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})

/* ---- networks -------------------------------------------------------------------- */

struct sal_model *make_network(enum network kind, const char *preset)
{
    static const char *const activation[] = {"Tanh", "Identity", "Relu", "Tanh"};
    bool last = kind == SMOOTH_NHWC;
    struct onnx_build b;
    char path[ONNX_BUILD_PATH];
    struct sal_model *model = NULL;
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 4,
                     last ? DIMS(-1, H, W, C) : DIMS(-1, C, H, W));
    if (last) {
        onnx_build_node(&b, "Transpose", "x", "planes");
        onnx_build_ints(&b, "perm", 4, DIMS(0, 3, 1, 2));
    }
    onnx_build_waves(&b, "w", 4, DIMS(KERNELS, C, 3, 3), 0.7F);
    onnx_build_node(&b, "Conv", last ? "planes,w" : "x,w", "y");
    onnx_build_ints(&b, "pads", 4, DIMS(1, 1, 1, 1));
    onnx_build_node(&b, activation[kind], "y", "a");
    onnx_build_waves(&b, "ww", 4, DIMS(CLASSES, KERNELS, 5, 5), 0.3F);
    onnx_build_node(&b, "Conv", "a,ww", "z");
    onnx_build_ints(&b, "strides", 2, DIMS(3, 3));
    onnx_build_node(&b, "ReduceMean", "z", "logits");
    onnx_build_ints(&b, "axes", 2, DIMS(2, 3));
    onnx_build_int(&b, "keepdims", 0);
    onnx_build_output(&b, "logits", SAL_ONNX_FLOAT, -1, NULL);
    assert_true(onnx_build_save(&b, path));
    must(sal_model_open(&model, path, &(struct sal_model_options){.preset = preset}, err));
    unlink(path);
    return model;
}

const float *an_image(void)
{
    static float x[N];
    for (int i = 0; i < N; i++)
        x[i] = (float)(1.5 * cos(0.37 * (i + 1)) + 0.3);
    return x;
}

enum sal_status ask(const struct sal_model *model, const float *x, const char *name,
                           struct asking how, struct sal_map *map, struct sal_error *err)
{
    const struct sal_method *method = sal_method_find(name);
    struct sal_params params;
    char text[200];
    sal_params_init(&params, method->params);
    snprintf(text, sizeof(text), "%s", how.settings ? how.settings : "");
    enum sal_status status = SAL_OK;
    for (char *word = strtok(text, " "); word && !status; word = strtok(NULL, " "))
        status = sal_params_set(&params, method->params, word, name, err);
    struct sal_pool *pool = NULL;
    if (!status && how.threads)
        status = sal_pool_open(&pool, how.threads, err);
    struct sal_question question = {.model = model,
                                    .x = x,
                                    .class_index = sal_model_output(model)->n > 1,
                                    .layer = -1,
                                    .params = &params,
                                    .batch = how.batch,
                                    .seed = how.seed,
                                    .pool = pool,
                                    .tally = how.tally,
                                    .job = how.job};
    if (!status)
        status = sal_explain(method, &question, map, err);
    sal_pool_close(pool);
    return status;
}

struct sal_map map_of(const struct sal_model *model, const char *name,
                             struct asking how)
{
    struct sal_map map;
    must(ask(model, an_image(), name, how, &map, err));
    return map;
}

double check_of(const struct sal_map *map, const char *name)
{
    for (int i = 0; i < map->n_checks; i++)
        if (strcmp(map->checks[i].name, name) == 0)
            return map->checks[i].value;
    fail_msg("no check %s", name);
    return 0;
}

double apart(const float *a, const float *b, int64_t n)
{
    double d = 0;
    for (int64_t i = 0; i < n; i++) {
        double step = fabs((double)a[i] - (double)b[i]);
        d = step <= d ? d : step;
    }
    return d;
}

double score_of(const struct sal_model *model, const float *x)
{
    struct sal_run *run = NULL;
    must(sal_run_open(&run, model, &(struct sal_run_options){0}, err));
    must(sal_run_forward(run, x, NULL, err));
    double score = (double)sal_run_value(run, sal_model_output(model)->value, NULL)[1];
    sal_run_close(run);
    return score;
}

/* ---- stopping ------------------------------------------------------------------------ */

static void *stop_soon(void *argument)
{
    struct sal_job *job = argument;
    while (atomic_load(&job->done) < 3)
        sched_yield();
    sal_job_cancel(job);
    return NULL;
}

struct sal_map stopped_map_with(const struct sal_model *model, const char *name,
                                const char *settings, struct sal_tally *tally)
{
    struct sal_job job = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop_soon, &job), 0);
    struct asking how = {.settings = settings, .batch = 1, .job = &job, .tally = tally};
    struct sal_map map = map_of(model, name, how);
    pthread_join(thread, NULL);
    return map;
}

struct sal_map stopped_map(const struct sal_model *model, const char *name,
                           const char *settings)
{
    return stopped_map_with(model, name, settings, NULL);
}
