/*
 * DeepLIFT: multipliers of differences between an input and its reference.
 *
 * What is linear keeps its gradient, which is its multiplier. A function of one value has
 * the quotient of the differences (rescale rule). Products and quotients of two values are
 * split exactly: a b - a0 b0 = (a - a0) (b + b0) / 2 + (b - b0) (a + a0) / 2.
 */
#include <string.h>

#include "propagation.h"
#include "propagation_parts.h"
#include "real.h"

static const sal_real least = (sal_real)1e-10; /* difference that counts: Captum's */

/* ---- functions of one value --------------------------------------------------------- */

static size_t rescale_room(const struct sal_kernel *k)
{
    return (size_t)sal_tensor_count(k->out[0]);
}

/* The gradient of input i alone, into g. */
static void own_gradient(const struct sal_kernel *k, int i, sal_real *g)
{
    sal_real *dx[SAL_RULED_INPUTS] = {0};
    struct sal_kernel own = *k;
    memset(g, 0, sizeof(*g) * (size_t)sal_tensor_count(k->in[i]));
    dx[i] = g;
    own.dx = dx;
    sal_own_backward(&own);
}

static void rescale_piece(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const int at = sal_wanted(k);
    const sal_real *x = k->in[at]->real, *x0 = k->reference->in[at]->real;
    const sal_real *y = k->out[0]->real, *y0 = k->reference->out[0]->real;
    const sal_real *g = sal_ruled_room(k), *dy = k->dy[0];
    sal_real *dx = k->dx[at];
    for (int64_t i = from; i < to; i++) {
        const sal_real difference = x[i] - x0[i];
        dx[i] += sal_abs(difference) < least ? g[i] : dy[i] * ((y[i] - y0[i]) / difference);
    }
}

static void rescale(const struct sal_kernel *k)
{
    int at = sal_wanted(k);
    if (at < 0 || !k->dy[0])
        return;
    own_gradient(k, at, sal_ruled_room(k));
    sal_split(k->pool, sal_tensor_count(k->out[0]), SAL_TILE, rescale_piece, k);
}

/* ---- maxima ------------------------------------------------------------------------------ */

static size_t max_room(const struct sal_kernel *k)
{
    return (size_t)(2 * sal_tensor_count(k->out[0]) + 3 * sal_tensor_count(k->in[0]));
}

/* Where the greatest lies, in x and in the reference, it gets its part of the difference.
 * Captum's rule, but that it adds up where windows overlap. */
static void maximum(const struct sal_kernel *k)
{
    if (!k->dx[0] || !k->dy[0])
        return;
    const int64_t n = sal_tensor_count(k->out[0]), count = sal_tensor_count(k->in[0]);
    sal_real *part = sal_ruled_room(k), *part0 = part + n;
    sal_real *g = part0 + n, *g0 = g + count, *plain = g0 + count;
    const sal_real *y = k->out[0]->real, *y0 = k->reference->out[0]->real;
    for (int64_t i = 0; i < n; i++) {
        const sal_real most = y[i] > y0[i] ? y[i] : y0[i];
        part[i] = k->dy[0][i] * (most - y0[i]);
        part0[i] = k->dy[0][i] * (y[i] - most);
    }
    struct sal_kernel own = *k;
    own_gradient(&own, 0, plain);
    own.dy = (const sal_real *const[]){part};
    own_gradient(&own, 0, g);
    own.dy = (const sal_real *const[]){part0};
    own.in = k->reference->in;
    own.out = k->reference->out;
    own_gradient(&own, 0, g0);
    const sal_real *x = k->in[0]->real, *x0 = k->reference->in[0]->real;
    for (int64_t i = 0; i < count; i++) {
        const sal_real difference = x[i] - x0[i];
        k->dx[0][i] += sal_abs(difference) < least ? plain[i] : (g[i] + g0[i]) / difference;
    }
}

/* ---- products and quotients ------------------------------------------------------------ */

static bool is_of_two(const struct sal_graph *graph, const struct sal_node *node)
{
    return sal_count_computed(graph, node) == 2 && node->n_in == 2;
}

static size_t pair_room(const struct sal_kernel *k)
{
    return (size_t)(sal_tensor_count(k->in[0]) + sal_tensor_count(k->in[1]) +
                    sal_tensor_count(k->out[0]));
}

/* to = a factor + b factor */
static void mix(const sal_real *a, const sal_real *b, sal_real factor, int64_t n, sal_real *to)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = (a[i] + b[i]) * factor;
}

static void product(const struct sal_kernel *k)
{
    struct sal_tensor mean[2] = {*k->in[0], *k->in[1]};
    sal_real *to = sal_ruled_room(k);
    for (int i = 0; i < 2; i++) {
        const int64_t n = sal_tensor_count(k->in[i]);
        mix(k->in[i]->real, k->reference->in[i]->real, (sal_real)0.5, n, to);
        mean[i].real = to;
        to += n;
    }
    struct sal_kernel own = *k;
    own.in = (const struct sal_tensor *const[]){&mean[0], &mean[1]};
    if (k->dy[0])
        sal_own_backward(&own);
}

/* a / b: the gradient's dy / b and -dy y / b, with b such that 1 / b is the mean of both,
 * and y = (a + a0) / (b + b0). */
static void quotient(const struct sal_kernel *k)
{
    const int64_t na = sal_tensor_count(k->in[0]), nb = sal_tensor_count(k->in[1]);
    struct sal_tensor a = *k->in[0], b = *k->in[1], y = *k->out[0];
    const sal_real *below = k->in[1]->real, *below0 = k->reference->in[1]->real;
    a.real = sal_ruled_room(k);
    b.real = a.real + na;
    y.real = b.real + nb;
    mix(k->in[0]->real, k->reference->in[0]->real, 1, na, a.real);
    mix(below, below0, 1, nb, b.real);
    struct sal_kernel own = *k;
    own.in = (const struct sal_tensor *const[]){&a, &b};
    own.out = (const struct sal_tensor *const[]){&y};
    sal_own_forward(&own);
    for (int64_t i = 0; i < nb; i++)
        b.real[i] = 2 / (1 / below[i] + 1 / below0[i]);
    if (k->dy[0])
        sal_own_backward(&own);
}

static bool divides_constant(const struct sal_graph *graph, const struct sal_node *node)
{
    return sal_is_computed(graph, node, 1) && sal_is_map_of_one(graph, node);
}

static bool has_one_computed(const struct sal_graph *graph, const struct sal_node *node)
{
    return sal_count_computed(graph, node) == 1;
}

/* Of constant operands the gradient is right, also where they are divisors. */
static bool has_computed_first(const struct sal_graph *graph, const struct sal_node *node)
{
    return has_one_computed(graph, node) && sal_is_computed(graph, node, 0);
}

/* ---- rows ------------------------------------------------------------------------------- */

#define LINEAR(name) {.op = name}
#define LINEAR_IN_ONE(name) {.op = name, .when = has_one_computed}
#define FUNCTION(name)                                                                     \
    {.op = name, .when = sal_is_map_of_one, .backward = rescale, .room = rescale_room}
#define MAXIMUM(name) {.op = name, .backward = maximum, .room = max_room}
#define PRODUCT(name) {.op = name, .when = is_of_two, .backward = product, .room = pair_room}

static const struct sal_propagation_row rows[] = {
    LINEAR("Add"),
    LINEAR("AveragePool"),
    LINEAR("Cast"),
    LINEAR("CastLike"),
    LINEAR("Concat"),
    LINEAR("DepthToSpace"),
    LINEAR("Dropout"),
    LINEAR("Expand"),
    LINEAR("Flatten"),
    LINEAR("GlobalAveragePool"),
    LINEAR("Identity"),
    LINEAR("Mean"),
    LINEAR("Neg"),
    LINEAR("Pad"),
    LINEAR("ReduceMean"),
    LINEAR("ReduceSum"),
    LINEAR("Reshape"),
    LINEAR("Resize"),
    LINEAR("Slice"),
    LINEAR("SpaceToDepth"),
    LINEAR("Split"),
    LINEAR("Squeeze"),
    LINEAR("Sub"),
    LINEAR("Sum"),
    LINEAR("Tile"),
    LINEAR("Transpose"),
    LINEAR("Unsqueeze"),
    LINEAR("Upsample"),
    LINEAR_IN_ONE("BatchNormalization"),
    LINEAR_IN_ONE("Conv"),
    LINEAR_IN_ONE("ConvTranspose"),
    LINEAR_IN_ONE("Einsum"),
    LINEAR_IN_ONE("Gather"),
    LINEAR_IN_ONE("Gemm"),
    LINEAR_IN_ONE("MatMul"),
    LINEAR_IN_ONE("Mul"),
    {.op = "Div", .when = has_computed_first},
    {.op = "Div", .when = divides_constant, .backward = rescale, .room = rescale_room},
    {.op = "Div", .when = is_of_two, .backward = quotient, .room = pair_room},
    PRODUCT("MatMul"),
    PRODUCT("Mul"),
    FUNCTION("Abs"),
    FUNCTION("Celu"),
    FUNCTION("Clip"),
    FUNCTION("Elu"),
    FUNCTION("Erf"),
    FUNCTION("Exp"),
    FUNCTION("Gelu"),
    FUNCTION("HardSigmoid"),
    FUNCTION("HardSwish"),
    FUNCTION("LeakyRelu"),
    FUNCTION("Log"),
    FUNCTION("Max"),
    FUNCTION("Min"),
    FUNCTION("Mish"),
    FUNCTION("PRelu"),
    FUNCTION("Pow"),
    FUNCTION("Reciprocal"),
    FUNCTION("Relu"),
    FUNCTION("Selu"),
    FUNCTION("Sigmoid"),
    FUNCTION("Softplus"),
    FUNCTION("Softsign"),
    FUNCTION("Sqrt"),
    FUNCTION("Swish"),
    FUNCTION("Tanh"),
    FUNCTION("ThresholdedRelu"),
    MAXIMUM("GlobalMaxPool"),
    MAXIMUM("MaxPool"),
    MAXIMUM("ReduceMax"),
    {.op = "LayerNormalization",
     .when = sal_is_plain_norm,
     .backward = sal_deeplift_norm},
    {.op = "Softmax",
     .when = sal_is_plain_softmax,
     .backward = sal_deeplift_softmax},
    {0},
};

const struct sal_propagation sal_propagation_deeplift = {
    .rows = rows,
    .refusal = "has no rule in DeepLIFT, which cannot split a difference of its outputs "
               "between its inputs",
    .compares = true,
};
