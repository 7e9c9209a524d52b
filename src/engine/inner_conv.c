#include "inner_conv.h"

#include "bf16.h"
#include "boxes.h"
#include "dense_boxes.h"
#include "kernel.h"
#include "real.h"
#include "saliscope/pool.h"
#include "stored.h"
#include "winograd_error.h"

/* ---- laying out ------------------------------------------------------------------------ */

/* The tile that is fastest on a map of that size; see docs/performance.md. Depends neither
 * on the batch nor on threads: they must not change a result. */
static int best_tile(const struct sal_conv_geometry *g)
{
    int64_t side = sal_least(g->out[0], g->out[1]);
    if (sal_least(g->c, g->k) < SAL_BLOCK || side < 7)
        return 0;
    return side < 14 ? 2 : 4;
}

static bool winograd_takes(const struct sal_conv_geometry *g)
{
    for (int i = 0; i < 2; i++)
        if (g->kernel[i] != 3 || g->stride[i] != 1 || g->dilation[i] != 1 || g->pad[i] > 2)
            return false;
    return g->group == 1;
}

static struct sal_winograd winograd_of(const struct sal_conv_geometry *g, bool back, int tile)
{
    const int64_t *in = back ? g->out : g->in, *out = back ? g->in : g->out;
    return (struct sal_winograd){
        .in = {g->n, back ? g->k : g->c, in[0], in[1]},
        .k = back ? g->c : g->k,
        .pad_top = back ? 2 - g->pad[0] : g->pad[0],
        .pad_left = back ? 2 - g->pad[1] : g->pad[1],
        .out_h = out[0],
        .out_w = out[1],
        .tile = tile,
    };
}

/* Weights may be shared by convolutions that differ in groups and windows, which decide
 * where plain ones are put, and scales by normalisations that differ in variances. */
static int user_of(const struct sal_conv_way *way, const struct sal_inner_conv_plan *plan,
                   bool back)
{
    bool placed = !way->tile && (back || plan->g->group > 1);
    return placed || plan->scale >= 0 ? plan->made : -1;
}

/* One measurement, kept as a pack of one number. */
struct measuring {
    const struct sal_inner_conv *conv;
    const struct sal_winograd *winograd;
    bool back;
    enum sal_status status;
    struct sal_error *err;
};

static void measure(const void *context, sal_real *to)
{
    struct measuring *m = (struct measuring *)(uintptr_t)context;
    double error = HUGE_VAL;
    m->status = sal_winograd_error(m->winograd, sal_stored_reals(m->conv->w), m->conv->scale,
                                   m->back, &error, m->err);
    *to = (sal_real)error;
}

/* Lays Winograd's out; way->tile stays 0 where its error is too large. */
static enum sal_status try_winograd(struct sal_conv_way *way, const struct sal_inner_conv *conv,
                                    const struct sal_inner_conv_plan *plan, bool back,
                                    struct sal_error *err)
{
    enum { ERRORS = 32 }; /* forms of packs, beside those of weights */
    int tile = best_tile(plan->g);
    way->winograd = winograd_of(plan->g, back, tile);
    struct measuring m = {conv, &way->winograd, back, SAL_OK, err};
    struct sal_pack_key key = {plan->weight, plan->scale, plan->scale < 0 ? -1 : plan->made,
                               ERRORS + tile * 2 + back, sal_lanes()};
    struct sal_pack *pack = tile ? sal_packs_find(plan->packs, key, 1) : NULL;
    if (!pack)
        return tile ? sal_fail(err, SAL_LIMIT, "no memory for packed weights") : SAL_OK;
    way->error = (double)*sal_pack_data(pack, measure, &m);
    way->tile = way->error <= SAL_WINOGRAD_ERROR_MAX ? tile : 0;
    return m.status;
}

static enum sal_status way_init(struct sal_conv_way *way, const struct sal_inner_conv *conv,
                                const struct sal_inner_conv_plan *plan, bool back,
                                struct sal_arena *arena, struct sal_error *err)
{
    enum { BF16 = 12 }; /* a form of packs, beside those of tiles */
    bool plainly = plan->exact || plan->planar || plan->through || !winograd_takes(plan->g);
    bool bf16 = plan->bf16 && !back && !plan->planar;
    if (bf16 && best_tile(plan->g) == 2) /* which saves no more than twice as many products */
        plainly = true;
    enum sal_status status = plainly ? SAL_OK : try_winograd(way, conv, plan, back, err);
    if (!status && !way->tile && bf16)
        status = sal_dense_init_bf16(&way->dense, plan->g, arena, err);
    else if (!status && !way->tile)
        status = sal_dense_init(&way->dense, plan->g, plan->planar, back, arena, err);
    if (status)
        return status;
    int form = way->dense.bf16 ? BF16 : way->tile * 2 + back;
    struct sal_pack_key key = {plan->weight, plan->scale, user_of(way, plan, back), form,
                               sal_lanes()};
    size_t reals = way->tile ? sal_winograd_packed(&way->winograd) : way->dense.packed;
    way->pack = sal_packs_find(plan->packs, key, reals);
    return way->pack ? SAL_OK : sal_fail(err, SAL_LIMIT, "no memory for packed weights");
}

enum sal_status sal_inner_conv_init(struct sal_inner_conv *conv,
                                    const struct sal_inner_conv_plan *plan,
                                    struct sal_arena *arena, struct sal_error *err)
{
    enum sal_status status = way_init(&conv->forward, conv, plan, false, arena, err);
    if (!status && plan->gradient)
        status = way_init(&conv->backward, conv, plan, true, arena, err);
    return status;
}

/* ---- running --------------------------------------------------------------------------- */

struct filling {
    const struct sal_inner_conv *conv;
    const struct sal_conv_way *way;
    struct sal_pool *pool;
};

static void fill(const void *context, sal_real *to)
{
    const struct filling *f = context;
    const struct sal_inner_conv *conv = f->conv;
    const sal_loose *w = sal_stored_reals(conv->w);
    if (f->way->tile)
        sal_winograd_pack(&f->way->winograd, w, conv->scale, f->way == &conv->backward, to,
                          f->pool);
    else if (f->way->dense.bf16)
        sal_dense_pack_bf16(&f->way->dense, w, conv->scale, to, f->pool);
    else
        sal_dense_pack(&f->way->dense, w, conv->scale, to, f->pool);
    sal_stored_let_go(conv->w);
}

static void run_way(const struct sal_kernel *k, const struct sal_conv_way *way,
                    const struct sal_source *source, const struct sal_target *target)
{
    const struct sal_inner_conv *conv = k->node->attr;
    struct filling filling = {conv, way, k->pool};
    const sal_real *packed = sal_pack_data(way->pack, fill, &filling);
    struct sal_dense_before before = {.x = k->in[0]->real};
    if (conv->before)
        before.affine = *conv->before;
    if (way->tile)
        sal_winograd_run(&way->winograd, source, packed, target, k->pool, k->scratch,
                         k->scratch_stride);
    else
        sal_dense_run(&way->dense, source, conv->before ? &before : NULL, packed, target,
                      k->pool, k->scratch, k->scratch_stride);
}

static void forward(const struct sal_kernel *k)
{
    const struct sal_inner_conv *conv = k->node->attr;
    const struct sal_tensor *add = sal_kernel_in(k, 1);
    struct sal_source source = {.x = k->in[0]->real};
    struct sal_target target = {
        .base = conv->base,
        .add = add ? add->real : NULL,
        .low = conv->low,
        .high = conv->high,
        .y = k->out[0]->real,
        .after = conv->after,
        .after_slope = conv->after_slope,
        .saved = sal_saved_of(k, conv->after),
    };
    run_way(k, &conv->forward, &source, &target);
}

/* The gradient that passes the activation. */
static struct sal_source passed(const struct sal_kernel *k)
{
    const struct sal_inner_conv *conv = k->node->attr;
    const struct sal_saved saved = sal_saved_of(k, conv->after);
    return (struct sal_source){k->dy[0], saved.bits, saved.slope};
}

/* What was added gets it as it is. */
static void back_to_added(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    const struct sal_source all = passed(k), dy = sal_source_at(&all, from);
    const int64_t n = (to - from) / SAL_BLOCK;
    if (k->fresh >> 1 & 1)
        sal_lanes()->pass(k->dx[1] + from, &dy, n);
    else
        sal_lanes()->add_passed(k->dx[1] + from, &dy, n);
}

static void back_to_input(const struct sal_kernel *k)
{
    const struct sal_inner_conv *conv = k->node->attr;
    bool fresh = k->fresh & 1, writes = conv->backward.tile || !conv->backward.dense.planar;
    struct sal_source source = passed(k);
    struct sal_target target = {.low = -SAL_INFINITY, .high = SAL_INFINITY, .y = k->dx[0]};
    if (!fresh)
        target.add = k->dx[0];
    else if (conv->before || !writes)
        sal_zero(k->dx[0], sal_shape_count(&k->in[0]->shape), k->pool);
    run_way(k, &conv->backward, &source, &target);
}

static void backward(const struct sal_kernel *k)
{
    if (k->dx[0] && k->dy[0])
        back_to_input(k);
    if (sal_kernel_dx(k, 1) && k->dy[0])
        sal_split(k->pool, sal_shape_count(&k->out[0]->shape), SAL_TILE, back_to_added, k);
}

static size_t scratch(const struct sal_kernel *k, bool back)
{
    const struct sal_inner_conv *conv = k->node->attr;
    const struct sal_conv_way *way = back ? &conv->backward : &conv->forward;
    return way->tile ? sal_winograd_scratch(&way->winograd, sal_pool_threads(k->pool))
                     : sal_dense_scratch(&way->dense, conv->before);
}

static double macs(const struct sal_kernel *k)
{
    const struct sal_conv_way *way = &((const struct sal_inner_conv *)k->node->attr)->forward;
    const struct sal_conv_geometry *g = &way->dense.g;
    const struct sal_winograd *w = &way->winograd;
    if (way->tile)
        return (double)(w->in.n * w->in.c * w->k) * (double)(w->out_h * w->out_w * 9);
    return (double)(g->n * g->k * (g->c / g->group)) * (double)(g->out[0] * g->out[1]) *
           (double)(g->kernel[0] * g->kernel[1]);
}

/* ---- boxes ----------------------------------------------------------------------------- */

static bool region_reach(const struct sal_node *node, const struct sal_tensor *const *in,
                         int input, struct sal_reach *reach)
{
    const struct sal_conv_way *way = &((const struct sal_inner_conv *)node->attr)->forward;
    const struct sal_winograd *w = &way->winograd;
    *reach = sal_reach_same();
    if (node->n_in > 1 && in[1]->data) /* what is added is gathered from a field */
        return false;
    if (input == 0 && way->tile)
        *reach = (struct sal_reach){
            {1, 1}, {-w->pad_top, -w->pad_left}, {2 - w->pad_top, 2 - w->pad_left}};
    else if (input == 0)
        for (int i = 0; i < 2; i++) {
            reach->step[i] = way->dense.step[i];
            reach->low[i] = way->dense.low[i];
            reach->high[i] = way->dense.high[i];
        }
    return true;
}

static size_t region_scratch(const struct sal_region_kernel *k)
{
    const struct sal_conv_way *way = &((const struct sal_inner_conv *)k->node->attr)->forward;
    return way->tile ? sal_winograd_boxes_scratch(&way->winograd)
                     : sal_dense_boxes_scratch(&way->dense);
}

/* What is added, laid out like the result; where it lies otherwise, it is put there. */
static const sal_real *region_added(const struct sal_region_kernel *k)
{
    const struct sal_field *added = k->node->n_in > 1 ? k->fields[1] : NULL;
    if (!added || sal_field_like(added, k->to))
        return added ? added->data : NULL;
    sal_field_gather(added, k->to, k->to->data, k->pool);
    return k->to->data;
}

static bool region_forward(const struct sal_region_kernel *k)
{
    const struct sal_inner_conv *conv = k->node->attr;
    const struct sal_conv_way *way = &conv->forward;
    struct filling filling = {conv, way, k->pool};
    const sal_real *packed = sal_pack_data(way->pack, fill, &filling);
    struct sal_target target = {.base = conv->base,
                                .add = region_added(k),
                                .low = conv->low,
                                .high = conv->high,
                                .after = conv->after};
    if (!way->tile)
        return sal_dense_boxes_run(&way->dense, k->fields[0], conv->before, packed, &target, k);
    return sal_winograd_boxes_run(&way->winograd, k->fields[0], packed, &target, k);
}

static const struct sal_region_op region = {
    .reach = region_reach, .scratch = region_scratch, .forward = region_forward};

#define ROW(reads_in, saves)                                                           \
    {                                                                                  \
        .name = "Conv",                                                                \
        .min_in = 1,                                                                   \
        .max_in = 2,                                                                   \
        .max_out = 1 + saves,                                                          \
        .forward = forward,                                                            \
        .backward = backward,                                                          \
        .begins = true,                                                                \
        .region = &region,                                                             \
        .scratch = scratch,                                                            \
        .macs = macs,                                                                  \
        .in_place = 1u << 1, /* what is added; backward adds in place, too */          \
        .frugal = true,                                                                \
        .reads = {{.in = reads_in, .out = saves << 1}, {.out = saves << 1}},           \
        .mixes = true,                                                                 \
    }

static const struct sal_op ops[2][2] = {{ROW(0, 0), ROW(0, 1)}, {ROW(1, 0), ROW(1, 1)}};

const struct sal_inner_conv *sal_inner_conv_of(const struct sal_node *node)
{
    return node->op->forward == forward ? node->attr : NULL;
}

const struct sal_op *sal_inner_conv_op(const struct sal_inner_conv *conv)
{
    return &ops[conv->before != NULL][conv->saves];
}
