#include "saliscope/region.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cut.h"
#include "lower.h"
#include "region_state.h"

/* ---- graphs ---------------------------------------------------------------------------- */

/* As a run of the model lowers it: nothing but its scores and input is kept. */
static enum sal_status lower(struct sal_region *r, const struct sal_graph *from,
                             struct sal_graph *to, struct sal_error *err)
{
    bool *kept = sal_new(&r->passing, bool, from->n_values);
    if (!kept)
        return sal_fail(err, SAL_LIMIT, "no memory for a region run");
    for (int i = 0; i < from->n_outputs; i++)
        kept[from->outputs[i]] = true;
    for (int i = 0; i < from->n_inputs; i++)
        kept[from->inputs[i]] = true;
    kept[r->from.score] = true;
    struct sal_lower_options how = {.kept = kept,
                                    .exact = r->how.exact,
                                    .bf16 = r->how.precision == SAL_BF16,
                                    .packs = r->from.packs};
    return sal_lower(to, from, &how, err);
}

/* Node for node the same, whatever the batch. */
static bool alike(const struct sal_graph *a, const struct sal_graph *b)
{
    if (a->n_nodes != b->n_nodes || a->n_values != b->n_values)
        return false;
    for (int i = 0; i < a->n_nodes; i++) {
        const struct sal_node *x = &a->nodes[i], *y = &b->nodes[i];
        size_t in = sizeof(int) * (size_t)x->n_in, out = sizeof(int) * (size_t)x->n_out;
        if (x->op != y->op || x->n_in != y->n_in || x->n_out != y->n_out ||
            memcmp(x->in, y->in, in) != 0 || memcmp(x->out, y->out, out) != 0)
            return false;
    }
    return true;
}

/* The part of a graph whose nodes are in boxes, or are not, with what it is asked for. */
static enum sal_status take_part(struct sal_region *r, const struct sal_graph *whole,
                                 bool boxed, const int *to, int n_to, struct sal_graph *part,
                                 struct sal_error *err)
{
    bool *stays = sal_new(&r->passing, bool, whole->n_nodes + 1);
    if (!stays)
        return sal_fail(err, SAL_LIMIT, "no memory for a region run");
    for (int i = 0; i < whole->n_nodes; i++)
        stays[i] = r->boxed[i] == boxed;
    return sal_graph_part(part, whole, stays, to, n_to, err);
}

/* ---- the base --------------------------------------------------------------------------- */

static double mean_square(const struct sal_field *field)
{
    int64_t n = field->planes * field->size[0] * field->size[1] * field->unit;
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)field->base[i] * (double)field->base[i];
    return n ? sum / (double)n : 0;
}

static void take_base(struct sal_region *r)
{
    for (int i = 0; i < r->n_steps; i++) {
        struct sal_region_step *step = &r->steps[i];
        step->to->base = sal_run_tensor(r->base, step->node->out[0])->real;
        bool trims = r->trim > 0 && !step->op->joins && step->to->unit > 1;
        step->least = trims ? r->trim * sqrt(mean_square(step->to)) : 0;
    }
}

static enum sal_status run_base(struct sal_region *r, struct sal_job *job,
                                struct sal_error *err)
{
    int *made = sal_new(&r->passing, int, r->n_steps);
    if (!made)
        return sal_fail(err, SAL_LIMIT, "no memory for a region run");
    for (int i = 0; i < r->n_steps; i++)
        made[i] = r->steps[i].node->out[0];
    enum sal_status status =
        take_part(r, &r->one, true, made, r->n_steps, &r->front, err);
    struct sal_run_options how = {.memory = r->limit, .plain = true, .pool = r->pool};
    if (status || !r->n_steps || (status = sal_run_open_on(&r->base, &r->front,
                                             r->from.packs, &how, err)))
        return status;
    const struct sal_tensor *input = sal_run_tensor(r->base, r->one.inputs[0]);
    memcpy(input->real, r->image, sal_tensor_bytes(input));
    status = sal_run_pass(r->base, job, err);
    if (!status)
        take_base(r);
    return status;
}

/* ---- opening ---------------------------------------------------------------------------- */

static size_t taken(const struct sal_region *r)
{
    size_t size = r->data.size + r->scratch.size;
    for (int i = 0; i < 2; i++) {
        const struct sal_run *run = i ? r->rest : r->base;
        size += run ? run->memory.size + run->scratch.size : 0;
    }
    return size;
}

static enum sal_status open_rest(struct sal_region *r, struct sal_error *err)
{
    enum sal_status status = lower(r, r->from.all, &r->all, err);
    if (status)
        return status;
    if (!alike(&r->one, &r->all))
        return sal_fail(err, SAL_UNSUPPORTED, "the model's graph changes with its batch");
    status = take_part(r, &r->all, false, &r->from.score, 1, &r->back, err);
    size_t used = taken(r);
    struct sal_run_options how = {
        .memory = r->limit > used ? r->limit - used : 1, .plain = true, .pool = r->pool};
    return status ? status
                  : sal_run_open_on(&r->rest, &r->back, r->from.packs, &how, err);
}

static enum sal_status open_all(struct sal_region *r, const struct sal_region_options *options,
                                const sal_real *x, struct sal_job *job, struct sal_error *err)
{
    const struct sal_graph *graph = r->from.one;
    int64_t n = sal_shape_count(&graph->values[graph->inputs[0]].tensor.shape);
    int room = options->n_examples > r->batch ? options->n_examples : r->batch;
    r->image = sal_new(&r->arena, sal_real, n);
    if (!r->image)
        return sal_fail(err, SAL_LIMIT, "no memory for a region run");
    memcpy(r->image, x, sizeof(*x) * (size_t)n);
    enum sal_status status = sal_run_precision(&r->how, err);
    if (status || (status = lower(r, graph, &r->one, err)) ||
        (status = sal_region_plan(r, options->examples, options->n_examples, room, err)))
        return status;
    if (options->share_max > 0 && r->share > options->share_max)
        return sal_fail(err, SAL_UNSUPPORTED, "boxes would leave %.0f %% to be computed",
                        100 * r->share);
    if ((status = run_base(r, job, err)))
        return status;
    return open_rest(r, err);
}

static struct sal_region *region_new(const struct sal_region_options *options, size_t memory)
{
    struct sal_region *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->pool = options->pool;
    r->batch = options->batch > 1 ? options->batch : 1;
    r->trim = options->trim;
    r->limit = options->memory ? options->memory : memory;
    r->how = (struct sal_run_options){.exact = options->exact,
                                      .precision = options->precision};
    return r;
}

/* Hands it on, or closes it. */
static enum sal_status hand_over(struct sal_region **out, struct sal_region *r,
                                 enum sal_status status)
{
    sal_arena_release(&r->passing);
    if (status)
        sal_region_close(r);
    else
        *out = r;
    return status;
}

enum sal_status sal_region_open_on(struct sal_region **out,
                                   const struct sal_region_source *source,
                                   const struct sal_region_options *options,
                                   const sal_real *x, struct sal_job *job,
                                   struct sal_error *err)
{
    struct sal_region *r = region_new(options, 0);
    if (!r)
        return sal_fail(err, SAL_LIMIT, "no memory for a region run");
    r->from = *source;
    return hand_over(out, r, open_all(r, options, x, job, err));
}

enum sal_status sal_region_open(struct sal_region **out, const struct sal_model *model,
                                const struct sal_region_options *options, const sal_real *x,
                                struct sal_job *job, struct sal_error *err)
{
    struct sal_region *r = region_new(options, sal_model_memory(model));
    if (!r)
        return sal_fail(err, SAL_LIMIT, "no memory for a region run");
    r->from = (struct sal_region_source){
        .one = sal_model_graph(model),
        .all = r->batch > 1 ? &r->own : sal_model_graph(model),
        .packs = sal_model_packs(model),
        .score = sal_model_output(model)->value,
        .last = sal_model_input(model)->layout == SAL_LAYOUT_NHWC};
    enum sal_status status = SAL_OK;
    if (r->batch > 1)
        status = sal_model_build_graph(model, r->batch, r->pool, &r->own, err);
    return hand_over(out, r, status ? status : open_all(r, options, x, job, err));
}

static void block_release(struct sal_block *block)
{
    free(block->data);
    *block = (struct sal_block){0};
}

void sal_region_close(struct sal_region *r)
{
    if (!r)
        return;
    sal_run_close(r->rest);
    sal_run_close(r->base);
    sal_graph_release(&r->back);
    sal_graph_release(&r->front);
    sal_graph_release(&r->all);
    sal_graph_release(&r->own);
    sal_graph_release(&r->one);
    block_release(&r->data);
    block_release(&r->scratch);
    sal_arena_release(&r->passing);
    sal_arena_release(&r->arena);
    free(r);
}

double sal_region_share(const struct sal_region *r)
{
    if (!r->images || !(r->whole > 0))
        return r->share;
    return (r->done / (double)r->images + r->rest_macs) / r->whole;
}

/* ---- what changes ------------------------------------------------------------------------ */

struct sal_box sal_region_change(const struct sal_shape *shape, bool last,
                                 const sal_real *base, const sal_real *x)
{
    const int64_t *dim = shape->dim;
    int64_t planes = last ? 1 : dim[1], unit = last ? dim[3] : 1;
    int64_t height = dim[last ? 1 : 2], width = dim[last ? 2 : 3], row = width * unit;
    struct sal_box box = {{0}, {0}};
    for (int64_t line = 0; line < planes * height; line++) {
        const sal_real *a = base + line * row, *b = x + line * row;
        int64_t y = line % height, from = 0, to = row;
        if (memcmp(a, b, sizeof(*a) * (size_t)row) == 0)
            continue;
        while (memcmp(a + from, b + from, sizeof(*a)) == 0)
            from++;
        while (memcmp(a + to - 1, b + to - 1, sizeof(*a)) == 0)
            to--;
        const struct sal_box here = {{y, from / unit}, {y + 1, (to - 1) / unit + 1}};
        box = sal_box_union(&box, &here);
    }
    return box;
}

struct sal_box sal_box_of_change(const struct sal_model *model, const sal_real *base,
                                 const sal_real *x)
{
    const struct sal_graph *graph = sal_model_graph(model);
    const struct sal_model_input *input = sal_model_input(model);
    const struct sal_shape *shape = &graph->values[graph->inputs[0]].tensor.shape;
    if (shape->rank != 4)
        return (struct sal_box){{0, 0}, {input->height, input->width}};
    return sal_region_change(shape, input->layout == SAL_LAYOUT_NHWC, base, x);
}

/* ---- a batch ---------------------------------------------------------------------------- */

/* What is in it is lost. */
static enum sal_status block_room(struct sal_region *r, struct sal_block *block, size_t size,
                                  struct sal_error *err)
{
    if (size <= block->size)
        return SAL_OK;
    block_release(block);
    size_t used = taken(r);
    if (used > r->limit || size > r->limit - used)
        return sal_fail(err, SAL_LIMIT,
                        "boxes would take %.0f MiB, the memory limit is %.0f MiB",
                        (double)size / 0x1p20, (double)r->limit / 0x1p20);
    size_t whole = (size + SAL_PLAN_ALIGN - 1) / SAL_PLAN_ALIGN * SAL_PLAN_ALIGN;
    block->data = aligned_alloc(SAL_PLAN_ALIGN, whole);
    block->size = block->data ? whole : 0;
    return block->data ? SAL_OK : sal_fail(err, SAL_LIMIT, "no memory for boxes (%.0f MiB)",
                                           (double)size / 0x1p20);
}

/* Reals of an image as it comes in. */
static int64_t image_reals(const struct sal_region *r)
{
    return sal_shape_count(&r->one.values[r->one.inputs[0]].tensor.shape);
}

/* An image with channels last, turned; lanes past its channels stay 0. */
static void turn_image(void *context, int i, int worker)
{
    (void)worker;
    const struct sal_region *r = context;
    const struct sal_field *to = r->input;
    int64_t pixels = to->size[0] * to->size[1], c = image_reals(r) / pixels;
    const sal_real *from = to->images + i * c * pixels;
    sal_real *image = r->turned + i * to->planes * pixels * to->unit;
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t k = 0; k < c; k++)
            image[(k / to->unit * pixels + p) * to->unit + k % to->unit] = from[p * c + k];
}

static void set_input(struct sal_region *r, const sal_real *x, int n)
{
    struct sal_field *input = r->input;
    if (!input)
        return;
    const struct sal_shape *shape = &r->one.values[r->one.inputs[0]].tensor.shape;
    input->images = x;
    input->n = n;
    for (int i = 0; i < n; i++) {
        input->box[i] =
            sal_region_change(shape, r->from.last, r->image, x + i * image_reals(r));
        input->first[i + 1] = input->first[i] + sal_box_pixels(&input->box[i]);
    }
    if (r->turned) {
        sal_pool_run(r->pool, n, turn_image, r);
        input->images = r->turned;
    }
}

/* Room for boxes that lose nothing. */
static enum sal_status place(struct sal_region *r, struct sal_error *err)
{
    for (int i = 0; i < r->n_steps; i++) {
        struct sal_region_step *step = &r->steps[i];
        const struct sal_field *to = step->to;
        sal_region_grow(step);
        int64_t reals = to->n_parts ? 0 : to->planes * sal_field_pixels(to) * to->unit;
        r->lives[i].size = sizeof(sal_real) * (size_t)reals;
    }
    size_t size = sal_plan_place(r->lives, 0, r->n_steps);
    if (size == (size_t)-1)
        return sal_fail(err, SAL_LIMIT, "no memory for boxes");
    enum sal_status status = block_room(r, &r->data, size, err);
    for (int i = 0; i < r->n_steps && !status; i++)
        if (!r->steps[i].to->n_parts)
            r->steps[i].to->data = (sal_real *)(void *)(r->data.data + r->lives[i].offset);
    return status;
}

enum sal_status sal_region_step(struct sal_region *r, int i, struct sal_error *err)
{
    const struct sal_region_step *step = &r->steps[i];
    if (r->trim > 0)
        sal_region_grow(step);
    if (step->op->joins)
        return SAL_OK;
    const int64_t pixels = sal_field_pixels(step->to);
    struct sal_region_kernel k = {.node = step->node,
                                  .in = step->in,
                                  .out = &r->one.values[step->node->out[0]].tensor,
                                  .fields = step->fields,
                                  .to = step->to,
                                  .pool = r->pool,
                                  .arena = &r->passing};
    size_t each = step->op->scratch ? step->op->scratch(&k) : 0;
    k.scratch_stride = (each + SAL_BLOCK - 1) / SAL_BLOCK * SAL_BLOCK;
    size_t size = sizeof(sal_real) * k.scratch_stride * (size_t)sal_pool_threads(r->pool);
    enum sal_status status = block_room(r, &r->scratch, size, err);
    k.scratch = (sal_real *)(void *)r->scratch.data;
    if (!status && !step->op->forward(&k))
        status = sal_fail(err, SAL_LIMIT, "no memory for a region run");
    if (!status && step->least > 0 &&
        !sal_field_trim(step->to, step->least, &r->passing, r->pool))
        status = sal_fail(err, SAL_LIMIT, "no memory for a region run");
    sal_arena_release(&r->passing);
    double whole = (double)(step->to->size[0] * step->to->size[1]);
    r->done += step->macs * (double)pixels / whole;
    return status;
}

/* Whole maps of what the rest reads. */
static void paste(struct sal_region *r, const sal_real *x, int n)
{
    for (int i = 0; i < r->back.n_inputs; i++) {
        int v = r->back.inputs[i];
        const struct sal_field *field = r->fields[v];
        const struct sal_tensor *to = sal_run_tensor(r->rest, v);
        if (field)
            sal_field_paste(field, to->real, r->batch, r->pool);
        else
            memcpy(to->real, x, sal_tensor_bytes(to) / (size_t)r->batch * (size_t)n);
    }
}

static enum sal_status check_scores(const struct sal_region *r, int n, struct sal_error *err)
{
    struct sal_shape shape;
    const sal_real *scores = sal_region_scores(r, &shape);
    int64_t each = sal_shape_count(&shape) / r->batch;
    for (int64_t i = 0; i < n * each; i++)
        if (!isfinite(scores[i]))
            return sal_fail(err, SAL_BAD_INPUT, "a score is not finite");
    return SAL_OK;
}

enum sal_status sal_region_begin(struct sal_region *r, const sal_real *x, int n,
                                 struct sal_error *err)
{
    set_input(r, x, n);
    return place(r, err);
}

enum sal_status sal_region_end(struct sal_region *r, const sal_real *x, int n,
                               struct sal_job *job, struct sal_error *err)
{
    paste(r, x, n);
    r->images += n;
    enum sal_status status = sal_run_pass(r->rest, job, err);
    return status ? status : check_scores(r, n, err);
}

enum sal_status sal_region_forward(struct sal_region *r, const sal_real *x, int n,
                                   struct sal_job *job, struct sal_error *err)
{
    enum sal_status status = sal_region_begin(r, x, n, err);
    for (int i = 0; i < r->n_steps && !status; i++)
        status = sal_job_cancelled(job) ? sal_fail(err, SAL_CANCELLED, "cancelled")
                                        : sal_region_step(r, i, err);
    return status ? status : sal_region_end(r, x, n, job, err);
}

const sal_real *sal_region_scores(const struct sal_region *r, struct sal_shape *shape)
{
    const struct sal_tensor *scores = sal_run_tensor(r->rest, r->from.score);
    *shape = scores->shape;
    return scores->real;
}
