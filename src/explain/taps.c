/* One forward and one backward for all layers, kept in the run that made them. */
#include <stdlib.h>
#include <string.h>

#include "../engine/model_parts.h"
#include "methods.h"

struct sal_taps {
    size_t most;         /* bytes of the run */
    struct sal_run *run; /* keeps all layers; NULL: not open */
    bool refused;        /* opening it, or its gradients, failed once */
    sal_real *x;         /* the image whose activations are there; NULL: none */
    int class_index;     /* whose gradients are there; -1: none */
    int *layers, n;      /* values */
};

struct sal_taps *sal_taps_open(size_t most)
{
    struct sal_taps *taps = calloc(1, sizeof(*taps));
    if (taps)
        taps->most = most ? most : SAL_TAPS_MEMORY;
    return taps;
}

static void forget(struct sal_taps *taps)
{
    free(taps->x);
    taps->x = NULL;
    taps->class_index = -1;
}

static void release(struct sal_taps *taps)
{
    forget(taps);
    sal_run_close(taps->run);
    free(taps->layers);
    taps->run = NULL;
    taps->layers = NULL;
}

void sal_taps_close(struct sal_taps *taps)
{
    if (taps)
        release(taps);
    free(taps);
}

/* ---- passes -------------------------------------------------------------------------- */

static enum sal_status open_run(struct sal_taps *taps, const struct sal_question *question,
                                struct sal_error *err)
{
    int automatic;
    size_t limit = sal_model_memory(question->model);
    const struct sal_layer *layers = sal_model_layers(question->model, &taps->n, &automatic);
    taps->layers = calloc((size_t)taps->n, sizeof(*taps->layers));
    if (!taps->layers)
        return sal_fail(err, SAL_LIMIT, "no memory for %d layers", taps->n);
    for (int i = 0; i < taps->n; i++)
        taps->layers[i] = layers[i].value;
    return sal_run_open(&taps->run, question->model,
                        &(struct sal_run_options){.gradient = true,
                                                  .keep = taps->layers,
                                                  .n_keep = taps->n,
                                                  .wrt = taps->layers,
                                                  .n_wrt = taps->n,
                                                  .memory = taps->most < limit ? taps->most
                                                                               : limit,
                                                  .exact = question->exact,
                                                  .pool = question->pool},
                        err);
}

static enum sal_status forward(struct sal_taps *taps, const struct sal_question *question,
                               struct sal_error *err)
{
    size_t size = (size_t)sal_input_elements(question->model) * sizeof(*taps->x);
    if (taps->x && memcmp(taps->x, question->x, size) == 0)
        return SAL_OK;
    forget(taps);
    enum sal_status status = sal_run_forward(taps->run, question->x, question->job, err);
    if (status)
        return status;
    taps->x = malloc(size);
    if (!taps->x)
        return sal_fail(err, SAL_LIMIT, "no memory for an image");
    memcpy(taps->x, question->x, size);
    return SAL_OK;
}

static enum sal_status backward(struct sal_taps *taps, const struct sal_question *question,
                                struct sal_error *err)
{
    int score = sal_model_output(question->model)->value;
    if (taps->class_index == question->class_index)
        return SAL_OK;
    taps->class_index = -1;
    enum sal_status status = sal_run_backward(taps->run, score, question->class_index,
                                              taps->layers, taps->n, question->job, err);
    if (status)
        forget(taps); /* it may have begun to write over what was there */
    else
        taps->class_index = question->class_index;
    return status;
}

static enum sal_status pass(struct sal_taps *taps, const struct sal_question *question,
                            bool gradient, struct sal_map *map, struct sal_error *err)
{
    enum sal_status status = taps->run ? SAL_OK : open_run(taps, question, err);
    if (status)
        return status;
    long forwards = sal_run_forwards(taps->run), backwards = sal_run_backwards(taps->run);
    sal_job_begin(question->job, 2);
    status = forward(taps, question, err);
    if (!status && gradient)
        status = backward(taps, question, err);
    map->forwards += sal_run_forwards(taps->run) - forwards;
    map->backwards += sal_run_backwards(taps->run) - backwards;
    return status;
}

enum sal_status sal_taps_pass(const struct sal_question *question, bool gradient,
                              struct sal_map *map, struct sal_run **run,
                              struct sal_error *err)
{
    struct sal_taps *taps = question->taps;
    *run = NULL;
    if (!taps || taps->refused)
        return SAL_OK;
    enum sal_status status = pass(taps, question, gradient, map, err);
    if (status == SAL_CANCELLED || status == SAL_BAD_INPUT)
        return status;
    if (status) { /* one layer alone may do */
        release(taps);
        taps->refused = true;
    }
    *run = taps->run;
    return SAL_OK;
}
