/* The layout of Attention's tensors. */
#include "attention.h"

#include <inttypes.h>

#include "real.h"

static enum sal_status wrong_shape(const struct sal_infer *infer, int i,
                                   const char *expected, struct sal_error *err)
{
    char text[96];
    return sal_node_fail(
        infer->node, err, SAL_BAD_INPUT, "input %d is %s, must be %s", i,
        sal_shape_text(&infer->in[i]->shape, text, sizeof(text)), expected);
}

/* Images x heads x rows x size, or images x rows x (heads * size). */
static enum sal_status split_heads(const struct sal_infer *infer, int i, int64_t heads,
                                   int64_t dim[4], struct sal_heads *lies,
                                   struct sal_error *err)
{
    const struct sal_shape *x = &infer->in[i]->shape;
    if (x->rank == 4) {
        for (int axis = 0; axis < 4; axis++)
            dim[axis] = x->dim[axis];
        *lies = (struct sal_heads){dim[1] * dim[2] * dim[3], dim[2] * dim[3], dim[3]};
        return SAL_OK;
    }
    if (heads < 1 || x->dim[2] % heads)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "input %d has %" PRId64 " features, which are not %" PRId64
                             " heads (q_num_heads, kv_num_heads)",
                             i, x->dim[2], heads);
    dim[0] = x->dim[0];
    dim[1] = heads;
    dim[2] = x->dim[1];
    dim[3] = x->dim[2] / heads;
    *lies = (struct sal_heads){dim[2] * x->dim[2], dim[3], x->dim[2]};
    return SAL_OK;
}

static enum sal_status check_ranks(const struct sal_infer *infer, struct sal_error *err)
{
    for (int i = SAL_Q; i <= SAL_V; i++) {
        enum sal_status status = sal_infer_kind(infer, i, SAL_REAL, err);
        if (status)
            return status;
        int rank = infer->in[i]->shape.rank;
        if ((rank != 3 && rank != 4) || rank != infer->in[SAL_Q]->shape.rank)
            return wrong_shape(infer, i, "of 3 or 4 axes, as Q, K and V all are", err);
    }
    return SAL_OK;
}

static enum sal_status lay_new(const struct sal_infer *infer,
                               struct sal_attention_layout *l, struct sal_error *err)
{
    const struct sal_attention *attr = infer->node->attr;
    int64_t q[4], k[4], v[4];
    enum sal_status status = check_ranks(infer, err);
    if (status || (status = split_heads(infer, SAL_Q, attr->q_heads, q, &l->q, err)) ||
        (status = split_heads(infer, SAL_K, attr->kv_heads, k, &l->k[1], err)) ||
        (status = split_heads(infer, SAL_V, attr->kv_heads, v, &l->v[1], err)))
        return status;
    if (k[0] != q[0] || k[3] != q[3])
        return wrong_shape(infer, SAL_K, "of Q's batch and head size", err);
    if (v[0] != k[0] || v[1] != k[1] || v[2] != k[2])
        return wrong_shape(infer, SAL_V, "of K's batch, heads and length", err);
    if (q[1] < 1 || k[1] < 1 || q[1] % k[1])
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "%" PRId64 " query heads do not share %" PRId64
                             " key heads evenly",
                             q[1], k[1]);
    if (q[3] < 1)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT, "heads have no features");
    l->images = q[0];
    l->q_heads = q[1];
    l->queries = q[2];
    l->size = q[3];
    l->kv_heads = k[1];
    l->keys[1] = k[2];
    l->v_size = v[3];
    l->y = infer->in[SAL_Q]->shape.rank == 4
               ? (struct sal_heads){q[1] * q[2] * v[3], q[2] * v[3], v[3]}
               : (struct sal_heads){q[1] * q[2] * v[3], v[3], q[1] * v[3]};
    return SAL_OK;
}

static bool is_cache(const struct sal_tensor *past, const struct sal_attention_layout *l,
                     int64_t size)
{
    const struct sal_shape *x = &past->shape;
    return x->rank == 4 && x->dim[0] == l->images && x->dim[1] == l->kv_heads &&
           x->dim[3] == size;
}

static enum sal_status lay_past(const struct sal_infer *infer,
                                struct sal_attention_layout *l, struct sal_error *err)
{
    const struct sal_tensor *k = sal_infer_in(infer, SAL_PAST_K);
    const struct sal_tensor *v = sal_infer_in(infer, SAL_PAST_V);
    if (!k && !v)
        return SAL_OK;
    enum sal_status status = sal_infer_kind(infer, SAL_PAST_K, SAL_REAL, err);
    if (status || (status = sal_infer_kind(infer, SAL_PAST_V, SAL_REAL, err)))
        return status;
    if (!is_cache(k, l, l->size))
        return wrong_shape(infer, SAL_PAST_K, "batch x kv heads x length x head size",
                           err);
    if (!is_cache(v, l, l->v_size) || v->shape.dim[2] != k->shape.dim[2])
        return wrong_shape(infer, SAL_PAST_V, "as long as past_key, of V's head size",
                           err);
    int64_t n = k->shape.dim[2];
    l->keys[0] = n;
    l->k[0] = (struct sal_heads){l->kv_heads * n * l->size, n * l->size, l->size};
    l->v[0] = (struct sal_heads){l->kv_heads * n * l->v_size, n * l->v_size, l->v_size};
    return SAL_OK;
}

/* From opset 24 on a mask may be shorter than there are keys. */
static enum sal_status lay_mask(const struct sal_infer *infer,
                                struct sal_attention_layout *l, struct sal_error *err)
{
    const struct sal_tensor *mask = sal_infer_in(infer, SAL_MASK);
    struct sal_shape over = {.rank = 4, .dim = {l->images, l->q_heads, l->queries, l->total}};
    struct sal_shape both;
    l->masked_keys = l->total;
    if (!mask)
        return SAL_OK;
    int64_t own = mask->shape.rank ? mask->shape.dim[mask->shape.rank - 1] : 1;
    if (infer->node->opset >= 24 && mask->shape.rank && own < l->total)
        l->masked_keys = over.dim[3] = own;
    enum sal_status status = sal_infer_broadcast(infer, &mask->shape, &over, &both, err);
    if (status)
        return status;
    if (!sal_shape_equal(&both, &over))
        return wrong_shape(infer, SAL_MASK, "no larger than batch x heads x queries x keys",
                           err);
    if (mask->kind == SAL_INT && mask->type != SAL_ONNX_BOOL)
        return sal_node_fail(infer->node, err, SAL_UNSUPPORTED,
                             "attn_mask is %s, bool and floating types are supported",
                             sal_onnx_type_name(mask->type));
    sal_broadcast_strides(&mask->shape, &over, l->mask_step);
    return SAL_OK;
}

static enum sal_status check_valid_keys(const struct sal_infer *infer,
                                        const struct sal_attention_layout *l,
                                        struct sal_error *err)
{
    const struct sal_tensor *valid = sal_infer_in(infer, SAL_VALID_KEYS);
    if (!valid)
        return SAL_OK;
    enum sal_status status = sal_infer_kind(infer, SAL_VALID_KEYS, SAL_INT, err);
    if (status)
        return status;
    if (valid->shape.rank != 1 || valid->shape.dim[0] != l->images)
        return wrong_shape(infer, SAL_VALID_KEYS, "one number per image", err);
    if (sal_infer_in(infer, SAL_PAST_K))
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "has both past_key and nonpad_kv_seqlen");
    return SAL_OK;
}

enum sal_status sal_attention_lay(const struct sal_infer *infer,
                                  struct sal_attention_layout *l, struct sal_error *err)
{
    const struct sal_attention *attr = infer->node->attr;
    *l = (struct sal_attention_layout){0};
    enum sal_status status = lay_new(infer, l, err);
    if (status || (status = lay_past(infer, l, err)))
        return status;
    l->total = l->keys[0] + l->keys[1];
    if (l->total > INT32_MAX || l->q.row > INT32_MAX || l->k[1].row > INT32_MAX ||
        l->v[1].row > INT32_MAX || l->y.row > INT32_MAX)
        return sal_node_fail(infer->node, err, SAL_LIMIT,
                             "has rows of 2^31 elements or more");
    l->scale = attr->scaled ? (sal_real)attr->scale : 1 / sal_sqrt((sal_real)l->size);
    l->softcap = (sal_real)attr->softcap;
    status = lay_mask(infer, l, err);
    return status ? status : check_valid_keys(infer, l, err);
}
