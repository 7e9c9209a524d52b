/* LRP on small networks: beside a reference written out in double, what must be left of
 * the score, and where there is no rule. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rule_network.h"

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
        return (part + g * (z > 0 ? up(part) : down(part))) /
               safe(whole + g * favoured, e);
    }
    case SAL_LRP_GAMMA_WEIGHTS:
        return x[i] * (w[i] + g * up(w[i])) / safe(sum + b, e);
    case SAL_LRP_ALPHA_BETA:
        return lrp->alpha * up(part) / safe(above, e) +
               (lrp->alpha > 1 ? (1 - lrp->alpha) * down(part) / safe(below, e) : 0);
    case SAL_LRP_ZBOX:
        return (part - lrp->low[i] * up(w[i]) - lrp->high[i] * down(w[i])) /
               safe(box, e);
    }
    return 0;
}

/* Relevance of the mean's inputs and then of the pixels, of rule_network(). */
static void reference_lrp(const struct sal_lrp *lrp, const float *image,
                          double *relevance)
{
    double w[K][C], v[K], a[K][H * W], p[K] = {0};
    for (int k = 0; k < K; k++) {
        v[k] = (double)rule_weight(k * CLASSES + 1, 2);
        for (int c = 0; c < C; c++)
            w[k][c] = (double)rule_weight(k * C + c, 1);
        for (int i = 0; i < H * W; i++) {
            double y = (double)rule_weight(k, 5);
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
                    share(lrp, lrp->first, x, w[k], C, (double)rule_weight(k, 5), c) *
                    r;
        }
    }
}

static const struct sal_lrp cases[] = {
    {.first = SAL_LRP_EPSILON, .dense = SAL_LRP_EPSILON, .epsilon = 1e-6},
    {.first = SAL_LRP_EPSILON, .dense = SAL_LRP_EPSILON, .epsilon = 0.3},
    {.first = SAL_LRP_GAMMA, .dense = SAL_LRP_GAMMA, .gamma = 0.25, .epsilon = 1e-6},
    {.first = SAL_LRP_GAMMA, .dense = SAL_LRP_EPSILON, .gamma = 2, .no_bias = true},
    {.first = SAL_LRP_GAMMA_WEIGHTS, .dense = SAL_LRP_GAMMA_WEIGHTS, .gamma = 0.5},
    {.first = SAL_LRP_ALPHA_BETA,
     .dense = SAL_LRP_EPSILON,
     .alpha = 1,
     .epsilon = 1e-9},
    {.first = SAL_LRP_ALPHA_BETA,
     .dense = SAL_LRP_ALPHA_BETA,
     .alpha = 2,
     .epsilon = 1e-9},
    {.first = SAL_LRP_ALPHA_BETA,
     .dense = SAL_LRP_EPSILON,
     .alpha = 3,
     .no_bias = true,
     .epsilon = 1e-9},
    {.first = SAL_LRP_ZBOX,
     .dense = SAL_LRP_EPSILON,
     .epsilon = 1e-6,
     .low = {-2, -1.5, -1.2},
     .high = {1.3, 1.5, 2}},
};

/* With negative inputs too, as an image has them after preprocessing. */
static void lrp_is_what_its_formulas_say(void **state)
{
    (void)state;
    struct sal_model *model = rule_network("Relu");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        for (int is_signed = 0; is_signed < 2; is_signed++) {
            float x[N], back[N];
            double relevance[N], scores[2], most = 0, worst = 0;
            for (int k = 0; k < N; k++)
                x[k] = rule_picture(3)[k] - (is_signed ? 0.6F : 0);
            must(rule_ask(model, x, by_lrp(&cases[i]), back, scores, err));
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
    rule_begin(&b);
    rule_weights(&b, "w", 4, DIMS(K, C, 3, 3), 1);
    rule_weights(&b, "v", 4, DIMS(K, K, 3, 3), 3);
    rule_weights(&b, "u", 2, DIMS(K, CLASSES), 2);
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
    struct sal_model *model = rule_finish(&b, "scores");
    for (int rule = SAL_LRP_EPSILON; rule <= SAL_LRP_ALPHA_BETA; rule++) {
        struct sal_lrp lrp = {
            .first = rule, .conv = rule, .epsilon = 1e-9, .gamma = 0.25, .alpha = 2};
        float back[N];
        double scores[2], sum = 0;
        must(rule_ask(model, rule_picture(1), by_lrp(&lrp), back, scores, err));
        for (int i = 0; i < N; i++)
            sum += (double)back[i] * (double)rule_picture(1)[i];
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
    static const float scale[K] = {1.5F, -0.7F, 0.4F, 2},
                       shift[K] = {0.1F, 0.3F, -0.2F, 0};
    static const float mean[K] = {0.2F, -0.1F, 0.4F, 0}, variance[K] = {1, 0.5F, 2, 4};
    float w[K * C * 9], bias[K];
    struct onnx_build b;
    rule_begin(&b);
    for (int k = 0; k < K; k++) {
        float factor = scale[k] / sqrtf(variance[k] + 1e-5F);
        for (int i = 0; i < C * 9; i++)
            w[k * C * 9 + i] = rule_weight(k * C * 9 + i, 1) * (merged ? factor : 1);
        bias[k] = merged ? (rule_weight(k, 5) - mean[k]) * factor + shift[k]
                         : rule_weight(k, 5);
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
    rule_weights(&b, "u", 2, DIMS(K, CLASSES), 2);
    onnx_build_node(&b, "MatMul", "f,u", "scores");
    return rule_finish(&b, "scores");
}

static void a_normalisation_is_merged_into_its_convolution(void **state)
{
    (void)state;
    struct sal_model *own = make_normalised(false), *merged = make_normalised(true);
    struct sal_lrp lrp = {.first = SAL_LRP_GAMMA, .gamma = 0.25, .epsilon = 1e-6};
    float a[N], b[N];
    double scores[2];
    must(rule_ask(own, rule_picture(1), by_lrp(&lrp), a, scores, err));
    must(rule_ask(merged, rule_picture(1), by_lrp(&lrp), b, scores, err));
    assert_true(rule_apart(a, b) <= 1e-5 * rule_size(b) && rule_size(b) > 0);
    sal_model_close(own);
    sal_model_close(merged);
}

/* ---- gates ------------------------------------------------------------------------------ */

/* Squeeze and excitation, and swish: what a sigmoid scales gets all of the relevance.
 */
static void the_signal_takes_all_and_the_gate_nothing(void **state)
{
    (void)state;
    struct onnx_build b;
    rule_begin(&b);
    rule_weights(&b, "w", 4, DIMS(K, C, 3, 3), 1);
    rule_weights(&b, "e", 4, DIMS(K, K, 1, 1), 4);
    rule_weights(&b, "u", 2, DIMS(K, CLASSES), 2);
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
    struct sal_model *model = rule_finish(&b, "scores");
    struct sal_lrp lrp = {.epsilon = 1e-9};
    float back[N], none[N] = {0};
    double scores[2];
    must(rule_ask(model, rule_picture(1), by_lrp(&lrp), back, scores, err));
    double sum = rule_sum(back, rule_picture(1), none);
    if (!(fabs(sum - scores[0]) <= 1e-4 * fabs(scores[0])))
        fail_msg("%g of %g is left", sum, scores[0]);
    sal_model_close(model);
}

/* ---- attention ----------------------------------------------------------------------------- */

/* Attention and normalisation count as constants: without biases relevance is
 * conserved. */
static void lrp_goes_through_attention(void **state)
{
    (void)state;
    struct onnx_build b;
    rule_begin(&b);
    rule_weights(&b, "w", 4, DIMS(K, C, 3, 3), 1);
    rule_weights(&b, "q", 2, DIMS(K, K), 2);
    rule_weights(&b, "k", 2, DIMS(K, K), 3);
    rule_weights(&b, "u", 2, DIMS(K, CLASSES), 6);
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
    struct sal_model *model = rule_finish(&b, "scores");
    struct sal_lrp lrp = {.epsilon = 1e-9};
    for (int plain = 0; plain < 2; plain++) {
        float back[N], none[N] = {0};
        double scores[2];
        must(rule_ask(model, rule_picture(1),
                      (struct rule_asking){.propagation = &sal_propagation_lrp,
                                           .lrp = &lrp,
                                           .plain = plain},
                      back, scores, err));
        double sum = rule_sum(back, rule_picture(1), none);
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
        cmocka_unit_test(the_signal_takes_all_and_the_gate_nothing),
        cmocka_unit_test(lrp_goes_through_attention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
