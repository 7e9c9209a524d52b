/*
 * A region run: forwards of images that differ from one base image in small places.
 *
 * The base image goes through once and its activations are kept. Of every other image only
 * the box that can have changed is computed, layer by layer, the boxes of a batch together;
 * what lies around a box is read from the base. Where boxes have grown over most of a map,
 * and behind operators that mix all of it, whole maps are computed, in a batch. Results
 * are the same bits as those of sal_run_forward, for any batch and any number of threads.
 *
 * Nakandala, Kumar, Papakonstantinou, SIGMOD 2019 (Krypton), over any graph. Not shared
 * between threads.
 */
#ifndef SALISCOPE_REGION_H
#define SALISCOPE_REGION_H

#include "saliscope/run.h"

/* Rows at[0]..end[0]-1 and columns at[1]..end[1]-1; nothing where an end is not behind. */
struct sal_box {
    int64_t at[2], end[2];
};

/* The least box of the model's input that holds every pixel in which x and base, two
 * prepared inputs, differ by a bit in some channel; an empty one where they are equal. */
struct sal_box sal_box_of_change(const struct sal_model *model, const sal_real *base,
                                 const sal_real *x);

struct sal_region;

struct sal_region_options {
    int batch;               /* images per pass; 0 means 1 */
    bool exact;              /* these as in sal_run_options */
    enum sal_precision precision;
    size_t memory;
    struct sal_pool *pool;
    const struct sal_box *examples; /* boxes as they will come, from which is decided how far
                                       boxes are worth it; not kept */
    int n_examples;
    double share_max; /* SAL_UNSUPPORTED where more of the multiply-adds than this would be
                         left; 0: never */
    double trim; /* a box loses edges where no pixel changes by more, in the root mean square
                    over its channels, than this share of that of the base's map: results are
                    no longer exact. 0: nothing is cut off */
};

/* x: the base image, which is passed through here; it is copied. */
enum sal_status sal_region_open(struct sal_region **region, const struct sal_model *model,
                                const struct sal_region_options *options, const sal_real *x,
                                struct sal_job *job, struct sal_error *err);
void sal_region_close(struct sal_region *region);

/* The multiply-adds of an image as a share of a whole forward's: of those that were passed
 * through, on average, and before there is one as the examples tell. 1: boxes save nothing. */
double sal_region_share(const struct sal_region *region);

/* x: n inputs, 1..batch, one behind the other. Stops with SAL_CANCELLED between nodes. A
 * score that is not finite is SAL_BAD_INPUT. */
enum sal_status sal_region_forward(struct sal_region *region, const sal_real *x, int n,
                                   struct sal_job *job, struct sal_error *err);

/* The model's scores after a forward: [batch] images, of which the first n are told, and
 * their shape. Good until the next. */
const sal_real *sal_region_scores(const struct sal_region *region, struct sal_shape *shape);

#endif
