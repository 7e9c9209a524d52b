#include "saliscope/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel.h"
#include "model_parts.h"
#include "plan.h"
#include "run_parts.h"

/* One block of memory that is kept between passes. */
struct block {
    char *data;
    size_t size;
};

struct sal_run {
    const struct sal_graph *graph;
    struct sal_graph own; /* when the batch is not the model's */
    int watched;          /* value that must be finite after a forward; -1 */
    struct sal_pool *pool;
    size_t memory; /* most bytes of all blocks */
    bool keeps_all;

    struct sal_tensor *tensors;   /* [n_values]; data NULL: not computed here */
    bool *kept;                   /* [n_values]: readable after a forward */
    struct sal_binding *bindings; /* [n_nodes] */
    struct block activations, scratch;
    bool forward_done;

    /* The backward that the gradient block is laid out for. */
    struct {
        int score;       /* -1: none yet */
        int *wrt, n_wrt;
        sal_real **grad; /* [n_values]; NULL: not on the way */
        int *first;      /* [n_values]: node that touches it first; -1: seed */
        bool *takes_part; /* [n_nodes] */
        struct block block;
    } back;

    long forwards, backwards;
    struct sal_arena arena;
};

/* ---- memory ----------------------------------------------------------------- */

static bool block_resize(struct block *block, size_t size)
{
    if (size <= block->size)
        return true;
    if (block->data)
        munmap(block->data, block->size);
    *block = (struct block){0};
    void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                      -1, 0);
    if (data == MAP_FAILED)
        return false;
    madvise(data, size, MADV_HUGEPAGE); /* page faults cost more than kernels */
    *block = (struct block){.data = data, .size = size};
    return true;
}

static void block_release(struct block *block)
{
    if (block->data)
        munmap(block->data, block->size);
    *block = (struct block){0};
}

static enum sal_status need_memory(struct sal_run *run, struct block *block, size_t size,
                                   const char *what, struct sal_error *err)
{
    size_t others = run->activations.size + run->scratch.size + run->back.block.size -
                    block->size;
    if (size > run->memory || others > run->memory - size)
        return sal_fail(err, SAL_LIMIT,
                        "%s would take %.0f MiB, the memory limit is %.0f MiB", what,
                        (double)size / 0x1p20, (double)run->memory / 0x1p20);
    if (!block_resize(block, size))
        return sal_fail(err, SAL_LIMIT, "no memory for %s (%.0f MiB)", what,
                        (double)size / 0x1p20);
    return SAL_OK;
}

static size_t tensor_bytes(const struct sal_tensor *tensor)
{
    return (size_t)sal_shape_count(&tensor->shape) * sal_kind_size(tensor->kind);
}

/* ---- opening ------------------------------------------------------------------ */

size_t sal_run_plan(const struct sal_graph *graph, const bool *kept, bool keeps_all,
                    struct sal_interval *at)
{
    for (int i = 0; i < graph->n_values; i++) {
        const struct sal_value *value = &graph->values[i];
        bool computed = value->live && !value->tensor.data;
        at[i] = (struct sal_interval){
            .size = computed ? tensor_bytes(&value->tensor) : 0,
            .first = value->producer < 0 ? 0 : value->producer,
            .last = keeps_all || kept[i] ? graph->n_nodes : value->producer,
        };
    }
    for (int i = 0; i < graph->n_nodes; i++)
        for (int j = 0; j < graph->nodes[i].n_in; j++) {
            int id = graph->nodes[i].in[j];
            if (id >= 0 && at[id].last < i)
                at[id].last = i;
        }
    return sal_plan_place(at, graph->n_values);
}

static enum sal_status place_activations(struct sal_run *run, struct sal_error *err)
{
    const struct sal_graph *graph = run->graph;
    struct sal_interval *at = calloc((size_t)graph->n_values, sizeof(*at));
    if (!at)
        return sal_fail(err, SAL_LIMIT, "no memory for the memory plan");
    size_t size = sal_run_plan(graph, run->kept, run->keeps_all, at);
    enum sal_status status =
        need_memory(run, &run->activations, size, "the activations", err);
    for (int i = 0; !status && i < graph->n_values; i++) {
        run->tensors[i] = graph->values[i].tensor;
        if (at[i].size)
            run->tensors[i].data = run->activations.data + at[i].offset;
    }
    free(at);
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
    }
    return SAL_OK;
}

/* The largest scratch any node asks for, for all threads. */
static enum sal_status place_scratch(struct sal_run *run, bool backward,
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
    return need_memory(run, &run->scratch, size, "scratch", err);
}

static enum sal_status mark_kept(struct sal_run *run,
                                 const struct sal_run_options *options,
                                 struct sal_error *err)
{
    const struct sal_graph *graph = run->graph;
    for (int i = 0; i < options->n_keep; i++) {
        if (options->keep[i] < 0 || options->keep[i] >= graph->n_values)
            return sal_fail(err, SAL_USAGE, "tensor %d does not exist", options->keep[i]);
        run->kept[options->keep[i]] = true;
    }
    for (int i = 0; i < graph->n_outputs; i++)
        run->kept[graph->outputs[i]] = true;
    for (int i = 0; i < graph->n_inputs; i++)
        run->kept[graph->inputs[i]] = true;
    if (run->watched >= 0)
        run->kept[run->watched] = true;
    return SAL_OK;
}

static enum sal_status run_init(struct sal_run *run,
                                const struct sal_run_options *options,
                                struct sal_error *err)
{
    size_t n = (size_t)run->graph->n_values, nodes = (size_t)run->graph->n_nodes;
    run->tensors = sal_new(&run->arena, struct sal_tensor, n);
    run->kept = sal_new(&run->arena, bool, n);
    run->bindings = sal_new(&run->arena, struct sal_binding, nodes);
    run->back.grad = sal_new(&run->arena, sal_real *, n);
    run->back.first = sal_new(&run->arena, int, n);
    run->back.wrt = sal_new(&run->arena, int, n);
    run->back.takes_part = sal_new(&run->arena, bool, nodes);
    if (!run->tensors || !run->kept || !run->bindings || !run->back.grad ||
        !run->back.first || !run->back.wrt || !run->back.takes_part)
        return sal_fail(err, SAL_LIMIT, "no memory for the run");
    enum sal_status status = mark_kept(run, options, err);
    if (status || (status = place_activations(run, err)) || (status = bind_nodes(run, err)))
        return status;
    return place_scratch(run, false, err);
}

static struct sal_run *run_new(const struct sal_run_options *options, size_t memory,
                               int watched)
{
    struct sal_run *run = calloc(1, sizeof(*run));
    if (!run)
        return NULL;
    run->pool = options->pool;
    run->keeps_all = options->gradient;
    run->memory = memory;
    run->watched = watched;
    run->back.score = -1;
    return run;
}

enum sal_status sal_run_open(struct sal_run **out, const struct sal_model *model,
                             const struct sal_run_options *options,
                             struct sal_error *err)
{
    size_t memory = options->memory ? options->memory : sal_model_memory(model);
    struct sal_run *run = run_new(options, memory, sal_model_output(model)->value);
    if (!run)
        return sal_fail(err, SAL_LIMIT, "no memory for the run");
    enum sal_status status = SAL_OK;
    run->graph = sal_model_graph(model);
    if (options->batch > 1) {
        status = sal_model_build_graph(model, options->batch, run->pool, &run->own, err);
        run->graph = &run->own;
    }
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
    struct sal_run *run = run_new(options, options->memory, -1);
    if (!run)
        return sal_fail(err, SAL_LIMIT, "no memory for the run");
    run->graph = graph;
    enum sal_status status = run_init(run, options, err);
    if (status)
        sal_run_close(run);
    else
        *out = run;
    return status;
}

struct sal_tensor *sal_run_tensor(struct sal_run *run, int value)
{
    return &run->tensors[value];
}

void sal_run_close(struct sal_run *run)
{
    if (!run)
        return;
    block_release(&run->activations);
    block_release(&run->scratch);
    block_release(&run->back.block);
    sal_graph_release(&run->own);
    sal_arena_release(&run->arena);
    free(run);
}

/* ---- forward ------------------------------------------------------------------- */

static void run_node(struct sal_run *run, int i, bool backward)
{
    struct sal_kernel kernel = sal_binding_kernel(&run->bindings[i], run->pool);
    const struct sal_op *op = run->graph->nodes[i].op;
    kernel.scratch = (sal_real *)(void *)run->scratch.data;
    kernel.scratch_stride = op->scratch ? op->scratch(&kernel, backward) : 0;
    if (backward)
        op->backward(&kernel);
    else
        op->forward(&kernel);
}

static bool finite_values(const struct sal_tensor *tensor)
{
    int64_t n = tensor->kind == SAL_REAL ? sal_shape_count(&tensor->shape) : 0;
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(tensor->real[i]))
            return false;
    return true;
}

/* Runs again node by node to say where the first bad number came from. */
static enum sal_status blame(struct sal_run *run, struct sal_error *err)
{
    for (int i = 0; i < run->graph->n_nodes; i++) {
        const struct sal_node *node = &run->graph->nodes[i];
        run_node(run, i, false);
        for (int j = 0; j < node->n_out; j++)
            if (run->bindings[i].out[j] && !finite_values(run->bindings[i].out[j]))
                return sal_node_fail(node, err, SAL_BAD_INPUT,
                                     "makes the first value that is not finite");
    }
    return sal_fail(err, SAL_BAD_INPUT, "a score is not finite");
}

enum sal_status sal_run_pass(struct sal_run *run, struct sal_job *job,
                             struct sal_error *err)
{
    run->forward_done = false;
    for (int i = 0; i < run->graph->n_nodes; i++) {
        if (sal_job_cancelled(job))
            return sal_fail(err, SAL_CANCELLED, "cancelled");
        run_node(run, i, false);
    }
    run->forwards++;
    run->forward_done = true;
    return SAL_OK;
}

enum sal_status sal_run_forward(struct sal_run *run, const sal_real *x,
                                struct sal_job *job, struct sal_error *err)
{
    const struct sal_tensor *input = &run->tensors[run->graph->inputs[0]];
    memcpy(input->real, x, tensor_bytes(input));
    enum sal_status status = sal_run_pass(run, job, err);
    if (status || run->watched < 0 || finite_values(&run->tensors[run->watched]))
        return status;
    run->forward_done = false;
    if (!finite_values(input))
        return sal_fail(err, SAL_BAD_INPUT, "the input has a value that is not finite");
    return blame(run, err);
}

const sal_real *sal_run_value(const struct sal_run *run, int value,
                              struct sal_shape *shape)
{
    if (value < 0 || value >= run->graph->n_values)
        return NULL;
    const struct sal_value *known = &run->graph->values[value];
    bool readable = known->live && !known->tensor.data &&
                    known->tensor.kind == SAL_REAL &&
                    (run->kept[value] || run->keeps_all);
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

/* ---- backward ------------------------------------------------------------------- */

static bool can_carry(const struct sal_graph *graph, int id)
{
    return id >= 0 && graph->values[id].tensor.kind == SAL_REAL &&
           !graph->values[id].tensor.data;
}

/* on_way[v]: a change of something in wrt can reach the score through v. */
static void mark_way(const struct sal_run *run, int score, const int *wrt, int n_wrt,
                     bool *on_way)
{
    const struct sal_graph *graph = run->graph;
    bool *wanted = on_way + graph->n_values; /* the score depends on it */
    for (int i = 0; i < n_wrt; i++)
        on_way[wrt[i]] = true;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct sal_node *node = &graph->nodes[i];
        bool any = false;
        for (int j = 0; j < node->n_in; j++)
            any |= can_carry(graph, node->in[j]) && on_way[node->in[j]];
        for (int j = 0; j < node->n_out; j++)
            if (can_carry(graph, node->out[j]))
                on_way[node->out[j]] |= any;
    }
    wanted[score] = true;
    for (int i = graph->n_nodes - 1; i >= 0; i--) {
        const struct sal_node *node = &graph->nodes[i];
        bool any = false;
        for (int j = 0; j < node->n_out; j++)
            any |= node->out[j] >= 0 && wanted[node->out[j]];
        for (int j = 0; any && j < node->n_in; j++)
            if (node->in[j] >= 0)
                wanted[node->in[j]] = true;
    }
    for (int i = 0; i < graph->n_values; i++)
        on_way[i] &= wanted[i];
}

/* Lays out lifetimes in backward time and says which nodes take part. */
static enum sal_status trace_way(struct sal_run *run, int score, const bool *on_way,
                                 struct sal_interval *at, struct sal_error *err)
{
    const struct sal_graph *graph = run->graph;
    int end = graph->n_nodes + 1;
    for (int i = 0; i < graph->n_values; i++) {
        at[i] = (struct sal_interval){.first = end, .last = -1};
        run->back.first[i] = -1;
    }
    at[score].first = at[score].last = 0;
    for (int i = graph->n_nodes - 1; i >= 0; i--) {
        const struct sal_node *node = &graph->nodes[i];
        int now = graph->n_nodes - i;
        bool from = false, to = false;
        for (int j = 0; j < node->n_out; j++)
            from |= node->out[j] >= 0 && on_way[node->out[j]];
        for (int j = 0; j < node->n_in; j++)
            to |= node->in[j] >= 0 && on_way[node->in[j]];
        run->back.takes_part[i] = from && to;
        if (!run->back.takes_part[i])
            continue;
        if (!node->op->backward)
            return sal_node_fail(node, err, SAL_UNSUPPORTED, "has no gradient");
        for (int j = 0; j < node->n_out; j++)
            if (node->out[j] >= 0 && on_way[node->out[j]])
                at[node->out[j]].last = now;
        for (int j = 0; j < node->n_in; j++) {
            int id = node->in[j];
            if (id < 0 || !on_way[id])
                continue;
            if (j < 32 && node->op->no_gradient >> j & 1)
                return sal_node_fail(node, err, SAL_UNSUPPORTED,
                                     "has no gradient for its input %d", j);
            if (at[id].first == end) {
                at[id].first = now;
                run->back.first[id] = i;
            }
            if (at[id].last < now)
                at[id].last = now;
        }
    }
    return SAL_OK;
}

static enum sal_status place_gradients(struct sal_run *run, const bool *on_way,
                                       struct sal_interval *at, struct sal_error *err)
{
    const struct sal_graph *graph = run->graph;
    for (int i = 0; i < graph->n_values; i++)
        at[i].size = on_way[i] || i == run->back.score
                         ? tensor_bytes(&run->tensors[i]) : 0;
    for (int i = 0; i < run->back.n_wrt; i++) {
        struct sal_interval *kept = &at[run->back.wrt[i]];
        kept->size = tensor_bytes(&run->tensors[run->back.wrt[i]]);
        kept->last = graph->n_nodes + 1;
        if (!on_way[run->back.wrt[i]])
            kept->first = 0; /* zeros that nobody may write over */
    }
    size_t size = sal_plan_place(at, graph->n_values);
    enum sal_status status =
        need_memory(run, &run->back.block, size, "the gradients", err);
    for (int i = 0; !status && i < graph->n_values; i++)
        run->back.grad[i] =
            at[i].size ? (sal_real *)(void *)(run->back.block.data + at[i].offset) : NULL;
    return status;
}

static void bind_gradients(struct sal_run *run, const bool *on_way)
{
    for (int i = 0; i < run->graph->n_nodes; i++) {
        const struct sal_node *node = &run->graph->nodes[i];
        for (int j = 0; j < node->n_in; j++)
            run->bindings[i].dx[j] = node->in[j] >= 0 && on_way[node->in[j]]
                                         ? run->back.grad[node->in[j]] : NULL;
        for (int j = 0; j < node->n_out; j++)
            run->bindings[i].dy[j] = node->out[j] >= 0 && on_way[node->out[j]]
                                         ? run->back.grad[node->out[j]] : NULL;
    }
}

static enum sal_status plan_backward(struct sal_run *run, int score, const int *wrt,
                                     int n_wrt, struct sal_error *err)
{
    bool same = run->back.score == score && run->back.n_wrt == n_wrt &&
                memcmp(run->back.wrt, wrt, sizeof(int) * (size_t)n_wrt) == 0;
    if (same)
        return SAL_OK;
    size_t n = (size_t)run->graph->n_values;
    run->back.score = -1;
    bool *on_way = calloc(2 * n, sizeof(*on_way));
    struct sal_interval *at = calloc(n, sizeof(*at));
    enum sal_status status = SAL_LIMIT;
    if (!on_way || !at) {
        sal_fail(err, SAL_LIMIT, "no memory for the gradient's plan");
    } else {
        mark_way(run, score, wrt, n_wrt, on_way);
        status = trace_way(run, score, on_way, at, err);
    }
    if (!status) {
        run->back.score = score;
        run->back.n_wrt = n_wrt;
        memcpy(run->back.wrt, wrt, sizeof(int) * (size_t)n_wrt);
        status = place_gradients(run, on_way, at, err);
    }
    if (!status) {
        bind_gradients(run, on_way);
        status = place_scratch(run, true, err);
    }
    if (status)
        run->back.score = -1;
    free(on_way);
    free(at);
    return status;
}

static enum sal_status check_backward(const struct sal_run *run, int score,
                                      const int *wrt, int n_wrt, struct sal_error *err)
{
    const struct sal_graph *graph = run->graph;
    if (!run->keeps_all || !run->forward_done)
        return sal_fail(err, SAL_USAGE, "a backward needs a forward that keeps gradients");
    if (score < 0 || score >= graph->n_values || !graph->values[score].live ||
        !can_carry(graph, score))
        return sal_fail(err, SAL_USAGE, "the score is not a tensor the model computes");
    if (n_wrt < 1 || n_wrt > graph->n_values)
        return sal_fail(err, SAL_USAGE, "a gradient needs a tensor to be taken for");
    for (int i = 0; i < n_wrt; i++)
        if (wrt[i] < 0 || wrt[i] >= graph->n_values || !graph->values[wrt[i]].live ||
            !can_carry(graph, wrt[i]))
            return sal_fail(err, SAL_USAGE,
                            "there is no gradient for a tensor that is constant, "
                            "integer or not computed");
    return SAL_OK;
}

static void zero_gradient(struct sal_run *run, int id)
{
    memset(run->back.grad[id], 0, tensor_bytes(&run->tensors[id]));
}

/* Gradients whose first visitor is node i begin at zero there, and not earlier:
 * the place may have held another one. */
static void begin_gradients(struct sal_run *run, int i)
{
    const struct sal_node *node = &run->graph->nodes[i];
    for (int j = 0; j < node->n_in; j++) {
        int id = node->in[j];
        bool again = false;
        for (int k = 0; k < j; k++)
            again |= node->in[k] == id;
        if (id >= 0 && !again && run->bindings[i].dx[j] && run->back.first[id] == i &&
            id != run->back.score)
            zero_gradient(run, id);
    }
}

static enum sal_status pull_back(struct sal_run *run, struct sal_job *job,
                                 struct sal_error *err)
{
    for (int i = 0; i < run->back.n_wrt; i++)
        if (run->back.first[run->back.wrt[i]] < 0 && run->back.wrt[i] != run->back.score)
            zero_gradient(run, run->back.wrt[i]);
    for (int i = run->graph->n_nodes - 1; i >= 0; i--) {
        if (!run->back.takes_part[i])
            continue;
        if (sal_job_cancelled(job))
            return sal_fail(err, SAL_CANCELLED, "cancelled");
        begin_gradients(run, i);
        run_node(run, i, true);
    }
    run->backwards++;
    return SAL_OK;
}

enum sal_status sal_run_backward(struct sal_run *run, int score, int64_t index,
                                 const int *wrt, int n_wrt, struct sal_job *job,
                                 struct sal_error *err)
{
    enum sal_status status = check_backward(run, score, wrt, n_wrt, err);
    if (status || (status = plan_backward(run, score, wrt, n_wrt, err)))
        return status;
    int64_t count = sal_shape_count(&run->tensors[score].shape);
    int64_t batch = run->tensors[run->graph->inputs[0]].shape.dim[0];
    int64_t each = batch ? count / batch : 0;
    if (index < 0 || index >= each)
        return sal_fail(err, SAL_USAGE, "score index %lld is not in 0..%lld",
                        (long long)index, (long long)each - 1);
    zero_gradient(run, score);
    for (int64_t b = 0; b < batch; b++)
        run->back.grad[score][b * each + index] = 1;
    return pull_back(run, job, err);
}

enum sal_status sal_run_backward_from(struct sal_run *run, int score,
                                      const sal_real *dscore, const int *wrt, int n_wrt,
                                      struct sal_job *job, struct sal_error *err)
{
    enum sal_status status = check_backward(run, score, wrt, n_wrt, err);
    if (status || (status = plan_backward(run, score, wrt, n_wrt, err)))
        return status;
    memcpy(run->back.grad[score], dscore, tensor_bytes(&run->tensors[score]));
    return pull_back(run, job, err);
}

const sal_real *sal_run_gradient(const struct sal_run *run, int value)
{
    for (int i = 0; i < run->back.n_wrt; i++)
        if (run->back.wrt[i] == value && run->back.score >= 0)
            return run->back.grad[value];
    return NULL;
}
