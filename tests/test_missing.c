/* Operators that are not there: all of them are named, at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "graph.h"
#include "onnx_build.h"
#include "saliscope/model.h"

struct fixture {
    struct onnx_build build;
    struct sal_onnx onnx;
    struct sal_arena arena;
    struct sal_missing *missing;
    int n;
    struct sal_error err;
};

static void begin(struct fixture *f, int64_t opset)
{
    memset(f, 0, sizeof(*f));
    onnx_build_init(&f->build, opset);
    onnx_build_input(&f->build, "x", SAL_ONNX_FLOAT, 2, (int64_t[]){2, 4});
}

/* A node whose name is its output's. */
static void node(struct fixture *f, const char *op, const char *input,
                 const char *output)
{
    onnx_build_node(&f->build, op, input, output);
}

static void find(struct fixture *f, const char *output)
{
    onnx_build_output(&f->build, output, SAL_ONNX_FLOAT, -1, NULL);
    struct sal_span bytes = onnx_build_finish(&f->build);
    if (sal_onnx_parse(&f->onnx, bytes, "test", &f->err))
        fail_msg("%s", f->err.text);
    f->n = sal_missing_find(&f->onnx, &f->arena, &f->missing);
    struct sal_graph graph;
    enum sal_status status = sal_graph_build(
        &graph, &f->onnx, &(struct sal_graph_options){.memory = 1 << 20}, &f->err);
    assert_int_equal(status, f->n ? SAL_UNSUPPORTED : SAL_OK);
    if (!status)
        sal_graph_release(&graph);
}

static void end(struct fixture *f)
{
    sal_arena_release(&f->arena);
    sal_onnx_close(&f->onnx);
    onnx_build_release(&f->build);
}

static void assert_row(const struct fixture *f, int i, const char *domain,
                       const char *op, int count, const char *first, int64_t opset)
{
    const struct sal_missing *m = &f->missing[i];
    assert_string_equal(m->domain, domain);
    assert_string_equal(m->op, op);
    assert_int_equal(m->count, count);
    assert_string_equal(m->node, first);
    assert_int_equal(m->opset, opset);
}

static void nothing_is_missing_where_all_is_there(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 13);
    node(&f, "Relu", "x", "y");
    find(&f, "y");
    assert_int_equal(f.n, 0);
    end(&f);
}

static void all_are_listed_with_count_and_first_node(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 13);
    onnx_build_opset(&f.build, "com.microsoft", 3);
    node(&f, "Fold", "x", "a");
    onnx_build_name(&f.build, "stem/fold");
    node(&f, "Relu", "a", "b");
    node(&f, "Spindle", "b", "c");
    onnx_build_domain(&f.build, "com.microsoft");
    node(&f, "Fold", "c", "d");
    node(&f, "Fold", "d", "e");
    onnx_build_domain(&f.build, "com.microsoft");
    node(&f, "Relu", "e", "g");
    onnx_build_domain(&f.build, "not.imported");
    find(&f, "g");
    assert_int_equal(f.n, 4);
    assert_row(&f, 0, "", "Fold", 2, "stem/fold", 13);
    assert_row(&f, 1, "com.microsoft", "Spindle", 1, "c", 3);
    assert_row(&f, 2, "com.microsoft", "Fold", 1, "e", 3);
    assert_row(&f, 3, "not.imported", "Relu", 1, "g", 0);
    assert_string_equal(
        f.err.text, "4 operators are not supported at opset 13: Fold (2, first "
                    "'stem/fold'), com.microsoft.Spindle (1, first 'c'), "
                    "com.microsoft.Fold (1, first 'e'), not.imported.Relu (1, first "
                    "'g')");
    end(&f);
}

static void one_is_told_as_before(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 13);
    node(&f, "Fold", "x", "y");
    find(&f, "y");
    assert_int_equal(f.n, 1);
    assert_string_equal(f.err.text,
                        "operator Fold (node 'y', opset 13) is not supported");
    end(&f);
}

static void what_no_output_needs_is_not_missing(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 13);
    node(&f, "Fold", "x", "a");
    node(&f, "Fold", "a", "b");
    node(&f, "Relu", "x", "y");
    find(&f, "y");
    assert_int_equal(f.n, 0);
    end(&f);
}

/* An If whose branches are a Relu and an operator that is not there. */
static void build_branches(struct fixture *f, float condition)
{
    struct onnx_build then, otherwise;
    onnx_build_init(&then, 13);
    onnx_build_node(&then, "Relu", "x", "t");
    onnx_build_output(&then, "t", SAL_ONNX_FLOAT, -1, NULL);
    onnx_build_init(&otherwise, 13);
    onnx_build_node(&otherwise, "Fold", "half", "e");
    onnx_build_output(&otherwise, "e", SAL_ONNX_FLOAT, -1, NULL);
    onnx_build_weights(&f->build, "number", 0, NULL, &condition);
    node(f, "Unfold", "x", "half"); /* only a branch reads it */
    node(f, "Cast", "number", "condition");
    onnx_build_int(&f->build, "to", SAL_ONNX_BOOL);
    node(f, "If", "condition", "y");
    onnx_build_graph(&f->build, "then_branch", onnx_build_finish_graph(&then));
    onnx_build_graph(&f->build, "else_branch", onnx_build_finish_graph(&otherwise));
    onnx_build_release(&then);
    onnx_build_release(&otherwise);
    onnx_build_output(&f->build, "y", SAL_ONNX_FLOAT, -1, NULL);
    struct sal_span bytes = onnx_build_finish(&f->build);
    assert_int_equal(sal_onnx_parse(&f->onnx, bytes, "test", &f->err), SAL_OK);
    f->n = sal_missing_find(&f->onnx, &f->arena, &f->missing);
}

static void branches_are_looked_into(void **state)
{
    (void)state;
    for (int taken = 0; taken < 2; taken++) {
        struct fixture f;
        struct sal_graph graph;
        begin(&f, 13);
        build_branches(&f, (float)taken);
        assert_int_equal(f.n, 2);
        assert_row(&f, 0, "", "Unfold", 1, "half", 13);
        assert_row(&f, 1, "", "Fold", 1, "e", 13);
        enum sal_status status = sal_graph_build(
            &graph, &f.onnx, &(struct sal_graph_options){.memory = 1 << 20}, &f.err);
        assert_int_equal(status, taken ? SAL_OK : SAL_UNSUPPORTED);
        if (taken)
            sal_graph_release(&graph);
        else
            assert_non_null(strstr(f.err.text, "Unfold (1, first 'half'), Fold"));
        end(&f);
    }
}

static void an_operator_of_another_opset_says_which(void **state)
{
    (void)state;
    struct fixture f;
    const struct sal_op *op = NULL;
    for (int i = 0; sal_ops[i] && !op; i++)
        if (sal_ops[i]->since > 1)
            op = sal_ops[i];
    assert_non_null(op);
    begin(&f, op->since - 1);
    node(&f, op->name, "x", "y");
    find(&f, "y");
    assert_int_equal(f.n, 1);
    assert_int_equal(f.missing[0].since, op->since);
    assert_int_equal(f.missing[0].until, op->until);
    char text[128];
    snprintf(text, sizeof(text),
             "is supported from opset %d to %d, the model has opset %d", op->since,
             op->until, op->since - 1);
    assert_non_null(strstr(f.err.text, text));
    end(&f);
}

static void a_line_has_an_end(void **state)
{
    (void)state;
    struct fixture f;
    char op[128], in[16] = "x", out[16];
    begin(&f, 13);
    for (int i = 0; i < 40; i++) {
        snprintf(op, sizeof(op), "VeryLongNameOfAnOperatorThatDoesNotExistAnywhere%d",
                 i);
        snprintf(out, sizeof(out), "y%d", i);
        node(&f, op, in, out);
        memcpy(in, out, sizeof(in));
    }
    find(&f, in);
    assert_int_equal(f.n, 40);
    assert_non_null(strstr(f.err.text, "40 operators are not supported at opset 13: "));
    assert_non_null(strstr(f.err.text, " more"));
    assert_true(strlen(f.err.text) < sizeof(f.err.text) - 1);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_missing_where_all_is_there),
        cmocka_unit_test(all_are_listed_with_count_and_first_node),
        cmocka_unit_test(one_is_told_as_before),
        cmocka_unit_test(what_no_output_needs_is_not_missing),
        cmocka_unit_test(branches_are_looked_into),
        cmocka_unit_test(an_operator_of_another_opset_says_which),
        cmocka_unit_test(a_line_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
