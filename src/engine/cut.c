#include "cut.h"

#include <stdlib.h>
#include <string.h>

enum { ALL = -1, NOWHERE = -2 }; /* instead of where the cut is */

struct cut {
    const struct sal_graph *whole;
    struct sal_graph *part;
    bool *follows; /* [n_values] depends on where the cut is, or lies there */
    bool *needed;  /* [n_values] an output needs it */
    bool *stays;   /* [n_nodes] */
};

/* ---- looking ------------------------------------------------------------------------ */

static bool any(const int *ids, int n, const bool *flags)
{
    for (int i = 0; i < n; i++)
        if (ids[i] >= 0 && flags[ids[i]])
            return true;
    return false;
}

static void set(const int *ids, int n, bool *flags)
{
    for (int i = 0; i < n; i++)
        if (ids[i] >= 0)
            flags[ids[i]] = true;
}

/* at -1: everything. */
static void mark_followers(const struct sal_graph *graph, int at, bool *follows)
{
    for (int v = 0; v < graph->n_values; v++)
        follows[v] = at < 0 || v == at;
    for (int i = 0; i < graph->n_nodes; i++)
        if (any(graph->nodes[i].in, graph->nodes[i].n_in, follows))
            set(graph->nodes[i].out, graph->nodes[i].n_out, follows);
}

static void mark_needed(struct cut *cut, int at, const int *to, int n_to)
{
    const struct sal_graph *whole = cut->whole;
    set(to, n_to, cut->needed);
    for (int i = whole->n_nodes - 1; i >= 0; i--) {
        const struct sal_node *node = &whole->nodes[i];
        for (int j = 0; j < node->n_out; j++) {
            int v = node->out[j];
            cut->stays[i] |= v >= 0 && v != at && cut->needed[v] && cut->follows[v];
        }
        if (cut->stays[i])
            set(node->in, node->n_in, cut->needed);
    }
}

/* ---- making ------------------------------------------------------------------------- */

static bool is_input(const struct cut *cut, int at, int v)
{
    const struct sal_value *value = &cut->whole->values[v];
    return v != at && cut->needed[v] && !cut->follows[v] && !value->tensor.data;
}

static void list_inputs(struct cut *cut, int at)
{
    struct sal_graph *part = cut->part;
    if (at >= 0)
        part->inputs[part->n_inputs++] = at;
    for (int v = 0; v < cut->whole->n_values; v++)
        if (is_input(cut, at, v))
            part->inputs[part->n_inputs++] = v;
}

static void take_nodes(struct cut *cut)
{
    struct sal_graph *part = cut->part;
    for (int i = 0; i < cut->whole->n_nodes; i++) {
        const struct sal_node *node = &cut->whole->nodes[i];
        if (!cut->stays[i])
            continue;
        for (int j = 0; j < node->n_out; j++)
            if (node->out[j] >= 0) {
                part->values[node->out[j]].producer = part->n_nodes;
                part->values[node->out[j]].live = true;
            }
        part->nodes[part->n_nodes++] = *node;
    }
}

static void fill(struct cut *cut, int at, const int *to, int n_to)
{
    struct sal_graph *part = cut->part;
    const struct sal_graph *whole = cut->whole;
    memcpy(part->values, whole->values, sizeof(*part->values) * (size_t)whole->n_values);
    for (int v = 0; v < whole->n_values; v++) {
        struct sal_value *value = &part->values[v];
        value->live = value->live && value->tensor.data;
        value->producer = -1;
    }
    take_nodes(cut);
    if (at != ALL) {
        list_inputs(cut, at);
    } else {
        part->n_inputs = whole->n_inputs;
        memcpy(part->inputs, whole->inputs, sizeof(int) * (size_t)whole->n_inputs);
    }
    for (int i = 0; i < part->n_inputs; i++)
        part->values[part->inputs[i]].live = true;
    memcpy(part->outputs, to, sizeof(int) * (size_t)n_to);
    part->n_outputs = n_to;
}

static bool make_room(struct cut *cut, int n_to)
{
    struct sal_graph *part = cut->part;
    int n = cut->whole->n_values, nodes = cut->whole->n_nodes;
    part->n_values = n;
    part->values = sal_new(&part->arena, struct sal_value, n);
    part->nodes = sal_new(&part->arena, struct sal_node, nodes);
    part->inputs = sal_new(&part->arena, int, n);
    part->outputs = sal_new(&part->arena, int, n_to);
    cut->follows = calloc((size_t)n, sizeof(bool));
    cut->needed = calloc((size_t)n, sizeof(bool));
    cut->stays = calloc((size_t)nodes + 1, sizeof(bool));
    return part->values && part->nodes && part->inputs && part->outputs && cut->follows &&
           cut->needed && cut->stays;
}

static enum sal_status close_cut(struct cut *cut, bool room, struct sal_error *err)
{
    free(cut->follows);
    free(cut->needed);
    free(cut->stays);
    if (room)
        return SAL_OK;
    sal_graph_release(cut->part);
    return sal_fail(err, SAL_LIMIT, "no memory for a part of the model");
}

enum sal_status sal_graph_cut(struct sal_graph *part, const struct sal_graph *whole, int at,
                              const int *to, int n_to, struct sal_error *err)
{
    struct cut cut = {.whole = whole, .part = part};
    *part = (struct sal_graph){0};
    bool room = make_room(&cut, n_to);
    if (room) {
        mark_followers(whole, at, cut.follows);
        mark_needed(&cut, at, to, n_to);
        fill(&cut, at, to, n_to);
    }
    return close_cut(&cut, room, err);
}

enum sal_status sal_graph_part(struct sal_graph *part, const struct sal_graph *whole,
                               const bool *stays, const int *to, int n_to,
                               struct sal_error *err)
{
    struct cut cut = {.whole = whole, .part = part};
    *part = (struct sal_graph){0};
    bool room = make_room(&cut, n_to);
    for (int i = 0; room && i < whole->n_nodes; i++) {
        cut.stays[i] = stays[i];
        if (!stays[i])
            continue;
        set(whole->nodes[i].in, whole->nodes[i].n_in, cut.needed);
        set(whole->nodes[i].out, whole->nodes[i].n_out, cut.follows);
    }
    if (room)
        fill(&cut, NOWHERE, to, n_to);
    return close_cut(&cut, room, err);
}

enum sal_status sal_graph_depends(const struct sal_graph *graph, int of, int at,
                                  bool *depends, struct sal_error *err)
{
    bool *follows = calloc((size_t)graph->n_values, sizeof(*follows));
    if (!follows)
        return sal_fail(err, SAL_LIMIT, "no memory for a part of the model");
    mark_followers(graph, at, follows);
    *depends = follows[of];
    free(follows);
    return SAL_OK;
}
