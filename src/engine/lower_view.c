#include "lower_view.h"

#include <string.h>

#include "kernel.h"

/* While a view is followed its axes may be several each: images and heads, say, that a
 * reshape has put together although they do not lie so. Outermost first. */
enum { PARTS = 2 * SAL_RANK_MAX };

struct trace {
    int value;
    int64_t offset;
    double factor;
    int rank, n;
    struct part {
        int axis;
        int64_t dim, stride;
    } part[PARTS];
};

static struct trace whole(const struct sal_lowering *l, int v)
{
    const struct sal_shape *shape = &sal_lower_tensor(l, v)->shape;
    struct trace trace = {.value = v, .factor = 1, .rank = shape->rank, .n = shape->rank};
    int64_t step = 1;
    for (int i = shape->rank - 1; i >= 0; i--) {
        trace.part[i] = (struct part){i, shape->dim[i], step};
        step *= shape->dim[i];
    }
    return trace;
}

/* Puts a part in front of those that are there, which are at the end of the array. */
static bool put(struct trace *trace, int axis, int64_t dim, int64_t stride)
{
    if (trace->n == PARTS)
        return false;
    trace->n++;
    trace->part[PARTS - trace->n] = (struct part){axis, dim, stride};
    return true;
}

/* From the innermost part on, each new axis takes what it needs, the last perhaps not
 * whole. False: axes do not fall together. */
static bool reshape(struct trace *trace, const struct sal_shape *shape)
{
    struct trace to = *trace;
    to.n = 0;
    to.rank = shape->rank;
    int at = trace->n - 1;
    for (int axis = shape->rank - 1; axis >= 0; axis--)
        for (int64_t need = shape->dim[axis]; need > 1;) {
            while (at >= 0 && trace->part[at].dim == 1)
                at--;
            if (at < 0)
                return false;
            struct part *part = &trace->part[at];
            int64_t taken = part->dim < need ? part->dim : need;
            if (need % taken || part->dim % taken || !put(&to, axis, taken, part->stride))
                return false;
            part->dim /= taken;
            part->stride *= taken;
            need /= taken;
        }
    memmove(to.part, to.part + PARTS - to.n, sizeof(*to.part) * (size_t)to.n);
    *trace = to;
    return true;
}

static bool turn(const struct sal_node *node, struct trace *trace)
{
    const struct sal_int_list *perm = sal_transpose_axes(node);
    const struct trace from = *trace;
    trace->n = 0;
    for (int i = 0; i < from.rank; i++) {
        int64_t axis = perm ? perm->values[i] : from.rank - 1 - i;
        axis += axis < 0 ? from.rank : 0;
        for (int j = 0; j < from.n; j++)
            if (from.part[j].axis == axis)
                trace->part[trace->n++] =
                    (struct part){i, from.part[j].dim, from.part[j].stride};
    }
    return true;
}

/* One index of an axis, which goes. */
static bool pick(const struct sal_lowering *l, const struct sal_node *node,
                 struct trace *trace)
{
    const struct sal_tensor *index = sal_lower_tensor(l, node->in[1]);
    const struct sal_tensor *x = sal_lower_tensor(l, node->in[0]);
    const int axis = sal_gather_axis(node, trace->rank);
    if (!index->data || index->kind != SAL_INT || index->shape.rank != 0)
        return false;
    int64_t at = index->i64[0] + (index->i64[0] < 0 ? x->shape.dim[axis] : 0);
    struct trace to = *trace;
    to.n = 0;
    for (int i = trace->n - 1; i >= 0; i--) {
        const struct part *part = &trace->part[i];
        if (part->axis != axis) {
            put(&to, part->axis - (part->axis > axis), part->dim, part->stride);
            continue;
        }
        to.offset += at % part->dim * part->stride;
        at /= part->dim;
    }
    memmove(to.part, to.part + PARTS - to.n, sizeof(*to.part) * (size_t)to.n);
    to.rank--;
    *trace = to;
    return true;
}

static bool is(const struct sal_node *node, const char *name)
{
    return strcmp(node->op->name, name) == 0;
}

static bool scale(const struct sal_lowering *l, const struct sal_node *node, int x,
                  struct trace *trace)
{
    const struct sal_tensor *t = sal_lower_constant(l, node->in[x == node->in[0]]);
    if (!t || sal_shape_count(&t->shape) != 1 || !(t->real[0] > 0))
        return false;
    trace->factor *= is(node, "Div") ? 1 / (double)t->real[0] : (double)t->real[0];
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

static struct trace follow(const struct sal_lowering *l, int v, bool scaled)
{
    int producer = l->from->values[v].producer;
    const struct sal_node *node = producer < 0 ? NULL : &l->from->nodes[producer];
    int x = node && !l->options->kept[v] ? shown_by(l, node, scaled) : -1;
    const struct sal_tensor *t = x < 0 ? NULL : sal_lower_tensor(l, x);
    if (!t || t->data || t->kind != SAL_REAL || !sal_shape_count(&t->shape))
        return whole(l, v);
    struct trace trace = follow(l, x, scaled);
    bool shown = is(node, "Transpose")                ? turn(node, &trace)
                 : is(node, "Gather")                 ? pick(l, node, &trace)
                 : is(node, "Mul") || is(node, "Div") ? scale(l, node, x, &trace)
                                                      : true;
    return shown && reshape(&trace, &sal_lower_tensor(l, v)->shape) ? trace : whole(l, v);
}

/* One stride per axis; false: an axis needs more. */
static bool join(const struct trace *trace, const struct sal_shape *shape,
                 struct sal_view *view)
{
    *view = (struct sal_view){.value = trace->value, .shape = *shape,
                              .offset = trace->offset, .factor = trace->factor};
    for (int i = trace->n - 1; i >= 0; i--) {
        const struct part *part = &trace->part[i], *inner = part + 1;
        bool first = i == trace->n - 1 || inner->axis != part->axis;
        if (first)
            view->stride[part->axis] = part->stride;
        else if (part->stride != inner->dim * inner->stride)
            return false;
    }
    return true;
}

struct sal_view sal_lower_view(const struct sal_lowering *l, int v, bool scaled)
{
    const struct sal_shape *shape = &sal_lower_tensor(l, v)->shape;
    struct trace trace = follow(l, v, scaled);
    struct sal_view view;
    if (join(&trace, shape, &view))
        return view;
    trace = whole(l, v);
    reshape(&trace, shape);
    join(&trace, shape, &view);
    return view;
}
