/* Runs that start behind the input: what comes around their start is made apart, once for
 * each image, and given to all images of a batch. */
#include <string.h>

#include "cut.h"
#include "model_parts.h"
#include "run_state.h"

enum { ALL = -1, UNKNOWN = -2 };

/* ---- where the images of a batch lie ------------------------------------------------- */

/* The axis along which the images of a batch follow each other, by the shape of one and of
 * all; ALL: the tensor is the same for all of them. Where that axis is not the first of any
 * length, one image must be one step of it, else they might be interleaved: UNKNOWN. */
static int axis_of(const struct sal_shape *one, const struct sal_shape *all, int batch)
{
    int axis = ALL;
    int64_t before = 1;
    if (one->rank != all->rank)
        return UNKNOWN;
    for (int i = 0; i < one->rank; i++) {
        bool grown = one->dim[i] != all->dim[i];
        bool plain = one->dim[i] == 1 || before == 1;
        if (grown && (axis != ALL || all->dim[i] != one->dim[i] * batch || !plain))
            return UNKNOWN;
        axis = grown ? i : axis;
        before *= one->dim[i];
    }
    return axis;
}

/* Image b of the tensor. */
static void place_image(const struct sal_tensor *to, int axis, int batch, int b,
                        const char *from)
{
    size_t all = sal_tensor_bytes(to);
    if (axis == ALL) {
        memcpy(to->data, from, all);
        return;
    }
    size_t outer = 1;
    for (int i = 0; i < axis; i++)
        outer *= (size_t)to->shape.dim[i];
    size_t inner = outer ? all / outer / (size_t)batch : 0;
    for (size_t i = 0; i < outer; i++)
        memcpy((char *)to->data + (i * (size_t)batch + (size_t)b) * inner, from + i * inner,
               inner);
}

/* ---- opening ------------------------------------------------------------------------- */

static enum sal_status check(const struct sal_graph *graph, int from, int score,
                             struct sal_error *err)
{
    if (from < 0 || from >= graph->n_values)
        return sal_fail(err, SAL_USAGE, "tensor %d does not exist", from);
    const struct sal_value *value = &graph->values[from];
    bool depends = false;
    if (!value->live || value->tensor.data || value->tensor.kind != SAL_REAL)
        return sal_fail(err, SAL_USAGE, "a run cannot start at '%.120s': it is constant, "
                                        "integer or not computed", value->name);
    enum sal_status status = sal_graph_depends(graph, score, from, &depends, err);
    if (!status && !depends)
        return sal_fail(err, SAL_USAGE, "a run cannot start at '%.120s': the score does not "
                                        "depend on it", value->name);
    return status;
}

/* A shape that does not grow with the batch says that images are mixed. */
static enum sal_status find_axes(struct sal_run *run, const struct sal_graph *one, int score,
                                 struct sal_error *err)
{
    const struct sal_graph *graph = run->graph;
    for (int i = 0; i <= graph->n_inputs; i++) {
        int v = i < graph->n_inputs ? graph->inputs[i] : score;
        int axis = axis_of(&one->values[v].tensor.shape, &graph->values[v].tensor.shape,
                           run->part.batch);
        bool own = i == 0 || i == graph->n_inputs;
        if (axis == UNKNOWN || (own && axis == ALL && run->part.batch > 1))
            return sal_fail(err, SAL_UNSUPPORTED,
                            "the images of a batch cannot be told apart in '%.120s'",
                            graph->values[v].name);
        run->part.axis[i] = axis;
    }
    return SAL_OK;
}

enum sal_status sal_run_cut(struct sal_run *run, const struct sal_model *model,
                            const struct sal_run_options *options, struct sal_error *err)
{
    const struct sal_graph *one = sal_model_graph(model);
    int score = sal_model_output(model)->value;
    enum sal_status status = check(one, options->from, score, err);
    if (status)
        return status;
    run->part.model = model;
    run->part.batch = options->batch > 1 ? options->batch : 1;
    run->part.exact = options->exact;
    run->part.plain = options->plain;
    status = sal_graph_cut(&run->part.graph, run->graph, options->from, &score, 1, err);
    if (status)
        return status;
    run->graph = &run->part.graph;
    run->part.axis = sal_new(&run->arena, int, run->graph->n_inputs + 1);
    if (!run->part.axis)
        return sal_fail(err, SAL_LIMIT, "no memory for the run");
    run->part.complete = run->graph->n_inputs == 1;
    return find_axes(run, one, score, err);
}

/* ---- what comes around ----------------------------------------------------------------- */

static void take_around(struct sal_run *run, struct sal_run *before)
{
    for (int i = 1; i < run->graph->n_inputs; i++) {
        int v = run->graph->inputs[i], axis = run->part.axis[i];
        for (int b = 0; b < (axis == ALL ? 1 : run->part.batch); b++)
            place_image(&run->tensors[v], axis, run->part.batch, b,
                        sal_run_tensor(before, v)->data);
    }
    run->part.complete = true;
}

/* Nothing that is computed here depends on what the run starts with. */
static enum sal_status compute_around(struct sal_run *run, const struct sal_graph *before,
                                      const sal_real *x, struct sal_job *job,
                                      struct sal_error *err)
{
    struct sal_run *apart = NULL;
    struct sal_run_options options = {.memory = run->limit - run->memory.size -
                                                run->scratch.size,
                                      .exact = run->part.exact,
                                      .plain = run->part.plain,
                                      .pool = run->pool};
    enum sal_status status = sal_run_open_on(&apart, before, sal_model_packs(run->part.model),
                                             &options, err);
    if (!status)
        status = sal_run_forward(apart, x, job, err);
    if (!status)
        take_around(run, apart);
    sal_run_close(apart);
    return status;
}

enum sal_status sal_run_around(struct sal_run *run, const sal_real *x, struct sal_job *job,
                               struct sal_error *err)
{
    struct sal_graph before;
    if (!run->part.model || run->graph->n_inputs == 1)
        return SAL_OK;
    run->part.complete = run->forward_done = false;
    enum sal_status status =
        sal_graph_cut(&before, sal_model_graph(run->part.model), -1, run->graph->inputs + 1,
                      run->graph->n_inputs - 1, err);
    if (status)
        return status;
    status = compute_around(run, &before, x, job, err);
    sal_graph_release(&before);
    return status;
}

/* ---- starting ---------------------------------------------------------------------------- */

enum sal_status sal_run_start(struct sal_run *run, const sal_real *x, struct sal_error *err)
{
    const struct sal_tensor *input = &run->tensors[run->graph->inputs[0]];
    size_t all = sal_tensor_bytes(input);
    if (!run->part.model) {
        memcpy(input->real, x, all);
        return SAL_OK;
    }
    if (!run->part.complete)
        return sal_fail(err, SAL_USAGE,
                        "the score depends on the image around '%.120s' too: the run needs "
                        "it first", run->graph->values[run->graph->inputs[0]].name);
    size_t each = all / (size_t)run->part.batch;
    for (int b = 0; b < run->part.batch; b++)
        place_image(input, run->part.axis[0], run->part.batch, b,
                    (const char *)x + (size_t)b * each);
    return SAL_OK;
}
