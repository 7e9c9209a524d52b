/*
 * Saliency methods: a model and an input become a map.
 *
 * A method is a const struct in the file that implements it and one row in
 * explain.c. Methods see the engine, never files or screens. A map owns its
 * memory; a method may be run by any thread with its own run.
 */
#ifndef SALISCOPE_EXPLAIN_H
#define SALISCOPE_EXPLAIN_H

#include <stdbool.h>

#include "saliscope/job.h"
#include "saliscope/model.h"
#include "saliscope/param.h"
#include "saliscope/run.h"
#include "saliscope/status.h"

/* What is kept from one question to the next, so that maps of another layer of the same
 * image need no pass of their own: the activations of all layers and the gradients of one
 * class for them. Of one model and one thread, with `exact` alike; the memory is taken at
 * the first question and held until closing: at most `most` bytes (0: SAL_TAPS_MEMORY, 512
 * MiB, enough for DenseNet-121 at 224 x 224, which takes 337; ViT-B/16 takes 602), and within
 * the model's limit. A model that needs more has passes of its own for each layer, as without
 * taps. Maps may differ from those made without by rounding: what is to be kept of all layers
 * cannot be computed together with its neighbours. */
struct sal_taps;
#define SAL_TAPS_MEMORY ((size_t)512 << 20)
struct sal_taps *sal_taps_open(size_t most); /* NULL: no memory */
void sal_taps_close(struct sal_taps *taps);

/* What is kept from one question to the next, so that a map of another class needs no pass of
 * its own: the scores of all classes for the inputs of the last method that makes many
 * forwards and no gradient, up to 256 MiB. A sweep that was stopped goes on where
 * it was. Of one model and one thread. */
struct sal_tally;
struct sal_tally *sal_tally_open(void); /* NULL: no memory */
void sal_tally_close(struct sal_tally *tally);

struct sal_map;

/* What is to be explained. */
struct sal_question {
    const struct sal_model *model;
    const sal_real *x;  /* one prepared input */
    int class_index;    /* 0..output.n-1 */
    int layer;          /* value id for methods that look at one; -1: automatic */
    const struct sal_params *params;
    int batch;     /* inputs per pass of methods that make many; 0: their own */
    uint64_t seed; /* of methods that draw random numbers */
    bool exact;    /* of all runs, see sal_run_options */
    enum sal_precision precision; /* of the many forwards of a method that has SAL_SWEEPS;
                                     others refuse all but SAL_F32 */
    struct sal_pool *pool;
    struct sal_job *job; /* may be NULL */
    struct sal_tally *tally; /* for methods of many forwards; NULL: nothing is kept */
    /* Now and then, in the thread that asked: the map of what is done so far, partial. What is
     * taken over is zeroed, the rest released. NULL: nobody looks. */
    void (*show)(void *audience, struct sal_map *map);
    void *audience;
    struct sal_taps *taps; /* for methods that look at a layer; NULL: nothing is kept */
};

/* What a method found out about its own map. */
struct sal_check {
    const char *name;  /* JSON key, static text: "completeness_error" */
    const char *title; /* for people: "completeness error" */
    double value;
    const char *unit;  /* static text; "" where it has none */
};

enum { SAL_CHECKS_MAX = 7 };

struct sal_map {
    int width, height; /* of the network's input */
    float *values;     /* [height][width], in `unit`, not normalised */
    int grid_width, grid_height; /* the method's own grid */
    float *grid;       /* [grid_height][grid_width]; the same values before
                          upsampling; equal to values where there is none */
    int channels;      /* of by_channel; 0: there is none */
    float *by_channel; /* [channels][height][width] whatever the input's layout, before
                          the channels were summed; NULL where the method has none */
    bool is_signed;    /* negative values are evidence against */
    bool pixelwise;    /* its method has SAL_PIXELWISE */
    bool partial;      /* stopped early: only part of the work is in it */
    const char *unit;  /* "logit", "logit per unit input", ...: static text */
    double score;      /* of the class, as explained (a logit unless --score) */
    int layer;         /* value id that was looked at; -1: none */
    struct sal_params params; /* as used: what was left automatic is filled in */
    long forwards, backwards; /* inputs that were passed through, each way */
    enum sal_precision precision; /* that most of it was computed in; below f32, checks
                                     say what that changes */
    struct sal_check checks[SAL_CHECKS_MAX];
    int n_checks;
    char note[256];    /* what a blank or odd map means; "" when nothing */
};

/* What a method needs of the model; SAL_HAS_CHANNELS: what its map has to offer, values
 * for each input channel; SAL_SWEEPS: it makes many forwards and no gradient;
 * SAL_NEEDS_ATTENTION: refused where sal_model_attentions finds none; SAL_PIXELWISE: of
 * neighbouring pixels of its map one may be many times the other, so that a few set the
 * scale: it is drawn up to the 99th percentile of magnitudes unless another range is asked
 * for. */
enum sal_method_needs {
    SAL_NEEDS_GRADIENT = 1,
    SAL_NEEDS_LAYER = 2,
    SAL_HAS_CHANNELS = 4,
    SAL_SWEEPS = 8,
    SAL_NEEDS_ATTENTION = 16,
    SAL_PIXELWISE = 32,
};

struct sal_method {
    const char *name;    /* "gradcam" */
    const char *title;   /* "Grad-CAM" */
    const char *formula; /* one line, ASCII */
    const char *paper;   /* "Selvaraju et al., ICCV 2017, arXiv:1610.02391" */
    const char *semantics; /* whose semantics the defaults follow and why, one line, ASCII,
                              without capital and full stop */
    unsigned needs;      /* of enum sal_method_needs */
    const struct sal_param *params; /* ends with a NULL name */
    enum sal_status (*run)(const struct sal_question *question, struct sal_map *map,
                           struct sal_error *err);
};

/* All methods; ends with NULL. The first is the default. */
extern const struct sal_method *const sal_methods[];
const struct sal_method *sal_method_find(const char *name);

/* Checks the question, runs the method, and looks the map over: a value that is
 * not finite is an error, a map without positive values gets a note. Work that is
 * cancelled is SAL_CANCELLED, or SAL_OK with map->partial where the part that was done
 * is worth looking at. */
enum sal_status sal_explain(const struct sal_method *method,
                            const struct sal_question *question,
                            struct sal_map *map, struct sal_error *err);
void sal_map_release(struct sal_map *map);

#endif
