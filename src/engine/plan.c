#include "plan.h"

#include <stdbool.h>
#include <stdlib.h>

static int by_size(const void *a, const void *b)
{
    const struct sal_interval *x = *(struct sal_interval *const *)a;
    const struct sal_interval *y = *(struct sal_interval *const *)b;
    if (x->size != y->size)
        return x->size < y->size ? 1 : -1;
    return x < y ? -1 : x > y;
}

static bool meet_in_time(const struct sal_interval *a, const struct sal_interval *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest offset where `want` fits between the placed ones it meets; placed is
 * sorted by offset. */
static size_t lowest_gap(struct sal_interval *const *placed, int n,
                         const struct sal_interval *want)
{
    size_t offset = 0;
    for (int i = 0; i < n; i++) {
        if (!meet_in_time(placed[i], want))
            continue;
        if (placed[i]->offset >= offset && placed[i]->offset - offset >= want->size)
            break;
        size_t end = placed[i]->offset + placed[i]->size;
        if (end > offset)
            offset = end;
    }
    return offset;
}

static void insert_by_offset(struct sal_interval **placed, int n,
                             struct sal_interval *interval)
{
    while (n > 0 && placed[n - 1]->offset > interval->offset) {
        placed[n] = placed[n - 1];
        n--;
    }
    placed[n] = interval;
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

size_t sal_plan_place(struct sal_interval *intervals, int n)
{
    if (n == 0)
        return 0;
    struct sal_interval **order = calloc((size_t)n, 2 * sizeof(*order));
    size_t total = order ? 0 : (size_t)-1;
    for (int i = 0; order && i < n; i++) {
        order[i] = &intervals[i];
        if (!round_up(&intervals[i]))
            total = (size_t)-1;
    }
    if (total == 0) {
        struct sal_interval **placed = order + n;
        qsort(order, (size_t)n, sizeof(*order), by_size);
        for (int i = 0; i < n && order[i]->size; i++) {
            order[i]->offset = lowest_gap(placed, i, order[i]);
            insert_by_offset(placed, i, order[i]);
            size_t end = order[i]->offset + order[i]->size;
            if (end > total)
                total = end;
        }
    }
    free(order);
    return total;
}
