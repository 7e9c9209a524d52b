#include <string.h>

#include "picks.h"

/* GatherElements and GatherND: the part is read from the whole. */

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, bool by_tuple,
                             struct sal_error *err)
{
    struct sal_pick *pick = sal_new(arena, struct sal_pick, 1);
    if (!pick)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = pick;
    pick->by_tuple = by_tuple;
    enum sal_status status = sal_attr_int(source, "axis", 0, &pick->axis, err);
    return status ? status
                  : sal_attr_int(source, "batch_dims", 0, &pick->batch_axes, err);
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    struct sal_shape part;
    enum sal_status status = sal_picks_infer(infer, infer->node->attr, &part, err);
    return status ? status : sal_infer_like(infer, 0, infer->in[0], &part, err);
}

static void read_lines(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    struct sal_picks picks;
    sal_picks_lay(&picks, k->node->attr, k);
    const size_t size = sal_kind_size(k->in[0]->kind);
    for (int64_t span; from < to; from += span) {
        struct sal_line line = sal_picks_line(&picks, from);
        span = sal_picks_span(&picks, from, to);
        for (int64_t i = 0; i < line.n; i++) {
            int64_t row = sal_picks_row(&picks, &line, i);
            int64_t x = line.whole + row * picks.step;
            int64_t y = line.part + i * picks.part_step;
            char *to_y = (char *)k->out[0]->data + (size_t)y * size;
            if (row < 0)
                memset(to_y, 0, (size_t)span * size);
            else
                memcpy(to_y, (char *)k->in[0]->data + (size_t)x * size,
                       (size_t)span * size);
        }
    }
}

static void add_lines(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    struct sal_picks picks;
    sal_picks_lay(&picks, k->node->attr, k);
    for (int64_t span; from < to; from += span) {
        struct sal_line line = sal_picks_line(&picks, from);
        span = sal_picks_span(&picks, from, to);
        for (int64_t i = 0; i < line.n; i++) {
            int64_t row = sal_picks_row(&picks, &line, i);
            if (row >= 0)
                sal_add(k->dx[0] + line.whole + row * picks.step,
                        k->dy[0] + line.part + i * picks.part_step, span);
        }
    }
}

static void forward(const struct sal_kernel *k)
{
    struct sal_picks picks;
    sal_picks_lay(&picks, k->node->attr, k);
    sal_split(k->pool, picks.lines, sal_grain(picks.n), read_lines, k);
}

static void backward(const struct sal_kernel *k)
{
    struct sal_picks picks;
    sal_picks_lay(&picks, k->node->attr, k);
    if (k->dx[0])
        sal_split(k->pool, picks.lines, sal_grain(picks.n), add_lines, k);
}

static void carry_axes(const struct sal_kernel *k, int input, int output,
                       struct sal_carry *carry)
{
    (void)output;
    if (input == 0)
        sal_picks_carry_whole(k->node->attr, k, carry);
}

#define PICK(op_name, tuples)                                                    \
    static enum sal_status op_name##_parse(                                      \
        struct sal_node *node, const struct sal_onnx_node *source,               \
        struct sal_arena *arena, struct sal_error *err)                          \
    {                                                                            \
        return parse(node, source, arena, tuples, err);                          \
    }                                                                            \
    const struct sal_op sal_op_##op_name = {                                     \
        .name = #op_name,                                                        \
        .since = 11,                                                             \
        .until = SAL_OPSET_MAX,                                                  \
        .min_in = 2,                                                             \
        .max_in = 2,                                                             \
        .max_out = 1,                                                            \
        .parse = op_name##_parse,                                                \
        .infer = infer,                                                          \
        .forward = forward,                                                      \
        .backward = backward,                                                    \
        .frugal = true,                                                          \
        .reads = {{.in = 1u << 1}},                                              \
        .carry = carry_axes,                                                     \
        .takes_quantised = true,                                                 \
    };

PICK(GatherElements, false)
PICK(GatherND, true)
