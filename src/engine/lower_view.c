#include "lower_view.h"

#include <string.h>

#include "kernel.h"

static struct sal_view whole(const struct sal_lowering *l, int v)
{
    struct sal_view view = {.value = v, .factor = 1};
    int64_t step = 1;
    view.shape = sal_lower_tensor(l, v)->shape;
    for (int i = view.shape.rank - 1; i >= 0; i--) {
        view.stride[i] = view.shape.dim[i] == 1 ? 0 : step;
        step *= view.shape.dim[i];
    }
    return view;
}

/* Axes of one element say nothing; those crossed as if one are one. */
static void merge(struct sal_view *view)
{
    int rank = 0;
    for (int i = 0; i < view->shape.rank; i++) {
        int64_t dim = view->shape.dim[i], step = view->stride[i];
        if (dim == 1)
            continue;
        if (rank && view->stride[rank - 1] == dim * step) {
            view->shape.dim[rank - 1] *= dim;
            view->stride[rank - 1] = step;
            continue;
        }
        view->shape.dim[rank] = dim;
        view->stride[rank++] = step;
    }
    view->shape.rank = rank;
}

bool sal_view_reshape(struct sal_view *view, const struct sal_shape *shape)
{
    struct sal_view from = *view, to = *view;
    if (sal_shape_count(shape) != sal_shape_count(&view->shape) || !sal_shape_count(shape))
        return false;
    merge(&from);
    to.shape = *shape;
    int axis = from.shape.rank - 1;
    int64_t left = axis < 0 ? 1 : from.shape.dim[axis], step = axis < 0 ? 0 : from.stride[axis];
    for (int i = shape->rank - 1; i >= 0; i--) {
        to.stride[i] = 0;
        if (shape->dim[i] == 1)
            continue;
        if (left == 1 && axis > 0) {
            left = from.shape.dim[--axis];
            step = from.stride[axis];
        }
        if (left % shape->dim[i])
            return false;
        to.stride[i] = step;
        step *= shape->dim[i];
        left /= shape->dim[i];
    }
    *view = to;
    return true;
}

static bool is(const struct sal_node *node, const char *name)
{
    return strcmp(node->op->name, name) == 0;
}

static bool turn(const struct sal_node *node, struct sal_view *view)
{
    const struct sal_int_list *perm = sal_transpose_axes(node);
    const struct sal_view from = *view;
    for (int i = 0; i < from.shape.rank; i++) {
        int64_t axis = perm ? perm->values[i] : from.shape.rank - 1 - i;
        axis += axis < 0 ? from.shape.rank : 0;
        view->shape.dim[i] = from.shape.dim[axis];
        view->stride[i] = from.stride[axis];
    }
    return true;
}

/* One index of an axis, which goes. */
static bool pick(const struct sal_lowering *l, const struct sal_node *node,
                 struct sal_view *view)
{
    const struct sal_tensor *index = sal_lower_tensor(l, node->in[1]);
    int axis = sal_gather_axis(node, view->shape.rank);
    if (!index->data || index->kind != SAL_INT || index->shape.rank != 0)
        return false;
    int64_t at = index->i64[0] + (index->i64[0] < 0 ? view->shape.dim[axis] : 0);
    view->offset += at * view->stride[axis];
    for (int i = axis; i + 1 < view->shape.rank; i++) {
        view->shape.dim[i] = view->shape.dim[i + 1];
        view->stride[i] = view->stride[i + 1];
    }
    view->shape.rank--;
    return true;
}

static bool scale(const struct sal_lowering *l, const struct sal_node *node, int x,
                  struct sal_view *view)
{
    const struct sal_tensor *t = sal_lower_constant(l, node->in[x == node->in[0]]);
    if (!t || sal_shape_count(&t->shape) != 1 || !(t->real[0] > 0))
        return false;
    view->factor *= is(node, "Div") ? 1 / (double)t->real[0] : (double)t->real[0];
    return true;
}

/* The input that node shows in another way; -1: it does something else. */
static int shown_by(const struct sal_lowering *l, const struct sal_node *node, bool scaled)
{
    static const char *const names[] = {"Reshape", "Transpose", "Squeeze", "Unsqueeze",
                                        "Gather",  "Flatten",   "Identity"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (is(node, names[i]))
            return node->in[0];
    if (scaled && is(node, "Mul"))
        return node->in[sal_lower_constant(l, node->in[0]) ? 1 : 0];
    return scaled && is(node, "Div") ? node->in[0] : -1;
}

struct sal_view sal_lower_view(const struct sal_lowering *l, int v, bool scaled)
{
    int producer = l->from->values[v].producer;
    const struct sal_node *node = producer < 0 ? NULL : &l->from->nodes[producer];
    int x = node && !l->options->kept[v] ? shown_by(l, node, scaled) : -1;
    if (x < 0 || sal_lower_tensor(l, x)->data || sal_lower_tensor(l, x)->kind != SAL_REAL)
        return whole(l, v);
    struct sal_view view = sal_lower_view(l, x, scaled);
    const struct sal_shape *shape = &sal_lower_tensor(l, v)->shape;
    bool shown = is(node, "Transpose")                  ? turn(node, &view)
                 : is(node, "Gather")                   ? pick(l, node, &view)
                 : is(node, "Mul") || is(node, "Div")   ? scale(l, node, x, &view)
                                                        : true;
    return shown && sal_view_reshape(&view, shape) ? view : whole(l, v);
}
