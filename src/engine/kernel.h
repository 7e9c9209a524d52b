/*
 * What operators' files share beyond op.h: inputs that may be absent, outputs
 * with checked shapes, types and their kinds, and work cut for the pool.
 */
#ifndef SALISCOPE_ENGINE_KERNEL_H
#define SALISCOPE_ENGINE_KERNEL_H

#include "op.h"

/* Elements of a tile of cheap element-wise work. */
#define SAL_TILE INT64_C(16384)

/* An operator's reads, the same for the gradient of every input. */
#define SAL_READS(in, out) {{in, out}, {in, out}, {in, out}}

#define SAL_COUNT_MAX (INT64_C(1) << 40)

/* NULL where the input is left out, whether by name or by a shorter list. */
static inline const struct sal_tensor *sal_infer_in(const struct sal_infer *infer, int i)
{
    return i < infer->node->n_in ? infer->in[i] : NULL;
}

static inline const struct sal_tensor *sal_kernel_in(const struct sal_kernel *k, int i)
{
    return i < k->node->n_in ? k->in[i] : NULL;
}

static inline const struct sal_tensor *sal_kernel_out(const struct sal_kernel *k, int i)
{
    return i < k->node->n_out ? k->out[i] : NULL;
}

static inline sal_real *sal_kernel_dx(const struct sal_kernel *k, int i)
{
    return i < k->node->n_in ? k->dx[i] : NULL;
}

static inline const sal_real *sal_kernel_dy(const struct sal_kernel *k, int i)
{
    return i < k->node->n_out ? k->dy[i] : NULL;
}

static inline int64_t sal_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* value as an integer type or bool holds it: narrower types wrap, bool is 0 or 1. */
int64_t sal_int_wrap(int type, int64_t value);

/* The least and the greatest value of such a type, as far as int64 holds them. */
int64_t sal_int_lowest(int type);
int64_t sal_int_highest(int type);

/* Towards zero; what int64 cannot hold saturates, NaN is 0. */
int64_t sal_truncate(sal_real x);

/* Element i as an integer: a real one truncated and kept within -2^62..2^62. */
int64_t sal_tensor_int(const struct sal_tensor *tensor, int64_t i);

/* A whole x kept within least..most; NaN is least. */
static inline int64_t sal_int_clamp(sal_real x, int64_t least, int64_t most)
{
    return x >= (sal_real)most ? most : x > (sal_real)least ? (int64_t)x : least;
}

/* x as a floating type holds it: float16 and bfloat16 round to nearest, ties to even,
 * through subnormals to 0 and past the greatest to infinity; wider types are what
 * everything is computed in, and keep x. */
sal_real sal_real_as(int type, sal_real x);

/* Sets output i (nothing, where nobody wants it). Dims that are negative are
 * SAL_BAD_INPUT, 2^40 elements or more SAL_LIMIT. */
enum sal_status sal_infer_set(const struct sal_infer *infer, int i, enum sal_kind kind,
                              int type, const struct sal_shape *shape,
                              struct sal_error *err);

/* sal_infer_set with the kind and type of tensor. */
enum sal_status sal_infer_like(const struct sal_infer *infer, int i,
                               const struct sal_tensor *tensor,
                               const struct sal_shape *shape, struct sal_error *err);

/* Output 1 is memory of so many bytes that a forward leaves for its backward: integers, so
 * that no gradient is looked for there. */
enum sal_status sal_infer_saved(const struct sal_infer *infer, int64_t bytes,
                                struct sal_error *err);

/* Its shape. */
struct sal_shape sal_saved_shape(int64_t bytes);

/* Input i is there, of whatever kind. */
enum sal_status sal_infer_present(const struct sal_infer *infer, int i,
                                  struct sal_error *err);

/* Input i is a constant list of integers: rank 0 or 1. SAL_UNSUPPORTED where it is
 * not constant: `what` names it ("shape"). */
enum sal_status sal_infer_ints(const struct sal_infer *infer, int i, const char *what,
                               const int64_t **values, int64_t *n, struct sal_error *err);

/* Input i is one constant number, of whatever kind; a real one is truncated. */
enum sal_status sal_infer_number(const struct sal_infer *infer, int i, const char *what,
                                 int64_t *value, struct sal_error *err);

/* A list of integers that is an attribute before opset `input_since` and input 1
 * from there on. *values is NULL where it is left out. The attribute was parsed
 * into `list`. */
struct sal_int_list {
    const int64_t *values;
    int n;
};
enum sal_status sal_infer_list(const struct sal_infer *infer, int input_since, int i,
                               const char *what, const struct sal_int_list *list,
                               const int64_t **values, int64_t *n,
                               struct sal_error *err);

/* Axes in -rank..rank-1 as flags; each at most once. */
enum sal_status sal_infer_axes(const struct sal_infer *infer, const int64_t *axes,
                               int64_t n, int rank, bool chosen[SAL_RANK_MAX],
                               struct sal_error *err);

/* Calls work for pieces of 0..n-1 that are `grain` long (the last may be shorter;
 * pieces grow where there would be too many), in any order and at once. */
void sal_split(struct sal_pool *pool, int64_t n, int64_t grain,
               void (*work)(const struct sal_kernel *k, int64_t from, int64_t to,
                            int worker),
               const struct sal_kernel *k);

/* Rows of `cost` elements each that make up one tile. */
static inline int64_t sal_grain(int64_t cost)
{
    return cost < 1 ? SAL_TILE : cost < SAL_TILE ? SAL_TILE / cost : 1;
}

/* to[i] += from[i] */
void sal_add(sal_real *to, const sal_real *from, int64_t n);

/* n zeros, by all threads. */
void sal_zero(sal_real *x, int64_t n, struct sal_pool *pool);

/* The sum of n values, by partial sums of a fixed length, which keeps long sums of
 * floats accurate. */
sal_real sal_sum(const sal_real *x, int64_t n);

/* Adds term, an expression in i, for every i of 0..n-1 to sum, in the same manner. */
enum { SAL_SUM_PART = 256 };
#define SAL_SUM(sum, i, n, term)                                                       \
    for (int64_t i##_from = 0; i##_from < (n); i##_from += SAL_SUM_PART) {             \
        const int64_t i##_to = sal_least((n), i##_from + SAL_SUM_PART);                \
        sal_real i##_term[SAL_SUM_PART];                                               \
        for (int64_t i = i##_from; i < i##_to; i++)                                    \
            i##_term[i - i##_from] = (term);                                           \
        (sum) += sal_sum(i##_term, i##_to - i##_from);                                 \
    }

/* The pull-back to input 1, which was added to output 0 element by element, for an
 * operator that `begins`. */
void sal_added_backward(const struct sal_kernel *k);

/* A carry: each axis of the output follows the input's own, in order; exactly where it
 * keeps its size. For windows, pads and whatever else scales axes in place. */
void sal_carry_in_order(const struct sal_kernel *k, int input, int output,
                        struct sal_carry *carry);

/* Output 0 = input 0, element for element, of either kind, and its pull-back:
 * whole forwards and backwards of what only renames or reshapes. */
void sal_pass_forward(const struct sal_kernel *k);
void sal_pass_backward(const struct sal_kernel *k);

#endif
