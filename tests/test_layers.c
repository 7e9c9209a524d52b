/* Which tensors are feature maps, how they lie, and which one `auto` takes: in
 * convolutional networks of either layout and in transformers, with and without class
 * tokens, through attention, windows and rolls. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "onnx_build.h"
#include "saliscope/explain.h"

#define DIMS(...) (const int64_t[]){__VA_ARGS__}

enum { H = 16, W = 24, PATCH = 4, ROWS = H / PATCH, COLUMNS = W / PATCH, C = 8 };
enum { GRID = ROWS * COLUMNS, CLASSES = 3 };

/* ---- building -------------------------------------------------------------------- */

static void reshape(struct onnx_build *b, const char *from, const char *to, int rank,
                    const int64_t *dims)
{
    char shape[64], inputs[128];
    int64_t n = rank;
    snprintf(shape, sizeof(shape), "%s_shape", to);
    snprintf(inputs, sizeof(inputs), "%s,%s", from, shape);
    onnx_build_indices(b, shape, 1, &n, dims);
    onnx_build_node(b, "Reshape", inputs, to);
}

static void transpose(struct onnx_build *b, const char *from, const char *to, int rank,
                      const int64_t *perm)
{
    onnx_build_node(b, "Transpose", from, to);
    onnx_build_ints(b, "perm", rank, perm);
}

static void slice(struct onnx_build *b, const char *from, const char *to, int64_t start,
                  int64_t end, int64_t axis)
{
    char names[3][64], inputs[256];
    const int64_t one = 1, *values[] = {&start, &end, &axis};
    for (int i = 0; i < 3; i++) {
        snprintf(names[i], sizeof(names[i]), "%s_%d", to, i);
        onnx_build_indices(b, names[i], 1, &one, values[i]);
    }
    snprintf(inputs, sizeof(inputs), "%s,%s,%s,%s", from, names[0], names[1], names[2]);
    onnx_build_node(b, "Slice", inputs, to);
}

/* "image" to patches, 1 x C x ROWS x COLUMNS. */
static void begin(struct onnx_build *b)
{
    onnx_build_init(b, 13);
    onnx_build_input(b, "image", SAL_ONNX_FLOAT, 4, DIMS(1, 3, H, W));
    onnx_build_waves(b, "w_patch", 4, DIMS(C, 3, PATCH, PATCH), 0.25f);
    onnx_build_waves(b, "w_head", 2, DIMS(C, CLASSES), 0.25f);
    onnx_build_node(b, "Conv", "image,w_patch", "patches");
    onnx_build_ints(b, "strides", 2, DIMS(PATCH, PATCH));
}

static void begin_tokens(struct onnx_build *b)
{
    begin(b);
    reshape(b, "patches", "flat", 3, DIMS(1, C, GRID));
    transpose(b, "flat", "tokens", 3, DIMS(0, 2, 1));
}

static void head(struct onnx_build *b, const char *features)
{
    char inputs[64];
    snprintf(inputs, sizeof(inputs), "%s,w_head", features);
    onnx_build_node(b, "MatMul", inputs, "logits");
    onnx_build_output(b, "logits", SAL_ONNX_FLOAT, -1, NULL);
}

/* A node whose tensors all carry the block's number. */
static void numbered(struct onnx_build *b, int block, const char *op, const char *inputs,
                     const char *output)
{
    char in[128] = "", out[32], copy[128], *rest = copy;
    snprintf(copy, sizeof(copy), "%s", inputs);
    for (char *name; (name = strtok_r(rest, ",", &rest));)
        snprintf(in + strlen(in), sizeof(in) - strlen(in), "%s%s%d", *in ? "," : "", name,
                 block);
    snprintf(out, sizeof(out), "%s%d", output, block);
    onnx_build_node(b, op, in, out);
}

/* One block of a transformer, from x<block> to x<block + 1>. */
static void block(struct onnx_build *b, int i)
{
    static const char *const squares[] = {"wq", "wk", "wv", "wo", "wm"};
    for (int s = 0; s < 5; s++) {
        char name[16];
        snprintf(name, sizeof(name), "%s%d", squares[s], i);
        onnx_build_waves(b, name, 2, DIMS(C, C), 0.25f);
    }
    numbered(b, i, "ReduceMean", "x", "mean");
    onnx_build_ints(b, "axes", 1, DIMS(-1));
    numbered(b, i, "Sub", "x,mean", "norm");
    numbered(b, i, "MatMul", "norm,wq", "q");
    numbered(b, i, "MatMul", "norm,wk", "k");
    numbered(b, i, "MatMul", "norm,wv", "v");
    numbered(b, i, "Transpose", "k", "kt");
    onnx_build_ints(b, "perm", 3, DIMS(0, 2, 1));
    numbered(b, i, "MatMul", "q,kt", "score");
    numbered(b, i, "Softmax", "score", "attention");
    numbered(b, i, "MatMul", "attention,v", "seen");
    numbered(b, i, "MatMul", "seen,wo", "out");
    numbered(b, i, "Add", "x,out", "mid");
    numbered(b, i, "MatMul", "mid,wm", "mlp");
    numbered(b, i, "Relu", "mlp", "act");
    char inputs[32], output[16];
    snprintf(inputs, sizeof(inputs), "mid%d,act%d", i, i);
    snprintf(output, sizeof(output), "x%d", i + 1);
    onnx_build_node(b, "Add", inputs, output);
}

/* ---- looking --------------------------------------------------------------------------- */

static struct sal_model *open_built(struct onnx_build *b)
{
    char path[ONNX_BUILD_PATH];
    struct sal_model *model = NULL;
    struct sal_error err;
    assert_true(onnx_build_save(b, path));
    if (sal_model_open(&model, path, &(struct sal_model_options){0}, &err))
        fail_msg("%s", err.text);
    unlink(path);
    return model;
}

static const struct sal_layer *layer_named(const struct sal_model *model, const char *name)
{
    int value = sal_model_find(model, name);
    if (value < 0)
        fail_msg("no tensor '%s'", name);
    return sal_model_layer(model, value);
}

static void assert_automatic(const struct sal_model *model, const char *name)
{
    int n, automatic;
    const struct sal_layer *layers = sal_model_layers(model, &n, &automatic);
    assert_true(automatic >= 0);
    assert_string_equal(sal_model_value(model, layers[automatic].value).name, name);
}

static void assert_lies(const struct sal_model *model, const char *name,
                        struct sal_layer expected)
{
    const struct sal_layer *layer = layer_named(model, name);
    if (!layer)
        fail_msg("'%s' is not listed", name);
    expected.value = layer->value;
    assert_int_equal(layer->channels, expected.channels);
    assert_int_equal(layer->height, expected.height);
    assert_int_equal(layer->width, expected.width);
    assert_int_equal(layer->tokens, expected.tokens);
    assert_int_equal(layer->at, expected.at);
    assert_int_equal(layer->step_channel, expected.step_channel);
    assert_int_equal(layer->step_row, expected.step_row);
    assert_int_equal(layer->step_column, expected.step_column);
}

static void assert_not_listed(const struct sal_model *model, const char *name)
{
    if (layer_named(model, name))
        fail_msg("'%s' is listed", name);
}

static const struct sal_layer whole_grid = {
    .channels = C, .height = ROWS, .width = COLUMNS, .tokens = GRID,
    .step_channel = 1, .step_row = C * COLUMNS, .step_column = C};

/* ---- transformers ------------------------------------------------------------------------ */

static void class_tokens_are_left_out(void **state)
{
    (void)state;
    struct onnx_build b;
    begin_tokens(&b);
    onnx_build_waves(&b, "class", 3, DIMS(1, 2, C), 0.25f);
    onnx_build_waves(&b, "position", 3, DIMS(1, GRID + 2, C), 0.25f);
    onnx_build_node(&b, "Concat", "class,tokens", "with_class");
    onnx_build_int(&b, "axis", 1);
    onnx_build_node(&b, "Add", "with_class,position", "x1");
    block(&b, 1);
    block(&b, 2);
    const int64_t one = 0;
    onnx_build_indices(&b, "zero", 0, NULL, &one);
    onnx_build_node(&b, "Gather", "x3,zero", "first");
    onnx_build_int(&b, "axis", 1);
    head(&b, "first");
    struct sal_model *model = open_built(&b);
    struct sal_layer expected = whole_grid;
    expected.tokens = GRID + 2;
    expected.at = 2 * C;
    assert_lies(model, "x1", expected);
    assert_lies(model, "norm2", expected);
    /* Of the last block only the class token is read: what the other tokens become
     * after its attention changes nothing, and the attention itself is no map. */
    assert_automatic(model, "norm2");
    assert_not_listed(model, "x3");
    assert_not_listed(model, "mid2");
    assert_not_listed(model, "score1");
    assert_not_listed(model, "q2");
    assert_lies(model, "v2", expected);
    sal_model_close(model);
}

static void a_mean_over_tokens_looks_at_the_last_of_them(void **state)
{
    (void)state;
    struct onnx_build b;
    begin_tokens(&b);
    onnx_build_node(&b, "Identity", "tokens", "x1");
    block(&b, 1);
    onnx_build_node(&b, "ReduceMean", "x2", "pooled");
    onnx_build_ints(&b, "axes", 1, DIMS(1));
    onnx_build_int(&b, "keepdims", 0);
    head(&b, "pooled");
    struct sal_model *model = open_built(&b);
    assert_automatic(model, "x2");
    assert_lies(model, "x2", whole_grid);
    sal_model_close(model);
}

static void tokens_become_a_map_again(void **state)
{
    (void)state;
    struct onnx_build b;
    begin_tokens(&b);
    onnx_build_node(&b, "Relu", "tokens", "x1");
    reshape(&b, "x1", "grid", 4, DIMS(1, ROWS, COLUMNS, C));
    onnx_build_node(&b, "Relu", "grid", "as_grid");
    transpose(&b, "as_grid", "turned", 4, DIMS(0, 3, 1, 2));
    onnx_build_node(&b, "Relu", "turned", "as_map");
    onnx_build_node(&b, "ReduceMean", "as_map", "pooled");
    onnx_build_ints(&b, "axes", 2, DIMS(2, 3));
    onnx_build_int(&b, "keepdims", 0);
    head(&b, "pooled");
    struct sal_model *model = open_built(&b);
    struct sal_layer last = whole_grid;
    last.tokens = 0;
    assert_lies(model, "as_grid", last);
    assert_lies(model, "as_map",
                (struct sal_layer){.channels = C, .height = ROWS, .width = COLUMNS,
                                   .step_channel = GRID, .step_row = COLUMNS,
                                   .step_column = 1});
    assert_automatic(model, "as_map");
    sal_model_close(model);
}

/* ---- windows and rolls -------------------------------------------------------------------- */

static void a_roll_loses_its_place_and_a_skip_keeps_it(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b);
    onnx_build_node(&b, "Relu", "patches", "x");
    slice(&b, "x", "top", 0, 1, 2);
    slice(&b, "x", "rest", 1, ROWS, 2);
    onnx_build_node(&b, "Concat", "rest,top", "rolled");
    onnx_build_int(&b, "axis", 2);
    onnx_build_node(&b, "Relu", "rolled", "moved");
    onnx_build_node(&b, "Add", "x,moved", "sum");
    onnx_build_node(&b, "ReduceMean", "sum", "pooled");
    onnx_build_ints(&b, "axes", 2, DIMS(2, 3));
    onnx_build_int(&b, "keepdims", 0);
    head(&b, "pooled");
    struct sal_model *model = open_built(&b);
    assert_non_null(layer_named(model, "x"));
    assert_not_listed(model, "rolled");
    assert_not_listed(model, "moved");
    assert_automatic(model, "sum");
    sal_model_close(model);
}

static void windows_are_not_mistaken_for_the_picture(void **state)
{
    (void)state;
    struct onnx_build b;
    begin(&b);
    transpose(&b, "patches", "nhwc", 4, DIMS(0, 2, 3, 1));
    onnx_build_node(&b, "Relu", "nhwc", "x");
    reshape(&b, "x", "cut", 6, DIMS(1, ROWS / 2, 2, COLUMNS / 2, 2, C));
    transpose(&b, "cut", "sorted", 6, DIMS(0, 1, 3, 2, 4, 5));
    reshape(&b, "sorted", "windows", 3, DIMS(GRID / 4, 4, C));
    onnx_build_node(&b, "Relu", "windows", "inside");
    reshape(&b, "inside", "uncut", 6, DIMS(1, ROWS / 2, COLUMNS / 2, 2, 2, C));
    transpose(&b, "uncut", "unsorted", 6, DIMS(0, 1, 3, 2, 4, 5));
    reshape(&b, "unsorted", "back", 4, DIMS(1, ROWS, COLUMNS, C));
    onnx_build_node(&b, "Relu", "back", "again");
    onnx_build_node(&b, "Add", "x,again", "sum");
    onnx_build_node(&b, "ReduceMean", "sum", "pooled");
    onnx_build_ints(&b, "axes", 2, DIMS(1, 2));
    onnx_build_int(&b, "keepdims", 0);
    head(&b, "pooled");
    struct sal_model *model = open_built(&b);
    assert_not_listed(model, "inside");
    assert_not_listed(model, "again");
    assert_automatic(model, "sum");
    struct sal_layer last = whole_grid;
    last.tokens = 0;
    assert_lies(model, "sum", last);
    sal_model_close(model);
}

/* ---- the map --------------------------------------------------------------------------------- */

/* The same network, its last features as a map, with channels last, or as tokens. */
static struct sal_model *one_network(int form)
{
    struct onnx_build b;
    begin(&b);
    onnx_build_node(&b, "Relu", "patches", "x");
    if (form == 0)
        onnx_build_node(&b, "Identity", "x", "turned");
    else
        transpose(&b, "x", form == 1 ? "turned" : "nhwc", 4, DIMS(0, 2, 3, 1));
    if (form == 2)
        reshape(&b, "nhwc", "turned", 3, DIMS(1, GRID, C));
    onnx_build_node(&b, "Relu", "turned", "last");
    onnx_build_node(&b, "ReduceMean", "last", "pooled");
    onnx_build_ints(&b, "axes", form == 2 ? 1 : 2,
                    form == 0 ? DIMS(2, 3) : DIMS(1, form == 2 ? 0 : 2));
    onnx_build_int(&b, "keepdims", 0);
    head(&b, "pooled");
    return open_built(&b);
}

static void compare_forms(const struct sal_method *method, const struct sal_map map[3])
{
    float most = 0;
    for (int i = 0; i < GRID; i++)
        most = fmaxf(most, map[0].grid[i]);
    assert_true(most > 0);
    for (int form = 1; form < 3; form++) {
        assert_int_equal(map[form].grid_width, COLUMNS);
        for (int i = 0; i < GRID; i++)
            if (!(fabsf(map[form].grid[i] - map[0].grid[i]) <= 1e-5f * most))
                fail_msg("%s: form %d differs at %d", method->name, form, i);
    }
}

static void maps_are_the_same_however_features_lie(void **state)
{
    (void)state;
    static float x[3 * H * W];
    struct sal_model *model[3];
    for (int i = 0; i < 3 * H * W; i++)
        x[i] = (float)cos(0.37 * (double)(i + 1));
    for (int form = 0; form < 3; form++) {
        model[form] = one_network(form);
        assert_automatic(model[form], "last");
    }
    for (int k = 0; sal_methods[k]; k++) {
        struct sal_map map[3];
        struct sal_error err;
        const unsigned needs = sal_methods[k]->needs;
        if (!(needs & SAL_NEEDS_LAYER) || needs & SAL_HAS_CHANNELS) /* its grid is the input's */
            continue;
        for (int form = 0; form < 3; form++) {
            struct sal_question question = {
                .model = model[form], .x = x, .class_index = 1, .layer = -1};
            if (sal_explain(sal_methods[k], &question, &map[form], &err))
                fail_msg("%s: %s", sal_methods[k]->name, err.text);
        }
        compare_forms(sal_methods[k], map);
        for (int form = 0; form < 3; form++)
            sal_map_release(&map[form]);
    }
    for (int form = 0; form < 3; form++)
        sal_model_close(model[form]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(class_tokens_are_left_out),
        cmocka_unit_test(a_mean_over_tokens_looks_at_the_last_of_them),
        cmocka_unit_test(tokens_become_a_map_again),
        cmocka_unit_test(a_roll_loses_its_place_and_a_skip_keeps_it),
        cmocka_unit_test(windows_are_not_mistaken_for_the_picture),
        cmocka_unit_test(maps_are_the_same_however_features_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
