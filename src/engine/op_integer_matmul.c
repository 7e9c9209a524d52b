/* MatMulInteger and QLinearMatMul: numpy's matmul of integers, exact; the second takes
 * the sums back to integers with a scale. */
#include <string.h>

#include "integer_product.h"
#include "real.h"

static const char integers_only[] =
    "multiplies integers and has no gradient: explain the float model, or the form "
    "with QuantizeLinear and DequantizeLinear around float operators";

/* Where inputs lie; -1: the operator has no such input. */
struct roles {
    int a, b, a_zero, b_zero, a_scale, b_scale, y_scale, y_zero;
};

static const struct roles integer_roles = {0, 1, 2, 3, -1, -1, -1, -1};
static const struct roles qlinear_roles = {0, 3, 2, 5, 1, 4, 6, 7};

/* A scale or zero point: one, or one per row of A or column of B, perhaps of each
 * matrix. */
struct share {
    const struct sal_tensor *tensor; /* NULL: zeros */
    int64_t each, step;              /* from matrix to matrix, from line to line */
};

struct matmul {
    struct sal_shape batch, out;
    int64_t m, n, depth;
    int64_t a_step[SAL_RANK_MAX], b_step[SAL_RANK_MAX]; /* in matrices */
    struct share a_zero, b_zero, a_scale, b_scale;
};

/* ---- shapes ------------------------------------------------------------------ */

/* As numpy's matmul sees a vector: a row on the left, a column on the right. */
static struct sal_shape as_matrix(const struct sal_shape *shape, bool left)
{
    if (shape->rank != 1)
        return *shape;
    int64_t n = shape->dim[0];
    return left ? (struct sal_shape){.rank = 2, .dim = {1, n}}
                : (struct sal_shape){.rank = 2, .dim = {n, 1}};
}

static struct sal_shape without_matrix(struct sal_shape shape)
{
    shape.rank -= 2;
    return shape;
}

static enum sal_status share_of(const struct sal_infer *infer, int input, enum sal_kind kind,
                                const struct sal_shape *operand, int lines_axis,
                                struct share *share, struct sal_error *err)
{
    *share = (struct share){0};
    if (input < 0 || !sal_infer_in(infer, input))
        return SAL_OK;
    enum sal_status status = sal_infer_kind(infer, input, kind, err);
    if (status)
        return status;
    const struct sal_shape *shape = &infer->in[input]->shape;
    int64_t lines = operand->dim[operand->rank - lines_axis];
    share->tensor = infer->in[input];
    if (sal_shape_count(shape) == 1)
        return SAL_OK;
    struct sal_shape full = *operand;
    full.dim[operand->rank - (3 - lines_axis)] = 1;
    bool vector = shape->rank == 1 && shape->dim[0] == lines;
    char text[2][96];
    if (!vector && !sal_shape_equal(shape, &full))
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "input %d is %s, must be a scalar, %lld long, or %s", input,
                             sal_shape_text(shape, text[0], sizeof(text[0])),
                             (long long)lines,
                             sal_shape_text(&full, text[1], sizeof(text[1])));
    share->step = 1;
    share->each = vector ? 0 : lines;
    return SAL_OK;
}

enum { ROWS = 2, COLUMNS = 1 }; /* axes, counted from the last */

static enum sal_status matmul_of(const struct sal_infer *infer, const struct roles *roles,
                                 struct matmul *p, struct sal_error *err)
{
    const struct sal_shape *left = &infer->in[roles->a]->shape;
    const struct sal_shape *right = &infer->in[roles->b]->shape;
    if (left->rank < 1 || right->rank < 1)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT, "operands must have axes");
    struct sal_shape a = as_matrix(left, true), b = as_matrix(right, false);
    *p = (struct matmul){.m = a.dim[a.rank - 2],
                         .n = b.dim[b.rank - 1],
                         .depth = a.dim[a.rank - 1]};
    if (b.dim[b.rank - 2] != p->depth)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "B expects %lld features, A has %lld",
                             (long long)b.dim[b.rank - 2], (long long)p->depth);
    struct sal_shape over_a = without_matrix(a), over_b = without_matrix(b);
    enum sal_status status = sal_infer_broadcast(infer, &over_a, &over_b, &p->batch, err);
    if (status ||
        (status = share_of(infer, roles->a_zero, SAL_INT, &a, ROWS, &p->a_zero, err)) ||
        (status = share_of(infer, roles->b_zero, SAL_INT, &b, COLUMNS, &p->b_zero, err)) ||
        (status = share_of(infer, roles->a_scale, SAL_REAL, &a, ROWS, &p->a_scale, err)) ||
        (status = share_of(infer, roles->b_scale, SAL_REAL, &b, COLUMNS, &p->b_scale, err)))
        return status;
    sal_broadcast_strides(&over_a, &p->batch, p->a_step);
    sal_broadcast_strides(&over_b, &p->batch, p->b_step);
    p->out = p->batch;
    if (left->rank > 1)
        p->out.dim[p->out.rank++] = p->m;
    if (right->rank > 1)
        p->out.dim[p->out.rank++] = p->n;
    return SAL_OK;
}

static enum sal_status infer_integer(const struct sal_infer *infer, struct sal_error *err)
{
    struct matmul p;
    enum sal_status status = sal_infer_bytes(infer, integer_roles.a, integer_roles.a_zero, err);
    if (status || (status = sal_infer_bytes(infer, integer_roles.b, integer_roles.b_zero, err)) ||
        (status = matmul_of(infer, &integer_roles, &p, err)))
        return status;
    return sal_infer_set(infer, 0, SAL_INT, SAL_ONNX_INT32, &p.out, err);
}

static enum sal_status infer_qlinear(const struct sal_infer *infer, struct sal_error *err)
{
    struct matmul p;
    const struct roles *roles = &qlinear_roles;
    enum sal_status status = sal_infer_bytes(infer, roles->a, roles->a_zero, err);
    if (status || (status = sal_infer_bytes(infer, roles->b, roles->b_zero, err)) ||
        (status = sal_infer_bytes(infer, roles->y_zero, -1, err)) ||
        (status = sal_infer_kind(infer, roles->y_scale, SAL_REAL, err)) ||
        (status = matmul_of(infer, roles, &p, err)))
        return status;
    if (sal_shape_count(&infer->in[roles->y_scale]->shape) != 1 ||
        sal_shape_count(&infer->in[roles->y_zero]->shape) != 1)
        return sal_node_fail(infer->node, err, SAL_UNSUPPORTED,
                             "y_scale and y_zero_point must be scalars");
    return sal_infer_set(infer, 0, SAL_INT, infer->in[roles->y_zero]->type, &p.out, err);
}

/* ---- the product --------------------------------------------------------------- */

/* Only the plain product makes int32. */
static const struct roles *roles_of(const struct sal_kernel *k)
{
    return k->out[0]->type == SAL_ONNX_INT32 ? &integer_roles : &qlinear_roles;
}

/* infer has accepted the shapes, so this cannot fail. */
static struct matmul matmul_again(const struct sal_kernel *k, const struct roles *roles)
{
    struct matmul p;
    matmul_of(&(struct sal_infer){.node = k->node, .in = k->in}, roles, &p, NULL);
    return p;
}

/* Which matrix of an operand product i reads. */
static int64_t matrix_of(const struct matmul *p, const int64_t *step, int64_t i)
{
    int64_t at = 0;
    for (int d = p->batch.rank - 1; d >= 0; d--) {
        at += i % p->batch.dim[d] * step[d];
        i /= p->batch.dim[d];
    }
    return at;
}

static int64_t place(const struct share *share, int64_t matrix, int64_t line)
{
    return matrix * share->each + line * share->step;
}

static int64_t zero_of(const struct share *share, int64_t matrix, int64_t line)
{
    return share->tensor ? share->tensor->i64[place(share, matrix, line)] : 0;
}

static void fill_a(const struct sal_integer_product *product, int64_t i,
                   struct sal_area area, double *to)
{
    const struct matmul *p = product->context;
    int64_t matrix = matrix_of(p, p->a_step, i);
    const int64_t *a = product->k->in[roles_of(product->k)->a]->i64 +
                       matrix * p->m * p->depth;
    for (int64_t row = area.row; row < area.row + area.rows; row++) {
        int64_t zero = zero_of(&p->a_zero, matrix, row);
        for (int64_t at = area.column; at < area.column + area.columns; at++)
            *to++ = (double)(a[row * p->depth + at] - zero);
    }
}

static void fill_b(const struct sal_integer_product *product, int64_t i,
                   struct sal_area area, double *to)
{
    const struct matmul *p = product->context;
    int64_t matrix = matrix_of(p, p->b_step, i);
    const int64_t *b = product->k->in[roles_of(product->k)->b]->i64 +
                       matrix * p->depth * p->n;
    for (int64_t at = area.row; at < area.row + area.rows; at++)
        for (int64_t column = area.column; column < area.column + area.columns; column++)
            *to++ = (double)(b[at * p->n + column] - zero_of(&p->b_zero, matrix, column));
}

static void take_integer(const struct sal_integer_product *product, int64_t i,
                         struct sal_area area, const double *sums)
{
    const struct matmul *p = product->context;
    int64_t *y = product->k->out[0]->i64 + i * p->m * p->n;
    for (int64_t row = area.row; row < area.row + area.rows; row++)
        for (int64_t column = area.column; column < area.column + area.columns; column++)
            y[row * p->n + column] = sal_int_wrap(SAL_ONNX_INT32, (int64_t)*sums++);
}

static void take_qlinear(const struct sal_integer_product *product, int64_t i,
                         struct sal_area area, const double *sums)
{
    const struct matmul *p = product->context;
    const struct sal_kernel *k = product->k;
    int64_t *y = k->out[0]->i64 + i * p->m * p->n;
    const int64_t least = sal_int_lowest(k->out[0]->type);
    const int64_t most = sal_int_highest(k->out[0]->type);
    const int64_t over_a = matrix_of(p, p->a_step, i), over_b = matrix_of(p, p->b_step, i);
    const sal_real y_scale = k->in[qlinear_roles.y_scale]->real[0];
    const sal_real zero = (sal_real)k->in[qlinear_roles.y_zero]->i64[0];
    for (int64_t row = area.row; row < area.row + area.rows; row++) {
        sal_real a_scale = p->a_scale.tensor->real[place(&p->a_scale, over_a, row)];
        for (int64_t column = area.column; column < area.column + area.columns; column++) {
            sal_real b_scale = p->b_scale.tensor->real[place(&p->b_scale, over_b, column)];
            sal_real value = (sal_real)*sums++ * (a_scale * b_scale / y_scale);
            y[row * p->n + column] = sal_int_clamp(sal_rint(value) + zero, least, most);
        }
    }
}

static void run(const struct sal_kernel *k, const struct roles *roles,
                void (*take)(const struct sal_integer_product *product, int64_t i,
                             struct sal_area area, const double *sums))
{
    struct matmul p = matmul_again(k, roles);
    sal_integer_product(&(struct sal_integer_product){
        .k = k,
        .context = &p,
        .count = sal_shape_count(&p.batch),
        .m = p.m,
        .n = p.n,
        .depth = p.depth,
        .a = fill_a,
        .b = fill_b,
        .take = take,
    });
}

static void forward_integer(const struct sal_kernel *k)
{
    run(k, &integer_roles, take_integer);
}

static void forward_qlinear(const struct sal_kernel *k)
{
    run(k, &qlinear_roles, take_qlinear);
}

static size_t scratch(const struct sal_kernel *k, bool backward)
{
    (void)k;
    return backward ? 0 : sal_integer_product_scratch();
}

/* Rows follow A's, columns B's. */
static void carry(const struct sal_kernel *k, int input, int output, struct sal_carry *carry)
{
    (void)output;
    const struct roles *roles = roles_of(k);
    struct matmul p = matmul_again(k, roles);
    if (input != roles->a && input != roles->b)
        return;
    const struct sal_shape x = as_matrix(&k->in[input]->shape, input == roles->a);
    for (int i = 0; i < p.batch.rank; i++) {
        int own = i - (p.batch.rank - (x.rank - 2));
        if (own >= 0 && x.dim[own] == p.batch.dim[i])
            carry->axis[i] = own;
    }
    bool rows = k->in[roles->a]->shape.rank > 1, columns = k->in[roles->b]->shape.rank > 1;
    if (input == roles->a && rows)
        carry->axis[p.batch.rank] = x.rank - 2;
    if (input == roles->b && columns)
        carry->axis[p.batch.rank + rows] = x.rank - 1;
}

static double macs(const struct sal_kernel *k)
{
    struct matmul p = matmul_again(k, roles_of(k));
    return (double)sal_shape_count(&p.batch) * (double)p.m * (double)p.n * (double)p.depth;
}

const struct sal_op sal_op_MatMulInteger = {
    .name = "MatMulInteger",
    .since = 10,
    .until = SAL_OPSET_MAX,
    .min_in = 2,
    .max_in = 4,
    .max_out = 1,
    .infer = infer_integer,
    .forward = forward_integer,
    .scratch = scratch,
    .macs = macs,
    .carry = carry,
    .opaque = integers_only,
    .mixes = true,
};

const struct sal_op sal_op_QLinearMatMul = {
    .name = "QLinearMatMul",
    .since = 10,
    .until = SAL_OPSET_MAX,
    .min_in = 8,
    .max_in = 8,
    .max_out = 1,
    .infer = infer_qlinear,
    .forward = forward_qlinear,
    .scratch = scratch,
    .macs = macs,
    .carry = carry,
    .opaque = integers_only,
    .mixes = true,
};
