#include "inner_affine.h"

#include <assert.h>

#include "blocked.h"
#include "boxes.h"
#include "kernel.h"

enum { X, SCALE, SHIFT };

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct sal_shape *x = &infer->in[X]->shape;
    assert(x->rank == 5 && x->dim[4] == SAL_BLOCK);
    for (int i = SCALE; i <= SHIFT; i++)
        assert(sal_shape_count(&infer->in[i]->shape) == x->dim[0] * SAL_BLOCK);
    return sal_infer_like(infer, 0, infer->in[X], x, err);
}

/* Pixels of all images of one block lie together. */
static int64_t pixels_of(const struct sal_kernel *k)
{
    return sal_shape_span(&k->in[X]->shape, 1, 4);
}

/* Of one block. */
static struct sal_affine affine_of(const struct sal_kernel *k, int64_t block)
{
    const struct sal_inner_affine_attr *attr = k->node->attr;
    return (struct sal_affine){k->in[SCALE]->real + block * SAL_BLOCK,
                               k->in[SHIFT]->real + block * SAL_BLOCK, attr->low,
                               attr->high};
}

static void forward_pixels(const struct sal_kernel *k, int64_t from, int64_t to,
                           int worker)
{
    (void)worker;
    const int64_t pixels = pixels_of(k);
    while (from < to) {
        const int64_t block = from / pixels, at = from * SAL_BLOCK;
        const int64_t n = sal_least(to, (block + 1) * pixels) - from;
        const struct sal_affine affine = affine_of(k, block);
        sal_lanes()->affine(k->out[0]->real + at, k->in[X]->real + at, &affine,
                            (size_t)n);
        from += n;
    }
}

static void backward_pixels(const struct sal_kernel *k, int64_t from, int64_t to,
                            int worker)
{
    (void)worker;
    const int64_t pixels = pixels_of(k);
    while (from < to) {
        const int64_t block = from / pixels, at = from * SAL_BLOCK;
        const int64_t n = sal_least(to, (block + 1) * pixels) - from;
        const struct sal_affine affine = affine_of(k, block);
        sal_lanes()->affine_back(k->dx[X] + at, k->dy[0] + at, k->in[X]->real + at,
                                 &affine, (size_t)n);
        from += n;
    }
}

static void split(const struct sal_kernel *k,
                  void (*work)(const struct sal_kernel *k, int64_t from, int64_t to,
                               int worker))
{
    sal_split(k->pool, k->in[X]->shape.dim[0] * pixels_of(k), SAL_TILE / SAL_BLOCK,
              work, k);
}

static void forward(const struct sal_kernel *k)
{
    split(k, forward_pixels);
}

static void backward(const struct sal_kernel *k)
{
    if (k->dx[X] && k->dy[0])
        split(k, backward_pixels);
}

const struct sal_op sal_inner_affine = {
    .name = "inner affine",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .min_in = 3,
    .max_in = 3,
    .max_out = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .region = &sal_region_pixels,
    .frugal = true,
    .reads = {{.in = 1U << X}},
    .no_gradient = 1U << SCALE | 1U << SHIFT,
};
