/*
 * A run: one user's forwards and backwards of a model.
 *
 * Owns activations, gradients and scratch, planned by lifetime and kept between
 * passes. Not shared between threads; any number of runs share a
 * model. Results are bit-identical for any number of threads and any batch on
 * the same binary and processor.
 */
#ifndef SALISCOPE_RUN_H
#define SALISCOPE_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "saliscope/job.h"
#include "saliscope/model.h"
#include "saliscope/propagation.h"
#include "saliscope/status.h"
#include "saliscope/tensor.h"

struct sal_run;

/* Of the weighed sums that take most of the time, where the processor gains by it: strided,
 * pointwise and large convolutions and linear layers read weights and activations rounded
 * to bf16 (8 bits of mantissa) and sum in f32. All else stays f32. */
enum sal_precision { SAL_F32, SAL_BF16 };

extern const char *const sal_precision_names[]; /* ends with NULL */

/* SAL_UNSUPPORTED says what the processor lacks. */
enum sal_status sal_precision_check(enum sal_precision precision, struct sal_error *err);

struct sal_run_options {
    int batch;        /* images per pass; 0 means 1 */
    bool gradient;    /* keep what a backward needs */
    const int *keep;  /* ids of values to be read after a forward, or to take a gradient
                         for or of */
    int n_keep;       /* the logits, the model's inputs and outputs are always kept */
    const int *wrt; /* ids of values that gradients will be taken for, kept ones or inputs:
                       what lies before all of them is computed as if there were no
                       gradient */
    int n_wrt;      /* 0: any kept value or input may be asked for */
    int from; /* id of the value that a forward starts at, by its own elements; 0: the
                 model's input, which has this id. Only what leads from there to the logits
                 is computed, and may be kept */
    size_t memory;    /* most bytes; 0: the model's limit */
    bool exact;       /* no algorithm that rounds more for speed (Winograd's) */
    bool plain;       /* node by node as the model says, nothing fused: slower */
    const struct sal_propagation *propagation; /* what stands in for gradients; NULL */
    const struct sal_lrp *lrp; /* of sal_propagation_lrp: to be given */
    enum sal_precision precision; /* of a run without gradient, neither exact nor plain */
    struct sal_pool *pool;
};

enum sal_status sal_run_open(struct sal_run **run, const struct sal_model *model,
                             const struct sal_run_options *options,
                             struct sal_error *err);

/* Before its model is closed. A small run whose last forward ended well rests with the model
 * (of them all at most 128 MiB and a quarter of the model's limit), and who opens one with
 * the same options has it again, as if it were new, without the cost of laying it out. */
void sal_run_close(struct sal_run *run);

/* For a run that starts behind the input: takes from image x, an input of its own, what
 * the logits need of it around the start (the other side of residual connections), for all
 * images of the following batches. To be called before the first forward and for every
 * other image; computes nothing where there is no such way around, or where the run starts
 * at the input. */
enum sal_status sal_run_around(struct sal_run *run, const sal_real *x, struct sal_job *job,
                               struct sal_error *err);

/* x: batch * elements of the input, or of options.from at batch 1. Stops with
 * SAL_CANCELLED between nodes. A logit that is not finite is SAL_BAD_INPUT and names the
 * first node that made one. */
enum sal_status sal_run_forward(struct sal_run *run, const sal_real *x,
                                struct sal_job *job, struct sal_error *err);

/* The values of a kept tensor after the last forward, and its shape (of the whole
 * batch); NULL where it is not kept, constant, or integer. Good until the next pass, a
 * backward included. */
const sal_real *sal_run_value(const struct sal_run *run, int value,
                              struct sal_shape *shape);

/* After a forward that kept map->keep: its probabilities, [heads][tokens][tokens]. */
void sal_run_attention(const struct sal_run *run, const struct sal_model *model,
                       const struct sal_attention_map *map, int64_t tokens, sal_real *shares);

/* d score / d value for each value in wrt, where the score of each image in the
 * batch is element `index` of its part of tensor `score`. Needs a forward with
 * options.gradient, and score and wrt to be kept: SAL_USAGE names one that is not. Only the part of the graph between the score and wrt is
 * computed; weights get no gradient. Values that are not kept are written over: where the
 * last pass was a backward too, the forward is repeated first. A value the score does not depend on gets
 * zeros. An operator without a gradient on the way is SAL_UNSUPPORTED, by name. */
enum sal_status sal_run_backward(struct sal_run *run, int score, int64_t index,
                                 const int *wrt, int n_wrt, struct sal_job *job,
                                 struct sal_error *err);

/* The same with a gradient given for the whole score tensor (batch included). */
enum sal_status sal_run_backward_from(struct sal_run *run, int score,
                                      const sal_real *dscore, const int *wrt,
                                      int n_wrt, struct sal_job *job,
                                      struct sal_error *err);

/* After a backward and before the next pass: the gradient of a value that was in wrt, in
 * its shape; else NULL. */
const sal_real *sal_run_gradient(const struct sal_run *run, int value);

/* 3x3 convolutions by Winograd's algorithm, which takes fewer multiplications and rounds
 * more. How much is measured with the weights of each, when the first run of a model is
 * opened; where it is more than `limit`, that one is computed plainly. The error is the
 * largest of some outputs, over the size that a sum of products of their sizes has by
 * chance (the root of the sum of their squares), on an input of ordinary values half of
 * which are 0. */
struct sal_winograd_use {
    int layers;        /* convolutions computed so */
    int refused;       /* that would be, but for their error */
    double error;      /* the largest of those computed so; 0: there is none */
    const char *worst; /* the node that has it; "" */
    double limit;
};

/* Of a run's forwards, or (back) of its backwards, towards the input of each convolution;
 * without options.gradient there are none. Nothing is computed. */
struct sal_winograd_use sal_run_winograd(const struct sal_run *run, bool back);

/* The matrix library underneath, with version and processor; static text. */
const char *sal_blas_describe(void);

/* The fused multiply-adds of float that this processor does at best, on all threads of
 * the pool at once, as floating-point operations (two each) a second: measured, by the
 * widest vectors there are, within a few hundredths of a second. */
double sal_peak_flops(struct sal_pool *pool);

/* Passes done since it was opened. */
long sal_run_forwards(const struct sal_run *run);
long sal_run_backwards(const struct sal_run *run);

#endif
