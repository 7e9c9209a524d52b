#include <inttypes.h>
#include <string.h>

#include "attention.h"
#include "blas.h"
#include "real.h"

/* Attention (23, 24, 25). */

/* ---- attributes ---------------------------------------------------------------- */

static enum sal_status check_attributes(const struct sal_node *node,
                                        const struct sal_attention *a, int64_t precision,
                                        struct sal_error *err)
{
    enum sal_kind kind = SAL_INT;
    if (a->mode < SAL_SCORES_RAW || a->mode > SAL_SCORES_SOFT)
        return sal_node_fail(node, err, SAL_BAD_INPUT,
                             "qk_matmul_output_mode is %" PRId64 ", must be 0 to 3",
                             a->mode);
    if (a->left < -1 || a->right < -1)
        return sal_node_fail(node, err, SAL_BAD_INPUT,
                             "a window size is below -1, which is none");
    if (!(a->scale >= 0) || !(a->softcap >= 0))
        return sal_node_fail(node, err, SAL_BAD_INPUT,
                             "scale and softcap must not be negative");
    if (precision < 0 || precision > INT32_MAX ||
        (precision && !(sal_type_kind((int)precision, &kind) && kind == SAL_REAL)))
        return sal_node_fail(node, err, SAL_BAD_INPUT,
                             "softmax_precision must be a floating type");
    return SAL_OK;
}

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    struct sal_attention *a = sal_new(arena, struct sal_attention, 1);
    int64_t precision = 0;
    if (!a)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = a;
    a->scaled = sal_onnx_node_attr(source, "scale");
    const struct {
        const char *name;
        int64_t fallback, *value;
    } integers[] = {
        {"q_num_heads", 0, &a->q_heads},       {"kv_num_heads", 0, &a->kv_heads},
        {"is_causal", 0, &a->causal},          {"left_window_size", -1, &a->left},
        {"right_window_size", -1, &a->right},  {"qk_matmul_output_mode", 0, &a->mode},
        {"softmax_precision", 0, &precision},
    };
    enum sal_status status = SAL_OK;
    for (size_t i = 0; i < sizeof(integers) / sizeof(*integers) && !status; i++)
        status = sal_attr_int(source, integers[i].name, integers[i].fallback,
                              integers[i].value, err);
    if (status || (status = sal_attr_float(source, "scale", 1, &a->scale, err)) ||
        (status = sal_attr_float(source, "softcap", 0, &a->softcap, err)))
        return status;
    return check_attributes(node, a, precision, err);
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    struct sal_attention_layout l;
    enum sal_status status = sal_attention_lay(infer, &l, err);
    if (status)
        return status;
    const struct sal_tensor *q = infer->in[SAL_Q], *v = infer->in[SAL_V];
    struct sal_shape y = {.rank = 4, .dim = {l.images, l.q_heads, l.queries, l.v_size}};
    struct sal_shape k = {.rank = 4, .dim = {l.images, l.kv_heads, l.total, l.size}};
    struct sal_shape scores = y;
    if (q->shape.rank == 3)
        y = (struct sal_shape){.rank = 3,
                               .dim = {l.images, l.queries, l.q_heads * l.v_size}};
    scores.dim[3] = l.total;
    if ((status = sal_infer_like(infer, SAL_Y, q, &y, err)) ||
        (status = sal_infer_like(infer, SAL_PRESENT_K, q, &k, err)))
        return status;
    k.dim[3] = l.v_size;
    status = sal_infer_like(infer, SAL_PRESENT_V, v, &k, err);
    return status ? status : sal_infer_like(infer, SAL_SCORES, q, &scores, err);
}

/* ---- tiles --------------------------------------------------------------------- */

static int64_t blocks_of(const struct sal_attention_layout *l)
{
    return (l->queries + SAL_QUERY_ROWS - 1) / SAL_QUERY_ROWS;
}

int64_t sal_attention_tiles(const struct sal_attention_layout *l, int64_t heads)
{
    return l->images * heads * blocks_of(l);
}

struct sal_attention_tile sal_attention_tile(const struct sal_kernel *k, int64_t tile)
{
    struct sal_attention_tile t = {.k = k};
    sal_attention_lay(&(struct sal_infer){.node = k->node, .in = k->in}, &t.layout, NULL);
    const struct sal_attention_layout *l = &t.layout;
    int64_t blocks = blocks_of(l);
    t.row = tile % blocks * SAL_QUERY_ROWS;
    t.rows = sal_least(SAL_QUERY_ROWS, l->queries - t.row);
    t.head = tile / blocks % l->q_heads;
    t.image = tile / blocks / l->q_heads;
    t.kv_head = t.head / (l->q_heads / l->kv_heads);
    return t;
}

int64_t sal_attention_at(const struct sal_attention_tile *t, const struct sal_heads *lies)
{
    return t->image * lies->image + t->head * lies->head + t->row * lies->row;
}

int64_t sal_attention_keys_at(const struct sal_attention_tile *t,
                              const struct sal_heads *lies)
{
    return t->image * lies->image + t->kv_head * lies->head;
}

/* ---- scores -------------------------------------------------------------------- */

static const struct sal_tensor *stretch(const struct sal_kernel *k, int i, bool fresh)
{
    return sal_kernel_in(k, fresh ? i : i - SAL_K + SAL_PAST_K);
}

void sal_attention_scores(const struct sal_attention_tile *t, sal_real *s)
{
    const struct sal_attention_layout *l = &t->layout;
    const struct sal_matrix q = {t->k->in[SAL_Q]->real + sal_attention_at(t, &l->q),
                                 l->q.row, false};
    for (int i = 0; i < 2; s += l->keys[i++]) {
        if (!l->keys[i])
            continue;
        const struct sal_matrix keys = {
            stretch(t->k, SAL_K, i)->real + sal_attention_keys_at(t, &l->k[i]),
            l->k[i].row, true};
        sal_gemm(t->rows, l->keys[i], l->size, l->scale, q, keys, 0, s, l->total);
    }
}

void sal_attention_cap(const struct sal_attention_tile *t, sal_real *s)
{
    const sal_real cap = t->layout.softcap;
    for (int64_t i = 0; cap > 0 && i < t->rows * t->layout.total; i++)
        s[i] = cap * sal_tanh(s[i] / cap);
}

/* The keys that a query row may attend: from..to-1. */
struct reach {
    int64_t from, to;
};

/* The row's place among the keys is behind those that were there before. */
static struct reach reach_of(const struct sal_attention_tile *t, int64_t row)
{
    const struct sal_attention *a = t->k->node->attr;
    const struct sal_attention_layout *l = &t->layout;
    const struct sal_tensor *valid = sal_kernel_in(t->k, SAL_VALID_KEYS);
    struct reach reach = {0, sal_least(l->total, l->masked_keys)};
    int64_t before = l->keys[0];
    if (valid) {
        int64_t n = valid->i64[t->image];
        n = n < 0 ? 0 : sal_least(n, l->total);
        reach.to = sal_least(reach.to, n);
        before = n - l->queries;
    }
    int64_t at = row + before;
    if (a->causal)
        reach.to = sal_least(reach.to, at + 1);
    const int64_t far = l->total + l->queries; /* so wide a window leaves nothing out */
    if (a->right >= 0 && a->right < far)
        reach.to = sal_least(reach.to, at + a->right + 1);
    if (a->left >= 0 && a->left < far && at - a->left > reach.from)
        reach.from = at - a->left;
    return reach;
}

/* What the mask adds to key j of a row that begins at `at`. */
static sal_real mask_value(const struct sal_tensor *mask, int64_t at)
{
    if (mask->kind == SAL_REAL)
        return mask->real[at];
    return mask->i64[at] ? 0 : -SAL_INFINITY;
}

void sal_attention_bias(const struct sal_attention_tile *t, sal_real *s)
{
    const struct sal_attention_layout *l = &t->layout;
    const struct sal_tensor *mask = sal_kernel_in(t->k, SAL_MASK);
    for (int64_t i = 0; i < t->rows; i++, s += l->total) {
        struct reach reach = reach_of(t, t->row + i);
        int64_t at = t->image * l->mask_step[0] + t->head * l->mask_step[1] +
                     (t->row + i) * l->mask_step[2];
        for (int64_t j = 0; j < l->total; j++) {
            bool out = j < reach.from || j >= reach.to;
            sal_real bias = out    ? -SAL_INFINITY
                            : mask ? mask_value(mask, at + j * l->mask_step[3])
                                   : 0;
            /* Shut out, whatever the score: infinities would give NaN. */
            s[j] = bias == -SAL_INFINITY ? bias : s[j] + bias;
        }
    }
}

/* A row that may attend to nothing attends to nothing. */
static void soften_row(sal_real *s, int64_t n)
{
    sal_real most = -SAL_INFINITY, sum = 0;
    for (int64_t j = 0; j < n; j++)
        most = s[j] > most ? s[j] : most;
    bool none = most == -SAL_INFINITY;
    for (int64_t j = 0; j < n; j++) {
        s[j] = none && s[j] == most ? 0 : sal_exp(s[j] - most);
        sum += s[j];
    }
    for (int64_t j = 0; j < n && !none; j++)
        s[j] /= sum;
}

void sal_attention_soften(const struct sal_attention_tile *t, sal_real *s)
{
    for (int64_t i = 0; i < t->rows; i++)
        soften_row(s + i * t->layout.total, t->layout.total);
}

/* ---- forward ------------------------------------------------------------------- */

static void show(const struct sal_attention_tile *t, int mode, const sal_real *s)
{
    const struct sal_attention *a = t->k->node->attr;
    const struct sal_attention_layout *l = &t->layout;
    const struct sal_tensor *scores = sal_kernel_out(t->k, SAL_SCORES);
    if (!scores || a->mode != mode)
        return;
    int64_t at = ((t->image * l->q_heads + t->head) * l->queries + t->row) * l->total;
    if (l->total)
        memcpy(scores->real + at, s, sizeof(*s) * (size_t)(t->rows * l->total));
}

/* Rows of y from the rows' shares of each value. */
static void mix_values(const struct sal_attention_tile *t, const sal_real *shares)
{
    const struct sal_attention_layout *l = &t->layout;
    const struct sal_tensor *out = sal_kernel_out(t->k, SAL_Y);
    if (!out || !l->v_size)
        return;
    sal_real *y = out->real + sal_attention_at(t, &l->y);
    for (int64_t i = 0; i < t->rows; i++)
        memset(y + i * l->y.row, 0, sizeof(*y) * (size_t)l->v_size);
    for (int i = 0; i < 2; shares += l->keys[i++]) {
        if (!l->keys[i])
            continue;
        const struct sal_matrix values = {
            stretch(t->k, SAL_V, i)->real + sal_attention_keys_at(t, &l->v[i]),
            l->v[i].row, false};
        sal_gemm(t->rows, l->v_size, l->keys[i], 1,
                 (struct sal_matrix){shares, l->total, false}, values, 1, y, l->y.row);
    }
}

static void attend(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    sal_real *s = k->scratch + (size_t)worker * k->scratch_stride;
    for (int64_t tile = from; tile < to; tile++) {
        struct sal_attention_tile t = sal_attention_tile(k, tile);
        sal_attention_scores(&t, s);
        show(&t, SAL_SCORES_RAW, s);
        sal_attention_cap(&t, s);
        show(&t, SAL_SCORES_CAPPED, s);
        sal_attention_bias(&t, s);
        show(&t, SAL_SCORES_BIASED, s);
        sal_attention_soften(&t, s);
        show(&t, SAL_SCORES_SOFT, s);
        mix_values(&t, s);
    }
}

/* Joins the cached and the new rows of every key head. */
static void join(const struct sal_kernel *k, int input, int output, int64_t size,
                 const struct sal_heads lies[2], const struct sal_attention_layout *l)
{
    const struct sal_tensor *present = sal_kernel_out(k, output);
    sal_real *to = present ? present->real : NULL;
    for (int64_t head = 0; present && size && head < l->images * l->kv_heads; head++)
        for (int i = 0; i < 2; i++)
            for (int64_t row = 0; row < l->keys[i]; row++, to += size)
                memcpy(to,
                       stretch(k, input, i)->real + head / l->kv_heads * lies[i].image +
                           head % l->kv_heads * lies[i].head + row * lies[i].row,
                       sizeof(*to) * (size_t)size);
}

static void forward(const struct sal_kernel *k)
{
    struct sal_attention_layout l;
    sal_attention_lay(&(struct sal_infer){.node = k->node, .in = k->in}, &l, NULL);
    join(k, SAL_K, SAL_PRESENT_K, l.size, l.k, &l);
    join(k, SAL_V, SAL_PRESENT_V, l.v_size, l.v, &l);
    sal_split(k->pool, sal_attention_tiles(&l, l.q_heads), 1, attend, k);
}

/* A tile's scores; a backward needs them capped and softened, and their gradient. */
static size_t scratch(const struct sal_kernel *k, bool backward)
{
    struct sal_attention_layout l;
    sal_attention_lay(&(struct sal_infer){.node = k->node, .in = k->in}, &l, NULL);
    return (backward ? 3 : 1) * (size_t)(SAL_QUERY_ROWS * l.total);
}

static double macs(const struct sal_kernel *k)
{
    struct sal_attention_layout l;
    sal_attention_lay(&(struct sal_infer){.node = k->node, .in = k->in}, &l, NULL);
    return (double)(l.images * l.q_heads) * (double)l.queries * (double)l.total *
           (double)(l.size + l.v_size);
}

/* ---- axes ---------------------------------------------------------------------- */

/* Rows of y and of the scores are queries, columns of the scores keys; what is present
 * is what was past and, behind it, what is new. */
static void carry_axes(const struct sal_kernel *k, int input, int output,
                       struct sal_carry *carry)
{
    struct sal_attention_layout l;
    sal_attention_lay(&(struct sal_infer){.node = k->node, .in = k->in}, &l, NULL);
    const bool four = k->in[SAL_Q]->shape.rank == 4, past = input >= SAL_PAST_K;
    const int row = four || past ? 2 : 1;
    const bool keys = input == SAL_K || input == SAL_PAST_K;
    const bool values = input == SAL_V || input == SAL_PAST_V;
    if (input == SAL_MASK || input == SAL_VALID_KEYS)
        return;
    carry->axis[0] = 0;
    if (input == SAL_Q && output == SAL_Y) {
        carry->axis[1] = 1;
        carry->axis[2] = four ? 2 : -1;
    } else if (input == SAL_Q && output == SAL_SCORES) {
        carry->axis[1] = four ? 1 : -1;
        carry->axis[2] = row;
    } else if ((keys && output == SAL_PRESENT_K) || (values && output == SAL_PRESENT_V)) {
        carry->axis[2] = row;
        carry->skip[2] = past ? 0 : -l.keys[0];
    } else if (keys && output == SAL_SCORES) {
        carry->axis[3] = row;
        carry->skip[3] = past ? 0 : -l.keys[0];
    }
}

const struct sal_op sal_op_Attention = {
    .name = "Attention",
    .since = 23,
    .until = SAL_OPSET_MAX,
    .min_in = 3,
    .max_in = 7,
    .max_out = 4,
    .parse = parse,
    .infer = infer,
    .forward = forward,
    .backward = sal_attention_backward,
    .frugal = true,
    .reads = SAL_READS(SAL_READS_ALL, 0),
    .carry = carry_axes,
    .scratch = scratch,
    .macs = macs,
    .mixes = true,
};
