/* --score prob of a model that ends in logits: what the sidecar says of them becomes nodes at
 * the end of the description, so that all behind it, gradients too, is as if the file had
 * had them. */
#include <string.h>

#include "output.h"
#include "tail.h"

/* Of Softmax 11, which takes all axes from the second for one. */
enum { NODES_MAX = 3, OPSET = 11, CONSTANT_OPSET = 12 };

struct ends {
    struct sal_onnx_graph *graph;
    struct sal_onnx_node *nodes; /* the graph's, with room for more */
    struct sal_arena *arena;
    const char *last; /* the value that the next one reads */
    bool failed;
};

static const char **one_name(struct ends *e, const char *first, const char *second)
{
    const char **names = sal_new(e->arena, const char *, 2);
    e->failed |= !names;
    if (names) {
        names[0] = first;
        names[1] = second;
    }
    return names;
}

static struct sal_onnx_node *add(struct ends *e, const char *op, const char *second,
                                 const char *made)
{
    struct sal_onnx_node *node = &e->nodes[e->graph->n_nodes++];
    *node = (struct sal_onnx_node){.op = op, .domain = "", .name = made, .overload = "",
                                   .opset = OPSET};
    node->inputs = one_name(e, e->last, second);
    node->outputs = one_name(e, made, NULL);
    node->n_inputs = second ? 2 : 1;
    node->n_outputs = 1;
    e->last = made;
    return node;
}

static void divide(struct ends *e, double temperature)
{
    struct sal_onnx_attr *value = sal_new(e->arena, struct sal_onnx_attr, 1);
    if (!value) {
        e->failed = true;
        return;
    }
    *value = (struct sal_onnx_attr){
        .name = "value_float", .type = SAL_ONNX_ATTR_FLOAT, .f = (float)temperature};
    const char *logits = e->last;
    struct sal_onnx_node *constant = add(e, "Constant", NULL, "the sidecar's temperature");
    constant->n_inputs = 0;
    constant->opset = CONSTANT_OPSET;
    constant->attrs = value;
    constant->n_attrs = 1;
    const char *divisor = e->last;
    e->last = logits;
    add(e, "Div", divisor, "calibrated logits");
}

static enum sal_status append(struct sal_onnx *onnx, const char *logits,
                              enum sal_activation activation, double temperature,
                              struct sal_arena *arena, const char **wanted,
                              struct sal_error *err)
{
    struct sal_onnx_graph *graph = &onnx->graph;
    struct ends e = {.graph = graph, .arena = arena, .last = logits};
    e.nodes = sal_new(arena, struct sal_onnx_node, graph->n_nodes + NODES_MAX);
    if (!e.nodes)
        return sal_fail(err, SAL_LIMIT, "no memory for the model");
    for (int i = 0; i < graph->n_nodes; i++)
        e.nodes[i] = graph->nodes[i];
    graph->nodes = e.nodes;
    if (temperature > 0 && temperature != 1)
        divide(&e, temperature);
    const char *op = activation == SAL_SOFTMAX ? "Softmax" : "Sigmoid";
    *wanted = sal_arena_format(arena, "%s of %s", op, logits);
    if (!*wanted || e.failed)
        return sal_fail(err, SAL_LIMIT, "no memory for the model");
    add(&e, op, NULL, *wanted);
    return e.failed ? sal_fail(err, SAL_LIMIT, "no memory for the model") : SAL_OK;
}

enum sal_status sal_output_probability(struct sal_onnx *onnx, const struct sal_graph *graph,
                                       const struct sal_sidecar *sidecar, const char *score,
                                       struct sal_arena *arena, const char **wanted,
                                       struct sal_error *err)
{
    struct sal_model_output logits;
    const struct sal_tail *tail = NULL;
    if (!score || strcmp(score, "prob") != 0)
        return SAL_OK;
    enum sal_status status = sal_output_find(graph, onnx, sidecar, NULL, &logits, err);
    if (!status)
        status = sal_tail_find(graph, graph->outputs[0], &tail, arena, err);
    if (status || logits.bypassed || tail || logits.activation == SAL_ACTIVATION_NONE)
        return status;
    return append(onnx, graph->values[graph->outputs[0]].name, logits.activation,
                  sidecar->temperature, arena, wanted, err);
}
