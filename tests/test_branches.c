/* Graphs that are built from their outputs back: branches of If, what nothing needs,
 * and the opset each operator is taken from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "eval.h"

static const int64_t two[] = {2};
static const float x2[] = {-1, 3};

static void begin(struct onnx_build *b)
{
    onnx_build_init(b, 13);
    onnx_build_input(b, "x", SAL_ONNX_FLOAT, 1, two);
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, -1, NULL);
    onnx_build_raw(b, "yes", SAL_ONNX_BOOL, 0, NULL, "\1", 1);
    onnx_build_raw(b, "no", SAL_ONNX_BOOL, 1, (int64_t[]){1}, "\0", 1);
}

/* A branch of one node. */
static void branch(struct onnx_build *g, const char *op, const char *inputs,
                   const char *output)
{
    onnx_build_init(g, 13);
    onnx_build_node(g, op, inputs, output);
    onnx_build_output(g, output, SAL_ONNX_FLOAT, -1, NULL);
}

/* Releases the branches. */
static void add_if(struct onnx_build *b, const char *name, const char *condition,
                   const char *outputs, struct onnx_build *then,
                   struct onnx_build *otherwise)
{
    onnx_build_node(b, "If", condition, outputs);
    onnx_build_name(b, name);
    onnx_build_graph(b, "then_branch", onnx_build_finish_graph(then));
    onnx_build_graph(b, "else_branch", onnx_build_finish_graph(otherwise));
    onnx_build_release(then);
    onnx_build_release(otherwise);
}

static void a_constant_condition_chooses(void **state)
{
    (void)state;
    struct onnx_build b, then, otherwise;
    begin(&b);
    branch(&then, "Neg", "x", "t");
    branch(&otherwise, "NoSuchThing", "x", "t");
    add_if(&b, "if", "yes", "y", &then, &otherwise);
    eval_expect(&b, x2, (float[]){1, -3}, 2);
    begin(&b);
    branch(&then, "NoSuchThing", "x", "t");
    branch(&otherwise, "Abs", "x", "t");
    add_if(&b, "if", "no", "y", &then, &otherwise);
    eval_expect(&b, x2, (float[]){1, 3}, 2);
}

/* As exporters write it: does the shape have one axis? */
static void the_condition_may_follow_from_shapes(void **state)
{
    (void)state;
    struct onnx_build b, then, otherwise;
    begin(&b);
    onnx_build_indices(&b, "two", 1, (int64_t[]){1}, two);
    onnx_build_node(&b, "Relu", "x", "r");
    onnx_build_node(&b, "Shape", "r", "s");
    onnx_build_node(&b, "Equal", "s,two", "c");
    branch(&then, "Neg", "x", "t");
    branch(&otherwise, "Abs", "x", "t");
    add_if(&b, "if", "c", "y", &then, &otherwise);
    struct eval e = {.x = x2};
    eval_run(&e, &b);
    assert_int_equal(e.nodes, 2); /* Neg and a name for it: Relu only had a shape */
    eval_expect(&b, x2, (float[]){1, -3}, 2);
}

static void branches_see_what_is_around_them_and_may_hide_it(void **state)
{
    (void)state;
    struct onnx_build b, inner, then, otherwise;
    begin(&b);
    onnx_build_node(&b, "Neg", "x", "a");
    onnx_build_node(&b, "Abs", "x", "hidden");
    onnx_build_init(&then, 13);
    onnx_build_weights(&then, "w", 1, two, (float[]){10, 20});
    onnx_build_node(&then, "Add", "hidden,w", "p"); /* still the outer one */
    onnx_build_node(&then, "Mul", "a,w", "hidden");
    branch(&inner, "Sub", "hidden,p", "d");
    branch(&otherwise, "NoSuchThing", "x", "d");
    add_if(&then, "inner", "yes", "z", &inner, &otherwise);
    onnx_build_output(&then, "z", SAL_ONNX_FLOAT, -1, NULL);
    branch(&otherwise, "NoSuchThing", "x", "t");
    add_if(&b, "outer", "yes", "q", &then, &otherwise);
    onnx_build_node(&b, "Add", "q,hidden", "y");
    /* p = 11, 23; inner hidden = 10, -60; d = -1, -83; plus the outer hidden 1, 3 */
    eval_expect(&b, x2, (float[]){0, -80}, 2);
}

static void only_the_outputs_that_are_needed_are_made(void **state)
{
    (void)state;
    struct onnx_build b, then, otherwise;
    begin(&b);
    onnx_build_init(&then, 13);
    onnx_build_node(&then, "Neg", "x", "t");
    onnx_build_node(&then, "NoSuchThing", "x", "u");
    onnx_build_output(&then, "u", SAL_ONNX_FLOAT, -1, NULL);
    onnx_build_output(&then, "t", SAL_ONNX_FLOAT, -1, NULL);
    onnx_build_init(&otherwise, 13);
    onnx_build_output(&otherwise, "x", SAL_ONNX_FLOAT, -1, NULL);
    onnx_build_output(&otherwise, "yes", SAL_ONNX_FLOAT, -1, NULL);
    add_if(&b, "if", "yes", "v,w", &then, &otherwise);
    onnx_build_node(&b, "Abs", "w", "y");
    eval_expect(&b, x2, (float[]){1, 3}, 2);
    begin(&b);
    onnx_build_init(&then, 13);
    onnx_build_output(&then, "x", SAL_ONNX_FLOAT, -1, NULL);
    onnx_build_init(&otherwise, 13);
    onnx_build_output(&otherwise, "x", SAL_ONNX_FLOAT, -1, NULL);
    add_if(&b, "if", "no", "y", &then, &otherwise);
    eval_expect(&b, x2, x2, 2);
}

static void ids_do_not_depend_on_the_branch(void **state)
{
    (void)state;
    struct onnx_build b, then, otherwise;
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 1, (int64_t[]){-1});
    onnx_build_indices(&b, "two", 1, (int64_t[]){1}, two);
    onnx_build_node(&b, "Shape", "x", "s");
    onnx_build_node(&b, "Equal", "s,two", "c");
    branch(&then, "Neg", "x", "t");
    branch(&otherwise, "Abs", "x", "u");
    add_if(&b, "if", "c", "z", &then, &otherwise);
    onnx_build_node(&b, "Exp", "z", "y");
    onnx_build_output(&b, "y", SAL_ONNX_FLOAT, -1, NULL);
    struct sal_onnx onnx;
    struct sal_graph graph[2];
    assert_int_equal(sal_onnx_parse(&onnx, onnx_build_finish(&b), "t.onnx", NULL),
                     SAL_OK);
    static const char *const names[] = {"x", "two", "s", "c", "z", "y", "t", "u"};
    for (int i = 0; i < 2; i++) {
        struct sal_shape shape = {1, {2 + i}};
        assert_int_equal(sal_graph_build(&graph[i], &onnx,
                                         &(struct sal_graph_options){.shapes = &shape},
                                         NULL),
                         SAL_OK);
        for (int k = 0; k < 8; k++)
            assert_int_equal(sal_graph_find(&graph[i], names[k]), k);
        assert_string_equal(graph[i].nodes[0].op->name, i ? "Abs" : "Neg");
        assert_true(graph[i].values[6 + i].live);
        assert_false(graph[i].values[7 - i].live);
        sal_graph_release(&graph[i]);
    }
    sal_onnx_close(&onnx);
    onnx_build_release(&b);
}

static void what_cannot_be_decided_is_refused_by_name(void **state)
{
    (void)state;
    struct onnx_build b, then, otherwise;
    begin(&b);
    onnx_build_weights(&b, "zero", 0, NULL, (float[]){0});
    onnx_build_node(&b, "Greater", "x,zero", "c");
    branch(&then, "Neg", "x", "t");
    branch(&otherwise, "Abs", "x", "t");
    add_if(&b, "gate", "c", "y", &then, &otherwise);
    eval_refuse(&b, SAL_UNSUPPORTED,
                "operator If (node 'gate', opset 13): its condition 'c' "
                "depends on the input");
    static const char *const loops[] = {"Loop", "Scan"};
    for (int i = 0; i < 2; i++) {
        begin(&b);
        branch(&then, "Neg", "x", "t");
        onnx_build_node(&b, loops[i], "yes,yes,x", "y");
        onnx_build_name(&b, "again");
        onnx_build_graph(&b, "body", onnx_build_finish_graph(&then));
        onnx_build_release(&then);
        char text[64];
        snprintf(text, sizeof text,
                 "operator %s (node 'again', opset 13) is not supported", loops[i]);
        eval_refuse(&b, SAL_UNSUPPORTED, text);
    }
}

static void malformed_ifs_are_refused_where_they_are_needed(void **state)
{
    (void)state;
    struct onnx_build b, then, otherwise;
    begin(&b);
    branch(&then, "Neg", "x", "t");
    onnx_build_output(&then, "x", SAL_ONNX_FLOAT, -1, NULL);
    branch(&otherwise, "Abs", "x", "t");
    add_if(&b, "if", "yes", "y", &then, &otherwise);
    eval_refuse(&b, SAL_BAD_INPUT,
                "If 'if': its then_branch must be a graph without inputs "
                "and with 1 outputs");
    begin(&b);
    branch(&then, "Neg", "i", "t");
    onnx_build_input(&then, "i", SAL_ONNX_FLOAT, 1, two);
    branch(&otherwise, "Abs", "x", "t");
    add_if(&b, "if", "yes", "y", &then, &otherwise);
    eval_refuse(&b, SAL_BAD_INPUT, "its then_branch must be a graph without inputs");
    begin(&b);
    onnx_build_node(&b, "If", "no", "y");
    eval_refuse(&b, SAL_BAD_INPUT, "its else_branch must be a graph");
    begin(&b);
    onnx_build_node(&b, "If", "", "y");
    eval_refuse(&b, SAL_BAD_INPUT, "takes one input, has 0");
    begin(&b);
    branch(&then, "Neg", "x", "t");
    branch(&otherwise, "Abs", "x", "t");
    onnx_build_weights(&b, "real", 0, NULL, (float[]){1});
    add_if(&b, "if", "real", "y", &then, &otherwise);
    eval_refuse(&b, SAL_BAD_INPUT, "its condition must be one boolean");
    begin(&b);
    onnx_build_node(&b, "If", "no", "z"); /* as wrong as above, but nobody's */
    onnx_build_node(&b, "Neg", "x", "y");
    eval_expect(&b, x2, (float[]){1, -3}, 2);
}

/* ---- what is needed ---- */

static void a_chosen_tensor_is_all_that_is_built(void **state)
{
    (void)state;
    struct onnx_build b;
    struct eval e = {.x = x2, .options.output = "a"};
    begin(&b);
    onnx_build_input(&b, "odd", SAL_ONNX_STRING, -1, NULL);
    onnx_build_node(&b, "Neg", "x", "a");
    onnx_build_node(&b, "NoSuchThing", "a,odd", "y");
    eval_run(&e, &b);
    assert_int_equal(e.status, SAL_OK);
    assert_int_equal(e.nodes, 1);
    assert_true(e.y[0] == 1 && e.y[1] == -3);
    e.options.output = "b";
    eval_run(&e, &b);
    assert_int_equal(e.status, SAL_USAGE);
    assert_non_null(strstr(e.err.text, "'b' is not a tensor of this model"));
    eval_refuse(&b, SAL_UNSUPPORTED, "input 'odd' is not a numeric tensor");
}

static void nodes_stand_in_the_order_of_the_file(void **state)
{
    (void)state;
    struct onnx_build b;
    struct sal_onnx onnx;
    struct sal_graph graph;
    begin(&b);
    onnx_build_node(&b, "Neg", "x", "a");
    onnx_build_node(&b, "Abs", "x", "b");
    onnx_build_node(&b, "Exp", "b", "c");
    onnx_build_node(&b, "Add", "c,a", "y"); /* c is needed first */
    assert_int_equal(sal_onnx_parse(&onnx, onnx_build_finish(&b), "t.onnx", NULL),
                     SAL_OK);
    assert_int_equal(
        sal_graph_build(&graph, &onnx, &(struct sal_graph_options){0}, NULL), SAL_OK);
    static const char *const order[] = {"Neg", "Abs", "Exp", "Add"};
    for (int i = 0; i < 4; i++) {
        assert_string_equal(graph.nodes[i].op->name, order[i]);
        assert_int_equal(graph.values[graph.nodes[i].out[0]].producer, i);
    }
    sal_graph_release(&graph);
    sal_onnx_close(&onnx);
    onnx_build_release(&b);
}

/* A chain that would overflow a stack of calls. */
static void depth_costs_no_stack(void **state)
{
    (void)state;
    enum { DEEP = 150000 };
    struct onnx_build b;
    char from[16] = "x", to[16];
    begin(&b);
    for (int i = 0; i < DEEP; i++) {
        snprintf(to, sizeof to, i + 1 < DEEP ? "t%d" : "y", i);
        onnx_build_node(&b, "Neg", from, to);
        memcpy(from, to, sizeof from);
    }
    struct sal_onnx onnx;
    struct sal_graph graph;
    assert_int_equal(sal_onnx_parse(&onnx, onnx_build_finish(&b), "t.onnx", NULL),
                     SAL_OK);
    assert_int_equal(
        sal_graph_build(&graph, &onnx, &(struct sal_graph_options){0}, NULL), SAL_OK);
    assert_int_equal(graph.n_nodes, DEEP);
    sal_graph_release(&graph);
    sal_onnx_close(&onnx);
    onnx_build_release(&b);
}

/* ---- opsets and domains ---- */

static void newer_opsets_are_refused_unless_forced(void **state)
{
    (void)state;
    for (int opset = 27; opset <= 29; opset++) {
        struct onnx_build b;
        struct eval e = {.x = x2, .options.force_opset = true};
        begin(&b);
        b.opset = opset;
        onnx_build_node(&b, "Neg", "x", "y");
        eval_run(&e, &b);
        assert_int_equal(e.status, SAL_OK);
        assert_true(e.y[0] == 1);
        char text[80];
        snprintf(text, sizeof text,
                 "opset %d is newer than 27, the newest known; "
                 "--force-opset",
                 opset);
        if (opset == 27)
            eval_expect(&b, x2, (float[]){1, -3}, 2);
        else
            eval_refuse(&b, SAL_UNSUPPORTED, text);
    }
}

static void a_newer_opset_in_a_function_is_refused_too(void **state)
{
    (void)state;
    struct onnx_build b, f;
    begin(&b);
    onnx_build_function(&f, "my", "F", "a", "r");
    onnx_build_function_opset(&f, "", 28);
    onnx_build_node(&f, "Neg", "a", "r");
    onnx_build_add_function(&b, &f);
    onnx_build_node(&b, "F", "x", "y");
    onnx_build_domain(&b, "my");
    eval_refuse(&b, SAL_UNSUPPORTED, "operator Neg (node 'y') is of opset 28");
}

static void operators_match_by_domain_and_name(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b);
    onnx_build_node(&b, "Neg", "x", "y");
    onnx_build_domain(&b, "ai.onnx");
    eval_expect(&b, x2, (float[]){1, -3}, 2);
    begin(&b);
    onnx_build_opset(&b, "com.microsoft", 3);
    onnx_build_node(&b, "Neg", "x", "y");
    onnx_build_name(&b, "n1");
    onnx_build_domain(&b, "com.microsoft");
    eval_refuse(&b, SAL_UNSUPPORTED,
                "operator com.microsoft.Neg (node 'n1', opset 3) is not supported");
    begin(&b);
    onnx_build_node(&b, "If", "yes", "y");
    onnx_build_domain(&b, "ai.onnx.ml");
    eval_refuse(&b, SAL_UNSUPPORTED, "operator ai.onnx.ml.If");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_constant_condition_chooses),
        cmocka_unit_test(the_condition_may_follow_from_shapes),
        cmocka_unit_test(branches_see_what_is_around_them_and_may_hide_it),
        cmocka_unit_test(only_the_outputs_that_are_needed_are_made),
        cmocka_unit_test(ids_do_not_depend_on_the_branch),
        cmocka_unit_test(what_cannot_be_decided_is_refused_by_name),
        cmocka_unit_test(malformed_ifs_are_refused_where_they_are_needed),
        cmocka_unit_test(a_chosen_tensor_is_all_that_is_built),
        cmocka_unit_test(nodes_stand_in_the_order_of_the_file),
        cmocka_unit_test(depth_costs_no_stack),
        cmocka_unit_test(newer_opsets_are_refused_unless_forced),
        cmocka_unit_test(a_newer_opset_in_a_function_is_refused_too),
        cmocka_unit_test(operators_match_by_domain_and_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
