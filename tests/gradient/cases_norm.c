/* Normalisations. */
#include "sentence.h"

static const struct sentence sentences[] = {
    RANGE(0.3, 2, "BatchNormalization", 15, "epsilon=0.01", "2x3x4x2", "3", "3", "3",
          "3"),
    RANGE(0.3, 2, "BatchNormalization", 9, NULL, "4x3", "3", "3", "3", "3"),
    CASE("Hardmax", 11, NULL, "2x3x4"),
    CASE("Hardmax", 13, "axis=1", "2x3x4"),
    CASE("LRN", 13, "size=3 alpha=0.4 beta=0.6 bias=1.5", "2x7x3x7"),
    CASE("LRN", 13, "size=4 alpha=0.4", "1x6x20"),
    CASE("LRN", 13, "size=9 alpha=0.9", "1x3x5"),
    CASE("Softmax", 11, NULL, "2x3x4"),
    CASE("Softmax", 11, "axis=2", "2x3x4"),
    CASE("Softmax", 13, "axis=1", "2x3x4"),
    CASE("Softmax", 13, NULL, "2x3x4"),
    CASE("LogSoftmax", 11, "axis=0", "2x3x4"),
    CASE("LogSoftmax", 13, "axis=1", "2x3x4"),
};

const struct family family_norm = {
    .sentences = sentences,
    .n = COUNT(sentences),
};
