/*
 * LRP's table: what becomes of multipliers (relevance over value) at each operator.
 *
 * Sums, pools, moves and maxima keep their gradient: as multipliers they hand relevance on
 * by each input's contribution. A function of one value passes relevance whole, so its
 * multiplier is y / x. A value that gates another (a sigmoid or softmax that multiplies
 * it) gets nothing: the signal takes all (Arras et al. 2017, arXiv:1706.07206; of attention
 * Ali et al. 2022). So does what a normalisation divides by.
 */
#include <string.h>

#include "propagation.h"
#include "propagation_parts.h"
#include "real.h"

/* ---- functions of one value --------------------------------------------------------- */

static const sal_real nothing = (sal_real)1e-9; /* |x| of which has no share to speak of */

static void pass_piece(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const int at = sal_wanted(k);
    const sal_real *x = k->in[at]->real, *y = k->out[0]->real, *dy = k->dy[0];
    sal_real *dx = k->dx[at];
    for (int64_t i = from; i < to; i++)
        if (sal_abs(x[i]) > nothing)
            dx[i] += dy[i] * (y[i] / x[i]);
}

static void pass(const struct sal_kernel *k)
{
    if (sal_wanted(k) >= 0 && k->dy[0])
        sal_split(k->pool, sal_tensor_count(k->out[0]), SAL_TILE, pass_piece, k);
}

/* ---- gates ------------------------------------------------------------------------------ */

static bool is_one_of(const struct sal_node *node, const char *const *names)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(node->op->name, names[i]) == 0)
            return true;
    return false;
}

/* Made by a function that ends at both sides, perhaps by way of a scale or a shift (as
 * gelu's 1 + erf). Without one, Tanh is a signal. */
static bool is_gate(const struct sal_graph *graph, int v)
{
    static const char *const gates[] = {"Clip", "Erf", "HardSigmoid", "Sigmoid", "Softmax", NULL};
    static const char *const ways[] = {"Add", "Div",     "Dropout",   "Expand", "Identity",
                                       "Mul", "Reshape", "Unsqueeze", NULL};
    bool shifted = false;
    for (int steps = 0; steps < 4 && v >= 0 && graph->values[v].producer >= 0; steps++) {
        const struct sal_node *node = &graph->nodes[graph->values[v].producer];
        if (is_one_of(node, gates) || (shifted && strcmp(node->op->name, "Tanh") == 0))
            return true;
        if (!is_one_of(node, ways) || sal_count_computed(graph, node) != 1)
            return false;
        shifted |= strcmp(node->op->name, "Add") == 0;
        int i = 0;
        while (!sal_is_computed(graph, node, i))
            i++;
        v = node->in[i];
    }
    return false;
}

static bool is_pair(const struct sal_graph *graph, const struct sal_node *node)
{
    return node->n_in == 2 && sal_count_computed(graph, node) == 2;
}

static bool gated_first(const struct sal_graph *graph, const struct sal_node *node)
{
    return is_pair(graph, node) && is_gate(graph, node->in[1]);
}

static bool gated_second(const struct sal_graph *graph, const struct sal_node *node)
{
    return is_pair(graph, node) && is_gate(graph, node->in[0]);
}

static void give_to(const struct sal_kernel *k, int signal)
{
    sal_real *dx[2] = {NULL, NULL};
    struct sal_kernel own = *k;
    dx[signal] = k->dx[signal];
    own.dx = dx;
    if (dx[signal] && k->dy[0])
        sal_own_backward(&own);
}

static void give_to_first(const struct sal_kernel *k)
{
    give_to(k, 0);
}

static void give_to_second(const struct sal_kernel *k)
{
    give_to(k, 1);
}

/* The node that reads value v; NULL: several do, or none. */
static const struct sal_node *only_reader(const struct sal_graph *graph, int v)
{
    const struct sal_node *reader = NULL;
    for (int i = 0; i < graph->n_nodes; i++)
        for (int j = 0; j < graph->nodes[i].n_in; j++)
            if (graph->nodes[i].in[j] == v) {
                if (reader)
                    return NULL;
                reader = &graph->nodes[i];
            }
    return reader;
}

/* What it makes becomes the scores of a softmax, perhaps scaled or shifted, and nothing else. */
static bool makes_scores(const struct sal_graph *graph, const struct sal_node *node)
{
    static const char *const ways[] = {"Add", "Div", "Mul", NULL};
    if (!is_pair(graph, node))
        return false;
    for (int steps = 0; steps < 4 && node && node->out[0] >= 0; steps++) {
        node = only_reader(graph, node->out[0]);
        if (node && strcmp(node->op->name, "Softmax") == 0)
            return true;
        if (!node || !is_one_of(node, ways) || sal_count_computed(graph, node) != 1)
            return false;
    }
    return false;
}

/* A softmax in the middle only gates, and its products give it nothing. */
static bool is_inner_gate(const struct sal_graph *graph, const struct sal_node *node)
{
    (void)graph;
    return node->n_in == 1;
}

static void give_nothing(const struct sal_kernel *k)
{
    (void)k;
}

/* ---- layers ----------------------------------------------------------------------------- */

/* Weights, and the bias if there is one, are constant. */
static bool is_layer(const struct sal_graph *graph, const struct sal_node *node)
{
    return sal_count_computed(graph, node) == 1 && !sal_is_computed(graph, node, 2);
}

static bool has_one_computed(const struct sal_graph *graph, const struct sal_node *node)
{
    return sal_count_computed(graph, node) == 1;
}

static bool has_computed_first(const struct sal_graph *graph, const struct sal_node *node)
{
    return has_one_computed(graph, node) && sal_is_computed(graph, node, 0);
}

#define OWN(name) {.op = name}
#define OWN_IN_ONE(name) {.op = name, .when = has_one_computed}
#define LAYER(name)                                                                         \
    {.op = name,                                                                            \
     .when = is_layer,                                                                      \
     .backward = sal_lrp_layer,                                                             \
     .room = sal_lrp_layer_room,                                                            \
     .apart = true}
#define FUNCTION(name) {.op = name, .when = sal_is_map_of_one, .backward = pass}
#define GATED(name)                                                                          \
    {.op = name, .when = gated_first, .backward = give_to_first},                            \
        {.op = name, .when = gated_second, .backward = give_to_second}

static const struct sal_propagation_row rows[] = {
    OWN("Add"),
    OWN("AveragePool"),
    OWN("Cast"),
    OWN("CastLike"),
    OWN("Concat"),
    OWN("DepthToSpace"),
    OWN("Dropout"),
    OWN("Expand"),
    OWN("Flatten"),
    OWN("GlobalAveragePool"),
    OWN("GlobalMaxPool"),
    OWN("Identity"),
    OWN("LeakyRelu"),
    OWN("MaxPool"),
    OWN("Mean"),
    OWN("Neg"),
    OWN("Pad"),
    OWN("ReduceMax"),
    OWN("ReduceMean"),
    OWN("ReduceSum"),
    OWN("Relu"),
    OWN("Reshape"),
    OWN("Resize"),
    OWN("Slice"),
    OWN("SpaceToDepth"),
    OWN("Split"),
    OWN("Squeeze"),
    OWN("Sub"),
    OWN("Sum"),
    OWN("Tile"),
    OWN("Transpose"),
    OWN("Unsqueeze"),
    OWN("Upsample"),
    OWN_IN_ONE("Gather"),
    OWN_IN_ONE("Mul"),
    OWN_IN_ONE("PRelu"),
    {.op = "Div", .when = has_computed_first},
    {.op = "BatchNormalization",
     .when = has_one_computed,
     .backward = sal_lrp_layer,
     .room = sal_lrp_layer_room},
    LAYER("Conv"),
    LAYER("ConvTranspose"),
    LAYER("Gemm"),
    LAYER("MatMul"),
    {.op = "MatMul", .when = makes_scores, .backward = give_nothing},
    GATED("MatMul"),
    GATED("Mul"),
    FUNCTION("Celu"),
    FUNCTION("Clip"),
    FUNCTION("Elu"),
    FUNCTION("Erf"),
    FUNCTION("Gelu"),
    FUNCTION("HardSigmoid"),
    FUNCTION("HardSwish"),
    FUNCTION("LRN"),
    FUNCTION("Max"),
    FUNCTION("Min"),
    FUNCTION("Mish"),
    FUNCTION("Selu"),
    FUNCTION("Sigmoid"),
    FUNCTION("Softplus"),
    FUNCTION("Softsign"),
    FUNCTION("Swish"),
    FUNCTION("Tanh"),
    FUNCTION("ThresholdedRelu"),
    {.op = "LayerNormalization", .when = sal_is_plain_norm, .backward = sal_lrp_norm},
    {.op = "Softmax", .when = is_inner_gate, .backward = give_nothing},
    {.op = "Mul",
     .refusal = "multiplies two values that both follow the image, neither of them a gate: "
                "LRP has no rule for that"},
    {.op = "MatMul",
     .refusal = "multiplies two values that both follow the image, neither of them a "
                "softmax: LRP has no rule for that"},
    {0},
};

const struct sal_propagation sal_propagation_lrp = {
    .rows = rows,
    .refusal = "has no rule in LRP",
    .merges = true,
    .layers = true,
};
