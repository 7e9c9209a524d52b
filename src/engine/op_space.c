#include <inttypes.h>
#include <string.h>

#include "kernel.h"

/*
 * Outputs that are the input's elements at other places: DepthToSpace, SpaceToDepth,
 * CenterCropPad. Each operator says how a box of elements lies in both; one loop moves
 * them, one pulls gradients back. No element is in the box twice.
 */
enum { X, Y, SIDES };

struct move {
    struct sal_shape out;
    struct sal_shape box; /* rank at least 1 */
    int64_t stride[SIDES][SAL_RANK_MAX];
    int64_t at[SIDES]; /* the first element */
};

typedef enum sal_status move_maker(const struct sal_infer *infer, struct move *move,
                                   struct sal_error *err);

static enum sal_status infer_move(const struct sal_infer *infer, move_maker *make,
                                  struct sal_error *err)
{
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status)
        return status;
    struct move *move = sal_new(infer->arena, struct move, 1);
    if (!move)
        return sal_node_fail(infer->node, err, SAL_LIMIT, "no memory");
    *infer->plan = move;
    if ((status = make(infer, move, err)))
        return status;
    return sal_infer_like(infer, 0, infer->in[0], &move->out, err);
}

/* ---- loops ------------------------------------------------------------------- */

static int64_t width_of(const struct move *move)
{
    return move->box.dim[move->box.rank - 1];
}

/* Where row `row` of the box begins on a side. */
static int64_t row_at(const struct move *move, int side, int64_t row)
{
    int64_t at = move->at[side];
    for (int i = move->box.rank - 2; i >= 0; i--) {
        at += row % move->box.dim[i] * move->stride[side][i];
        row /= move->box.dim[i];
    }
    return at;
}

#define EACH_ROW(visit)                                                                \
    const struct move *move = k->node->plan;                                           \
    const int64_t width = width_of(move), last = move->box.rank - 1;                   \
    const int64_t step_x = move->stride[X][last], step_y = move->stride[Y][last];      \
    (void)worker;                                                                      \
    for (int64_t row = from; row < to; row++) {                                        \
        int64_t x = row_at(move, X, row), y = row_at(move, Y, row);                    \
        for (int64_t i = 0; i < width; i++, x += step_x, y += step_y)                  \
            visit;                                                                     \
    }

static void move_reals(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    EACH_ROW(k->out[0]->real[y] = k->in[0]->real[x])
}

static void move_integers(const struct sal_kernel *k, int64_t from, int64_t to,
                          int worker)
{
    EACH_ROW(k->out[0]->i64[y] = k->in[0]->i64[x])
}

static void pull_back(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    EACH_ROW(k->dx[0][x] += k->dy[0][y])
}

static void split(const struct sal_kernel *k,
                  void (*work)(const struct sal_kernel *k, int64_t from, int64_t to,
                               int worker))
{
    const struct move *move = k->node->plan;
    if (width_of(move))
        sal_split(k->pool, sal_shape_span(&move->box, 0, move->box.rank - 1),
                  sal_grain(width_of(move)), work, k);
}

static void forward(const struct sal_kernel *k)
{
    const struct move *move = k->node->plan;
    const struct sal_tensor *y = k->out[0];
    int64_t n = sal_shape_count(&y->shape);
    if (n > sal_shape_count(&move->box))
        memset(y->data, 0, (size_t)n * sal_kind_size(y->kind));
    split(k, y->kind == SAL_REAL ? move_reals : move_integers);
}

static void backward(const struct sal_kernel *k)
{
    if (k->dx[0] && k->dy[0])
        split(k, pull_back);
}

/* ---- DepthToSpace and SpaceToDepth ------------------------------------------- */

enum mode { DCR, CRD, MODES };

static const char *const mode_names[MODES] = {[DCR] = "DCR", [CRD] = "CRD"};

struct blocks {
    int64_t size;
    int mode;
};

static enum sal_status blocks_parse(struct sal_node *node,
                                    const struct sal_onnx_node *source,
                                    struct sal_arena *arena, struct sal_error *err)
{
    struct blocks *blocks = sal_new(arena, struct blocks, 1);
    if (!blocks)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = blocks;
    enum sal_status status = sal_attr_int(source, "blocksize", 0, &blocks->size, err);
    if (status || (status = sal_attr_word(node, source, "mode", mode_names, MODES, DCR,
                                          &blocks->mode, err)))
        return status;
    if (blocks->size < 1 || blocks->size > SAL_ONNX_DIM_MAX)
        return sal_node_fail(node, err, SAL_BAD_INPUT,
                             "blocksize is %" PRId64 ", must be 1 or more",
                             blocks->size);
    return SAL_OK;
}

static enum sal_status check_rank(const struct sal_infer *infer, struct sal_error *err)
{
    int rank = infer->in[0]->shape.rank;
    if (rank != 4)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "input has %d axes, must have 4", rank);
    return SAL_OK;
}

/* Nothing to move: strides that nobody takes may be long enough to overflow. */
static bool lay_nothing(struct move *move)
{
    bool empty = false;
    for (int i = 0; i < move->box.rank; i++)
        empty |= !move->box.dim[i];
    if (empty)
        move->box = (struct sal_shape){.rank = 1};
    return empty;
}

/* The box is n x depth x h x block x block x w; `deep` the side that has the blocks
 * among its channels, `wide` the one, of that shape, that has them among its pixels. */
static void lay_blocks(const struct sal_shape *shape, const struct blocks *blocks,
                       struct move *move, int64_t *deep, int64_t *wide)
{
    const int64_t b = blocks->size, depth = shape->dim[1];
    const int64_t h = shape->dim[2] / b, w = shape->dim[3] / b;
    const int64_t channel = blocks->mode == DCR ? 1 : b * b;
    const int64_t block = blocks->mode == DCR ? depth : 1;
    move->box =
        (struct sal_shape){.rank = 6, .dim = {shape->dim[0], depth, h, b, b, w}};
    if (lay_nothing(move))
        return;
    const int64_t in_deep[] = {depth * b * b * h * w, channel * h * w, w,
                               block * b * h * w,     block * h * w,   1};
    const int64_t in_wide[] = {
        depth * b * b * h * w, b * b * h * w, b * b * w, b * w, 1, b};
    memcpy(deep, in_deep, sizeof(in_deep));
    memcpy(wide, in_wide, sizeof(in_wide));
}

static enum sal_status depth_move(const struct sal_infer *infer, struct move *move,
                                  struct sal_error *err)
{
    const struct blocks *blocks = infer->node->attr;
    const struct sal_shape *x = &infer->in[0]->shape;
    enum sal_status status = check_rank(infer, err);
    if (status)
        return status;
    int64_t b = blocks->size;
    if (x->dim[1] % (b * b))
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "%" PRId64 " channels are not blocks of %" PRId64
                             " x %" PRId64,
                             x->dim[1], b, b);
    move->out = (struct sal_shape){
        .rank = 4,
        .dim = {x->dim[0], x->dim[1] / (b * b), x->dim[2] * b, x->dim[3] * b}};
    /* Only what is known to be in range is multiplied further. */
    if ((status = sal_infer_like(infer, 0, infer->in[0], &move->out, err)))
        return status;
    lay_blocks(&move->out, blocks, move, move->stride[X], move->stride[Y]);
    return SAL_OK;
}

static enum sal_status space_move(const struct sal_infer *infer, struct move *move,
                                  struct sal_error *err)
{
    const struct blocks *blocks = infer->node->attr;
    const struct sal_shape *x = &infer->in[0]->shape;
    enum sal_status status = check_rank(infer, err);
    if (status)
        return status;
    int64_t b = blocks->size, channels;
    if (x->dim[2] % b || x->dim[3] % b)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "%" PRId64 " x %" PRId64
                             " pixels are not blocks of %" PRId64,
                             x->dim[2], x->dim[3], b);
    if (__builtin_mul_overflow(x->dim[1], b * b, &channels))
        return sal_node_fail(infer->node, err, SAL_LIMIT, "too many channels");
    move->out = (struct sal_shape){
        .rank = 4, .dim = {x->dim[0], channels, x->dim[2] / b, x->dim[3] / b}};
    if ((status = sal_infer_like(infer, 0, infer->in[0], &move->out, err)))
        return status;
    lay_blocks(x, blocks, move, move->stride[Y], move->stride[X]);
    return SAL_OK;
}

/* Pixels stay in order, fewer or more of them; channels are new. */
static void blocks_carry(const struct sal_kernel *k, int input, int output,
                         struct sal_carry *carry)
{
    sal_carry_in_order(k, input, output, carry);
    carry->axis[1] = -1;
}

/* ---- CenterCropPad ----------------------------------------------------------- */

static enum sal_status crop_parse(struct sal_node *node,
                                  const struct sal_onnx_node *source,
                                  struct sal_arena *arena, struct sal_error *err)
{
    struct sal_int_list *axes = sal_new(arena, struct sal_int_list, 1);
    if (!axes)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = axes;
    return sal_attr_ints(source, "axes", &axes->values, &axes->n, err);
}

/* The output's shape: some of the input's dims replaced. */
static enum sal_status crop_shape(const struct sal_infer *infer, struct sal_shape *out,
                                  struct sal_error *err)
{
    const struct sal_int_list *axes = infer->node->attr;
    const int64_t *dims;
    int64_t n;
    bool chosen[SAL_RANK_MAX];
    *out = infer->in[0]->shape;
    enum sal_status status =
        sal_infer_axes(infer, axes->values, axes->n, out->rank, chosen, err);
    if (status || (status = sal_infer_ints(infer, 1, "shape", &dims, &n, err)))
        return status;
    int expected = axes->values ? axes->n : out->rank;
    if (n != expected)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "shape has %" PRId64 " entries, expected %d", n, expected);
    for (int i = 0; i < expected; i++) {
        int64_t axis = axes->values ? axes->values[i] : i;
        out->dim[axis < 0 ? axis + out->rank : axis] = dims[i];
    }
    return SAL_OK;
}

static enum sal_status crop_move(const struct sal_infer *infer, struct move *move,
                                 struct sal_error *err)
{
    const struct sal_shape *x = &infer->in[0]->shape;
    enum sal_status status = crop_shape(infer, &move->out, err);
    if (status || (status = sal_infer_like(infer, 0, infer->in[0], &move->out, err)))
        return status;
    int64_t step[SIDES] = {1, 1};
    move->box.rank = x->rank ? x->rank : 1;
    move->box.dim[0] = 1;
    for (int i = 0; i < x->rank; i++)
        move->box.dim[i] = sal_least(x->dim[i], move->out.dim[i]);
    if (lay_nothing(move))
        return SAL_OK;
    for (int i = x->rank - 1; i >= 0; i--) {
        int64_t dim = x->dim[i], out = move->out.dim[i];
        move->at[X] += (dim - move->box.dim[i]) / 2 * step[X];
        move->at[Y] += (out - move->box.dim[i]) / 2 * step[Y];
        move->stride[X][i] = step[X];
        move->stride[Y][i] = step[Y];
        step[X] *= dim;
        step[Y] *= out;
    }
    return SAL_OK;
}

static void crop_carry(const struct sal_kernel *k, int input, int output,
                       struct sal_carry *carry)
{
    if (!input)
        sal_carry_in_order(k, input, output, carry);
}

/* ---- rows -------------------------------------------------------------------- */

#define MOVE(op_name, op_since, inputs, op_parse, op_move, op_carry)                   \
    static enum sal_status op_name##_infer(const struct sal_infer *infer,              \
                                           struct sal_error *err)                      \
    {                                                                                  \
        return infer_move(infer, op_move, err);                                        \
    }                                                                                  \
    const struct sal_op sal_op_##op_name = {                                           \
        .name = #op_name,                                                              \
        .since = op_since,                                                             \
        .until = SAL_OPSET_MAX,                                                        \
        .min_in = inputs,                                                              \
        .max_in = inputs,                                                              \
        .max_out = 1,                                                                  \
        .parse = op_parse,                                                             \
        .infer = op_name##_infer,                                                      \
        .forward = forward,                                                            \
        .backward = backward,                                                          \
        .frugal = true,                                                                \
        .carry = op_carry,                                                             \
        .takes_quantised = true,                                                       \
    };

MOVE(CenterCropPad, 18, 2, crop_parse, crop_move, crop_carry)
MOVE(DepthToSpace, 1, 1, blocks_parse, depth_move, blocks_carry)
MOVE(SpaceToDepth, 1, 1, blocks_parse, space_move, blocks_carry)
