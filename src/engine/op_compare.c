#include "real.h"
#include "walk.h"

/* ---- comparisons and logic: two operands of one kind to bool --------------------- */

static enum sal_status compare_infer(const struct sal_infer *infer, struct sal_error *err)
{
    struct sal_shape shape;
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status || (status = sal_infer_kind(infer, 1, infer->in[0]->kind, err)) ||
        (status = sal_infer_broadcast(infer, &infer->in[0]->shape, &infer->in[1]->shape,
                                      &shape, err)))
        return status;
    return sal_infer_set(infer, 0, SAL_INT, SAL_ONNX_BOOL, &shape, err);
}

static enum sal_status logic_infer(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = sal_infer_kind(infer, 0, SAL_INT, err);
    return status ? status : compare_infer(infer, err);
}

static void compare(const struct sal_kernel *k, void (*real)(const struct sal_stretch *),
                    void (*integer)(const struct sal_stretch *))
{
    struct sal_walk walk;
    sal_walk_inputs(&walk, k);
    sal_walk_each(&walk, k, k->in[0]->kind == SAL_REAL ? real : integer);
}

#define LOOP(function, type, field, value)                                       \
    static void function(const struct sal_stretch *s)                            \
    {                                                                            \
        const type *in_a = s->k->in[0]->field + s->at[0];                        \
        const type *in_b = s->k->in[1]->field + s->at[1];                        \
        int64_t *out = s->k->out[0]->i64 + s->at[2];                             \
        for (int64_t i = 0; i < s->count; i++) {                                 \
            const type a = in_a[i * s->step[0]], b = in_b[i * s->step[1]];       \
            out[i] = value;                                                      \
        }                                                                        \
    }

#define COMPARE(op_name, op_since, op_infer, value)                              \
    LOOP(op_name##_real, sal_real, real, value)                                  \
    LOOP(op_name##_int, int64_t, i64, value)                                     \
    static void op_name##_forward(const struct sal_kernel *k)                    \
    {                                                                            \
        compare(k, op_name##_real, op_name##_int);                               \
    }                                                                            \
    const struct sal_op sal_op_##op_name = {                                     \
        .name = #op_name,                                                        \
        .since = op_since,                                                       \
        .until = SAL_OPSET_MAX,                                                  \
        .min_in = 2,                                                             \
        .max_in = 2,                                                             \
        .max_out = 1,                                                            \
        .infer = op_infer,                                                       \
        .forward = op_name##_forward,                                            \
    };

/* Not before opset 7, where b broadcast by attributes. */
COMPARE(And, 7, logic_infer, a != 0 && b != 0)
COMPARE(Equal, 7, compare_infer, a == b)
COMPARE(Greater, 7, compare_infer, a > b)
COMPARE(GreaterOrEqual, 12, compare_infer, a >= b)
COMPARE(Less, 7, compare_infer, a < b)
COMPARE(LessOrEqual, 12, compare_infer, a <= b)
COMPARE(Or, 7, logic_infer, a != 0 || b != 0)
COMPARE(Xor, 7, logic_infer, (a != 0) != (b != 0))

/* ---- Not ----------------------------------------------------------------------- */

static enum sal_status not_infer(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = sal_infer_kind(infer, 0, SAL_INT, err);
    return status ? status : sal_infer_same(infer, err);
}

static void not_piece(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    for (int64_t i = from; i < to; i++)
        k->out[0]->i64[i] = !k->in[0]->i64[i];
}

static void not_forward(const struct sal_kernel *k)
{
    sal_split(k->pool, sal_shape_count(&k->out[0]->shape), SAL_TILE, not_piece, k);
}

const struct sal_op sal_op_Not = {
    .name = "Not",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = 1,
    .max_out = 1,
    .infer = not_infer,
    .forward = not_forward,
};

/* ---- IsNaN, IsInf: is a real one of those ---------------------------------------- */

struct infinities {
    int64_t negative, positive;
};

static enum sal_status infinities_parse(struct sal_node *node,
                                        const struct sal_onnx_node *source,
                                        struct sal_arena *arena, struct sal_error *err)
{
    struct infinities *find = sal_new(arena, struct infinities, 1);
    if (!find)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = find;
    enum sal_status status =
        sal_attr_int(source, "detect_negative", 1, &find->negative, err);
    return status ? status
                  : sal_attr_int(source, "detect_positive", 1, &find->positive, err);
}

static enum sal_status is_infer(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = sal_infer_kind(infer, 0, SAL_REAL, err);
    return status ? status
                  : sal_infer_set(infer, 0, SAL_INT, SAL_ONNX_BOOL, &infer->in[0]->shape,
                                  err);
}

static void nan_piece(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    for (int64_t i = from; i < to; i++)
        k->out[0]->i64[i] = k->in[0]->real[i] != k->in[0]->real[i];
}

static void infinity_piece(const struct sal_kernel *k, int64_t from, int64_t to,
                           int worker)
{
    (void)worker;
    const struct infinities *find = k->node->attr;
    for (int64_t i = from; i < to; i++) {
        sal_real x = k->in[0]->real[i];
        k->out[0]->i64[i] = (find->negative && x == -SAL_INFINITY) ||
                            (find->positive && x == SAL_INFINITY);
    }
}

#define IS(op_name, op_since, op_parse, piece)                                   \
    static void op_name##_forward(const struct sal_kernel *k)                    \
    {                                                                            \
        sal_split(k->pool, sal_shape_count(&k->out[0]->shape), SAL_TILE, piece, k); \
    }                                                                            \
    const struct sal_op sal_op_##op_name = {                                     \
        .name = #op_name,                                                        \
        .since = op_since,                                                       \
        .until = SAL_OPSET_MAX,                                                  \
        .min_in = 1,                                                             \
        .max_in = 1,                                                             \
        .max_out = 1,                                                            \
        .parse = op_parse,                                                       \
        .infer = is_infer,                                                       \
        .forward = op_name##_forward,                                            \
    };

IS(IsInf, 10, infinities_parse, infinity_piece)
IS(IsNaN, 9, NULL, nan_piece)

/* ---- Where --------------------------------------------------------------------- */

enum { CONDITION, THEN, ELSE, OUT };

static enum sal_status where_infer(const struct sal_infer *infer, struct sal_error *err)
{
    struct sal_shape shape;
    enum sal_status status = sal_infer_kind(infer, CONDITION, SAL_INT, err);
    if (status || (status = sal_infer_present(infer, THEN, err)) ||
        (status = sal_infer_kind(infer, ELSE, infer->in[THEN]->kind, err)) ||
        (status = sal_infer_broadcast(infer, &infer->in[THEN]->shape,
                                      &infer->in[ELSE]->shape, &shape, err)) ||
        (status = sal_infer_broadcast(infer, &infer->in[CONDITION]->shape, &shape, &shape,
                                      err)))
        return status;
    return sal_infer_like(infer, 0, infer->in[THEN], &shape, err);
}

static void where_walk(struct sal_walk *walk, const struct sal_kernel *k, int tag)
{
    sal_walk_inputs(walk, k);
    walk->tag = tag;
}

#define CHOOSE(function, field)                                                  \
    static void function(const struct sal_stretch *s)                            \
    {                                                                            \
        const int64_t *condition = s->k->in[CONDITION]->i64 + s->at[CONDITION];  \
        for (int64_t i = 0; i < s->count; i++) {                                 \
            int t = condition[i * s->step[CONDITION]] ? THEN : ELSE;             \
            s->k->out[0]->field[s->at[OUT] + i] =                                \
                s->k->in[t]->field[s->at[t] + i * s->step[t]];                   \
        }                                                                        \
    }

CHOOSE(choose_reals, real)
CHOOSE(choose_integers, i64)

static void where_gradient(const struct sal_stretch *s)
{
    const int64_t *condition = s->k->in[CONDITION]->i64 + s->at[CONDITION];
    const int t = s->tag;
    for (int64_t i = 0; i < s->count; i++)
        if ((condition[i * s->step[CONDITION]] ? THEN : ELSE) == t)
            s->k->dx[t][s->at[t] + i * s->step[t]] +=
                s->k->dy[0][s->at[OUT] + i * s->step[OUT]];
}

static void where_forward(const struct sal_kernel *k)
{
    struct sal_walk walk;
    where_walk(&walk, k, 0);
    sal_walk_each(&walk, k, k->out[0]->kind == SAL_REAL ? choose_reals : choose_integers);
}

static void where_backward(const struct sal_kernel *k)
{
    for (int t = THEN; t <= ELSE; t++) {
        struct sal_walk walk;
        where_walk(&walk, k, t);
        if (k->dx[t])
            sal_walk_reduce(&walk, t, k, where_gradient);
    }
}

const struct sal_op sal_op_Where = {
    .name = "Where",
    .since = 9,
    .until = SAL_OPSET_MAX,
    .min_in = 3,
    .max_in = 3,
    .max_out = 1,
    .infer = where_infer,
    .forward = where_forward,
    .backward = where_backward,
    .in_place = 1u << THEN | 1u << ELSE,
    .frugal = true,
    .reads = SAL_READS(1u << CONDITION, 0),
    .takes_quantised = true,
};
