#include "lone.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void lone_init(struct lone *lone, const struct sal_op *op, const void *attr)
{
    *lone = (struct lone){.node = {.op = op,
                                   .name = "lone",
                                   .opset = SAL_OPSET_MAX,
                                   .n_out = op->max_out,
                                   .attr = attr}};
}

static sal_real *reals(struct lone *lone, const struct sal_shape *shape)
{
    sal_real *made = sal_new(&lone->arena, sal_real, (size_t)sal_shape_count(shape));
    if (!made)
        abort();
    return made;
}

sal_real *lone_input(struct lone *lone, int rank, const int64_t *dims)
{
    struct sal_tensor *in = &lone->in[lone->node.n_in++];
    *in = (struct sal_tensor){.type = SAL_ONNX_FLOAT, .shape = {.rank = rank}};
    for (int i = 0; i < rank; i++)
        in->shape.dim[i] = dims[i];
    return in->real = reals(lone, &in->shape);
}

void lone_infer(struct lone *lone, bool backward)
{
    const struct sal_tensor *in[LONE_INPUTS];
    struct sal_tensor *out[2] = {&lone->out, &lone->saved};
    struct sal_error err;
    for (int i = 0; i < lone->node.n_in; i++)
        in[i] = &lone->in[i];
    const struct sal_infer infer = {.node = &lone->node,
                                    .in = in,
                                    .out = out,
                                    .arena = &lone->arena,
                                    .plan = &lone->node.plan};
    if (lone->node.op->infer(&infer, &err)) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    lone->out.real = reals(lone, &lone->out.shape);
    if (lone->node.n_out > 1 &&
        !(lone->saved.data = sal_new(&lone->arena, int64_t,
                                     (size_t)sal_shape_count(&lone->saved.shape))))
        abort();
    for (int i = 0; i < lone->node.n_in && backward; i++)
        lone->dx[i] = reals(lone, &lone->in[i].shape);
    if (backward)
        lone->dy = reals(lone, &lone->out.shape);
}

static void call(struct lone *lone, struct sal_pool *pool, bool back, unsigned wanted)
{
    const struct sal_op *op = lone->node.op;
    const struct sal_tensor *in[LONE_INPUTS], *out[2] = {&lone->out, &lone->saved};
    const sal_real *dy = lone->dy;
    sal_real *dx[LONE_INPUTS];
    for (int i = 0; i < lone->node.n_in; i++) {
        in[i] = &lone->in[i];
        dx[i] = wanted >> i & 1 ? lone->dx[i] : NULL;
    }
    struct sal_kernel k = {
        .node = &lone->node, .in = in, .out = out, .dx = dx, .dy = &dy, .pool = pool};
    k.fresh = back && op->begins ? lone->fresh & wanted : 0;
    if (op->scratch)
        k.scratch_stride = (op->scratch(&k, back) + 15) / 16 * 16;
    size_t n = k.scratch_stride * (size_t)sal_pool_threads(pool);
    if (n && !(k.scratch = aligned_alloc(64, n * sizeof(*k.scratch))))
        abort();
    for (size_t i = 0; i < n; i++)
        k.scratch[i] = (sal_real)NAN;
    (back ? op->backward : op->forward)(&k);
    free(k.scratch);
}

void lone_forward(struct lone *lone, struct sal_pool *pool)
{
    call(lone, pool, false, 0);
}

void lone_backward(struct lone *lone, struct sal_pool *pool, unsigned wanted)
{
    call(lone, pool, true, wanted);
}

void lone_release(struct lone *lone)
{
    sal_arena_release(&lone->arena);
}
