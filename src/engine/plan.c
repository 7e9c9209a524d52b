#include "plan.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Up to FEW tensors each is held against every one already placed. Beyond, a tree over
 * time finds those it meets; once it has looked at PATIENCE of them in all, a tensor
 * for which it would look at more than CROWD goes on top of all that it meets. */
enum { FEW = 4096, CROWD = 256, PATIENCE = 1 << 24 };

/* A stretch of memory that is taken. */
struct taken {
    size_t from, to;
};

struct placing {
    struct sal_interval *intervals;
    int n;

    struct taken *met; /* [n] what the one being placed meets, by offset */
    int n_met;

    struct sal_interval **placed; /* few: by offset */
    int n_placed;

    /* Many: a binary tree over the distinct steps, its root 1. An interval is kept in
     * the lowest node that spans it. */
    int *step;    /* [n_steps], ascending */
    int n_steps;
    int leaves;   /* a power of 2 */
    int *first_in; /* [2 * leaves] an interval; -1 */
    int *next_in;  /* [n] another of the same node; -1 */
    int *within;   /* [2 * leaves] intervals in a node and below */
    size_t *over;  /* [2 * leaves] where what spans all of a node ends */
    size_t *above; /* [2 * leaves] where anything in a node ends */
    long patience; /* looks that are still free */
    int looked;    /* beyond it, for the one being placed */
};

/* ---- the lowest gap ------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    const struct sal_interval *x = *(struct sal_interval *const *)a;
    const struct sal_interval *y = *(struct sal_interval *const *)b;
    if (x->size != y->size)
        return x->size < y->size ? 1 : -1;
    return x < y ? -1 : x > y;
}

static int by_offset(const void *a, const void *b)
{
    const struct taken *x = a, *y = b;
    return x->from < y->from ? -1 : x->from > y->from;
}

static bool meet_in_time(const struct sal_interval *a, const struct sal_interval *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static void meet(struct placing *p, const struct sal_interval *other)
{
    p->met[p->n_met++] = (struct taken){other->offset, other->offset + other->size};
}

/* The lowest offset where `size` fits between what is met. */
static size_t lowest_gap(const struct placing *p, size_t size)
{
    size_t offset = 0;
    for (int i = 0; i < p->n_met; i++) {
        if (p->met[i].from >= offset && p->met[i].from - offset >= size)
            break;
        if (p->met[i].to > offset)
            offset = p->met[i].to;
    }
    return offset;
}

/* ---- few ------------------------------------------------------------------------ */

static size_t offset_among_few(struct placing *p, const struct sal_interval *want)
{
    p->n_met = 0;
    for (int i = 0; i < p->n_placed; i++)
        if (meet_in_time(p->placed[i], want))
            meet(p, p->placed[i]);
    return lowest_gap(p, want->size);
}

static void join_few(struct placing *p, struct sal_interval *interval)
{
    int at = p->n_placed++;
    for (; at > 0 && p->placed[at - 1]->offset > interval->offset; at--)
        p->placed[at] = p->placed[at - 1];
    p->placed[at] = interval;
}

/* ---- many ----------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return x < y ? -1 : x > y;
}

static int leaf_of(const struct placing *p, int step)
{
    const int *at = bsearch(&step, p->step, (size_t)p->n_steps, sizeof(step), by_value);
    return p->leaves + (int)(at - p->step);
}

static bool plant(struct placing *p)
{
    p->step = calloc((size_t)p->n, 2 * sizeof(*p->step));
    if (!p->step)
        return false;
    int n = 0;
    for (int i = 0; i < p->n; i++) {
        p->step[n++] = p->intervals[i].first;
        p->step[n++] = p->intervals[i].last;
    }
    qsort(p->step, (size_t)n, sizeof(*p->step), by_value);
    for (int i = 0; i < n; i++)
        if (i == 0 || p->step[i] != p->step[p->n_steps - 1])
            p->step[p->n_steps++] = p->step[i];
    for (p->leaves = 1; p->leaves < p->n_steps; p->leaves *= 2)
        ;
    size_t nodes = 2 * (size_t)p->leaves;
    p->first_in = malloc(nodes * sizeof(*p->first_in));
    p->next_in = malloc((size_t)p->n * sizeof(*p->next_in));
    p->within = calloc(nodes, sizeof(*p->within));
    p->over = calloc(nodes, sizeof(*p->over));
    p->above = calloc(nodes, sizeof(*p->above));
    if (!p->first_in || !p->next_in || !p->within || !p->over || !p->above)
        return false;
    memset(p->first_in, -1, nodes * sizeof(*p->first_in));
    p->patience = PATIENCE;
    return true;
}

/* A part of the tree: a node and the leaves it spans. */
struct branch {
    int node, from, to;
};

static struct branch half(struct branch b, int which)
{
    int middle = b.from + (b.to - b.from) / 2;
    return which ? (struct branch){2 * b.node + 1, middle + 1, b.to}
                 : (struct branch){2 * b.node, b.from, middle};
}

/* Meets all of a branch that live at the same time as want; false: too many. */
static bool meet_branch(struct placing *p, struct branch b, int first, int last,
                        const struct sal_interval *want)
{
    if (last < b.from || b.to < first || !p->within[b.node])
        return true;
    for (int i = p->first_in[b.node]; i >= 0; i = p->next_in[i]) {
        if (p->patience-- <= 0 && ++p->looked > CROWD)
            return false;
        if (meet_in_time(&p->intervals[i], want))
            meet(p, &p->intervals[i]);
    }
    return b.from == b.to || (meet_branch(p, half(b, 0), first, last, want) &&
                              meet_branch(p, half(b, 1), first, last, want));
}

static size_t top_of(const struct placing *p, struct branch b, int first, int last)
{
    if (last < b.from || b.to < first)
        return 0;
    if (first <= b.from && b.to <= last)
        return p->above[b.node];
    size_t left = top_of(p, half(b, 0), first, last);
    size_t right = top_of(p, half(b, 1), first, last);
    size_t top = left > right ? left : right;
    return top > p->over[b.node] ? top : p->over[b.node];
}

static void raise_top(struct placing *p, struct branch b, int first, int last, size_t end)
{
    if (last < b.from || b.to < first)
        return;
    if (p->above[b.node] < end)
        p->above[b.node] = end;
    if (first <= b.from && b.to <= last) {
        if (p->over[b.node] < end)
            p->over[b.node] = end;
        return;
    }
    raise_top(p, half(b, 0), first, last, end);
    raise_top(p, half(b, 1), first, last, end);
}

static struct branch root_of(const struct placing *p)
{
    return (struct branch){1, p->leaves, 2 * p->leaves - 1};
}

static size_t offset_among_many(struct placing *p, const struct sal_interval *want)
{
    int first = leaf_of(p, want->first), last = leaf_of(p, want->last);
    p->n_met = p->looked = 0;
    if (!meet_branch(p, root_of(p), first, last, want))
        return top_of(p, root_of(p), first, last);
    qsort(p->met, (size_t)p->n_met, sizeof(*p->met), by_offset);
    return lowest_gap(p, want->size);
}

static void join_many(struct placing *p, const struct sal_interval *interval)
{
    int first = leaf_of(p, interval->first), last = leaf_of(p, interval->last);
    raise_top(p, root_of(p), first, last, interval->offset + interval->size);
    int node = first, other = last;
    for (; node != other; node /= 2)
        other /= 2;
    int i = (int)(interval - p->intervals);
    p->next_in[i] = p->first_in[node];
    p->first_in[node] = i;
    for (; node > 0; node /= 2)
        p->within[node]++;
}

/* ---- all ------------------------------------------------------------------------ */

static void placing_release(struct placing *p)
{
    free(p->met);
    free(p->placed);
    free(p->step);
    free(p->first_in);
    free(p->next_in);
    free(p->within);
    free(p->over);
    free(p->above);
}

static bool round_up(struct sal_interval *interval)
{
    size_t size;
    if (__builtin_add_overflow(interval->size, SAL_PLAN_ALIGN - 1, &size) ||
        size > (size_t)-1 >> 8)
        return false;
    interval->size = size / SAL_PLAN_ALIGN * SAL_PLAN_ALIGN;
    return true;
}

/* The first `fixed` in order have their places. */
static size_t place_all(struct placing *p, struct sal_interval *const *order, int fixed)
{
    bool many = p->n > FEW;
    size_t n = (size_t)p->n, total = 0;
    p->met = calloc(n, sizeof(*p->met));
    p->placed = many ? NULL : calloc(n, sizeof(*p->placed));
    if (!p->met || (many ? !plant(p) : !p->placed))
        return (size_t)-1;
    for (int i = 0; i < p->n; i++) {
        if (!order[i]->size)
            continue;
        if (i >= fixed)
            order[i]->offset = many ? offset_among_many(p, order[i])
                                    : offset_among_few(p, order[i]);
        if (many)
            join_many(p, order[i]);
        else
            join_few(p, order[i]);
        size_t end = order[i]->offset + order[i]->size;
        if (end > total)
            total = end;
    }
    return total;
}

size_t sal_plan_place(struct sal_interval *intervals, int fixed, int n)
{
    if (n == 0)
        return 0;
    struct sal_interval **order = calloc((size_t)n, sizeof(*order));
    bool right = order;
    for (int i = 0; right && i < n; i++) {
        order[i] = &intervals[i];
        right = round_up(&intervals[i]);
    }
    size_t total = (size_t)-1;
    if (right) {
        struct placing p = {.intervals = intervals, .n = n};
        qsort(order + fixed, (size_t)(n - fixed), sizeof(*order), by_size);
        total = place_all(&p, order, fixed);
        placing_release(&p);
    }
    free(order);
    return total;
}
