/* Windows: output sizes as onnxruntime gives them, pads, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "window.h"

static const struct sal_op op = {.name = "MaxPool"};
static const struct sal_node node = {.op = &op, .name = "pool1", .opset = 12};

static struct sal_onnx_attr ints(const char *name, const int64_t *values, size_t n)
{
    return (struct sal_onnx_attr){
        .name = name, .type = SAL_ONNX_ATTR_INTS, .ints = values, .n = n};
}

#define INTS(name, ...)                                                          \
    ints(name, (const int64_t[]){__VA_ARGS__},                                   \
         sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static enum sal_status parse(const struct sal_onnx_attr *attrs, int n, int rank,
                             struct sal_window *window, struct sal_error *err)
{
    const char *output = "y";
    struct sal_onnx_node source = {
        .op = "MaxPool", .name = "pool1", .outputs = &output, .n_outputs = 1,
        .attrs = attrs, .n_attrs = n};
    return sal_window_parse(&node, &source, rank, window, err);
}

/* ---- sizes ------------------------------------------------------------------------ */

struct size_case {
    int64_t kernel, stride, dilation, pads[2];
    int auto_pad;
    bool ceil;
    int64_t in, out;
};

/* Along one axis; the outputs are those of onnxruntime 1.32's MaxPool (which also takes
 * some windows that are larger than the padded input). */
static const struct size_case sizes[] = {
    {1, 1, 1, {0, 0}, SAL_PAD_NOTSET, false, 12, 12},
    {1, 1, 3, {0, 0}, SAL_PAD_NOTSET, false, 1, 1},
    {1, 1, 3, {0, 0}, SAL_PAD_NOTSET, false, 5, 5},
    {1, 1, 3, {0, 0}, SAL_PAD_NOTSET, true, 2, 2},
    {1, 2, 2, {0, 0}, SAL_PAD_NOTSET, false, 11, 6},
    {1, 3, 2, {0, 0}, SAL_PAD_NOTSET, true, 10, 4},
    {1, 3, 2, {0, 0}, SAL_PAD_NOTSET, true, 12, 4},
    {1, 3, 3, {0, 0}, SAL_PAD_NOTSET, false, 4, 2},
    {1, 4, 1, {0, 0}, SAL_PAD_NOTSET, false, 5, 2},
    {1, 4, 3, {0, 0}, SAL_PAD_NOTSET, true, 3, 1},
    {2, 1, 1, {0, 0}, SAL_PAD_NOTSET, true, 5, 4},
    {2, 1, 2, {0, 1}, SAL_PAD_NOTSET, false, 3, 2},
    {2, 1, 2, {1, 0}, SAL_PAD_NOTSET, true, 7, 6},
    {2, 2, 3, {0, 1}, SAL_PAD_NOTSET, true, 11, 5},
    {2, 3, 2, {0, 1}, SAL_PAD_NOTSET, false, 11, 4},
    {2, 3, 3, {1, 0}, SAL_PAD_NOTSET, false, 7, 2},
    {2, 4, 3, {1, 1}, SAL_PAD_NOTSET, true, 10, 3},
    {3, 1, 2, {2, 2}, SAL_PAD_NOTSET, true, 7, 7},
    {3, 1, 2, {2, 2}, SAL_PAD_NOTSET, true, 11, 11},
    {3, 1, 3, {0, 1}, SAL_PAD_NOTSET, true, 9, 4},
    {3, 2, 3, {2, 2}, SAL_PAD_NOTSET, true, 10, 5},
    {3, 4, 1, {1, 0}, SAL_PAD_NOTSET, true, 1, 1},
    {3, 4, 1, {2, 0}, SAL_PAD_NOTSET, false, 12, 3},
    {3, 4, 1, {2, 1}, SAL_PAD_NOTSET, true, 12, 4},
    {3, 4, 2, {0, 2}, SAL_PAD_NOTSET, false, 6, 1},
    {4, 1, 1, {2, 1}, SAL_PAD_NOTSET, true, 8, 8},
    {4, 1, 2, {3, 0}, SAL_PAD_NOTSET, false, 8, 5},
    {4, 2, 2, {1, 3}, SAL_PAD_NOTSET, true, 3, 1},
    {4, 3, 3, {1, 3}, SAL_PAD_NOTSET, false, 9, 2},
    {4, 3, 3, {2, 3}, SAL_PAD_NOTSET, true, 10, 3},
    {4, 4, 3, {0, 3}, SAL_PAD_NOTSET, false, 11, 2},
    {4, 4, 3, {3, 1}, SAL_PAD_NOTSET, true, 6, 1},
    {5, 2, 1, {4, 0}, SAL_PAD_NOTSET, false, 9, 5},
    {5, 2, 2, {2, 1}, SAL_PAD_NOTSET, false, 6, 1},
    {5, 2, 2, {4, 0}, SAL_PAD_NOTSET, true, 10, 4},
    {5, 3, 1, {4, 2}, SAL_PAD_NOTSET, false, 2, 2},
    {5, 3, 1, {4, 2}, SAL_PAD_NOTSET, true, 1, 2},
    {5, 3, 2, {2, 3}, SAL_PAD_NOTSET, false, 5, 1},
    {5, 3, 3, {3, 2}, SAL_PAD_NOTSET, false, 9, 1},
    {5, 4, 3, {2, 4}, SAL_PAD_NOTSET, false, 9, 1},
    {1, 1, 1, {0, 0}, SAL_PAD_SAME_LOWER, false, 2, 2},
    {3, 4, 1, {0, 0}, SAL_PAD_SAME_LOWER, false, 7, 2},
    {4, 3, 1, {0, 0}, SAL_PAD_SAME_LOWER, false, 5, 2},
    {4, 4, 1, {0, 0}, SAL_PAD_SAME_LOWER, false, 4, 1},
    {4, 4, 1, {0, 0}, SAL_PAD_SAME_LOWER, false, 6, 2},
    {4, 4, 1, {0, 0}, SAL_PAD_SAME_LOWER, false, 10, 3},
    {5, 2, 1, {0, 0}, SAL_PAD_SAME_LOWER, false, 11, 6},
    {5, 3, 1, {0, 0}, SAL_PAD_SAME_LOWER, false, 5, 2},
    {1, 1, 1, {0, 0}, SAL_PAD_SAME_UPPER, false, 6, 6},
    {4, 3, 1, {0, 0}, SAL_PAD_SAME_UPPER, false, 6, 2},
    {4, 4, 1, {0, 0}, SAL_PAD_SAME_UPPER, false, 1, 1},
    {5, 2, 1, {0, 0}, SAL_PAD_SAME_UPPER, false, 4, 2},
    {1, 2, 3, {0, 0}, SAL_PAD_VALID, false, 5, 3},
    {1, 3, 1, {0, 0}, SAL_PAD_VALID, false, 4, 2},
    {1, 3, 1, {0, 0}, SAL_PAD_VALID, false, 7, 3},
    {3, 3, 1, {0, 0}, SAL_PAD_VALID, false, 6, 2},
    {4, 2, 1, {0, 0}, SAL_PAD_VALID, false, 11, 4},
    {5, 4, 1, {0, 0}, SAL_PAD_VALID, false, 5, 1},
};

static struct sal_window window_of(const struct size_case *c)
{
    return (struct sal_window){
        .rank = 1,
        .kernel = {c->kernel},
        .stride = {c->stride},
        .dilation = {c->dilation},
        .pad_begin = {c->pads[0]},
        .pad_end = {c->pads[1]},
        .auto_pad = c->auto_pad,
        .ceil = c->ceil,
    };
}

static void output_sizes_are_those_of_onnxruntime(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        struct sal_window window = window_of(&sizes[i]), fitted;
        struct sal_error err = {0};
        int64_t out = 0;
        if (sal_window_output(&node, &window, 1, NULL, &sizes[i].in, &fitted, &out, &err))
            fail_msg("case %zu: %s", i, err.text);
        if (out != sizes[i].out)
            fail_msg("case %zu: %lld, expected %lld", i, (long long)out,
                     (long long)sizes[i].out);
        assert_int_equal(fitted.auto_pad, SAL_PAD_NOTSET);
    }
}

static void same_puts_the_odd_pad_where_it_says(void **state)
{
    (void)state;
    struct sal_window window = {.rank = 1, .kernel = {4}, .stride = {1}, .dilation = {1}};
    struct sal_window fitted;
    int64_t in = 5, out;
    window.auto_pad = SAL_PAD_SAME_UPPER;
    assert_int_equal(sal_window_output(&node, &window, 1, NULL, &in, &fitted, &out, NULL),
                     SAL_OK);
    assert_int_equal(fitted.pad_begin[0], 1);
    assert_int_equal(fitted.pad_end[0], 2);
    window.auto_pad = SAL_PAD_SAME_LOWER;
    assert_int_equal(sal_window_output(&node, &window, 1, NULL, &in, &fitted, &out, NULL),
                     SAL_OK);
    assert_int_equal(fitted.pad_begin[0], 2);
    assert_int_equal(fitted.pad_end[0], 1);
}

/* ---- transposed ------------------------------------------------------------------- */

struct transposed_case {
    int64_t kernel, stride, dilation, pads[2];
    int auto_pad;
    int64_t padding, target; /* 0: not said */
    int64_t in, out, begin;
};

/* Along one axis; sizes and leading pads are those of onnxruntime 1.32's ConvTranspose
 * (which under SAME gives less than in * stride where windows leave gaps). */
static const struct transposed_case transposed[] = {
    {1, 2, 3, {0, 1}, SAL_PAD_NOTSET, 1, 0, 2, 3, 0},
    {1, 4, 2, {0, 0}, SAL_PAD_NOTSET, 0, 10, 4, 10, 2},
    {2, 1, 2, {1, 1}, SAL_PAD_NOTSET, 0, 0, 5, 5, 1},
    {2, 2, 2, {0, 0}, SAL_PAD_SAME_UPPER, 0, 0, 3, 6, 0},
    {2, 2, 3, {0, 0}, SAL_PAD_VALID, 1, 0, 2, 7, 0},
    {2, 2, 3, {0, 1}, SAL_PAD_NOTSET, 0, 0, 4, 9, 0},
    {2, 3, 2, {0, 0}, SAL_PAD_NOTSET, 2, 18, 6, 18, 1},
    {2, 4, 2, {0, 0}, SAL_PAD_NOTSET, 1, 11, 3, 11, 1},
    {2, 4, 2, {1, 1}, SAL_PAD_NOTSET, 0, 0, 2, 5, 1},
    {2, 4, 3, {0, 0}, SAL_PAD_NOTSET, 1, 2, 1, 2, 2},
    {3, 1, 2, {0, 0}, SAL_PAD_NOTSET, 0, 8, 6, 8, 1},
    {3, 2, 1, {0, 0}, SAL_PAD_SAME_UPPER, 0, 0, 6, 12, 0},
    {3, 2, 2, {0, 0}, SAL_PAD_NOTSET, 0, 0, 2, 7, 0},
    {3, 3, 2, {2, 2}, SAL_PAD_NOTSET, 1, 0, 3, 8, 2},
    {3, 3, 3, {0, 0}, SAL_PAD_SAME_LOWER, 0, 0, 4, 12, 2},
    {3, 3, 3, {0, 0}, SAL_PAD_SAME_UPPER, 0, 22, 6, 22, 0},
    {3, 4, 1, {0, 0}, SAL_PAD_SAME_UPPER, 0, 17, 5, 17, 1},
    {3, 4, 1, {0, 2}, SAL_PAD_NOTSET, 0, 0, 6, 21, 0},
    {3, 4, 2, {2, 2}, SAL_PAD_NOTSET, 0, 0, 6, 21, 2},
    {4, 1, 1, {0, 0}, SAL_PAD_NOTSET, 0, 6, 6, 6, 2},
    {4, 2, 1, {0, 0}, SAL_PAD_NOTSET, 0, 0, 1, 4, 0},
    {4, 2, 1, {1, 1}, SAL_PAD_NOTSET, 0, 0, 3, 6, 1},
    {4, 2, 1, {1, 1}, SAL_PAD_NOTSET, 0, 0, 6, 12, 1},
    {4, 3, 1, {0, 0}, SAL_PAD_NOTSET, 0, 9, 4, 9, 2},
    {4, 3, 1, {0, 0}, SAL_PAD_VALID, 0, 0, 4, 13, 0},
    {4, 3, 3, {0, 0}, SAL_PAD_SAME_UPPER, 0, 23, 6, 23, 1},
    {4, 4, 1, {0, 0}, SAL_PAD_VALID, 0, 0, 1, 4, 0},
    {4, 4, 3, {0, 0}, SAL_PAD_SAME_LOWER, 2, 0, 6, 24, 4},
};

static void transposed_sizes_and_pads_are_those_of_onnxruntime(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(transposed) / sizeof(*transposed); i++) {
        const struct transposed_case *c = &transposed[i];
        const struct sal_window window = {
            .rank = 1,
            .kernel = {c->kernel},
            .stride = {c->stride},
            .dilation = {c->dilation},
            .pad_begin = {c->pads[0]},
            .pad_end = {c->pads[1]},
            .auto_pad = c->auto_pad,
        };
        const struct sal_window_target target = {
            .padding = c->padding ? &c->padding : NULL,
            .out = c->target ? &c->target : NULL,
        };
        struct sal_window fitted;
        int64_t out = 0;
        struct sal_error err = {0};
        if (sal_window_transpose(&node, &window, 1, NULL, &c->in, target, &fitted, &out,
                                 &err))
            fail_msg("case %d: %s", (int)i, err.text);
        if (out != c->out || fitted.pad_begin[0] != c->begin)
            fail_msg("case %d: %d elements and %d pads, expected %d and %d", (int)i,
                     (int)out, (int)fitted.pad_begin[0], (int)c->out, (int)c->begin);
    }
}

static void same_transposed_gives_a_stride_for_each_input(void **state)
{
    (void)state;
    const struct sal_window window = {.rank = 1, .kernel = {1}, .stride = {3},
                                      .dilation = {1}, .auto_pad = SAL_PAD_SAME_LOWER};
    struct sal_window fitted;
    int64_t out = 0;
    assert_int_equal(sal_window_transpose(&node, &window, 1, NULL, (int64_t[]){4},
                                          (struct sal_window_target){0}, &fitted, &out,
                                          NULL),
                     SAL_OK);
    assert_int_equal(out, 12);
    assert_int_equal(fitted.pad_begin[0], 0);
    assert_int_equal(fitted.pad_end[0], 0);
}

/* ---- refusals ----------------------------------------------------------------------- */

static void a_window_that_is_too_large_is_refused(void **state)
{
    (void)state;
    struct sal_window window = {.rank = 1, .kernel = {4}, .stride = {1}, .dilation = {2}};
    struct sal_error err = {0};
    int64_t in = 6, out;
    assert_int_equal(sal_window_output(&node, &window, 1, NULL, &in, &window, &out, &err),
                     SAL_BAD_INPUT);
    assert_string_equal(err.text, "MaxPool 'pool1': window reaches over 7 along spatial "
                                  "axis 0, the padded input has 6");
}

static void the_largest_numbers_do_not_overflow(void **state)
{
    (void)state;
    const int64_t most = 2147483647;
    struct sal_window window = {
        .rank = 1, .kernel = {most}, .stride = {most}, .dilation = {most},
        .pad_begin = {most}, .pad_end = {most}, .ceil = true};
    struct sal_window fitted;
    int64_t in = most, out;
    assert_int_equal(sal_window_output(&node, &window, 1, NULL, &in, &fitted, &out, NULL),
                     SAL_BAD_INPUT);
    window.auto_pad = SAL_PAD_SAME_UPPER;
    assert_int_equal(sal_window_output(&node, &window, 1, NULL, &in, &fitted, &out, NULL),
                     SAL_OK);
    assert_int_equal(out, 1);
    window.kernel[0] = window.stride[0] = 1;
    window.ceil = false;
    window.auto_pad = SAL_PAD_NOTSET;
    assert_int_equal(sal_window_output(&node, &window, 1, NULL, &in, &fitted, &out, NULL),
                     SAL_OK);
    assert_true(out == 3 * most);
}

/* ---- parsing ---------------------------------------------------------------------- */

static void lists_left_out_are_ones_and_zeros(void **state)
{
    (void)state;
    struct sal_window window;
    struct sal_onnx_attr attrs[] = {INTS("kernel_shape", 3, 2)};
    assert_int_equal(parse(attrs, 1, -1, &window, NULL), SAL_OK);
    assert_int_equal(window.rank, 2);
    assert_int_equal(window.kernel[1], 2);
    assert_int_equal(window.stride[1], 1);
    assert_int_equal(window.dilation[2], 1);
    assert_int_equal(window.pad_end[0], 0);
    assert_int_equal(parse(NULL, 0, 0, &window, NULL), SAL_OK);
    assert_int_equal(window.rank, 0);
    assert_int_equal(window.kernel[0], 0);
}

static void pads_are_begins_then_ends(void **state)
{
    (void)state;
    struct sal_window window;
    struct sal_onnx_attr attrs[] = {INTS("pads", 1, 2, 3, 4)};
    assert_int_equal(parse(attrs, 1, 0, &window, NULL), SAL_OK);
    assert_int_equal(window.rank, 2);
    assert_int_equal(window.pad_begin[1], 2);
    assert_int_equal(window.pad_end[0], 3);
}

static void refused(const struct sal_onnx_attr *attrs, int n, int rank,
                    enum sal_status status, const char *text)
{
    struct sal_window window;
    struct sal_error err = {0};
    assert_int_equal(parse(attrs, n, rank, &window, &err), status);
    if (!strstr(err.text, text) || !strstr(err.text, "MaxPool 'pool1'"))
        fail_msg("'%s' does not say '%s'", err.text, text);
}

static void impossible_attributes_are_refused_by_name(void **state)
{
    (void)state;
    struct sal_onnx_attr pad = {.name = "auto_pad", .type = SAL_ONNX_ATTR_STRING, .s = "LEFT"};
    struct sal_onnx_attr zero = INTS("strides", 1, 0);
    struct sal_onnx_attr negative = INTS("pads", 0, -1);
    struct sal_onnx_attr huge = INTS("dilations", INT64_MAX);
    struct sal_onnx_attr uneven[] = {INTS("kernel_shape", 3, 3), INTS("pads", 1, 1)};
    struct sal_onnx_attr deep = INTS("kernel_shape", 1, 1, 1, 1);
    refused(&zero, 1, 0, SAL_BAD_INPUT, "strides[1] is 0");
    refused(&negative, 1, 0, SAL_BAD_INPUT, "pads[1] is -1");
    refused(&huge, 1, 0, SAL_BAD_INPUT, "dilations[0]");
    refused(uneven, 2, -1, SAL_BAD_INPUT, "pads has 2 entries, expected 4");
    refused(&deep, 1, -1, SAL_UNSUPPORTED, "4 spatial axes");
    refused(NULL, 0, -1, SAL_BAD_INPUT, "kernel_shape is missing");
    refused(&pad, 1, 0, SAL_BAD_INPUT, "auto_pad is 'LEFT'");
}

static void kernel_shape_must_be_the_weights(void **state)
{
    (void)state;
    struct sal_window window = {.rank = 2, .kernel = {3, 3}, .stride = {1, 1},
                                .dilation = {1, 1}};
    struct sal_error err = {0};
    int64_t in[] = {8, 8}, out[2];
    assert_int_equal(sal_window_output(&node, &window, 2, (const int64_t[]){3, 5}, in,
                                       &window, out, &err),
                     SAL_BAD_INPUT);
    assert_non_null(strstr(err.text, "kernel_shape[1] is 3, weight has 5"));
}

static void lifting_moves_axes_to_the_back(void **state)
{
    (void)state;
    struct sal_window window = {.rank = 2, .kernel = {3, 5}, .stride = {1, 2},
                                .dilation = {1, 1}, .pad_begin = {0, 4}};
    int64_t in[3] = {8, 9}, out[3] = {6, 7};
    sal_window_lift(&window, in, out);
    assert_int_equal(window.rank, 3);
    assert_int_equal(window.kernel[0], 1);
    assert_int_equal(window.kernel[2], 5);
    assert_int_equal(window.stride[2], 2);
    assert_int_equal(window.pad_begin[0], 0);
    assert_int_equal(window.pad_begin[2], 4);
    assert_int_equal(in[0], 1);
    assert_int_equal(in[1], 8);
    assert_int_equal(out[2], 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_sizes_are_those_of_onnxruntime),
        cmocka_unit_test(same_puts_the_odd_pad_where_it_says),
        cmocka_unit_test(transposed_sizes_and_pads_are_those_of_onnxruntime),
        cmocka_unit_test(same_transposed_gives_a_stride_for_each_input),
        cmocka_unit_test(a_window_that_is_too_large_is_refused),
        cmocka_unit_test(the_largest_numbers_do_not_overflow),
        cmocka_unit_test(lists_left_out_are_ones_and_zeros),
        cmocka_unit_test(pads_are_begins_then_ends),
        cmocka_unit_test(impossible_attributes_are_refused_by_name),
        cmocka_unit_test(kernel_shape_must_be_the_weights),
        cmocka_unit_test(lifting_moves_axes_to_the_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
