/* Runs whose backward follows rules (saliscope/propagation.h). */
#include "propagation.h"
#include "run_state.h"

enum sal_status sal_run_propagate(struct sal_run *run, const struct sal_run_options *options,
                                  struct sal_error *err)
{
    const struct sal_propagation *propagation = options->propagation;
    bool *kept = sal_new(&run->arena, bool, run->graph->n_values);
    if (!kept)
        return sal_fail(err, SAL_LIMIT, "no memory for the run");
    if (propagation->layers && !options->lrp)
        return sal_fail(err, SAL_USAGE, "LRP needs to be told its rules");
    enum sal_status status = sal_run_mark_kept(run, options, kept, err);
    if (!status)
        status = sal_propagate(&run->ruled, run->graph, propagation, options->lrp, kept, err);
    run->graph = &run->ruled;
    run->propagation = propagation;
    return status;
}

enum sal_status sal_run_compare(struct sal_run *run, const struct sal_run *reference,
                                struct sal_error *err)
{
    const struct sal_graph *a = run->graph, *b = reference->graph;
    bool same = a->n_nodes == b->n_nodes && a->n_values == b->n_values &&
                run->propagation == reference->propagation;
    for (int i = 0; i < a->n_nodes && same; i++)
        same = a->nodes[i].out[0] == b->nodes[i].out[0] &&
               a->nodes[i].op->forward == b->nodes[i].op->forward;
    if (!same)
        return sal_fail(err, SAL_USAGE, "a run can be compared only with one of the same "
                                        "model and options");
    run->reference = reference;
    return SAL_OK;
}

enum sal_status sal_run_check_reference(const struct sal_run *run, struct sal_error *err)
{
    const struct sal_run *reference = run->reference;
    if (!run->propagation || !run->propagation->compares)
        return SAL_OK;
    if (!reference || !reference->gradient || !reference->forward_done || reference->spent)
        return sal_fail(err, SAL_USAGE,
                        "these rules compare with another run, after its forward");
    return SAL_OK;
}

int sal_run_ruled(const struct sal_run *run)
{
    int n = 0;
    for (int i = 0; i < run->graph->n_nodes; i++)
        n += run->graph->nodes[i].ruled && !run->graph->nodes[i].op->opaque;
    return n;
}
