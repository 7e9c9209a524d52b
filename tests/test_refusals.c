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

    BAD("index 9 is outside an axis of 3", "GatherElements", 13, NULL, "3", "[9]"),
    BAD("indices are 1, must have the axes of the 2x3 data", "GatherElements", 13, NULL,
        "2x3", "[1]"),
    BAD("indices are 1x3", "GatherElements", 13, "axis=1", "0x3", "1x3[0,1,2]"),
    BAD("axis is 0", "GatherElements", 13, NULL, "scalar", "[0]"),
    BAD("axis is 7, must be -1 to 0", "GatherElements", 13, "axis=7", "3", "[0]"),
    UNSUPPORTED("input 1 is float", "GatherElements", 13, NULL, "3", "3"),
    BAD("index 9 is outside an axis of 3", "GatherND", 13, NULL, "2x3", "2[0,9]"),
    BAD("batch_dims is 0, data has 0 axes", "GatherND", 13, NULL, "scalar", "[0]"),
    BAD("batch_dims is 2, data has 2 axes", "GatherND", 13, "batch_dims=2", "2x3",
        "2x3x1[0,0,0,0,0,0]"),
    BAD("batch_dims is -1", "GatherND", 13, "batch_dims=-1", "2x3", "[0]"),
    BAD("batch axis 0 has 2 elements in data, 1 in indices", "GatherND", 13,
        "batch_dims=1", "2x3", "1x1[0]"),
    BAD("an index has 2 entries, must have 1 to 1", "GatherND", 13, NULL, "3", "[0,0]"),
    BAD("an index has 0 entries", "GatherND", 13, NULL, "3", "1x0[]"),
    UNSUPPORTED("output has more than 8 axes", "GatherND", 13, NULL, "1x1x1x1x1x1",
                "1x1x1x1x1[0]"),
    UNSUPPORTED("from opset 9 to 10", "Scatter", 11, NULL, "3", "[0]", "1"),
    BAD("reduction is 'mean'", "ScatterElements", 18, "reduction=mean", "3", "[0]", "1"),
    BAD("which opset 16 does not have", "ScatterElements", 16, "reduction=max", "3",
        "[0]", "1"),
    BAD("updates are 5, must be 1", "ScatterElements", 18, NULL, "3", "[0]", "5"),
    BAD("updates are 3, must be scalar", "ScatterND", 18, NULL, "3", "[0]", "3"),
    UNSUPPORTED("input 2 is int64", "ScatterND", 18, NULL, "3", "[0]", "[1]"),

    BAD("repeats has 1 entries, input has 2 axes", "Tile", 13, NULL, "2x3", "[2]"),
    BAD("repeats[1] is -1", "Tile", 13, NULL, "2x3", "[2,-1]"),
    UNSUPPORTED("input 1 is float", "Tile", 13, NULL, "3", "1"),
    UNSUPPORTED("repeats too many of its axes", "Tile", 13, NULL, "2x2x2x2x2",
                "[2,2,2,2,2]"),
    LIMIT("2^40", "Tile", 13, NULL, "2x3", "[1048576,1048576]"),
    LIMIT("2^40", "Tile", 13, NULL, "2x3", "[9223372036854775807,1]"),
    BAD("input 2 is missing", "Tile", 5, NULL, "3", "[2]"),
    UNSUPPORTED("limit depends on the data", "Range", 13, NULL, "{0}", "1", "{1}"),
    BAD("limit must be one number", "Range", 13, NULL, "{0}", "{1,2}", "{1}"),
    BAD("delta is 0", "Range", 13, NULL, "[0]", "[5]", "[0]"),
    BAD("span no number of elements", "Range", 13, NULL, "{0}", "{nan}", "{1}"),
    LIMIT("2^40", "Range", 13, NULL, "[-9223372036854775807]", "[9223372036854775807]",
          "[1]"),
    LIMIT("2^40", "Range", 13, NULL, "{0}", "{inf}", "{1}"),
    UNSUPPORTED("input 1 is int64", "Range", 13, NULL, "{0}", "[5]", "{1}"),
    BAD("axis is 9", "CumSum", 14, NULL, "3", "[9]"),
    UNSUPPORTED("axis depends on the data", "CumSum", 14, NULL, "3", "1"),
    BAD("sequence_lens[0] is 9, must be 0 to 3", "ReverseSequence", 10, NULL, "3x1",
        "[9]"),
    BAD("sequence_lens must be a list of 2", "ReverseSequence", 10, NULL, "3x2", "[1]"),
    BAD("input has 1 axes", "ReverseSequence", 10, NULL, "3", "[1]"),
    BAD("must be 0 and 1, or 1 and 0", "ReverseSequence", 10, "time_axis=2", "3x1", "[1]"),
    BAD("input has 1 axes, must have 2", "EyeLike", 9, NULL, "3"),
    UNSUPPORTED("makes no string", "EyeLike", 9, "dtype=8", "3x3"),
    BAD("input has 1 axes", "Trilu", 14, NULL, "3"),
    BAD("k must be one number", "Trilu", 14, NULL, "3x3", "[1,2]"),
    BAD("matrices are 2 x 3, must be square", "Det", 11, NULL, "2x3"),
    BAD("input has 1 axes", "Det", 11, NULL, "3"),

    UNSUPPORTED("depth depends on the data", "OneHot", 11, NULL, "[1]", "1", "2"),
    BAD("depth is 0, must be 1 or more", "OneHot", 11, NULL, "[1]", "[0]", "2"),
    BAD("values must be two numbers", "OneHot", 11, NULL, "[1]", "[3]", "3"),
    BAD("axis is 7, must be -2 to 1", "OneHot", 11, "axis=7", "[1]", "[3]", "2"),
    LIMIT("2^40", "OneHot", 11, NULL, "[1,2]", "[9223372036854775807]", "2"),
    UNSUPPORTED("input 0 depends on the data, must be constant", "NonZero", 13, NULL, "3"),
    UNSUPPORTED("input 0 depends on the data, must be constant", "Unique", 11, NULL, "3"),
    BAD("axis is 7", "Unique", 11, "axis=7", "[1,2]"),
    BAD("condition selects element 1 of 1", "Compress", 11, NULL, "1", "[0,1]"),
    BAD("axis is 1, must be -1 to 0", "Compress", 11, "axis=1", "3", "[1]"),

    BAD("fmod must be 1 for floating types", "Mod", 13, NULL, "3", "3"),
    UNSUPPORTED("input 0 is int64", "IsNaN", 13, NULL, "[1]"),
    UNSUPPORTED("input 0 is int64", "IsInf", 13, NULL, "[1]"),
    BAD("direction is 'UP'", "BitShift", 11, "direction=UP", "[1]", "[1]"),
    BAD("is int64, must be an unsigned type", "BitShift", 11, "direction=LEFT", "[1]",
        "[1]"),
    UNSUPPORTED("input 1 is float", "BitwiseAnd", 18, NULL, "[1]", "1"),
    BAD("input 0 is bool, must be an integer type", "BitwiseNot", 18, NULL, "1b[1]"),

    BAD("axis 0 of input 1 has 5 elements, where others of its label have 3", "Einsum", 12,
        "equation=ij,j->i", "2x3", "5"),
    BAD("must have a term for each input", "Einsum", 12, "equation=ij,j->i", "2x3"),
    BAD("must have a term for each input", "Einsum", 12, "equation=ij->i", "2x3", "3"),
    BAD("in no operand", "Einsum", 12, "equation=ij->k", "2x3"),
    BAD("has an output letter twice", "Einsum", 12, "equation=ij->ii", "2x3"),
    BAD("must be letters", "Einsum", 12, "equation=i1", "2x3"),
    BAD("must be letters", "Einsum", 12, "equation=ij-i", "2x3"),
    BAD("has two ellipses", "Einsum", 12, "equation=...i...->i", "2x3"),
    BAD("has more than one output", "Einsum", 12, "equation=ij->i,j", "2x3"),
    BAD("has a term of more than 8 letters", "Einsum", 12, "equation=abcdefghi", "2x3"),
    BAD("input 0 has 2 axes, which its term does not fit", "Einsum", 12, "equation=ijk",
        "2x3"),
    BAD("where others of its label have 2", "Einsum", 12, "equation=ii", "2x3"),
    BAD("input 0 has 2 axes", "Einsum", 12, NULL, "2x3"),
    UNSUPPORTED("output has more than 8 axes", "Einsum", 12, "equation=abcde,fghij",
                "1x1x1x1x1", "1x1x1x1x1"),
    UNSUPPORTED("input 0 is int64", "Einsum", 12, "equation=i", "[1]"),
    LIMIT("2^63 products", "Einsum", 12, "equation=ab,cd,ef,gh->",
          "1048576x1048576", "1048576x1048576", "1048576x1048576", "1048576x1048576"),

    BAD("input 0 is 2x3, must be of 3 or 4 axes", "Attention", 23, NULL, "2x3", "2x3",
        "2x3"),
    BAD("input 1 is 1x2x3x4, must be of 3 or 4 axes, as Q", "Attention", 23, NULL, "1x2x6",
        "1x2x3x4", "1x2x6"),
    BAD("which are not 0 heads", "Attention", 23, NULL, "1x2x6", "1x2x6", "1x2x6"),
    BAD("6 features, which are not 4 heads", "Attention", 23,
        "q_num_heads=4 kv_num_heads=4", "1x2x6", "1x2x6", "1x2x6"),
    BAD("of Q's batch and head size", "Attention", 23, "q_num_heads=3 kv_num_heads=2",
        "1x2x6", "1x2x6", "1x2x6"),
    BAD("of K's batch, heads and length", "Attention", 23, NULL, "1x2x3x4", "1x2x3x4",
        "1x2x5x4"),
    BAD("3 query heads do not share 2 key heads evenly", "Attention", 23, NULL, "1x3x3x4",
        "1x2x3x4", "1x2x3x4"),
    BAD("do not share 0 key heads", "Attention", 23, NULL, "1x3x3x4", "1x0x3x4",
        "1x0x3x4"),
    BAD("heads have no features", "Attention", 23, NULL, "1x2x3x0", "1x2x3x0", "1x2x3x4"),
    BAD("qk_matmul_output_mode is 4", "Attention", 23, "qk_matmul_output_mode=4",
        "1x2x3x4", "1x2x3x4", "1x2x3x4"),
    BAD("softmax_precision must be a floating type", "Attention", 23,
        "softmax_precision=7", "1x2x3x4", "1x2x3x4", "1x2x3x4"),
    BAD("must not be negative", "Attention", 23, "scale=-1.0", "1x2x3x4", "1x2x3x4",
        "1x2x3x4"),
    BAD("a window size is below -1", "Attention", 25, "left_window_size=-2", "1x2x3x4",
        "1x2x3x4", "1x2x3x4"),
    BAD("5 and 1x2x3x3 do not broadcast", "Attention", 23, NULL, "1x2x3x4", "1x2x3x4",
        "1x2x3x4", "5"),
    BAD("no larger than batch x heads x queries x keys", "Attention", 23, NULL, "1x2x3x4",
        "1x2x3x4", "1x2x3x4", "2x1x1x1"),
    BAD("no larger than batch", "Attention", 24, NULL, "1x2x3x4", "1x2x3x4", "1x2x3x4",
        "1x1x1x1x1"),
    UNSUPPORTED("attn_mask is int64", "Attention", 23, NULL, "1x2x3x4", "1x2x3x4",
                "1x2x3x4", "3[1,1,1]"),
    BAD("input 5 is missing", "Attention", 23, NULL, "1x2x3x4", "1x2x3x4", "1x2x3x4", "",
        "1x2x3x4"),
    BAD("batch x kv heads x length x head size", "Attention", 23, NULL, "1x2x3x4",
        "1x2x3x4", "1x2x3x4", "", "1x2x3x5", "1x2x3x4"),
    BAD("as long as past_key", "Attention", 23, NULL, "1x2x3x4", "1x2x3x4", "1x2x3x4", "",
        "1x2x3x4", "1x2x5x4"),
    BAD("one number per image", "Attention", 24, NULL, "2x2x3x4", "2x2x3x4", "2x2x3x4",
        "", "", "", "[1]"),
    BAD("both past_key and nonpad_kv_seqlen", "Attention", 24, NULL, "1x2x3x4", "1x2x3x4",
        "1x2x3x4", "", "1x2x3x4", "1x2x3x4", "[1]"),
    BAD("input has 2 axes, must have 3 or 4", "RotaryEmbedding", 23, NULL, "2x4", "2x4",
        "2x4"),
    BAD("num_heads is 0, does not divide 4", "RotaryEmbedding", 23, NULL, "1x2x4",
        "1x2x2", "1x2x2"),
    BAD("turns 3 of 4 features", "RotaryEmbedding", 23, "rotary_embedding_dim=3",
        "1x2x3x4", "1x3x2", "1x3x2"),
    BAD("input 1 is 5, must be batch x tokens x 2", "RotaryEmbedding", 23, NULL,
        "1x2x3x4", "5", "5"),
    BAD("must be positions x 2", "RotaryEmbedding", 23, NULL, "1x2x3x4", "1x3x2", "1x3x2",
        "1x3[0,1,2]"),
    BAD("position_ids must be 1 x 3", "RotaryEmbedding", 23, NULL, "1x2x3x4", "5x2",
        "5x2", "[0,1,2]"),
    BAD("position 5 is outside tables of 5 rows", "RotaryEmbedding", 23, NULL, "1x2x3x4",
        "5x2", "5x2", "1x3[0,1,5]"),
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
    {CASE("GatherElements", 13, "axis=1", "2x3", "2x0[]"), {2, {2, 0}}},
    {CASE("GatherElements", 13, NULL, "0x3", "0x2[]"), {2, {0, 2}}},
    {CASE("GatherND", 13, NULL, "0x3", "0x1[]"), {2, {0, 3}}},
    {CASE("GatherND", 13, "batch_dims=1", "2x3x0", "2x1[0,1]"), {2, {2, 0}}},
    {CASE("ScatterElements", 18, "reduction=mul", "0x3", "0x2[]", "0x2"), {2, {0, 3}}},
    {CASE("ScatterND", 16, "reduction=add", "2x0", "1x1[0]", "1x0"), {2, {2, 0}}},
    {CASE("Tile", 13, NULL, "2x3", "[0,2]"), {2, {0, 6}}},
    {CASE("Tile", 13, NULL, "scalar", "[]"), {0, {0}}},
    {CASE("CumSum", 14, "reverse=1", "2x0", "[1]"), {2, {2, 0}}},
    {CASE("ReverseSequence", 10, NULL, "0x2", "[0,0]"), {2, {0, 2}}},
    {CASE("Trilu", 14, NULL, "2x0", "[9223372036854775807]"), {2, {2, 0}}},
    {CASE("Trilu", 14, "upper=0", "2x3", "[-9223372036854775807]"), {2, {2, 3}}},
    {CASE("Det", 11, NULL, "2x0x0"), {1, {2}}},
    {CASE("OneHot", 11, NULL, "0x2[]", "[3]", "2"), {3, {0, 2, 3}}},
    {CASE("OneHot", 9, NULL, "2{nan,1e30}", "{2.5}", "2"), {2, {2, 2}}},
    {CASE("Compress", 11, NULL, "2x3", "[]"), {1, {0}}},
    {CASE("Compress", 11, "axis=0", "2x0", "[0,1]"), {2, {1, 0}}},
    {CASE("Einsum", 12, "equation=ij,jk->ik", "2x0", "0x3"), {2, {2, 3}}},
    {CASE("Einsum", 12, "equation=...->", "2x3"), {0, {0}}},
    {CASE("Einsum", 12, "equation=,->", "scalar", "scalar"), {0, {0}}},
    {CASE("Attention", 23, NULL, "1x2x0x4", "1x2x3x4", "1x2x3x4"), {4, {1, 2, 0, 4}}},
    {CASE("Attention", 23, NULL, "1x2x3x4", "1x2x0x4", "1x2x0x4"), {4, {1, 2, 3, 4}}},
    {CASE("Attention", 23, NULL, "1x2x3x4", "1x2x3x4", "1x2x3x0"), {4, {1, 2, 3, 0}}},
    {CASE("Attention", 24, "is_causal=1", "1x1x3x4", "1x1x3x4", "1x1x3x4", "", "", "",
          "[-9223372036854775807]"),
     {4, {1, 1, 3, 4}}},
    {CASE("Attention", 25, "left_window_size=9223372036854775807", "1x1x3x4", "1x1x3x4",
          "1x1x3x4"),
     {4, {1, 1, 3, 4}}},
    {CASE("RotaryEmbedding", 23, NULL, "1x2x0x4", "1x0x2", "1x0x2"), {4, {1, 2, 0, 4}}},
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
