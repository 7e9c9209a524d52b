#include "pixels.h"
#include "real.h"

/* ---- shapes ------------------------------------------------------------------ */

/* Before opset 7: whether b may be smaller, and the axis of a where it begins. */
struct binary {
    int64_t broadcast, axis;
    int64_t fmod; /* of Mod, which is younger */
};

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    if (node->opset >= 7)
        return SAL_OK;
    struct binary *legacy = sal_new(arena, struct binary, 1);
    if (!legacy)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = legacy;
    enum sal_status status =
        sal_attr_int(source, "broadcast", 0, &legacy->broadcast, err);
    if (status || (status = sal_attr_int(source, "axis", -1, &legacy->axis, err)))
        return status;
    if (legacy->axis < -1 || legacy->axis > SAL_RANK_MAX)
        return sal_node_fail(node, err, SAL_BAD_INPUT, "axis must be 0 to %d",
                             SAL_RANK_MAX);
    return SAL_OK;
}

/* Before opset 7 the slopes of PRelu are one for all or one per channel. */
static enum sal_status prelu_parse(struct sal_node *node,
                                   const struct sal_onnx_node *source,
                                   struct sal_arena *arena, struct sal_error *err)
{
    (void)source;
    if (node->opset >= 7)
        return SAL_OK;
    struct binary *legacy = sal_new(arena, struct binary, 1);
    if (!legacy)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    *legacy = (struct binary){.broadcast = 1, .axis = 1};
    node->attr = legacy;
    return SAL_OK;
}

/* b as numpy would have to see it. */
static struct sal_shape shape_of_b(const struct sal_node *node, const struct sal_shape *a,
                                   const struct sal_shape *b)
{
    const struct binary *legacy = node->attr;
    struct sal_shape shape = *b;
    if (!legacy || !legacy->broadcast || legacy->axis < 0)
        return shape;
    while (legacy->axis + shape.rank < a->rank)
        shape.dim[shape.rank++] = 1;
    return shape;
}

/* one_way: only b broadcasts. */
static enum sal_status infer_out(const struct sal_infer *infer, bool one_way,
                                 struct sal_error *err)
{
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status || (status = sal_infer_present(infer, 1, err)))
        return status;
    const struct sal_tensor *a = infer->in[0], *b = infer->in[1];
    if ((status = sal_infer_kind(infer, 1, a->kind, err)))
        return status;
    struct sal_shape seen = shape_of_b(infer->node, &a->shape, &b->shape), shape;
    if ((status = sal_infer_broadcast(infer, &a->shape, &seen, &shape, err)))
        return status;
    if (one_way && !sal_shape_equal(&shape, &a->shape))
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "%sonly the second input broadcasts",
                             infer->node->opset < 7 ? "before opset 7 " : "");
    return sal_infer_like(infer, 0, a, &shape, err);
}

static enum sal_status binary_infer(const struct sal_infer *infer, struct sal_error *err)
{
    return infer_out(infer, infer->node->opset < 7, err);
}

static enum sal_status prelu_infer(const struct sal_infer *infer, struct sal_error *err)
{
    return infer_out(infer, true, err);
}

/* Operands: a, b, output. */
static void walk_init(struct sal_walk *walk, const struct sal_kernel *k)
{
    const struct sal_shape *a = &k->in[0]->shape, *out = &k->out[0]->shape;
    struct sal_shape b = shape_of_b(k->node, a, &k->in[1]->shape);
    sal_walk_init(walk, out, (const struct sal_shape *const[]){a, &b, out}, 3);
}

/* ---- loops ------------------------------------------------------------------- */

static void forward(const struct sal_kernel *k, enum sal_pixels_kind kind,
                    void (*real)(const struct sal_stretch *),
                    void (*integer)(const struct sal_stretch *))
{
    struct sal_walk walk;
    walk_init(&walk, k);
    if (!sal_pixels_forward(&walk, kind, k))
        sal_walk_each(&walk, k, k->out[0]->kind == SAL_REAL ? real : integer);
}

static void backward(const struct sal_kernel *k, enum sal_pixels_kind kind,
                     void (*to_a)(const struct sal_stretch *),
                     void (*to_b)(const struct sal_stretch *))
{
    struct sal_walk walk;
    walk_init(&walk, k);
    if (sal_pixels_backward(&walk, kind, k))
        return;
    for (int i = 0; i < 2; i++)
        if (k->fresh >> i & 1)
            sal_zero(k->dx[i], sal_shape_count(&k->in[i]->shape), k->pool);
    if (k->dx[0])
        sal_walk_reduce(&walk, 0, k, to_a);
    if (k->dx[1])
        sal_walk_reduce(&walk, 1, k, to_b);
}

#define LOOP_REAL(sa, sb, value)                                                 \
    for (int64_t i = 0; i < count; i++) {                                        \
        const sal_real a = in_a[i * (sa)], b = in_b[i * (sb)];                   \
        out[i] = value;                                                          \
    }

#define LOOP_INT(value)                                                          \
    for (int64_t i = 0; i < s->count; i++) {                                     \
        const int64_t a = in_a[i * s->step[0]], b = in_b[i * s->step[1]];        \
        out[i] = sal_int_wrap(type, value);                                      \
    }

#define LOOP_GRADIENT(sa, sb, so, to, slope)                                     \
    for (; i < end; i++) {                                                       \
        const sal_real a = in_a[i * (sa)], b = in_b[i * (sb)];                   \
        const sal_real y = out[i * (so)], dy = dout[i * (so)];                   \
        (void)a, (void)b, (void)y;                                               \
        to += slope;                                                             \
    }

enum { PARTIAL = 256 }; /* terms of a partial sum, to keep long sums accurate */

/* dx of operand t: element-wise, or the sum of the stretch into one element. */
#define GRADIENT(function, t, slope)                                             \
    static void function(const struct sal_stretch *s)                            \
    {                                                                            \
        const struct sal_kernel *k = s->k;                                       \
        const sal_real *in_a = k->in[0]->real + s->at[0];                        \
        const sal_real *in_b = k->in[1]->real + s->at[1];                        \
        const sal_real *out = k->out[0]->real + s->at[2];                        \
        const sal_real *dout = k->dy[0] + s->at[2];                              \
        sal_real *dx = k->dx[t] + s->at[t];                                      \
        const int64_t sa = s->step[0], sb = s->step[1], so = s->step[2];         \
        int64_t i = 0, end = s->count;                                           \
        if (s->step[t] && sa == 1 && sb == 1) {                                  \
            LOOP_GRADIENT(1, 1, 1, dx[i], slope)                                 \
        } else if (s->step[t] && sa == 1) {                                      \
            LOOP_GRADIENT(1, 0, 1, dx[i], slope)                                 \
        } else if (s->step[t]) {                                                 \
            LOOP_GRADIENT(sa, sb, 1, dx[i], slope)                               \
        } else {                                                                 \
            sal_real total = 0;                                                  \
            while (i < s->count) {                                               \
                sal_real part = 0;                                               \
                end = s->count - i < PARTIAL ? s->count : i + PARTIAL;           \
                LOOP_GRADIENT(sa, sb, so, part, slope)                           \
                total += part;                                                   \
            }                                                                    \
            *dx += total;                                                        \
        }                                                                        \
    }

/* The loops of one operator: its value of a and b, in integers too, and what dy adds
 * to da and to db. */
#define LOOPS(op_name, kind, value, int_value, slope_a, slope_b)                 \
    static void op_name##_real(const struct sal_stretch *s)                      \
    {                                                                            \
        const sal_real *in_a = s->k->in[0]->real + s->at[0];                     \
        const sal_real *in_b = s->k->in[1]->real + s->at[1];                     \
        sal_real *out = s->k->out[0]->real + s->at[2];                           \
        const int64_t count = s->count;                                          \
        if (s->step[0] && s->step[1])                                            \
            LOOP_REAL(1, 1, value)                                               \
        else if (s->step[0])                                                     \
            LOOP_REAL(1, 0, value)                                               \
        else                                                                     \
            LOOP_REAL(0, s->step[1], value)                                      \
    }                                                                            \
    static void op_name##_int(const struct sal_stretch *s)                       \
    {                                                                            \
        const int64_t *in_a = s->k->in[0]->i64 + s->at[0];                       \
        const int64_t *in_b = s->k->in[1]->i64 + s->at[1];                       \
        int64_t *out = s->k->out[0]->i64 + s->at[2];                             \
        const int type = s->k->out[0]->type;                                     \
        LOOP_INT(int_value)                                                      \
    }                                                                            \
    GRADIENT(op_name##_to_a, 0, slope_a)                                         \
    GRADIENT(op_name##_to_b, 1, slope_b)                                         \
    static void op_name##_forward(const struct sal_kernel *k)                    \
    {                                                                            \
        forward(k, kind, op_name##_real, op_name##_int);                         \
    }                                                                            \
    static void op_name##_backward(const struct sal_kernel *k)                   \
    {                                                                            \
        backward(k, kind, op_name##_to_a, op_name##_to_b);                       \
    }

/* What a slope is made of. */
enum { OF_A = 1, OF_B = 2, OF_Y = 4 };

#define READS(of) {.in = (of) & (OF_A | OF_B), .out = ((of) & OF_Y) != 0}

#define ROW(op_name, op_since, op_parse, op_infer, of_a, of_b)                   \
    const struct sal_op sal_op_##op_name = {                                     \
        .name = #op_name,                                                        \
        .since = op_since,                                                       \
        .until = SAL_OPSET_MAX,                                                  \
        .pointwise = true,                                                  \
        .min_in = 2,                                                             \
        .max_in = 2,                                                             \
        .max_out = 1,                                                            \
        .parse = op_parse,                                                       \
        .infer = op_infer,                                                       \
        .forward = op_name##_forward,                                            \
        .backward = op_name##_backward,                                          \
        .begins = true,                                                          \
        .in_place = 1u << 0 | 1u << 1,                                           \
        .frugal = true,                                                          \
        .reads = {READS(of_a), READS(of_b)},                                     \
    };

/* One operator: as LOOPS, and what each slope is made of. */
#define BINARY(op_name, kind, value, int_value, slope_a, of_a, slope_b, of_b)    \
    LOOPS(op_name, kind, value, int_value, slope_a, slope_b)                     \
    ROW(op_name, 1, parse, binary_infer, of_a, of_b)

/* Integers wrap; nothing here is undefined. */
#define WRAPPED(a, op, b) ((int64_t)((uint64_t)(a)op(uint64_t)(b)))

/* Truncates. ONNX leaves a division by zero open; zero keeps a folded shape sane. */
static int64_t quotient(int64_t a, int64_t b)
{
    return b == 0 ? 0 : b == -1 ? WRAPPED(0, -, a) : a / b;
}

BINARY(Add, SAL_PIXELS_ADD, a + b, WRAPPED(a, +, b), dy, 0, dy, 0)
BINARY(Sub, SAL_PIXELS_SUB, a - b, WRAPPED(a, -, b), dy, 0, -dy, 0)
BINARY(Mul, SAL_PIXELS_MUL, (a) * b, WRAPPED(a, *, b), (dy) * b, OF_B, (dy) * a, OF_A)
BINARY(Div, SAL_PIXELS_NONE, a / b, quotient(a, b), dy / b, OF_B, -dy * y / b, OF_B | OF_Y)

/* The slope of PRelu at 0 is PyTorch's. */
LOOPS(PRelu, SAL_PIXELS_NONE, a < 0 ? (a) * b : a, a < 0 ? WRAPPED(a, *, b) : a,
      a > 0 ? dy : (dy) * b, a > 0 ? 0 : (dy) * a)
ROW(PRelu, 1, prelu_parse, prelu_infer, OF_A | OF_B, OF_A)

/* ---- Mod --------------------------------------------------------------------- */

static enum sal_status mod_parse(struct sal_node *node, const struct sal_onnx_node *source,
                                 struct sal_arena *arena, struct sal_error *err)
{
    struct binary *binary = sal_new(arena, struct binary, 1);
    if (!binary)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = binary;
    return sal_attr_int(source, "fmod", 0, &binary->fmod, err);
}

static enum sal_status mod_infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct binary *binary = infer->node->attr;
    enum sal_status status = binary_infer(infer, err);
    if (!status && infer->in[0]->kind == SAL_REAL && !binary->fmod)
        status = sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                               "fmod must be 1 for floating types");
    return status;
}

/* Of the dividend's sign, or of the divisor's. By zero as in quotient(). */
static int64_t remainder_of(const struct sal_stretch *s, int type, int64_t a, int64_t b)
{
    const struct binary *binary = s->k->node->attr;
    if (b == 0)
        return 0;
    if (type == SAL_ONNX_UINT64)
        return (int64_t)((uint64_t)a % (uint64_t)b);
    int64_t rest = b == -1 ? 0 : a % b;
    return !binary->fmod && rest && (rest < 0) != (b < 0) ? rest + b : rest;
}

static sal_real whole_quotient(sal_real a, sal_real b)
{
    return sal_rint((a - sal_fmod(a, b)) / b);
}

LOOPS(Mod, SAL_PIXELS_NONE, sal_fmod(a, b), remainder_of(s, type, a, b), dy,
      -dy * whole_quotient(a, b))
ROW(Mod, 10, mod_parse, mod_infer, 0, OF_A | OF_B)
