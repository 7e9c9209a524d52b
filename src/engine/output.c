#include "output.h"

#include <stdlib.h>
#include <string.h>

#include "axes.h"

/* ---- scores -------------------------------------------------------------------- */

struct ending {
    const char *op;
    enum sal_activation activation;
};

static const struct ending endings[] = {
    {"Softmax", SAL_SOFTMAX},
    {"LogSoftmax", SAL_SOFTMAX},
    {"Sigmoid", SAL_SIGMOID},
};

static const struct ending *ending_of(const char *op)
{
    for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++)
        if (strcmp(endings[i].op, op) == 0)
            return &endings[i];
    return NULL;
}

static const struct sal_node *producer(const struct sal_graph *graph, int value)
{
    int node = graph->values[value].producer;
    return node < 0 ? NULL : &graph->nodes[node];
}

/* The node that made a value before it was quantised and taken back; NULL: none. */
static const struct sal_node *maker(const struct sal_graph *graph, int value)
{
    const struct sal_node *node = producer(graph, value);
    while (node && node->op->straight)
        node = producer(graph, node->in[0]);
    return node;
}

/* Steps back over reshapes that keep every element, and over quantisation; -1: there
 * is no more. */
static int step_back(const struct sal_graph *graph, int value)
{
    const struct sal_node *node = producer(graph, value);
    if (!node || !(node->op->passes || node->op->straight))
        return -1;
    const struct sal_tensor *from = &graph->values[node->in[0]].tensor;
    bool whole = (from->kind == SAL_REAL || from->quantised) && !from->data &&
                 sal_shape_count(&from->shape) ==
                     sal_shape_count(&graph->values[value].tensor.shape);
    return whole ? node->in[0] : -1;
}

/* The tensor before a trailing ending, or value itself. */
static int bypass(const struct sal_graph *graph, int value,
                  struct sal_model_output *output)
{
    for (int at = value; at >= 0; at = step_back(graph, at)) {
        const struct sal_node *node = producer(graph, at);
        const struct ending *ending = node ? ending_of(node->op->name) : NULL;
        if (!ending)
            continue;
        output->activation = ending->activation;
        output->activation_source = node->op->name;
        output->bypassed = node->op->name;
        return node->in[0];
    }
    return value;
}

/* The tensor before a trailing quantisation, or value itself: the scores that matter
 * most are the first to saturate, and would have no gradient. */
static int before_quantisation(const struct sal_graph *graph, int value)
{
    int before = value;
    const struct sal_node *node = producer(graph, value);
    for (; node && node->op->straight; node = producer(graph, node->in[0]))
        if (graph->values[node->in[0]].tensor.kind == SAL_REAL &&
            !graph->values[node->in[0]].tensor.data)
            before = node->in[0];
    return before;
}

/* An ending that reads the scores without being an output of the model. */
static void look_ahead(const struct sal_onnx *onnx, const char *name,
                       struct sal_model_output *output)
{
    for (int i = 0; i < onnx->graph.n_nodes; i++) {
        const struct sal_onnx_node *node = &onnx->graph.nodes[i];
        const struct ending *ending = ending_of(node->op);
        if (ending && node->n_inputs > 0 && strcmp(node->inputs[0], name) == 0) {
            output->activation = ending->activation;
            output->activation_source = ending->op;
        }
    }
}

/* ---- the user's tensor ------------------------------------------------------------ */

static bool names_tensor(const char *score)
{
    return score && strcmp(score, "logit") != 0 && strcmp(score, "prob") != 0;
}

/* Splits "TENSOR[i]"; *index -1 where there is none. A tensor's own name may hold
 * brackets: only digits in the last ones are an index. */
static size_t split_score(const char *score, int *index)
{
    size_t size = strlen(score), digits = 0;
    *index = -1;
    if (!size || score[size - 1] != ']')
        return size;
    while (digits + 1 < size && score[size - 2 - digits] >= '0' &&
           score[size - 2 - digits] <= '9')
        digits++;
    if (digits < 1 || digits > 9 || digits + 2 >= size || score[size - 2 - digits] != '[')
        return size;
    *index = (int)strtol(&score[size - 1 - digits], NULL, 10);
    return size - digits - 2;
}

enum sal_status sal_output_wanted(const struct sal_sidecar *sidecar, const char *score,
                                  struct sal_arena *arena, const char **name,
                                  struct sal_error *err)
{
    int index;
    *name = sidecar->output;
    if (!names_tensor(score))
        return SAL_OK;
    *name = sal_arena_copy(arena, score, split_score(score, &index));
    return *name ? SAL_OK : sal_fail(err, SAL_LIMIT, "no memory for the model");
}

/* The tensor that was built because a user named it. */
static enum sal_status check_named(const struct sal_graph *graph, const char *what,
                                   struct sal_error *err)
{
    const struct sal_value *value = &graph->values[graph->outputs[0]];
    if (value->live && !value->tensor.data && value->tensor.kind == SAL_REAL)
        return SAL_OK;
    return sal_fail(err, SAL_USAGE, "%s '%s' is not a tensor this model computes", what,
                    value->name);
}

static enum sal_status check_scores(const struct sal_graph *graph,
                                    struct sal_model_output *output,
                                    struct sal_error *err)
{
    const struct sal_value *value = &graph->values[output->value];
    int64_t count = sal_shape_count(&value->tensor.shape);
    if (value->tensor.kind != SAL_REAL)
        return sal_fail(err, SAL_UNSUPPORTED, "output '%s' is not floating point",
                        value->name);
    if (value->tensor.data)
        return sal_fail(err, SAL_BAD_INPUT, "output '%s' does not depend on the input",
                        value->name);
    if (count < 1 || count > 10000000)
        return sal_fail(err, SAL_UNSUPPORTED, "output '%s' has %lld scores", value->name,
                        (long long)count);
    output->n = (int)count;
    return SAL_OK;
}

/* Explained as it is: nothing is by-passed, nothing applied. */
static enum sal_status take_as_it_is(const struct sal_graph *graph, const char *score,
                                     struct sal_model_output *output,
                                     struct sal_error *err)
{
    output->value = graph->outputs[0];
    output->activation_source = "--score";
    output->unit = "score";
    if (!names_tensor(score))
        return check_scores(graph, output, err);
    split_score(score, &output->chosen);
    enum sal_status status = check_named(graph, "the score", err);
    if (status || (status = check_scores(graph, output, err)))
        return status;
    if (output->chosen >= output->n)
        return sal_fail(err, SAL_USAGE, "the score '%s': that tensor has %d elements", score,
                        output->n);
    return SAL_OK;
}

enum sal_status sal_output_find(const struct sal_graph *graph,
                                const struct sal_onnx *onnx,
                                const struct sal_sidecar *sidecar, const char *score,
                                struct sal_model_output *output, struct sal_error *err)
{
    *output = (struct sal_model_output){
        .activation_source = "nothing says", .unit = "logit", .chosen = -1};
    if (score && strcmp(score, "logit") != 0)
        return take_as_it_is(graph, score, output, err);
    int value = graph->outputs[0];
    enum sal_status status =
        sidecar->output ? check_named(graph, "the sidecar's output", err) : SAL_OK;
    if (status)
        return status;
    output->value = bypass(graph, value, output);
    if (!output->bypassed)
        look_ahead(onnx, graph->values[value].name, output);
    if (sidecar->activation_source) {
        output->activation = sidecar->activation;
        output->activation_source = sidecar->activation_source;
    }
    int logits = output->value;
    output->value = before_quantisation(graph, logits);
    output->unquantised = output->value != logits;
    return check_scores(graph, output, err);
}

/* ---- layers ---------------------------------------------------------------------- */

/* Which values reach the logits through an operator that mixes their channels by
 * weights. A product of two computed values (attention) weighs positions, not channels,
 * and what only feeds one is no feature of the classifier's: the flag ends there. */
static void trace_mixing(const struct sal_graph *graph, bool *mixed)
{
    for (int i = graph->n_nodes - 1; i >= 0; i--) {
        const struct sal_node *node = &graph->nodes[i];
        int computed = 0;
        bool mixes = node->op->mixes;
        for (int j = 0; j < node->n_in; j++)
            computed += node->in[j] >= 0 && !graph->values[node->in[j]].tensor.data;
        for (int j = 0; j < node->n_out; j++)
            mixes |= node->out[j] >= 0 && mixed[node->out[j]];
        if (node->op->mixes && computed > 1)
            mixes = false;
        for (int j = 0; mixes && j < node->n_in; j++)
            if (node->in[j] >= 0)
                mixed[node->in[j]] = true;
    }
}

/* Made by more than moving what was there. */
static bool is_made(const struct sal_graph *graph, int id)
{
    return maker(graph, id) && !producer(graph, id)->op->passes &&
           graph->values[id].tensor.kind == SAL_REAL;
}

static bool is_pool(const struct sal_node *node)
{
    size_t size = strlen(node->op->name);
    return size >= 4 && strcmp(node->op->name + size - 4, "Pool") == 0;
}

static bool is_automatic(const struct sal_graph *graph, const bool *mixed, int id)
{
    const struct sal_node *node = maker(graph, id);
    return mixed[id] && !is_pool(node) && strcmp(node->op->name, "Transpose") != 0;
}

static enum sal_status choose(const struct sal_graph *graph,
                              const struct sal_sidecar *sidecar, const bool *mixed,
                              const struct sal_layer *layers, int n, int *automatic,
                              struct sal_error *err)
{
    *automatic = -1;
    for (int i = 0; i < n; i++) {
        const struct sal_value *value = &graph->values[layers[i].value];
        if (is_automatic(graph, mixed, layers[i].value))
            *automatic = i;
        if (sidecar->cam_layer && (strcmp(value->name, sidecar->cam_layer) == 0 ||
                                   strcmp(value->node_name, sidecar->cam_layer) == 0)) {
            *automatic = i;
            return SAL_OK;
        }
    }
    if (sidecar->cam_layer)
        return sal_fail(err, SAL_BAD_INPUT,
                        "the sidecar's cam_layer '%s' is not a feature map of the model",
                        sidecar->cam_layer);
    if (*automatic < 0)
        *automatic = n - 1;
    return SAL_OK;
}

enum sal_status sal_output_layers(const struct sal_graph *graph, enum sal_layout layout,
                                  const struct sal_sidecar *sidecar,
                                  const struct sal_model_output *output,
                                  struct sal_layer **layers, int *n, int *automatic,
                                  struct sal_arena *arena, struct sal_error *err)
{
    struct sal_arena scratch = {0};
    int values = graph->n_values;
    bool *mixed = sal_new(&scratch, bool, values);
    unsigned char *matters = sal_new(&scratch, unsigned char, values);
    struct sal_axes *axes = sal_new(&scratch, struct sal_axes, values);
    *layers = sal_new(arena, struct sal_layer, values);
    *n = 0;
    if (!mixed || !matters || !axes || !*layers ||
        !sal_axes_trace(graph, layout, output->value, axes, matters)) {
        sal_arena_release(&scratch);
        return sal_fail(err, SAL_LIMIT, "no memory for the model");
    }
    trace_mixing(graph, mixed);
    for (int i = 0; i < values; i++)
        if (is_made(graph, i) && sal_axes_layer(graph, axes, matters, i, &(*layers)[*n]))
            ++*n;
    enum sal_status status = choose(graph, sidecar, mixed, *layers, *n, automatic, err);
    sal_arena_release(&scratch);
    return status;
}
