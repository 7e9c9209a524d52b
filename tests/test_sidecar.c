/* Sidecars: what they say is taken to the letter, what is wrong is told by file and
 * key, and every value knows where it came from. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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
        {"{\"classes\":[\"a\"],\"prevalence\":[\"x\"]}", "prevalence"},
        {"{\"classes\":[\"a\"],\"prevalence\":[1.5]}", "prevalence"},
        {"{\"limitations\":[1]}", "limitations"},
        {"{\"input\":{\"range\":[1,1]}}", "input.range"},
        {"{\"calibration\":{\"temperature\":0}}", "temperature"},
        {"{\"calibration\":1.5}", "calibration"},
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

static void a_preset_does_not_complete_other_pixels(void **state)
{
    (void)state;
    struct sal_sidecar s;
    struct sal_error err;
    put("model.json", "{\"input\":{\"range\":[0,255],\"std\":[2,2,2]}}");
    assert_int_equal(load(&s, "imagenet", &err), SAL_USAGE);
    assert_string_equal(err.text, "preset imagenet is for RGB in 0..1, model.json says RGB in "
                                  "0..255: give mean and std there");
    put("model.json", "{\"input\":{\"channels\":\"BGR\"}}");
    assert_int_equal(load(&s, "imagenet", &err), SAL_USAGE);
    put("model.json", "{\"input\":{\"channels\":\"gray3\"}}");
    assert_int_equal(load(&s, "imagenet", &err), SAL_OK);
    sal_sidecar_release(&s);
    put("model.json", "{\"input\":{\"range\":[0,255],\"mean\":[1,1,1],\"std\":[2,2,2]}}");
    assert_int_equal(load(&s, "imagenet", &err), SAL_OK);
    sal_sidecar_release(&s);
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

static void hugging_face_switches_are_obeyed(void **state)
{
    (void)state;
    struct sal_sidecar s;
    struct sal_error err;
    put("preprocessor_config.json",
        "{\"size\":64,\"do_normalize\":false,\"image_mean\":[0.5,0.5,0.5],"
        "\"image_std\":[0.5,0.5,0.5],\"rescale_factor\":0.00784313725490196,"
        "\"rescale_offset\":true,\"resample\":0}");
    put("config.json", "{\"num_channels\":1,\"problem_type\":\"regression\"}");
    if (load(&s, NULL, &err))
        fail_msg("%s", err.text);
    assert_true(s.input.mean[0] == 0 && s.input.std[0] == 1);
    assert_true(s.input.range[0] == -1 && fabs(s.input.range[1] - 1) < 1e-12);
    assert_int_equal(s.input.channels, SAL_GRAY);
    assert_int_equal(s.input.resize, SAL_NEAREST);
    assert_int_equal(s.input.fit, SAL_STRETCH);
    assert_int_equal(s.input.height, 64);
    assert_int_equal(s.activation, SAL_ACTIVATION_NONE);
    assert_string_equal(s.activation_source, "config.json");
    sal_sidecar_release(&s);
    static const char *const wrong[][2] = {
        {"{\"size\":1e300}", "size"},
        {"{\"size\":\"224\"}", "size"},
        {"{\"size\":{\"height\":0}}", "size.height"},
        {"{\"resample\":5}", "resample"},
        {"{\"image_std\":[0,1,1]}", "image_std"},
        {"{\"rescale_factor\":0}", "rescale_factor"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        put("preprocessor_config.json", wrong[i][0]);
        assert_int_equal(load(&s, NULL, &err), SAL_BAD_INPUT);
        assert_non_null(strstr(err.text, "preprocessor_config.json"));
        assert_non_null(strstr(err.text, wrong[i][1]));
    }
}

static void exporters_subfolders_are_known(void **state)
{
    (void)state;
    struct sal_sidecar s;
    assert_int_equal(mkdir(at("onnx"), 0700), 0);
    assert_int_equal(mkdir(at("models"), 0700), 0);
    assert_int_equal(mkdir(at("configs"), 0700), 0);
    put("preprocessor_config.json", "{\"size\":48}");
    put("config.json", "{\"id2label\":{\"0\":\"a\"}}");
    put("configs/metadata.json", "{\"network_data_format\":{\"inputs\":{\"image\":"
                                 "{\"num_channels\":1,\"spatial_shape\":[64,64]}}}}");
    assert_int_equal(
        sal_sidecar_load(&s, &(struct sal_sidecar_request){.model_path = at("onnx/m.onnx")},
                         NULL), SAL_OK);
    assert_int_equal(s.input.width, 48);
    assert_int_equal(s.n_classes, 1);
    sal_sidecar_release(&s);
    assert_int_equal(
        sal_sidecar_load(&s, &(struct sal_sidecar_request){.model_path = at("models/m.onnx")},
                         NULL), SAL_OK);
    assert_string_equal(s.source, "metadata.json");
    assert_int_equal(s.input.width, 64);
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

static void load_metadata(struct sal_sidecar *s, const struct sal_metadata *metadata, int n)
{
    const struct sal_sidecar_request request = {
        .model_path = at("model.onnx"), .metadata = metadata, .n_metadata = n};
    struct sal_error err;
    if (sal_sidecar_load(s, &request, &err))
        fail_msg("%s: %s", metadata->value, err.text);
}

static void names_inside_the_model_are_read(void **state)
{
    (void)state;
    static const char *const spellings[] = {
        "[\"cat\",\"it's\"]",      "{\"0\":\"cat\",\"1\":\"it's\"}",
        "{0: 'cat', 1: \"it's\"}", "{1: 'it\\'s', 0: 'cat',}",
        "['cat', 'it\\'s']",       "('cat', \"it's\")",
        " { '0' : 'cat' , '1' : \"it's\" } ",
    };
    for (size_t i = 0; i < sizeof(spellings) / sizeof(*spellings); i++) {
        struct sal_metadata names = {"names", spellings[i]};
        struct sal_sidecar s;
        load_metadata(&s, &names, 1);
        assert_int_equal(s.n_classes, 2);
        assert_string_equal(s.classes[0].name, "cat");
        assert_string_equal(s.classes[1].name, "it's");
        assert_string_equal(s.source, "none");
        sal_sidecar_release(&s);
    }
}

static void names_that_are_none_are_passed_over(void **state)
{
    (void)state;
    static const char *const odd[] = {
        "", "{", "{0", "{0:", "{0: 'a", "{0: 'a'", "{5: 'a'}", "{0 'a'}", "'a'", "[", "(", "[1, 2]",
        "{'cat': 0, 'dog': 1}", "{0: '\xff', 1: 'b'}", "['a'] ['b']", "'", "\\", "'\\",
        "[[[[[[[[[[[['a']]]]]]]]]]]]", "{0: None}", "a,b"};
    for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
        char *copy = strdup(odd[i]); /* its own block: reads past it show */
        struct sal_metadata names = {"names", copy};
        struct sal_sidecar s;
        load_metadata(&s, &names, 1);
        assert_int_equal(s.n_classes, 0);
        sal_sidecar_release(&s);
        free(copy);
    }
}

static void pixels_stated_inside_the_model_are_read(void **state)
{
    (void)state;
    struct sal_sidecar s;
    load_metadata(&s, (struct sal_metadata[]){{"mean", "[0.5, 0.4, 0.3]"}, {"std", "(0.2, 0.2, 0.2)"},
                                              {"input_size", "[3, 20, 30]"}}, 3);
    assert_string_equal(s.source, "model");
    assert_true(s.input.mean[1] == 0.4 && s.input.std[2] == 0.2 && s.input.range[1] == 1);
    assert_true(s.input.height == 20 && s.input.width == 30);
    assert_string_equal(s.input.source.mean, "model");
    assert_string_equal(s.input.source.range, "default");
    sal_sidecar_release(&s);
    load_metadata(&s, &(struct sal_metadata){"mean", "[123.7, 116.3, 103.5]"}, 1);
    assert_true(s.input.range[1] == 255);
    assert_string_equal(s.input.source.range, "model, whose mean is above 1");
    sal_sidecar_release(&s);
    load_metadata(&s, (struct sal_metadata[]){{"Image.BitmapPixelFormat", "Bgr8"},
                                              {"Image.NominalPixelRange", "Normalized_1_1"}}, 2);
    assert_int_equal(s.input.channels, SAL_BGR);
    assert_true(s.input.range[0] == -1 && s.input.range[1] == 1);
    sal_sidecar_release(&s);
    load_metadata(&s, (struct sal_metadata[]){{"mean", "[1, 2]"}, {"std", "0"}, {"size", "-3"},
                                              {"imgsz", "1e300"}}, 4);
    assert_string_equal(s.source, "none");
    assert_true(s.input.mean[0] == 0 && s.input.std[0] == 1 && s.input.width == 0);
    sal_sidecar_release(&s);
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
        in_a_folder(a_preset_does_not_complete_other_pixels),
        in_a_folder(hugging_face_files_are_read),
        in_a_folder(hugging_face_switches_are_obeyed),
        in_a_folder(exporters_subfolders_are_known),
        in_a_folder(monai_bundles_are_read),
        in_a_folder(names_inside_the_model_are_read),
        in_a_folder(names_that_are_none_are_passed_over),
        in_a_folder(pixels_stated_inside_the_model_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
