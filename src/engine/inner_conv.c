#include "inner_conv.h"

#include "kernel.h"
#include "real.h"

static enum sal_status reserve(struct sal_inner_conv *conv, int way, struct sal_packs *packs,
                               int weight, int scale, struct sal_error *err)
{
    const struct sal_dense *d = way ? &conv->backward : &conv->forward;
    struct sal_pack_key key = {weight, scale, way, sal_lanes()};
    conv->packed[way] = sal_packs_find(packs, key, d->packed);
    return conv->packed[way] ? SAL_OK
                             : sal_fail(err, SAL_LIMIT, "no memory for packed weights");
}

enum sal_status sal_inner_conv_init(struct sal_inner_conv *conv,
                                    const struct sal_conv_geometry *g, bool planar,
                                    bool gradient, struct sal_packs *packs, int weight,
                                    int scale, struct sal_arena *arena,
                                    struct sal_error *err)
{
    enum sal_status status = sal_dense_init(&conv->forward, g, planar, false, arena, err);
    if (status || (status = reserve(conv, 0, packs, weight, scale, err)) || !gradient)
        return status;
    status = sal_dense_init(&conv->backward, g, planar, true, arena, err);
    return status ? status : reserve(conv, 1, packs, weight, scale, err);
}

struct filling {
    const struct sal_inner_conv *conv;
    const struct sal_dense *d;
    struct sal_pool *pool;
};

static void fill(const void *context, sal_real *to)
{
    const struct filling *f = context;
    sal_dense_pack(f->d, f->conv->w, f->conv->scale, to, f->pool);
}

static const sal_real *packed(const struct sal_kernel *k, int way)
{
    const struct sal_inner_conv *conv = k->node->attr;
    struct filling filling = {conv, way ? &conv->backward : &conv->forward, k->pool};
    return sal_pack_data(conv->packed[way], fill, &filling);
}

static struct sal_dense_before before_of(const struct sal_kernel *k)
{
    const struct sal_affine *before = ((const struct sal_inner_conv *)k->node->attr)->before;
    return (struct sal_dense_before){before ? *before : (struct sal_affine){0},
                                     k->in[0]->real};
}

static void forward(const struct sal_kernel *k)
{
    const struct sal_inner_conv *conv = k->node->attr;
    const struct sal_tensor *add = sal_kernel_in(k, 1);
    struct sal_source source = {.x = k->in[0]->real};
    struct sal_dense_before before = before_of(k);
    struct sal_target target = {conv->base, add ? add->real : NULL, conv->low, conv->high,
                                k->out[0]->real, conv->after};
    sal_dense_run(&conv->forward, &source, conv->before ? &before : NULL, packed(k, 0),
                  &target, k->pool, k->scratch, k->scratch_stride);
}

static bool clamps(const struct sal_inner_conv *conv)
{
    return conv->low > -SAL_INFINITY || conv->high < SAL_INFINITY;
}

/* What was added gets the gradient that passed the clamp. */
static void back_to_added(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const struct sal_inner_conv *conv = k->node->attr;
    const sal_real *mask = clamps(conv) ? k->out[0]->real + from : NULL;
    struct sal_source dy = {k->dy[0] + from, mask, conv->low, conv->high};
    sal_lanes()->add_masked(k->dx[1] + from, &dy, (size_t)(to - from));
}

static void backward(const struct sal_kernel *k)
{
    const struct sal_inner_conv *conv = k->node->attr;
    if (!k->dy[0])
        return;
    if (sal_kernel_dx(k, 1))
        sal_split(k->pool, sal_shape_count(&k->out[0]->shape), SAL_TILE, back_to_added, k);
    if (!k->dx[0])
        return;
    struct sal_source source = {k->dy[0], clamps(conv) ? k->out[0]->real : NULL, conv->low,
                                conv->high};
    struct sal_target target = {
        .add = k->dx[0], .low = -SAL_INFINITY, .high = SAL_INFINITY, .y = k->dx[0]};
    struct sal_dense_before before = before_of(k);
    sal_dense_run(&conv->backward, &source, conv->before ? &before : NULL, packed(k, 1),
                  &target, k->pool, k->scratch, k->scratch_stride);
}

static size_t scratch(const struct sal_kernel *k, bool back)
{
    const struct sal_inner_conv *conv = k->node->attr;
    return sal_dense_scratch(back ? &conv->backward : &conv->forward, conv->before);
}

static double macs(const struct sal_kernel *k)
{
    const struct sal_conv_geometry *g = &((const struct sal_inner_conv *)k->node->attr)->forward.g;
    return (double)(g->n * g->k * (g->c / g->group)) * (double)(g->out[0] * g->out[1]) *
           (double)(g->kernel[0] * g->kernel[1]);
}

#define ROW(reads_in, reads_out)                                                       \
    {                                                                                  \
        .name = "Conv",                                                                \
        .min_in = 1,                                                                   \
        .max_in = 2,                                                                   \
        .max_out = 1,                                                                  \
        .forward = forward,                                                            \
        .backward = backward,                                                          \
        .scratch = scratch,                                                            \
        .macs = macs,                                                                  \
        .frugal = true,                                                                \
        .reads = {{.in = reads_in, .out = reads_out}, {.out = reads_out}},             \
        .mixes = true,                                                                 \
    }

static const struct sal_op ops[2][2] = {{ROW(0, 0), ROW(0, 1)}, {ROW(1, 0), ROW(1, 1)}};

const struct sal_op *sal_inner_conv_op(const struct sal_inner_conv *conv)
{
    return &ops[conv->before != NULL][clamps(conv)];
}
