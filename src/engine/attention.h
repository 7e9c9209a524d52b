/*
 * Attention: what its forward and its backward share.
 *
 * Scores of a few query rows against all keys are worked on at a time; nothing of the
 * size queries x keys is kept, the backward computes the scores again. Keys and values
 * come in two stretches, those of the cache and the new ones, which are never joined
 * but for the outputs that ask for it.
 */
#ifndef SALISCOPE_ENGINE_ATTENTION_H
#define SALISCOPE_ENGINE_ATTENTION_H

#include "kernel.h"

enum { /* inputs */
    SAL_Q,
    SAL_K,
    SAL_V,
    SAL_MASK,
    SAL_PAST_K,
    SAL_PAST_V,
    SAL_VALID_KEYS, /* per image: the keys behind are padding */
};

enum { SAL_Y, SAL_PRESENT_K, SAL_PRESENT_V, SAL_SCORES }; /* outputs */

/* What the output of scores shows. */
enum { SAL_SCORES_RAW, SAL_SCORES_CAPPED, SAL_SCORES_BIASED, SAL_SCORES_SOFT };

enum { SAL_QUERY_ROWS = 64 }; /* that are worked on at a time */

struct sal_attention {
    int64_t q_heads, kv_heads; /* of inputs with 3 axes */
    int64_t causal, left, right, mode;
    bool scaled;
    double scale, softcap;
};

/* How a tensor of heads lies: elements from one to the next. */
struct sal_heads {
    int64_t image, head, row;
};

struct sal_attention_layout {
    int64_t images, q_heads, kv_heads, queries, size, v_size;
    int64_t keys[2]; /* cached and new */
    int64_t total;   /* of both */
    struct sal_heads q, y, k[2], v[2];
    int64_t mask_step[SAL_RANK_MAX];
    int64_t masked_keys; /* keys that the mask says anything of; the rest is out */
    sal_real scale, softcap;
};

/* The layout of a node whose shapes fit; says what does not. */
enum sal_status sal_attention_lay(const struct sal_infer *infer,
                                  struct sal_attention_layout *layout,
                                  struct sal_error *err);

/* Some query rows of one head of one image. */
struct sal_attention_tile {
    const struct sal_kernel *k;
    struct sal_attention_layout layout;
    int64_t image, head, row, rows;
    int64_t kv_head;
};

struct sal_attention_tile sal_attention_tile(const struct sal_kernel *k, int64_t tile);
int64_t sal_attention_tiles(const struct sal_attention_layout *layout, int64_t heads);

/* Raw scores of the tile's rows into s, rows x total. */
void sal_attention_scores(const struct sal_attention_tile *t, sal_real *s);

/* In place: capped, then biased, then softened. */
void sal_attention_cap(const struct sal_attention_tile *t, sal_real *s);
void sal_attention_bias(const struct sal_attention_tile *t, sal_real *s);
void sal_attention_soften(const struct sal_attention_tile *t, sal_real *s);

/* Where the tile's rows begin in a tensor that lies so. */
int64_t sal_attention_at(const struct sal_attention_tile *t, const struct sal_heads *lies);

/* Where the cached (0) or new (1) keys or values of the tile's head begin. */
int64_t sal_attention_keys_at(const struct sal_attention_tile *t,
                              const struct sal_heads *lies);

void sal_attention_backward(const struct sal_kernel *k);

#endif
