#include "kernel.h"
#include "lanes.h"
#include "real.h"

/* Up to two numbers that an operator has as attributes. */
struct unary {
    sal_real p, q;
};

struct number {
    const char *name; /* NULL: none */
    double fallback;
    bool divides; /* must not be 0 */
};

static enum sal_status read_number(const struct sal_node *node,
                                   const struct sal_onnx_node *source,
                                   const struct number *number, double *value,
                                   struct sal_error *err)
{
    if (!number->name)
        return SAL_OK;
    enum sal_status status =
        sal_attr_float(source, number->name, number->fallback, value, err);
    if (!status && number->divides && *value == 0)
        status = sal_node_fail(node, err, SAL_BAD_INPUT, "%s is 0, must not be",
                               number->name);
    return status;
}

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct number p, struct number q,
                             struct sal_error *err)
{
    struct unary *unary = sal_new(arena, struct unary, 1);
    if (!unary)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    double value[2] = {0};
    enum sal_status status = read_number(node, source, &p, &value[0], err);
    if (!status)
        status = read_number(node, source, &q, &value[1], err);
    *unary = (struct unary){(sal_real)value[0], (sal_real)value[1]};
    node->attr = unary;
    return status;
}

static void split(const struct sal_kernel *k,
                  void (*work)(const struct sal_kernel *k, int64_t from, int64_t to,
                               int worker))
{
    sal_split(k->pool, sal_shape_count(&k->out[0]->shape), SAL_TILE, work, k);
}

/* An operator's parameters and its value at x. The slope of that value y follows; the
 * subgradient at a kink is the one PyTorch takes. */
#define VALUES(op_name, p_number, q_number, value)                                     \
    static enum sal_status op_name##_parse(                                            \
        struct sal_node *node, const struct sal_onnx_node *source,                     \
        struct sal_arena *arena, struct sal_error *err)                                \
    {                                                                                  \
        return parse(node, source, arena, p_number, q_number, err);                    \
    }                                                                                  \
    static void op_name##_values(const struct sal_kernel *k, int64_t from, int64_t to, \
                                 int worker)                                           \
    {                                                                                  \
        const sal_real *in = k->in[0]->real;                                           \
        sal_real *out = k->out[0]->real;                                               \
        const struct unary *unary = k->node->attr;                                     \
        const sal_real p = unary->p, q = unary->q;                                     \
        (void)p, (void)q, (void)worker;                                                \
        for (int64_t i = from; i < to; i++) {                                          \
            const sal_real x = in[i];                                                  \
            out[i] = value;                                                            \
        }                                                                              \
    }

/* The same for the slope; integers have one where they are quantised. */
#define SLOPES(function, type, field, slope)                                           \
    static void function(const struct sal_kernel *k, int64_t from, int64_t to,         \
                         int worker)                                                   \
    {                                                                                  \
        const type *in = k->in[0]->field, *out = k->out[0]->field;                     \
        const sal_real *dy = k->dy[0];                                                 \
        sal_real *dx = k->dx[0];                                                       \
        const struct unary *unary = k->node->attr;                                     \
        const sal_real p = unary->p, q = unary->q;                                     \
        (void)p, (void)q, (void)worker;                                                \
        for (int64_t i = from; i < to; i++) {                                          \
            const sal_real x = (sal_real)in[i], y = (sal_real)out[i];                  \
            (void)x, (void)y;                                                          \
            dx[i] += dy[i] * (slope);                                                  \
        }                                                                              \
    }

#define ROW(op_name, op_since, op_infer, of, quantised)                                \
    const struct sal_op sal_op_##op_name = {                                           \
        .name = #op_name,                                                              \
        .since = op_since,                                                             \
        .until = SAL_OPSET_MAX,                                                        \
        .pointwise = true,                                                        \
        .min_in = 1,                                                                   \
        .max_in = 1,                                                                   \
        .max_out = 1,                                                                  \
        .parse = op_name##_parse,                                                      \
        .infer = op_infer,                                                             \
        .forward = op_name##_forward,                                                  \
        .backward = op_name##_backward,                                                \
        .in_place = 1u << 0,                                                           \
        .frugal = true,                                                                \
        .reads = {{.in = ((of) & OF_X) != 0, .out = ((of) & OF_Y) != 0}},              \
        .takes_quantised = quantised,                                                  \
    };

/* What a slope is made of. */
enum { OF_X = 1, OF_Y = 2 };

/* One operator of real x: its parameters p and q with their defaults,
 * value and slope, and what the slope is made of. */
#define UNARY(op_name, op_since, p_number, q_number, value, slope, of)                 \
    VALUES(op_name, p_number, q_number, value)                                         \
    SLOPES(op_name##_slopes, sal_real, real, slope)                                    \
    static void op_name##_forward(const struct sal_kernel *k)                          \
    {                                                                                  \
        split(k, op_name##_values);                                                    \
    }                                                                                  \
    static void op_name##_backward(const struct sal_kernel *k)                         \
    {                                                                                  \
        if (k->dx[0] && k->dy[0])                                                      \
            split(k, op_name##_slopes);                                                \
    }                                                                                  \
    ROW(op_name, op_since, sal_infer_same_real, of, false)

/* The same for one that is defined for integers too. */
#define UNARY_BOTH(op_name, op_since, p_number, q_number, value, slope, of, int_value) \
    VALUES(op_name, p_number, q_number, value)                                         \
    SLOPES(op_name##_slopes, sal_real, real, slope)                                    \
    WITH_INTEGERS(op_name, op_since, slope, of, int_value)

/* What remains to be said where the loops for real x are there. */
#define WITH_INTEGERS(op_name, op_since, slope, of, int_value)                         \
    SLOPES(op_name##_int_slopes, int64_t, i64, slope)                                  \
    static void op_name##_integers(const struct sal_kernel *k, int64_t from,           \
                                   int64_t to, int worker)                             \
    {                                                                                  \
        const int64_t *in = k->in[0]->i64;                                             \
        int64_t *out = k->out[0]->i64;                                                 \
        const struct unary *unary = k->node->attr;                                     \
        const sal_real p = unary->p, q = unary->q;                                     \
        (void)p, (void)q, (void)worker;                                                \
        for (int64_t i = from; i < to; i++) {                                          \
            const int64_t x = in[i];                                                   \
            out[i] = sal_int_wrap(k->out[0]->type, int_value);                         \
        }                                                                              \
    }                                                                                  \
    static void op_name##_forward(const struct sal_kernel *k)                          \
    {                                                                                  \
        split(k, k->out[0]->kind == SAL_REAL ? op_name##_values : op_name##_integers); \
    }                                                                                  \
    static void op_name##_backward(const struct sal_kernel *k)                         \
    {                                                                                  \
        bool real = k->out[0]->kind == SAL_REAL;                                       \
        if (k->dx[0] && k->dy[0])                                                      \
            split(k, real ? op_name##_slopes : op_name##_int_slopes);                  \
    }                                                                                  \
    ROW(op_name, op_since, sal_infer_same, of, true)

#define NUMBER(name, fallback) ((struct number){name, fallback, false})
#define DIVISOR(name, fallback) ((struct number){name, fallback, true})
#define NONE NUMBER(NULL, 0)

static inline sal_real sigmoid(sal_real x)
{
    return 1 / (1 + sal_exp(-x));
}

static inline sal_real softplus(sal_real x)
{
    return x > 0 ? x + sal_log1p(sal_exp(-x)) : sal_log1p(sal_exp(x));
}

static inline sal_real clamp(sal_real x, sal_real low, sal_real high)
{
    return x < low ? low : x > high ? high : x;
}

static inline sal_real sign(sal_real x)
{
    return x > 0 ? 1 : x < 0 ? -1 : x;
}

/* d/dx x * tanh(softplus(x)), t = tanh(softplus(x)) */
static inline sal_real mish_slope(sal_real x, sal_real t)
{
    return t + x * (1 - t * t) * sigmoid(x);
}

#define SIXTH(x) ((x) / 6)

static inline sal_real shrink(sal_real x, sal_real lambd, sal_real bias)
{
    return x < -lambd ? x + bias : x > lambd ? x - bias : 0;
}

UNARY(Acos, 7, NONE, NONE, sal_acos(x), -1 / sal_sqrt((1 - x) * (1 + x)), OF_X)
UNARY(Acosh, 9, NONE, NONE, sal_acosh(x), 1 / sal_sqrt((x - 1) * (x + 1)), OF_X)
UNARY(Asin, 7, NONE, NONE, sal_asin(x), 1 / sal_sqrt((1 - x) * (1 + x)), OF_X)
UNARY(Asinh, 9, NONE, NONE, sal_asinh(x), 1 / sal_hypot(x, 1), OF_X)
UNARY(Atan, 7, NONE, NONE, sal_atan(x), 1 / (1 + x * x), OF_X)
UNARY(Atanh, 9, NONE, NONE, sal_atanh(x), 1 / ((1 - x) * (1 + x)), OF_X)
UNARY(Ceil, 1, NONE, NONE, sal_ceil(x), 0, 0)
UNARY(Celu, 12, DIVISOR("alpha", 1), NONE, x > 0 ? x : p * sal_expm1(x / p),
      x > 0 ? 1 : sal_exp(x / p), OF_X)
UNARY(Cos, 7, NONE, NONE, sal_cos(x), -sal_sin(x), OF_X)
UNARY(Cosh, 9, NONE, NONE, sal_cosh(x), sal_sinh(x), OF_X)
UNARY(Elu, 1, NUMBER("alpha", 1), NONE, x > 0 ? x : p * sal_expm1(x), x > 0 ? 1 : y + p,
      OF_X | OF_Y)
UNARY(Floor, 1, NONE, NONE, sal_floor(x), 0, 0)
UNARY(HardSigmoid, 1, NUMBER("alpha", 0.2), NUMBER("beta", 0.5), clamp(p * x + q, 0, 1),
      p * x + q > 0 && p * x + q < 1 ? p : 0, OF_X)
UNARY(HardSwish, 14, NONE, NONE, SIXTH(x * clamp(x + 3, 0, 6)),
      x <= -3 ? 0 : x >= 3 ? 1 : SIXTH(2 * x + 3), OF_X)
UNARY(LeakyRelu, 1, NUMBER("alpha", 0.01), NONE, x < 0 ? p * x : x, x > 0 ? 1 : p, OF_X)
UNARY(Log, 1, NONE, NONE, sal_log(x), 1 / x, OF_X)
UNARY(Mish, 18, NONE, NONE, x * sal_tanh(softplus(x)),
      mish_slope(x, sal_tanh(softplus(x))), OF_X)
UNARY(Reciprocal, 1, NONE, NONE, 1 / x, -y * y, OF_Y)
UNARY(Round, 11, NONE, NONE, sal_rint(x), 0, 0)
UNARY(Selu, 6, NUMBER("alpha", 1.67326319217681884765625),
      NUMBER("gamma", 1.05070102214813232421875), x > 0 ? q * x : q * p * sal_expm1(x),
      x > 0 ? q : y + q * p, OF_X | OF_Y)
UNARY(Sin, 7, NONE, NONE, sal_sin(x), sal_cos(x), OF_X)
UNARY(Sinh, 9, NONE, NONE, sal_sinh(x), sal_cosh(x), OF_X)
UNARY(Softplus, 1, NONE, NONE, softplus(x), sigmoid(x), OF_X)
UNARY(Softsign, 1, NONE, NONE, x / (1 + sal_abs(x)),
      1 / ((1 + sal_abs(x)) * (1 + sal_abs(x))), OF_X)
UNARY(Sqrt, 1, NONE, NONE, sal_sqrt(x), 1 / (2 * y), OF_Y)
UNARY(Tan, 7, NONE, NONE, sal_tan(x), 1 + y * y, OF_Y)
UNARY(ThresholdedRelu, 10, NUMBER("alpha", 1), NONE, x > p ? x : 0, x > p ? 1 : 0, OF_X)

/* ---- real and integer ---------------------------------------------------------- */

#define NEGATED(x) ((int64_t)(0 - (uint64_t)(x)))

UNARY_BOTH(Abs, 1, NONE, NONE, sal_abs(x), sign(x), OF_X, x < 0 ? NEGATED(x) : x)
UNARY_BOTH(Neg, 1, NONE, NONE, -x, -1, 0, NEGATED(x))

/* The most frequent of all has loops of its own. Its slope at 0 is 0. */
static enum sal_status Relu_parse(struct sal_node *node,
                                  const struct sal_onnx_node *source,
                                  struct sal_arena *arena, struct sal_error *err)
{
    return parse(node, source, arena, NONE, NONE, err);
}

static void Relu_values(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    sal_lanes()->clamp(k->in[0]->real + from, to - from, 0, SAL_INFINITY,
                       k->out[0]->real + from);
}

static void Relu_slopes(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    sal_lanes()->clamp_back(k->out[0]->real + from, k->dy[0] + from, to - from, 0,
                            SAL_INFINITY, true, k->dx[0] + from);
}

WITH_INTEGERS(Relu, 1, y > 0 ? 1 : 0, OF_Y, x < 0 ? 0 : x)

UNARY_BOTH(Shrink, 9, NUMBER("lambd", 0.5), NUMBER("bias", 0), shrink(x, p, q),
           x < -p || x > p, OF_X, sal_truncate(shrink((sal_real)x, p, q)))
UNARY_BOTH(Sign, 9, NONE, NONE, sign(x), 0, 0, (x > 0) - (x < 0))
