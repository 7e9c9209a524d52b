#include "real.h"
#include "walk.h"

/* Base and exponent may be of different kinds; the result is of the base's. */
enum { BASE, EXPONENT, OUT };

/* Before opset 7 the exponent's axes were the base's last, or began at an axis. */
static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    (void)arena;
    int64_t axis = -1;
    enum sal_status status =
        node->opset < 7 ? sal_attr_int(source, "axis", -1, &axis, err) : SAL_OK;
    if (!status && axis != -1)
        status = sal_node_fail(node, err, SAL_UNSUPPORTED,
                               "axis is set; only the last axes broadcast");
    return status;
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    struct sal_shape shape;
    enum sal_status status = sal_infer_present(infer, BASE, err);
    if (status || (status = sal_infer_present(infer, EXPONENT, err)) ||
        (status = sal_infer_broadcast(infer, &infer->in[BASE]->shape,
                                      &infer->in[EXPONENT]->shape, &shape, err)))
        return status;
    return sal_infer_like(infer, 0, infer->in[BASE], &shape, err);
}

static sal_real exponent_at(const struct sal_kernel *k, int64_t i)
{
    const struct sal_tensor *exponent = k->in[EXPONENT];
    return exponent->kind == SAL_REAL ? exponent->real[i] : (sal_real)exponent->i64[i];
}

/* The powers that models are full of, without the library's cost. */
static inline sal_real power(sal_real x, sal_real e)
{
    return e == 2 ? x * x : e == 1 ? x : sal_pow(x, e);
}

/* Wraps; a negative exponent truncates towards 0 as a quotient would. */
static int64_t int_power(int64_t x, int64_t e)
{
    if (e < 0)
        return x == 1 ? 1 : x == -1 ? (e % 2 ? -1 : 1) : 0;
    uint64_t result = 1, factor = (uint64_t)x;
    for (; e; e >>= 1, factor *= factor)
        result *= e & 1 ? factor : 1;
    return (int64_t)result;
}

/* An exponent that no cast can trip over; 64 doublings wrap everything anyway. */
static int64_t whole(sal_real e)
{
    return e >= 64 ? 64 : e > -64 ? (int64_t)e : -64;
}

static void reals(const struct sal_stretch *s)
{
    const sal_real *x = s->k->in[BASE]->real + s->at[BASE];
    sal_real *y = s->k->out[0]->real + s->at[OUT];
    for (int64_t i = 0; i < s->count; i++)
        y[i] = power(x[i * s->step[BASE]],
                     exponent_at(s->k, s->at[EXPONENT] + i * s->step[EXPONENT]));
}

static void integers(const struct sal_stretch *s)
{
    const struct sal_tensor *exponent = s->k->in[EXPONENT], *out = s->k->out[0];
    for (int64_t i = 0; i < s->count; i++) {
        int64_t x = s->k->in[BASE]->i64[s->at[BASE] + i * s->step[BASE]];
        int64_t at = s->at[EXPONENT] + i * s->step[EXPONENT];
        int64_t e = exponent->kind == SAL_INT ? exponent->i64[at]
                                              : whole(exponent->real[at]);
        out->i64[s->at[OUT] + i] = sal_int_wrap(out->type, int_power(x, e));
    }
}

static void base_gradient(const struct sal_stretch *s)
{
    const struct sal_kernel *k = s->k;
    for (int64_t i = 0; i < s->count; i++) {
        int64_t at = s->at[BASE] + i * s->step[BASE];
        sal_real e = exponent_at(k, s->at[EXPONENT] + i * s->step[EXPONENT]);
        sal_real dy = k->dy[0][s->at[OUT] + i * s->step[OUT]];
        k->dx[BASE][at] += e == 0 ? 0 : dy * e * power(k->in[BASE]->real[at], e - 1);
    }
}

/* y log x, and 0 at x = 0 where y does not move. */
static void exponent_gradient(const struct sal_stretch *s)
{
    const struct sal_kernel *k = s->k;
    for (int64_t i = 0; i < s->count; i++) {
        sal_real x = k->in[BASE]->real[s->at[BASE] + i * s->step[BASE]];
        int64_t at = s->at[EXPONENT] + i * s->step[EXPONENT];
        int64_t out = s->at[OUT] + i * s->step[OUT];
        sal_real slope = x == 0 && exponent_at(k, at) >= 0
                             ? 0
                             : k->out[0]->real[out] * sal_log(x);
        k->dx[EXPONENT][at] += k->dy[0][out] * slope;
    }
}

static void forward(const struct sal_kernel *k)
{
    struct sal_walk walk;
    sal_walk_inputs(&walk, k);
    sal_walk_each(&walk, k, k->out[0]->kind == SAL_REAL ? reals : integers);
}

static void backward(const struct sal_kernel *k)
{
    struct sal_walk walk;
    sal_walk_inputs(&walk, k);
    if (k->dx[BASE])
        sal_walk_reduce(&walk, BASE, k, base_gradient);
    if (k->dx[EXPONENT])
        sal_walk_reduce(&walk, EXPONENT, k, exponent_gradient);
}

const struct sal_op sal_op_Pow = {
    .name = "Pow",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .pointwise = true,
    .min_in = 2,
    .max_in = 2,
    .max_out = 1,
    .parse = parse,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .in_place = 1u << BASE,
    .frugal = true,
    .reads = {{.in = 1u << BASE | 1u << EXPONENT}, {.in = 1u << BASE | 1u << EXPONENT, .out = 1u << 0}},
};
