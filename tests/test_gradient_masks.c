/* Gradients through y[mask] = f(x[mask]): what is outside the mask must leave no trace,
 * not even where f has no value there. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gradient.h"
#include "op_norm.h"
#include "twin.h"

static void op_norm_of_three(struct onnx_build *b, bool script)
{
    onnx_build_input(b, "x", SAL_ONNX_FLOAT, 2, (int64_t[]){3, OP_NORM_CLASSES});
    onnx_build_node(b, "Sigmoid", "x", "p");
    build_op_norm(b, "p", 3, script);
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, -1, NULL);
}

static void scripted(struct onnx_build *b)
{
    op_norm_of_three(b, true);
}

static void exported(struct onnx_build *b)
{
    op_norm_of_three(b, false);
}

static void gradients_pass_through_op_norm(void **state)
{
    (void)state;
    check_gradient(
        &(struct gradient_case){"op_norm from TorchScript", scripted, 17, -3, 3});
    check_gradient(
        &(struct gradient_case){"op_norm from torch.export", exported, 18, -3, 3});
}

/* y[x > 0] = log(x[x > 0]): outside, neither the logarithm nor its slope is finite. */
static void what_is_outside_the_mask_does_not_reach_the_gradient(void **state)
{
    (void)state;
    enum { N = 4 };
    static const double x[N] = {0, 2, -1, 0.25}, dy[N] = {1, 1, 1, 1};
    struct onnx_build b;
    onnx_build_init(&b, 17);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 1, (int64_t[]){N});
    onnx_build_weights(&b, "zero", 0, NULL, (float[]){0});
    onnx_build_weights(&b, "half", 0, NULL, (float[]){0.5f});
    onnx_build_node(&b, "Greater", "x,zero", "m");
    onnx_build_node(&b, "NonZero", "m", "n");
    onnx_build_node(&b, "Transpose", "n", "c");
    onnx_build_node(&b, "GatherND", "x,c", "s");
    onnx_build_node(&b, "Sub", "s,half", "d"); /* zero where the filling is */
    onnx_build_node(&b, "Add", "d,half", "e");
    onnx_build_node(&b, "Log", "e", "l");
    onnx_build_node(&b, "Reciprocal", "d", "r"); /* infinite there */
    onnx_build_node(&b, "Mul", "r,d", "q");
    onnx_build_node(&b, "Mul", "l,q", "v");
    onnx_build_node(&b, "ScatterND", "x,c,v", "y");
    onnx_build_output(&b, "y", SAL_ONNX_FLOAT, -1, NULL);
    struct twin_case twin = {.model = onnx_build_finish(&b), .input = {x}, .dy = dy};
    struct twin_result result;
    if (!sal_twin_double(&twin, &result))
        fail_msg("%s", result.message);
    assert_true(result.y[0] == 0 && result.y[2] == -1);
    assert_true(fabs(result.y[1] - log(2)) < 1e-12);
    assert_true(result.dx[0][0] == 1 && result.dx[0][2] == 1);
    assert_true(fabs(result.dx[0][1] - 0.5) < 1e-12);
    twin_result_release(&result);
    onnx_build_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_pass_through_op_norm),
        cmocka_unit_test(what_is_outside_the_mask_does_not_reach_the_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
