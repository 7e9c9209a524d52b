/* Real models against what others' software made of them: logits of ONNX Runtime
 * and PyTorch, class activation maps, gradients, integrated gradients and occlusion of
 * PyTorch and Captum. Skipped, saying so, where the data is not there. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "data.h"
#include "graph.h"
#include "run_parts.h"
#include "saliscope/explain.h"
#include "saliscope/npy.h"

static struct sal_pool *pool;

static int open_pool(void **state)
{
    (void)state;
    return sal_pool_open(&pool, 0, NULL);
}

static int close_pool(void **state)
{
    (void)state;
    sal_pool_close(pool);
    return 0;
}

#define must(call)                                                                     \
    do {                                                                               \
        struct sal_error must_error = {0}, *err = &must_error;                         \
        if (call)                                                                      \
            fail_msg("%s", must_error.text);                                           \
    } while (0)

static bool load_array(const char *folder, const char *name, struct sal_npy *array)
{
    char path[512], relative[512];
    snprintf(relative, sizeof(relative), "refs/%s/%s", folder, name);
    if (!shared_data(relative, path, sizeof(path)))
        return false;
    struct sal_file file;
    must(sal_file_read(&file, path, (size_t)1 << 30, err));
    must(sal_npy_decode(array, file.bytes, name, err));
    sal_file_close(&file);
    return true;
}

/* Largest difference over the reference's range (or its largest magnitude). */
static double worst(const float *ours, const struct sal_npy *reference, bool by_range)
{
    double low = HUGE_VAL, high = -HUGE_VAL, most = 0, difference = 0;
    for (int64_t i = 0; i < reference->count; i++) {
        double r = (double)reference->data[i];
        low = fmin(low, r);
        high = fmax(high, r);
        most = fmax(most, fabs(r));
        difference = fmax(difference, fabs((double)ours[i] - r));
        if (isnan(ours[i]))
            return HUGE_VAL;
    }
    double scale = by_range ? high - low : most;
    return scale > 0 ? difference / scale : difference;
}

/* ---- cases of the manifest -------------------------------------------------------- */

static const char *text_of(const json_t *record, const char *key)
{
    return json_string_value(json_object_get(record, key));
}

/* The sidecar that the record's preprocessing amounts to. */
static void write_sidecar(const json_t *record, char *path)
{
    const char *layout = text_of(record, "channel_layout");
    const char *channels = strncmp(layout, "gray", 4) == 0 ? "gray3" : layout;
    json_t *input = json_pack("{s:s, s:[i,i], s:O, s:O}", "channels", channels, "range", 0,
                              255, "mean", json_object_get(record, "mean_px"), "std",
                              json_object_get(record, "std_px"));
    json_t *sidecar = json_pack("{s:o, s:s}", "input", input, "output",
                                text_of(record, "logit_tensor"));
    int fd = mkstemps(strcpy(path, "/tmp/saliscope-XXXXXX.json"), 5);
    assert_true(fd >= 0);
    assert_int_equal(json_dumpfd(sidecar, fd, 0), 0);
    close(fd);
    json_decref(sidecar);
}

struct opened {
    const json_t *record;
    const char *folder;
    struct sal_model *model;
    struct sal_image image;
    sal_real *x;
    int target;
};

static bool open_case(struct opened *c, const json_t *record)
{
    char model[512], picture[512], relative[512], sidecar[64];
    *c = (struct opened){.record = record, .folder = text_of(record, "case")};
    snprintf(relative, sizeof(relative), "models/%s",
             strrchr(text_of(record, "model"), '/') + 1);
    if (!shared_data(relative, model, sizeof(model)))
        return false;
    snprintf(relative, sizeof(relative), "refs/%s", text_of(record, "input_png"));
    if (!shared_data(relative, picture, sizeof(picture)))
        return false;
    write_sidecar(record, sidecar);
    must(sal_model_open(&c->model, model,
                        &(struct sal_model_options){.sidecar = sidecar, .pool = pool}, err));
    unlink(sidecar);
    must(sal_image_load(&c->image, picture, SAL_SANDBOX_BEST, err));
    const struct sal_model_input *input = sal_model_input(c->model);
    c->x = calloc((size_t)input->channels * (size_t)input->height * (size_t)input->width,
                  sizeof(*c->x));
    must(sal_model_prepare(c->model, &c->image, c->x, err));
    c->target = (int)json_integer_value(json_object_get(record, "target_index"));
    return true;
}

static void close_case(struct opened *c)
{
    free(c->x);
    sal_image_release(&c->image);
    sal_model_close(c->model);
}

static int for_each_case(void (*look)(struct opened *c))
{
    char path[512];
    if (!shared_data("refs/manifest.json", path, sizeof(path)))
        return 0;
    json_t *manifest = json_load_file(path, 0, NULL), *record;
    assert_non_null(manifest);
    size_t i;
    json_array_foreach(manifest, i, record)
    {
        struct opened c;
        assert_true(open_case(&c, record));
        look(&c);
        close_case(&c);
    }
    json_decref(manifest);
    return (int)i;
}

static struct sal_run *forward(struct opened *c)
{
    struct sal_run *run = NULL;
    must(sal_run_open(&run, c->model,
                      &(struct sal_run_options){.gradient = true, .pool = pool}, err));
    must(sal_run_forward(run, c->x, NULL, err));
    return run;
}

static void compare_logits(struct opened *c)
{
    struct sal_npy reference = {0};
    const json_t *listed = json_object_get(c->record, "logits_torch");
    if (json_is_array(listed)) {
        reference.count = (int64_t)json_array_size(listed);
        reference.data = calloc((size_t)reference.count, sizeof(float));
        for (int64_t i = 0; i < reference.count; i++)
            reference.data[i] = (float)json_number_value(json_array_get(listed, (size_t)i));
    } else {
        assert_true(load_array(c->folder, "logits.npy", &reference));
    }
    struct sal_run *run = forward(c);
    const struct sal_model_output *output = sal_model_output(c->model);
    const float *ours = sal_run_value(run, output->value, NULL);
    assert_int_equal(output->n, reference.count);
    double d = worst(ours, &reference, false);
    print_message("%-55s logits differ by %.1e of the largest\n", c->folder, d);
    assert_true(d <= 1e-4);
    double target = json_number_value(json_object_get(c->record, "target_logit"));
    assert_true(fabs((double)ours[c->target] - target) <= 1e-4 * fabs(target));
    sal_npy_release(&reference);
    sal_run_close(run);
}

static void logits_are_those_of_pytorch_and_onnx_runtime(void **state)
{
    (void)state;
    if (!for_each_case(compare_logits))
        skip();
}

/* Maps at the layer that auto takes, and the arrays they were recorded in. */
static const struct recorded_cam {
    const char *method, *grid, *values;
} recorded_cams[] = {
    {"gradcam", "gradcam.npy", "gradcam_upsampled.npy"},
    {"gradcam++", "gradcam_plusplus.npy", NULL},
    {"hirescam", "hirescam.npy", NULL},
    {"layercam", "layercam.npy", NULL},
};

static double against_array(struct opened *c, const char *name, const float *ours, int n)
{
    struct sal_npy reference;
    assert_true(load_array(c->folder, name, &reference));
    assert_int_equal(reference.count, n);
    double d = worst(ours, &reference, true);
    sal_npy_release(&reference);
    return d;
}

static void compare_cam(struct opened *c, const struct recorded_cam *recorded)
{
    struct sal_question question = {.model = c->model,
                                    .x = c->x,
                                    .class_index = c->target,
                                    .layer = -1,
                                    .pool = pool};
    struct sal_map map;
    must(sal_explain(sal_method_find(recorded->method), &question, &map, err));
    assert_string_equal(sal_model_value(c->model, map.layer).name,
                        text_of(c->record, "gradcam_tensor"));
    double d = against_array(c, recorded->grid, map.grid, map.grid_height * map.grid_width);
    print_message("%-55s %-9s differs by %.1e of the range\n", c->folder, recorded->method, d);
    assert_true(d <= 1e-4);
    if (recorded->values)
        assert_true(against_array(c, recorded->values, map.values, map.height * map.width) <=
                    1e-4);
    sal_map_release(&map);
}

static void compare_cams(struct opened *c)
{
    for (size_t i = 0; i < sizeof(recorded_cams) / sizeof(*recorded_cams); i++)
        compare_cam(c, &recorded_cams[i]);
}

static void activation_maps_are_those_of_pytorch(void **state)
{
    (void)state;
    if (!for_each_case(compare_cams))
        skip();
}

/* A ReLU whose input is within rounding of zero opens in one run and not in another,
 * and takes a few pixels' gradient with it: PyTorch's own float32 and float64 differ
 * by up to 4e-2 of the largest here. So the whole counts, not each pixel. */
static double correlation(const float *a, const float *b, int64_t n)
{
    double ab = 0, aa = 0, bb = 0, ma = 0, mb = 0;
    for (int64_t i = 0; i < n; i++) {
        ma += (double)a[i] / (double)n;
        mb += (double)b[i] / (double)n;
    }
    for (int64_t i = 0; i < n; i++) {
        ab += ((double)a[i] - ma) * ((double)b[i] - mb);
        aa += ((double)a[i] - ma) * ((double)a[i] - ma);
        bb += ((double)b[i] - mb) * ((double)b[i] - mb);
    }
    return ab / sqrt(aa * bb);
}

static void compare_gradient(struct opened *c)
{
    struct sal_npy reference;
    assert_true(load_array(c->folder, "gradient.npy", &reference));
    struct sal_run *run = forward(c);
    int input = sal_model_input(c->model)->value;
    must(sal_run_backward(run, sal_model_output(c->model)->value, c->target, &input, 1,
                          NULL, err));
    const float *ours = sal_run_gradient(run, input);
    double d = worst(ours, &reference, false);
    double r = correlation(ours, reference.data, reference.count);
    print_message("%-55s the gradient differs by %.1e of its largest, 1 - r = %.0e\n",
                  c->folder, d, 1 - r);
    assert_true(r >= 0.9999 && d <= 0.05);
    sal_npy_release(&reference);
    sal_run_close(run);
}

static void input_gradients_are_those_of_pytorch(void **state)
{
    (void)state;
    if (!for_each_case(compare_gradient))
        skip();
}

/* ---- methods of Captum -------------------------------------------------------------- */

static void explain(struct opened *c, const char *name, const char *const *settings,
                    struct sal_map *map)
{
    const struct sal_method *method = sal_method_find(name);
    struct sal_params params;
    sal_params_init(&params, method->params);
    for (; settings && *settings; settings++)
        must(sal_params_set(&params, method->params, *settings, name, err));
    struct sal_question question = {.model = c->model,
                                    .x = c->x,
                                    .class_index = c->target,
                                    .layer = -1,
                                    .params = &params,
                                    .pool = pool};
    must(sal_explain(method, &question, map, err));
}

static void compare_gradient_map(struct opened *c)
{
    struct sal_npy reference;
    struct sal_map map;
    assert_true(load_array(c->folder, "gradient.npy", &reference));
    explain(c, "gradient", NULL, &map);
    assert_int_equal(reference.count, map.channels * map.height * map.width);
    double r = correlation(map.by_channel, reference.data, reference.count);
    print_message("%-55s the map of gradients: 1 - r = %.0e\n", c->folder, 1 - r);
    assert_true(r >= 0.9999);
    sal_npy_release(&reference);
    sal_map_release(&map);
}

static void the_gradient_map_is_that_of_pytorch(void **state)
{
    (void)state;
    if (!for_each_case(compare_gradient_map))
        skip();
}

/* The steps average out most of what one ReLU does to one gradient. */
static void compare_ig(struct opened *c)
{
    struct sal_npy reference;
    struct sal_map map;
    assert_true(load_array(c->folder, "ig.npy", &reference));
    explain(c, "ig", (const char *const[]){"steps=50", "rule=gausslegendre", NULL}, &map);
    assert_int_equal(reference.count, map.channels * map.height * map.width);
    double d = worst(map.by_channel, &reference, true);
    double r = correlation(map.by_channel, reference.data, reference.count);
    const json_t *ig = json_object_get(c->record, "ig");
    double base = json_number_value(json_object_get(ig, "baseline_logit"));
    double delta = json_number_value(json_object_get(ig, "convergence_delta"));
    print_message("%-55s IG differs by %.1e of the range, 1 - r = %.0e, delta %.4f (%.4f)\n",
                  c->folder, d, 1 - r, map.checks[2].value, delta);
    assert_string_equal(map.checks[2].name, "completeness_error");
    assert_true(fabs(map.checks[0].value - base) <= 1e-3);
    assert_true(r >= 0.9999);
    assert_true(d <= 1e-2);
    sal_npy_release(&reference);
    sal_map_release(&map);
}

static void integrated_gradients_are_those_of_captum(void **state)
{
    (void)state;
    if (!for_each_case(compare_ig))
        skip();
}

static void compare_occlusion(struct opened *c)
{
    struct sal_npy reference;
    struct sal_map map;
    char window[32], stride[32];
    const json_t *asked = json_object_get(c->record, "occlusion");
    snprintf(window, sizeof(window), "window=%d",
             (int)json_integer_value(json_object_get(asked, "window")));
    snprintf(stride, sizeof(stride), "stride=%d",
             (int)json_integer_value(json_object_get(asked, "stride")));
    assert_true(load_array(c->folder, "occlusion.npy", &reference));
    explain(c, "occlusion", (const char *const[]){window, stride, NULL}, &map);
    assert_int_equal(reference.count, map.height * map.width);
    double d = worst(map.values, &reference, true);
    print_message("%-55s occlusion differs by %.1e of the range\n", c->folder, d);
    assert_true(d <= 1e-3);
    sal_npy_release(&reference);
    sal_map_release(&map);
}

static void occlusion_is_that_of_captum(void **state)
{
    (void)state;
    if (!for_each_case(compare_occlusion))
        skip();
}

/* ---- recorded tensors ----------------------------------------------------------------- */

static void read_tensor(const char *path, struct sal_onnx_tensor *tensor, float **values)
{
    struct sal_file file;
    struct sal_arena arena = {0};
    must(sal_file_read(&file, path, (size_t)1 << 30, err));
    must(sal_onnx_parse_tensor(tensor, file.bytes, &arena, err));
    *values = malloc(sizeof(float) * (tensor->count + 1));
    must(sal_onnx_tensor_read_float(tensor, *values, err));
    sal_arena_release(&arena);
    sal_file_close(&file);
}

/* The model's first output for x (NULL: 0, 1/n, 2/n ...) against the recorded one. */
static double against_recorded(const char *model_path, const float *x,
                               const char *expected_path)
{
    struct sal_onnx onnx;
    struct sal_graph graph;
    struct sal_run *run = NULL;
    must(sal_onnx_open(&onnx, model_path, err));
    must(sal_graph_build(&graph, &onnx, &(struct sal_graph_options){.pool = pool}, err));
    must(sal_run_open_graph(
        &run, &graph,
        &(struct sal_run_options){.memory = (size_t)4 << 30, .pool = pool}, err));
    struct sal_tensor *input = sal_run_tensor(run, graph.inputs[0]);
    int64_t n = sal_shape_count(&input->shape);
    for (int64_t i = 0; i < n; i++)
        input->real[i] = x ? x[i] : (float)i / (float)n;
    must(sal_run_pass(run, NULL, err));
    struct sal_onnx_tensor recorded;
    struct sal_npy expected = {0};
    read_tensor(expected_path, &recorded, &expected.data);
    expected.count = (int64_t)recorded.count;
    struct sal_tensor *output = sal_run_tensor(run, graph.outputs[0]);
    assert_int_equal(sal_shape_count(&output->shape), expected.count);
    double d = worst(output->real, &expected, false);
    sal_npy_release(&expected);
    sal_run_close(run);
    sal_graph_release(&graph);
    sal_onnx_close(&onnx);
    return d;
}

static void light_topologies_give_their_recorded_outputs(void **state)
{
    (void)state;
    static const char *const names[] = {"bvlc_alexnet", "densenet121", "inception_v1",
                                        "resnet50",     "squeezenet",  "vgg19",
                                        "zfnet512"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        char model[512], expected[512], relative[256];
        snprintf(relative, sizeof(relative), "models/onnx_light/light_%s.onnx", names[i]);
        if (!shared_data(relative, model, sizeof(model)))
            skip();
        snprintf(relative, sizeof(relative), "models/onnx_light/light_%s_output_0.pb",
                 names[i]);
        assert_true(shared_data(relative, expected, sizeof(expected)));
        double d = against_recorded(model, NULL, expected);
        print_message("light_%-50s differs by %.1e\n", names[i], d);
        assert_true(d <= 1e-4);
    }
}

static void mnist_gives_its_official_outputs(void **state)
{
    (void)state;
    for (int set = 0; set <= 2; set += 2) {
        char model[512], in[512], out[512], relative[256];
        if (!shared_data("models/mnist_cntk.onnx", model, sizeof(model)))
            skip();
        snprintf(relative, sizeof(relative), "models/mnist_cntk_test_data_set_%d/input_0.pb",
                 set);
        assert_true(shared_data(relative, in, sizeof(in)));
        snprintf(relative, sizeof(relative),
                 "models/mnist_cntk_test_data_set_%d/output_0.pb", set);
        assert_true(shared_data(relative, out, sizeof(out)));
        struct sal_onnx_tensor tensor;
        float *x;
        read_tensor(in, &tensor, &x);
        double d = against_recorded(model, x, out);
        free(x);
        print_message("mnist_cntk set %d differs by %.1e\n", set, d);
        assert_true(d <= 1e-4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_those_of_pytorch_and_onnx_runtime),
        cmocka_unit_test(activation_maps_are_those_of_pytorch),
        cmocka_unit_test(input_gradients_are_those_of_pytorch),
        cmocka_unit_test(the_gradient_map_is_that_of_pytorch),
        cmocka_unit_test(integrated_gradients_are_those_of_captum),
        cmocka_unit_test(occlusion_is_that_of_captum),
        cmocka_unit_test(light_topologies_give_their_recorded_outputs),
        cmocka_unit_test(mnist_gives_its_official_outputs),
    };
    return cmocka_run_group_tests(tests, open_pool, close_pool);
}
