/*
 * NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss: scores N x C x positions, a
 * target class for each of N x positions. The second takes the logarithm of a softmax
 * over the classes first, and has it for an output too.
 *
 * Training is over when a model is explained, so these are rare, small and plain: one
 * thread sums the losses. A target that is no class makes the loss NaN.
 */
#include <string.h>

#include "kernel.h"
#include "real.h"

enum { SCORES, TARGET, WEIGHT };
enum reduction { NONE, SUM, MEAN };

struct loss {
    enum reduction reduction;
    bool ignores;
    int64_t ignored; /* target that counts for nothing */
};

/* ---- attributes and shapes --------------------------------------------------- */

static enum sal_status parse_reduction(const struct sal_node *node, const char *text,
                                       struct loss *loss, struct sal_error *err)
{
    static const char *const names[] = {[NONE] = "none", [SUM] = "sum", [MEAN] = "mean"};
    for (int i = NONE; i <= MEAN; i++)
        if (strcmp(text, names[i]) == 0) {
            loss->reduction = (enum reduction)i;
            return SAL_OK;
        }
    return sal_node_fail(node, err, SAL_BAD_INPUT,
                         "reduction is '%.40s', must be none, sum or mean", text);
}

static enum sal_status parse(struct sal_node *node, const struct sal_onnx_node *source,
                             struct sal_arena *arena, struct sal_error *err)
{
    struct loss *loss = sal_new(arena, struct loss, 1);
    if (!loss)
        return sal_node_fail(node, err, SAL_LIMIT, "no memory");
    node->attr = loss;
    const char *reduction = "mean";
    enum sal_status status =
        sal_attr_string(source, "reduction", reduction, &reduction, err);
    loss->ignores = sal_onnx_node_attr(source, "ignore_index");
    if (status || (status = parse_reduction(node, reduction, loss, err)))
        return status;
    return sal_attr_int(source, "ignore_index", 0, &loss->ignored, err);
}

static enum sal_status check_target(const struct sal_infer *infer, struct sal_error *err)
{
    struct sal_shape wanted = infer->in[SCORES]->shape;
    for (int i = 1; i < wanted.rank - 1; i++)
        wanted.dim[i] = wanted.dim[i + 1];
    wanted.rank--;
    char text[2][96];
    if (!sal_shape_equal(&infer->in[TARGET]->shape, &wanted))
        return sal_node_fail(
            infer->node, err, SAL_BAD_INPUT, "target is %s, must be %s",
            sal_shape_text(&infer->in[TARGET]->shape, text[0], sizeof(text[0])),
            sal_shape_text(&wanted, text[1], sizeof(text[1])));
    return SAL_OK;
}

static enum sal_status infer(const struct sal_infer *infer, struct sal_error *err)
{
    const struct loss *loss = infer->node->attr;
    enum sal_status status = sal_infer_kind(infer, SCORES, SAL_REAL, err);
    if (status || (status = sal_infer_kind(infer, TARGET, SAL_INT, err)))
        return status;
    const struct sal_tensor *scores = infer->in[SCORES], *weight = sal_infer_in(infer, WEIGHT);
    if (scores->shape.rank < 2)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "scores have %d axes, must have 2 or more",
                             scores->shape.rank);
    if (scores->shape.dim[1] < 1)
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "scores have no classes, must have 1 or more");
    if ((status = check_target(infer, err)))
        return status;
    if (weight && (weight->kind != SAL_REAL || weight->shape.rank != 1 ||
                   weight->shape.dim[0] != scores->shape.dim[1]))
        return sal_node_fail(infer->node, err, SAL_BAD_INPUT,
                             "weight must be a list of %lld reals, one per class",
                             (long long)scores->shape.dim[1]);
    const struct sal_shape scalar = {0};
    status = sal_infer_like(infer, 0, scores,
                            loss->reduction == NONE ? &infer->in[TARGET]->shape : &scalar,
                            err);
    return status ? status : sal_infer_like(infer, 1, scores, &scores->shape, err);
}

/* ---- positions ----------------------------------------------------------------- */

struct layout {
    int64_t n, classes, inner; /* scores: n x classes x inner; targets: n x inner */
};

static struct layout layout_of(const struct sal_kernel *k)
{
    const struct sal_shape *x = &k->in[SCORES]->shape;
    return (struct layout){x->dim[0], x->dim[1], sal_shape_span(x, 2, x->rank)};
}

/* Where the scores of a position begin; its classes are `inner` apart. */
static int64_t scores_at(const struct layout *l, int64_t position)
{
    return position / l->inner * l->classes * l->inner + position % l->inner;
}

/* How much a position counts; 0: it is ignored. */
static sal_real share_of(const struct sal_kernel *k, int64_t classes, int64_t target)
{
    const struct loss *loss = k->node->attr;
    const struct sal_tensor *weight = sal_kernel_in(k, WEIGHT);
    if (loss->ignores && target == loss->ignored)
        return 0;
    if (target < 0 || target >= classes)
        return SAL_REAL_OF(NAN);
    return weight ? weight->real[target] : 1;
}

static bool is_ignored(const struct sal_kernel *k, int64_t target)
{
    const struct loss *loss = k->node->attr;
    return loss->ignores && target == loss->ignored;
}

/* By what a reduced loss is divided. */
static sal_real divisor_of(const struct sal_kernel *k, const struct layout *l)
{
    const struct loss *loss = k->node->attr;
    sal_real sum = 0;
    for (int64_t p = 0; loss->reduction == MEAN && p < l->n * l->inner; p++)
        sum += share_of(k, l->classes, k->in[TARGET]->i64[p]);
    return loss->reduction == MEAN ? sum : 1;
}

/* What softmax divides by, as a logarithm: log sum exp of a position's scores. */
static sal_real log_total(const struct layout *l, const sal_real *x)
{
    sal_real most = x[0], sum = 0;
    for (int64_t c = 1; c < l->classes; c++)
        most = x[c * l->inner] > most ? x[c * l->inner] : most;
    for (int64_t c = 0; c < l->classes; c++)
        sum += sal_exp(x[c * l->inner] - most);
    return most + sal_log(sum);
}

/* ---- losses --------------------------------------------------------------------- */

static void losses(const struct sal_kernel *k, bool soft)
{
    const struct loss *loss = k->node->attr;
    const struct layout l = layout_of(k);
    sal_real sum = 0;
    for (int64_t p = 0; k->out[0] && p < l.n * l.inner; p++) {
        const sal_real *x = k->in[SCORES]->real + scores_at(&l, p);
        const int64_t target = k->in[TARGET]->i64[p];
        const sal_real share = share_of(k, l.classes, target);
        sal_real value = 0;
        if (share != share)
            value = share;
        else if (!is_ignored(k, target))
            value = share * ((soft ? log_total(&l, x) : 0) - x[target * l.inner]);
        if (loss->reduction == NONE)
            k->out[0]->real[p] = value;
        sum += value;
    }
    if (k->out[0] && loss->reduction != NONE)
        k->out[0]->real[0] = sum / divisor_of(k, &l);
}

static void log_probabilities(const struct sal_kernel *k, int64_t from, int64_t to,
                              int worker)
{
    (void)worker;
    const struct layout l = layout_of(k);
    for (int64_t p = from; p < to; p++) {
        const int64_t at = scores_at(&l, p);
        const sal_real *x = k->in[SCORES]->real + at;
        const sal_real total = log_total(&l, x);
        for (int64_t c = 0; c < l.classes; c++)
            k->out[1]->real[at + c * l.inner] = x[c * l.inner] - total;
    }
}

static void likelihood_forward(const struct sal_kernel *k)
{
    losses(k, false);
}

static void entropy_forward(const struct sal_kernel *k)
{
    const struct layout l = layout_of(k);
    losses(k, true);
    if (sal_kernel_out(k, 1))
        sal_split(k->pool, l.n * l.inner, sal_grain(l.classes), log_probabilities, k);
}

/* ---- gradients ------------------------------------------------------------------ */

/* d loss / d log-probability of a position's target. */
static sal_real slope_at(const struct sal_kernel *k, const struct layout *l, int64_t p,
                         sal_real divisor)
{
    const struct loss *loss = k->node->attr;
    if (!k->dy[0] || is_ignored(k, k->in[TARGET]->i64[p]))
        return 0;
    return -share_of(k, l->classes, k->in[TARGET]->i64[p]) *
           k->dy[0][loss->reduction == NONE ? p : 0] / divisor;
}

static bool is_class(const struct layout *l, int64_t target)
{
    return target >= 0 && target < l->classes;
}

static void likelihood_backward(const struct sal_kernel *k)
{
    const struct layout l = layout_of(k);
    const sal_real divisor = divisor_of(k, &l);
    for (int64_t p = 0; k->dx[SCORES] && p < l.n * l.inner; p++) {
        int64_t target = k->in[TARGET]->i64[p];
        if (is_class(&l, target))
            k->dx[SCORES][scores_at(&l, p) + target * l.inner] +=
                slope_at(k, &l, p, divisor);
    }
}

/* Through the log-probabilities g: dx = g - softmax sum g. */
static void entropy_backward(const struct sal_kernel *k)
{
    const struct layout l = layout_of(k);
    const sal_real divisor = divisor_of(k, &l), *dlog = sal_kernel_dy(k, 1);
    for (int64_t p = 0; k->dx[SCORES] && p < l.n * l.inner; p++) {
        const int64_t at = scores_at(&l, p), target = k->in[TARGET]->i64[p];
        const sal_real slope = is_class(&l, target) ? slope_at(k, &l, p, divisor) : 0;
        const sal_real *x = k->in[SCORES]->real + at, total = log_total(&l, x);
        sal_real sum = slope;
        for (int64_t c = 0; dlog && c < l.classes; c++)
            sum += dlog[at + c * l.inner];
        for (int64_t c = 0; c < l.classes; c++) {
            int64_t i = at + c * l.inner;
            sal_real own = (c == target ? slope : 0) + (dlog ? dlog[i] : 0);
            k->dx[SCORES][i] += own - sal_exp(x[c * l.inner] - total) * sum;
        }
    }
}

/* Log-probabilities lie as the scores do; a loss has lost the classes. */
static void carry(const struct sal_kernel *k, int input, int output, struct sal_carry *carry)
{
    const struct loss *loss = k->node->attr;
    if (input != SCORES)
        return;
    if (output == 1)
        sal_carry_in_order(k, input, output, carry);
    for (int i = 0; output == 0 && loss->reduction == NONE && i < k->out[0]->shape.rank; i++)
        carry->axis[i] = i ? i + 1 : 0;
}

const struct sal_op sal_op_NegativeLogLikelihoodLoss = {
    .name = "NegativeLogLikelihoodLoss",
    .since = 12,
    .until = SAL_OPSET_MAX,
    .min_in = 2,
    .max_in = 3,
    .max_out = 1,
    .parse = parse,
    .infer = infer,
    .forward = likelihood_forward,
    .backward = likelihood_backward,
    .frugal = true,
    .reads = {{.in = 1u << TARGET | 1u << WEIGHT}},
    .carry = carry,
    .no_gradient = 1u << WEIGHT,
};

const struct sal_op sal_op_SoftmaxCrossEntropyLoss = {
    .name = "SoftmaxCrossEntropyLoss",
    .since = 12,
    .until = SAL_OPSET_MAX,
    .min_in = 2,
    .max_in = 3,
    .max_out = 2,
    .parse = parse,
    .infer = infer,
    .forward = entropy_forward,
    .backward = entropy_backward,
    .frugal = true,
    .reads = {{.in = SAL_READS_ALL}},
    .carry = carry,
    .no_gradient = 1u << WEIGHT,
};
