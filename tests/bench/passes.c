/*
 * Timed passes of one model, asked for over standard input, for bench.py.
 *
 *     passes MODEL INPUT forward|gradient BATCH THREADS
 *
 * INPUT holds one image's input, raw floats; all images of a batch are that one. Once
 * the model is ready says {"ready": ..., "macs": of one image}. Then it obeys lines:
 *
 *     run N    N passes: [milliseconds, ...]
 *     values   of the last pass: {"logits": [...], "gradient": [...] of image 0, thinned}
 *     peak     what the processor could do at best: GFLOP/s
 *
 * and ends with its input. A pass is a forward, or a forward and the gradient of logit 0
 * of each image with respect to the input. Between lines it sleeps.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "saliscope/clock.h"
#include "saliscope/model.h"
#include "saliscope/run.h"
#include "turns.h"

enum { SHOWN_MAX = 256 }; /* values of a gradient that are told */

struct bench {
    struct sal_pool *pool;
    struct sal_model *model;
    struct sal_run *run;
    bool gradient;
    int batch;
    int64_t n_x; /* of one image */
    float *x;
};

/* The one image for each of the batch. */
static enum sal_status read_input(struct bench *bench, const char *path,
                                  struct sal_error *err)
{
    float *one;
    enum sal_status status = turns_input(bench->model, path, &one, err);
    size_t n = (size_t)sal_input_elements(bench->model);
    bench->n_x = (int64_t)n;
    bench->x = calloc(n * (size_t)bench->batch, sizeof(*bench->x));
    if (!status && !bench->x)
        status = sal_fail(err, SAL_LIMIT, "no memory for %d images", bench->batch);
    for (int i = 0; i < bench->batch && !status; i++)
        memcpy(bench->x + (size_t)i * n, one, n * sizeof(*one));
    free(one);
    return status;
}

static enum sal_status bench_open(struct bench *bench, char **arguments,
                                  struct sal_error *err)
{
    bench->gradient = strcmp(arguments[2], "gradient") == 0;
    bench->batch = atoi(arguments[3]);
    enum sal_status status = sal_pool_open(&bench->pool, atoi(arguments[4]), err);
    if (status)
        return status;
    struct sal_model_options model = {.pool = bench->pool};
    struct sal_run_options run = {
        .batch = bench->batch, .gradient = bench->gradient, .pool = bench->pool};
    if ((status = sal_model_open(&bench->model, arguments[0], &model, err)) ||
        (status = read_input(bench, arguments[1], err)))
        return status;
    return sal_run_open(&bench->run, bench->model, &run, err);
}

static void bench_close(struct bench *bench)
{
    sal_run_close(bench->run);
    sal_model_close(bench->model);
    sal_pool_close(bench->pool);
    free(bench->x);
}

static void pass(void *context)
{
    struct bench *bench = context;
    struct sal_error err;
    int input = sal_model_input(bench->model)->value;
    int score = sal_model_output(bench->model)->value;
    enum sal_status status = sal_run_forward(bench->run, bench->x, NULL, &err);
    if (!status && bench->gradient)
        status = sal_run_backward(bench->run, score, 0, &input, 1, NULL, &err);
    if (status)
        turns_give_up(&err);
}

static void print_some(const char *key, const float *values, int64_t n, int64_t step)
{
    printf("\"%s\": [", key);
    for (int64_t i = 0; i < n; i += step)
        printf("%s%.9g", i ? ", " : "", (double)values[i]);
    printf("]");
}

static void values(void *context)
{
    const struct bench *bench = context;
    const struct sal_model_output *output = sal_model_output(bench->model);
    int input = sal_model_input(bench->model)->value;
    printf("{");
    print_some("logits", sal_run_value(bench->run, output->value, NULL), output->n, 1);
    if (bench->gradient) {
        printf(", ");
        print_some("gradient", sal_run_gradient(bench->run, input), bench->n_x,
                   bench->n_x / SHOWN_MAX + 1);
    }
    puts("}");
}

static void peak(void *context)
{
    const struct bench *bench = context;
    printf("%.6g\n", sal_peak_flops(bench->pool) * 1e-9);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fputs("usage: passes MODEL INPUT forward|gradient BATCH THREADS\n", stderr);
        return 2;
    }
    struct bench bench = {0};
    struct sal_error err;
    double begin = sal_seconds();
    if (bench_open(&bench, argv + 1, &err))
        turns_give_up(&err);
    printf("{\"ready\": %.6g, \"macs\": %.9g}\n", (sal_seconds() - begin) * 1e3,
           sal_model_figures(bench.model).macs);
    turns_obey(&(struct turns){&bench, pass, values, peak});
    bench_close(&bench);
    return 0;
}
