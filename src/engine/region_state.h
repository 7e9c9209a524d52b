/*
 * What a region run is made of, shared by what decides (region_plan.c) and what runs
 * (region.c).
 */
#ifndef SALISCOPE_ENGINE_REGION_STATE_H
#define SALISCOPE_ENGINE_REGION_STATE_H

#include "boxes.h"
#include "model_parts.h"
#include "plan.h"
#include "run_state.h"

/* A node that is computed in boxes. */
struct sal_region_step {
    const struct sal_node *node;
    const struct sal_region_op *op;
    const struct sal_tensor **in;    /* of one image, as nodes' bindings */
    const struct sal_field **fields; /* [n_in] */
    struct sal_field *to;
    double macs;    /* of a whole map */
    double least;   /* when trimming: changes up to this are none */
};

/* Whose forwards they are: a model's, or those of a bare graph. */
struct sal_region_source {
    const struct sal_graph *one, *all; /* of one image, of a batch */
    struct sal_packs *packs;
    int score;  /* the value that is asked for, an output of the graph */
    bool last;  /* the input has its channels last */
};

struct sal_region {
    struct sal_region_source from;
    struct sal_pool *pool;
    int batch;
    double trim, share;
    double whole, rest_macs; /* multiply-adds of an image: of all nodes, of those not in boxes */
    double done;             /* in boxes, so far, */
    long images;             /* of so many */
    size_t limit;
    struct sal_run_options how; /* of its runs */

    struct sal_graph one;         /* lowered, of one image */
    struct sal_graph own, all;    /* of a batch: the model's where that is built here, lowered */
    struct sal_graph front, back; /* one's nodes in boxes; all's others */
    struct sal_run *base, *rest;  /* of these */

    struct sal_field *input;   /* whole images, channels first; NULL: nothing is in boxes */
    sal_real *turned;          /* [batch] of them, where the model has channels last */
    struct sal_field **fields; /* [one.n_values]; NULL: in no boxes */
    bool *boxed;               /* [one.n_nodes] */
    struct sal_region_step *steps;
    int n_steps;
    struct sal_interval *lives; /* [n_steps] of the steps' results */
    sal_real *image;            /* the base */
    struct sal_block data, scratch;
    struct sal_arena arena, passing; /* passing: of one node */
};

/* What sal_region_open does, for any graph; options->memory must be set. */
enum sal_status sal_region_open_on(struct sal_region **region,
                                   const struct sal_region_source *source,
                                   const struct sal_region_options *options,
                                   const sal_real *x, struct sal_job *job,
                                   struct sal_error *err);

/* A forward in its parts: boxes find their places, steps 0..n_steps-1 fill them, whole maps
 * and what is behind follow. */
enum sal_status sal_region_begin(struct sal_region *region, const sal_real *x, int n,
                                 struct sal_error *err);
enum sal_status sal_region_step(struct sal_region *region, int i, struct sal_error *err);
enum sal_status sal_region_end(struct sal_region *region, const sal_real *x, int n,
                               struct sal_job *job, struct sal_error *err);

/* The box of change of an input of that shape, channels first or last. */
struct sal_box sal_region_change(const struct sal_shape *shape, bool last,
                                 const sal_real *base, const sal_real *x);

/* The value's map as a field without anything in it; false: it is no map of one image. */
bool sal_field_of(const struct sal_tensor *tensor, struct sal_field *field);

/* Boxes of a step's result, from those of what it reads. */
void sal_region_grow(const struct sal_region_step *step);

/* Decides by the examples which nodes are computed in boxes: fills fields, boxed, steps,
 * lives and share. All boxes have room for `room` images. */
enum sal_status sal_region_plan(struct sal_region *region, const struct sal_box *examples,
                                int n_examples, int room, struct sal_error *err);

#endif
