/* Operators that exponentials make: vector kernels do the work (lanes.h). */
#include <string.h>

#include "kernel.h"
#include "lanes.h"
#include "lower.h"
#include "real.h"

enum { PIECE = 512 }; /* elements worked on at once, in the first cache */

struct exponential {
    sal_real alpha; /* Swish */
    bool by_tanh;   /* Gelu */
};

static struct exponential *attributes(struct sal_node *node, struct sal_arena *arena,
                                      struct sal_error *err)
{
    struct exponential *own = sal_new(arena, struct exponential, 1);
    if (!own)
        sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = own;
    return own;
}

static enum sal_status swish_parse(struct sal_node *node,
                                   const struct sal_onnx_node *source,
                                   struct sal_arena *arena, struct sal_error *err)
{
    struct exponential *own = attributes(node, arena, err);
    if (!own)
        return SAL_LIMIT;
    double alpha = 1;
    enum sal_status status = sal_attr_float(source, "alpha", 1, &alpha, err);
    own->alpha = (sal_real)alpha;
    return status;
}

static enum sal_status gelu_parse(struct sal_node *node, const struct sal_onnx_node *source,
                                  struct sal_arena *arena, struct sal_error *err)
{
    struct exponential *own = attributes(node, arena, err);
    const char *word = "";
    if (!own)
        return SAL_LIMIT;
    enum sal_status status = sal_attr_string(source, "approximate", "none", &word, err);
    own->by_tanh = strcmp(word, "tanh") == 0;
    if (!status && !own->by_tanh && strcmp(word, "none") != 0)
        status = sal_node_fail(node, err, SAL_UNSUPPORTED,
                               "approximate is '%.40s', must be none or tanh", word);
    return status;
}

const void *sal_swish_plain(void)
{
    static const struct exponential plain = {.alpha = 1};
    return &plain;
}

const void *sal_gelu_exact(void)
{
    static const struct exponential exact = {.by_tanh = false};
    return &exact;
}

/* ---- values and slopes of a piece: from x or, where that is simpler, from y ---------- */

#define TWO_OVER_SQRT_PI SAL_REAL_OF(1.12837916709551257390)
#define SQRT_HALF SAL_REAL_OF(0.70710678118654752440)
#define CUBIC SAL_REAL_OF(0.044715)

/* (1 + tanh(u)) / 2 is sigmoid(2 u): this is 2 u, and its slope. */
static inline sal_real gelu_bend(sal_real x)
{
    return 2 * TWO_OVER_SQRT_PI * SQRT_HALF * x * (1 + CUBIC * x * x);
}

static inline sal_real gelu_bend_slope(sal_real x)
{
    return 2 * TWO_OVER_SQRT_PI * SQRT_HALF * (1 + 3 * CUBIC * x * x);
}

static void gelu_values(const struct exponential *own, const sal_real *x, sal_real *y,
                        int64_t n)
{
    if (!own->by_tanh) {
        sal_lanes()->gelu(y, x, n);
        return;
    }
    sal_real gate[PIECE];
    for (int64_t i = 0; i < n; i++)
        gate[i] = gelu_bend(x[i]);
    sal_lanes()->sigmoid(gate, gate, n);
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * gate[i];
}

static void gelu_slopes(const struct exponential *own, const sal_real *x, const sal_real *y,
                        sal_real *slope, int64_t n)
{
    (void)y;
    if (!own->by_tanh) {
        sal_lanes()->gelu_slope(slope, x, n);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        slope[i] = gelu_bend(x[i]);
    sal_lanes()->sigmoid(slope, slope, n);
    for (int64_t i = 0; i < n; i++) {
        const sal_real s = slope[i], change = s * (1 - s);
        slope[i] = change > 0 ? s + x[i] * change * gelu_bend_slope(x[i]) : s;
    }
}

static void swish_values(const struct exponential *own, const sal_real *x, sal_real *y,
                         int64_t n)
{
    sal_real gate[PIECE];
    for (int64_t i = 0; i < n; i++)
        gate[i] = own->alpha * x[i];
    sal_lanes()->sigmoid(gate, gate, n);
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * gate[i];
}

static void swish_slopes(const struct exponential *own, const sal_real *x,
                         const sal_real *y, sal_real *slope, int64_t n)
{
    const sal_real alpha = own->alpha;
    (void)y;
    for (int64_t i = 0; i < n; i++)
        slope[i] = alpha * x[i];
    sal_lanes()->sigmoid(slope, slope, n);
    for (int64_t i = 0; i < n; i++)
        slope[i] += alpha * x[i] * slope[i] * (1 - slope[i]);
}

static void erf_slopes(const struct exponential *own, const sal_real *x, const sal_real *y,
                       sal_real *slope, int64_t n)
{
    (void)own, (void)y;
    for (int64_t i = 0; i < n; i++)
        slope[i] = -x[i] * x[i];
    sal_lanes()->exp(slope, slope, n);
    for (int64_t i = 0; i < n; i++)
        slope[i] *= TWO_OVER_SQRT_PI;
}

#define BY_KERNEL(name)                                                                \
    static void name##_values(const struct exponential *own, const sal_real *x,        \
                              sal_real *y, int64_t n)                                  \
    {                                                                                  \
        (void)own;                                                                     \
        sal_lanes()->name(y, x, n);                                                    \
    }

#define BY_VALUE(name, value)                                                          \
    static void name##_slopes(const struct exponential *own, const sal_real *x,        \
                              const sal_real *y, sal_real *slope, int64_t n)           \
    {                                                                                  \
        (void)own, (void)x;                                                            \
        for (int64_t i = 0; i < n; i++)                                                \
            slope[i] = value;                                                          \
    }

BY_KERNEL(erf)
BY_KERNEL(exp)
BY_KERNEL(sigmoid)
BY_KERNEL(tanh)
BY_VALUE(exp, y[i])
BY_VALUE(sigmoid, y[i] * (1 - y[i]))
BY_VALUE(tanh, 1 - y[i] * y[i])

/* ---- rows of the table --------------------------------------------------------------- */

static inline void pull(const struct sal_kernel *k, const sal_real *slope,
                        const sal_real *dy, sal_real *dx, int64_t n)
{
    const bool fresh = k->fresh & 1;
    for (int64_t i = 0; i < n && fresh; i++)
        dx[i] = dy[i] * slope[i];
    for (int64_t i = 0; i < n && !fresh; i++)
        dx[i] += dy[i] * slope[i];
}

#define ROW(op_name, op_since, family, op_parse, of_x, of_y)                           \
    static void family##_forward_pieces(const struct sal_kernel *k, int64_t from,      \
                                      int64_t to, int worker)                          \
    {                                                                                  \
        (void)worker;                                                                  \
        for (int64_t at = from; at < to; at += PIECE)                                  \
            family##_values(k->node->attr, k->in[0]->real + at, k->out[0]->real + at,  \
                          sal_least(PIECE, to - at));                                  \
    }                                                                                  \
    static void family##_backward_pieces(const struct sal_kernel *k, int64_t from,     \
                                       int64_t to, int worker)                         \
    {                                                                                  \
        (void)worker;                                                                  \
        sal_real slope[PIECE];                                                         \
        for (int64_t at = from; at < to; at += PIECE) {                                \
            const int64_t n = sal_least(PIECE, to - at);                               \
            const sal_real *dy = k->dy[0] + at;                                        \
            sal_real *dx = k->dx[0] + at;                                              \
            family##_slopes(k->node->attr, k->in[0]->real + at, k->out[0]->real + at,  \
                          slope, n);                                                   \
            pull(k, slope, dy, dx, n);                                                 \
        }                                                                              \
    }                                                                                  \
    static void family##_forward(const struct sal_kernel *k)                           \
    {                                                                                  \
        sal_split(k->pool, sal_shape_count(&k->out[0]->shape), SAL_TILE,               \
                  family##_forward_pieces, k);                                         \
    }                                                                                  \
    static void family##_backward(const struct sal_kernel *k)                          \
    {                                                                                  \
        if (k->dx[0] && k->dy[0])                                                      \
            sal_split(k->pool, sal_shape_count(&k->out[0]->shape), SAL_TILE,           \
                      family##_backward_pieces, k);                                    \
    }                                                                                  \
    const struct sal_op sal_op_##op_name = {                                           \
        .name = #op_name,                                                              \
        .since = op_since,                                                             \
        .until = SAL_OPSET_MAX,                                                        \
        .pointwise = true,                                                             \
        .min_in = 1,                                                                   \
        .max_in = 1,                                                                   \
        .max_out = 1,                                                                  \
        .parse = op_parse,                                                             \
        .infer = sal_infer_same_real,                                                  \
        .forward = family##_forward,                                                   \
        .backward = family##_backward,                                                 \
        .in_place = 1u << 0,                                                           \
        .begins = true,                                                                \
        .frugal = true,                                                                \
        .reads = {{.in = of_x, .out = of_y}},                                          \
    };

ROW(Erf, 9, erf, NULL, 1, 0)
ROW(Exp, 1, exp, NULL, 0, 1)
ROW(Gelu, 20, gelu, gelu_parse, 1, 0)
ROW(Sigmoid, 1, sigmoid, NULL, 0, 1)
ROW(Swish, 24, swish, swish_parse, 1, 0)
ROW(Tanh, 1, tanh, NULL, 0, 1)
