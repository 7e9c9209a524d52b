/* What moves, cuts or repeats elements. */
#include "sentence.h"

static const struct sentence sentences[] = {
    CASE("Reshape", 13, NULL, "2x3x4", "[0,-1,2]"),
    CASE("Reshape", 4, "shape=4,6", "2x3x4"),
    CASE("Flatten", 13, "axis=2", "2x3x4"),
    CASE("Squeeze", 11, "axes=0,", "1x3x1"),
    CASE("Squeeze", 13, NULL, "1x3x1"),
    CASE("Unsqueeze", 11, "axes=0,3", "3x2"),
    CASE("Unsqueeze", 13, NULL, "3x2", "[-1]"),
    CASE("Transpose", 13, NULL, "2x3x4"),
    CASE("Transpose", 13, "perm=0,2,3,1", "2x3x4x5"),
    CASE("Expand", 13, NULL, "3x1", "[2,1,4]"),
    CASE("Slice", 9, "starts=1,-3 ends=3,100 axes=0,1", "4x5"),
    CASE("Slice", 13, NULL, "4x5", "[3,-1]", "[0,-6]", "[0,1]", "[-2,-1]"),
    CASE("Slice", 13, NULL, "4x5", "[1]", "[9223372036854775807]", "[-1]", "[2]"),
    CASE("Concat", 13, "axis=1", "2x1x3", "2x4x3", "2x2x3"),
    CASE("Concat", 13, "axis=-1", "2x3", "2x1"),
    OUTPUTS("u,y,v", "Split", 11, "axis=1 split=1,3,2", "2x6"),
    OUTPUTS("u,y", "Split", 13, NULL, "6x2", "[4,2]"),
    OUTPUTS("u,v,y", "Split", 18, "axis=-1 num_outputs=3", "2x7"),
    CASE("Pad", 10, "pads=0,1,2,0 value=0.5", "2x3"),
    CASE("Pad", 13, NULL, "2x3x4", "[0,1,2,1,0,-1]", "scalar"),
    CASE("Pad", 13, "mode=reflect", "2x3x4", "[0,1,2,1,2,3]"),
    CASE("Pad", 13, "mode=edge", "2x3x4", "[1,0,2,0,2,1]"),
    CASE("Pad", 19, "mode=wrap", "2x3x4", "[1,2,1,1]", "", "[1,2]"),
    CASE("Pad", 18, NULL, "2x3x4", "[1,2,-1,1]", "", "[2,-2]"),
    CASE("Gather", 13, "axis=1", "3x4x2", "[2,0,2,-1]"),
    CASE("Gather", 13, NULL, "5", "[1]"),
    CASE("Where", 13, NULL, "[1,0,1]", "2x3", "2x1"),
};

static void pad(struct random_sentence *r)
{
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap"};
    r->s.op = "Pad";
    r->s.opset = 10;
    say_input(r, 0, "%dx%dx%d", roll(r, 1, 3), roll(r, 2, 4), roll(r, 3, 5));
    say_attributes(r, "mode=%s pads=%d,%d,%d,%d,%d,%d", modes[roll(r, 0, 3)],
                   roll(r, 0, 2), roll(r, -1, 3), roll(r, -1, 6), roll(r, 0, 2),
                   roll(r, 0, 3), roll(r, -1, 6));
}

static void slice(struct random_sentence *r)
{
    int size[2] = {roll(r, 1, 5), roll(r, 1, 5)}, start[2], end[2];
    for (int i = 0; i < 2; i++) {
        start[i] = roll(r, 0, size[i] - 1);
        end[i] = start[i] + roll(r, 1, 4);
        start[i] -= roll(r, 0, 1) * size[i];
    }
    r->s.op = "Slice";
    r->s.opset = 9;
    say_input(r, 0, "%dx%dx%d", size[0], roll(r, 1, 5), size[1]);
    say_attributes(r, "starts=%d,%d ends=%d,%d axes=-1,0", start[1], start[0], end[1],
                   end[0]);
}

static void transpose(struct random_sentence *r)
{
    int perm[4] = {0, 1, 2, 3};
    for (int i = 3; i > 0; i--) {
        int j = roll(r, 0, i), swap = perm[i];
        perm[i] = perm[j];
        perm[j] = swap;
    }
    r->s.op = "Transpose";
    r->s.opset = 13;
    say_input(r, 0, "%dx%dx%dx%d", roll(r, 1, 4), roll(r, 1, 4), roll(r, 1, 4),
              roll(r, 1, 4));
    say_attributes(r, "perm=%d,%d,%d,%d", perm[0], perm[1], perm[2], perm[3]);
}

static void (*const linear[])(struct random_sentence *r) = {pad, slice, transpose};

const struct family family_view = {
    .sentences = sentences,
    .n = COUNT(sentences),
    .random = linear,
    .n_random = COUNT(linear),
};
