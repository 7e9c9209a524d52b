#include "rule_network.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- models ---------------------------------------------------------------------------- */

struct sal_model *rule_finish(struct onnx_build *b, const char *output)
{
    char path[ONNX_BUILD_PATH];
    struct sal_model *model = NULL;
    onnx_build_output(b, output, SAL_ONNX_FLOAT, -1, NULL);
    assert_true(onnx_build_save(b, path));
    must(sal_model_open(&model, path, &(struct sal_model_options){0}, err));
    unlink(path);
    return model;
}

void rule_begin(struct onnx_build *b)
{
    onnx_build_init(b, 17);
    onnx_build_input(b, "x", SAL_ONNX_FLOAT, 4, DIMS(-1, C, H, W));
}

float rule_weight(int i, int salt)
{
    return (float)(0.6 * sin(0.9 * i + salt) + 0.1 * cos(2.3 * i));
}

void rule_weights(struct onnx_build *b, const char *name, int rank, const int64_t *dims,
                  int salt)
{
    float values[1024];
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= dims[i];
    assert_true(n <= 1024);
    for (int i = 0; i < n; i++)
        values[i] = rule_weight(i, salt);
    onnx_build_weights(b, name, rank, dims, values);
}

struct sal_model *rule_network(const char *activation)
{
    struct onnx_build b;
    rule_begin(&b);
    rule_weights(&b, "w", 4, DIMS(K, C, 1, 1), 1);
    rule_weights(&b, "b", 1, DIMS(K), 5);
    onnx_build_node(&b, "Conv", "x,w,b", "y");
    onnx_build_node(&b, activation, "y", "a");
    onnx_build_node(&b, "GlobalAveragePool", "a", "p");
    onnx_build_node(&b, "Flatten", "p", "f");
    rule_weights(&b, "v", 2, DIMS(K, CLASSES), 2);
    onnx_build_node(&b, "MatMul", "f,v", "scores");
    return rule_finish(&b, "scores");
}

const float *rule_picture(int salt)
{
    static float x[2][N];
    float *to = x[salt & 1];
    for (int i = 0; i < N; i++)
        to[i] = (float)(0.5 + 0.5 * cos(0.37 * (i + 1) * (salt + 1)));
    return to;
}

/* ---- runs --------------------------------------------------------------------------------- */

/* What comes back to the input from class 1, and the scores. */
enum sal_status rule_ask(const struct sal_model *model, const float *x,
                         struct rule_asking how, float *back, double scores[2],
                         struct sal_error *refusal)
{
    int input = sal_model_input(model)->value, score = sal_model_output(model)->value;
    struct sal_run *run[2] = {NULL, NULL};
    struct sal_pool *pool = NULL;
    must(sal_pool_open(&pool, how.threads ? how.threads : 1, err));
    struct sal_run_options options = {.gradient = true,
                                      .propagation = how.propagation,
                                      .lrp = how.lrp,
                                      .plain = how.plain,
                                      .pool = pool};
    for (int i = 0; i < 2; i++) {
        must(sal_run_open(&run[i], model, &options, err));
        must(
            sal_run_forward(run[i], i && how.reference ? how.reference : x, NULL, err));
        scores[i] = (double)sal_run_value(run[i], score, NULL)[1];
    }
    enum sal_status status =
        how.reference ? sal_run_compare(run[0], run[1], refusal) : SAL_OK;
    if (!status)
        status = sal_run_backward(run[0], score, 1, &input, 1, NULL, refusal);
    if (!status)
        memcpy(back, sal_run_gradient(run[0], input), N * sizeof(*back));
    sal_run_close(run[0]);
    sal_run_close(run[1]);
    sal_pool_close(pool);
    return status;
}

double rule_apart(const float *a, const float *b)
{
    double most = 0;
    for (int i = 0; i < N; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        most = d <= most ? most : d;
    }
    return most;
}

double rule_size(const float *a)
{
    double most = 0;
    for (int i = 0; i < N; i++)
        most = fmax(most, fabs((double)a[i]));
    return most;
}

double rule_sum(const float *back, const float *x, const float *x0)
{
    double sum = 0;
    for (int i = 0; i < N; i++)
        sum += (double)back[i] * ((double)x[i] - (double)x0[i]);
    return sum;
}
