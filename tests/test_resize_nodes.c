/* Resize and Upsample as nodes: which of their opsets' meanings a model gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "eval.h"

static const float ramp[] = {0, 1, 2, 3, 4};

/* One axis of five, by that scale. */
static void scaled(struct onnx_build *b, int64_t opset, float scale)
{
    onnx_build_init(b, opset);
    onnx_build_input(b, "x", SAL_ONNX_FLOAT, 1, (int64_t[]){5});
    onnx_build_weights(b, "scales", 1, (int64_t[]){1}, &scale);
    const char *op = opset < 10 ? "Upsample" : "Resize";
    onnx_build_node(b, op, opset < 11 ? "x,scales" : "x,,scales", "y");
    onnx_build_output(b, "y", SAL_ONNX_FLOAT, -1, NULL);
}

#define EXPECT(b, ...)                                                                 \
    eval_expect(b, ramp, (const float[]){__VA_ARGS__},                                 \
                (int)(sizeof((const float[]){__VA_ARGS__}) / sizeof(float)))

static void before_opset_11_pixels_are_at_their_corners(void **state)
{
    (void)state;
    struct onnx_build b;
    scaled(&b, 9, 1.6f);
    EXPECT(&b, 0, 0, 1, 1, 2, 3, 3, 4);
    scaled(&b, 10, 1.6f);
    EXPECT(&b, 0, 0, 1, 1, 2, 3, 3, 4);
    scaled(&b, 10, 0.6f); /* rounds up where it shrinks */
    EXPECT(&b, 0, 2, 4);
    scaled(&b, 10, 0.6f);
    onnx_build_string(&b, "mode", "linear");
    EXPECT(&b, 0, 5 / 3.f, 10 / 3.f);
}

static void from_opset_11_they_are_at_their_centres(void **state)
{
    (void)state;
    struct onnx_build b;
    scaled(&b, 13, 0.6f);
    EXPECT(&b, 0, 2, 4);
    scaled(&b, 13, 0.6f);
    onnx_build_string(&b, "mode", "linear");
    EXPECT(&b, 1 / 3.f, 2, 11 / 3.f);
}

static void corners_between_pixels_are_pytorchs_own_in_its_exports(void **state)
{
    (void)state;
    for (int pytorch = 0; pytorch < 2; pytorch++) {
        struct onnx_build b;
        scaled(&b, 13, 0.5f); /* 2.5 long */
        onnx_build_string(&b, "mode", "linear");
        onnx_build_string(&b, "coordinate_transformation_mode", "align_corners");
        if (pytorch) {
            b.producer = "pytorch";
            EXPECT(&b, 0, 4);
        } else {
            EXPECT(&b, 0, 8 / 3.f);
        }
    }
}

static void a_product_that_is_whole_in_float_is_a_size(void **state)
{
    (void)state;
    struct onnx_build b;
    scaled(&b, 13, 1.4f); /* 7, 6.99999988 in double */
    onnx_build_string(&b, "coordinate_transformation_mode", "asymmetric");
    onnx_build_string(&b, "nearest_mode", "floor");
    EXPECT(&b, 0, 0, 1, 2, 2, 3, 4);
}

static void what_a_crop_cannot_read_is_extrapolated(void **state)
{
    (void)state;
    struct onnx_build b;
    onnx_build_init(&b, 13);
    onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 1, (int64_t[]){5});
    onnx_build_weights(&b, "roi", 1, (int64_t[]){2}, (const float[]){-0.25f, 1.25f});
    onnx_build_indices(&b, "sizes", 1, (int64_t[]){1}, (int64_t[]){4});
    onnx_build_node(&b, "Resize", "x,roi,,sizes", "y");
    onnx_build_string(&b, "mode", "linear");
    onnx_build_string(&b, "coordinate_transformation_mode", "tf_crop_and_resize");
    onnx_build_float(&b, "extrapolation_value", 9);
    onnx_build_output(&b, "y", SAL_ONNX_FLOAT, -1, NULL);
    EXPECT(&b, 9, 1, 3, 9);
}

static void the_aspect_ratio_is_kept_by_one_scale(void **state)
{
    (void)state;
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller"};
    const struct sal_shape shapes[] = {{2, {4, 9}}, {2, {3, 9}}, {2, {4, 12}}};
    for (int i = 0; i < 3; i++) {
        struct onnx_build b;
        struct eval e = {0};
        onnx_build_init(&b, 18);
        onnx_build_input(&b, "x", SAL_ONNX_FLOAT, 2, (int64_t[]){2, 6});
        onnx_build_indices(&b, "sizes", 1, (int64_t[]){2}, (int64_t[]){4, 9});
        onnx_build_node(&b, "Resize", "x,,,sizes", "y");
        onnx_build_string(&b, "keep_aspect_ratio_policy", policies[i]);
        onnx_build_output(&b, "y", SAL_ONNX_FLOAT, -1, NULL);
        eval_run(&e, &b);
        assert_int_equal(e.status, SAL_OK);
        assert_true(sal_shape_equal(&e.shape, &shapes[i]));
        onnx_build_release(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_opset_11_pixels_are_at_their_corners),
        cmocka_unit_test(from_opset_11_they_are_at_their_centres),
        cmocka_unit_test(corners_between_pixels_are_pytorchs_own_in_its_exports),
        cmocka_unit_test(a_product_that_is_whole_in_float_is_a_size),
        cmocka_unit_test(what_a_crop_cannot_read_is_extrapolated),
        cmocka_unit_test(the_aspect_ratio_is_kept_by_one_scale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
