#include "measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "saliscope/model.h"
#include "saliscope/run.h"

#ifdef SAL_DOUBLE
#define measure measure_double
#else
#define measure measure_float

void measured_release(struct measured *result)
{
    free(result->logits);
    free(result->gradient);
    *result = (struct measured){0};
}
#endif

enum { OPERATORS_MAX = 64 };

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void list_operators(struct measured *result, const struct sal_model *model)
{
    const char *seen[OPERATORS_MAX];
    size_t n = 0;
    for (int id = 0; id < sal_model_n_values(model); id++) {
        struct sal_model_value value = sal_model_value(model, id);
        size_t i = 0;
        while (i < n && strcmp(seen[i], value.op) != 0)
            i++;
        if (i == n && n < OPERATORS_MAX && *value.op && !value.constant)
            seen[n++] = value.op;
    }
    qsort(seen, n, sizeof(*seen), by_text);
    size_t used = 0, capacity = sizeof(result->operators);
    for (size_t i = 0; i < n && used < capacity; i++)
        used += (size_t)snprintf(result->operators + used, capacity - used, "%s%s",
                                 i ? " " : "", seen[i]);
}

static double *as_double(const sal_real *values, int64_t n)
{
    double *copy = malloc(sizeof(*copy) * (size_t)n);
    for (int64_t i = 0; copy && i < n; i++)
        copy[i] = (double)values[i];
    return copy;
}

static enum sal_status pass(const struct measure_case *c, const struct sal_model *model,
                            struct sal_run *run, struct measured *result,
                            struct sal_error *err)
{
    int output = sal_model_output(model)->value, input = sal_model_input(model)->value;
    int64_t n = c->n_x * result->batch;
    sal_real *x = malloc(sizeof(*x) * (size_t)n);
    if (!x)
        return sal_fail(err, SAL_LIMIT, "out of memory");
    for (int64_t i = 0; i < n; i++)
        x[i] = (sal_real)c->x[i % c->n_x];
    double start = now_ms();
    enum sal_status status = sal_run_forward(run, x, NULL, err);
    if (!status)
        status = sal_run_backward(run, output, c->score, &input, 1, NULL, err);
    result->ms = now_ms() - start;
    free(x);
    if (status)
        return status;
    result->logits =
        as_double(sal_run_value(run, output, NULL), result->n_logits * result->batch);
    result->gradient = as_double(sal_run_gradient(run, input), n);
    if (!result->logits || !result->gradient)
        return sal_fail(err, SAL_LIMIT, "out of memory");
    return SAL_OK;
}

static enum sal_status run_model(const struct measure_case *c,
                                 const struct sal_model *model, struct sal_pool *pool,
                                 struct measured *result, struct sal_error *err)
{
    const struct sal_model_input *in = sal_model_input(model);
    int64_t n = (int64_t)in->channels * in->height * in->width;
    if (n != c->n_x)
        return sal_fail(err, SAL_BAD_INPUT, "its input has %lld values, PyTorch's %lld",
                        (long long)n, (long long)c->n_x);
    result->opset = (long)sal_model_onnx(model)->opset;
    result->n_logits = sal_model_output(model)->n;
    result->batch = in->batch_free ? 2 : 1;
    list_operators(result, model);
    struct sal_run *run;
    struct sal_run_options options = {
        .batch = result->batch, .gradient = true, .pool = pool};
    enum sal_status status = sal_run_open(&run, model, &options, err);
    if (status)
        return status;
    status = pass(c, model, run, result, err);
    sal_run_close(run);
    return status;
}

/* What the file calls its output is what PyTorch returned; where a model's logits are
 * found further up, the output itself is asked for. */
static enum sal_status open_model(struct sal_model **model, const char *path,
                                  struct sal_pool *pool, struct sal_error *err)
{
    struct sal_model_options options = {.pool = pool};
    enum sal_status status = sal_model_open(model, path, &options, err);
    if (status)
        return status;
    int logits = sal_model_output(*model)->value;
    const char *output = sal_model_onnx(*model)->graph.outputs[0].name;
    if (strcmp(sal_model_value(*model, logits).name, output) == 0)
        return SAL_OK;
    char score[256];
    snprintf(score, sizeof(score), "%s", output);
    sal_model_close(*model);
    options.score = score;
    return sal_model_open(model, path, &options, err);
}

bool measure(const struct measure_case *c, struct measured *result)
{
    *result = (struct measured){0};
    struct sal_error err = {0};
    struct sal_pool *pool;
    struct sal_model *model;
    enum sal_status status = sal_pool_open(&pool, 0, &err);
    if (!status) {
        status = open_model(&model, c->path, pool, &err);
        if (!status) {
            status = run_model(c, model, pool, result, &err);
            sal_model_close(model);
        }
        sal_pool_close(pool);
    }
    memcpy(result->message, err.text, sizeof(result->message));
    return status == SAL_OK;
}
