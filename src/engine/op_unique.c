#include <stdlib.h>

#include "kernel.h"

/*
 * Unique: how many there are depends on the values, so they must be constant, and the
 * node is folded away while the graph is built. An item is an element of the flattened
 * input, or a slice of it across an axis.
 */
enum { Y, INDICES, INVERSE, COUNTS };

struct unique {
    bool has_axis;
    int64_t axis, sorted;
};

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    struct unique *unique = sal_new(arena, struct unique, 1);
    if (!unique)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = unique;
    unique->has_axis = sal_onnx_node_attr(source, "axis");
    enum sal_status status = sal_attr_int(source, "axis", 0, &unique->axis, err);
    return status ? status : sal_attr_int(source, "sorted", 1, &unique->sorted, err);
}

/* Item i is elements (o * n + i) * inner + j of the input, for all o and j. */
struct items {
    const struct sal_tensor *x;
    int64_t outer, n, inner;
};

static struct items items_of(const struct sal_node *node, const struct sal_tensor *x)
{
    const struct unique *unique = node->attr;
    if (!unique->has_axis)
        return (struct items){x, 1, sal_shape_count(&x->shape), 1};
    int axis = (int)(unique->axis < 0 ? unique->axis + x->shape.rank : unique->axis);
    return (struct items){x, sal_shape_span(&x->shape, 0, axis), x->shape.dim[axis],
                          sal_shape_span(&x->shape, axis + 1, x->shape.rank)};
}

/* ---- order --------------------------------------------------------------------- */

/* NaN comes last and equals itself. */
static int compare_elements(const struct sal_tensor *x, int64_t i, int64_t j)
{
    if (x->kind == SAL_REAL) {
        sal_real a = x->real[i], b = x->real[j];
        return a != a || b != b ? (a != a) - (b != b) : (a > b) - (a < b);
    }
    if (x->type == SAL_ONNX_UINT64) {
        uint64_t a = (uint64_t)x->i64[i], b = (uint64_t)x->i64[j];
        return (a > b) - (a < b);
    }
    return (x->i64[i] > x->i64[j]) - (x->i64[i] < x->i64[j]);
}

static int compare_items(const struct items *items, int64_t a, int64_t b)
{
    for (int64_t o = 0; o < items->outer; o++)
        for (int64_t j = 0; j < items->inner; j++) {
            int order = compare_elements(items->x,
                                         (o * items->n + a) * items->inner + j,
                                         (o * items->n + b) * items->inner + j);
            if (order)
                return order;
        }
    return 0;
}

static int by_value(const void *a, const void *b, void *context)
{
    int64_t i = *(const int64_t *)a, j = *(const int64_t *)b;
    int order = compare_items(context, i, j);
    return order ? order : (i > j) - (i < j);
}

/* Fills order with the items as sorted, label with each item's place among the unique
 * ones; returns how many these are. */
static int64_t sort_items(struct items *items, int64_t *order, int64_t *label)
{
    int64_t found = 0;
    for (int64_t i = 0; i < items->n; i++)
        order[i] = i;
    if (items->n)
        qsort_r(order, (size_t)items->n, sizeof(*order), by_value, items);
    for (int64_t i = 0; i < items->n; i++) {
        if (i && compare_items(items, order[i - 1], order[i]) != 0)
            found++;
        label[order[i]] = found;
    }
    return items->n ? found + 1 : 0;
}

/* ---- infer --------------------------------------------------------------------- */

static enum sal_status set_outputs(const struct sal_infer *infer, int64_t n,
                                   int64_t found, struct sal_error *err)
{
    const struct unique *unique = infer->node->attr;
    struct sal_shape shape = {.rank = 1}, list = {.rank = 1};
    int axis = 0;
    if (unique->has_axis) {
        shape = infer->in[0]->shape;
        axis = (int)(unique->axis < 0 ? unique->axis + shape.rank : unique->axis);
    }
    shape.dim[axis] = found;
    enum sal_status status = sal_infer_like(infer, Y, infer->in[0], &shape, err);
    for (int i = INDICES; i <= COUNTS && !status; i++) {
        list.dim[0] = i == INVERSE ? n : found;
        status = sal_infer_set(infer, i, SAL_INT, SAL_ONNX_INT64, &list, err);
    }
    return status;
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct unique *unique = infer->node->attr;
    int axis;
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status ||
        (unique->has_axis && (status = sal_infer_axis(infer, unique->axis,
                                                      infer->in[0]->shape.rank, 0, &axis,
                                                      err))))
        return status;
    struct items items = items_of(infer->node, infer->in[0]);
    if (sal_shape_count(&infer->in[0]->shape) &&
        (status = sal_infer_constant(infer, 0, err)))
        return status;
    int64_t *order = calloc((size_t)items.n + 1, 2 * sizeof(*order));
    if (!order)
        return sal_node_fail(infer->node, err, SAL_LIMIT, "no memory");
    int64_t found = sort_items(&items, order, order + items.n);
    free(order);
    return set_outputs(infer, items.n, found, err);
}

/* ---- forward ------------------------------------------------------------------- */

/* Makes labels count in the order of first occurrence. */
static void relabel(const struct items *items, int64_t *label, int64_t *renamed)
{
    int64_t next = 0;
    for (int64_t i = 0; i < items->n; i++)
        renamed[i] = -1;
    for (int64_t i = 0; i < items->n; i++) {
        if (renamed[label[i]] < 0)
            renamed[label[i]] = next++;
        label[i] = renamed[label[i]];
    }
}

static void copy_item(const struct items *items, int64_t from, const struct sal_tensor *y,
                      int64_t to, int64_t found)
{
    for (int64_t o = 0; o < items->outer; o++)
        for (int64_t j = 0; j < items->inner; j++) {
            int64_t x_at = (o * items->n + from) * items->inner + j;
            int64_t y_at = (o * found + to) * items->inner + j;
            if (y->kind == SAL_REAL)
                y->real[y_at] = items->x->real[x_at];
            else
                y->i64[y_at] = items->x->i64[x_at];
        }
}

static void put(const struct sal_kernel *k, int output, int64_t at, int64_t value)
{
    const struct sal_tensor *to = sal_kernel_out(k, output);
    if (to)
        to->i64[at] = value;
}

/* The last one to write is the first occurrence. */
static void write_outputs(const struct sal_kernel *k, const struct items *items,
                          const int64_t *label, int64_t found, int64_t *counts)
{
    for (int64_t i = 0; i < found; i++)
        counts[i] = 0;
    for (int64_t i = items->n - 1; i >= 0; i--) {
        if (sal_kernel_out(k, Y))
            copy_item(items, i, k->out[Y], label[i], found);
        put(k, INDICES, label[i], i);
        put(k, INVERSE, i, label[i]);
        put(k, COUNTS, label[i], ++counts[label[i]]);
    }
}

static size_t scratch(const struct sal_kernel *k, bool backward)
{
    struct items items = items_of(k->node, k->in[0]);
    size_t reals = sizeof(int64_t) / sizeof(sal_real);
    return backward ? 0 : 3 * reals * (size_t)items.n;
}

static void forward(const struct sal_kernel *k)
{
    const struct unique *unique = k->node->attr;
    struct items items = items_of(k->node, k->in[0]);
    int64_t *order = (int64_t *)(void *)k->scratch; /* three lists of n */
    int64_t *label = order + items.n, *more = label + items.n;
    int64_t found = sort_items(&items, order, label);
    if (!unique->sorted)
        relabel(&items, label, more);
    write_outputs(k, &items, label, found, more);
}

const struct sal_op sal_op_Unique = {
    .name = "Unique",
    .since = 11,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = 1,
    .max_out = 4,
    .parse = parse,
    .infer = infer,
    .forward = forward,
    .scratch = scratch,
};
