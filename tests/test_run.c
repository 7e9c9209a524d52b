/* Models and runs: the same bits for any number of threads and any batch, gradients
 * of any tensor, work that stops, errors that name what is wrong. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "model_parts.h"
#include "onnx_build.h"
#include "run_state.h"
#include "saliscope/explain.h"

#define DIMS(...) (const int64_t[]){__VA_ARGS__}

enum { C = 3, H = 20, W = 24, CLASSES = 5 };

/* Every kind of convolution, a skip, pools, a head and a softmax. */
static void network(struct onnx_build *b, bool nhwc)
{
    onnx_build_init(b, 13);
    onnx_build_input(b, "image", SAL_ONNX_FLOAT, 4,
                     nhwc ? DIMS(-1, H, W, C) : DIMS(-1, C, H, W));
    if (nhwc) {
        onnx_build_node(b, "Transpose", "image", "x");
        onnx_build_ints(b, "perm", 4, DIMS(0, 3, 1, 2));
    } else {
        onnx_build_node(b, "Identity", "image", "x");
    }
    onnx_build_waves(b, "w1", 4, DIMS(16, C, 3, 3), 0.25f);
    onnx_build_waves(b, "w2", 4, DIMS(16, 1, 3, 3), 0.25f);
    onnx_build_waves(b, "w3", 4, DIMS(40, 16, 1, 1), 0.25f);
    onnx_build_waves(b, "w4", 4, DIMS(40, 40, 3, 3), 0.25f);
    onnx_build_waves(b, "w5", 2, DIMS(CLASSES, 40), 0.25f);
    onnx_build_waves(b, "b5", 1, DIMS(CLASSES), 0.25f);
    onnx_build_node(b, "Conv", "x,w1", "c1");
    onnx_build_ints(b, "pads", 4, DIMS(1, 1, 1, 1));
    onnx_build_node(b, "Relu", "c1", "r1");
    onnx_build_node(b, "Conv", "r1,w2", "c2");
    onnx_build_int(b, "group", 16);
    onnx_build_ints(b, "strides", 2, DIMS(2, 2));
    onnx_build_node(b, "Conv", "c2,w3", "c3");
    onnx_build_node(b, "Conv", "c3,w4", "c4");
    onnx_build_ints(b, "pads", 4, DIMS(1, 1, 1, 1));
    onnx_build_name(b, "deep");
    onnx_build_node(b, "Add", "c3,c4", "sum");
    onnx_build_node(b, "Relu", "sum", "features");
    onnx_build_name(b, "last");
    onnx_build_node(b, "GlobalAveragePool", "features", "pooled");
    onnx_build_node(b, "Flatten", "pooled", "flat");
    onnx_build_node(b, "Gemm", "flat,w5,b5", "scores");
    onnx_build_int(b, "transB", 1);
    onnx_build_node(b, "Softmax", "scores", "probabilities");
    onnx_build_output(b, "probabilities", SAL_ONNX_FLOAT, -1, NULL);
}

static char path[ONNX_BUILD_PATH];

static void save(struct onnx_build *b)
{
    assert_true(onnx_build_save(b, path));
}

static enum sal_status open_saved(struct sal_model **model,
                                  const struct sal_model_options *options,
                                  struct sal_error *err)
{
    enum sal_status status = sal_model_open(model, path, options, err);
    unlink(path);
    return status;
}

static struct sal_model *open_network(bool nhwc)
{
    struct onnx_build b;
    struct sal_model *model;
    struct sal_error err;
    network(&b, nhwc);
    save(&b);
    if (open_saved(&model, &(struct sal_model_options){0}, &err))
        fail_msg("%s", err.text);
    return model;
}

static void fill(float *x, int64_t n, int salt)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)cos(0.37 * (double)(i + 1) * (double)(salt + 1));
}

struct answer {
    float logits[CLASSES], gradient[C * H * W], middle[16 * H * W];
};

/* Image number `which` of a batch, on so many threads. */
static void ask(const struct sal_model *model, int threads, int batch, int which,
                struct answer *answer)
{
    enum { N = C * H * W };
    struct sal_pool *pool = NULL;
    struct sal_run *run = NULL;
    struct sal_error err;
    float *x = malloc(sizeof(float) * N * (size_t)batch);
    for (int i = 0; i < batch; i++) /* image `which` is always the same one */
        fill(x + i * N, N, i == which ? 100 : i);
    int wrt[] = {sal_model_input(model)->value, sal_model_find(model, "r1")};
    int logits = sal_model_output(model)->value;
    if (threads)
        assert_int_equal(sal_pool_open(&pool, threads, NULL), SAL_OK);
    struct sal_run_options options = {
        .batch = batch, .gradient = true, .keep = wrt, .n_keep = 2, .pool = pool};
    if (sal_run_open(&run, model, &options, &err) || sal_run_forward(run, x, NULL, &err) ||
        sal_run_backward(run, logits, 2, wrt, 2, NULL, &err))
        fail_msg("%s", err.text);
    memcpy(answer->logits, sal_run_value(run, logits, NULL) + which * CLASSES,
           sizeof(answer->logits));
    memcpy(answer->gradient, sal_run_gradient(run, wrt[0]) + which * N,
           sizeof(answer->gradient));
    memcpy(answer->middle, sal_run_gradient(run, wrt[1]) + which * 16 * H * W,
           sizeof(answer->middle));
    sal_run_close(run);
    sal_pool_close(pool);
    free(x);
}

static void bits_depend_on_neither_threads_nor_batch(void **state)
{
    (void)state;
    struct sal_model *model = open_network(false);
    struct answer *first = calloc(2, sizeof(*first)), *other = first + 1;
    ask(model, 0, 1, 0, first);
    assert_true(first->gradient[5] != 0 && first->middle[5] != 0);
    static const int settings[][3] = {{1, 1, 0}, {2, 1, 0}, {3, 1, 0}, {8, 1, 0},
                                      {0, 2, 1}, {2, 3, 0}, {3, 7, 5}};
    for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
        ask(model, settings[i][0], settings[i][1], settings[i][2], other);
        if (memcmp(first, other, sizeof(*first)) != 0)
            fail_msg("other bits with %d threads, image %d of %d", settings[i][0],
                     settings[i][2], settings[i][1]);
    }
    free(first);
    sal_model_close(model);
}

static void a_run_can_be_asked_again(void **state)
{
    (void)state;
    struct sal_model *model = open_network(false);
    struct sal_run *run;
    static float x[C * H * W], kept[C * H * W];
    int input = sal_model_input(model)->value, sum = sal_model_find(model, "sum");
    int logits = sal_model_output(model)->value;
    fill(x, C * H * W, 3);
    assert_int_equal(sal_run_open(&run, model,
                                  &(struct sal_run_options){.gradient = true,
                                                            .keep = &sum,
                                                            .n_keep = 1},
                                  NULL),
                     SAL_OK);
    assert_int_equal(sal_run_backward(run, logits, 0, &input, 1, NULL, NULL), SAL_USAGE);
    assert_int_equal(sal_run_forward(run, x, NULL, NULL), SAL_OK);
    assert_int_equal(sal_run_backward(run, logits, 0, &input, 1, NULL, NULL), SAL_OK);
    memcpy(kept, sal_run_gradient(run, input), sizeof(kept));
    assert_int_equal(sal_run_backward(run, logits, 4, &sum, 1, NULL, NULL), SAL_OK);
    assert_null(sal_run_gradient(run, input));
    assert_int_equal(sal_run_backward(run, logits, 0, &input, 1, NULL, NULL), SAL_OK);
    assert_memory_equal(kept, sal_run_gradient(run, input), sizeof(kept));
    assert_int_equal(sal_run_forward(run, x, NULL, NULL), SAL_OK);
    assert_null(sal_run_gradient(run, input)); /* that of another forward */
    assert_int_equal(sal_run_backward(run, logits, 0, &input, 1, NULL, NULL), SAL_OK);
    assert_memory_equal(kept, sal_run_gradient(run, input), sizeof(kept));
    assert_int_equal(sal_run_backward(run, logits, CLASSES, &input, 1, NULL, NULL), SAL_USAGE);
    assert_int_equal(sal_run_backward(run, input, 0, &logits, 1, NULL, NULL), SAL_OK);
    for (int i = 0; i < CLASSES; i++) /* what the score does not depend on */
        assert_true(sal_run_gradient(run, logits)[i] == 0);
    assert_int_equal(sal_run_forwards(run), 5); /* each backward needs its own */
    assert_int_equal(sal_run_backwards(run), 5);
    sal_run_close(run);
    sal_model_close(model);
}

static void a_run_may_say_what_its_gradients_are_for(void **state)
{
    (void)state;
    struct sal_model *model = open_network(false);
    struct sal_run *run;
    struct sal_error err;
    static float x[C * H * W] = {1, -2, 3};
    int input = sal_model_input(model)->value, sum = sal_model_find(model, "sum");
    int logits = sal_model_output(model)->value;
    float first[2];
    for (int narrow = 0; narrow < 2; narrow++) {
        assert_int_equal(
            sal_run_open(&run, model,
                         &(struct sal_run_options){.gradient = true, .keep = &sum, .n_keep = 1,
                                                   .wrt = &sum, .n_wrt = narrow},
                         &err),
            SAL_OK);
        assert_int_equal(sal_run_forward(run, x, NULL, &err), SAL_OK);
        assert_int_equal(sal_run_backward(run, logits, 0, &sum, 1, NULL, &err), SAL_OK);
        first[narrow] = sal_run_gradient(run, sum)[0];
        assert_int_equal(sal_run_backward(run, logits, 0, &input, 1, NULL, &err),
                         narrow ? SAL_USAGE : SAL_OK);
        sal_run_close(run);
    }
    assert_true(first[0] == first[1]);
    assert_non_null(strstr(err.text, "not opened for a gradient"));
    sal_model_close(model);
}

static void what_is_not_kept_is_neither_read_nor_asked_for(void **state)
{
    (void)state;
    struct sal_model *model = open_network(false);
    struct sal_run *run;
    struct sal_error err;
    static float x[C * H * W];
    int input = sal_model_input(model)->value, sum = sal_model_find(model, "sum");
    int logits = sal_model_output(model)->value;
    assert_int_equal(
        sal_run_open(&run, model, &(struct sal_run_options){.gradient = true}, NULL), SAL_OK);
    assert_int_equal(sal_run_forward(run, x, NULL, NULL), SAL_OK);
    assert_null(sal_run_value(run, sum, NULL));
    assert_non_null(sal_run_value(run, logits, NULL));
    assert_non_null(sal_run_value(run, input, NULL));
    assert_int_equal(sal_run_backward(run, logits, 0, &sum, 1, NULL, &err), SAL_USAGE);
    assert_non_null(strstr(err.text, "'sum'"));
    assert_int_equal(sal_run_backward(run, sum, 0, &input, 1, NULL, &err), SAL_USAGE);
    assert_int_equal(sal_run_backward(run, logits, 0, &input, 1, NULL, &err), SAL_OK);
    sal_run_close(run);
    sal_model_close(model);
}

/* The gradient for the input of the score, and the run's memory. */
static size_t ask_keeping(const struct sal_model *model, const int *keep, int n_keep,
                          int score, int wrt, float *gradient, size_t n)
{
    struct sal_run *run;
    struct sal_error err;
    float x[C * H * W];
    fill(x, C * H * W, 5);
    const struct sal_run_options options = {.gradient = true, .keep = keep, .n_keep = n_keep};
    if (sal_run_open(&run, model, &options, &err) || sal_run_forward(run, x, NULL, &err) ||
        sal_run_backward(run, score, 1, &wrt, 1, NULL, &err))
        fail_msg("%s", err.text);
    memcpy(gradient, sal_run_gradient(run, wrt), n * sizeof(*gradient));
    size_t size = run->memory.size;
    sal_run_close(run);
    return size;
}

static void memory_is_used_again_by_what_comes_later(void **state)
{
    (void)state;
    static float all[16 * H * W], few[16 * H * W];
    struct sal_model *model = open_network(false);
    const int input = sal_model_input(model)->value, logits = sal_model_output(model)->value;
    const int middle = sal_model_find(model, "r1"), sum = sal_model_find(model, "sum");
    const int n = sal_model_graph(model)->n_values;
    int *every = calloc((size_t)n, sizeof(*every));
    for (int i = 0; i < n; i++)
        every[i] = i;
    const struct {
        int keep[2], n_keep, score, wrt;
    } cases[] = {
        {{0}, 0, logits, input},           /* as is expected */
        {{middle}, 1, logits, middle},
        {{middle}, 1, logits, input},      /* not as is expected */
        {{middle, sum}, 2, sum, middle},
        {{sum}, 1, sum, input},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        int score = cases[i].score, wrt = cases[i].wrt;
        size_t size = (wrt == input ? C : 16) * H * W;
        size_t most = ask_keeping(model, every, n, score, wrt, all, size);
        size_t least =
            ask_keeping(model, cases[i].keep, cases[i].n_keep, score, wrt, few, size);
        assert_memory_equal(all, few, size * sizeof(*all));
        assert_true(least < most);
    }
    free(every);
    sal_model_close(model);
}

static void work_stops_when_it_is_cancelled(void **state)
{
    (void)state;
    struct sal_model *model = open_network(false);
    struct sal_run *run;
    struct sal_job job = {0};
    static float x[C * H * W];
    assert_int_equal(sal_run_open(&run, model, &(struct sal_run_options){0}, NULL), SAL_OK);
    sal_job_cancel(&job);
    assert_int_equal(sal_run_forward(run, x, &job, NULL), SAL_CANCELLED);
    sal_run_close(run);
    sal_model_close(model);
}

static void memory_is_bounded(void **state)
{
    (void)state;
    struct sal_model *model = open_network(false);
    struct sal_run *run = NULL;
    struct sal_error err;
    assert_int_equal(sal_run_open(&run, model, &(struct sal_run_options){.memory = 10000}, &err),
                     SAL_LIMIT);
    assert_null(run);
    assert_non_null(strstr(err.text, "limit"));
    struct sal_model_figures figures = sal_model_figures(model);
    assert_true(figures.forward_bytes > 0 && figures.gradient_bytes > figures.forward_bytes);
    assert_true(figures.macs > 1e6);
    sal_model_close(model);
}

static void a_bad_number_is_traced_to_its_node(void **state)
{
    (void)state;
    struct onnx_build b;
    struct sal_model *model;
    struct sal_run *run;
    struct sal_error err;
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 4, DIMS(1, 1, 2, 2));
    onnx_build_node(&b, "Neg", "x", "minus");
    onnx_build_node(&b, "Log", "minus", "logarithm");
    onnx_build_name(&b, "culprit");
    onnx_build_node(&b, "Flatten", "logarithm", "y");
    onnx_build_output(&b, "y", SAL_ONNX_FLOAT, -1, NULL);
    save(&b);
    assert_int_equal(open_saved(&model, &(struct sal_model_options){0}, &err), SAL_OK);
    assert_int_equal(sal_run_open(&run, model, &(struct sal_run_options){0}, NULL), SAL_OK);
    float x[] = {-1, -2, 3, -4};
    assert_int_equal(sal_run_forward(run, x, NULL, &err), SAL_BAD_INPUT);
    assert_non_null(strstr(err.text, "culprit"));
    x[2] = NAN;
    assert_int_equal(sal_run_forward(run, x, NULL, &err), SAL_BAD_INPUT);
    assert_non_null(strstr(err.text, "input"));
    sal_run_close(run);
    sal_model_close(model);
}

/* ---- models ------------------------------------------------------------------------------ */

static void a_model_is_read_as_a_person_would(void **state)
{
    (void)state;
    for (int nhwc = 0; nhwc <= 1; nhwc++) {
        struct sal_model *model = open_network(nhwc);
        const struct sal_model_input *input = sal_model_input(model);
        assert_int_equal(input->layout, nhwc ? SAL_LAYOUT_NHWC : SAL_LAYOUT_NCHW);
        assert_int_equal(input->channels, C);
        assert_int_equal(input->height, H);
        assert_int_equal(input->width, W);
        assert_true(input->batch_free);
        const struct sal_model_output *output = sal_model_output(model);
        assert_string_equal(sal_model_value(model, output->value).name, "scores");
        assert_int_equal(output->n, CLASSES);
        assert_int_equal(output->activation, SAL_SOFTMAX);
        assert_string_equal(output->bypassed, "Softmax");
        int n, automatic;
        const struct sal_layer *layers = sal_model_layers(model, &n, &automatic);
        assert_string_equal(sal_model_value(model, layers[automatic].value).name, "features");
        assert_int_equal(sal_model_find(model, "last"), layers[automatic].value);
        assert_int_equal(sal_model_find(model, "nothing"), -1);
        assert_int_equal(sal_model_class_find(model, "4"), 4);
        assert_int_equal(sal_model_class_find(model, "5"), -1);
        assert_int_equal(sal_model_class_find(model, "CLASS 3"), 3);
        sal_model_close(model);
    }
}

static void nhwc_and_nchw_see_the_same_image(void **state)
{
    (void)state;
    struct sal_image image;
    float logits[2][CLASSES];
    assert_int_equal(sal_image_init(&image, W + 3, H + 5, 3, 8, NULL), SAL_OK);
    for (int i = 0; i < (W + 3) * (H + 5) * 3; i++)
        image.samples[i] = (uint16_t)(i * 37 % 256);
    for (int nhwc = 0; nhwc <= 1; nhwc++) {
        struct sal_model *model = open_network(nhwc);
        struct sal_run *run;
        static float x[C * H * W];
        assert_int_equal(sal_model_prepare(model, &image, x, NULL), SAL_OK);
        assert_int_equal(sal_run_open(&run, model, &(struct sal_run_options){0}, NULL), SAL_OK);
        assert_int_equal(sal_run_forward(run, x, NULL, NULL), SAL_OK);
        memcpy(logits[nhwc], sal_run_value(run, sal_model_output(model)->value, NULL),
               sizeof(logits[0]));
        sal_run_close(run);
        sal_model_close(model);
    }
    assert_memory_equal(logits[0], logits[1], sizeof(logits[0]));
    sal_image_release(&image);
}

static void scores_can_be_chosen(void **state)
{
    (void)state;
    static const char *const wanted[][2] = {
        {"logit", "scores"}, {"prob", "probabilities"}, {"pooled[3]", "pooled"}};
    for (size_t i = 0; i < 3; i++) {
        struct onnx_build b;
        struct sal_model *model;
        network(&b, false);
        save(&b);
        assert_int_equal(
            open_saved(&model, &(struct sal_model_options){.score = wanted[i][0]}, NULL), SAL_OK);
        assert_string_equal(sal_model_value(model, sal_model_output(model)->value).name,
                            wanted[i][1]);
        sal_model_close(model);
    }
    struct onnx_build b;
    struct sal_model *model;
    struct sal_error err;
    static const char *const wrong[] = {"w1", "nowhere", "pooled[999]"};
    for (size_t i = 0; i < 3; i++) {
        network(&b, false);
        save(&b);
        assert_int_equal(
            open_saved(&model, &(struct sal_model_options){.score = wrong[i]}, &err), SAL_USAGE);
        assert_non_null(strstr(err.text, wrong[i]));
    }
}

/* A sidecar beside the model that names its output. */
static void say_output(const char *sidecar, const char *tensor)
{
    FILE *file = fopen(sidecar, "w");
    assert_non_null(file);
    fprintf(file, "{\"output\": \"%s\"}", tensor);
    fclose(file);
}

/* The model without its Softmax, which the sidecar says, for two scores. */
static struct sal_model *open_without_softmax(const char *sidecar, const char *score)
{
    struct onnx_build b;
    struct sal_model *model;
    struct sal_error err = {0};
    char said[64] = "/tmp/saliscope-XXXXXX.json";
    int fd = mkstemps(said, 5);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, sidecar, strlen(sidecar)), (ssize_t)strlen(sidecar));
    close(fd);
    network(&b, false);
    onnx_build_output(&b, "scores", SAL_ONNX_FLOAT, -1, NULL);
    save(&b);
    if (open_saved(&model,
                   &(struct sal_model_options){.score = score, .sidecar = said}, &err))
        fail_msg("%s", err.text);
    unlink(said);
    return model;
}

static void run_once(const struct sal_model *model, float *scores, float *gradient)
{
    static float x[C * H * W];
    struct sal_run *run;
    int input = sal_model_input(model)->value, output = sal_model_output(model)->value;
    fill(x, C * H * W, 1);
    assert_int_equal(
        sal_run_open(&run, model, &(struct sal_run_options){.gradient = true}, NULL), SAL_OK);
    assert_int_equal(sal_run_forward(run, x, NULL, NULL), SAL_OK);
    memcpy(scores, sal_run_value(run, output, NULL), CLASSES * sizeof(*scores));
    assert_int_equal(sal_run_backward(run, output, 1, &input, 1, NULL, NULL), SAL_OK);
    memcpy(gradient, sal_run_gradient(run, input), sizeof(x));
    sal_run_close(run);
}

/* What a file that ends in logits lacks comes from the sidecar, temperature and all. */
static void probabilities_are_explained_where_the_file_ends_in_logits(void **state)
{
    (void)state;
    static const char sidecar[] =
        "{\"activation\": \"softmax\", \"output\": \"scores\","
        " \"calibration\": {\"temperature\": 2}}";
    static float at_logits[C * H * W], at_probabilities[C * H * W];
    float logits[CLASSES], probabilities[CLASSES];
    double expected[CLASSES], most = 0;
    struct sal_model *plain = open_without_softmax(sidecar, "logit");
    struct sal_model *model = open_without_softmax(sidecar, "prob");
    run_once(plain, logits, at_logits);
    run_once(model, probabilities, at_probabilities);
    sal_model_probabilities(plain, logits, expected);
    for (int i = 0; i < CLASSES; i++)
        assert_true(fabs((double)probabilities[i] - expected[i]) <= 1e-6);
    for (int i = 0; i < C * H * W; i++)
        most = fmax(most, fabs((double)at_probabilities[i] - (double)at_logits[i]));
    assert_true(most > 1e-6);
    sal_model_close(plain);
    sal_model_close(model);
}

static void what_the_chosen_score_does_not_need_may_be_anything(void **state)
{
    (void)state;
    static const struct sal_model_options by_score = {.score = "logits[2]"};
    char sidecar[512];
    snprintf(sidecar, sizeof sidecar, "%s-output.json", path);
    for (int way = 0; way < 3; way++) { /* none; --score; the sidecar */
        struct onnx_build b;
        struct sal_model *model;
        struct sal_error err;
        onnx_build_init(&b, 17);
        onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 4, DIMS(1, 1, 2, 2));
        onnx_build_node(&b, "Flatten", "x", "flat");
        onnx_build_node(&b, "Neg", "flat", "logits");
        onnx_build_node(&b, "Wavelet", "logits", "y");
        onnx_build_output(&b, "y", SAL_ONNX_FLOAT, -1, NULL);
        save(&b);
        say_output(sidecar, "logits");
        struct sal_model_options options = way == 1 ? by_score : (struct sal_model_options){0};
        options.sidecar = way == 2 ? sidecar : NULL;
        enum sal_status status = open_saved(&model, &options, &err);
        assert_int_equal(status, way ? SAL_OK : SAL_UNSUPPORTED);
        if (status)
            continue;
        const struct sal_model_output *output = sal_model_output(model);
        assert_string_equal(sal_model_value(model, output->value).name, "logits");
        assert_string_equal(output->unit, way == 1 ? "score" : "logit");
        assert_int_equal(sal_model_top_class(model, (const float[]){3, 1, 2, 0}),
                         way == 1 ? 2 : 0);
        assert_false(sal_model_value(model, sal_model_find(model, "y")).known);
        sal_model_close(model);
    }
    unlink(sidecar);
}

static bool is_warned(const struct sal_model *model, const char *text)
{
    int n;
    const char *const *warnings = sal_model_warnings(model, &n);
    for (int i = 0; i < n; i++)
        if (strstr(warnings[i], text))
            return true;
    return false;
}

static void newer_formats_are_warned_of(void **state)
{
    (void)state;
    struct onnx_build b;
    struct sal_model *model;
    struct sal_error err;
    network(&b, false);
    b.ir_version = 14;
    b.opset = 28;
    save(&b);
    assert_int_equal(open_saved(&model, &(struct sal_model_options){0}, &err), SAL_UNSUPPORTED);
    assert_non_null(strstr(err.text, "--force-opset"));
    network(&b, false);
    b.ir_version = 14;
    b.opset = 28;
    save(&b);
    assert_int_equal(
        open_saved(&model, &(struct sal_model_options){.force_opset = true}, &err), SAL_OK);
    assert_true(is_warned(model, "IR version 14 is newer than 13"));
    assert_true(is_warned(model, "opset 28 is taken as 27"));
    sal_model_close(model);
}

static void what_is_not_supported_is_named(void **state)
{
    (void)state;
    struct onnx_build b;
    struct sal_model *model;
    struct sal_error err;
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 4, DIMS(1, 1, 8, 8));
    onnx_build_node(&b, "Wavelet", "x", "y");
    onnx_build_name(&b, "odd one");
    onnx_build_output(&b, "y", SAL_ONNX_FLOAT, -1, NULL);
    save(&b);
    assert_int_equal(open_saved(&model, &(struct sal_model_options){0}, &err), SAL_UNSUPPORTED);
    assert_non_null(strstr(err.text, "Wavelet"));
    assert_non_null(strstr(err.text, "odd one"));
    assert_non_null(strstr(err.text, "13"));
    network(&b, false);
    b.opset = 99;
    save(&b);
    assert_int_equal(open_saved(&model, &(struct sal_model_options){0}, &err), SAL_UNSUPPORTED);
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 2, DIMS(1, 8));
    onnx_build_node(&b, "Relu", "x", "y");
    onnx_build_output(&b, "y", SAL_ONNX_FLOAT, -1, NULL);
    save(&b);
    assert_int_equal(open_saved(&model, &(struct sal_model_options){0}, &err), SAL_UNSUPPORTED);
    assert_non_null(strstr(err.text, "4 axes"));
}

/* ---- methods ------------------------------------------------------------------------------- */

static void every_method_gives_a_finite_map(void **state)
{
    (void)state;
    struct sal_model *model = open_network(false);
    static float x[C * H * W];
    fill(x, C * H * W, 9);
    for (int m = 0; sal_methods[m]; m++)
        for (int class = 0; class < CLASSES; class++) {
            if (sal_methods[m]->needs & SAL_NEEDS_ATTENTION)
                continue;
            struct sal_map map;
            struct sal_error err;
            struct sal_question question = {
                .model = model, .x = x, .class_index = class, .layer = -1};
            if (sal_explain(sal_methods[m], &question, &map, &err))
                fail_msg("%s: %s", sal_methods[m]->name, err.text);
            assert_int_equal(map.width, W);
            bool shows = false; /* a signed one may have nothing but evidence against */
            for (int i = 0; i < W * H; i++) {
                assert_true(isfinite(map.values[i]));
                shows |= map.is_signed ? map.values[i] != 0 : map.values[i] > 0;
            }
            bool odd = *map.note && !strstr(map.note, "adds up to");
            if (shows == odd)
                fail_msg("%s: its note is '%s'", sal_methods[m]->name, map.note);
            sal_map_release(&map);
        }
    struct sal_map map;
    struct sal_error err;
    struct sal_question question = {.model = model, .x = x, .class_index = CLASSES};
    assert_int_equal(sal_explain(sal_methods[0], &question, &map, &err), SAL_USAGE);
    question.class_index = 0;
    question.layer = sal_model_find(model, "flat");
    assert_int_equal(sal_explain(sal_methods[0], &question, &map, &err), SAL_USAGE);
    assert_non_null(strstr(err.text, "flat"));
    sal_model_close(model);
}

/* Grad-CAM's weight of a channel is what a bump of that channel does to the score. */
static void channel_weights_are_those_of_a_bump(void **state)
{
    (void)state;
    struct sal_model *model = open_network(false);
    struct sal_run *run;
    static float x[C * H * W];
    fill(x, C * H * W, 9);
    int layer = sal_model_find(model, "features"), logits = sal_model_output(model)->value;
    assert_int_equal(sal_run_open(&run, model,
                                  &(struct sal_run_options){.gradient = true,
                                                            .keep = &layer,
                                                            .n_keep = 1},
                                  NULL),
                     SAL_OK);
    assert_int_equal(sal_run_forward(run, x, NULL, NULL), SAL_OK);
    assert_int_equal(sal_run_backward(run, logits, 1, &layer, 1, NULL, NULL), SAL_OK);
    struct sal_shape shape;
    sal_run_value(run, layer, &shape);
    int64_t pixels = shape.dim[2] * shape.dim[3];
    const float *g = sal_run_gradient(run, layer);
    for (int k = 0; k < 40; k++) { /* the head: w5[1][k] / pixels everywhere */
        double w = sin(1.7 * (double)(40 + k) + 2) / 4 / (double)pixels;
        for (int64_t i = 0; i < pixels; i++)
            assert_true(fabs((double)g[k * pixels + i] - w) < 1e-7);
    }
    sal_run_close(run);
    sal_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_depend_on_neither_threads_nor_batch),
        cmocka_unit_test(a_run_can_be_asked_again),
        cmocka_unit_test(a_run_may_say_what_its_gradients_are_for),
        cmocka_unit_test(what_is_not_kept_is_neither_read_nor_asked_for),
        cmocka_unit_test(memory_is_used_again_by_what_comes_later),
        cmocka_unit_test(work_stops_when_it_is_cancelled),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(a_bad_number_is_traced_to_its_node),
        cmocka_unit_test(a_model_is_read_as_a_person_would),
        cmocka_unit_test(nhwc_and_nchw_see_the_same_image),
        cmocka_unit_test(scores_can_be_chosen),
        cmocka_unit_test(probabilities_are_explained_where_the_file_ends_in_logits),
        cmocka_unit_test(what_the_chosen_score_does_not_need_may_be_anything),
        cmocka_unit_test(newer_formats_are_warned_of),
        cmocka_unit_test(what_is_not_supported_is_named),
        cmocka_unit_test(every_method_gives_a_finite_map),
        cmocka_unit_test(channel_weights_are_those_of_a_bump),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
