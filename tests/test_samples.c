/* The bundled samples: every expected logit and the expected map, through the whole
 * way from the file to the score. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "saliscope/explain.h"

static struct sal_model *model;
static json_t *expected;

static int open_samples(void **state)
{
    (void)state;
    struct sal_error err;
    if (sal_model_open(&model, "samples/models/phantom.onnx",
                       &(struct sal_model_options){0}, &err)) {
        print_error("%s\n", err.text);
        return -1;
    }
    expected = json_load_file("samples/expected.json", 0, NULL);
    return expected ? 0 : -1;
}

static int close_samples(void **state)
{
    (void)state;
    json_decref(expected);
    sal_model_close(model);
    return 0;
}

static sal_real *prepare(const char *name)
{
    char path[256];
    struct sal_image image;
    struct sal_error err;
    const struct sal_model_input *input = sal_model_input(model);
    sal_real *x = malloc(sizeof(*x) * (size_t)input->width * (size_t)input->height);
    snprintf(path, sizeof(path), "samples/%s", name);
    if (sal_image_load(&image, path, SAL_SANDBOX_BEST, &err) ||
        sal_model_prepare(model, &image, x, &err))
        fail_msg("%s", err.text);
    sal_image_release(&image);
    return x;
}

/* JPEG decoders may differ by a level; nothing else may. */
static double tolerance(const char *name)
{
    return strstr(name, ".jpg") ? 1e-2 : 1e-4;
}

static void every_logit_is_the_expected_one(void **state)
{
    (void)state;
    json_t *list = json_object_get(expected, "cases"), *entry;
    size_t i;
    assert_true(json_array_size(list) >= 9);
    json_array_foreach(list, i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "image"));
        sal_real *x = prepare(name);
        struct sal_run *run;
        assert_int_equal(sal_run_open(&run, model, &(struct sal_run_options){0}, NULL), SAL_OK);
        assert_int_equal(sal_run_forward(run, x, NULL, NULL), SAL_OK);
        const sal_real *logits = sal_run_value(run, sal_model_output(model)->value, NULL);
        for (int k = 0; k < sal_model_output(model)->n; k++) {
            double e = json_number_value(
                json_array_get(json_object_get(entry, "logits"), (size_t)k));
            if (!(fabs((double)logits[k] - e) <= tolerance(name) * fmax(1, fabs(e))))
                fail_msg("%s: logit %d is %.6f, expected %.6f", name, k, (double)logits[k], e);
        }
        sal_run_close(run);
        free(x);
    }
}

static void the_map_is_the_expected_one(void **state)
{
    (void)state;
    const json_t *gradcam = json_object_get(expected, "gradcam");
    sal_real *x = prepare(json_string_value(json_object_get(gradcam, "image")));
    struct sal_question question = {
        .model = model,
        .x = x,
        .class_index = sal_model_class_find(
            model, json_string_value(json_object_get(gradcam, "class"))),
        .layer = -1};
    struct sal_map map;
    assert_int_equal(sal_explain(sal_method_find("gradcam"), &question, &map, NULL), SAL_OK);
    assert_string_equal(sal_model_value(model, map.layer).name,
                        json_string_value(json_object_get(gradcam, "layer")));
    for (int y = 0; y < map.grid_height; y++)
        for (int c = 0; c < map.grid_width; c++) {
            const json_t *row = json_array_get(json_object_get(gradcam, "map"), (size_t)y);
            double e = json_number_value(json_array_get(row, (size_t)c));
            assert_true(fabs((double)map.grid[y * map.grid_width + c] - e) <= 1e-5);
        }
    sal_map_release(&map);
    free(x);
}

/* The hot spot of each finding lies on it, by the masks. */
static void the_peak_lies_on_the_finding(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"images/nodule-clear.png", "masks/nodule-clear.png", "nodule"},
        {"images/consolidation.png", "masks/consolidation.png", "consolidation"},
        {"images/two-findings.png", "masks/two-findings.nodule.png", "nodule"},
        {"images/two-findings.png", "masks/two-findings.consolidation.png", "consolidation"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        sal_real *x = prepare(cases[i][0]);
        struct sal_question question = {.model = model,
                                        .x = x,
                                        .class_index = sal_model_class_find(model, cases[i][2]),
                                        .layer = -1};
        struct sal_map map;
        struct sal_image mask;
        char path[256];
        assert_int_equal(sal_explain(sal_methods[0], &question, &map, NULL), SAL_OK);
        snprintf(path, sizeof(path), "samples/%s", cases[i][1]);
        assert_int_equal(sal_image_load(&mask, path, SAL_SANDBOX_BEST, NULL), SAL_OK);
        int peak = 0;
        for (int k = 0; k < map.width * map.height; k++)
            peak = map.values[k] > map.values[peak] ? k : peak;
        int px = (int)((peak % map.width + 0.5) * mask.width / map.width);
        int py = (int)((peak / map.width + 0.5) * mask.height / map.height);
        if (!mask.samples[(py * mask.width + px) * mask.channels])
            fail_msg("%s: the peak of %s is at %d, %d, outside its mask", cases[i][0],
                     cases[i][2], px, py);
        sal_image_release(&mask);
        sal_map_release(&map);
        free(x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_logit_is_the_expected_one),
        cmocka_unit_test(the_map_is_the_expected_one),
        cmocka_unit_test(the_peak_lies_on_the_finding),
    };
    return cmocka_run_group_tests(tests, open_samples, close_samples);
}
