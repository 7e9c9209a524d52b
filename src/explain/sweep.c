#include "sweep.h"

#include <stdlib.h>

#include "methods.h"

enum { BATCH_MIN = 4, BATCH_MAX = 8 };

/* One attempt at a sweep with a certain batch. */
struct attempt {
    struct sal_sweep *sweep;
    const struct sal_question *question;
    struct sal_run *run;
    int batch;
    int start;        /* the value that inputs are for */
    int64_t elements; /* of one of them */
    sal_real *x;      /* batch inputs */
    double *scores;   /* of all inputs taken; NULL: nobody asks */
};

/* ---- the batch ---------------------------------------------------------------------- */

/* The one that leaves the fewest places of the last batch empty. */
static int fitting_batch(int64_t n)
{
    int best = BATCH_MAX;
    for (int b = BATCH_MAX - 1; b >= BATCH_MIN; b--)
        if ((n + b - 1) / b * b < (n + best - 1) / best * best)
            best = b;
    return best;
}

static int choose_batch(const struct sal_sweep *sweep, const struct sal_question *question)
{
    int batch = question->batch > 0 ? question->batch : fitting_batch(sweep->n);
    if (batch > sweep->n)
        batch = (int)sweep->n;
    return sal_model_shares_scales(question->model) ? 1 : batch;
}

/* ---- one pass ------------------------------------------------------------------------- */

struct making {
    const struct attempt *attempt;
    int64_t first;
};

static void make_one(void *context, int tile, int worker)
{
    (void)worker;
    const struct making *making = context;
    const struct attempt *a = making->attempt;
    a->sweep->make(a->sweep->context, making->first + tile, a->x + tile * a->elements);
}

static void take_all(const struct attempt *a, int64_t first, int n)
{
    const struct sal_model *model = a->question->model;
    struct sal_shape shape;
    const sal_real *scores = sal_run_value(a->run, sal_model_output(model)->value, &shape);
    const sal_real *gradient =
        a->sweep->gradient ? sal_run_gradient(a->run, a->start) : NULL;
    int64_t each = sal_shape_count(&shape) / a->batch;
    for (int i = 0; i < n; i++)
        a->sweep->take(a->sweep->context, first + i,
                       (double)scores[i * each + a->question->class_index],
                       gradient ? gradient + i * a->elements : NULL);
    for (int i = 0; i < n && a->scores; i++)
        a->scores[first + i] = (double)scores[i * each + a->question->class_index];
    a->sweep->done += n;
}

static enum sal_status pass(const struct attempt *a, struct sal_error *err)
{
    const struct sal_question *question = a->question;
    struct making making = {a, a->sweep->done};
    int64_t left = a->sweep->n - a->sweep->done;
    int n = left < a->batch ? (int)left : a->batch;
    sal_pool_run(question->pool, n, make_one, &making);
    enum sal_status status = sal_run_forward(a->run, a->x, question->job, err);
    if (!status && a->sweep->gradient)
        status = sal_run_backward(a->run, sal_model_output(question->model)->value,
                                  question->class_index, &a->start, 1, question->job,
                                  err);
    if (status)
        return status;
    take_all(a, making.first, n);
    sal_job_step(question->job, 1);
    return SAL_OK;
}

/* ---- the sweep ------------------------------------------------------------------------- */

static enum sal_status open_attempt(struct attempt *a, struct sal_error *err)
{
    const struct sal_model *model = a->question->model;
    a->start = a->sweep->from ? a->sweep->from : sal_model_input(model)->value;
    struct sal_model_value start = sal_model_value(model, a->start);
    a->elements = sal_shape_count(&start.shape);
    a->x = calloc((size_t)a->batch * (size_t)a->elements, sizeof(*a->x));
    if (!a->x)
        return sal_fail(err, SAL_LIMIT, "no memory for %d inputs", a->batch);
    enum sal_status status = sal_run_open(&a->run, model,
                                          &(struct sal_run_options){
                                              .batch = a->batch,
                                              .gradient = a->sweep->gradient,
                                              .from = a->sweep->from,
                                              .exact = a->question->exact,
                                              .precision = a->question->precision,
                                              .pool = a->question->pool},
                                          err);
    return status ? status : sal_run_around(a->run, a->question->x, a->question->job, err);
}

/* *smaller: a smaller batch may do better. */
static enum sal_status try_batch(struct attempt *a, bool *smaller, struct sal_error *err)
{
    enum sal_status status = open_attempt(a, err);
    *smaller = status && status != SAL_CANCELLED && a->batch > 1;
    if (!status) {
        sal_job_begin(a->question->job, (unsigned)((a->sweep->n + a->batch - 1) / a->batch));
        while (!status && a->sweep->done < a->sweep->n)
            status = pass(a, err);
        *smaller = status == SAL_LIMIT && a->batch > 1 && a->sweep->done == 0;
    }
    sal_run_close(a->run);
    free(a->x);
    return status;
}

/* With the largest batch that there is memory for. */
static enum sal_status run_all(struct sal_sweep *sweep, const struct sal_question *question,
                               double *scores, struct sal_error *err)
{
    int batch = choose_batch(sweep, question);
    bool smaller = true;
    enum sal_status status = SAL_OK;
    for (sweep->done = 0; smaller; batch /= 2) {
        struct attempt a = {
            .sweep = sweep, .question = question, .batch = batch, .scores = scores};
        status = try_batch(&a, &smaller, err);
    }
    return status;
}

/* ---- probes ---------------------------------------------------------------------------- */

static void make_probe(const void *context, int64_t i, sal_real *x)
{
    const struct sal_sweep *sweep = context;
    sweep->make(sweep->context, sweep->probes.at[i], x);
}

static void take_probe(void *context, int64_t i, double score, const sal_real *gradient)
{
    (void)gradient;
    struct sal_sweep *sweep = context;
    sweep->probes.f32[i] = score;
}

/* Some of the inputs in f32; that is not cancelled. */
static enum sal_status run_probes(struct sal_sweep *sweep, const struct sal_question *question,
                                  const double *scores, struct sal_error *err)
{
    struct sal_question plain = *question;
    plain.precision = SAL_F32;
    plain.job = NULL;
    sal_probes_choose(&sweep->probes, SAL_PROBES_ENDS, scores, sweep->done);
    struct sal_sweep again = {.n = sweep->probes.n,
                              .context = sweep,
                              .make = make_probe,
                              .take = take_probe};
    return again.n ? run_all(&again, &plain, NULL, err) : SAL_OK;
}

/* A sweep that was stopped is told of, unless its probes fail. */
static enum sal_status run_narrow(struct sal_sweep *sweep, const struct sal_question *question,
                                  struct sal_error *err)
{
    double *scores = calloc((size_t)sweep->n, sizeof(*scores));
    if (!scores)
        return sal_fail(err, SAL_LIMIT, "no memory for %lld scores", (long long)sweep->n);
    struct sal_error fault;
    enum sal_status status = run_all(sweep, question, scores, err), probed = SAL_OK;
    if (!status || status == SAL_CANCELLED)
        probed = run_probes(sweep, question, scores, &fault);
    free(scores);
    return probed ? sal_fail(err, probed, "%s", fault.text) : status;
}

/* ---- all of it ------------------------------------------------------------------------- */

enum sal_status sal_sweep_run(struct sal_sweep *sweep, const struct sal_question *question,
                              struct sal_map *map, struct sal_error *err)
{
    enum sal_status status = question->precision == SAL_F32
                                 ? run_all(sweep, question, NULL, err)
                                 : run_narrow(sweep, question, err);
    map->forwards += sweep->done + sweep->probes.n;
    map->backwards += sweep->gradient ? sweep->done : 0;
    return status;
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    return b ? common_divisor(b, a % b) : a;
}

int64_t sal_sweep_scatter(int64_t i, int64_t n)
{
    int64_t step = (int64_t)((double)n * 0.6180339887498949);
    while (step < 1 || common_divisor(n, step) != 1)
        step++;
    return (i + 1) * step % n;
}
