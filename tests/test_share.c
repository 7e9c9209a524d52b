/* Values that lie in one another's memory: random graphs whose values share what they can
 * give the same bits, forward and back, as when each has a place of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph.h"
#include "onnx_build.h"
#include "run_state.h"

#define DIMS(...) (const int64_t[]){__VA_ARGS__}

enum { NODES = 24, CHANNELS = 96, IN = 4 };

static uint64_t dice = 1;

static int roll(int n)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (int)((dice >> 33) % (uint64_t)n);
}

/* ---- graphs ------------------------------------------------------------------------ */

/* Values v0, v1, ...: 1 x channels x 4 x 4, or flat. */
struct made {
    struct onnx_build b;
    int channels[NODES + 3];
    bool flat[NODES + 3];
    int n;
};

static void put(struct made *m, const char *op, const char *inputs, int channels, bool flat)
{
    char name[16];
    snprintf(name, sizeof(name), "v%d", m->n);
    onnx_build_node(&m->b, op, inputs, name);
    m->channels[m->n] = channels;
    m->flat[m->n++] = flat;
}

static void put_joined(struct made *m, int first)
{
    char list[128] = "";
    int channels = 0, parts = 1 + roll(4), own = first;
    for (int i = 0; i < parts; i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof(list) - used, "%sv%d", i ? "," : "", own);
        channels += m->channels[own];
        own = roll(2) ? m->n - 1 : roll(m->n);
        if (m->flat[own] != m->flat[first])
            own = first;
    }
    if (channels > CHANNELS)
        return;
    put(m, "Concat", list, channels, m->flat[first]);
    onnx_build_int(&m->b, "axis", 1);
}

/* Dense blocks join all that went before, again and again. */
static void put_dense(struct made *m)
{
    char list[128] = "v0";
    int channels = m->channels[0];
    for (int i = 1; i < m->n; i++) {
        size_t used = strlen(list);
        if (m->flat[i] || m->channels[i] + channels > CHANNELS || i % 2)
            continue;
        snprintf(list + used, sizeof(list) - used, ",v%d", i);
        channels += m->channels[i];
    }
    put(m, "Concat", list, channels, false);
    onnx_build_int(&m->b, "axis", 1);
}

/* A factor for each channel. */
static void put_scaled(struct made *m, int a)
{
    char list[32], factor[16];
    snprintf(list, sizeof(list), "v%d", a);
    snprintf(factor, sizeof(factor), "g%d", m->n);
    onnx_build_node(&m->b, "GlobalAveragePool", list, factor);
    snprintf(list, sizeof(list), "v%d,g%d", a, m->n);
    put(m, "Mul", list, m->channels[a], false);
}

/* One channel, and something it is broadcast to: perhaps a row that it is a part of. */
static void put_spread(struct made *m, int a)
{
    char list[64];
    snprintf(list, sizeof(list), "v%d", a);
    put(m, "ReduceMax", list, 1, false);
    onnx_build_ints(&m->b, "axes", 1, DIMS(1));
    snprintf(list, sizeof(list), "v%d,v%d", m->n - 1, a);
    put(m, "Concat", list, m->channels[a] + 1, false);
    onnx_build_int(&m->b, "axis", 1);
    snprintf(list, sizeof(list), "v%d,v%d", m->n - 1, m->n - 2);
    put(m, roll(2) ? "Mul" : "Sub", list, m->channels[a] + 1, false);
}

static void put_something(struct made *m)
{
    static const char *const plain[] = {"Relu", "Sigmoid", "Neg", "Tanh", "Identity",
                                        "Softmax", "Abs"};
    static const char *const pairs[] = {"Add", "Mul", "Sub", "Max", "Sum"};
    char list[64];
    int a = roll(3) ? m->n - 1 : roll(m->n), b = roll(m->n), kind = roll(12);
    snprintf(list, sizeof(list), "v%d", a);
    if (kind < 4)
        put(m, plain[roll(7)], list, m->channels[a], m->flat[a]);
    else if (kind == 4)
        put_joined(m, a);
    else if (kind == 5)
        put_dense(m);
    else if (kind == 6 && !m->flat[a])
        put(m, "Flatten", list, m->channels[a], true);
    else if (kind == 7 && !m->flat[a])
        put_scaled(m, a);
    else if (kind == 8 && !m->flat[a] && m->n + 3 <= NODES && m->channels[a] < CHANNELS)
        put_spread(m, a);
    else if (kind == 9) {
        snprintf(list, sizeof(list), "v%d,v%d,v%d", a, a, a);
        put(m, "Sum", list, m->channels[a], m->flat[a]);
    } else if (m->channels[a] == m->channels[b] && m->flat[a] == m->flat[b]) {
        snprintf(list, sizeof(list), "v%d,v%d", a, b);
        put(m, pairs[roll(5)], list, m->channels[a], m->flat[a]);
    }
}

static void make(struct made *m)
{
    const int n = 4 + roll(NODES - 4);
    char name[16];
    *m = (struct made){.n = 1, .channels = {IN}};
    onnx_build_init(&m->b, 13);
    onnx_build_input(&m->b, "v0", SAL_ONNX_FLOAT, 4, DIMS(1, IN, 4, 4));
    while (m->n < n)
        put_something(m);
    snprintf(name, sizeof(name), "v%d", m->n - 1);
    onnx_build_output(&m->b, name, SAL_ONNX_FLOAT, -1, NULL);
    snprintf(name, sizeof(name), "v%d", 1 + roll(m->n - 2));
    if (roll(2))
        onnx_build_output(&m->b, name, SAL_ONNX_FLOAT, -1, NULL);
}

/* ---- runs -------------------------------------------------------------------------- */

static void fill(struct sal_tensor *x)
{
    for (int64_t i = 0; i < sal_shape_count(&x->shape); i++)
        x->real[i] = (sal_real)((i * 37 + 11) % 64 - 32) / 16;
}

static struct sal_run *run_keeping(const struct sal_graph *graph, const int *keep, int n,
                                   bool gradient)
{
    struct sal_run *run;
    struct sal_error err;
    const struct sal_run_options options = {
        .gradient = gradient,
        .plain = true, /* fused nodes would round otherwise */
        .keep = keep,
        .n_keep = n,
        .memory = (size_t)1 << 26};
    if (sal_run_open_graph(&run, graph, &options, &err))
        fail_msg("%s", err.text);
    fill(sal_run_tensor(run, graph->inputs[0]));
    if (sal_run_pass(run, NULL, &err))
        fail_msg("%s", err.text);
    return run;
}

static void same(const sal_real *a, const sal_real *b, const struct sal_shape *shape,
                 const char *what, int id)
{
    size_t size = (size_t)sal_shape_count(shape) * sizeof(*a);
    if (!a || !b || memcmp(a, b, size) != 0)
        fail_msg("other %s of value %d", what, id);
}

static void same_values(const struct sal_run *apart, const struct sal_run *shared)
{
    for (int i = 0; i < apart->graph->n_values; i++)
        if (shared->kept[i] && apart->graph->values[i].live)
            same(sal_run_value(apart, i, NULL), sal_run_value(shared, i, NULL),
                 &apart->graph->values[i].tensor.shape, "bits", i);
}

static void same_gradients(struct sal_run *apart, struct sal_run *shared, const int *keep,
                           int n)
{
    const struct sal_graph *graph = apart->graph;
    int wrt[NODES] = {graph->inputs[0]}, n_wrt = 1, score = graph->outputs[0];
    struct sal_error err;
    for (int i = 0; i < n; i++)
        if (graph->values[keep[i]].live && keep[i] != graph->inputs[0])
            wrt[n_wrt++] = keep[i];
    int64_t count = sal_shape_count(&graph->values[score].tensor.shape);
    sal_real *dy = calloc((size_t)count, sizeof(*dy));
    for (int64_t i = 0; i < count; i++)
        dy[i] = (sal_real)(i % 7 - 3) / 4;
    if (sal_run_backward_from(apart, score, dy, wrt, n_wrt, NULL, &err) ||
        sal_run_backward_from(shared, score, dy, wrt, n_wrt, NULL, &err))
        fail_msg("%s", err.text);
    for (int i = 0; i < n_wrt; i++)
        same(sal_run_gradient(apart, wrt[i]), sal_run_gradient(shared, wrt[i]),
             &graph->values[wrt[i]].tensor.shape, "gradient", wrt[i]);
    free(dy);
}

static int compare(const struct sal_graph *graph)
{
    int all[2 * NODES], keep[3], n = 0, moved = 0;
    for (int i = 0; i < graph->n_values; i++)
        all[i] = i;
    int first = roll(graph->n_values);
    for (int i = roll(3); i > 0; i--)
        keep[n++] = (first + i) % graph->n_values;
    for (int gradient = 0; gradient < 2; gradient++) {
        struct sal_run *apart = run_keeping(graph, all, graph->n_values, gradient);
        struct sal_run *shared = run_keeping(graph, keep, n, gradient);
        same_values(apart, shared);
        if (gradient)
            same_gradients(apart, shared, keep, n);
        if (gradient)
            same_values(apart, shared);
        for (int i = 0; i < graph->n_values; i++)
            moved += shared->places[i].home != i;
        sal_run_close(apart);
        sal_run_close(shared);
    }
    return moved;
}

static void sharing_memory_changes_nothing(void **state)
{
    (void)state;
    int moved = 0;
    for (int i = 0; i < 2000; i++) {
        struct made m;
        struct sal_onnx onnx;
        struct sal_graph graph;
        struct sal_error err = {0};
        make(&m);
        if (sal_onnx_parse(&onnx, onnx_build_finish(&m.b), "case", &err) ||
            sal_graph_build(&graph, &onnx, &(struct sal_graph_options){0}, &err))
            fail_msg("%s", err.text);
        moved += compare(&graph);
        sal_graph_release(&graph);
        sal_onnx_close(&onnx);
        onnx_build_release(&m.b);
    }
    assert_true(moved > 10000);
}

/* ---- what must move ------------------------------------------------------------------ */

static int home_of(const struct sal_run *run, const char *name)
{
    return run->places[sal_graph_find(run->graph, name)].home;
}

static void open_graph(struct onnx_build *b, struct sal_onnx *onnx, struct sal_graph *graph)
{
    struct sal_error err = {0};
    if (sal_onnx_parse(onnx, onnx_build_finish(b), "case", &err) ||
        sal_graph_build(graph, onnx, &(struct sal_graph_options){0}, &err))
        fail_msg("%s", err.text);
}

static void parts_lie_in_the_longest_row(void **state)
{
    (void)state;
    struct onnx_build b;
    struct sal_onnx onnx;
    struct sal_graph graph;
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 4, DIMS(1, IN, 4, 4));
    onnx_build_node(&b, "GlobalAveragePool", "x", "g");
    onnx_build_node(&b, "Add", "x,g", "f0");
    onnx_build_node(&b, "Transpose", "f0", "f1");
    onnx_build_ints(&b, "perm", 4, DIMS(0, 2, 1, 3));
    onnx_build_node(&b, "Concat", "f0,f1", "c1");
    onnx_build_int(&b, "axis", 0);
    onnx_build_node(&b, "Relu", "c1", "r1");
    onnx_build_node(&b, "ReduceMax", "r1", "m1");
    onnx_build_node(&b, "Transpose", "f1", "t");
    onnx_build_ints(&b, "perm", 4, DIMS(0, 2, 1, 3));
    onnx_build_node(&b, "Add", "t,m1", "f2");
    onnx_build_node(&b, "Concat", "f0,f1,f2", "c2");
    onnx_build_int(&b, "axis", 0);
    onnx_build_node(&b, "ReduceMax", "c2", "y");
    onnx_build_output(&b, "y", SAL_ONNX_FLOAT, -1, NULL);
    open_graph(&b, &onnx, &graph);
    struct sal_run *run = run_keeping(&graph, NULL, 0, false);
    int c2 = sal_graph_find(&graph, "c2");
    assert_int_equal(home_of(run, "f0"), c2);
    assert_int_equal(home_of(run, "f1"), c2);
    assert_int_equal(home_of(run, "c1"), c2);
    assert_int_equal(home_of(run, "f2"), c2);
    assert_int_equal(home_of(run, "t"), c2); /* written over in place */
    assert_int_not_equal(home_of(run, "r1"), c2);
    sal_run_close(run);
    sal_graph_release(&graph);
    sal_onnx_close(&onnx);
    onnx_build_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sharing_memory_changes_nothing),
        cmocka_unit_test(parts_lie_in_the_longest_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
