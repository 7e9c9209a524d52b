/* Operators that go pixel by pixel, over all boxes in one row. */
#include <string.h>

#include "boxes.h"

enum { INPUTS_MAX = 32 };

const sal_real *sal_region_input(const struct sal_region_kernel *k, int i)
{
    const struct sal_field *field = k->fields[i];
    if (sal_field_like(field, k->to))
        return field->data;
    int64_t n = field->planes * sal_field_pixels(k->to) * field->unit;
    sal_real *to = sal_new(k->arena, sal_real, n);
    if (to)
        sal_field_gather(field, k->to, to, k->pool);
    return to;
}

static struct sal_shape row_shape(const struct sal_field *field, int64_t pixels)
{
    if (field->unit == 1)
        return (struct sal_shape){.rank = 4, .dim = {1, field->planes, 1, pixels}};
    struct sal_blocked row = {1, field->planes * SAL_BLOCK, 1, pixels};
    return sal_blocked_shape(&row);
}

static bool call(struct sal_kernel *kernel, struct sal_arena *arena)
{
    const struct sal_op *op = kernel->node->op;
    size_t each = op->scratch ? op->scratch(kernel, false) : 0;
    kernel->scratch_stride = each;
    kernel->scratch =
        sal_new(arena, sal_real, each * (size_t)sal_pool_threads(kernel->pool));
    if (kernel->scratch)
        op->forward(kernel);
    return kernel->scratch;
}

bool sal_region_pixels_run(const struct sal_region_kernel *k, const struct sal_node *node)
{
    struct sal_tensor in[INPUTS_MAX], out = *k->out;
    const struct sal_tensor *ins[INPUTS_MAX], *const outs[1] = {&out};
    sal_real *dx[INPUTS_MAX] = {NULL};
    const sal_real *dy[1] = {NULL};
    int64_t pixels = sal_field_pixels(k->to);
    for (int i = 0; i < node->n_in && pixels; i++) {
        ins[i] = k->in[i];
        if (!k->fields[i])
            continue;
        in[i] = *k->in[i];
        in[i].shape = row_shape(k->fields[i], pixels);
        in[i].real = (sal_real *)(uintptr_t)sal_region_input(k, i);
        ins[i] = &in[i];
        if (!in[i].real)
            return false;
    }
    out.shape = row_shape(k->to, pixels);
    out.real = k->to->data;
    struct sal_kernel kernel = {
        .node = node, .in = ins, .out = outs, .dx = dx, .dy = dy, .pool = k->pool};
    return pixels ? call(&kernel, k->arena) : true;
}

static bool forward(const struct sal_region_kernel *k)
{
    return sal_region_pixels_run(k, k->node);
}

static bool reach(const struct sal_node *node, const struct sal_tensor *const *in, int input,
                  struct sal_reach *reach)
{
    (void)in, (void)input;
    *reach = sal_reach_same();
    return node->n_in <= INPUTS_MAX;
}

const struct sal_region_op sal_region_pixels = {.reach = reach, .forward = forward};

/* Of an operator that says nothing else: no plan made of the shapes. */
const struct sal_region_op *sal_region_op_of(const struct sal_node *node)
{
    const struct sal_op *op = node->op;
    bool plain = op->pointwise && !node->plan;
    return op->region ? op->region : plain ? &sal_region_pixels : NULL;
}
