#include "inner_attention.h"

#include "blas.h"
#include "kernel.h"
#include "lanes.h"

enum { Q, K, V };

/* Query rows that are worked on at a time: their scores stay in the second cache. */
enum { ROWS = 128 };

static int64_t parts_of(const struct sal_inner_attention *a)
{
    return (a->queries + ROWS - 1) / ROWS;
}

static int64_t most_rows(const struct sal_inner_attention *a)
{
    return parts_of(a) ? (a->queries + parts_of(a) - 1) / parts_of(a) : 0;
}

/* Some query rows of one head. */
struct tile {
    const struct sal_kernel *k;
    const struct sal_inner_attention *a;
    int64_t image, head, row, rows;
};

static struct tile tile_of(const struct sal_kernel *k, int64_t head, int64_t part)
{
    const struct sal_inner_attention *a = k->node->attr;
    int64_t n = parts_of(a), row = a->queries * part / n;
    return (struct tile){.k = k,
                         .a = a,
                         .image = head / a->heads,
                         .head = head % a->heads,
                         .row = row,
                         .rows = a->queries * (part + 1) / n - row};
}

static int64_t place(const struct tile *t, const struct sal_head_rows *lies, int64_t row)
{
    return lies->offset + t->image * lies->image + t->head * lies->head + row * lies->row;
}

static struct sal_matrix matrix_at(const struct tile *t, const sal_real *data,
                                   const struct sal_head_rows *lies, int64_t row,
                                   bool transposed)
{
    return (struct sal_matrix){data + place(t, lies, row), lies->row, transposed};
}

/* What each query takes of each value. */
static void take_shares(const struct tile *t, sal_real *shares)
{
    const struct sal_inner_attention *a = t->a;
    sal_gemm(t->rows, a->keys, a->size, 1,
             matrix_at(t, t->k->in[Q]->real, &a->q, t->row, false),
             matrix_at(t, t->k->in[K]->real, &a->k, 0, true), 0, shares, a->keys);
    for (int64_t i = 0; i < t->rows; i++)
        sal_lanes()->softmax(shares + i * a->keys, shares + i * a->keys, a->keys, a->scale);
}

static void attend(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    const struct sal_inner_attention *a = k->node->attr;
    sal_real *shares = k->scratch + (size_t)worker * k->scratch_stride;
    for (int64_t i = from; i < to; i++) {
        const struct tile t = tile_of(k, i / parts_of(a), i % parts_of(a));
        take_shares(&t, shares);
        sal_gemm(t.rows, a->v_size, a->keys, 1,
                 (struct sal_matrix){shares, a->keys, false},
                 matrix_at(&t, k->in[V]->real, &a->v, 0, false), 0,
                 k->out[0]->real + place(&t, &a->y, t.row), a->y.row);
    }
}

static void forward(const struct sal_kernel *k)
{
    const struct sal_inner_attention *a = k->node->attr;
    sal_split(k->pool, a->images * a->heads * parts_of(a), 1, attend, k);
}

/* ---- backward ----------------------------------------------------------------------- */

static void pull_tile(const struct tile *t, sal_real *shares, sal_real *d)
{
    const struct sal_inner_attention *a = t->a;
    const struct sal_kernel *k = t->k;
    const struct sal_matrix dy = matrix_at(t, k->dy[0], &a->y, t->row, false);
    struct sal_matrix weighed = {shares, a->keys, true};
    take_shares(t, shares);
    if (k->dx[V])
        sal_gemm(a->keys, a->v_size, t->rows, 1, weighed, dy, 1,
                 k->dx[V] + place(t, &a->v, 0), a->v.row);
    if (!k->dx[Q] && !k->dx[K])
        return;
    sal_gemm(t->rows, a->keys, a->v_size, 1, dy,
             matrix_at(t, k->in[V]->real, &a->v, 0, true), 0, d, a->keys);
    for (int64_t i = 0; i < t->rows; i++)
        sal_lanes()->softmax_pull(d + i * a->keys, shares + i * a->keys, a->keys);
    struct sal_matrix scores = {d, a->keys, false};
    if (k->dx[Q])
        sal_gemm(t->rows, a->size, a->keys, a->scale, scores,
                 matrix_at(t, k->in[K]->real, &a->k, 0, false), 1,
                 k->dx[Q] + place(t, &a->q, t->row), a->q.row);
    scores.transposed = true;
    if (k->dx[K])
        sal_gemm(a->keys, a->size, t->rows, a->scale, scores,
                 matrix_at(t, k->in[Q]->real, &a->q, t->row, false), 1,
                 k->dx[K] + place(t, &a->k, 0), a->k.row);
}

/* All rows of a head add to the gradients of its keys and values: one piece. */
static void pull_heads(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    const struct sal_inner_attention *a = k->node->attr;
    sal_real *shares = k->scratch + (size_t)worker * k->scratch_stride;
    sal_real *d = shares + most_rows(a) * a->keys;
    for (int64_t head = from; head < to; head++)
        for (int64_t part = 0; part < parts_of(a); part++) {
            const struct tile t = tile_of(k, head, part);
            pull_tile(&t, shares, d);
        }
}

static void backward(const struct sal_kernel *k)
{
    const struct sal_inner_attention *a = k->node->attr;
    if (k->dy[0] && (k->dx[Q] || k->dx[K] || k->dx[V]))
        sal_split(k->pool, a->images * a->heads, 1, pull_heads, k);
}

static size_t scratch(const struct sal_kernel *k, bool back)
{
    const struct sal_inner_attention *a = k->node->attr;
    return (back ? 2 : 1) * (size_t)(most_rows(a) * a->keys);
}

static double macs(const struct sal_kernel *k)
{
    const struct sal_inner_attention *a = k->node->attr;
    return (double)(a->images * a->heads) * (double)a->queries * (double)a->keys *
           (double)(a->size + a->v_size);
}

const struct sal_op sal_inner_attention = {
    .name = "inner attention",
    .min_in = 3,
    .max_in = 3,
    .max_out = 1,
    .forward = forward,
    .backward = backward,
    .scratch = scratch,
    .macs = macs,
    .frugal = true,
    .reads = {{.in = 1 << Q | 1 << K | 1 << V},
              {.in = 1 << Q | 1 << K | 1 << V},
              {.in = 1 << Q | 1 << K}},
    .mixes = true,
};
