/* What moves or spreads pixels: ConvTranspose, blocks, crops, columns, unpooling. */
#include <stdio.h>
#include <string.h>

#include "sentence.h"

static const struct sentence sentences[] = {
    CASE("ConvTranspose", 11, "strides=2,2", "2x3x3x4", "~3x4x3x3", "~4"),
    CASE("ConvTranspose", 11, "pads=1,0,0,2 strides=2,3 output_padding=1,2", "1x2x4x3",
         "~2x3x3x2"),
    CASE("ConvTranspose", 11, "group=2 dilations=2,1", "1x4x3x4", "~4x3x2x3", "~6"),
    CASE("ConvTranspose", 11, "group=3", "2x3x3x4",
         "~3x1x3x3"), /* channel by channel */
    CASE("ConvTranspose", 11, NULL, "2x3x3x4", "~3x5x1x1"),
    CASE("ConvTranspose", 11, "auto_pad=SAME_UPPER strides=2,2", "1x2x3x4", "~2x3x3x3"),
    CASE("ConvTranspose", 11, "auto_pad=SAME_LOWER strides=2,2", "1x2x3x4", "~2x3x3x3"),
    CASE("ConvTranspose", 11, "output_shape=8,9 strides=3,2", "1x2x3x4", "~2x3x3x3"),
    CASE("ConvTranspose", 22, "strides=2,", "2x3x5", "~3x2x4"),
    CASE("ConvTranspose", 22, "pads=1,0,1,0,1,0", "1x2x3x2x3", "~2x3x2x3x2"),

    CASE("DepthToSpace", 1, "blocksize=2", "2x8x2x3"),
    CASE("DepthToSpace", 13, "blocksize=2 mode=CRD", "2x8x2x3"),
    CASE("SpaceToDepth", 13, "blocksize=3", "2x2x6x3"),
    CASE("CenterCropPad", 18, NULL, "3x6x5", "[4,3,5]"),
    CASE("CenterCropPad", 18, "axes=-1,0", "3x6x5", "[8,2]"),
    CASE("Col2Im", 18, "strides=2,1 pads=1,0,0,1 dilations=1,2", "2x12x6", "[4,4]",
         "[2,2]"),
    CASE("Col2Im", 18, NULL, "1x8x4", "[3,2,3]", "[2,2,2]"),

    CASE("MaxUnpool", 11, "kernel_shape=2,2 strides=2,2", "1x1x2x2",
         "1x1x2x2[5,7,13,15]"),
    CASE("MaxUnpool", 11, "kernel_shape=2,2 strides=2,2", "1x1x2x2",
         "1x1x2x2[5,7,13,15]", "[1,2,5,6]"),
    /* one index twice, others nowhere */
    CASE("MaxUnpool", 22, "kernel_shape=2, strides=2, pads=1,0", "2x1x2",
         "2x1x2[0,0,7,-1]"),
};

/* ---- linear ------------------------------------------------------------------ */

static void conv_transpose(struct random_sentence *r)
{
    int group = roll(r, 1, 3), c = roll(r, 1, 3), k = roll(r, 1, 3);
    int kernel[2] = {roll(r, 1, 4), roll(r, 1, 4)};
    r->s.op = "ConvTranspose";
    r->s.opset = 11;
    say_input(r, 0, "%dx%dx%dx%d", roll(r, 1, 2), group * c, roll(r, 4, 7),
              roll(r, 4, 7));
    say_input(r, 1, "~%dx%dx%dx%d", group * c, k, kernel[0], kernel[1]);
    if (roll(r, 0, 1))
        say_attributes(r,
                       "group=%d strides=%d,%d dilations=%d,%d pads=%d,%d,%d,%d "
                       "output_padding=%d,%d",
                       group, roll(r, 1, 3), roll(r, 1, 4), roll(r, 1, 2),
                       roll(r, 1, 3), roll(r, 0, 1), roll(r, 0, 1), roll(r, 0, 1),
                       roll(r, 0, 1), roll(r, 0, 2), roll(r, 0, 2));
    else
        say_attributes(r, "group=%d strides=%d,%d output_shape=%d,%d auto_pad=%s",
                       group, roll(r, 1, 3), roll(r, 1, 3), roll(r, 1, 20),
                       roll(r, 1, 20), roll(r, 0, 1) ? "SAME_UPPER" : "NOTSET");
}

static void depth_to_space(struct random_sentence *r)
{
    int block = roll(r, 1, 3), c = roll(r, 1, 3);
    r->s.op = "DepthToSpace";
    r->s.opset = 13;
    say_input(r, 0, "%dx%dx%dx%d", roll(r, 1, 2), block * block * c, roll(r, 1, 4),
              roll(r, 1, 4));
    say_attributes(r, "blocksize=%d mode=%s", block, roll(r, 0, 1) ? "CRD" : "DCR");
}

static void space_to_depth(struct random_sentence *r)
{
    int block = roll(r, 1, 3);
    r->s.op = "SpaceToDepth";
    r->s.opset = 13;
    say_input(r, 0, "%dx%dx%dx%d", roll(r, 1, 2), roll(r, 1, 3), block * roll(r, 1, 4),
              block * roll(r, 1, 4));
    say_attributes(r, "blocksize=%d", block);
}

static void center_crop_pad(struct random_sentence *r)
{
    r->s.op = "CenterCropPad";
    r->s.opset = 18;
    say_input(r, 0, "%dx%dx%d", roll(r, 1, 6), roll(r, 1, 6), roll(r, 1, 6));
    say_input(r, 1, "[%d,%d]", roll(r, 1, 8), roll(r, 1, 8));
    say_attributes(r, "axes=%d,%d", roll(r, 0, 1), roll(r, 0, 1) ? 2 : -1);
}

static void col2im(struct random_sentence *r)
{
    int block[2], stride[2], dilation[2], pad[4], image[2], n[2];
    for (int d = 0; d < 2; d++) {
        block[d] = roll(r, 1, 3);
        stride[d] = roll(r, 1, 3);
        dilation[d] = roll(r, 1, 2);
        pad[d] = roll(r, 0, 2);
        pad[2 + d] = roll(r, 0, 2);
        int reach = (block[d] - 1) * dilation[d] + 1;
        image[d] = reach + roll(r, 0, 4);
        n[d] = (image[d] + pad[d] + pad[2 + d] - reach) / stride[d] + 1;
    }
    r->s.op = "Col2Im";
    r->s.opset = 18;
    say_input(r, 0, "%dx%dx%d", roll(r, 1, 2), roll(r, 1, 3) * block[0] * block[1],
              n[0] * n[1]);
    say_input(r, 1, "[%d,%d]", image[0], image[1]);
    say_input(r, 2, "[%d,%d]", block[0], block[1]);
    say_attributes(r, "strides=%d,%d dilations=%d,%d pads=%d,%d,%d,%d", stride[0],
                   stride[1], dilation[0], dilation[1], pad[0], pad[1], pad[2], pad[3]);
}

static void (*const linear[])(struct random_sentence *r) = {
    conv_transpose, depth_to_space, space_to_depth, center_crop_pad, col2im};

const struct family family_space = {
    .sentences = sentences,
    .n = COUNT(sentences),
    .random = linear,
    .n_random = COUNT(linear),
};
