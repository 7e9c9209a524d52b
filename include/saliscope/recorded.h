/*
 * A model against its own recorded outputs: does this file compute here what its
 * author's program computed?
 *
 * Exporters, the ONNX model zoo and ONNX's own tests keep inputs and outputs beside
 * a model: test_data_set_0/input_0.pb, output_0.pb, and so on. This reads them
 * (serialised TensorProto, or NumPy's .npy), runs the graph on the inputs (any graph
 * the engine runs, not only classifiers) and says for each output how far it is from
 * the recorded one. Used by `inspect --verify` and by the conformance tests.
 *
 * A recording owns what it read, until its release. Checking changes neither the
 * description nor, except for a type's name (see below), the recording. Any thread,
 * one at a time per recording.
 */
#ifndef SALISCOPE_RECORDED_H
#define SALISCOPE_RECORDED_H

#include <stdbool.h>
#include <stddef.h>

#include "saliscope/job.h"
#include "saliscope/onnx.h"
#include "saliscope/pool.h"
#include "saliscope/status.h"
#include "saliscope/tensor.h"

enum { SAL_RECORDED_MAX = 64 }; /* tensors of one side */

struct sal_recorded {
    const char *path;
    struct sal_onnx_tensor tensor;
    bool any_float; /* from .npy: which floating type it has says nothing */
};

struct sal_recorded_list {
    struct sal_recorded at[SAL_RECORDED_MAX];
    int n;
};

/* Start with zeros. Lists are in the order of the graph's inputs and outputs. */
struct sal_recording {
    struct sal_recorded_list inputs, outputs;
    struct sal_file files[2 * SAL_RECORDED_MAX];
    int n_files;
    struct sal_arena arena;
};

/* Appends one file to a list of the recording; told apart by content. SAL_BAD_INPUT
 * and SAL_UNSUPPORTED (a type that is never read) name the file. */
enum sal_status sal_recording_add(struct sal_recording *recording,
                                  struct sal_recorded_list *list, const char *path,
                                  struct sal_error *err);

/* Appends input_0, input_1, ..., output_0, ... of a folder, each .pb or .npy. A
 * folder without an output_0 is SAL_BAD_INPUT. */
enum sal_status sal_recording_add_folder(struct sal_recording *recording,
                                         const char *folder, struct sal_error *err);
void sal_recording_release(struct sal_recording *recording);

/* ---- checking --------------------------------------------------------------- */

/* |got - wanted| <= relative * |wanted| + absolute + of_largest * max |wanted|. For
 * integers and bool nothing but equality counts. For an output of 16 bits relative is
 * at least float16 or bfloat16: the engine keeps more digits, and who recorded it
 * rounded at every step. */
struct sal_tolerance {
    double relative, absolute, of_largest;
    double float16, bfloat16;
};

/* Of ONNX's own tests: 1e-3, 1e-7; 2^-7 for bfloat16, since some of them cut digits off
 * where they should round. */
extern const struct sal_tolerance sal_tolerance_onnx;

/* For a model's scores: the same, and 1e-5 of the largest, because a score near 0 is
 * the difference of large ones; 2^-7 for float16, 2^-5 for bfloat16. */
extern const struct sal_tolerance sal_tolerance_scores;

/* One output beside its record. */
struct sal_agreement {
    const char *name; /* of the graph's output */
    int type;
    struct sal_shape shape;
    bool agrees;
    double max_abs; /* the largest difference; NAN where the two cannot be compared */
    double max_rel; /* max_abs over the largest value recorded, unless that is 0 */
    int64_t beyond; /* elements outside the tolerance */
    struct sal_tolerance tolerance; /* in force */
    char text[200];                 /* why it does not agree; "" where it does */
};

struct sal_recorded_options {
    struct sal_tolerance tolerance;
    const bool *constant; /* [inputs] hand this one over as a constant of the graph;
                             NULL: none */
    bool any_shape;       /* inputs need not have the shapes that the graph declares */
    bool force_opset;     /* as of a model's options */
    bool exact, plain;    /* as of a run's */
    size_t memory;        /* most bytes of live tensors; 0: as for a model */
    struct sal_pool *pool;
    struct sal_job *job;
};

/* Runs the graph and fills agreements[recording->outputs.n]. SAL_OK: all agree;
 * SAL_NO: err names the first output that does not. Else nothing was compared:
 * SAL_USAGE, another number of tensors than the graph has (fewer outputs are allowed);
 * SAL_BAD_INPUT, a shape or kind that the graph does not declare; or whatever
 * building the graph says. Test data written before numpy had a bfloat16 keeps it as
 * uint16; such a tensor is renamed. */
enum sal_status sal_recorded_check(const struct sal_onnx *onnx,
                                   struct sal_recording *recording,
                                   const struct sal_recorded_options *options,
                                   struct sal_agreement *agreements,
                                   struct sal_error *err);

/* ---- without a record ------------------------------------------------------- */

enum { SAL_SUSPECTS_MAX = 4 };

/* Mistakes that exporters are known for and that the description shows, one line each,
 * in arena; returns how many. They say that the file may not be the model that was
 * trained, which only a record can tell. */
int sal_known_bad(const struct sal_onnx *onnx, struct sal_arena *arena,
                  const char *texts[SAL_SUSPECTS_MAX]);

#endif
