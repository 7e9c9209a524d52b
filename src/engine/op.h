/*
 * Operators: the table, and what one row must provide.
 *
 * An operator is a const struct beside its kernels and one row in ops.c. It
 * reads its attributes once (parse), gives kinds and shapes (infer), computes
 * (forward) and pulls a gradient back (backward). The same forward folds
 * constants while a graph is built and runs it afterwards, so there is one
 * arithmetic. Kernels compute the same bits for any number of threads.
 */
#ifndef SALISCOPE_ENGINE_OP_H
#define SALISCOPE_ENGINE_OP_H

#include <stdbool.h>

#include "saliscope/arena.h"
#include "saliscope/onnx.h"
#include "saliscope/pool.h"
#include "saliscope/status.h"
#include "saliscope/tensor.h"

enum { SAL_OPSET_MAX = 27 };

struct sal_region_op;

struct sal_node {
    const struct sal_op *op;
    const char *name; /* the node's, or its first output's where it has none */
    int opset;        /* of the model's default domain */
    int n_in, n_out;
    const int *in;  /* value ids; -1: optional input left out */
    const int *out; /* value ids; -1: output nobody asked for */
    bool pytorch;   /* its export: means what PyTorch does, not ONNX's reference */
    const void *attr; /* what parse made; NULL where there is nothing */
    const void *plan; /* what infer made of the shapes, likewise */
    const struct sal_ruled *ruled; /* a propagation rule stands in it: propagation.h */
};

/* What infer sees. Inputs left out are NULL, as are outputs nobody wants. */
struct sal_infer {
    const struct sal_node *node;
    const struct sal_tensor *const *in; /* data set where the value is constant */
    struct sal_tensor *const *out;      /* infer fills kind, type and shape */
    struct sal_arena *arena; /* for a plan: tables that kernels read over and over */
    const void **plan;       /* where it is left, see sal_node */
};

/* What a kernel sees. Shapes are those that infer gave. */
struct sal_kernel {
    const struct sal_node *node;
    const struct sal_tensor *const *in;
    const struct sal_tensor *const *out;
    sal_real *const *dx; /* per input: gradient to add to; NULL: not wanted */
    const sal_real *const *dy; /* per output; NULL: no gradient arrives */
    unsigned fresh; /* of an operator that `begins`: bit i, dx[i] holds nothing yet */
    struct sal_pool *pool;
    sal_real *scratch;     /* threads x scratch_stride reals, not cleared */
    size_t scratch_stride; /* what scratch() asked for */
    /* The same call of the run that this one's backward compares with (propagation.h); only
     * in and out. NULL: there is none. */
    const struct sal_kernel *reference;
};

/* How an output follows one input, axis by axis. */
struct sal_carry {
    /* Per axis of the output: the input's axis whose elements it keeps in order; -1:
     * none, it is new or mixes all. */
    int axis[SAL_RANK_MAX];
    bool exact[SAL_RANK_MAX];   /* element e of it is the input's element e + skip */
    int64_t skip[SAL_RANK_MAX];
    /* Per axis of the input: the elements that the output depends on. */
    int64_t from[SAL_RANK_MAX], to[SAL_RANK_MAX];
};

/* Values that a backward reads: bit i is input or output i, bit 31 those beyond too. */
struct sal_reads {
    unsigned in, out;
};

#define SAL_READS_ALL (~0u)

struct sal_op {
    const char *name; /* ONNX op_type in the default domain */
    int since, until; /* opsets whose semantics are implemented, inclusive */
    int min_in, max_in; /* max_in -1: any number */
    int max_out;        /* -1: any number */

    /* Reads the attributes into arena, sets node->attr; NULL: it has none.
     * Anything that is out of range for any shape is refused here. */
    enum sal_status (*parse)(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err);

    /* Checks kinds, ranks and dims, fills the outputs. Values may be read only
     * where data is set; an operator that needs one that is not constant says so
     * with SAL_UNSUPPORTED. */
    enum sal_status (*infer)(const struct sal_infer *infer, struct sal_error *err);

    void (*forward)(const struct sal_kernel *kernel);

    /* dx[i] += the pull-back of dy. NULL: its derivative is zero or means nothing
     * (integers, shapes). in and out hold the values of the last forward. */
    void (*backward)(const struct sal_kernel *kernel);

    bool begins; /* backward writes to what is fresh, in the order of inputs, and adds to
                    what is not; else it always adds, to zeros at first */

    /* How `output` follows `input`. Filled beforehand: no axis followed, exact, whole
     * axes read. NULL: element by element, the input broadcast (and reshaped, where
     * `passes`). */
    void (*carry)(const struct sal_kernel *kernel, int input, int output,
                  struct sal_carry *carry);

    /* Reals of scratch each thread needs; NULL: none. */
    size_t (*scratch)(const struct sal_kernel *kernel, bool backward);

    /* Multiply-adds of a forward; NULL: none worth counting. */
    double (*macs)(const struct sal_kernel *kernel);

    /* Where `frugal`, the values that backward reads to make the gradient of input 0, of
     * input 1, and of each further one: a run forgets others as soon as the forward is
     * done with them. Shapes are always there, and so are constants. Not frugal: all. */
    bool frugal;
    struct sal_reads reads[3];

    /* Where output 0 may lie. A run moves values together where their lives allow it. */
    bool view; /* in input 0, which it equals; forward then has nothing to do */
    unsigned in_place; /* bit i (31: all from there on): in input i, if that has as many
                          elements and ends here: element by element, forward reads all
                          inputs before it writes one */
    /* Its inputs, one after another, where this is true: forward leaves out those that lie
     * there. NULL: never. */
    bool (*joins)(const struct sal_node *node, const struct sal_tensor *out);

    unsigned no_gradient; /* bit i: backward gives nothing for input i (weights) */
    unsigned aside; /* bit i: input i tells what there is, no gradient passes it */
    const char *opaque; /* why no gradient passes although the result depends on the
                           inputs' values: asking for one is refused with this text,
                           where a derivative of zero would mislead */
    bool takes_quantised; /* backward serves quantised integers too: it moves
                             elements, or asks for their kind */
    bool straight; /* quantises or takes that back: backward passes rounding by */
    bool shape_only; /* the result depends on the input's shape alone (Shape) */
    bool pointwise;  /* the first output has an element for each, or each broadcast, of the
                        inputs, made of that alone, wherever it lies */
    bool passes;     /* the first output is the first input, perhaps reshaped */
    const struct sal_region_op *region; /* how it follows changes of boxes (boxes.h); NULL:
                                           pixel by pixel where `pointwise`, else all of
                                           the result changes */
    bool mixes;      /* combines channels, or weighs positions where all is computed:
                        Conv, Gemm, MatMul, Einsum, Attention */
};

/* Sorted by name; ends with NULL. */
extern const struct sal_op *const sal_ops[];

const struct sal_op *sal_op_find(const char *name);

/* ---- for the operators' own files ---------------------------------------- */

/* Attribute readers: the fallback where the attribute is missing; SAL_BAD_INPUT
 * naming node and attribute where its type is wrong. Lists are pointers into the
 * description. */
enum sal_status sal_attr_int(const struct sal_onnx_node *source, const char *name,
                             int64_t fallback, int64_t *value, struct sal_error *err);
enum sal_status sal_attr_float(const struct sal_onnx_node *source, const char *name,
                               double fallback, double *value, struct sal_error *err);
enum sal_status sal_attr_ints(const struct sal_onnx_node *source, const char *name,
                              const int64_t **values, int *n, struct sal_error *err);
enum sal_status sal_attr_string(const struct sal_onnx_node *source, const char *name,
                                const char *fallback, const char **value,
                                struct sal_error *err);

/* The index among n words of a string attribute; fallback where it is missing.
 * SAL_BAD_INPUT, naming the words, where it is none of them. */
enum sal_status sal_attr_word(const struct sal_node *node,
                              const struct sal_onnx_node *source, const char *name,
                              const char *const *words, int n, int fallback, int *value,
                              struct sal_error *err);

/* The kind a tensor of an ONNX type is computed in; false where it has none. */
bool sal_type_kind(int type, enum sal_kind *kind);

/* A stored tensor as the engine's: float32 is used where it lies when it can be
 * (the description must outlive it, and nobody writes a constant), everything else
 * is converted into arena. */
enum sal_status sal_tensor_from_onnx(struct sal_tensor *tensor,
                                     const struct sal_onnx_tensor *source,
                                     struct sal_arena *arena, struct sal_error *err);

/* sal_fail with "Conv 'layer1.0': " in front. */
enum sal_status sal_node_fail(const struct sal_node *node, struct sal_error *err,
                              enum sal_status status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Input i of an infer is there and of that kind (and its values are known). */
enum sal_status sal_infer_kind(const struct sal_infer *infer, int i, enum sal_kind kind,
                               struct sal_error *err);
enum sal_status sal_infer_constant(const struct sal_infer *infer, int i,
                                   struct sal_error *err);

/* Output 0 like input 0: kind, type and shape. An infer by itself. */
enum sal_status sal_infer_same(const struct sal_infer *infer, struct sal_error *err);
enum sal_status sal_infer_same_real(const struct sal_infer *infer,
                                    struct sal_error *err);

/* axis in -rank..rank-1 made 0..rank-1. `past` 1 allows rank itself. */
enum sal_status sal_infer_axis(const struct sal_infer *infer, int64_t axis, int rank,
                               int past, int *out, struct sal_error *err);

/* Numpy's broadcast of two shapes. */
enum sal_status sal_infer_broadcast(const struct sal_infer *infer,
                                    const struct sal_shape *a,
                                    const struct sal_shape *b,
                                    struct sal_shape *out, struct sal_error *err);

/* Strides (in elements) of a shape seen through a broadcast to `out`: 0 where it
 * repeats. */
void sal_broadcast_strides(const struct sal_shape *shape, const struct sal_shape *out,
                           int64_t stride[SAL_RANK_MAX]);

#endif
