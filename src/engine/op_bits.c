#include <string.h>

#include "walk.h"

/* Bitwise operators and BitShift, on integers as their type holds them. */

static enum sal_status integers_infer(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = SAL_OK;
    for (int i = 0; i < infer->node->n_in && !status; i++) {
        status = sal_infer_kind(infer, i, SAL_INT, err);
        if (!status && infer->in[i]->type == SAL_ONNX_BOOL)
            status = sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                   "input %d is bool, must be an integer type", i);
    }
    return status;
}

static enum sal_status bits_infer(const struct sal_infer *infer, struct sal_error *err)
{
    struct sal_shape shape;
    enum sal_status status = integers_infer(infer, err);
    if (status || (status = sal_infer_broadcast(infer, &infer->in[0]->shape,
                                                &infer->in[1]->shape, &shape, err)))
        return status;
    return sal_infer_like(infer, 0, infer->in[0], &shape, err);
}

static void forward(const struct sal_kernel *k, void (*work)(const struct sal_stretch *))
{
    struct sal_walk walk;
    sal_walk_inputs(&walk, k);
    sal_walk_each(&walk, k, work);
}

/* ---- BitShift ------------------------------------------------------------------ */

struct shift {
    bool left;
};

static enum sal_status shift_parse(struct sal_node *node,
                                   const struct sal_onnx_node *source,
                                   struct sal_arena *arena, struct sal_error *err)
{
    struct shift *shift = sal_new(arena, struct shift, 1);
    const char *direction;
    if (!shift)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = shift;
    enum sal_status status = sal_attr_string(source, "direction", "", &direction, err);
    if (status)
        return status;
    shift->left = strcmp(direction, "LEFT") == 0;
    if (!shift->left && strcmp(direction, "RIGHT") != 0)
        return sal_node_fail(node, err, SAL_BAD_INPUT,
                             "direction is '%.40s', must be LEFT or RIGHT", direction);
    return SAL_OK;
}

static enum sal_status shift_infer(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = bits_infer(infer, err);
    int type = infer->in[0]->type;
    if (!status && sal_int_wrap(type, -1) < 0 && type != SAL_ONNX_UINT64)
        status = sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                               "input 0 is %s, must be an unsigned type",
                               sal_onnx_type_name(type));
    return status;
}

/* What is shifted out is lost, however far that is. */
static uint64_t shifted(const struct sal_stretch *s, uint64_t value, uint64_t by)
{
    const struct shift *shift = s->k->node->attr;
    if (by > 63)
        return 0;
    return shift->left ? value << by : value >> by;
}

/* ---- BitwiseNot ---------------------------------------------------------------- */

static enum sal_status not_infer(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = integers_infer(infer, err);
    return status ? status : sal_infer_same(infer, err);
}

static void not_piece(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    for (int64_t i = from; i < to; i++)
        k->out[0]->i64[i] = sal_int_wrap(k->out[0]->type, ~k->in[0]->i64[i]);
}

static void not_forward(const struct sal_kernel *k)
{
    sal_split(k->pool, sal_shape_count(&k->out[0]->shape), SAL_TILE, not_piece, k);
}

const struct sal_op sal_op_BitwiseNot = {
    .name = "BitwiseNot",
    .since = 18,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = 1,
    .max_out = 1,
    .infer = not_infer,
    .forward = not_forward,
};

/* ---- rows ---------------------------------------------------------------------- */

#define BITS(op_name, op_since, op_parse, op_infer, value)                       \
    static void op_name##_stretch(const struct sal_stretch *s)                   \
    {                                                                            \
        const int64_t *in_a = s->k->in[0]->i64 + s->at[0];                       \
        const int64_t *in_b = s->k->in[1]->i64 + s->at[1];                       \
        int64_t *out = s->k->out[0]->i64 + s->at[2];                             \
        for (int64_t i = 0; i < s->count; i++) {                                 \
            const uint64_t a = (uint64_t)in_a[i * s->step[0]];                   \
            const uint64_t b = (uint64_t)in_b[i * s->step[1]];                   \
            out[i] = sal_int_wrap(s->k->out[0]->type, (int64_t)(value));         \
        }                                                                        \
    }                                                                            \
    static void op_name##_forward(const struct sal_kernel *k)                    \
    {                                                                            \
        forward(k, op_name##_stretch);                                           \
    }                                                                            \
    const struct sal_op sal_op_##op_name = {                                     \
        .name = #op_name,                                                        \
        .since = op_since,                                                       \
        .until = SAL_OPSET_MAX,                                                  \
        .min_in = 2,                                                             \
        .max_in = 2,                                                             \
        .max_out = 1,                                                            \
        .parse = op_parse,                                                       \
        .infer = op_infer,                                                       \
        .forward = op_name##_forward,                                            \
    };

BITS(BitShift, 11, shift_parse, shift_infer, shifted(s, a, b))
BITS(BitwiseAnd, 18, NULL, bits_infer, a & b)
BITS(BitwiseOr, 18, NULL, bits_infer, a | b)
BITS(BitwiseXor, 18, NULL, bits_infer, a ^ b)
