#include "kernel.h"


/* ---- Identity -------------------------------------------------------------------- */

const struct sal_op sal_op_Identity = {
    .name = "Identity",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .pointwise = true,
    .min_in = 1,
    .max_in = 1,
    .max_out = 1,
    .infer = sal_infer_same,
    .forward = sal_pass_forward,
    .backward = sal_pass_backward,
    .view = true,
    .frugal = true,
    .takes_quantised = true,
    .passes = true,
};

/* ---- Dropout: what it is outside training ------------------------------------------ */

static enum sal_status dropout_parse(struct sal_node *node,
                                     const struct sal_onnx_node *source,
                                     struct sal_arena *arena, struct sal_error *err)
{
    (void)arena;
    int64_t is_test = 1;
    enum sal_status status =
        node->opset < 7 ? sal_attr_int(source, "is_test", 0, &is_test, err) : SAL_OK;
    if (!status && !is_test)
        status = sal_node_fail(node, err, SAL_UNSUPPORTED,
                               "is_test is 0: the model was exported for training");
    return status;
}

/* A ratio of 0 drops nothing, in training either. */
static bool drops(const struct sal_infer *infer)
{
    const struct sal_tensor *ratio = sal_infer_in(infer, 1);
    return !ratio || !ratio->data || ratio->kind != SAL_REAL ||
           sal_shape_count(&ratio->shape) != 1 || ratio->real[0] != 0;
}

static enum sal_status check_training(const struct sal_infer *infer, struct sal_error *err)
{
    const struct sal_tensor *training = sal_infer_in(infer, 2);
    if (!training)
        return SAL_OK;
    enum sal_status status = sal_infer_kind(infer, 2, SAL_INT, err);
    if (status || (status = sal_infer_constant(infer, 2, err)))
        return status;
    if (sal_shape_count(&training->shape) != 1)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "training_mode must be a scalar");
    if (training->i64[0] && drops(infer))
        return sal_node_fail(infer->node, err, SAL_UNSUPPORTED,
                             "training_mode is on: the model was exported for "
                             "training");
    return SAL_OK;
}

static enum sal_status dropout_infer(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = check_training(infer, err);
    if (status || (status = sal_infer_same_real(infer, err)))
        return status;
    /* The mask was of the data's type before opset 10. */
    bool boolean = infer->node->opset >= 10;
    return sal_infer_set(infer, 1, boolean ? SAL_INT : SAL_REAL,
                         boolean ? SAL_ONNX_BOOL : infer->in[0]->type,
                         &infer->in[0]->shape, err);
}

static void dropout_forward(const struct sal_kernel *k)
{
    sal_pass_forward(k);
    const struct sal_tensor *mask = sal_kernel_out(k, 1);
    int64_t n = mask ? sal_shape_count(&mask->shape) : 0;
    for (int64_t i = 0; i < n; i++) {
        if (mask->kind == SAL_INT)
            mask->i64[i] = 1;
        else
            mask->real[i] = 1;
    }
}

const struct sal_op sal_op_Dropout = {
    .name = "Dropout",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .pointwise = true,
    .min_in = 1,
    .max_in = 3,
    .max_out = 2,
    .parse = dropout_parse,
    .infer = dropout_infer,
    .forward = dropout_forward,
    .backward = sal_pass_backward,
    .view = true,
    .frugal = true,
    .passes = true,
};

/* ---- Cast, CastLike ------------------------------------------------------------------ */

struct cast {
    int64_t to;
};

static enum sal_status cast_parse(struct sal_node *node, const struct sal_onnx_node *source,
                                  struct sal_arena *arena, struct sal_error *err)
{
    struct cast *cast = sal_new(arena, struct cast, 1);
    if (!cast)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = cast;
    return sal_attr_int(source, "to", SAL_ONNX_UNDEFINED, &cast->to, err);
}

static enum sal_status cast_to(const struct sal_infer *infer, int64_t type,
                               struct sal_error *err)
{
    enum sal_kind kind;
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status)
        return status;
    if (type < 0 || type > INT32_MAX || !sal_type_kind((int)type, &kind))
        return sal_node_fail(infer->node, err, SAL_UNSUPPORTED, "cannot cast to %s",
                             sal_onnx_type_name((int)type));
    return sal_infer_set(infer, 0, kind, (int)type, &infer->in[0]->shape, err);
}

static enum sal_status cast_infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct cast *cast = infer->node->attr;
    return cast_to(infer, cast->to, err);
}

static enum sal_status cast_like_infer(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = sal_infer_present(infer, 1, err);
    return status ? status : cast_to(infer, infer->in[1]->type, err);
}

/* ONNX leaves open what becomes of values that the type cannot hold: they wrap like
 * integers, after those that 64 bits cannot hold saturate; NaN is 0. */
static int64_t to_int(int type, sal_real x)
{
    static const sal_real limit = (sal_real)9223372036854775808.0;
    if (type == SAL_ONNX_BOOL)
        return x != 0;
    if (type == SAL_ONNX_UINT64 && x >= limit)
        return (int64_t)(x < 2 * limit ? (uint64_t)x : UINT64_MAX);
    return sal_int_wrap(type, sal_truncate(x));
}

static sal_real to_real(int from, int64_t x)
{
    return from == SAL_ONNX_UINT64 ? (sal_real)(uint64_t)x : (sal_real)x;
}

static void cast_piece(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const struct sal_tensor *x = k->in[0], *y = k->out[0];
    for (int64_t i = from; i < to; i++) {
        if (y->kind == SAL_REAL)
            y->real[i] = sal_real_as(
                y->type, x->kind == SAL_REAL ? x->real[i] : to_real(x->type, x->i64[i]));
        else if (x->kind == SAL_REAL)
            y->i64[i] = to_int(y->type, x->real[i]);
        else
            y->i64[i] = sal_int_wrap(y->type, x->i64[i]);
    }
}

static bool is_narrow(int type)
{
    return type == SAL_ONNX_FLOAT16 || type == SAL_ONNX_BFLOAT16;
}

static void cast_forward(const struct sal_kernel *k)
{
    const struct sal_tensor *x = k->in[0], *y = k->out[0];
    if (x->kind == SAL_REAL && y->kind == SAL_REAL && !is_narrow(y->type))
        sal_pass_forward(k);
    else
        sal_split(k->pool, sal_shape_count(&y->shape), SAL_TILE, cast_piece, k);
}

const struct sal_op sal_op_Cast = {
    .name = "Cast",
    .since = 6,
    .until = SAL_OPSET_MAX,
    .pointwise = true,
    .min_in = 1,
    .max_in = 1,
    .max_out = 1,
    .parse = cast_parse,
    .infer = cast_infer,
    .forward = cast_forward,
    .backward = sal_pass_backward,
    .in_place = 1u << 0,
    .frugal = true,
    .takes_quantised = true,
    .passes = true,
};

const struct sal_op sal_op_CastLike = {
    .name = "CastLike",
    .since = 15,
    .until = SAL_OPSET_MAX,
    .min_in = 2,
    .max_in = 2,
    .max_out = 1,
    .infer = cast_like_infer,
    .forward = cast_forward,
    .backward = sal_pass_backward,
    .in_place = 1u << 0,
    .frugal = true,
    .takes_quantised = true,
    .passes = true,
};
