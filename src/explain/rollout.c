/* Attention rollout: how much of each of the picture's tokens reaches what the logits read,
 * through all blocks. With W a block's attention, heads fused, a block is taken to pass on
 * (W + I) / 2, rows made to add up to 1 again, the I for the residual connection; the
 * product over blocks tells what a row of the last is made of. Abnar and Zuidema take the
 * mean over heads and keep all of W; maximum, minimum and a discarded share of the smallest
 * entries are vit-explain's, which then divides columns, not rows, by the rows' sums: that
 * is not done here. Knows no class, but for relevance=gradient (Chefer et al., ICCV 2021),
 * where W is the mean over heads of ReLU(W d score / d W) and a block passes on I + W. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "methods.h"
#include "saliscope/resample.h"

enum relevance { BY_ATTENTION, BY_GRADIENT };
enum fusion { MEAN, MAXIMUM, MINIMUM };

static const char *const relevance_names[] = {"attention", "gradient", NULL};
static const char *const fusion_names[] = {"mean", "max", "min", NULL};

static const struct sal_param params[] = {
    {.name = "relevance",
     .type = SAL_PARAM_CHOICE,
     .unit = "",
     .choices = relevance_names,
     .help = "attention alone, which knows no class, or times its gradient where that is "
             "positive"},
    {.name = "heads",
     .type = SAL_PARAM_CHOICE,
     .unit = "",
     .choices = fusion_names,
     .help = "what of the heads of a block counts",
     .of = "relevance",
     .when = "attention"},
    {.name = "discard",
     .type = SAL_PARAM_REAL,
     .fallback = 0,
     .min = 0,
     .max = 0.999,
     .unit = "",
     .help = "share of a block's entries, the smallest, that count as 0",
     .of = "relevance",
     .when = "attention"},
    {0},
};

struct entry {
    double value;
    int64_t at;
};

struct rollout {
    const struct sal_question *question;
    struct sal_attentions found;
    enum relevance relevance;
    enum fusion heads;
    double discard;
    int *keep, n_keep;
    sal_real *shares;      /* of one block, [heads][tokens][tokens] */
    double *block;         /* [tokens][tokens], heads fused */
    double *row, *before;  /* [tokens]: what is read, of the tokens at some depth */
    struct entry *entries; /* [tokens x tokens] */
};

/* ---- a block ------------------------------------------------------------------------- */

/* gradient: NULL where it does not count. */
static void fuse(const struct rollout *r, const struct sal_attention_map *map,
                 const sal_real *gradient)
{
    int64_t n = r->found.tokens * r->found.tokens;
    for (int64_t i = 0; i < n; i++) {
        double all = 0;
        for (int64_t h = 0; h < map->heads; h++) {
            double share = (double)r->shares[h * n + i];
            if (gradient)
                all += fmax(0, share * (double)gradient[h * n + i]);
            else if (r->heads == MEAN || h == 0)
                all += share;
            else
                all = r->heads == MAXIMUM ? fmax(all, share) : fmin(all, share);
        }
        r->block[i] = gradient || r->heads == MEAN ? all / (double)map->heads : all;
    }
}

static int by_value(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

/* All but what the first token has of itself. */
static void discard_smallest(const struct rollout *r)
{
    int64_t n = r->found.tokens * r->found.tokens, out = (int64_t)((double)n * r->discard);
    if (out == 0)
        return;
    for (int64_t i = 0; i < n; i++)
        r->entries[i] = (struct entry){r->block[i], i};
    qsort(r->entries, (size_t)n, sizeof(*r->entries), by_value);
    for (int64_t i = 0; i < out; i++)
        if (r->entries[i].at != 0)
            r->block[r->entries[i].at] = 0;
}

/* row (W + I) / 2 with rows that add up to 1; or row (I + W). */
static void pass_block(struct rollout *r)
{
    int64_t n = r->found.tokens;
    memcpy(r->before, r->row, (size_t)n * sizeof(*r->row));
    if (r->relevance == BY_ATTENTION)
        memset(r->row, 0, (size_t)n * sizeof(*r->row));
    for (int64_t i = 0; i < n; i++) {
        const double *w = r->block + i * n;
        double sum = 1;
        for (int64_t j = 0; j < n; j++)
            sum += w[j];
        double scale = r->relevance == BY_ATTENTION ? r->before[i] / sum : r->before[i];
        for (int64_t j = 0; j < n; j++)
            r->row[j] += scale * w[j];
        if (r->relevance == BY_ATTENTION)
            r->row[i] += scale;
    }
}

/* ---- the map ------------------------------------------------------------------------- */

/* What the logits read: the class token, or all of the picture's tokens alike. */
static void begin(struct rollout *r)
{
    const struct sal_attentions *found = &r->found;
    int64_t grid = (int64_t)found->rows * found->columns;
    for (int64_t i = 0; i < found->tokens; i++) {
        bool inside = i >= found->skipped && i < found->skipped + grid;
        r->row[i] = !found->pooled ? i == 0 : inside ? 1 / (double)grid : 0;
    }
}

static void roll(struct rollout *r, const struct sal_run *run)
{
    begin(r);
    for (int b = r->found.n - 1; b >= 0; b--) {
        const struct sal_attention_map *map = &r->found.map[b];
        sal_run_attention(run, r->question->model, map, r->found.tokens, r->shares);
        fuse(r, map,
             r->relevance == BY_GRADIENT ? sal_run_gradient(run, map->value) : NULL);
        if (r->relevance == BY_ATTENTION)
            discard_smallest(r);
        pass_block(r);
    }
}

/* With gradients the logits' own token, or tokens, keep what they had. */
static enum sal_status draw(const struct rollout *r, struct sal_map *map,
                            struct sal_error *err)
{
    const struct sal_model_input *input = sal_model_input(r->question->model);
    const struct sal_attentions *found = &r->found;
    enum sal_status status = sal_map_init(map, input->width, input->height, found->columns,
                                          found->rows, err);
    if (status)
        return status;
    double all = 0;
    double own = r->relevance == BY_GRADIENT && found->pooled
                     ? 1 / ((double)found->rows * found->columns)
                     : 0;
    for (int64_t i = 0; i < (int64_t)found->rows * found->columns; i++) {
        double value = r->row[found->skipped + i] - own;
        map->grid[i] = (float)value;
        all += value;
    }
    sal_plane_upsample(map->grid, map->grid_height, map->grid_width, map->values,
                       map->height, map->width);
    sal_map_check(map, "blocks", "blocks of attention", found->n, "");
    if (r->relevance == BY_ATTENTION)
        sal_map_check(map, "picture_share", "share of the picture's tokens", all, "");
    else if (!(all > 0))
        snprintf(map->note, sizeof(map->note),
                 "no positive evidence: attention times its gradient is nowhere positive");
    return SAL_OK;
}

/* ---- passes -------------------------------------------------------------------------- */

static enum sal_status pass(const struct rollout *r, struct sal_run *run,
                            struct sal_error *err)
{
    const struct sal_question *question = r->question;
    sal_job_begin(question->job, 2);
    enum sal_status status = sal_run_forward(run, question->x, question->job, err);
    sal_job_step(question->job, 1);
    if (!status && r->relevance == BY_GRADIENT)
        status = sal_run_backward(run, sal_model_output(question->model)->value,
                                  question->class_index, r->keep, r->n_keep, question->job,
                                  err);
    return status;
}

static enum sal_status look(struct rollout *r, struct sal_map *map, struct sal_error *err)
{
    const struct sal_question *question = r->question;
    const struct sal_model_output *output = sal_model_output(question->model);
    struct sal_run *run = NULL;
    bool gradient = r->relevance == BY_GRADIENT;
    enum sal_status status = sal_run_open(
        &run, question->model,
        &(struct sal_run_options){.gradient = gradient,
                                  .keep = r->keep,
                                  .n_keep = r->n_keep,
                                  .wrt = r->keep,
                                  .n_wrt = gradient ? r->n_keep : 0,
                                  .exact = question->exact,
                                  .pool = question->pool},
        err);
    if (!status)
        status = pass(r, run, err);
    if (!status) {
        map->score = (double)sal_run_value(run, output->value, NULL)[question->class_index];
        map->unit = gradient ? "relevance" : "share";
        map->forwards = sal_run_forwards(run);
        map->backwards = sal_run_backwards(run);
        roll(r, run);
        status = draw(r, map, err);
    }
    sal_run_close(run);
    return status;
}

/* Which values a run keeps; those of an Attention node have no gradient to be read. */
static enum sal_status choose_kept(struct rollout *r, struct sal_error *err)
{
    r->keep = calloc((size_t)r->found.n * 7, sizeof(*r->keep));
    if (!r->keep)
        return sal_fail(err, SAL_LIMIT, "no memory for a map");
    for (int b = 0; b < r->found.n; b++) {
        const struct sal_attention_map *map = &r->found.map[b];
        if (map->node >= 0 && r->relevance == BY_GRADIENT)
            return sal_fail(err, SAL_UNSUPPORTED,
                            "rollout: relevance=gradient needs attention that is written "
                            "out; this model has Attention operators, which keep it inside");
        for (int i = 0; i < map->n_keep; i++)
            r->keep[r->n_keep++] = map->keep[i];
    }
    return SAL_OK;
}

static enum sal_status allocate(struct rollout *r, struct sal_error *err)
{
    size_t n = (size_t)r->found.tokens, heads = 0;
    for (int b = 0; b < r->found.n; b++)
        if ((size_t)r->found.map[b].heads > heads)
            heads = (size_t)r->found.map[b].heads;
    r->shares = calloc(heads * n, n * sizeof(*r->shares));
    r->block = calloc((n + 2) * n, sizeof(*r->block));
    r->entries = calloc(n * n, sizeof(*r->entries));
    if (!r->shares || !r->block || !r->entries)
        return sal_fail(err, SAL_LIMIT, "no memory for attention among %zu tokens", n);
    r->row = r->block + n * n;
    r->before = r->row + n;
    return choose_kept(r, err);
}

static enum sal_status rollout(const struct sal_question *question, struct sal_map *map,
                               struct sal_error *err)
{
    struct rollout r = {
        .question = question,
        .relevance = (enum relevance)sal_params_get(question->params, params, "relevance"),
        .heads = (enum fusion)sal_params_get(question->params, params, "heads"),
        .discard = sal_params_get(question->params, params, "discard")};
    enum sal_status status = sal_model_attentions(question->model, &r.found, err);
    if (!status)
        status = allocate(&r, err);
    if (!status)
        status = look(&r, map, err);
    sal_attentions_release(&r.found);
    free(r.keep);
    free(r.shares);
    free(r.block);
    free(r.entries);
    return status;
}

const struct sal_method sal_method_rollout = {
    .name = "rollout",
    .title = "Attention rollout",
    .formula = "the class token's row of prod over blocks of (mean over heads of attention + "
               "I) / 2",
    .paper = "Abnar and Zuidema, ACL 2020, arXiv:2005.00928",
    .semantics = "the paper's: mean over heads, nothing discarded, half for the residual "
                 "connection; vit-explain discards 0.9 by default, which drops "
                 "whatever is spread thin",
    .needs = SAL_NEEDS_ATTENTION,
    .params = params,
    .run = rollout,
};
