/* Rules of propagation on small networks: LRP beside a reference written out in double, sums
 * that have to come out, what is lowered beside what is not, and what is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "model_parts.h"
#include "onnx_build.h"
#include "saliscope/run.h"

#define DIMS(...) (const int64_t[]){__VA_ARGS__}

static struct sal_error fault, *const err = &fault; /* of what must succeed */

#define must(call)                                                                     \
    do {                                                                               \
        if (call)                                                                      \
            fail_msg("%s", fault.text);                                                \
    } while (0)

enum { C = 3, H = 6, W = 5, K = 4, CLASSES = 2, N = C * H * W, M = K * H * W };

/* ---- models ---------------------------------------------------------------------------- */

static struct sal_model *finish(struct onnx_build *b, const char *output)
{
    char path[ONNX_BUILD_PATH];
    struct sal_model *model = NULL;
    onnx_build_output(b, output, SAL_ONNX_FLOAT, -1, NULL);
    assert_true(onnx_build_save(b, path));
    must(sal_model_open(&model, path, &(struct sal_model_options){0}, err));
    unlink(path);
    return model;
}

static void begin(struct onnx_build *b)
{
    onnx_build_init(b, 17);
    onnx_build_input(b, "x", SAL_ONNX_FLOAT, 4, DIMS(-1, C, H, W));
}

/* Weights that tests know too. */
static float weight(int i, int salt)
{
    return (float)(0.6 * sin(0.9 * i + salt) + 0.1 * cos(2.3 * i));
}

static void weights(struct onnx_build *b, const char *name, int rank, const int64_t *dims,
                    int salt)
{
    float values[1024];
    int64_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= dims[i];
    assert_true(n <= 1024);
    for (int i = 0; i < n; i++)
        values[i] = weight(i, salt);
    onnx_build_weights(b, name, rank, dims, values);
}

/* A 1 x 1 convolution, ReLU, and a linear layer of the mean: by hand below. */
static struct sal_model *make_small(const char *activation)
{
    struct onnx_build b;
    begin(&b);
    weights(&b, "w", 4, DIMS(K, C, 1, 1), 1);
    weights(&b, "b", 1, DIMS(K), 5);
    onnx_build_node(&b, "Conv", "x,w,b", "y");
    onnx_build_node(&b, activation, "y", "a");
    onnx_build_node(&b, "GlobalAveragePool", "a", "p");
    onnx_build_node(&b, "Flatten", "p", "f");
    weights(&b, "v", 2, DIMS(K, CLASSES), 2);
    onnx_build_node(&b, "MatMul", "f,v", "scores");
    return finish(&b, "scores");
}

static const float *picture(int salt)
{
    static float x[2][N];
    float *to = x[salt & 1];
    for (int i = 0; i < N; i++)
        to[i] = (float)(0.5 + 0.5 * cos(0.37 * (i + 1) * (salt + 1)));
    return to;
}

/* ---- runs --------------------------------------------------------------------------------- */

struct asking {
    const struct sal_propagation *propagation;
    const struct sal_lrp *lrp;
    const float *reference;
    bool plain;
    int threads;
};

/* What comes back to the input from class 1, and the scores. */
static enum sal_status ask(const struct sal_model *model, const float *x, struct asking how,
                           float *back, double scores[2], struct sal_error *refusal)
{
    int input = sal_model_input(model)->value, score = sal_model_output(model)->value;
    struct sal_run *run[2] = {NULL, NULL};
    struct sal_pool *pool = NULL;
    must(sal_pool_open(&pool, how.threads ? how.threads : 1, err));
    struct sal_run_options options = {.gradient = true,
                                      .propagation = how.propagation,
                                      .lrp = how.lrp,
                                      .plain = how.plain,
                                      .pool = pool};
    for (int i = 0; i < 2; i++) {
        must(sal_run_open(&run[i], model, &options, err));
        must(sal_run_forward(run[i], i && how.reference ? how.reference : x, NULL, err));
        scores[i] = (double)sal_run_value(run[i], score, NULL)[1];
    }
    enum sal_status status =
        how.reference ? sal_run_compare(run[0], run[1], refusal) : SAL_OK;
    if (!status)
        status = sal_run_backward(run[0], score, 1, &input, 1, NULL, refusal);
    if (!status)
        memcpy(back, sal_run_gradient(run[0], input), N * sizeof(*back));
    sal_run_close(run[0]);
    sal_run_close(run[1]);
    sal_pool_close(pool);
    return status;
}

static double apart(const float *a, const float *b)
{
    double most = 0;
    for (int i = 0; i < N; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        most = d <= most ? most : d;
    }
    return most;
}

static double size_of(const float *a)
{
    double most = 0;
    for (int i = 0; i < N; i++)
        most = fmax(most, fabs((double)a[i]));
    return most;
}

/* ---- LRP beside a reference --------------------------------------------------------------- */

static double up(double v)
{
    return v > 0 ? v : 0;
}

static double down(double v)
{
    return v < 0 ? v : 0;
}

static double safe(double z, double epsilon)
{
    return z < 0 ? z - epsilon : z + epsilon;
}

/* The share that input i of n has, written out. x[n], w[n], bias, of an output. */
static double share(const struct sal_lrp *lrp, enum sal_lrp_rule rule, const double *x,
                    const double *w, int n, double bias, int i)
{
    const double b = lrp->no_bias ? 0 : bias, g = lrp->gamma, e = lrp->epsilon;
    double z = bias, sum = 0, above = up(b), below = down(b), box = 0;
    for (int k = 0; k < n; k++) {
        z += x[k] * w[k];
        above += up(x[k] * w[k]);
        below += down(x[k] * w[k]);
        sum += x[k] * (w[k] + g * up(w[k]));
        box += x[k] * w[k] - lrp->low[k] * up(w[k]) - lrp->high[k] * down(w[k]);
    }
    const double part = x[i] * w[i];
    switch (rule) {
    case SAL_LRP_EPSILON:
        return part / safe(z, e);
    case SAL_LRP_GAMMA: {
        double whole = b, favoured = z > 0 ? up(b) : down(b);
        for (int k = 0; k < n; k++) {
            whole += x[k] * w[k];
            favoured += z > 0 ? up(x[k] * w[k]) : down(x[k] * w[k]);
        }
        return (part + g * (z > 0 ? up(part) : down(part))) / safe(whole + g * favoured, e);
    }
    case SAL_LRP_GAMMA_WEIGHTS:
        return x[i] * (w[i] + g * up(w[i])) / safe(sum + b, e);
    case SAL_LRP_ALPHA_BETA:
        return lrp->alpha * up(part) / safe(above, e) +
               (lrp->alpha > 1 ? (1 - lrp->alpha) * down(part) / safe(below, e) : 0);
    case SAL_LRP_ZBOX:
        return (part - lrp->low[i] * up(w[i]) - lrp->high[i] * down(w[i])) / safe(box, e);
    }
    return 0;
}

/* Relevance of the mean's inputs and then of the pixels, of make_small(). */
static void reference_lrp(const struct sal_lrp *lrp, const float *image, double *relevance)
{
    double w[K][C], v[K], a[K][H * W], p[K] = {0};
    for (int k = 0; k < K; k++) {
        v[k] = (double)weight(k * CLASSES + 1, 2);
        for (int c = 0; c < C; c++)
            w[k][c] = (double)weight(k * C + c, 1);
        for (int i = 0; i < H * W; i++) {
            double y = (double)weight(k, 5);
            for (int c = 0; c < C; c++)
                y += w[k][c] * (double)image[c * H * W + i];
            a[k][i] = up(y);
            p[k] += a[k][i] / (H * W);
        }
    }
    double score = 0;
    for (int k = 0; k < K; k++)
        score += v[k] * p[k];
    memset(relevance, 0, N * sizeof(*relevance));
    for (int k = 0; k < K; k++) {
        double here = share(lrp, lrp->dense, p, v, K, 0, k) * score;
        for (int i = 0; i < H * W; i++) {
            double x[C], r = p[k] > 0 ? here * a[k][i] / (H * W) / p[k] : 0;
            for (int c = 0; c < C; c++)
                x[c] = (double)image[c * H * W + i];
            for (int c = 0; c < C && r != 0; c++)
                relevance[c * H * W + i] +=
                    share(lrp, lrp->first, x, w[k], C, (double)weight(k, 5), c) * r;
        }
    }
}

static const struct sal_lrp cases[] = {
    {.first = SAL_LRP_EPSILON, .dense = SAL_LRP_EPSILON, .epsilon = 1e-6},
    {.first = SAL_LRP_EPSILON, .dense = SAL_LRP_EPSILON, .epsilon = 0.3},
    {.first = SAL_LRP_GAMMA, .dense = SAL_LRP_GAMMA, .gamma = 0.25, .epsilon = 1e-6},
    {.first = SAL_LRP_GAMMA, .dense = SAL_LRP_EPSILON, .gamma = 2, .no_bias = true},
    {.first = SAL_LRP_GAMMA_WEIGHTS, .dense = SAL_LRP_GAMMA_WEIGHTS, .gamma = 0.5},
    {.first = SAL_LRP_ALPHA_BETA, .dense = SAL_LRP_EPSILON, .alpha = 1, .epsilon = 1e-9},
    {.first = SAL_LRP_ALPHA_BETA, .dense = SAL_LRP_ALPHA_BETA, .alpha = 2, .epsilon = 1e-9},
    {.first = SAL_LRP_ALPHA_BETA, .dense = SAL_LRP_EPSILON, .alpha = 3, .no_bias = true,
     .epsilon = 1e-9},
    {.first = SAL_LRP_ZBOX, .dense = SAL_LRP_EPSILON, .epsilon = 1e-6,
     .low = {-2, -1.5, -1.2}, .high = {1.3, 1.5, 2}},
};

/* With negative inputs too, as an image has them after preprocessing. */
static void lrp_is_what_its_formulas_say(void **state)
{
    (void)state;
    struct sal_model *model = make_small("Relu");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        for (int is_signed = 0; is_signed < 2; is_signed++) {
            float x[N], back[N];
            double relevance[N], scores[2], most = 0, worst = 0;
            for (int k = 0; k < N; k++)
                x[k] = picture(3)[k] - (is_signed ? 0.6F : 0);
            must(ask(model, x, (struct asking){.propagation = &sal_propagation_lrp, .lrp = &cases[i]}, back, scores,
                     err));
            reference_lrp(&cases[i], x, relevance);
            for (int k = 0; k < N; k++) {
                double own = (double)back[k] *
                             (cases[i].first == SAL_LRP_ZBOX ? 1 : (double)x[k]);
                double miss = fabs(own - relevance[k]);
                worst = miss <= worst ? worst : miss;
                most = fmax(most, fabs(relevance[k]));
            }
            if (!(most > 0 && worst <= 1e-4 * most))
                fail_msg("case %zu, %s: off by %.2e of %.2e", i,
                         is_signed ? "signed" : "positive", worst, most);
        }
    sal_model_close(model);
}

/* Without biases and with a small epsilon nothing is lost on the way. */
static void relevance_is_conserved(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b);
    weights(&b, "w", 4, DIMS(K, C, 3, 3), 1);
    weights(&b, "v", 4, DIMS(K, K, 3, 3), 3);
    weights(&b, "u", 2, DIMS(K, CLASSES), 2);
    onnx_build_node(&b, "Conv", "x,w", "y");
    onnx_build_ints(&b, "pads", 4, DIMS(1, 1, 1, 1));
    onnx_build_node(&b, "Relu", "y", "a");
    onnx_build_node(&b, "Conv", "a,v", "z");
    onnx_build_ints(&b, "pads", 4, DIMS(1, 1, 1, 1));
    onnx_build_node(&b, "Add", "z,a", "s");
    onnx_build_node(&b, "Relu", "s", "r");
    onnx_build_node(&b, "MaxPool", "r", "m");
    onnx_build_ints(&b, "kernel_shape", 2, DIMS(2, 2));
    onnx_build_node(&b, "GlobalAveragePool", "m", "p");
    onnx_build_node(&b, "Flatten", "p", "f");
    onnx_build_node(&b, "Gemm", "f,u", "scores");
    struct sal_model *model = finish(&b, "scores");
    for (int rule = SAL_LRP_EPSILON; rule <= SAL_LRP_ALPHA_BETA; rule++) {
        struct sal_lrp lrp = {.first = rule, .conv = rule, .epsilon = 1e-9, .gamma = 0.25,
                              .alpha = 2};
        float back[N];
        double scores[2], sum = 0;
        must(ask(model, picture(1), (struct asking){.propagation = &sal_propagation_lrp, .lrp = &lrp}, back, scores,
                 err));
        for (int i = 0; i < N; i++)
            sum += (double)back[i] * (double)picture(1)[i];
        /* alpha - beta = 1, unless an output has contributions of one sign only */
        double tolerance = rule == SAL_LRP_ALPHA_BETA ? 0.5 : 1e-4;
        if (!(fabs(sum - scores[0]) <= tolerance * fabs(scores[0])))
            fail_msg("rule %d: %g of %g is left", rule, sum, scores[0]);
    }
    sal_model_close(model);
}

/* A convolution and its normalisation are one layer. */
static struct sal_model *make_normalised(bool merged)
{
    static const float scale[K] = {1.5F, -0.7F, 0.4F, 2}, shift[K] = {0.1F, 0.3F, -0.2F, 0};
    static const float mean[K] = {0.2F, -0.1F, 0.4F, 0}, variance[K] = {1, 0.5F, 2, 4};
    float w[K * C * 9], bias[K];
    struct onnx_build b;
    begin(&b);
    for (int k = 0; k < K; k++) {
        float factor = scale[k] / sqrtf(variance[k] + 1e-5F);
        for (int i = 0; i < C * 9; i++)
            w[k * C * 9 + i] = weight(k * C * 9 + i, 1) * (merged ? factor : 1);
        bias[k] = merged ? (weight(k, 5) - mean[k]) * factor + shift[k] : weight(k, 5);
    }
    onnx_build_weights(&b, "w", 4, DIMS(K, C, 3, 3), w);
    onnx_build_weights(&b, "b", 1, DIMS(K), bias);
    onnx_build_weights(&b, "scale", 1, DIMS(K), scale);
    onnx_build_weights(&b, "shift", 1, DIMS(K), shift);
    onnx_build_weights(&b, "mean", 1, DIMS(K), mean);
    onnx_build_weights(&b, "variance", 1, DIMS(K), variance);
    onnx_build_node(&b, "Conv", "x,w,b", "y");
    if (!merged)
        onnx_build_node(&b, "BatchNormalization", "y,scale,shift,mean,variance", "n");
    onnx_build_node(&b, "Relu", merged ? "y" : "n", "a");
    onnx_build_node(&b, "GlobalAveragePool", "a", "p");
    onnx_build_node(&b, "Flatten", "p", "f");
    weights(&b, "u", 2, DIMS(K, CLASSES), 2);
    onnx_build_node(&b, "MatMul", "f,u", "scores");
    return finish(&b, "scores");
}

static void a_normalisation_is_merged_into_its_convolution(void **state)
{
    (void)state;
    struct sal_model *own = make_normalised(false), *merged = make_normalised(true);
    struct sal_lrp lrp = {.first = SAL_LRP_GAMMA, .gamma = 0.25, .epsilon = 1e-6};
    float a[N], b[N];
    double scores[2];
    must(ask(own, picture(1), (struct asking){.propagation = &sal_propagation_lrp, .lrp = &lrp}, a, scores, err));
    must(ask(merged, picture(1), (struct asking){.propagation = &sal_propagation_lrp, .lrp = &lrp}, b, scores, err));
    assert_true(apart(a, b) <= 1e-5 * size_of(b) && size_of(b) > 0);
    sal_model_close(own);
    sal_model_close(merged);
}

/* ---- DeepLIFT --------------------------------------------------------------------------- */

/* Of every kind of thing that a difference is split at: attention, gates, maxima, quotients,
 * in tokens that lie before the images of a batch. */
static struct sal_model *make_everything(void)
{
    struct onnx_build b;
    begin(&b);
    weights(&b, "w", 4, DIMS(K, C, 3, 3), 1);
    weights(&b, "q", 2, DIMS(K, K), 2);
    weights(&b, "k", 2, DIMS(K, K), 3);
    weights(&b, "scale", 1, DIMS(K), 4);
    weights(&b, "shift", 1, DIMS(K), 5);
    weights(&b, "u", 2, DIMS(K, CLASSES), 6);
    onnx_build_indices(&b, "flat", 1, DIMS(3), DIMS(0, K, -1));
    onnx_build_weights(&b, "two", 1, DIMS(1), (const float[]){2});
    onnx_build_node(&b, "Conv", "x,w", "y");
    onnx_build_ints(&b, "pads", 4, DIMS(1, 1, 1, 1));
    onnx_build_node(&b, "Sigmoid", "y", "gate");
    onnx_build_node(&b, "Mul", "y,gate", "swish");
    onnx_build_node(&b, "MaxPool", "swish", "m");
    onnx_build_ints(&b, "kernel_shape", 2, DIMS(3, 3));
    onnx_build_ints(&b, "strides", 2, DIMS(2, 2));
    onnx_build_ints(&b, "pads", 4, DIMS(1, 1, 1, 1));
    onnx_build_node(&b, "Reshape", "m,flat", "r");
    onnx_build_node(&b, "Transpose", "r", "t");
    onnx_build_ints(&b, "perm", 3, DIMS(0, 2, 1));
    onnx_build_node(&b, "LayerNormalization", "t,scale,shift", "n");
    onnx_build_node(&b, "MatMul", "n,q", "nq");
    onnx_build_node(&b, "MatMul", "n,k", "nk");
    onnx_build_node(&b, "Transpose", "nk", "kt");
    onnx_build_ints(&b, "perm", 3, DIMS(0, 2, 1));
    onnx_build_node(&b, "MatMul", "nq,kt", "scores0");
    onnx_build_node(&b, "Softmax", "scores0", "s");
    onnx_build_int(&b, "axis", -1);
    onnx_build_node(&b, "MatMul", "s,n", "att");
    onnx_build_node(&b, "Add", "att,t", "res");
    onnx_build_node(&b, "Pow", "res,two", "sq");
    onnx_build_node(&b, "ReduceMean", "sq", "var");
    onnx_build_ints(&b, "axes", 1, DIMS(2));
    onnx_build_node(&b, "Sqrt", "var", "sd");
    onnx_build_node(&b, "Div", "res,sd", "rms");
    onnx_build_node(&b, "ReduceMean", "rms", "p");
    onnx_build_ints(&b, "axes", 1, DIMS(1));
    onnx_build_int(&b, "keepdims", 0);
    onnx_build_node(&b, "MatMul", "p,u", "scores");
    return finish(&b, "scores");
}

static double sum_of_shares(const float *back, const float *x, const float *x0)
{
    double sum = 0;
    for (int i = 0; i < N; i++)
        sum += (double)back[i] * ((double)x[i] - (double)x0[i]);
    return sum;
}

static void deeplift_shares_out_all_of_the_difference(void **state)
{
    (void)state;
    struct sal_model *model = make_everything();
    float a[N], b[N];
    double scores[2];
    struct asking how = {.propagation = &sal_propagation_deeplift, .reference = picture(0)};
    must(ask(model, picture(1), how, a, scores, err));
    double difference = scores[0] - scores[1];
    assert_true(fabs(difference) > 1e-3);
    double sum = sum_of_shares(a, picture(1), picture(0));
    if (!(fabs(sum - difference) <= 1e-4 * fabs(difference)))
        fail_msg("%g of %g is shared out", sum, difference);
    how.plain = true;
    must(ask(model, picture(1), how, b, scores, err));
    assert_true(apart(a, b) <= 1e-4 * size_of(b));
    how.plain = false;
    how.threads = 3;
    must(ask(model, picture(1), how, b, scores, err));
    assert_memory_equal(a, b, sizeof(a));
    sal_model_close(model);
}

static void deeplift_of_what_is_linear_is_its_gradient(void **state)
{
    (void)state;
    struct sal_model *model = make_small("Identity");
    float a[N], b[N];
    double scores[2];
    must(ask(model, picture(1),
             (struct asking){.propagation = &sal_propagation_deeplift, .reference = picture(0)}, a, scores,
             err));
    must(ask(model, picture(1), (struct asking){0}, b, scores, err));
    assert_true(apart(a, b) <= 1e-7 && size_of(b) > 0);
    sal_model_close(model);
}

/* A maximum of 1 and 4 over 3 and 2 (the reference): +1 where 4 is, against 2, and the
 * rest, -1 of 3 that went, where 3 was: adds up to 4 - 3. */
static void a_maximum_is_split_between_both_places(void **state)
{
    (void)state;
    struct onnx_build b;
    onnx_build_init(&b, 17);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 4, DIMS(-1, C, H, W));
    onnx_build_node(&b, "GlobalMaxPool", "x", "m");
    onnx_build_node(&b, "Flatten", "m", "f");
    weights(&b, "u", 2, DIMS(C, CLASSES), 2);
    onnx_build_node(&b, "MatMul", "f,u", "scores");
    struct sal_model *model = finish(&b, "scores");
    float x[N] = {1, 4}, x0[N] = {3, 2}, back[N];
    double scores[2];
    must(ask(model, x, (struct asking){.propagation = &sal_propagation_deeplift, .reference = x0}, back,
             scores, err));
    const double u = (double)weight(1, 2);
    assert_true(fabs((double)back[0] - 0) <= 1e-6);
    assert_true(fabs((double)back[1] * 2 - u) <= 1e-6);
    must(ask(model, x0, (struct asking){.propagation = &sal_propagation_deeplift, .reference = x}, back,
             scores, err));
    assert_true(fabs((double)back[0] * 2) <= 1e-6);
    assert_true(fabs((double)back[1] * -2 + u) <= 1e-6);
    sal_model_close(model);
}

static void deeplift_needs_a_reference(void **state)
{
    (void)state;
    struct sal_model *model = make_small("Relu");
    struct sal_error refusal = {0};
    float back[N];
    double scores[2];
    assert_int_equal(ask(model, picture(1), (struct asking){.propagation = &sal_propagation_deeplift}, back,
                         scores, &refusal),
                     SAL_USAGE);
    assert_non_null(strstr(refusal.text, "compare with another run"));
    sal_model_close(model);
}

/* ---- ReLUs --------------------------------------------------------------------------------- */

/* All weights are positive: no gradient is negative and every unit is active. */
static struct sal_model *make_positive(void)
{
    struct onnx_build b;
    float w[K * C];
    begin(&b);
    for (int i = 0; i < K * C; i++)
        w[i] = 0.1F + fabsf(weight(i, 1));
    onnx_build_weights(&b, "w", 4, DIMS(K, C, 1, 1), w);
    onnx_build_weights(&b, "u", 2, DIMS(K, CLASSES), w);
    onnx_build_node(&b, "Conv", "x,w", "y");
    onnx_build_node(&b, "Relu", "y", "a");
    onnx_build_node(&b, "GlobalAveragePool", "a", "p");
    onnx_build_node(&b, "Flatten", "p", "f");
    onnx_build_node(&b, "MatMul", "f,u", "scores");
    return finish(&b, "scores");
}

static void where_all_is_positive_rules_are_the_gradient(void **state)
{
    (void)state;
    struct sal_model *model = make_positive();
    float a[N], b[N], g[N];
    double scores[2];
    must(ask(model, picture(1), (struct asking){0}, g, scores, err));
    must(ask(model, picture(1), (struct asking){.propagation = &sal_propagation_guided}, a, scores, err));
    must(ask(model, picture(1), (struct asking){.propagation = &sal_propagation_deconvnet}, b, scores, err));
    assert_true(size_of(g) > 0);
    assert_true(apart(a, g) <= 1e-7 && apart(b, g) <= 1e-7);
    sal_model_close(model);
}

/* By hand: [y > 0] max(v, 0) and max(v, 0), times w, over the number of pixels. */
static void rectifiers_keep_negative_gradients_back(void **state)
{
    (void)state;
    struct sal_model *model = make_small("Relu");
    float x[N];
    for (int i = 0; i < N; i++)
        x[i] = picture(3)[i] * 3 - 1.5F;
    for (int plain = 0; plain < 2; plain++) {
        float a[N], b[N];
        double scores[2];
        bool inactive = false, negative = false;
        must(ask(model, x, (struct asking){.propagation = &sal_propagation_guided, .plain = plain},
                 a, scores, err));
        must(ask(model, x,
                 (struct asking){.propagation = &sal_propagation_deconvnet, .plain = plain}, b, scores, err));
        for (int i = 0; i < H * W; i++) {
            double guided[C] = {0}, deconvnet[C] = {0};
            for (int k = 0; k < K; k++) {
                double y = (double)weight(k, 5), v = (double)weight(k * CLASSES + 1, 2);
                for (int c = 0; c < C; c++)
                    y += (double)weight(k * C + c, 1) * (double)x[c * H * W + i];
                inactive |= y <= 0 && v > 0;
                negative |= y > 0 && v < 0;
                for (int c = 0; c < C; c++) {
                    double back = up(v) / (H * W) * (double)weight(k * C + c, 1);
                    guided[c] += y > 0 ? back : 0;
                    deconvnet[c] += back;
                }
            }
            for (int c = 0; c < C; c++) {
                assert_true(fabs((double)a[c * H * W + i] - guided[c]) <= 1e-6);
                assert_true(fabs((double)b[c * H * W + i] - deconvnet[c]) <= 1e-6);
            }
        }
        assert_true(inactive && negative);
    }
    sal_model_close(model);
}

/* ---- refusals ---------------------------------------------------------------------------- */

static void refuses(struct onnx_build *b, struct asking how, const char *text)
{
    struct sal_model *model = finish(b, "scores");
    struct sal_error refusal = {0};
    float back[N];
    double scores[2];
    assert_int_equal(ask(model, picture(1), how, back, scores, &refusal), SAL_UNSUPPORTED);
    if (!strstr(refusal.text, text))
        fail_msg("'%s' does not say '%s'", refusal.text, text);
    sal_model_close(model);
}

static void what_has_no_rule_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *op, *inputs, *text;
    } rows[] = {
        {"Mul", "y,y", "multiplies two values that both follow the image"},
        {"Cos", "y", "Cos 'odd': has no rule in LRP"},
    };
    struct sal_lrp lrp = {.epsilon = 1e-6}, box = {.first = SAL_LRP_ZBOX, .high = {1, 2, 3}};
    struct asking how = {.propagation = &sal_propagation_lrp, .lrp = &lrp};
    for (size_t i = 0; i <= sizeof(rows) / sizeof(*rows); i++) {
        bool boxed = i == sizeof(rows) / sizeof(*rows);
        struct onnx_build b;
        begin(&b);
        weights(&b, "w", 4, DIMS(CLASSES, C, 1, 1), 1);
        weights(&b, "half", 1, DIMS(1), 1);
        onnx_build_node(&b, "Mul", "x,half", "n");
        onnx_build_name(&b, "normalise");
        onnx_build_node(&b, "Conv", "n,w", "y");
        if (!boxed) {
            onnx_build_node(&b, rows[i].op, rows[i].inputs, "o");
            onnx_build_name(&b, "odd");
        }
        onnx_build_node(&b, "GlobalAveragePool", boxed ? "y" : "o", "p");
        onnx_build_node(&b, "Flatten", "p", "scores");
        how.lrp = boxed ? &box : &lrp;
        refuses(&b, how, boxed ? "Mul 'normalise': reads the image" : rows[i].text);
    }
    struct onnx_build b;
    begin(&b);
    onnx_build_node(&b, "Cos", "x", "y");
    onnx_build_name(&b, "odd");
    onnx_build_node(&b, "GlobalAveragePool", "y", "p");
    onnx_build_node(&b, "Flatten", "p", "scores");
    refuses(&b, (struct asking){.propagation = &sal_propagation_deeplift, .reference = picture(0)},
            "Cos 'odd': has no rule in DeepLIFT");
}

/* ---- gates ------------------------------------------------------------------------------ */

/* Squeeze and excitation, and swish: what a sigmoid scales gets all of the relevance. */
static void the_signal_takes_all_and_the_gate_nothing(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b);
    weights(&b, "w", 4, DIMS(K, C, 3, 3), 1);
    weights(&b, "e", 4, DIMS(K, K, 1, 1), 4);
    weights(&b, "u", 2, DIMS(K, CLASSES), 2);
    onnx_build_node(&b, "Conv", "x,w", "y");
    onnx_build_node(&b, "Sigmoid", "y", "s");
    onnx_build_node(&b, "Mul", "s,y", "a");
    onnx_build_node(&b, "GlobalAveragePool", "a", "squeezed");
    onnx_build_node(&b, "Conv", "squeezed,e", "excited");
    onnx_build_node(&b, "HardSigmoid", "excited", "gate");
    onnx_build_node(&b, "Mul", "a,gate", "z");
    onnx_build_node(&b, "GlobalAveragePool", "z", "p");
    onnx_build_node(&b, "Flatten", "p", "f");
    onnx_build_node(&b, "MatMul", "f,u", "scores");
    struct sal_model *model = finish(&b, "scores");
    struct sal_lrp lrp = {.epsilon = 1e-9};
    float back[N], none[N] = {0};
    double scores[2];
    must(ask(model, picture(1), (struct asking){.propagation = &sal_propagation_lrp, .lrp = &lrp},
             back, scores, err));
    double sum = sum_of_shares(back, picture(1), none);
    if (!(fabs(sum - scores[0]) <= 1e-4 * fabs(scores[0])))
        fail_msg("%g of %g is left", sum, scores[0]);
    sal_model_close(model);
}

/* ---- attention ----------------------------------------------------------------------------- */

/* Attention and normalisation count as constants: without biases relevance is conserved. */
static void lrp_goes_through_attention(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b);
    weights(&b, "w", 4, DIMS(K, C, 3, 3), 1);
    weights(&b, "q", 2, DIMS(K, K), 2);
    weights(&b, "k", 2, DIMS(K, K), 3);
    weights(&b, "u", 2, DIMS(K, CLASSES), 6);
    onnx_build_weights(&b, "scale", 1, DIMS(K), (const float[]){1, 2, 1, 0.5F});
    onnx_build_weights(&b, "shift", 1, DIMS(K), (const float[]){0, 0, 0, 0});
    onnx_build_indices(&b, "flat", 1, DIMS(3), DIMS(0, K, -1));
    onnx_build_node(&b, "Conv", "x,w", "y");
    onnx_build_node(&b, "Reshape", "y,flat", "r");
    onnx_build_node(&b, "Transpose", "r", "t");
    onnx_build_ints(&b, "perm", 3, DIMS(0, 2, 1));
    onnx_build_node(&b, "LayerNormalization", "t,scale,shift", "n");
    onnx_build_node(&b, "MatMul", "n,q", "nq");
    onnx_build_node(&b, "MatMul", "n,k", "nk");
    onnx_build_node(&b, "Transpose", "nk", "kt");
    onnx_build_ints(&b, "perm", 3, DIMS(0, 2, 1));
    onnx_build_node(&b, "MatMul", "nq,kt", "s0");
    onnx_build_node(&b, "Softmax", "s0", "s");
    onnx_build_int(&b, "axis", -1);
    onnx_build_node(&b, "MatMul", "s,n", "att");
    onnx_build_node(&b, "Add", "att,t", "res");
    onnx_build_node(&b, "ReduceMean", "res", "p");
    onnx_build_ints(&b, "axes", 1, DIMS(1));
    onnx_build_int(&b, "keepdims", 0);
    onnx_build_node(&b, "MatMul", "p,u", "scores");
    struct sal_model *model = finish(&b, "scores");
    struct sal_lrp lrp = {.epsilon = 1e-9};
    for (int plain = 0; plain < 2; plain++) {
        float back[N], none[N] = {0};
        double scores[2];
        must(ask(model, picture(1), (struct asking){.propagation = &sal_propagation_lrp, .lrp = &lrp, .plain = plain},
                 back, scores, err));
        double sum = sum_of_shares(back, picture(1), none);
        if (!(fabs(sum - scores[0]) <= 1e-4 * fabs(scores[0])))
            fail_msg("%g of %g is left", sum, scores[0]);
    }
    sal_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lrp_is_what_its_formulas_say),
        cmocka_unit_test(relevance_is_conserved),
        cmocka_unit_test(a_normalisation_is_merged_into_its_convolution),
        cmocka_unit_test(deeplift_shares_out_all_of_the_difference),
        cmocka_unit_test(deeplift_of_what_is_linear_is_its_gradient),
        cmocka_unit_test(a_maximum_is_split_between_both_places),
        cmocka_unit_test(deeplift_needs_a_reference),
        cmocka_unit_test(where_all_is_positive_rules_are_the_gradient),
        cmocka_unit_test(rectifiers_keep_negative_gradients_back),
        cmocka_unit_test(what_has_no_rule_is_refused_by_name),
        cmocka_unit_test(the_signal_takes_all_and_the_gate_nothing),
        cmocka_unit_test(lrp_goes_through_attention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
