/*
 * A model: an ONNX file made ready to run, and what its sidecar says of it.
 *
 * Opening parses, checks, infers all shapes, folds constants and shape
 * arithmetic, and finds the logits and the layers worth looking at. A model is
 * immutable afterwards and shared by all threads; each user opens a run
 * (run.h). It owns weights, names and the mapping of its file.
 */
#ifndef SALISCOPE_MODEL_H
#define SALISCOPE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "saliscope/image.h"
#include "saliscope/job.h"
#include "saliscope/onnx.h"
#include "saliscope/pool.h"
#include "saliscope/resample.h"
#include "saliscope/sidecar.h"
#include "saliscope/status.h"
#include "saliscope/tensor.h"

struct sal_model;

struct sal_model_options {
    const char *sidecar; /* path; NULL: look for one */
    const char *preset;  /* name; NULL: none */
    const char *score;   /* "logit" (NULL), "prob", "TENSOR" or "TENSOR[i]" */
    bool force_opset;    /* take operators of a newer opset as those of the newest known */
    size_t memory;       /* most bytes of live tensors; 0: half of RAM, 8 GiB */
    struct sal_pool *pool;
};

/* Exit statuses as INTERFACE.md: malformed SAL_BAD_INPUT, an operator or type
 * that is missing SAL_UNSUPPORTED (names operator, node and opset), too large
 * SAL_LIMIT. */
enum sal_status sal_model_open(struct sal_model **model, const char *path,
                               const struct sal_model_options *options,
                               struct sal_error *err);
void sal_model_close(struct sal_model *model);

const char *sal_model_path(const struct sal_model *model);
const struct sal_onnx *sal_model_onnx(const struct sal_model *model);
const struct sal_sidecar *sal_model_sidecar(const struct sal_model *model);

/* The file's SHA-256 in hex; computed at the first call, by one thread. */
const char *sal_model_sha256(struct sal_model *model);

/* One-line things a user should know ("no sidecar: ..."); n of them. */
const char *const *sal_model_warnings(const struct sal_model *model, int *n);

/* ---- input ------------------------------------------------------------ */

struct sal_model_input {
    int value; /* id of the graph input */
    const char *name;
    enum sal_layout layout;
    int channels, height, width;
    bool batch_free; /* the batch axis was declared dynamic */
};

const struct sal_model_input *sal_model_input(const struct sal_model *model);

/* Elements of one input. */
int64_t sal_input_elements(const struct sal_model *model);

/* Where channel c of pixel i lies in an input. */
int64_t sal_input_place(const struct sal_model_input *input, int c, int64_t i);

/* max - min of n elements. */
double sal_input_range(const sal_real *x, int64_t n);

/* What the model makes of an image depends on the others in its batch
 * (DynamicQuantizeLinear: one scale for all), so that results that must not depend on the
 * batch need one of 1. */
bool sal_model_shares_scales(const struct sal_model *model);

/* The preprocessing in force: the sidecar's, completed by the model's shape. */
const struct sal_preprocessing *sal_model_preprocessing(const struct sal_model *model);

/* Image to input tensor, exactly as the preprocessing says. x: channels * height
 * * width reals in the model's layout. */
enum sal_status sal_model_prepare(const struct sal_model *model,
                                  const struct sal_image *image, sal_real *x,
                                  struct sal_error *err);

/* ---- values ------------------------------------------------------------ */

/* A named tensor of the graph at batch 1. ids are 0..n-1. */
struct sal_model_value {
    const char *name; /* tensor name */
    const char *node; /* name of the node that makes it; "" for an input */
    const char *op;   /* its operator; "" for an input */
    struct sal_shape shape;
    enum sal_kind kind;
    bool constant;
    bool known; /* false: nothing that is explained needs it, the shape is not known */
};

int sal_model_n_values(const struct sal_model *model);
struct sal_model_value sal_model_value(const struct sal_model *model, int id);

/* The id of a tensor, or of the first output of a node, of that name; -1. */
int sal_model_find(const struct sal_model *model, const char *name);

/* ---- layers for -l ------------------------------------------------------ */

/* A spatial feature map between the input and the logits: channels x height x width
 * with height * width > 1, made by anything but a pass-through, whose positions can
 * change the logits. Element (c, y, x) of image 0 lies at
 * at + c * step_channel + y * step_row + x * step_column of the value, which may be
 * N x C x H x W, N x H x W x C, or a transformer's tokens; of those the ones that are
 * no place in the picture (class tokens) are left out. */
struct sal_layer {
    int value;
    int channels, height, width;
    int tokens; /* 0: a map; else all tokens, of which height * width are the grid */
    int64_t at, step_channel, step_row, step_column;
};

/* In graph order. *automatic: the index `auto` stands for (the sidecar's
 * cam_layer, else the last map whose channels a Conv, Gemm or MatMul with weights
 * still mixes before the logits, pooling results and mere transposes excepted), -1
 * when there is none. */
const struct sal_layer *sal_model_layers(const struct sal_model *model, int *n,
                                         int *automatic);

/* The layer of that value; NULL where it is none. */
const struct sal_layer *sal_model_layer(const struct sal_model *model, int value);

/* ---- attention ------------------------------------------------------------- */

/* Attention of one block: for each head, how each token (row) is made of all of them
 * (columns); rows add up to 1. */
struct sal_attention_map {
    int value;   /* of the probabilities, heads x tokens x tokens; -1: an Attention node
                    has them inside */
    int node;    /* that node of the graph; else -1 */
    int64_t heads;
    int keep[7], n_keep; /* values that a run must keep to know them (sal_run_attention) */
};

struct sal_attentions {
    struct sal_attention_map *map; /* in graph order */
    int n;                         /* at least 1 */
    int64_t tokens;                /* of all blocks */
    int64_t skipped;   /* tokens before those of the picture (class tokens) */
    int rows, columns; /* of the picture's tokens */
    bool pooled; /* the logits read all the picture's tokens, not the class token's alone */
};

/* Finds the attention among the picture's tokens; release it. SAL_UNSUPPORTED where there
 * is none, and by name where it is not among all of them (windows, pooled keys). */
enum sal_status sal_model_attentions(const struct sal_model *model,
                                     struct sal_attentions *found, struct sal_error *err);
void sal_attentions_release(struct sal_attentions *found);

/* ---- scores --------------------------------------------------------------- */

/* What the outputs mean. The logits are the tensor before a trailing Softmax,
 * LogSoftmax or Sigmoid, which is by-passed for every explanation; or before a Sigmoid
 * whose result is only rescaled, class by class; and before a trailing QuantizeLinear and
 * DequantizeLinear, whose saturation would hide the highest. With a tensor of the user's
 * (--score, the sidecar's output) nothing is built that it does not need. */
struct sal_model_output {
    int value;      /* id of the logits, or of the tensor of --score */
    int n;          /* number of classes: its elements per image */
    enum sal_activation activation; /* from logits to probabilities */
    const char *activation_source;  /* "Softmax node", "sidecar", ...; never NULL */
    const char *bypassed; /* name of the operator by-passed; NULL: none */
    bool unquantised; /* the model goes on to quantise the logits */
    int chosen; /* the element that --score TENSOR[i] names; -1: none */
    const char *unit;     /* of a score: "logit", or "score" where --score chose it */
};

const struct sal_model_output *sal_model_output(const struct sal_model *model);

/* The class's name, or "class 17" style text where names are not known; lives
 * as long as the model. */
const char *sal_model_class(const struct sal_model *model, int index);

/* Index of a class given by number or exact name (then by name without regard to
 * case); -1. */
int sal_model_class_find(const struct sal_model *model, const char *text);

/* logits[n] to probabilities[n] by the activation, with the sidecar's
 * temperature, and whatever the model does to them after its Sigmoid; all NAN when the
 * activation is none. */
void sal_model_probabilities(const struct sal_model *model, const sal_real *logits,
                             double *probabilities);

/* The class looked at when none is named: that of --score TENSOR[i]; else the highest
 * probability or logit; for sigmoid outputs the highest above its threshold (0.5 where
 * none is given), else the highest. */
int sal_model_top_class(const struct sal_model *model, const sal_real *logits);

/* True when the probability reaches the class's threshold (0.5 for sigmoid
 * outputs without one); false when there is nothing to compare. */
bool sal_model_flagged(const struct sal_model *model, int index, double probability);

/* ---- figures -------------------------------------------------------------- */

struct sal_model_figures {
    int64_t nodes;      /* in the file */
    int64_t live_nodes; /* left after folding */
    int64_t parameters; /* elements of the constants live nodes read */
    double macs;        /* multiply-adds of one forward at batch 1 */
    size_t forward_bytes;  /* planned activations of a forward at batch 1 */
    size_t gradient_bytes; /* planned activations of a forward whose gradient is taken */
};

struct sal_model_figures sal_model_figures(const struct sal_model *model);

/* ---- what can be loaded --------------------------------------------------------- */

/* An operator of the default domain, the opsets whose semantics are implemented,
 * and whether a gradient passes through it. */
struct sal_operator {
    const char *name;
    int since, until;
    bool gradient;
};

/* Number i of the operators, in the order of their names; false behind the last. */
bool sal_operator_at(int i, struct sal_operator *op);

/* An operator that a description needs and that is not there. */
struct sal_missing {
    const char *domain, *op; /* domain "" is ONNX's own */
    int count;               /* nodes */
    const char *node;        /* the first of them */
    int64_t opset;           /* of that domain in the model; 0: not imported */
    int since, until;        /* the opsets it is there for; 0: for none */
};

/* All of them, in the order of the file, in arena; returns how many. What no output
 * needs is not counted; both branches of an If are, whichever is taken. Texts are the
 * description's. */
int sal_missing_find(const struct sal_onnx *onnx, struct sal_arena *arena,
                     struct sal_missing **missing);

#endif
