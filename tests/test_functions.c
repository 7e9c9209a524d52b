/* Model-local functions: what a call means, what it is called, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "eval.h"

static const int64_t one[] = {1}, two[] = {2};
static const float x2[] = {-1, 3};

/* A model of one input x[2] and one output y. */
static void begin(struct onnx_build *b)
{
    onnx_build_init(b, 13);
    onnx_build_opset(b, "my", 1);
    onnx_build_input(b, "x", SAL_ONNX_FLOAT, 1, two);
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, -1, NULL);
}

/* A node that calls a function of domain "my". */
static void call(struct onnx_build *b, const char *name, const char *function,
                 const char *inputs, const char *outputs)
{
    onnx_build_node(b, function, inputs, outputs);
    onnx_build_domain(b, "my");
    if (*name)
        onnx_build_name(b, name);
}

static void function(struct onnx_build *f, const char *name, const char *inputs,
                     const char *outputs)
{
    onnx_build_function(f, "my", name, inputs, outputs);
    onnx_build_function_opset(f, "", 13);
    onnx_build_function_opset(f, "my", 1);
}

/* my.Twice: relu, then the sum with itself. */
static void add_twice(struct onnx_build *b)
{
    struct onnx_build f;
    function(&f, "Twice", "a", "r");
    onnx_build_node(&f, "Relu", "a", "relu");
    onnx_build_name(&f, "act");
    onnx_build_node(&f, "Add", "relu,relu", "r");
    onnx_build_add_function(b, &f);
}

static void open(struct sal_onnx *onnx, struct onnx_build *b)
{
    struct sal_error err;
    if (sal_onnx_parse(onnx, onnx_build_finish(b), "t.onnx", &err))
        fail_msg("%s", err.text);
}

/* ---- what a call means ---- */

static void a_call_is_replaced_by_the_functions_nodes(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b);
    add_twice(&b);
    call(&b, "layer1", "Twice", "x", "y");
    struct sal_onnx onnx;
    open(&onnx, &b);
    assert_int_equal(onnx.n_functions, 1);
    assert_int_equal(onnx.graph.n_nodes, 2);
    assert_string_equal(onnx.graph.nodes[0].op, "Relu");
    assert_string_equal(onnx.graph.nodes[0].name, "layer1/act");
    assert_string_equal(onnx.graph.nodes[0].inputs[0], "x");
    assert_string_equal(onnx.graph.nodes[0].outputs[0], "layer1/relu");
    assert_string_equal(onnx.graph.nodes[1].outputs[0], "y");
    sal_onnx_close(&onnx);
    eval_expect(&b, x2, (float[]){0, 6}, 2);
}

static void names_stay_unique(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b);
    add_twice(&b);
    onnx_build_node(&b, "Neg", "x", "l/relu");
    call(&b, "l", "Twice", "l/relu", "p");
    call(&b, "l", "Twice", "p", "q");
    call(&b, "", "Twice", "q", "y");
    struct sal_onnx onnx;
    open(&onnx, &b);
    assert_string_equal(onnx.graph.nodes[1].outputs[0], "l/relu_2");
    assert_string_equal(onnx.graph.nodes[3].outputs[0], "l_2/relu");
    assert_string_equal(onnx.graph.nodes[5].outputs[0], "y/Twice/relu");
    sal_onnx_close(&onnx);
    eval_expect(&b, x2, (float[]){8, 0}, 2);
}

static void functions_call_functions(void **state)
{
    (void)state;
    struct onnx_build b, f;
    begin(&b);
    function(&f, "Outer", "a", "r"); /* stands before what it calls */
    call(&f, "in", "Twice", "a", "t");
    call(&f, "in", "Twice", "t", "r");
    onnx_build_add_function(&b, &f);
    add_twice(&b);
    call(&b, "top", "Outer", "x", "y");
    struct sal_onnx onnx;
    open(&onnx, &b);
    assert_string_equal(onnx.graph.nodes[0].outputs[0], "top/in/relu");
    assert_string_equal(onnx.graph.nodes[0].name, "top/in/act");
    assert_string_equal(onnx.graph.nodes[2].outputs[0], "top/in_2/relu");
    sal_onnx_close(&onnx);
    eval_expect(&b, x2, (float[]){0, 12}, 2);
}

/* my.Leak: LeakyRelu whose alpha is the call's, 0.5, or the operator's own. */
static void add_leaks(struct onnx_build *b)
{
    struct onnx_build f;
    function(&f, "Leak", "a", "r");
    onnx_build_function_float(&f, "slope", 0.5f);
    onnx_build_node(&f, "LeakyRelu", "a", "r");
    onnx_build_ref(&f, "alpha", SAL_ONNX_ATTR_FLOAT, "slope");
    onnx_build_add_function(b, &f);
    function(&f, "MayLeak", "a", "r");
    onnx_build_function_attr(&f, "slope");
    onnx_build_node(&f, "LeakyRelu", "a", "r");
    onnx_build_ref(&f, "alpha", SAL_ONNX_ATTR_FLOAT, "slope");
    onnx_build_add_function(b, &f);
}

static void attributes_are_the_calls_or_the_default_or_left_out(void **state)
{
    (void)state;
    static const struct {
        const char *function;
        float given, expected;
    } cases[] = {{"Leak", 0.25f, -0.25f},
                 {"Leak", 0, -0.5f},
                 {"MayLeak", 0.25f, -0.25f},
                 {"MayLeak", 0, -0.01f}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct onnx_build b;
        begin(&b);
        add_leaks(&b);
        call(&b, "l", cases[i].function, "x", "y");
        if (cases[i].given != 0)
            onnx_build_float(&b, "slope", cases[i].given);
        eval_expect(&b, x2, (float[]){cases[i].expected, 3}, 2);
    }
}

static void inputs_and_outputs_may_be_left_out(void **state)
{
    (void)state;
    struct onnx_build b, f;
    begin(&b);
    function(&f, "Bounded", "a,low,high", "r,unused");
    onnx_build_node(&f, "Clip", "a,low,high", "r");
    onnx_build_node(&f, "Neg", "a", "unused");
    onnx_build_add_function(&b, &f);
    onnx_build_weights(&b, "limit", 0, NULL, (float[]){1});
    call(&b, "c", "Bounded", "x,,limit", "p");
    call(&b, "d", "Bounded", "p", ",y");
    eval_expect(&b, x2, (float[]){1, -1}, 2);
}

static void an_output_may_be_an_input(void **state)
{
    (void)state;
    struct onnx_build b, f;
    begin(&b);
    function(&f, "Both", "a", "a,r");
    onnx_build_node(&f, "Neg", "a", "r");
    onnx_build_add_function(&b, &f);
    call(&b, "c", "Both", "x", "p,q");
    onnx_build_node(&b, "Sub", "p,q", "y");
    eval_expect(&b, x2, (float[]){-2, 6}, 2);
}

static void a_function_has_its_own_opset(void **state)
{
    (void)state;
    struct onnx_build b, f;
    begin(&b);
    onnx_build_function(&f, "my", "Old", "a", "r"); /* axes are an attribute to 12 */
    onnx_build_function_opset(&f, "ai.onnx", 11);
    onnx_build_node(&f, "ReduceSum", "a", "r");
    onnx_build_ints(&f, "axes", 1, (int64_t[]){0});
    onnx_build_add_function(&b, &f);
    onnx_build_indices(&b, "axes", 1, one, (int64_t[]){0});
    call(&b, "c", "Old", "x", "p");
    onnx_build_node(&b, "ReduceSum", "x,axes", "q");
    onnx_build_node(&b, "Add", "p,q", "y");
    eval_expect(&b, x2, (float[]){4}, 1);
}

static void only_functions_may_import_the_default_operators(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b);
    b.opset = 0;
    add_twice(&b);
    call(&b, "c", "Twice", "x", "y");
    eval_expect(&b, x2, (float[]){0, 6}, 2);
}

static void overloads_are_told_apart(void **state)
{
    (void)state;
    static const char *const overloads[] = {"", "neg", "abs"}, *const ops[] = {"Relu",
                                                                               "Neg",
                                                                               "Abs"};
    struct onnx_build b, f;
    begin(&b);
    b.ir_version = 10;
    for (int i = 0; i < 3; i++) {
        function(&f, "F", "a", "r");
        onnx_build_function_overload(&f, overloads[i]);
        onnx_build_node(&f, ops[i], "a", "r");
        onnx_build_add_function(&b, &f);
    }
    call(&b, "c", "F", "x", "p");
    onnx_build_overload(&b, "neg");
    call(&b, "d", "F", "p", "q");
    onnx_build_overload(&b, "abs");
    call(&b, "e", "F", "q", "y");
    eval_expect(&b, x2, (float[]){1, 3}, 2);
    begin(&b);
    add_twice(&b);
    call(&b, "c", "Twice", "x", "y");
    onnx_build_overload(&b, "other");
    eval_refuse(&b, SAL_UNSUPPORTED,
                "operator my.Twice (node 'c', opset 1) is not supported");
}

/* ---- subgraphs ---- */

/* If(yes): then leaks by the function's slope, else nothing that exists. */
static void add_branching(struct onnx_build *b)
{
    struct onnx_build f, then, otherwise;
    onnx_build_init(&then, 13);
    onnx_build_node(&then, "LeakyRelu", "a", "t");
    onnx_build_ref(&then, "alpha", SAL_ONNX_ATTR_FLOAT, "slope");
    call(&then, "in", "Twice", "t", "inner");
    onnx_build_node(&then, "Add", "inner,outer", "out");
    onnx_build_output(&then, "out", SAL_ONNX_FLOAT, -1, NULL);
    onnx_build_init(&otherwise, 13);
    onnx_build_node(&otherwise, "NoSuchThing", "a", "t");
    onnx_build_output(&otherwise, "t", SAL_ONNX_FLOAT, -1, NULL);
    function(&f, "Branch", "a", "r");
    onnx_build_function_attr(&f, "slope");
    onnx_build_node(&f, "Neg", "a", "outer");
    onnx_build_node(&f, "Constant", "", "yes");
    onnx_build_tensor(&f, "value", SAL_ONNX_BOOL, 0, NULL, "\1", 1);
    onnx_build_node(&f, "If", "yes", "r");
    onnx_build_graph(&f, "then_branch", onnx_build_finish_graph(&then));
    onnx_build_graph(&f, "else_branch", onnx_build_finish_graph(&otherwise));
    onnx_build_add_function(b, &f);
    onnx_build_release(&then);
    onnx_build_release(&otherwise);
}

static void subgraphs_of_functions_see_the_functions_names(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b);
    add_branching(&b);
    add_twice(&b);
    call(&b, "one", "Branch", "x", "p");
    onnx_build_float(&b, "slope", -2);
    call(&b, "two", "Branch", "p", "y");
    onnx_build_float(&b, "slope", 1);
    /* x = -1, 3: leak 2, 3; twice 4, 6; minus x 5, 3. Again: 10, 6; minus p 5, 3. */
    eval_expect(&b, x2, (float[]){5, 3}, 2);
}

/* my.Choose has its branches from the call, in which they see what is around it. */
static void graphs_may_be_given_as_attributes(void **state)
{
    (void)state;
    struct onnx_build b, f, then, otherwise;
    begin(&b);
    function(&f, "Choose", "yes", "r");
    onnx_build_function_attr(&f, "a");
    onnx_build_function_attr(&f, "b");
    onnx_build_node(&f, "If", "yes", "r");
    onnx_build_ref(&f, "then_branch", SAL_ONNX_ATTR_GRAPH, "a");
    onnx_build_ref(&f, "else_branch", SAL_ONNX_ATTR_GRAPH, "b");
    onnx_build_add_function(&b, &f);
    onnx_build_init(&then, 13);
    onnx_build_node(&then, "Neg", "x", "t");
    onnx_build_output(&then, "t", SAL_ONNX_FLOAT, -1, NULL);
    onnx_build_init(&otherwise, 13);
    onnx_build_node(&otherwise, "Abs", "x", "t");
    onnx_build_output(&otherwise, "t", SAL_ONNX_FLOAT, -1, NULL);
    onnx_build_raw(&b, "no", SAL_ONNX_BOOL, 0, NULL, "\0", 1);
    call(&b, "c", "Choose", "no", "y");
    onnx_build_graph(&b, "a", onnx_build_finish_graph(&then));
    onnx_build_graph(&b, "b", onnx_build_finish_graph(&otherwise));
    onnx_build_release(&then);
    onnx_build_release(&otherwise);
    eval_expect(&b, x2, (float[]){1, 3}, 2);
}

/* ---- limits ---- */

/* f0 is Relu; each of the others calls the one before, `times` times. */
static void add_chain(struct onnx_build *b, int n, int times)
{
    char name[16], before[16];
    for (int i = 0; i < n; i++) {
        struct onnx_build f;
        snprintf(name, sizeof name, "f%d", i);
        snprintf(before, sizeof before, "f%d", i - 1);
        function(&f, name, "a", "r");
        if (i == 0)
            onnx_build_node(&f, "Relu", "a", "r");
        else if (times == 1)
            call(&f, "c", before, "a", "r");
        for (int k = 0; i && times == 2 && k < 2; k++)
            call(&f, "c", before, k ? "t" : "a", k ? "r" : "t");
        onnx_build_add_function(b, &f);
    }
    call(b, "c", name, "x", "y");
}

static void functions_nest_32_deep_and_no_deeper(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b);
    add_chain(&b, 32, 1);
    eval_expect(&b, x2, (float[]){0, 3}, 2);
    begin(&b);
    add_chain(&b, 33, 1);
    eval_refuse(&b, SAL_BAD_INPUT, "over 32 deep");
    begin(&b);
    add_chain(&b, 3000, 1);
    eval_refuse(&b, SAL_BAD_INPUT, "over 32 deep");
}

/* 3 * 2^k - 1 nodes and calls for k doublings. */
static void nodes_are_counted_as_functions_grow(void **state)
{
    (void)state;
    struct onnx_build b;
    struct sal_onnx onnx;
    begin(&b);
    add_chain(&b, 17, 2);
    open(&onnx, &b);
    assert_int_equal(onnx.graph.n_nodes, 1 << 16);
    sal_onnx_close(&onnx);
    onnx_build_release(&b);
    begin(&b);
    add_chain(&b, 18, 2);
    eval_refuse(&b, SAL_BAD_INPUT,
                "more than 200000 nodes when its functions are inlined");
    begin(&b);
    add_chain(&b, 32, 2); /* a laugh of 2^31 */
    eval_refuse(&b, SAL_BAD_INPUT, "more than 200000 nodes");
}

static void functions_that_only_pass_on_are_counted_too(void **state)
{
    (void)state;
    struct onnx_build b, f;
    char name[16], before[16];
    begin(&b);
    function(&f, "g0", "a", "a");
    onnx_build_add_function(&b, &f);
    for (int i = 1; i < 30; i++) {
        snprintf(name, sizeof name, "g%d", i);
        snprintf(before, sizeof before, "g%d", i - 1);
        function(&f, name, "a", "a");
        call(&f, "", before, "a", "");
        call(&f, "", before, "a", "");
        onnx_build_add_function(&b, &f);
    }
    call(&b, "c", "g29", "x", "y");
    eval_refuse(&b, SAL_BAD_INPUT, "more than 200000 nodes");
}

static void many_calls_of_one_name_are_quick(void **state)
{
    (void)state;
    enum { CALLS = 30000 };
    struct onnx_build b;
    begin(&b);
    add_twice(&b);
    for (int i = 0; i < CALLS; i++)
        call(&b, "same", "Twice", "x", "");
    call(&b, "same", "Twice", "x", "y");
    struct sal_onnx onnx;
    open(&onnx, &b);
    assert_string_equal(onnx.graph.nodes[2 * CALLS].outputs[0], "same_30001/relu");
    sal_onnx_close(&onnx);
    onnx_build_release(&b);
}

static void cycles_are_found(void **state)
{
    (void)state;
    struct onnx_build b, f, then;
    begin(&b);
    function(&f, "Self", "a", "r");
    call(&f, "c", "Self", "a", "r");
    onnx_build_add_function(&b, &f);
    call(&b, "c", "Self", "x", "y");
    eval_refuse(&b, SAL_BAD_INPUT, "function 'Self' calls itself");
    begin(&b);
    function(&f, "A", "a", "r");
    call(&f, "c", "B", "a", "r");
    onnx_build_add_function(&b, &f);
    onnx_build_init(&then, 13); /* B calls A inside a subgraph */
    call(&then, "c", "A", "a", "t");
    onnx_build_output(&then, "t", SAL_ONNX_FLOAT, -1, NULL);
    function(&f, "B", "a", "r");
    onnx_build_node(&f, "If", "a", "r");
    onnx_build_graph(&f, "then_branch", onnx_build_finish_graph(&then));
    onnx_build_graph(&f, "else_branch", onnx_build_finish_graph(&then));
    onnx_build_add_function(&b, &f);
    onnx_build_release(&then);
    call(&b, "c", "A", "x", "y");
    eval_refuse(&b, SAL_BAD_INPUT, "function 'A' calls itself");
}

/* Each level is a graph in a function in a graph. */
static void graphs_in_functions_nest_8_deep_with_those_around(void **state)
{
    (void)state;
    for (int depth = 8; depth <= 9; depth++) {
        struct onnx_build b, f, then;
        char name[16], inner[16];
        begin(&b);
        function(&f, "h0", "a", "r");
        onnx_build_node(&f, "Relu", "a", "r");
        onnx_build_add_function(&b, &f);
        for (int i = 1; i < depth; i++) {
            snprintf(name, sizeof name, "h%d", i);
            snprintf(inner, sizeof inner, "h%d", i - 1);
            onnx_build_init(&then, 13);
            call(&then, "c", inner, "a", "t");
            onnx_build_output(&then, "t", SAL_ONNX_FLOAT, -1, NULL);
            function(&f, name, "a", "r");
            onnx_build_node(&f, "Constant", "", "yes");
            onnx_build_tensor(&f, "value", SAL_ONNX_BOOL, 0, NULL, "\1", 1);
            onnx_build_node(&f, "If", "yes", "r");
            onnx_build_graph(&f, "then_branch", onnx_build_finish_graph(&then));
            onnx_build_graph(&f, "else_branch", onnx_build_finish_graph(&then));
            onnx_build_add_function(&b, &f);
            onnx_build_release(&then);
        }
        call(&b, "c", name, "x", "y");
        if (depth == 8)
            eval_expect(&b, x2, (float[]){0, 3}, 2);
        else
            eval_refuse(&b, SAL_BAD_INPUT, "graphs are nested over 8 deep");
    }
}

/* An If whose branches hold Ifs, and so on; the last ones hold the graph that the call
 * gives. */
static void add_tree(struct onnx_build *g, int depth)
{
    onnx_build_node(g, "If", "yes", "t");
    if (depth == 0) {
        onnx_build_ref(g, "then_branch", SAL_ONNX_ATTR_GRAPH, "g");
        onnx_build_ref(g, "else_branch", SAL_ONNX_ATTR_GRAPH, "g");
        return;
    }
    struct onnx_build inner;
    onnx_build_init(&inner, 13);
    add_tree(&inner, depth - 1);
    onnx_build_output(&inner, "t", SAL_ONNX_FLOAT, -1, NULL);
    onnx_build_graph(g, "then_branch", onnx_build_finish_graph(&inner));
    onnx_build_graph(g, "else_branch", onnx_build_finish_graph(&inner));
    onnx_build_release(&inner);
}

static void a_graph_given_to_many_ifs_counts_each_time(void **state)
{
    (void)state;
    enum { NODES = 10000 };
    for (int depth = 4; depth <= 5; depth++) { /* 2^5 and 2^6 branches of 10000 nodes */
        struct onnx_build b, f, g;
        begin(&b);
        function(&f, "Tree", "yes", "t");
        onnx_build_function_attr(&f, "g");
        add_tree(&f, depth);
        onnx_build_add_function(&b, &f);
        onnx_build_init(&g, 13);
        for (int i = 0; i < NODES; i++)
            onnx_build_node(&g, "Neg", "x", "");
        onnx_build_node(&g, "Abs", "x", "z");
        onnx_build_output(&g, "z", SAL_ONNX_FLOAT, -1, NULL);
        onnx_build_raw(&b, "on", SAL_ONNX_BOOL, 0, NULL, "\1", 1);
        call(&b, "c", "Tree", "on", "y");
        onnx_build_graph(&b, "g", onnx_build_finish_graph(&g));
        onnx_build_release(&g);
        if (depth == 4)
            eval_expect(&b, x2, (float[]){1, 3}, 2);
        else
            eval_refuse(&b, SAL_LIMIT, "more than 400000 nodes");
    }
}

/* Whatever a few changed bytes make of a model, it is read or refused. */
static void changed_bytes_are_read_or_refused(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b);
    add_branching(&b);
    add_twice(&b);
    add_leaks(&b);
    call(&b, "one", "Branch", "x", "p");
    onnx_build_float(&b, "slope", -2);
    call(&b, "two", "Leak", "p", "y");
    struct sal_span whole = onnx_build_finish(&b);
    uint8_t *bytes = malloc(whole.size);
    assert_non_null(bytes);
    uint64_t dice = 1;
    int read = 0, refused = 0;
    for (int i = 0; i < 20000; i++) {
        memcpy(bytes, whole.data, whole.size);
        for (int k = 0; k <= i % 3; k++) {
            dice = dice * UINT64_C(6364136223846793005) + 1442695040888963407;
            bytes[(dice >> 33) % whole.size] =
                (uint8_t)(dice >> 25 & (i % 2 ? 255 : 15));
        }
        struct sal_onnx onnx;
        struct sal_graph graph;
        struct sal_error err;
        if (sal_onnx_parse(&onnx, (struct sal_span){bytes, whole.size}, "m", &err)) {
            refused++;
            continue;
        }
        if (!sal_graph_build(&graph, &onnx, &(struct sal_graph_options){0}, &err)) {
            sal_graph_release(&graph);
            read++;
        }
        sal_onnx_close(&onnx);
    }
    assert_true(read > 100 && refused > 100);
    free(bytes);
    onnx_build_release(&b);
}

/* ---- what is refused ---- */

static void a_function_does_not_see_the_model(void **state)
{
    (void)state;
    struct onnx_build b, f;
    begin(&b);
    function(&f, "Peek", "a", "r");
    onnx_build_node(&f, "Add", "a,x", "r");
    onnx_build_add_function(&b, &f);
    call(&b, "c", "Peek", "x", "y");
    eval_refuse(&b, SAL_BAD_INPUT, "needs 'c/x', which nothing makes");
    begin(&b);
    function(&f, "Nothing", "a", "r");
    onnx_build_add_function(&b, &f);
    onnx_build_node(&b, "Relu", "x", "z");
    call(&b, "c", "Nothing", "x", "y");
    eval_refuse(&b, SAL_BAD_INPUT, "graph output 'y' is made by no node");
    begin(&b);
    function(&f, "Double", "a", "r");
    onnx_build_node(&f, "Neg", "a", "t");
    onnx_build_node(&f, "Abs", "a", "t");
    onnx_build_node(&f, "Neg", "t", "r");
    onnx_build_add_function(&b, &f);
    call(&b, "c", "Double", "x", "y");
    eval_refuse(&b, SAL_BAD_INPUT, "both make 'c/t'");
}

static void wrong_calls_are_named(void **state)
{
    (void)state;
    struct onnx_build b, f;
    begin(&b);
    add_twice(&b);
    call(&b, "c", "Twice", "x,x", "y");
    eval_refuse(&b, SAL_BAD_INPUT,
                "'Twice' has 1 inputs and 1 outputs, the call 2 and 1");
    begin(&b);
    add_twice(&b);
    call(&b, "c", "Twice", "x", "y,z");
    eval_refuse(&b, SAL_BAD_INPUT, "the call 1 and 2");
    begin(&b);
    add_leaks(&b);
    call(&b, "c", "Leak", "x", "y");
    onnx_build_int(&b, "slope", 1);
    eval_refuse(&b, SAL_BAD_INPUT,
                "function 'Leak', node 'r': attribute 'alpha' has type 1, "
                "'slope' is given as type 2");
    begin(&b);
    function(&f, "Lost", "a", "r");
    onnx_build_node(&f, "LeakyRelu", "a", "r");
    onnx_build_ref(&f, "alpha", SAL_ONNX_ATTR_FLOAT, "slope");
    onnx_build_add_function(&b, &f);
    call(&b, "c", "Lost", "x", "y");
    eval_refuse(&b, SAL_BAD_INPUT,
                "refers to 'slope', which is none of the function's");
    begin(&b);
    function(&f, "Twins", "a,a", "r");
    onnx_build_node(&f, "Relu", "a", "r");
    onnx_build_add_function(&b, &f);
    call(&b, "c", "Twins", "x,x", "y");
    eval_refuse(&b, SAL_BAD_INPUT,
                "input 1 of function 'Twins' has no name of its own");
    begin(&b);
    add_twice(&b);
    add_twice(&b);
    call(&b, "c", "Twice", "x", "y");
    eval_refuse(&b, SAL_BAD_INPUT, "two functions are named 'Twice' in domain 'my'");
    begin(&b);
    function(&f, "", "a", "r");
    onnx_build_add_function(&b, &f);
    onnx_build_node(&b, "Relu", "x", "y");
    eval_refuse(&b, SAL_BAD_INPUT, "a local function has no name");
}

static void a_function_nobody_calls_is_not_looked_at(void **state)
{
    (void)state;
    struct onnx_build b, f;
    begin(&b);
    function(&f, "Unused", "a", "r");
    call(&f, "c", "Unused", "nowhere", "r");
    onnx_build_add_function(&b, &f);
    onnx_build_node(&b, "Relu", "x", "y");
    eval_expect(&b, x2, (float[]){0, 3}, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_replaced_by_the_functions_nodes),
        cmocka_unit_test(names_stay_unique),
        cmocka_unit_test(functions_call_functions),
        cmocka_unit_test(attributes_are_the_calls_or_the_default_or_left_out),
        cmocka_unit_test(inputs_and_outputs_may_be_left_out),
        cmocka_unit_test(an_output_may_be_an_input),
        cmocka_unit_test(a_function_has_its_own_opset),
        cmocka_unit_test(only_functions_may_import_the_default_operators),
        cmocka_unit_test(overloads_are_told_apart),
        cmocka_unit_test(subgraphs_of_functions_see_the_functions_names),
        cmocka_unit_test(graphs_may_be_given_as_attributes),
        cmocka_unit_test(functions_nest_32_deep_and_no_deeper),
        cmocka_unit_test(nodes_are_counted_as_functions_grow),
        cmocka_unit_test(functions_that_only_pass_on_are_counted_too),
        cmocka_unit_test(many_calls_of_one_name_are_quick),
        cmocka_unit_test(cycles_are_found),
        cmocka_unit_test(graphs_in_functions_nest_8_deep_with_those_around),
        cmocka_unit_test(a_graph_given_to_many_ifs_counts_each_time),
        cmocka_unit_test(changed_bytes_are_read_or_refused),
        cmocka_unit_test(a_function_does_not_see_the_model),
        cmocka_unit_test(wrong_calls_are_named),
        cmocka_unit_test(a_function_nobody_calls_is_not_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
