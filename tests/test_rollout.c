/* Attention rollout on a small transformer of two blocks and two heads, against products of
 * whole matrices; and where there is nothing to roll out. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "data.h"
#include "onnx_build.h"
#include "small_network.h"

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})

/* A picture of 8 x 12, cut into 4 x 4: 2 x 3 tokens of 4 features; 2 heads. */
enum { HIGH = 8, WIDE = 12, PATCH = 4, GRID = 6, D = 4, HEADS = 2, BLOCKS = 2, T_MAX = GRID + 1 };

enum kind {
    CLASS_TOKEN, /* in front, which alone the logits read */
    POOLED,      /* no class token: the mean over all */
    INSIDE,      /* as CLASS_TOKEN, with Attention operators */
    WINDOWS,     /* as POOLED, attention within rows of the picture */
    FEWER_KEYS,  /* as POOLED, keys and values of pairs of tokens */
};

static void reshape(struct onnx_build *b, const char *from, const char *to, int rank,
                    const int64_t *dims)
{
    char shape[32], inputs[64];
    snprintf(shape, sizeof(shape), "shape_%s", to);
    snprintf(inputs, sizeof(inputs), "%s,%s", from, shape);
    onnx_build_indices(b, shape, 1, DIMS(rank), dims);
    onnx_build_node(b, "Reshape", inputs, to);
}

/* tokens[i] -> `to`, by weights of its own. */
static void linear(struct onnx_build *b, const char *from, const char *to, float size)
{
    char weights[32], inputs[64];
    snprintf(weights, sizeof(weights), "w_%s", to);
    snprintf(inputs, sizeof(inputs), "%s,%s", from, weights);
    onnx_build_waves(b, weights, 2, DIMS(D, D), size);
    onnx_build_node(b, "MatMul", inputs, to);
}

/* from [1][t][D] -> [1][HEADS][t][D/HEADS], or turned. */
static void heads(struct onnx_build *b, const char *from, const char *to, int64_t t, bool turn)
{
    char cut[32];
    snprintf(cut, sizeof(cut), "cut_%s", to);
    reshape(b, from, cut, 4, DIMS(1, t, HEADS, D / HEADS));
    onnx_build_node(b, "Transpose", cut, to);
    onnx_build_ints(b, "perm", 4, turn ? DIMS(0, 2, 3, 1) : DIMS(0, 2, 1, 3));
}

static void attend(struct onnx_build *b, enum kind kind, int block, int64_t t)
{
    char n[12][16];
    static const char *const roots[] = {"t", "q", "k", "v", "qh", "kh", "vh",
                                        "s", "p", "m", "mt", "mf"};
    for (int i = 0; i < 12; i++)
        snprintf(n[i], sizeof(n[i]), "%s%d", roots[i], block);
    char pair[64], sum[40], next[16];
    linear(b, n[0], n[1], 1.5F + (float)block);
    linear(b, n[0], n[2], 2.5F);
    linear(b, n[0], n[3], 1.2F);
    heads(b, n[1], n[4], t, false);
    heads(b, n[2], n[5], t, kind != INSIDE);
    heads(b, n[3], n[6], t, false);
    if (kind == INSIDE) {
        snprintf(pair, sizeof(pair), "%s,%s,%s", n[4], n[5], n[6]);
        onnx_build_node(b, "Attention", pair, n[9]);
        onnx_build_float(b, "scale", 1);
    } else {
        snprintf(pair, sizeof(pair), "%s,%s", n[4], n[5]);
        onnx_build_node(b, "MatMul", pair, n[7]);
        onnx_build_node(b, "Softmax", n[7], n[8]);
        snprintf(pair, sizeof(pair), "%s,%s", n[8], n[6]);
        onnx_build_node(b, "MatMul", pair, n[9]);
    }
    onnx_build_node(b, "Transpose", n[9], n[10]);
    onnx_build_ints(b, "perm", 4, DIMS(0, 2, 1, 3));
    reshape(b, n[10], n[11], 3, DIMS(1, t, D));
    snprintf(sum, sizeof(sum), "%s,%s", n[0], n[11]);
    snprintf(next, sizeof(next), "t%d", block + 1);
    onnx_build_node(b, "Add", sum, next);
}

/* One block within rows of 3 tokens, or with keys of pairs of tokens. */
static void attend_oddly(struct onnx_build *b, enum kind kind)
{
    bool windows = kind == WINDOWS;
    linear(b, "t0", "q", 1.5F);
    if (windows) {
        reshape(b, "q", "qw", 3, DIMS(GRID / 3, 3, D));
        onnx_build_node(b, "Transpose", "qw", "kw");
    } else {
        reshape(b, "q", "qw", 3, DIMS(1, GRID, D));
        onnx_build_node(b, "Slice", "q,from,to,axis", "few");
        onnx_build_node(b, "Transpose", "few", "kw");
    }
    onnx_build_ints(b, "perm", 3, DIMS(0, 2, 1));
    onnx_build_indices(b, "from", 1, DIMS(1), DIMS(0));
    onnx_build_indices(b, "to", 1, DIMS(1), DIMS(GRID / 2));
    onnx_build_indices(b, "axis", 1, DIMS(1), DIMS(1));
    onnx_build_node(b, "MatMul", "qw,kw", "s");
    onnx_build_node(b, "Softmax", "s", "p");
    onnx_build_name(b, "odd");
    onnx_build_node(b, "MatMul", windows ? "p,qw" : "p,few", "mw");
    reshape(b, "mw", "m", 3, DIMS(1, GRID, D));
    onnx_build_node(b, "Add", "t0,m", "t2");
}

static struct sal_model *transformer(enum kind kind)
{
    bool token = kind == CLASS_TOKEN || kind == INSIDE;
    int64_t t = token ? GRID + 1 : GRID;
    struct onnx_build b;
    char path[ONNX_BUILD_PATH];
    struct sal_model *model = NULL;
    onnx_build_init(&b, kind == INSIDE ? 23 : 17);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 4, DIMS(1, 1, HIGH, WIDE));
    onnx_build_waves(&b, "w", 4, DIMS(D, 1, PATCH, PATCH), 0.6F);
    onnx_build_node(&b, "Conv", "x,w", "patches");
    onnx_build_ints(&b, "strides", 2, DIMS(PATCH, PATCH));
    reshape(&b, "patches", "flat", 3, DIMS(1, D, GRID));
    onnx_build_node(&b, "Transpose", "flat", token ? "grid" : "t0");
    onnx_build_ints(&b, "perm", 3, DIMS(0, 2, 1));
    if (token) {
        onnx_build_waves(&b, "class", 3, DIMS(1, 1, D), 0.9F);
        onnx_build_node(&b, "Concat", "class,grid", "t0");
        onnx_build_int(&b, "axis", 1);
    }
    if (kind == WINDOWS || kind == FEWER_KEYS)
        attend_oddly(&b, kind);
    for (int i = 0; i < BLOCKS && kind != WINDOWS && kind != FEWER_KEYS; i++)
        attend(&b, kind, i, t);
    onnx_build_indices(&b, "zero", 0, NULL, DIMS(0));
    onnx_build_waves(&b, "head", 2, DIMS(D, CLASSES), 1);
    if (token) {
        onnx_build_node(&b, "Gather", "t2,zero", "read");
        onnx_build_int(&b, "axis", 1);
    } else {
        onnx_build_node(&b, "ReduceMean", "t2", "read");
        onnx_build_ints(&b, "axes", 1, DIMS(1));
        onnx_build_int(&b, "keepdims", 0);
    }
    onnx_build_node(&b, "MatMul", "read,head", "logits");
    onnx_build_output(&b, "logits", SAL_ONNX_FLOAT, -1, NULL);
    assert_true(onnx_build_save(&b, path));
    must(sal_model_open(&model, path, &(struct sal_model_options){0}, err));
    unlink(path);
    return model;
}

static const float *picture(void)
{
    static float x[HIGH * WIDE];
    for (int i = 0; i < HIGH * WIDE; i++)
        x[i] = (float)(1.2 * cos(0.83 * (i + 1)) + 0.2);
    return x;
}

static struct sal_map rolled(enum kind kind, const char *settings)
{
    struct sal_model *model = transformer(kind);
    struct sal_map map;
    must(ask(model, picture(), "rollout", (struct asking){.settings = settings}, &map, err));
    assert_true(map.grid_width == 3 && map.grid_height == 2);
    sal_model_close(model);
    return map;
}

/* ---- by hand ---------------------------------------------------------------------------- */

/* Probabilities of both blocks and their gradients, node by node; returns tokens. */
static int read_blocks(enum kind kind, double p[BLOCKS][HEADS][T_MAX][T_MAX],
                       double g[BLOCKS][HEADS][T_MAX][T_MAX])
{
    struct sal_model *model = transformer(kind);
    struct sal_run *run = NULL;
    int keep[] = {sal_model_find(model, "p0"), sal_model_find(model, "p1")};
    must(sal_run_open(&run, model,
                      &(struct sal_run_options){
                          .gradient = true, .keep = keep, .n_keep = 2, .plain = true},
                      err));
    must(sal_run_forward(run, picture(), NULL, err));
    struct sal_shape shape;
    const sal_real *value = sal_run_value(run, keep[0], &shape);
    int t = (int)shape.dim[3];
    for (int pass = 0; pass < 2; pass++) {
        for (int b = 0; b < BLOCKS; b++)
            for (int i = 0; i < HEADS * t * t; i++) {
                value = pass ? sal_run_gradient(run, keep[b])
                             : sal_run_value(run, keep[b], NULL);
                (pass ? g : p)[b][i / t / t][i / t % t][i % t] = (double)value[i];
            }
        if (!pass)
            must(sal_run_backward(run, sal_model_output(model)->value, 1, keep, 2, NULL, err));
    }
    sal_run_close(run);
    sal_model_close(model);
    return t;
}

static void multiply(int t, double a[T_MAX][T_MAX], double b[T_MAX][T_MAX])
{
    double c[T_MAX][T_MAX] = {{0}};
    for (int i = 0; i < t; i++)
        for (int j = 0; j < t; j++)
            for (int k = 0; k < t; k++)
                c[i][j] += a[i][k] * b[k][j];
    memcpy(b, c, sizeof(c));
}

static double fused(int how, double a, double b)
{
    return how == 'a' ? (a + b) / 2 : how == '>' ? fmax(a, b) : fmin(a, b);
}

/* how: 'a' mean, '>' maximum, '<' minimum, 'g' by gradients; all: rollout's matrix. */
static int by_hand(enum kind kind, int how, double all[T_MAX][T_MAX])
{
    static double p[BLOCKS][HEADS][T_MAX][T_MAX], g[BLOCKS][HEADS][T_MAX][T_MAX];
    int t = read_blocks(kind, p, g);
    for (int i = 0; i < t * t; i++)
        all[i / t][i % t] = i / t == i % t;
    for (int b = 0; b < BLOCKS; b++) {
        double a[T_MAX][T_MAX] = {{0}};
        for (int i = 0; i < t; i++) {
            double sum = 0;
            for (int j = 0; j < t; j++) {
                double one = p[b][0][i][j], other = p[b][1][i][j];
                a[i][j] = how == 'g' ? fused('a', fmax(0, one * g[b][0][i][j]),
                                             fmax(0, other * g[b][1][i][j]))
                                     : fused(how, one, other);
                a[i][j] += i == j;
                sum += a[i][j];
            }
            for (int j = 0; j < t && how != 'g'; j++)
                a[i][j] /= sum;
        }
        multiply(t, a, all);
    }
    return t;
}

/* ---- tests -------------------------------------------------------------------------------- */

static void a_rollout_is_the_product_of_its_blocks(void **state)
{
    (void)state;
    static const struct {
        int how;
        const char *settings;
    } rows[] = {{'a', ""}, {'>', "heads=max"}, {'<', "heads=min"}, {'g', "relevance=gradient"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        double all[T_MAX][T_MAX];
        int t = by_hand(CLASS_TOKEN, rows[i].how, all);
        assert_int_equal(t, GRID + 1);
        struct sal_map map = rolled(CLASS_TOKEN, rows[i].settings);
        for (int k = 0; k < GRID; k++)
            assert_true(fabs((double)map.grid[k] - all[0][k + 1]) <= 1e-6);
        assert_true(fabs((double)map.grid[0] - (double)map.grid[5]) > 1e-4);
        assert_int_equal(map.backwards, rows[i].how == 'g');
        sal_map_release(&map);
    }
}

static void without_a_class_token_rows_are_averaged(void **state)
{
    (void)state;
    for (int by_gradient = 0; by_gradient < 2; by_gradient++) {
        double all[T_MAX][T_MAX];
        int t = by_hand(POOLED, by_gradient ? 'g' : 'a', all);
        assert_int_equal(t, GRID);
        struct sal_map map =
            rolled(POOLED, by_gradient ? "relevance=gradient" : "relevance=attention");
        for (int k = 0; k < GRID; k++) {
            double mean = 0;
            for (int i = 0; i < GRID; i++)
                mean += (all[i][k] - (by_gradient && i == k)) / GRID;
            assert_true(fabs((double)map.grid[k] - mean) <= 1e-6);
        }
        if (!by_gradient)
            assert_true(fabs(check_of(&map, "picture_share") - 1) <= 1e-6);
        sal_map_release(&map);
    }
}

static void attention_inside_an_operator_is_the_same(void **state)
{
    (void)state;
    struct sal_map out = rolled(CLASS_TOKEN, "heads=max discard=0.3");
    struct sal_map in = rolled(INSIDE, "heads=max discard=0.3");
    assert_true(apart(out.grid, in.grid, GRID) <= 1e-6);
    sal_map_release(&out);
    sal_map_release(&in);
}

/* All is discarded but the class token's attention to itself, which then keeps all. */
static void what_is_discarded_leaves_the_class_token(void **state)
{
    (void)state;
    struct sal_map none = rolled(CLASS_TOKEN, "discard=0.999");
    struct sal_map half = rolled(CLASS_TOKEN, "discard=0.5");
    struct sal_map all = rolled(CLASS_TOKEN, "discard=0");
    assert_true(check_of(&none, "picture_share") < check_of(&all, "picture_share"));
    assert_true(apart(half.grid, all.grid, GRID) > 1e-4);
    sal_map_release(&none);
    sal_map_release(&half);
    sal_map_release(&all);
}

static void what_cannot_be_rolled_out_is_refused(void **state)
{
    (void)state;
    static const struct {
        enum kind kind;
        const char *settings, *says;
    } rows[] = {{WINDOWS, "", "'odd' is over windows"},
                {FEWER_KEYS, "", "'odd' has fewer keys"},
                {INSIDE, "relevance=gradient", "Attention operators"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct sal_model *model = transformer(rows[i].kind);
        struct sal_map map;
        struct sal_error err = {0};
        assert_int_equal(ask(model, picture(), "rollout",
                             (struct asking){.settings = rows[i].settings}, &map, &err),
                         SAL_UNSUPPORTED);
        if (!strstr(err.text, rows[i].says))
            fail_msg("%s", err.text);
        sal_model_close(model);
    }
    struct sal_model *model = make_network(SMOOTH, NULL);
    struct sal_map map;
    struct sal_error err = {0};
    assert_int_equal(ask(model, an_image(), "rollout", (struct asking){0}, &map, &err),
                     SAL_UNSUPPORTED);
    assert_non_null(strstr(err.text, "this model has none"));
    sal_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rollout_is_the_product_of_its_blocks),
        cmocka_unit_test(without_a_class_token_rows_are_averaged),
        cmocka_unit_test(attention_inside_an_operator_is_the_same),
        cmocka_unit_test(what_is_discarded_leaves_the_class_token),
        cmocka_unit_test(what_cannot_be_rolled_out_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
