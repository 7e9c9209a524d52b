/* What lowering makes of linear layers, gelus, attention and channels last: the same
 * values and gradients as node by node, in fewer nodes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "onnx_build.h"
#include "random.h"
#include "run_parts.h"
#include "run_state.h"

#define DIMS(...) (const int64_t[]){__VA_ARGS__}

/* What came of one way to run a graph. */
struct result {
    float *y, *dx;
    int64_t n, n_x;
    char nodes[1024]; /* names of operators, a blank behind each */
};

static void result_release(struct result *result)
{
    free(result->y);
    free(result->dx);
}

static float *copy(const float *from, int64_t n)
{
    float *to = malloc(sizeof(*to) * (size_t)n);
    assert_non_null(to);
    memcpy(to, from, sizeof(*to) * (size_t)n);
    return to;
}

static void list_nodes(const struct sal_run *run, char *text, size_t capacity)
{
    size_t used = 0;
    for (int i = 0; i < run->graph->n_nodes && used < capacity; i++)
        used += (size_t)snprintf(text + used, capacity - used, "%s ",
                                 run->graph->nodes[i].op->name);
}

/* Forward, and where `options` says so backward from all of output 0. */
static struct result run_graph(const struct sal_graph *graph,
                               const struct sal_run_options *options)
{
    struct sal_run *run;
    struct sal_error err;
    struct result result = {0};
    uint64_t state = 3;
    if (sal_run_open_graph(&run, graph, options, &err))
        fail_msg("%s", err.text);
    int in = graph->inputs[0], out = graph->outputs[0];
    struct sal_tensor *x = sal_run_tensor(run, in), *y = sal_run_tensor(run, out);
    result.n_x = sal_shape_count(&x->shape);
    result.n = sal_shape_count(&y->shape);
    for (int64_t i = 0; i < result.n_x; i++)
        x->real[i] = (float)(test_random(&state) * 4 - 2);
    list_nodes(run, result.nodes, sizeof(result.nodes));
    assert_int_equal(sal_run_pass(run, NULL, &err), SAL_OK);
    result.y = copy(y->real, result.n);
    if (options->gradient) {
        float *dy = malloc(sizeof(*dy) * (size_t)result.n);
        assert_non_null(dy);
        for (int64_t i = 0; i < result.n; i++)
            dy[i] = (float)(test_random(&state) * 2 - 1);
        if (sal_run_backward_from(run, out, dy, &in, 1, NULL, &err))
            fail_msg("%s", err.text);
        result.dx = copy(sal_run_gradient(run, in), result.n_x);
        free(dy);
    }
    sal_run_close(run);
    return result;
}

static void expect_near(const char *what, const float *got, const float *right, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)right[i]));
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - (double)right[i]) <= 3e-6 * most))
            fail_msg("%s %d is %.9g, not %.9g", what, (int)i, (double)got[i],
                     (double)right[i]);
}

/* Lowered, without and with a gradient, it consists of these nodes; any may be NULL. */
static void expect(struct onnx_build *b, const char *forward, const char *gradient,
                   const char *keep)
{
    struct sal_onnx onnx;
    struct sal_graph graph;
    struct sal_error err;
    if (sal_onnx_parse(&onnx, onnx_build_finish(b), "t.onnx", &err) ||
        sal_graph_build(&graph, &onnx, &(struct sal_graph_options){0}, &err))
        fail_msg("%s", err.text);
    int kept = keep ? sal_graph_find(&graph, keep) : -1;
    struct sal_run_options options = {.memory = (size_t)1 << 28, .gradient = true,
                                      .plain = true, .keep = &kept, .n_keep = keep != NULL};
    struct result plain = run_graph(&graph, &options);
    options.plain = false;
    struct result both = run_graph(&graph, &options);
    options.gradient = false;
    struct result there = run_graph(&graph, &options);
    expect_near("value", both.y, plain.y, plain.n);
    expect_near("value without gradient", there.y, plain.y, plain.n);
    expect_near("gradient", both.dx, plain.dx, plain.n_x);
    if (gradient)
        assert_string_equal(both.nodes, gradient);
    if (forward)
        assert_string_equal(there.nodes, forward);
    result_release(&plain);
    result_release(&both);
    result_release(&there);
    sal_graph_release(&graph);
    sal_onnx_close(&onnx);
    onnx_build_release(b);
}

static void begin(struct onnx_build *b, int rank, const int64_t *dims)
{
    onnx_build_init(b, 17);
    onnx_build_input(b, "x", SAL_ONNX_FLOAT, rank, dims);
    onnx_build_weights(b, "root2", 0, NULL, (float[]){1.41421356f});
    onnx_build_weights(b, "one", 0, NULL, (float[]){1});
    onnx_build_weights(b, "half", 0, NULL, (float[]){0.5f});
    onnx_build_waves(b, "w", 2, DIMS(20, 36), 0.5f);
    onnx_build_waves(b, "back", 2, DIMS(36, 20), 0.5f);
    onnx_build_waves(b, "bias", 1, DIMS(36), 1);
    onnx_build_waves(b, "bias20", 1, DIMS(20), 1);
}

static void end(struct onnx_build *b, const char *y)
{
    onnx_build_output(b, y, SAL_ONNX_FLOAT, -1, NULL);
}

/* gelu(x) as y. */
static void gelu(struct onnx_build *b, const char *x)
{
    char both[32];
    snprintf(both, sizeof(both), "%s,root2", x);
    onnx_build_node(b, "Div", both, "g1");
    onnx_build_node(b, "Erf", "g1", "g2");
    onnx_build_node(b, "Add", "g2,one", "g3");
    snprintf(both, sizeof(both), "%s,g3", x);
    onnx_build_node(b, "Mul", both, "g4");
    onnx_build_node(b, "Mul", "g4,half", "g5");
}

/* ---- linear layers ------------------------------------------------------------------ */

static void a_product_its_bias_and_a_sum_are_one_layer(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b, 3, DIMS(2, 9, 20));
    onnx_build_node(&b, "MatMul", "x,w", "p");
    onnx_build_node(&b, "Add", "bias,p", "q");
    onnx_build_node(&b, "MatMul", "q,back", "r");
    onnx_build_node(&b, "Add", "x,r", "y");
    end(&b, "y");
    expect(&b, "Linear Linear ", "Linear Linear ", NULL);
}

static void a_gelu_goes_into_a_layer_where_no_gradient_is_asked_for(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b, 3, DIMS(2, 9, 20));
    onnx_build_node(&b, "MatMul", "x,w", "p");
    onnx_build_node(&b, "Add", "bias,p", "q");
    gelu(&b, "q");
    onnx_build_node(&b, "MatMul", "g5,back", "y");
    end(&b, "y");
    expect(&b, "Linear Linear ", "Linear Gelu Linear ", NULL);
}

static void what_is_kept_is_computed(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b, 3, DIMS(2, 9, 20));
    onnx_build_node(&b, "MatMul", "x,w", "p");
    onnx_build_node(&b, "Add", "bias,p", "q");
    gelu(&b, "q");
    end(&b, "g5");
    expect(&b, "Linear Gelu ", "Linear Gelu ", "q");
    begin(&b, 3, DIMS(2, 9, 20));
    onnx_build_node(&b, "MatMul", "x,w", "p");
    gelu(&b, "p");
    end(&b, "g5");
    expect(&b, "Linear Div Erf Add Mul Mul ", "Linear Div Erf Add Mul Mul ", "g2");
}

static void gemm_is_a_layer_where_an_image_has_several_rows(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b, 3, DIMS(2, 9, 20));
    onnx_build_indices(&b, "rows", 1, DIMS(2), DIMS(18, 20));
    onnx_build_waves(&b, "turned", 2, DIMS(36, 20), 0.5f);
    onnx_build_node(&b, "Reshape", "x,rows", "r");
    onnx_build_node(&b, "Gemm", "r,turned,bias", "y");
    onnx_build_int(&b, "transB", 1);
    end(&b, "y");
    expect(&b, "Reshape Linear ", "Reshape Linear ", NULL);
    begin(&b, 2, DIMS(18, 20));
    onnx_build_node(&b, "Gemm", "x,w,bias", "y");
    end(&b, "y");
    expect(&b, "Gemm ", "Gemm ", NULL);
}

/* ---- gelu --------------------------------------------------------------------------- */

static void five_nodes_are_a_gelu_unless_somebody_reads_between(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b, 2, DIMS(7, 20));
    gelu(&b, "x");
    onnx_build_node(&b, "Identity", "g5", "y");
    end(&b, "y");
    expect(&b, "Gelu Identity ", "Gelu Identity ", NULL);
    begin(&b, 2, DIMS(7, 20));
    gelu(&b, "x");
    onnx_build_node(&b, "Add", "g2,g5", "y");
    end(&b, "y");
    expect(&b, "Div Erf Add Mul Mul Add ", "Div Erf Add Mul Mul Add ", NULL);
}

static void other_numbers_make_no_gelu(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b, 2, DIMS(7, 20));
    onnx_build_node(&b, "Div", "x,root2", "g1");
    onnx_build_node(&b, "Erf", "g1", "g2");
    onnx_build_node(&b, "Add", "g2,half", "g3");
    onnx_build_node(&b, "Mul", "x,g3", "g4");
    onnx_build_node(&b, "Mul", "g4,half", "y");
    end(&b, "y");
    expect(&b, "Div Erf Add Mul Mul ", "Div Erf Add Mul Mul ", NULL);
}

/* ---- channels last ------------------------------------------------------------------ */

/* A block of ConvNeXt with c channels. */
static void channels_last_between_convolutions_are_rows(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b, 4, DIMS(2, 3, 6, 5));
    onnx_build_waves(&b, "first", 4, DIMS(20, 3, 1, 1), 0.5f);
    onnx_build_waves(&b, "last", 4, DIMS(8, 20, 3, 3), 0.5f);
    onnx_build_waves(&b, "scale", 3, DIMS(20, 1, 1), 0.5f);
    onnx_build_node(&b, "Conv", "x,first", "c");
    onnx_build_node(&b, "Transpose", "c", "t");
    onnx_build_ints(&b, "perm", 4, DIMS(0, 2, 3, 1));
    onnx_build_node(&b, "LayerNormalization", "t,bias20,bias20", "n");
    onnx_build_node(&b, "MatMul", "n,w", "p");
    onnx_build_node(&b, "Add", "bias,p", "q");
    gelu(&b, "q");
    onnx_build_node(&b, "MatMul", "g5,back", "r");
    onnx_build_node(&b, "Add", "bias20,r", "s");
    onnx_build_node(&b, "Transpose", "s", "u");
    onnx_build_ints(&b, "perm", 4, DIMS(0, 3, 1, 2));
    onnx_build_node(&b, "Mul", "scale,u", "v");
    onnx_build_node(&b, "Add", "v,c", "z");
    onnx_build_node(&b, "Conv", "z,last", "y");
    end(&b, "y");
    expect(&b, NULL, NULL, NULL);
}

static void rows_are_made_once_and_turned_back_once(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b, 4, DIMS(1, 20, 6, 5));
    onnx_build_waves(&b, "c1", 4, DIMS(20, 20, 1, 1), 0.5f);
    onnx_build_waves(&b, "c2", 4, DIMS(4, 20, 1, 1), 0.5f);
    onnx_build_node(&b, "Conv", "x,c1", "c");
    onnx_build_node(&b, "Transpose", "c", "t");
    onnx_build_ints(&b, "perm", 4, DIMS(0, 2, 3, 1));
    onnx_build_node(&b, "LayerNormalization", "t,bias20,bias20", "n");
    onnx_build_node(&b, "Transpose", "n", "u");
    onnx_build_ints(&b, "perm", 4, DIMS(0, 3, 1, 2));
    onnx_build_node(&b, "Conv", "u,c2", "y");
    end(&b, "y");
    const char *nodes = "Block Conv ToRows LayerNormalization FromRows Conv Unblock ";
    expect(&b, nodes, nodes, NULL);
}

/* ---- attention ---------------------------------------------------------------------- */

enum { IMAGES = 2, TOKENS = 7, HEADS = 3, SIZE = 4, WIDE = HEADS * SIZE };

/* q, k and v from one layer, as PyTorch's MultiheadAttention is written: tokens first. */
static void attention(struct onnx_build *b, const char *soft_axis)
{
    onnx_build_init(b, 17);
    onnx_build_input(b, "x", SAL_ONNX_FLOAT, 3, DIMS(TOKENS, IMAGES, WIDE));
    onnx_build_waves(b, "w", 2, DIMS(WIDE, 3 * WIDE), 0.5f);
    onnx_build_waves(b, "o", 2, DIMS(WIDE, WIDE), 0.5f);
    onnx_build_weights(b, "scale", 0, NULL, (float[]){0.7071f});
    onnx_build_indices(b, "three", 1, DIMS(4), DIMS(TOKENS, IMAGES, 3, WIDE));
    onnx_build_indices(b, "heads", 1, DIMS(3), DIMS(TOKENS, IMAGES * HEADS, SIZE));
    onnx_build_indices(b, "images", 1, DIMS(4), DIMS(IMAGES, HEADS, TOKENS, SIZE));
    onnx_build_indices(b, "rows", 1, DIMS(2), DIMS(TOKENS * IMAGES, WIDE));
    onnx_build_indices(b, "axis", 1, DIMS(1), DIMS(0));
    onnx_build_indices(b, "behind", 1, DIMS(1), DIMS(-2));
    onnx_build_node(b, "MatMul", "x,w", "qkv");
    onnx_build_node(b, "Reshape", "qkv,three", "split");
    onnx_build_node(b, "Unsqueeze", "split,axis", "front");
    onnx_build_node(b, "Transpose", "front", "turned");
    onnx_build_ints(b, "perm", 5, DIMS(3, 1, 2, 0, 4));
    onnx_build_node(b, "Squeeze", "turned,behind", "parts");
    for (int i = 0; i < 3; i++) {
        char name[4][16], both[40];
        for (int j = 0; j < 4; j++)
            snprintf(name[j], sizeof(name[j]), "%c%d", "qkv"[i], j);
        snprintf(both, sizeof(both), "index%d", i);
        onnx_build_indices(b, both, 0, NULL, DIMS(i - (i == 2 ? 3 : 0)));
        snprintf(both, sizeof(both), "parts,index%d", i);
        onnx_build_node(b, "Gather", both, name[0]);
        snprintf(both, sizeof(both), "%s,heads", name[0]);
        onnx_build_node(b, "Reshape", both, name[1]);
        onnx_build_node(b, "Transpose", name[1], name[2]);
        onnx_build_ints(b, "perm", 3, DIMS(1, 0, 2));
        snprintf(both, sizeof(both), "%s,images", name[2]);
        onnx_build_node(b, "Reshape", both, name[3]);
    }
    onnx_build_node(b, "Transpose", "k3", "kt");
    onnx_build_ints(b, "perm", 4, DIMS(0, 1, 3, 2));
    onnx_build_node(b, "Mul", "q3,scale", "qs");
    onnx_build_node(b, "Mul", "kt,scale", "ks");
    onnx_build_node(b, "MatMul", "qs,ks", "scores");
    onnx_build_node(b, "Softmax", "scores", "shares");
    onnx_build_int(b, "axis", *soft_axis == '-' ? -1 : 2);
    onnx_build_node(b, "MatMul", "shares,v3", "mixed");
}

static void end_attention(struct onnx_build *b)
{
    onnx_build_node(b, "Transpose", "mixed", "together");
    onnx_build_ints(b, "perm", 4, DIMS(2, 0, 1, 3));
    onnx_build_node(b, "Reshape", "together,rows", "flat");
    onnx_build_node(b, "Gemm", "flat,o", "y");
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, -1, NULL);
}

static void attention_reads_heads_where_a_layer_left_them(void **state)
{
    (void)state;
    struct onnx_build b;
    const char *nodes = "Linear inner attention Reshape Linear ";
    attention(&b, "-1");
    end_attention(&b);
    expect(&b, nodes, nodes, NULL);
    attention(&b, "-1");
    onnx_build_output(&b, "mixed", SAL_ONNX_FLOAT, -1, NULL);
    expect(&b, "Linear inner attention ", "Linear inner attention ", NULL);
}

static void attention_that_is_looked_into_stays_in_parts(void **state)
{
    (void)state;
    struct onnx_build b;
    attention(&b, "-1");
    end_attention(&b);
    expect(&b, NULL, NULL, "shares");
    attention(&b, "-1");
    end_attention(&b);
    expect(&b, NULL, NULL, "k2");
    attention(&b, "2");
    end_attention(&b);
    expect(&b, NULL, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_product_its_bias_and_a_sum_are_one_layer),
        cmocka_unit_test(a_gelu_goes_into_a_layer_where_no_gradient_is_asked_for),
        cmocka_unit_test(what_is_kept_is_computed),
        cmocka_unit_test(gemm_is_a_layer_where_an_image_has_several_rows),
        cmocka_unit_test(five_nodes_are_a_gelu_unless_somebody_reads_between),
        cmocka_unit_test(other_numbers_make_no_gelu),
        cmocka_unit_test(channels_last_between_convolutions_are_rows),
        cmocka_unit_test(rows_are_made_once_and_turned_back_once),
        cmocka_unit_test(attention_reads_heads_where_a_layer_left_them),
        cmocka_unit_test(attention_that_is_looked_into_stays_in_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
