/*
 * Timed explanations of one model, asked for over standard input, for explanations.py.
 *
 *     maps MODEL INPUT THREADS METHOD [KEY=VALUE...]
 *
 * INPUT holds one image's input, raw floats; class 0 is explained. Once the model is open
 * says {"ready": ...}. Then it obeys lines:
 *
 *     run N    N explanations: [milliseconds, ...]
 *     values   of the last: {"map": [...], thinned, "forwards": ..., "checks": {...}}
 *
 * and ends with its input. What an explanation needs beyond the model, runs and their
 * memory, is laid out within its time, but for runs that rest with the model.
 */
#include <stdio.h>
#include <stdlib.h>

#include "saliscope/clock.h"
#include "saliscope/explain.h"
#include "turns.h"

enum { SHOWN_MAX = 256 }; /* values of a map that are told */

struct bench {
    struct sal_pool *pool;
    struct sal_model *model;
    const struct sal_method *method;
    struct sal_params params;
    float *x;
    struct sal_map map;
};

static enum sal_status bench_open(struct bench *bench, char **arguments, int n,
                                  struct sal_error *err)
{
    enum sal_status status = sal_pool_open(&bench->pool, atoi(arguments[2]), err);
    struct sal_model_options options = {.pool = bench->pool};
    if (status || (status = sal_model_open(&bench->model, arguments[0], &options, err)) ||
        (status = turns_input(bench->model, arguments[1], &bench->x, err)))
        return status;
    bench->method = sal_method_find(arguments[3]);
    if (!bench->method)
        return sal_fail(err, SAL_USAGE, "there is no method '%s'", arguments[3]);
    sal_params_init(&bench->params, bench->method->params);
    for (int i = 4; i < n && !status; i++)
        status = sal_params_set(&bench->params, bench->method->params, arguments[i],
                                arguments[3], err);
    return status;
}

static void explain(void *context)
{
    struct bench *bench = context;
    struct sal_error err;
    struct sal_question question = {.model = bench->model,
                                    .x = bench->x,
                                    .layer = -1,
                                    .params = &bench->params,
                                    .pool = bench->pool};
    sal_map_release(&bench->map);
    if (sal_explain(bench->method, &question, &bench->map, &err))
        turns_give_up(&err);
}

static void values(void *context)
{
    const struct bench *bench = context;
    const struct sal_map *map = &bench->map;
    long n = (long)map->width * map->height, step = n / SHOWN_MAX + 1;
    printf("{\"map\": [");
    for (long i = 0; i < n; i += step)
        printf("%s%.9g", i ? ", " : "", (double)map->values[i]);
    printf("], \"forwards\": %ld, \"score\": %.9g, \"checks\": {", map->forwards, map->score);
    for (int i = 0; i < map->n_checks; i++)
        printf("%s\"%s\": %.9g", i ? ", " : "", map->checks[i].name, map->checks[i].value);
    puts("}}");
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fputs("usage: maps MODEL INPUT THREADS METHOD [KEY=VALUE...]\n", stderr);
        return 2;
    }
    struct bench bench = {0};
    struct sal_error err;
    double begin = sal_seconds();
    if (bench_open(&bench, argv + 1, argc - 1, &err))
        turns_give_up(&err);
    printf("{\"ready\": %.6g}\n", (sal_seconds() - begin) * 1e3);
    turns_obey(&(struct turns){&bench, explain, values, NULL});
    sal_map_release(&bench.map);
    sal_model_close(bench.model);
    sal_pool_close(bench.pool);
    free(bench.x);
    return 0;
}
