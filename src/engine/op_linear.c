/* Gemm (ONNX opsets 1, 6, 7, 9, 11, 13) and MatMul (1, 9, 13). A product of a
 * matrix whose rows are images is computed row by row, so that an image's result
 * does not depend on the others in its batch. */
#include <string.h>

#include "lower.h"
#include "product.h"

/* ---- Gemm ------------------------------------------------------------------------- */

struct gemm {
    sal_real alpha, beta;
    bool a_transposed, b_transposed;
};

static enum sal_status gemm_parse(struct sal_node *node,
                                  const struct sal_onnx_node *source,
                                  struct sal_arena *arena, struct sal_error *err)
{
    struct gemm *gemm = sal_new(arena, struct gemm, 1);
    double alpha, beta;
    int64_t a, b;
    if (!gemm)
        return sal_fail(err, SAL_LIMIT, "no memory for a node");
    enum sal_status status = sal_attr_float(source, "alpha", 1, &alpha, err);
    if (status || (status = sal_attr_float(source, "beta", 1, &beta, err)) ||
        (status = sal_attr_int(source, "transA", 0, &a, err)) ||
        (status = sal_attr_int(source, "transB", 0, &b, err)))
        return status;
    *gemm = (struct gemm){(sal_real)alpha, (sal_real)beta, a != 0, b != 0};
    node->attr = gemm;
    if (node->n_in < 3 && node->opset < 11)
        return sal_node_fail(node, err, SAL_BAD_INPUT, "needs C before opset 11");
    return SAL_OK;
}

bool sal_gemm_is_plain(const struct sal_node *node, bool *b_transposed)
{
    const struct gemm *gemm = node->attr;
    if (strcmp(node->op->name, "Gemm") != 0 || gemm->a_transposed || gemm->alpha != 1 ||
        gemm->beta != 1)
        return false;
    *b_transposed = gemm->b_transposed;
    return true;
}

/* m, n and k of A * B as they are read. */
static void gemm_sizes(const struct gemm *gemm, const struct sal_shape *a,
                       const struct sal_shape *b, int64_t *m, int64_t *n, int64_t *k)
{
    *m = a->dim[gemm->a_transposed];
    *k = a->dim[!gemm->a_transposed];
    *n = b->dim[!gemm->b_transposed];
}

static enum sal_status gemm_infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct gemm *gemm = infer->node->attr;
    enum sal_status status = sal_infer_kind(infer, 0, SAL_REAL, err);
    if (status || (status = sal_infer_kind(infer, 1, SAL_REAL, err)))
        return status;
    const struct sal_shape *a = &infer->in[0]->shape, *b = &infer->in[1]->shape;
    if (a->rank != 2 || b->rank != 2)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "A and B must have 2 axes, have %d and %d", a->rank, b->rank);
    int64_t m, n, k;
    gemm_sizes(gemm, a, b, &m, &n, &k);
    if (b->dim[gemm->b_transposed] != k)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "B expects %lld features, A has %lld",
                             (long long)b->dim[gemm->b_transposed], (long long)k);
    struct sal_tensor *out = infer->out[0];
    out->kind = SAL_REAL;
    out->type = infer->in[0]->type;
    out->shape = (struct sal_shape){.rank = 2, .dim = {m, n}};
    if (infer->node->n_in < 3 || !infer->in[2])
        return SAL_OK;
    if ((status = sal_infer_kind(infer, 2, SAL_REAL, err)))
        return status;
    const struct sal_shape *c = &infer->in[2]->shape;
    bool fits = c->rank <= 2;
    for (int i = 0; fits && i < c->rank; i++)
        fits = c->dim[i] == 1 || c->dim[i] == out->shape.dim[2 - c->rank + i];
    char bias[128], weight[128];
    if (!fits)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "its bias is %s, its weight %s makes %lldx%lld: some exporters "
                             "mix up weights like this, export again",
                             sal_shape_text(c, bias, sizeof(bias)),
                             sal_shape_text(b, weight, sizeof(weight)), (long long)m,
                             (long long)n);
    return SAL_OK;
}

static void gemm_bias(const struct sal_kernel *kernel, sal_real *y, int64_t m, int64_t n)
{
    const struct gemm *gemm = kernel->node->attr;
    int64_t stride[SAL_RANK_MAX];
    sal_broadcast_strides(&kernel->in[2]->shape, &kernel->out[0]->shape, stride);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            y[i * n + j] =
                gemm->beta * kernel->in[2]->real[i * stride[0] + j * stride[1]];
}

static void gemm_forward(const struct sal_kernel *kernel)
{
    const struct gemm *gemm = kernel->node->attr;
    const struct sal_tensor *a = kernel->in[0], *b = kernel->in[1];
    int64_t m, n, k;
    gemm_sizes(gemm, &a->shape, &b->shape, &m, &n, &k);
    sal_real *y = kernel->out[0]->real;
    bool biased = kernel->node->n_in > 2 && kernel->in[2];
    if (biased)
        gemm_bias(kernel, y, m, n);
    struct sal_product product = {
        .m = m,
        .n = n,
        .k = k,
        .alpha = gemm->alpha,
        .a = {a->real, a->shape.dim[1], gemm->a_transposed},
        .b = {b->real, b->shape.dim[1], gemm->b_transposed},
        .c = y,
        .add = biased,
        .by_row = !gemm->a_transposed,
    };
    sal_product_run(&product, kernel->pool);
}

/* dA = alpha dY B', dB = alpha A' dY, or their transposes as A and B lie. */
static void gemm_backward(const struct sal_kernel *kernel)
{
    const struct gemm *gemm = kernel->node->attr;
    const struct sal_tensor *a = kernel->in[0], *b = kernel->in[1];
    int64_t m, n, k;
    gemm_sizes(gemm, &a->shape, &b->shape, &m, &n, &k);
    const sal_real *dy = kernel->dy[0];
    struct sal_matrix left = {a->real, a->shape.dim[1], !gemm->a_transposed};
    struct sal_matrix right = {b->real, b->shape.dim[1], !gemm->b_transposed};
    struct sal_matrix gradient = {dy, n, false}, turned = {dy, n, true};
    struct sal_product product = {.alpha = gemm->alpha, .add = true};
    if (kernel->dx[0] && !gemm->a_transposed) {
        product.m = m, product.n = k, product.k = n;
        product.a = gradient, product.b = right;
        product.c = kernel->dx[0], product.by_row = true;
        sal_product_run(&product, kernel->pool);
        product.by_row = false;
    } else if (kernel->dx[0]) {
        right.transposed = !right.transposed;
        product.m = k, product.n = m, product.k = n;
        product.a = right, product.b = turned;
        product.c = kernel->dx[0];
        sal_product_run(&product, kernel->pool);
    }
    if (kernel->dx[1] && !gemm->b_transposed) {
        product.m = k, product.n = n, product.k = m;
        product.a = left, product.b = gradient;
        product.c = kernel->dx[1];
        sal_product_run(&product, kernel->pool);
    } else if (kernel->dx[1]) {
        left.transposed = !left.transposed;
        product.m = n, product.n = k, product.k = m;
        product.a = turned, product.b = left;
        product.c = kernel->dx[1];
        sal_product_run(&product, kernel->pool);
    }
    if (kernel->node->n_in > 2 && kernel->dx[2]) {
        int64_t stride[SAL_RANK_MAX];
        sal_broadcast_strides(&kernel->in[2]->shape, &kernel->out[0]->shape, stride);
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++)
                kernel->dx[2][i * stride[0] + j * stride[1]] +=
                    gemm->beta * dy[i * n + j];
    }
}

static double gemm_macs(const struct sal_kernel *kernel)
{
    int64_t m, n, k;
    gemm_sizes(kernel->node->attr, &kernel->in[0]->shape, &kernel->in[1]->shape, &m, &n,
               &k);
    return (double)m * (double)n * (double)k;
}

static void gemm_carry(const struct sal_kernel *kernel, int input, int output,
                       struct sal_carry *carry)
{
    (void)output;
    const struct gemm *gemm = kernel->node->attr;
    if (input == 0)
        carry->axis[0] = gemm->a_transposed;
    else if (input == 1)
        carry->axis[1] = !gemm->b_transposed;
}

const struct sal_op sal_op_Gemm = {
    .name = "Gemm",
    .since = 1, /* before 7 an attribute allowed C what it may without now */
    .until = SAL_OPSET_MAX,
    .min_in = 2,
    .max_in = 3,
    .max_out = 1,
    .parse = gemm_parse,
    .infer = gemm_infer,
    .forward = gemm_forward,
    .backward = gemm_backward,
    .frugal = true,
    .reads = {{.in = 1u << 1}, {.in = 1u << 0}},
    .carry = gemm_carry,
    .macs = gemm_macs,
    .mixes = true,
};

/* ---- MatMul ------------------------------------------------------------------------- */

/* Operands as matrices: one-dimensional ones gain an axis of one. */
struct matmul {
    struct sal_shape a, b, batch, out;
    int64_t m, n, k;
    int64_t a_step[SAL_RANK_MAX], b_step[SAL_RANK_MAX], c_step[SAL_RANK_MAX];
};

static struct sal_shape as_matrix(const struct sal_shape *shape, bool row)
{
    if (shape->rank != 1)
        return *shape;
    int64_t n = shape->dim[0];
    return row ? (struct sal_shape){.rank = 2, .dim = {1, n}}
               : (struct sal_shape){.rank = 2, .dim = {n, 1}};
}

static struct sal_shape without_matrix(const struct sal_shape *shape)
{
    struct sal_shape batch = *shape;
    batch.rank -= 2;
    return batch;
}

/* A stride per batch axis, in matrices, becomes one in elements. */
static void steps(const struct sal_shape *operand, const struct sal_shape *batch,
                  int64_t size, int64_t *step)
{
    struct sal_shape own = without_matrix(operand);
    sal_broadcast_strides(&own, batch, step);
    for (int d = 0; d < batch->rank; d++)
        step[d] *= size;
}

static enum sal_status matmul_of(const struct sal_infer *infer, struct matmul *p,
                                 struct sal_error *err)
{
    const struct sal_shape *a = &infer->in[0]->shape, *b = &infer->in[1]->shape;
    if (a->rank < 1 || b->rank < 1)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT, "operands must have axes");
    *p = (struct matmul){.a = as_matrix(a, true), .b = as_matrix(b, false)};
    p->m = p->a.dim[p->a.rank - 2];
    p->k = p->a.dim[p->a.rank - 1];
    p->n = p->b.dim[p->b.rank - 1];
    if (p->b.dim[p->b.rank - 2] != p->k)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "B expects %lld features, A has %lld",
                             (long long)p->b.dim[p->b.rank - 2], (long long)p->k);
    struct sal_shape over_a = without_matrix(&p->a), over_b = without_matrix(&p->b);
    enum sal_status status =
        sal_infer_broadcast(infer, &over_a, &over_b, &p->batch, err);
    if (status)
        return status;
    p->out = p->batch;
    if (a->rank > 1)
        p->out.dim[p->out.rank++] = p->m;
    if (b->rank > 1)
        p->out.dim[p->out.rank++] = p->n;
    steps(&p->a, &p->batch, p->m * p->k, p->a_step);
    steps(&p->b, &p->batch, p->k * p->n, p->b_step);
    sal_broadcast_strides(&p->batch, &p->batch, p->c_step);
    for (int d = 0; d < p->batch.rank; d++)
        p->c_step[d] *= p->m * p->n;
    return SAL_OK;
}

static enum sal_status matmul_infer(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = sal_infer_kind(infer, 0, SAL_REAL, err);
    struct matmul p;
    if (status || (status = sal_infer_kind(infer, 1, SAL_REAL, err)) ||
        (status = matmul_of(infer, &p, err)))
        return status;
    infer->out[0]->kind = SAL_REAL;
    infer->out[0]->type = infer->in[0]->type;
    infer->out[0]->shape = p.out;
    return SAL_OK;
}

/* infer has accepted the shapes, so this cannot fail. */
static struct matmul matmul_again(const struct sal_kernel *kernel)
{
    struct matmul p;
    matmul_of(&(struct sal_infer){.node = kernel->node, .in = kernel->in}, &p, NULL);
    return p;
}

/* Two plain matrices: the rows of A are images. Otherwise the batch axes are. */
static bool rows_are_images(const struct matmul *p)
{
    return p->a.rank == 2 && p->b.rank == 2;
}

static void matmul_forward(const struct sal_kernel *kernel)
{
    struct matmul p = matmul_again(kernel);
    struct sal_product product = {
        .batch = p.batch,
        .m = p.m,
        .n = p.n,
        .k = p.k,
        .alpha = 1,
        .a = {kernel->in[0]->real, p.k, false},
        .b = {kernel->in[1]->real, p.n, false},
        .c = kernel->out[0]->real,
    };
    memcpy(product.a_step, p.a_step, sizeof(p.a_step));
    memcpy(product.b_step, p.b_step, sizeof(p.b_step));
    memcpy(product.c_step, p.c_step, sizeof(p.c_step));
    product.by_row = rows_are_images(&p);
    sal_product_run(&product, kernel->pool);
}

/* dA[i] += dY[i] B[i]', dB[i] += A[i]' dY[i]; one after the other, because a
 * broadcast operand collects from several. */
static void matmul_backward(const struct sal_kernel *kernel)
{
    struct matmul p = matmul_again(kernel);
    int64_t count = sal_shape_count(&p.batch);
    for (int64_t i = 0; i < count; i++) {
        int64_t a_at = sal_product_offset(&p.batch, p.a_step, i);
        int64_t b_at = sal_product_offset(&p.batch, p.b_step, i);
        const sal_real *dy = kernel->dy[0] + i * p.m * p.n;
        if (kernel->dx[0])
            sal_product_run(&(struct sal_product){
                            .m = p.m, .n = p.k, .k = p.n, .alpha = 1, .add = true,
                            .by_row = rows_are_images(&p),
                            .a = {dy, p.n, false},
                            .b = {kernel->in[1]->real + b_at, p.n, true},
                            .c = kernel->dx[0] + a_at},
                        kernel->pool);
        if (kernel->dx[1])
            sal_product_run(&(struct sal_product){
                            .m = p.k, .n = p.n, .k = p.m, .alpha = 1, .add = true,
                            .a = {kernel->in[0]->real + a_at, p.k, true},
                            .b = {dy, p.n, false},
                            .c = kernel->dx[1] + b_at},
                        kernel->pool);
    }
}

/* Rows follow A, columns B, batch axes whichever has them. */
static void matmul_carry(const struct sal_kernel *kernel, int input, int output,
                         struct sal_carry *carry)
{
    struct matmul p = matmul_again(kernel);
    (void)output;
    const struct sal_shape *x = input ? &p.b : &p.a;
    for (int i = 0; i < p.batch.rank; i++) {
        int own = i - (p.batch.rank - (x->rank - 2));
        if (own >= 0 && x->dim[own] == p.batch.dim[i])
            carry->axis[i] = own;
    }
    bool rows = kernel->in[0]->shape.rank > 1, columns = kernel->in[1]->shape.rank > 1;
    if (input == 0 && rows)
        carry->axis[p.batch.rank] = x->rank - 2;
    if (input == 1 && columns)
        carry->axis[p.batch.rank + rows] = x->rank - 1;
}

static double matmul_macs(const struct sal_kernel *kernel)
{
    struct matmul p = matmul_again(kernel);
    return (double)sal_shape_count(&p.batch) * (double)p.m * (double)p.n * (double)p.k;
}

const struct sal_op sal_op_MatMul = {
    .name = "MatMul",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .min_in = 2,
    .max_in = 2,
    .max_out = 1,
    .infer = matmul_infer,
    .forward = matmul_forward,
    .backward = matmul_backward,
    .frugal = true,
    .reads = {{.in = 1u << 1}, {.in = 1u << 0}},
    .carry = matmul_carry,
    .macs = matmul_macs,
    .mixes = true,
};
