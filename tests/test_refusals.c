/* What operators refuse, and what they must survive: nodes in the words of
 * tests/gradient/sentence.h. A message names the operator and what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "eval.h"
#include "sentence.h"

struct refusal {
    struct sentence s;
    enum sal_status status;
    const char *text; /* a part of the message */
};

#define REFUSED(status, text, ...)                                                     \
    {                                                                                  \
        CASE(__VA_ARGS__), status, text                                                \
    }
#define BAD(text, ...) REFUSED(SAL_BAD_INPUT, text, __VA_ARGS__)
#define UNSUPPORTED(text, ...) REFUSED(SAL_UNSUPPORTED, text, __VA_ARGS__)
#define LIMIT(text, ...) REFUSED(SAL_LIMIT, text, __VA_ARGS__)

static const struct refusal refusals[] = {
    BAD("mode is 'area', expected nearest, linear or cubic", "Resize", 13, "mode=area",
        "2x3", "", "{1,2}"),
    BAD("coordinate_transformation_mode is 'half', expected half_pixel,", "Resize", 13,
        "coordinate_transformation_mode=half", "2x3", "", "{1,2}"),
    BAD("neither scales nor sizes are given", "Resize", 13, NULL, "2x3"),
    BAD("both scales and sizes are given", "Resize", 13, NULL, "2x3", "", "{1,2}",
        "[2,6]"),
    BAD("scales has 3 entries, expected 2", "Resize", 13, NULL, "2x3", "", "{1,2,3}"),
    BAD("scales has 2 entries, expected 1", "Resize", 18, "axes=1,", "2x3", "",
        "{1,2}"),
    BAD("sizes has 1 entries, expected 2", "Resize", 13, NULL, "2x3", "", "", "[5]"),
    BAD("scales[1] is -2, must be more than 0", "Resize", 13, NULL, "2x3", "", "{1,-2}"),
    BAD("scales[0] is 0", "Resize", 10, NULL, "2x3", "{0,1}"),
    BAD("scales is not finite", "Resize", 10, NULL, "2x3", "{inf,1}"),
    BAD("scales is not finite", "Resize", 10, NULL, "2x3", "{nan,1}"),
    BAD("sizes[0] is -1", "Resize", 13, NULL, "2x3", "", "", "[-1,2]"),
    BAD("axis 0 is empty", "Resize", 13, NULL, "0x3", "", "", "[4,3]"),
    BAD("has no aspect ratio", "Resize", 18, "keep_aspect_ratio_policy=not_larger",
        "0x3", "", "", "[4,3]"),
    BAD("axis 1 is named twice", "Resize", 18, "axes=1,-1", "2x3", "", "{2,2}"),
    BAD("axis is 2", "Resize", 18, "axes=2,", "2x3", "", "{2}"),
    BAD("roi is missing", "Resize", 13,
        "coordinate_transformation_mode=tf_crop_and_resize", "2x3", "", "{1,2}"),
    BAD("roi has 2 entries, expected 4", "Resize", 13,
        "coordinate_transformation_mode=tf_crop_and_resize", "2x3", "{0,1}", "{1,2}"),
    UNSUPPORTED("input 2 depends on the data", "Resize", 13, NULL, "2x3", "", "2"),
    UNSUPPORTED("input 0 is int64", "Resize", 13, NULL, "[1,2]", "", "{2}"),
    LIMIT("2^40 elements or more", "Resize", 13, NULL, "2x3", "", "{1e30,1}"),
    LIMIT("2^40 elements or more", "Resize", 13, NULL, "1024x1024x3", "", "",
          "[1048576,1048576,3]"),
    LIMIT("too long to be made", "Resize", 13, "mode=cubic", "2x3", "", "",
          "[1073741824,3]"),
    BAD("scales[0] is 0.5, must be 1 or more", "Upsample", 9, NULL, "2x3", "{0.5,1}"),
    BAD("expected nearest or linear", "Upsample", 9, "mode=cubic", "2x3", "{2,1}"),
    BAD("scales must be a list of floats", "Upsample", 7, NULL, "2x3"),
    BAD("scales has 1 entries, expected 2", "Upsample", 7, "scales=2.0,", "2x3"),

    BAD("weight expects 4 channels, input has 3", "ConvTranspose", 11, NULL, "1x3x4x4",
        "~4x2x3x3"),
    BAD("do not divide into 2 groups", "ConvTranspose", 11, "group=2", "1x3x4x4",
        "~3x2x3x3"),
    BAD("group must be at least 1", "ConvTranspose", 11, "group=0", "1x3x4x4",
        "~3x2x3x3"),
    BAD("bias must have 4 elements", "ConvTranspose", 11, "group=2", "1x2x4x4",
        "~2x2x3x3", "~2"),
    BAD("weight must have 4 axes", "ConvTranspose", 11, NULL, "1x3x4x4", "~3x2x3"),
    BAD("input must have 3 to 5 axes", "ConvTranspose", 11, NULL, "3x4", "~3x2"),
    BAD("strides[0] is 0", "ConvTranspose", 11, "strides=0,1", "1x3x4x4", "~3x2x3x3"),
    BAD("output_padding[1] is -1", "ConvTranspose", 11, "output_padding=0,-1",
        "1x3x4x4", "~3x2x3x3"),
    BAD("output_padding has 1 entries", "ConvTranspose", 11, "output_padding=1,",
        "1x3x4x4", "~3x2x3x3"),
    BAD("output_shape has 3 entries", "ConvTranspose", 11, "output_shape=1,2,3",
        "1x3x4x4", "~3x2x3x3"),
    BAD("output_shape[0] is 0", "ConvTranspose", 11, "output_shape=0,2", "1x3x4x4",
        "~3x2x3x3"),
    BAD("pads leave -2 elements", "ConvTranspose", 11, "pads=9,0,9,0", "1x1x14x4",
        "~1x1x3x3"),
    BAD("input has 0 along spatial axis 1", "ConvTranspose", 11, NULL, "1x3x4x0",
        "~3x2x3x3"),
    LIMIT("over 2^31 elements", "ConvTranspose", 11, "strides=2147483647,1", "1x3x4x4",
          "~3x2x3x3"),
    LIMIT("over 2^31 elements", "ConvTranspose", 11,
          "strides=2147483647,1 dilations=2147483647,1", "1x3x4x4", "~3x2x3x3"),

    BAD("grid must have 4 axes", "GridSample", 16, NULL, "1x2x3x4", "1x5x2"),
    BAD("grid must have 4 axes, 1 images and 2", "GridSample", 16, NULL, "1x2x3x4",
        "2x5x5x2"),
    BAD("2 coordinates", "GridSample", 16, NULL, "1x2x3x4", "1x5x5x3"),
    BAD("axis 3 has 0 elements", "GridSample", 16, NULL, "1x2x3x0", "1x5x5x2"),
    BAD("expected nearest, bilinear or bicubic", "GridSample", 16, "mode=linear",
        "1x2x3x4", "1x5x5x2"),
    BAD("expected nearest, linear or cubic", "GridSample", 20, "mode=bilinear",
        "1x2x3x4", "1x5x5x2"),
    BAD("expected zeros, border or reflection", "GridSample", 20, "padding_mode=wrap",
        "1x2x3x4", "1x5x5x2"),
    UNSUPPORTED("input has 6 axes", "GridSample", 20, NULL, "1x2x3x4x5x6",
                "1x1x1x1x1x4"),
    BAD("size has 3 entries", "AffineGrid", 20, NULL, "1x2x3", "[1,2,3]"),
    BAD("theta must be 2x2x3", "AffineGrid", 20, NULL, "1x2x3", "[2,1,4,4]"),
    BAD("output axis 1 would have -4", "AffineGrid", 20, NULL, "1x2x3", "[1,1,-4,4]"),

    BAD("batch index 1 is outside of 1 images", "RoiAlign", 16, NULL, "1x2x3x4",
        "1x4{0,0,1,1}", "[1]"),
    BAD("rois must be n x 4", "RoiAlign", 16, NULL, "1x2x3x4", "1x5", "[0]"),
    BAD("rois must be n x 4", "RoiAlign", 16, NULL, "1x2x3x4", "2x4", "[0]"),
    BAD("input has 3 axes", "RoiAlign", 16, NULL, "2x3x4", "1x4", "[0]"),
    BAD("empty planes", "RoiAlign", 16, NULL, "1x2x0x4", "1x4", "[0]"),
    BAD("output is 0 x 1", "RoiAlign", 16, "output_height=0", "1x2x3x4", "1x4", "[0]"),
    BAD("sampling_ratio is -1", "RoiAlign", 16, "sampling_ratio=-1", "1x2x3x4", "1x4",
        "[0]"),
    BAD("mode is 'sum', expected avg or max", "RoiAlign", 16, "mode=sum", "1x2x3x4",
        "1x4", "[0]"),

    BAD("blocksize is 0", "DepthToSpace", 13, NULL, "1x4x2x2"),
    BAD("3 channels are not blocks of 2 x 2", "DepthToSpace", 13, "blocksize=2",
        "1x3x2x2"),
    BAD("input has 3 axes, must have 4", "DepthToSpace", 13, "blocksize=2", "4x2x2"),
    BAD("expected DCR or CRD", "DepthToSpace", 13, "blocksize=2 mode=RDC", "1x4x2x2"),
    BAD("2 x 3 pixels are not blocks of 2", "SpaceToDepth", 13, "blocksize=2",
        "1x4x2x3"),
    LIMIT("too many channels", "SpaceToDepth", 13, "blocksize=2147483647", "1x4x0x0"),
    BAD("shape has 1 entries, expected 2", "CenterCropPad", 18, NULL, "2x3", "[4]"),
    BAD("output axis 0 would have -4", "CenterCropPad", 18, NULL, "2x3", "[-4,3]"),
    LIMIT("2^40", "CenterCropPad", 18, NULL, "2x3", "[2147483647,2147483647]"),
    UNSUPPORTED("input 1 is float", "CenterCropPad", 18, NULL, "2x3", "2"),

    BAD("image_shape has 2 entries, block_shape 1", "Col2Im", 18, NULL, "1x4x9",
        "[4,4]", "[2]"),
    BAD("blocks have 4 elements and 9 positions", "Col2Im", 18, NULL, "1x4x8", "[4,4]",
        "[2,2]"),
    BAD("blocks have 4 elements and 9 positions", "Col2Im", 18, NULL, "1x5x9", "[4,4]",
        "[2,2]"),
    BAD("input has 2 axes", "Col2Im", 18, NULL, "4x9", "[4,4]", "[2,2]"),
    BAD("kernel is 0", "Col2Im", 18, NULL, "1x4x9", "[4,4]", "[0,2]"),
    UNSUPPORTED("4 spatial axes", "Col2Im", 18, NULL, "1x4x9", "[4,4,4,4]",
                "[2,2,2,2]"),
    LIMIT("2^40", "Col2Im", 18, NULL, "1x0x9", "[2147483647,2147483647]",
          "[2147483647,2147483647]"),

    BAD("p is 0", "LpPool", 18, "p=0 kernel_shape=2,2", "1x2x4x4"),
    BAD("kernel_shape is missing", "LpPool", 18, NULL, "1x2x4x4"),
    BAD("window reaches over", "LpPool", 18, "kernel_shape=5,2", "1x2x4x4"),
    BAD("input has 1 axes", "GlobalLpPool", 2, NULL, "4"),
    BAD("indices have another shape", "MaxUnpool", 11, "kernel_shape=2,2", "1x1x2x2",
        "1x1x2x1[0,1]"),
    BAD("output_shape[2] is 2, the windows cover 4", "MaxUnpool", 11,
        "kernel_shape=2,2 strides=2,2", "1x1x2x2", "1x1x2x2[0,1,2,3]", "[1,1,2,4]"),
    BAD("output_shape has 2 entries", "MaxUnpool", 11, "kernel_shape=2,2 strides=2,2",
        "1x1x2x2", "1x1x2x2[0,1,2,3]", "[4,4]"),
    BAD("input has 2 axes", "MaxUnpool", 11, "kernel_shape=2,", "2x2", "2x2[0,1,2,3]"),
};

static void build(const struct sentence *s, struct onnx_build *b)
{
    char name[400];
    struct gradient_case c = sentence_case(s, name, sizeof(name));
    onnx_build_init(b, c.opset);
    c.build(b);
}

static void what_cannot_be_is_refused_and_said(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(refusals); i++) {
        struct onnx_build b;
        build(&refusals[i].s, &b);
        eval_refuse(&b, refusals[i].status, refusals[i].text);
    }
}

/* ---- what is odd and yet allowed --------------------------------------------- */

struct odd {
    struct sentence s;
    struct sal_shape shape;
};

static const struct odd odds[] = {
    {CASE("Resize", 13, NULL, "scalar", "", "{}"), {0, {0}}},
    {CASE("Resize", 13, NULL, "0x3", "", "", "[0,6]"), {2, {0, 6}}},
    {CASE("Resize", 13, NULL, "2x3", "", "", "[0,6]"), {2, {0, 6}}},
    {CASE("Resize", 13, NULL, "2x3", "", "{0.1,2}"), {2, {0, 6}}},
    {CASE("Resize", 13, "mode=cubic exclude_outside=1", "1x1", "", "", "[5,1]"),
     {2, {5, 1}}},
    {CASE("Resize", 18, "mode=linear antialias=1", "100000x1", "", "", "[1,1]"),
     {2, {1, 1}}},
    {CASE("Resize", 13, "coordinate_transformation_mode=tf_crop_and_resize mode=linear",
          "2x3", "{-1e38,0,1e38,1}", "", "[4,3]"),
     {2, {4, 3}}},
    {CASE("ConvTranspose", 11, NULL, "0x3x4x4", "~3x2x3x3"), {4, {0, 2, 6, 6}}},
    {CASE("ConvTranspose", 11, "strides=3,3", "1x3x2x2", "~3x2x1x1"),
     {4, {1, 2, 4, 4}}},
    {CASE("GridSample", 16, NULL, "1x2x3x4", "1x0x5x2"), {4, {1, 2, 0, 5}}},
    {CASE("GridSample", 16, NULL, "0x2x3x4", "0x1x5x2"), {4, {0, 2, 1, 5}}},
    {CASE("GridSample", 20, "padding_mode=reflection align_corners=1", "1x1x1x1",
          "1x2x2x2{inf,nan,-inf,1e30,-1e30,1e30,0,0}"),
     {4, {1, 1, 2, 2}}},
    {CASE("GridSample", 20, "padding_mode=border mode=cubic", "1x1x2x2",
          "1x2x2x2{inf,nan,-inf,1e30,-1e30,1e30,0,0}"),
     {4, {1, 1, 2, 2}}},
    {CASE("RoiAlign", 16, "output_height=2", "1x1x2x2",
          "4x4{nan,0,1,1,-inf,0,inf,1,5,5,-5,-5,1e30,1e30,2e30,2e30}", "[0,0,0,0]"),
     {4, {4, 1, 2, 1}}},
    {CASE("RoiAlign", 10, "mode=max", "1x1x2x2",
          "4x4{nan,0,1,1,-inf,0,inf,1,5,5,-5,-5,1e30,1e30,2e30,2e30}", "[0,0,0,0]"),
     {4, {4, 1, 1, 1}}},
    {CASE("DepthToSpace", 13, "blocksize=2147483647", "1x0x0x1"),
     {4, {1, 0, 0, 2147483647}}},
    {CASE("SpaceToDepth", 13, "blocksize=2", "1x1x0x2"), {4, {1, 4, 0, 1}}},
    {CASE("CenterCropPad", 18, NULL, "0x3", "[4,1]"), {2, {4, 1}}},
    {CASE("CenterCropPad", 18, NULL, "scalar", "[]"), {0, {0}}},
    {CASE("Col2Im", 18, NULL, "0x4x9", "[4,4]", "[2,2]"), {4, {0, 1, 4, 4}}},
    {CASE("MaxUnpool", 11, "kernel_shape=2,", "1x1x2",
          "1x1x2[-9223372036854775807,9223372036854775807]"),
     {3, {1, 1, 3}}},
    {CASE("GlobalLpPool", 2, NULL, "1x2x0"), {3, {1, 2, 1}}},
};

static void what_is_odd_is_computed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(odds); i++) {
        struct onnx_build b;
        struct eval e = {0};
        build(&odds[i].s, &b);
        eval_run(&e, &b);
        if (e.status || !sal_shape_equal(&e.shape, &odds[i].shape))
            fail_msg("%s %s: %s", odds[i].s.op, odds[i].s.attributes,
                     e.status ? e.err.text : "another shape");
        onnx_build_release(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_is_refused_and_said),
        cmocka_unit_test(what_is_odd_is_computed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
