#include "shelf.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lanes.h"
#include "run_state.h"

struct sal_shelf {
    pthread_mutex_t lock;
    size_t most;
    struct sal_run *runs[SAL_SHELF_RUNS]; /* the last that came first */
    int n;
};

struct sal_shelf *sal_shelf_open(size_t most)
{
    struct sal_shelf *shelf = calloc(1, sizeof(*shelf));
    if (!shelf)
        return NULL;
    shelf->most = most < SAL_SHELF_MEMORY ? most : SAL_SHELF_MEMORY;
    pthread_mutex_init(&shelf->lock, NULL);
    return shelf;
}

void sal_shelf_close(struct sal_shelf *shelf)
{
    if (!shelf)
        return;
    for (int i = 0; i < shelf->n; i++)
        sal_run_free(shelf->runs[i]);
    pthread_mutex_destroy(&shelf->lock);
    free(shelf);
}

/* ---- the same question ------------------------------------------------------------------ */

static bool same_ids(const int *a, int n_a, const int *b, int n_b)
{
    return n_a == n_b && (n_a == 0 || memcmp(a, b, sizeof(*a) * (size_t)n_a) == 0);
}

static bool same_rules(const struct sal_lrp *a, const struct sal_lrp *b)
{
    return a == b || (a && b && memcmp(a, b, sizeof(*a)) == 0);
}

static int batch_of(const struct sal_run_options *options)
{
    return options->batch > 1 ? options->batch : 1;
}

static bool same(const struct sal_run_options *a, const struct sal_run_options *b)
{
    return batch_of(a) == batch_of(b) && a->gradient == b->gradient &&
           same_ids(a->keep, a->n_keep, b->keep, b->n_keep) &&
           same_ids(a->wrt, a->n_wrt, b->wrt, b->n_wrt) && a->from == b->from &&
           a->memory == b->memory && a->exact == b->exact && a->plain == b->plain &&
           a->propagation == b->propagation && same_rules(a->lrp, b->lrp) &&
           a->precision == b->precision;
}

/* ---- coming and going ------------------------------------------------------------------- */

static size_t size_of(const struct sal_run *run)
{
    return run->memory.size + run->scratch.size;
}

static size_t size_of_all(const struct sal_shelf *shelf)
{
    size_t sum = 0;
    for (int i = 0; i < shelf->n; i++)
        sum += size_of(shelf->runs[i]);
    return sum;
}

static struct sal_run *remove_at(struct sal_shelf *shelf, int i)
{
    struct sal_run *run = shelf->runs[i];
    shelf->n--;
    memmove(shelf->runs + i, shelf->runs + i + 1,
            sizeof(*shelf->runs) * (size_t)(shelf->n - i));
    return run;
}

struct sal_run *sal_shelf_take(struct sal_shelf *shelf, const struct sal_run_options *options)
{
    struct sal_run *run = NULL;
    pthread_mutex_lock(&shelf->lock);
    for (int i = 0; i < shelf->n && !run; i++)
        if (shelf->runs[i]->lanes == sal_lanes() && same(&shelf->runs[i]->asked, options))
            run = remove_at(shelf, i);
    pthread_mutex_unlock(&shelf->lock);
    return run;
}

void sal_shelf_give(struct sal_shelf *shelf, struct sal_run *run)
{
    struct sal_run *leaves[SAL_SHELF_RUNS];
    int n = 0;
    if (!run->forward_done || size_of(run) > shelf->most) {
        sal_run_free(run);
        return;
    }
    pthread_mutex_lock(&shelf->lock);
    while (shelf->n == SAL_SHELF_RUNS ||
           (shelf->n && size_of_all(shelf) > shelf->most - size_of(run)))
        leaves[n++] = remove_at(shelf, shelf->n - 1);
    memmove(shelf->runs + 1, shelf->runs, sizeof(*shelf->runs) * (size_t)shelf->n);
    shelf->runs[0] = run;
    shelf->n++;
    pthread_mutex_unlock(&shelf->lock);
    while (n > 0)
        sal_run_free(leaves[--n]);
}

size_t sal_shelf_memory(struct sal_shelf *shelf)
{
    pthread_mutex_lock(&shelf->lock);
    size_t sum = size_of_all(shelf);
    pthread_mutex_unlock(&shelf->lock);
    return sum;
}

int sal_shelf_count(struct sal_shelf *shelf)
{
    pthread_mutex_lock(&shelf->lock);
    int n = shelf->n;
    pthread_mutex_unlock(&shelf->lock);
    return n;
}
