/*
 * Selections by a boolean mask, which PyTorch writes as
 *
 *     y[mask] = f(x[mask], t[mask])
 *
 * and its exporters as NonZero, Transpose, GatherND, element-wise operators, ScatterND.
 * How many elements are selected depends on the input, so none of these has a shape
 * that could be planned. But whatever happens between GatherND and ScatterND happens
 * element by element: it may as well be done for every element of x, and the mask
 * decides at the end. So, with SELECTED(m, d) for "the elements of d where m is true":
 *
 *     GatherND(x, coordinates of m)              SELECTED(m, Where(m, x, 1/2))
 *     op(SELECTED(m, d), SELECTED(m, e))         SELECTED(m, op(d, e))
 *     Reshape, Expand, Slice to its own size     SELECTED(m, d)
 *     Expand(number, how many m are true)        SELECTED(m, Where(m, number, 1/2))
 *     ScatterND(y, coordinates, SELECTED(m, d))  Where(m, d, y)
 *
 * Both Wheres are needed. Outside the mask op may divide by zero or meet the NaN that
 * the mask was made to avoid; the last Where keeps such a value out of the result, the
 * first keeps its derivative (0 times infinity) out of the gradient. One half is a
 * filling that few functions dislike.
 *
 * A selection is no tensor: any other use of one is refused, by name.
 */
#include <limits.h>
#include <string.h>

#include "builder.h"

static const double FILLING = 0.5;

struct lowering {
    struct sal_builder *b;
    int place;
    const struct sal_onnx_node *node;
    const int *in;
    int n_in;
};

static const struct sal_selection *selection(const struct lowering *l, int i)
{
    static const struct sal_selection none = {.kind = SAL_NOT_SELECTED};
    return i < l->n_in && l->in[i] >= 0 ? &l->b->selections[l->in[i]] : &none;
}

static const struct sal_tensor *tensor(const struct lowering *l, int i)
{
    bool plain = i < l->n_in && l->in[i] >= 0 && !selection(l, i)->kind;
    return plain ? &l->b->graph->values[l->in[i]].tensor : NULL;
}

static enum sal_status refuse(const struct lowering *l, const char *why)
{
    const char *label = sal_onnx_node_label(l->node);
    return sal_fail(
        l->b->err, SAL_UNSUPPORTED,
        "operator %s (node '%s', opset %lld) on elements that a mask selects: %s",
        l->node->op, *label ? label : l->node->op,
        (long long)sal_onnx_node_opset(l->b->onnx, l->node), why);
}

static enum sal_status is(const struct lowering *l, enum sal_selection_kind kind,
                          int mask, int dense)
{
    l->b->selections[l->b->places[l->place].first] =
        (struct sal_selection){.kind = kind, .mask = mask, .dense = dense};
    return SAL_OK;
}

static enum sal_status is_as_before(const struct lowering *l,
                                    const struct sal_selection *s)
{
    return is(l, s->kind, s->mask, s->dense);
}

/* The mask behind Expands to its own shape, which exporters put before NonZero. */
static int plain_mask(const struct sal_builder *b, int id)
{
    const struct sal_value *values = b->graph->values;
    for (;;) {
        int place = b->makers[id].place;
        const struct sal_node *node = place < 0 ? NULL : &b->nodes[place];
        bool idle = node && node->op &&
                    (strcmp(node->op->name, "Expand") == 0 || node->op->passes) &&
                    sal_shape_equal(&values[node->in[0]].tensor.shape,
                                    &values[id].tensor.shape) &&
                    values[node->in[0]].tensor.type == values[id].tensor.type;
        if (!idle)
            return id;
        id = node->in[0];
    }
}

/* One element, and known. */
static bool is_number(const struct sal_tensor *t)
{
    return t && t->data && t->shape.rank <= 1 && sal_shape_count(&t->shape) == 1;
}

static bool is_integer(const struct lowering *l, int i, int64_t value)
{
    const struct sal_tensor *t = tensor(l, i);
    return is_number(t) && t->kind == SAL_INT && t->i64[0] == value;
}

/* ---- the operators ---------------------------------------------------------------- */

static enum sal_status lower_nonzero(const struct lowering *l)
{
    if (selection(l, 0)->kind)
        return refuse(l, "a selection cannot be a mask");
    return is(l, SAL_COORDINATES, plain_mask(l->b, l->in[0]), -1);
}

static enum sal_status lower_transpose(const struct lowering *l)
{
    const int64_t *perm;
    int n;
    enum sal_status status = sal_attr_ints(l->node, "perm", &perm, &n, l->b->err);
    if (status)
        return status;
    if (selection(l, 0)->kind != SAL_COORDINATES ||
        (perm && (n != 2 || perm[0] != 1 || perm[1] != 0)))
        return refuse(l, "only a list of coordinates is transposed");
    return is(l, SAL_COORDINATES_TRANSPOSED, selection(l, 0)->mask, -1);
}

static enum sal_status make_filling(struct sal_builder *b)
{
    struct sal_tensor *filling = &b->graph->values[b->filling].tensor;
    if (filling->data)
        return SAL_OK;
    *filling = (struct sal_tensor){.kind = SAL_REAL, .type = SAL_ONNX_FLOAT};
    filling->real = sal_new(&b->graph->arena, sal_real, 1);
    if (!filling->real)
        return sal_builder_no_memory(b);
    filling->real[0] = (sal_real)FILLING;
    return SAL_OK;
}

static enum sal_status choose(const struct lowering *l, int mask, int then,
                              int otherwise)
{
    return sal_builder_make(l->b, l->place, sal_op_find("Where"), SAL_OPSET_MAX,
                            (const int[]){mask, then, otherwise}, 3);
}

/* x is as the mask is: the same shape, and real. */
static bool fits(const struct lowering *l, const struct sal_tensor *x, int mask)
{
    return x && x->kind == SAL_REAL &&
           sal_shape_equal(&x->shape, &l->b->graph->values[mask].tensor.shape);
}

static enum sal_status lower_gather(const struct lowering *l)
{
    const struct sal_selection *where = selection(l, 1);
    int64_t batch_dims;
    enum sal_status status =
        sal_attr_int(l->node, "batch_dims", 0, &batch_dims, l->b->err);
    if (status)
        return status;
    if (where->kind != SAL_COORDINATES_TRANSPOSED || batch_dims != 0 ||
        !fits(l, tensor(l, 0), where->mask))
        return refuse(
            l, "the mask must have the shape of the real tensor it selects from");
    if ((status = make_filling(l->b)) ||
        (status = choose(l, where->mask, l->in[0], l->b->filling)))
        return status;
    return is(l, SAL_SELECTED, where->mask, l->b->places[l->place].first);
}

static enum sal_status lower_scatter(const struct lowering *l)
{
    const struct sal_selection *where = selection(l, 1), *what = selection(l, 2);
    const char *reduction;
    enum sal_status status =
        sal_attr_string(l->node, "reduction", "none", &reduction, l->b->err);
    if (status)
        return status;
    if (where->kind != SAL_COORDINATES_TRANSPOSED || strcmp(reduction, "none") != 0 ||
        !fits(l, tensor(l, 0), where->mask))
        return refuse(l,
                      "the mask must have the shape of the real tensor it writes to");
    if (what->kind != SAL_SELECTED || what->mask != where->mask)
        return refuse(l, "what is written must be selected by the same mask");
    return choose(l, where->mask, what->dense, l->in[0]);
}

/* Every input is selected by the same mask, or one constant number. */
static enum sal_status lower_elementwise(const struct lowering *l)
{
    int mask = -1;
    int *in = sal_new(&l->b->scratch, int, l->n_in);
    if (!in)
        return sal_builder_no_memory(l->b);
    for (int i = 0; i < l->n_in; i++) {
        const struct sal_selection *s = selection(l, i);
        in[i] = s->kind ? s->dense : l->in[i];
        if (s->kind == SAL_SELECTED && (mask < 0 || mask == s->mask))
            mask = s->mask;
        else if (s->kind || (in[i] >= 0 && !is_number(tensor(l, i))))
            return refuse(
                l, "all inputs must be selected by one mask, or be constant numbers");
    }
    const struct sal_op *op;
    int opset;
    enum sal_status status = sal_builder_operator(l->b, l->place, &op, &opset);
    if (status || (status = sal_builder_make(l->b, l->place, op, opset, in, l->n_in)))
        return status;
    int first = l->b->places[l->place].first;
    if (!fits(l, &l->b->graph->values[first].tensor, mask))
        return refuse(l, "the result must stay real");
    return is(l, SAL_SELECTED, mask, first);
}

/* To a list, which it is. */
static enum sal_status lower_reshape(const struct lowering *l)
{
    if (selection(l, 0)->kind == SAL_SELECTED_COUNT)
        return is_as_before(l, selection(l, 0));
    if (selection(l, 0)->kind != SAL_SELECTED || !is_integer(l, 1, -1))
        return refuse(l, "it can only be reshaped to a list");
    return is_as_before(l, selection(l, 0));
}

static const struct sal_node *node_of(const struct sal_builder *b, int id,
                                      const char *op)
{
    int place = b->makers[id].place;
    const struct sal_node *node = place < 0 ? NULL : &b->nodes[place];
    return node && node->op && strcmp(node->op->name, op) == 0 ? node : NULL;
}

/* The mask whose true elements a plain number counts, the other way to count them:
 * ReduceSum of Cast of Reshape to a list. -1: none. */
static int counted_mask(const struct lowering *l, int i)
{
    const struct sal_builder *b = l->b;
    const struct sal_tensor *count = tensor(l, i);
    if (selection(l, i)->kind == SAL_SELECTED_COUNT)
        return selection(l, i)->mask;
    if (!count || count->data || sal_shape_count(&count->shape) != 1)
        return -1;
    const struct sal_node *sum = node_of(b, l->in[i], "ReduceSum");
    const struct sal_node *cast = sum ? node_of(b, sum->in[0], "Cast") : NULL;
    const struct sal_node *list = cast ? node_of(b, cast->in[0], "Reshape") : NULL;
    if (!list || b->graph->values[list->out[0]].tensor.shape.rank != 1 ||
        b->graph->values[list->in[0]].tensor.type != SAL_ONNX_BOOL)
        return -1;
    return plain_mask(b, list->in[0]);
}

/* Expand of a number to as many as are selected: y[mask] = number. */
static enum sal_status repeat_number(const struct lowering *l, int mask)
{
    enum sal_status status = make_filling(l->b);
    if (status || (status = choose(l, mask, l->in[0], l->b->filling)))
        return status;
    return is(l, SAL_SELECTED, mask, l->b->places[l->place].first);
}

static bool is_repeated(const struct lowering *l)
{
    return l->n_in == 2 && strcmp(l->node->op, "Expand") == 0 &&
           is_number(tensor(l, 0)) && tensor(l, 0)->kind == SAL_REAL &&
           counted_mask(l, 1) >= 0;
}

/* To a list of some length: where that is not its own length, the ScatterND that must
 * follow has as many coordinates as there are selected elements, and the model is
 * wrong. */
static enum sal_status lower_expand(const struct lowering *l)
{
    if (is_repeated(l))
        return repeat_number(l, counted_mask(l, 1));
    const struct sal_tensor *shape = tensor(l, 1);
    bool list = selection(l, 1)->kind == SAL_SELECTED_COUNT ||
                (shape && shape->shape.rank == 1 && shape->shape.dim[0] == 1);
    if (selection(l, 0)->kind != SAL_SELECTED || !list)
        return refuse(l, "it can only be expanded to its own size");
    return is_as_before(l, selection(l, 0));
}

/* Shape of the coordinates, to count them, or of what is selected. */
static enum sal_status lower_shape(const struct lowering *l)
{
    const struct sal_selection *s = selection(l, 0);
    int64_t start, end;
    enum sal_status status = sal_attr_int(l->node, "start", 0, &start, l->b->err);
    if (status || (status = sal_attr_int(l->node, "end", INT64_MAX, &end, l->b->err)))
        return status;
    if (s->kind == SAL_SELECTED)
        return is(l, SAL_SELECTED_COUNT, s->mask, -1);
    if (s->kind != SAL_COORDINATES_TRANSPOSED || start != 0)
        return refuse(l, "only how many there are can be asked");
    return is(l, end == 1 ? SAL_SELECTED_COUNT : SAL_COORDINATES_SHAPE, s->mask, -1);
}

/* The first of the two sizes. */
static enum sal_status lower_pick(const struct lowering *l)
{
    if (selection(l, 0)->kind != SAL_COORDINATES_SHAPE || !is_integer(l, 1, 0))
        return refuse(l, "only how many there are can be asked");
    return is(l, SAL_SELECTED_COUNT, selection(l, 0)->mask, -1);
}

/* From the first element to the number of them: all. */
static enum sal_status lower_slice(const struct lowering *l)
{
    const struct sal_selection *s = selection(l, 0), *end = selection(l, 2);
    bool whole = s->kind == SAL_SELECTED && end->kind == SAL_SELECTED_COUNT &&
                 end->mask == s->mask && is_integer(l, 1, 0) &&
                 (l->n_in < 4 || l->in[3] < 0 || is_integer(l, 3, 0)) &&
                 (l->n_in < 5 || l->in[4] < 0 || is_integer(l, 4, 1));
    if (!whole)
        return refuse(l, "only a slice of all of them is supported");
    return is_as_before(l, s);
}

/* The count in another shape. */
static enum sal_status lower_count(const struct lowering *l)
{
    if (selection(l, 0)->kind != SAL_SELECTED_COUNT)
        return refuse(l, "only their number can be reshaped");
    return is_as_before(l, selection(l, 0));
}

/* ---- which one --------------------------------------------------------------------- */

static const struct rule {
    const char *op;
    int min_in;
    enum sal_status (*lower)(const struct lowering *l);
} rules[] = {
    {"Expand", 2, lower_expand},   {"Gather", 2, lower_pick},
    {"GatherND", 2, lower_gather}, {"NonZero", 1, lower_nonzero},
    {"Reshape", 2, lower_reshape}, {"ScatterND", 3, lower_scatter},
    {"Shape", 1, lower_shape},     {"Slice", 3, lower_slice},
    {"Squeeze", 1, lower_count},   {"Transpose", 1, lower_transpose},
    {"Unsqueeze", 1, lower_count},
};

static enum sal_status lower(const struct lowering *l)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
        if (strcmp(rules[i].op, l->node->op) == 0 && l->n_in >= rules[i].min_in)
            return rules[i].lower(l);
    const struct sal_op *op = sal_op_find(l->node->op);
    if (op && op->pointwise)
        return lower_elementwise(l);
    return refuse(l, "only y[mask] = f(x[mask]) with element-wise f is supported");
}

/* NonZero of what is not known is where most selections begin. */
static bool begins(const struct lowering *l)
{
    const struct sal_tensor *x = tensor(l, 0);
    return strcmp(l->node->op, "NonZero") == 0 && l->n_in == 1 && x && !x->data &&
           x->kind == SAL_INT && x->shape.rank > 0;
}

enum sal_status sal_lower_mask(struct sal_builder *b, int place, const int *in,
                               int n_in, bool *done)
{
    struct lowering l = {b, place, b->places[place].source, in, n_in};
    bool any = false;
    for (int i = 0; i < n_in; i++)
        any |= selection(&l, i)->kind != SAL_NOT_SELECTED;
    bool ours = !*l.node->domain && l.node->n_outputs == 1 && *l.node->outputs[0];
    *done = any || (ours && (begins(&l) || is_repeated(&l)));
    if (!*done)
        return SAL_OK;
    return ours ? lower(&l) : refuse(&l, "it is not known how");
}
