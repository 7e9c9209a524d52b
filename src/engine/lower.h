/*
 * Lowering: the graph that a run computes, made from the model's.
 *
 * Nodes are taken in their order. A rule takes a node, with what may be folded into it,
 * and emits one inner operator for all of it; what no rule takes is emitted as it is.
 * Value ids stay what they are, new ones follow. Activations of convolutional parts
 * live in blocks of 16 channels (blocked.h): a value then has a blocked twin, and its
 * plain form is only made where somebody needs it. Values that may be read, or that a
 * gradient may be asked for, are always made in plain form, and everything that uses
 * them goes through it.
 *
 * A new rule is one function here, in a lower_<noun>.c, and one row in lower.c.
 */
#ifndef SALISCOPE_ENGINE_LOWER_H
#define SALISCOPE_ENGINE_LOWER_H

#include "blocked.h"
#include "graph.h"
#include "packs.h"

struct sal_lower_options {
    const bool *kept; /* [n_values] of the graph: read or differentiated for */
    const bool *wrt;  /* [n_values]: a backward may run for these; NULL: none will */
    bool exact;       /* no algorithm that adds rounding for speed (Winograd) */
    bool bf16;        /* weighed sums in bf16 where that is faster */
    struct sal_packs *packs;
};

/* Fills *to, which takes values, names and weights from `from`: release it first. */
enum sal_status sal_lower(struct sal_graph *to, const struct sal_graph *from,
                          const struct sal_lower_options *options, struct sal_error *err);

/* ---- for rules --------------------------------------------------------------------- */

struct sal_lowering {
    const struct sal_graph *from;
    struct sal_graph *to;
    const struct sal_lower_options *options;
    struct sal_error *err;
    struct sal_arena scratch;
    int *blocked;  /* [from's values] id of the blocked twin; -1: none */
    bool *plain;   /* [from's values] made in plain form (inputs and constants too) */
    bool *follows; /* [from's values] depends on what a backward may run for */
    int *uses;     /* [from's values] inputs of nodes, and one where it is kept */
    int *user;     /* [from's values] a node that uses it */
    int *ends;     /* [nodes] first node of the chain that is emitted here; -1: itself */
    int *owner;    /* [nodes] first node of the chain it belongs to; -1: none */
    bool *folded;  /* [nodes] part of a chain that is emitted elsewhere */
    int saved;     /* value that the next node saves, of to; -1: none */
    int values_room, nodes_room;
};

/* *taken is set where the rule emitted the node or put it into a chain that it will be
 * called for again, at its end: then `head` is the chain's first node and `node` its
 * last; else they are the same. */
struct sal_rule {
    enum sal_status (*lower)(struct sal_lowering *l, int head, int node, bool *taken);
};

enum sal_status sal_lower_no_memory(struct sal_lowering *l);

/* The node that alone uses what node i makes first, if nobody keeps that, no other chain
 * has it and no propagation rule stands in it; -1. */
int sal_lower_next(const struct sal_lowering *l, int i);

/* Whether node i (-1: none) is an operator of that name, without a propagation rule. */
bool sal_lower_is(const struct sal_lowering *l, int i, const char *name);

/* Whether node i may go into a chain: no other has it. */
static inline bool sal_lower_is_free(const struct sal_lowering *l, int i, int chain)
{
    return l->owner[i] < 0 || l->owner[i] == chain;
}

/* Value v of from. */
static inline const struct sal_tensor *sal_lower_tensor(const struct sal_lowering *l, int v)
{
    return &l->from->values[v].tensor;
}

/* A constant of real numbers; NULL: value v (or -1) is not. */
const struct sal_tensor *sal_lower_constant(const struct sal_lowering *l, int v);

/* The values of constant v, which may be many. Those of weights are better read where
 * they lie (stored.h). */
const sal_real *sal_lower_reals(const struct sal_lowering *l, int v);

/* Rank 4, real, computed: what can be blocked. */
bool sal_lower_blockable(const struct sal_lowering *l, int v);

/* A gradient may be wanted that passes value v, or ends there. */
static inline bool sal_lower_passes_gradient(const struct sal_lowering *l, int v)
{
    return v >= 0 && l->follows[v];
}

/* Has a blocked twin already. */
static inline bool sal_lower_is_blocked(const struct sal_lowering *l, int v)
{
    return v >= 0 && l->blocked[v] >= 0;
}

/* A new value of the lowered graph, -1 where there is no memory. */
int sal_lower_value(struct sal_lowering *l, const char *name, const struct sal_shape *shape);

/* A new constant of the lowered graph, which nobody writes; data lies as long as it does. */
enum sal_status sal_lower_data(struct sal_lowering *l, const char *name,
                               const struct sal_shape *shape, const sal_real *data, int *id);

/* The node that is emitted next leaves so many bytes for its backward, as output 1. */
enum sal_status sal_lower_save(struct sal_lowering *l, const char *name, int64_t bytes);

/* Emits a node. name is for messages. in and out are ids of the lowered graph. */
enum sal_status sal_lower_emit(struct sal_lowering *l, const struct sal_op *op,
                               const char *name, const void *attr, const int *in, int n_in,
                               int out);

/* Makes sure that value v lies there in plain form; its id stays v. */
enum sal_status sal_lower_plain(struct sal_lowering *l, int v);

/* The id of v's blocked twin, made if it is not there. */
enum sal_status sal_lower_blocked(struct sal_lowering *l, int v, int *twin);

/* Emits what makes value v, in plain form. */
enum sal_status sal_lower_emit_plain(struct sal_lowering *l, const struct sal_op *op,
                                     const char *name, const void *attr, const int *in,
                                     int n_in, int v);

/* Emits what makes value v, in blocked form; where v is kept, its plain form follows
 * and takes the twin's place. */
enum sal_status sal_lower_emit_blocked(struct sal_lowering *l, const struct sal_op *op,
                                       const char *name, const void *attr, const int *in,
                                       int n_in, int v);

/* Marks nodes, in order, as one chain: emitted where its last one was. */
void sal_lower_fold(struct sal_lowering *l, const int *nodes, int n);

/* ---- what operators say of themselves ------------------------------------------------ */

struct sal_conv_geometry;
struct sal_window;

/* False where node is not a two-dimensional Conv. */
bool sal_conv_geometry_of(const struct sal_node *node, const struct sal_shape *x,
                          const struct sal_shape *w, struct sal_conv_geometry *g);

/* y = x * scale[c] + shift[c] of a BatchNormalization whose vectors are constant: fills
 * both, `channels` long; false where it trains. in: its five inputs. */
bool sal_batch_norm_affine(const struct sal_node *node, const struct sal_tensor *const *in,
                           sal_real *scale, sal_real *shift);

/* Relu, or Clip between constants; false where node is neither. */
bool sal_clamp_of(const struct sal_graph *graph, const struct sal_node *node, sal_real *low,
                  sal_real *high);

/* The axis of a Concat of that rank; -1: node is none. */
int sal_concat_axis(const struct sal_node *node, int rank);

/* A Concat's attr; NULL: no memory. */
const void *sal_concat_attr(struct sal_arena *arena, int axis);

/* The window of a two-dimensional Conv, kernel and pads as they are. */
void sal_conv_window_of(const struct sal_node *node, const struct sal_conv_geometry *g,
                        struct sal_window *window);

/* Swish, and its attributes for an alpha of 1. */
extern const struct sal_op sal_op_Swish;
const void *sal_swish_plain(void);

/* The axis of a Gather from a tensor of that rank. */
int sal_gather_axis(const struct sal_node *node, int rank);

/* Whether a Softmax goes along the last of so many axes, and no further. */
bool sal_softmax_is_last(const struct sal_node *node, int rank);

/* The permutation of a Transpose that has one; NULL. */
struct sal_int_list;
const struct sal_int_list *sal_transpose_axes(const struct sal_node *node);

/* Gemm without transposed A, alpha and beta 1: whether B is transposed. False: another. */
bool sal_gemm_is_plain(const struct sal_node *node, bool *b_transposed);

/* Gelu, and its attributes where it is made of the normal distribution. */
extern const struct sal_op sal_op_Gelu;
const void *sal_gelu_exact(void);

/* ---- what rules share ---------------------------------------------------------------- */

/* Nodes that compute gelu(x) together, as exporters write it. */
struct sal_gelu_nodes {
    int node[5]; /* in order */
    int n;
    int x, y; /* values */
};

/* The nodes that begin with node `first`; false: they are none, or somebody else reads
 * what is between them. `chain`: head of the chain they may belong to already; -1. */
bool sal_lower_gelu_at(const struct sal_lowering *l, int first, int chain,
                       struct sal_gelu_nodes *gelu);

/* The two nodes that make x * sigmoid(x), if nobody else reads x; `chain` likewise. */
bool sal_lower_swish_of(const struct sal_lowering *l, int x, int chain, int *sigmoid,
                        int *product);

/* Node is a Transpose from channels last to channels first, of four axes. */
bool sal_lower_turns_first(const struct sal_node *node);

/* The attribute of inner_rows.h for value v, channels first; NULL: no memory. */
struct sal_blocked *sal_lower_rows_attr(struct sal_lowering *l, int v);

/* ---- rules ---------------------------------------------------------------------------- */

extern const struct sal_rule sal_lower_attention;
extern const struct sal_rule sal_lower_affine;
extern const struct sal_rule sal_lower_conv;
extern const struct sal_rule sal_lower_concat;
extern const struct sal_rule sal_lower_gelu;
extern const struct sal_rule sal_lower_linear;
extern const struct sal_rule sal_lower_rows;
extern const struct sal_rule sal_lower_pointwise;
extern const struct sal_rule sal_lower_pool;
extern const struct sal_rule sal_lower_swish;

#endif
