/*
 * QuantizeLinear, DequantizeLinear: y = rint(x / scale) + zero point, kept within an
 * integer type, and (x - zero point) * scale, with one scale for the tensor, one for
 * each place of an axis, or one for each block along it.
 *
 * Gradients are declared, not derived (straight-through): rounding has slope 1, so that
 * a pair of them passes a gradient where the value fits its type, and nothing where it
 * saturates.
 */
#include "kernel.h"
#include "real.h"

enum { X, SCALE, ZERO };

struct quantize {
    int64_t axis, block;
    int64_t output; /* type; SAL_ONNX_UNDEFINED: the zero point's or the scale's */
    int64_t precision; /* type of the quotient; SAL_ONNX_UNDEFINED: the scale's */
};

/* ---- attributes and shapes --------------------------------------------------- */

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             int output_since, struct sal_arena *arena,
                             struct sal_error *err)
{
    struct quantize *q = sal_new(arena, struct quantize, 1);
    if (!q)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = q;
    enum sal_status status = sal_attr_int(source, "axis", 1, &q->axis, err);
    if (!status && node->opset >= 21)
        status = sal_attr_int(source, "block_size", 0, &q->block, err);
    if (!status && node->opset >= output_since)
        status = sal_attr_int(source, "output_dtype", 0, &q->output, err);
    if (!status && node->opset >= 23)
        status = sal_attr_int(source, "precision", 0, &q->precision, err);
    if (!status && q->block < 0)
        status = sal_node_fail(node, err, SAL_BAD_INPUT,
                               "block_size must be 0 or more");
    return status;
}

static enum sal_status quantize_parse(struct sal_node *node,
                                      const struct sal_onnx_node *source,
                                      struct sal_arena *arena, struct sal_error *err)
{
    return parse(node, source, 21, arena, err);
}

static enum sal_status dequantize_parse(struct sal_node *node,
                                        const struct sal_onnx_node *source,
                                        struct sal_arena *arena, struct sal_error *err)
{
    return parse(node, source, 23, arena, err);
}

/* x lies as outer x dim x inner, scales as one, as dim, or as outer x blocks x inner. */
struct layout {
    int64_t outer, dim, inner;
    int64_t block, blocks; /* of dim */
    bool by_element;       /* scales differ along inner too */
};

static enum sal_status wrong_scale(const struct sal_infer *infer, struct sal_error *err)
{
    char text[2][96];
    return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                         "a scale of %s does not fit an input of %s",
                         sal_shape_text(&infer->in[SCALE]->shape, text[0], sizeof(text[0])),
                         sal_shape_text(&infer->in[X]->shape, text[1], sizeof(text[1])));
}

/* Blocked scales are shaped like x but for the axis. */
static bool fits_in_blocks(const struct sal_shape *x, const struct sal_shape *scale,
                           int axis, int64_t blocks)
{
    bool fits = scale->rank == x->rank;
    for (int i = 0; fits && i < x->rank; i++)
        fits = scale->dim[i] == (i == axis ? blocks : x->dim[i]);
    return fits;
}

static enum sal_status layout_of(const struct sal_infer *infer, struct layout *l,
                                 struct sal_error *err)
{
    const struct quantize *q = infer->node->attr;
    const struct sal_shape *x = &infer->in[X]->shape, *scale = &infer->in[SCALE]->shape;
    int64_t count = sal_shape_count(scale);
    *l = (struct layout){.outer = 1, .dim = 1, .inner = sal_shape_count(x),
                         .block = 1, .blocks = 1};
    if (scale->rank == 0 || (scale->rank == 1 && count == 1 && !q->block))
        return SAL_OK;
    int axis = 0;
    enum sal_status status = sal_infer_axis(infer, q->axis, x->rank, 0, &axis, err);
    if (status)
        return status;
    l->outer = sal_shape_span(x, 0, axis);
    l->dim = l->blocks = x->dim[axis];
    l->inner = sal_shape_span(x, axis + 1, x->rank);
    if (q->block) {
        l->block = q->block;
        l->blocks = l->dim / q->block + (l->dim % q->block != 0);
        l->by_element = true;
    }
    bool fits = q->block ? fits_in_blocks(x, scale, axis, l->blocks)
                         : scale->rank == 1 && count == l->dim && infer->node->opset >= 13;
    return fits ? SAL_OK : wrong_scale(infer, err);
}

/* What both operators ask of their inputs; x is checked by each. */
static enum sal_status check(const struct sal_infer *infer, struct sal_error *err)
{
    struct layout layout;
    enum sal_status status = sal_infer_kind(infer, SCALE, SAL_REAL, err);
    if (status || (status = layout_of(infer, &layout, err)))
        return status;
    const struct sal_tensor *zero = sal_infer_in(infer, ZERO);
    if (!zero)
        return SAL_OK;
    if ((status = sal_infer_kind(infer, ZERO, SAL_INT, err)))
        return status;
    const struct sal_shape *scale = &infer->in[SCALE]->shape;
    bool one = sal_shape_count(scale) == 1 && sal_shape_count(&zero->shape) == 1;
    if (!one && !sal_shape_equal(scale, &zero->shape))
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "scale and zero point must have one shape");
    return SAL_OK;
}

/* Integers of up to 16 bits. */
static bool is_quantised_type(int64_t type)
{
    enum sal_kind kind;
    return type >= 0 && type <= INT32_MAX && type != SAL_ONNX_BOOL &&
           sal_type_kind((int)type, &kind) && kind == SAL_INT &&
           sal_int_highest((int)type) <= UINT16_MAX;
}

static enum sal_status quantize_infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct quantize *q = infer->node->attr;
    enum sal_status status = sal_infer_present(infer, X, err);
    if (status || (status = check(infer, err)))
        return status;
    const struct sal_tensor *zero = sal_infer_in(infer, ZERO);
    int64_t type = zero ? zero->type : q->output ? q->output : SAL_ONNX_UINT8;
    if (q->output && q->output != type)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "output_dtype and the zero point's type differ");
    if (!is_quantised_type(type))
        return sal_node_fail(infer->node, err, SAL_UNSUPPORTED,
                             "quantises to %s; integers of up to 16 bits are supported",
                             sal_onnx_type_name((int)sal_least(type, INT32_MAX)));
    if ((status = sal_infer_set(infer, 0, SAL_INT, (int)type, &infer->in[X]->shape, err)))
        return status;
    infer->out[0]->quantised = infer->in[X]->kind == SAL_REAL;
    return SAL_OK;
}

static enum sal_status dequantize_infer(const struct sal_infer *infer,
                                        struct sal_error *err)
{
    const struct quantize *q = infer->node->attr;
    enum sal_kind kind;
    enum sal_status status = sal_infer_kind(infer, X, SAL_INT, err);
    if (status || (status = check(infer, err)))
        return status;
    const struct sal_tensor *x = infer->in[X], *zero = sal_infer_in(infer, ZERO);
    if (!is_quantised_type(x->type) && x->type != SAL_ONNX_INT32)
        return sal_node_fail(infer->node, err, SAL_UNSUPPORTED,
                             "input is %s; int32 and integers of up to 16 bits are "
                             "supported",
                             sal_onnx_type_name(x->type));
    if (zero && zero->type != x->type)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "the zero point is %s, the input %s",
                             sal_onnx_type_name(zero->type), sal_onnx_type_name(x->type));
    int64_t type = q->output ? q->output : infer->in[SCALE]->type;
    if (type < 0 || type > INT32_MAX || !sal_type_kind((int)type, &kind) ||
        kind != SAL_REAL)
        return sal_node_fail(infer->node, err, SAL_UNSUPPORTED,
                             "output_dtype is not a floating type that is supported");
    return sal_infer_set(infer, 0, SAL_REAL, (int)type, &x->shape, err);
}

/* infer has accepted the shapes, so this cannot fail. */
static struct layout layout_again(const struct sal_kernel *k)
{
    struct layout layout;
    layout_of(&(struct sal_infer){.node = k->node, .in = k->in}, &layout, NULL);
    return layout;
}

/* ---- stretches with one way to find their scales -------------------------------- */

struct stretch {
    int64_t end;      /* of elements */
    int64_t at, step; /* of scales */
};

static struct stretch stretch_at(const struct layout *l, int64_t element, int64_t end)
{
    int64_t row = element / l->inner, d = row % l->dim;
    struct stretch s = {.end = sal_least(end, (row + 1) * l->inner), .at = d};
    if (l->by_element) {
        s.at = (row / l->dim * l->blocks + d / l->block) * l->inner + element % l->inner;
        s.step = 1;
    }
    return s;
}

/* Calls visit for elements from..to, with j the index of each one's scale. */
#define EACH_ELEMENT(layout, visit)                                              \
    for (int64_t i = from; i < to;) {                                            \
        const struct stretch s = stretch_at(layout, i, to);                      \
        for (int64_t j = s.at; i < s.end; i++, j += s.step)                      \
            visit                                                                \
    }

static int64_t zero_at(const struct sal_tensor *zero, int64_t j)
{
    return zero ? zero->i64[j] : 0;
}

/* ---- QuantizeLinear ---------------------------------------------------------------- */

/* What the loops read, fetched once. */
struct levels {
    const struct sal_tensor *x, *zero;
    const sal_real *scale;
    int narrow; /* type of the quotient where it has fewer digits than we compute with */
    int64_t least, most;
};

static struct levels levels_of(const struct sal_kernel *k)
{
    const struct quantize *q = k->node->attr;
    int64_t type = q->precision ? q->precision : k->in[SCALE]->type;
    bool narrow = type == SAL_ONNX_FLOAT16 || type == SAL_ONNX_BFLOAT16;
    return (struct levels){
        .x = k->in[X],
        .zero = sal_kernel_in(k, ZERO),
        .scale = k->in[SCALE]->real,
        .narrow = narrow ? (int)type : SAL_ONNX_UNDEFINED,
        .least = sal_int_lowest(k->out[0]->type),
        .most = sal_int_highest(k->out[0]->type),
    };
}

/* x / scale, rounded, and the zero point: not yet within the output's type. */
static inline sal_real level_at(const struct levels *l, int64_t i, int64_t j)
{
    sal_real x = l->x->kind == SAL_REAL ? l->x->real[i] : (sal_real)l->x->i64[i];
    sal_real quotient = x / l->scale[j];
    if (l->narrow)
        quotient = sal_real_as(l->narrow, quotient);
    return sal_round_near(quotient) + (sal_real)zero_at(l->zero, j);
}

static void quantize_piece(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const struct layout layout = layout_again(k);
    const struct levels levels = levels_of(k);
    int64_t *y = k->out[0]->i64;
    EACH_ELEMENT(&layout, {
        y[i] = sal_int_clamp(level_at(&levels, i, j), levels.least, levels.most);
    })
}

static void quantize_gradient(const struct sal_kernel *k, int64_t from, int64_t to,
                              int worker)
{
    (void)worker;
    const struct layout layout = layout_again(k);
    const struct levels levels = levels_of(k);
    const sal_real least = (sal_real)levels.least, most = (sal_real)levels.most;
    EACH_ELEMENT(&layout, {
        sal_real y = level_at(&levels, i, j);
        if (y >= least && y <= most)
            k->dx[X][i] += k->dy[0][i] / levels.scale[j];
    })
}

static void quantize_forward(const struct sal_kernel *k)
{
    sal_split(k->pool, sal_shape_count(&k->out[0]->shape), SAL_TILE, quantize_piece, k);
}

static void quantize_backward(const struct sal_kernel *k)
{
    if (k->dx[X] && k->dy[0])
        sal_split(k->pool, sal_shape_count(&k->out[0]->shape), SAL_TILE,
                  quantize_gradient, k);
}

const struct sal_op sal_op_QuantizeLinear = {
    .name = "QuantizeLinear",
    .since = 10,
    .until = SAL_OPSET_MAX,
    .min_in = 2,
    .max_in = 3,
    .max_out = 1,
    .parse = quantize_parse,
    .infer = quantize_infer,
    .forward = quantize_forward,
    .backward = quantize_backward,
    .frugal = true,
    .reads = SAL_READS(SAL_READS_ALL, 0),
    .no_gradient = 1u << SCALE,
    .straight = true,
};

/* ---- DequantizeLinear -------------------------------------------------------------- */

static void dequantize_piece(const struct sal_kernel *k, int64_t from, int64_t to,
                             int worker)
{
    (void)worker;
    const struct layout layout = layout_again(k);
    const struct sal_tensor *zero = sal_kernel_in(k, ZERO);
    EACH_ELEMENT(&layout, {
        k->out[0]->real[i] =
            (sal_real)(k->in[X]->i64[i] - zero_at(zero, j)) * k->in[SCALE]->real[j];
    })
}

static void x_gradient(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const struct layout layout = layout_again(k);
    EACH_ELEMENT(&layout, { k->dx[X][i] += k->dy[0][i] * k->in[SCALE]->real[j]; })
}

/* The elements that scale j multiplies, a row of inner or one element at a time. */
static void scale_gradient(const struct sal_kernel *k, int64_t from, int64_t to,
                           int worker)
{
    (void)worker;
    const struct layout l = layout_again(k);
    const struct sal_tensor *zero = sal_kernel_in(k, ZERO);
    for (int64_t j = from; j < to; j++) {
        int64_t b = l.by_element ? j / l.inner % l.blocks : j;
        int64_t d0 = b * l.block, d1 = sal_least(d0 + l.block, l.dim);
        int64_t o0 = l.by_element ? j / l.inner / l.blocks : 0;
        int64_t o1 = l.by_element ? o0 + 1 : l.outer;
        int64_t first = l.by_element ? j % l.inner : 0;
        int64_t width = l.by_element ? 1 : l.inner;
        sal_real sum = 0;
        for (int64_t row = 0; row < (o1 - o0) * (d1 - d0); row++) {
            int64_t o = o0 + row / (d1 - d0), d = d0 + row % (d1 - d0);
            int64_t i = (o * l.dim + d) * l.inner + first;
            sal_real part = 0;
            for (int64_t end = i + width; i < end; i++)
                part += k->dy[0][i] * (sal_real)(k->in[X]->i64[i] - zero_at(zero, j));
            sum += part;
        }
        k->dx[SCALE][j] += sum;
    }
}

static void dequantize_forward(const struct sal_kernel *k)
{
    sal_split(k->pool, sal_shape_count(&k->out[0]->shape), SAL_TILE, dequantize_piece, k);
}

static void dequantize_backward(const struct sal_kernel *k)
{
    if (!k->dy[0])
        return;
    if (k->dx[X])
        sal_split(k->pool, sal_shape_count(&k->out[0]->shape), SAL_TILE, x_gradient, k);
    if (k->dx[SCALE] && sal_shape_count(&k->out[0]->shape))
        sal_split(k->pool, sal_shape_count(&k->in[SCALE]->shape), 1, scale_gradient, k);
}

const struct sal_op sal_op_DequantizeLinear = {
    .name = "DequantizeLinear",
    .since = 10,
    .until = SAL_OPSET_MAX,
    .min_in = 2,
    .max_in = 3,
    .max_out = 1,
    .parse = dequantize_parse,
    .infer = dequantize_infer,
    .forward = dequantize_forward,
    .backward = dequantize_backward,
    .frugal = true,
    .reads = {{.in = 1u << SCALE}, {.in = 1u << X | 1u << ZERO}},
    .takes_quantised = true,
    .straight = true,
};
