#include "inner_linear.h"

#include "bf16.h"
#include "kernel.h"
#include "stored.h"

enum sal_status sal_inner_linear_init(struct sal_inner_linear *linear, bool gradient,
                                      struct sal_packs *packs, struct sal_pack_key key,
                                      struct sal_error *err)
{
    const struct sal_linear_weights *w = &linear->weights;
    for (int way = 0; way <= gradient; way++) {
        bool bf16 = linear->bf16 && !way;
        size_t reals = way ? sal_linear_packed(w->k, w->c) : sal_linear_packed(w->c, w->k);
        int form = bf16 ? key.form + 2 : key.form + way;
        struct sal_pack_key own = {key.weight, key.scale, key.user, form, sal_lanes()};
        reals = bf16 ? sal_linear_packed_bf16(w->c, w->k) : reals;
        linear->packed[way] = sal_packs_find(packs, own, reals);
        if (!linear->packed[way])
            return sal_fail(err, SAL_LIMIT, "no memory for packed weights");
    }
    return SAL_OK;
}

struct filling {
    const struct sal_tensor *source;
    struct sal_linear_weights weights;
    bool bf16;
    struct sal_pool *pool;
};

static void fill(const void *context, sal_real *to)
{
    const struct filling *filling = context;
    (filling->bf16 ? sal_linear_pack_bf16 : sal_linear_pack)(&filling->weights, to,
                                                             filling->pool);
    sal_stored_let_go(filling->source);
}

static const sal_real *packed(const struct sal_kernel *k, int way)
{
    const struct sal_inner_linear *linear = k->node->attr;
    const struct sal_linear_weights *w = &linear->weights;
    struct filling filling = {linear->source, way ? sal_linear_turned(w) : *w,
                              linear->bf16 && !way, k->pool};
    return sal_pack_data(linear->packed[way], fill, &filling);
}

static int64_t rows_of(const struct sal_kernel *k)
{
    const struct sal_inner_linear *linear = k->node->attr;
    return sal_shape_count(&k->in[0]->shape) / linear->weights.c;
}

static void forward(const struct sal_kernel *k)
{
    const struct sal_inner_linear *linear = k->node->attr;
    const struct sal_tensor *add = sal_kernel_in(k, 1);
    const struct sal_linear run = {
        .rows = rows_of(k),
        .c = linear->weights.c,
        .k = linear->weights.k,
        .x = k->in[0]->real,
        .packed = packed(k, 0),
        .base = linear->base,
        .add = add ? add->real : NULL,
        .y = k->out[0]->real,
        .gelu = linear->gelu,
        .bf16 = linear->bf16,
    };
    sal_linear_run(&run, k->pool, k->scratch, k->scratch_stride);
}

static void backward_to_rows(const struct sal_kernel *k)
{
    const struct sal_inner_linear *linear = k->node->attr;
    const struct sal_linear run = {
        .rows = rows_of(k),
        .c = linear->weights.k,
        .k = linear->weights.c,
        .x = k->dy[0],
        .packed = packed(k, 1),
        .add = k->fresh & 1 ? NULL : k->dx[0],
        .y = k->dx[0],
    };
    sal_linear_run(&run, k->pool, k->scratch, k->scratch_stride);
}

static void backward(const struct sal_kernel *k)
{
    if (!k->dy[0])
        return;
    if (k->dx[0])
        backward_to_rows(k);
    sal_added_backward(k);
}

static size_t scratch(const struct sal_kernel *k, bool back)
{
    const struct sal_inner_linear *linear = k->node->attr;
    return sal_linear_scratch(rows_of(k), back ? linear->weights.k : linear->weights.c);
}

static double macs(const struct sal_kernel *k)
{
    const struct sal_inner_linear *linear = k->node->attr;
    return (double)rows_of(k) * (double)linear->weights.c * (double)linear->weights.k;
}

const struct sal_op sal_inner_linear = {
    .name = "Linear",
    .min_in = 1,
    .max_in = 2,
    .max_out = 1,
    .forward = forward,
    .backward = backward,
    .scratch = scratch,
    .macs = macs,
    .in_place = 1u << 1, /* what is added; backward adds in place, too */
    .frugal = true,
    .begins = true,
    .mixes = true,
};
