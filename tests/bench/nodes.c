/*
 * Where a model's time goes: milliseconds by operator, and the nodes that take most.
 *
 *     nodes MODEL [-b BATCH] [-t THREADS] [-n PASSES] [-g] [-v]
 *
 * The least of PASSES passes per node (default 10), in the graph that really runs; -g
 * times the backward of logit 0 too, -v lists every node. A node's multiply-adds, where
 * it counts them, are told as GFLOP/s.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "run_state.h"
#include "saliscope/model.h"
#include "saliscope/run.h"

enum { TOP = 24 };

struct timing {
    int node;
    bool backward;
    double ms, macs;
};

struct total {
    const char *op;
    bool backward;
    int n;
    double ms, macs;
};

struct options {
    const char *path;
    int batch, threads, passes;
    bool gradient, verbose;
};

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static _Noreturn void give_up(const struct sal_error *err)
{
    fprintf(stderr, "nodes: %s\n", err->text);
    exit(1);
}

static void *need(void *memory)
{
    if (!memory) {
        fprintf(stderr, "nodes: no memory\n");
        exit(1);
    }
    return memory;
}

/* ---- timing ---------------------------------------------------------------------- */

static void time_node(struct sal_run *run, struct timing *timing)
{
    double start = now_ms();
    sal_run_node(run, timing->node, timing->backward);
    double ms = now_ms() - start;
    if (ms < timing->ms)
        timing->ms = ms;
}

/* One per node and direction, in the order in which they run. */
static int list_nodes(const struct sal_run *run, bool gradient, struct timing *timings)
{
    const struct sal_graph *graph = run->graph;
    int n = 0;
    for (int i = 0; i < graph->n_nodes; i++) {
        struct sal_kernel kernel = sal_binding_kernel(&run->bindings[i], run->pool);
        const struct sal_op *op = graph->nodes[i].op;
        timings[n++] = (struct timing){
            .node = i, .ms = 1e9, .macs = op->macs ? op->macs(&kernel) : 0};
    }
    for (int i = graph->n_nodes - 1; gradient && i >= 0; i--)
        if (run->back.takes_part[i]) {
            timings[n] = timings[i];
            timings[n++].backward = true;
        }
    return n;
}

static double least_pass(struct sal_run *run, const struct options *options,
                         const sal_real *x, int input, int score, bool backward)
{
    struct sal_error err;
    double least = 1e9;
    for (int i = 0; i < options->passes; i++) {
        double start = now_ms();
        enum sal_status status =
            backward ? sal_run_backward(run, score, 0, &input, 1, NULL, &err)
                     : sal_run_forward(run, x, NULL, &err);
        if (status)
            give_up(&err);
        double ms = now_ms() - start;
        least = ms < least ? ms : least;
    }
    return least;
}

/* ---- what is printed ------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
    const struct timing *x = a, *y = b;
    return (x->ms < y->ms) - (x->ms > y->ms);
}

static int totals_by_time(const void *a, const void *b)
{
    const struct total *x = a, *y = b;
    return (x->ms < y->ms) - (x->ms > y->ms);
}

static void print_rate(double macs, double ms)
{
    if (macs > 0 && ms > 0)
        printf(" %7.1f GF/s", 2e-6 * macs / ms);
    else
        printf(" %12s", "");
}

static void print_totals(const struct sal_graph *graph, const struct timing *timings, int n)
{
    struct total *totals = need(calloc((size_t)n, sizeof(*totals)));
    int kinds = 0;
    double sum = 0;
    for (int i = 0; i < n; i++) {
        const char *op = graph->nodes[timings[i].node].op->name;
        int at = 0;
        while (at < kinds && (strcmp(totals[at].op, op) != 0 ||
                              totals[at].backward != timings[i].backward))
            at++;
        if (at == kinds)
            totals[kinds++] = (struct total){.op = op, .backward = timings[i].backward};
        totals[at].n++;
        totals[at].ms += timings[i].ms;
        totals[at].macs += timings[i].macs;
        sum += timings[i].ms;
    }
    qsort(totals, (size_t)kinds, sizeof(*totals), totals_by_time);
    for (int i = 0; i < kinds; i++) {
        const struct total *t = &totals[i];
        printf("%-24s %-8s %4d %9.3f ms %5.1f %%", t->op, t->backward ? "backward" : "",
               t->n, t->ms, 100 * t->ms / sum);
        print_rate(t->macs, t->ms);
        printf("\n");
    }
    printf("%-38s %9.3f ms\n", "sum", sum);
    free(totals);
}

static void print_shapes(const struct sal_run *run, const struct sal_node *node)
{
    char text[96];
    for (int i = 0; i < node->n_in && i < 3; i++)
        if (node->in[i] >= 0)
            printf(" %s", sal_shape_text(&run->tensors[node->in[i]].shape, text,
                                         sizeof(text)));
    if (node->n_out && node->out[0] >= 0)
        printf(" -> %s", sal_shape_text(&run->tensors[node->out[0]].shape, text,
                                        sizeof(text)));
}

static void print_nodes(const struct sal_run *run, const struct timing *timings, int n)
{
    for (int i = 0; i < n; i++) {
        const struct sal_node *node = &run->graph->nodes[timings[i].node];
        printf("%9.3f ms", timings[i].ms);
        print_rate(timings[i].macs, timings[i].ms);
        printf("  %s%s", node->op->name, timings[i].backward ? " backward" : "");
        print_shapes(run, node);
        printf("  %s\n", node->name);
    }
}

/* ---- the whole ------------------------------------------------------------------- */

static void report(struct sal_run *run, const struct sal_model *model,
                   const struct options *options)
{
    const struct sal_graph *graph = run->graph;
    const struct sal_model_input *in = sal_model_input(model);
    int64_t n_x = (int64_t)in->channels * in->height * in->width * options->batch;
    sal_real *x = need(calloc((size_t)n_x, sizeof(*x)));
    for (int64_t i = 0; i < n_x; i++)
        x[i] = (sal_real)(i * 2654435761 % 4096) / 2048 - 1;
    int score = sal_model_output(model)->value;
    double forward = least_pass(run, options, x, in->value, score, false), backward = 0;
    if (options->gradient)
        backward = least_pass(run, options, x, in->value, score, true);
    struct timing *timings = need(calloc(2 * (size_t)graph->n_nodes, sizeof(*timings)));
    int n = list_nodes(run, options->gradient, timings);
    for (int pass = 0; pass < options->passes; pass++)
        for (int i = 0; i < n; i++)
            time_node(run, &timings[i]);
    print_totals(graph, timings, n);
    printf("%-38s %9.3f ms\n", "whole forward", forward);
    if (options->gradient)
        printf("%-38s %9.3f ms\n", "whole backward", backward);
    printf("\n");
    if (!options->verbose)
        qsort(timings, (size_t)n, sizeof(*timings), by_time);
    print_nodes(run, timings, options->verbose || n < TOP ? n : TOP);
    free(timings);
    free(x);
}

static bool parse(struct options *options, int argc, char **argv)
{
    *options = (struct options){.batch = 1, .threads = 2, .passes = 10};
    for (int i = 1; i < argc; i++) {
        int *number = strcmp(argv[i], "-b") == 0   ? &options->batch
                      : strcmp(argv[i], "-t") == 0 ? &options->threads
                      : strcmp(argv[i], "-n") == 0 ? &options->passes
                                                   : NULL;
        if (number && i + 1 < argc)
            *number = atoi(argv[++i]);
        else if (strcmp(argv[i], "-g") == 0)
            options->gradient = true;
        else if (strcmp(argv[i], "-v") == 0)
            options->verbose = true;
        else if (!options->path && *argv[i] != '-')
            options->path = argv[i];
        else
            return false;
    }
    return options->path && options->batch > 0 && options->passes > 0;
}

int main(int argc, char **argv)
{
    struct options options;
    struct sal_error err;
    struct sal_pool *pool;
    struct sal_model *model;
    struct sal_run *run;
    if (!parse(&options, argc, argv)) {
        fprintf(stderr,
                "usage: nodes MODEL [-b BATCH] [-t THREADS] [-n PASSES] [-g] [-v]\n");
        return 2;
    }
    if (sal_pool_open(&pool, options.threads, &err) ||
        sal_model_open(&model, options.path, &(struct sal_model_options){.pool = pool},
                       &err) ||
        sal_run_open(&run, model,
                     &(struct sal_run_options){.batch = options.batch,
                                               .gradient = options.gradient,
                                               .pool = pool},
                     &err))
        give_up(&err);
    report(run, model, &options);
    sal_run_close(run);
    sal_model_close(model);
    sal_pool_close(pool);
    return 0;
}
