#include "saliscope/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "saliscope/random.h"
#include "state.h"

struct sal_bench {
    struct sal_session *session;
    struct sal_run *run;
    bool gradient;
    sal_real *x;
};

static enum sal_status make_input(struct sal_bench *bench, int batch,
                                  struct sal_error *err)
{
    const struct sal_model_input *input = sal_model_input(bench->session->model);
    int64_t n = (int64_t)input->channels * input->height * input->width * batch;
    bench->x = calloc((size_t)n, sizeof(*bench->x));
    if (!bench->x)
        return sal_fail(err, SAL_LIMIT, "no memory for an input of batch %d", batch);
    uint64_t key = sal_random_key(bench->session->options.seed, 0);
    for (int64_t i = 0; i < n; i++) {
        double normals[2];
        sal_random_normals(key, (uint64_t)i, normals);
        bench->x[i] = (sal_real)normals[0];
    }
    return SAL_OK;
}

static enum sal_status pass(struct sal_bench *bench, struct sal_error *err)
{
    const struct sal_model *model = bench->session->model;
    const struct sal_model_output *output = sal_model_output(model);
    int input = sal_model_input(model)->value;
    enum sal_status status = sal_run_forward(bench->run, bench->x, NULL, err);
    if (status || !bench->gradient)
        return status;
    return sal_run_backward(bench->run, output->value,
                            output->chosen < 0 ? 0 : output->chosen, &input, 1, NULL,
                            err);
}

enum sal_status sal_bench_open(struct sal_bench **out, struct sal_session *session,
                               int batch, bool gradient, struct sal_error *err)
{
    struct sal_bench *bench = calloc(1, sizeof(*bench));
    if (!bench)
        return sal_fail(err, SAL_LIMIT, "no memory for a bench");
    *bench = (struct sal_bench){.session = session, .gradient = gradient};
    struct sal_run_options options = {.batch = batch,
                                      .gradient = gradient,
                                      .precision = session->options.precision,
                                      .memory = session->options.memory,
                                      .exact = session->options.exact,
                                      .pool = session->pool};
    enum sal_status status = sal_run_open(&bench->run, session->model, &options, err);
    if (!status)
        status = make_input(bench, batch, err);
    if (!status)
        status = pass(bench, err);
    if (status)
        sal_bench_close(bench);
    else
        *out = bench;
    return status;
}

void sal_bench_close(struct sal_bench *bench)
{
    if (!bench)
        return;
    sal_run_close(bench->run);
    free(bench->x);
    free(bench);
}

enum sal_status sal_bench_pass(struct sal_bench *bench, double *ms,
                               struct sal_error *err)
{
    double begin = sal_seconds();
    enum sal_status status = pass(bench, err);
    if (!status)
        *ms = (sal_seconds() - begin) * 1e3;
    return status;
}

/* Of this program alone; getrusage also knows what the process was before exec. */
static double peak_mib(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    double kib = -1;
    while (file && kib < 0 && fgets(line, sizeof(line), file))
        if (sscanf(line, "VmHWM: %lf", &kib) != 1)
            kib = -1;
    if (file)
        fclose(file);
    struct rusage usage;
    if (kib < 0 && getrusage(RUSAGE_SELF, &usage) == 0)
        kib = (double)usage.ru_maxrss;
    return kib / 1024;
}

struct sal_bench_machine sal_bench_machine(const struct sal_session *session)
{
    return (struct sal_bench_machine){.threads = sal_pool_threads(session->pool),
                                      .peak_flops = sal_peak_flops(session->pool),
                                      .peak_mib = peak_mib()};
}
