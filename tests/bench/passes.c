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
#include <time.h>

#include "saliscope/model.h"
#include "saliscope/run.h"

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

static void give_up(const struct sal_error *err)
{
    fprintf(stderr, "passes: %s\n", err->text);
    exit(1);
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static enum sal_status read_input(struct bench *bench, const char *path,
                                  struct sal_error *err)
{
    const struct sal_model_input *input = sal_model_input(bench->model);
    bench->n_x = (int64_t)input->channels * input->height * input->width;
    bench->x = calloc((size_t)(bench->n_x * bench->batch), sizeof(*bench->x));
    FILE *file = fopen(path, "rb");
    size_t n = (size_t)bench->n_x, got = 0;
    if (file && bench->x)
        got = fread(bench->x, sizeof(*bench->x), n, file);
    if (file)
        fclose(file);
    if (got != n)
        return sal_fail(err, SAL_BAD_INPUT, "%s: not %zu floats", path, n);
    for (int i = 1; i < bench->batch; i++)
        memcpy(bench->x + (size_t)i * n, bench->x, n * sizeof(*bench->x));
    return SAL_OK;
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

static void pass(struct bench *bench)
{
    struct sal_error err;
    int input = sal_model_input(bench->model)->value;
    int score = sal_model_output(bench->model)->value;
    enum sal_status status = sal_run_forward(bench->run, bench->x, NULL, &err);
    if (!status && bench->gradient)
        status = sal_run_backward(bench->run, score, 0, &input, 1, NULL, &err);
    if (status)
        give_up(&err);
}

static void run(struct bench *bench, int n)
{
    for (int i = 0; i < n; i++) {
        double begin = now_ms();
        pass(bench);
        printf("%s%.6g", i ? ", " : "[", now_ms() - begin);
    }
    puts("]");
}

static void print_some(const char *key, const float *values, int64_t n, int64_t step)
{
    printf("\"%s\": [", key);
    for (int64_t i = 0; i < n; i += step)
        printf("%s%.9g", i ? ", " : "", (double)values[i]);
    printf("]");
}

static void values(const struct bench *bench)
{
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

int main(int argc, char **argv)
{
    if (argc != 6) {
        fputs("usage: passes MODEL INPUT forward|gradient BATCH THREADS\n", stderr);
        return 2;
    }
    struct bench bench = {0};
    struct sal_error err;
    double begin = now_ms();
    if (bench_open(&bench, argv + 1, &err))
        give_up(&err);
    printf("{\"ready\": %.6g, \"macs\": %.9g}\n", now_ms() - begin,
           sal_model_figures(bench.model).macs);
    fflush(stdout);
    char line[64];
    while (fgets(line, sizeof(line), stdin)) {
        if (strncmp(line, "run ", 4) == 0)
            run(&bench, atoi(line + 4));
        else if (strcmp(line, "values\n") == 0)
            values(&bench);
        else if (strcmp(line, "peak\n") == 0)
            printf("%.6g\n", sal_peak_flops(bench.pool) * 1e-9);
        fflush(stdout);
    }
    bench_close(&bench);
    return 0;
}
