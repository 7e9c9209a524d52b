#include "missing.h"

#include <stdio.h>
#include <string.h>

#include "builder.h"

/* Branches may be shared: a small file says much. */
enum { NODES_MAX = 2 * SAL_ONNX_NODES_MAX };

static const char *label(const struct sal_onnx_node *node)
{
    const char *text = sal_onnx_node_label(node);
    return *text ? text : node->op;
}

const struct sal_op *sal_missing_or_op(const struct sal_onnx_node *node, int64_t opset)
{
    const struct sal_op *op = *node->domain ? NULL : sal_op_find(node->op);
    return op && opset >= op->since && opset <= op->until ? op : NULL;
}

/* If is no row: the builder takes a branch. A newer opset is told by the builder. */
static bool is_missing(const struct sal_onnx *onnx, const struct sal_onnx_node *node)
{
    int64_t opset = sal_onnx_node_opset(onnx, node);
    if (!*node->domain && opset > SAL_OPSET_MAX)
        opset = SAL_OPSET_MAX;
    return !sal_is_if(node) && !sal_missing_or_op(node, opset);
}

/* ---- the nodes ------------------------------------------------------------- */

static const struct sal_onnx_graph *branch(const struct sal_onnx_node *node, int i)
{
    static const char *const names[] = {"then_branch", "else_branch"};
    const struct sal_onnx_attr *attr =
        sal_is_if(node) ? sal_onnx_node_attr(node, names[i]) : NULL;
    return attr ? attr->graph : NULL;
}

struct size {
    int64_t nodes, names;
};

static bool measure(const struct sal_onnx_graph *graph, struct size *size)
{
    size->nodes += graph->n_nodes;
    size->names += graph->n_outputs;
    for (int i = 0; i < graph->n_nodes && size->nodes <= NODES_MAX; i++) {
        size->names += graph->nodes[i].n_inputs;
        for (int k = 0; k < 2; k++)
            if (branch(&graph->nodes[i], k) &&
                !measure(branch(&graph->nodes[i], k), size))
                return false;
    }
    return size->nodes <= NODES_MAX;
}

struct walk {
    const struct sal_onnx *onnx;
    struct sal_names wanted; /* values that an output needs */
    const struct sal_onnx_node **found;
    int n;
};

/* From the last node to the first, so that what nobody needs is not looked at. Both
 * branches of an If are, since which is taken is not known here. */
static void collect(struct walk *walk, const struct sal_onnx_graph *graph)
{
    for (int i = 0; i < graph->n_outputs; i++)
        sal_names_add(&walk->wanted, graph->outputs[i].name, 0);
    for (int i = graph->n_nodes - 1; i >= 0; i--) {
        const struct sal_onnx_node *node = &graph->nodes[i];
        bool needed = false;
        for (int j = 0; j < node->n_outputs && !needed; j++)
            needed =
                *node->outputs[j] && sal_names_find(&walk->wanted, node->outputs[j]);
        if (!needed)
            continue;
        if (is_missing(walk->onnx, node))
            walk->found[walk->n++] = node;
        for (int k = 1; k >= 0; k--)
            if (branch(node, k))
                collect(walk, branch(node, k));
        for (int j = 0; j < node->n_inputs; j++)
            if (*node->inputs[j])
                sal_names_add(&walk->wanted, node->inputs[j], 0);
    }
}

/* ---- the list ------------------------------------------------------------------- */

static struct sal_missing describe(const struct sal_onnx *onnx,
                                   const struct sal_onnx_node *node)
{
    const struct sal_op *op = *node->domain ? NULL : sal_op_find(node->op);
    return (struct sal_missing){
        .domain = node->domain,
        .op = node->op,
        .node = label(node),
        .opset = sal_onnx_node_opset(onnx, node),
        .since = op ? op->since : 0,
        .until = op ? op->until : 0,
    };
}

/* The row of that operator; a new one at the end. A file has few different ones that
 * are missing: looked up by "domain:op" all the same, since it may be hostile. */
static struct sal_missing *row_of(const struct sal_onnx *onnx,
                                  const struct sal_onnx_node *node,
                                  struct sal_names *known, struct sal_missing *list,
                                  int *n, struct sal_arena *scratch)
{
    const char *name = sal_arena_format(scratch, "%s:%s", node->domain, node->op);
    const struct sal_name *found = name ? sal_names_add(known, name, *n) : NULL;
    if (found)
        return &list[found->value];
    list[*n] = describe(onnx, node);
    return &list[(*n)++];
}

static int find_all(const struct sal_onnx *onnx, struct sal_arena *arena,
                    struct sal_arena *scratch, struct sal_missing **missing)
{
    struct walk walk = {.onnx = onnx};
    struct size size = {0};
    struct sal_names known;
    int n = 0;
    if (!measure(&onnx->graph, &size) ||
        !sal_names_init(&walk.wanted, scratch, (size_t)size.names))
        return 0;
    walk.found = sal_new(scratch, const struct sal_onnx_node *, size.nodes);
    if (walk.found)
        collect(&walk, &onnx->graph);
    *missing = sal_new(arena, struct sal_missing, walk.n);
    if (!*missing || !sal_names_init(&known, scratch, (size_t)walk.n))
        return 0;
    while (walk.n-- > 0)
        row_of(onnx, walk.found[walk.n], &known, *missing, &n, scratch)->count++;
    return n;
}

int sal_missing_find(const struct sal_onnx *onnx, struct sal_arena *arena,
                     struct sal_missing **missing)
{
    struct sal_arena scratch = {0};
    int n = find_all(onnx, arena, &scratch, missing);
    sal_arena_release(&scratch);
    return n;
}

/* ---- in one line --------------------------------------------------------------------
 */

static enum sal_status fail_for_one(const struct sal_missing *m, struct sal_error *err)
{
    if (m->since)
        return sal_fail(
            err, SAL_UNSUPPORTED,
            "operator %.60s (node '%.120s') is supported from opset %d to %d, "
            "the model has opset %lld",
            m->op, m->node, m->since, m->until, (long long)m->opset);
    return sal_fail(
        err, SAL_UNSUPPORTED,
        "operator %.60s%s%.60s (node '%.120s', opset %lld) is not supported", m->domain,
        *m->domain ? "." : "", m->op, m->node, (long long)m->opset);
}

/* Rows as "Loop (3, first 'x'), ..." as far as there is room; returns how many. */
static int join(const struct sal_missing *missing, int n, char *dst, size_t capacity)
{
    enum { ONE = 120 }; /* a row's longest */
    size_t used = 0;
    int told = 0;
    for (; told < n && used + ONE < capacity; told++)
        used += (size_t)snprintf(
            dst + used, capacity - used, "%s%.20s%s%.30s (%d, first '%.40s')",
            told ? ", " : "", missing[told].domain, *missing[told].domain ? "." : "",
            missing[told].op, missing[told].count, missing[told].node);
    return told;
}

static bool among(const struct sal_missing *missing, int n,
                  const struct sal_onnx_node *node)
{
    for (int i = 0; i < n; i++)
        if (strcmp(missing[i].op, node->op) == 0 &&
            strcmp(missing[i].domain, node->domain) == 0)
            return true;
    return false;
}

enum sal_status sal_missing_fail(const struct sal_onnx *onnx,
                                 const struct sal_onnx_node *node,
                                 struct sal_error *err)
{
    struct sal_arena arena = {0};
    struct sal_missing *missing = NULL;
    char text[300] = "";
    int n = sal_missing_find(onnx, &arena, &missing);
    if (n < 2 || !among(missing, n, node)) {
        struct sal_missing one = describe(onnx, node);
        sal_arena_release(&arena);
        return fail_for_one(&one, err);
    }
    int told = join(missing, n, text, sizeof(text)), more = n - told;
    sal_arena_release(&arena);
    if (more)
        return sal_fail(err, SAL_UNSUPPORTED,
                        "%d operators are not supported at opset %lld: %s and %d more",
                        n, (long long)onnx->opset, text, more);
    return sal_fail(err, SAL_UNSUPPORTED,
                    "%d operators are not supported at opset %lld: %s", n,
                    (long long)onnx->opset, text);
}
