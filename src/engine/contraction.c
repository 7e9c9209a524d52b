#include "contraction.h"

#include "product.h"

/* ---- term by term -------------------------------------------------------------- */

enum { TILES_MAX = 1 << 24 };

/* Labels of more than one element: those that are kept, then those summed over. */
struct loops {
    const struct sal_contraction *c;
    int kept, n;
    int label[SAL_LABELS];
    int64_t kept_count, summed_count;
    int64_t grain; /* targets of a tile */
};

static void lay_loops(struct loops *loops, const struct sal_contraction *c)
{
    *loops = (struct loops){.c = c, .kept_count = 1, .summed_count = 1};
    for (int l = 0; l < SAL_LABELS; l++)
        if (c->dim[l] != 1 && c->target.stride[l]) {
            loops->label[loops->n++] = l;
            loops->kept_count *= c->dim[l];
        }
    loops->kept = loops->n;
    for (int l = 0; l < SAL_LABELS; l++)
        if (c->dim[l] != 1 && !c->target.stride[l]) {
            loops->label[loops->n++] = l;
            loops->summed_count *= c->dim[l];
        }
    loops->grain = sal_grain(loops->summed_count * c->n);
    while (loops->kept_count / loops->grain >= TILES_MAX)
        loops->grain *= 2;
}

/* The sum of n products along a label, from where the sources stand. */
static sal_real sum_run(const struct sal_contraction *c, const int64_t at[SAL_SOURCES],
                        int label, int64_t n)
{
    sal_real sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sal_real product = 1;
        for (int s = 0; s < c->n; s++)
            product *= c->source[s].data[at[s] + i * c->source[s].stride[label]];
        sum += product;
    }
    return sum;
}

/* Moves the sources by so many steps along a label. */
static void move(const struct sal_contraction *c, int64_t at[SAL_SOURCES], int label,
                 int64_t steps)
{
    for (int s = 0; s < c->n; s++)
        at[s] += steps * c->source[s].stride[label];
}

static sal_real sum_all(const struct loops *loops, int64_t at[SAL_SOURCES])
{
    const struct sal_contraction *c = loops->c;
    int64_t index[SAL_LABELS] = {0};
    const int innermost = loops->n - 1;
    if (innermost < loops->kept)
        return sum_run(c, at, 0, 1);
    const int run = loops->label[innermost];
    sal_real sum = 0;
    for (int64_t i = 0; i < loops->summed_count; i += c->dim[run]) {
        sum += sum_run(c, at, run, c->dim[run]);
        for (int d = innermost - 1; d >= loops->kept; d--) {
            int label = loops->label[d];
            move(c, at, label, 1);
            if (++index[d] < c->dim[label])
                break;
            move(c, at, label, -index[d]);
            index[d] = 0;
        }
    }
    return sum;
}

static void sum_tile(void *context, int tile, int worker)
{
    (void)worker;
    const struct loops *loops = context;
    const struct sal_contraction *c = loops->c;
    int64_t from = tile * loops->grain;
    int64_t to = sal_least(from + loops->grain, loops->kept_count);
    for (int64_t i = from; i < to; i++) {
        int64_t at[SAL_SOURCES] = {0}, target = 0, rest = i;
        for (int d = loops->kept - 1; d >= 0; d--) {
            int label = loops->label[d];
            int64_t here = rest % c->dim[label];
            rest /= c->dim[label];
            target += here * c->target.stride[label];
            move(c, at, label, here);
        }
        sal_real sum = sum_all(loops, at);
        c->to[target] = sum + (c->add ? c->to[target] : 0);
    }
}

/* ---- as matrices --------------------------------------------------------------- */

/* Labels of one sort, as far as they can be crossed as one. */
struct run {
    int n; /* runs that do not merge: 0, 1 or more */
    int64_t dim, target, a, b;
};

struct matrices {
    struct run m, n, k;
    struct sal_product product;
};

static bool merges(const struct run *outer, const struct run *inner)
{
    return outer->target == inner->target * inner->dim &&
           outer->a == inner->a * inner->dim && outer->b == inner->b * inner->dim;
}

/* Labels come from the innermost outwards. */
static void join(struct run *run, const struct run *label)
{
    if (!run->n)
        *run = *label;
    else if (merges(label, run))
        run->dim *= label->dim;
    else
        run->n++;
}

/* As a batch axis; a batch of a source that does not have the label stays in place. */
static bool add_batch(struct sal_product *p, const struct run *label)
{
    int d = p->batch.rank;
    if (d == SAL_RANK_MAX)
        return false;
    p->batch.dim[d] = label->dim;
    p->a_step[d] = label->a;
    p->b_step[d] = label->b;
    p->c_step[d] = label->target;
    p->batch.rank++;
    return true;
}

/* Labels from the innermost outwards: those summed over, by their steps through source
 * 0, then the others, by their steps through the target. */
static int order_labels(const struct sal_contraction *c, int label[SAL_LABELS])
{
    int n = 0;
    for (int l = 0; l < SAL_LABELS; l++) {
        if (c->dim[l] == 1)
            continue;
        int at = n++;
        for (; at > 0; at--) {
            int before = label[at - 1];
            int64_t here = c->target.stride[l], there = c->target.stride[before];
            bool less = here == there
                            ? c->source[0].stride[l] < c->source[0].stride[before]
                            : here < there;
            if (!less)
                break;
            label[at] = before;
        }
        label[at] = l;
    }
    return n;
}

static bool sort_labels(const struct sal_contraction *c, struct matrices *matrices)
{
    int label[SAL_LABELS], n = order_labels(c, label);
    for (int i = 0; i < n; i++) {
        const int l = label[i];
        const struct run one = {.n = 1, .dim = c->dim[l], .target = c->target.stride[l],
                                .a = c->source[0].stride[l], .b = c->source[1].stride[l]};
        if (one.target && ((one.a && one.b) || l == c->image)) {
            if (!add_batch(&matrices->product, &one))
                return false;
        } else if (one.target && one.a) {
            join(&matrices->m, &one);
        } else if (one.target && one.b) {
            join(&matrices->n, &one);
        } else if (one.a && one.b) {
            join(&matrices->k, &one);
        } else {
            return false; /* summed in one source, or repeated in the target */
        }
    }
    return true;
}

/* Rows and columns as BLAS can read them; false: neither lies side by side. */
static bool lie(int64_t rows, int64_t row_step, int64_t columns, int64_t column_step,
                const sal_real *data, struct sal_matrix *matrix)
{
    bool plain = columns == 1 || column_step == 1;
    bool turned = rows == 1 || row_step == 1;
    int64_t width = plain ? columns : rows, many = plain ? rows : columns;
    int64_t stride = many == 1 ? width : plain ? row_step : column_step;
    *matrix = (struct sal_matrix){data, stride, !plain};
    return (plain || turned) && stride >= width && stride <= INT32_MAX &&
           many <= INT32_MAX;
}

static int64_t size_of(const struct run *run)
{
    return run->n ? run->dim : 1;
}

static bool lay_product(const struct sal_contraction *c, struct matrices *x)
{
    struct sal_product *p = &x->product;
    struct sal_matrix target;
    if (x->m.n > 1 || x->n.n > 1 || x->k.n > 1)
        return false;
    p->m = size_of(&x->m);
    p->n = size_of(&x->n);
    p->k = size_of(&x->k);
    p->alpha = 1;
    p->c = c->to;
    p->add = c->add;
    if (!lie(p->m, x->m.a, p->k, x->k.a, c->source[0].data, &p->a) ||
        !lie(p->k, x->k.b, p->n, x->n.b, c->source[1].data, &p->b) ||
        !lie(p->m, x->m.target, p->n, x->n.target, p->c, &target))
        return false;
    p->c_stride = target.stride;
    return !target.transposed;
}

/* Once as it is and once with the sources changed about, which turns the target. */
static bool run_as_matrices(const struct sal_contraction *c, struct sal_pool *pool)
{
    struct sal_contraction turned = *c;
    struct matrices x = {0};
    if (c->n != 2 || !sort_labels(c, &x))
        return false;
    if (!lay_product(c, &x)) {
        turned.source[0] = c->source[1];
        turned.source[1] = c->source[0];
        x = (struct matrices){0};
        if (!sort_labels(&turned, &x) || !lay_product(&turned, &x))
            return false;
    }
    sal_product_run(&x.product, pool);
    return true;
}

void sal_contraction_run(const struct sal_contraction *c, struct sal_pool *pool)
{
    struct loops loops;
    lay_loops(&loops, c);
    if (loops.kept_count == 0 || run_as_matrices(c, pool))
        return;
    sal_pool_run(pool, (int)((loops.kept_count + loops.grain - 1) / loops.grain), sum_tile,
                 &loops);
}
