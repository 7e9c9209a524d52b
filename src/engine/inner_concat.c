#include "inner_concat.h"

#include <assert.h>

#include "blocked.h"
#include "boxes.h"
#include "kernel.h"

static const sal_real zeros[SAL_BLOCK];

static int64_t channels_of(const struct sal_node *node, int i)
{
    return ((const struct sal_inner_concat_attr *)node->attr)->channels[i];
}

/* Channels of the output before input i. */
static int64_t channels_before(const struct sal_node *node, int i)
{
    int64_t before = 0;
    for (int j = 0; j < i; j++)
        before += channels_of(node, j);
    return before;
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct sal_node *node = infer->node;
    struct sal_shape shape = infer->in[0]->shape;
    for (int i = 0; i < node->n_in; i++) {
        shape.dim[0] = sal_blocks(channels_of(node, i));
        assert(sal_shape_equal(&shape, &infer->in[i]->shape));
    }
    shape.dim[0] = sal_blocks(channels_before(node, node->n_in));
    return sal_infer_like(infer, 0, infer->in[0], &shape, err);
}

/* Pixels of all images of one block lie together. */
static int64_t pixels_of(const struct sal_kernel *k)
{
    return sal_shape_span(&k->out[0]->shape, 1, 4);
}

/* How many channels go together that begin at channel c of one and at d of the other.
 */
static int run_of(int64_t c, int64_t d, int64_t most)
{
    const int64_t here = SAL_BLOCK - c % SAL_BLOCK, there = SAL_BLOCK - d % SAL_BLOCK;
    return (int)sal_least(sal_least(here, there), most);
}

/* Where channel c of pixel p lies. */
static int64_t place_of(int64_t pixels, int64_t c, int64_t p)
{
    return (c / SAL_BLOCK * pixels + p) * SAL_BLOCK + c % SAL_BLOCK;
}

/* What pixels from `pixel` on of an output's block are made of. */
static int segments_of(const struct sal_kernel *k, int64_t block, int64_t pixel,
                       struct sal_segment segments[SAL_BLOCK])
{
    const struct sal_node *node = k->node;
    const int64_t pixels = pixels_of(k), past = (block + 1) * SAL_BLOCK;
    int64_t c = block * SAL_BLOCK, before = 0;
    int n = 0;
    for (int i = 0; i < node->n_in; before += channels_of(node, i++))
        while (c < past && c - before < channels_of(node, i)) {
            const int64_t own = c - before;
            const int run = run_of(c, own, channels_of(node, i) - own);
            segments[n++] =
                (struct sal_segment){k->in[i]->real + place_of(pixels, own, pixel),
                                     SAL_BLOCK, (int)(c % SAL_BLOCK), run};
            c += run;
        }
    if (c < past)
        segments[n++] =
            (struct sal_segment){zeros, 0, (int)(c % SAL_BLOCK), (int)(past - c)};
    return n;
}

static void forward_pixels(const struct sal_kernel *k, int64_t from, int64_t to,
                           int worker)
{
    (void)worker;
    const int64_t pixels = pixels_of(k);
    while (from < to) {
        struct sal_segment segments[SAL_BLOCK];
        const int64_t block = from / pixels;
        const int64_t n = sal_least(to, (block + 1) * pixels) - from;
        const int n_segments = segments_of(k, block, from % pixels, segments);
        sal_lanes()->join(segments, n_segments, n, k->out[0]->real + from * SAL_BLOCK);
        from += n;
    }
}

static void forward(const struct sal_kernel *k)
{
    sal_split(k->pool, k->out[0]->shape.dim[0] * pixels_of(k), SAL_TILE / SAL_BLOCK,
              forward_pixels, k);
}

/* One block of an input: its lanes are found in two of the output's at most. */
static void pull_block(const struct sal_kernel *k, int input, int64_t block)
{
    const int64_t pixels = pixels_of(k), before = channels_before(k->node, input);
    const int64_t past =
        sal_least((block + 1) * SAL_BLOCK, channels_of(k->node, input));
    struct sal_segment segments[2];
    int n = 0;
    for (int64_t own = block * SAL_BLOCK; own < past; own += segments[n++].n)
        segments[n] = (struct sal_segment){k->dy[0] + place_of(pixels, before + own, 0),
                                           SAL_BLOCK, (int)(own % SAL_BLOCK),
                                           run_of(own, before + own, past - own)};
    sal_lanes()->join_back(segments, n, pixels,
                           k->dx[input] + place_of(pixels, block * SAL_BLOCK, 0));
}

/* Blocks of all inputs, one after the other. */
static void backward_blocks(const struct sal_kernel *k, int64_t from, int64_t to,
                            int worker)
{
    (void)worker;
    int64_t first = 0;
    for (int i = 0; i < k->node->n_in; i++) {
        const int64_t blocks = k->in[i]->shape.dim[0];
        for (int64_t b = from; b < to; b++)
            if (b >= first && b < first + blocks && k->dx[i])
                pull_block(k, i, b - first);
        first += blocks;
    }
}

static void backward(const struct sal_kernel *k)
{
    int64_t blocks = 0;
    for (int i = 0; i < k->node->n_in; i++)
        blocks += k->in[i]->shape.dim[0];
    if (k->dy[0])
        sal_split(k->pool, blocks, 1, backward_blocks, k);
}

const struct sal_op sal_inner_concat = {
    .name = "inner concat",
    .since = 1,
    .until = SAL_OPSET_MAX,
    .min_in = 1,
    .max_in = -1,
    .max_out = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .region = &sal_region_pixels,
    .frugal = true,
};
