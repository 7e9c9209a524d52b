/* Attention among the tokens of the picture, found in the model's graph: softmaxed scores
 * that weigh values, written out or inside Attention. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "attention.h"
#include "axes.h"
#include "binding.h"
#include "lower.h"
#include "model_parts.h"
#include "run_state.h"

struct search {
    const struct sal_graph *graph;
    struct sal_axes *axes;
    int *softened; /* [n_values]: the value of probabilities that this one is; -1 */
    struct sal_attentions *found;
};

static enum sal_status refuse(const struct sal_node *node, struct sal_error *err,
                              const char *why)
{
    return sal_fail(err, SAL_UNSUPPORTED,
                    "rollout needs attention among all tokens of the picture: %s '%s' %s",
                    node->op->name, node->name, why);
}

/* queries: an axis of value, whose positions must be the picture's tokens. */
static enum sal_status add(struct search *s, const struct sal_node *node, int value,
                           int queries, int64_t keys, const struct sal_attention_map *map,
                           struct sal_error *err)
{
    struct sal_attentions *found = s->found;
    const struct sal_axes *axes = &s->axes[value];
    int64_t tokens = s->graph->values[value].tensor.shape.dim[queries];
    if (axes->role[queries] != SAL_AXIS_TOKEN)
        return refuse(node, err, "is over windows, or over tokens out of order");
    if (tokens != keys)
        return refuse(node, err, "has fewer keys than queries, or more");
    if (found->n && (tokens != found->tokens || axes->skipped != found->skipped ||
                     axes->columns != found->columns))
        return refuse(node, err, "is over other tokens than those before it");
    found->tokens = tokens;
    found->skipped = axes->skipped;
    found->rows = (int)axes->rows;
    found->columns = (int)axes->columns;
    found->map[found->n++] = *map;
    return SAL_OK;
}

/* ---- written out --------------------------------------------------------------------- */

/* Follows probabilities through what only passes them on; *value: those that a node
 * multiplies with others, -1. */
static void follow(struct search *s, const struct sal_node *node, int *value)
{
    int from = node->n_in && node->in[0] >= 0 ? s->softened[node->in[0]] : -1;
    int out = node->out[0];
    const struct sal_shape *shape = out < 0 ? NULL : &s->graph->values[out].tensor.shape;
    *value = -1;
    if (strcmp(node->op->name, "Softmax") == 0 && out >= 0 && shape->rank >= 2 &&
        sal_softmax_is_last(node, shape->rank))
        s->softened[out] = out;
    else if (node->op->passes && out >= 0)
        s->softened[out] = from;
    else if (node->op->mixes)
        *value = from;
}

static enum sal_status look_at_product(struct search *s, const struct sal_node *node,
                                       struct sal_error *err)
{
    int value;
    follow(s, node, &value);
    if (value < 0)
        return SAL_OK;
    const struct sal_shape *shape = &s->graph->values[value].tensor.shape;
    int64_t queries = shape->dim[shape->rank - 2], keys = shape->dim[shape->rank - 1];
    struct sal_attention_map map = {
        .value = value, .node = -1, .n_keep = 1, .keep = {value}};
    map.heads = queries && keys ? sal_shape_count(shape) / queries / keys : 0;
    const struct sal_node *soft = &s->graph->nodes[s->graph->values[value].producer];
    return add(s, soft, value, shape->rank - 2, keys, &map, err);
}

/* ---- inside Attention ------------------------------------------------------------------ */

static void bind(const struct sal_node *node, const struct sal_tensor *(*tensor)(
                                                  const void *context, int value),
                 const void *context, const struct sal_tensor *in[SAL_VALID_KEYS + 1])
{
    for (int i = 0; i <= SAL_VALID_KEYS; i++)
        in[i] = i < node->n_in && node->in[i] >= 0 ? tensor(context, node->in[i]) : NULL;
}

static const struct sal_tensor *tensor_of_graph(const void *context, int value)
{
    return &((const struct sal_graph *)context)->values[value].tensor;
}

static enum sal_status look_at_attention(struct search *s, int i, struct sal_error *err)
{
    const struct sal_node *node = &s->graph->nodes[i];
    const struct sal_tensor *in[SAL_VALID_KEYS + 1];
    struct sal_attention_layout l;
    bind(node, tensor_of_graph, s->graph, in);
    enum sal_status status =
        sal_attention_lay(&(struct sal_infer){.node = node, .in = in}, &l, err);
    if (status)
        return status;
    struct sal_attention_map map = {.value = -1, .node = i, .heads = l.q_heads};
    for (int k = 0; k < node->n_in && k <= SAL_VALID_KEYS; k++)
        if (in[k] && !in[k]->data && k != SAL_V && k != SAL_PAST_V)
            map.keep[map.n_keep++] = node->in[k];
    return add(s, node, node->in[SAL_Q], in[SAL_Q]->shape.rank - 2, l.total, &map, err);
}

/* ---- all of them ------------------------------------------------------------------------- */

static enum sal_status search(struct search *s, struct sal_error *err)
{
    enum sal_status status = SAL_OK;
    for (int i = 0; i < s->graph->n_nodes && !status; i++)
        status = strcmp(s->graph->nodes[i].op->name, "Attention") == 0
                     ? look_at_attention(s, i, err)
                     : look_at_product(s, &s->graph->nodes[i], err);
    if (!status && !s->found->n)
        return sal_fail(err, SAL_UNSUPPORTED,
                        "rollout needs attention among the tokens of the picture, and this "
                        "model has none");
    return status;
}

/* Whether what lies behind the last attention is read at the picture's tokens. */
static bool is_pooled(const struct sal_model *model, const struct sal_attentions *found)
{
    int n, automatic;
    const struct sal_layer *layers = sal_model_layers(model, &n, &automatic);
    const struct sal_attention_map *last = &found->map[found->n - 1];
    int behind = last->node < 0 ? last->value : sal_model_graph(model)->nodes[last->node].out[0];
    for (int i = 0; i < n; i++)
        if (layers[i].tokens == found->tokens && layers[i].value > behind)
            return true;
    return found->skipped == 0;
}

enum sal_status sal_model_attentions(const struct sal_model *model,
                                     struct sal_attentions *found, struct sal_error *err)
{
    const struct sal_graph *graph = sal_model_graph(model);
    struct sal_arena scratch = {0};
    unsigned char *matters = sal_new(&scratch, unsigned char, graph->n_values);
    struct search s = {.graph = graph,
                       .axes = sal_new(&scratch, struct sal_axes, graph->n_values),
                       .softened = sal_new(&scratch, int, graph->n_values),
                       .found = found};
    *found = (struct sal_attentions){.map = calloc((size_t)graph->n_nodes + 1,
                                                   sizeof(*found->map))};
    bool fits = matters && s.axes && s.softened && found->map &&
                sal_axes_trace(graph, sal_model_input(model)->layout,
                               sal_model_output(model)->value, s.axes, matters);
    for (int i = 0; fits && i < graph->n_values; i++)
        s.softened[i] = -1;
    enum sal_status status =
        fits ? search(&s, err) : sal_fail(err, SAL_LIMIT, "no memory for the attentions");
    sal_arena_release(&scratch);
    if (!status)
        found->pooled = is_pooled(model, found);
    else
        sal_attentions_release(found);
    return status;
}

void sal_attentions_release(struct sal_attentions *found)
{
    free(found->map);
    *found = (struct sal_attentions){0};
}

/* ---- of a run ---------------------------------------------------------------------------- */

static const struct sal_tensor *tensor_of_run(const void *context, int value)
{
    return &((const struct sal_run *)context)->tensors[value];
}

void sal_run_attention(const struct sal_run *run, const struct sal_model *model,
                       const struct sal_attention_map *map, int64_t tokens, sal_real *shares)
{
    if (map->node < 0) {
        memcpy(shares, sal_run_value(run, map->value, NULL),
               (size_t)(map->heads * tokens * tokens) * sizeof(*shares));
        return;
    }
    const struct sal_node *node = &sal_model_graph(model)->nodes[map->node];
    const struct sal_tensor *in[SAL_VALID_KEYS + 1];
    bind(node, tensor_of_run, run, in);
    struct sal_kernel kernel = {.node = node, .in = in};
    int64_t tiles = map->heads * ((tokens + SAL_QUERY_ROWS - 1) / SAL_QUERY_ROWS);
    for (int64_t i = 0; i < tiles; i++) {
        struct sal_attention_tile tile = sal_attention_tile(&kernel, i);
        sal_real *s = shares + (tile.head * tokens + tile.row) * tokens;
        sal_attention_scores(&tile, s);
        sal_attention_cap(&tile, s);
        sal_attention_bias(&tile, s);
        sal_attention_soften(&tile, s);
    }
}
