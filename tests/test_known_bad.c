/* Exports that are known to be wrong: told as such, and what is right left in peace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "onnx_build.h"
#include "saliscope/model.h"
#include "saliscope/recorded.h"

enum { PRODUCER_VERSION = 3 }; /* field of ModelProto */

static const float zeros[4096];

/* A network that branches after a pool, as a ResNet does, and what one branch has for a
 * bias. Weights are 1x1. */
struct branch {
    const char *bias;        /* name; NULL: none */
    int64_t outputs, values; /* channels of the weight, values of the bias */
};

struct network {
    const char *version; /* of PyTorch */
    const char *x;       /* what both branches read */
    const char *prefix;  /* of node names */
    struct branch a, b;
    bool normalised; /* a BatchNormalization follows each branch */
};

static void add_bias(struct onnx_build *b, const struct branch *branch, bool again)
{
    if (branch->bias && !again)
        onnx_build_weights(b, branch->bias, 1, (int64_t[]){branch->values}, zeros);
}

static void add_branch(struct onnx_build *b, const struct network *n,
                       const struct branch *branch, const char *name)
{
    char inputs[128], weight[32], out[32], node[64];
    snprintf(weight, sizeof(weight), "%s.weight", name);
    snprintf(out, sizeof(out), "%s%s", name, n->normalised ? ".conv" : "");
    snprintf(node, sizeof(node), "%s%s", n->prefix, name);
    snprintf(inputs, sizeof(inputs), "%s,%s%s%s", n->x, weight, branch->bias ? "," : "",
             branch->bias ? branch->bias : "");
    onnx_build_weights(b, weight, 4, (int64_t[]){branch->outputs, 4, 1, 1}, zeros);
    onnx_build_node(b, "Conv", inputs, out);
    onnx_build_name(b, node);
    if (n->normalised) {
        snprintf(inputs, sizeof(inputs), "%s,bn.%s,bn.%s,bn.%s,bn.%s", out, name, name,
                 name, name);
        snprintf(weight, sizeof(weight), "bn.%s", name);
        onnx_build_weights(b, weight, 1, (int64_t[]){branch->outputs}, zeros);
        onnx_build_node(b, "BatchNormalization", inputs, name);
    }
}

static struct sal_span build(struct onnx_build *b, const struct network *n)
{
    char pooled[64];
    onnx_build_init(b, 18);
    b->producer = "pytorch";
    onnx_put_text(&b->model, PRODUCER_VERSION, n->version);
    onnx_build_input(b, "image", SAL_ONNX_FLOAT, 4, (int64_t[]){1, 1, 8, 8});
    onnx_build_weights(b, "w", 4, (int64_t[]){4, 1, 1, 1}, zeros);
    snprintf(pooled, sizeof(pooled), "%s", n->x);
    onnx_build_node(b, "Conv", "image,w", pooled);
    bool same = n->a.bias && n->b.bias && strcmp(n->a.bias, n->b.bias) == 0;
    add_bias(b, &n->a, false);
    add_bias(b, &n->b, same);
    add_branch(b, n, &n->a, "conv1");
    add_branch(b, n, &n->b, "downsample");
    onnx_build_node(b, "Concat", "conv1,downsample", "joined");
    onnx_build_int(b, "axis", 1);
    onnx_build_node(b, "GlobalAveragePool", "joined", "pooled");
    onnx_build_node(b, "Flatten", "pooled", "scores");
    onnx_build_output(b, "scores", SAL_ONNX_FLOAT, -1, NULL);
    return onnx_build_finish(b);
}

/* What opening says of it: the error, or the warnings that name PyTorch. */
static enum sal_status opened(const struct network *n, char *said, size_t capacity)
{
    struct onnx_build b;
    struct sal_span bytes = build(&b, n);
    char path[] = "/tmp/saliscope-XXXXXX";
    struct sal_error err = {0};
    struct sal_model *model = NULL;
    int fd = mkstemp(path), count = 0;
    assert_true(fd >= 0 && write(fd, bytes.data, bytes.size) == (ssize_t)bytes.size);
    close(fd);
    enum sal_status status =
        sal_model_open(&model, path, &(struct sal_model_options){0}, &err);
    snprintf(said, capacity, "%s", status ? err.text : "");
    const char *const *warnings = model ? sal_model_warnings(model, &count) : NULL;
    for (int i = 0; i < count; i++)
        if (strstr(warnings[i], "PyTorch"))
            snprintf(said, capacity, "%s", warnings[i]);
    sal_model_close(model);
    onnx_build_release(&b);
    unlink(path);
    return status;
}

static void assert_says(const char *said, const char *text)
{
    if (!strstr(said, text))
        fail_msg("'%s' does not say '%s'", said, text);
}

static void assert_quiet(const struct network *n)
{
    char said[512];
    assert_int_equal(opened(n, said, sizeof(said)), SAL_OK);
    assert_string_equal(said, "");
}

/* ---- one bias for two layers ------------------------------------------------ */

static void a_bias_lost_by_pytorch_2_9_is_told(void **state)
{
    (void)state;
    char said[512];
    const struct network n = {.version = "2.9.1",
                              .x = "max_pool",
                              .prefix = "node_",
                              .a = {"max_pool_bias", 8, 8},
                              .b = {"max_pool_bias", 8, 8}};
    assert_int_equal(opened(&n, said, sizeof(said)), SAL_OK);
    assert_says(said, "Conv 'node_conv1' and 'node_downsample' share the bias "
                      "'max_pool_bias'");
    assert_says(said, "--verify");
    assert_says(said, "dynamo=False");
}

static void the_pattern_is_told_whoever_wrote_it(void **state)
{
    (void)state;
    char said[512];
    struct network n = {.version = "2.10.0",
                        .x = "max_pool",
                        .prefix = "node_",
                        .a = {"max_pool_bias", 8, 8},
                        .b = {"max_pool_bias", 8, 8}};
    assert_int_equal(opened(&n, said, sizeof(said)), SAL_OK);
    assert_says(said, "share the bias");
    n.a.bias = n.b.bias = "zeros"; /* equal values kept once are no mistake */
    assert_quiet(&n);
    n.version = "2.9.0";
    assert_int_equal(opened(&n, said, sizeof(said)), SAL_OK);
    assert_says(said, "share the bias 'zeros'");
}

static void a_bias_that_does_not_fit_is_explained(void **state)
{
    (void)state;
    char said[512];
    struct network n = {.version = "2.9.0",
                        .x = "max_pool",
                        .prefix = "node_",
                        .a = {"max_pool_bias", 16, 8},
                        .b = {"max_pool_bias", 8, 8}};
    assert_int_equal(opened(&n, said, sizeof(said)), SAL_BAD_INPUT);
    assert_says(said, "Conv 'node_conv1': bias 'max_pool_bias' is 8, weight "
                      "'conv1.weight' is 16x4x1x1, which makes 16 channels");
    assert_says(said, "'node_downsample' has the same bias");
    assert_says(said, "export it again");
    n.a.bias = "other";
    assert_int_equal(opened(&n, said, sizeof(said)), SAL_BAD_INPUT);
    assert_says(said, "bias 'other' is 8, weight 'conv1.weight' is 16x4x1x1");
    assert_says(said, "mixed up two layers");
}

/* ---- PyTorch 2.9 in general ------------------------------------------------- */

static void only_layers_that_read_one_tensor_are_doubtful(void **state)
{
    (void)state;
    char said[512];
    struct network n = {.version = "2.9.0",
                        .x = "max_pool",
                        .prefix = "node_",
                        .a = {"max_pool_bias", 8, 8},
                        .b = {NULL, 8, 8}};
    assert_int_equal(opened(&n, said, sizeof(said)), SAL_OK);
    assert_says(said, "exported by PyTorch 2.9");
    assert_says(said, "Conv 'node_conv1' and 'node_downsample'");
    n.x = "stem";
    n.a.bias = "conv1.weight_bias"; /* and still one that has none */
    assert_int_equal(opened(&n, said, sizeof(said)), SAL_OK);
    assert_says(said, "exported by PyTorch 2.9");
}

static void what_is_whole_is_left_in_peace(void **state)
{
    (void)state;
    struct network n = {.version = "2.9.0",
                        .x = "max_pool",
                        .prefix = "node_",
                        .a = {"conv1.weight_bias", 8, 8},
                        .b = {"downsample.weight_bias", 8, 8}};
    assert_quiet(&n); /* as fixed exporters name them */
    n.a.bias = "conv1.bias";
    n.b.bias = "downsample.bias";
    assert_quiet(&n); /* of convolutions that had one all along */
    n.a.bias = n.b.bias = NULL;
    n.normalised = true;
    assert_quiet(&n); /* nothing was fused */
    n.normalised = false;
    n.prefix = "/layer1/";
    assert_quiet(&n); /* the older exporter */
    n.prefix = "node_";
    n.version = "2.8.0";
    assert_quiet(&n);
    n.version = "2.90.0";
    assert_quiet(&n);
}

/* ---- others ----------------------------------------------------------------- */

static void refuse(struct onnx_build *b, const char *text)
{
    struct sal_error err = {0};
    struct sal_onnx onnx;
    struct sal_recording recording = {0};
    struct sal_agreement agreement;
    const struct sal_recorded_options options = {.any_shape = true};
    enum sal_status status = sal_onnx_parse(&onnx, onnx_build_finish(b), "test", &err);
    if (!status) {
        char path[] = "/tmp/saliscope-XXXXXX";
        struct sal_buffer buffer = {0};
        onnx_put_tensor(&buffer, "", SAL_ONNX_FLOAT, 2, (int64_t[]){2, 4});
        onnx_put_bytes(&buffer, 9, zeros, 8 * sizeof(float));
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, buffer.data, buffer.size), buffer.size);
        close(fd);
        assert_int_equal(sal_recording_add(&recording, &recording.inputs, path, &err),
                         SAL_OK);
        assert_int_equal(sal_recording_add(&recording, &recording.outputs, path, &err),
                         SAL_OK);
        status = sal_recorded_check(&onnx, &recording, &options, &agreement, &err);
        sal_recording_release(&recording);
        sal_onnx_close(&onnx);
        sal_buffer_release(&buffer);
        unlink(path);
    }
    onnx_build_release(b);
    assert_int_equal(status, SAL_BAD_INPUT);
    assert_says(err.text, text);
}

static void two_initialisers_of_one_name_are_refused(void **state)
{
    (void)state;
    struct onnx_build b;
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 2, (int64_t[]){2, 4});
    onnx_build_weights(&b, "w", 1, (int64_t[]){4}, zeros);
    onnx_build_weights(&b, "w", 1, (int64_t[]){4}, zeros);
    onnx_build_node(&b, "Add", "x,w", "y");
    onnx_build_output(&b, "y", SAL_ONNX_FLOAT, -1, NULL);
    refuse(&b, "two initialisers are named 'w': some exporters (PyTorch 2.9)");
}

static void a_bias_that_is_not_there_is_explained(void **state)
{
    (void)state;
    struct onnx_build b;
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 2, (int64_t[]){2, 4});
    onnx_build_node(&b, "Add", "x,max_pool2d_bias_1", "y");
    onnx_build_output(&b, "y", SAL_ONNX_FLOAT, -1, NULL);
    refuse(&b, "node 'y' needs 'max_pool2d_bias_1', which nothing makes: PyTorch's "
               "exporter is known to lose a bias");
}

/* transposed: the weight of Gemm is outputs x inputs. */
static void build_gemm(struct onnx_build *b, int rank, const int64_t *bias)
{
    onnx_build_init(b, 13);
    onnx_build_input(b, "x", SAL_ONNX_FLOAT, 2, (int64_t[]){2, 4});
    onnx_build_weights(b, "fc.weight", 2, (int64_t[]){3, 4}, zeros);
    onnx_build_weights(b, "index_bias", rank, bias, zeros);
    onnx_build_node(b, "Gemm", "x,fc.weight,index_bias", "y");
    onnx_build_int(b, "transB", 1);
    onnx_build_name(b, "fc");
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, -1, NULL);
}

static void a_gemm_with_anothers_bias_is_explained(void **state)
{
    (void)state;
    struct onnx_build b;
    build_gemm(&b, 1, (int64_t[]){5});
    refuse(&b,
           "Gemm 'fc': bias 'index_bias' is 5, weight 'fc.weight' is 3x4, which makes "
           "3 channels: the exporter mixed up two layers");
    build_gemm(&b, 2, (int64_t[]){7, 1}); /* a column, of the wrong height */
    refuse(&b, "its bias is 7x1");
}

static void a_normalisation_of_two_layers_is_explained(void **state)
{
    (void)state;
    struct onnx_build b;
    onnx_build_init(&b, 15);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 2, (int64_t[]){2, 4});
    onnx_build_weights(&b, "scale", 1, (int64_t[]){4}, zeros);
    onnx_build_weights(&b, "mean", 1, (int64_t[]){6}, zeros);
    onnx_build_node(&b, "BatchNormalization", "x,scale,scale,mean,scale", "y");
    onnx_build_name(&b, "bn1");
    onnx_build_output(&b, "y", SAL_ONNX_FLOAT, -1, NULL);
    refuse(&b,
           "BatchNormalization 'bn1': scale 'scale' is 4, mean 'mean' is 6, all four "
           "must be one per channel: the exporter mixed up two layers");
}

/* A hostile file may have very many layers that read the same tensor. */
static void many_siblings_take_no_time(void **state)
{
    (void)state;
    enum { N = 50000 };
    struct onnx_build b;
    struct sal_onnx onnx;
    struct sal_arena arena = {0};
    const char *texts[SAL_SUSPECTS_MAX];
    char inputs[64], out[32];
    onnx_build_init(&b, 18);
    b.producer = "pytorch";
    onnx_put_text(&b.model, PRODUCER_VERSION, "2.9.0");
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 4, (int64_t[]){1, 1, 8, 8});
    onnx_build_weights(&b, "w", 4, (int64_t[]){1, 1, 1, 1}, zeros);
    for (int i = 0; i < N; i++) {
        snprintf(inputs, sizeof(inputs), "x,w,b%d", i);
        snprintf(out, sizeof(out), "b%d", i);
        onnx_build_weights(&b, out, 1, (int64_t[]){1}, zeros);
        snprintf(out, sizeof(out), "y%d", i);
        onnx_build_node(&b, "Conv", inputs, out);
    }
    onnx_build_output(&b, "y0", SAL_ONNX_FLOAT, -1, NULL);
    assert_int_equal(sal_onnx_parse(&onnx, onnx_build_finish(&b), "test", NULL),
                     SAL_OK);
    assert_int_equal(sal_known_bad(&onnx, &arena, texts), 0);
    sal_arena_release(&arena);
    sal_onnx_close(&onnx);
    onnx_build_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bias_lost_by_pytorch_2_9_is_told),
        cmocka_unit_test(the_pattern_is_told_whoever_wrote_it),
        cmocka_unit_test(a_bias_that_does_not_fit_is_explained),
        cmocka_unit_test(only_layers_that_read_one_tensor_are_doubtful),
        cmocka_unit_test(what_is_whole_is_left_in_peace),
        cmocka_unit_test(two_initialisers_of_one_name_are_refused),
        cmocka_unit_test(a_bias_that_is_not_there_is_explained),
        cmocka_unit_test(a_gemm_with_anothers_bias_is_explained),
        cmocka_unit_test(a_normalisation_of_two_layers_is_explained),
        cmocka_unit_test(many_siblings_take_no_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
