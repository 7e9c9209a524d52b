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
    struct sal_graph own;     /* the model's, when the batch is not the model's */
    struct sal_graph lowered; /* what is computed */
    struct sal_packs *packs;  /* of a bare graph's run */
    int watched;          /* value that must be finite after a forward; -1 */
    struct sal_pool *pool;
    size_t memory; /* most bytes of all blocks */
    bool gradient;

    struct sal_tensor *tensors;   /* [n_values]; data NULL: not computed here */
    bool *kept;                   /* [n_values]: readable after a forward */
    struct sal_binding *bindings; /* [n_nodes] */
    struct sal_block activations, scratch;
    bool forward_done;

    /* The backward that the gradient block is laid out for. */
    struct {
        int score;       /* -1: none yet */
        int *wrt, n_wrt;
        sal_real **grad; /* [n_values]; NULL: not on the way */
        int *first;      /* [n_values]: node that touches it first; -1: seed */
        bool *takes_part; /* [n_nodes] */
        struct sal_block block;
    } back;

    long forwards, backwards;
    struct sal_arena arena;
};

size_t sal_tensor_bytes(const struct sal_tensor *tensor);

/* Grows a block to at least size bytes, within the run's memory; `what` is for the
 * message. Its contents are lost when it grows. */
enum sal_status sal_run_block(struct sal_run *run, struct sal_block *block, size_t size,
                              const char *what, struct sal_error *err);

/* Room for the largest scratch any node asks for, for all threads. */
enum sal_status sal_run_scratch(struct sal_run *run, bool backward,
                                struct sal_error *err);

/* Calls one node's kernel. */
void sal_run_node(struct sal_run *run, int i, bool backward);

#endif
