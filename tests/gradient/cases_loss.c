/* Losses. */
#include <stdio.h>
#include <string.h>

#include "sentence.h"

static const struct sentence sentences[] = {
    CASE("NegativeLogLikelihoodLoss", 12, NULL, "3x5", "[1,0,4]"),
    CASE("NegativeLogLikelihoodLoss", 13, "reduction=none", "2x3x4",
         "2x4[0,1,2,2,1,1,0,2]", "{0.5,2,1.5}"),
    CASE("NegativeLogLikelihoodLoss", 13, "reduction=sum ignore_index=1", "2x3x2x1",
         "2x2x1[0,1,2,2]", "{0.5,2,1.5}"),
    CASE("NegativeLogLikelihoodLoss", 22, "ignore_index=-1", "3x5", "[1,-1,4]",
         "{0.5,2,1.5,1,3}"),
    CASE("SoftmaxCrossEntropyLoss", 12, NULL, "3x5", "[1,0,4]"),
    CASE("SoftmaxCrossEntropyLoss", 13, "reduction=none", "2x3x4", "2x4[0,1,2,2,1,1,0,2]",
         "{0.5,2,1.5}"),
    CASE("SoftmaxCrossEntropyLoss", 13, "reduction=sum ignore_index=7", "2x3x2x1",
         "2x2x1[0,7,2,2]"),
    CASE("SoftmaxCrossEntropyLoss", 13, "ignore_index=0", "2x3x2", "2x2[0,1,2,0]",
         "{0.5,2,1.5}"),
    OUTPUTS("y,log", "SoftmaxCrossEntropyLoss", 13, NULL, "3x5", "[1,0,4]"),
    OUTPUTS("loss,y", "SoftmaxCrossEntropyLoss", 13, NULL, "2x3x2", "2x2[0,1,2,0]"),
};

/* Not reduced: what a sum cancels is no measure of its rounding. */
static void likelihood(struct random_sentence *r)
{
    int n = roll(r, 1, 3), classes = roll(r, 1, 5), inner = roll(r, 1, 2);
    r->s.op = "NegativeLogLikelihoodLoss";
    r->s.opset = 13;
    say_input(r, 0, "%dx%dx%d", n, classes, inner);
    char targets[SENTENCE_TEXT] = "";
    for (int i = 0; i < n * inner; i++)
        snprintf(targets + strlen(targets), sizeof(targets) - strlen(targets), "%s%d",
                 i ? "," : "", roll(r, 0, classes - 1));
    say_input(r, 1, "%dx%d[%s]", n, inner, targets);
    say_attributes(r, "reduction=none ignore_index=%d", roll(r, -1, classes));
}

static void (*const linear[])(struct random_sentence *r) = {likelihood};

const struct family family_loss = {
    .sentences = sentences,
    .n = COUNT(sentences),
    .random = linear,
    .n_random = COUNT(linear),
};
