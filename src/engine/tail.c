#include "tail.h"

#include <stdlib.h>
#include <string.h>

#include "binding.h"

enum { TAIL_MAX = 128 };

/* Each element of the result depends on the same element of each input. */
static const char *const elementwise[] = {
    "Add", "And", "Cast", "Clip", "Div", "Expand", "Greater", "GreaterOrEqual",
    "Identity", "Less", "LessOrEqual", "Max", "Min", "Mul", "Neg", "Not", "Or", "Pow",
    "Reshape", "Sub", "Where", NULL,
};

static bool is_elementwise(const struct sal_node *node)
{
    for (int i = 0; elementwise[i]; i++)
        if (strcmp(elementwise[i], node->op->name) == 0)
            return node->n_out == 1 && !node->op->scratch;
    return false;
}

/* ---- finding ---------------------------------------------------------------------- */

struct search {
    const struct sal_graph *graph;
    bool *wanted; /* values the tail computes */
    int n_wanted, from, nodes;
    bool chooses;
};

/* Looks at an input of the tail, which must be known, the Sigmoid's, or the tail's. */
static bool visit(struct search *s, int id, int64_t count)
{
    const struct sal_value *value = &s->graph->values[id];
    if (value->tensor.data || s->wanted[id])
        return true;
    if (value->producer < 0 || sal_shape_count(&value->tensor.shape) != count)
        return false;
    if (strcmp(s->graph->nodes[value->producer].op->name, "Sigmoid") == 0) {
        bool same = s->from < 0 || s->from == id;
        s->from = id;
        return same;
    }
    s->wanted[id] = true;
    s->n_wanted++;
    return is_elementwise(&s->graph->nodes[value->producer]);
}

static bool search(struct search *s, int to)
{
    const struct sal_graph *graph = s->graph;
    int64_t count = sal_shape_count(&graph->values[to].tensor.shape);
    bool good = visit(s, to, count) && s->n_wanted == 1;
    for (int i = graph->n_nodes - 1; good && i >= 0 && s->nodes < s->n_wanted; i--) {
        const struct sal_node *node = &graph->nodes[i];
        if (node->n_out != 1 || node->out[0] < 0 || !s->wanted[node->out[0]])
            continue;
        s->chooses |= strcmp(node->op->name, "Where") == 0;
        s->nodes++;
        good = s->nodes <= TAIL_MAX;
        for (int j = 0; good && j < node->n_in; j++)
            good = node->in[j] < 0 || visit(s, node->in[j], count);
    }
    return good && s->from >= 0 && s->chooses;
}

static enum sal_status keep(const struct search *s, int to, const struct sal_tail **out,
                            struct sal_arena *arena, struct sal_error *err)
{
    struct sal_tail *tail = sal_new(arena, struct sal_tail, 1);
    int *nodes = sal_new(arena, int, s->nodes);
    if (!tail || !nodes)
        return sal_fail(err, SAL_LIMIT, "no memory for the model");
    *tail = (struct sal_tail){.from = s->from, .to = to, .nodes = nodes};
    for (int i = 0; i < s->graph->n_nodes; i++) {
        const struct sal_node *node = &s->graph->nodes[i];
        if (node->n_out == 1 && node->out[0] >= 0 && s->wanted[node->out[0]])
            nodes[tail->n_nodes++] = i;
    }
    *out = tail;
    return SAL_OK;
}

enum sal_status sal_tail_find(const struct sal_graph *graph, int to,
                              const struct sal_tail **tail, struct sal_arena *arena,
                              struct sal_error *err)
{
    struct search s = {.graph = graph, .from = -1};
    *tail = NULL;
    s.wanted = calloc((size_t)graph->n_values, sizeof(*s.wanted));
    if (!s.wanted)
        return sal_fail(err, SAL_LIMIT, "no memory for the model");
    enum sal_status status = search(&s, to) ? keep(&s, to, tail, arena, err) : SAL_OK;
    free(s.wanted);
    return status;
}

/* ---- applying --------------------------------------------------------------------- */

static bool run_node(const struct sal_node *node, struct sal_tensor *tensors,
                     struct sal_arena *arena)
{
    struct sal_binding binding;
    struct sal_tensor *out = &tensors[node->out[0]];
    if (!sal_binding_init(&binding, node, arena))
        return false;
    for (int j = 0; j < node->n_in; j++)
        binding.in[j] = node->in[j] < 0 ? NULL : &tensors[node->in[j]];
    binding.out[0] = out;
    out->data = sal_arena_alloc(arena, (size_t)sal_shape_count(&out->shape),
                                sal_kind_size(out->kind));
    struct sal_kernel kernel = sal_binding_kernel(&binding, NULL);
    sal_binding_read(&binding, NULL);
    if (out->data)
        node->op->forward(&kernel);
    return out->data;
}

static bool apply(const struct sal_graph *graph, const struct sal_tail *tail,
                  double *probabilities, int n, struct sal_arena *arena)
{
    struct sal_tensor *tensors = sal_new(arena, struct sal_tensor, graph->n_values);
    sal_real *from = sal_new(arena, sal_real, n);
    if (!tensors || !from)
        return false;
    for (int i = 0; i < graph->n_values; i++)
        tensors[i] = graph->values[i].tensor;
    for (int i = 0; i < n; i++)
        from[i] = (sal_real)probabilities[i];
    tensors[tail->from].real = from;
    for (int i = 0; i < tail->n_nodes; i++)
        if (!run_node(&graph->nodes[tail->nodes[i]], tensors, arena))
            return false;
    for (int i = 0; i < n; i++)
        probabilities[i] = (double)tensors[tail->to].real[i];
    return true;
}

bool sal_tail_apply(const struct sal_graph *graph, const struct sal_tail *tail,
                    double *probabilities, int n)
{
    struct sal_arena arena = {0};
    bool done = apply(graph, tail, probabilities, n, &arena);
    sal_arena_release(&arena);
    return done;
}
