/* Which nodes of a region run are computed in boxes. */
#include "region_state.h"

#include <string.h>

#include "inner_rows.h"
#include "kernel.h"
#include "lower.h"

/* A box that covers more of a map than this, on average, is not worth its gathering; unless
 * it is trimmed. */
#define SHARE_MAX 0.9

bool sal_field_of(const struct sal_tensor *tensor, struct sal_field *field)
{
    const struct sal_shape *s = &tensor->shape;
    bool blocked = s->rank == 5 && s->dim[1] == 1 && s->dim[4] == SAL_BLOCK;
    bool plain = s->rank == 4 && s->dim[0] == 1;
    if (tensor->kind != SAL_REAL || tensor->data || !(blocked || plain))
        return false;
    *field = (struct sal_field){.planes = s->dim[blocked ? 0 : 1],
                                .size = {s->dim[2], s->dim[3]},
                                .unit = blocked ? SAL_BLOCK : 1};
    return sal_shape_count(s) > 0;
}

static struct sal_field *new_field(struct sal_region *r, const struct sal_tensor *tensor,
                                   int room)
{
    struct sal_field *field = sal_new(&r->arena, struct sal_field, 1);
    if (!field || !sal_field_of(tensor, field))
        return NULL;
    field->box = sal_new(&r->arena, struct sal_box, room);
    field->first = sal_new(&r->arena, int64_t, room + 1);
    return field->box && field->first ? field : NULL;
}

/* ---- growing --------------------------------------------------------------------------- */

static void count_pixels(struct sal_field *field)
{
    for (int i = 0; i < field->n; i++)
        field->first[i + 1] = field->first[i] + sal_box_pixels(&field->box[i]);
}

void sal_region_grow(const struct sal_region_step *step)
{
    struct sal_field *to = step->to;
    bool begun = false;
    for (int j = 0; j < step->node->n_in; j++) {
        const struct sal_field *from = step->fields[j];
        struct sal_reach reach;
        if (!from || !step->op->reach(step->node, step->in, j, &reach))
            continue;
        to->n = from->n;
        for (int i = 0; i < to->n; i++) {
            struct sal_box grown = sal_box_grown(&from->box[i], &reach, to->size);
            to->box[i] = begun ? sal_box_union(&to->box[i], &grown) : grown;
        }
        begun = true;
    }
    count_pixels(to);
}

/* ---- whether ---------------------------------------------------------------------------- */

/* One number, or one for each channel: the same wherever boxes lie. */
static bool is_uniform(const struct sal_tensor *tensor, int unit)
{
    const struct sal_shape *s = &tensor->shape;
    int end = s->rank - (unit > 1);
    if (sal_shape_count(s) == 1)
        return true;
    for (int i = end - 2; i < end; i++)
        if (i >= 0 && s->dim[i] != 1)
            return false;
    return end >= 1 && (unit == 1 || (s->rank == 5 && s->dim[1] == 1));
}

/* What goes pixel by pixel must do so with every input. */
static bool is_pixelwise(const struct sal_region_step *step, bool says_so)
{
    for (int j = 0; j < step->node->n_in; j++) {
        const struct sal_field *from = step->fields[j];
        bool same = from && from->size[0] == step->to->size[0] &&
                    from->size[1] == step->to->size[1];
        if (step->node->in[j] < 0 ? false
            : from                ? !same
                                  : !says_so && !is_uniform(step->in[j], step->to->unit))
            return false;
        if (from && !says_so && from->unit != step->to->unit)
            return false;
    }
    return true;
}

static bool is_output(const struct sal_graph *graph, int v)
{
    for (int i = 0; i < graph->n_outputs; i++)
        if (graph->outputs[i] == v)
            return true;
    return false;
}

/* Fills the step of node i, all but boxes; false: it is none. */
static bool make_step(struct sal_region *r, int i, int room, struct sal_region_step *step)
{
    const struct sal_graph *graph = &r->one;
    const struct sal_node *node = &graph->nodes[i];
    bool any = false;
    *step = (struct sal_region_step){.node = node, .op = sal_region_op_of(node)};
    if (!step->op || node->n_out != 1 || node->out[0] < 0 || is_output(graph, node->out[0]) ||
        node->out[0] == r->from.score)
        return false;
    step->in = sal_new(&r->arena, const struct sal_tensor *, node->n_in);
    step->fields = sal_new(&r->arena, const struct sal_field *, node->n_in);
    step->to = new_field(r, &graph->values[node->out[0]].tensor, room);
    if (!step->in || !step->fields || !step->to)
        return false;
    for (int j = 0; j < node->n_in; j++) {
        int v = node->in[j];
        step->in[j] = v < 0 ? NULL : &graph->values[v].tensor;
        step->fields[j] = v < 0 ? NULL : r->fields[v];
        if (v >= 0 && !step->in[j]->data && !step->fields[j])
            return false; /* a whole map, or none */
        any |= step->fields[j] != NULL;
    }
    for (int j = 0; j < node->n_in; j++) {
        struct sal_reach reach;
        if (step->fields[j] ? !step->op->reach(node, step->in, j, &reach) : step->op->joins)
            return false;
    }
    return any && (step->op != &sal_region_pixels || is_pixelwise(step, node->op->region));
}

static double share_of(const struct sal_field *field)
{
    double whole = (double)(field->size[0] * field->size[1]) * (double)field->n;
    return whole > 0 ? (double)sal_field_pixels(field) / whole : 1;
}

static double macs_of(const struct sal_graph *graph, const struct sal_node *node,
                      struct sal_arena *arena)
{
    const struct sal_tensor **in = sal_new(arena, const struct sal_tensor *, node->n_in);
    const struct sal_tensor **out = sal_new(arena, const struct sal_tensor *, node->n_out);
    if (!node->op->macs || !in || !out)
        return 0;
    for (int j = 0; j < node->n_in; j++)
        in[j] = node->in[j] < 0 ? NULL : &graph->values[node->in[j]].tensor;
    for (int j = 0; j < node->n_out; j++)
        out[j] = node->out[j] < 0 ? NULL : &graph->values[node->out[j]].tensor;
    return node->op->macs(&(struct sal_kernel){.node = node, .in = in, .out = out});
}

/* ---- all nodes --------------------------------------------------------------------------- */

/* The value that has the image with channels first: what a Transpose, lowered or not, makes
 * of it where they come last, which then is done here; -1: there is none. */
static int find_input(struct sal_region *r)
{
    const struct sal_graph *graph = &r->one;
    int input = graph->inputs[0], user = -1, users = 0;
    if (!r->from.last)
        return input;
    for (int i = 0; i < graph->n_nodes; i++)
        for (int j = 0; j < graph->nodes[i].n_in; j++)
            if (graph->nodes[i].in[j] == input) {
                user = i;
                users++;
            }
    const struct sal_node *node = users == 1 ? &graph->nodes[user] : NULL;
    if (!node || (node->op != &sal_inner_from_rows && !sal_lower_turns_first(node)))
        return -1;
    r->boxed[user] = true;
    return graph->nodes[user].out[0];
}

static enum sal_status begin(struct sal_region *r, const struct sal_box *examples, int n,
                             int room, struct sal_error *err)
{
    const struct sal_graph *graph = &r->one;
    r->fields = sal_new(&r->arena, struct sal_field *, graph->n_values);
    r->boxed = sal_new(&r->arena, bool, graph->n_nodes);
    r->steps = sal_new(&r->arena, struct sal_region_step, graph->n_nodes);
    r->lives = sal_new(&r->arena, struct sal_interval, graph->n_nodes);
    if (!r->fields || !r->boxed || !r->steps || !r->lives)
        return sal_fail(err, SAL_LIMIT, "no memory for a region run");
    int input = graph->n_inputs == 1 ? find_input(r) : -1;
    struct sal_field *field =
        input < 0 ? NULL : new_field(r, &graph->values[input].tensor, room);
    if (!field)
        return SAL_OK;
    r->fields[input] = r->input = field;
    field->n = n;
    memcpy(field->box, examples, sizeof(*examples) * (size_t)n);
    count_pixels(field);
    if (r->from.last)
        r->turned = sal_new(&r->arena, sal_real,
                            r->batch * field->planes * field->size[0] * field->size[1] *
                                field->unit);
    return !r->from.last || r->turned ? SAL_OK
                                      : sal_fail(err, SAL_LIMIT, "no memory for a region run");
}

/* Parts of parts are the row's own. */
static bool set_parts(struct sal_region *r, const struct sal_region_step *step)
{
    int n = 0, at = 0;
    for (int i = 0; i < step->node->n_in; i++)
        n += sal_field_parts(step->fields[i]);
    const struct sal_field **parts = sal_new(&r->arena, const struct sal_field *, n);
    for (int i = 0; parts && i < step->node->n_in; i++)
        for (int j = 0; j < sal_field_parts(step->fields[i]); j++)
            parts[at++] = sal_field_part(step->fields[i], j);
    step->to->parts = parts;
    step->to->n_parts = n;
    return parts;
}

/* How long a value is needed: what reads a row of parts reads them. */
static void use(struct sal_region *r, const struct sal_field *field, int at)
{
    for (int i = 0; i < field->n_parts; i++)
        use(r, field->parts[i], at);
    for (int i = 0; i < r->n_steps; i++)
        if (r->steps[i].to == field && r->lives[i].last < at)
            r->lives[i].last = at;
}

static void find_lives(struct sal_region *r)
{
    for (int i = 0; i < r->n_steps; i++)
        r->lives[i] = (struct sal_interval){.first = i, .last = i};
    for (int i = 0; i < r->n_steps; i++)
        for (int j = 0; j < r->steps[i].node->n_in; j++)
            if (r->steps[i].fields[j])
                use(r, r->steps[i].fields[j], i);
    for (int i = 0; i < r->one.n_nodes; i++) {
        const struct sal_node *node = &r->one.nodes[i];
        for (int j = 0; j < node->n_in && !r->boxed[i]; j++)
            if (node->in[j] >= 0 && r->fields[node->in[j]])
                use(r, r->fields[node->in[j]], r->n_steps);
    }
}

enum sal_status sal_region_plan(struct sal_region *r, const struct sal_box *examples,
                                int n_examples, int room, struct sal_error *err)
{
    enum sal_status status = begin(r, examples, n_examples, room, err);
    double part = 0, most = r->trim > 0 ? 1 : SHARE_MAX;
    for (int i = 0; i < r->one.n_nodes && !status; i++) {
        struct sal_region_step *step = &r->steps[r->n_steps];
        const struct sal_node *node = &r->one.nodes[i];
        double macs = macs_of(&r->one, node, &r->passing), share = 2;
        if (!r->boxed[i] && make_step(r, i, room, step)) {
            sal_region_grow(step);
            share = share_of(step->to);
        }
        bool boxed = share <= most && !r->boxed[i];
        r->whole += macs;
        part += macs * (boxed ? share : 1);
        r->rest_macs += boxed ? 0 : macs;
        if (!boxed)
            continue;
        step->macs = macs;
        if (step->op->joins && !set_parts(r, step))
            return sal_fail(err, SAL_LIMIT, "no memory for a region run");
        r->fields[node->out[0]] = step->to;
        r->boxed[i] = true;
        r->n_steps++;
    }
    sal_arena_release(&r->passing);
    r->share = r->whole > 0 ? part / r->whole : 1;
    if (!status)
        find_lives(r);
    return status;
}
