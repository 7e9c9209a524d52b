/* The scores of all classes for the inputs of the last sweep, and what they are scores of. */
#include "tally.h"

#include <stdlib.h>
#include <string.h>

#include "methods.h"

enum { KEPT_MAX = 256 << 20 }; /* bytes of scores; a longer sweep is not kept */

struct sal_tally {
    const struct sal_method *method; /* of what is kept, NULL: nothing */
    struct sal_params params;
    int layer;
    uint64_t seed;
    bool exact;
    enum sal_precision precision;
    sal_real *x; /* the image */
    int turn; /* sweeps of this explanation so far */
    int64_t n, done;
    int each;         /* scores of an input */
    double share;     /* see sal_sweep */
    sal_real *scores; /* [n][each], the first `done` are there */
};

struct sal_tally *sal_tally_open(void)
{
    return calloc(1, sizeof(struct sal_tally));
}

static void forget(struct sal_tally *tally)
{
    free(tally->x);
    free(tally->scores);
    *tally = (struct sal_tally){0};
}

void sal_tally_close(struct sal_tally *tally)
{
    if (tally)
        forget(tally);
    free(tally);
}

/* ---- whose scores these are ---------------------------------------------------------- */

static bool same_params(const struct sal_method *method, const struct sal_params *a,
                        const struct sal_params *b)
{
    for (int i = 0; method->params && method->params[i].name; i++)
        if (!(a->value[i] == b->value[i]))
            return false;
    return true;
}

static size_t image_size(const struct sal_question *question)
{
    return (size_t)sal_input_elements(question->model) * sizeof(sal_real);
}

static bool is_of(const struct sal_tally *tally, const struct sal_method *method,
                  const struct sal_question *question)
{
    return tally->method == method && tally->layer == question->layer &&
           tally->seed == question->seed && tally->exact == question->exact &&
           tally->precision == question->precision &&
           same_params(method, &tally->params, question->params) &&
           memcmp(tally->x, question->x, image_size(question)) == 0;
}

void sal_tally_begin(struct sal_tally *tally, const struct sal_method *method,
                     const struct sal_question *question)
{
    tally->turn = 0;
    if (tally->method && is_of(tally, method, question))
        return;
    forget(tally);
    tally->x = malloc(image_size(question));
    if (!tally->x)
        return;
    memcpy(tally->x, question->x, image_size(question));
    tally->method = method;
    tally->params = *question->params;
    tally->layer = question->layer;
    tally->seed = question->seed;
    tally->exact = question->exact;
    tally->precision = question->precision;
}

/* ---- scores ---------------------------------------------------------------------------- */

bool sal_tally_fits(struct sal_tally *tally, int64_t n, int each)
{
    if (!tally->method || tally->turn++ > 0)
        return false;
    if (tally->scores && tally->n == n && tally->each == each)
        return true;
    free(tally->scores);
    tally->scores = NULL;
    tally->done = 0;
    if (n > (int64_t)(KEPT_MAX / sizeof(sal_real)) / each)
        return false;
    tally->scores = malloc((size_t)n * (size_t)each * sizeof(*tally->scores));
    tally->n = n;
    tally->each = each;
    return tally->scores;
}

int64_t sal_tally_done(const struct sal_tally *tally, double *share)
{
    *share = tally->share;
    return tally->done;
}

const sal_real *sal_tally_scores(const struct sal_tally *tally, int64_t i)
{
    return tally->scores + i * tally->each;
}

void sal_tally_share(struct sal_tally *tally, double share)
{
    tally->share = share;
}

void sal_tally_add(struct sal_tally *tally, const sal_real *scores)
{
    memcpy(tally->scores + tally->done * tally->each, scores,
           (size_t)tally->each * sizeof(*scores));
    tally->done++;
}
