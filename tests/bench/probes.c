/*
 * A timed probe of one model, asked for over standard input, for probes.py.
 *
 *     probes MODEL INPUT THREADS PROBE [KEY=VALUE...]
 *
 * INPUT holds one image's input, raw floats; asked for is the class whose logit is
 * lowest there, so that nothing is found early and nothing is done with what was found.
 * Once the model is open says {"ready": ...}. Then it obeys lines:
 *
 *     run N    N probes: [milliseconds, ...]
 *     values   of the last: {"forwards", "backwards", "linf", "margin", "flipped",
 * "before"}
 *
 * and ends with its input. What a probe needs beyond the model, runs and their memory,
 * is laid out within its time.
 */
#include <stdio.h>
#include <stdlib.h>

#include "saliscope/clock.h"
#include "saliscope/probe.h"
#include "saliscope/run.h"
#include "turns.h"

struct bench {
    struct sal_pool *pool;
    struct sal_model *model;
    const struct sal_probe *probe;
    struct sal_params params;
    float *x;
    int class_index;
    struct sal_probe_answer answer;
};

/* The class whose logit is lowest. */
static enum sal_status find_class(struct bench *bench, struct sal_error *err)
{
    struct sal_run *run = NULL;
    const struct sal_run_options options = {.pool = bench->pool};
    enum sal_status status = sal_run_open(&run, bench->model, &options, err);
    if (!status)
        status = sal_run_forward(run, bench->x, NULL, err);
    const struct sal_model_output *output = sal_model_output(bench->model);
    const sal_real *logits = status ? NULL : sal_run_value(run, output->value, NULL);
    for (int i = 1; logits && i < output->n; i++)
        if (logits[i] < logits[bench->class_index])
            bench->class_index = i;
    sal_run_close(run);
    return status;
}

static enum sal_status bench_open(struct bench *bench, char **arguments, int n,
                                  struct sal_error *err)
{
    enum sal_status status = sal_pool_open(&bench->pool, atoi(arguments[2]), err);
    struct sal_model_options options = {.pool = bench->pool};
    if (status ||
        (status = sal_model_open(&bench->model, arguments[0], &options, err)) ||
        (status = turns_input(bench->model, arguments[1], &bench->x, err)) ||
        (status = find_class(bench, err)))
        return status;
    bench->probe = sal_probe_find(arguments[3]);
    if (!bench->probe)
        return sal_fail(err, SAL_USAGE, "there is no probe '%s'", arguments[3]);
    sal_params_init(&bench->params, bench->probe->params);
    for (int i = 4; i < n && !status; i++)
        status = sal_params_set(&bench->params, bench->probe->params, arguments[i],
                                arguments[3], err);
    return status;
}

static void probe(void *context)
{
    struct bench *bench = context;
    struct sal_error err;
    struct sal_probe_question question = {.model = bench->model,
                                          .x = bench->x,
                                          .class_index = bench->class_index,
                                          .params = &bench->params,
                                          .pool = bench->pool};
    sal_probe_answer_release(&bench->answer);
    if (sal_probe_run(bench->probe, &question, &bench->answer, &err))
        turns_give_up(&err);
}

static void values(void *context)
{
    const struct bench *bench = context;
    const struct sal_probe_answer *a = &bench->answer;
    printf("{\"forwards\": %ld, \"backwards\": %ld, \"linf\": %.9g, \"margin\": %.9g, "
           "\"flipped\": %s, \"before\": %.9g}\n",
           a->forwards, a->backwards, a->distance.linf, a->best_margin,
           a->flipped ? "true" : "false", a->f_before);
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fputs("usage: probes MODEL INPUT THREADS PROBE [KEY=VALUE...]\n", stderr);
        return 2;
    }
    struct bench bench = {0};
    struct sal_error err;
    double begin = sal_seconds();
    if (bench_open(&bench, argv + 1, argc - 1, &err))
        turns_give_up(&err);
    printf("{\"ready\": %.6g}\n", (sal_seconds() - begin) * 1e3);
    turns_obey(&(struct turns){&bench, probe, values, NULL});
    sal_probe_answer_release(&bench.answer);
    sal_model_close(bench.model);
    sal_pool_close(bench.pool);
    free(bench.x);
    return 0;
}
