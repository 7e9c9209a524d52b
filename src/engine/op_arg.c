#include "rows.h"

struct arg {
    int64_t axis, keepdims, last; /* last: of equals, not the first */
};

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    struct arg *arg = sal_new(arena, struct arg, 1);
    if (!arg)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = arg;
    enum sal_status status = sal_attr_int(source, "axis", 0, &arg->axis, err);
    if (!status)
        status = sal_attr_int(source, "keepdims", 1, &arg->keepdims, err);
    if (!status)
        status = sal_attr_int(source, "select_last_index", 0, &arg->last, err);
    return status;
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct arg *arg = infer->node->attr;
    int axis = 0;
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status)
        return status;
    const struct sal_shape *x = &infer->in[0]->shape;
    if ((status = sal_infer_axis(infer, arg->axis, x->rank, 0, &axis, err)))
        return status;
    if (!x->dim[axis])
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "axis %d has no elements to choose from", axis);
    struct sal_shape shape = {0};
    for (int i = 0; i < x->rank; i++)
        if (i != axis || arg->keepdims)
            shape.dim[shape.rank++] = i == axis ? 1 : x->dim[i];
    return sal_infer_set(infer, 0, SAL_INT, SAL_ONNX_INT64, &shape, err);
}

static struct sal_rows rows_of(const struct sal_kernel *k)
{
    const struct arg *arg = k->node->attr;
    const struct sal_shape *x = &k->in[0]->shape;
    return sal_rows_along(x, (int)(arg->axis < 0 ? arg->axis + x->rank : arg->axis));
}

/* NaN wins, as in numpy. */
#define CHOOSE(function, type, field, better)                                          \
    static void function(const struct sal_kernel *k, int64_t from, int64_t to,         \
                         int worker)                                                   \
    {                                                                                  \
        const struct arg *arg = k->node->attr;                                         \
        const struct sal_rows rows = rows_of(k);                                       \
        (void)worker;                                                                  \
        for (int64_t row = from; row < to; row++) {                                    \
            const type *x = k->in[0]->field + sal_row_at(&rows, row);                  \
            int64_t best = 0;                                                          \
            for (int64_t i = 1; i < rows.n; i++) {                                     \
                const type a = x[i * rows.stride], b = x[best * rows.stride];          \
                bool equal = a == b || (a != a && b != b);                             \
                if (equal ? arg->last != 0 : a better b || a != a)                     \
                    best = i;                                                          \
            }                                                                          \
            k->out[0]->i64[row] = best;                                                \
        }                                                                              \
    }

CHOOSE(max_reals, sal_real, real, >)
CHOOSE(min_reals, sal_real, real, <)
CHOOSE(max_integers, int64_t, i64, >)
CHOOSE(min_integers, int64_t, i64, <)

static void max_forward(const struct sal_kernel *k)
{
    const struct sal_rows rows = rows_of(k);
    sal_split(k->pool, rows.count, sal_grain(rows.n),
              k->in[0]->kind == SAL_REAL ? max_reals : max_integers, k);
}

static void min_forward(const struct sal_kernel *k)
{
    const struct sal_rows rows = rows_of(k);
    sal_split(k->pool, rows.count, sal_grain(rows.n),
              k->in[0]->kind == SAL_REAL ? min_reals : min_integers, k);
}

#define ROW(op_name, op_forward)                                                 \
    const struct sal_op sal_op_##op_name = {                                     \
        .name = #op_name,                                                        \
        .since = 1,                                                              \
        .until = SAL_OPSET_MAX,                                                  \
        .min_in = 1,                                                             \
        .max_in = 1,                                                             \
        .max_out = 1,                                                            \
        .parse = parse,                                                          \
        .infer = infer,                                                          \
        .forward = op_forward,                                                   \
    };

ROW(ArgMax, max_forward)
ROW(ArgMin, min_forward)
