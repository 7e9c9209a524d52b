/* The bundled samples: what every model is expected to make of every picture and the
 * expected map, through the whole way from the file to the score; what the shortcut
 * model is there to show; that the manifest's files exist and are the published ones. */
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

#include "saliscope/explain.h"
#include "saliscope/file.h"
#include "saliscope/sha256.h"

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

static sal_real *prepare_for(const struct sal_model *any, const char *name)
{
    char path[256];
    struct sal_image image;
    struct sal_error err;
    const struct sal_model_input *input = sal_model_input(any);
    sal_real *x = malloc(sizeof(*x) * (size_t)input->width * (size_t)input->height);
    snprintf(path, sizeof(path), "samples/%s", name);
    if (sal_image_load(&image, path, SAL_SANDBOX_BEST, &err) ||
        sal_model_prepare(any, &image, x, &err))
        fail_msg("%s", err.text);
    sal_image_release(&image);
    return x;
}

static sal_real *prepare(const char *name)
{
    return prepare_for(model, name);
}

/* JPEG decoders may differ by a level; nothing else may. */
static double tolerance(const char *name)
{
    return strstr(name, ".jpg") ? 1e-2 : 1e-4;
}

/* Logits of one picture, at most two. */
static void score(const struct sal_model *any, const char *name, double logits[2])
{
    sal_real *x = prepare_for(any, name);
    struct sal_run *run;
    assert_int_equal(sal_run_open(&run, any, &(struct sal_run_options){0}, NULL), SAL_OK);
    assert_int_equal(sal_run_forward(run, x, NULL, NULL), SAL_OK);
    const sal_real *z = sal_run_value(run, sal_model_output(any)->value, NULL);
    for (int k = 0; k < sal_model_output(any)->n; k++)
        logits[k] = (double)z[k];
    sal_run_close(run);
    free(x);
}

static void expect_logits(const struct sal_model *any, const char *of, const json_t *list)
{
    const json_t *entry;
    size_t i;
    json_array_foreach(list, i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "image"));
        const json_t *due = json_object_get(entry, "logits");
        double logits[2];
        assert_int_equal(sal_model_output(any)->n, json_array_size(due));
        score(any, name, logits);
        for (size_t k = 0; k < json_array_size(due); k++) {
            double e = json_number_value(json_array_get(due, k));
            if (!(fabs(logits[k] - e) <= tolerance(name) * fmax(1, fabs(e))))
                fail_msg("%s, %s: logit %zu is %.6f, expected %.6f", of, name, k, logits[k],
                         e);
        }
    }
}

static struct sal_model *open_model(const char *name)
{
    char path[256];
    struct sal_error err;
    struct sal_model *opened;
    snprintf(path, sizeof(path), "samples/%s", name);
    if (sal_model_open(&opened, path, &(struct sal_model_options){0}, &err))
        fail_msg("%s", err.text);
    return opened;
}

static void every_logit_is_the_expected_one(void **state)
{
    (void)state;
    const json_t *models = json_object_get(expected, "models"), *entry;
    size_t i;
    assert_true(json_array_size(models) >= 8);
    assert_true(json_array_size(json_object_get(expected, "cases")) >= 24);
    json_array_foreach(models, i, entry)
    {
        const char *path = json_string_value(json_object_get(entry, "path"));
        struct sal_model *any = open_model(path);
        expect_logits(any, path, json_object_get(entry, "cases"));
        sal_model_close(any);
    }
}

/* One in nine, for the sake of valgrind. */
static void the_cohort_scores_as_expected(void **state)
{
    (void)state;
    json_t *cohort = json_object_get(expected, "cohort"), *due;
    const char *name;
    size_t seen = 0;
    json_object_foreach(json_object_get(cohort, "logits"), name, due)
    {
        if (seen++ % 9)
            continue;
        double logits[2];
        score(model, name, logits);
        for (size_t k = 0; k < 2; k++) {
            double e = json_number_value(json_array_get(due, k));
            if (!(fabs(logits[k] - e) <= 1e-4 * fmax(1, fabs(e))))
                fail_msg("%s: logit %zu is %.6f, expected %.6f", name, k, logits[k], e);
        }
    }
    assert_true(seen >= 400);
}

/* The pairs are the same chest with and without the site marker. */
static void erasing_the_marker_undoes_the_shortcut_and_nothing_else(void **state)
{
    (void)state;
    const json_t *flips = json_object_get(expected, "flips"), *pair;
    struct sal_model *shortcut =
        open_model(json_string_value(json_object_get(flips, "model")));
    size_t i;
    json_array_foreach(json_object_get(flips, "pairs"), i, pair)
    {
        const char *with = json_string_value(json_array_get(pair, 0));
        const char *without = json_string_value(json_array_get(pair, 1));
        double marked[2], bare[2];
        score(shortcut, with, marked);
        score(shortcut, without, bare);
        if (!(marked[0] > 0 && bare[0] < 0))
            fail_msg("%s has %.3f, %s %.3f", with, marked[0], without, bare[0]);
        score(model, with, marked);
        score(model, without, bare);
        assert_int_equal(marked[0] > 0, bare[0] > 0);
    }
    assert_true(i >= 2);
    sal_model_close(shortcut);
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

/* ---- files ------------------------------------------------------------------------- */

static char *text_of(const char *path)
{
    struct sal_file file;
    struct sal_error err;
    if (sal_file_read(&file, path, 1 << 20, &err))
        fail_msg("%s", err.text);
    char *text = strndup((const char *)file.bytes.data, file.bytes.size);
    sal_file_close(&file);
    return text;
}

static void expect_file(const char *name, size_t length)
{
    char path[256];
    snprintf(path, sizeof(path), "samples/%.*s", (int)length, name);
    if (access(path, R_OK))
        fail_msg("cases.csv: there is no %s", path);
}

/* No field is quoted, so a comma always ends one. The columns image and roi are the
 * first and the fourth. */
static void every_row_of_the_manifest_has_its_files(void **state)
{
    (void)state;
    char *text = text_of("samples/cases.csv"), *rest = text, *line = strsep(&rest, "\n");
    int rows = 0, small = 0;
    assert_null(strchr(text, '"'));
    assert_int_equal(strncmp(line, "image,nodule,consolidation,roi,patient,site,", 44), 0);
    for (const char *const *column =
             (const char *const[]){"group:habitus", "group:sex", "group:age", "date",
                                   "reader:R1", "reader:R2", "reader:R3", NULL};
         *column; column++)
        assert_non_null(strstr(line, *column));
    while ((line = strsep(&rest, "\n")) && *line) {
        const char *field[5] = {line};
        for (int k = 1; k < 5; k++) {
            assert_non_null(strchr(field[k - 1], ','));
            field[k] = strchr(field[k - 1], ',') + 1;
        }
        expect_file(field[0], (size_t)(field[1] - field[0] - 1));
        if (field[4] - field[3] > 1)
            expect_file(field[3], (size_t)(field[4] - field[3] - 1));
        rows++;
        small += strncmp(line, "cohort/", 7) == 0;
    }
    assert_true(rows - small >= 24);
    assert_true(small >= 400);
    free(text);
}

static void every_checksum_is_right(void **state)
{
    (void)state;
    char *text = text_of("samples/SHA256SUMS"), *rest = text, *line;
    int files = 0;
    while ((line = strsep(&rest, "\n")) && *line) {
        char path[256], hex[65];
        struct sal_file file;
        struct sal_error err;
        assert_true(strlen(line) > 66);
        snprintf(path, sizeof(path), "samples/%s", line + 66);
        if (sal_file_map(&file, path, 1 << 24, &err))
            fail_msg("%s", err.text);
        sal_sha256_hex(file.bytes.data, file.bytes.size, hex);
        sal_file_close(&file);
        if (strncmp(hex, line, 64) != 0)
            fail_msg("SHA256SUMS does not match %s", path);
        files++;
    }
    assert_true(files >= 500);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_logit_is_the_expected_one),
        cmocka_unit_test(the_map_is_the_expected_one),
        cmocka_unit_test(the_peak_lies_on_the_finding),
        cmocka_unit_test(the_cohort_scores_as_expected),
        cmocka_unit_test(erasing_the_marker_undoes_the_shortcut_and_nothing_else),
        cmocka_unit_test(every_row_of_the_manifest_has_its_files),
        cmocka_unit_test(every_checksum_is_right),
    };
    return cmocka_run_group_tests(tests, open_samples, close_samples);
}
