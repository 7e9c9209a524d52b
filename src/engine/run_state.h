/*
 * What a run is made of, shared by its forward (run.c) and backward (backward.c).
 */
#ifndef SALISCOPE_ENGINE_RUN_STATE_H
#define SALISCOPE_ENGINE_RUN_STATE_H

#include "binding.h"
#include "packs.h"
#include "run_parts.h"

/* One block of memory that is kept between passes. */
struct sal_block {
    char *data;
    size_t size;
};

struct sal_run {
    const struct sal_graph *graph;
    const struct sal_graph *whole; /* what `graph` was lowered from, or is */
    struct sal_graph own;     /* the model's, when the batch is not the model's */
    struct sal_graph ruled;   /* with propagation rules */
    struct sal_graph lowered; /* what is computed */
    const struct sal_propagation *propagation; /* NULL: gradients are gradients */
    const struct sal_run *reference; /* that rules compare with; NULL */
    struct sal_packs *packs;  /* of a bare graph's run */
    struct sal_shelf *shelf;  /* where it rests when it is closed; NULL: nowhere */
    struct sal_run_options asked; /* what it was opened with, its own copy; memory resolved */
    const void *lanes;        /* and with which table of kernels */
    int watched;          /* value that must be finite after a forward; -1 */
    struct sal_pool *pool;
    size_t limit; /* most bytes of all blocks */
    bool gradient;
    const bool *may; /* [the model's values] a backward may run for; NULL: any kept one */

    struct sal_tensor *tensors;   /* [n_values]; data NULL: not computed here */
    bool *kept;                   /* [n_values]: readable after a forward */
    struct sal_binding *bindings; /* [n_nodes] */
    struct sal_interval *lives;   /* [2 n_values]: values, then their gradients */
    struct sal_place *places;     /* [n_values] */
    struct sal_block memory, scratch; /* memory: where lives have their places */
    bool forward_done;
    bool spent; /* a backward has written over values */
    bool checks_gradients; /* stops a backward at the first that is not finite */

    /* The backward that gradients have places for. */
    struct {
        int score;       /* -1: none yet */
        bool done;       /* gradients are there, of the last forward */
        int *wrt, n_wrt;
        sal_real **grad; /* [n_values]; NULL: not on the way */
        int *first;      /* [n_values]: node that touches it first; -1: seed */
        bool *takes_part; /* [n_nodes] */
    } back;

    /* Of a run that starts behind the input. */
    struct {
        const struct sal_model *model; /* NULL: it does not */
        struct sal_graph graph;        /* what is behind its start */
        int batch;
        int *axis;     /* [graph.n_inputs + 1] along which images lie, the score's last */
        bool complete; /* what comes around the start is there */
        bool exact, plain;
    } part;

    long forwards, backwards;
    struct sal_arena arena;
};

/* Whether runs with these options can be computed as precisely as they say. */
enum sal_status sal_run_precision(const struct sal_run_options *options,
                                  struct sal_error *err);

size_t sal_tensor_bytes(const struct sal_tensor *tensor);

/* What closing does to a run that nobody keeps. */
void sal_run_free(struct sal_run *run);

/* Grows a block to at least size bytes, within the run's memory; `what` is for the
 * message. What is in it may move. */
enum sal_status sal_run_block(struct sal_run *run, struct sal_block *block, size_t size,
                              const char *what, struct sal_error *err);

/* Room for the largest scratch any node asks for, for all threads. */
enum sal_status sal_run_scratch(struct sal_run *run, bool backward,
                                struct sal_error *err);

/* Gives values their times and places; what they held is lost. */
enum sal_status sal_run_place(struct sal_run *run, struct sal_error *err);

/* Lays out values together with the gradients that will probably be asked for: of the
 * logits, for what is kept or else for the input. Other questions are fitted in, which
 * takes more memory. */
enum sal_status sal_run_expect(struct sal_run *run, const int *keep, int n_keep,
                               struct sal_error *err);

/* Points the values' tensors to their places. */
void sal_run_rest(struct sal_run *run);

/* Makes the run's graph the part of it that leads from options->from to the score. */
enum sal_status sal_run_cut(struct sal_run *run, const struct sal_model *model,
                            const struct sal_run_options *options, struct sal_error *err);

/* Gives the run's graph the rules of options->propagation. */
enum sal_status sal_run_propagate(struct sal_run *run, const struct sal_run_options *options,
                                  struct sal_error *err);

/* The run that rules compare with has what they need. */
enum sal_status sal_run_check_reference(const struct sal_run *run, struct sal_error *err);

/* Marks[n_values]: what is readable after a forward. */
enum sal_status sal_run_mark_kept(struct sal_run *run, const struct sal_run_options *options,
                                  bool *kept, struct sal_error *err);

/* Puts x where the run starts. */
enum sal_status sal_run_start(struct sal_run *run, const sal_real *x, struct sal_error *err);

/* A run of a bare graph with others' packs; NULL: its own. */
enum sal_status sal_run_open_on(struct sal_run **run, const struct sal_graph *graph,
                                struct sal_packs *packs,
                                const struct sal_run_options *options,
                                struct sal_error *err);

/* Names the node that made the first value of the last forward that is not finite: run
 * again node by node as the model says, or, where all is finite so, as it is computed here.
 * The run's values are lost. */
enum sal_status sal_run_blame_forward(struct sal_run *run, struct sal_error *err);

/* The same of the backward that began with dscore at back.score and ended at value, whose
 * gradient is not finite; a forward value that is not finite is named before gradients. */
enum sal_status sal_run_blame_backward(struct sal_run *run, const sal_real *dscore, int value,
                                       struct sal_error *err);

bool sal_finite(const sal_real *x, int64_t n);

/* Calls one node's kernel. */
void sal_run_node(struct sal_run *run, int i, bool backward);

#endif
