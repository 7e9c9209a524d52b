/* Pools. */
#include "sentence.h"

static const struct sentence sentences[] = {
    CASE("MaxPool", 12, "kernel_shape=3,2 strides=2,1 pads=1,0,1,1", "2x3x7x6"),
    CASE("MaxPool", 12, "kernel_shape=2,2 dilations=2,3 ceil_mode=1 strides=2,2",
         "1x2x7x6"),
    CASE("MaxPool", 12, "kernel_shape=3, strides=2, auto_pad=SAME_LOWER", "2x2x9"),
    OUTPUTS("y,indices", "MaxPool", 12, "kernel_shape=2,3,2 strides=2,1,2",
            "1x2x4x5x4"),
    CASE("AveragePool", 11, "kernel_shape=3,2 strides=2,1 pads=1,0,1,1", "2x3x7x6"),
    CASE("AveragePool", 11,
         "kernel_shape=3,3 strides=2,2 pads=1,1,1,1 count_include_pad=1 "
         "ceil_mode=1",
         "1x2x6x6"),
    CASE("AveragePool", 19, "kernel_shape=3, dilations=2, auto_pad=SAME_UPPER",
         "1x2x9"),
    CASE("AveragePool", 19, "kernel_shape=2,3,2", "1x2x4x5x4"),
    CASE("GlobalAveragePool", 13, NULL, "2x3x4x5"),
    CASE("GlobalMaxPool", 13, NULL, "2x3x4x5"),
    CASE("LpPool", 1, "kernel_shape=2, p=1.5", "1x2x7"),
    CASE("LpPool", 2, "kernel_shape=2,3 strides=2,1 pads=1,0,0,2", "2x2x5x6"),
    CASE("LpPool", 11, "kernel_shape=2,2 p=1 auto_pad=SAME_LOWER", "1x2x5x6"),
    CASE("LpPool", 18, "kernel_shape=2,2 p=3 dilations=2,1 strides=2,2 ceil_mode=1",
         "1x2x6x6"),
    CASE("LpPool", 22, "kernel_shape=2,2,2", "1x2x3x4x3"),
    CASE("GlobalLpPool", 1, "p=2.5", "1x2x3x4"),
    CASE("GlobalLpPool", 22, NULL, "2x2x30x40"),
};

static void average_pool(struct random_sentence *r)
{
    int kernel[2] = {roll(r, 1, 4), roll(r, 1, 3)};
    int dilation[2] = {roll(r, 1, 2), roll(r, 1, 3)};
    int reach[2], size[2], pad[4];
    for (int i = 0; i < 2; i++) {
        reach[i] = (kernel[i] - 1) * dilation[i] + 1;
        size[i] = reach[i] + roll(r, 0, 5);
        pad[i] = roll(r, 0, reach[i] - 1);
        pad[i + 2] = roll(r, 0, reach[i] - 1);
    }
    r->s.op = "AveragePool";
    r->s.opset = 19;
    say_input(r, 0, "%dx2x%dx%d", roll(r, 1, 2), size[0], size[1]);
    say_attributes(r,
                   "kernel_shape=%d,%d dilations=%d,%d strides=%d,%d pads=%d,%d,%d,%d "
                   "ceil_mode=%d count_include_pad=%d",
                   kernel[0], kernel[1], dilation[0], dilation[1], roll(r, 1, 4),
                   roll(r, 1, 3), pad[0], pad[1], pad[2], pad[3], roll(r, 0, 1),
                   roll(r, 0, 1));
}

static void (*const linear[])(struct random_sentence *r) = {average_pool};

const struct family family_pool = {
    .sentences = sentences,
    .n = COUNT(sentences),
    .random = linear,
    .n_random = COUNT(linear),
};
