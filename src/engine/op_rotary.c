#include <inttypes.h>
#include <string.h>

#include "kernel.h"

/*
 * RotaryEmbedding (23): pairs of a token's features are turned by an angle that its
 * position says. Cosines and sines come as tables, a row per position, or per token
 * where no positions are given.
 */
enum { X, COS, SIN, POSITIONS };

struct rotary {
    int64_t interleaved, heads, size; /* size 0: all of a head's features are turned */
};

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    struct rotary *rotary = sal_new(arena, struct rotary, 1);
    if (!rotary)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = rotary;
    enum sal_status status =
        sal_attr_int(source, "interleaved", 0, &rotary->interleaved, err);
    if (status || (status = sal_attr_int(source, "num_heads", 0, &rotary->heads, err)) ||
        (status = sal_attr_int(source, "rotary_embedding_dim", 0, &rotary->size, err)))
        return status;
    return SAL_OK;
}

/* Images x heads x tokens x features with a step for each but the last. */
struct layout {
    int64_t images, heads, tokens, features, pairs;
    int64_t image_step, head_step, token_step;
    int64_t first_step, pair_step; /* from a pair's first feature to its second; to the
                                      next pair */
    int64_t positions;             /* rows of the tables */
};

static enum sal_status lay_input(const struct sal_infer *infer, struct layout *l,
                                 struct sal_error *err)
{
    const struct rotary *rotary = infer->node->attr;
    const struct sal_shape *x = &infer->in[X]->shape;
    if (x->rank == 4) {
        *l = (struct layout){.images = x->dim[0],
                             .heads = x->dim[1],
                             .tokens = x->dim[2],
                             .features = x->dim[3],
                             .image_step = sal_shape_span(x, 1, 4),
                             .head_step = sal_shape_span(x, 2, 4),
                             .token_step = x->dim[3]};
    } else if (x->rank == 3) {
        if (rotary->heads < 1 || x->dim[2] % rotary->heads)
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "num_heads is %" PRId64 ", does not divide %" PRId64
                                 " features",
                                 rotary->heads, x->dim[2]);
        int64_t features = x->dim[2] / rotary->heads;
        *l = (struct layout){.images = x->dim[0],
                             .heads = rotary->heads,
                             .tokens = x->dim[1],
                             .features = features,
                             .image_step = sal_shape_span(x, 1, 3),
                             .head_step = features,
                             .token_step = x->dim[2]};
    } else {
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "input has %d axes, must have 3 or 4", x->rank);
    }
    int64_t turned = rotary->size ? rotary->size : l->features;
    if (turned < 0 || turned > l->features || turned % 2)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "turns %" PRId64 " of %" PRId64
                             " features (rotary_embedding_dim), must be an even number",
                             turned, l->features);
    l->pairs = turned / 2;
    l->first_step = rotary->interleaved ? 1 : l->pairs;
    l->pair_step = rotary->interleaved ? 2 : 1;
    return SAL_OK;
}

/* positions x pairs where positions are given, images x tokens x pairs else. */
static bool is_table(const struct sal_shape *table, const struct layout *l, bool shared)
{
    if (shared)
        return table->rank == 2 && table->dim[1] == l->pairs;
    return table->rank == 3 && table->dim[0] == l->images && table->dim[1] == l->tokens &&
           table->dim[2] == l->pairs;
}

static enum sal_status check_tables(const struct sal_infer *infer, struct layout *l,
                                    struct sal_error *err)
{
    const bool shared = sal_infer_in(infer, POSITIONS);
    for (int i = COS; i <= SIN; i++) {
        const struct sal_shape *table = &infer->in[i]->shape;
        char text[96];
        if (!is_table(table, l, shared) || !sal_shape_equal(table, &infer->in[COS]->shape))
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "input %d is %s, must be %s x %" PRId64, i,
                                 sal_shape_text(table, text, sizeof(text)),
                                 shared ? "positions" : "batch x tokens", l->pairs);
    }
    l->positions = shared ? infer->in[COS]->shape.dim[0] : l->images * l->tokens;
    return SAL_OK;
}

static enum sal_status check_positions(const struct sal_infer *infer,
                                       const struct layout *l, struct sal_error *err)
{
    const struct sal_tensor *positions = sal_infer_in(infer, POSITIONS);
    if (!positions)
        return SAL_OK;
    enum sal_status status = sal_infer_kind(infer, POSITIONS, SAL_INT, err);
    if (status)
        return status;
    const struct sal_shape *shape = &positions->shape;
    if (shape->rank != 2 || shape->dim[0] != l->images || shape->dim[1] != l->tokens)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "position_ids must be %" PRId64 " x %" PRId64, l->images,
                             l->tokens);
    for (int64_t i = 0; positions->data && i < l->images * l->tokens; i++)
        if (positions->i64[i] < 0 || positions->i64[i] >= l->positions)
            return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                                 "position %" PRId64 " is outside tables of %" PRId64
                                 " rows",
                                 positions->i64[i], l->positions);
    return SAL_OK;
}

static enum sal_status lay(const struct sal_infer *infer, struct layout *l,
                           struct sal_error *err)
{
    enum sal_status status = lay_input(infer, l, err);
    if (status || (status = check_tables(infer, l, err)))
        return status;
    return check_positions(infer, l, err);
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    struct layout l;
    enum sal_status status = SAL_OK;
    for (int i = X; i <= SIN && !status; i++)
        status = sal_infer_kind(infer, i, SAL_REAL, err);
    if (status || (status = lay(infer, &l, err)))
        return status;
    return sal_infer_same(infer, err);
}

/* ---- loops --------------------------------------------------------------------- */

static void lay_again(const struct sal_kernel *k, struct layout *l)
{
    lay(&(struct sal_infer){.node = k->node, .in = k->in}, l, NULL);
}

/* Row of the tables for a token; -1 where a position that was computed is outside. */
static int64_t table_row(const struct sal_kernel *k, const struct layout *l, int64_t token)
{
    const struct sal_tensor *positions = sal_kernel_in(k, POSITIONS);
    int64_t row = positions ? positions->i64[token] : token;
    return row >= 0 && row < l->positions ? row : -1;
}

static int64_t token_at(const struct layout *l, int64_t token, int64_t head)
{
    return token / l->tokens * l->image_step + token % l->tokens * l->token_step +
           head * l->head_step;
}

/* Pairs of one head of one token: out (+)= x turned, backwards where `back`. Without a
 * row of the table nothing is left of them, as of what Gather looks for in vain. */
static void turn(const struct sal_kernel *k, const struct layout *l, int64_t row,
                 const sal_real *x, sal_real *out, bool back)
{
    for (int64_t i = 0; i < l->pairs; i++) {
        sal_real cosine = row < 0 ? 0 : k->in[COS]->real[row * l->pairs + i];
        sal_real sine = row < 0 ? 0 : k->in[SIN]->real[row * l->pairs + i];
        const sal_real *a = x + i * l->pair_step, *b = a + l->first_step;
        sal_real *to_a = out + i * l->pair_step, *to_b = to_a + l->first_step;
        sine = back ? -sine : sine;
        sal_real first = cosine * *a - sine * *b, second = sine * *a + cosine * *b;
        *to_a = first + (back ? *to_a : 0);
        *to_b = second + (back ? *to_b : 0);
    }
}

static void turn_tokens(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    struct layout l;
    lay_again(k, &l);
    for (int64_t token = from; token < to; token++)
        for (int64_t head = 0; head < l.heads; head++) {
            int64_t at = token_at(&l, token, head), turned = 2 * l.pairs;
            const sal_real *x = k->in[X]->real + at;
            sal_real *y = k->out[0]->real + at;
            turn(k, &l, table_row(k, &l, token), x, y, false);
            if (l.features > turned)
                memcpy(y + turned, x + turned,
                       sizeof(*y) * (size_t)(l.features - turned));
        }
}

static void turn_back(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    (void)worker;
    struct layout l;
    lay_again(k, &l);
    for (int64_t token = from; token < to; token++)
        for (int64_t head = 0; head < l.heads; head++) {
            int64_t at = token_at(&l, token, head), turned = 2 * l.pairs;
            turn(k, &l, table_row(k, &l, token), k->dy[0] + at, k->dx[X] + at, true);
            sal_add(k->dx[X] + at + turned, k->dy[0] + at + turned, l.features - turned);
        }
}

/* Tables collect from every head and every token of their position. */
static void pull_tables(const struct sal_kernel *k, const struct layout *l)
{
    for (int64_t token = 0; token < l->images * l->tokens; token++)
        for (int64_t head = 0; head < l->heads; head++) {
            int64_t row = table_row(k, l, token), at = token_at(l, token, head);
            for (int64_t i = 0; i < l->pairs && row >= 0; i++) {
                const int64_t a = at + i * l->pair_step, b = a + l->first_step;
                const sal_real *x = k->in[X]->real, *dy = k->dy[0];
                if (k->dx[COS])
                    k->dx[COS][row * l->pairs + i] += x[a] * dy[a] + x[b] * dy[b];
                if (k->dx[SIN])
                    k->dx[SIN][row * l->pairs + i] += x[a] * dy[b] - x[b] * dy[a];
            }
        }
}

static void forward(const struct sal_kernel *k)
{
    struct layout l;
    lay_again(k, &l);
    sal_split(k->pool, l.images * l.tokens, sal_grain(l.heads * l.features), turn_tokens,
              k);
}

static void backward(const struct sal_kernel *k)
{
    struct layout l;
    lay_again(k, &l);
    if (k->dx[X])
        sal_split(k->pool, l.images * l.tokens, sal_grain(l.heads * l.features), turn_back,
                  k);
    if (k->dx[COS] || k->dx[SIN])
        pull_tables(k, &l);
}

static void carry_axes(const struct sal_kernel *k, int input, int output,
                       struct sal_carry *carry)
{
    if (input == X)
        sal_carry_in_order(k, input, output, carry);
}

const struct sal_op sal_op_RotaryEmbedding = {
    .name = "RotaryEmbedding",
    .since = 23,
    .until = SAL_OPSET_MAX,
    .min_in = 3,
    .max_in = 4,
    .max_out = 1,
    .parse = parse,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .frugal = true,
    .reads = SAL_READS(SAL_READS_ALL, 0),
    .carry = carry_axes,
};
