#include "known_bad.h"

#include <assert.h>
#include <string.h>

#include "saliscope/names.h"
#include "saliscope/tensor.h"

#define AGAIN "export it again (PyTorch 2.10 or later, or dynamo=False)"
#define VERIFY "'saliscope inspect MODEL --verify INPUT OUTPUT' tells"

/* A node with weights, as far as they are initialisers. */
struct layer {
    const struct sal_onnx_node *node;
    const struct sal_onnx_tensor *weight, *bias; /* NULL: none, or not an initialiser */
    int64_t outputs; /* channels that the weight makes; -1: not known */
    bool normalised; /* a BatchNormalization reads it */
    int sibling;     /* the first layer that reads the same tensor; itself, if none */
    int same_bias;   /* the first layer with this bias */
};

struct layers {
    const struct sal_onnx *onnx;
    struct sal_names names; /* of initialisers */
    struct layer *at;
    int n;
    struct sal_arena *arena;
};

/* A set of names, each with the number it was first given. */
static int first_of(struct sal_names *names, const char *name, int number)
{
    const struct sal_name *known = *name ? sal_names_add(names, name, number) : NULL;
    return known ? known->value : number;
}

/* ---- the layers of a description -------------------------------------------- */

static const struct sal_onnx_tensor *
initialiser(const struct layers *layers, const struct sal_onnx_node *node, int i)
{
    if (i >= node->n_inputs || !*node->inputs[i])
        return NULL;
    const struct sal_name *found = sal_names_find(&layers->names, node->inputs[i]);
    return found ? &layers->onnx->graph.initialisers[found->value] : NULL;
}

static int64_t attribute(const struct sal_onnx_node *node, const char *name,
                         int64_t fallback)
{
    const struct sal_onnx_attr *attr = sal_onnx_node_attr(node, name);
    return attr && attr->type == SAL_ONNX_ATTR_INT ? attr->i : fallback;
}

static int64_t conv_outputs(const struct sal_onnx_node *node,
                            const struct sal_onnx_tensor *weight)
{
    (void)node;
    return weight->rank > 2 ? weight->dim[0] : -1;
}

static int64_t conv_transpose_outputs(const struct sal_onnx_node *node,
                                      const struct sal_onnx_tensor *weight)
{
    int64_t outputs, group = attribute(node, "group", 1);
    bool known = weight->rank > 2 && group > 0 &&
                 !__builtin_mul_overflow(weight->dim[1], group, &outputs);
    return known ? outputs : -1;
}

static int64_t gemm_outputs(const struct sal_onnx_node *node,
                            const struct sal_onnx_tensor *weight)
{
    return weight->rank == 2 ? weight->dim[attribute(node, "transB", 0) ? 0 : 1] : -1;
}

static const struct {
    const char *op;
    int64_t (*outputs)(const struct sal_onnx_node *node,
                       const struct sal_onnx_tensor *weight);
} kinds[] = {
    {"Conv", conv_outputs},
    {"ConvTranspose", conv_transpose_outputs},
    {"Gemm", gemm_outputs},
};

static void add_layer(struct layers *layers, const struct sal_onnx_node *node)
{
    for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
        const struct sal_onnx_tensor *weight = initialiser(layers, node, 1);
        if (strcmp(kinds[k].op, node->op) == 0 && weight && !*node->domain &&
            node->n_outputs)
            layers->at[layers->n++] = (struct layer){
                .node = node,
                .weight = weight,
                .bias = initialiser(layers, node, 2),
                .outputs = kinds[k].outputs(node, weight),
            };
    }
}

static bool is_batch_norm(const struct sal_onnx_node *node)
{
    return strcmp(node->op, "BatchNormalization") == 0 && !*node->domain &&
           node->n_inputs > 0;
}

/* Who reads the same tensor, who has the same bias, what is normalised: in one pass
 * each, because a hostile file may have very many layers. */
static bool relate_layers(struct layers *layers)
{
    const struct sal_onnx_graph *graph = &layers->onnx->graph;
    struct sal_names inputs, biases, normalised;
    if (!sal_names_init(&inputs, layers->arena, (size_t)layers->n) ||
        !sal_names_init(&biases, layers->arena, (size_t)layers->n) ||
        !sal_names_init(&normalised, layers->arena, (size_t)graph->n_nodes))
        return false;
    for (int i = 0; i < graph->n_nodes; i++)
        if (is_batch_norm(&graph->nodes[i]))
            first_of(&normalised, graph->nodes[i].inputs[0], i);
    for (int i = 0; i < layers->n; i++) {
        struct layer *layer = &layers->at[i];
        layer->sibling = first_of(&inputs, layer->node->inputs[0], i);
        layer->same_bias = layer->bias ? first_of(&biases, layer->bias->name, i) : i;
        layer->normalised = sal_names_find(&normalised, layer->node->outputs[0]);
    }
    return true;
}

static bool find_layers(struct layers *layers)
{
    const struct sal_onnx_graph *graph = &layers->onnx->graph;
    layers->at = sal_new(layers->arena, struct layer, graph->n_nodes);
    if (!layers->at ||
        !sal_names_init(&layers->names, layers->arena, (size_t)graph->n_initialisers))
        return false;
    for (int i = 0; i < graph->n_initialisers; i++)
        sal_names_add(&layers->names, graph->initialisers[i].name, i);
    for (int i = 0; i < graph->n_nodes; i++)
        add_layer(layers, &graph->nodes[i]);
    return relate_layers(layers);
}

static const char *label(const struct sal_onnx_node *node)
{
    return *node->name || !node->n_outputs ? node->name : node->outputs[0];
}

static const char *shape(const struct sal_onnx_tensor *tensor, char *dst,
                         size_t capacity)
{
    struct sal_shape s = {.rank = tensor->rank};
    memcpy(s.dim, tensor->dim, sizeof(tensor->dim));
    return sal_shape_text(&s, dst, capacity);
}

/* ---- what refuses to be built ----------------------------------------------- */

/* Gemm's C may be one value, a column, or the whole product. */
static bool bias_fits(const struct layer *layer)
{
    const struct sal_onnx_tensor *bias = layer->bias;
    if (!bias || layer->outputs < 0)
        return true;
    if (strcmp(layer->node->op, "Gemm") != 0)
        return bias->rank == 1 && bias->dim[0] == layer->outputs;
    int64_t last = bias->rank ? bias->dim[bias->rank - 1] : 1;
    return last == 1 || last == layer->outputs;
}

static const struct layer *other_user(const struct layers *layers,
                                      const struct layer *layer)
{
    for (int i = 0; i < layers->n; i++)
        if (layers->at[i].bias == layer->bias && &layers->at[i] != layer)
            return &layers->at[i];
    return NULL;
}

static const char *misfit_bias(const struct layers *layers)
{
    const struct layer *layer = layers->at;
    while (layer < layers->at + layers->n && bias_fits(layer))
        layer++;
    if (layer == layers->at + layers->n)
        return NULL;
    char text[2][96];
    const struct layer *other = other_user(layers, layer);
    const char *fact = sal_arena_format(
        layers->arena,
        "%.20s '%.60s': bias '%.60s' is %s, weight '%.60s' is %s, which makes %lld "
        "channels",
        layer->node->op, label(layer->node), layer->bias->name,
        shape(layer->bias, text[0], sizeof(text[0])), layer->weight->name,
        shape(layer->weight, text[1], sizeof(text[1])), (long long)layer->outputs);
    if (!fact || !other)
        return fact ? sal_arena_format(layers->arena,
                                       "%s: the exporter mixed up two layers; " AGAIN,
                                       fact)
                    : NULL;
    return sal_arena_format(
        layers->arena,
        "%s; '%.60s' has the same bias: PyTorch 2.9 loses one when it fuses "
        "BatchNormalization; " AGAIN,
        fact, label(other->node));
}

static const char *misfit_norm(const struct layers *layers)
{
    static const char *const names[] = {"input", "scale", "bias", "mean", "variance"};
    const struct sal_onnx_graph *graph = &layers->onnx->graph;
    char text[2][96];
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct sal_onnx_node *node = &graph->nodes[i];
        const struct sal_onnx_tensor *scale =
            is_batch_norm(node) ? initialiser(layers, node, 1) : NULL;
        for (int k = 2; k < 5 && scale; k++) {
            const struct sal_onnx_tensor *other = initialiser(layers, node, k);
            if (other && other->count != scale->count)
                return sal_arena_format(
                    layers->arena,
                    "BatchNormalization '%.60s': scale '%.60s' is %s, %s '%.60s' is "
                    "%s, all four must be one per channel: the exporter mixed up two "
                    "layers; " AGAIN,
                    label(node), scale->name, shape(scale, text[0], sizeof(text[0])),
                    names[k], other->name, shape(other, text[1], sizeof(text[1])));
        }
    }
    return NULL;
}

/* ---- what can be built and may be wrong ------------------------------------- */

static bool is_pytorch_2_9(const struct sal_onnx *onnx)
{
    return strcmp(onnx->producer, "pytorch") == 0 &&
           strncmp(onnx->producer_version, "2.9", 3) == 0 &&
           (onnx->producer_version[3] < '0' || onnx->producer_version[3] > '9');
}

/* The bias that a fusion made was named after the layer's input. */
static bool named_after_input(const struct layer *layer)
{
    static const char ending[] = "_bias";
    const char *x = layer->node->inputs[0];
    size_t size = strlen(x);
    return layer->bias && strncmp(layer->bias->name, x, size) == 0 &&
           strcmp(layer->bias->name + size, ending) == 0;
}

/* The layer before it that reads the same tensor with weights of its own; NULL. */
static const struct layer *sibling_of(const struct layers *layers,
                                      const struct layer *layer)
{
    const struct layer *first = &layers->at[layer->sibling];
    return first->weight != layer->weight ? first : NULL;
}

/* Two layers with weights of their own that read the same tensor and share a bias
 * named after it: two biases were written under one name, and one is gone. */
static const char *shared_bias(const struct layers *layers)
{
    for (int i = 0; i < layers->n; i++) {
        const struct layer *b = &layers->at[i], *a = &layers->at[b->same_bias];
        bool both = a != b && a->sibling == b->sibling && a->weight != b->weight;
        if (both && (named_after_input(a) || is_pytorch_2_9(layers->onnx)))
            return sal_arena_format(
                layers->arena,
                "%.20s '%.60s' and '%.60s' share the bias '%.60s': PyTorch 2.9 writes "
                "this when it fuses BatchNormalization and loses one of the two biases, "
                "so the scores are probably wrong; " VERIFY "; " AGAIN,
                a->node->op, label(a->node), label(b->node), a->bias->name);
    }
    return NULL;
}

/* The older exporter, which does not make this mistake, names nodes "/layer1/Conv". */
static bool may_have_lost_bias(const struct layer *layer)
{
    return *layer->node->name != '/' &&
           (layer->bias ? named_after_input(layer) : !layer->normalised);
}

/* Only layers that read one tensor could get one name for two biases. */
static const char *doubtful_bias(const struct layers *layers)
{
    if (!is_pytorch_2_9(layers->onnx) || shared_bias(layers))
        return NULL;
    for (int i = 0; i < layers->n; i++) {
        const struct layer *b = &layers->at[i], *a = sibling_of(layers, b);
        if (a && (may_have_lost_bias(a) || may_have_lost_bias(b)))
            return sal_arena_format(
                layers->arena,
                "exported by PyTorch 2.9, which can lose a bias when it fuses "
                "BatchNormalization after layers that read the same tensor, here %.20s "
                "'%.60s' and '%.60s': " VERIFY,
                a->node->op, label(a->node), label(b->node));
    }
    return NULL;
}

/* ---- the table -------------------------------------------------------------- */

static const struct known_bad {
    bool explains; /* why a graph was refused; else a warning */
    const char *(*find)(const struct layers *layers);
} table[] = {
    {.explains = true, .find = misfit_bias},
    {.explains = true, .find = misfit_norm},
    {.explains = false, .find = shared_bias},
    {.explains = false, .find = doubtful_bias},
};
enum { N_TABLE = sizeof(table) / sizeof(*table) };

static_assert((int)N_TABLE <= (int)SAL_SUSPECTS_MAX, "every row may speak");

static int find_rows(const struct sal_onnx *onnx, struct sal_arena *arena,
                     bool explains, const char *texts[SAL_SUSPECTS_MAX])
{
    struct layers layers = {.onnx = onnx, .arena = arena};
    int n = 0;
    if (!find_layers(&layers))
        return 0;
    for (int i = 0; i < N_TABLE; i++) {
        const char *text =
            table[i].explains == explains ? table[i].find(&layers) : NULL;
        if (text)
            texts[n++] = text;
    }
    return n;
}

int sal_known_bad(const struct sal_onnx *onnx, struct sal_arena *arena,
                  const char *texts[SAL_SUSPECTS_MAX])
{
    return find_rows(onnx, arena, false, texts);
}

enum sal_status sal_known_bad_explain(const struct sal_onnx *onnx,
                                      enum sal_status status, struct sal_error *err)
{
    const char *texts[SAL_SUSPECTS_MAX];
    struct sal_arena arena = {0};
    if (status == SAL_BAD_INPUT && find_rows(onnx, &arena, true, texts) > 0)
        sal_fail(err, status, "%s", texts[0]);
    sal_arena_release(&arena);
    return status;
}
