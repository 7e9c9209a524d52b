#include "resize_pass.h"

#include <string.h>

struct sal_resize_pass sal_resize_pass_init(const struct sal_resize_table *table,
                                            int last, const struct sal_shape *from,
                                            const struct sal_shape *to)
{
    return (struct sal_resize_pass){
        .table = table,
        .from = *from,
        .to = *to,
        .last = last,
        .inner = sal_shape_span(from, last + 1, from->rank),
    };
}

int64_t sal_resize_pass_rows(const struct sal_resize_pass *p)
{
    return sal_shape_span(&p->to, 0, p->last);
}

int64_t sal_resize_pass_line(const struct sal_resize_pass *p)
{
    return p->from.dim[p->last] * p->inner;
}

int64_t sal_resize_pass_cost(const struct sal_resize_pass *p)
{
    int64_t cost = sal_resize_pass_line(p) + p->to.dim[p->last] * p->inner;
    for (int i = 0; i < p->last && cost < SAL_TILE; i++)
        if (p->table[i].run)
            cost *= 1 + p->from.dim[i] / p->to.dim[i];
    return cost;
}

/* ---- rows -------------------------------------------------------------------- */

/* What one row of the result reads along the axes before the last. */
struct reading {
    int n;        /* axes that are resized */
    int64_t at;   /* the first element read */
    int64_t rows; /* rows read, product of the runs */
    int64_t run[SAL_RANK_MAX], stride[SAL_RANK_MAX];
    const sal_real *weight[SAL_RANK_MAX];
};

static struct reading reading_of(const struct sal_resize_pass *p, int64_t row)
{
    struct reading r = {.rows = 1};
    int64_t stride = sal_resize_pass_line(p);
    for (int i = p->last - 1; i >= 0; i--) {
        int64_t at = row % p->to.dim[i];
        row /= p->to.dim[i];
        if (p->table[i].run) {
            const struct sal_resize_run *run = &p->table[i].run[at];
            r.run[r.n] = run->n;
            r.stride[r.n] = stride;
            r.weight[r.n++] = p->table[i].weight + run->weight;
            r.rows *= run->n;
            at = run->first;
        }
        r.at += at * stride;
        stride *= p->from.dim[i];
    }
    return r;
}

/* The weighted sum of the rows that are read, in line or, where it is one row as it
 * is, where that lies. */
static const sal_real *mix_rows(const struct reading *r, const sal_real *from,
                                int64_t width, sal_real *line)
{
    bool copied = r->rows == 1;
    for (int i = 0; i < r->n; i++)
        copied &= r->weight[i][0] == 1;
    if (copied)
        return from + r->at;
    memset(line, 0, sizeof(*line) * (size_t)width);
    for (int64_t row = 0; row < r->rows; row++) {
        int64_t rest = row, at = r->at;
        sal_real weight = 1;
        for (int i = 0; i < r->n; i++) {
            at += rest % r->run[i] * r->stride[i];
            weight *= r->weight[i][rest % r->run[i]];
            rest /= r->run[i];
        }
        for (int64_t i = 0; i < width && weight != 0; i++)
            line[i] += weight * from[at + i];
    }
    return line;
}

/* Along the last axis, one element to each position. Outside is what stands where
 * nothing is read. */
static void mix_elements(const struct sal_resize_table *table, const sal_real *line,
                         sal_real outside, bool add, sal_real *to)
{
    for (int64_t o = 0; o < table->out; o++) {
        const struct sal_resize_run run = table->run[o];
        const sal_real *weight = table->weight + run.weight, *from = line + run.first;
        sal_real sum = run.n ? weight[0] * from[0] : outside;
        for (int64_t t = 1; t < run.n; t++)
            sum += weight[t] * from[t];
        to[o] = add ? to[o] + sum : sum;
    }
}

/* The same with `inner` elements to each position. */
static void mix_vectors(const struct sal_resize_table *table, int64_t inner,
                        const sal_real *line, sal_real outside, bool add, sal_real *to)
{
    for (int64_t o = 0; o < table->out; o++, to += inner) {
        const struct sal_resize_run run = table->run[o];
        const sal_real *from = line + run.first * inner;
        for (int64_t i = 0; i < inner && !add; i++)
            to[i] = run.n ? 0 : outside;
        for (int64_t t = 0; t < run.n; t++, from += inner) {
            sal_real weight = table->weight[run.weight + t];
            for (int64_t i = 0; i < inner; i++)
                to[i] += weight * from[i];
        }
    }
}

void sal_resize_pass_run(const struct sal_resize_pass *p, const sal_real *from,
                         sal_real outside, bool add, sal_real *to, int64_t row,
                         int64_t end, sal_real *line)
{
    int64_t width = p->to.dim[p->last] * p->inner;
    for (; row < end; row++) {
        struct reading r = reading_of(p, row);
        sal_real *y = to + row * width;
        for (int64_t i = 0; i < width && !r.rows && !add; i++)
            y[i] = outside;
        const sal_real *mixed =
            r.rows ? mix_rows(&r, from, sal_resize_pass_line(p), line) : NULL;
        if (mixed && p->inner == 1)
            mix_elements(&p->table[p->last], mixed, outside, add, y);
        else if (mixed)
            mix_vectors(&p->table[p->last], p->inner, mixed, outside, add, y);
    }
}
