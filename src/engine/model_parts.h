/*
 * The inside of a model, for the engine only.
 */
#ifndef SALISCOPE_ENGINE_MODEL_PARTS_H
#define SALISCOPE_ENGINE_MODEL_PARTS_H

#include "graph.h"
#include "packs.h"
#include "saliscope/model.h"
#include "shelf.h"
#include "tail.h"

/* The graph at batch 1. */
const struct sal_graph *sal_model_graph(const struct sal_model *model);

/* The same graph for another batch; release it before the model. */
enum sal_status sal_model_build_graph(const struct sal_model *model, int batch,
                                      struct sal_pool *pool, struct sal_graph *graph,
                                      struct sal_error *err);

/* What its runs have packed so far. */
struct sal_packs *sal_model_packs(const struct sal_model *model);

/* Its runs that nobody uses now. */
struct sal_shelf *sal_model_shelf(const struct sal_model *model);

/* What it does after its Sigmoid; NULL: nothing. */
const struct sal_tail *sal_model_tail(const struct sal_model *model);

/* The limit on live tensors in bytes: of a model, and where nobody gives one. */
size_t sal_model_memory(const struct sal_model *model);
size_t sal_default_memory(void);

#endif
