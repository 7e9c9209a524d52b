#include <string.h>

#include "builder.h"

/* Functions may hand one graph to many Ifs, so that a small file says much. */
enum { PLACES_MAX = 2 * SAL_ONNX_NODES_MAX, VALUES_MAX = 1 << 22 };

bool sal_is_if(const struct sal_onnx_node *node)
{
    return !*node->domain && strcmp(node->op, "If") == 0;
}

static const struct sal_onnx_graph *branch(const struct sal_onnx_node *node,
                                           const char *name)
{
    const struct sal_onnx_attr *attr = sal_onnx_node_attr(node, name);
    return attr ? attr->graph : NULL;
}

/* An If makes its outputs one by one, each in a place of its own. */
static int places_of(const struct sal_onnx_node *node)
{
    return sal_is_if(node) && node->n_outputs > 1 ? node->n_outputs : 1;
}

/* ---- how many ---- */

struct count {
    int64_t values, places;
};

static bool count(const struct sal_onnx_graph *graph, struct count *n)
{
    n->values += (int64_t)graph->n_inputs + graph->n_initialisers;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct sal_onnx_node *node = &graph->nodes[i];
        n->values += node->n_outputs;
        n->places += places_of(node);
        if (n->values > VALUES_MAX || n->places > PLACES_MAX)
            return false;
        if (!sal_is_if(node))
            continue;
        const struct sal_onnx_graph *then = branch(node, "then_branch");
        const struct sal_onnx_graph *otherwise = branch(node, "else_branch");
        if ((then && !count(then, n)) || (otherwise && !count(otherwise, n)))
            return false;
    }
    return n->values <= VALUES_MAX;
}

/* ---- names, ids, places ---- */

static int add_value(struct sal_builder *b, struct sal_scope *scope, const char *name,
                     const struct sal_onnx_node *node)
{
    int id = b->graph->n_values++;
    b->graph->values[id] = (struct sal_value){.name = name,
                                              .made_by = node ? node->op : "",
                                              .node_name = node ? node->name : "",
                                              .producer = -1};
    b->makers[id] = (struct sal_maker){.place = -1};
    if (*name)
        sal_names_add(&scope->names, name, id);
    return id;
}

/* Ids of one graph's own values; the first of its nodes' outputs in *outputs. */
static enum sal_status add_values(struct sal_builder *b, struct sal_scope *scope,
                                  int *outputs)
{
    const struct sal_onnx_graph *graph = scope->graph;
    size_t n = (size_t)graph->n_inputs + (size_t)graph->n_initialisers;
    for (int i = 0; i < graph->n_nodes; i++)
        n += (size_t)graph->nodes[i].n_outputs;
    if (!sal_names_init(&scope->names, &b->scratch, n))
        return sal_builder_no_memory(b);
    for (int i = 0; i < graph->n_inputs; i++)
        add_value(b, scope, graph->inputs[i].name, NULL);
    for (int i = 0; i < graph->n_initialisers; i++) {
        int id = add_value(b, scope, graph->initialisers[i].name, NULL);
        b->makers[id].stored = &graph->initialisers[i];
    }
    *outputs = b->graph->n_values;
    for (int i = 0; i < graph->n_nodes; i++)
        for (int j = 0; j < graph->nodes[i].n_outputs; j++)
            add_value(b, scope, graph->nodes[i].outputs[j], &graph->nodes[i]);
    return SAL_OK;
}

static enum sal_status open_scope(struct sal_builder *b,
                                  const struct sal_onnx_graph *graph,
                                  const struct sal_scope *outer,
                                  const struct sal_scope **out);

/* A branch that is no such thing is left out: whoever needs the If says so. */
static enum sal_status open_branches(struct sal_builder *b,
                                     const struct sal_scope *scope,
                                     struct sal_place *place)
{
    static const char *const names[] = {"then_branch", "else_branch"};
    const struct sal_scope **const to[] = {&place->then, &place->otherwise};
    enum sal_status status = SAL_OK;
    for (int i = 0; i < 2 && !status; i++) {
        const struct sal_onnx_graph *graph = branch(place->source, names[i]);
        if (graph && !graph->n_inputs && graph->n_outputs == place->source->n_outputs)
            status = open_scope(b, graph, scope, to[i]);
    }
    return status;
}

static enum sal_status add_places(struct sal_builder *b, const struct sal_scope *scope,
                                  int id)
{
    for (int i = 0; i < scope->graph->n_nodes; i++) {
        const struct sal_onnx_node *node = &scope->graph->nodes[i];
        struct sal_place place = {.source = node, .scope = scope, .first = id};
        enum sal_status status =
            sal_is_if(node) ? open_branches(b, scope, &place) : SAL_OK;
        if (status)
            return status;
        for (int j = 0; j < node->n_outputs; j++)
            b->makers[id + j] = (struct sal_maker){.place = b->n_places, .output = j};
        for (place.only = 0; place.only < places_of(node); place.only++)
            b->places[b->n_places++] = place;
        id += node->n_outputs;
    }
    return SAL_OK;
}

static enum sal_status open_scope(struct sal_builder *b,
                                  const struct sal_onnx_graph *graph,
                                  const struct sal_scope *outer,
                                  const struct sal_scope **out)
{
    struct sal_scope *scope = sal_new(&b->scratch, struct sal_scope, 1);
    if (!scope)
        return sal_builder_no_memory(b);
    *scope = (struct sal_scope){.graph = graph, .outer = outer};
    *out = scope;
    int outputs = 0;
    enum sal_status status = add_values(b, scope, &outputs);
    return status ? status : add_places(b, scope, outputs);
}

enum sal_status sal_builder_name(struct sal_builder *b)
{
    struct count n = {.values = 1}; /* one for lower_mask.c */
    if (!count(&b->onnx->graph, &n))
        return sal_fail(b->err, SAL_LIMIT,
                        "more than %d nodes or %d values, those in "
                        "branches included",
                        PLACES_MAX, VALUES_MAX);
    struct sal_graph *graph = b->graph;
    graph->values = sal_new(&graph->arena, struct sal_value, n.values);
    b->makers = sal_new(&b->scratch, struct sal_maker, n.values);
    b->selections = sal_new(&b->scratch, struct sal_selection, n.values);
    b->ready = sal_new(&b->scratch, bool, n.values);
    b->places = sal_new(&b->scratch, struct sal_place, n.places);
    b->nodes = sal_new(&b->scratch, struct sal_node, n.places);
    if (!graph->values || !b->makers || !b->selections || !b->ready || !b->places ||
        !b->nodes)
        return sal_builder_no_memory(b);
    enum sal_status status = open_scope(b, &b->onnx->graph, NULL, &b->scope);
    if (status)
        return status;
    b->filling = graph->n_values++;
    graph->values[b->filling] =
        (struct sal_value){.name = "", .made_by = "", .node_name = "", .producer = -1};
    b->makers[b->filling].place = -1;
    return SAL_OK;
}

int sal_scope_find(const struct sal_builder *b, const struct sal_scope *scope,
                   int place, const char *name)
{
    for (; scope; scope = scope->outer) {
        const struct sal_name *found = sal_names_find(&scope->names, name);
        if (found && b->makers[found->value].place < place)
            return found->value;
    }
    return -1;
}
