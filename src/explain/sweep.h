/*
 * A sweep: many inputs through one kept run, a batch at a time.
 *
 * The method makes input number i when it is due and takes its score (and gradient)
 * when it is there; never more than a batch is in memory. What is taken comes in the
 * order of i, so that sums are the same bits for any batch and any number of threads.
 */
#ifndef SALISCOPE_EXPLAIN_SWEEP_H
#define SALISCOPE_EXPLAIN_SWEEP_H

#include "probes.h"

struct sal_sweep {
    int64_t n;     /* inputs, or with `another` the most of them */
    bool gradient; /* take wants d score / d x */
    bool local;    /* inputs differ from the question's image in small places: they are
                      computed in boxes (region.h) where that saves anything. Not with
                      gradient or from */
    bool sums;     /* the map is sums over all inputs, whose errors mix: more probes */
    double trim;   /* of boxes, see sal_region_options; then there are probes */
    int from;      /* the value that x stands for: passes start there, and what comes
                      around it is of the question's image; 0: the model's input */
    void *context;
    /* Writes input i; several threads may be in it at once. */
    void (*make)(const void *context, int64_t i, sal_real *x);
    /* gradient: in the layout of x, NULL where none was asked for; of this call only. */
    void (*take)(void *context, int64_t i, double score, const sal_real *gradient);
    /* Not NULL: asked before each pass, in one thread, whether there is another input; it may
     * choose it by what was taken. The question's batch is to be 1 then. */
    bool (*another)(void *context, int64_t done);
    /* The map of what was taken so far, its arrays made; NULL: the method has none to show
     * before it is done. map has what the method set before the sweep. */
    enum sal_status (*preview)(void *context, const struct sal_sweep *sweep,
                               struct sal_map *map, struct sal_error *err);
    int64_t done; /* inputs taken so far; also after a failure */
    double share; /* multiply-adds of an input's pass as part of a whole one's; 1 but where it
                     was computed in boxes */
    struct sal_probes probes; /* of a question in bf16, or with trim, that is answered, in part
                                 at least: some inputs in f32, untrimmed */
};

/* Runs all n, in the question's precision, and counts them in map->forwards and backwards,
 * probes too. The question's batch is
 * obeyed as far as the model can be batched and memory allows. SAL_CANCELLED leaves
 * what was taken. */
enum sal_status sal_sweep_run(struct sal_sweep *sweep, const struct sal_question *question,
                              struct sal_map *map, struct sal_error *err);

/* Place number i of 0..n-1 in an order that is everywhere a little at first, so that
 * the part of a sweep that was done before it was stopped stands for the whole. */
int64_t sal_sweep_scatter(int64_t i, int64_t n);

#endif
