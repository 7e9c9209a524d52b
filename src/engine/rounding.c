/* What a run's convolutions round. */
#include "inner_conv.h"
#include "run_state.h"
#include "winograd_error.h"

static void add(struct sal_winograd_use *use, const struct sal_conv_way *way, const char *name)
{
    if (way->tile)
        use->layers++;
    else if (way->error != 0)
        use->refused++;
    if (!way->tile || way->error <= use->error)
        return;
    use->error = way->error;
    use->worst = name;
}

struct sal_winograd_use sal_run_winograd(const struct sal_run *run, bool back)
{
    struct sal_winograd_use use = {.worst = "", .limit = SAL_WINOGRAD_ERROR_MAX};
    for (int i = 0; i < run->graph->n_nodes; i++) {
        const struct sal_node *node = &run->graph->nodes[i];
        const struct sal_inner_conv *conv = sal_inner_conv_of(node);
        if (conv)
            add(&use, back ? &conv->backward : &conv->forward, node->name);
    }
    return use;
}
