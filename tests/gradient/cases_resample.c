/* What reads between pixels: Resize, Upsample, GridSample, AffineGrid, RoiAlign. */
#include <stdio.h>
#include <string.h>

#include "sentence.h"

static const struct sentence sentences[] = {
    CASE("Resize", 10, NULL, "1x2x3x4", "{1,1,1.5,2.5}"),
    CASE("Resize", 10, "mode=linear", "1x2x5x4", "{1,1,0.6,2.5}"),
    CASE("Resize", 11, "mode=linear", "2x1x4x3", "{}", "{1,1,2,2}"),
    CASE("Resize", 11, "mode=cubic exclude_outside=1 cubic_coeff_a=-0.5", "1x1x4x5",
         "{}", "{1,1,0.8,1.7}"),
    CASE("Resize", 11,
         "mode=linear coordinate_transformation_mode=tf_crop_and_resize "
         "extrapolation_value=3.5",
         "1x1x5x4", "{0,0,0.2,-0.3,1,1,0.7,1.2}", "{}", "[1,1,4,6]"),
    CASE("Resize", 11, "coordinate_transformation_mode=tf_half_pixel_for_nn", "1x1x5x4",
         "{}", "{}", "[1,1,3,7]"),
    CASE("Resize", 13, "mode=linear coordinate_transformation_mode=pytorch_half_pixel",
         "1x2x3x5", "", "", "[1,2,1,8]"),
    CASE("Resize", 13, "mode=cubic coordinate_transformation_mode=align_corners",
         "2x4x3", "", "", "[2,7,5]"),
    CASE("Resize", 13, "nearest_mode=ceil coordinate_transformation_mode=asymmetric",
         "1x1x4x5", "", "{1,1,1.5,0.7}"),
    CASE("Resize", 18, "mode=linear antialias=1", "1x2x9x7", "", "", "[1,2,3,4]"),
    CASE("Resize", 18, "mode=cubic antialias=1 axes=-1,2", "1x2x7x9", "", "{0.4,0.5}"),
    CASE("Resize", 18, "mode=linear axes=1,2 keep_aspect_ratio_policy=not_larger",
         "1x4x6x2", "", "", "[7,8]"),
    CASE("Resize", 19,
         "mode=linear coordinate_transformation_mode=half_pixel_symmetric "
         "keep_aspect_ratio_policy=not_smaller",
         "4x5", "", "", "[7,7]"),
    CASE("Resize", 19, "mode=linear", "2x3x2x2", "", "{2,1,1,1}"), /* no spatial axis */
    CASE("Resize", 19, NULL, "2x3", "", "", "[2,3]"),
    CASE("Resize", 19, "mode=linear", "2x3x4", "", "", "[2,3,4]"), /* nothing to do */
    CASE("Upsample", 7, "scales=1.0,1.0,2.0,3.0", "1x2x2x3"),
    CASE("Upsample", 9, "mode=linear", "1x2x2x3", "{1,1,2,1.5}"),

    CASE("GridSample", 16, NULL, "2x3x4x5", "2x3x2x2"),
    CASE("GridSample", 16, "mode=bicubic align_corners=1", "1x2x4x5", "1x3x3x2"),
    CASE("GridSample", 16, "mode=bicubic padding_mode=reflection", "1x2x4x5",
         "1x3x3x2"),
    CASE("GridSample", 16, "mode=bicubic padding_mode=border", "1x2x4x5", "1x3x3x2"),
    CASE("GridSample", 16, "mode=nearest padding_mode=border", "1x2x4x5", "1x3x3x2"),
    CASE("GridSample", 20, "padding_mode=border", "1x2x4x5", "1x3x3x2"),
    CASE("GridSample", 20, "padding_mode=reflection align_corners=1", "1x2x4x5",
         "1x3x3x2"),
    CASE("GridSample", 20, "padding_mode=reflection", "1x9x3x4x2", "1x2x2x3x3"),
    CASE("GridSample", 22, "mode=cubic", "1x1x3x4x2", "1x2x2x1x3"),
    CASE("GridSample", 22, NULL, "2x2x5", "2x4x1"),

    CASE("AffineGrid", 20, NULL, "2x2x3", "[2,3,4,5]"),
    CASE("AffineGrid", 20, "align_corners=1", "1x3x4", "[1,1,3,1,2]"),

    CASE("RoiAlign", 10, "output_height=2 output_width=3 spatial_scale=0.5", "2x9x5x6",
         "3x4{1,1,9,8,0.5,2,11,7,-3,-2,4,14}", "[1,0,1]"),
    CASE("RoiAlign", 16, "output_height=2 output_width=2 sampling_ratio=3", "1x2x5x6",
         "2x4{0.7,1.1,4.3,3.9,1,0,1.5,6}", "[0,0]"),
    CASE("RoiAlign", 22, "mode=max output_height=2 output_width=2", "1x2x5x6",
         "2x4{0.7,1.1,4.3,3.9,1.2,0.1,2.5,4.6}", "[0,0]"),
};

/* ---- linear ------------------------------------------------------------------ */

static void say_dims(struct random_sentence *r, int i, const int *dim, int n)
{
    char text[80] = "";
    for (int d = 0; d < n; d++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%d", d ? "x" : "",
                 dim[d]);
    say_input(r, i, "%s", text);
}

/* A list of n sizes, or where there are none of n scales. */
static void say_targets(struct random_sentence *r, int n)
{
    char text[80] = "";
    bool sizes = roll(r, 0, 1);
    for (int d = 0; d < n; d++) {
        size_t at = strlen(text);
        if (sizes)
            snprintf(text + at, sizeof(text) - at, "%s%d", d ? "," : "",
                     roll(r, 1, 12));
        else
            snprintf(text + at, sizeof(text) - at, "%s%.1f", d ? "," : "",
                     0.1 * roll(r, 5, 25));
    }
    if (sizes)
        say_input(r, 2, "%s", "");
    say_input(r, sizes ? 3 : 2, sizes ? "[%s]" : "{%s}", text);
}

static void resize(struct random_sentence *r, const char *mode)
{
    static const char *const places[] = {"half_pixel",         "half_pixel_symmetric",
                                         "pytorch_half_pixel", "align_corners",
                                         "asymmetric",         "tf_crop_and_resize"};
    static const char *const roundings[] = {"floor", "ceil", "round_prefer_floor",
                                            "round_prefer_ceil"};
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller"};
    int rank = roll(r, 1, 3), dim[3] = {0};
    for (int d = 0; d < rank; d++)
        dim[d] = roll(r, 2, 9); /* half of 1 would be nothing */
    const char *place = places[roll(r, 0, (int)COUNT(places) - 1)];
    r->s.op = "Resize";
    r->s.opset = 19;
    say_dims(r, 0, dim, rank);
    say_input(r, 1, "%s", "");
    if (strcmp(place, "tf_crop_and_resize") == 0)
        say_input(r, 1,
                  rank == 1   ? "{0.1,0.8}"
                  : rank == 2 ? "{0.1,0,0.8,1}"
                              : "{0.3,-0.1,0,0.1,0.7,1.1}");
    say_targets(r, rank);
    say_attributes(r,
                   "mode=%s coordinate_transformation_mode=%s nearest_mode=%s "
                   "antialias=%d exclude_outside=%d keep_aspect_ratio_policy=%s",
                   mode, place, roundings[roll(r, 0, 3)], roll(r, 0, 1), roll(r, 0, 1),
                   policies[roll(r, 0, 2)]);
}

static void resize_nearest(struct random_sentence *r)
{
    resize(r, "nearest");
}

static void resize_linear(struct random_sentence *r)
{
    resize(r, "linear");
}

static void resize_cubic(struct random_sentence *r)
{
    resize(r, "cubic");
}

static void grid_sample(struct random_sentence *r)
{
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    int axes = roll(r, 1, 3), x[5] = {roll(r, 1, 2), roll(r, 1, 10)}, grid[5] = {x[0]};
    for (int d = 0; d < axes; d++) {
        x[2 + d] = roll(r, 1, 5);
        grid[1 + d] = roll(r, 1, 3);
    }
    grid[1 + axes] = axes;
    r->s.op = "GridSample";
    r->s.opset = 20;
    say_dims(r, 0, x, axes + 2);
    say_dims(r, 1, grid, axes + 2);
    say_attributes(r, "mode=%s padding_mode=%s align_corners=%d", modes[roll(r, 0, 2)],
                   paddings[roll(r, 0, 2)], roll(r, 0, 1));
}

static void (*const linear[])(struct random_sentence *r) = {
    resize_nearest, resize_linear, resize_cubic, grid_sample};

const struct family family_resample = {
    .sentences = sentences,
    .n = COUNT(sentences),
    .random = linear,
    .n_random = COUNT(linear),
};
