#include <string.h>

#include "kernel.h"
#include "real.h"

/* Operators on the last two axes as a matrix: Trilu, Det. */

static enum sal_status need_matrix(const struct sal_infer *infer, struct sal_error *err)
{
    if (infer->in[0]->shape.rank < 2)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "input has %d axes, must have 2 or more",
                             infer->in[0]->shape.rank);
    return SAL_OK;
}

/* ---- Trilu --------------------------------------------------------------------- */

struct trilu {
    int64_t upper;
};

static enum sal_status trilu_parse(struct sal_node *node,
                                   const struct sal_onnx_node *source,
                                   struct sal_arena *arena, struct sal_error *err)
{
    struct trilu *trilu = sal_new(arena, struct trilu, 1);
    if (!trilu)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = trilu;
    return sal_attr_int(source, "upper", 1, &trilu->upper, err);
}

static enum sal_status trilu_infer(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status || (status = need_matrix(infer, err)))
        return status;
    if (sal_infer_in(infer, 1)) {
        if ((status = sal_infer_kind(infer, 1, SAL_INT, err)))
            return status;
        if (sal_shape_count(&infer->in[1]->shape) != 1)
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT, "k must be one number");
    }
    return sal_infer_same(infer, err);
}

/* Columns kept of row i, which counts through all matrices. */
struct kept {
    int64_t from, to;
};

static struct kept kept_of(const struct sal_kernel *k, int64_t i)
{
    const struct trilu *trilu = k->node->attr;
    const struct sal_shape *x = &k->in[0]->shape;
    int64_t rows = x->dim[x->rank - 2], columns = x->dim[x->rank - 1];
    int64_t diagonal = sal_kernel_in(k, 1) ? k->in[1]->i64[0] : 0;
    /* Further off than any matrix is wide is as good. */
    diagonal = diagonal > SAL_COUNT_MAX    ? SAL_COUNT_MAX
               : diagonal < -SAL_COUNT_MAX ? -SAL_COUNT_MAX
                                           : diagonal;
    int64_t edge = i % rows + diagonal + (trilu->upper ? 0 : 1);
    edge = edge < 0 ? 0 : sal_least(edge, columns);
    return trilu->upper ? (struct kept){edge, columns} : (struct kept){0, edge};
}

static void trilu_rows(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const struct sal_shape *x = &k->in[0]->shape;
    const size_t columns = (size_t)x->dim[x->rank - 1];
    const size_t size = sal_kind_size(k->in[0]->kind);
    for (int64_t i = from; i < to && columns; i++) {
        struct kept kept = kept_of(k, i);
        char *y = (char *)k->out[0]->data + (size_t)i * columns * size;
        const char *row = (char *)k->in[0]->data + (size_t)i * columns * size;
        size_t skip = (size_t)kept.from * size;
        memset(y, 0, columns * size);
        memcpy(y + skip, row + skip, (size_t)(kept.to - kept.from) * size);
    }
}

static void trilu_gradients(const struct sal_kernel *k, int64_t from, int64_t to,
                            int worker)
{
    (void)worker;
    const struct sal_shape *x = &k->in[0]->shape;
    for (int64_t i = from; i < to; i++) {
        struct kept kept = kept_of(k, i);
        int64_t at = i * x->dim[x->rank - 1] + kept.from;
        sal_add(k->dx[0] + at, k->dy[0] + at, kept.to - kept.from);
    }
}

static void trilu_split(const struct sal_kernel *k,
                        void (*work)(const struct sal_kernel *k, int64_t from, int64_t to,
                                     int worker))
{
    const struct sal_shape *x = &k->in[0]->shape;
    sal_split(k->pool, sal_shape_span(x, 0, x->rank - 1), sal_grain(x->dim[x->rank - 1]),
              work, k);
}

static void trilu_forward(const struct sal_kernel *k)
{
    trilu_split(k, trilu_rows);
}

static void trilu_backward(const struct sal_kernel *k)
{
    if (k->dx[0])
        trilu_split(k, trilu_gradients);
}

const struct sal_op sal_op_Trilu = {
    .name = "Trilu",
    .since = 14,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = 2,
    .max_out = 1,
    .parse = trilu_parse,
    .infer = trilu_infer,
    .forward = trilu_forward,
    .backward = trilu_backward,
    .frugal = true,
    .reads = {{.in = 1u << 1}},
};

/* ---- Det ----------------------------------------------------------------------- */

static enum sal_status det_infer(const struct sal_infer *infer, struct sal_error *err)
{
    enum sal_status status = sal_infer_kind(infer, 0, SAL_REAL, err);
    if (status || (status = need_matrix(infer, err)))
        return status;
    struct sal_shape shape = infer->in[0]->shape;
    int64_t rows = shape.dim[shape.rank - 2], columns = shape.dim[shape.rank - 1];
    if (rows != columns)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "matrices are %lld x %lld, must be square", (long long)rows,
                             (long long)columns);
    shape.rank -= 2;
    return sal_infer_like(infer, 0, infer->in[0], &shape, err);
}

static int64_t order_of(const struct sal_kernel *k)
{
    return k->in[0]->shape.dim[k->in[0]->shape.rank - 1];
}

static void swap_rows(sal_real *a, sal_real *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        sal_real swap = a[i];
        a[i] = b[i];
        b[i] = swap;
    }
}

/* Of the n x n matrix at a, by elimination with the largest pivot of a column; a is
 * used up. */
static sal_real determinant(sal_real *a, int64_t n)
{
    sal_real det = 1;
    for (int64_t c = 0; c < n; c++) {
        int64_t pivot = c;
        for (int64_t r = c + 1; r < n; r++)
            if (sal_abs(a[r * n + c]) > sal_abs(a[pivot * n + c]))
                pivot = r;
        if (pivot != c) {
            swap_rows(a + pivot * n, a + c * n, n);
            det = -det;
        }
        if (!(a[c * n + c] != 0))
            return 0;
        det *= a[c * n + c];
        for (int64_t r = c + 1; r < n; r++) {
            sal_real factor = a[r * n + c] / a[c * n + c];
            for (int64_t i = c; i < n; i++)
                a[r * n + i] -= factor * a[c * n + i];
        }
    }
    return det;
}

static void det_matrices(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    const int64_t n = order_of(k);
    sal_real *room = k->scratch + (size_t)worker * k->scratch_stride;
    for (int64_t i = from; i < to; i++) {
        if (n)
            memcpy(room, k->in[0]->real + i * n * n, sizeof(*room) * (size_t)(n * n));
        k->out[0]->real[i] = determinant(room, n);
    }
}

/* a without row r and column c. */
static void take_minor(const sal_real *a, int64_t n, int64_t r, int64_t c, sal_real *minor)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            if (i != r && j != c)
                *minor++ = a[i * n + j];
}

/* The slope at an element is its cofactor: right for singular matrices too, where the
 * inverse is not there, and matrices in a network are small. */
static void det_gradients(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    const int64_t n = order_of(k);
    sal_real *minor = k->scratch + (size_t)worker * k->scratch_stride;
    for (int64_t e = from; e < to; e++) {
        int64_t i = e / (n * n), r = e / n % n, c = e % n;
        take_minor(k->in[0]->real + i * n * n, n, r, c, minor);
        sal_real slope = determinant(minor, n - 1);
        k->dx[0][e] += ((r + c) % 2 ? -slope : slope) * k->dy[0][i];
    }
}

static void det_forward(const struct sal_kernel *k)
{
    int64_t n = order_of(k);
    sal_split(k->pool, sal_shape_count(&k->out[0]->shape), sal_grain(n * n), det_matrices,
              k);
}

static void det_backward(const struct sal_kernel *k)
{
    int64_t n = order_of(k);
    if (k->dx[0])
        sal_split(k->pool, sal_shape_count(&k->in[0]->shape), sal_grain(n * n),
                  det_gradients, k);
}

static size_t det_scratch(const struct sal_kernel *k, bool backward)
{
    (void)backward;
    size_t n = (size_t)order_of(k);
    return n * n;
}

static void det_carry(const struct sal_kernel *k, int input, int output,
                      struct sal_carry *carry)
{
    (void)input;
    for (int i = 0; i < k->out[output]->shape.rank; i++)
        carry->axis[i] = i;
}

const struct sal_op sal_op_Det = {
    .name = "Det",
    .since = 11,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = 1,
    .max_out = 1,
    .infer = det_infer,
    .forward = det_forward,
    .backward = det_backward,
    .frugal = true,
    .reads = {{.in = 1u << 0}},
    .carry = det_carry,
    .scratch = det_scratch,
};
