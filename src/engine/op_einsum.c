#include <inttypes.h>

#include "contraction.h"

/* Einsum (12). */

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    struct sal_equation *equation = sal_new(arena, struct sal_equation, 1);
    const char *text;
    if (!equation)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = equation;
    enum sal_status status = sal_attr_string(source, "equation", "", &text, err);
    if (status)
        return status;
    if (node->n_in > SAL_SOURCES)
        return sal_node_fail(node, err, SAL_UNSUPPORTED,
                             "has %d inputs, at most %d are supported", node->n_in,
                             SAL_SOURCES);
    return sal_equation_parse(equation, text, node, arena, err);
}

/* ---- shapes -------------------------------------------------------------------- */

/* Makes dim of each label what operand i says; elements of one give way to more. */
static enum sal_status take_dims(const struct sal_infer *infer, int i,
                                 int64_t dim[SAL_LABELS], struct sal_error *err)
{
    const struct sal_equation *equation = infer->node->attr;
    const struct sal_shape *shape = &infer->in[i]->shape;
    unsigned char label[SAL_RANK_MAX];
    if (!sal_term_labels(&equation->operand[i], shape->rank, label))
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "input %d has %d axes, which its term does not fit", i,
                             shape->rank);
    for (int axis = 0; axis < shape->rank; axis++) {
        int64_t *known = &dim[label[axis]], here = shape->dim[axis];
        if (*known != here && *known != 1 && here != 1)
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "axis %d of input %d has %" PRId64
                                 " elements, where others of its label have %" PRId64,
                                 axis, i, here, *known);
        *known = *known == 1 ? here : *known;
    }
    return SAL_OK;
}

static int ellipsis_rank(const struct sal_equation *equation,
                         const struct sal_tensor *const *in)
{
    int most = 0;
    for (int i = 0; i < equation->n; i++) {
        int more = in[i]->shape.rank - equation->operand[i].n;
        most = more > most ? more : most;
    }
    return most;
}

/* So many terms could not be counted. */
static enum sal_status check_count(const struct sal_infer *infer,
                                   const int64_t dim[SAL_LABELS], struct sal_error *err)
{
    int64_t count = 1;
    for (int l = 0; l < SAL_LABELS; l++)
        if (dim[l] && __builtin_mul_overflow(count, dim[l], &count))
            return sal_node_fail(infer->node, err, SAL_LIMIT,
                                 "would add up 2^63 products or more");
    return SAL_OK;
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct sal_equation *equation = infer->node->attr;
    int64_t dim[SAL_LABELS];
    unsigned char label[SAL_RANK_MAX];
    enum sal_status status = SAL_OK;
    for (int l = 0; l < SAL_LABELS; l++)
        dim[l] = 1;
    for (int i = 0; i < equation->n && !status; i++) {
        status = sal_infer_kind(infer, i, SAL_REAL, err);
        if (!status)
            status = take_dims(infer, i, dim, err);
    }
    if (status || (status = check_count(infer, dim, err)))
        return status;
    struct sal_shape shape = {.rank = equation->output.n};
    if (equation->output.ellipsis >= 0)
        shape.rank += ellipsis_rank(equation, infer->in);
    if (shape.rank > SAL_RANK_MAX)
        return sal_node_fail(infer->node, err, SAL_UNSUPPORTED,
                             "output has more than %d axes", SAL_RANK_MAX);
    sal_term_labels(&equation->output, shape.rank, label);
    for (int axis = 0; axis < shape.rank; axis++)
        shape.dim[axis] = dim[label[axis]];
    return sal_infer_like(infer, 0, infer->in[0], &shape, err);
}

/* ---- loops --------------------------------------------------------------------- */

/* A label that comes twice steps along the diagonal. */
static struct sal_operand operand_of(const struct sal_term *term,
                                     const struct sal_shape *shape,
                                     const sal_real *data)
{
    struct sal_operand operand = {.data = data};
    unsigned char label[SAL_RANK_MAX];
    int64_t step = 1;
    sal_term_labels(term, shape->rank, label);
    for (int axis = shape->rank - 1; axis >= 0; axis--) {
        operand.stride[label[axis]] += shape->dim[axis] == 1 ? 0 : step;
        step *= shape->dim[axis];
    }
    return operand;
}

static void lay_labels(struct sal_contraction *c, const struct sal_kernel *k)
{
    unsigned char label[SAL_RANK_MAX];
    const struct sal_infer infer = {.node = k->node, .in = k->in};
    const struct sal_equation *equation = k->node->attr;
    for (int l = 0; l < SAL_LABELS; l++)
        c->dim[l] = 1;
    for (int i = 0; i < equation->n; i++)
        take_dims(&infer, i, c->dim, NULL);
    sal_term_labels(&equation->output, k->out[0]->shape.rank, label);
    c->image = k->out[0]->shape.rank ? label[0] : -1;
}

static void forward(const struct sal_kernel *k)
{
    const struct sal_equation *equation = k->node->attr;
    struct sal_contraction c = {.n = equation->n};
    lay_labels(&c, k);
    for (int i = 0; i < equation->n; i++)
        c.source[i] = operand_of(&equation->operand[i], &k->in[i]->shape, k->in[i]->real);
    c.target = operand_of(&equation->output, &k->out[0]->shape, NULL);
    c.to = k->out[0]->real;
    sal_contraction_run(&c, k->pool);
}

/* An operand's gradient is the same sum with operand and output in each other's place. */
static void backward(const struct sal_kernel *k)
{
    const struct sal_equation *equation = k->node->attr;
    struct sal_contraction c = {.n = equation->n, .add = true};
    lay_labels(&c, k);
    struct sal_operand dy = operand_of(&equation->output, &k->out[0]->shape, k->dy[0]);
    for (int t = 0; t < equation->n; t++) {
        if (!k->dx[t])
            continue;
        for (int i = 0; i < equation->n; i++)
            c.source[i] =
                operand_of(&equation->operand[i], &k->in[i]->shape, k->in[i]->real);
        c.target = c.source[t];
        c.to = k->dx[t];
        c.source[t] = dy;
        sal_contraction_run(&c, k->pool);
    }
}

static double macs(const struct sal_kernel *k)
{
    struct sal_contraction c;
    double product = 1;
    lay_labels(&c, k);
    for (int l = 0; l < SAL_LABELS; l++)
        product *= (double)c.dim[l];
    return product;
}

/* An axis of the output is the input's axis of that label. */
static void carry_labels(const struct sal_kernel *k, int input, int output,
                         struct sal_carry *carry)
{
    const struct sal_equation *equation = k->node->attr;
    const struct sal_shape *x = &k->in[input]->shape, *y = &k->out[output]->shape;
    unsigned char from[SAL_RANK_MAX], to[SAL_RANK_MAX];
    sal_term_labels(&equation->operand[input], x->rank, from);
    sal_term_labels(&equation->output, y->rank, to);
    for (int i = 0; i < y->rank; i++)
        for (int own = x->rank - 1; own >= 0; own--)
            if (from[own] == to[i] && x->dim[own] == y->dim[i])
                carry->axis[i] = own;
}

const struct sal_op sal_op_Einsum = {
    .name = "Einsum",
    .since = 12,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = -1,
    .max_out = 1,
    .parse = parse,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .frugal = true,
    .reads = SAL_READS(SAL_READS_ALL, 0),
    .carry = carry_labels,
    .macs = macs,
    .mixes = true,
};
