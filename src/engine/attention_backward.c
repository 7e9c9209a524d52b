/* Attention's gradients. */
#include "attention.h"
#include "blas.h"
#include "real.h"

/* A tile with room for three times its scores. */
struct pull {
    struct sal_attention_tile t;
    sal_real *shares, *capped, *d; /* d: gradient of what the step at hand has made */
};

static void add_shown(const struct pull *p, int mode)
{
    const struct sal_attention_tile *t = &p->t;
    const struct sal_attention *a = t->k->node->attr;
    const struct sal_attention_layout *l = &t->layout;
    const sal_real *shown = sal_kernel_dy(t->k, SAL_SCORES);
    int64_t at = ((t->image * l->q_heads + t->head) * l->queries + t->row) * l->total;
    if (shown && a->mode == mode)
        sal_add(p->d, shown + at, t->rows * l->total);
}

/* ---- one step each --------------------------------------------------------------- */

static void again(struct pull *p)
{
    const struct sal_attention_tile *t = &p->t;
    const int64_t n = t->rows * t->layout.total;
    sal_attention_scores(t, p->shares);
    sal_attention_cap(t, p->shares);
    for (int64_t i = 0; i < n; i++) {
        p->capped[i] = p->shares[i];
        p->d[i] = 0;
    }
    sal_attention_bias(t, p->shares);
    sal_attention_soften(t, p->shares);
}

/* d = dy values', dvalues += shares' dy */
static void pull_values(struct pull *p)
{
    const struct sal_attention_tile *t = &p->t;
    const struct sal_attention_layout *l = &t->layout;
    const sal_real *dy = sal_kernel_dy(t->k, SAL_Y);
    if (!dy || !l->v_size)
        return;
    const struct sal_matrix rows = {dy + sal_attention_at(t, &l->y), l->y.row, false};
    for (int64_t i = 0, at = 0; i < 2; at += l->keys[i++]) {
        int input = i ? SAL_V : SAL_PAST_V;
        if (!l->keys[i])
            continue;
        int64_t first = sal_attention_keys_at(t, &l->v[i]);
        const struct sal_matrix values = {t->k->in[input]->real + first, l->v[i].row, true};
        sal_gemm(t->rows, l->keys[i], l->v_size, 1, rows, values, 1, p->d + at, l->total);
        sal_real *dvalues = sal_kernel_dx(t->k, input);
        if (dvalues)
            sal_gemm(l->keys[i], l->v_size, t->rows, 1,
                     (struct sal_matrix){p->shares + at, l->total, true}, rows, 1,
                     dvalues + first, l->v[i].row);
    }
}

/* d = shares (d - <d, shares>), row by row */
static void pull_softmax(struct pull *p)
{
    const int64_t n = p->t.layout.total;
    for (int64_t i = 0; i < p->t.rows; i++) {
        const sal_real *shares = p->shares + i * n;
        sal_real *d = p->d + i * n, dot = 0;
        for (int64_t j = 0; j < n; j++)
            dot += d[j] * shares[j];
        for (int64_t j = 0; j < n; j++)
            d[j] = shares[j] * (d[j] - dot);
    }
}

/* Keys that are shut out do not move, whatever was shown of them. */
static void pull_bias(struct pull *p)
{
    const struct sal_attention_tile *t = &p->t;
    const struct sal_attention_layout *l = &t->layout;
    sal_real *biased = p->shares, *dmask = sal_kernel_dx(t->k, SAL_MASK);
    for (int64_t i = 0; i < t->rows * l->total; i++)
        biased[i] = 0;
    sal_attention_bias(t, biased);
    for (int64_t i = 0; i < t->rows; i++) {
        int64_t at = t->image * l->mask_step[0] + t->head * l->mask_step[1] +
                     (t->row + i) * l->mask_step[2];
        for (int64_t j = 0; j < l->total; j++) {
            sal_real *d = &p->d[i * l->total + j];
            if (biased[i * l->total + j] == -SAL_INFINITY)
                *d = 0;
            else if (dmask && j < l->masked_keys)
                dmask[at + j * l->mask_step[3]] += *d;
        }
    }
}

static void pull_cap(struct pull *p)
{
    const sal_real cap = p->t.layout.softcap;
    for (int64_t i = 0; cap > 0 && i < p->t.rows * p->t.layout.total; i++) {
        sal_real height = p->capped[i] / cap;
        p->d[i] *= 1 - height * height;
    }
}

/* dq += scale d keys, dkeys += scale d' q */
static void pull_scores(struct pull *p)
{
    const struct sal_attention_tile *t = &p->t;
    const struct sal_attention_layout *l = &t->layout;
    const int64_t q_at = sal_attention_at(t, &l->q);
    const struct sal_matrix q = {t->k->in[SAL_Q]->real + q_at, l->q.row, false};
    sal_real *dq = sal_kernel_dx(t->k, SAL_Q);
    for (int64_t i = 0, at = 0; i < 2; at += l->keys[i++]) {
        int input = i ? SAL_K : SAL_PAST_K;
        if (!l->keys[i])
            continue;
        int64_t first = sal_attention_keys_at(t, &l->k[i]);
        const struct sal_matrix keys = {t->k->in[input]->real + first, l->k[i].row, false};
        struct sal_matrix d = {p->d + at, l->total, false};
        if (dq)
            sal_gemm(t->rows, l->size, l->keys[i], l->scale, d, keys, 1, dq + q_at,
                     l->q.row);
        d.transposed = true;
        sal_real *dkeys = sal_kernel_dx(t->k, input);
        if (dkeys)
            sal_gemm(l->keys[i], l->size, t->rows, l->scale, d, q, 1, dkeys + first,
                     l->k[i].row);
    }
}

static void pull_tile(struct pull *p)
{
    again(p);
    pull_values(p);
    add_shown(p, SAL_SCORES_SOFT);
    pull_softmax(p);
    add_shown(p, SAL_SCORES_BIASED);
    pull_bias(p);
    add_shown(p, SAL_SCORES_CAPPED);
    pull_cap(p);
    add_shown(p, SAL_SCORES_RAW);
    pull_scores(p);
}

/* ---- all -------------------------------------------------------------------------- */

/* The tiles that share a key head add to the same gradient: they are one piece. */
static void pull_heads(const struct sal_kernel *k, int64_t from, int64_t to, int worker)
{
    struct pull p = {.t = sal_attention_tile(k, 0)};
    const struct sal_attention_layout l = p.t.layout;
    const int64_t room = SAL_QUERY_ROWS * l.total;
    const int64_t each = sal_attention_tiles(&l, l.q_heads / l.kv_heads) / l.images;
    p.shares = k->scratch + (size_t)worker * k->scratch_stride;
    p.capped = p.shares + room;
    p.d = p.capped + room;
    for (int64_t tile = from * each; tile < to * each; tile++) {
        p.t = sal_attention_tile(k, tile);
        pull_tile(&p);
    }
}

/* What arrives at the joined keys or values goes to the two they were joined from. */
static void pull_present(const struct sal_kernel *k, int output, int input, int past,
                         int64_t size, const struct sal_heads lies[2],
                         const struct sal_attention_layout *l)
{
    const sal_real *dy = sal_kernel_dy(k, output);
    for (int64_t head = 0; dy && head < l->images * l->kv_heads; head++)
        for (int i = 0; i < 2; i++) {
            sal_real *dx = sal_kernel_dx(k, i ? input : past);
            int64_t at = head / l->kv_heads * lies[i].image +
                         head % l->kv_heads * lies[i].head;
            for (int64_t row = 0; row < l->keys[i]; row++, dy += size)
                if (dx)
                    sal_add(dx + at + row * lies[i].row, dy, size);
        }
}

void sal_attention_backward(const struct sal_kernel *k)
{
    struct sal_attention_layout l;
    sal_attention_lay(&(struct sal_infer){.node = k->node, .in = k->in}, &l, NULL);
    pull_present(k, SAL_PRESENT_K, SAL_K, SAL_PAST_K, l.size, l.k, &l);
    pull_present(k, SAL_PRESENT_V, SAL_V, SAL_PAST_V, l.v_size, l.v, &l);
    int64_t heads = l.images * l.kv_heads;
    /* A mask may be one for all heads: then one thread adds them up, in order. */
    if (l.queries && l.total)
        sal_split(k->pool, heads, sal_kernel_dx(k, SAL_MASK) ? heads : 1, pull_heads, k);
}
