/* Reductions, and what chooses along an axis. */
#include "sentence.h"

static const struct sentence sentences[] = {
    CASE("ReduceMean", 13, "axes=2,3", "2x3x4x5"),
    CASE("ReduceMean", 13, "axes=1, keepdims=0", "2x3x4x5"),
    CASE("ReduceMean", 18, NULL, "2x3x4", "[-1,0]"),
    CASE("ReduceMean", 18, NULL, "2x3x4"),
    CASE("ReduceMean", 18, "noop_with_empty_axes=1", "2x3"),
    CASE("ReduceSum", 11, "axes=0,2 keepdims=0", "2x3x4"),
    CASE("ReduceSum", 13, NULL, "2x3x4", "[1]"),
    CASE("ReduceMax", 13, "axes=1,", "2x3x4"),
    CASE("ReduceMax", 18, "keepdims=0", "2x3x4", "[0,2]"),
    CASE("ReduceMin", 13, NULL, "2x3x4"),
    CASE("ReduceL1", 13, "axes=0,2 keepdims=0", "2x3x4"),
    CASE("ReduceL1", 18, "noop_with_empty_axes=1", "2x3"),
    CASE("ReduceL2", 13, "axes=1,", "2x3x4"),
    CASE("ReduceL2", 18, NULL, "2x3x4", "[-1,0]"),
    CASE("ReduceL2", 18, "noop_with_empty_axes=1", "2x3"),
    RANGE(0.2, 2, "ReduceLogSum", 13, "axes=0,1", "2x3x4"),
    RANGE(0.2, 2, "ReduceLogSum", 18, "noop_with_empty_axes=1", "2x3"),
    RANGE(-9, 9, "ReduceLogSumExp", 13, "axes=0,2", "2x3x4"),
    RANGE(95, 99, "ReduceLogSumExp", 18, "keepdims=0", "2x3x300", "[2]"),
    CASE("ReduceLogSumExp", 18, "noop_with_empty_axes=1", "2x3"),
    CASE("ReduceProd", 13, "axes=0,2 keepdims=0", "2x3x3"),
    CASE("ReduceProd", 18, NULL, "2x1x3", "[1]"),
    CASE("ReduceSumSquare", 13, "axes=1,", "2x3x4"),
    CASE("ReduceSumSquare", 18, NULL, "2x3x4"),
    OUTPUTS("y,i", "TopK", 11, NULL, "2x7", "[3]"),
    OUTPUTS("y", "TopK", 11, "axis=1 largest=0", "2x7x3", "[2]"),
    OUTPUTS("y,i", "TopK", 11, "axis=0 sorted=0", "6x2", "[6]"),
    OUTPUTS("y,i", "TopK", 1, "k=2 axis=1", "2x5x2"),
};

static void reduce_mean(struct random_sentence *r)
{
    r->s.op = "ReduceMean";
    r->s.opset = 13;
    say_input(r, 0, "%dx%dx%dx%d", roll(r, 1, 4), roll(r, 1, 4), roll(r, 1, 4),
              roll(r, 1, 4));
    int axis = roll(r, 0, 3);
    say_attributes(r, "axes=%d,%d keepdims=%d", axis, (axis + roll(r, 1, 3)) % 4 - 4,
                   roll(r, 0, 1));
}

static void (*const linear[])(struct random_sentence *r) = {reduce_mean};

const struct family family_reduce = {
    .sentences = sentences,
    .n = COUNT(sentences),
    .random = linear,
    .n_random = COUNT(linear),
};
