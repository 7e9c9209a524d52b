/* Reductions that are no sums. */
#include "real.h"
#include "reduce.h"

enum { Y = SAL_REDUCE_Y, X = SAL_REDUCE_X };

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
    sal_reduce_backward(k, extreme_gradient);
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
    sal_reduce_forward(k, -SAL_INFINITY, sal_int_lowest(k->out[0]->type), max_reals, max_integers);
}

static void min_forward(const struct sal_kernel *k)
{
    sal_reduce_forward(k, SAL_INFINITY, sal_int_highest(k->out[0]->type), min_reals, min_integers);
}

SAL_REDUCE_ROW(ReduceMax, sal_reduce_parse, max_forward, extreme_backward, 1, 1)
SAL_REDUCE_ROW(ReduceMin, sal_reduce_parse, min_forward, extreme_backward, 1, 1)

/* ---- product --------------------------------------------------------------------- */

static void product_reals(const struct sal_stretch *s)
{
    const sal_real *x = s->k->in[0]->real + s->at[X];
    sal_real *y = s->k->out[0]->real + s->at[Y];
    for (int64_t i = 0; i < s->count; i++)
        y[i * s->step[Y]] *= x[i * s->step[X]];
}

static void product_integers(const struct sal_stretch *s)
{
    const int64_t *x = s->k->in[0]->i64 + s->at[X];
    int64_t *y = s->k->out[0]->i64 + s->at[Y];
    for (int64_t i = 0; i < s->count; i++) {
        int64_t *to = &y[i * s->step[Y]];
        uint64_t product = (uint64_t)*to * (uint64_t)x[i * s->step[X]];
        *to = sal_int_wrap(s->k->out[0]->type, (int64_t)product);
    }
}

/* How many factors are 0, and the product of the others. */
static void count_zeros(const struct sal_stretch *s)
{
    const sal_real *x = s->k->in[0]->real + s->at[X];
    sal_real product = s->first ? 1 : s->memory->real[0];
    for (int64_t i = 0; i < s->count; i++) {
        const sal_real factor = x[i * s->step[X]];
        s->memory->count += factor == 0;
        product *= factor == 0 ? 1 : factor;
    }
    s->memory->real[0] = product;
}

/* dy times the product of all factors but this one. */
static void product_gradient(const struct sal_stretch *s)
{
    const sal_real *x = s->k->in[0]->real + s->at[X];
    const sal_real slope = s->k->dy[0][s->at[Y]] * s->memory->real[0];
    sal_real *dx = s->k->dx[0] + s->at[X];
    for (int64_t i = 0; i < s->count; i++) {
        const sal_real factor = x[i * s->step[X]];
        if (!s->memory->count)
            dx[i * s->step[X]] += slope / factor;
        else if (s->memory->count == 1 && factor == 0)
            dx[i * s->step[X]] += slope;
    }
}

static void product_forward(const struct sal_kernel *k)
{
    sal_reduce_forward(k, 1, 1, product_reals, product_integers);
}

static void product_backward(const struct sal_kernel *k)
{
    static void (*const passes[])(const struct sal_stretch *) = {count_zeros,
                                                                 product_gradient};
    struct sal_walk walk;
    sal_reduce_walk(&walk, k);
    if (k->dx[0])
        sal_walk_passes(&walk, Y, k, passes, 2);
}

SAL_REDUCE_ROW(ReduceProd, sal_reduce_parse, product_forward, product_backward, 1, 0)

/* ---- log of the sum of exponentials, which never overflow ------------------------- */

enum { MOST, SUM }; /* of what is remembered */

static sal_real value_at(const struct sal_tensor *x, int64_t i)
{
    return x->kind == SAL_REAL ? x->real[i] : (sal_real)x->i64[i];
}

static void find_most(const struct sal_stretch *s)
{
    const struct sal_tensor *x = s->k->in[0];
    sal_real most = s->first ? -SAL_INFINITY : s->memory->real[MOST];
    for (int64_t i = 0; i < s->count; i++) {
        const sal_real value = value_at(x, s->at[X] + i * s->step[X]);
        most = value > most ? value : most;
    }
    s->memory->real[MOST] = most;
}

static void sum_exponentials(const struct sal_stretch *s)
{
    const struct sal_tensor *x = s->k->in[0], *y = s->k->out[0];
    const sal_real most = s->memory->real[MOST];
    const sal_real shift = sal_abs(most) == SAL_INFINITY ? 0 : most;
    SAL_SUM(s->memory->real[SUM], i, s->count,
            sal_exp(value_at(x, s->at[X] + i * s->step[X]) - shift))
    if (!s->last)
        return;
    const sal_real result = shift + sal_log(s->memory->real[SUM]);
    if (y->kind == SAL_REAL)
        y->real[s->at[Y]] = result;
    else
        y->i64[s->at[Y]] = sal_int_wrap(y->type, sal_truncate(result));
}

static void exponential_gradient(const struct sal_stretch *s)
{
    const sal_real *x = s->k->in[0]->real + s->at[X];
    const sal_real *y = s->k->out[0]->real + s->at[Y], *dy = s->k->dy[0] + s->at[Y];
    sal_real *dx = s->k->dx[0] + s->at[X];
    for (int64_t i = 0; i < s->count; i++) {
        const int64_t to = i * s->step[X], from = i * s->step[Y];
        dx[to] += dy[from] * sal_exp(x[to] - y[from]);
    }
}

static void log_sum_exp_forward(const struct sal_kernel *k)
{
    static void (*const passes[])(const struct sal_stretch *) = {find_most,
                                                                 sum_exponentials};
    struct sal_walk walk;
    sal_reduce_walk(&walk, k);
    sal_reduce_start(k->out[0], -SAL_INFINITY, sal_int_lowest(k->out[0]->type));
    sal_walk_passes(&walk, Y, k, passes, 2);
}

static void log_sum_exp_backward(const struct sal_kernel *k)
{
    sal_reduce_backward(k, exponential_gradient);
}

SAL_REDUCE_ROW(ReduceLogSumExp, sal_reduce_parse, log_sum_exp_forward,
               log_sum_exp_backward, 1, 1)
