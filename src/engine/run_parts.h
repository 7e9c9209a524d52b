/*
 * The inside of a run, for the engine and its tests: any graph, any inputs.
 */
#ifndef SALISCOPE_ENGINE_RUN_PARTS_H
#define SALISCOPE_ENGINE_RUN_PARTS_H

#include "graph.h"
#include "placement.h"
#include "plan.h"
#include "saliscope/run.h"

/* A run of a bare graph, which must outlive it; options->memory must be set. */
enum sal_status sal_run_open_graph(struct sal_run **run, const struct sal_graph *graph,
                                   const struct sal_run_options *options,
                                   struct sal_error *err);

/* A value's tensor in this run: to fill inputs (any kind), to read outputs. */
struct sal_tensor *sal_run_tensor(struct sal_run *run, int value);

/* A forward over inputs that are already filled; nothing is checked. */
enum sal_status sal_run_pass(struct sal_run *run, struct sal_job *job,
                             struct sal_error *err);

/* Lays out the activations of a graph: at[n_values] gets times and offsets, place[n_values]
 * (placement.h) where in these each value lies; the result is the block's size in bytes, (size_t)-1 when it cannot be. Values in kept
 * live to the end; with `gradient` also those that a backward may read, as long as that. */
size_t sal_run_plan(const struct sal_graph *graph, const bool *kept, bool gradient,
                    struct sal_interval *at, struct sal_place *place);

/* That size where inputs and outputs are kept; 0 without memory. */
size_t sal_run_size(const struct sal_graph *graph, bool gradient);

#endif
