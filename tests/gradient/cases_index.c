/* What is placed by indices, and what selects, repeats or sums along an axis. */
#include <stdio.h>
#include <string.h>

#include "sentence.h"

static const struct sentence sentences[] = {
    CASE("GatherElements", 13, "axis=1", "3x4", "2x3[0,3,-1,2,2,0]"),
    CASE("GatherElements", 11, NULL, "3x2x2", "4x1x2[0,1,2,2,2,-3,0,0]"),
    CASE("GatherND", 13, NULL, "3x4x2", "2x2[0,1,2,-1]"),
    CASE("GatherND", 13, "batch_dims=1", "2x3x2", "2x2x1[0,1,2,-1]"),
    CASE("GatherND", 11, NULL, "2x3", "3x2[0,1,0,1,1,2]"),
    CASE("Scatter", 9, "axis=1", "2x4", "2x2[0,3,1,2]", "2x2"),
    CASE("ScatterElements", 11, "axis=1", "2x4", "2x2[0,-1,1,2]", "2x2"),
    CASE("ScatterElements", 18, "axis=1 reduction=add", "3x3", "2x4[0,1,0,2,1,1,1,1]",
         "2x4"),
    CASE("ScatterElements", 16, "reduction=mul", "3x2", "4x2[0,1,0,1,0,2,1,1]", "4x2"),
    CASE("ScatterElements", 16, "reduction=mul", "3x2",
         "4x2[0,1,0,1,0,2,1,1]", "4x2{0.0,2.0,0.0,0.5,3.0,0.0,1.0,1.5}"),
    CASE("ScatterElements", 16, "axis=1 reduction=mul", "1x3{0.0,0.5,2.0}",
         "1x4[0,1,1,0]", "1x4"),
    CASE("ScatterElements", 18, "axis=1 reduction=max", "2x3", "2x4[0,0,0,1,1,2,1,1]",
         "2x4"),
    CASE("ScatterElements", 18, "reduction=min", "3x2", "4x2[0,1,0,1,0,2,1,1]", "4x2"),
    CASE("ScatterND", 11, NULL, "4x3", "2x1[3,1]", "2x3"),
    CASE("ScatterND", 16, "reduction=add", "3x2x2", "3x2[0,1,-1,0,0,1]", "3x2"),
    CASE("ScatterND", 16, "reduction=mul", "3x2", "3x1[2,0,2]", "3x2"),
    CASE("ScatterND", 18, "reduction=max", "3x2", "4x1[2,0,2,2]", "4x2"),
    CASE("ScatterND", 18, "reduction=min", "3x2", "4x1[2,0,2,2]", "4x2"),
    CASE("Tile", 13, NULL, "2x3", "[3,2]"),
    CASE("Tile", 6, NULL, "1x3x2", "[4,1,2]"),
    CASE("Tile", 5, NULL, "2x3", "1{2.0}", "1{1.0}"),
    CASE("CumSum", 14, NULL, "2x3x2", "[1]"),
    CASE("CumSum", 11, "exclusive=1 reverse=1", "2x3x2", "[-1]"),
    CASE("ReverseSequence", 10, NULL, "4x3x2", "[4,1,3]"),
    CASE("ReverseSequence", 10, "batch_axis=0 time_axis=1", "2x4", "[0,3]"),
    CASE("Trilu", 14, NULL, "2x3x4"),
    CASE("Trilu", 14, "upper=0", "3x4", "[-1]"),
    CASE("OneHot", 11, "axis=1", "2x3[0,2,-1,5,1,1]", "[3]", "2"),
    CASE("Compress", 11, "axis=1", "2x4x2", "[1,0,1]"),
    CASE("Compress", 9, NULL, "2x3", "[0,1,1,0,0,1]"),
    CASE("Det", 11, NULL, "2x3x3"),
    CASE("Det", 22, NULL, "4x4"),
    CASE("Mod", 13, "fmod=1", "2x3", "3{0.7,-1.3,0.9}"),
    RANGE(1, 2, "Mod", 10, "fmod=1", "3{6.5,-7.1,9.3}", "2x3"),
};

/* ---- random ones of what is linear ----------------------------------------------- */

enum { MOST = 40 };

/* "[" n indices of -size..size-1 "]" after the dims that `text` begins with. */
static void put_indices(struct random_sentence *r, char text[SENTENCE_TEXT], int n,
                        int size)
{
    for (int i = 0; i < n; i++) {
        size_t used = strlen(text);
        snprintf(text + used, SENTENCE_TEXT - used, "%s%d", i ? "," : "[",
                 roll(r, -size, size - 1));
    }
    strcat(text, "]");
}

static void gather_elements(struct random_sentence *r)
{
    int whole[3], part[3], axis = roll(r, 0, 2);
    char text[SENTENCE_TEXT];
    for (int i = 0; i < 3; i++) {
        whole[i] = roll(r, 1, 3);
        part[i] = roll(r, 1, i == axis ? 4 : whole[i]);
    }
    r->s.op = "GatherElements";
    r->s.opset = 13;
    say_input(r, 0, "%dx%dx%d", whole[0], whole[1], whole[2]);
    snprintf(text, sizeof(text), "%dx%dx%d", part[0], part[1], part[2]);
    put_indices(r, text, part[0] * part[1] * part[2], whole[axis]);
    say_input(r, 1, "%s", text);
    say_attributes(r, "axis=%d", axis - 3 * roll(r, 0, 1));
}

static void gather_nd(struct random_sentence *r)
{
    int batch = roll(r, 0, 1), depth = roll(r, 1, 2), size = roll(r, 1, 3);
    int first = roll(r, 1, 3), n = roll(r, 1, 4);
    char text[SENTENCE_TEXT];
    r->s.op = "GatherND";
    r->s.opset = 13;
    /* All indexed axes are equally long, so that one bound does. */
    say_input(r, 0, "%dx%dx%dx%d", batch ? first : size, size, size, roll(r, 1, 3));
    snprintf(text, sizeof(text), "%dx%dx%d", batch ? first : 1, n, depth);
    put_indices(r, text, (batch ? first : 1) * n * depth, size);
    say_input(r, 1, "%s", text);
    say_attributes(r, "batch_dims=%d", batch);
}

static void scatter_add(struct random_sentence *r)
{
    int whole[2] = {roll(r, 1, 4), roll(r, 1, 4)}, axis = roll(r, 0, 1);
    int part[2] = {roll(r, 1, whole[0]), roll(r, 1, whole[1])};
    char text[SENTENCE_TEXT], zeros[SENTENCE_TEXT];
    r->s.op = "ScatterElements";
    r->s.opset = 18;
    part[axis] = roll(r, 1, 5);
    /* Linear in the updates where the data are zero. */
    snprintf(zeros, sizeof(zeros), "%dx%d{0", whole[0], whole[1]);
    for (int i = 1; i < whole[0] * whole[1]; i++)
        strcat(zeros, ",0");
    say_input(r, 0, "%s}", zeros);
    snprintf(text, sizeof(text), "%dx%d", part[0], part[1]);
    put_indices(r, text, part[0] * part[1], whole[axis]);
    say_input(r, 1, "%s", text);
    say_input(r, 2, "%dx%d", part[0], part[1]);
    say_attributes(r, "axis=%d reduction=%s", axis, roll(r, 0, 1) ? "add" : "none");
}

static void tile(struct random_sentence *r)
{
    r->s.op = "Tile";
    r->s.opset = 13;
    say_input(r, 0, "%dx%dx%d", roll(r, 1, 3), roll(r, 1, 3), roll(r, 1, 4));
    say_input(r, 1, "[%d,%d,%d]", roll(r, 1, 3), roll(r, 1, 4), roll(r, 1, 3));
}

static void cumsum(struct random_sentence *r)
{
    r->s.op = "CumSum";
    r->s.opset = 14;
    say_input(r, 0, "%dx%dx%d", roll(r, 1, 4), roll(r, 1, 4), roll(r, 1, 4));
    say_input(r, 1, "[%d]", roll(r, -3, 2));
    say_attributes(r, "exclusive=%d reverse=%d", roll(r, 0, 1), roll(r, 0, 1));
}

static void trilu(struct random_sentence *r)
{
    r->s.op = "Trilu";
    r->s.opset = 14;
    /* Not so far off that nothing is left to compare. */
    say_input(r, 0, "%dx%dx%d", roll(r, 1, 3), roll(r, 3, 4), roll(r, 3, 5));
    say_input(r, 1, "[%d]", roll(r, -2, 2));
    say_attributes(r, "upper=%d", roll(r, 0, 1));
}

static void reverse_sequence(struct random_sentence *r)
{
    int batch = roll(r, 1, 3), time = roll(r, 1, 5), batch_axis = roll(r, 0, 1);
    r->s.op = "ReverseSequence";
    r->s.opset = 10;
    say_input(r, 0, "%dx%dx%d", batch_axis ? time : batch, batch_axis ? batch : time,
              roll(r, 1, 3));
    say_input(r, 1,
              batch == 3   ? "[%d,%d,%d]"
              : batch == 2 ? "[%d,%d]"
                           : "[%d]",
              roll(r, 0, time), roll(r, 0, time), roll(r, 0, time));
    say_attributes(r, "batch_axis=%d time_axis=%d", batch_axis, !batch_axis);
}

static void (*const linear[])(struct random_sentence *r) = {
    gather_elements, gather_nd, scatter_add, tile, cumsum, trilu, reverse_sequence,
};

const struct family family_index = {
    .sentences = sentences,
    .n = COUNT(sentences),
    .random = linear,
    .n_random = COUNT(linear),
};
