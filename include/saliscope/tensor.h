/*
 * Tensors as the engine sees them: dense, row-major, one of two kinds.
 *
 * Every floating type is computed in sal_real, every integer type and bool in
 * int64; the ONNX type is remembered for what depends on it. Integers are kept
 * within their type by every operator that makes them. Floats are not: float16 and
 * bfloat16 lose digits in Cast, CastLike and QuantizeLinear only, whose gradient is
 * the one without rounding (straight-through), and float64 is computed like float32.
 * sal_real is float, and double in the test build's twin (-DSAL_DOUBLE): one source,
 * two precisions, so that gradients are checked where finite differences mean
 * something. Plain data; no ownership here.
 */
#ifndef SALISCOPE_TENSOR_H
#define SALISCOPE_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef SAL_DOUBLE
typedef double sal_real;
#else
typedef float sal_real;
#endif

/* One at any address, as files have them. */
typedef sal_real sal_loose __attribute__((aligned(1)));

enum { SAL_RANK_MAX = 8 };

enum sal_kind { SAL_REAL, SAL_INT };

struct sal_shape {
    int rank;                  /* 0 (a scalar) .. SAL_RANK_MAX */
    int64_t dim[SAL_RANK_MAX]; /* >= 0 */
};

struct sal_tensor {
    enum sal_kind kind;
    int type; /* enum sal_onnx_type it was declared or inferred as */
    bool quantised; /* integers that stand for real numbers (QuantizeLinear made
                       them): a gradient passes, in sal_real per element */
    struct sal_shape shape;
    union {
        sal_real *real;
        int64_t *i64;
        void *data; /* NULL while the values are not known */
    };
    struct sal_stored *stored; /* a large constant may not be in data yet: the engine's
                                  stored.h; NULL: it is */
};

/* Number of elements; shapes in the engine are checked to stay below 2^40. */
int64_t sal_shape_count(const struct sal_shape *shape);

/* Product of dim[from..to-1]. */
int64_t sal_shape_span(const struct sal_shape *shape, int from, int to);

int sal_shape_equal(const struct sal_shape *a, const struct sal_shape *b);

/* "1x3x224x224", "scalar"; dst is terminated and returned. */
char *sal_shape_text(const struct sal_shape *shape, char *dst, size_t capacity);

/* Bytes of one element of that kind. */
size_t sal_kind_size(enum sal_kind kind);

#endif
