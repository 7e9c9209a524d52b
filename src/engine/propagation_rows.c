/* Rules of what works along rows: Softmax and LayerNormalization. In double: a row is
 * short, and its sums are differences of what is alike. */
#include <math.h>

#include "lower.h"
#include "norm.h"
#include "propagation_parts.h"

static int64_t row_length(const struct sal_kernel *k)
{
    const struct sal_shape *shape = &k->in[0]->shape;
    return shape->rank ? shape->dim[shape->rank - 1] : 1;
}

static void split_rows(const struct sal_kernel *k,
                       void (*work)(const struct sal_kernel *k, int64_t from, int64_t to,
                                    int worker))
{
    int64_t n = row_length(k);
    if (n && k->dx[0] && k->dy[0])
        sal_split(k->pool, sal_tensor_count(k->in[0]) / n, sal_grain(n), work, k);
}

/* ---- Softmax ------------------------------------------------------------------------- */

bool sal_is_plain_softmax(const struct sal_graph *graph, const struct sal_node *node)
{
    int rank = graph->values[node->in[0]].tensor.shape.rank;
    return rank > 0 && sal_softmax_is_last(node, rank);
}

static double most_of(const sal_real *x, const sal_real *x0, int64_t n)
{
    double most = (double)x[0];
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fmax((double)x[i], (double)x0[i]));
    return most;
}

/* e = exp(x - most) in both, S their sums: y = e / S. */
static void softmax_row(const sal_real *x, const sal_real *x0, const sal_real *dy, int64_t n,
                        sal_real *dx)
{
    const double most = most_of(x, x0, n);
    double sum = 0, sum0 = 0, of_sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += exp((double)x[i] - most);
        sum0 += exp((double)x0[i] - most);
    }
    if (!(sum > 0 && sum0 > 0)) /* scores apart by more than exp can tell */
        return;
    for (int64_t i = 0; i < n; i++)
        of_sum -= (double)dy[i] * (exp((double)x[i] - most) + exp((double)x0[i] - most)) / 2;
    of_sum /= sum * sum0;
    for (int64_t i = 0; i < n; i++) {
        const double e = exp((double)x[i] - most), e0 = exp((double)x0[i] - most);
        const double difference = (double)x[i] - (double)x0[i];
        const double slope = fabs(difference) < 1e-10 ? e : (e - e0) / difference;
        dx[i] += (sal_real)(((double)dy[i] * (1 / sum + 1 / sum0) / 2 + of_sum) * slope);
    }
}

static void softmax_rows(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const int64_t n = row_length(k);
    for (int64_t row = from; row < to; row++)
        softmax_row(k->in[0]->real + row * n, k->reference->in[0]->real + row * n,
                    k->dy[0] + row * n, n, k->dx[0] + row * n);
}

void sal_deeplift_softmax(const struct sal_kernel *k)
{
    split_rows(k, softmax_rows);
}

/* ---- LayerNormalization ------------------------------------------------------------------ */

bool sal_is_plain_norm(const struct sal_graph *graph, const struct sal_node *node)
{
    const struct sal_shape *x = &graph->values[node->in[SAL_NORM_X]].tensor.shape;
    if (sal_count_computed(graph, node) != 1 || !sal_is_computed(graph, node, SAL_NORM_X) ||
        x->rank < 1)
        return false;
    const struct sal_shape *scale = &graph->values[node->in[SAL_NORM_SCALE]].tensor.shape;
    const struct sal_norm_view view = sal_norm_view_of(node, x, scale, NULL);
    return sal_norm_group(&view) == x->dim[x->rank - 1] &&
           sal_shape_count(scale) == x->dim[x->rank - 1];
}

/* y = (x - mean) / deviation * scale + bias */
struct moments {
    double mean, deviation;
};

static struct moments moments_of(const sal_real *x, int64_t n, double epsilon)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i];
    const double mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    return (struct moments){mean, sqrt(squares / (double)n + epsilon)};
}

/* A row: its values in both runs (x0 NULL: there is one), what scales it, dy, dx. */
struct norm_row {
    const sal_real *x, *x0, *scale, *dy;
    struct moments own, other;
    int64_t n;
};

/* Multiplier of centred element i, at a deviation; through that: of both, per unit of
 * their mean. */
static double of_centred(const struct norm_row *r, int64_t i, double through)
{
    const double inverse = (1 / r->own.deviation + 1 / r->other.deviation) / 2;
    const double direct = (double)r->dy[i] * (double)r->scale[i] * inverse;
    return direct + through * ((double)r->x[i] - r->own.mean + (double)r->x0[i] - r->other.mean);
}

static void norm_row(const struct norm_row *r, bool constant_deviation, sal_real *dx)
{
    double through = 0, sum = 0;
    for (int64_t i = 0; i < r->n && !constant_deviation; i++)
        through -= (double)r->dy[i] * (double)r->scale[i] *
                   ((double)r->x[i] - r->own.mean + (double)r->x0[i] - r->other.mean) / 2;
    const double deviation = r->own.deviation, other = r->other.deviation;
    through /= deviation * other * (deviation + other) * (double)r->n;
    for (int64_t i = 0; i < r->n; i++)
        sum += of_centred(r, i, through);
    for (int64_t i = 0; i < r->n; i++)
        dx[i] += (sal_real)(of_centred(r, i, through) - sum / (double)r->n);
}

static void norm_rows(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const struct sal_norm *norm = k->node->attr;
    const int64_t n = row_length(k);
    const struct sal_tensor *other = k->reference ? k->reference->in[0] : k->in[0];
    for (int64_t row = from; row < to; row++) {
        struct norm_row r = {.x = k->in[0]->real + row * n,
                             .x0 = other->real + row * n,
                             .scale = k->in[SAL_NORM_SCALE]->real,
                             .dy = k->dy[0] + row * n,
                             .n = n};
        r.own = moments_of(r.x, n, (double)norm->epsilon);
        r.other = moments_of(r.x0, n, (double)norm->epsilon);
        norm_row(&r, !k->reference, k->dx[0] + row * n);
    }
}

void sal_deeplift_norm(const struct sal_kernel *k)
{
    split_rows(k, norm_rows);
}

void sal_lrp_norm(const struct sal_kernel *k)
{
    split_rows(k, norm_rows);
}
