#include "propagated.h"

#include <stdlib.h>

static double score_of(const struct sal_question *question, const struct sal_run *run)
{
    int score = sal_model_output(question->model)->value;
    return (double)sal_run_value(run, score, NULL)[question->class_index];
}

/* What is equal must stay equal, or rounding decides where maxima lie: of a reference,
 * which is even as a rule, and of even parts of an image. Winograd's algorithm rounds by
 * place. */
static enum sal_status open_run(const struct sal_propagated *p,
                                const struct sal_question *question, struct sal_run **run,
                                struct sal_error *err)
{
    int input = sal_model_input(question->model)->value;
    return sal_run_open(run, question->model,
                        &(struct sal_run_options){.gradient = true,
                                                  .wrt = &input,
                                                  .n_wrt = 1,
                                                  .propagation = p->propagation,
                                                  .lrp = p->lrp,
                                                  .exact = question->exact || p->lrp ||
                                                           p->reference,
                                                  .pool = question->pool},
                        err);
}

static enum sal_status refer(struct sal_propagated *p, const struct sal_question *question,
                             struct sal_run *run, struct sal_run **reference,
                             struct sal_error *err)
{
    if (!p->reference)
        return SAL_OK;
    enum sal_status status = open_run(p, question, reference, err);
    if (!status)
        status = sal_run_forward(*reference, p->reference, question->job, err);
    if (status)
        return status;
    sal_job_step(question->job, 1);
    p->reference_score = score_of(question, *reference);
    return sal_run_compare(run, *reference, err);
}

static enum sal_status pass(struct sal_propagated *p, const struct sal_question *question,
                            struct sal_run *run, struct sal_error *err)
{
    int input = sal_model_input(question->model)->value;
    int score = sal_model_output(question->model)->value;
    enum sal_status status = sal_run_forward(run, question->x, question->job, err);
    if (status)
        return status;
    sal_job_step(question->job, 1);
    p->score = score_of(question, run);
    p->ruled = sal_run_ruled(run);
    status = sal_run_backward(run, score, question->class_index, &input, 1, question->job,
                              err);
    if (status)
        return status;
    sal_job_step(question->job, 1);
    const sal_real *gradient = sal_run_gradient(run, input);
    for (int64_t i = 0; i < sal_input_elements(question->model); i++)
        p->values[i] = (double)gradient[i];
    return SAL_OK;
}

enum sal_status sal_propagated_run(struct sal_propagated *p,
                                   const struct sal_question *question, struct sal_map *map,
                                   struct sal_error *err)
{
    struct sal_run *run = NULL, *reference = NULL;
    sal_job_begin(question->job, p->reference ? 3 : 2);
    p->values = calloc((size_t)sal_input_elements(question->model), sizeof(*p->values));
    enum sal_status status = p->values ? open_run(p, question, &run, err)
                                       : sal_fail(err, SAL_LIMIT, "no memory for a map");
    if (!status)
        status = refer(p, question, run, &reference, err);
    if (!status)
        status = pass(p, question, run, err);
    if (!status) {
        map->forwards += sal_run_forwards(run) + (reference ? sal_run_forwards(reference) : 0);
        map->backwards += sal_run_backwards(run);
        map->score = p->score;
    }
    sal_run_close(run);
    sal_run_close(reference);
    return status;
}
