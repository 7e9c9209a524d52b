#include "sweep.h"

#include <math.h>
#include <stdlib.h>

#include "methods.h"
#include "saliscope/clock.h"
#include "saliscope/region.h"
#include "tally.h"

enum { BATCH_MIN = 4, BATCH_MAX = 8 };
enum { BOXES_MIN = 12, BOXES_MAX = 16, EXAMPLES = 64 }; /* batches of boxes; what they are like */

/* Boxes that leave more than this to be computed are not worth it. */
#define SHARE_MAX 0.9

/* Who looks on is shown a map this often, and for no more than a tenth of the time. */
#define SHOW_EVERY 0.3 /* seconds */

struct show {
    const struct sal_map *begun; /* the map as the method began it */
    double due;                  /* seconds */
    int64_t kept;                /* inputs that took no pass */
};

/* Who else wants what the sweep takes; each may be NULL. */
struct readers {
    double *scores;          /* of all inputs taken */
    struct sal_tally *tally; /* keeps those of all classes */
    struct show *show;
};

/* One attempt at a sweep with a certain batch. */
struct attempt {
    struct sal_sweep *sweep;
    const struct sal_question *question;
    struct sal_run *run;
    struct sal_region *region; /* one of both */
    bool boxes;                /* which */
    int batch;
    int start;        /* the value that inputs are for */
    int64_t elements; /* of one of them */
    sal_real *x;      /* batch inputs */
    struct readers also;
};

/* ---- the batch ---------------------------------------------------------------------- */

/* The one that leaves the fewest places of the last batch empty. */
static int fitting_batch(int64_t n, int least, int most)
{
    int best = most;
    for (int b = most - 1; b >= least; b--)
        if ((n + b - 1) / b * b < (n + best - 1) / best * best)
            best = b;
    return best;
}

static int choose_batch(const struct sal_sweep *sweep, const struct sal_question *question,
                        bool boxes)
{
    int batch = question->batch > 0 ? question->batch
                : boxes             ? fitting_batch(sweep->n, BOXES_MIN, BOXES_MAX)
                                    : fitting_batch(sweep->n, BATCH_MIN, BATCH_MAX);
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

static void take_one(const struct attempt *a, int64_t i, const sal_real *scores,
                     const sal_real *gradient)
{
    double score = (double)scores[a->question->class_index];
    a->sweep->take(a->sweep->context, i, score, gradient);
    if (a->also.scores)
        a->also.scores[i] = score;
}

static void take_all(const struct attempt *a, int64_t first, int n)
{
    const struct sal_model *model = a->question->model;
    struct sal_shape shape;
    const sal_real *scores =
        a->boxes ? sal_region_scores(a->region, &shape)
                 : sal_run_value(a->run, sal_model_output(model)->value, &shape);
    const sal_real *gradient =
        a->sweep->gradient ? sal_run_gradient(a->run, a->start) : NULL;
    int64_t each = sal_shape_count(&shape) / a->batch;
    for (int i = 0; i < n; i++) {
        if (a->also.tally)
            sal_tally_add(a->also.tally, scores + i * each);
        take_one(a, first + i, scores + i * each, gradient ? gradient + i * a->elements : NULL);
    }
    a->sweep->done += n;
}

static enum sal_status pass(const struct attempt *a, struct sal_error *err)
{
    const struct sal_question *question = a->question;
    struct making making = {a, a->sweep->done};
    int64_t left = a->sweep->n - a->sweep->done;
    int n = left < a->batch ? (int)left : a->batch;
    sal_pool_run(question->pool, n, make_one, &making);
    enum sal_status status =
        a->boxes ? sal_region_forward(a->region, a->x, n, question->job, err)
                 : sal_run_forward(a->run, a->x, question->job, err);
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

/* ---- looking on ----------------------------------------------------------------------- */

/* Of the inputs taken so far those that the tally had not. */
static int64_t passed(int64_t done, int64_t kept)
{
    return done > kept ? done - kept : 0;
}

static void show_some(const struct attempt *a)
{
    struct show *show = a->also.show;
    double begin = sal_seconds();
    if (!show || begin < show->due)
        return;
    struct sal_map map = *show->begun;
    map.values = map.grid = map.by_channel = NULL; /* its own, in case it has them */
    map.forwards += passed(a->sweep->done, show->kept);
    map.backwards += a->sweep->gradient ? a->sweep->done : 0;
    if (!a->sweep->preview(a->sweep->context, a->sweep, &map, NULL)) {
        map.partial = true;
        a->question->show(a->question->audience, &map);
    }
    sal_map_release(&map);
    double end = sal_seconds();
    show->due = end + fmax(SHOW_EVERY, 10 * (end - begin));
}

/* ---- the sweep ------------------------------------------------------------------------- */

static enum sal_status open_run(struct attempt *a, struct sal_error *err)
{
    enum sal_status status = sal_run_open(&a->run, a->question->model,
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

/* What changes in the first inputs, which stand for the others. */
static int look_at_examples(const struct attempt *a, struct sal_box *box)
{
    const struct sal_sweep *sweep = a->sweep;
    int n = sweep->n < EXAMPLES ? (int)sweep->n : EXAMPLES;
    for (int i = 0; i < n; i++) {
        sweep->make(sweep->context, i, a->x);
        box[i] = sal_box_of_change(a->question->model, a->question->x, a->x);
    }
    return n;
}

static enum sal_status open_region(struct attempt *a, struct sal_error *err)
{
    struct sal_box box[EXAMPLES];
    int n = look_at_examples(a, box);
    return sal_region_open(&a->region, a->question->model,
                           &(struct sal_region_options){.batch = a->batch,
                                                        .exact = a->question->exact,
                                                        .precision = a->question->precision,
                                                        .pool = a->question->pool,
                                                        .examples = box,
                                                        .n_examples = n,
                                                        .trim = a->sweep->trim,
                                                        .share_max = SHARE_MAX},
                           a->question->x, a->question->job, err);
}

static enum sal_status open_attempt(struct attempt *a, struct sal_error *err)
{
    const struct sal_model *model = a->question->model;
    a->start = a->sweep->from ? a->sweep->from : sal_model_input(model)->value;
    struct sal_model_value start = sal_model_value(model, a->start);
    a->elements = sal_shape_count(&start.shape);
    a->x = calloc((size_t)a->batch * (size_t)a->elements, sizeof(*a->x));
    if (!a->x)
        return sal_fail(err, SAL_LIMIT, "no memory for %d inputs", a->batch);
    enum sal_status status = a->boxes ? open_region(a, err) : open_run(a, err);
    a->sweep->share = !status && a->boxes ? sal_region_share(a->region) : 1;
    return status;
}

static unsigned passes_of(const struct attempt *a, int64_t inputs)
{
    return (unsigned)((inputs + a->batch - 1) / a->batch);
}

static bool is_over(const struct sal_sweep *sweep)
{
    return sweep->done == sweep->n ||
           (sweep->another && !sweep->another(sweep->context, sweep->done));
}

/* *smaller: a smaller batch may do better. */
static enum sal_status try_batch(struct attempt *a, bool *smaller, struct sal_error *err)
{
    enum sal_status status = open_attempt(a, err);
    *smaller = status && status != SAL_CANCELLED && a->batch > 1;
    if (!status) {
        int64_t before = a->sweep->done;
        unsigned all = passes_of(a, a->sweep->n);
        sal_job_begin(a->question->job, all); /* what was done before is done */
        sal_job_step(a->question->job, all - passes_of(a, a->sweep->n - before));
        while (!status && !is_over(a->sweep)) {
            status = pass(a, err);
            if (!status && a->sweep->done < a->sweep->n)
                show_some(a);
        }
        *smaller = status == SAL_LIMIT && a->batch > 1 && a->sweep->done == before;
    }
    if (a->region)
        a->sweep->share = sal_region_share(a->region);
    if (a->also.tally)
        sal_tally_share(a->also.tally, a->sweep->share);
    sal_run_close(a->run);
    sal_region_close(a->region);
    free(a->x);
    return status;
}

/* With the largest batch that there is memory for. */
static enum sal_status run_batches(struct sal_sweep *sweep,
                                   const struct sal_question *question, bool boxes,
                                   struct readers also, struct sal_error *err)
{
    int batch = choose_batch(sweep, question, boxes);
    bool smaller = true;
    enum sal_status status = SAL_OK;
    for (; smaller; batch /= 2) {
        struct attempt a = {.sweep = sweep,
                            .question = question,
                            .boxes = boxes,
                            .batch = batch,
                            .also = also};
        status = try_batch(&a, &smaller, err);
    }
    return status;
}

/* Takes what the tally has, which may be long without a single pass. */
static enum sal_status replay(struct sal_sweep *sweep, const struct sal_question *question,
                              struct readers also, struct sal_error *err)
{
    struct attempt a = {.sweep = sweep, .question = question, .also = also};
    int64_t n = sal_tally_done(also.tally, &sweep->share);
    while (sweep->done < n) {
        if (sal_job_cancelled(question->job))
            return sal_fail(err, SAL_CANCELLED, "cancelled");
        take_one(&a, sweep->done, sal_tally_scores(also.tally, sweep->done), NULL);
        if (++sweep->done < sweep->n)
            show_some(&a);
    }
    return SAL_OK;
}

/* In boxes, or else, where these save nothing or cannot be had, by whole forwards. What is
 * not finite is told by these. */
static enum sal_status run_all(struct sal_sweep *sweep, const struct sal_question *question,
                               struct readers also, struct sal_error *err)
{
    bool boxes = sweep->local && !sweep->gradient && !sweep->from &&
                 !sal_model_shares_scales(question->model);
    enum sal_status status = also.tally ? replay(sweep, question, also, err) : SAL_OK;
    int64_t before = sweep->done;
    if (status || before == sweep->n)
        return status;
    struct sal_error fault;
    status = boxes ? run_batches(sweep, question, true, also, &fault) : SAL_UNSUPPORTED;
    if (!status || status == SAL_CANCELLED || sweep->done > before)
        return status ? sal_fail(err, status, "%s", fault.text) : SAL_OK;
    return run_batches(sweep, question, false, also, err);
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

/* Some of the inputs in f32, untrimmed; that is not cancelled. */
static enum sal_status run_probes(struct sal_sweep *sweep, const struct sal_question *question,
                                  const double *scores, struct sal_error *err)
{
    struct sal_question plain = *question;
    plain.precision = SAL_F32;
    plain.job = NULL;
    bool many = sweep->trim > 0 || sweep->sums;
    sal_probes_choose(&sweep->probes, many ? SAL_PROBES_MANY : SAL_PROBES_ENDS, scores,
                      sweep->done);
    struct sal_sweep again = {.n = sweep->probes.n,
                              .context = sweep,
                              .make = make_probe,
                              .take = take_probe,
                              .local = sweep->local};
    return again.n ? run_all(&again, &plain, (struct readers){0}, err) : SAL_OK;
}

/* A sweep that was stopped is told of, unless its probes fail. */
static enum sal_status run_probed(struct sal_sweep *sweep, const struct sal_question *question,
                                  struct readers also, struct sal_error *err)
{
    double *scores = also.scores = calloc((size_t)sweep->n, sizeof(*scores));
    if (!scores)
        return sal_fail(err, SAL_LIMIT, "no memory for %lld scores", (long long)sweep->n);
    struct sal_error fault;
    enum sal_status status = run_all(sweep, question, also, err), probed = SAL_OK;
    if (!status || status == SAL_CANCELLED)
        probed = run_probes(sweep, question, scores, &fault);
    free(scores);
    return probed ? sal_fail(err, probed, "%s", fault.text) : status;
}

/* The question's, if it can keep this sweep. */
static struct sal_tally *tally_of(const struct sal_sweep *sweep,
                                  const struct sal_question *question)
{
    bool wanted = question->tally && !sweep->gradient;
    int each = sal_model_output(question->model)->n;
    return wanted && sal_tally_fits(question->tally, sweep->n, each) ? question->tally : NULL;
}

/* ---- all of it ------------------------------------------------------------------------- */

enum sal_status sal_sweep_run(struct sal_sweep *sweep, const struct sal_question *question,
                              struct sal_map *map, struct sal_error *err)
{
    bool exact = question->precision == SAL_F32 && !(sweep->trim > 0);
    struct show show = {.begun = map, .due = sal_seconds() + SHOW_EVERY};
    struct readers also = {.tally = tally_of(sweep, question),
                           .show = question->show && sweep->preview ? &show : NULL};
    double share;
    int64_t kept = also.tally ? sal_tally_done(also.tally, &share) : 0;
    show.kept = kept;
    sweep->done = 0;
    enum sal_status status = exact ? run_all(sweep, question, also, err)
                                   : run_probed(sweep, question, also, err);
    map->forwards += passed(sweep->done, kept) + sweep->probes.n;
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
