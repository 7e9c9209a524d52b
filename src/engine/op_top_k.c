#include <inttypes.h>

#include "rows.h"

enum { VALUES, INDICES };

/* Whether sorted is asked for does not matter: results are sorted always. */
struct top_k {
    int64_t axis, largest, k; /* k before opset 10, then input 1 */
};

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    struct top_k *top = sal_new(arena, struct top_k, 1);
    if (!top)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = top;
    enum sal_status status = sal_attr_int(source, "axis", -1, &top->axis, err);
    if (!status)
        status = sal_attr_int(source, "largest", 1, &top->largest, err);
    if (!status && node->opset < 10)
        status = sal_attr_int(source, "k", -1, &top->k, err);
    return status;
}

static enum sal_status read_k(const struct sal_infer *infer, int64_t *k,
                              struct sal_error *err)
{
    const struct top_k *top = infer->node->attr;
    const int64_t *values;
    int64_t n;
    *k = top->k;
    if (infer->node->opset < 10)
        return SAL_OK;
    enum sal_status status = sal_infer_ints(infer, 1, "k", &values, &n, err);
    if (!status && n != 1)
        status = sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                               "k has %" PRId64 " values, must have 1", n);
    if (!status)
        *k = values[0];
    return status;
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct top_k *top = infer->node->attr;
    int axis = 0;
    int64_t k = 0;
    enum sal_status status = sal_infer_present(infer, 0, err);
    if (status)
        return status;
    struct sal_shape shape = infer->in[0]->shape;
    if ((status = sal_infer_axis(infer, top->axis, shape.rank, 0, &axis, err)) ||
        (status = read_k(infer, &k, err)))
        return status;
    if (k < 0 || k > shape.dim[axis])
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "k is %" PRId64 ", must be 0 to %" PRId64, k,
                             shape.dim[axis]);
    shape.dim[axis] = k;
    status = sal_infer_like(infer, VALUES, infer->in[0], &shape, err);
    return status ? status
                  : sal_infer_set(infer, INDICES, SAL_INT, SAL_ONNX_INT64, &shape, err);
}

/* ---- choosing ---------------------------------------------------------------------- */

struct row {
    const struct sal_tensor *x;
    int64_t at, stride;
    bool largest;
};

/* Element a comes before element b. NaN is the greatest; of equals the first is first. */
static bool before(const struct row *row, int64_t a, int64_t b)
{
    int64_t at_a = row->at + a * row->stride, at_b = row->at + b * row->stride;
    bool greater, equal;
    if (row->x->kind == SAL_REAL) {
        const sal_real x = row->x->real[at_a], y = row->x->real[at_b];
        equal = x == y || (x != x && y != y);
        greater = x > y || x != x;
    } else {
        equal = row->x->i64[at_a] == row->x->i64[at_b];
        greater = row->x->i64[at_a] > row->x->i64[at_b];
    }
    return equal ? a < b : greater == row->largest;
}

/* A heap's top comes after all others. */
static void sift(const struct row *row, int64_t *heap, int64_t n, int64_t at)
{
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && before(row, heap[child], heap[child + 1]))
            child++;
        if (!before(row, heap[at], heap[child]))
            return;
        int64_t swap = heap[at];
        heap[at] = heap[child];
        heap[child] = swap;
    }
}

/* The first k of n, in order. */
static void choose(const struct row *row, int64_t n, int64_t *heap, int64_t k)
{
    for (int64_t i = 0; i < k; i++)
        heap[i] = i;
    for (int64_t i = k / 2 - 1; i >= 0; i--)
        sift(row, heap, k, i);
    for (int64_t i = k; k && i < n; i++)
        if (before(row, i, heap[0])) {
            heap[0] = i;
            sift(row, heap, k, 0);
        }
    for (int64_t end = k - 1; end > 0; end--) {
        int64_t swap = heap[0];
        heap[0] = heap[end];
        heap[end] = swap;
        sift(row, heap, end, 0);
    }
}

/* ---- kernels ----------------------------------------------------------------------- */

static int axis_of(const struct sal_kernel *k)
{
    const struct top_k *top = k->node->attr;
    return (int)(top->axis < 0 ? top->axis + k->in[0]->shape.rank : top->axis);
}

static int64_t chosen_of(const struct sal_kernel *k)
{
    const struct sal_tensor *any = sal_kernel_out(k, VALUES);
    return (any ? any : k->out[INDICES])->shape.dim[axis_of(k)];
}

/* One row: the elements that were chosen of it, and where the results begin. */
struct chosen {
    const int64_t *index;
    int64_t n, from, to, stride;
};

static struct chosen choose_row(const struct sal_kernel *k, int64_t row, int worker)
{
    const struct top_k *top = k->node->attr;
    const struct sal_rows in = sal_rows_along(&k->in[0]->shape, axis_of(k));
    struct sal_rows out = in;
    out.n = chosen_of(k);
    int64_t *heap =
        (int64_t *)(void *)(k->scratch + (size_t)worker * k->scratch_stride);
    const struct row values = {
        .x = k->in[0],
        .at = sal_row_at(&in, row),
        .stride = in.stride,
        .largest = top->largest,
    };
    choose(&values, in.n, heap, out.n);
    return (struct chosen){heap, out.n, values.at, sal_row_at(&out, row), in.stride};
}

static void forward_rows(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    const struct sal_tensor *values = sal_kernel_out(k, VALUES);
    const struct sal_tensor *indices = sal_kernel_out(k, INDICES);
    for (int64_t row = from; row < to; row++) {
        const struct chosen c = choose_row(k, row, worker);
        for (int64_t i = 0; i < c.n; i++) {
            int64_t x = c.from + c.index[i] * c.stride, y = c.to + i * c.stride;
            if (indices)
                indices->i64[y] = c.index[i];
            if (values && values->kind == SAL_REAL)
                values->real[y] = k->in[0]->real[x];
            else if (values)
                values->i64[y] = k->in[0]->i64[x];
        }
    }
}

static void backward_rows(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    sal_real *dx = k->dx[0];
    for (int64_t row = from; row < to; row++) {
        const struct chosen c = choose_row(k, row, worker);
        for (int64_t i = 0; i < c.n; i++)
            dx[c.from + c.index[i] * c.stride] += k->dy[VALUES][c.to + i * c.stride];
    }
}

static void split(const struct sal_kernel *k,
                  void (*work)(const struct sal_kernel *k, int64_t from, int64_t to,
                               int worker))
{
    const struct sal_rows rows = sal_rows_along(&k->in[0]->shape, axis_of(k));
    sal_split(k->pool, rows.count, sal_grain(rows.n * 8), work, k);
}

static void forward(const struct sal_kernel *k)
{
    split(k, forward_rows);
}

static void backward(const struct sal_kernel *k)
{
    if (k->dx[0] && k->dy[VALUES])
        split(k, backward_rows);
}

/* Room for k indices. */
static size_t scratch(const struct sal_kernel *k, bool for_backward)
{
    (void)for_backward;
    return (size_t)chosen_of(k) * (sizeof(int64_t) / sizeof(sal_real));
}

const struct sal_op sal_op_TopK = {
    .name = "TopK",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = 2,
    .max_out = 2,
    .parse = parse,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .frugal = true,
    .reads = {{.in = 1u << 0}},
    .scratch = scratch,
};
