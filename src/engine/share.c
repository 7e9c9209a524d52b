#include <limits.h>
#include <stdlib.h>

#include "placement.h"
#include "run_state.h"

/*
 * Values that can lie in another's memory. From the last node to the first, where the
 * output lies is settled, and inputs move in: first the parts of what is joined from them,
 * then what is only seen otherwise or is written over as it dies.
 */
struct sharing {
    const struct sal_graph *graph;
    struct sal_interval *at; /* of one that others are in: the time of all */
    struct sal_place *place; /* in another, which may be in yet another */
    struct tenant {
        int until;  /* last step when what lies there is still this value */
        int others; /* last step of those in it */
        bool holds; /* something to keep, itself or in it */
    } *tenant;
};

static const struct sal_tensor *tensor_of(const struct sharing *s, int value)
{
    return &s->graph->values[value].tensor;
}

static bool is_home(const struct sharing *s, int value)
{
    return s->at[value].size && s->place[value].home == value;
}

static struct sal_place root_of(const struct sharing *s, int value)
{
    struct sal_place root = {value, 0};
    while (s->place[root.home].home != root.home) {
        root.offset += s->place[root.home].offset;
        root.home = s->place[root.home].home;
    }
    return root;
}

static int until_of(const struct sharing *s, int value)
{
    int until = s->tenant[value].until;
    while (s->place[value].home != value) {
        value = s->place[value].home;
        until = s->tenant[value].until < until ? s->tenant[value].until : until;
    }
    return until;
}

static int later(int a, int b)
{
    return a > b ? a : b;
}

static void move_in(struct sharing *s, int value, int into, size_t offset, int until)
{
    const struct sal_place root = root_of(s, into);
    const int limit = until_of(s, into);
    struct sal_interval *own = &s->at[value], *whole = &s->at[root.home];
    s->tenant[root.home].others = later(s->tenant[root.home].others, own->last);
    s->tenant[root.home].holds |= s->tenant[value].holds;
    s->tenant[value].until = until < limit ? until : limit;
    s->place[value] = (struct sal_place){root.home, root.offset + offset};
    whole->first = own->first < whole->first ? own->first : whole->first;
    whole->last = later(whole->last, own->last);
    own->size = 0;
}

/* x is so far into y, byte for byte. Two that are kept stay apart. */
static void share(struct sharing *s, int x, int y, size_t offset)
{
    const struct sal_place root = root_of(s, y);
    if (x >= 0 && is_home(s, x) && root.home != x &&
        !(s->tenant[x].holds && s->tenant[root.home].holds) &&
        s->at[x].last <= until_of(s, y) && (root.offset + offset) % SAL_PLAN_ALIGN == 0)
        move_in(s, x, y, offset, INT_MAX);
}

/* Whatever else lies where x does must be gone before node i writes y there: the node
 * reads other inputs in no particular order. */
static bool overwrite(struct sharing *s, int i, int x, int y)
{
    const struct sal_node *node = &s->graph->nodes[i];
    const struct sal_tensor *from = tensor_of(s, x), *to = tensor_of(s, y);
    if (!is_home(s, x) || root_of(s, y).home == x || s->at[x].last != i ||
        s->tenant[x].others >= i || from->kind != to->kind ||
        sal_tensor_bytes(from) != sal_tensor_bytes(to))
        return false;
    for (int j = 0; j < node->n_in; j++)
        if (node->in[j] == x && !sal_reads_bit(node->op->in_place, j))
            return false;
    move_in(s, x, y, 0, i - 1);
    return true;
}

/* Whether all parts lie one after another already, as they do in a longer row. */
static bool join_row(struct sharing *s, const struct sal_node *node)
{
    const int y = node->out[0];
    if (node->in[0] < 0 || !is_home(s, y))
        return false;
    const struct sal_place start = root_of(s, node->in[0]);
    size_t offset = start.offset;
    for (int j = 0; j < node->n_in; j++) {
        const int x = node->in[j];
        if (x < 0 || tensor_of(s, x)->data)
            return false;
        const struct sal_place root = root_of(s, x);
        if (root.home != start.home || root.offset != offset)
            return false;
        offset += sal_tensor_bytes(tensor_of(s, x));
    }
    if (start.home == y || (s->tenant[y].holds && s->tenant[start.home].holds))
        return false;
    move_in(s, y, start.home, start.offset, INT_MAX);
    return true;
}

static void join(struct sharing *s, const struct sal_node *node)
{
    if (join_row(s, node))
        return;
    size_t offset = 0;
    for (int j = 0; j < node->n_in; j++) {
        if (node->in[j] < 0)
            continue;
        share(s, node->in[j], node->out[0], offset);
        offset += sal_tensor_bytes(tensor_of(s, node->in[j]));
    }
}

static void replace(struct sharing *s, int i, bool overwrites)
{
    const struct sal_node *node = &s->graph->nodes[i];
    if (node->op->view)
        share(s, node->in[0], node->out[0], 0);
    for (int j = 0; overwrites && j < node->n_in; j++)
        if (sal_reads_bit(node->op->in_place, j) && node->in[j] >= 0 &&
            overwrite(s, i, node->in[j], node->out[0]))
            return;
}

bool sal_share_values(const struct sal_graph *graph, const bool *kept,
                      struct sal_sharing sharing, struct sal_interval *at,
                      struct sal_place *place)
{
    const int n = graph->n_values;
    struct sharing s = {graph, at, place, calloc((size_t)n, sizeof(*s.tenant))};
    if (!s.tenant)
        return false;
    for (int i = 0; i < n; i++) {
        place[i] = (struct sal_place){i, 0};
        s.tenant[i] = (struct tenant){INT_MAX, -1, kept[i]};
    }
    for (int pass = sharing.joins ? 0 : 1; pass < 2; pass++)
        for (int i = graph->n_nodes - 1; i >= 0; i--) {
            const struct sal_node *node = &graph->nodes[i];
            const int y = node->n_out ? node->out[0] : -1;
            if (y < 0 || !sal_tensor_bytes(tensor_of(&s, y)))
                continue;
            if (pass)
                replace(&s, i, sharing.overwrites);
            else if (node->op->joins && node->op->joins(node, tensor_of(&s, y)))
                join(&s, node);
        }
    for (int i = n - 1; i >= 0; i--)
        place[i] = root_of(&s, i);
    free(s.tenant);
    return true;
}
