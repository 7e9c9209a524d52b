#include "walk.h"

static enum sal_status infer_all(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status)
        return status;
    const struct sal_tensor *first = infer->in[0];
    struct sal_shape shape = first->shape;
    for (int i = 1; i < infer->node->n_in; i++) {
        status = sal_infer_kind(infer, i, first->kind, err);
        if (status || (status = sal_infer_broadcast(infer, &shape, &infer->in[i]->shape,
                                                    &shape, err)))
            return status;
    }
    return sal_infer_like(infer, 0, first, &shape, err);
}

/* ---- Sum, Mean: input after input joins the output --------------------------- */

enum { SUM_IN, SUM_OUT };

static void sum_real(const struct sal_stretch *s)
{
    const sal_real *in = s->k->in[s->tag]->real + s->at[SUM_IN];
    sal_real *out = s->k->out[0]->real + s->at[SUM_OUT];
    for (int64_t i = 0; i < s->count; i++)
        out[i] = (s->tag ? out[i] : 0) + in[i * s->step[SUM_IN]];
}

static void sum_int(const struct sal_stretch *s)
{
    const int64_t *in = s->k->in[s->tag]->i64 + s->at[SUM_IN];
    int64_t *out = s->k->out[0]->i64 + s->at[SUM_OUT];
    for (int64_t i = 0; i < s->count; i++) {
        uint64_t sum = (s->tag ? (uint64_t)out[i] : 0) + (uint64_t)in[i * s->step[SUM_IN]];
        out[i] = sal_int_wrap(s->k->out[0]->type, (int64_t)sum);
    }
}

/* dy over the walk's base, which is what the sum was divided by. */
static void sum_gradient(const struct sal_stretch *s)
{
    const sal_real *dy = s->k->dy[0] + s->at[SUM_OUT], divisor = (sal_real)s->base;
    sal_real *dx = s->k->dx[s->tag] + s->at[SUM_IN], sum = 0;
    for (int64_t i = 0; s->step[SUM_IN] && i < s->count; i++)
        dx[i] += dy[i] / divisor;
    if (s->step[SUM_IN])
        return;
    SAL_SUM(sum, i, s->count, dy[i * s->step[SUM_OUT]])
    *dx += sum / divisor;
}

static void sum_walk(struct sal_walk *walk, const struct sal_kernel *k, int i)
{
    const struct sal_shape *out = &k->out[0]->shape;
    sal_walk_init(walk, out, (const struct sal_shape *const[]){&k->in[i]->shape, out}, 2);
    walk->tag = i;
}

static void sum_forward(const struct sal_kernel *k)
{
    for (int i = 0; i < k->node->n_in; i++) {
        struct sal_walk walk;
        sum_walk(&walk, k, i);
        sal_walk_each(&walk, k, k->out[0]->kind == SAL_REAL ? sum_real : sum_int);
    }
}

static void share_backward(const struct sal_kernel *k, int64_t divisor)
{
    for (int i = 0; i < k->node->n_in; i++) {
        struct sal_walk walk;
        sum_walk(&walk, k, i);
        walk.base = divisor;
        if (k->dx[i])
            sal_walk_reduce(&walk, SUM_IN, k, sum_gradient);
    }
}

static void sum_backward(const struct sal_kernel *k)
{
    share_backward(k, 1);
}

static void divide(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    for (int64_t i = from; i < to; i++)
        k->out[0]->real[i] /= (sal_real)k->node->n_in;
}

static void mean_forward(const struct sal_kernel *k)
{
    sum_forward(k);
    sal_split(k->pool, sal_shape_count(&k->out[0]->shape), SAL_TILE, divide, k);
}

static void mean_backward(const struct sal_kernel *k)
{
    share_backward(k, k->node->n_in);
}

static enum sal_status mean_infer(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = sal_infer_kind(infer, 0, SAL_REAL, err);
    return status ? status : infer_all(infer, err);
}

#define SUM_ROW(op_name, op_infer, op_forward, op_backward)                      \
    const struct sal_op sal_op_##op_name = {                                     \
        .name = #op_name,                                                        \
        .since = 1,                                                              \
        .until = SAL_OPSET_MAX,                                                  \
        .pointwise = true,                                                  \
        .min_in = 1,                                                             \
        .max_in = -1,                                                            \
        .max_out = 1,                                                            \
        .infer = op_infer,                                                       \
        .forward = op_forward,                                                   \
        .backward = op_backward,                                                 \
        .in_place = 1u << 0,                                                     \
        .frugal = true,                                                          \
    };

SUM_ROW(Mean, mean_infer, mean_forward, mean_backward)
SUM_ROW(Sum, infer_all, sum_forward, sum_backward)

/* ---- Max, Min: all inputs at once -------------------------------------------- */

enum { EXTREME_INPUTS = SAL_WALK_OPERANDS - 1 };

static void extreme_walk(struct sal_walk *walk, const struct sal_kernel *k, int tag)
{
    const struct sal_shape *shapes[SAL_WALK_OPERANDS];
    int n = k->node->n_in;
    for (int i = 0; i < n; i++)
        shapes[i] = &k->in[i]->shape;
    shapes[n] = &k->out[0]->shape;
    sal_walk_init(walk, shapes[n], shapes, n + 1);
    walk->tag = tag;
}

static void extreme_forward(const struct sal_kernel *k,
                            void (*real)(const struct sal_stretch *),
                            void (*integer)(const struct sal_stretch *))
{
    struct sal_walk walk;
    extreme_walk(&walk, k, 0);
    sal_walk_each(&walk, k, k->out[0]->kind == SAL_REAL ? real : integer);
}

static void extreme_backward(const struct sal_kernel *k,
                             void (*gradient)(const struct sal_stretch *))
{
    for (int i = 0; i < k->node->n_in; i++) {
        struct sal_walk walk;
        extreme_walk(&walk, k, i);
        if (k->dx[i])
            sal_walk_reduce(&walk, i, k, gradient);
    }
}

/* The input whose value is the output at i: the first of equals; NaN wins. */
#define WINNER(type, field, better)                                              \
    int winner = 0;                                                              \
    type a = s->k->in[0]->field[s->at[0] + i * s->step[0]];                      \
    for (int t = 1; t < n; t++) {                                                \
        type b = s->k->in[t]->field[s->at[t] + i * s->step[t]];                  \
        if (b better a || (b != b && a == a)) {                                  \
            a = b;                                                               \
            winner = t;                                                          \
        }                                                                        \
    }

#define EXTREME(op_name, better)                                                 \
    static void op_name##_real(const struct sal_stretch *s)                      \
    {                                                                            \
        const int n = s->k->node->n_in;                                          \
        for (int64_t i = 0; i < s->count; i++) {                                 \
            WINNER(sal_real, real, better)                                       \
            (void)winner;                                                        \
            s->k->out[0]->real[s->at[n] + i] = a;                                \
        }                                                                        \
    }                                                                            \
    static void op_name##_int(const struct sal_stretch *s)                       \
    {                                                                            \
        const int n = s->k->node->n_in;                                          \
        for (int64_t i = 0; i < s->count; i++) {                                 \
            WINNER(int64_t, i64, better)                                         \
            (void)winner;                                                        \
            s->k->out[0]->i64[s->at[n] + i] = a;                                 \
        }                                                                        \
    }                                                                            \
    static void op_name##_gradient(const struct sal_stretch *s)                  \
    {                                                                            \
        const int n = s->k->node->n_in, t_dx = s->tag;                           \
        for (int64_t i = 0; i < s->count; i++) {                                 \
            WINNER(sal_real, real, better)                                       \
            if (winner == t_dx)                                                  \
                s->k->dx[t_dx][s->at[t_dx] + i * s->step[t_dx]] +=               \
                    s->k->dy[0][s->at[n] + i * s->step[n]];                      \
        }                                                                        \
    }                                                                            \
    static void op_name##_forward(const struct sal_kernel *k)                    \
    {                                                                            \
        extreme_forward(k, op_name##_real, op_name##_int);                       \
    }                                                                            \
    static void op_name##_backward(const struct sal_kernel *k)                   \
    {                                                                            \
        extreme_backward(k, op_name##_gradient);                                 \
    }                                                                            \
    const struct sal_op sal_op_##op_name = {                                     \
        .name = #op_name,                                                        \
        .since = 1,                                                              \
        .until = SAL_OPSET_MAX,                                                  \
        .pointwise = true,                                                  \
        .min_in = 1,                                                             \
        .max_in = EXTREME_INPUTS,                                                \
        .max_out = 1,                                                            \
        .infer = infer_all,                                                          \
        .forward = op_name##_forward,                                            \
        .backward = op_name##_backward,                                          \
        .in_place = SAL_READS_ALL,                                               \
        .frugal = true,                                                          \
        .reads = SAL_READS(SAL_READS_ALL, 0),                                    \
    };

EXTREME(Max, >)
EXTREME(Min, <)
