/* Constants that stay in the file: read where they lie, at any address, or into data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "model_parts.h"
#include "onnx_build.h"
#include "run_parts.h"
#include "stored.h"

#define DIMS(...) (const int64_t[]){__VA_ARGS__}

enum { CHANNELS = 64, CLASSES = 600, KERNEL = CHANNELS * CHANNELS * 9, SHIFTS = 4 };

static float kernel[KERNEL], matrix[CHANNELS * CLASSES], picture[3 * 3 * 8 * 8];

static int fill(void **state)
{
    (void)state;
    for (int i = 0; i < KERNEL; i++)
        kernel[i] = (float)(i * 37 % 101 - 50) / 900;
    for (int i = 0; i < CHANNELS * CLASSES; i++)
        matrix[i] = (float)(i * 53 % 89 - 44) / 100;
    for (int i = 0; i < 3 * 3 * 8 * 8; i++)
        picture[i] = (float)(i * 29 % 67 - 33) / 30;
    return 0;
}

/* Two convolutions and a layer whose matrix is turned. Bytes in front move what follows
 * to all remainders of an address. */
static void build(struct onnx_build *b, int shift)
{
    onnx_build_init(b, 13);
    b->producer = &"..."[3 - shift];
    onnx_build_input(b, "x", SAL_ONNX_FLOAT, 4, DIMS(-1, 3, 8, 8));
    onnx_build_waves(b, "first", 4, DIMS(CHANNELS, 3, 3, 3), 0.3F);
    onnx_build_weights(b, "kernel", 4, DIMS(CHANNELS, CHANNELS, 3, 3), kernel);
    onnx_build_weights(b, "matrix", 2, DIMS(CLASSES, CHANNELS), matrix);
    onnx_build_node(b, "Conv", "x,first", "a");
    onnx_build_ints(b, "pads", 4, DIMS(1, 1, 1, 1));
    onnx_build_node(b, "Relu", "a", "b");
    onnx_build_node(b, "Conv", "b,kernel", "c");
    onnx_build_node(b, "GlobalAveragePool", "c", "d");
    onnx_build_node(b, "Flatten", "d", "e");
    onnx_build_node(b, "Transpose", "matrix", "turned");
    onnx_build_node(b, "MatMul", "e,turned", "f");
    onnx_build_node(b, "Gemm", "e,matrix", "g");
    onnx_build_int(b, "transB", 1);
    onnx_build_node(b, "Add", "f,g", "y");
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, 2, DIMS(-1, CLASSES));
}

static struct sal_model *open_model(int shift)
{
    struct onnx_build b;
    char path[ONNX_BUILD_PATH];
    struct sal_model *model;
    struct sal_error err = {0};
    build(&b, shift);
    assert_true(onnx_build_save(&b, path));
    if (sal_model_open(&model, path, &(struct sal_model_options){0}, &err))
        fail_msg("%s", err.text);
    unlink(path);
    return model;
}

static const struct sal_tensor *tensor_of(const struct sal_graph *graph, const char *name)
{
    return &graph->values[sal_graph_find(graph, name)].tensor;
}

static bool is_in_data(const struct sal_tensor *tensor)
{
    return memcmp(tensor->data, kernel, sizeof(kernel)) == 0;
}

static void run(const struct sal_model *model, int batch, bool plain, float *logits)
{
    struct sal_run *run;
    struct sal_error err = {0};
    struct sal_run_options options = {.batch = batch, .plain = plain};
    if (sal_run_open(&run, model, &options, &err) || sal_run_forward(run, picture, NULL, &err))
        fail_msg("%s", err.text);
    const float *y = sal_run_value(run, sal_model_output(model)->value, NULL);
    memcpy(logits, y, sizeof(*y) * (size_t)batch * CLASSES);
    sal_run_close(run);
}

static void weights_are_packed_from_the_file(void **state)
{
    (void)state;
    int unread = 0;
    for (int shift = 0; shift < SHIFTS; shift++) {
        struct sal_model *model = open_model(shift);
        const struct sal_tensor *w = tensor_of(sal_model_graph(model), "kernel");
        float logits[CLASSES];
        assert_non_null(w->stored);
        assert_memory_equal(sal_stored_reals(w), kernel, sizeof(kernel));
        run(model, 1, false, logits);
        assert_memory_equal(sal_stored_reals(w), kernel, sizeof(kernel));
        unread += !is_in_data(w);
        run(model, 1, true, logits);
        assert_true(is_in_data(w));
        assert_memory_equal(sal_stored_reals(w), kernel, sizeof(kernel));
        sal_model_close(model);
    }
    assert_int_equal(unread, SHIFTS - 1);
}

static void results_depend_on_no_address(void **state)
{
    (void)state;
    static float first[3 * CLASSES], other[3 * CLASSES];
    for (int shift = 0; shift < SHIFTS; shift++)
        for (int plain = 0; plain < 2; plain++) {
            struct sal_model *model = open_model(shift);
            run(model, 1, plain, other);
            run(model, 3, plain, shift || plain ? other : first);
            for (int i = 0; i < 3 * CLASSES && (shift || plain); i++)
                assert_float_equal(other[i], first[i], 1e-5);
            if (shift && !plain)
                assert_memory_equal(other, first, sizeof(first));
            sal_model_close(model);
        }
}

static void what_is_folded_is_read_first(void **state)
{
    (void)state;
    for (int shift = 0; shift < SHIFTS; shift++) {
        struct sal_model *model = open_model(shift);
        const struct sal_tensor *turned = tensor_of(sal_model_graph(model), "turned");
        for (int i = 0; i < CHANNELS * CLASSES; i++)
            assert_true(turned->real[i % CHANNELS * CLASSES + i / CHANNELS] == matrix[i]);
        sal_model_close(model);
    }
}

static void batches_share_constants(void **state)
{
    (void)state;
    struct sal_model *model = open_model(1);
    struct sal_graph graph;
    assert_int_equal(sal_model_build_graph(model, 5, NULL, &graph, NULL), SAL_OK);
    const char *const names[] = {"first", "kernel", "matrix"};
    for (int i = 0; i < 3; i++)
        assert_ptr_equal(tensor_of(&graph, names[i])->data,
                         tensor_of(sal_model_graph(model), names[i])->data);
    assert_int_equal(tensor_of(&graph, "y")->shape.dim[0], 5);
    sal_graph_release(&graph);
    sal_model_close(model);
}

/* What lies in plain memory would be lost. */
static void only_pages_of_files_are_let_go(void **state)
{
    (void)state;
    for (int shift = 0; shift < SHIFTS; shift++) {
        struct onnx_build b;
        struct sal_onnx onnx;
        struct sal_graph graph;
        struct sal_error err = {0};
        build(&b, shift);
        struct sal_span bytes = onnx_build_finish(&b);
        assert_int_equal(sal_onnx_parse(&onnx, bytes, "memory", &err), SAL_OK);
        assert_int_equal(
            sal_graph_build(&graph, &onnx, &(struct sal_graph_options){0}, &err), SAL_OK);
        const struct sal_tensor *w = tensor_of(&graph, "kernel");
        sal_stored_let_go(w);
        assert_memory_equal(sal_stored_reals(w), kernel, sizeof(kernel));
        sal_stored_read(w, NULL);
        assert_true(is_in_data(w));
        sal_graph_release(&graph);
        sal_onnx_close(&onnx);
        onnx_build_release(&b);
    }
}

static void reserved_memory_counts_against_the_limit(void **state)
{
    (void)state;
    struct onnx_build b;
    struct sal_onnx onnx;
    struct sal_graph graph;
    struct sal_error err = {0};
    build(&b, 1);
    assert_int_equal(sal_onnx_parse(&onnx, onnx_build_finish(&b), "memory", &err), SAL_OK);
    assert_int_equal(sal_graph_build(&graph, &onnx,
                                     &(struct sal_graph_options){.memory = 100000}, &err),
                     SAL_LIMIT);
    sal_onnx_close(&onnx);
    onnx_build_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_packed_from_the_file),
        cmocka_unit_test(results_depend_on_no_address),
        cmocka_unit_test(what_is_folded_is_read_first),
        cmocka_unit_test(batches_share_constants),
        cmocka_unit_test(only_pages_of_files_are_let_go),
        cmocka_unit_test(reserved_memory_counts_against_the_limit),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
