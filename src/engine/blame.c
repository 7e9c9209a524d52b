/* Where the first number came from that is not finite: the pass is made again, node by node
 * as the model says, and every result is looked at. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "run_state.h"

bool sal_finite(const sal_real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

static bool finite_tensor(const struct sal_tensor *tensor)
{
    return tensor->kind != SAL_REAL || !tensor->data ||
           sal_finite(tensor->real, sal_shape_count(&tensor->shape));
}

static bool finite_results(const struct sal_run *run, int node)
{
    for (int j = 0; j < run->graph->nodes[node].n_out; j++)
        if (run->bindings[node].out[j] && !finite_tensor(run->bindings[node].out[j]))
            return false;
    return true;
}

/* The same graph as the model has it, with what the run was given. */
static enum sal_status open_plain(const struct sal_run *run, const int *keep, int n_keep,
                                  bool gradient, struct sal_run **plain,
                                  struct sal_error *err)
{
    enum sal_status status = sal_run_open_graph(plain, run->whole,
                                                &(struct sal_run_options){.gradient = gradient,
                                                                          .keep = keep,
                                                                          .n_keep = n_keep,
                                                                          .memory = run->limit,
                                                                          .plain = true,
                                                                          .pool = run->pool},
                                                err);
    for (int i = 0; !status && i < run->whole->n_inputs; i++) {
        int id = run->whole->inputs[i];
        const struct sal_tensor *from = &run->tensors[id];
        struct sal_tensor *to = sal_run_tensor(*plain, id);
        if (from->data && to->data)
            memcpy(to->data, from->data, sal_tensor_bytes(from));
    }
    return status;
}

/* The first node of a forward whose result is not finite; -1: none. */
static int first_of(struct sal_run *run)
{
    for (int i = 0; i < run->graph->n_nodes; i++) {
        sal_run_node(run, i, false);
        if (!finite_results(run, i))
            return i;
    }
    return -1;
}

static enum sal_status accuse(const struct sal_run *run, int node, struct sal_error *err)
{
    return sal_node_fail(&run->graph->nodes[node], err, SAL_BAD_INPUT,
                         "makes the first value that is not finite");
}

enum sal_status sal_run_blame_forward(struct sal_run *run, struct sal_error *err)
{
    struct sal_run *plain = NULL;
    struct sal_error unused;
    int node = open_plain(run, NULL, 0, false, &plain, &unused) ? -1 : first_of(plain);
    enum sal_status status = node < 0 ? SAL_OK : accuse(plain, node, err);
    sal_run_close(plain);
    if (status)
        return status;
    node = first_of(run); /* as it is computed here, the parts of a node together */
    return node < 0 ? sal_fail(err, SAL_BAD_INPUT, "a score is not finite")
                    : accuse(run, node, err);
}

enum sal_status sal_run_blame_backward(struct sal_run *run, const sal_real *dscore, int value,
                                       struct sal_error *err)
{
    const int keep[] = {value, run->back.score};
    struct sal_run *plain = NULL;
    struct sal_error unused;
    enum sal_status status = open_plain(run, keep, 2, true, &plain, &unused);
    int node = status ? -1 : first_of(plain);
    if (!status && node < 0) {
        plain->forward_done = plain->checks_gradients = true;
        status = sal_run_backward_from(plain, run->back.score, dscore, &value, 1, NULL, err);
    }
    if (node >= 0)
        status = accuse(plain, node, err);
    sal_run_close(plain);
    return status == SAL_BAD_INPUT
               ? status
               : sal_fail(err, SAL_BAD_INPUT, "the gradient for '%s' is not finite",
                          run->graph->values[value].name);
}
