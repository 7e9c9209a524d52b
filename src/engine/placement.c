#include "placement.h"

#include <stdlib.h>

#include "run_parts.h"
#include "run_state.h"
#include "way.h"

struct sal_reads sal_node_reads(const struct sal_node *node, const bool *wanted)
{
    const int last = sizeof(node->op->reads) / sizeof(*node->op->reads) - 1;
    struct sal_reads all = {0};
    for (int i = 0; i < node->n_in; i++) {
        const struct sal_reads *own = &node->op->reads[i < last ? i : last];
        if (wanted[i] && !node->op->frugal)
            return (struct sal_reads){SAL_READS_ALL, SAL_READS_ALL};
        all.in |= wanted[i] ? own->in : 0;
        all.out |= wanted[i] ? own->out : 0;
    }
    return all;
}

static void need(struct sal_interval *at, const int *ids, int n, unsigned bits, int when)
{
    for (int i = 0; i < n; i++)
        if (ids[i] >= 0 && sal_reads_bit(bits, i) && at[ids[i]].last < when)
            at[ids[i]].last = when;
}

/* What may be read if a gradient of whatever is computed is asked for. */
static void need_back(const struct sal_graph *graph, int i, bool *wanted,
                      struct sal_interval *at)
{
    const struct sal_node *node = &graph->nodes[i];
    const int when = 2 * graph->n_nodes - 1 - i;
    if (!node->op->backward)
        return;
    for (int j = 0; j < node->n_in; j++)
        wanted[j] = node->in[j] >= 0 && sal_carries_gradient(graph, node->in[j]) &&
                    !(j < 32 && node->op->no_gradient >> j & 1);
    struct sal_reads reads = sal_node_reads(node, wanted);
    need(at, node->in, node->n_in, reads.in, when);
    need(at, node->out, node->n_out, reads.out, when);
}

static int most_inputs(const struct sal_graph *graph)
{
    int most = 1;
    for (int i = 0; i < graph->n_nodes; i++)
        most = graph->nodes[i].n_in > most ? graph->nodes[i].n_in : most;
    return most;
}

/* When each value lives; false: no memory. */
static bool find_lives(const struct sal_graph *graph, const bool *kept, bool gradient,
                       struct sal_interval *at)
{
    bool *wanted = calloc((size_t)most_inputs(graph), sizeof(*wanted));
    if (!wanted)
        return false;
    for (int i = 0; i < graph->n_values; i++) {
        const struct sal_value *value = &graph->values[i];
        bool computed = value->live && !value->tensor.data;
        at[i] = (struct sal_interval){
            .size = computed ? sal_tensor_bytes(&value->tensor) : 0,
            .first = value->producer < 0 ? 0 : value->producer,
            .last = kept[i] ? 2 * graph->n_nodes : value->producer,
        };
    }
    for (int i = 0; i < graph->n_nodes; i++)
        need(at, graph->nodes[i].in, graph->nodes[i].n_in, ~0u, i);
    for (int i = 0; gradient && i < graph->n_nodes; i++)
        need_back(graph, i, wanted, at);
    free(wanted);
    return true;
}

static size_t plan(const struct sal_graph *graph, const bool *kept, bool gradient,
                   struct sal_sharing sharing, struct sal_interval *at,
                   struct sal_place *place)
{
    bool found = find_lives(graph, kept, gradient, at) &&
                 sal_share_values(graph, kept, sharing, at, place);
    return found ? sal_plan_place(at, 0, graph->n_values) : (size_t)-1;
}

/* What shares memory lives longer and is harder to place, a skip over a whole network
 * most of all: not everything always pays. */
size_t sal_run_plan(const struct sal_graph *graph, const bool *kept, bool gradient,
                    struct sal_interval *at, struct sal_place *place)
{
    static const struct sal_sharing ways[] = {
        {.joins = true, .overwrites = true},
        {.joins = true},
        {.overwrites = true},
        {0},
    };
    const int n = sizeof(ways) / sizeof(*ways);
    size_t size[sizeof(ways) / sizeof(*ways)];
    int best = 0;
    for (int i = 0; i < n; i++) {
        size[i] = plan(graph, kept, gradient, ways[i], at, place);
        best = size[i] < size[best] ? i : best;
    }
    return best == n - 1 ? size[best] : plan(graph, kept, gradient, ways[best], at, place);
}

size_t sal_run_size(const struct sal_graph *graph, bool gradient)
{
    const size_t n = (size_t)graph->n_values;
    struct sal_interval *at = calloc(n, sizeof(*at));
    struct sal_place *place = calloc(n, sizeof(*place));
    bool *kept = calloc(n, sizeof(*kept));
    size_t size = 0;
    if (at && place && kept) {
        for (int i = 0; i < graph->n_outputs; i++)
            kept[graph->outputs[i]] = true;
        for (int i = 0; i < graph->n_inputs; i++)
            kept[graph->inputs[i]] = true;
        size = sal_run_plan(graph, kept, gradient, at, place);
    }
    free(at);
    free(place);
    free(kept);
    return size;
}
