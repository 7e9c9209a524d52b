#include <math.h>
#include <stdlib.h>

#include "cli.h"
#include "saliscope/bench.h"
#include "saliscope/text.h"

/* Without --runs: as many as fit into SECONDS, within these. */
enum { RUNS_LEAST = 5, RUNS_MOST = 1000, SECONDS = 3 };

/* Times of one kind of pass. */
struct series {
    double *ms; /* sorted once all are there */
    int n;
    double median;
};

struct bench {
    struct cli *cli;
    const char *model;
    int batch;
    enum sal_precision precision;
    struct series forward, gradient; /* gradient.n == 0: not asked for */
    struct sal_bench_machine machine;
    double gflops; /* of the forward */
};

/* ---- timing ------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool enough(const struct cli *cli, int n, double sum_ms)
{
    int runs = (int)option_number(&cli->options, OPT_RUNS, 0);
    if (runs)
        return n >= runs;
    return n >= RUNS_MOST || (n >= RUNS_LEAST && sum_ms >= SECONDS * 1e3);
}

static enum sal_status take_passes(struct cli *cli, struct sal_bench *bench,
                                   struct series *series, struct sal_error *err)
{
    double sum = 0;
    while (!enough(cli, series->n, sum)) {
        if (cli_interrupted())
            return sal_fail(err, SAL_CANCELLED, "cancelled");
        enum sal_status status = sal_bench_pass(bench, &series->ms[series->n], err);
        if (status)
            return status;
        sum += series->ms[series->n++];
    }
    return SAL_OK;
}

static enum sal_status measure(struct bench *bench, bool gradient,
                               struct series *series, struct sal_error *err)
{
    struct cli *cli = bench->cli;
    int most = (int)option_number(&cli->options, OPT_RUNS, RUNS_MOST);
    series->ms = calloc((size_t)most, sizeof(*series->ms));
    if (!series->ms)
        return sal_fail(err, SAL_LIMIT, "no memory for the times of %d runs", most);
    struct sal_bench *passes;
    enum sal_status status =
        sal_bench_open(&passes, cli->session, bench->batch, gradient, err);
    if (status)
        return status;
    status = take_passes(cli, passes, series, err);
    sal_bench_close(passes);
    if (status)
        return status;
    qsort(series->ms, (size_t)series->n, sizeof(*series->ms), by_value);
    series->median = (series->ms[(series->n - 1) / 2] + series->ms[series->n / 2]) / 2;
    return SAL_OK;
}

static enum sal_status measure_all(struct bench *bench, struct sal_error *err)
{
    struct cli *cli = bench->cli;
    double peak_before = sal_bench_machine(cli->session).peak_flops;
    enum sal_status status = measure(bench, false, &bench->forward, err);
    if (!status && option_given(&cli->options, OPT_GRADIENT))
        status = measure(bench, true, &bench->gradient, err);
    if (status)
        return status;
    double macs = sal_model_figures(sal_session_model(cli->session)).macs;
    bench->gflops = 2e-6 * macs * bench->batch / bench->forward.median;
    bench->machine = sal_bench_machine(cli->session);
    if (bench->machine.peak_flops < peak_before) /* others were at work */
        bench->machine.peak_flops = peak_before;
    return SAL_OK;
}

/* ---- telling ------------------------------------------------------------------ */

static void add_times(struct cli_table *table, const char *name,
                      const struct series *series)
{
    if (!series->n)
        return;
    cli_table_add(table, "%s", name);
    cli_table_add(table, "%.4g ms", series->median);
    cli_table_add(table, "median of %d, at best %.4g", series->n, series->ms[0]);
}

static void show(const struct bench *bench)
{
    const struct cli *cli = bench->cli;
    const struct sal_bench_machine *machine = &bench->machine;
    char clean[1024];
    printf("%s%s%s: batch %d, %d thread%s%s\n", cli_bold(cli),
           sal_text_clean(clean, sizeof(clean), bench->model), cli_plain(cli),
           bench->batch, machine->threads, machine->threads == 1 ? "" : "s",
           bench->precision == SAL_BF16 ? ", bf16" : "");
    struct cli_table table = {.align = "lrl"};
    add_times(&table, "forward", &bench->forward);
    add_times(&table, "forward and input gradient", &bench->gradient);
    cli_table_add(&table, "%s", "rate of the forward");
    cli_table_add(&table, "%.4g GFLOP/s", bench->gflops);
    cli_table_add(&table, "%.1f %% of the %.0f measured as this machine's peak",
                  bench->gflops * 1e11 / machine->peak_flops, machine->peak_flops * 1e-9);
    cli_table_add(&table, "%s", "peak memory");
    cli_table_add(&table, "%.1f MiB", machine->peak_mib);
    cli_table_add(&table, "%s", "");
    cli_table_print(&table, stdout, "  ");
}

static void write_times(struct sal_json *json, const char *key, const char *least,
                        const char *runs, const struct series *series)
{
    if (!series->n)
        return;
    sal_json_real(json, key, series->median);
    sal_json_real(json, least, series->ms[0]);
    sal_json_int(json, runs, series->n);
}

/* `threads` is in the head. */
static int print_document(const struct bench *bench)
{
    struct sal_buffer buffer = {0};
    struct sal_json json = {.out = &buffer};
    sal_json_object(&json, NULL);
    sal_session_record_head(bench->cli->session, &json);
    sal_json_int(&json, "batch", bench->batch);
    sal_json_text(&json, "precision", sal_precision_names[bench->precision]);
    write_times(&json, "forward_ms", "forward_min_ms", "runs", &bench->forward);
    write_times(&json, "gradient_ms", "gradient_min_ms", "gradient_runs",
                &bench->gradient);
    sal_json_real(&json, "gflops", bench->gflops);
    sal_json_real(&json, "peak_gflops", bench->machine.peak_flops * 1e-9);
    sal_json_real(&json, "peak_share", bench->gflops * 1e9 / bench->machine.peak_flops);
    sal_json_real(&json, "rss_mib", bench->machine.peak_mib);
    sal_json_end(&json);
    int status = cli_print_json(&json);
    sal_buffer_release(&buffer);
    return status;
}

int cmd_bench(struct cli *cli)
{
    const struct options *options = &cli->options;
    const char *model = option_text(options, OPT_MODEL, NULL);
    if (options->n_operands + (model ? 1 : 0) != 1)
        return cli_usage("bench needs one model: saliscope bench MODEL.onnx");
    struct bench bench = {.cli = cli,
                          .model = model ? model : options->operands[0],
                          .batch = (int)option_number(options, OPT_BATCH, 1)};
    bench.precision = (enum sal_precision)option_number(options, OPT_PRECISION, SAL_F32);
    if (bench.precision != SAL_F32 && option_given(options, OPT_GRADIENT))
        return cli_usage("--gradient and --precision bf16: gradients are computed in f32");
    cli_catch_signals(bench.model);
    struct sal_error err = {0};
    int status = 0;
    if (cli_open_session(cli, bench.model, &err) || measure_all(&bench, &err))
        status = cli_fail(&err);
    else if (cli->json)
        status = print_document(&bench);
    else
        show(&bench);
    free(bench.forward.ms);
    free(bench.gradient.ms);
    return status;
}
