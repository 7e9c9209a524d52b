/* Recorded inputs and outputs: what is read, what agrees, what does not and why. */
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
#include "saliscope/npy.h"
#include "saliscope/recorded.h"

enum { PATH_SIZE = 512 };

/* A model, its recording, and the folder that holds the files. */
struct fixture {
    struct onnx_build build;
    struct sal_onnx onnx;
    struct sal_recording recording;
    struct sal_recorded_options options;
    struct sal_agreement agreement[2];
    struct sal_error err;
    char folder[32];
    char path[PATH_SIZE];
};

/* y = x + w over four values, unless the test builds more. */
static void begin(struct fixture *f, int type)
{
    memset(f, 0, sizeof(*f));
    strcpy(f->folder, "/tmp/saliscope-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    f->options.tolerance = sal_tolerance_onnx;
    onnx_build_init(&f->build, 13);
    onnx_build_input(&f->build, "x", type, 2, (int64_t[]){-1, 4});
}

static void describe(struct fixture *f)
{
    struct sal_span bytes = onnx_build_finish(&f->build);
    assert_int_equal(sal_onnx_parse(&f->onnx, bytes, "test", &f->err), SAL_OK);
}

static void begin_identity(struct fixture *f, int type)
{
    begin(f, type);
    onnx_build_node(&f->build, "Identity", "x", "y");
    onnx_build_output(&f->build, "y", type, -1, NULL);
    describe(f);
}

static void end(struct fixture *f)
{
    char command[64];
    sal_recording_release(&f->recording);
    sal_onnx_close(&f->onnx);
    onnx_build_release(&f->build);
    snprintf(command, sizeof(command), "rm -r '%s'", f->folder);
    assert_int_equal(system(command), 0);
}

/* ---- files ------------------------------------------------------------------ */

static const char *write_file(struct fixture *f, const char *name,
                              struct sal_buffer *buffer)
{
    snprintf(f->path, sizeof(f->path), "%s/%s", f->folder, name);
    assert_int_equal(sal_file_write(f->path, buffer->data, buffer->size, &f->err),
                     SAL_OK);
    sal_buffer_release(buffer);
    return f->path;
}

static const char *write_pb(struct fixture *f, const char *name, int type, int rank,
                            const int64_t *dims, const void *data, size_t size)
{
    struct sal_buffer buffer = {0};
    onnx_put_tensor(&buffer, "", type, rank, dims);
    onnx_put_bytes(&buffer, 9, data, size);
    return write_file(f, name, &buffer);
}

static const char *write_npy(struct fixture *f, const char *name, int rank,
                             const int64_t *dims, const float *data)
{
    struct sal_buffer buffer = {0};
    sal_npy_encode(&buffer, data, dims, rank);
    return write_file(f, name, &buffer);
}

static void add(struct fixture *f, struct sal_recorded_list *list, const char *path)
{
    assert_int_equal(sal_recording_add(&f->recording, list, path, &f->err), SAL_OK);
}

#define ROW ((int64_t[]){1, 4})

static void record(struct fixture *f, int type, const void *in, const void *out,
                   size_t size)
{
    add(f, &f->recording.inputs, write_pb(f, "in.pb", type, 2, ROW, in, size));
    add(f, &f->recording.outputs, write_pb(f, "out.pb", type, 2, ROW, out, size));
}

static enum sal_status check(struct fixture *f)
{
    return sal_recorded_check(&f->onnx, &f->recording, &f->options, f->agreement,
                              &f->err);
}

static void assert_said(const struct fixture *f, const char *text)
{
    if (!strstr(f->err.text, text))
        fail_msg("'%s' does not say '%s'", f->err.text, text);
}

/* What comes of one float recorded for 1, 2, 3, x, where 1, 2, 3, y is computed. */
static enum sal_status with_last(float computed, float recorded,
                                 struct sal_tolerance tolerance,
                                 struct sal_agreement *agreement)
{
    struct fixture f;
    begin_identity(&f, SAL_ONNX_FLOAT);
    f.options.tolerance = tolerance;
    float in[] = {1, 2, 300, computed}, out[] = {1, 2, 300, recorded};
    record(&f, SAL_ONNX_FLOAT, in, out, sizeof(in));
    enum sal_status status = check(&f);
    *agreement = f.agreement[0];
    agreement->name = "";
    end(&f);
    return status;
}

/* ---- agreeing --------------------------------------------------------------- */

static void equal_values_agree(void **state)
{
    (void)state;
    struct fixture f;
    begin_identity(&f, SAL_ONNX_FLOAT);
    const float x[] = {1, -2, 0, 1e30f};
    record(&f, SAL_ONNX_FLOAT, x, x, sizeof(x));
    assert_int_equal(check(&f), SAL_OK);
    assert_true(f.agreement[0].agrees);
    assert_string_equal(f.agreement[0].name, "y");
    assert_true(f.agreement[0].max_abs == 0 && f.agreement[0].max_rel == 0);
    assert_int_equal(f.agreement[0].shape.dim[1], 4);
    end(&f);
}

static void the_tolerance_is_what_it_says(void **state)
{
    (void)state;
    struct sal_agreement a;
    const struct sal_tolerance relative = {.relative = 0.5};
    const struct sal_tolerance absolute = {.absolute = 0.5};
    const struct sal_tolerance largest = {.of_largest = 0.01};
    assert_int_equal(with_last(15, 10, relative, &a), SAL_OK);
    assert_int_equal(with_last(15.1f, 10, relative, &a), SAL_NO);
    assert_int_equal(with_last(4.9f, 10, relative, &a), SAL_NO);
    assert_int_equal(with_last(0.5f, 0, absolute, &a), SAL_OK);
    assert_int_equal(with_last(0.51f, 0, absolute, &a), SAL_NO);
    assert_int_equal(with_last(3, 0, largest, &a), SAL_OK);
    assert_int_equal(with_last(3.1f, 0, largest, &a), SAL_NO);
    assert_int_equal(with_last(1.0011f, 1, sal_tolerance_onnx, &a), SAL_NO);
    assert_int_equal(with_last(1.0009f, 1, sal_tolerance_onnx, &a), SAL_OK);
    assert_int_equal(with_last(1e-4f, 0, sal_tolerance_onnx, &a), SAL_NO);
    assert_int_equal(with_last(1e-4f, 0, sal_tolerance_scores, &a), SAL_OK);
}

static void what_differs_is_measured_and_named(void **state)
{
    (void)state;
    struct sal_agreement a;
    assert_int_equal(with_last(7, 4, sal_tolerance_onnx, &a), SAL_NO);
    assert_false(a.agrees);
    assert_int_equal(a.beyond, 1);
    assert_true(a.max_abs == 3 && a.max_rel == 0.01);
    assert_string_equal(a.text, "1 of 4 elements differ; [3] is 7, recorded is 4");
}

static void numbers_that_are_not_finite_must_be_the_same(void **state)
{
    (void)state;
    struct sal_agreement a;
    const float nan = (float)NAN, inf = (float)INFINITY;
    const struct sal_tolerance t = {.relative = 1, .absolute = 1e30};
    assert_int_equal(with_last(nan, nan, t, &a), SAL_OK);
    assert_int_equal(with_last(inf, inf, t, &a), SAL_OK);
    assert_int_equal(with_last(nan, 1, t, &a), SAL_NO);
    assert_true(isnan(a.max_abs));
    assert_int_equal(with_last(1, nan, t, &a), SAL_NO);
    assert_int_equal(with_last(inf, -inf, t, &a), SAL_NO);
    assert_int_equal(with_last(inf, 1, t, &a), SAL_NO);
    assert_int_equal(with_last(1, inf, t, &a), SAL_NO);
}

static void integers_must_be_equal(void **state)
{
    (void)state;
    struct fixture f;
    begin_identity(&f, SAL_ONNX_INT64);
    f.options.tolerance.relative = 1;
    const int64_t in[] = {1, 2, 3, INT64_MAX}, out[] = {1, 2, 3, INT64_MAX - 1};
    record(&f, SAL_ONNX_INT64, in, in, sizeof(in));
    assert_int_equal(check(&f), SAL_OK);
    f.recording.outputs.n = 0;
    add(&f, &f.recording.outputs,
        write_pb(&f, "other.pb", SAL_ONNX_INT64, 2, ROW, out, sizeof(out)));
    assert_int_equal(check(&f), SAL_NO); /* a double does not tell these two apart */
    end(&f);
}

static void a_bfloat16_kept_as_uint16_is_one(void **state)
{
    (void)state;
    struct fixture f;
    begin_identity(&f, SAL_ONNX_BFLOAT16);
    const uint16_t in[] = {0x3f80, 0x4000, 0, 0x4040},
                   out[] = {0x3f81, 0x4000, 0, 0x4040};
    record(&f, SAL_ONNX_UINT16, in, out, sizeof(in)); /* one step of 1 off */
    assert_int_equal(check(&f), SAL_OK);
    assert_true(f.agreement[0].tolerance.relative > 1e-3);
    end(&f);
}

/* ---- what cannot be compared ------------------------------------------------ */

static void numbers_of_files_must_fit(void **state)
{
    (void)state;
    struct fixture f;
    begin_identity(&f, SAL_ONNX_FLOAT);
    const float x[4] = {0};
    assert_int_equal(check(&f), SAL_USAGE);
    record(&f, SAL_ONNX_FLOAT, x, x, sizeof(x));
    add(&f, &f.recording.outputs, f.path);
    assert_int_equal(check(&f), SAL_USAGE);
    assert_said(&f,
                "the model has 1 input and 1 output; 1 recorded input and 2 outputs");
    end(&f);
}

static void an_input_of_another_shape_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    begin_identity(&f, SAL_ONNX_FLOAT);
    const float x[15] = {0};
    add(&f, &f.recording.inputs, write_npy(&f, "in.npy", 2, (int64_t[]){3, 5}, x));
    add(&f, &f.recording.outputs, write_npy(&f, "out.npy", 2, (int64_t[]){3, 5}, x));
    assert_int_equal(check(&f), SAL_BAD_INPUT);
    assert_said(&f, "is 3x5, input 'x' is -1x4");
    f.options.any_shape = true;
    assert_int_equal(check(&f), SAL_OK);
    end(&f);
}

static void an_input_of_another_kind_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    begin_identity(&f, SAL_ONNX_FLOAT);
    const int64_t x[4] = {0};
    record(&f, SAL_ONNX_INT64, x, x, sizeof(x));
    assert_int_equal(check(&f), SAL_BAD_INPUT);
    assert_said(&f, "holds int64, input 'x' is float32");
    end(&f);
}

static void an_output_of_another_type_or_shape_differs(void **state)
{
    (void)state;
    struct fixture f;
    begin_identity(&f, SAL_ONNX_FLOAT);
    const double x[4] = {0};
    record(&f, SAL_ONNX_FLOAT, x, x, 4 * sizeof(float));
    f.recording.outputs.n = 0;
    add(&f, &f.recording.outputs,
        write_pb(&f, "d.pb", SAL_ONNX_DOUBLE, 2, ROW, x, sizeof(x)));
    assert_int_equal(check(&f), SAL_NO);
    assert_said(&f, "it is float32, recorded is float64");
    assert_true(isnan(f.agreement[0].max_abs));
    f.recording.outputs.n = 0;
    add(&f, &f.recording.outputs,
        write_pb(&f, "s.pb", SAL_ONNX_FLOAT, 1, (int64_t[]){4}, x, 4 * sizeof(float)));
    assert_int_equal(check(&f), SAL_NO);
    assert_said(&f, "it is 1x4, recorded is 4");
    end(&f);
}

static void an_array_of_numpy_may_stand_for_any_float(void **state)
{
    (void)state;
    struct fixture f;
    begin_identity(&f, SAL_ONNX_FLOAT16);
    const float x[] = {1, 2, 3, 4};
    add(&f, &f.recording.inputs, write_npy(&f, "in.npy", 2, ROW, x));
    add(&f, &f.recording.outputs, write_npy(&f, "out.npy", 2, ROW, x));
    assert_int_equal(check(&f), SAL_OK);
    assert_int_equal(f.agreement[0].type, SAL_ONNX_FLOAT16);
    end(&f);
}

/* ---- shapes that hang on values --------------------------------------------- */

static void an_input_may_be_a_constant_of_the_graph(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, SAL_ONNX_FLOAT);
    onnx_build_input(&f.build, "shape", SAL_ONNX_INT64, 1, (int64_t[]){1});
    onnx_build_node(&f.build, "Reshape", "x,shape", "y");
    onnx_build_output(&f.build, "y", SAL_ONNX_FLOAT, -1, NULL);
    describe(&f);
    const float x[] = {1, 2, 3, 4};
    const int64_t shape[] = {4};
    add(&f, &f.recording.inputs, write_npy(&f, "x.npy", 2, ROW, x));
    add(&f, &f.recording.inputs,
        write_pb(&f, "s.pb", SAL_ONNX_INT64, 1, (int64_t[]){1}, shape, sizeof(shape)));
    add(&f, &f.recording.outputs, write_npy(&f, "y.npy", 1, (int64_t[]){4}, x));
    assert_int_equal(check(&f), SAL_UNSUPPORTED);
    f.options.constant = (const bool[]){false, true};
    assert_int_equal(check(&f), SAL_OK);
    f.options.constant = (const bool[]){true, true};
    assert_int_equal(check(&f), SAL_OK);
    end(&f);
}

/* ---- folders and files ------------------------------------------------------ */

static void a_folder_is_read_in_order(void **state)
{
    (void)state;
    struct fixture f;
    begin_identity(&f, SAL_ONNX_FLOAT);
    const float x[] = {1, 2, 3, 4};
    write_npy(&f, "input_0.npy", 2, ROW, x);
    assert_int_equal(sal_recording_add_folder(&f.recording, f.folder, &f.err),
                     SAL_BAD_INPUT);
    assert_said(&f, "output_0");
    write_pb(&f, "output_0.pb", SAL_ONNX_FLOAT, 2, ROW, x, sizeof(x));
    write_npy(&f, "output_2.npy", 2, ROW, x); /* behind a gap: not part of it */
    assert_int_equal(sal_recording_add_folder(&f.recording, f.folder, &f.err), SAL_OK);
    assert_int_equal(f.recording.inputs.n, 1);
    assert_int_equal(f.recording.outputs.n, 1);
    assert_int_equal(check(&f), SAL_OK);
    end(&f);
}

static void a_file_that_is_not_a_tensor_is_refused_by_name(void **state)
{
    (void)state;
    struct fixture f;
    begin_identity(&f, SAL_ONNX_FLOAT);
    static const char *const texts[] = {"not a tensor", "\x93NUMPY and no more",
                                        "\x0a\xff\xff\xff\xff"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct sal_buffer buffer = {0};
        sal_buffer_append(&buffer, texts[i], strlen(texts[i]));
        const char *path = write_file(&f, "bad.pb", &buffer);
        assert_int_equal(
            sal_recording_add(&f.recording, &f.recording.inputs, path, &f.err),
            SAL_BAD_INPUT);
        assert_said(&f, "bad.pb");
    }
    assert_int_equal(
        sal_recording_add(&f.recording, &f.recording.inputs, "/none/a.pb", &f.err),
        SAL_BAD_INPUT);
    assert_int_equal(f.recording.inputs.n, 0);
    end(&f);
}

static void more_files_than_are_kept_are_refused(void **state)
{
    (void)state;
    struct fixture f;
    begin_identity(&f, SAL_ONNX_FLOAT);
    const float x[4] = {0};
    const char *path = write_npy(&f, "x.npy", 2, ROW, x);
    for (int i = 0; i < SAL_RECORDED_MAX; i++) {
        add(&f, &f.recording.inputs, path);
        add(&f, &f.recording.outputs, path);
    }
    assert_int_equal(sal_recording_add(&f.recording, &f.recording.inputs, path, &f.err),
                     SAL_LIMIT);
    assert_int_equal(check(&f), SAL_USAGE);
    end(&f);
}

/* ---- real models ------------------------------------------------------------ */

static void open_shared(struct fixture *f, const char *relative)
{
    char path[PATH_SIZE];
    begin_identity(f, SAL_ONNX_FLOAT);
    if (!shared_data(relative, path, sizeof(path))) {
        end(f);
        skip();
    }
    sal_onnx_close(&f->onnx);
    assert_int_equal(sal_onnx_open(&f->onnx, path, &f->err), SAL_OK);
    f->options.tolerance = sal_tolerance_scores;
}

static void mnist_agrees_with_its_official_vectors(void **state)
{
    (void)state;
    for (int set = 0; set <= 2; set += 2) {
        struct fixture f;
        char relative[PATH_SIZE], path[PATH_SIZE];
        open_shared(&f, "models/mnist_cntk.onnx");
        snprintf(relative, sizeof(relative), "models/mnist_cntk_test_data_set_%d", set);
        assert_true(shared_data(relative, path, sizeof(path)));
        assert_int_equal(sal_recording_add_folder(&f.recording, path, &f.err), SAL_OK);
        assert_int_equal(check(&f), SAL_OK);
        assert_true(f.agreement[0].max_rel <= 1e-6);
        end(&f);
    }
}

/* Their input is arange(n) / n, which is not kept as a file. */
static void light_topologies_agree_with_their_records(void **state)
{
    (void)state;
    enum { N = 3 * 224 * 224 };
    static const char *const names[] = {"squeezenet", "densenet121"};
    float *x = malloc(N * sizeof(*x));
    assert_non_null(x);
    for (int i = 0; i < N; i++)
        x[i] = (float)i / N;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        struct fixture f;
        char relative[PATH_SIZE], path[PATH_SIZE];
        snprintf(relative, sizeof(relative), "models/onnx_light/light_%s.onnx",
                 names[i]);
        if (!shared_data(relative, path, sizeof(path)))
            free(x);
        open_shared(&f, relative);
        add(&f, &f.recording.inputs,
            write_npy(&f, "in.npy", 4, (int64_t[]){1, 3, 224, 224}, x));
        snprintf(relative, sizeof(relative), "models/onnx_light/light_%s_output_0.pb",
                 names[i]);
        assert_true(shared_data(relative, path, sizeof(path)));
        add(&f, &f.recording.outputs, path);
        assert_int_equal(check(&f), SAL_OK);
        end(&f);
    }
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_values_agree),
        cmocka_unit_test(the_tolerance_is_what_it_says),
        cmocka_unit_test(what_differs_is_measured_and_named),
        cmocka_unit_test(numbers_that_are_not_finite_must_be_the_same),
        cmocka_unit_test(integers_must_be_equal),
        cmocka_unit_test(a_bfloat16_kept_as_uint16_is_one),
        cmocka_unit_test(numbers_of_files_must_fit),
        cmocka_unit_test(an_input_of_another_shape_is_refused),
        cmocka_unit_test(an_input_of_another_kind_is_refused),
        cmocka_unit_test(an_output_of_another_type_or_shape_differs),
        cmocka_unit_test(an_array_of_numpy_may_stand_for_any_float),
        cmocka_unit_test(an_input_may_be_a_constant_of_the_graph),
        cmocka_unit_test(a_folder_is_read_in_order),
        cmocka_unit_test(a_file_that_is_not_a_tensor_is_refused_by_name),
        cmocka_unit_test(more_files_than_are_kept_are_refused),
        cmocka_unit_test(mnist_agrees_with_its_official_vectors),
        cmocka_unit_test(light_topologies_agree_with_their_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
