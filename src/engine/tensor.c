#include "saliscope/tensor.h"

#include <inttypes.h>
#include <stdio.h>

int64_t sal_shape_count(const struct sal_shape *shape)
{
    return sal_shape_span(shape, 0, shape->rank);
}

int64_t sal_shape_span(const struct sal_shape *shape, int from, int to)
{
    int64_t count = 1;
    for (int i = from; i < to; i++)
        count *= shape->dim[i];
    return count;
}

int sal_shape_equal(const struct sal_shape *a, const struct sal_shape *b)
{
    if (a->rank != b->rank)
        return 0;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return 0;
    return 1;
}

char *sal_shape_text(const struct sal_shape *shape, char *dst, size_t capacity)
{
    if (!capacity)
        return dst;
    if (!shape->rank)
        snprintf(dst, capacity, "scalar");
    size_t used = 0;
    for (int i = 0; i < shape->rank && used < capacity; i++) {
        int size = snprintf(dst + used, capacity - used, "%s%" PRId64, i ? "x" : "",
                            shape->dim[i]);
        used += size > 0 ? (size_t)size : 0;
    }
    return dst;
}

size_t sal_kind_size(enum sal_kind kind)
{
    return kind == SAL_REAL ? sizeof(sal_real) : sizeof(int64_t);
}
