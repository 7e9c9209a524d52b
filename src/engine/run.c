#include "saliscope/run.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lanes.h"
#include "lower.h"
#include "model_parts.h"
#include "run_state.h"
#include "shelf.h"

/* ---- memory ----------------------------------------------------------------- */

static bool block_resize(struct sal_block *block, size_t size)
{
    if (size <= block->size)
        return true;
    void *data = block->data
                     ? mremap(block->data, block->size, size, MREMAP_MAYMOVE)
                     : mmap(NULL, size, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED)
        return false;
    madvise(data, size, MADV_HUGEPAGE); /* page faults cost more than kernels */
    *block = (struct sal_block){.data = data, .size = size};
    return true;
}

static void block_release(struct sal_block *block)
{
    if (block->data)
        munmap(block->data, block->size);
    *block = (struct sal_block){0};
}

enum sal_status sal_run_block(struct sal_run *run, struct sal_block *block, size_t size,
                              const char *what, struct sal_error *err)
{
    size_t others = run->memory.size + run->scratch.size - block->size;
    if (size > run->limit || others > run->limit - size)
        return sal_fail(err, SAL_LIMIT,
                        "%s would take %.0f MiB, the memory limit is %.0f MiB", what,
                        (double)size / 0x1p20, (double)run->limit / 0x1p20);
    if (!block_resize(block, size))
        return sal_fail(err, SAL_LIMIT, "no memory for %s (%.0f MiB)", what,
                        (double)size / 0x1p20);
    return SAL_OK;
}

size_t sal_tensor_bytes(const struct sal_tensor *tensor)
{
    return (size_t)sal_shape_count(&tensor->shape) * sal_kind_size(tensor->kind);
}

/* ---- opening ------------------------------------------------------------------ */

void sal_run_rest(struct sal_run *run)
{
    for (int i = 0; i < run->graph->n_values; i++) {
        const struct sal_value *value = &run->graph->values[i];
        const struct sal_place *place = &run->places[i];
        if (value->live && !value->tensor.data && run->lives[place->home].size)
            run->tensors[i].data =
                run->memory.data + run->lives[place->home].offset + place->offset;
    }
}

enum sal_status sal_run_place(struct sal_run *run, struct sal_error *err)
{
    const struct sal_graph *graph = run->graph;
    size_t size = sal_run_plan(graph, run->kept, run->gradient, run->lives, run->places);
    enum sal_status status = sal_run_block(run, &run->memory, size, "the activations", err);
    for (int i = 0; !status && i < graph->n_values; i++)
        run->tensors[i] = graph->values[i].tensor;
    if (!status)
        sal_run_rest(run);
    return status;
}

static enum sal_status bind_nodes(struct sal_run *run, struct sal_error *err)
{
    const struct sal_graph *graph = run->graph;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct sal_node *node = &graph->nodes[i];
        struct sal_binding *binding = &run->bindings[i];
        if (!sal_binding_init(binding, node, &run->arena))
            return sal_fail(err, SAL_LIMIT, "no memory for the run");
        for (int j = 0; j < node->n_in; j++)
            binding->in[j] = node->in[j] < 0 ? NULL : &run->tensors[node->in[j]];
        for (int j = 0; j < node->n_out; j++)
            binding->out[j] = node->out[j] < 0 ? NULL : &run->tensors[node->out[j]];
        sal_binding_read(binding, run->pool);
    }
    return SAL_OK;
}

enum sal_status sal_run_scratch(struct sal_run *run, bool backward,
                                struct sal_error *err)
{
    size_t most = 0;
    for (int i = 0; i < run->graph->n_nodes; i++) {
        struct sal_kernel kernel = sal_binding_kernel(&run->bindings[i], run->pool);
        const struct sal_op *op = run->graph->nodes[i].op;
        size_t reals = op->scratch ? op->scratch(&kernel, backward) : 0;
        most = reals > most ? reals : most;
    }
    size_t size;
    if (__builtin_mul_overflow(most * sizeof(sal_real),
                               (size_t)sal_pool_threads(run->pool), &size))
        return sal_fail(err, SAL_LIMIT, "scratch is too large");
    return sal_run_block(run, &run->scratch, size, "scratch", err);
}

enum sal_status sal_run_mark_kept(struct sal_run *run, const struct sal_run_options *options,
                                  bool *kept, struct sal_error *err)
{
    const struct sal_graph *graph = run->graph;
    for (int i = 0; i < options->n_keep; i++) {
        if (options->keep[i] < 0 || options->keep[i] >= graph->n_values)
            return sal_fail(err, SAL_USAGE, "tensor %d does not exist", options->keep[i]);
        kept[options->keep[i]] = true;
    }
    for (int i = 0; i < graph->n_outputs; i++)
        kept[graph->outputs[i]] = true;
    for (int i = 0; i < graph->n_inputs; i++)
        kept[graph->inputs[i]] = true;
    if (run->watched >= 0)
        kept[run->watched] = true;
    return SAL_OK;
}

/* What a backward may run for; NULL: nothing. */
static enum sal_status mark_wrt(struct sal_run *run, const struct sal_run_options *options,
                                const bool *kept, const bool **out, struct sal_error *err)
{
    *out = options->gradient ? kept : NULL;
    if (!options->gradient || !options->n_wrt)
        return SAL_OK;
    bool *wrt = sal_new(&run->arena, bool, run->graph->n_values);
    if (!wrt)
        return sal_fail(err, SAL_LIMIT, "no memory for the run");
    for (int i = 0; i < options->n_wrt; i++) {
        int id = options->wrt[i];
        if (id < 0 || id >= run->graph->n_values || !kept[id])
            return sal_fail(err, SAL_USAGE, "tensor %d, which a gradient is wanted for, is "
                                            "not kept", id);
        wrt[id] = true;
    }
    *out = wrt;
    return SAL_OK;
}

/* From here on the run computes another graph, with the same ids and more. */
static enum sal_status lower_graph(struct sal_run *run,
                                   const struct sal_run_options *options,
                                   struct sal_packs *packs, struct sal_error *err)
{
    bool *kept = sal_new(&run->arena, bool, run->graph->n_values);
    if (!kept || !packs)
        return sal_fail(err, SAL_LIMIT, "no memory for the run");
    enum sal_status status = sal_run_mark_kept(run, options, kept, err);
    if (status || (status = mark_wrt(run, options, kept, &run->may, err)))
        return status;
    struct sal_lower_options how = {kept, run->may, options->exact,
                                    options->precision == SAL_BF16, packs};
    status = sal_lower(&run->lowered, run->graph, &how, err);
    run->whole = run->graph;
    run->graph = &run->lowered;
    return status;
}

/* Lays out for the backward that is most likely. */
static enum sal_status expect(struct sal_run *run, const struct sal_run_options *options,
                              struct sal_error *err)
{
    return options->n_wrt ? sal_run_expect(run, options->wrt, options->n_wrt, err)
                          : sal_run_expect(run, options->keep, options->n_keep, err);
}

static enum sal_status run_init(struct sal_run *run,
                                const struct sal_run_options *options,
                                struct sal_error *err)
{
    size_t n = (size_t)run->graph->n_values, nodes = (size_t)run->graph->n_nodes;
    run->whole = run->whole ? run->whole : run->graph;
    run->tensors = sal_new(&run->arena, struct sal_tensor, n);
    run->kept = sal_new(&run->arena, bool, n);
    run->bindings = sal_new(&run->arena, struct sal_binding, nodes);
    run->lives = sal_new(&run->arena, struct sal_interval, 2 * n);
    run->places = sal_new(&run->arena, struct sal_place, n);
    run->back.grad = sal_new(&run->arena, sal_real *, n);
    run->back.first = sal_new(&run->arena, int, n);
    run->back.wrt = sal_new(&run->arena, int, n);
    run->back.takes_part = sal_new(&run->arena, bool, nodes);
    if (!run->tensors || !run->kept || !run->bindings || !run->lives || !run->places || !run->back.grad ||
        !run->back.first || !run->back.wrt || !run->back.takes_part)
        return sal_fail(err, SAL_LIMIT, "no memory for the run");
    enum sal_status status = sal_run_mark_kept(run, options, run->kept, err);
    if (status || (status = sal_run_place(run, err)) || (status = bind_nodes(run, err)))
        return status;
    if (run->gradient && (status = expect(run, options, err)))
        return status;
    return sal_run_scratch(run, false, err);
}

static struct sal_run *run_new(const struct sal_run_options *options, size_t memory,
                               int watched)
{
    struct sal_run *run = calloc(1, sizeof(*run));
    if (!run)
        return NULL;
    run->pool = options->pool;
    run->gradient = options->gradient;
    run->limit = memory;
    run->watched = watched;
    run->back.score = -1;
    return run;
}

/* n > 0 elements; NULL: no memory. */
static const void *copy(struct sal_arena *arena, const void *from, size_t n, size_t size)
{
    void *to = sal_arena_alloc(arena, n, size);
    return to ? memcpy(to, from, n * size) : NULL;
}

/* A copy of the options, by which the run may be found again. */
static bool remember(struct sal_run *run, const struct sal_run_options *options)
{
    struct sal_run_options *own = &run->asked;
    *own = *options;
    run->lanes = sal_lanes();
    if (own->n_keep)
        own->keep = copy(&run->arena, own->keep, (size_t)own->n_keep, sizeof(*own->keep));
    if (own->n_wrt)
        own->wrt = copy(&run->arena, own->wrt, (size_t)own->n_wrt, sizeof(*own->wrt));
    if (own->lrp)
        own->lrp = copy(&run->arena, own->lrp, 1, sizeof(*own->lrp));
    return (!own->n_keep || own->keep) && (!own->n_wrt || own->wrt) &&
           (!options->lrp || own->lrp);
}

static enum sal_status open_new(struct sal_run **out, const struct sal_model *model,
                                const struct sal_run_options *options,
                                struct sal_error *err)
{
    struct sal_run *run = run_new(options, options->memory, sal_model_output(model)->value);
    if (!run)
        return sal_fail(err, SAL_LIMIT, "no memory for the run");
    enum sal_status status = sal_run_precision(options, err);
    run->graph = sal_model_graph(model);
    if (!status && !remember(run, options))
        status = sal_fail(err, SAL_LIMIT, "no memory for the run");
    if (!status && options->batch > 1) {
        status = sal_model_build_graph(model, options->batch, run->pool, &run->own, err);
        run->graph = &run->own;
    }
    if (!status && options->from && options->from != sal_model_input(model)->value)
        status = sal_run_cut(run, model, options, err);
    if (!status && options->propagation)
        status = sal_run_propagate(run, options, err);
    if (!status && !options->plain)
        status = lower_graph(run, options, sal_model_packs(model), err);
    if (status || (status = run_init(run, options, err)))
        sal_run_free(run);
    else
        *out = run;
    return status;
}

/* As if it had just been opened: nothing of what it computed can be read. Another pool may
 * have more threads. */
static enum sal_status open_again(struct sal_run *run, struct sal_pool *pool,
                                  struct sal_error *err)
{
    run->pool = pool;
    run->forward_done = run->spent = run->checks_gradients = false;
    run->back.done = false;
    run->part.complete = run->graph->n_inputs == 1;
    run->reference = NULL;
    run->forwards = run->backwards = 0;
    enum sal_status status = sal_run_scratch(run, false, err);
    if (!status && run->back.score >= 0)
        status = sal_run_scratch(run, true, err);
    if (status)
        sal_run_free(run);
    return status;
}

enum sal_status sal_run_open(struct sal_run **out, const struct sal_model *model,
                             const struct sal_run_options *options,
                             struct sal_error *err)
{
    struct sal_run_options resolved = *options;
    if (!resolved.memory)
        resolved.memory = sal_model_memory(model);
    struct sal_run *run = sal_shelf_take(sal_model_shelf(model), &resolved);
    enum sal_status status = run ? open_again(run, resolved.pool, err)
                                 : open_new(&run, model, &resolved, err);
    if (status)
        return status;
    run->shelf = sal_model_shelf(model);
    *out = run;
    return SAL_OK;
}

enum sal_status sal_run_open_on(struct sal_run **out, const struct sal_graph *graph,
                                struct sal_packs *packs,
                                const struct sal_run_options *options,
                                struct sal_error *err)
{
    struct sal_run *run = run_new(options, options->memory, -1);
    if (!run)
        return sal_fail(err, SAL_LIMIT, "no memory for the run");
    run->graph = graph;
    if (!packs)
        packs = run->packs = sal_packs_open();
    enum sal_status status = sal_run_precision(options, err);
    if (!status && options->propagation)
        status = sal_run_propagate(run, options, err);
    if (!status && !options->plain)
        status = lower_graph(run, options, packs, err);
    if (status || (status = run_init(run, options, err)))
        sal_run_close(run);
    else
        *out = run;
    return status;
}

enum sal_status sal_run_open_graph(struct sal_run **out, const struct sal_graph *graph,
                                   const struct sal_run_options *options,
                                   struct sal_error *err)
{
    return sal_run_open_on(out, graph, NULL, options, err);
}

struct sal_tensor *sal_run_tensor(struct sal_run *run, int value)
{
    return &run->tensors[value];
}

void sal_run_close(struct sal_run *run)
{
    if (run && run->shelf)
        sal_shelf_give(run->shelf, run);
    else
        sal_run_free(run);
}

void sal_run_free(struct sal_run *run)
{
    if (!run)
        return;
    block_release(&run->memory);
    block_release(&run->scratch);
    sal_graph_release(&run->lowered);
    sal_graph_release(&run->ruled);
    sal_packs_close(run->packs);
    sal_graph_release(&run->part.graph);
    sal_graph_release(&run->own);
    sal_arena_release(&run->arena);
    free(run);
}

/* ---- forward ------------------------------------------------------------------- */

void sal_run_node(struct sal_run *run, int i, bool backward)
{
    struct sal_kernel kernel = sal_binding_kernel(&run->bindings[i], run->pool);
    const struct sal_op *op = run->graph->nodes[i].op;
    kernel.scratch = (sal_real *)(void *)run->scratch.data;
    kernel.scratch_stride = op->scratch ? op->scratch(&kernel, backward) : 0;
    struct sal_kernel reference;
    if (backward && run->reference) {
        reference = sal_binding_kernel(&run->reference->bindings[i], run->pool);
        kernel.reference = &reference;
    }
    if (backward)
        op->backward(&kernel);
    else
        op->forward(&kernel);
}

static bool finite_values(const struct sal_tensor *tensor)
{
    return tensor->kind != SAL_REAL ||
           sal_finite(tensor->real, sal_shape_count(&tensor->shape));
}

enum sal_status sal_run_pass(struct sal_run *run, struct sal_job *job,
                             struct sal_error *err)
{
    run->forward_done = false;
    run->back.done = false;
    for (int i = 0; i < run->graph->n_nodes; i++) {
        if (sal_job_cancelled(job))
            return sal_fail(err, SAL_CANCELLED, "cancelled");
        sal_run_node(run, i, false);
    }
    run->forwards++;
    run->forward_done = true;
    run->spent = false;
    return SAL_OK;
}

enum sal_status sal_run_forward(struct sal_run *run, const sal_real *x,
                                struct sal_job *job, struct sal_error *err)
{
    const struct sal_tensor *input = &run->tensors[run->graph->inputs[0]];
    enum sal_status status = sal_run_start(run, x, err);
    if (status || (status = sal_run_pass(run, job, err)) || run->watched < 0 ||
        finite_values(&run->tensors[run->watched]))
        return status;
    run->forward_done = false;
    if (!finite_values(input))
        return sal_fail(err, SAL_BAD_INPUT, "the input has a value that is not finite");
    return sal_run_blame_forward(run, err);
}

const sal_real *sal_run_value(const struct sal_run *run, int value,
                              struct sal_shape *shape)
{
    if (value < 0 || value >= run->graph->n_values)
        return NULL;
    const struct sal_value *known = &run->graph->values[value];
    bool readable = known->live && !known->tensor.data &&
                    known->tensor.kind == SAL_REAL && run->kept[value];
    if (!readable)
        return NULL;
    if (shape)
        *shape = known->tensor.shape;
    return run->tensors[value].real;
}

long sal_run_forwards(const struct sal_run *run)
{
    return run->forwards;
}

long sal_run_backwards(const struct sal_run *run)
{
    return run->backwards;
}
