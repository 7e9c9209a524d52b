/* Sidecars: what they say is taken to the letter, what is wrong is told by file and
 * key, and every value knows where it came from. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "saliscope/file.h"
#include "saliscope/sidecar.h"

static char folder[64];

static const char *at(const char *name)
{
    static char path[2][128];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof(path[turn]), "%s/%s", folder, name);
    return path[turn];
}

static void put(const char *name, const char *text)
{
    assert_int_equal(sal_file_write(at(name), text, strlen(text), NULL), SAL_OK);
}

static int fresh(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/saliscope-sidecar-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

static enum sal_status load(struct sal_sidecar *s, const char *preset, struct sal_error *err)
{
    return sal_sidecar_load(
        s, &(struct sal_sidecar_request){.model_path = at("model.onnx"), .preset = preset},
        err);
}

static void the_whole_format_is_read(void **state)
{
    (void)state;
    put("model.json",
        "{\"name\":\"n\",\"version\":\"2\",\"sha256\":\"ab\",\"intended_use\":\"u\","
        "\"limitations\":[\"a\",\"b\"],\"input\":{\"layout\":\"NHWC\",\"channels\":\"BGR\","
        "\"size\":[20,30],\"resize\":\"bicubic\",\"antialias\":true,\"round\":false,"
        "\"fit\":\"crop\",\"range\":[0,255],\"mean\":[1,2,3],\"std\":[4,5,6]},"
        "\"activation\":\"softmax\",\"output\":\"o\",\"cam_layer\":\"c\","
        "\"classes\":[{\"name\":\"x\",\"threshold\":0.25,\"cost_fp\":1,\"cost_fn\":5},\"y\"],"
        "\"calibration\":{\"temperature\":1.5},\"prevalence\":[0.1,0.9],\"more\":1}");
    struct sal_sidecar s;
    struct sal_error err;
    if (load(&s, NULL, &err))
        fail_msg("%s", err.text);
    assert_string_equal(s.source, "model.json");
    assert_string_equal(s.name, "n");
    assert_int_equal(s.n_limitations, 2);
    assert_int_equal(s.input.layout, SAL_LAYOUT_NHWC);
    assert_int_equal(s.input.channels, SAL_BGR);
    assert_int_equal(s.input.height, 20);
    assert_int_equal(s.input.width, 30);
    assert_int_equal(s.input.resize, SAL_BICUBIC);
    assert_true(s.input.antialias);
    assert_false(s.input.round);
    assert_int_equal(s.input.fit, SAL_CROP);
    assert_true(s.input.range[1] == 255 && s.input.mean[2] == 3 && s.input.std[1] == 5);
    assert_string_equal(s.input.source.mean, "sidecar");
    assert_int_equal(s.activation, SAL_SOFTMAX);
    assert_string_equal(s.activation_source, "sidecar");
    assert_int_equal(s.n_classes, 2);
    assert_true(s.classes[0].threshold == 0.25 && s.classes[0].cost_fn == 5);
    assert_string_equal(s.classes[1].name, "y");
    assert_true(isnan(s.classes[1].threshold) && s.classes[1].prevalence == 0.9);
    assert_true(s.temperature == 1.5);
    sal_sidecar_release(&s);
}

static void what_is_wrong_is_told_by_key(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"{\"input\":{\"resize\":\"fancy\"}}", "input.resize must be one of nearest"},
        {"{\"input\":{\"layout\":7}}", "input.layout"},
        {"{\"input\":{\"mean\":[1,2]}}", "input.mean"},
        {"{\"input\":{\"mean\":\"x\"}}", "input.mean"},
        {"{\"input\":{\"std\":[1,0,1]}}", "input.std"},
        {"{\"input\":{\"size\":[0,5]}}", "input.size"},
        {"{\"input\":{\"size\":[2.5,5]}}", "input.size"},
        {"{\"input\":{\"antialias\":1}}", "input.antialias"},
        {"{\"input\":[]}", "input"},
        {"{\"name\":3}", "name"},
        {"{\"activation\":\"tanh\"}", "activation"},
        {"{\"classes\":{}}", "classes"},
        {"{\"classes\":[5]}", "classes"},
        {"{\"classes\":[{\"name\":\"x\",\"threshold\":2}]}", "threshold"},
        {"{\"classes\":[\"a\"],\"prevalence\":[1,2]}", "prevalence"},
        {"{\"calibration\":{\"temperature\":0}}", "temperature"},
        {"[1]", "object"},
        {"{\"name\":\"a\",\n \"name\":\"b\"}", ":2:"},
        {"{\"name\":\n \"a\" \"b\"}", ":2:"},
        {"", "model.json"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct sal_sidecar s;
        struct sal_error err = {0};
        put("model.json", wrong[i][0]);
        enum sal_status status = load(&s, NULL, &err);
        if (status != SAL_BAD_INPUT || !strstr(err.text, "model.json") ||
            !strstr(err.text, wrong[i][1]))
            fail_msg("%s: status %d, '%s'", wrong[i][0], status, err.text);
    }
}

static void a_file_nested_without_end_is_refused(void **state)
{
    (void)state;
    static char deep[300001];
    memset(deep, '[', 300000);
    struct sal_sidecar s;
    struct sal_error err;
    put("model.json", deep);
    assert_int_equal(load(&s, NULL, &err), SAL_BAD_INPUT);
    static char large[(1 << 20) + 2];
    memset(large, ' ', sizeof(large) - 1);
    put("model.json", large);
    assert_int_equal(load(&s, NULL, &err), SAL_LIMIT);
}

static void nothing_found_is_said(void **state)
{
    (void)state;
    struct sal_sidecar s;
    assert_int_equal(load(&s, NULL, NULL), SAL_OK);
    assert_string_equal(s.source, "none");
    assert_string_equal(s.input.source.mean, "default");
    assert_true(s.input.range[1] == 1 && s.input.std[0] == 1);
    assert_int_equal(s.n_classes, 0);
    sal_sidecar_release(&s);
}

static void a_preset_is_completed_by_a_file(void **state)
{
    (void)state;
    struct sal_sidecar s;
    struct sal_error err;
    put("model.json", "{\"input\":{\"mean\":[0,0,0]}}");
    assert_int_equal(load(&s, "imagenet", &err), SAL_OK);
    assert_true(s.input.mean[0] == 0 && s.input.std[0] == 0.229);
    assert_string_equal(s.input.source.mean, "sidecar");
    assert_string_equal(s.input.source.std, "preset imagenet");
    sal_sidecar_release(&s);
    assert_int_equal(load(&s, "imagnet", &err), SAL_USAGE);
    assert_non_null(strstr(err.text, "imagenet"));
}

static void hugging_face_files_are_read(void **state)
{
    (void)state;
    put("preprocessor_config.json",
        "{\"do_resize\":true,\"size\":{\"height\":224,\"width\":200},\"resample\":3,"
        "\"do_rescale\":true,\"rescale_factor\":0.00392156862745098,"
        "\"image_mean\":[0.5,0.4,0.3],\"image_std\":[0.1,0.2,0.3]}");
    put("config.json", "{\"id2label\":{\"1\":\"dog\",\"0\":\"cat\"},"
                       "\"problem_type\":\"multi_label_classification\"}");
    struct sal_sidecar s;
    struct sal_error err;
    if (load(&s, NULL, &err))
        fail_msg("%s", err.text);
    assert_string_equal(s.source, "preprocessor_config.json");
    assert_int_equal(s.input.height, 224);
    assert_int_equal(s.input.width, 200);
    assert_int_equal(s.input.resize, SAL_BICUBIC);
    assert_true(fabs(s.input.range[1] - 1) < 1e-12 && s.input.mean[1] == 0.4);
    assert_string_equal(s.classes[1].name, "dog");
    assert_int_equal(s.activation, SAL_SIGMOID);
    sal_sidecar_release(&s);
    put("preprocessor_config.json", "{\"size\":{\"shortest_edge\":256},\"crop_size\":224,"
                                    "\"do_center_crop\":true}");
    assert_int_equal(load(&s, NULL, &err), SAL_OK);
    assert_int_equal(s.input.fit, SAL_CROP);
    assert_int_equal(s.input.width, 224);
    assert_non_null(strstr(s.input.source.fit, "left out"));
    sal_sidecar_release(&s);
}

static void monai_bundles_are_read(void **state)
{
    (void)state;
    put("metadata.json",
        "{\"network_data_format\":{\"inputs\":{\"image\":{\"num_channels\":1,"
        "\"spatial_shape\":[64,48],\"value_range\":[-1,1]}},"
        "\"outputs\":{\"pred\":{\"channel_def\":{\"0\":\"no\",\"1\":\"yes\"}}}}}");
    struct sal_sidecar s;
    assert_int_equal(load(&s, NULL, NULL), SAL_OK);
    assert_int_equal(s.input.channels, SAL_GRAY);
    assert_int_equal(s.input.height, 64);
    assert_true(s.input.range[0] == -1);
    assert_string_equal(s.classes[1].name, "yes");
    sal_sidecar_release(&s);
}

static void names_inside_the_model_are_read(void **state)
{
    (void)state;
    static const char *const spellings[] = {"[\"cat\",\"it's\"]",
                                            "{\"0\":\"cat\",\"1\":\"it's\"}",
                                            "{0: 'cat', 1: \"it's\"}"};
    for (size_t i = 0; i < sizeof(spellings) / sizeof(*spellings); i++) {
        struct sal_metadata names = {"names", spellings[i]};
        struct sal_sidecar s;
        assert_int_equal(
            sal_sidecar_load(&s,
                             &(struct sal_sidecar_request){.model_path = at("model.onnx"),
                                                           .metadata = &names,
                                                           .n_metadata = 1},
                             NULL),
            SAL_OK);
        assert_int_equal(s.n_classes, 2);
        assert_string_equal(s.classes[1].name, "it's");
        sal_sidecar_release(&s);
    }
    static const char *const odd[] = {"", "{", "{0:", "{0: 'a", "{5: 'a'}", "{0 'a'}", "'a'"};
    for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
        struct sal_metadata names = {"names", odd[i]};
        struct sal_sidecar s;
        assert_int_equal(
            sal_sidecar_load(&s,
                             &(struct sal_sidecar_request){.model_path = at("model.onnx"),
                                                           .metadata = &names,
                                                           .n_metadata = 1},
                             NULL),
            SAL_OK);
        sal_sidecar_release(&s);
    }
}

#define in_a_folder(test) cmocka_unit_test_setup_teardown(test, fresh, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_a_folder(the_whole_format_is_read),
        in_a_folder(what_is_wrong_is_told_by_key),
        in_a_folder(a_file_nested_without_end_is_refused),
        in_a_folder(nothing_found_is_said),
        in_a_folder(a_preset_is_completed_by_a_file),
        in_a_folder(hugging_face_files_are_read),
        in_a_folder(monai_bundles_are_read),
        in_a_folder(names_inside_the_model_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
