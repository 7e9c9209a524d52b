#include "attack_models.h"

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
#include "saliscope/run.h"
#include "small_network.h"

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})

/* ---- models -------------------------------------------------------------------------------- */

static struct sal_model *finish(struct onnx_build *b, const char *activation,
                                const char *sidecar)
{
    char path[ONNX_BUILD_PATH], beside[] = "/tmp/saliscope-test-XXXXXX.json";
    struct sal_model *model = NULL;
    onnx_build_node(b, activation, "logits", "y");
    if (strcmp(activation, "Softmax") == 0)
        onnx_build_int(b, "axis", 1);
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, -1, NULL);
    assert_true(onnx_build_save(b, path));
    if (sidecar) {
        int fd = mkstemps(beside, 5);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, sidecar, strlen(sidecar)), (ssize_t)strlen(sidecar));
        close(fd);
    }
    must(sal_model_open(&model, path,
                        &(struct sal_model_options){.sidecar = sidecar ? beside : NULL}, err));
    unlink(path);
    if (sidecar)
        unlink(beside);
    return model;
}

/* Gemm of weights [out][in]. */
static void put_linear(struct onnx_build *b, const char *in, const char *out, int from, int to,
                       const float *w, const float *bias)
{
    char names[96], weights[32], biases[32];
    snprintf(weights, sizeof(weights), "%s_w", out);
    snprintf(biases, sizeof(biases), "%s_b", out);
    snprintf(names, sizeof(names), "%s,%s,%s", in, weights, biases);
    onnx_build_weights(b, weights, 2, DIMS(to, from), w);
    onnx_build_weights(b, biases, 1, DIMS(to), bias);
    onnx_build_node(b, "Gemm", names, out);
    onnx_build_int(b, "transB", 1);
}

struct sal_model *linear_model(int channels, int height, int width, int outputs,
                               const float *w, const float *b, const char *activation,
                               const char *sidecar)
{
    struct onnx_build build;
    onnx_build_init(&build, 13);
    onnx_build_input(&build, "x", SAL_ONNX_FLOAT, 4, DIMS(-1, channels, height, width));
    onnx_build_node(&build, "Flatten", "x", "flat");
    put_linear(&build, "flat", "logits", channels * height * width, outputs, w, b);
    return finish(&build, activation, sidecar);
}

struct sal_model *hidden_model(int height, int width, int hidden, const char *unit,
                               const float *u, const float *v, int outputs, const float *w,
                               const float *b, const char *activation)
{
    const bool square = strcmp(unit, "Square") == 0;
    struct onnx_build build;
    onnx_build_init(&build, 13);
    onnx_build_input(&build, "x", SAL_ONNX_FLOAT, 4, DIMS(-1, 1, height, width));
    onnx_build_node(&build, "Flatten", "x", "flat");
    put_linear(&build, "flat", "h", height * width, hidden, u, v);
    onnx_build_node(&build, square ? "Mul" : unit, square ? "h,h" : "h", "r");
    put_linear(&build, "r", "logits", hidden, outputs, w, b);
    return finish(&build, activation, NULL);
}

struct sal_model *mlp_model(int inputs, int hidden, const float *u, const float *v, int outputs,
                            const float *w, const float *b, const char *activation)
{
    return hidden_model(1, inputs, hidden, "Relu", u, v, outputs, w, b, activation);
}

/* ---- questions -------------------------------------------------------------------------------- */

enum sal_status probe_ask(const struct sal_model *model, const float *x, const char *name,
                          struct probing how, struct sal_probe_answer *answer,
                          struct sal_error *err)
{
    const struct sal_probe *probe = sal_probe_find(name);
    struct sal_params params;
    char text[200];
    assert_non_null(probe);
    sal_params_init(&params, probe->params);
    snprintf(text, sizeof(text), "%s", how.settings ? how.settings : "");
    enum sal_status status = SAL_OK;
    for (char *word = strtok(text, " "); word && !status; word = strtok(NULL, " "))
        status = sal_params_set(&params, probe->params, word, name, err);
    struct sal_pool *pool = NULL;
    if (!status && how.threads)
        status = sal_pool_open(&pool, how.threads, err);
    struct sal_probe_question question = {.model = model,
                                          .x = x,
                                          .class_index = how.c,
                                          .white = how.white,
                                          .grey = how.grey,
                                          .mask = how.mask,
                                          .roi = how.roi,
                                          .where = how.where,
                                          .params = &params,
                                          .batch = how.batch,
                                          .seed = how.seed,
                                          .pool = pool,
                                          .job = how.job};
    if (!status)
        status = sal_probe_run(probe, &question, answer, err);
    sal_pool_close(pool);
    return status;
}

struct sal_probe_answer probe_of(const struct sal_model *model, const float *x,
                                 const char *name, struct probing how)
{
    struct sal_probe_answer answer;
    must(probe_ask(model, x, name, how, &answer, err));
    return answer;
}

/* ---- honesty ------------------------------------------------------------------------------------ */

static bool called(const struct sal_model *model, const float *logits, int c)
{
    const struct sal_model_output *output = sal_model_output(model);
    double *p = calloc((size_t)output->n, sizeof(*p));
    sal_model_probabilities(model, logits, p);
    bool is = output->activation == SAL_SIGMOID ? sal_model_flagged(model, c, p[c])
              : output->n == 1                  ? logits[0] >= 0
                                                : sal_model_top_class(model, logits) == c;
    free(p);
    return is;
}

void assert_answer_is_honest(const struct sal_model *model, const float *x, int c,
                             const struct sal_probe_answer *answer)
{
    struct sal_run *run = NULL;
    int64_t n = sal_input_elements(model);
    must(sal_run_open(&run, model, &(struct sal_run_options){0}, err));
    must(sal_run_forward(run, answer->x, NULL, err));
    const float *logits = sal_run_value(run, sal_model_output(model)->value, NULL);
    assert_memory_equal(logits, answer->after, (size_t)answer->n_logits * sizeof(*logits));
    bool wanted = answer->goal == SAL_GOAL_CREATE;
    assert_true(answer->flipped == (called(model, logits, c) == wanted));
    assert_true(answer->called_after == called(model, logits, c));
    assert_true(answer->sought == SAL_SEEK_FLIP || answer->called_after == answer->called_before);
    if (!answer->found)
        assert_memory_equal(answer->x, x, (size_t)n * sizeof(*x));
    for (int64_t i = 0; i < n; i++)
        assert_true(isfinite(answer->x[i]));
    sal_run_close(run);
}
