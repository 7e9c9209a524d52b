/* BatchNormalization in training_mode: over a constant it standardises weights. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "graph.h"
#include "onnx_build.h"
#include "run_parts.h"

static void build(struct onnx_build *b)
{
    static const float scale[] = {1, 2, 3}, shift[] = {4, 5, 6}, mean[] = {7, 8, 9};
    float x[12];
    for (int i = 0; i < 12; i++)
        x[i] = (float)(i * i) / 10;
    onnx_build_init(b, 15);
    onnx_build_input(b, "zero", SAL_ONNX_FLOAT, 1, (int64_t[]){1});
    onnx_build_weights(b, "x", 3, (int64_t[]){2, 3, 2}, x);
    onnx_build_weights(b, "s", 1, (int64_t[]){3}, scale);
    onnx_build_weights(b, "b", 1, (int64_t[]){3}, shift);
    onnx_build_weights(b, "m", 1, (int64_t[]){3}, mean);
    onnx_build_weights(b, "v", 1, (int64_t[]){3}, scale);
    onnx_build_node(b, "BatchNormalization", "x,s,b,m,v", "y,mean,variance");
    onnx_build_int(b, "training_mode", 1);
    onnx_build_float(b, "momentum", 0.75f);
    onnx_build_float(b, "epsilon", 0.5f);
    onnx_build_node(b, "Add", "y,zero", "out");
    onnx_build_node(b, "Add", "mean,zero", "out_mean");
    onnx_build_node(b, "Add", "variance,zero", "out_variance");
    onnx_build_output(b, "out", SAL_ONNX_FLOAT, -1, NULL);
    onnx_build_output(b, "out_mean", SAL_ONNX_FLOAT, -1, NULL);
    onnx_build_output(b, "out_variance", SAL_ONNX_FLOAT, -1, NULL);
}

/* Made with onnx.reference of onnx 1.23. */
static const float expected[3][12] = {
    {3.05005693F, 3.09424043F, 2.93157578F, 3.22290301F, 2.79008007F, 3.37370181F,
     4.64065933F, 5.21504307F, 6.42750406F, 7.41801739F, 8.23721695F, 9.59900093F},
    {5.7874999F, 6.98750019F, 8.38749981F},
    {1.90562499F, 4.32062531F, 7.47562551F},
};

static void a_constant_is_normalised_by_its_own_statistics(void **state)
{
    (void)state;
    struct onnx_build b;
    struct sal_onnx onnx;
    struct sal_graph graph;
    struct sal_run *run = NULL;
    struct sal_error err = {0};
    build(&b);
    assert_int_equal(sal_onnx_parse(&onnx, onnx_build_finish(&b), "case", &err), SAL_OK);
    if (sal_graph_build(&graph, &onnx, &(struct sal_graph_options){0}, &err))
        fail_msg("%s", err.text);
    assert_int_equal(
        sal_run_open_graph(&run, &graph,
                           &(struct sal_run_options){.memory = (size_t)1 << 24}, &err),
        SAL_OK);
    sal_run_tensor(run, graph.inputs[0])->real[0] = 0;
    assert_int_equal(sal_run_pass(run, NULL, &err), SAL_OK);
    for (int o = 0; o < 3; o++) {
        const struct sal_tensor *out = sal_run_tensor(run, graph.outputs[o]);
        assert_int_equal(sal_shape_count(&out->shape), o ? 3 : 12);
        for (int i = 0; i < (o ? 3 : 12); i++)
            assert_true(fabsf(out->real[i] - expected[o][i]) <= 1e-5F);
    }
    sal_run_close(run);
    sal_graph_release(&graph);
    sal_onnx_close(&onnx);
    onnx_build_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_constant_is_normalised_by_its_own_statistics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
