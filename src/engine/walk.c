#include "walk.h"

#include <assert.h>

/* Axis `to` and the axis inside it are crossed by every operand as if one. */
static bool merges(const struct sal_walk *walk, int to, int64_t dim, const int64_t *stride)
{
    for (int t = 0; t < walk->n; t++)
        if (walk->stride[t][to] != dim * stride[t])
            return false;
    return true;
}

void sal_walk_lay(struct sal_walk *walk, const struct sal_shape *over,
                  int64_t stride[][SAL_RANK_MAX], int n)
{
    *walk = (struct sal_walk){.n = n};
    for (int i = 0; i < over->rank; i++) {
        if (over->dim[i] == 1)
            continue;
        int64_t step[SAL_WALK_OPERANDS] = {0};
        for (int t = 0; t < n; t++)
            step[t] = stride[t][i];
        bool merge = walk->rank && merges(walk, walk->rank - 1, over->dim[i], step);
        int to = merge ? walk->rank - 1 : walk->rank++;
        walk->dim[to] = (merge ? walk->dim[to] : 1) * over->dim[i];
        for (int t = 0; t < n; t++)
            walk->stride[t][to] = step[t];
    }
    if (!walk->rank) {
        walk->rank = 1;
        walk->dim[0] = 1;
        for (int t = 0; t < n; t++)
            walk->stride[t][0] = 1;
    }
}

void sal_walk_init(struct sal_walk *walk, const struct sal_shape *over,
                   const struct sal_shape *const *shapes, int n)
{
    int64_t stride[SAL_WALK_OPERANDS][SAL_RANK_MAX] = {0};
    for (int t = 0; t < n; t++)
        sal_broadcast_strides(shapes[t], over, stride[t]);
    sal_walk_lay(walk, over, stride, n);
}

void sal_walk_inputs(struct sal_walk *walk, const struct sal_kernel *k)
{
    const struct sal_shape *shapes[SAL_WALK_OPERANDS], *out = &k->out[0]->shape;
    int n = k->node->n_in;
    assert(n < SAL_WALK_OPERANDS);
    for (int i = 0; i < n; i++)
        shapes[i] = &k->in[i]->shape;
    shapes[n] = out;
    sal_walk_init(walk, out, shapes, n + 1);
}

/* Some of a walk's axes, outermost first. */
struct axes {
    int n;
    int axis[SAL_RANK_MAX];
    int64_t count; /* product of their dims */
};

static struct axes axes_where(const struct sal_walk *walk, int target, bool repeats)
{
    struct axes axes = {.count = 1};
    for (int i = 0; i < walk->rank; i++)
        if ((walk->stride[target][i] == 0) == repeats) {
            axes.axis[axes.n++] = i;
            axes.count *= walk->dim[i];
        }
    return axes;
}

static void add_offsets(const struct sal_walk *walk, const struct axes *axes,
                        int64_t index, int64_t at[SAL_WALK_OPERANDS])
{
    for (int i = axes->n - 1; i >= 0; i--) {
        int axis = axes->axis[i];
        int64_t here = index % walk->dim[axis];
        index /= walk->dim[axis];
        for (int t = 0; t < walk->n; t++)
            at[t] += here * walk->stride[t][axis];
    }
}

struct job {
    const struct sal_walk *walk;
    const struct sal_kernel *k;
    void (*const *passes)(const struct sal_stretch *stretch);
    int n_passes;
    struct axes outer; /* all but the innermost axis of what one stretch runs along */
    struct axes kept;  /* of a reduction */
    int inner;         /* the axis that stretches run along; -1: none */
    int64_t n, grain;
};

static struct sal_stretch stretch_of(const struct job *job, struct sal_memory *memory)
{
    const struct sal_walk *walk = job->walk;
    struct sal_stretch stretch = {.k = job->k, .tag = walk->tag, .base = walk->base,
                                  .first = true, .last = true, .memory = memory,
                                  .count = job->inner < 0 ? 1 : walk->dim[job->inner]};
    for (int t = 0; t < walk->n && job->inner >= 0; t++)
        stretch.step[t] = walk->stride[t][job->inner];
    return stretch;
}

static void each_tile(void *context, int tile, int worker)
{
    (void)worker;
    const struct job *job = context;
    struct sal_memory memory = {0};
    struct sal_stretch stretch = stretch_of(job, &memory);
    int64_t inner = stretch.count;
    int64_t from = tile * job->grain, to = from + job->grain;
    if (to > job->n)
        to = job->n;
    while (from < to) {
        int64_t skip = from % inner;
        stretch.count = inner - skip < to - from ? inner - skip : to - from;
        for (int t = 0; t < job->walk->n; t++)
            stretch.at[t] = skip * stretch.step[t];
        add_offsets(job->walk, &job->outer, from / inner, stretch.at);
        job->passes[0](&stretch);
        from += stretch.count;
    }
}

static void reduce_target(const struct job *job, int64_t element)
{
    struct sal_memory memory = {0};
    struct sal_stretch stretch = stretch_of(job, &memory);
    int64_t base[SAL_WALK_OPERANDS] = {0}, n = job->outer.count;
    add_offsets(job->walk, &job->kept, element, base);
    for (int64_t i = 0; i < job->n_passes * n; i++) {
        for (int t = 0; t < SAL_WALK_OPERANDS; t++)
            stretch.at[t] = base[t];
        add_offsets(job->walk, &job->outer, i % n, stretch.at);
        stretch.first = i % n == 0;
        stretch.last = i % n == n - 1;
        job->passes[i / n](&stretch);
    }
}

static void reduce_tile(void *context, int tile, int worker)
{
    (void)worker;
    const struct job *job = context;
    int64_t from = tile * job->grain, to = from + job->grain;
    for (int64_t i = from; i < to && i < job->n; i++)
        reduce_target(job, i);
}

static void start(struct job *job, int64_t n, int64_t grain,
                  void (*tile)(void *context, int tile, int worker))
{
    while (n / grain >= 1 << 24)
        grain *= 2;
    job->n = n;
    job->grain = grain;
    sal_pool_run(job->k->pool, (int)((n + grain - 1) / grain), tile, job);
}

void sal_walk_each(const struct sal_walk *walk, const struct sal_kernel *k,
                   void (*work)(const struct sal_stretch *stretch))
{
    struct job job = {.walk = walk, .k = k, .passes = &work, .n_passes = 1,
                      .inner = walk->rank - 1, .outer = {.count = 1}};
    for (int i = 0; i < walk->rank - 1; i++) {
        job.outer.axis[job.outer.n++] = i;
        job.outer.count *= walk->dim[i];
    }
    start(&job, job.outer.count * walk->dim[job.inner], SAL_TILE, each_tile);
}

void sal_walk_reduce(const struct sal_walk *walk, int target, const struct sal_kernel *k,
                     void (*work)(const struct sal_stretch *stretch))
{
    if (axes_where(walk, target, true).n)
        sal_walk_passes(walk, target, k, &work, 1);
    else
        sal_walk_each(walk, k, work);
}

void sal_walk_passes(const struct sal_walk *walk, int target, const struct sal_kernel *k,
                     void (*const *passes)(const struct sal_stretch *stretch),
                     int n_passes)
{
    struct job job = {.walk = walk, .k = k, .passes = passes, .n_passes = n_passes};
    job.outer = axes_where(walk, target, true);
    job.kept = axes_where(walk, target, false);
    job.inner = job.outer.n ? job.outer.axis[--job.outer.n] : -1;
    int64_t cost = job.outer.count;
    if (job.inner >= 0)
        job.outer.count = cost ? cost / walk->dim[job.inner] : 0;
    start(&job, job.kept.count, sal_grain(cost * n_passes), reduce_tile);
}
