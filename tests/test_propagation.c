/* Rules of propagation on small networks: sums that have to come out, what ReLUs let
 * back, what is lowered beside what is not, and what is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rule_network.h"

/* ---- DeepLIFT --------------------------------------------------------------------------- */

/* Of every kind of thing that a difference is split at: attention, gates, maxima,
 * quotients, in tokens that lie before the images of a batch. */
static struct sal_model *make_everything(void)
{
    struct onnx_build b;
    rule_begin(&b);
    rule_weights(&b, "w", 4, DIMS(K, C, 3, 3), 1);
    rule_weights(&b, "q", 2, DIMS(K, K), 2);
    rule_weights(&b, "k", 2, DIMS(K, K), 3);
    rule_weights(&b, "scale", 1, DIMS(K), 4);
    rule_weights(&b, "shift", 1, DIMS(K), 5);
    rule_weights(&b, "u", 2, DIMS(K, CLASSES), 6);
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
    return rule_finish(&b, "scores");
}

static void deeplift_shares_out_all_of_the_difference(void **state)
{
    (void)state;
    struct sal_model *model = make_everything();
    float a[N], b[N];
    double scores[2];
    struct rule_asking how = {.propagation = &sal_propagation_deeplift,
                              .reference = rule_picture(0)};
    must(rule_ask(model, rule_picture(1), how, a, scores, err));
    double difference = scores[0] - scores[1];
    assert_true(fabs(difference) > 1e-3);
    double sum = rule_sum(a, rule_picture(1), rule_picture(0));
    if (!(fabs(sum - difference) <= 1e-4 * fabs(difference)))
        fail_msg("%g of %g is shared out", sum, difference);
    how.plain = true;
    must(rule_ask(model, rule_picture(1), how, b, scores, err));
    assert_true(rule_apart(a, b) <= 1e-4 * rule_size(b));
    how.plain = false;
    how.threads = 3;
    must(rule_ask(model, rule_picture(1), how, b, scores, err));
    assert_memory_equal(a, b, sizeof(a));
    sal_model_close(model);
}

static void deeplift_of_what_is_linear_is_its_gradient(void **state)
{
    (void)state;
    struct sal_model *model = rule_network("Identity");
    float a[N], b[N];
    double scores[2];
    must(
        rule_ask(model, rule_picture(1), by_deeplift(rule_picture(0)), a, scores, err));
    must(rule_ask(model, rule_picture(1), (struct rule_asking){0}, b, scores, err));
    assert_true(rule_apart(a, b) <= 1e-7 && rule_size(b) > 0);
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
    rule_weights(&b, "u", 2, DIMS(C, CLASSES), 2);
    onnx_build_node(&b, "MatMul", "f,u", "scores");
    struct sal_model *model = rule_finish(&b, "scores");
    float x[N] = {1, 4}, x0[N] = {3, 2}, back[N];
    double scores[2];
    must(rule_ask(model, x, by_deeplift(x0), back, scores, err));
    const double u = (double)rule_weight(1, 2);
    assert_true(fabs((double)back[0] - 0) <= 1e-6);
    assert_true(fabs((double)back[1] * 2 - u) <= 1e-6);
    must(rule_ask(model, x0, by_deeplift(x), back, scores, err));
    assert_true(fabs((double)back[0] * 2) <= 1e-6);
    assert_true(fabs((double)back[1] * -2 + u) <= 1e-6);
    sal_model_close(model);
}

static void deeplift_needs_a_reference(void **state)
{
    (void)state;
    struct sal_model *model = rule_network("Relu");
    struct sal_error refusal = {0};
    float back[N];
    double scores[2];
    assert_int_equal(
        rule_ask(model, rule_picture(1),
                 (struct rule_asking){.propagation = &sal_propagation_deeplift}, back,
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
    rule_begin(&b);
    for (int i = 0; i < K * C; i++)
        w[i] = 0.1F + fabsf(rule_weight(i, 1));
    onnx_build_weights(&b, "w", 4, DIMS(K, C, 1, 1), w);
    onnx_build_weights(&b, "u", 2, DIMS(K, CLASSES), w);
    onnx_build_node(&b, "Conv", "x,w", "y");
    onnx_build_node(&b, "Relu", "y", "a");
    onnx_build_node(&b, "GlobalAveragePool", "a", "p");
    onnx_build_node(&b, "Flatten", "p", "f");
    onnx_build_node(&b, "MatMul", "f,u", "scores");
    return rule_finish(&b, "scores");
}

static void where_all_is_positive_rules_are_the_gradient(void **state)
{
    (void)state;
    struct sal_model *model = make_positive();
    float a[N], b[N], g[N];
    double scores[2];
    must(rule_ask(model, rule_picture(1), (struct rule_asking){0}, g, scores, err));
    must(rule_ask(model, rule_picture(1), by(&sal_propagation_guided), a, scores, err));
    must(rule_ask(model, rule_picture(1), by(&sal_propagation_deconvnet), b, scores,
                  err));
    assert_true(rule_size(g) > 0);
    assert_true(rule_apart(a, g) <= 1e-7 && rule_apart(b, g) <= 1e-7);
    sal_model_close(model);
}

/* By hand: [y > 0] max(v, 0) and max(v, 0), times w, over the number of pixels. */
static void rectifiers_keep_negative_gradients_back(void **state)
{
    (void)state;
    struct sal_model *model = rule_network("Relu");
    float x[N];
    for (int i = 0; i < N; i++)
        x[i] = rule_picture(3)[i] * 3 - 1.5F;
    for (int plain = 0; plain < 2; plain++) {
        float a[N], b[N];
        double scores[2];
        bool inactive = false, negative = false;
        must(rule_ask(model, x,
                      (struct rule_asking){.propagation = &sal_propagation_guided,
                                           .plain = plain},
                      a, scores, err));
        must(rule_ask(model, x,
                      (struct rule_asking){.propagation = &sal_propagation_deconvnet,
                                           .plain = plain},
                      b, scores, err));
        for (int i = 0; i < H * W; i++) {
            double guided[C] = {0}, deconvnet[C] = {0};
            for (int k = 0; k < K; k++) {
                double y = (double)rule_weight(k, 5),
                       v = (double)rule_weight(k * CLASSES + 1, 2);
                for (int c = 0; c < C; c++)
                    y += (double)rule_weight(k * C + c, 1) * (double)x[c * H * W + i];
                inactive |= y <= 0 && v > 0;
                negative |= y > 0 && v < 0;
                for (int c = 0; c < C; c++) {
                    double back =
                        fmax(v, 0) / (H * W) * (double)rule_weight(k * C + c, 1);
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

static void refuses(struct onnx_build *b, struct rule_asking how, const char *text)
{
    struct sal_model *model = rule_finish(b, "scores");
    struct sal_error refusal = {0};
    float back[N];
    double scores[2];
    assert_int_equal(rule_ask(model, rule_picture(1), how, back, scores, &refusal),
                     SAL_UNSUPPORTED);
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
    struct sal_lrp lrp = {.epsilon = 1e-6},
                   box = {.first = SAL_LRP_ZBOX, .high = {1, 2, 3}};
    struct rule_asking how = {.propagation = &sal_propagation_lrp, .lrp = &lrp};
    for (size_t i = 0; i <= sizeof(rows) / sizeof(*rows); i++) {
        bool boxed = i == sizeof(rows) / sizeof(*rows);
        struct onnx_build b;
        rule_begin(&b);
        rule_weights(&b, "w", 4, DIMS(CLASSES, C, 1, 1), 1);
        rule_weights(&b, "half", 1, DIMS(1), 1);
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
    rule_begin(&b);
    onnx_build_node(&b, "Cos", "x", "y");
    onnx_build_name(&b, "odd");
    onnx_build_node(&b, "GlobalAveragePool", "y", "p");
    onnx_build_node(&b, "Flatten", "p", "scores");
    refuses(&b, by_deeplift(rule_picture(0)), "Cos 'odd': has no rule in DeepLIFT");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deeplift_shares_out_all_of_the_difference),
        cmocka_unit_test(deeplift_of_what_is_linear_is_its_gradient),
        cmocka_unit_test(a_maximum_is_split_between_both_places),
        cmocka_unit_test(deeplift_needs_a_reference),
        cmocka_unit_test(where_all_is_positive_rules_are_the_gradient),
        cmocka_unit_test(rectifiers_keep_negative_gradients_back),
        cmocka_unit_test(what_has_no_rule_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
