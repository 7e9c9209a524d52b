#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data.h"
#include "onnx_build.h"
#include "onnx_read.h"

static const int64_t one[] = {1};

static enum sal_status parse(struct onnx_build *b, struct sal_onnx *onnx,
                             struct sal_error *err)
{
    struct sal_span bytes = onnx_build_finish(b);
    assert_non_null(bytes.data);
    return sal_onnx_parse(onnx, bytes, "t.onnx", err);
}

/* Refused with that status and a message that holds text; releases b. */
static void assert_refused(struct onnx_build *b, enum sal_status status, const char *text)
{
    struct sal_onnx onnx;
    struct sal_error err = {0};
    assert_int_equal(parse(b, &onnx, &err), status);
    if (!strstr(err.text, text))
        fail_msg("'%s' is not in '%s'", text, err.text);
    assert_memory_equal(err.text, "t.onnx: ", 8);
    onnx_build_release(b);
}

/* x -> Relu -> y; ready for more. */
static void begin(struct onnx_build *b)
{
    onnx_build_init(b, 13);
    onnx_build_input(b, "x", SAL_ONNX_FLOAT, 4, (int64_t[]){-1, 3, 8, 8});
    onnx_build_node(b, "Relu", "x", "y");
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, -1, NULL);
}

/* A bit of everything. */
static void build_sample(struct onnx_build *b)
{
    float w[5 * 3 * 3 * 3] = {1}, bias[5] = {0};
    onnx_build_init(b, 13);
    onnx_build_opset(b, "com.example", 1);
    onnx_build_property(b, "names", "{0: 'a'}");
    onnx_build_input(b, "x", SAL_ONNX_FLOAT, 4, (int64_t[]){-1, 3, 8, 8});
    onnx_build_input(b, "w", SAL_ONNX_FLOAT, 4, (int64_t[]){5, 3, 3, 3});
    onnx_build_weights(b, "w", 4, (int64_t[]){5, 3, 3, 3}, w);
    onnx_build_weights(b, "b", 1, (int64_t[]){5}, bias);
    onnx_build_node(b, "Conv", "x,w,b", "c");
    onnx_build_name(b, "conv1");
    onnx_build_ints(b, "strides", 2, (int64_t[]){2, 1});
    onnx_build_string(b, "auto_pad", "SAME_UPPER");
    onnx_build_node(b, "Clip", "c,,", "d");
    onnx_build_domain(b, "ai.onnx");
    onnx_build_node(b, "Custom", "d", "y");
    onnx_build_domain(b, "com.example");
    onnx_build_float(b, "f", 0.5f);
    onnx_build_int(b, "i", -3);
    onnx_build_floats(b, "fs", 3, (float[]){1, 2, 3});
    onnx_build_strings(b, "ss", 2, (const char *[]){"p", "q"});
    onnx_build_tensor(b, "t", SAL_ONNX_FLOAT, 1, (int64_t[]){5}, bias, sizeof bias);
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, 2, (int64_t[]){-1, 5});
}

static void a_model_is_read_back_as_it_was_written(void **state)
{
    (void)state;
    struct onnx_build b;
    struct sal_onnx onnx;
    struct sal_error err = {0};
    build_sample(&b);
    if (parse(&b, &onnx, &err) != SAL_OK)
        fail_msg("%s", err.text);
    const struct sal_onnx_graph *graph = &onnx.graph;
    assert_int_equal(onnx.ir_version, 8);
    assert_int_equal(onnx.opset, 13);
    assert_int_equal(onnx.n_opsets, 2);
    assert_string_equal(onnx.producer, "test");
    assert_string_equal(onnx.producer_version, "");
    assert_int_equal(onnx.n_properties, 1);
    assert_string_equal(onnx.properties[0].value, "{0: 'a'}");
    assert_int_equal(graph->n_inputs, 1);
    assert_string_equal(graph->inputs[0].name, "x");
    assert_int_equal(graph->inputs[0].rank, 4);
    assert_int_equal(graph->inputs[0].dim[0], -1);
    assert_int_equal(graph->inputs[0].dim[3], 8);
    assert_int_equal(graph->n_initialisers, 2);
    assert_int_equal(graph->initialisers[0].count, 135);
    assert_int_equal(graph->n_nodes, 3);

    const struct sal_onnx_node *conv = &graph->nodes[0];
    assert_string_equal(conv->op, "Conv");
    assert_string_equal(conv->name, "conv1");
    assert_int_equal(conv->n_inputs, 3);
    assert_string_equal(conv->inputs[2], "b");
    const struct sal_onnx_attr *strides = sal_onnx_node_attr(conv, "strides");
    assert_non_null(strides);
    assert_int_equal(strides->n, 2);
    assert_int_equal(strides->ints[0], 2);
    assert_string_equal(sal_onnx_node_attr(conv, "auto_pad")->s, "SAME_UPPER");
    assert_int_equal(sal_onnx_node_attr(conv, "auto_pad")->s_size, 10);
    assert_null(sal_onnx_node_attr(conv, "pads"));

    assert_int_equal(graph->nodes[1].n_inputs, 3);
    assert_string_equal(graph->nodes[1].inputs[1], "");
    assert_string_equal(graph->nodes[1].domain, "");

    const struct sal_onnx_node *custom = &graph->nodes[2];
    assert_string_equal(custom->domain, "com.example");
    assert_true(sal_onnx_node_attr(custom, "f")->f == 0.5f);
    assert_int_equal(sal_onnx_node_attr(custom, "i")->i, -3);
    assert_true(sal_onnx_node_attr(custom, "fs")->floats[2] == 3.0f);
    assert_string_equal(sal_onnx_node_attr(custom, "ss")->strings[1], "q");
    assert_int_equal(sal_onnx_node_attr(custom, "t")->tensor->count, 5);
    sal_onnx_close(&onnx);
    onnx_build_release(&b);
}

static void the_hash_is_of_the_file(void **state)
{
    (void)state;
    struct sal_onnx onnx;
    struct onnx_build b;
    begin(&b);
    assert_int_equal(parse(&b, &onnx, NULL), SAL_OK);
    assert_string_equal(onnx.sha256, "");
    sal_onnx_hash(&onnx);
    assert_int_equal(strlen(onnx.sha256), 64);
    sal_onnx_close(&onnx);
    onnx_build_release(&b);
}

/* ---- real models; numbers counted by onnx's own Python package ---- */

static const struct counted {
    const char *file;
    int ir, opset, nodes, initialisers, attrs, elements;
    const char *input, *output;
    double sum; /* of all real initialisers */
} models[] = {
    {"models/SqueezeNet_fp16.onnx", 3, 7, 66, 52, 96, 1235496, "data_0", "softmaxout_1",
     1223.8778478503227},
    {"models/cifar10_ImageClassifier.onnx", 6, 10, 12, 10, 28, 50182, "modelInput",
     "modelOutput", -716.93749008656391},
    {"models/edgepneumonet_logit.onnx", 7, 13, 100, 106, 264, 2208097, "input", "logit",
     -3307.3925101175264},
    {"models/mnist_cntk.onnx", 3, 8, 12, 8, 18, 5998, "Input3", "Plus214_Output_0",
     -106.24087210969265},
    {"models/mnist_dianna.onnx", 6, 11, 15, 9, 29, 63523, "input", "output",
     -115.82961219702759},
    {"models/mobilenet_v2_1.0_224.onnx", 7, 10, 101, 106, 284, 3489097, "input",
     "n065_softmax_flat", 3699.7913140140008},
    {"models/onnx_light/light_bvlc_alexnet.onnx", 3, 9, 40, 17, 56, 36, "data_0", "prob_1", 0},
    {"models/onnx_light/light_densenet121.onnx", 3, 9, 1746, 848, 1632, 1967, "data_0",
     "fc6_1", 425.0424991891656},
    {"models/onnx_light/light_inception_v1.onnx", 3, 9, 237, 118, 325, 1343, "data_0",
     "prob_1", 483.68506129167508},
    {"models/onnx_light/light_resnet50.onnx", 3, 9, 415, 269, 453, 2194, "gpu_0/data_0",
     "gpu_0/softmax_1", 1211.6801638483594},
    {"models/onnx_light/light_squeezenet.onnx", 3, 9, 105, 52, 135, 757, "data_0",
     "softmaxout_1", 14.63728954000544},
    {"models/onnx_light/light_vgg19.onnx", 3, 9, 82, 39, 104, 217, "data_0", "prob_1",
     32.650134848430753},
    {"models/onnx_light/light_zfnet512.onnx", 3, 9, 38, 18, 51, 37, "gpu_0/data_0",
     "gpu_0/softmax_1", 0},
    {"models/squeezenet1_0_deepcomp.onnx", 6, 11, 65, 52, 151, 1248424, "data", "logits",
     -2421.507268368207},
    {"models/squeezenet1_1_fp32.onnx", 3, 7, 66, 52, 96, 1235496, "data_0", "softmaxout_1",
     1223.8778478503227},
    {"models/tm_cxr3.onnx", 7, 13, 155, 265, 264, 538610, "input", "probs",
     57928.29457143457},
};

static double sum_of(const struct sal_onnx_tensor *tensor)
{
    double sum = 0, *values = calloc(tensor->count + 1, sizeof *values);
    assert_non_null(values);
    if (sal_onnx_tensor_read_double(tensor, values, NULL) == SAL_OK) {
        for (size_t i = 0; i < tensor->count; i++)
            sum += values[i];
    }
    free(values);
    return sum;
}

static void assert_counts(const struct counted *expected, const struct sal_onnx *onnx)
{
    const struct sal_onnx_graph *graph = &onnx->graph;
    assert_int_equal(onnx->ir_version, expected->ir);
    assert_int_equal(onnx->opset, expected->opset);
    assert_int_equal(graph->n_nodes, expected->nodes);
    assert_int_equal(graph->n_initialisers, expected->initialisers);
    assert_int_equal(graph->n_inputs, 1);
    assert_string_equal(graph->inputs[0].name, expected->input);
    assert_int_equal(graph->inputs[0].rank, 4);
    assert_string_equal(graph->outputs[0].name, expected->output);
    int attrs = 0;
    for (int i = 0; i < graph->n_nodes; i++)
        attrs += graph->nodes[i].n_attrs;
    assert_int_equal(attrs, expected->attrs);
    size_t elements = 0;
    double sum = 0;
    for (int i = 0; i < graph->n_initialisers; i++) {
        elements += graph->initialisers[i].count;
        sum += sum_of(&graph->initialisers[i]);
    }
    assert_int_equal(elements, expected->elements);
    assert_true(fabs(sum - expected->sum) <= 1e-9 * (1 + fabs(expected->sum)));
}

static void real_models_open_with_the_counts_of_the_reference(void **state)
{
    (void)state;
    int opened = 0;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        char path[4096];
        struct sal_onnx onnx;
        struct sal_error err;
        if (!shared_data(models[i].file, path, sizeof path))
            continue;
        if (sal_onnx_open(&onnx, path, &err) != SAL_OK)
            fail_msg("%s", err.text);
        assert_counts(&models[i], &onnx);
        sal_onnx_close(&onnx);
        opened++;
    }
    if (!opened)
        skip();
}

/* ---- damage ---- */

static void every_truncation_is_refused_or_whole(void **state)
{
    (void)state;
    struct onnx_build b;
    build_sample(&b);
    struct sal_span whole = onnx_build_finish(&b);
    for (size_t size = 0; size < whole.size; size++) {
        uint8_t *bytes = malloc(size + 1); /* its own block: reads past it show */
        struct sal_onnx onnx;
        struct sal_error err = {0};
        memcpy(bytes, whole.data, size);
        enum sal_status status = sal_onnx_parse(&onnx, (struct sal_span){bytes, size}, "t", &err);
        if (status == SAL_OK)
            sal_onnx_close(&onnx);
        else
            assert_true(err.status == status && *err.text);
        free(bytes);
    }
    onnx_build_release(&b);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Reads whatever was accepted, as its users would. */
static void use(const struct sal_onnx *onnx)
{
    for (int i = 0; i < onnx->graph.n_initialisers; i++) {
        const struct sal_onnx_tensor *tensor = &onnx->graph.initialisers[i];
        if (tensor->count > 100000)
            continue;
        double *values = calloc(tensor->count + 1, sizeof *values);
        sal_onnx_tensor_read_double(tensor, values, NULL);
        sal_onnx_tensor_read_int(tensor, (int64_t *)(void *)values, NULL);
        free(values);
    }
}

static void flipped_bits_never_hurt(void **state)
{
    (void)state;
    struct onnx_build b;
    build_sample(&b);
    struct sal_span whole = onnx_build_finish(&b);
    uint8_t *bytes = malloc(whole.size);
    uint64_t seed = 20240607;
    int accepted = 0, refused = 0;
    for (int round = 0; round < 20000; round++) {
        memcpy(bytes, whole.data, whole.size);
        for (int k = 0; k <= round % 4; k++) {
            uint64_t r = next_random(&seed);
            bytes[(r >> 8) % whole.size] ^= (uint8_t)(1u << (r & 7));
        }
        struct sal_onnx onnx;
        struct sal_error err = {0};
        if (sal_onnx_parse(&onnx, (struct sal_span){bytes, whole.size}, "t", &err) == SAL_OK) {
            accepted++;
            use(&onnx);
            sal_onnx_close(&onnx);
        } else {
            refused++;
            assert_true(err.status != SAL_OK && *err.text);
        }
    }
    assert_true(accepted > 0 && refused > 0);
    free(bytes);
    onnx_build_release(&b);
}

static void other_files_are_told_apart(void **state)
{
    (void)state;
    struct sal_onnx onnx;
    struct sal_error err;
    static const char lfs[] = "version https://git-lfs.github.com/spec/v1\noid sha256:0\n";
    struct sal_span bytes = {(const uint8_t *)lfs, sizeof lfs - 1};
    assert_int_equal(sal_onnx_parse(&onnx, bytes, "m.onnx", &err), SAL_BAD_INPUT);
    assert_non_null(strstr(err.text, "Git LFS"));
    static const char png[] = "\x89PNG\r\n\x1a\n";
    bytes = (struct sal_span){(const uint8_t *)png, sizeof png - 1};
    assert_int_equal(sal_onnx_parse(&onnx, bytes, "m.onnx", &err), SAL_BAD_INPUT);
    assert_int_equal(sal_onnx_parse(&onnx, (struct sal_span){NULL, 0}, "m.onnx", &err),
                     SAL_BAD_INPUT);
    assert_int_equal(sal_onnx_open(&onnx, "/nonexistent/m.onnx", &err), SAL_BAD_INPUT);
}

/* Graph in attribute in node in graph..., written inside out. */
static void nest(struct sal_buffer *out, int depth)
{
    uint8_t *reversed = malloc((size_t)depth * 40);
    size_t size = 0;
    for (int i = 0; i < depth; i++) {
        static const uint8_t tags[] = {0x32, 0x2a, 0x0a}; /* g, attribute, node */
        for (int k = 0; k < 3; k++) {
            uint8_t length[10];
            size_t n = 0;
            for (uint64_t v = size; n == 0 || v; v >>= 7)
                length[n++] = (uint8_t)((v & 127) | (v > 127 ? 128 : 0));
            for (size_t j = n; j > 0; j--)
                reversed[size++] = length[j - 1];
            reversed[size++] = tags[k];
        }
    }
    for (size_t i = 0; i < size / 2; i++) {
        uint8_t swap = reversed[i];
        reversed[i] = reversed[size - 1 - i];
        reversed[size - 1 - i] = swap;
    }
    onnx_put_int(out, 1, 8);
    onnx_put_bytes(out, 7, reversed, size);
    free(reversed);
}

static void graphs_nested_20000_deep_are_refused(void **state)
{
    (void)state;
    struct sal_buffer bytes = {0};
    struct sal_onnx onnx;
    struct sal_error err;
    nest(&bytes, 20000);
    assert_int_equal(sal_onnx_parse(&onnx, (struct sal_span){bytes.data, bytes.size}, "t", &err),
                     SAL_BAD_INPUT);
    assert_non_null(strstr(err.text, "nested"));
    sal_buffer_release(&bytes);
}

static void graphs_nest_as_deep_as_stated(void **state)
{
    (void)state;
    for (int depth = 7; depth <= 8; depth++) {
        struct onnx_build inner;
        struct sal_onnx onnx;
        begin(&inner);
        for (int i = 0; i < depth; i++) {
            struct onnx_build outer;
            begin(&outer);
            onnx_build_node(&outer, "If", "y", "z");
            onnx_build_graph(&outer, "then_branch", onnx_build_finish_graph(&inner));
            onnx_build_release(&inner);
            inner = outer;
        }
        enum sal_status status = parse(&inner, &onnx, NULL);
        assert_int_equal(status, depth < SAL_ONNX_GRAPH_DEPTH_MAX ? SAL_OK : SAL_BAD_INPUT);
        if (status == SAL_OK)
            sal_onnx_close(&onnx);
        onnx_build_release(&inner);
    }
}

static void a_node_too_many_is_refused(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b);
    for (int i = 0; i < SAL_ONNX_NODES_MAX - 1; i++)
        onnx_build_node(&b, "Relu", "x", "");
    struct sal_onnx onnx;
    assert_int_equal(parse(&b, &onnx, NULL), SAL_OK);
    assert_int_equal(onnx.graph.n_nodes, SAL_ONNX_NODES_MAX);
    sal_onnx_close(&onnx);
    onnx_build_node(&b, "Relu", "x", "");
    assert_refused(&b, SAL_BAD_INPUT, "200000");
}

static void strings_have_a_limit_and_no_nul(void **state)
{
    (void)state;
    struct onnx_build b;
    char *text = calloc(SAL_ONNX_STRING_MAX + 2, 1);
    memset(text, 'a', SAL_ONNX_STRING_MAX);
    begin(&b);
    onnx_build_name(&b, text);
    struct sal_onnx onnx;
    assert_int_equal(parse(&b, &onnx, NULL), SAL_OK);
    sal_onnx_close(&onnx);
    onnx_build_release(&b);
    begin(&b);
    text[SAL_ONNX_STRING_MAX] = 'a';
    onnx_build_name(&b, text);
    assert_refused(&b, SAL_BAD_INPUT, "65537 bytes");
    free(text);
    begin(&b);
    onnx_put_bytes(&b.node, 3, "a\0b", 3);
    assert_refused(&b, SAL_BAD_INPUT, "NUL");
}

static void duplicate_singular_fields_are_refused(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b);
    onnx_put_bytes(&b.model, 7, "", 0);
    assert_refused(&b, SAL_BAD_INPUT, "a second ModelProto.graph");
    begin(&b);
    onnx_build_name(&b, "a");
    onnx_build_name(&b, "b");
    assert_refused(&b, SAL_BAD_INPUT, "a second NodeProto.name");
}

static void wrong_wire_types_are_refused(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b);
    onnx_put_int(&b.node, 3, 7);
    assert_refused(&b, SAL_BAD_INPUT, "NodeProto.name has wire type 0 instead of 2");
}

static void names_over_the_memory_limit_are_refused(void **state)
{
    (void)state;
    static const struct {
        sal_field_read *read;
        unsigned name; /* its field number */
    } messages[] = {{sal_read_node, 3}, {sal_read_attr, 1}, {sal_read_function, 1},
                    {sal_read_tensor, 8}, {sal_read_property, 1}, {sal_read_opset, 1}};
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        union {
            struct sal_onnx_node node;
            struct sal_onnx_attr attr;
            struct sal_onnx_function function;
            struct sal_onnx_tensor tensor;
            struct sal_onnx_property property;
            struct sal_onnx_opset opset;
        } into = {0};
        struct sal_arena arena = {.limit = 64};
        struct sal_error err;
        struct sal_buffer bytes = {0};
        onnx_put_text(&bytes, messages[i].name, "a name");
        struct sal_reader reader = {.arena = &arena, .err = &err, .origin = bytes.data};
        struct sal_wire_field field = {.type = SAL_WIRE_BYTES,
                                       .bytes = {bytes.data, bytes.size}};
        assert_int_equal(messages[i].read(&reader, &into, &field), SAL_LIMIT);
        assert_null(strstr(err.text, "(null)"));
        sal_arena_release(&arena);
        sal_buffer_release(&bytes);
    }
}

/* ---- versions ---- */

static void ir_versions_below_3_are_named_and_newer_ones_are_read(void **state)
{
    (void)state;
    static const int versions[] = {0, 2, 3, 13, 14};
    for (int i = 0; i < 2; i++) {
        struct onnx_build b;
        char text[32];
        begin(&b);
        b.ir_version = versions[i];
        snprintf(text, sizeof text, "IR version %d", versions[i]);
        assert_refused(&b, SAL_UNSUPPORTED, text);
    }
    for (int i = 2; i < 5; i++) {
        struct onnx_build b;
        struct sal_onnx onnx;
        begin(&b);
        b.ir_version = versions[i];
        assert_int_equal(parse(&b, &onnx, NULL), SAL_OK);
        sal_onnx_close(&onnx);
        onnx_build_release(&b);
    }
}

static void the_default_operator_set_is_given_once(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b);
    b.opset = 0;
    assert_refused(&b, SAL_BAD_INPUT, "no version of the default operator set");
    begin(&b);
    onnx_build_opset(&b, "ai.onnx", 12);
    assert_refused(&b, SAL_BAD_INPUT, "imported twice");
    begin(&b);
    b.opset = -1;
    assert_refused(&b, SAL_BAD_INPUT, "does not exist");
}

/* ---- the graph ---- */

static void a_model_needs_a_graph_with_nodes_and_outputs(void **state)
{
    (void)state;
    struct onnx_build b;
    struct sal_buffer bytes = {0};
    struct sal_onnx onnx;
    struct sal_error err;
    onnx_put_int(&bytes, 1, 8);
    assert_int_equal(sal_onnx_parse(&onnx, (struct sal_span){bytes.data, bytes.size}, "t", &err),
                     SAL_BAD_INPUT);
    assert_non_null(strstr(err.text, "no graph"));
    sal_buffer_release(&bytes);
    onnx_build_init(&b, 13);
    assert_refused(&b, SAL_BAD_INPUT, "the graph has no nodes");
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 1, one);
    onnx_build_node(&b, "Relu", "x", "y");
    assert_refused(&b, SAL_BAD_INPUT, "the graph has no outputs");
}

static void duplicate_initialisers_are_refused_with_a_hint(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b);
    onnx_build_weights(&b, "w", 1, one, (float[]){1});
    onnx_build_weights(&b, "w", 1, one, (float[]){2});
    assert_refused(&b, SAL_BAD_INPUT, "two initialisers are named 'w'");
}

static void every_value_is_made_once(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b);
    onnx_build_name(&b, "first");
    onnx_build_node(&b, "Relu", "x", "y");
    onnx_build_name(&b, "second");
    assert_refused(&b, SAL_BAD_INPUT, "nodes 'first' and 'second' both make 'y'");
    begin(&b);
    onnx_build_node(&b, "Relu", "y", "x");
    assert_refused(&b, SAL_BAD_INPUT, "node 'x' makes 'x', which is an input");
    begin(&b);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 1, one);
    assert_refused(&b, SAL_BAD_INPUT, "two graph inputs are named 'x'");
}

static void a_missing_input_is_named(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b);
    onnx_build_node(&b, "Add", "y,ghost", "z");
    onnx_build_name(&b, "sum");
    assert_refused(&b, SAL_BAD_INPUT, "node 'sum' needs 'ghost', which nothing makes");
    begin(&b);
    onnx_build_output(&b, "ghost", SAL_ONNX_FLOAT, -1, NULL);
    assert_refused(&b, SAL_BAD_INPUT, "graph output 'ghost' is made by no node");
}

static void nodes_out_of_order_are_put_in_order(void **state)
{
    (void)state;
    static const char *const expected[] = {"y", "first", "second", "z", "w"};
    struct onnx_build b;
    struct sal_onnx onnx;
    begin(&b);
    onnx_build_node(&b, "Add", "second,y", "z");
    onnx_build_node(&b, "Relu", "z", "w");
    onnx_build_node(&b, "Relu", "first", "second");
    onnx_build_node(&b, "Relu", "y", "first");
    assert_int_equal(parse(&b, &onnx, NULL), SAL_OK);
    assert_int_equal(onnx.graph.n_nodes, 5);
    for (int i = 0; i < onnx.graph.n_nodes; i++)
        assert_string_equal(onnx.graph.nodes[i].outputs[0], expected[i]);
    sal_onnx_close(&onnx);
    onnx_build_release(&b);
}

static void nodes_out_of_order_around_a_graph_are_told(void **state)
{
    (void)state;
    struct onnx_build b, inner;
    onnx_build_init(&inner, 13);
    onnx_build_node(&inner, "Relu", "y", "inside");
    onnx_build_output(&inner, "inside", SAL_ONNX_FLOAT, -1, NULL);
    begin(&b);
    onnx_build_node(&b, "If", "y", "w");
    onnx_build_graph(&b, "then_branch", onnx_build_finish_graph(&inner));
    onnx_build_node(&b, "Relu", "late", "z");
    onnx_build_name(&b, "early");
    onnx_build_node(&b, "Relu", "y", "late");
    onnx_build_release(&inner);
    assert_refused(&b, SAL_BAD_INPUT, "node 'early' uses 'late' before it is made");
}

static void cycles_are_told_as_cycles(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b);
    onnx_build_node(&b, "Add", "y,q", "p");
    onnx_build_name(&b, "a");
    onnx_build_node(&b, "Relu", "p", "m");
    onnx_build_node(&b, "Relu", "m", "q");
    onnx_build_name(&b, "b");
    assert_refused(&b, SAL_BAD_INPUT, "the graph has a cycle");
    begin(&b);
    onnx_build_node(&b, "Add", "y,z", "z");
    onnx_build_name(&b, "a");
    assert_refused(&b, SAL_BAD_INPUT, "node 'a' needs 'z', which depends on it");
}

static void a_cycle_of_100000_nodes_is_found_at_once(void **state)
{
    (void)state;
    struct onnx_build b;
    enum { N = 100000 };
    begin(&b);
    for (int i = 0; i < N; i++) {
        char in[32], out[32];
        snprintf(in, sizeof in, "t%d", (i + N - 1) % N);
        snprintf(out, sizeof out, "t%d", i);
        onnx_build_node(&b, "Relu", in, out);
    }
    assert_refused(&b, SAL_BAD_INPUT, "the graph has a cycle");
}

static void inner_graphs_see_what_stands_around_them(void **state)
{
    (void)state;
    static const struct {
        const char *needs, *refused;
    } cases[] = {
        {"y", NULL},
        {"x", NULL},
        {"later", "node 'branch' needs 'later', which nothing makes"},
        {"ghost", "node 'branch' needs 'ghost', which nothing makes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct onnx_build b, inner;
        struct sal_onnx onnx;
        onnx_build_init(&inner, 13);
        onnx_build_node(&inner, "Relu", cases[i].needs, "inside");
        onnx_build_name(&inner, "branch");
        onnx_build_output(&inner, "inside", SAL_ONNX_FLOAT, -1, NULL);
        begin(&b);
        onnx_build_node(&b, "If", "y", "z");
        onnx_build_graph(&b, "then_branch", onnx_build_finish_graph(&inner));
        onnx_build_node(&b, "Relu", "z", "later");
        onnx_build_release(&inner);
        if (cases[i].refused) {
            assert_refused(&b, SAL_BAD_INPUT, cases[i].refused);
            continue;
        }
        assert_int_equal(parse(&b, &onnx, NULL), SAL_OK);
        const struct sal_onnx_graph *graph = onnx.graph.nodes[1].attrs[0].graph;
        assert_string_equal(graph->nodes[0].name, "branch");
        sal_onnx_close(&onnx);
        onnx_build_release(&b);
    }
}

static void operator_names_are_plain(void **state)
{
    (void)state;
    static const char *const names[] = {"", "Re\033[31mlu", "Re lu", "Rel\xc3\xbc"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct onnx_build b;
        begin(&b);
        onnx_build_node(&b, names[i], "y", "z");
        assert_refused(&b, SAL_BAD_INPUT, "is not a plain name");
    }
}

static void attributes_are_what_they_say(void **state)
{
    (void)state;
    struct onnx_build b;
    struct sal_buffer attr = {0};
    begin(&b);
    onnx_put_text(&attr, 1, "axis");
    onnx_put_int(&attr, 20, SAL_ONNX_ATTR_FLOAT);
    onnx_put_int(&attr, 3, 1);
    onnx_put_message(&b.node, 5, &attr);
    assert_refused(&b, SAL_BAD_INPUT, "attribute 'axis': it holds an int, which is not its type");
    begin(&b);
    onnx_build_int(&b, "axis", 1);
    onnx_build_int(&b, "axis", 2);
    assert_refused(&b, SAL_BAD_INPUT, "has attribute 'axis' twice");
    begin(&b);
    onnx_put_text(&attr, 1, "value");
    onnx_put_int(&attr, 20, SAL_ONNX_ATTR_TENSOR);
    onnx_put_message(&b.node, 5, &attr);
    assert_refused(&b, SAL_BAD_INPUT, "a tensor is missing");
}

static void attribute_lists_may_be_packed_and_types_left_out(void **state)
{
    (void)state;
    struct onnx_build b;
    struct sal_onnx onnx;
    struct sal_buffer attr = {0};
    begin(&b);
    onnx_put_text(&attr, 1, "ints");
    onnx_put_bytes(&attr, 8, "\x01\x96\x01", 3);
    onnx_put_int(&attr, 8, 5);
    onnx_put_message(&b.node, 5, &attr);
    onnx_put_text(&attr, 1, "zero");
    onnx_put_int(&attr, 20, SAL_ONNX_ATTR_INT);
    onnx_put_message(&b.node, 5, &attr);
    assert_int_equal(parse(&b, &onnx, NULL), SAL_OK);
    const struct sal_onnx_attr *ints = sal_onnx_node_attr(&onnx.graph.nodes[0], "ints");
    assert_int_equal(ints->type, SAL_ONNX_ATTR_INTS);
    assert_int_equal(ints->n, 3);
    assert_int_equal(ints->ints[1], 150);
    assert_int_equal(ints->ints[2], 5);
    assert_int_equal(sal_onnx_node_attr(&onnx.graph.nodes[0], "zero")->i, 0);
    sal_onnx_close(&onnx);
    onnx_build_release(&b);
    begin(&b);
    onnx_put_text(&attr, 1, "ints");
    onnx_put_bytes(&attr, 8, "\x01\x96", 2);
    onnx_put_message(&b.node, 5, &attr);
    assert_refused(&b, SAL_BAD_INPUT, "a packed list is cut short");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_is_read_back_as_it_was_written),
        cmocka_unit_test(the_hash_is_of_the_file),
        cmocka_unit_test(real_models_open_with_the_counts_of_the_reference),
        cmocka_unit_test(every_truncation_is_refused_or_whole),
        cmocka_unit_test(flipped_bits_never_hurt),
        cmocka_unit_test(other_files_are_told_apart),
        cmocka_unit_test(graphs_nested_20000_deep_are_refused),
        cmocka_unit_test(graphs_nest_as_deep_as_stated),
        cmocka_unit_test(a_node_too_many_is_refused),
        cmocka_unit_test(strings_have_a_limit_and_no_nul),
        cmocka_unit_test(duplicate_singular_fields_are_refused),
        cmocka_unit_test(wrong_wire_types_are_refused),
        cmocka_unit_test(names_over_the_memory_limit_are_refused),
        cmocka_unit_test(ir_versions_below_3_are_named_and_newer_ones_are_read),
        cmocka_unit_test(the_default_operator_set_is_given_once),
        cmocka_unit_test(a_model_needs_a_graph_with_nodes_and_outputs),
        cmocka_unit_test(duplicate_initialisers_are_refused_with_a_hint),
        cmocka_unit_test(every_value_is_made_once),
        cmocka_unit_test(a_missing_input_is_named),
        cmocka_unit_test(nodes_out_of_order_are_put_in_order),
        cmocka_unit_test(nodes_out_of_order_around_a_graph_are_told),
        cmocka_unit_test(cycles_are_told_as_cycles),
        cmocka_unit_test(a_cycle_of_100000_nodes_is_found_at_once),
        cmocka_unit_test(inner_graphs_see_what_stands_around_them),
        cmocka_unit_test(operator_names_are_plain),
        cmocka_unit_test(attributes_are_what_they_say),
        cmocka_unit_test(attribute_lists_may_be_packed_and_types_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
