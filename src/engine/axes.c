#include "axes.h"

#include <limits.h>
#include <string.h>

#include "binding.h"

static bool is_spatial(int role)
{
    return role >= SAL_AXIS_ROW;
}

/* ---- reshapes ---------------------------------------------------------------------- */

/* A walk over two shapes of equal count: in each block a run of one shape's axes holds
 * the same elements as a run of the other's. Axes of one element are passed over. */
struct block {
    const struct sal_shape *x, *y;
    int x_from, x_to, y_from, y_to;
};

static int past_ones(const struct sal_shape *shape, int i)
{
    while (i < shape->rank && shape->dim[i] == 1)
        i++;
    return i;
}

/* Grows the shorter run until both hold as much; false: there is no more. */
static bool next_block(struct block *b)
{
    b->x_from = past_ones(b->x, b->x_to);
    b->y_from = past_ones(b->y, b->y_to);
    if (b->x_from >= b->x->rank || b->y_from >= b->y->rank)
        return false;
    int64_t x = b->x->dim[b->x_from], y = b->y->dim[b->y_from];
    b->x_to = b->x_from + 1;
    b->y_to = b->y_from + 1;
    while (x != y) {
        if (x < y && b->x_to < b->x->rank)
            x *= b->x->dim[b->x_to++];
        else if (y < x && b->y_to < b->y->rank)
            y *= b->y->dim[b->y_to++];
        else
            return false;
    }
    return true;
}

/* The axes of a run that have more than one element. */
static int run_of(const struct sal_shape *shape, int from, int to, int axes[SAL_RANK_MAX])
{
    int n = 0;
    for (int i = from; i < to; i++)
        if (shape->dim[i] != 1)
            axes[n++] = i;
    return n;
}

/* One axis made of rows and columns, or cut into them; an axis cut into coarse steps
 * and what lies in one; channels however they are grouped. All else loses its meaning. */
static void reshape_block(const struct block *b, const struct sal_axes *from,
                          struct sal_axes *to)
{
    int x[SAL_RANK_MAX], y[SAL_RANK_MAX];
    int n_x = run_of(b->x, b->x_from, b->x_to, x);
    int n_y = run_of(b->y, b->y_from, b->y_to, y);
    int first = from->role[x[0]];
    bool channels = true;
    for (int i = 0; i < n_x; i++)
        channels &= from->role[x[i]] == SAL_AXIS_CHANNEL;
    if (n_x == 1 && n_y == 1) {
        to->role[y[0]] = (unsigned char)first;
    } else if (channels) {
        for (int i = 0; i < n_y; i++)
            to->role[y[i]] = SAL_AXIS_CHANNEL;
    } else if (n_x == 2 && n_y == 1 && first == SAL_AXIS_ROW &&
               from->role[x[1]] == SAL_AXIS_COLUMN) {
        to->role[y[0]] = SAL_AXIS_TOKEN;
        to->rows = b->x->dim[x[0]];
        to->columns = b->x->dim[x[1]];
        to->skipped = 0;
    } else if (n_x == 1 && n_y == 2 && first == SAL_AXIS_TOKEN &&
               b->y->dim[y[0]] == from->rows && b->y->dim[y[1]] == from->columns) {
        to->role[y[0]] = SAL_AXIS_ROW;
        to->role[y[1]] = SAL_AXIS_COLUMN;
    } else if (n_x == 1 && n_y == 2 &&
               (first == SAL_AXIS_ROW || first == SAL_AXIS_COLUMN)) {
        to->role[y[0]] = (unsigned char)first;
        to->role[y[1]] = SAL_AXIS_CHANNEL;
    }
}

static void reshape(const struct sal_shape *x, const struct sal_shape *y,
                    const struct sal_axes *from, struct sal_axes *to)
{
    struct block b = {.x = x, .y = y};
    *to = (struct sal_axes){
        .rows = from->rows, .columns = from->columns, .skipped = from->skipped};
    while (next_block(&b))
        reshape_block(&b, from, to);
}

/* ---- one node ------------------------------------------------------------------------ */

/* A node bound to its tensors, and which of its inputs depend on the picture. */
struct step {
    const struct sal_graph *graph;
    const struct sal_node *node;
    struct sal_kernel kernel;
    struct sal_axes *axes;
};

static const struct sal_shape *shape_of(const struct step *s, int value)
{
    return &s->graph->values[value].tensor.shape;
}

static bool depends(const struct step *s, int input)
{
    int value = s->node->in[input];
    return value >= 0 && !s->graph->values[value].tensor.data;
}

/* Element by element: axes meet at the back. */
static void carry_aligned(const struct sal_shape *x, const struct sal_shape *y,
                          struct sal_carry *carry)
{
    for (int i = 0; i < y->rank; i++) {
        int own = i - (y->rank - x->rank);
        if (own >= 0 && x->dim[own] == y->dim[i])
            carry->axis[i] = own;
    }
}

static void carry_of(const struct step *s, int input, int output, struct sal_carry *carry)
{
    const struct sal_shape *x = shape_of(s, s->node->in[input]);
    const struct sal_shape *y = shape_of(s, s->node->out[output]);
    *carry = (struct sal_carry){0};
    for (int i = 0; i < SAL_RANK_MAX; i++) {
        carry->axis[i] = -1;
        carry->exact[i] = true;
        carry->to[i] = i < x->rank ? x->dim[i] : 0;
    }
    if (s->node->op->carry)
        s->node->op->carry(&s->kernel, input, output, carry);
    else
        carry_aligned(x, y, carry);
}

/* What `input` says of the axes of `output`. */
static void follow(const struct step *s, int input, int output, struct sal_axes *to,
                   int64_t skip[SAL_RANK_MAX])
{
    const struct sal_axes *from = &s->axes[s->node->in[input]];
    const struct sal_shape *x = shape_of(s, s->node->in[input]);
    const struct sal_shape *y = shape_of(s, s->node->out[output]);
    struct sal_carry carry;
    memset(skip, 0, SAL_RANK_MAX * sizeof(*skip));
    if (s->node->op->passes) {
        reshape(x, y, from, to);
        return;
    }
    carry_of(s, input, output, &carry);
    *to = (struct sal_axes){.rows = from->rows, .columns = from->columns};
    for (int i = 0; i < y->rank; i++) {
        int own = carry.axis[i];
        to->role[i] = own < 0 ? SAL_AXIS_CHANNEL : from->role[own];
        skip[i] = carry.skip[i];
        if (own < 0 || from->role[own] != SAL_AXIS_TOKEN)
            continue;
        to->skipped = from->skipped - carry.skip[i];
        int64_t end = to->skipped + from->rows * from->columns;
        if (!carry.exact[i] || to->skipped < 0 || end > y->dim[i])
            to->role[i] = SAL_AXIS_OTHER;
    }
}

/* Two inputs' word on one axis: space is worth more than channels, and those more than
 * nothing; space against other space is lost. */
static void agree(struct sal_axes *all, int64_t all_skip[SAL_RANK_MAX],
                  const struct sal_axes *more, const int64_t skip[SAL_RANK_MAX], int rank)
{
    for (int i = 0; i < rank; i++) {
        int a = all->role[i], b = more->role[i];
        bool token = a == SAL_AXIS_TOKEN;
        bool same_grid = !token || (all->rows == more->rows &&
                                    all->columns == more->columns &&
                                    all->skipped == more->skipped);
        bool same = a == b && all_skip[i] == skip[i] && same_grid;
        if (is_spatial(a) && is_spatial(b) && !same)
            all->role[i] = SAL_AXIS_OTHER;
        else if (!is_spatial(a) && b > a)
            all->role[i] = (unsigned char)b;
        if (b == SAL_AXIS_TOKEN && !token) {
            all->rows = more->rows;
            all->columns = more->columns;
            all->skipped = more->skipped;
        }
        all_skip[i] = is_spatial(b) ? skip[i] : all_skip[i];
    }
}

static void trace_output(const struct step *s, int output)
{
    const int rank = shape_of(s, s->node->out[output])->rank;
    struct sal_axes *all = &s->axes[s->node->out[output]], one;
    int64_t all_skip[SAL_RANK_MAX] = {0}, skip[SAL_RANK_MAX];
    bool first = true;
    for (int i = 0; i < s->node->n_in; i++) {
        if (!depends(s, i))
            continue;
        follow(s, i, output, first ? all : &one, first ? all_skip : skip);
        if (!first)
            agree(all, all_skip, &one, skip, rank);
        first = false;
    }
}

/* ---- does it matter ------------------------------------------------------------------ */

static unsigned spatial_axes(const struct sal_axes *axes, int rank)
{
    unsigned mask = 0;
    for (int i = 0; i < rank; i++)
        mask |= is_spatial(axes->role[i]) ? 1u << i : 0;
    return mask;
}

/* The picture's positions along an axis of an input are among what the output reads:
 * not so where only class tokens are taken. */
static bool is_read(const struct sal_axes *axes, int axis, const struct sal_carry *carry)
{
    int64_t first = 0, end = INT64_MAX;
    if (axes->role[axis] == SAL_AXIS_TOKEN) {
        first = axes->skipped;
        end = first + axes->rows * axes->columns;
    }
    return carry->from[axis] < end && carry->to[axis] > first;
}

/* Axes of an input along which the picture's positions can change the score through
 * one output. Where the output keeps positions apart, its own must matter. */
static unsigned matter_through(const struct step *s, const unsigned char *matters,
                               int input, int output)
{
    int in = s->node->in[input], out = s->node->out[output];
    int x_rank = shape_of(s, in)->rank, y_rank = shape_of(s, out)->rank;
    unsigned space = spatial_axes(&s->axes[in], x_rank);
    if (s->node->op->passes) {
        unsigned kept = spatial_axes(&s->axes[out], y_rank);
        return ~space | (!kept || (matters[out] & kept) == kept ? space : 0);
    }
    unsigned mask = ~space;
    struct sal_carry carry;
    carry_of(s, input, output, &carry);
    for (int i = 0; i < x_rank; i++) {
        bool kept = false, counts = false;
        for (int j = 0; j < y_rank; j++)
            if (carry.axis[j] == i && is_spatial(s->axes[out].role[j])) {
                kept = true;
                counts |= matters[out] >> j & 1;
            }
        if (kept ? counts : is_read(&s->axes[in], i, &carry))
            mask |= 1u << i;
    }
    return mask;
}

static void trace_back(const struct step *s, bool *needs, unsigned char *matters)
{
    for (int j = 0; j < s->node->n_out; j++)
        for (int i = 0; i < s->node->n_in; i++) {
            bool reached = s->node->out[j] >= 0 && needs[s->node->out[j]];
            if (!reached || !depends(s, i))
                continue;
            needs[s->node->in[i]] = true;
            matters[s->node->in[i]] |= (unsigned char)matter_through(s, matters, i, j);
        }
}

/* ---- the graph --------------------------------------------------------------------------- */

static void bind(struct step *s, const struct sal_node *node, struct sal_binding *binding)
{
    struct sal_value *values = s->graph->values;
    for (int i = 0; i < node->n_in; i++)
        binding->in[i] = node->in[i] < 0 ? NULL : &values[node->in[i]].tensor;
    for (int i = 0; i < node->n_out; i++)
        binding->out[i] = node->out[i] < 0 ? NULL : &values[node->out[i]].tensor;
    s->node = node;
    s->kernel = sal_binding_kernel(binding, NULL);
}

static void name_input(const struct sal_graph *graph, enum sal_layout layout,
                       struct sal_axes *axes)
{
    static const unsigned char roles[][4] = {
        [SAL_LAYOUT_NCHW] = {SAL_AXIS_OTHER, SAL_AXIS_CHANNEL, SAL_AXIS_ROW,
                             SAL_AXIS_COLUMN},
        [SAL_LAYOUT_NHWC] = {SAL_AXIS_OTHER, SAL_AXIS_ROW, SAL_AXIS_COLUMN,
                             SAL_AXIS_CHANNEL},
    };
    memcpy(axes[graph->inputs[0]].role, roles[layout], sizeof(roles[layout]));
}

bool sal_axes_trace(const struct sal_graph *graph, enum sal_layout layout, int score,
                    struct sal_axes *axes, unsigned char *matters)
{
    struct sal_arena scratch = {0};
    struct step s = {.graph = graph, .axes = axes};
    struct sal_binding *bindings = sal_new(&scratch, struct sal_binding, graph->n_nodes);
    bool *needs = sal_new(&scratch, bool, graph->n_values);
    bool fits = bindings && needs;
    memset(axes, 0, sizeof(*axes) * (size_t)graph->n_values);
    memset(matters, 0, sizeof(*matters) * (size_t)graph->n_values);
    matters[score] = UCHAR_MAX;
    name_input(graph, layout, axes);
    for (int i = 0; fits && i < graph->n_nodes; i++) {
        const struct sal_node *node = &graph->nodes[i];
        if (!(fits = sal_binding_init(&bindings[i], node, &scratch)))
            break;
        bind(&s, node, &bindings[i]);
        for (int j = 0; j < node->n_out; j++)
            if (node->out[j] >= 0)
                trace_output(&s, j);
    }
    if (fits)
        needs[score] = true;
    for (int i = graph->n_nodes - 1; fits && i >= 0; i--) {
        bind(&s, &graph->nodes[i], &bindings[i]);
        trace_back(&s, needs, matters);
    }
    sal_arena_release(&scratch);
    return fits;
}

/* ---- layers ------------------------------------------------------------------------------- */

static void place_axis(struct sal_layer *layer, const struct sal_axes *axes, int role,
                       int dim, int64_t step)
{
    if (role == SAL_AXIS_ROW) {
        layer->height = dim;
        layer->step_row = step;
    } else if (role == SAL_AXIS_COLUMN) {
        layer->width = dim;
        layer->step_column = step;
    } else if (role == SAL_AXIS_TOKEN) {
        layer->height = (int)axes->rows;
        layer->width = (int)axes->columns;
        layer->step_column = step;
        layer->step_row = step * axes->columns;
        layer->at = step * axes->skipped;
        layer->tokens = dim;
    } else {
        layer->channels = dim;
        layer->step_channel = step;
    }
}

bool sal_axes_layer(const struct sal_graph *graph, const struct sal_axes *axes,
                    const unsigned char *matters, int value, struct sal_layer *layer)
{
    const struct sal_shape *shape = &graph->values[value].tensor.shape;
    const struct sal_axes *own = &axes[value];
    unsigned space = spatial_axes(own, shape->rank);
    int seen[SAL_AXIS_TOKEN + 1] = {0};
    int64_t step = 1;
    *layer = (struct sal_layer){.value = value, .channels = 1};
    for (int i = shape->rank - 1; i >= 0; step *= shape->dim[i--]) {
        int role = own->role[i];
        if (shape->dim[i] == 1 && !is_spatial(role))
            continue;
        seen[role]++;
        place_axis(layer, own, role, (int)shape->dim[i], step);
    }
    bool grid = seen[SAL_AXIS_TOKEN] + seen[SAL_AXIS_ROW] == 1 &&
                seen[SAL_AXIS_COLUMN] == seen[SAL_AXIS_ROW];
    return grid && !seen[SAL_AXIS_OTHER] && seen[SAL_AXIS_CHANNEL] <= 1 &&
           (int64_t)layer->height * layer->width > 1 && (matters[value] & space) == space;
}
