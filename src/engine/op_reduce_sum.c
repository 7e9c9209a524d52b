/* Reductions that add up something of every element, then make something of the sum. */
#include "real.h"
#include "reduce.h"

enum { Y = SAL_REDUCE_Y, X = SAL_REDUCE_X };

/* One operator: what is added up of an element x, what becomes of the sum y of n of
 * them, the same for integers, what dy adds to dx where y is the result, and whether
 * that is made of x and of y. */
#define SUMS(op_name, op_parse, term, result, int_term, int_result, slope, of_x, of_y) \
    static inline sal_real op_name##_term(sal_real x)                                  \
    {                                                                                  \
        return term;                                                                   \
    }                                                                                  \
    static void op_name##_reals(const struct sal_stretch *s)                           \
    {                                                                                  \
        const sal_real *in = s->k->in[0]->real + s->at[X];                             \
        sal_real *out = s->k->out[0]->real + s->at[Y], sum = 0;                        \
        const int64_t step = s->step[X];                                               \
        for (int64_t i = 0; s->step[Y] && i < s->count; i++)                           \
            out[i * s->step[Y]] = op_name##_term(in[i * step]);                        \
        if (s->step[Y])                                                                \
            return;                                                                    \
        SAL_SUM(sum, i, s->count, op_name##_term(in[i * step]))                        \
        *out += sum;                                                                   \
    }                                                                                  \
    static void op_name##_integers(const struct sal_stretch *s)                        \
    {                                                                                  \
        const int64_t *in = s->k->in[0]->i64 + s->at[X];                               \
        int64_t *out = s->k->out[0]->i64 + s->at[Y];                                   \
        for (int64_t i = 0; i < s->count; i++) {                                       \
            const int64_t x = in[i * s->step[X]];                                      \
            int64_t *to = &out[i * s->step[Y]];                                        \
            *to = sal_int_wrap(s->k->out[0]->type, PLUS(*to, int_term));               \
        }                                                                              \
    }                                                                                  \
    static void op_name##_results(const struct sal_kernel *k, int64_t from, int64_t to, \
                                  int worker)                                          \
    {                                                                                  \
        const struct sal_tensor *out = k->out[0];                                      \
        const int64_t n = sal_reduce_terms(k);                                         \
        (void)n, (void)worker;                                                         \
        for (int64_t i = from; i < to; i++) {                                          \
            if (out->kind == SAL_REAL) {                                               \
                const sal_real y = out->real[i];                                       \
                out->real[i] = result;                                                 \
            } else {                                                                   \
                const int64_t y = out->i64[i];                                         \
                out->i64[i] = int_result;                                              \
            }                                                                          \
        }                                                                              \
    }                                                                                  \
    static void op_name##_forward(const struct sal_kernel *k)                          \
    {                                                                                  \
        sal_reduce_forward(k, 0, 0, op_name##_reals, op_name##_integers);              \
        sal_split(k->pool, sal_shape_count(&k->out[0]->shape), SAL_TILE,               \
                  op_name##_results, k);                                               \
    }                                                                                  \
    static void op_name##_gradient(const struct sal_stretch *s)                        \
    {                                                                                  \
        const sal_real *in = s->k->in[0]->real + s->at[X];                             \
        const sal_real *out = s->k->out[0]->real + s->at[Y];                           \
        const sal_real *dout = s->k->dy[0] + s->at[Y];                                 \
        const sal_real n = (sal_real)sal_reduce_terms(s->k);                           \
        sal_real *dx = s->k->dx[0] + s->at[X];                                         \
        for (int64_t i = 0; i < s->count; i++) {                                       \
            const sal_real x = in[i * s->step[X]], y = out[i * s->step[Y]];            \
            const sal_real dy = dout[i * s->step[Y]];                                  \
            (void)x, (void)y, (void)n;                                                 \
            dx[i * s->step[X]] += slope;                                               \
        }                                                                              \
    }                                                                                  \
    static void op_name##_backward(const struct sal_kernel *k)                         \
    {                                                                                  \
        sal_reduce_backward(k, op_name##_gradient);                                    \
    }                                                                                  \
    SAL_REDUCE_ROW(op_name, op_parse, op_name##_forward, op_name##_backward, of_x, \
                   of_y)

/* Integers wrap. */
#define PLUS(a, b) ((int64_t)((uint64_t)(a) + (uint64_t)(b)))
#define TIMES(a, b) ((int64_t)((uint64_t)(a) * (uint64_t)(b)))
#define ABS(x) ((x) < 0 ? (int64_t)(0 - (uint64_t)(x)) : (x))

static inline sal_real sign(sal_real x)
{
    return x > 0 ? 1 : x < 0 ? -1 : x;
}

/* The largest integer whose square is not above x. */
static int64_t int_root(int64_t x)
{
    if (x < 1)
        return 0;
    int64_t root = sal_truncate(sal_sqrt((sal_real)x));
    while (root > x / root)
        root--;
    while (root + 1 <= x / (root + 1))
        root++;
    return root;
}

SUMS(ReduceL1, sal_reduce_parse, sal_abs(x), y, ABS(x), y, (dy) * sign(x), 1, 0)
SUMS(ReduceL2, sal_reduce_parse, (x) * x, sal_sqrt(y), TIMES(x, x), int_root(y),
     y > 0 ? dy * (x / y) : 0, 1, 1)
SUMS(ReduceLogSum, sal_reduce_parse, x, sal_log(y), x,
     sal_int_wrap(out->type, sal_truncate(sal_log((sal_real)y))), dy / sal_exp(y), 0, 1)
SUMS(ReduceMean, sal_reduce_parse, x, y / (sal_real)n, x, n ? y / n : 0, dy / n, 0, 0)
SUMS(ReduceSum, sal_reduce_parse_sum, x, y, x, y, dy, 0, 0)
SUMS(ReduceSumSquare, sal_reduce_parse, (x) * x, y, TIMES(x, x), y, 2 * dy * x, 1, 0)
