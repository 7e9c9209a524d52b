#include <string.h>

#include "picks.h"
#include "real.h"

/*
 * Scatter, ScatterElements and ScatterND: updates are written into a copy of the whole
 * or combined with what is there. Where an element is named twice by a scatter that
 * only writes, ONNX promises nothing and the last update stays.
 */
enum { DATA, INDICES, UPDATES };
enum reduction { NONE, ADD, MUL, MAX, MIN };

static const char *const reduction_names[] = {
    [NONE] = "none", [ADD] = "add", [MUL] = "mul", [MAX] = "max", [MIN] = "min",
};

struct scatter {
    struct sal_pick pick;
    enum reduction reduction;
};

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, bool by_tuple,
                             struct sal_error *err)
{
    struct scatter *scatter = sal_new(arena, struct scatter, 1);
    const char *name;
    if (!scatter)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = scatter;
    scatter->pick.by_tuple = by_tuple;
    enum sal_status status = sal_attr_int(source, "axis", 0, &scatter->pick.axis, err);
    if (status || (status = sal_attr_string(source, "reduction", "none", &name, err)))
        return status;
    int most = node->opset < 16 ? NONE : node->opset < 18 ? MUL : MIN;
    for (int i = 0; i <= most; i++)
        if (strcmp(name, reduction_names[i]) == 0) {
            scatter->reduction = (enum reduction)i;
            return SAL_OK;
        }
    return sal_node_fail(node, err, SAL_BAD_INPUT,
                         "reduction is '%.40s', which opset %d does not have", name,
                         node->opset);
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct scatter *scatter = infer->node->attr;
    struct sal_shape part;
    enum sal_status status = sal_picks_infer(infer, &scatter->pick, &part, err);
    if (status || (status = sal_infer_kind(infer, UPDATES, infer->in[DATA]->kind, err)))
        return status;
    if (!sal_shape_equal(&infer->in[UPDATES]->shape, &part)) {
        char text[2][96];
        return sal_node_fail(
            infer->node, err, SAL_BAD_INPUT, "updates are %s, must be %s",
            sal_shape_text(&infer->in[UPDATES]->shape, text[0], sizeof(text[0])),
            sal_shape_text(&part, text[1], sizeof(text[1])));
    }
    return sal_infer_same(infer, err);
}

static void layout_of(struct sal_picks *picks, const struct sal_kernel *k)
{
    const struct scatter *scatter = k->node->attr;
    sal_picks_lay(picks, &scatter->pick, k);
}

/* ---- forward ------------------------------------------------------------------- */

/* NaN wins, as in Max and Min. */
static sal_real better_real(enum reduction reduction, sal_real a, sal_real b)
{
    if (a != a || b != b)
        return a + b;
    return (reduction == MAX ? b > a : b < a) ? b : a;
}

static int64_t better_int(enum reduction reduction, int type, int64_t a, int64_t b)
{
    bool above = type == SAL_ONNX_UINT64 ? (uint64_t)b > (uint64_t)a : b > a;
    return (reduction == MAX) == above ? b : a;
}

static void combine_reals(enum reduction reduction, sal_real *y, const sal_real *u,
                          int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = reduction == NONE  ? u[i]
               : reduction == ADD ? y[i] + u[i]
               : reduction == MUL ? y[i] * u[i]
                                  : better_real(reduction, y[i], u[i]);
}

static void combine_integers(enum reduction reduction, int type, int64_t *y,
                             const int64_t *u, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint64_t a = (uint64_t)y[i], b = (uint64_t)u[i];
        y[i] = reduction == NONE  ? u[i]
               : reduction == ADD ? sal_int_wrap(type, (int64_t)(a + b))
               : reduction == MUL ? sal_int_wrap(type, (int64_t)(a * b))
                                  : better_int(reduction, type, y[i], u[i]);
    }
}

static void write_lines(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    struct sal_picks picks;
    layout_of(&picks, k);
    const struct scatter *scatter = k->node->attr;
    const struct sal_tensor *y = k->out[0], *u = k->in[UPDATES];
    for (int64_t span; from < to; from += span) {
        struct sal_line line = sal_picks_line(&picks, from);
        span = sal_picks_span(&picks, from, to);
        for (int64_t i = 0; i < line.n; i++) {
            int64_t row = sal_picks_row(&picks, &line, i);
            int64_t y_at = line.whole + row * picks.step;
            int64_t u_at = line.part + i * picks.part_step;
            if (row >= 0 && y->kind == SAL_REAL)
                combine_reals(scatter->reduction, y->real + y_at, u->real + u_at, span);
            else if (row >= 0)
                combine_integers(scatter->reduction, y->type, y->i64 + y_at,
                                 u->i64 + u_at, span);
        }
    }
}

static void forward(const struct sal_kernel *k)
{
    struct sal_picks picks;
    layout_of(&picks, k);
    sal_pass_forward(k);
    sal_split(k->pool, picks.lines, sal_grain(picks.n), write_lines, k);
}

/* ---- backward ------------------------------------------------------------------ */

/* One line: what a pull-back reads, where it adds (NULL: not wanted), and room for
 * numbers per row, cleared. */
struct pull {
    const struct sal_picks *picks;
    struct sal_line line;
    const sal_real *x, *y, *u, *dy;
    sal_real *dx, *du;
    sal_real *room;
    enum reduction reduction;
};

static void give(sal_real *to, int64_t at, sal_real value)
{
    if (to)
        to[at] += value;
}

/* The rest keeps what it had. */
static void pull_kept_rows(const struct pull *p, const sal_real *taken)
{
    for (int64_t row = 0; row < p->picks->rows; row++)
        if (!(taken[row] != 0))
            give(p->dx, row * p->picks->step, p->dy[row * p->picks->step]);
}

static void pull_written(const struct pull *p)
{
    sal_real *taken = p->room;
    for (int64_t i = p->line.n - 1; i >= 0; i--) {
        int64_t row = sal_picks_row(p->picks, &p->line, i);
        if (row < 0 || taken[row] != 0)
            continue;
        taken[row] = 1;
        give(p->du, i * p->picks->part_step, p->dy[row * p->picks->step]);
    }
    pull_kept_rows(p, taken);
}

static void pull_sums(const struct pull *p)
{
    for (int64_t i = 0; i < p->line.n; i++) {
        int64_t row = sal_picks_row(p->picks, &p->line, i);
        if (row >= 0)
            give(p->du, i * p->picks->part_step, p->dy[row * p->picks->step]);
    }
    pull_kept_rows(p, p->room); /* all of them */
}

static bool same(sal_real a, sal_real b)
{
    return a == b || (a != a && b != b);
}

/* The first of equals has made the output what it is. */
static void pull_extremes(const struct pull *p)
{
    const int64_t step = p->picks->step;
    sal_real *lost = p->room;
    for (int64_t row = 0; row < p->picks->rows; row++)
        lost[row] = !same(p->x[row * step], p->y[row * step]);
    pull_kept_rows(p, lost);
    for (int64_t i = 0; i < p->line.n; i++) {
        int64_t row = sal_picks_row(p->picks, &p->line, i);
        sal_real u = p->u[i * p->picks->part_step];
        if (row < 0 || !(lost[row] != 0) || !same(u, p->y[row * step]))
            continue;
        lost[row] = 0;
        give(p->du, i * p->picks->part_step, p->dy[row * step]);
    }
}

/* Product of a row's factors other than this one, from the product of those that are
 * not zero and the number of those that are. */
static sal_real others(sal_real factor, sal_real product, sal_real zeros)
{
    if (!(factor != 0))
        return zeros > 1 ? 0 : product;
    return zeros > 0 ? 0 : product / factor;
}

static void take_factor(sal_real factor, sal_real *product, sal_real *zeros)
{
    if (factor != 0)
        *product *= factor;
    else
        *zeros += 1;
}

static void pull_products(const struct pull *p)
{
    const int64_t step = p->picks->step, rows = p->picks->rows;
    sal_real *zeros = p->room, *product = p->room + rows;
    for (int64_t row = 0; row < rows; row++) {
        product[row] = 1;
        take_factor(p->x[row * step], &product[row], &zeros[row]);
    }
    for (int64_t i = 0; i < p->line.n; i++) {
        int64_t row = sal_picks_row(p->picks, &p->line, i);
        if (row >= 0)
            take_factor(p->u[i * p->picks->part_step], &product[row], &zeros[row]);
    }
    for (int64_t row = 0; row < rows; row++)
        give(p->dx, row * step,
             p->dy[row * step] * others(p->x[row * step], product[row], zeros[row]));
    for (int64_t i = 0; i < p->line.n; i++) {
        int64_t row = sal_picks_row(p->picks, &p->line, i), at = i * p->picks->part_step;
        if (row >= 0)
            give(p->du, at,
                 p->dy[row * step] * others(p->u[at], product[row], zeros[row]));
    }
}

static void (*const pulls[])(const struct pull *p) = {
    [NONE] = pull_written,  [ADD] = pull_sums,      [MUL] = pull_products,
    [MAX] = pull_extremes, [MIN] = pull_extremes,
};

/* Rows have two numbers. */
static size_t scratch(const struct sal_kernel *k, bool backward)
{
    struct sal_picks picks;
    layout_of(&picks, k);
    return backward ? 2 * (size_t)picks.rows : 0;
}

static void pull_lines(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    struct sal_picks picks;
    layout_of(&picks, k);
    const struct scatter *scatter = k->node->attr;
    for (int64_t i = from; i < to; i++) {
        struct sal_line line = sal_picks_line(&picks, i);
        struct pull pull = {
            .picks = &picks,
            .line = line,
            .x = k->in[DATA]->real + line.whole,
            .y = k->out[0]->real + line.whole,
            .u = k->in[UPDATES]->real + line.part,
            .dy = k->dy[0] + line.whole,
            .dx = k->dx[DATA] ? k->dx[DATA] + line.whole : NULL,
            .du = k->dx[UPDATES] ? k->dx[UPDATES] + line.part : NULL,
            .room = k->scratch + (size_t)worker * k->scratch_stride,
        };
        memset(pull.room, 0, sizeof(sal_real) * 2 * (size_t)picks.rows);
        pulls[scatter->reduction](&pull);
    }
}

static void backward(const struct sal_kernel *k)
{
    struct sal_picks picks;
    layout_of(&picks, k);
    if (picks.rows)
        sal_split(k->pool, picks.lines, sal_grain(picks.rows + picks.n), pull_lines, k);
}

/* The data keep their place, updates have it but where indices send them. */
static void carry_axes(const struct sal_kernel *k, int input, int output,
                       struct sal_carry *carry)
{
    const struct scatter *scatter = k->node->attr;
    if (input == DATA)
        sal_carry_in_order(k, input, output, carry);
    else if (input == UPDATES)
        sal_picks_carry_part(&scatter->pick, k, carry);
}

/* ---- rows ---------------------------------------------------------------------- */

#define SCATTER(op_name, op_since, op_until, tuples)                             \
    static enum sal_status op_name##_parse(                                      \
        struct sal_node *node, const struct sal_onnx_node *source,               \
        struct sal_arena *arena, struct sal_error *err)                          \
    {                                                                            \
        return parse(node, source, arena, tuples, err);                          \
    }                                                                            \
    const struct sal_op sal_op_##op_name = {                                     \
        .name = #op_name,                                                        \
        .since = op_since,                                                       \
        .until = op_until,                                                       \
        .min_in = 3,                                                             \
        .max_in = 3,                                                             \
        .max_out = 1,                                                            \
        .parse = op_name##_parse,                                                \
        .infer = infer,                                                          \
        .forward = forward,                                                      \
        .backward = backward,                                                    \
        .carry = carry_axes,                                                     \
        .scratch = scratch,                                                      \
    };

SCATTER(Scatter, 9, 10, false)
SCATTER(ScatterElements, 11, SAL_OPSET_MAX, false)
SCATTER(ScatterND, 11, SAL_OPSET_MAX, true)
