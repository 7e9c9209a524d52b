#include <jansson.h>
#include <math.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "onnx_build.h"
#include "saliscope/file.h"
#include "saliscope/npy.h"
#include "saliscope/session.h"

enum { SIDE = 8, CLASSES = 3, PATH_SIZE = 256 };

/* A folder with a small model and two images of unequal shape. */
struct fixture {
    char folder[64];
    char model[PATH_SIZE], sidecar[PATH_SIZE], bright[PATH_SIZE], wide[PATH_SIZE];
    struct sal_session *session;
    int wake;
};

static const char sidecar_text[] =
    "{\"name\": \"tiny\", \"version\": \"1\", \"intended_use\": \"tests only\",\n"
    " \"input\": {\"channels\": \"gray\", \"resize\": \"bilinear\", \"range\": [0, 1]},\n"
    " \"classes\": [{\"name\": \"none\"}, {\"name\": \"nodule\", \"threshold\": 0.4},\n"
    "              {\"name\": \"other\"}]}\n";

/* ---- making the folder -------------------------------------------------------------- */

static void put(const char *path, const void *data, size_t size)
{
    assert_int_equal(sal_file_write(path, data, size, NULL), SAL_OK);
}

static void make_model(const char *path)
{
    float conv[2 * 9], gemm[2 * CLASSES], bias[CLASSES] = {0.1f, -0.2f, 0.3f};
    for (int i = 0; i < 18; i++)
        conv[i] = 0.1f * (float)((i * 7) % 11 - 4);
    for (int i = 0; i < 2 * CLASSES; i++)
        gemm[i] = (float)(i % 4) - 1.5f;
    struct onnx_build b;
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 4, (int64_t[]){1, 1, SIDE, SIDE});
    onnx_build_weights(&b, "w", 4, (int64_t[]){2, 1, 3, 3}, conv);
    onnx_build_weights(&b, "g", 2, (int64_t[]){2, CLASSES}, gemm);
    onnx_build_weights(&b, "b", 1, (int64_t[]){CLASSES}, bias);
    onnx_build_node(&b, "Conv", "x,w", "c");
    onnx_build_ints(&b, "pads", 4, (int64_t[]){1, 1, 1, 1});
    onnx_build_node(&b, "Relu", "c", "features");
    onnx_build_node(&b, "GlobalAveragePool", "features", "p");
    onnx_build_node(&b, "Flatten", "p", "f");
    onnx_build_node(&b, "Gemm", "f,g,b", "logits");
    onnx_build_node(&b, "Softmax", "logits", "probs");
    onnx_build_output(&b, "probs", SAL_ONNX_FLOAT, 2, (int64_t[]){1, CLASSES});
    struct sal_span bytes = onnx_build_finish(&b);
    put(path, bytes.data, bytes.size);
    onnx_build_release(&b);
}

static void make_image(const char *path, int width, int height, int bits)
{
    struct sal_image image;
    assert_int_equal(sal_image_init(&image, width, height, 1, bits, NULL), SAL_OK);
    for (int i = 0; i < width * height; i++)
        image.samples[i] = (uint16_t)((unsigned)(i * 37) % (image.max + 1));
    struct sal_buffer png = {0};
    assert_int_equal(sal_image_encode_png(&image, 0, NULL, 0, &png, NULL), SAL_OK);
    put(path, png.data, png.size);
    sal_buffer_release(&png);
    sal_image_release(&image);
}

static void in_folder(const struct fixture *f, const char *name, char *path)
{
    snprintf(path, PATH_SIZE, "%s/%s", f->folder, name);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    strcpy(f->folder, "/tmp/saliscope-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    in_folder(f, "tiny.onnx", f->model);
    in_folder(f, "tiny.json", f->sidecar);
    in_folder(f, "bright.png", f->bright);
    in_folder(f, "wide.png", f->wide);
    make_model(f->model);
    put(f->sidecar, sidecar_text, sizeof(sidecar_text) - 1);
    make_image(f->bright, 12, 12, 8);
    make_image(f->wide, 20, 10, 16);
    struct sal_session_options options = {.threads = 2, .seed = 7, .previews = true};
    struct sal_error err = {0};
    if (sal_session_open(&f->session, f->model, &options, &err))
        print_message("%s\n", err.text);
    assert_non_null(f->session);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    sal_session_close(f->session);
    char line[128];
    snprintf(line, sizeof(line), "rm -rf '%s'", f->folder);
    int rc = system(line);
    free(f);
    return rc;
}

static int setup_worker(void **state)
{
    setup(state);
    struct fixture *f = *state;
    assert_int_equal(sal_session_start(f->session, &f->wake, NULL), SAL_OK);
    return 0;
}

static struct sal_session_ask gradcam(int class_index)
{
    struct sal_session_ask ask = {.method = sal_methods[0], .class_index = class_index,
                                  .layer = -1};
    sal_params_init(&ask.params, ask.method->params);
    return ask;
}

/* ---- in the caller's thread ------------------------------------------------------------ */

static void scores_are_probabilities_of_the_logits(void **state)
{
    struct fixture *f = *state;
    struct sal_scores scores;
    assert_int_equal(sal_session_load(f->session, f->bright, NULL), SAL_OK);
    assert_int_equal(sal_session_classify(f->session, &scores, NULL), SAL_OK);
    assert_int_equal(scores.n, CLASSES);
    double sum = 0;
    for (int i = 0; i < scores.n; i++) {
        sum += scores.probabilities[i];
        assert_true(scores.logits[i] <= scores.logits[scores.top]);
    }
    assert_true(fabs(sum - 1) <= 1e-9);
    assert_true(scores.seconds >= 0);
}

/* The first map has its own passes, the second fills what is kept. */
static void moving_between_layers_needs_no_pass(void **state)
{
    struct fixture *f = *state;
    static const int passes[] = {1, 1, 0, 0};
    int n, automatic;
    const struct sal_layer *layers =
        sal_model_layers(sal_session_model(f->session), &n, &automatic);
    const struct sal_map *map;
    struct sal_session_ask ask = gradcam(0);
    assert_true(n >= 2);
    assert_int_equal(sal_session_load(f->session, f->bright, NULL), SAL_OK);
    for (int i = 0; i < 4; i++) {
        ask.layer = layers[i % 2].value;
        assert_int_equal(sal_session_explain(f->session, &ask, &map, NULL), SAL_OK);
        assert_int_equal(map->layer, ask.layer);
        assert_int_equal(map->forwards, passes[i]);
        assert_int_equal(map->backwards, passes[i]);
    }
}

/* In a workbench, which goes from method to method. */
static void bf16_is_for_methods_that_have_it(void **state)
{
    struct fixture *f = *state;
    if (sal_precision_check(SAL_BF16, NULL))
        skip();
    for (int lenient = 0; lenient < 2; lenient++) {
        struct sal_session_options options = {.precision = SAL_BF16, .any_method = lenient};
        struct sal_session *session;
        const struct sal_map *map;
        struct sal_session_ask ask = gradcam(0);
        assert_int_equal(sal_session_open(&session, f->model, &options, NULL), SAL_OK);
        assert_int_equal(sal_session_load(session, f->bright, NULL), SAL_OK);
        assert_int_equal(sal_session_explain(session, &ask, &map, NULL),
                         lenient ? SAL_OK : SAL_USAGE);
        assert_true(!lenient || map->precision == SAL_F32);
        ask.method = sal_method_find("occlusion");
        sal_params_init(&ask.params, ask.method->params);
        assert_int_equal(sal_session_explain(session, &ask, &map, NULL), SAL_OK);
        assert_int_equal(map->precision, SAL_BF16);
        sal_session_close(session);
    }
}

static void a_few_pixels_do_not_set_the_scale_of_gradients(void **state)
{
    struct fixture *f = *state;
    const struct sal_view view = {0}, whole = {.range_mode = SAL_RANGE_MAP};
    assert_int_equal(sal_session_load(f->session, f->bright, NULL), SAL_OK);
    for (int i = 0; sal_methods[i]; i++) {
        if (sal_methods[i]->needs & SAL_NEEDS_ATTENTION)
            continue;
        struct sal_session_ask ask = {.method = sal_methods[i], .layer = -1};
        const struct sal_map *map;
        sal_params_init(&ask.params, ask.method->params);
        assert_int_equal(sal_session_explain(f->session, &ask, &map, NULL), SAL_OK);
        struct sal_range ours = sal_view_range(&view, map), all = sal_view_range(&whole, map);
        double most = fmax(all.high, -all.low), shown = fmax(ours.high, -ours.low);
        assert_true(map->pixelwise == !!(ask.method->needs & SAL_PIXELWISE));
        assert_true(map->pixelwise ? shown <= most : !(shown < most));
        double beyond = sal_range_above(map->values, SIDE * SIDE, ours) +
                        sal_range_below(map->values, SIDE * SIDE, ours);
        assert_true(beyond <= 0.01);
        const struct sal_view p90 = {.range_mode = SAL_RANGE_PERCENTILE, .range.high = 90};
        struct sal_range few = sal_view_range(&p90, map);
        if (strcmp(ask.method->name, "gradient") == 0)
            assert_true(fmax(few.high, -few.low) < most);
        char text[64];
        sal_view_range_text(&view, map, text, sizeof(text));
        assert_string_equal(text, map->pixelwise ? "99 % of this image"
                                                 : "scaled to this image");
    }
}

static void nothing_is_answered_before_an_image_is_loaded(void **state)
{
    struct fixture *f = *state;
    struct sal_scores scores;
    struct sal_error err = {0};
    assert_int_equal(sal_session_classify(f->session, &scores, &err), SAL_USAGE);
    assert_int_equal(sal_session_write(f->session, "/dev/null/x.npy", NULL, SAL_AT_INPUT,
                                       &err),
                     SAL_USAGE);
}

static void a_failed_load_forgets_the_image_before(void **state)
{
    struct fixture *f = *state;
    struct sal_scores scores;
    struct sal_error err = {0};
    assert_int_equal(sal_session_load(f->session, f->bright, NULL), SAL_OK);
    assert_int_equal(sal_session_load(f->session, f->model, &err), SAL_BAD_INPUT);
    assert_int_equal(sal_session_classify(f->session, &scores, &err), SAL_USAGE);
}

static void a_class_that_does_not_exist_is_refused(void **state)
{
    struct fixture *f = *state;
    struct sal_session_ask ask = gradcam(CLASSES);
    const struct sal_map *map;
    struct sal_error err = {0};
    assert_int_equal(sal_session_load(f->session, f->bright, NULL), SAL_OK);
    assert_int_equal(sal_session_explain(f->session, &ask, &map, &err), SAL_USAGE);
}

/* The score a method explains is the logit that classify shows. */
static void the_map_is_of_the_logit_that_was_shown(void **state)
{
    struct fixture *f = *state;
    struct sal_scores scores;
    const struct sal_map *map;
    assert_int_equal(sal_session_load(f->session, f->wide, NULL), SAL_OK);
    assert_int_equal(sal_session_classify(f->session, &scores, NULL), SAL_OK);
    for (int c = -1; c < CLASSES; c++) {
        struct sal_session_ask ask = gradcam(c);
        assert_int_equal(sal_session_explain(f->session, &ask, &map, NULL), SAL_OK);
        double logit = (double)scores.logits[c < 0 ? scores.top : c];
        assert_true(fabs(map->score - logit) <= 1e-6);
        assert_int_equal(map->width, SIDE);
    }
}

/* ---- records ----------------------------------------------------------------------------- */

static json_t *record(struct sal_session *session)
{
    char *text = sal_session_record(session, NULL);
    assert_non_null(text);
    json_error_t error;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        print_message("%s at line %d\n%s\n", error.text, error.line, text);
    free(text);
    assert_non_null(root);
    return root;
}

static void has_keys(const json_t *root, const char *const *keys)
{
    for (; *keys; keys++) {
        if (!json_object_get(root, *keys))
            print_message("missing: %s\n", *keys);
        assert_non_null(json_object_get(root, *keys));
    }
}

static void explain_here(struct fixture *f, int class_index)
{
    struct sal_session_ask ask = gradcam(class_index);
    const struct sal_map *map;
    assert_int_equal(sal_session_load(f->session, f->bright, NULL), SAL_OK);
    assert_int_equal(sal_session_explain(f->session, &ask, &map, NULL), SAL_OK);
}

static void a_record_has_the_keys_of_the_interface(void **state)
{
    struct fixture *f = *state;
    struct sal_scores scores;
    assert_int_equal(sal_session_load(f->session, f->bright, NULL), SAL_OK);
    assert_int_equal(sal_session_classify(f->session, &scores, NULL), SAL_OK);
    json_t *root = record(f->session);
    has_keys(root, (const char *const[]){"saliscope", "command", "model", "image", "seed",
                                         "threads", "warnings", "scores", "activation",
                                         "seconds", NULL});
    has_keys(json_object_get(root, "model"),
             (const char *const[]){"path", "sha256", "opset", "producer", "input",
                                   "preprocessing", NULL});
    has_keys(json_object_get(root, "image"),
             (const char *const[]){"sha256", "width", "height", "bits", NULL});
    json_t *nodule = json_array_get(json_object_get(root, "scores"), 1);
    has_keys(nodule, (const char *const[]){"index", "name", "logit", "probability",
                                           "threshold", "flagged", NULL});
    assert_string_equal(json_string_value(json_object_get(nodule, "name")), "nodule");
    assert_int_equal(json_integer_value(json_object_get(root, "seed")), 7);
    float logit = (float)json_number_value(json_object_get(nodule, "logit"));
    assert_memory_equal(&logit, &scores.logits[1], sizeof(logit));
    json_decref(root);

    explain_here(f, 1);
    root = record(f->session);
    has_keys(root, (const char *const[]){"method", "parameters", "class", "layer", "score",
                                         "map", "checks", "forward_passes",
                                         "backward_passes", "partial", "seconds",
                                         "outputs", NULL});
    has_keys(json_object_get(root, "map"),
             (const char *const[]){"width", "height", "min", "max", "unit", "sha256", NULL});
    assert_null(json_object_get(root, "scores"));
    const char *command = json_string_value(json_object_get(root, "command"));
    assert_non_null(strstr(command, "saliscope explain -m "));
    assert_non_null(strstr(command, " -c 1 -l features"));
    assert_non_null(strstr(command, " --seed 7 "));
    json_decref(root);
}

static void a_redacted_record_names_no_file(void **state)
{
    struct fixture *f = *state;
    sal_session_close(f->session);
    struct sal_session_options options = {.redact_paths = true,
                                          .program = "saliscope explain bright.png"};
    assert_int_equal(sal_session_open(&f->session, f->model, &options, NULL), SAL_OK);
    explain_here(f, -1);
    char npy[PATH_SIZE];
    in_folder(f, "bright-map.npy", npy);
    assert_int_equal(sal_session_write(f->session, npy, NULL, SAL_AT_INPUT, NULL), SAL_OK);
    char *text = sal_session_record(f->session, NULL);
    assert_null(strstr(text, "bright"));
    assert_null(strstr(text, "tiny.onnx"));
    assert_null(strstr(text, "tiny.json"));
    assert_null(strstr(text, f->folder));
    assert_non_null(strstr(text, "IMAGE"));
    free(text);
}

/* ---- writers ------------------------------------------------------------------------------- */

static struct sal_npy read_npy(const char *path)
{
    struct sal_file file;
    struct sal_npy array;
    assert_int_equal(sal_file_read(&file, path, 1 << 20, NULL), SAL_OK);
    assert_int_equal(sal_npy_decode(&array, file.bytes, path, NULL), SAL_OK);
    sal_file_close(&file);
    return array;
}

static void a_map_is_written_at_each_resolution(void **state)
{
    struct fixture *f = *state;
    struct sal_session_ask ask = gradcam(2);
    const struct sal_map *map;
    char path[PATH_SIZE];
    in_folder(f, "map.NPY", path);
    assert_int_equal(sal_session_load(f->session, f->wide, NULL), SAL_OK);
    assert_int_equal(sal_session_explain(f->session, &ask, &map, NULL), SAL_OK);
    const int64_t shapes[][2] = {[SAL_AT_INPUT] = {SIDE, SIDE},
                                 [SAL_AT_LAYER] = {map->grid_height, map->grid_width},
                                 [SAL_AT_IMAGE] = {10, 20}};
    for (int at = SAL_AT_INPUT; at <= SAL_AT_IMAGE; at++) {
        assert_int_equal(sal_session_write(f->session, path, NULL, (enum sal_at)at, NULL),
                         SAL_OK);
        struct sal_npy array = read_npy(path);
        assert_int_equal(array.rank, 2);
        assert_memory_equal(array.shape, shapes[at], sizeof(shapes[at]));
        if (at == SAL_AT_INPUT)
            assert_memory_equal(array.data, map->values, SIDE * SIDE * sizeof(float));
        sal_npy_release(&array);
    }
}

static bool holds(const char *path, const char *text)
{
    struct sal_file file;
    assert_int_equal(sal_file_read(&file, path, 1 << 26, NULL), SAL_OK);
    bool found = memmem(file.bytes.data, file.bytes.size, text, strlen(text)) != NULL;
    sal_file_close(&file);
    return found;
}

static void every_writer_writes_and_the_record_lists_it(void **state)
{
    struct fixture *f = *state;
    struct sal_error err = {0};
    explain_here(f, 1);
    for (const struct sal_writer *row = sal_writers; row->extension; row++) {
        char name[32], path[PATH_SIZE];
        snprintf(name, sizeof(name), "result%s", row->extension);
        in_folder(f, name, path);
        if (sal_session_write(f->session, path, NULL, SAL_AT_INPUT, &err))
            print_message("%s\n", err.text);
        assert_int_equal(access(path, R_OK), 0);
        assert_int_equal(err.status, SAL_OK);
    }
    json_t *root = record(f->session);
    assert_int_equal(json_array_size(json_object_get(root, "outputs")), 7);
    json_decref(root);
    explain_here(f, 2); /* another map: the list starts anew */
    assert_null(sal_session_outputs(f->session)[0]);
    char again[PATH_SIZE];
    in_folder(f, "again.npy", again);
    assert_int_equal(sal_session_write(f->session, again, NULL, SAL_AT_INPUT, NULL), SAL_OK);
    assert_string_equal(sal_session_outputs(f->session)[0], again);
    assert_null(sal_session_outputs(f->session)[1]);
}

static void a_figure_carries_its_record_but_no_file_name(void **state)
{
    struct fixture *f = *state;
    struct sal_image image;
    char path[PATH_SIZE];
    in_folder(f, "figure.png", path);
    explain_here(f, 1);
    assert_int_equal(sal_session_write(f->session, path, NULL, SAL_AT_INPUT, NULL), SAL_OK);
    assert_true(holds(path, "Software"));
    assert_true(holds(path, "\"saliscope\": \"" SAL_VERSION "\""));
    assert_true(holds(path, "\"method\": \"gradcam\""));
    assert_false(holds(path, "bright"));
    assert_false(holds(path, f->folder));
    assert_int_equal(sal_image_load(&image, path, SAL_SANDBOX_OFF, NULL), SAL_OK);
    assert_true(image.width > image.height);
    sal_image_release(&image);
}

static void check_record(struct sal_session *session, const char *there, const char *not_there)
{
    char *text = sal_session_record(session, NULL);
    assert_non_null(text);
    assert_non_null(strstr(text, there));
    assert_null(strstr(text, not_there));
    free(text);
}

static void files_are_about_the_result_that_is_chosen(void **state)
{
    struct fixture *f = *state;
    const struct sal_map *map;
    const struct sal_probe_answer *answer;
    struct sal_session_ask explain = gradcam(0), probe = {.probe = sal_probe_find("fgsm")};
    sal_params_init(&probe.params, probe.probe->params);
    assert_int_equal(sal_session_load(f->session, f->bright, NULL), SAL_OK);
    assert_int_equal(sal_session_explain(f->session, &explain, &map, NULL), SAL_OK);
    char path[PATH_SIZE];
    in_folder(f, "answer.npy", path);
    struct sal_error err = {0};
    sal_session_choose(f->session, SAL_RESULT_ANSWER);
    assert_int_equal(sal_session_write(f->session, path, NULL, SAL_AT_INPUT, &err), SAL_USAGE);
    assert_non_null(strstr(err.text, "no answer"));
    check_record(f->session, "\"scores\"", "\"method\"");
    sal_session_choose(f->session, SAL_RESULT_NEWEST);
    assert_int_equal(sal_session_probe(f->session, &probe, &answer, NULL), SAL_OK);
    check_record(f->session, "\"probe\": \"fgsm\"", "\"method\"");
    sal_session_choose(f->session, SAL_RESULT_MAP);
    check_record(f->session, "\"method\": \"gradcam\"", "\"probe\"");
    assert_int_equal(sal_session_write(f->session, path, NULL, SAL_AT_INPUT, &err), SAL_OK);
    assert_non_null(sal_session_outputs(f->session)[0]);
    sal_session_choose(f->session, SAL_RESULT_ANSWER);
    check_record(f->session, "\"probe\": \"fgsm\"", "\"method\"");
    assert_null(sal_session_outputs(f->session)[0]);
}

static void an_extension_without_writer_is_told(void **state)
{
    (void)state;
    struct sal_error err = {0};
    assert_null(sal_writer_find("map.gif", &err));
    assert_int_equal(err.status, SAL_USAGE);
    assert_non_null(strstr(err.text, ".npy"));
    assert_non_null(sal_writer_find("-", &err));
}

/* ---- through the worker ---------------------------------------------------------------------- */

static struct sal_snapshot settled(struct fixture *f)
{
    struct sal_snapshot snapshot;
    for (;;) {
        sal_session_snapshot(f->session, &snapshot);
        if (snapshot.state == SAL_IDLE)
            return snapshot;
        struct pollfd wake = {.fd = f->wake, .events = POLLIN};
        assert_int_equal(poll(&wake, 1, 60000), 1);
    }
}

static void the_worker_answers_as_the_caller_would(void **state)
{
    struct fixture *f = *state;
    struct sal_session_ask ask = gradcam(-1);
    sal_session_request(f->session, f->bright, &ask);
    struct sal_snapshot snapshot = settled(f);
    assert_int_equal(snapshot.error.status, SAL_OK);
    assert_string_equal(snapshot.image_path, f->bright);
    assert_non_null(snapshot.map);
    assert_int_equal(snapshot.ask.class_index, snapshot.scores.top);
    assert_int_equal(snapshot.ask.layer, snapshot.map->layer);

    struct sal_session *direct;
    struct sal_session_options options = {.threads = 1};
    const struct sal_map *map;
    assert_int_equal(sal_session_open(&direct, f->model, &options, NULL), SAL_OK);
    assert_int_equal(sal_session_load(direct, f->bright, NULL), SAL_OK);
    assert_int_equal(sal_session_explain(direct, &ask, &map, NULL), SAL_OK);
    assert_memory_equal(map->values, snapshot.map->values, SIDE * SIDE * sizeof(float));
    sal_session_close(direct);
}

static void a_snapshot_stays_valid_while_the_worker_goes_on(void **state)
{
    struct fixture *f = *state;
    struct sal_session_ask ask = gradcam(-1);
    sal_session_request(f->session, f->bright, &ask);
    struct sal_snapshot before = settled(f);
    float values[SIDE * SIDE];
    memcpy(values, before.map->values, sizeof(values));
    sal_session_request(f->session, f->wide, &ask);
    for (int wakes = 0; wakes < 3; wakes++) { /* read while things change */
        struct pollfd wake = {.fd = f->wake, .events = POLLIN};
        poll(&wake, 1, 20);
        assert_memory_equal(before.map->values, values, sizeof(values));
        assert_int_equal(before.image->width, 12);
        assert_string_equal(before.image_path, f->bright);
    }
    struct sal_snapshot after = settled(f);
    assert_int_equal(after.image->width, 20);
    assert_true(after.serial != before.serial);
}

static void an_image_that_fails_leaves_the_one_before(void **state)
{
    struct fixture *f = *state;
    struct sal_session_ask ask = gradcam(-1);
    sal_session_request(f->session, f->bright, &ask);
    settled(f);
    sal_session_request(f->session, f->model, &ask);
    struct sal_snapshot snapshot = settled(f);
    assert_int_equal(snapshot.error.status, SAL_BAD_INPUT);
    assert_string_equal(snapshot.image_path, f->bright);
    assert_non_null(snapshot.map);
    sal_session_request(f->session, f->wide, &ask);
    snapshot = settled(f);
    assert_int_equal(snapshot.error.status, SAL_OK);
    assert_string_equal(snapshot.image_path, f->wide);
}

/* A method that holds until it is told to stop or to go on. */
static atomic_int entered, release_it, leave_part;

static enum sal_status hold(const struct sal_question *question, struct sal_map *map,
                            struct sal_error *err)
{
    sal_job_begin(question->job, 4);
    sal_job_step(question->job, 1);
    atomic_store(&entered, 1);
    while (!atomic_load(&release_it)) {
        map->partial = sal_job_cancelled(question->job) && atomic_load(&leave_part);
        if (map->partial)
            break;
        if (sal_job_cancelled(question->job))
            return sal_fail(err, SAL_CANCELLED, "cancelled");
        usleep(500);
    }
    map->width = map->height = map->grid_width = map->grid_height = 1;
    map->values = calloc(1, sizeof(float));
    map->grid = calloc(1, sizeof(float));
    map->unit = "logit";
    map->layer = -1;
    return SAL_OK;
}

static const struct sal_method holding = {.name = "hold", .title = "Hold", .run = hold};

static void begin_holding(struct fixture *f)
{
    struct sal_session_ask ask = {.method = &holding, .class_index = 0, .layer = -1};
    atomic_store(&entered, 0);
    atomic_store(&release_it, 0);
    atomic_store(&leave_part, 0);
    sal_session_request(f->session, f->bright, &ask);
    while (!atomic_load(&entered))
        usleep(500);
}

static void progress_is_seen_while_work_runs(void **state)
{
    struct fixture *f = *state;
    begin_holding(f);
    struct sal_snapshot snapshot;
    sal_session_snapshot(f->session, &snapshot);
    assert_int_equal(snapshot.state, SAL_EXPLAINING);
    assert_true(fabs(snapshot.progress - 0.25) <= 1e-9);
    assert_true(snapshot.eta >= 0);
    assert_int_equal(snapshot.scores.n, CLASSES);
    assert_null(snapshot.map);
    atomic_store(&release_it, 1);
    snapshot = settled(f);
    assert_int_equal(snapshot.error.status, SAL_OK);
    assert_ptr_equal(snapshot.ask.method, &holding);
}

static void cancel_keeps_what_is_finished(void **state)
{
    struct fixture *f = *state;
    begin_holding(f);
    sal_session_cancel(f->session);
    struct sal_snapshot snapshot = settled(f);
    assert_int_equal(snapshot.error.status, SAL_CANCELLED);
    assert_int_equal(snapshot.scores.n, CLASSES);
    assert_null(snapshot.map);
    struct sal_session_ask ask = gradcam(0);
    sal_session_request(f->session, NULL, &ask);
    snapshot = settled(f);
    assert_int_equal(snapshot.error.status, SAL_OK);
    assert_non_null(snapshot.map);
}

static void cancel_keeps_the_part_that_a_method_leaves(void **state)
{
    struct fixture *f = *state;
    begin_holding(f);
    atomic_store(&leave_part, 1);
    sal_session_cancel(f->session);
    struct sal_snapshot snapshot = settled(f);
    assert_int_equal(snapshot.error.status, SAL_CANCELLED);
    assert_ptr_equal(snapshot.ask.method, &holding);
    assert_true(snapshot.map && snapshot.map->partial);
}

/* The map of a question that nobody asks any more is never seen. */
static void a_newer_request_shows_no_part_of_the_older(void **state)
{
    struct fixture *f = *state;
    begin_holding(f);
    atomic_store(&leave_part, 1);
    struct sal_session_ask none = {0};
    sal_session_request(f->session, NULL, &none);
    struct sal_snapshot snapshot = settled(f);
    assert_int_equal(snapshot.error.status, SAL_OK);
    assert_null(snapshot.map);
}

static void a_newer_request_wins_and_leaves_no_error(void **state)
{
    struct fixture *f = *state;
    begin_holding(f);
    struct sal_session_ask ask = gradcam(2);
    for (int i = 0; i < 20; i++) /* only the last of a burst counts */
        sal_session_request(f->session, i % 2 ? f->wide : f->bright, &ask);
    struct sal_snapshot snapshot = settled(f);
    assert_int_equal(snapshot.error.status, SAL_OK);
    assert_string_equal(snapshot.image_path, f->wide);
    assert_int_equal(snapshot.ask.class_index, 2);
    assert_ptr_equal(snapshot.ask.method, sal_methods[0]);
}

/* "The current image" asked for while another is on its way means that other. */
static void a_question_follows_the_image_that_is_on_its_way(void **state)
{
    struct fixture *f = *state;
    struct sal_session_ask none = {0}, ask = gradcam(1);
    begin_holding(f); /* the worker is busy with bright */
    sal_session_request(f->session, f->wide, &none);
    sal_session_request(f->session, NULL, &ask);
    assert_string_equal(settled(f).image_path, f->wide);
    for (int i = 0; i < 40; i++) {
        const char *image = i % 2 ? f->bright : f->wide;
        sal_session_request(f->session, image, &none);
        usleep((unsigned)(i % 10) * 300);
        sal_session_request(f->session, NULL, &none);
        sal_session_request(f->session, NULL, &ask);
        struct sal_snapshot snapshot = settled(f);
        assert_int_equal(snapshot.error.status, SAL_OK);
        assert_string_equal(snapshot.image_path, image);
        assert_int_equal(snapshot.ask.class_index, 1);
        assert_non_null(snapshot.map);
    }
}

/* ---- while a map is made --------------------------------------------------------------- */

enum { LONG = 1000000, SHORT = 20 }; /* masks for a second or more, and for no time */

static struct sal_session_ask rise(int masks)
{
    struct sal_session_ask ask = {.method = sal_method_find("rise"), .layer = -1};
    char text[40];
    snprintf(text, sizeof(text), "masks=%d", masks);
    sal_params_init(&ask.params, ask.method->params);
    assert_int_equal(sal_params_set(&ask.params, ask.method->params, text, "rise", NULL),
                     SAL_OK);
    return ask;
}

/* The next snapshot with a preview of more than `done` masks; map NULL: the work has ended. */
static struct sal_snapshot next_preview(struct fixture *f, int *done)
{
    struct sal_snapshot snapshot;
    for (;;) {
        sal_session_snapshot(f->session, &snapshot);
        if (snapshot.state == SAL_IDLE)
            fail_msg("no preview after %d masks", *done);
        int now = snapshot.map ? atoi(snapshot.map->note) : 0;
        if (now > *done) {
            *done = now;
            return snapshot;
        }
        struct pollfd wake = {.fd = f->wake, .events = POLLIN};
        assert_int_equal(poll(&wake, 1, 60000), 1);
    }
}

static void a_map_is_seen_while_it_is_made(void **state)
{
    struct fixture *f = *state;
    struct sal_session_ask ask = rise(LONG);
    sal_session_request(f->session, f->bright, &ask);
    float first[SIDE * SIDE];
    unsigned serial = 0;
    for (int i = 0, done = 0; i < 2; i++) {
        struct sal_snapshot snapshot = next_preview(f, &done);
        assert_true(snapshot.preview && snapshot.map->partial);
        assert_int_equal(snapshot.state, SAL_EXPLAINING);
        assert_non_null(strstr(snapshot.map->note, "of 1000000 masks so far"));
        assert_true(snapshot.seconds >= 0.3);
        assert_true(snapshot.map->forwards == done + 1);
        assert_true(serial != snapshot.serial);
        serial = snapshot.serial;
        if (i)
            assert_memory_not_equal(first, snapshot.map->values, sizeof(first));
        memcpy(first, snapshot.map->values, sizeof(first));
    }
    sal_session_cancel(f->session);
    struct sal_snapshot snapshot = settled(f);
    assert_true(snapshot.map->partial && !snapshot.preview);
}

static void previews_end_as_the_whole_map(void **state)
{
    struct fixture *f = *state;
    struct sal_session_ask ask = rise(LONG);
    sal_session_request(f->session, f->bright, &ask);
    int done = 0;
    next_preview(f, &done);
    struct sal_snapshot snapshot = settled(f);
    assert_true(!snapshot.preview && !snapshot.map->partial && !*snapshot.map->note);

    struct sal_session *direct;
    struct sal_session_options options = {.threads = 1, .seed = 7};
    const struct sal_map *map;
    assert_int_equal(sal_session_open(&direct, f->model, &options, NULL), SAL_OK);
    assert_int_equal(sal_session_load(direct, f->bright, NULL), SAL_OK);
    assert_int_equal(sal_session_explain(direct, &ask, &map, NULL), SAL_OK);
    assert_memory_equal(map->values, snapshot.map->values, SIDE * SIDE * sizeof(float));
    sal_session_close(direct);
}

static void a_newer_request_leaves_no_preview_of_the_older(void **state)
{
    struct fixture *f = *state;
    struct sal_session_ask ask = gradcam(1), longer = rise(LONG), none = {0};
    sal_session_request(f->session, f->bright, &ask);
    assert_ptr_equal(settled(f).ask.method, ask.method);
    sal_session_request(f->session, NULL, &longer);
    int done = 0;
    assert_ptr_equal(next_preview(f, &done).ask.method, longer.method);
    sal_session_request(f->session, NULL, &none);
    struct sal_snapshot snapshot = settled(f);
    assert_ptr_equal(snapshot.ask.method, ask.method);
    assert_true(!snapshot.preview && !snapshot.map->partial);
}

static void a_map_that_takes_no_time_has_no_preview(void **state)
{
    struct fixture *f = *state;
    struct sal_session_ask ask = rise(SHORT);
    struct sal_snapshot snapshot;
    sal_session_request(f->session, f->bright, &ask);
    do {
        sal_session_snapshot(f->session, &snapshot);
        assert_true(!snapshot.preview && !(snapshot.map && snapshot.map->partial));
    } while (snapshot.state != SAL_IDLE);
    assert_non_null(snapshot.map);
}

static void closing_stops_the_work(void **state)
{
    struct fixture *f = *state;
    begin_holding(f); /* teardown must not hang */
}

static void what_was_shown_is_written(void **state)
{
    struct fixture *f = *state;
    struct sal_session_ask ask = gradcam(1);
    char path[PATH_SIZE];
    in_folder(f, "shown.json", path);
    sal_session_request(f->session, f->bright, &ask);
    settled(f);
    begin_holding(f);
    assert_int_equal(sal_session_write(f->session, path, NULL, SAL_AT_INPUT, NULL), SAL_OK);
    assert_true(holds(path, "\"method\": \"gradcam\""));
}

/* A probe with a method beside it: the caller and the worker have the same maps, the record
 * tells of them, and .npz has them. */
static void a_probe_takes_maps_along(void **state)
{
    struct fixture *f = *state;
    struct sal_session_ask ask = {.probe = sal_probe_find("fmn"), .class_index = -1, .layer = -1};
    ask.beside = sal_method_find("gradcam");
    sal_params_init(&ask.params, ask.probe->params);
    sal_params_init(&ask.beside_params, ask.beside->params);
    sal_params_init(&ask.stability_params, sal_stability_params);
    sal_session_request(f->session, f->bright, &ask);
    struct sal_snapshot snapshot = settled(f);
    assert_int_equal(snapshot.error.status, SAL_OK);
    const struct sal_stability *maps = snapshot.stability;
    assert_true(snapshot.answer && maps && maps->altered && maps->after.values);
    assert_ptr_equal(snapshot.probe_ask.beside, ask.beside);
    assert_true(snapshot.probe_ask.layer == maps->before.layer && maps->before.layer >= 0);
    assert_true(maps->noise.n == 8 && sal_params_get(&snapshot.probe_ask.stability_params,
                                                     sal_stability_params, "draws") == 8);
    char path[PATH_SIZE];
    in_folder(f, "maps.npz", path);
    assert_int_equal(sal_session_write(f->session, path, NULL, SAL_AT_INPUT, NULL), SAL_OK);
    assert_true(holds(path, "map_before") && holds(path, "map_after"));
    in_folder(f, "maps.json", path);
    assert_int_equal(sal_session_write(f->session, path, NULL, SAL_AT_INPUT, NULL), SAL_OK);
    assert_true(holds(path, "\"explanation\"") && holds(path, "\"decision_held\""));
    ask.beside = NULL;
    sal_session_request(f->session, NULL, &ask);
    snapshot = settled(f);
    assert_true(snapshot.answer && !snapshot.stability);
    assert_int_equal(sal_session_write(f->session, path, NULL, SAL_AT_INPUT, NULL), SAL_OK);
    assert_false(holds(path, "\"explanation\""));
}

#define HERE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define WORKER(test) cmocka_unit_test_setup_teardown(test, setup_worker, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HERE(scores_are_probabilities_of_the_logits),
        HERE(moving_between_layers_needs_no_pass),
        HERE(bf16_is_for_methods_that_have_it),
        HERE(a_few_pixels_do_not_set_the_scale_of_gradients),
        HERE(nothing_is_answered_before_an_image_is_loaded),
        HERE(a_failed_load_forgets_the_image_before),
        HERE(a_class_that_does_not_exist_is_refused),
        HERE(the_map_is_of_the_logit_that_was_shown),
        HERE(a_record_has_the_keys_of_the_interface),
        HERE(a_redacted_record_names_no_file),
        HERE(a_map_is_written_at_each_resolution),
        HERE(every_writer_writes_and_the_record_lists_it),
        HERE(a_figure_carries_its_record_but_no_file_name),
        HERE(files_are_about_the_result_that_is_chosen),
        cmocka_unit_test(an_extension_without_writer_is_told),
        WORKER(the_worker_answers_as_the_caller_would),
        WORKER(a_snapshot_stays_valid_while_the_worker_goes_on),
        WORKER(an_image_that_fails_leaves_the_one_before),
        WORKER(progress_is_seen_while_work_runs),
        WORKER(cancel_keeps_what_is_finished),
        WORKER(cancel_keeps_the_part_that_a_method_leaves),
        WORKER(a_newer_request_shows_no_part_of_the_older),
        WORKER(a_newer_request_wins_and_leaves_no_error),
        WORKER(a_question_follows_the_image_that_is_on_its_way),
        WORKER(a_map_is_seen_while_it_is_made),
        WORKER(previews_end_as_the_whole_map),
        WORKER(a_newer_request_leaves_no_preview_of_the_older),
        WORKER(a_map_that_takes_no_time_has_no_preview),
        WORKER(closing_stops_the_work),
        WORKER(what_was_shown_is_written),
        WORKER(a_probe_takes_maps_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
