#include "real.h"
#include "walk.h"

struct reduce {
    struct sal_int_list axes; /* the attribute, where they are not an input */
    int axes_input_since;
    int64_t keepdims, noop_with_empty_axes;
};

static enum sal_status parse_since(struct sal_node *node,
                                   const struct sal_onnx_node *source,
                                   struct sal_arena *arena, int axes_input_since,
                                   struct sal_error *err)
{
    struct reduce *reduce = sal_new(arena, struct reduce, 1);
    if (!reduce)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = reduce;
    reduce->axes_input_since = axes_input_since;
    enum sal_status status =
        sal_attr_ints(source, "axes", &reduce->axes.values, &reduce->axes.n, err);
    if (!status)
        status = sal_attr_int(source, "keepdims", 1, &reduce->keepdims, err);
    if (!status)
        status = sal_attr_int(source, "noop_with_empty_axes", 0,
                              &reduce->noop_with_empty_axes, err);
    return status;
}

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    return parse_since(node, source, arena, 18, err);
}

static enum sal_status parse_sum(struct sal_node *node, const struct sal_onnx_node *source,
                                 struct sal_arena *arena, struct sal_error *err)
{
    return parse_since(node, source, arena, 13, err);
}

/* No axes are all axes, or none. */
static enum sal_status choose(const struct sal_infer *infer, bool chosen[SAL_RANK_MAX],
                              struct sal_error *err)
{
    const struct reduce *reduce = infer->node->attr;
    const int64_t *axes;
    int64_t n;
    int rank = infer->in[0]->shape.rank;
    enum sal_status status = sal_infer_list(infer, reduce->axes_input_since, 1, "axes",
                                            &reduce->axes, &axes, &n, err);
    if (status || (status = sal_infer_axes(infer, axes, n, rank, chosen, err)))
        return status;
    if (!n && !reduce->noop_with_empty_axes)
        for (int i = 0; i < rank; i++)
            chosen[i] = true;
    return SAL_OK;
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    bool chosen[SAL_RANK_MAX];
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status || (status = choose(infer, chosen, err)))
        return status;
    const struct reduce *reduce = infer->node->attr;
    const struct sal_shape *x = &infer->in[0]->shape;
    struct sal_shape shape = {0};
    for (int i = 0; i < x->rank; i++) {
        if (!chosen[i])
            shape.dim[shape.rank++] = x->dim[i];
        else if (reduce->keepdims)
            shape.dim[shape.rank++] = 1;
    }
    return sal_infer_like(infer, 0, infer->in[0], &shape, err);
}

/* ---- loops --------------------------------------------------------------------- */

enum { Y, X };

static void walk_init(struct sal_walk *walk, const struct sal_kernel *k)
{
    const struct sal_infer infer = {.node = k->node, .in = k->in};
    const struct sal_shape *x = &k->in[0]->shape;
    struct sal_shape kept = *x;
    bool chosen[SAL_RANK_MAX];
    choose(&infer, chosen, NULL);
    for (int i = 0; i < x->rank; i++)
        if (chosen[i])
            kept.dim[i] = 1;
    sal_walk_init(walk, x, (const struct sal_shape *const[]){&kept, x}, 2);
}

/* Starts every output element at `real` or `integer`, then takes in the input. */
static void forward(const struct sal_kernel *k, sal_real real, int64_t integer,
                    void (*reals)(const struct sal_stretch *),
                    void (*integers)(const struct sal_stretch *))
{
    struct sal_walk walk;
    const struct sal_tensor *y = k->out[0];
    int64_t n = sal_shape_count(&y->shape);
    for (int64_t i = 0; i < n; i++) {
        if (y->kind == SAL_REAL)
            y->real[i] = real;
        else
            y->i64[i] = integer;
    }
    walk_init(&walk, k);
    sal_walk_reduce(&walk, Y, k, y->kind == SAL_REAL ? reals : integers);
}

static void backward(const struct sal_kernel *k,
                     void (*gradient)(const struct sal_stretch *))
{
    struct sal_walk walk;
    walk_init(&walk, k);
    if (k->dx[0])
        sal_walk_reduce(&walk, Y, k, gradient);
}

/* ---- sum, mean ----------------------------------------------------------------- */

static void sum_reals(const struct sal_stretch *s)
{
    const sal_real *x = s->k->in[0]->real + s->at[X];
    sal_real *y = s->k->out[0]->real + s->at[Y];
    if (!s->step[Y] && s->step[X] == 1) {
        *y += sal_sum(x, s->count);
        return;
    }
    for (int64_t i = 0; i < s->count; i++)
        y[i * s->step[Y]] += x[i * s->step[X]];
}

static void sum_integers(const struct sal_stretch *s)
{
    const int64_t *x = s->k->in[0]->i64 + s->at[X];
    int64_t *y = s->k->out[0]->i64 + s->at[Y];
    for (int64_t i = 0; i < s->count; i++) {
        int64_t *to = &y[i * s->step[Y]];
        uint64_t sum = (uint64_t)*to + (uint64_t)x[i * s->step[X]];
        *to = sal_int_wrap(s->k->out[0]->type, (int64_t)sum);
    }
}

static void sum_gradient(const struct sal_stretch *s)
{
    const sal_real *dy = s->k->dy[0] + s->at[Y];
    sal_real *dx = s->k->dx[0] + s->at[X];
    for (int64_t i = 0; i < s->count; i++)
        dx[i * s->step[X]] += dy[i * s->step[Y]];
}

static int64_t terms(const struct sal_kernel *k)
{
    int64_t y = sal_shape_count(&k->out[0]->shape);
    return y ? sal_shape_count(&k->in[0]->shape) / y : 0;
}

static void mean_gradient(const struct sal_stretch *s)
{
    const sal_real *dy = s->k->dy[0] + s->at[Y];
    const sal_real n = (sal_real)terms(s->k);
    sal_real *dx = s->k->dx[0] + s->at[X];
    for (int64_t i = 0; i < s->count; i++)
        dx[i * s->step[X]] += dy[i * s->step[Y]] / n;
}

static void sum_forward(const struct sal_kernel *k)
{
    forward(k, 0, 0, sum_reals, sum_integers);
}

static void sum_backward(const struct sal_kernel *k)
{
    backward(k, sum_gradient);
}

static void mean_forward(const struct sal_kernel *k)
{
    sum_forward(k);
    const struct sal_tensor *y = k->out[0];
    int64_t n = terms(k), count = sal_shape_count(&y->shape);
    for (int64_t i = 0; i < count; i++) {
        if (y->kind == SAL_REAL)
            y->real[i] /= (sal_real)n;
        else
            y->i64[i] = n ? y->i64[i] / n : 0;
    }
}

static void mean_backward(const struct sal_kernel *k)
{
    backward(k, mean_gradient);
}

/* ---- maximum, minimum: the first of equals gets the gradient ------------------------ */

static void extreme_gradient(const struct sal_stretch *s)
{
    const struct sal_kernel *k = s->k;
    for (int64_t i = 0; i < s->count; i++) {
        int64_t y = s->at[Y] + i * s->step[Y], x = s->at[X] + i * s->step[X];
        bool taken = !s->step[Y] && s->memory->count;
        if (taken || k->in[0]->real[x] != k->out[0]->real[y])
            continue;
        k->dx[0][x] += k->dy[0][y];
        s->memory->count = 1;
    }
}

static void extreme_backward(const struct sal_kernel *k)
{
    backward(k, extreme_gradient);
}

#define EXTREME(function, type, field, better)                                   \
    static void function(const struct sal_stretch *s)                            \
    {                                                                            \
        const type *in = s->k->in[0]->field + s->at[X];                          \
        type *out = s->k->out[0]->field + s->at[Y];                              \
        for (int64_t i = 0; i < s->count; i++) {                                 \
            const type x = in[i * s->step[X]];                                   \
            type *y = &out[i * s->step[Y]];                                      \
            *y = x better *y || x != x ? x : *y;                                 \
        }                                                                        \
    }

EXTREME(max_reals, sal_real, real, >)
EXTREME(min_reals, sal_real, real, <)
EXTREME(max_integers, int64_t, i64, >)
EXTREME(min_integers, int64_t, i64, <)

static void max_forward(const struct sal_kernel *k)
{
    forward(k, -SAL_INFINITY, INT64_MIN, max_reals, max_integers);
}

static void min_forward(const struct sal_kernel *k)
{
    forward(k, SAL_INFINITY, INT64_MAX, min_reals, min_integers);
}

/* ---- rows ---------------------------------------------------------------------- */

#define ROW(op_name, op_parse, op_forward, op_backward)                          \
    const struct sal_op sal_op_##op_name = {                                     \
        .name = #op_name,                                                        \
        .since = 1,                                                              \
        .until = SAL_OPSET_MAX,                                                  \
        .min_in = 1,                                                             \
        .max_in = 2,                                                             \
        .max_out = 1,                                                            \
        .parse = op_parse,                                                       \
        .infer = infer,                                                          \
        .forward = op_forward,                                                   \
        .backward = op_backward,                                                 \
    };

ROW(ReduceMax, parse, max_forward, extreme_backward)
ROW(ReduceMean, parse, mean_forward, mean_backward)
ROW(ReduceMin, parse, min_forward, extreme_backward)
ROW(ReduceSum, parse_sum, sum_forward, sum_backward)
